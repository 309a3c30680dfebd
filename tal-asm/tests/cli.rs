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

/// Every name of every file.
fn contents(place: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(place).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
    let mut files: Vec<_> = files.map(|p| (p.clone(), fs::read(&p).unwrap())).collect();
    files.sort();
    files
}

/// Neither the source, nor what it uses, nor its copy of the interface; by no name.
#[test]
fn the_output_is_never_a_file_that_was_read() {
    let place = workplace();
    let at = |name: &str| place.path().join(name);
    let hello = fs::read_to_string(at("hello.tal")).unwrap();
    fs::write(at("lib.tal"), "pub const UNUSED = 1\n").unwrap();
    fs::write(at("x.tal"), format!("use \"lib.tal\"\n{hello}")).unwrap();
    fs::copy(examples().join("../interface/kernel.tali"), at("kernel.tali")).unwrap();
    for read in ["x.tal", "lib.tal", "kernel.tali"] {
        std::os::unix::fs::symlink(read, at(&format!("link-{read}"))).unwrap();
        fs::hard_link(at(read), at(&format!("hard-{read}"))).unwrap();
    }
    std::os::unix::fs::symlink(".", at("here")).unwrap();
    std::os::unix::fs::symlink("link-x.tal", at("link-link")).unwrap();
    let before = contents(place.path());
    let absolute = at("x.tal");
    let folder = place.path().file_name().unwrap().to_str().unwrap();
    let round = format!("../{folder}/./x.tal");
    let outputs = [
        "x.tal",
        "./x.tal",
        "here/x.tal",
        "link-link",
        &round,
        absolute.to_str().unwrap(),
        "lib.tal",
        "kernel.tali",
        "link-x.tal",
        "link-lib.tal",
        "link-kernel.tali",
        "hard-x.tal",
        "hard-lib.tal",
        "hard-kernel.tali",
    ];
    for output in outputs {
        for more in [&[][..], &["-c"][..]] {
            let out = asm(place.path(), &[&["x.tal", "-o", output], more].concat());
            assert_eq!(code(&out), 2, "{output}");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(said.contains("the program was read from this file"), "{said}");
            assert_eq!(contents(place.path()), before, "{output}");
        }
    }
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", line, env!("CARGO_BIN_EXE_tal-asm")]).current_dir(place.path());
        command.output().unwrap()
    };
    let lines = [
        "\"$0\" x.tal -o - >> x.tal",
        "\"$0\" x.tal -o /dev/stdout >> lib.tal",
        "\"$0\" x.tal -o /dev/fd/3 3>> hard-x.tal",
        "\"$0\" - -o x.tal < x.tal",
        "\"$0\" /dev/stdin -o hello.tal < hello.tal",
        "\"$0\" - -o - < x.tal 1<> x.tal",
    ];
    for line in lines {
        assert_eq!(code(&shell(line)), 2, "{line}");
        assert_eq!(contents(place.path()), before, "{line}");
    }
    // A source that nothing uses is a file like any other.
    assert_eq!(code(&asm(place.path(), &["x.tal", "-o", "hello.tal"])), 0);
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let place = workplace();
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", line, env!("CARGO_BIN_EXE_tal-asm")]).current_dir(place.path());
        command.output().unwrap()
    };
    let out = shell("\"$0\" hello.tal -o file && \"$0\" hello.tal -o - | cmp - file");
    assert_eq!(code(&out), 0, "{}", String::from_utf8_lossy(&out.stderr));
    // Only the name of the source is another.
    assert_eq!(code(&shell("\"$0\" - -o stdin < hello.tal && test -x stdin")), 0);
    let named = fs::read(place.path().join("stdin")).unwrap();
    assert!(named.windows(7).any(|w| w == b"<stdin>"));
    // What stands in the file already stays there.
    for name in ["-", "/dev/stdout"] {
        let line = format!("echo before > log && \"$0\" hello.tal -o {name} >> log");
        assert_eq!(code(&shell(&line)), 0);
        let log = fs::read(place.path().join("log")).unwrap();
        assert_eq!(
            log.strip_prefix(b"before\n"),
            Some(&*fs::read(place.path().join("file")).unwrap())
        );
    }
    for (line, status) in [
        ("\"$0\" hello.tal -o - > /dev/full", 2),
        ("\"$0\" hello.tal -o - >&-", 2),
        ("\"$0\" hello.tal -o /dev/full", 2),
        ("\"$0\" hello.tal -o /dev/null", 0),
        ("\"$0\" --help > /dev/full", 2),
        ("\"$0\" hello.tal -o .", 2),
        ("ln -s nowhere dangling; \"$0\" hello.tal -o dangling", 2),
    ] {
        assert_eq!(code(&shell(line)), status, "{line}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-asm"));
    command.args(["hello.tal", "-o", "-"]).current_dir(place.path()).stdout(writer);
    let out = command.output().unwrap();
    assert_eq!((code(&out), out.stderr.len()), (141, 0));
}

#[test]
fn every_line_is_an_object_as_json() {
    let place = workplace();
    fs::write(place.path().join("bad.tal"), "fn f()\n{\nret eax\n}\n").unwrap();
    fs::write(place.path().join("lib.tal"), "fn f()\n{\nret\n}\n").unwrap();
    for arguments in [
        &["absent.tal", "-o", "out"][..],
        &["bad.tal", "-o", "out"],
        &["lib.tal", "-o", "out"],
        &["lib.tal", "-o", "out.o"],
        &["hello.tal", "-o", "no/such/folder/out"],
        &["hello.tal", "-o", "hello.tal"],
        &["hello.tal"],
        &["--nonsense"],
    ] {
        let out = asm(place.path(), &[arguments, &["--message-format", "json"]].concat());
        let said = String::from_utf8(out.stderr.clone()).unwrap();
        assert_ne!(code(&out), 0);
        assert!(!said.is_empty());
        let json = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value.is_object() && value["message"].is_string() && value["level"].is_string()
        };
        assert!(said.lines().all(json), "{arguments:?}: {said}");
    }
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
