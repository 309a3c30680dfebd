//! Not trusted: a bug here can reject, never admit. Types of the source to types of the judge.

use super::expr::{Declared, Scope, Value};
use super::{Elab, Res};
use crate::lowered::TypeInfo;
use std::borrow::Cow;
use tal_core::counted::Rc;
use tal_core::term::{Term, Var};
use tal_core::ty::{Fact, Field, FieldTy, Mem, Mode, OriginId, Rel, TypeId, Word};
use tal_syntax::Span;
use tal_syntax::ast::{self, Arg, BinderKind, DeclKind, IntType, Name, PtrMode, Type, TypeKind};
use tal_syntax::diag::{Code, Diag};

/// An alias taken apart as far as its first real constructor.
#[derive(Clone, Debug)]
pub(super) struct Expanded<'t> {
    pub ty: Cow<'t, Type>,
    /// Where the names of an alias's body are looked up; of what is no alias, where it stands.
    pub scope: Option<Scope>,
}

impl Elab {
    /// Follows aliases. Their parameters become names with values.
    pub(super) fn expand<'t>(&mut self, ty: &'t Type, scope: &mut Scope) -> Res<Expanded<'t>> {
        let mut current = Cow::Borrowed(ty);
        let mut inside: Option<Scope> = None;
        for _ in 0..32 {
            let here = inside.as_mut().unwrap_or(scope);
            let program = self.program.clone();
            let alias =
                match &current.kind {
                    TypeKind::Named { name, args } => program
                        .lookup(here.module, &name.text)
                        .and_then(|id| match program.decl(id).map(|d| &d.kind) {
                            Some(DeclKind::Type(alias)) => Some((id, alias, name, args)),
                            _ => None,
                        }),
                    _ => None,
                };
            let Some((id, alias, name, args)) = alias else {
                return Ok(Expanded { ty: current, scope: inside });
            };
            let Some(body) = &alias.ty else {
                return Err(self.stage(name.span, "abstract types"));
            };
            let values = self.arguments(name, &alias.binders, args.as_ref(), here)?;
            let mut inner = Scope::closed(id.module);
            for (binder, value) in alias.binders.iter().zip(values) {
                inner.fixed.insert(binder.name.text.to_string(), Value::int(value));
            }
            // The variables stay those of the place where the alias stands, without their names.
            inner.vars = here.vars.iter().map(|v| Declared { value: false, ..v.clone() }).collect();
            inner.first = here.first;
            inner.class = here.class;
            inner.outer = here.outer.clone();
            current = Cow::Owned(body.clone());
            inside = Some(inner);
        }
        Err(self.error(206, ty.span, "this type is an abbreviation of itself"))
    }

    /// The integer arguments of a named type.
    pub(super) fn arguments(
        &mut self,
        name: &Name,
        binders: &[ast::Binder],
        args: Option<&Vec<Arg>>,
        scope: &mut Scope,
    ) -> Res<Vec<Term>> {
        let none = Vec::new();
        let args = args.unwrap_or(&none);
        if let Some(b) =
            binders.iter().find(|b| matches!(b.kind, Some((k, _)) if k != BinderKind::Int))
        {
            return Err(self.stage(b.span, "types with parameters other than integers"));
        }
        if args.len() != binders.len() {
            let message =
                format!("`{}` takes {} arguments, not {}", name.text, binders.len(), args.len());
            return Err(self.error(205, name.span, &message));
        }
        let mut values = Vec::new();
        for arg in args {
            match arg {
                Arg::Expr(e) => values.push(self.term(e, scope)?),
                Arg::Type(t) => return Err(self.stage(t.span, "types as arguments of types")),
            }
        }
        Ok(values)
    }

    /// Memory of this type.
    pub(super) fn mem(&mut self, ty: &Type, scope: &mut Scope) -> Res<Mem> {
        match &ty.kind {
            TypeKind::Int { .. } | TypeKind::Ptr { .. } | TypeKind::Fn(_) => {
                let (field, size) = self.field(ty, scope)?;
                let fields = vec![Field { offset: 0, writable: true, ty: field }];
                Ok(Mem::Struct { fields, size })
            }
            TypeKind::Array { filled, len, elem } => {
                let elem = self.mem(elem, scope)?;
                let size = self.element_size(&elem, ty.span)?;
                let count = self.term(len, scope)?;
                let elem = Rc::new(elem);
                let Some(filled) = filled else { return Ok(Mem::Array(count, elem)) };
                let first = self.term(filled, scope)?;
                let rest = self.big(count.sub(&first), ty.span)?;
                let rest = self.big(rest.scale(size), ty.span)?;
                Ok(Mem::Cat(Rc::new(Mem::Array(first, elem)), Rc::new(Mem::Junk(rest))))
            }
            TypeKind::Named { name, args } => self.named(ty, name, args.as_ref(), scope),
            TypeKind::Error => Err(super::Reported),
        }
    }

    fn named(
        &mut self,
        ty: &Type,
        name: &Name,
        args: Option<&Vec<Arg>>,
        scope: &mut Scope,
    ) -> Res<Mem> {
        if let "bytes" | "zero" | "junk" = name.text.as_str() {
            let Some([Arg::Expr(e)]) = args.map(Vec::as_slice) else {
                return Err(self.error(
                    218,
                    ty.span,
                    &format!("`{}` needs its length: `{}[n]`", name.text, name.text),
                ));
            };
            let count = self.term(e, scope)?;
            return Ok(match name.text.as_str() {
                "bytes" => Mem::Bytes(count),
                "zero" => Mem::Zero(count),
                _ => Mem::Junk(count),
            });
        }
        if scope.special.contains_key(name.text.as_str()) {
            return Err(self.stage(ty.span, "memory of a type that is a parameter"));
        }
        let Some(id) = self.program.lookup(scope.module, &name.text) else {
            let diag = self.program.unknown(scope.module, &name.text, name.span, TYPE_NAMES);
            return Err(self.report(diag));
        };
        let program = self.program.clone();
        match program.decl(id).map(|d| &d.kind) {
            Some(DeclKind::Struct(s)) => {
                let values = self.arguments(name, &s.binders, args, scope)?;
                self.struct_mem(id, s, values, name.span)
            }
            Some(DeclKind::Type(_)) => {
                let inner = self.expand(ty, scope)?;
                self.mem(&inner.ty, &mut inner.scope.unwrap_or_else(|| scope.clone()))
            }
            Some(DeclKind::Sum(_)) => Err(self.stage(name.span, "sums")),
            _ => Err(self.error(105, name.span, &format!("`{}` is no type", name.text))),
        }
    }

    /// A field of this type, and its bytes.
    pub(super) fn field(&mut self, ty: &Type, scope: &mut Scope) -> Res<(FieldTy, u32)> {
        match &ty.kind {
            TypeKind::Int { base, range } => {
                let mut facts = Vec::new();
                let mut signed = base.signed();
                if let Some(range) = range {
                    let low = self.term(&range.0, scope)?;
                    let high = self.term(&range.1, scope)?;
                    signed |= *base == IntType::Int && low.as_int().is_some_and(|c| c < 0);
                    self.check_range(&low, &high, ty.span)?;
                    let v = Term::var(Var::Value);
                    facts.push(ge(self.big(v.sub(&low), ty.span)?));
                    facts.push(ge(self.big(high.sub(&v), ty.span)?));
                }
                let bits = base.width().bits();
                Ok((FieldTy::Int { bits, signed, facts }, u32::from(base.width().bytes())))
            }
            TypeKind::Ptr { mode, origin, null, target } => {
                self.pointer_field(ty, *mode, origin.as_ref(), null.is_some(), target, scope)
            }
            TypeKind::Fn(_) => Err(self.stage(ty.span, "code pointers in memory")),
            TypeKind::Named { name, args } if name.text == "junk" => {
                let Some([Arg::Expr(e)]) = args.as_deref() else {
                    return Err(self.error(218, ty.span, "`junk` needs its length: `junk[8]`"));
                };
                match self.constant(scope.module, e)? {
                    c @ (1 | 2 | 4 | 8) => {
                        let bytes = u8::try_from(c).unwrap_or(8);
                        Ok((FieldTy::Junk(bytes), u32::from(bytes)))
                    }
                    _ => Err(self.error(204, ty.span, "a junk field has 1, 2, 4 or 8 bytes")),
                }
            }
            TypeKind::Named { name, .. } => {
                let program = self.program.clone();
                let id = program.lookup(scope.module, &name.text);
                if let Some(DeclKind::Type(_)) = id.and_then(|id| program.decl(id)).map(|d| &d.kind)
                {
                    let inner = self.expand(ty, scope)?;
                    let mut within = inner.scope.unwrap_or_else(|| scope.clone());
                    return self.field(&inner.ty, &mut within);
                }
                Err(self.error(204, ty.span, "this is no field of one word"))
            }
            TypeKind::Array { .. } => Err(self.error(204, ty.span, "this is no field of one word")),
            TypeKind::Error => Err(super::Reported),
        }
    }

    fn pointer_field(
        &mut self,
        ty: &Type,
        mode: PtrMode,
        origin: Option<&Name>,
        nullable: bool,
        target: &Type,
        scope: &mut Scope,
    ) -> Res<(FieldTy, u32)> {
        let mode = match mode {
            PtrMode::Own => {
                let origin = match origin {
                    Some(o) => Some(self.origin(o, scope.module)?),
                    None => None,
                };
                let mem = Rc::new(self.mem(target, scope)?);
                return Ok((FieldTy::Own { nullable, origin, mem }, 8));
            }
            PtrMode::Ref => Mode::Ro,
            PtrMode::RefRw => Mode::Rw,
            PtrMode::Borrow | PtrMode::BorrowRw | PtrMode::InOut | PtrMode::Out => {
                return Err(self.report(
                    Diag::error(
                        Code(204),
                        ty.span,
                        format!("`{}` cannot stand in memory", mode.text()),
                    )
                    .with_note("it lasts for one call; memory holds `own` and `ref`"),
                ));
            }
        };
        if let Some(o) = origin {
            return Err(self.error(215, o.span, "only `own` has an origin"));
        }
        let mem = Rc::new(self.mem(target, scope)?);
        Ok((FieldTy::Ref { nullable, mode, mem }, 8))
    }

    /// An origin by its name.
    pub(super) fn origin(&mut self, name: &Name, module: usize) -> Res<OriginId> {
        let program = self.program.clone();
        let id = program.lookup(module, &name.text);
        let known = id.and_then(|id| program.decl(id)).map(|d| &d.kind);
        if !matches!(known, Some(DeclKind::Origin(_))) {
            let diag = Diag::error(Code(215), name.span, format!("`{}` is no origin", name.text))
                .with_help("`use` the interface file that declares it");
            return Err(self.report(diag));
        }
        match self.origin_names.iter().position(|o| *o == name.text) {
            Some(at) => Ok(OriginId(u16::try_from(at).unwrap_or(u16::MAX))),
            None => {
                let message = format!("the host's interface has no origin `{}`", name.text);
                Err(self.error(108, name.span, &message))
            }
        }
    }

    fn check_range(&mut self, low: &Term, high: &Term, span: Span) -> Res<()> {
        match (low.as_int(), high.as_int()) {
            (Some(l), Some(h)) if l > h => Err(self.error(222, span, "this range is empty")),
            _ => Ok(()),
        }
    }

    pub(super) fn big(&mut self, t: Result<Term, tal_core::term::TooBig>, span: Span) -> Res<Term> {
        t.map_err(|_| self.error(202, span, "this type is too large for a term"))
    }

    /// Bytes of one array element.
    fn element_size(&mut self, mem: &Mem, span: Span) -> Res<i128> {
        match self.size(mem, span)?.as_int() {
            Some(c @ 1..=tal_core::limits::ELEMENT) => Ok(c),
            _ => Err(self.report(
                Diag::error(Code(203), span, "an array element needs a constant size")
                    .with_note("from 1 byte to 2^20"),
            )),
        }
    }

    /// Bytes of memory, as a term.
    pub(super) fn size(&mut self, mem: &Mem, span: Span) -> Res<Term> {
        match mem {
            Mem::Struct { size, .. } => Ok(Term::int(i64::from(*size))),
            Mem::Array(n, elem) => {
                let s = self.size(elem, span)?;
                self.big(n.mul(&s), span)
            }
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => Ok(n.clone()),
            Mem::Cat(a, b) => {
                let (a, b) = (self.size(a, span)?, self.size(b, span)?);
                self.big(a.add(&b), span)
            }
            Mem::Ex { body, .. } => self.size(body, span),
            Mem::Named(id, _) => {
                let size = self.type_size(*id);
                Ok(Term::int(i64::from(size)))
            }
        }
    }

    pub(super) fn type_size(&self, id: TypeId) -> u32 {
        let at = id.0 as usize;
        match at.checked_sub(self.host_types.len()) {
            None => self.host_types.get(at).map_or(0, |t| t.ty.size),
            Some(own) => self.types.get(own).map_or(0, |t| t.ty.size),
        }
    }

    pub(super) fn type_info(&self, id: TypeId) -> Option<&TypeInfo> {
        let at = id.0 as usize;
        match at.checked_sub(self.host_types.len()) {
            None => self.host_types.get(at),
            Some(own) => self.types.get(own),
        }
    }

    /// The body of a named type.
    pub(super) fn body_of(&self, id: TypeId) -> Option<Rc<Mem>> {
        self.type_info(id).map(|t| t.ty.body.clone())
    }

    /// `sizeof name`: a struct, an alias or a data object.
    pub(super) fn size_of_name(&mut self, name: &Name, module: usize) -> Res<i128> {
        if let Some(base) = IntType::ALL.iter().find(|t| t.text() == name.text) {
            return Ok(i128::from(base.width().bytes()));
        }
        let Some(id) = self.program.lookup(module, &name.text) else {
            let diag = self.program.unknown(module, &name.text, name.span, &[]);
            return Err(self.report(diag));
        };
        let program = self.program.clone();
        match program.decl(id).map(|d| &d.kind) {
            Some(DeclKind::Struct(_)) => Ok(i128::from(self.struct_layout(id, name.span)?.size)),
            Some(DeclKind::Type(t)) => match &t.ty {
                Some(body) => Ok(i128::from(self.extent(body, id.module)?.0)),
                None => Err(self.stage(name.span, "abstract types")),
            },
            Some(DeclKind::Data(_)) => Ok(i128::from(self.data_size(id, name.span)?)),
            Some(DeclKind::Sum(_)) => Err(self.stage(name.span, "sums")),
            _ => Err(self.error(105, name.span, &format!("`{}` has no size", name.text))),
        }
    }

    /// The facts that a chain states.
    pub(super) fn facts(&mut self, chain: &ast::Chain, scope: &mut Scope) -> Res<Vec<Fact>> {
        let mut facts = Vec::new();
        let mut left = self.value(&chain.first, scope)?;
        let mut left_span = chain.first.span;
        if chain.rest.is_empty() {
            return Err(self.error(209, chain.span, "this states nothing"));
        }
        for link in &chain.rest {
            let right = self.value(&link.expr, scope)?;
            let span = left_span.to(link.expr.span);
            if left.base != right.base {
                return Err(self.report(
                    Diag::error(Code(212), span, "these cannot be compared")
                        .with_note("facts compare integers, or two addresses in one object"),
                ));
            }
            let difference = self.big(right.term.sub(&left.term), span)?;
            facts.push(self.fact(link.rel, &difference, span)?);
            left = right;
            left_span = link.expr.span;
        }
        Ok(facts)
    }

    /// `left rel right`, given `right - left`.
    fn fact(&mut self, rel: ast::Rel, difference: &Term, span: Span) -> Res<Fact> {
        let (scale, plus, rel) = match rel {
            ast::Rel::Eq => (1, 0, Rel::Eq),
            ast::Rel::Ne => (1, 0, Rel::Ne),
            ast::Rel::Lt => (1, -1, Rel::Ge),
            ast::Rel::Le => (1, 0, Rel::Ge),
            ast::Rel::Gt => (-1, -1, Rel::Ge),
            ast::Rel::Ge => (-1, 0, Rel::Ge),
        };
        let term = self.big(difference.scale(scale).and_then(|t| t.plus(plus)), span)?;
        Ok(Fact { rel, term })
    }

    /// The word that a name of a `word` parameter stands for.
    pub(super) fn environment_word(&self, ty: &Type, scope: &Scope) -> Option<Word> {
        let TypeKind::Named { name, args: None } = &ty.kind else { return None };
        let v = scope.special.get(name.text.as_str())?;
        matches!(scope.kind(*v), Some(tal_core::ty::Kind::Word))
            .then(|| Word::Ptr(tal_core::ty::Base::Name(*v), Term::ZERO))
    }
}

/// Names of types that are always there, for suggestions.
pub(super) const TYPE_NAMES: &[&str] =
    &["bytes", "zero", "junk", "int", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];

pub(super) fn ge(term: Term) -> Fact {
    Fact { rel: Rel::Ge, term }
}
