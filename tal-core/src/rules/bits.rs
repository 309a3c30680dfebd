//! TCB. Rows of bits (core.md 4.9): and, or, xor, test, shifts, rotates, bit counts, bit tests.

use crate::decode::{Alu, BitCount, BitTest, Rm, Shift, Src, Width};
use crate::error::{OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::arith::same_register;
use crate::rules::flags::{FlagsOut, pick, set_flags, write_flags};
use crate::rules::operand::{Manner, Out, reg_word, wrap};
use crate::state::{FlagKind, FlagSet, State};
use crate::table::Row;
use crate::term::Term;
use crate::ty::{Reg, Rel, Word, range};

impl<H: Hints> Judge<'_, H> {
    /// rule[row-and], rule[row-or]
    pub(super) fn row_logic(
        &mut self,
        state: &mut State,
        row: &Row,
        (op, width): (Alu, Width),
        dst: &Rm,
        src: &Src,
    ) -> Result<()> {
        if op == Alu::Xor && same_register(dst, src) {
            return self.zero(state, row, width, dst);
        }
        let dest = self.dest(state, dst)?;
        let left = self.old(state, &dest, width)?;
        let right = self.source(state, src, width)?;
        let same = same_register(dst, src);
        let (out, flags) = match self.combine(state, (op, width), &left, &right, same)? {
            Some(out) => {
                let flags = zero_compare(&out, width);
                (out, flags)
            }
            None => (Out::junk(), FlagsOut::SECRET),
        };
        self.put(state, &dest, width, out)?;
        set_flags(state, row, flags);
        Ok(())
    }

    /// rule[row-test]: the flags of `and`, so they tell of the masked value (redteam A3); `test
    /// r,r` of a name: rule[pick].
    pub(super) fn row_test(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        left: &Rm,
        right: &Src,
    ) -> Result<()> {
        let same = same_register(left, right);
        let left = self.source(state, &Src::from(*left), width)?;
        let right = self.source(state, right, width)?;
        let null = Word::Int(Term::ZERO);
        let picked = if same && width == Width::W64 { pick(state, &left, &null) } else { None };
        if let Some(kind) = picked {
            write_flags(state, FlagSet::NONE, FlagSet::ALL, FlagsOut::public(kind));
            return Ok(());
        }
        let flags = match self.combine(state, (Alu::And, width), &left, &right, same)? {
            Some(out) => zero_compare(&out, width),
            None => FlagsOut::SECRET,
        };
        set_flags(state, row, flags);
        Ok(())
    }

    /// The result of and, or, xor; `None` if a source is not public.
    fn combine(
        &mut self,
        state: &mut State,
        (op, width): (Alu, Width),
        left: &Word,
        right: &Word,
        same: bool,
    ) -> Result<Option<Out>> {
        let (Word::Int(a), Word::Int(c)) = (left, right) else { return Ok(None) };
        let rule = if op == Alu::And { Rule::RowAnd } else { Rule::RowOr };
        if let (Some(a), Some(c)) = (a.as_int(), c.as_int()) {
            let (a, c) = (wrap(a, width.bits(), false), wrap(c, width.bits(), false));
            let value = match op {
                Alu::And => a & c,
                Alu::Or => a | c,
                Alu::Xor => a ^ c,
                Alu::Add | Alu::Sub | Alu::Adc | Alu::Sbb => return Ok(None),
            };
            return Ok(Some(Out::unsigned(Term::constant_of(value).or_refuse(rule)?)));
        }
        if op == Alu::And {
            if same {
                // The bits stay, so any representative will do; each edge asks for its own range.
                return Ok(Some(Out::int(a.clone())));
            }
            let mask = c.as_int().map(|c| wrap(c, width.bits(), true));
            if let Some(out) = self.masked(state, width, a, mask)? {
                return Ok(Some(out));
            }
        }
        let a = self.in_range(state, a, width.bits(), false)?;
        let c = self.in_range(state, c, width.bits(), false)?;
        let x = if op == Alu::And {
            let x = self.fresh_in(state, width.bits(), false)?;
            self.learn(state, Rel::Ge, a.sub(&x).or_refuse(rule)?)?;
            self.learn(state, Rel::Ge, c.sub(&x).or_refuse(rule)?)?;
            x
        } else {
            let x = self.fresh_in(state, width.bits(), false)?;
            if op == Alu::Or {
                self.learn(state, Rel::Ge, x.sub(&a).or_refuse(rule)?)?;
                self.learn(state, Rel::Ge, x.sub(&c).or_refuse(rule)?)?;
            }
            let sum = a.add(&c).or_refuse(rule)?;
            self.learn(state, Rel::Ge, sum.sub(&x).or_refuse(rule)?)?;
            x
        };
        Ok(Some(Out::unsigned(x)))
    }

    /// rule[row-and] with a mask 2^k-1 or -2^k: the remainder, or the value rounded down.
    fn masked(
        &mut self,
        state: &mut State,
        width: Width,
        a: &Term,
        mask: Option<i128>,
    ) -> Result<Option<Out>> {
        let rule = Rule::RowAnd;
        let Some(mask) = mask else { return Ok(None) };
        if mask >= 0 {
            let modulus = mask.saturating_add(1);
            if modulus.count_ones() != 1 {
                return Ok(None);
            }
            let m = self.fresh_int(state)?;
            let term = a.add_scaled(&m, modulus.saturating_neg());
            let Ok(rest) = term else { return Ok(None) };
            self.learn_range(state, &rest, 0, mask)?;
            return Ok(Some(Out::unsigned(rest)));
        }
        let step = mask.saturating_neg();
        if step.count_ones() != 1 || step < 2 {
            return Ok(None);
        }
        if width == Width::W64 {
            let m = self.fresh_int(state)?;
            let rounded = m.scale(step).or_refuse(rule)?;
            self.learn_floor_of(state, a, &rounded, step, rule)?;
            return Ok(Some(Out::int(rounded)));
        }
        let a = self.in_range(state, a, width.bits(), false)?;
        // As many steps as there are in the range, which the step divides.
        let last = range(width.bits(), false).1.checked_div(step).or_refuse(rule)?;
        let m = self.fresh_between(state, 0, last)?;
        let rounded = m.scale(step).or_refuse(rule)?;
        self.learn_floor_of(state, &a, &rounded, step, rule)?;
        Ok(Some(Out::unsigned(rounded)))
    }

    /// `rounded <= v <= rounded + step - 1`.
    fn learn_floor_of(
        &mut self,
        state: &mut State,
        v: &Term,
        rounded: &Term,
        step: i128,
        rule: Rule,
    ) -> Result<()> {
        let above = v.sub(rounded).or_refuse(rule)?;
        let last = Term::constant_of(step.saturating_sub(1)).or_refuse(rule)?;
        let below = last.sub(&above).or_refuse(rule)?;
        self.learn(state, Rel::Ge, above)?;
        self.learn(state, Rel::Ge, below)
    }

    /// `x` is `v` divided by 2^c and floored: `2^c x <= v <= 2^c x + 2^c - 1`.
    pub(super) fn learn_floor(
        &mut self,
        state: &mut State,
        v: &Term,
        x: &Term,
        c: u8,
        rule: Rule,
    ) -> Result<()> {
        let step = 1_i128 << c.min(63);
        let rounded = x.scale(step).or_refuse(rule)?;
        self.learn_floor_of(state, v, &rounded, step, rule)
    }

    /// rule[row-shl], rule[row-shr]. The count is masked as the processor does (trap 11); a count
    /// of zero writes the value and leaves the flags (trap 13).
    pub(super) fn row_shift(
        &mut self,
        state: &mut State,
        row: &Row,
        (op, width, count): (Shift, Width, u8),
        dst: &Rm,
    ) -> Result<()> {
        let count = if width == Width::W64 { count & 63 } else { count & 31 };
        let dest = self.dest(state, dst)?;
        let old = self.old(state, &dest, width)?;
        let manner = match op {
            _ if count == 0 => Manner::Any,
            Shift::Shl => Manner::Any,
            Shift::Shr => Manner::Unsigned,
            Shift::Sar => Manner::Signed,
        };
        let out = match self.read(state, &old, width, manner)? {
            None => None,
            Some(v) if count == 0 => Some(Out::int(v)),
            Some(v) => Some(self.shifted(state, (op, width, count), &v)?),
        };
        let flags = match &out {
            Some(Out { word: Word::Int(x), .. }) => {
                FlagsOut::public(FlagKind::Result(width.bits(), x.clone()))
            }
            _ => FlagsOut::SECRET,
        };
        self.put(state, &dest, width, out.unwrap_or(Out::junk()))?;
        if count != 0 {
            // The carry of a count not below the width is undefined.
            let carry = if count < width.bits() { FlagSet::NONE } else { FlagSet::CF };
            write_flags(state, row.sure.without(carry), row.may.with(carry), flags);
        }
        Ok(())
    }

    fn shifted(
        &mut self,
        state: &mut State,
        (op, width, count): (Shift, Width, u8),
        v: &Term,
    ) -> Result<Out> {
        let rule = if op == Shift::Shl { Rule::RowShl } else { Rule::RowShr };
        let step = 1_i128 << count.min(63);
        if op == Shift::Shl {
            return Ok(Out::int(self.or_fresh(state, v.scale(step), width)?));
        }
        let x = match v.as_int().and_then(|v| v.checked_div_euclid(step)) {
            Some(x) => Term::constant_of(x).or_refuse(rule)?,
            None => {
                let (low, high) = range(width.bits(), op == Shift::Sar);
                let count = count.min(63);
                let x = self.fresh_between(state, low >> count, high >> count)?;
                self.learn_floor(state, v, &x, count, rule)?;
                x
            }
        };
        Ok(Out { word: Word::Int(x), ranged: op == Shift::Shr })
    }

    /// rule[row-shift-cl]: the count is a source, too; the flags may stay (trap 28).
    pub(super) fn row_shift_cl(
        &mut self,
        state: &mut State,
        row: &Row,
        (op, width): (Shift, Width),
        dst: &Rm,
    ) -> Result<()> {
        let dest = self.dest(state, dst)?;
        let old = self.old(state, &dest, width)?;
        let count = reg_word(state, Reg::Rcx).clone();
        let (Word::Int(v), Word::Int(_)) = (old, count) else {
            return self.secret(state, row, &dest, width);
        };
        let x = match op {
            Shift::Shl | Shift::Sar => self.fresh_in(state, width.bits(), false)?,
            Shift::Shr => {
                let v = self.in_range(state, &v, width.bits(), false)?;
                let x = self.fresh_in(state, width.bits(), false)?;
                self.learn(state, Rel::Ge, v.sub(&x).or_refuse(Rule::RowShiftCl)?)?;
                x
            }
        };
        self.put(state, &dest, width, Out::unsigned(x))?;
        set_flags(state, row, FlagsOut::PLAIN);
        Ok(())
    }

    /// rule[public-default]: a source is not public.
    fn secret(
        &mut self,
        state: &mut State,
        row: &Row,
        dest: &super::operand::Dest,
        width: Width,
    ) -> Result<()> {
        self.put(state, dest, width, Out::junk())?;
        set_flags(state, row, FlagsOut::SECRET);
        Ok(())
    }

    /// rule[row-rol], and `bts btr btc` of rule[row-bt]: of public sources a fresh number.
    pub(super) fn row_scramble(
        &mut self,
        state: &mut State,
        row: &Row,
        width: Width,
        dst: &Rm,
        others: &[Src],
    ) -> Result<()> {
        let dest = self.dest(state, dst)?;
        let mut public = matches!(self.old(state, &dest, width)?, Word::Int(_));
        for src in others {
            public &= matches!(self.source(state, src, width)?, Word::Int(_));
        }
        if !public {
            return self.secret(state, row, &dest, width);
        }
        let n = self.fresh_in(state, width.bits(), false)?;
        self.put(state, &dest, width, Out::unsigned(n))?;
        self.mixed_flags(state, row);
        Ok(())
    }

    /// Flags of a row that has no kind; a row without flags leaves F alone.
    fn mixed_flags(&mut self, state: &mut State, row: &Row) {
        if row.sure.with(row.may) != FlagSet::NONE {
            set_flags(state, row, FlagsOut::PLAIN);
        }
    }

    /// rule[row-popcnt]
    pub(super) fn row_bit_count(
        &mut self,
        state: &mut State,
        row: &Row,
        (_op, width): (BitCount, Width),
        dst: Reg,
        src: &Rm,
    ) -> Result<()> {
        let word = self.source(state, &Src::from(*src), width)?;
        let dest = super::operand::Dest::Reg(dst);
        let Word::Int(_) = word else { return self.secret(state, row, &dest, width) };
        let n = self.fresh_between(state, 0, i128::from(width.bits()))?;
        self.put(state, &dest, width, Out::unsigned(n))?;
        set_flags(state, row, FlagsOut::PLAIN);
        Ok(())
    }

    /// rule[row-bt]
    pub(super) fn row_bit_test(
        &mut self,
        state: &mut State,
        row: &Row,
        (op, width): (BitTest, Width),
        dst: Reg,
        bit: &Src,
    ) -> Result<()> {
        if op == BitTest::Set {
            return self.row_scramble(state, row, width, &Rm::Reg(dst), &[*bit]);
        }
        let value = reg_word(state, dst).clone();
        let bit = self.source(state, bit, width)?;
        let public = matches!((value, bit), (Word::Int(_), Word::Int(_)));
        set_flags(state, row, if public { FlagsOut::PLAIN } else { FlagsOut::SECRET });
        Ok(())
    }
}

/// Flags as `cmp result, 0`.
fn zero_compare(out: &Out, width: Width) -> FlagsOut {
    match &out.word {
        Word::Int(r) => FlagsOut::public(FlagKind::Cmp(width.bits(), r.clone(), Term::ZERO)),
        _ => FlagsOut::SECRET,
    }
}
