//! TCB. Rep and string rows (core.md 4.9).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// rule[row-rep-movs]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn rep_movs(&mut self, _st: &mut State, _width: u8) -> Result<()> {
        Err(Error::new(Rule::RowRepMovs, Kind::BadHint))
    }

    /// rule[row-rep-stos]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn rep_stos(&mut self, _st: &mut State, _width: u8) -> Result<()> {
        Err(Error::new(Rule::RowRepStos, Kind::BadHint))
    }

    /// rule[row-lodsb]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn lodsb(&mut self, _st: &mut State) -> Result<()> {
        Err(Error::new(Rule::RowString, Kind::BadHint))
    }

    /// rule[row-stosb]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn stosb(&mut self, _st: &mut State) -> Result<()> {
        Err(Error::new(Rule::RowString, Kind::BadHint))
    }

    /// rule[row-movsb]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn movsb(&mut self, _st: &mut State) -> Result<()> {
        Err(Error::new(Rule::RowString, Kind::BadHint))
    }

    /// rule[row-repe-cmpsb]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn repe_cmpsb(&mut self, _st: &mut State) -> Result<()> {
        Err(Error::new(Rule::RowString, Kind::BadHint))
    }

    /// rule[row-repne-scasb]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn repne_scasb(&mut self, _st: &mut State) -> Result<()> {
        Err(Error::new(Rule::RowString, Kind::BadHint))
    }
}
