//! Not trusted: tests. What a way did is undone: marks and the trail. The state is compared with
//! copies of the whole of it.

use crate::counted::{Rc, Shared};
use crate::decode::Cc;
use crate::error::{Kind as Evidence, Rule};
use crate::hint::Place;
use crate::image::Image;
use crate::judge::Judge;
use crate::learn::Told;
use crate::limits;
use crate::prove::low;
use crate::state::{FlagKind, FlagSet, Flags, Mark, State, weigh};
use crate::term::{Term, Var};
use crate::testing::{Prover, image_of, judged, within};
use crate::ty::{
    Base, Cap, Entry, Fact, Field, FieldTy, Guard, Kind, Lent, Mem, Mode, NameSet, Record, Reg,
    Region, Rel, TypeId, View, Word,
};
use crate::walk::{Next, Walk};
use alloc::collections::VecDeque;
use alloc::{vec, vec::Vec};
use fastrand::Rng;

fn t(i: u16) -> Term {
    Term::var(Var::Free(i))
}

/// `always ro bytes(8)` at this name.
fn bytes(name: Var, guards: Vec<Guard>) -> View {
    View {
        guards,
        region: Region::Always,
        mode: Mode::Ro,
        base: Base::Name(name),
        offset: Term::ZERO,
        mem: Rc::new(Mem::Bytes(Term::int(8))),
    }
}

/// Whatever a way did is taken back.
/// Attack s23.
#[test]
fn a_cut_takes_all_of_a_way_back() {
    let way = |change: &dyn Fn(&mut State)| {
        let mut state = State::empty();
        state.set_slot(-8, Word::Int(Term::ZERO));
        let before = state.clone();
        let mark = state.mark();
        change(&mut state);
        let changed = state != before;
        mark.cut(&mut state);
        assert_eq!(state, before);
        changed
    };
    let flags = Flags { kind: FlagKind::Result(64, Term::ZERO), readable: FlagSet(1) };
    let changes: [&dyn Fn(&mut State); 8] = [
        &|st| st.facts.push(Fact { rel: Rel::Ge, term: Term::ZERO }),
        &|st| st.caps.push(Cap::Store(Var::Free(0))),
        &|st| st.set_reg(Reg::Rax, Word::Int(Term::ZERO)),
        &|st| st.set_flags(flags.clone()),
        &|st| st.set_slot(-8, Word::ReturnAddress),
        &|st| st.stack.delta = -8,
        &|st| st.stack.touched = -8,
        &|st| st.stack.lent.push(Lent { offset: -8, size: 8, name: Var::Free(0) }),
    ];
    assert!(changes.iter().all(|change| way(*change)));
}

/// A place that a way does not write holds what it held; of one that it writes, the first word is
/// on the trail, once behind each mark.
#[test]
fn a_place_is_kept_once_behind_each_mark() {
    let word = |n: i64| Word::Int(Term::int(n));
    let mut state = State::empty();
    state.set_reg(Reg::Rax, word(1));
    state.set_slot(-8, word(2));
    let outer = state.mark();
    state.set_reg(Reg::Rcx, word(3));
    for n in 0..9 {
        state.set_reg(Reg::Rax, word(n));
        state.set_slot(-16, word(n));
        state.set_slot(-16, Word::Junk);
    }
    assert_eq!(state.trail_len() - outer.trail, 3);
    let inner = state.mark();
    state.set_reg(Reg::Rax, word(7));
    state.set_reg(Reg::Rax, word(9));
    state.set_slot(-8, word(7));
    assert_eq!(state.trail_len() - inner.trail, 2);
    assert_eq!(
        (state.reg_at(&outer, Reg::Rax), state.reg_at(&inner, Reg::Rax)),
        (&word(1), &word(8))
    );
    assert_eq!(
        (state.reg_at(&outer, Reg::Rdx), state.reg_at(&outer, Reg::Rcx)),
        (&Word::Junk, &Word::Junk)
    );
    assert_eq!((state.slot_at(&outer, -8), state.slot_at(&outer, -16)), (&word(2), &Word::Junk));
    let changed = |state: &State, mark: &Mark| {
        let all = (mark.trail..state.trail_len()).filter_map(|at| state.changed(at, mark));
        all.map(|(place, word)| (place, word.clone())).collect::<Vec<_>>()
    };
    let (rax, rcx) = (Place::Reg(Reg::Rax), Place::Reg(Reg::Rcx));
    let at_inner = vec![(rax, word(8)), (Place::Slot(-8), word(2))];
    let at_outer = vec![(rcx, Word::Junk), (rax, word(1)), (Place::Slot(-8), word(2))];
    assert_eq!((changed(&state, &inner), changed(&state, &outer)), (at_inner, at_outer.clone()));
    // What is as it was has not changed.
    state.set_reg(Reg::Rax, word(1));
    assert_eq!(changed(&state, &outer), [at_outer[0].clone(), at_outer[2].clone()]);
    inner.cut(&mut state);
    state.set_reg(Reg::Rcx, word(4));
    assert_eq!(state.trail_len() - outer.trail, 3);
    outer.cut(&mut state);
    assert_eq!((state.trail_len(), state.reg(Reg::Rax), state.slot_count()), (0, &word(1), 1));
}

/// Straight code keeps nothing on the trail but what each place held first.
#[test]
fn the_trail_is_bounded() {
    let mut state = State::empty();
    let _ = state.mark();
    for n in 0..100_000 {
        state.set_reg(Reg::ALL[n & 15], Word::Int(Term::ZERO));
    }
    assert_eq!(state.trail_len(), 16);
    state.trail_ends().unwrap();
    let full = |state: &mut State, word: &dyn Fn() -> Word| {
        let mut marks = 0;
        while state.trail_ends().is_ok() {
            let _ = state.mark();
            state.set_reg(Reg::Rax, word());
            marks += 1;
        }
        marks
    };
    assert_eq!(full(&mut state.clone(), &|| Word::Junk), limits::TRAIL - 15);
    let units = wide().allocated().div_ceil(limits::SAVED_UNIT);
    let marks = full(&mut state, &|| Word::Int(wide()));
    assert_eq!(marks, limits::SAVED / units + 2);
    assert_eq!(state.trail_ends().unwrap_err().rule, Rule::Limit);
}

/// Bounds narrowed twice are undone in the right order, those of variables made since as well.
/// Attack s8.
#[test]
fn a_cut_undoes_the_latest_first() {
    let mut state = State::empty();
    judged(|judge| {
        let n = judge.fresh_between(&mut state, 0, 9).unwrap();
        let before = state.clone();
        let mark = state.mark();
        let at_least = |judge: &mut Judge<'_, Prover>, state: &mut State, n: &Term, k: i128| {
            judge.learn(state, Rel::Ge, n.plus(-k).unwrap()).unwrap();
        };
        at_least(judge, &mut state, &n, 2);
        let between = state.clone();
        let second = state.mark();
        let m = judge.fresh_between(&mut state, 0, 9).unwrap();
        at_least(judge, &mut state, &m, 3);
        at_least(judge, &mut state, &n, 4);
        judge.append(&mut state, Fact { rel: Rel::Ge, term: m.sub(&n).unwrap() }).unwrap();
        state.views.push(bytes(Var::Free(0), vec![]));
        assert_eq!(low(&state, &n.add(&m).unwrap()), Some(7));
        second.cut(&mut state);
        assert_eq!(state, between);
        at_least(judge, &mut state, &n, 6);
        mark.cut(&mut state);
        assert_eq!(state, before);
    });
}

/// A random walk of new variables, narrowings, facts and cuts against copies of the whole state.
/// Attack s24.
#[test]
fn cuts_are_as_if_nothing_had_been() {
    let mut cuts = 0;
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        judged(|judge| {
            let mut state = State::empty();
            let mut saved: Vec<(Mark, State)> = Vec::new();
            for _ in 0..120 {
                let any = |rng: &mut Rng, state: &State| {
                    t(rng.u16(0..u16::try_from(state.scope.len().max(1)).unwrap()))
                };
                match rng.u8(0..8) {
                    0 => {
                        let copy = state.clone();
                        saved.push((state.mark(), copy));
                    }
                    1 if !saved.is_empty() => {
                        // Any mark, which takes those above it along.
                        let at = rng.usize(0..saved.len());
                        saved.truncate(at + 1);
                        let (mark, copy) = saved.pop().unwrap();
                        mark.cut(&mut state);
                        assert_eq!(state, copy, "seed {seed}");
                        cuts += 1;
                    }
                    2 => {
                        let low = rng.i128(-20..20);
                        judge.fresh_between(&mut state, low, low + rng.i128(0..40)).unwrap();
                    }
                    _ if state.scope.is_empty() => {}
                    3 => {
                        let term = any(&mut rng, &state).sub(&any(&mut rng, &state)).unwrap();
                        judge.learn(&mut state, Rel::Ge, term).unwrap();
                    }
                    _ => {
                        let sign = if rng.bool() { 1 } else { -1 };
                        let v = any(&mut rng, &state).scale(sign).unwrap();
                        let term = v.plus(rng.i128(-20..20)).unwrap();
                        let rel = rng.choice([Rel::Ge, Rel::Ge, Rel::Eq, Rel::Ne]).unwrap();
                        let told = crate::learn::told(rel, &term, |v| state.bounds(v));
                        assert_ne!(told, Told::Nothing);
                        judge.learn(&mut state, rel, term).unwrap();
                    }
                }
            }
        });
    }
    assert!(cuts > 1000, "{cuts}");
}

/// What their copies weigh is bounded; what they share is not counted twice.
/// Attacks W2, s22.
#[test]
fn copies_of_what_waits_are_bounded() {
    let record = |count: u32| {
        let field = |i: u32| Field {
            offset: 8 * i,
            ty: FieldTy::Int { bits: 64, signed: false, facts: [].into() },
            writable: true,
        };
        Rc::new(Mem::Struct { size: 8 * count, fields: (0..count).map(field).collect() })
    };
    let entry = |mem: &Rc<Mem>| {
        let (guards, name, offset) = (vec![], Var::Free(0), Term::ZERO);
        Cap::Entry(Entry { guards, name, offset, mem: Rc::clone(mem) })
    };
    let count = |fresh: bool| {
        let mut state = State::empty();
        state.caps = vec![entry(&record(256)); limits::CAPS].into();
        let mut waiting: Vec<(Shared<Cap>, usize)> = Vec::new();
        while waiting.len() < 4096 {
            if fresh {
                state.caps =
                    (0..limits::CAPS).map(|_| entry(&record(256))).collect::<Vec<_>>().into();
            }
            match weigh(&state.caps, waiting.last().map(|(caps, weight)| (caps, *weight))) {
                Ok(weight) => waiting.push((state.caps.clone(), weight)),
                Err(error) => {
                    assert_eq!((error.rule, error.kind), (Rule::Limit, Evidence::Limit));
                    break;
                }
            }
        }
        waiting.len()
    };
    assert_eq!(count(true), limits::SAVED / (limits::CAPS * (2 + 257)));
    assert_eq!(count(false), 4096);
}

/// Random ways: whatever is done to a state behind a mark, it is what it was when it is taken up.
/// Attack s24.
#[test]
fn what_is_taken_up_is_what_was_left() {
    let mut rng = Rng::with_seed(0x9E37_79B9_7F4A_7C15);
    let mut deepest = 0;
    for _ in 0..200 {
        judged(|judge| {
            let mut state = eight(judge);
            let mut left: Vec<(Mark, State, State)> = Vec::new();
            let same = |state: &State, mark: &Mark, then: &State| {
                assert!(Reg::ALL.iter().all(|reg| state.reg_at(mark, *reg) == then.reg(*reg)));
                assert!(state.slots_at(mark).eq(then.slots()));
            };
            for _ in 0..120 {
                match rng.u8(0..14) {
                    11 => {
                        let outer = state.clone();
                        left.push((state.mark(), outer, state.clone()));
                        deepest = deepest.max(left.len());
                    }
                    12 => {
                        let Some((mark, outer, _)) = left.pop() else { continue };
                        mark.cut(&mut state);
                        assert_eq!(state, outer);
                    }
                    13 => {
                        let Some((mark, _, here)) = left.last() else { continue };
                        mark.come_back(&mut state);
                        assert_eq!(state, *here);
                    }
                    _ => change(judge, &mut state, &mut rng),
                }
                left.iter().for_each(|(mark, then, _)| same(&state, mark, then));
            }
            while let Some((mark, outer, _)) = left.pop() {
                mark.cut(&mut state);
                assert_eq!(state, outer);
            }
        });
    }
    assert!(deepest > 8, "{deepest}");
}

/// A term of as many variables as there may be, which shares with no other what it has allocated.
fn wide() -> Term {
    let many = u16::try_from(limits::MONOMIALS).unwrap();
    (0..many).fold(Term::ZERO, |sum, i| sum.add(&t(i)).unwrap())
}

fn entry(guards: Vec<Guard>, offset: Term, mem: Mem) -> Cap {
    Cap::Entry(Entry { guards, name: Var::Free(0), offset, mem: Rc::new(mem) })
}

/// Of each part of a state that is copied the terms count, too: what they have allocated may be
/// there once for each way that waits.
/// Attack W2.
#[test]
fn the_terms_of_copies_are_weighed() {
    let ways = |change: &dyn Fn(&mut State)| {
        let mut waiting: Vec<(Shared<Cap>, usize)> = Vec::new();
        let opened = |waiting: &Vec<(Shared<Cap>, usize)>| {
            let mut state = State::empty();
            change(&mut state);
            let weight = weigh(&state.caps, waiting.last().map(|(caps, weight)| (caps, *weight)));
            weight.map(|weight| (state.caps, weight))
        };
        while let Ok(open) = opened(&waiting) {
            waiting.push(open);
        }
        waiting.len()
    };
    let field = |ty: FieldTy| {
        let fields = (0..8).map(|i| Field { offset: 8 * i, ty: ty.clone(), writable: true });
        Mem::Struct { size: 64, fields: fields.collect() }
    };
    let facts = || (0..8).map(|_| Fact { rel: Rel::Ge, term: wide() }).collect::<Vec<_>>();
    let bytes = || Rc::new(Mem::Bytes(wide()));
    let named = Mem::Named(TypeId(0), (0..8).map(|_| wide()).collect());
    let pointer = Word::Ptr(Base::Name(Var::Free(0)), wide());
    let int = FieldTy::Int { bits: 64, signed: false, facts: facts() };
    let own = FieldTy::Own { nullable: false, origin: None, mem: bytes() };
    let shared = FieldTy::Ref { nullable: false, mode: Mode::Ro, mem: bytes() };
    let of = |mem: Mem| entry(vec![], Term::ZERO, mem);
    // How many wide terms there are, and what has them.
    let caps: [(usize, Cap); 14] = [
        (1, entry(vec![], wide(), Mem::Bytes(t(0)))),
        (4, entry(vec![Guard::Range(wide(), 0, 1); 4], Term::ZERO, Mem::Bytes(t(0)))),
        (1, of(Mem::Bytes(wide()))),
        (1, of(Mem::Junk(wide()))),
        (1, of(Mem::Zero(wide()))),
        (2, of(Mem::Array(wide(), bytes()))),
        (2, of(Mem::Cat(bytes(), bytes()))),
        (9, of(Mem::Ex { vars: 1, facts: facts(), body: bytes() })),
        (8, of(named)),
        (8, of(field(FieldTy::Known(Word::Int(wide()))))),
        (8, of(field(FieldTy::Known(pointer)))),
        (64, of(field(int))),
        (8, of(field(own))),
        (8, of(field(shared))),
    ];
    let each = wide().allocated() / limits::SAVED_UNIT;
    assert!(each > 4);
    for (terms, cap) in caps {
        // Made anew each time: no type is that of the way below.
        let fresh = |cap: &Cap| match cap {
            Cap::Entry(e) => Cap::Entry(Entry { mem: Rc::new(Mem::clone(&e.mem)), ..e.clone() }),
            _ => unreachable!(),
        };
        let count = ways(&|state| {
            state.caps = (0..limits::CAPS).map(|_| fresh(&cap)).collect::<Vec<_>>().into();
        });
        assert!(count * limits::CAPS * terms * each <= limits::SAVED, "{count} of {cap:?}");
    }
}

/// An open scope of the model: which one it is, the whole state, and what it is to begin.
struct Scoped {
    number: usize,
    state: State,
    waiting: bool,
    labels: VecDeque<u32>,
}

/// Scopes and labels that hang on them, with copies of whole states.
#[derive(Default)]
struct Model {
    chain: Vec<Scoped>,
    /// By label: how many are below the scope on which it hangs, and which that is.
    hung: Vec<(usize, usize)>,
    opened: usize,
}

impl Model {
    fn open(&mut self, walk: &mut Walk, state: &mut State, waiting: bool) {
        walk.open(state, 0, waiting.then_some((7, Cc::B))).unwrap();
        let (number, state, labels) = (self.opened, state.clone(), VecDeque::new());
        self.chain.push(Scoped { number, state, waiting, labels });
        self.opened += 1;
    }

    fn hang(&mut self, walk: &mut Walk, depth: usize) {
        let label = u32::try_from(self.hung.len()).unwrap();
        let k = u32::try_from(self.chain.len() - depth).unwrap();
        assert_eq!(walk.nth(k).unwrap().0, depth);
        assert!(!walk.is_found(label));
        walk.hang(label, depth, Record::default()).unwrap();
        let parent = &mut self.chain[depth];
        parent.labels.push_back(label);
        self.hung.push((depth, parent.number));
    }

    /// Is it the way that waited? Nothing if nothing is left.
    fn next(&mut self, walk: &mut Walk, state: &mut State) -> Option<bool> {
        while self.chain.last().is_some_and(|s| !s.waiting && s.labels.is_empty()) {
            self.chain.pop();
        }
        let Some(next) = walk.next(state) else {
            assert!(self.chain.is_empty());
            return None;
        };
        let top = self.chain.last_mut().unwrap();
        assert_eq!(*state, top.state);
        let waited = core::mem::take(&mut top.waiting);
        match next {
            Next::Block { to, .. } => assert!(waited && to == 7),
            Next::Label(label) => assert!(!waited && top.labels.pop_front() == Some(label)),
        }
        Some(waited)
    }

    /// Of each label: is the scope open on which it hangs? How many are not.
    fn declared(&self, walk: &Walk, now: &State) -> usize {
        let mut closed = 0;
        for (label, (depth, number)) in (0..).zip(&self.hung) {
            let open = self.chain.get(*depth).filter(|s| s.number == *number);
            let declared = walk.declared(label);
            assert_eq!(declared.is_some(), open.is_some());
            closed += usize::from(open.is_none());
            if let (Some((mark, _)), Some(Scoped { state, .. })) = (declared, open) {
                assert!(Reg::ALL.iter().all(|reg| now.reg_at(mark, *reg) == state.reg(*reg)));
                assert!(now.slots_at(mark).eq(state.slots()));
                assert_eq!((&mark.caps, mark.scope), (&state.caps, state.scope.len()));
            }
        }
        closed
    }
}

/// Integers and names that are undecided, in turn.
fn eight(judge: &mut Judge<'_, Prover>) -> State {
    let mut state = State::empty();
    for i in 0..8 {
        let set = NameSet { address: true, small: [Some((0, 0)), Some((-9, -1))] };
        let kind = match i % 2 {
            0 => Kind::Int(within(0, (1 << 64) - 1)),
            _ => Kind::Addr { set, block: None },
        };
        judge.fresh(&mut state, kind).unwrap();
    }
    state
}

/// What is known is changed at random: variables, bounds, facts, names, views, words, the frame,
/// flags and what is owned.
fn change(judge: &mut Judge<'_, Prover>, state: &mut State, rng: &mut Rng) {
    let some = rng.u16(0..8);
    let (name, number) = (Var::Free(some | 1), t(some & !1));
    match rng.u8(0..12) {
        0 => drop(judge.fresh_between(state, 0, 9)),
        1 => {
            let least = number.plus(-1 - i128::from(some)).unwrap();
            judge.learn(state, Rel::Ge, least).unwrap();
        }
        2 => {
            let other = t(rng.u16(0..4) * 2);
            judge.learn(state, Rel::Ge, number.sub(&other).unwrap()).unwrap();
        }
        3 => drop(judge.narrow(state, name, |low, _| Some(low != 0))),
        4 => drop(judge.narrow(state, name, |low, _| Some(low <= 0))),
        5 => drop(judge.add_view(state, bytes(name, vec![Guard::IsAddress(name)]))),
        6 => state.set_reg(Reg::Rax, Word::Ptr(Base::Name(name), Term::ZERO)),
        7 => state.set_slot(-8 * i64::from(some), Word::Int(number)),
        8 => {
            let kind = FlagKind::Cmp(64, number, Term::int(3));
            state.set_flags(Flags { kind, readable: FlagSet(some as u8) });
        }
        9 if state.caps.len() < 8 => {
            let (guards, offset) = (vec![Guard::IsAddress(name)], Term::ZERO);
            let mem = Rc::new(Mem::Bytes(Term::int(8)));
            state.caps.push(Cap::Entry(Entry { guards, name, offset, mem }));
        }
        _ => {
            state.caps.pop();
            state.stack.lent.push(Lent { offset: -64, size: 8, name });
            state.stack.touched -= 8;
        }
    }
}

/// s24: scopes are opened at random, labels hung on any that is open, and what is next taken up,
/// against a model that copies whole states. What is taken up is in the state in which its scope
/// was opened, the way that waits before the labels; a label is known while its scope is open.
#[test]
fn a_walk_comes_back_to_what_scopes_were_opened_in() {
    let text = [0x90; 256];
    let image = Image { labels: (0..64).collect(), ..image_of(&text) };
    let (mut deepest, mut waited, mut labels, mut closed) = (0, 0, 0, 0);
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        judged(|judge| {
            let mut state = eight(judge);
            let mut walk = Walk::new(&image);
            let mut model = Model::default();
            for _ in 0..300 {
                match rng.u8(0..9) {
                    0 | 1 if model.chain.len() < 20 => {
                        model.open(&mut walk, &mut state, rng.bool());
                        deepest = deepest.max(model.chain.len());
                    }
                    2 if !model.chain.is_empty() && model.hung.len() < 64 => {
                        let depth = rng.usize(0..model.chain.len());
                        model.hang(&mut walk, depth);
                    }
                    3 => match model.next(&mut walk, &mut state) {
                        Some(true) => waited += 1,
                        Some(false) => labels += 1,
                        None => {}
                    },
                    4 => closed += model.declared(&walk, &state),
                    _ => change(judge, &mut state, &mut rng),
                }
            }
        });
    }
    assert!(deepest > 8 && waited > 500, "{deepest} {waited}");
    assert!(labels > 500 && closed > 500, "{labels} {closed}");
}

/// A list is shared until one of its copies changes, and no copy sees what another became.
#[test]
fn a_list_is_one_until_it_changes() {
    let mut now: Shared<u32> = vec![1, 2].into();
    let saved = now.clone();
    assert!(now.is(&saved));
    now.push(3);
    assert!(!now.is(&saved));
    assert_eq!((&now[..], &saved[..]), (&[1, 2, 3][..], &[1, 2][..]));
    now = saved.clone();
    now.clear();
    assert_eq!((&now[..], &saved[..]), (&[][..], &[1, 2][..]));
    assert_eq!(Shared::from(vec![1, 2]), saved);
}
