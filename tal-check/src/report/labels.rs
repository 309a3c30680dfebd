//! Not trusted: a bug here can reject, never admit. Diagnostics of labels: what holds on each way
//! in.

use super::replay::{Replay, Trace};
use super::scene::{self, Scene, class};
use super::words::{Names, reg_name, slot_name};
use super::{memory, rules, suggest};
use crate::explore::Explored;
use crate::find::Trouble;
use crate::lowered::{LocalLabel, Lowered};
use std::collections::BTreeSet;
use tal_core::error::Kind;
use tal_core::state::State;
use tal_core::ty::{Cap, FnId, Mem, Reg};
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// The label at an offset of a function.
pub(super) fn at(lowered: &Lowered, id: FnId, offset: u32) -> Option<&LocalLabel> {
    let function = lowered.functions.get(id.0 as usize)?;
    function.labels.iter().find(|l| l.offset == offset)
}

pub(super) fn named(label: Option<&LocalLabel>) -> (String, Span) {
    let first = label.and_then(|l| l.names.first().cloned());
    first.unwrap_or_else(|| ("this label".to_owned(), Span::default()))
}

/// No way leads to the label.
pub(super) fn unreached(lowered: &Lowered, id: FnId, offset: u32) -> Diag {
    let (name, span) = named(at(lowered, id, offset));
    Diag::error(rules::UNREACHED, span, format!("no way leads to `{name}`"))
        .with_primary("what holds here is not known, so what follows cannot be judged")
        .with_help("remove what stands behind it, or jump to it")
}

/// Ways into a label that do not agree.
pub(super) struct Join<'a> {
    /// The label.
    pub(super) label: u32,
    /// The instruction from which the last one leads.
    pub(super) from: u32,
    /// Stack depths on the ways before and on this one.
    pub(super) depths: Option<(i64, i64)>,
    /// What is owned on one of them: is it one of those before?
    pub(super) capability: &'a Option<(bool, Cap)>,
}

const SAME_DEPTH: &str = "push and pop the same on each way, or give each depth its own label, \
                          even where the program ends";

/// Two ways into a label do not agree.
pub(super) fn join(lowered: &Lowered, explored: &Explored, id: FnId, join: &Join<'_>) -> Diag {
    let offset = explored.labels.get(join.label as usize).map_or(0, |l| l.offset);
    let (name, span) = named(at(lowered, id, offset));
    let mut this_way = "a way to it".to_owned();
    let mut diag = match (join.depths, join.capability) {
        (Some((before, here)), _) => {
            this_way = format!("{} bytes on this way", -here);
            Diag::error(
                rules::DEPTHS_DIFFER,
                span,
                format!("the ways to `{name}` differ in the depth of the stack"),
            )
            .with_primary(format!("{} bytes on one way, {} on another", -before, -here))
            .with_help(SAME_DEPTH)
        }
        (None, Some((before, cap))) => {
            this_way = match before {
                true => "this way does not own it",
                false => "this way owns it",
            }
            .to_owned();
            Diag::error(
                rules::OWNED_DIFFER,
                span,
                format!("the ways to `{name}` do not own the same"),
            )
            .with_primary(format!("owned on one way only: {}", lost(lowered, id, cap)))
            .with_help(
                "free it, or bring it along, on each way; ways that end differently need an end \
                 each",
            )
        }
        (None, None) => Diag::error(
            rules::OWNED_DIFFER,
            span,
            format!("the ways to `{name}` differ in what of the frame is lent"),
        )
        .with_primary("the frame must look the same on each way"),
    };
    let this = lowered.span_at(join.from);
    for way in ways_in(lowered, id, offset).into_iter().filter(|way| Some(*way) != this) {
        diag = diag.with_label(way, "a way to it");
    }
    let diag = match this {
        Some(this) => diag.with_label(this, this_way),
        None => diag,
    };
    let label = at(lowered, id, offset).filter(|_| join.capability.is_some());
    let Some(label) = label else { return diag };
    match suggest::owned(lowered, &Replay::new(lowered, explored), id, label) {
        Some(advice) => suggest::advised(Diag { helps: Vec::new(), ..diag }, advice),
        None if join.from >= offset => diag.with_help(
            "where each turn hands owners on, let the loop be a function that takes them and jumps \
             to itself",
        ),
        None => diag,
    }
}

/// Names for a capability when there is no state at hand.
fn lost(lowered: &Lowered, id: FnId, cap: &Cap) -> String {
    let Some(function) = lowered.functions.get(id.0 as usize) else { return String::new() };
    let Cap::Entry(entry) = cap else { return "what is lent".to_owned() };
    // Of the variables in its size nothing is known here that has a name.
    let shape = match &*entry.mem {
        Mem::Bytes(n) if n.as_int().is_none() => Some("own bytes[..]"),
        Mem::Junk(n) if n.as_int().is_none() => Some("own junk[..]"),
        Mem::Zero(n) if n.as_int().is_none() => Some("own zero[..]"),
        _ => None,
    };
    if let Some(shape) = shape {
        return shape.to_owned();
    }
    let state = State::empty();
    let names = Names::new(lowered, function, &state, &[], &[]);
    format!("own {}", names.mem(&entry.mem))
}

/// The jumps to an offset.
fn ways_in(lowered: &Lowered, id: FnId, offset: u32) -> Vec<Span> {
    let Some(function) = lowered.functions.get(id.0 as usize) else { return Vec::new() };
    let target = u64::from(lowered.text_address) + u64::from(offset);
    let jumps = function.instructions.iter().filter(|i| {
        let code = super::source::iced(lowered, i.offset);
        code.is_some_and(|c| c.is_jcc_short_or_near() || c.is_jmp_short_or_near())
            && code.is_some_and(|c| c.near_branch64() == target)
    });
    jumps.map(|i| i.span).collect()
}

/// Says of what is known in a loop that inference left because of this very refusal that it is
/// known on the turns before it.
pub(super) fn with_turn(diag: Diag, lowered: &Lowered, trace: &Trace) -> Diag {
    if !diag.notes.iter().any(|n| n.starts_with(scene::KNOWN)) {
        return diag;
    }
    let Some(failure) = &trace.failure else { return diag };
    let Some(head) = loop_around(lowered, trace.function, failure.offset) else { return diag };
    let (name, span) = named(Some(head));
    let line = super::source::line(lowered, span);
    diag.with_note(format!(
        "that is so on the first turns of the loop at `{name}`, line {line}, up to the one that \
         fails"
    ))
}

/// The name of the loop around the instruction.
pub(super) fn head_of(scene: &Scene<'_>) -> Option<String> {
    let head = loop_around(scene.lowered, scene.trace.function, scene.failure.offset)?;
    head.names.first().map(|n| n.0.clone())
}

/// The state of a loop's head, or the jump, with which an index is known to stay below its end.
pub(super) fn bounded(scene: &Scene<'_>, limit: Option<(Reg, i128)>) -> Option<suggest::Advice> {
    let (lowered, id) = (scene.lowered, scene.trace.function);
    let head = loop_around(lowered, id, scene.failure.offset)?;
    let range = limit.and_then(|limit| suggest::range(lowered, id, head, limit));
    range.or_else(|| suggest::below(lowered, id, head.offset))
}

/// The head of the innermost loop around an instruction: the last label before it to which a jump
/// behind it leads.
fn loop_around(lowered: &Lowered, id: FnId, offset: u32) -> Option<&LocalLabel> {
    let function = lowered.functions.get(id.0 as usize)?;
    let heads = function.labels.iter().rev().filter(|l| l.target && l.offset <= offset);
    let mut behind = function.instructions.iter().filter(|i| i.offset >= offset);
    let targets: BTreeSet<u32> = behind
        .by_ref()
        .filter_map(|i| super::source::iced(lowered, i.offset))
        .filter(|c| c.is_jcc_short_or_near() || c.is_jmp_short_or_near())
        .filter_map(|c| u32::try_from(c.near_branch64()).ok())
        .filter_map(|to| to.checked_sub(lowered.text_address))
        .collect();
    heads.into_iter().find(|l| targets.contains(&l.offset))
}

/// No state of the label lasts.
pub(super) fn unstable(lowered: &Lowered, explored: &Explored, id: FnId, label: u32) -> Diag {
    let offset = explored.labels.get(label as usize).map_or(0, |l| l.offset);
    let (name, span) = named(at(lowered, id, offset));
    Diag::error(rules::UNSTABLE, span, format!("what holds at `{name}` could not be found"))
        .with_primary("each turn changes it")
        .with_help(format!("state it: `{name}: where 0 <= rcx <= n`"))
}

/// A way into a label on which its state does not hold.
pub(super) fn edge(scene: &Scene<'_>, label: u32) -> Diag {
    let offset = scene.replay.offset_of(label).unwrap_or(0);
    let here = at(scene.lowered, scene.trace.function, offset);
    let (name, span) = named(here);
    let written = here.and_then(|l| l.state.as_ref());
    match &scene.error().kind {
        Kind::Depth(_) => {
            let there = scene.replay.state_of(label).map_or(0, |s| s.delta);
            let here = scene.before().stack.delta;
            return Diag::error(
                rules::DEPTHS_DIFFER,
                scene.span,
                format!("the ways to `{name}` differ in the depth of the stack"),
            )
            .with_primary(format!("{} bytes on this way", -here))
            .with_label(span, format!("{} bytes on another", -there))
            .with_help(SAME_DEPTH);
        }
        Kind::WrongRegister(reg, word) => {
            return word_differs(scene, (&name, span), reg_name(*reg), class(word));
        }
        Kind::WrongSlot(at) => {
            let place = slot_name(at - scene.before().stack.delta);
            return word_differs(scene, (&name, span), &place, "something else");
        }
        _ => {}
    }
    if let Some(fact) = scene.missing().filter(|fact| scene.holds(fact)) {
        let words = format!("no proof was found of what holds at `{name}`");
        let fact_ = scene.names.fact(&fact);
        let diag = Diag::error(rules::NOT_INVARIANT, scene.span, words)
            .with_primary(format!("of {fact_}, though it follows from what is known"))
            .with_label(written.map_or(span, |w| w.span), "what holds here was found by search");
        let diag = scene
            .with_known(diag, &fact)
            .with_note("this is a limit of the search, not a mistake in the program");
        return match scene.range_of(&fact) {
            Some(range) => diag.with_help(format!(
                "state the range, here and at the labels before it: `{name}: where {range}`"
            )),
            None => diag.with_help(format!("state at `{name}` what is needed behind it")),
        };
    }
    if let Some(fact) = scene.missing() {
        let diag = Diag::error(
            rules::NOT_INVARIANT,
            scene.span,
            format!("what holds at `{name}` is not known on this way to it"),
        )
        .with_primary(memory::needs(&scene.names, &fact));
        let diag = match written {
            Some(state) => diag.with_label(state.span, "required on every way in"),
            None => diag.with_label(span, "inferred for this label"),
        };
        return scene.with_known(diag, &fact).with_help(
            "state what holds on every way, and let the loop's own compare give the rest",
        );
    }
    if matches!(scene.error().kind, Kind::TooBig | Kind::Limit | Kind::Undecided(_)) {
        return scene.general().with_label(span, format!("on the way to `{name}`"));
    }
    differs(scene, here, (&name, span))
}

/// What is owned or lent on this way is not what the label has.
fn differs(scene: &Scene<'_>, label: Option<&LocalLabel>, (name, span): (&str, Span)) -> Diag {
    let words = format!("this way to `{name}` does not bring what the others bring");
    let diag = Diag::error(rules::OWNED_DIFFER, scene.span, words)
        .with_label(span, format!("on the way to `{name}`"));
    let diag = match scene.looked_for() {
        Some(words) => diag.with_primary(words),
        None => diag,
    };
    let caps: Vec<String> = scene.before().caps.iter().map(|c| scene.names.cap(c)).collect();
    let lent = scene.failure.trouble.iter().any(|t| matches!(t, Trouble::View(_)));
    let diag = match caps.as_slice() {
        [] if lent => diag,
        [] => diag.with_note("nothing is owned on this way"),
        caps => diag.with_note(format!("owned on this way: {}", caps.join(", "))),
    };
    let id = scene.trace.function;
    let tried = label.and_then(|l| suggest::owned(scene.lowered, scene.replay, id, l));
    if let Some(advice) = tried {
        return suggest::advised(diag, advice);
    }
    let opened = scene.failure.trouble.iter().rev().find_map(|t| match t {
        Trouble::View(view) => Some(matches!(*view.mem, Mem::Struct { .. })),
        _ => None,
    });
    if opened == Some(true) {
        return diag
            .with_note("an opened struct whose lengths are hidden cannot be carried to a label")
            .with_help("let a function of its own do what stands in this loop, and call it");
    }
    diag.with_help(format!("state what holds on every way, as `{name}: where rbx: own@heap? T`"))
}

fn word_differs(scene: &Scene<'_>, label: (&str, Span), place: &str, held: &str) -> Diag {
    let (name, span) = label;
    Diag::error(
        rules::LABEL_WORD,
        scene.span,
        format!("{place} is not what `{name}` needs on this way"),
    )
    .with_primary(format!("{place} holds {held}"))
    .with_label(span, "on another way it holds something else")
}
