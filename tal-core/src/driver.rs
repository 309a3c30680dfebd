//! TCB. One pass over the text (core.md 4.15), from pieces that inference uses too.

use crate::error::{Error, Kind, Rule};
use crate::hint::{Hints, Start};
use crate::image::{Image, Interface};
use crate::judge::{Judge, Result};
use crate::rules::apply::Callee;
use crate::state::State;
use crate::term::Term;
use crate::ty::DataId;
use iced_x86::ConditionCode;

/// Where a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The label of this index, of the running function.
    Label(u32),
    /// An entry: a tail call.
    Entry(Callee),
}

/// What follows an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The instruction at this offset.
    Next(u32),
    /// `jmp`.
    Jump(Target),
    /// `jcc`.
    Branch {
        /// The condition.
        cc: ConditionCode,
        /// Where to, when it holds.
        to: Target,
        /// Offset of the next instruction.
        next: u32,
    },
    /// `jmp [table + 8*r]`, index proved in bounds.
    Table {
        /// The table.
        table: DataId,
        /// The index.
        index: Term,
    },
    /// `ret`.
    Return,
    /// A call that never returns.
    Stop,
}

/// Judges the image.
///
/// # Errors
/// Why it is refused.
pub fn verify<H: Hints>(
    image: &Image<'_>,
    interface: &Interface,
    hints: H,
    bytes: u64,
) -> Result<()> {
    Judge::new(image, interface, hints, bytes).verify()
}

impl<H: Hints> Judge<'_, H> {
    /// The driver: tables, then every start of the text, reachable or not.
    ///
    /// # Errors
    /// Why the image is refused.
    pub fn verify(&mut self) -> Result<()> {
        Err(Error::new(Rule::Driver, Kind::BadHint))
    }

    /// The state at a start; sets `self.own`.
    ///
    /// # Errors
    /// When there is no such start.
    pub fn start_state(&mut self, start: Start) -> Result<State> {
        match start {
            Start::Entry(f) => self.entry_state(f),
            Start::Label(l) => self.label_state(l),
        }
    }

    /// Ghosts of this offset, then one instruction, calls included; label edges are not followed.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn exec(&mut self, _state: &mut State, _offset: u32) -> Result<Flow> {
        Err(Error::new(Rule::Driver, Kind::BadHint))
    }

    /// rule[cond]: the states of both edges, taken first, with their facts.
    ///
    /// # Errors
    /// When the condition may not be read.
    pub fn branch(&mut self, _state: &State, _cc: ConditionCode) -> Result<(State, State)> {
        Err(Error::new(Rule::Cond, Kind::Flags))
    }
}
