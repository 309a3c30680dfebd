//! TCB. The rows of the instruction table (core.md 4.9), in its order.

use super::encoding::{BYTE, FREE, LONG, QUAD, WORD, Widths};
use super::encoding::{implied, in_opcode, reg_rm, rm, rm_reg};
use super::{ENDBR64, Encoding, Feature, Form, Immediate, Row, Stage, Target};
use crate::decode::{Alu, BitCount, BitTest, Shift, Unary, Width};
use crate::error::Rule;
use crate::state::FlagSet;
use crate::ty::Reg;

/// The eight operations at 00 to 3F and in the groups 80, 81 and 83, by their numbers.
const fn arithmetic(number: u8) -> [Encoding; 9] {
    let base = (number as u16) << 3;
    [
        rm_reg(base, BYTE),
        rm_reg(base + 1, WORD),
        reg_rm(base + 2, BYTE),
        reg_rm(base + 3, WORD),
        implied(base + 4, BYTE).then(Immediate::Byte),
        implied(base + 5, WORD).then(Immediate::Long),
        rm(0x80, number, BYTE).then(Immediate::Byte),
        rm(0x81, number, WORD).then(Immediate::Long),
        rm(0x83, number, WORD).then(Immediate::Byte),
    ]
}

/// By a constant.
const fn shifts(number: u8) -> [Encoding; 4] {
    [
        rm(0xD0, number, BYTE).then(Immediate::One),
        rm(0xC0, number, BYTE).then(Immediate::Count),
        rm(0xD1, number, WORD).then(Immediate::One),
        rm(0xC1, number, WORD).then(Immediate::Count),
    ]
}

const fn by_cl(opcode: u16, number: u8, widths: Widths) -> Encoding {
    rm(opcode, number, widths).then(Immediate::Cl)
}

/// A bit by its number.
const fn bit(number: u8) -> Encoding {
    rm(0x0FBA, number, WORD).registers().then(Immediate::Byte)
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
    encodings: &[],
    strings: &[],
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
        encodings: &[
            rm_reg(0x88, BYTE),
            rm_reg(0x89, WORD),
            reg_rm(0x8A, BYTE),
            reg_rm(0x8B, WORD),
            in_opcode(0xB0, BYTE).then(Immediate::Byte),
            in_opcode(0xB8, WORD).then(Immediate::Full),
            rm(0xC6, 0, BYTE).then(Immediate::Byte),
            rm(0xC7, 0, WORD).then(Immediate::Long),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovzx,
        name: "movzx",
        form: Form::Extend { signed: false },
        writes: &[Target::First],
        doc: "Read unsigned at the narrow width, then write.",
        encodings: &[reg_rm(0x0FB6, WORD).from(Width::W8), reg_rm(0x0FB7, LONG).from(Width::W16)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovsx,
        name: "movsx movsxd",
        form: Form::Extend { signed: true },
        writes: &[Target::First],
        doc: "Read signed at the narrow width, then write.",
        encodings: &[
            reg_rm(0x0FBE, WORD).from(Width::W8),
            reg_rm(0x0FBF, LONG).from(Width::W16),
            reg_rm(0x63, QUAD).from(Width::W32),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowMovsx,
        name: "cdqe cwde",
        form: Form::Convert,
        writes: &[Target::Reg(Reg::Rax)],
        doc: "Read rax signed at half the width, then write.",
        encodings: &[implied(0x98, LONG)],
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
        encodings: &[implied(0x99, LONG)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowLea,
        name: "lea",
        form: Form::Lea,
        writes: &[Target::First],
        doc: "The term of the address; a pointer or frame word plus integers stays one (64 \
              bits). An entry: code-address.",
        encodings: &[reg_rm(0x8D, LONG).memory()],
        ..PLAIN
    },
    Row {
        rule: Rule::RowAdd,
        name: "add",
        form: Form::Alu(Alu::Add),
        writes: &[Target::First],
        sure: FlagSet::ALL,
        doc: "e1 + e2; pointer plus integer (64 bits) stays a pointer, flags unreadable.",
        encodings: &arithmetic(0),
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
        encodings: &arithmetic(5),
        ..PLAIN
    },
    Row {
        rule: Rule::RowCmp,
        name: "cmp",
        form: Form::Compare,
        sure: FlagSet::ALL,
        doc: "Flags only: cmp-public, cmp-same, cmp-other, pick.",
        encodings: &arithmetic(7),
        ..PLAIN
    },
    Row {
        rule: Rule::RowTest,
        name: "test",
        form: Form::Test,
        sure: LOGIC,
        may: FlagSet::AF,
        doc: "Flags of the result of `and`; `test r,r` of an undecided name: pick.",
        encodings: &[
            rm_reg(0x84, BYTE),
            rm_reg(0x85, WORD),
            implied(0xA8, BYTE).then(Immediate::Byte),
            implied(0xA9, WORD).then(Immediate::Long),
            rm(0xF6, 0, BYTE).then(Immediate::Byte),
            rm(0xF7, 0, WORD).then(Immediate::Long),
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
        encodings: &[rm(0xFE, 0, BYTE), rm(0xFF, 0, WORD)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowInc,
        name: "dec",
        form: Form::Unary(Unary::Dec),
        writes: &[Target::First],
        sure: NOT_CF,
        doc: "e - 1; CF stays.",
        encodings: &[rm(0xFE, 1, BYTE), rm(0xFF, 1, WORD)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNeg,
        name: "neg",
        form: Form::Unary(Unary::Neg),
        writes: &[Target::First],
        sure: FlagSet::ALL,
        doc: "-e; flags as cmp 0, e.",
        encodings: &[rm(0xF6, 3, BYTE), rm(0xF7, 3, WORD)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNeg,
        name: "not",
        form: Form::Unary(Unary::Not),
        writes: &[Target::First],
        doc: "-e - 1; no flags.",
        encodings: &[rm(0xF6, 2, BYTE), rm(0xF7, 2, WORD)],
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
        encodings: &arithmetic(2),
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
        encodings: &arithmetic(3),
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
        encodings: &[
            reg_rm(0x0FAF, WORD),
            rm_reg(0x69, WORD).then(Immediate::Long),
            rm_reg(0x6B, WORD).then(Immediate::Byte),
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
        encodings: &[rm(0xF7, 4, WORD), rm(0xF7, 5, WORD)],
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
        encodings: &shifts(4),
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
        encodings: &shifts(5),
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
        encodings: &shifts(7),
        ..PLAIN
    },
    Row {
        rule: Rule::RowShiftCl,
        name: "shl shr sar by cl",
        form: Form::ShiftCl,
        writes: &[Target::First],
        may: FlagSet::ALL,
        doc: "shr: 0 <= x <= v. Others fresh.",
        encodings: &[
            by_cl(0xD2, 4, BYTE),
            by_cl(0xD3, 4, WORD),
            by_cl(0xD2, 5, BYTE),
            by_cl(0xD3, 5, WORD),
            by_cl(0xD2, 7, BYTE),
            by_cl(0xD3, 7, WORD),
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
        encodings: &[
            rm(0xC0, 0, BYTE).then(Immediate::Count),
            rm(0xC1, 0, WORD).then(Immediate::Count),
            rm(0xC0, 1, BYTE).then(Immediate::Count),
            rm(0xC1, 1, WORD).then(Immediate::Count),
            rm(0xD0, 0, BYTE).then(Immediate::One),
            rm(0xD1, 0, WORD).then(Immediate::One),
            rm(0xD0, 1, BYTE).then(Immediate::One),
            rm(0xD1, 1, WORD).then(Immediate::One),
            by_cl(0xD2, 0, BYTE),
            by_cl(0xD3, 0, WORD),
            by_cl(0xD2, 1, BYTE),
            by_cl(0xD3, 1, WORD),
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
        encodings: &[in_opcode(0x0FC8, LONG)],
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
        encodings: &[
            rm_reg(0x0FA4, LONG).then(Immediate::Count),
            rm_reg(0x0FAC, LONG).then(Immediate::Count),
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
        encodings: &arithmetic(4),
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
        encodings: &arithmetic(1),
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
        encodings: &arithmetic(6),
        ..PLAIN
    },
    Row {
        rule: Rule::RowDiv,
        name: "div",
        form: Form::Div,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rdx)],
        may: FlagSet::ALL,
        doc: "rdx = 0 and divisor >= 1 proved; rax := q, rdx := r with their facts.",
        encodings: &[rm(0xF7, 6, LONG)],
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
        encodings: &[rm(0xF7, 7, LONG)],
        ..PLAIN
    },
    Row {
        rule: Rule::RowCmov,
        name: "cmovcc",
        form: Form::Cmov,
        writes: &[Target::First],
        doc: "A template that both alternatives satisfy. Reads the flags of its condition.",
        encodings: &[reg_rm(0x0F40, LONG).conditions()],
        ..PLAIN
    },
    Row {
        rule: Rule::RowSetcc,
        name: "setcc",
        form: Form::Setcc,
        writes: &[Target::First],
        doc: "0 or 1. Registers only. Reads the flags of its condition.",
        encodings: &[rm(0x0F90, 0, BYTE).registers().conditions()],
        ..PLAIN
    },
    Row {
        rule: Rule::RowXchg,
        name: "xchg",
        form: Form::Xchg,
        writes: &[Target::First, Target::Second],
        doc: "Both words. Registers only.",
        encodings: &[
            rm_reg(0x86, BYTE).registers(),
            rm_reg(0x87, WORD).registers(),
            in_opcode(0x90, WORD),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::Push,
        name: "push",
        form: Form::Push,
        writes: &[Target::Reg(Reg::Rsp), Target::Memory],
        doc: "stack-move by -8, then the word.",
        encodings: &[
            in_opcode(0x50, FREE),
            implied(0x6A, FREE).then(Immediate::Byte),
            implied(0x68, FREE).then(Immediate::Long),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::Pop,
        name: "pop",
        form: Form::Pop,
        writes: &[Target::First, Target::Reg(Reg::Rsp)],
        doc: "The slot's word, then stack-move by 8.",
        encodings: &[in_opcode(0x58, FREE)],
        ..PLAIN
    },
    Row {
        rule: Rule::StackMove,
        name: "leave",
        form: Form::Leave,
        writes: &[Target::Reg(Reg::Rsp), Target::Reg(Reg::Rbp)],
        doc: "stack-move to rbp, then pop rbp.",
        encodings: &[implied(0xC9, FREE)],
        ..PLAIN
    },
    Row {
        rule: Rule::Call,
        name: "call",
        form: Form::Call,
        writes: &[Target::Reg(Reg::Rsp), Target::Memory],
        doc: "Rule call; through a register or direct.",
        encodings: &[implied(0xE8, FREE).then(Immediate::Far), rm(0xFF, 2, FREE).registers()],
        ..PLAIN
    },
    Row {
        rule: Rule::Return,
        name: "ret",
        form: Form::Ret,
        writes: &[Target::Reg(Reg::Rsp)],
        doc: "Rule return.",
        encodings: &[implied(0xC3, FREE)],
        ..PLAIN
    },
    Row {
        rule: Rule::Jump,
        name: "jmp",
        form: Form::Jmp,
        doc: "Rules jump, tail-call, jump-table.",
        encodings: &[
            implied(0xEB, FREE).then(Immediate::Near),
            implied(0xE9, FREE).then(Immediate::Far),
            rm(0xFF, 4, FREE),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::Cond,
        name: "jcc",
        form: Form::Jcc,
        doc: "Rule cond. Reads the flags of its condition.",
        encodings: &[
            implied(0x70, FREE).conditions().then(Immediate::Near),
            implied(0x0F80, FREE).conditions().then(Immediate::Far),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRepMovs,
        name: "rep movsb movsq, movsb",
        form: Form::Movs,
        writes: &[Target::Memory, Target::Reg(Reg::Rsi), Target::Reg(Reg::Rdi), Target::Count],
        doc: "Copies plain memory. movsq only with rep.",
        encodings: &[implied(0xA4, BYTE).maybe_f3(), implied(0xA5, QUAD).f3()],
        ..PLAIN
    },
    Row {
        rule: Rule::RowRepStos,
        name: "rep stosb stosq, stosb",
        form: Form::Stos,
        writes: &[Target::Memory, Target::Reg(Reg::Rdi), Target::Count],
        doc: "Fills plain memory. stosq only with rep.",
        encodings: &[implied(0xAA, BYTE).maybe_f3(), implied(0xAB, QUAD).f3()],
        ..PLAIN
    },
    Row {
        rule: Rule::RowString,
        name: "lodsb",
        form: Form::Lodsb,
        stage: Stage::V2,
        writes: &[Target::Reg(Reg::Rax), Target::Reg(Reg::Rsi)],
        doc: "Loads a byte.",
        encodings: &[implied(0xAC, BYTE)],
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
        encodings: &[implied(0xA6, BYTE).f3()],
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
        encodings: &[implied(0xAE, BYTE).f2()],
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
        encodings: &[reg_rm(0x0FB8, WORD).f3()],
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
        encodings: &[reg_rm(0x0FBC, WORD).f3()],
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
        encodings: &[reg_rm(0x0FBD, WORD).f3()],
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
        encodings: &[rm_reg(0x0FA3, WORD).registers(), bit(4)],
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
        encodings: &[
            rm_reg(0x0FAB, WORD).registers(),
            rm_reg(0x0FB3, WORD).registers(),
            rm_reg(0x0FBB, WORD).registers(),
            bit(5),
            bit(6),
            bit(7),
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "nop",
        form: Form::Nop,
        doc: "Nothing. 90 and the long forms of the manual, exactly.",
        strings: &[
            &[0x90],
            &[0x66, 0x90],
            &[0x0F, 0x1F, 0x00],
            &[0x0F, 0x1F, 0x40, 0x00],
            &[0x0F, 0x1F, 0x44, 0x00, 0x00],
            &[0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00],
            &[0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00],
            &[0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
            &[0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "endbr64 pause lfence mfence sfence",
        form: Form::Fence,
        doc: "Nothing.",
        strings: &[
            ENDBR64,
            &[0xF3, 0x90],
            &[0x0F, 0xAE, 0xE8],
            &[0x0F, 0xAE, 0xF0],
            &[0x0F, 0xAE, 0xF8],
        ],
        ..PLAIN
    },
    Row {
        rule: Rule::RowNop,
        name: "int3",
        form: Form::Int3,
        doc: "Padding; refused where it can be reached.",
        encodings: &[implied(0xCC, FREE)],
        ..PLAIN
    },
];
