//! Not trusted: a bug here can reject, never admit. Mnemonic and operands to bytes.
//!
//! An operation is encoded in one way: the shortest encoding, and of two equal ones that which has
//! the register or memory operand first (`mov r/m, r`). The judge accepts just these.

use crate::encodings;
use crate::refused::{self, Reason};
use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, Instruction, Mnemonic, OpCodeOperandKind as Spec,
    OpKind, Register,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use strsim::osa_distance;
use tal_core::decode::decode_at;

/// One operand, all names resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A register of any width.
    Reg(Register),
    /// A constant: as a signed or as an unsigned number.
    Imm(i128),
    /// Memory.
    Mem(MemArg),
}

/// `size [base + index*scale + disp]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemArg {
    /// Bytes, when written.
    pub size: Option<u8>,
    /// 64-bit register.
    pub base: Option<Register>,
    /// 64-bit register and 1, 2, 4 or 8.
    pub index: Option<(Register, u8)>,
    /// Displacement; without registers the absolute address, encoded relative to rip.
    pub disp: i64,
}

/// An instruction as bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the displacement begins, if there is one.
    pub displacement: Option<u8>,
}

/// Why there is no encoding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AsmError {
    /// No such instruction on this processor; the nearest accepted one.
    Unknown(Option<&'static str>),
    /// The dialect refuses it, for this reason.
    Refused(&'static str),
    /// A prefix that means nothing here.
    Prefix(&'static str),
    /// The instruction exists, not with these operands; the forms that it has.
    NoForm(Vec<String>),
    /// The width of a memory operand must be written.
    NeedsSize,
    /// Sizes disagree: left and right bytes.
    SizeMismatch(u8, u8),
    /// The constant does not fit; the bytes that it would have to fit into.
    Immediate(i128, u8),
    /// Displacement beyond 32 bits.
    Displacement(i64),
    /// ah, bh, ch or dh.
    HighByte,
    /// rsp as scaled index, or an index without address.
    Index,
    /// Another complaint of the encoder.
    Encoder(String),
}

/// A transfer of control to a fixed target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Branch {
    /// `jmp`
    Jump,
    /// `jcc`, by condition code number.
    Cond(u8),
    /// `call`
    Call,
}

/// Names of the sixteen condition codes, by number; aliases after the first.
const CONDITIONS: [&[&str]; 16] = [
    &["o"],
    &["no"],
    &["b", "c", "nae"],
    &["ae", "nb", "nc"],
    &["e", "z"],
    &["ne", "nz"],
    &["be", "na"],
    &["a", "nbe"],
    &["s"],
    &["ns"],
    &["p", "pe"],
    &["np", "po"],
    &["l", "nge"],
    &["ge", "nl"],
    &["le", "ng"],
    &["g", "nle"],
];

fn condition(name: &str) -> Option<u8> {
    let at = CONDITIONS.iter().position(|names| names.contains(&name))?;
    u8::try_from(at).ok()
}

/// Is this mnemonic a transfer that may go to a fixed target?
#[must_use]
pub fn branch(mnemonic: &str) -> Option<Branch> {
    match mnemonic {
        "jmp" => Some(Branch::Jump),
        "call" => Some(Branch::Call),
        "jcxz" | "jecxz" | "jrcxz" => None,
        _ => mnemonic.strip_prefix('j').and_then(condition).map(Branch::Cond),
    }
}

impl Branch {
    /// Bytes of its encoding.
    #[must_use]
    pub fn len(self, short: bool) -> u32 {
        match (self, short) {
            (Branch::Call, _) | (Branch::Jump, false) => 5,
            (Branch::Jump | Branch::Cond(_), true) => 2,
            (Branch::Cond(_), false) => 6,
        }
    }

    /// The encoding at address `from`, or nothing if `to` is out of its reach.
    #[must_use]
    pub fn encode(self, short: bool, from: u64, to: u64) -> Option<Vec<u8>> {
        let next = from.checked_add(u64::from(self.len(short)))?;
        let distance = i64::try_from(i128::from(to) - i128::from(next)).ok()?;
        let mut bytes = match (self, short) {
            (Branch::Call, _) => vec![0xe8],
            (Branch::Jump, true) => vec![0xeb],
            (Branch::Jump, false) => vec![0xe9],
            (Branch::Cond(cc), true) => vec![0x70 | cc],
            (Branch::Cond(cc), false) => vec![0x0f, 0x80 | cc],
        };
        if short && self != Branch::Call {
            bytes.extend(i8::try_from(distance).ok()?.to_le_bytes());
        } else {
            bytes.extend(i32::try_from(distance).ok()?.to_le_bytes());
        }
        Some(bytes)
    }
}

/// Mnemonics of the dialect: what a misspelt one is compared with.
static ACCEPTED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all: BTreeSet<String> = encodings::codes().map(|c| name_of(c.mnemonic())).collect();
    all.into_iter().collect()
});

fn name_of(mnemonic: Mnemonic) -> String {
    format!("{mnemonic:?}").to_lowercase()
}

/// The name under which iced knows the mnemonic.
fn canonical(name: &str) -> String {
    for (prefix, keep) in [("cmov", "cmov"), ("set", "set"), ("j", "j")] {
        if let Some(cc) = name.strip_prefix(prefix).and_then(condition) {
            let first = CONDITIONS.get(usize::from(cc)).and_then(|n| n.first());
            return format!("{keep}{}", first.unwrap_or(&""));
        }
    }
    match name {
        "sal" => "shl".into(),
        _ => name.to_ascii_lowercase(),
    }
}

static MNEMONICS: LazyLock<BTreeMap<String, Mnemonic>> =
    LazyLock::new(|| Mnemonic::values().map(|m| (format!("{m:?}").to_lowercase(), m)).collect());

/// The accepted encodings of a mnemonic.
static CODES: LazyLock<BTreeMap<u32, Vec<Code>>> = LazyLock::new(|| {
    let mut map: BTreeMap<u32, Vec<Code>> = BTreeMap::new();
    for code in encodings::codes() {
        map.entry(code.mnemonic() as u32).or_default().push(code);
    }
    map
});

/// A register by its name in the source.
#[must_use]
pub fn register(name: &str) -> Option<Register> {
    static NAMES: LazyLock<BTreeMap<String, Register>> = LazyLock::new(|| {
        Register::values()
            .filter(|r| r.is_gpr())
            .map(|r| (format!("{r:?}").to_lowercase(), r))
            .map(|(n, r)| {
                // iced calls the low parts of r8..r15 r8l; NASM calls them r8b.
                let low = n.starts_with('r') && n.ends_with('l') && n.len() > 2;
                (if low { n.replace('l', "b") } else { n }, r)
            })
            .collect()
    });
    NAMES.get(&name.to_ascii_lowercase()).copied()
}

/// Encodes one instruction that is no [`Branch`] to a fixed target.
///
/// # Errors
/// [`AsmError`] says what to change.
pub fn encode(
    prefix: Option<&str>,
    mnemonic: &str,
    args: &[Arg],
    address: u64,
) -> Result<Encoded, AsmError> {
    let name = canonical(mnemonic);
    let (name, args) = sugar(name, args);
    let Some(known) = MNEMONICS.get(&name).copied() else {
        return Err(AsmError::Unknown(nearest(&name)));
    };
    if ACCEPTED.binary_search(&name).is_err() {
        return Err(AsmError::Refused(refusal(known)));
    }
    if args.iter().any(|a| matches!(a, Arg::Reg(r) if is_high_byte(*r))) {
        return Err(AsmError::HighByte);
    }
    let codes = CODES.get(&(known as u32)).map_or(&[][..], Vec::as_slice);
    if let Some(code) = string_code(&name) {
        return string(prefix, code, address);
    }
    if let Some(p) = prefix {
        return Err(match p {
            "lock" => AsmError::Refused(words(Reason::Atomic)),
            _ => AsmError::Prefix("it has a meaning for string instructions only"),
        });
    }
    let args = size_memory(&name, &args)?;
    let mut best: Option<(usize, bool, Encoded)> = None;
    let mut complaint = None;
    let mut refused = false;
    for &code in codes {
        match try_code(code, &args, address) {
            Ok(encoded) if !accepted(&encoded.bytes, address) => refused = true,
            Ok(encoded) => {
                let memory_first = matches!(
                    code.op_code().op0_kind(),
                    Spec::r8_or_mem | Spec::r16_or_mem | Spec::r32_or_mem | Spec::r64_or_mem
                );
                let better = best.as_ref().is_none_or(|(len, first, _)| {
                    (encoded.bytes.len(), !memory_first) < (*len, !*first)
                });
                if better {
                    best = Some((encoded.bytes.len(), memory_first, encoded));
                }
            }
            Err(Some(e)) => complaint = Some(e),
            Err(None) => {}
        }
    }
    match (best, complaint) {
        (Some((_, _, encoded)), _) => Ok(encoded),
        (None, _) if refused => Err(AsmError::Refused(words(Reason::Encoding))),
        (None, Some(e)) => Err(e),
        (None, None) => Err(no_form(codes, &args)),
    }
}

/// Forms that NASM allows and the processor has under another name.
fn sugar(name: String, args: &[Arg]) -> (String, Vec<Arg>) {
    match (name.as_str(), args) {
        ("imul", [r, i @ Arg::Imm(_)]) => (name, vec![*r, *r, *i]),
        // Exchanging is symmetric; the short form has the accumulator behind.
        ("xchg", [Arg::Reg(a @ (Register::AX | Register::EAX | Register::RAX)), b]) => {
            (name, vec![*b, Arg::Reg(*a)])
        }
        ("movsx", [_, source]) if width(source) == Some(4) => ("movsxd".into(), args.to_vec()),
        _ => (name, args.to_vec()),
    }
}

/// Bytes of an operand, if it says so.
fn width(arg: &Arg) -> Option<u8> {
    match arg {
        Arg::Reg(r) => u8::try_from(r.size()).ok(),
        Arg::Imm(_) => None,
        Arg::Mem(m) => m.size,
    }
}

fn is_high_byte(r: Register) -> bool {
    matches!(r, Register::AH | Register::BH | Register::CH | Register::DH)
}

/// Gives memory operands the width that a register operand implies.
fn size_memory(name: &str, args: &[Arg]) -> Result<Vec<Arg>, AsmError> {
    let mut args = args.to_vec();
    if name == "lea" {
        return Ok(args);
    }
    let extends = matches!(name, "movzx" | "movsx" | "movsxd");
    let shift = matches!(name, "shl" | "shr" | "sar" | "rol" | "ror");
    let implied = args.iter().enumerate().find_map(|(i, a)| match a {
        Arg::Reg(r) if !(shift && i == 1) => u8::try_from(r.size()).ok(),
        _ => None,
    });
    for arg in &mut args {
        if let Arg::Mem(m) = arg {
            match (m.size, implied) {
                (None, Some(w)) if !extends => m.size = Some(w),
                (None, None) if matches!(name, "call" | "jmp" | "push" | "pop") => {
                    m.size = Some(8);
                }
                (None, _) if name == "movsxd" => m.size = Some(4),
                (None, _) => return Err(AsmError::NeedsSize),
                (Some(have), Some(w)) if !extends && have != w => {
                    return Err(AsmError::SizeMismatch(w, have));
                }
                (Some(_), _) => {}
            }
        }
    }
    Ok(args)
}

/// Tries one encoding. `Err(None)`: the operands are of another form.
fn try_code(code: Code, args: &[Arg], address: u64) -> Result<Encoded, Option<AsmError>> {
    let info = code.op_code();
    if info.op_count() as usize != args.len() {
        return Err(None);
    }
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    // Constants last, so that a wrong register is no complaint about a constant.
    let order = (0..args.len()).filter(|i| !matches!(args.get(*i), Some(Arg::Imm(_))));
    let constants = (0..args.len()).filter(|i| matches!(args.get(*i), Some(Arg::Imm(_))));
    let operand = if args.iter().any(|a| width(a).is_some()) {
        args.iter().find_map(width).unwrap_or(8)
    } else {
        8
    };
    for i in order.chain(constants) {
        let (Some(arg), Ok(n)) = (args.get(i), u32::try_from(i)) else { return Err(None) };
        place(&mut instruction, n, info.op_kind(n), arg, operand)?;
    }
    let encoded = emit(&instruction, address).map_err(Some)?;
    if means(&encoded.bytes, code) { Ok(encoded) } else { Err(None) }
}

/// Do the bytes mean what was encoded? Not if they are another instruction's by exception: 90 would
/// be `xchg eax, eax`, which clears the upper half of rax, but is `nop`, which does not.
fn means(bytes: &[u8], code: Code) -> bool {
    Decoder::new(64, bytes, DecoderOptions::NONE).decode().code() == code
}

/// Does the judge read these bytes as one instruction?
fn accepted(bytes: &[u8], address: u64) -> bool {
    let address = u32::try_from(address).unwrap_or(0);
    decode_at(bytes, address, 0).is_ok()
}

fn emit(instruction: &Instruction, address: u64) -> Result<Encoded, AsmError> {
    let mut encoder = Encoder::new(64);
    match encoder.encode(instruction, address) {
        Ok(_) => {
            let offsets = encoder.get_constant_offsets();
            let displacement = offsets.has_displacement();
            let at = u8::try_from(offsets.displacement_offset()).unwrap_or(0);
            Ok(Encoded { bytes: encoder.take_buffer(), displacement: displacement.then_some(at) })
        }
        Err(e) => Err(AsmError::Encoder(e.to_string())),
    }
}

/// Puts one operand where the encoding wants it.
fn place(
    instruction: &mut Instruction,
    n: u32,
    spec: Spec,
    arg: &Arg,
    operand: u8,
) -> Result<(), Option<AsmError>> {
    match arg {
        Arg::Reg(r) => {
            let fits = match spec {
                Spec::r8_or_mem | Spec::r8_reg | Spec::r8_opcode => r.is_gpr8(),
                Spec::r16_or_mem | Spec::r16_reg | Spec::r16_opcode | Spec::r16_rm => r.is_gpr16(),
                Spec::r32_or_mem | Spec::r32_reg | Spec::r32_opcode | Spec::r32_rm => r.is_gpr32(),
                Spec::r64_or_mem | Spec::r64_reg | Spec::r64_opcode | Spec::r64_rm => r.is_gpr64(),
                Spec::al => *r == Register::AL,
                Spec::cl => *r == Register::CL,
                Spec::ax => *r == Register::AX,
                Spec::eax => *r == Register::EAX,
                Spec::rax => *r == Register::RAX,
                _ => false,
            };
            if !fits {
                return Err(None);
            }
            instruction.set_op_kind(n, OpKind::Register);
            instruction.set_op_register(n, *r);
            Ok(())
        }
        Arg::Mem(m) => {
            let bytes = match spec {
                Spec::r8_or_mem => Some(1),
                Spec::r16_or_mem => Some(2),
                Spec::r32_or_mem => Some(4),
                Spec::r64_or_mem => Some(8),
                Spec::mem => None,
                _ => return Err(None),
            };
            if bytes.is_some() && bytes != m.size {
                return Err(None);
            }
            memory(instruction, n, m).map_err(Some)
        }
        Arg::Imm(v) => constant(instruction, n, spec, *v, operand),
    }
}

fn memory(instruction: &mut Instruction, n: u32, m: &MemArg) -> Result<(), AsmError> {
    let displacement = i32::try_from(m.disp).map_err(|_| AsmError::Displacement(m.disp));
    instruction.set_op_kind(n, OpKind::Memory);
    let (mut base, mut index) = (m.base, m.index);
    if let (Some(b), Some((Register::RSP, 1))) = (base, index) {
        (base, index) = (Some(Register::RSP), Some((b, 1)));
    }
    if let (None, Some((r, 1))) = (base, index) {
        (base, index) = (Some(r), None);
    }
    if matches!(index, Some((Register::RSP, _))) {
        return Err(AsmError::Index);
    }
    if base.is_none() && index.is_none() {
        let target = u64::try_from(m.disp).map_err(|_| AsmError::Displacement(m.disp))?;
        instruction.set_memory_base(Register::RIP);
        instruction.set_memory_displ_size(8);
        instruction.set_memory_displacement64(target);
        return Ok(());
    }
    let displacement = displacement?;
    instruction.set_memory_base(base.unwrap_or(Register::None));
    let (register, scale) = index.unwrap_or((Register::None, 1));
    instruction.set_memory_index(register);
    instruction.set_memory_index_scale(u32::from(scale));
    let size = match displacement {
        _ if base.is_none() => 8,
        0 => 0,
        d if i8::try_from(d).is_ok() => 1,
        _ => 8,
    };
    instruction.set_memory_displ_size(size);
    // Two's complement on purpose: the field is the sign-extended displacement.
    instruction.set_memory_displacement64(i64::from(displacement).cast_unsigned());
    Ok(())
}

/// Puts a constant where the encoding wants one; `operand` is the width of the operation.
fn constant(
    instruction: &mut Instruction,
    n: u32,
    spec: Spec,
    v: i128,
    operand: u8,
) -> Result<(), Option<AsmError>> {
    let count = matches!(
        instruction.mnemonic(),
        Mnemonic::Shl
            | Mnemonic::Shr
            | Mnemonic::Sar
            | Mnemonic::Rol
            | Mnemonic::Ror
            | Mnemonic::Shld
            | Mnemonic::Shrd
            | Mnemonic::Bt
            | Mnemonic::Bts
            | Mnemonic::Btr
            | Mnemonic::Btc
    );
    let bits = if count { 8 } else { u32::from(operand) * 8 };
    let low = -(1_i128 << (bits - 1));
    if v < low || v >= 1_i128 << bits {
        return Err(Some(AsmError::Immediate(v, if count { 1 } else { operand })));
    }
    // The value as the operation sees it, sign-extended from its width.
    let signed = if v >= -low { v - (1_i128 << bits) } else { v };
    let signed = i64::try_from(signed).map_err(|_| None)?;
    let (kind, fits) = match spec {
        Spec::imm8_const_1 => (OpKind::Immediate8, v == 1),
        Spec::imm8 => (OpKind::Immediate8, bits == 8),
        Spec::imm8sex16 => (OpKind::Immediate8to16, i8::try_from(signed).is_ok()),
        Spec::imm8sex32 => (OpKind::Immediate8to32, i8::try_from(signed).is_ok()),
        Spec::imm8sex64 => (OpKind::Immediate8to64, i8::try_from(signed).is_ok()),
        Spec::imm16 => (OpKind::Immediate16, bits == 16),
        Spec::imm32 => (OpKind::Immediate32, bits == 32),
        Spec::imm32sex64 => (OpKind::Immediate32to64, i32::try_from(signed).is_ok()),
        Spec::imm64 => (OpKind::Immediate64, true),
        _ => return Err(None),
    };
    if !fits {
        let wide = bits == 64 && i32::try_from(signed).is_err();
        return Err(wide.then_some(AsmError::Immediate(v, 4)));
    }
    instruction.set_op_kind(n, kind);
    instruction.set_immediate_i64(n, signed);
    Ok(())
}

fn string_code(name: &str) -> Option<Code> {
    match name {
        "movsb" => Some(Code::Movsb_m8_m8),
        "movsq" => Some(Code::Movsq_m64_m64),
        "stosb" => Some(Code::Stosb_m8_AL),
        "stosq" => Some(Code::Stosq_m64_RAX),
        "lodsb" => Some(Code::Lodsb_AL_m8),
        "cmpsb" => Some(Code::Cmpsb_m8_m8),
        "scasb" => Some(Code::Scasb_AL_m8),
        _ => None,
    }
}

fn string(prefix: Option<&str>, code: Code, address: u64) -> Result<Encoded, AsmError> {
    let info = code.op_code();
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    for n in 0..info.op_count() {
        let kind = match info.op_kind(n) {
            Spec::seg_rSI => OpKind::MemorySegRSI,
            Spec::es_rDI => OpKind::MemoryESRDI,
            Spec::al => {
                instruction.set_op_register(n, Register::AL);
                OpKind::Register
            }
            _ => {
                instruction.set_op_register(n, Register::RAX);
                OpKind::Register
            }
        };
        instruction.set_op_kind(n, kind);
    }
    match prefix {
        None => {}
        Some("rep" | "repe" | "repz") => instruction.set_has_rep_prefix(true),
        Some("repne" | "repnz") => instruction.set_has_repne_prefix(true),
        Some(_) => {
            return Err(AsmError::Refused(words(Reason::Atomic)));
        }
    }
    emit(&instruction, address)
}

/// The forms of an instruction, in the notation of the manual.
fn no_form(codes: &[Code], args: &[Arg]) -> AsmError {
    let mut forms: Vec<String> = Vec::new();
    let same_count = |c: &&Code| c.op_code().op_count() as usize == args.len();
    let any = codes.iter().any(|c| same_count(&c));
    for code in codes.iter().filter(|c| !any || same_count(c)) {
        let form = code.op_code().instruction_string().to_lowercase();
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    AsmError::NoForm(forms)
}

/// Why an instruction that the processor has is not in the dialect.
fn refusal(mnemonic: Mnemonic) -> &'static str {
    let special = match name_of(mnemonic).as_str() {
        "loop" | "loope" | "loopne" => Some("write `dec rcx` and `jnz`"),
        "jrcxz" | "jecxz" => Some("write `test rcx, rcx` and `jz`"),
        "enter" => Some("write `push rbp`, `mov rbp, rsp`, `sub rsp, ..`"),
        "bsf" | "bsr" => Some("its result is undefined for 0: use `tzcnt` or `lzcnt`"),
        "ud2" => Some("a trap is no way to end a program: call `exit`"),
        _ => None,
    };
    let code = Code::values().find(|c| c.mnemonic() == mnemonic);
    special.or_else(|| code.and_then(refused::reason).map(words)).unwrap_or(words(Reason::NoRule))
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::System => "it controls the machine, which no program may",
        Reason::SystemCall => "calls to the system are `call`s of the interface's imports",
        Reason::Io => "it reads or writes ports, which no program may",
        Reason::Segment => "it uses segments, which the checker does not follow",
        Reason::X87 => "x87 and MMX are not part of the dialect",
        Reason::Vector => "vectors come with a later version",
        Reason::FlagsWord => "it changes or shows flags that the checker does not follow",
        Reason::Transaction => "transactions are not part of the dialect",
        Reason::Memory => "it reads memory that no operand bounds",
        Reason::Atomic => "threads and atomic operations come with a later version",
        Reason::Undefined => "its result is undefined for some operands",
        Reason::Control => "control goes by jmp, jcc, call and ret",
        Reason::Environment => "time, randomness and identity come with a later version",
        Reason::Mode => "it does not exist in 64-bit mode",
        Reason::Encoding => "this form of the instruction is not in the table",
        Reason::NoRule => "no rule has been written for it",
    }
}

/// The accepted mnemonic that is most like this one, if any is near.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let best = ACCEPTED.iter().map(|a| (osa_distance(a, name), a.as_str())).min()?;
    (best.0 <= 1 + name.len() / 4).then_some(best.1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use iced_x86::{Formatter, IntelFormatter};

    fn reg(name: &str) -> Arg {
        Arg::Reg(register(name).unwrap())
    }

    fn mem(size: Option<u8>, base: &str, index: Option<(&str, u8)>, disp: i64) -> Arg {
        Arg::Mem(MemArg {
            size,
            base: register(base),
            index: index.map(|(n, s)| (register(n).unwrap(), s)),
            disp,
        })
    }

    fn shown(bytes: &[u8]) -> String {
        let mut decoder = Decoder::with_ip(64, bytes, 0x40_0000, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let mut out = String::new();
        IntelFormatter::new().format(&instruction, &mut out);
        assert_eq!(instruction.len(), bytes.len());
        out
    }

    fn check(name: &str, args: &[Arg], bytes: &[u8], text: &str) {
        let got = encode(None, name, args, 0x40_0000).unwrap().bytes;
        assert_eq!(got, bytes, "{name} {args:?} is {}", shown(&got));
        assert_eq!(shown(&got), text);
    }

    #[test]
    fn common_forms_have_the_usual_bytes() {
        check("mov", &[reg("rax"), reg("rdi")], &[0x48, 0x89, 0xf8], "mov rax,rdi");
        check("mov", &[reg("edi"), Arg::Imm(1)], &[0xbf, 1, 0, 0, 0], "mov edi,1");
        check(
            "mov",
            &[reg("rcx"), Arg::Imm(-1)],
            &[0x48, 0xc7, 0xc1, 0xff, 0xff, 0xff, 0xff],
            "mov rcx,0FFFFFFFFFFFFFFFFh",
        );
        check("add", &[reg("rax"), Arg::Imm(8)], &[0x48, 0x83, 0xc0, 8], "add rax,8");
        check("sub", &[reg("rsp"), Arg::Imm(8)], &[0x48, 0x83, 0xec, 8], "sub rsp,8");
        check(
            "mov",
            &[reg("r8"), mem(None, "rdi", Some(("rdx", 8)), -8)],
            &[0x4c, 0x8b, 0x44, 0xd7, 0xf8],
            "mov r8,[rdi+rdx*8-8]",
        );
        check("push", &[reg("rbx")], &[0x53], "push rbx");
        check("ret", &[], &[0xc3], "ret");
        check("leave", &[], &[0xc9], "leave");
        check("nop", &[], &[0x90], "nop");
        check("cqo", &[], &[0x48, 0x99], "cqo");
        check("shr", &[reg("rax"), Arg::Imm(1)], &[0x48, 0xd1, 0xe8], "shr rax,1");
        check("setz", &[reg("dil")], &[0x40, 0x0f, 0x94, 0xc7], "sete dil");
        check("push", &[Arg::Imm(1000)], &[0x68, 0xe8, 3, 0, 0], "push 3E8h");
    }

    /// Where the byte of the short form is that of `nop`, the long form is taken: 32 bits clear the
    /// upper half.
    #[test]
    fn exchanging_a_register_with_itself_is_no_nop() {
        let twice = |name| [reg(name), reg(name)];
        check("xchg", &twice("eax"), &[0x87, 0xc0], "xchg eax,eax");
        check("xchg", &twice("rax"), &[0x48, 0x87, 0xc0], "xchg rax,rax");
        check("xchg", &twice("ax"), &[0x66, 0x87, 0xc0], "xchg ax,ax");
        check("xchg", &[reg("eax"), reg("r8d")], &[0x41, 0x90], "xchg r8d,eax");
        check("xchg", &[reg("rcx"), reg("rax")], &[0x48, 0x91], "xchg rcx,rax");
    }

    #[test]
    fn constants_fit_or_are_refused() {
        let wide = [reg("rcx"), Arg::Imm(0x9e37_79b9_7f4a_7c15)];
        assert_eq!(encode(None, "mov", &wide, 0).unwrap().bytes.len(), 10);
        let e = encode(None, "add", &wide, 0).unwrap_err();
        assert_eq!(e, AsmError::Immediate(0x9e37_79b9_7f4a_7c15, 4));
        let e = encode(None, "mov", &[reg("al"), Arg::Imm(256)], 0).unwrap_err();
        assert_eq!(e, AsmError::Immediate(256, 1));
        check(
            "and",
            &[reg("ecx"), Arg::Imm(0xffff_fff0)],
            &[0x83, 0xe1, 0xf0],
            "and ecx,0FFFFFFF0h",
        );
    }

    #[test]
    fn memory_needs_a_width_and_is_relative_without_registers() {
        let e = encode(None, "inc", &[mem(None, "rsi", None, 0)], 0).unwrap_err();
        assert_eq!(e, AsmError::NeedsSize);
        let e = encode(None, "mov", &[reg("rax"), mem(Some(4), "rsi", None, 0)], 0).unwrap_err();
        assert_eq!(e, AsmError::SizeMismatch(8, 4));
        let abs = Arg::Mem(MemArg { disp: 0x40_2000, ..MemArg::default() });
        let got = encode(None, "lea", &[reg("rsi"), abs], 0x40_0000).unwrap().bytes;
        assert_eq!(got, [0x48, 0x8d, 0x35, 0xf9, 0x1f, 0, 0]);
        let table = mem(Some(8), "none", Some(("r8", 8)), 0x40_2000);
        let got = encode(None, "jmp", &[table], 0x40_0000).unwrap().bytes;
        assert_eq!(got, [0x42, 0xff, 0x24, 0xc5, 0, 0x20, 0x40, 0]);
    }

    #[test]
    fn string_instructions_take_prefixes() {
        assert_eq!(encode(Some("rep"), "movsb", &[], 0).unwrap().bytes, [0xf3, 0xa4]);
        assert_eq!(encode(Some("repne"), "scasb", &[], 0).unwrap().bytes, [0xf2, 0xae]);
        assert_eq!(encode(Some("rep"), "stosq", &[], 0).unwrap().bytes, [0xf3, 0x48, 0xab]);
        assert!(encode(Some("rep"), "ret", &[], 0).is_err());
    }

    #[test]
    fn misspelt_and_refused_names_are_told_apart() {
        assert_eq!(encode(None, "mvo", &[], 0), Err(AsmError::Unknown(Some("mov"))));
        assert_eq!(encode(None, "frobnicate", &[], 0), Err(AsmError::Unknown(None)));
        assert!(matches!(encode(None, "syscall", &[], 0), Err(AsmError::Refused(_))));
        assert_eq!(encode(None, "mov", &[reg("ah"), Arg::Imm(1)], 0), Err(AsmError::HighByte));
        let e = encode(None, "cmov", &[], 0);
        assert!(matches!(e, Err(AsmError::Unknown(Some(_)))));
        assert!(matches!(
            encode(None, "lea", &[reg("rax"), reg("rcx")], 0),
            Err(AsmError::NoForm(_))
        ));
    }

    #[test]
    fn branches() {
        assert_eq!(branch("jnz"), Some(Branch::Cond(5)));
        assert_eq!(branch("jrcxz"), None);
        assert_eq!(Branch::Cond(5).encode(true, 0x100, 0x100), Some(vec![0x75, 0xfe]));
        assert_eq!(Branch::Jump.encode(true, 0, 0x1000), None);
        assert_eq!(Branch::Call.encode(false, 0x40_0000, 0x20_0000).unwrap().len(), 5);
    }
}
