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
const OPERAND: usize = PAGE + 1024;
const ENTRY_RSP: usize = PAGE + 3072;

/// The six flags in rflags, in the order of the bits of a flag set: CF PF AF ZF SF OF.
const RFLAGS: [u64; 6] = [0, 2, 4, 6, 7, 11];

/// What goes in and comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cpu {
    /// By encoding number.
    pub(crate) regs: [u64; 16],
    /// As a flag set.
    pub(crate) flags: u8,
    /// The eight bytes at the operand's address.
    pub(crate) memory: u64,
    /// The slots from 128 bytes below the entry rsp upwards.
    pub(crate) slots: [u64; 16],
}

impl Cpu {
    /// The content of the slot at this offset from the entry rsp.
    pub(crate) fn slot(&self, at: i64) -> Option<u64> {
        self.slots.get(usize::try_from(at + 128).ok()? / 8).copied()
    }
}

/// A page of code and a page of data.
#[derive(Debug)]
pub(crate) struct Machine {
    start: *mut u8,
    hole: usize,
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
        Machine { start, hole }
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
        let slots = (0..16).map(|i| self.entry_rsp() - 128 + 8 * i);
        std::iter::once(self.operand()).chain(slots).map(|a| a as *mut u64).collect()
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
