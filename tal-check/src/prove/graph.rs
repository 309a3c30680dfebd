//! Not trusted: a bug here can reject, never admit. What paths tell, and where they tell all.
//!
//! All bounds and differences of a state in one graph ([`Zones`]), and of each set of atoms that
//! facts connect (union and find, Tarjan 1975) whether there is more to it: facts of another form,
//! disequalities, products. Where there is not, a path answers, and that there is none does, too.

use super::components::Least;
use super::zones::{Difference, Node, Paths, Zones};
use std::cell::RefCell;
use tal_core::counted::Rc;
use tal_core::term::Term;
use tal_core::ty::{Fact, Rel};

/// What besides bounds and differences bears on an atom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct More {
    /// Facts of another form.
    pub(super) crooked: bool,
    /// Disequalities.
    pub(super) unequal: bool,
    /// Atoms that are products.
    pub(super) products: bool,
}

impl More {
    fn or(self, other: More) -> More {
        More {
            crooked: self.crooked | other.crooked,
            unequal: self.unequal | other.unequal,
            products: self.products | other.products,
        }
    }

    /// Nothing.
    pub(super) fn none(self) -> bool {
        self == More::default()
    }
}

/// How many sources of paths are remembered.
const SOURCES: usize = 24;

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    zones: Zones,
    /// By node: another of its set, or itself; and of that, what more there is.
    sets: Vec<(Node, More)>,
    all: More,
    /// Paths that were asked for, by their source.
    paths: RefCell<Vec<(Node, Rc<Paths>)>>,
}

impl Graph {
    /// One more fact, by its number.
    pub(super) fn add(&mut self, number: usize, fact: &Fact) {
        self.paths.get_mut().clear();
        let mut more = More { unequal: fact.rel == Rel::Ne, ..More::default() };
        if !more.unequal {
            more.crooked = !straight(&fact.term);
            self.zones.add(number, fact);
        }
        let mut set: Option<Node> = None;
        for monomial in fact.term.monomials() {
            more.products |= monomial.atom.factors().1.is_some();
            let node = self.zones.node(Some(monomial.atom));
            while self.sets.len() <= node as usize {
                let next = u32::try_from(self.sets.len()).unwrap_or(Node::MAX);
                self.sets.push((next, More::default()));
            }
            let mine = self.set(node);
            set = Some(set.map_or(mine, |other| self.union(other, mine)));
        }
        if let Some(set) = set {
            self.sets[set as usize].1 = self.sets[set as usize].1.or(more);
            self.all = self.all.or(more);
        }
    }

    fn set(&self, mut node: Node) -> Node {
        while let Some((next, _)) = self.sets.get(node as usize)
            && *next != node
        {
            node = *next;
        }
        node
    }

    fn union(&mut self, a: Node, b: Node) -> Node {
        if a != b {
            let more = self.sets[b as usize].1;
            self.sets[b as usize].0 = a;
            self.sets[a as usize].1 = self.sets[a as usize].1.or(more);
        }
        a
    }

    /// What more bears on any atom.
    pub(super) fn all(&self) -> More {
        self.all
    }

    /// What more bears on the atoms of a term.
    pub(super) fn more(&self, term: &Term) -> More {
        if self.all.none() {
            return self.all;
        }
        term.monomials().fold(More::default(), |more, monomial| {
            let node = self.zones.find(Some(monomial.atom));
            let set = node.map(|node| self.set(node));
            let own = set.and_then(|set| self.sets.get(set as usize)).map(|(_, more)| *more);
            more.or(own.unwrap_or_default())
        })
    }

    /// Do bounds and differences contradict each other?
    pub(super) fn contradictory(&self) -> bool {
        self.zones.falsehood().is_some()
    }

    /// Do all these facts hold where everything is as the potentials say? Bounds and differences
    /// do.
    pub(super) fn has_model<'f>(&self, mut facts: impl Iterator<Item = &'f Fact>) -> bool {
        facts.all(|fact| {
            let at = self.zones.value(&fact.term);
            at.is_some_and(|at| match fact.rel {
                Rel::Ge => at >= 0,
                Rel::Eq => at == 0,
                Rel::Ne => at != 0,
            })
        })
    }

    fn paths(&self, difference: &Difference) -> Option<Rc<Paths>> {
        let from = self.zones.find(difference.from)?;
        let mut known = self.paths.borrow_mut();
        if let Some((_, paths)) = known.iter().find(|(source, _)| *source == from) {
            return Some(Rc::clone(paths));
        }
        let paths = Rc::new(self.zones.paths(difference.from)?);
        if known.len() == SOURCES {
            known.clear();
        }
        known.push((from, Rc::clone(&paths)));
        Some(paths)
    }

    /// The greatest number that paths show the term not to fall below.
    pub(super) fn low(&self, difference: &Difference) -> Option<i128> {
        self.zones.low(&*self.paths(difference)?, difference)
    }

    /// The same with the facts that say so.
    pub(super) fn least(&self, difference: &Difference) -> Option<Least> {
        self.zones.least(&*self.paths(difference)?, difference)
    }
}

/// Is the term a variable or a difference of two, but for a constant? Facts of that kind are
/// totally unimodular: all vertices are integral.
pub(super) fn straight(term: &Term) -> bool {
    term.as_int().is_some() || Difference::of(term).is_some_and(|d| d.factor == 1)
}
