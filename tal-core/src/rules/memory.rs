//! TCB. Memory access (core.md 4.7).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Base, DataId, Reg, Word};

/// Where an operand stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Stack slot by offset from the entry rsp.
    Slot(i64),
    /// Base plus term.
    Mem(Base, Term),
}

impl<H: Hints> Judge<'_, H> {
    /// rule[ea-form]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn address(
        &mut self,
        _st: &State,
        _base: Option<Reg>,
        _index: Option<(Reg, u8)>,
        _disp: i64,
    ) -> Result<Address> {
        Err(Error::new(Rule::EaForm, Kind::BadHint))
    }

    /// rule[ea-form], no base: the data object that the hint names and the offset in it.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn data_at(&mut self, _st: &State, _address: &Term) -> Result<(DataId, Term)> {
        Err(Error::new(Rule::EaForm, Kind::BadHint))
    }

    /// rule[load-entry], rule[load-view], rule[load-slot]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn load(&mut self, _st: &mut State, _at: &Address, _bytes: u8) -> Result<Word> {
        Err(Error::new(Rule::LoadEntry, Kind::BadHint))
    }

    /// rule[store-strong], rule[store-weak], rule[store-slot]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn store(
        &mut self,
        _st: &mut State,
        _at: &Address,
        _bytes: u8,
        _word: &Word,
    ) -> Result<()> {
        Err(Error::new(Rule::StoreStrong, Kind::BadHint))
    }
}
