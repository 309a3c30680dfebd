//! TCB. Rows of sums and comparisons (core.md 4.9): add, sub, cmp, inc, dec, neg, not, adc, sbb.
//!
//! Arithmetic is exact on congruent terms: the result is congruent modulo 2^width to the sum of any
//! representatives. Ranges are a matter of who reads (redteam U8).

use crate::decode::{Rm, Src, Unary, Width};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::flags::{FlagsOut, clear_flags, set_flags, write_flags};
use crate::rules::operand::{Out, reg_word};
use crate::state::{FlagKind, FlagSet, State};
use crate::table::Row;
use crate::term::{Term, TooBig};
use crate::ty::{Reg, Word};

/// The same register on both sides.
pub(super) fn same_register(dst: &Rm, src: &Src) -> bool {
    matches!((dst, src), (Rm::Reg(a), Src::Reg(b)) if a == b)
}

impl<H: Hints> Judge<'_, H> {
    /// A term, or a fresh integer if it left the bounds of term-form (which a row may answer).
    pub(super) fn or_fresh(
        &mut self,
        state: &mut State,
        term: core::result::Result<Term, TooBig>,
        width: Width,
    ) -> Result<Term> {
        match term {
            Ok(term) => Ok(term),
            Err(TooBig) => self.fresh_in(state, width.bits(), false),
        }
    }

    /// rule[row-add]
    pub(super) fn row_add(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: &Rm,
        src: &Src,
    ) -> Result<()> {
        if matches!(dst, Rm::Reg(Reg::Rsp)) {
            return self.move_rsp(state, width, src, 1);
        }
        let dest = self.dest(state, dst)?;
        let left = self.old(state, &dest, width)?;
        let right = self.source(state, src, width)?;
        let (word, flags) = match (left, right) {
            (Word::Int(a), Word::Int(b)) => {
                let sum = self.or_fresh(state, a.add(&b), width)?;
                let kind = FlagKind::Result(width.bits(), sum.clone());
                (Word::Int(sum), FlagsOut::public(kind))
            }
            (Word::Ptr(x, at), Word::Int(a)) | (Word::Int(a), Word::Ptr(x, at))
                if width == Width::W64 =>
            {
                (at.add(&a).map_or(Word::Junk, |at| Word::Ptr(x, at)), FlagsOut::SECRET)
            }
            _ => (Word::Junk, FlagsOut::SECRET),
        };
        self.put(state, &dest, width, Out::word(word))?;
        set_flags(state, row, flags);
        Ok(())
    }

    /// rule[row-sub]. The same register gives zero, whatever it held.
    pub(super) fn row_sub(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: &Rm,
        src: &Src,
    ) -> Result<()> {
        if matches!(dst, Rm::Reg(Reg::Rsp)) {
            return self.move_rsp(state, width, src, -1);
        }
        if same_register(dst, src) {
            return self.zero(state, row, width, dst);
        }
        let dest = self.dest(state, dst)?;
        let left = self.old(state, &dest, width)?;
        let right = self.source(state, src, width)?;
        let word = match (&left, &right) {
            (Word::Int(a), Word::Int(b)) => Word::Int(self.or_fresh(state, a.sub(b), width)?),
            (Word::Ptr(x, a), Word::Int(b)) if width == Width::W64 => {
                a.sub(b).map_or(Word::Junk, |at| Word::Ptr(*x, at))
            }
            (Word::Ptr(x, a), Word::Ptr(y, b)) if width == Width::W64 && x == y => {
                Word::Int(self.or_fresh(state, a.sub(b), width)?)
            }
            _ => Word::Junk,
        };
        let (flags, surely) = match (&left, &right) {
            // The flags of a pointer minus an integer are those of the address.
            (Word::Ptr(..), Word::Int(_)) => (FlagsOut::SECRET, FlagSet::NONE),
            _ => self.compared(state, width.bits(), &left, &right)?,
        };
        self.put(state, &dest, width, Out::word(word))?;
        write_flags(state, surely, FlagSet::ALL, flags);
        Ok(())
    }

    /// `sub r,r` and `xor r,r`: zero; the flags are constants, hence public.
    pub(super) fn zero(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: &Rm,
    ) -> Result<()> {
        let dest = self.dest(state, dst)?;
        self.put(state, &dest, width, Out::unsigned(Term::ZERO))?;
        let kind = FlagKind::Cmp(width.bits(), Term::ZERO, Term::ZERO);
        set_flags(state, row, FlagsOut::public(kind));
        Ok(())
    }

    /// rule[stack-move] by `add rsp,c` and `sub rsp,c`; anything else does not move rsp (traps 111,
    /// 112).
    fn move_rsp(&mut self, state: &mut State, width: Width, src: &Src, sign: i64) -> Result<()> {
        let rule = Rule::StackMove;
        let (Src::Imm(c), Width::W64) = (src, width) else {
            let word = reg_word(state, Reg::Rsp).clone();
            let kind = Kind::WrongRegister(Reg::Rsp, alloc::boxed::Box::new(word));
            return Err(Error::new(rule, kind));
        };
        let depth = c.checked_mul(sign).and_then(|c| state.stack.delta.checked_add(c));
        self.stack_move(state, depth.or_refuse(rule)?)?;
        forget!(clear_flags(state));
        Ok(())
    }

    /// rule[row-cmp]
    pub(super) fn row_cmp(
        &mut self,
        state: &mut State,
        width: Width,
        left: &Rm,
        right: &Src,
    ) -> Result<()> {
        let left = self.source(state, &Src::from(*left), width)?;
        let right = self.source(state, right, width)?;
        let (flags, surely) = self.compared(state, width.bits(), &left, &right)?;
        write_flags(state, surely, FlagSet::ALL, flags);
        Ok(())
    }

    /// rule[row-inc], rule[row-neg]
    pub(super) fn row_unary(
        &mut self,
        state: &mut State,
        row: &Row,
        op: Unary,
        width: Width,
        dst: &Rm,
    ) -> Result<()> {
        let dest = self.dest(state, dst)?;
        let old = self.old(state, &dest, width)?;
        let Word::Int(e) = old else {
            let step = match op {
                Unary::Inc => 1,
                Unary::Dec => -1,
                Unary::Neg | Unary::Not => 0,
            };
            // A pointer moves as by `add` and `sub`; its flags are those of an address.
            let out = match old {
                Word::Ptr(x, at) if width == Width::W64 && step != 0 => {
                    at.plus(step).map_or(Out::junk(), |at| Out::word(Word::Ptr(x, at)))
                }
                _ => Out::junk(),
            };
            self.put(state, &dest, width, out)?;
            set_flags(state, row, FlagsOut::SECRET);
            return Ok(());
        };
        let term = match op {
            Unary::Inc => e.plus(1),
            Unary::Dec => e.plus(-1),
            Unary::Neg => e.scale(-1),
            Unary::Not => e.scale(-1).and_then(|e| e.plus(-1)),
        };
        let result = self.or_fresh(state, term, width)?;
        self.put(state, &dest, width, Out::int(result.clone()))?;
        match op {
            Unary::Inc | Unary::Dec => {
                let kind = FlagKind::Result(width.bits(), result);
                set_flags(state, row, FlagsOut::public(kind));
            }
            Unary::Neg => {
                let kind = FlagKind::Cmp(width.bits(), Term::ZERO, e);
                set_flags(state, row, FlagsOut::public(kind));
            }
            Unary::Not => {}
        }
        Ok(())
    }

    /// rule[row-adc]: fresh; `sbb r,r` of a public register at 64 bits is -1 or 0. CF is a source
    /// (redteam U10).
    pub(super) fn row_carry(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: &Rm,
        src: &Src,
        minus_itself: bool,
    ) -> Result<()> {
        // Second to `public` in `row_carry`: a carry that is public is readable. What is asked here
        // first is whether the name of a comparison became an integer.
        premise!(super::flags::readable(state, crate::decode::Cc::B));
        let public = state.flags().readable.contains(row.reads);
        premise!(public, Error::new(Rule::FlagsRead, Kind::Flags));
        let dest = self.dest(state, dst)?;
        let left = self.old(state, &dest, width)?;
        let right = self.source(state, src, width)?;
        let (Word::Int(_), Word::Int(_)) = (left, right) else {
            self.put(state, &dest, width, Out::junk())?;
            set_flags(state, row, FlagsOut::SECRET);
            return Ok(());
        };
        let out = if minus_itself && width == Width::W64 {
            Out::int(self.fresh_between(state, -1, 0)?)
        } else {
            Out::unsigned(self.fresh_in(state, width.bits(), false)?)
        };
        self.put(state, &dest, width, out)?;
        set_flags(state, row, FlagsOut::PLAIN);
        Ok(())
    }
}
