//! TCB. The hint stream: answers in the order of the questions.

use crate::error::{Error, Kind as Evidence, Rule};
use crate::hint::{Ghost, Hints, Inst, Proof, Site, Template, Through};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Assertion, Base, Cap, Fact, Kind, Sig, Word};
use alloc::vec::Vec;

/// The hints of an annotation section.
#[derive(Debug)]
pub struct Stream<'a> {
    /// What is left.
    bytes: &'a [u8],
}

impl Stream<'_> {
    fn malformed<T>(&self) -> Result<T, Error> {
        let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        Err(Error::new(Rule::Wire, Evidence::Malformed(at)))
    }
}

impl Hints for Stream<'_> {
    fn ghost(&mut self, _state: &State, _site: Site) -> Result<Option<Ghost>, Error> {
        self.malformed()
    }
    fn prove(&mut self, _state: &State, _goal: &Fact) -> Result<Proof, Error> {
        self.malformed()
    }
    fn prove_ne(&mut self, _state: &State, _term: &Term) -> Result<Option<bool>, Error> {
        self.malformed()
    }
    fn in_range(
        &mut self,
        _state: &State,
        _term: &Term,
        _bits: u8,
        _signed: bool,
    ) -> Result<bool, Error> {
        self.malformed()
    }
    fn want(&mut self, _state: &State, _goals: &[Fact]) -> Result<bool, Error> {
        self.malformed()
    }
    fn access(
        &mut self,
        _state: &State,
        _base: Base,
        _offset: &Term,
        _width: u32,
        _store: bool,
    ) -> Result<Through, Error> {
        self.malformed()
    }
    fn element(
        &mut self,
        _state: &State,
        _position: &Term,
        _size: u32,
        _count: &Term,
        _width: u32,
    ) -> Result<(Term, u32), Error> {
        self.malformed()
    }
    fn call(&mut self, _state: &State, _sig: &Sig) -> Result<Vec<Inst>, Error> {
        self.malformed()
    }
    fn post(
        &mut self,
        _state: &State,
        _kinds: &[Kind],
        _post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        self.malformed()
    }
    fn label(&mut self, _state: &State, _to: u32) -> Result<Vec<Inst>, Error> {
        self.malformed()
    }
    fn cmov(&mut self, _state: &State, _moved: &Word, _kept: &Word) -> Result<Template, Error> {
        self.malformed()
    }
    fn take(&mut self, _state: &State, _wanted: &Cap) -> Result<u16, Error> {
        self.malformed()
    }
}
