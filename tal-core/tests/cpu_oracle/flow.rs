//! Not trusted. Transfers of control on the processor itself: every condition with all flags, both
//! forms of jumps, calls and returns, jumps and calls through registers, jump tables. Where it
//! lands is where the decoder and the rules say.

use super::{case, taken};
use crate::machine::Cpu;
use crate::placed::{DATA, Placed, TEXT};
use crate::support::{Prover, empty_state, int_in, no_interface, plain_sig, set};
use fastrand::Rng;
use tal_core::counted::Rc;
use tal_core::decode::{Cc, Decoded, Flow, Op, decode_at};
use tal_core::driver;
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::state::FlagSet;
use tal_core::ty::{FnId, Reg, Word};

/// Where the instruction stands in the text.
const AT: usize = 0x800;

/// It, decoded there.
fn put(placed: &mut Placed, bytes: &[u8]) -> Decoded {
    let text = placed.text(&[(AT, bytes)]);
    let d = decode_at(&text, TEXT as u32, AT as u32).unwrap();
    assert_eq!(usize::from(d.length), bytes.len());
    d
}

/// The same with a distance of one byte or of four.
fn with_distance(short: &[u8], long: &[u8], distance: i32) -> Vec<Vec<u8>> {
    let mut all = vec![[long, &distance.to_le_bytes()].concat()];
    if let (Ok(distance), false) = (i8::try_from(distance), short.is_empty()) {
        all.push([short, &distance.to_le_bytes()].concat());
    }
    all
}

fn registers(rng: &mut Rng, placed: &Placed) -> Cpu {
    let mut cpu = case(rng, &placed.machine, false).cpu;
    // In sight of the machine, with room below.
    cpu.regs[Reg::Rsp as usize] = placed.machine.entry_rsp() - 8 * rng.u64(4..32);
    cpu
}

fn behind(d: &Decoded) -> u64 {
    TEXT + AT as u64 + u64::from(d.length)
}

/// Where a condition goes by another model of it is where the processor does not go.
fn wrong(cc: Cc, flags: u8) -> bool {
    match cc {
        Cc::Be => flags & FlagSet::CF.0 != 0,
        Cc::G => flags & FlagSet::ZF.0 == 0,
        cc => taken(cc, flags),
    }
}

#[test]
fn conditions_are_those_of_the_processor() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(61);
    let (mut ran, mut noticed) = (0, 0);
    for (n, cc) in (0..).zip(Cc::ALL) {
        for distance in [-0x300, -100, 3, 100, 0x300] {
            for bytes in with_distance(&[0x70 + n], &[0x0F, 0x80 + n], distance) {
                let d = put(&mut placed, &bytes);
                let Op::Flow(Flow::Jcc(found, target)) = d.op else { panic!("{bytes:02x?}") };
                assert_eq!(found, cc, "{bytes:02x?}");
                for flags in 0..64 {
                    let mut cpu = registers(&mut rng, &placed);
                    cpu.flags = flags;
                    let (out, landed) = placed.land(AT, &cpu);
                    let goes = |is: bool| if is { target } else { behind(&d) };
                    assert_eq!(landed, goes(taken(cc, flags)), "{cc:?} {flags:#x}");
                    noticed += usize::from(landed != goes(wrong(cc, flags)));
                    assert_eq!((out, placed.machine.changed.len()), (cpu, 0), "{cc:?}");
                    ran += 1;
                }
            }
        }
    }
    assert!(ran > 7000 && noticed > 50, "{ran} {noticed}");
}

#[test]
fn jumps_go_where_the_decoder_says() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(62);
    for distance in [-0x300, -128, -100, 0, 3, 127, 128, 0x300] {
        for bytes in with_distance(&[0xEB], &[0xE9], distance) {
            let d = put(&mut placed, &bytes);
            let Op::Flow(Flow::Jmp(target)) = d.op else { panic!("{bytes:02x?}") };
            let cpu = registers(&mut rng, &placed);
            let (out, landed) = placed.land(AT, &cpu);
            assert_eq!((landed, out), (target, cpu), "{bytes:02x?}");
            assert!(placed.machine.changed.is_empty());
        }
    }
    for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp) {
        let n = reg as u8;
        let prefix = if n >= 8 { vec![0x41] } else { vec![] };
        let d = put(&mut placed, &[&prefix[..], &[0xFF, 0xE0 | n & 7]].concat());
        assert_eq!(d.op, Op::Flow(Flow::JmpReg(reg)));
        let mut cpu = registers(&mut rng, &placed);
        cpu.regs[reg as usize] = TEXT + rng.u64(0..0x700);
        let (out, landed) = placed.land(AT, &cpu);
        assert_eq!((landed, out), (cpu.regs[reg as usize], cpu), "{reg:?}");
    }
}

/// A call leaves the return address in slot 0 of the callee and everything else as it was; the
/// return takes it from there.
fn calls(placed: &mut Placed, d: &Decoded, bytes: &[u8], cpu: &Cpu, target: u64) {
    let (out, landed) = placed.land(AT, cpu);
    assert_eq!(landed, target, "{bytes:02x?}");
    let rsp = cpu.regs[Reg::Rsp as usize];
    let mut want = *cpu;
    want.regs[Reg::Rsp as usize] = rsp - 8;
    let entry = placed.machine.entry_rsp();
    let slot = (rsp - 8).wrapping_sub(entry).cast_signed();
    assert_eq!(out.slot(slot), Some(behind(d)), "{bytes:02x?}");
    want.slots = out.slots;
    assert_eq!(out, want, "{bytes:02x?}");
    let written = placed.machine.changed.iter().all(|a| (rsp - 8..rsp).contains(a));
    assert!(written, "{:x?}", placed.machine.changed);
    // The callee returns at once: `ret` stands where the call went.
    let at = (target - TEXT) as usize;
    let text = placed.text(&[(AT, bytes), (at, &[0xC3])]);
    assert_eq!(decode_at(&text, TEXT as u32, at as u32).unwrap().op, Op::Flow(Flow::Ret));
    let (back, landed) = placed.land(at, &out);
    assert_eq!(landed, behind(d), "{bytes:02x?}");
    want.regs[Reg::Rsp as usize] = rsp;
    assert_eq!(back, want, "{bytes:02x?}");
    assert!(placed.machine.changed.is_empty());
}

#[test]
fn calls_leave_the_return_address_and_returns_take_it() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(63);
    for distance in [-0x300, -100, 3, 100, 0x300] {
        for bytes in with_distance(&[], &[0xE8], distance) {
            let d = put(&mut placed, &bytes);
            let Op::Flow(Flow::Call(target)) = d.op else { panic!("{bytes:02x?}") };
            let cpu = registers(&mut rng, &placed);
            calls(&mut placed, &d, &bytes, &cpu, target);
        }
    }
    for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp) {
        let n = reg as u8;
        let prefix = if n >= 8 { vec![0x41] } else { vec![] };
        let bytes = [&prefix[..], &[0xFF, 0xD0 | n & 7]].concat();
        let d = put(&mut placed, &bytes);
        assert_eq!(d.op, Op::Flow(Flow::CallReg(reg)));
        let mut cpu = registers(&mut rng, &placed);
        let target = TEXT + rng.u64(0..0x700);
        cpu.regs[reg as usize] = target;
        calls(&mut placed, &d, &bytes, &cpu, target);
    }
}

/// `endbr64` at each label, then `int3`.
const LABELS: [u64; 5] = [0x100, 0x120, 0x180, 0x200, 0x210];

/// The table: addresses of labels, not in order and with one twice.
fn table() -> Vec<u8> {
    let order = [3, 0, 4, 1, 1, 2];
    order.iter().flat_map(|i: &usize| (TEXT + LABELS[*i]).to_le_bytes()).collect()
}

#[test]
fn jump_tables_go_where_the_rules_say() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(64);
    let bytes = table();
    placed.put_data(&bytes);
    let count = bytes.len() as u64 / 8;
    let mut refused = 0;
    for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp) {
        // jmp [8*reg + DATA]
        let n = reg as u8;
        let prefix = if n >= 8 { vec![0x42] } else { vec![] };
        let sib = [0xFF, 0x24, 0xC5 | (n & 7) << 3];
        let code = [&prefix[..], &sib, &(DATA as u32).to_le_bytes()].concat();
        let marks = [0xF3, 0x0F, 0x1E, 0xFA];
        let mut parts: Vec<(usize, &[u8])> = vec![(AT, &code)];
        parts.extend(LABELS.iter().map(|l| (*l as usize, &marks[..])));
        let text = placed.text(&parts);
        let image = Image {
            text: &text,
            text_address: TEXT as u32,
            types: vec![],
            sigs: vec![Rc::new(plain_sig())],
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: LABELS.iter().map(|l| *l as u32).collect(),
            data: vec![Data {
                address: DATA as u32,
                size: bytes.len() as u32,
                kind: DataKind::Table { function: FnId(0) },
                contents: Contents::Bytes(&bytes),
                writable: false,
            }],
            imports: vec![],
            start: None,
        };
        let interface = no_interface();
        for index in 0..count {
            let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
            judge.own = Own::function(Some(FnId(0)), Rc::new(plain_sig()));
            let mut state = empty_state();
            // With a bound that is one too large it is refused.
            let mut loose = empty_state();
            let v = int_in(&mut loose, 0, count.into());
            set(&mut loose, reg, Word::Int(v));
            refused += usize::from(judge.exec(&mut loose, AT as u32).is_err());
            let v = int_in(&mut state, 0, i128::from(count) - 1);
            set(&mut state, reg, Word::Int(v.clone()));
            let flow = judge.exec(&mut state, AT as u32).unwrap();
            let driver::Flow::Table { table, index: term } = flow else { panic!("{flow:?}") };
            assert_eq!((table.0, term), (0, v));
            let mut cpu = registers(&mut rng, &placed);
            cpu.regs[reg as usize] = index;
            let (out, landed) = placed.land(AT, &cpu);
            let entry = &bytes[8 * index as usize..][..8];
            let target = u64::from_le_bytes(entry.try_into().unwrap());
            // Behind the mark, which is an instruction.
            assert_eq!((landed, out), (target + 4, cpu), "{reg:?} {index}");
        }
    }
    assert_eq!(refused as u64, 15 * count);
}
