//! Not trusted: a bug here can reject, never admit. The finder: answers the judge's questions by
//! search.
//!
//! It is asked in the order in which the judge needs answers, with the state at that point, and
//! remembers nothing that it could not find again: the same question in the same state gets the
//! same answer. When it finds nothing it gives an answer that cannot be right, so that the judge
//! refuses with the rule that failed, and keeps in [`Finder::trouble`] what it looked for.
//!
//! Ghosts are planned in [`ghosts`] by trying: a second judge executes the instruction on a copy of
//! the state, and what it stumbles over says what to make.

use crate::flow;
use crate::lowered::GhostLine;
use crate::plan::Busy;
use crate::prove::{Given, Known};
use crate::unify::Sizes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tal_core::counted::Rc;
use tal_core::decode::{self, Op};
use tal_core::error::{Error, Kind as ErrorKind, Rule};
use tal_core::hint::{
    Comb, Forward, Ghost, Hints, Inst, Proof, Room, Seen, Site, Start, Template, Through,
};
use tal_core::image::{Image, Interface};
use tal_core::judge::{Judge, Own, range_goals};
use tal_core::state::Mark;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Cap, DataId, Entry, Fact, FnId, Guard, Kind, Mem, Mode, Region, Rel, Sig,
    View, Word,
};
use tal_core::ty::{Declared, Record};
use tal_core::walk::Opened;
use tal_write::{Label, Saved};

mod access;
mod cmov;
pub mod ghosts;
mod inherit;
mod same;
mod size;
mod target;

pub use access::{How, position};
pub(crate) use access::{at_least, data_view};
pub(crate) use size::width_of;
pub use target::Target;

/// What was looked for in vain, for the words of a diagnostic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// This fact does not follow from what is known.
    Fact(Fact),
    /// Nothing covers this access.
    Access {
        /// What the address is computed from.
        base: Base,
        /// Bytes from there.
        offset: Term,
        /// Bytes accessed.
        width: u32,
        /// Is it a store?
        store: bool,
        /// The bound that is missing, where one memory would otherwise do.
        bound: Option<Fact>,
    },
    /// Nothing in the state is, or can be made, this capability.
    Cap(Cap),
    /// Nothing in the state is, or can be made, this view.
    View(tal_core::ty::View),
    /// The variable of this index of the callee, label or post-state could not be determined.
    Variable(usize),
    /// An optional consequence that could not be drawn, for lack of this fact.
    Skipped(Fact),
    /// A conditional move has no template.
    Cmov,
}

/// Ghosts written in the source, by text offset: run at their place before any search.
pub type Written = BTreeMap<u32, Vec<GhostLine>>;

/// Answers by search.
#[derive(Debug)]
pub struct Finder<'a> {
    /// What is judged.
    pub image: &'a Image<'a>,
    /// What the host offers.
    pub interface: &'a Interface,
    /// The labels of the image with the states that were found.
    pub labels: &'a [Label],
    /// What was looked for in vain since the last instruction.
    pub trouble: Vec<Trouble>,
    /// Named types that the source mentions in an operand, by text offset of the instruction: the
    /// layout of memory that has none yet.
    pub layouts: BTreeMap<u32, tal_core::ty::TypeId>,
    /// Ghosts of the source, run at their place before any search.
    pub written: Written,
    /// The same on the way into the label at this offset from the instruction before it.
    pub(crate) falls: Written,
    /// Of functions that were asked about: offsets from which the program is sure to end.
    dead_ends: BTreeMap<FnId, BTreeSet<u32>>,
    pub(crate) site: Option<Site>,
    pub(crate) plan: Option<(Site, VecDeque<Ghost>)>,
    /// Regions made for a call at this offset, over when it is done.
    pub(crate) ends: BTreeMap<u32, Vec<Var>>,
    /// The rest of a certificate: what it proves, and how many steps the block has when it goes on.
    proof: Option<(Term, u32, VecDeque<Proof>)>,
    pub(crate) memo: Memo,
    /// On which scopes labels hang, if not on the root.
    pub(crate) scopes: Option<&'a crate::plan::Plan>,
    /// Scopes that were opened by running into a label: its offset, and how many were open before.
    fell: BTreeSet<(u32, usize)>,
    /// Of facts of records: which of the flat state they are.
    pub(crate) origins: BTreeMap<u32, Vec<Option<usize>>>,
    /// Labels that a way has led to, by offset.
    targets: BTreeMap<u32, std::rc::Rc<Target>>,
    /// If that is known: where ghosts are needed. Elsewhere none are planned.
    pub(crate) busy: Option<&'a Busy>,
    /// Are all sizes still to be drawn, behind an entry or a label on a scope? What is inherited
    /// leaves them out, and then no site behind it needs them that did not before.
    undrawn: bool,
    /// Where ghosts were planned.
    pub(crate) planned: Busy,
}

/// Certificates found, for what was known in the last few states.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// The latest last.
    known: Vec<Found>,
}

/// What was asked of one state.
#[derive(Debug)]
struct Found {
    known: Known,
    proofs: BTreeMap<Term, Option<Rc<Vec<Proof>>>>,
}

/// How many states are remembered: rehearsals go back and forth between a few.
const REMEMBERED: usize = 6;

impl Memo {
    /// The certificate of `goal >= 0`.
    fn prove(&mut self, st: &State, goal: &Term) -> Option<Rc<Vec<Proof>>> {
        let found = self.found(st);
        if let Some(known) = found.proofs.get(goal) {
            return known.clone();
        }
        let proof = found.known.prove(goal).map(Rc::new);
        found.proofs.insert(goal.clone(), proof.clone());
        proof
    }

    fn found(&mut self, st: &State) -> &mut Found {
        let at = match self.known.iter().rposition(|k| k.known.given().is_of(st)) {
            Some(at) => at,
            None => self.learn(st),
        };
        &mut self.known[at]
    }

    /// What follows from what is known in this state.
    pub(crate) fn known(&mut self, st: &State) -> &mut Known {
        &mut self.found(st).known
    }

    /// A new state. What followed on the way to it still follows, by the same certificate if that
    /// has no steps; what did not may follow now.
    fn learn(&mut self, st: &State) -> usize {
        let before = self.known.iter().rev().find(|k| k.known.given().leads_to(st));
        let proofs = before.map_or_else(BTreeMap::new, |k| {
            let kept = |p: &Option<Rc<Vec<Proof>>>| p.as_ref().is_some_and(|p| p.len() <= 1);
            k.proofs.iter().filter(|(_, p)| kept(p)).map(|(g, p)| (g.clone(), p.clone())).collect()
        });
        let mut known = before.map_or_else(Known::default, |k| k.known.clone());
        known.grow(Given::of(st));
        if self.known.len() == REMEMBERED {
            self.known.remove(0);
        }
        self.known.push(Found { known, proofs });
        self.known.len() - 1
    }
}

impl<'a> Finder<'a> {
    /// A finder for this image.
    #[must_use]
    pub fn new(image: &'a Image<'a>, interface: &'a Interface, labels: &'a [Label]) -> Self {
        Finder {
            image,
            interface,
            labels,
            trouble: Vec::new(),
            layouts: BTreeMap::new(),
            written: Written::new(),
            falls: Written::new(),
            dead_ends: BTreeMap::new(),
            site: None,
            plan: None,
            ends: BTreeMap::new(),
            proof: None,
            memo: Memo::default(),
            scopes: None,
            fell: BTreeSet::new(),
            origins: BTreeMap::new(),
            targets: BTreeMap::new(),
            busy: None,
            undrawn: false,
            planned: Busy::default(),
        }
    }

    /// Sizes, at the first instruction behind an entry or a label.
    fn draw_once(&mut self, st: &State, site: Site) -> Vec<Ghost> {
        if !self.undrawn || !matches!(site, Site::At(_)) {
            return Vec::new();
        }
        self.undrawn = false;
        ghosts::sizes(self, st, site)
    }

    /// The judge is at this site.
    pub(crate) fn arrive(&mut self, site: Site) {
        self.site = Some(site);
        self.trouble.clear();
    }

    /// The function that the instruction at this offset belongs to.
    #[must_use]
    pub fn function(&self, offset: u32) -> Option<FnId> {
        let after = self.image.functions.partition_point(|f| f.offset <= offset);
        u32::try_from(after.checked_sub(1)?).ok().map(FnId)
    }

    /// Is the program sure to end from here? Then what is owned may be lost.
    pub(crate) fn is_dead_end(&mut self, at: u32) -> bool {
        let Some(function) = self.function(at) else { return false };
        if !self.dead_ends.contains_key(&function) {
            let end = self.image.functions.get(function.0 as usize + 1).map(|next| next.offset);
            let end = end.or_else(|| u32::try_from(self.image.text.len()).ok());
            let start = self.image.functions.get(function.0 as usize).map(|own| own.offset);
            let own = start.zip(end).zip(self.sig(function));
            let ends =
                own.map(|(range, own)| flow::dead_ends(self.image, self.interface, range, own));
            self.dead_ends.insert(function, ends.unwrap_or_default());
        }
        self.dead_ends.get(&function).is_some_and(|ends| ends.contains(&at))
    }

    /// The signature of a function.
    #[must_use]
    pub fn sig(&self, f: FnId) -> Option<&'a Rc<Sig>> {
        let function = self.image.functions.get(usize::try_from(f.0).ok()?)?;
        self.image.sigs.get(usize::try_from(function.sig).ok()?)
    }

    /// The ghosts that the source writes before this instruction.
    pub(crate) fn written_at(&self, at: u32) -> Vec<GhostLine> {
        self.written.get(&at).cloned().unwrap_or_default()
    }

    /// Those that are written for this site.
    pub(crate) fn written_for(&self, site: Site) -> Option<&Vec<GhostLine>> {
        match site {
            Site::At(at) => self.written.get(&at),
            Site::Edge { from, to } if from == to => self.falls.get(&to),
            Site::Edge { .. } | Site::Return(_) | Site::CodeSub { .. } => None,
        }
    }

    /// Whose activation runs at this site.
    #[must_use]
    pub fn own(&self, site: Site) -> Option<Own> {
        let (Site::At(at)
        | Site::Edge { from: at, .. }
        | Site::CodeSub { from: at }
        | Site::Return(at)) = site;
        let f = self.function(at)?;
        Some(Own::function(Some(f), self.sig(f)?.clone()))
    }

    /// A second judge that shares this finder's answers, inserts no ghosts, and whose refusals
    /// mean nothing.
    pub(crate) fn judge(&mut self, own: Own) -> Judge<'a, Probe<'_, 'a>> {
        let (image, interface) = (self.image, self.interface);
        let hints = Probe(self);
        let mut judge = Judge::new(image, interface, hints, 0);
        (judge.fuel, judge.own) = (u64::MAX, own);
        judge
    }

    /// Does the fact follow?
    pub fn holds(&mut self, st: &State, fact: &Fact) -> bool {
        if let Some(c) = fact.term.as_int() {
            return match fact.rel {
                Rel::Ge => c >= 0,
                Rel::Eq => c == 0,
                Rel::Ne => c != 0,
            };
        }
        match fact.rel {
            Rel::Ge => self.memo.prove(st, &fact.term).is_some(),
            Rel::Eq => {
                let Ok(negated) = fact.term.scale(-1) else { return false };
                self.memo.prove(st, &fact.term).is_some() && self.memo.prove(st, &negated).is_some()
            }
            Rel::Ne => self.differs(st, &fact.term),
        }
    }

    /// `term >= 0`?
    pub fn ge(&mut self, st: &State, term: &Term) -> bool {
        self.holds(st, &Fact { rel: Rel::Ge, term: term.clone() })
    }

    /// `a = b`, identically or by proof?
    pub fn same(&mut self, st: &State, a: &Term, b: &Term) -> bool {
        a == b || a.sub(b).is_ok_and(|term| self.holds(st, &Fact { rel: Rel::Eq, term }))
    }

    /// `a <= b`?
    pub fn le(&mut self, st: &State, a: &Term, b: &Term) -> bool {
        b.sub(a).is_ok_and(|d| self.ge(st, &d))
    }

    /// On which side of zero the term is.
    fn side(&mut self, st: &State, term: &Term) -> Option<bool> {
        if term.plus(-1).is_ok_and(|t| self.ge(st, &t)) {
            return Some(true);
        }
        let negated = term.scale(-1).ok()?;
        negated.plus(-1).is_ok_and(|t| self.ge(st, &t)).then_some(false)
    }

    fn differs(&mut self, st: &State, term: &Term) -> bool {
        let Ok(negated) = term.scale(-1) else { return false };
        let listed = |f: &Fact| f.rel == Rel::Ne && (f.term == *term || f.term == negated);
        st.facts.iter().any(listed) || self.side(st, term).is_some()
    }

    /// Is the region live, as the function at the site sees it?
    pub(crate) fn live(&self, st: &State, region: Region) -> bool {
        match self.site.and_then(|s| self.own(s)) {
            Some(own) => own.live(region, st),
            None => region == Region::Always,
        }
    }

    fn answer_prove(&mut self, st: &State, goal: &Fact) -> Proof {
        if let Some((term, steps, rest)) = &mut self.proof
            && *term == goal.term
            && *steps == st.steps
            && let Some(next) = rest.pop_front()
        {
            *steps += u32::from(matches!(next, Proof::Step(_)));
            return next;
        }
        self.proof = None;
        let Some(found) = self.memo.prove(st, &goal.term) else {
            self.trouble.push(Trouble::Fact(goal.clone()));
            return nothing();
        };
        let mut rest: VecDeque<Proof> = found.iter().cloned().collect();
        let first = rest.pop_front().unwrap_or_else(nothing);
        let steps = st.steps + u32::from(matches!(first, Proof::Step(_)));
        if !rest.is_empty() {
            self.proof = Some((goal.term.clone(), steps, rest));
        }
        first
    }

    /// Is it a jump table that asks? Then the fact is what its entry says of the index, and true.
    fn enters_table(&self, goals: &[Fact]) -> bool {
        let Some(Site::At(at) | Site::Edge { from: at, .. }) = self.site else { return false };
        matches!(goals, [Fact { rel: Rel::Eq, .. }])
            && decode::decode(self.image, at)
                .is_ok_and(|d| matches!(d.op, Op::Flow(decode::Flow::JmpTable(_))))
    }

    fn answer_want(&mut self, st: &State, goals: &[Fact]) -> bool {
        if self.enters_table(goals) {
            return true;
        }
        for goal in goals {
            if !self.holds(st, goal) {
                self.trouble.push(Trouble::Skipped(goal.clone()));
                return false;
            }
        }
        true
    }

    fn answer_element(&mut self, at: &Term, size: u32) -> (Term, u32) {
        position(at, size).unwrap_or((Term::ZERO, 0))
    }

    fn answer_take(&mut self, st: &State, wanted: &Cap) -> u16 {
        let exact = st.caps.iter().position(|c| c == wanted);
        let found = exact.or_else(|| st.caps.iter().position(|c| self.fits_cap(st, c, wanted)));
        let found = found.or_else(|| self.nullable_cap(st, wanted));
        match found.and_then(|i| u16::try_from(i).ok()) {
            Some(i) => i,
            None => {
                self.trouble.push(Trouble::Cap(wanted.clone()));
                u16::MAX
            }
        }
    }

    /// An own field that may be null takes the entry that exists where the name is an address.
    fn nullable_cap(&mut self, st: &State, wanted: &Cap) -> Option<usize> {
        let Cap::Entry(e) = wanted else { return None };
        if !e.guards.is_empty() {
            return None;
        }
        let guards = vec![Guard::IsAddress(e.name)];
        let guarded = Cap::Entry(Entry { guards, ..e.clone() });
        st.caps.iter().position(|c| self.fits_cap(st, c, &guarded))
    }

    fn answer_view(&mut self, st: &State, wanted: &View) -> Through {
        if let Base::Data(d) = wanted.base
            && self.data_view(d).is_some_and(|v| v == *wanted)
        {
            return Through::Data(d);
        }
        let exact = st.views.iter().position(|v| v == wanted);
        let found = exact.or_else(|| st.views.iter().position(|v| self.alike_view(st, v, wanted)));
        match found.and_then(|i| u16::try_from(i).ok()) {
            Some(i) => Through::View(i),
            None => {
                self.trouble.push(Trouble::View(wanted.clone()));
                Through::View(u16::MAX)
            }
        }
    }

    /// The object that an absolute address speaks of: the one that holds all its possible values,
    /// or the least of them; failing that the one its constant part lies in or before.
    fn answer_data(&mut self, st: &State, address: &Term) -> DataId {
        let data = &self.image.data;
        let holding = |c: i128| {
            data.iter().position(|d| {
                let low = i128::from(d.address);
                low <= c && c < low + i128::from(d.size.max(1))
            })
        };
        let found = match address.as_int() {
            Some(c) => holding(c),
            None => {
                let known = self.memo.known(st);
                let low = known.lower_bound(address);
                let high = address.scale(-1).ok();
                let high = high.and_then(|t| known.lower_bound(&t)).map(|h| -h);
                let (a, z) = (low.and_then(holding), high.and_then(holding));
                // An index that runs to the end, or from before the start, is inside at one end.
                match (a, z) {
                    (Some(a), Some(z)) if a != z => holding(address.constant()).or(Some(a)),
                    (a, z) => a.or(z),
                }
            }
        };
        let after = || data.iter().position(|d| i128::from(d.address) > address.constant());
        let found = found.or_else(|| holding(address.constant())).or_else(after);
        DataId(found.and_then(|i| u16::try_from(i).ok()).unwrap_or(u16::MAX))
    }

    /// Are the two equal but for terms that are equal?
    pub(crate) fn fits_cap(&mut self, st: &State, have: &Cap, want: &Cap) -> bool {
        match (have, want) {
            (Cap::Entry(a), Cap::Entry(b)) => {
                a.name == b.name
                    && a.guards == b.guards
                    && self.same(st, &a.offset, &b.offset)
                    && self.alike(st, &a.mem, &b.mem)
            }
            (Cap::Token(r, a), Cap::Token(s, b)) => r == s && a.name == b.name,
            _ => false,
        }
    }
}

impl Sizes for Finder<'_> {
    fn size(&self, mem: &Mem) -> Option<Term> {
        size::size(self.image, self.interface, mem)
    }
}

/// The answers of a finder without its ghosts.
#[derive(Debug)]
pub(crate) struct Probe<'f, 'a>(pub(crate) &'f mut Finder<'a>);

impl<'a> Forward for Probe<'_, 'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        self.0
    }

    /// A probe looks into the middle of a block.
    fn block(&mut self, _: Start, _: &State) -> Result<(), Error> {
        Ok(())
    }

    fn ghost(&mut self, _: &State, _: Site) -> Result<Option<Ghost>, Error> {
        Ok(None)
    }
}

impl Hints for Finder<'_> {
    fn block(&mut self, start: Start, _: &State) -> Result<(), Error> {
        if let Start::Block { from, to } = start {
            // What the condition says is asked for here.
            self.site = Some(Site::Edge { from, to });
        }
        self.plan = None;
        let draws = self.scopes.is_some() || self.busy.is_some_and(|busy| busy.written);
        self.undrawn = draws && !matches!(start, Start::Block { .. });
        self.ends.clear();
        self.trouble.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn worked(&mut self, _: usize) {}

    fn seen(&mut self, _: &State, what: Seen<'_>) {
        // The steps were enough: what was left of the certificate is for nobody else.
        let done = |(goal, ..): &(Term, u32, VecDeque<Proof>)| what == Seen::NotNegative(goal);
        if self.proof.as_ref().is_some_and(done) {
            self.proof = None;
        }
    }

    fn ghost(&mut self, st: &State, site: Site) -> Result<Option<Ghost>, Error> {
        if self.plan.as_ref().is_none_or(|(planned, _)| *planned != site) {
            self.arrive(site);
            let ghosts = match self.busy {
                Some(busy) if busy.written => {
                    let drawn = self.draw_once(st, site);
                    ghosts::as_written(self, st, site, drawn)
                }
                Some(busy) if !busy.has(site) => self.draw_once(st, site),
                _ => ghosts::plan(self, st, site),
            };
            self.planned.add(site, &ghosts);
            self.plan = Some((site, ghosts.into()));
        }
        let next = self.plan.as_mut().and_then(|(_, queue)| queue.pop_front());
        if next.is_none() {
            self.plan = None;
        }
        Ok(next)
    }

    fn prove(&mut self, st: &State, goal: &Fact) -> Result<Proof, Error> {
        Ok(self.answer_prove(st, goal))
    }

    fn prove_ne(&mut self, st: &State, term: &Term) -> Result<bool, Error> {
        let side = self.side(st, term);
        if side.is_none() {
            self.trouble.push(Trouble::Fact(Fact { rel: Rel::Ne, term: term.clone() }));
        }
        Ok(side.unwrap_or(true))
    }

    fn in_range(&mut self, st: &State, term: &Term, bits: u8, signed: bool) -> Result<bool, Error> {
        Ok(range_goals(term, bits, signed).is_ok_and(|g| self.answer_want(st, &g)))
    }

    fn want(&mut self, st: &State, goals: &[Fact]) -> Result<bool, Error> {
        Ok(self.answer_want(st, goals))
    }

    fn access(
        &mut self,
        st: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Error> {
        Ok(self.answer_access(st, base, offset, width, store))
    }

    fn element(
        &mut self,
        _: &State,
        at: &Term,
        size: u32,
        _: &Term,
        _: u32,
    ) -> Result<(Term, u32), Error> {
        Ok(self.answer_element(at, size))
    }

    fn call(&mut self, st: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
        ghosts::answer_call(self, st, sig)
    }

    fn post(
        &mut self,
        st: &State,
        _: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error> {
        ghosts::answer_post(self, st, kinds, post)
    }

    fn spare(&mut self, _: Room) {}

    fn parent(&mut self, _: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        Ok(self.parent_of(to, chain))
    }

    fn record(
        &mut self,
        st: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        let target = Target::new(to, Saved::of(st, parent), self.record_of(st, to, parent)?);
        record.clone_from(&target.record);
        self.targets.insert(to, std::rc::Rc::new(target));
        Ok(())
    }

    fn label(
        &mut self,
        st: &State,
        to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>, Error> {
        let target = Target::new(to, Saved::of(st, parent), tal_write::owned(record));
        ghosts::answer_label(self, st, &target)
    }

    fn cmov(&mut self, st: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        self.answer_cmov(st, moved, kept)
    }

    fn take(&mut self, st: &State, wanted: &Cap) -> Result<u16, Error> {
        Ok(self.answer_take(st, wanted))
    }

    fn view(&mut self, st: &State, wanted: &View) -> Result<Through, Error> {
        Ok(self.answer_view(st, wanted))
    }

    fn data(&mut self, st: &State, address: &Term) -> Result<DataId, Error> {
        Ok(self.answer_data(st, address))
    }

    fn range_facts(&mut self, st: &State, facts: &[Fact]) -> Result<bool, Error> {
        // Room is kept for what rows, edges and certificates add.
        Ok(st.facts.len() + facts.len() < tal_core::limits::FACTS - 80)
    }
}

/// A certificate of nothing: the goal itself must be what is left of it.
fn nothing() -> Proof {
    Proof::Comb(Comb { scale: 1, premises: Vec::new() })
}

/// The refusal of a question that has no answer at all.
pub(crate) fn unknown(rule: Rule) -> Error {
    Error::new(rule, ErrorKind::BadHint)
}

/// May memory in this mode be written?
pub(crate) fn writes(mode: Mode) -> bool {
    mode == Mode::Rw
}
