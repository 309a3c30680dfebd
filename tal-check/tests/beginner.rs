//! Not trusted: a test. The mistakes of a first day: what is said of each, and nothing else is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::report::report;
use tal_syntax::diag::Diag;
use tal_syntax::render::{Format, emit};

/// Prints the first lines of standard input.
const HEAD: &str = "\
use \"kernel.tali\"

const BUF = 4096
const LINES = 10

bss buf: bytes[BUF]

entry fn start {
        mov     r12d, LINES
.fill:
        xor     edi, edi
        lea     rsi, [buf]
        mov     edx, BUF
        call    read
        test    rax, rax
        js      .fail
        jz      .done
        mov     r13, rax
        xor     ebx, ebx
.scan:
        cmp     byte [buf + rbx], 10
        lea     rbx, [rbx + 1]
        jne     .next
        dec     r12
        jz      .last
.next:
        cmp     rbx, r13
        jb      .scan
        mov     rdx, r13
        call    put
        test    rax, rax
        js      .fail
        jmp     .fill
.last:
        mov     rdx, rbx
        call    put
        test    rax, rax
        js      .fail
.done:
        xor     edi, edi
        jmp     exit
.fail:
        mov     edi, 1
        jmp     exit
}

fn put(rdx = n) where 0 <= n <= BUF -> (rax: int[-4095 .. 0])
{
        push    rbx
        push    r12
        sub     rsp, 8
        lea     rbx, [buf]
        mov     r12, rdx
.more:
        test    r12, r12
        jz      .ok
        mov     edi, 1
        mov     rsi, rbx
        mov     rdx, r12
        call    write
        test    rax, rax
        js      .out
        add     rbx, rax
        sub     r12, rax
        jmp     .more
.ok:
        xor     eax, eax
.out:
        add     rsp, 8
        pop     r12
        pop     rbx
        ret
}
";

/// What is said about the program: the codes, and all of it as people read it.
fn said(text: &str) -> (Vec<String>, String) {
    let files = BTreeMap::from([("head.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("head.tal"), &files).unwrap();
    let (diags, sources) = match outcome.lowered.map(check) {
        None => (outcome.diags, outcome.sources),
        Some(Ok(_)) => (Vec::new(), outcome.sources),
        Some(Err((lowered, refusals))) => (report(&lowered, &refusals), outcome.sources),
    };
    let mut shown = Vec::new();
    emit(&mut shown, &diags, &sources, Format::Plain).unwrap();
    let codes = diags.iter().map(|d: &Diag| d.code.to_string()).collect();
    (codes, String::from_utf8(shown).unwrap())
}

/// The program with one mistake is refused with these codes, and these words are said of it.
fn mistake(right: &str, wrong: &str, codes: &[&str], words: &[&str]) {
    assert_eq!(HEAD.matches(right).count().min(1), 1, "`{right}` is not in the program");
    let (found, shown) = said(&HEAD.replacen(right, wrong, 1));
    assert_eq!(found, codes, "with `{wrong}` for `{right}`:\n{shown}");
    for part in words {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
}

#[test]
fn the_program_without_mistakes_is_safe() {
    assert_eq!(said(HEAD), (Vec::new(), String::new()));
}

#[test]
fn misspelt_words() {
    mistake("dec     r12", "decr    r12", &["E0802"], &["did you mean `dec`?"]);
    mistake("call    read", "call    raed", &["E0102"], &["did you mean `read`?"]);
    mistake("jz      .last", "jz      .lasst", &["E0106"], &["did you mean `.last`?"]);
    mistake("edx, BUF", "edx, BUFF", &["E0102"], &["did you mean `BUF`?"]);
    mistake("mov     r13, rax", "mov     r17, rax", &["E0102"], &["r8 to r15"]);
    // The buffer is used three times; that it is unknown is said once.
    mistake("bss buf", "bbs buf", &["E0022", "E0102"], &["did you mean `bss`?"]);
}

#[test]
fn missing_parts() {
    mistake(".scan:\n", "", &["E0106"], &["no label `.scan`"]);
    mistake("[buf + rbx], 10", "[buf + rbx, 10", &["E0010"], &["this `[` is not closed"]);
    mistake("mov     rdx, r13", "mov     rdx", &["E0803"], &["takes 2 operands, not 1"]);
    mistake("mov     rdx, r13", "mov     rdx, r13, r12", &["E0803"], &["takes 2 operands, not 3"]);
    mistake("byte [buf", "[buf", &["E0804"], &["write `byte`"]);
}

/// What follows from a file that is not there is not said.
#[test]
fn files_that_are_not_used() {
    mistake("kernel.tali", "kernl.tali", &["E0101"], &["did you mean `kernel.tali`?"]);
    mistake(
        "use \"kernel.tali\"",
        "",
        &["E0110", "E0102"],
        &["unknown name `write`", "write `use \"kernel.tali\"`, which declares it"],
    );
}

#[test]
fn forgotten_tests() {
    let words = ["needs rbx <= 4095", "r13 may be an error number here", "`js .failed`"];
    mistake("js      .fail\n", "\n", &["E0601", "E0321"], &words);
    // This one never ends at the end of a file, and is safe: 0 < 1, so the loop is left.
    mistake("jz      .done\n", "\n", &[], &[]);
    mistake("jb      .scan", "jbe     .scan", &["E0301"], &["use `jb`"]);
}

#[test]
fn registers_that_hold_nothing() {
    mistake("xor     ebx, ebx\n", "\n", &["E0314"], &["rbx holds nothing that may be read"]);
    // Not that flags are missing: the register that the flags come from is.
    mistake("mov     r12d, LINES\n", "\n", &["E0314"], &["r12 holds nothing that may be read"]);
}

#[test]
fn more_than_there_is() {
    let words = ["`read` takes 4097 bytes of `buf`, which has 4096"];
    mistake("edx, BUF", "edx, BUF+1", &["E0408"], &words);
}

/// What the judge refuses before it looks at code has its place in the source.
#[test]
fn declarations_that_the_judge_refuses() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let fields: String = names.iter().map(|n| format!("{n}{n} = {n}: u64, ")).collect();
    let hidden = names.join(", ");
    let body = "{\n        xor     eax, eax\n        ret\n}\n";
    let (codes, shown) = said(&format!(
        "struct s exists {hidden} {{ {fields} }}\n\nfn f(rdi = p: &s) -> (rax)\n{body}"
    ));
    assert_eq!(codes, ["E0701"], "{shown}");
    assert!(shown.contains("the struct `s` is not well formed"), "{shown}");
    assert!(shown.contains("head.tal:1:8"), "{shown}");
    let deep = "[2]".repeat(18);
    let (codes, shown) = said(&format!("fn f(rdi = p: &{deep}u64) -> (rax)\n{body}"));
    assert_eq!(codes, ["E0703"], "{shown}");
    assert!(shown.contains("the signature of `f` is larger than"), "{shown}");
    assert!(shown.contains("head.tal:1:5"), "{shown}");
}

/// A list of nodes, and one function with a mistake in it.
fn owner(function: &str, codes: &[&str], words: &[&str]) {
    let node = "struct node { next: own@heap? node, val: u64 }";
    let (found, shown) = said(&format!("use \"heap.tali\"\n{node}\n{function}\n"));
    assert_eq!(found, codes, "{shown}");
    for part in words {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
}

#[test]
fn owners() {
    owner(
        "pub fn drop(rdi = p: own@heap? bytes[16])\n{\n jmp free\n}",
        &["E0401"],
        &["only of what is not null the form can change: `test` p before"],
    );
    owner(
        "pub fn drop(rdi = p: &node)\n{\n jmp free\n}",
        &["E0401"],
        &["it is lent to this function: to give it away, take it as `own`"],
    );
    owner(
        "pub fn drop(rdi = p: own@heap node)\n{\n jmp free\n}",
        &["E0401"],
        &["move out first what its fields own: `mov rbx, [rdi + node.next]`"],
    );
    owner(
        "pub fn make(rdi = v: u64) -> (rax: own@heap? node)\n{\n push rbx\n mov rbx, rdi\n \
         mov edi, sizeof node\n call malloc\n test rax, rax\n jz .out\n \
         mov [rax + node.val], rbx\n.out: pop rbx\n ret\n}",
        &["E0313"],
        &["`node.next` of rax was never written"],
    );
    owner(
        "pub fn make() -> (rax: own@heap node)\n{\n sub rsp, 8\n mov edi, sizeof node\n \
         call malloc\n mov qword [rax + node.next], 0\n mov qword [rax + node.val], 0\n \
         add rsp, 8\n ret\n}",
        &["E0601"],
        &["`rax` may be 0 here"],
    );
    owner(
        "pub fn drop(rdi = p: own@heap? bytes[16], rsi = n: u64)\n{\n sub rsp, 8\n \
         test rdi, rdi\n jz .out\n test rsi, rsi\n jz .out\n call free\n.out: \
         add rsp, 8\n ret\n}",
        &["E0410"],
        &["owned on one way only", "this way owns it"],
    );
}

#[test]
fn fields() {
    owner(
        "pub fn get(rdi = p: &node) -> (rax)\n{\n mov rax, [rdi + node.vall]\n ret\n}",
        &["E0102"],
        &["did you mean `node.val`?"],
    );
    owner(
        "pub fn get(rdi = p: &node) -> (rax)\n{\n mov rax, [rdi + node.count]\n ret\n}",
        &["E0102"],
        &["its fields are next, val"],
    );
    owner(
        "pub fn get(rdi = p: &node) -> (rax)\n{\n mov eax, [rdi + node.val]\n ret\n}",
        &["E0307"],
        &["`node.val` has 8 bytes: use an operand of that width"],
    );
    owner(
        "pub fn set(rdi = p: &node)\n{\n mov qword [rdi + node.val], 1\n ret\n}",
        &["E0309"],
        &["declare it `&rw`"],
    );
    owner(
        "pub fn get(rdi = p: &? node) -> (rax)\n{\n mov rax, [rdi + node.val]\n ret\n}",
        &["E0402"],
        &["`rdi` may be null here"],
    );
}

#[test]
fn stores() {
    let stored = |line: &str, codes: &[&str], words: &[&str]| {
        let text = format!(
            "struct cell {{ a: u64, b: u8, p: ref? cell }}\n\
             pub fn set(rdi = s: &rw cell, rsi = t: &cell, rdx = n: u64, rcx = k: &bytes[4])\n\
             {{\n {line}\n ret\n}}\n"
        );
        let (found, shown) = said(&text);
        assert_eq!(found, codes, "{shown}");
        for part in words {
            assert!(shown.contains(part), "`{part}` is not in\n{shown}");
        }
    };
    stored("mov [rdi + cell.a], rdx", &[], &[]);
    stored("mov [rdi + cell.a], rsi", &["E0312"], &["rsi holds an address: t"]);
    stored("mov [rdi + cell.p], rsi", &["E0408"], &["take it as `ref`"]);
    stored("mov [rdi + cell.p], rdx", &["E0312"], &["an address, or 0 if it may be null"]);
    stored("mov [rdi + cell.b], dx", &["E0307"], &["`cell.b` has 1 byte: use"]);
    stored("mov [rdi + cell.a], r10", &["E0314"], &["r10 is no parameter"]);
    // The low byte of a register of which the rest is not known.
    let low = "mov r8b, [rcx]\n mov [rdi + cell.b], r8b";
    stored(low, &["E0303"], &["only a part of r8 was written", "movzx r8d, byte [rcx]"]);
}
