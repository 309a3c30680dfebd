//! Not trusted. Runs one instruction natively: all sixteen registers and the flags in, all out.

use crate::forms::WIDE;
use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Instruction, InstructionBlock, MemoryOperand, Register,
};

const PAGE: usize = 4096;
/// Where the instruction stands: it and its nops take this many bytes.
const HOLE: usize = 16;
const IN: u64 = 0;
const OUT: u64 = 256;
const FLAGS_IN: u64 = 512;
const FLAGS_OUT: u64 = 520;
const OWN_RSP: u64 = 528;
const JUMP: u64 = 536;
/// What is behind this offset of the data page is the program's: each byte of it is watched.
const OWNED: usize = 640;
const OPERAND: usize = PAGE + 1024;
const ENTRY_RSP: usize = PAGE + 3072;

/// The six flags in rflags, in the order of the bits of a flag set: CF PF AF ZF SF OF.
const RFLAGS: [u64; 6] = [0, 2, 4, 6, 7, 11];

/// Slots that are looked at.
pub(crate) const SLOTS: usize = 64;
/// The lowest of them, from the entry rsp.
pub(crate) const LOWEST: i64 = -8 * SLOTS as i64;

/// What goes in and comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cpu {
    /// By encoding number.
    pub(crate) regs: [u64; 16],
    /// As a flag set.
    pub(crate) flags: u8,
    /// The eight bytes at the operand's address.
    pub(crate) memory: u64,
    /// The slots from [`LOWEST`] upwards.
    pub(crate) slots: [u64; SLOTS],
}

impl Cpu {
    /// The content of the slot at this offset from the entry rsp.
    pub(crate) fn slot(&self, at: i64) -> Option<u64> {
        self.slots.get(usize::try_from(at - LOWEST).ok()? / 8).copied()
    }
}

/// A page of code and a page of data.
#[derive(Debug)]
pub(crate) struct Machine {
    start: *mut u8,
    hole: usize,
    /// Addresses of the bytes of the program that the last run changed.
    pub(crate) changed: Vec<u64>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let rwx = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), 2 * PAGE, rwx, private, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "no memory for generated code");
        let start = start.cast::<u8>();
        let (code, hole) = stub(start as u64);
        assert!(code.len() < PAGE);
        // SAFETY: the code fits into the first page of our mapping.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), start, code.len()) };
        Machine { start, hole, changed: Vec::new() }
    }

    /// Address of the operand in memory.
    pub(crate) fn operand(&self) -> u64 {
        self.start as u64 + OPERAND as u64
    }

    /// rsp at the entry of the function that the instruction is in.
    pub(crate) fn entry_rsp(&self) -> u64 {
        self.start as u64 + ENTRY_RSP as u64
    }

    /// The operand, then the slots.
    fn places(&self) -> Vec<*mut u64> {
        let lowest = self.entry_rsp().wrapping_add_signed(LOWEST);
        let slots = (0..SLOTS as u64).map(|i| lowest + 8 * i);
        std::iter::once(self.operand()).chain(slots).map(|a| a as *mut u64).collect()
    }

    /// The bytes of the program from an address on.
    pub(crate) fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let page = self.page();
        let at = (address - self.start as u64) as usize - PAGE - OWNED;
        page[at..at + length].to_vec()
    }

    /// Puts bytes there. What [`Cpu`] names is overwritten by a run.
    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - self.start as u64) as usize;
        assert!((PAGE + OWNED..=2 * PAGE - bytes.len()).contains(&at));
        // SAFETY: inside of our own page.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) };
    }

    fn page(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE - OWNED];
        // SAFETY: our own page.
        unsafe {
            let from = self.start.add(PAGE + OWNED);
            std::ptr::copy_nonoverlapping(from, page.as_mut_ptr(), page.len());
        }
        page
    }

    /// Where the processor goes on when what [`Machine::run_at`] ran has landed somewhere.
    pub(crate) fn resume(&self) -> u64 {
        self.start as u64 + (self.hole + HOLE) as u64
    }

    /// Runs what stands at an address. It comes back by way of [`Machine::resume`] only.
    pub(crate) fn run_at(&mut self, address: u64, input: &Cpu) -> Cpu {
        // jmp [rip + JUMP]
        let end = self.start as u64 + self.hole as u64 + 6;
        let jump = self.start as u64 + PAGE as u64 + JUMP;
        let distance = jump.wrapping_sub(end) as u32;
        // SAFETY: inside of our own page.
        unsafe { (jump as *mut u64).write_volatile(address) };
        self.run(&[&[0xFF, 0x25][..], &distance.to_le_bytes()].concat(), input)
    }

    /// Runs the instruction. rsp must point into the memory for operands.
    pub(crate) fn run(&mut self, instruction: &[u8], input: &Cpu) -> Cpu {
        let mut hole = [0x90; HOLE];
        hole[..instruction.len()].copy_from_slice(instruction);
        let mut flags = 0x202;
        for (bit, at) in RFLAGS.iter().enumerate() {
            flags |= u64::from(input.flags >> bit & 1) << at;
        }
        let data = |offset: u64| (self.start as u64 + PAGE as u64 + offset) as *mut u64;
        let mut out = *input;
        out.flags = 0;
        // SAFETY: the stub saves what the calling convention wants saved and touches our two pages
        // only; the judge has accepted the instruction, which is what this test is about, and its
        // memory operands were made to point into the memory for operands.
        unsafe {
            std::ptr::copy_nonoverlapping(hole.as_ptr(), self.start.add(self.hole), HOLE);
            for (i, value) in input.regs.iter().enumerate() {
                data(IN + 8 * i as u64).write_volatile(*value);
            }
            data(FLAGS_IN).write_volatile(flags);
            for (place, value) in self.places().into_iter().zip(contents(input)) {
                place.write_volatile(value);
            }
            let before = self.page();
            let enter: extern "sysv64" fn() = std::mem::transmute(self.start);
            enter();
            for (i, value) in out.regs.iter_mut().enumerate() {
                *value = data(OUT + 8 * i as u64).read_volatile();
            }
            flags = data(FLAGS_OUT).read_volatile();
            let places = self.places();
            out.memory = places[0].read_volatile();
            for (value, place) in out.slots.iter_mut().zip(&places[1..]) {
                *value = place.read_volatile();
            }
            let pairs = before.iter().zip(self.page());
            let differ = pairs.enumerate().filter(|(_, (old, new))| **old != *new);
            let first = self.start as u64 + (PAGE + OWNED) as u64;
            self.changed = differ.map(|(at, _)| first + at as u64).collect();
        }
        for (bit, at) in RFLAGS.iter().enumerate() {
            out.flags |= ((flags >> at & 1) as u8) << bit;
        }
        out
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: our own mapping, whole; nobody keeps a pointer into it.
        unsafe { libc::munmap(self.start.cast(), 2 * PAGE) };
    }
}

/// The operand, then the slots.
fn contents(cpu: &Cpu) -> impl Iterator<Item = u64> + '_ {
    std::iter::once(cpu.memory).chain(cpu.slots)
}

/// The code around the instruction, for this address, and where the instruction stands.
fn stub(address: u64) -> (Vec<u8>, usize) {
    let data = |offset: u64| {
        let address = (address + PAGE as u64 + offset) as i64;
        MemoryOperand::with_base_displ(Register::RIP, address)
    };
    let push = |r| Instruction::with1(Code::Push_r64, r).unwrap();
    let pop = |r| Instruction::with1(Code::Pop_r64, r).unwrap();
    let load = |r, at| Instruction::with2(Code::Mov_r64_rm64, r, data(at)).unwrap();
    let save = |r, at| Instruction::with2(Code::Mov_rm64_r64, data(at), r).unwrap();
    let saved =
        [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];
    let mut list: Vec<Instruction> = saved.into_iter().map(push).collect();
    list.push(save(Register::RSP, OWN_RSP));
    list.push(Instruction::with1(Code::Push_rm64, data(FLAGS_IN)).unwrap());
    list.push(Instruction::with(Code::Popfq));
    list.extend(WIDE.into_iter().zip(0..).map(|(r, i)| load(r, IN + 8 * i)));
    list.extend([Instruction::with(Code::Nopd); HOLE]);
    list.extend(WIDE.into_iter().zip(0..).map(|(r, i)| save(r, OUT + 8 * i)));
    list.push(load(Register::RSP, OWN_RSP));
    list.push(Instruction::with(Code::Pushfq));
    list.push(Instruction::with1(Code::Pop_rm64, data(FLAGS_OUT)).unwrap());
    list.extend(saved.into_iter().rev().map(pop));
    list.push(Instruction::with(Code::Retnq));
    let block = InstructionBlock::new(&list, address);
    let code = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).unwrap().code_buffer;
    let hole = code.windows(HOLE).position(|w| w == [0x90; HOLE]).unwrap();
    (code, hole)
}
