//! Not trusted: a test. Programs that die in `tal-load run`: what is said, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, load, outcome};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A call of itself without end, in line 6.
const DEEP: &str = "
fn deep()
{
        sub     rsp, 1016
        call    deep
        add     rsp, 1016
        ret
}

entry fn start {
        call    deep
        xor     edi, edi
        jmp     exit
}
";

#[test]
fn a_stack_overflow_names_function_and_line() {
    let place = Place::new();
    let program = place.program("deep", DEEP);
    let (status, output, words) = outcome(&mut load(&["run", program.to_str().unwrap()]));
    assert_eq!((status.signal(), &*output), (Some(libc::SIGSEGV), ""));
    let source = program.with_extension("tal");
    let expected = format!("tal-load: stack overflow in `deep`, {}:6 (at 0x4000", source.display());
    assert!(words.starts_with(&expected) && words.ends_with(")\n"), "{words}");
    assert_eq!(words.lines().count(), 1);
}

/// What another process sends ends the program, and nothing is said of it.
#[test]
fn a_signal_of_another_process_is_no_fault() {
    let place = Place::new();
    let loop_ = "
entry fn start {
.again:
        call    sched_yield
        jmp     .again
}
";
    let program = place.program("loops", loop_);
    let mut command = load(&["run", program.to_str().unwrap()]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    // Until it is watched: SIGFPE, which nobody else catches, is the eighth signal.
    let watched = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 0x80 != 0
    };
    while !watched() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = format!("kill -SEGV {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(libc::SIGSEGV));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
