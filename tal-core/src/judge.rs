//! TCB. The judge at work: what every rule may use. Entailment by certificate (core.md 4.2) and the
//! few operations that change a state.

use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Comb, Hints, Proof, Step};
use crate::image::{Image, Interface};
use crate::limits;
use crate::state::{Scope, State};
use crate::term::{Term, Var};
use crate::ty::{self, Cap, Fact, FnId, NameSet, Region, Rel, Sig};
use alloc::{rc::Rc, vec::Vec};

/// `Result` of a rule.
pub type Result<T> = core::result::Result<T, Error>;

/// One judging: the image, the host's interface, who answers questions, and the fuel left.
#[derive(Debug)]
pub struct Judge<'a, H> {
    /// What is judged.
    pub image: &'a Image<'a>,
    /// What the host offers.
    pub interface: &'a Interface,
    /// Who answers.
    pub hints: H,
    /// Units of work left (core.md 4.16).
    pub fuel: u64,
    /// Nodes that the memory type that substitution is making may still have.
    pub nodes: usize,
    /// Whose activation is judged. Set by the driver.
    pub own: Own,
    /// CPU features that the instructions judged so far need: [`crate::table::Feature::bit`].
    pub features: u8,
}

/// The activation that is judged: a function's, or, within rule[code-sub], that of an entry of the
/// code parameter's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// Which function of the image; none within rule[code-sub].
    pub function: Option<FnId>,
    /// Its signature.
    pub sig: Rc<Sig>,
    /// `Free(base + i)` of the state is variable i of the signature.
    pub base: u16,
    /// Regions that live throughout: the signature's own.
    pub regions: Vec<Var>,
    /// Within rule[code-sub], which does not nest.
    pub nested: bool,
}

impl Own {
    /// The activation of a function of this signature.
    #[must_use]
    pub fn function(function: Option<FnId>, sig: Rc<Sig>) -> Self {
        let of_region = |(i, kind): (usize, &ty::Kind)| match (u16::try_from(i), kind) {
            (Ok(i), ty::Kind::Region) => Some(Var::Free(i)),
            _ => None,
        };
        let regions = sig.vars.iter().enumerate().filter_map(of_region).collect();
        Own { function, sig, base: 0, regions, nested: false }
    }

    /// Does it ever return?
    #[must_use]
    pub fn returning(&self) -> bool {
        self.sig.post.is_some()
    }

    /// Is there a slot at this offset at or above the entry rsp: the return address, or a declared
    /// argument?
    #[must_use]
    pub fn slot(&self, offset: i64) -> bool {
        let is = |(at, _): &(u16, ty::Word)| i64::from(*at) == offset;
        (offset == 0 && self.returning()) || self.sig.pre.args.iter().any(is)
    }

    /// Is the region live now: `always`, one of the signature's own, or held by a token?
    #[must_use]
    pub fn live(&self, region: Region, state: &State) -> bool {
        let Region::Var(rho) = region else { return true };
        let held = |cap: &Cap| matches!(cap, Cap::Token(v, _) if *v == rho);
        holds!(self.regions.contains(&rho) || state.caps.iter().any(held))
    }
}

impl<'a, H: Hints> Judge<'a, H> {
    /// A judge with fuel for `bytes` bytes of text and annotations.
    pub fn new(image: &'a Image<'a>, interface: &'a Interface, hints: H, bytes: u64) -> Self {
        let fuel = bytes.saturating_mul(limits::FUEL_FACTOR).saturating_add(limits::FUEL_SLACK);
        let own = Own::function(None, nobody());
        Judge { image, interface, hints, fuel, nodes: 0, own, features: 0 }
    }

    /// rule[limit]: pays for work.
    ///
    /// # Errors
    /// When the fuel is used up.
    #[inline]
    pub fn burn(&mut self, units: usize) -> Result<()> {
        self.hints.worked(units);
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let left = self.fuel.checked_sub(units);
        self.fuel = left.ok_or_else(|| Error::new(Rule::Limit, Kind::Limit))?;
        Ok(())
    }

    /// A new variable of this kind.
    ///
    /// # Errors
    /// When too many are in scope.
    pub fn fresh(&mut self, state: &mut State, kind: ty::Kind) -> Result<Var> {
        let limit = || Error::new(Rule::Limit, Kind::Limit);
        if state.scope.len() >= limits::SCOPE_VARS {
            return Err(limit());
        }
        let index = u16::try_from(state.scope.len()).map_err(|_| limit())?;
        let set = match &kind {
            ty::Kind::Addr { set, .. } => *set,
            ty::Kind::Int
            | ty::Kind::Code(_)
            | ty::Kind::Word
            | ty::Kind::Region
            | ty::Kind::Store => NameSet::ADDRESS,
        };
        state.scope.push(Scope { kind, set, is: None });
        Ok(Var::Free(index))
    }

    /// A new integer.
    ///
    /// # Errors
    /// As [`Judge::fresh`].
    pub fn fresh_int(&mut self, state: &mut State) -> Result<Term> {
        Ok(Term::var(self.fresh(state, ty::Kind::Int)?))
    }

    /// rule[fact-source]: appends a fact that a rule established.
    ///
    /// # Errors
    /// When too many are in scope.
    pub fn learn(&mut self, state: &mut State, rel: Rel, term: Term) -> Result<()> {
        if state.facts.len() >= limits::FACTS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        state.facts.push(Fact { rel, term });
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

    /// rule[prove-constant], else by the hints.
    ///
    /// Proves `term >= 0`. Steps that the certificate takes are appended to the facts: they follow
    /// from them, so they stay true.
    ///
    /// # Errors
    /// `rule` with [`Kind::NotProved`] when the certificate does not check.
    pub fn prove_ge(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if let Some(c) = term.as_int() {
            premise!(c >= 0, not_proved(rule, Rel::Ge, term));
            return Ok(());
        }
        let goal = Fact { rel: Rel::Ge, term: term.clone() };
        loop {
            match self.hints.prove(state, &goal)? {
                Proof::Lookup => return self.lookup(state, &goal, rule),
                Proof::Comb(comb) => return self.comb(state, &goal, &comb, rule),
                Proof::Step(step) => self.step(state, &step)?,
            }
        }
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

    /// rule[prove-ne].
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove_ne(&mut self, state: &mut State, term: &Term, rule: Rule) -> Result<()> {
        if let Some(c) = term.as_int() {
            premise!(c != 0, not_proved(rule, Rel::Ne, term));
            return Ok(());
        }
        let negated = term.scale(-1).or_refuse(rule)?;
        match self.hints.prove_ne(state, term)? {
            None => {
                self.burn(state.facts.len())?;
                let known = |f: &Fact| {
                    holds!(f.rel == Rel::Ne) && holds!(f.term == *term || f.term == negated)
                };
                premise!(state.facts.iter().any(known), not_proved(rule, Rel::Ne, term));
                Ok(())
            }
            Some(true) => self.prove_ge(state, &term.plus(-1).or_refuse(rule)?, rule),
            Some(false) => self.prove_ge(state, &negated.plus(-1).or_refuse(rule)?, rule),
        }
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

    /// Proves `0 <= term < 2^bits`, or the signed range of `bits`.
    ///
    /// # Errors
    /// As [`Judge::prove_ge`].
    pub fn prove_range(
        &mut self,
        state: &mut State,
        term: &Term,
        bits: u8,
        signed: bool,
        rule: Rule,
    ) -> Result<()> {
        for goal in range_goals(term, bits, signed).or_refuse(rule)? {
            premise!(self.prove_ge(state, &goal.term, rule));
        }
        Ok(())
    }

    /// Should an optional consequence be drawn whose premises are `goals`? If so, proves them.
    ///
    /// # Errors
    /// When the hints want it and the certificates do not check.
    pub fn wanted(&mut self, state: &mut State, goals: &[Fact], rule: Rule) -> Result<bool> {
        if !self.hints.want(state, goals)? {
            return Ok(false);
        }
        for goal in goals {
            premise!(self.prove(state, goal, rule));
        }
        Ok(true)
    }

    /// rule[prove-lookup]: an inequality (`=` counts twice, `/=` never) with the same variable part
    /// and a constant not larger.
    fn lookup(&mut self, state: &State, goal: &Fact, rule: Rule) -> Result<()> {
        self.burn(state.facts.len())?;
        let found = state.facts.iter().any(|fact| match fact.rel {
            Rel::Ne => holds!(false),
            Rel::Ge => implies(&fact.term, &goal.term),
            Rel::Eq => {
                implies(&fact.term, &goal.term)
                    || (holds!(fact.term.opposite_shape(&goal.term))
                        && holds!(fact.term.constant().saturating_neg() <= goal.term.constant()))
            }
        });
        premise!(found, not_proved(rule, goal.rel, &goal.term));
        Ok(())
    }

    /// rule[prove-comb].
    fn comb(&mut self, state: &State, goal: &Fact, comb: &Comb, rule: Rule) -> Result<()> {
        let refuse = || not_proved(rule, goal.rel, &goal.term);
        premise!(comb.scale != 0, refuse());
        let scaled = goal.term.scale(i128::from(comb.scale)).or_refuse(Rule::ProveComb)?;
        let (sum, _) = self.sum(state, &comb.premises, Rule::ProveComb)?;
        let slack = scaled.sub(&sum).or_refuse(Rule::ProveComb)?.as_int();
        premise!(slack.is_some_and(|slack| slack >= 0), refuse());
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

    /// One certificate step: appends a consequence of earlier facts (core.md 4.2).
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
            Step::Neq { fact, other } => step_neq(state, *fact, *other)?,
            Step::Product(a, b) => step_product(state, *a, *b)?,
            Step::Scale(fact, by) => step_scale(state, *fact, by)?,
        };
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
}

/// rule[step-cut].
fn step_cut(state: &State, fact: u16, divisor: i128) -> Result<(Rel, Term)> {
    let fact = inequality(state, fact, Rule::StepCut)?;
    Ok((Rel::Ge, fact.term.floor_div(divisor).or_refuse(Rule::StepCut)?))
}

/// rule[step-neq].
fn step_neq(state: &State, fact: u16, other: u16) -> Result<(Rel, Term)> {
    let rule = Rule::StepNeq;
    let fact = inequality(state, fact, rule)?;
    let other = state.facts.get(usize::from(other)).or_refuse(rule)?;
    let negated = other.term.scale(-1).or_refuse(rule)?;
    let same = fact.term == other.term || fact.term == negated;
    premise!(other.rel == Rel::Ne, Error::new(rule, Kind::BadHint));
    premise!(same, Error::new(rule, Kind::BadHint));
    Ok((Rel::Ge, fact.term.plus(-1).or_refuse(rule)?))
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

/// Is `v` an integer variable in scope?
#[must_use]
pub fn is_int(state: &State, v: Var) -> bool {
    match v {
        Var::Free(i) => {
            state.scope.get(usize::from(i)).is_some_and(|s| holds!(s.kind == ty::Kind::Int))
        }
        _ => false,
    }
}

/// `fact >= 0` implies `goal >= 0` without arithmetic.
pub(crate) fn implies(fact: &Term, goal: &Term) -> bool {
    holds!(fact.constant() <= goal.constant()) && holds!(fact.same_shape(goal))
}

/// The two bounds of a range as goals `>= 0`.
///
/// # Errors
/// [`crate::term::TooBig`].
pub fn range_goals(
    term: &Term,
    bits: u8,
    signed: bool,
) -> core::result::Result<[Fact; 2], crate::term::TooBig> {
    let (low, high) = range(bits, signed);
    let above = term.plus(low.saturating_neg())?;
    let below = Term::constant_of(high)?.sub(term)?;
    Ok([Fact { rel: Rel::Ge, term: above }, Fact { rel: Rel::Ge, term: below }])
}

/// Least and greatest value of `bits` (at most 64) bits.
#[must_use]
pub fn range(bits: u8, signed: bool) -> (i128, i128) {
    let bits = u32::from(bits.clamp(1, 64));
    if signed {
        let half = 1_i128 << bits.saturating_sub(1);
        (half.saturating_neg(), half.saturating_sub(1))
    } else {
        (0, (1_i128 << bits).saturating_sub(1))
    }
}

fn not_proved(rule: Rule, rel: Rel, term: &Term) -> Error {
    let fact = Fact { rel, term: term.clone() };
    Error::new(rule, Kind::NotProved(alloc::boxed::Box::new(fact)))
}

/// A `never` without anything: the owner before the driver says who it is.
fn nobody() -> Rc<Sig> {
    let pre = ty::Assertion {
        facts: Vec::new(),
        regs: [const { ty::Word::Junk }; 16],
        args: Vec::new(),
        views: Vec::new(),
        caps: Vec::new(),
    };
    Rc::new(Sig { vars: Vec::new(), pre, post: None })
}
