//! Not trusted: a bug here can reject, never admit. Certificates for linear goals.
//!
//! A goal `g >= 0` follows from facts `h_i >= 0` iff `g = sum l_i h_i + c` with `l_i >= 0`, `c >=
//! 0` (Farkas), so the least value of `g` under the facts, found by linear programming, answers
//! the question over the rationals. Over the integers three things are added: a least value above
//! -1 is rounded up (one cut, Chvatal 1973), a disequality sharpens a bound (step-neq), and
//! products of facts bound the monomials of degree two (step-prod).
//!
//! Many questions are asked of few lists of facts, so a list is kept as a [`Known`], which
//! remembers what was computed of it and can grow.

mod components;
mod given;
mod graph;
mod ledger;
mod system;
mod zones;

use components::{Components, Depth, Least};
pub use given::facts_of;
pub(crate) use given::{Given, bound, declared, rest, settle};
use graph::Graph;
use ledger::Ledger;
use num_integer::Integer;
use tal_core::counted::Rc;
use tal_core::hint::Proof;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Fact, Rel};
use zones::Difference;

/// The answers that lead the judge to `goal >= 0`, in order, none if it asks nothing; `None` when
/// no certificate was found.
#[must_use]
pub fn prove(state: &State, goal: &Term) -> Option<Vec<Proof>> {
    Known::of(state).prove(goal)
}

/// As [`prove`], with bounds made facts where they are used, so that sums come to the goal itself.
#[must_use]
pub fn prove_exactly(state: &State, goal: &Term) -> Option<Vec<Proof>> {
    Known { exact: true, ..Known::of(state) }.prove(goal)
}

/// Does `fact` follow from these?
#[must_use]
pub fn holds(facts: &[Fact], fact: &Fact) -> bool {
    Known::new(facts).holds(fact)
}

/// Does `fact` follow from what is known in this state?
#[must_use]
pub fn holds_in(state: &State, fact: &Fact) -> bool {
    Known::of(state).holds(fact)
}

/// The greatest integer that `term` is known not to fall below, by linear reasoning.
#[must_use]
pub fn lower_bound(state: &State, term: &Term) -> Option<i128> {
    Known::of(state).lower_bound(term)
}

/// Are the facts contradictory, as far as linear reasoning sees?
#[must_use]
pub fn contradictory(facts: &[Fact]) -> bool {
    Known::new(facts).contradictory()
}

/// Rounds of tightening before the search gives up.
const ROUNDS: u32 = 4;
/// Products that one search may form.
const PRODUCTS: usize = 48;

/// Bounds and facts, and what was computed of them. Copies share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Known {
    given: Rc<Given>,
    graph: Rc<Graph>,
    /// How much of what is given the graph has; the rest waits until it is asked.
    drawn: Rc<Given>,
    components: Components,
    /// How much of it the components has, which is asked where the graph does not tell all.
    woven: Rc<Given>,
    /// Do certificates cite bounds? The judge uses them by itself.
    exact: bool,
}

impl Known {
    /// These facts.
    #[must_use]
    pub fn new(facts: &[Fact]) -> Self {
        Known { given: Rc::new(Given::new(facts)), ..Known::default() }
    }

    /// What is known in a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Known { given: Rc::new(Given::of(state)), ..Known::default() }
    }

    /// What everything follows from.
    #[must_use]
    pub fn given(&self) -> &Given {
        &self.given
    }

    /// More is given, and all that was.
    pub(crate) fn grow(&mut self, given: Given) {
        self.given = Rc::new(given);
    }

    /// One more fact, at the end.
    pub fn push(&mut self, fact: Fact) {
        Rc::make_mut(&mut self.given).facts.push(fact);
    }

    /// More facts, at the end.
    pub fn extend(&mut self, facts: &[Fact]) {
        Rc::make_mut(&mut self.given).facts.extend_from_slice(facts);
    }

    fn weave(&mut self) {
        if Rc::ptr_eq(&self.given, &self.woven) {
            return;
        }
        for (number, fact) in self.given.since(&self.woven) {
            self.components.add(number, &fact);
        }
        self.woven = Rc::clone(&self.given);
    }

    fn draw(&mut self) {
        if Rc::ptr_eq(&self.given, &self.drawn) {
            return;
        }
        let graph = Rc::make_mut(&mut self.graph);
        self.given.each_since(&self.drawn, |number, fact| graph.add(number, fact));
        self.drawn = Rc::clone(&self.given);
    }

    /// See [`prove`].
    pub fn prove(&mut self, goal: &Term) -> Option<Vec<Proof>> {
        if self.given.shows(goal) {
            return Some(Vec::new());
        }
        self.draw();
        if !self.graph.contradictory()
            && let Some(difference) = Difference::of(goal)
        {
            let least = self.graph.least(&difference).filter(|least| least.slack >= 0);
            if let Some(least) = least {
                let ledger = Ledger::new(&self.given, &[], ledger::DERIVED);
                let found = ledger.finish(least.scale, &least.weights, self.exact);
                if let Some(found) = found.filter(|found| self.given.has_room_for(goal, found)) {
                    return Some(found);
                }
            } else if self.graph.more(goal).none() {
                return None;
            }
        }
        self.prove_by_simplex(goal)
    }

    fn prove_by_simplex(&mut self, goal: &Term) -> Option<Vec<Proof>> {
        self.weave();
        let facts = &*self.given;
        let tried = attempt(&mut self.components, facts, goal, Depth::Given);
        if let Some(found) = Search::new(facts, &self.components, self.exact).write(&tried) {
            return facts.has_room_for(goal, &found).then_some(found);
        }
        if matches!(tried, Attempt::Hopeless) {
            return None;
        }
        if self.components.dull(goal) && self.components.sharpen(facts, goal) {
            let tried = attempt(&mut self.components, facts, goal, Depth::Sharp);
            if let Some(found) = Search::new(facts, &self.components, self.exact).write(&tried) {
                return Some(found);
            }
        }
        if !self.components.crooked(goal) && self.components.linear(goal) {
            return None;
        }
        Search::new(facts, &self.components, self.exact).deep(goal)
    }

    /// Is `goal >= 0` a sum of what is given, without rounding?
    pub(crate) fn sums_to(&mut self, goal: &Term) -> bool {
        self.weave();
        let least = self.components.least(&self.given, goal, Depth::Given);
        least.is_some_and(|least| least.slack >= 0 && !least.falsehood)
    }

    /// See [`holds`].
    pub fn holds(&mut self, fact: &Fact) -> bool {
        let mut ge = |t: &Term| t.as_int().map_or_else(|| self.prove(t).is_some(), |c| c >= 0);
        match fact.rel {
            Rel::Ge => ge(&fact.term),
            Rel::Eq => ge(&fact.term) && fact.term.scale(-1).is_ok_and(|t| ge(&t)),
            Rel::Ne => {
                let Ok(negated) = fact.term.scale(-1) else { return false };
                let same = |f: &Fact| f.term == fact.term || f.term == negated;
                self.given.facts.iter().any(|f| f.rel == Rel::Ne && same(f))
                    || [&fact.term, &negated].iter().any(|side| {
                        side.plus(-1).is_ok_and(|t| self.holds(&Fact { rel: Rel::Ge, term: t }))
                    })
            }
        }
    }

    /// See [`lower_bound`].
    pub fn lower_bound(&mut self, term: &Term) -> Option<i128> {
        if let Some(c) = term.as_int() {
            return Some(c);
        }
        self.draw();
        if !self.graph.contradictory()
            && let Some(difference) = Difference::of(term)
            && self.graph.more(term).none()
        {
            return self.graph.low(&difference);
        }
        self.weave();
        // A disequality may exclude the bound itself.
        let unequal = self.components.unequal(term);
        let depth = if unequal { Depth::Sharp } else { Depth::Given };
        let least = self.components.least(&self.given, term, depth)?;
        if least.falsehood {
            return None;
        }
        let mut bound = Integer::div_ceil(&least.slack, &i128::from(least.scale));
        let more = unequal && (self.components.crooked(term) || !self.components.linear(term));
        while more && self.prove(&term.plus(-bound - 1).ok()?).is_some() {
            bound += 1;
        }
        Some(bound)
    }

    /// The same as far as bounds and differences tell by themselves.
    pub(crate) fn low_by_paths(&mut self, term: &Term) -> Option<i128> {
        if let Some(c) = term.as_int() {
            return Some(c);
        }
        self.draw();
        if self.graph.contradictory() {
            return None;
        }
        self.graph.low(&Difference::of(term)?)
    }

    /// See [`contradictory`].
    pub fn contradictory(&mut self) -> bool {
        self.draw();
        if self.graph.contradictory() {
            return true;
        }
        let false_constant = |f: &Fact| match (f.rel, f.term.as_int()) {
            (_, None) => false,
            (Rel::Ge, Some(c)) => c < 0,
            (Rel::Eq, Some(c)) => c != 0,
            (Rel::Ne, Some(c)) => c == 0,
        };
        if self.given.facts.iter().any(false_constant) {
            return true;
        }
        let more = self.graph.all();
        if !more.crooked && !more.unequal || self.graph.has_model(self.given.facts.iter()) {
            return false;
        }
        self.weave();
        self.components.contradictory(&self.given)
    }
}

/// What one question to the linear program came to.
enum Attempt {
    /// It follows: the goal, divided by this, is such a sum.
    Sum(i128, Least),
    /// It follows by rounding: the goal, divided by this, is less than one short.
    Rounded(i128, Least),
    /// The facts are contradictory, by these multipliers; the goal itself is bounded.
    Contradiction(Vec<(usize, i128)>, Least),
    /// Not over the rationals, but tightening may help.
    Near,
    /// Tightening cannot help.
    Hopeless,
}

/// Linear reasoning with one rounding.
fn attempt(components: &mut Components, facts: &Given, goal: &Term, depth: Depth) -> Attempt {
    let divisor = goal.gcd().max(1);
    let Ok(reduced) = goal.floor_div(divisor) else { return Attempt::Hopeless };
    let linear = components.linear(goal);
    let Some(least) = components.least(facts, &reduced, depth) else {
        // Without products what the rational facts leave unbounded stays so.
        return if linear { Attempt::Hopeless } else { Attempt::Near };
    };
    let scale = i128::from(least.scale);
    if least.slack >= 0 {
        return Attempt::Sum(divisor, least);
    }
    if least.falsehood {
        let falsehood = components.falsehood(facts, goal, depth);
        let least = components.least(facts, goal, depth);
        let both = falsehood.zip(least);
        return both.map_or(Attempt::Near, |(f, least)| Attempt::Contradiction(f, least));
    }
    if least.slack > -scale {
        return Attempt::Rounded(divisor, least);
    }
    // Each round lifts a bound by little.
    let far = least.slack < -scale * i128::from(2 * ROUNDS);
    if linear && far { Attempt::Hopeless } else { Attempt::Near }
}

/// A search for one certificate.
struct Search<'a> {
    facts: &'a Given,
    /// As far as no goal is needed.
    components: &'a Components,
    exact: bool,
    /// What is derived for this goal.
    ledger: Ledger<'a>,
}

impl<'a> Search<'a> {
    fn new(facts: &'a Given, components: &'a Components, exact: bool) -> Self {
        let first = ledger::first_of(components.parts().len());
        Search { facts, components, exact, ledger: Ledger::new(facts, components.parts(), first) }
    }

    /// The certificate of a success.
    fn write(&mut self, tried: &Attempt) -> Option<Vec<Proof>> {
        match tried {
            Attempt::Sum(divisor, least) => {
                // The weights again for `goal = divisor * reduced + rest`.
                let times = |(i, w): &(usize, i128)| Some((*i, w.checked_mul(*divisor)?));
                let weights: Option<Vec<_>> = least.weights.iter().map(times).collect();
                self.ledger.finish(least.scale, &weights?, self.exact)
            }
            Attempt::Rounded(divisor, least) => {
                let rounded = self.ledger.round(least)?;
                self.ledger.finish(1, &[(rounded, *divisor)], self.exact)
            }
            Attempt::Contradiction(falsehood, least) => self.by_contradiction(falsehood, least),
            Attempt::Near | Attempt::Hopeless => None,
        }
    }

    /// Contradictory facts: any goal is what bounds it, plus as many times -1 as it takes.
    fn by_contradiction(
        &mut self,
        falsehood: &[(usize, i128)],
        least: &Least,
    ) -> Option<Vec<Proof>> {
        let mut sum = Term::ZERO;
        for (number, weight) in falsehood {
            sum = sum.add_scaled(&self.ledger.fact(*number)?.term, *weight).ok()?;
        }
        let constant = sum.as_int().filter(|c| *c < 0)?;
        let lack = least.slack.checked_neg()?.max(0);
        let times = lack.checked_sub(constant)?.checked_div(constant.checked_neg()?)?;
        let mut weights = least.weights.clone();
        for (number, weight) in falsehood {
            weights.push((*number, weight.checked_mul(times)?));
        }
        // Of a variable that has no value both bounds are needed, and the judge takes one.
        self.ledger.finish(least.scale, &weights, true)
    }

    /// Rounds of tightening for this goal.
    fn deep(&mut self, goal: &Term) -> Option<Vec<Proof>> {
        let mut components = self.components.clone();
        for (number, fact) in self.components.sharpened(goal) {
            components.add(number, &fact);
        }
        for round in 1..ROUNDS {
            let before = self.ledger.next();
            self.tighten(&mut components, round, goal);
            if self.ledger.next() == before {
                return None;
            }
            let tried = attempt(&mut components, self.facts, goal, Depth::Given);
            if let Some(found) = self.write(&tried) {
                return Some(found);
            }
        }
        None
    }

    /// Adds integer consequences.
    fn tighten(&mut self, components: &mut Components, round: u32, goal: &Term) {
        let before = self.ledger.next();
        if round == 1 {
            self.multiply(components, goal);
        }
        self.sharpen(components, goal);
        if self.ledger.next() == before || round > 1 {
            self.round_variables(components, goal);
        }
    }

    /// Puts what was derived here from number `from` on into the components.
    fn weave(&self, components: &mut Components, from: usize) {
        let first = self.ledger.first;
        for (i, derived) in self.ledger.derived.iter().enumerate().skip(from - first) {
            components.add(first + i, &derived.fact);
        }
    }

    /// rule[step-neq]: a disequality one side of which is excluded.
    fn sharpen(&mut self, components: &mut Components, goal: &Term) {
        for other in components.relevant(goal) {
            let Some(fact) = self.ledger.fact(other).filter(|f| f.rel == Rel::Ne) else { continue };
            let term = fact.term.clone();
            for sign in [1, -1] {
                let Ok(side) = term.scale(sign) else { continue };
                let Ok(sharper) = side.plus(-1) else { continue };
                if self.listed(components, &sharper).is_some() {
                    continue;
                }
                let before = self.ledger.next();
                let known = self.exactly(components, &side);
                let sharpened = known.and_then(|known| self.ledger.sharpen(known, other, &side));
                self.weave(components, before);
                if sharpened.is_some() {
                    break;
                }
            }
        }
    }

    /// The number of a fact that says exactly `term >= 0`.
    fn listed(&self, components: &Components, term: &Term) -> Option<usize> {
        let says =
            |i: &usize| self.ledger.fact(*i).is_some_and(|f| f.rel != Rel::Ne && f.term == *term);
        components.relevant(term).into_iter().find(says)
    }

    /// Appends exactly `term >= 0` if it follows.
    fn exactly(&mut self, components: &mut Components, term: &Term) -> Option<usize> {
        if let Some(i) = self.listed(components, term) {
            return Some(i);
        }
        let least = components.least(self.facts, term, Depth::Given)?;
        self.ledger.exactly(term, &least)
    }

    /// Rounds the bounds of the goal's variables that are not integers.
    fn round_variables(&mut self, components: &mut Components, goal: &Term) {
        let before = self.ledger.next();
        for m in goal.monomials() {
            for sign in [1, -1] {
                let Ok(term) = Term::from_parts(0, [m]).and_then(|t| {
                    let unit = t.floor_div(m.coefficient.abs())?;
                    unit.scale(sign)
                }) else {
                    continue;
                };
                if let Some(least) = components.least(self.facts, &term, Depth::Given)
                    && least.scale > 1
                    && least.slack.rem_euclid(i128::from(least.scale)) != 0
                {
                    let _ = self.ledger.round(&least);
                }
            }
        }
        self.weave(components, before);
    }

    /// rule[step-prod] where a monomial of degree two is in the way.
    fn multiply(&mut self, components: &mut Components, goal: &Term) {
        let wanted = self.wanted(components, goal);
        if wanted.is_empty() {
            return;
        }
        let before = self.ledger.next();
        // A factor is most often needed with its sign, which may itself have to be derived.
        for (a, b) in &wanted {
            let _ = self.exactly(components, &Term::var(*a));
            let _ = self.exactly(components, &Term::var(*b));
        }
        let linear = self.factors(components);
        let mut made = 0;
        for (a, b) in wanted {
            for (n, (i, f)) in linear.iter().enumerate() {
                for (j, g) in &linear[n..] {
                    let mentions = |term: &Term, v| term.vars().any(|w| w == v);
                    let fits =
                        (mentions(f, a) && mentions(g, b)) || (mentions(f, b) && mentions(g, a));
                    if fits && made < PRODUCTS && self.ledger.product(*i, *j).is_some() {
                        made += 1;
                    }
                }
            }
        }
        self.weave(components, before);
    }

    /// Facts small enough to be multiplied, with their numbers.
    fn factors(&self, components: &Components) -> Vec<(usize, Term)> {
        let small = |fact: &Fact| {
            let monomials = fact.term.monomials();
            fact.rel != Rel::Ne
                && (1..=3).contains(&monomials.len())
                && monomials.iter().all(|m| m.atom.factors().1.is_none())
                && fact.term.constant().abs() < 1 << 60
        };
        let mut numbers = components.numbers();
        numbers.extend(self.ledger.first..self.ledger.next());
        let fact = |i: usize| self.ledger.fact(i).filter(|f| small(f)).map(|f| (i, f.term));
        numbers.into_iter().filter_map(fact).collect()
    }

    /// Pairs of variables that are multiplied in the goal or what is relevant to it.
    fn wanted(&self, components: &Components, goal: &Term) -> Vec<(Var, Var)> {
        let relevant = components.relevant(goal);
        let facts = relevant.iter().filter_map(|&i| self.ledger.fact(i));
        let terms = facts.map(|f| f.term).chain([goal.clone()]);
        let mut wanted: Vec<(Var, Var)> = Vec::new();
        for term in terms {
            let factors = term.monomials().map(|m| m.atom.factors());
            wanted.extend(factors.filter_map(|(a, b)| Some((a, b?))));
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::Finder;
    use std::collections::VecDeque;
    use tal_core::error::{Error, Rule};
    use tal_core::hint::Forward;
    use tal_core::image::{Image, Interface};
    use tal_core::judge::Judge;
    use tal_core::term::Var;

    /// `n!(a; 2 x, -1 y)`: a constant and coefficients of numbered variables.
    fn t(constant: i64, parts: &[(i64, u16)]) -> Term {
        let mut term = Term::int(constant);
        for (c, v) in parts {
            term = term.add_scaled(&Term::var(Var::Free(*v)), i128::from(*c)).unwrap();
        }
        term
    }
    fn ge(constant: i64, parts: &[(i64, u16)]) -> Fact {
        Fact { rel: Rel::Ge, term: t(constant, parts) }
    }
    fn ne(constant: i64, parts: &[(i64, u16)]) -> Fact {
        Fact { rel: Rel::Ne, term: t(constant, parts) }
    }
    fn eq(constant: i64, parts: &[(i64, u16)]) -> Fact {
        Fact { rel: Rel::Eq, term: t(constant, parts) }
    }

    /// A state in which these were learned.
    fn learned(facts: &[Fact]) -> State {
        let mut state = State::empty();
        judging(|judge| {
            for _ in 0..4 {
                judge.fresh_int(&mut state).unwrap();
            }
            for fact in facts {
                judge.learn(&mut state, fact.rel, fact.term.clone()).unwrap();
            }
        });
        state
    }

    /// Runs with a judge that gets these answers.
    fn judging_by<R>(
        proofs: Vec<Proof>,
        f: impl FnOnce(&mut Judge<'_, Answers<'_>>) -> R,
    ) -> (R, VecDeque<Proof>) {
        let pre = crate::interface::nothing();
        let start = Rc::new(tal_core::ty::Sig { vars: vec![], pre, post: None });
        let (types, imports, hash) = (vec![], vec![], [0; 32]);
        let interface = Interface { types, origins: 0, imports, start, hash };
        let image = Image {
            text: &[],
            text_address: 0,
            types: vec![],
            sigs: vec![],
            functions: vec![],
            labels: vec![],
            data: vec![],
            imports: vec![],
            start: None,
        };
        let answers =
            Answers { finder: Finder::new(&image, &interface, &[]), proofs: proofs.into() };
        let mut judge = Judge::new(&image, &interface, answers, 1 << 20);
        let result = f(&mut judge);
        (result, judge.hints.proofs)
    }

    fn judging<R>(f: impl FnOnce(&mut Judge<'_, Answers<'_>>) -> R) -> R {
        judging_by(Vec::new(), f).0
    }

    /// Certificates that were found, one after the other.
    #[derive(Debug)]
    struct Answers<'a> {
        finder: Finder<'a>,
        proofs: VecDeque<Proof>,
    }

    impl<'a> Forward for Answers<'a> {
        type Inner = Finder<'a>;

        fn inner(&mut self) -> &mut Finder<'a> {
            &mut self.finder
        }

        fn prove(&mut self, _: &State, _: &Fact) -> Result<Proof, Error> {
            Ok(self.proofs.pop_front().expect("an answer for each question"))
        }
    }

    /// Is a certificate found? Then the judge takes it.
    fn proves(facts: &[Fact], goal: &Term) -> bool {
        let state = learned(facts);
        [prove(&state, goal), prove_exactly(&state, goal)].into_iter().all(|found| {
            found.is_some_and(|proofs| {
                let said = format!("{facts:?} |- {goal:?} by {proofs:?}");
                let (result, left) = judging_by(proofs, |judge| {
                    judge.prove_ge(&mut state.clone(), goal, Rule::Return)
                });
                assert!(result.is_ok(), "{said}: {result:?}");
                // A step may be all that it takes.
                assert!(left.iter().all(|p| matches!(p, Proof::Comb(_))), "{said}: {left:?}");
                true
            })
        })
    }

    #[test]
    fn lookup_and_combination() {
        assert_eq!(prove(&learned(&[ge(1, &[(1, 0)])]), &t(2, &[(1, 0)])), Some(vec![]));
        let apart = [ge(1, &[(1, 0), (-1, 1)])];
        assert_eq!(prove(&learned(&apart), &t(2, &[(1, 0), (-1, 1)])), Some(vec![]));
        // i < r, r <= 4096: 4095 - i >= 0.
        let facts = [ge(-1, &[(1, 1), (-1, 0)]), ge(4096, &[(-1, 1)])];
        assert!(proves(&facts, &t(4095, &[(-1, 0)])));
        assert!(!proves(&facts, &t(4094, &[(-1, 0)])));
    }

    #[test]
    fn equalities_count_twice() {
        let facts = [eq(0, &[(1, 0), (-1, 1)]), ge(0, &[(1, 1)])];
        assert!(proves(&facts, &t(0, &[(1, 0)])));
        assert!(proves(&facts, &t(0, &[(1, 1), (-1, 0)])));
    }

    #[test]
    fn halving_needs_a_cut() {
        // 2x <= lo + hi <= 2x + 1, lo < hi: x < hi and x >= lo.
        let facts = [
            ge(0, &[(1, 0), (1, 1), (-2, 2)]),
            ge(1, &[(-1, 0), (-1, 1), (2, 2)]),
            ge(-1, &[(1, 1), (-1, 0)]),
        ];
        assert!(proves(&facts, &t(-1, &[(1, 1), (-1, 2)])));
        assert!(proves(&facts, &t(0, &[(1, 2), (-1, 0)])));
        assert!(!proves(&facts, &t(-1, &[(1, 2), (-1, 0)])));
    }

    #[test]
    fn disequality_sharpens_even_scaled() {
        // 0 <= i <= n, 8i /= 8n: i < n.
        let facts = [ge(0, &[(1, 0)]), ge(0, &[(1, 1), (-1, 0)]), ne(0, &[(8, 0), (-8, 1)])];
        assert!(proves(&facts, &t(-1, &[(1, 1), (-1, 0)])));
        assert!(!proves(&facts[..2], &t(-1, &[(1, 1), (-1, 0)])));
    }

    #[test]
    fn row_major_needs_a_product() {
        // 0 <= i < n, 0 <= k < m: n*m - 1 - i*m - k >= 0.
        let (n, m, i, k) = (0, 1, 2, 3);
        let facts = [
            ge(0, &[(1, i)]),
            ge(-1, &[(1, n), (-1, i)]),
            ge(0, &[(1, k)]),
            ge(-1, &[(1, m), (-1, k)]),
        ];
        let product = |a: u16, b: u16| t(0, &[(1, a)]).mul(&t(0, &[(1, b)])).unwrap();
        let goal = product(n, m).sub(&product(i, m)).unwrap();
        let goal = goal.sub(&t(1, &[(1, k)])).unwrap();
        assert!(proves(&facts, &goal));
    }

    #[test]
    fn contradiction_proves_its_goals() {
        let facts = [ge(-1, &[(1, 0)]), ge(0, &[(-1, 0)])];
        assert!(contradictory(&facts));
        assert!(proves(&facts, &t(-100, &[(1, 0)])));
        assert!(!contradictory(&facts[..1]));
    }

    #[test]
    fn machine_ranges_do_not_overflow() {
        // n <= 2^64 - 1, m = 2^63 n - k: far beyond 64 bits on the way.
        let big = Term::constant_of((1 << 64) - 1).unwrap();
        let facts = [
            Fact { rel: Rel::Ge, term: big.sub(&t(0, &[(1, 0)])).unwrap() },
            eq(0, &[(1, 1), (i64::MAX, 0), (-3, 2)]),
            ge(0, &[(1, 0)]),
            ge(0, &[(1, 1)]),
        ];
        assert!(proves(&facts, &t(0, &[(1, 2)])));
    }

    #[test]
    fn lower_bounds_round_up() {
        let state = learned(&[ge(-3, &[(2, 0)])]);
        assert_eq!(lower_bound(&state, &t(0, &[(1, 0)])), Some(2));
        assert_eq!(lower_bound(&state, &t(0, &[(-1, 0)])), None);
    }
}
