//! Not trusted: a bug here can reject, never admit. Bounds and differences.
//!
//! Facts `x - y + c >= 0`, `x + c >= 0` and `c - x >= 0` are edges of a graph whose nodes are the
//! atoms and zero (Dill 1989; Mine 2001): an edge from `x` to `y` that costs `c`. What follows of
//! `x - y` is the shortest path, whose edges are the certificate: they add up to it, each taken
//! once. The graph is sparse and stays so (Gange and others, Exploiting Sparsity in
//! Difference-Bound Matrices, 2016); it is closed for the one source that a question names. A
//! potential is kept, so that a new edge costs what it changes, and a cycle of negative cost is
//! found when its last edge comes (Cotton, Maler, Fast and Flexible Difference Constraint
//! Propagation, 2006).
//!
//! Cost: an edge, as many steps as it changes potentials; a question, a few visits of each edge.

use super::components::Least;
use crate::simplex::worked;
use std::collections::VecDeque;
use tal_core::term::{Atom, Term, Var};
use tal_core::ty::{Fact, Rel};

/// Number of a node: zero is the first.
pub(super) type Node = u32;

/// No edge.
const NONE: u32 = u32::MAX;

/// What an edge may cost: no term has a greater constant, and sums of these have room.
const FAR: u128 = 1 << 100;

/// `from - to + cost >= 0`, by a fact.
#[derive(Clone, Copy, Debug)]
struct Edge {
    to: Node,
    /// The next edge from the same node.
    next: u32,
    cost: i128,
    fact: usize,
    /// Is it the fact, or its opposite (of an equality)?
    sign: i128,
}

/// The solutions of a list of bounds and differences.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    /// Of variables in scope, by their number; [`NONE`] where there is none yet.
    scope: Vec<Node>,
    /// Of other atoms.
    others: Vec<(Atom, Node)>,
    /// By node; the first is zero's.
    nodes: Vec<Head>,
    edges: Vec<Edge>,
    falsehood: Option<Vec<(usize, i128)>>,
}

impl Default for Zones {
    fn default() -> Self {
        Zones {
            scope: Vec::new(),
            others: Vec::new(),
            nodes: vec![Head::NEW],
            edges: Vec::new(),
            falsehood: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Head {
    /// The first edge from here.
    first: u32,
    /// No edge leads to a node whose potential is more than its cost higher.
    potential: i128,
}

impl Head {
    const NEW: Head = Head { first: NONE, potential: 0 };
}

/// `factor * (from - to) + constant`, where what is not there is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    pub(super) from: Option<Atom>,
    pub(super) to: Option<Atom>,
    /// Positive.
    pub(super) factor: i128,
    pub(super) constant: i128,
}

impl Difference {
    /// The term as one, if it is a multiple of an atom or of the difference of two.
    pub(super) fn of(term: &Term) -> Option<Difference> {
        let mut monomials = term.monomials();
        let (first, second) = (monomials.next()?, monomials.next());
        if monomials.next().is_some() {
            return None;
        }
        let constant = term.constant();
        let (mut from, mut to) = (Some(first.atom), None);
        if let Some(second) = second {
            if first.coefficient != -second.coefficient {
                return None;
            }
            to = Some(second.atom);
        }
        if first.coefficient < 0 {
            (from, to) = (to, from);
        }
        Some(Difference { from, to, factor: first.coefficient.abs(), constant })
    }
}

/// The shortest paths from one node.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    from: Node,
    /// By node.
    reached: Vec<Reached>,
}

/// What is known of a node while paths are sought.
#[derive(Clone, Copy, Debug)]
struct Reached {
    cost: i128,
    /// The edge that leads here, and where it starts.
    by: u32,
    before: Node,
    waits: bool,
    known: bool,
}

const UNREACHED: Reached = Reached { cost: 0, by: NONE, before: 0, waits: false, known: false };

impl Zones {
    /// One more fact, by its number, if it is a bound or a difference.
    pub(super) fn add(&mut self, number: usize, fact: &Fact) {
        let Some(Difference { from, to, factor: 1, constant }) = Difference::of(&fact.term) else {
            return;
        };
        let (from, to) = (self.node(from), self.node(to));
        self.edge(from, Edge { to, next: NONE, cost: constant, fact: number, sign: 1 });
        if fact.rel == Rel::Eq
            && let Some(cost) = constant.checked_neg()
        {
            self.edge(to, Edge { to: from, next: NONE, cost, fact: number, sign: -1 });
        }
    }

    /// What is known of the differences between this and all others; `None` if no fact speaks of
    /// it.
    pub(super) fn paths(&self, from: Option<Atom>) -> Option<Paths> {
        self.find(from).map(|from| Paths { from, reached: self.from(from) })
    }

    /// The greatest number that paths, which begin where the difference does, show it not to fall
    /// below.
    pub(super) fn low(&self, paths: &Paths, difference: &Difference) -> Option<i128> {
        let end = paths.reached.get(self.find(difference.to)? as usize)?;
        let cost = end.known.then_some(end.cost)?;
        difference.constant.checked_sub(cost.checked_mul(difference.factor)?)
    }

    /// The same, with the facts that say so.
    pub(super) fn least(&self, paths: &Paths, difference: &Difference) -> Option<Least> {
        let slack = self.low(paths, difference)?;
        let times =
            |(fact, weight): (usize, i128)| Some((fact, weight.checked_mul(difference.factor)?));
        let weights = self.weights(&paths.reached, paths.from, self.find(difference.to)?);
        let weights = weights.into_iter().map(times).collect::<Option<_>>()?;
        Some(Least { scale: 1, slack, weights, falsehood: self.falsehood.is_some() })
    }

    /// Facts that add up to a negative constant.
    pub(super) fn falsehood(&self) -> Option<&[(usize, i128)]> {
        self.falsehood.as_deref()
    }

    /// The number of an atom, or of zero, if any fact speaks of it.
    pub(super) fn find(&self, atom: Option<Atom>) -> Option<Node> {
        let Some(atom) = atom else { return Some(0) };
        match atom.factors() {
            (Var::Free(i), None) => {
                self.scope.get(usize::from(i)).copied().filter(|node| *node != NONE)
            }
            _ => self.others.iter().find(|(known, _)| *known == atom).map(|(_, node)| *node),
        }
    }

    /// What the term is where each atom is its potential less that of zero, which is a solution of
    /// all bounds and differences unless these contradict each other; what none of them speaks of
    /// is zero there.
    pub(super) fn value(&self, term: &Term) -> Option<i128> {
        let potential = |node: Node| self.nodes.get(node as usize).map(|head| head.potential);
        let zero = potential(0)?;
        let mut value = term.constant();
        for monomial in term.monomials() {
            let at = match self.find(Some(monomial.atom)) {
                Some(node) => potential(node)?.checked_sub(zero)?,
                None => 0,
            };
            value = value.checked_add(monomial.coefficient.checked_mul(at)?)?;
        }
        Some(value)
    }

    /// The number of an atom, or of zero: a new one if there is none.
    pub(super) fn node(&mut self, atom: Option<Atom>) -> Node {
        if let Some(node) = self.find(atom) {
            return node;
        }
        let Some(atom) = atom else { return 0 };
        let new = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Head::NEW);
        match atom.factors() {
            (Var::Free(i), None) => {
                let i = usize::from(i);
                if self.scope.len() <= i {
                    self.scope.resize(i + 1, NONE);
                }
                self.scope[i] = new;
            }
            _ => self.others.push((atom, new)),
        }
        new
    }

    /// The edges from a node.
    fn edges_from(&self, node: Node) -> impl Iterator<Item = (u32, &Edge)> {
        let first = self.nodes.get(node as usize).map_or(NONE, |head| head.first);
        let edge = |at: u32| self.edges.get(at as usize).map(|edge| (at, edge));
        std::iter::successors(edge(first), move |(_, edge_at)| edge(edge_at.next))
    }

    /// Adds an edge, unless that makes a cycle of negative cost: then that is kept.
    fn edge(&mut self, from: Node, edge: Edge) {
        if from == edge.to || edge.cost.unsigned_abs() > FAR {
            return;
        }
        let same = self.edges_from(from).find(|(_, old)| old.to == edge.to);
        let old = same.map(|(at, old)| (at, *old));
        let head = self.nodes[from as usize].first;
        let at = match old {
            Some((_, old)) if old.cost <= edge.cost => return,
            Some((at, old)) => {
                self.edges[at as usize] = Edge { next: old.next, ..edge };
                at
            }
            None => {
                let at = u32::try_from(self.edges.len()).unwrap_or(NONE);
                self.edges.push(Edge { next: head, ..edge });
                self.nodes[from as usize].first = at;
                at
            }
        };
        let Some(cycle) = self.settle(from, at) else { return };
        self.falsehood.get_or_insert(cycle);
        match old {
            Some((at, old)) => self.edges[at as usize] = old,
            None => {
                self.edges.pop();
                self.nodes[from as usize].first = head;
            }
        }
    }

    /// Lowers potentials for a new edge; or undoes that, and answers the cycle that is in the way.
    fn settle(&mut self, from: Node, at: u32) -> Option<Vec<(usize, i128)>> {
        let Edge { to, cost, .. } = self.edges[at as usize];
        let low = self.nodes[from as usize].potential + cost;
        if low >= self.nodes[to as usize].potential {
            return None;
        }
        let mut reached = vec![UNREACHED; self.nodes.len()];
        let mut before = vec![(to, self.nodes[to as usize].potential)];
        self.nodes[to as usize].potential = low;
        reached[to as usize] = Reached { by: at, before: from, ..UNREACHED };
        let mut queue = VecDeque::from([to]);
        while let Some(node) = queue.pop_front() {
            reached[node as usize].waits = false;
            let mut next = self.nodes[node as usize].first;
            while let Some(edge) = self.edges.get(next as usize).copied() {
                let by = std::mem::replace(&mut next, edge.next);
                let low = self.nodes[node as usize].potential + edge.cost;
                let high = &mut self.nodes[edge.to as usize].potential;
                if low >= *high {
                    continue;
                }
                let waits = reached[edge.to as usize].waits;
                reached[edge.to as usize] = Reached { by, before: node, waits: true, ..UNREACHED };
                if edge.to == from {
                    for (node, potential) in before.into_iter().rev() {
                        self.nodes[node as usize].potential = potential;
                    }
                    return Some(self.weights(&reached, from, from));
                }
                before.push((edge.to, *high));
                *high = low;
                if !waits {
                    queue.push_back(edge.to);
                }
            }
        }
        None
    }

    /// The shortest paths from a node (Bellman, Ford, Moore: no cycle is negative).
    fn from(&self, from: Node) -> Vec<Reached> {
        let mut reached = vec![UNREACHED; self.nodes.len()];
        reached[from as usize].known = true;
        let mut queue = VecDeque::from([from]);
        let mut steps = 0;
        while let Some(node) = queue.pop_front() {
            reached[node as usize].waits = false;
            let here = reached[node as usize].cost;
            for (by, edge) in self.edges_from(node) {
                steps += 1;
                let (there, cost) = (&mut reached[edge.to as usize], here + edge.cost);
                if there.known && there.cost <= cost {
                    continue;
                }
                let waits = there.waits;
                *there = Reached { cost, by, before: node, waits: true, known: true };
                if !waits {
                    queue.push_back(edge.to);
                }
            }
        }
        worked(steps);
        reached
    }

    /// The facts of the path to `to`, which begins at `from`.
    fn weights(&self, reached: &[Reached], from: Node, to: Node) -> Vec<(usize, i128)> {
        let mut weights: Vec<(usize, i128)> = Vec::new();
        let mut at = to;
        while let Some(edge) = self.edges.get(reached[at as usize].by as usize) {
            match weights.iter_mut().find(|(fact, _)| *fact == edge.fact) {
                Some((_, weight)) => *weight += edge.sign,
                None => weights.push((edge.fact, edge.sign)),
            }
            at = reached[at as usize].before;
            if at == from {
                break;
            }
        }
        weights.retain(|(_, weight)| *weight != 0);
        weights.sort_unstable();
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simplex::Polyhedron;

    fn atom(i: u16) -> Option<Atom> {
        (i > 0).then(|| Atom::var(Var::Free(i)))
    }

    fn difference(from: u16, to: u16, cost: i128) -> Term {
        let term = |i: u16| if i > 0 { Term::var(Var::Free(i)) } else { Term::ZERO };
        term(from).sub(&term(to)).and_then(|t| t.plus(cost)).unwrap()
    }

    fn least(zones: &Zones, from: u16, to: u16) -> Option<Least> {
        let difference = Difference { from: atom(from), to: atom(to), factor: 1, constant: 0 };
        zones.least(&zones.paths(atom(from))?, &difference)
    }

    #[test]
    fn a_cycle_is_told_and_left_out() {
        let facts = [(1, 0, -5), (2, 1, 0), (0, 2, 4), (0, 2, 9)];
        let mut zones = Zones::default();
        for (i, (from, to, cost)) in facts.into_iter().enumerate() {
            zones.add(i, &Fact { rel: Rel::Ge, term: difference(from, to, cost) });
        }
        assert_eq!(zones.falsehood(), Some(&[(0, 1), (1, 1), (2, 1)][..]));
        let known = least(&zones, 2, 0).unwrap();
        assert_eq!((known.slack, known.weights), (5, vec![(0, 1), (1, 1)]));
        assert!(known.falsehood);
        assert_eq!(least(&zones, 0, 2).unwrap().slack, -9);
    }

    /// Random bounds and differences, also contradictory ones: the same answers as the simplex
    /// gives, and certificates that add up.
    #[test]
    fn agrees_with_the_simplex() {
        let mut seed = 4_711_u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % n
        };
        let (mut bounded, mut contradictory) = (0, 0);
        for _ in 0..500 {
            let (mut zones, mut simplex) = (Zones::default(), Polyhedron::default());
            let mut facts = Vec::new();
            for i in 0..2 + random(14) {
                let (from, to) = (random(6) as u16, random(6) as u16);
                let cost = i128::from(random(20)) - 4;
                if from == to || simplex.falsehood().is_some() {
                    continue;
                }
                let rel = if random(4) == 0 { Rel::Eq } else { Rel::Ge };
                let fact = Fact { rel, term: difference(from, to, cost) };
                zones.add(i as usize, &fact);
                simplex.add(i as usize, &fact);
                facts.push((i as usize, fact));
            }
            let sum = |weights: &[(usize, i128)]| {
                weights.iter().fold(Term::ZERO, |sum, (number, weight)| {
                    let (_, fact) = facts.iter().find(|(i, _)| i == number).unwrap();
                    assert!(fact.rel == Rel::Eq || *weight > 0);
                    sum.add_scaled(&fact.term, *weight).unwrap()
                })
            };
            assert_eq!(zones.falsehood().is_some(), simplex.falsehood().is_some());
            if let Some(cycle) = zones.falsehood() {
                contradictory += 1;
                assert!(sum(cycle).as_int().unwrap() < 0);
                continue;
            }
            for (from, to) in (0..6).flat_map(|x| (0..6).map(move |y| (x, y))) {
                if from == to {
                    continue;
                }
                let path = least(&zones, from, to);
                let least = simplex.least(&difference(from, to, 0));
                let both = path.as_ref().zip(least.as_ref());
                assert_eq!(path.is_some(), least.is_some());
                let Some((path, least)) = both else { continue };
                bounded += 1;
                assert_eq!(path.slack * i128::from(least.scale), least.slack);
                assert_eq!(sum(&path.weights), difference(from, to, -path.slack));
            }
        }
        assert!(bounded > 500 && contradictory > 50, "{bounded} {contradictory}");
    }
}
