//! TCB. Gates for memory: blocks of the kernel and of the allocator of libc.

use super::{Table, call, six, within};
use core::ptr;
use libc::c_void;

pub(super) const TABLE: Table =
    &[("calloc", calloc), ("free", free), ("malloc", malloc), ("mmap", mmap), ("munmap", munmap)];

extern "C" fn mmap(size: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    let rights = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    // SAFETY: fresh memory at a place of the kernel's choice. No file, no fixed address.
    let result = unsafe { call(libc::SYS_mmap, [0, size, rights, flags, u64::MAX, 0]) };
    block(within(result, (1 << 47) - 1))
}

/// A new block lies where typed objects may lie; errors and null pass.
fn block(result: i64) -> i64 {
    if (1..1 << 16).contains(&result) || result >= 1 << 47 {
        std::process::abort();
    }
    result
}

extern "C" fn munmap(block: u64, size: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: the program gives back a whole block of `mmap` and holds no pointer that it may use.
    within(unsafe { call(libc::SYS_munmap, six([block, size])) }, 0)
}

extern "C" fn malloc(size: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    let Ok(size) = usize::try_from(size) else { return 0 };
    // SAFETY: any size may be asked for.
    block(unsafe { libc::malloc(size) }.expose_provenance() as i64)
}

extern "C" fn calloc(size: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    let Ok(size) = usize::try_from(size) else { return 0 };
    // SAFETY: any size may be asked for.
    block(unsafe { libc::calloc(1, size) }.expose_provenance() as i64)
}

extern "C" fn free(block: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `own@heap? junk[n]`: null, or a whole block of `malloc` or `calloc`, given back once.
    unsafe { libc::free(ptr::with_exposed_provenance_mut::<c_void>(block as usize)) };
    0
}
