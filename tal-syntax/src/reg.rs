//! Not trusted: a bug here can reject, never admit. The registers and their names.

/// The sixteen general registers, in the order of their machine numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // the names say it
pub enum Gpr {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    Rsp = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
}

impl Gpr {
    /// All of them, by machine number.
    pub const ALL: [Gpr; 16] = [
        Gpr::Rax,
        Gpr::Rcx,
        Gpr::Rdx,
        Gpr::Rbx,
        Gpr::Rsp,
        Gpr::Rbp,
        Gpr::Rsi,
        Gpr::Rdi,
        Gpr::R8,
        Gpr::R9,
        Gpr::R10,
        Gpr::R11,
        Gpr::R12,
        Gpr::R13,
        Gpr::R14,
        Gpr::R15,
    ];

    /// The machine number, 0 to 15.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name at a width: `Gpr::Rax.name(Width::W32)` is `eax`.
    pub const fn name(self, width: Width) -> &'static str {
        let names = match width {
            Width::W8 => &NAMES_8,
            Width::W16 => &NAMES_16,
            Width::W32 => &NAMES_32,
            Width::W64 => &NAMES_64,
        };
        names[self as usize]
    }
}

/// How many bits of a register or of memory an operand has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Width {
    W8,
    W16,
    W32,
    W64,
}

impl Width {
    /// All of them, narrow to wide.
    pub const ALL: [Width; 4] = [Width::W8, Width::W16, Width::W32, Width::W64];

    /// 8, 16, 32 or 64.
    pub const fn bits(self) -> u8 {
        match self {
            Width::W8 => 8,
            Width::W16 => 16,
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> u8 {
        self.bits() / 8
    }
}

/// A register as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reg {
    /// `rax`, `eax`, `ax`, `al` and so on.
    Gpr(Gpr, Width),
    /// `ah`, `ch`, `dh`, `bh`: parsed so that they can be refused with a reason. Only the first
    /// four occur.
    High(Gpr),
    /// `xmm0` to `xmm15`.
    Xmm(u8),
    /// `ymm0` to `ymm15`: parsed so that they can be refused with a reason.
    Ymm(u8),
}

impl Reg {
    /// The register of this name, if it is one. Names are lower case.
    pub fn parse(name: &str) -> Option<Reg> {
        if !(2..=5).contains(&name.len()) {
            return None;
        }
        for width in Width::ALL {
            for gpr in Gpr::ALL {
                if gpr.name(width) == name {
                    return Some(Reg::Gpr(gpr, width));
                }
            }
        }
        for (gpr, high) in Gpr::ALL.into_iter().zip(NAMES_HIGH) {
            if high == name {
                return Some(Reg::High(gpr));
            }
        }
        let vector = |names: &[&str; 16]| names.iter().position(|n| *n == name);
        if let Some(n) = vector(&NAMES_XMM) {
            return Some(Reg::Xmm(n as u8));
        }
        vector(&NAMES_YMM).map(|n| Reg::Ymm(n as u8))
    }

    /// The name as it is written.
    pub fn name(self) -> &'static str {
        let of = |names: &'static [&'static str], n: u8| names.get(usize::from(n)).copied();
        match self {
            Reg::Gpr(gpr, width) => gpr.name(width),
            Reg::High(gpr) => of(&NAMES_HIGH, gpr.number()).unwrap_or("?"),
            Reg::Xmm(n) => of(&NAMES_XMM, n).unwrap_or("?"),
            Reg::Ymm(n) => of(&NAMES_YMM, n).unwrap_or("?"),
        }
    }

    /// The general register that holds it, if it is one (`ah` lies in `rax`).
    pub const fn gpr(self) -> Option<Gpr> {
        match self {
            Reg::Gpr(gpr, _) | Reg::High(gpr) => Some(gpr),
            Reg::Xmm(_) | Reg::Ymm(_) => None,
        }
    }

    /// The width of a general register operand.
    pub const fn width(self) -> Option<Width> {
        match self {
            Reg::Gpr(_, width) => Some(width),
            Reg::High(_) => Some(Width::W8),
            Reg::Xmm(_) | Reg::Ymm(_) => None,
        }
    }
}

const NAMES_64: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
const NAMES_32: [&str; 16] = [
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
    "r13d", "r14d", "r15d",
];
const NAMES_16: [&str; 16] = [
    "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
    "r14w", "r15w",
];
const NAMES_8: [&str; 16] = [
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
    "r13b", "r14b", "r15b",
];
const NAMES_HIGH: [&str; 4] = ["ah", "ch", "dh", "bh"];
const NAMES_XMM: [&str; 16] = [
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
    "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
];
const NAMES_YMM: [&str; 16] = [
    "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10",
    "ymm11", "ymm12", "ymm13", "ymm14", "ymm15",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_the_register_that_prints_it() {
        let mut names = 0;
        for list in [&NAMES_64, &NAMES_32, &NAMES_16, &NAMES_8, &NAMES_XMM, &NAMES_YMM] {
            for name in list {
                assert_eq!(Reg::parse(name).map(Reg::name), Some(*name));
                names += 1;
            }
        }
        for name in NAMES_HIGH {
            assert_eq!(Reg::parse(name).map(Reg::name), Some(name));
        }
        assert_eq!(names, 96);
        for other in ["", "rip", "r16", "RAX", "xmm16", "r8l", "x"] {
            assert_eq!(Reg::parse(other), None);
        }
    }
}
