//! TCB. Variables, and linear terms over them and their pairwise products (core.md 4.1).
//!
//! A [`Term`] denotes a mathematical integer. Every operation is checked: a result that leaves the
//! bounds of `term-form` is [`TooBig`], never a wrapped number (redteam U17, traps 45).

use crate::counted::Rc;
use crate::limits;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;

/// A variable. The class says which table its index points into, so that substitution for one class
/// cannot capture another (traps 47, 48).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Var {
    /// Declared in the state: the signature's first, then the label's, then the fresh ones.
    /// In a signature: its own variables, pre-state first, then post-state.
    Free(u16),
    /// Variable of a signature nested in another one (the type of a code parameter).
    Inner(u16),
    /// Parameter of the named type whose body this is.
    Param(u16),
    /// Bound by the nearest `ex`.
    Bound(u16),
    /// The value of the integer field whose refinement this is.
    Value,
}

/// One variable, or the product of two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Atom(Var, Option<Var>);

impl Atom {
    /// The atom of one variable.
    #[must_use]
    #[inline]
    pub fn var(v: Var) -> Self {
        Atom(v, None)
    }

    /// The product of two variables, in canonical order.
    #[must_use]
    pub fn product(a: Var, b: Var) -> Self {
        if a <= b { Atom(a, Some(b)) } else { Atom(b, Some(a)) }
    }

    /// The factors: one or two.
    #[must_use]
    pub fn factors(self) -> (Var, Option<Var>) {
        (self.0, self.1)
    }
}

/// `coefficient * atom`, coefficient not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Monomial {
    /// The variable or product.
    pub atom: Atom,
    /// Its factor, within [`limits::COEFFICIENT`], not zero.
    pub coefficient: i128,
}

impl Monomial {
    /// None, where a place for one has to be filled.
    pub(crate) const NONE: Monomial = Monomial { atom: Atom(Var::Value, None), coefficient: 0 };
}

/// The term has too many monomials, a coefficient out of bounds, or degree above two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig;

/// A linear combination of atoms plus a constant, in the one normal form: monomials sorted by atom,
/// no zero coefficient. Equal integers-as-polynomials are equal values.
#[derive(Clone, PartialEq, Eq)]
pub struct Term(Repr);

/// What fits is small, so that derived equality is equality.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Repr {
    Small(Small),
    /// Shared by all copies.
    Large(Rc<Large>),
}

/// At most two variables with small coefficients, no product, and any constant: most terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Small {
    /// The constant is `high * 2^64 + low`; in two parts, since that takes less room.
    low: u64,
    high: i32,
    /// Sorted by variable; those that are none come last.
    parts: [Part; 2],
}

/// `coefficient * var`; none if the coefficient is zero, and then of [`Var::Value`]. The variable
/// is taken apart, so that parts are compared as plain numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    coefficient: i16,
    class: Class,
    index: u16,
}

/// Which variant a [`Var`] is, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
enum Class {
    Free,
    Inner,
    Param,
    Bound,
    Value,
}

/// Any term that is not small.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Large {
    constant: i128,
    monomials: Vec<Monomial>,
}

// A state is made of terms, so their size is the judge's.
const _: () = assert!(size_of::<Term>() == 24);

impl Default for Term {
    fn default() -> Self {
        Term::ZERO
    }
}

impl fmt::Debug for Term {
    /// As a sum: what is printed does not tell how it is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Monomial { atom: Atom(first, second), coefficient } in self.monomials() {
            write!(f, "{coefficient}*{first:?}")?;
            if let Some(second) = second {
                write!(f, "*{second:?}")?;
            }
            f.write_str(" + ")?;
        }
        write!(f, "{}", self.constant())
    }
}

impl Part {
    const NONE: Part = Part { coefficient: 0, class: Class::Value, index: 0 };

    fn new(coefficient: i16, var: Var) -> Part {
        let (class, index) = match var {
            Var::Free(i) => (Class::Free, i),
            Var::Inner(i) => (Class::Inner, i),
            Var::Param(i) => (Class::Param, i),
            Var::Bound(i) => (Class::Bound, i),
            Var::Value => (Class::Value, 0),
        };
        Part { coefficient, class, index }
    }

    fn var(self) -> Var {
        match self.class {
            Class::Free => Var::Free(self.index),
            Class::Inner => Var::Inner(self.index),
            Class::Param => Var::Param(self.index),
            Class::Bound => Var::Bound(self.index),
            Class::Value => Var::Value,
        }
    }

    /// The place of the variable in the order of variables.
    fn place(self) -> (Class, u16) {
        (self.class, self.index)
    }

    /// `factor` times this, and `besides` times its variable.
    fn scaled(self, factor: i64, besides: i16) -> Option<Part> {
        let product = factor.checked_mul(i64::from(self.coefficient))?;
        let sum = product.checked_add(i64::from(besides))?;
        Some(Part { coefficient: i16::try_from(sum).ok()?, ..self })
    }
}

impl From<Part> for Monomial {
    fn from(part: Part) -> Self {
        Monomial { atom: Atom::var(part.var()), coefficient: i128::from(part.coefficient) }
    }
}

impl Small {
    const ZERO: Small = Small { low: 0, high: 0, parts: [Part::NONE; 2] };

    #[inline]
    fn constant(&self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    /// The same with another constant, if that is within [`limits::CONSTANT`].
    #[inline]
    fn with(self, constant: i128) -> Option<Small> {
        let bounded = -limits::CONSTANT < constant && constant < limits::CONSTANT;
        let high = i32::try_from(constant >> 64).ok()?;
        bounded.then_some(Small { low: constant as u64, high, parts: self.parts })
    }

    /// The parts that are some.
    #[inline]
    fn parts(&self) -> &[Part] {
        match &self.parts {
            [Part { coefficient: 0, .. }, _] => &[],
            [one, Part { coefficient: 0, .. }] => core::slice::from_ref(one),
            both => both,
        }
    }

    /// The small term of these, if it is one.
    fn of(constant: i128, monomials: &[Monomial]) -> Option<Small> {
        let mut small = Small::ZERO.with(constant)?;
        if monomials.len() > small.parts.len() {
            return None;
        }
        for (part, m) in small.parts.iter_mut().zip(monomials) {
            let Atom(var, None) = m.atom else { return None };
            *part = Part::new(i16::try_from(m.coefficient).ok()?, var);
        }
        Some(small)
    }

    /// `self + factor * other`, if that is small.
    #[inline]
    fn add_scaled(&self, other: &Small, factor: i64) -> Option<Small> {
        // The factors of nearly all sums; a product of 128 bits that is checked is dear.
        let constant = match factor {
            1 => self.constant().checked_add(other.constant()),
            -1 => self.constant().checked_sub(other.constant()),
            _ => mul_add(i128::from(factor), other.constant(), self.constant()).ok(),
        };
        let sum = self.with(constant?)?;
        match (self.parts(), other.parts()) {
            (_, []) => Some(sum),
            ([], _) if factor == 1 => Some(Small { parts: other.parts, ..sum }),
            ([], _) if factor == -1 => {
                let [first, second] = other.parts;
                Some(Small { parts: [first.scaled(-1, 0)?, second.scaled(-1, 0)?], ..sum })
            }
            (left, right) => Some(Small { parts: merged(left, right, factor)?, ..sum }),
        }
    }
}

/// `left + factor * right`, if it has room and numbers for that.
fn merged(mut left: &[Part], mut right: &[Part], factor: i64) -> Option<[Part; 2]> {
    let mut sum = [Part::NONE; 2];
    let mut places = sum.iter_mut();
    loop {
        let part = match (left, right) {
            ([], []) => return Some(sum),
            ([a, rest @ ..], []) => {
                left = rest;
                *a
            }
            ([a, rest @ ..], [b, ..]) if a.place() < b.place() => {
                left = rest;
                *a
            }
            ([a, left_rest @ ..], [b, right_rest @ ..]) if a.place() == b.place() => {
                (left, right) = (left_rest, right_rest);
                b.scaled(factor, a.coefficient)?
            }
            (_, [b, rest @ ..]) => {
                right = rest;
                b.scaled(factor, 0)?
            }
        };
        if part.coefficient != 0 {
            *places.next()? = part;
        }
    }
}

/// The monomials of a term, in increasing order of atoms.
#[derive(Clone, Copy, Debug)]
pub struct Monomials<'t> {
    /// Those of a small term. One of the two is empty.
    few: &'t [Part],
    many: &'t [Monomial],
}

impl Monomials<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.few.len().saturating_add(self.many.len())
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<Monomial> {
        let mut all = *self;
        all.next()
    }

    /// All of them.
    #[must_use]
    pub fn iter(&self) -> Self {
        *self
    }
}

impl Iterator for Monomials<'_> {
    type Item = Monomial;

    #[inline]
    fn next(&mut self) -> Option<Monomial> {
        if let [part, rest @ ..] = self.few {
            self.few = rest;
            return Some((*part).into());
        }
        let [monomial, rest @ ..] = self.many else { return None };
        self.many = rest;
        Some(*monomial)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Term) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Term) -> Ordering {
        let constants = self.constant().cmp(&other.constant());
        constants.then_with(|| self.monomials().cmp(other.monomials()))
    }
}

/// Monomials in increasing order of atoms while a term is made of them.
struct Draft {
    filled: usize,
    monomials: [Monomial; limits::MONOMIALS],
}

impl Draft {
    const EMPTY: Draft = Draft { filled: 0, monomials: [Monomial::NONE; limits::MONOMIALS] };

    /// Appends a monomial; what is zero is none.
    fn push(&mut self, monomial: Monomial) -> Result<(), TooBig> {
        if monomial.coefficient != 0 {
            *self.monomials.get_mut(self.filled).ok_or(TooBig)? = monomial;
            self.filled = self.filled.saturating_add(1);
        }
        Ok(())
    }

    fn with(&self, constant: i128) -> Result<Term, TooBig> {
        Term::formed(constant, self.monomials.get(..self.filled).ok_or(TooBig)?)
    }
}

impl Term {
    /// The term 0.
    pub const ZERO: Term = Term(Repr::Small(Small::ZERO));

    /// A constant. Panics never; the argument is a machine or manual constant, far below the bound.
    #[must_use]
    #[inline]
    pub fn int(c: i64) -> Self {
        let high = if c < 0 { -1 } else { 0 };
        Term(Repr::Small(Small { low: c as u64, high, ..Small::ZERO }))
    }

    /// A constant of any size.
    ///
    /// # Errors
    /// [`TooBig`] when it is not below [`limits::CONSTANT`] in magnitude.
    #[inline]
    pub fn constant_of(c: i128) -> Result<Self, TooBig> {
        Small::ZERO.with(c).map(|small| Term(Repr::Small(small))).ok_or(TooBig)
    }

    /// The variable `v`.
    #[must_use]
    pub fn var(v: Var) -> Self {
        Term(Repr::Small(Small { parts: [Part::new(1, v), Part::NONE], ..Small::ZERO }))
    }

    /// A term from a constant and monomials in strictly increasing order of atoms.
    ///
    /// # Errors
    /// [`TooBig`] when the parts are not a term in normal form.
    pub fn from_parts(constant: i128, monomials: impl AsRef<[Monomial]>) -> Result<Self, TooBig> {
        let monomials = monomials.as_ref();
        let mut last = None;
        for m in monomials {
            let canonical = m.atom.1.is_none_or(|second| m.atom.0 <= second);
            if m.coefficient == 0 || !canonical || last >= Some(m.atom) {
                return Err(TooBig);
            }
            last = Some(m.atom);
        }
        Term::formed(constant, monomials)
    }

    /// The constant part.
    #[must_use]
    #[inline]
    pub fn constant(&self) -> i128 {
        match &self.0 {
            Repr::Small(small) => small.constant(),
            Repr::Large(large) => large.constant,
        }
    }

    /// The monomials, sorted by atom.
    #[must_use]
    #[inline]
    pub fn monomials(&self) -> Monomials<'_> {
        match &self.0 {
            Repr::Small(small) => Monomials { few: small.parts(), many: &[] },
            Repr::Large(large) => Monomials { few: &[], many: &large.monomials },
        }
    }

    /// Bytes that the term has allocated, but for the allocator's own.
    pub(crate) fn allocated(&self) -> usize {
        match &self.0 {
            Repr::Small(_) => 0,
            Repr::Large(large) => {
                let monomials = large.monomials.len().saturating_mul(size_of::<Monomial>());
                monomials.saturating_add(size_of::<Large>())
            }
        }
    }

    /// The value, if no variable occurs.
    #[must_use]
    #[inline]
    pub fn as_int(&self) -> Option<i128> {
        match &self.0 {
            Repr::Small(small) if small.parts().is_empty() => Some(small.constant()),
            Repr::Small(_) | Repr::Large(_) => None,
        }
    }

    /// The variable, if the term is exactly one variable.
    #[must_use]
    #[inline]
    pub fn as_var(&self) -> Option<Var> {
        match self.0 {
            Repr::Small(Small {
                low: 0,
                high: 0,
                parts: [one @ Part { coefficient: 1, .. }, Part { coefficient: 0, .. }],
            }) => Some(one.var()),
            Repr::Small(_) | Repr::Large(_) => None,
        }
    }

    /// The variable of `c + v` (true) or `c - v` (false). A square is none, and neither is a
    /// multiple.
    #[must_use]
    #[inline]
    pub fn one_var(&self) -> Option<(Var, bool)> {
        let Repr::Small(Small { parts: [one, Part { coefficient: 0, .. }], .. }) = &self.0 else {
            return None;
        };
        match one.coefficient {
            1 => Some((one.var(), true)),
            -1 => Some((one.var(), false)),
            _ => None,
        }
    }

    /// Every variable that occurs, with repetitions.
    pub fn vars(&self) -> impl Iterator<Item = Var> + '_ {
        self.monomials().flat_map(|m| core::iter::once(m.atom.0).chain(m.atom.1))
    }

    /// Does this hold of every variable that occurs?
    #[inline]
    pub fn every_var(&self, mut is: impl FnMut(Var) -> bool) -> bool {
        match &self.0 {
            Repr::Small(small) => small.parts().iter().all(|part| is(part.var())),
            Repr::Large(large) => {
                let mut both = |Atom(a, b): Atom| is(a) && b.is_none_or(&mut is);
                large.monomials.iter().all(|m| both(m.atom))
            }
        }
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`TooBig`], as for all arithmetic here.
    #[inline]
    pub fn add(&self, other: &Term) -> Result<Term, TooBig> {
        self.small_sum(other, 1).map_or_else(|| self.merge(other, 1), Ok)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`TooBig`].
    #[inline]
    pub fn sub(&self, other: &Term) -> Result<Term, TooBig> {
        self.small_sum(other, -1).map_or_else(|| self.merge(other, -1), Ok)
    }

    /// `self + c`.
    ///
    /// # Errors
    /// [`TooBig`].
    #[inline]
    pub fn plus(&self, c: i128) -> Result<Term, TooBig> {
        if let Repr::Small(small) = &self.0 {
            let sum = small.constant().checked_add(c).and_then(|sum| small.with(sum));
            return sum.map(|sum| Term(Repr::Small(sum))).ok_or(TooBig);
        }
        self.add(&Term::constant_of(c)?)
    }

    /// `factor * self`.
    ///
    /// # Errors
    /// [`TooBig`].
    #[inline]
    pub fn scale(&self, factor: i128) -> Result<Term, TooBig> {
        Term::ZERO.add_scaled(self, factor)
    }

    /// `self + factor * other`: the one place where two terms meet.
    ///
    /// # Errors
    /// [`TooBig`].
    #[inline]
    pub fn add_scaled(&self, other: &Term, factor: i128) -> Result<Term, TooBig> {
        let small = i64::try_from(factor).ok().and_then(|f| self.small_sum(other, f));
        small.map_or_else(|| self.merge(other, factor), Ok)
    }

    /// `self + factor * other`, if all three are small.
    #[inline]
    fn small_sum(&self, other: &Term, factor: i64) -> Option<Term> {
        let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0) else { return None };
        Some(Term(Repr::Small(a.add_scaled(b, factor)?)))
    }

    /// As [`Term::add_scaled`], for terms of any size.
    #[inline(never)]
    fn merge(&self, other: &Term, factor: i128) -> Result<Term, TooBig> {
        let constant = mul_add(factor, other.constant(), self.constant())?;
        let mut draft = Draft::EMPTY;
        let mut left = self.monomials().peekable();
        for b in other.monomials() {
            while let Some(a) = left.next_if(|a| a.atom < b.atom) {
                draft.push(a)?;
            }
            let besides = left.next_if(|a| a.atom == b.atom).map_or(0, |a| a.coefficient);
            let coefficient = mul_add(factor, b.coefficient, besides)?;
            draft.push(Monomial { atom: b.atom, coefficient })?;
        }
        left.try_for_each(|a| draft.push(a))?;
        draft.with(constant)
    }

    /// `self * other`; monomials of degree above two do not exist.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn mul(&self, other: &Term) -> Result<Term, TooBig> {
        let mut sum = other.scale(self.constant())?;
        for m in self.monomials() {
            let scaled = other.times_monomial(m)?;
            sum = sum.add(&scaled)?;
        }
        Ok(sum)
    }

    fn times_monomial(&self, m: Monomial) -> Result<Term, TooBig> {
        let mut sum = Term::ZERO;
        if self.constant() != 0 {
            let coefficient = mul_add(m.coefficient, self.constant(), 0)?;
            sum = sum.add(&Term::monomial(m.atom, coefficient)?)?;
        }
        for other in self.monomials() {
            let (Atom(a, None), Atom(b, None)) = (m.atom, other.atom) else { return Err(TooBig) };
            let coefficient = mul_add(m.coefficient, other.coefficient, 0)?;
            sum = sum.add(&Term::monomial(Atom::product(a, b), coefficient)?)?;
        }
        Ok(sum)
    }

    fn monomial(atom: Atom, coefficient: i128) -> Result<Term, TooBig> {
        let one = [Monomial { atom, coefficient }];
        Term::formed(0, if coefficient == 0 { &[] } else { &one })
    }

    /// rule[term-subst]: all variables at once. `theta` answers `None` for a variable that stays.
    ///
    /// # Errors
    /// [`TooBig`] when the result is no term.
    pub fn subst<T: Borrow<Term>>(&self, theta: &dyn Fn(Var) -> Option<T>) -> Result<Term, TooBig> {
        let mut sum = Term::constant_of(self.constant())?;
        for m in self.monomials() {
            let (a, b) = (theta(m.atom.0), m.atom.1);
            let a = a.as_ref().map(Borrow::borrow);
            sum = match (a, b) {
                (Some(value), None) => sum.add_scaled(value, m.coefficient)?,
                (None, None) => sum.add_scaled(&Term::var(m.atom.0), m.coefficient)?,
                (a, Some(b)) => {
                    let image = theta(b);
                    let second = image.as_ref().map_or(&Term::var(b), Borrow::borrow).clone();
                    let first = a.cloned().unwrap_or_else(|| Term::var(m.atom.0));
                    sum.add_scaled(&first.mul(&second)?, m.coefficient)?
                }
            };
        }
        Ok(sum)
    }

    /// Greatest common divisor of the coefficients of the monomials; 0 if there is none.
    #[must_use]
    pub fn gcd(&self) -> i128 {
        let mut g: i128 = 0;
        for m in self.monomials() {
            let mut b = m.coefficient.unsigned_abs();
            let mut a = g.unsigned_abs();
            while b != 0 {
                (a, b) = (b, a.checked_rem(b).unwrap_or(0));
            }
            // At most 2^64 by the bound on coefficients, so it fits.
            g = i128::try_from(a).unwrap_or(1);
        }
        g
    }

    /// The term with all coefficients divided by `d` and the constant divided and floored:
    /// the integer consequence of `self >= 0` (rule[step-cut]).
    ///
    /// # Errors
    /// [`TooBig`] when `d` is not positive or does not divide each coefficient.
    pub fn floor_div(&self, d: i128) -> Result<Term, TooBig> {
        if d <= 0 {
            return Err(TooBig);
        }
        let mut draft = Draft::EMPTY;
        for m in self.monomials() {
            if m.coefficient.checked_rem_euclid(d) != Some(0) {
                return Err(TooBig);
            }
            let coefficient = m.coefficient.checked_div_euclid(d).ok_or(TooBig)?;
            draft.push(Monomial { atom: m.atom, coefficient })?;
        }
        draft.with(self.constant().checked_div_euclid(d).ok_or(TooBig)?)
    }

    /// Do the two have the same variable part?
    #[must_use]
    #[inline]
    pub fn same_shape(&self, other: &Term) -> bool {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.parts == b.parts,
            (Repr::Large(a), Repr::Large(b)) => a.monomials == b.monomials,
            // What is small is so by its monomials.
            (Repr::Small(_), Repr::Large(_)) | (Repr::Large(_), Repr::Small(_)) => false,
        }
    }

    /// Is the variable part of one that of the other with all signs changed?
    #[must_use]
    pub fn opposite_shape(&self, other: &Term) -> bool {
        let opposite = |(a, b): (Monomial, Monomial)| {
            a.atom == b.atom && Some(a.coefficient) == b.coefficient.checked_neg()
        };
        let (left, right) = (self.monomials(), other.monomials());
        left.len() == right.len() && left.zip(right).all(opposite)
    }

    /// rule[term-form]: the term of these, sorted and none zero.
    fn formed(constant: i128, monomials: &[Monomial]) -> Result<Term, TooBig> {
        if let Some(small) = Small::of(constant, monomials) {
            return Ok(Term(Repr::Small(small)));
        }
        let bounded = |c: i128, bound: i128| -bound <= c && c <= bound;
        let ok = constant > -limits::CONSTANT
            && constant < limits::CONSTANT
            && monomials.len() <= limits::MONOMIALS
            && monomials.iter().all(|m| bounded(m.coefficient, limits::COEFFICIENT));
        let large = || Large { constant, monomials: monomials.to_vec() };
        if ok { Ok(Term(Repr::Large(Rc::new(large())))) } else { Err(TooBig) }
    }
}

/// `a * b + c`, checked.
fn mul_add(a: i128, b: i128, c: i128) -> Result<i128, TooBig> {
    // By far most factors are these; a multiplication of 128 bits that is checked is dear.
    let product = match a {
        1 => Some(b),
        -1 => b.checked_neg(),
        _ => a.checked_mul(b),
    };
    product.and_then(|ab| ab.checked_add(c)).ok_or(TooBig)
}
