//! Not trusted: a bug here can reject, never admit. The command `tal-asm`.

use clap::Parser;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tal_asm::elf::Output;
use tal_asm::{assemble, convert, output};
use tal_check::check::{self, Checked};
use tal_check::lower;
use tal_check::report::report;
use tal_check::resolve::Disk;
use tal_syntax::render::{Format, emit};

/// Assembles a typed program into an ELF file that carries its proof.
///
/// The program is checked first; an unsafe one is not assembled. What was assembled is judged
/// again, as machine code, before the file appears: there is never a partial file, nor an unsafe
/// one.
#[derive(Parser)]
#[command(name = "tal-asm", version, after_help = EXAMPLES)]
struct Arguments {
    /// The source file; what it uses is found beside it.
    file: PathBuf,
    /// Where to write. A name that ends in .o means a relocatable object.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write a relocatable object, whatever the name of the output.
    #[arg(short = 'c', long)]
    object: bool,
}

const EXAMPLES: &str = "\
Exit status: 0 if the file was written, 1 if the program is refused, 2 on usage or input and output.

Examples:
  tal-asm wc.tal -o wc      an executable for `tal-load run wc`, `objdump -dl wc`, `gdb wc`
  tal-asm -c wc.tal -o wc.o a relocatable object with the same sections";

/// Why there is no file, said to the user already.
struct Stop(u8);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop(code)) => ExitCode::from(code),
    }
}

fn say(words: &str) {
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(stderr(), "tal-asm: {words}");
}

fn run(arguments: &Arguments) -> Result<(), Stop> {
    let checked = checked(&arguments.file)?;
    let object = arguments.object || arguments.output.extension().is_some_and(|e| e == "o");
    let kind = if object { Output::Object } else { Output::Executable };
    let file = arguments.file.display();
    let program = convert::program(&checked.lowered, &checked.section).map_err(|_| {
        say(&format!("{file}: a program needs an `entry fn start`"));
        Stop(1)
    })?;
    let bytes = assemble(&program, kind, &checked.lowered.host.interface).map_err(|failure| {
        say(&format!("{file}: the assembler made what the loader refuses: {failure}"));
        say("this is a mistake in tal-asm or tal-check, not in the program; nothing was written");
        Stop(1)
    })?;
    output::write_whole(&arguments.output, &bytes, kind == Output::Executable).map_err(|error| {
        say(&format!("{}: {error}", arguments.output.display()));
        Stop(2)
    })
}

/// The program, checked; what is wrong with it is said.
fn checked(file: &Path) -> Result<Checked, Stop> {
    let outcome = lower::lower(file, &Disk).map_err(|error| {
        say(&format!("{}: {error}", file.display()));
        Stop(2)
    })?;
    // As in `say`.
    let _ = emit(&mut stderr(), &outcome.diags, &outcome.sources, Format::for_stderr());
    let lowered = outcome.lowered.ok_or(Stop(1))?;
    check::check(lowered).map_err(|(lowered, refusals)| {
        let diags = report(&lowered, &refusals);
        let _ = emit(&mut stderr(), &diags, &lowered.sources, Format::for_stderr());
        Stop(1)
    })
}
