//! Not trusted: a test. What `tal-load` reads, what it writes, and what it passes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, ends_with, load, outcome};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Writes its arguments, one a line, but for its name, and ends with their number.
const ARGUMENTS: &str = "
rodata newline: bytes = \"\\n\"

entry fn start {
        mov     r12, rdi
        mov     r13, rsi
        mov     ebx, 1
.next:
        cmp     rbx, r12
        jae     .end
        mov     rax, rbx
        shl     rax, 4
        mov     rsi, [r13 + rax + str.ptr]
        mov     rdx, [r13 + rax + str.len]
        mov     edi, 1
        call    write
        mov     edi, 1
        lea     rsi, [newline]
        mov     edx, 1
        call    write
        inc     rbx
        jmp     .next
.end:
        mov     rdi, r12
        jmp     exit
}
";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Under a limit of memory, with nothing to read: exit status and words.
fn limited(arguments: &[&str]) -> (i32, String) {
    limited_with(Stdio::null(), arguments)
}

fn limited_with(input: Stdio, arguments: &[&str]) -> (i32, String) {
    let script = "ulimit -v 500000; exec \"$0\" \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tal-load")]).args(arguments);
    let start = Instant::now();
    let (status, output, words) = outcome(command.stdin(input));
    assert_eq!(output, "");
    assert!(start.elapsed() < Duration::from_secs(20), "{words}");
    (status.code().unwrap(), words)
}

#[test]
fn what_is_no_program_by_its_size_or_kind_is_not_read() {
    let place = Place::new();
    let big = place.program("big", &ends_with(0));
    fs::OpenOptions::new().write(true).open(&big).unwrap().set_len(8 << 30).unwrap();
    let pipe = place.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let no_file = "is no regular file (standard input is -)";
    for (path, why) in [
        (text(&big), "has more than 1073741824 bytes: too large for a program"),
        ("/dev/zero", no_file),
        (text(&pipe), no_file),
        (text(place.path()), "is a directory"),
    ] {
        let words = format!("tal-load: {path}: {why}\n");
        for (command, status) in [("verify", 2), ("dump", 2), ("run", 127), ("gdb", 127)] {
            assert_eq!(limited(&[command, path]), (status, words.clone()));
        }
    }
    // Standard input without an end is read as far as a program goes; here, as far as memory does.
    let zero = Stdio::from(File::open("/dev/zero").unwrap());
    let (status, words) = limited_with(zero, &["verify", "-"]);
    assert_eq!((status, &*words), (2, "tal-load: -: out of memory\n"));
}

#[test]
fn a_dash_is_standard_input() {
    let place = Place::new();
    let program = place.program("answer", &ends_with(42));
    let given = |arguments: &[&str]| {
        outcome(load(arguments).stdin(Stdio::from(File::open(&program).unwrap())))
    };
    let (status, output, _) = given(&["verify", "-"]);
    assert_eq!(status.code(), Some(0));
    assert!(output.starts_with("-: safe: "), "{output}");
    assert!(given(&["dump", "-"]).1.contains("start:\n"));
    assert_eq!(given(&["run", "-"]).0.code(), Some(42));
    assert_eq!(given(&["gdb", "-"]).0.code(), Some(127));
}

#[test]
fn arguments_behind_the_program_are_the_programs() {
    let place = Place::new();
    let program = place.program("arguments", ARGUMENTS);
    let run = |arguments: &[&str]| outcome(&mut load(&[&["run"][..], arguments].concat()));
    let all = ["--help", "-V", "--", "-x", "verify", "--", ""];
    let (status, output, words) = run(&[&[text(&program)][..], &all].concat());
    assert_eq!(words, "");
    assert_eq!(output, all.map(|a| format!("{a}\n")).concat());
    assert_eq!(status.code(), Some(8));
    // Before it they are the command's.
    assert!(run(&["--help", text(&program)]).1.contains("Usage: tal-load run"));
    let (status, output, _) = run(&["--", text(&program), "--version"]);
    assert_eq!((status.code(), &*output), (Some(2), "--version\n"));
    assert_eq!(run(&[]).0.code(), Some(2));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let place = Place::new();
    let program = place.program("answer", &ends_with(42));
    let program = text(&program);
    for arguments in [&["verify", program][..], &["dump", program], &["--help"], &["--version"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (status, _, words) = outcome(load(arguments).stdout(Stdio::from(full)));
        assert_eq!(status.code(), Some(2), "{arguments:?}: {words}");
        // Of help, clap says nothing.
        let told = words == "tal-load: standard output: No space left on device (os error 28)\n";
        assert!(told || arguments.len() == 1, "{words}");
    }
    // A reader that has gone is told nothing, as by other tools, but the status is one.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = load(&["dump", program]);
    let ended = command.stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(2), &b""[..]));
}

#[test]
fn a_program_without_its_host_says_so() {
    let place = Place::new();
    let program = place.program("answer", &ends_with(42));
    // A test beside this one may have started a process while the file was being written: the
    // child has it open for writing until its own exec, and until then it cannot be run.
    let mut command = Command::new(&program);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = loop {
        match command.spawn() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            child => break child.unwrap(),
        }
    };
    let ended = child.wait_with_output().unwrap();
    let (status, words) = (ended.status, String::from_utf8(ended.stderr).unwrap());
    assert_eq!((status.code(), status.signal(), &*ended.stdout), (Some(126), None, &b""[..]));
    assert_eq!(
        words,
        "This is a typed program, not an ordinary one: start it with `tal-load run FILE`.\n"
    );
}

/// With the real gdb: breakpoints by line and by name, values, and the program goes on.
#[test]
fn gdb_stops_at_the_lines_of_the_source() {
    let place = Place::new();
    let program = place.program("arguments", ARGUMENTS);
    let commands =
        ["break arguments.tal:17", "continue", "print $rdx", "info symbol $pc", "continue"];
    let mut arguments = vec!["gdb", "--batch"];
    for command in &commands {
        arguments.extend(["--ex", command]);
    }
    arguments.extend([text(&program), "one", "--two"]);
    let mut command = load(&arguments);
    command.current_dir(place.path()).env("LC_ALL", "C").env("HOME", "/nonexistent");
    let (status, output, words) = outcome(&mut command);
    let all = format!("{output}\n{words}");
    assert_eq!(status.code(), Some(0), "{all}");
    for wanted in [
        "Temporary breakpoint 2, start () at ",
        "arguments.tal:5\n",
        "Breakpoint 3, start () at ",
        "arguments.tal:17\n",
        "$1 = 3\n",
        "start + 42 in section .text",
    ] {
        assert!(output.contains(wanted), "no {wanted:?} in {all}");
    }
}

/// Annotations of another version are not read, and it is said what to do.
#[test]
fn another_version_is_named() {
    let place = Place::new();
    let program = place.program("answer", &ends_with(42));
    let mut bytes = fs::read(&program).unwrap();
    let magic = bytes.windows(4).rposition(|at| at == tal_core::wire::MAGIC).unwrap();
    assert_eq!(bytes[magic + 4], tal_core::wire::VERSION);
    bytes[magic + 4] = 1;
    fs::write(&program, bytes).unwrap();
    let (status, _, words) = outcome(&mut load(&["verify", text(&program)]));
    assert_eq!(status.code(), Some(1), "{words}");
    assert!(
        words.contains("version 1,") && words.contains("assemble the program again"),
        "{words}"
    );
}
