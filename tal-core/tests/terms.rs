//! Not trusted. Terms against polynomials that are written down in the plainest way: whatever a
//! term operation answers is the polynomial it should be, has one form, and is within the bounds.
//! Small and large terms are stored differently, so numbers here gather at the seams: 16 bits of a
//! coefficient, two variables, 64 and 80 bits of a constant.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use fastrand::Rng;
use std::collections::BTreeMap;
use tal_core::limits;
use tal_core::term::{Atom, Monomial, Term, Var};

/// Coefficients by atom, none of them zero; the atom of no variable is the constant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Plain(BTreeMap<Vec<Var>, i128>);

impl Plain {
    fn of(t: &Term) -> Plain {
        let mut plain = Plain::default();
        plain.add(&[], t.constant());
        for m in t.monomials() {
            let (a, b) = m.atom.factors();
            let atom: Vec<Var> = [a].into_iter().chain(b).collect();
            assert!(atom.is_sorted(), "{t:?}");
            assert!(m.coefficient != 0 && !plain.0.contains_key(&atom), "{t:?}");
            plain.add(&atom, m.coefficient);
        }
        assert!(t.monomials().map(|m| m.atom).is_sorted(), "{t:?}");
        plain
    }

    fn add(&mut self, atom: &[Var], by: i128) {
        let sum = self.0.get(atom).copied().unwrap_or(0) + by;
        self.0.remove(atom);
        if sum != 0 {
            self.0.insert(atom.to_vec(), sum);
        }
    }

    fn add_scaled(&self, other: &Plain, factor: i128) -> Plain {
        let mut sum = self.clone();
        for (atom, c) in &other.0 {
            sum.add(atom, factor * c);
        }
        sum
    }

    fn mul(&self, other: &Plain) -> Plain {
        let mut product = Plain::default();
        for (a, c) in &self.0 {
            for (b, d) in &other.0 {
                let mut atom: Vec<Var> = a.iter().chain(b).copied().collect();
                atom.sort_unstable();
                product.add(&atom, c * d);
            }
        }
        product
    }

    fn constant(&self) -> i128 {
        self.0.get(&vec![]).copied().unwrap_or(0)
    }

    fn monomials(&self) -> impl Iterator<Item = (&Vec<Var>, &i128)> {
        self.0.iter().filter(|(atom, _)| !atom.is_empty())
    }

    fn variable_part(&self) -> BTreeMap<Vec<Var>, i128> {
        self.monomials().map(|(a, c)| (a.clone(), *c)).collect()
    }

    /// Within the bounds of rule[term-form].
    fn fits(&self) -> bool {
        self.constant().abs() < limits::CONSTANT
            && self.monomials().count() <= limits::MONOMIALS
            && self.monomials().all(|(a, c)| a.len() <= 2 && c.abs() <= limits::COEFFICIENT)
    }
}

/// The answer is the polynomial, if there is an answer; where nothing on the way can leave the
/// bounds, there is one exactly if it fits.
fn same<E>(answer: &Result<Term, E>, want: &Plain, direct: bool) {
    match answer {
        Ok(term) => {
            assert_eq!(Plain::of(term), *want);
            assert!(want.fits(), "{term:?}");
        }
        Err(_) => assert!(!direct || !want.fits(), "refused: {want:?}"),
    }
}

fn number(rng: &mut Rng, bits: u32) -> i128 {
    let edges = [0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 79];
    let edge = 1_i128 << edges[rng.usize(0..edges.len())].min(bits);
    let near = edge + i128::from(rng.i8(-2..3));
    let small = i128::from(rng.i8(-4..5));
    let any = i128::from(rng.i64(..)) >> rng.u32(0..64);
    let choice = [near, -near, small, any];
    choice[rng.usize(0..4)]
}

fn variable(rng: &mut Rng) -> Var {
    let i = rng.u16(0..4);
    [Var::Free(i), Var::Inner(i), Var::Param(i), Var::Bound(i), Var::Value][rng.usize(0..5)]
}

/// A random term, by its parts.
fn term(rng: &mut Rng) -> Term {
    loop {
        let mut parts: BTreeMap<Atom, i128> = BTreeMap::new();
        for _ in 0..[0, 1, 1, 2, 2, 3, 12][rng.usize(0..7)] {
            let atom = match rng.u8(0..6) {
                0 => Atom::product(variable(rng), variable(rng)),
                _ => Atom::var(variable(rng)),
            };
            parts.insert(atom, number(rng, 64));
        }
        let one = |(atom, coefficient)| Monomial { atom, coefficient };
        let monomials: Vec<Monomial> = parts.into_iter().map(one).collect();
        let constant = number(rng, 79);
        if let Ok(term) = Term::from_parts(constant, &monomials) {
            assert_eq!(term.constant(), constant);
            assert!(term.monomials().eq(monomials.iter().copied()));
            return term;
        }
    }
}

fn one_round(rng: &mut Rng, pool: &mut [Term]) {
    let (i, j) = (rng.usize(0..pool.len()), rng.usize(0..pool.len()));
    let (a, b) = (pool[i].clone(), pool[j].clone());
    let (p, q) = (Plain::of(&a), Plain::of(&b));
    let factor = number(rng, 64);
    same(&a.add(&b), &p.add_scaled(&q, 1), true);
    same(&a.sub(&b), &p.add_scaled(&q, -1), true);
    // Products of large numbers may leave 128 bits.
    if factor.abs() < 1 << 40 {
        let answer = a.add_scaled(&b, factor);
        same(&answer, &p.add_scaled(&q, factor), false);
        if let Ok(term) = answer {
            pool[rng.usize(0..pool.len())] = term;
        }
    }
    let narrow = |p: &Plain| p.0.values().all(|c| c.abs() < 1 << 50);
    if narrow(&p) && narrow(&q) {
        same(&a.mul(&b), &p.mul(&q), false);
        let v = variable(rng);
        let images = |w: Var| (w == v).then(|| b.clone());
        let mut want = Plain::default();
        let mut by_hand = |atom: &[Var], c: i128| {
            let mut product = Plain([(vec![], c)].into());
            for w in atom {
                let image = if *w == v { q.clone() } else { Plain([(vec![*w], 1)].into()) };
                product = product.mul(&image);
            }
            want = want.add_scaled(&product, 1);
        };
        // Three factors of 50 bits are too many for this side's arithmetic.
        let degree_two = p.monomials().any(|(atom, _)| atom.len() == 2);
        if !degree_two || p.0.values().chain(q.0.values()).all(|c| c.abs() < 1 << 30) {
            p.0.iter().for_each(|(atom, c)| by_hand(atom, *c));
            same(&a.subst(&images), &want, false);
        }
    }
    let moved = p.add_scaled(&Plain([(vec![], 1)].into()), factor);
    same(&a.plus(factor), &moved, true);
    if let Ok(quotient) = a.floor_div(factor) {
        assert!(factor > 0);
        let r = Plain::of(&quotient);
        assert_eq!(r.constant(), p.constant().div_euclid(factor));
        let back: BTreeMap<_, _> = r.monomials().map(|(x, c)| (x.clone(), c * factor)).collect();
        assert_eq!(back, p.variable_part());
    }
    assert_eq!(a == b, p == q);
    assert_eq!(a.cmp(&b).is_eq(), p == q);
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    let (x, y) = (p.variable_part(), q.variable_part());
    assert_eq!(a.same_shape(&b), x == y);
    let negated: BTreeMap<_, _> = y.iter().map(|(atom, c)| (atom.clone(), -c)).collect();
    assert_eq!(a.opposite_shape(&b), x == negated);
    assert_eq!(a.as_int(), x.is_empty().then(|| p.constant()));
    let alone = x.len() == 1 && p.constant() == 0 && x.iter().all(|(v, c)| v.len() == 1 && *c == 1);
    assert_eq!(a.as_var().is_some(), alone);
    assert!(a.as_var().is_none_or(|v| x.contains_key(&vec![v])));
    let occurs: Vec<Var> = x.keys().flatten().copied().collect();
    assert_eq!(a.vars().count(), occurs.len());
    for v in &occurs {
        assert!(!a.every_var(|w| w != *v));
    }
    assert!(a.every_var(|w| occurs.contains(&w)));
}

#[test]
fn t45_u17_terms_are_polynomials() {
    let mut rng = Rng::with_seed(45);
    for _ in 0..400 {
        let mut pool: Vec<Term> = (0..6).map(|_| term(&mut rng)).collect();
        // Some that are alike.
        pool.push(pool[0].scale(-1).unwrap_or_default());
        pool.push(pool[1].plus(1).unwrap_or_default());
        for _ in 0..100 {
            one_round(&mut rng, &mut pool);
            let at = rng.usize(0..pool.len());
            if rng.u8(0..8) == 0 {
                pool[at] = term(&mut rng);
            }
        }
    }
}
