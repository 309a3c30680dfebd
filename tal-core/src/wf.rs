//! TCB. Well-formedness (core.md 4.3): of what an image or interface declares, and of what a hint
//! brings into a state. Positive lists throughout.

mod sig;

use crate::counted::Rc;
use crate::error::{Error, Kind as Refusal, OrRefuse, Rule};
use crate::hint::Hints;
use crate::image::DataKind;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::{deeper, width};
use crate::state::{Scope, State};
use crate::term::{Term, Var};
use crate::ty::{
    Base, Bounds, Entry, Fact, FieldTy, Guard, Kind, Mem, NameSet, OriginId, Region, TypeId, View,
    Word,
};

/// Facts of one integer field: copying a struct is paid by them, and nobody needs more.
const REFINEMENTS: usize = 16;

/// Declarations by number.
#[derive(Clone, Copy)]
pub(crate) enum Vars<'c> {
    /// Of a state.
    State(&'c [Scope]),
    /// The first ones and those numbered after them.
    Declared(&'c [Kind], &'c [Kind]),
    /// Of a state below a mark, and those of a label.
    Label(&'c [Scope], &'c [Kind]),
}

impl<'c> Vars<'c> {
    fn kind(self, i: u16) -> Option<&'c Kind> {
        let i = usize::from(i);
        match self {
            Vars::State(scope) => scope.get(i).map(|s| &s.kind),
            Vars::Declared(first, later) => match i.checked_sub(first.len()) {
                None => first.get(i),
                Some(i) => later.get(i),
            },
            Vars::Label(scope, own) => match i.checked_sub(scope.len()) {
                None => scope.get(i).map(|s| &s.kind),
                Some(i) => own.get(i),
            },
        }
    }
}

/// Which variables may occur, and how they are declared.
#[derive(Clone, Copy)]
pub(crate) struct Ctx<'c> {
    free: Vars<'c>,
    inner: Vars<'c>,
    params: u16,
    bound: u16,
    value: bool,
    /// May words point to the image's data and code, or to names? Not in named types.
    pointers: bool,
}

impl<'c> Ctx<'c> {
    /// Nothing may occur.
    pub(crate) fn closed() -> Ctx<'c> {
        Ctx {
            free: Vars::Declared(&[], &[]),
            inner: Vars::Declared(&[], &[]),
            params: 0,
            bound: 0,
            value: false,
            pointers: false,
        }
    }

    /// The variables of a state or signature.
    pub(crate) fn over(free: Vars<'c>) -> Ctx<'c> {
        Ctx { free, pointers: true, ..Ctx::closed() }
    }

    fn kind(&self, v: Var) -> Option<&'c Kind> {
        match v {
            Var::Free(i) => self.free.kind(i),
            Var::Inner(i) => self.inner.kind(i),
            Var::Param(_) | Var::Bound(_) | Var::Value => None,
        }
    }

    fn is_int(&self, v: Var) -> bool {
        match v {
            Var::Free(_) | Var::Inner(_) => holds!(matches!(self.kind(v), Some(Kind::Int(_)))),
            Var::Param(i) => holds!(i < self.params),
            Var::Bound(i) => holds!(i < self.bound),
            Var::Value => holds!(self.value),
        }
    }

    /// The bounds of an integer, as declared.
    fn bounds(&self, v: Var) -> Option<Bounds> {
        self.kind(v)?.bounds()
    }

    /// The set of a name of kind `Addr`, as declared.
    fn set(&self, v: Var) -> Option<&'c NameSet> {
        match self.kind(v) {
            Some(Kind::Addr { set, .. }) => Some(set),
            _ => None,
        }
    }
}

pub(crate) fn ill(rule: Rule) -> Error {
    Error::new(rule, Refusal::IllFormed)
}

impl<H: Hints> Judge<'_, H> {
    /// rule[wf-named]: type number `id` (the interface's come first). What is declared of it is
    /// computed from its body again. The body is a struct or an `ex` over one, so no type contains
    /// another one by value, and no unfolding goes on for ever (traps 98, 99).
    ///
    /// # Errors
    /// rule[wf-named] and the rules of its parts.
    pub fn wf_type(&mut self, id: TypeId) -> Result<()> {
        let rule = Rule::WfNamed;
        let named = self.named(id)?;
        premise!(usize::from(named.arity) <= limits::ARITY, ill(rule));
        let ctx = Ctx { params: named.arity, ..Ctx::closed() };
        premise!(matches!(&*named.body, Mem::Struct { .. } | Mem::Ex { .. }), ill(rule));
        premise!(self.wf_mem(ctx, &named.body, 0));
        let size = self.size(&named.body)?.as_int();
        premise!(size == Some(i128::from(named.size)), ill(rule));
        premise!(self.zero_ok(&named.body)? == named.zero_ok, ill(rule));
        premise!(self.plain(&named.body)? == named.plain, ill(rule));
        premise!(self.owns(&named.body)? == named.owns, ill(rule));
        Ok(())
    }

    /// Every named type of the interface and the image.
    ///
    /// # Errors
    /// As [`Judge::wf_type`].
    pub fn wf_types(&mut self) -> Result<()> {
        let count = self.interface.types.len().saturating_add(self.image.types.len());
        premise!(count <= limits::TYPES, ill(Rule::WfNamed));
        for id in 0..u32::try_from(count).map_err(|_| ill(Rule::WfNamed))? {
            premise!(self.wf_type(TypeId(id)));
        }
        Ok(())
    }

    /// A memory type: rule[wf-struct], rule[wf-ex], rule[wf-size].
    pub(crate) fn wf_mem(&mut self, ctx: Ctx, mem: &Mem, depth: usize) -> Result<()> {
        let depth = deeper(depth)?;
        self.burn(1)?;
        match mem {
            Mem::Struct { fields, size } => {
                premise!(fields.len() <= limits::FIELDS, ill(Rule::WfStruct));
                premise!(*size > 0, ill(Rule::WfStruct));
                let mut end = 0_u32;
                for field in fields {
                    premise!(self.wf_field(ctx, &field.ty, depth));
                    premise!(field.offset >= end, ill(Rule::WfStruct));
                    end = field.offset.checked_add(width(&field.ty)).ok_or(ill(Rule::WfStruct))?;
                }
                premise!(end <= *size, ill(Rule::WfStruct));
                Ok(())
            }
            Mem::Array(n, element) => {
                premise!(self.wf_count(ctx, n));
                premise!(self.wf_mem(ctx, element, depth));
                self.wf_element(element)
            }
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => self.wf_count(ctx, n),
            Mem::Cat(first, second) => {
                premise!(!matches!(&**first, Mem::Cat(..)), ill(Rule::WfSize));
                premise!(self.wf_mem(ctx, first, depth));
                self.wf_mem(ctx, second, depth)
            }
            Mem::Ex { vars, facts, body } => {
                premise!(usize::from(*vars) <= limits::ARITY, ill(Rule::WfEx));
                premise!(matches!(&**body, Mem::Struct { .. }), ill(Rule::WfEx));
                let ctx = Ctx { bound: *vars, ..ctx };
                premise!(self.wf_facts(ctx, facts, Rule::WfEx));
                self.wf_mem(ctx, body, depth)
            }
            Mem::Named(id, args) => {
                let arity = usize::from(self.named(*id)?.arity);
                premise!(args.len() == arity, ill(Rule::WfNamed));
                args.iter().try_for_each(|t| self.wf_term(ctx, t, Rule::WfNamed))
            }
        }
    }

    /// A field type.
    pub(crate) fn wf_field(&mut self, ctx: Ctx, ty: &FieldTy, depth: usize) -> Result<()> {
        let rule = Rule::WfStruct;
        self.burn(1)?;
        match ty {
            FieldTy::Int { bits, facts, .. } => {
                premise!(matches!(bits, 8 | 16 | 32 | 64), ill(rule));
                premise!(facts.len() <= REFINEMENTS, ill(rule));
                self.wf_facts(Ctx { value: true, ..ctx }, facts, rule)
            }
            FieldTy::Known(Word::Int(e)) => self.wf_term(ctx, e, Rule::WfWordType),
            FieldTy::Known(Word::Ptr(base, e)) => {
                premise!(self.wf_base(ctx, *base));
                self.wf_term(ctx, e, Rule::WfWordType)
            }
            FieldTy::Known(Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk) => {
                refuse!(ill(Rule::WfWordType))
            }
            FieldTy::Own { origin, mem, .. } => {
                premise!(origin.map_or(Ok(()), |o| self.wf_origin(o)));
                self.wf_mem(ctx, mem, depth)
            }
            FieldTy::Ref { mem, .. } => self.wf_mem(ctx, mem, depth),
            FieldTy::Junk(bytes) => {
                premise!(matches!(bytes, 1 | 2 | 4 | 8), ill(rule));
                Ok(())
            }
        }
    }

    /// rule[wf-size] for what arrays are made of: a constant size from 1 to 2^20, and every part of
    /// it has a constant size too, so that cutting an element needs no proof.
    pub(crate) fn wf_element(&mut self, element: &Mem) -> Result<()> {
        premise!(self.element_size(element).map(drop));
        premise!(self.constant_parts(element, 0));
        Ok(())
    }

    fn constant_parts(&mut self, mem: &Mem, depth: usize) -> Result<()> {
        let rule = Rule::WfSize;
        let depth = deeper(depth)?;
        self.burn(1)?;
        let constant = |n: &Term| {
            premise!(n.as_int().is_some_and(|n| n >= 0), ill(rule));
            Ok(())
        };
        match mem {
            Mem::Struct { .. } | Mem::Ex { .. } | Mem::Named(..) => Ok(()),
            Mem::Array(n, element) => {
                premise!(constant(n));
                self.constant_parts(element, depth)
            }
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => constant(n),
            Mem::Cat(first, second) => {
                // Second to `n.as_int().is_some_and(|n| n >= 0)` in `constant_parts`: the sum is a
                // constant and no part is negative, so if one part is no constant another one is
                // not, and of the parts that are not the last is asked below.
                premise!(self.constant_parts(first, depth));
                self.constant_parts(second, depth)
            }
        }
    }

    /// A number of elements or bytes; a constant must be a possible one (redteam U11).
    fn wf_count(&mut self, ctx: Ctx, n: &Term) -> Result<()> {
        premise!(self.wf_term(ctx, n, Rule::WfSize));
        premise!(n.as_int().is_none_or(|n| (0..=limits::OBJECT).contains(&n)), ill(Rule::WfSize));
        Ok(())
    }

    fn wf_term(&mut self, ctx: Ctx, term: &Term, rule: Rule) -> Result<()> {
        self.burn(term.monomials().len())?;
        premise!(term.every_var(|v| ctx.is_int(v)), ill(rule));
        Ok(())
    }

    pub(crate) fn wf_facts(&mut self, ctx: Ctx, facts: &[Fact], rule: Rule) -> Result<()> {
        premise!(facts.len() <= limits::FACTS, ill(rule));
        facts.iter().try_for_each(|f| self.wf_term(ctx, &f.term, rule))
    }

    fn wf_origin(&self, origin: OriginId) -> Result<()> {
        premise!(origin.0 < self.interface.origins, ill(Rule::WfWordType));
        Ok(())
    }

    fn wf_base(&self, ctx: Ctx, base: Base) -> Result<()> {
        let named = match base {
            Base::Name(x) => {
                holds!(matches!(ctx.kind(x), Some(Kind::Addr { .. } | Kind::Code(_) | Kind::Word)))
            }
            Base::Data(d) => holds!(usize::from(d.0) < self.image.data.len()),
            Base::Code(f) => {
                holds!(usize::try_from(f.0).is_ok_and(|f| f < self.image.functions.len()))
            }
        };
        premise!(ctx.pointers, ill(Rule::WfWordType));
        premise!(named, ill(Rule::WfWordType));
        Ok(())
    }

    /// rule[wf-word-type]: `I`, `P`, and where nothing is declared `J`.
    pub(crate) fn wf_word(&mut self, ctx: Ctx, word: &Word) -> Result<()> {
        self.burn(1)?;
        match word {
            Word::Int(e) => self.wf_term(ctx, e, Rule::WfWordType),
            Word::Ptr(base, e) => {
                premise!(self.wf_base(ctx, *base));
                self.wf_term(ctx, e, Rule::WfWordType)
            }
            Word::Junk => Ok(()),
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) => refuse!(ill(Rule::WfWordType)),
        }
    }

    /// rule[wf-guard].
    fn wf_guard_of(&mut self, ctx: Ctx, guard: &Guard) -> Result<()> {
        let rule = Rule::WfGuard;
        match guard {
            Guard::Range(term, low, high) => {
                premise!(low <= high, ill(rule));
                self.wf_term(ctx, term, rule)
            }
            Guard::IsAddress(x) => {
                premise!(ctx.set(*x).is_some(), ill(rule));
                Ok(())
            }
            Guard::IsSmall(x, low, high) => {
                let set = ctx.set(*x).ok_or(ill(rule))?;
                premise!(set.small.contains(&Some((*low, *high))), ill(rule));
                Ok(())
            }
        }
    }

    fn wf_guards(&mut self, ctx: Ctx, guards: &[Guard]) -> Result<()> {
        premise!(guards.len() <= limits::GUARDS, ill(Rule::WfGuard));
        guards.iter().try_for_each(|g| self.wf_guard_of(ctx, g))
    }

    /// An entry: at a name of kind `Addr`, never at data or code.
    pub(crate) fn wf_entry_of(&mut self, ctx: Ctx, entry: &Entry) -> Result<()> {
        premise!(self.wf_guards(ctx, &entry.guards));
        premise!(ctx.set(entry.name).is_some(), ill(Rule::WfGuard));
        premise!(self.wf_term(ctx, &entry.offset, Rule::WfGuard));
        self.wf_mem(ctx, &entry.mem, 0)
    }

    /// A view: at a name of kind `Addr` or a data object.
    pub(crate) fn wf_view_of(&mut self, ctx: Ctx, view: &View) -> Result<()> {
        let rule = Rule::WfGuard;
        premise!(self.wf_guards(ctx, &view.guards));
        match view.base {
            Base::Name(x) => {
                premise!(ctx.set(x).is_some(), ill(rule));
            }
            Base::Data(d) => {
                let object = self.image.data.get(usize::from(d.0)).ok_or(ill(rule))?;
                let typed = matches!(object.kind, DataKind::Object { .. });
                premise!(ctx.pointers, ill(rule));
                premise!(typed, ill(rule));
            }
            Base::Code(_) => return refuse!(ill(rule)),
        }
        if let Region::Var(rho) = view.region {
            premise!(ctx.kind(rho) == Some(&Kind::Region), ill(rule));
        }
        premise!(self.wf_term(ctx, &view.offset, rule));
        self.wf_mem(ctx, &view.mem, 0)
    }

    /// Is the type nested no deeper than the limit? For rules that build types.
    pub(crate) fn shallow(&mut self, mem: &Rc<Mem>) -> Result<()> {
        self.mentions(mem, &|_| false).map(drop)
    }

    /// A memory type that a hint brings.
    pub(crate) fn wf_mem_in(&mut self, st: &State, mem: &Mem) -> Result<()> {
        self.wf_mem(Ctx::over(Vars::State(&st.scope)), mem, 0)
    }

    /// A field type that a hint brings, for a field of an entry.
    pub(crate) fn wf_field_in(&mut self, st: &State, ty: &FieldTy) -> Result<()> {
        self.wf_field(Ctx::over(Vars::State(&st.scope)), ty, 1)
    }

    /// A guard that a hint brings.
    pub(crate) fn wf_guard(&mut self, st: &State, guard: &Guard) -> Result<()> {
        self.wf_guard_of(Ctx::over(Vars::State(&st.scope)), guard)
    }

    /// An entry that a hint brings.
    pub(crate) fn wf_entry(&mut self, st: &State, entry: &Entry) -> Result<()> {
        self.wf_entry_of(Ctx::over(Vars::State(&st.scope)), entry)
    }

    /// Arguments of a named type that a hint brings.
    pub(crate) fn wf_args(&mut self, st: &State, id: TypeId, args: &[Term]) -> Result<()> {
        let arity = usize::from(self.named(id).ok().or_refuse(Rule::EntryFold)?.arity);
        // Second to `usize::from(named.arity) == args.len()` in `body`: rule[entry-fold] unfolds
        // the type with these arguments.
        premise!(args.len() == arity, ill(Rule::EntryFold));
        args.iter().try_for_each(|t| self.scoped(st, t, Rule::EntryFold))
    }
}

/// A declared set of alternatives: an address among them, intervals increasing and apart, none of
/// them on both sides of zero.
pub(crate) fn wf_set(set: &NameSet) -> bool {
    let one = |(low, high): (i16, i16)| holds!(low <= high) && holds!(high < 0 || low >= 0);
    let small = match set.small {
        [None, None] => true,
        [Some(a), None] => one(a),
        [Some(a), Some(b)] => one(a) && one(b) && holds!(a.1 < b.0),
        [None, Some(_)] => holds!(false),
    };
    holds!(set.address) && holds!(small)
}
