//! Not trusted: a bug here can reject, never admit. The hint stream: writes what
//! `tal-core/src/wire/stream.rs` reads, the answers of any hints while the judge asks for them.

use crate::write::Writer;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints, Inst, Proof, Site, Template, Through};
use tal_core::state::{Mark, State};
use tal_core::term::Term;
use tal_core::ty::{Assertion, Base, Cap, DataId, Declared, Fact, Kind, Record, Sig, View, Word};
use tal_core::walk::Opened;
use tal_core::wire::guess::{self, Own, Pattern};
use tal_core::wire::shared::{HEAD, flag};

/// The hint stream so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    pub(crate) writer: Writer,
}

impl Recorded {
    /// Bytes that the answers take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.writer.size()
    }

    /// What was answered later, for functions that come behind.
    pub fn append(&mut self, later: &Recorded) {
        self.writer.append(&later.writer);
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
        for (guess, inst) in pattern.guesses(state).zip(insts) {
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
    /// On which scope the label hangs whose record is asked for next.
    parent: u32,
}

impl<F: Hints> Recorder<F> {
    /// Nothing recorded yet.
    pub fn new(inner: F) -> Self {
        Recorder { inner, recorded: Recorded::default(), parent: 0 }
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

    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        self.parent = self.inner.parent(state, to, chain)?;
        Ok(self.parent)
    }

    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        self.inner.record(state, to, parent, record)?;
        self.recorded.writer.record(self.parent, parent.first()?, record.declared());
        Ok(())
    }

    fn label(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>, Error> {
        let answer = self.inner.label(state, to, parent, record)?;
        self.recorded.insts(state, &Pattern::label(parent.first()?, record), &answer);
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

impl Writer {
    fn record(&mut self, parent: u32, first: u16, l: Declared<'_>) {
        let more = [
            (flag::VARS, !l.vars.is_empty()),
            (flag::FRAME, l.frame.is_some()),
            (flag::SLOTS, !l.slots.is_empty()),
            (flag::LENT, l.lent.is_some()),
            (flag::CAPS, l.caps.is_some()),
            (flag::VIEWS, !l.views.is_empty()),
            (flag::REFINEMENTS, !l.refinements.is_empty()),
        ];
        let more = more.iter().filter(|(_, on)| *on).fold(0, |sum, (flag, _)| sum | flag);
        let head = [
            (flag::MORE, more != 0),
            (flag::REGS, !l.regs.is_empty()),
            (flag::FACTS, !l.facts.is_empty()),
        ];
        let head =
            head.iter().filter(|(_, on)| *on).fold(parent << HEAD, |sum, (flag, _)| sum | flag);
        self.uint(head);
        if more != 0 {
            self.uint(more);
        }
        self.first = Some(first);
        self.record_parts(l);
        self.first = None;
    }

    fn record_parts(&mut self, l: Declared<'_>) {
        if !l.vars.is_empty() {
            self.kinds(l.vars);
        }
        if !l.regs.is_empty() {
            self.regs(l.regs);
        }
        if let Some((delta, touched)) = l.frame {
            let depth = delta.saturating_neg().checked_div(8).unwrap_or(0);
            self.uint(u64::try_from(depth).unwrap_or(u64::MAX));
            self.int(touched);
        }
        if !l.slots.is_empty() {
            self.slots(l.slots);
        }
        if let Some(lent) = l.lent {
            self.many(lent, Writer::lent);
        }
        if let Some(caps) = l.caps {
            self.caps(caps);
        }
        if !l.views.is_empty() {
            self.views(l.views);
        }
        if !l.refinements.is_empty() {
            self.many(l.refinements, |w, (name, set)| {
                w.var(*name);
                w.name_set(set);
            });
        }
        if !l.facts.is_empty() {
            self.facts(l.facts);
        }
    }

    fn slots(&mut self, slots: &[(i64, Word)]) {
        let mut next = None;
        self.many(slots, |w, (at, word)| {
            let words = |bytes: i64| bytes.checked_div(8).unwrap_or(0);
            match next {
                None => w.int(words(*at)),
                Some(next) => {
                    let skip = words(at.saturating_sub(next));
                    w.uint(u64::try_from(skip).unwrap_or(u64::MAX));
                }
            }
            next = Some(at.saturating_add(8));
            w.word(word);
        });
    }
}
