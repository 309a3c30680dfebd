//! TCB. Labels and entailment (core.md 4.13).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// rule[entail]: `state` (with the edge fact and after the ghosts of the edge) fits the label of
    /// this index. May append facts to `state`; changes nothing else.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn entail(&mut self, _state: &mut State, _label: u32) -> Result<()> {
        Err(Error::new(Rule::Entail, Kind::BadHint))
    }

    /// The state that the label of this index declares. Sets `self.own`.
    ///
    /// # Errors
    /// When the label does not exist.
    pub fn label_state(&mut self, _label: u32) -> Result<State> {
        Err(Error::new(Rule::Entail, Kind::BadHint))
    }
}
