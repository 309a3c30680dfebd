//! Not trusted: a bug here can reject, never admit. The forms of each mnemonic, shortest first.
//!
//! Made once, out of the names that iced-x86 has for the encodings (`Add_rm32_imm8`): what they say
//! of operands is what its own table of opcodes says, and that table is slow to set up. Among the
//! forms of one mnemonic that take the same operands, all bytes are the same but the one of ModRM
//! and those of the constant; so the length is known without encoding, and the first form that
//! takes the operands is the one. A mnemonic is found by its letters in one word, by bisection.

use super::Arg;
use crate::encodings;
use iced_x86::{Code, Mnemonic, Register};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// What a form has in the place of an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names of the manual")]
pub(super) enum Kind {
    None,
    Reg(u8),
    RegMem(u8),
    Mem,
    Al,
    Cl,
    Ax,
    Eax,
    Rax,
    One,
    Imm8,
    Imm8To16,
    Imm8To32,
    Imm8To64,
    Imm16,
    Imm32,
    Imm32To64,
    Imm64,
    /// The target of a jump, or memory that no operand names.
    Implied,
}

const REG: u16 = 1;
const MEM: u16 = 1 << 4;
const MEM_ANY: u16 = 1 << 8;
const IMM: u16 = 1 << 9;

/// The bit of a width in bytes.
const fn wide(bytes: u8) -> u16 {
    match bytes {
        1 => 1,
        2 => 2,
        4 => 4,
        8 => 8,
        _ => 0,
    }
}

/// The class of an operand: one bit, or none if no form takes it.
pub(super) fn class(arg: &Arg) -> u16 {
    match arg {
        Arg::Reg(r) if r.is_gpr() => REG * wide(u8::try_from(r.size()).unwrap_or(0)),
        Arg::Reg(_) => 0,
        Arg::Mem(m) => MEM_ANY | m.size.map_or(0, |size| MEM * wide(size)),
        Arg::Imm(_) => IMM,
    }
}

impl Kind {
    /// The classes that it takes.
    fn classes(self) -> u16 {
        match self {
            Kind::None | Kind::Implied => 0,
            Kind::Reg(bytes) => REG * wide(bytes),
            Kind::RegMem(bytes) => (REG | MEM) * wide(bytes),
            Kind::Mem => MEM_ANY,
            Kind::Al | Kind::Cl => REG,
            Kind::Ax => REG * wide(2),
            Kind::Eax => REG * wide(4),
            Kind::Rax => REG * wide(8),
            _ => IMM,
        }
    }

    /// Does it take this register of a class that it takes?
    pub(super) fn is_register(self, r: Register) -> bool {
        match self {
            Kind::Al => r == Register::AL,
            Kind::Cl => r == Register::CL,
            Kind::Ax => r == Register::AX,
            Kind::Eax => r == Register::EAX,
            Kind::Rax => r == Register::RAX,
            _ => true,
        }
    }

    /// The bytes that it adds to those which all forms have.
    fn bytes(self) -> u8 {
        match self {
            Kind::RegMem(_) | Kind::Mem => 1,
            Kind::Imm8 | Kind::Imm8To16 | Kind::Imm8To32 | Kind::Imm8To64 => 1,
            Kind::Imm16 => 2,
            Kind::Imm32 | Kind::Imm32To64 => 4,
            Kind::Imm64 => 8,
            _ => 0,
        }
    }

    /// From the name's part; `width` is that of the operation, `counts` as [`Entry::counts`].
    fn read(part: &str, width: u8, counts: bool) -> Kind {
        match part {
            "r8" => Kind::Reg(1),
            "r16" => Kind::Reg(2),
            "r32" => Kind::Reg(4),
            "r64" => Kind::Reg(8),
            "rm8" => Kind::RegMem(1),
            "rm16" => Kind::RegMem(2),
            "rm32" => Kind::RegMem(4),
            "rm64" => Kind::RegMem(8),
            "m" => Kind::Mem,
            "AL" => Kind::Al,
            "CL" => Kind::Cl,
            "AX" => Kind::Ax,
            "EAX" => Kind::Eax,
            "RAX" => Kind::Rax,
            "1" => Kind::One,
            "imm8" => match width {
                _ if counts => Kind::Imm8,
                2 => Kind::Imm8To16,
                4 => Kind::Imm8To32,
                8 => Kind::Imm8To64,
                _ => Kind::Imm8,
            },
            "imm16" => Kind::Imm16,
            "imm32" if width == 8 => Kind::Imm32To64,
            "imm32" => Kind::Imm32,
            "imm64" => Kind::Imm64,
            _ => Kind::Implied,
        }
    }

    /// Bytes of the register or memory that it takes.
    fn width(self) -> Option<u8> {
        match self {
            Kind::Reg(bytes) | Kind::RegMem(bytes) => Some(bytes),
            Kind::Al => Some(1),
            Kind::Ax => Some(2),
            Kind::Eax => Some(4),
            Kind::Rax => Some(8),
            _ => None,
        }
    }
}

/// What is particular about the operands of a mnemonic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    /// Nothing.
    Plain,
    /// `lea`: memory has no width.
    Address,
    /// `movzx`, `movsx`, `movsxd`: the source is narrower.
    Extend,
    /// Its count is a byte, a constant or cl.
    Shift,
    /// Memory without a width has 8 bytes.
    Stack,
    /// With two operands it may be one with three.
    Imul,
    /// Its operands may be exchanged.
    Exchange,
    /// Its operands are implied.
    String,
}

impl Family {
    fn of(name: &str) -> Family {
        match name {
            "lea" => Family::Address,
            "movzx" | "movsx" | "movsxd" => Family::Extend,
            "shl" | "shr" | "sar" | "rol" | "ror" => Family::Shift,
            "call" | "jmp" | "push" | "pop" => Family::Stack,
            "imul" => Family::Imul,
            "xchg" => Family::Exchange,
            "movsb" | "movsq" | "stosb" | "stosq" | "lodsb" | "cmpsb" | "scasb" => Family::String,
            _ => Family::Plain,
        }
    }
}

/// One encoding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub code: Code,
    pub operands: [Kind; 3],
    accepts: [u16; 3],
    pub count: u8,
    /// Its place among all encodings.
    pub order: u16,
}

impl Form {
    /// Does it take operands of these classes?
    pub(super) fn takes(&self, classes: &[u16; 4], count: usize) -> bool {
        let fits = |(accepts, class): (&u16, &u16)| accepts & class != 0;
        usize::from(self.count) == count && self.accepts.iter().zip(classes).take(count).all(fits)
    }

    /// Does it take an operand of this class in place n?
    pub(super) fn takes_at(&self, n: u32, class: u16) -> bool {
        self.accepts.get(n as usize).is_some_and(|accepts| accepts & class != 0)
    }

    /// `xchg reg, rax` in one byte?
    pub(super) fn is_short_exchange(&self) -> bool {
        matches!(self.code, Code::Xchg_r16_AX | Code::Xchg_r32_EAX | Code::Xchg_r64_RAX)
    }

    /// Shorter is better; then what has the register or memory operand first.
    fn rank(&self) -> (u8, bool, u16) {
        let mut bytes: u8 = self.operands.iter().map(|kind| kind.bytes().min(8)).sum();
        let both = |kind: &&Kind| matches!(kind, Kind::RegMem(_) | Kind::Mem);
        // ModRM is one byte for all operands.
        bytes -=
            u8::try_from(self.operands.iter().filter(both).count().saturating_sub(1)).unwrap_or(0);
        (bytes, !matches!(self.operands.first(), Some(Kind::RegMem(_))), self.order)
    }
}

/// A mnemonic.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    key: u64,
    name: String,
    pub family: Family,
    forms: Vec<Form>,
}

impl Entry {
    /// Its forms, the best first.
    pub(super) fn forms(&self) -> &[Form] {
        &self.forms
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Is its constant a count of bits?
    pub(super) fn counts(&self) -> bool {
        let bits = ["shld", "shrd", "bt", "bts", "btr", "btc"];
        self.family == Family::Shift || bits.contains(&self.name.as_str())
    }
}

/// The letters of a name in one word, small ones; none if there are more than eight.
fn key(name: &str) -> Option<u64> {
    let bytes = name.as_bytes();
    if bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |key, byte| key << 8 | u64::from(byte.to_ascii_lowercase())))
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(entries);

/// All mnemonics of the dialect.
pub(super) fn all() -> &'static [Entry] {
    &ENTRIES
}

/// The mnemonic of this name, in letters of any size.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    let key = key(name)?;
    let entries = &*ENTRIES;
    entries.get(entries.partition_point(|e| e.key < key)).filter(|e| e.key == key)
}

fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(160);
    let mut text = String::new();
    let mut before: Option<(Mnemonic, usize)> = None;
    for (order, code) in (0..).zip(encodings::codes()) {
        let mnemonic = code.mnemonic();
        let at = match before {
            Some((same, at)) if same == mnemonic => at,
            _ => {
                text.clear();
                let _ = write!(text, "{mnemonic:?}");
                let key = key(&text).unwrap_or(u64::MAX);
                let at = entries.partition_point(|e| e.key < key);
                if entries.get(at).is_none_or(|e| e.key != key) {
                    let name = text.to_ascii_lowercase();
                    let family = Family::of(&name);
                    entries.insert(at, Entry { key, name, family, forms: Vec::new() });
                }
                at
            }
        };
        before = Some((mnemonic, at));
        let Some(entry) = entries.get_mut(at) else { continue };
        text.clear();
        let _ = write!(text, "{code:?}");
        let form = form(code, &text, order, entry.counts());
        entry.forms.push(form);
    }
    for entry in &mut entries {
        entry.forms.sort_by_cached_key(Form::rank);
    }
    entries
}

/// A form by its name.
fn form(code: Code, name: &str, order: u16, counts: bool) -> Form {
    let mut operands = [Kind::None; 3];
    let mut count = 0;
    // `push` has 64 bits, which nothing says.
    let mut width = 8;
    for (to, part) in operands.iter_mut().zip(name.split('_').skip(1)) {
        let tail = count > 0 && matches!(part, "64");
        if tail {
            // `Jmp_rel8_64`
            break;
        }
        *to = Kind::read(part, width, counts);
        if count == 0 {
            width = to.width().unwrap_or(width);
        }
        count += 1;
    }
    let accepts = operands.map(Kind::classes);
    Form { code, operands, accepts, count, order }
}
