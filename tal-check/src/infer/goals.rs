//! Not trusted: a bug here can reject, never admit. What labels would have to say for a proof that
//! failed.
//!
//! Where the search was refused, each block is run again from the state that was found for its
//! label. A block is straight, and its state is kept in the variables of the label: what a proof
//! in it lacks, `g >= 0`, is its own weakest precondition there (Dijkstra 1975). It is seldom kept
//! by the loop, so it is proposed with what strengthens it too: `g - l*h >= 0` for what is known,
//! `h >= 0`, where `l` takes a variable out of `g`, or makes it fall by as much each turn as `h`
//! does, so that the difference stays. Proposals are said of what registers and slots hold. The
//! function is explored again, and at each label those stay that hold on every way in (Houdini,
//! Flanagan and Leino 2001); what a way does not show is a goal of the block it comes from in the
//! next round.
//!
//! Cost: nothing where states are found without; else a few searches of the function, and at each
//! label two questions to the prover for each proposal, of which there are a bounded number.

use super::settle::Settle;
use super::{Inferred, LabelSite, contradicts, sized};
use crate::find::at_least;
use crate::flow;
use crate::flow::loops::Turns;
use crate::flow::tables::table_labels;
use crate::prove::{Known, declared, facts_of};
use num_integer::Integer;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::driver::{Flow, Target};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{Fact, FnId, Reg, Rel, Word};
use tal_write::{LabelState, state_at};

/// Searches of one function with more and more proposals.
pub(super) const ROUNDS: usize = 5;
/// Proposals of one label.
const PROPOSALS: usize = 48;
/// Those of one goal.
const OF_GOAL: usize = 12;
/// Those that differ in their constant only: joins find a better one.
const SAME_SHAPE: usize = 3;
/// Constants beyond are of no use, unless they come with the goal.
const FAR: i128 = 1 << 36;
/// Terms looked at for one goal.
const LOOKED_AT: usize = 256;
/// Facts that one proposal is made with.
const DEPTH: usize = 2;
/// Monomials of a proposal.
const MONOMIALS: usize = 6;
/// Variables of no state: what registers hold, then slots.
const PLACES: u16 = 1 << 15;
/// Instructions run again of one function.
const INSTRUCTIONS: usize = 1 << 14;

/// Proposals by label: each term, in what places hold, may be at least zero there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Goals(BTreeMap<u32, Proposals>);

/// What is proposed of one label.
#[derive(Clone, Debug, Default)]
struct Proposals {
    /// Each with how many proposals it rests on: zero for what a proof itself lacks.
    terms: Vec<(Term, u32)>,
    /// What a way into the label contradicts.
    wrong: Vec<Term>,
}

impl Goals {
    /// The proposals of a label, in the variables of the words that places hold there.
    pub(super) fn at(&self, label: u32, regs: &[Word; 16], slots: &[(i64, Word)]) -> Vec<Term> {
        let proposed = self.0.get(&label).into_iter().flat_map(|proposals| &proposals.terms);
        proposed.filter_map(|(term, _)| spoken(term, |place| held(place, regs, slots))).collect()
    }

    /// Adds what the states that were found lack. False if there is nothing new.
    pub(super) fn grow<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        id: FnId,
        range: (u32, u32),
        labels: &[LabelSite],
        found: &Inferred,
    ) -> bool {
        let image = judge.image;
        let own = &image.sigs[image.functions[id.0 as usize].sig as usize];
        let paths = flow::flow(image, judge.interface, range, own);
        let starts = labels.iter().map(|l| (l.offset, l.index)).collect();
        let mut walk = Walk { starts, left: INSTRUCTIONS, goals: Vec::new() };
        let mut new = false;
        if let Ok(state) = judge.entry_state(id) {
            // Nothing can be proposed there.
            walk.run(judge, (range.0, false), state, self);
            walk.goals.clear();
        }
        for site in labels {
            let Some(at) = found.labels.get(&site.index) else { continue };
            let Ok(state) = state_at(judge, id, at) else { continue };
            walk.run(judge, (site.offset, true), state, self);
            let turns = paths.turns.get(&site.offset);
            let matter = paths.matter.get(&site.offset).copied().unwrap_or(u16::MAX);
            let label = Label::new(judge, id, at, (turns, matter));
            let mut goals = std::mem::take(&mut walk.goals);
            let Some(label) = label else { continue };
            goals.sort_by_key(|goal| goal.rank);
            let mut seen: Vec<Term> = Vec::new();
            for Goal { state, term, rank } in goals {
                if seen.contains(&term) {
                    continue;
                }
                let state = sized(judge, &state);
                let known = Label::known(judge, &state);
                new |= self.propose(judge, site.index, &label, &known, (&term, rank));
                seen.push(term);
            }
        }
        new
    }

    /// Proposes what a goal rests on.
    fn propose<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        index: u32,
        label: &Label,
        known: &[Term],
        (goal, rank): (&Term, u32),
    ) -> bool {
        let proposed = self.0.entry(index).or_default();
        let (mut new, mut made) = (false, 0);
        for term in label.strengthened(goal, known) {
            if proposed.terms.len() >= PROPOSALS || made >= OF_GOAL >> rank.min(4) {
                break;
            }
            let Some(said) = label.said(&term) else { continue };
            let far = FAR.max(goal.constant().abs());
            let same = proposed.terms.iter().filter(|(old, _)| old.same_shape(&said));
            let again = proposed.terms.iter().any(|(old, _)| *old == said);
            if same.count() >= SAME_SHAPE
                || again
                || proposed.wrong.contains(&said)
                || term.constant().abs() > far
            {
                continue;
            }
            let known = judge.hints.known(&label.state);
            if known.holds(&at_least(term.clone())) || known.holds(&below(&term)) {
                continue;
            }
            proposed.terms.push((said, rank));
            (new, made) = (true, made + 1);
        }
        new
    }
}

/// Takes out what is a sum of the rest. A proposal may be stated because a state of the label shows
/// it, and not be shown on a way that was joined before.
pub(super) fn without_sums(state: &mut LabelState, fixed: usize, entry: &BTreeSet<Fact>) {
    let var = |i: u16| Var::Free(u16::try_from(fixed).unwrap_or(u16::MAX).saturating_add(i));
    let mut at = 0;
    while let Some(fact) = state.facts.get(at).cloned() {
        let mut rest = state.facts.clone();
        rest.remove(at);
        let mut known = declared(&state.vars, var, &rest);
        known.extend(entry.iter().cloned());
        if fact.rel == Rel::Ge && Known::new(&known).sums_to(&fact.term) {
            state.facts = rest;
        } else {
            at += 1;
        }
    }
}

/// What a place holds, as a number.
fn number(word: &Word) -> Option<&Term> {
    match word {
        Word::Int(term) | Word::Ptr(_, term) => Some(term),
        _ => None,
    }
}

/// The variable that stands for a register.
fn of_reg(reg: usize) -> Option<Var> {
    Some(Var::Free(PLACES + u16::try_from(reg).ok()?))
}

/// The variable that stands for a slot of the frame.
fn of_slot(at: i64) -> Option<Var> {
    let number = u16::try_from(at.checked_neg()?.checked_div(8)?).ok()?;
    Some(Var::Free(PLACES.checked_add(16)?.checked_add(number)?))
}

/// What the place of a variable holds.
fn held<'a>(place: u16, regs: &'a [Word; 16], slots: &'a [(i64, Word)]) -> Option<&'a Term> {
    match regs.get(usize::from(place)) {
        Some(word) => number(word),
        None => {
            let at = -8 * i64::from(place.checked_sub(16)?);
            let slot = slots.binary_search_by_key(&at, |slot| slot.0).ok()?;
            number(&slots.get(slot)?.1)
        }
    }
}

/// A term of places in the variables of what these hold; none if one of them holds no number.
fn spoken<'a>(term: &Term, held: impl Fn(u16) -> Option<&'a Term>) -> Option<Term> {
    let place = |v: Var| match v {
        Var::Free(i) => i.checked_sub(PLACES),
        _ => None,
    };
    let whole = term.vars().filter_map(place).all(|place| held(place).is_some());
    let term = whole.then(|| term.subst(&|v| held(place(v)?).cloned()).ok())??;
    (term.as_int().is_none()).then_some(term)
}

/// What a place holds of a variable: `factor * v + rest`.
struct Holds {
    place: Var,
    factor: i128,
    rest: Term,
    /// What each turn of the loop adds to `v`, times the factor; zero if that is not known.
    step: u64,
}

/// A label for which facts are proposed.
struct Label {
    state: State,
    fixed: usize,
    /// Where its variables are.
    places: BTreeMap<Var, Holds>,
}

impl Label {
    fn new<H: Settle>(
        judge: &mut Judge<'_, H>,
        id: FnId,
        at: &LabelState,
        (turns, matter): (Option<&Turns>, u16),
    ) -> Option<Self> {
        let fixed = judge.entry_state(id).ok()?.scope.len();
        let state = state_at(judge, id, at).ok()?;
        let state = sized(judge, &state);
        let mut label = Label { state, fixed, places: BTreeMap::new() };
        let regs = at.regs.iter().enumerate().filter(|(i, _)| *i != Reg::Rsp as usize);
        let regs = regs.filter(|(i, _)| matter >> i & 1 == 1);
        for (i, word) in regs {
            let step = turns.map_or(0, |turns| turns[i].step);
            label.place(of_reg(i), word, step);
        }
        for (offset, word) in &at.slots {
            label.place(of_slot(*offset), word, 0);
        }
        Some(label)
    }

    fn is_fixed(&self, v: Var) -> bool {
        matches!(v, Var::Free(i) if usize::from(i) < self.fixed)
    }

    fn place(&mut self, place: Option<Var>, word: &Word, step: u64) {
        let (Some(place), Some(term)) = (place, number(word)) else { return };
        let mut own = term.monomials().iter().filter(|m| {
            let (a, b) = m.atom.factors();
            !self.is_fixed(a) || b.is_some_and(|b| !self.is_fixed(b))
        });
        let (Some(one), None) = (own.next(), own.next()) else { return };
        let (v, None) = one.atom.factors() else { return };
        let rest = Term::from_parts(0, [one]).and_then(|part| term.sub(&part));
        let Ok(rest) = rest else { return };
        let factor = one.coefficient;
        if self.places.get(&v).is_none_or(|old| old.factor.abs() > factor.abs()) {
            self.places.insert(v, Holds { place, factor, rest, step });
        }
    }

    /// Is it a variable of the label, or of the function?
    fn says(&self, v: Var) -> bool {
        self.is_fixed(v) || self.places.contains_key(&v)
    }

    /// A term that is at least zero where this one is, in what places hold.
    fn said(&self, term: &Term) -> Option<Term> {
        let mut own: Vec<Var> = term.vars().filter(|v| !self.is_fixed(*v)).collect();
        own.sort_unstable();
        own.dedup();
        let mut said = term.clone();
        for v in own {
            let holds = self.places.get(&v)?;
            // factor * v = place - rest, in the term `factor` times over.
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for m in said.monomials() {
                let (a, b) = m.atom.factors();
                if a == v && b == Some(v) {
                    return None;
                }
                if a == v || b == Some(v) { with.push(m) } else { without.push(m) }
            }
            let times = holds.factor.abs();
            let with = Term::from_parts(0, with).ok()?.scale(holds.factor.signum()).ok()?;
            let value = Term::var(holds.place).sub(&holds.rest).ok()?;
            let with = with.subst(&|w| (w == v).then(|| value.clone())).ok()?;
            let without = Term::from_parts(said.constant(), without).ok()?.scale(times).ok()?;
            said = with.add(&without).ok()?;
        }
        reduced(&said)
    }

    /// What is known to be at least zero, in terms of this state.
    fn known<H: Settle>(judge: &mut Judge<'_, H>, state: &State) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        for fact in facts_of(state) {
            let negated = fact.term.scale(-1).ok();
            match fact.rel {
                Rel::Ge => terms.push(fact.term),
                Rel::Eq => terms.extend(negated.into_iter().chain([fact.term])),
                Rel::Ne => {
                    let sides = negated.into_iter().chain([fact.term]);
                    let known = judge.hints.known(state);
                    let sharp = sides.filter(|side| known.holds(&at_least(side.clone())));
                    terms.extend(sharp.filter_map(|side| side.plus(-1).ok()));
                }
            }
        }
        terms
    }

    /// Terms of which each is at least zero only where the goal is, as far as these facts hold: the
    /// plain ones first.
    fn strengthened(&self, goal: &Term, known: &[Term]) -> Vec<Term> {
        let mut all: Vec<(Term, usize)> = reduced(goal).map(|goal| (goal, 0)).into_iter().collect();
        let mut next = 0;
        while let Some((term, depth)) = all.get(next).cloned() {
            next += 1;
            if depth == DEPTH {
                continue;
            }
            for other in known {
                for (a, b) in self.factors(&term, other) {
                    // Of integers it is enough that `a * term > -a`.
                    let sum = term.scale(a).and_then(|t| t.plus(a - 1)?.add_scaled(other, -b));
                    let Some(sum) = sum.ok().and_then(|sum| reduced(&sum)) else { continue };
                    let fits = sum.as_int().is_none()
                        && sum.monomials().len() <= MONOMIALS
                        && !all.iter().any(|(t, _)| *t == sum);
                    if fits && all.len() < LOOKED_AT {
                        all.push((sum, depth + 1));
                    }
                }
            }
        }
        all.retain(|(term, _)| {
            term.vars().all(|v| self.says(v)) && !term.vars().all(|v| self.is_fixed(v))
        });
        all.sort_by_key(|(term, depth)| (*depth, term.monomials().len()));
        all.into_iter().map(|(term, _)| term).collect()
    }

    /// Positive factors `a` and `b` for which `a*term - b*other` lacks a variable, or is the same
    /// each turn.
    fn factors(&self, term: &Term, other: &Term) -> Vec<(i128, i128)> {
        let unsaid = term.vars().any(|v| !self.says(v));
        let mut factors: Vec<(i128, i128)> = Vec::new();
        let mut add = |a: i128, b: i128| {
            let gcd = a.gcd(&b).max(1);
            let pair = (a / gcd, b / gcd);
            if a > 0 && b > 0 && !factors.contains(&pair) {
                factors.push(pair);
            }
        };
        // A bound of one variable alone says little of another.
        let relates = other.monomials().len() > 1;
        for m in term.monomials() {
            let (x, y) = m.atom.factors();
            let goes = match unsaid {
                true => !self.says(x) || y.is_some_and(|y| !self.says(y)),
                false => relates,
            };
            let alike =
                |o: &Monomial| o.atom == m.atom && o.coefficient.signum() == m.coefficient.signum();
            if let Some(o) = other.monomials().iter().find(alike).filter(|_| goes) {
                add(o.coefficient.abs(), m.coefficient.abs());
            }
            if unsaid {
                continue;
            }
            // What steps by `step / factor` each turn.
            let step = |v: Var| {
                let holds = self.places.get(&v).filter(|holds| holds.step != 0)?;
                Some((i128::from(holds.step), holds.factor.abs()))
            };
            let Some((step_x, by_x)) = step(x).filter(|_| y.is_none()) else { continue };
            for o in other.monomials() {
                let (z, w) = o.atom.factors();
                let Some((step_z, by_z)) = step(z).filter(|_| w.is_none() && z != x) else {
                    continue;
                };
                // a * |cx| * step_x / by_x = b * |cz| * step_z / by_z
                let moves =
                    |c: i128, step: i128, by: i128| c.abs().checked_mul(step)?.checked_mul(by);
                let a = moves(o.coefficient, step_z, by_x);
                let b = moves(m.coefficient, step_x, by_z);
                if let (Some(a), Some(b)) = (a, b) {
                    add(a, b);
                }
            }
        }
        factors
    }
}

/// `term < 0`.
fn below(term: &Term) -> Fact {
    let negated = term.scale(-1).and_then(|term| term.plus(-1));
    at_least(negated.unwrap_or(Term::ZERO))
}

/// Divided by what its coefficients have in common: the same integers satisfy it.
fn reduced(term: &Term) -> Option<Term> {
    term.floor_div(term.gcd().max(1)).ok()
}

/// Blocks run again.
struct Walk {
    starts: BTreeMap<u32, u32>,
    /// How many instructions still may.
    left: usize,
    /// What the block that was run lacks.
    goals: Vec<Goal>,
}

/// What should be at least zero in a state.
struct Goal {
    state: State,
    term: Term,
    /// How many proposals it rests on.
    rank: u32,
}

impl Walk {
    /// Runs an extended basic block.
    fn run<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        (begin, is_label): (u32, bool),
        state: State,
        goals: &mut Goals,
    ) {
        let mut waiting = vec![(begin, state)];
        let mut edges: Vec<(u32, State)> = Vec::new();
        while let Some((mut offset, mut state)) = waiting.pop() {
            let from = offset;
            // What numbers could not be computed for, should that be what is missing later.
            let mut skipped: Vec<(State, Fact)> = Vec::new();
            loop {
                let inside = offset != from || from != begin || !is_label;
                if inside && let Some(label) = self.starts.get(&offset) {
                    edges.push((*label, state));
                    break;
                }
                let Some(left) = self.left.checked_sub(1) else { return };
                self.left = left;
                let before = state.clone();
                let flow = H::step(judge, &mut state, offset);
                let lacks = judge.hints.lacks();
                let flow = match flow {
                    Ok(flow) => flow,
                    Err(_) => {
                        let lacks = lacks.into_iter().map(|(fact, _)| (before.clone(), fact));
                        let all: Vec<_> = lacks.chain(skipped).collect();
                        for (state, fact) in all {
                            self.lack(&state, &fact);
                        }
                        break;
                    }
                };
                let optional = lacks.into_iter().filter(|(_, optional)| *optional);
                skipped.extend(optional.map(|(fact, _)| (before.clone(), fact)));
                match flow {
                    Flow::Next(next) | Flow::Jump(Target::Block(next)) => offset = next,
                    Flow::Jump(Target::Label(label)) => {
                        edges.push((label, state));
                        break;
                    }
                    Flow::Branch { cc, to, next } => {
                        let Ok((taken, falls)) = judge.branch(&state, cc) else { break };
                        match to {
                            Target::Label(label) => edges.push((label, taken)),
                            Target::Block(to) => waiting.push((to, taken)),
                            Target::Entry(_) => {}
                        }
                        (state, offset) = (falls, next);
                    }
                    Flow::Table { table, index } => {
                        for (place, label) in (0..).zip(table_labels(judge.image, table)) {
                            let mut state = state.clone();
                            if let Ok(term) = index.sub(&Term::int(place)) {
                                let _ = judge.learn(&mut state, Rel::Eq, term);
                            }
                            edges.push((label, state));
                        }
                        break;
                    }
                    Flow::Jump(Target::Entry(_)) | Flow::Return | Flow::Stop => break,
                }
            }
        }
        for (label, state) in edges {
            self.edge(judge, label, &state, !is_label, goals);
        }
    }

    /// A fact is missing in this state.
    fn lack(&mut self, state: &State, fact: &Fact) {
        let negated = fact.term.scale(-1).ok().filter(|_| fact.rel == Rel::Eq);
        let own = (fact.rel != Rel::Ne).then(|| fact.term.clone());
        let goal = |term| Goal { state: state.clone(), term, rank: 0 };
        self.goals.extend(own.into_iter().chain(negated).map(goal));
    }

    /// Proposals of a label that do not hold on this way into it.
    fn edge<H: Settle>(
        &mut self,
        judge: &mut Judge<'_, H>,
        label: u32,
        state: &State,
        from_entry: bool,
        goals: &mut Goals,
    ) {
        if !goals.0.contains_key(&label) || contradicts(judge, state) {
            return;
        }
        let state = sized(judge, state);
        let slots: Vec<(i64, Word)> = state.slots().map(|(at, word)| (at, word.clone())).collect();
        let Some(Proposals { terms, wrong }) = goals.0.get_mut(&label) else { return };
        terms.retain(|(said, rank)| {
            let Some(term) = spoken(said, |place| held(place, state.regs(), &slots)) else {
                return true;
            };
            let known = judge.hints.known(&state);
            if known.holds(&at_least(term.clone())) {
                return true;
            }
            let refuted = from_entry || known.holds(&below(&term));
            if refuted {
                wrong.push(said.clone());
            } else {
                self.goals.push(Goal { state: state.clone(), term, rank: rank + 1 });
            }
            !refuted
        });
    }
}
