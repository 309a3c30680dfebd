//! TCB. The judge behind a C interface: what the kernel links (docs/kernel.md). `tal_judge.h` tells
//! the host what it gets and what it owes.
//!
//! One call is one judging, inside one arena that the host hands in and throws away afterwards.
//! Nothing outlives it and nothing else is written. That is why running out of memory, a panic and
//! an interruption may all leave by the host's non-local exit: there is nothing to clean up, and
//! until the very end the report says no.
#![no_std]
#![allow(unsafe_code, reason = "a C interface takes addresses; each block says why it may")]
#![cfg_attr(not(target_os = "none"), allow(dead_code, reason = "only the kernel allocates here"))]
extern crate alloc;

mod arena;
mod division;
mod pausing;
mod report;

use arena::Arena;
use core::ffi::c_int;
use core::{fmt, ptr, slice};
use loader::{Refusal, interface};
use pausing::Pausing;
use report::{Reason, Report};
use tal_core::error::Error;

unsafe extern "C" {
    /// The arena of the judging that goes on on this thread.
    fn tal_judge_arena() -> *mut Arena;
    /// Another block of at least so many bytes, aligned to 16, for the judging that goes on on this
    /// thread, and how many there are; null if there are none.
    fn tal_judge_more(need: usize, size: *mut usize) -> *mut u8;
    /// Called now and then: lets others run. Not zero when the judging has to end.
    fn tal_judge_pause() -> c_int;
    /// Leaves the call that goes on on this thread, which returns to its caller.
    /// Does not return: `-> !` would leave nothing behind the call, and tools that read machine
    /// code take the next function for its rest.
    fn tal_judge_leave();
}

/// Judges the bytes of a file by the interface that is compiled in.
///
/// # Safety
/// `file` is `file_size` bytes that nobody changes meanwhile; `arena` is `size` bytes for this
/// call alone, aligned to 16; it is what `tal_judge_arena` returns meanwhile. The stack reaches
/// down to `floor`. `report` is for the call to write.
#[unsafe(no_mangle)]
unsafe extern "C" fn tal_judge_verify(
    file: *const u8,
    file_size: usize,
    arena: *mut u8,
    size: usize,
    floor: usize,
    report: *mut Report,
) -> *mut Report {
    // SAFETY: the caller's.
    let file = unsafe {
        Arena::place(arena, size, floor, report);
        (*report).clear();
        slice::from_raw_parts(file, file_size)
    };
    // SAFETY: the caller's. There is no other reference to the report: what leaves early writes
    // it through the pointer in the arena.
    unsafe {
        let admitted = judge(file, report);
        (*report).finish(arena.cast());
        // The last thing that happens: nothing can say no after it.
        if admitted {
            (*report).admit();
        }
    }
    report
}

/// Is the file safe to run? The report has the rest.
///
/// # Safety
/// `report` is for the call to write.
unsafe fn judge(file: &[u8], report: *mut Report) -> bool {
    // SAFETY: the caller's, here and below; each reference ends with its statement.
    let refuse = |reason, words: fmt::Arguments<'_>| unsafe { (*report).refuse(reason, words) };
    let Ok(interface) = interface::embedded() else {
        refuse(Reason::Broken, format_args!("{}", interface::BadInterface));
        return false;
    };
    match loader::verify::verify_through(file, &interface, Pausing::new) {
        // SAFETY: as above.
        Ok(program) => unsafe { (*report).describe(file, &program) },
        Err(refusal) => {
            refuse(reason(&refusal), format_args!("{refusal}"));
            if let Refusal::Code(Error { rule, site: Some(site), .. }) = refusal {
                // SAFETY: as above.
                unsafe { (*report).place(file, rule, site) };
            }
            false
        }
    }
}

fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::File(_) => Reason::File,
        Refusal::Code(_) => Reason::Code,
        Refusal::Start => Reason::Start,
    }
}

/// The name of an import of the interface, without a final zero; null if there are not so many.
#[unsafe(no_mangle)]
extern "C" fn tal_judge_import(number: u32, size: &mut usize) -> *const u8 {
    let name = usize::try_from(number).ok().and_then(|n| interface::names().nth(n));
    *size = name.map_or(0, str::len);
    name.map_or(ptr::null(), str::as_ptr)
}

/// Ends the judging at once: the report says why.
fn leave(reason: Reason, words: fmt::Arguments<'_>) -> ! {
    // SAFETY: somebody is being judged, or nobody would be here: `place` was called.
    unsafe {
        let arena = tal_judge_arena();
        let report = (*arena).report();
        (*report).refuse(reason, words);
        (*report).finish(arena);
    }
    gone()
}

/// Leaves the call that goes on on this thread.
fn gone() -> ! {
    // SAFETY: may be called at any time; `ud2` is never reached.
    unsafe {
        tal_judge_leave();
        core::arch::asm!("ud2", options(noreturn))
    }
}

/// A mistake in the judge is a refusal.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => leave(Reason::Broken, format_args!("the judge is broken: {at}")),
        None => leave(Reason::Broken, format_args!("the judge is broken")),
    }
}
