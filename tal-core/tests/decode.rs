//! Not trusted. The decoder: default deny, one encoding for each instruction, the operands that
//! another decoder prints (traps 4, 8, 20, 60, 121, 130, 135; groups G and H).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod former;

use fastrand::Rng;
use former::encodings::{self, codes_of};
use iced_x86::{Code, Encoder, Formatter, Instruction, IntelFormatter, Register};
use tal_core::decode::{Decoded, Ea, Flow, Op, Rm, Src, StringOp, Width, decode_at};
use tal_core::error::{Kind, Rule};
use tal_core::table::ROWS;
use tal_core::ty::Reg;

const ADDRESS: u32 = 0x40_0000;

fn decode(bytes: &[u8]) -> Result<Decoded, (Rule, Kind)> {
    decode_at(bytes, ADDRESS, 0).map_err(|e| (e.rule, e.kind))
}

fn iced(bytes: &[u8]) -> Instruction {
    former::read(bytes, ADDRESS)
}

/// The bytes are the ones that an encoder makes of what they decode to.
fn is_canonical(bytes: &[u8]) -> bool {
    let i = iced(bytes);
    let mut encoder = Encoder::new(64);
    // The displacement may have been given in more bytes than needed.
    let mut shortest = i;
    let plain = !matches!(i.memory_base(), Register::None | Register::RIP);
    if plain && i.op_kinds().any(|k| k == iced_x86::OpKind::Memory) {
        shortest.set_memory_displ_size(u32::from(i.memory_displacement64() != 0));
    }
    let padding = matches!(i.code(), Code::Nop_rm16 | Code::Nop_rm32);
    let ok = encoder.encode(&shortest, u64::from(ADDRESS)).is_ok();
    padding || (ok && encoder.take_buffer() == bytes)
}

fn reg(r: Reg, w: Width) -> String {
    const NAMES: [&str; 16] = [
        "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "8", "9", "10", "11", "12", "13", "14",
        "15",
    ];
    let n = NAMES[r as usize];
    let high = r >= Reg::R8;
    match w {
        Width::W64 => format!("r{n}"),
        Width::W32 if high => format!("r{n}d"),
        Width::W16 if high => format!("r{n}w"),
        Width::W8 if high => format!("r{n}b"),
        Width::W32 => format!("e{n}"),
        Width::W16 => n.to_string(),
        Width::W8 if n.ends_with('x') => n.replace('x', "l"),
        Width::W8 => format!("{n}l"),
    }
}

fn number(n: u64) -> String {
    format!("{n}")
}

fn ea(e: &Ea) -> String {
    let mut parts: Vec<String> = vec![];
    parts.extend(e.base.map(|r| reg(r, Width::W64)));
    parts.extend(e.index.map(|(r, s)| match (s, e.base) {
        (1, Some(_)) => reg(r, Width::W64),
        _ => format!("{}*{s}", reg(r, Width::W64)),
    }));
    let none = parts.is_empty();
    let mut text = parts.join("+");
    if none {
        text += &number(e.disp as u64);
    } else if e.disp < 0 {
        text += &format!("-{}", number(e.disp.unsigned_abs()));
    } else if e.disp > 0 {
        text += &format!("+{}", number(e.disp as u64));
    }
    format!("[{text}]")
}

fn rm(x: &Rm, w: Width) -> String {
    match x {
        Rm::Reg(r) => reg(*r, w),
        Rm::Mem(e) => ea(e),
    }
}

fn src(x: &Src, w: Width) -> String {
    match x {
        Src::Reg(r) => reg(*r, w),
        Src::Mem(e) => ea(e),
        Src::Imm(c) => match w {
            Width::W8 => number(u64::from(*c as u8)),
            Width::W16 => number(u64::from(*c as u16)),
            Width::W32 => number(u64::from(*c as u32)),
            Width::W64 => number(*c as u64),
        },
    }
}

/// The explicit operands as text; `None` for families that keep less than the operands.
fn operands(op: &Op) -> Option<Vec<String>> {
    use Width::{W8, W64};
    Some(match op {
        Op::Mov { width, dst, src: s }
        | Op::Alu { width, dst, src: s, .. }
        | Op::Cmp { width, left: dst, right: s }
        | Op::Test { width, left: dst, right: s } => vec![rm(dst, *width), src(s, *width)],
        Op::Extend { to, dst, from, src, .. } => vec![reg(*dst, *to), rm(src, *from)],
        Op::Lea { width, dst, ea: e } => vec![reg(*dst, *width), ea(e)],
        Op::Unary { width, dst, .. } => vec![rm(dst, *width)],
        Op::MulWide { width, src } | Op::Div { width, src, .. } => vec![rm(src, *width)],
        Op::Shift { width, dst, count, .. } => {
            vec![rm(dst, *width), number(u64::from(*count))]
        }
        Op::ShiftCl { width, dst, .. } => vec![rm(dst, *width), "cl".into()],
        Op::Bswap { width, dst } => vec![reg(*dst, *width)],
        Op::Cmov { width, dst, src, .. } | Op::BitCount { width, dst, src, .. } => {
            vec![reg(*dst, *width), rm(src, *width)]
        }
        Op::Setcc { dst, .. } => vec![reg(*dst, W8)],
        Op::Xchg { width, left, right } => vec![reg(*left, *width), reg(*right, *width)],
        Op::Push { src: s } => vec![src(s, W64)],
        Op::Pop { dst } => vec![reg(*dst, W64)],
        Op::BitTest { width, dst, bit: Src::Reg(r), .. } => {
            vec![reg(*dst, *width), reg(*r, *width)]
        }
        Op::BitTest { width, dst, bit, .. } => vec![reg(*dst, *width), src(bit, W8)],
        Op::Flow(Flow::JmpReg(r) | Flow::CallReg(r)) => vec![reg(*r, W64)],
        Op::Flow(Flow::JmpTable(e)) => vec![ea(e)],
        Op::Flow(Flow::Jmp(t) | Flow::Jcc(_, t) | Flow::Call(t)) => vec![number(*t)],
        Op::Imul { .. } | Op::Rotate { .. } | Op::ShiftDouble { .. } => return None,
        Op::SignCopy { .. }
        | Op::Leave
        | Op::String(_)
        | Op::Nop
        | Op::Int3
        | Op::Flow(Flow::Ret) => return None,
    })
}

/// The operands as iced prints them.
fn printed(i: &Instruction) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_number_base(iced_x86::NumberBase::Decimal);
    options.set_branch_leading_zeros(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_rip_relative_addresses(false);
    options.set_show_branch_size(false);
    options.set_signed_immediate_operands(false);
    options.set_memory_size_options(iced_x86::MemorySizeOptions::Never);
    options.set_always_show_scale(false);
    options.set_gas_naked_registers(true);
    (0..formatter.operand_count(i))
        .map(|n| {
            let mut text = String::new();
            formatter.format_operand(i, &mut text, n).unwrap();
            text.replace(' ', "")
        })
        .collect()
}

/// Everything that holds of accepted bytes.
fn accepted(bytes: &[u8], d: &Decoded) {
    let bytes = &bytes[..usize::from(d.length)];
    let i = iced(bytes);
    assert_eq!(i.len(), bytes.len());
    assert!(is_canonical(bytes), "{bytes:02x?} {i}");
    assert!(codes_of(d.row).contains(&i.code()));
    let convert = matches!(i.code(), Code::Cdqe | Code::Cwde);
    if let Some(ours) = operands(&d.op).filter(|_| !convert) {
        assert_eq!(ours, printed(&i), "{bytes:02x?} {i}");
    }
}

/// Attack t130.
#[test]
fn random_bytes_are_refused_or_canonical() {
    let mut rng = Rng::with_seed(1);
    let mut count = 0;
    for _ in 0..400_000 {
        let mut bytes = [0; 15];
        rng.fill(&mut bytes);
        // Many prefixes and two-byte opcodes, which are rare otherwise.
        if rng.bool() {
            let starts = [0x66, 0x48, 0x0F, 0xF3, 0x41, 0x67, 0xF2, 0x4D];
            bytes[0] = starts[rng.usize(0..8)];
            if rng.bool() {
                bytes[1] = starts[rng.usize(0..8)];
            }
        }
        let length = rng.usize(0..16);
        if let Ok(d) = decode(&bytes[..length]) {
            accepted(&bytes[..length], &d);
            count += 1;
        }
    }
    assert!(count > 50_000, "{count}");
}

/// Every opcode of one and two bytes with every ModRM byte under the usual prefixes.
#[test]
fn every_short_opcode_is_refused_or_canonical() {
    let prefixes: [&[u8]; 13] = [
        &[],
        &[0x66],
        &[0xF2],
        &[0xF3],
        &[0x40],
        &[0x41],
        &[0x42],
        &[0x44],
        &[0x48],
        &[0x4D],
        &[0x66, 0x48],
        &[0xF3, 0x48],
        &[0x66, 0xF3],
    ];
    let mut codes = std::collections::BTreeSet::new();
    for prefix in prefixes {
        for opcode in 0..512_u16 {
            for modrm in 0..=255_u8 {
                let mut bytes = prefix.to_vec();
                if opcode >= 256 {
                    bytes.push(0x0F);
                }
                bytes.extend([opcode as u8, modrm, 0x23, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
                if let Ok(d) = decode(&bytes) {
                    accepted(&bytes, &d);
                    codes.insert(iced(&bytes).code());
                }
            }
        }
    }
    let absent: Vec<Code> = encodings::codes()
        // The long nops have one ModRM byte each, followed by zeros; endbr64 is all fixed bytes.
        .filter(|c| !matches!(c, Code::Nop_rm16 | Code::Nop_rm32 | Code::Endbr64))
        .filter(|c| !codes.contains(c))
        .collect();
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn every_row_is_described() {
    let names: std::collections::BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len(), "names of rows are their own");
    for row in ROWS {
        assert!(!row.doc.is_empty() && !row.name.is_empty());
        assert!(!row.doc.contains("  "), "{}", row.name);
        assert_ne!(row.encodings.is_empty(), row.strings.is_empty(), "{}", row.name);
    }
}

/// Refused bytes, each beside its accepted twin.
/// Attacks n18, n20, n22.
#[test]
fn refused_encodings_and_their_twins() {
    let cases: &[(&[u8], &[u8])] = &[
        // 67: a 32-bit address (t20). 65: gs (t60).
        (&[0x67, 0x8A, 0x07], &[0x8A, 0x07]),
        (&[0x65, 0x48, 0x8B, 0x07], &[0x48, 0x8B, 0x07]),
        (&[0x2E, 0x90], &[0x90]),
        // ah (t8); with REX it is spl.
        (&[0x88, 0xE0], &[0x40, 0x88, 0xE0]),
        // REX without use; REX.W twice; REX.R of a group opcode.
        (&[0x40, 0x89, 0xC8], &[0x89, 0xC8]),
        (&[0x48, 0x55], &[0x55]),
        (&[0x4C, 0xF7, 0xD8], &[0x48, 0xF7, 0xD8]),
        (&[0x4A, 0x8B, 0x07], &[0x48, 0x8B, 0x07]),
        // A prefix after REX.
        (&[0x48, 0x66, 0x89, 0xC8], &[0x66, 0x89, 0xC8]),
        (&[0x66, 0x66, 0x89, 0xC8], &[0x66, 0x89, 0xC8]),
        // Two of them; 66 beside REX.W.
        (&[0x48, 0x48, 0x89, 0xC8], &[0x48, 0x89, 0xC8]),
        (&[0x66, 0x48, 0x89, 0xC8], &[0x48, 0x89, 0xC8]),
        // 66 on jumps, calls, pushes, returns (t121, t130); F2 jmp, lock mov (t153).
        (&[0x66, 0xE9, 5, 0, 0, 0], &[0xE9, 5, 0, 0, 0]),
        (&[0x66, 0x6A, 1], &[0x6A, 1]),
        (&[0x66, 0xC3], &[0xC3]),
        (&[0xF2, 0xE9, 5, 0, 0, 0], &[0xE9, 5, 0, 0, 0]),
        (&[0xF0, 0x48, 0x89, 0x07], &[0x48, 0x89, 0x07]),
        (&[0xF3, 0xC3], &[0xC3]),
        (&[0xC2, 8, 0], &[0xC3]),
        // Longer displacement or SIB than needed.
        (&[0x48, 0x8B, 0x47, 0x00], &[0x48, 0x8B, 0x07]),
        (&[0x48, 0x8B, 0x87, 1, 0, 0, 0], &[0x48, 0x8B, 0x47, 1]),
        (&[0x48, 0x8B, 0x04, 0x27], &[0x48, 0x8B, 0x07]),
        (&[0x48, 0x8B, 0x04, 0x64], &[0x48, 0x8B, 0x04, 0x24]),
        // The second encodings of test and shl, and the alias of the byte group.
        (&[0xF6, 0xC8, 1], &[0xF6, 0xC0, 1]),
        (&[0xC1, 0xF0, 1], &[0xC1, 0xE0, 1]),
        // 32-bit shifts by nothing: shl, sar, ror, shrd; of 64 bits the upper half is no question.
        (&[0xC1, 0xE0, 32], &[0xC1, 0xE0, 33]),
        (&[0xC1, 0xF8, 0], &[0xC1, 0xF8, 1]),
        (&[0xC1, 0xC8, 64], &[0x48, 0xC1, 0xC8, 64]),
        (&[0x0F, 0xAC, 0xD0, 0xE0], &[0x0F, 0xAC, 0xD0, 0xE1]),
        (&[0xA1, 0, 0, 0, 0, 0, 0, 0, 0], &[0x8B, 0x04, 0x25, 0, 0, 0, 0]),
        // bsf is tzcnt without its prefix (t134).
        (&[0x0F, 0xBC, 0xC1], &[0xF3, 0x0F, 0xBC, 0xC1]),
        // Rep forms.
        (&[0xF2, 0xA4], &[0xF3, 0xA4]),
        (&[0x48, 0xA5], &[0xF3, 0x48, 0xA5]),
        (&[0xF3, 0xAE], &[0xF2, 0xAE]),
        (&[0xA6], &[0xF3, 0xA6]),
        (&[0xF3, 0xAC], &[0xAC]),
        // nop forms that are not in the manual's list; xchg rax,rax in one byte.
        (&[0x0F, 0x1F, 0xC0], &[0x0F, 0x1F, 0x00]),
        (&[0x48, 0x90], &[0x48, 0x87, 0xC0]),
        (&[0x40, 0x90], &[0x41, 0x90]),
        (&[0x44, 0x90], &[0x41, 0x90]),
        (&[0x66, 0x48, 0x90], &[0x66, 0x90]),
        // Memory forms without a rule (t61, t62) and stack forms (t122).
        (&[0x48, 0x0F, 0xA3, 0x03], &[0x48, 0x0F, 0xA3, 0xC3]),
        (&[0x48, 0x87, 0x03], &[0x48, 0x87, 0xC3]),
        (&[0xFF, 0x33], &[0x53]),
        (&[0x8F, 0x03], &[0x5B]),
        (&[0xFF, 0x13], &[0xFF, 0xD3]),
        (&[0x0F, 0x94, 0x03], &[0x0F, 0x94, 0xC3]),
        // Cut off (t135).
        (&[0x48, 0xB8], &[0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0]),
        // System instructions (group H).
        (&[0x0F, 0x05], &[0xF3, 0x0F, 0x1E, 0xFA]),
        (&[0xF4], &[0x90]),
        (&[0xFD], &[0x90]),
        (&[0xCD, 0x80], &[0xCC]),
    ];
    for (refused, twin) in cases {
        assert!(decode(refused).is_err(), "{refused:02x?} {}", iced(refused));
        let d = decode(twin).unwrap_or_else(|e| panic!("{twin:02x?} {e:?}"));
        accepted(twin, &d);
    }
}

/// By [`Rule::RowRefused`] if another instruction is meant, one without a row; by [`Rule::Decode`]
/// if the bytes are cut off or not the one encoding.
#[test]
fn a_refusal_names_the_opcode() {
    let of_a_row: [(&[u8], u16); 15] = [
        (&[0x0F, 0x05], 0x0F05),
        (&[0xF4], 0xF4),
        (&[0x06], 0x06),
        (&[0x66, 0x0F, 0x38, 0xF6, 0xC1], 0x0F38),
        // lodsd, bsf, movsd without its prefix, movsxd of 32 bits, cbw, cmov of 16 bits.
        (&[0xAD], 0xAD),
        (&[0x0F, 0xBC, 0xC1], 0x0FBC),
        (&[0x48, 0xA5], 0xA5),
        (&[0x63, 0xC1], 0x63),
        (&[0x66, 0x98], 0x98),
        (&[0x66, 0x0F, 0x44, 0xC1], 0x0F44),
        // ah; registers only, memory only; another of the group; an exchange of rax with itself.
        (&[0x88, 0xE0], 0x88),
        (&[0x48, 0x87, 0x03], 0x87),
        (&[0x48, 0x8D, 0xC0], 0x8D),
        (&[0xFF, 0x33], 0xFF),
        (&[0x48, 0x90], 0x90),
    ];
    for (bytes, opcode) in of_a_row {
        let refusal = decode(bytes).unwrap_err();
        assert_eq!(refusal, (Rule::RowRefused, Kind::Refused(opcode)), "{bytes:02x?}");
    }
    let of_decode: [&[u8]; 16] = [
        &[],
        &[0x0F],
        &[0x66],
        &[0x48],
        &[0x89],
        &[0x8B, 0x04],
        // Cut off before what would be refused otherwise: registers only, ah, no row.
        &[0x87],
        &[0x0F, 0x94],
        &[0x80, 0xC4],
        &[0x66, 0x0F],
        &[0xF0, 0x48, 0x89, 0x07],
        &[0x65, 0x48, 0x8B, 0x07],
        &[0x66, 0xC3],
        &[0x66, 0x48, 0x89, 0xC8],
        &[0xF3, 0xC3],
        &[0x4A, 0x8B, 0x07],
    ];
    for bytes in of_decode {
        let refusal = decode(bytes).unwrap_err();
        assert_eq!(refusal, (Rule::Decode, Kind::Undecodable), "{bytes:02x?}");
    }
    assert!(decode_at(&[0x90], ADDRESS, 1).is_err());
    assert!(decode_at(&[0x90], ADDRESS, u32::MAX).is_err());
}

/// Attack n21.
#[test]
fn padding_is_nop_and_int3() {
    let nops: [&[u8]; 9] = [
        &[0x90],
        &[0x66, 0x90],
        &[0x0F, 0x1F, 0x00],
        &[0x0F, 0x1F, 0x40, 0x00],
        &[0x0F, 0x1F, 0x44, 0x00, 0x00],
        &[0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00],
        &[0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    for nop in nops {
        let d = decode(nop).unwrap();
        assert!(d.padding && d.op == Op::Nop && usize::from(d.length) == nop.len());
    }
    assert!(decode(&[0xCC]).unwrap().padding);
    let endbr = decode(&[0xF3, 0x0F, 0x1E, 0xFA]).unwrap();
    assert!(endbr.endbr && !endbr.padding);
    // 90 is no exchange (t4): it does not clear the upper half of rax.
    assert_eq!(decode(&[0x90]).unwrap().op, Op::Nop);
}

/// Attack n19.
#[test]
fn addresses_are_resolved() {
    let lea = decode(&[0x48, 0x8D, 0x05, 0x10, 0, 0, 0]).unwrap().op;
    let absolute = Ea { base: None, index: None, disp: 0x40_0017 };
    assert_eq!(lea, Op::Lea { width: Width::W64, dst: Reg::Rax, ea: absolute });
    // Counted from behind an immediate, of one byte or of four.
    for (cmp, ends) in
        [(&[0x83, 0x3D, 0x10, 0, 0, 0, 1][..], 7), (&[0x81, 0x3D, 0x10, 0, 0, 0, 1, 1, 1, 1], 10)]
    {
        let op = format!("{:?}", decode(cmp).unwrap().op);
        assert!(op.contains(&format!("disp: {}", 0x40_0010 + ends)), "{op}");
    }
    assert_eq!(decode(&[0xEB, 0xFE]).unwrap().op, Op::Flow(Flow::Jmp(0x40_0000)));
    let rep = decode(&[0xF3, 0x48, 0xA5]).unwrap().op;
    assert_eq!(rep, Op::String(StringOp::RepMovs(Width::W64)));
}
