//! Not trusted: a bug here can reject, never admit. Writing annotations: answers are recorded while the
//! judge runs, then encoded.

use crate::error::Error;
use crate::hint::{Ghost, Hints, Inst, Proof, Site, Start, Template, Through};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Assertion, Base, Cap, Fact, Kind, Sig, Word};
use alloc::vec::Vec;

/// What was answered, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    answers: Vec<Answer>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Ghost(Option<Ghost>),
    Proof(Proof),
    Ne(Option<bool>),
    Range(bool),
    Want(bool),
    Access(Through),
    Element(Term, u32),
    Call(Vec<Inst>),
    Post(Vec<Inst>),
    Label(Vec<Inst>),
    Cmov(Template),
    Take(u16),
}

/// Hints that also write down what they answer.
#[derive(Debug)]
pub struct Recorder<F> {
    /// Who answers.
    pub inner: F,
    /// What was answered.
    pub recorded: Recorded,
}

impl<F: Hints> Recorder<F> {
    /// Nothing recorded yet.
    pub fn new(inner: F) -> Self {
        Recorder { inner, recorded: Recorded::default() }
    }
}

impl<F: Hints> Hints for Recorder<F> {
    fn block(&mut self, start: Start) -> Result<(), Error> {
        self.inner.block(start)
    }
    fn end(&mut self) -> Result<(), Error> {
        self.inner.end()
    }
    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        let answer = self.inner.ghost(state, site)?;
        self.recorded.answers.push(Answer::Ghost(answer.clone()));
        Ok(answer)
    }
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let answer = self.inner.prove(state, goal)?;
        self.recorded.answers.push(Answer::Proof(answer.clone()));
        Ok(answer)
    }
    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<Option<bool>, Error> {
        let answer = self.inner.prove_ne(state, term)?;
        self.recorded.answers.push(Answer::Ne(answer.clone()));
        Ok(answer)
    }
    fn in_range(
        &mut self,
        state: &State,
        term: &Term,
        bits: u8,
        signed: bool,
    ) -> Result<bool, Error> {
        let answer = self.inner.in_range(state, term, bits, signed)?;
        self.recorded.answers.push(Answer::Range(answer.clone()));
        Ok(answer)
    }
    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool, Error> {
        let answer = self.inner.want(state, goals)?;
        self.recorded.answers.push(Answer::Want(answer.clone()));
        Ok(answer)
    }
    fn access(
        &mut self,
        state: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Error> {
        let answer = self.inner.access(state, base, offset, width, store)?;
        self.recorded.answers.push(Answer::Access(answer.clone()));
        Ok(answer)
    }
    fn element(
        &mut self,
        state: &State,
        position: &Term,
        size: u32,
        count: &Term,
        width: u32,
    ) -> Result<(Term, u32), Error> {
        let answer = self.inner.element(state, position, size, count, width)?;
        self.recorded.answers.push(Answer::Element(answer.0.clone(), answer.1));
        Ok(answer)
    }
    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.call(state, sig)?;
        self.recorded.answers.push(Answer::Call(answer.clone()));
        Ok(answer)
    }
    fn post(
        &mut self,
        state: &State,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.post(state, kinds, post)?;
        self.recorded.answers.push(Answer::Post(answer.clone()));
        Ok(answer)
    }
    fn label(&mut self, state: &State, to: u32) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.label(state, to)?;
        self.recorded.answers.push(Answer::Label(answer.clone()));
        Ok(answer)
    }
    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        let answer = self.inner.cmov(state, moved, kept)?;
        self.recorded.answers.push(Answer::Cmov(answer.clone()));
        Ok(answer)
    }
    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16, Error> {
        let answer = self.inner.take(state, wanted)?;
        self.recorded.answers.push(Answer::Take(answer.clone()));
        Ok(answer)
    }
}
