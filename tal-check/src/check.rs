//! Not trusted: a bug here can reject, never admit. From a file to a judged, annotated program.

use crate::cuts;
use crate::dead::dead;
use crate::find::{Busy, Finder};
use crate::infer::{EFFORTS, Effort, Inferred, LabelSite, Trouble, infer};
use crate::joins;
use crate::lowered::{FnInfo, Lowered, Written};
use crate::needed::{Ghosts, Needed, Ready, Records, needed_on};
use crate::scopes::{self, Plan};
use crate::simplex;
use crate::wraps;
use iced_x86::{Mnemonic, OpKind};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::error::Error;
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::ty::{FnId, Kind, Word};
use tal_write::{Label, LabelState};
use tal_write::{Recorder, encode};

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
    /// What it cost to find the states, as [`Explored::work`].
    pub work: u64,
}

/// Labels, what is written of them, and the section.
type Annotated = (Vec<Label>, Records, Vec<u8>);

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

/// Judges a lowered program with answers by search.
///
/// # Errors
/// Every reason found, in address order, with the program for the report.
pub fn check(mut lowered: Lowered) -> Result<Checked, (Box<Lowered>, Vec<Refusal>)> {
    let mut work = 0;
    let refused = match at_joins(&lowered, &mut work) {
        Ok((labels, records, section)) => {
            return Ok(Checked { lowered, labels, records, section, work });
        }
        Err(refused) => refused,
    };
    let (labels, busy) = match find_labels_with_ghosts(&mut lowered, &mut work) {
        Ok(found) => found,
        Err(refusals) => return Err((Box::new(lowered), but_found(refusals, &refused))),
    };
    match annotate(&lowered, &labels, Some(&busy)) {
        Ok((labels, records, section)) => Ok(Checked { lowered, labels, records, section, work }),
        Err(error) => Err((Box::new(lowered), vec![Refusal::Judge(Box::new(error))])),
    }
}

/// The refusals without those of functions whose states were found at joins: these are not what is
/// wrong with the program.
fn but_found(refusals: Vec<Refusal>, refused: &BTreeSet<FnId>) -> Vec<Refusal> {
    let kept = |refusal: &Refusal| function(refusal).is_none_or(|id| refused.contains(&id));
    if !refusals.iter().any(|refusal| function(refusal).is_some() && kept(refusal)) {
        return refusals;
    }
    refusals.into_iter().filter(kept).collect()
}

/// The states of those labels only that need one, and the section, if that goes without more: most
/// often it does. Else the functions of which no states were found; none if the judge refuses.
fn at_joins(lowered: &Lowered, work: &mut u64) -> Result<Annotated, BTreeSet<FnId>> {
    let sites = sites(lowered, &BTreeSet::new());
    let labels = joins::joins(lowered, &unknown(&sites), &BTreeSet::new());
    let kept = |offset: u32| labels.binary_search_by_key(&offset, |l| l.offset).is_ok();
    let mut sites: Vec<_> = sites.into_iter().filter(|(_, site)| kept(site.offset)).collect();
    for (i, (_, site)) in (0..).zip(&mut sites) {
        site.index = i;
    }
    for least in 0..EFFORTS.len() {
        let explored = explore_at(lowered, &sites, &EFFORTS[least..]);
        let Explored { labels, refusals, busy, work: cost, .. } = explored;
        *work += cost;
        // All efforts were made.
        if !refusals.is_empty() {
            return Err(functions(&refusals));
        }
        // What was found may be too little for the judge.
        if let Ok(found) = annotate(lowered, &labels, Some(&busy.with_edges())) {
            return Ok(found);
        }
    }
    Err(BTreeSet::new())
}

/// How often labels are given back, or taken off their scopes.
const ROUNDS: usize = 8;

/// The labels that need a state, with the facts that are needed, and the section. A function that
/// the judge refuses without some of its labels gets all of them; one that it refuses with labels
/// on scopes has them on the root. `busy`: where the states were found with ghosts, and only there.
fn annotate(
    lowered: &Lowered,
    labels: &[Label],
    mut busy: Option<&Busy>,
) -> Result<Annotated, Error> {
    let (mut flat, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        let joins = joins::joins(lowered, labels, &whole);
        let (error, given) = match scopes::plan(lowered, &joins, &flat, busy) {
            Err(_) if busy.take().is_some() => continue,
            Err(error) if joins.len() == labels.len() => return Err(error),
            Err(error) => (error, &mut whole),
            Ok(plan) => match annotated(lowered, &joins, &plan) {
                Ok(found) => return Ok(found),
                Err(_) if busy.take().is_some() => continue,
                Err(error) => (error, &mut flat),
            },
        };
        let function = error.site.and_then(|site| lowered.function_at(site)).map(|(id, _)| id);
        if !function.is_some_and(|function| given.insert(function)) {
            break;
        }
    }
    annotated(lowered, labels, &Plan::default())
}

/// The same, with these labels on these scopes.
fn annotated(lowered: &Lowered, labels: &[Label], plan: &Plan) -> Result<Annotated, Error> {
    written(lowered, labels, plan, needed_on(lowered, labels, plan)?)
}

/// The same, when it is known what is needed.
fn written(
    lowered: &Lowered,
    labels: &[Label],
    plan: &Plan,
    Needed { labels: kept, records, ghosts }: Needed,
) -> Result<Annotated, Error> {
    // The search may miss with less before it what it found with more; then all is written.
    match record(lowered, labels, plan, Some((records, ghosts))) {
        Ok((records, section)) => Ok((kept, records, section)),
        Err(_) => {
            let (records, section) = record(lowered, labels, plan, None)?;
            Ok((labels.to_vec(), records, section))
        }
    }
}

/// The finder with what the source says.
#[must_use]
pub fn finder<'a>(lowered: &'a Lowered, image: &'a Image<'a>, labels: &'a [Label]) -> Finder<'a> {
    finder_of(lowered, image, labels, lowered.functions.iter())
}

/// The finder with what the source says in these functions.
fn finder_of<'a>(
    lowered: &'a Lowered,
    image: &'a Image<'a>,
    labels: &'a [Label],
    functions: impl Iterator<Item = &'a FnInfo>,
) -> Finder<'a> {
    let mut finder = Finder::new(image, &lowered.host.interface, labels);
    for function in functions {
        for ghost in &function.ghosts {
            finder.written.entry(ghost.offset).or_default().push(ghost.clone());
        }
        finder.layouts.extend(function.layouts.iter().map(|(at, id)| (*at, *id)));
    }
    finder
}

/// One judging of the whole image, its answers written down. What is known is not searched for.
fn record(
    lowered: &Lowered,
    labels: &[Label],
    plan: &Plan,
    known: Option<(Records, Ghosts)>,
) -> Result<(Records, Vec<u8>), Error> {
    let interface = &lowered.host.interface;
    let image = lowered.image(labels);
    let mut finder = finder(lowered, &image, labels);
    finder.scopes = Some(plan);
    let mut judge =
        Judge::new(&image, interface, Recorder::new(Ready::new(finder, known)), u64::MAX);
    judge.verify()?;
    let section = encode(&image, interface, &judge.hints.recorded);
    Ok((judge.hints.inner.records(), section))
}

/// The states of all labels; where none were found, once more with ghosts of our own, which stay
/// only if all of the function's states are found by that.
fn find_labels_with_ghosts(lowered: &mut Lowered, work: &mut u64) -> Result<Found, Vec<Refusal>> {
    let found = find(lowered, work);
    let Err(refusals) = &found else { return found };
    let refused = functions(refusals);
    wraps::add(lowered, &refused);
    let again = find(lowered, work);
    let Err(refusals) = &again else { return again };
    let still = functions(refusals);
    wraps::remove(lowered, &still);
    if still == refused { found } else { find(lowered, work) }
}

/// The functions that were refused.
pub(crate) fn functions(refusals: &[Refusal]) -> BTreeSet<FnId> {
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

/// The states of all labels.
///
/// # Errors
/// What is missing, by function.
pub fn find_labels(lowered: &Lowered) -> Result<Vec<Label>, Vec<Refusal>> {
    find(lowered, &mut 0).map(|(labels, _)| labels)
}

/// Labels with their states, and where ghosts were needed to find these.
type Found = (Vec<Label>, Busy);

fn find(lowered: &Lowered, work: &mut u64) -> Result<Found, Vec<Refusal>> {
    let Explored { labels, refusals, busy, work: cost, .. } = explore(lowered);
    *work += cost;
    if refusals.is_empty() { Ok((labels, busy.with_edges())) } else { Err(refusals) }
}

/// What inference found, whole or not.
#[derive(Debug)]
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
    busy: Busy,
}

/// Infers the states of all labels, as far as that goes. Blocks that are too long for the judge get
/// labels without names, if that helps.
#[must_use]
pub fn explore(lowered: &Lowered) -> Explored {
    let plain = explore_with(lowered, &BTreeSet::new());
    if !cuts::too_long(&plain.refusals) {
        return plain;
    }
    let mut work = plain.work;
    let mut all = cuts::cuts(lowered, &plain.labels, &plain.refusals);
    for _ in 0..cuts::ROUNDS {
        let cut = explore_with(lowered, &all);
        work += cut.work;
        if !cuts::too_long(&cut.refusals) {
            return Explored { work, ..cut };
        }
        all.extend(cuts::cuts(lowered, &cut.labels, &cut.refusals));
    }
    Explored { work, ..plain }
}

/// The same with labels of our own at these offsets.
fn explore_with(lowered: &Lowered, cuts: &BTreeSet<u32>) -> Explored {
    explore_at(lowered, &sites(lowered, cuts), &EFFORTS[EFFORTS.len() - 1..])
}

/// These labels, of which nothing is known.
fn unknown(sites: &[(FnId, LabelSite)]) -> Vec<Label> {
    let label = |site: &LabelSite| Label { offset: site.offset, state: nothing().into() };
    sites.iter().map(|(_, site)| label(site)).collect()
}

/// How many functions one judge explores: few enough that all cores have some, and the same
/// whatever their number is.
const TOGETHER: usize = 16;

/// The same for these labels; where else control leads, a single way does. Functions know of each
/// other by their signatures only, so each core takes some of them.
fn explore_at(lowered: &Lowered, sites: &[(FnId, LabelSite)], efforts: &[Effort]) -> Explored {
    let unknown = unknown(sites);
    let image = lowered.image(&unknown);
    let firsts: Vec<usize> = (0..lowered.functions.len()).step_by(TOGETHER).collect();
    let explored: Vec<Part> = firsts
        .into_par_iter()
        .map(|first| explore_some(lowered, &image, &unknown, (sites, efforts), first))
        .collect();
    let mut all = Part::default();
    for part in explored {
        all.states.extend(part.states);
        all.refusals.extend(part.refusals);
        all.busy.extend(part.busy);
        all.work += part.work;
    }
    let Part { mut states, refusals, busy, work } = all;
    let found = sites.iter().map(|(_, site)| states.contains_key(&site.index)).collect();
    let label = |(_, site): &(FnId, LabelSite)| {
        let state = states.remove(&site.index).unwrap_or_else(nothing);
        Label { offset: site.offset, state: state.into() }
    };
    let labels = sites.iter().map(label).collect();
    Explored { labels, found, refusals, work, busy }
}

/// What was found of some functions.
#[derive(Default)]
struct Part {
    states: BTreeMap<u32, LabelState>,
    refusals: Vec<Refusal>,
    busy: Busy,
    work: u64,
}

/// The functions from this one on.
fn explore_some(
    lowered: &Lowered,
    image: &Image<'_>,
    unknown: &[Label],
    (sites, efforts): (&[(FnId, LabelSite)], &[Effort]),
    first: usize,
) -> Part {
    let interface = &lowered.host.interface;
    let functions = lowered.functions.iter().enumerate().skip(first).take(TOGETHER);
    let some = functions.clone().map(|(_, function)| function);
    let finder = finder_of(lowered, image, unknown, some);
    let mut judge = Judge::new(image, interface, finder, u64::MAX);
    let mut part = Part::default();
    let before = simplex::work();
    for (i, function) in functions {
        let Ok(id) = u32::try_from(i).map(FnId) else { break };
        let start = sites.partition_point(|(f, _)| *f < id);
        let end = sites.partition_point(|(f, _)| *f <= id);
        let labels: Vec<LabelSite> = sites[start..end].iter().map(|(_, s)| s.clone()).collect();
        let range = (function.offset, function.offset + function.size);
        let thresholds = thresholds(lowered, function);
        let mut inferred = Inferred::default();
        for effort in efforts {
            inferred = infer(&mut judge, id, range, &labels, &thresholds, *effort);
            if inferred.troubles.is_empty() {
                break;
            }
        }
        let Inferred { labels: found, troubles } = inferred;
        let refusals = &mut part.refusals;
        let dead = dead(lowered, image, interface, function);
        refusals.extend(dead.runs.iter().map(|run| Refusal::Dead(id, run.start, run.end)));
        if troubles.is_empty() {
            let missing = labels.iter().filter(|l| !found.contains_key(&l.index));
            let missing = missing.filter(|l| !dead.instructions.contains(&l.offset));
            refusals.extend(missing.map(|l| Refusal::Unreached(id, l.offset)));
        }
        refusals.extend(troubles.into_iter().map(|t| Refusal::Trouble(id, t)));
        part.states.extend(found);
    }
    part.work = u64::MAX - judge.fuel + (simplex::work() - before);
    part.busy = judge.hints.planned;
    part
}

/// The labels that control reaches other than by running on, with those whose state is written and
/// those of our own.
fn sites(lowered: &Lowered, cuts: &BTreeSet<u32>) -> Vec<(FnId, LabelSite)> {
    let mut sites = Vec::new();
    for (i, function) in lowered.functions.iter().enumerate() {
        let range = function.offset..function.end();
        let own = cuts.range(range.clone()).map(|offset| (*offset, None));
        let mut places: BTreeMap<u32, Option<Written>> = own.collect();
        for label in &function.labels {
            if (label.target || label.state.is_some()) && range.contains(&label.offset) {
                places.insert(label.offset, label.state.clone());
            }
        }
        for (offset, written) in places {
            let index = u32::try_from(sites.len()).unwrap_or(u32::MAX);
            let id = FnId(u32::try_from(i).unwrap_or(u32::MAX));
            sites.push((id, LabelSite { index, offset, written }));
        }
    }
    sites
}

fn nothing() -> LabelState {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::lower;
    use std::path::Path;
    use tal_core::ty::Record;

    /// A mistake about what is needed costs bytes, not the verdict.
    #[test]
    fn all_is_written_where_less_is_not_accepted() {
        let text = "fn f(rdi = a: &[n]u64, rsi = n) -> (rax)\n{\n xor eax, eax\n xor ecx, ecx\n \
                    jmp .test\n.next: add rax, [rdi + rcx*8]\n inc rcx\n.test: cmp rcx, rsi\n \
                    jb .next\n ret\n}\n";
        let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
        let lowered = lower(Path::new("test.tal"), &files).unwrap().lowered.unwrap();
        let labels = find_labels(&lowered).unwrap();
        let plan = scopes::plan(&lowered, &labels, &BTreeSet::new(), None).unwrap();
        let found = needed_on(&lowered, &labels, &plan).unwrap();
        let nothing = |(parent, record): &(u32, Record)| {
            (*parent, Record { vars: record.vars.clone(), ..Record::default() })
        };
        let nothing = found.records.iter().map(|(at, r)| (*at, nothing(r))).collect();
        let (kept, _, section) = written(&lowered, &labels, &plan, found).unwrap();
        assert_ne!(kept, labels);
        let wrong = Needed { labels: kept, records: nothing, ghosts: Ghosts::new() };
        let (all, _, longer) = written(&lowered, &labels, &plan, wrong).unwrap();
        assert_eq!(all, labels);
        assert!(longer.len() > section.len());
    }
}
