//! Not trusted. `cargo xtask tour`: does what README.md says and compares what it prints.
//!
//! In a block that starts with "```console", a line `$ command` is run by the shell, in one folder
//! that has the examples. The lines behind it are its output if there are any: a line `...` stands
//! for any lines, a `...` at the end of a line for any rest, `[exit status N]` for a failure whose
//! words are not compared.

use crate::run::{root, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Takes the tour with the tools in this folder.
pub(crate) fn tour(binaries: &Path) -> Result<()> {
    let text = fs::read_to_string(root().join("README.md"))?;
    let directory = root().join("target/tour");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    for name in ["examples", "README.md", "LICENSE-MIT"] {
        std::os::unix::fs::symlink(root().join(name), directory.join(name))?;
    }
    let steps = steps(&text);
    if steps.len() < 5 {
        bail!("README.md has no tour any more");
    }
    for (command, expected) in &steps {
        take(binaries, &directory, command, expected).with_context(|| format!("$ {command}"))?;
    }
    step(&format!("the {} commands of README.md do what it says", steps.len()));
    Ok(())
}

/// Commands with the lines behind them.
fn steps(text: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            steps.push((command.into(), Vec::new()));
        } else if let (true, Some((_, expected))) = (inside, steps.last_mut()) {
            expected.push(line.into());
        }
    }
    steps
}

fn take(binaries: &Path, directory: &Path, command: &str, expected: &[String]) -> Result<()> {
    step(&format!("$ {command}"));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", command])
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", binaries.display()))
        .output()?;
    let status = output.status.code().unwrap_or(-1);
    let wanted = expected.iter().find_map(|line| {
        line.strip_prefix("[exit status ")?.strip_suffix(']')?.parse::<i32>().ok()
    });
    if status != wanted.unwrap_or(0) {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("exit status {status}, expected {}: {words}", wanted.unwrap_or(0));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    if expected.is_empty() || wanted.is_some() || fits(expected, &lines) {
        return Ok(());
    }
    bail!("printed\n{text}instead of\n{}", expected.join("\n"))
}

/// Do these lines fit these patterns?
fn fits(patterns: &[String], lines: &[&str]) -> bool {
    match (patterns, lines) {
        ([], []) => true,
        ([pattern, rest @ ..], _) if pattern == "..." => {
            (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..]))
        }
        ([pattern, rest @ ..], [line, others @ ..]) => {
            let fitting = match pattern.strip_suffix("...") {
                Some(start) => line.starts_with(start),
                None => pattern == line,
            };
            fitting && fits(rest, others)
        }
        _ => false,
    }
}

#[cfg(test)]
mod test {
    use super::{fits, steps};

    #[test]
    fn patterns_fit_lines() {
        let patterns: Vec<String> = ["a", "...", "b: ..."].map(String::from).to_vec();
        assert!(fits(&patterns, &["a", "b: 1"]));
        assert!(fits(&patterns, &["a", "x", "y", "b: 1"]));
        assert!(!fits(&patterns, &["a", "x"]));
        assert!(!fits(&patterns, &["b: 1"]));
    }

    #[test]
    fn commands_are_found() {
        let text = "```sh\n$ no\n```\n```console\n$ one\nout\n$ two\n```\n$ no\n";
        let found = steps(text);
        assert_eq!(found, [("one".into(), vec!["out".to_string()]), ("two".into(), vec![])]);
    }
}
