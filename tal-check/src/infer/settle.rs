//! Not trusted: a bug here can reject, never admit. What inference asks of the finder at an edge.

use crate::find::ghosts::{self, Fit, Unfit};
use crate::find::{Finder, Trouble};
use crate::lowered::Written;
use crate::prove::Known;
use tal_core::driver::Flow;
use tal_core::error::Error;
use tal_core::hint::{Ghost, Hints};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::ty::{Cap, Entry, Fact, Lent};

/// What inference asks of whoever answers the judge's questions.
pub trait Settle: Hints + Sized {
    /// Brings the state at an edge from the instruction at `from` to the form in which labels are
    /// stated: closed packages, joined pieces, ended borrows.
    ///
    /// # Errors
    /// When the judge refuses a step of that.
    fn settle(judge: &mut Judge<'_, Self>, state: &mut State, from: u32) -> Result<(), Error>;

    /// Brings it, as far as that goes, to what is written of the label that the edge leads to.
    ///
    /// # Errors
    /// When the judge refuses a step of that.
    fn shape(
        judge: &mut Judge<'_, Self>,
        state: &mut State,
        from: u32,
        written: &Written,
    ) -> Result<(), Error>;

    /// Does what is written of the label hold on the edge that leads to it?
    ///
    /// # Errors
    /// The first part of it that does not.
    fn fit(
        judge: &mut Judge<'_, Self>,
        state: &State,
        from: u32,
        written: &Written,
    ) -> Result<Fit, Box<Unfit>>;

    /// Makes an owned thing what it is on another way, or, if that is not given, one of a named
    /// type; what is lent comes back. Without the mark the other way speaks of variables that mean
    /// nothing on this one: then only the kind of memory is brought about.
    /// False if nothing changed.
    fn reshape(
        judge: &mut Judge<'_, Self>,
        state: &mut State,
        from: u32,
        owned: &Cap,
        like: Option<(&Entry, bool)>,
    ) -> bool;

    /// Takes a lent part of the frame back. False if it has to stay.
    fn unlend(judge: &mut Judge<'_, Self>, state: &mut State, from: u32, lent: Lent) -> bool;

    /// Lends the same part of the frame. False if it cannot be.
    fn lend(judge: &mut Judge<'_, Self>, state: &mut State, from: u32, lent: Lent) -> bool;

    /// Executes an instruction, with ghosts where it needs some.
    ///
    /// # Errors
    /// When the judge refuses it.
    fn step(judge: &mut Judge<'_, Self>, state: &mut State, at: u32) -> Result<Flow, Error> {
        judge.exec(state, at)
    }

    /// What follows in this state, with what was computed of it.
    fn known(&mut self, state: &State) -> &mut Known;

    /// Facts that were looked for in vain since the last instruction; is each optional?
    fn lacks(&self) -> Vec<(Fact, bool)>;
}

impl Settle for Finder<'_> {
    fn settle(judge: &mut Judge<'_, Self>, state: &mut State, from: u32) -> Result<(), Error> {
        // The judge's lifetime is that of the finder's image; the planner needs both to agree.
        ghosts::settle(judge, state, from)
    }

    fn shape(
        judge: &mut Judge<'_, Self>,
        state: &mut State,
        from: u32,
        written: &Written,
    ) -> Result<(), Error> {
        ghosts::shape(judge, state, from, written)
    }

    fn fit(
        judge: &mut Judge<'_, Self>,
        state: &State,
        from: u32,
        written: &Written,
    ) -> Result<Fit, Box<Unfit>> {
        ghosts::fit(judge, state, from, written)
    }

    fn reshape(
        judge: &mut Judge<'_, Self>,
        state: &mut State,
        from: u32,
        owned: &Cap,
        like: Option<(&Entry, bool)>,
    ) -> bool {
        ghosts::reshape(judge, state, from, owned, like)
    }

    fn unlend(judge: &mut Judge<'_, Self>, state: &mut State, from: u32, lent: Lent) -> bool {
        ghosts::unlend(judge, state, from, lent)
    }

    fn lend(judge: &mut Judge<'_, Self>, state: &mut State, _: u32, lent: Lent) -> bool {
        let carve = Ghost::Carve { offset: lent.offset, size: lent.size };
        judge.ghost(state, &carve).is_ok()
    }

    fn step(judge: &mut Judge<'_, Self>, state: &mut State, at: u32) -> Result<Flow, Error> {
        ghosts::step(judge, state, at)
    }

    fn known(&mut self, state: &State) -> &mut Known {
        self.memo.known(state)
    }

    fn lacks(&self) -> Vec<(Fact, bool)> {
        let fact = |trouble: &Trouble| match trouble {
            Trouble::Fact(fact) => Some((fact.clone(), false)),
            Trouble::Access { bound, .. } => Some((bound.clone()?, false)),
            Trouble::Skipped(fact) => Some((fact.clone(), true)),
            Trouble::Cap(_) | Trouble::View(_) | Trouble::Variable(_) | Trouble::Cmov => None,
        };
        self.trouble.iter().filter_map(fact).collect()
    }
}
