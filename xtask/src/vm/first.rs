//! Not trusted. The machine's first process as a judged program, as `init=` would have it.
//!
//! The kernel ignores SIGKILL there, so whatever ends a judged program must be more than that. When
//! the first process ends the kernel panics, and says how it ended.

use super::files::Files;
use super::machines::Machine;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// What the first process becomes, and how it has to end.
struct Case {
    name: &'static str,
    command: &'static str,
    /// As wait(2) has it: the low byte is a signal, 0x1f is SIGSYS.
    status: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a program that is not lied to ends by itself",
        command: "exec /trusted/hello",
        status: "0x00000000",
    },
    Case {
        name: "a result outside of its type ends it",
        command: "exec /trusted/wc /proc/kml_liar",
        status: "0x0000001f",
    },
    Case {
        name: "a filter that answers in the place of a call ends it",
        command: "exec runner --write-denied /trusted/hello",
        status: "0x0000001f",
    },
];

/// Boots the machine once for each; how many passed and failed.
pub(super) fn test(files: &Files, image: &Path, machine: &Machine) -> Result<(usize, usize)> {
    let (mut passed, mut failed) = (0usize, 0usize);
    for case in CASES {
        let qemu = files.emulator(image, machine, case.command)?;
        let run = files.boot(qemu, machine, Duration::from_secs(300), |_| ())?;
        let ended = format!("Attempted to kill init! exitcode={}", case.status);
        if run.lines.iter().any(|line| line.contains(&ended)) {
            println!("test first process: {} ... ok", case.name);
            passed = passed.saturating_add(1);
        } else {
            println!("test first process: {} ... FAILED", case.name);
            failed = failed.saturating_add(1);
            run.show_end();
        }
    }
    Ok((passed, failed))
}
