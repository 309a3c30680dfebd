//! The command `tal-load`: how it ends and what it says. That it runs programs is shown by
//! `cargo xtask examples`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::{Command, Stdio};

/// Exit status, standard output, standard error.
fn load(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tal-load")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn usage_and_help() {
    assert_eq!(load(&[]).0, 2);
    assert_eq!(load(&["verify"]).0, 2);
    assert_eq!(load(&["frobnicate"]).0, 2);
    let (status, help, _) = load(&["--help"]);
    assert_eq!(status, 0);
    for word in ["verify", "dump", "run", "Examples:"] {
        assert!(help.contains(word), "{help}");
    }
    assert_eq!(load(&["--version"]).1, concat!("tal-load ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn absent_files() {
    assert_eq!(load(&["verify", "/no/such/file"]).0, 2);
    assert_eq!(load(&["dump", "/no/such/file"]).0, 2);
    assert_eq!(load(&["run", "/no/such/file"]).0, 127);
    assert_eq!(load(&["run", "/no/such/file.tal"]).0, 127);
}

/// Who was to read what is said may be gone (`| head`): that changes no exit status.
#[test]
fn nobody_listens() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-load"));
    command.args(["verify", "/no/such/file"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn files_that_are_no_typed_programs() {
    let file = std::env::temp_dir().join(format!("tal-load-{}", std::process::id()));
    fs::write(&file, "#!/bin/sh\necho no\n").unwrap();
    let path = file.to_str().unwrap();
    let (status, output, words) = load(&["verify", path]);
    assert_eq!((status, &*output), (1, ""));
    assert!(words.contains("refused: at file offset 0x0: not an ELF file"), "{words}");
    assert_eq!(load(&["dump", path]).0, 1);
    assert_eq!(load(&["run", path]).0, 126);
    fs::remove_file(&file).unwrap();
    // A source is another command's.
    let source = file.with_extension("tal");
    fs::write(&source, "").unwrap();
    for command in ["verify", "dump"] {
        let words = load(&[command, source.to_str().unwrap()]).2;
        assert!(
            words.contains("not an ELF file\n  = help: that is a source; `tal-check /"),
            "{words}"
        );
    }
    fs::remove_file(&source).unwrap();
    // The loader itself is an ELF file, but an ordinary one.
    let own = env!("CARGO_BIN_EXE_tal-load");
    assert_eq!(load(&["verify", own]).0, 1);
    // The worst verdict counts.
    assert_eq!(load(&["verify", own, "/no/such/file"]).0, 2);
}
