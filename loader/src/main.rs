//! Not trusted: a bug here can reject, never admit. The command `tal-load`.

mod input;

use clap::{Args, Parser, Subcommand};
use input::{assemble, is_source, read};
use loader::lines::Debug;
use loader::map::CannotRun;
use loader::{Image, Verified, faults, interface, listing, map, verify};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Write, stderr, stdout};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
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
  tal-load run wc.tal README.md  the same, assembled first (by the tal-asm beside tal-load)
  tal-load gdb wc.tal README.md  the same under gdb, which stops at its start

A file - is standard input.";

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
    #[command(override_usage = "tal-load run FILE [ARGUMENT]...")]
    Run {
        #[command(flatten)]
        program: Program,
    },
    /// Judges a program, then runs it under gdb, which stops where it starts.
    ///
    /// There breakpoints can be set by line or name: `break wc.tal:30`.
    #[command(override_usage = "tal-load gdb [--ex COMMAND]... [--batch] FILE [ARGUMENT]...")]
    Gdb {
        /// A command for gdb when it has stopped; may be repeated.
        #[arg(long = "ex", value_name = "COMMAND")]
        commands: Vec<OsString>,
        /// Ends gdb after these commands.
        #[arg(long)]
        batch: bool,
        #[command(flatten)]
        program: Program,
    },
}

/// A program and its arguments. They are one list, so that whatever stands behind the program is
/// the program's.
#[derive(Args)]
struct Program {
    /// An executable, an object, or a source file that ends in .tal; then the program's arguments.
    #[arg(
        value_name = "FILE",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

impl Program {
    fn file(&self) -> &Path {
        Path::new(self.command.first().map_or(OsStr::new(""), OsString::as_os_str))
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and the version are no errors, unless nobody can be told.
        Err(words) => {
            let told = words.print().and_then(|()| stdout().flush()).is_ok();
            let code = u8::try_from(words.exit_code()).unwrap_or(2);
            return ExitCode::from(if told { code } else { 2 });
        }
    };
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
        Command::Run { program } => run(&program, &interface),
        Command::Gdb { commands, batch, program } => gdb(&commands, batch, &program, &interface),
    }
}

/// Writes to standard error; nothing is left to do when it is closed.
fn say(words: &str) {
    let _ = stderr().write_all(words.as_bytes());
}

/// Writes to standard output: the code to end with, 2 if it does not take all. Of a reader that has
/// gone, as in `tal-load dump wc | head`, nothing is said.
fn print(text: &str) -> u8 {
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(error) => {
            if error.kind() != ErrorKind::BrokenPipe {
                say(&format!("tal-load: standard output: {error}\n"));
            }
            2
        }
    }
}

fn fail(code: u8, words: &str) -> ExitCode {
    say(&format!("tal-load: {words}\n"));
    ExitCode::from(code)
}

/// Who judges sources, if this is one: another line for a refusal.
fn if_source(path: &Path) -> String {
    if !is_source(path) {
        return String::new();
    }
    let source = path.display();
    format!("\n  = help: that is a source; `tal-check {source}` judges it, `tal-asm` assembles it")
}

fn verify_file(path: &Path, interface: &Interface) -> u8 {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(words) => {
            say(&format!("tal-load: {words}\n"));
            return 2;
        }
    };
    match verify(&bytes, interface) {
        Ok(program) => {
            let (text, notes) = (program.image().text(), program.image().annotations());
            let (text, notes) = (text.len(), notes.len());
            let sizes = format!("{text} bytes of code, {notes} of annotations");
            print(&format!("{}: safe: {sizes}\n", path.display()))
        }
        Err(refusal) => {
            let words = listing::explain(&refusal, &bytes);
            let help = if_source(path);
            say(&format!("{}: refused: {words}{help}\n", path.display()));
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
    let told = print(&text);
    match refusal {
        None => ExitCode::from(told),
        Some(refusal) => {
            let words = listing::explain(&refusal, &bytes);
            fail(1, &format!("{}: refused: {words}", path.display()))
        }
    }
}

/// The bytes of a program, from its source if it is one.
fn load(path: &Path) -> Result<Vec<u8>, String> {
    if !is_source(path) {
        return read(path);
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    read(&assemble(path, directory.path())?)
}

/// The program, judged; or how to end.
fn judged<'a>(
    path: &Path,
    bytes: &'a [u8],
    interface: &Interface,
) -> Result<Verified<'a>, ExitCode> {
    verify(bytes, interface).map_err(|refusal| {
        let words = listing::explain(&refusal, bytes);
        fail(126, &format!("{}: refused: {words}", path.display()))
    })
}

fn run(program: &Program, interface: &Interface) -> ExitCode {
    let bytes: &'static [u8] = match load(program.file()) {
        Ok(bytes) => bytes.leak(),
        Err(words) => return fail(127, &words),
    };
    let verified = match judged(program.file(), bytes, interface) {
        Ok(verified) => verified,
        Err(code) => return code,
    };
    faults::tell(bytes);
    let error = map::run(&verified, &program.command, &environment());
    let refused = matches!(error, CannotRun::Descriptor(_));
    fail(if refused { 126 } else { 127 }, &error.to_string())
}

/// What gdb does first: it stops in the loader when the program is mapped, reads the names and
/// lines of the program, and goes on to its start.
fn gdb(commands: &[OsString], batch: bool, program: &Program, interface: &Interface) -> ExitCode {
    let path = program.file();
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => return fail(127, &error.to_string()),
    };
    let file =
        if is_source(path) { assemble(path, directory.path()) } else { Ok(path.to_path_buf()) };
    let (file, bytes) = match file.and_then(|file| Ok((file.clone(), input::executable(&file)?))) {
        Ok(found) => found,
        Err(words) => return fail(127, &words),
    };
    let start = match judged(path, &bytes, interface) {
        Ok(verified) => verified.entry(),
        Err(code) => return code,
    };
    let me = match env::current_exe() {
        Ok(me) => me,
        Err(error) => return fail(127, &error.to_string()),
    };
    let mut symbols = OsString::from("add-symbol-file \"");
    symbols.push(input::quoted(&file));
    symbols.push("\"");
    let mut gdb = Process::new("gdb");
    gdb.args(["-q", "-iex", "set confirm off"]);
    let stop = ["tbreak tal_load_enter".into(), "run".into(), symbols];
    let go = [format!("tbreak *{start:#x}").into(), "continue".into()];
    for command in stop.iter().chain(&go).chain(commands) {
        gdb.arg("-ex").arg(command);
    }
    if batch {
        gdb.arg("-batch");
    }
    gdb.arg("--args").arg(me).arg("run").arg(&file).args(program.command.iter().skip(1));
    faults::outlive_interrupts();
    match gdb.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)),
        Err(error) => fail(127, &format!("gdb: {error}")),
    }
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
