//! Not trusted: a test. A finder that answers wrongly what it cannot answer, so that the refusal is
//! the judge's.

use tal_core::error::Error;
use tal_core::hint::{Forward, Hints, Inst, Template};
use tal_core::state::{Mark, State};
use tal_core::term::Term;
use tal_core::ty::{Assertion, Declared, Kind, Sig, Word};

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

impl<H: Hints> Forward for Blunt<H> {
    type Inner = H;

    fn inner(&mut self) -> &mut H {
        &mut self.0
    }

    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
        Ok(self.0.call(state, sig).unwrap_or_else(|_| useless(&sig.vars)))
    }

    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        let values = self.0.post(state, first, kinds, post);
        Ok(values.unwrap_or_else(|_| useless(kinds)))
    }

    fn label(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        declared: Declared<'_>,
    ) -> Result<Vec<Inst>, Error> {
        let values = self.0.label(state, to, parent, declared);
        Ok(values.unwrap_or_else(|_| useless(declared.vars)))
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
