//! Not trusted: a bug here can reject, never admit. Writing annotations: the answers of any hints
//! are written down while the judge asks for them; the tables come before them.

use super::guess::{self, Own, Pattern};
use super::put::Writer;
use super::tables::{flag, owner, usual};
use super::{INTERFACE_MAGIC, MAGIC, VERSION};
use crate::error::Error;
use crate::hint::{Forward, Ghost, Hints, Inst, Proof, Site, Template, Through};
use crate::image::{Data, DataKind, Image, Interface, Label};
use crate::state::State;
use crate::term::Term;
use crate::ty::{
    Assertion, Base, Cap, DataId, Fact, Kind, LabelState, NamedType, Reg, Sig, View, Word,
};
use alloc::vec::Vec;

/// The hint stream so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    writer: Writer,
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

pub(super) fn interface(interface: &Interface) -> Vec<u8> {
    let mut w = Writer::default();
    w.bytes.extend(INTERFACE_MAGIC);
    w.byte(VERSION);
    w.many(&interface.types, named_type);
    w.uint(interface.origins);
    w.many(&interface.imports, |w, sig| w.sig(sig));
    w.sig(&interface.start);
    w.bytes
}

pub(super) fn section(image: &Image<'_>, interface: &Interface, recorded: &Recorded) -> Vec<u8> {
    let mut w = Writer::default();
    w.bytes.extend(MAGIC);
    w.byte(VERSION);
    w.byte(0);
    w.bytes.extend(interface.hash);
    w.many(&image.types, named_type);
    w.many(&image.sigs, |w, sig| w.sig(sig));
    let mut next = 0_u32;
    w.many(&image.functions, |w, f| {
        w.uint(f.offset.saturating_sub(next));
        next = f.offset.saturating_add(1);
        w.uint(f.sig);
    });
    let mut next = 0_u32;
    w.many(&image.labels, |w, Label { offset, state }| {
        w.uint(offset.saturating_sub(next));
        next = offset.saturating_add(1);
        if let Some(sig) = owner(&image.functions, &image.sigs, *offset) {
            label_state(w, sig, state);
        }
    });
    let mut end = 0_u32;
    w.many(&image.data, |w, d| {
        w.uint(d.address.saturating_sub(end));
        end = d.address.saturating_add(d.size);
        data(w, d);
    });
    let mut next = 0_u16;
    w.many(&image.imports, |w, import| {
        w.uint(import.saturating_sub(next));
        next = import.saturating_add(1);
    });
    w.uint(image.start.map_or(0, |f| f.0.saturating_add(1)));
    w.bytes.extend(&recorded.writer.bytes);
    w.bytes
}

fn named_type(w: &mut Writer, ty: &NamedType) {
    w.uint(ty.arity);
    w.uint(ty.size);
    w.uint(u8::from(ty.zero_ok) | u8::from(ty.plain) << 1 | u8::from(ty.owns) << 2);
    w.mem(&ty.body);
}

fn data(w: &mut Writer, data: &Data<'_>) {
    w.uint(data.size);
    match &data.kind {
        DataKind::Object { mem, mode } => {
            w.mode(*mode);
            w.mem(mem);
        }
        DataKind::Table { function } => {
            w.uint(3_u8);
            w.uint(function.0);
        }
    }
}

fn label_state(w: &mut Writer, sig: &Sig, s: &LabelState) {
    let (usual_regs, usual_slots) = usual(sig);
    let split = s.slots.partition_point(|(at, _)| *at < 0);
    let (lower, upper) = s.slots.split_at_checked(split).unwrap_or((&s.slots, &[]));
    let framed = s.delta != 0 || s.touched != 0 || !lower.is_empty();
    let flags = [
        (flag::ENTRY_CAPS, s.caps == sig.pre.caps),
        (flag::ENTRY_SLOTS, upper == usual_slots),
        (flag::LENT, !s.lent.is_empty()),
        (flag::REFINEMENTS, !s.refinements.is_empty()),
        (flag::VIEWS, !s.views.is_empty()),
        (flag::FACTS, !s.facts.is_empty()),
        (flag::VARS, !s.vars.is_empty()),
        (flag::FRAME, framed),
    ];
    w.byte(flags.iter().filter(|(_, on)| *on).fold(0, |sum, (flag, _)| sum | flag));
    if !s.vars.is_empty() {
        w.kinds(&s.vars);
    }
    if !s.refinements.is_empty() {
        w.many(&s.refinements, |w, (name, set)| {
            w.var(*name);
            w.name_set(set);
        });
    }
    if !s.facts.is_empty() {
        w.facts(&s.facts);
    }
    let mut regs = s.regs.clone();
    if let Some(rsp) = regs.get_mut(Reg::Rsp as usize) {
        *rsp = Word::Junk;
    }
    w.regs(&regs, &usual_regs);
    if framed {
        let depth = s.delta.saturating_neg().checked_div(8).unwrap_or(0);
        w.uint(u64::try_from(depth).unwrap_or(u64::MAX));
        w.int(s.touched);
        slots(w, lower, s.delta);
    }
    if upper != usual_slots {
        slots(w, upper, 0);
    }
    if !s.lent.is_empty() {
        w.many(&s.lent, Writer::lent);
    }
    if !s.views.is_empty() {
        w.views(&s.views);
    }
    if s.caps != sig.pre.caps {
        w.caps(&s.caps);
    }
}

fn slots(w: &mut Writer, slots: &[(i64, Word)], first: i64) {
    let mut next = first;
    w.many(slots, |w, (at, word)| {
        let skip = at.saturating_sub(next).checked_div(8).unwrap_or(0);
        w.uint(u64::try_from(skip).unwrap_or(u64::MAX));
        next = at.saturating_add(8);
        w.word(word);
    });
}
