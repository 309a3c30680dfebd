//! Not trusted: a test. The pages of docs/spec tell the truth: each program on them is judged as
//! its directives say, and each rule of the judge has its section.
#![allow(clippy::unwrap_used, clippy::panic)]

mod suite;

use std::collections::BTreeSet;
use suite::{Verdict, differences, judge, pages};
use tal_core::error::Rule;

#[test]
fn programs_are_judged_as_the_pages_say() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for program in page.programs() {
            let verdict = judge(&program.name, &program.text);
            let differences = differences(&program, &verdict);
            if let (false, Verdict::Refused(_, refusals)) = (differences.is_empty(), &verdict) {
                eprintln!("{}: {refusals:?}", program.name);
            }
            let place = format!("{} (line {} of the page)", program.name, program.first);
            wrong.extend(differences.iter().map(|d| format!("{place}: {d}")));
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    eprintln!("{count} programs");
}

/// The directives are checked: programs that say something wrong are found out.
#[test]
fn wrong_directives_are_found() {
    let page = suite::page("docs/spec/index.md");
    let said: Vec<_> = page.blocks("```text");
    let wrong = page.blocks("```tal wrong");
    assert!(!wrong.is_empty());
    for program in wrong {
        let found = differences(&program, &judge(&program.name, &program.text));
        let text = said.iter().find(|t| t.first > program.first).unwrap();
        assert_eq!(found.join("\n"), text.text.trim_end());
    }
}

/// What docs/limits.md and docs/language.md say that is not found yet, is not found yet.
#[test]
fn what_is_not_found_is_still_not_found() {
    for name in ["docs/limits.md", "docs/language.md"] {
        let programs = suite::page(name).blocks("```tal unfound");
        assert!(!programs.is_empty());
        for program in programs {
            let verdict = judge(&program.name, &program.text);
            let place = program.first;
            let refused = matches!(verdict, Verdict::Refused(..));
            assert!(refused, "{name}, line {place}: accepted by now");
        }
    }
}

/// A section that is named after a rule has a program that is accepted, and one that is refused by
/// this rule, or a change to the bytes of the accepted one that is; or it names the unit tests that
/// break the rule. That changes are refused as they say is a test of tal-asm.
#[test]
fn rules_have_their_programs() {
    let known: BTreeSet<&str> = Rule::ALL.iter().map(|r| r.name()).collect();
    let tests = test_names();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for page in pages() {
        let (programs, changes) = (page.programs(), page.changes());
        for (heading, text) in page.sections() {
            let Some(rule) = known.get(heading.as_str()) else { continue };
            if !seen.insert(*rule) {
                wrong.push(format!("{rule} has two sections"));
            }
            let own = || programs.iter().filter(|p| p.section == heading);
            let changed = changes.iter().filter(|(p, _)| p.section == heading);
            let mut broken = changed.flat_map(|(_, changes)| changes);
            let refused = own().any(|p| p.expected().iter().any(|(id, _)| id == rule))
                || broken.any(|c| c.rule.as_deref() == Some(rule));
            let named: Vec<&str> = (text.lines().filter_map(|l| l.strip_prefix("Unit tests: ")))
                .flat_map(|names| names.split(", "))
                .map(|name| name.trim_matches('`'))
                .collect();
            for name in named.iter().filter(|n| !tests.contains(**n)) {
                wrong.push(format!("{rule}: there is no test {name}"));
            }
            if !refused && named.is_empty() {
                wrong.push(format!("{rule}: nothing breaks it"));
            }
            if !own().any(|p| p.expected().is_empty()) && named.is_empty() {
                wrong.push(format!("{rule}: no program keeps it"));
            }
        }
    }
    let only = std::env::var("PAGE").is_ok();
    for rule in known.iter().filter(|r| !only && !seen.contains(*r)) {
        wrong.push(format!("{rule} has no section"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Names of all test functions of tal-core.
fn test_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut work = vec![suite::root().join("tal-core/src"), suite::root().join("tal-core/tests")];
    while let Some(path) = work.pop() {
        if path.is_dir() {
            work.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let name = |rest: &str| rest.split('(').next().unwrap().to_owned();
            names.extend(
                text.split("#[test]\n")
                    .skip(1)
                    .map(|rest| name(rest.split("fn ").nth(1).unwrap_or_default())),
            );
        }
    }
    names
}

/// The judge's code marks each rule where it stands, and names no others.
#[test]
fn the_code_marks_the_rules() {
    let mut marked = BTreeSet::new();
    let mut work = vec![suite::root().join("tal-core/src")];
    while let Some(path) = work.pop() {
        if path.is_dir() {
            work.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(path).unwrap();
            let ids = text.split("rule[").skip(1).map(|rest| rest.split(']').next().unwrap());
            marked.extend(ids.map(str::to_owned));
        }
    }
    let known: BTreeSet<String> = Rule::ALL.iter().map(|r| r.name().to_owned()).collect();
    let marked: BTreeSet<String> =
        marked.into_iter().filter(|m| m.chars().all(|c| c == '-' || c.is_alphanumeric())).collect();
    assert_eq!(marked, known);
}
