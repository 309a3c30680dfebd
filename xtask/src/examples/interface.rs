//! Not trusted. The functions of the interface at work: programs that call each of them and compare
//! what comes back.

use super::Bench;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::{Command, Stdio};

/// Files of `tests/interface`. Each ends with 0, or with the number of the step that failed.
const PROGRAMS: &[&str] = &["events", "files", "process", "sockets"];

/// How many ran.
pub(super) fn run(bench: &Bench) -> Result<usize> {
    for name in PROGRAMS {
        let source = format!("tests/interface/{name}.tal");
        bench.assemble_file(&source, &program(bench, name))?;
        one(bench, name).with_context(|| source)?;
    }
    with_a_child(bench)?;
    Ok(PROGRAMS.len() + 1)
}

fn program(bench: &Bench, name: &str) -> String {
    bench.program(&format!("tests/interface-{name}"))
}

/// Runs it in an empty directory, which has to be empty afterwards.
fn one(bench: &Bench, name: &str) -> Result<()> {
    let directory = bench.directory.join("empty");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir(&directory)?;
    let mut command = Command::new(bench.tool("tal-load"));
    command.arg("run").arg(program(bench, name)).current_dir(&directory).stdin(Stdio::null());
    let status = command.status()?;
    if !status.success() {
        bail!("step {:?} failed ({status})", status.code());
    }
    match fs::read_dir(&directory)?.next() {
        None => Ok(()),
        Some(left) => bail!("left {}", left?.path().display()),
    }
}

/// A program that is born with a child waits for it, and ends as it did.
fn with_a_child(bench: &Bench) -> Result<()> {
    let (load, program) = (bench.tool("tal-load"), program(bench, "process"));
    let line = format!("(exit 7) & exec '{load}' run '{program}'");
    let status = Command::new("sh").arg("-c").arg(&line).stdin(Stdio::null()).status()?;
    if status.code() == Some(7) { Ok(()) } else { bail!("{line}: {status}") }
}
