//! TCB. The ghosts by their rules (core.md 4.4 to 4.11).

use crate::error::{Error, Kind, Rule};
use crate::hint::Ghost;
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// Runs one ghost.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn ghost(&mut self, _st: &mut State, _ghost: &Ghost) -> Result<()> {
        Err(Error::new(Rule::GhostPlace, Kind::BadHint))
    }
}
