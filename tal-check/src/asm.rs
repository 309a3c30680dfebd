//! Not trusted: a bug here can reject, never admit. Mnemonic and operands to bytes.
//!
//! An operation is encoded in one way: the shortest encoding, and of two equal ones that which has
//! the register or memory operand first (`mov r/m, r`). The judge accepts just these.
//!
//! Which encoding that is, a table says (`asm/table.rs`): iced-x86 is called once an instruction.
//! Nothing is read back; that what is written means what was meant is tested form by form, and the
//! judge decides in the end.

mod jump;
mod table;

pub use jump::{Branch, branch};

use crate::refused::{self, Reason};
use iced_x86::{Code, CodeSize, Encoder, Instruction, Mnemonic, OpKind, Register};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use strsim::osa_distance;
use table::{Entry, Family, Form, Kind};
use tal_core::decode::decode_at;
use tal_syntax::reg::{Reg, Width};

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
    /// The instruction exists, not with these operands.
    NoForm,
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

fn name_of(mnemonic: Mnemonic) -> String {
    format!("{mnemonic:?}").to_lowercase()
}

/// The name under which iced knows the mnemonic.
fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    for prefix in ["cmov", "set", "j"] {
        if let Some(name) = name.strip_prefix(prefix).and_then(jump::condition_name) {
            return format!("{prefix}{name}");
        }
    }
    if name == "sal" { "shl".into() } else { name }
}

/// All mnemonics of the processor, for what is to be said of those that are not accepted.
static MNEMONICS: LazyLock<BTreeMap<String, Mnemonic>> =
    LazyLock::new(|| Mnemonic::values().map(|m| (name_of(m), m)).collect());

/// A mnemonic that there is.
#[derive(Clone, Copy)]
pub struct Known(&'static Entry);

/// The mnemonic of this name.
///
/// # Errors
/// [`AsmError::Unknown`] or [`AsmError::Refused`].
pub fn known(mnemonic: &str) -> Result<Known, AsmError> {
    if let Some(entry) = table::find(mnemonic) {
        return Ok(Known(entry));
    }
    let name = canonical(mnemonic);
    if let Some(entry) = table::find(&name) {
        return Ok(Known(entry));
    }
    Err(match MNEMONICS.get(&name) {
        Some(mnemonic) => AsmError::Refused(refusal(*mnemonic)),
        None => AsmError::Unknown(nearest(&name)),
    })
}

/// A register by its name in the source; of general registers only.
#[must_use]
pub fn register(name: &str) -> Option<Register> {
    Reg::parse(&name.to_ascii_lowercase()).and_then(register_of)
}

/// A register as it is written; of general registers only.
#[must_use]
pub fn register_of(reg: Reg) -> Option<Register> {
    use Register::{AH, AL, AX, BH, CH, DH, EAX, R8L, RAX, SPL};
    let at = |first: Register, number: u8| Register::try_from(first as usize + usize::from(number));
    match reg {
        // Behind bl iced has the second bytes; it calls the low parts of r8 to r15 r8l, NASM r8b.
        Reg::Gpr(gpr, Width::W8) => match gpr.number() {
            n @ 0..4 => at(AL, n),
            n @ 4..8 => at(SPL, n - 4),
            n => at(R8L, n - 8),
        }
        .ok(),
        Reg::Gpr(gpr, Width::W16) => at(AX, gpr.number()).ok(),
        Reg::Gpr(gpr, Width::W32) => at(EAX, gpr.number()).ok(),
        Reg::Gpr(gpr, Width::W64) => at(RAX, gpr.number()).ok(),
        Reg::High(gpr) => [AH, CH, DH, BH].get(usize::from(gpr.number())).copied(),
        Reg::Xmm(_) | Reg::Ymm(_) => None,
    }
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
    let mut assembler = Assembler::default();
    let placed = assembler.encode(prefix, known(mnemonic)?, args, address)?;
    Ok(Encoded { bytes: assembler.take(), displacement: placed.displacement })
}

/// Writes instructions one behind the other.
pub struct Assembler {
    encoder: Encoder,
    /// How often the encoder was called.
    calls: usize,
}

/// An instruction that was written.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// As a decoder reads it from its bytes.
    pub instruction: Instruction,
    /// Where its displacement begins, if it has one.
    pub displacement: Option<u8>,
}

impl Default for Assembler {
    fn default() -> Assembler {
        Assembler { encoder: Encoder::new(64), calls: 0 }
    }
}

impl Assembler {
    /// What was written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        let mut buffer = self.encoder.take_buffer();
        // The room is used again.
        let written = buffer.clone();
        buffer.clear();
        self.encoder.set_buffer(buffer);
        written
    }

    /// How often iced-x86 was asked for an encoding.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Writes an instruction that is no [`Branch`] to a fixed target, as it is at this address.
    ///
    /// # Errors
    /// [`AsmError`] says what to change; nothing was written.
    pub fn encode(
        &mut self,
        prefix: Option<&str>,
        Known(mut entry): Known,
        args: &[Arg],
        address: u64,
    ) -> Result<Placed, AsmError> {
        if args.iter().any(|a| matches!(a, Arg::Reg(r) if is_high_byte(*r))) {
            return Err(AsmError::HighByte);
        }
        if entry.family == Family::String {
            let instruction = string(prefix, entry)?;
            return self.emit(instruction, address);
        }
        if let Some(p) = prefix {
            return Err(match p {
                "lock" => AsmError::Refused(words(Reason::Atomic)),
                _ => AsmError::Prefix("it has a meaning for string instructions only"),
            });
        }
        // Four operands are none too few for every form.
        let mut list = [Arg::Imm(0); 4];
        let count = args.len().min(list.len());
        list.iter_mut().zip(args).for_each(|(to, from)| *to = *from);
        let count = sugar(&mut entry, &mut list, count);
        let args = list.get_mut(..count).unwrap_or_default();
        size_memory(entry, args)?;
        let args = &*args;
        let operand = args.iter().find_map(width).unwrap_or(8);
        let mut classes = [0; 4];
        classes.iter_mut().zip(args).for_each(|(to, arg)| *to = table::class(arg));
        for form in entry.forms() {
            if form.takes(&classes, count)
                && let Ok(instruction) = fill(form, entry, args, &classes, operand)
                && let Ok(placed) = self.accepted(instruction, address)
            {
                return Ok(placed);
            }
        }
        Err(self.complaint(entry, args, operand, &classes, address))
    }

    /// Why no form of an instruction takes these operands.
    fn complaint(
        &mut self,
        entry: &Entry,
        args: &[Arg],
        operand: u8,
        classes: &[u16; 4],
        address: u64,
    ) -> AsmError {
        let mut refused = false;
        let mut last: Option<(u16, AsmError)> = None;
        for form in entry.forms().iter().filter(|f| usize::from(f.count) == args.len()) {
            let complaint = match fill(form, entry, args, classes, operand) {
                Ok(instruction) => match self.accepted(instruction, address) {
                    Ok(_) => None,
                    Err(AsmError::Refused(_)) => {
                        refused = true;
                        None
                    }
                    Err(e) => Some(e),
                },
                Err(e) => e,
            };
            if let Some(e) = complaint
                && last.as_ref().is_none_or(|(order, _)| *order < form.order)
            {
                last = Some((form.order, e));
            }
        }
        match last {
            _ if refused => AsmError::Refused(words(Reason::Encoding)),
            Some((_, e)) => e,
            None => AsmError::NoForm,
        }
    }

    /// Writes an instruction, if the judge reads its bytes as one.
    ///
    /// # Errors
    /// [`AsmError::Refused`] or [`AsmError::Encoder`]; nothing was written.
    pub fn accepted(&mut self, instruction: Instruction, address: u64) -> Result<Placed, AsmError> {
        let placed = self.emit(instruction, address)?;
        let mut bytes = self.encoder.take_buffer();
        let start = bytes.len() - placed.instruction.len();
        let at = u32::try_from(address).unwrap_or(0);
        let accepted = bytes.get(start..).is_some_and(|own| decode_at(own, at, 0).is_ok());
        if !accepted {
            bytes.truncate(start);
        }
        self.encoder.set_buffer(bytes);
        if accepted { Ok(placed) } else { Err(AsmError::Refused(words(Reason::Encoding))) }
    }

    fn emit(&mut self, mut instruction: Instruction, address: u64) -> Result<Placed, AsmError> {
        self.calls += 1;
        let bytes = self.encoder.take_buffer();
        let start = bytes.len();
        self.encoder.set_buffer(bytes);
        match self.encoder.encode(&instruction, address) {
            Ok(len) => {
                let offsets = self.encoder.get_constant_offsets();
                let at = u8::try_from(offsets.displacement_offset()).unwrap_or(0);
                let displacement = offsets.has_displacement().then_some(at);
                if displacement.is_some() && instruction.memory_displ_size() == 0 {
                    // rbp and r13 have no form without a displacement.
                    instruction.set_memory_displ_size(1);
                }
                instruction.set_code_size(CodeSize::Code64);
                instruction.set_len(len);
                instruction.set_next_ip(address.wrapping_add(len as u64));
                Ok(Placed { instruction, displacement })
            }
            Err(e) => {
                let mut bytes = self.encoder.take_buffer();
                bytes.truncate(start);
                self.encoder.set_buffer(bytes);
                Err(AsmError::Encoder(e.to_string()))
            }
        }
    }
}

/// Forms that NASM allows and the processor has under another name; how many operands there are.
fn sugar(entry: &mut &'static Entry, args: &mut [Arg; 4], count: usize) -> usize {
    match (entry.family, &*args, count) {
        (Family::Imul, [r, i @ Arg::Imm(_), ..], 2) => {
            let (r, i) = (*r, *i);
            *args = [r, r, i, i];
            return 3;
        }
        // Exchanging is symmetric; the short form has the accumulator behind.
        (Family::Exchange, [Arg::Reg(Register::AX | Register::EAX | Register::RAX), ..], 2) => {
            args.swap(0, 1);
        }
        (Family::Extend, [_, source, ..], 2) if width(source) == Some(4) && entry.is("movsx") => {
            *entry = table::find("movsxd").unwrap_or(entry);
        }
        _ => {}
    }
    count
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
fn size_memory(entry: &Entry, args: &mut [Arg]) -> Result<(), AsmError> {
    let family = entry.family;
    if family == Family::Address || !args.iter().any(|a| matches!(a, Arg::Mem(_))) {
        return Ok(());
    }
    let extends = family == Family::Extend;
    let implied = args.iter().enumerate().find_map(|(i, a)| match a {
        Arg::Reg(r) if !(family == Family::Shift && i == 1) => u8::try_from(r.size()).ok(),
        _ => None,
    });
    for arg in args {
        if let Arg::Mem(m) = arg {
            match (m.size, implied) {
                (None, Some(w)) if !extends => m.size = Some(w),
                (None, None) if family == Family::Stack => m.size = Some(8),
                (None, _) if entry.is("movsxd") => m.size = Some(4),
                (None, _) => return Err(AsmError::NeedsSize),
                (Some(have), Some(w)) if !extends && have != w => {
                    return Err(AsmError::SizeMismatch(w, have));
                }
                (Some(_), _) => {}
            }
        }
    }
    Ok(())
}

/// The instruction of this form with these operands. `Err(None)`: they are of another form.
fn fill(
    form: &Form,
    entry: &Entry,
    args: &[Arg],
    classes: &[u16; 4],
    operand: u8,
) -> Result<Instruction, Option<AsmError>> {
    let mut instruction = Instruction::default();
    instruction.set_code(form.code);
    // Constants last, so that a wrong register is no complaint about a constant.
    for (((n, kind), arg), class) in (0..).zip(form.operands).zip(args).zip(classes) {
        match arg {
            Arg::Imm(_) => {}
            _ if !form.takes_at(n, *class) => return Err(None),
            Arg::Reg(r) => {
                if !kind.is_register(*r) {
                    return Err(None);
                }
                instruction.set_op_kind(n, OpKind::Register);
                instruction.set_op_register(n, *r);
            }
            Arg::Mem(m) => memory(&mut instruction, n, m).map_err(Some)?,
        }
    }
    for ((n, kind), arg) in (0..).zip(form.operands).zip(args) {
        if let Arg::Imm(v) = arg {
            constant(&mut instruction, n, kind, *v, entry.counts(), operand)?;
        }
    }
    // 90 would be `xchg eax, eax`, which clears the upper half of rax, but is `nop`, which does
    // not.
    let nop = form.is_short_exchange() && instruction.op0_register() == instruction.op1_register();
    if nop { Err(None) } else { Ok(instruction) }
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
    kind: Kind,
    v: i128,
    count: bool,
    operand: u8,
) -> Result<(), Option<AsmError>> {
    let bits = if count { 8 } else { u32::from(operand) * 8 };
    let low = -(1_i128 << (bits - 1));
    if v < low || v >= 1_i128 << bits {
        return Err(Some(AsmError::Immediate(v, if count { 1 } else { operand })));
    }
    // The value as the operation sees it, sign-extended from its width.
    let signed = if v >= -low { v - (1_i128 << bits) } else { v };
    let signed = i64::try_from(signed).map_err(|_| None)?;
    let (kind, fits) = match kind {
        Kind::One => (OpKind::Immediate8, v == 1),
        Kind::Imm8 => (OpKind::Immediate8, bits == 8),
        Kind::Imm8To16 => (OpKind::Immediate8to16, i8::try_from(signed).is_ok()),
        Kind::Imm8To32 => (OpKind::Immediate8to32, i8::try_from(signed).is_ok()),
        Kind::Imm8To64 => (OpKind::Immediate8to64, i8::try_from(signed).is_ok()),
        Kind::Imm16 => (OpKind::Immediate16, bits == 16),
        Kind::Imm32 => (OpKind::Immediate32, bits == 32),
        Kind::Imm32To64 => (OpKind::Immediate32to64, i32::try_from(signed).is_ok()),
        Kind::Imm64 => (OpKind::Immediate64, true),
        _ => return Err(None),
    };
    if !fits {
        let wide = bits == 64 && i32::try_from(signed).is_err();
        return Err(wide.then_some(AsmError::Immediate(v, 4)));
    }
    instruction.set_op_kind(n, kind);
    match kind {
        OpKind::Immediate16 | OpKind::Immediate32 | OpKind::Immediate32to64 => {
            instruction.set_immediate_i64(n, signed);
        }
        OpKind::Immediate64 => instruction.set_immediate64(signed.cast_unsigned()),
        // The byte as it is encoded.
        _ => instruction.set_immediate8(signed.to_le_bytes()[0]),
    }
    Ok(())
}

/// A string instruction: its operands are all implied.
fn string(prefix: Option<&str>, entry: &Entry) -> Result<Instruction, AsmError> {
    let code = entry.forms().first().map(|form| form.code).unwrap_or_default();
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    let (from, to) = (OpKind::MemorySegRSI, OpKind::MemoryESRDI);
    let (kinds, register) = match code {
        Code::Movsb_m8_m8 | Code::Movsq_m64_m64 => ([to, from], Register::None),
        Code::Stosq_m64_RAX => ([to, OpKind::Register], Register::RAX),
        Code::Stosb_m8_AL => ([to, OpKind::Register], Register::AL),
        Code::Lodsb_AL_m8 => ([OpKind::Register, from], Register::AL),
        Code::Cmpsb_m8_m8 => ([from, to], Register::None),
        _ => ([OpKind::Register, to], Register::AL),
    };
    for (n, kind) in (0..).zip(kinds) {
        instruction.set_op_kind(n, kind);
        if kind == OpKind::Register {
            instruction.set_op_register(n, register);
        }
    }
    match prefix {
        None => {}
        Some("rep" | "repe" | "repz") => instruction.set_has_rep_prefix(true),
        Some("repne" | "repnz") => instruction.set_has_repne_prefix(true),
        Some(_) => {
            return Err(AsmError::Refused(words(Reason::Atomic)));
        }
    }
    Ok(instruction)
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
    let names = table::all().iter().map(|entry| entry.name());
    let best = names.map(|a| (osa_distance(a, name), a)).min()?;
    (best.0 <= 1 + name.len() / 4).then_some(best.1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

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
        assert!(matches!(encode(None, "lea", &[reg("rax"), reg("rcx")], 0), Err(AsmError::NoForm)));
    }

    #[test]
    fn branches() {
        assert_eq!(branch("jnz"), Some(Branch::Cond(5)));
        assert_eq!(branch("jrcxz"), None);
        assert_eq!(Branch::Cond(5).encode(true, 0x100, 0x100), Some(vec![0x75, 0xfe]));
        assert_eq!(Branch::Jump.encode(true, 0, 0x1000), None);
        assert_eq!(Branch::Call.encode(false, 0x40_0000, 0x20_0000).unwrap().len(), 5);
    }

    /// Operands of all kinds and widths.
    fn operands() -> Vec<Arg> {
        let mut all: Vec<Arg> =
            ["al", "cl", "dil", "ax", "r9w", "eax", "ecx", "r13d", "rax", "rbx"].map(reg).into();
        for size in [None, Some(1), Some(2), Some(4), Some(8)] {
            let at = |base: &str, index, disp| mem(size, base, index, disp);
            all.extend([at("rdi", None, 0), at("rbp", None, 0), at("r12", Some(("r13", 4)), 8)]);
            all.extend([at("r13", Some(("rax", 1)), 0), at("rsp", None, 0x1000)]);
            all.extend([at("none", Some(("rdx", 8)), 5), at("none", None, 0x40_1000)]);
        }
        let half = |bits: u32| 1_i128 << (bits - 1);
        let ends = [8, 16, 32, 64].map(half);
        all.extend([0, 1, 7, -1].map(Arg::Imm));
        all.extend(ends.iter().flat_map(|h| [h - 1, *h, -h, -h - 1, 2 * h - 1]).map(Arg::Imm));
        all
    }

    /// What [`Assembler::encode`] has to give: of all forms those which mean what they should, and
    /// of these the first of the shortest.
    fn best(entry: &Entry, args: &[Arg]) -> Option<Vec<u8>> {
        let mut list = [Arg::Imm(0); 4];
        list.iter_mut().zip(args).for_each(|(to, from)| *to = *from);
        let mut entry = table::find(entry.name())?;
        let count = sugar(&mut entry, &mut list, args.len());
        let args = &mut list[..count];
        size_memory(entry, args).ok()?;
        let operand = args.iter().find_map(width).unwrap_or(8);
        let mut classes = [0; 4];
        classes.iter_mut().zip(&*args).for_each(|(to, arg)| *to = table::class(arg));
        let forms = entry.forms().iter().filter(|f| usize::from(f.count) == count);
        let encoded = forms.filter_map(|form| {
            let instruction = fill(form, entry, args, &classes, operand).ok()?;
            let mut encoder = Encoder::new(64);
            encoder.encode(&instruction, 0x40_0000).ok()?;
            let bytes = encoder.take_buffer();
            let read = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            let means = read.code() == form.code && decode_at(&bytes, 0x40_0000, 0).is_ok();
            let first = matches!(form.operands[0], Kind::RegMem(_));
            means.then_some((bytes.len(), !first, form.order, bytes))
        });
        encoded.min().map(|(.., bytes)| bytes)
    }

    /// Every mnemonic with every combination of operands: one call of the encoder gives the best
    /// form, and the instruction that a decoder reads from the bytes.
    #[test]
    fn the_first_form_is_the_best_and_is_read_as_it_was_meant() {
        let operands = operands();
        let mut assembler = Assembler::default();
        let mut found = 0;
        let mut check = |entry: &Entry, args: &[Arg]| {
            if entry.family == Family::String {
                return;
            }
            let best = best(entry, args);
            let calls = assembler.calls();
            let placed = assembler.encode(None, known(entry.name()).unwrap(), args, 0x40_0000).ok();
            let bytes = placed.map(|_| assembler.take());
            assert_eq!(bytes, best, "{} {args:?}", entry.name());
            let (Some(placed), Some(bytes)) = (placed, bytes) else { return };
            assert_eq!(assembler.calls(), calls + 1, "{} {args:?}", entry.name());
            let read = Decoder::with_ip(64, &bytes, 0x40_0000, DecoderOptions::NONE).decode();
            let same = read.eq_all_bits(&placed.instruction);
            assert!(same, "{} {args:?}: {read:?} {:?}", entry.name(), placed.instruction);
            found += 1;
        };
        for entry in table::all() {
            check(entry, &[]);
            for a in &operands {
                check(entry, &[*a]);
                for b in &operands {
                    check(entry, &[*a, *b]);
                    if entry.forms().iter().any(|form| form.count == 3) {
                        operands.iter().for_each(|c| check(entry, &[*a, *b, *c]));
                    }
                }
            }
        }
        assert!(found > 15_000, "{found}");
    }

    /// What the names of the encodings say is what iced-x86's table of opcodes says.
    #[test]
    fn forms_are_those_of_the_opcode_table() {
        use iced_x86::OpCodeOperandKind as Spec;
        for form in table::all().iter().flat_map(Entry::forms) {
            let info = form.code.op_code();
            assert_eq!(usize::from(form.count), info.op_count() as usize, "{:?}", form.code);
            for (n, kind) in (0..info.op_count()).zip(form.operands) {
                let wanted = match info.op_kind(n) {
                    Spec::r8_or_mem => Kind::RegMem(1),
                    Spec::r16_or_mem => Kind::RegMem(2),
                    Spec::r32_or_mem => Kind::RegMem(4),
                    Spec::r64_or_mem => Kind::RegMem(8),
                    Spec::r8_reg | Spec::r8_opcode => Kind::Reg(1),
                    Spec::r16_reg | Spec::r16_opcode => Kind::Reg(2),
                    Spec::r32_reg | Spec::r32_opcode => Kind::Reg(4),
                    Spec::r64_reg | Spec::r64_opcode => Kind::Reg(8),
                    Spec::mem => Kind::Mem,
                    Spec::cl => Kind::Cl,
                    Spec::ax => Kind::Ax,
                    Spec::eax => Kind::Eax,
                    Spec::imm8_const_1 => Kind::One,
                    Spec::imm8 => Kind::Imm8,
                    Spec::imm8sex16 => Kind::Imm8To16,
                    Spec::imm8sex32 => Kind::Imm8To32,
                    Spec::imm8sex64 => Kind::Imm8To64,
                    Spec::imm16 => Kind::Imm16,
                    Spec::imm32 => Kind::Imm32,
                    Spec::imm32sex64 => Kind::Imm32To64,
                    Spec::imm64 => Kind::Imm64,
                    Spec::br64_1 | Spec::br64_4 | Spec::seg_rSI | Spec::es_rDI => Kind::Implied,
                    Spec::al => Kind::Al,
                    Spec::rax => Kind::Rax,
                    other => panic!("an operand of a new kind: {other:?}"),
                };
                assert_eq!(kind, wanted, "{:?}", form.code);
            }
        }
    }

    #[test]
    fn string_instructions_and_branches_are_read_as_they_were_meant() {
        let mut assembler = Assembler::default();
        let read =
            |bytes: &[u8]| Decoder::with_ip(64, bytes, 0x40_0000, DecoderOptions::NONE).decode();
        for entry in table::all().iter().filter(|e| e.family == Family::String) {
            for prefix in [None, Some("rep"), Some("repne")] {
                let placed =
                    assembler.encode(prefix, known(entry.name()).unwrap(), &[], 0x40_0000).unwrap();
                let bytes = assembler.take();
                assert!(read(&bytes).eq_all_bits(&placed.instruction), "{}", entry.name());
            }
        }
        let conditions = (0..16).map(Branch::Cond);
        for branch in conditions.chain([Branch::Jump, Branch::Call]) {
            for short in [true, false] {
                let mut bytes = Vec::new();
                let placed = branch.write(short, 0x40_0000, 0x40_0010, &mut bytes).unwrap();
                assert_eq!(bytes.len(), usize::from(branch.len(short)));
                assert!(read(&bytes).eq_all_bits(&placed), "{branch:?} {short}");
            }
        }
    }
}
