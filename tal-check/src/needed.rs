//! Not trusted: a bug here can reject, never admit. The facts of labels that some proof needs.
//!
//! Inference finds what holds at a label, not what is of use behind it. So the program is judged
//! once with everything, and each certificate tells which facts it rests on. A fact of a label is
//! needed where its block rests on it, and where the proof of a needed fact of another label does,
//! on a way there. What nothing needs is not written, nor are sizes drawn for it.

use crate::check::finder;
use crate::find::Finder;
use crate::lowered::Lowered;
use crate::theta::{Space, Theta};
use std::collections::VecDeque;
use std::ops::Range;
use tal_core::error::Error;
use tal_core::hint::{Comb, Forward, Ghost, Hints, Inst, Proof, Site, Start, Step};
use tal_core::image::{Image, Label};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Fact, LabelState, Rel};

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
        let facts = 0..u16::try_from(written.facts.len()).unwrap_or(u16::MAX);
        uses.need(facts.map(|fact| Place::Fact(label, fact)).collect());
    }
    let kept = labels.iter().zip(&uses.needed).map(|(label, needed)| only(label, needed)).collect();
    Ok(Needed { labels: kept, ghosts: uses.ghosts() })
}

/// The number of a fact of a state when facts of its label are gone.
fn behind_dropped(number: u16, first: usize, needed: &[bool]) -> u16 {
    let before = usize::from(number).saturating_sub(first);
    let dropped = needed.iter().take(before).filter(|needed| !**needed).count();
    number.saturating_sub(u16::try_from(dropped).unwrap_or(u16::MAX))
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
    /// The label whose block it is in, and where its facts stand in the state.
    block: Option<(u32, Range<usize>)>,
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
    /// The label whose block runs, and where its facts stand in the state.
    block: Option<(u32, Range<usize>)>,
    /// Facts that certificates and ghosts drew: number in the state, what it rests on.
    drawn: Vec<(usize, Vec<Place>)>,
    /// The way to a label on which the judge is.
    way: Option<Way>,
    /// How often a ghost was asked for.
    asked: usize,
    found: Vec<Found>,
    /// The sizes that are being drawn, and how many facts there were before.
    sizes: Option<(usize, usize)>,
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
            way: None,
            asked: 0,
            found: Vec::new(),
            sizes: None,
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
        let Some((label, facts)) = &self.block else { return Vec::new() };
        if !facts.contains(&number) {
            return Vec::new();
        }
        let fact = u16::try_from(number - facts.start);
        fact.map_or_else(|_| Vec::new(), |fact| vec![Place::Fact(*label, fact)])
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

    /// The judge asked this, and the answer rests on these facts. `open`: it asks more for it.
    fn ask(&mut self, goal: Fact, on: Vec<Place>, open: bool) {
        let Some(way) = &mut self.way else { return self.need(on) };
        match way.asked.last_mut() {
            Some((_, all)) if way.open => all.extend(on),
            _ => way.asked.push((goal, on)),
        }
        way.open = open;
    }

    /// The facts that sizes gave rest on their ghost.
    fn sized(&mut self, state: &State) {
        let Some((ghost, before)) = self.sizes.take() else { return };
        let drawn = (before..state.facts.len()).map(|number| (number, vec![Place::Sizes(ghost)]));
        self.drawn.extend(drawn);
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
                (Ghost::Step(step), Some((label, facts))) => {
                    let needed = self.needed.get(label as usize).map_or(&[][..], Vec::as_slice);
                    Ghost::Step(renumbered(&step, |n| behind_dropped(n, facts.start, needed)))
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
        Step::Neq { fact, other } => Step::Neq { fact: to(*fact), other: to(*other) },
        Step::Product(a, b) => Step::Product(to(*a), to(*b)),
        Step::Scale(fact, by) => Step::Scale(to(*fact), by.clone()),
    }
}

/// rule[prove-lookup].
fn implies(fact: &Fact, goal: &Term) -> bool {
    let same = fact.term.constant() <= goal.constant() && fact.term.same_shape(goal);
    match fact.rel {
        Rel::Ge => same,
        Rel::Eq => {
            let opposite = fact.term.scale(-1);
            let implied = |t: Term| t.constant() <= goal.constant() && t.same_shape(goal);
            same || opposite.is_ok_and(implied)
        }
        Rel::Ne => false,
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

    fn block(&mut self, start: Start) -> Result<(), Error> {
        self.arrive();
        self.drawn.clear();
        self.block = match start {
            Start::Entry(_) => None,
            Start::Label(number) => self.labels.get(number as usize).map(|label| {
                let function = self.finder.function(label.offset);
                let sig = function.and_then(|f| self.finder.sig(f));
                let first = sig.map_or(0, |sig| sig.pre.facts.len());
                (number, first..first + label.state.facts.len())
            }),
        };
        self.finder.block(start)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.arrive();
        self.finder.end()
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        self.arrive();
        self.drawn.retain(|(number, _)| *number < state.facts.len());
        self.sized(state);
        let answer = self.finder.ghost(state, site)?;
        if let Some(ghost) = &answer {
            let written = matches!(site, Site::At(at) if self.finder.written.contains_key(&at));
            let sizes = matches!(ghost, Ghost::SizeFacts { .. }) && !written;
            if sizes {
                self.sizes = Some((self.found.len(), state.facts.len()));
            }
            if let Ghost::Step(step) = ghost {
                self.need(self.behind_all(&premises(step)));
            }
            let (asked, block, ghost) = (self.asked, self.block.clone(), ghost.clone());
            self.found.push(Found { asked, block, ghost, needed: !sizes });
        }
        self.asked += 1;
        Ok(answer)
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let proof = self.finder.prove(state, goal)?;
        self.drawn.retain(|(number, _)| *number < state.facts.len());
        let on = match &proof {
            Proof::Lookup => self.listed(state, |fact| implies(fact, &goal.term)),
            Proof::Comb(Comb { premises, .. }) => {
                self.behind_all(&premises.iter().map(|p| p.0).collect::<Vec<_>>())
            }
            Proof::Step(step) => self.behind_all(&premises(step)),
        };
        let step = matches!(proof, Proof::Step(_));
        if step {
            self.drawn.push((state.facts.len(), on.clone()));
        }
        self.ask(goal.clone(), on, step);
        Ok(proof)
    }

    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<Option<bool>, Error> {
        let how = self.finder.prove_ne(state, term)?;
        let opposite = term.scale(-1).ok();
        let says =
            |f: &Fact| f.rel == Rel::Ne && (f.term == *term || Some(&f.term) == opposite.as_ref());
        let on = if how.is_none() { self.listed(state, says) } else { Vec::new() };
        self.ask(Fact { rel: Rel::Ne, term: term.clone() }, on, how.is_some());
        Ok(how)
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
