//! TCB. Which open files a program may have, and which of them it may write: allow lists by what a
//! file is, never by its name. Asked after a file was opened, and before the program starts of each
//! descriptor that it is born with.
//!
//! The reason is memory: a program must not write its own text through /proc/self/mem, nor what was
//! swapped out of it, nor the tables and registers that pseudo-files and devices stand for; nor may
//! a driver take addresses out of the bytes that it is given.

use super::sockets;
use core::mem::MaybeUninit;
use libc::{c_int, dev_t, mode_t};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs, io};

/// File systems whose regular files may be written, by the `f_type` of statfs: there a file is
/// bytes that somebody stored, and nothing happens but that they are stored.
#[rustfmt::skip]
pub const FILE_SYSTEMS: &[(&str, i64)] = &[
    ("9p",            0x0102_1997),
    ("bcachefs",      0xCA45_1A4E),
    ("btrfs",         0x9123_683E),
    ("cifs",          0xFF53_4D42),
    ("ecryptfs",      0x0000_F15F),
    ("erofs",         0xE0F5_E1E2),
    ("exfat",         0x2011_BAB0),
    ("ext2/ext3/ext4", 0x0000_EF53),
    ("f2fs",          0xF2F5_2010),
    ("fuse/virtiofs", 0x6573_5546),
    ("iso9660",       0x0000_9660),
    ("jfs",           0x3153_464A),
    ("nfs",           0x0000_6969),
    ("nilfs2",        0x0000_3434),
    ("ntfs3",         0x7366_746E),
    ("overlayfs",     0x794C_7630),
    ("ramfs",         0x8584_58F6),
    ("smb2",          0xFE53_4D42),
    ("squashfs",      0x7371_7368),
    ("tmpfs",         0x0102_1994),
    ("udf",           0x1501_3346),
    ("vfat/msdos",    0x0000_4D44),
    ("xfs",           0x5846_5342),
    ("zfs",           0x2FC1_2FC1),
];

/// Character devices that may be open: name, major number, first and last minor number. Their
/// drivers take bytes for bytes.
#[rustfmt::skip]
pub const DEVICES: &[(&str, u32, u32, u32)] = &[
    ("null",                     1,   3, 3),
    ("zero",                     1,   5, 5),
    ("full",                     1,   7, 7),
    ("random",                   1,   8, 8),
    ("urandom",                  1,   9, 9),
    ("consoles, serial lines",   4,   0, u32::MAX),
    ("tty, console, ptmx",       5,   0, u32::MAX),
    ("pseudo-terminals",         136, 0, u32::MAX),
    ("pseudo-terminals",         137, 0, u32::MAX),
    ("pseudo-terminals",         138, 0, u32::MAX),
    ("pseudo-terminals",         139, 0, u32::MAX),
    ("pseudo-terminals",         140, 0, u32::MAX),
    ("pseudo-terminals",         141, 0, u32::MAX),
    ("pseudo-terminals",         142, 0, u32::MAX),
    ("pseudo-terminals",         143, 0, u32::MAX),
    ("more serial lines",        204, 0, u32::MAX),
    ("consoles of virtual machines", 229, 0, u32::MAX),
];

/// Files that lie nowhere, as the kernel calls them: those that the interface makes.
pub const NAMELESS: &[&str] = &["eventfd", "eventpoll", "timerfd"];

/// What `F_SETFL` may be given: what it sets (O_APPEND, O_NONBLOCK, O_NOATIME), and what `F_GETFL`
/// tells beside these and the kernel passes over. O_DIRECT would make a pipe one of packets, which
/// a read cuts off; O_ASYNC sends signals.
#[rustfmt::skip]
pub const STATUS_FLAGS: &[(&str, c_int)] = &[
    ("O_WRONLY",    libc::O_WRONLY),
    ("O_RDWR",      libc::O_RDWR),
    ("O_APPEND",    libc::O_APPEND),
    ("O_NONBLOCK",  libc::O_NONBLOCK),
    ("O_DSYNC",     libc::O_DSYNC),
    ("O_LARGEFILE", 0x8000),
    ("O_DIRECTORY", libc::O_DIRECTORY),
    ("O_NOFOLLOW",  libc::O_NOFOLLOW),
    ("O_NOATIME",   libc::O_NOATIME),
    ("O_SYNC",      libc::O_SYNC),
    ("O_TMPFILE",   libc::O_TMPFILE),
];

/// May `F_SETFL` be given this?
pub(super) fn status_flags(value: u64) -> bool {
    let known = STATUS_FLAGS.iter().fold(0, |all, (_, flag)| all | *flag);
    value & !(known as u64) == 0
}

/// May a program have this file, which is open with these flags? When in doubt, no.
pub(super) fn admits(fd: c_int, flags: c_int) -> bool {
    let writes = flags & libc::O_ACCMODE != 0;
    let Some((kind, device)) = kind(fd) else { return false };
    match kind {
        libc::S_IFREG | libc::S_IFDIR => !writes || file_system(fd).is_some_and(stores),
        // A pipe of packets cuts off what a read leaves.
        libc::S_IFIFO => flags & libc::O_DIRECT == 0,
        libc::S_IFSOCK => sockets::makes(fd),
        libc::S_IFCHR => harmless(libc::major(device), libc::minor(device)),
        // A disk: also what was swapped out.
        libc::S_IFBLK => !writes,
        // Opened by itself, with O_PATH and O_NOFOLLOW.
        libc::S_IFLNK => !writes,
        0 => nameless(fd),
        _ => false,
    }
}

/// What an open file is, and of which device.
fn kind(fd: c_int) -> Option<(mode_t, dev_t)> {
    let mut about = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `about` is what fstat fills in; zeroes are a value of it.
    let (done, about) = unsafe {
        let done = libc::fstat(fd, about.as_mut_ptr());
        (done, about.assume_init())
    };
    (done == 0).then_some((about.st_mode & libc::S_IFMT, about.st_rdev))
}

/// Where an open file lies.
fn file_system(fd: c_int) -> Option<i64> {
    let mut about = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `about` is what fstatfs fills in; zeroes are a value of it.
    let (done, about) = unsafe {
        let done = libc::fstatfs(fd, about.as_mut_ptr());
        (done, about.assume_init())
    };
    (done == 0).then_some(about.f_type)
}

/// Does this file system only store?
fn stores(file_system: i64) -> bool {
    FILE_SYSTEMS.iter().any(|(_, known)| *known == file_system)
}

/// Is this character device known to take bytes for bytes?
fn harmless(major: u32, minor: u32) -> bool {
    let same = |(_, m, first, last): &(&str, u32, u32, u32)| {
        *m == major && (*first..=*last).contains(&minor)
    };
    DEVICES.iter().any(same)
}

fn nameless(fd: c_int) -> bool {
    let name = fs::read_link(link(fd)).unwrap_or_default();
    NAMELESS.iter().any(|known| name == Path::new(&format!("anon_inode:[{known}]")))
}

/// Where the kernel tells what a descriptor is.
fn link(fd: c_int) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

/// Asks of every descriptor of this process what is asked when a file is opened.
///
/// # Errors
/// The words for the first that a program may not have.
pub(crate) fn inherited() -> Result<(), String> {
    for fd in descriptors().map_err(|error| format!("/proc/self/fd: {error}"))? {
        // SAFETY: no memory.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        // Closed by now: the one that the list was read from.
        if flags < 0 {
            continue;
        }
        let writes = flags & libc::O_ACCMODE != 0;
        let packets =
            kind(fd).is_some_and(|(kind, _)| kind == libc::S_IFIFO) && flags & libc::O_DIRECT != 0;
        let signals = flags & libc::O_ASYNC != 0;
        let why = match () {
            () if packets => "is a pipe of packets",
            () if signals => "sends signals",
            () if admits(fd, flags) => continue,
            () if writes => "may not be open for writing in a typed program",
            () => "may not be open in a typed program",
        };
        let name = fs::read_link(link(fd)).unwrap_or_default();
        return Err(format!("descriptor {fd} ({}) {why}", name.display()));
    }
    Ok(())
}

/// Numbers of the open files.
fn descriptors() -> io::Result<Vec<c_int>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_string_lossy().parse();
        numbers.push(
            number
                .map_err(|error: core::num::ParseIntError| io::Error::other(error.to_string()))?,
        );
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::{admits, file_system, harmless, status_flags, stores};
    use core::ffi::CStr;
    use libc::c_int;
    use std::os::fd::AsRawFd;
    use std::{env, fs};

    #[test]
    fn devices_that_are_memory_or_take_addresses_do_not_open() {
        for minor in [3, 5, 7, 8, 9] {
            assert!(harmless(1, minor));
        }
        for terminal in [(4, 64), (5, 0), (5, 2), (136, 7), (143, 0), (229, 0)] {
            assert!(harmless(terminal.0, terminal.1), "{terminal:?}");
        }
        // mem, kmem, port, kmsg; then sg, uverbs, kvm, drm.
        let memory = [(1, 1), (1, 2), (1, 4), (1, 11)];
        for (major, minor) in memory.into_iter().chain([(21, 0), (231, 192), (10, 232), (226, 0)]) {
            assert!(!harmless(major, minor), "{major}:{minor}");
        }
    }

    /// linux/magic.h: procfs, sysfs, debugfs, tracefs, configfs, securityfs, efivarfs, binfmt_misc,
    /// selinuxfs, smackfs, cgroup, cgroup2, pstore, bpf, hugetlbfs, devpts, mqueue, rpc_pipefs,
    /// nsfs, sockfs, pipefs, anon_inodefs, pidfs, secretmem, resctrl; and nothing at all.
    #[rustfmt::skip]
    const OTHERS: &[i64] = &[
        0x9FA0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x6265_6570, 0x7363_6673, 0xDE5E_81E4,
        0x4249_4E4D, 0xF97C_FF8C, 0x4341_5D53, 0x0027_E0EB, 0x6367_7270, 0x6165_676C, 0xCAFE_4A11,
        0x9584_58F6, 0x1CD1, 0x1980_0202, 0x6759_6969, 0x6E73_6673, 0x534F_434B, 0x5049_5045,
        0x0904_1934, 0x5049_4446, 0x5345_434D, 0x0765_5821, 0, -1,
    ];

    /// Attack A15.
    #[test]
    fn file_systems_that_are_no_stores_are_not_written() {
        for magic in OTHERS {
            assert!(!stores(*magic), "{magic:#x}");
        }
    }

    fn open(path: &CStr, flags: c_int) -> c_int {
        // SAFETY: a string that ends in zero.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        assert!(fd >= 0, "{path:?}");
        fd
    }

    fn closed(fd: c_int) {
        // SAFETY: opened by a test, and nobody else knows it.
        assert_eq!(unsafe { libc::close(fd) }, 0);
    }

    #[test]
    fn regular_files_are_asked_where_they_lie() {
        let path = env::temp_dir().join(std::format!("tal-kinds-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        let fd = file.as_raw_fd();
        let magic = file_system(fd).unwrap();
        assert!(admits(fd, libc::O_RDWR), "{magic:#x}");
        fs::remove_file(&path).unwrap();
        // The twin: a file that can be opened for writing, of procfs.
        let comm = open(c"/proc/self/comm", libc::O_RDWR);
        assert!(admits(comm, libc::O_RDONLY));
        assert!(!admits(comm, libc::O_RDWR));
        closed(comm);
    }

    #[test]
    fn descriptors_are_what_the_interface_makes() {
        let mut pipe = [0; 2];
        // SAFETY: descriptors of the test; `pipe` is two integers.
        let (socket, netlink, counter, epoll, timer, signals, notes) = unsafe {
            assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
            let mut mask: libc::sigset_t = core::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            (
                libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
                libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0),
                libc::eventfd(0, 0),
                libc::epoll_create1(0),
                libc::timerfd_create(libc::CLOCK_MONOTONIC, 0),
                libc::signalfd(-1, &raw const mask, 0),
                libc::inotify_init1(0),
            )
        };
        for end in pipe {
            assert!(!admits(end, libc::O_RDONLY | libc::O_DIRECT), "{end}");
        }
        for fd in [pipe[0], pipe[1], socket, counter, epoll, timer] {
            assert!(fd >= 0 && admits(fd, libc::O_RDWR), "{fd}");
            closed(fd);
        }
        for fd in [netlink, signals, notes] {
            assert!(fd >= 0 && !admits(fd, libc::O_RDWR) && !admits(fd, libc::O_RDONLY), "{fd}");
            closed(fd);
        }
        assert!(!admits(-1, libc::O_RDONLY));
        let null = open(c"/dev/null", libc::O_RDWR);
        assert!(admits(null, libc::O_RDWR));
        closed(null);
        let directory = open(c"/proc/self", libc::O_RDONLY);
        assert!(admits(directory, libc::O_RDONLY));
        closed(directory);
    }

    #[test]
    fn flags_are_those_of_the_list() {
        let told = libc::O_RDWR | 0x8000 | libc::O_DIRECTORY | libc::O_SYNC;
        for flags in [0, libc::O_APPEND, libc::O_NONBLOCK, libc::O_NOATIME, told] {
            assert!(status_flags(flags as u64), "{flags:#o}");
        }
        for flags in [libc::O_DIRECT, libc::O_ASYNC, libc::O_PATH, i32::MIN] {
            assert!(!status_flags(flags as u64), "{flags:#o}");
        }
        assert!(!status_flags(1 << 32));
    }
}
