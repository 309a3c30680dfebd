//! Not trusted. `cargo xtask bench-judge --long`: how what judging takes grows with the length of
//! the code, and what the worst annotations that are known take for each byte, beside the densest
//! honest ones. Fails if those take more than [`MOST`] times as much.

use super::{Bench, GENERATED, LINES, START, frozen, text_of};
use crate::bench::program;
use crate::offers::{hostile_of, straight};
use anyhow::{Context, Result, ensure};
use loader::Image;
use std::fs;
use std::path::Path;

/// Megabytes of straight code.
const STRAIGHT: [usize; 4] = [1, 5, 10, 50];
/// Bytes of hostile annotations: enough that what is free does not count.
const HOSTILE: usize = 1 << 20;
/// So many times as much as the densest honest code hostile annotations may take for each byte.
const MOST: u64 = 10;

/// What a file takes for each byte of text and annotations.
struct Cost {
    bytes: u64,
    machine: u64,
}

impl Cost {
    fn a_byte(&self) -> u64 {
        self.machine / self.bytes.max(1)
    }

    fn print(&self, name: &str) {
        println!("{name:<56} {:>9} {:>11} {:>7}", self.bytes, self.machine, self.a_byte());
    }
}

/// A line for each file, and one for the densest honest one.
pub(crate) fn bench() -> Result<()> {
    let bench = Bench::new()?;
    let start = bench.example(START)?;
    println!("{:<56} {:>9} {:>11} {:>7}", "file", "bytes", "taken", "a byte");
    for megabytes in STRAIGHT {
        let file = straight(Path::new(&bench.assembler), megabytes * 1_000_000)?;
        bench.cost("straight", &file, start.machine)?.0.print(&format!("straight, {megabytes} MB"));
    }
    let generated = bench.directory.join("judge.tal");
    fs::write(&generated, program(LINES))?;
    let mut honest = vec![(GENERATED, bench.subject(GENERATED, &generated)?.without(start))];
    for (name, ..) in frozen::EXAMPLES.iter().filter(|(name, ..)| *name != START) {
        honest.push((name, bench.example(name)?.without(start)));
    }
    let honest = honest.into_iter().map(|(name, taken)| {
        (name, Cost { bytes: taken.text + taken.notes, machine: taken.machine })
    });
    let densest = honest.max_by_key(|(_, cost)| cost.a_byte());
    let (name, densest) = densest.context("no honest program")?;
    densest.print(&format!("densest: {name}"));
    let mut dear = Vec::new();
    for offer in hostile_of(HOSTILE)? {
        let (cost, refused) = bench.cost("hostile", &offer.file, start.machine)?;
        ensure!(refused, "{} is not refused", offer.name);
        cost.print(&offer.name);
        if cost.a_byte() > MOST * densest.a_byte() {
            dear.push(offer.name);
        }
    }
    ensure!(dear.is_empty(), "more than {MOST} times the densest honest code: {dear:?}");
    Ok(())
}

impl Bench {
    /// What a file takes, and whether it was refused.
    fn cost(&self, name: &str, file: &[u8], start: u64) -> Result<(Cost, bool)> {
        let path = self.directory.join(name);
        fs::write(&path, file)?;
        let image = Image::parse(file).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
        let bytes = u64::try_from(image.text().len() + image.annotations().len())?;
        let (machine, status, _) = self.counted(&self.loader, &["verify", &text_of(&path)])?;
        let machine = machine.saturating_sub(start);
        Ok((Cost { bytes, machine }, !status.success()))
    }
}
