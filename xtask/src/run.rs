//! Not trusted. Starting other commands, and where things are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Runs a command in the root and fails when it fails; says what it runs.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    step(&format!("{program} {}", arguments.join(" ")));
    execute(command(program, arguments))
}

/// A command in the root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// What a command prints that succeeds: on standard output, and on standard error.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<(String, String)> {
    let output = command(program, arguments).output().with_context(|| program.to_owned())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    if !output.status.success() {
        bail!("{program} {}: {}\n{said}", arguments.join(" "), output.status);
    }
    Ok((text(&output.stdout), said))
}

/// The instructions that callgrind counted, by what it says on standard error.
pub(crate) fn collected(said: &str) -> Result<u64> {
    let taken = said.lines().find_map(|line| line.split_once("Collected : "));
    let taken = taken.and_then(|(_, number)| number.trim().parse().ok());
    taken.with_context(|| format!("nothing is counted: {said}"))
}

/// A path as an argument.
pub(crate) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs it and fails when it fails.
pub(crate) fn execute(mut command: Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Tells what comes now.
pub(crate) fn step(what: &str) {
    eprintln!("==> {what}");
}

/// The cargo that runs us.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
