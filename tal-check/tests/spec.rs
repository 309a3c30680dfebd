//! Not trusted: a test. The pages of docs/spec tell the truth: each program on them is judged as
//! its directives say, and each rule of the judge has its section.
#![allow(clippy::unwrap_used, clippy::panic)]

mod suite;

use suite::{Verdict, differences, judge, pages};

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
