//! Not trusted. For tests: someone who answers nothing, and someone who answers certificates only.
//! Who answers more is a [`Forward`] of one of them.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

extern crate alloc;

use alloc::{collections::VecDeque, vec::Vec};
use tal_core::error::{Error, Kind as Refusal, Rule};
use tal_core::hint::{
    Comb, Forward, Ghost, Hints, Inst, Proof, Room, Seen, Site, Start, Template, Through,
};
use tal_core::state::{Mark, State};
use tal_core::term::Term;
use tal_core::ty::{Assertion, Base, Cap, DataId, Declared, Fact, Kind, Record, Sig, View, Word};
use tal_core::walk::Opened;

type Result<T> = core::result::Result<T, Error>;

/// No answer. It is the rule that asked that must refuse, so tests look for another rule than this.
pub fn silent<T>() -> Result<T> {
    Err(Error::new(Rule::Driver, Refusal::BadHint))
}

/// Knows nothing: no ghosts, no answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Silent;

impl Hints for Silent {
    fn block(&mut self, _: Start, _: &State) -> Result<()> {
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
    fn worked(&mut self, _: usize) {}
    fn seen(&mut self, _: &State, _: Seen<'_>) {}
    fn ghost(&mut self, _: &State, _: Site) -> Result<Option<Ghost>> {
        Ok(None)
    }
    fn prove(&mut self, _: &State, _: &Fact) -> Result<Proof> {
        silent()
    }
    fn prove_ne(&mut self, _: &State, _: &Term) -> Result<bool> {
        silent()
    }
    fn in_range(&mut self, _: &State, _: &Term, _: u8, _: bool) -> Result<bool> {
        silent()
    }
    fn want(&mut self, _: &State, _: &[Fact]) -> Result<bool> {
        silent()
    }
    fn range_facts(&mut self, _: &State, _: &[Fact]) -> Result<bool> {
        silent()
    }
    fn access(&mut self, _: &State, _: Base, _: &Term, _: u32, _: bool) -> Result<Through> {
        silent()
    }
    fn element(&mut self, _: &State, _: &Term, _: u32, _: &Term, _: u32) -> Result<(Term, u32)> {
        silent()
    }
    fn call(&mut self, _: &State, _: &Sig) -> Result<Vec<Inst>> {
        silent()
    }
    fn post(&mut self, _: &State, _: u16, _: &[Kind], _: &Assertion) -> Result<Vec<Inst>> {
        silent()
    }
    fn spare(&mut self, _: Room) {}
    fn parent(&mut self, _: &State, _: u32, _: &[Opened]) -> Result<u32> {
        silent()
    }
    fn record(&mut self, _: &State, _: u32, _: &Mark, _: &mut Record) -> Result<()> {
        silent()
    }
    fn label(&mut self, _: &State, _: u32, _: &Mark, _: Declared<'_>) -> Result<Vec<Inst>> {
        silent()
    }
    fn cmov(&mut self, _: &State, _: &Word, _: &Word) -> Result<Template> {
        silent()
    }
    fn take(&mut self, _: &State, _: &Cap) -> Result<u16> {
        silent()
    }
    fn view(&mut self, _: &State, _: &View) -> Result<Through> {
        silent()
    }
    fn data(&mut self, _: &State, _: &Term) -> Result<DataId> {
        silent()
    }
}

/// Proves by these certificates, one after the other; knows nothing else.
#[derive(Clone, Debug, Default)]
pub struct Script {
    proofs: VecDeque<Proof>,
    /// Answer to `prove_ne`.
    positive: bool,
    silent: Silent,
}

impl Script {
    pub fn new(proofs: Vec<Proof>) -> Self {
        Script { proofs: proofs.into(), ..Script::default() }
    }

    /// `/= 0` is shown by proving it positive, or negative.
    pub fn on(self, positive: bool) -> Self {
        Script { positive, ..self }
    }
}

impl Forward for Script {
    type Inner = Silent;

    fn inner(&mut self) -> &mut Silent {
        &mut self.silent
    }

    fn prove(&mut self, _: &State, _: &Fact) -> Result<Proof> {
        self.proofs.pop_front().map_or_else(silent, Ok)
    }

    fn prove_ne(&mut self, _: &State, _: &Term) -> Result<bool> {
        Ok(self.positive)
    }
}

/// A combination of the facts of these numbers.
pub fn comb(scale: u64, premises: &[(u16, i128)]) -> Proof {
    Proof::Comb(Comb { scale, premises: premises.to_vec() })
}
