//! Not trusted: tests. Hand-made images and an oracle that answers the judge's questions. What is
//! accepted is written as a section, too (`tal-write`), and judged again as that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "images/attacks.rs"]
mod attacks;
#[path = "images/bounds.rs"]
mod bounds;
#[path = "images/flow.rs"]
mod flow;
#[path = "images/owned.rs"]
mod owned;
#[path = "images/page.rs"]
mod page;
#[path = "images/scope_attacks.rs"]
mod scope_attacks;
#[path = "images/scopes.rs"]
mod scopes;
#[path = "images/section.rs"]
mod section;
#[path = "images/walk.rs"]
mod walk;
#[path = "images/walk_attacks.rs"]
mod walk_attacks;
#[path = "images/walk_corners.rs"]
mod walk_corners;

use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use std::collections::{BTreeMap, VecDeque};
use tal_core::counted::Rc;
use tal_core::driver;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Comb, Ghost, Hints, Inst, Proof, Room, Seen, Site, Start, Template, Through};
use tal_core::image::{Contents, Data, DataKind, Function, Image, Interface, Segment};
use tal_core::judge::Result;
use tal_core::prove::by_bounds;
use tal_core::state::{Mark, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Cap, DataId, Declared, Fact, FnId, Kind, Post, Record, Reg, Rel, Sig, View,
    Word,
};
use tal_core::verify_section;
use tal_core::walk::Opened;
use tal_core::wire::{self, guess};
use tal_write::{Flat, Label, LabelState, Recorded, Recorder, encode, write_interface};

pub(crate) const TEXT: u32 = 0x40_0000;

/// Answers by guessing, by ghosts written beforehand, and by sums of two facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) ghosts: BTreeMap<Site, VecDeque<Ghost>>,
    pub(crate) insts: VecDeque<Vec<Inst>>,
    pub(crate) asked: Vec<Site>,
    /// The facts of table entries are not wanted.
    pub(crate) drops: bool,
    /// Through which each access goes, and which view each wanted one is, instead of the guess.
    pub(crate) through: Option<Through>,
}

fn unanswered<T>(rule: Rule) -> Result<T> {
    Err(Error::new(rule, Evidence::BadHint))
}

impl Oracle {
    fn values(&mut self, guesses: impl Iterator<Item = Option<Inst>>) -> Result<Vec<Inst>> {
        if let Some(insts) = self.insts.pop_front() {
            return Ok(insts);
        }
        match guesses.collect() {
            Some(insts) => Ok(insts),
            None => unanswered(Rule::Apply),
        }
    }
}

/// A sum of at most two facts that is not above the goal, by bounds.
fn sum_of_two(state: &State, goal: &Term) -> Option<Comb> {
    let facts = &state.facts;
    let usable = |f: &&Fact| f.rel != Rel::Ne;
    for (i, a) in (0_u16..).zip(facts).filter(|(_, f)| usable(f)) {
        for (j, b) in (0_u16..).zip(facts).filter(|(_, f)| usable(f)) {
            let rest = goal.sub(&a.term).ok()?;
            if i == j && by_bounds(state, &rest) {
                return Some(Comb { scale: 1, premises: vec![(i, 1)] });
            }
            let rest = rest.sub(&b.term).ok()?;
            if i < j && by_bounds(state, &rest) {
                return Some(Comb { scale: 1, premises: vec![(i, 1), (j, 1)] });
            }
        }
    }
    None
}

impl Hints for Oracle {
    fn block(&mut self, _: Start, _: &State) -> Result<()> {
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
    fn worked(&mut self, _: usize) {}
    fn seen(&mut self, _: &State, _: Seen<'_>) {}
    fn ghost(&mut self, _: &State, site: Site) -> Result<Option<Ghost>> {
        self.asked.push(site);
        Ok(self.ghosts.get_mut(&site).and_then(VecDeque::pop_front))
    }
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof> {
        let nothing = || Comb { scale: 1, premises: vec![] };
        Ok(Proof::Comb(sum_of_two(state, &goal.term).unwrap_or_else(nothing)))
    }
    fn prove_ne(&mut self, _: &State, _: &Term) -> Result<bool> {
        Ok(true)
    }
    fn in_range(&mut self, state: &State, term: &Term, bits: u8, signed: bool) -> Result<bool> {
        let goals = tal_core::judge::range_goals(term, bits, signed);
        Ok(goals.is_ok_and(|goals| {
            goals.iter().all(|g| {
                by_bounds(state, &g.term)
                    || state.facts.iter().any(|f| {
                        f.rel == Rel::Ge
                            && f.term.same_shape(&g.term)
                            && f.term.constant() <= g.term.constant()
                    })
            })
        }))
    }
    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool> {
        // Of the entry of a table: nothing is to be proved.
        let told = |g: &Fact| g.rel == Rel::Eq && !self.drops;
        let holds = |g: &Fact| {
            told(g)
                || g.term.as_int().is_some_and(|c| c >= 0)
                || state.facts.contains(g)
                || sum_of_two(state, &g.term).is_some()
        };
        Ok(goals.iter().all(holds))
    }
    fn range_facts(&mut self, _: &State, _: &[Fact]) -> Result<bool> {
        Ok(true)
    }
    fn access(&mut self, s: &State, base: Base, _: &Term, _: u32, _: bool) -> Result<Through> {
        self.through
            .or_else(|| guess::access(s, base))
            .map_or_else(|| unanswered(Rule::AccessEntry), Ok)
    }
    fn element(&mut self, _: &State, at: &Term, s: u32, _: &Term, _: u32) -> Result<(Term, u32)> {
        guess::element(at, s).map_or_else(|| unanswered(Rule::Shape), Ok)
    }
    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>> {
        let pattern = guess::Pattern::of(guess::own_of(sig), &sig.vars, &sig.pre);
        self.values(pattern.guesses(state))
    }
    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>> {
        let pattern = guess::Pattern::of(guess::Own::Free(first), kinds, post);
        self.values(pattern.guesses(state))
    }
    fn spare(&mut self, _: Room) {}
    fn parent(&mut self, _: &State, _: u32, _: &[Opened]) -> Result<u32> {
        unanswered(Rule::Walk)
    }
    fn record(&mut self, _: &State, _: u32, _: &Mark, _: &mut Record) -> Result<()> {
        unanswered(Rule::Walk)
    }
    fn label(
        &mut self,
        state: &State,
        _: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>> {
        self.values(guess::Pattern::label(parent.first()?, record).guesses(state))
    }
    fn cmov(&mut self, _: &State, _: &Word, _: &Word) -> Result<Template> {
        unanswered(Rule::RowCmov)
    }
    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16> {
        // A lie rather than silence: it is the judge that must refuse.
        Ok(guess::take(state, wanted).unwrap_or(0))
    }
    fn view(&mut self, state: &State, wanted: &View) -> Result<Through> {
        Ok(self.through.or_else(|| guess::view(state, wanted)).unwrap_or(Through::View(0)))
    }
    fn data(&mut self, _: &State, _: &Term) -> Result<DataId> {
        Ok(DataId(0))
    }
}

/// A program under test: everything of an image, owned.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) text: Vec<u8>,
    pub(crate) sigs: Vec<Rc<Sig>>,
    pub(crate) functions: Vec<Function>,
    pub(crate) labels: Vec<Label>,
    /// One read-only object at `TABLE`.
    pub(crate) table: Option<(FnId, Vec<u8>)>,
    pub(crate) imports: Vec<u16>,
    pub(crate) start: Option<FnId>,
    pub(crate) oracle: Oracle,
}

pub(crate) const TABLE: u32 = 0x50_0000;

impl Program {
    /// Functions by offset and signature.
    pub(crate) fn new(text: Vec<u8>, functions: Vec<(u32, Sig)>) -> Self {
        let mut program = Program {
            text,
            sigs: Vec::new(),
            functions: Vec::new(),
            labels: Vec::new(),
            table: None,
            imports: vec![0],
            start: None,
            oracle: Oracle::default(),
        };
        for (index, (offset, sig)) in (0..).zip(functions) {
            program.sigs.push(Rc::new(sig));
            program.functions.push(Function { offset, sig: index });
        }
        program
    }

    pub(crate) fn label(mut self, offset: u32, state: LabelState) -> Self {
        self.labels.push(Label { offset, state: state.into() });
        self
    }

    pub(crate) fn ghost(mut self, site: Site, ghost: Ghost) -> Self {
        self.oracle.ghosts.entry(site).or_default().push_back(ghost);
        self
    }

    pub(crate) fn image(&self) -> Image<'_> {
        let data = self.table.iter().map(|(function, bytes)| Data {
            address: TABLE,
            size: u32::try_from(bytes.len()).unwrap(),
            kind: DataKind::Table { function: *function },
            contents: Contents::Bytes(bytes),
            writable: false,
        });
        Image {
            text: &self.text,
            text_address: TEXT,
            types: Vec::new(),
            sigs: self.sigs.clone(),
            functions: self.functions.clone(),
            labels: self.labels.iter().map(|label| label.offset).collect(),
            data: data.collect(),
            imports: self.imports.clone(),
            start: self.start,
        }
    }

    /// The oracle, who knows what the labels declare.
    pub(crate) fn hints(&self) -> Flat<Oracle> {
        Flat { inner: self.oracle.clone(), labels: self.labels.clone() }
    }

    pub(crate) fn segments(&self) -> Vec<Segment<'_>> {
        let segment = |(_, bytes): &'_ (FnId, Vec<u8>)| u32::try_from(bytes.len()).unwrap();
        self.table
            .iter()
            .map(|t| Segment { address: TABLE, size: segment(t), bytes: &t.1, writable: false })
            .collect()
    }

    pub(crate) fn verify(&self) -> Result<u8> {
        driver::verify(&self.image(), &interface(), self.hints(), 1 << 12)
    }

    /// Accepted, and so is its section, which decodes to the same.
    pub(crate) fn accepted(&self) -> Vec<u8> {
        let (image, interface) = (self.image(), interface());
        let mut judge =
            tal_core::judge::Judge::new(&image, &interface, Recorder::new(self.hints()), 1 << 12);
        judge.verify().unwrap();
        let section = encode(&image, &interface, &judge.hints.recorded);
        let segments = self.segments();
        let checked = verify_section(&self.text, TEXT, &segments, &section, &interface).unwrap();
        assert_eq!(*checked.image(), image);
        section
    }

    pub(crate) fn refused(&self, rule: Rule) -> Error {
        let error = self.verify().unwrap_err();
        assert_eq!(error.rule, rule, "{error:?}");
        error
    }
}

/// Exit: `fn [n](rdi = n) -> never`; read: `fn [n](rdi = n) -> [m] {m >= 0} (rax = m)`.
pub(crate) fn interface() -> Interface {
    let exit = never(1, &[(Reg::Rdi, int(0))]);
    let mut get = function(1, &[(Reg::Rdi, int(0))], 1, &[(Reg::Rax, int(1))]);
    get.post.as_mut().unwrap().state.facts.push(ge(t(1)));
    Interface {
        types: Vec::new(),
        origins: 1,
        imports: vec![Rc::new(exit), Rc::new(get)],
        start: Rc::new(never(0, &[])),
        hash: [7; 32],
    }
}

/// Machine code, and the offsets of the labels it was given.
pub(crate) fn asm(
    labels: usize,
    write: impl FnOnce(&mut CodeAssembler, &mut [CodeLabel]),
) -> (Vec<u8>, Vec<u32>) {
    use iced_x86::BlockEncoderOptions;
    let mut a = CodeAssembler::new(64).unwrap();
    let mut marks: Vec<CodeLabel> = (0..labels).map(|_| a.create_label()).collect();
    write(&mut a, &mut marks);
    let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
    let result = a.assemble_options(u64::from(TEXT), options).unwrap();
    let offset = |l: &CodeLabel| {
        let ip = result.label_ip(l).unwrap();
        u32::try_from(ip - u64::from(TEXT)).unwrap()
    };
    let offsets = marks.iter().map(offset).collect();
    (result.inner.code_buffer, offsets)
}

pub(crate) fn t(i: u16) -> Term {
    Term::var(Var::Free(i))
}

pub(crate) fn int(i: u16) -> Word {
    Word::Int(t(i))
}

pub(crate) fn ge(term: Term) -> Fact {
    Fact { rel: Rel::Ge, term }
}

pub(crate) fn assertion(regs: &[(Reg, Word)]) -> Assertion {
    let mut a = Assertion::default();
    for (reg, word) in regs {
        a.regs.set(*reg, word.clone());
    }
    a
}

pub(crate) fn never(ints: usize, regs: &[(Reg, Word)]) -> Sig {
    Sig { vars: vec![Kind::INT; ints], pre: assertion(regs), post: None }
}

pub(crate) fn function(
    ints: usize,
    regs: &[(Reg, Word)],
    results: usize,
    after: &[(Reg, Word)],
) -> Sig {
    let post = Post { vars: vec![Kind::INT; results], state: assertion(after) };
    Sig { post: Some(post), ..never(ints, regs) }
}

/// A label of a returning function without frame.
pub(crate) fn label(ints: usize, regs: &[(Reg, Word)]) -> LabelState {
    let mut state = LabelState {
        vars: vec![Kind::INT; ints],
        refinements: Vec::new(),
        facts: Vec::new(),
        regs: Reg::ALL.map(|reg| assertion(regs).regs.get(reg).clone()),
        delta: 0,
        touched: 0,
        slots: vec![(0, Word::ReturnAddress)],
        lent: Vec::new(),
        views: Vec::new(),
        caps: Vec::new(),
    };
    for reg in Reg::ALL.into_iter().filter(|r| r.callee_saved()) {
        if state.regs[reg as usize] == Word::Junk {
            state.regs[reg as usize] = Word::Saved(reg);
        }
    }
    state
}
