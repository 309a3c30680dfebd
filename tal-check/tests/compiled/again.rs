//! Programs that were checked are handed over with what was found, and come out annotated.

use super::{ALL, LEAST, verified};
use std::path::{Path, PathBuf};
use tal_check::check::{Checked, check};
use tal_check::compiled::{Program, annotate};
use tal_check::elaborate::lower;
use tal_check::explore::find_labels;
use tal_check::files::Disk;

/// Those that do not go this way, and why not: ghosts of theirs speak of entries, views or
/// variables by numbers that depend on where labels hang. A compiler that owns or lends memory has
/// to know these numbers; that of a checked program that hung otherwise are others.
const APART: [&str; 15] = [
    "args",
    "base64",
    "cat",
    "echo",
    "http",
    "httpd",
    "sha256sum",
    "sort",
    "sorting",
    "table",
    "vector",
    "wc",
    "wordfreq",
    "lists",
    // Facts that goals propose for it are shown with a state at each label, not at joins alone.
    "lzenc",
];

fn sources(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let all = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "tal")).collect();
    all.sort();
    all
}

/// Hands the program over; how it goes, with as little said as that takes.
fn again(checked: &Checked) -> Result<&'static str, String> {
    let lowered = &checked.lowered;
    let full = find_labels(lowered).ok();
    let mut why = String::new();
    for states in full.iter().map(Vec::as_slice).chain([&*checked.labels]) {
        let mut program = Program::of(lowered, states).unwrap();
        for way in ["states", "ghosts"] {
            if way == "ghosts" {
                let Some(said) = program.with_ghosts(lowered, states) else { break };
                program = said;
            }
            match (annotate(&program, ALL), annotate(&program, LEAST)) {
                (Ok(all), Ok(least)) => {
                    assert_eq!(all.lowered.text, lowered.text);
                    assert_eq!(all.lowered.fixups, lowered.fixups);
                    verified(&all);
                    verified(&least);
                    return Ok(way);
                }
                (Err(refused), _) | (_, Err(refused)) => {
                    why.push_str(&format!("\n  by {way}: {refused}"));
                }
            }
        }
    }
    Err(why)
}

#[test]
fn what_was_found_is_annotated_again() {
    let (mut by_states, mut by_ghosts, mut apart) = (0, 0, Vec::new());
    for path in sources("examples").into_iter().chain(sources("tests/loops")) {
        let Some(lowered) = lower(&path, &Disk).unwrap().lowered else { panic!("{path:?}") };
        let Ok(checked) = check(lowered) else { panic!("{path:?}") };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match again(&checked) {
            Ok("states") => by_states += 1,
            Ok(_) => by_ghosts += 1,
            Err(why) => {
                println!("{name}: {why}");
                apart.push(name);
            }
        }
    }
    assert_eq!((by_states, by_ghosts, apart), (26, 12, APART.map(str::to_owned).to_vec()));
}
