//! TCB. Which rule judges an instruction that transfers no control (core.md 4.9).

use crate::decode::{Alu, Decoded, Op, Rm, Src, StringOp};
use crate::error::{Error, Kind};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::arith::same_register;
use crate::state::State;
use crate::ty::Reg;

impl<H: Hints> Judge<'_, H> {
    /// Executes one instruction that is no transfer by the rule of its row.
    ///
    /// # Errors
    /// When a premise fails; always for transfers and for `int3`.
    pub fn row(&mut self, state: &mut State, d: &Decoded) -> Result<()> {
        let row = d.row;
        match &d.op {
            Op::Mov { width, dst, src } => self.row_mov(state, *width, dst, src),
            Op::Extend { to, dst, from, src, signed } => {
                self.row_extend(state, (*to, *dst), (*from, src), *signed)
            }
            Op::SignCopy { width } => self.row_sign_copy(state, *width),
            Op::Lea { width, dst, ea } => self.row_lea(state, *width, *dst, ea),
            Op::Alu { op, width, dst, src } => match op {
                Alu::Add => self.row_add(state, row, *width, dst, src),
                Alu::Sub => self.row_sub(state, row, *width, dst, src),
                Alu::Adc => self.row_carry(state, row, *width, dst, src, false),
                Alu::Sbb => self.row_carry(state, row, *width, dst, src, same_register(dst, src)),
                Alu::And | Alu::Or | Alu::Xor => {
                    self.row_logic(state, row, (*op, *width), dst, src)
                }
            },
            Op::Cmp { width, left, right } => self.row_cmp(state, *width, left, right),
            Op::Test { width, left, right } => self.row_test(state, row, *width, left, right),
            Op::Unary { op, width, dst } => self.row_unary(state, row, *op, *width, dst),
            Op::Imul { width, dst, left, right } => {
                self.row_imul(state, row, *width, *dst, (left, right))
            }
            Op::MulWide { width, src } => self.row_mul_wide(state, row, *width, src),
            Op::Shift { op, width, dst, count } => {
                self.row_shift(state, row, (*op, *width, *count), dst)
            }
            Op::ShiftCl { op, width, dst } => self.row_shift_cl(state, row, (*op, *width), dst),
            Op::Rotate { width, dst, by_cl } => {
                let count = if *by_cl { Src::Reg(Reg::Rcx) } else { Src::Imm(0) };
                self.row_scramble(state, row, *width, dst, &[count])
            }
            Op::Bswap { width, dst } => self.row_scramble(state, row, *width, &Rm::Reg(*dst), &[]),
            Op::ShiftDouble { width, dst, src } => {
                self.row_scramble(state, row, *width, dst, &[Src::Reg(*src)])
            }
            Op::Div { width, src, signed: false } => self.row_div(state, row, *width, src),
            Op::Div { width, src, signed: true } => self.row_idiv(state, row, *width, src),
            Op::Cmov { cc, width, dst, src } => self.row_cmov(state, (*cc, *width), *dst, src),
            Op::Setcc { cc, dst } => self.row_setcc(state, *cc, *dst),
            Op::Xchg { width, left, right } => self.row_xchg(state, *width, *left, *right),
            Op::Push { src } => self.push_source(state, src),
            Op::Pop { dst } => self.pop(state, *dst),
            Op::Leave => self.row_leave(state),
            Op::String(op) => self.string(state, *op),
            Op::BitCount { op, width, dst, src } => {
                self.row_bit_count(state, row, (*op, *width), *dst, src)
            }
            Op::BitTest { op, width, dst, bit } => {
                self.row_bit_test(state, row, (*op, *width), *dst, bit)
            }
            Op::Nop => Ok(()),
            Op::Int3 | Op::Flow(_) => refuse!(Error::new(row.rule, Kind::BadHint)),
        }
    }

    fn string(&mut self, state: &mut State, op: StringOp) -> Result<()> {
        match op {
            StringOp::RepMovs(width) => self.rep_movs(state, width.bytes()),
            StringOp::RepStos(width) => self.rep_stos(state, width.bytes()),
            StringOp::Movsb => self.movsb(state),
            StringOp::Stosb => self.stosb(state),
            StringOp::Lodsb => self.lodsb(state),
            StringOp::RepeCmpsb => self.repe_cmpsb(state),
            StringOp::RepneScasb => self.repne_scasb(state),
        }
    }
}
