//! Not trusted: a test. Lines as other assemblers have them: each is refused with what is written
//! here instead, and with the edits that are offered the program is accepted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::report::report;
use tal_syntax::diag::{Diag, Edit};
use tal_syntax::render::{Format, emit};

/// What is said about the program: the diagnostics, and all of it as people read it.
fn said(text: &str) -> (Vec<Diag>, String) {
    let files = BTreeMap::from([("a.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("a.tal"), &files).unwrap();
    let (diags, sources) = match outcome.lowered.map(check) {
        None => (outcome.diags, outcome.sources),
        Some(Ok(_)) => (Vec::new(), outcome.sources),
        Some(Err((lowered, refusals))) => (report(&lowered, &refusals), outcome.sources),
    };
    let mut shown = Vec::new();
    emit(&mut shown, &diags, &sources, Format::Plain).unwrap();
    (diags, String::from_utf8(shown).unwrap())
}

/// The text with the first edit of each diagnostic, again and again until nothing more is offered.
fn mended(text: &str) -> (String, String) {
    let mut text = text.to_owned();
    for _ in 0..6 {
        let (diags, shown) = said(&text);
        let first = |d: &Diag| d.helps.iter().find_map(|h| h.edit.clone());
        let mut edits: Vec<Edit> = diags.iter().filter_map(first).collect();
        if edits.is_empty() {
            return (text, shown);
        }
        edits.sort_by_key(|e| std::cmp::Reverse(e.span.start));
        edits.dedup_by(|a, b| a.span.end > b.span.start);
        for edit in edits {
            text = edit.apply(&text).unwrap();
        }
    }
    let (_, shown) = said(&text);
    (text, shown)
}

/// The lines in a function, or between declarations, are refused with this code and these words,
/// and are accepted when every edit is made. With `None` no edit is offered.
#[track_caller]
fn habit(text: &str, code: &str, words: &str, accepted: bool) {
    let (diags, shown) = said(text);
    let first = diags.first().unwrap_or_else(|| panic!("nothing is said of\n{text}"));
    assert_eq!(first.code.to_string(), code, "{shown}");
    assert!(shown.contains(words), "`{words}` is not in\n{shown}");
    if accepted {
        let (after, left) = mended(text);
        assert_eq!(left, "", "after the edits:\n{after}");
    }
}

#[track_caller]
fn inside(lines: &str, code: &str, words: &str) {
    habit(&function(lines), code, words, true);
}

#[track_caller]
fn inside_in_words(lines: &str, code: &str, words: &str) {
    habit(&function(lines), code, words, false);
}

fn function(lines: &str) -> String {
    format!(
        "rodata msg: bytes = \"hello\"\n\npub fn f(rdi = p: &rw [8]u64, rcx = n: int[1 .. 8]) -> \
         (rax)\n{{\n        xor     eax, eax\n{lines}\n        ret\n}}\n"
    )
}

#[track_caller]
fn outside(lines: &str, code: &str, words: &str) {
    habit(&outer(lines), code, words, true);
}

#[track_caller]
fn outside_in_words(lines: &str, code: &str, words: &str) {
    habit(&outer(lines), code, words, false);
}

fn outer(lines: &str) -> String {
    format!("{lines}\n\npub fn f() -> (rax)\n{{\n        xor     eax, eax\n        ret\n}}\n")
}

#[test]
fn registers_and_sizes_in_capitals() {
    inside("        MOV EAX, 5", "E0102", "registers are written in small letters: `eax`");
    inside("        mov RAX, RCX", "E0102", "`rax`");
    inside("        mov rax, [RDI]", "E0102", "`rdi`");
    inside("        mov QWORD [rdi], 5", "E0024", "write `mov qword [rdi], 5`");
}

#[test]
fn sizes_with_ptr() {
    inside("        mov qword ptr [rdi], 5", "E0016", "`ptr` is not written behind `qword`");
    inside("        mov QWORD PTR [rdi], 5", "E0016", "write `mov qword [rdi], 5`");
    inside("        mov rax, QWORD PTR [rdi + 8]", "E0016", "write `mov rax, qword [rdi + 8]`");
}

#[test]
fn addresses() {
    inside("        movzx eax, byte [rel msg]", "E0024", "write `movzx eax, byte [msg]`");
    inside("        movzx eax, byte [rip + msg]", "E0102", "write `movzx eax, byte [msg]`");
    inside("        lea rdx, [rel msg]", "E0024", "write `lea rdx, [msg]`");
    inside("        mov rdx, offset msg", "E0024", "write `lea rdx, [msg]`");
    inside("        mov rdx, OFFSET msg", "E0024", "write `lea rdx, [msg]`");
    inside("        mov rax, ds:[rdi]", "E0024", "write `mov rax, [rdi]`");
}

#[test]
fn jumps_and_labels() {
    inside("        jmp short .a\n.a:", "E0024", "write `jmp .a`");
    inside("        jmp near .a\n.a:", "E0024", "write `jmp .a`");
    inside("1:      dec rcx\n        jnz 1b", "E0024", "write `.l1:`");
    inside("        jmp 2f\n2:", "E0024", "a label is a dot and a name");
    inside("again:  dec rcx\n        jnz again", "E0013", "write `.again:`");
    inside(".a:     inc rax\n        loop .a", "E0801", "write `dec rcx` and `jnz .a`");
    inside("        jrcxz .a\n.a:", "E0801", "write `test rcx, rcx` and `jz .a`");
}

#[test]
fn names_of_instructions() {
    inside("        movabs rax, 5", "E0802", "write `mov rax, 5`");
    inside_in_words("        retn", "E0802", "write `ret`");
    inside("        addq rax, 5", "E0802", "write `add rax, 5`");
    inside("        movslq rax, ecx", "E0802", "write `movsxd rax, ecx`");
}

#[test]
fn widths() {
    inside("        mov eax, rcx", "E0804", "write `mov eax, ecx`");
    inside("        mov rax, ecx", "E0804", "write `mov rax, rcx`");
    inside("        cmp rax, ecx", "E0804", "one operand has 8 bytes, the other 4");
    inside("        movzx rax, ecx", "E0804", "writing 32 bits clears the others");
}

#[test]
fn forms_that_exist() {
    inside_in_words("        lea rax, rcx", "E0803", "its forms are: lea r32, m; lea r64, m");
    let exchange = "`mov r11, [rdi]` / `mov [rdi], rax` / `mov rax, r11`";
    inside_in_words("        xchg [rdi], rax", "E0801", exchange);
    inside_in_words("        xchg rax, [rdi]", "E0801", exchange);
    // What is listed is accepted.
    let (_, shown) = said(&function("        xchg rax, 5"));
    assert!(shown.contains("xchg r64, r64"), "{shown}");
    assert!(!shown.contains("r/m"), "{shown}");
}

#[test]
fn att_syntax() {
    inside("        movq %rcx, %rax", "E0020", "write `mov rax, rcx`");
    inside("        movq $5, %rax", "E0020", "write `mov rax, 5`");
    inside("        movq $5, 8(%rdi)", "E0020", "write `mov qword [rdi + 8], 5`");
    inside("        movq -8(%rdi,%rcx,8), %rax", "E0020", "write `mov rax, [rdi + rcx*8 - 8]`");
    inside("        leaq msg(%rip), %rdx", "E0020", "write `lea rdx, [msg]`");
    inside("        mov eax, $ - msg", "E0024", "the length of data is `sizeof msg`");
    inside("        mov eax, $42", "E0020", "no sign stands before a constant");
}

#[test]
fn comments() {
    inside("        inc rax // one more", "E0024", "comments begin with `;`");
    inside("        inc rax # one more", "E0024", "comments begin with `;`");
    inside("        inc rax /* one more */", "E0024", "comments begin with `;`");
    inside("        ; 'no' // this one is a comment already\n        mov eax, #5", "E0001", "`#`");
}

#[test]
fn directives_inside() {
    inside("        align 16", "E0802", "functions and data are aligned as they need it");
    inside("        .align 16", "E0024", "remove the line");
    inside("        .cfi_startproc", "E0024", "remove the line");
    inside_in_words("        db 5", "E0801", "data has a name and stands outside of functions");
    inside_in_words("        .byte 5", "E0024", "stands outside of functions");
    inside("        section .text", "E0802", "code stands in functions");
}

#[test]
fn directives_outside() {
    outside("section .data", "E0022", "there are no sections to choose");
    outside(".text", "E0022", "there are no sections to choose");
    outside("global f", "E0022", "`pub fn` exports a function");
    outside(".globl f", "E0022", "`pub fn` exports a function");
    outside("bits 64", "E0022", "it is not needed");
    outside("default rel", "E0022", "it is not needed");
    outside(".intel_syntax noprefix", "E0022", "it is not needed");
    outside("align 8", "E0022", "remove the line");
    outside("msg db \"hello\", 10", "E0022", "write `rodata msg: bytes = \"hello\", 10`");
    outside("msg: .asciz \"hello\"", "E0022", "write `rodata msg: bytes = \"hello\", 0`");
    outside("tab dd 1, 2, 3", "E0022", "write `rodata tab: [3]u32 = 1, 2, 3`");
    outside("buf resb 64", "E0022", "write `bss buf: bytes[64]`");
    outside("buf: times 64 db 0", "E0022", "write `bss buf: bytes[64]`");
    outside("SIZE equ 5", "E0022", "write `const SIZE = 5`");
    outside("msg db \"hi\"\nlen equ $ - msg", "E0022", "write `const len = sizeof msg`");
    outside("%define SIZE 5", "E0022", "write `const SIZE = 5`");
    outside("#define SIZE 5", "E0024", "write `const SIZE = 5`");
    outside("%include \"kernel.tali\"", "E0022", "makes the declarations of a file known");
    outside_in_words(
        "extern printf",
        "E0022",
        "`use \"kernel.tali\"` declares what the host offers",
    );
    outside_in_words("%macro x 1", "E0022", "there are no macros");
    outside_in_words("_start:", "E0022", "a program begins with `entry fn start { .. }`");
}

/// An open string is said first, and once.
#[test]
fn open_strings() {
    let (diags, shown) = said(&outer("rodata s: bytes = \"a"));
    let codes: Vec<String> = diags.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["E0002"], "{shown}");
    outside("rodata s: bytes = \"a", "E0002", "end it with `\"`");
}

/// Half registers are declared as whole ones, with a type that says how much they hold.
#[test]
fn half_registers_are_declared_whole() {
    let text = "pub fn f(rdi = p: &bytes[n], esi = n: u32) -> (rax)\n{\n xor eax, eax\n ret\n}\n";
    habit(text, "E0210", "`rsi = n: u32`", true);
    let rsp = text.replace("esi", "esp");
    habit(&rsp, "E0210", "whole 64-bit registers other than rsp", false);
}

/// Names that mean something stay what they are.
#[test]
fn words_of_other_assemblers_are_good_names() {
    let text = "const short = 1\nconst SI = 2\nrodata db: bytes = \"x\"\nbss offset: u64\n\npub fn \
                loop_it() -> (rax)\n{\n        mov     eax, short + SI\n        mov     rax, \
                [offset]\n        movzx   ecx, byte [db]\n        ret\n}\n";
    let (_, shown) = said(text);
    assert_eq!(shown, "");
}
