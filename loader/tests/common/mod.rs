//! Not trusted: tests. Programs for `tal-load`, and what it makes of them.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, process};
use tal_asm::elf;
use tal_check::resolve::Disk;
use tal_check::{check, elaborate};

/// A folder of programs.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Assembles `NAME.tal` into `NAME`.
    pub(crate) fn program(&self, name: &str, source: &str) -> PathBuf {
        let path = self.path().join(name);
        let text = path.with_extension("tal");
        fs::write(&text, format!("use \"kernel.tali\"\n{source}")).unwrap();
        let lowered = elaborate::lower(&text, &Disk).unwrap().lowered.unwrap();
        let checked = check::check(lowered).unwrap_or_else(|(_, why)| panic!("{name}: {why:?}"));
        let host = &checked.lowered.host.interface;
        let program = tal_asm::convert::program(&checked.lowered, &checked.section).unwrap();
        let bytes = tal_asm::assemble(&program, elf::Output::Executable, host).unwrap();
        tal_asm::output::write_whole(&path, &bytes, true).unwrap();
        path
    }
}

/// The command with these arguments.
pub(crate) fn load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-load"));
    command.args(arguments);
    command
}

/// Exit status, standard output, standard error.
pub(crate) fn outcome(command: &mut Command) -> (process::ExitStatus, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status, text(stdout), text(stderr))
}

/// A program that ends with this status.
pub(crate) fn ends_with(status: u8) -> String {
    format!("entry fn start {{\n        mov     edi, {status}\n        jmp     exit\n}}\n")
}
