//! Not trusted: a bug here can reject, never admit. Diagnostics of code that nothing leads to.

use super::{labels, rules, source};
use crate::flow::tables::table_labels_at;
use crate::lowered::{FnInfo, Inst, Lowered};
use std::ops::Range;
use tal_core::image::DataKind;
use tal_core::ty::FnId;
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// The first of a run of dead code.
pub(super) fn dead(lowered: &Lowered, id: FnId, range: Range<u32>) -> Diag {
    let Some(function) = lowered.functions.get(id.0 as usize) else {
        return Diag::error(rules::DEAD, Span::default(), "nothing leads here");
    };
    let label = labels::at(lowered, id, range.start);
    let diag = match label {
        Some(label) => {
            let (name, span) = labels::named(Some(label));
            let diag = Diag::error(rules::UNREACHED, span, format!("no way leads to `{name}`"));
            match &label.state {
                Some(state) => diag.with_label(state.span, "this is asked of no way"),
                None => diag,
            }
            .with_primary("what holds here is not known, so what follows cannot be judged")
        }
        None => {
            let span = lowered.span_at(range.start).unwrap_or(function.end_span);
            Diag::error(rules::DEAD, span, "nothing leads here")
                .with_primary("this never runs, so nothing is known of what it does")
        }
    };
    let before = source::earlier(function, range.start).next();
    let diag = match before {
        Some(before) => diag.with_label(before.span, "control does not come past this"),
        None => diag,
    };
    let jump = match label {
        Some(_) => "or jump to it",
        None => "or put a label here and jump to it",
    };
    match removal(lowered, function, &range) {
        Some(span) => diag.with_edit(format!("remove it, {jump}"), span, ""),
        None => diag.with_help(format!("remove what stands here, {jump}")),
    }
}

/// The lines of the code, if nothing outside of it goes into it: then the rest stays whole.
fn removal(lowered: &Lowered, function: &FnInfo, range: &Range<u32>) -> Option<Span> {
    let inside = |i: &&Inst| range.contains(&i.offset);
    let enters = |i: &Inst| {
        source::iced(lowered, i.offset).is_some_and(|code| {
            let to = code.near_branch_target().checked_sub(u64::from(lowered.text_address));
            to.and_then(|to| u32::try_from(to).ok()).is_some_and(|to| range.contains(&to))
        })
    };
    let jumped = function.instructions.iter().filter(|i| !inside(i)).any(enters);
    let table = |d: &&crate::lowered::DataInfo| matches!(d.kind, DataKind::Table { .. });
    let listed = lowered.data.iter().filter(table);
    let named = listed.flat_map(|d| table_labels_at(lowered, d)).any(|to| range.contains(&to));
    if jumped || named {
        return None;
    }
    let spans: Vec<Span> = function.instructions.iter().filter(inside).map(|i| i.span).collect();
    let (first, last) = (spans.first()?, spans.last()?);
    let at = function.labels.iter().find(|l| l.offset == range.start);
    let begin = at.and_then(|l| l.names.first()).map_or(first.start, |(_, span)| span.start);
    let text = &lowered.sources.get(first.file)?.text;
    let before = text.get(..begin as usize)?;
    // A line that holds nothing else goes as a whole.
    let indent = before.len() - before.trim_end_matches([' ', '\t']).len();
    let line = before.get(..before.len() - indent)?;
    let whole = line.ends_with('\n');
    let start = if whole { line.len() - 1 } else { before.len() };
    let behind = text.get(last.end as usize..)?;
    let end = last.end as usize + behind.find('\n').unwrap_or(behind.len());
    Some(Span::new(first.file, u32::try_from(start).ok()?, u32::try_from(end).ok()?))
}
