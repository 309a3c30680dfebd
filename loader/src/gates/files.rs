//! TCB. Gates for files, directories and pipes.

use super::{INT_MAX, Table, call, kinds, refuse, six, within};
use core::ptr;
use libc::c_int;
use std::vec::Vec;

pub(super) const TABLE: Table = &[
    ("close", close),
    ("dup", dup),
    ("dup3", dup3),
    ("fcntl", fcntl),
    ("fdatasync", fdatasync),
    ("fstat", fstat),
    ("fstatat", fstatat),
    ("fsync", fsync),
    ("ftruncate", ftruncate),
    ("getdents64", getdents64),
    ("lseek", lseek),
    ("mkdirat", mkdirat),
    ("open", open),
    ("openat", openat),
    ("openat2", openat2),
    ("pipe2", pipe2),
    ("pread", pread),
    ("pwrite", pwrite),
    ("read", read),
    ("renameat", renameat),
    ("sendfile", sendfile),
    ("unlinkat", unlinkat),
    ("write", write),
];

passed_on! {
    read(fd, buffer, n) => SYS_read, n;
    write(fd, buffer, n) => SYS_write, n;
    pread(fd, buffer, n, offset) => SYS_pread64, n;
    pwrite(fd, buffer, n, offset) => SYS_pwrite64, n;
    close(fd) => SYS_close, 0;
    ftruncate(fd, size) => SYS_ftruncate, 0;
    fsync(fd) => SYS_fsync, 0;
    fdatasync(fd) => SYS_fdatasync, 0;
    dup(fd) => SYS_dup, INT_MAX;
    dup3(fd, new, flags) => SYS_dup3, INT_MAX;
    fstat(fd, about) => SYS_fstat, 0;
    getdents64(fd, buffer, n) => SYS_getdents64, n;
}

/// A copy of a path, as the kernel wants it: it ends in a zero byte.
struct Path(Vec<u8>);

impl Path {
    /// Copies `&bytes[n]`; or the error, when there is a zero byte in it.
    fn copy(at: u64, n: u64) -> Result<Path, i64> {
        let length = usize::try_from(n).map_err(|_| refuse(libc::ENAMETOOLONG))?;
        let bytes = ptr::with_exposed_provenance::<u8>(at as usize);
        let mut name = Vec::with_capacity(length + 1);
        // SAFETY: `&bytes[n]`: n bytes that may be read.
        name.extend_from_slice(unsafe { core::slice::from_raw_parts(bytes, length) });
        if name.contains(&0) {
            return Err(refuse(libc::EINVAL));
        }
        name.push(0);
        Ok(Path(name))
    }

    /// Where it is, as long as it lives.
    fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }
}

extern "C" fn open(path: u64, n: u64, flags: u64, mode: u64, _: u64, _: u64) -> i64 {
    openat(libc::AT_FDCWD as u64, path, n, flags, mode, 0)
}

extern "C" fn openat(at: u64, path: u64, n: u64, flags: u64, mode: u64, _: u64) -> i64 {
    let path = match Path::copy(path, n) {
        Ok(path) => path,
        Err(error) => return error,
    };
    let arguments = six([at, path.address(), flags, mode]);
    // SAFETY: `path` is a string that ends in zero and lives until after the call.
    opened(within(unsafe { call(libc::SYS_openat, arguments) }, INT_MAX), flags)
}

extern "C" fn openat2(at: u64, path: u64, n: u64, how: u64, _: u64, _: u64) -> i64 {
    let path = match Path::copy(path, n) {
        Ok(path) => path,
        Err(error) => return error,
    };
    let how = ptr::with_exposed_provenance::<[u64; 3]>(how as usize);
    // SAFETY: `&open_how`: three integers.
    let how = unsafe { how.read_unaligned() };
    let at_how = how.as_ptr().expose_provenance() as u64;
    let arguments = six([at, path.address(), at_how, size_of_val(&how) as u64]);
    // SAFETY: `path` and `how` are copies that live until after the call.
    opened(within(unsafe { call(libc::SYS_openat2, arguments) }, INT_MAX), how[0])
}

/// A file that was opened, unless memory can be reached through it: then it is closed again.
fn opened(fd: i64, flags: u64) -> i64 {
    // An error, or a descriptor: `within` has compared. Flags are those of an int.
    if fd >= 0 && !kinds::admits(fd as c_int, flags as c_int) {
        close(fd as u64, 0, 0, 0, 0, 0);
        return refuse(libc::EACCES);
    }
    fd
}

extern "C" fn lseek(fd: u64, offset: u64, whence: u64, _: u64, _: u64, _: u64) -> i64 {
    // SAFETY: no memory.
    let result = unsafe { call(libc::SYS_lseek, six([fd, offset, whence])) };
    // A position above 2^63, which /proc/self/mem has. Some look like errors, but for these the
    // kernel has names that it tells nobody: ERESTARTSYS (512) and others.
    if result <= -512 { refuse(libc::EOVERFLOW) } else { result }
}

extern "C" fn fstatat(at: u64, path: u64, n: u64, flags: u64, about: u64, _: u64) -> i64 {
    Path::copy(path, n).map_or_else(
        |error| error,
        |path| {
            let arguments = six([at, path.address(), about, flags]);
            // SAFETY: `path` ends in zero and lives; `&rw stat`: as many bytes as the kernel's.
            within(unsafe { call(libc::SYS_newfstatat, arguments) }, 0)
        },
    )
}

extern "C" fn mkdirat(at: u64, path: u64, n: u64, mode: u64, _: u64, _: u64) -> i64 {
    Path::copy(path, n).map_or_else(
        |error| error,
        // SAFETY: `path` is a string that ends in zero and lives until after the call.
        |path| within(unsafe { call(libc::SYS_mkdirat, six([at, path.address(), mode])) }, 0),
    )
}

extern "C" fn unlinkat(at: u64, path: u64, n: u64, flags: u64, _: u64, _: u64) -> i64 {
    Path::copy(path, n).map_or_else(
        |error| error,
        // SAFETY: `path` is a string that ends in zero and lives until after the call.
        |path| within(unsafe { call(libc::SYS_unlinkat, six([at, path.address(), flags])) }, 0),
    )
}

extern "C" fn renameat(at: u64, old: u64, n: u64, at2: u64, new: u64, m: u64) -> i64 {
    let (old, new) = match (Path::copy(old, n), Path::copy(new, m)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    let arguments = six([at, old.address(), at2, new.address()]);
    // SAFETY: both are strings that end in zero and live until after the call.
    within(unsafe { call(libc::SYS_renameat, arguments) }, 0)
}

extern "C" fn fcntl(fd: u64, command: u64, value: u64, _: u64, _: u64, _: u64) -> i64 {
    let known = [
        libc::F_DUPFD,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_DUPFD_CLOEXEC,
    ];
    let known = known.into_iter().find(|known| *known as u64 == command);
    if known.is_none() {
        return refuse(libc::EINVAL);
    }
    if known == Some(libc::F_SETFL) && !kinds::status_flags(value) {
        return refuse(libc::EINVAL);
    }
    // SAFETY: these commands take integers.
    within(unsafe { call(libc::SYS_fcntl, six([fd, command, value])) }, INT_MAX)
}

extern "C" fn sendfile(to: u64, from: u64, offset: u64, n: u64, _: u64, _: u64) -> i64 {
    let mut offset = offset.cast_signed();
    let at = (&raw mut offset).expose_provenance() as u64;
    // SAFETY: the offset is ours and lives until after the call.
    within(unsafe { call(libc::SYS_sendfile, six([to, from, at, n])) }, n)
}

extern "C" fn pipe2(ends: u64, flags: u64, _: u64, _: u64, _: u64, _: u64) -> i64 {
    if flags & !((libc::O_CLOEXEC | libc::O_NONBLOCK) as u64) != 0 {
        return refuse(libc::EINVAL);
    }
    // SAFETY: `&rw fd_pair`: two integers of four bytes.
    within(unsafe { call(libc::SYS_pipe2, six([ends, flags])) }, 0)
}
