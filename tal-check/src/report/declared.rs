//! Not trusted: a bug here can reject, never admit. Which declaration the judge refuses.
//!
//! A refusal of the tables of an image says by which rule, not of what: the judge has no places
//! there. So each declaration is judged alone.

use crate::lowered::Lowered;
use crate::part::finder;
use tal_core::error::{Error, Kind};
use tal_core::image::DataKind;
use tal_core::judge::{Judge, Result};
use tal_core::ty::{DataId, TypeId};
use tal_syntax::Span;

/// The first struct, signature or data object that is refused for the same reason: its place, and
/// what is wrong with it.
pub(super) fn refused(lowered: &Lowered, error: &Error) -> Option<(Span, String)> {
    let image = lowered.image(&[]);
    let interface = &lowered.host.interface;
    let mut judge = Judge::new(&image, interface, finder(lowered, &image, &[]), u64::MAX);
    let alike = |result: Result<()>| result.is_err_and(|e| e.rule == error.rule);
    let wrong = match error.kind {
        Kind::Limit => "is larger than the checker's limits",
        _ => "is not well formed",
    };
    for (id, info) in (interface.types.len()..).zip(&lowered.types) {
        if alike(judge.wf_type(TypeId(u32::try_from(id).ok()?))) {
            return Some((info.span, format!("the struct `{}` {wrong}", info.name)));
        }
    }
    for function in &lowered.functions {
        let sig = lowered.sigs.get(function.sig as usize)?;
        if alike(judge.wf_sig(sig)) {
            let words = format!("the signature of `{}` {wrong}", function.name);
            return Some((function.sig_span, words));
        }
    }
    for (id, info) in (0..).zip(&lowered.data) {
        let id = DataId(id);
        let result = match info.kind {
            DataKind::Object { .. } => judge.data_object(id).and_then(|()| judge.data_init(id)),
            DataKind::Table { .. } => judge.table_object(id),
        };
        if alike(result) {
            return Some((info.span, format!("`{}` {wrong}", info.name)));
        }
    }
    None
}
