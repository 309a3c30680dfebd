//! Not trusted: a bug here can reject, never admit. The states of labels, function by function.
//!
//! Functions know of each other by their signatures only. So each core takes some of them, and what
//! is found of one does not depend on what becomes of another.

use crate::cuts;
use crate::flow::dead::dead;
use crate::infer::{EFFORTS, Effort, Inferred, LabelSite, infer};
use crate::lowered::{FnInfo, Lowered, Written};
use crate::part::finder_of;
use crate::plan::Busy;
use crate::refusal::{Refusal, refused};
use crate::renorm;
use crate::simplex;
use iced_x86::{Mnemonic, OpKind};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::counted::Rc;
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::ty::{FnId, Kind, Word};
use tal_write::{Label, LabelState};

/// What inference found, whole or not.
#[derive(Debug, Default)]
pub struct Explored {
    /// The labels; where nothing was found, with a state in which nothing is known.
    pub labels: Vec<Label>,
    /// Was the state of the label found?
    pub found: Vec<bool>,
    /// What is missing, by function.
    pub refusals: Vec<Refusal>,
    /// What it cost, in units that are the same on every machine: the judge's fuel and the prover's
    /// additions.
    pub work: u64,
    /// Where ghosts were planned.
    pub(crate) busy: Busy,
}

/// Labels with their states, and where ghosts were needed to find these.
pub(crate) type Found = (Vec<Label>, Busy);

/// The states of all labels of these functions; where none were found, once more with ghosts of our
/// own, which stay only if all of the function's states are found by that.
///
/// # Errors
/// What is missing, by function.
pub(crate) fn find_labels_with_ghosts(
    lowered: &mut Lowered,
    functions: &[FnId],
    work: &mut u64,
) -> Result<Found, Vec<Refusal>> {
    let found = find(lowered, functions, work);
    let Err(refusals) = &found else { return found };
    let refused = refused(refusals);
    renorm::add(lowered, &refused);
    let again = find(lowered, functions, work);
    let Err(refusals) = &again else { return again };
    let still = crate::refusal::refused(refusals);
    renorm::remove(lowered, &still);
    if still == refused { found } else { find(lowered, functions, work) }
}

/// The states of all labels.
///
/// # Errors
/// What is missing, by function.
pub fn find_labels(lowered: &Lowered) -> Result<Vec<Label>, Vec<Refusal>> {
    find(lowered, &lowered.ids(), &mut 0).map(|(labels, _)| labels)
}

fn find(lowered: &Lowered, functions: &[FnId], work: &mut u64) -> Result<Found, Vec<Refusal>> {
    let Explored { labels, refusals, busy, work: cost, .. } = explore_all(lowered, functions);
    *work += cost;
    if refusals.is_empty() { Ok((labels, busy.with_edges())) } else { Err(refusals) }
}

/// Infers the states of all labels, as far as that goes. Blocks that are too long for the judge get
/// labels without names, if that helps.
#[must_use]
pub fn explore(lowered: &Lowered) -> Explored {
    explore_all(lowered, &lowered.ids())
}

/// The same for these functions.
fn explore_all(lowered: &Lowered, functions: &[FnId]) -> Explored {
    let plain = explore_with(lowered, functions, &BTreeSet::new());
    if !cuts::too_long(&plain.refusals) {
        return plain;
    }
    let mut work = plain.work;
    let mut all = cuts::cuts(lowered, &plain.labels, &plain.refusals);
    for _ in 0..cuts::ROUNDS {
        let cut = explore_with(lowered, functions, &all);
        work += cut.work;
        if !cuts::too_long(&cut.refusals) {
            return Explored { work, ..cut };
        }
        all.extend(cuts::cuts(lowered, &cut.labels, &cut.refusals));
    }
    Explored { work, ..plain }
}

/// The same with labels of our own at these offsets.
fn explore_with(lowered: &Lowered, functions: &[FnId], cuts: &BTreeSet<u32>) -> Explored {
    let sites = sites(lowered, functions, cuts);
    let unknown = unknown(&sites);
    let image = lowered.image(&unknown);
    let task = Task { lowered, image: &image, sites: &sites, unknown: &unknown };
    let parts: Vec<Vec<Explored>> =
        functions.par_chunks(TOGETHER).map(|some| task.explore(some, &EFFORTS[LAST..])).collect();
    let mut all = Explored::default();
    for part in parts.into_iter().flatten() {
        all.labels.extend(part.labels);
        all.found.extend(part.found);
        all.refusals.extend(part.refusals);
        all.busy.extend(part.busy);
        all.work += part.work;
    }
    all
}

/// The effort that finds most.
const LAST: usize = EFFORTS.len() - 1;

/// These labels, of which nothing is known.
pub(crate) fn unknown(sites: &[(FnId, LabelSite)]) -> Vec<Label> {
    let state = Rc::new(nothing());
    let label = |site: &LabelSite| Label { offset: site.offset, state: Rc::clone(&state) };
    sites.iter().map(|(_, site)| label(site)).collect()
}

/// Work is shared by all cores, this thread's among them: what it had to itself before is used
/// again then. For the start of a command; to no effect where threads were asked for before.
pub fn share_work() {
    let threads = rayon::ThreadPoolBuilder::new().use_current_thread();
    // One core does it all, too.
    let _ = threads.build_global();
}

/// How many functions one judge explores: few enough that all cores have some, and the same
/// whatever their number is.
pub(crate) const TOGETHER: usize = 16;

/// Labels that are sought; where else control leads, a single way does.
pub(crate) struct Task<'a> {
    pub(crate) lowered: &'a Lowered,
    /// With these labels.
    pub(crate) image: &'a Image<'a>,
    pub(crate) sites: &'a [(FnId, LabelSite)],
    pub(crate) unknown: &'a [Label],
}

impl Task<'_> {
    /// The states of these functions, each by the first of these efforts that finds them.
    pub(crate) fn explore(&self, functions: &[FnId], efforts: &[Effort]) -> Vec<Explored> {
        let interface = &self.lowered.host.interface;
        let finder = finder_of(self.lowered, self.image, self.unknown, functions);
        let mut judge = Judge::new(self.image, interface, finder, u64::MAX);
        let mut parts = Vec::with_capacity(functions.len());
        for (id, function) in self.lowered.some(functions) {
            let mut part = Explored::default();
            let spent = |fuel: u64| u64::MAX - fuel + simplex::work();
            let before = spent(judge.fuel);
            let start = self.sites.partition_point(|(f, _)| *f < id);
            let end = self.sites.partition_point(|(f, _)| *f <= id);
            let sites = &self.sites[start..end];
            let labels: Vec<LabelSite> = sites.iter().map(|(_, s)| s.clone()).collect();
            let range = (function.offset, function.offset + function.size);
            let thresholds = thresholds(self.lowered, function);
            let mut inferred = Inferred::default();
            for effort in efforts {
                inferred = infer(&mut judge, id, range, &labels, &thresholds, *effort);
                if inferred.troubles.is_empty() {
                    break;
                }
            }
            let Inferred { labels: mut states, troubles } = inferred;
            let dead = dead(self.lowered, self.image, interface, function);
            let refusals = &mut part.refusals;
            refusals.extend(dead.runs.iter().map(|run| Refusal::Dead(id, run.start, run.end)));
            if troubles.is_empty() {
                let missing = labels.iter().filter(|l| !states.contains_key(&l.index));
                let missing = missing.filter(|l| !dead.instructions.contains(&l.offset));
                refusals.extend(missing.map(|l| Refusal::Unreached(id, l.offset)));
            }
            refusals.extend(troubles.into_iter().map(|t| Refusal::Trouble(id, t)));
            for site in &labels {
                let state = states.remove(&site.index);
                part.found.push(state.is_some());
                let state = state.unwrap_or_else(nothing).into();
                part.labels.push(Label { offset: site.offset, state });
            }
            part.work = spent(judge.fuel) - before;
            part.busy = std::mem::take(&mut judge.hints.planned);
            parts.push(part);
        }
        parts
    }
}

/// The labels of these functions that control reaches other than by running on, with those whose
/// state is written and those of our own.
pub(crate) fn sites(
    lowered: &Lowered,
    functions: &[FnId],
    cuts: &BTreeSet<u32>,
) -> Vec<(FnId, LabelSite)> {
    let mut sites = Vec::new();
    for (id, function) in lowered.some(functions) {
        let range = function.offset..function.end();
        let own = cuts.range(range.clone()).map(|offset| (*offset, None));
        let mut places: BTreeMap<u32, Option<Box<Written>>> = own.collect();
        for label in &function.labels {
            if (label.target || label.state.is_some()) && range.contains(&label.offset) {
                places.insert(label.offset, label.state.clone().map(Box::new));
            }
        }
        for (offset, written) in places {
            let index = u32::try_from(sites.len()).unwrap_or(u32::MAX);
            sites.push((id, LabelSite { index, offset, written }));
        }
    }
    sites
}

/// The state of a label of which nothing is known.
pub(crate) fn nothing() -> LabelState {
    LabelState {
        vars: Vec::new(),
        refinements: Vec::new(),
        facts: Vec::new(),
        regs: [const { Word::Junk }; 16],
        delta: 0,
        touched: 0,
        slots: Vec::new(),
        lent: Vec::new(),
        views: Vec::new(),
        caps: Vec::new(),
    }
}

/// Constants that the function compares with or that are written in its types and states, and their
/// neighbours: where bounds tend to lie.
fn thresholds(lowered: &Lowered, function: &FnInfo) -> Vec<i128> {
    let mut thresholds = written_constants(lowered, function);
    let code = lowered.instructions(function.offset, function.end());
    for instruction in code.filter(|instruction| instruction.mnemonic() == Mnemonic::Cmp) {
        for operand in 0..instruction.op_count() {
            let value = match instruction.op_kind(operand) {
                OpKind::Immediate8 => i128::from(instruction.immediate8()),
                OpKind::Immediate8to16 => i128::from(instruction.immediate8to16()),
                OpKind::Immediate8to32 => i128::from(instruction.immediate8to32()),
                OpKind::Immediate8to64 => i128::from(instruction.immediate8to64()),
                OpKind::Immediate16 => i128::from(instruction.immediate16()),
                OpKind::Immediate32 => i128::from(instruction.immediate32()),
                OpKind::Immediate32to64 => i128::from(instruction.immediate32to64()),
                OpKind::Immediate64 => i128::from(instruction.immediate64()),
                _ => continue,
            };
            thresholds.extend(near(value));
        }
    }
    thresholds.sort_unstable();
    thresholds.dedup();
    thresholds
}

/// A bound, what it is as the bound of the negation, and one off.
fn near(value: i128) -> Vec<i128> {
    if value.abs() <= 1 {
        return vec![-1, 0, 1];
    }
    vec![value - 1, value, value + 1, -value - 1, -value, -value + 1]
}

/// Constants of the facts of the signature and of the written states.
fn written_constants(lowered: &Lowered, function: &FnInfo) -> Vec<i128> {
    let sig = lowered.sigs.get(function.sig as usize);
    let post = sig.and_then(|s| s.post.as_ref());
    let (facts, later) = (sig.map(|s| &s.pre.facts), post.map(|p| &p.state.facts));
    let declared = facts.into_iter().chain(later).flatten();
    let kinds = sig.map(|s| &s.vars).into_iter().chain(post.map(|p| &p.vars)).flatten();
    let bounds = kinds.filter_map(Kind::bounds).flat_map(|b| [b.low(), b.high()]).flatten();
    let states = function.labels.iter().filter_map(|l| l.state.as_ref());
    let written = states.flat_map(|w| w.facts.iter().map(|(fact, _)| fact));
    let constants = declared.chain(written).map(|fact| fact.term.constant());
    constants.chain(bounds).flat_map(near).collect()
}
