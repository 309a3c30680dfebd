//! TCB. Words and the one place where a word gets a declared type (core.md 4.5).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::state::State;
use crate::ty::{Cap, FieldTy, Word};

impl<H: Hints> Judge<'_, H> {
    /// `S |- w : tau -| S'`: the rules has-int .. has-ref.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn has_type(&mut self, _st: &mut State, _word: &Word, _ty: &FieldTy) -> Result<()> {
        Err(Error::new(Rule::HasInt, Kind::BadHint))
    }

    /// rule[match-word] for two words of which `want` is already instantiated.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn same_word(
        &mut self,
        _st: &mut State,
        _have: &Word,
        _want: &Word,
        _rule: Rule,
    ) -> Result<()> {
        Err(Error::new(Rule::MatchWord, Kind::BadHint))
    }

    /// Takes `wanted` (an entry or token, after substitution) out of C: asks which (`Hints::take`), compares
    /// over Z with guards decided, terms may differ by what is proved zero.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn take(&mut self, _st: &mut State, _wanted: &Cap, _rule: Rule) -> Result<Cap> {
        Err(Error::new(Rule::Apply, Kind::BadHint))
    }
}
