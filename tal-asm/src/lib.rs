//! Not trusted: a bug here can reject, never admit. Writes a checked program as an ELF file, and
//! has the loader judge the very bytes before anybody sees them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod convert;
pub mod debug;
pub mod elf;
pub mod library;
pub mod output;
pub mod program;

use elf::{ElfError, Output};
use loader::Refusal;
use loader::link::CannotLink;
use program::Program;
use std::fmt;
use tal_core::image::Interface;

/// Why there is no file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The parts of the program contradict each other.
    Write(ElfError),
    /// The loader cannot link the object that was made.
    Link(CannotLink),
    /// The loader refuses what was made: a mistake in the assembler, or in the checker.
    Refused(Refusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Write(error) => error.fmt(f),
            Failure::Link(error) => error.fmt(f),
            Failure::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

/// The bytes of the file, and the loader has said that they are safe.
///
/// # Errors
/// When it says anything else.
pub fn assemble(
    program: &Program,
    output: Output,
    interface: &Interface,
) -> Result<Vec<u8>, Failure> {
    let bytes = elf::write(program, output).map_err(Failure::Write)?;
    match output {
        Output::Executable => {
            starts(program, &bytes, interface)?;
        }
        Output::Object if program.start.is_some() => {
            let linked = loader::link::link(&bytes).map_err(Failure::Link)?;
            starts(program, &linked, interface)?;
        }
        Output::Object => library::verify(&bytes, interface)?,
    }
    Ok(bytes)
}

/// The loader admits the file, and starts it where the program starts.
fn starts(program: &Program, file: &[u8], interface: &Interface) -> Result<(), Failure> {
    let verified = loader::verify(file, interface).map_err(Failure::Refused)?;
    let same = Some(verified.entry()) == program.start;
    if same { Ok(()) } else { Err(Failure::Refused(Refusal::Start)) }
}
