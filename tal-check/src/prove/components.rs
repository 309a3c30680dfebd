//! Not trusted: a bug here can reject, never admit. Facts by what they have in common.
//!
//! Facts that share no atom, directly or through others, do not bear on each other, and what
//! follows of parts adds up. Most parts are a variable or two with their bounds.

use super::given::Given;
use super::ledger::{Derived, Ledger, first_of};
use super::system::System;
use num_integer::Integer;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::term::{Atom, Monomial, Term};
use tal_core::ty::{Fact, Rel};

/// The least value of a term, see [`crate::simplex::Least`].
#[derive(Clone, Debug)]
pub(super) struct Least {
    /// Positive.
    pub(super) scale: u64,
    /// `scale * term = slack + sum weight * fact`.
    pub(super) slack: i128,
    /// Sorted by fact.
    pub(super) weights: Vec<(usize, i128)>,
    /// Are the facts that bear on the term contradictory?
    pub(super) falsehood: bool,
}

/// Which facts of a part count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// The given ones.
    Given,
    /// Those and what [`Part::deepen`] derives.
    Sharp,
}

/// Facts in parts. Copies share the parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Components {
    /// What is merged into another part is left empty.
    parts: Vec<Rc<Part>>,
    home: Rc<BTreeMap<Atom, usize>>,
}

/// Facts that hang together.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// In order of arrival here.
    facts: Vec<(usize, Fact)>,
    atoms: Vec<Atom>,
    /// Those that are no disequalities.
    system: System,
    /// What disequalities and cuts add, when that was asked.
    sharp: Option<Sharp>,
    unequal: bool,
    /// Is some atom a product?
    products: bool,
}

#[derive(Clone, Debug)]
struct Sharp {
    derived: Vec<Derived>,
    /// Of all facts, if any were derived.
    system: System,
}

/// Rounds of sharpening: each may allow the next.
const ROUNDS: usize = 3;

impl Part {
    /// The fact derived here with this number among them.
    pub(super) fn derived(&self, at: usize) -> Option<&Derived> {
        self.sharp.as_ref()?.derived.get(at)
    }

    /// Integer consequences that depend on no goal: cuts, and sides of disequalities that are
    /// excluded.
    fn sharpen(&mut self, facts: &Given, first: usize) -> &mut Sharp {
        let sharp = match self.sharp.take() {
            Some(known) => known,
            None => self.sharp(facts, first),
        };
        self.sharp.insert(sharp)
    }

    fn sharp(&mut self, facts: &Given, first: usize) -> Sharp {
        let mut ledger = Ledger::new(facts, &[], first);
        let mut system = self.system.clone();
        let mut seen = 0;
        for (number, fact) in &self.facts {
            let gcd = fact.term.gcd();
            if fact.rel == Rel::Ge && gcd > 1 && fact.term.constant().rem_euclid(gcd) != 0 {
                let _ = ledger.cut(*number, gcd);
            }
        }
        for _ in 0..ROUNDS {
            let before = ledger.derived.len();
            for (number, fact) in self.facts.iter().filter(|(_, f)| f.rel == Rel::Ne) {
                for (i, derived) in ledger.derived.iter().enumerate().skip(seen) {
                    system.add(first + i, &derived.fact);
                }
                seen = ledger.derived.len();
                self.sharpen_one(*number, &fact.term, &mut system, &mut ledger);
            }
            if ledger.derived.len() == before {
                break;
            }
        }
        for (i, derived) in ledger.derived.iter().enumerate().skip(seen) {
            system.add(first + i, &derived.fact);
        }
        Sharp { derived: ledger.derived, system }
    }

    /// rule[step-neq]: a disequality one side of which is excluded.
    fn sharpen_one(
        &self,
        number: usize,
        term: &Term,
        system: &mut System,
        ledger: &mut Ledger<'_>,
    ) {
        for sign in [1, -1] {
            let Ok(side) = term.scale(sign) else { continue };
            let Ok(sharper) = side.plus(-1) else { continue };
            let known = |f: &Fact| f.rel == Rel::Ge && f.term == sharper;
            if self.facts.iter().any(|(_, f)| known(f))
                || ledger.derived.iter().any(|d| known(&d.fact))
            {
                continue;
            }
            let Some(least) = system.least(&side) else { continue };
            let fact = ledger.exactly(&side, &least);
            if fact.and_then(|fact| ledger.sharpen(fact, number, &side)).is_some() {
                return;
            }
        }
    }
}

impl Components {
    pub(super) fn parts(&self) -> &[Rc<Part>] {
        &self.parts
    }

    /// One more fact, by the number its owner gives it. Constants are not kept.
    pub(super) fn add(&mut self, number: usize, fact: &Fact) {
        let mut into: Option<usize> = None;
        for monomial in fact.term.monomials() {
            let other = self.home.get(&monomial.atom).copied();
            into = match (into, other) {
                (Some(a), Some(b)) if a != b => Some(self.merge(a, b)),
                (a, b) => a.or(b),
            };
        }
        if fact.term.monomials().is_empty() {
            return;
        }
        let into = into.unwrap_or_else(|| {
            self.parts.push(Rc::default());
            self.parts.len() - 1
        });
        let part = Rc::make_mut(&mut self.parts[into]);
        for Monomial { atom, .. } in fact.term.monomials() {
            if !self.home.contains_key(&atom) {
                Rc::make_mut(&mut self.home).insert(atom, into);
                part.atoms.push(atom);
                part.products |= atom.factors().1.is_some();
            }
        }
        part.sharp = None;
        part.unequal |= fact.rel == Rel::Ne;
        if fact.rel != Rel::Ne {
            part.system.add(number, fact);
        }
        part.facts.push((number, fact.clone()));
    }

    /// One part of two; the larger keeps what it has computed.
    fn merge(&mut self, a: usize, b: usize) -> usize {
        let (into, from) =
            if self.parts[a].facts.len() >= self.parts[b].facts.len() { (a, b) } else { (b, a) };
        let gone = std::mem::take(&mut self.parts[from]);
        let home = Rc::make_mut(&mut self.home);
        for atom in &gone.atoms {
            home.insert(*atom, into);
        }
        let part = Rc::make_mut(&mut self.parts[into]);
        for (number, fact) in gone.facts.iter().filter(|(_, fact)| fact.rel != Rel::Ne) {
            part.system.add(*number, fact);
        }
        part.facts.extend(gone.facts.iter().cloned());
        part.atoms.extend(&gone.atoms);
        part.sharp = None;
        part.unequal |= gone.unequal;
        part.products |= gone.products;
        into
    }

    /// The parts that the term speaks of, each with its share; `None` if of an atom in no fact.
    fn shares(&self, term: &Term) -> Option<Vec<(usize, Vec<Monomial>)>> {
        let mut shares: Vec<(usize, Vec<Monomial>)> = Vec::new();
        for monomial in term.monomials() {
            let home = *self.home.get(&monomial.atom)?;
            match shares.iter_mut().find(|(part, _)| *part == home) {
                Some((_, share)) => share.push(monomial),
                None => shares.push((home, vec![monomial])),
            }
        }
        Some(shares)
    }

    /// The least value of the term under all facts; `None` if it is unbounded.
    pub(super) fn least(&mut self, facts: &Given, term: &Term, depth: Depth) -> Option<Least> {
        let shares = self.shares(term)?;
        if let [(part, _)] = shares.as_slice() {
            return self.least_of(facts, *part, term, depth);
        }
        let zero = Least { scale: 1, slack: term.constant(), weights: vec![], falsehood: false };
        let mut sum = zero;
        for (part, share) in shares {
            let share = Term::from_parts(0, share).ok()?;
            sum = sum.plus(&self.least_of(facts, part, &share, depth)?)?;
        }
        sum.weights.sort_unstable();
        Some(sum)
    }

    /// What is known in a part.
    fn system(&mut self, facts: &Given, part: usize, depth: Depth) -> &mut System {
        let first = first_of(part);
        let part = Rc::make_mut(&mut self.parts[part]);
        match depth {
            Depth::Given => &mut part.system,
            Depth::Sharp => &mut part.sharpen(facts, first).system,
        }
    }

    fn least_of(&mut self, facts: &Given, at: usize, term: &Term, depth: Depth) -> Option<Least> {
        let part = &self.parts[at];
        let known = match depth {
            Depth::Given => Some(&part.system),
            Depth::Sharp => part.sharp.as_ref().map(|sharp| &sharp.system),
        };
        // Copies go on sharing what needs no simplex.
        match known.and_then(|system| system.least_by_paths(term)) {
            Some(least) => least,
            None => self.system(facts, at, depth).least(term),
        }
    }

    /// Multipliers that make a negative constant of facts that bear on the term.
    pub(super) fn falsehood(
        &mut self,
        facts: &Given,
        term: &Term,
        depth: Depth,
    ) -> Option<Vec<(usize, i128)>> {
        self.touched(term)
            .into_iter()
            .find_map(|part| self.system(facts, part, depth).falsehood().map(<[_]>::to_vec))
    }

    /// Can all facts not hold together?
    pub(super) fn contradictory(&mut self, facts: &Given) -> bool {
        (0..self.parts.len()).any(|at| {
            let part = &self.parts[at];
            // One fact contradicts nothing, and most parts are as they were at the last question.
            if part.facts.len() < 2 {
                return false;
            }
            let depth = if part.unequal { Depth::Sharp } else { Depth::Given };
            let known = match depth {
                Depth::Sharp => part.sharp.as_ref().map(|s| &s.system),
                Depth::Given => Some(&part.system),
            };
            match known.and_then(System::contradictory) {
                Some(known) => known,
                None => self.system(facts, at, depth).falsehood().is_some(),
            }
        })
    }

    fn touched(&self, term: &Term) -> Vec<usize> {
        let atoms = term.monomials().map(|m| m.atom);
        let mut parts: Vec<usize> = atoms.filter_map(|a| self.home.get(&a).copied()).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// The facts that bear on the term, in order of their numbers.
    pub(super) fn relevant(&self, term: &Term) -> Vec<usize> {
        let facts = |part: usize| self.parts[part].facts.iter().map(|(number, _)| *number);
        let mut relevant: Vec<usize> = self.touched(term).into_iter().flat_map(facts).collect();
        relevant.sort_unstable();
        relevant
    }

    /// What was derived in the parts that the term speaks of, with numbers.
    pub(super) fn sharpened(&self, term: &Term) -> Vec<(usize, Fact)> {
        let mut sharpened = Vec::new();
        for part in self.touched(term) {
            if let Some(sharp) = &self.parts[part].sharp {
                let facts = sharp.derived.iter().map(|d| d.fact.clone());
                sharpened.extend((first_of(part)..).zip(facts));
            }
        }
        sharpened
    }

    /// Does [`Depth::Sharp`] know more about the term than the facts say?
    pub(super) fn sharpen(&mut self, facts: &Given, term: &Term) -> bool {
        let mut more = false;
        for part in self.touched(term) {
            Rc::make_mut(&mut self.parts[part]).sharpen(facts, first_of(part));
            more |= self.parts[part].derived(0).is_some();
        }
        more
    }

    /// The numbers of all facts, in order.
    pub(super) fn numbers(&self) -> Vec<usize> {
        let facts = self.parts.iter().flat_map(|part| &part.facts);
        let mut numbers: Vec<usize> = facts.map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn some(&self, term: &Term, test: impl Fn(&Part) -> bool) -> bool {
        let part = |m: Monomial| self.home.get(&m.atom).and_then(|at| self.parts.get(*at));
        term.monomials().filter_map(part).any(|p| test(p))
    }

    /// May facts that bear on the term say more together with cuts or disequalities?
    pub(super) fn dull(&self, term: &Term) -> bool {
        self.some(term, |part| part.unequal || part.system.crooked())
    }

    /// Is there a disequality among the facts that bear on the term?
    pub(super) fn unequal(&self, term: &Term) -> bool {
        self.some(term, |part| part.unequal)
    }

    /// Are the term and the facts that bear on it more than bounds and differences, so that their
    /// polyhedron may have vertices that are not integral?
    pub(super) fn crooked(&self, term: &Term) -> bool {
        self.some(term, |part| part.system.crooked())
    }

    /// Are there no products in the term nor in the facts that bear on it?
    pub(super) fn linear(&self, term: &Term) -> bool {
        term.monomials().all(|m| m.atom.factors().1.is_none())
            && !self.some(term, |part| part.products)
    }
}

impl Least {
    /// Of the sum of two terms without facts in common.
    fn plus(&self, other: &Least) -> Option<Least> {
        let scale = self.scale.lcm(&other.scale);
        let mine = i128::from(scale / self.scale);
        let theirs = i128::from(scale / other.scale);
        let times = |weights: &[(usize, i128)], by: i128| -> Option<Vec<(usize, i128)>> {
            weights.iter().map(|(i, w)| Some((*i, w.checked_mul(by)?))).collect()
        };
        let mut weights = times(&self.weights, mine)?;
        weights.extend(times(&other.weights, theirs)?);
        let slack = self.slack.checked_mul(mine)?.checked_add(other.slack.checked_mul(theirs)?)?;
        Some(Least { scale, slack, weights, falsehood: self.falsehood || other.falsehood })
    }
}
