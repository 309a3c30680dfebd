//! Not trusted: a bug here can reject, never admit. What a `where` says, in the label's variables.

use super::zip::Form;
use crate::lowered::{Origin, Written};
use std::collections::BTreeMap;
use tal_core::hint::Place;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Fact, Rel, Word};

/// The written facts, and the written words as equalities, said of what the form has in the places
/// that are mentioned. What cannot be said yet is left out: a later, more general form says it.
pub(crate) fn facts(written: &Written, form: &Form, fixed: usize) -> Vec<Fact> {
    let values = values(written, form, fixed);
    let translate = |term: &Term| {
        let unknown = |v: Var| own(v, fixed).is_some() && !values.contains_key(&v);
        if term.vars().any(unknown) {
            return None;
        }
        term.subst(&|v| values.get(&v).cloned()).ok()
    };
    let mut facts = Vec::new();
    for (place, word, _) in &written.words {
        let (Some(here), Some(wanted)) = (word_at(form, *place), offset(word)) else { continue };
        let (Some(here), Some(wanted)) = (offset(here), translate(wanted)) else { continue };
        if let Ok(difference) = here.sub(&wanted)
            && difference.as_int() != Some(0)
        {
            facts.push(Fact { rel: Rel::Eq, term: difference });
        }
    }
    for (fact, _) in &written.facts {
        if let Some(term) = translate(&fact.term) {
            facts.push(Fact { rel: fact.rel, term });
        }
    }
    facts
}

fn own(v: Var, fixed: usize) -> Option<usize> {
    match v {
        Var::Free(i) => usize::from(i).checked_sub(fixed),
        _ => None,
    }
}

fn word_at(form: &Form, place: Place) -> Option<&Word> {
    match place {
        Place::Reg(reg) => form.regs.get(reg as usize),
        // Written slots count from where rsp is.
        Place::Slot(at) => form.slots.iter().find(|(o, _)| *o == form.delta + at).map(|(_, w)| w),
    }
}

/// The term of a word: an integer, or the distance from its base.
fn offset(word: &Word) -> Option<&Term> {
    match word {
        Word::Int(term) | Word::Ptr(_, term) => Some(term),
        _ => None,
    }
}

/// What the variables of the written state are here.
fn values(written: &Written, form: &Form, fixed: usize) -> BTreeMap<Var, Term> {
    let mut values = BTreeMap::new();
    let variable = |j: usize| u16::try_from(fixed + j).map(Var::Free).ok();
    for (j, var) in written.vars.iter().enumerate() {
        let Some(v) = variable(j) else { continue };
        let value = match var.origin {
            Origin::Place(place) => word_at(form, place).and_then(|word| match word {
                Word::Int(term) => Some(term.clone()),
                _ => None,
            }),
            Origin::Address(place) => word_at(form, place).and_then(|word| match word {
                Word::Ptr(Base::Name(x), at) if at.as_int() == Some(0) => Some(Term::var(*x)),
                _ => None,
            }),
            Origin::Named => None,
        };
        if let Some(value) = value {
            values.insert(v, value);
        }
    }
    // A named variable is what makes the word of the first place that mentions it right.
    for (place, word, _) in &written.words {
        let (Some(here), Some(wanted)) = (word_at(form, *place), offset(word)) else { continue };
        let Some(here) = offset(here) else { continue };
        if let Some((v, value)) = solve(here, wanted, &values, fixed) {
            values.insert(v, value);
        }
    }
    values
}

/// `here = c*v + rest` for the one unknown `v` of `wanted`.
fn solve(
    here: &Term,
    wanted: &Term,
    values: &BTreeMap<Var, Term>,
    fixed: usize,
) -> Option<(Var, Term)> {
    let unknown = |v: Var| own(v, fixed).is_some() && !values.contains_key(&v);
    let mut open = wanted.monomials().iter().filter(|m| {
        let (a, b) = m.atom.factors();
        unknown(a) || b.is_some_and(unknown)
    });
    let (one, None) = (open.next()?, open.next()) else { return None };
    let (v, None) = one.atom.factors() else { return None };
    let rest = wanted.sub(&Term::from_parts(0, [one]).ok()?).ok()?;
    let rest = rest.subst(&|v| values.get(&v).cloned()).ok()?;
    let multiple = here.sub(&rest).ok()?.scale(one.coefficient.signum()).ok()?;
    let divisor = one.coefficient.abs();
    if multiple.constant() % divisor != 0 {
        return None;
    }
    Some((v, multiple.floor_div(divisor).ok()?))
}
