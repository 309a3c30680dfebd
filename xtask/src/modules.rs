//! Not trusted. The arrows between the modules of tal-check: from the ground up each uses only what
//! stands before it, so there is no circle, and elaboration, finder and report are three houses.
//! What compilers use needs something of each.

use crate::run::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// All modules, each behind those that it may use. A module is its file with the folder of its
/// name.
const ORDER: &[(&str, &[&str])] = &[
    ("ground", &["host", "lowered", "simplex", "prove", "files", "encodings", "refused"]),
    ("elaboration", &["asm", "resolve", "layout", "lower", "interface", "elaborate"]),
    (
        "finder",
        &[
            "flow", "plan", "unify", "find", "infer", "part", "joins", "scopes", "needed",
            "refusal", "cuts", "renorm", "explore", "annotate", "kept", "check",
        ],
    ),
    ("report", &["codes", "report", "show", "directives", "console"]),
    ("compilers", &["compiled"]),
];

/// What the finder may not use: it knows of programs what lowering made of them.
const APART: (&str, &str) = ("finder", "elaboration");

/// Compares the sources with [`ORDER`] and [`APART`].
pub(crate) fn arrows() -> Result<()> {
    let source = root().join("tal-check/src");
    let order: Vec<(&str, &str)> =
        ORDER.iter().flat_map(|(house, all)| all.iter().map(|module| (*module, *house))).collect();
    let place = |name: &str| order.iter().position(|(module, _)| *module == name);
    let mut faults = Vec::new();
    for name in modules(&source)? {
        let Some(own) = place(&name) else {
            faults.push(format!("tal-check: `{name}` is not in the order of modules"));
            continue;
        };
        for file in files(&source, &name)? {
            let text = fs::read_to_string(&file)?;
            for used in used(&text).filter(|used| *used != name) {
                let fault = match place(used) {
                    None => "which is not in the order of modules",
                    Some(at) if at > own => "which stands behind it in the order of modules",
                    Some(at) if (order[own].1, order[at].1) == APART => "of another house",
                    Some(_) => continue,
                };
                faults.push(format!("{}: `crate::{used}`, {fault}", file.display()));
            }
        }
    }
    faults.sort();
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// The modules of the crate.
fn modules(source: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(source.join("lib.rs"))?;
    let name = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    let modules: Vec<String> = text.lines().filter_map(name).collect();
    (!modules.is_empty()).then_some(modules).context("tal-check/src/lib.rs names no modules")
}

/// The files of a module.
fn files(source: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut files = vec![source.join(name).with_extension("rs")];
    let mut folders = vec![source.join(name)];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}

/// The modules that a file names, its unit tests and its comments apart.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[cfg(test)]
mod test {
    #[test]
    fn the_arrows_hold() -> anyhow::Result<()> {
        super::arrows()
    }

    #[test]
    fn names_are_seen() {
        let text = "use crate::find::Finder;\n// crate::show\nlet x = crate::plan::Busy;\n\
                    #[cfg(test)]\nmod tests {\n use crate::elaborate::lower;\n}\n";
        let found: Vec<&str> = super::used(text).collect();
        assert_eq!(found, ["find", "plan"]);
    }
}
