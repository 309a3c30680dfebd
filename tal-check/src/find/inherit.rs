//! Not trusted: a bug here can reject, never admit. What a label declares that hangs on a scope:
//! its flat state, without what is as its parent has saved it.

use super::Finder;
use crate::find::ghosts::{read_label, regions};
use crate::plan::{Hang, Slots};
use crate::unify::{Space, Theta};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::hint::{Inst, Place};
use tal_core::judge::Own;
use tal_core::mem::{Subst, Value};
use tal_core::prove::{low_of, shows};
use tal_core::state::{Before, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Bounds, Fact, Kind, NameSet, Record, Reg, Region, Rel, Word};
use tal_write::{LabelState, Saved};

/// A record, and which fact of the flat state each of its facts is.
pub(crate) type Inherited = (Record, Vec<Option<usize>>);

/// A label that is to hang on this parent.
struct Heir<'h> {
    st: &'h State,
    flat: &'h LabelState,
    /// The number of the first own variable of the flat state.
    first: u16,
    parent: &'h Saved,
    hang: Hang,
    slots: &'h Slots,
    /// Places that are declared although nothing writes them.
    besides: BTreeSet<Place>,
}

impl Heir<'_> {
    fn declares(&self, place: Place) -> bool {
        self.besides.contains(&place) || self.slots.has(self.hang.changed, place)
    }

    fn mark(&self) -> u16 {
        u16::try_from(self.parent.mark.scope).unwrap_or(u16::MAX)
    }

    /// The flat state without what is declared.
    fn inherited(&self) -> LabelState {
        let nothing = (Vec::new(), Vec::new());
        let mut flat = LabelState { facts: nothing.0, views: nothing.1, ..self.flat.clone() };
        for reg in Reg::ALL.into_iter().filter(|r| self.declares(Place::Reg(*r))) {
            flat.regs[reg as usize] = Word::Junk;
        }
        flat.slots.retain(|(at, _)| !self.declares(Place::Slot(*at)));
        if self.hang.changed.caps() {
            flat.caps.clear();
        }
        flat
    }

    /// What is inherited, with what the parent has saved there.
    fn places(&self, flat: &LabelState) -> Vec<(Place, Word, Word)> {
        let slots: BTreeMap<i64, &Word> =
            self.parent.slots.iter().map(|(at, word)| (*at, word)).collect();
        let junk = Word::Junk;
        let regs = Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp);
        let regs =
            regs.map(|r| (Place::Reg(r), &flat.regs[r as usize], &self.parent.regs[r as usize]));
        let own = flat.slots.iter();
        let own = own.map(|(at, word)| (Place::Slot(*at), word, *slots.get(at).unwrap_or(&&junk)));
        regs.chain(own)
            .filter(|(_, word, _)| **word != Word::Junk)
            .map(|(place, word, saved)| (place, word.clone(), saved.clone()))
            .collect()
    }

    /// What is known at the mark of the integer or name of this number.
    fn before(&self, number: u16) -> Option<(Bounds, NameSet)> {
        let scope = self.st.scope.get(usize::from(number))?;
        let (mut bounds, mut set) = (scope.bounds, scope.set);
        let above = self.st.narrowed(self.parent.mark.trail);
        for (_, _, before) in above.rev().filter(|(_, variable, _)| *variable == number) {
            match before {
                Before::Bounds(before) => bounds = before,
                Before::Name(before) => set = before,
            }
        }
        Some((bounds, set))
    }

    fn bounds(&self, v: Var) -> Option<Bounds> {
        let Var::Free(i) = v else { return None };
        if i >= self.mark() {
            return None;
        }
        let scope = self.st.scope.get(usize::from(i))?;
        if !matches!(scope.kind, Kind::Int(_)) {
            return None;
        }
        Some(self.before(i)?.0)
    }

    /// Is it what sizes of memory say of a variable in scope? It is drawn again where it is needed.
    fn drawn(&self, fact: &Fact) -> bool {
        let Some((Var::Free(i), positive)) = fact.term.one_var() else { return false };
        let constant = fact.term.constant();
        fact.rel == Rel::Ge
            && i < self.mark()
            && if positive {
                constant == 0
            } else {
                constant.count_ones() == 1 && constant > 1 << 32
            }
    }

    /// Does the scope say so already?
    fn known(&self, fact: &Fact) -> bool {
        let below = self.st.facts.get(..self.parent.mark.facts).unwrap_or(&[]);
        let low = |t: &Term| low_of(t, |v| self.bounds(v)).is_some_and(|low| low >= 0);
        let negated = fact.term.scale(-1).ok();
        match fact.rel {
            Rel::Ge => low(&fact.term) || below.iter().any(|f| shows(f, &fact.term)),
            Rel::Eq => {
                below.contains(fact) || (low(&fact.term) && negated.is_some_and(|t| low(&t)))
            }
            Rel::Ne => below.contains(fact),
        }
    }
}

/// `term >= low`
fn at_least(term: &Term, low: i128) -> Option<Fact> {
    Some(Fact { rel: Rel::Ge, term: term.plus(low.checked_neg()?).ok()? })
}

/// `term <= high`
fn at_most(term: &Term, high: i128) -> Option<Fact> {
    Some(Fact { rel: Rel::Ge, term: term.scale(-1).ok()?.plus(high).ok()? })
}

/// The kind with bounds that are written in a byte, or none: what more is known is a fact, which
/// stays if it is needed, and then becomes a bound again.
fn wide(kind: Kind) -> Kind {
    let Some(bounds) = kind.bounds() else { return kind };
    let around = |wide: &&Bounds| wide.and(bounds) == bounds;
    let size = |wide: &&Bounds| match (wide.low(), wide.high()) {
        (Some(low), Some(high)) => high.saturating_sub(low),
        _ => i128::MAX,
    };
    let least = Bounds::COMMON.iter().filter(around).min_by_key(size);
    Kind::Int(least.copied().unwrap_or(Bounds::NONE))
}

/// Is everything that the value speaks of below the mark?
fn below(value: &Inst, mark: u16) -> bool {
    let var = |v: Var| matches!(v, Var::Free(i) if i < mark);
    let base = |base: &Base| !matches!(base, Base::Name(v) if !var(*v));
    match value {
        Inst::Int(t) => t.vars().all(var),
        Inst::Ptr(b, t) => base(b) && t.vars().all(var),
        Inst::Word(Word::Int(t)) => t.vars().all(var),
        Inst::Word(Word::Ptr(b, t)) => base(b) && t.vars().all(var),
        Inst::Code(b) => base(b),
        Inst::Region(Region::Var(v)) => var(*v),
        Inst::Region(_) => true,
        Inst::Word(_) | Inst::Small(_) | Inst::Store(_) => false,
    }
}

impl<'a> Finder<'a> {
    /// The record of the label, hung on this parent; `None` if it cannot be found.
    pub(crate) fn inherit(
        &mut self,
        st: &State,
        at: u32,
        parent: Saved,
        hang: Hang,
        slots: &Slots,
    ) -> Option<Inherited> {
        let flat = self.flat(at)?.clone();
        let function = self.function(at)?;
        let sig = self.sig(function)?.clone();
        let first = u16::try_from(sig.vars.len()).ok()?;
        let besides = BTreeSet::new();
        let mut heir = Heir { st, flat: &flat, first, parent: &parent, hang, slots, besides };
        // What the places say that are as they were.
        let theta = loop {
            let rest = heir.inherited();
            let theta = self.read_off(&heir, &rest);
            let more = heir
                .places(&rest)
                .into_iter()
                .filter(|(_, word, saved)| theta.word(word).as_ref() != Some(saved));
            let more: Vec<Place> = more.map(|(place, ..)| place).collect();
            if more.is_empty() {
                break theta;
            }
            heir.besides.extend(more);
        };
        let own = Own::function(Some(function), sig);
        let values = numbered(&heir, &theta);
        let mut judge = self.judge(own);
        let subst = Subst::Free(first, &values);
        let mut record = Record::default();
        for (kind, value) in flat.vars.iter().zip(&theta.values) {
            if value.is_none() {
                record.vars.push(wide(judge.subst_kind(kind, subst).ok()?));
            }
        }
        for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp) {
            if heir.declares(Place::Reg(reg)) {
                let word = judge.subst_word(&flat.regs[reg as usize], subst).ok()?;
                if word != parent.regs[reg as usize] {
                    record.regs.push((reg, word));
                }
            }
        }
        let there: BTreeMap<i64, &Word> = flat.slots.iter().map(|(at, word)| (*at, word)).collect();
        let saved: BTreeMap<i64, &Word> =
            parent.slots.iter().map(|(at, word)| (*at, word)).collect();
        let all: BTreeSet<i64> = there.keys().chain(saved.keys()).copied().collect();
        for at in all.into_iter().filter(|at| *at >= flat.delta) {
            if !heir.declares(Place::Slot(at)) {
                continue;
            }
            let word = match there.get(&at) {
                Some(word) => judge.subst_word(word, subst).ok()?,
                None => Word::Junk,
            };
            if saved.get(&at).copied().unwrap_or(&Word::Junk) != &word {
                record.slots.push((at, word));
            }
        }
        let frame = (flat.delta, flat.touched);
        record.frame = (frame != (parent.mark.delta, parent.mark.touched)).then_some(frame);
        let mut lent = flat.lent.clone();
        for part in &mut lent {
            let word =
                judge.subst_word(&Word::Ptr(Base::Name(part.name), Term::ZERO), subst).ok()?;
            let Word::Ptr(Base::Name(name), _) = word else { return None };
            part.name = name;
        }
        record.lent = (lent != *parent.mark.lent).then_some(lent);
        if hang.changed.caps() {
            let mut caps = Vec::new();
            for cap in &flat.caps {
                judge.subst_cap(cap, subst, &mut caps).ok()?;
            }
            record.caps = (caps != *parent.mark.caps).then_some(caps);
        }
        for view in &flat.views {
            let known = st.views.get(..parent.mark.views).unwrap_or(&[]);
            let view = judge.subst_view(view, subst).ok()?;
            record.views.extend(view.filter(|view| !known.contains(view)));
        }
        let mut origins = Vec::new();
        for (i, fact) in flat.facts.iter().enumerate() {
            let fact = judge.subst_fact(fact, subst).ok()?;
            if !heir.known(&fact) && !heir.drawn(&fact) && fact.term.as_int().is_none() {
                record.facts.push(fact);
                origins.push(Some(i));
            }
        }
        let own = heir.flat.vars.iter().zip(&theta.values).filter(|(_, value)| value.is_none());
        for (i, (kind, _)) in (0..).zip(own) {
            let v = Term::var(Var::Free(heir.mark().saturating_add(i)));
            let (Some(bounds), Some(Some(wide))) =
                (kind.bounds(), record.vars.get(usize::from(i)).map(Kind::bounds))
            else {
                continue;
            };
            let low = bounds.low().filter(|low| wide.low() != Some(*low));
            let high = bounds.high().filter(|high| wide.high() != Some(*high));
            record.facts.extend(low.and_then(|low| at_least(&v, low)));
            record.facts.extend(high.and_then(|high| at_most(&v, high)));
            origins.resize(record.facts.len(), None);
        }
        for fact in heir.bounded(&theta) {
            record.facts.push(fact);
            origins.push(None);
        }
        record.refinements = heir.refinements(&theta);
        Some((record, origins))
    }

    /// The own variables of a flat state that what is inherited of it tells.
    fn read_off(&mut self, heir: &Heir<'_>, rest: &LabelState) -> Theta {
        let mut as_saved = heir.st.clone();
        heir.parent.put(&mut as_saved);
        as_saved.caps = heir.parent.mark.caps.clone();
        as_saved.views.truncate(heir.parent.mark.views);
        let mut theta = Theta::new(Space::Free(heir.first), rest.vars.clone());
        read_label(self, &as_saved, rest, &mut theta);
        // Views come and go; but what is lent for longer than these ways is lent for one region.
        regions(self, &as_saved, &mut theta, &heir.flat.views);
        let mark = heir.mark();
        for value in &mut theta.values {
            value.take_if(|value| !below(value, mark));
        }
        theta
    }
}

/// Theta with new numbers for what it leaves open.
fn numbered(heir: &Heir<'_>, theta: &Theta) -> Vec<Value> {
    let mut next = heir.mark();
    let values = heir.flat.vars.iter().zip(&theta.values);
    values
        .map(|(kind, value)| match value {
            Some(Inst::Int(t)) => Value::Int(t.clone()),
            Some(Inst::Ptr(b, t)) => Value::Addr(*b, t.clone()),
            Some(Inst::Word(w)) => Value::Word(w.clone()),
            Some(Inst::Code(b)) => Value::Code(*b),
            Some(Inst::Region(r)) => Value::Region(*r),
            Some(Inst::Small(_) | Inst::Store(_)) | None => {
                let v = Var::Free(next);
                next = next.saturating_add(1);
                match kind {
                    Kind::Int(_) => Value::Int(Term::var(v)),
                    Kind::Addr { .. } | Kind::Store => Value::Addr(Base::Name(v), Term::ZERO),
                    Kind::Word => Value::Word(Word::Ptr(Base::Name(v), Term::ZERO)),
                    Kind::Code(_) => Value::Code(Base::Name(v)),
                    Kind::Region => Value::Region(Region::Var(v)),
                }
            }
        })
        .collect()
}

impl Heir<'_> {
    /// The bounds of own integers that are inherited, where the scope does not have them.
    fn bounded(&self, theta: &Theta) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (kind, value) in self.flat.vars.iter().zip(&theta.values) {
            let (Kind::Int(bounds), Some(Inst::Int(term))) = (kind, value) else { continue };
            let low = bounds.low().and_then(|low| at_least(term, low));
            let high = bounds.high().and_then(|high| at_most(term, high));
            let news = |f: &Fact| f.term.as_int().is_none() && !self.known(f) && !self.drawn(f);
            facts.extend(low.into_iter().chain(high).filter(news));
        }
        facts
    }

    /// Names in scope of which more is known at the label than at the mark.
    fn refinements(&self, theta: &Theta) -> Vec<(Var, NameSet)> {
        let mut sets: BTreeMap<Var, NameSet> = self.flat.refinements.iter().copied().collect();
        for (kind, value) in self.flat.vars.iter().zip(&theta.values) {
            if let (Kind::Addr { set, .. }, Some(Inst::Ptr(Base::Name(name), offset))) =
                (kind, value)
                && offset.as_int() == Some(0)
            {
                sets.insert(*name, *set);
            }
        }
        let more = |(name, set): &(Var, NameSet)| {
            let Var::Free(i) = name else { return false };
            self.before(*i).is_some_and(|(_, before)| before != *set)
        };
        sets.into_iter().filter(more).collect()
    }
}
