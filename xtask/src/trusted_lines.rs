//! Not trusted. `cargo xtask trusted-lines`: how many lines of Rust the kernel's judge is made of:
//! every line that is not blank and not only a comment, of every file that the compiler reads for
//! the crates that are linked into it, but for what it leaves out there, tests above all.
//!
//! Which files those are the compiler says itself: it writes them down for each crate.

use crate::run::{cargo, command, root, run};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates that are linked into it: all of this repository.
const OURS: [&str; 3] = ["tal-core", "loader", "kjudge"];

/// Prints a line for each crate, and their sums.
pub(crate) fn print() -> Result<()> {
    let built = root().join("target/trusted-lines");
    let to = built.to_string_lossy();
    run(&cargo(), &["check", "--release", "--package", "kjudge", "--target-dir", &to])?;
    let linked = linked()?;
    ensure!(linked == BTreeSet::from(OURS.map(String::from)), "it links {linked:?}");
    let mut sum = (0, 0);
    for name in OURS {
        let (files, lines) = lines_of(&built.join("release/deps"), name)?;
        println!("{name:<26} {files:>4} files {lines:>6} lines");
        sum = (sum.0 + files, sum.1 + lines);
    }
    println!("{:<26} {:>4} files {:>6} lines", "together", sum.0, sum.1);
    Ok(())
}

/// The crates that are linked into the judge, by name.
fn linked() -> Result<BTreeSet<String>> {
    let arguments = [
        "tree",
        "--package",
        "kjudge",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{lib}",
    ];
    let output = command(&cargo(), &arguments).output()?;
    ensure!(output.status.success(), "cargo tree fails");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(|name| name.trim().replace('_', "-")).collect())
}

/// How many files, and lines in them.
fn lines_of(deps: &Path, name: &str) -> Result<(usize, usize)> {
    let files = files(deps, &name.replace('-', "_"))?;
    let mut lines = 0;
    for file in &files {
        let text =
            fs::read_to_string(root().join(file)).with_context(|| file.display().to_string())?;
        lines += count(&text);
    }
    Ok((files.len(), lines))
}

/// The sources of a crate, as the compiler wrote them down when it last built it.
fn files(deps: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for entry in fs::read_dir(deps)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hash = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        if hash.is_some_and(|hash| hash.ends_with(".d")) {
            written.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    let Some((_, latest)) = written.into_iter().max() else { bail!("{name} was not built") };
    let text = fs::read_to_string(latest)?;
    // `file:` alone on a line, for each.
    let files = text.lines().filter_map(|line| line.strip_suffix(':'));
    let files = files.filter(|file| Path::new(file).extension().is_some_and(|e| e == "rs"));
    Ok(files.map(PathBuf::from).collect())
}

/// Lines of code. Of a crate without features what a feature brings is left out, too.
fn count(text: &str) -> usize {
    let mut count = 0;
    let mut comment = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim();
        if comment || code.starts_with("/*") {
            comment = !code.contains("*/");
        } else if left_out(code) {
            skip(line, &mut lines);
        } else if !code.is_empty() && !code.starts_with("//") {
            count += 1;
        }
    }
    count
}

/// Is this an attribute that takes its item out of the judge?
fn left_out(code: &str) -> bool {
    code == "#[cfg(test)]" || code.starts_with("#[cfg(feature = ")
}

/// Goes behind the item that follows the attribute, as rustfmt indents it.
fn skip<'a>(attribute: &str, lines: &mut impl Iterator<Item = &'a str>) {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let outer = indent(attribute);
    for line in lines {
        let code = line.trim_end();
        let head = code.trim_start();
        let ends = code.ends_with([';', '}', ',']);
        if indent(code) == outer && ends && !head.starts_with("#[") && !head.starts_with("//") {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn lines_of_code() {
        let text =
            "//! Head.\n\nuse a; // b\n/* long\ncomment */\nfn f() {\n    // why\n    g();\n}\n";
        assert_eq!(count(text), 4);
    }

    #[test]
    fn what_is_left_out() {
        let text = "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(feature = \"user\")]\npub mod b {\n    \
                    fn g() {\n    }\n}\nstruct S {\n    #[cfg(feature = \"x\")]\n    a: u8,\n    \
                    b: u8,\n}\n#[cfg(test)]\n#[allow(x)]\nmod more {\n    fn h() {}\n}\n";
        assert_eq!(count(text), 4);
    }
}
