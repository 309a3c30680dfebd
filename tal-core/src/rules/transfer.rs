//! TCB. Transfers of control other than calls (core.md 4.12).

use crate::driver::Target;
use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::apply::Callee;
use crate::state::State;
use crate::ty::FnId;

impl<H: Hints> Judge<'_, H> {
    /// rule[entry-state]: the state at the start of this function. Sets `self.own`.
    ///
    /// # Errors
    /// When the function does not exist.
    pub fn entry_state(&mut self, _function: FnId) -> Result<State> {
        Err(Error::new(Rule::EntryState, Kind::BadHint))
    }

    /// rule[return].
    ///
    /// # Errors
    /// When a premise fails.
    pub fn ret(&mut self, _state: &mut State) -> Result<()> {
        Err(Error::new(Rule::Return, Kind::BadHint))
    }

    /// rule[tail-call], rule[jump-never].
    ///
    /// # Errors
    /// When a premise fails.
    pub fn tail_call(&mut self, _state: &mut State, _callee: Callee) -> Result<()> {
        Err(Error::new(Rule::TailCall, Kind::BadHint))
    }

    /// rule[jump] and the like: ghosts of the edge, then entail or tail-call.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn follow(&mut self, _state: &mut State, _from: u32, _to: Target) -> Result<()> {
        Err(Error::new(Rule::Jump, Kind::BadHint))
    }
}
