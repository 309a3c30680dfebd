//! Not trusted. `cargo xtask bench`: generated programs of 10k, 50k and 200k lines, to see that
//! time grows with the length and not faster.

use crate::demo::build;
use crate::run::{command, root};
use anyhow::{Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

/// One table row a size.
pub(crate) fn bench() -> Result<()> {
    let binaries = build()?;
    let directory = root().join("target/bench");
    fs::create_dir_all(&directory)?;
    println!(
        "{:>8} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "lines", "text", "notes", "check", "assemble", "verify", "us a line"
    );
    for lines in [10_000, 50_000, 200_000] {
        let source = directory.join(format!("{lines}.tal"));
        let object = directory.join(format!("{lines}"));
        fs::write(&source, program(lines))?;
        let (source, object) = (source.to_string_lossy(), object.to_string_lossy());
        let timed = |tool: &str, arguments: &[&str]| -> Result<Duration> {
            let start = Instant::now();
            let name = binaries.join(tool).to_string_lossy().into_owned();
            let output = command(&name, arguments).output()?;
            if !output.status.success() {
                bail!("{tool}: {}", String::from_utf8_lossy(&output.stderr));
            }
            Ok(start.elapsed())
        };
        let check = timed("tal-check", &[&source])?;
        let assemble = timed("tal-asm", &[&source, "-o", &object])?;
        let verify = timed("tal-load", &["verify", &object])?;
        let (text, notes) = sizes(&fs::read(&*object)?);
        let micros = assemble.as_secs_f64() * 1e6 / f64::from(lines);
        println!(
            "{lines:>8} {text:>9} {notes:>9} {:>8.2}s {:>8.2}s {:>8.1}ms {micros:>10.2}",
            check.as_secs_f64(),
            assemble.as_secs_f64(),
            verify.as_secs_f64() * 1e3
        );
    }
    Ok(())
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
