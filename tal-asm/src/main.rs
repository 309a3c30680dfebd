//! Not trusted: a bug here can reject, never admit. The command `tal-asm`.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tal_asm::elf::Output;
use tal_asm::library::Unlinkable;
use tal_asm::program::Program;
use tal_asm::{assemble, convert, library, output};
use tal_check::check::{self, Checked};
use tal_check::console::{Console, Looks, USAGE};
use tal_check::elaborate;
use tal_check::explore::share_work;
use tal_check::files::Watched;
use tal_check::report::report;

/// Assembles a typed program into an ELF file that carries its proof.
///
/// The program is checked first; an unsafe one is not assembled. What was assembled is judged
/// again, as machine code, before the file appears: there is never a partial file, nor an unsafe
/// one.
#[derive(Parser)]
#[command(name = "tal-asm", version, after_help = EXAMPLES)]
struct Arguments {
    /// The source file; what it uses is found beside it. `-` is standard input, and uses files of
    /// the current folder.
    file: PathBuf,
    /// Where to write; `-` is standard output. A name that ends in .o means a relocatable object.
    /// What was read is never written to.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write a relocatable object, whatever the name of the output. Without `entry fn start` it is
    /// one for C programs, which call its `pub fn`s.
    #[arg(short = 'c', long)]
    object: bool,
    /// Let an object for C programs have absolute addresses; link it with `cc -no-pie`.
    #[arg(long)]
    no_pie: bool,
    #[command(flatten)]
    looks: Looks,
}

const EXAMPLES: &str = "\
Exit status: 0 if the file was written, 1 if the program is refused, 2 on usage or input and output,
141 if nobody reads what is written.

Examples:
  tal-asm wc.tal -o wc        an executable for `tal-load run wc`, `objdump -dl wc`, `gdb wc`
  tal-asm -c wc.tal -o wc.o   a relocatable object with the same sections
  tal-asm -c crc.tal -o crc.o functions for `cc main.c crc.o`: see docs/linking.md";

fn main() -> ExitCode {
    share_work();
    match Console::parse("tal-asm", |arguments: &Arguments| arguments.looks) {
        Ok((arguments, console)) => console.end(run(&arguments, &console).err().unwrap_or(0)),
        Err(code) => code,
    }
}

/// Makes the file, or says why there is none and gives the status for that.
fn run(arguments: &Arguments, console: &Console) -> Result<(), u8> {
    let source = &Watched::name(&arguments.file);
    let fail = |code: u8, words: &str| {
        console.error(words);
        code
    };
    let read = Watched::default();
    let checked = checked(source, &read, console)?;
    output::refuse_source(&arguments.output, &read)
        .map_err(|error| fail(USAGE, &format!("{}: {error}", arguments.output.display())))?;
    let named = arguments.output.extension().is_some_and(|e| e == "o");
    let kind = if arguments.object || named { Output::Object } else { Output::Executable };
    let program = convert::any(&checked.lowered, &checked.section);
    fits(source, &program, kind, !arguments.no_pie).map_err(|why| fail(1, &why))?;
    let bytes = assemble(&program, kind, &checked.lowered.host.interface).map_err(|failure| {
        let file = source.display();
        console.error(&format!("{file}: the assembler made what the loader refuses: {failure}"));
        let whose = "this is a mistake in tal-asm or tal-check, not in the program";
        fail(1, &format!("{whose}; nothing was written"))
    })?;
    if output::is_stdout(&arguments.output) {
        console.print_bytes(&bytes);
        return Ok(());
    }
    output::write_whole(&arguments.output, &bytes, kind == Output::Executable)
        .map_err(|error| fail(USAGE, &format!("{}: {error}", arguments.output.display())))
}

/// Can the program be a file of this kind?
fn fits(source: &Path, program: &Program, kind: Output, independent: bool) -> Result<(), String> {
    let source = source.display();
    match (program.start, kind) {
        (Some(_), _) => Ok(()),
        (None, Output::Object) => {
            let place = |why: Unlinkable| match why {
                Unlinkable::NothingPublic => format!("{source}: {why}"),
                _ => why.to_string(),
            };
            library::linkable(program, independent).map_err(place)
        }
        (None, Output::Executable) => {
            let wanted = "a program needs an `entry fn start`";
            Err(format!("{source}: {wanted}; -c makes an object of functions for C programs"))
        }
    }
}

/// The program, checked; what is wrong with it is said.
fn checked(file: &Path, files: &Watched, console: &Console) -> Result<Checked, u8> {
    let outcome = elaborate::lower(file, files).map_err(|error| {
        console.error(&format!("{}: {error}", file.display()));
        USAGE
    })?;
    console.diagnostics(&outcome.diags, &outcome.sources);
    let lowered = outcome.lowered.ok_or(1)?;
    check::check_unjudged(lowered).map_err(|(lowered, refusals)| {
        console.diagnostics(&report(&lowered, &refusals), &lowered.sources);
        1
    })
}
