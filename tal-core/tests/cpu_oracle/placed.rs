//! Not trusted. Instructions that stand where they were decoded: at fixed addresses, so that they
//! reach data objects and code by address; and at the end of a page, with nothing mapped behind it,
//! so that their length shows.

use super::{Case, alone, case, declared, divides, for_division, form, involved, step};
use crate::forms::{self, WIDE};
use crate::machine::{Cpu, Machine};
use crate::model::solve;
use crate::support::{Prover, no_interface, plain_sig, set};
use fastrand::Rng;
use iced_x86::{Code, MemoryOperand, Mnemonic, Register};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tal_core::counted::Rc;
use tal_core::decode::Decoded;
use tal_core::error::Error;
use tal_core::hint::{Forward, Through};
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::table::Form;
use tal_core::term::Term;
use tal_core::ty::{Base, DataId, Field, FieldTy, Mem, Mode, Reg, Word};

const PAGE: usize = 4096;
/// Where the text of these tests stands. The page behind it is not mapped.
pub(crate) const TEXT: u64 = 0x40_0000;
/// And its data.
pub(crate) const DATA: u64 = 0x50_0000;
const INT3: u8 = 0xCC;

/// Where the processor goes on.
static RESUME: AtomicU64 = AtomicU64::new(0);
/// Where it landed.
static LANDED: AtomicU64 = AtomicU64::new(0);
/// The addresses are there once.
static ONE: Mutex<()> = Mutex::new(());

/// Text and data at fixed addresses, and a machine beside them.
pub(crate) struct Placed {
    pub(crate) machine: Machine,
    _one: MutexGuard<'static, ()>,
}

/// The processor ran into `int3`, or into the page that is not mapped: it landed there, and goes on
/// where all registers are saved. Anything else is no business of ours and ends the test.
extern "C" fn land(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the context; only its rip is changed.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        let at = rip.cast_unsigned() - u64::from(signal == libc::SIGTRAP);
        if RESUME.load(Relaxed) == 0 || !(TEXT..=TEXT + PAGE as u64).contains(&at) {
            libc::signal(signal, libc::SIG_DFL);
            return;
        }
        LANDED.store(at, Relaxed);
        *rip = RESUME.load(Relaxed).cast_signed();
    }
}

impl Placed {
    pub(crate) fn new() -> Placed {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = Machine::new();
        let map = |at: u64, rights| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: fresh memory; nothing that exists is replaced.
            let got = unsafe { libc::mmap(at as *mut _, PAGE, rights, flags, -1, 0) };
            assert_eq!(got as u64, at, "nothing else is mapped there");
        };
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        map(TEXT, rw | libc::PROT_EXEC);
        map(DATA, rw);
        RESUME.store(machine.resume(), Relaxed);
        // SAFETY: the handler does what is said above, on the alternate stack of the thread.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = land as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
            libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut());
        }
        Placed { machine, _one: one }
    }

    /// A page of `int3` with these bytes in it.
    pub(crate) fn text(&mut self, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut page = vec![INT3; PAGE];
        for (at, bytes) in parts {
            page[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        // SAFETY: our own page.
        unsafe { std::ptr::copy_nonoverlapping(page.as_ptr(), TEXT as *mut u8, PAGE) };
        page
    }

    pub(crate) fn put_data(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= PAGE);
        // SAFETY: our own page.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), DATA as *mut u8, bytes.len()) };
    }

    fn data(&self, length: usize) -> Vec<u8> {
        // SAFETY: our own page.
        unsafe { std::slice::from_raw_parts(DATA as *const u8, length.min(PAGE)).to_vec() }
    }

    /// Runs from this offset of the text until the processor lands: on what, and where.
    pub(crate) fn land(&mut self, offset: usize, input: &Cpu) -> (Cpu, u64) {
        LANDED.store(0, Relaxed);
        let out = self.machine.run_at(TEXT + offset as u64, input);
        (out, LANDED.load(Relaxed))
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        RESUME.store(0, Relaxed);
        // SAFETY: our own pages.
        unsafe {
            libc::munmap(TEXT as *mut _, PAGE);
            libc::munmap(DATA as *mut _, PAGE);
        }
    }
}

#[test]
fn the_length_of_an_instruction_is_what_the_processor_takes() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(51);
    let mut cut = 0;
    for (_, code) in alone() {
        let mut ran = 0;
        for round in 0..8 {
            let memory = forms::takes_memory(code).is_some()
                && code.op_code().mnemonic() != Mnemonic::Lea
                && round % 2 == 0;
            let operand = memory.then(|| MemoryOperand::with_base(WIDE[Reg::Rbx as usize]));
            let Some((i, bytes, d)) = form(&mut rng, code, operand) else { continue };
            let mut c = case(&mut rng, &placed.machine, false);
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
            }
            if memory {
                let bits = 8 * i.memory_size().size() as u8;
                super::with_field(&mut rng, &placed.machine, &mut c, bits, Reg::Rbx);
            }
            let done = step(&mut placed.machine, &bytes, &d, &c, Prover::default());
            let Some(next) = done else { continue };
            ran += 1;
            let at = PAGE - bytes.len();
            placed.text(&[(at, &bytes)]);
            let (out, landed) = placed.land(at, &c.cpu);
            assert_eq!(landed, TEXT + PAGE as u64, "{i}: {bytes:02x?}");
            assert_eq!(out, next.cpu, "{i}: {bytes:02x?}");
            // One byte less: it is not executed at all, or another one is.
            if bytes.len() > 1 && round == 0 {
                let (at, short) = (at + 1, &bytes[..bytes.len() - 1]);
                if super::Decoder::new(64, short, 0).decode().is_invalid() {
                    placed.text(&[(at, short)]);
                    let (_, landed) = placed.land(at, &c.cpu);
                    assert_eq!(landed, TEXT + at as u64, "{i}: {bytes:02x?} without its end");
                    cut += 1;
                }
            }
        }
        let division = divides_code(code);
        assert!(ran > 0 || division, "{code:?} was never accepted");
    }
    assert!(cut > 50, "{cut}");
}

fn divides_code(code: Code) -> bool {
    matches!(code.op_code().mnemonic(), Mnemonic::Div | Mnemonic::Idiv)
}

/// Names any data object when it is asked for one.
struct Ids {
    prover: Prover,
    rng: Rng,
}

impl Forward for Ids {
    type Inner = Prover;

    fn inner(&mut self) -> &mut Prover {
        &mut self.prover
    }

    fn data(&mut self, _: &State, _: &Term) -> Result<DataId, Error> {
        Ok(DataId([0, 0, 0, 1, 1, 2][self.rng.usize(0..6)]))
    }

    fn access(
        &mut self,
        s: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Error> {
        match base {
            Base::Data(_) if self.rng.u8(0..8) == 0 => Ok(Through::Data(DataId(1))),
            Base::Data(id) => Ok(Through::Data(id)),
            _ => self.prover.access(s, base, offset, width, store),
        }
    }
}

/// Bytes of the two objects: a struct that may be written, then constants.
const SIZES: [u32; 2] = [16, 24];

fn objects(bytes: &[u8]) -> Vec<Data<'_>> {
    let int = |offset, bits, signed| Field {
        offset,
        writable: true,
        ty: FieldTy::Int { bits, signed, facts: vec![] },
    };
    let fields = vec![int(0, 64, false), int(8, 32, true), int(12, 8, false)];
    let record = Rc::new(Mem::Struct { fields, size: SIZES[0] });
    let constants = Rc::new(Mem::Bytes(Term::int(SIZES[1].into())));
    let (first, second) = bytes.split_at(SIZES[0] as usize);
    let object = |address: u64, bytes, mem, mode, writable| Data {
        address: address as u32,
        size: <[u8]>::len(bytes) as u32,
        kind: DataKind::Object { mem, mode },
        contents: Contents::Bytes(bytes),
        writable,
    };
    vec![
        object(DATA, first, record, Mode::Rw, true),
        object(DATA + u64::from(SIZES[0]), second, constants, Mode::Ro, false),
    ]
}

fn image<'a>(text: &'a [u8], data: &[Data<'a>]) -> Image<'a> {
    Image {
        text,
        text_address: TEXT as u32,
        types: vec![],
        sigs: vec![Rc::new(plain_sig())],
        functions: vec![Function { offset: 0, sig: 0 }, Function { offset: 64, sig: 0 }],
        labels: vec![],
        data: data.to_vec(),
        imports: vec![],
        start: None,
    }
}

/// An operand that reaches the data, or the code: relative to rip, or by a number in rbx.
fn reaches(rng: &mut Rng, c: &mut Case, code: Code) -> MemoryOperand {
    let places = [0, 8, 12, 16, 24, 36];
    let mut target = DATA + places[rng.usize(0..6)];
    if rng.u8(0..4) == 0 {
        target = (DATA - 2 + rng.u64(0..48)).max(DATA);
    }
    if code.op_code().mnemonic() == Mnemonic::Lea && rng.bool() {
        target = TEXT + [0, 64, 1, 32][rng.usize(0..4)];
    }
    if rng.u8(0..4) == 0 {
        set(&mut c.state, Reg::Rbx, Word::Int(Term::int(target as i64)));
        c.cpu.regs[Reg::Rbx as usize] = target;
        return MemoryOperand::with_base(WIDE[Reg::Rbx as usize]);
    }
    MemoryOperand::with_base_displ(Register::RIP, target as i64)
}

/// One row on data: is what is claimed true? `None`: it is refused.
fn on_data(
    placed: &mut Placed,
    rng: &mut Rng,
    (bytes, d): (&[u8], &Decoded),
    c: &Case,
    objects: &[Data<'_>],
) -> Option<Result<State, String>> {
    // What has its address taken begins with endbr64.
    let text = placed.text(&[(0, bytes), (64, &[0xF3, 0x0F, 0x1E, 0xFA])]);
    let image = image(&text, objects);
    let interface = no_interface();
    let hints = Ids { prover: Prover::default(), rng: rng.fork() };
    let mut judge = Judge::new(&image, &interface, hints, 1 << 20);
    let mut after = c.state.clone();
    judge.row(&mut after, d).ok()?;
    // Eight bytes more: what is read or written beyond the objects, and the last field as 64 bits.
    let total = SIZES.iter().sum::<u32>() as usize;
    let before = placed.data(total + 8);
    let (out, landed) = placed.land(0, &c.cpu);
    assert_eq!(landed, TEXT + bytes.len() as u64, "{bytes:02x?}");
    let now = placed.data(total + 8);
    let (low, size) = super::written_memory(d, &c.cpu);
    let differ = (0..total + 8).filter(|at| before[*at] != now[*at]);
    let beside: Vec<usize> =
        differ.filter(|at| (DATA + *at as u64).wrapping_sub(low) >= size).collect();
    if !beside.is_empty() {
        return Some(Err(format!("written beside the operand: {beside:?}")));
    }
    if size > 0 && low.wrapping_sub(DATA) + size > SIZES[0].into() {
        return Some(Err(format!("{size} bytes at {low:x} are written: no variable")));
    }
    let mut more = involved(bytes, d, &c.cpu, &out);
    let i = super::Decoder::with_ip(64, bytes, TEXT, super::DecoderOptions::NONE).decode();
    let base = i.memory_base();
    let base = if base.is_gpr() { c.cpu.regs[base.number()] } else { 0 };
    let at = base.wrapping_add(i.memory_displacement64()).wrapping_sub(DATA) as usize;
    for content in [&before, &now] {
        let there = content.get(at..).and_then(|rest| rest.first_chunk());
        more.extend(there.map(|there| u64::from_le_bytes(*there)));
    }
    let mut values = c.values.clone();
    values.data = objects.iter().map(|o| o.address.into()).collect();
    values.code = image.functions.iter().map(|f| TEXT + u64::from(f.offset)).collect();
    if solve(&values, &after, &out, &more).is_none() {
        return Some(Err(format!("not satisfied\n{d:?}\n{out:x?}\n{after:?}")));
    }
    declared(d, c, &after, &out);
    Some(Ok(after))
}

#[test]
fn what_the_rows_claim_of_data_and_code_is_true() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(52);
    let content: Vec<u8> = (0..SIZES.iter().sum::<u32>()).map(|_| rng.u8(..)).collect();
    let objects = objects(&content);
    let (mut ran, mut stored, mut data, mut code_words) = (0, 0, 0, 0);
    for (row, code) in alone() {
        let no_memory = matches!(row.form, Form::Xchg | Form::Setcc | Form::BitTest(_));
        if no_memory || forms::takes_memory(code).is_none() {
            continue;
        }
        for _ in 0..if row.form == Form::Lea { 200 } else { 32 } {
            placed.put_data(&content);
            let mut c = case(&mut rng, &placed.machine, false);
            let operand = reaches(&mut rng, &mut c, code);
            let Some((_, bytes, d)) = form(&mut rng, code, Some(operand)) else { continue };
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
            }
            let Some(done) = on_data(&mut placed, &mut rng, (&bytes, &d), &c, &objects) else {
                continue;
            };
            let after = done.unwrap_or_else(|what| panic!("{:?} {bytes:02x?}: {what}", d.op));
            ran += 1;
            stored += usize::from(super::written_memory(&d, &c.cpu).1 > 0);
            let has = |f: fn(&Base) -> bool| {
                after.regs().iter().any(|w| matches!(w, Word::Ptr(base, _) if f(base)))
            };
            data += usize::from(has(|b| matches!(b, Base::Data(_))));
            code_words += usize::from(has(|b| matches!(b, Base::Code(_))));
        }
    }
    let enough = ran > 500 && stored > 50 && data > 3 && code_words > 3;
    assert!(enough, "{ran} rows, {stored} stores, {data} and {code_words} addresses");
}

/// A pointer to data that is eight bytes off would be noticed.
#[test]
fn a_wrong_model_of_data_is_noticed() {
    let mut placed = Placed::new();
    let mut rng = Rng::with_seed(53);
    let content = vec![0xA5; SIZES.iter().sum::<u32>() as usize];
    let objects = objects(&content);
    let (mut ran, mut noticed) = (0, 0);
    for _ in 0..100 {
        placed.put_data(&content);
        let c = case(&mut rng, &placed.machine, false);
        let operand = MemoryOperand::with_base_displ(Register::RIP, DATA as i64);
        let (_, bytes, d) = form(&mut rng, Code::Lea_r64_m, Some(operand)).unwrap();
        let done = on_data(&mut placed, &mut rng, (&bytes, &d), &c, &objects);
        let Some(Ok(mut after)) = done else { continue };
        let on_data = |reg: &Reg| matches!(after.reg(*reg), Word::Ptr(Base::Data(_), _));
        let Some(reg) = Reg::ALL.into_iter().find(on_data) else { continue };
        let Word::Ptr(base, t) = after.reg(reg).clone() else { continue };
        after.set_reg(reg, Word::Ptr(base, t.plus(8).unwrap()));
        ran += 1;
        let (out, _) = placed.land(0, &c.cpu);
        let mut values = c.values.clone();
        values.data = objects.iter().map(|o| o.address.into()).collect();
        noticed += usize::from(solve(&values, &after, &out, &[]).is_none());
    }
    assert!(ran > 20 && noticed == ran, "{noticed} of {ran}");
}
