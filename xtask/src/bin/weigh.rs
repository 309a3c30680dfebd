//! Not trusted. One piece of work on one file, for `cargo xtask bench` and `bench-judge`: valgrind
//! counts its instructions, or the allocator here what it allocates.

#[path = "../../../tal-core/tests/support/counting.rs"]
mod counting;

use anyhow::{Context, Result, anyhow, bail, ensure};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use tal_check::check::check;
use tal_check::compiled::{Options, Program, annotate};
use tal_check::elaborate::lower;
use tal_check::files::Disk;
use tal_check::lowered::GhostOp;
use tal_core::hint::Ghost;
use tal_core::{limits, verify_section, wire};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match work(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weigh: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &[String]) -> Result<()> {
    let [what, path] = arguments else { bail!("what, and a file") };
    match what.as_str() {
        "compile-once" => return compile(path, &[false]),
        "compile-twice" => return compile(path, &[false, false]),
        "compile-least" => return compile(path, &[false, true]),
        _ => {}
    }
    let file = fs::read(path).with_context(|| path.clone())?;
    match what.as_str() {
        "judge" => judge(&file),
        "decode-one" => decode(&file, 1),
        "decode" => decode(&file, usize::MAX),
        "read" => {
            black_box(&file);
            Ok(())
        }
        "validate" => {
            wasmparser::validate(&file)?;
            Ok(())
        }
        "operators" => operators(&file),
        _ => bail!("{what}?"),
    }
}

/// Hands a source, when it is checked, to the entry for compilers, once for each of these options,
/// and prints how many instructions it has, and bytes of annotations.
fn compile(path: &str, needed: &[bool]) -> Result<()> {
    let outcome = lower(Path::new(path), &Disk)?;
    let lowered = outcome.lowered.context("it is no program")?;
    let checked = check(lowered).map_err(|_| anyhow!("it is refused"))?;
    let (lowered, labels) = (&checked.lowered, &checked.labels);
    let program = Program::of(lowered, labels).context("it names too much")?;
    let mut program = program.with_ghosts(lowered, labels).context("its states do not suffice")?;
    // Those of sizes are drawn at labels anyway.
    let drawn = |op: &GhostOp| matches!(op, GhostOp::Judge(Ghost::SizeFacts { .. }));
    for function in &mut program.functions {
        function.ghosts.retain(|ghost| !drawn(&ghost.op));
    }
    let instructions: usize = program.functions.iter().map(|f| f.code.len()).sum();
    let mut notes = 0;
    for needed in needed {
        let again = annotate(black_box(&program), Options { needed: *needed });
        notes = black_box(again.map_err(|refused| anyhow!("{refused}"))?).section.len();
    }
    println!("{instructions} {notes}");
    Ok(())
}

fn image(file: &[u8]) -> Result<loader::Image<'_>> {
    loader::Image::parse(file).map_err(|error| anyhow!("{error}"))
}

/// Prints how often judging allocates: while tables are read, and behind that; the most bytes at a
/// time, and the most that are promised.
fn judge(file: &[u8]) -> Result<()> {
    let interface = loader::interface::embedded().map_err(|error| anyhow!("{error}"))?;
    let image = image(file)?;
    let (text, at) = (image.text(), image.text_address());
    let (data, notes) = (image.data(), image.annotations());
    let read = || wire::decode(text, at, data, notes, &interface).map(|_| ()).is_ok();
    let judged = || verify_section(text, at, data, notes, &interface).map(|_| ()).is_ok();
    // The tables of the decoder are made once in a process.
    judged();
    let (read, tables) = counting::calls(read);
    let ((judged, peak), all) = counting::calls(|| counting::peak(judged));
    ensure!(read && judged, "it is refused");
    let most = limits::memory(text.len(), notes.len());
    println!("{tables} {} {peak} {most}", all.saturating_sub(tables));
    Ok(())
}

/// Decodes so many instructions of the text, and prints how many there were. What stands between
/// blocks is left out before.
fn decode(file: &[u8], most: usize) -> Result<()> {
    let image = image(file)?;
    let mut code = Vec::new();
    for instruction in Decoder::new(64, image.text(), DecoderOptions::NONE) {
        let at = usize::try_from(instruction.ip())?;
        let bytes = image.text().get(at..at + instruction.len()).context("an instruction")?;
        if instruction.mnemonic() != Mnemonic::Int3 {
            code.extend(bytes);
        }
    }
    let mut decoder = Decoder::new(64, &code, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut count = 0;
    while count < most && decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        black_box(&instruction);
        count += 1;
    }
    println!("{count}");
    Ok(())
}

/// Prints how many operators the module has.
fn operators(file: &[u8]) -> Result<()> {
    let mut count = 0;
    for payload in wasmparser::Parser::new(0).parse_all(file) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload? {
            for operator in body.get_operators_reader()? {
                operator?;
                count += 1;
            }
        }
    }
    println!("{count}");
    Ok(())
}
