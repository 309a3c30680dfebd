//! TCB. Well-formedness (core.md 4.3).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::image::Interface;
use crate::judge::{Judge, Result};
use crate::ty::{LabelState, Sig, TypeId};

impl<H: Hints> Judge<'_, H> {
    /// rule[wf-named]: type number `id` (the interface's first).
    ///
    /// # Errors
    /// When a premise fails.
    pub fn wf_type(&mut self, _id: TypeId) -> Result<()> {
        Err(Error::new(Rule::WfNamed, Kind::BadHint))
    }

    /// rule[wf-sig]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn wf_sig(&mut self, _sig: &Sig) -> Result<()> {
        Err(Error::new(Rule::WfSig, Kind::BadHint))
    }

    /// rule[wf-label]
    ///
    /// # Errors
    /// When a premise fails.
    pub fn wf_label(&mut self, _sig: &Sig, _label: &LabelState) -> Result<()> {
        Err(Error::new(Rule::WfLabel, Kind::BadHint))
    }

    /// Everything in the interface (a host may check its own once).
    ///
    /// # Errors
    /// When a premise fails.
    pub fn wf_interface(&mut self) -> Result<()> {
        Err(Error::new(Rule::WfSig, Kind::BadHint))
    }
}
