//! TCB. The functions behind the gates: every import of the interface by the system calls of the
//! kernel and the allocator of libc. A function may trust its arguments to be what the signature in
//! `interface/*.tali` says, because only judged code calls it; it owes results that are what the
//! signature says, for the program's types are built on them, and what stands there under `Abuse:`.
//!
//! * Failure is `-errno` in `[-4095, -1]`; nothing outside the declared range ever returns
//!   ([`within`]).
//! * Memory is changed only where a parameter is `&rw`, and there holds integers of any values.
//! * A capability that was given (`munmap`, `free`) is gone whatever happens.
//! * No call keeps an address after it has returned.
//!
//! An integer is checked as the 64 bits that the program gave: the kernel may look at fewer, so
//! what is on a list here is what it will see, and a number with more bits is on none.
#![allow(unsafe_code, reason = "system calls take addresses; each block says why it may")]

use libc::{c_int, c_long};

/// The C convention with six integers; those that a signature does not name are not read.
pub type Gate = extern "C" fn(u64, u64, u64, u64, u64, u64) -> i64;

/// The greatest file descriptor, and the greatest process number.
const INT_MAX: u64 = 0x7FFF_FFFF;

/// Gates that pass their parameters on, in the order of the signature, to one system call. Behind
/// it stands the greatest result of the signature.
macro_rules! passed_on {
    ($($name:ident($($argument:ident),*) => $number:ident, $high:expr;)*) => {$(
        extern "C" fn $name(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
            let [$($argument,)* ..] = [a, b, c, d, e, f];
            // SAFETY: the signature says of every address among the parameters how many bytes may
            // be read (`&T`) or filled with any values (`&rw T`, T of integers only), and it is
            // what the kernel reads or fills. Nothing is kept.
            within(unsafe { call(libc::$number, six([$($argument),*])) }, $high)
        }
    )*};
}

mod events;
mod files;
pub mod kinds;
mod memory;
mod sockets;

/// The function of an import of [`crate::interface`].
#[must_use]
pub fn function(import: u16) -> Option<Gate> {
    let name = crate::interface::names().nth(usize::from(import))?;
    by_name(name)
}

/// The function of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<Gate> {
    let tables = [PROCESS, files::TABLE, memory::TABLE, events::TABLE, sockets::TABLE];
    tables.into_iter().flatten().find(|(known, _)| *known == name).map(|(_, gate)| *gate)
}

/// Gates by name.
type Table = &'static [(&'static str, Gate)];

/// Process, time and randomness.
const PROCESS: Table = &[
    ("clock_gettime", clock_gettime),
    ("exit", exit),
    ("getpid", getpid),
    ("getrandom", getrandom),
    ("nanosleep", nanosleep),
    ("sched_yield", sched_yield),
    ("wait4", wait4),
];

/// A system call; failure as `-errno`.
///
/// # Safety
/// As the call that it is.
unsafe fn call(number: c_long, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { errno() } else { result }
}

/// `-errno` of the call that failed.
fn errno() -> i64 {
    -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// A refusal of the gate itself.
fn refuse(errno: c_int) -> i64 {
    -i64::from(errno)
}

/// These arguments, and zeroes.
fn six<const N: usize>(arguments: [u64; N]) -> [u64; 6] {
    let mut all = [0; 6];
    all.iter_mut().zip(arguments).for_each(|(to, from)| *to = from);
    all
}

/// `result` if it is in `[-4095, high]`. A kernel that says anything else breaks the types of the
/// program, which therefore ends here.
fn within(result: i64, high: u64) -> i64 {
    let value = u64::try_from(result).is_ok_and(|r| r <= high);
    if value || (-4095..0).contains(&result) { result } else { std::process::abort() }
}

passed_on! {
    clock_gettime(clock, time) => SYS_clock_gettime, 0;
    getrandom(buffer, n, flags) => SYS_getrandom, n;
    nanosleep(time, rest) => SYS_nanosleep, 0;
    sched_yield() => SYS_sched_yield, 0;
}

extern "C" fn wait4(pid: u64, status: u64, options: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: `&rw wait_status`: four bytes. No resource usage is asked for.
    within(unsafe { call(libc::SYS_wait4, six([pid, status, options])) }, INT_MAX)
}

extern "C" fn getpid(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // At least 1, and it cannot fail.
    i64::from(std::process::id())
}

extern "C" fn exit(status: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: ends the process; nothing of the host has to be flushed.
    unsafe { libc::_exit((status & 0xFF) as c_int) }
}

#[cfg(test)]
mod tests {
    use super::{PROCESS, by_name, events, files, function, memory, sockets};
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
        for table in [PROCESS, files::TABLE, memory::TABLE, events::TABLE, sockets::TABLE] {
            assert!(table.is_sorted_by_key(|(name, _)| *name));
            for (name, _) in table {
                assert!(interface::names().any(|import| import == *name), "{name}");
            }
        }
    }
}
