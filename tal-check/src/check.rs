//! Not trusted: a bug here can reject, never admit. From a file to a judged, annotated program.

use crate::annotate::{self, Piece, finder};
use crate::explore::{TOGETHER, Task, find_labels_with_ghosts, sites, unknown};
use crate::find::Busy;
use crate::infer::{EFFORTS, Trouble};
use crate::joins;
use crate::lowered::Lowered;
use crate::needed::Records;
use rayon::prelude::*;
use std::collections::BTreeSet;
use tal_core::error::Error;
use tal_core::judge::Judge;
use tal_core::ty::FnId;
use tal_core::wire;
use tal_write::{Label, Recorded, encode};

/// A program that the judge accepted, with its annotations.
#[derive(Debug)]
pub struct Checked {
    /// What it was lowered to.
    pub lowered: Lowered,
    /// The states found for its labels, in address order.
    pub labels: Vec<Label>,
    /// What is written of them.
    pub records: Records,
    /// The `.tal` section: types, states, and the answers that convinced the judge.
    pub section: Vec<u8>,
    /// What it cost to find the states, as [`crate::explore::Explored::work`].
    pub work: u64,
}

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

/// Judges a lowered program with answers by search. Each function has the states of those labels
/// only that need one, if that goes without more: most often it does.
///
/// # Errors
/// Every reason found, in address order, with the program for the report.
pub fn check(mut lowered: Lowered) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    // What is wrong with what is declared is not looked for in functions.
    if let Err(error) = declared(&lowered) {
        return Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))]));
    }
    let (mut pieces, refused, mut work) = at_joins(&lowered);
    if !refused.is_empty() {
        let (labels, busy) = match find_labels_with_ghosts(&mut lowered, &refused, &mut work) {
            Ok(found) => found,
            Err(refusals) => return Err((Box::new(lowered), refusals)),
        };
        for id in refused {
            let Some(function) = lowered.functions.get(id.0 as usize) else { continue };
            let range = function.offset..function.end();
            let own = labels.iter().filter(|label| range.contains(&label.offset));
            let own: Vec<Label> = own.cloned().collect();
            match annotate::annotate(&lowered, id, &own, Some(&busy)) {
                Ok(piece) => pieces.push((id, piece)),
                Err(error) => {
                    return Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))]));
                }
            }
        }
    }
    pieces.sort_by_key(|(first, _)| *first);
    let (mut labels, mut records, mut recorded) = (Vec::new(), Records::new(), Recorded::default());
    for (_, piece) in pieces {
        labels.extend(piece.labels);
        records.extend(piece.records);
        recorded.append(&piece.recorded);
    }
    let section = encode(&lowered.image(&labels), &lowered.host.interface, &recorded);
    match verify(&lowered, &section) {
        Ok(()) => Ok(Checked { lowered, labels, records, section, work }),
        Err(error) => Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))])),
    }
}

/// Judges what is declared.
fn declared(lowered: &Lowered) -> Result<(), Error> {
    let image = lowered.image(&unknown(&sites(lowered, &lowered.ids(), &BTreeSet::new())));
    Judge::new(&image, &lowered.host.interface, finder(lowered, &image, &[]), u64::MAX).tables()
}

/// Judges the program with its annotations, as who loads it does.
fn verify(lowered: &Lowered, section: &[u8]) -> Result<(), Error> {
    let interface = &lowered.host.interface;
    let (text, segments) = (&lowered.text, lowered.segments());
    let (image, stream) = wire::decode(text, lowered.text_address, &segments, section, interface)?;
    Judge::new(&image, interface, stream, u64::MAX).verify()
}

/// Pieces by their first function.
type Pieces = Vec<(FnId, Piece)>;

/// What is written of functions with states at those labels only that need one; those of which it
/// was not found; and what it cost.
fn at_joins(lowered: &Lowered) -> (Pieces, Vec<FnId>, u64) {
    let functions = lowered.ids();
    let mut sites = sites(lowered, &functions, &BTreeSet::new());
    let all = unknown(&sites);
    let image = lowered.image(&all);
    let part = annotate::Part { lowered, image: &image, functions: &functions };
    let labels = joins::joins(part, &all);
    sites.retain(|(_, site)| labels.binary_search_by_key(&site.offset, |l| l.offset).is_ok());
    for (i, (_, site)) in (0..).zip(&mut sites) {
        site.index = i;
    }
    let image = lowered.image(&labels);
    let task = Task { lowered, image: &image, sites: &sites, unknown: &labels };
    let found: Vec<_> = functions.par_chunks(TOGETHER).map(|some| pieces(&task, some)).collect();
    let (mut pieces, mut refused, mut work) = (Vec::new(), Vec::new(), 0);
    for (some, none, cost) in found {
        pieces.extend(some);
        refused.extend(none);
        work += cost;
    }
    (pieces, refused, work)
}

/// The same of a few functions: all in one piece, or one by one.
fn pieces(task: &Task<'_>, functions: &[FnId]) -> (Pieces, Vec<FnId>, u64) {
    let lowered = task.lowered;
    let mut parts = task.explore(functions, &EFFORTS);
    let mut work = parts.iter().map(|part| part.work).sum();
    if let (Some(first), true) = (functions.first(), parts.iter().all(|p| p.refusals.is_empty())) {
        let labels: Vec<Label> = parts.iter().flat_map(|part| &part.labels).cloned().collect();
        let mut busy = Busy::default();
        parts.iter().for_each(|part| busy.extend(part.busy.clone()));
        let part = annotate::Part { lowered, image: task.image, functions };
        if let Ok(piece) = annotate::at_once(part, &labels, &busy.with_edges()) {
            return (vec![(*first, piece)], Vec::new(), work);
        }
    }
    let (mut pieces, mut refused) = (Vec::new(), Vec::new());
    for (id, part) in functions.iter().zip(&mut parts) {
        let mut found = None;
        for least in 0..EFFORTS.len() {
            // What was found may be too little for the judge.
            if least > 0
                && let Some(more) = task.explore(&[*id], &EFFORTS[least..]).pop()
            {
                work += more.work;
                *part = more;
            }
            // All efforts were made.
            if !part.refusals.is_empty() {
                break;
            }
            let busy = part.busy.clone().with_edges();
            found = annotate::annotate(lowered, *id, &part.labels, Some(&busy)).ok();
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(piece) => pieces.push((*id, piece)),
            None => refused.push(*id),
        }
    }
    (pieces, refused, work)
}
