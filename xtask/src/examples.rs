//! Not trusted. The examples at work on real files, compared with the tools of the system; the
//! libraries among them by drivers (`examples/tests/`), compared with models of what they compute.

pub(crate) mod beside;
mod drivers;
mod failures;
mod http;
mod inputs;
mod interface;
mod server;

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
    /// The numbers that `wc` prints; how they are spaced is a matter of taste.
    Counts,
    /// The first word of its output.
    FirstWord(&'static [&'static str]),
    /// This text.
    Text(&'static str),
    /// The primes below this number, one a line.
    Primes(u32),
    /// The lines that this shell command makes of the same input, in whatever order.
    Lines(&'static str),
}

/// A program, how to start it, what it must print.
struct Example {
    name: &'static str,
    arguments: &'static [&'static str],
    /// What it reads as standard input.
    inputs: Inputs,
    oracle: Oracle,
}

/// Which inputs: one run each.
#[derive(Clone, Copy, PartialEq)]
enum Inputs {
    /// An empty one.
    None,
    /// Text that is small enough for programs that keep it.
    Text,
    /// Bytes of all sizes around the blocks that programs work in, and files of this repository.
    All,
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "hello",
        arguments: &[],
        inputs: Inputs::None,
        oracle: Oracle::Text("hello, world\n"),
    },
    Example {
        name: "args",
        arguments: &["one", "", "three words here", "-n"],
        inputs: Inputs::None,
        oracle: Oracle::Tool(&["echo", "one", "", "three words here", "-n"]),
    },
    Example {
        name: "args",
        arguments: &["-n", "no", "newline"],
        inputs: Inputs::None,
        oracle: Oracle::Tool(&["echo", "-n", "no", "newline"]),
    },
    Example { name: "args", arguments: &[], inputs: Inputs::None, oracle: Oracle::Tool(&["echo"]) },
    Example {
        name: "args",
        arguments: &["-n"],
        inputs: Inputs::None,
        oracle: Oracle::Tool(&["echo", "-n"]),
    },
    Example { name: "wc", arguments: &[], inputs: Inputs::All, oracle: Oracle::Counts },
    Example {
        name: "wc",
        arguments: &["LICENSE-MIT"],
        inputs: Inputs::None,
        oracle: Oracle::Lines("wc LICENSE-MIT | awk '{print $1, $2, $3}'"),
    },
    Example { name: "cat", arguments: &[], inputs: Inputs::All, oracle: Oracle::Tool(&["cat"]) },
    Example {
        name: "cat",
        arguments: &["LICENSE-MIT", "-", "Cargo.lock"],
        inputs: Inputs::All,
        oracle: Oracle::Tool(&["cat", "LICENSE-MIT", "-", "Cargo.lock"]),
    },
    Example { name: "sort", arguments: &[], inputs: Inputs::Text, oracle: Oracle::Tool(&["sort"]) },
    Example {
        name: "sha256sum",
        arguments: &[],
        inputs: Inputs::All,
        oracle: Oracle::FirstWord(&["sha256sum"]),
    },
    Example {
        name: "base64",
        arguments: &[],
        inputs: Inputs::All,
        oracle: Oracle::Tool(&["base64"]),
    },
    Example {
        name: "primes",
        arguments: &[],
        inputs: Inputs::None,
        oracle: Oracle::Primes(100_000),
    },
    Example {
        name: "wordfreq",
        arguments: &[],
        inputs: Inputs::All,
        oracle: Oracle::Lines(
            "tr -cs A-Za-z '\\n' | tr A-Z a-z | sed /^$/d | sort | uniq -c | awk '{print $1, $2}'",
        ),
    },
    Example {
        name: "wordfreq",
        arguments: &["the", "LICENSE", "-2", "no-word", "", "a"],
        inputs: Inputs::All,
        oracle: Oracle::Lines(
            "tr -cs A-Za-z '\\n' | tr A-Z a-z | sed /^$/d | sort | uniq -c | \
             awk '$1 >= 2 && $2 !~ /^(the|license|a)$/ {print $1, $2}'",
        ),
    },
];

/// Programs that are tested in their own way.
const OTHERS: &[&str] = &["echo", "httpd"];

/// The tools, and where programs and inputs are put.
struct Bench {
    binaries: PathBuf,
    directory: PathBuf,
    all: Vec<PathBuf>,
    text: Vec<PathBuf>,
}

/// Assembles, verifies and runs every example with each of its inputs.
pub(crate) fn run(binaries: &Path) -> Result<()> {
    let bench = Bench::new(binaries)?;
    let mut faults = Vec::new();
    let mut names: Vec<&str> = EXAMPLES.iter().map(|e| e.name).chain(OTHERS.to_vec()).collect();
    names.dedup();
    for name in &names {
        note(&mut faults, name, bench.assemble(name));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let mut runs = 0;
    for example in EXAMPLES {
        runs += note(&mut faults, example.name, bench.compare_all(example));
    }
    step(&format!("{runs} runs of examples agree with the tools of the system"));
    let runs = note(&mut faults, "drivers", drivers::run(&bench));
    step(&format!("{runs} runs of library examples agree with their models"));
    let runs = note(&mut faults, "interface", interface::run(&bench));
    step(&format!("{runs} programs call every function of the interface"));
    let runs = note(&mut faults, "failures", failures::run(&bench));
    step(&format!("{runs} runs end as they should when reading or writing fails"));
    let servers = bench.servers();
    let connections = note(&mut faults, "echo", server::run(&servers));
    step(&format!("the echo server sent back what {connections} clients sent"));
    let exchanges = note(&mut faults, "httpd", http::run(&servers));
    step(&format!("the HTTP server answered {exchanges} requests as it should"));
    faults.extend(untested()?);
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// How the servers are started, and where there is room for the files that they serve.
struct Servers {
    /// Words of the shell, before the name of the server.
    launch: String,
    directory: PathBuf,
}

impl Servers {
    /// A server that may have so many descriptors; the arguments are words of the shell.
    fn start(&self, name: &str, arguments: &str, descriptors: usize) -> Result<server::Server> {
        let line = format!("ulimit -n {descriptors}; exec {}{name} {arguments}", self.launch);
        let mut shell = Command::new("sh");
        Ok(server::Server(shell.arg("-c").arg(&line).stdin(Stdio::null()).spawn()?))
    }
}

/// The servers of /trusted at work, inside the machine: what is done to them in user mode, by the
/// same clients. Prints a line for each as the tests in the machine do.
pub(crate) fn in_the_machine() -> Result<()> {
    let servers = Servers { launch: "/trusted/".into(), directory: "/tmp".into() };
    let echo = server::run(&servers).map(|count| format!("echo: {count} clients"));
    let httpd = http::run(&servers).map(|count| format!("httpd: {count} exchanges"));
    for result in [&echo, &httpd] {
        match result {
            Ok(what) => println!("test servers: {what} ... ok"),
            Err(error) => println!("test servers: ... FAILED: {error:#}"),
        }
    }
    echo.and(httpd).map(|_| ())
}

/// Notes a failure under its name and goes on.
fn note<T: Default>(faults: &mut Vec<String>, name: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| {
        faults.push(format!("{name}: {error:#}"));
        T::default()
    })
}

/// Examples that nothing here runs.
fn untested() -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for file in fs::read_dir(root().join("examples"))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".tal") else { continue };
        let known = EXAMPLES.iter().any(|e| e.name == name)
            || OTHERS.contains(&name)
            || drivers::LIBRARIES.contains(&name);
        if !known {
            missing.push(format!("examples/{name}.tal: no test runs it"));
        }
    }
    Ok(missing)
}

impl Bench {
    /// Makes the folders and the inputs.
    fn new(binaries: &Path) -> Result<Bench> {
        let directory = root().join("target/examples");
        fs::create_dir_all(directory.join("tests"))?;
        let (all, text) = inputs::make(&directory.join("inputs"))?;
        Ok(Bench { binaries: binaries.to_path_buf(), directory, all, text })
    }

    /// Checks and assembles a program, and has the loader verify it. `name` is a path without
    /// ending below `examples/`.
    fn assemble(&self, name: &str) -> Result<()> {
        self.assemble_file(&format!("examples/{name}.tal"), &self.program(name))
    }

    /// The same for any file.
    fn assemble_file(&self, source: &str, path: &str) -> Result<()> {
        step(&format!("tal-check {source}; tal-asm {source}; tal-load verify"));
        succeed(command(&self.tool("tal-check"), &[source]))?;
        succeed(command(&self.tool("tal-asm"), &[source, "-o", path]))?;
        succeed(command(&self.tool("tal-load"), &["verify", path]))
    }

    fn program(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    /// In user mode, by the loader.
    fn servers(&self) -> Servers {
        let launch = format!("'{}' run {}/", self.tool("tal-load"), self.directory.display());
        Servers { launch, directory: self.directory.clone() }
    }

    fn tool(&self, name: &str) -> String {
        self.binaries.join(name).to_string_lossy().into_owned()
    }

    /// What the program does with these arguments and this input.
    fn start(&self, name: &str, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let program = self.program(name);
        let arguments = [&["run", &program], arguments].concat();
        capture(&self.tool("tal-load"), &arguments, input)
    }

    /// The same, but it has to succeed.
    fn output(&self, name: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let output = self.start(name, arguments, input)?;
        if !output.status.success() {
            bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    }

    /// How often it ran.
    fn compare_all(&self, example: &Example) -> Result<usize> {
        let inputs = match example.inputs {
            Inputs::None => &[PathBuf::from("/dev/null")][..],
            Inputs::Text => &self.text,
            Inputs::All => &self.all,
        };
        for input in inputs {
            let bytes = fs::read(input)?;
            self.compare(example, &bytes).with_context(|| format!("on {}", input.display()))?;
        }
        Ok(inputs.len())
    }

    fn compare(&self, example: &Example, input: &[u8]) -> Result<()> {
        let ours = self.output(example.name, example.arguments, input)?;
        let theirs = |tool: &[&str]| match tool {
            [name, arguments @ ..] => Ok(capture(name, arguments, input)?.stdout),
            [] => bail!("no tool"),
        };
        match example.oracle {
            Oracle::Tool(tool) => same(&ours, &theirs(tool)?),
            Oracle::Counts => same(&words(&ours, 3), &counts(input)?),
            Oracle::FirstWord(tool) => same(&words(&ours, 1), &words(&theirs(tool)?, 1)),
            Oracle::Text(text) => same(&ours, text.as_bytes()),
            Oracle::Primes(below) => same(&ours, &primes(below)),
            Oracle::Lines(line) => same(&sorted(&ours), &sorted(&theirs(&["sh", "-c", line])?)),
        }
    }
}

/// Lines, words and bytes as `wc` counts them. It and we do not agree on what a word is where a
/// byte is neither printable nor blank (POSIX leaves that open): there, its lines and bytes only
/// are taken, and the words are counted here.
fn counts(input: &[u8]) -> Result<Vec<u8>> {
    let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0x0B;
    if input.iter().all(|b| blank(b) || b.is_ascii_graphic()) {
        return Ok(words(&capture("wc", &[], input)?.stdout, 3));
    }
    let theirs = capture("wc", &["-l", "-c"], input)?.stdout;
    let number = input.split(blank).filter(|word| !word.is_empty()).count();
    let theirs = String::from_utf8_lossy(&theirs).into_owned();
    let mut fields = theirs.split_whitespace();
    let (lines, bytes) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
    Ok(format!("{lines} {number} {bytes}").into_bytes())
}

/// The first words, with one blank between them.
fn words(text: &[u8], count: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ").into_bytes()
}

/// The lines in the order of their bytes.
fn sorted(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    lines.sort_unstable();
    lines.concat()
}

/// Fails with the place where two outputs differ.
fn same(got: &[u8], wanted: &[u8]) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    let at = got.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    bail!("the outputs differ at byte {at} ({} bytes, expected {})", got.len(), wanted.len());
}

fn succeed(mut command: Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
}

/// Runs a command with these bytes as its standard input.
fn capture(program: &str, arguments: &[&str], input: &[u8]) -> Result<Output> {
    let mut command = command(program, arguments);
    command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let pipe = child.stdin.take();
    let bytes = input.to_vec();
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
