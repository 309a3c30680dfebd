//! Not trusted. `cargo xtask tour`: does what README.md and docs/tutorial.md say and compares what
//! is printed.
//!
//! A block that starts with "```tal NAME" is a file. In a block that starts with "```console", a
//! line `$ command` is run by the shell, in one folder that has the examples. The lines behind it
//! are its output if there are any: a line `...` stands for any lines, a `...` at the end of a line
//! for any rest, `[exit status N]` for a failure. With it, what is written to standard error is
//! compared as well.

use crate::run::{root, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the reader does.
#[derive(PartialEq, Debug)]
enum Step {
    /// Writes a file.
    File { name: String, text: String },
    /// Runs a command, which prints these lines.
    Command { line: String, expected: Vec<String> },
}

/// Takes the tours with the tools in this folder.
pub(crate) fn tour(binaries: &Path) -> Result<()> {
    for page in ["README.md", "docs/tutorial.md"] {
        follow(page, binaries).with_context(|| page)?;
    }
    Ok(())
}

/// Does what one page says.
fn follow(page: &str, binaries: &Path) -> Result<()> {
    let text = fs::read_to_string(root().join(page))?;
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
        bail!("there is no tour any more");
    }
    for step in &steps {
        match step {
            Step::File { name, text } => fs::write(directory.join(name), text)?,
            Step::Command { line, expected } => {
                take(binaries, &directory, line, expected).with_context(|| format!("$ {line}"))?;
            }
        }
    }
    step(&format!("the {} steps of {page} do what it says", steps.len()));
    Ok(())
}

/// Files, and commands with the lines behind them.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // The kind of block that we are in.
    let mut block = "";
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = kind;
            if let Some(name) = kind.strip_prefix("tal ") {
                steps.push(Step::File { name: name.into(), text: String::new() });
            }
        } else if block.starts_with("tal ")
            && let Some(Step::File { text, .. }) = steps.last_mut()
        {
            *text += &format!("{line}\n");
        } else if block == "console" {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(line), _) => {
                    steps.push(Step::Command { line: line.into(), expected: Vec::new() });
                }
                (None, Some(Step::Command { expected, .. })) => expected.push(line.into()),
                (None, _) => {}
            }
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
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if wanted.is_some() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    let lines: Vec<&str> = text.lines().collect();
    let printed = |line: &&String| !line.starts_with("[exit status ");
    let expected: Vec<String> = expected.iter().filter(printed).cloned().collect();
    if expected.is_empty() || fits(&expected, &lines) {
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
    use super::{Step, fits, steps};

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
        let command = |line: &str, expected: &[&str]| Step::Command {
            line: line.into(),
            expected: expected.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(steps(text), [command("one", &["out"]), command("two", &[])]);
    }

    #[test]
    fn files_are_found() {
        let text = "```tal\nno\n```\n```tal a.tal\none\n\ntwo\n```\nno\n";
        let file = Step::File { name: "a.tal".into(), text: "one\n\ntwo\n".into() };
        assert_eq!(steps(text), [file]);
    }
}
