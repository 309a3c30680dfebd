//! Not trusted. `cargo xtask bench`: generated programs of 10k, 50k and 200k lines, to see that
//! work grows with the length and not faster, beside GNU as on the same instructions.

use crate::demo::build;
use crate::run::{cargo, collected, command, root, run};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Sizes of the programs whose time is measured, in lines.
const LINES: [u32; 3] = [10_000, 50_000, 200_000];
/// Sizes of those whose instructions are counted.
const COUNTED: [u32; 3] = [500, 2_000, 10_000];

/// Two tables: processor time and memory of large programs, counted instructions of small ones.
pub(crate) fn bench() -> Result<()> {
    let binaries = build()?;
    let directory = root().join("target/bench");
    fs::create_dir_all(&directory)?;
    run(&cargo(), &["build", "--release", "--package", "xtask", "--bin", "weigh"])?;
    let tools = Tools::find(&binaries);
    println!("processor seconds, of one run each; us: microseconds a line");
    println!(
        "{:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>7} {:>6} {:>6} {:>8} {:>6}",
        "lines",
        "text",
        "notes",
        "notes%",
        "check",
        "tal-asm",
        "verify",
        "us",
        "MiB",
        "as",
        "ratio"
    );
    for lines in LINES {
        tools.timed(&directory, lines)?;
    }
    println!("\ncounted instructions a line (valgrind --tool=callgrind)");
    println!("compiled: the entry for compilers alone, given instructions and states");
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6}",
        "lines", "tal-asm", "verify", "compiled", "as", "ratio", "comp."
    );
    for lines in COUNTED {
        tools.counted(&directory, lines)?;
    }
    Ok(())
}

/// Where the commands are.
struct Tools {
    asm: String,
    check: String,
    load: String,
    weigh: String,
    /// Is GNU as there?
    gnu: bool,
    /// Is valgrind there?
    valgrind: bool,
}

/// One program in both languages.
struct Files {
    /// As many as there really are.
    lines: u32,
    source: String,
    object: String,
    plain: String,
    plain_object: String,
}

impl Files {
    fn write(directory: &Path, lines: u32) -> Result<Files> {
        let path = |end: &str| directory.join(format!("{lines}{end}")).to_string_lossy().into();
        let files = Files {
            lines: 0,
            source: path(".tal"),
            object: path(""),
            plain: path(".s"),
            plain_object: path(".o"),
        };
        let text = program(lines);
        fs::write(&files.source, &text)?;
        fs::write(&files.plain, plain(&text))?;
        Ok(Files { lines: u32::try_from(text.lines().count())?, ..files })
    }
}

impl Tools {
    fn find(binaries: &Path) -> Tools {
        let path = |name: &str| binaries.join(name).to_string_lossy().into_owned();
        let there = |name: &str| {
            let mut command = Command::new(name);
            let command = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|s| s.success())
        };
        Tools {
            asm: path("tal-asm"),
            check: path("tal-check"),
            load: path("tal-load"),
            weigh: path("weigh"),
            gnu: there("as"),
            valgrind: there("valgrind"),
        }
    }

    /// One row of the first table.
    fn timed(&self, directory: &Path, lines: u32) -> Result<()> {
        let files = Files::write(directory, lines)?;
        let check = cost(&self.check, &[&files.source])?;
        let asm = cost(&self.asm, &[&files.source, "-o", &files.object])?;
        let verify = cost(&self.load, &["verify", &files.object])?;
        let (text, notes) = sizes(&fs::read(&files.object)?);
        let (gnu, ratio) = if self.gnu {
            let gnu = cost("as", &["-o", &files.plain_object, &files.plain])?.seconds;
            (format!("{gnu:.2}"), format!("{:.0}", asm.seconds / gnu.max(0.01)))
        } else {
            ("-".into(), "-".into())
        };
        println!(
            "{:>8} {text:>8} {notes:>8} {:>5.0}% {:>8.2} {:>8.2} {:>7.2} {:>6.1} {:>6} {gnu:>8} \
             {ratio:>6}",
            files.lines,
            percent(notes, text),
            check.seconds,
            asm.seconds,
            verify.seconds,
            asm.seconds * 1e6 / f64::from(files.lines),
            asm.peak_kib / 1024,
        );
        Ok(())
    }

    /// One row of the second table.
    fn counted(&self, directory: &Path, lines: u32) -> Result<()> {
        let files = Files::write(directory, lines)?;
        let lines = u64::from(files.lines);
        let each = |count: Option<u64>| count.map(|count| count / lines);
        let shown = |count: Option<u64>| count.map_or("-".into(), |count| count.to_string());
        let asm = each(self.count(&self.asm, &[&files.source, "-o", &files.object])?);
        let verify = each(self.count(&self.load, &["verify", &files.object])?);
        let gnu = match self.gnu {
            true => each(self.count("as", &["-o", &files.plain_object, &files.plain])?),
            false => None,
        };
        let compiled = each(self.compiled(&files.source)?);
        let ratio = |count: Option<u64>| {
            let tenths = count.zip(gnu).map(|(count, gnu)| count * 10 / gnu.max(1));
            tenths.map_or("-".into(), |tenths| format!("{}.{}", tenths / 10, tenths % 10))
        };
        println!(
            "{lines:>8} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6}",
            shown(asm),
            shown(verify),
            shown(compiled),
            shown(gnu),
            ratio(asm),
            ratio(compiled)
        );
        Ok(())
    }

    /// Instructions that the entry for compilers executes: what a second run of it adds.
    fn compiled(&self, source: &str) -> Result<Option<u64>> {
        let once = self.count(&self.weigh, &["compile-once", source])?;
        let twice = self.count(&self.weigh, &["compile-twice", source])?;
        Ok(twice.zip(once).map(|(twice, once)| twice.saturating_sub(once)))
    }

    /// Instructions that a command executes; none without valgrind.
    fn count(&self, program: &str, arguments: &[&str]) -> Result<Option<u64>> {
        if !self.valgrind {
            return Ok(None);
        }
        let tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null", program];
        let output = command("valgrind", &[&tool, arguments].concat()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Some(collected(&said).with_context(|| program.to_owned())?))
    }
}

/// What a command took.
struct Cost {
    /// Of the processor, in the user's and the kernel's name; hundredths.
    seconds: f64,
    /// Most memory that it had at once.
    peak_kib: u64,
}

/// Runs a command to its end, which must be a success.
fn cost(program: &str, arguments: &[&str]) -> Result<Cost> {
    let mut command = command(program, arguments);
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let cost = watch(&child)?;
    if !child.wait()?.success() {
        bail!("{program} {arguments:?} failed");
    }
    Ok(cost)
}

/// Looks on until the process has ended; it must not yet have been waited for, since its times are
/// read after its end.
fn watch(child: &Child) -> Result<Cost> {
    let place = format!("/proc/{}", child.id());
    let mut peak_kib = 0;
    loop {
        let status = fs::read_to_string(format!("{place}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak.unwrap_or(peak_kib);
        let stat = fs::read_to_string(format!("{place}/stat"))?;
        // Behind the name, which may contain anything: state first, times as 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<f64>().ok());
            let ticks = ticks(11).zip(ticks(12)).context("times of a process")?;
            return Ok(Cost { seconds: (ticks.0 + ticks.1) / 100.0, peak_kib });
        }
        sleep(Duration::from_millis(2));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a percentage")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Bytes of text and annotations, by the program headers.
pub(crate) fn sizes(file: &[u8]) -> (u64, u64) {
    let field = |at: usize| {
        let bytes = file.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let (mut text, mut notes) = (0, 0);
    for header in (64..64 + 8 * 56).step_by(56) {
        match field(header) {
            0x5_0000_0001 => text = field(header + 32),
            0x4_6054_414C => notes = field(header + 32),
            _ => {}
        }
    }
    (text, notes)
}

/// Functions of three kinds, over and over, each called from the start: a sum over an array, a copy
/// with a bound, and straight arithmetic. 20 lines each on average.
pub(crate) fn program(lines: u32) -> String {
    let mut text =
        String::from("use \"kernel.tali\"\n\nbss words: [16]u64\nbss bytes: bytes[64]\n\n");
    let count = lines / 21;
    for i in 0..count {
        let body = match i % 3 {
            0 => SUM,
            1 => FILL,
            _ => MIX,
        };
        text.push_str(&body.replace("NAME", &format!("f{i}")));
    }
    text.push_str("entry fn start {\n");
    for i in 0..count.min(50) {
        let pointer = if i % 3 == 1 { "bytes" } else { "words" };
        let size = if i % 3 == 1 { 64 } else { 16 };
        let _ = writeln!(text, "        lea     rdi, [{pointer}]\n        mov     esi, {size}");
        let _ = writeln!(text, "        call    f{i}");
    }
    text.push_str("        xor     edi, edi\n        jmp     exit\n}\n");
    text
}

/// The same instructions for GNU as in Intel syntax: no types, and labels with the function's name.
fn plain(program: &str) -> String {
    let mut text =
        String::from(".intel_syntax noprefix\n.lcomm words, 128\n.lcomm bytes, 64\n.text\n");
    let mut function = "";
    for line in program.lines().skip_while(|line| !line.contains("fn ")) {
        let code = line.split(";;").next().unwrap_or_default();
        if let Some(head) = code.strip_prefix("fn ").or_else(|| code.strip_prefix("entry fn ")) {
            function = head.split(['(', ' ']).next().unwrap_or_default();
            let _ = writeln!(text, ".globl {function}\n{function}:");
        } else if !matches!(code.trim(), "{" | "}") {
            let code = code.replace("byte [", "byte ptr [");
            let _ = writeln!(text, "{}", code.replace('.', &format!(".L{function}_")));
        }
    }
    text
}

const SUM: &str = "\
;; The sum of n words.
fn NAME(rdi = a: &[n]u64, rsi = n) -> (rax)
{
        xor     eax, eax
        xor     ecx, ecx
        jmp     .test
.next:
        mov     rdx, [rdi + rcx*8]
        mov     r8, rdx
        shr     r8, 3
        xor     rdx, r8
        add     rax, rdx
        inc     rcx
.test:
        cmp     rcx, rsi
        jb      .next
        test    rax, rax
        jnz     .done
        mov     eax, 1
.done:
        ret
}

";

const FILL: &str = "\
;; Fills n bytes with their index.
fn NAME(rdi = a: &rw bytes[n], rsi = n) -> (rax = n)
{
        xor     ecx, ecx
        jmp     .test
.next:
        mov     [rdi + rcx], cl
        inc     rcx
.test:
        cmp     rcx, rsi
        jb      .next
        xor     ecx, ecx
        jmp     .again
.more:
        movzx   eax, byte [rdi + rcx]
        xor     eax, 0x55
        mov     [rdi + rcx], al
        inc     rcx
.again:
        cmp     rcx, rsi
        jb      .more
        mov     rax, rsi
        ret
}

";

const MIX: &str = "\
;; Mixes a number.
fn NAME(rdi = a: &[n]u64, rsi = n) -> (rax)
{
        mov     rax, rsi
        mov     rdx, 0x9e3779b97f4a7c15
        xor     rax, rdx
        mov     rcx, rax
        shr     rcx, 30
        xor     rax, rcx
        mov     rdx, 0xbf58476d1ce4e5b9
        imul    rax, rdx
        mov     rcx, rax
        shr     rcx, 27
        xor     rax, rcx
        mov     rcx, rax
        shl     rcx, 7
        add     rax, rcx
        test    eax, 1
        jz      .even
        not     rax
.even:
        ret
}

";

#[cfg(test)]
mod tests {
    use super::{plain, program, sizes};

    /// Every instruction of one program is in the other.
    #[test]
    fn both_programs_are_the_same() {
        let typed = program(500);
        let code = |line: &&str| line.starts_with("        ");
        assert_eq!(typed.lines().filter(code).count(), plain(&typed).lines().filter(code).count());
        assert!(plain(&typed).contains("jb      .Lf0_next"));
        assert!(!plain(&typed).contains('{'));
    }

    #[test]
    fn no_sizes_without_headers() {
        assert_eq!(sizes(&[]), (0, 0));
    }
}
