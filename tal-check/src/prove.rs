//! Not trusted: a bug here can reject, never admit. Certificates for linear goals.
//!
//! A goal `g >= 0` follows from facts `h_i >= 0` iff `g = sum l_i h_i + c` with `l_i >= 0`, `c >=
//! 0` (Farkas), so the least value of `g` under the facts, found by linear programming in the
//! `l_i`, answers the question over the rationals. Over the integers three things are added: a
//! least value above -1 is rounded up (one cut, Chvatal 1973), a disequality sharpens a bound
//! (step-neq), and products of facts bound the monomials of degree two (step-prod).

use crate::simplex::{Column, Outcome, minimise};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::ToPrimitive;
use tal_core::hint::{Comb, Proof, Step};
use tal_core::term::{Atom, Term};
use tal_core::ty::{Fact, Rel};

/// The answers that lead the judge to `goal >= 0`, in order; `None` when no certificate was found.
#[must_use]
pub fn prove(facts: &[Fact], goal: &Term) -> Option<Vec<Proof>> {
    if looked_up(facts, goal) {
        return Some(vec![Proof::Lookup]);
    }
    let mut search = Search::new(facts, goal);
    if let Some(found) = search.attempt(goal) {
        return Some(found);
    }
    if search.hopeless(goal) {
        return None;
    }
    (1..ROUNDS).find_map(|round| {
        if !search.tighten(round, goal) {
            return None;
        }
        search.attempt(goal)
    })
}

/// Does `fact` follow? As [`prove`], for all three relations.
#[must_use]
pub fn holds(facts: &[Fact], fact: &Fact) -> bool {
    let negated = fact.term.scale(-1).ok();
    let ge = |t: &Term| t.as_int().map_or_else(|| prove(facts, t).is_some(), |c| c >= 0);
    let positive = |t: &Term| t.plus(-1).is_ok_and(|t| ge(&t));
    match fact.rel {
        Rel::Ge => ge(&fact.term),
        Rel::Eq => ge(&fact.term) && negated.is_some_and(|t| ge(&t)),
        Rel::Ne => {
            let listed = |t: &Term| facts.iter().any(|f| f.rel == Rel::Ne && f.term == *t);
            listed(&fact.term)
                || positive(&fact.term)
                || negated.is_some_and(|t| listed(&t) || positive(&t))
        }
    }
}

/// The greatest integer that `term` is known not to fall below, by linear reasoning.
#[must_use]
pub fn lower_bound(facts: &[Fact], term: &Term) -> Option<i128> {
    if let Some(c) = term.as_int() {
        return Some(c);
    }
    let search = Search::new(facts, term);
    match search.least(term)? {
        Least::Finite { scale, weights } => {
            let bound = search.slack(term, scale, &weights)?;
            let mut bound = bound.0.div_ceil(&BigInt::from(scale)).to_i128()?;
            // A disequality may exclude the bound itself.
            let unequal = search.relevant.iter().any(|&i| search.pool[i].fact.rel == Rel::Ne);
            while unequal && prove(facts, &term.plus(-bound - 1).ok()?).is_some() {
                bound += 1;
            }
            Some(bound)
        }
        Least::Contradiction => None,
    }
}

/// Are the facts contradictory, as far as linear reasoning sees?
#[must_use]
pub fn contradictory(facts: &[Fact]) -> bool {
    let minus_one = Term::int(-1);
    let search = Search::all(facts);
    let unequal = facts.iter().filter(|f| f.rel == Rel::Ne);
    matches!(search.least(&minus_one), Some(Least::Contradiction))
        || unequal.clone().any(|f| f.term.as_int() == Some(0))
        || unequal.take(UNEQUAL).any(|f| holds(facts, &Fact { rel: Rel::Eq, term: f.term.clone() }))
}

/// Rounds of tightening before the search gives up.
const ROUNDS: u32 = 4;
/// Disequalities that are looked at for a contradiction.
const UNEQUAL: usize = 8;
/// Products that one search may form.
const PRODUCTS: usize = 48;

/// Facts given and derived. Derived ones are made known to the judge only if they are used.
struct Search {
    pool: Vec<Derived>,
    given: usize,
    /// Pool members connected with the goal.
    relevant: Vec<usize>,
}

#[derive(Clone)]
struct Derived {
    fact: Fact,
    /// How it was made from earlier pool members; `None` for given facts.
    how: Option<Step>,
}

enum Least {
    /// `scale * term = sum weight * fact + slack`.
    Finite { scale: u64, weights: Vec<(usize, i128)> },
    /// The facts are contradictory and the term's atoms occur in them: any bound follows.
    Contradiction,
}

impl Search {
    fn new(facts: &[Fact], goal: &Term) -> Self {
        let mut search = Search::all(facts);
        search.relevant = Vec::new();
        search.connect(goal);
        search
    }

    fn all(facts: &[Fact]) -> Self {
        let pool = facts.iter().map(|f| Derived { fact: f.clone(), how: None }).collect();
        Search { pool, given: facts.len(), relevant: (0..facts.len()).collect() }
    }

    /// Recomputes which facts share variables, directly or through others, with the goal.
    fn connect(&mut self, goal: &Term) {
        let mut atoms: Vec<Atom> = goal.monomials().iter().map(|m| m.atom).collect();
        let mut inside = vec![false; self.pool.len()];
        loop {
            let before = atoms.len();
            for (member, taken) in self.pool.iter().zip(&mut inside) {
                let monomials = member.fact.term.monomials();
                if *taken || !monomials.iter().any(|m| atoms.contains(&m.atom)) {
                    continue;
                }
                *taken = true;
                for m in monomials {
                    if !atoms.contains(&m.atom) {
                        atoms.push(m.atom);
                    }
                }
            }
            if atoms.len() == before {
                break;
            }
        }
        self.relevant = (0..self.pool.len()).filter(|&i| inside[i]).collect();
    }

    /// The whole answer for the goal, if linear reasoning with one rounding finds it.
    fn attempt(&mut self, goal: &Term) -> Option<Vec<Proof>> {
        let divisor = goal.gcd().max(1);
        let reduced = goal.floor_div(divisor).ok()?;
        match self.least(&reduced)? {
            Least::Contradiction => self.by_contradiction(goal),
            Least::Finite { scale, weights } => {
                let (slack, _) = self.slack(&reduced, scale, &weights)?;
                if slack >= BigInt::ZERO {
                    let comb = self.comb_for(goal, scale, &weights)?;
                    return self.finish(comb);
                }
                if slack <= -BigInt::from(scale) {
                    return None;
                }
                let known = self.round(&weights, scale)?;
                self.finish((1, vec![(known, divisor)]))
            }
        }
    }

    /// The weights again for `goal = divisor * reduced + rest`.
    fn comb_for(
        &self,
        goal: &Term,
        scale: u64,
        weights: &[(usize, i128)],
    ) -> Option<(u64, Vec<(usize, i128)>)> {
        let divisor = goal.gcd().max(1);
        let weights: Option<Vec<_>> =
            weights.iter().map(|(i, w)| Some((*i, w.checked_mul(divisor)?))).collect();
        Some((scale, weights?))
    }

    /// Appends `scale * t + c >= 0` and its rounding `t + floor(c / scale) >= 0`; answers the
    /// latter.
    fn round(&mut self, weights: &[(usize, i128)], scale: u64) -> Option<usize> {
        let mut known = self.derive_sum(weights, 0)?;
        let divisor = i128::from(scale);
        if divisor > 1 {
            known = self.derive_cut(known, divisor)?;
        }
        Some(known)
    }

    fn derive_sum(&mut self, weights: &[(usize, i128)], slack: i128) -> Option<usize> {
        if let ([(one, 1)], 0) = (weights, slack) {
            return Some(*one);
        }
        let mut term = Term::constant_of(slack).ok()?;
        let mut exact = slack == 0;
        for (i, w) in weights {
            term = term.add_scaled(&self.pool[*i].fact.term, *w).ok()?;
            exact &= self.pool[*i].fact.rel == Rel::Eq;
        }
        let premises = numbered(weights)?;
        let rel = if exact { Rel::Eq } else { Rel::Ge };
        Some(self.push(Fact { rel, term }, Step::Comb { premises, slack }))
    }

    fn derive_cut(&mut self, of: usize, divisor: i128) -> Option<usize> {
        let term = self.pool[of].fact.term.floor_div(divisor).ok()?;
        let fact = u16::try_from(of).ok()?;
        Some(self.push(Fact { rel: Rel::Ge, term }, Step::Cut { fact, divisor }))
    }

    fn push(&mut self, fact: Fact, how: Step) -> usize {
        self.pool.push(Derived { fact, how: Some(how) });
        self.relevant.push(self.pool.len() - 1);
        self.pool.len() - 1
    }

    /// Can no tightening help? Without products a goal that the rational facts leave unbounded
    /// stays so, and each round lifts a bound by little.
    fn hopeless(&self, goal: &Term) -> bool {
        let linear = |t: &Term| t.monomials().iter().all(|m| m.atom.factors().1.is_none());
        if !linear(goal) || !self.relevant.iter().all(|&i| linear(&self.pool[i].fact.term)) {
            return false;
        }
        // A multiple is as near as what it is a multiple of.
        let Ok(goal) = &goal.floor_div(goal.gcd().max(1)) else { return false };
        match self.least(goal) {
            None => true,
            Some(Least::Contradiction) => false,
            Some(Least::Finite { scale, weights }) => {
                let far = |(slack, _): &(BigInt, _)| {
                    *slack < BigInt::from(scale) * -i64::from(2 * ROUNDS)
                };
                self.slack(goal, scale, &weights).is_some_and(|s| far(&s))
            }
        }
    }

    /// Multipliers that bound `term` from below as high as the facts allow.
    fn least(&self, term: &Term) -> Option<Least> {
        let mut atoms: Vec<Atom> = Vec::new();
        let usable: Vec<usize> =
            self.relevant.iter().copied().filter(|&i| self.pool[i].fact.rel != Rel::Ne).collect();
        for i in &usable {
            atoms.extend(self.pool[*i].fact.term.monomials().iter().map(|m| m.atom));
        }
        atoms.sort_unstable();
        atoms.dedup();
        let row = |atom: Atom| atoms.binary_search(&atom).ok();
        let mut right = vec![0_i128; atoms.len()];
        for m in term.monomials() {
            right[row(m.atom)?] = m.coefficient;
        }
        let mut columns = Vec::new();
        let mut owner = Vec::new();
        for &i in &usable {
            let fact = &self.pool[i].fact;
            let signs: &[i128] = if fact.rel == Rel::Eq { &[1, -1] } else { &[1] };
            for &sign in signs {
                let entries = fact.term.monomials().iter();
                let entries = entries.map(|m| Some((row(m.atom)?, sign * m.coefficient)));
                let entries = entries.collect::<Option<Vec<_>>>()?;
                columns.push(Column { entries, cost: sign * fact.term.constant() });
                owner.push((i, sign));
            }
        }
        match minimise(&columns, &right) {
            Outcome::Infeasible => None,
            Outcome::Unbounded { .. } => Some(Least::Contradiction),
            Outcome::Optimal(solution) => {
                let (scale, values) = solution.integral()?;
                let mut weights: Vec<(usize, i128)> = Vec::new();
                for (j, value) in values {
                    let (i, sign) = owner[j];
                    weights.push((i, sign * value));
                }
                weights.sort_unstable();
                Some(Least::Finite { scale, weights })
            }
        }
    }

    /// `scale * term - sum weight * fact`, a constant; with the scale it is over.
    fn slack(&self, term: &Term, scale: u64, weights: &[(usize, i128)]) -> Option<(BigInt, u64)> {
        let mut slack = BigInt::from(term.constant()) * scale;
        for (i, w) in weights {
            slack -= BigInt::from(self.pool[*i].fact.term.constant()) * w;
        }
        Some((slack, scale))
    }

    /// The least value of any term over contradictory facts is unbounded; find -1 >= 0 and scale
    /// it.
    fn by_contradiction(&mut self, goal: &Term) -> Option<Vec<Proof>> {
        // A bound of the goal alone is found by lowering what is asked until the program is
        // bounded: drop facts from the end until it is; the last one dropped is the culprit.
        let all = self.relevant.clone();
        for count in (0..all.len()).rev() {
            self.relevant = all[..count].to_vec();
            if let Some(Least::Finite { scale, weights }) = self.least(goal) {
                let false_fact = self.falsehood(&all)?;
                let (slack, _) = self.slack(goal, scale, &weights)?;
                let constant = self.pool[false_fact].fact.term.constant();
                let lack = (-slack).to_i128()?.max(0);
                let times = lack.checked_add(-constant)?.checked_div(-constant)?;
                let mut weights = weights;
                weights.push((false_fact, times));
                return self.finish((scale, weights));
            }
        }
        None
    }

    /// Appends a fact `c >= 0` with `c < 0`.
    fn falsehood(&mut self, all: &[usize]) -> Option<usize> {
        for count in 0..=all.len() {
            self.relevant = all[..count].to_vec();
            let Some(&last) = self.relevant.last() else { continue };
            if self.pool[last].fact.rel == Rel::Ne {
                continue;
            }
            // The last fact's negation is implied by those before it.
            self.relevant.pop();
            for sign in [-1, 1] {
                if sign == 1 && self.pool[last].fact.rel != Rel::Eq {
                    continue;
                }
                let wanted = self.pool[last].fact.term.scale(sign).ok()?;
                if let Some(Least::Finite { scale, weights }) = self.least(&wanted) {
                    let (slack, _) = self.slack(&wanted, scale, &weights)?;
                    if slack > BigInt::ZERO {
                        let mut sum = weights;
                        sum.push((last, -sign * i128::from(scale)));
                        sum.sort_unstable();
                        return self.derive_sum(&sum, 0);
                    }
                }
            }
        }
        None
    }

    /// Adds integer consequences; false when nothing new came.
    fn tighten(&mut self, round: u32, goal: &Term) -> bool {
        let before = self.pool.len();
        if round == 1 {
            self.cut_facts();
            self.multiply(goal);
        }
        self.sharpen();
        if self.pool.len() == before || round > 1 {
            self.round_variables(goal);
        }
        self.connect(goal);
        self.pool.len() > before
    }

    /// rule[step-cut] on every fact that it changes.
    fn cut_facts(&mut self) {
        for i in self.relevant.clone() {
            let fact = &self.pool[i].fact;
            let gcd = fact.term.gcd();
            if fact.rel == Rel::Ge && gcd > 1 && fact.term.constant().rem_euclid(gcd) != 0 {
                let _ = self.derive_cut(i, gcd);
            }
        }
    }

    /// rule[step-neq]: a disequality one side of which is excluded.
    fn sharpen(&mut self) {
        for i in self.relevant.clone() {
            if self.pool[i].fact.rel != Rel::Ne {
                continue;
            }
            let term = self.pool[i].fact.term.clone();
            for sign in [1, -1] {
                let Ok(side) = term.scale(sign) else { continue };
                let sharper = side.plus(-1).ok();
                let known =
                    |f: &Derived| f.fact.rel == Rel::Ge && Some(&f.fact.term) == sharper.as_ref();
                if self.pool.iter().any(known) {
                    continue;
                }
                if self.sharpen_side(i, &side).is_some() {
                    break;
                }
            }
        }
    }

    fn sharpen_side(&mut self, other: usize, side: &Term) -> Option<()> {
        let known = self.derive_exactly(side)?;
        let fact = u16::try_from(known).ok()?;
        let other = u16::try_from(other).ok()?;
        let term = side.plus(-1).ok()?;
        let sharper = self.push(Fact { rel: Rel::Ge, term }, Step::Neq { fact, other });
        let gcd = side.gcd();
        if gcd > 1 {
            self.derive_cut(sharper, gcd)?;
        }
        Some(())
    }

    /// Appends exactly `term >= 0` if it follows.
    fn derive_exactly(&mut self, term: &Term) -> Option<usize> {
        let same = |d: &Derived| d.fact.rel != Rel::Ne && d.fact.term == *term;
        if let Some(i) = self.pool.iter().position(same) {
            return Some(i);
        }
        let Least::Finite { scale, weights } = self.least(term)? else { return None };
        let (slack, _) = self.slack(term, scale, &weights)?;
        if slack <= -BigInt::from(scale) {
            return None;
        }
        let rounded = self.round(&weights, scale)?;
        let lack = term.constant().checked_sub(self.pool[rounded].fact.term.constant())?;
        if lack == 0 { Some(rounded) } else { self.derive_sum(&[(rounded, 1)], lack) }
    }

    /// Rounds the bounds of the goal's variables that are not integers.
    fn round_variables(&mut self, goal: &Term) {
        for m in goal.monomials() {
            for sign in [1, -1] {
                let Ok(term) = Term::from_parts(0, [m]).and_then(|t| {
                    let unit = t.floor_div(m.coefficient.abs())?;
                    unit.scale(sign)
                }) else {
                    continue;
                };
                if let Some(Least::Finite { scale, weights }) = self.least(&term)
                    && scale > 1
                    && self
                        .slack(&term, scale, &weights)
                        .is_some_and(|(s, _)| s.mod_floor(&BigInt::from(scale)) != BigInt::ZERO)
                {
                    let _ = self.round(&weights, scale);
                }
            }
        }
    }

    /// rule[step-prod] where a monomial of degree two is in the way.
    fn multiply(&mut self, goal: &Term) {
        let mut wanted: Vec<(tal_core::term::Var, tal_core::term::Var)> = Vec::new();
        let facts = self.relevant.iter().map(|&i| &self.pool[i].fact.term);
        for term in facts.chain([goal]) {
            for m in term.monomials() {
                if let (a, Some(b)) = m.atom.factors() {
                    wanted.push((a, b));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        // A factor is most often needed with its sign, which may itself have to be derived.
        self.relevant = (0..self.pool.len()).collect();
        for (a, b) in &wanted {
            let _ = self.derive_exactly(&Term::var(*a));
            let _ = self.derive_exactly(&Term::var(*b));
        }
        let linear: Vec<usize> = (0..self.pool.len())
            .filter(|&i| {
                let fact = &self.pool[i].fact;
                let monomials = fact.term.monomials();
                fact.rel != Rel::Ne
                    && (1..=3).contains(&monomials.len())
                    && monomials.iter().all(|m| m.atom.factors().1.is_none())
                    && fact.term.constant().abs() < 1 << 60
            })
            .collect();
        let mentions = |pool: &[Derived], i: usize, v| pool[i].fact.term.vars().any(|w| w == v);
        let mut made = 0;
        for (a, b) in wanted {
            for (n, &i) in linear.iter().enumerate() {
                for &j in &linear[n..] {
                    let pool = &self.pool;
                    let fits = (mentions(pool, i, a) && mentions(pool, j, b))
                        || (mentions(pool, i, b) && mentions(pool, j, a));
                    if fits && made < PRODUCTS && self.product(i, j).is_some() {
                        made += 1;
                    }
                }
            }
        }
    }

    fn product(&mut self, i: usize, j: usize) -> Option<()> {
        let term = self.pool[i].fact.term.mul(&self.pool[j].fact.term).ok()?;
        let step = Step::Product(u16::try_from(i).ok()?, u16::try_from(j).ok()?);
        self.push(Fact { rel: Rel::Ge, term }, step);
        Some(())
    }

    /// Writes down the derived facts that are used, in order, and the final answer.
    fn finish(&self, (scale, weights): (u64, Vec<(usize, i128)>)) -> Option<Vec<Proof>> {
        let mut used = vec![false; self.pool.len()];
        for (i, _) in &weights {
            used[*i] = true;
        }
        for i in (self.given..self.pool.len()).rev() {
            if used[i] {
                for j in premises(self.pool[i].how.as_ref()?) {
                    used[usize::from(j)] = true;
                }
            }
        }
        let mut number: Vec<usize> = (0..self.given).collect();
        let mut next = self.given;
        let mut proofs = Vec::new();
        for (derived, used) in self.pool.iter().zip(used).skip(self.given) {
            number.push(next);
            if used {
                proofs.push(Proof::Step(renumber(derived.how.as_ref()?, &number)?));
                next += 1;
            }
        }
        if next > tal_core::limits::FACTS {
            return None;
        }
        let premises: Vec<_> = weights.iter().map(|(i, w)| (number[*i], *w)).collect();
        proofs.push(Proof::Comb(Comb { scale, premises: numbered(&premises)? }));
        Some(proofs)
    }
}

/// rule[prove-lookup], as the judge does it.
fn looked_up(facts: &[Fact], goal: &Term) -> bool {
    facts.iter().any(|fact| {
        let direct = fact.term.same_shape(goal) && fact.term.constant() <= goal.constant();
        match fact.rel {
            Rel::Ne => false,
            Rel::Ge => direct,
            Rel::Eq => {
                direct
                    || goal.scale(-1).is_ok_and(|n| {
                        fact.term.same_shape(&n) && -fact.term.constant() <= goal.constant()
                    })
            }
        }
    })
}

/// Pool positions as fact numbers; equal ones added, zeros dropped.
fn numbered(weights: &[(usize, i128)]) -> Option<Vec<(u16, i128)>> {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable();
    let mut out: Vec<(u16, i128)> = Vec::new();
    for (i, w) in sorted {
        let i = u16::try_from(i).ok()?;
        match out.last_mut() {
            Some((last, sum)) if *last == i => *sum = sum.checked_add(w)?,
            _ => out.push((i, w)),
        }
    }
    out.retain(|(_, w)| *w != 0);
    Some(out)
}

fn premises(step: &Step) -> Vec<u16> {
    match step {
        Step::Comb { premises, .. } => premises.iter().map(|(i, _)| *i).collect(),
        Step::Cut { fact, .. } | Step::Scale(fact, _) => vec![*fact],
        Step::Neq { fact, other } => vec![*fact, *other],
        Step::Product(a, b) => vec![*a, *b],
    }
}

fn renumber(step: &Step, number: &[usize]) -> Option<Step> {
    let at = |i: u16| u16::try_from(*number.get(usize::from(i))?).ok();
    Some(match step {
        Step::Comb { premises, slack } => {
            let moved: Option<Vec<_>> =
                premises.iter().map(|(i, w)| Some((usize::from(at(*i)?), *w))).collect();
            Step::Comb { premises: numbered(&moved?)?, slack: *slack }
        }
        Step::Cut { fact, divisor } => Step::Cut { fact: at(*fact)?, divisor: *divisor },
        Step::Neq { fact, other } => Step::Neq { fact: at(*fact)?, other: at(*other)? },
        Step::Product(a, b) => Step::Product(at(*a)?, at(*b)?),
        Step::Scale(fact, by) => Step::Scale(at(*fact)?, by.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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

    /// Replays the answers by the definition of each rule, independently of the judge's code.
    fn replay(facts: &[Fact], goal: &Term, proofs: &[Proof]) -> bool {
        let mut facts = facts.to_vec();
        for (n, proof) in proofs.iter().enumerate() {
            let last = n + 1 == proofs.len();
            match proof {
                Proof::Lookup => return last && looked_up(&facts, goal),
                Proof::Comb(comb) => {
                    let sum = comb.premises.iter().fold(Term::ZERO, |sum, (i, w)| {
                        let fact = &facts[usize::from(*i)];
                        assert!(fact.rel == Rel::Eq || (fact.rel == Rel::Ge && *w >= 0));
                        sum.add_scaled(&fact.term, *w).unwrap()
                    });
                    let scaled = goal.scale(i128::from(comb.scale)).unwrap();
                    return last && scaled.sub(&sum).unwrap().as_int().is_some_and(|c| c >= 0);
                }
                Proof::Step(step) => facts.push(follow(&facts, step)),
            }
        }
        false
    }

    fn follow(facts: &[Fact], step: &Step) -> Fact {
        let at = |i: &u16| &facts[usize::from(*i)];
        let (rel, term) = match step {
            Step::Comb { premises, slack } => {
                let exact = *slack == 0 && premises.iter().all(|(i, _)| at(i).rel == Rel::Eq);
                let sum = premises.iter().fold(t(0, &[]), |sum, (i, w)| {
                    assert!(at(i).rel == Rel::Eq || (at(i).rel == Rel::Ge && *w >= 0));
                    sum.add_scaled(&at(i).term, *w).unwrap()
                });
                (if exact { Rel::Eq } else { Rel::Ge }, sum.plus(*slack).unwrap())
            }
            Step::Cut { fact, divisor } => (Rel::Ge, at(fact).term.floor_div(*divisor).unwrap()),
            Step::Neq { fact, other } => {
                assert_eq!(at(other).rel, Rel::Ne);
                assert_ne!(at(fact).rel, Rel::Ne);
                let same = at(other).term == at(fact).term;
                assert!(same || at(other).term == at(fact).term.scale(-1).unwrap());
                (Rel::Ge, at(fact).term.plus(-1).unwrap())
            }
            Step::Product(a, b) => (Rel::Ge, at(a).term.mul(&at(b).term).unwrap()),
            Step::Scale(a, by) => (Rel::Eq, at(a).term.mul(by).unwrap()),
        };
        Fact { rel, term }
    }

    fn proves(facts: &[Fact], goal: &Term) -> bool {
        prove(facts, goal).is_some_and(|proofs| {
            assert!(replay(facts, goal, &proofs), "{facts:?} |- {goal:?} by {proofs:?}");
            true
        })
    }

    #[test]
    fn lookup_and_combination() {
        assert_eq!(prove(&[ge(1, &[(1, 0)])], &t(2, &[(1, 0)])), Some(vec![Proof::Lookup]));
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
        let facts = [ge(-3, &[(2, 0)])];
        assert_eq!(lower_bound(&facts, &t(0, &[(1, 0)])), Some(2));
        assert_eq!(lower_bound(&facts, &t(0, &[(-1, 0)])), None);
    }
}
