//! TCB. The functions behind the gates: every import of the interface by the system calls of the
//! kernel and the allocator of libc. A function may trust its arguments to be what the signature in
//! `interface/*.tali` says, because only judged code calls it; it owes results that are what the
//! signature says, for the program's types are built on them.
//!
//! * Failure is `-errno` in `[-4095, -1]`; nothing outside the declared range ever returns
//!   ([`within`]).
//! * A parameter `out T` holds a T afterwards even on failure: zeroes.
//! * A capability that was given (`munmap`, `free`) is gone whatever happens.
#![allow(unsafe_code, reason = "system calls take addresses; each block says why it may")]

use core::ptr;
use libc::{c_int, c_long, c_void};
use std::vec::Vec;

/// The C convention with six integers; those that a signature does not name are not read.
pub type Gate = extern "C" fn(u64, u64, u64, u64, u64, u64) -> i64;

/// The greatest file descriptor.
const INT_MAX: u64 = 0x7FFF_FFFF;

/// The function of an import of [`crate::interface`].
#[must_use]
pub fn function(import: u16) -> Option<Gate> {
    let name = crate::interface::names().nth(usize::from(import))?;
    by_name(name)
}

/// The function of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<Gate> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, gate)| *gate)
}

/// Every function that this host offers.
pub const TABLE: &[(&str, Gate)] = &[
    ("accept", accept),
    ("bind", bind),
    ("calloc", calloc),
    ("clock_gettime", clock_gettime),
    ("close", close),
    ("epoll_create1", epoll_create1),
    ("epoll_ctl", epoll_ctl),
    ("epoll_wait", epoll_wait),
    ("exit", exit),
    ("free", free),
    ("fstat", fstat),
    ("getpid", getpid),
    ("getrandom", getrandom),
    ("listen", listen),
    ("lseek", lseek),
    ("malloc", malloc),
    ("mmap", mmap),
    ("munmap", munmap),
    ("nanosleep", nanosleep),
    ("open", open),
    ("read", read),
    ("send", send),
    ("setsockopt", setsockopt),
    ("shutdown", shutdown),
    ("socket", socket),
    ("write", write),
];

/// A system call; failure as `-errno`.
///
/// # Safety
/// As the call that it is.
unsafe fn call(number: c_long, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { -i64::from(errno()) } else { result }
}

fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// `result` if it is in `[-4095, high]`. A kernel that says anything else breaks the types of the
/// program, which therefore ends here.
fn within(result: i64, high: u64) -> i64 {
    let value = u64::try_from(result).is_ok_and(|r| r <= high);
    if value || (-4095..0).contains(&result) { result } else { std::process::abort() }
}

extern "C" fn read(fd: u64, buffer: u64, n: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&rw bytes[n]`: n bytes that may be written with any values.
    within(unsafe { call(libc::SYS_read, [fd, buffer, n, 0, 0, 0]) }, n)
}

extern "C" fn write(fd: u64, buffer: u64, n: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&bytes[n]`: n bytes that may be read.
    within(unsafe { call(libc::SYS_write, [fd, buffer, n, 0, 0, 0]) }, n)
}

extern "C" fn open(path: u64, n: u64, flags: u64, mode: u64, _: u64, _: u64) -> i64 {
    let Ok(length) = usize::try_from(n) else { return -i64::from(libc::ENAMETOOLONG) };
    let bytes = ptr::with_exposed_provenance::<u8>(path as usize);
    let mut name = Vec::with_capacity(length + 1);
    // SAFETY: `&bytes[n]`: n bytes that may be read.
    name.extend_from_slice(unsafe { core::slice::from_raw_parts(bytes, length) });
    if name.contains(&0) {
        return -i64::from(libc::EINVAL);
    }
    name.push(0);
    let at = name.as_ptr().expose_provenance() as u64;
    // SAFETY: `name` is a string that ends in zero and lives until after the call.
    let fd = within(unsafe { call(libc::SYS_open, [at, flags, mode, 0, 0, 0]) }, INT_MAX);
    if fd >= 0 && flags & (libc::O_ACCMODE as u64) != 0 && in_proc(fd) {
        // A program must not write its own text through /proc/self/mem (threats.md 5.1).
        close(fd as u64, 0, 0, 0, 0, 0);
        return -i64::from(libc::EACCES);
    }
    fd
}

/// Is this an open file of procfs? When in doubt, yes.
fn in_proc(fd: i64) -> bool {
    let mut about = core::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `about` is what fstatfs fills in; zeroes are a value of it.
    let (done, about) = unsafe {
        let done = libc::fstatfs(fd as c_int, about.as_mut_ptr());
        (done, about.assume_init())
    };
    done != 0 || about.f_type == libc::PROC_SUPER_MAGIC
}

extern "C" fn close(fd: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) }, 0)
}

extern "C" fn lseek(fd: u64, offset: u64, whence: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_lseek, [fd, offset, whence, 0, 0, 0]) }, i64::MAX as u64)
}

/// `out T` of `size` bytes: zeroed when the call failed.
fn out(result: i64, at: u64, size: usize) -> i64 {
    if result < 0 {
        let bytes = ptr::with_exposed_provenance_mut::<u8>(at as usize);
        // SAFETY: `out T`: memory of the size of T that is the callee's to fill.
        unsafe { bytes.write_bytes(0, size) };
    }
    result
}

extern "C" fn fstat(fd: u64, about: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `out stat`: as many bytes as the kernel's struct stat.
    let result = within(unsafe { call(libc::SYS_fstat, [fd, about, 0, 0, 0, 0]) }, 0);
    out(result, about, size_of::<libc::stat>())
}

extern "C" fn clock_gettime(clock: u64, time: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `out timespec`.
    let result = within(unsafe { call(libc::SYS_clock_gettime, [clock, time, 0, 0, 0, 0]) }, 0);
    out(result, time, size_of::<libc::timespec>())
}

extern "C" fn nanosleep(time: u64, rest: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // The kernel writes the rest only when a signal came.
    out(-1, rest, size_of::<libc::timespec>());
    // SAFETY: `&timespec` may be read, `out timespec` may be written.
    within(unsafe { call(libc::SYS_nanosleep, [time, rest, 0, 0, 0, 0]) }, 0)
}

extern "C" fn getrandom(buffer: u64, n: u64, flags: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&rw bytes[n]`.
    within(unsafe { call(libc::SYS_getrandom, [buffer, n, flags, 0, 0, 0]) }, n)
}

extern "C" fn getpid(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // At least 1, and it cannot fail.
    i64::from(std::process::id())
}

extern "C" fn exit(status: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: ends the process; nothing of the host has to be flushed.
    unsafe { libc::_exit((status & 0xFF) as c_int) }
}

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
    within(unsafe { call(libc::SYS_munmap, [block, size, 0, 0, 0, 0]) }, 0)
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

extern "C" fn epoll_create1(flags: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_epoll_create1, [flags, 0, 0, 0, 0, 0]) }, INT_MAX)
}

extern "C" fn epoll_ctl(epoll: u64, op: u64, fd: u64, event: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&epoll_event`, laid out as the kernel's.
    within(unsafe { call(libc::SYS_epoll_ctl, [epoll, op, fd, event, 0, 0]) }, 0)
}

extern "C" fn epoll_wait(epoll: u64, events: u64, n: u64, timeout: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&rw [n]epoll_event`: plain integers of every value.
    within(unsafe { call(libc::SYS_epoll_wait, [epoll, events, n, timeout, 0, 0]) }, n)
}

extern "C" fn socket(domain: u64, kind: u64, protocol: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_socket, [domain, kind, protocol, 0, 0, 0]) }, INT_MAX)
}

extern "C" fn setsockopt(fd: u64, level: u64, name: u64, value: u64, n: u64, _: u64) -> i64 {
    // Some options carry addresses inside their value, which are no business of typed code:
    // only those that take one integer are passed on.
    let integer = level == libc::SOL_SOCKET as u64 || level == libc::IPPROTO_TCP as u64;
    if !integer || n != 4 {
        return -i64::from(libc::ENOPROTOOPT);
    }
    // SAFETY: `&bytes[n]`: may be read.
    within(unsafe { call(libc::SYS_setsockopt, [fd, level, name, value, n, 0]) }, 0)
}

extern "C" fn bind(fd: u64, address: u64, n: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&bytes[n]`: may be read.
    within(unsafe { call(libc::SYS_bind, [fd, address, n, 0, 0, 0]) }, 0)
}

extern "C" fn listen(fd: u64, backlog: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_listen, [fd, backlog, 0, 0, 0, 0]) }, 0)
}

extern "C" fn accept(fd: u64, flags: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: the address of the peer is not asked for.
    within(unsafe { call(libc::SYS_accept4, [fd, 0, 0, flags, 0, 0]) }, INT_MAX)
}

extern "C" fn send(fd: u64, buffer: u64, n: u64, flags: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&bytes[n]`: may be read. MSG_ZEROCOPY would let the kernel read after the return.
    let flags = flags & !(libc::MSG_ZEROCOPY as u64);
    within(unsafe { call(libc::SYS_sendto, [fd, buffer, n, flags, 0, 0]) }, n)
}

extern "C" fn shutdown(fd: u64, how: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    within(unsafe { call(libc::SYS_shutdown, [fd, how, 0, 0, 0, 0]) }, 0)
}

#[cfg(test)]
mod tests {
    use super::{TABLE, by_name, function};
    use crate::interface;

    #[test]
    fn every_import_has_a_function() {
        for (i, name) in (0_u16..).zip(interface::names()) {
            assert!(by_name(name).is_some(), "{name}");
            assert!(function(i).is_some(), "{name}");
        }
    }

    #[test]
    fn every_function_is_an_import() {
        assert!(TABLE.is_sorted_by_key(|(name, _)| *name));
        for (name, _) in TABLE {
            assert!(interface::names().any(|import| import == *name), "{name}");
        }
    }
}
