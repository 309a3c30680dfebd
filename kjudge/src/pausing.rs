//! Not trusted: a bug here can reject, never admit. Hints that count how much the judge works, by
//! its own account: it asks nothing while it judges data, of which there may be megabytes.

use crate::arena::pause;
use alloc::vec::Vec;
use tal_core::error::Error;
use tal_core::hint::{Ghost, Hints, Inst, Proof, Site, Start, Template, Through};
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Assertion, Base, Cap, DataId, Fact, Kind, LabelState, Sig, View, Word};

/// Units of work between two pauses: at most a few milliseconds.
const PAUSE: usize = 1 << 12;

pub(crate) struct Pausing<H> {
    hints: H,
    patience: usize,
}

impl<H> Pausing<H> {
    pub(crate) fn new(hints: H) -> Self {
        Pausing { hints, patience: PAUSE }
    }
}

type Result<T> = core::result::Result<T, Error>;

impl<H: Hints> Hints for Pausing<H> {
    fn worked(&mut self, units: usize) {
        match self.patience.checked_sub(units) {
            Some(left) => self.patience = left,
            None => {
                self.patience = PAUSE;
                pause();
            }
        }
        self.hints.worked(units);
    }

    fn block(&mut self, start: Start) -> Result<()> {
        self.hints.block(start)
    }

    fn end(&mut self) -> Result<()> {
        self.hints.end()
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>> {
        self.hints.ghost(state, site)
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof> {
        self.hints.prove(state, goal)
    }

    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<Option<bool>> {
        self.hints.prove_ne(state, term)
    }

    fn in_range(&mut self, state: &State, term: &Term, bits: u8, signed: bool) -> Result<bool> {
        self.hints.in_range(state, term, bits, signed)
    }

    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool> {
        self.hints.want(state, goals)
    }

    fn access(
        &mut self,
        state: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through> {
        self.hints.access(state, base, offset, width, store)
    }

    fn element(
        &mut self,
        state: &State,
        position: &Term,
        size: u32,
        count: &Term,
        width: u32,
    ) -> Result<(Term, u32)> {
        self.hints.element(state, position, size, count, width)
    }

    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>> {
        self.hints.call(state, sig)
    }

    fn post(&mut self, state: &State, kinds: &[Kind], post: &Assertion) -> Result<Vec<Inst>> {
        self.hints.post(state, kinds, post)
    }

    fn label(&mut self, state: &State, to: u32) -> Result<Vec<Inst>> {
        self.hints.label(state, to)
    }

    fn post_values(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>> {
        self.hints.post_values(state, first, kinds, post)
    }

    fn label_values(
        &mut self,
        state: &State,
        to: u32,
        first: u16,
        declared: &LabelState,
    ) -> Result<Vec<Inst>> {
        self.hints.label_values(state, to, first, declared)
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template> {
        self.hints.cmov(state, moved, kept)
    }

    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16> {
        self.hints.take(state, wanted)
    }

    fn view(&mut self, state: &State, wanted: &View) -> Result<Through> {
        self.hints.view(state, wanted)
    }

    fn data(&mut self, state: &State, address: &Term) -> Result<DataId> {
        self.hints.data(state, address)
    }

    fn range_facts(&mut self, state: &State, facts: &[Fact]) -> Result<bool> {
        self.hints.range_facts(state, facts)
    }
}
