//! The attacks that source can say. `tests/attacks/<group>/<id>-<what>.tal` is accepted;
//! `<id>-<what>.refused.tal` differs from it in one place and is refused where a comment
//! `;! error[rule]` says, by that rule. `docs/attacks.md` lists all attacks and their tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use tal_check::check::{Refusal, check};
use tal_check::elaborate::lower;
use tal_check::infer::Trouble;
use tal_check::lowered::Lowered;
use tal_check::resolve::Disk;
use tal_core::image::Segment;
use tal_core::verify_section;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for group in fs::read_dir(root().join("tests/attacks")).unwrap() {
        for file in fs::read_dir(group.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found.sort();
    found
}

/// The text without what tests read.
fn bare(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|l| l.split(";!").next().unwrap().trim_end().to_string()).collect()
}

/// Do the two differ in exactly one run of lines?
fn one_place(a: &[String], b: &[String]) -> bool {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let lines = a.len().max(b.len());
    (1..=4).contains(&lines)
}

/// `(line, rule or code)` of each reason for refusing, nothing when accepted.
fn reasons(path: &Path) -> Vec<(u32, String)> {
    let outcome = lower(path, &Disk).unwrap();
    let Some(lowered) = outcome.lowered else {
        let place = |d: &tal_syntax::diag::Diag| {
            let at = outcome.sources.position(d.primary.span).map_or(0, |p| p.line);
            (at, format!("{}", d.code))
        };
        return outcome.diags.iter().map(place).collect();
    };
    match check(lowered) {
        Ok(checked) => {
            machine_code(&checked.lowered, &checked.section);
            Vec::new()
        }
        Err((lowered, refusals)) => refusals.iter().map(|r| reason(&lowered, r)).collect(),
    }
}

fn line(lowered: &Lowered, offset: u32) -> u32 {
    let span = lowered.span_at(offset);
    span.and_then(|s| lowered.sources.position(s)).map_or(0, |p| p.line)
}

fn reason(lowered: &Lowered, refusal: &Refusal) -> (u32, String) {
    let judge = |e: &tal_core::error::Error| {
        (line(lowered, e.site.unwrap_or(0)), e.rule.name().to_string())
    };
    match refusal {
        Refusal::Judge(e) => judge(e),
        Refusal::Trouble(_, Trouble::Block { error, .. }) => judge(error),
        Refusal::Trouble(_, Trouble::Join { .. } | Trouble::Unstable { .. }) => {
            (0, "entail".into())
        }
        Refusal::Trouble(_, Trouble::Written { from, .. }) => {
            (line(lowered, *from), "entail".into())
        }
        Refusal::Dead(_, at, _) | Refusal::Unreached(_, at) => {
            (line(lowered, *at), "unreached".into())
        }
    }
}

/// The verdict on the machine code, from bytes alone, is the same.
fn machine_code(lowered: &Lowered, section: &[u8]) {
    let image = lowered.image(&[]);
    let mut segments: Vec<Segment<'_>> = Vec::new();
    for data in &image.data {
        let bytes = match &data.contents {
            tal_core::image::Contents::Bytes(bytes) => *bytes,
            tal_core::image::Contents::Zero => &[],
        };
        segments.push(Segment {
            address: data.address,
            size: data.size,
            bytes,
            writable: data.writable,
        });
    }
    let interface = &lowered.host.interface;
    let verdict =
        verify_section(&lowered.text, lowered.text_address, &segments, section, interface);
    assert!(verdict.is_ok(), "{verdict:?}");
}

#[test]
fn refused_sources_have_accepted_twins() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    for path in sources() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !only.is_empty() && !name.starts_with(&only) {
            continue;
        }
        let Some(stem) = name.strip_suffix(".refused.tal") else {
            let twin = name.replace(".tal", ".refused.tal");
            assert!(path.with_file_name(twin).exists(), "{name} has no twin");
            continue;
        };
        let twin = path.with_file_name(format!("{stem}.tal"));
        if !one_place(&bare(&twin), &bare(&path)) {
            wrong.push(format!("{name}: differs from its twin in more than one place"));
        }
        let accepted = reasons(&twin);
        if !accepted.is_empty() {
            wrong.push(format!("{stem}: refused {accepted:?}"));
        }
        let expected: Vec<(u32, String)> = directives(&path);
        let found = reasons(&path);
        // A join that fails has no line of its own.
        let told = |e: &(u32, String)| found.contains(e) || found.contains(&(0, e.1.clone()));
        if expected.is_empty() || !expected.iter().all(told) {
            wrong.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines with `;! error[..]`.
fn directives(path: &Path) -> Vec<(u32, String)> {
    let text = fs::read_to_string(path).unwrap();
    let rule = |l: &str| Some(l.split_once(";! error[")?.1.split_once(']')?.0.to_string());
    (1..).zip(text.lines()).filter_map(|(n, l)| Some((n, rule(l)?))).collect()
}

/// Every id that must have a line: traps A to I, the two lists of redteam, the combinations.
fn ids() -> Vec<String> {
    let list = |prefix: &str, last: u32| -> Vec<String> {
        (1..=last).map(|n| format!("{prefix}{n}")).collect()
    };
    let scopes = [vec!["s0".to_string()], list("s", 24)].concat();
    let walk = [list("H", 7), list("W", 24), scopes, list("n", 26)].concat();
    // Of these the page says below its table why they have no line.
    let left_out = ["W11", "W14", "W17", "W18", "W19", "n12", "n24"];
    let walk = walk.into_iter().filter(|id| !left_out.contains(&&**id)).collect();
    [list("t", 169), list("U", 17), list("A", 23), list("c", 50), walk].concat()
}

/// What is wrong with a test that the table names for this attack, which these rules are to stop.
fn missing(id: &str, rules: &[&str], test: &str) -> Option<String> {
    let (file, function) = test.split_once("::").map_or((test, None), |(f, n)| (f, Some(n)));
    let Ok(text) = fs::read_to_string(root().join(file)) else {
        return Some(format!("no file {file}"));
    };
    match function {
        None if file.ends_with(".tal") => {
            let twin = root().join(file.replace(".tal", ".refused.tal"));
            if !twin.exists() {
                return Some(format!("{file} has no twin"));
            }
            if !file.split('/').next_back()?.starts_with(&format!("{id}-")) {
                return Some(format!("{file} is about another attack"));
            }
            let by_a_rule = directives(&twin).iter().any(|(_, rule)| rules.contains(&&**rule));
            (!by_a_rule).then(|| format!("{file} is refused by a rule that the line does not name"))
        }
        None => Some(format!("{file}: which function?")),
        Some(name) => match function_text(&text, name) {
            None => Some(format!("no test {test}")),
            Some(text) => (!says(&text, name, id)).then(|| format!("{test} does not mention it")),
        },
    }
}

/// A test function with the comment before it.
fn function_text(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|l| l.trim() == format!("fn {name}() {{"))?;
    let mark = first.checked_sub(1).filter(|i| lines[*i].trim() == "#[test]")?;
    let before = lines[..mark].iter().rev().take_while(|l| l.trim().starts_with("///")).count();
    let indent = lines[first].len() - lines[first].trim_start().len();
    let end = format!("{}}}", &lines[first][..indent]);
    let length = lines[first..].iter().position(|l| *l == end)?;
    Some(lines[mark - before..first + length].join("\n"))
}

/// Does the name or a comment of a test say the id of the attack?
fn says(text: &str, name: &str, id: &str) -> bool {
    let comments = text.lines().filter_map(|l| l.split_once("//")).map(|(_, comment)| comment);
    comments
        .chain([name])
        .flat_map(|said| said.split(|c: char| !c.is_ascii_alphanumeric()))
        .any(|word| word.eq_ignore_ascii_case(id))
}

/// A cell of rules names rules, or says in several words what else it is.
fn no_rules<'a>(rules: &[&'a str]) -> Vec<&'a str> {
    let known: Vec<&str> = tal_core::error::Rule::ALL.iter().map(|r| r.name()).collect();
    let word = |r: &str| r.chars().all(|c| c == '-' || c.is_ascii_alphanumeric());
    rules.iter().filter(|r| word(r) && **r != "loader" && !known.contains(*r)).copied().collect()
}

#[test]
fn the_table_of_attacks_is_complete_and_its_tests_exist() {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    let mut named = Vec::new();
    for line in page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| id ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, attack, rules, tests] = cells[..] else {
            wrong.push(format!("no four cells: {line}"));
            continue;
        };
        seen.push(id.to_string());
        if attack.is_empty() || rules.is_empty() {
            wrong.push(format!("{id}: an empty cell"));
        }
        let rules: Vec<&str> = rules.split([',', ';']).map(str::trim).collect();
        wrong.extend(no_rules(&rules).iter().map(|r| format!("{id}: {r} is no rule")));
        let (tests, waits) =
            tests.split_once("waits:").map_or((tests, None), |(t, w)| (t, Some(w)));
        if waits.is_some_and(|reason| reason.trim().len() < 10) {
            wrong.push(format!("{id}: waits without a reason"));
        }
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            wrong.push(format!("{id}: no test"));
        }
        let found = tests.iter().filter_map(|t| missing(id, &rules, t));
        wrong.extend(found.map(|e| format!("{id}: {e}")));
        named.extend(tests.into_iter().map(str::to_string));
    }
    if seen != ids() {
        let absent: Vec<String> = ids().into_iter().filter(|i| !seen.contains(i)).collect();
        wrong.push(format!("not every id once, in order; absent: {absent:?}"));
    }
    for path in sources() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let listed = named.iter().any(|t| t.ends_with(&format!("/{name}")));
        if !name.ends_with(".refused.tal") && !listed {
            wrong.push(format!("{name} is not in the table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
