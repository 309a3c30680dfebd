//! Not trusted: a bug here can reject, never admit. What is true of both states.
//!
//! Candidates are the facts of either side said in the variables of the label, the linear
//! equalities that both sides satisfy (Karr 1976), and bounds on variables and on their
//! differences (zones, Dill 1989; Mine 2001). Each candidate is kept only if the prover shows it
//! on both sides. From the third visit on, bounds move to the next threshold instead of the next
//! number (Cousot, Halbwachs 1978), so that the iteration ends.

mod equalities;
mod widen;

use super::form::{Drift, Form, Key, Value};
use crate::prove::Known;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::state::State;
use tal_core::term::{Atom, Monomial, Term, Var};
use tal_core::ty::{Fact, Kind, Rel, Word};

/// Visits after which only what already stands can remain.
const BOUND_VISITS: u32 = 40;
/// Facts of right sides that are remembered.
const OFFERED: usize = 512;
/// Facts that a label may state.
const LABEL_FACTS: usize = 64;

/// The sides and what is fixed in them.
pub(crate) struct Sides<'a> {
    pub(crate) left: &'a State,
    pub(crate) right: &'a State,
    /// Variables of the function.
    pub(crate) fixed: usize,
    /// What was known of them when the function was entered: it is wherever it runs.
    pub(crate) entry: &'a BTreeSet<Fact>,
    /// What sizes say on the left side.
    pub(crate) sizes: Vec<Fact>,
    /// What was known on the right side at the start of the block that reaches the label.
    pub(crate) learned: &'a BTreeSet<Fact>,
    /// What each side knows of numbers, as facts.
    pub(crate) facts: [Vec<Fact>; 2],
    /// Bounds worth trying, sorted.
    pub(crate) thresholds: &'a [i128],
    /// Does a single way lead there? Then nothing is lost but what speaks of dropped variables.
    pub(crate) single: bool,
    /// How often the label was reached before; at the first time both sides are the same.
    pub(crate) visits: u32,
    /// Visits before bounds widen.
    pub(crate) precise: u32,
    /// Are bounds found by paths alone?
    pub(crate) paths: bool,
    /// How often the state of the label changed.
    pub(crate) changes: u32,
    /// What follows on each side.
    pub(crate) known: [Known; 2],
    /// Terms that are proposed to be at least zero, in the variables of the label.
    pub(crate) goals: Vec<Term>,
    /// Are products sought for?
    pub(crate) products: bool,
}

/// Do all these facts of the common form hold on the right? What else the right side says is added
/// to `offered`, as by [`choose`].
pub(crate) fn cover(form: &Form, sides: &Sides<'_>, facts: &[Fact], offered: &mut Offered) -> bool {
    let common = Common::new(form, sides);
    let covered = facts.iter().all(|f| common.holds(f, false));
    if covered {
        for fact in common.translated(false, sides.entry) {
            offered.add(fact, sides.changes);
        }
    }
    covered
}

/// What right sides had to say, and after how many changes of the state of the label first.
#[derive(Debug, Default)]
pub(crate) struct Offered(Vec<(Fact, u32)>);

impl Offered {
    fn add(&mut self, fact: Fact, changes: u32) {
        if self.0.len() < OFFERED && !self.0.iter().any(|(known, _)| *known == fact) {
            self.0.push((fact, changes));
        }
    }

    /// Was it said of a former state of the label? An inner loop that is run anew says the same of
    /// the same state, which means nothing.
    fn before(&self, fact: &Fact, changes: u32) -> bool {
        self.0.iter().any(|(known, since)| known == fact && *since < changes)
    }
}

/// The facts for the common form; `written` ones come first, as they are, and no stronger bound of
/// the same expression stands beside one. `offered` remembers what the right sides had to say at
/// earlier visits.
pub(crate) fn choose(
    form: &Form,
    sides: &Sides<'_>,
    written: &[Fact],
    offered: &mut Offered,
) -> Vec<Fact> {
    // What the function's own facts and sizes say need not be said again.
    let fixed = |v: Var| matches!(v, Var::Free(i) if usize::from(i) < sides.fixed);
    let whole = |f: &Fact| f.term.vars().all(fixed);
    let sizes = sides.sizes.iter().filter(|f| whole(f));
    let base: Vec<Fact> = sides.entry.iter().chain(sizes).cloned().collect();
    let mut known = Known::new(&base);
    known.extend(written);
    let mut chosen = Chosen { known, facts: written.to_vec(), written };
    let common = Common::new(form, sides);
    let first = sides.visits == 0;
    let kept = |fact| if first { common.lasting(fact) } else { Some(fact) };
    let there = |fact: &Fact| first || common.holds(fact, false);
    if sides.visits < BOUND_VISITS {
        for fact in common.equalities().into_iter().filter_map(kept) {
            chosen.add_if(fact, |f| common.holds(f, true) && there(f));
        }
    }
    for term in &sides.goals {
        common.proposed(&mut chosen, term);
    }
    for fact in common.translated(true, sides.entry).into_iter().filter_map(kept) {
        chosen.add_if(fact, there);
    }
    if first {
        common.paces(&mut chosen);
        for fact in common.translated(false, sides.entry) {
            offered.add(fact, sides.changes);
        }
        if !sides.single || !common.whole() {
            common.zones(&mut chosen);
        }
    } else if sides.visits < BOUND_VISITS {
        // A bound that climbs from visit to visit is never offered twice; those that tests give
        // are.
        let precise = sides.visits < sides.precise;
        let fresh = common.translated(false, sides.learned);
        for fact in common.translated(false, sides.entry) {
            let known = offered.before(&fact, sides.changes);
            let settled = precise || known || fresh.contains(&fact);
            chosen.add_if(fact.clone(), |f| settled && common.holds(f, true));
            offered.add(fact, sides.changes);
        }
        common.zones(&mut chosen);
    }
    chosen.facts
}

/// Without those that another one implies by its constant. While states still change, a weak bound
/// that stays may stand beside a strong one that does not. The first so many are written: they
/// stay.
pub(crate) fn strongest(facts: Vec<Fact>, written: usize) -> Vec<Fact> {
    let implied = |weak: &Fact, strong: &Fact| {
        weak.rel == Rel::Ge
            && strong.rel == Rel::Ge
            && weak.term.same_shape(&strong.term)
            && weak.term.constant() > strong.term.constant()
    };
    let kept = facts.iter().enumerate();
    let kept = kept.filter(|(i, f)| *i < written || !facts.iter().any(|g| implied(f, g)));
    kept.map(|(_, f)| f.clone()).collect()
}

/// The facts chosen so far.
struct Chosen<'a> {
    /// Those and what need not be said.
    known: Known,
    facts: Vec<Fact>,
    written: &'a [Fact],
}

impl Chosen<'_> {
    fn known(&mut self, fact: &Fact) -> bool {
        if let Some(c) = fact.term.as_int() {
            return match fact.rel {
                Rel::Ge => c >= 0,
                Rel::Eq => c == 0,
                Rel::Ne => c != 0,
            };
        }
        self.known.holds(fact)
    }

    fn add(&mut self, fact: Fact) {
        self.add_if(fact, |_| true);
    }

    fn add_if(&mut self, fact: Fact, test: impl Fn(&Fact) -> bool) {
        let room = self.facts.len() < LABEL_FACTS && !self.outbids(&fact);
        if room && !self.known(&fact) && test(&fact) {
            self.known.push(fact.clone());
            self.facts.push(fact);
        }
    }

    /// The same; also if it follows by rounding, from which nothing else may be rounded.
    fn state_if(&mut self, fact: Fact, test: impl Fn(&Fact) -> bool) {
        let room = self.facts.len() < LABEL_FACTS && !self.outbids(&fact);
        if room && !self.known.sums_to(&fact.term) && test(&fact) {
            self.known.push(fact.clone());
            self.facts.push(fact);
        }
    }

    /// Does the fact bound what a written one bounds, and more narrowly?
    fn outbids(&self, fact: &Fact) -> bool {
        self.written.iter().filter(|w| w.rel == Rel::Ge).any(|w| match fact.rel {
            Rel::Ge => fact.term.same_shape(&w.term) && fact.term.constant() < w.term.constant(),
            Rel::Eq => {
                let negated = fact.term.scale(-1);
                fact.term.same_shape(&w.term) || negated.is_ok_and(|n| n.same_shape(&w.term))
            }
            Rel::Ne => false,
        })
    }

    fn bound(&mut self, term: &Term) -> Option<i128> {
        self.known.lower_bound(term)
    }
}

struct Common<'a> {
    form: &'a Form,
    sides: &'a Sides<'a>,
    /// What follows on each side.
    left: RefCell<Known>,
    right: RefCell<Known>,
}

impl<'a> Common<'a> {
    fn new(form: &'a Form, sides: &'a Sides<'a>) -> Self {
        let [left, right] = &sides.known;
        let (left, right) = (RefCell::new(left.clone()), RefCell::new(right.clone()));
        Common { form, sides, left, right }
    }

    /// What a side knows of numbers.
    fn facts(&self, left: bool) -> &[Fact] {
        &self.sides.facts[usize::from(!left)]
    }

    fn known(&self, left: bool) -> &RefCell<Known> {
        if left { &self.left } else { &self.right }
    }

    fn variable(&self, key: usize) -> Var {
        Var::Free(u16::try_from(self.sides.fixed + key).unwrap_or(u16::MAX))
    }

    /// Value of a variable of the label on one side.
    fn value(&self, v: Var, left: bool) -> Option<Term> {
        let key = self.key(v)?;
        match if left { &key.left } else { &key.right } {
            Value::Int(term) => Some(term.clone()),
            _ => None,
        }
    }

    fn at(&self, term: &Term, left: bool) -> Option<Term> {
        term.subst(&|v| self.value(v, left)).ok()
    }

    fn holds(&self, fact: &Fact, left: bool) -> bool {
        self.at(&fact.term, left)
            .is_some_and(|term| self.known(left).borrow_mut().holds(&Fact { rel: fact.rel, term }))
    }

    /// The variables of one side in terms of the label's.
    fn inverse(&self, left: bool) -> BTreeMap<Var, Term> {
        let mut map: BTreeMap<Var, Term> = BTreeMap::new();
        loop {
            let before = map.len();
            // Those first that stay what they are.
            let stays = |(_, key): &(usize, &Key)| key.drift.pace == 0;
            let keys = || self.form.keys.iter().enumerate();
            for (i, key) in keys().filter(stays).chain(keys().filter(|key| !stays(key))) {
                if key.closed {
                    continue;
                }
                let Value::Int(term) = (if left { &key.left } else { &key.right }) else {
                    continue;
                };
                let open = |v: Var| !self.fixed(v) && !map.contains_key(&v);
                let mut unknown = term.monomials().iter().filter(|m| {
                    let (a, b) = m.atom.factors();
                    open(a) || b.is_some_and(open)
                });
                let (Some(one), None) = (unknown.next(), unknown.next()) else { continue };
                let (v, None) = one.atom.factors() else { continue };
                if one.coefficient.abs() != 1 {
                    continue;
                }
                // term = c*v + rest, so v = c*(key - rest).
                let rest = Term::from_parts(0, [one])
                    .and_then(|p| term.sub(&p))
                    .and_then(|rest| rest.subst(&|v| map.get(&v).cloned()));
                let solved = rest.and_then(|rest| {
                    Term::var(self.variable(i)).sub(&rest)?.scale(one.coefficient)
                });
                if let Ok(solved) = solved {
                    map.insert(v, solved);
                }
            }
            if map.len() == before {
                return map;
            }
        }
    }

    /// Facts of one side that can be said in the variables of the label, but for these.
    fn translated(&self, left: bool, but: &BTreeSet<Fact>) -> Vec<Fact> {
        let map = self.inverse(left);
        let own = self.facts(left).iter().filter(|f| !but.contains(f));
        own.filter(|f| f.term.vars().all(|v| self.fixed(v) || map.contains_key(&v)))
            .filter_map(|f| {
                let term = f.term.subst(&|v| map.get(&v).cloned()).ok()?;
                Some(Fact { rel: f.rel, term })
            })
            .collect()
    }

    /// Can all that is known on the left be said in the variables of the label?
    fn whole(&self) -> bool {
        self.translated(true, &BTreeSet::new()).len() == self.facts(true).len()
    }

    /// Integer variables that bounds are sought for: the label's, and the function's that its facts
    /// or words mention.
    fn quantities(&self) -> (Vec<Term>, Vec<Term>) {
        let own = self.own_quantities();
        let sides = [self.sides.left, self.sides.right];
        let words = sides.iter().flat_map(|s| s.regs().iter()).filter_map(|w| match w {
            Word::Int(term) | Word::Ptr(_, term) => Some(term),
            _ => None,
        });
        let mut fixed: Vec<Var> = self
            .sides
            .facts
            .iter()
            .flat_map(|s| s.iter().map(|f| &f.term))
            .chain(words)
            .flat_map(Term::vars)
            .filter(|v| self.fixed(*v))
            .collect();
        fixed.sort_unstable();
        fixed.dedup();
        (own, fixed.into_iter().map(Term::var).collect())
    }

    /// Is it a variable of the function?
    fn fixed(&self, v: Var) -> bool {
        matches!(v, Var::Free(i) if usize::from(i) < self.sides.fixed)
    }

    /// The numbers in the words of the form, without their constants: those apart, two words may be
    /// one quantity.
    fn numbers(&self) -> impl Iterator<Item = Term> {
        let words = self.form.regs.iter().chain(self.form.slots.iter().map(|(_, w)| w));
        words.filter_map(|word| match word {
            Word::Int(term) | Word::Ptr(_, term) => term.plus(-term.constant()).ok(),
            _ => None,
        })
    }

    /// What words hold that are the function's alone and no plain variable: ends of memory, most
    /// often, up to which a pointer goes.
    fn ends(&self) -> Vec<Term> {
        let mut ends: Vec<Term> = Vec::new();
        for term in self.numbers() {
            let end = term.as_int().is_none() && term.as_var().is_none();
            if end && term.vars().all(|v| self.fixed(v)) && !ends.contains(&term) {
                ends.push(term);
            }
        }
        ends
    }

    /// Sums of what falls and what rises by the same from one visit to the next: a count of what is
    /// left and the place that was reached, in units of what they step by.
    fn sums(&self, own: &[Term]) -> Vec<Term> {
        if self.sides.visits == 0 {
            return Vec::new();
        }
        let unit = |term: &Term| term.floor_div(term.gcd().max(1)).ok();
        let step = |term: &Term| self.at(term, false)?.sub(&self.at(term, true)?).ok();
        let moved: Vec<(Term, Term)> = own
            .iter()
            .filter_map(|term| {
                let term = unit(term)?;
                let step = step(&term).filter(|step| step.as_int() != Some(0))?;
                Some((term, step))
            })
            .collect();
        let mut sums = Vec::new();
        for (i, (x, dx)) in moved.iter().enumerate() {
            for (y, dy) in &moved[i + 1..] {
                let opposite = dx.add(dy).is_ok_and(|d| d.as_int() == Some(0));
                sums.extend(opposite.then(|| x.add(y).ok()).flatten());
            }
        }
        sums
    }

    /// Products of what a counter counts and what something else moves by at each of its steps, if
    /// that is a number of the function: how far a column of a matrix was followed.
    fn products(&self, own: &[Term]) -> Vec<Term> {
        let mut products: Vec<Term> = Vec::new();
        if self.sides.visits == 0 || !self.sides.products {
            return products;
        }
        let step = |term: &Term| self.at(term, false)?.sub(&self.at(term, true)?).ok();
        let steps: Vec<(&Term, Term)> = own.iter().filter_map(|t| Some((t, step(t)?))).collect();
        for (_, by) in steps.iter().filter(|(_, by)| by.as_int().is_none()) {
            let unit = by.floor_div(by.gcd().max(1)).ok().filter(|by| by.constant() == 0);
            let Some(unit) = unit.filter(|unit| unit.vars().all(|v| self.fixed(v))) else {
                continue;
            };
            let counts = steps.iter().filter(|(_, n)| n.as_int().is_some_and(|n| n != 0));
            for product in counts.filter_map(|(count, _)| unit.mul(count).ok()) {
                if !products.contains(&product) {
                    products.push(product);
                }
            }
        }
        products
    }

    /// Is it a variable of which the written state says everything?
    fn closed(&self, v: Var) -> bool {
        self.key(v).is_some_and(|key| key.closed)
    }

    /// What the words of the form say of its variables, strides and all, and variables of no word.
    fn own_quantities(&self) -> Vec<Term> {
        let mut own: Vec<Term> = Vec::new();
        for term in self.numbers() {
            let open = !term.vars().any(|v| self.closed(v));
            if open && !term.vars().all(|v| self.fixed(v)) && !own.contains(&term) {
                own.push(term);
            }
        }
        for (i, key) in self.form.keys.iter().enumerate() {
            let v = self.variable(i);
            if matches!(key.kind, Kind::Int(_))
                && !key.closed
                && !own.iter().any(|t| t.vars().any(|w| w == v))
            {
                own.push(Term::var(v));
            }
        }
        own
    }

    fn zones(&self, chosen: &mut Chosen<'_>) {
        let (own, fixed) = self.quantities();
        let ends = self.ends();
        let zero = [Term::ZERO];
        for (i, x) in own.iter().enumerate() {
            let others = zero.iter().chain(&ends).chain(&fixed).chain(own.iter().skip(i + 1));
            for y in others {
                self.zone(chosen, x, y);
                self.zone(chosen, y, x);
            }
        }
        for sum in self.sums(&own) {
            for y in ends.iter().chain(&fixed) {
                self.zone(chosen, &sum, y);
                self.zone(chosen, y, &sum);
            }
        }
        for i in 0..self.sides.fixed {
            self.hull(chosen, i);
        }
    }

    /// The bounds of a variable of the function that hold on both sides.
    fn hull(&self, chosen: &mut Chosen<'_>, i: usize) {
        let bounds = |side: &State| side.scope.get(i).map(|s| s.bounds);
        let (Some(l), Some(r)) = (bounds(self.sides.left), bounds(self.sides.right)) else {
            return;
        };
        let Ok(v) = u16::try_from(i).map(|i| Term::var(Var::Free(i))) else { return };
        if let (Some(a), Some(b)) = (l.low(), r.low()) {
            self.widened(chosen, &v, a.min(b));
        }
        if let (Some(a), Some(b), Ok(v)) = (l.high(), r.high(), v.scale(-1)) {
            self.widened(chosen, &v, a.max(b).saturating_neg());
        }
    }

    /// The term is at least zero, or, at first, what it does not fall below.
    fn proposed(&self, chosen: &mut Chosen<'_>, term: &Term) {
        let first = self.sides.visits == 0;
        // Of what the written state says everything of, nothing else is said by itself.
        if term.vars().all(|v| self.fixed(v) || self.closed(v)) {
            return;
        }
        // Of a multiple the integers that it allows.
        let Ok(term) = term.floor_div(term.gcd().max(1)) else { return };
        let fact = Fact { rel: Rel::Ge, term: term.clone() };
        chosen.state_if(fact, |f| self.holds(f, true) && (first || self.holds(f, false)));
        if self.sides.visits < self.sides.precise {
            self.zone(chosen, &term, &Term::ZERO);
        }
    }

    fn key(&self, v: Var) -> Option<&Key> {
        let Var::Free(i) = v else { return None };
        self.form.keys.get(usize::from(i).checked_sub(self.sides.fixed)?)
    }

    fn both(&self, difference: &Term) -> Option<i128> {
        let low = |left: bool| {
            let (term, mut known) = (self.at(difference, left)?, self.known(left).borrow_mut());
            if self.sides.paths { known.low_by_paths(&term) } else { known.lower_bound(&term) }
        };
        let left = low(true)?;
        if self.sides.visits == 0 {
            return Some(left);
        }
        Some(left.min(low(false)?))
    }
}
