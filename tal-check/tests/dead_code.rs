//! Not trusted: a test. Code that nothing leads to, of each kind, beside the same with a way to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::report::report;
use tal_syntax::diag::Diag;

fn said(text: &str) -> Vec<Diag> {
    let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("test.tal"), &files).unwrap();
    let Some(lowered) = outcome.lowered else { panic!("{:?}\n{text}", outcome.diags) };
    match check(lowered) {
        Ok(_) => Vec::new(),
        Err((lowered, refusals)) => report(&lowered, &refusals),
    }
}

fn accepted(text: &str) {
    let diags = said(text);
    assert!(diags.is_empty(), "{diags:?}\n{text}");
}

/// One diagnostic, with this code, at the first dead line; what its edit makes is accepted.
fn dead(text: &str, code: &str, at: &str) {
    let diags = said(text);
    let [diag] = diags.as_slice() else { panic!("{diags:?}\n{text}") };
    assert_eq!(diag.code.to_string(), code, "{diag:?}\n{text}");
    assert_eq!(text.get(diag.primary.span.range()).unwrap().trim(), at, "{diag:?}\n{text}");
    let edit = diag.helps.iter().find_map(|h| h.edit.clone());
    let edit = edit.unwrap_or_else(|| panic!("no edit: {diag:?}\n{text}"));
    let mut mended = text.to_owned();
    mended.replace_range(edit.span.range(), &edit.replacement);
    accepted(&mended);
    assert!(!mended.contains(at), "{mended}");
}

fn function(code: &str) -> String {
    format!("use \"kernel.tali\"\npub fn f(rdi = a: int[0 .. 1]) -> (rax)\n{{\n{code}\n}}\n")
}

#[test]
fn behind_what_control_does_not_come_past() {
    dead(&function("xor eax, eax\n jmp .out\n inc rax\n.out: ret"), "E0610", "inc rax");
    dead(&function("xor eax, eax\n ret\n inc rcx\n ret"), "E0610", "inc rcx");
    dead(&function("xor eax, eax\n ret\n inc rcx ; why\n dec rcx\n ret\n"), "E0610", "inc rcx");
    dead(&function("xor edi, edi\n call exit\n inc rcx\n ret"), "E0610", "inc rcx");
    dead(
        &function("jmp g\n inc rcx\n ret\n}\nfn g() -> (rax)\n{\n xor eax, eax\n ret"),
        "E0610",
        "inc rcx",
    );
    dead(&function("xor edi, edi\n jmp exit\n inc rcx\n ret"), "E0610", "inc rcx");
    // A loop without an end.
    dead(&function("xor eax, eax\n.l: inc rax\n jmp .l\n inc rcx\n ret"), "E0610", "inc rcx");
    // A jump through a table.
    let table = "table .t = .a, .b\n jmp [.t + rdi*8]\n inc rcx\n.a: xor eax, eax\n ret\n\
                 .b: mov eax, 1\n ret";
    dead(&function(table), "E0610", "inc rcx");
    accepted(&function(&table.replace("inc rcx\n", "")));
}

#[test]
fn behind_labels() {
    // A label that nobody jumps to.
    dead(&function("xor eax, eax\n ret\n.x: inc rcx\n ret"), "E0604", ".x");
    accepted(&function("xor eax, eax\n jz .x\n ret\n.x: inc rax\n ret"));
    // A loop to which only its own jump leads.
    dead(&function("xor eax, eax\n ret\n.x:\n inc rcx\n jmp .x"), "E0604", ".x");
    // With a state.
    let state = function("xor eax, eax\n ret\n.x: where rcx: u64\n inc rcx\n ret");
    dead(&state, "E0604", ".x");
    let note = said(&state)[0]
        .secondary
        .iter()
        .any(|l| state.get(l.span.range()).unwrap().starts_with("where rcx: u64"));
    assert!(note, "the state is not shown");
}

/// Only the first of what stands together is reported, and not what only dead code leads to.
#[test]
fn one_report_for_a_run() {
    let chain = "xor eax, eax\n ret\n jmp .x\n.y: ret\n.x: jmp .y";
    let diags = said(&function(chain));
    assert_eq!(diags.len(), 1, "{diags:?}");
    let apart = "xor eax, eax\n jz .live\n ret\n jmp .x\n.live: ret\n.x: ret";
    let diags = said(&function(apart));
    assert_eq!(diags.len(), 1, "{diags:?}");
    let two = "xor eax, eax\n jz .live\n ret\n inc rcx\n ret\n.live: ret\n inc rdx\n ret";
    assert_eq!(said(&function(two)).len(), 2);
}

/// A jump into it from code that lives is a way; so is running into it.
#[test]
fn what_is_reached_is_not_dead() {
    accepted(&function(
        "xor eax, eax\n jmp .out\n.in: inc rax\n ret\n.out: test rdi, rdi\n jz .in\n ret",
    ));
    accepted(&function("xor eax, eax\n.comment: inc rax\n ret"));
    // A function that nobody calls has an entry.
    accepted("fn g() -> (rax)\n{\n xor eax, eax\n ret\n}\npub fn f()\n{\n ret\n}\n");
    // Padding is no code.
    accepted(&function("xor eax, eax\n ret\n nop\n nop"));
}
