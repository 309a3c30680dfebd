//! Not trusted: a test. The pages of docs/spec, and docs/language.md, as a test suite: their
//! programs, what they expect, and what comes of them. docs/spec/index.md explains the directives.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tal_check::check::{Checked, Refusal, check};
use tal_check::elaborate::lower;
use tal_check::infer::Trouble;
use tal_check::lowered::Lowered;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page of the specification.
#[derive(Debug)]
pub(crate) struct Page {
    /// File name without its ending.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

/// The pages, by name.
pub(crate) fn pages() -> Vec<Page> {
    let only = std::env::var("PAGE").unwrap_or_default();
    let mut pages = Vec::new();
    let entries = std::fs::read_dir(root().join("docs/spec")).unwrap();
    let language = root().join("docs/language.md");
    for path in entries.map(|e| e.unwrap().path()).chain([language]) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "md") && (only.is_empty() || only == name) {
            pages.push(Page { name, text: std::fs::read_to_string(path).unwrap() });
        }
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    pages
}

/// A page with the name and text of one file, for `docs/limits.md`.
pub(crate) fn page(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    Page { name: Path::new(path).file_stem().unwrap().to_string_lossy().into_owned(), text }
}

/// A program on a page.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// `page#n.tal`.
    pub(crate) name: String,
    /// Line of the page on which the text begins, from 1.
    pub(crate) first: usize,
    /// The text.
    pub(crate) text: String,
    /// Heading of the section it stands in.
    pub(crate) section: String,
}

/// What a program is expected to be refused for, and where: rule id and line, from 1.
pub(crate) type Complaints = BTreeSet<(String, usize)>;

impl Page {
    /// The sections: heading and text.
    pub(crate) fn sections(&self) -> Vec<(String, String)> {
        let mut sections = vec![(String::new(), String::new())];
        let mut fenced = false;
        for line in self.text.lines() {
            fenced ^= line.starts_with("```");
            match line.strip_prefix('#').filter(|_| !fenced) {
                Some(rest) => {
                    let heading = rest.trim_start_matches('#').trim().to_owned();
                    sections.push((heading, String::new()));
                }
                None => {
                    let (_, text) = sections.last_mut().unwrap();
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        sections
    }

    /// The blocks fenced by ```` ```tal ````.
    pub(crate) fn programs(&self) -> Vec<Program> {
        self.blocks("```tal")
    }

    /// The blocks fenced by ```` ```bytes ````, each with the program that it changes: the one
    /// above it.
    pub(crate) fn changes(&self) -> Vec<(Program, Vec<Change>)> {
        let programs = self.programs();
        let of = |block: Program| {
            let above = programs.iter().rfind(|p| p.first < block.first);
            let above = above.unwrap_or_else(|| panic!("{}: nothing to change", block.name));
            assert_eq!(above.section, block.section, "{}: another section", block.name);
            let lines = (block.first..).zip(block.text.lines());
            (above.clone(), lines.map(|(line, text)| Change::parse(line, text)).collect())
        };
        self.blocks("```bytes").into_iter().map(of).collect()
    }

    /// The blocks that begin with this line.
    pub(crate) fn blocks(&self, fence: &str) -> Vec<Program> {
        let mut programs: Vec<Program> = Vec::new();
        let mut open = None;
        let mut section = String::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            match &mut open {
                Some(_) if line == "```" => programs.extend(open.take()),
                Some(program) => {
                    program.text.push_str(line);
                    program.text.push('\n');
                }
                None if line == fence => {
                    let name = format!("{}#{}.tal", self.name, programs.len() + 1);
                    let (text, section) = (String::new(), section.clone());
                    open = Some(Program { name, first: number + 1, text, section });
                }
                None => {
                    if let Some(heading) = line.strip_prefix('#') {
                        section = heading.trim_start_matches('#').trim().to_owned();
                    }
                }
            }
        }
        assert!(open.is_none(), "{}: a block without its end", self.name);
        programs
    }
}

/// A change to the bytes of an object, made by itself.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Line of the page, from 1.
    pub(crate) line: usize,
    /// `text`, `rodata` or `notes`.
    pub(crate) part: String,
    /// The bytes that are replaced. They occur once; none: at the end.
    pub(crate) old: Vec<u8>,
    /// By these.
    pub(crate) new: Vec<u8>,
    /// The rule that refuses the object then.
    pub(crate) rule: Option<String>,
}

impl Change {
    /// `part: old -> new ;! error[rule]`.
    fn parse(line: usize, text: &str) -> Change {
        let (change, comment) = text.split_once(';').unwrap_or((text, ""));
        let rule = comment.strip_prefix("! error[").and_then(|rest| rest.split_once(']'));
        let (part, bytes) = change.split_once(':').unwrap();
        let (old, new) = bytes.split_once("->").unwrap();
        Change {
            line,
            part: part.trim().to_owned(),
            old: hexadecimal(old),
            new: hexadecimal(new),
            rule: rule.map(|(id, _)| id.to_owned()),
        }
    }

    /// Makes it.
    pub(crate) fn make(&self, bytes: &mut Vec<u8>) {
        let (old, new) = (&self.old, self.new.clone());
        if old.is_empty() {
            return bytes.extend(new);
        }
        let windows = bytes.windows(old.len()).enumerate();
        let places: Vec<usize> = windows.filter(|(_, w)| w == old).map(|(at, _)| at).collect();
        let [at] = places.as_slice() else {
            panic!("line {}: {old:02x?} at {places:?} of {bytes:02x?}", self.line);
        };
        bytes.splice(*at..*at + old.len(), new);
    }
}

/// `89 f8`; `(20 00)*8` is eight times the two.
fn hexadecimal(text: &str) -> Vec<u8> {
    let plain = |text: &str| -> Vec<u8> {
        text.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
    };
    let Some((before, rest)) = text.split_once('(') else { return plain(text) };
    let (group, rest) = rest.split_once(")*").unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (times, after) = rest.split_at(end);
    let mut bytes = plain(before);
    bytes.extend(plain(group).repeat(times.parse().unwrap()));
    bytes.extend(hexadecimal(after));
    bytes
}

impl Program {
    /// What its directives expect.
    pub(crate) fn expected(&self) -> Complaints {
        let mut expected = Complaints::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            for rest in line.split(";! error[").skip(1) {
                let id = rest.split(']').next().unwrap();
                expected.insert((id.to_owned(), number));
            }
        }
        expected
    }
}

/// What becomes of a program.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It has annotations.
    Accepted(Box<Checked>),
    /// Lowering refuses it: it has no machine code.
    NoCode(Complaints),
    /// The rules refuse it.
    Refused(Box<Lowered>, Vec<Refusal>),
}

/// The verdict on a source text.
pub(crate) fn judge(name: &str, text: &str) -> Verdict {
    let files = BTreeMap::from([(name.to_owned(), text.to_owned())]);
    judge_files(Path::new(name), &files)
}

/// The verdict on a program of several files.
pub(crate) fn judge_files(path: &Path, files: &dyn tal_check::resolve::Files) -> Verdict {
    let outcome = lower(path, files).unwrap();
    let Some(lowered) = outcome.lowered else {
        let place = |d: &tal_syntax::Diag| {
            let position = outcome.sources.position(d.primary.span);
            (d.code.to_string(), position.map_or(0, |p| p.line as usize))
        };
        return Verdict::NoCode(outcome.diags.iter().map(place).collect());
    };
    match check(lowered) {
        Ok(checked) => Verdict::Accepted(Box::new(checked)),
        Err((lowered, refusals)) => Verdict::Refused(lowered, refusals),
    }
}

/// Line of the text at this offset.
pub(crate) fn line_of(lowered: &Lowered, offset: u32) -> usize {
    let span = lowered.span_at(offset);
    let position = span.and_then(|s| lowered.sources.position(s));
    position.map_or(0, |p| p.line as usize)
}

/// What is named by a refusal: the rule and the text offset. Inference gives up on a label without
/// naming the edge; then there is no offset.
pub(crate) fn named(refusal: &Refusal) -> (&'static str, Option<u32>) {
    match refusal {
        Refusal::Judge(error) => (error.rule.name(), error.site),
        Refusal::Trouble(_, Trouble::Block { error, .. }) => (error.rule.name(), error.site),
        Refusal::Trouble(_, Trouble::Join { .. } | Trouble::Unstable { .. }) => ("entail", None),
        Refusal::Trouble(_, Trouble::Written { site, .. }) => ("entail", Some(*site)),
        Refusal::Dead(_, offset, _) | Refusal::Unreached(_, offset) => ("unreached", Some(*offset)),
    }
}

/// What differs between what is expected and what came; empty if all is well. A refusal without a
/// place matches an expectation of its rule in any line.
pub(crate) fn differences(program: &Program, verdict: &Verdict) -> Vec<String> {
    let mut expected = program.expected();
    let mut wrong = Vec::new();
    let found: Vec<(String, Option<usize>)> = match verdict {
        Verdict::Accepted(_) => Vec::new(),
        Verdict::NoCode(complaints) => {
            complaints.iter().map(|(code, line)| (code.clone(), Some(*line))).collect()
        }
        Verdict::Refused(lowered, refusals) => {
            let line = |(rule, site): (&str, Option<u32>)| {
                (rule.to_owned(), site.map(|s| line_of(lowered, s)))
            };
            refusals.iter().map(named).map(line).collect()
        }
    };
    let mut met = BTreeSet::new();
    for (rule, line) in found {
        let fits = |(r, l): &&(String, usize)| *r == rule && line.is_none_or(|line| line == *l);
        match expected.iter().find(fits) {
            Some(expectation) => {
                met.insert(expectation.clone());
            }
            None => wrong.push(format!("refused by {rule} in line {}", line.unwrap_or(0))),
        }
    }
    expected.retain(|e| !met.contains(e));
    let missing = |(rule, line): (String, usize)| format!("not refused by {rule} in line {line}");
    wrong.extend(expected.into_iter().map(missing));
    wrong
}
