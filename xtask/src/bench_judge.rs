//! Not trusted. `cargo xtask bench-judge`: machine instructions that the judge takes for each
//! instruction it checks, by callgrind: the same number on every run.

use crate::bench::{program, sizes};
use crate::demo::build;
use crate::run::{command, root, step};
use anyhow::{Context, Result, bail};
use loader::{interface, verify};
use std::fs;
use std::path::Path;
use tal_core::decode::{Op, decode_at};

/// Lines of the generated program.
const LINES: u32 = 20_000;

/// A file to be judged.
struct Subject {
    name: String,
    /// Instructions that are checked.
    checked: u64,
    /// Machine instructions of `tal-load verify`.
    taken: u64,
    text: u64,
    notes: u64,
}

/// A line for each program. The start of the process and of the decoder is that of `hello`, and is
/// taken off.
pub(crate) fn bench_judge() -> Result<()> {
    let binaries = build()?;
    let directory = root().join("target/bench");
    fs::create_dir_all(&directory)?;
    let generated = directory.join("judge.tal");
    fs::write(&generated, program(LINES))?;
    let example = |name: &str| root().join(format!("examples/{name}.tal"));
    let start = subject(&binaries, &example("hello"), &directory)?;
    println!(
        "{:>10} {:>8} {:>8} {:>8} {:>12} {:>8}",
        "program", "text", "notes", "checked", "taken", "a piece"
    );
    for source in [example("sha256sum"), example("sort"), generated] {
        let subject = subject(&binaries, &source, &directory)?;
        let taken = subject.taken.saturating_sub(start.taken);
        let checked = subject.checked.saturating_sub(start.checked).max(1);
        println!(
            "{:>10} {:>8} {:>8} {checked:>8} {taken:>12} {:>8}",
            subject.name,
            subject.text,
            subject.notes,
            taken / checked
        );
    }
    Ok(())
}

/// Assembles and judges.
fn subject(binaries: &Path, source: &Path, directory: &Path) -> Result<Subject> {
    let name = source.file_stem().context("a source has a name")?.to_string_lossy().into_owned();
    let object = directory.join(&name);
    let path = |p: &Path| p.to_string_lossy().into_owned();
    step(&name);
    let assembler = path(&binaries.join("tal-asm"));
    let output = command(&assembler, &[&path(source), "-o", &path(&object)]).output()?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let file = fs::read(&object)?;
    let (text, notes) = sizes(&file);
    let out = format!("--callgrind-out-file={}", path(&directory.join("callgrind.out")));
    let loader = path(&binaries.join("tal-load"));
    let arguments = ["--tool=callgrind", &out, &loader, "verify", &path(&object)];
    let output = command("valgrind", &arguments).output().context("valgrind")?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    let taken = printed.lines().find_map(|line| line.split_once("Collected : "));
    let taken = taken.and_then(|(_, number)| number.trim().parse().ok());
    let taken = taken.with_context(|| format!("{name} is not judged: {printed}"))?;
    Ok(Subject { name, checked: instructions(&file)?, taken, text, notes })
}

/// Instructions of the text, without what stands between blocks.
fn instructions(file: &[u8]) -> Result<u64> {
    let interface = interface::embedded().map_err(|e| anyhow::anyhow!("{e}"))?;
    let verified = verify::verify(file, &interface).map_err(|e| anyhow::anyhow!("{e}"))?;
    let image = verified.judged();
    let (mut offset, mut count) = (0_u32, 0);
    while usize::try_from(offset)? < image.text.len() {
        let decoded = decode_at(image.text, image.text_address, offset)
            .map_err(|e| anyhow::anyhow!("{offset:#x}: {e:?}"))?;
        count += u64::from(!matches!(decoded.op, Op::Int3));
        offset += u32::from(decoded.length);
    }
    Ok(count)
}
