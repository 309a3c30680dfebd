//! Not trusted: a bug here can reject, never admit. A list of linear facts, and what follows of it.
//!
//! As long as all of them are bounds and differences, what follows of a bound or a difference is a
//! path ([`Zones`]); only the rest is asked of the simplex ([`Polyhedron`]), which is not built
//! before.

use super::components::Least;
use super::graph::straight;
use super::zones::{Difference, Zones};
use crate::simplex::Polyhedron;
use tal_core::term::Term;
use tal_core::ty::{Fact, Rel};

/// Facts that are no disequalities.
#[derive(Clone, Debug, Default)]
pub(super) struct System {
    /// In order of arrival.
    facts: Vec<(usize, Fact)>,
    zones: Zones,
    /// Made of the first `inside` facts.
    polyhedron: Polyhedron,
    inside: usize,
    crooked: bool,
}

impl System {
    /// One more fact, by its number.
    pub(super) fn add(&mut self, number: usize, fact: &Fact) {
        self.crooked |= !straight(&fact.term);
        self.zones.add(number, fact);
        self.facts.push((number, fact.clone()));
    }

    /// Is there something else than bounds and differences?
    pub(super) fn crooked(&self) -> bool {
        self.crooked
    }

    /// The least value of the term, if paths tell it: that it has none, too.
    pub(super) fn least_by_paths(&self, term: &Term) -> Option<Option<Least>> {
        let difference = (!self.crooked).then(|| Difference::of(term)).flatten()?;
        let paths = self.zones.paths(difference.from);
        Some(paths.and_then(|paths| self.zones.least(&paths, &difference)))
    }

    /// The least value of the term; `None` if it is unbounded.
    pub(super) fn least(&mut self, term: &Term) -> Option<Least> {
        if let Some(least) = self.least_by_paths(term) {
            return least;
        }
        let falsehood = self.falsehood().is_some();
        let least = self.polyhedron().least(term)?;
        Some(Least { scale: least.scale, slack: least.slack, weights: least.weights, falsehood })
    }

    /// Are the facts contradictory, if that is known without more work?
    pub(super) fn contradictory(&self) -> Option<bool> {
        if !self.crooked {
            return Some(self.zones.falsehood().is_some());
        }
        (self.inside == self.facts.len()).then(|| self.polyhedron.falsehood().is_some())
    }

    /// Multipliers with which facts add up to a negative constant.
    pub(super) fn falsehood(&mut self) -> Option<&[(usize, i128)]> {
        if self.crooked { self.polyhedron().falsehood() } else { self.zones.falsehood() }
    }

    fn polyhedron(&mut self) -> &mut Polyhedron {
        // Equalities first: they make the others shorter.
        let waiting = &self.facts[self.inside..];
        let of = |rel: Rel| waiting.iter().filter(move |(_, f)| f.rel == rel);
        for (number, fact) in of(Rel::Eq).chain(of(Rel::Ge)) {
            self.polyhedron.add(*number, fact);
        }
        self.inside = self.facts.len();
        &mut self.polyhedron
    }
}
