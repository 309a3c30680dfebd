//! Not trusted: a test. A finder that answers wrongly what it cannot answer, so that the refusal is
//! the judge's.

use tal_core::error::Error;
use tal_core::hint::{Ghost, Hints, Inst, Proof, Site, Start, Template, Through};
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Assertion, Base, Cap, DataId, Fact, Kind, LabelState, Sig, View, Word};

/// Answers by the other, and where that says nothing, with something of no use.
#[derive(Debug)]
pub(crate) struct Blunt<H>(pub(crate) H);

/// Values of the wrong kinds.
fn useless(kinds: &[Kind]) -> Vec<Inst> {
    let other = |kind: &Kind| match kind {
        Kind::Store => Inst::Int(Term::ZERO),
        _ => Inst::Store(Vec::new()),
    };
    kinds.iter().map(other).collect()
}

/// Methods that are passed on.
macro_rules! passed {
    ($(fn $name:ident(&mut self $(, $arg:ident: $ty:ty)*) -> $out:ty;)*) => {
        $(fn $name(&mut self $(, $arg: $ty)*) -> Result<$out, Error> {
            self.0.$name($($arg),*)
        })*
    };
}

impl<H: Hints> Hints for Blunt<H> {
    passed! {
        fn block(&mut self, start: Start) -> ();
        fn end(&mut self) -> ();
        fn ghost(&mut self, state: &State, site: Site) -> Option<Ghost>;
        fn prove(&mut self, state: &State, goal: &Fact) -> Proof;
        fn prove_ne(&mut self, state: &State, term: &Term) -> Option<bool>;
        fn in_range(&mut self, state: &State, term: &Term, bits: u8, signed: bool) -> bool;
        fn want(&mut self, state: &State, goals: &[Fact]) -> bool;
        fn access(&mut self, s: &State, b: Base, o: &Term, width: u32, store: bool) -> Through;
        fn element(&mut self, s: &State, at: &Term, size: u32, n: &Term, w: u32) -> (Term, u32);
        fn label(&mut self, state: &State, to: u32) -> Vec<Inst>;
        fn take(&mut self, state: &State, wanted: &Cap) -> u16;
        fn view(&mut self, state: &State, wanted: &View) -> Through;
        fn data(&mut self, state: &State, address: &Term) -> DataId;
        fn range_facts(&mut self, state: &State, facts: &[Fact]) -> bool;
    }

    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
        Ok(self.0.call(state, sig).unwrap_or_else(|_| useless(&sig.vars)))
    }

    fn post(&mut self, s: &State, kinds: &[Kind], post: &Assertion) -> Result<Vec<Inst>, Error> {
        Ok(self.0.post(s, kinds, post).unwrap_or_else(|_| useless(kinds)))
    }

    fn post_values(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        let values = self.0.post_values(state, first, kinds, post);
        Ok(values.unwrap_or_else(|_| useless(kinds)))
    }

    fn label_values(
        &mut self,
        state: &State,
        to: u32,
        first: u16,
        declared: &LabelState,
    ) -> Result<Vec<Inst>, Error> {
        let values = self.0.label_values(state, to, first, declared);
        Ok(values.unwrap_or_else(|_| useless(&declared.vars)))
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        let (moved_by, kept_by) = (Vec::new(), Vec::new());
        let template = Template {
            fresh: 0,
            word: Word::Int(Term::ZERO),
            facts: Vec::new(),
            moved: moved_by,
            kept: kept_by,
        };
        Ok(self.0.cmov(state, moved, kept).unwrap_or(template))
    }
}
