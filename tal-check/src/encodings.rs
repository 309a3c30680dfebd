//! Not trusted: a bug here can reject, never admit. The encodings of the judge's table by the names
//! that iced-x86 has for them: what the assembler tries, and what tests try. That it is the judge's
//! table, row for row, is a test (`fuzz/tests/decoders.rs`).

use iced_x86::Code;
use std::sync::LazyLock;
use tal_core::table::{ROWS, Row};

macro_rules! codes {
    ($($code:ident)*) => { &[$(Code::$code,)*] };
}

/// The rows by name, in the order of the table.
pub const ENCODINGS: &[(&str, &[Code])] = &[
    (
        "mov",
        codes![
            Mov_rm8_r8 Mov_rm16_r16 Mov_rm32_r32 Mov_rm64_r64 Mov_r8_rm8 Mov_r16_rm16 Mov_r32_rm32
            Mov_r64_rm64 Mov_r8_imm8 Mov_r16_imm16 Mov_r32_imm32 Mov_r64_imm64 Mov_rm8_imm8
            Mov_rm16_imm16 Mov_rm32_imm32 Mov_rm64_imm32
        ],
    ),
    ("movzx", codes![Movzx_r16_rm8 Movzx_r32_rm8 Movzx_r64_rm8 Movzx_r32_rm16 Movzx_r64_rm16]),
    (
        "movsx movsxd",
        codes![
            Movsx_r16_rm8 Movsx_r32_rm8 Movsx_r64_rm8 Movsx_r32_rm16 Movsx_r64_rm16 Movsxd_r64_rm32
        ],
    ),
    ("cdqe cwde", codes![Cdqe Cwde]),
    ("cdq cqo", codes![Cdq Cqo]),
    ("lea", codes![Lea_r32_m Lea_r64_m]),
    (
        "add",
        codes![
            Add_rm8_r8 Add_rm16_r16 Add_rm32_r32 Add_rm64_r64 Add_r8_rm8 Add_r16_rm16 Add_r32_rm32
            Add_r64_rm64 Add_AL_imm8 Add_AX_imm16 Add_EAX_imm32 Add_RAX_imm32 Add_rm8_imm8
            Add_rm16_imm16 Add_rm32_imm32 Add_rm64_imm32 Add_rm16_imm8 Add_rm32_imm8 Add_rm64_imm8
        ],
    ),
    (
        "sub",
        codes![
            Sub_rm8_r8 Sub_rm16_r16 Sub_rm32_r32 Sub_rm64_r64 Sub_r8_rm8 Sub_r16_rm16 Sub_r32_rm32
            Sub_r64_rm64 Sub_AL_imm8 Sub_AX_imm16 Sub_EAX_imm32 Sub_RAX_imm32 Sub_rm8_imm8
            Sub_rm16_imm16 Sub_rm32_imm32 Sub_rm64_imm32 Sub_rm16_imm8 Sub_rm32_imm8 Sub_rm64_imm8
        ],
    ),
    (
        "cmp",
        codes![
            Cmp_rm8_r8 Cmp_rm16_r16 Cmp_rm32_r32 Cmp_rm64_r64 Cmp_r8_rm8 Cmp_r16_rm16 Cmp_r32_rm32
            Cmp_r64_rm64 Cmp_AL_imm8 Cmp_AX_imm16 Cmp_EAX_imm32 Cmp_RAX_imm32 Cmp_rm8_imm8
            Cmp_rm16_imm16 Cmp_rm32_imm32 Cmp_rm64_imm32 Cmp_rm16_imm8 Cmp_rm32_imm8 Cmp_rm64_imm8
        ],
    ),
    (
        "test",
        codes![
            Test_rm8_r8 Test_rm16_r16 Test_rm32_r32 Test_rm64_r64 Test_AL_imm8 Test_AX_imm16
            Test_EAX_imm32 Test_RAX_imm32 Test_rm8_imm8 Test_rm16_imm16 Test_rm32_imm32
            Test_rm64_imm32
        ],
    ),
    ("inc", codes![Inc_rm8 Inc_rm16 Inc_rm32 Inc_rm64]),
    ("dec", codes![Dec_rm8 Dec_rm16 Dec_rm32 Dec_rm64]),
    ("neg", codes![Neg_rm8 Neg_rm16 Neg_rm32 Neg_rm64]),
    ("not", codes![Not_rm8 Not_rm16 Not_rm32 Not_rm64]),
    (
        "adc",
        codes![
            Adc_rm8_r8 Adc_rm16_r16 Adc_rm32_r32 Adc_rm64_r64 Adc_r8_rm8 Adc_r16_rm16 Adc_r32_rm32
            Adc_r64_rm64 Adc_AL_imm8 Adc_AX_imm16 Adc_EAX_imm32 Adc_RAX_imm32 Adc_rm8_imm8
            Adc_rm16_imm16 Adc_rm32_imm32 Adc_rm64_imm32 Adc_rm16_imm8 Adc_rm32_imm8 Adc_rm64_imm8
        ],
    ),
    (
        "sbb",
        codes![
            Sbb_rm8_r8 Sbb_rm16_r16 Sbb_rm32_r32 Sbb_rm64_r64 Sbb_r8_rm8 Sbb_r16_rm16 Sbb_r32_rm32
            Sbb_r64_rm64 Sbb_AL_imm8 Sbb_AX_imm16 Sbb_EAX_imm32 Sbb_RAX_imm32 Sbb_rm8_imm8
            Sbb_rm16_imm16 Sbb_rm32_imm32 Sbb_rm64_imm32 Sbb_rm16_imm8 Sbb_rm32_imm8 Sbb_rm64_imm8
        ],
    ),
    (
        "imul",
        codes![
            Imul_r16_rm16 Imul_r32_rm32 Imul_r64_rm64 Imul_r16_rm16_imm16 Imul_r32_rm32_imm32
            Imul_r64_rm64_imm32 Imul_r16_rm16_imm8 Imul_r32_rm32_imm8 Imul_r64_rm64_imm8
        ],
    ),
    ("mul imul", codes![Mul_rm16 Mul_rm32 Mul_rm64 Imul_rm16 Imul_rm32 Imul_rm64]),
    (
        "shl",
        codes![
            Shl_rm8_1 Shl_rm8_imm8 Shl_rm16_1 Shl_rm16_imm8 Shl_rm32_1 Shl_rm32_imm8 Shl_rm64_1
            Shl_rm64_imm8
        ],
    ),
    (
        "shr",
        codes![
            Shr_rm8_1 Shr_rm8_imm8 Shr_rm16_1 Shr_rm16_imm8 Shr_rm32_1 Shr_rm32_imm8 Shr_rm64_1
            Shr_rm64_imm8
        ],
    ),
    (
        "sar",
        codes![
            Sar_rm8_1 Sar_rm8_imm8 Sar_rm16_1 Sar_rm16_imm8 Sar_rm32_1 Sar_rm32_imm8 Sar_rm64_1
            Sar_rm64_imm8
        ],
    ),
    (
        "shl shr sar by cl",
        codes![
            Shl_rm8_CL Shl_rm16_CL Shl_rm32_CL Shl_rm64_CL Shr_rm8_CL Shr_rm16_CL Shr_rm32_CL
            Shr_rm64_CL Sar_rm8_CL Sar_rm16_CL Sar_rm32_CL Sar_rm64_CL
        ],
    ),
    (
        "rol ror",
        codes![
            Rol_rm8_1 Rol_rm8_imm8 Rol_rm16_1 Rol_rm16_imm8 Rol_rm32_1 Rol_rm32_imm8 Rol_rm64_1
            Rol_rm64_imm8 Ror_rm8_1 Ror_rm8_imm8 Ror_rm16_1 Ror_rm16_imm8 Ror_rm32_1 Ror_rm32_imm8
            Ror_rm64_1 Ror_rm64_imm8 Rol_rm8_CL Rol_rm16_CL Rol_rm32_CL Rol_rm64_CL Ror_rm8_CL
            Ror_rm16_CL Ror_rm32_CL Ror_rm64_CL
        ],
    ),
    ("bswap", codes![Bswap_r32 Bswap_r64]),
    (
        "shld shrd",
        codes![
            Shld_rm32_r32_imm8 Shld_rm64_r64_imm8 Shrd_rm32_r32_imm8 Shrd_rm64_r64_imm8
        ],
    ),
    (
        "and",
        codes![
            And_rm8_r8 And_rm16_r16 And_rm32_r32 And_rm64_r64 And_r8_rm8 And_r16_rm16 And_r32_rm32
            And_r64_rm64 And_AL_imm8 And_AX_imm16 And_EAX_imm32 And_RAX_imm32 And_rm8_imm8
            And_rm16_imm16 And_rm32_imm32 And_rm64_imm32 And_rm16_imm8 And_rm32_imm8 And_rm64_imm8
        ],
    ),
    (
        "or",
        codes![
            Or_rm8_r8 Or_rm16_r16 Or_rm32_r32 Or_rm64_r64 Or_r8_rm8 Or_r16_rm16 Or_r32_rm32
            Or_r64_rm64 Or_AL_imm8 Or_AX_imm16 Or_EAX_imm32 Or_RAX_imm32 Or_rm8_imm8 Or_rm16_imm16
            Or_rm32_imm32 Or_rm64_imm32 Or_rm16_imm8 Or_rm32_imm8 Or_rm64_imm8
        ],
    ),
    (
        "xor",
        codes![
            Xor_rm8_r8 Xor_rm16_r16 Xor_rm32_r32 Xor_rm64_r64 Xor_r8_rm8 Xor_r16_rm16 Xor_r32_rm32
            Xor_r64_rm64 Xor_AL_imm8 Xor_AX_imm16 Xor_EAX_imm32 Xor_RAX_imm32 Xor_rm8_imm8
            Xor_rm16_imm16 Xor_rm32_imm32 Xor_rm64_imm32 Xor_rm16_imm8 Xor_rm32_imm8 Xor_rm64_imm8
        ],
    ),
    ("div", codes![Div_rm32 Div_rm64]),
    ("idiv", codes![Idiv_rm32 Idiv_rm64]),
    (
        "cmovcc",
        codes![
            Cmovo_r32_rm32 Cmovo_r64_rm64 Cmovno_r32_rm32 Cmovno_r64_rm64 Cmovb_r32_rm32
            Cmovb_r64_rm64 Cmovae_r32_rm32 Cmovae_r64_rm64 Cmove_r32_rm32 Cmove_r64_rm64
            Cmovne_r32_rm32 Cmovne_r64_rm64 Cmovbe_r32_rm32 Cmovbe_r64_rm64 Cmova_r32_rm32
            Cmova_r64_rm64 Cmovs_r32_rm32 Cmovs_r64_rm64 Cmovns_r32_rm32 Cmovns_r64_rm64
            Cmovp_r32_rm32 Cmovp_r64_rm64 Cmovnp_r32_rm32 Cmovnp_r64_rm64 Cmovl_r32_rm32
            Cmovl_r64_rm64 Cmovge_r32_rm32 Cmovge_r64_rm64 Cmovle_r32_rm32 Cmovle_r64_rm64
            Cmovg_r32_rm32 Cmovg_r64_rm64
        ],
    ),
    (
        "setcc",
        codes![
            Seto_rm8 Setno_rm8 Setb_rm8 Setae_rm8 Sete_rm8 Setne_rm8 Setbe_rm8 Seta_rm8 Sets_rm8
            Setns_rm8 Setp_rm8 Setnp_rm8 Setl_rm8 Setge_rm8 Setle_rm8 Setg_rm8
        ],
    ),
    (
        "xchg",
        codes![
            Xchg_rm8_r8 Xchg_rm16_r16 Xchg_rm32_r32 Xchg_rm64_r64 Xchg_r16_AX Xchg_r32_EAX
            Xchg_r64_RAX
        ],
    ),
    ("push", codes![Push_r64 Pushq_imm8 Pushq_imm32]),
    ("pop", codes![Pop_r64]),
    ("leave", codes![Leaveq]),
    ("call", codes![Call_rel32_64 Call_rm64]),
    ("ret", codes![Retnq]),
    ("jmp", codes![Jmp_rel8_64 Jmp_rel32_64 Jmp_rm64]),
    (
        "jcc",
        codes![
            Jo_rel8_64 Jo_rel32_64 Jno_rel8_64 Jno_rel32_64 Jb_rel8_64 Jb_rel32_64 Jae_rel8_64
            Jae_rel32_64 Je_rel8_64 Je_rel32_64 Jne_rel8_64 Jne_rel32_64 Jbe_rel8_64 Jbe_rel32_64
            Ja_rel8_64 Ja_rel32_64 Js_rel8_64 Js_rel32_64 Jns_rel8_64 Jns_rel32_64 Jp_rel8_64
            Jp_rel32_64 Jnp_rel8_64 Jnp_rel32_64 Jl_rel8_64 Jl_rel32_64 Jge_rel8_64 Jge_rel32_64
            Jle_rel8_64 Jle_rel32_64 Jg_rel8_64 Jg_rel32_64
        ],
    ),
    ("rep movsb movsq, movsb", codes![Movsb_m8_m8 Movsq_m64_m64]),
    ("rep stosb stosq, stosb", codes![Stosb_m8_AL Stosq_m64_RAX]),
    ("lodsb", codes![Lodsb_AL_m8]),
    ("repe cmpsb", codes![Cmpsb_m8_m8]),
    ("repne scasb", codes![Scasb_AL_m8]),
    ("popcnt", codes![Popcnt_r16_rm16 Popcnt_r32_rm32 Popcnt_r64_rm64]),
    ("tzcnt", codes![Tzcnt_r16_rm16 Tzcnt_r32_rm32 Tzcnt_r64_rm64]),
    ("lzcnt", codes![Lzcnt_r16_rm16 Lzcnt_r32_rm32 Lzcnt_r64_rm64]),
    ("bt", codes![Bt_rm16_r16 Bt_rm32_r32 Bt_rm64_r64 Bt_rm16_imm8 Bt_rm32_imm8 Bt_rm64_imm8]),
    (
        "bts btr btc",
        codes![
            Bts_rm16_r16 Bts_rm32_r32 Bts_rm64_r64 Bts_rm16_imm8 Bts_rm32_imm8 Bts_rm64_imm8
            Btr_rm16_r16 Btr_rm32_r32 Btr_rm64_r64 Btr_rm16_imm8 Btr_rm32_imm8 Btr_rm64_imm8
            Btc_rm16_r16 Btc_rm32_r32 Btc_rm64_r64 Btc_rm16_imm8 Btc_rm32_imm8 Btc_rm64_imm8
        ],
    ),
    ("nop", codes![Nopd Nopw Nop_rm16 Nop_rm32]),
    ("endbr64 pause lfence mfence sfence", codes![Endbr64 Pause Lfence Mfence Sfence]),
    ("int3", codes![Int3]),
];

/// The encodings of a row; none if it is none of [`ROWS`].
#[must_use]
pub fn codes_of(row: &Row) -> &'static [Code] {
    ENCODINGS.iter().find(|(name, _)| *name == row.name).map_or(&[], |(_, codes)| codes)
}

/// The encodings of all rows.
pub fn codes() -> impl Iterator<Item = Code> {
    ENCODINGS.iter().flat_map(|(_, codes)| codes.iter().copied())
}

/// The row of a code, or `None`: refused.
#[must_use]
pub fn row_of(code: Code) -> Option<&'static Row> {
    static ROW_OF: LazyLock<Vec<Option<&Row>>> = LazyLock::new(|| {
        let mut rows = vec![None; Code::values().len()];
        for row in ROWS {
            codes_of(row).iter().for_each(|code| rows[*code as usize] = Some(row));
        }
        rows
    });
    ROW_OF.get(code as usize).copied().flatten()
}
