//! TCB. Which rule judges an instruction that transfers no control (core.md 4.9).

use crate::decode::Decoded;
use crate::error::{Error, Kind};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// Executes one instruction that is no transfer by the rule of its row.
    ///
    /// # Errors
    /// When a premise fails; always for transfers and for `int3`.
    pub fn row(&mut self, _state: &mut State, d: &Decoded) -> Result<()> {
        Err(Error::new(d.row.rule, Kind::BadHint))
    }
}
