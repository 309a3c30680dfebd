//! Not trusted. Someone who answers as the test says, types to speak about, and states.

#[path = "../support/answers.rs"]
pub(crate) mod answers;

use answers::{Silent, silent};
use std::collections::VecDeque;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::{Comb, Forward, Ghost, Inst, Proof, Through};
use tal_core::image::{Data, Image, Interface};
use tal_core::judge::Judge;
use tal_core::prove::{by_bounds, low};
use tal_core::state::{Mark, Scope, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Block, Bounds, Cap, DataId, Declared, Entry, Fact, Field, FieldTy, FnId,
    Guard, Kind, Mem, Mode, NameSet, NamedType, OriginId, Record, Reg, Region, Rel, Sig, TypeId,
    View, Word,
};
pub(crate) use tal_write::{LabelState, Saved};

/// Answers what the test tells it, and what it is not told by a small search.
#[derive(Debug, Default, Clone)]
pub(crate) struct Teller {
    /// Answers to `access`, else the first entry or view at the base.
    pub(crate) access: VecDeque<Through>,
    /// Answers to `take`, else the first entry at the name.
    pub(crate) take: VecDeque<u16>,
    /// Answers to `view`, else the first view at the base.
    pub(crate) view: VecDeque<Through>,
    /// Answers to `call`, `post` and `label`.
    pub(crate) insts: VecDeque<Vec<Inst>>,
    /// Answer to `element`.
    pub(crate) element: Option<(Term, u32)>,
    /// Answer to `want`: not at all if `None`, else as the search says.
    pub(crate) unwilling: bool,
    /// Answer to `range_facts` is no.
    pub(crate) forgetful: bool,
    /// Answer to `in_range`.
    pub(crate) in_range: bool,
    /// Work that was told.
    pub(crate) worked: usize,
    /// Answer to `data`.
    pub(crate) data: u16,
    /// Everything else.
    pub(crate) silent: Silent,
}

/// Factors of facts whose sum is below `goal` by what bounds show not to be negative.
fn search(state: &State, goal: &Term, depth: u32) -> Option<Vec<(u16, i128)>> {
    if by_bounds(state, goal) {
        return Some(Vec::new());
    }
    if depth == 0 {
        return None;
    }
    let first = goal.monomials().first()?;
    for (number, fact) in (0..).zip(&state.facts) {
        let Some(m) = fact.term.monomials().iter().find(|m| m.atom == first.atom) else {
            continue;
        };
        let factor = first.coefficient / m.coefficient;
        let exact = factor * m.coefficient == first.coefficient;
        if !exact || fact.rel == Rel::Ne || (fact.rel == Rel::Ge && factor < 0) {
            continue;
        }
        let rest = goal.add_scaled(&fact.term, -factor).unwrap();
        if let Some(mut found) = search(state, &rest, depth - 1) {
            match found.iter_mut().find(|(n, _)| *n == number) {
                Some(twice) => twice.1 += factor,
                None => found.push((number, factor)),
            }
            return Some(found);
        }
    }
    // The first part by its bound, the rest by facts.
    let (v, None) = first.atom.factors() else { return None };
    let part = Term::var(v).scale(first.coefficient).ok()?;
    search(state, &goal.sub(&part).ok()?.plus(low(state, &part)?).ok()?, depth - 1)
}

fn found(state: &State, term: &Term) -> bool {
    search(state, term, 4).is_some()
}

impl Forward for Teller {
    type Inner = Silent;

    fn inner(&mut self) -> &mut Silent {
        &mut self.silent
    }

    fn worked(&mut self, units: usize) {
        self.worked += units;
    }
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let mut premises = search(state, &goal.term, 4).unwrap_or_default();
        premises.sort_unstable();
        Ok(Proof::Comb(Comb { scale: 1, premises }))
    }
    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool, Error> {
        Ok(found(state, &term.plus(-1).unwrap()))
    }
    fn in_range(&mut self, _: &State, _: &Term, _: u8, _: bool) -> Result<bool, Error> {
        Ok(self.in_range)
    }
    fn want(&mut self, _: &State, _: &[Fact]) -> Result<bool, Error> {
        Ok(!self.unwilling)
    }
    fn access(
        &mut self,
        st: &State,
        base: Base,
        _: &Term,
        _: u32,
        _: bool,
    ) -> Result<Through, Error> {
        if let Some(told) = self.access.pop_front() {
            return Ok(told);
        }
        let owned = |c: &Cap| matches!(c, Cap::Entry(e) if Base::Name(e.name) == base);
        if let Some(i) = st.caps.iter().position(owned) {
            return Ok(Through::Entry(u16::try_from(i).unwrap()));
        }
        match (st.views.iter().position(|v| v.base == base), base) {
            (Some(i), _) => Ok(Through::View(u16::try_from(i).unwrap())),
            (None, Base::Data(d)) => Ok(Through::Data(d)),
            _ => silent(),
        }
    }
    fn element(
        &mut self,
        _: &State,
        _: &Term,
        _: u32,
        _: &Term,
        _: u32,
    ) -> Result<(Term, u32), Error> {
        self.element.clone().map_or_else(silent, Ok)
    }
    fn call(&mut self, _: &State, _: &Sig) -> Result<Vec<Inst>, Error> {
        self.insts.pop_front().map_or_else(silent, Ok)
    }
    fn label(&mut self, _: &State, _: u32, _: &Mark, _: Declared<'_>) -> Result<Vec<Inst>, Error> {
        self.insts.pop_front().map_or_else(silent, Ok)
    }
    fn post(&mut self, _: &State, _: u16, _: &[Kind], _: &Assertion) -> Result<Vec<Inst>, Error> {
        self.insts.pop_front().map_or_else(silent, Ok)
    }
    fn take(&mut self, st: &State, wanted: &Cap) -> Result<u16, Error> {
        if let Some(told) = self.take.pop_front() {
            return Ok(told);
        }
        // The very same, else one at the name.
        if let Some(i) = st.caps.iter().position(|c| c == wanted) {
            return Ok(u16::try_from(i).unwrap());
        }
        let same = |c: &Cap| match (c, wanted) {
            (Cap::Entry(a), Cap::Entry(b)) => a.name == b.name,
            (Cap::Token(a, _), Cap::Token(b, _)) => a == b,
            (a, b) => a == b,
        };
        st.caps.iter().position(same).map_or_else(silent, |i| Ok(u16::try_from(i).unwrap()))
    }
    fn view(&mut self, st: &State, wanted: &View) -> Result<Through, Error> {
        if let Some(told) = self.view.pop_front() {
            return Ok(told);
        }
        let same = st.views.iter().position(|v| v == wanted);
        let at = same.or_else(|| st.views.iter().position(|v| v.base == wanted.base));
        at.map_or_else(silent, |i| Ok(Through::View(u16::try_from(i).unwrap())))
    }
    fn data(&mut self, _: &State, _: &Term) -> Result<DataId, Error> {
        Ok(DataId(self.data))
    }
    fn range_facts(&mut self, _: &State, _: &[Fact]) -> Result<bool, Error> {
        Ok(!self.forgetful)
    }
}

/// The named types of every test: see [`types`].
pub(crate) const NODE: TypeId = TypeId(0);
pub(crate) const VECTOR: TypeId = TypeId(1);
pub(crate) const PAIR: TypeId = TypeId(2);
pub(crate) const HEAP: OriginId = OriginId(0);

/// `node = {own? @heap node; i64}`, `vector = ex n {n >= 0}. {ro =n; own arr(n,u64)}`,
/// `pair[p] = {u32; u32{v = p}}`.
pub(crate) fn types() -> Vec<NamedType> {
    let node = record(
        16,
        vec![own(0, true, Some(HEAP), Rc::new(Mem::Named(NODE, vec![]))), int(8, 64, true)],
    );
    let n = Term::var(Var::Bound(0));
    let length = Field { writable: false, ..known(0, Word::Int(n.clone())) };
    let vector = Mem::Ex {
        vars: 1,
        facts: vec![ge(n.clone())],
        body: record(16, vec![length, own(8, false, None, array(n, u64s()))]),
    };
    let p = Term::var(Var::Param(0));
    let same = Fact { rel: Rel::Eq, term: Term::var(Var::Value).sub(&p).unwrap() };
    let second = refined(4, 32, false, vec![same]);
    let pair = record(8, vec![int(0, 32, false), second]);
    let named = |arity, size, zero_ok, owns, body| NamedType {
        arity,
        size,
        zero_ok,
        plain: false,
        owns,
        body,
    };
    vec![
        named(0, 16, true, true, node),
        named(0, 16, false, true, Rc::new(vector)),
        named(1, 8, false, false, pair),
    ]
}

pub(crate) fn assertion() -> Assertion {
    Assertion::default()
}

pub(crate) fn never() -> Sig {
    Sig { vars: vec![], pre: assertion(), post: None }
}

pub(crate) fn interface() -> Interface {
    Interface {
        types: types(),
        origins: 1,
        imports: vec![],
        start: Rc::new(never()),
        hash: [0; 32],
    }
}

/// Runs `f` as a judge of an image with these data objects.
pub(crate) fn judged_with<T>(
    teller: Teller,
    data: Vec<Data<'_>>,
    f: impl FnOnce(&mut Judge<'_, Teller>) -> T,
) -> T {
    let interface = interface();
    let image = Image {
        text: &[],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![Rc::new(never())],
        functions: vec![],
        labels: vec![],
        data,
        imports: vec![],
        start: Some(FnId(0)),
    };
    f(&mut Judge::new(&image, &interface, teller, 1 << 20))
}

/// As [`judged_with`], without data.
pub(crate) fn judged<T>(teller: Teller, f: impl FnOnce(&mut Judge<'_, Teller>) -> T) -> T {
    judged_with(teller, vec![], f)
}

/// What the root of a function with this signature has: its variables, facts and views as they are
/// declared; its registers, frame and capabilities do not matter where a label says all of these.
pub(crate) fn root(sig: &Sig) -> State {
    let mut st = state();
    for kind in &sig.vars {
        declare(&mut st, kind.clone());
    }
    st.facts.clone_from(&sig.pre.facts);
    st.views.clone_from(&sig.pre.views);
    st
}

/// Is the state of a label well formed, which hangs on the root of a function with this signature?
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn wf_label(
    judge: &mut Judge<'_, Teller>,
    sig: &Sig,
    label: &LabelState,
) -> Result<(), Error> {
    let st = root(sig);
    let parent = Saved::now(&st);
    // The root has no slots: they are all the label's own, in the order in which it says them.
    let record = Record { slots: label.slots.clone(), ..label.record(&parent) };
    judge.wf_record(&st, &parent.mark, record.declared())
}

/// What `state` knows, in a state that was `root` at the mark.
fn behind(root: &State, state: &State) -> (State, Mark) {
    let mut made = root.clone();
    let mark = made.mark();
    for (reg, word) in Reg::ALL.into_iter().zip(state.regs()) {
        made.set_reg(reg, word.clone());
    }
    for (at, _) in root.slots() {
        made.set_slot(at, Word::Junk);
    }
    for (at, word) in state.slots() {
        made.set_slot(at, word.clone());
    }
    made.set_flags(state.flags().clone());
    made.scope.clone_from(&state.scope);
    made.facts.clone_from(&state.facts);
    made.views.clone_from(&state.views);
    made.caps.clone_from(&state.caps);
    made.stack = state.stack.clone();
    (made, mark)
}

/// An edge of the function that the judge is in, to a label that hangs on its root.
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn entail_at(
    judge: &mut Judge<'_, Teller>,
    st: &mut State,
    label: &LabelState,
) -> Result<(), Error> {
    let root = root(&judge.own.sig);
    let (mut at_edge, mark) = behind(&root, st);
    let record = label.record(&Saved::of(&at_edge, &mark));
    let result = judge.entail(&mut at_edge, 4, &mark, record.declared());
    *st = at_edge;
    result
}

/// Runs ghosts one after the other.
pub(crate) fn ghosts_with(teller: Teller, st: &mut State, ghosts: &[Ghost]) -> Result<(), Error> {
    judged(teller, |judge| ghosts.iter().try_for_each(|g| judge.ghost(st, g)))
}

/// Runs ghosts one after the other.
pub(crate) fn ghosts(st: &mut State, ghosts: &[Ghost]) -> Result<(), Error> {
    ghosts_with(Teller::default(), st, ghosts)
}

/// The rule that refuses.
pub(crate) fn refusal<T: core::fmt::Debug>(result: Result<T, Error>) -> Rule {
    result.expect_err("must be refused").rule
}

pub(crate) fn state() -> State {
    State::empty()
}

pub(crate) fn declare(st: &mut State, kind: Kind) -> Var {
    let (set, bounds) = match &kind {
        Kind::Addr { set, .. } => (*set, Bounds::NONE),
        Kind::Int(bounds) => (NameSet::ADDRESS, *bounds),
        _ => (NameSet::ADDRESS, Bounds::NONE),
    };
    st.scope.push(Scope { kind, set, is: None, bounds });
    Var::Free(u16::try_from(st.scope.len() - 1).unwrap())
}

/// A new integer, not negative.
pub(crate) fn natural(st: &mut State) -> Term {
    Term::var(declare(st, Kind::Int(Bounds::new(Some(0), None).unwrap())))
}

/// A new integer from `low` to `high`.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn between(st: &mut State, low: i128, high: i128) -> Term {
    Term::var(declare(st, Kind::Int(within(low, high))))
}

/// What is known of this integer.
pub(crate) fn bounds(st: &State, n: &Term) -> Bounds {
    st.bounds(n.as_var().unwrap()).unwrap()
}

/// Whatever was known of this integer is not.
pub(crate) fn forget(st: &mut State, n: &Term) {
    let Some(Var::Free(i)) = n.as_var() else { panic!("{n:?}") };
    st.scope[usize::from(i)].bounds = Bounds::NONE;
}

/// These bounds.
pub(crate) fn within(low: i128, high: i128) -> Bounds {
    Bounds::new(Some(low), Some(high)).unwrap()
}

/// A fact that a rule established, or that is declared: a bound, or a fact.
pub(crate) fn learn(st: &mut State, fact: Fact) {
    judged(Teller::default(), |j| j.learn(st, fact.rel, fact.term)).unwrap();
}

/// A new integer.
pub(crate) fn any(st: &mut State) -> Term {
    Term::var(declare(st, Kind::INT))
}

pub(crate) fn name(st: &mut State, set: NameSet) -> Var {
    declare(st, Kind::Addr { set, block: None })
}

pub(crate) fn address(st: &mut State) -> Var {
    name(st, NameSet::ADDRESS)
}

/// A name that is a whole block of the heap.
pub(crate) fn block(st: &mut State, set: NameSet, extent: Term) -> Var {
    declare(st, Kind::Addr { set, block: Some(Block { origin: HEAP, extent }) })
}

pub(crate) fn k(c: i64) -> Term {
    Term::int(c)
}

pub(crate) fn ge(term: Term) -> Fact {
    Fact { rel: Rel::Ge, term }
}

pub(crate) fn eq(term: Term) -> Fact {
    Fact { rel: Rel::Eq, term }
}

pub(crate) fn ptr(x: Var, e: Term) -> Word {
    Word::Ptr(Base::Name(x), e)
}

pub(crate) fn record(size: u32, fields: Vec<Field>) -> Rc<Mem> {
    Rc::new(Mem::Struct { fields, size })
}

fn field(offset: u32, ty: FieldTy) -> Field {
    Field { offset, writable: true, ty }
}

pub(crate) fn refined(offset: u32, bits: u8, signed: bool, facts: Vec<Fact>) -> Field {
    field(offset, FieldTy::Int { bits, signed, facts })
}

pub(crate) fn int(offset: u32, bits: u8, signed: bool) -> Field {
    refined(offset, bits, signed, vec![])
}

pub(crate) fn known(offset: u32, word: Word) -> Field {
    field(offset, FieldTy::Known(word))
}

pub(crate) fn own(offset: u32, nullable: bool, origin: Option<OriginId>, mem: Rc<Mem>) -> Field {
    field(offset, FieldTy::Own { nullable, origin, mem })
}

pub(crate) fn reference(offset: u32, nullable: bool, mode: Mode, mem: Rc<Mem>) -> Field {
    field(offset, FieldTy::Ref { nullable, mode, mem })
}

pub(crate) fn unset(offset: u32, bytes: u8) -> Field {
    field(offset, FieldTy::Junk(bytes))
}

pub(crate) fn u64s() -> Rc<Mem> {
    record(8, vec![int(0, 64, false)])
}

pub(crate) fn array(n: Term, element: Rc<Mem>) -> Rc<Mem> {
    Rc::new(Mem::Array(n, element))
}

pub(crate) fn bytes(n: Term) -> Rc<Mem> {
    Rc::new(Mem::Bytes(n))
}

pub(crate) fn junk(n: Term) -> Rc<Mem> {
    Rc::new(Mem::Junk(n))
}

pub(crate) fn zero(n: Term) -> Rc<Mem> {
    Rc::new(Mem::Zero(n))
}

pub(crate) fn cat(first: Rc<Mem>, second: Rc<Mem>) -> Rc<Mem> {
    Rc::new(Mem::Cat(first, second))
}

pub(crate) fn named(id: TypeId, args: Vec<Term>) -> Rc<Mem> {
    Rc::new(Mem::Named(id, args))
}

pub(crate) fn owned(st: &mut State, x: Var, offset: Term, mem: Rc<Mem>) -> u16 {
    guarded(st, vec![], x, offset, mem)
}

pub(crate) fn guarded(
    st: &mut State,
    guards: Vec<Guard>,
    x: Var,
    offset: Term,
    mem: Rc<Mem>,
) -> u16 {
    st.caps.push(Cap::Entry(Entry { guards, name: x, offset, mem }));
    u16::try_from(st.caps.len() - 1).unwrap()
}

pub(crate) fn shared(st: &mut State, mode: Mode, x: Var, mem: Rc<Mem>) -> u16 {
    lent(st, Region::Always, mode, x, mem)
}

pub(crate) fn lent(st: &mut State, region: Region, mode: Mode, x: Var, mem: Rc<Mem>) -> u16 {
    let base = Base::Name(x);
    st.views.push(View { guards: vec![], region, mode, base, offset: Term::ZERO, mem });
    u16::try_from(st.views.len() - 1).unwrap()
}

pub(crate) fn entry(st: &State, i: usize) -> &Entry {
    match &st.caps[i] {
        Cap::Entry(entry) => entry,
        other => panic!("no entry: {other:?}"),
    }
}

pub(crate) fn ty(st: &State, i: usize, at: usize) -> &FieldTy {
    match &*entry(st, i).mem {
        Mem::Struct { fields, .. } => &fields[at].ty,
        other => panic!("no struct: {other:?}"),
    }
}
