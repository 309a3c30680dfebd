//! Not trusted: a bug here can reject, never admit. Derived facts, and how they were.

use super::components::{Least, Part};
use super::given::{Given, Place, place};
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::hint::{Comb, End, Proof, Step};
use tal_core::learn::{Told, told};
use tal_core::term::Term;
use tal_core::ty::{Fact, Rel};

/// Numbers below are those of given facts. Each component has as many numbers for what was derived
/// in it, and one search has those after all of them.
pub(super) const DERIVED: usize = 1 << 16;

/// The first number for what is derived in a part.
pub(super) fn first_of(part: usize) -> usize {
    DERIVED * (part + 1)
}

/// A derived fact. It is made known to the judge only if it is used.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    pub(super) fact: Fact,
    pub(super) how: How,
}

/// As [`Step`], by numbers of this module.
#[derive(Clone, Debug)]
pub(super) enum How {
    Sum { weights: Vec<(usize, i128)>, slack: i128 },
    Cut { of: usize, divisor: i128 },
    Sharpen { fact: usize, other: usize },
    Product(usize, usize),
}

impl How {
    fn premises(&self) -> Vec<usize> {
        match self {
            How::Sum { weights, .. } => weights.iter().map(|(i, _)| *i).collect(),
            How::Cut { of, .. } => vec![*of],
            How::Sharpen { fact, other } => vec![*fact, *other],
            How::Product(a, b) => vec![*a, *b],
        }
    }
}

/// What is being derived from given facts and from what is derived in parts already.
pub(super) struct Ledger<'a> {
    pub(super) facts: &'a Given,
    pub(super) parts: &'a [Rc<Part>],
    /// The number of the first fact derived here.
    pub(super) first: usize,
    pub(super) derived: Vec<Derived>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(facts: &'a Given, parts: &'a [Rc<Part>], first: usize) -> Self {
        Ledger { facts, parts, first, derived: Vec::new() }
    }

    fn entry(&self, number: usize) -> Option<&Derived> {
        match number.checked_sub(self.first) {
            Some(here) => self.derived.get(here),
            None => self.parts.get((number / DERIVED).checked_sub(1)?)?.derived(number % DERIVED),
        }
    }

    pub(super) fn fact(&self, number: usize) -> Option<Fact> {
        if number < DERIVED {
            return self.facts.fact(number);
        }
        self.entry(number).map(|d| d.fact.clone())
    }

    /// The number that the next derived fact gets.
    pub(super) fn next(&self) -> usize {
        self.first + self.derived.len()
    }

    pub(super) fn push(&mut self, fact: Fact, how: How) -> usize {
        self.derived.push(Derived { fact, how });
        self.next() - 1
    }

    pub(super) fn sum(&mut self, weights: &[(usize, i128)], slack: i128) -> Option<usize> {
        if let ([(one, 1)], 0) = (weights, slack) {
            return Some(*one);
        }
        let mut term = Term::constant_of(slack).ok()?;
        let mut exact = slack == 0;
        for (i, w) in weights {
            let fact = self.fact(*i)?;
            term = term.add_scaled(&fact.term, *w).ok()?;
            exact &= fact.rel == Rel::Eq;
        }
        let rel = if exact { Rel::Eq } else { Rel::Ge };
        Some(self.push(Fact { rel, term }, How::Sum { weights: weights.to_vec(), slack }))
    }

    /// rule[step-cut]
    pub(super) fn cut(&mut self, of: usize, divisor: i128) -> Option<usize> {
        let term = self.fact(of)?.term.floor_div(divisor).ok()?;
        Some(self.push(Fact { rel: Rel::Ge, term }, How::Cut { of, divisor }))
    }

    /// Appends `scale * t + c >= 0` and its rounding `t + floor(c / scale) >= 0`; answers the
    /// latter.
    pub(super) fn round(&mut self, least: &Least) -> Option<usize> {
        let known = self.sum(&least.weights, 0)?;
        if least.scale > 1 { self.cut(known, i128::from(least.scale)) } else { Some(known) }
    }

    /// Appends exactly `term >= 0`, if its least value allows that.
    pub(super) fn exactly(&mut self, term: &Term, least: &Least) -> Option<usize> {
        if least.slack <= -i128::from(least.scale) {
            return None;
        }
        let rounded = self.round(least)?;
        let lack = term.constant().checked_sub(self.fact(rounded)?.term.constant())?;
        match lack {
            0 => Some(rounded),
            1.. => self.sum(&[(rounded, 1)], lack),
            _ => None,
        }
    }

    /// rule[step-neq]: from `side >= 0` and the disequality; also divided, if that can be.
    pub(super) fn sharpen(&mut self, fact: usize, other: usize, side: &Term) -> Option<()> {
        let term = side.plus(-1).ok()?;
        let sharper = self.push(Fact { rel: Rel::Ge, term }, How::Sharpen { fact, other });
        let gcd = side.gcd();
        if gcd > 1 {
            self.cut(sharper, gcd)?;
        }
        Some(())
    }

    /// rule[step-prod]
    pub(super) fn product(&mut self, i: usize, j: usize) -> Option<()> {
        let term = self.fact(i)?.term.mul(&self.fact(j)?.term).ok()?;
        self.push(Fact { rel: Rel::Ge, term }, How::Product(i, j));
        Some(())
    }

    /// Writes down the derived facts that are used, in order, and the final answer.
    /// `exact`: bounds are premises, too, and not left to the judge.
    pub(super) fn finish(
        &self,
        scale: u64,
        weights: &[(usize, i128)],
        exact: bool,
    ) -> Option<Vec<Proof>> {
        // What is used directly or through others. Premises have smaller numbers.
        let mut used: Vec<usize> = Vec::new();
        let mut open: Vec<usize> = weights.iter().map(|(i, _)| *i).collect();
        while let Some(number) = open.pop() {
            if number >= DERIVED && !used.contains(&number) {
                used.push(number);
                open.extend(self.entry(number)?.how.premises());
            }
        }
        used.sort_unstable();
        let mut written = Written::new(self);
        for number in &used {
            written.step(*number)?;
        }
        let premises = written.sum(weights, exact)?;
        written.proofs.push(Proof::Comb(Comb { scale, premises }));
        Some(written.proofs)
    }
}

/// A certificate while it is written down: what the judge knows behind its steps.
struct Written<'l, 'a> {
    ledger: &'l Ledger<'a>,
    proofs: Vec<Proof>,
    /// Facts that the judge has by now.
    facts: usize,
    /// Where derived facts and bounds stand that are facts of the judge by now.
    places: BTreeMap<usize, u16>,
}

impl<'l, 'a> Written<'l, 'a> {
    fn new(ledger: &'l Ledger<'a>) -> Self {
        let facts = ledger.facts.facts.len();
        Written { ledger, proofs: Vec::new(), facts, places: BTreeMap::new() }
    }

    /// One more fact of the judge.
    fn append(&mut self, number: usize) -> Option<u16> {
        if self.facts >= tal_core::limits::FACTS {
            return None;
        }
        let at = u16::try_from(self.facts).ok()?;
        self.facts += 1;
        self.places.insert(number, at);
        Some(at)
    }

    /// What a number is now: a fact, or a bound, also one that was derived.
    fn place(&self, number: usize) -> Option<Place> {
        if let Some(at) = self.places.get(&number) {
            return Some(Place::Fact(usize::from(*at)));
        }
        if number < DERIVED {
            return place(number);
        }
        let fact = self.ledger.fact(number)?;
        let (v, positive) = fact.term.one_var()?;
        let end = match (fact.rel, positive) {
            (Rel::Eq, _) => End::Both,
            (_, true) => End::Low,
            (_, false) => End::High,
        };
        Some(Place::Bound(v, end))
    }

    /// The place of a fact; what is a bound is made one.
    fn fact(&mut self, number: usize) -> Option<u16> {
        match self.place(number)? {
            Place::Fact(at) => u16::try_from(at).ok(),
            Place::Bound(v, end) => {
                self.proofs.push(Proof::Step(Step::Bound(v, end)));
                self.append(number)
            }
        }
    }

    /// Multipliers by places; equal ones added, zeros dropped. `exact`: bounds are premises, too,
    /// and not left to the judge.
    fn sum(&mut self, weights: &[(usize, i128)], exact: bool) -> Option<Vec<(u16, i128)>> {
        let mut placed: Vec<(u16, i128)> = Vec::new();
        for (number, weight) in weights {
            match self.place(*number)? {
                Place::Bound(..) if !exact => {}
                _ => placed.push((self.fact(*number)?, *weight)),
            }
        }
        placed.sort_unstable();
        let mut out: Vec<(u16, i128)> = Vec::new();
        for (i, w) in placed {
            match out.last_mut() {
                Some((last, sum)) if *last == i => *sum = sum.checked_add(w)?,
                _ => out.push((i, w)),
            }
        }
        out.retain(|(_, w)| *w != 0);
        Some(out)
    }

    /// The step that makes a derived fact known.
    fn step(&mut self, number: usize) -> Option<()> {
        let derived = self.ledger.entry(number)?;
        let step = match &derived.how {
            How::Sum { weights, slack } => {
                Step::Comb { premises: self.sum(weights, true)?, slack: *slack }
            }
            How::Cut { of, divisor } => Step::Cut { fact: self.fact(*of)?, divisor: *divisor },
            How::Sharpen { fact, other } => {
                let positive = self.ledger.fact(*fact)?.term == self.ledger.fact(*other)?.term;
                Step::Neq { fact: self.fact(*other)?, positive }
            }
            How::Product(a, b) => Step::Product(self.fact(*a)?, self.fact(*b)?),
        };
        self.proofs.push(Proof::Step(step));
        let Derived { fact, .. } = derived;
        // What became a bound has no number.
        if told(fact.rel, &fact.term, |_| None) == Told::Relation {
            self.append(number)?;
        }
        Some(())
    }
}
