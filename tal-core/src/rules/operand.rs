//! TCB. Reading operands and writing results (core.md 4.8): the only functions that write a
//! register, except for rsp in `stack.rs`.

use crate::error::{Error, Kind, Rule};
use crate::hint::{Hints, Place};
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// rule[renorm]: the word of the place is congruent to a fresh integer in range.
    ///
    /// # Errors
    /// When the place holds no integer.
    pub fn renorm(&mut self, _state: &mut State, _place: Place, _signed: bool) -> Result<()> {
        Err(Error::new(Rule::Renorm, Kind::BadHint))
    }
}
