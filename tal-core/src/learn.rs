//! TCB. What is known of numbers: variables and their bounds, facts (core.md 4.2). Facts relate
//! variables; what speaks of one alone is its bounds.

use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Hints, Seen};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::rules::transfer::scope_of;
use crate::state::{Before, State};
use crate::term::{Term, Var};
use crate::ty::{Bounds, Fact, Kind, Rel};
use alloc::vec::Vec;

fn limit() -> Error {
    Error::new(Rule::Limit, Evidence::Limit)
}

/// What `term rel 0` says of bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Nothing: no variable occurs.
    Nothing,
    /// That this variable lies within these.
    Within(Var, Bounds),
    /// It relates variables, or excludes one value in their midst: a fact.
    Relation,
}

/// What the fact says, given what the bounds of its variable are now.
#[must_use]
pub fn told(rel: Rel, term: &Term, now: impl FnOnce(Var) -> Option<Bounds>) -> Told {
    if term.as_int().is_some() {
        return Told::Nothing;
    }
    within(rel, term, now).map_or(Told::Relation, |(v, bounds)| Told::Within(v, bounds))
}

fn within(rel: Rel, term: &Term, now: impl FnOnce(Var) -> Option<Bounds>) -> Option<(Var, Bounds)> {
    // The variable itself, not its square, and not a multiple: that would have to be rounded.
    let (v, positive) = term.one_var()?;
    let c = term.constant();
    // c + v rel 0: v rel -c. c - v rel 0: c rel v.
    let value = if positive { c.checked_neg()? } else { c };
    let bounds = match rel {
        Rel::Eq => Bounds::new(Some(value), Some(value)),
        Rel::Ge if positive => Bounds::new(Some(value), None),
        Rel::Ge => Bounds::new(None, Some(value)),
        Rel::Ne => {
            let now = now(v)?;
            // Of a single value both ends are excluded, and nothing is left.
            let low = (now.low() == Some(value)).then(|| value.checked_add(1)).flatten();
            let high = (now.high() == Some(value)).then(|| value.checked_sub(1)).flatten();
            if low.is_none() && high.is_none() { None } else { Bounds::new(low, high) }
        }
    };
    Some((v, bounds?))
}

impl<H: Hints> Judge<'_, H> {
    /// A new variable of this kind.
    ///
    /// # Errors
    /// When too many are in scope.
    pub fn fresh(&mut self, state: &mut State, kind: Kind) -> Result<Var> {
        if state.scope.len() >= limits::SCOPE_VARS {
            return Err(limit());
        }
        let index = u16::try_from(state.scope.len()).map_err(|_| limit())?;
        state.scope.push(scope_of(&kind));
        Ok(Var::Free(index))
    }

    /// A new integer of which nothing is known.
    ///
    /// # Errors
    /// As [`Judge::fresh`].
    pub fn fresh_int(&mut self, state: &mut State) -> Result<Term> {
        self.fresh_within(state, Bounds::NONE)
    }

    /// A new integer within these bounds.
    ///
    /// # Errors
    /// As [`Judge::fresh`].
    pub fn fresh_within(&mut self, state: &mut State, bounds: Bounds) -> Result<Term> {
        Ok(Term::var(self.fresh(state, Kind::Int(bounds))?))
    }

    /// A new integer from `low` to `high`.
    ///
    /// # Errors
    /// As [`Judge::fresh`].
    pub fn fresh_between(&mut self, state: &mut State, low: i128, high: i128) -> Result<Term> {
        let bounds = Bounds::new(Some(low), Some(high)).or_refuse(Rule::TermForm)?;
        self.fresh_within(state, bounds)
    }

    /// rule[fact-source], rule[learn]: what a rule established. This is the only writer of bounds,
    /// and with rule[step-bound] the only one of facts.
    ///
    /// # Errors
    /// When too many facts are in scope, or too many bounds were narrowed.
    pub fn learn(&mut self, state: &mut State, rel: Rel, term: Term) -> Result<()> {
        if self.relates(state, rel, &term)? {
            self.append(state, Fact { rel, term })
        } else {
            Ok(())
        }
    }

    /// What the statement says of bounds is known then. Does it relate variables instead?
    #[inline]
    fn relates(&mut self, state: &mut State, rel: Rel, term: &Term) -> Result<bool> {
        match told(rel, term, |v| state.bounds(v)) {
            Told::Nothing => Ok(false),
            Told::Within(v, bounds) => {
                if rel == Rel::Ne {
                    // It is a bound because of another one.
                    self.hints.seen(state, Seen::InRange(term));
                }
                self.bound(state, v, bounds)?;
                Ok(false)
            }
            Told::Relation => Ok(true),
        }
    }

    /// [`Judge::learn`], one after the other.
    ///
    /// # Errors
    /// As [`Judge::learn`].
    pub(crate) fn learn_all(&mut self, state: &mut State, facts: &[Fact]) -> Result<()> {
        for fact in facts {
            self.learn(state, fact.rel, fact.term.clone())?;
        }
        Ok(())
    }

    /// rule[range-facts]: what the type of a field says of its value. Bounds are learned; of facts
    /// the hints say whether they are worth their room.
    ///
    /// # Errors
    /// As [`Judge::learn`].
    pub(crate) fn learn_told(&mut self, state: &mut State, told: Vec<Fact>) -> Result<()> {
        let mut facts = Vec::with_capacity(told.len());
        for fact in told {
            if self.relates(state, fact.rel, &fact.term)? {
                facts.push(fact);
            }
        }
        if facts.is_empty() || !self.hints.range_facts(state, &facts)? {
            return Ok(());
        }
        for fact in facts {
            self.append(state, fact)?;
        }
        Ok(())
    }

    /// `low <= term <= high`.
    ///
    /// # Errors
    /// As [`Judge::learn`].
    pub fn learn_range(
        &mut self,
        state: &mut State,
        term: &Term,
        low: i128,
        high: i128,
    ) -> Result<()> {
        let above = term.plus(low.saturating_neg()).or_refuse(Rule::TermForm)?;
        let below = Term::constant_of(high).and_then(|h| h.sub(term)).or_refuse(Rule::TermForm)?;
        self.learn(state, Rel::Ge, above)?;
        self.learn(state, Rel::Ge, below)
    }

    /// The variable lies within these bounds, too. They only ever shrink.
    fn bound(&mut self, state: &mut State, v: Var, bounds: Bounds) -> Result<()> {
        let Var::Free(variable) = v else { return Err(Error::new(Rule::Learn, Evidence::BadHint)) };
        let old = state.bounds(v).or_refuse(Rule::Learn)?;
        let new = old.and(bounds);
        if new == old {
            return Ok(());
        }
        state.narrows(variable, Before::Bounds(old))?;
        let scope = state.scope.get_mut(usize::from(variable)).or_refuse(Rule::Learn)?;
        scope.bounds = new;
        Ok(())
    }

    /// One more fact, as it is.
    pub(crate) fn append(&mut self, state: &mut State, fact: Fact) -> Result<()> {
        if state.facts.len() >= limits::FACTS {
            return Err(limit());
        }
        state.facts.push(fact);
        Ok(())
    }
}
