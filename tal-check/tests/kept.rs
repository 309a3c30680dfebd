//! Not trusted: a test. Results of functions that are kept from one check to the next: what has not
//! changed is not searched, and what is written is what a first check writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::{check, check_again, check_for_output};
use tal_check::elaborate::lower;
use tal_check::kept::Kept;
use tal_check::lowered::Lowered;

fn lowered(text: &str) -> Lowered {
    let files = BTreeMap::from([("kept.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("kept.tal"), &files).unwrap();
    outcome.lowered.unwrap_or_else(|| panic!("{:?}\n{text}", outcome.diags))
}

/// A function with a loop, data and a call. `more`: what it does besides.
fn function(name: &str, callee: &str, more: &str) -> String {
    format!(
        "pub fn {name}(rdi = a: &[n]u64, rsi = n) -> (rax)
        {{
                xor     eax, eax
                xor     ecx, ecx
                {more}
                jmp     .test
        .next:
                add     rax, [rdi + rcx*8]
                movzx   edx, byte [table + 3]
                inc     rcx
        .test:
                cmp     rcx, rsi
                jb      .next
                jmp     {callee}
        }}
        "
    )
}

const HEAD: &str = "rodata table: bytes = 1, 2, 3, 4\n";
const LAST: &str = "fn last(rdi = a: &[n]u64, rsi = n) -> (rax)\n{\n xor eax, eax\n ret\n}\n";

/// Twenty of them; the one of this number does more.
fn program(changed: Option<(usize, &str)>) -> String {
    let mut text = HEAD.to_owned();
    for i in 0..20 {
        let more = changed.filter(|(at, _)| *at == i).map_or("", |(_, more)| more);
        // No two are the same: those that are share what is found of one.
        text += &function(&format!("f{i}"), "last", &format!("mov r10d, {i}\n{more}"));
    }
    text + LAST
}

/// What it costs to check the program with what is kept; it is written as a first check writes it.
fn again(text: &str, kept: &mut Kept) -> u64 {
    let found = check_again(lowered(text), kept).unwrap_or_else(|(_, why)| panic!("{why:?}"));
    let fresh = check(lowered(text)).unwrap_or_else(|(_, why)| panic!("{why:?}"));
    assert_eq!(found.section, fresh.section);
    found.work
}

#[test]
fn what_has_not_changed_is_not_searched() {
    let mut kept = Kept::default();
    let all = again(&program(None), &mut kept);
    assert_eq!(kept.len(), 21);
    assert_eq!(again(&program(None), &mut kept), 0);
    // Everything behind it moves, and lines have other numbers.
    let one = again(&program(Some((3, "mov r8, 5\n mov r9, 7\n"))), &mut kept);
    assert!(one > 0 && one * 15 < all, "{one} of {all}");
    assert_eq!(kept.len(), 22);
    assert_eq!(again(&format!("; a comment\n\n{}", program(None)), &mut kept), 0);
}

/// What a result was found from is more than the text of its function.
#[test]
fn what_is_around_counts() {
    let mut kept = Kept::default();
    let all = again(&program(None), &mut kept);
    // What is called wants something else: each is found anew, and `last`.
    let wants = program(None).replace("fn last(rdi = a: &[n]u64,", "fn last(rdi = a: &[n]i64,");
    let refused = check_again(lowered(&wants), &mut kept).is_err();
    assert_eq!(refused, check_for_output(lowered(&wants)).is_err());
    let gives =
        program(None).replace("rsi = n) -> (rax)\n{\n xor", "rsi = n) -> (rax: u8)\n{\n xor");
    assert!(again(&gives, &mut kept) * 2 > all);
    // Data of another size.
    let data = program(None).replace("= 1, 2, 3, 4", "= 1, 2, 3, 4, 5, 6, 7, 8, 9");
    assert!(again(&data, &mut kept) * 2 > all);
    // The access that was safe is not any more.
    let short = program(None).replace("= 1, 2, 3, 4", "= 1, 2, 3");
    assert!(check_again(lowered(&short), &mut kept).is_err());
    // A state that is written.
    let stated = program(None).replacen(".next:", ".next: where 0 <= rcx < n, rax: u64", 1);
    let cost = again(&stated, &mut kept);
    assert!(cost > 0 && cost * 5 < all, "{cost} of {all}");
    let false_state = program(None).replacen(".next:", ".next: where rcx = 1", 1);
    assert!(check_again(lowered(&false_state), &mut kept).is_err());
    // A ghost.
    let ghost = program(None).replacen("inc     rcx", "@have 0 <= rcx\n inc rcx", 1);
    assert!(again(&ghost, &mut kept) > 0);
    assert_eq!(again(&program(None), &mut kept), 0);
}

/// A refusal keeps what was found of the others, and is said as a first check says it.
#[test]
fn a_refusal_is_found_again() {
    let mut kept = Kept::default();
    let wrong = program(Some((7, "mov rax, [rdi + rsi*8]\n")));
    for _ in 0..2 {
        let (_, found) = check_again(lowered(&wrong), &mut kept).unwrap_err();
        let (_, fresh) = check_for_output(lowered(&wrong)).unwrap_err();
        assert_eq!(format!("{found:?}"), format!("{fresh:?}"));
        assert_eq!(kept.len(), 20);
    }
}

/// Jump tables have addresses in data: such a function is found each time.
#[test]
fn tables_are_found_each_time() {
    let text = "fn f(rdi = x: int[0 .. 1]) -> (rax)
        {
        table .on = .a, .b
                jmp     [.on + rdi*8]
        .a:     mov     eax, 1
                ret
        .b:     mov     eax, 2
                ret
        }
        ";
    let text = format!("{}pub {text}", program(None));
    let mut kept = Kept::default();
    again(&text, &mut kept);
    assert_eq!(kept.len(), 21);
    assert!(again(&text, &mut kept) > 0);
}

/// What nobody used for long is forgotten.
#[test]
fn what_is_old_is_forgotten() {
    let mut kept = Kept::default();
    again(&program(None), &mut kept);
    let other = format!("{HEAD}{LAST}");
    for _ in 0..10 {
        again(&other, &mut kept);
    }
    assert_eq!(kept.len(), 1);
}
