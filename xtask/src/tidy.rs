//! Not trusted. What every source file of the repository keeps, and no compiler checks.

use crate::run::{command, root};
use anyhow::{Result, bail};
use std::fs;

/// Longest line.
const COLUMNS: usize = 100;
/// The longest function and file before somebody should ask why.
const FUNCTION: usize = 70;
const FILE: usize = 600;
/// Crates whose files say in their first line whether they are trusted.
const JUDGED: &[&str] = &[
    "tal-core/",
    "tal-check/",
    "tal-asm/",
    "tal-syntax/",
    "tal-write/",
    "loader/",
    "kjudge/",
    "xtask/",
    "fuzz/",
];

/// Tests are trusted by nobody.
const TESTS: &[&str] = &["/tests/", "/build.rs"];

/// Fails with the list of faults; reports large functions and files.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    let mut large = Vec::new();
    for path in tracked()?.iter().filter(|path| path.ends_with(".rs")) {
        let text = fs::read_to_string(root().join(path))?;
        faults.extend(source_faults(path, &text));
        large.extend(large_parts(path, &text));
    }
    for line in &large {
        eprintln!("note: {line}");
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Files under version control.
fn tracked() -> Result<Vec<String>> {
    let output =
        command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]).output()?;
    let list = String::from_utf8_lossy(&output.stdout);
    let exists = |path: &&str| root().join(path).exists();
    Ok(list.lines().filter(exists).map(str::to_string).collect())
}

/// Words that may not stand in a source file; split here so that this file may.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("todo", "!("), "an unwritten part refuses, it does not stop the program"),
    (concat!("unimplemented", "!("), "an unwritten part refuses, it does not stop the program"),
    (concat!("#[ig", "nore"), "a test runs or does not exist"),
    (concat!("#[should", "_panic"), "a test says what it expects"),
    (concat!("dbg", "!("), "left over"),
];

fn source_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let first = text.lines().next().unwrap_or("");
    if !first.starts_with("//!") {
        faults.push(format!("{path}:1: does not start with `//!`"));
    } else if judged(path) && !says_role(first) {
        faults.push(format!("{path}:1: does not say whether it is trusted (`//! TCB.`, ..)"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if line.chars().count() > COLUMNS {
            faults.push(format!("{path}:{number}: longer than {COLUMNS} columns"));
        }
        for (word, why) in FORBIDDEN {
            if line.contains(word) {
                faults.push(format!("{path}:{number}: `{word}`: {why}"));
            }
        }
    }
    faults
}

fn judged(path: &str) -> bool {
    JUDGED.iter().any(|c| path.starts_with(c)) && !TESTS.iter().any(|t| path.contains(t))
}

fn says_role(first: &str) -> bool {
    let role = first.trim_start_matches("//!").trim_start();
    role.starts_with("TCB") || role.starts_with("Not trusted") || role.starts_with("Not TCB")
}

/// Functions and files above the usual size, without their tests.
fn large_parts(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines: Vec<&str> = code.lines().collect();
    if lines.len() > FILE && !path.contains("/tests/") {
        found.push(format!("{path}: {} lines", lines.len()));
    }
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let is_function = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn "];
        if !is_function.iter().any(|w| bare.starts_with(w)) {
            continue;
        }
        // A method of a trait may have no body.
        let mut rest = lines.iter().skip(start);
        if rest.find(|l| l.ends_with('{') || l.ends_with(';')).is_none_or(|l| l.ends_with(';')) {
            continue;
        }
        let indent = line.len() - bare.len();
        let closing = format!("{}}}", " ".repeat(indent));
        let length = lines.iter().skip(start).position(|l| *l == closing).unwrap_or(0) + 1;
        if length > FUNCTION {
            found.push(format!("{path}:{}: function of {length} lines", start + 1));
        }
    }
    found
}

#[cfg(test)]
mod test {
    #[test]
    fn the_sources_are_tidy() -> anyhow::Result<()> {
        super::check()
    }

    #[test]
    fn faults_are_found() {
        let long = "x".repeat(101);
        let text = format!("// no\n{long}\n{}1)\n", concat!("dbg", "!("));
        assert_eq!(super::source_faults("loader/src/x.rs", &text).len(), 3);
        let silent = "//! A file that does not say its role.\n";
        assert_eq!(super::source_faults("loader/src/x.rs", silent).len(), 1);
        assert!(super::source_faults("loader/src/x.rs", "//! TCB. Fine.\n").is_empty());
    }
}
