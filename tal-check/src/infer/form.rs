//! Not trusted: a bug here can reject, never admit. What two states have in common, or why they
//! have nothing.

use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Kind, Lent, Region, View, Word};
use tal_write::LabelState;

/// What a variable of the label is on one side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Int(Term),
    /// A name that is an address: at offset zero of it.
    Name(Base),
    /// A name that is a small integer.
    Small(Term),
    Region(Region),
    /// Something that nothing else is compared with.
    Other,
}

/// A variable of the label with its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) left: Value,
    pub(crate) right: Value,
    /// The written state says all that is known of it: nothing else speaks of it.
    pub(crate) closed: bool,
    /// At the first visit of a loop: where its turns will take it.
    pub(crate) drift: Drift,
}

/// How the turns of a loop change a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Drift {
    /// By how much, at the least; 0 if it may rise and fall.
    pub(crate) by: i128,
    /// Variables of the same pace go together: so many times what the one changes by, so many times
    /// the other. 0 if nothing changes this one.
    pub(crate) pace: u64,
    /// How far it goes, by a comparison.
    pub(crate) limit: Option<i128>,
}

impl Drift {
    /// Do turns change both alike?
    pub(crate) fn is_that_of(&self, other: &Drift) -> bool {
        (self.pace, self.by) == (other.pace, other.by)
    }
}

/// Why two states have no common form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch {
    /// Different stack depths.
    Depth(i64, i64),
    /// This part of the frame is lent on one side (left: true) only, or not as on the other.
    Lent(bool, Lent),
    /// Something owned on one side has no partner of its form.
    Capability(Box<Unmatched>),
    /// Too many variables.
    Limit,
}

/// What becomes of what is owned on one side only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alone {
    /// It must be null on the other side, and its values be a named type's: a list that grows by
    /// one struct each turn would have no common form otherwise.
    Named,
    /// It must be null on the other side.
    Null,
    /// It is lost.
    Lost,
}

/// What is at a name of the function when it returns depends on a result: there is something for
/// results from the one to the other.
pub(crate) type Outcome = (Var, i64, i64);

/// Something owned that the other side does not have in this form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unmatched {
    /// Is it the left side's?
    pub(crate) left: bool,
    pub(crate) cap: Cap,
    /// What stands on the other side at the name that its name is paired with.
    pub(crate) partner: Option<Cap>,
    /// Do the two speak of variables of the function only?
    pub(crate) fixed: (bool, bool),
}

/// The common form, facts not yet included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    pub(crate) keys: Vec<Key>,
    pub(crate) regs: [Word; 16],
    pub(crate) delta: i64,
    pub(crate) touched: i64,
    pub(crate) slots: Vec<(i64, Word)>,
    pub(crate) lent: Vec<Lent>,
    pub(crate) views: Vec<View>,
    pub(crate) caps: Vec<Cap>,
}

impl Form {
    /// Is this the form that the state has already, each of its variables standing for itself on
    /// the left?
    pub(crate) fn is_that_of(&self, state: &LabelState, fixed: usize) -> bool {
        let itself = |(i, key): (usize, &Key)| {
            let Ok(i) = u16::try_from(fixed + i) else { return false };
            let me = Var::Free(i);
            match &key.left {
                Value::Int(term) => term.as_var() == Some(me),
                Value::Name(base) => *base == Base::Name(me),
                Value::Region(region) => *region == Region::Var(me),
                Value::Small(_) | Value::Other => false,
            }
        };
        self.keys.len() == state.vars.len()
            && self.keys.iter().zip(&state.vars).all(|(key, kind)| key.kind == *kind)
            && self.keys.iter().enumerate().all(itself)
            && (self.delta, self.touched) == (state.delta, state.touched)
            && self.regs == state.regs
            && self.slots == state.slots
            && self.lent == state.lent
            && self.views == state.views
            && self.caps == state.caps
    }
}
