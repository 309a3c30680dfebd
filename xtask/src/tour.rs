//! Not trusted. `cargo xtask tour`: does what README.md, docs/tutorial.md and docs/language.md say
//! and compares what is printed.
//!
//! A block that starts with "```tal NAME.tal" is a file. In a block that starts with "```console",
//! a line `$ command` is run by the shell, in one folder that has the examples. The lines behind it
//! are its output if there are any: a line `...` stands for any lines, a `...` at the end of a line
//! for any rest, `[exit status N]` for a failure. With it, what is written to standard error is
//! compared as well.
//!
//! Who follows README.md stands in the repository, so its commands write below `target/` only; and
//! the tour leaves the repository as it was.

use crate::run::{command, root, step};
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

/// What a page finds where it is followed: links to these of the repository.
const FOUND: [&str; 3] = ["examples", "README.md", "LICENSE-MIT"];

/// Takes the tours with the tools in this folder.
pub(crate) fn tour(binaries: &Path) -> Result<()> {
    let before = changes()?;
    follow("README.md", binaries).context("README.md")?;
    for page in ["docs/tutorial.md", "docs/language.md"] {
        follow(page, binaries).with_context(|| page)?;
    }
    let after = changes()?;
    if before != after {
        bail!("the tour has changed the repository:\n{}", after.unwrap_or_default());
    }
    Ok(())
}

/// What differs from what is committed; nothing where this is no working tree of git.
fn changes() -> Result<Option<String>> {
    let Ok(output) = command("git", &["status", "--porcelain"]).output() else { return Ok(None) };
    let text = String::from_utf8(output.stdout).context("git status")?;
    Ok(output.status.success().then_some(text))
}

/// Does what one page says.
fn follow(page: &str, binaries: &Path) -> Result<()> {
    let text = fs::read_to_string(root().join(page))?;
    let directory = root().join("target/tour");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(directory.join("target"))?;
    for name in FOUND {
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
    if page == "README.md" {
        only_below_target(&directory)?;
    }
    step(&format!("the {} steps of {page} do what it says", steps.len()));
    Ok(())
}

/// Fails where something was written beside `target`.
fn only_below_target(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let link = entry.file_type()?.is_symlink() && FOUND.contains(&name.as_str());
        if !link && name != "target" {
            bail!("`{name}` would be left in the repository: write it to target/");
        }
    }
    Ok(())
}

/// Files, and commands with the lines behind them.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // The kind of block that we are in.
    let mut block = "";
    let file = |kind: &str| -> Option<String> {
        kind.strip_prefix("tal ").filter(|name| name.ends_with(".tal")).map(str::to_owned)
    };
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = kind;
            let text = String::new();
            steps.extend(file(kind).map(|name| Step::File { name, text }));
        } else if file(block).is_some()
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

fn take(binaries: &Path, directory: &Path, line: &str, expected: &[String]) -> Result<()> {
    step(&format!("$ {line}"));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", line])
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
    use super::{Step, fits, only_below_target, steps};

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
    fn what_is_left_beside_target_is_found() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("target"))?;
        std::fs::write(folder.path().join("target/wc"), "")?;
        std::os::unix::fs::symlink("/", folder.path().join("examples"))?;
        only_below_target(folder.path())?;
        std::fs::write(folder.path().join("wc"), "")?;
        assert!(only_below_target(folder.path()).is_err());
        Ok(())
    }

    #[test]
    fn files_are_found() {
        let text = "```tal\nno\n```\n```tal a.tal\none\n\ntwo\n```\nno\n```tal unfound\nno\n```\n";
        let file = Step::File { name: "a.tal".into(), text: "one\n\ntwo\n".into() };
        assert_eq!(steps(text), [file]);
    }
}
