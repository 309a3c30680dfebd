//! Not trusted: a test. How `tal-check` is used from a shell.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let program = env!("CARGO_BIN_EXE_tal-check");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_exit_status_says_what_came() {
    let safe = "../../../examples/bytes.tal";
    assert_eq!(run(&[safe]).status.code(), Some(0));
    assert!(run(&[safe]).stderr.is_empty());
    assert_eq!(run(&["e0501_saved.tal"]).status.code(), Some(1));
    // The worst of several files counts, and each is looked at.
    let both = run(&["e0501_saved.tal", "no such file.tal", safe]);
    assert_eq!(both.status.code(), Some(2));
    assert!(text(&both.stderr).contains("E0501"));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
}

#[test]
fn codes_are_explained() {
    let page = run(&["--explain", "E0301"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(text(&page.stdout).starts_with("# E0301: "));
    assert_eq!(run(&["--explain", "E9999"]).status.code(), Some(2));
}

#[test]
fn diagnostics_are_one_object_a_line_as_json() {
    let out = run(&["--message-format", "json", "e0501_saved.tal"]);
    let lines = text(&out.stderr);
    assert_eq!(lines.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(value["code"], "E0501");
}

#[test]
fn states_are_shown() {
    let out = run(&["--show-state=8", "e0301_past_end.tal"]);
    let shown = text(&out.stdout);
    for part in ["count, in .test", "rsi = n", "rcx = 0", "lent   s: &bytes[n]", "refused here"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let json = run(&["--show-state=8", "--message-format", "json", "e0301_past_end.tal"]);
    let value: serde_json::Value = serde_json::from_str(text(&json.stdout).trim()).unwrap();
    assert_eq!(value["function"], "count");
}

#[test]
fn a_line_that_is_not_there_is_a_wrong_question() {
    let file = "e0301_past_end.tal";
    let lines = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics").join(file),
    );
    let lines = lines.unwrap().lines().count();
    let past = run(&[&format!("--show-state={}", lines + 1), file]);
    assert_eq!(past.status.code(), Some(2));
    assert!(past.stdout.is_empty());
    assert!(text(&past.stderr).contains(&format!("has {lines} lines")), "{}", text(&past.stderr));
    assert_eq!(run(&["--show-state=0", file]).status.code(), Some(2));
    // A line without an instruction is answered for the next one that has one.
    let none = run(&["--show-state=1", file]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("line 1 has no instruction; the next one is in line"));
    assert_eq!(text(&none.stdout).matches(", before `").count(), 1);
    let last = run(&[&format!("--show-state={lines}"), file]);
    assert!(text(&last.stderr).contains("or behind it"), "{}", text(&last.stderr));
}

#[test]
fn what_is_no_text_is_named_for_what_it_is() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, bytes, words) in [
        ("object.tal", &b"\x7fELF\x02\x01"[..], "`tal-load verify`"),
        ("latin1.tal", &b"; caf\xe9\n"[..], "byte 5 (0xe9) is not UTF-8"),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let out = run(&[path.to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(2), "{name}");
        let said = text(&out.stderr);
        assert!(said.contains(name) && said.contains(words), "{said}");
    }
}
