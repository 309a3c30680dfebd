//! Not trusted: a test. Work grows with the length of the source and not faster; what could grow
//! faster is given up with a clear word. Work is counted, not timed, so a regression fails here
//! on every machine alike.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::explore::explore;
use tal_check::report::report;

/// Four times as many functions, or loops one after the other, may take this many times the work.
const LINEAR: f64 = 4.6;
/// What four times as long a function may take: its states grow with it, so the work may grow with
/// the square of the length of one function, but not faster.
const SQUARE: f64 = 20.0;

/// What it takes to find the states of all labels; every one must be found.
fn work(text: &str) -> u64 {
    let files = BTreeMap::from([("long.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("long.tal"), &files).unwrap();
    let lowered = outcome.lowered.unwrap_or_else(|| panic!("{:?}", outcome.diags));
    check(lowered).unwrap_or_else(|(_, refusals)| panic!("{refusals:?}")).work
}

fn grows(make: impl Fn(u32) -> String, few: u32, at_most: f64) {
    let (one, four) = (work(&make(few)), work(&make(4 * few)));
    #[allow(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = four as f64 / one as f64;
    assert!(ratio <= at_most, "{few}: {one}, {}: {four}, {ratio:.2} times as much", 4 * few);
    // Nothing is measured if nothing is done.
    assert!(one > u64::from(few), "{one}");
}

/// A function with this body.
fn function(body: &str) -> String {
    format!("fn f(rdi = a: &[n]u64, rsi = n) -> (rax)\n{{\n{body}        ret\n}}\n")
}

fn repeat(count: u32, line: impl Fn(u32) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn many_functions() {
    let one = |i| {
        format!(
            "fn f{i}(rdi = a: &[n]u64, rsi = n) -> (rax)\n{{\n        xor eax, eax\n        \
             xor ecx, ecx\n        jmp .test\n.next:\n        add rax, [rdi + rcx*8]\n        \
             inc rcx\n.test:\n        cmp rcx, rsi\n        jb .next\n        ret\n}}\n\n"
        )
    };
    grows(|n| repeat(n, one), 10, LINEAR);
}

#[test]
fn many_branches() {
    let one =
        |i| format!("        cmp rsi, {}\n        jb .l{i}\n        inc rax\n.l{i}:\n", i + 1);
    let body = |n| format!("        xor eax, eax\n{}", repeat(n, one));
    grows(|n| function(&body(n)), 20, SQUARE);
}

#[test]
fn many_loops() {
    let one = |i| {
        let head = format!("        xor ecx, ecx\n        jmp .t{i}\n.n{i}:\n");
        let body = "        add rax, [rdi + rcx*8]\n        inc rcx\n";
        format!("{head}{body}.t{i}:\n        cmp rcx, rsi\n        jb .n{i}\n")
    };
    let body = |n| format!("        xor eax, eax\n{}", repeat(n, one));
    grows(|n| function(&body(n)), 10, LINEAR);
}

/// Twenty thousand lines of one function.
#[test]
fn a_long_function() {
    let one = |i| {
        let head = format!("        xor ecx, ecx\n        jmp .t{i}\n.n{i}:\n");
        let body = "        add rax, [rdi + rcx*8]\n        inc rcx\n";
        let tail = format!(".t{i}:\n        cmp rcx, rsi\n        jb .n{i}\n");
        format!(
            "{head}{body}{tail}        test rax, rax\n        jz .z{i}\n        inc rax\n.z{i}:\n"
        )
    };
    let body = |n| format!("        xor eax, eax\n{}", repeat(n, one));
    grows(|n| function(&body(n)), 455, LINEAR);
}

/// A loop around a loop in registers is another number that is known at each label, and does not
/// make the inner one be found anew.
#[test]
fn loops_in_loops() {
    let counters = ["ecx", "edx", "r8d", "r9d", "r10d", "r11d", "edi"];
    let nest = |depth: u32| {
        let registers = counters.iter().take(depth as usize).enumerate();
        let wide = |r: &str| r.strip_suffix('d').map_or_else(|| r.replace('e', "r"), str::to_owned);
        let mut text = String::from("        xor eax, eax\n");
        for (i, r) in registers.clone() {
            let _ = write!(text, "        xor {r}, {r}\n.n{i}:\n");
        }
        text.push_str("        inc rax\n");
        for (i, r) in registers.rev() {
            let r = wide(r);
            let _ = write!(text, "        inc {r}\n        cmp {r}, rsi\n        jb .n{i}\n");
        }
        work(&function(&text))
    };
    let works: Vec<u64> = (1..=7).map(nest).collect();
    // Each state is larger by a counter and what is known of it, so a level costs more than the one
    // before: about the cube of the depth in all.
    let most = works.windows(2).skip(1).all(|w| 2 * w[1] < 5 * w[0]);
    assert!(most && works[6] < 10 * works[2], "{works:?}");
}

#[test]
fn many_loads() {
    let one = |i| format!("        add rax, [rdi + {}]\n", 8 * i);
    let body = |n| {
        let loads = repeat(n, one);
        format!("        xor eax, eax\n        cmp rsi, {n}\n        jb .out\n{loads}.out:\n")
    };
    grows(|n| function(&body(n)), 61, SQUARE);
}

#[test]
fn many_calls() {
    let body = |n| {
        let calls = repeat(n, |_| "        call g\n        mov rdi, rax\n".to_owned());
        format!("        sub rsp, 8\n{calls}        add rsp, 8\n")
    };
    let callee = "fn g(rdi = a) -> (rax)\n{\n        mov rax, rdi\n        ret\n}\n\n";
    let caller = |n| format!("fn f(rdi = a) -> (rax)\n{{\n{}        ret\n}}\n", body(n));
    grows(|n| format!("{callee}{}", caller(n)), 50, SQUARE);
}

/// Such a block is cut, and found once more for that.
#[test]
fn long_blocks() {
    let one = |i| format!("        mov rdx, [rdi + {}]\n        shr rdx, 3\n", 8 * (i % 60));
    let body = |n| {
        let loads = repeat(n, one);
        format!("        xor eax, eax\n        cmp rsi, 60\n        jb .out\n{loads}.out:\n")
    };
    grows(|n| function(&body(n)), 150, LINEAR);
}

/// What it costs to look for the states of a program, be they found or not; its verdict and the
/// words for it are made as well.
fn cost(text: &str) -> u64 {
    let files = BTreeMap::from([("short.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("short.tal"), &files).unwrap();
    let lowered = outcome.lowered.unwrap_or_else(|| panic!("{:?}", outcome.diags));
    let work = explore(&lowered).work;
    if let Err((lowered, refusals)) = check(lowered) {
        assert!(!report(&lowered, &refusals).is_empty(), "{text}");
    }
    work
}

/// Shifts, of which the quotient is bounded by two facts with large coefficients, before a result
/// with a range: a search for cuts among such facts once did not end.
#[test]
fn shifts_before_a_result_cost_little() {
    const MOST: u64 = 10_000;
    let mut worst = (0, String::new());
    for shift in ["shr", "sar"] {
        for by in [1, 31, 32, 33, 62, 63] {
            for jump in ["jz", "jnz", "js", "jb"] {
                for result in ["u8", "u32", "int[0 .. 1]", "int[-4095 .. 0]"] {
                    for body in ["mov eax, edi", "mov rax, rdi", "lea rax, [rdi - 1]"] {
                        let text = format!(
                            "fn f(rdi = a, rsi = b: u64) -> (rax: {result})\n{{\n        \
                             mov rax, rsi\n        {shift} rax, 1\n        \
                             {shift} rdi, {by}\n        {jump} .out\n        {body}\n\
                             .out:   ret\n}}\n"
                        );
                        worst = worst.max((cost(&text), text));
                    }
                }
            }
        }
    }
    assert!(worst.0 <= MOST, "{} for\n{}", worst.0, worst.1);
}

/// The words that refuse a program.
fn refusal(text: &str) -> String {
    let files = BTreeMap::from([("bad.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("bad.tal"), &files).unwrap();
    let Some(lowered) = outcome.lowered else { return format!("{:?}", outcome.diags) };
    let refusals = explore(&lowered).refusals;
    assert!(!refusals.is_empty(), "accepted");
    format!("{:?}", report(&lowered, &refusals))
}

/// Each loop around another one is found anew as often as that one changes.
#[test]
fn loops_in_loops_are_given_up() {
    let depth = 13;
    let heads = repeat(depth, |i| format!("        mov qword [rsp + {}], 0\n.n{i}:\n", 8 * i));
    let mut tails = String::new();
    for i in (0..depth).rev() {
        let at = 8 * i;
        let _ = write!(
            tails,
            "        inc qword [rsp + {at}]\n        cmp qword [rsp + {at}], 10\n        jb .n{i}\n"
        );
    }
    let frame = 8 * depth;
    let text = function(&format!(
        "        sub rsp, {frame}\n        xor eax, eax\n{heads}        inc rax\n{tails}        \
         add rsp, {frame}\n"
    ));
    assert!(refusal(&text).contains("could not be found"), "{}", refusal(&text));
}

/// A chain of definitions is refused, and that is said once, not of each part that is too long.
fn too_deep_once(text: &str) {
    let said = refusal(text);
    assert_eq!(said.matches("definitions and operators").count(), 1, "{said}");
}

#[test]
fn chains_of_definitions_end() {
    let constants = repeat(20_000, |i| format!("const A{i} = A{} + 1\n", i + 1));
    let text = format!(
        "{constants}const A20000 = 0\n\nfn f(rdi = a)\n{{\n        mov eax, A0\n        ret\n}}\n"
    );
    too_deep_once(&text);
    let structs = repeat(20_000, |i| format!("struct s{i} {{ p: ref? s{} }}\n", i + 1));
    let text =
        format!("{structs}struct s20000 {{ a: u64 }}\n\nfn f(rdi = a: &s0)\n{{\n        ret\n}}\n");
    too_deep_once(&text);
    let structs = repeat(20_000, |i| format!("struct s{i} {{ a: u64, b: s{} }}\n", i + 1));
    let text =
        format!("{structs}struct s20000 {{ a: u64 }}\n\nfn f(rdi = a: &s0)\n{{\n        ret\n}}\n");
    too_deep_once(&text);
}

#[test]
fn a_struct_of_structs_has_so_many_fields() {
    let structs = repeat(300, |i| {
        let inner = if i == 0 { "u64".to_owned() } else { format!("s{}", i - 1) };
        format!("struct s{i} {{ a: u64, b: {inner} }}\n")
    });
    let text = format!("{structs}\nfn f(rdi = a: &s299)\n{{\n        ret\n}}\n");
    assert!(refusal(&text).contains("fields"), "{}", refusal(&text));
}

/// A figure that nobody can make again is worth nothing.
#[test]
fn every_table_of_figures_names_its_command() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut words = "";
    let (mut tables, mut inside) = (0, false);
    for line in page.lines() {
        let row = line.starts_with('|');
        if row && !inside {
            tables += 1;
            assert!(words.contains("`cargo "), "a table stands under: {words}");
        }
        inside = row;
        if !row && !line.is_empty() {
            words = line;
        }
    }
    assert!(tables > 0, "no tables");
}
