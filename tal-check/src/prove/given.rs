//! Not trusted: a bug here can reject, never admit. Bounds and facts of a state, with numbers.
//!
//! A fact has the number that it has in the state. Bounds have none there: the judge uses them by
//! itself. Here they are facts like others, with numbers of their own.

use tal_core::hint::{Comb, End, Proof};
use tal_core::learn::{Told, told};
use tal_core::prove::{low_of, shows};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Fact, Kind, Rel};

/// Numbers of bounds begin here; below are those of facts.
const BOUNDS: usize = 1 << 12;

/// What a number below those of derived facts stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A fact of the state.
    Fact(usize),
    /// A bound of this variable.
    Bound(Var, End),
}

/// What is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// Of each variable in scope, the bounds if it is an integer.
    bounds: Vec<Option<Bounds>>,
    /// In order of arrival.
    pub(super) facts: Vec<Fact>,
}

impl Given {
    /// These facts, and no bounds.
    #[must_use]
    pub(super) fn new(facts: &[Fact]) -> Self {
        Given { bounds: Vec::new(), facts: facts.to_vec() }
    }

    /// What is known in this state.
    #[must_use]
    pub(crate) fn of(state: &State) -> Self {
        Given { bounds: all_bounds(state).collect(), facts: state.facts.clone() }
    }

    /// Is that what is known in this state?
    pub(crate) fn is_of(&self, state: &State) -> bool {
        self.bounds.len() == state.scope.len()
            && self.facts == state.facts
            && self.bounds.iter().copied().eq(all_bounds(state))
    }

    /// Was this known on the way to the state?
    pub(crate) fn leads_to(&self, state: &State) -> bool {
        let narrower = |(old, new): (&Option<Bounds>, Option<Bounds>)| match (old, new) {
            (Some(old), Some(new)) => old.and(new) == new,
            (old, new) => *old == new,
        };
        self.bounds.len() <= state.scope.len()
            && state.facts.starts_with(&self.facts)
            && self.bounds.iter().zip(all_bounds(state)).all(narrower)
    }

    /// Does the judge see `goal >= 0` without a question (rule[prove-bounds], rule[prove-lookup])?
    pub(super) fn shows(&self, goal: &Term) -> bool {
        low_of(goal, |v| self.bounds(v)).is_some_and(|least| least >= 0)
            || self.facts.iter().any(|fact| shows(fact, goal))
    }

    /// Do the numbers of a certificate without steps stay within the limits of terms?
    pub(super) fn has_room_for(&self, goal: &Term, proofs: &[Proof]) -> bool {
        let [Proof::Comb(comb)] = proofs else { return true };
        rest(&self.facts, goal, comb).is_some()
    }

    /// The bounds of a variable.
    pub(super) fn bounds(&self, v: Var) -> Option<Bounds> {
        let Var::Free(i) = v else { return None };
        self.bounds.get(usize::from(i)).copied().flatten()
    }

    /// The fact of a number.
    pub(super) fn fact(&self, number: usize) -> Option<Fact> {
        match place(number)? {
            Place::Fact(i) => self.facts.get(i).cloned(),
            Place::Bound(v, end) => bound(v, self.bounds(v)?, end),
        }
    }

    /// What is known here and was not known then, with numbers.
    pub(super) fn since(&self, then: &Given) -> Vec<(usize, Fact)> {
        let mut new: Vec<(usize, Fact)> = Vec::new();
        self.each_since(then, |number, fact| new.push((number, fact.clone())));
        new
    }

    /// The same, one after the other.
    pub(super) fn each_since(&self, then: &Given, mut each: impl FnMut(usize, &Fact)) {
        for (i, bounds) in self.bounds.iter().enumerate() {
            let old = then.bounds.get(i).copied().flatten();
            let (Some(now), Ok(i)) = (bounds, u16::try_from(i)) else { continue };
            if old.as_ref() == Some(now) {
                continue;
            }
            let v = Var::Free(i);
            for end in ends(*now) {
                let fact = bound(v, *now, end);
                if old.is_none_or(|old| fact != bound(v, old, end))
                    && let Some(fact) = fact
                {
                    each(number(i, end), &fact);
                }
            }
        }
        for (i, fact) in self.facts.iter().enumerate().take(BOUNDS).skip(then.facts.len()) {
            each(i, fact);
        }
    }
}

/// What a sum of facts leaves of a goal, as the judge computes it (rule[prove-comb]).
pub(crate) fn rest(facts: &[Fact], goal: &Term, comb: &Comb) -> Option<Term> {
    let mut sum = Term::ZERO;
    for (at, factor) in &comb.premises {
        sum = sum.add_scaled(&facts.get(usize::from(*at))?.term, *factor).ok()?;
    }
    goal.scale(i128::from(comb.scale)).ok()?.sub(&sum).ok()
}

/// What a number stands for.
pub(super) fn place(number: usize) -> Option<Place> {
    let Some(of) = number.checked_sub(BOUNDS) else { return Some(Place::Fact(number)) };
    let v = Var::Free(u16::try_from(of / 3).ok()?);
    let end = [End::Low, End::High, End::Both][of % 3];
    Some(Place::Bound(v, end))
}

/// The number of a bound.
fn number(i: u16, end: End) -> usize {
    let end = match end {
        End::Low => 0,
        End::High => 1,
        End::Both => 2,
    };
    BOUNDS + 3 * usize::from(i) + end
}

/// Those that there are.
fn ends(bounds: Bounds) -> impl Iterator<Item = End> {
    let (low, high) = (bounds.low(), bounds.high());
    let both = low.is_some() && low == high;
    let each = [(End::Both, both), (End::Low, low.is_some() && !both), (End::High, !both)];
    each.into_iter()
        .filter(move |(end, is)| *is && (*end != End::High || high.is_some()))
        .map(|e| e.0)
}

/// A bound as a fact, as rule[step-bound] makes it.
pub(crate) fn bound(v: Var, bounds: Bounds, end: End) -> Option<Fact> {
    let over = |low: i128| Term::var(v).plus(-low).ok();
    let under = |high: i128| Term::constant_of(high).ok()?.sub(&Term::var(v)).ok();
    Some(match end {
        End::Low => Fact { rel: Rel::Ge, term: over(bounds.low()?)? },
        End::High => Fact { rel: Rel::Ge, term: under(bounds.high()?)? },
        End::Both => {
            let low = bounds.low().filter(|low| bounds.high() == Some(*low))?;
            Fact { rel: Rel::Eq, term: over(low)? }
        }
    })
}

/// The bounds of a variable as facts.
fn bounds_as_facts(v: Var, bounds: Bounds) -> impl Iterator<Item = Fact> {
    ends(bounds).filter_map(move |end| bound(v, bounds, end))
}

/// What a declaration says of numbers: the bounds of its variables, which `var` names, as facts,
/// and its facts.
pub(crate) fn declared(kinds: &[Kind], var: impl Fn(u16) -> Var, facts: &[Fact]) -> Vec<Fact> {
    let mut told = Vec::new();
    for (i, kind) in (0_u16..).zip(kinds) {
        told.extend(kind.bounds().into_iter().flat_map(|bounds| bounds_as_facts(var(i), bounds)));
    }
    told.extend_from_slice(facts);
    told
}

/// Facts of one variable of a declaration, as `index` finds it, become its bounds.
pub(crate) fn settle(
    kinds: &mut [Kind],
    index: impl Fn(Var) -> Option<usize>,
    facts: &mut Vec<Fact>,
) {
    facts.retain(|fact| {
        // Of a multiple the integers that it allows: the same ones.
        let gcd = fact.term.gcd().max(1);
        let term = match fact.rel {
            Rel::Ge => fact.term.floor_div(gcd).unwrap_or_else(|_| fact.term.clone()),
            Rel::Eq | Rel::Ne => fact.term.clone(),
        };
        let Told::Within(v, told) = told(fact.rel, &term, |_| None) else { return true };
        match index(v).and_then(|i| kinds.get_mut(i)) {
            Some(Kind::Int(bounds)) => {
                *bounds = bounds.and(told);
                false
            }
            _ => true,
        }
    });
}

fn all_bounds(state: &State) -> impl Iterator<Item = Option<Bounds>> {
    state.scope.iter().map(|s| matches!(s.kind, Kind::Int(_)).then_some(s.bounds))
}

/// Everything that is known of numbers in a state, as facts: bounds first.
#[must_use]
pub fn facts_of(state: &State) -> Vec<Fact> {
    Given::of(state).since(&Given::default()).into_iter().map(|(_, fact)| fact).collect()
}
