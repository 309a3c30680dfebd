//! Not trusted: a bug here can reject, never admit. Diagnostics of written states: the part that
//! does not hold, where it stands, and the way on which it does not.

use super::replay::Trace;
use super::scene::{class, known};
use super::words::Names;
use super::{labels, rules, source};
use crate::explore::Explored;
use crate::find::ghosts::{Lack, Unfit};
use crate::lower::place_name;
use crate::lowered::{Lowered, Origin, Written};
use tal_core::hint::Start;
use tal_core::term::Var;
use tal_core::ty::FnId;
use tal_syntax::diag::Diag;

/// A part of a written state that does not hold on a way into its label.
pub(super) fn unfit(
    lowered: &Lowered,
    explored: &Explored,
    id: FnId,
    (label, from): (u32, u32),
    unfit: &Unfit,
) -> Diag {
    let offset = explored.labels.get(label as usize).map_or(0, |l| l.offset);
    let (name, label_span) = labels::named(labels::at(lowered, id, offset));
    let part = source::text(lowered, unfit.part);
    let way = lowered.span_at(from).unwrap_or_default();
    let part = part.strip_prefix("where ").unwrap_or(part);
    let message = format!("`{part}` does not hold at `{name}` on this way to it");
    let diag = Diag::error(rules::NOT_INVARIANT, way, message)
        .with_label(unfit.part, "required on every way in");
    let Some(function) = lowered.functions.get(id.0 as usize) else { return diag };
    let mentioned = source::mentioned(lowered.sources.text(way));
    let names = Names::new(lowered, function, &unfit.state, &mentioned, &[]);
    let diag = match &unfit.lack {
        Lack::Fact(fact) => diag
            .with_primary(format!("needs {}", names.fact(fact)))
            .with_note(known(&names, &unfit.state, fact)),
        Lack::Word(place, word) => {
            diag.with_primary(format!("{} holds {} here", place_name(*place), class(word)))
        }
        Lack::Null(place) => diag.with_primary(format!("{} may be null here", place_name(*place))),
        Lack::Cap(cap) => diag.with_primary(format!("not owned here: {}", names.cap(cap))),
        Lack::View(view) => {
            diag.with_primary(format!("not lent or shared here: {}", names.view(view)))
        }
        Lack::Variable(name) if name.is_empty() => diag,
        Lack::Variable(name) => diag.with_primary(format!("nothing says what `{name}` is here")),
    };
    // The way back of a loop: no later turn was looked at.
    let diag = match unfit.lack {
        Lack::Fact(_) if from >= offset => diag.with_note(format!(
            "that is so on the first turns of the loop at `{name}`, line {}, up to the one that \
             fails",
            source::line(lowered, label_span)
        )),
        _ => diag,
    };
    diag.with_help(match unfit.lack {
        Lack::Fact(_) => {
            "state what holds on every way, and let the loop's own compare give the rest"
        }
        _ => "state what holds on every way; what is left out is found, where it can be",
    })
}

/// Says of a refusal behind a label with a written state that the state says all that is known of
/// some places there.
pub(super) fn with_state(diag: Diag, lowered: &Lowered, trace: &Trace) -> Diag {
    let Start::Label(_) = trace.start else { return diag };
    let Some(function) = lowered.functions.get(trace.function.0 as usize) else { return diag };
    let label = function.labels.iter().find(|l| l.offset == trace.begin);
    let Some(written) = label.and_then(|l| l.state.as_ref()) else { return diag };
    let places = stated(lowered, trace.function, written);
    if places.is_empty() || diag.secondary.iter().any(|l| l.span == written.span) {
        return diag;
    }
    let places = places.join(", ");
    diag.with_label(
        written.span,
        format!("behind this, only what stands here is known of {places}"),
    )
}

/// The places of which the state says all that is known, or how great it may be.
fn stated(lowered: &Lowered, id: FnId, written: &Written) -> Vec<String> {
    let sig = lowered.functions.get(id.0 as usize).and_then(|f| lowered.sigs.get(f.sig as usize));
    let fixed = sig.map_or(0, |s| s.vars.len());
    let mut places = Vec::new();
    for (j, var) in written.vars.iter().enumerate() {
        let number = Var::Free(u16::try_from(fixed + j).unwrap_or(u16::MAX));
        let bounded = || written.facts.iter().any(|(f, _)| f.term.vars().any(|v| v == number));
        places.extend(match var.origin {
            Origin::Typed(place) | Origin::Address(place) => Some(place_name(place)),
            Origin::Named => written.closes(var, number).then(|| format!("`{}`", var.name)),
            Origin::Place(place) => bounded().then(|| place_name(place)),
        });
    }
    places
}
