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
use core::num::NonZeroU16;

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

/// At most two variables, no product, coefficients that have a [`Code`], and any constant: most
/// terms. In parts that take little room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Small {
    /// The constant is `high * 2^64 + low`.
    low: u64,
    high: i32,
    /// By increasing name; those that are none have the coefficient 0, and come last.
    codes: [Code; 2],
    names: [Name; 2],
}

/// A variable as a number, in the order of variables; not too high a number of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Name(NonZeroU16);

/// A coefficient: below 2^30 in magnitude itself, and 2^30 + k for 2^k from 2^30 to 2^64, with the
/// sign of the coefficient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Code(i32);

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

impl Name {
    const NONE: Name = Name(NonZeroU16::MAX);
    /// Bits of a number below the variant of the variable.
    const BITS: u16 = 13;

    fn of(var: Var) -> Option<Name> {
        let (class, index) = match var {
            Var::Free(i) => (0, i),
            Var::Inner(i) => (1, i),
            Var::Param(i) => (2, i),
            Var::Bound(i) => (3, i),
            Var::Value => (4, 0),
        };
        let fits = index >> Name::BITS == 0;
        let number = (class << Name::BITS | index).checked_add(1).and_then(NonZeroU16::new);
        number.filter(|_| fits).map(Name)
    }

    #[inline]
    fn var(self) -> Var {
        let number = self.0.get().saturating_sub(1);
        let index = number & (u16::MAX >> (16 - Name::BITS));
        match number >> Name::BITS {
            0 => Var::Free(index),
            1 => Var::Inner(index),
            2 => Var::Param(index),
            3 => Var::Bound(index),
            _ => Var::Value,
        }
    }
}

impl Code {
    const NONE: Code = Code(0);
    const POWERS: u32 = 1 << 30;

    #[inline]
    fn of(coefficient: i128) -> Option<Code> {
        if let Ok(itself) = i32::try_from(coefficient)
            && itself.unsigned_abs() < Code::POWERS
        {
            return Some(Code(itself));
        }
        let power = coefficient.unsigned_abs();
        if !power.is_power_of_two() || power > 1 << 64 {
            return None;
        }
        let code = i32::try_from(Code::POWERS.checked_add(power.trailing_zeros())?).ok()?;
        Some(if coefficient < 0 { Code(code).negated() } else { Code(code) })
    }

    /// The coefficient, if the code is that.
    #[inline]
    fn itself(self) -> Option<i64> {
        (self.0.unsigned_abs() < Code::POWERS).then_some(i64::from(self.0))
    }

    #[inline]
    fn coefficient(self) -> i128 {
        let Some(power) = self.0.unsigned_abs().checked_sub(Code::POWERS) else {
            return i128::from(self.0);
        };
        let power = 1_i128.checked_shl(power).unwrap_or(0);
        if self.0 < 0 { power.wrapping_neg() } else { power }
    }

    #[inline]
    fn negated(self) -> Code {
        // No code is the least number.
        Code(self.0.wrapping_neg())
    }

    /// `factor` times this, plus another, if that has a code.
    #[inline]
    fn scaled(self, factor: i64, besides: Code) -> Option<Code> {
        match (factor, besides) {
            (1, Code::NONE) => return Some(self),
            (-1, Code::NONE) => return Some(self.negated()),
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.itself(), besides.itself()) {
            return Code::of(i128::from(a.checked_mul(factor)?.checked_add(b)?));
        }
        let product = self.coefficient().checked_mul(i128::from(factor))?;
        Code::of(product.checked_add(besides.coefficient())?)
    }
}

impl Small {
    const ZERO: Small = Small { low: 0, high: 0, codes: [Code::NONE; 2], names: [Name::NONE; 2] };

    #[inline]
    fn constant(&self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    /// The same with another constant, if that is within [`limits::CONSTANT`].
    #[inline]
    fn with(self, constant: i128) -> Option<Small> {
        let bounded = -limits::CONSTANT < constant && constant < limits::CONSTANT;
        let high = i32::try_from(constant >> 64).ok()?;
        bounded.then_some(Small { low: constant as u64, high, ..self })
    }

    /// The coefficients that are some.
    #[inline]
    fn codes(&self) -> &[Code] {
        match &self.codes {
            [Code::NONE, _] => &[],
            [one, Code::NONE] => core::slice::from_ref(one),
            both => both,
        }
    }

    /// The small term of these, if it is one.
    fn of(constant: i128, monomials: &[Monomial]) -> Option<Small> {
        let mut small = Small::ZERO.with(constant)?;
        if monomials.len() > small.codes.len() {
            return None;
        }
        let places = small.codes.iter_mut().zip(&mut small.names);
        for ((code, name), m) in places.zip(monomials) {
            let Atom(var, None) = m.atom else { return None };
            (*code, *name) = (Code::of(m.coefficient)?, Name::of(var)?);
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
        match (self.codes(), other.codes()) {
            (_, []) => Some(sum),
            ([], [first, second @ ..]) => {
                let first = first.scaled(factor, Code::NONE)?;
                let second = second
                    .first()
                    .map_or(Some(Code::NONE), |second| second.scaled(factor, Code::NONE))?;
                let names = if factor == 0 { Small::ZERO.names } else { other.names };
                Some(Small { codes: [first, second], names, ..sum })
            }
            _ => self.merged(other, factor, sum),
        }
    }

    /// The variables of `self + factor * other`, if there is room, with the constant of `sum`.
    fn merged(&self, other: &Small, factor: i64, sum: Small) -> Option<Small> {
        let mut sum = Small { low: sum.low, high: sum.high, ..Small::ZERO };
        let mut places = sum.codes.iter_mut().zip(&mut sum.names);
        let part = |small: &Small, at: usize| {
            let name = *small.names.get(at).unwrap_or(&Name::NONE);
            (name, *small.codes.get(at).unwrap_or(&Code::NONE))
        };
        let (mut left, mut right) = (0_usize, 0_usize);
        loop {
            let ((a, besides), (b, code)) = (part(self, left), part(other, right));
            let name = a.min(b);
            if name == Name::NONE {
                return Some(sum);
            }
            left = left.saturating_add(usize::from(a == name));
            right = right.saturating_add(usize::from(b == name));
            let code = match (a == name, b == name) {
                (true, true) => code.scaled(factor, besides)?,
                (true, false) => besides,
                _ => code.scaled(factor, Code::NONE)?,
            };
            if code != Code::NONE {
                let (to, of) = places.next()?;
                (*to, *of) = (code, name);
            }
        }
    }
}

/// The monomials of a term, in increasing order of atoms.
#[derive(Clone, Copy, Debug)]
pub struct Monomials<'t> {
    /// Those of a small term, with the variable of each. One of the two is empty.
    few: &'t [Code],
    names: &'t [Name],
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
        if let ([code, rest @ ..], [name, names @ ..]) = (self.few, self.names) {
            (self.few, self.names) = (rest, names);
            return Some(Monomial { atom: Atom::var(name.var()), coefficient: code.coefficient() });
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
        let Some(name) = Name::of(v) else {
            let monomials = Vec::from([Monomial { atom: Atom::var(v), coefficient: 1 }]);
            return Term(Repr::Large(Rc::new(Large { constant: 0, monomials })));
        };
        let (codes, names) = ([Code(1), Code::NONE], [name, Name::NONE]);
        Term(Repr::Small(Small { codes, names, ..Small::ZERO }))
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
            Repr::Small(small) => Monomials { few: small.codes(), names: &small.names, many: &[] },
            Repr::Large(large) => Monomials { few: &[], names: &[], many: &large.monomials },
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
            Repr::Small(small) if small.codes().is_empty() => Some(small.constant()),
            Repr::Small(_) | Repr::Large(_) => None,
        }
    }

    /// The variable, if the term is exactly one variable.
    #[must_use]
    #[inline]
    pub fn as_var(&self) -> Option<Var> {
        match self.one_var() {
            Some((var, true)) if self.constant() == 0 => Some(var),
            _ => None,
        }
    }

    /// The variable of `c + v` (true) or `c - v` (false). A square is none, and neither is a
    /// multiple.
    #[must_use]
    #[inline]
    pub fn one_var(&self) -> Option<(Var, bool)> {
        match &self.0 {
            Repr::Small(Small { codes: [Code(1), Code::NONE], names: [name, _], .. }) => {
                Some((name.var(), true))
            }
            Repr::Small(Small { codes: [Code(-1), Code::NONE], names: [name, _], .. }) => {
                Some((name.var(), false))
            }
            Repr::Small(_) => None,
            // Of too high a number for a small one.
            Repr::Large(large) => match large.monomials[..] {
                [Monomial { atom: Atom(var, None), coefficient: sign @ (1 | -1) }] => {
                    Some((var, sign == 1))
                }
                _ => None,
            },
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
            Repr::Small(small) => {
                small.codes().iter().zip(&small.names).all(|(_, name)| is(name.var()))
            }
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
        if let Some(factor) = other.as_int() {
            return self.scale(factor);
        }
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
            (Repr::Small(a), Repr::Small(b)) => a.codes == b.codes && a.names == b.names,
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
