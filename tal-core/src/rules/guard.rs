//! TCB. Names and guards (core.md 4.4).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::term::Var;
use crate::ty::{Guard, NameSet};

impl<H: Hints> Judge<'_, H> {
    /// rule[name-narrow]: `keep(lo, hi)` says whether the condition of the edge holds on the whole interval
    /// (`Some(true)`), on none of it (`Some(false)`), or splits it (`None`: refused).
    ///
    /// # Errors
    /// When a premise fails.
    pub fn narrow(
        &mut self,
        _st: &mut State,
        _name: Var,
        _keep: impl Fn(i64, i64) -> Option<bool>,
    ) -> Result<()> {
        Err(Error::new(Rule::NameNarrow, Kind::BadHint))
    }

    /// The name's set becomes `set` (a subset): new integer if it is none, guards decided. For labels, too.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn refine(&mut self, _st: &mut State, _name: Var, _set: NameSet) -> Result<()> {
        Err(Error::new(Rule::NameNarrow, Kind::BadHint))
    }

    /// Drops guards on decided names that are true; false: the thing does not exist.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn decide_guards(
        &mut self,
        _st: &State,
        _guards: &mut alloc::vec::Vec<Guard>,
    ) -> Result<bool> {
        Err(Error::new(Rule::NameNarrow, Kind::BadHint))
    }
}
