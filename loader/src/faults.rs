//! TCB. What a program died of, and where: its function and the line of its source. That is the end
//! of its stack; other faults are here for the case that the judge or the processor is wrong.
//!
//! The typing takes for granted that no signal handler runs while the program does. This one runs
//! when the program has ended: on a stack of its own, for faults of the processor only, and behind
//! it the signal is raised again, whose disposition is by then the system's. Nothing of the program
//! is resumed.
#![allow(unsafe_code, reason = "installs a signal handler, and reads what the system tells it")]

use crate::image::Image;
use crate::lines::Debug;
use crate::map::{CannotRun, map};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr;
use libc::{c_int, siginfo_t, ucontext_t};
use std::format;
use std::io::{Write as _, stderr};
use std::string::String;
use std::sync::OnceLock;

/// Stack of the handler: enough to read debugging information.
const STACK: usize = 1 << 20;

/// The file whose program runs, for [`handler`].
static FILE: OnceLock<&'static [u8]> = OnceLock::new();
/// The guard below the stack of the program.
static GUARD: OnceLock<Range<usize>> = OnceLock::new();

/// Has faults of the program that is run from this file told on standard error. Without it, a fault
/// ends the process and says nothing.
pub fn tell(file: &'static [u8]) {
    // Told once: a process runs one program.
    let _ = FILE.set(file);
}

/// Installs the handler, if faults are to be told. `guard` lies below the stack of the program.
pub(crate) fn watch(guard: Range<usize>) -> Result<(), CannotRun> {
    if FILE.get().is_none() {
        return Ok(());
    }
    let _ = GUARD.set(guard);
    let memory = map(None, STACK, libc::PROT_READ | libc::PROT_WRITE)?;
    let stack = libc::stack_t { ss_sp: memory.cast::<c_void>(), ss_flags: 0, ss_size: STACK };
    // SAFETY: `memory` is `STACK` bytes that nobody else uses.
    let mut done = unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } == 0;
    let address: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = handler;
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
        // SAFETY: zeroes are a value of the structure: no flags, nothing masked.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = address as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        // SAFETY: the handler has the signature that SA_SIGINFO asks for.
        done &= unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } == 0;
    }
    if done { Ok(()) } else { Err(CannotRun::Host("cannot watch for faults".into())) }
}

/// For whoever waits for a debugger: an interrupt from the terminal is the debugger's.
pub fn outlive_interrupts() {
    extern "C" fn nothing(_: c_int) {}
    let address: extern "C" fn(c_int) = nothing;
    // Not ignored, which the debugger and its program would inherit.
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGINT, address as libc::sighandler_t) };
}

extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the system passes these structures, and they live until the return.
    let (code, address, at) = unsafe {
        let registers = (*context.cast::<ucontext_t>()).uc_mcontext.gregs;
        ((*info).si_code, (*info).si_addr().addr(), registers[libc::REG_RIP as usize])
    };
    // Not what another process sent (codes of these are not positive).
    if let Some(words) = words(signal, address, at.cast_unsigned()).filter(|_| code > 0) {
        // Nothing is left to do when standard error is closed.
        let _ = stderr().write_all(words.as_bytes());
    }
    // Pending until the return, and SA_RESETHAND has given it back to the system.
    // SAFETY: no memory.
    unsafe { libc::raise(signal) };
}

/// A line for a fault of the program. None if the host was running: its allocator might have been
/// stopped anywhere.
fn words(signal: c_int, address: usize, at: u64) -> Option<String> {
    let file = FILE.get()?;
    let image = Image::parse(file).ok()?;
    let start = u64::from(image.text_address());
    let end = start.checked_add(u64::try_from(image.text().len()).ok()?)?;
    if !(start..end).contains(&at) {
        return None;
    }
    let overflow = GUARD.get().is_some_and(|guard| guard.contains(&address));
    let what = match signal {
        libc::SIGFPE => String::from("divide error"),
        libc::SIGILL => String::from("an instruction that this processor lacks"),
        _ if overflow => String::from("stack overflow"),
        _ => format!("memory fault at address {address:#x}"),
    };
    let debug = Debug::read(file);
    let function = debug.function(at).map(|name| format!(" in `{name}`"));
    let line = debug.line(at).map(|line| format!(", {line}"));
    let (function, line) = (function.unwrap_or_default(), line.unwrap_or_default());
    Some(format!("tal-load: {what}{function}{line} (at {at:#x})\n"))
}

#[cfg(test)]
mod tests {
    use super::{GUARD, tell, words};
    use crate::link::{Placed, executable};
    use std::vec;

    /// What no judged program does is told as well.
    #[test]
    fn words_for_each_fault_of_the_program_and_none_of_the_host() {
        let at = 0x40_0000;
        let text = Placed { name: ".text", address: at, bytes: vec![0xC3; 8], in_memory: 8 };
        tell(executable(&[text], b"").leak());
        GUARD.set(0x1000..0x2000).unwrap();
        let said = |signal, address, at| words(signal, address, at);
        let line = |what| Some(std::format!("tal-load: {what} (at 0x400007)\n"));
        assert_eq!(said(libc::SIGSEGV, 0x1FFF, at + 7), line("stack overflow"));
        assert_eq!(said(libc::SIGSEGV, 0x2000, at + 7), line("memory fault at address 0x2000"));
        assert_eq!(said(libc::SIGBUS, 0xFFF, at + 7), line("memory fault at address 0xfff"));
        assert_eq!(said(libc::SIGFPE, 0x40_0007, at + 7), line("divide error"));
        let lacks = "an instruction that this processor lacks";
        assert_eq!(said(libc::SIGILL, 0x40_0007, at + 7), line(lacks));
        for outside in [0, at - 1, at + 8, 0x20_0000, u64::MAX] {
            assert_eq!(said(libc::SIGSEGV, 0x1FFF, outside), None);
        }
    }
}
