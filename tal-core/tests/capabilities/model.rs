//! Not trusted. The soundness of the rules, tried: a concrete heap and concrete values of all
//! variables go along with the state; random ghosts, loads and stores with random hints are
//! offered; and whatever the judge accepts must leave the state true of the heap.
//!
//! "True" is core.md 6, written down here a second time without the judge's code: facts hold,
//! owned pieces are disjoint, inside their objects and typed, live views are typed, and what is
//! loaded is what the word says.

use crate::support::*;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::error::Error;
use tal_core::hint::{Ghost, Through};
use tal_core::image::{Image, Interface};
use tal_core::judge::Judge;
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Block, Bounds, Cap, Entry, Fact, FieldTy, Guard, Kind, Mem, Mode, NameSet, NamedType,
    Reg, Region, Rel, TypeId, Word,
};

const WORD: i128 = 1 << 64;

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % sides
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    pub(crate) fn position(&mut self, len: usize) -> u16 {
        u16::try_from(self.roll(len + 1)).unwrap()
    }
}

/// Values of the variables that may occur in a term.
#[derive(Clone, Default)]
pub(crate) struct Env {
    pub(crate) free: Vec<i128>,
    params: Vec<i128>,
    bound: Vec<i128>,
    value: i128,
}

impl Env {
    pub(crate) fn var(&self, v: Var) -> i128 {
        match v {
            Var::Free(i) => self.free[usize::from(i)],
            Var::Param(i) => self.params[usize::from(i)],
            Var::Bound(i) => self.bound[usize::from(i)],
            Var::Value => self.value,
            Var::Inner(_) => panic!("no code parameters here"),
        }
    }

    pub(crate) fn term(&self, t: &Term) -> i128 {
        let monomial = |m: tal_core::term::Monomial| {
            let (a, b) = m.atom.factors();
            m.coefficient * self.var(a) * b.map_or(1, |b| self.var(b))
        };
        t.constant() + t.monomials().iter().map(monomial).sum::<i128>()
    }

    fn fact(&self, f: &Fact) -> bool {
        let value = self.term(&f.term);
        match f.rel {
            Rel::Ge => value >= 0,
            Rel::Eq => value == 0,
            Rel::Ne => value != 0,
        }
    }

    fn guard(&self, g: &Guard) -> bool {
        match g {
            Guard::Range(t, low, high) => {
                (i128::from(*low)..=i128::from(*high)).contains(&self.term(t))
            }
            Guard::IsAddress(x) => self.var(*x) >= 1 << 16,
            Guard::IsSmall(x, low, high) => {
                (i128::from(*low)..=i128::from(*high)).contains(&self.var(*x))
            }
        }
    }

    pub(crate) fn word(&self, w: &Word) -> i128 {
        match w {
            Word::Int(e) => self.term(e).rem_euclid(WORD),
            Word::Ptr(Base::Name(x), e) => (self.var(*x) + self.term(e)).rem_euclid(WORD),
            other => panic!("not in memory: {other:?}"),
        }
    }

    fn under(&self, params: Vec<i128>) -> Env {
        Env { params, bound: vec![], ..self.clone() }
    }
}

/// Pieces of memory: address and size.
type Pieces = Vec<(i128, i128)>;

/// The machine's memory: bytes that were written. Blocks that the host made.
#[derive(Clone)]
pub(crate) struct Heap {
    bytes: BTreeMap<i128, u8>,
    blocks: Pieces,
    /// Given away for ever.
    shared: Pieces,
    types: Vec<NamedType>,
}

impl Heap {
    fn read(&self, at: i128, bytes: i128) -> Option<i128> {
        (0..bytes).rev().try_fold(0, |n, i| Some(n * 256 + i128::from(*self.bytes.get(&(at + i))?)))
    }

    fn write(&mut self, at: i128, bytes: i128, value: i128) {
        for i in 0..bytes {
            let byte = (value.rem_euclid(WORD) >> (8 * i)) & 0xff;
            self.bytes.insert(at + i, u8::try_from(byte).unwrap());
        }
    }

    fn inside(&self, at: i128, bytes: i128) -> bool {
        self.blocks.iter().any(|(base, len)| *base <= at && at + bytes <= base + len)
    }

    fn size(&self, mem: &Mem, env: &Env) -> i128 {
        match mem {
            Mem::Struct { size, .. } => i128::from(*size),
            Mem::Array(n, element) => env.term(n) * self.size(element, env),
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => env.term(n),
            Mem::Cat(a, b) => self.size(a, env) + self.size(b, env),
            Mem::Ex { body, .. } => self.size(body, env),
            Mem::Named(id, _) => i128::from(self.named(*id).size),
        }
    }

    fn named(&self, id: TypeId) -> &NamedType {
        &self.types[usize::try_from(id.0).unwrap()]
    }

    /// Are the bytes at `at` a value of `mem`? What it owns by pointers is added to `owned`.
    fn typed(&self, mem: &Mem, at: i128, env: &Env, owned: &mut Pieces) -> bool {
        let size = self.size(mem, env);
        let mark = owned.len();
        let fits = size >= 0 && self.inside(at, size);
        let written = || (0..size).all(|i| self.bytes.contains_key(&(at + i)));
        let ok = fits
            && match mem {
                Mem::Junk(_) => true,
                Mem::Bytes(_) => written(),
                Mem::Zero(_) => (0..size).all(|i| self.bytes.get(&(at + i)) == Some(&0)),
                Mem::Struct { fields, .. } => {
                    fields.iter().all(|f| self.field(&f.ty, at + i128::from(f.offset), env, owned))
                }
                Mem::Array(n, element) => {
                    let step = self.size(element, env);
                    step > 0
                        && (0..env.term(n)).all(|i| self.typed(element, at + i * step, env, owned))
                }
                Mem::Cat(a, b) => {
                    self.typed(a, at, env, owned)
                        && self.typed(b, at + self.size(a, env), env, owned)
                }
                Mem::Ex { facts, body, .. } => self.witness(facts, body, at, env, owned).is_some(),
                Mem::Named(id, args) => {
                    let args = args.iter().map(|t| env.term(t)).collect();
                    self.typed(&self.named(*id).body.clone(), at, &env.under(args), owned)
                }
            };
        if !ok {
            owned.truncate(mark);
        }
        ok
    }

    /// A value of the one bound integer.
    fn witness(
        &self,
        facts: &[Fact],
        body: &Mem,
        at: i128,
        env: &Env,
        owned: &mut Pieces,
    ) -> Option<i128> {
        let read = self.read(at, 8);
        (0..40).chain(read).find(|n| {
            let env = Env { bound: vec![*n], ..env.clone() };
            facts.iter().all(|f| env.fact(f)) && self.typed(body, at, &env, owned)
        })
    }

    fn field(&self, ty: &FieldTy, at: i128, env: &Env, owned: &mut Pieces) -> bool {
        match ty {
            FieldTy::Junk(_) => true,
            FieldTy::Int { bits, signed, facts } => {
                let Some(value) = self.read(at, i128::from(*bits / 8)) else { return false };
                let negative = *signed && value >> (bits - 1) != 0;
                let value = if negative { value - (1 << bits) } else { value };
                let env = Env { value, ..env.clone() };
                facts.iter().all(|f| env.fact(f))
            }
            FieldTy::Known(word) => self.read(at, 8) == Some(env.word(word)),
            FieldTy::Own { nullable, origin, mem } => {
                let Some(pointer) = self.read(at, 8) else { return false };
                if pointer == 0 && *nullable {
                    return true;
                }
                let size = self.size(mem, env);
                owned.push((pointer, size));
                let whole = origin.is_none() || self.blocks.contains(&(pointer, size));
                whole && self.typed(mem, pointer, env, owned)
            }
            FieldTy::Ref { nullable, mem, .. } => {
                let Some(pointer) = self.read(at, 8) else { return false };
                (pointer == 0 && *nullable) || self.typed(mem, pointer, env, &mut vec![])
            }
        }
    }

    /// Are the bounds those of a number like this?
    fn in_bounds(bounds: Bounds, value: i128) -> bool {
        bounds.low().is_none_or(|low| low <= value) && bounds.high().is_none_or(|h| value <= h)
    }

    /// Where the entry stands, if it exists.
    fn place(entry: &Entry, env: &Env) -> Option<i128> {
        let exists = entry.guards.iter().all(|g| env.guard(g));
        exists.then(|| env.var(entry.name) + env.term(&entry.offset))
    }

    /// Core.md 6: is the state true? Says what is not.
    pub(crate) fn check(&self, st: &State, env: &Env) -> Result<(), String> {
        self.check_live(st, env, &[])
    }

    /// As [`Heap::check`], while these regions live whether there is a token or not.
    pub(crate) fn check_live(&self, st: &State, env: &Env, live: &[Var]) -> Result<(), String> {
        let fact = |f: &&Fact| !env.fact(f);
        if let Some(f) = st.facts.iter().find(fact) {
            return Err(format!("fact {f:?}"));
        }
        for (scope, value) in st.scope.iter().zip(&env.free) {
            let small = |(a, b): &(i16, i16)| (i128::from(*a)..=i128::from(*b)).contains(value);
            let alternatives = &scope.set;
            let possible = (alternatives.address && *value >= 1 << 16)
                || alternatives.small.iter().flatten().any(small);
            let right = scope.is.as_ref().is_none_or(|n| env.term(n) == *value);
            if matches!(scope.kind, Kind::Addr { .. }) && !(possible && right) {
                return Err(format!("name {scope:?} is {value}"));
            }
            if !Heap::in_bounds(scope.bounds, *value) {
                return Err(format!("integer {scope:?} is {value}"));
            }
        }
        let mut owned = self.shared.clone();
        for cap in &st.caps {
            let (Cap::Entry(entry) | Cap::Token(_, entry)) = cap else { continue };
            let Some(at) = Heap::place(entry, env) else { continue };
            owned.push((at, self.size(&entry.mem, env)));
            if !self.typed(&entry.mem, at, env, &mut owned) {
                return Err(format!("entry {entry:?}"));
            }
        }
        owned.retain(|(_, size)| *size != 0);
        owned.sort_unstable();
        if owned.windows(2).any(|w| w[0].0 + w[0].1 > w[1].0) {
            return Err(format!("two owners: {owned:x?}"));
        }
        for view in &st.views {
            let usable = match view.region {
                Region::Always => true,
                Region::Var(rho) if live.contains(&rho) => true,
                Region::Var(rho) => {
                    st.caps.iter().any(|c| matches!(c, Cap::Token(r, _) if *r == rho))
                }
            };
            let Base::Name(x) = view.base else { continue };
            if usable && view.guards.iter().all(|g| env.guard(g)) {
                let at = env.var(x) + env.term(&view.offset);
                if !self.typed(&view.mem, at, env, &mut vec![]) {
                    return Err(format!("view {view:?}"));
                }
            }
        }
        Ok(())
    }
}

/// A state, what is true of it, and a judge to ask.
pub(crate) struct World<'w> {
    pub(crate) st: State,
    pub(crate) env: Env,
    pub(crate) heap: Heap,
    pub(crate) dice: Dice,
    image: &'w Image<'w>,
    pub(crate) interface: &'w Interface,
    /// How often each kind of step was accepted.
    accepted: BTreeMap<String, u32>,
}

impl World<'_> {
    fn judged<T>(
        &mut self,
        f: impl FnOnce(&mut Judge<'_, Teller>, &mut State) -> Result<T, Error>,
    ) -> Option<T> {
        let mut teller = Teller::default();
        let caps = self.st.caps.len();
        if self.dice.roll(3) == 0 {
            teller.access = [self.through()].into();
        }
        if self.dice.roll(4) == 0 {
            teller.take = [self.dice.position(caps)].into();
        }
        teller.in_range = self.dice.roll(2) == 0;
        teller.unwilling = self.dice.roll(2) == 0;
        teller.element = Some((self.term(), u32::try_from(self.dice.roll(3) * 4).unwrap()));
        let mut judge = Judge::new(self.image, self.interface, teller, 1 << 12);
        let before = self.st.clone();
        let result = f(&mut judge, &mut self.st);
        if result.is_err() {
            self.st = before;
        }
        result.ok()
    }

    pub(crate) fn through(&mut self) -> Through {
        if self.dice.roll(2) == 0 {
            Through::Entry(self.dice.position(self.st.caps.len()))
        } else {
            Through::View(self.dice.position(self.st.views.len()))
        }
    }

    /// A small constant, or an integer of the state with a small constant.
    pub(crate) fn term(&mut self) -> Term {
        let ints: Vec<u16> = (0..)
            .zip(&self.st.scope)
            .filter(|(_, s)| matches!(s.kind, Kind::Int(_)))
            .map(|(i, _)| i)
            .collect();
        let c = i64::try_from(self.dice.roll(34)).unwrap() - 1;
        match self.dice.roll(3) {
            0 if !ints.is_empty() => {
                let n = Term::var(Var::Free(self.dice.pick(&ints)));
                let c = self.dice.pick(&[0, 0, 1, -1, 8, -8, 16]);
                n.scale(self.dice.pick(&[1, 1, 8, -1])).unwrap().plus(c).unwrap()
            }
            1 => Term::int(c - c % 8),
            _ => Term::int(c),
        }
    }

    pub(crate) fn name(&mut self) -> Var {
        let names: Vec<u16> = (0..)
            .zip(&self.st.scope)
            .filter(|(_, s)| matches!(s.kind, Kind::Addr { .. }))
            .map(|(i, _)| i)
            .collect();
        Var::Free(self.dice.pick(&names))
    }

    pub(crate) fn mem(&mut self, depth: u32) -> Rc<Mem> {
        let n = self.term();
        let value = Term::var(Var::Value);
        let small = vec![ge(value.clone()), ge(k(40).sub(&value).unwrap())];
        match self.dice.roll(if depth == 0 { 12 } else { 15 }) {
            0 => junk(n),
            1 => bytes(n),
            2 => zero(n),
            3 => u64s(),
            4 => record(8, vec![unset(0, 8)]),
            5 => record(16, vec![unset(0, 8), unset(8, 8)]),
            6 => record(8, vec![refined(0, 64, false, small)]),
            7 => record(8, vec![int(0, 32, true), unset(4, 4)]),
            8 => named(NODE, vec![]),
            9 => named(VECTOR, vec![]),
            10 => named(PAIR, vec![n]),
            11 => record(16, vec![own(0, true, Some(HEAP), named(NODE, vec![])), unset(8, 8)]),
            12 => cat(self.mem(0), self.mem(0)),
            13 => array(n, self.mem(0)),
            _ => types()[1].body.clone(),
        }
    }

    fn field_type(&mut self) -> FieldTy {
        let value = Term::var(Var::Value);
        let n = self.term();
        let x = self.name();
        match self.dice.roll(9) {
            0 => int(0, 64, false).ty,
            1 => refined(0, 64, false, vec![ge(k(40).sub(&value).unwrap())]).ty,
            2 => refined(0, 64, true, vec![eq(value.sub(&n).unwrap())]).ty,
            3 => int(0, 32, false).ty,
            4 => FieldTy::Known(Word::Int(n)),
            5 => FieldTy::Known(ptr(x, n)),
            6 => own(0, true, Some(HEAP), named(NODE, vec![])).ty,
            7 => reference(0, self.dice.roll(2) == 0, Mode::Rw, self.mem(0)).ty,
            _ => own(0, self.dice.roll(2) == 0, None, self.mem(0)).ty,
        }
    }

    /// Something that fits what is there more often than chance would.
    fn aimed(&mut self) -> Option<Ghost> {
        let position = self.dice.position(self.st.caps.len());
        let Some(Cap::Entry(e)) = self.st.caps.get(usize::from(position)).cloned() else {
            return None;
        };
        let entry = position;
        let of = Through::Entry(entry);
        let mem = self.fit(self.heap.size(&e.mem, &self.env));
        if self.dice.roll(3) == 0 {
            let offset = Term::constant_of(self.env.term(&e.offset)).unwrap();
            return Some(self.dice.pick(&[
                Ghost::RetypePlain { entry, mem: Some(mem.clone()) },
                Ghost::RetypeZero { entry, mem: mem.clone() },
                Ghost::RetypeShape { entry, mem: mem.clone() },
                Ghost::Equal { of, offset, mem },
            ]));
        }
        Some(match &*e.mem {
            Mem::Named(..) => Ghost::Unfold { entry },
            Mem::Ex { .. } => self
                .dice
                .pick(&[Ghost::Open { entry }, Ghost::Fold { entry, ty: VECTOR, args: vec![] }]),
            Mem::Cat(..) => Ghost::SplitCat { entry },
            Mem::Array(n, _) if n.as_int() == Some(1) => Ghost::One { of, to_array: false },
            Mem::Array(..) => Ghost::Split { entry, at: k(1) },
            Mem::Junk(_) => Ghost::RetypeShape { entry, mem: self.pair_of_words() },
            Mem::Bytes(_) | Mem::Zero(_) => Ghost::Split { entry, at: k(8) },
            Mem::Struct { fields, .. } => {
                let field = self.dice.position(fields.len() - 1);
                match (self.dice.roll(4), &fields[usize::from(field)].ty) {
                    (0, _) => self.dice.pick(&[
                        Ghost::Fold { entry, ty: NODE, args: vec![] },
                        Ghost::Fold { entry, ty: PAIR, args: vec![k(3)] },
                    ]),
                    (1, _) => {
                        let witness = match &fields[0].ty {
                            FieldTy::Known(Word::Int(e)) => e.clone(),
                            _ => self.term(),
                        };
                        let mem = types()[1].body.clone();
                        Ghost::Pack { entry, mem, witnesses: vec![witness] }
                    }
                    (_, FieldTy::Known(Word::Ptr(..))) if self.dice.roll(2) == 0 => {
                        let mem = array(k(2), u64s());
                        let ty = own(0, false, None, mem).ty;
                        Ghost::FieldClose { entry, field, ty }
                    }
                    _ => {
                        let node = own(0, true, Some(HEAP), named(NODE, vec![])).ty;
                        let ty = self.dice.pick(&[node, int(0, 64, true).ty]);
                        Ghost::FieldClose { entry, field, ty }
                    }
                }
            }
        })
    }

    /// As [`World::aimed`], on a view.
    fn aimed_view(&mut self) -> Option<Ghost> {
        let view = self.dice.position(self.st.views.len());
        let mem = self.st.views.get(usize::from(view))?.mem.clone();
        Some(match &*mem {
            Mem::Named(..) => Ghost::ViewUnfold { view },
            Mem::Ex { .. } => Ghost::ViewOpen { view },
            Mem::Cat(..) => Ghost::ViewCat { view, second: self.dice.roll(2) == 0 },
            Mem::Array(..) | Mem::Bytes(_) if self.dice.roll(2) == 0 => {
                let (from, count) = self.dice.pick(&[(0, 1), (1, 1), (1, 2), (8, 8), (-1, 1)]);
                Ghost::ViewPart { view, from: k(from), count: k(count) }
            }
            _ => Ghost::ViewPlain { view },
        })
    }

    /// A type of as many bytes, if there is one.
    fn fit(&mut self, bytes_there: i128) -> Rc<Mem> {
        let n = Term::constant_of(bytes_there).unwrap();
        let words = Term::constant_of(bytes_there / 8).unwrap();
        let two = Term::var(Var::Free(0));
        let sixteen = Term::var(Var::Free(2));
        let cell = record(8, vec![own(0, true, None, array(k(2), u64s()))]);
        let any_size = [
            bytes(n.clone()),
            zero(n.clone()),
            array(words.clone(), u64s()),
            array(words.clone(), record(8, vec![unset(0, 8)])),
            array(words, cell),
        ];
        let sixteen_bytes = [
            named(NODE, vec![]),
            array(two, u64s()),
            cat(bytes(k(8)), junk(k(8))),
            bytes(sixteen),
            self.pair_of_words(),
        ];
        if bytes_there == 16 && self.dice.roll(2) == 0 {
            self.dice.pick(&sixteen_bytes)
        } else {
            self.dice.pick(&any_size)
        }
    }

    fn pair_of_words(&mut self) -> Rc<Mem> {
        let words = record(16, vec![unset(0, 8), unset(8, 8)]);
        let halves = record(8, vec![unset(0, 4), unset(4, 4)]);
        self.dice.pick(&[words, record(8, vec![unset(0, 8)]), halves])
    }

    fn any_ghost(&mut self) -> Ghost {
        let (caps, views) = (self.st.caps.len(), self.st.views.len());
        let entry = self.dice.position(caps);
        let second = self.dice.position(caps);
        let view = self.dice.position(views);
        let of = self.through();
        let mode = self.dice.pick(&[Mode::Rw, Mode::Ro, Mode::Rd]);
        let guard = match self.dice.roll(4) {
            0 => Guard::IsAddress(self.name()),
            1 => Guard::IsSmall(self.name(), 0, 0),
            _ => Guard::Range(self.term(), 0, 9),
        };
        match self.dice.roll(29) {
            0 => Ghost::Split { entry, at: self.term() },
            1 => Ghost::SplitCat { entry },
            2 | 3 => Ghost::Join { first: entry, second },
            4 => Ghost::One { of, to_array: self.dice.roll(2) == 0 },
            5 => Ghost::Equal { of, offset: self.term(), mem: self.mem(1) },
            6 => Ghost::RetypeJunk { entry },
            7 => Ghost::RetypeShape { entry, mem: self.mem(1) },
            8 => Ghost::RetypeZero { entry, mem: self.mem(1) },
            9 => Ghost::RetypePlain { entry, mem: Some(self.mem(1)) },
            10 => Ghost::RetypePlain { entry, mem: None },
            11 => Ghost::Unfold { entry },
            12 => Ghost::Fold { entry, ty: PAIR, args: vec![self.term()] },
            13 => Ghost::Fold { entry, ty: VECTOR, args: vec![] },
            14 => Ghost::Open { entry },
            15 => Ghost::Pack { entry, mem: types()[1].body.clone(), witnesses: vec![self.term()] },
            16 => Ghost::FieldClose { entry, field: self.dice.position(2), ty: self.field_type() },
            17 => Ghost::Borrow { entry, mode },
            18 => Ghost::RegionEnd { token: entry },
            19 => Ghost::ViewWeaken { view },
            20 => Ghost::ViewPart { view, from: self.term(), count: self.term() },
            21 => Ghost::ViewCat { view, second: self.dice.roll(2) == 0 },
            22 => Ghost::ViewPlain { view },
            23 => Ghost::ViewUnfold { view },
            24 => Ghost::ViewOpen { view },
            25 => Ghost::GuardAdd { of, guard },
            26 => Ghost::GuardTrue { of, guard: self.dice.position(1) },
            27 => Ghost::GuardFalse { entry, guard: self.dice.position(1) },
            _ => {
                let (name, offset, mem) = (self.name(), self.term(), self.mem(1));
                let guards = vec![guard];
                Ghost::GuardVoid { entry: Entry { guards, name, offset, mem }, guard: 0 }
            }
        }
    }

    /// Values for the variables that a step introduced, and facts that say them.
    fn settle(&mut self, values: &[i128]) {
        self.env.free.extend(values);
        for i in self.env.free.len() - values.len()..self.st.scope.len() {
            let v = Term::var(Var::Free(u16::try_from(i).unwrap()));
            if matches!(self.st.scope[i].kind, Kind::Int(_)) {
                let value = Term::constant_of(self.env.free[i]).unwrap();
                learn(&mut self.st, eq(v.sub(&value).unwrap()));
            }
        }
    }

    fn count(&mut self, what: &str) {
        *self.accepted.entry(what.to_owned()).or_default() += 1;
    }

    fn ghost_step(&mut self) {
        let aimed = match self.dice.roll(6) {
            0 | 1 => self.aimed(),
            2 => self.aimed_view(),
            _ => None,
        };
        let share = self.dice.roll(400) == 0;
        let ghost = match aimed {
            Some(ghost) => ghost,
            None if share => Ghost::Share { entry: 0, mode: Mode::Rw },
            None => self.any_ghost(),
        };
        let mut given = vec![];
        if let (Ghost::Share { .. }, Some(Cap::Entry(entry))) = (&ghost, self.st.caps.first())
            && let Some(at) = Heap::place(entry, &self.env)
        {
            given.push((at, self.heap.size(&entry.mem, &self.env)));
            assert!(self.heap.typed(&entry.mem, at, &self.env, &mut given));
        }
        let opened = self.to_open(&ghost);
        let old = self.st.scope.len();
        if self.judged(|judge, st| judge.ghost(st, &ghost)).is_none() {
            return;
        }
        self.heap.shared.extend(given);
        let fresh = self.st.scope.len() - old;
        let values = match (&ghost, fresh) {
            (_, 0) => vec![],
            // A region has no value.
            (Ghost::Borrow { .. }, 1) => vec![0],
            (Ghost::Open { .. } | Ghost::ViewOpen { .. }, 1) => vec![opened.unwrap()],
            _ => panic!("{ghost:?} makes {fresh} variables"),
        };
        self.settle(&values);
        let name = format!("{ghost:?}");
        let name = name.split([' ', '{', '(']).next().unwrap();
        self.count(name);
        self.assert_true(&format!("{ghost:?}"));
    }

    /// The witness of the package that the ghost would open.
    fn to_open(&self, ghost: &Ghost) -> Option<i128> {
        let (at, mem) = match ghost {
            Ghost::Open { entry } => match self.st.caps.get(usize::from(*entry))? {
                Cap::Entry(e) => (Heap::place(e, &self.env)?, &e.mem),
                _ => return None,
            },
            Ghost::ViewOpen { view } => {
                let view = self.st.views.get(usize::from(*view))?;
                let Base::Name(x) = view.base else { return None };
                (self.env.var(x) + self.env.term(&view.offset), &view.mem)
            }
            _ => return None,
        };
        let Mem::Ex { facts, body, .. } = &**mem else { return None };
        self.heap.witness(facts, body, at, &self.env, &mut vec![])
    }

    fn assert_true(&self, step: &str) {
        if let Err(what) = self.heap.check(&self.st, &self.env) {
            panic!("after {step}: {what}\nstate {:#?}\nvalues {:x?}", self.st, self.env.free);
        }
    }

    /// Somewhere in what there is, or elsewhere.
    fn somewhere(&mut self) -> (Var, Term, u8) {
        let x = self.name();
        let width = self.dice.pick(&[8, 8, 8, 4, 1]);
        match self.dice.roll(2) {
            0 => (x, Term::int(i64::try_from(self.dice.roll(5) * 8).unwrap()), width),
            _ => (x, self.term(), width),
        }
    }

    fn load_step(&mut self) {
        let (x, e, width) = self.somewhere();
        let at = self.env.var(x) + self.env.term(&e);
        let address = Address::Mem(Base::Name(x), e);
        let old = self.st.scope.len();
        let Some(word) = self.judged(|judge, st| judge.load(st, &address, width)) else { return };
        let bits = 8 * i128::from(width);
        assert!(self.heap.inside(at, i128::from(width)), "load outside");
        let value = self.heap.read(at, i128::from(width)).expect("load of what was never written");
        if self.st.scope.len() > old {
            // Signed or not: whichever the facts say.
            let mut signed = vec![value];
            if value >> (bits - 1) != 0 {
                signed.push(value - (1 << bits));
            }
            let fits = |v: &&i128| {
                let mut env = self.env.clone();
                env.free.push(**v);
                self.heap.check(&self.st, &env).is_ok()
            };
            let chosen = *signed.iter().find(fits).unwrap_or(&value);
            self.settle(&[chosen]);
        }
        assert_eq!(self.env.word(&word) & ((1 << bits) - 1), value);
        self.count("load");
        self.assert_true("load");
    }

    fn store_step(&mut self) {
        let (x, e, width) = self.somewhere();
        let at = self.env.var(x) + self.env.term(&e);
        let word = match self.dice.roll(3) {
            0 => ptr(self.name(), Term::ZERO),
            1 => Word::Int(k(0)),
            _ => Word::Int(self.term()),
        };
        let value = self.env.word(&word);
        let old = self.st.scope.len();
        let address = Address::Mem(Base::Name(x), e);
        if self.judged(|judge, st| judge.store(st, &address, width, &word)).is_none() {
            return;
        }
        assert!(self.heap.inside(at, i128::from(width)), "store outside");
        self.heap.write(at, i128::from(width), value);
        let bits = 8 * i128::from(width);
        let low = value & ((1 << bits) - 1);
        if self.st.scope.len() > old {
            let negative = low - (1 << bits);
            let mut env = self.env.clone();
            env.free.push(low);
            let unsigned = self.heap.check(&self.st, &env).is_ok();
            self.settle(&[if unsigned { low } else { negative }]);
        }
        self.count("store");
        self.assert_true("store");
    }

    /// Zeroes or other bytes by `rep stosb`.
    fn fill_step(&mut self) {
        let (x, e, _) = self.somewhere();
        let count = self.term();
        let value = self.dice.pick(&[0, 0, 7]);
        let at = self.env.var(x) + self.env.term(&e);
        let bytes = self.env.term(&count);
        self.st.set_reg(Reg::Rdi, ptr(x, e));
        self.st.set_reg(Reg::Rcx, Word::Int(count));
        self.st.set_reg(Reg::Rax, Word::Int(k(value)));
        if self.judged(|judge, st| judge.rep_stos(st, 1)).is_none() {
            return;
        }
        assert!(bytes >= 0 && self.heap.inside(at, bytes), "fill outside");
        for i in 0..bytes {
            self.heap.write(at + i, 1, i128::from(value));
        }
        self.count("fill");
        self.assert_true("fill");
    }

    /// A step within a block.
    pub(crate) fn step(&mut self) {
        match self.dice.roll(24) {
            0..=5 => self.load_step(),
            6..=9 => self.store_step(),
            10 | 11 => self.fill_step(),
            12 => self.narrow_step(),
            _ => self.ghost_step(),
        }
    }

    /// Tests a name, the way its value really is.
    fn narrow_step(&mut self) {
        let x = self.name();
        let value = self.env.var(x);
        let keep = |low: i64, high: i64| Some((low == 0 && high == 0) == (value == 0));
        let old = self.st.scope.len();
        if self.judged(|judge, st| judge.narrow(st, x, keep)).is_none() {
            return;
        }
        if self.st.scope.len() > old {
            self.settle(&[value]);
        }
        self.count("narrow");
        self.assert_true("narrow");
    }
}

/// Three blocks of the heap, two of them uninitialised, a list cell, and integers that say sizes.
pub(crate) fn begin<'w>(seed: u64, image: &'w Image<'w>, interface: &'w Interface) -> World<'w> {
    let blocks = vec![(0x10_0000, 32), (0x20_0000, 16), (0x30_0000, 16), (0x40_0000, 8)];
    let heap = Heap { bytes: BTreeMap::new(), blocks, shared: vec![], types: types() };
    let mut world = World {
        st: state(),
        env: Env::default(),
        heap,
        dice: Dice(seed),
        image,
        interface,
        accepted: BTreeMap::new(),
    };
    let st = &mut world.st;
    let mut values = vec![];
    for value in [2, 3, 16, 32] {
        let n = any(st);
        values.push(value);
        learn(st, eq(n.plus(-value).unwrap()));
    }
    let sixteen = Term::var(Var::Free(2));
    for (base, extent) in [(0x10_0000, 32), (0x20_0000, 16), (0x30_0000, 16)] {
        let x = block(st, NameSet::ADDRESS, k(extent));
        values.push(base);
        let size = if extent == 16 { sixteen.clone() } else { k(extent) };
        owned(st, x, k(0), junk(size));
    }
    if seed % 4 < 2 {
        populate(st, &mut world.heap, seed % 4);
    }
    let claim = Block { origin: HEAP, extent: k(8) };
    let null = declare(st, Kind::Addr { set: NameSet::NULLABLE, block: Some(claim) });
    guarded(st, vec![Guard::IsAddress(null)], null, k(0), junk(k(8)));
    values.push(if seed.is_multiple_of(2) { 0 } else { 0x40_0000 });
    world.env.free = values;
    world.assert_true("nothing");
    world
}

/// The first block holds a vector of two words, which are in the second block, and two narrow
/// fields; or it is a node whose next one is the second block. The rest is zero.
fn populate(st: &mut State, heap: &mut Heap, variant: u64) {
    let x = Var::Free(4);
    for at in 0..32 {
        heap.write(0x10_0000 + at, 1, 0);
    }
    for at in 0..16 {
        heap.write(0x20_0000 + at, 1, 0);
    }
    st.caps.drain(..2);
    if variant == 0 {
        heap.write(0x10_0000, 8, 2);
        heap.write(0x10_0008, 8, 0x20_0000);
        heap.write(0x10_0014, 4, 3);
        owned(st, x, k(0), named(VECTOR, vec![]));
        owned(st, x, k(16), named(PAIR, vec![Term::var(Var::Free(1))]));
        owned(st, x, k(24), zero(k(8)));
    } else {
        heap.write(0x10_0000, 8, 0x20_0000);
        owned(st, x, k(0), named(NODE, vec![]));
        owned(st, x, k(16), cat(zero(k(8)), bytes(k(8))));
    }
}

#[test]
fn whatever_is_accepted_is_true() {
    let interface = interface();
    let image = Image {
        text: &[],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: None,
    };
    let mut accepted: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 1..1500_u64 {
        let mut world = begin(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), &image, &interface);
        for _ in 0..160 {
            world.step();
        }
        for (what, times) in world.accepted {
            *accepted.entry(what).or_default() += times;
        }
    }
    // Each rule was really tried.
    for what in [
        "Split",
        "SplitCat",
        "Join",
        "One",
        "Equal",
        "RetypeJunk",
        "RetypeShape",
        "RetypeZero",
        "RetypePlain",
        "Unfold",
        "Fold",
        "Open",
        "Pack",
        "FieldClose",
        "Borrow",
        "Share",
        "RegionEnd",
        "ViewWeaken",
        "ViewPart",
        "ViewCat",
        "ViewPlain",
        "ViewUnfold",
        "ViewOpen",
        "GuardAdd",
        "GuardTrue",
        "GuardFalse",
        "GuardVoid",
        "load",
        "store",
        "fill",
        "narrow",
    ] {
        let times = accepted.get(what).copied().unwrap_or(0);
        println!("{what}: {times}");
        assert!(times > 0, "{what} was never accepted: {accepted:?}");
    }
}
