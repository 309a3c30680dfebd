//! Not trusted: a test. README.md leads to every page of docs/, and its figures and excerpts are
//! those of the pages and programs that it speaks of.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Names of the files with this ending in a folder.
fn names(folder: &str, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|n| n.ends_with(ending)).collect();
    names.sort();
    names
}

/// Words with single blanks, so that a line may end anywhere.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_page_is_linked() {
    let readme = read("README.md");
    let mut missing = Vec::new();
    for page in names("docs", ".md") {
        if !readme.contains(&format!("](docs/{page})")) {
            missing.push(format!("README.md: docs/{page}"));
        }
    }
    let index = read("docs/spec/index.md");
    for page in names("docs/spec", ".md").iter().filter(|p| *p != "index.md") {
        if !index.contains(&format!("]({page})")) {
            missing.push(format!("docs/spec/index.md: {page}"));
        }
    }
    // Of the pages of codes there is a list by `--explain`, and one page for each code.
    for folder in ["docs/spec/index.md", "docs/errors"] {
        if !readme.contains(&format!("]({folder})")) {
            missing.push(format!("README.md: {folder}"));
        }
    }
    assert!(missing.is_empty(), "no link to {missing:#?}");
}

/// Blocks that begin with the name of a file stand in this file.
#[test]
fn excerpts_are_of_the_files() {
    let readme = read("README.md");
    let mut count = 0;
    for block in readme.split("```text examples/").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let file = read(&format!("examples/{name}"));
        assert!(file.contains(text), "not in examples/{name}:\n{text}");
        count += 1;
    }
    assert_eq!(count, 2);
}

/// The cells of the first row of a table that begins with this.
fn row(page: &str, start: &str) -> Vec<String> {
    let text = read(page);
    let line = text.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("{page} has no row `{start}`"));
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What the figures say is what the pages say that tell how they were measured.
#[test]
fn figures_are_those_of_the_pages() {
    let readme = squeezed(&read("README.md"));
    let says = |words: &str| assert!(readme.contains(words), "README.md does not say: {words}");
    let beyond = |cell: &str| cell.split(['(', ')', '+']).nth(2).unwrap().to_owned();
    let getpid = row("docs/kernel.md", "| getpid |");
    says(&format!("**{} instructions to call the kernel from ring 0**", beyond(&getpid[3])));
    says(&format!("around the {} of `getpid` itself", getpid[1]));
    says(&format!("SYSCALL from ring 3 takes {} around them", beyond(&getpid[2])));
    let pread = row("docs/kernel.md", "| pread, 1 byte |");
    let whole = |cell: &str| -> u32 { cell.split(' ').next().unwrap().parse().unwrap() };
    let thousands = |n: u32| match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", n / 1000, n % 1000),
    };
    let (gate, syscall) = (thousands(whole(&pread[3])), thousands(whole(&pread[2])));
    says(&format!("takes {gate} instructions in ring 0 and {syscall} by SYSCALL"));
    let large = row("docs/performance.md", "| 228710 |");
    says(&format!("**{} s to judge 228,710 lines**", large[6]));
    says(&format!("took the assembler {} s", large[5]));
}

/// Lines of the judge's code, without comments and tests.
fn judge_lines() -> usize {
    let mut lines = 0;
    let mut work = vec![root().join("tal-core/src")];
    while let Some(path) = work.pop() {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                work.extend(fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("\n#[cfg(test)]\n").next().unwrap();
            let bare = code.lines().map(str::trim);
            lines += bare.filter(|l| !l.is_empty() && !l.starts_with("//")).count();
        }
    }
    lines
}

#[test]
fn the_judge_is_as_large_as_it_says() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("the judge, about ").unwrap();
    let (said, _) = rest.split_once(" lines").unwrap();
    let said: usize = said.replace(',', "").parse().unwrap();
    let counted = judge_lines();
    assert!(said.abs_diff(counted) * 10 <= counted, "it has {counted} lines");
}
