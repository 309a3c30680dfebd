//! TCB. Views and regions (core.md 4.6).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::ty::View;

impl<H: Hints> Judge<'_, H> {
    /// Is `wanted` (after substitution) among the views of the state? Asks which (`Hints::view`); terms
    /// may differ by what is proved zero.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn holds_view(&mut self, _st: &mut State, _wanted: &View, _rule: Rule) -> Result<()> {
        Err(Error::new(Rule::AccessView, Kind::BadHint))
    }
}
