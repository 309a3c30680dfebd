//! Not trusted. The soundness of transfers, tried as in `model`: a state that is true of a concrete
//! heap goes over a random edge to a random label, or into a random callee and back. Labels and
//! signatures are made of the state itself, so that some are accepted, and then spoilt; theta is
//! what they were made by, and spoilt as well. Whatever is accepted, the state on the other side
//! must be true: at a label, in a callee and in what a return promises, under theta; and after a
//! call of a callee that gives back what it took.

use crate::model::{Dice, Env, World, begin};
use crate::support::*;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::hint::Inst;
use tal_core::image::{Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::rules::apply::Callee;
use tal_core::state::State;
use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{
    Assertion, Base, Block, Bounds, Cap, Entry, Fact, Field, FieldTy, FnId, Guard, Kind, Mem, Mode,
    NameSet, Post, Reg, Region, Rel, Sig, View, Word, Words,
};

/// Says each variable of a state as another one, and a name as another one with an offset.
struct Rename<'r> {
    /// For `Free(i)` the variable, and what is added to an offset from it.
    to: &'r dyn Fn(u16) -> (Var, i64),
}

impl Rename<'_> {
    fn var(&self, v: Var) -> Var {
        match v {
            Var::Free(i) => (self.to)(i).0,
            other => other,
        }
    }

    fn term(&self, t: &Term) -> Term {
        let mut sum = Term::constant_of(t.constant()).unwrap();
        for Monomial { atom, coefficient } in t.monomials() {
            let (a, b) = atom.factors();
            let factor = b.map_or(Term::int(1), |b| Term::var(self.var(b)));
            let product = Term::var(self.var(a)).mul(&factor).unwrap();
            sum = sum.add_scaled(&product, coefficient).unwrap();
        }
        sum
    }

    /// `x + e` as `y + (e + what is added)`.
    fn place(&self, x: Var, e: &Term) -> (Var, Term) {
        let Var::Free(i) = x else { return (x, e.clone()) };
        let (y, by) = (self.to)(i);
        (y, self.term(e).plus(i128::from(by)).unwrap())
    }

    fn word(&self, w: &Word) -> Word {
        match w {
            Word::Int(e) => Word::Int(self.term(e)),
            Word::Ptr(Base::Name(x), e) => {
                let (y, e) = self.place(*x, e);
                ptr(y, e)
            }
            other => other.clone(),
        }
    }

    fn facts(&self, facts: &[Fact]) -> Vec<Fact> {
        facts.iter().map(|f| Fact { rel: f.rel, term: self.term(&f.term) }).collect()
    }

    fn mem(&self, mem: &Mem) -> Rc<Mem> {
        Rc::new(match mem {
            Mem::Struct { fields, size } => {
                Mem::Struct { fields: fields.iter().map(|f| self.field(f)).collect(), size: *size }
            }
            Mem::Array(n, element) => Mem::Array(self.term(n), self.mem(element)),
            Mem::Bytes(n) => Mem::Bytes(self.term(n)),
            Mem::Junk(n) => Mem::Junk(self.term(n)),
            Mem::Zero(n) => Mem::Zero(self.term(n)),
            Mem::Cat(a, b) => Mem::Cat(self.mem(a), self.mem(b)),
            Mem::Ex { vars, facts, body } => {
                Mem::Ex { vars: *vars, facts: self.facts(facts), body: self.mem(body) }
            }
            Mem::Named(id, args) => Mem::Named(*id, args.iter().map(|t| self.term(t)).collect()),
        })
    }

    fn field(&self, f: &Field) -> Field {
        let ty = match &f.ty {
            FieldTy::Int { bits, signed, facts } => {
                FieldTy::Int { bits: *bits, signed: *signed, facts: self.facts(facts) }
            }
            FieldTy::Known(word) => FieldTy::Known(self.word(word)),
            FieldTy::Own { nullable, origin, mem } => {
                FieldTy::Own { nullable: *nullable, origin: *origin, mem: self.mem(mem) }
            }
            FieldTy::Ref { nullable, mode, mem } => {
                FieldTy::Ref { nullable: *nullable, mode: *mode, mem: self.mem(mem) }
            }
            FieldTy::Junk(bytes) => FieldTy::Junk(*bytes),
        };
        Field { ty, ..f.clone() }
    }

    fn guards(&self, guards: &[Guard]) -> Vec<Guard> {
        let one = |g: &Guard| match g {
            Guard::Range(t, low, high) => Guard::Range(self.term(t), *low, *high),
            Guard::IsAddress(x) => Guard::IsAddress(self.var(*x)),
            Guard::IsSmall(x, low, high) => Guard::IsSmall(self.var(*x), *low, *high),
        };
        guards.iter().map(one).collect()
    }

    fn entry(&self, e: &Entry) -> Entry {
        let (name, offset) = self.place(e.name, &e.offset);
        Entry { guards: self.guards(&e.guards), name, offset, mem: self.mem(&e.mem) }
    }

    fn cap(&self, cap: &Cap) -> Cap {
        match cap {
            Cap::Entry(e) => Cap::Entry(self.entry(e)),
            Cap::Token(rho, e) => Cap::Token(self.var(*rho), self.entry(e)),
            Cap::Store(r) => Cap::Store(self.var(*r)),
        }
    }

    fn view(&self, v: &View) -> View {
        let region = match v.region {
            Region::Always => Region::Always,
            Region::Var(rho) => Region::Var(self.var(rho)),
        };
        let (base, offset) = match v.base {
            Base::Name(x) => {
                let (y, e) = self.place(x, &v.offset);
                (Base::Name(y), e)
            }
            other => (other, self.term(&v.offset)),
        };
        let (guards, mem) = (self.guards(&v.guards), self.mem(&v.mem));
        View { guards, region, mode: v.mode, base, offset, mem }
    }

    fn kind(&self, kind: &Kind) -> Kind {
        match kind {
            Kind::Addr { set, block } => {
                let claim = block.as_ref();
                let block = claim.map(|b| Block { origin: b.origin, extent: self.term(&b.extent) });
                Kind::Addr { set: *set, block }
            }
            other => other.clone(),
        }
    }
}

/// How the variables of a state are said on the other side.
struct Plan {
    /// For each variable of the state: which one, and what it is moved by (names only).
    to: Vec<(u16, i64)>,
    /// The declarations on the other side, before they are renamed, and theta.
    kinds: Vec<Kind>,
    theta: Vec<Inst>,
}

impl Plan {
    /// The first `common` variables are those of both sides. Each other variable by one of its
    /// own; sometimes two of a kind by one, and a name by one that stands elsewhere in its memory.
    fn of(dice: &mut Dice, st: &State, common: usize) -> Plan {
        let same = (0..common).map(|i| (u16::try_from(i).unwrap(), 0)).collect();
        let mut plan = Plan { to: same, kinds: vec![], theta: vec![] };
        for (i, scope) in st.scope.iter().enumerate().skip(common) {
            let v = Var::Free(u16::try_from(i).unwrap());
            let same_kind = (common..plan.to.len()).find(|j| st.scope[*j].kind == scope.kind);
            if let (0, Some(twin)) = (dice.roll(40), same_kind) {
                plan.to.push(plan.to[twin]);
                continue;
            }
            let is_name = matches!(scope.kind, Kind::Addr { block: None, .. });
            let moved = is_name && dice.roll(6) == 0;
            let by = if moved { dice.pick(&[8, 16, 24, 40]) } else { 0 };
            plan.to.push((u16::try_from(common + plan.kinds.len()).unwrap(), by));
            plan.kinds.push(spoilt_kind(dice, scope));
            let inst = match (&scope.kind, &scope.is) {
                (Kind::Int(_), _) => Inst::Int(Term::var(v)),
                (Kind::Addr { .. }, Some(n)) => Inst::Small(n.clone()),
                (Kind::Addr { .. }, None) => Inst::Ptr(Base::Name(v), Term::int(by)),
                (Kind::Region, _) => Inst::Region(Region::Var(v)),
                (other, _) => panic!("no such variable here: {other:?}"),
            };
            plan.theta.push(inst);
        }
        plan
    }

    /// As it is in the source's terms: an offset from a name that was moved is that much less.
    fn rename<T>(&self, f: impl FnOnce(&Rename<'_>) -> T) -> T {
        let to = |i: u16| {
            let (j, by) = self.to[usize::from(i)];
            (Var::Free(j), -by)
        };
        f(&Rename { to: &to })
    }

    fn declared(&self) -> Vec<Kind> {
        self.rename(|r| self.kinds.iter().map(|k| r.kind(k)).collect())
    }

    /// Another value for one of the variables.
    fn spoil(&mut self, world: &mut World<'_>) {
        if self.theta.is_empty() {
            return;
        }
        let at = world.dice.roll(self.theta.len());
        let (x, t) = (world.name(), world.term());
        let other = world.dice.roll(self.theta.len());
        self.theta[at] = match world.dice.roll(5) {
            0 => Inst::Int(t),
            1 => Inst::Ptr(Base::Name(x), Term::ZERO),
            2 => Inst::Ptr(Base::Name(x), t),
            3 => Inst::Small(t),
            _ => self.theta[other].clone(),
        };
    }
}

/// The declaration as the state has it, with what is known now, or more or less of it.
fn spoilt_kind(dice: &mut Dice, scope: &tal_core::state::Scope) -> Kind {
    let (set, block) = match &scope.kind {
        Kind::Addr { set, block } => (set, block),
        Kind::Int(declared) => {
            let known = scope.bounds;
            let less = known.high().and_then(|h| Bounds::new(known.low(), Some(h - 1)));
            let more = known.low().and_then(|l| Bounds::new(Some(l + 1), None));
            let wrong = dice.pick(&[less, more]).unwrap_or(known);
            return Kind::Int(dice.pick(&[*declared, known, known, known, known, wrong]));
        }
        other => return other.clone(),
    };
    let known = if scope.set.address { scope.set } else { *set };
    let set = dice.pick(&[*set, *set, known, known, NameSet::ADDRESS, NameSet::NULLABLE]);
    let block = if dice.roll(6) == 0 { None } else { block.clone() };
    Kind::Addr { set, block }
}

/// Something that is not as it should be, in one place.
fn spoil(world: &mut World<'_>, caps: &mut Vec<Cap>, views: &mut [View], facts: &mut [Fact]) {
    let mem = world.mem(1);
    let c = world.dice.pick(&[1, -1, 8, -8, 16]);
    let x = world.name();
    let entry = |cap: &mut Cap, f: &mut dyn FnMut(&mut Entry)| match cap {
        Cap::Entry(e) | Cap::Token(_, e) => f(e),
        Cap::Store(_) => {}
    };
    let cap = world.dice.roll(caps.len().max(1));
    let view = world.dice.roll(views.len().max(1));
    let fact = world.dice.roll(facts.len().max(1));
    match world.dice.roll(12) {
        0 if !caps.is_empty() => caps.push(caps[cap].clone()),
        1 if !caps.is_empty() => drop(caps.remove(cap)),
        2 if !caps.is_empty() => entry(&mut caps[cap], &mut |e| e.mem = mem.clone()),
        3 if !caps.is_empty() => {
            entry(&mut caps[cap], &mut |e| e.offset = e.offset.plus(c).unwrap());
        }
        4 if !caps.is_empty() => entry(&mut caps[cap], &mut |e| e.guards.clear()),
        5 if !caps.is_empty() => {
            entry(&mut caps[cap], &mut |e| e.guards.push(Guard::IsAddress(x)));
        }
        6 if !views.is_empty() => views[view].offset = views[view].offset.plus(c).unwrap(),
        7 if !views.is_empty() => views[view].mem = mem,
        8 if !views.is_empty() => views[view].mode = world.dice.pick(&[Mode::Rw, Mode::Ro]),
        9 if !views.is_empty() => views[view].guards.clear(),
        10 if !views.is_empty() => views[view].region = Region::Always,
        _ if !facts.is_empty() => facts[fact].term = facts[fact].term.plus(c).unwrap(),
        _ => {}
    }
}

/// Values of the other side's variables; a region has none.
fn values(env: &Env, theta: &[Inst]) -> Option<Env> {
    let value = |inst: &Inst| match inst {
        Inst::Int(t) | Inst::Small(t) => Some(env.term(t)),
        Inst::Ptr(Base::Name(x), e) => Some(env.var(*x) + env.term(e)),
        Inst::Region(_) => Some(0),
        _ => None,
    };
    let free = theta.iter().map(value).collect::<Option<Vec<i128>>>()?;
    let mut there = env.clone();
    there.free = free;
    Some(there)
}

fn empty_image() -> Image<'static> {
    Image {
        text: &[0xC3; 16],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: None,
    }
}

/// Some words of the state, with what they are now.
fn some_words(world: &mut World<'_>) -> Vec<(Reg, Word)> {
    let regs = [Reg::Rax, Reg::Rcx, Reg::Rdx, Reg::Rsi, Reg::Rdi];
    let word = |world: &mut World<'_>| match world.dice.roll(2) {
        0 => Word::Int(world.term()),
        _ => ptr(world.name(), world.term()),
    };
    regs.into_iter().map(|reg| (reg, word(world))).collect()
}

/// Everything that the state has, said by the plan; not every view, not every fact.
struct Said {
    vars: Vec<Kind>,
    facts: Vec<Fact>,
    words: Vec<(Reg, Word)>,
    views: Vec<View>,
    caps: Vec<Cap>,
    theta: Vec<Inst>,
}

/// What the bounds of the integers say.
fn bounds_as_facts(st: &State) -> Vec<Fact> {
    let of = |(i, scope): (usize, &tal_core::state::Scope)| {
        let v = Term::var(Var::Free(u16::try_from(i).unwrap()));
        let least = scope.bounds.low().map(|low| ge(v.plus(-low).unwrap()));
        let most = scope.bounds.high().map(|h| Term::constant_of(h).unwrap().sub(&v).unwrap());
        least.into_iter().chain(most.map(ge)).collect::<Vec<_>>()
    };
    st.scope.iter().enumerate().flat_map(of).collect()
}

fn say(world: &mut World<'_>, words: &[(Reg, Word)], caps: &[Cap], common: usize) -> Said {
    let mut plan = Plan::of(&mut world.dice, &world.st, common);
    let known = world.st.facts.clone().into_iter().chain(bounds_as_facts(&world.st));
    let facts: Vec<Fact> = known.filter(|_| world.dice.roll(8) != 0).collect();
    let views: Vec<View> =
        world.st.views.clone().into_iter().filter(|_| world.dice.roll(3) != 0).collect();
    let mut facts = plan.rename(|r| r.facts(&facts));
    let mut views: Vec<View> = plan.rename(|r| views.iter().map(|v| r.view(v)).collect());
    let mut caps: Vec<Cap> = plan.rename(|r| caps.iter().map(|c| r.cap(c)).collect());
    let mut words: Vec<(Reg, Word)> =
        plan.rename(|r| words.iter().map(|(reg, w)| (*reg, r.word(w))).collect());
    match world.dice.roll(5) {
        0 => {}
        1 => plan.spoil(world),
        2 => {
            if let (_, Word::Int(e)) | (_, Word::Ptr(_, e)) = &mut words[0] {
                *e = e.plus(world.dice.pick(&[1, 8, 1 << 64])).unwrap();
            }
        }
        _ => {
            spoil(world, &mut caps, &mut views, &mut facts);
            if world.dice.roll(3) == 0 {
                spoil(world, &mut caps, &mut views, &mut facts);
            }
        }
    }
    Said { vars: plan.declared(), facts, words, views, caps, theta: plan.theta }
}

fn with_words(words: &[(Reg, Word)]) -> Words {
    let mut regs = Words::default();
    for (reg, word) in words {
        regs.set(*reg, word.clone());
    }
    regs
}

/// The registers hold the words of the world.
fn set_words(world: &mut World<'_>, words: &[(Reg, Word)]) {
    for (reg, word) in words {
        world.st.set_reg(*reg, word.clone());
    }
}

/// Are these words, there, what those are, here?
fn same_words(words: &[(Reg, Word)], st: &State, here: &Env, there: &Env) -> Result<(), String> {
    for (reg, word) in words {
        match &st.regs()[*reg as usize] {
            Word::Junk => {}
            other if there.word(other) == here.word(word) => {}
            other => return Err(format!("{reg:?}: {word:?} became {other:?}")),
        }
    }
    Ok(())
}

fn teller(world: &mut World<'_>, theta: Vec<Inst>) -> Teller {
    let mut teller = Teller { insts: [theta].into(), ..Teller::default() };
    if world.dice.roll(8) == 0 {
        teller.take = [world.dice.position(world.st.caps.len())].into();
    }
    if world.dice.roll(8) == 0 {
        teller.view = [world.through()].into();
    }
    teller.unwilling = world.dice.roll(2) == 0;
    teller
}

/// What is known of the function's names, where it is more than they were declared with; sometimes
/// more than is known.
fn refinements(world: &mut World<'_>, vars: &[Kind]) -> Vec<(Var, NameSet)> {
    let mut found = Vec::new();
    for (i, kind) in vars.iter().enumerate() {
        let Kind::Addr { set, .. } = kind else { continue };
        let known = world.st.scope[i].set;
        let null = NameSet { address: false, ..NameSet::NULLABLE };
        let said = match world.dice.roll(12) {
            0 => NameSet::ADDRESS,
            1 if set.small[0] == Some((0, 0)) => null,
            2 => *set,
            _ => known,
        };
        if said != *set {
            found.push((Var::Free(u16::try_from(i).unwrap()), said));
        }
    }
    found
}

/// Goes to a label; says whether it was accepted.
fn label_step(world: &mut World<'_>) -> bool {
    let words = some_words(world);
    set_words(world, &words);
    let caps = world.st.caps.clone();
    // The first variables are the function's, as far as they may be.
    let region = world.st.scope.iter().position(|s| s.kind == Kind::Region);
    let common = world.dice.roll(region.unwrap_or(world.st.scope.len()).min(12) + 1);
    let vars: Vec<Kind> = world.st.scope.iter().take(common).map(|s| s.kind.clone()).collect();
    let refinements = refinements(world, &vars);
    let sig = Rc::new(Sig { vars, pre: assertion(), post: None });
    let said = say(world, &words, &caps, common);
    let (delta, touched) = (world.st.stack.delta, world.st.stack.touched);
    let label = LabelState {
        vars: said.vars,
        refinements,
        facts: said.facts,
        regs: Reg::ALL.map(|reg| with_words(&said.words).get(reg).clone()),
        delta,
        touched,
        slots: vec![],
        lent: vec![],
        views: said.views,
        caps: said.caps,
    };
    let mut image = empty_image();
    image.sigs.push(Rc::clone(&sig));
    image.functions.push(Function { offset: 0, sig: 0 });
    image.labels.push(4);
    let teller = teller(world, said.theta.clone());
    let mut judge = Judge::new(&image, world.interface, teller, 1 << 12);
    if judge.wf_sig(&sig).is_err() || wf_label(&mut judge, &sig, &label).is_err() {
        return false;
    }
    let mut there = root(&sig);
    judge.own = Own::function(Some(FnId(0)), sig);
    if entail_at(&mut judge, &mut world.st.clone(), &label).is_err() {
        return false;
    }
    let parent = there.mark();
    let record = label.record(&Saved::of(&there, &parent));
    judge.begin_label(&mut there, (&parent, record.declared())).unwrap();
    let mut env = values(&world.env, &said.theta).unwrap();
    env.free.splice(..0, world.env.free.iter().take(common).copied());
    // A name of the function that is known to be an integer is a new one there.
    let integers = label.refinements.iter().filter(|(_, set)| !set.address);
    env.free.extend(integers.map(|(x, _)| world.env.var(*x)));
    let right = world.heap.check(&there, &env);
    let right = right.and_then(|()| same_words(&words, &there, &world.env, &env));
    if let Err(what) = right {
        panic!("at a label: {what}\n{:?}\n{:#?}\n{there:#?}", said.theta, world.st);
    }
    (world.st, world.env) = (there, env);
    true
}

/// The regions that a signature declares: live in the callee.
fn own_regions(vars: &[Kind]) -> Vec<Var> {
    let region = |(i, kind): (usize, &Kind)| {
        (*kind == Kind::Region).then(|| Var::Free(u16::try_from(i).unwrap()))
    };
    vars.iter().enumerate().filter_map(region).collect()
}

/// Calls a function that takes some of what is owned and gives it back; says whether it was
/// accepted.
fn call_step(world: &mut World<'_>) -> bool {
    let words = some_words(world);
    set_words(world, &words);
    let taken: Vec<Cap> = world.st.caps.to_vec();
    let taken: Vec<Cap> = taken
        .into_iter()
        .filter(|c| matches!(c, Cap::Entry(_)) && world.dice.roll(2) == 0)
        .collect();
    let said = say(world, &words, &taken, 0);
    let pre = Assertion {
        facts: said.facts,
        regs: with_words(&said.words),
        args: vec![],
        views: said.views,
        caps: said.caps,
    };
    // What it gives back stands at names of its own choice, which are those that it was given.
    let count = u16::try_from(said.vars.len()).unwrap();
    let chosen: Vec<bool> = said
        .vars
        .iter()
        .map(|k| matches!(k, Kind::Int(_) | Kind::Addr { .. }) && world.dice.roll(3) == 0)
        .collect();
    let mut later = Vec::new();
    let mut to = Vec::new();
    for (i, own) in chosen.iter().enumerate() {
        let same = Var::Free(u16::try_from(i).unwrap());
        let new = Var::Free(count + u16::try_from(later.len()).unwrap());
        to.push(if *own { new } else { same });
        if *own {
            later.push(i);
        }
    }
    let to = |i: u16| (to.get(usize::from(i)).copied().unwrap_or(Var::Free(i)), 0);
    let back = Rename { to: &to };
    let state = Assertion {
        facts: back.facts(&pre.facts),
        regs: with_words(&said.words.iter().map(|(r, w)| (*r, back.word(w))).collect::<Vec<_>>()),
        args: vec![],
        views: pre.views.iter().map(|v| back.view(v)).collect(),
        caps: pre.caps.iter().map(|c| back.cap(c)).collect(),
    };
    let vars = later.iter().map(|i| back.kind(&said.vars[*i])).collect();
    let sig = Rc::new(Sig { vars: said.vars, pre, post: Some(Post { vars, state }) });
    let mut image = empty_image();
    image.sigs.push(Rc::clone(&sig));
    image.functions.push(Function { offset: 0, sig: 0 });
    let teller = teller(world, said.theta.clone());
    let mut judge = Judge::new(&image, world.interface, teller, 1 << 12);
    if judge.wf_sig(&sig).is_err() {
        return false;
    }
    let inside = judge.entry_state(FnId(0)).unwrap();
    judge.own = Own::function(None, Rc::new(never()));
    let mut after = world.st.clone();
    if judge.call(&mut after, 0, 5, Callee::Function(FnId(0))).is_err() {
        return false;
    }
    let env = values(&world.env, &said.theta).unwrap();
    let live = own_regions(&sig.vars);
    let right = world.heap.check_live(&inside, &env, &live);
    let right = right.and_then(|()| same_words(&words, &inside, &world.env, &env));
    if let Err(what) = right {
        panic!("in the callee: {what}\n{:?}\n{:#?}\n{inside:#?}", said.theta, world.st);
    }
    // What it chooses is what it was given.
    let chosen: Vec<i128> = later.iter().map(|i| env.free[*i]).collect();
    let (before, old) = (core::mem::replace(&mut world.st, after), world.env.clone());
    world.env.free.extend(chosen);
    let right = world.heap.check(&world.st, &world.env);
    let right = right.and_then(|()| same_words(&words, &world.st, &old, &world.env));
    if let Err(what) = right {
        panic!("after the call: {what}\n{:?}\n{before:#?}\n{:#?}", said.theta, world.st);
    }
    // The model keeps facts that say the values of integers.
    for (i, scope) in world.st.scope.clone().iter().enumerate().skip(old.free.len()) {
        if matches!(scope.kind, Kind::Int(_)) {
            let v = Term::var(Var::Free(u16::try_from(i).unwrap()));
            let value = Term::constant_of(world.env.free[i]).unwrap();
            learn(&mut world.st, Fact { rel: Rel::Eq, term: v.sub(&value).unwrap() });
        }
    }
    true
}

/// Returns from a function that promises what there is; says whether it was accepted.
fn return_step(world: &mut World<'_>) -> bool {
    let words = some_words(world);
    let caps = world.st.caps.clone();
    let said = say(world, &words, &caps, 0);
    let state = Assertion {
        facts: said.facts,
        regs: with_words(&said.words),
        args: vec![],
        views: said.views,
        caps: said.caps,
    };
    let post = Some(Post { vars: said.vars.clone(), state: state.clone() });
    let sig = Sig { vars: vec![], pre: assertion(), post };
    let image = empty_image();
    let teller = teller(world, said.theta.clone());
    let mut judge = Judge::new(&image, world.interface, teller, 1 << 12);
    if judge.wf_sig(&sig).is_err() {
        return false;
    }
    judge.own = Own::function(None, Rc::new(sig));
    let mut leaving = world.st.clone();
    for reg in Reg::ALL.into_iter().filter(|r| r.callee_saved()) {
        leaving.set_reg(reg, Word::Saved(reg));
    }
    for (reg, word) in &words {
        leaving.set_reg(*reg, word.clone());
    }
    let slots: Vec<i64> = leaving.slots().map(|(at, _)| at).collect();
    slots.into_iter().for_each(|at| leaving.set_slot(at, Word::Junk));
    leaving.set_slot(0, Word::ReturnAddress);
    if judge.ret(&mut leaving, 0).is_err() {
        return false;
    }
    let mut image = empty_image();
    image.sigs.push(Rc::new(Sig { vars: said.vars, pre: state, post: None }));
    image.functions.push(Function { offset: 0, sig: 0 });
    let teller = Teller::default();
    let mut judge = Judge::new(&image, world.interface, teller, 1 << 12);
    let there = judge.entry_state(FnId(0)).unwrap();
    let env = values(&world.env, &said.theta).unwrap();
    let right = world.heap.check(&there, &env);
    let right = right.and_then(|()| same_words(&words, &there, &world.env, &env));
    if let Err(what) = right {
        panic!("at the return: {what}\n{:?}\n{:#?}\n{there:#?}", said.theta, world.st);
    }
    true
}

/// Worlds that a test run tries.
const WORLDS: u64 = 1500;

#[test]
fn whatever_is_accepted_is_true_on_the_other_side() {
    let interface = interface();
    let image = empty_image();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let worlds = std::env::var("TAL_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(WORLDS);
    for seed in 1..worlds {
        let mut world = begin(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), &image, &interface);
        for _ in 0..60 {
            let done = match world.dice.roll(9) {
                0 | 1 => ("label", label_step(&mut world)),
                2 | 3 => ("call", call_step(&mut world)),
                4 => ("return", return_step(&mut world)),
                _ => {
                    world.step();
                    continue;
                }
            };
            *counts.entry(if done.1 { done.0 } else { "refused" }).or_default() += 1;
        }
    }
    println!("{counts:?}");
    for what in ["label", "call", "return", "refused"] {
        let times = counts.get(what).copied().unwrap_or(0);
        assert!(u64::from(times) > worlds / 8, "{what}: {counts:?}");
    }
}
