//! Not trusted: a bug here can reject, never admit. What a `where` says, in the state of its label.
//!
//! The variables of a written state are the first of the label's, in the same order, so that its
//! words, facts, views and capabilities stand in the label as they were written. Only the rest of
//! the state is joined: what a written state takes of a way into the label is left out of that.

use super::form::{Drift, Form, Key, Outcome, Value};
use crate::find::ghosts::Fit;
use crate::lowered::{Written, WrittenVar};
use tal_core::hint::{Inst, Place};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Guard, Kind, Reg};

/// What stands in a label before ways into it are joined.
#[derive(Default)]
pub(crate) struct Seed {
    /// The variables of the written state, with what they are on each side.
    pub(crate) keys: Vec<Key>,
    /// Registers that it speaks of.
    pub(crate) regs: Vec<Reg>,
    /// Slots that it speaks of, from the entry rsp.
    pub(crate) slots: Vec<i64>,
    /// What the function leaves behind for which results.
    pub(crate) outcomes: Vec<Outcome>,
}

/// The values that the variables have in a state of the label itself: each is itself.
pub(crate) fn itself(written: &Written, fixed: usize) -> Fit {
    let value = |(j, var): (usize, &WrittenVar)| {
        let name = number(fixed, j);
        match var.kind {
            Kind::Int(_) => Inst::Int(Term::var(name)),
            Kind::Addr { .. } => Inst::Ptr(Base::Name(name), Term::ZERO),
            Kind::Code(_) | Kind::Word | Kind::Region | Kind::Store => Inst::Code(Base::Name(name)),
        }
    };
    let values = written.vars.iter().enumerate().map(value).collect();
    Fit { values, taken: (0..written.caps.len()).collect() }
}

fn number(fixed: usize, j: usize) -> Var {
    Var::Free(u16::try_from(fixed + j).unwrap_or(u16::MAX))
}

/// The written state between two sides, on one of which rsp is `delta` from where it was.
pub(crate) fn seed(
    written: &Written,
    fixed: usize,
    delta: i64,
    (left, right): (&Fit, &Fit),
) -> Seed {
    let mut seed = Seed::default();
    let sides = left.values.iter().zip(&right.values);
    for (j, (var, (l, r))) in written.vars.iter().zip(sides).enumerate() {
        let closed = written.closes(var, number(fixed, j));
        let (left, right) = (value(l), value(r));
        let (kind, drift) = (var.kind.clone(), Drift::default());
        seed.keys.push(Key { kind, left, right, closed, drift });
    }
    for (place, ..) in &written.words {
        match place {
            Place::Reg(reg) => seed.regs.push(*reg),
            // Written slots count from where rsp is.
            Place::Slot(at) => seed.slots.push(delta.saturating_add(*at)),
        }
    }
    seed
}

fn value(inst: &Inst) -> Value {
    match inst {
        Inst::Int(term) => Value::Int(term.clone()),
        Inst::Small(term) => Value::Small(term.clone()),
        Inst::Ptr(base, offset) if offset.as_int() == Some(0) => Value::Name(*base),
        Inst::Code(base) => Value::Name(*base),
        Inst::Region(region) => Value::Region(*region),
        Inst::Ptr(..) | Inst::Word(_) | Inst::Store(_) => Value::Other,
    }
}

/// Takes out of a side what the written state takes of it.
pub(crate) fn take_out(state: &mut State, fit: &Fit) {
    for at in fit.taken.iter().rev() {
        if *at < state.caps.len() {
            state.caps.remove(*at);
        }
    }
}

/// Puts what is written into the form.
pub(crate) fn put_in(form: &mut Form, written: &Written) {
    for (place, word, _) in &written.words {
        match place {
            Place::Reg(reg) => form.regs[*reg as usize] = word.clone(),
            Place::Slot(at) => {
                let at = form.delta.saturating_add(*at);
                form.slots.retain(|(other, _)| *other != at);
                let behind = form.slots.partition_point(|(other, _)| *other < at);
                form.slots.insert(behind, (at, word.clone()));
            }
        }
    }
    form.views.splice(..0, written.views.iter().cloned());
    form.caps.splice(..0, written.caps.iter().cloned());
}

/// Does the written state itself say that this name of the function may be no address?
pub(crate) fn undecides(written: &Written, name: Var) -> bool {
    let mine = Guard::IsAddress(name);
    let caps = written.caps.iter().any(|c| matches!(c, Cap::Entry(e) if e.guards.contains(&mine)));
    caps || written.views.iter().any(|v| v.guards.contains(&mine))
}
