//! Not trusted: tests. What a way did is undone: marks, the trail, and what waits. The state is
//! compared with copies of the whole of it.

use crate::counted::{Rc, Shared};
use crate::decode::Cc;
use crate::error::{Kind as Evidence, Rule};
use crate::image::Image;
use crate::judge::Judge;
use crate::learn::Told;
use crate::limits;
use crate::prove::low;
use crate::state::{FlagKind, FlagSet, Flags, Kept, Mark, State};
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

/// What is checked in place, without a copy of the state, changes nothing but what is taken back.
/// Attack s23.
#[test]
fn a_way_that_changes_more_than_it_may_is_refused() {
    let way = |change: &dyn Fn(&mut State)| {
        let mut state = State::empty();
        let mark = Mark::of(&state);
        change(&mut state);
        mark.cut(&mut state)
    };
    way(&|_| {}).unwrap();
    way(&|st| st.facts.push(Fact { rel: Rel::Ge, term: Term::ZERO })).unwrap();
    let changes: [&dyn Fn(&mut State); 5] = [
        &|st| st.caps.push(Cap::Store(Var::Free(0))),
        &|st| st.set_slot(-8, Word::ReturnAddress),
        &|st| st.stack.delta = -8,
        &|st| st.stack.touched = -8,
        &|st| st.stack.lent.push(Lent { offset: -8, size: 8, name: Var::Free(0) }),
    ];
    for change in changes {
        assert_eq!(way(change).unwrap_err().rule, Rule::Driver);
    }
}

/// Bounds narrowed twice are undone in the right order, those of variables made since as well.
/// Attack s8.
#[test]
fn a_cut_undoes_the_latest_first() {
    let mut state = State::empty();
    judged(|judge| {
        let n = judge.fresh_between(&mut state, 0, 9).unwrap();
        let before = state.clone();
        let mark = Mark::of(&state);
        let at_least = |judge: &mut Judge<'_, Prover>, state: &mut State, n: &Term, k: i128| {
            judge.learn(state, Rel::Ge, n.plus(-k).unwrap()).unwrap();
        };
        at_least(judge, &mut state, &n, 2);
        let second = Mark::of(&state);
        let between = state.clone();
        let m = judge.fresh_between(&mut state, 0, 9).unwrap();
        at_least(judge, &mut state, &m, 3);
        at_least(judge, &mut state, &n, 4);
        judge.append(&mut state, Fact { rel: Rel::Ge, term: m.sub(&n).unwrap() }).unwrap();
        state.views.push(bytes(Var::Free(0), vec![]));
        assert_eq!(low(&state, &n.add(&m).unwrap()), Some(7));
        second.cut(&mut state).unwrap();
        assert_eq!(state, between);
        at_least(judge, &mut state, &n, 6);
        mark.cut(&mut state).unwrap();
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
                    0 => saved.push((Mark::of(&state), state.clone())),
                    1 if !saved.is_empty() => {
                        // Any mark, which takes those above it along.
                        let at = rng.usize(0..saved.len());
                        saved.truncate(at + 1);
                        let (mark, copy) = saved.pop().unwrap();
                        mark.cut(&mut state).unwrap();
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
        let mut waiting: Vec<Kept> = Vec::new();
        while waiting.len() < 4096 {
            if fresh {
                state.caps =
                    (0..limits::CAPS).map(|_| entry(&record(256))).collect::<Vec<_>>().into();
            }
            match Kept::of(&state, waiting.last()) {
                Ok(open) => waiting.push(open),
                Err(error) => {
                    assert_eq!((error.rule, error.kind), (Rule::Limit, Evidence::Limit));
                    break;
                }
            }
        }
        waiting.len()
    };
    assert_eq!(count(true), limits::SAVED / (limits::CAPS * (2 + 257) + 16));
    assert!(count(false) > limits::SCOPES);
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
            let mut left: Vec<(Kept, State)> = Vec::new();
            for _ in 0..120 {
                match rng.u8(0..13) {
                    11 => {
                        let open = Kept::of(&state, left.last().map(|(waiting, _)| waiting));
                        left.push((open.unwrap(), state.clone()));
                        deepest = deepest.max(left.len());
                    }
                    12 => {
                        let Some((waiting, model)) = left.pop() else { continue };
                        waiting.come_back(&mut state);
                        assert_eq!(state, model);
                    }
                    _ => change(judge, &mut state, &mut rng),
                }
            }
            while let Some((waiting, model)) = left.pop() {
                waiting.come_back(&mut state);
                assert_eq!(state, model);
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
        let mut waiting: Vec<Kept> = Vec::new();
        let opened = |waiting: &Vec<Kept>| {
            let mut state = State::empty();
            change(&mut state);
            Kept::of(&state, waiting.last())
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
    let words = ways(&|state| state.regs.fill(Word::Int(wide())));
    assert!(words * 16 * each <= limits::SAVED, "{words}");
    let slots = ways(&|state| {
        state.stack.slots = (0..64).map(|i| (8 * i, Word::Int(wide()))).collect::<Vec<_>>().into();
    });
    assert!(slots * 64 * each <= limits::SAVED, "{slots}");
    let flags = [(2, FlagKind::Cmp(64, wide(), wide())), (1, FlagKind::Result(64, wide()))];
    for (terms, kind) in flags {
        let count = ways(&|state| state.flags.kind = kind.clone());
        assert!(count * (terms * each + 16) <= limits::SAVED, "{count}");
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
    fn open(&mut self, walk: &mut Walk, state: &State, waiting: bool) {
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
    fn declared(&self, walk: &Walk) -> usize {
        let mut closed = 0;
        for (label, (depth, number)) in (0..).zip(&self.hung) {
            let open = self.chain.get(*depth).filter(|s| s.number == *number);
            let declared = walk.declared(label);
            assert_eq!(declared.is_some(), open.is_some());
            closed += usize::from(open.is_none());
            if let (Some((saved, _)), Some(Scoped { state, .. })) = (declared, open) {
                assert_eq!((&saved.regs, &saved.caps), (&state.regs, &state.caps));
                assert_eq!((&saved.stack, saved.mark.scope), (&state.stack, state.scope.len()));
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
            state.flags = Flags { kind, readable: FlagSet(some as u8) };
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
                        model.open(&mut walk, &state, rng.bool());
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
                    4 => closed += model.declared(&walk),
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
    now = saved.clone();
    assert_eq!(now.into_vec(), [1, 2]);
    assert_eq!(saved[..], [1, 2]);
}

/// What a state owns and its slots are not copied where a scope is opened, nor where the walk comes
/// back to it: however much that is, a label of two bytes costs no more than its registers.
#[test]
fn what_does_not_change_is_not_copied() {
    let mut state = State::empty();
    state.caps = vec![Cap::Store(Var::Free(0)); limits::CAPS].into();
    state.stack.slots = vec![(0, Word::ReturnAddress); limits::LABEL_SLOTS].into();
    let mut kept = Kept::of(&state, None).unwrap();
    let one = |state: &State, kept: &Kept| {
        state.caps.is(&kept.saved.caps) && state.stack.slots.is(&kept.saved.stack.slots)
    };
    assert!(one(&state, &kept));
    state.caps.pop();
    state.stack.slots.pop();
    kept.come_back(&mut state);
    assert!(one(&state, &kept));
    assert_eq!(state.caps.len(), limits::CAPS);
    // In the room of one that is closed.
    state.caps.pop();
    kept.keep(&state, None).unwrap();
    assert!(one(&state, &kept));
    assert_eq!(kept.saved.caps.len(), limits::CAPS - 1);
}
