//! Not trusted. The examples at work on real files, compared with the tools of the system.

use crate::run::{command, root, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the output is compared with.
enum Oracle {
    /// Exactly the output of this command on the same input.
    Tool(&'static [&'static str]),
    /// The same words; how they are spaced is a matter of taste.
    Words(&'static [&'static str]),
    /// The first word of its output.
    FirstWord(&'static [&'static str]),
    /// This text.
    Text(&'static str),
    /// The primes below this number, one a line.
    Primes(u32),
}

/// A program, how to start it, what it must print.
struct Example {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Files that it reads as standard input, one run each.
    inputs: &'static [&'static str],
    oracle: Oracle,
}

/// Text, text with long lines, an empty file, a file that is no text.
const INPUTS: &[&str] =
    &["LICENSE-APACHE", "Cargo.lock", "/dev/null", "examples/sha256sum.tal", BINARY];
/// Made here: every byte, many times.
const BINARY: &str = "target/examples/every-byte";

const EXAMPLES: &[Example] = &[
    Example {
        name: "hello",
        arguments: &[],
        inputs: &["/dev/null"],
        oracle: Oracle::Text("hello, world\n"),
    },
    Example {
        name: "args",
        arguments: &["one", "", "three words here", "-n"],
        inputs: &["/dev/null"],
        oracle: Oracle::Text("one  three words here -n\n"),
    },
    Example {
        name: "args",
        arguments: &["-n", "no", "newline"],
        inputs: &["/dev/null"],
        oracle: Oracle::Text("no newline"),
    },
    Example { name: "wc", arguments: &[], inputs: INPUTS, oracle: Oracle::Words(&["wc"]) },
    Example { name: "cat", arguments: &[], inputs: INPUTS, oracle: Oracle::Tool(&["cat"]) },
    Example {
        name: "cat",
        arguments: &["LICENSE-MIT", "Cargo.lock"],
        inputs: &["/dev/null"],
        oracle: Oracle::Tool(&["cat", "LICENSE-MIT", "Cargo.lock"]),
    },
    Example {
        name: "sort",
        arguments: &[],
        inputs: &["LICENSE-APACHE", "Cargo.lock", "/dev/null", "examples/sha256sum.tal"],
        oracle: Oracle::Tool(&["sort"]),
    },
    Example {
        name: "sha256sum",
        arguments: &[],
        inputs: INPUTS,
        oracle: Oracle::FirstWord(&["sha256sum"]),
    },
    Example { name: "base64", arguments: &[], inputs: INPUTS, oracle: Oracle::Tool(&["base64"]) },
    Example {
        name: "primes",
        arguments: &[],
        inputs: &["/dev/null"],
        oracle: Oracle::Primes(100_000),
    },
];

/// Assembles, verifies and runs every example with each of its inputs.
pub(crate) fn run(binaries: &Path) -> Result<()> {
    let directory = root().join("target/examples");
    fs::create_dir_all(&directory)?;
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) >> 3) as u8).collect();
    fs::write(root().join(BINARY), bytes)?;
    let mut compared = 0;
    let mut faults = Vec::new();
    for example in EXAMPLES {
        match one(binaries, &directory, example) {
            Ok(runs) => compared += runs,
            Err(error) => faults.push(format!("{}: {error:#}", example.name)),
        }
    }
    step(&format!("{compared} runs of examples agree with the tools of the system"));
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// How often it ran.
fn one(binaries: &Path, directory: &Path, example: &Example) -> Result<usize> {
    let program = assemble(binaries, directory, example.name)?;
    for input in example.inputs {
        compare(binaries, &program, example, input).with_context(|| format!("on {input}"))?;
    }
    Ok(example.inputs.len())
}

/// Checks and assembles one example, and has the loader verify it.
fn assemble(binaries: &Path, directory: &Path, name: &str) -> Result<PathBuf> {
    let source = format!("examples/{name}.tal");
    let output = directory.join(name);
    let path = output.to_string_lossy().into_owned();
    step(&format!("tal-check {source}; tal-asm {source} -o {name}; tal-load verify {name}"));
    succeed(command(&tool(binaries, "tal-check"), &[&source]))?;
    succeed(command(&tool(binaries, "tal-asm"), &[&source, "-o", &path]))?;
    succeed(command(&tool(binaries, "tal-load"), &["verify", &path]))?;
    Ok(output)
}

fn tool(binaries: &Path, name: &str) -> String {
    binaries.join(name).to_string_lossy().into_owned()
}

fn succeed(mut command: Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
}

fn compare(binaries: &Path, program: &Path, example: &Example, input: &str) -> Result<()> {
    let program = program.to_string_lossy();
    let mut arguments = vec!["run", &*program];
    arguments.extend(example.arguments);
    let ours = capture(&tool(binaries, "tal-load"), &arguments, input)?;
    if !ours.status.success() {
        bail!("{}: {}", ours.status, String::from_utf8_lossy(&ours.stderr));
    }
    let theirs = |tool: &[&str]| match tool {
        [name, arguments @ ..] => Ok(capture(name, arguments, input)?.stdout),
        [] => bail!("no tool"),
    };
    let (mut got, mut wanted) = (
        ours.stdout,
        match example.oracle {
            Oracle::Tool(tool) | Oracle::Words(tool) | Oracle::FirstWord(tool) => theirs(tool)?,
            Oracle::Text(text) => text.as_bytes().to_vec(),
            Oracle::Primes(below) => primes(below),
        },
    );
    let words = match example.oracle {
        Oracle::Words(_) => Some(usize::MAX),
        Oracle::FirstWord(_) => Some(1),
        _ => None,
    };
    if let Some(count) = words {
        for text in [&mut got, &mut wanted] {
            let all = String::from_utf8_lossy(text).into_owned();
            *text = all.split_whitespace().take(count).collect::<Vec<_>>().join(" ").into_bytes();
        }
    }
    if got != wanted {
        let at = got.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
        bail!("the outputs differ at byte {at} ({} bytes, expected {})", got.len(), wanted.len());
    }
    Ok(())
}

/// Runs a command with a file as its standard input.
fn capture(program: &str, arguments: &[&str], input: &str) -> Result<Output> {
    let bytes = fs::read(root().join(input))?;
    let mut command = command(program, arguments);
    command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let pipe = child.stdin.take();
    let feeder = std::thread::spawn(move || {
        // A program that does not read all of its input is no fault.
        if let Some(mut pipe) = pipe {
            let _ = pipe.write_all(&bytes);
        }
    });
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    Ok(output)
}

fn primes(below: u32) -> Vec<u8> {
    let mut composite = vec![false; below as usize];
    let mut text = String::new();
    for n in 2..below as usize {
        if !composite[n] {
            text.push_str(&format!("{n}\n"));
            (n * n..below as usize).step_by(n).for_each(|m| composite[m] = true);
        }
    }
    text.into_bytes()
}
