//! Not trusted: a bug here can reject, never admit. Long lines, cut to what a reader can see.
//!
//! A line of many thousand characters would be printed whole, with as many blanks below it. Here
//! such lines keep a window around what is marked in them; all others stay as they are.

use std::collections::BTreeMap;

use crate::diag::{Diag, Label};
use crate::source::Sources;
use crate::span::{FileId, Span};

/// Bytes up to which a line is shown whole.
const LONG: usize = 240;
/// Bytes that are shown before and behind what is marked.
const AROUND: usize = 60;
/// Bytes of a mark that are shown.
const MARKED: usize = 100;

/// A diagnostic and its files, with long lines cut.
pub(super) struct Window {
    pub(super) diag: Diag,
    pub(super) sources: Sources,
    /// By file and line, counted from 0: characters that were cut in front, less those put there.
    pub(super) shifts: BTreeMap<(FileId, usize), isize>,
}

/// A line that is cut: its place, and the part that stays.
struct Cut {
    line: std::ops::Range<usize>,
    kept: std::ops::Range<usize>,
}

const BEFORE: &str = "... ";
const BEHIND: &str = " ...";

/// Cuts the long lines of the files that the diagnostic speaks of; nothing if there are none.
pub(super) fn window(diag: &Diag, sources: &Sources) -> Option<Window> {
    let labels = || diag.secondary.iter().chain([&diag.primary]);
    let long = |file: FileId| {
        let source = sources.get(file)?;
        source.text.split('\n').any(|line| line.len() > LONG).then_some(())
    };
    if !labels().any(|l| long(l.span.file).is_some()) {
        return None;
    }
    let mut shown = Sources::new();
    let mut shifts = BTreeMap::new();
    let mut all: BTreeMap<FileId, Vec<Cut>> = BTreeMap::new();
    for (id, source) in sources.iter() {
        if !labels().any(|l| l.span.file == id) {
            shown.add(source.path.clone(), source.text.clone());
            continue;
        }
        let here: Vec<&Label> = labels().filter(|l| l.span.file == id).collect();
        let cuts = cuts(&source.text, &here);
        let mut text = String::new();
        let mut done = 0;
        for (number, cut) in &cuts {
            text.push_str(source.text.get(done..cut.line.start).unwrap_or(""));
            let (line, kept) = (&cut.line, &cut.kept);
            let front = source.text.get(line.start..kept.start).unwrap_or("");
            if !front.is_empty() {
                text.push_str(BEFORE);
                let cut = isize::try_from(front.chars().count()).unwrap_or(isize::MAX);
                shifts.insert((id, *number), cut - BEFORE.len() as isize);
            }
            text.push_str(source.text.get(kept.clone()).unwrap_or(""));
            if kept.end < line.end {
                text.push_str(BEHIND);
            }
            done = line.end;
        }
        text.push_str(source.text.get(done..).unwrap_or(""));
        shown.add(source.path.clone(), text);
        all.insert(id, cuts.into_iter().map(|c| c.1).collect());
    }
    let moved = |label: &Label| {
        let cuts = all.get(&label.span.file).map_or(&[][..], Vec::as_slice);
        let place = |at: u32| u32::try_from(moved(cuts, at as usize)).unwrap_or(at);
        let span = Span::new(label.span.file, place(label.span.start), place(label.span.end));
        Label { span, text: label.text.clone() }
    };
    let secondary = diag.secondary.iter().map(moved).collect();
    let diag = Diag { primary: moved(&diag.primary), secondary, ..diag.clone() };
    Some(Window { diag, sources: shown, shifts })
}

/// The long lines of a text, by number from 0, each with what stays of it.
fn cuts(text: &str, labels: &[&Label]) -> Vec<(usize, Cut)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in text.split('\n').enumerate() {
        let range = start..start + line.len();
        start = range.end + 1;
        if line.len() <= LONG {
            continue;
        }
        // The primary label stands last.
        let mark = labels.iter().rev().map(|l| l.span.range());
        let mark = mark.into_iter().find(|m| range.contains(&m.start) || m.start == range.end);
        let mark = mark.unwrap_or(range.start..range.start);
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let from = boundary(mark.start.saturating_sub(AROUND).max(range.start));
        let end = mark.end.min(mark.start + MARKED);
        let to = boundary((end + AROUND).min(range.end)).max(from);
        found.push((number, Cut { line: range, kept: from..to }));
    }
    found
}

/// Where a byte is when the lines are cut.
fn moved(cuts: &[Cut], at: usize) -> usize {
    let mut lost: usize = 0;
    let mut added: usize = 0;
    for cut in cuts {
        if at < cut.line.start {
            break;
        }
        let front = if cut.kept.start > cut.line.start { BEFORE.len() } else { 0 };
        let back = if cut.kept.end < cut.line.end { BEHIND.len() } else { 0 };
        if at <= cut.line.end {
            let inside = at.clamp(cut.kept.start, cut.kept.end);
            return inside - (cut.kept.start - cut.line.start) - lost + added + front;
        }
        lost += (cut.kept.start - cut.line.start) + (cut.line.end - cut.kept.end);
        added += front + back;
    }
    at - lost + added
}
