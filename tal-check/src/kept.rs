//! Not trusted: a bug here can reject, never admit. Results of functions that are kept from one
//! check to the next, for who checks a file again and again.
//!
//! A function is found anew when its text has changed, or what it calls, or anything that is
//! declared. The key is a digest of all that its result was found from, said relative to its start:
//! bytes with the addresses in them left out and what they refer to instead, the types of what it
//! calls, its labels with their states, its ghosts; and of the types, data and imports of the
//! program. What is put together from old and new is judged as ever, so that a key that says too
//! little costs a second search, no verdict.
//!
//! Cost: in proportion to the program, a few thousand instructions a line, to make the keys; then
//! what the changed functions cost.

use crate::annotate::Piece;
use crate::lowered::{DataInfo, Fixup, FixupTarget, FnInfo, GhostLine, Lowered, Written};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use tal_core::image::DataKind;
use tal_core::ty::FnId;
use tal_write::Recorded;

/// What was found of functions. An empty one knows nothing yet.
#[derive(Debug, Default)]
pub struct Kept {
    results: BTreeMap<Key, Found>,
    /// Counts checks.
    now: u64,
}

/// The digest of what a result was found from.
type Key = [u8; 32];

/// What is written of a function.
#[derive(Debug)]
struct Found {
    /// Where its labels stand, from its start.
    labels: Vec<u32>,
    recorded: Recorded,
    /// The last check that used it.
    used: u64,
}

/// Checks for which a result is kept that none of them used.
const AGE: u64 = 8;

impl Kept {
    /// How many functions are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Is none known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// A check begins: what nobody used for long is forgotten.
    pub(crate) fn begin(&mut self) {
        self.now += 1;
        let oldest = self.now.saturating_sub(AGE);
        self.results.retain(|_, result| result.used >= oldest);
    }

    /// Something was wrong with what is kept.
    pub(crate) fn clear(&mut self) {
        self.results.clear();
    }

    /// What is known of the function with this key.
    pub(crate) fn get(&mut self, key: &Key, function: &FnInfo) -> Option<Piece> {
        let result = self.results.get_mut(key)?;
        result.used = self.now;
        let labels = result.labels.iter().map(|at| function.offset.saturating_add(*at));
        Some(Piece::without_states(labels, result.recorded.clone()))
    }

    /// This was found of it.
    pub(crate) fn put(&mut self, key: Key, function: &FnInfo, piece: &Piece) {
        let labels = piece.labels.iter().map(|l| l.offset.saturating_sub(function.offset));
        let found =
            Found { labels: labels.collect(), recorded: piece.recorded.clone(), used: self.now };
        self.results.insert(key, found);
    }
}

/// The keys of the functions; none of those that jump by tables, whose addresses stand in data.
pub(crate) fn keys(lowered: &Lowered) -> BTreeMap<FnId, Key> {
    let around = around(lowered);
    let mut fixups: Vec<&Fixup> = lowered.fixups.iter().filter(|f| f.data.is_none()).collect();
    fixups.sort_by_key(|fixup| fixup.offset);
    let table = |data: &DataInfo| match data.kind {
        DataKind::Table { function } => Some(function),
        DataKind::Object { .. } => None,
    };
    let tables: BTreeSet<FnId> = lowered.data.iter().filter_map(table).collect();
    let ids = lowered.ids();
    let functions = lowered.some(&ids).filter(|(id, _)| !tables.contains(id));
    functions.map(|(id, function)| (id, key(lowered, function, &fixups, &around))).collect()
}

/// What all functions rest on.
fn around(lowered: &Lowered) -> Key {
    let mut text = String::new();
    for named in &lowered.types {
        said(&mut text, &named.ty);
    }
    for data in &lowered.data {
        said(&mut text, &(data.address, data.size, &data.kind));
    }
    said(&mut text, &lowered.imports);
    let mut digest = Sha256::new();
    digest.update(lowered.host.interface.hash);
    digest.update(text);
    digest.finalize().into()
}

/// The same words for the same value, and others for another.
fn said(text: &mut String, value: &impl std::fmt::Debug) {
    // A string takes all that is written.
    let _ = writeln!(text, "{value:?}");
}

fn key(lowered: &Lowered, function: &FnInfo, fixups: &[&Fixup], around: &Key) -> Key {
    let mut digest = Sha256::new();
    digest.update(around);
    let mut text = String::new();
    let sig = |sig: u32| lowered.sigs.get(sig as usize);
    said(&mut text, &(sig(function.sig), function.size));
    // The text, with names for the addresses in it.
    let from = |offset: u32| fixups.partition_point(|fixup| fixup.offset < offset);
    let own = fixups.get(from(function.offset)..from(function.end())).unwrap_or_default();
    let mut at = function.offset;
    for fixup in own {
        digest.update(lowered.text.get(at as usize..fixup.offset as usize).unwrap_or_default());
        at = fixup.offset.saturating_add(fixup.kind.width());
        said(&mut text, &(fixup.offset - function.offset, fixup.kind, fixup.addend));
        match fixup.target {
            FixupTarget::Function(f) => {
                let callee = lowered.functions.get(f.0 as usize);
                said(&mut text, &callee.map(|callee| sig(callee.sig)));
            }
            other => said(&mut text, &other),
        }
    }
    digest.update(lowered.text.get(at as usize..function.end() as usize).unwrap_or_default());
    let relative = |offset: u32| offset.saturating_sub(function.offset);
    for label in &function.labels {
        said(&mut text, &(relative(label.offset), label.target));
        if let Some(state) = &label.state {
            written(&mut text, state);
        }
    }
    for GhostLine { offset, falls, op, vars, span: _ } in &function.ghosts {
        let vars: Vec<_> = vars.iter().map(|v| (&v.kind, v.origin)).collect();
        said(&mut text, &(relative(*offset), falls, op, vars));
    }
    for (offset, ty) in &function.layouts {
        said(&mut text, &(relative(*offset), ty));
    }
    digest.update(text);
    digest.finalize().into()
}

/// A written state, wherever it is written.
fn written(text: &mut String, state: &Written) {
    let Written { vars, words, facts, views, caps, named, parts: _, span: _ } = state;
    said(text, &vars.iter().map(|v| (&v.kind, v.origin)).collect::<Vec<_>>());
    said(text, &words.iter().map(|(place, word, _)| (place, word)).collect::<Vec<_>>());
    said(text, &facts.iter().map(|(fact, _)| fact).collect::<Vec<_>>());
    said(text, &(views, caps));
    said(text, &named.iter().map(|(var, _)| var).collect::<Vec<_>>());
}
