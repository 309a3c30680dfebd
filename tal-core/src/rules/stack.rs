//! TCB. The stack of the running function (core.md 4.11).

use crate::error::{Error, Kind, Rule};
use crate::hint::{Hints, Place};
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::term::Var;
use crate::ty::{Reg, Word};

fn refused<T>(rule: Rule) -> Result<T> {
    Err(Error::new(rule, Kind::BadHint))
}

impl<H: Hints> Judge<'_, H> {
    /// rule[stack-move]: rsp becomes the entry rsp plus `depth`.
    ///
    /// # Errors
    /// When a premise fails; so for each method here.
    pub fn stack_move(&mut self, _state: &mut State, _depth: i64) -> Result<()> {
        refused(Rule::StackMove)
    }

    /// rule[push].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn push(&mut self, _state: &mut State, _word: Word) -> Result<()> {
        refused(Rule::Push)
    }

    /// rule[pop].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn pop(&mut self, _state: &mut State, _to: Reg) -> Result<()> {
        refused(Rule::Pop)
    }

    /// rule[load-slot]: `bytes` must be 8.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn load_slot(&mut self, _state: &State, _at: i64, _bytes: u8) -> Result<Word> {
        refused(Rule::LoadSlot)
    }

    /// rule[store-slot]: `bytes` must be 8.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn store_slot(
        &mut self,
        _state: &mut State,
        _at: i64,
        _bytes: u8,
        _w: &Word,
    ) -> Result<()> {
        refused(Rule::StoreSlot)
    }

    /// rule[carve].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn carve(&mut self, _state: &mut State, _offset: i64, _size: i64) -> Result<()> {
        refused(Rule::Carve)
    }

    /// rule[uncarve]: `entry` is a position in the capabilities.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn uncarve(&mut self, _state: &mut State, _name: Var, _entry: u16) -> Result<()> {
        refused(Rule::Uncarve)
    }

    /// rule[frame-word].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn frame_word(&mut self, _state: &mut State, _place: Place, _name: Var) -> Result<()> {
        refused(Rule::FrameWord)
    }
}
