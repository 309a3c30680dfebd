//! Not trusted: a test. Ways that meet in a label: however many they are, whether they are ever
//! taken, and in whatever loops they lie, the state of the label is found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::report::report;

/// Codes of what is said about the program, with all of it.
fn said(text: &str) -> (Vec<String>, String) {
    let files = BTreeMap::from([("ways.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("ways.tal"), &files).unwrap();
    let lowered = outcome.lowered.unwrap_or_else(|| panic!("{:?}", outcome.diags));
    match check(lowered) {
        Ok(_) => (Vec::new(), String::new()),
        Err((lowered, refusals)) => {
            let diags = report(&lowered, &refusals);
            let codes = diags.iter().map(|d| d.code.to_string()).collect();
            (codes, format!("{diags:#?}"))
        }
    }
}

#[track_caller]
fn accepted(text: &str) {
    let (codes, all) = said(text);
    assert!(codes.is_empty(), "{codes:?} of\n{text}\n{all}");
}

#[track_caller]
fn refused(text: &str, code: &str) {
    let (codes, all) = said(text);
    assert!(codes.iter().any(|c| c == code), "{codes:?} of\n{text}\n{all}");
}

/// The cases of a jump table over `rdi`, `count` of them, each of these instructions.
fn switch(count: u32, case: impl Fn(u32) -> String, out: &str) -> String {
    let names: Vec<String> = (0..count).map(|i| format!(".c{i}")).collect();
    let mut text = format!(
        "pub fn f(rdi = k: int[0 .. {}]) -> (rax)\n{{\ntable .t = {}\n        \
         jmp     [.t + rdi*8]\n",
        count - 1,
        names.join(", ")
    );
    for i in 0..count {
        let _ = writeln!(text, ".c{i}:\n{}        jmp     .out", case(i));
    }
    text + ".out:\n" + out + "        ret\n}\n"
}

/// A label has as many ways into it as a table has entries; each brings another number.
#[test]
fn a_switch_of_many_cases() {
    accepted(&switch(1000, |i| format!("        mov     eax, {i}\n"), ""));
    // What all say of it is known: the least and the greatest.
    let table = "rodata names: [1000]u8 = times 1000 0\n";
    let case = |i: u32| format!("        mov     ecx, {i}\n");
    let load = "        movzx   eax, byte [names + rcx]\n";
    accepted(&format!("{table}{}", switch(1000, case, load)));
    let past = |i: u32| format!("        mov     ecx, {}\n", i + 1);
    refused(&format!("{table}{}", switch(1000, past, load)), "E0301");
}

/// The same in a loop: an interpreter.
#[test]
fn a_loop_over_many_cases() {
    let count = 130;
    let names: Vec<String> = (0..count).map(|i| format!(".c{i}")).collect();
    let mut text = format!(
        "pub fn f(rdi = p: &[256]u8[0 .. {}]) -> (rax)\n{{\ntable .t = {}\n        \
         xor     eax, eax\n        xor     ecx, ecx\n\
         .next:\n        movzx   edx, byte [rdi + rcx]\n        jmp     [.t + rdx*8]\n",
        count - 1,
        names.join(", ")
    );
    for i in 0..count {
        let _ = writeln!(text, ".c{i}:\n        add     rax, {i}\n        jmp     .step");
    }
    text += ".step:\n        inc     ecx\n        cmp     ecx, 256\n        jb      .next\n        \
             ret\n}\n";
    accepted(&text);
}

/// Every call may fail, and there is one way out for all of them.
#[test]
fn many_ways_to_one_exit() {
    let callee =
        "fn g(rdi = a: i64) -> (rax: i64)\n{\n        mov     rax, rdi\n        ret\n}\n\n";
    let mut text = format!(
        "{callee}fn f(rdi = a: i64) -> (rax: i64)\n{{\n        push    rbx\n        \
         mov     rbx, rdi\n"
    );
    for _ in 0..400 {
        text += "        mov     rdi, rbx\n        call    g\n        test    rax, rax\n        \
                 js      .fail\n";
    }
    text += "        xor     eax, eax\n.fail:\n        pop     rbx\n        ret\n}\n";
    accepted(&text);
}

/// A condition that is always so: the judge follows the other way, too, so it is joined, but only
/// when all else is known, since it would weaken the first turn of a loop.
#[test]
fn ways_that_are_never_taken() {
    let function = |body: &str| format!("fn f(rsi = n) -> (rax)\n{{\n{body}        ret\n}}\n");
    // Forwards: the label is reached with 3 and with 4.
    let forwards = "        mov     ecx, 10\n        mov     eax, 3\n        \
                    cmp     ecx, 5\n        jb      .a\n        add     eax, 1\n.a:\n";
    accepted(&function(forwards));
    // What is behind it has a label of its own, to which no other way leads.
    let behind = "        mov     eax, 1\n        test    eax, eax\n        jnz     .out\n        \
                  mov     ecx, 2\n.turn:\n        dec     ecx\n        jnz     .turn\n.out:\n";
    accepted(&function(behind));
    let taken = "        mov     eax, 1\n        cmp     eax, 5\n        jb      .out\n        \
                 mov     ecx, 2\n.turn:\n        dec     ecx\n        jnz     .turn\n.out:\n";
    accepted(&function(taken));
    // One after the other, each of which makes one more of what the next is reached with.
    let mut many = String::from("        mov     ecx, 10\n        mov     eax, 3\n");
    for i in 0..60 {
        let _ = write!(
            many,
            "        cmp     ecx, {}\n        jb      .a{i}\n        add     eax, 1\n.a{i}:\n",
            i % 20
        );
    }
    accepted(&function(&many));
    // It is judged: what it does must be safe.
    let table = "rodata few: [4]u8 = times 4 0\n";
    let wild = "        mov     ecx, 7\n        cmp     ecx, 7\n        je      .out\n        \
                movzx   eax, byte [few + rcx]\n.out:\n        xor     eax, eax\n";
    refused(&format!("{table}{}", function(wild)), "E0308");
}

/// An inner loop that is entered anew says the same of the outer one as before: that does not make
/// a bound that climbs one that stays.
#[test]
fn loops_of_fixed_turns_in_loops() {
    let table = "bss tab: [256]u32\n";
    let text = |compare: &str| {
        format!(
            "{table}pub fn init()\n{{\n        xor     ecx, ecx\n.each:\n        mov     edx, 8\n\
             .bit:\n        dec     edx\n        jnz     .bit\n        mov     [tab + rcx*4], edx\n\
             {compare}        ret\n}}\n"
        )
    };
    accepted(&text("        inc     rcx\n        cmp     rcx, 256\n        jb      .each\n"));
    accepted(&text("        inc     ecx\n        cmp     ecx, 256\n        jne     .each\n"));
    refused(
        &text("        inc     rcx\n        cmp     rcx, 257\n        jb      .each\n"),
        "E0301",
    );
    // Three deep.
    let deep = format!(
        "{table}pub fn init()\n{{\n        xor     ecx, ecx\n.each:\n        mov     edx, 8\n\
         .byte:\n        mov     esi, 5\n.bit:\n        dec     esi\n        jnz     .bit\n        \
         dec     edx\n        jnz     .byte\n        mov     [tab + rcx*4], edx\n        \
         inc     ecx\n        cmp     ecx, 256\n        jb      .each\n        ret\n}}\n"
    );
    accepted(&deep);
}

/// What `cmov` chooses lies where both lie.
#[test]
fn moves_on_a_condition_keep_ranges() {
    let text = |first: &str, range: &str| {
        format!(
            "pub fn f(rdi = x: int[-3 .. 9], rsi = y: int[2 .. 12], rdx = z: u64)\n    \
             -> (rax: {range})\n{{\n        mov     rax, {first}\n        \
             test    rdx, rdx\n        \
             cmovz   rax, rsi\n        ret\n}}\n"
        )
    };
    accepted(&text("rdi", "int[-3 .. 12]"));
    accepted(&text("5", "int[2 .. 12]"));
    refused(&text("rdi", "int[-2 .. 12]"), "E0507");
    refused(&text("rdi", "int[-3 .. 11]"), "E0507");
}

/// What is left falls as the pointer rises: their sum stays, whatever it began with.
#[test]
fn counts_that_fall_as_pointers_rise() {
    let copy = |test: &str, step: &str| {
        format!(
            "pub fn f(rdi = a: &[n]u64, rsi = n, rdx = c: &u64) -> (rax)\n{{\n        \
             xor     eax, eax\n        mov     rcx, [rdx]\n        cmp     rcx, rsi\n        \
             {test}      .out\n        jmp     .test\n.next:  add     rax, [rdi]\n        \
             add     rdi, {step}\n        dec     rcx\n.test:  test    rcx, rcx\n        \
             jnz     .next\n.out:   ret\n}}\n"
        )
    };
    accepted(&copy("ja", "8"));
    refused(&copy("ja", "16"), "E0301");
    refused(&copy("jb", "8"), "E0301");
}

/// A pointer that goes on by whole words until it meets the end of them.
#[test]
fn pointers_that_go_on_until_the_end() {
    let sum = |step: &str| {
        format!(
            "pub fn f(rdi = a: &[n]u64, rsi = n) -> (rax)\n{{\n        xor     eax, eax\n        \
             lea     rsi, [rdi + rsi*8]\n        jmp     .test\n\
             .next:  add     rax, [rdi]\n        add     rdi, {step}\n\
             .test:  cmp     rdi, rsi\n        jne     .next\n        ret\n}}\n"
        )
    };
    accepted(&sum("8"));
    refused(&sum("16"), "E0301");
    refused(&sum("4"), "E0307");
}

/// Registers for the counters of loops in loops.
const COUNTERS: [&str; 12] =
    ["ecx", "edx", "r8d", "r9d", "r10d", "r11d", "ebx", "ebp", "r12d", "r13d", "r14d", "r15d"];

/// Loops in loops up to n, each at least one turn, around this.
fn nest(depth: usize, inner: &str) -> String {
    let wide = |r: &str| r.strip_suffix('d').map_or_else(|| r.replace('e', "r"), str::to_owned);
    let saved = ["rbx", "rbp", "r12", "r13", "r14", "r15"];
    let mut text =
        String::from("pub fn f(rdi = a: &bytes[n], rsi = n: int[1 .. 4096]) -> (rax)\n{\n");
    text.extend(saved.iter().map(|r| format!("        push    {r}\n")));
    text.push_str("        xor     eax, eax\n");
    for (i, r) in COUNTERS.iter().take(depth).enumerate() {
        let _ = writeln!(text, "        xor     {r}, {r}\n.l{i}:");
    }
    text.push_str(inner);
    for (i, r) in COUNTERS.iter().take(depth).enumerate().rev() {
        let r = wide(r);
        let _ =
            writeln!(text, "        inc     {r}\n        cmp     {r}, rsi\n        jb      .l{i}");
    }
    text.extend(saved.iter().rev().map(|r| format!("        pop     {r}\n")));
    text + "        ret\n}\n"
}

/// What a loop steps has a variable of its own from the first visit on, so loops around it do not
/// make its state be found anew each time.
#[test]
fn loops_twelve_deep() {
    accepted(&nest(12, "        movzx   eax, byte [rdi + r15]\n"));
    accepted(&nest(12, "        movzx   eax, byte [rdi + rcx]\n"));
    refused(&nest(12, "        movzx   eax, byte [rdi + r15 + 1]\n"), "E0301");
    refused(&nest(12, "        movzx   eax, byte [rdi + rcx - 1]\n"), "E0302");
}

/// Of what is only data nothing is said at a label; what becomes an index, an argument or a result
/// of which something is declared is no data.
#[test]
fn data_is_told_where_it_is_asked_about() {
    let pick = |then: &str, result: &str| {
        format!(
            "rodata digits: [10]u8 = times 10 0\npub fn f(rdi) -> (rax{result})\n{{\n        \
             mov     eax, 3\n        test    rdi, rdi\n        jz      .go\n        \
             mov     eax, 9\n.go:    {then}\n        ret\n}}\n"
        )
    };
    accepted(&pick("movzx   eax, byte [digits + rax]", ""));
    refused(&pick("movzx   eax, byte [digits + rax + 1]", ""), "E0301");
    accepted(&pick("mov     ecx, eax\n        movzx   eax, byte [digits + rcx]", ""));
    accepted(&pick("nop", ": int[3 .. 9]"));
    refused(&pick("nop", ": int[3 .. 8]"), "E0507");
    accepted(&pick(
        "push    rax\n        pop     rcx\n        movzx   eax, byte [digits + rcx]",
        "",
    ));
}

/// Of a program that is refused, nothing is said about functions that are safe, also where their
/// states are found only as long as no other is refused.
#[test]
fn nothing_is_said_of_safe_functions_beside_a_refused_one() {
    let safe = nest(10, "        inc     rax\n");
    accepted(&safe);
    let past = "pub fn g(rdi = a: &[n]u64, rsi = n) -> (rax)\n{\n        \
                mov     rax, [rdi + rsi*8]\n        ret\n}\n";
    let (codes, all) = said(&format!("{safe}\n{past}"));
    assert_eq!(codes, ["E0301"], "{all}");
}
