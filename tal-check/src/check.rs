//! Not trusted: a bug here can reject, never admit. From a file to a judged, annotated program.

use crate::annotate::{self, Piece};
use crate::explore::{TOGETHER, Task, find_labels_with_ghosts, sites, unknown};
use crate::infer::{EFFORTS, Effort, WITH_GOALS};
use crate::joins;
use crate::kept::{self, Kept};
use crate::lowered::Lowered;
use crate::needed::Records;
use crate::part::{Part, finder};
use crate::plan::Busy;
pub use crate::refusal::Refusal;
use crate::refusal::refused;
use rayon::prelude::*;
use std::collections::BTreeSet;
use tal_core::error::Error;
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::ty::FnId;
use tal_core::wire;
use tal_write::Label;

/// A program that the judge accepted, with its annotations.
#[derive(Debug)]
pub struct Checked {
    /// What it was lowered to.
    pub lowered: Lowered,
    /// The states found for its labels, in address order. All checks but [`check`] say nothing of
    /// them.
    pub labels: Vec<Label>,
    /// What is written of them, by [`check`].
    pub records: Records,
    /// The `.tal` section: types, states, and the answers that convinced the judge.
    pub section: Vec<u8>,
    /// What it cost to find the states, as [`crate::explore::Explored::work`].
    pub work: u64,
}

impl Checked {
    /// A program with what is written of it, also as a section.
    pub(crate) fn of(lowered: Lowered, whole: Piece, section: Vec<u8>, work: u64) -> Checked {
        Checked { lowered, labels: whole.labels, records: whole.records, section, work }
    }
}

/// Judges a lowered program with answers by search. Each function has the states of those labels
/// only that need one, if that goes without more: most often it does.
///
/// # Errors
/// Every reason found, in address order, with the program for the report.
pub fn check(lowered: Lowered) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    check_with(lowered, true, true)
}

/// The same for who wants no more than what is written: states are not kept.
///
/// # Errors
/// As [`check`].
pub fn check_for_output(lowered: Lowered) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    check_with(lowered, false, true)
}

/// The same for who has the bytes judged that are made of it, as tal-asm does before it writes any:
/// they are not judged here.
///
/// # Errors
/// As [`check`].
pub fn check_unjudged(lowered: Lowered) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    check_with(lowered, false, false)
}

/// The same for who checks again and again: functions that are as they were are not searched.
///
/// # Errors
/// As [`check`].
pub fn check_again(
    mut lowered: Lowered,
    kept: &mut Kept,
) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    kept.begin();
    let keys = kept::keys(&lowered);
    let ids = lowered.ids();
    let known = |(id, function)| {
        let piece = keys.get(&id).and_then(|key| kept.get(key, function));
        piece.map(|piece| (id, piece))
    };
    let mut pieces: Vec<(FnId, Piece)> = lowered.some(&ids).filter_map(known).collect();
    let reused = !pieces.is_empty();
    let is_known = |id: &FnId| pieces.binary_search_by_key(id, |(known, _)| *known).is_ok();
    let others: Vec<FnId> = ids.iter().filter(|id| !is_known(id)).copied().collect();
    // A piece for each.
    let how = How { together: 1, states: false };
    let mut found = AtJoins::default();
    let searched = search(&mut lowered, &others, how, &mut found);
    for (id, piece) in &found.pieces {
        if let (Some(key), Some(function)) = (keys.get(id), lowered.functions.get(id.0 as usize)) {
            kept.put(*key, function, piece);
        }
    }
    if let Err(refusals) = searched {
        return Err((Box::new(lowered), refusals));
    }
    pieces.extend(found.pieces);
    let whole = in_order(pieces);
    let section = whole.section(&lowered);
    match verify(&lowered, &section) {
        Ok(()) => Ok(Checked::of(lowered, whole, section, found.work)),
        // What was kept does not fit, or nothing does.
        Err(_) if reused => {
            kept.clear();
            check_for_output(lowered)
        }
        Err(error) => Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))])),
    }
}

/// `states`: are they kept? `judged`: is what was made judged here?
fn check_with(
    mut lowered: Lowered,
    states: bool,
    judged: bool,
) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    let ids = lowered.ids();
    let mut found = AtJoins::default();
    let how = How { together: TOGETHER, states };
    if let Err(refusals) = search(&mut lowered, &ids, how, &mut found) {
        return Err((Box::new(lowered), refusals));
    }
    let whole = in_order(found.pieces);
    if !states {
        // Bytes are what follows is made of.
        lowered.code = Vec::new();
    }
    let section = whole.section(&lowered);
    if judged && let Err(error) = verify(&lowered, &section) {
        return Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))]));
    }
    Ok(Checked::of(lowered, whole, section, found.work))
}

/// All pieces in one. Each comes with the first function that it is of.
fn in_order(mut pieces: Vec<(FnId, Piece)>) -> Piece {
    pieces.sort_by_key(|(first, _)| *first);
    Piece::joined(pieces.into_iter().map(|(_, piece)| piece))
}

/// How functions are searched.
#[derive(Clone, Copy)]
struct How {
    /// So many by one judge, in one piece if that goes.
    together: usize,
    /// Are states kept?
    states: bool,
}

/// Finds what is written of these functions.
///
/// # Errors
/// Every reason why that of some was not found; the others are.
fn search(
    lowered: &mut Lowered,
    ids: &[FnId],
    how: How,
    found: &mut AtJoins,
) -> Result<(), Vec<Refusal>> {
    // What is wrong with what is declared is not looked for in functions.
    declared(lowered).map_err(|error| vec![Refusal::Judge(Box::new(error))])?;
    *found = at_joins(lowered, ids, &EFFORTS, how);
    if let Err(refusals) = at_every_label(lowered, found) {
        // No state helps where nothing leads.
        let hard: Vec<FnId> = refused(&refusals).into_iter().collect();
        let only_states = refusals.iter().all(|r| matches!(r, Refusal::Trouble(..)));
        let more = match only_states {
            true => at_joins(lowered, &hard, &WITH_GOALS, how),
            false => return Err(refusals),
        };
        if !more.refused.is_empty() {
            return Err(refusals);
        }
        found.refused.retain(|id| !hard.contains(id));
        found.pieces.extend(more.pieces);
        found.work += more.work;
        at_every_label(lowered, found)?;
    }
    Ok(())
}

/// Judges the program with its annotations, as who loads it does.
fn verify(lowered: &Lowered, section: &[u8]) -> Result<(), Error> {
    let interface = &lowered.host.interface;
    let (text, segments) = (&lowered.text, lowered.segments());
    let (image, stream) = wire::decode(text, lowered.text_address, &segments, section, interface)?;
    Judge::new(&image, interface, stream, u64::MAX).verify()
}

/// Finds what is written of the functions that are left with a state at every label.
///
/// # Errors
/// What is missing.
fn at_every_label(lowered: &mut Lowered, found: &mut AtJoins) -> Result<(), Vec<Refusal>> {
    if found.refused.is_empty() {
        return Ok(());
    }
    let (labels, busy) = find_labels_with_ghosts(lowered, &found.refused, &mut found.work)?;
    let mut pieces = Vec::with_capacity(found.refused.len());
    for (id, function) in lowered.some(&found.refused) {
        let range = function.offset..function.end();
        let own = labels.iter().filter(|label| range.contains(&label.offset));
        let own: Vec<Label> = own.cloned().collect();
        let piece = annotate::annotate(lowered, id, &own, Some(&busy));
        pieces.push((id, piece.map_err(|error| vec![Refusal::Judge(Box::new(error))])?));
    }
    found.pieces.extend(pieces);
    found.refused.clear();
    Ok(())
}

/// Is what is declared well formed?
fn declared(lowered: &Lowered) -> Result<(), Error> {
    // Tables lead to labels.
    let labels = unknown(&sites(lowered, &lowered.ids(), &BTreeSet::new()));
    tables(lowered, &lowered.image(&labels))
}

/// Are types, signatures and data of the image well formed?
pub(crate) fn tables(lowered: &Lowered, image: &Image<'_>) -> Result<(), Error> {
    let interface = &lowered.host.interface;
    Judge::new(image, interface, finder(lowered, image, &[]), u64::MAX).tables()
}

/// What became of functions with states at those labels only that need one.
#[derive(Default)]
struct AtJoins {
    /// What is written of them, each with the first function that it is of.
    pieces: Vec<(FnId, Piece)>,
    /// Those of which it was not found.
    refused: Vec<FnId>,
    /// What it cost, as [`Checked::work`].
    work: u64,
}

/// These functions, by the first of these efforts that finds what the judge takes.
fn at_joins(lowered: &Lowered, functions: &[FnId], efforts: &[Effort], how: How) -> AtJoins {
    let mut sites = sites(lowered, functions, &BTreeSet::new());
    let all = unknown(&sites);
    let image = lowered.image(&all);
    let part = Part { lowered, image: &image, functions };
    let labels = joins::joins(part, &all);
    sites.retain(|(_, site)| labels.binary_search_by_key(&site.offset, |l| l.offset).is_ok());
    for (i, (_, site)) in (0..).zip(&mut sites) {
        site.index = i;
    }
    let image = lowered.image(&labels);
    let task = Task { lowered, image: &image, sites: &sites, unknown: &labels };
    let found = functions.par_chunks(how.together).map(|some| {
        let mut few = few(&task, some, efforts);
        if !how.states {
            few.pieces.iter_mut().for_each(|(_, piece)| piece.forget_states());
        }
        few
    });
    let found: Vec<_> = found.collect();
    let mut together = AtJoins::default();
    for AtJoins { pieces, refused, work } in found {
        together.pieces.extend(pieces);
        together.refused.extend(refused);
        together.work += work;
    }
    together
}

/// A few of them: all in one piece, or one by one.
fn few(task: &Task<'_>, functions: &[FnId], efforts: &[Effort]) -> AtJoins {
    let lowered = task.lowered;
    let mut parts = task.explore(functions, efforts);
    let work = parts.iter().map(|part| part.work).sum();
    let mut few = AtJoins { work, ..AtJoins::default() };
    if let (Some(first), true) = (functions.first(), parts.iter().all(|p| p.refusals.is_empty())) {
        let labels: Vec<Label> = parts.iter().flat_map(|part| &part.labels).cloned().collect();
        let mut busy = Busy::default();
        parts.iter().for_each(|part| busy.extend(part.busy.clone()));
        let part = Part { lowered, image: task.image, functions };
        if let Ok(piece) = annotate::at_once(part, &labels, &busy) {
            few.pieces.push((*first, piece));
            return few;
        }
    }
    for (id, part) in functions.iter().zip(&mut parts) {
        let mut found = None;
        for least in 0..efforts.len() {
            // What was found may be too little for the judge.
            if least > 0
                && let Some(more) = task.explore(&[*id], &efforts[least..]).pop()
            {
                few.work += more.work;
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
            Some(piece) => few.pieces.push((*id, piece)),
            None => few.refused.push(*id),
        }
    }
    few
}
