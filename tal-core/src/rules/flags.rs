//! TCB. Flags: who may read them, and what a conditional edge tells (core.md 4.10).

use crate::decode::Cc;
use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// Goes along one edge of a condition: `cc` must be readable, and its fact (that of the opposite
    /// condition if not taken) enters the state.
    ///
    /// # Errors
    /// When the flags may not be read, or the condition would split an alternative of a name.
    pub fn edge(&mut self, _state: &mut State, _cc: Cc, _taken: bool) -> Result<()> {
        Err(Error::new(Rule::FlagsRead, Kind::Flags))
    }
}
