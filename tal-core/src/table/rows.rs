//! TCB. The rows of the instruction table (core.md 4.9), in its order.

use super::{Feature, Form, Row, Stage, Target};
use crate::decode::{Alu, BitCount, BitTest, Shift, Unary};
use crate::error::Rule;
use crate::state::FlagSet;
use crate::ty::Reg;
use iced_x86::Code;

macro_rules! codes {
    ($($code:ident)*) => { &[$(Code::$code,)*] };
}

const LOGIC: FlagSet = FlagSet::ALL.without(FlagSet::AF);
const NOT_CF: FlagSet = FlagSet::ALL.without(FlagSet::CF);
const CF_OF: FlagSet = FlagSet::CF.with(FlagSet::OF);
const OF_AF: FlagSet = FlagSet::OF.with(FlagSet::AF);
const CF_ZF: FlagSet = FlagSet::CF.with(FlagSet::ZF);
const SHIFT: FlagSet = FlagSet::ALL.without(OF_AF);
const PF_AF_ZF_SF: FlagSet = FlagSet::ALL.without(CF_OF);
const PF_AF_SF_OF: FlagSet = FlagSet::ALL.without(CF_ZF);

/// What a row is unless it says otherwise.
const PLAIN: Row = Row {
    rule: Rule::RowRefused,
    name: "",
    form: Form::Nop,
    stage: Stage::V1,
    writes: &[],
    reads: FlagSet::NONE,
    sure: FlagSet::NONE,
    may: FlagSet::NONE,
    feature: None,
    doc: "",
    codes: &[],
};

/// The table. What is not in it is refused.
pub const ROWS: &[Row] = &[
    Row {
        rule: Rule::RowMov,
        name: "mov",
        form: Form::Mov,
        writes: &[Target::First],
        doc: "64 bits: the word. 32: read any, write-32. 8, 16: read unsigned, write-part. To \
              memory: store.",
        codes: codes![
            Mov_rm8_r8 Mov_rm16_r16 Mov_rm32_r32 Mov_rm64_r64 Mov_r8_rm8 Mov_r16_rm16 Mov_r32_rm32
            Mov_r64_rm64 Mov_r8_imm8 Mov_r16_imm16 Mov_r32_imm32 Mov_r64_imm64 Mov_rm8_imm8
            Mov_rm16_imm16 Mov_rm32_imm32 Mov_rm64_imm32
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovzx,
        name: "movzx",
        form: Form::Extend { signed: false },
        writes: &[Target::First],
        doc: "Read unsigned at the narrow width, then write.",
        codes: codes![Movzx_r16_rm8 Movzx_r32_rm8 Movzx_r64_rm8 Movzx_r32_rm16 Movzx_r64_rm16],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovsx,
        name: "movsx movsxd",
        form: Form::Extend { signed: true },
        writes: &[Target::First],
        doc: "Read signed at the narrow width, then write.",
        codes: codes![
            Movsx_r16_rm8 Movsx_r32_rm8 Movsx_r64_rm8 Movsx_r32_rm16 Movsx_r64_rm16
            Movsxd_r64_rm32
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovsx,
        name: "cdqe cwde",
        form: Form::Convert,
        writes: &[Target::Reg(Reg::Rax)],
        doc: "Read rax signed at half the width, then write.",
        codes: codes![Cdqe Cwde],
        ..PLAIN
    },
    Row {
        rule: Rule::RowCdq,
        name: "cdq cqo",
        form: Form::SignCopy,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rdx)],
        doc: "rdx := h with a - 2^(b-1) h >= 0 and 2^(b-1) h + 2^(b-1)-1 - a >= 0, a = rax \
              read signed.",
        codes: codes![Cdq Cqo],
        ..PLAIN
    },
    Row {
        rule: Rule::RowLea,
        name: "lea",
        form: Form::Lea,
        writes: &[Target::First],
        doc: "The term of the address; a pointer or frame word plus integers stays one (64 \
              bits). An entry: code-address.",
        codes: codes![Lea_r32_m Lea_r64_m],
        ..PLAIN
    },
    Row {
        rule: Rule::RowAdd,
        name: "add",
        form: Form::Alu(Alu::Add),
        writes: &[Target::First],
        sure: FlagSet::ALL,
        doc: "e1 + e2; pointer plus integer (64 bits) stays a pointer, flags unreadable.",
        codes: codes![
            Add_rm8_r8 Add_rm16_r16 Add_rm32_r32 Add_rm64_r64 Add_r8_rm8 Add_r16_rm16 Add_r32_rm32
            Add_r64_rm64 Add_AL_imm8 Add_AX_imm16 Add_EAX_imm32 Add_RAX_imm32 Add_rm8_imm8
            Add_rm16_imm16 Add_rm32_imm32 Add_rm64_imm32 Add_rm16_imm8 Add_rm32_imm8 Add_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowSub,
        name: "sub",
        form: Form::Alu(Alu::Sub),
        writes: &[Target::First],
        sure: FlagSet::ALL,
        doc: "e1 - e2; pointer minus integer; two pointers of one name: the difference, flags \
              as cmp. Same register: 0.",
        codes: codes![
            Sub_rm8_r8 Sub_rm16_r16 Sub_rm32_r32 Sub_rm64_r64 Sub_r8_rm8 Sub_r16_rm16 Sub_r32_rm32
            Sub_r64_rm64 Sub_AL_imm8 Sub_AX_imm16 Sub_EAX_imm32 Sub_RAX_imm32 Sub_rm8_imm8
            Sub_rm16_imm16 Sub_rm32_imm32 Sub_rm64_imm32 Sub_rm16_imm8 Sub_rm32_imm8 Sub_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowCmp,
        name: "cmp",
        form: Form::Compare,
        sure: FlagSet::ALL,
        doc: "Flags only: cmp-public, cmp-same, cmp-other, pick.",
        codes: codes![
            Cmp_rm8_r8 Cmp_rm16_r16 Cmp_rm32_r32 Cmp_rm64_r64 Cmp_r8_rm8 Cmp_r16_rm16 Cmp_r32_rm32
            Cmp_r64_rm64 Cmp_AL_imm8 Cmp_AX_imm16 Cmp_EAX_imm32 Cmp_RAX_imm32 Cmp_rm8_imm8
            Cmp_rm16_imm16 Cmp_rm32_imm32 Cmp_rm64_imm32 Cmp_rm16_imm8 Cmp_rm32_imm8 Cmp_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowTest,
        name: "test",
        form: Form::Test,
        sure: LOGIC,
        may: FlagSet::AF,
        doc: "Flags of the result of `and`; `test r,r` of an undecided name: pick.",
        codes: codes![
            Test_rm8_r8 Test_rm16_r16 Test_rm32_r32 Test_rm64_r64 Test_AL_imm8 Test_AX_imm16
            Test_EAX_imm32 Test_RAX_imm32 Test_rm8_imm8 Test_rm16_imm16 Test_rm32_imm32
            Test_rm64_imm32
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowInc,
        name: "inc",
        form: Form::Unary(Unary::Inc),
        writes: &[Target::First],
        sure: NOT_CF,
        doc: "e + 1; CF stays.",
        codes: codes![Inc_rm8 Inc_rm16 Inc_rm32 Inc_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowInc,
        name: "dec",
        form: Form::Unary(Unary::Dec),
        writes: &[Target::First],
        sure: NOT_CF,
        doc: "e - 1; CF stays.",
        codes: codes![Dec_rm8 Dec_rm16 Dec_rm32 Dec_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNeg,
        name: "neg",
        form: Form::Unary(Unary::Neg),
        writes: &[Target::First],
        sure: FlagSet::ALL,
        doc: "-e; flags as cmp 0, e.",
        codes: codes![Neg_rm8 Neg_rm16 Neg_rm32 Neg_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNeg,
        name: "not",
        form: Form::Unary(Unary::Not),
        writes: &[Target::First],
        doc: "-e - 1; no flags.",
        codes: codes![Not_rm8 Not_rm16 Not_rm32 Not_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowAdc,
        name: "adc",
        form: Form::Alu(Alu::Adc),
        stage: Stage::V2,
        writes: &[Target::First],
        reads: FlagSet::CF,
        sure: FlagSet::ALL,
        doc: "Fresh. Reads CF.",
        codes: codes![
            Adc_rm8_r8 Adc_rm16_r16 Adc_rm32_r32 Adc_rm64_r64 Adc_r8_rm8 Adc_r16_rm16 Adc_r32_rm32
            Adc_r64_rm64 Adc_AL_imm8 Adc_AX_imm16 Adc_EAX_imm32 Adc_RAX_imm32 Adc_rm8_imm8
            Adc_rm16_imm16 Adc_rm32_imm32 Adc_rm64_imm32 Adc_rm16_imm8 Adc_rm32_imm8 Adc_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowAdc,
        name: "sbb",
        form: Form::Alu(Alu::Sbb),
        stage: Stage::V2,
        writes: &[Target::First],
        reads: FlagSet::CF,
        sure: FlagSet::ALL,
        doc: "Fresh; `sbb r,r` at 64 bits: -1 or 0. Reads CF.",
        codes: codes![
            Sbb_rm8_r8 Sbb_rm16_r16 Sbb_rm32_r32 Sbb_rm64_r64 Sbb_r8_rm8 Sbb_r16_rm16 Sbb_r32_rm32
            Sbb_r64_rm64 Sbb_AL_imm8 Sbb_AX_imm16 Sbb_EAX_imm32 Sbb_RAX_imm32 Sbb_rm8_imm8
            Sbb_rm16_imm16 Sbb_rm32_imm32 Sbb_rm64_imm32 Sbb_rm16_imm8 Sbb_rm32_imm8 Sbb_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowImul,
        name: "imul",
        form: Form::Imul,
        writes: &[Target::First],
        sure: CF_OF,
        may: PF_AF_ZF_SF,
        doc: "e1 * e2 if it is a term, else fresh.",
        codes: codes![
            Imul_r16_rm16 Imul_r32_rm32 Imul_r64_rm64 Imul_r16_rm16_imm16 Imul_r32_rm32_imm32
            Imul_r64_rm64_imm32 Imul_r16_rm16_imm8 Imul_r32_rm32_imm8 Imul_r64_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMul,
        name: "mul imul",
        form: Form::MulWide,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rdx)],
        sure: CF_OF,
        may: PF_AF_ZF_SF,
        doc: "rax and rdx fresh. One operand; not 8 bits.",
        codes: codes![Mul_rm16 Mul_rm32 Mul_rm64 Imul_rm16 Imul_rm32 Imul_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowShl,
        name: "shl",
        form: Form::Shift(Shift::Shl),
        writes: &[Target::First],
        sure: SHIFT,
        may: OF_AF,
        doc: "2^c e; a count of zero reads and writes the value and leaves the flags; 32 bits: \
              refused.",
        codes: codes![
            Shl_rm8_1 Shl_rm8_imm8 Shl_rm16_1 Shl_rm16_imm8 Shl_rm32_1 Shl_rm32_imm8 Shl_rm64_1
            Shl_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowShr,
        name: "shr",
        form: Form::Shift(Shift::Shr),
        writes: &[Target::First],
        sure: SHIFT,
        may: OF_AF,
        doc: "v read unsigned; x with 2^c x <= v <= 2^c x + 2^c - 1.",
        codes: codes![
            Shr_rm8_1 Shr_rm8_imm8 Shr_rm16_1 Shr_rm16_imm8 Shr_rm32_1 Shr_rm32_imm8 Shr_rm64_1
            Shr_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowShr,
        name: "sar",
        form: Form::Shift(Shift::Sar),
        writes: &[Target::First],
        sure: SHIFT,
        may: OF_AF,
        doc: "v read signed; x with 2^c x <= v <= 2^c x + 2^c - 1.",
        codes: codes![
            Sar_rm8_1 Sar_rm8_imm8 Sar_rm16_1 Sar_rm16_imm8 Sar_rm32_1 Sar_rm32_imm8 Sar_rm64_1
            Sar_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowShiftCl,
        name: "shl shr sar by cl",
        form: Form::ShiftCl,
        writes: &[Target::First],
        may: FlagSet::ALL,
        doc: "shr: 0 <= x <= v. Others fresh.",
        codes: codes![
            Shl_rm8_CL Shl_rm16_CL Shl_rm32_CL Shl_rm64_CL Shr_rm8_CL Shr_rm16_CL Shr_rm32_CL
            Shr_rm64_CL Sar_rm8_CL Sar_rm16_CL Sar_rm32_CL Sar_rm64_CL
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRol,
        name: "rol ror",
        form: Form::Rotate,
        stage: Stage::V2,
        writes: &[Target::First],
        may: CF_OF,
        doc: "Fresh.",
        codes: codes![
            Rol_rm8_1 Rol_rm8_imm8 Rol_rm16_1 Rol_rm16_imm8 Rol_rm32_1 Rol_rm32_imm8 Rol_rm64_1
            Rol_rm64_imm8 Ror_rm8_1 Ror_rm8_imm8 Ror_rm16_1 Ror_rm16_imm8 Ror_rm32_1 Ror_rm32_imm8
            Ror_rm64_1 Ror_rm64_imm8 Rol_rm8_CL Rol_rm16_CL Rol_rm32_CL Rol_rm64_CL Ror_rm8_CL
            Ror_rm16_CL Ror_rm32_CL Ror_rm64_CL
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRol,
        name: "bswap",
        form: Form::Bswap,
        stage: Stage::V2,
        writes: &[Target::First],
        doc: "Fresh; no flags.",
        codes: codes![Bswap_r32 Bswap_r64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRol,
        name: "shld shrd",
        form: Form::ShiftDouble,
        stage: Stage::V2,
        writes: &[Target::First],
        may: FlagSet::ALL,
        doc: "Fresh. By a constant, 32 and 64 bits.",
        codes: codes![
            Shld_rm32_r32_imm8 Shld_rm64_r64_imm8 Shrd_rm32_r32_imm8 Shrd_rm64_r64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowAnd,
        name: "and",
        form: Form::Alu(Alu::And),
        writes: &[Target::First],
        sure: LOGIC,
        may: FlagSet::AF,
        doc: "A mask 2^k-1: e - 2^k m in [0, 2^k-1]. A mask -2^k: 2^k m in [e - 2^k + 1, e]. \
              Else x in [0, a] and [0, c].",
        codes: codes![
            And_rm8_r8 And_rm16_r16 And_rm32_r32 And_rm64_r64 And_r8_rm8 And_r16_rm16 And_r32_rm32
            And_r64_rm64 And_AL_imm8 And_AX_imm16 And_EAX_imm32 And_RAX_imm32 And_rm8_imm8
            And_rm16_imm16 And_rm32_imm32 And_rm64_imm32 And_rm16_imm8 And_rm32_imm8 And_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowOr,
        name: "or",
        form: Form::Alu(Alu::Or),
        writes: &[Target::First],
        sure: LOGIC,
        may: FlagSet::AF,
        doc: "x with x >= a, x >= c, x <= a + c, in range.",
        codes: codes![
            Or_rm8_r8 Or_rm16_r16 Or_rm32_r32 Or_rm64_r64 Or_r8_rm8 Or_r16_rm16 Or_r32_rm32
            Or_r64_rm64 Or_AL_imm8 Or_AX_imm16 Or_EAX_imm32 Or_RAX_imm32 Or_rm8_imm8 Or_rm16_imm16
            Or_rm32_imm32 Or_rm64_imm32 Or_rm16_imm8 Or_rm32_imm8 Or_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowOr,
        name: "xor",
        form: Form::Alu(Alu::Xor),
        writes: &[Target::First],
        sure: LOGIC,
        may: FlagSet::AF,
        doc: "x with 0 <= x <= a + c, in range. Same register: 0.",
        codes: codes![
            Xor_rm8_r8 Xor_rm16_r16 Xor_rm32_r32 Xor_rm64_r64 Xor_r8_rm8 Xor_r16_rm16 Xor_r32_rm32
            Xor_r64_rm64 Xor_AL_imm8 Xor_AX_imm16 Xor_EAX_imm32 Xor_RAX_imm32 Xor_rm8_imm8
            Xor_rm16_imm16 Xor_rm32_imm32 Xor_rm64_imm32 Xor_rm16_imm8 Xor_rm32_imm8 Xor_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowDiv,
        name: "div",
        form: Form::Div,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rdx)],
        may: FlagSet::ALL,
        doc: "rdx = 0 and divisor >= 1 proved; rax := q, rdx := r with their facts.",
        codes: codes![Div_rm32 Div_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowIdiv,
        name: "idiv",
        form: Form::Idiv,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rdx)],
        may: FlagSet::ALL,
        doc: "rdx the sign copy of rax and divisor >= 1 proved; rax := q, rdx := r with their \
              facts.",
        codes: codes![Idiv_rm32 Idiv_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowCmov,
        name: "cmovcc",
        form: Form::Cmov,
        writes: &[Target::First],
        doc: "A template that both alternatives satisfy. Reads the flags of its condition.",
        codes: codes![
            Cmovo_r32_rm32 Cmovo_r64_rm64 Cmovno_r32_rm32 Cmovno_r64_rm64 Cmovb_r32_rm32
            Cmovb_r64_rm64 Cmovae_r32_rm32 Cmovae_r64_rm64 Cmove_r32_rm32 Cmove_r64_rm64
            Cmovne_r32_rm32 Cmovne_r64_rm64 Cmovbe_r32_rm32 Cmovbe_r64_rm64 Cmova_r32_rm32
            Cmova_r64_rm64 Cmovs_r32_rm32 Cmovs_r64_rm64 Cmovns_r32_rm32 Cmovns_r64_rm64
            Cmovp_r32_rm32 Cmovp_r64_rm64 Cmovnp_r32_rm32 Cmovnp_r64_rm64 Cmovl_r32_rm32
            Cmovl_r64_rm64 Cmovge_r32_rm32 Cmovge_r64_rm64 Cmovle_r32_rm32 Cmovle_r64_rm64
            Cmovg_r32_rm32 Cmovg_r64_rm64
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowSetcc,
        name: "setcc",
        form: Form::Setcc,
        writes: &[Target::First],
        doc: "0 or 1. Registers only. Reads the flags of its condition.",
        codes: codes![
            Seto_rm8 Setno_rm8 Setb_rm8 Setae_rm8 Sete_rm8 Setne_rm8 Setbe_rm8 Seta_rm8 Sets_rm8
            Setns_rm8 Setp_rm8 Setnp_rm8 Setl_rm8 Setge_rm8 Setle_rm8 Setg_rm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowXchg,
        name: "xchg",
        form: Form::Xchg,
        writes: &[Target::First, Target::Second],
        doc: "Both words. Registers only.",
        codes: codes![
            Xchg_rm8_r8 Xchg_rm16_r16 Xchg_rm32_r32 Xchg_rm64_r64 Xchg_r16_AX Xchg_r32_EAX
            Xchg_r64_RAX
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::Push,
        name: "push",
        form: Form::Push,
        writes: &[Target::Reg(Reg::Rsp), Target::Memory],
        doc: "stack-move by -8, then the word.",
        codes: codes![Push_r64 Pushq_imm8 Pushq_imm32],
        ..PLAIN
    },
    Row {
        rule: Rule::Pop,
        name: "pop",
        form: Form::Pop,
        writes: &[Target::First, Target::Reg(Reg::Rsp)],
        doc: "The slot's word, then stack-move by 8.",
        codes: codes![Pop_r64],
        ..PLAIN
    },
    Row {
        rule: Rule::StackMove,
        name: "leave",
        form: Form::Leave,
        writes: &[Target::Reg(Reg::Rsp), Target::Reg(Reg::Rbp)],
        doc: "stack-move to rbp, then pop rbp.",
        codes: codes![Leaveq],
        ..PLAIN
    },
    Row {
        rule: Rule::Call,
        name: "call",
        form: Form::Call,
        writes: &[Target::Reg(Reg::Rsp), Target::Memory],
        doc: "Rule call; through a register or direct.",
        codes: codes![Call_rel32_64 Call_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::Return,
        name: "ret",
        form: Form::Ret,
        writes: &[Target::Reg(Reg::Rsp)],
        doc: "Rule return.",
        codes: codes![Retnq],
        ..PLAIN
    },
    Row {
        rule: Rule::Jump,
        name: "jmp",
        form: Form::Jmp,
        doc: "Rules jump, tail-call, jump-table.",
        codes: codes![Jmp_rel8_64 Jmp_rel32_64 Jmp_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::Cond,
        name: "jcc",
        form: Form::Jcc,
        doc: "Rule cond. Reads the flags of its condition.",
        codes: codes![
            Jo_rel8_64 Jo_rel32_64 Jno_rel8_64 Jno_rel32_64 Jb_rel8_64 Jb_rel32_64 Jae_rel8_64
            Jae_rel32_64 Je_rel8_64 Je_rel32_64 Jne_rel8_64 Jne_rel32_64 Jbe_rel8_64 Jbe_rel32_64
            Ja_rel8_64 Ja_rel32_64 Js_rel8_64 Js_rel32_64 Jns_rel8_64 Jns_rel32_64 Jp_rel8_64
            Jp_rel32_64 Jnp_rel8_64 Jnp_rel32_64 Jl_rel8_64 Jl_rel32_64 Jge_rel8_64 Jge_rel32_64
            Jle_rel8_64 Jle_rel32_64 Jg_rel8_64 Jg_rel32_64
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRepMovs,
        name: "rep movsb movsq, movsb",
        form: Form::Movs,
        writes: &[Target::Memory, Target::Reg(Reg::Rsi), Target::Reg(Reg::Rdi), Target::Count],
        doc: "Copies plain memory. movsq only with rep.",
        codes: codes![Movsb_m8_m8 Movsq_m64_m64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRepStos,
        name: "rep stosb stosq, stosb",
        form: Form::Stos,
        writes: &[Target::Memory, Target::Reg(Reg::Rdi), Target::Count],
        doc: "Fills plain memory. stosq only with rep.",
        codes: codes![Stosb_m8_AL Stosq_m64_RAX],
        ..PLAIN
    },
    Row {
        rule: Rule::RowString,
        name: "lodsb",
        form: Form::Lodsb,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rsi)],
        doc: "Loads a byte.",
        codes: codes![Lodsb_AL_m8],
        ..PLAIN
    },
    Row {
        rule: Rule::RowString,
        name: "repe cmpsb",
        form: Form::Cmpsb,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rsi), Target::Reg(Reg::Rdi), Target::Count],
        may: FlagSet::ALL,
        doc: "Compares bytes. Only with repe.",
        codes: codes![Cmpsb_m8_m8],
        ..PLAIN
    },
    Row {
        rule: Rule::RowString,
        name: "repne scasb",
        form: Form::Scasb,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rdi), Target::Count],
        may: FlagSet::ALL,
        doc: "Finds a byte. Only with repne.",
        codes: codes![Scasb_AL_m8],
        ..PLAIN
    },
    Row {
        rule: Rule::RowPopcnt,
        name: "popcnt",
        form: Form::BitCount(BitCount::Popcnt),
        stage: Stage::V2,
        writes: &[Target::First],
        sure: FlagSet::ALL,
        feature: Some(Feature::Popcnt),
        doc: "n in [0, b].",
        codes: codes![Popcnt_r16_rm16 Popcnt_r32_rm32 Popcnt_r64_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowPopcnt,
        name: "tzcnt",
        form: Form::BitCount(BitCount::Tzcnt),
        stage: Stage::V2,
        writes: &[Target::First],
        sure: CF_ZF,
        may: PF_AF_SF_OF,
        feature: Some(Feature::Bmi1),
        doc: "n in [0, b].",
        codes: codes![Tzcnt_r16_rm16 Tzcnt_r32_rm32 Tzcnt_r64_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowPopcnt,
        name: "lzcnt",
        form: Form::BitCount(BitCount::Lzcnt),
        stage: Stage::V2,
        writes: &[Target::First],
        sure: CF_ZF,
        may: PF_AF_SF_OF,
        feature: Some(Feature::Lzcnt),
        doc: "n in [0, b].",
        codes: codes![Lzcnt_r16_rm16 Lzcnt_r32_rm32 Lzcnt_r64_rm64],
        ..PLAIN
    },
    Row {
        rule: Rule::RowBt,
        name: "bt",
        form: Form::BitTest(BitTest::Bt),
        stage: Stage::V2,
        sure: FlagSet::CF,
        may: PF_AF_SF_OF,
        doc: "Flags only. Registers only.",
        codes: codes![Bt_rm16_r16 Bt_rm32_r32 Bt_rm64_r64 Bt_rm16_imm8 Bt_rm32_imm8 Bt_rm64_imm8],
        ..PLAIN
    },
    Row {
        rule: Rule::RowBt,
        name: "bts btr btc",
        form: Form::BitTest(BitTest::Set),
        stage: Stage::V2,
        writes: &[Target::First],
        sure: FlagSet::CF,
        may: PF_AF_SF_OF,
        doc: "Fresh. Registers only.",
        codes: codes![
            Bts_rm16_r16 Bts_rm32_r32 Bts_rm64_r64 Bts_rm16_imm8 Bts_rm32_imm8 Bts_rm64_imm8
            Btr_rm16_r16 Btr_rm32_r32 Btr_rm64_r64 Btr_rm16_imm8 Btr_rm32_imm8 Btr_rm64_imm8
            Btc_rm16_r16 Btc_rm32_r32 Btc_rm64_r64 Btc_rm16_imm8 Btc_rm32_imm8 Btc_rm64_imm8
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "nop",
        form: Form::Nop,
        doc: "Nothing. 90 and the long forms of the manual, exactly.",
        codes: codes![Nopd Nopw Nop_rm16 Nop_rm32],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "endbr64 pause lfence mfence sfence",
        form: Form::Fence,
        doc: "Nothing.",
        codes: codes![Endbr64 Pause Lfence Mfence Sfence],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "int3",
        form: Form::Int3,
        doc: "Padding; refused where it can be reached.",
        codes: codes![Int3],
        ..PLAIN
    },
];
