//! TCB. Puts a judged program into this process and jumps to it. With `unsafe`, as `faults.rs`,
//! which tells what a program died of, and `gates.rs`, which makes the system calls.
//!
//! What the typing takes for granted of a host (docs/guarantee.md, K1 to K15) and this file owes:
//! the bytes that run are the bytes that were judged; text is never writable and data never
//! executable; the stack has guards; registers that are typed as unreadable hold nothing; a call of
//! a gate ends in the function whose signature the judge used, on a stack of the host.
#![allow(unsafe_code, reason = "mapping memory and jumping to it is what this file is for")]

use crate::faults;
use crate::gates::{self, Gate};
use crate::image::Image;
use crate::verify::Verified;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, ptr, slice};
use tal_core::limits;
use tal_core::table::Feature;

const PAGE: usize = 4096;
/// Size of the program's stack.
const STACK: usize = 8 << 20;
/// Unmapped bytes on either side: more than the largest frame, though one page would do
/// (`limits::PROBE`).
const GUARD: usize = 128 << 10;
/// `int3`: what fills the rest of the last page of the text.
const FILL: u8 = 0xCC;

/// Why a judged program cannot be run here.
#[derive(Debug)]
pub enum CannotRun {
    /// This host cannot do what has to be done.
    Host(String),
    /// The program would have an open file that it may not have ([`gates::kinds`]).
    Descriptor(String),
}

impl core::fmt::Display for CannotRun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CannotRun::Host(words) | CannotRun::Descriptor(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for CannotRun {}

type Result<T> = core::result::Result<T, CannotRun>;

fn refuse<T>(words: &str) -> Result<T> {
    Err(CannotRun::Host(words.to_string()))
}

/// Runs the program in this process with these arguments and environment. Returns only when it
/// cannot be started; then nothing of it has run.
pub fn run(program: &Verified<'_>, arguments: &[OsString], environment: &[OsString]) -> CannotRun {
    let gates = program.imports().iter().map(|import| gates::function(*import));
    let Some(gates) = gates.collect::<Option<Vec<Gate>>>() else {
        return CannotRun::Host("an import that this host lacks".into());
    };
    if let Err(error) = features(program.features()) {
        return error;
    }
    // SAFETY: nobody else handles signals here. The runtime of Rust ignores SIGPIPE; programs start
    // with what the system has for everybody.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if let Err(words) = gates::kinds::inherited() {
        return CannotRun::Descriptor(words);
    }
    match prepare(program.image(), program.entry(), &gates, arguments, environment) {
        Err(error) => error,
        Ok(start) => {
            let low = start.stack as usize - STACK;
            if let Err(error) = faults::watch(low - GUARD..low) {
                return error;
            }
            // SAFETY: `prepare` made every mapping that the judged program expects, and the program
            // is judged to start at `entry` with this block in registers.
            unsafe { enter(&raw const start) }
        }
    }
}

/// What the start of the program finds in registers. Read by `enter` by offset.
#[repr(C)]
#[derive(Debug)]
struct Start {
    entry: u64,
    stack: u64,
    argument_count: u64,
    arguments: u64,
    environment_count: u64,
    environment: u64,
}

/// Every mapping of a program. Only [`run`] calls it, with what was judged.
fn prepare(
    image: &Image<'_>,
    entry: u32,
    gates: &[Gate],
    arguments: &[OsString],
    environment: &[OsString],
) -> Result<Start> {
    let text_address = address(image.text_address())?;
    map_copy(text_address, image.text(), image.text().len(), FILL, libc::PROT_EXEC)?;
    for segment in image.data() {
        let rights = if segment.writable { libc::PROT_WRITE } else { 0 };
        let size =
            usize::try_from(segment.size).map_err(|_| CannotRun::Host("too large".into()))?;
        map_copy(address(segment.address)?, segment.bytes, size, 0, rights)?;
    }
    map_gates(gates)?;
    let block = start_block(arguments, environment)?;
    let stack = map_stack()?;
    Ok(Start { entry: u64::from(entry), stack, ..block })
}

fn address(address: u32) -> Result<usize> {
    usize::try_from(address).map_err(|_| CannotRun::Host("address out of range".into()))
}

/// Instructions that some processors lack, or worse, execute as something else: `tzcnt` is `bsf`
/// on a processor without BMI1, `lzcnt` is `bsr`. `needed` is what the judge met.
fn features(needed: u8) -> Result<()> {
    let known = [
        (Feature::Popcnt, std::is_x86_feature_detected!("popcnt")),
        (Feature::Bmi1, std::is_x86_feature_detected!("bmi1")),
        (Feature::Lzcnt, std::is_x86_feature_detected!("lzcnt")),
    ];
    let present = known.iter().filter(|(_, here)| *here).fold(0, |all, (f, _)| all | f.bit());
    if needed & !present == 0 { Ok(()) } else { refuse("this processor lacks an instruction") }
}

/// A fresh mapping of zeroes; at a fixed address it never replaces another.
pub(crate) fn map(at: Option<usize>, size: usize, rights: i32) -> Result<*mut u8> {
    let fixed = if at.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    let hint = at.map_or(ptr::null_mut(), ptr::without_provenance_mut);
    // SAFETY: without MAP_FIXED (NOREPLACE is not) an mmap of fresh memory changes nothing that
    // exists.
    let got = unsafe { libc::mmap(hint, size, rights, flags, -1, 0) };
    if got == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        return Err(CannotRun::Host(format!(
            "cannot map {size} bytes at {:#x}: {error}",
            hint.addr()
        )));
    }
    // A kernel before 4.17 takes MAP_FIXED_NOREPLACE for a hint.
    if at.is_some_and(|at| at != got.addr()) {
        return refuse("the kernel does not map at fixed addresses");
    }
    Ok(got.cast())
}

fn protect(at: *mut u8, size: usize, rights: i32) -> Result<()> {
    // SAFETY: the callers pass a mapping that they made themselves, before anybody runs in it.
    let done = unsafe { libc::mprotect(at.cast::<c_void>(), size, rights) };
    if done == 0 { Ok(()) } else { refuse("cannot protect a mapping") }
}

/// Maps `size` bytes at a fixed address with a copy of `bytes`, then sets the rights for good:
/// readable and `rights`. Never writable and executable at the same time.
fn map_copy(at: usize, bytes: &[u8], size: usize, fill: u8, rights: i32) -> Result<()> {
    let Some(whole) = size.checked_next_multiple_of(PAGE) else {
        return refuse("too large");
    };
    if whole == 0 {
        return Ok(());
    }
    if bytes.len() > size {
        return refuse("more bytes than memory");
    }
    let memory = map(Some(at), whole, libc::PROT_READ | libc::PROT_WRITE)?;
    if fill != 0 {
        // SAFETY: `memory` is `whole` fresh writable bytes that nobody else knows.
        unsafe { memory.write_bytes(fill, whole) };
    }
    // SAFETY: as above, and `bytes` is not longer.
    unsafe { memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    protect(memory, whole, libc::PROT_READ | rights)
}

/// Functions behind the gates by gate number; read by [`gate`].
static BOUND: [AtomicUsize; limits::IMPORTS] = [const { AtomicUsize::new(0) }; limits::IMPORTS];
/// Where the stack of the host ended when the program was entered.
static HOST_STACK: AtomicUsize = AtomicUsize::new(0);
/// Where the program starts; in memory, so that no register need hold it.
static ENTRY: AtomicUsize = AtomicUsize::new(0);

/// Two pages: one gate every 16 bytes, then the code that all of them jump to.
fn map_gates(gates: &[Gate]) -> Result<()> {
    let at = usize::try_from(limits::GATES).map_err(|_| CannotRun::Host("gates".into()))?;
    let step = usize::try_from(limits::GATE_SIZE).map_err(|_| CannotRun::Host("gates".into()))?;
    if gates.len() > limits::IMPORTS {
        return refuse("too many imports");
    }
    let mut page = [FILL; PAGE];
    for ((number, function), place) in (0_u32..).zip(gates).zip(page.chunks_exact_mut(step)) {
        let slot = usize::try_from(number).ok().and_then(|n| BOUND.get(n));
        let slot = slot.ok_or(CannotRun::Host("too many imports".into()))?;
        slot.store(*function as usize, Ordering::Relaxed);
        // mov r11d, number; jmp to the second page
        let to_common = 4096 - (i64::from(number) * 16 + 11);
        let to_common = i32::try_from(to_common).map_err(|_| CannotRun::Host("gates".into()))?;
        let [a, b, c, d] = number.to_le_bytes();
        let [e, f, g, h] = to_common.to_le_bytes();
        let code = [0x41, 0xBB, a, b, c, d, 0xE9, e, f, g, h];
        place.iter_mut().zip(code).for_each(|(to, from)| *to = from);
    }
    // movabs r10, gate; jmp r10
    let mut code = std::vec![0x49, 0xBA];
    let common: unsafe extern "C" fn() = gate;
    code.extend((common as usize).to_le_bytes());
    code.extend([0x41, 0xFF, 0xE2]);
    let mut pages = page.to_vec();
    pages.extend(code);
    map_copy(at, &pages, 2 * PAGE, FILL, libc::PROT_EXEC)
}

/// Every gate ends here, its number in r11, arguments in the registers of the C convention.
///
/// The program's stack may be nearly used up and need not be aligned, so the host runs on its own.
/// rax is the result; general registers that the caller does not get back hold nothing of the host.
/// Vector registers may: no rule reads them in this version.
///
/// # Safety
/// Jumped to by the gates only.
#[unsafe(naked)]
unsafe extern "C" fn gate() {
    core::arch::naked_asm!(
        "cld",
        "mov r10, rsp",
        "mov rsp, [rip + {stack}]",
        "push r10",
        "sub rsp, 8",
        "lea r10, [rip + {bound}]",
        "call [r10 + 8*r11]",
        "add rsp, 8",
        "pop rsp",
        "xor ecx, ecx",
        "xor edx, edx",
        "xor esi, esi",
        "xor edi, edi",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r11d, r11d",
        "ret",
        stack = sym HOST_STACK,
        bound = sym BOUND,
    )
}

/// Leaves the host: its stack is kept for the gates, every register that the start signature does
/// not name is cleared.
///
/// Debuggers stop here by its name: everything is mapped, and nothing has run.
///
/// # Safety
/// `start` tells of mappings of a judged program.
// SAFETY: nobody else exports the name.
#[unsafe(export_name = "tal_load_enter")]
#[unsafe(naked)]
unsafe extern "C" fn enter(start: *const Start) -> ! {
    core::arch::naked_asm!(
        "cld",
        "and rsp, -16",
        "mov [rip + {host}], rsp",
        "mov rax, [rdi]",
        "mov [rip + {entry}], rax",
        "mov rsp, [rdi + 8]",
        "mov rsi, [rdi + 24]",
        "mov rdx, [rdi + 32]",
        "mov rcx, [rdi + 40]",
        "mov rdi, [rdi + 16]",
        "xor eax, eax",
        "xor ebx, ebx",
        "xor ebp, ebp",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r11d, r11d",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "jmp [rip + {entry}]",
        host = sym HOST_STACK,
        entry = sym ENTRY,
    )
}

/// A stack between two guards; the address of its end, a multiple of 16.
fn map_stack() -> Result<u64> {
    let base = map(None, STACK + 2 * GUARD, libc::PROT_NONE)?;
    let low = base.wrapping_add(GUARD);
    protect(low, STACK, libc::PROT_READ | libc::PROT_WRITE)?;
    let end = low.wrapping_add(STACK).addr();
    u64::try_from(end).map_err(|_| CannotRun::Host("address out of range".into()))
}

/// Arguments and environment as the interface types them: arrays of `{pointer, length}`, then the
/// bytes, all in one mapping that is read-only for ever. No byte string ends in a zero.
///
/// All 16 bytes of a record are accounted for, and none of it takes from the program's stack, which
/// is a mapping of its own of [`STACK`] bytes whatever RLIMIT_STACK says.
fn start_block(arguments: &[OsString], environment: &[OsString]) -> Result<Start> {
    let strings = || arguments.iter().chain(environment);
    let records = strings().count().checked_mul(16);
    let size = strings().try_fold(records, |sum, s| Some(sum?.checked_add(s.len())));
    // Even an empty block has an address: pointers to no bytes are not null.
    let size = size.flatten().and_then(|s| s.checked_add(1)?.checked_next_multiple_of(PAGE));
    let (Some(size), Some(records)) = (size, records) else {
        return refuse("arguments and environment are too large");
    };
    let memory = map(None, size, libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: `memory` is `size` fresh zeroed bytes that nobody else knows.
    let block = unsafe { slice::from_raw_parts_mut(memory, size) };
    let base = memory.addr();
    let (table, bytes) = block.split_at_mut(records);
    let mut used = 0;
    for (record, string) in table.chunks_exact_mut(16).zip(strings()) {
        let place = bytes.get_mut(used..used + string.len());
        let place = place.ok_or(CannotRun::Host("arguments changed".into()))?;
        place.copy_from_slice(OsStr::as_bytes(string));
        let (pointer, length) = record.split_at_mut(8);
        pointer.copy_from_slice(&(base + records + used).to_le_bytes());
        length.copy_from_slice(&string.len().to_le_bytes());
        used += string.len();
    }
    protect(memory, size, libc::PROT_READ)?;
    let number = |n: usize| u64::try_from(n).map_err(|_| CannotRun::Host("out of range".into()));
    Ok(Start {
        entry: 0,
        stack: 0,
        argument_count: number(arguments.len())?,
        arguments: number(base)?,
        environment_count: number(environment.len())?,
        environment: number(base + 16 * arguments.len())?,
    })
}

#[cfg(test)]
mod tests {
    //! These run machine code that nobody judged, in a child process: what is tested is the
    //! mapping.

    use super::{CannotRun, Gate, enter, gates, prepare};
    use crate::image::Image;
    use crate::link::{Placed, executable};
    use iced_x86::IcedError;
    use iced_x86::code_asm::*;
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const TEXT: u64 = 0x40_0000;
    const DATA: u64 = 0x50_0000;
    const GATE: u64 = 0x20_0000;

    type Code = core::result::Result<CodeAssembler, IcedError>;

    /// What became of the child, and what it wrote: (exit status, signal, output).
    fn outcome(code: Code, gates: &[&str], arguments: &[&str]) -> (i32, i32, String) {
        let text = code.and_then(|mut a| a.assemble(TEXT)).unwrap();
        let size = text.len() as u64;
        let text = Placed { name: ".text", address: TEXT, bytes: text, in_memory: size };
        let data = Placed { name: ".data", address: DATA, bytes: vec![0xC3], in_memory: 0x3000 };
        let file = executable(&[text, data], b"");
        let gates: Vec<Gate> = gates.iter().map(|name| gates::by_name(name).unwrap()).collect();
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let mut pipe = [0; 2];
        // SAFETY: the child makes system calls only, apart from `prepare`, which allocates a
        // little: glibc keeps its allocator usable in the child of a process with threads.
        let child = unsafe {
            assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
            libc::fork()
        };
        if child == 0 {
            // SAFETY: as above; `enter` gets what `prepare` made.
            unsafe {
                libc::dup2(pipe[1], 1);
                let image = Image::parse(&file).map_err(|_| CannotRun::Host(String::new()));
                let start = image.and_then(|i| prepare(&i, TEXT as u32, &gates, &arguments, &[]));
                match start {
                    Ok(start) => enter(&raw const start),
                    Err(_) => libc::_exit(99),
                }
            }
        }
        let mut status = 0;
        let mut output = String::new();
        // SAFETY: both ends are ours; the child is ours.
        let reader = unsafe {
            drop(OwnedFd::from_raw_fd(pipe[1]));
            OwnedFd::from_raw_fd(pipe[0])
        };
        File::from(reader).read_to_string(&mut output).unwrap();
        // SAFETY: as above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        let exit = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 };
        let signal = if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 };
        (exit, signal, output)
    }

    fn exit_with(a: &mut CodeAssembler, status: i32) -> core::result::Result<(), IcedError> {
        a.mov(edi, status)?;
        a.jmp(GATE)
    }

    #[test]
    fn arguments_arrive_and_gates_keep_their_promises() {
        let code = (|| {
            let mut a = CodeAssembler::new(64)?;
            let mut fail = a.create_label();
            a.mov(rbx, qword_ptr(rsi + 16))?;
            a.mov(r12, qword_ptr(rsi + 24))?;
            a.cmp(rdi, 2)?;
            a.jne(fail)?;
            a.or(rdx, rdx)?;
            a.jne(fail)?;
            // A stack that is neither aligned nor large.
            a.sub(rsp, (8 << 20) - 24)?;
            a.mov(edi, 1)?;
            a.mov(rsi, rbx)?;
            a.mov(rdx, r12)?;
            a.call(GATE + 16)?;
            for register in [rdx, rsi, rdi, r8, r9, r10, r11] {
                a.or(rcx, register)?;
            }
            a.jne(fail)?;
            a.cmp(rax, r12)?;
            a.jne(fail)?;
            exit_with(&mut a, 7)?;
            a.set_label(&mut fail)?;
            exit_with(&mut a, 8)?;
            Ok(a)
        })();
        let result = outcome(code, &["exit", "write"], &["program", "argument"]);
        assert_eq!(result, (7, 0, "argument".into()));
    }

    /// The last gate that a page holds is one like the others, and there is no further one.
    #[test]
    fn all_the_imports_that_an_image_may_have_get_gates() {
        let code = |last: u64| {
            let mut a = CodeAssembler::new(64)?;
            a.mov(edi, 7)?;
            a.jmp(GATE + 16 * last)?;
            Ok(a)
        };
        let last = super::limits::IMPORTS - 1;
        let mut gates = vec!["getpid"; last];
        gates.push("exit");
        assert_eq!(outcome(code(last as u64), &gates, &[]), (7, 0, String::new()));
        gates.push("exit");
        assert_eq!(outcome(code(0), &gates, &[]), (99, 0, String::new()));
    }

    #[test]
    fn registers_are_clear_at_the_start() {
        let code = (|| {
            let mut a = CodeAssembler::new(64)?;
            let mut fail = a.create_label();
            for register in [rbx, rbp, r8, r9, r10, r11, r12, r13, r14, r15] {
                a.or(rax, register)?;
            }
            a.jne(fail)?;
            a.mov(rax, rsp)?;
            a.and(eax, 15)?;
            a.jne(fail)?;
            exit_with(&mut a, 7)?;
            a.set_label(&mut fail)?;
            exit_with(&mut a, 8)?;
            Ok(a)
        })();
        assert_eq!(outcome(code, &["exit"], &[]), (7, 0, String::new()));
    }

    /// The first instructions must end the program by a memory fault.
    fn faults(write: impl Fn(&mut CodeAssembler) -> core::result::Result<(), IcedError>) {
        let code = CodeAssembler::new(64).and_then(|mut a| {
            write(&mut a)?;
            exit_with(&mut a, 8)?;
            Ok(a)
        });
        assert_eq!(outcome(code, &["exit"], &[]), (-1, libc::SIGSEGV, String::new()));
    }

    #[test]
    fn t134_a_processor_that_lacks_an_instruction_is_no_host() {
        super::features(0).unwrap();
        // No processor has the instructions of a feature that nobody knows.
        super::features(0x80).unwrap_err();
    }

    /// Attack t162.
    #[test]
    fn text_cannot_be_written() {
        faults(|a| {
            a.mov(rax, TEXT)?;
            a.mov(byte_ptr(rax), 0)
        });
    }

    #[test]
    fn gates_cannot_be_written() {
        faults(|a| {
            a.mov(rax, GATE)?;
            a.mov(byte_ptr(rax), 0)
        });
    }

    #[test]
    fn data_cannot_be_executed() {
        faults(|a| {
            a.mov(rax, DATA)?;
            a.call(rax)
        });
    }

    #[test]
    fn the_stack_has_guards() {
        faults(|a| {
            a.sub(rsp, 8 << 20)?;
            a.push(rax)
        });
        faults(|a| a.mov(rax, qword_ptr(rsp)));
    }

    #[test]
    fn arguments_cannot_be_written() {
        faults(|a| a.mov(byte_ptr(rsi), 0));
    }

    #[test]
    fn own_text_cannot_be_written_through_proc() {
        let code = (|| {
            let mut a = CodeAssembler::new(64)?;
            a.mov(rdi, qword_ptr(rsi))?;
            a.mov(rsi, qword_ptr(rsi + 8))?;
            a.mov(edx, libc::O_RDWR)?;
            a.xor(ecx, ecx)?;
            a.call(GATE + 16)?;
            a.mov(rdi, rax)?;
            a.neg(rdi)?;
            a.jmp(GATE)?;
            Ok(a)
        })();
        let (exit, _, _) = outcome(code, &["exit", "open"], &["/proc/self/mem"]);
        assert_eq!(exit, libc::EACCES);
    }
}
