//! Not trusted: a bug here can reject, never admit. The least general state that covers two.
//!
//! Anti-unification (Plotkin 1970; Reynolds 1970) of states: where both sides agree the common
//! thing stays, where they differ a variable of the label stands, with its value on each side.
//! Every pair of values gets one variable, so what was equal on both sides stays equal. Joining a
//! state with itself gives the state of a label that is reached for the first time.

use crate::find::data_view;
use crate::prove::Known;
use crate::theta::{multiple, name_set};
use std::cell::RefCell;
use tal_core::counted::Rc;
use tal_core::image::Image;
use tal_core::limits;
use tal_core::prove::{high, low};
use tal_core::state::{Scope, State};
use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{
    Base, Block, Bounds, Cap, Entry, Field, FieldTy, Guard, Kind, Lent, Mem, Mode, NameSet, Reg,
    Region, Small, View, Word,
};

use super::form::{Alone, Drift, Form, Key, Mismatch, Outcome, Unmatched, Value};
use super::live::RegSet;
use super::loops::{Turn, Turns};
use super::written::Seed;

/// Joins two states of one function. `fixed` variables and `fixed_views` views are the function's.
/// Places of the seed are left to what is written of them.
pub(crate) fn zip(
    image: &Image<'_>,
    (left, right): (&State, &State),
    (fixed, fixed_views): (usize, usize),
    (live, matter, plain): (RegSet, RegSet, RegSet),
    alone: Alone,
    seed: &Seed,
    turns: Option<&Turns>,
) -> Result<Form, Mismatch> {
    let (keys, written) = (seed.keys.clone(), seed.keys.len());
    let matters = RefCell::new(vec![true; written]);
    let outcomes = &seed.outcomes;
    let (data, turn) = (None, Turn::default());
    let mut zip =
        Zip { image, left, right, fixed, alone, outcomes, keys, written, data, turn, matters };
    if left.stack.delta != right.stack.delta {
        return Err(Mismatch::Depth(left.stack.delta, right.stack.delta));
    }
    zip.multiples();
    let mut regs = [const { Word::Junk }; 16];
    let mut slots = Vec::new();
    // Products last: by then their factors have variables, if registers or slots hold them.
    for last in [false, true] {
        for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp && !seed.regs.contains(r)) {
            let i = reg as usize;
            if live & (1 << i) != 0 && is_product(&left.regs()[i]) == last {
                zip.data = (matter & (1 << i) == 0).then_some(plain & (1 << i) != 0);
                zip.turn = turns.map_or_else(Turn::default, |turns| turns[i]);
                regs[i] = zip.word(&left.regs()[i], &right.regs()[i]);
            }
        }
        (zip.data, zip.turn) = (None, Turn::default());
        let open = left.slots().filter(|(at, _)| !seed.slots.contains(at));
        for (offset, word) in open.filter(|(_, word)| is_product(word) == last) {
            let other = right.slots().find(|(o, _)| *o == offset);
            let common = other.map_or(Word::Junk, |(_, w)| zip.word(word, w));
            if common != Word::Junk && slots.len() < limits::LABEL_SLOTS {
                slots.push((offset, common));
            }
        }
    }
    slots.sort_by_key(|(at, _)| *at);
    regs[Reg::Rsp as usize] = Word::Frame(left.stack.delta);
    let lent = zip.lent()?;
    let caps = zip.caps()?;
    let views = zip.views(fixed_views);
    if zip.keys.len() > limits::LABEL_VARS {
        return Err(Mismatch::Limit);
    }
    // Of what is only data nothing is said.
    let matters = zip.matters.take();
    for (i, key) in zip.keys.iter_mut().enumerate() {
        let asked = matters.get(i).is_some_and(|matters| *matters);
        key.closed |= !asked && matches!(key.kind, Kind::Int(_));
    }
    let touched = left.stack.touched.max(right.stack.touched);
    Ok(Form { keys: zip.keys, regs, delta: left.stack.delta, touched, slots, lent, views, caps })
}

struct Zip<'a> {
    image: &'a Image<'a>,
    left: &'a State,
    right: &'a State,
    fixed: usize,
    alone: Alone,
    outcomes: &'a [Outcome],
    keys: Vec<Key>,
    /// How many of these the written state has.
    written: usize,
    /// If it does not matter what the word holds that is joined: does it matter that it is a number
    /// of 64 bits?
    data: Option<bool>,
    /// At the first visit of a loop: what its turns do to the register that is joined.
    turn: Turn,
    /// By variable of the label: does it matter somewhere what it is?
    matters: RefCell<Vec<bool>>,
}

impl Zip<'_> {
    fn is_fixed(&self, v: Var) -> bool {
        !matches!(v, Var::Free(i) if usize::from(i) >= self.fixed)
    }

    fn all_fixed(&self, term: &Term) -> bool {
        term.vars().all(|v| self.is_fixed(v))
    }

    /// The variable of this number stands in what is joined.
    fn used(&self, key: usize) -> Var {
        if self.data.is_none() {
            let mut matters = self.matters.borrow_mut();
            if matters.len() <= key {
                matters.resize(key + 1, false);
            }
            matters[key] = true;
        }
        self.variable(key)
    }

    fn variable(&self, key: usize) -> Var {
        Var::Free(u16::try_from(self.fixed + key).unwrap_or(u16::MAX))
    }

    /// Of a register that a written state mentions it stays known that it is a multiple.
    fn multiples(&mut self) {
        for at in 0..self.written {
            let Key { left: Value::Int(l), right: Value::Int(r), closed: false, .. } =
                &self.keys[at]
            else {
                continue;
            };
            let (l, r) = (multiple(self.left, l), multiple(self.right, r));
            if let Some((stride, rest)) = self.stride(&l, &r).filter(|(stride, _)| *stride > 1) {
                // Only the variable is wanted.
                let _ = self.in_steps((&l, &r), stride, &rest);
            }
        }
    }

    /// The first variable of that kind of which not everything is written.
    fn find(&self, is: impl Fn(&Key) -> bool) -> Option<usize> {
        self.keys.iter().position(|k| !k.closed && is(k))
    }

    fn key(&mut self, kind: Kind, left: Value, right: Value) -> Var {
        self.key_in(1, kind, left, right)
    }

    /// The variable that has these values: so many times it, and something fixed, is what is
    /// joined.
    fn key_in(&mut self, stride: i128, kind: Kind, left: Value, right: Value) -> Var {
        let drift = self.drift(stride);
        let known = |k: &Key| k.left == left && k.right == right && k.drift.is_that_of(&drift);
        let at = self.find(known).unwrap_or_else(|| {
            self.keys.push(Key { kind, left, right, closed: false, drift });
            self.keys.len() - 1
        });
        self.used(at)
    }

    /// What the turns of the loop do to a variable of which so many are what is joined, but for a
    /// limit.
    fn drift(&self, stride: i128) -> Drift {
        let Turn { changed, step, sign, pace, .. } = self.turn;
        let step = i128::from(step);
        match (changed, step % stride) {
            (false, _) => Drift::default(),
            (true, 0) if step != 0 => {
                Drift { by: i128::from(sign) * (step / stride), pace, limit: None }
            }
            // Nothing goes with it.
            _ => Drift { by: 0, pace: u64::MAX - self.keys.len() as u64, limit: None },
        }
    }

    /// The common form of two integers: themselves, a multiple of a known variable plus something
    /// fixed, or a new variable, times the stride that both share.
    fn term(&mut self, left: &Term, right: &Term) -> Option<Term> {
        if left == right && self.all_fixed(left) {
            // Still fixed: there will be other values, or so many steps.
            let step = i128::from(self.turn.step);
            return match (self.data, self.turn.changed, step) {
                (Some(plain), true, _) => Some(self.some_number(left, right, plain)),
                (None, true, 1..) => self.in_steps((left, right), step, &remainder(left, step)?),
                _ => Some(left.clone()),
            };
        }
        // Of `value - n` the value of the field is not the label's to name.
        let (bound, other) = (bound_part(left)?, bound_part(right)?);
        if bound != Term::ZERO || other != Term::ZERO {
            if bound != other || !self.all_fixed(&bound) {
                return None;
            }
            let (left, right) = (left.sub(&bound).ok()?, right.sub(&bound).ok()?);
            return self.term(&left, &right)?.add(&bound).ok();
        }
        if let Some(plain) = self.data {
            return Some(self.some_number(left, right, plain));
        }
        if let Some(found) = (0..self.keys.len()).find_map(|i| self.through(i, left, right)) {
            return Some(found);
        }
        if let Some(found) = self.same_form(left, right) {
            return Some(found);
        }
        let (stride, rest) = self.stride(left, right)?;
        self.in_steps((left, right), stride, &rest)
    }

    /// A variable of which nothing is said but, where that is wanted, that it has 64 bits.
    fn some_number(&mut self, left: &Term, right: &Term, plain: bool) -> Term {
        let bounds = Bounds::of_bits(64, false);
        let most = bounds.high().unwrap_or(i128::MAX);
        let narrow = |state: &State, term: &Term| {
            let by_bounds =
                low(state, term) >= Some(0) && high(state, term).is_some_and(|high| high <= most);
            by_bounds || range(state, term).is_some_and(|(low, high)| low >= 0 && high <= most)
        };
        let narrow = plain && narrow(self.left, left) && narrow(self.right, right);
        let kind = if narrow { Kind::Int(bounds) } else { Kind::INT };
        Term::var(self.key(kind, Value::Int(left.clone()), Value::Int(right.clone())))
    }

    /// `stride * key + rest`, which both sides are.
    fn in_steps(
        &mut self,
        (left, right): (&Term, &Term),
        stride: i128,
        rest: &Term,
    ) -> Option<Term> {
        let (l, r) = (quotient(left, stride, rest)?, quotient(right, stride, rest)?);
        let v = self.key_in(stride, Kind::INT, Value::Int(l), Value::Int(r));
        let limit = self.limit(stride, rest);
        if let Some(key) = index_of(v).and_then(|i| self.keys.get_mut(i.checked_sub(self.fixed)?)) {
            key.drift.limit = key.drift.limit.or(limit);
        }
        Term::var(v).scale(stride).ok()?.add(rest).ok()
    }

    /// How many strides there are up to the last number that a comparison lets the register reach
    /// that is joined.
    fn limit(&self, stride: i128, rest: &Term) -> Option<i128> {
        let (at, before) = self.turn.limit?;
        let step = i128::from(self.turn.sign);
        // Behind the comparison it has not been reached.
        let last = if before { i128::from(at) } else { i128::from(at) - step };
        last.checked_sub(rest.as_int()?)?.checked_div_euclid(stride)
    }

    /// `factor * key + fixed rest`, if both sides are that.
    fn through(&self, key: usize, left: &Term, right: &Term) -> Option<Term> {
        let Key { left: Value::Int(l), right: Value::Int(r), closed: false, .. } = &self.keys[key]
        else {
            return None;
        };
        let mut factors: Vec<i128> = Vec::new();
        for (term, value) in [(left, l), (right, r)] {
            for m in term.monomials() {
                let part = value.monomials().iter().find(|p| p.atom == m.atom);
                if let Some(part) = part
                    && m.coefficient % part.coefficient == 0
                {
                    factors.push(m.coefficient / part.coefficient);
                }
            }
        }
        let (rise, step) = (left.constant() - right.constant(), l.constant() - r.constant());
        if step != 0 && rise % step == 0 {
            factors.push(rise / step);
        }
        let drift = self.keys[key].drift;
        let together = |factor: i128| key < self.written || drift.is_that_of(&self.drift(factor));
        let mut factors = factors.into_iter().filter(|f| *f != 0 && together(*f));
        factors.find_map(|factor| {
            let rest = left.add_scaled(l, -factor).ok()?;
            let same = rest == right.add_scaled(r, -factor).ok()? && self.all_fixed(&rest);
            let var = || Term::var(self.used(key));
            if same { rest.add_scaled(&var(), factor).ok() } else { None }
        })
    }

    /// The left term with variables of the label for its own, if it has products of these and is
    /// the right term on the right.
    fn same_form(&self, left: &Term, right: &Term) -> Option<Term> {
        let is = |v: Var| {
            let own = Value::Int(Term::var(v));
            self.find(|k| k.left == own)
        };
        let product = left.monomials().iter().any(|m| m.atom.factors().1.is_some());
        if !product || left.vars().any(|v| !self.is_fixed(v) && is(v).is_none()) {
            return None;
        }
        let named = |v: Var| is(v).map(|at| Term::var(self.used(at)));
        let common = left.subst(&|v| if self.is_fixed(v) { None } else { named(v) }).ok()?;
        let there = |v: Var| match v {
            Var::Free(i) => match &self.keys.get(usize::from(i).checked_sub(self.fixed)?)?.right {
                Value::Int(term) => Some(term.clone()),
                _ => None,
            },
            _ => None,
        };
        (common.subst(&there).ok()? == *right).then_some(common)
    }

    /// The greatest stride of the difference, and the common remainder.
    fn stride(&self, left: &Term, right: &Term) -> Option<(i128, Term)> {
        let mut stride = (left.constant() - right.constant()).abs();
        let mut fixed_left = Term::ZERO;
        for (term, is_left) in [(left, true), (right, false)] {
            let other = if is_left { right } else { left };
            for m in term.monomials() {
                let (a, b) = m.atom.factors();
                let fixed = self.is_fixed(a) && b.is_none_or(|b| self.is_fixed(b));
                if !fixed {
                    stride = gcd(stride, m.coefficient);
                    continue;
                }
                let twin = other.monomials().iter().find(|o| o.atom == m.atom);
                stride = gcd(stride, m.coefficient - twin.map_or(0, |t| t.coefficient));
                if is_left {
                    let part = Term::from_parts(0, [m]).ok()?;
                    fixed_left = fixed_left.add(&part).ok()?;
                }
            }
        }
        let stride = stride.max(1);
        Some((stride, remainder(&fixed_left.plus(left.constant()).ok()?, stride)?))
    }

    fn word(&mut self, left: &Word, right: &Word) -> Word {
        let before = self.keys.len();
        let (left, right) = (read(self.left, left), read(self.right, right));
        let common = self.word_of(&left, &right);
        if common.is_none() {
            self.keys.truncate(before);
        }
        common.unwrap_or(Word::Junk)
    }

    fn word_of(&mut self, left: &Word, right: &Word) -> Option<Word> {
        match (left, right) {
            (Word::Int(l), Word::Int(r)) => Some(Word::Int(self.term(l, r)?)),
            (Word::Ptr(a, l), Word::Ptr(b, r)) => {
                // What is added to it changes nothing of what it points to.
                let turn = std::mem::take(&mut self.turn);
                let base = self.base(*a, *b);
                self.turn = turn;
                let base = base?;
                Some(Word::Ptr(base, self.term(l, r)?))
            }
            (Word::Int(l), Word::Ptr(base, r)) if r.as_int() == Some(0) => {
                let l = &known(self.left, l)?;
                let set = small_or(&self.set_of(false, *base)?, l)?;
                let block = self.block_of(false, *base);
                self.nullable(set, block, Value::Small(l.clone()), Value::Name(*base))
            }
            (Word::Ptr(base, l), Word::Int(r)) if l.as_int() == Some(0) => {
                let r = &known(self.right, r)?;
                let set = small_or(&self.set_of(true, *base)?, r)?;
                let block = self.block_of(true, *base);
                self.nullable(set, block, Value::Name(*base), Value::Small(r.clone()))
            }
            _ if left == right && !matches!(left, Word::Int(_) | Word::Ptr(..)) => {
                Some(left.clone())
            }
            _ => None,
        }
    }

    fn nullable(
        &mut self,
        set: NameSet,
        block: Option<Block>,
        left: Value,
        right: Value,
    ) -> Option<Word> {
        let v = self.key(Kind::Addr { set, block }, left, right);
        Some(Word::Ptr(Base::Name(v), Term::ZERO))
    }

    fn scope(&self, left: bool, v: Var) -> Option<&Scope> {
        let state = if left { self.left } else { self.right };
        match v {
            Var::Free(i) => state.scope.get(usize::from(i)),
            _ => None,
        }
    }

    /// What is known of where something stands; of data and of what is shared for ever, that it is
    /// an address.
    fn set_of(&self, left: bool, base: Base) -> Option<NameSet> {
        match base {
            Base::Name(name) => self.scope(left, name).map(|scope| scope.set),
            Base::Data(id) => {
                data_view(self.image, id).map(|_| NameSet { address: true, small: [None, None] })
            }
            Base::Code(_) => None,
        }
    }

    /// One of several places that are readable for ever: data, or what is shared.
    fn shared(&mut self, left: Base, right: Base) -> Option<Base> {
        let state = [self.left, self.right];
        let lasts = |state: &State, base: Base| match base {
            Base::Data(_) => true,
            _ => state.views.iter().any(|v| v.base == base && v.region == Region::Always),
        };
        if !lasts(state[0], left) || !lasts(state[1], right) {
            return None;
        }
        let set = union(&self.set_of(true, left)?, &self.set_of(false, right)?)?;
        let kind = Kind::Addr { set, block: None };
        Some(Base::Name(self.key(kind, Value::Name(left), Value::Name(right))))
    }

    /// The claim about a name on one side, when its extent is fixed.
    fn block_of(&self, left: bool, base: Base) -> Option<Block> {
        let Base::Name(v) = base else { return None };
        match &self.scope(left, v)?.kind {
            Kind::Addr { block: Some(block), .. } if self.all_fixed(&block.extent) => {
                Some(block.clone())
            }
            _ => None,
        }
    }

    fn base(&mut self, left: Base, right: Base) -> Option<Base> {
        match (left, right) {
            (Base::Name(a), Base::Name(b)) => {
                let known = |k: &Key| k.left == Value::Name(left) && k.right == Value::Name(right);
                let at = self.find(known);
                if a == b && self.is_fixed(a) && at.is_none_or(|at| at >= self.written) {
                    return Some(left);
                }
                if let Some(at) = at {
                    return Some(Base::Name(self.used(at)));
                }
                let kind = self.name_kind(a, b)?;
                Some(Base::Name(self.key(kind, Value::Name(left), Value::Name(right))))
            }
            _ if left == right => Some(left),
            (Base::Data(_), _) | (_, Base::Data(_)) => self.shared(left, right),
            _ => None,
        }
    }

    fn name_kind(&mut self, a: Var, b: Var) -> Option<Kind> {
        let (l, r) = (self.scope(true, a)?.clone(), self.scope(false, b)?.clone());
        match (&l.kind, &r.kind) {
            (Kind::Addr { block: p, .. }, Kind::Addr { block: q, .. }) => {
                let set = union(&l.set, &r.set)?;
                let block = match (p, q) {
                    (Some(p), Some(q)) if p.origin == q.origin => {
                        let extent = self.term(&p.extent, &q.extent)?;
                        Some(Block { origin: p.origin, extent })
                    }
                    _ => None,
                };
                Some(Kind::Addr { set, block })
            }
            (Kind::Code(p), Kind::Code(q)) if p == q => Some(l.kind.clone()),
            (Kind::Word, Kind::Word) => Some(Kind::Word),
            _ => None,
        }
    }

    fn var_name(&mut self, left: Var, right: Var) -> Option<Var> {
        match self.base(Base::Name(left), Base::Name(right))? {
            Base::Name(v) => Some(v),
            _ => None,
        }
    }

    fn region(&mut self, left: Region, right: Region) -> Option<Region> {
        match (left, right) {
            (Region::Var(a), Region::Var(b)) if a != b || !self.is_fixed(a) => {
                let v = self.key(Kind::Region, Value::Region(left), Value::Region(right));
                Some(Region::Var(v))
            }
            _ if left == right => Some(left),
            _ => None,
        }
    }

    /// The region of a view: one that is the same, or that has its token on both sides.
    fn lasting(&mut self, left: Region, right: Region) -> Option<Region> {
        let tokens = |k: &Key| k.left == Value::Region(left) && k.right == Value::Region(right);
        let fixed = matches!(left, Region::Var(v) if self.is_fixed(v)) || left == Region::Always;
        let known = (left == right && fixed) || self.find(tokens).is_some();
        if known { self.region(left, right) } else { None }
    }

    fn mem(&mut self, left: &Mem, right: &Mem) -> Option<Mem> {
        Some(match (left, right) {
            (Mem::Struct { fields: a, size: n }, Mem::Struct { fields: b, size: m })
                if n == m && a.len() == b.len() =>
            {
                let fields = a.iter().zip(b).map(|(a, b)| self.field(a, b));
                Mem::Struct { fields: fields.collect::<Option<_>>()?, size: *n }
            }
            (Mem::Array(n, a), Mem::Array(m, b)) => {
                let element = self.mem(a, b)?;
                Mem::Array(self.term(n, m)?, Rc::new(element))
            }
            (Mem::Bytes(n), Mem::Bytes(m)) => Mem::Bytes(self.term(n, m)?),
            (Mem::Junk(n), Mem::Junk(m)) => Mem::Junk(self.term(n, m)?),
            (Mem::Zero(n), Mem::Zero(m)) => Mem::Zero(self.term(n, m)?),
            (Mem::Cat(a, b), Mem::Cat(c, d)) => {
                let first = self.mem(a, c)?;
                Mem::Cat(Rc::new(first), Rc::new(self.mem(b, d)?))
            }
            (Mem::Named(a, p), Mem::Named(b, q)) if a == b && p.len() == q.len() => {
                let args = p.iter().zip(q).map(|(p, q)| self.term(p, q));
                Mem::Named(*a, args.collect::<Option<_>>()?)
            }
            // Packages of the same text; their free variables must be the function's.
            (Mem::Ex { facts, .. }, Mem::Ex { .. }) if left == right => {
                let fixed = facts.iter().all(|f| self.all_fixed(&f.term));
                if !fixed {
                    return None;
                }
                left.clone()
            }
            _ => return None,
        })
    }

    fn field(&mut self, left: &Field, right: &Field) -> Option<Field> {
        if left.offset != right.offset || left.writable != right.writable {
            return None;
        }
        let ty = match (&left.ty, &right.ty) {
            (FieldTy::Known(a), FieldTy::Known(b)) => match self.word(a, b) {
                Word::Junk => return None,
                word => FieldTy::Known(word),
            },
            (
                FieldTy::Int { bits, signed, facts: a },
                FieldTy::Int { bits: m, signed: s, facts: b },
            ) if bits == m && signed == s && a.len() == b.len() => {
                let mut facts = Vec::new();
                for (a, b) in a.iter().zip(b) {
                    let term = self.term(&a.term, &b.term)?;
                    if a.rel != b.rel {
                        return None;
                    }
                    facts.push(tal_core::ty::Fact { rel: a.rel, term });
                }
                FieldTy::Int { bits: *bits, signed: *signed, facts }
            }
            (
                FieldTy::Own { nullable, origin, mem: a },
                FieldTy::Own { nullable: n, origin: o, mem: b },
            ) if nullable == n && origin == o => {
                FieldTy::Own { nullable: *nullable, origin: *origin, mem: Rc::new(self.mem(a, b)?) }
            }
            (
                FieldTy::Ref { nullable, mode, mem: a },
                FieldTy::Ref { nullable: n, mode: o, mem: b },
            ) if nullable == n && mode == o => {
                FieldTy::Ref { nullable: *nullable, mode: *mode, mem: Rc::new(self.mem(a, b)?) }
            }
            (FieldTy::Junk(n), FieldTy::Junk(m)) if n == m => FieldTy::Junk(*n),
            _ => return None,
        };
        Some(Field { offset: left.offset, writable: left.writable, ty })
    }

    fn guards(&mut self, left: &[Guard], right: &[Guard]) -> Option<Vec<Guard>> {
        if left.len() != right.len() {
            return None;
        }
        let pairs = left.iter().zip(right);
        pairs
            .map(|pair| match pair {
                (Guard::IsAddress(a), Guard::IsAddress(b)) => {
                    Some(Guard::IsAddress(self.var_name(*a, *b)?))
                }
                (Guard::IsSmall(a, l, h), Guard::IsSmall(b, m, i)) if (l, h) == (m, i) => {
                    Some(Guard::IsSmall(self.var_name(*a, *b)?, *l, *h))
                }
                (Guard::Range(a, l, h), Guard::Range(b, m, i)) if (l, h) == (m, i) => {
                    Some(Guard::Range(self.term(a, b)?, *l, *h))
                }
                _ => None,
            })
            .collect()
    }

    /// May the name be something else than an address?
    fn undecided(&self, name: Var) -> bool {
        let Var::Free(i) = name else { return true };
        let Some(at) = usize::from(i).checked_sub(self.fixed) else { return true };
        match self.keys.get(at).map(|k| &k.kind) {
            Some(Kind::Addr { set, .. }) => !set.is_address(),
            _ => true,
        }
    }

    fn entry(&mut self, left: &Entry, right: &Entry) -> Option<Entry> {
        // What is there for certain on one side may be null on the other.
        let (l, one) = without(&left.guards, left.name);
        let (r, other) = without(&right.guards, right.name);
        let mut guards = match (l.as_slice(), r.as_slice()) {
            ([guard], []) => vec![self.outcome_of(guard, true)?],
            ([], [guard]) => vec![self.outcome_of(guard, false)?],
            _ => self.guards(&l, &r)?,
        };
        let name = self.var_name(left.name, right.name)?;
        if (one || other) && self.undecided(name) {
            guards.push(Guard::IsAddress(name));
        }
        let offset = self.term(&left.offset, &right.offset)?;
        let mem = Rc::new(self.mem(&left.mem, &right.mem)?);
        Some(Entry { guards, name, offset, mem })
    }

    fn cap(&mut self, left: &Cap, right: &Cap) -> Option<Cap> {
        let before = self.keys.clone();
        let common = match (left, right) {
            (Cap::Entry(a), Cap::Entry(b)) => self.entry(a, b).map(Cap::Entry),
            (Cap::Token(r, a), Cap::Token(s, b)) => {
                match self.region(Region::Var(*r), Region::Var(*s)) {
                    Some(Region::Var(v)) => self.entry(a, b).map(|e| Cap::Token(v, e)),
                    _ => None,
                }
            }
            (Cap::Store(a), Cap::Store(b)) if a == b && self.is_fixed(*a) => Some(left.clone()),
            _ => None,
        };
        if common.is_none() {
            self.keys = before;
        }
        common
    }

    fn lent(&mut self) -> Result<Vec<Lent>, Mismatch> {
        let (left, right) = (&self.left.stack.lent, &self.right.stack.lent);
        let same = |a: &Lent, b: &Lent| (a.offset, a.size) == (b.offset, b.size);
        if let Some(alone) = right.iter().find(|b| !left.iter().any(|a| same(a, b))) {
            return Err(Mismatch::Lent(false, *alone));
        }
        left.iter()
            .map(|a| {
                let alone = Mismatch::Lent(true, *a);
                let Some(b) = right.iter().find(|b| same(a, b)) else { return Err(alone) };
                let name = self.var_name(a.name, b.name).ok_or(alone)?;
                Ok(Lent { name, ..*a })
            })
            .collect()
    }

    /// What both sides own. A name of the function is itself on both sides, but if that leads
    /// nowhere, it is what a register pairs it with: a list is walked from its first node on.
    fn caps(&mut self) -> Result<Vec<Cap>, Mismatch> {
        let before = self.keys.len();
        let itself = self.caps_paired(false);
        let walks = |key: &Key| match (&key.left, &key.right) {
            (Value::Name(Base::Name(a)), Value::Name(Base::Name(b))) => {
                a != b && (self.is_fixed(*a) || self.is_fixed(*b))
            }
            _ => false,
        };
        // A variable more is what no register holds.
        let found = itself.is_ok() && self.keys.len() == before;
        if found || !self.keys[..before].iter().any(walks) {
            return itself;
        }
        let keys = self.keys.split_off(before);
        let walked = self.caps_paired(true);
        let fewer = self.keys.len() - before < keys.len();
        if walked.is_ok() && (fewer || itself.is_err()) {
            return walked;
        }
        self.keys.truncate(before);
        self.keys.extend(keys);
        itself
    }

    /// Pairs what is owned: first by names that are paired already, then by shape, last what exists
    /// on one side only because on the other the name is no address.
    fn caps_paired(&mut self, walked: bool) -> Result<Vec<Cap>, Mismatch> {
        let (left, right) = (&self.left.caps, &self.right.caps);
        let mut partner: Vec<Option<Cap>> = vec![None; left.len()];
        let mut taken = vec![false; right.len()];
        for by_name in [true, false] {
            let mut progress = true;
            while progress {
                progress = false;
                for (i, a) in left.iter().enumerate() {
                    if partner[i].is_some() || (!by_name && self.pairs_with_null(a, true)) {
                        continue;
                    }
                    // Those first whose names were paired first: in a register, not in memory.
                    let mut open: Vec<(usize, usize)> = right
                        .iter()
                        .enumerate()
                        .filter(|(j, b)| !taken[*j] && (by_name || !self.pairs_with_null(b, false)))
                        .filter_map(|(j, b)| {
                            let rank = if by_name { self.paired(a, b, walked)? } else { 0 };
                            Some((rank, j))
                        })
                        .collect();
                    open.sort_unstable();
                    let found = open
                        .into_iter()
                        .find_map(|(_, j)| self.cap(a, right.get(j)?).map(|c| (j, c)));
                    if let Some((j, common)) = found {
                        partner[i] = Some(common);
                        taken[j] = true;
                        progress = true;
                    }
                }
            }
        }
        let mut caps = Vec::new();
        for (cap, partner) in left.iter().zip(partner) {
            match partner {
                Some(common) => caps.push(common),
                None => caps.extend(self.alone(cap, true)?),
            }
        }
        for (cap, _) in right.iter().zip(taken).filter(|(_, taken)| !taken) {
            caps.extend(self.alone(cap, false)?);
        }
        Ok(caps)
    }

    /// What a capability without a partner becomes: nothing, at a dead end.
    fn alone(&mut self, cap: &Cap, left: bool) -> Result<Option<Cap>, Mismatch> {
        match self.one_sided(cap, left).or_else(|| self.outcome(cap, left)) {
            None if self.alone != Alone::Lost || !matches!(cap, Cap::Entry(_)) => {
                Err(Mismatch::Capability(Box::new(self.unmatched(cap, left))))
            }
            common => Ok(common),
        }
    }

    fn unmatched(&mut self, cap: &Cap, left: bool) -> Unmatched {
        let partner = match cap {
            Cap::Entry(entry) => self.partner(entry, left).cloned(),
            _ => None,
        };
        let mut fixed = |cap: Option<&Cap>| match cap {
            Some(Cap::Entry(entry) | Cap::Token(_, entry)) => {
                self.all_fixed(&entry.offset) && self.mem_alone(&entry.mem).is_some()
            }
            _ => false,
        };
        let fixed = (fixed(Some(cap)), fixed(partner.as_ref()));
        Unmatched { left, cap: cap.clone(), partner, fixed }
    }

    /// What is there for certain at the name that this entry's is paired with, be it lent.
    fn partner(&self, entry: &Entry, left: bool) -> Option<&Cap> {
        let me = Value::Name(Base::Name(entry.name));
        let open = self.keys.iter().filter(|k| !k.closed);
        let paired = open.into_iter().find_map(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            match other {
                Value::Name(Base::Name(other)) if *mine == me => Some(*other),
                _ => None,
            }
        });
        let itself = self.is_fixed(entry.name).then_some(entry.name);
        let name = paired.or(itself)?;
        let caps = if left { &self.right.caps } else { &self.left.caps };
        caps.iter().find(|c| match c {
            Cap::Entry(e) => e.name == name && e.guards.is_empty(),
            Cap::Token(_, e) => e.name == name,
            Cap::Store(_) => false,
        })
    }

    /// The place of the pair of names of two entries that belong together by what is known so far.
    fn paired(&self, left: &Cap, right: &Cap, walked: bool) -> Option<usize> {
        let (a, b) = match (left, right) {
            (Cap::Entry(a), Cap::Entry(b)) | (Cap::Token(_, a), Cap::Token(_, b)) => {
                (a.name, b.name)
            }
            (Cap::Store(_), Cap::Store(_)) => return Some(0),
            _ => return None,
        };
        let itself = a == b && self.is_fixed(a);
        if itself && !walked {
            return Some(0);
        }
        let pair =
            |k: &Key| k.left == Value::Name(Base::Name(a)) && k.right == Value::Name(Base::Name(b));
        self.find(pair).or_else(|| itself.then_some(usize::MAX))
    }

    /// Is the name of the entry one that is a small integer on the other side?
    fn pairs_with_null(&self, cap: &Cap, left: bool) -> bool {
        let Cap::Entry(entry) = cap else { return false };
        self.beside_small(Base::Name(entry.name), left).is_some()
    }

    /// The variable that is this address on one side and a small integer on the other.
    fn beside_small(&self, base: Base, left: bool) -> Option<usize> {
        let me = Value::Name(base);
        self.find(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            *mine == me && matches!(other, Value::Small(_))
        })
    }

    /// An entry that exists on one side; on the other its name is a small integer.
    fn one_sided(&mut self, cap: &Cap, left: bool) -> Option<Cap> {
        let Cap::Entry(entry) = cap else { return None };
        let name = self.used(self.beside_small(Base::Name(entry.name), left)?);
        if self.alone == Alone::Named && holds_values(&entry.mem) {
            return None;
        }
        let mem = self.mem_alone(&entry.mem)?;
        let offset =
            if self.all_fixed(&entry.offset) { entry.offset.clone() } else { return None };
        let mut guards: Vec<Guard> = Vec::new();
        for guard in &entry.guards {
            guards.push(match guard {
                Guard::IsAddress(v) if *v == entry.name => continue,
                Guard::Range(term, ..) if self.all_fixed(term) => guard.clone(),
                _ => return None,
            });
        }
        guards.push(Guard::IsAddress(name));
        Some(Cap::Entry(Entry { guards, name, offset, mem: Rc::new(mem) }))
    }

    /// The guard on a result of one side, if the result is within it on the other.
    fn outcome_of(&self, guard: &Guard, left: bool) -> Option<Guard> {
        let Guard::Range(term, low, high) = guard else { return None };
        let theirs = if left { self.right } else { self.left };
        let at = self.find(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            let (Value::Int(mine), Value::Int(other)) = (mine, other) else { return false };
            mine == term && lies_within(theirs, other, (*low, *high))
        })?;
        Some(Guard::Range(Term::var(self.used(at)), *low, *high))
    }

    /// An entry that exists on one side, for one outcome of the function; a number that tells which
    /// it is has another value on the other.
    fn outcome(&mut self, cap: &Cap, left: bool) -> Option<Cap> {
        let Cap::Entry(entry) = cap else { return None };
        let (mine, theirs) = if left { (self.left, self.right) } else { (self.right, self.left) };
        let tells = |key: &Key, (name, low, high): &Outcome| {
            let (a, b) = if left { (&key.left, &key.right) } else { (&key.right, &key.left) };
            let (Value::Int(a), Value::Int(b)) = (a, b) else { return false };
            let holds = match entry.guards.as_slice() {
                [] => lies_within(mine, a, (*low, *high)),
                [Guard::Range(term, l, h)] => term == a && (l, h) == (low, high),
                _ => false,
            };
            let fails =
                || range(theirs, b).is_some_and(|(l, h)| h < (*low).into() || l > (*high).into());
            *name == entry.name && holds && fails()
        };
        let (at, (_, low, high)) = self
            .outcomes
            .iter()
            .find_map(|outcome| Some((self.find(|key| tells(key, outcome))?, *outcome)))?;
        let guards = vec![Guard::Range(Term::var(self.used(at)), low, high)];
        let mem = Rc::new(self.mem_alone(&entry.mem)?);
        let fixed = self.is_fixed(entry.name) && self.all_fixed(&entry.offset);
        fixed.then(|| Cap::Entry(Entry { guards, mem, ..entry.clone() }))
    }

    fn mem_alone(&mut self, mem: &Mem) -> Option<Mem> {
        let before = self.keys.len();
        let same = self.mem(mem, mem)?;
        // A variable would have no value on the other side.
        if self.keys.len() == before {
            return Some(same);
        }
        self.keys.truncate(before);
        None
    }

    /// Views worth carrying: at names of the label, or opened ones whose witnesses are in use.
    fn views(&mut self, fixed_views: usize) -> Vec<View> {
        let mut views = Vec::new();
        let (left, right) = (self.views_of(true), self.views_of(false));
        let mut done = vec![false; left.len()];
        let mut progress = true;
        while progress {
            progress = false;
            for (i, a) in left.iter().enumerate() {
                if done[i]
                    || outdated(self.left, a)
                    || !self.worth(a, i < fixed_views)
                    || views.len() >= limits::VIEWS / 2
                {
                    continue;
                }
                let before = self.keys.len();
                let found = self.view_of(a, &right);
                if self.keys.len() > before && self.opened_again(a) {
                    self.keys.truncate(before);
                    continue;
                }
                if let Some(common) = found {
                    done[i] = true;
                    progress = true;
                    if !views.contains(&common) {
                        views.push(common);
                    }
                }
            }
        }
        let alone = left.iter().map(|v| (v, true)).chain(right.iter().map(|v| (v, false)));
        for (view, is_left) in alone {
            if outdated(if is_left { self.left } else { self.right }, view) {
                continue;
            }
            if views.len() < limits::VIEWS / 2
                && let Some(common) = self.view_alone(view, is_left)
                && !views.contains(&common)
            {
                views.push(common);
            }
        }
        views
    }

    /// What the view is together with one of the other side: one that a register pairs it with,
    /// before one at the same place; one that is there as surely, before one that is more or less
    /// sure; one in the same mode, before one in another.
    fn view_of(&mut self, view: &View, others: &[View]) -> Option<View> {
        let ways = [(true, true), (false, true), (true, false)];
        let how = [true, false].into_iter().flat_map(|named| ways.map(|same| (named, same)));
        let here = |b: &&View| !outdated(self.right, b);
        let others: Vec<&View> = others.iter().filter(here).collect();
        how.into_iter().find_map(|(named, same)| {
            others.iter().find_map(|b| {
                let pair = self.named(view.base, b.base);
                let fits = if named { pair } else { !pair && view.base == b.base };
                let alike = (view.guards.len() == b.guards.len(), view.mode == b.mode);
                if fits && alike == same { self.view(view, b) } else { None }
            })
        })
    }

    /// The views of one side, with those of data that it stands for in a variable.
    fn views_of(&self, left: bool) -> Vec<View> {
        let mut views = if left { &self.left.views } else { &self.right.views }.clone();
        for key in self.keys.iter().filter(|key| !key.closed) {
            if let Value::Name(Base::Data(id)) = if left { &key.left } else { &key.right }
                && let Some(view) = data_view(self.image, *id)
                && !views.contains(&view)
            {
                views.push(view);
            }
        }
        views
    }

    /// Is it the inside of a struct that can be opened again where it is needed?
    fn opened_again(&self, view: &View) -> bool {
        let closed = |v: &View| {
            v.base == view.base
                && v.region == view.region
                && v.mode == view.mode
                && v.offset == view.offset
                && matches!(*v.mem, Mem::Named(..) | Mem::Ex { .. })
        };
        matches!(*view.mem, Mem::Struct { .. }) && self.left.views.iter().any(closed)
    }

    /// A view on one side whose name is a small integer on the other.
    fn view_alone(&mut self, view: &View, left: bool) -> Option<View> {
        let name = self.used(self.beside_small(view.base, left)?);
        let fixed = match view.region {
            Region::Always => true,
            Region::Var(v) => self.is_fixed(v),
        };
        let certain = match view.base {
            Base::Name(of) => without(&view.guards, of).0.is_empty(),
            _ => view.guards.is_empty(),
        };
        if !fixed || !certain || !self.all_fixed(&view.offset) {
            return None;
        }
        let mem = Rc::new(self.mem_alone(&view.mem)?);
        let guards = vec![Guard::IsAddress(name)];
        Some(View { guards, base: Base::Name(name), mem, ..view.clone() })
    }

    /// Is there a variable for this pair of names?
    fn named(&self, left: Base, right: Base) -> bool {
        let same = |k: &Key| k.left == Value::Name(left) && k.right == Value::Name(right);
        self.find(same).is_some()
    }

    /// Is the view usable? One whose region is over is of no use to anybody.
    fn usable(&self, view: &View) -> bool {
        let token = |c: &Cap, rho: Var| matches!(c, Cap::Token(r, _) if *r == rho);
        match view.region {
            Region::Always => true,
            Region::Var(rho) => self.is_fixed(rho) || self.left.caps.iter().any(|c| token(c, rho)),
        }
    }

    fn worth(&self, view: &View, function: bool) -> bool {
        if !self.usable(view) {
            return false;
        }
        let in_use = |name: Base| self.find(|k| k.left == Value::Name(name)).is_some();
        if in_use(view.base) {
            return true;
        }
        let Mem::Struct { fields, .. } = &*view.mem else { return false };
        !function
            && fields.iter().any(|f| match &f.ty {
                FieldTy::Known(Word::Int(t)) => t
                    .as_var()
                    .is_some_and(|v| self.find(|k| k.left == Value::Int(Term::var(v))).is_some()),
                FieldTy::Known(Word::Ptr(base, _)) => in_use(*base),
                _ => false,
            })
    }

    fn view(&mut self, left: &View, right: &View) -> Option<View> {
        let mode = if left.mode == right.mode { left.mode } else { Mode::Rd };
        let before = self.keys.clone();
        let common = (|| {
            let region = self.lasting(left.region, right.region)?;
            let base = self.base(left.base, right.base)?;
            let guards = match (left.base, right.base, base) {
                (_, _, Base::Name(name)) => {
                    let own = |view: &View| match view.base {
                        Base::Name(x) => without(&view.guards, x),
                        _ => (view.guards.clone(), false),
                    };
                    let ((l, one), (r, other)) = (own(left), own(right));
                    let mut guards = self.guards(&l, &r)?;
                    if (one || other) && self.undecided(name) {
                        guards.push(Guard::IsAddress(name));
                    }
                    guards
                }
                _ => self.guards(&left.guards, &right.guards)?,
            };
            let offset = self.term(&left.offset, &right.offset)?;
            let mem = Rc::new(self.mem(&left.mem, &right.mem)?);
            Some(View { guards, region, mode, base, offset, mem })
        })();
        if common.is_none() {
            self.keys = before;
        }
        common
    }
}

/// Is a guard of the view decided? Then there is one more without it, or nothing.
fn outdated(st: &State, view: &View) -> bool {
    let decided = |x: Var| name_set(st, x).is_some_and(|set| set.is_address() || !set.address);
    view.guards.iter().any(|guard| match guard {
        Guard::IsAddress(x) | Guard::IsSmall(x, ..) => decided(*x),
        Guard::Range(..) => false,
    })
}

/// Is the number in the word, or its distance from its base, made of products?
fn is_product(word: &Word) -> bool {
    match word {
        Word::Int(term) | Word::Ptr(_, term) => {
            term.monomials().iter().any(|m| m.atom.factors().1.is_some())
        }
        _ => false,
    }
}

/// What a term says of variables that are bound where it stands.
fn bound_part(term: &Term) -> Option<Term> {
    let free = |v: Var| matches!(v, Var::Free(_));
    let bound = term.monomials().iter().filter(|m| {
        let (a, b) = m.atom.factors();
        !free(a) || b.is_some_and(|b| !free(b))
    });
    Term::from_parts(0, bound.collect::<Vec<_>>()).ok()
}

/// Does a field hold a word that is known?
fn holds_values(mem: &Mem) -> bool {
    match mem {
        Mem::Struct { fields, .. } => fields.iter().any(|f| matches!(f.ty, FieldTy::Known(_))),
        _ => false,
    }
}

/// The word with names that are integers replaced.
fn read(state: &State, word: &Word) -> Word {
    if let Word::Ptr(Base::Name(Var::Free(i)), offset) = word
        && let Some(Scope { is: Some(value), .. }) = state.scope.get(usize::from(*i))
        && let Ok(sum) = value.add(offset)
    {
        return Word::Int(sum);
    }
    word.clone()
}

/// What division of each part of the term by the stride leaves.
fn remainder(term: &Term, stride: i128) -> Option<Term> {
    let parts = term.monomials().iter().filter_map(|m| {
        let coefficient = m.coefficient.rem_euclid(stride);
        (coefficient != 0).then_some(Monomial { coefficient, ..m })
    });
    let parts: Vec<Monomial> = parts.collect();
    Term::from_parts(term.constant().rem_euclid(stride), parts).ok()
}

/// The number of a variable.
fn index_of(v: Var) -> Option<usize> {
    match v {
        Var::Free(i) => Some(usize::from(i)),
        _ => None,
    }
}

/// How many strides the term is beyond the rest.
fn quotient(term: &Term, stride: i128, rest: &Term) -> Option<Term> {
    term.sub(rest).ok()?.floor_div(stride).ok()
}

/// The constant that the term is known to be: null, mostly.
fn known(state: &State, term: &Term) -> Option<Term> {
    let (low, high) = range(state, term)?;
    (low == high).then(|| Term::constant_of(low).ok()).flatten()
}

/// The least and the greatest value that the term may have.
fn range(state: &State, term: &Term) -> Option<(i128, i128)> {
    if let Some(value) = term.as_int() {
        return Some((value, value));
    }
    let mut known = Known::of(state);
    Some((known.lower_bound(term)?, -known.lower_bound(&term.scale(-1).ok()?)?))
}

/// Is the term known to lie there?
fn lies_within(state: &State, term: &Term, (low, high): (i64, i64)) -> bool {
    range(state, term).is_some_and(|(l, h)| i128::from(low) <= l && h <= i128::from(high))
}

/// The guards but for the one that the name itself is an address; was that among them?
fn without(guards: &[Guard], name: Var) -> (Vec<Guard>, bool) {
    let mine = Guard::IsAddress(name);
    let rest: Vec<Guard> = guards.iter().filter(|g| **g != mine).cloned().collect();
    let had = rest.len() != guards.len();
    (rest, had)
}

fn gcd(a: i128, b: i128) -> i128 {
    num_integer::Integer::gcd(&a, &b)
}

/// The set of a name that may also be the small constant `term`.
fn small_or(set: &NameSet, term: &Term) -> Option<NameSet> {
    let c = i16::try_from(term.as_int()?).ok()?;
    union(set, &NameSet { address: true, small: [Some((c, c)), None] })
}

/// Both alternatives; `None` if that takes more intervals than there are.
fn union(left: &NameSet, right: &NameSet) -> Option<NameSet> {
    let mut intervals: Vec<(i16, i16)> =
        left.small.iter().chain(&right.small).copied().flatten().collect();
    intervals.sort_unstable();
    let mut merged: Vec<(i16, i16)> = Vec::new();
    for (low, high) in intervals {
        match merged.last_mut() {
            Some((_, h)) if low <= *h => *h = high.max(*h),
            _ => merged.push((low, high)),
        }
    }
    let small: Small = match merged.as_slice() {
        [] => [None, None],
        [a] => [Some(*a), None],
        [a, b] => [Some(*a), Some(*b)],
        _ => return None,
    };
    Some(NameSet { address: true, small })
}
