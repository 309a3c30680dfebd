//! TCB. Flags: who may read them, and what a conditional edge tells (core.md 4.8, 4.10).
//!
//! Flags are data (redteam U10): a condition may be read only if its flags were computed from
//! public values, or if it decides an alternative of a name as a whole.

use crate::decode::Cc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Seen};
use crate::judge::{Judge, Result, range_goals};
use crate::limits;
use crate::prove::lies_within;
use crate::rules::operand::wrap;
use crate::state::{FlagKind, FlagSet, Flags, State};
use crate::table::Row;
use crate::term::{Term, Var};
use crate::ty::{self, Base, Bounds, Fact, Rel, Word};
use alloc::vec::Vec;

/// The flags after an instruction, before the write clause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FlagsOut {
    /// What they say; `None` if not public.
    pub kind: FlagKind,
    /// Were all sources public?
    pub public: bool,
}

impl FlagsOut {
    /// Of sources that are not public (redteam U10).
    pub(super) const SECRET: FlagsOut = FlagsOut { kind: FlagKind::None, public: false };
    /// Public, of no use for facts.
    pub(super) const PLAIN: FlagsOut = FlagsOut { kind: FlagKind::None, public: true };

    /// Public, with a meaning.
    pub(super) fn public(kind: FlagKind) -> FlagsOut {
        FlagsOut { kind, public: true }
    }
}

/// rule[flags-write]: the one writer of F, by what the row declares.
pub(super) fn set_flags(state: &mut State, row: &Row, out: FlagsOut) {
    write_flags(state, row.sure, row.may, out);
}

/// As [`set_flags`], for a row whose flags depend on its operand.
pub(super) fn write_flags(state: &mut State, sure: FlagSet, may: FlagSet, out: FlagsOut) {
    let kept = state.flags().readable.without(sure).without(may);
    let readable = if out.public { kept.with(sure) } else { kept };
    let kind = if out.public { out.kind } else { FlagKind::None };
    state.set_flags(Flags { kind, readable });
}

/// Nothing is known and nothing may be read.
pub(super) fn clear_flags(state: &mut State) {
    state.set_flags(Flags::UNKNOWN);
}

/// The name, if the word is exactly a name that is not yet an integer.
fn undecided(state: &State, word: &Word) -> Option<Var> {
    let Word::Ptr(Base::Name(Var::Free(i)), offset) = word else { return None };
    let scope = state.scope.get(usize::from(*i))?;
    let open = matches!(scope.kind, ty::Kind::Addr { .. }) && scope.is.is_none();
    (holds!(open) && holds!(*offset == Term::ZERO)).then_some(Var::Free(*i))
}

/// rule[pick]: a 64-bit comparison of a name with a constant (redteam A2).
pub(super) fn pick(state: &State, word: &Word, other: &Word) -> Option<FlagKind> {
    let name = undecided(state, word)?;
    let Word::Int(term) = other else { return None };
    let c = i64::try_from(wrap(term.as_int()?, 64, true)).ok()?;
    Some(FlagKind::Pick(name, c))
}

/// Is the base certainly the address of an object, so that offsets within it do not wrap?
fn is_object(state: &State, base: Base) -> bool {
    match base {
        Base::Name(Var::Free(i)) => state.scope.get(usize::from(i)).is_some_and(|s| {
            holds!(matches!(s.kind, ty::Kind::Addr { .. }))
                && holds!(s.set.is_address())
                // Second to `s.set.is_address()` in `is_object`: what is an integer is no address.
                && holds!(s.is.is_none())
        }),
        Base::Name(_) | Base::Code(_) => holds!(false),
        Base::Data(_) => true,
    }
}

/// The truth of `x cc c` for all 64-bit x in `[low, high]`, which does not cross zero; `None` if it
/// is not the same for all, or if the condition is not one of order or equality.
fn truth(cc: Cc, low: i64, high: i64, c: i64) -> Option<bool> {
    let equal = || {
        if c < low || high < c {
            Some(false)
        } else if low == high {
            Some(true)
        } else {
            None
        }
    };
    // Order is monotone on an interval that does not cross zero, signed and unsigned.
    let same = |at_low: bool, at_high: bool| (at_low == at_high).then_some(at_low);
    let signed = |f: fn(&i64, &i64) -> bool| same(f(&low, &c), f(&high, &c));
    let unsigned = |f: fn(&u64, &u64) -> bool| {
        same(f(&(low as u64), &(c as u64)), f(&(high as u64), &(c as u64)))
    };
    match cc {
        Cc::E => equal(),
        Cc::Ne => equal().map(|t| !t),
        Cc::B => unsigned(u64::lt),
        Cc::Ae => unsigned(u64::ge),
        Cc::Be => unsigned(u64::le),
        Cc::A => unsigned(u64::gt),
        Cc::L => signed(i64::lt),
        Cc::Ge => signed(i64::ge),
        Cc::Le => signed(i64::le),
        Cc::G => signed(i64::gt),
        Cc::S if c == 0 => signed(i64::lt),
        Cc::Ns if c == 0 => signed(i64::ge),
        Cc::S | Cc::Ns | Cc::O | Cc::No | Cc::P | Cc::Np => None,
    }
}

/// The alternatives of a name as intervals.
fn alternatives(state: &State, name: Var) -> Vec<(i64, i64)> {
    let Var::Free(i) = name else { return Vec::new() };
    let Some(scope) = state.scope.get(usize::from(i)) else { return Vec::new() };
    let low = i64::try_from(limits::ADDRESS_LOW).unwrap_or(0);
    let high = i64::try_from(limits::ADDRESS_HIGH).unwrap_or(i64::MAX).saturating_sub(1);
    let address = scope.set.address.then_some((low, high));
    let small = scope.set.small.iter().flatten().map(|(a, b)| (i64::from(*a), i64::from(*b)));
    address.into_iter().chain(small).collect()
}

/// A name that became an integer since the flags were set: they are those of the integer, and
/// public.
fn refresh(state: &mut State) {
    let FlagKind::Pick(Var::Free(i), c) = state.flags().kind else { return };
    let is = state.scope.get(usize::from(i)).and_then(|s| s.is.clone());
    if let Some(n) = is {
        let kind = FlagKind::Cmp(64, n, Term::int(c));
        // `test` leaves AF undefined; no condition reads it.
        state.set_flags(Flags { kind, readable: FlagSet::ALL.without(FlagSet::AF) });
    }
}

/// rule[flags-read]: may the condition be read?
pub(super) fn readable(state: &mut State, cc: Cc) -> Result<()> {
    refresh(state);
    let decides = match &state.flags().kind {
        FlagKind::Pick(name, c) => {
            let ways = alternatives(state, *name);
            holds!(!ways.is_empty())
                && holds!(ways.iter().all(|(a, b)| truth(cc, *a, *b, *c).is_some()))
        }
        FlagKind::None | FlagKind::Cmp(..) | FlagKind::Result(..) => {
            holds!(state.flags().readable.contains(cc.flags()))
        }
    };
    premise!(decides, Error::new(Rule::FlagsRead, Kind::Flags));
    Ok(())
}

/// A range that a fact needs, and the fact.
struct Reading {
    /// `(term, signed)`: to be proved in range.
    needs: [Option<(Term, bool)>; 2],
    /// What follows.
    fact: Fact,
}

impl<H: Hints> Judge<'_, H> {
    /// rule[cmp-same], rule[cmp-public], rule[cmp-other], rule[pick]: what comparing two words at
    /// 64 bits, or two public words at any width, says.
    pub(super) fn compared(
        &mut self,
        state: &mut State,
        bits: u8,
        left: &Word,
        right: &Word,
    ) -> Result<(FlagsOut, FlagSet)> {
        let secret = (FlagsOut::SECRET, FlagSet::NONE);
        match (left, right) {
            (Word::Int(a), Word::Int(c)) => {
                let kind = FlagKind::Cmp(bits, a.clone(), c.clone());
                Ok((FlagsOut::public(kind), FlagSet::ALL))
            }
            (Word::Ptr(x, a), Word::Ptr(y, c))
                if holds!(bits == 64) && holds!(x == y) && holds!(is_object(state, *x)) =>
            {
                self.compared_offsets(state, a, c)
            }
            _ if holds!(bits == 64) => match pick(state, left, right) {
                Some(kind) => Ok((FlagsOut { kind, public: true }, FlagSet::NONE)),
                None => Ok(secret),
            },
            _ => Ok(secret),
        }
    }

    /// rule[cmp-same]: within an object the addresses compare as the offsets do; outside only their
    /// equality is free of the address.
    fn compared_offsets(
        &mut self,
        state: &mut State,
        a: &Term,
        c: &Term,
    ) -> Result<(FlagsOut, FlagSet)> {
        let rule = Rule::CmpSame;
        let object = Term::constant_of(limits::OBJECT).or_refuse(rule)?;
        let below = |offset: &Term| object.sub(offset).or_refuse(rule);
        if holds!(self.all_hold(state, [a.clone(), below(a)?, c.clone(), below(c)?], rule)?) {
            let kind = FlagKind::Cmp(64, a.clone(), c.clone());
            // AF tells of the low four bits of the addresses, which the offsets do not.
            return Ok((FlagsOut::public(kind), FlagSet::ALL.without(FlagSet::AF)));
        }
        Ok((FlagsOut::PLAIN, FlagSet::ZF))
    }

    /// Are all terms `>= 0`? Constants are evaluated; the rest is proved if the hints want it.
    fn all_hold(&mut self, state: &mut State, terms: [Term; 4], rule: Rule) -> Result<bool> {
        let mut goals = terms.map(|term| Fact { rel: Rel::Ge, term });
        let mut count = 0_usize;
        for at in 0..goals.len() {
            match goals.get(at).and_then(|goal| goal.term.as_int()) {
                Some(c) if c < 0 => return Ok(holds!(false)),
                Some(_) => {}
                None => {
                    goals.swap(count, at);
                    count = count.saturating_add(1);
                }
            }
        }
        let goals = goals.get(..count).unwrap_or(&[]);
        if goals.is_empty() { Ok(true) } else { self.wanted(state, goals, rule) }
    }

    /// Goes along one edge of a condition: `cc` must be readable, and its fact (that of the
    /// opposite condition if not taken) enters the state.
    ///
    /// # Errors
    /// When the flags may not be read, or the condition would split an alternative of a name.
    pub fn edge(&mut self, state: &mut State, cc: Cc, taken: bool) -> Result<()> {
        premise!(readable(state, cc));
        let cc = if taken { cc } else { cc.negated() };
        let (bits, readings) = match &state.flags().kind {
            FlagKind::None => return Ok(()),
            FlagKind::Pick(name, c) => {
                let (name, c) = (*name, *c);
                return self.narrow(state, name, move |low, high| truth(cc, low, high, c));
            }
            FlagKind::Cmp(bits, e, c) => (*bits, compare_facts(cc, *bits, e, c)),
            FlagKind::Result(bits, e) => (*bits, result_facts(cc, e)),
        };
        self.learn_first(state, bits, readings.or_refuse(Rule::Cond)?)
    }

    /// Learns the first reading whose ranges hold, and every one that needs none.
    fn learn_first(&mut self, state: &mut State, bits: u8, readings: Told) -> Result<()> {
        for reading in readings.into_iter().flatten() {
            if reading.fact.term.as_int().is_some() {
                continue;
            }
            if let [None, None] = reading.needs {
                self.learn(state, reading.fact.rel, reading.fact.term)?;
                continue;
            }
            let within = |(term, signed): &(Term, bool)| {
                lies_within(state, term, Bounds::of_bits(bits, *signed))
            };
            if reading.needs.iter().flatten().all(within) {
                for (term, _) in reading.needs.iter().flatten() {
                    self.hints.seen(state, Seen::InRange(term));
                }
                return self.learn(state, reading.fact.rel, reading.fact.term);
            }
            let bounds = |need: &Option<(Term, bool)>| match need {
                None => Ok([Term::ZERO, Term::ZERO]),
                Some((term, signed)) => Ok(range_goals(term, bits, *signed)?.map(|goal| goal.term)),
            };
            let [one, two] = &reading.needs;
            let (one, two) =
                (bounds(one).or_refuse(Rule::Cond)?, bounds(two).or_refuse(Rule::Cond)?);
            let ([a, b], [c, d]) = (one, two);
            if self.all_hold(state, [a, b, c, d], Rule::Cond)? {
                return self.learn(state, reading.fact.rel, reading.fact.term);
            }
        }
        Ok(())
    }
}

/// At most two readings.
type Told = [Option<Reading>; 2];
type Readings = core::result::Result<Told, crate::term::TooBig>;

/// One reading.
fn one(needs: [Option<(Term, bool)>; 2], fact: Fact) -> Told {
    [Some(Reading { needs, fact }), None]
}

/// The term itself, or its number in the range if it is a constant: both stand for the same bits.
fn represent(term: &Term, bits: u8, signed: bool) -> Term {
    let wrapped = term.as_int().map(|c| Term::constant_of(wrap(c, bits, signed)));
    wrapped.and_then(core::result::Result::ok).unwrap_or_else(|| term.clone())
}

/// What `cc` tells after comparing `e` with `c` at `bits` (core.md 4.10, rows Cmp).
fn compare_facts(cc: Cc, bits: u8, e: &Term, c: &Term) -> Readings {
    // `right - left - strict >= 0` for the order in which they stand.
    let order = |signed: bool, swap: bool, strict: bool| -> Readings {
        let (l, r) = (represent(e, bits, signed), represent(c, bits, signed));
        let difference = if swap { l.sub(&r)? } else { r.sub(&l)? };
        let term = difference.plus(if strict { -1 } else { 0 })?;
        let fact = Fact { rel: Rel::Ge, term };
        Ok(one([Some((l, signed)), Some((r, signed))], fact))
    };
    match cc {
        Cc::B => order(false, false, true),
        Cc::Be => order(false, false, false),
        Cc::A => order(false, true, true),
        Cc::Ae => order(false, true, false),
        Cc::L => order(true, false, true),
        Cc::Le => order(true, false, false),
        Cc::G => order(true, true, true),
        Cc::Ge => order(true, true, false),
        Cc::E => {
            let equal = |signed: bool| {
                let (l, r) = (represent(e, bits, signed), represent(c, bits, signed));
                let fact = Fact { rel: Rel::Eq, term: l.sub(&r)? };
                Ok(Some(Reading { needs: [Some((l, signed)), Some((r, signed))], fact }))
            };
            Ok([equal(false)?, equal(true)?])
        }
        Cc::Ne => differ(bits, e, c),
        Cc::S | Cc::Ns => {
            let term = e.sub(c)?;
            let fact = signed_fact(cc == Cc::S, &term)?;
            Ok(one([Some((term, true)), None], fact))
        }
        Cc::O | Cc::No | Cc::P | Cc::Np => Ok([None, None]),
    }
}

/// Different bits: different numbers, for every pair of representatives. A constant gives both of
/// its representatives, since the other side may be known in either range.
fn differ(bits: u8, e: &Term, c: &Term) -> Readings {
    let differ = |signed: bool| {
        let term = represent(e, bits, signed).sub(&represent(c, bits, signed))?;
        Ok(Fact { rel: Rel::Ne, term })
    };
    let (signed, unsigned) = (differ(true)?, differ(false)?);
    let reading = |fact: Fact| Some(Reading { needs: [None, None], fact });
    let other = if signed == unsigned { None } else { reading(unsigned) };
    Ok([reading(signed), other])
}

/// `term < 0` or `term >= 0`.
fn signed_fact(negative: bool, term: &Term) -> core::result::Result<Fact, crate::term::TooBig> {
    let term = if negative { term.scale(-1)?.plus(-1)? } else { term.clone() };
    Ok(Fact { rel: Rel::Ge, term })
}

/// What `cc` tells of a result (core.md 4.10, rows Res). Order is not told: CF and OF are not those
/// of a comparison (trap 32).
fn result_facts(cc: Cc, e: &Term) -> Readings {
    Ok(match cc {
        Cc::E => {
            let fact = Fact { rel: Rel::Eq, term: e.clone() };
            let reading = |signed| {
                Some(Reading { needs: [Some((e.clone(), signed)), None], fact: fact.clone() })
            };
            [reading(false), reading(true)]
        }
        Cc::Ne => one([None, None], Fact { rel: Rel::Ne, term: e.clone() }),
        Cc::S | Cc::Ns => {
            let fact = signed_fact(cc == Cc::S, e)?;
            one([Some((e.clone(), true)), None], fact)
        }
        Cc::B | Cc::Ae | Cc::Be | Cc::A | Cc::L | Cc::Ge | Cc::Le | Cc::G => [None, None],
        Cc::O | Cc::No | Cc::P | Cc::Np => [None, None],
    })
}
