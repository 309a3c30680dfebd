//! Not trusted. Tests on the object that the kernel links, the judge as its build has compiled it:
//! what it refers to, which instructions are in it, and, in a process, that it says no when it
//! panics, is interrupted or gets no memory.

use crate::run::root;
use crate::trusted::verdict;
use anyhow::{Context, Result, bail, ensure};
use loader::interface;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What the object may leave to the kernel: memory, thunks, and what its header says.
const OWED: &[&str] = &[
    "__x86_indirect_thunk_r11",
    "__x86_return_thunk",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "tal_judge_arena",
    "tal_judge_leave",
    "tal_judge_more",
    "tal_judge_pause",
];

/// What it gives the kernel.
const GIVEN: &[&str] = &["tal_judge_import", "tal_judge_verify"];

/// The object among what the kernel's build has left.
pub(crate) struct Object {
    path: PathBuf,
    /// Have functions whose address is taken to begin with `endbr64`?
    ibt: bool,
}

/// A test: its name, and what it says when it passes.
type Test = (&'static str, Result<String>);

impl Object {
    /// Of the kernel of this image.
    pub(crate) fn of(image: &Path) -> Result<Object> {
        let objects = image.ancestors().nth(4).context("an image without a build")?;
        let config = fs::read_to_string(objects.join(".config"))?;
        let set = |option: &str| config.lines().any(|line| line == format!("CONFIG_{option}=y"));
        ensure!(set("MITIGATION_RETPOLINE") && set("MITIGATION_RETHUNK"), "no thunks here");
        let path = objects.join("arch/x86/kml/judge/judge.o");
        Ok(Object { path, ibt: set("X86_KERNEL_IBT") })
    }

    /// Runs the tests, on these programs too, by name.
    pub(crate) fn test(&self, programs: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Test>> {
        let code = self.run("objdump", &["-d", "--no-show-raw-insn", "-r"])?;
        let mut tests = vec![
            ("symbols that it leaves to the kernel", self.symbols("-u", OWED)),
            ("symbols that it gives", self.symbols("--extern-only --defined-only", GIVEN)),
            ("instructions", instructions(&code)),
        ];
        if self.ibt {
            tests.push(("endbr64", self.landings(&code)));
        }
        let harness = Harness::link(&self.path)?;
        tests.push(("verdicts in a process", harness.verdicts(programs)));
        tests.push(("a panic is a refusal", harness.ended("panic", 6, programs)));
        tests.push(("an interruption is a refusal", harness.ended("pause", 5, programs)));
        tests.push(("too little memory is a refusal", harness.starved(programs)));
        Ok(tests)
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(tool).args(arguments).arg(&self.path).output().context("nm")?;
        ensure!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Exactly these symbols are of this kind.
    fn symbols(&self, kind: &str, expected: &[&str]) -> Result<String> {
        let arguments: Vec<&str> = kind.split(' ').collect();
        let output = self.run("nm", &arguments)?;
        let found: BTreeSet<&str> =
            output.lines().filter_map(|line| line.split_whitespace().last()).collect();
        let wanted: BTreeSet<&str> = expected.iter().copied().collect();
        ensure!(found == wanted, "{found:?} instead of {wanted:?}");
        Ok(format!("{}", found.len()))
    }

    /// Functions whose address is in data or in an instruction other than a call begin with
    /// `endbr64`.
    fn landings(&self, code: &str) -> Result<String> {
        let addresses: BTreeMap<String, u64> = self
            .run("nm", &[])?
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                let text = words.next()?.eq_ignore_ascii_case("t");
                text.then(|| Some((words.next()?.to_string(), address)))?
            })
            .collect();
        let data = self.run("objdump", &["-r", "-j", ".rodata", "-j", ".data"])?;
        let taken: BTreeSet<u64> =
            code.lines().chain(data.lines()).filter_map(|line| taken(line, &addresses)).collect();
        ensure!(taken.len() > 10, "only {} addresses are taken", taken.len());
        let starts: BTreeMap<u64, &str> = code.lines().filter_map(instruction).collect();
        for address in &taken {
            let first = starts.get(address).copied().unwrap_or("nothing");
            ensure!(first.starts_with("endbr64"), "{address:#x} begins with {first}");
        }
        Ok(format!("{} functions", taken.len()))
    }
}

/// Where the text is that a relocation line takes the address of.
fn taken(line: &str, addresses: &BTreeMap<String, u64>) -> Option<u64> {
    let (_, rest) = line.split_once("R_X86_64_")?;
    let mut words = rest.split_whitespace();
    let kind = words.next()?;
    if !["64", "32S", "32"].contains(&kind) {
        return None;
    }
    let target = words.next()?;
    let (symbol, addend) = target.split_once("+0x").unwrap_or((target, "0"));
    let addend = u64::from_str_radix(addend, 16).ok()?;
    let base = if symbol == ".text" { 0 } else { *addresses.get(symbol)? };
    base.checked_add(addend)
}

/// Address and words of an instruction in a listing.
fn instruction(line: &str) -> Option<(u64, &str)> {
    let (address, words) = line.split_once(":\t")?;
    let address = u64::from_str_radix(address.trim(), 16).ok()?;
    (!words.contains("R_X86_64_")).then_some((address, words.trim()))
}

/// Nothing that the kernel must not execute here: no register of vectors or of the FPU, no
/// indirect branch and no return without a thunk, nothing privileged, no segment.
fn instructions(code: &str) -> Result<String> {
    let mut count = 0_usize;
    for (address, words) in code.lines().filter_map(instruction) {
        if let Some(what) = forbidden(words) {
            bail!("{address:#x}: {words}: {what}");
        }
        count = count.saturating_add(1);
    }
    ensure!(count > 10_000, "only {count} instructions");
    Ok(format!("{count}"))
}

/// What is wrong with an instruction.
fn forbidden(words: &str) -> Option<&'static str> {
    let (name, operands) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let vector = ["%xmm", "%ymm", "%zmm", "%mm", "%st", "%k0", "%k1", "mxcsr"];
    const PRIVILEGED: &[&str] = &[
        "syscall", "sysret", "sysenter", "iret", "iretq", "wrmsr", "rdmsr", "cli", "sti", "hlt",
        "in", "out", "int", "swapgs", "lgdt", "lidt", "invlpg", "clac", "stac", "wrfsbase",
        "wrgsbase", "xsave", "xrstor", "emms",
    ];
    if vector.iter().any(|register| operands.contains(register) || name.contains(register)) {
        Some("a vector or FPU register")
    } else if name.starts_with('f') || name.starts_with('v') {
        Some("the FPU, or vectors")
    } else if (name.starts_with("call") || name.starts_with('j')) && operands.contains('*') {
        Some("an indirect branch")
    } else if name.starts_with("ret") {
        Some("a return without its thunk")
    } else if PRIVILEGED.contains(&name) {
        Some("privileged")
    } else if ["%gs:", "%fs:", "%cr", "%dr"].iter().any(|part| operands.contains(part)) {
        Some("a segment, or a control register")
    } else if name.contains("(bad)") {
        Some("no instruction")
    } else {
        None
    }
}

/// Are these the words of a panic? Of a function with one caller the compiler knows the place that
/// it tells, whatever the harness hands it.
fn names_a_place(words: &str) -> bool {
    let Some(place) = words.strip_prefix("the judge is broken: ") else { return false };
    let mut parts = place.rsplit(':');
    let number = |part: Option<&str>| part.is_some_and(|n| n.parse::<u32>().is_ok());
    number(parts.next()) && number(parts.next()) && parts.next().is_some_and(|f| !f.is_empty())
}

/// The object in a process (`kjudge/tests/harness.c`).
struct Harness {
    directory: TempDir,
}

/// What the harness said of one file.
struct Said {
    reason: u32,
    words: Vec<u8>,
    pauses: u64,
}

impl Harness {
    /// Compiles and links it; the function that panics is found by its name.
    fn link(object: &Path) -> Result<Harness> {
        let directory = tempfile::tempdir()?;
        let linked = directory.path().join("judge.o");
        let names = Command::new("nm").arg(object).output()?;
        let names = String::from_utf8_lossy(&names.stdout).into_owned();
        let panic = names
            .split_whitespace()
            .find(|name| name.starts_with("_ZN4core9panicking18panic_bounds_check17h"))
            .context("no check of an index can panic: take another way to panic")?;
        let status = Command::new("objcopy")
            .arg(format!("--redefine-sym={panic}=panic_here"))
            .arg("--globalize-symbol=panic_here")
            .arg(object)
            .arg(&linked)
            .status()?;
        ensure!(status.success(), "objcopy: {status}");
        let ours = root().join("kjudge");
        let status = Command::new("cc")
            .args([
                "-O2",
                "-Wall",
                "-Wno-array-bounds",
                "-static",
                "-no-pie",
                "-z",
                "noexecstack",
                "-I",
            ])
            .arg(ours.join("include"))
            .arg("-o")
            .arg(directory.path().join("harness"))
            .args([ours.join("tests/harness.c"), ours.join("tests/thunks.S"), linked])
            .status()?;
        ensure!(status.success(), "the harness does not link");
        Ok(Harness { directory })
    }

    /// Has files judged, one after the other, with so much memory (0: as the kernel has it).
    fn judge(&self, how: &[&str], memory: u32, files: &[&[u8]]) -> Result<Vec<Said>> {
        let mut run = Command::new(self.directory.path().join("harness"));
        run.args(how).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = run.spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        let mut all = Vec::new();
        for file in files {
            all.extend(u32::try_from(file.len())?.to_le_bytes());
            all.extend(memory.to_le_bytes());
            all.extend_from_slice(file);
        }
        let feeder = std::thread::spawn(move || input.write_all(&all));
        let output = child.wait_with_output()?;
        let _ = feeder.join();
        ensure!(output.status.success(), "the harness died: {}", output.status);
        let mut rest = output.stdout.as_slice();
        let mut said = Vec::new();
        while let Some((size, after)) = rest.split_first_chunk() {
            let size = usize::try_from(u32::from_le_bytes(*size))?;
            let (one, after) = after.split_at_checked(size).context("cut off")?;
            said.push(Said::read(one).context("cut off")?);
            rest = after;
        }
        ensure!(said.len() == files.len(), "{} verdicts", said.len());
        Ok(said)
    }

    /// The same verdicts and words as `loader` has.
    fn verdicts(&self, programs: &BTreeMap<String, Vec<u8>>) -> Result<String> {
        let interface = interface::embedded()?;
        let mut files: Vec<Vec<u8>> = programs.values().cloned().collect();
        for program in programs.values() {
            for at in (program.len() / 3..program.len()).step_by(1009) {
                let mut changed = program.clone();
                changed.get_mut(at).into_iter().for_each(|byte| *byte ^= 0x41);
                files.push(changed);
            }
        }
        let list: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let mut admitted = 0_usize;
        for (file, said) in files.iter().zip(self.judge(&[], 0, &list)?) {
            let (reason, words) = verdict(file, &interface);
            ensure!((reason, &words) == (said.reason, &said.words), "{} {words:?}", said.reason);
            admitted = admitted.saturating_add(usize::from(reason == 0));
        }
        ensure!(admitted >= programs.len() && admitted < files.len(), "{admitted} admitted");
        Ok(format!("{} files, {admitted} of them admitted", files.len()))
    }

    /// Ended in the middle, good programs are refused for this reason; and the harness goes on.
    fn ended(&self, how: &str, reason: u32, files: &BTreeMap<String, Vec<u8>>) -> Result<String> {
        let list: Vec<&[u8]> = files.values().map(Vec::as_slice).collect();
        let mut ended = 0_usize;
        let plain = self.judge(&[], 0, &list)?;
        for at in [1_u64, 2, 5] {
            for (said, free) in self.judge(&[how, &at.to_string()], 0, &list)?.iter().zip(&plain) {
                let expected = if free.pauses >= at { reason } else { 0 };
                let words = String::from_utf8_lossy(&said.words);
                ensure!(said.reason == expected, "reason {}: {words}", said.reason);
                ensure!(expected != 6 || names_a_place(&words), "{words}");
                ended = ended.saturating_add(usize::from(expected != 0));
            }
        }
        ensure!(ended > 0, "none of them got so far");
        Ok(format!("{ended} times"))
    }

    fn starved(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<String> {
        let list: Vec<&[u8]> = files.values().map(Vec::as_slice).collect();
        let mut refused = 0_usize;
        for memory in [4096, 8192, 32 << 10, 128 << 10] {
            for said in self.judge(&[], memory, &list)? {
                ensure!(matches!(said.reason, 0 | 4), "reason {}", said.reason);
                refused = refused.saturating_add(usize::from(said.reason == 4));
            }
        }
        ensure!(refused > files.len(), "only {refused} refused");
        Ok(format!("{refused} times"))
    }
}

impl Said {
    /// From `struct tal_report` and two numbers.
    fn read(bytes: &[u8]) -> Option<Said> {
        let u32_at =
            |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let words_size = usize::try_from(u32_at(44)?).ok()?;
        // Segments, imports, rule, instruction stand before the words.
        let words: usize = 48 + 9 * 40 + 256 * 2 + 32 + 16;
        let pauses = bytes.last_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
        Some(Said {
            reason: u32_at(0)?,
            words: bytes.get(words..words.checked_add(words_size)?)?.to_vec(),
            pauses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{forbidden, instruction, taken};
    use std::collections::BTreeMap;

    #[test]
    fn instructions_that_must_not_be_there() {
        for words in [
            "movaps %xmm0,(%rdi)",
            "vpaddd %ymm0,%ymm1,%ymm2",
            "fldl   (%rax)",
            "movq   %mm0,%mm1",
            "ldmxcsr (%rax)",
            "call   *%rax",
            "jmp    *0x8(%rax)",
            "ret",
            "retq   $8",
            "mov    %gs:0x28,%rax",
            "wrmsr",
            "sti",
            "mov    %rax,%cr3",
            "(bad)",
        ] {
            assert!(forbidden(words).is_some(), "{words}");
        }
        for words in
            ["call   5baa0 <f>", "mov    $0x5,%eax", "ud2", "jmp    1 <__x86_return_thunk>"]
        {
            assert_eq!(forbidden(words), None, "{words}");
        }
    }

    #[test]
    fn listings_are_read() {
        assert_eq!(instruction("  5baa0:\tmov    %rax,%rbx"), Some((0x5_baa0, "mov    %rax,%rbx")));
        assert_eq!(instruction("\t\t\t1d9: R_X86_64_32S\t.text+0x680"), None);
        let names = BTreeMap::from([("f".to_string(), 0x40)]);
        assert_eq!(taken("\t\t\t1d9: R_X86_64_32S\t.text+0x680", &names), Some(0x680));
        assert_eq!(
            taken("0000000000000ce0 R_X86_64_64       f+0x0000000000000008", &names),
            Some(0x48)
        );
        assert_eq!(taken("\t\t\t1d9: R_X86_64_PLT32\tf-0x4", &names), None);
        assert_eq!(taken("\t\t\t1d9: R_X86_64_32S\t.rodata+0x680", &names), None);
    }
}
