//! Not trusted: a bug here can reject, never admit. The least general state that covers two.
//!
//! Anti-unification (Plotkin 1970; Reynolds 1970) of states: where both sides agree the common
//! thing stays, where they differ a variable of the label stands, with its value on each side.
//! Every pair of values gets one variable, so what was equal on both sides stays equal. Joining a
//! state with itself gives the state of a label that is reached for the first time.

mod memory;
mod views;

use crate::find::data_view;
use crate::flow::RegSet;
use crate::flow::loops::{Turn, Turns};
use crate::prove::Known;
use crate::unify::{multiple, name_set};
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
use super::written::Seed;

/// Joins two states of one function. `fixed` variables and `fixed_views` views are the function's.
/// Places of the seed are left to what is written of them.
pub(crate) fn join(
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
    let mut join =
        Join { image, left, right, fixed, alone, outcomes, keys, written, data, turn, matters };
    if left.stack.delta != right.stack.delta {
        return Err(Mismatch::Depth(left.stack.delta, right.stack.delta));
    }
    join.multiples();
    let mut regs = [const { Word::Junk }; 16];
    let mut slots = Vec::new();
    // Products last: by then their factors have variables, if registers or slots hold them.
    for last in [false, true] {
        for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp && !seed.regs.contains(r)) {
            let i = reg as usize;
            if live & (1 << i) != 0 && is_product(&left.regs()[i]) == last {
                join.data = (matter & (1 << i) == 0).then_some(plain & (1 << i) != 0);
                join.turn = turns.map_or_else(Turn::default, |turns| turns[i]);
                regs[i] = join.word(&left.regs()[i], &right.regs()[i]);
            }
        }
        (join.data, join.turn) = (None, Turn::default());
        let open = left.slots().filter(|(at, _)| !seed.slots.contains(at));
        for (offset, word) in open.filter(|(_, word)| is_product(word) == last) {
            let other = right.slots().find(|(o, _)| *o == offset);
            let common = other.map_or(Word::Junk, |(_, w)| join.word(word, w));
            if common != Word::Junk && slots.len() < limits::LABEL_SLOTS {
                slots.push((offset, common));
            }
        }
    }
    slots.sort_by_key(|(at, _)| *at);
    regs[Reg::Rsp as usize] = Word::Frame(left.stack.delta);
    let lent = join.lent()?;
    let caps = join.caps()?;
    let views = join.views(fixed_views);
    if join.keys.len() > limits::LABEL_VARS {
        return Err(Mismatch::Limit);
    }
    // Of what is only data nothing is said.
    let matters = join.matters.take();
    for (i, key) in join.keys.iter_mut().enumerate() {
        let asked = matters.get(i).is_some_and(|matters| *matters);
        key.closed |= !asked && matches!(key.kind, Kind::Int(_));
    }
    let touched = left.stack.touched.max(right.stack.touched);
    Ok(Form { keys: join.keys, regs, delta: left.stack.delta, touched, slots, lent, views, caps })
}

struct Join<'a> {
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

impl Join<'_> {
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
