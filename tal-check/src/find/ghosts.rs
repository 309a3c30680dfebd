//! Not trusted: a bug here can reject, never admit. Ghosts, by planning.
//!
//! One engine makes a wanted thing available: [`Planner::make`] an entry of a type at a place,
//! [`Planner::lend`] a view, [`Planner::reach`] an access. Each works backward from what is wanted
//! to what there is, one ghost at a time, each tried at once by the judge on a copy of the state.
//! What an instruction, call, return or label wants is read off its declared state.

use crate::find::{Finder, Trouble};
use std::collections::{BTreeSet, VecDeque};
use tal_core::decode::{self, Decoded, Flow, Op};
use tal_core::driver::Target;
use tal_core::error::{Error, Kind as ErrorKind};
use tal_core::hint::{Ghost, Site, Through};
use tal_core::judge::{Judge, Own, Result};
use tal_core::limits;
use tal_core::rules::apply::Callee;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Fact, Mem, Rel};

mod establish;
mod lend;
mod make;
pub(crate) use establish::{read_label, regions};
mod reach;
mod stated;
mod tidy;
mod written;

pub(crate) use establish::{answer_call, answer_label, answer_post};
pub use stated::{Fit, Lack, Unfit, fit, shape};
pub use tidy::{learn_sizes, reshape, settle, unlend};

/// How deep making one thing may need another.
const DEPTH: u8 = 12;

/// A copy of the state with the ghosts that led to it.
pub(crate) struct Planner<'f, 'a> {
    pub(crate) f: &'f mut Finder<'a>,
    pub(crate) st: State,
    pub(crate) out: Vec<Ghost>,
    own: Own,
    /// Names whose memory stays out of fields.
    keep: BTreeSet<Var>,
}

/// The ghosts that make this site pass, as far as they were found.
pub(crate) fn plan(f: &mut Finder<'_>, st: &State, site: Site) -> Vec<Ghost> {
    if let Site::At(at) = site
        && unasked(f, at)
        && decode::decode(f.image, at).is_ok_and(|d| quiet(st, &d))
    {
        return Vec::new();
    }
    let Some(mut p) = Planner::at(f, st, site) else { return Vec::new() };
    match site {
        Site::At(at) => p.instruction(at),
        Site::Edge { from, to } => p.edge(from, to),
        Site::Return(_) => p.ret(),
        Site::CodeSub { .. } => {}
    }
    p.out
}

/// The ghosts that are written here, behind those that are drawn.
pub(crate) fn as_written(
    f: &mut Finder<'_>,
    st: &State,
    site: Site,
    drawn: Vec<Ghost>,
) -> Vec<Ghost> {
    let Some(lines) = f.written_for(site).cloned() else { return drawn };
    let Some(mut p) = Planner::at(f, st, site) else { return drawn };
    for ghost in drawn {
        p.emit(ghost);
    }
    lines.iter().for_each(|line| p.line(line));
    p.out
}

/// The ghosts that draw every size-fact that there is.
pub(crate) fn sizes(f: &mut Finder<'_>, st: &State, site: Site) -> Vec<Ghost> {
    let Some(p) = Planner::at(f, st, site) else { return Vec::new() };
    p.sizes().into_iter().map(|(of, _)| Ghost::SizeFacts { of }).collect()
}

/// Executes an instruction. Most need no ghost, so it is tried without; what that lacks tells
/// whether a plan is worth its rehearsals.
///
/// # Errors
/// When the judge refuses it, with the ghosts that were found.
pub fn step(
    judge: &mut Judge<'_, Finder<'_>>,
    st: &mut State,
    at: u32,
) -> Result<tal_core::driver::Flow> {
    if !may_be_bare(&judge.hints, st, at) {
        return judge.exec(st, at);
    }
    let before = st.clone();
    let site = Site::At(at);
    judge.hints.arrive(site);
    judge.hints.plan = Some((site, VecDeque::new()));
    let tried = judge.exec(st, at);
    if let Ok(flow) = tried
        && !would_draw(&mut judge.hints, &before, site)
    {
        return Ok(flow);
    }
    *st = before;
    judge.exec(st, at)
}

/// Does nobody ask for ghosts here, whatever the instruction is: no source, no region that is over?
fn unasked(f: &Finder<'_>, at: u32) -> bool {
    f.ends.range(..at).next().is_none() && !f.written.contains_key(&at)
}

/// Is it worth trying without a plan? Not where that comes to the same, nor where one is likely.
fn may_be_bare(f: &Finder<'_>, st: &State, at: u32) -> bool {
    unasked(f, at)
        && decode::decode(f.image, at)
            .is_ok_and(|d| !quiet(st, &d) && !matches!(d.op, Op::Flow(_) | Op::String(_)))
}

/// Would sizes show what was looked for in vain?
fn would_draw(f: &mut Finder<'_>, before: &State, site: Site) -> bool {
    if f.trouble.is_empty() {
        return false;
    }
    let drawn = Planner::at(f, before, site).is_none_or(|mut planner| planner.draw(0));
    f.trouble.clear();
    drawn
}

impl<'f, 'a> Planner<'f, 'a> {
    /// One for this site, which belongs to a function.
    fn at(f: &'f mut Finder<'a>, st: &State, site: Site) -> Option<Self> {
        let own = f.own(site)?;
        Some(Planner { f, st: st.clone(), out: Vec::new(), own, keep: BTreeSet::new() })
    }
}

impl<'a> Planner<'_, 'a> {
    /// Runs a ghost on the copy; if a fact is missing, sizes are drawn first.
    pub(crate) fn emit(&mut self, ghost: Ghost) -> bool {
        if self.out.len() >= limits::GHOSTS {
            return false;
        }
        for _ in 0..3 {
            let mark = self.f.trouble.len();
            let mut st = self.st.clone();
            if self.f.judge(self.own.clone()).ghost(&mut st, &ghost).is_ok() {
                self.st = st;
                self.out.push(ghost);
                return true;
            }
            if !self.draw(mark) {
                return false;
            }
        }
        false
    }

    /// Tries something that may fail half-way.
    pub(crate) fn attempt<R>(&mut self, f: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        let (st, len) = (self.st.clone(), self.out.len());
        let found = f(self);
        if found.is_none() {
            self.st = st;
            self.out.truncate(len);
        }
        found
    }

    /// Draws the size-facts that the facts missing since `mark` need. True if any was drawn.
    fn draw(&mut self, mark: usize) -> bool {
        let goals: Vec<Fact> = self
            .f
            .trouble
            .iter()
            .skip(mark)
            .filter_map(|t| match t {
                Trouble::Fact(f) | Trouble::Skipped(f) => Some(f.clone()),
                Trouble::Access { bound, .. } => bound.clone(),
                _ => None,
            })
            .collect();
        let optional = |t: &Trouble| matches!(t, Trouble::Skipped(_));
        let failed: Vec<Trouble> =
            self.f.trouble.split_off(mark).into_iter().filter(|t| !optional(t)).collect();
        let mut drawn = false;
        for goal in goals {
            drawn |= self.draw_for(&goal);
        }
        if !drawn {
            // Kept for the words of the refusal, should one follow.
            for t in failed {
                if !self.f.trouble.contains(&t) {
                    self.f.trouble.push(t);
                }
            }
        }
        drawn
    }

    fn draw_for(&mut self, goal: &Fact) -> bool {
        if self.f.holds(&self.st, goal) {
            return false;
        }
        let sizes = self.sizes();
        if sizes.is_empty() {
            return false;
        }
        let mut all = self.st.clone();
        all.facts.extend(sizes.iter().flat_map(|(_, facts)| facts.clone()));
        if !self.f.holds(&all, goal) {
            return false;
        }
        let with = |p: &mut Self, chosen: &[&(Through, Vec<Fact>)]| {
            let mut st = p.st.clone();
            st.facts.extend(chosen.iter().flat_map(|(_, facts)| facts.clone()));
            p.f.holds(&st, goal)
        };
        let one = sizes.iter().find(|s| with(self, &[*s]));
        let chosen: Vec<Through> = match one {
            Some((of, _)) => vec![*of],
            None => sizes.iter().map(|(of, _)| *of).collect(),
        };
        let mut drawn = false;
        for of in chosen {
            let ghost = Ghost::SizeFacts { of };
            let mut st = self.st.clone();
            if self.out.len() < limits::GHOSTS
                && self.f.judge(self.own.clone()).ghost(&mut st, &ghost).is_ok()
            {
                self.st = st;
                self.out.push(ghost);
                drawn = true;
            }
        }
        drawn
    }

    /// The size-facts that could be drawn and are not known by lookup, one source for each.
    pub(crate) fn sizes(&self) -> Vec<(Through, Vec<Fact>)> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut consider = |of: Through, mem: &Mem| {
            let mut facts = Vec::new();
            self.size_facts(mem, &mut facts);
            facts.retain(|f| !self.st.facts.contains(f));
            if !facts.is_empty() && seen.insert(facts.clone()) {
                found.push((of, facts));
            }
        };
        for (i, cap) in self.st.caps.iter().enumerate() {
            if let (Cap::Entry(e), Ok(i)) = (cap, u16::try_from(i))
                && e.guards.is_empty()
            {
                consider(Through::Entry(i), &e.mem);
            }
        }
        for (i, v) in self.st.views.iter().enumerate() {
            if let Ok(i) = u16::try_from(i)
                && v.guards.is_empty()
            {
                consider(Through::View(i), &v.mem);
            }
        }
        found
    }

    fn size_facts(&self, mem: &Mem, out: &mut Vec<Fact>) {
        let count = match mem {
            Mem::Cat(a, b) => {
                self.size_facts(a, out);
                return self.size_facts(b, out);
            }
            Mem::Array(n, _) | Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => n,
            Mem::Struct { .. } | Mem::Ex { .. } | Mem::Named(..) => return,
        };
        let Some(size) = self.size(mem) else { return };
        let most = Term::constant_of(limits::OBJECT).and_then(|m| m.sub(&size));
        for term in [Ok(count.clone()), most] {
            let Ok(term) = term else { continue };
            let g = term.gcd();
            if g == 0 {
                continue;
            }
            if let Ok(term) = term.floor_div(g) {
                out.push(Fact { rel: Rel::Ge, term });
            }
        }
    }

    pub(crate) fn size(&self, mem: &Mem) -> Option<Term> {
        crate::unify::Sizes::size(self.f, mem)
    }

    /// Runs something of the judge on a copy of the copy, ghosts excluded; `Err` is the refusal.
    fn rehearse<R>(
        &mut self,
        act: impl FnOnce(&mut Judge<'a, crate::find::Probe<'_, 'a>>, &mut State) -> Result<R>,
    ) -> Result<R> {
        let mut st = self.st.clone();
        let mut judge = self.f.judge(self.own.clone());
        act(&mut judge, &mut st)
    }

    // ---- instructions ----

    fn instruction(&mut self, at: u32) {
        self.end_regions(at);
        self.written(at);
        let Ok(d) = decode::decode(self.f.image, at) else { return };
        if let Op::Flow(flow) = d.op {
            match flow {
                Flow::Call(to) => {
                    if let Some(callee) = self.callee(to) {
                        self.call(at, callee);
                    }
                    return self.improve(at);
                }
                Flow::CallReg(r) => {
                    if let Some(callee) = self.callee_in(r) {
                        self.call(at, callee);
                    }
                    return self.improve(at);
                }
                Flow::Jmp(_) => return,
                Flow::Ret | Flow::Jcc(..) | Flow::JmpReg(_) | Flow::JmpTable(_) => {}
            }
        }
        for ea in reach::accesses(&d.op) {
            self.reach(at, &ea);
        }
        self.strings(&d.op);
        self.improve(at);
    }

    /// Rehearses the instruction; what it lacks is drawn from sizes, or the frame taken back.
    fn improve(&mut self, at: u32) {
        for _ in 0..4 {
            let mark = self.f.trouble.len();
            let done = self.rehearse(|judge, st| {
                let flow = judge.exec(st, at)?;
                if let tal_core::driver::Flow::Branch { cc, .. } = flow {
                    judge.branch(st, cc)?;
                }
                Ok(())
            });
            if self.draw(mark) {
                continue;
            }
            let Err(e) = done else {
                self.f.trouble.clear();
                return;
            };
            if !self.recover(&e) {
                return;
            }
        }
    }

    /// A refusal that giving the frame back may cure.
    fn recover(&mut self, e: &Error) -> bool {
        let stack =
            matches!(e.kind, ErrorKind::WrongSlot(_) | ErrorKind::Depth(_) | ErrorKind::BadHint);
        stack && !self.st.stack.lent.is_empty() && self.uncarve_all()
    }

    /// What was borrowed for the call before this instruction goes back.
    fn end_regions(&mut self, at: u32) {
        let over: Vec<u32> = self.f.ends.range(..at).map(|(k, _)| *k).collect();
        for site in over {
            for rho in self.f.ends.remove(&site).unwrap_or_default() {
                self.end_region(rho);
            }
        }
    }

    /// Ends the region if its token is here.
    pub(crate) fn end_region(&mut self, rho: Var) -> bool {
        let held = |c: &Cap| matches!(c, Cap::Token(r, _) if *r == rho);
        let Some(i) = self.st.caps.iter().position(held) else { return false };
        u16::try_from(i).is_ok_and(|token| self.emit(Ghost::RegionEnd { token }))
    }

    /// Ghosts of the source come first.
    fn written(&mut self, at: u32) {
        for line in self.f.written_at(at) {
            self.line(&line);
        }
    }

    /// What an address calls: a function or a gate.
    fn callee(&self, to: u64) -> Option<Callee> {
        if let Some(gate) = to.checked_sub(limits::GATES)
            && to < u64::from(self.f.image.text_address)
        {
            let i = u16::try_from(gate / limits::GATE_SIZE).ok()?;
            return Some(Callee::Import(tal_core::ty::ImportId(i)));
        }
        let offset = to.checked_sub(u64::from(self.f.image.text_address))?;
        let offset = u32::try_from(offset).ok()?;
        self.function_at(offset).map(Callee::Function)
    }

    fn function_at(&self, offset: u32) -> Option<tal_core::ty::FnId> {
        let i = self.f.image.functions.binary_search_by_key(&offset, |f| f.offset).ok()?;
        u32::try_from(i).ok().map(tal_core::ty::FnId)
    }

    fn callee_in(&self, r: tal_core::ty::Reg) -> Option<Callee> {
        match self.st.regs().get(r as usize)? {
            tal_core::ty::Word::Ptr(Base::Name(f), _) => Some(Callee::Name(*f)),
            tal_core::ty::Word::Ptr(Base::Code(f), _) => Some(Callee::Function(*f)),
            _ => None,
        }
    }

    // ---- edges ----

    fn edge(&mut self, from: u32, to: u32) {
        self.end_regions(from.saturating_add(1));
        if self.f.function(to) == self.f.function(from)
            && let Some(label) = self.f.target(to)
        {
            return self.label(&label);
        }
        let callee = self.function_at(to).map(Callee::Function).or_else(|| {
            let d = decode::decode(self.f.image, from).ok()?;
            match d.op {
                Op::Flow(Flow::Jmp(to) | Flow::Jcc(_, to)) => self.callee(to),
                Op::Flow(Flow::JmpReg(r)) => self.callee_in(r),
                _ => None,
            }
        });
        if let Some(callee) = callee {
            self.tail(callee);
        }
    }

    /// Rehearses a target of an edge, drawing sizes as needed.
    fn polish(
        &mut self,
        act: impl Fn(&mut Judge<'a, crate::find::Probe<'_, 'a>>, &mut State) -> Result<()>,
    ) -> bool {
        for _ in 0..4 {
            let mark = self.f.trouble.len();
            if self.rehearse(|judge, st| act(judge, st)).is_ok() {
                self.f.trouble.clear();
                return true;
            }
            if !self.draw(mark) {
                return false;
            }
        }
        false
    }
}

/// Can this instruction need no ghost in this state?
fn quiet(st: &State, d: &Decoded) -> bool {
    let stack = matches!(d.op, Op::Push { .. } | Op::Pop { .. } | Op::Leave);
    let simple = matches!(
        d.op,
        Op::Mov { width: decode::Width::W64, .. }
            | Op::Lea { .. }
            | Op::Nop
            | Op::Xchg { width: decode::Width::W64, .. }
            | Op::Flow(Flow::Jmp(_))
    );
    let memory = !reach::accesses(&d.op).is_empty() || matches!(d.op, Op::String(_));
    (stack || simple) && !memory && st.stack.lent.is_empty()
}

/// Where a target stands in the text.
#[must_use]
pub fn offset_of(f: &Finder<'_>, to: Target) -> Option<u32> {
    match to {
        Target::Label(l) => f.image.labels.get(usize::try_from(l).ok()?).copied(),
        Target::Entry(Callee::Function(g)) => {
            f.image.functions.get(usize::try_from(g.0).ok()?).map(|g| g.offset)
        }
        Target::Block(to) => Some(to),
        Target::Entry(_) => None,
    }
}
