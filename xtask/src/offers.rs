//! Not trusted. Files that are offered to the kernel to be refused, or that are large: the refused
//! programs of the tests as machine code, hostile annotations, a program of ten megabytes.

use crate::run::{cargo, command, execute, root, step};
use anyhow::{Context, Result, bail, ensure};
use loader::{Refusal, interface, verify};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of text of the large program.
const TEN: usize = 10 << 20;
/// Where annotations name the interface that they are written for.
pub(crate) const DIGEST: std::ops::Range<usize> = 6..38;

/// A file and what it is.
pub(crate) struct Offer {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
}

/// The programs of attacks and pages that are refused, and the accepted ones beside them, as
/// `tal-asm/tests/spec.rs` assembles them.
pub(crate) fn objects() -> Result<Vec<Offer>> {
    kept("tal-asm", "spec", "TAL_OBJECTS")
}

/// Every shape of program headers (`tal-asm/tests/segments.rs`): those named `runs-..` are
/// admitted, and end with 42; the others are refused.
pub(crate) fn segments() -> Result<Vec<Offer>> {
    kept("tal-asm", "segments", "TAL_SEGMENTS")
}

/// Hostile annotations (`tal-core/tests/memory.rs`) beside the text of which they speak: files of
/// twelve megabytes.
pub(crate) fn hostile() -> Result<Vec<Offer>> {
    hostile_of(TEN)
}

/// The same with so many bytes of annotations.
pub(crate) fn hostile_of(bytes: usize) -> Result<Vec<Offer>> {
    let digest = interface::embedded()?.hash;
    let bytes = [("TAL_HOSTILE_BYTES", bytes.to_string())];
    let files = kept_with("tal-core", "memory", "TAL_HOSTILE", &bytes)?;
    let files = files.into_iter().map(|mut offer| {
        let (length, rest) = offer.file.split_first_chunk_mut().context("no text")?;
        let (pair, section) = rest.split_first_chunk_mut::<2>().context("no text")?;
        section.get_mut(DIGEST).context("no annotations")?.copy_from_slice(&digest);
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let text: Vec<u8> = pair.iter().copied().cycle().take(length).collect();
        Ok(Offer { file: elf(&text, section), ..offer })
    });
    files.collect()
}

/// What a test writes into the directory that a variable names, in the order of the names.
fn kept(package: &str, test: &str, variable: &str) -> Result<Vec<Offer>> {
    kept_with(package, test, variable, &[])
}

/// The same with more variables.
fn kept_with(
    package: &str,
    test: &str,
    variable: &str,
    more: &[(&str, String)],
) -> Result<Vec<Offer>> {
    let directory = root().join("target/trusted").join(test);
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    step(&format!("objects of {package}/tests/{test}.rs"));
    let mut run = command(&cargo(), &["test", "-q", "-p", package, "--test", test]);
    execute({
        run.env(variable, &directory).stdout(Stdio::null());
        run.envs(more.iter().map(|(name, value)| (name, value)));
        run
    })?;
    let mut offers = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        offers.push(Offer { name, file: fs::read(&path)? });
    }
    offers.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!offers.is_empty(), "{test} keeps nothing");
    Ok(offers)
}

/// The words of user mode; an error when it is admitted.
pub(crate) fn words(offer: &Offer) -> Result<String> {
    match verify(&offer.file, &interface::embedded()?) {
        Ok(_) => bail!("{} is not refused", offer.name),
        Err(Refusal::Code(error)) => Ok(Refusal::Code(error).to_string()),
        Err(refusal) => bail!("{} is refused for its form: {refusal}", offer.name),
    }
}

/// An executable of ten megabytes of code, which ends with 42; from the cache if it is there.
pub(crate) fn ten(assembler: &Path) -> Result<Vec<u8>> {
    straight(assembler, TEN)
}

/// An executable with so many bytes of code, of functions without branches.
pub(crate) fn straight(assembler: &Path, bytes: usize) -> Result<Vec<u8>> {
    let directory = root().join("target/trusted");
    fs::create_dir_all(&directory)?;
    assemble(assembler, &straight_source(bytes), &directory.join(format!("straight-{bytes}")))
}

/// Assembles a program.
pub(crate) fn assemble(assembler: &Path, source: &str, output: &Path) -> Result<Vec<u8>> {
    let path: PathBuf = output.with_extension("tal");
    fs::write(&path, source)?;
    step(&format!("tal-asm {}", path.display()));
    let status = Command::new(assembler).arg(&path).arg("-o").arg(output).status()?;
    ensure!(status.success(), "{} is not accepted", path.display());
    Ok(fs::read(output)?)
}

/// Functions of a thousand instructions of ten bytes, on lines as short as a source of fifty
/// megabytes of code needs.
fn straight_source(bytes: usize) -> String {
    const REGISTERS: [&str; 8] = ["rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"];
    let functions = bytes / 10_000;
    let mut text = String::from("use \"kernel.tali\"\nconst C = 0x4000000000000000\n\n");
    for function in 0..functions {
        let _ = writeln!(text, "fn f{function}() -> (rax)\n{{");
        for register in REGISTERS.iter().cycle().take(999) {
            let _ = writeln!(text, "mov {register},C");
        }
        text.push_str("        mov     eax, 42\n        ret\n}\n\n");
    }
    let last = functions.saturating_sub(1);
    let _ = writeln!(text, "entry fn start {{\n        call    f{last}");
    text.push_str("        mov     rdi, rax\n        jmp     exit\n}\n");
    text
}

/// An ordinary static program with so many bytes of code, which reads a byte of so many of its
/// pages and ends.
pub(crate) fn ordinary(bytes: u64, pages: u64) -> Result<Vec<u8>> {
    // mov ecx, pages; mov esi, 0x400000; again: mov al, [rsi]; add rsi, 4096; dec ecx; jnz again;
    // xor edi, edi; mov eax, 60; syscall
    let mut text = [&[0xB9][..], &u32::try_from(pages)?.to_le_bytes()].concat();
    text.extend(b"\xbe\0\0\x40\0\x8a\x06\x48\x81\xc6\0\x10\0\0\xff\xc9\x75\xf3");
    text.extend(b"\x31\xff\xb8\x3c\0\0\0\x0f\x05");
    text.resize(usize::try_from(bytes)?, 0x90);
    Ok(elf(&text, &[]))
}

/// The smallest file of the form that is admitted: text, annotations, a stack.
fn elf(text: &[u8], annotations: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const PAGE: usize = 4096;
    let long = |n: usize| (n as u64).to_le_bytes();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    // Entry, program headers, no section headers; flags, sizes and numbers of headers.
    file.extend([BASE.to_le_bytes(), 64_u64.to_le_bytes(), [0; 8]].concat());
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let mut header = |kind: u32, flags: u32, at: usize, address: u64, sizes: [usize; 2], align| {
        file.extend([kind.to_le_bytes(), flags.to_le_bytes()].concat());
        file.extend([long(at), address.to_le_bytes(), address.to_le_bytes()].concat());
        file.extend([long(sizes[0]), long(sizes[1]), long(align)].concat());
    };
    header(1, 5, PAGE, BASE, [text.len(), text.len()], PAGE);
    header(loader::image::PT_TAL, 4, PAGE + text.len(), 0, [annotations.len(), 0], 1);
    header(0x6474_E551, 6, 0, 0, [0, 0], 16);
    file.resize(PAGE, 0);
    file.extend_from_slice(text);
    file.extend_from_slice(annotations);
    file
}

#[cfg(test)]
mod tests {
    use super::{Offer, elf, straight_source, words};
    use anyhow::Result;

    #[test]
    fn the_form_is_admitted() -> Result<()> {
        let offer = Offer { name: "empty".into(), file: elf(&[0xCC; 16], &[0; 64]) };
        assert!(words(&offer)?.contains("annotations"));
        let cut = Offer { file: offer.file.get(..5000).unwrap_or_default().to_vec(), ..offer };
        assert!(words(&cut).is_err());
        Ok(())
    }

    #[test]
    fn straight_programs_have_their_size() {
        let source = straight_source(50_000);
        assert_eq!(source.matches("mov ").count(), 5001);
        assert!(source.contains("call    f4\n"));
    }
}
