//! Every example, and every driver of a library, is accepted from its source.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

#[path = "bench/show.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod show;

use std::path::{Path, PathBuf};
use tal_check::check::{Refusal, check};
use tal_check::elaborate::lower;
use tal_check::lowered::Lowered;
use tal_check::resolve::Disk;

fn place(l: &Lowered, offset: u32) -> String {
    let name = l.function_at(offset).map_or("?", |(_, f)| f.name.as_str());
    let line = l.span_at(offset).map(|s| format!("{:?}", l.sources.position(s)));
    format!("{name}+{offset:#x} {line:?}")
}

fn verdict(path: &Path) -> Result<usize, String> {
    let outcome = lower(path, &Disk).map_err(|e| e.to_string())?;
    let Some(lowered) = outcome.lowered else {
        return Err(format!("{:?}", outcome.diags.iter().map(|d| &d.message).collect::<Vec<_>>()));
    };
    match check(lowered) {
        Ok(checked) => Ok(checked.section.len()),
        Err((l, refusals)) => {
            let mut text = String::new();
            for r in refusals {
                text += "\n   ";
                text += &match &r {
                    Refusal::Dead(_, at, _) | Refusal::Unreached(_, at) => {
                        format!("unreached {}", place(&l, *at))
                    }
                    Refusal::Judge(e) => {
                        format!("judge {} {e:?}", place(&l, e.site.unwrap_or(0)))
                    }
                    other => format!("{other:?}"),
                };
            }
            Err(text)
        }
    }
}

#[test]
fn examples_are_accepted() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<PathBuf> = files(&dir).chain(files(&dir.join("tests"))).collect();
    paths.sort();
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut refused = Vec::new();
    for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "tal")) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !only.is_empty() && !only.split(',').any(|o| o == name) {
            continue;
        }
        let begun = std::time::Instant::now();
        match verdict(path) {
            Ok(bytes) => eprintln!("{name}: accepted, {bytes} bytes, {:?}", begun.elapsed()),
            Err(e) => {
                eprintln!("{name}: REFUSED {:?} {e}", begun.elapsed());
                refused.push(name);
            }
        }
    }
    assert!(refused.is_empty(), "{refused:?}");
}
