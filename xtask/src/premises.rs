//! Not trusted. `cargo xtask premises`: takes out each premise of the judge and of the verifying
//! half of the loader, one at a time, and sees whether a test notices (docs/premises.md).

mod run;
mod scan;
mod text;

use crate::manifests;
use crate::run::root;
use anyhow::{Context, Result, bail};
use scan::{Found, Kind, Premise};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Where premises are: files and directories.
const SOURCES: &[&str] = &["tal-core/src", "loader/src/image.rs", "loader/src/verify.rs"];

/// Below these nothing refuses: marks themselves, tests, writers, hints, data.
const NOT: &[&str] = &[
    "tal-core/src/premise.rs",
    "tal-core/src/tests",
    "tal-core/src/wire/guess.rs",
    "tal-core/src/hint",
    "tal-core/src/table/",
];

/// The page with the table.
const PAGE: &str = "docs/premises.md";

/// Premises that no test misses yet, by name: each is to get a test. None may be added by others.
const OPEN: &str = "xtask/src/premises/open.txt";

/// All of it, or for each premise with a reason both that and the second one.
/// `quick`: without those that no test misses yet, for which every test would be run in vain.
pub(crate) fn premises(pairs: bool, quick: bool, only: Option<&str>) -> Result<()> {
    let found = find()?;
    let open = open(&found)?;
    let began = Instant::now();
    let runner = run::Runner::build()?;
    let built = began.elapsed();
    let chosen = |p: &&Premise| {
        only.is_none_or(|word| p.name().contains(word)) && !(quick && open.contains(&p.name()))
    };
    let chosen: Vec<&Premise> = found.premises.iter().filter(chosen).collect();
    let verdicts = if pairs {
        let pair = |p: &&Premise| second(&found, p).map(|s| vec![(*p).clone(), s.clone()]);
        runner.delete(&chosen.iter().filter_map(pair).collect::<Vec<_>>())
    } else {
        runner.delete(&chosen.iter().map(|p| vec![(*p).clone()]).collect::<Vec<_>>())
    }?;
    println!(
        "built and traced in {:.0} s; {} deletions in {:.0} s",
        built.as_secs_f64(),
        verdicts.len(),
        (began.elapsed() - built).as_secs_f64()
    );
    if pairs { judge_pairs(&verdicts) } else { judge(&verdicts, &open) }
}

/// The other premise that the reason of this one names.
fn second<'f>(found: &'f Found, premise: &Premise) -> Option<&'f Premise> {
    let reason = premise.reason.as_ref()?;
    let other = |p: &&Premise| scan::is_named(p, reason) && p.place() != premise.place();
    found.premises.iter().find(other)
}

/// The names in [`OPEN`], each of a premise that exists.
fn open(found: &Found) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(root().join(OPEN)).with_context(|| format!("no {OPEN}"))?;
    let names: BTreeSet<String> = text.lines().map(String::from).collect();
    let known: BTreeSet<String> = found.premises.iter().map(Premise::name).collect();
    match names.difference(&known).next() {
        Some(name) => bail!("{OPEN}: there is no premise {name}"),
        None => Ok(names),
    }
}

fn judge(verdicts: &[run::Verdict], open: &BTreeSet<String>) -> Result<()> {
    let (mut killed, mut reasons, mut waiting, mut faults) = (0, 0, 0, Vec::new());
    for verdict in verdicts {
        let premise = &verdict.deleted[0];
        match (&verdict.killer, &premise.reason) {
            (Some(killer), None) if open.contains(&premise.name()) => {
                faults.push(format!("{killer} misses it, so {OPEN} is stale: {}", shown(premise)));
            }
            (Some(_), None) => killed += 1,
            (None, Some(_)) => {
                reasons += 1;
                println!("survives with a reason: {}", premise.name());
            }
            (None, None) if open.contains(&premise.name()) => {
                waiting += 1;
                println!("no test misses it yet: {}", premise.name());
            }
            (None, None) => faults.push(format!("no test misses {}", shown(premise))),
            (Some(killer), Some(_)) => {
                faults.push(format!(
                    "{killer} misses it, so its reason is stale: {}",
                    shown(premise)
                ));
            }
        }
    }
    println!(
        "{} premises: {killed} killed, {reasons} survive with a reason, {waiting} without a test \
         yet, {} fault(s)",
        verdicts.len(),
        faults.len()
    );
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

fn judge_pairs(verdicts: &[run::Verdict]) -> Result<()> {
    let survivors = verdicts.iter().filter(|v| v.killer.is_none());
    let faults: Vec<String> = survivors
        .map(|v| {
            format!("no test misses both {} and {}", shown(&v.deleted[0]), v.deleted[1].name())
        })
        .collect();
    println!("{} pairs: {} killed", verdicts.len(), verdicts.len() - faults.len());
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

fn shown(premise: &Premise) -> String {
    format!("{}: {}: {}", premise.place(), premise.function, premise.text)
}

/// What the sources have, if every place is as it must be.
fn find() -> Result<Found> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(source, &mut files)?;
    }
    files.sort();
    let found = scan::scan(&files);
    if found.faults.is_empty() { Ok(found) } else { bail!("{}", found.faults.join("\n")) }
}

fn collect(path: &str, files: &mut Vec<(String, String)>) -> Result<()> {
    if NOT.iter().any(|not| path.starts_with(not)) {
        return Ok(());
    }
    let full = root().join(path);
    if full.is_dir() {
        for entry in fs::read_dir(&full)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            collect(&format!("{path}/{name}"), files)?;
        }
    } else if Path::new(path).extension().is_some_and(|e| e == "rs") {
        let text = fs::read_to_string(&full).with_context(|| format!("cannot read {path}"))?;
        // Unit tests at the end of a file are none of it.
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or("").to_string();
        files.push((path.to_string(), code));
    }
    Ok(())
}

/// The table of the page: what the sources have, file by file.
pub(crate) fn table() -> Result<String> {
    let found = find()?;
    let open = open(&found)?;
    let mut files: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for premise in &found.premises {
        let counts = files.entry(&premise.file).or_default();
        counts[0] += 1;
        counts[1] += usize::from(premise.reason.is_some());
        counts[2] += usize::from(open.contains(&premise.name()));
    }
    let mut out = String::from(
        "| file | premises | second lines | without a test yet |\n|---|---|---|---|\n",
    );
    let mut sum = [0; 3];
    for (file, counts) in &files {
        let [all, reasons, open] = counts;
        writeln!(out, "| `{file}` | {all} | {reasons} | {open} |")?;
        sum.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    let [all, reasons, open] = sum;
    writeln!(out, "| all | {all} | {reasons} | {open} |\n")?;
    out.push_str("| no premise, because it is | places |\n|---|---|\n");
    for (kind, words) in Kind::ALL {
        let of_kind = found.others.iter().filter(|((_, k), _)| k == kind);
        writeln!(out, "| {words} | {} |", of_kind.map(|(_, n)| n).sum::<usize>())?;
    }
    Ok(out)
}

/// What needs no tests to be run.
pub(crate) fn check() -> Result<()> {
    switch_is_off()?;
    page_is_current()
}

/// Is the table of the page the one that the sources make?
fn page_is_current() -> Result<()> {
    let page = fs::read_to_string(root().join(PAGE)).with_context(|| format!("no {PAGE}"))?;
    if page.contains(&table()?) {
        return Ok(());
    }
    bail!("the table in {PAGE} is not that of `cargo xtask premises --table`")
}

/// The switch that makes premises deletable stands in no manifest but the judge's own, and in no
/// list of features there: no build of the workspace can turn it on by itself.
fn switch_is_off() -> Result<()> {
    let mut faults = Vec::new();
    for package in manifests::packages()? {
        for (name, needs) in &package.features {
            if needs.iter().any(|n| n.contains(run::FEATURE)) {
                faults.push(format!("{}: feature {name} makes premises deletable", package.name));
            }
        }
        for dependency in &package.dependencies {
            if dependency.features.iter().any(|f| f == run::FEATURE) {
                let name = &dependency.name;
                faults.push(format!("{} asks {name} for deletable premises", package.name));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

#[cfg(test)]
mod test {
    use super::scan::{Kind, scan};

    fn one(code: &str) -> super::Found {
        scan(&[("tal-core/src/x.rs".into(), code.into())])
    }

    #[test]
    fn every_refusal_is_marked_or_listed() -> anyhow::Result<()> {
        let found = super::find()?;
        assert!(found.premises.len() >= 228, "{}", found.premises.len());
        Ok(())
    }

    #[test]
    fn the_page_has_the_table() -> anyhow::Result<()> {
        super::page_is_current()
    }

    #[test]
    fn no_build_makes_premises_deletable() -> anyhow::Result<()> {
        super::switch_is_off()
    }

    #[test]
    fn marks_are_found() {
        let found = one(
            "fn f(n: u8) -> Result<()> {\n    premise!(n < 3, bad());\n    // Second to `n < 3` in \
             `f`: it is smaller.\n    premise!(n < 4, bad());\n    Ok(())\n}\n",
        );
        assert_eq!(found.faults, Vec::<String>::new());
        let names: Vec<String> = found.premises.iter().map(|p| p.name()).collect();
        assert_eq!(names, ["tal-core/src/x.rs: f: n < 3", "tal-core/src/x.rs: f: n < 4"]);
        assert!(found.premises[0].reason.is_none() && found.premises[1].reason.is_some());
    }

    #[test]
    fn what_is_not_marked_is_a_fault() {
        for body in [
            "if n > 3 {\n return Err(bad());\n }\n Ok(())",
            "if n > 3 { Err(bad()) } else { Ok(()) }",
            "match n { 3 => return Err(bad()), _ => {} }\n Ok(())",
            "match n { 3 => Err(bad()), _ => Ok(()) }",
            "if let 3 = n {} else { return Err(bad()); }\n Ok(())",
            "refused(n)?;\n Ok(())",
            "f(n)?;\n Ok(())",
            "premise!(n < 3 && n > 1, bad());\n Ok(())",
            "premise!(n < 3, bad()); premise!(n > 1, bad());\n Ok(())",
            "// Second to `n < 2` in `f`: there is none.\n premise!(n < 3, bad());\n Ok(())",
        ] {
            let found = one(&format!("fn f(n: u8) -> Result<()> {{\n {body}\n}}\n"));
            assert_eq!(found.faults.len(), 1, "{body}: {:?}", found.faults);
        }
    }

    #[test]
    fn what_cannot_be_deleted_is_listed() {
        for (body, kind) in [
            ("Ok(n.checked_add(1).or_refuse(rule)?)", Kind::Value),
            ("let Some(m) = n else { return Err(bad()) };\n Ok(m)", Kind::Pattern),
            ("Ok(match n { 3 => 4, _ => return Err(bad()) })", Kind::Arm),
            ("match n { 3 => Ok(4), _ => Err(bad()) }", Kind::Arm),
            (
                "if n > 3 {\n return Err(Error::new(Rule::Limit, Kind::Limit));\n }\n Ok(n)",
                Kind::Limit,
            ),
        ] {
            let found = one(&format!("fn f(n: u8) -> Result<u8> {{\n {body}\n}}\n"));
            assert_eq!(found.faults, Vec::<String>::new(), "{body}");
            assert_eq!(found.others.keys().map(|(_, k)| *k).collect::<Vec<_>>(), [kind], "{body}");
        }
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let found =
            one("fn f() -> Result<()> {\n // return Err(bad());\n let _ = \"premise!(a, b)\";\n \
             let _ = '\"';\n /* Err(bad()) */ Ok(())\n}\n");
        assert_eq!((found.premises.len(), found.faults.len()), (0, 0));
    }
}
