//! TCB. Names and guards (core.md 4.4).
//!
//! A name is one fixed 64-bit value, an address or one of a few small integers. What is known of it
//! lives in the state and only ever shrinks there, so nothing learnt on one edge is believed on
//! another (redteam A4).

use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Through};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::{integer_of, resolve, scope_of};
use crate::state::{Before, FlagKind, Flags, State};
use crate::term::{Term, Var};
use crate::ty::{self, Base, Cap, Entry, Guard, NameSet, Reg, View, Word};
use alloc::vec::Vec;

/// What is known of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    True,
    False,
    Open,
}

impl<H: Hints> Judge<'_, H> {
    /// rule[name-narrow]: `keep(lo, hi)` says whether the condition of the edge holds on the whole
    /// interval (`Some(true)`), on none of it (`Some(false)`), or splits it (`None`: refused, for
    /// it would tell a bit of an address).
    ///
    /// # Errors
    /// When the name is decided, or an alternative is split.
    pub fn narrow(
        &mut self,
        st: &mut State,
        name: Var,
        keep: impl Fn(i64, i64) -> Option<bool>,
    ) -> Result<()> {
        let rule = Rule::NameNarrow;
        let old = scope_of(st, name).or_refuse(rule)?.set;
        let keeps = |low: i64, high: i64| keep(low, high).ok_or(Error::new(rule, Kind::Flags));
        let address = old.address && keeps(address_low(), address_high())?;
        let mut small = [None, None];
        let mut places = small.iter_mut();
        for (low, high) in old.small.into_iter().flatten() {
            if keeps(i64::from(low), i64::from(high))?
                && let Some(place) = places.next()
            {
                *place = Some((low, high));
            }
        }
        let left = NameSet { address, small };
        // No execution takes an edge that contradicts all alternatives; it is judged all the same,
        // every proof of it asked, as of an address: a name must be something.
        let left =
            if !left.address && left.small == [None, None] { NameSet::ADDRESS } else { left };
        self.refine(st, name, left)
    }

    /// The set of the name becomes `set`: if that holds no address, the name is a new integer.
    /// Registers and slots are rewritten, guards on the name are decided where they can be.
    ///
    /// # Errors
    /// When the name is decided already to be an integer, or `set` is empty.
    pub fn refine(&mut self, st: &mut State, name: Var, set: NameSet) -> Result<()> {
        let rule = Rule::NameNarrow;
        let Var::Free(index) = name else { return Err(Error::new(rule, Kind::BadHint)) };
        let is = if set.address {
            None
        } else {
            let hull = hull(&set).or_refuse(rule)?;
            Some(self.fresh_between(st, i128::from(hull.0), i128::from(hull.1))?)
        };
        let scope = st.scope.get(usize::from(index)).or_refuse(rule)?;
        let named = matches!(scope.kind, ty::Kind::Addr { .. });
        premise!(named, Error::new(rule, Kind::Undecided(name)));
        premise!(scope.is.is_none(), Error::new(rule, Kind::Undecided(name)));
        let news = scope.set != set || is.is_some();
        st.narrows(index, Before::Name(scope.set))?;
        let scope = st.scope.get_mut(usize::from(index)).or_refuse(rule)?;
        scope.set = set;
        scope.is = is;
        self.forget_name(st, name)?;
        self.decide_all(st, news.then_some(name))
    }

    /// `P(x,e)` reads as `I(n+e)` once x is n. Flags that speak of x say nothing any more.
    fn forget_name(&mut self, st: &mut State, name: Var) -> Result<()> {
        if integer_of(st, name).is_none() {
            return Ok(());
        }
        self.burn(st.slot_extent().saturating_add(st.regs().len()))?;
        let integer = |word: &Word| match word {
            Word::Ptr(Base::Name(x), _) => integer_of(st, *x).is_some(),
            _ => false,
        };
        let regs = Reg::ALL.into_iter().filter(|reg| integer(st.reg(*reg)));
        let slots = st.slots().filter(|(_, word)| integer(word));
        let (regs, slots): (Vec<Reg>, Vec<i64>) = (regs.collect(), slots.map(|s| s.0).collect());
        for reg in regs {
            st.set_reg(reg, resolve(st, st.reg(reg))?);
        }
        for at in slots {
            st.set_slot(at, resolve(st, st.slot(at))?);
        }
        if matches!(st.flags().kind, FlagKind::Pick(x, _) if x == name) {
            let Flags { readable, .. } = *st.flags();
            forget!(st.set_flags(Flags { kind: FlagKind::None, readable }));
        }
        Ok(())
    }

    /// Decides the guards of everything owned or lent. Tokens keep theirs until the region ends.
    /// `news`: the name of which more is known now, if one is.
    ///
    /// rule[frozen]: views are shared with the states that wait, so none is rewritten: what is
    /// decided of one is one more. Of a view without a guard on the name nothing new is: it would
    /// be the same one more. One whose guard is false stays, and nobody can use it: whoever takes
    /// the guard off proves it, and whoever wants the view wants it with the guard.
    fn decide_all(&mut self, st: &mut State, news: Option<Var>) -> Result<()> {
        self.burn(st.caps.len().saturating_add(st.views.len()))?;
        let mut caps = Vec::with_capacity(st.caps.len());
        for cap in &st.caps {
            match cap {
                Cap::Entry(entry) => caps.extend(self.decide_entry(st, entry)?.map(Cap::Entry)),
                Cap::Token(..) | Cap::Store(_) => caps.push(cap.clone()),
            }
        }
        st.caps = caps.into();
        let on = |guard: &Guard| match guard {
            Guard::IsAddress(x) | Guard::IsSmall(x, ..) => news == Some(*x),
            Guard::Range(..) => false,
        };
        for at in 0..st.views.len() {
            let Some(view) = st.views.get(at).filter(|view| view.guards.iter().any(on)) else {
                continue;
            };
            let mut guards = view.guards.clone();
            if self.decide_guards(st, &mut guards)?
                && let Some(view) = st.views.get(at).filter(|view| view.guards != guards)
            {
                let view = View { guards, ..view.clone() };
                self.add_view(st, view)?;
            }
        }
        Ok(())
    }

    /// The entry with its guards decided; `None` when it does not exist.
    pub(crate) fn decide_entry(&mut self, st: &State, entry: &Entry) -> Result<Option<Entry>> {
        let mut entry = entry.clone();
        Ok(self.decide_guards(st, &mut entry.guards)?.then_some(entry))
    }

    /// Drops guards on names that are true and rewrites those on names that are integers; false:
    /// the thing does not exist, and the guards are left as they were. Guards on integers stay
    /// (rule[guard-true] is for them).
    ///
    /// # Errors
    /// Out of fuel.
    pub fn decide_guards(&mut self, st: &State, guards: &mut Vec<Guard>) -> Result<bool> {
        self.burn(guards.len())?;
        let mut left = Vec::with_capacity(guards.len());
        for guard in guards.iter() {
            match name_guard(st, guard) {
                Truth::True => {}
                Truth::False => return Ok(false),
                Truth::Open => left.push(as_integer(st, guard)),
            }
        }
        *guards = left;
        Ok(true)
    }

    /// rule[guard-true].
    pub(crate) fn guard_true(&mut self, st: &mut State, of: Through, guard: u16) -> Result<()> {
        let rule = Rule::GuardTrue;
        let condition = guards_of(st, of, rule)?.get(usize::from(guard)).or_refuse(rule)?.clone();
        premise!(self.prove_guard(st, &condition, rule));
        let mut guards = guards_of(st, of, rule)?.to_vec();
        guards.remove(checked(guard, guards.len(), rule)?);
        if let Through::Entry(i) = of {
            entry_mut(st, i, rule)?.guards = guards;
            return Ok(());
        }
        let view = View { guards, ..self.view_through(st, of, rule)?.into_owned() };
        self.add_view(st, view)
    }

    /// rule[guard-false]: an entry that does not exist is not owned.
    pub(crate) fn guard_false(&mut self, st: &mut State, entry: u16, guard: u16) -> Result<()> {
        let rule = Rule::GuardFalse;
        let guards = &entry_at(st, entry, rule)?.guards;
        let condition = guards.get(usize::from(guard)).or_refuse(rule)?.clone();
        premise!(self.refute_guard(st, &condition, rule));
        take_entry(st, entry, rule).map(drop)
    }

    /// rule[guard-add]: a condition that holds changes nothing; a view may be forgotten wherever
    /// the condition is false.
    pub(crate) fn guard_add(&mut self, st: &mut State, of: Through, guard: &Guard) -> Result<()> {
        let rule = Rule::GuardAdd;
        premise!(self.wf_guard(st, guard));
        if guards_of(st, of, rule)?.len() >= limits::GUARDS {
            return Err(Error::new(rule, Kind::Limit));
        }
        match of {
            Through::Entry(i) => {
                premise!(self.prove_guard(st, guard, rule));
                entry_mut(st, i, rule)?.guards.push(guard.clone());
            }
            Through::View(i) => {
                let mut view = view_at(st, i, rule)?.clone();
                view.guards.push(guard.clone());
                self.add_view(st, view)?;
            }
            Through::Data(_) => return Err(Error::new(rule, Kind::BadHint)),
        }
        Ok(())
    }

    /// rule[guard-void]: what does not exist may be written down.
    pub(crate) fn guard_void(&mut self, st: &mut State, entry: &Entry, guard: u16) -> Result<()> {
        let rule = Rule::GuardVoid;
        premise!(self.wf_entry(st, entry));
        let condition = entry.guards.get(usize::from(guard)).or_refuse(rule)?.clone();
        premise!(self.refute_guard(st, &condition, rule));
        self.add_cap(st, Cap::Entry(entry.clone()))
    }

    /// Proves the condition.
    fn prove_guard(&mut self, st: &mut State, guard: &Guard, rule: Rule) -> Result<()> {
        match name_guard(st, guard) {
            Truth::True => return Ok(()),
            Truth::False => return refuse!(Error::new(rule, Kind::Capability)),
            Truth::Open => {}
        }
        let Guard::Range(term, low, high) = as_integer(st, guard) else {
            return Err(undecided(guard, rule));
        };
        let above = term.plus(i128::from(low).saturating_neg()).or_refuse(rule)?;
        let below = Term::int(high).sub(&term).or_refuse(rule)?;
        premise!(self.prove_ge(st, &above, rule));
        premise!(self.prove_ge(st, &below, rule));
        Ok(())
    }

    /// Proves the negation of the condition. For a range the hint says on which side.
    fn refute_guard(&mut self, st: &mut State, guard: &Guard, rule: Rule) -> Result<()> {
        match name_guard(st, guard) {
            Truth::False => return Ok(()),
            Truth::True => return refuse!(Error::new(rule, Kind::Capability)),
            Truth::Open => {}
        }
        let Guard::Range(term, low, high) = as_integer(st, guard) else {
            return Err(undecided(guard, rule));
        };
        let above = term.plus(i128::from(high).saturating_add(1).saturating_neg());
        let below = Term::int(low).plus(-1).and_then(|l| l.sub(&term));
        let is_above = match term.as_int() {
            Some(c) => c > i128::from(high),
            None => {
                let from_low = term.plus(i128::from(low).saturating_neg()).or_refuse(rule)?;
                self.hints.prove_ne(st, &from_low)?
            }
        };
        let side = if is_above { above } else { below };
        self.prove_ge(st, &side.or_refuse(rule)?, rule)
    }
}

fn address_low() -> i64 {
    i64::try_from(limits::ADDRESS_LOW).unwrap_or(i64::MAX)
}

fn address_high() -> i64 {
    i64::try_from(limits::ADDRESS_HIGH.saturating_sub(1)).unwrap_or(i64::MAX)
}

/// Least and greatest of the small integers.
fn hull(set: &NameSet) -> Option<(i16, i16)> {
    let mut all = set.small.iter().flatten();
    let first = *all.next()?;
    Some(all.fold(first, |(low, high), (a, b)| (low.min(*a), high.max(*b))))
}

/// What the present set of the name says about a guard on it.
fn name_guard(st: &State, guard: &Guard) -> Truth {
    let (x, small) = match guard {
        Guard::Range(..) => return Truth::Open,
        Guard::IsAddress(x) => (*x, None),
        Guard::IsSmall(x, low, high) => (*x, Some((*low, *high))),
    };
    let Some(scope) = scope_of(st, x) else { return Truth::Open };
    let set = &scope.set;
    match small {
        None if holds!(set.is_address()) => Truth::True,
        None if holds!(!set.address) => Truth::False,
        None => Truth::Open,
        Some(wanted) => {
            let apart = |(low, high): &(i16, i16)| *high < wanted.0 || wanted.1 < *low;
            if holds!(set.small.iter().flatten().all(apart)) {
                Truth::False
            } else if holds!(!set.address) && holds!(set.small == [Some(wanted), None]) {
                Truth::True
            } else {
                Truth::Open
            }
        }
    }
}

/// `x in [a,b]` as `n in [a,b]` when x is n.
fn as_integer(st: &State, guard: &Guard) -> Guard {
    match guard {
        Guard::IsSmall(x, low, high) => match integer_of(st, *x) {
            Some(n) => Guard::Range(n.clone(), i64::from(*low), i64::from(*high)),
            None => guard.clone(),
        },
        Guard::Range(..) | Guard::IsAddress(_) => guard.clone(),
    }
}

fn undecided(guard: &Guard, rule: Rule) -> Error {
    match guard {
        Guard::IsAddress(x) | Guard::IsSmall(x, ..) => Error::new(rule, Kind::Undecided(*x)),
        Guard::Range(..) => Error::new(rule, Kind::BadHint),
    }
}

/// A position, if there is something at it.
pub(crate) fn checked(at: u16, len: usize, rule: Rule) -> Result<usize> {
    let at = usize::from(at);
    premise!(at < len, Error::new(rule, Kind::BadHint));
    Ok(at)
}

/// The entry at this position of C.
pub(crate) fn entry_at(st: &State, at: u16, rule: Rule) -> Result<&Entry> {
    match st.caps.get(usize::from(at)) {
        Some(Cap::Entry(entry)) => Ok(entry),
        _ => Err(Error::new(rule, Kind::BadHint)),
    }
}

/// As [`entry_at`], to be changed.
pub(crate) fn entry_mut(st: &mut State, at: u16, rule: Rule) -> Result<&mut Entry> {
    match st.caps.get_mut(usize::from(at)) {
        Some(Cap::Entry(entry)) => Ok(entry),
        _ => Err(Error::new(rule, Kind::BadHint)),
    }
}

/// Takes the entry at this position out of C.
pub(crate) fn take_entry(st: &mut State, at: u16, rule: Rule) -> Result<Entry> {
    let entry = entry_at(st, at, rule)?.clone();
    let at = checked(at, st.caps.len(), rule)?;
    st.caps.remove(at);
    Ok(entry)
}

/// The view at this position.
pub(crate) fn view_at(st: &State, at: u16, rule: Rule) -> Result<&View> {
    st.views.get(usize::from(at)).or_refuse(rule)
}

fn guards_of(st: &State, of: Through, rule: Rule) -> Result<&[Guard]> {
    match of {
        Through::Entry(i) => Ok(&entry_at(st, i, rule)?.guards),
        Through::View(i) => Ok(&view_at(st, i, rule)?.guards),
        Through::Data(_) => Err(Error::new(rule, Kind::BadHint)),
    }
}
