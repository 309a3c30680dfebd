//! TCB. Rows of products and quotients (core.md 4.9).

use crate::decode::{Rm, Src, Width};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::flags::{FlagsOut, set_flags};
use crate::rules::operand::{Manner, Out, reg_word, wrap};
use crate::state::State;
use crate::table::Row;
use crate::term::{Monomial, Term};
use crate::ty::{Fact, Reg, Rel, Word};
use alloc::{boxed::Box, vec::Vec};

impl<H: Hints> Judge<'_, H> {
    /// rule[row-imul]: two and three operands; the product as a term, or fresh.
    pub(super) fn row_imul(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: Reg,
        (left, right): (&Rm, &Src),
    ) -> Result<()> {
        let left = self.source(state, &Src::from(*left), width)?;
        let right = self.source(state, right, width)?;
        let (out, flags) = match (left, right) {
            (Word::Int(a), Word::Int(b)) => {
                (Out::int(self.or_fresh(state, a.mul(&b), width)?), FlagsOut::PLAIN)
            }
            _ => (Out::junk(), FlagsOut::SECRET),
        };
        self.write(state, dst, width, out)?;
        set_flags(state, row, flags);
        Ok(())
    }

    /// rule[row-mul]: one operand; rax and rdx are written, both fresh (traps 15, 23).
    pub(super) fn row_mul_wide(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        src: &Rm,
    ) -> Result<()> {
        let factor = self.source(state, &Src::from(*src), width)?;
        let rax = reg_word(state, Reg::Rax).clone();
        let public = matches!((factor, rax), (Word::Int(_), Word::Int(_)));
        for reg in [Reg::Rax, Reg::Rdx] {
            let out = if public {
                Out::unsigned(self.fresh_in(state, width.bits(), false)?)
            } else {
                Out::junk()
            };
            self.write(state, reg, width, out)?;
        }
        set_flags(state, row, if public { FlagsOut::PLAIN } else { FlagsOut::SECRET });
        Ok(())
    }

    /// The dividend rax, the word of rdx as an integer, and the divisor, proved positive. Of words
    /// that are not public nothing could be proved: refused.
    fn division(
        &mut self,
        state: &mut State,
        width: Width,
        src: &Rm,
        (manner, rule): (Manner, Rule),
    ) -> Result<(Term, Term, Term)> {
        let divisor = self.source(state, &Src::from(*src), width)?;
        let rax = reg_word(state, Reg::Rax).clone();
        let rdx = reg_word(state, Reg::Rdx).clone();
        let wrong = |word: &Word| Error::new(rule, Kind::WrongWord(Box::new(word.clone())));
        let Word::Int(high) = &rdx else { return Err(wrong(&rdx)) };
        let high = near_zero(high, width.bits()).or_refuse(rule)?;
        let a = self.read(state, &rax, width, manner)?.ok_or_else(|| wrong(&rax))?;
        let d = self.read(state, &divisor, width, manner)?.ok_or_else(|| wrong(&divisor))?;
        premise!(self.prove_ge(state, &d.plus(-1).or_refuse(rule)?, rule));
        Ok((a, high, d))
    }

    /// rule[row-div]: rdx is zero, so the quotient fits and the fault cannot happen (trap 16).
    pub(super) fn row_div(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        src: &Rm,
    ) -> Result<()> {
        let rule = Rule::RowDiv;
        let (a, high, d) = self.division(state, width, src, (Manner::Unsigned, rule))?;
        premise!(self.prove_eq(state, &high, rule));
        let q = self.fresh_in(state, width.bits(), false)?;
        let r = self.fresh_in(state, width.bits(), false)?;
        self.learn(state, Rel::Ge, d.plus(-1).and_then(|t| t.sub(&r)).or_refuse(rule)?)?;
        self.learn(state, Rel::Ge, a.sub(&q).or_refuse(rule)?)?;
        self.learn_division(state, &a, &d, &q, &r, true)?;
        // 0 <= q <= a and 0 <= r < d, both in range.
        self.write(state, Reg::Rax, width, Out::unsigned(q))?;
        self.write(state, Reg::Rdx, width, Out::unsigned(r))?;
        set_flags(state, row, FlagsOut::PLAIN);
        Ok(())
    }

    /// rule[row-idiv]: rdx is the sign copy of rax and the divisor is positive, so the quotient
    /// fits. It is rounded towards zero: no floor facts unless the dividend is not negative
    /// (redteam U7).
    pub(super) fn row_idiv(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        src: &Rm,
    ) -> Result<()> {
        let rule = Rule::RowIdiv;
        let (a, high, d) = self.division(state, width, src, (Manner::Signed, rule))?;
        let half = 1_i128 << width.bits().saturating_sub(1).min(63);
        let above = a.add_scaled(&high, half.saturating_neg()).or_refuse(rule)?;
        let below = above.scale(-1).and_then(|t| t.plus(half.saturating_sub(1)));
        premise!(self.prove_ge(state, &above, rule));
        premise!(self.prove_ge(state, &below.or_refuse(rule)?, rule));
        let positive = self.not_negative(state, &a, rule)?;
        let q = self.fresh_in(state, width.bits(), true)?;
        let r = self.fresh_in(state, width.bits(), true)?;
        self.learn(state, Rel::Ge, r.add(&d).and_then(|t| t.plus(-1)).or_refuse(rule)?)?;
        self.learn(state, Rel::Ge, d.plus(-1).and_then(|t| t.sub(&r)).or_refuse(rule)?)?;
        self.learn_division(state, &a, &d, &q, &r, false)?;
        if positive {
            self.learn(state, Rel::Ge, r.clone())?;
            self.learn(state, Rel::Ge, q.clone())?;
            self.learn(state, Rel::Ge, a.sub(&q).or_refuse(rule)?)?;
        }
        // Not negative and in the signed range is in the unsigned one.
        self.write(state, Reg::Rax, width, Out { word: Word::Int(q), ranged: positive })?;
        self.write(state, Reg::Rdx, width, Out { word: Word::Int(r), ranged: positive })?;
        set_flags(state, row, FlagsOut::PLAIN);
        Ok(())
    }

    fn not_negative(&mut self, state: &mut State, a: &Term, rule: Rule) -> Result<bool> {
        match a.as_int() {
            Some(c) => Ok(c >= 0),
            None => self.wanted(state, &[Fact { rel: Rel::Ge, term: a.clone() }], rule),
        }
    }

    /// `a = d q + r`, if the divisor is a constant or (unsigned) the product is a term.
    fn learn_division(
        &mut self,
        state: &mut State,
        a: &Term,
        d: &Term,
        q: &Term,
        r: &Term,
        products: bool,
    ) -> Result<()> {
        if d.as_int().is_none() && !products {
            return Ok(());
        }
        let equation = d.mul(q).and_then(|dq| a.sub(&dq)).and_then(|t| t.sub(r));
        match equation {
            Ok(term) => self.learn(state, Rel::Eq, term),
            Err(_) => Ok(()),
        }
    }
}

/// A representative modulo 2^bits with each coefficient nearest to zero: undoes the zero extension
/// of a sign copy.
fn near_zero(term: &Term, bits: u8) -> core::result::Result<Term, crate::term::TooBig> {
    let mut monomials = Vec::with_capacity(term.monomials().len());
    for m in term.monomials() {
        let coefficient = wrap(m.coefficient, bits, true);
        if coefficient != 0 {
            monomials.push(Monomial { atom: m.atom, coefficient });
        }
    }
    Term::from_parts(wrap(term.constant(), bits, true), monomials)
}
