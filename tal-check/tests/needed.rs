//! Not trusted: a test. Which facts of labels are written: those that some proof rests on, and what
//! the source states.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tal_check::check::{Checked, check, find_labels};
use tal_check::files::{Disk, Files};
use tal_check::lower::lower;
use tal_check::lowered::Lowered;
use tal_check::needed::needed;
use tal_check::report::report;
use tal_core::image::Label;

fn lowered(path: &Path, files: &impl Files) -> Lowered {
    let outcome = lower(path, files).unwrap();
    outcome.lowered.unwrap_or_else(|| panic!("{path:?}: {:?}", outcome.diags))
}

fn program(text: &str) -> Lowered {
    lowered(Path::new("test.tal"), &BTreeMap::from([("test.tal".to_owned(), text.to_owned())]))
}

fn accepted(lowered: Lowered) -> Checked {
    check(lowered).unwrap_or_else(|(lowered, refusals)| panic!("{:?}", report(&lowered, &refusals)))
}

/// How many facts with two variables these labels of the first function have.
fn relations(lowered: &Lowered, labels: &[Label], name: &str) -> usize {
    let local = lowered.functions.first().unwrap().labels.iter();
    let mut local = local.filter(|l| l.names.iter().any(|n| n.0 == name)).map(|l| l.offset);
    let offset = local.next_back().unwrap_or_else(|| panic!("no {name}"));
    let label = labels.iter().find(|l| l.offset == offset).unwrap();
    label.state.facts.iter().filter(|f| f.term.monomials().len() == 2).count()
}

/// A loop, and something behind it, where the index is at most `n`.
fn behind_the_loop(state: &str, end: &str) -> Lowered {
    program(&format!(
        "fn f(rdi = a: &[n]u64, rsi = n) -> (rax)
        {{
                xor     eax, eax
                xor     ecx, ecx
        .next:  cmp     rcx, rsi
                jae     .end
                mov     rdx, [rdi + rcx*8]
                inc     rcx
                test    rdx, rdx
                jnz     .next
        .end:   {state}
                {end}
        }}"
    ))
}

const NOTHING: &str = "mov rax, rcx\n ret";
/// There is an element before the index.
const USE: &str = "test rcx, rcx\n jz .none\n mov rax, [rdi + rcx*8 - 8]\n.none: ret";
/// The same behind one label more.
const USE_BEHIND_A_LABEL: &str = "cmp rcx, 1\n jb .none\n je .some\n jmp .some\n.none: ret\n\
     .some: mov rax, [rdi + rcx*8 - 8]\n ret";

#[test]
fn a_fact_is_written_where_a_proof_rests_on_it() {
    for (end, written) in [(NOTHING, 0), (USE, 1), (USE_BEHIND_A_LABEL, 1)] {
        let program = behind_the_loop("", end);
        let found = find_labels(&program).unwrap();
        assert!(relations(&program, &found, ".end") > 0, "it holds: {end}");
        let Checked { lowered, labels, .. } = accepted(program);
        assert_eq!(relations(&lowered, &labels, ".end"), written, "{end}");
        if end == USE_BEHIND_A_LABEL {
            assert_eq!(relations(&lowered, &labels, ".some"), 1);
        }
    }
}

#[test]
fn what_is_stated_is_written() {
    let stated = behind_the_loop("where rcx <= n", NOTHING);
    let Checked { lowered, labels, .. } = accepted(stated);
    assert_eq!(relations(&lowered, &labels, ".end"), 1);
}

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = [root.clone(), root.join("tests")].map(|d| std::fs::read_dir(d).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "tal")).collect()
}

fn facts(labels: &[Label]) -> usize {
    labels.iter().map(|l| l.state.facts.len()).sum()
}

/// Nothing is left that could be dropped, in programs that need much: none was accepted only with
/// everything that was found.
#[test]
fn what_is_written_is_needed() {
    let (mut before, mut after) = (0, 0);
    for path in examples() {
        let Checked { lowered, labels, .. } = accepted(lowered(&path, &Disk));
        assert_eq!(needed(&lowered, &labels).unwrap().labels, labels, "{path:?}");
        before += facts(&find_labels(&lowered).unwrap());
        after += facts(&labels);
    }
    println!("{after} of {before} facts");
    assert!(after * 3 < before * 2, "{after} of {before}");
}
