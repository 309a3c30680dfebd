//! Not trusted: a bug here can reject, never admit. The facts of labels that some proof needs.
//!
//! Inference finds what holds at a label, not what is of use behind it. So the program is judged
//! once with everything, and each certificate tells which facts it rests on. A fact of a label is
//! needed where its block rests on it, and where the proof of a needed fact of another label does,
//! on a way there. What nothing needs is not written, nor are sizes drawn for it.

use crate::check::finder;
use crate::find::Finder;
use crate::lowered::Lowered;
use crate::prove::rest;
use crate::theta::{Space, Theta};
use std::collections::{BTreeMap, VecDeque};
use tal_core::counted::Rc;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints, Inst, Proof, Seen, Site, Start, Step};
use tal_core::image::{Image, Label};
use tal_core::judge::Judge;
use tal_core::learn::{Told, told};
use tal_core::prove::{by_bounds, shows};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Fact, Kind, LabelState, Rel, Sig};

/// What is to be written.
#[derive(Debug)]
pub struct Needed {
    /// The labels without the facts that nothing needs.
    pub labels: Vec<Label>,
    /// The ghosts that were found, so that they need not be searched for again.
    pub ghosts: Ghosts,
}

/// Ghosts, each with how many questions for one came before it.
pub type Ghosts = VecDeque<(usize, Ghost)>;

/// Judges the program and drops the facts of labels that nothing needs. Those that the source
/// states stay.
///
/// # Errors
/// When the judge refuses the program.
pub fn needed(lowered: &Lowered, labels: &[Label]) -> Result<Needed, Error> {
    let image = lowered.image(labels);
    let hints = Uses::new(finder(lowered, &image), &image);
    let mut judge = Judge::new(&image, &lowered.host.interface, hints, u64::MAX);
    judge.verify()?;
    let mut uses = judge.hints;
    for local in lowered.functions.iter().flat_map(|f| &f.labels) {
        let Some(written) = &local.state else { continue };
        let at = labels.binary_search_by_key(&local.offset, |l| l.offset);
        let Some(label) = at.ok().and_then(|at| u32::try_from(at).ok()) else { continue };
        let said = |fact: &Fact| written.facts.iter().any(|(f, _)| f == fact);
        uses.need(uses.facts_that(label, said));
    }
    let kept = labels.iter().zip(&uses.needed).map(|(label, needed)| only(label, needed)).collect();
    Ok(Needed { labels: kept, ghosts: uses.ghosts() })
}

/// The block of a label.
#[derive(Clone, Debug)]
struct Block {
    label: u32,
    /// Those of its facts that are facts of the state: number there, number in the label.
    numbers: BTreeMap<usize, u16>,
    /// Those that became bounds: of which variable.
    bounds: Vec<(Var, u16)>,
}

impl Block {
    /// As the judge learns what the signature and the label say.
    fn new(label: u32, sig: &Sig, state: &LabelState) -> Block {
        let mut block = Block { label, numbers: BTreeMap::new(), bounds: Vec::new() };
        let kinds = sig.vars.iter().chain(&state.vars);
        let mut now: Vec<Option<Bounds>> = kinds.map(Kind::bounds).collect();
        let mut next = 0;
        let own = (0..).map(Some).zip(&state.facts);
        for (own, fact) in sig.pre.facts.iter().map(|fact| (None, fact)).chain(own) {
            let index = |v: Var| match v {
                Var::Free(i) => usize::from(i),
                _ => usize::MAX,
            };
            let told = told(fact.rel, &fact.term, |v| now.get(index(v)).copied().flatten());
            match told {
                Told::Nothing => {}
                Told::Within(v, bounds) => {
                    if let Some(Some(old)) = now.get_mut(index(v)) {
                        *old = old.and(bounds);
                    }
                    block.bounds.extend(own.map(|own| (v, own)));
                }
                Told::Relation => {
                    block.numbers.extend(own.map(|own| (next, own)));
                    next += 1;
                }
            }
        }
        block
    }

    /// The number of a fact of the state when facts of the label are gone.
    fn behind_dropped(&self, number: u16, needed: &[bool]) -> u16 {
        let before = self.numbers.range(..usize::from(number));
        let gone = |own: &u16| needed.get(usize::from(*own)).is_some_and(|needed| !needed);
        let dropped = before.filter(|(_, own)| gone(own)).count();
        number.saturating_sub(u16::try_from(dropped).unwrap_or(u16::MAX))
    }
}

/// The label with these of its facts.
fn only(label: &Label, needed: &[bool]) -> Label {
    if needed.iter().all(|needed| *needed) {
        return label.clone();
    }
    let facts = label.state.facts.iter().zip(needed).filter(|(_, needed)| **needed);
    let facts = facts.map(|(fact, _)| fact.clone()).collect();
    let state = LabelState { facts, ..LabelState::clone(&label.state) };
    Label { offset: label.offset, state: state.into() }
}

/// What a proof may rest on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    /// A fact of a label, both by number.
    Fact(u32, u16),
    /// Sizes that were drawn: the number of the ghost.
    Sizes(usize),
}

/// A ghost that was found.
struct Found {
    /// How many questions came before.
    asked: usize,
    block: Option<Rc<Block>>,
    ghost: Ghost,
    /// Do we need it?
    needed: bool,
}

/// A finder that is watched.
struct Uses<'a> {
    finder: Finder<'a>,
    labels: &'a [Label],
    /// By label and fact: do we need it?
    needed: Vec<Vec<bool>>,
    /// What the proofs of the fact rest on, wherever they stand.
    rests: Vec<Vec<Vec<Place>>>,
    /// The one that runs, if it is a label's.
    block: Option<Rc<Block>>,
    /// Facts that certificates and ghosts drew: number in the state, what it rests on.
    drawn: Vec<(usize, Vec<Place>)>,
    /// Bounds that they narrowed: place in the trail, whose, what it rests on.
    narrowed: Vec<(usize, Var, Vec<Place>)>,
    /// The way to a label on which the judge is.
    way: Option<Way>,
    /// How often a ghost was asked for.
    asked: usize,
    found: Vec<Found>,
    /// What is being drawn: how many facts and narrowed bounds there were before, what it rests on.
    drawing: Option<(usize, usize, Vec<Place>)>,
}

/// A way into a label while it is being checked.
struct Way {
    label: u32,
    /// What is to be asked for the facts of the label, one after the other, and for which one.
    wanted: Vec<(Fact, u16)>,
    /// What was asked so far, with what the answers rest on.
    asked: Vec<(Fact, Vec<Place>)>,
    /// The next question belongs to the last one.
    open: bool,
}

impl<'a> Uses<'a> {
    fn new(finder: Finder<'a>, image: &'a Image<'a>) -> Self {
        let labels = image.labels.as_slice();
        let needed = labels.iter().map(|l| vec![false; l.state.facts.len()]).collect();
        let rests = labels.iter().map(|l| vec![Vec::new(); l.state.facts.len()]).collect();
        Uses {
            finder,
            labels,
            needed,
            rests,
            block: None,
            drawn: Vec::new(),
            narrowed: Vec::new(),
            way: None,
            asked: 0,
            found: Vec::new(),
            drawing: None,
        }
    }

    /// We need these, and what their proofs rest on.
    fn need(&mut self, mut places: Vec<Place>) {
        while let Some(place) = places.pop() {
            let Some(flag @ false) = self.flag(place) else { continue };
            *flag = true;
            if let Some(rests) = self.rests(place) {
                places.extend(std::mem::take(rests));
            }
        }
    }

    /// The fact of a label rests on these.
    fn rest(&mut self, fact: Place, on: Vec<Place>) {
        if self.is_needed(fact) {
            self.need(on);
        } else if let Some(rests) = self.rests(fact) {
            rests.extend(on);
        }
    }

    fn flag(&mut self, place: Place) -> Option<&mut bool> {
        match place {
            Place::Fact(label, fact) => {
                self.needed.get_mut(label as usize)?.get_mut(usize::from(fact))
            }
            Place::Sizes(ghost) => self.found.get_mut(ghost).map(|found| &mut found.needed),
        }
    }

    fn is_needed(&mut self, place: Place) -> bool {
        self.flag(place).is_some_and(|needed| *needed)
    }

    fn rests(&mut self, place: Place) -> Option<&mut Vec<Place>> {
        let Place::Fact(label, fact) = place else { return None };
        self.rests.get_mut(label as usize)?.get_mut(usize::from(fact))
    }

    /// What the fact of this number in the state rests on.
    fn behind(&self, number: usize) -> Vec<Place> {
        if let Some((_, on)) = self.drawn.iter().rfind(|(drawn, _)| *drawn == number) {
            return on.clone();
        }
        let Some(block) = &self.block else { return Vec::new() };
        let own = block.numbers.get(&number);
        own.map_or_else(Vec::new, |own| vec![Place::Fact(block.label, *own)])
    }

    /// What the bounds of the variables of a term rest on.
    fn behind_bounds(&self, term: &Term) -> Vec<Place> {
        let mut places = Vec::new();
        for v in term.vars() {
            if let Some(block) = &self.block {
                let own = block.bounds.iter().filter(|(of, _)| *of == v);
                places.extend(own.map(|(_, own)| Place::Fact(block.label, *own)));
            }
            let drawn = self.narrowed.iter().filter(|(_, of, _)| *of == v);
            places.extend(drawn.flat_map(|(_, _, on)| on.iter().copied()));
        }
        places
    }

    /// The facts of a label of which this holds.
    fn facts_that(&self, label: u32, is: impl Fn(&Fact) -> bool) -> Vec<Place> {
        let facts = self.labels.get(label as usize).map_or(&[][..], |l| &l.state.facts);
        let all = (0..).zip(facts).filter(|(_, fact)| is(fact));
        all.map(|(own, _)| Place::Fact(label, own)).collect()
    }

    fn behind_all(&self, numbers: &[u16]) -> Vec<Place> {
        let mut places: Vec<Place> =
            numbers.iter().flat_map(|n| self.behind(usize::from(*n))).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Of the facts that say the same, one that rests on nothing that may be dropped or that we
    /// need anyway, else the first.
    fn listed(&mut self, state: &State, says: impl Fn(&Fact) -> bool) -> Vec<Place> {
        let found = state.facts.iter().enumerate().filter(|(_, fact)| says(fact));
        let found: Vec<Vec<Place>> = found.map(|(number, _)| self.behind(number)).collect();
        let more = |on: &Vec<Place>| on.iter().filter(|at| !self.is_needed(**at)).count();
        found.into_iter().min_by_key(more).unwrap_or_default()
    }

    fn behind_step(&self, step: &Step) -> Vec<Place> {
        match step {
            Step::Bound(v, _) => self.behind_bounds(&Term::var(*v)),
            _ => self.behind_all(&premises(step)),
        }
    }

    /// The judge asked this, and the answer rests on these facts. `open`: it asks more for it.
    fn ask(&mut self, goal: Fact, on: Vec<Place>, open: bool) {
        let Some(way) = &mut self.way else { return self.need(on) };
        match way.asked.last_mut() {
            Some((_, all)) if way.open => all.extend(on),
            _ => way.asked.push((goal, on)),
        }
        way.open = open;
    }

    /// What was drawn is known now; what was cut is not any more.
    fn look(&mut self, state: &State) {
        self.drawn.retain(|(number, _)| *number < state.facts.len());
        self.narrowed.retain(|(at, ..)| *at < state.trail.len());
        let Some((facts, trail, on)) = self.drawing.take() else { return };
        self.drawn.extend((facts..state.facts.len()).map(|number| (number, on.clone())));
        for (at, narrowed) in state.trail.iter().enumerate().skip(trail) {
            self.narrowed.push((at, Var::Free(narrowed.variable), on.clone()));
        }
    }

    /// The ghosts that we need. Steps count facts, so where there are any, all stay.
    fn ghosts(self) -> Ghosts {
        let steps = self.found.iter().any(|found| matches!(found.ghost, Ghost::Step(_)));
        let (mut ghosts, mut dropped) = (Ghosts::new(), 0);
        for Found { asked, block, ghost, needed } in self.found {
            if !needed && !steps {
                dropped += 1;
                continue;
            }
            let ghost = match (ghost, block) {
                (Ghost::Step(step), Some(block)) => {
                    let needed = self.needed.get(block.label as usize);
                    let needed = needed.map_or(&[][..], Vec::as_slice);
                    Ghost::Step(renumbered(&step, |n| block.behind_dropped(n, needed)))
                }
                (ghost, _) => ghost,
            };
            ghosts.push_back((asked - dropped, ghost));
        }
        ghosts
    }

    /// The way is checked. What was asked for the facts of its label is known by its order; all
    /// else we need.
    fn arrive(&mut self) {
        let Some(Way { label, wanted, asked, .. }) = self.way.take() else { return };
        let here = |at: &usize| {
            let asked = asked.iter().skip(*at).map(|(goal, _)| goal);
            asked.take(wanted.len()).eq(wanted.iter().map(|(goal, _)| goal))
        };
        let last = asked.len().checked_sub(wanted.len());
        let mut places = (0..=last.unwrap_or(0)).filter(|_| last.is_some()).filter(here);
        // At two places, we cannot tell the two apart.
        let place = places.next().filter(|_| places.next().is_none());
        for (at, (_, on)) in asked.into_iter().enumerate() {
            let of = place.and_then(|place| wanted.get(at.checked_sub(place)?));
            match of {
                Some((_, fact)) => self.rest(Place::Fact(label, *fact), on),
                None => self.need(on),
            }
        }
    }
}

/// The facts whose numbers a step uses.
fn premises(step: &Step) -> Vec<u16> {
    let mut used = Vec::new();
    renumbered(step, |number| {
        used.push(number);
        number
    });
    used
}

/// The step with other numbers for its facts.
fn renumbered(step: &Step, mut to: impl FnMut(u16) -> u16) -> Step {
    match step {
        Step::Comb { premises, slack } => {
            let premises = premises.iter().map(|(fact, factor)| (to(*fact), *factor)).collect();
            Step::Comb { premises, slack: *slack }
        }
        Step::Cut { fact, divisor } => Step::Cut { fact: to(*fact), divisor: *divisor },
        Step::Neq { fact, positive } => Step::Neq { fact: to(*fact), positive: *positive },
        Step::Product(a, b) => Step::Product(to(*a), to(*b)),
        Step::Scale(fact, by) => Step::Scale(to(*fact), by.clone()),
        Step::Bound(v, end) => Step::Bound(*v, *end),
    }
}

/// The questions of [`Judge::prove`] about a fact.
fn questions(fact: Fact) -> Vec<Fact> {
    if fact.term.as_int().is_some() {
        return Vec::new();
    }
    match (fact.rel, fact.term.scale(-1)) {
        (Rel::Eq, Ok(opposite)) => {
            vec![Fact { rel: Rel::Ge, term: fact.term }, Fact { rel: Rel::Ge, term: opposite }]
        }
        _ => vec![fact],
    }
}

impl<'a> Forward for Uses<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn block(&mut self, start: Start, state: &State) -> Result<(), Error> {
        self.arrive();
        self.look(state);
        self.block = match start {
            // That of the label or entry from where it comes.
            Start::Block { .. } => self.block.take(),
            Start::Entry(_) => None,
            Start::Label(number) => self.labels.get(number as usize).and_then(|label| {
                let function = self.finder.function(label.offset);
                let sig = function.and_then(|f| self.finder.sig(f))?;
                Some(Rc::new(Block::new(number, sig, &label.state)))
            }),
        };
        self.finder.block(start, state)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.arrive();
        self.finder.end()
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        self.arrive();
        self.look(state);
        let answer = self.finder.ghost(state, site)?;
        if let Some(ghost) = &answer {
            let written = matches!(site, Site::At(at) if self.finder.written.contains_key(&at));
            let sizes = matches!(ghost, Ghost::SizeFacts { .. }) && !written;
            if sizes {
                let on = vec![Place::Sizes(self.found.len())];
                self.drawing = Some((state.facts.len(), state.trail.len(), on));
            }
            if let Ghost::Step(step) = ghost {
                self.need(self.behind_step(step));
            }
            let (asked, block, ghost) = (self.asked, self.block.clone(), ghost.clone());
            self.found.push(Found { asked, block, ghost, needed: !sizes });
        }
        self.asked += 1;
        Ok(answer)
    }

    fn seen(&mut self, state: &State, what: Seen<'_>) {
        self.look(state);
        let (rel, term, on) = match what {
            Seen::NotNegative(term) if by_bounds(state, term) => {
                (Rel::Ge, term, self.behind_bounds(term))
            }
            Seen::NotNegative(term) => {
                (Rel::Ge, term, self.listed(state, |fact| shows(fact, term)))
            }
            Seen::NotZero(term) => {
                let opposite = term.scale(-1).ok();
                let same = |t: &Term| t == term || Some(t) == opposite.as_ref();
                let on = self.listed(state, |fact| fact.rel == Rel::Ne && same(&fact.term));
                let on = if on.is_empty() { self.behind_bounds(term) } else { on };
                (Rel::Ne, term, on)
            }
            // No question of a fact.
            Seen::InRange(term) => return self.need(self.behind_bounds(term)),
        };
        self.ask(Fact { rel, term: term.clone() }, on, false);
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let proof = self.finder.prove(state, goal)?;
        self.look(state);
        let on = match &proof {
            Proof::Comb(comb) => {
                let premises: Vec<u16> = comb.premises.iter().map(|p| p.0).collect();
                let mut on = self.behind_all(&premises);
                if let Some(rest) = rest(&state.facts, &goal.term, comb) {
                    on.extend(self.behind_bounds(&rest));
                }
                on
            }
            Proof::Step(step) => self.behind_step(step),
        };
        let step = matches!(proof, Proof::Step(_));
        if step {
            self.drawing = Some((state.facts.len(), state.trail.len(), on.clone()));
        }
        self.ask(goal.clone(), on, step);
        Ok(proof)
    }

    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool, Error> {
        let side = self.finder.prove_ne(state, term)?;
        self.ask(Fact { rel: Rel::Ne, term: term.clone() }, Vec::new(), true);
        Ok(side)
    }

    fn label(
        &mut self,
        state: &State,
        to: u32,
        first: u16,
        declared: &LabelState,
    ) -> Result<Vec<Inst>, Error> {
        self.arrive();
        let values = self.finder.label(state, to, first, declared)?;
        let at = self.labels.binary_search_by_key(&to, |l| l.offset);
        if let Some(label) = at.ok().and_then(|at| u32::try_from(at).ok()) {
            let mut theta = Theta::new(Space::Free(first), declared.vars.clone());
            theta.values = values.iter().cloned().map(Some).collect();
            let facts = (0..).zip(&declared.facts).filter_map(|(i, f)| Some((i, theta.fact(f)?)));
            let wanted = facts.flat_map(|(i, f)| questions(f).into_iter().map(move |q| (q, i)));
            let wanted = wanted.collect();
            self.way = Some(Way { label, wanted, asked: Vec::new(), open: false });
        }
        Ok(values)
    }
}

/// A finder that may know the ghosts.
#[derive(Debug)]
pub struct Ready<'a> {
    finder: Finder<'a>,
    asked: usize,
    ghosts: Option<Ghosts>,
}

impl<'a> Ready<'a> {
    /// With what [`needed`] found for the same program, if it did.
    #[must_use]
    pub fn new(finder: Finder<'a>, ghosts: Option<Ghosts>) -> Self {
        Ready { finder, asked: 0, ghosts }
    }
}

impl<'a> Forward for Ready<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        let Some(ghosts) = &mut self.ghosts else { return self.finder.ghost(state, site) };
        self.finder.arrive(site);
        let next = ghosts.pop_front_if(|(asked, _)| *asked == self.asked);
        self.asked += 1;
        Ok(next.map(|(_, ghost)| ghost))
    }
}
