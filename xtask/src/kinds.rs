//! Not trusted: a test. What a program may have open and set is the same in the kernel
//! (`arch/x86/kml/files.c` and `imports.c`, in the series) as in user mode.

use crate::kernel;
use anyhow::{Context, Result};
use loader::gates::kinds::{DEVICES, FILE_SYSTEMS, NAMELESS, STATUS_FLAGS};
use std::collections::BTreeSet;
use std::fs;

/// The lines that the series adds, from the one with these words to the first with those.
fn added(begin: &str, end: &str) -> Result<Vec<String>> {
    for patch in kernel::series()? {
        let text = fs::read_to_string(patch)?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix('+'));
        if let Some(first) = lines.find(|line| line.contains(begin)) {
            let rest = lines.take_while(|line| !line.contains(end)).map(String::from);
            return Ok([first.to_string()].into_iter().chain(rest).collect());
        }
    }
    Err(anyhow::anyhow!("no patch has {begin}"))
}

#[test]
fn file_systems() -> Result<()> {
    let magic = |line: &String| {
        let digits = line.trim().strip_prefix("0x")?.split(',').next()?;
        i64::from_str_radix(digits, 16).ok()
    };
    let kernel: BTreeSet<i64> =
        added("kml_filesystems[] = {", "};")?.iter().filter_map(magic).collect();
    let user: BTreeSet<i64> = FILE_SYSTEMS.iter().map(|(_, magic)| *magic).collect();
    assert!(kernel.len() > 20);
    assert_eq!(kernel, user);
    Ok(())
}

#[test]
fn devices() -> Result<()> {
    let device = |line: &String| {
        let numbers = line.trim().strip_prefix("{ ")?.split('}').next()?;
        let mut numbers = numbers.split(',').map(|number| match number.trim() {
            "MINORMASK" => Some(u32::MAX),
            number => number.parse().ok(),
        });
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    let kernel: BTreeSet<_> = added("kml_devices[] = {", "};")?.iter().filter_map(device).collect();
    let user: BTreeSet<_> = DEVICES.iter().map(|(_, a, b, c)| (*a, *b, *c)).collect();
    assert!(kernel.len() > 10);
    assert_eq!(kernel, user);
    Ok(())
}

#[test]
fn nameless() -> Result<()> {
    let line = added("kml_nameless[] = {", "};")?;
    let line = line.first().context("no list")?;
    let kernel: BTreeSet<&str> =
        line.split('"').filter_map(|name| name.strip_prefix('[')).collect();
    let kernel: BTreeSet<&str> = kernel.iter().map(|name| name.trim_end_matches(']')).collect();
    let kernel: BTreeSet<&str> = kernel.into_iter().filter(|name| !name.contains(' ')).collect();
    assert_eq!(kernel, NAMELESS.iter().copied().collect());
    Ok(())
}

#[test]
fn status_flags() -> Result<()> {
    let lines = added("define KML_SETFL", "/*")?.into_iter().take(2).collect::<String>();
    let kernel: BTreeSet<&str> = lines
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| w.starts_with("O_"))
        .collect();
    assert_eq!(kernel, STATUS_FLAGS.iter().map(|(name, _)| *name).collect());
    Ok(())
}

/// The last gate of the page is not for imports: the interface has no more than the others.
#[test]
fn imports_have_gates() {
    assert!(loader::interface::names().count() < tal_core::limits::IMPORTS);
}
