//! Not trusted. Every instruction that iced-x86 knows is accepted by the table or has a reason.
#![allow(clippy::unwrap_used, reason = "tests")]

use iced_x86::Code;
use tal_check::encodings::{ENCODINGS, codes, row_of};
use tal_check::refused::{Reason, reason};
use tal_core::table::ROWS;

#[test]
fn every_code_is_accepted_or_has_a_reason() {
    for code in Code::values() {
        assert_eq!(row_of(code).is_some(), reason(code).is_none(), "{code:?}");
    }
    assert_eq!(codes().count(), Code::values().filter(|c| row_of(*c).is_some()).count());
    assert!(ENCODINGS.iter().map(|(name, _)| *name).eq(ROWS.iter().map(|row| row.name)));
}

#[test]
fn reasons_are_those_of_the_groups() {
    let cases = [
        (Code::Syscall, Reason::SystemCall),
        (Code::Iretq, Reason::SystemCall),
        (Code::Hlt, Reason::System),
        (Code::Cli, Reason::System),
        (Code::Mov_cr_r64, Reason::Encoding),
        (Code::Wrmsr, Reason::System),
        (Code::Swapgs, Reason::Segment),
        (Code::Stac, Reason::System),
        (Code::In_AL_DX, Reason::Io),
        (Code::Std, Reason::FlagsWord),
        (Code::Popfq, Reason::FlagsWord),
        (Code::Fld1, Reason::X87),
        (Code::Movq_mm_rm64, Reason::X87),
        (Code::Addps_xmm_xmmm128, Reason::Vector),
        (Code::Xbegin_rel32, Reason::Transaction),
        (Code::Xlat_m8, Reason::Memory),
        (Code::Bsf_r64_rm64, Reason::Undefined),
        (Code::Loop_rel8_64_RCX, Reason::Control),
        (Code::Enterq_imm16_imm8, Reason::Control),
        (Code::Retnq_imm16, Reason::Encoding),
        (Code::Xadd_rm64_r64, Reason::Atomic),
        (Code::Rdtsc, Reason::Environment),
        (Code::Aaa, Reason::Mode),
    ];
    for (code, want) in cases {
        assert_eq!(reason(code), Some(want), "{code:?}");
    }
}
