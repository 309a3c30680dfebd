//! Not trusted: a bug here can reject, never admit. Lines written as in other assemblers, and how
//! they are written here.
//!
//! Only what was refused comes here: a line that means something is never looked at. A habit is
//! found in the words of one line; its edit replaces that line.

mod att;
mod intel;

use crate::diag::{Code, Diag};
use crate::span::Span;

/// A line that another assembler would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// What is not written here.
    pub message: String,
    /// What is written instead.
    pub help: String,
    /// The line as it is written here, where one line or two say the same.
    pub line: Option<String>,
    /// Signs of AT&T syntax?
    pub att: bool,
}

impl Habit {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Habit {
        Habit { message: message.into(), help: help.into(), line: None, att: false }
    }

    /// The diagnostic for the line at this place.
    pub fn diag(self, code: Code, line: Span) -> Diag {
        let diag = Diag::error(code, line, self.message);
        match self.line {
            Some(right) => diag.with_edit(self.help, line, right),
            None => diag.with_help(self.help),
        }
    }

    fn becomes(mut self, line: impl Into<String>) -> Habit {
        self.line = Some(line.into());
        self
    }
}

/// A line of more bytes is nobody's habit, and not looked at.
const LONGEST: usize = 400;

/// The line around a byte of the text: its place, without blanks around it and without its comment.
#[must_use]
pub fn line_at(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let near = bytes.get(at.saturating_sub(LONGEST)..at)?;
    let start = match near.iter().rposition(|b| *b == b'\n') {
        Some(n) => at - near.len() + n + 1,
        None if near.len() == at => 0,
        None => return None,
    };
    let rest = bytes.get(start..(start + LONGEST).min(bytes.len()))?;
    let end = match rest.iter().position(|b| *b == b'\n') {
        Some(n) => start + n,
        None if start + rest.len() == bytes.len() => bytes.len(),
        None => return None,
    };
    let code = without_comment(text.get(start..end)?);
    let lead = code.len() - code.trim_start().len();
    Some(start + lead..start + lead + code.trim().len())
}

/// The text before a `;` that stands in no string.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, ';') => return line.get(..at).unwrap_or(line),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    line
}

/// The first word, and what follows it.
fn split(line: &str) -> (&str, &str) {
    let line = line.trim();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim())
}

/// Something between declarations that another assembler would take.
#[must_use]
pub fn declaration(line: &str) -> Option<Habit> {
    let (first, rest) = split(line);
    let (first, rest) = match first.strip_prefix(['%', '#']) {
        // `% define` and `# define` are rare, but cost nothing.
        Some("") => split(rest),
        _ => (first, rest),
    };
    let name = first.trim_end_matches(':');
    let (second, value) = split(rest);
    let declared = match second.to_ascii_lowercase().as_str() {
        "equ" | "=" => constant(name, value),
        _ => datum(name, second, value),
    };
    declared.or_else(|| directive(first, rest)).or_else(|| {
        if !is_name(name) {
            return None;
        }
        match second.to_ascii_lowercase().as_str() {
            "proc" => Some(
                Habit::new("there is no `proc`", "a function is `fn name(..) -> (..) { .. }`")
                    .becomes(format!("fn {name}")),
            ),
            "" if matches!(name, "_start" | "start" | "main") && first.ends_with(':') => {
                Some(Habit::new(
                    "code stands in the braces of a function",
                    "a program begins with `entry fn start { .. }`",
                ))
            }
            "" if first.ends_with(':') => Some(Habit::new(
                "code stands in the braces of a function",
                format!("write `fn {name}(..) -> (..) {{ .. }}`; its labels begin with a dot"),
            )),
            _ => None,
        }
    })
}

/// A directive by its word.
fn directive(word: &str, rest: &str) -> Option<Habit> {
    let low = word.to_ascii_lowercase();
    let plain = low.trim_start_matches(['.', '%', '#']);
    let dotted = low.starts_with('.');
    Some(match plain {
        "section" | "segment" => no_sections(),
        "text" | "data" | "bss" | "rodata" if dotted => no_sections(),
        "global" | "globl" | "public" | "export" => Habit::new(
            format!("there is no `{word}`"),
            "`pub fn` exports a function, and a program begins with `entry fn start`",
        )
        .becomes(""),
        "extern" | "extrn" | "import" => Habit::new(
            format!("there is no `{word}`"),
            "`use \"kernel.tali\"` declares what the host offers, and `use \"file.tal\"` shows \
             what another file has as `pub`",
        ),
        "bits" | "use64" | "default" | "org" | "cpu" | "code64" | "intel_syntax" | "file"
        | "type" | "size" | "ident" | "att_syntax"
            if dotted || !matches!(plain, "type" | "size" | "file" | "ident") =>
        {
            Habit::new(format!("there is no `{word}`"), "it is not needed: remove the line")
                .becomes("")
        }
        cfi if dotted && cfi.starts_with("cfi_") => {
            Habit::new(format!("there is no `{word}`"), "it is not needed: remove the line")
                .becomes("")
        }
        "align" | "balign" | "p2align" | "even" => aligned(word),
        "define" | "assign" | "equ" | "set" | "let" => {
            let (name, value) = split(rest);
            return constant(name.trim_end_matches(','), value.trim_start_matches('='));
        }
        "include" | "incbin" => {
            let habit = Habit::new(
                format!("there is no `{word}`"),
                "`use \"file.tal\"` makes the declarations of a file known",
            );
            let quoted = rest.len() > 2 && rest.starts_with('"') && rest.ends_with('"');
            if quoted { habit.becomes(format!("use {rest}")) } else { habit }
        }
        "macro" | "imacro" | "rept" | "rep" | "endm" | "endmacro" | "if" | "ifdef" | "ifndef"
        | "endif" | "else"
            if dotted || low != plain || plain.contains("macro") =>
        {
            Habit::new("there are no macros", "write a function, or a `const`")
        }
        "struc" | "istruc" | "endstruc" => {
            Habit::new(format!("there is no `{word}`"), "a struct is `struct name { field: u64 }`")
        }
        "comm" | "lcomm" => {
            let mut parts = rest.split(',').map(str::trim);
            return datum(parts.next()?, "resb", parts.next()?);
        }
        _ => return datum_without_name(plain, dotted),
    })
}

fn no_sections() -> Habit {
    Habit::new(
        "there are no sections to choose",
        "`rodata`, `data` and `bss` say it of each piece of data, and code stands in functions",
    )
    .becomes("")
}

fn aligned(word: &str) -> Habit {
    Habit::new(
        format!("there is no `{word}`"),
        "functions and data are aligned as they need it: remove the line",
    )
    .becomes("")
}

/// `const name = value`
fn constant(name: &str, value: &str) -> Option<Habit> {
    let value = value.trim();
    if !is_name(name) || value.is_empty() {
        return None;
    }
    let here = value.strip_prefix(['$', '.']).map(str::trim_start);
    let of = here.and_then(|v| v.strip_prefix('-')).map(str::trim);
    let line = match of.filter(|of| is_name(of)) {
        Some(of) => format!("const {name} = sizeof {of}"),
        None => format!("const {name} = {value}"),
    };
    let help = format!("write `{line}`");
    Some(Habit::new("a constant is declared by `const`", help).becomes(line))
}

/// Bytes of the units of data directives, for `db` and `.byte`.
fn unit(word: &str) -> Option<(u32, bool)> {
    let low = word.to_ascii_lowercase();
    Some(match low.trim_start_matches('.') {
        "db" | "byte" | "ascii" => (1, false),
        "asciz" | "string" => (1, true),
        "dw" | "word" | "short" | "hword" | "2byte" => (2, false),
        "dd" | "long" | "int" | "4byte" => (4, false),
        "dq" | "quad" | "8byte" => (8, false),
        _ => return None,
    })
}

fn reserved(word: &str) -> Option<u32> {
    let low = word.to_ascii_lowercase();
    Some(match low.as_str() {
        "resb" | ".space" | ".skip" | ".zero" => 1,
        "resw" => 2,
        "resd" => 4,
        "resq" => 8,
        _ => return None,
    })
}

/// `name db value`
fn datum(name: &str, word: &str, value: &str) -> Option<Habit> {
    if !is_name(name) || value.is_empty() {
        return None;
    }
    let line = if let Some(bytes) = reserved(word) {
        match bytes {
            1 => format!("bss {name}: bytes[{value}]"),
            n => format!("bss {name}: [{value}]u{}", n * 8),
        }
    } else if word.eq_ignore_ascii_case("times") {
        let (count, rest) = split(value);
        let (of, rest) = split(rest);
        match unit(of)? {
            (1, _) if rest == "0" => format!("bss {name}: bytes[{count}]"),
            (1, _) => format!("rodata {name}: bytes = times {count} {rest}"),
            (n, _) => format!("rodata {name}: [{count}]u{} = times {count} {rest}", n * 8),
        }
    } else {
        match unit(word)? {
            (1, true) => format!("rodata {name}: bytes = {value}, 0"),
            (1, false) => format!("rodata {name}: bytes = {value}"),
            (n, _) if value.contains(',') => {
                let count = value.split(',').count();
                format!("rodata {name}: [{count}]u{} = {value}", n * 8)
            }
            (n, _) => format!("rodata {name}: u{} = {value}", n * 8),
        }
    };
    let help = match line.starts_with("rodata") {
        true => format!("write `{line}`, with `data` if the program writes it"),
        false => format!("write `{line}`"),
    };
    Some(Habit::new("data is declared by `rodata`, `data` or `bss`", help).becomes(line))
}

/// `db 1`, without a name.
fn datum_without_name(plain: &str, dotted: bool) -> Option<Habit> {
    let word = if dotted { format!(".{plain}") } else { plain.to_owned() };
    // `byte`, `word` and others are good names when no dot stands before them.
    let known = reserved(&word).is_some()
        || (dotted && unit(plain).is_some())
        || matches!(plain, "db" | "dw" | "dd" | "dq");
    known.then(|| {
        Habit::new(
            format!("there is no `{word}`"),
            "data has a name and stands outside of functions: `rodata name: bytes = \"text\", 10`",
        )
    })
}

fn is_name(word: &str) -> bool {
    let first = word.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A line of code that another assembler would take.
#[must_use]
pub fn code(line: &str) -> Option<Habit> {
    let (label, rest) = label(line);
    if rest.is_empty() {
        return label.and_then(|l| numeric_label(l, ""));
    }
    let habit = att::att(rest).or_else(|| {
        let (word, operands) = split(rest);
        outside(word, operands).or_else(|| intel::intel(rest))
    });
    match (label, habit) {
        (None, habit) => habit,
        (Some(label), None) => numeric_label(label, rest),
        (Some(label), Some(mut habit)) => {
            let own = number(label).map_or(label.to_owned(), |n| format!(".l{n}:"));
            habit.line = habit.line.map(|line| format!("{own} {line}"));
            Some(habit)
        }
    }
}

/// A label in front, its colon included.
fn label(line: &str) -> (Option<&str>, &str) {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let end = line.find(|c| !word(c)).unwrap_or(line.len());
    match line.get(end..).and_then(|rest| rest.strip_prefix(':')) {
        Some(rest) if end > 0 => (line.get(..=end), rest.trim()),
        _ => (None, line.trim()),
    }
}

/// The number of `1:`.
fn number(label: &str) -> Option<&str> {
    let digits = label.trim_end_matches(':');
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
}

fn numeric_label(label: &str, rest: &str) -> Option<Habit> {
    let n = number(label)?;
    let line = format!(".l{n}: {rest}");
    let help = format!("write `.l{n}:`, and `.l{n}` where it is jumped to");
    Some(Habit::new("a label is a dot and a name", help).becomes(line.trim_end()))
}

/// Directives between instructions.
fn outside(word: &str, operands: &str) -> Option<Habit> {
    let low = word.to_ascii_lowercase();
    let habit = directive(&low, operands)?;
    let moves = habit.line.as_ref().is_some_and(|l| !l.is_empty());
    // What becomes a declaration must be moved out of the function first.
    Some(if moves { Habit { line: None, ..habit } } else { habit })
}

/// Pieces of a line: words, blanks, strings, signs.
fn pieces(line: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' || c == '.' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut out: Vec<String> = Vec::new();
    let mut quote = None;
    let mut last = None;
    for c in line.chars() {
        let joins = quote.is_some() || (last == Some(class(c)) && class(c) != 2);
        match out.last_mut().filter(|_| joins) {
            Some(piece) => piece.push(c),
            None => out.push(c.to_string()),
        }
        quote = match quote {
            None if matches!(c, '"' | '\'') => Some(c),
            Some(q) if q == c => None,
            quote => quote,
        };
        last = (quote.is_none()).then(|| class(c));
    }
    out
}

/// With one blank where there are many.
fn single(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `1f`, `1b` as `.l1`.
fn back_or_forth(word: &str) -> Option<String> {
    let digits = word.strip_suffix(['b', 'f'])?;
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| format!(".l{digits}"))
}

/// Names that other assemblers have for an instruction.
fn renamed(mnemonic: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 14] = [
        ("movabs", "mov"),
        ("retn", "ret"),
        ("retq", "ret"),
        ("cltq", "cdqe"),
        ("cqto", "cqo"),
        ("cltd", "cdq"),
        ("cwtl", "cwde"),
        ("movslq", "movsxd"),
        ("cmpstrb", "cmpsb"),
        ("lodstrb", "lodsb"),
        ("stostrb", "stosb"),
        ("movstrb", "movsb"),
        ("movstrq", "movsq"),
        ("endbr", "endbr64"),
    ];
    let other = NAMES.iter().find(|(from, _)| *from == mnemonic).map(|n| n.1);
    other.or_else(|| suffixed(mnemonic).map(|(base, _)| base))
}

/// The mnemonic without the letter that gives its width in AT&T syntax, and the size that the
/// letter stands for.
fn suffixed(mnemonic: &str) -> Option<(&'static str, Option<&'static str>)> {
    const BASES: [&str; 34] = [
        "mov", "add", "sub", "cmp", "test", "and", "or", "xor", "lea", "push", "pop", "inc", "dec",
        "neg", "not", "shl", "shr", "sar", "sal", "rol", "ror", "imul", "mul", "div", "idiv",
        "ret", "call", "jmp", "adc", "sbb", "xchg", "bt", "bswap", "leave",
    ];
    let extends = |from: &str, to: &'static str| {
        let rest = mnemonic.strip_prefix(from)?;
        let size = match rest {
            "bw" | "bl" | "bq" | "b" => "byte",
            "wl" | "wq" | "w" => "word",
            _ => return None,
        };
        (rest.len() == 2).then_some((to, Some(size)))
    };
    if let Some(found) = extends("movz", "movzx").or_else(|| extends("movs", "movsx")) {
        return Some(found);
    }
    let last = mnemonic.chars().next_back()?;
    let size = match last {
        'b' => "byte",
        'w' => "word",
        'l' => "dword",
        'q' => "qword",
        _ => return None,
    };
    let base = mnemonic.get(..mnemonic.len() - 1)?;
    BASES.iter().find(|b| **b == base).map(|b| (*b, Some(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(habit: Option<Habit>) -> String {
        habit.and_then(|h| h.line).unwrap_or_else(|| "-".to_owned())
    }

    #[test]
    fn code_of_other_assemblers_is_rewritten() {
        let pairs = [
            ("MOV EDI, 5", "MOV edi, 5"),
            ("movabs rdi, 5", "mov rdi, 5"),
            ("movzx edi, byte [rel r]", "movzx edi, byte [r]"),
            ("movzx edi, byte [rip + r]", "movzx edi, byte [r]"),
            ("movzx edi, byte [r + rip]", "movzx edi, byte [r]"),
            ("jmp short .a", "jmp .a"),
            ("mov eax, DWORD PTR [rbp-4]", "mov eax, dword [rbp-4]"),
            ("mov QWORD [rax], 1", "mov qword [rax], 1"),
            ("mov rax, offset msg", "lea     rax, [msg]"),
            ("loop .next", "dec     rcx\n        jnz     .next"),
            ("jnz 1b", "jnz .l1"),
            ("1:", ".l1:"),
            ("1: inc rax", ".l1: inc rax"),
            (".a: movq %rax, %rbx", ".a: mov     rbx, rax"),
            ("movl $5, 8(%rdi,%rcx,4)", "mov     dword [rdi + rcx*4 + 8], 5"),
            ("movzbl (%rdi), %eax", "movzx   eax, byte [rdi]"),
            ("leaq msg(%rip), %rsi", "lea     rsi, [msg]"),
            ("movq $msg, %rsi", "lea     rsi, [msg]"),
            ("addq -8(%rdi), %rax", "add     rax, [rdi - 8]"),
            ("call *%rax", "call    rax"),
            ("retq", "ret"),
            ("mov al, ds:[rdi]", "mov al, [rdi]"),
            (".align 16", ""),
            ("db 5", "-"),
            ("mov rax, rbx", "-"),
        ];
        for (from, to) in pairs {
            assert_eq!(line(code(from)), to, "{from}");
        }
    }

    #[test]
    fn directives_of_other_assemblers_are_rewritten() {
        let pairs = [
            ("section .text", ""),
            (".globl main", ""),
            ("msg db \"hello\", 10", "rodata msg: bytes = \"hello\", 10"),
            ("msg: .asciz \"hi\"", "rodata msg: bytes = \"hi\", 0"),
            ("tab dd 1, 2, 3", "rodata tab: [3]u32 = 1, 2, 3"),
            ("n dq 7", "rodata n: u64 = 7"),
            ("buf: resb 64", "bss buf: bytes[64]"),
            ("buf resq 8", "bss buf: [8]u64"),
            ("buf: times 64 db 0", "bss buf: bytes[64]"),
            ("SIZE equ 5", "const SIZE = 5"),
            ("len equ $ - msg", "const len = sizeof msg"),
            ("%define SIZE 5", "const SIZE = 5"),
            (".equ SIZE, 5", "const SIZE = 5"),
            ("%include \"io.tal\"", "use \"io.tal\""),
            ("extern printf", "-"),
            ("_start:", "-"),
            ("rodata x: u64 = 5", "-"),
        ];
        for (from, to) in pairs {
            assert_eq!(line(declaration(from)), to, "{from}");
        }
    }

    #[test]
    fn the_line_around_a_place() {
        let text = "a\n   mov eax, ';' ; no\nb";
        assert_eq!(&text[line_at(text, 6).unwrap_or(0..0)], "mov eax, ';'");
        assert_eq!(&text[line_at(text, 0).unwrap_or(0..0)], "a");
        assert_eq!(line_at(&"x".repeat(1000), 500), None);
    }
}
