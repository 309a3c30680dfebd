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
        let gpr = |number: Option<u8>, width| {
            number.and_then(|n| Gpr::ALL.get(usize::from(n))).map(|gpr| Reg::Gpr(*gpr, width))
        };
        match name.as_bytes() {
            [b'r', digits @ (b'8' | b'9')] => gpr(number(&[*digits]), Width::W64),
            [b'r', b'1', digit @ b'0'..=b'5'] => gpr(number(&[b'1', *digit]), Width::W64),
            [b'r', digits @ .., suffix @ (b'b' | b'w' | b'd')] if !digits.is_empty() => {
                let width = match suffix {
                    b'b' => Width::W8,
                    b'w' => Width::W16,
                    _ => Width::W32,
                };
                gpr(number(digits).filter(|n| *n >= 8), width)
            }
            [b'r', letters @ ..] => gpr(old(letters), Width::W64),
            [b'e', letters @ ..] => gpr(old(letters), Width::W32),
            [letters @ .., b'l'] if letters.len() == 2 => gpr(old(letters), Width::W8)
                .filter(|reg| reg.gpr().is_some_and(|gpr| gpr.number() >= 4)),
            [letter, b'l'] => gpr(old(&[*letter, b'x']), Width::W8),
            [letter, b'h'] => {
                gpr(old(&[*letter, b'x']), Width::W8).and_then(Reg::gpr).map(Reg::High)
            }
            [b'x', b'm', b'm', digits @ ..] => number(digits).map(Reg::Xmm),
            [b'y', b'm', b'm', digits @ ..] => number(digits).map(Reg::Ymm),
            letters => gpr(old(letters), Width::W16),
        }
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

/// The number of one of the eight registers that have names of letters.
fn old(letters: &[u8]) -> Option<u8> {
    Some(match letters {
        b"ax" => 0,
        b"cx" => 1,
        b"dx" => 2,
        b"bx" => 3,
        b"sp" => 4,
        b"bp" => 5,
        b"si" => 6,
        b"di" => 7,
        _ => return None,
    })
}

/// A number from 0 to 15, without leading zeros.
fn number(digits: &[u8]) -> Option<u8> {
    match digits {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
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
        for other in [
            "", "rip", "r16", "RAX", "xmm16", "r8l", "x", "r7", "r7d", "r08", "rd", "rb", "r", "e",
            "l", "h", "xl", "sph", "dih", "axl", "all", "xmm", "ymm01", "r1", "r1d", "esl", "cxb",
        ] {
            assert_eq!(Reg::parse(other), None);
        }
    }
}
