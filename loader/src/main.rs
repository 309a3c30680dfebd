//! Not trusted: a bug here can reject, never admit. The command `tal-load`.

use clap::{Parser, Subcommand};
use loader::lines::Debug;
use loader::map::CannotRun;
use loader::{Image, Verified, interface, link, listing, map, verify};
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{Write, stderr, stdout};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::{env, fs};
use tal_core::image::Interface;

/// Verifies typed programs and runs them.
///
/// The machine code is judged by its annotations before one byte of it runs; nothing is taken on
/// trust from the assembler that made it.
#[derive(Parser)]
#[command(name = "tal-load", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tal-load verify wc             is wc safe to run? Exit status 0 or 1
  tal-load dump wc | less        its code, and what is known before each instruction
  tal-load run wc README.md      judge wc, then run it here
  tal-load run wc.tal README.md  the same, assembled first (by the tal-asm beside tal-load)";

#[derive(Subcommand)]
enum Command {
    /// Judges files: exit status 0 if all are safe, 1 if one is refused, 2 if one cannot be read.
    Verify {
        /// Executables of tal-asm, or relocatable objects.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Shows machine code with the state beside each instruction, as far as it is safe.
    ///
    /// Names of variables are invented: machine code has none. v3 is variable 3.
    Dump {
        /// An executable of tal-asm, or a relocatable object.
        file: PathBuf,
    },
    /// Judges a program, then runs it in this process.
    ///
    /// The exit status is the program's; 126 if it is refused, or an open file that it would
    /// inherit is; 127 if it cannot be read.
    Run {
        /// An executable, an object, or a source file that ends in .tal.
        file: PathBuf,
        /// Arguments of the program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let interface = match interface::embedded() {
        Ok(interface) => interface,
        Err(error) => return fail(2, &error.to_string()),
    };
    match arguments.command {
        Command::Verify { files } => {
            let codes = files.iter().map(|file| verify_file(file, &interface));
            ExitCode::from(codes.max().unwrap_or(0))
        }
        Command::Dump { file } => dump(&file, &interface),
        Command::Run { file, arguments } => run(&file, &arguments, &interface),
    }
}

/// Writes to standard output or standard error; nothing is left to do when it is closed, as by
/// `tal-load dump wc | head`.
fn write(out: &mut dyn Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
}

fn fail(code: u8, words: &str) -> ExitCode {
    write(&mut stderr(), &format!("tal-load: {words}\n"));
    ExitCode::from(code)
}

/// The bytes of a file; an object becomes an executable.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if link::is_object(&bytes) {
        return link::link(&bytes).map_err(|error| format!("{}: {error}", path.display()));
    }
    Ok(bytes)
}

/// Who judges sources, if this is one: another line for a refusal.
fn if_source(path: &Path) -> String {
    if path.extension().is_none_or(|extension| extension != "tal") {
        return String::new();
    }
    let source = path.display();
    format!("\n  = help: that is a source; `tal-check {source}` judges it, `tal-asm` assembles it")
}

fn verify_file(path: &Path, interface: &Interface) -> u8 {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(words) => {
            write(&mut stderr(), &format!("tal-load: {words}\n"));
            return 2;
        }
    };
    match verify(&bytes, interface) {
        Ok(program) => {
            let (text, notes) = (program.image().text(), program.image().annotations());
            let (text, notes) = (text.len(), notes.len());
            let sizes = format!("{text} bytes of code, {notes} of annotations");
            write(&mut stdout(), &format!("{}: safe: {sizes}\n", path.display()));
            0
        }
        Err(refusal) => {
            let words = listing::explain(&refusal, &bytes);
            let help = if_source(path);
            write(&mut stderr(), &format!("{}: refused: {words}{help}\n", path.display()));
            1
        }
    }
}

fn dump(path: &Path, interface: &Interface) -> ExitCode {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(words) => return fail(2, &words),
    };
    let image = match Image::parse(&bytes) {
        Ok(image) => image,
        Err(error) => {
            let help = if_source(path);
            return fail(1, &format!("{}: refused: {error}{help}", path.display()));
        }
    };
    let (text, refusal) = listing::dump(&image, interface, &Debug::read(&bytes));
    write(&mut stdout(), &text);
    match refusal {
        None => ExitCode::SUCCESS,
        Some(refusal) => {
            let words = listing::explain(&refusal, &bytes);
            fail(1, &format!("{}: refused: {words}", path.display()))
        }
    }
}

fn run(path: &Path, arguments: &[OsString], interface: &Interface) -> ExitCode {
    let bytes =
        if path.extension().is_some_and(|e| e == "tal") { assemble(path) } else { read(path) };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(words) => return fail(127, &words),
    };
    let program: Verified<'_> = match verify(&bytes, interface) {
        Ok(program) => program,
        Err(refusal) => {
            let words = listing::explain(&refusal, &bytes);
            return fail(126, &format!("{}: refused: {words}", path.display()));
        }
    };
    let mut all = vec![path.as_os_str().to_os_string()];
    all.extend_from_slice(arguments);
    let environment = environment();
    let error = map::run(&program, &all, &environment);
    let refused = matches!(error, CannotRun::Descriptor(_));
    fail(if refused { 126 } else { 127 }, &error.to_string())
}

/// `NAME=value` for each variable.
fn environment() -> Vec<OsString> {
    let join = |(name, value): (OsString, OsString)| {
        let mut bytes = name.into_vec();
        bytes.push(b'=');
        bytes.extend(value.into_vec());
        OsString::from_vec(bytes)
    };
    env::vars_os().map(join).collect()
}

/// The loader has no parser: the assembler beside it makes the file, which is judged like any
/// other.
fn assemble(path: &Path) -> Result<Vec<u8>, String> {
    let beside = env::current_exe().ok().map(|me| me.with_file_name("tal-asm"));
    let assembler =
        beside.filter(|p| p.exists()).map_or(Cow::Borrowed(Path::new("tal-asm")), Cow::Owned);
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let output = directory.path().join("program");
    let status = Process::new(&*assembler).arg(path).arg("-o").arg(&output).status();
    match status {
        Ok(status) if status.success() => read(&output),
        Ok(_) => Err(format!("{} was not assembled", path.display())),
        Err(error) => Err(format!("{}: {error}", assembler.display())),
    }
}
