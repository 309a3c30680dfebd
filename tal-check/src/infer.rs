//! Not trusted: a bug here can reject, never admit. The state of every label, found.
//!
//! Abstract interpretation (Cousot, Cousot 1977) with the judge's own rules as transfer functions:
//! each block is run by [`Judge::exec`] from the state that its label has so far; where an edge
//! reaches a label, the states are joined ([`zip`]) with the facts that both satisfy ([`facts`]),
//! until nothing changes. What results is only a proposal: the judge checks it like anything else.

mod domain;
mod form;
mod goals;
mod join;
mod settle;
mod written;

use crate::find::ghosts::{Fit, Unfit};
use crate::flow::loops::Turns;
use crate::flow::tables::table_labels;
use crate::flow::{self, Flow as Paths};
use crate::lowered::Written;
use crate::prove::{Known, facts_of, settle};
use domain::{Offered, Sides, choose, cover, strongest};
use form::{Alone, Form, Mismatch, Outcome, Unmatched};
use goals::Goals;
pub use settle::Settle;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::decode::Cc;
use tal_core::driver::{Flow, Target};
use tal_core::error::Error;
use tal_core::hint::{Ghost, Hints, Place, Start, Through};
use tal_core::judge::Judge;
use tal_core::state::{FlagKind, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Cap, Entry, Fact, FnId, Guard, Kind, NameSet, Reg, Rel, Sig, Word};
use tal_write::{LabelState, state_at};
use written::Seed;

/// How often one way may change the state of the label that it leads to before the search gives up.
const MAX_CHANGES: u32 = 120;
/// Runs of blocks of one function before the search gives up on it: so many, and so many for each
/// label. Loops in loops are run anew each time that the state of an outer one takes another form.
const MAX_RUNS: (usize, usize) = (2000, 60);

/// Changes of shape tried to make two states agree.
const RESHAPES: usize = 8;

/// A label of the function to be inferred.
#[derive(Clone, Debug)]
pub struct LabelSite {
    /// Index in the image's labels.
    pub index: u32,
    /// Text offset.
    pub offset: u32,
    /// What the programmer wrote of it.
    pub written: Option<Box<Written>>,
}

/// Why no state was found.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// A block could not be run to its end from the state that its start had.
    Block {
        /// Start of the block.
        start: Start,
        /// What the judge said.
        error: Box<Error>,
    },
    /// Two ways into a label do not agree on what is owned, or on the stack.
    Join {
        /// The label.
        label: u32,
        /// The instruction from which the way leads that does not agree with those before it.
        from: u32,
        /// Stack depths, if those differ.
        depths: Option<(i64, i64)>,
        /// What is owned on one way only: is that one of those before (else this one), and what.
        capability: Option<(bool, Cap)>,
    },
    /// What is written of a label does not hold on a way into it.
    Written {
        /// The label.
        label: u32,
        /// The instruction from which the way leads.
        from: u32,
        /// Where the judge would say so: the label itself, if control runs into it.
        site: u32,
        /// Which part of it, and why.
        unfit: Box<Unfit>,
    },
    /// The state never became stable.
    Unstable {
        /// The label.
        label: u32,
    },
}

/// The states found, by label index, and what went wrong.
#[derive(Debug, Default)]
pub struct Inferred {
    /// By index of the image's labels.
    pub labels: BTreeMap<u32, LabelState>,
    /// In order of discovery.
    pub troubles: Vec<Trouble>,
}

/// How states are sought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// How often ways back to a label may change its state before bounds widen.
    precise: u32,
    /// Has what a loop steps a variable from the first visit on?
    forms: bool,
    /// Are bounds at joins found by paths alone?
    paths: bool,
    /// Are facts proposed where proofs fail?
    goals: bool,
    /// Are facts left out that are sums of others? Some are not shown on every way, some are what
    /// the judge finds a proof by.
    sparse: bool,
}

/// The least of them.
const LITTLE: Effort = Effort { precise: 2, forms: true, paths: true, goals: false, sparse: false };

/// Little is enough most often; where it is not, the next may be.
pub const EFFORTS: [Effort; 3] = [
    LITTLE,
    Effort { paths: false, ..LITTLE },
    Effort { precise: 3, forms: false, paths: false, ..LITTLE },
];
/// Where all of these were made, and a state was sought at every label: with what is proposed from
/// proofs that fail.
pub const WITH_GOALS: [Effort; 2] =
    [Effort { goals: true, ..EFFORTS[1] }, Effort { goals: true, sparse: true, ..EFFORTS[2] }];

/// Finds the states of the labels of the function `id` at `[start, end)` of the text.
pub fn infer<H: Settle>(
    judge: &mut Judge<'_, H>,
    id: FnId,
    range: (u32, u32),
    labels: &[LabelSite],
    thresholds: &[i128],
    effort: Effort,
) -> Inferred {
    let mut goals = Goals::default();
    let mut inferred = explore(judge, id, range, labels, thresholds, (effort, &goals));
    if effort.goals {
        for _ in 0..goals::ROUNDS {
            if inferred.troubles.is_empty() || !goals.grow(judge, id, range, labels, &inferred) {
                break;
            }
            inferred = explore(judge, id, range, labels, thresholds, (effort, &goals));
        }
    }
    inferred
}

/// The same, once, with these proposals.
fn explore<H: Settle>(
    judge: &mut Judge<'_, H>,
    id: FnId,
    range: (u32, u32),
    labels: &[LabelSite],
    thresholds: &[i128],
    (effort, goals): (Effort, &Goals),
) -> Inferred {
    let entry = match judge.entry_state(id) {
        Ok(entry) => entry,
        Err(error) => {
            let start = Start::Entry(id);
            let troubles = vec![Trouble::Block { start, error: Box::new(error) }];
            return Inferred { labels: BTreeMap::new(), troubles };
        }
    };
    let image = judge.image;
    let function = &image.functions[id.0 as usize];
    let own = image.sigs[function.sig as usize].clone();
    let paths = flow::flow(image, judge.interface, range, &own);
    let mut thresholds = thresholds.to_vec();
    thresholds.extend([-1, 0, 1]);
    thresholds.sort_unstable();
    thresholds.dedup();
    let mut engine = Engine {
        id,
        fixed: entry.scope.len(),
        fixed_views: entry.views.len(),
        entry: facts_of(&entry).into_iter().collect(),
        declared: entry.scope.iter().map(|s| s.set).collect(),
        outcomes: outcomes(&own),
        labels: labels.iter().map(|l| (l.index, l)).collect(),
        starts: labels.iter().map(|l| (l.offset, l.index)).collect(),
        paths,
        begin: range.0,
        learned: BTreeSet::new(),
        thresholds,
        precise: effort.precise,
        forms: effort.forms,
        by_paths: effort.paths,
        goals,
        products: effort.goals,
        candidates: BTreeMap::new(),
        presumed: BTreeMap::new(),
        fell: None,
        changes_by_way: BTreeMap::new(),
        offered: BTreeMap::new(),
        pending: BTreeSet::new(),
        every_way: false,
        postponed: BTreeMap::new(),
        troubles: BTreeMap::new(),
        runs: MAX_RUNS.0 + MAX_RUNS.1 * labels.len(),
    };
    engine.run(judge, Start::Entry(id), entry.clone(), range.0);
    engine.iterate(judge);
    if engine.take_every_way(judge) {
        engine.run(judge, Start::Entry(id), entry, range.0);
        engine.iterate(judge);
    }
    let stated = |(l, c): (u32, Candidate)| {
        let site = engine.labels.get(&l).and_then(|site| site.written.as_deref());
        let written = site.map_or(0, |w| w.facts.len());
        (l, LabelState { facts: strongest(c.state.facts, written), ..c.state })
    };
    let fixed = engine.fixed;
    let presumed = std::mem::take(&mut engine.presumed);
    let mut labels: BTreeMap<u32, LabelState> =
        std::mem::take(&mut engine.candidates).into_iter().map(stated).collect();
    for (label, state) in presumed {
        labels.entry(label).or_insert(state);
    }
    // What is known of one variable of the label alone is declared with it.
    for state in labels.values_mut() {
        let own = |v: Var| match v {
            Var::Free(i) => usize::from(i).checked_sub(fixed),
            _ => None,
        };
        settle(&mut state.vars, own, &mut state.facts);
        bound_above(judge, id, fixed, state);
        if effort.sparse {
            goals::without_sums(state, fixed, &engine.entry);
        }
    }
    Inferred { labels, troubles: engine.troubles.into_values().collect() }
}

/// Where a way leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Onward {
    /// To a label.
    Label(u32),
    /// To where no other way leads, so that there is no label.
    Block,
    /// To the next instruction.
    Next,
}

struct Candidate {
    state: LabelState,
    /// How often it changed.
    changes: u32,
    /// How often ways that lead back changed it.
    turns: u32,
    /// Start of the block that reached the label first.
    from: u32,
    /// Nothing was joined here since a way led back.
    turned: bool,
}

struct Engine<'a> {
    id: FnId,
    /// Variables and views of the function, and what is known of numbers at its entry.
    fixed: usize,
    fixed_views: usize,
    entry: BTreeSet<Fact>,
    declared: Vec<NameSet>,
    /// What it leaves behind for which results.
    outcomes: Vec<Outcome>,
    labels: BTreeMap<u32, &'a LabelSite>,
    /// Label index by offset.
    starts: BTreeMap<u32, u32>,
    paths: Paths,
    /// Start of the running block, and what was known of numbers there.
    begin: u32,
    learned: BTreeSet<Fact>,
    thresholds: Vec<i128>,
    precise: u32,
    forms: bool,
    by_paths: bool,
    /// What is proposed for labels.
    goals: &'a Goals,
    /// Are equalities with products sought for?
    products: bool,
    candidates: BTreeMap<u32, Candidate>,
    /// States of labels whose written state holds on no way; nothing is run from them.
    presumed: BTreeMap<u32, LabelState>,
    /// The label that the running block runs into.
    fell: Option<u32>,
    /// How often each way changed the state of its label, by label and instruction.
    changes_by_way: BTreeMap<(u32, u32), u32>,
    /// What ways into a label said of it, by label.
    offered: BTreeMap<u32, Offered>,
    /// Labels to run again, by offset.
    pending: BTreeSet<(u32, u32)>,
    /// Ways that cannot be taken as far as is known, by instruction, with the start of their block:
    /// used where nothing else reaches the label, or in the end ([`Engine::take_every_way`]).
    postponed: BTreeMap<(u32, Onward), (State, u32)>,
    /// Is that end reached?
    every_way: bool,
    /// By start offset, so that a later, better run of a block replaces what an earlier one said.
    troubles: BTreeMap<(u32, u32), Trouble>,
    /// How many blocks may still be run.
    runs: usize,
}

impl Engine<'_> {
    fn iterate<H: Settle>(&mut self, judge: &mut Judge<'_, H>) {
        loop {
            while let Some((offset, label)) = self.pending.pop_first() {
                if self.runs == 0 {
                    self.troubles.insert((offset, 1), Trouble::Unstable { label });
                    return;
                }
                self.runs -= 1;
                let Some(candidate) = self.candidates.get(&label) else { continue };
                let state = candidate.state.clone();
                match state_at(judge, self.id, &state) {
                    Ok(state) => self.run(judge, Start::Label(label), state, offset),
                    Err(error) => self.trouble(Start::Label(label), offset, error),
                }
            }
            let unknown = |(_, onward): &(u32, Onward)| match onward {
                Onward::Label(label) => !self.candidates.contains_key(label),
                Onward::Block | Onward::Next => false,
            };
            let Some(way) = self.postponed.keys().copied().find(unknown) else { return };
            let (Some((state, begin)), (from, Onward::Label(label))) =
                (self.postponed.remove(&way), way)
            else {
                return;
            };
            self.begin = begin;
            self.merge(judge, from, label, state);
        }
    }

    /// The judge follows every way of which it does not see that it contradicts itself, also those
    /// that were left out because they are never taken: they are taken from now on. Were there any?
    fn take_every_way<H: Settle>(&mut self, judge: &mut Judge<'_, H>) -> bool {
        self.every_way = true;
        let mut any = false;
        for (state, begin) in std::mem::take(&mut self.postponed).into_values() {
            if contradicts(judge, &state) {
                continue;
            }
            any = true;
            if let Some(&label) = self.starts.get(&begin) {
                self.pending.insert((begin, label));
            }
        }
        any
    }

    fn trouble(&mut self, start: Start, offset: u32, error: Error) {
        self.troubles.insert((offset, 0), Trouble::Block { start, error: Box::new(error) });
    }

    /// Runs an extended basic block from its start to its exits: where a single way leads, the
    /// state is taken along.
    fn run<H: Settle>(&mut self, judge: &mut Judge<'_, H>, start: Start, state: State, begin: u32) {
        self.troubles.remove(&(begin, 0));
        self.learned = facts_of(&state).into_iter().collect();
        self.begin = begin;
        // Branches that wait, with what is known behind them.
        let mut waiting = vec![(begin, state)];
        while let Some((from, state)) = waiting.pop() {
            // The entry itself may be a label.
            let is_label = from == begin && matches!(start, Start::Label(_));
            if let Err((at, error)) = self.follow(judge, (from, is_label), state, &mut waiting) {
                let error = Error { site: error.site.or(Some(at)), ..error };
                return self.trouble(start, begin, error);
            }
        }
    }

    /// Runs from here, past a label if that `is_label`, to where control leaves; what branches off
    /// to a block of its own waits. The error with the offset of its instruction.
    fn follow<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        (mut offset, is_label): (u32, bool),
        mut state: State,
        waiting: &mut Vec<(u32, State)>,
    ) -> Result<(), (u32, Error)> {
        let (from, begin) = (offset, self.begin);
        let mut last = offset;
        loop {
            let inside = offset != from || !is_label;
            if inside && let Some(&label) = self.starts.get(&offset) {
                self.fell = Some(offset);
                self.edge(judge, last, label, state);
                self.fell = None;
                return Ok(());
            }
            last = offset;
            match H::step(judge, &mut state, offset).map_err(|error| (offset, error))? {
                Flow::Next(next) | Flow::Jump(Target::Block(next)) => offset = next,
                Flow::Jump(to) => {
                    self.to(judge, offset, to, state);
                    return Ok(());
                }
                Flow::Branch { cc, to, next } => {
                    let ways = judge.branch(&state, cc).map_err(|error| (offset, error))?;
                    let (taken, falls) = ways;
                    self.postponed.remove(&(offset, Onward::Next));
                    self.postponed.remove(&(offset, Onward::Block));
                    let decided = if self.every_way { None } else { decided(&state, cc) };
                    match (decided, to) {
                        (Some(false), Target::Label(label)) => {
                            let way = (offset, Onward::Label(label));
                            self.postponed.insert(way, (taken, begin));
                        }
                        (Some(false), Target::Block(_)) => {
                            self.postponed.insert((offset, Onward::Block), (taken, begin));
                        }
                        (_, Target::Block(to)) => waiting.push((to, taken)),
                        _ => self.to(judge, offset, to, taken),
                    }
                    if decided == Some(true) {
                        self.postponed.insert((offset, Onward::Next), (falls, begin));
                        return Ok(());
                    }
                    state = falls;
                    offset = next;
                }
                Flow::Table { table, index } => {
                    self.table(judge, offset, (table, &index), &state);
                    return Ok(());
                }
                Flow::Return | Flow::Stop => return Ok(()),
            }
        }
    }

    fn to<H: Settle>(&mut self, judge: &mut Judge<'_, H>, from: u32, target: Target, state: State) {
        if let Target::Label(label) = target {
            self.edge(judge, from, label, state);
        }
    }

    /// One edge for each place of the jump table.
    fn table<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        from: u32,
        (table, index): (tal_core::ty::DataId, &Term),
        state: &State,
    ) {
        for (place, label) in table_labels(judge.image, table).into_iter().enumerate() {
            let mut state = state.clone();
            let value = i64::try_from(place).map(Term::int);
            if let Ok(term) = value.map_err(|_| ()).and_then(|v| index.sub(&v).map_err(|_| ())) {
                // Where that is too much, the edge goes without it.
                let _ = judge.learn(&mut state, Rel::Eq, term);
            }
            self.edge(judge, from, label, state);
        }
    }

    fn edge<H: Settle>(&mut self, judge: &mut Judge<'_, H>, from: u32, label: u32, state: State) {
        let onward = (from, Onward::Label(label));
        if contradicts(judge, &state) {
            self.postponed.insert(onward, (state, self.begin));
        } else {
            self.postponed.remove(&onward);
            self.merge(judge, from, label, state);
        }
    }

    fn merge<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        from: u32,
        label: u32,
        mut state: State,
    ) {
        let Some(site) = self.labels.get(&label).copied() else { return };
        let written = site.written.as_deref();
        self.forget_dead(&mut state, site.offset, written);
        // Where a single way leads nothing has to agree: what is open stays so.
        let single = written.is_none() && self.paths.single.contains(&site.offset);
        let settled = match written {
            None if single => Ok(()),
            None => H::settle(judge, &mut state, from),
            Some(written) => H::settle(judge, &mut state, from)
                .and_then(|()| H::shape(judge, &mut state, from, written)),
        };
        if let Err(error) = settled {
            return self.trouble(Start::Label(label), site.offset, error);
        }
        let Ok(fit) = self.fit(judge, (from, label), &state, written) else { return };
        // Only an edge back to the label can go on for ever; what comes from before it is as stable
        // as the heads of the loops around.
        let back = self.begin >= site.offset || self.turned();
        let first = single || !self.candidates.contains_key(&label);
        let (changes, turns) = self.candidates.get(&label).map_or((0, 0), |c| (c.changes, c.turns));
        let mut left = match self.candidates.get(&label).filter(|_| !first) {
            None => state.clone(),
            Some(candidate) => match state_at(judge, self.id, &candidate.state) {
                Ok(left) => left,
                Err(error) => return self.trouble(Start::Label(label), site.offset, error),
            },
        };
        let mut seed = match (written, &fit) {
            (Some(written), Some(fit)) => {
                self.take_written(written, fit, first, &mut left, &mut state)
            }
            _ => Seed::default(),
        };
        let ahead = self.paths.turns.get(&site.offset).filter(|_| first && self.forms);
        seed.outcomes.clone_from(&self.outcomes);
        let joined = self.join(judge, (from, site.offset), (&mut left, &mut state), &seed, ahead);
        let mut form = match joined {
            Ok(form) => form,
            Err(mismatch) => return self.mismatch(label, (from, site.offset), mismatch),
        };
        if let Some(written) = written {
            written::put_in(&mut form, written);
        }
        // What the sizes of memory say is known wherever that memory is.
        let before: BTreeSet<Fact> = facts_of(&left).into_iter().collect();
        let (left, state) = match single {
            true => (left, state),
            false => (sized(judge, &left), sized(judge, &state)),
        };
        let known = [&left, &state].map(|side| judge.hints.known(side).clone());
        let facts = [facts_of(&left), facts_of(&state)];
        let sides = Sides {
            left: &left,
            right: &state,
            fixed: self.fixed,
            entry: &self.entry,
            sizes: facts[0].iter().filter(|f| !before.contains(f)).cloned().collect(),
            learned: &self.learned,
            facts,
            thresholds: &self.thresholds,
            single,
            visits: if first { 0 } else { 1 + if back { turns } else { 0 } },
            precise: self.precise,
            paths: self.by_paths,
            changes,
            known,
            goals: self.goals.at(label, &form.regs, &form.slots),
            products: self.products,
        };
        let refinements = self.refinements(&left, &state, written);
        let old = self.candidates.get(&label);
        if single {
            self.offered.remove(&label);
        }
        let offered = self.offered.entry(label).or_default();
        let stable = old.is_some_and(|c| {
            form.is_that_of(&c.state, self.fixed)
                && refinements == c.state.refinements
                && cover(&form, &sides, &c.state.facts, offered)
        });
        if stable {
            return;
        }
        let facts = written.map_or(&[][..], |w| &w.facts);
        let facts: Vec<Fact> = facts.iter().map(|(fact, _)| fact.clone()).collect();
        let facts = choose(&form, &sides, &facts, offered);
        let found = finish(form, facts, refinements);
        if old.is_some_and(|c| c.state == found) {
            return;
        }
        let origin = old.map_or(self.begin, |c| c.from);
        if old.is_some_and(|c| c.state.regs != found.regs || c.state.slots != found.slots) {
            self.offered.remove(&label);
            self.forget_from(site.offset);
        }
        let of_way = self.changes_by_way.entry((label, from)).or_default();
        if *of_way >= MAX_CHANGES {
            self.troubles.insert((site.offset, 1), Trouble::Unstable { label });
            return;
        }
        *of_way += 1;
        let (changes, turns) = (changes + 1, turns + u32::from(back && !first));
        let turned = single && back;
        let candidate = Candidate { state: found, changes, turns, from: origin, turned };
        self.candidates.insert(label, candidate);
        self.pending.insert((site.offset, label));
    }

    /// Did a way lead back to the running block, or to one before it, and nothing was joined since?
    fn turned(&self) -> bool {
        let label = self.starts.get(&self.begin);
        label.and_then(|label| self.candidates.get(label)).is_some_and(|c| c.turned)
    }

    /// What nobody reads any more keeps nothing open, unless it is written.
    fn forget_dead(&self, state: &mut State, to: u32, written: Option<&Written>) {
        let live = self.paths.live.get(&to).copied().unwrap_or(u16::MAX);
        for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp && live & (1 << *r as u16) == 0) {
            if !written.is_some_and(|w| w.mentions(Place::Reg(reg))) {
                state.set_reg(reg, Word::Junk);
            }
        }
    }

    /// What a written state is at an edge. If it does not hold there, that is kept, and the edge
    /// adds nothing to the label.
    fn fit<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        (from, label): (u32, u32),
        state: &State,
        written: Option<&Written>,
    ) -> Result<Option<Fit>, ()> {
        let Some(written) = written else { return Ok(None) };
        let key = (from, label.saturating_add(3));
        match H::fit(judge, state, from, written) {
            Ok(fit) => {
                self.troubles.remove(&key);
                Ok(Some(fit))
            }
            Err(unfit) => {
                let site = self.fell.unwrap_or(from);
                self.troubles.insert(key, Trouble::Written { label, from, site, unfit });
                self.presume(label, from, judge, state, written);
                Err(())
            }
        }
    }

    /// What is written, with the rest as on this way: for a label of which nothing else is found.
    fn presume<H: Settle>(
        &mut self,
        label: u32,
        from: u32,
        judge: &mut Judge<'_, H>,
        state: &State,
        written: &Written,
    ) {
        let Some(to) = self.labels.get(&label).map(|l| l.offset) else { return };
        let own = written::itself(written, self.fixed);
        let mut seed = written::seed(written, self.fixed, state.stack.delta, (&own, &own));
        seed.keys.iter_mut().for_each(|key| key.closed = true);
        let (mut left, mut right) = (state.clone(), state.clone());
        if let Ok(mut form) = self.join(judge, (from, to), (&mut left, &mut right), &seed, None) {
            written::put_in(&mut form, written);
            let facts = written.facts.iter().map(|(fact, _)| fact.clone()).collect();
            self.presumed.insert(label, finish(form, facts, Vec::new()));
        }
    }

    /// Takes what the written state of a label speaks of out of both sides; what stands for it.
    fn take_written(
        &self,
        written: &Written,
        fit: &Fit,
        first: bool,
        left: &mut State,
        right: &mut State,
    ) -> Seed {
        let here = if first { fit.clone() } else { written::itself(written, self.fixed) };
        if !first {
            let end = self.fixed_views.saturating_add(written.views.len());
            let own = self.fixed_views..end.min(left.views.len());
            left.views.drain(own);
        }
        written::take_out(left, &here);
        written::take_out(right, fit);
        written::seed(written, self.fixed, right.stack.delta, (&here, fit))
    }

    /// The common form of two states at the label at `to`; what is owned in two shapes is brought
    /// to one.
    fn join<H: Settle>(
        &self,
        judge: &mut Judge<'_, H>,
        (from, to): (u32, u32),
        (left, right): (&mut State, &mut State),
        seed: &Seed,
        turns: Option<&Turns>,
    ) -> Result<Form, Mismatch> {
        let of = |sets: &BTreeMap<u32, u16>| sets.get(&to).copied().unwrap_or(u16::MAX);
        let plain = self.paths.plain.get(&to).copied().unwrap_or_default();
        let live = (of(&self.paths.live), of(&self.paths.matter), plain);
        let fixed = (self.fixed, self.fixed_views);
        let last = if self.paths.dead_ends.contains(&to) { Alone::Lost } else { Alone::Null };
        for _ in 0..RESHAPES {
            match join::join(judge.image, (left, right), fixed, live, Alone::Named, seed, turns) {
                Err(Mismatch::Capability(unmatched))
                    if reshape(judge, from, &unmatched, left, right) => {}
                Err(Mismatch::Lent(on_left, lent)) => {
                    let (mine, other) =
                        if on_left { (&mut *left, &mut *right) } else { (&mut *right, &mut *left) };
                    if !H::unlend(judge, mine, from, lent) && !H::lend(judge, other, from, lent) {
                        break;
                    }
                }
                Err(_) => break,
                form => return form,
            }
        }
        join::join(judge.image, (left, right), fixed, live, last, seed, turns)
    }

    /// What was found behind a label while its state had another form is more special than it has
    /// to be, and would lose by joins what holds of the new form; it is found anew.
    fn forget_from(&mut self, offset: u32) {
        let mut starts = vec![offset];
        while let Some(start) = starts.pop() {
            let behind: Vec<u32> = self
                .candidates
                .iter()
                .filter(|(_, c)| c.from == start)
                .map(|(label, _)| *label)
                .collect();
            for label in behind {
                let Some(at) = self.labels.get(&label).map(|l| l.offset) else { continue };
                if at != offset {
                    self.candidates.remove(&label);
                    self.offered.remove(&label);
                    self.pending.remove(&(at, label));
                    starts.push(at);
                }
            }
        }
    }

    fn mismatch(&mut self, label: u32, (from, offset): (u32, u32), mismatch: Mismatch) {
        let (depths, capability) = match mismatch {
            Mismatch::Depth(a, b) => (Some((a, b)), None),
            Mismatch::Capability(unmatched) => (None, Some((unmatched.left, unmatched.cap))),
            Mismatch::Lent(..) | Mismatch::Limit => (None, None),
        };
        self.troubles.insert((offset, 2), Trouble::Join { label, from, depths, capability });
    }

    /// Names of the function of which both sides know more than was declared.
    /// What the written state leaves open stays so.
    fn refinements(
        &self,
        left: &State,
        right: &State,
        written: Option<&Written>,
    ) -> Vec<(Var, NameSet)> {
        let mut refined = Vec::new();
        let sides = left.scope.iter().zip(&right.scope).take(self.fixed);
        for (i, (l, r)) in sides.enumerate() {
            if !matches!(l.kind, Kind::Addr { .. }) {
                continue;
            }
            let set = NameSet {
                address: l.set.address || r.set.address,
                small: if l.set.small == r.set.small {
                    l.set.small
                } else {
                    match (l.set.small, r.set.small) {
                        ([None, None], other) | (other, [None, None]) => other,
                        _ => self.declared[i].small,
                    }
                },
            };
            if set != self.declared[i]
                && let Ok(i) = u16::try_from(i)
                && !written.is_some_and(|w| written::undecides(w, Var::Free(i)))
            {
                refined.push((Var::Free(i), set));
            }
        }
        refined
    }
}

/// A variable that other facts keep within the numbers of 64 bits is declared so: then its ranges
/// are seen without them, and often nothing else needs them.
fn bound_above<H: Settle>(
    judge: &mut Judge<'_, H>,
    id: FnId,
    fixed: usize,
    state: &mut LabelState,
) {
    let open =
        |kind: &Kind| matches!(kind, Kind::Int(b) if b.high().is_none() && b.low().is_some());
    if !state.vars.iter().any(open) {
        return;
    }
    let Ok(at) = state_at(judge, id, state) else { return };
    let mut known = Known::of(&at);
    for (i, kind) in state.vars.iter_mut().enumerate() {
        let Kind::Int(bounds) = kind else { continue };
        let Ok(v) = u16::try_from(fixed.saturating_add(i)).map(|i| Term::var(Var::Free(i))) else {
            continue;
        };
        let range = Bounds::of_bits(64, bounds.low().is_some_and(|low| low < 0));
        let below = range.high().and_then(|high| Term::constant_of(high).ok()?.sub(&v).ok());
        let holds = below.is_some_and(|term| known.holds(&Fact { rel: Rel::Ge, term }));
        if bounds.high().is_none() && bounds.low().is_some() && holds {
            *bounds = bounds.and(range);
        }
    }
}

/// What is left behind under a condition on a result.
fn outcomes(own: &Sig) -> Vec<Outcome> {
    let caps = own.post.iter().flat_map(|post| &post.state.caps);
    caps.filter_map(|cap| match cap {
        Cap::Entry(entry) => match entry.guards.as_slice() {
            [Guard::Range(_, low, high)] => Some((entry.name, *low, *high)),
            _ => None,
        },
        _ => None,
    })
    .collect()
}

/// Can this not be, by what is known of numbers?
fn contradicts<H: Settle>(judge: &mut Judge<'_, H>, state: &State) -> bool {
    judge.hints.known(state).contradictory()
}

/// Makes what is owned on one side what it is on the other, or both of a named type.
fn reshape<H: Settle>(
    judge: &mut Judge<'_, H>,
    from: u32,
    unmatched: &Unmatched,
    left: &mut State,
    right: &mut State,
) -> bool {
    let (mine, theirs) = if unmatched.left { (left, right) } else { (right, left) };
    let own = Some(&unmatched.cap);
    let other = unmatched.partner.as_ref();
    let like = |cap: Option<&Cap>, fixed: bool| match cap {
        Some(Cap::Entry(entry)) => Some((entry.clone(), fixed)),
        _ => None,
    };
    let (mine_like, theirs_like) = (like(own, unmatched.fixed.0), like(other, unmatched.fixed.1));
    let mut to = |state: &mut State, owned: Option<&Cap>, like: Option<(&Entry, bool)>| {
        owned.is_some_and(|owned| H::reshape(judge, state, from, owned, like))
    };
    theirs_like.is_some_and(|(entry, fixed)| to(mine, own, Some((&entry, fixed))))
        || mine_like.is_some_and(|(entry, fixed)| to(theirs, other, Some((&entry, fixed))))
        || to(mine, own, None)
        || to(theirs, other, None)
}

/// The state with the size-facts of everything that stands there for certain.
fn sized<H: Hints>(judge: &mut Judge<'_, H>, state: &State) -> State {
    let mut sized: Option<State> = None;
    let entries = (0..).zip(&state.caps).map(|(i, _)| Through::Entry(i));
    let views = (0..).zip(&state.views).map(|(i, _)| Through::View(i));
    for of in entries.chain(views) {
        let so_far = sized.as_ref().unwrap_or(state);
        let mut with = so_far.clone();
        if judge.ghost(&mut with, &Ghost::SizeFacts { of }).is_ok() {
            let new = with.facts.split_off(so_far.facts.len());
            with.facts.extend(new.into_iter().filter(|f| !state.facts.contains(f)));
            sized = Some(with);
        }
    }
    sized.unwrap_or_else(|| state.clone())
}

fn finish(form: Form, facts: Vec<Fact>, refinements: Vec<(Var, NameSet)>) -> LabelState {
    LabelState {
        vars: form.keys.into_iter().map(|k| k.kind).collect(),
        refinements,
        facts,
        regs: form.regs,
        delta: form.delta,
        touched: form.touched,
        slots: form.slots,
        lent: form.lent,
        views: form.views,
        caps: form.caps,
    }
}

/// What a condition on constants comes to: on the way to a first, exact state of a loop one edge of
/// its test is often impossible, and must not weaken what is found.
fn decided(state: &State, cc: Cc) -> Option<bool> {
    let (bits, a, b) = match &state.flags().kind {
        FlagKind::Cmp(bits, a, b) => (*bits, a.as_int()?, b.as_int()?),
        FlagKind::Result(bits, a) => (*bits, a.as_int()?, 0),
        FlagKind::None | FlagKind::Pick(..) => return None,
    };
    let modulus = 1_i128 << bits;
    let unsigned = |x: i128| x.rem_euclid(modulus);
    let signed =
        |x: i128| if unsigned(x) >= modulus / 2 { unsigned(x) - modulus } else { unsigned(x) };
    let result = matches!(state.flags().kind, FlagKind::Result(..));
    Some(match cc {
        Cc::E => unsigned(a) == unsigned(b),
        Cc::Ne => unsigned(a) != unsigned(b),
        Cc::S => signed(a - b) < 0,
        Cc::Ns => signed(a - b) >= 0,
        _ if result => return None,
        Cc::B => unsigned(a) < unsigned(b),
        Cc::Ae => unsigned(a) >= unsigned(b),
        Cc::Be => unsigned(a) <= unsigned(b),
        Cc::A => unsigned(a) > unsigned(b),
        Cc::L => signed(a) < signed(b),
        Cc::Ge => signed(a) >= signed(b),
        Cc::Le => signed(a) <= signed(b),
        Cc::G => signed(a) > signed(b),
        _ => return None,
    })
}
