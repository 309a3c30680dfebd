//! Not trusted: a bug here can reject, never admit. Blocks run again, with every state kept.
//!
//! Inference and judging keep only what they need. To say what was known at a place, its block is
//! run once more from its start, by the same judge with the same finder.

use crate::explore::Explored;
use crate::find::{Finder, Trouble, unknown};
use crate::flow::tables::table_labels;
use crate::lowered::Lowered;
use crate::part::finder;
use tal_core::driver::{Flow, Target, Wanted};
use tal_core::error::{Error, Rule};
use tal_core::hint::{Comb, End, Forward, Hints, Proof, Seen, Start, Step};
use tal_core::judge::Judge;
use tal_core::rules::apply::Callee;
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Bounds, Fact, FnId, Rel};
use tal_write::{Label, LabelState, state_at};

/// Something that the judge wanted proved, and how it was.
#[derive(Clone, Debug)]
pub struct Need {
    /// What.
    pub goal: Fact,
    /// Facts of the state that it follows from; one for a lookup.
    pub premises: Vec<Fact>,
    /// Was rounding to integers needed?
    pub cut: bool,
    /// One fact says it already.
    pub lookup: bool,
    known: usize,
}

/// One instruction, run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its offset.
    pub offset: u32,
    /// What was known before it.
    pub before: State,
    /// What it needed.
    pub needs: Vec<Need>,
}

/// Where a failing premise belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The instruction itself, calls included.
    Instruction,
    /// The way from it to this label.
    Edge(u32),
    /// A tail call.
    Tail(Callee),
    /// The return.
    Return,
}

/// What went wrong in a block.
#[derive(Clone, Debug)]
pub struct Failure {
    /// At the instruction of this offset.
    pub offset: u32,
    /// Of what.
    pub part: Part,
    /// What the judge said.
    pub error: Error,
    /// What the finder looked for in vain.
    pub trouble: Vec<Trouble>,
    /// What was known, with everything that was drawn from it on the way.
    pub state: State,
}

/// A block, run.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Of this function.
    pub function: FnId,
    /// From here.
    pub start: Start,
    /// Its text offset.
    pub begin: u32,
    /// Every instruction that was run or failed.
    pub ran: Vec<Ran>,
    /// Why it ended early.
    pub failure: Option<Failure>,
}

/// A program with what is known of its labels.
#[derive(Debug)]
pub struct Replay<'a> {
    lowered: &'a Lowered,
    labels: &'a [Label],
    found: &'a [bool],
}

impl<'a> Replay<'a> {
    /// Of an explored program.
    #[must_use]
    pub fn new(lowered: &'a Lowered, explored: &'a Explored) -> Replay<'a> {
        Replay { lowered, labels: &explored.labels, found: &explored.found }
    }

    /// Where the blocks of a function start, in address order.
    #[must_use]
    pub fn starts(&self, id: FnId) -> Vec<(u32, Start)> {
        let Some(function) = self.lowered.functions.get(id.0 as usize) else { return Vec::new() };
        let mut starts = vec![(function.offset, Start::Entry(id))];
        let first = self.labels.partition_point(|l| l.offset < function.offset);
        for (i, label) in self.labels.iter().enumerate().skip(first) {
            if label.offset >= function.offset + function.size {
                break;
            }
            starts.push((label.offset, Start::Label(u32::try_from(i).unwrap_or(u32::MAX))));
        }
        starts
    }

    /// Is the state of this label known?
    #[must_use]
    pub fn known(&self, label: u32) -> bool {
        self.found.get(label as usize).copied().unwrap_or(false)
    }

    /// The label's offset.
    #[must_use]
    pub fn offset_of(&self, label: u32) -> Option<u32> {
        self.labels.get(label as usize).map(|l| l.offset)
    }

    /// The label's state.
    #[must_use]
    pub fn state_of(&self, label: u32) -> Option<&'a LabelState> {
        self.labels.get(label as usize).map(|l| &*l.state)
    }

    /// What is known at a start.
    fn state(
        &self,
        judge: &mut Judge<'_, Watch<'_>>,
        id: FnId,
        start: Start,
    ) -> Result<State, Error> {
        match start {
            Start::Entry(function) => judge.entry_state(function),
            Start::Label(label) => {
                let state = self.state_of(label).ok_or(unknown(Rule::Entail))?;
                state_at(judge, id, state)
            }
            // Every target has a label here.
            Start::Block { .. } => Err(unknown(Rule::Driver)),
        }
    }

    /// Runs a block. With `edges`, the ways out of it are checked too, as far as the states they
    /// lead to are known.
    #[must_use]
    pub fn block(&self, id: FnId, start: Start, edges: bool) -> Trace {
        let starts = self.starts(id);
        let at = starts.iter().position(|(_, s)| *s == start);
        let begin = at.and_then(|at| starts.get(at)).map_or(0, |s| s.0);
        // Two starts may stand at one place: the entry, then a label.
        let next = at.and_then(|at| starts.get(at + 1)).copied();
        let image = self.lowered.image(self.labels);
        let hints = Watch { finder: finder(self.lowered, &image, self.labels), needs: Vec::new() };
        let mut judge = Judge::new(&image, &self.lowered.host.interface, hints, u64::MAX);
        let mut trace = Trace { function: id, start, begin, ran: Vec::new(), failure: None };
        let started = Hints::block(&mut judge.hints, start, &State::empty())
            .and_then(|()| self.state(&mut judge, id, start));
        match started {
            Ok(state) => self.run(&mut judge, &mut trace, state, next, edges),
            Err(error) => {
                let trouble = std::mem::take(&mut judge.hints.finder.trouble);
                let part = Part::Instruction;
                let state = nothing(&mut judge, id);
                trace.failure = Some(Failure { offset: begin, part, error, trouble, state });
            }
        }
        trace
    }

    fn run(
        &self,
        judge: &mut Judge<'_, Watch<'_>>,
        trace: &mut Trace,
        mut state: State,
        next: Option<(u32, Start)>,
        edges: bool,
    ) {
        let function = self.lowered.functions.get(trace.function.0 as usize);
        let end = function.map_or(0, |f| f.offset + f.size);
        let mut offset = trace.begin;
        loop {
            if let Some((at, Start::Label(label))) = next
                && at == offset
            {
                if edges && self.known(label) {
                    let to = Target::Label(label);
                    let _ = follow(judge, trace, &state, offset, to);
                }
                return;
            }
            let before = state.clone();
            judge.hints.needs.clear();
            let result = if offset < end {
                judge.exec(&mut state, offset)
            } else {
                Err(Error::new(tal_core::error::Rule::Fall, tal_core::error::Kind::IllFormed))
            };
            let needs = std::mem::take(&mut judge.hints.needs);
            trace.ran.push(Ran { offset, before, needs });
            let flow = match result {
                Ok(flow) => flow,
                Err(error) => return fail(judge, trace, &state, offset, Part::Instruction, error),
            };
            match self.leave(judge, trace, state, offset, flow, edges) {
                Some((after, next)) => (state, offset) = (after, next),
                None => return,
            }
        }
    }

    /// The ways out of an instruction; what comes next in the block, if anything.
    fn leave(
        &self,
        judge: &mut Judge<'_, Watch<'_>>,
        trace: &mut Trace,
        state: State,
        offset: u32,
        flow: Flow,
        edges: bool,
    ) -> Option<(State, u32)> {
        let checked = |to: &Target| match to {
            Target::Label(label) => edges && self.known(*label),
            Target::Entry(_) => edges,
            // Every target has a label here.
            Target::Block(_) => false,
        };
        match flow {
            Flow::Next(next) => return Some((state, next)),
            Flow::Jump(to) => {
                if checked(&to) {
                    let _ = follow(judge, trace, &state, offset, to);
                }
            }
            Flow::Branch { cc, to, next } => match judge.branch(&state, cc) {
                Ok((taken, other)) => {
                    if checked(&to) {
                        follow(judge, trace, &taken, offset, to)?;
                    }
                    return Some((other, next));
                }
                Err(error) => fail(judge, trace, &state, offset, Part::Instruction, error),
            },
            Flow::Table { table, index } => {
                let labels = table_labels(judge.image, table);
                for (place, label) in labels.into_iter().enumerate().filter(|_| edges) {
                    let mut state = state.clone();
                    let place = i64::try_from(place).unwrap_or(i64::MAX);
                    let fact = index.sub(&Term::int(place)).map(|term| Fact { rel: Rel::Eq, term });
                    let fact = fact.ok().filter(|fact| {
                        Hints::want(&mut judge.hints, &state, std::slice::from_ref(fact))
                            .unwrap_or(false)
                    });
                    if let Some(fact) = fact {
                        let _ = judge.learn(&mut state, fact.rel, fact.term);
                    }
                    if follow(judge, trace, &state, offset, Target::Label(label)).is_none() {
                        if let Some(failure) = &mut trace.failure {
                            failure.part = Part::Instruction;
                        }
                        break;
                    }
                }
            }
            Flow::Return => {
                let mut after = state.clone();
                if edges && let Err(error) = judge.ret(&mut after, offset) {
                    fail(judge, trace, &after, offset, Part::Return, error);
                }
            }
            Flow::Stop => {}
        }
        None
    }
}

/// Checks an edge; `None` if it fails.
fn follow(
    judge: &mut Judge<'_, Watch<'_>>,
    trace: &mut Trace,
    state: &State,
    offset: u32,
    to: Target,
) -> Option<()> {
    let mut after = state.clone();
    let part = match to {
        Target::Label(label) => Part::Edge(label),
        Target::Entry(callee) => Part::Tail(callee),
        Target::Block(_) => return Some(()),
    };
    let label = match to {
        Target::Label(label) => judge.image.labels.get(label as usize).copied(),
        _ => None,
    };
    let label = label.and_then(|at| judge.hints.finder.target(at));
    let wanted = match (&label, to) {
        (Some(label), _) => Wanted::Label {
            at: label.at,
            parent: &label.parent.mark,
            record: label.record.declared(),
        },
        (None, Target::Entry(callee)) => Wanted::Entry(callee),
        (None, _) => return Some(()),
    };
    match judge.follow(&mut after, offset, wanted) {
        Ok(()) => Some(()),
        Err(error) => {
            fail(judge, trace, &after, offset, part, error);
            None
        }
    }
}

fn fail(
    judge: &mut Judge<'_, Watch<'_>>,
    trace: &mut Trace,
    state: &State,
    offset: u32,
    part: Part,
    error: Error,
) {
    let trouble = std::mem::take(&mut judge.hints.finder.trouble);
    trace.failure = Some(Failure { offset, part, error, trouble, state: state.clone() });
}

/// A state to speak of when there is none.
fn nothing(judge: &mut Judge<'_, Watch<'_>>, id: FnId) -> State {
    judge.entry_state(id).unwrap_or_else(|_| State::empty())
}

/// A finder that is watched.
#[derive(Debug)]
struct Watch<'a> {
    finder: Finder<'a>,
    needs: Vec<Need>,
}

impl Watch<'_> {
    /// The goal that is being proved; a new one if the last question was about another.
    fn need(&mut self, state: &State, goal: &Fact) -> Option<&mut Need> {
        let again = self.needs.last().is_some_and(|n| n.goal == *goal && n.known > 0);
        if !again {
            let known = state.facts.len();
            let (goal, premises) = (goal.clone(), Vec::new());
            self.needs.push(Need { goal, premises, cut: false, lookup: false, known });
        }
        self.needs.last_mut()
    }

    /// Keeps how a goal was proved.
    fn note(&mut self, state: &State, goal: &Fact, proof: &Proof) {
        let Some(need) = self.need(state, goal) else { return };
        let mut used: Vec<u16> = Vec::new();
        let mut told: Vec<Fact> = Vec::new();
        match proof {
            Proof::Comb(comb) => {
                used.extend(comb.premises.iter().map(|p| p.0));
                told.extend(bounds_of_rest(state, goal, comb).unwrap_or_default());
            }
            Proof::Step(Step::Comb { premises, .. }) => used.extend(premises.iter().map(|p| p.0)),
            Proof::Step(Step::Cut { fact, .. }) => {
                need.cut = true;
                used.push(*fact);
            }
            Proof::Step(Step::Neq { fact, .. }) => used.push(*fact),
            Proof::Step(Step::Product(a, b)) => used.extend([*a, *b]),
            Proof::Step(Step::Scale(a, _)) => used.push(*a),
            Proof::Step(Step::Bound(v, end)) => {
                let bounds = state.bounds(*v).unwrap_or(Bounds::NONE);
                told.extend(crate::prove::bound(*v, bounds, *end));
            }
        }
        let given = used.iter().filter(|at| usize::from(**at) < need.known);
        let facts = given.filter_map(|at| state.facts.get(usize::from(*at)).cloned());
        for fact in facts.chain(told) {
            if !need.premises.contains(&fact) {
                need.premises.push(fact);
            }
        }
        if !matches!(proof, Proof::Step(_)) {
            // The next question about the same goal is a new one.
            need.known = 0;
        }
    }
}

/// The bounds by which what a sum leaves of a goal is not negative.
fn bounds_of_rest(state: &State, goal: &Fact, comb: &Comb) -> Option<Vec<Fact>> {
    let rest = crate::prove::rest(&state.facts, &goal.term, comb)?;
    let mut told = Vec::new();
    for m in rest.monomials() {
        let (v, other) = m.atom.factors();
        for v in std::iter::once(v).chain(other) {
            let end = if m.coefficient > 0 { End::Low } else { End::High };
            told.extend(crate::prove::bound(v, state.bounds(v)?, end));
        }
    }
    Some(told)
}

impl<'a> Forward for Watch<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn seen(&mut self, state: &State, what: Seen<'_>) {
        let Seen::NotNegative(term) = what else { return };
        let goal = Fact { rel: Rel::Ge, term: term.clone() };
        if let Some(need) = self.need(state, &goal) {
            need.lookup = need.premises.is_empty();
            need.known = 0;
        }
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let proof = self.finder.prove(state, goal)?;
        self.note(state, goal, &proof);
        Ok(proof)
    }
}
