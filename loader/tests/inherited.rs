//! Not trusted: a test. Open files that `tal-load run` was started with, and hands on.
#![allow(unsafe_code, reason = "makes descriptors that a child inherits")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, ends_with, load, outcome};
use libc::c_int;
use std::os::unix::process::CommandExt as _;

/// Runs a program that ends with 42, with what `make` opens as descriptor 7: exit status and words.
fn with_seven(make: fn() -> c_int) -> (i32, String) {
    let place = Place::new();
    let program = place.program("answer", &ends_with(42));
    let mut command = load(&["run", program.to_str().unwrap()]);
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || {
            let fd = make();
            if fd < 0 || libc::dup2(fd, 7) != 7 {
                return Err(std::io::Error::last_os_error());
            }
            if fd != 7 {
                libc::close(fd);
            }
            Ok(())
        });
    }
    let (status, output, words) = outcome(&mut command);
    assert_eq!(output, "");
    (status.code().unwrap(), words)
}

fn admitted(make: fn() -> c_int) {
    assert_eq!(with_seven(make), (42, String::new()));
}

fn refused(make: fn() -> c_int, name: &str, why: &str) {
    let (status, words) = with_seven(make);
    assert_eq!(status, 126, "{words}");
    let (start, end) = (format!("tal-load: descriptor 7 ({name}"), format!(") {why}\n"));
    assert!(words.starts_with(&start) && words.ends_with(&end), "{words}");
}

/// One end of a pipe with flags.
fn pipe(flags: c_int) -> c_int {
    let mut ends = [0; 2];
    // SAFETY: two integers, and a descriptor that nobody uses.
    unsafe {
        libc::pipe2(ends.as_mut_ptr(), flags);
        libc::close(ends[0]);
    }
    ends[1]
}

#[test]
fn what_the_interface_makes_is_handed_on() {
    admitted(|| pipe(0));
    // SAFETY: these make a descriptor, from a string that ends in zero if they take one.
    admitted(|| unsafe { libc::eventfd(0, 0) });
    // SAFETY: as above.
    admitted(|| unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) });
    // SAFETY: as above.
    admitted(|| unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY) });
    // SAFETY: as above.
    admitted(|| unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) });
}

/// Attack A15.
#[test]
fn other_files_keep_a_program_from_starting() {
    let written = "may not be open for writing in a typed program";
    // SAFETY: these make a descriptor, from a string that ends in zero if they take one.
    refused(|| unsafe { libc::open(c"/proc/self/mem".as_ptr(), libc::O_RDWR) }, "/proc/", written);
    // SAFETY: as above.
    refused(|| unsafe { libc::open(c"/proc/self/comm".as_ptr(), 1) }, "/proc/", written);
    let open = "may not be open in a typed program";
    // SAFETY: as above.
    refused(|| unsafe { libc::inotify_init1(0) }, "anon_inode:inotify", open);
    // SAFETY: as above.
    refused(|| unsafe { libc::socket(libc::AF_NETLINK, 3, 0) }, "socket:[", written);
    refused(|| pipe(libc::O_DIRECT), "pipe:[", "is a pipe of packets");
}
