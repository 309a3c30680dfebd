//! Not trusted: a bug here can reject, never admit. Hints that pass questions on to others.

use super::{Ghost, Hints, Inst, Proof, Room, Seen, Site, Start, Template, Through};
use crate::judge::Result;
use crate::state::{Mark, State};
use crate::term::Term;
use crate::ty::{Assertion, Base, Cap, DataId, Declared, Fact, Kind, Record, Sig, View, Word};
use crate::walk::Opened;
use alloc::vec::Vec;

/// Who passes every question on to another and does something of its own at some of them: it holds
/// the methods of those, no more. A method that is left out is passed on, so nothing can be
/// forgotten; a question that [`Hints`] gains does not compile until it is passed on here.
#[allow(clippy::missing_errors_doc, reason = "they are those of the method of `Hints`")]
pub trait Forward {
    /// Who answers.
    type Inner: Hints;

    /// Who answers.
    fn inner(&mut self) -> &mut Self::Inner;

    /// [`Hints::block`], passed on.
    fn block(&mut self, start: Start, state: &State) -> Result<()> {
        self.inner().block(start, state)
    }
    /// [`Hints::end`], passed on.
    fn end(&mut self) -> Result<()> {
        self.inner().end()
    }
    /// [`Hints::worked`], passed on.
    fn worked(&mut self, units: usize) {
        self.inner().worked(units);
    }
    /// [`Hints::seen`], passed on.
    fn seen(&mut self, state: &State, what: Seen<'_>) {
        self.inner().seen(state, what);
    }
    /// [`Hints::ghost`], passed on.
    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>> {
        self.inner().ghost(state, site)
    }
    /// [`Hints::prove`], passed on.
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof> {
        self.inner().prove(state, goal)
    }
    /// [`Hints::prove_ne`], passed on.
    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool> {
        self.inner().prove_ne(state, term)
    }
    /// [`Hints::in_range`], passed on.
    fn in_range(&mut self, state: &State, term: &Term, bits: u8, signed: bool) -> Result<bool> {
        self.inner().in_range(state, term, bits, signed)
    }
    /// [`Hints::want`], passed on.
    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool> {
        self.inner().want(state, goals)
    }
    /// [`Hints::range_facts`], passed on.
    fn range_facts(&mut self, state: &State, facts: &[Fact]) -> Result<bool> {
        self.inner().range_facts(state, facts)
    }
    /// [`Hints::access`], passed on.
    fn access(
        &mut self,
        state: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through> {
        self.inner().access(state, base, offset, width, store)
    }
    /// [`Hints::element`], passed on.
    fn element(
        &mut self,
        state: &State,
        position: &Term,
        size: u32,
        count: &Term,
        width: u32,
    ) -> Result<(Term, u32)> {
        self.inner().element(state, position, size, count, width)
    }
    /// [`Hints::call`], passed on.
    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>> {
        self.inner().call(state, sig)
    }
    /// [`Hints::post`], passed on.
    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>> {
        self.inner().post(state, first, kinds, post)
    }
    /// [`Hints::spare`], passed on.
    fn spare(&mut self, answered: Room) {
        self.inner().spare(answered);
    }
    /// [`Hints::parent`], passed on.
    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32> {
        self.inner().parent(state, to, chain)
    }
    /// [`Hints::record`], passed on.
    fn record(&mut self, state: &State, to: u32, parent: &Mark, record: &mut Record) -> Result<()> {
        self.inner().record(state, to, parent, record)
    }
    /// [`Hints::label`], passed on.
    fn label(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>> {
        self.inner().label(state, to, parent, record)
    }
    /// [`Hints::cmov`], passed on.
    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template> {
        self.inner().cmov(state, moved, kept)
    }
    /// [`Hints::take`], passed on.
    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16> {
        self.inner().take(state, wanted)
    }
    /// [`Hints::view`], passed on.
    fn view(&mut self, state: &State, wanted: &View) -> Result<Through> {
        self.inner().view(state, wanted)
    }
    /// [`Hints::data`], passed on.
    fn data(&mut self, state: &State, address: &Term) -> Result<DataId> {
        self.inner().data(state, address)
    }
}

impl<F: Forward> Hints for F {
    fn block(&mut self, start: Start, state: &State) -> Result<()> {
        Forward::block(self, start, state)
    }
    fn end(&mut self) -> Result<()> {
        Forward::end(self)
    }
    fn worked(&mut self, units: usize) {
        Forward::worked(self, units);
    }
    fn seen(&mut self, state: &State, what: Seen<'_>) {
        Forward::seen(self, state, what);
    }
    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>> {
        Forward::ghost(self, state, site)
    }
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof> {
        Forward::prove(self, state, goal)
    }
    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool> {
        Forward::prove_ne(self, state, term)
    }
    fn in_range(&mut self, state: &State, term: &Term, bits: u8, signed: bool) -> Result<bool> {
        Forward::in_range(self, state, term, bits, signed)
    }
    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool> {
        Forward::want(self, state, goals)
    }
    fn range_facts(&mut self, state: &State, facts: &[Fact]) -> Result<bool> {
        Forward::range_facts(self, state, facts)
    }
    fn access(
        &mut self,
        state: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through> {
        Forward::access(self, state, base, offset, width, store)
    }
    fn element(
        &mut self,
        state: &State,
        position: &Term,
        size: u32,
        count: &Term,
        width: u32,
    ) -> Result<(Term, u32)> {
        Forward::element(self, state, position, size, count, width)
    }
    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>> {
        Forward::call(self, state, sig)
    }
    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>> {
        Forward::post(self, state, first, kinds, post)
    }
    fn spare(&mut self, answered: Room) {
        Forward::spare(self, answered);
    }
    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32> {
        Forward::parent(self, state, to, chain)
    }
    fn record(&mut self, state: &State, to: u32, parent: &Mark, record: &mut Record) -> Result<()> {
        Forward::record(self, state, to, parent, record)
    }
    fn label(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>> {
        Forward::label(self, state, to, parent, record)
    }
    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template> {
        Forward::cmov(self, state, moved, kept)
    }
    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16> {
        Forward::take(self, state, wanted)
    }
    fn view(&mut self, state: &State, wanted: &View) -> Result<Through> {
        Forward::view(self, state, wanted)
    }
    fn data(&mut self, state: &State, address: &Term) -> Result<DataId> {
        Forward::data(self, state, address)
    }
}
