//! The command `tal-asm` on programs of `examples/`: what it writes, what it leaves, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::tool;
use loader::{Image, interface, link, verify};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Runs the assembler in a folder.
fn asm(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-asm"));
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A folder with a copy of the smallest example.
fn workplace() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(examples().join("hello.tal"), directory.path().join("hello.tal")).unwrap();
    directory
}

#[test]
fn what_is_written_is_what_was_judged() {
    let place = workplace();
    let output = asm(place.path(), &["hello.tal", "-o", "hello"]);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(place.path().join("hello")).unwrap();
    let program = verify(&bytes, &interface::embedded().unwrap()).unwrap();
    assert!(!program.image().text().is_empty());
}

/// The listing comes from the judgement itself, and ends as it does.
#[test]
fn a_listing_shows_the_state_in_loops_and_behind_calls() {
    let place = workplace();
    let wc = examples().join("wc.tal");
    assert_eq!(code(&asm(place.path(), &[wc.to_str().unwrap(), "-o", "wc"])), 0);
    let bytes = fs::read(place.path().join("wc")).unwrap();
    let (image, host) = (Image::parse(&bytes).unwrap(), interface::embedded().unwrap());
    let debug = loader::lines::Debug::read(&bytes);
    let (text, refusal) = loader::listing::dump(&image, &host, &debug);
    assert!(refusal.is_none(), "{refusal:?}");
    for label in ["start.next:", "start.report:", "decimal.digit:"] {
        let (_, behind) = text.split_once(label).unwrap();
        assert!(behind.trim_start().starts_with("; "), "{label}{:.200}", behind);
    }
}

/// No verdict is remembered: of the same file, changed in between, each verdict is its own.
#[test]
fn t165_a_verdict_is_about_the_bytes_of_now() {
    let place = workplace();
    assert_eq!(code(&asm(place.path(), &["hello.tal", "-o", "hello"])), 0);
    let path = place.path().join("hello");
    let good = fs::read(&path).unwrap();
    let text = Image::parse(&good).unwrap().text().to_vec();
    let at = good.windows(text.len()).position(|w| w == text).unwrap();
    let mut bad = good.clone();
    bad[at] = 0xF4;
    let interface = interface::embedded().unwrap();
    for _ in 0..2 {
        for (bytes, accepted) in [(&good, true), (&bad, false)] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(verify(&fs::read(&path).unwrap(), &interface).is_ok(), accepted);
        }
    }
}

#[test]
fn the_same_source_makes_the_same_file_anywhere() {
    let files = [workplace(), workplace()].map(|place| {
        for name in ["hello", "hello.o"] {
            assert_eq!(code(&asm(place.path(), &["hello.tal", "-o", name])), 0);
        }
        ["hello", "hello.o"].map(|name| fs::read(place.path().join(name)).unwrap())
    });
    assert_eq!(files[0], files[1]);
}

#[test]
fn an_object_links_to_the_executable() {
    let place = workplace();
    assert_eq!(code(&asm(place.path(), &["hello.tal", "-o", "hello"])), 0);
    assert_eq!(code(&asm(place.path(), &["-c", "hello.tal", "-o", "object"])), 0);
    let executable = fs::read(place.path().join("hello")).unwrap();
    let linked = link::link(&fs::read(place.path().join("object")).unwrap()).unwrap();
    assert_eq!(Image::parse(&linked).unwrap(), Image::parse(&executable).unwrap());
}

/// Attack t167.
#[test]
fn a_refused_program_leaves_the_old_file() {
    let place = workplace();
    let source = fs::read_to_string(place.path().join("hello.tal")).unwrap();
    let wrong = source.replace("sizeof msg\n        call", "sizeof msg + 1\n        call");
    assert_ne!(source, wrong);
    fs::write(place.path().join("wrong.tal"), wrong).unwrap();
    fs::write(place.path().join("out"), "precious").unwrap();
    let output = asm(place.path(), &["wrong.tal", "-o", "out"]);
    assert_eq!(code(&output), 1);
    assert!(!output.stderr.is_empty());
    assert_eq!(fs::read(place.path().join("out")).unwrap(), b"precious");
    assert_eq!(code(&asm(place.path(), &["wrong.tal", "-o", "new"])), 1);
    let names = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["hello.tal", "out", "wrong.tal"]);
}

/// A refusal is said in the words of `tal-check`, not in those of the judge.
#[test]
fn a_refused_program_is_explained() {
    let directory = workplace();
    let text = "use \"kernel.tali\"\nbss buf: bytes[8]\nentry fn start {\n xor edi, edi\n \
                lea rsi, [buf]\n mov edx, 9\n call read\n xor edi, edi\n jmp exit\n}\n";
    std::fs::write(directory.path().join("long.tal"), text).unwrap();
    let output = asm(directory.path(), &["long.tal", "-o", "long"]);
    assert_eq!(code(&output), 1);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("E0408"), "{said}");
    assert!(said.contains("`read` takes 9 bytes of `buf`, which has 8"), "{said}");
    assert!(!directory.path().join("long").exists());
}

#[test]
fn usage_and_files_are_status_2() {
    let place = workplace();
    assert_eq!(code(&asm(place.path(), &["absent.tal", "-o", "out"])), 2);
    assert_eq!(code(&asm(place.path(), &["hello.tal", "-o", "no/such/folder/out"])), 2);
    assert_eq!(code(&asm(place.path(), &["hello.tal"])), 2);
    assert_eq!(code(&asm(place.path(), &["--no-such-option"])), 2);
    let help = asm(place.path(), &["--help"]);
    assert_eq!(code(&help), 0);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    assert_eq!(code(&asm(place.path(), &["--version"])), 0);
}

#[test]
fn debuggers_find_the_source() {
    let place = workplace();
    assert_eq!(code(&asm(place.path(), &["hello.tal", "-o", "hello"])), 0);
    let text = tool(place.path(), &["objdump", "-dl", "hello"]);
    let source = fs::read_to_string(place.path().join("hello.tal")).unwrap();
    let line = source.lines().position(|l| l.contains("call    write")).unwrap() + 1;
    assert!(text.contains("<write>"), "{text}");
    assert!(text.contains(&format!("hello.tal:{line}\n")), "{text}");
    let text = tool(
        place.path(),
        &["gdb", "-nx", "-batch", "-ex", &format!("break hello.tal:{line}"), "hello"],
    );
    assert!(text.contains(&format!("line {line}.")), "{text}");
}
