//! Not trusted: tests. Sections: one form for each value, total reading, bounded memory.

use super::*;
use fastrand::Rng;
use tal_core::hint::{End, Forward, Place, Step};
use tal_core::limits;
use tal_core::state::Scope;
use tal_core::ty::{
    Block, Bounds, Entry, Field, FieldTy, Guard, Lent, Mem, Mode, NameSet, NamedType, OriginId,
    Region, TypeId, Words,
};

/// Verdict, and the section that the accepted reading would be written as.
fn judge(program: &Program, section: &[u8]) -> Result<Vec<u8>> {
    let (interface, segments) = (interface(), program.segments());
    let (image, stream) = wire::decode(&program.text, TEXT, &segments, section, &interface)?;
    let hints = Recorder::new(stream);
    let mut judge = tal_core::judge::Judge::new(&image, &interface, hints, 1 << 12);
    judge.verify()?;
    Ok(encode(&image, &interface, &judge.hints.recorded))
}

/// Attack t160.
#[test]
fn decode_then_encode_is_the_identity() {
    for program in flow::programs() {
        let section = program.accepted();
        assert_eq!(judge(&program, &section).unwrap(), section);
    }
}

#[test]
fn changed_bytes_refuse_or_stay_canonical() {
    let (mut refused, mut accepted) = (0, 0);
    for program in flow::programs() {
        let section = program.accepted();
        for at in 0..section.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 0x7F, 0xFF] {
                let mut changed = section.clone();
                changed[at] ^= flip;
                match judge(&program, &changed) {
                    Ok(again) => {
                        assert_eq!(again, changed, "byte {at} ^ {flip}");
                        accepted += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(accepted < refused / 10, "{accepted} of {refused}");
}

/// Attacks t142, t169.
#[test]
fn nothing_is_missing_and_nothing_is_left() {
    for program in flow::programs() {
        let section = program.accepted();
        for length in 0..section.len() {
            assert!(judge(&program, &section[..length]).is_err(), "first {length} bytes");
        }
        // t161.
        for extra in 0..=255 {
            let mut longer = section.clone();
            longer.push(extra);
            assert_eq!(judge(&program, &longer).unwrap_err().rule, Rule::Wire);
        }
    }
}

/// Attack t104.
#[test]
fn the_interface_is_the_one_it_was_checked_against() {
    let program = &flow::programs()[0];
    let mut section = program.accepted();
    section[6] ^= 1;
    assert_eq!(judge(program, &section).unwrap_err().rule, Rule::Wire);
}

/// Attack t168.
#[test]
fn noise_is_refused() {
    let program = &flow::programs()[1];
    let good = program.accepted();
    let mut rng = Rng::with_seed(1);
    for _ in 0..20_000 {
        // Keep the header, so that the noise is read.
        let mut section = good[..38].to_vec();
        section.extend((0..rng.usize(0..200)).map(|_| rng.u8(..)));
        if let Ok(again) = judge(program, &section) {
            assert_eq!(again, section);
        }
    }
}

/// A section of this size after the header, made by `fill`.
fn hostile(size: usize, fill: impl Fn(usize) -> u8) -> Result<Vec<u8>> {
    let mut program = flow::programs()[0].clone();
    let mut section = program.accepted()[..38].to_vec();
    program.text.resize(size / 4, 0xCC);
    section.extend((0..size).map(fill));
    judge(&program, &section)
}

/// Attacks t156, A19.
#[test]
fn hostile_sections_are_refused_at_once() {
    let ten = 10 << 20;
    assert!(hostile(ten, |_| 0x00).is_err());
    assert!(hostile(ten, |_| 0xFF).is_err());
    assert!(hostile(ten, |_| 0x01).is_err());
    // Counts beyond what can follow (t158).
    assert!(hostile(16, |_| 0x7F).is_err());
    // Types nested without end (t157): ten million levels of arr(0, arr(0, ..)).
    assert!(hostile(ten, |i| if i < 4 { 1 } else { [1, 0][i % 2] }).is_err());
    assert!(hostile(ten, |i| if i < 4 { 1 } else { 5 }).is_err());
    // Larger than the text allows.
    let program = &flow::programs()[0];
    let mut section = program.accepted();
    section.resize(limits::SECTION_SLACK + 4 * program.text.len() + 1, 0);
    assert_eq!(judge(program, &section).unwrap_err().rule, Rule::Limit);
}

/// Random values of every form.
pub(super) struct Gen(Rng);

impl Gen {
    pub(super) fn seeded(seed: u64) -> Self {
        Gen(Rng::with_seed(seed))
    }
    fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.0.usize(0..=most)).map(|_| one(self)).collect()
    }
    fn var(&mut self) -> Var {
        let i = self.0.u16(0..200);
        match self.0.u8(0..8) {
            0 => Var::Value,
            1 => Var::Inner(i),
            2 => Var::Param(i),
            3 => Var::Bound(i),
            _ => Var::Free(i),
        }
    }
    fn term(&mut self) -> Term {
        let mut sum = Term::constant_of(self.0.i128(-3..3) * self.0.i128(0..1 << 70)).unwrap();
        for _ in 0..self.0.usize(0..4) {
            let v = Term::var(self.var());
            let v = if self.0.bool() { v.mul(&Term::var(self.var())).unwrap() } else { v };
            let factor = if self.0.bool() { 1 } else { self.0.i128(-(1 << 60)..1 << 60) };
            sum = sum.add_scaled(&v, factor).unwrap();
        }
        sum
    }
    fn fact(&mut self) -> Fact {
        Fact { rel: self.0.choice([Rel::Ge, Rel::Eq, Rel::Ne]).unwrap(), term: self.term() }
    }
    fn base(&mut self) -> Base {
        match self.0.u8(0..3) {
            0 => Base::Name(self.var()),
            1 => Base::Data(DataId(self.0.u16(..))),
            _ => Base::Code(FnId(self.0.u32(..))),
        }
    }
    fn word(&mut self) -> Word {
        match self.0.u8(0..9) {
            0 => Word::Junk,
            1 => Word::ReturnAddress,
            2 => Word::Frame(self.0.i64(..)),
            3 => Word::Saved(self.0.choice(Reg::ALL).unwrap()),
            4 => Word::Int(self.term()),
            5 => Word::Int(Term::var(self.var())),
            6 => Word::Ptr(self.base(), Term::ZERO),
            _ => Word::Ptr(self.base(), self.term()),
        }
    }
    fn mode(&mut self) -> Mode {
        self.0.choice([Mode::Rw, Mode::Ro, Mode::Rd]).unwrap()
    }
    fn field_ty(&mut self, depth: usize) -> FieldTy {
        match self.0.u8(0..5) {
            0 => FieldTy::Known(self.word()),
            1 => FieldTy::Own {
                nullable: self.0.bool(),
                origin: self.0.bool().then_some(OriginId(3)),
                mem: self.mem(depth),
            },
            2 => FieldTy::Ref { nullable: self.0.bool(), mode: self.mode(), mem: self.mem(depth) },
            3 => FieldTy::Junk(self.0.choice([1, 2, 4, 8]).unwrap()),
            _ => FieldTy::Int {
                bits: self.0.choice([8, 16, 32, 64]).unwrap(),
                signed: self.0.bool(),
                facts: self.list(2, Self::fact),
            },
        }
    }
    fn field(&mut self, depth: usize) -> Field {
        let offset = if self.0.bool() { 0 } else { self.0.u32(..) };
        Field { offset, writable: self.0.bool(), ty: self.field_ty(depth) }
    }
    fn mem(&mut self, depth: usize) -> Rc<Mem> {
        let next = depth.saturating_sub(1);
        Rc::new(match self.0.u8(if depth == 0 { 0..4 } else { 0..10 }) {
            0 => Mem::Bytes(self.term()),
            1 => Mem::Junk(self.term()),
            2 => Mem::Zero(self.term()),
            3 => Mem::Named(TypeId(self.0.u32(..)), self.list(3, Self::term)),
            4 => Mem::Array(self.term(), self.mem(next)),
            5 => Mem::Cat(self.mem(next), self.mem(next)),
            6 => Mem::Ex { vars: 2, facts: self.list(2, Self::fact), body: self.mem(next) },
            _ => Mem::Struct {
                fields: self.list(2, |g| g.field(next)),
                size: self.0.choice([1, 2, 4, 8, 24]).unwrap(),
            },
        })
    }
    fn guard(&mut self) -> Guard {
        match self.0.u8(0..3) {
            0 => Guard::Range(self.term(), self.0.i64(..), self.0.i64(..)),
            1 => Guard::IsAddress(self.var()),
            _ => Guard::IsSmall(self.var(), self.0.i16(..), self.0.i16(..)),
        }
    }
    fn offset(&mut self) -> Term {
        if self.0.bool() { Term::ZERO } else { self.term() }
    }
    fn entry(&mut self) -> Entry {
        let guards = self.list(2, Self::guard);
        Entry { guards, name: self.var(), offset: self.offset(), mem: self.mem(3) }
    }
    fn cap(&mut self) -> Cap {
        match self.0.u8(0..3) {
            0 => Cap::Entry(self.entry()),
            1 => Cap::Token(self.var(), self.entry()),
            _ => Cap::Store(self.var()),
        }
    }
    fn region(&mut self) -> Region {
        if self.0.bool() { Region::Always } else { Region::Var(self.var()) }
    }
    fn view(&mut self) -> View {
        let guards = self.list(2, Self::guard);
        let (region, mode, base) = (self.region(), self.mode(), self.base());
        View { guards, region, mode, base, offset: self.offset(), mem: self.mem(3) }
    }
    fn set(&mut self) -> NameSet {
        let first = (self.0.i16(..), self.0.i16(..));
        match self.0.u8(0..4) {
            0 => NameSet::ADDRESS,
            1 => NameSet::NULLABLE,
            2 => NameSet { address: self.0.bool(), small: [Some(first), None] },
            _ => NameSet { address: self.0.bool(), small: [Some(first), Some((5, 7))] },
        }
    }
    fn bounds(&mut self) -> Bounds {
        let far = (1 << 80) - 1;
        let mut end = || {
            let end = [self.0.i128(-300..300), far, -far, 0, 1, 255, i128::from(u64::MAX)];
            self.0.choice(end).filter(|_| self.0.bool())
        };
        let bounds = Bounds::new(end(), end()).unwrap();
        if self.0.bool() { bounds } else { self.0.choice(Bounds::COMMON).unwrap() }
    }
    fn kind(&mut self, depth: usize) -> Kind {
        match self.0.u8(0..7) {
            0 => Kind::Word,
            1 => Kind::Region,
            2 => Kind::Store,
            3 if depth > 0 => Kind::Code(Rc::new(self.sig(depth - 1))),
            4 => {
                let extent = self.term();
                let block = self.0.bool().then_some(Block { origin: OriginId(1), extent });
                Kind::Addr { set: self.set(), block }
            }
            _ => Kind::Int(self.bounds()),
        }
    }
    fn assertion(&mut self) -> Assertion {
        let mut regs = Words::default();
        for reg in Reg::ALL.into_iter().filter(|_| self.0.bool()).collect::<Vec<_>>() {
            regs.set(reg, self.word());
        }
        Assertion {
            facts: self.list(3, Self::fact),
            regs,
            args: self.list(2, |g| (g.0.u16(..), g.word())),
            views: self.list(2, Self::view),
            caps: self.list(2, Self::cap),
        }
    }
    fn sig(&mut self, depth: usize) -> Sig {
        let vars = self.list(3, |g| g.kind(depth));
        let pre = self.assertion();
        let post = self
            .0
            .bool()
            .then(|| Post { vars: self.list(2, |g| g.kind(depth)), state: self.assertion() });
        Sig { vars, pre, post }
    }
    fn some_word<P>(&mut self, place: P) -> Option<(P, Word)> {
        if self.0.bool() { Some((place, self.word())) } else { None }
    }
    fn lent(&mut self) -> Lent {
        Lent { offset: self.0.i64(..), size: self.0.i64(..), name: self.var() }
    }
    /// Each part of it is there or not.
    pub(super) fn record(&mut self) -> Record {
        let registers = Reg::ALL.into_iter().filter(|reg| *reg != Reg::Rsp);
        let few = self.0.bool();
        Record {
            vars: self.list(3, |g| g.kind(1)),
            refinements: self.list(2, |g| (g.var(), g.set())),
            facts: self.list(3, Self::fact),
            regs: registers
                .filter_map(|reg| if few { self.some_word(reg) } else { None })
                .collect(),
            frame: self.0.bool().then(|| (-8 * self.0.i64(0..100), self.0.i64(..))),
            slots: (-20..20)
                .filter_map(|k| if few { None } else { self.some_word(8 * k) })
                .collect(),
            lent: self.0.bool().then(|| self.list(2, Self::lent)),
            views: self.list(2, Self::view),
            caps: self.0.bool().then(|| self.list(2, Self::cap)),
        }
    }
}

#[test]
fn tables_of_any_content_survive() {
    for seed in 0..500 {
        let mut g = Gen(Rng::with_seed(seed));
        let types = g.list(3, |g| NamedType {
            arity: g.0.u16(..),
            size: g.0.u32(..),
            zero_ok: g.0.bool(),
            plain: g.0.bool(),
            owns: g.0.bool(),
            body: g.mem(3),
        });
        let mut sigs = g.list(2, |g| Rc::new(g.sig(1)));
        // Signatures at functions have distinct, sorted arguments, as rule[wf-sig] demands.
        for sig in &mut sigs {
            let sig = Rc::get_mut(sig).unwrap();
            sig.pre.args = (1..3).map(|i| (8 * i, int(i))).collect();
        }
        let functions: Vec<Function> =
            (0..).zip(&sigs).map(|(i, _)| Function { offset: 10 * i, sig: i }).collect();
        let labels = (0..).zip(&sigs).map(|(i, _)| 10 * i + 3);
        let image = Image {
            text: &[0xCC; 4096],
            text_address: TEXT,
            labels: labels.collect(),
            types,
            sigs: sigs.clone(),
            functions,
            data: Vec::new(),
            imports: vec![0, 1, 5],
            start: g.0.bool().then_some(FnId(0)),
        };
        let interface = interface();
        let section = encode(&image, &interface, &Recorded::default());
        let (again, stream) = wire::decode(image.text, TEXT, &[], &section, &interface).unwrap();
        assert_eq!(again, image, "seed {seed}");
        assert_eq!(stream.clone().end(), Ok(()));
    }
}

#[test]
fn interfaces_survive() {
    let hash = [9; 32];
    for seed in 0..100 {
        let mut g = Gen(Rng::with_seed(seed));
        let interface = Interface {
            types: Vec::new(),
            origins: 4,
            imports: g.list(3, |g| Rc::new(g.sig(1))),
            start: Rc::new(g.sig(1)),
            hash,
        };
        let bytes = write_interface(&interface);
        assert_eq!(wire::read_interface(&bytes, hash).unwrap(), interface);
        for _ in 0..100 {
            let at = g.0.usize(0..bytes.len());
            let mut changed = bytes.clone();
            changed[at] ^= 1 << g.0.u8(0..8);
            if let Ok(other) = wire::read_interface(&changed, hash) {
                assert_eq!(write_interface(&other), changed, "seed {seed}, byte {at}");
            }
        }
    }
}

/// The section of an image of nothing whose hints are this ghost.
pub(super) fn of_ghost(ghost: Option<&Ghost>) -> Vec<u8> {
    let ghosts = BTreeMap::from([(Site::At(0), ghost.into_iter().cloned().collect())]);
    let mut hints = Recorder::new(Oracle { ghosts, ..Oracle::default() });
    if ghost.is_some() {
        assert_eq!(Hints::ghost(&mut hints, &State::empty(), Site::At(0)).unwrap().as_ref(), ghost);
    }
    let program = Program::new(Vec::new(), Vec::new());
    encode(&program.image(), &interface(), &hints.recorded)
}

/// The ghost of such a section, after which nothing may be left.
fn ghost_of(section: &[u8]) -> Result<Option<Ghost>> {
    let (_, mut hints) = wire::decode(&[], TEXT, &[], section, &interface())?;
    let ghost = hints.ghost(&State::empty(), Site::At(0))?;
    hints.end().map(|()| ghost)
}

#[test]
fn ghosts_survive() {
    for seed in 0..300 {
        let mut g = Gen(Rng::with_seed(seed));
        for ghost in every_ghost(&mut g) {
            assert_eq!(ghost_of(&of_ghost(Some(&ghost))), Ok(Some(ghost)));
        }
    }
}

/// Says on which scope a label hangs, and what it declares there.
struct Hangs(Oracle, u32, Record);

impl Forward for Hangs {
    type Inner = Oracle;

    fn inner(&mut self) -> &mut Oracle {
        &mut self.0
    }

    fn parent(&mut self, _: &State, _: u32, _: &[Opened]) -> Result<u32> {
        Ok(self.1)
    }

    fn record(&mut self, _: &State, _: u32, _: &Mark, record: &mut Record) -> Result<()> {
        record.clone_from(&self.2);
        Ok(())
    }
}

/// A record is counted from the number of its first variable, wherever that is.
#[test]
fn records_survive() {
    for seed in 0..500 {
        let mut g = Gen(Rng::with_seed(seed));
        let mut state = State::empty();
        let (kind, set, bounds) = (Kind::INT, NameSet::ADDRESS, Bounds::NONE);
        state.scope.resize(g.0.usize(0..40), Scope { kind, set, is: None, bounds });
        let (parent, record) = (g.0.u32(..) >> 3, g.record());
        let saved = Mark::of(&state);
        let mut hints = Recorder::new(Hangs(Oracle::default(), parent, record.clone()));
        Hints::parent(&mut hints, &state, 0, &[]).unwrap();
        Hints::record(&mut hints, &state, 0, &saved, &mut Record::default()).unwrap();
        let program = Program::new(Vec::new(), Vec::new());
        let section = encode(&program.image(), &interface(), &hints.recorded);
        let (_, mut read) = wire::decode(&[], TEXT, &[], &section, &interface()).unwrap();
        assert_eq!(read.parent(&state, 0, &[]), Ok(parent), "seed {seed}");
        let mut again = Record::default();
        assert_eq!(read.record(&state, 0, &saved, &mut again), Ok(()), "seed {seed}");
        assert_eq!(again, record, "seed {seed}");
        assert_eq!(read.end(), Ok(()));
    }
}

#[test]
fn numbers_survive() {
    for divisor in [0, 1, -1, 63, 64, -64, -65, i128::MAX, i128::MIN, 1 << 64, -(1 << 80)] {
        let ghost = Ghost::Step(Step::Cut { fact: 0, divisor });
        assert_eq!(ghost_of(&of_ghost(Some(&ghost))), Ok(Some(ghost)));
    }
}

/// One ghost of each opcode, in order.
pub(super) fn every_ghost(g: &mut Gen) -> Vec<Ghost> {
    let of = g.0.choice([Through::Entry(3), Through::View(300), Through::Data(DataId(2))]).unwrap();
    let place = g.0.choice([Place::Reg(Reg::R9), Place::Slot(-8)]).unwrap();
    let (entry, view, guard) = (g.0.u16(..), g.0.u16(..), g.0.u16(..));
    let (positive, of_var) = (g.0.bool(), g.var());
    let end = g.0.choice([End::Low, End::High, End::Both]).unwrap();
    let step =
        g.0.choice([
            Step::Comb { premises: vec![(0, 1), (7, -2), (9, 1 << 70)], slack: 3 },
            Step::Cut { fact: 4, divisor: 8 },
            Step::Neq { fact: 300, positive },
            Step::Product(1, 2),
            Step::Scale(5, t(3)),
            Step::Bound(of_var, end),
        ])
        .unwrap();
    vec![
        Ghost::Step(step),
        Ghost::SizeFacts { of },
        Ghost::GuardTrue { of, guard },
        Ghost::GuardFalse { entry, guard },
        Ghost::GuardAdd { of, guard: g.guard() },
        Ghost::GuardVoid { entry: g.entry(), guard },
        Ghost::Split { entry, at: g.term() },
        Ghost::SplitCat { entry },
        Ghost::Join { first: entry, second: view },
        Ghost::One { of, to_array: g.0.bool() },
        Ghost::Equal { of, offset: g.term(), mem: g.mem(3) },
        Ghost::EqualWord { place, word: g.word() },
        Ghost::RetypeJunk { entry },
        Ghost::RetypeShape { entry, mem: g.mem(3) },
        Ghost::RetypeZero { entry, mem: g.mem(3) },
        Ghost::RetypePlain { entry, mem: g.0.bool().then(|| g.mem(3)) },
        Ghost::Unfold { entry },
        Ghost::Fold { entry, ty: TypeId(7), args: g.list(3, Gen::term) },
        Ghost::Open { entry },
        Ghost::Pack { entry, mem: g.mem(3), witnesses: g.list(3, Gen::term) },
        Ghost::FieldClose { entry, field: view, ty: g.field_ty(2) },
        Ghost::Leak { cap: entry },
        Ghost::Borrow { entry, mode: g.mode() },
        Ghost::Share { entry, mode: g.mode() },
        Ghost::RegionEnd { token: entry },
        Ghost::ViewWeaken { view },
        Ghost::ViewPart { view, from: g.term(), count: g.term() },
        Ghost::ViewCat { view, second: g.0.bool() },
        Ghost::ViewPlain { view },
        Ghost::ViewUnfold { view },
        Ghost::ViewOpen { view },
        Ghost::ViewData { data: DataId(3) },
        Ghost::Carve { offset: -64, size: 16 },
        Ghost::Uncarve { name: g.var(), entry },
        Ghost::FrameWord { place, name: g.var() },
        Ghost::Renorm { place, signed: g.0.bool() },
    ]
}

/// Many copies of the loop of `flow::programs`, each with its label states.
fn copies(count: u32) -> Program {
    let one = flow::programs().swap_remove(1);
    let size = u32::try_from(one.text.len()).unwrap();
    let mut all = one.clone();
    for copy in 1..count {
        let base = copy * size;
        all.text.extend(&one.text);
        all.functions.push(Function { offset: base, sig: 0 });
        let moved = |l: &Label| Label { offset: l.offset + base, state: l.state.clone() };
        all.labels.extend(one.labels.iter().map(moved));
    }
    all
}

/// Fuel for large texts, and how fast they are judged: seen with `--nocapture`, in release.
/// Attack t155.
#[test]
fn large_texts_are_judged_in_linear_time() {
    let count = 2000;
    let program = copies(count);
    let (image, interface) = (program.image(), interface());
    let bytes = u64::try_from(program.text.len()).unwrap();
    let hints = Recorder::new(program.hints());
    let mut judge = tal_core::judge::Judge::new(&image, &interface, hints, bytes);
    judge.verify().unwrap();
    let used = bytes * limits::FUEL_FACTOR + limits::FUEL_SLACK - judge.fuel;
    let section = encode(&image, &interface, &judge.hints.recorded);
    let start = std::time::Instant::now();
    let checked = tal_core::verify_section(&program.text, TEXT, &[], &section, &interface);
    let time = start.elapsed();
    assert!(checked.is_ok());
    let per = |n: u64| n / u64::from(count * 7);
    println!(
        "{} bytes of text, {} of annotations; for each instruction {} ns, {} units of fuel",
        program.text.len(),
        section.len(),
        per(u64::try_from(time.as_nanos()).unwrap()),
        per(used),
    );
    // Ordinary code is far from the bound.
    assert!(used < bytes * limits::FUEL_FACTOR / 4, "{used}");
}
