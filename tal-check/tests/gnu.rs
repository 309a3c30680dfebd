//! Not trusted: a test. What is written is what runs: every form of an instruction that is accepted
//! is assembled here and by GNU as, and what came of it is read by two disassemblers.
//!
//! The forms are made from the instruction table itself, so a row that is added is compared, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use iced_x86::{
    Code, Decoder, DecoderOptions, Formatter, IntelFormatter, OpCodeOperandKind as Spec,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tal_check::elaborate::lower;
use tal_check::encodings::codes;
use tal_check::lower::TEXT_ADDRESS;
use tal_check::lowered::Lowered;

/// Addresses in all their shapes; `table` is data.
const ADDRESSES: &[&str] = &[
    "[rdi]",
    "[rbp]",
    "[rsp]",
    "[r12]",
    "[r13]",
    "[rsi + 8]",
    "[rsi - 128]",
    "[rsi + 128]",
    "[rsi - 129]",
    "[rbp - 8]",
    "[rsp + 16]",
    "[r12 + 0x12345]",
    "[rax + rcx]",
    "[rcx + rbp]",
    "[rbp + rcx]",
    "[r13 + r14]",
    "[rsp + rdx]",
    "[rax + rcx*4]",
    "[rbp + r9*2]",
    "[rax + r12*8 + 0x1234]",
    "[rcx*8 + 64]",
    "[r12*4]",
    "[rbp*8]",
    "[rdi + rdi]",
    "[rdi*2]",
    "[rbp*2]",
    "[r13*2 + 1]",
    "[rdi*3]",
    "[r13*9 + 1]",
    "[rbp*5]",
    "[table]",
    "[table + 8]",
    "[table + rbx]",
    "[table + rcx*8]",
    "[table + rcx*2]",
    "[table + rbp + rcx*4 + 8]",
    "[rsp + 0x7fffffff]",
    "[rsp - 0x80000000]",
];

/// Registers of a width: the first, those with a prefix or form of their own, the last.
fn registers(bytes: u8) -> Vec<String> {
    let names: &[&str] = match bytes {
        1 => &["al", "cl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r12b", "r15b"],
        2 => &["ax", "cx", "bx", "sp", "bp", "si", "r8w", "r13w", "r15w"],
        4 => &["eax", "ecx", "ebx", "esp", "ebp", "esi", "r8d", "r12d", "r15d"],
        _ => &["rax", "rcx", "rbx", "rsp", "rbp", "rsi", "r8", "r12", "r13", "r15"],
    };
    names.iter().map(ToString::to_string).collect()
}

fn memory(bytes: Option<u8>) -> Vec<String> {
    let size = match bytes {
        None => "",
        Some(1) => "byte ",
        Some(2) => "word ",
        Some(4) => "dword ",
        Some(_) => "qword ",
    };
    ADDRESSES.iter().map(|address| format!("{size}{address}")).collect()
}

/// Constants at the ends of everything that they may have to fit into.
fn constants(bits: &[u32]) -> Vec<String> {
    let mut all: BTreeSet<i128> = [0, 1, 2, 5, -1].into();
    for bits in bits {
        let half = 1_i128 << (bits - 1);
        all.extend([half - 1, half, -half, -half - 1, 2 * half - 1, 2 * half]);
    }
    all.iter().map(ToString::to_string).collect()
}

/// What may be written for one operand of an encoding.
fn operands(kind: Spec) -> Vec<String> {
    let both = |bytes| [registers(bytes), memory(Some(bytes))].concat();
    match kind {
        Spec::r8_or_mem => both(1),
        Spec::r16_or_mem => both(2),
        Spec::r32_or_mem => both(4),
        Spec::r64_or_mem => both(8),
        Spec::r8_reg | Spec::r8_opcode => registers(1),
        Spec::r16_reg | Spec::r16_opcode => registers(2),
        Spec::r32_reg | Spec::r32_opcode => registers(4),
        Spec::r64_reg | Spec::r64_opcode => registers(8),
        Spec::mem => memory(None),
        Spec::al => vec!["al".into()],
        Spec::cl => vec!["cl".into()],
        Spec::ax => vec!["ax".into()],
        Spec::eax => vec!["eax".into()],
        Spec::rax => vec!["rax".into()],
        Spec::imm8_const_1 => vec!["1".into()],
        Spec::imm8 => [constants(&[8]), vec!["7".into(), "31".into(), "63".into()]].concat(),
        Spec::imm16 | Spec::imm8sex16 => constants(&[8, 16]),
        Spec::imm32 | Spec::imm8sex32 => constants(&[8, 32]),
        Spec::imm32sex64 | Spec::imm8sex64 | Spec::imm64 => constants(&[8, 32, 64]),
        other => panic!("an operand of a new kind: {other:?}"),
    }
}

/// Other names of conditions.
const ALIASES: &[(&str, &[&str])] = &[
    ("b", &["c", "nae"]),
    ("ae", &["nb", "nc"]),
    ("e", &["z"]),
    ("ne", &["nz"]),
    ("be", &["na"]),
    ("a", &["nbe"]),
    ("p", &["pe"]),
    ("np", &["po"]),
    ("l", &["nge"]),
    ("ge", &["nl"]),
    ("le", &["ng"]),
    ("g", &["nle"]),
];

fn names(code: Code) -> Vec<String> {
    let name = format!("{:?}", code.mnemonic()).to_lowercase();
    let mut names = vec![name.clone()];
    for prefix in ["set", "cmov"] {
        let Some(condition) = name.strip_prefix(prefix) else { continue };
        let others = ALIASES.iter().find(|(first, _)| *first == condition);
        names.extend(others.iter().flat_map(|(_, o)| o.iter()).map(|o| format!("{prefix}{o}")));
    }
    if name == "shl" {
        names.push("sal".into());
    }
    names
}

/// Codes that go to a label are compared by a program of their own; others are not written by name.
fn is_branch(code: Code) -> bool {
    let info = code.op_code();
    (0..info.op_count()).any(|n| matches!(info.op_kind(n), Spec::br64_1 | Spec::br64_4))
}

/// Every line that the table lets one hope for: each operand in all its forms, the others in their
/// first and last; registers in all pairs.
fn candidates() -> Vec<String> {
    let mut lines: BTreeSet<String> = BTreeSet::new();
    for code in codes().filter(|code| !is_branch(*code)) {
        let info = code.op_code();
        for name in names(code) {
            let string = matches!(info.op_kind(0), Spec::seg_rSI | Spec::es_rDI)
                || matches!(info.op_kind(1), Spec::seg_rSI | Spec::es_rDI);
            if string || info.op_count() == 0 {
                let prefixes = ["", "rep ", "repe ", "repz ", "repne ", "repnz "];
                lines.extend(prefixes.iter().map(|prefix| format!("{prefix}{name}")));
                continue;
            }
            let kinds: Vec<Vec<String>> =
                (0..info.op_count()).map(|n| operands(info.op_kind(n))).collect();
            for (n, kind) in kinds.iter().enumerate() {
                for one in kind {
                    for other in [0, usize::MAX] {
                        let pick = |(m, all): (usize, &Vec<String>)| {
                            let at = other.min(all.len() - 1);
                            if m == n { one.clone() } else { all[at].clone() }
                        };
                        let list: Vec<String> = kinds.iter().enumerate().map(pick).collect();
                        lines.insert(format!("{name} {}", list.join(", ")));
                    }
                }
            }
            if let [left, right, ..] = kinds.as_slice() {
                for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
                    if kinds.len() == 2 && !a.contains('[') && !b.contains('[') {
                        lines.insert(format!("{name} {a}, {b}"));
                    }
                }
            }
        }
    }
    lines.extend(sugar(&lines));
    lines.into_iter().collect()
}

/// What may be left out or said otherwise: the width of memory beside a register, the register that
/// is multiplied by a constant, the last letter of `movsxd`.
fn sugar(lines: &BTreeSet<String>) -> Vec<String> {
    let mut more = Vec::new();
    for line in lines {
        for size in [" byte [", " word [", " dword [", " qword ["] {
            if line.contains(size) {
                more.push(line.replace(size, " ["));
            }
        }
        if let Some(("imul", rest)) = line.split_once(' ')
            && let [a, b, c] = rest.split(", ").collect::<Vec<_>>()[..]
            && a == b
        {
            more.push(format!("imul {a}, {c}"));
        }
        if let Some(rest) = line.strip_prefix("movsxd ") {
            more.push(format!("movsx {rest}"));
        }
    }
    more
}

/// One instruction a line, in a function; the lines that are refused, by number.
fn ours(lines: &[String]) -> Result<Lowered, BTreeSet<usize>> {
    let head = "rodata table: [64]u64 = times 64 0\npub fn f()\n{\n";
    let text = format!("{head}{}\nret\n}}\n", lines.join("\n"));
    let files = BTreeMap::from([("gnu.tal".to_owned(), text)]);
    let outcome = lower(Path::new("gnu.tal"), &files).unwrap();
    if let Some(lowered) = outcome.lowered {
        return Ok(lowered);
    }
    let first = head.lines().count();
    let line = |span| outcome.sources.position(span).unwrap().line as usize;
    let refused = outcome.diags.iter().filter(|d| d.is_error());
    let refused: BTreeSet<usize> = refused
        .map(|d| {
            let at = (line(d.primary.span)).checked_sub(first + 1).filter(|at| *at < lines.len());
            at.unwrap_or_else(|| panic!("{d:#?}"))
        })
        .collect();
    Err(refused)
}

/// The line as GNU as reads it.
fn translated(line: &str) -> String {
    let sized = ["byte [", "word [", "dword [", "qword ["];
    let mut line = line.replace(';', "#");
    if let Some(size) = sized.iter().rev().find(|size| line.contains(*size)) {
        line = line.replace(size, &size.replace(" [", " ptr ["));
    }
    let other = [
        ("[table]", "[rip + table]"),
        ("[table + 8]", "[rip + table + 8]"),
        ("rdi*3", "rdi + rdi*2"),
        ("rbp*5", "rbp + rbp*4"),
        ("r13*9", "r13 + r13*8"),
    ];
    other.iter().fold(line, |line, (from, to)| line.replace(from, to))
}

fn tool(directory: &Path, command: &[&str]) -> String {
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(directory)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("{} must be installed: {e}", command[0]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors:.4000}");
    String::from_utf8(output.stdout).unwrap()
}

fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// The text that GNU as makes of it, linked where ours stands.
fn theirs(directory: &Path, source: &str, table: u64) -> Vec<u8> {
    std::fs::write(directory.join("a.s"), source).unwrap();
    tool(directory, &["as", "--64", "-msyntax=intel", "-mnaked-reg", "-o", "a.o", "a.s"]);
    let (text, table) = (format!("-Ttext={TEXT_ADDRESS:#x}"), format!("table={table:#x}"));
    tool(directory, &["ld", &text, "--defsym", &table, "-e", "0", "-o", "a", "a.o"]);
    tool(directory, &["objcopy", "-O", "binary", "-j", ".text", "a", "a.bin"]);
    std::fs::read(directory.join("a.bin")).unwrap()
}

/// What iced-x86 reads: offset, length, code, text.
fn read(bytes: &[u8]) -> Vec<(usize, Code, String)> {
    let mut decoder = Decoder::with_ip(64, bytes, u64::from(TEXT_ADDRESS), DecoderOptions::NONE);
    let mut formatter = IntelFormatter::new();
    let mut found = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        assert!(!instruction.is_invalid(), "at {:#x}", instruction.ip());
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        found.push((instruction.len(), instruction.code(), text));
    }
    found
}

/// What objdump reads: offset and text. An address relative to rip is shown as where it leads.
fn dumped(directory: &Path, bytes: &[u8]) -> Vec<(u64, String)> {
    std::fs::write(directory.join("raw"), bytes).unwrap();
    let adjust = format!("--adjust-vma={TEXT_ADDRESS:#x}");
    let how = ["objdump", "-D", "-w", "-b", "binary", "-m", "i386:x86-64", "-M", "intel"];
    let rest = ["--no-show-raw-insn", &adjust, "raw"];
    let text = tool(directory, &[&how[..], &rest[..]].concat());
    let lines = text.lines().filter_map(|line| {
        let (address, rest) = line.split_once(":\t")?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        let (code, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let code = match code.split_once("[rip") {
            Some((before, after)) => {
                let behind = after.split_once(']').map_or("", |(_, behind)| behind);
                format!("{before}[{}]{behind}", comment.trim())
            }
            None => code.to_owned(),
        };
        Some((
            address - u64::from(TEXT_ADDRESS),
            code.split_whitespace().collect::<Vec<_>>().join(" "),
        ))
    });
    lines.collect()
}

/// The text with `[r+r*1+0x0]` as `[r*2]`.
fn doubled(text: &str) -> String {
    let Some((before, (inside, behind))) =
        text.split_once('[').and_then(|(b, rest)| Some((b, rest.split_once(']')?)))
    else {
        return text.to_owned();
    };
    let parts: Vec<&str> = inside.split('+').filter(|part| *part != "0x0").collect();
    let parts = match parts.as_slice() {
        [a, b, rest @ ..] if *b == format!("{a}*1") => {
            [&[format!("{a}*2")][..], &rest.iter().map(ToString::to_string).collect::<Vec<_>>()]
                .concat()
        }
        parts => parts.iter().map(ToString::to_string).collect(),
    };
    format!("{before}[{}]{behind}", parts.join("+"))
}

/// Two texts that mean the same, or a longer encoding, and why.
fn justified(line: &str, longer: bool, ours: &str, theirs: &str) -> Option<&'static str> {
    if !longer && doubled(ours) == doubled(theirs) {
        return Some("`[r*2]` is `[r + r]`, which needs no four bytes of displacement");
    }
    match line {
        "xchg ax, ax" => Some("as writes `nop` with a prefix, which changes no more"),
        "xchg rax, rax" => Some("as writes `nop`, which changes no more"),
        _ => None,
    }
}

/// Encodings of the table that no line can ask for, and why.
fn unwritable(code: Code) -> Option<&'static str> {
    match code {
        Code::Nopw | Code::Nop_rm16 | Code::Nop_rm32 => {
            Some("padding; a source has the short `nop`")
        }
        _ => None,
    }
}

#[test]
fn every_accepted_form_means_what_gnu_as_makes_of_it() {
    let mut lines = candidates();
    let asked = lines.len();
    let lowered = loop {
        match ours(&lines) {
            Ok(lowered) => break lowered,
            Err(refused) => {
                let mut at = 0..;
                lines.retain(|_| !refused.contains(&at.next().unwrap()));
            }
        }
    };
    println!("{asked} lines written, {} accepted", lines.len());
    let directory = directory("gnu");
    let source: String = lines.iter().fold(".text\n".into(), |mut text, line| {
        writeln!(text, "{}", translated(line)).unwrap();
        text
    });
    let table = u64::from(lowered.data[0].address);
    let theirs = theirs(&directory, &format!("{source}ret\n"), table);
    let size = lowered.functions[0].size as usize;
    let bytes = &lowered.text[..size];
    let (a, b) = (read(bytes), read(&theirs));
    let (c, d) = (dumped(&directory, bytes), dumped(&directory, &theirs));
    assert_eq!(a.len(), lines.len() + 1);
    assert_eq!((b.len(), c.len(), d.len()), (a.len(), a.len(), a.len()));
    let mut wrong = Vec::new();
    let mut excused: BTreeMap<&str, u32> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut at = 0;
    for (i, line) in lines.iter().enumerate() {
        seen.insert(a[i].1 as usize);
        let offset = lowered.functions[0].instructions[i].offset;
        assert_eq!((u64::from(offset), u64::from(offset)), (c[i].0, at), "{line}");
        at += a[i].0 as u64;
        let (left, right) = (&a[i].2, &b[i].2);
        let same = left == right && c[i].1 == d[i].1;
        if !same || a[i].0 > b[i].0 {
            match justified(line, a[i].0 > b[i].0, &c[i].1, &d[i].1) {
                Some(why) => *excused.entry(why).or_default() += 1,
                None => wrong.push(format!(
                    "`{line}`: {left} ({} bytes), as: {right} ({}); objdump: {} and {}",
                    a[i].0, b[i].0, c[i].1, d[i].1
                )),
            }
        }
    }
    for code in codes().filter(|code| !is_branch(*code)) {
        if !seen.contains(&(code as usize)) && unwritable(code).is_none() {
            wrong.push(format!("no line makes {code:?}"));
        }
    }
    println!("{excused:#?}");
    let (count, first) = (wrong.len(), wrong.iter().take(60).collect::<Vec<_>>());
    assert!(wrong.is_empty(), "{count} differences: {first:#?}");
}

/// Jumps and calls, near and far, forward and back, by each name of each condition: the bytes.
#[test]
fn branches_are_those_of_gnu_as() {
    let mut mnemonics = vec!["jmp".to_owned()];
    for code in codes().filter(|code| is_branch(*code)) {
        let name = format!("{:?}", code.mnemonic()).to_lowercase();
        let Some(condition) = name.strip_prefix('j').filter(|rest| *rest != "mp") else { continue };
        let others = ALIASES.iter().find(|(first, _)| *first == condition);
        mnemonics.push(name.clone());
        mnemonics.extend(others.iter().flat_map(|(_, o)| o.iter()).map(|o| format!("j{o}")));
    }
    mnemonics.sort();
    mnemonics.dedup();
    assert_eq!(mnemonics.len(), 1 + 30);
    let (mut left, mut right) = (String::from("pub fn f()\n{\n"), String::from(".text\nf:\n"));
    let mut both = |a: &str, b: &str| {
        writeln!(left, "{a}").unwrap();
        writeln!(right, "{b}").unwrap();
    };
    for (i, name) in mnemonics.iter().enumerate() {
        both(&format!(".a{i}:"), &format!(".La{i}:"));
        // 127 bytes are within reach of a short jump forward.
        for (j, filling) in [0_usize, 1, 126, 127, 128, 200].into_iter().enumerate() {
            both(&format!("{name} .f{i}x{j}"), &format!("{name} .Lf{i}x{j}"));
            (0..filling).for_each(|_| both("nop", "nop"));
            both(&format!(".f{i}x{j}:"), &format!(".Lf{i}x{j}:"));
            both(&format!("{name} .f{i}x{j}"), &format!("{name} .Lf{i}x{j}"));
        }
        both(&format!("{name} .a{i}"), &format!("{name} .La{i}"));
        both("call g", "call g");
        both("jmp g", "jmp g");
        both(&format!("{name} g"), &format!("{name} g"));
    }
    // A jump to a function is always long here: its address is known after its length.
    (0..200).for_each(|_| both("nop", "nop"));
    both("ret", "ret");
    left += "}\nfn g()\n{\nret\n}\n";
    right += ".balign 16, 0xcc\n.globl g\ng:\nret\n";
    let files = BTreeMap::from([("gnu.tal".to_owned(), left)]);
    let outcome = lower(Path::new("gnu.tal"), &files).unwrap();
    let lowered = outcome.lowered.unwrap_or_else(|| panic!("{:#?}", outcome.diags));
    let theirs = theirs(&directory("gnu-branches"), &right, 0);
    let size = (lowered.functions[1].offset + lowered.functions[1].size) as usize;
    let both = read(&lowered.text[..size]).into_iter().zip(read(&theirs));
    let other = both.enumerate().find(|(_, (left, right))| left != right);
    assert!(other.is_none(), "{other:?}");
    assert!(theirs == lowered.text[..size]);
}
