//! TCB. Memory types as data: size, parts, the bits of a type (core.md 4.1, 4.3, 4.5).
//!
//! Types are trees behind reference counts, so a small description can unfold to a huge tree: every
//! walk pays one unit of fuel a node, and none goes deeper than [`limits::NESTING`].

mod same;
mod subst;

pub use subst::{Subst, Value};

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::state::{Scope, State};
use crate::term::{Atom, Term, Var};
use crate::ty::{self, Fact, Field, FieldTy, Mem, NamedType, Rel, TypeId, Word};
use alloc::vec::Vec;

/// The declaration and present knowledge of a variable of the state.
#[must_use]
pub fn scope_of(st: &State, v: Var) -> Option<&Scope> {
    match v {
        Var::Free(i) => st.scope.get(usize::from(i)),
        _ => None,
    }
}

/// Is `v` a name of kind `Addr` that is certainly an address?
#[must_use]
pub fn decided(st: &State, v: Var) -> bool {
    scope_of(st, v).is_some_and(|s| {
        holds!(matches!(s.kind, ty::Kind::Addr { .. })) && holds!(s.set.is_address())
    })
}

/// The integer that `v` turned out to be (rule[name-narrow]).
#[must_use]
pub fn integer_of(st: &State, v: Var) -> Option<&Term> {
    scope_of(st, v).and_then(|s| s.is.as_ref())
}

/// Bytes of a field.
#[must_use]
pub fn width(ty: &FieldTy) -> u32 {
    match ty {
        FieldTy::Int { bits, .. } => u32::from(*bits >> 3),
        FieldTy::Known(_) | FieldTy::Own { .. } | FieldTy::Ref { .. } => 8,
        FieldTy::Junk(bytes) => u32::from(*bytes),
    }
}

/// What it costs to copy a struct.
#[must_use]
pub(crate) fn weight(fields: &[Field]) -> usize {
    let of = |f: &Field| match &f.ty {
        FieldTy::Int { facts, .. } => facts.len().saturating_add(1),
        FieldTy::Known(_) | FieldTy::Own { .. } | FieldTy::Ref { .. } | FieldTy::Junk(_) => 1,
    };
    fields.iter().fold(0, |sum, f| sum.saturating_add(of(f)))
}

/// The type of a narrow field that holds exactly `e`: `int(bits,sign){v = e}`.
///
/// # Errors
/// When the fact is no term.
pub fn exactly(bits: u8, signed: bool, e: &Term) -> Result<FieldTy> {
    let term = Term::var(Var::Value).sub(e).or_refuse(Rule::TermForm)?;
    Ok(FieldTy::Int { bits, signed, facts: [Fact { rel: Rel::Eq, term }].into() })
}

/// The `e` of a refinement that is just `v = e`.
#[must_use]
pub fn exact(facts: &[Fact]) -> Option<Term> {
    let [Fact { rel: Rel::Eq, term }] = facts else { return None };
    let value = Term::var(Var::Value);
    let alone = |m: &crate::term::Monomial| m.atom == Atom::var(Var::Value);
    let e = match term.monomials().find(alone)?.coefficient {
        1 => value.sub(term).ok()?,
        -1 => value.add(term).ok()?,
        _ => return None,
    };
    let clean = !e.vars().any(|v| v == Var::Value);
    clean.then_some(e)
}

/// The parts of `M1 ++ M2 ++ ..`, in order of address.
pub fn parts(mem: &Rc<Mem>) -> impl Iterator<Item = &Rc<Mem>> {
    let mut rest = Some(mem);
    core::iter::from_fn(move || {
        let part = rest?;
        match &**part {
            Mem::Cat(first, second) => {
                rest = Some(second);
                Some(first)
            }
            _ => {
                rest = None;
                Some(part)
            }
        }
    })
}

/// One level of nesting further in.
///
/// # Errors
/// Below [`limits::NESTING`].
pub(crate) fn deeper(depth: usize) -> Result<usize> {
    match depth.checked_add(1) {
        Some(d) if d <= limits::NESTING => Ok(d),
        _ => Err(Error::new(Rule::Limit, Kind::Limit)),
    }
}

/// Is a fact without variables true?
fn holds(fact: &Fact) -> bool {
    match (fact.rel, fact.term.as_int()) {
        (_, None) => false,
        (Rel::Ge, Some(c)) => holds!(c >= 0),
        (Rel::Eq, Some(c)) => holds!(c == 0),
        (Rel::Ne, Some(c)) => holds!(c != 0),
    }
}

/// Do the facts hold of this value? They must mention nothing else.
#[must_use]
pub fn holds_at(facts: &[Fact], value: i128) -> bool {
    let Ok(value) = Term::constant_of(value) else { return false };
    let at = |f: &Fact| {
        let term = f.term.subst(&|v| (v == Var::Value).then(|| value.clone())).ok()?;
        Some(Fact { rel: f.rel, term })
    };
    facts.iter().all(|f| at(f).is_some_and(|f| holds(&f)))
}

impl<'a, H: Hints> Judge<'a, H> {
    /// A named type by its number.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(&self, id: TypeId) -> Result<&'a NamedType> {
        let (image, interface) = (self.image, self.interface);
        image.named(interface, id).ok_or(Error::new(Rule::WfNamed, Kind::IllFormed))
    }

    /// `size(M)` of core.md 2.
    ///
    /// # Errors
    /// When it is no term, or the type is not well formed.
    pub fn size(&mut self, mem: &Mem) -> Result<Term> {
        self.size_below(mem, 0)
    }

    fn size_below(&mut self, mem: &Mem, depth: usize) -> Result<Term> {
        let depth = deeper(depth)?;
        self.burn(1)?;
        match mem {
            Mem::Struct { size, .. } => Ok(Term::int(i64::from(*size))),
            Mem::Array(count, element) => {
                let element = self.size_below(element, depth)?;
                let bytes = element.as_int().or_refuse(Rule::WfSize)?;
                count.scale(bytes).or_refuse(Rule::WfSize)
            }
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => Ok(n.clone()),
            Mem::Cat(first, second) => {
                let first = self.size_below(first, depth)?;
                first.add(&self.size_below(second, depth)?).or_refuse(Rule::WfSize)
            }
            Mem::Ex { body, .. } => self.size_below(body, depth),
            Mem::Named(id, _) => Ok(Term::int(i64::from(self.named(*id)?.size))),
        }
    }

    /// Bytes of an array element: a constant from 1 to 2^20.
    ///
    /// # Errors
    /// rule[wf-size].
    pub fn element_size(&mut self, element: &Mem) -> Result<u32> {
        let size = self.size(element)?.as_int();
        size.filter(|s| (1..=limits::ELEMENT).contains(s))
            .and_then(|s| u32::try_from(s).ok())
            .ok_or(Error::new(Rule::WfSize, Kind::IllFormed))
    }

    /// `zero-ok(M)`: all-zero bytes are a value of it.
    ///
    /// # Errors
    /// When the type is not well formed.
    pub fn zero_ok(&mut self, mem: &Mem) -> Result<bool> {
        self.every(mem, Bit::ZeroOk, 0)
    }

    /// `plain(M)`: integers without refinement and bytes, no gap.
    ///
    /// # Errors
    /// When the type is not well formed.
    pub fn plain(&mut self, mem: &Mem) -> Result<bool> {
        self.every(mem, Bit::Plain, 0)
    }

    /// Like `plain`, and every field may be written through views.
    ///
    /// # Errors
    /// When the type is not well formed.
    pub fn plain_writable(&mut self, mem: &Mem) -> Result<bool> {
        self.every(mem, Bit::PlainWritable, 0)
    }

    /// Does it own memory, by an own field by value?
    ///
    /// # Errors
    /// When the type is not well formed.
    pub fn owns(&mut self, mem: &Mem) -> Result<bool> {
        Ok(!self.every(mem, Bit::OwnsNothing, 0)?)
    }

    /// Does `bit` hold of everything that `mem` contains by value?
    fn every(&mut self, mem: &Mem, bit: Bit, depth: usize) -> Result<bool> {
        let depth = deeper(depth)?;
        self.burn(1)?;
        match mem {
            Mem::Struct { fields, size } => {
                self.burn(fields.len())?;
                Ok(holds!(fields.iter().all(|f| bit.of_field(f)))
                    && holds!(bit.allows_gaps() || solid(fields, *size)))
            }
            Mem::Array(_, element) => self.every(element, bit, depth),
            Mem::Bytes(_) => Ok(true),
            Mem::Junk(_) | Mem::Zero(_) => {
                Ok(holds!(matches!(bit, Bit::ZeroOk | Bit::OwnsNothing)))
            }
            Mem::Cat(first, second) => {
                Ok(self.every(first, bit, depth)? && self.every(second, bit, depth)?)
            }
            Mem::Ex { body, .. } => match bit {
                Bit::OwnsNothing => self.every(body, bit, depth),
                Bit::ZeroOk | Bit::Plain | Bit::PlainWritable => Ok(holds!(false)),
            },
            Mem::Named(id, _) => {
                let named = self.named(*id)?;
                match bit {
                    Bit::ZeroOk => Ok(holds!(named.zero_ok)),
                    Bit::Plain => Ok(holds!(named.plain)),
                    Bit::OwnsNothing => Ok(holds!(!named.owns)),
                    Bit::PlainWritable => Ok(holds!(self.every(&named.body, bit, depth)?)),
                }
            }
        }
    }

    /// Refuses a term that is not over integers in scope: for every term that a hint brings.
    ///
    /// # Errors
    /// `rule`.
    pub fn scoped(&mut self, st: &State, term: &Term, rule: Rule) -> Result<()> {
        self.burn(term.monomials().len())?;
        let known = term.every_var(|v| crate::judge::is_int(st, v));
        premise!(known, Error::new(rule, Kind::BadHint));
        Ok(())
    }

    /// Proves each of the differences to be zero.
    ///
    /// # Errors
    /// `rule`.
    pub fn prove_zero(&mut self, st: &mut State, differences: &[Term], rule: Rule) -> Result<()> {
        differences.iter().try_for_each(|d| self.prove_eq(st, d, rule))
    }
}

/// What [`Judge::every`] asks of the parts.
#[derive(Clone, Copy)]
enum Bit {
    ZeroOk,
    Plain,
    PlainWritable,
    OwnsNothing,
}

impl Bit {
    fn of_field(self, field: &Field) -> bool {
        match (self, &field.ty) {
            (Bit::OwnsNothing, ty) => holds!(!matches!(ty, FieldTy::Own { .. })),
            (Bit::ZeroOk, FieldTy::Int { facts, .. }) => holds!(holds_at(facts, 0)),
            (Bit::ZeroOk, FieldTy::Known(_)) => holds!(false),
            (Bit::ZeroOk, FieldTy::Own { nullable, .. } | FieldTy::Ref { nullable, .. }) => {
                holds!(*nullable)
            }
            (Bit::ZeroOk, FieldTy::Junk(_)) => true,
            (Bit::Plain, FieldTy::Int { facts, .. }) => holds!(facts.is_empty()),
            (Bit::PlainWritable, FieldTy::Int { facts, .. }) => {
                holds!(facts.is_empty()) && holds!(field.writable)
            }
            (
                Bit::Plain | Bit::PlainWritable,
                FieldTy::Known(_) | FieldTy::Own { .. } | FieldTy::Ref { .. } | FieldTy::Junk(_),
            ) => holds!(false),
        }
    }

    fn allows_gaps(self) -> bool {
        match self {
            Bit::ZeroOk | Bit::OwnsNothing => true,
            Bit::Plain | Bit::PlainWritable => false,
        }
    }
}

/// Do the fields cover all the bytes?
fn solid(fields: &[Field], size: u32) -> bool {
    let mut end = 0_u32;
    for f in fields {
        // Second to `end == size` in `solid`: fields neither overlap nor pass the end
        // (rule[wf-struct]), so with a gap their widths do not sum up to the size.
        let touches = holds!(f.offset == end);
        if !touches {
            return false;
        }
        end = end.saturating_add(width(&f.ty));
    }
    holds!(end == size)
}

/// The word with a name that is an integer read as that integer (rule[name-narrow]).
///
/// # Errors
/// When the sum is no term.
pub fn resolve(st: &State, word: &Word) -> Result<Word> {
    if let Word::Ptr(ty::Base::Name(x), e) = word
        && let Some(n) = integer_of(st, *x)
    {
        return Ok(Word::Int(n.add(e).or_refuse(Rule::NameNarrow)?));
    }
    Ok(word.clone())
}

/// `M1 ++ M2` in canonical form. Both are flat lists of parts, `first` not empty.
///
/// # Errors
/// When the chain is nested too deeply.
pub(crate) fn chain(parts: Vec<Rc<Mem>>) -> Result<Rc<Mem>> {
    if parts.len() > limits::NESTING {
        return Err(Error::new(Rule::Limit, Kind::Limit));
    }
    let mut parts = parts.into_iter().rev();
    let last = parts.next().ok_or(Error::new(Rule::EntryJoin, Kind::BadHint))?;
    Ok(parts.fold(last, |rest, part| Rc::new(Mem::Cat(part, rest))))
}
