//! TCB. What follows from what is known of numbers: by bounds, by a fact, by a certificate (core.md
//! 4.2).

use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Comb, End, Hints, Proof, Room, Seen, Step};
use crate::judge::{Judge, Result, is_int};
use crate::limits;
use crate::state::State;
use crate::term::{Monomial, Term, TooBig, Var};
use crate::ty::{Bounds, Fact, Rel, range};

/// rule[prove-bounds]: a number that the term does not fall below, from the bounds of its
/// variables. `None` where a bound is missing, or where the arithmetic does not fit: never a
/// rounded number, since what is added to it may be positive.
#[must_use]
pub fn low(state: &State, term: &Term) -> Option<i128> {
    end_of(term, false, |v, greatest| state.extreme(v, greatest))
}

/// As [`low`], where integers have these bounds. Of what is no integer there are none.
#[must_use]
pub fn low_of(term: &Term, bounds: impl Fn(Var) -> Option<Bounds>) -> Option<i128> {
    end_of(term, false, |v, greatest| bounds(v)?.extreme(greatest))
}

/// A number that the term does not exceed.
#[must_use]
pub fn high(state: &State, term: &Term) -> Option<i128> {
    end_of(term, true, |v, greatest| state.extreme(v, greatest))
}

/// A number that the term does not exceed, or does not fall below. `end`: the greatest or the least
/// value of a variable.
#[inline]
fn end_of(term: &Term, greatest: bool, end: impl Fn(Var, bool) -> Option<i128>) -> Option<i128> {
    let mut sum = term.constant();
    for Monomial { atom, coefficient } in term.monomials() {
        // Of what is taken off the other end counts.
        let greatest = greatest ^ (coefficient < 0);
        let most = match atom.factors() {
            (v, None) => end(v, greatest)?,
            (a, Some(b)) => {
                product_end(|end_of| end(a, end_of), |end_of| end(b, end_of), greatest)?
            }
        };
        let product = match (coefficient, i64::try_from(coefficient), i64::try_from(most)) {
            (1, ..) => most,
            (-1, ..) => most.checked_neg()?,
            // Fits; a product of 128 bits that is checked is dear.
            (_, Ok(a), Ok(b)) => i128::from(a).wrapping_mul(i128::from(b)),
            _ => coefficient.checked_mul(most)?,
        };
        sum = sum.checked_add(product)?;
    }
    Some(sum)
}

/// Does the term lie within the bounds, by those of its variables?
#[must_use]
pub fn lies_within(state: &State, term: &Term, within: Bounds) -> bool {
    let above = |l: i128| low(state, term).is_some_and(|least| l <= least);
    let below = |h: i128| high(state, term).is_some_and(|greatest| greatest <= h);
    holds!(within.low().is_none_or(above)) && holds!(within.high().is_none_or(below))
}

/// The greatest, or the least, value of a product of two that have these ends.
fn product_end(
    a: impl Fn(bool) -> Option<i128>,
    b: impl Fn(bool) -> Option<i128>,
    greatest: bool,
) -> Option<i128> {
    let (l, m) = (a(false)?, b(false)?);
    if l >= 0 && m >= 0 {
        // Of what is not negative the ends meet.
        return if greatest { a(true)?.checked_mul(b(true)?) } else { l.checked_mul(m) };
    }
    let (h, k) = (a(true)?, b(true)?);
    let products = [l.checked_mul(m)?, l.checked_mul(k)?, h.checked_mul(m)?, h.checked_mul(k)?];
    let ends = products.into_iter();
    if greatest { ends.max() } else { ends.min() }
}

impl<H: Hints> Judge<'_, H> {
    /// Proves `term >= 0`: as a constant, by bounds, by a fact, or else by the hints. What steps of
    /// the certificate add to what is known follows from it, so it stays true.
    ///
    /// # Errors
    /// `rule` with [`Kind::NotProved`] when the certificate does not check.
    pub fn prove_ge(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if self.known(state, term, rule)? {
            return Ok(());
        }
        let goal = Fact { rel: Rel::Ge, term: term.clone() };
        loop {
            match self.hints.prove(state, &goal)? {
                Proof::Comb(comb) => return self.comb(state, &goal, comb, rule),
                Proof::Step(step) => self.step(state, &step)?,
            }
            if self.known(state, term, rule)? {
                return Ok(());
            }
        }
    }

    /// As [`Judge::prove_ge`] without steps.
    fn prove_at_once(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if self.known(state, term, rule)? {
            return Ok(());
        }
        let goal = Fact { rel: Rel::Ge, term: term.clone() };
        match self.hints.prove(state, &goal)? {
            Proof::Comb(comb) => self.comb(state, &goal, comb, rule),
            Proof::Step(_) => refuse!(Error::new(rule, Kind::BadHint)),
        }
    }

    /// Is `term >= 0` without a question: rule[prove-constant] (an error if it is not),
    /// rule[prove-bounds], rule[prove-lookup]?
    fn known(&mut self, state: &State, term: &Term, rule: Rule) -> Result<bool> {
        if let Some(c) = term.as_int() {
            premise!(c >= 0, not_proved(rule, Rel::Ge, term));
            return Ok(true);
        }
        self.burn(1)?;
        let known = by_bounds(state, term) || self.lookup(state, term)?;
        if known {
            self.hints.seen(state, Seen::NotNegative(term));
        }
        Ok(known)
    }

    /// Proves `term = 0`: identically, or by its two inequalities.
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove_eq(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if let Some(c) = term.as_int() {
            premise!(c == 0, not_proved(rule, Rel::Eq, term));
            return Ok(());
        }
        premise!(self.prove_ge(state, term, rule));
        let negated = term.scale(-1).or_refuse(rule)?;
        premise!(self.prove_ge(state, &negated, rule));
        Ok(())
    }

    /// rule[prove-ne]: as a constant, by bounds, by a fact, or by the side that the hints name.
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove_ne(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if let Some(c) = term.as_int() {
            premise!(c != 0, not_proved(rule, Rel::Ne, term));
            return Ok(());
        }
        let negated = term.scale(-1).or_refuse(rule)?;
        let apart = |end: Option<i128>| end.is_some_and(|end| end >= 1);
        self.burn(state.facts.len() >> 3)?;
        let listed =
            |f: &Fact| holds!(f.rel == Rel::Ne) && holds!(f.term == *term || f.term == negated);
        if apart(low(state, term)) || apart(low(state, &negated)) || state.facts.iter().any(listed)
        {
            self.hints.seen(state, Seen::NotZero(term));
            return Ok(());
        }
        let side = if self.hints.prove_ne(state, term)? { term } else { &negated };
        self.prove_ge(state, &side.plus(-1).or_refuse(rule)?, rule)
    }

    /// Proves any fact.
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove(&mut self, state: &mut State, goal: &Fact, rule: Rule) -> Result<()> {
        match goal.rel {
            Rel::Ge => self.prove_ge(state, &goal.term, rule),
            Rel::Eq => self.prove_eq(state, &goal.term, rule),
            Rel::Ne => self.prove_ne(state, &goal.term, rule),
        }
    }

    /// Proves that the term lies within these bounds.
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove_within(
        &mut self,
        state: &mut State,
        term: &Term,
        bounds: Bounds,
        rule: Rule,
    ) -> Result<()> {
        self.burn(1)?;
        if lies_within(state, term, bounds) {
            self.hints.seen(state, Seen::InRange(term));
            return Ok(());
        }
        self.prove_ends(state, term, bounds, rule)
    }

    /// As [`Judge::prove_within`], where bounds do not show it.
    pub(crate) fn prove_ends(
        &mut self,
        state: &mut State,
        term: &Term,
        bounds: Bounds,
        rule: Rule,
    ) -> Result<()> {
        if let Some(l) = bounds.low() {
            let above = term.plus(l.saturating_neg()).or_refuse(rule)?;
            premise!(self.prove_ge(state, &above, rule));
        }
        if let Some(h) = bounds.high() {
            let below = Term::constant_of(h).and_then(|h| h.sub(term)).or_refuse(rule)?;
            premise!(self.prove_ge(state, &below, rule));
        }
        Ok(())
    }

    /// Should an optional consequence be drawn whose premises are `goals`? It is if bounds show
    /// them all; else the hints say, and then they are proved.
    ///
    /// # Errors
    /// When the hints want it and the certificates do not check.
    pub fn wanted(&mut self, state: &mut State, goals: &[Fact], rule: Rule) -> Result<bool> {
        if goals.iter().all(|g| matches!(g.rel, Rel::Ge) && by_bounds(state, &g.term)) {
            goals.iter().for_each(|g| self.hints.seen(state, Seen::NotNegative(&g.term)));
            return Ok(true);
        }
        if !self.hints.want(state, goals)? {
            return Ok(false);
        }
        for goal in goals {
            premise!(self.prove(state, goal, rule));
        }
        Ok(true)
    }

    /// rule[prove-lookup]: does a fact show `goal >= 0`? The newest first.
    fn lookup(&mut self, state: &State, goal: &Term) -> Result<bool> {
        self.burn(state.facts.len() >> 3)?;
        Ok(state.facts.iter().rev().any(|fact| shows(fact, goal)))
    }

    /// rule[prove-comb]: what is left of the goal is not negative by bounds.
    fn comb(&mut self, state: &State, goal: &Fact, comb: Comb, rule: Rule) -> Result<()> {
        let refuse = || not_proved(rule, goal.rel, &goal.term);
        premise!(comb.scale != 0, refuse());
        let scaled = goal.term.scale(i128::from(comb.scale)).or_refuse(Rule::ProveComb)?;
        let (sum, _) = self.sum(state, &comb.premises, Rule::ProveComb)?;
        let rest = scaled.sub(&sum).or_refuse(Rule::ProveComb)?;
        premise!(low(state, &rest).is_some_and(|rest| rest >= 0), refuse());
        self.hints.spare(Room::Premises(comb.premises));
        Ok(())
    }

    /// `sum of factor * fact`, and whether only equalities took part.
    fn sum(&mut self, state: &State, premises: &[(u16, i128)], rule: Rule) -> Result<(Term, bool)> {
        if premises.len() > limits::PREMISES {
            return Err(Error::new(rule, Kind::Limit));
        }
        self.burn(premises.len())?;
        let mut sum = Term::ZERO;
        let mut exact = true;
        let mut last = None;
        for (number, factor) in premises {
            let fact = state.facts.get(usize::from(*number)).or_refuse(rule)?;
            let sign_fits = match fact.rel {
                Rel::Ge => *factor >= 0,
                Rel::Eq => true,
                Rel::Ne => false,
            };
            premise!(sign_fits, Error::new(rule, Kind::BadHint));
            premise!(last < Some(*number), Error::new(rule, Kind::BadHint));
            last = Some(*number);
            exact &= fact.rel == Rel::Eq;
            sum = sum.add_scaled(&fact.term, *factor).or_refuse(rule)?;
        }
        Ok((sum, exact))
    }

    /// One certificate step: learns a consequence of what is known (core.md 4.2).
    ///
    /// # Errors
    /// When the step does not follow, or too many steps were taken in the block.
    pub fn step(&mut self, state: &mut State, step: &Step) -> Result<()> {
        state.steps = state.steps.saturating_add(1);
        if usize::try_from(state.steps).map_or(true, |n| n > limits::STEPS) {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        let (rel, term) = match step {
            Step::Comb { premises, slack } => self.step_comb(state, premises, *slack)?,
            Step::Cut { fact, divisor } => step_cut(state, *fact, *divisor)?,
            Step::Neq { fact, positive } => self.step_neq(state, *fact, *positive)?,
            Step::Product(a, b) => step_product(state, *a, *b)?,
            Step::Scale(fact, by) => step_scale(state, *fact, by)?,
            Step::Bound(v, end) => {
                let fact = step_bound(state, *v, *end)?;
                self.burn(fact.term.monomials().len().saturating_add(1))?;
                return self.append(state, fact);
            }
        };
        self.burn(term.monomials().len().saturating_add(1))?;
        self.learn(state, rel, term)
    }

    /// rule[step-comb].
    fn step_comb(
        &mut self,
        state: &State,
        premises: &[(u16, i128)],
        slack: i128,
    ) -> Result<(Rel, Term)> {
        let rule = Rule::StepComb;
        let (sum, exact) = self.sum(state, premises, rule)?;
        premise!(slack >= 0, Error::new(rule, Kind::BadHint));
        let rel = if holds!(exact) && holds!(slack == 0) { Rel::Eq } else { Rel::Ge };
        Ok((rel, sum.plus(slack).or_refuse(rule)?))
    }

    /// rule[step-neq]: `e /= 0` and `e >= 0` give `e - 1 >= 0`; so does `-e`. What is proved on the
    /// way takes no steps of its own: a step within a step would be recursion.
    fn step_neq(&mut self, state: &mut State, fact: u16, positive: bool) -> Result<(Rel, Term)> {
        let rule = Rule::StepNeq;
        let fact = state.facts.get(usize::from(fact)).or_refuse(rule)?;
        premise!(fact.rel == Rel::Ne, Error::new(rule, Kind::BadHint));
        let side = fact.term.scale(if positive { 1 } else { -1 }).or_refuse(rule)?;
        premise!(self.prove_at_once(state, &side, rule));
        Ok((Rel::Ge, side.plus(-1).or_refuse(rule)?))
    }
}

/// Is the term not negative by the bounds of its variables?
#[must_use]
pub fn by_bounds(state: &State, term: &Term) -> bool {
    low(state, term).is_some_and(|least| least >= 0)
}

/// rule[step-bound]: a bound as a fact, for what takes facts only. It is appended as it is.
fn step_bound(state: &State, v: Var, end: End) -> Result<Fact> {
    let rule = Rule::StepBound;
    let bounds = state.bounds(v).or_refuse(rule)?;
    let over = |low: i128| Term::var(v).plus(low.saturating_neg()).or_refuse(rule);
    let under = |high: i128| Term::constant_of(high).and_then(|h| h.sub(&Term::var(v)));
    Ok(match end {
        End::Low => Fact { rel: Rel::Ge, term: over(bounds.low().or_refuse(rule)?)? },
        End::High => {
            Fact { rel: Rel::Ge, term: under(bounds.high().or_refuse(rule)?).or_refuse(rule)? }
        }
        End::Both => {
            premise!(bounds.low() == bounds.high(), Error::new(rule, Kind::BadHint));
            Fact { rel: Rel::Eq, term: over(bounds.low().or_refuse(rule)?)? }
        }
    })
}

/// rule[step-cut].
fn step_cut(state: &State, fact: u16, divisor: i128) -> Result<(Rel, Term)> {
    let fact = inequality(state, fact, Rule::StepCut)?;
    Ok((Rel::Ge, fact.term.floor_div(divisor).or_refuse(Rule::StepCut)?))
}

/// rule[step-prod], inequalities.
fn step_product(state: &State, a: u16, b: u16) -> Result<(Rel, Term)> {
    let rule = Rule::StepProd;
    let a = inequality(state, a, rule)?;
    let b = inequality(state, b, rule)?;
    premise!(a.term.monomials().len() <= 3, Error::new(rule, Kind::BadHint));
    premise!(b.term.monomials().len() <= 3, Error::new(rule, Kind::BadHint));
    Ok((Rel::Ge, a.term.mul(&b.term).or_refuse(rule)?))
}

/// rule[step-prod], equality times a term.
fn step_scale(state: &State, fact: u16, by: &Term) -> Result<(Rel, Term)> {
    let rule = Rule::StepProd;
    let fact = state.facts.get(usize::from(fact)).or_refuse(rule)?;
    let known = by.every_var(|v| is_int(state, v));
    premise!(fact.rel == Rel::Eq, Error::new(rule, Kind::BadHint));
    premise!(known, Error::new(rule, Kind::BadHint));
    Ok((Rel::Eq, fact.term.mul(by).or_refuse(rule)?))
}

/// The fact of this number, if it is `>= 0` or `= 0`.
fn inequality(state: &State, number: u16, rule: Rule) -> Result<&Fact> {
    let fact = state.facts.get(usize::from(number)).or_refuse(rule)?;
    premise!(fact.rel != Rel::Ne, Error::new(rule, Kind::BadHint));
    Ok(fact)
}

/// rule[prove-lookup]: is the fact an inequality (`=` counts twice, `/=` never) with the variable
/// part of the goal and a constant not larger?
#[must_use]
#[inline]
pub fn shows(fact: &Fact, goal: &Term) -> bool {
    match fact.rel {
        Rel::Ne => holds!(false),
        Rel::Ge => implies(&fact.term, goal),
        Rel::Eq => {
            implies(&fact.term, goal)
                || (holds!(fact.term.opposite_shape(goal))
                    && holds!(fact.term.constant().saturating_neg() <= goal.constant()))
        }
    }
}

/// `fact >= 0` implies `goal >= 0` without arithmetic.
pub(crate) fn implies(fact: &Term, goal: &Term) -> bool {
    holds!(fact.constant() <= goal.constant()) && holds!(fact.same_shape(goal))
}

/// The two bounds of a range as goals `>= 0`.
///
/// # Errors
/// [`TooBig`].
pub fn range_goals(term: &Term, bits: u8, signed: bool) -> core::result::Result<[Fact; 2], TooBig> {
    let (low, high) = range(bits, signed);
    let above = term.plus(low.saturating_neg())?;
    let below = Term::constant_of(high)?.sub(term)?;
    Ok([Fact { rel: Rel::Ge, term: above }, Fact { rel: Rel::Ge, term: below }])
}

fn not_proved(rule: Rule, rel: Rel, term: &Term) -> Error {
    let fact = Fact { rel, term: term.clone() };
    Error::new(rule, Kind::NotProved(alloc::boxed::Box::new(fact)))
}
