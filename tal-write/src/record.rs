//! Not trusted: a bug here can reject, never admit. The hint stream: writes what
//! `tal-core/src/wire/stream.rs` reads, the answers of any hints while the judge asks for them.

use crate::write::Writer;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints, Inst, Proof, Site, Template, Through};
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Assertion, Base, Cap, DataId, Fact, Kind, LabelState, Sig, View, Word};
use tal_core::wire::guess::{self, Own, Pattern};

/// The hint stream so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    pub(crate) writer: Writer,
}

impl Recorded {
    /// Bytes that the answers take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.writer.bytes.len()
    }

    fn guessed<T: PartialEq>(
        &mut self,
        guess: Option<T>,
        answer: &T,
        write: impl FnOnce(&mut Writer, &T),
    ) {
        if let Some(guess) = guess {
            self.writer.bit(guess == *answer);
            if guess == *answer {
                return;
            }
        }
        write(&mut self.writer, answer);
    }

    fn insts(&mut self, state: &State, pattern: &Pattern<'_>, insts: &[Inst]) {
        for (guess, inst) in pattern.guesses(state).into_iter().zip(insts) {
            self.guessed(guess, inst, Writer::inst);
        }
    }
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

    fn bit(&mut self, answer: bool) -> bool {
        self.recorded.writer.bit(answer);
        answer
    }
}

impl<F: Hints> Forward for Recorder<F> {
    type Inner = F;

    fn inner(&mut self) -> &mut F {
        &mut self.inner
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        let answer = self.inner.ghost(state, site)?;
        self.bit(answer.is_some());
        if let Some(ghost) = &answer {
            self.recorded.writer.ghost(ghost);
        }
        Ok(answer)
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let answer = self.inner.prove(state, goal)?;
        self.recorded.writer.proof(&answer);
        Ok(answer)
    }

    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool, Error> {
        let answer = self.inner.prove_ne(state, term)?;
        Ok(self.bit(answer))
    }

    fn in_range(
        &mut self,
        state: &State,
        term: &Term,
        bits: u8,
        signed: bool,
    ) -> Result<bool, Error> {
        let answer = self.inner.in_range(state, term, bits, signed)?;
        Ok(self.bit(answer))
    }

    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool, Error> {
        let answer = self.inner.want(state, goals)?;
        Ok(self.bit(answer))
    }

    fn range_facts(&mut self, state: &State, facts: &[Fact]) -> Result<bool, Error> {
        let answer = self.inner.range_facts(state, facts)?;
        Ok(self.bit(answer))
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
        self.recorded.guessed(guess::access(state, base), &answer, |w, t| w.through(*t));
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
        self.recorded.guessed(guess::element(position, size), &answer, |w, (j, c)| {
            w.term(j);
            w.uint(*c);
        });
        Ok(answer)
    }

    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.call(state, sig)?;
        let pattern = Pattern::of(guess::own_of(sig), &sig.vars, &sig.pre);
        self.recorded.insts(state, &pattern, &answer);
        Ok(answer)
    }

    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.post(state, first, kinds, post)?;
        self.recorded.insts(state, &Pattern::of(Own::Free(first), kinds, post), &answer);
        Ok(answer)
    }

    fn label(
        &mut self,
        state: &State,
        to: u32,
        first: u16,
        declared: &LabelState,
    ) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.label(state, to, first, declared)?;
        self.recorded.insts(state, &Pattern::label(first, declared), &answer);
        Ok(answer)
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        let answer = self.inner.cmov(state, moved, kept)?;
        self.recorded.writer.template(&answer);
        Ok(answer)
    }

    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16, Error> {
        let answer = self.inner.take(state, wanted)?;
        self.recorded.guessed(guess::take(state, wanted), &answer, |w, i| w.uint(*i));
        Ok(answer)
    }

    fn view(&mut self, state: &State, wanted: &View) -> Result<Through, Error> {
        let answer = self.inner.view(state, wanted)?;
        self.recorded.guessed(guess::view(state, wanted), &answer, |w, t| w.through(*t));
        Ok(answer)
    }

    fn data(&mut self, state: &State, address: &Term) -> Result<DataId, Error> {
        let answer = self.inner.data(state, address)?;
        self.recorded.writer.uint(answer.0);
        Ok(answer)
    }
}
