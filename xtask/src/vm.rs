//! Not trusted. `cargo xtask vm`, `vm-test`, `vm-bench`: the patched kernel under QEMU.

mod archive;
mod bochs;
pub(crate) mod counts;
mod features;
mod files;
mod first;
mod images;
mod machines;
mod walk;

pub(crate) use files::Files;
pub(crate) use machines::{Machine, More, Suite};

use crate::kernel::{self, Flavor};
use crate::object::Object;
use crate::run::step;
use anyhow::{Context, Result, ensure};
use files::UP;
use machines::{FEATURES, FIRST, MUTANTS, PLAIN, Probe};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// `cargo xtask vm [-- CMD]`: runs a command in the machine, or a shell.
pub(crate) fn run(flavor: Flavor, command: &[String]) -> Result<()> {
    let image = kernel::build(flavor)?;
    let files = Files::new()?;
    let command = command.join(" ");
    let shell = command.is_empty();
    let mut qemu = files.emulator(&image, &PLAIN, if shell { "sh" } else { &command })?;
    if !shell {
        qemu.stdin(Stdio::null());
    }
    let status = qemu.status().context("cannot start QEMU")?;
    ensure!(status.success(), "QEMU failed: {status}");
    Ok(())
}

/// Fails unless this kernel boots and runs a program.
pub(crate) fn boots(image: &Path) -> Result<()> {
    let files = Files::new()?;
    let qemu = files.emulator(image, &PLAIN, "true")?;
    let run = files.boot(qemu, &PLAIN, Duration::from_secs(300), |_| ())?;
    let up = run.lines.iter().any(|line| line == UP);
    ensure!(up, "it does not boot; the console was:\n{}", run.lines.join("\n"));
    Ok(())
}

/// Runs a script in a machine with more programs, under /selftests; the console.
pub(crate) fn script(
    image: &Path,
    text: &str,
    more: &BTreeMap<String, PathBuf>,
) -> Result<Vec<String>> {
    let mut files = Files::new()?;
    files.more = more.clone();
    let machine = Machine { memory: 1024, ..PLAIN };
    let qemu = files.emulator(image, &machine, text)?;
    let run = files.boot(qemu, &machine, Duration::from_secs(3600), |line| {
        if line.starts_with("selftest ") {
            eprintln!("    {line}");
        }
    })?;
    Ok(run.lines)
}

/// What is tested without a machine.
const OBJECT: &str = "the judge's object";

/// `cargo xtask vm-test`: boots the machines and runs the tests.
pub(crate) fn test(suite: Suite, only: Option<&str>) -> Result<()> {
    let image = kernel::build(suite.flavor())?;
    let mut files = Files::new()?;
    let (mut passed, mut failed) = (0usize, 0usize);
    let mut add = |(ok, bad): (usize, usize)| {
        passed = passed.saturating_add(ok);
        failed = failed.saturating_add(bad);
    };
    if only.is_none_or(|word| OBJECT.contains(word)) {
        step(OBJECT);
        for (name, result) in Object::of(&image)?.test(files.trusted.programs())? {
            match result {
                Ok(ref what) => println!("test object: {name}: {what} ... ok"),
                Err(ref why) => println!("test object: {name} ... FAILED: {why:#}"),
            }
            add(if result.is_ok() { (1, 0) } else { (0, 1) });
        }
    }
    let machines = suite.machines();
    let chosen: Vec<_> =
        machines.iter().filter(|m| only.is_none_or(|word| m.name.contains(word))).collect();
    if chosen.iter().any(|machine| machine.command == MUTANTS.command) {
        files.corpus = files.trusted.corpus(suite.mutants())?;
    }
    for machine in chosen {
        step(machine.name);
        let start = Instant::now();
        let (ok, bad) = test_machine(&files, &image, machine, suite.limit())?;
        println!("     {} s: {ok} passed, {bad} failed", start.elapsed().as_secs());
        add((ok, bad));
    }
    if suite != Suite::Long && only.is_none_or(|word| FIRST.contains(word)) {
        step(FIRST);
        add(first::test(&files, &image, &suite.adapt(&PLAIN))?);
    }
    if suite != Suite::Debug && only.is_none_or(|word| FEATURES.contains(word)) {
        step(FEATURES);
        add(features::test(&files, &image, suite == Suite::Long)?);
    }
    ensure!(passed.saturating_add(failed) > 0, "no test has run");
    println!("\ntotal: {passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} tests failed");
    Ok(())
}

/// Runs one machine; how many tests passed and failed.
fn test_machine(
    files: &Files,
    image: &Path,
    machine: &Machine,
    limit: Duration,
) -> Result<(usize, usize)> {
    let qemu = files.emulator(image, machine, machine.command)?;
    let run = files.boot(qemu, machine, limit, |line| {
        let told = ["test ", "measured: "].iter().any(|start| line.starts_with(start));
        if told || ["NMI:", "MCE:"].iter().any(|kind| line.contains(kind)) {
            println!("{line}");
        }
    })?;
    let (mut ok, mut bad) = run.lines.iter().find_map(|line| counts(line)).unwrap_or_else(|| {
        println!("test {} ... FAILED: did not come to an end", machine.name);
        (0, 1)
    });
    let verdict = match machine.probe {
        Probe::Nothing => None,
        Probe::Nmi => Some(("NMIs during all this", events("NMI:", &run.lines))),
        Probe::MachineCheck => Some(("machine checks during all this", events("MCE:", &run.lines))),
        Probe::PageTables => Some((
            "page tables, from outside",
            pages(&run.tables).map(|seen| format!("{seen} times")),
        )),
    };
    match verdict {
        None => {}
        Some((name, Ok(seen))) => {
            println!("test probe: {name}: {seen} ... ok");
            ok = ok.saturating_add(1);
        }
        Some((name, Err(why))) => {
            println!("test probe: {name} ... FAILED: {why:#}");
            bad = bad.saturating_add(1);
        }
    }
    if bad > 0 {
        run.show_end();
    }
    Ok((ok, bad))
}

/// From the runner's last line.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let (ok, bad) = rest.split_once(" passed, ")?;
    Some((ok.parse().ok()?, bad.strip_suffix(" failed")?.parse().ok()?))
}

/// How many of these /proc/interrupts shows on each CPU: enough to have met everything.
fn events(kind: &str, lines: &[String]) -> Result<String> {
    let line = lines.iter().find_map(|line| line.trim().strip_prefix(kind));
    let line = line.context("/proc/interrupts was not shown")?;
    let counts: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    ensure!(counts.len() == 2, "not two CPUs: {line}");
    ensure!(counts.iter().all(|count| *count >= 100), "too few: {counts:?}");
    Ok(format!("{counts:?}"))
}

/// The gates' page in a line of QEMU's `info mem`: whose tables these are, if it is there.
const GATES: u64 = 0x20_0000;
/// Where the text of a program at CPL 0 is in the tests.
const TEXT: u64 = 0x40_1000;

/// Checks the page tables: whenever a program at CPL 0 was current, no page of the user
/// half was a user page, and neither gates nor text were writable. How often that was.
fn pages(tables: &[String]) -> Result<usize> {
    let mut seen = 0usize;
    for table in tables {
        let ranges: Vec<_> = table.lines().filter_map(range).collect();
        let at = |address| ranges.iter().find(|r| r.0 <= address && address < r.1);
        if at(GATES).is_none() {
            continue;
        }
        seen = seen.saturating_add(1);
        for (from, to, rights) in ranges.iter().filter(|range| range.0 < 1 << 47) {
            ensure!(!rights.contains('u'), "{from:x}-{to:x} is a user page: {rights}");
        }
        for address in [GATES, TEXT] {
            let writable = at(address).is_some_and(|range| range.2.contains('w'));
            ensure!(!writable, "{address:x} is writable");
        }
    }
    ensure!(seen > 0, "no program at CPL 0 was seen in {} looks", tables.len());
    Ok(seen)
}

/// `FROM-TO SIZE RIGHTS`, as `info mem` prints it.
fn range(line: &str) -> Option<(u64, u64, &str)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let rights = words.nth(1)?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?, rights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_last_line() {
        assert_eq!(counts("test result: ok. 57 passed, 0 failed"), Some((57, 0)));
        assert_eq!(counts("test result: FAILED. 55 passed, 2 failed"), Some((55, 2)));
        assert_eq!(counts("test cpl ... ok"), None);
    }

    const SPINNING: &str = "(qemu) info mem\r\n\
        0000000000200000-0000000000201000 0000000000001000 -r-\r\n\
        0000000000401000-0000000000403000 0000000000002000 -r-\r\n\
        0000000000404000-0000000000406000 0000000000002000 -rw\r\n\
        ffffff8000000000-ffffff8008000000 0000000008000000 -rw\r\n";

    #[test]
    fn page_tables_are_looked_at() -> Result<()> {
        let table = |from: &str, to: &str| vec![SPINNING.replace(from, to)];
        assert_eq!(pages(&table("", ""))?, 1);
        assert!(pages(&table("2000 -r-", "2000 -rw")).is_err(), "writable text");
        assert!(pages(&table("2000 -rw", "2000 urw")).is_err(), "a user page");
        assert!(pages(&table("0000000000200000-", "0000000000201000-")).is_err(), "nobody");
        Ok(())
    }
}
