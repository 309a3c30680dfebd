//! TCB. `apply`: what happens to the state of whoever transfers control to an entry (core.md 4.12).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::term::Var;
use crate::ty::{FnId, ImportId, Sig};
use alloc::rc::Rc;

/// What is called or jumped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// An entry of the image.
    Function(FnId),
    /// A gate of the host.
    Import(ImportId),
    /// A name of kind `Code`.
    Name(Var),
}

impl<H: Hints> Judge<'_, H> {
    /// The signature of a callee; `Free` variables of a `Name`'s are the enclosing function's.
    ///
    /// # Errors
    /// When there is no such callee.
    pub fn signature(&self, _state: &State, _callee: Callee) -> Result<Rc<Sig>> {
        Err(Error::new(Rule::Apply, Kind::BadHint))
    }

    /// rule[call], rule[call-never]: false when the block ends here.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn call(&mut self, _state: &mut State, _callee: Callee) -> Result<bool> {
        Err(Error::new(Rule::Call, Kind::BadHint))
    }
}
