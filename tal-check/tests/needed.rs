//! Not trusted: a test. Which facts of labels are written: those that some proof rests on, and what
//! the source states.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tal_check::check::{Checked, check};
use tal_check::elaborate::lower;
use tal_check::explore::find_labels;
use tal_check::files::{Disk, Files};
use tal_check::lowered::Lowered;
use tal_check::needed::needed;
use tal_check::report::report;
use tal_core::ty::Fact;
use tal_write::Label;

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

/// The offset of the last label of this name in the first function.
fn offset(lowered: &Lowered, name: &str) -> u32 {
    let mut labels = lowered.functions.first().unwrap().labels.iter();
    let label = labels.rfind(|l| l.names.iter().any(|n| n.0 == name));
    label.unwrap_or_else(|| panic!("no {name}")).offset
}

/// How many of the facts have two variables.
fn relations(facts: &[Fact]) -> usize {
    facts.iter().filter(|f| f.term.monomials().len() == 2).count()
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

const NOTHING: &str = "cmp rcx, rsi\n mov rax, rcx\n ret";
/// There is an element before the index.
const USE: &str = "test rcx, rcx\n jz .none\n mov rax, [rdi + rcx*8 - 8]\n.none: ret";
/// The same behind one label more.
const USE_BEHIND_A_LABEL: &str = "cmp rcx, 1\n jb .none\n je .some\n jmp .some\n.none: ret\n\
     .some: mov rax, [rdi + rcx*8 - 8]\n ret";

#[test]
fn a_fact_is_written_where_a_proof_rests_on_it() {
    for (end, count) in [(NOTHING, 0), (USE, 1), (USE_BEHIND_A_LABEL, 1)] {
        let program = behind_the_loop("", end);
        let found = find_labels(&program).unwrap();
        let at = offset(&program, ".end");
        let holds = &found.iter().find(|l| l.offset == at).unwrap().state.facts;
        assert!(relations(holds) > 0, "it holds: {end}");
        let some = (end == USE_BEHIND_A_LABEL).then(|| offset(&program, ".some"));
        let records = accepted(program).records;
        assert_eq!(relations(&records[&at].1.facts), count, "{end}");
        if let Some(some) = some {
            // What is known in its scope is not said again.
            assert_eq!(relations(&records[&some].1.facts), 0);
        }
    }
}

#[test]
fn what_is_stated_is_written() {
    let stated = behind_the_loop("where rcx <= n", NOTHING);
    let at = offset(&stated, ".end");
    assert_eq!(relations(&accepted(stated).records[&at].1.facts), 1);
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
        let Checked { lowered, .. } = accepted(lowered(&path, &Disk));
        let found = find_labels(&lowered).unwrap();
        let labels = needed(&lowered, &found).unwrap().labels;
        assert_eq!(needed(&lowered, &labels).unwrap().labels, labels, "{path:?}");
        before += facts(&found);
        after += facts(&labels);
    }
    println!("{after} of {before} facts");
    assert!(after * 3 < before * 2, "{after} of {before}");
}
