//! Not trusted. `cargo xtask vm-selftests`: the kernel's selftests, with and without the series.

use crate::kernel::{self, NANO, NANO_BASE};
use crate::run::step;
use crate::vm;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What of tools/testing/selftests: entry, exceptions, signals, system calls, tracing of processes.
const TARGETS: &str = "x86 breakpoints clone3 core exec futex kcmp membarrier mincore pidfd proc \
    ptrace seccomp sigaltstack signal timers vDSO splice";

/// They run for minutes, or wait for a user or hardware.
const LEFT_OUT: &[&str] = &[
    "timers/freq-step",
    "timers/alarmtimer-suspend",
    "timers/leap-a-day",
    "timers/leapcrash",
    "timers/raw_skew",
    "timers/set-timer-lat",
    "timers/skew_consistency",
    "timers/clocksource-switch",
    "timers/adjtick",
    "timers/change_skew",
    "timers/nsleep-lat",
    "breakpoints/step_after_suspend_test",
];

/// Exit status and how many lines said that something is right, and that it is wrong.
type Outcome = String;

/// Runs them on both kernels, those that differ once more, and prints what differs.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let (old, new) = (kernel::build(NANO_BASE)?, kernel::build(NANO)?);
    let mut programs = build()?;
    programs.retain(|name, _| only.is_none_or(|word| name.starts_with(word)));
    ensure!(!programs.is_empty(), "no selftest was built");
    let (mut base, mut kml) = (outcomes(&old, &programs)?, outcomes(&new, &programs)?);
    let again: BTreeMap<_, _> = programs
        .iter()
        .filter(|(name, _)| base.get(*name) != kml.get(*name))
        .map(|(name, path)| (name.clone(), path.clone()))
        .collect();
    if !again.is_empty() {
        step(&format!("{} differ: once more", again.len()));
        base.extend(outcomes(&old, &again)?);
        kml.extend(outcomes(&new, &again)?);
    }
    let mut different = 0usize;
    for name in programs.keys() {
        let none = || "did not come to an end".to_string();
        let (a, b) = (base.get(name).cloned().unwrap_or_else(none), kml.get(name).cloned());
        let b = b.unwrap_or_else(none);
        if a == b {
            println!("{name}: {a}");
        } else {
            println!("{name}: DIFFERENT: without the series {a}; with it {b}");
            different = different.saturating_add(1);
        }
    }
    let passed = kml.values().filter(|outcome| outcome.starts_with("status 0,")).count();
    println!("\n{} programs, {passed} exit with 0, {different} differ", programs.len());
    ensure!(different == 0, "{different} selftests differ with the series");
    Ok(())
}

/// Compiles them; name and path of each program. What does not compile here is named.
fn build() -> Result<BTreeMap<String, PathBuf>> {
    let tree = kernel::tree(false)?;
    let output = kernel::cache()?.join("selftests");
    let (headers, objects) = (output.join("headers"), output.join("objects"));
    fs::create_dir_all(&headers)?;
    fs::create_dir_all(&objects)?;
    step("make headers");
    kernel::execute(kernel::make(&tree.path, &headers)?.args(["-s", "headers"]))?;
    step(&format!("make selftests, log in {}", output.join("log").display()));
    let log = fs::File::create(output.join("log"))?;
    let mut make = Command::new("make");
    make.args(["-k", "-C", "tools/testing/selftests"])
        .arg(format!("O={}", objects.display()))
        .arg(format!("KHDR_INCLUDES=-isystem {}/usr/include", headers.display()))
        .arg(format!("TARGETS={TARGETS}"))
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(&tree.path)
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log));
    // Some need libraries or a 32-bit compiler that are not here; they are not built.
    let status = make.status().context("cannot start make")?;
    if !status.success() {
        println!("not all selftests could be built");
    }
    programs(&objects.join("kselftest"))
}

/// The ELF executables below a directory, by `directory/name`.
fn programs(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if is_program(&path)? {
                let name = path.strip_prefix(directory)?.display().to_string();
                if !LEFT_OUT.contains(&name.as_str()) {
                    found.insert(name, path);
                }
            }
        }
    }
    Ok(found)
}

/// Does it start as an executable, not as an object or a shared library?
fn is_program(path: &Path) -> Result<bool> {
    let bytes = fs::read(path)?;
    let kind = bytes.get(16..18) == Some(&[2, 0]) || bytes.get(16..18) == Some(&[3, 0]);
    let library = path.extension().is_some_and(|extension| extension == "so");
    Ok(bytes.starts_with(b"\x7fELF") && kind && !library)
}

/// Runs them in one machine.
fn outcomes(image: &Path, some: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, Outcome>> {
    let mut script = String::from("ulimit -c 0\n");
    for name in some.keys() {
        let (directory, program) = name.rsplit_once('/').unwrap_or((".", name));
        script.push_str(&format!(
            "cd /selftests/{directory}; timeout 100 ./{program} >/tmp/out 2>&1 </dev/null; \
             echo \"selftest {name} status $?, \
             $(grep -c -E '^ *ok |\\[OK\\]' /tmp/out) good, \
             $(grep -c -E '^ *not ok |\\[FAIL\\]' /tmp/out) bad\"\n"
        ));
    }
    let lines = vm::script(image, &script, some)?;
    let mut found = BTreeMap::new();
    for line in &lines {
        let words = line.strip_prefix("selftest ").and_then(|rest| rest.split_once(' '));
        if let Some((name, outcome)) = words {
            found.insert(name.to_string(), outcome.to_string());
        }
    }
    ensure!(!found.is_empty(), "no selftest has run; the console was:\n{}", lines.join("\n"));
    Ok(found)
}
