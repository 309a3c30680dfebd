//! TCB (total, bounded). The hint stream: answers in the order of the questions, without a word
//! about what the question was or where: a hint cannot be misplaced, only missing or left over.

use super::guess::{self, Own, Pattern};
use super::read::Reader;
use super::record;
use crate::hint::{Ghost, Hints, Inst, Proof, Room, Seen, Site, Start, Template, Through};
use crate::judge::Result;
use crate::state::{Mark, State};
use crate::term::Term;
use crate::ty::{Assertion, Base, Cap, DataId, Declared, Fact, Kind, Record, Sig, View, Word};
use crate::walk::Opened;
use alloc::vec::Vec;

/// The hints of an annotation section.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    reader: Reader<'a>,
    /// What the last parent said of its label's record.
    head: u32,
    /// Room for values.
    spare: Vec<Inst>,
    /// What the reader might take when it had read the tables.
    memory: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(reader: Reader<'a>) -> Self {
        let memory = reader.memory();
        Stream { reader, head: 0, spare: Vec::new(), memory }
    }

    /// A guess that is right by one bit, or the answer, which then is another.
    fn guessed<T: PartialEq>(
        &mut self,
        guess: Option<T>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
    ) -> Result<T> {
        let Some(guess) = guess else { return read(&mut self.reader) };
        if self.reader.bit()? {
            return Ok(guess);
        }
        let answer = read(&mut self.reader)?;
        if answer == guess { self.reader.malformed() } else { Ok(answer) }
    }

    fn insts(&mut self, state: &State, pattern: &Pattern<'_>) -> Result<Vec<Inst>> {
        let guesses = pattern.guesses(state);
        let mut insts = core::mem::take(&mut self.spare);
        for guess in guesses {
            insts.push(self.guessed(guess, Reader::inst)?);
        }
        Ok(insts)
    }
}

impl Hints for Stream<'_> {
    /// The stream says nothing of where it is. At an entry nothing is left of the functions before.
    fn block(&mut self, start: Start, _state: &State) -> Result<()> {
        if let Start::Entry(_) = start {
            self.reader.set_memory(self.memory);
        }
        Ok(())
    }

    fn worked(&mut self, _units: usize) {}

    fn seen(&mut self, _state: &State, _what: Seen<'_>) {}

    fn end(&mut self) -> Result<()> {
        self.reader.end()
    }

    // Inlined, so that where there is none, as mostly, no ghost is moved about.
    #[inline(always)]
    fn ghost(&mut self, _state: &State, _site: Site) -> Result<Option<Ghost>> {
        if self.reader.bit()? { self.reader.ghost().map(Some) } else { Ok(None) }
    }

    fn prove(&mut self, _state: &State, _goal: &Fact) -> Result<Proof> {
        self.reader.proof()
    }

    fn prove_ne(&mut self, _state: &State, _term: &Term) -> Result<bool> {
        self.reader.bit()
    }

    fn in_range(&mut self, _: &State, _: &Term, _bits: u8, _signed: bool) -> Result<bool> {
        self.reader.bit()
    }

    fn want(&mut self, _state: &State, _goals: &[Fact]) -> Result<bool> {
        self.reader.bit()
    }

    fn range_facts(&mut self, _state: &State, _facts: &[Fact]) -> Result<bool> {
        self.reader.bit()
    }

    fn access(
        &mut self,
        state: &State,
        base: Base,
        _offset: &Term,
        _width: u32,
        _store: bool,
    ) -> Result<Through> {
        self.guessed(guess::access(state, base), Reader::through)
    }

    fn element(
        &mut self,
        _state: &State,
        position: &Term,
        size: u32,
        _count: &Term,
        _width: u32,
    ) -> Result<(Term, u32)> {
        self.guessed(guess::element(position, size), |r| Ok((r.term()?, r.u32()?)))
    }

    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>> {
        self.insts(state, &Pattern::of(guess::own_of(sig), &sig.vars, &sig.pre))
    }

    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>> {
        self.insts(state, &Pattern::of(Own::Free(first), kinds, post))
    }

    fn spare(&mut self, answered: Room) {
        match answered {
            Room::Values(values) => self.spare = cleared(values),
            Room::Premises(premises) => self.reader.spare = cleared(premises),
        }
    }

    fn parent(&mut self, _state: &State, _to: u32, _chain: &[Opened]) -> Result<u32> {
        self.head = self.reader.u32()?;
        Ok(self.head >> record::HEAD)
    }

    fn record(
        &mut self,
        _state: &State,
        _to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<()> {
        record::record(&mut self.reader, self.head, parent.first()?, record)
    }

    fn label(
        &mut self,
        state: &State,
        _to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>> {
        self.insts(state, &Pattern::label(parent.first()?, record))
    }

    fn cmov(&mut self, _state: &State, _moved: &Word, _kept: &Word) -> Result<Template> {
        self.reader.template()
    }

    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16> {
        self.guessed(guess::take(state, wanted), Reader::u16)
    }

    fn view(&mut self, state: &State, wanted: &View) -> Result<Through> {
        self.guessed(guess::view(state, wanted), Reader::through)
    }

    fn data(&mut self, _state: &State, _address: &Term) -> Result<DataId> {
        Ok(DataId(self.reader.u16()?))
    }
}

fn cleared<T>(mut room: Vec<T>) -> Vec<T> {
    room.clear();
    room
}
