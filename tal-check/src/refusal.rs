//! Not trusted: a bug here can reject, never admit. Why a program is refused.

use crate::infer::Trouble;
use std::collections::BTreeSet;
use tal_core::error::Error;
use tal_core::ty::FnId;

/// Why a lowered program was not accepted.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// Inference stopped here.
    Trouble(FnId, Trouble),
    /// No way leads to this label: (function, text offset).
    Unreached(FnId, u32),
    /// Nothing leads to this code: (function, text offset, the end of what stands together).
    Dead(FnId, u32, u32),
    /// All states were found, but the judge refused.
    Judge(Box<Error>),
}

/// The functions that were refused.
pub(crate) fn refused(refusals: &[Refusal]) -> BTreeSet<FnId> {
    refusals.iter().filter_map(function).collect()
}

/// The function whose states were not found.
fn function(refusal: &Refusal) -> Option<FnId> {
    match refusal {
        Refusal::Trouble(id, _) | Refusal::Unreached(id, _) => Some(*id),
        // No ghost helps there.
        Refusal::Dead(..) | Refusal::Judge(_) => None,
    }
}
