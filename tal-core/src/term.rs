//! TCB. Variables, and linear terms over them and their pairwise products (core.md 4.1).
//!
//! A [`Term`] denotes a mathematical integer. Every operation is checked: a result that leaves the
//! bounds of `term-form` is [`TooBig`], never a wrapped number (redteam U17, traps 45).

use crate::limits;
use alloc::{rc::Rc, vec::Vec};
use core::cmp::Ordering;

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

/// The term has too many monomials, a coefficient out of bounds, or degree above two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig;

/// A linear combination of atoms plus a constant, in the one normal form: monomials sorted by atom,
/// no zero coefficient. Equal integers-as-polynomials are equal values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Term {
    constant: i128,
    monomials: Monomials,
}

/// Most terms are a constant or one variable and a constant: those need no memory of their own.
/// Which variant it is follows from the number of monomials, so that derived equality is equality.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Monomials {
    #[default]
    None,
    One(Monomial),
    /// Two or more, shared by all copies.
    Many(Rc<[Monomial]>),
}

impl Monomials {
    fn as_slice(&self) -> &[Monomial] {
        match self {
            Monomials::None => &[],
            Monomials::One(one) => core::slice::from_ref(one),
            Monomials::Many(many) => many,
        }
    }

    fn of(monomials: &[Monomial]) -> Self {
        match monomials {
            [] => Monomials::None,
            [one] => Monomials::One(*one),
            many => Monomials::Many(Rc::from(many)),
        }
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Term) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Term) -> Ordering {
        let constants = self.constant.cmp(&other.constant);
        constants.then_with(|| self.monomials().cmp(other.monomials()))
    }
}

/// Monomials in increasing order of atoms while a term is made of them.
struct Draft<const ROOM: usize> {
    filled: usize,
    monomials: [Monomial; ROOM],
}

impl<const ROOM: usize> Draft<ROOM> {
    const EMPTY: Draft<ROOM> = Draft {
        filled: 0,
        monomials: [Monomial { atom: Atom(Var::Value, None), coefficient: 0 }; ROOM],
    };

    /// Appends a monomial; what is zero is none.
    fn push(&mut self, monomial: Monomial) -> Result<(), TooBig> {
        if monomial.coefficient != 0 {
            *self.monomials.get_mut(self.filled).ok_or(TooBig)? = monomial;
            self.filled = self.filled.saturating_add(1);
        }
        Ok(())
    }

    fn with(&self, constant: i128) -> Result<Term, TooBig> {
        let monomials = self.monomials.get(..self.filled).ok_or(TooBig)?;
        Term { constant, monomials: Monomials::of(monomials) }.formed()
    }
}

impl Term {
    /// The term 0.
    pub const ZERO: Term = Term { constant: 0, monomials: Monomials::None };

    /// A constant. Panics never; the argument is a machine or manual constant, far below the bound.
    #[must_use]
    pub fn int(c: i64) -> Self {
        Term { constant: i128::from(c), monomials: Monomials::None }
    }

    /// A constant of any size.
    ///
    /// # Errors
    /// [`TooBig`] when it is not below [`limits::CONSTANT`] in magnitude.
    pub fn constant_of(c: i128) -> Result<Self, TooBig> {
        Term { constant: c, monomials: Monomials::None }.formed()
    }

    /// The variable `v`.
    #[must_use]
    pub fn var(v: Var) -> Self {
        let one = Monomial { atom: Atom::var(v), coefficient: 1 };
        Term { constant: 0, monomials: Monomials::One(one) }
    }

    /// A term from a constant and monomials in strictly increasing order of atoms.
    ///
    /// # Errors
    /// [`TooBig`] when the parts are not a term in normal form.
    pub fn from_parts(constant: i128, monomials: Vec<Monomial>) -> Result<Self, TooBig> {
        let sorted = monomials.windows(2).all(|w| match w {
            [a, b] => a.atom < b.atom,
            _ => true,
        });
        let canonical = monomials.iter().all(|m| match m.atom {
            Atom(a, Some(b)) => a <= b,
            Atom(_, None) => true,
        });
        if !sorted || !canonical || monomials.iter().any(|m| m.coefficient == 0) {
            return Err(TooBig);
        }
        Term { constant, monomials: Monomials::of(&monomials) }.formed()
    }

    /// The constant part.
    #[must_use]
    pub fn constant(&self) -> i128 {
        self.constant
    }

    /// The monomials, sorted by atom.
    #[must_use]
    pub fn monomials(&self) -> &[Monomial] {
        self.monomials.as_slice()
    }

    /// The value, if no variable occurs.
    #[must_use]
    pub fn as_int(&self) -> Option<i128> {
        matches!(self.monomials, Monomials::None).then_some(self.constant)
    }

    /// The variable, if the term is exactly one variable.
    #[must_use]
    pub fn as_var(&self) -> Option<Var> {
        match self.monomials {
            Monomials::One(Monomial { atom: Atom(v, None), coefficient: 1 })
                if self.constant == 0 =>
            {
                Some(v)
            }
            _ => None,
        }
    }

    /// Every variable that occurs, with repetitions.
    pub fn vars(&self) -> impl Iterator<Item = Var> + '_ {
        self.monomials().iter().flat_map(|m| core::iter::once(m.atom.0).chain(m.atom.1))
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`TooBig`], as for all arithmetic here.
    pub fn add(&self, other: &Term) -> Result<Term, TooBig> {
        self.add_scaled(other, 1)
    }

    /// `self - other`.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn sub(&self, other: &Term) -> Result<Term, TooBig> {
        self.add_scaled(other, -1)
    }

    /// `self + c`.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn plus(&self, c: i128) -> Result<Term, TooBig> {
        let constant = self.constant.checked_add(c).ok_or(TooBig)?;
        Term { constant, monomials: self.monomials.clone() }.formed()
    }

    /// `factor * self`.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn scale(&self, factor: i128) -> Result<Term, TooBig> {
        Term::ZERO.add_scaled(self, factor)
    }

    /// `self + factor * other`: the one place where two terms meet.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn add_scaled(&self, other: &Term, factor: i128) -> Result<Term, TooBig> {
        let constant = mul_add(factor, other.constant, self.constant)?;
        if let (same, Monomials::None, _) | (Monomials::None, same, 1) =
            (&self.monomials, &other.monomials, factor)
        {
            return Term { constant, monomials: same.clone() }.formed();
        }
        // A small place is made ready faster than a large one, and it mostly does.
        if self.monomials().len().saturating_add(other.monomials().len()) <= 3 {
            self.merge::<3>(other, factor, constant)
        } else {
            self.merge::<{ limits::MONOMIALS }>(other, factor, constant)
        }
    }

    /// The sum with this constant, if it has room for the monomials.
    fn merge<const ROOM: usize>(
        &self,
        other: &Term,
        factor: i128,
        constant: i128,
    ) -> Result<Term, TooBig> {
        let mut draft = Draft::<ROOM>::EMPTY;
        let (mut left, mut right) = (self.monomials(), other.monomials());
        loop {
            match (left, right) {
                ([], []) => return draft.with(constant),
                ([a, rest @ ..], []) => {
                    left = rest;
                    draft.push(*a)?;
                }
                ([a, rest @ ..], [b, ..]) if a.atom < b.atom => {
                    left = rest;
                    draft.push(*a)?;
                }
                ([a, left_rest @ ..], [b, right_rest @ ..]) if a.atom == b.atom => {
                    left = left_rest;
                    right = right_rest;
                    let coefficient = mul_add(factor, b.coefficient, a.coefficient)?;
                    draft.push(Monomial { atom: a.atom, coefficient })?;
                }
                (_, [b, rest @ ..]) => {
                    right = rest;
                    let coefficient = mul_add(factor, b.coefficient, 0)?;
                    draft.push(Monomial { atom: b.atom, coefficient })?;
                }
            }
        }
    }

    /// `self * other`; monomials of degree above two do not exist.
    ///
    /// # Errors
    /// [`TooBig`].
    pub fn mul(&self, other: &Term) -> Result<Term, TooBig> {
        let mut sum = other.scale(self.constant)?;
        for m in self.monomials() {
            let scaled = other.times_monomial(*m)?;
            sum = sum.add(&scaled)?;
        }
        Ok(sum)
    }

    fn times_monomial(&self, m: Monomial) -> Result<Term, TooBig> {
        let mut sum = Term::ZERO;
        if self.constant != 0 {
            let coefficient = mul_add(m.coefficient, self.constant, 0)?;
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
        let monomials = match coefficient {
            0 => Monomials::None,
            _ => Monomials::One(Monomial { atom, coefficient }),
        };
        Term { constant: 0, monomials }.formed()
    }

    /// rule[term-subst]: all variables at once. `theta` answers `None` for a variable that stays.
    ///
    /// # Errors
    /// [`TooBig`] when the result is no term.
    pub fn subst(&self, theta: &dyn Fn(Var) -> Option<Term>) -> Result<Term, TooBig> {
        let image = |v: Var| theta(v).unwrap_or_else(|| Term::var(v));
        let mut sum = Term { constant: self.constant, monomials: Monomials::None };
        for m in self.monomials() {
            let Atom(a, b) = m.atom;
            let value = match b {
                None => image(a),
                Some(b) => image(a).mul(&image(b))?,
            };
            sum = sum.add_scaled(&value, m.coefficient)?;
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
        let mut draft = Draft::<{ limits::MONOMIALS }>::EMPTY;
        for m in self.monomials() {
            if m.coefficient.checked_rem_euclid(d) != Some(0) {
                return Err(TooBig);
            }
            let coefficient = m.coefficient.checked_div_euclid(d).ok_or(TooBig)?;
            draft.push(Monomial { atom: m.atom, coefficient })?;
        }
        draft.with(self.constant.checked_div_euclid(d).ok_or(TooBig)?)
    }

    /// Do the two have the same variable part?
    #[must_use]
    pub fn same_shape(&self, other: &Term) -> bool {
        self.monomials == other.monomials
    }

    /// Is the variable part of one that of the other with all signs changed?
    #[must_use]
    pub fn opposite_shape(&self, other: &Term) -> bool {
        let (left, right) = (self.monomials(), other.monomials());
        let opposite = |(a, b): (&Monomial, &Monomial)| {
            a.atom == b.atom && Some(a.coefficient) == b.coefficient.checked_neg()
        };
        left.len() == right.len() && left.iter().zip(right).all(opposite)
    }

    /// rule[term-form].
    fn formed(self) -> Result<Term, TooBig> {
        let small = |c: i128, bound: i128| -bound <= c && c <= bound;
        let ok = self.constant > -limits::CONSTANT
            && self.constant < limits::CONSTANT
            && self.monomials().len() <= limits::MONOMIALS
            && self.monomials().iter().all(|m| small(m.coefficient, limits::COEFFICIENT));
        if ok { Ok(self) } else { Err(TooBig) }
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
