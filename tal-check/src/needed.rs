//! Not trusted: a bug here can reject, never admit. The facts of labels that some proof needs.
//!
//! Inference finds what holds at a label, not what is of use behind it. So the program is judged
//! once with everything, and each certificate tells which facts it rests on. A fact of a label is
//! needed where its block rests on it, and where the proof of a needed fact of another label does,
//! on a way there. What nothing needs is not written, nor are sizes drawn for it.

use crate::find::Finder;
use crate::lowered::Lowered;
use crate::part::Part;
use crate::plan::Plan;
use crate::prove::rest;
use crate::unify::{Space, Theta};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints, Inst, Proof, Seen, Site, Start, Step};
use tal_core::learn::{Told, told};
use tal_core::prove::{by_bounds, shows};
use tal_core::state::{Mark, Scope, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Declared, Fact, Kind, Record, Rel};
use tal_core::walk::Opened;
use tal_write::{Label, LabelState};

/// What is to be written.
#[derive(Debug)]
pub struct Needed {
    /// The labels without the facts that nothing needs.
    pub labels: Vec<Label>,
    /// By offset: on which scope a label hangs, and what it declares there.
    pub(crate) records: Records,
    /// The ghosts that were found, so that they need not be searched for again.
    pub ghosts: Ghosts,
}

/// By offset of the label: the answers of [`Hints::parent`] and [`Hints::record`].
pub type Records = BTreeMap<u32, (u32, Record)>;

/// Ghosts, each with how many questions for one came before it.
pub type Ghosts = VecDeque<(usize, Ghost)>;

/// Judges the program, its labels on the root, and drops the facts of labels that nothing needs.
/// Those that the source states stay.
///
/// # Errors
/// When the judge refuses the program.
pub fn needed(lowered: &Lowered, labels: &[Label]) -> Result<Needed, Error> {
    let image = lowered.image(labels);
    let part = Part { lowered, image: &image, functions: &lowered.ids() };
    needed_on(part, labels, &Plan::default())
}

/// The same for some functions with the labels on these scopes.
///
/// # Errors
/// When the judge refuses one of them.
pub(crate) fn needed_on(part: Part<'_>, labels: &[Label], plan: &Plan) -> Result<Needed, Error> {
    let mut finder = part.finder(labels);
    finder.scopes = Some(plan);
    finder.busy = plan.busy.as_ref();
    let mut uses = part.judge(Uses::new(finder, labels))?;
    for local in part.lowered.some(part.functions).flat_map(|(_, f)| &f.labels) {
        let Some(written) = &local.state else { continue };
        let at = labels.binary_search_by_key(&local.offset, |l| l.offset);
        let Some(label) = at.ok().and_then(|at| u32::try_from(at).ok()) else { continue };
        let said = |fact: &Fact| written.facts.iter().any(|(f, _)| f == fact);
        uses.need(uses.facts_that(label, said));
    }
    let mut kept = Vec::with_capacity(labels.len());
    let mut records = BTreeMap::new();
    let asked = std::mem::take(&mut uses.records);
    for (label, needed) in (0..).zip(&uses.needed) {
        let Some(flat) = labels.get(label as usize) else { continue };
        let origins = uses.finder.origins.get(&flat.offset);
        kept.push(only(flat, needed, origins.map(Vec::as_slice)));
        if let Some((parent, first, record)) = asked.get(&label) {
            let facts = record.facts.iter().zip(needed).filter(|(_, needed)| **needed);
            let facts = facts.map(|(fact, _)| fact.clone()).collect();
            let record = settled(Record { facts, ..record.clone() }, *first);
            records.insert(flat.offset, (*parent, record));
        }
    }
    Ok(Needed { labels: kept, records, ghosts: uses.ghosts() })
}

/// What is known of an own variable alone is declared with it.
fn settled(mut record: Record, first: u16) -> Record {
    record.facts.retain(|fact| {
        let own = |v: Var| match v {
            Var::Free(i) => i.checked_sub(first).map(usize::from),
            _ => None,
        };
        let now = |v: Var| own(v).and_then(|i| record.vars.get(i)?.bounds());
        let Told::Within(v, bounds) = told(fact.rel, &fact.term, now) else { return true };
        match own(v).and_then(|i| record.vars.get_mut(i)) {
            Some(Kind::Int(old)) => {
                *old = old.and(bounds);
                false
            }
            _ => true,
        }
    });
    record
}

/// A fact of a label among those of a state: its number there, and whose it is.
type Listed = (usize, Place);

/// The label with these of its facts. `origins`: which they are of those, if not all.
fn only(label: &Label, needed: &[bool], origins: Option<&[Option<usize>]>) -> Label {
    let number = |i: usize| match origins {
        Some(origins) => origins.iter().position(|origin| *origin == Some(i)),
        None => Some(i),
    };
    // What the scope says is known without being said.
    let kept = |i: usize| number(i).is_none_or(|i| needed.get(i).is_none_or(|needed| *needed));
    let facts = label.state.facts.iter().enumerate().filter(|(i, _)| kept(*i));
    let facts = facts.map(|(_, fact)| fact.clone()).collect();
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
    /// The facts of labels that were in scope.
    listed: Rc<Vec<Listed>>,
    ghost: Ghost,
    /// Do we need it?
    needed: bool,
}

/// A finder that is watched.
struct Uses<'a> {
    finder: Finder<'a>,
    labels: &'a [Label],
    /// By label: what was answered for it, and the number of its first own variable.
    records: BTreeMap<u32, (u32, u16, Record)>,
    /// By label and fact: do we need it?
    needed: Vec<Vec<bool>>,
    /// What the proofs of the fact rest on, wherever they stand.
    rests: Vec<Vec<Vec<Place>>>,
    /// On which scope the label hangs whose record is asked for next.
    parent: u32,
    /// The facts of labels that are in scope.
    listed: Rc<Vec<Listed>>,
    /// A label begins, and its facts are listed but not all learned yet.
    begins: bool,
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
    fn new(finder: Finder<'a>, labels: &'a [Label]) -> Self {
        Uses {
            finder,
            labels,
            records: BTreeMap::new(),
            needed: vec![Vec::new(); labels.len()],
            rests: vec![Vec::new(); labels.len()],
            parent: 0,
            listed: Rc::default(),
            begins: false,
            drawn: Vec::new(),
            narrowed: Vec::new(),
            way: None,
            asked: 0,
            found: Vec::new(),
            drawing: None,
        }
    }

    fn label_at(&self, at: u32) -> Option<u32> {
        let label = self.labels.binary_search_by_key(&at, |l| l.offset).ok()?;
        u32::try_from(label).ok()
    }

    /// A label begins: the judge learns what it says, as it does here.
    fn begin(&mut self, label: u32, state: &State) {
        let Some((_, _, record)) = self.records.get(&label) else { return };
        let bounds = |s: &Scope| matches!(s.kind, Kind::Int(_)).then_some(s.bounds);
        let mut now: Vec<Option<Bounds>> = state.scope.iter().map(bounds).collect();
        now.extend(record.vars.iter().map(Kind::bounds));
        let (mut next, mut trail) = (state.facts.len(), state.trail_len());
        let mut listed = Vec::new();
        for (own, fact) in (0..).zip(&record.facts) {
            let index = |v: Var| match v {
                Var::Free(i) => usize::from(i),
                _ => usize::MAX,
            };
            let place = Place::Fact(label, own);
            match told(fact.rel, &fact.term, |v| now.get(index(v)).copied().flatten()) {
                Told::Nothing => {}
                Told::Within(v, bounds) => {
                    if let Some(Some(old)) = now.get_mut(index(v))
                        && old.and(bounds) != *old
                    {
                        *old = old.and(bounds);
                        self.narrowed.push((trail, v, vec![place]));
                        trail += 1;
                    }
                }
                Told::Relation => {
                    listed.push((next, place));
                    next += 1;
                }
            }
        }
        Rc::make_mut(&mut self.listed).extend(listed);
        self.begins = true;
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
        let own = self.listed.iter().rfind(|(listed, _)| *listed == number);
        own.map_or_else(Vec::new, |(_, own)| vec![*own])
    }

    /// What the bounds of the variables of a term rest on.
    fn behind_bounds(&self, term: &Term) -> Vec<Place> {
        let mut places = Vec::new();
        for v in term.vars() {
            let drawn = self.narrowed.iter().filter(|(_, of, _)| *of == v);
            places.extend(drawn.flat_map(|(_, _, on)| on.iter().copied()));
        }
        places
    }

    /// The facts of a label of which this holds.
    fn facts_that(&self, label: u32, is: impl Fn(&Fact) -> bool) -> Vec<Place> {
        let facts = self.records.get(&label).map_or(&[][..], |(_, _, record)| &record.facts);
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
        if self.begins {
            return;
        }
        self.drawn.retain(|(number, _)| *number < state.facts.len());
        self.narrowed.retain(|(at, ..)| *at < state.trail_len());
        if self.listed.iter().any(|(number, _)| *number >= state.facts.len()) {
            Rc::make_mut(&mut self.listed).retain(|(number, _)| *number < state.facts.len());
        }
        let Some((facts, trail, on)) = self.drawing.take() else { return };
        self.drawn.extend((facts..state.facts.len()).map(|number| (number, on.clone())));
        for (at, variable, _) in state.narrowed(trail) {
            self.narrowed.push((at, Var::Free(variable), on.clone()));
        }
    }

    /// The ghosts that we need. Steps count facts, so where there are any, all stay.
    fn ghosts(self) -> Ghosts {
        let steps = self.found.iter().any(|found| matches!(found.ghost, Ghost::Step(_)));
        let (mut ghosts, mut dropped) = (Ghosts::new(), 0);
        for Found { asked, listed, ghost, needed } in self.found {
            if !needed && !steps {
                dropped += 1;
                continue;
            }
            let ghost = match ghost {
                Ghost::Step(step) => {
                    let gone = |place: &Place| match place {
                        Place::Fact(label, fact) => {
                            let label = self.needed.get(*label as usize);
                            label.and_then(|l| l.get(usize::from(*fact))) == Some(&false)
                        }
                        Place::Sizes(_) => false,
                    };
                    Ghost::Step(renumbered(&step, |n| {
                        let before = listed.iter().filter(|(at, _)| *at < usize::from(n));
                        let dropped = before.filter(|(_, place)| gone(place)).count();
                        n.saturating_sub(u16::try_from(dropped).unwrap_or(u16::MAX))
                    }))
                }
                ghost => ghost,
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
        match start {
            Start::Block { .. } => {}
            Start::Entry(_) => self.listed = Rc::default(),
            Start::Label(label) => {
                let at = self.finder.image.labels.get(label as usize);
                if let Some(label) = at.and_then(|at| self.label_at(*at)) {
                    self.begin(label, state);
                }
            }
        }
        self.finder.block(start, state)
    }

    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        self.arrive();
        self.parent = self.finder.parent(state, to, chain)?;
        Ok(self.parent)
    }

    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        self.finder.record(state, to, parent, record)?;
        if let Some(label) = self.label_at(to) {
            let facts = record.facts.len();
            if let Some(needed) = self.needed.get_mut(label as usize) {
                needed.resize(facts, false);
            }
            if let Some(rests) = self.rests.get_mut(label as usize) {
                rests.resize(facts, Vec::new());
            }
            self.records.insert(label, (self.parent, parent.first()?, record.clone()));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.arrive();
        self.finder.end()
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        self.arrive();
        self.begins = false;
        self.look(state);
        let answer = self.finder.ghost(state, site)?;
        if let Some(ghost) = &answer {
            let written = matches!(site, Site::At(at) if self.finder.written.contains_key(&at));
            let sizes = matches!(ghost, Ghost::SizeFacts { .. }) && !written;
            if sizes {
                let on = vec![Place::Sizes(self.found.len())];
                self.drawing = Some((state.facts.len(), state.trail_len(), on));
            }
            if let Ghost::Step(step) = ghost {
                self.need(self.behind_step(step));
            }
            let (asked, listed, ghost) = (self.asked, Rc::clone(&self.listed), ghost.clone());
            self.found.push(Found { asked, listed, ghost, needed: !sizes });
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
            self.drawing = Some((state.facts.len(), state.trail_len(), on.clone()));
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
        parent: &Mark,
        declared: Declared<'_>,
    ) -> Result<Vec<Inst>, Error> {
        self.arrive();
        let values = self.finder.label(state, to, parent, declared)?;
        if let Some(label) = self.label_at(to) {
            let mut theta = Theta::new(Space::Free(parent.first()?), declared.vars.to_vec());
            theta.values = values.iter().cloned().map(Some).collect();
            let facts = (0..).zip(declared.facts).filter_map(|(i, f)| Some((i, theta.fact(f)?)));
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
    /// On which scope the label hangs whose record is asked for next.
    parent: u32,
    /// What is known of labels, and what was answered.
    records: Records,
    ghosts: Option<Ghosts>,
}

impl<'a> Ready<'a> {
    /// With what [`needed`] found for the same program, if it did.
    #[must_use]
    pub(crate) fn new(finder: Finder<'a>, known: Option<(Records, Ghosts)>) -> Self {
        let (records, ghosts) = known.unzip();
        Ready { finder, asked: 0, parent: 0, records: records.unwrap_or_default(), ghosts }
    }

    /// What was answered of labels.
    pub(crate) fn records(self) -> Records {
        self.records
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

    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        self.parent = match self.records.get(&to) {
            Some((parent, _)) => *parent,
            None => self.finder.parent(state, to, chain)?,
        };
        Ok(self.parent)
    }

    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        if let Some((_, known)) = self.records.get(&to) {
            record.clone_from(known);
            return Ok(());
        }
        self.finder.record(state, to, parent, record)?;
        self.records.insert(to, (self.parent, record.clone()));
        Ok(())
    }
}
