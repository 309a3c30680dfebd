//! Not trusted: a bug here can reject, never admit. An exact simplex that keeps its place.
//!
//! A [`Polyhedron`] is the set of the points at which linear facts hold. It is kept as a
//! dictionary (Chvatal 1983): some variables, the basic ones, are written as combinations of the
//! others, which are zero at the vertex where the dictionary stands. Facts are added one at a time
//! (Dutertre, de Moura 2006), and each minimisation starts at the vertex where the last one ended:
//! the questions asked of one list of facts are many and alike, so mostly a pivot or two answers.
//!
//! Rows are integers over a denominator of their own, so bounds and differences, by far the most
//! facts, never need one. The numbers are `i128`, checked; if that overflows, the polyhedron is
//! made once more with `BigInt`.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive};
use std::cell::Cell;
use std::cmp::Ordering;
use tal_core::term::{Atom, Term};
use tal_core::ty::{Fact, Rel};

/// The least value of a term: `scale * term = slack + sum weight * fact`, where facts that are no
/// equalities have positive weights, so `slack / scale` is a lower bound, and the greatest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Least {
    /// Positive.
    pub(crate) scale: u64,
    /// What remains.
    pub(crate) slack: i128,
    /// Number of a fact and its multiplier, sorted, none zero.
    pub(crate) weights: Vec<(usize, i128)>,
}

/// The solutions of a list of facts of which nothing is a disequality.
#[derive(Clone, Debug)]
pub(crate) struct Polyhedron {
    /// In order of arrival: the number its owner gives it, and the fact.
    facts: Vec<(usize, Fact)>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Narrow(Dictionary<i128>),
    Wide(Dictionary<BigInt>),
    /// The pivots ran out.
    GivenUp,
}

/// Why a step could not be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// A number left `i128`.
    Overflow,
    /// See [`MAX_PIVOTS`].
    Pivots,
}

impl Default for Polyhedron {
    fn default() -> Self {
        Polyhedron { facts: Vec::new(), numbers: Numbers::Narrow(Dictionary::new()) }
    }
}

impl Polyhedron {
    /// Cuts with one more fact.
    pub(crate) fn add(&mut self, number: usize, fact: &Fact) {
        self.facts.push((number, fact.clone()));
        let done = match &mut self.numbers {
            Numbers::Narrow(narrow) => narrow.add(number, fact),
            Numbers::Wide(wide) => wide.add(number, fact),
            Numbers::GivenUp => Ok(()),
        };
        if let Err(stop) = done {
            self.recover(stop);
        }
    }

    /// The least value of the term over the points; `None` if it has no lower bound (or none was
    /// found).
    pub(crate) fn least(&mut self, term: &Term) -> Option<Least> {
        loop {
            let found = match &mut self.numbers {
                Numbers::Narrow(narrow) => narrow.least(term),
                Numbers::Wide(wide) => wide.least(term),
                Numbers::GivenUp => return None,
            };
            match found {
                Ok(found) => return found,
                Err(stop) => self.recover(stop),
            }
        }
    }

    /// If no point satisfies all facts: multipliers with which they add up to a negative constant.
    /// Facts that cannot hold together with earlier ones are otherwise ignored.
    pub(crate) fn falsehood(&self) -> Option<&[(usize, i128)]> {
        match &self.numbers {
            Numbers::Narrow(narrow) => narrow.falsehood.as_deref(),
            Numbers::Wide(wide) => wide.falsehood.as_deref(),
            Numbers::GivenUp => None,
        }
    }

    /// Once more with wider numbers, or not at all.
    fn recover(&mut self, stop: Stop) {
        let narrow = matches!(self.numbers, Numbers::Narrow(_));
        self.numbers = Numbers::GivenUp;
        if stop == Stop::Overflow && narrow {
            let mut wide = Dictionary::<BigInt>::new();
            if self.facts.iter().all(|(number, fact)| wide.add(*number, fact).is_ok()) {
                self.numbers = Numbers::Wide(wide);
            }
        }
    }
}

thread_local! {
    static WORK: Cell<u64> = const { Cell::new(0) };
}

/// Entries of rows and edges that this thread has added up so far: what proof search costs, the
/// same on every machine.
pub(crate) fn work() -> u64 {
    WORK.get()
}

/// So many more.
pub(crate) fn worked(steps: u64) {
    WORK.set(WORK.get() + steps);
}

/// Numbers that a dictionary can be made of.
trait Number: Clone + Integer + Signed {
    fn wide(value: i128) -> Self;
    fn narrow(&self) -> Option<i128>;
    /// `a * b + c * d`
    fn combine(a: &Self, b: &Self, c: &Self, d: &Self) -> Option<Self>;
}

impl Number for i128 {
    fn wide(value: i128) -> Self {
        value
    }

    fn narrow(&self) -> Option<i128> {
        Some(*self)
    }

    fn combine(a: &i128, b: &i128, c: &i128, d: &i128) -> Option<i128> {
        // Without the least number, everything has a negation.
        times(*a, *b)?.checked_add(times(*c, *d)?).filter(|sum| *sum != i128::MIN)
    }
}

/// A checked product of 128 bits is dear, and nearly all factors are one or small.
fn times(a: i128, b: i128) -> Option<i128> {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => Some(i128::from(a) * i128::from(b)),
        (Ok(1), _) => Some(b),
        (_, Ok(1)) => Some(a),
        _ => a.checked_mul(b),
    }
}

impl Number for BigInt {
    fn wide(value: i128) -> Self {
        BigInt::from(value)
    }

    fn narrow(&self) -> Option<i128> {
        self.to_i128()
    }

    fn combine(a: &BigInt, b: &BigInt, c: &BigInt, d: &BigInt) -> Option<BigInt> {
        Some(a * b + c * d)
    }
}

/// Index of a variable of a dictionary: an atom, or the value of a fact.
type Index = u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variable {
    /// May have any value.
    Atom,
    /// The value of an inequality: not negative.
    Slack(usize),
    /// The value of an equality: zero, so it never moves.
    Fixed(usize),
}

/// `denominator * basic variable = constant + sum entry * other variable`.
#[derive(Clone, Debug)]
struct Row<N> {
    /// Positive.
    denominator: N,
    constant: N,
    /// By variable, increasing; none zero.
    entries: Vec<(Index, N)>,
}

#[derive(Clone, Debug)]
struct Dictionary<N> {
    atoms: Vec<(Atom, Index)>,
    variables: Vec<Variable>,
    /// The row of each basic variable.
    place: Vec<Option<usize>>,
    rows: Vec<(Index, Row<N>)>,
    /// See [`Polyhedron::falsehood`].
    falsehood: Option<Vec<(usize, i128)>>,
}

/// Pivots by greatest descent before Bland's rule, which cannot cycle, takes over.
const GREEDY_PIVOTS: usize = 60;
/// Far above what any certificate here needs; then the search gives up.
const MAX_PIVOTS: usize = 2_000;

/// How far a descent came.
enum Descent {
    /// No further: the row's variable is least here.
    Least,
    /// The row's variable can fall for ever.
    Endless,
    /// The row's variable would fall below zero on this step: (entering variable).
    Crosses(Index),
}

impl<N: Number> Dictionary<N> {
    fn new() -> Self {
        Dictionary {
            atoms: Vec::new(),
            variables: Vec::new(),
            place: Vec::new(),
            rows: Vec::new(),
            falsehood: None,
        }
    }

    fn add(&mut self, number: usize, fact: &Fact) -> Result<(), Stop> {
        let row = self.express(&fact.term)?;
        let exact = fact.rel == Rel::Eq;
        let variable = if exact { Variable::Fixed(number) } else { Variable::Slack(number) };
        if let Some(atom) = self.free(&row) {
            // The first fact that speaks of an atom: the atom follows the fact.
            let new = self.variable(variable);
            self.rows.push((new, row));
            self.place[new as usize] = Some(self.rows.len() - 1);
            return self.pivot(self.rows.len() - 1, atom);
        }
        if exact { self.fix(variable, row) } else { self.bound(variable, row) }
    }

    /// An inequality between values of others: made true by moving to where it is.
    fn bound(&mut self, variable: Variable, row: Row<N>) -> Result<(), Stop> {
        if !row.constant.is_negative() {
            let new = self.variable(variable);
            self.place[new as usize] = Some(self.rows.len());
            self.rows.push((new, row));
            return Ok(());
        }
        self.reach(variable, row, true)
    }

    /// An equality between values of others.
    fn fix(&mut self, variable: Variable, row: Row<N>) -> Result<(), Stop> {
        let below = row.constant.is_negative();
        self.reach(variable, row, below)
    }

    /// Moves to where the row is zero, from `below` or above, and keeps it there; or finds that
    /// there is no such place.
    fn reach(&mut self, variable: Variable, row: Row<N>, below: bool) -> Result<(), Stop> {
        let new = self.variable(variable);
        self.place[new as usize] = Some(self.rows.len());
        self.rows.push((new, row));
        let at = self.rows.len() - 1;
        let entering = match self.descend(at, below, true)? {
            Descent::Crosses(entering) => Some(entering),
            // A row that is zero and stays so may still be exchanged for whatever moves.
            _ if self.rows[at].1.constant.is_zero() => {
                let movable = |(v, _): &&(Index, N)| self.movable(*v);
                self.rows[at].1.entries.iter().find(movable).map(|(v, _)| *v)
            }
            _ => {
                self.contradiction(at, below);
                self.place[new as usize] = None;
                self.rows.pop();
                return Ok(());
            }
        };
        match entering {
            Some(entering) => self.pivot(at, entering),
            // The fact says nothing new.
            None => {
                self.place[new as usize] = None;
                self.rows.pop();
                Ok(())
            }
        }
    }

    /// The row `at` is negative (or positive, if not `below`) and can get no nearer to zero: it is
    /// itself the contradiction.
    fn contradiction(&mut self, at: usize, below: bool) {
        if self.falsehood.is_some() {
            return;
        }
        let (own, row) = &self.rows[at];
        let sign = if below { N::one() } else { -N::one() };
        // `sign * (denominator * own - entries) = sign * constant < 0`
        let mut weights = Vec::new();
        let all = row.entries.iter().map(|(v, e)| (*v, -e.clone()));
        for (v, weight) in all.chain([(*own, row.denominator.clone())]) {
            let Some(number) = self.number(v) else { return };
            let Some(weight) = (weight * sign.clone()).narrow() else { return };
            weights.push((number, weight));
        }
        weights.sort_unstable();
        self.falsehood = Some(weights);
    }

    fn least(&mut self, term: &Term) -> Result<Option<Least>, Stop> {
        let row = self.express(term)?;
        if self.free(&row).is_some() {
            return Ok(None);
        }
        // The term takes part as a row of its own while it descends.
        let own = self.variable(Variable::Atom);
        self.place[own as usize] = Some(self.rows.len());
        self.rows.push((own, row));
        let descent = self.descend(self.rows.len() - 1, false, false);
        let row = self.rows.pop();
        self.place.pop();
        self.variables.pop();
        let (Descent::Least, Some((_, row))) = (descent?, row) else { return Ok(None) };
        Ok(self.read(&row))
    }

    /// The multipliers that a row at its least is made of.
    fn read(&self, row: &Row<N>) -> Option<Least> {
        let mut weights = Vec::with_capacity(row.entries.len());
        for (v, entry) in &row.entries {
            weights.push((self.number(*v)?, entry.narrow()?));
        }
        weights.sort_unstable();
        let scale = u64::try_from(row.denominator.narrow()?).ok()?;
        Some(Least { scale, slack: row.constant.narrow()?, weights })
    }

    fn number(&self, v: Index) -> Option<usize> {
        match self.variables[v as usize] {
            Variable::Atom => None,
            Variable::Slack(number) | Variable::Fixed(number) => Some(number),
        }
    }

    fn variable(&mut self, variable: Variable) -> Index {
        self.variables.push(variable);
        self.place.push(None);
        Index::try_from(self.variables.len() - 1).unwrap_or(Index::MAX)
    }

    fn atom(&mut self, atom: Atom) -> Index {
        match self.atoms.binary_search_by_key(&atom, |(a, _)| *a) {
            Ok(at) => self.atoms[at].1,
            Err(at) => {
                let new = self.variable(Variable::Atom);
                self.atoms.insert(at, (atom, new));
                new
            }
        }
    }

    /// Can its value change from the zero that it has?
    fn movable(&self, v: Index) -> bool {
        !matches!(self.variables[v as usize], Variable::Fixed(_))
    }

    /// An atom in the row that no fact has spoken of yet.
    fn free(&self, row: &Row<N>) -> Option<Index> {
        let atom = |(v, _): &&(Index, N)| self.variables[*v as usize] == Variable::Atom;
        row.entries.iter().find(atom).map(|(v, _)| *v)
    }

    /// The term in variables that are not basic.
    fn express(&mut self, term: &Term) -> Result<Row<N>, Stop> {
        let mut row = Row {
            denominator: N::one(),
            constant: N::wide(term.constant()),
            entries: Vec::with_capacity(term.monomials().len()),
        };
        let one = N::one();
        for monomial in term.monomials() {
            let v = self.atom(monomial.atom);
            let coefficient = N::wide(monomial.coefficient);
            match self.place[v as usize] {
                Some(at) => row = row.plus(&coefficient, &self.rows[at].1, None)?,
                None => {
                    let entries = vec![(v, one.clone())];
                    let unit = Row { denominator: one.clone(), constant: N::zero(), entries };
                    row = row.plus(&coefficient, &unit, None)?;
                }
            }
        }
        Ok(row)
    }

    /// Moves along edges on which the row `at` falls (or rises, for `rising`), until it is least,
    /// or, for `to_zero`, until the next step would take it through zero.
    fn descend(&mut self, at: usize, rising: bool, to_zero: bool) -> Result<Descent, Stop> {
        for count in 0..MAX_PIVOTS {
            let Some(entering) = self.entering(at, rising, count < GREEDY_PIVOTS) else {
                return Ok(Descent::Least);
            };
            let leaving = self.leaving(at, entering)?;
            if to_zero && self.crosses(at, entering, leaving)? {
                return Ok(Descent::Crosses(entering));
            }
            let Some(leaving) = leaving else { return Ok(Descent::Endless) };
            self.pivot(leaving, entering)?;
        }
        Err(Stop::Pivots)
    }

    /// A variable whose growth makes the row fall.
    fn entering(&self, at: usize, rising: bool, greedy: bool) -> Option<Index> {
        let entries = &self.rows[at].1.entries;
        let good = |(v, e): &&(Index, N)| e.is_negative() != rising && self.movable(*v);
        let mut falling = entries.iter().filter(good);
        let best = if greedy {
            falling.max_by(|(_, a), (_, b)| a.abs().cmp(&b.abs()))
        } else {
            falling.next()
        };
        best.map(|(v, _)| *v)
    }

    /// The row that stops the growth of `entering` first: the least ratio; ties to the least
    /// variable.
    fn leaving(&self, objective: usize, entering: Index) -> Result<Option<usize>, Stop> {
        let mut best: Option<(usize, &N, &N)> = None;
        for (i, (v, row)) in self.rows.iter().enumerate() {
            if i == objective || self.variables[*v as usize] == Variable::Atom {
                continue;
            }
            let Some(entry) = row.entry(entering).filter(|e| e.is_negative()) else { continue };
            let sooner = match best {
                None => true,
                // constant / -entry < old constant / -old entry, multiplied out.
                Some((b, constant, old)) => {
                    let zero = N::zero();
                    let left = N::combine(&row.constant, old, &zero, &zero);
                    let right = N::combine(constant, entry, &zero, &zero);
                    let (left, right) = left.zip(right).ok_or(Stop::Overflow)?;
                    match right.cmp(&left) {
                        Ordering::Less => true,
                        Ordering::Equal => *v < self.rows[b].0,
                        Ordering::Greater => false,
                    }
                }
            };
            if sooner {
                best = Some((i, &row.constant, entry));
            }
        }
        Ok(best.map(|(i, ..)| i))
    }

    /// Does the row `at` come to zero before the row that leaves does?
    fn crosses(&self, at: usize, entering: Index, leaving: Option<usize>) -> Result<bool, Stop> {
        let row = &self.rows[at].1;
        let Some(leaving) = leaving else { return Ok(true) };
        let other = &self.rows[leaving].1;
        let (Some(mine), Some(theirs)) = (row.entry(entering), other.entry(entering)) else {
            return Ok(false);
        };
        // |constant / entry| <= |other constant / other entry|
        let zero = N::zero();
        let left = N::combine(&row.constant, theirs, &zero, &zero);
        let right = N::combine(&other.constant, mine, &zero, &zero);
        let (left, right) = left.zip(right).ok_or(Stop::Overflow)?;
        Ok(left.abs() <= right.abs())
    }

    /// The basic variable of a row and `entering` change places.
    fn pivot(&mut self, leaving: usize, entering: Index) -> Result<(), Stop> {
        let (basic, row) = &mut self.rows[leaving];
        let old = *basic;
        row.solve(old, entering);
        *basic = entering;
        self.place[old as usize] = None;
        self.place[entering as usize] = Some(leaving);
        let solved = self.rows[leaving].1.clone();
        for (i, (_, row)) in self.rows.iter_mut().enumerate() {
            if i != leaving
                && let Some(factor) = row.entry(entering).cloned()
            {
                *row = row.plus(&factor, &solved, Some(entering))?;
            }
        }
        Ok(())
    }
}

impl<N: Number> Row<N> {
    fn entry(&self, v: Index) -> Option<&N> {
        let at = self.entries.binary_search_by_key(&v, |(w, _)| *w).ok()?;
        self.entries.get(at).map(|(_, e)| e)
    }

    /// From a row for `old` one for `new`, which is in it.
    fn solve(&mut self, old: Index, new: Index) {
        let Ok(at) = self.entries.binary_search_by_key(&new, |(w, _)| *w) else { return };
        let (_, entry) = self.entries.remove(at);
        // entry * new = denominator * old - constant - others
        let mine = std::mem::replace(&mut self.denominator, entry.abs());
        let flip = !entry.is_negative();
        if flip {
            self.constant = -self.constant.clone();
            for (_, e) in &mut self.entries {
                *e = -e.clone();
            }
        }
        let mine = if flip { mine } else { -mine };
        let at = self.entries.partition_point(|(w, _)| *w < old);
        self.entries.insert(at, (old, mine));
        self.reduce();
    }

    /// `self + factor * other`, the denominators taken into account, without the entry of `gone`:
    /// with `gone`, `other` is the value of that variable of `self`, and `factor` its entry.
    fn plus(&self, factor: &N, other: &Row<N>, gone: Option<Index>) -> Result<Row<N>, Stop> {
        // The sum over the product of the denominators: here times theirs, there times factor; a
        // fresh factor is not yet over this row's denominator.
        let mine = &other.denominator;
        let zero = N::zero();
        let theirs = match gone {
            Some(_) => factor.clone(),
            None => N::combine(factor, &self.denominator, &zero, &zero).ok_or(Stop::Overflow)?,
        };
        let sum = |a: &N, b: &N| N::combine(a, mine, b, &theirs).ok_or(Stop::Overflow);
        let mut entries = Vec::with_capacity(self.entries.len() + other.entries.len());
        let (mut left, mut right) = (self.entries.as_slice(), other.entries.as_slice());
        worked(left.len() as u64 + right.len() as u64);
        loop {
            let next = match (left, right) {
                ([], []) => break,
                ([(v, _), rest @ ..], _) if Some(*v) == gone => {
                    left = rest;
                    continue;
                }
                ([(v, a), l @ ..], [(w, b), r @ ..]) if v == w => {
                    (left, right) = (l, r);
                    (*v, sum(a, b)?)
                }
                ([(v, a), l @ ..], []) => {
                    left = l;
                    (*v, sum(a, &zero)?)
                }
                ([(v, a), l @ ..], [(w, _), ..]) if v < w => {
                    left = l;
                    (*v, sum(a, &zero)?)
                }
                (_, [(w, b), r @ ..]) => {
                    right = r;
                    (*w, sum(&zero, b)?)
                }
            };
            if !next.1.is_zero() {
                entries.push(next);
            }
        }
        let constant = sum(&self.constant, &other.constant)?;
        let denominator = N::combine(&self.denominator, mine, &zero, &zero);
        let denominator = denominator.ok_or(Stop::Overflow)?;
        let mut row = Row { denominator, constant, entries };
        row.reduce();
        Ok(row)
    }

    /// Divides by what all parts have in common.
    fn reduce(&mut self) {
        let mut common = self.denominator.clone();
        for part in self.entries.iter().map(|(_, e)| e).chain([&self.constant]) {
            if common.is_one() {
                return;
            }
            common = common.gcd(part);
        }
        if common.is_one() {
            return;
        }
        self.denominator = self.denominator.clone() / common.clone();
        self.constant = self.constant.clone() / common.clone();
        for (_, e) in &mut self.entries {
            *e = e.clone() / common.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tal_core::term::Var;

    fn term(constant: i128, parts: &[(i128, u16)]) -> Term {
        let start = Term::constant_of(constant).unwrap();
        let add = |sum: Term, (c, v): &(i128, u16)| sum.add_scaled(&Term::var(Var::Free(*v)), *c);
        parts.iter().try_fold(start, add).unwrap()
    }

    fn polyhedron(facts: &[(Rel, Term)]) -> Polyhedron {
        let mut polyhedron = Polyhedron::default();
        for (i, (rel, term)) in facts.iter().enumerate() {
            polyhedron.add(i, &Fact { rel: *rel, term: term.clone() });
        }
        polyhedron
    }

    /// Does `scale * term = slack + sum weight * fact` hold, with signs as they must be?
    fn confirmed(facts: &[(Rel, Term)], goal: &Term, least: &Least) -> bool {
        let sum = least.weights.iter().fold(Term::ZERO, |sum, (i, w)| {
            assert!(facts[*i].0 == Rel::Eq || *w > 0);
            sum.add_scaled(&facts[*i].1, *w).unwrap()
        });
        let scaled = goal.scale(i128::from(least.scale)).unwrap();
        scaled.sub(&sum).unwrap().as_int() == Some(least.slack)
    }

    #[test]
    fn finds_a_fractional_minimum() {
        // 2x + y >= 3, x = y: x >= 1; 2x >= 3 alone: x >= 3/2.
        let facts =
            [(Rel::Ge, term(-3, &[(2, 0), (1, 1)])), (Rel::Eq, term(0, &[(1, 0), (-1, 1)]))];
        let x = term(0, &[(1, 0)]);
        let least = polyhedron(&facts).least(&x).unwrap();
        assert!(confirmed(&facts, &x, &least));
        assert_eq!(least.slack, i128::from(least.scale));
        let facts = [(Rel::Ge, term(-3, &[(2, 0)]))];
        let least = polyhedron(&facts).least(&x).unwrap();
        assert_eq!((least.scale, least.slack), (2, 3));
    }

    #[test]
    fn says_when_nothing_bounds() {
        let facts = [(Rel::Ge, term(0, &[(1, 0)]))];
        assert_eq!(polyhedron(&facts).least(&term(0, &[(-1, 0)])), None);
        assert_eq!(polyhedron(&facts).least(&term(0, &[(1, 1)])), None);
    }

    #[test]
    fn finds_what_contradicts() {
        let facts = [
            (Rel::Ge, term(-5, &[(1, 0)])),
            (Rel::Ge, term(0, &[(1, 1), (-1, 0)])),
            (Rel::Ge, term(4, &[(-1, 1)])),
        ];
        let polyhedron = polyhedron(&facts);
        let weights = polyhedron.falsehood().unwrap();
        assert_eq!(weights, &[(0, 1), (1, 1), (2, 1)]);
        assert!(self::polyhedron(&facts[..2]).falsehood().is_none());
    }

    #[test]
    fn equalities_may_come_last() {
        let facts = [
            (Rel::Ge, term(0, &[(1, 0)])),
            (Rel::Ge, term(10, &[(-1, 0)])),
            (Rel::Ge, term(3, &[(1, 1), (-1, 0)])),
            (Rel::Eq, term(-7, &[(1, 0), (1, 1)])),
        ];
        let mut polyhedron = polyhedron(&facts);
        for goal in [term(0, &[(1, 0)]), term(0, &[(-1, 0)]), term(0, &[(1, 1), (-1, 0)])] {
            let least = polyhedron.least(&goal).unwrap();
            assert!(confirmed(&facts, &goal, &least));
        }
        // x + y = 7, x <= y + 3: x <= 5.
        let least = polyhedron.least(&term(0, &[(-1, 0)])).unwrap();
        assert_eq!(least.slack, -5 * i128::from(least.scale));
    }

    #[test]
    fn wide_numbers_where_narrow_ones_do_not_do() {
        let big = 1 << 64;
        let facts = [
            (Rel::Ge, term(0, &[(big, 0), (-big + 1, 1)])),
            (Rel::Ge, term(-1, &[(big - 3, 1), (-big + 5, 2)])),
            (Rel::Ge, term(-(1 << 79), &[(big - 9, 2)])),
        ];
        let goal = term(0, &[(1, 0)]);
        let mut polyhedron = polyhedron(&facts);
        // The multipliers do not fit; the answer is that nothing usable was found, no panic.
        let _ = polyhedron.least(&goal);
        assert!(polyhedron.falsehood().is_none());
    }

    /// Bounds of random small systems against the values of all points of a box.
    #[test]
    fn agrees_with_enumeration() {
        let mut seed = 12_345_u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i128::from((seed >> 33) % n)
        };
        for _ in 0..300 {
            let mut facts: Vec<(Rel, Term)> = Vec::new();
            for v in 0..3 {
                facts.push((Rel::Ge, term(4, &[(1, v)])));
                facts.push((Rel::Ge, term(4, &[(-1, v)])));
            }
            for _ in 0..3 {
                let parts = [(random(5) - 2, 0), (random(5) - 2, 1), (random(5) - 2, 2)];
                let rel = if random(3) == 0 { Rel::Eq } else { Rel::Ge };
                facts.push((rel, term(random(7) - 2, &parts)));
            }
            let goal = term(0, &[(random(5) - 2, 0), (random(5) - 2, 1), (1, 2)]);
            let mut polyhedron = polyhedron(&facts);
            let values = points().filter_map(|point| {
                let at = |t: &Term| t.subst(&|v| value(v, point)).unwrap().as_int().unwrap();
                let inside = facts.iter().all(|(rel, t)| match rel {
                    Rel::Eq => at(t) == 0,
                    _ => at(t) >= 0,
                });
                inside.then(|| at(&goal))
            });
            let found = values.min();
            if polyhedron.falsehood().is_some() {
                assert_eq!(found, None);
                continue;
            }
            let least = polyhedron.least(&goal).unwrap();
            assert!(confirmed(&facts, &goal, &least), "{facts:?} {goal:?} {least:?}");
            if let Some(found) = found {
                assert!(least.slack <= found * i128::from(least.scale));
            }
        }
    }

    fn points() -> impl Iterator<Item = [i64; 3]> {
        (0..729).map(|n| [n / 81 - 4, n / 9 % 9 - 4, n % 9 - 4])
    }

    fn value(v: Var, point: [i64; 3]) -> Option<Term> {
        let Var::Free(i) = v else { return None };
        point.get(usize::from(i)).map(|x| Term::int(*x))
    }
}
