//! Not trusted: a bug here can reject, never admit. Why an instruction is not in the table; for
//! diagnostics only.

use crate::encodings::{self, row_of};
use iced_x86::{Code, CpuidFeature, EncodingKind, Mnemonic};

/// Why there is no rule for an instruction, by class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Changes or shows the state of the machine: control, debug, descriptor, MSR, halt, cache.
    System,
    /// Leaves to the operating system or returns from it; typed calls do that here.
    SystemCall,
    /// Reads or writes ports.
    Io,
    /// Loads or uses a segment.
    Segment,
    /// x87 or MMX.
    X87,
    /// SSE, AVX: vectors come with a later stage.
    Vector,
    /// Changes the direction flag or the flags as a whole.
    FlagsWord,
    /// Transactions.
    Transaction,
    /// Reads memory at an address that no operand bounds, or an undocumented set of operands.
    Memory,
    /// Locked or shared access: threads come with a later stage.
    Atomic,
    /// The result is undefined for some operands.
    Undefined,
    /// A control transfer other than jmp, jcc, call, ret without operand.
    Control,
    /// Time, randomness, processor identity: later stage.
    Environment,
    /// Does not exist in 64-bit mode.
    Mode,
    /// This encoding of an accepted instruction: other width, memory form or spelling.
    Encoding,
    /// No rule has been written.
    NoRule,
}

/// Refused mnemonics by reason. Not complete: [`reason`] classifies the rest.
pub const REFUSED: &[(Reason, &[Mnemonic])] = {
    use Mnemonic as M;
    &[
        (
            Reason::System,
            &[
                M::Hlt,
                M::Cli,
                M::Sti,
                M::Clac,
                M::Stac,
                M::Clts,
                M::Invd,
                M::Wbinvd,
                M::Invlpg,
                M::Invpcid,
                M::Lgdt,
                M::Lidt,
                M::Lldt,
                M::Ltr,
                M::Lmsw,
                M::Sgdt,
                M::Sidt,
                M::Sldt,
                M::Smsw,
                M::Str,
                M::Rdmsr,
                M::Wrmsr,
                M::Rdpmc,
                M::Xsetbv,
                M::Xgetbv,
                M::Rsm,
                M::Monitor,
                M::Mwait,
                M::Monitorx,
                M::Mwaitx,
                M::Umonitor,
                M::Umwait,
                M::Tpause,
                M::Lar,
                M::Lsl,
                M::Verr,
                M::Verw,
                M::Rdpkru,
                M::Wrpkru,
                M::Clflush,
                M::Clflushopt,
                M::Clwb,
                M::Cldemote,
                M::Serialize,
                M::Vmcall,
                M::Vmmcall,
                M::Vmlaunch,
                M::Vmresume,
                M::Encls,
                M::Enclu,
                M::Enclv,
                M::Senduipi,
                M::Clui,
                M::Stui,
                M::Testui,
                M::Uiret,
                M::Ldmxcsr,
                M::Stmxcsr,
                M::Fxsave,
                M::Fxsave64,
                M::Fxrstor,
                M::Fxrstor64,
                M::Xsave,
                M::Xsave64,
                M::Xrstor,
                M::Xrstor64,
            ],
        ),
        (
            Reason::SystemCall,
            &[
                M::Syscall,
                M::Sysret,
                M::Sysretq,
                M::Sysenter,
                M::Sysexit,
                M::Sysexitq,
                M::Int,
                M::Int1,
                M::Into,
                M::Iret,
                M::Iretd,
                M::Iretq,
                M::Ud0,
                M::Ud1,
                M::Ud2,
            ],
        ),
        (Reason::Io, &[M::In, M::Out, M::Insb, M::Insw, M::Insd, M::Outsb, M::Outsw, M::Outsd]),
        (
            Reason::Segment,
            &[
                M::Swapgs,
                M::Rdfsbase,
                M::Rdgsbase,
                M::Wrfsbase,
                M::Wrgsbase,
                M::Lds,
                M::Les,
                M::Lfs,
                M::Lgs,
                M::Lss,
                M::Lkgs,
            ],
        ),
        (
            Reason::FlagsWord,
            &[
                M::Std,
                M::Cld,
                M::Stc,
                M::Clc,
                M::Cmc,
                M::Lahf,
                M::Sahf,
                M::Pushf,
                M::Pushfd,
                M::Pushfq,
                M::Popf,
                M::Popfd,
                M::Popfq,
            ],
        ),
        (Reason::Transaction, &[M::Xbegin, M::Xend, M::Xabort, M::Xtest]),
        (
            Reason::Memory,
            &[
                M::Xlatb,
                M::Maskmovq,
                M::Maskmovdqu,
                M::Movnti,
                M::Prefetch,
                M::Prefetchw,
                M::Prefetchnta,
                M::Prefetcht0,
                M::Prefetcht1,
                M::Prefetcht2,
                M::Movdir64b,
                M::Enqcmd,
                M::Enqcmds,
                M::Cmpsw,
                M::Cmpsd,
                M::Cmpsq,
                M::Scasw,
                M::Scasd,
                M::Scasq,
                M::Lodsw,
                M::Lodsd,
                M::Lodsq,
            ],
        ),
        (Reason::Atomic, &[M::Cmpxchg, M::Cmpxchg8b, M::Cmpxchg16b, M::Xadd]),
        (
            Reason::Mode,
            &[
                M::Aaa,
                M::Aad,
                M::Aam,
                M::Aas,
                M::Daa,
                M::Das,
                M::Arpl,
                M::Bound,
                M::Pusha,
                M::Pushad,
                M::Popa,
                M::Popad,
                M::Salc,
            ],
        ),
        (Reason::Undefined, &[M::Bsf, M::Bsr]),
        (
            Reason::Control,
            &[
                M::Loop,
                M::Loope,
                M::Loopne,
                M::Jcxz,
                M::Jecxz,
                M::Jrcxz,
                M::Enter,
                M::Retf,
                M::Jmpe,
            ],
        ),
        (Reason::Environment, &[M::Rdtsc, M::Rdtscp, M::Rdrand, M::Rdseed, M::Rdpid, M::Cpuid]),
    ]
};

/// Why this code is refused; `None` if it is accepted.
#[must_use]
pub fn reason(code: Code) -> Option<Reason> {
    if row_of(code).is_some() {
        return None;
    }
    let mnemonic = code.mnemonic();
    let listed = REFUSED.iter().find(|(_, names)| names.contains(&mnemonic));
    if let Some((reason, _)) = listed {
        return Some(*reason);
    }
    let accepted = encodings::codes().any(|c| c.mnemonic() == mnemonic);
    let needs = |f: CpuidFeature| code.cpuid_features().contains(&f);
    Some(if accepted {
        if code.cpuid_features().contains(&CpuidFeature::SSE2) {
            Reason::Vector
        } else {
            Reason::Encoding
        }
    } else if code.encoding() != EncodingKind::Legacy || code.is_privileged() {
        if code.is_privileged() { Reason::System } else { Reason::Vector }
    } else if needs(CpuidFeature::FPU) || needs(CpuidFeature::FPU287) || needs(CpuidFeature::MMX) {
        Reason::X87
    } else if is_sse(code) {
        Reason::Vector
    } else {
        Reason::NoRule
    })
}

fn is_sse(code: Code) -> bool {
    code.cpuid_features().iter().any(|f| {
        matches!(
            f,
            CpuidFeature::SSE
                | CpuidFeature::SSE2
                | CpuidFeature::SSE3
                | CpuidFeature::SSSE3
                | CpuidFeature::SSE4_1
                | CpuidFeature::SSE4_2
                | CpuidFeature::SSE4A
                | CpuidFeature::AES
                | CpuidFeature::PCLMULQDQ
                | CpuidFeature::SHA
                | CpuidFeature::GFNI
        )
    })
}
