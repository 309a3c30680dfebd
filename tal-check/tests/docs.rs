//! Not trusted: a test. The pages of `docs/` and README do not lie about what can be looked up:
//! paths, links, commands, names in the code, rules, limits, arrows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tal_core::error::Rule;
use tal_core::limits;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All files below a folder with one of these endings, from the root.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let (mut found, mut work) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = work.pop() {
        if root().join(&path).is_dir() {
            let entries = fs::read_dir(root().join(&path)).unwrap();
            let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
            work.extend(entries.map(|e| format!("{path}/{}", name(e.unwrap()))));
        } else if endings.iter().any(|e| path.ends_with(e)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<String> {
    let mut pages = files("docs", &[".md"]);
    pages.extend(["README.md".to_owned(), "CHANGELOG.md".to_owned()]);
    pages
}

/// The text without fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let keep = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    text.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

/// What stands in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Does it look like a path in this repository?
fn is_path(quoted: &str, tops: &[String]) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let first = quoted.split('/').next().unwrap();
    quoted.contains('/') && quoted.chars().all(plain) && tops.iter().any(|t| t == first)
}

#[test]
fn paths_and_links_lead_somewhere() {
    let entries = fs::read_dir(root()).unwrap();
    let tops: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let made = ["target/"];
    let mut wrong = Vec::new();
    for page in pages() {
        let text = prose(&read(&page));
        for path in quoted(&text).into_iter().filter(|q| is_path(q, &tops)) {
            let exists = root().join(path).exists();
            if !exists && !made.iter().any(|m| path.starts_with(m)) {
                wrong.push(format!("{page}: there is no {path}"));
            }
        }
        let folder = Path::new(&page).parent().unwrap();
        let unquoted: Vec<&str> = text.split('`').step_by(2).collect();
        let unquoted = unquoted.join("``");
        for link in unquoted.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.contains(':') && !root().join(folder).join(file).exists() {
                wrong.push(format!("{page}: the link {link} leads nowhere"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn commands_exist() {
    let main = read("xtask/src/main.rs").to_lowercase();
    let mut wrong = Vec::new();
    for page in pages() {
        for rest in read(&page).split("cargo xtask ").skip(1) {
            let word = |c: char| c == '-' || c.is_ascii_alphanumeric();
            let names = rest.split(|c: char| !word(c) && c != '|').next().unwrap();
            for name in names.split('|').filter(|n| !n.is_empty() && *n != "help") {
                // A variant of the enumeration of commands, or a name given to one.
                let variant = name.replace('-', "");
                let known = main.contains(&format!("command::{variant}"))
                    || main.contains(&format!("\"{name}\""));
                if !known {
                    wrong.push(format!("{page}: cargo xtask {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The code map of docs/architecture.md: the files of each crate, and who uses whom.
#[test]
fn the_architecture_is_that_of_the_code() {
    let text = read("docs/architecture.md");
    let mut wrong = Vec::new();
    for section in text.split("\n### `").skip(1) {
        let (name, body) = section.split_once('`').unwrap();
        let body = body.split("\n## ").next().unwrap();
        for file in quoted(&prose(body)) {
            let within = file.ends_with(".rs") || file.ends_with('/');
            let path = format!("{name}/src/{file}");
            if within && !file.trim_end_matches('/').contains('/') && !root().join(&path).exists() {
                wrong.push(format!("there is no {path}"));
            }
        }
    }
    let members =
        ["tal-syntax", "tal-core", "tal-write", "tal-check", "tal-asm", "loader", "kjudge"];
    let (_, arrows) = text.split_once("\n## Arrows\n").unwrap();
    let arrows = arrows.split("\n## ").next().unwrap().replace('\n', " ");
    for member in members {
        let manifest = read(&format!("{member}/Cargo.toml"));
        let table = manifest.split_once("[dependencies]\n").map_or("", |(_, table)| table);
        let table = table.split("\n[").next().unwrap();
        let name = |line: &str| line.split(['.', '=', ' ']).next().unwrap().to_owned();
        let used: BTreeSet<String> =
            table.lines().map(name).filter(|name| members.contains(&name.as_str())).collect();
        let said: BTreeSet<String> = match arrows.split_once(&format!("`{member}` ->")) {
            Some((_, rest)) => {
                quoted(rest.split('.').next().unwrap()).into_iter().map(str::to_owned).collect()
            }
            None => BTreeSet::new(),
        };
        if used != said {
            wrong.push(format!("{member} uses {used:?}, the page says {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The code column of docs/glossary.md names types of the judge, their variants and fields.
#[test]
fn the_glossary_names_what_is_in_the_code() {
    let code: String = files("tal-core/src", &[".rs"]).iter().map(|f| read(f)).collect();
    // Two types may share a name, in two modules.
    let bodies = |name: &str| -> Vec<&str> {
        let starts = ["struct", "enum"].map(|kind| format!("pub {kind} {name} "));
        let places = starts.iter().flat_map(|start| code.match_indices(start.as_str()));
        let body = |(start, _): (usize, &str)| {
            let end = code[start..].find("\n}").unwrap();
            &code[start..start + end]
        };
        places.map(body).collect()
    };
    let mut wrong = Vec::new();
    let page = read("docs/glossary.md");
    for line in page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| Symbol")) {
        let cell = line.split('|').nth(2).unwrap();
        for name in quoted(cell) {
            let (ty, part) = name.split_once("::").map_or((name, None), |(t, p)| (t, Some(p)));
            let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            let has = |ty: &str, part: &str| {
                bodies(ty).iter().any(|b| b.split(word).any(|found| found == part))
            };
            let known = match part {
                None => {
                    let tuple = format!("pub struct {ty}(");
                    !bodies(ty).is_empty() || code.contains(&tuple) || has("Mode", ty)
                }
                Some(part) => has(ty, part),
            };
            if !known {
                wrong.push(name.to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "not in tal-core: {wrong:#?}");
}

/// Each bullet of docs/deviations.md is about a rule, or about the encoding.
#[test]
fn deviations_are_of_rules() {
    let known: BTreeSet<&str> = Rule::ALL.iter().map(|r| r.name()).collect();
    let mut wrong = Vec::new();
    let page = read("docs/deviations.md");
    for bullet in page.lines().filter_map(|l| l.strip_prefix("- ")) {
        let (subject, _) = bullet.split_once(':').unwrap_or((bullet, ""));
        let rules: Vec<&str> = quoted(subject);
        let general = ["Wire form", "Encodings"].contains(&subject);
        if rules.is_empty() && !general {
            wrong.push(format!("about no rule: {bullet}"));
        }
        for rule in rules {
            let group = rule.strip_suffix('*').unwrap_or("no group");
            if !known.contains(rule) && !known.iter().any(|k| k.starts_with(group)) {
                wrong.push(format!("{rule} is no rule"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The figures of docs/guarantee.md are those that the judge is built with.
#[test]
fn the_guarantee_has_the_limits_of_the_judge() {
    let page = read("docs/guarantee.md");
    let says = |words: &str| assert!(page.contains(words), "docs/guarantee.md: {words}");
    assert_eq!((limits::ADDRESS_LOW, limits::ADDRESS_HIGH), (1 << 16, 1 << 47));
    says("inside [2^16, 2^47)");
    assert_eq!(limits::FRAME, 64 << 10);
    says("a stack of at least 64 KiB");
    const { assert!(limits::PROBE < 4096) };
    says("a guard of at least one page");
    // The function that the theorem is about.
    says("`tal_core::driver::verify`");
    let _ = tal_core::driver::verify::<tal_core::wire::Stream<'static>>;
}
