//! Not trusted: a bug here can reject, never admit. Refusals in words.
//!
//! The primary label of a diagnostic says what is needed at the instruction; the others say where
//! the knowledge came from or where it ended; a note says what is known, in names of the source; a
//! help is one edit where there is one. To know all that, the block that failed is run again
//! ([`replay`]).

mod bounds;
mod calls;
mod dead;
mod declared;
mod labels;
mod memory;
pub mod replay;
pub mod rules;
mod scene;
pub mod source;
mod stack;
mod suggest;
pub mod words;
mod written;

use crate::explore::{Explored, explore};
use crate::infer::Trouble;
use crate::lowered::Lowered;
use crate::refusal::{Refusal, refused};
use replay::{Part, Replay, Trace};
use scene::Scene;
use std::collections::BTreeSet;
use tal_core::error::{Error, Kind, Rule};
use tal_core::hint::Start;
use tal_core::ty::FnId;
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// Diagnostics for why a program was refused, in the order of the source.
#[must_use]
pub fn report(lowered: &Lowered, refusals: &[Refusal]) -> Vec<Diag> {
    let explored = explore(lowered);
    let replay = Replay::new(lowered, &explored);
    let context = Context { lowered, explored: &explored, replay: &replay };
    let mut diags = Vec::new();
    // States that are found at joins only are not found here: nothing is wrong with those.
    let refused = refused(refusals);
    let mut troubled = BTreeSet::new();
    for refusal in &explored.refusals {
        match refusal {
            Refusal::Trouble(id, _) | Refusal::Unreached(id, _)
                if !refused.is_empty() && !refused.contains(id) =>
            {
                troubled.insert(*id);
            }
            Refusal::Trouble(id, trouble) => {
                troubled.insert(*id);
                diags.push(context.trouble(*id, trouble));
            }
            Refusal::Unreached(id, offset) => {
                troubled.insert(*id);
                diags.push(labels::unreached(lowered, *id, *offset));
            }
            Refusal::Dead(id, start, end) => {
                troubled.insert(*id);
                diags.push(dead::dead(lowered, *id, *start..*end));
            }
            Refusal::Judge(_) => {}
        }
    }
    for i in 0..lowered.functions.len() {
        let Ok(id) = u32::try_from(i).map(FnId) else { break };
        if !troubled.contains(&id) {
            diags.extend(context.function(id));
        }
    }
    // What no block shows: data, declarations, limits of the whole.
    if diags.is_empty() {
        diags.extend(refusals.iter().map(|r| whole(lowered, r)));
    }
    diags.sort_by_key(|d| (d.primary.span.file, d.primary.span.start));
    diags.dedup_by(|a, b| a.code == b.code && a.primary.span == b.primary.span);
    diags
}

/// What all diagnostics are made from.
struct Context<'a> {
    lowered: &'a Lowered,
    explored: &'a Explored,
    replay: &'a Replay<'a>,
}

impl<'a> Context<'a> {
    /// What stopped inference.
    fn trouble(&self, id: FnId, trouble: &Trouble) -> Diag {
        match trouble {
            Trouble::Block { start, error } => {
                let trace = self.replay.block(id, *start, false);
                match self.failed(&trace) {
                    Some(diag) => {
                        let diag = written::with_state(diag, self.lowered, &trace);
                        labels::with_turn(diag, self.lowered, &trace)
                    }
                    None => self.fallback(id, *start, error),
                }
            }
            Trouble::Join { label, from, depths, capability } => {
                let of = labels::Join { label: *label, from: *from, depths: *depths, capability };
                labels::join(self.lowered, self.explored, id, &of)
            }
            Trouble::Written { label, from, unfit, .. } => {
                written::unfit(self.lowered, self.explored, id, (*label, *from), unfit)
            }
            Trouble::Unstable { label } => {
                labels::unstable(self.lowered, self.explored, id, *label)
            }
        }
    }

    /// What the judge refuses in a function whose labels are known: the first of each block.
    fn function(&self, id: FnId) -> Vec<Diag> {
        let starts = self.replay.starts(id);
        let failed = starts.into_iter().filter_map(|(_, start)| {
            let trace = self.replay.block(id, start, true);
            let failed = self.failed(&trace)?;
            Some(written::with_state(failed, self.lowered, &trace))
        });
        failed.collect()
    }

    fn failed(&self, trace: &Trace) -> Option<Diag> {
        let failure = trace.failure.as_ref()?;
        let scene = Scene::new(self.lowered, self.replay, trace, failure)?;
        let diag = match failure.part {
            Part::Instruction => instruction(&scene),
            Part::Edge(label) => labels::edge(&scene, label),
            Part::Tail(callee) => calls::tail(&scene, callee),
            Part::Return => calls::returns(&scene),
        };
        Some(with_legend(diag, &scene))
    }

    /// A refusal at a place that cannot be run again.
    fn fallback(&self, id: FnId, start: Start, error: &Error) -> Diag {
        let begin = match start {
            Start::Entry(_) => self.lowered.functions.get(id.0 as usize).map(|f| f.offset),
            Start::Label(label) => self.replay.offset_of(label),
            Start::Block { to, .. } => Some(to),
        };
        let span = error.site.or(begin).and_then(|at| self.lowered.span_at(at));
        plain(span.unwrap_or_default(), error)
    }
}

/// Says what the names in words mean that the diagnostic uses.
fn with_legend(diag: Diag, scene: &Scene<'_>) -> Diag {
    let labels = diag.secondary.iter().chain([&diag.primary]).map(|l| l.text.as_str());
    let notes = diag.notes.iter().chain(diag.helps.iter().map(|h| &h.text)).map(String::as_str);
    let said: Vec<&str> = labels.chain(notes).chain([diag.message.as_str()]).collect();
    let used = |name: &str| said.iter().any(|text| text.contains(name));
    let meanings: Vec<String> = (scene.names.legend())
        .filter(|(name, _)| used(name))
        .map(|(name, meaning)| format!("{name} is {meaning}"))
        .collect();
    meanings.into_iter().fold(diag, Diag::with_note)
}

/// A refusal of which nothing is known but what it says itself.
fn plain(span: Span, error: &Error) -> Diag {
    let rule = error.rule.name();
    Diag::error(rules::code(error), span, scene::in_general(error))
        .with_note(format!("the rule is {rule}"))
}

/// A refusal of the program as a whole.
fn whole(lowered: &Lowered, refusal: &Refusal) -> Diag {
    let end = Span::default();
    match refusal {
        Refusal::Judge(error) => {
            if let Some((span, words)) = declared::refused(lowered, error) {
                return Diag { message: words, ..plain(span, error) };
            }
            let at = error.site.and_then(|at| lowered.span_at(at));
            let first = lowered.functions.first().map(|f| f.span);
            plain(at.or(first).unwrap_or(end), error)
        }
        Refusal::Trouble(id, _) | Refusal::Unreached(id, _) | Refusal::Dead(id, ..) => {
            let span = lowered.functions.get(id.0 as usize).map_or(end, |f| f.span);
            plain(span, &Error::new(Rule::Driver, Kind::BadHint))
        }
    }
}

/// An instruction that cannot be executed safely.
fn instruction(scene: &Scene<'_>) -> Diag {
    if scene.is_call() {
        return calls::call(scene);
    }
    if let Some(diag) = memory::operands(scene) {
        return diag;
    }
    if let Some(diag) = stack::instruction(scene) {
        return diag;
    }
    memory::rest(scene)
}
