//! TCB. Labels and entailment (core.md 4.13).

use crate::driver::size;
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Hints, Place};
use crate::judge::{Judge, Result};
use crate::mem::{self, Subst, Value};
use crate::rules::apply::{check_limits, register_evidence};
use crate::rules::theta::within;
use crate::rules::transfer::scope_of;
use crate::state::{Flags, Mark, State};
use crate::term::Var;
use crate::ty::{Base, Cap, Declared, FnId, Lent, NameSet, Reg, Word};

impl Mark {
    /// Number of the first variable that a label that hangs here declares.
    ///
    /// # Errors
    /// Never: there are at most [`crate::limits::SCOPE_VARS`].
    pub fn first(&self) -> Result<u16> {
        u16::try_from(self.scope).ok().or_refuse(Rule::Entail)
    }
}

impl<'r> Declared<'r> {
    /// rsp minus the entry rsp, and the lowest offset known to be touched.
    #[must_use]
    pub fn frame(self, parent: &Mark) -> (i64, i64) {
        self.frame.unwrap_or((parent.delta, parent.touched))
    }

    /// The lent parts of the frame.
    #[must_use]
    pub fn lent(self, parent: &'r Mark) -> &'r [Lent] {
        self.lent.unwrap_or(&parent.lent)
    }

    /// Is it declared what this place holds? Of rsp the frame says it, and what lies below rsp or
    /// in a part that the label lends is gone.
    fn declares(self, place: Place, delta: i64) -> bool {
        match place {
            Place::Reg(reg) => {
                reg == Reg::Rsp || self.regs.binary_search_by_key(&reg, |(reg, _)| *reg).is_ok()
            }
            Place::Slot(at) => {
                let lent = self.lent.unwrap_or(&[]);
                let below = lent.partition_point(|lent| lent.offset <= at);
                let around = below.checked_sub(1).and_then(|below| lent.get(below));
                at < delta
                    || around.is_some_and(|lent| at < lent.offset.saturating_add(lent.size))
                    || self.slots.binary_search_by_key(&at, |(at, _)| *at).is_ok()
            }
        }
    }
}

impl<H: Hints> Judge<'_, H> {
    /// The function of a label: the last one that starts at or before it.
    ///
    /// # Errors
    /// When there is no such label or function.
    pub(crate) fn label_owner(&self, label: u32) -> Result<FnId> {
        let label = usize::try_from(label).ok().and_then(|i| self.image.labels.get(i));
        let offset = *label.or_refuse(Rule::Jump)?;
        let after = self.image.functions.partition_point(|f| f.offset <= offset);
        let function = after.checked_sub(1).or_refuse(Rule::Driver)?;
        Ok(FnId(u32::try_from(function).ok().or_refuse(Rule::Driver)?))
    }

    /// rule[label-state]: the state that the record declares, made of the one that was there at
    /// the mark of its parent, to which `state` has come back.
    ///
    /// # Errors
    /// When it declares more than the limits allow.
    pub fn begin_label(
        &mut self,
        state: &mut State,
        (parent, record): (&Mark, Declared<'_>),
    ) -> Result<()> {
        state.scope.extend(record.vars.iter().map(scope_of));
        self.learn_all(state, record.facts)?;
        forget!(state.set_flags(Flags::UNKNOWN));
        state.views.extend(record.views.iter().cloned());
        for (reg, word) in record.regs {
            state.set_reg(*reg, word.clone());
        }
        let (delta, touched) = record.frame(parent);
        state.set_reg(Reg::Rsp, Word::Frame(delta));
        state.stack.delta = delta;
        state.stack.touched = touched;
        forget!(self.slots_go(state, parent.delta, delta)?);
        if let Some(lent) = record.lent {
            for Lent { offset, size, .. } in lent {
                let end = offset.saturating_add(*size);
                forget!(self.slots_go(state, *offset, end)?);
            }
            state.stack.lent = lent.to_vec().into();
        }
        for (at, word) in record.slots {
            state.set_slot(*at, word.clone());
        }
        if let Some(caps) = record.caps {
            state.caps = caps.to_vec().into();
        }
        for (name, set) in record.refinements {
            let less = holds!(mem::scope_of(state, *name).is_some_and(|s| within(*set, s.set)));
            premise!(less, Error::new(Rule::LabelState, Evidence::Undecided(*name)));
            self.refine(state, *name, *set)?;
        }
        check_limits(state)?;
        self.burn(size(state))
    }

    /// rule[entail]: the state, with the fact and after the ghosts of the edge, fits the label at
    /// this offset. Appends facts to the state; changes nothing else.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn entail(
        &mut self,
        state: &mut State,
        at: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<()> {
        // Looking for each variable in each word, and what changed.
        let words = record.slots.len().saturating_add(record.regs.len());
        let looked = record.vars.len().saturating_mul(words) >> 2;
        let changes = state.changes(parent);
        self.burn(size(state).saturating_add(looked).saturating_add(changes))?;
        let first = parent.first()?;
        let insts = self.hints.label(state, at, parent, record)?;
        let values = self.values(state, record.vars, insts, false, Rule::Entail)?;
        let subst = Subst::Free(first, &values);
        premise!(self.claims(state, record.vars, &values, subst, None));
        premise!(self.entail_frame(state, parent, record, subst));
        premise!(self.entail_words(state, parent, record, subst));
        premise!(refined(state, record.refinements));
        for fact in record.facts {
            let fact = self.subst_fact(fact, subst)?;
            premise!(self.prove(state, &fact, Rule::Entail));
        }
        premise!(self.entail_views(state, record, subst));
        // As they were, and nothing of what they speak of is declared anew?
        if record.caps.is_some() || state.caps != parent.caps {
            let caps = state.caps.clone();
            let wanted = record.caps.unwrap_or(&parent.caps);
            premise!(self.entail_caps(state, wanted, subst));
            state.caps = caps;
        }
        self.spare(values);
        Ok(())
    }

    /// The same depth, at least as much touched, exactly the same parts lent (redteam U5, U6).
    fn entail_frame(
        &mut self,
        state: &State,
        parent: &Mark,
        record: Declared<'_>,
        subst: Subst<'_>,
    ) -> Result<()> {
        let stack = &state.stack;
        let (delta, touched) = record.frame(parent);
        let wanted = record.lent(parent);
        let depth = |at| Error::new(Rule::Entail, Evidence::Depth(at));
        premise!(stack.delta == delta, depth(stack.delta));
        premise!(stack.touched <= touched, depth(stack.touched));
        let lent = || Error::new(Rule::Entail, Evidence::Capability);
        premise!(stack.lent.len() == wanted.len(), lent());
        for (have, want) in stack.lent.iter().zip(wanted) {
            let name = lent_name(want, subst);
            let other = || Error::new(Rule::Entail, Evidence::WrongSlot(want.offset));
            premise!(have.offset == want.offset, other());
            premise!(have.size == want.size, other());
            premise!(name == Some(have.name), other());
        }
        Ok(())
    }

    /// Every register and every slot holds the declared word, or what it held at the mark of the
    /// parent: what did not change since does.
    fn entail_words(
        &mut self,
        state: &mut State,
        parent: &Mark,
        record: Declared<'_>,
        subst: Subst<'_>,
    ) -> Result<()> {
        let (delta, _) = record.frame(parent);
        for at in parent.trail..state.trail_len() {
            let changed = state.changed(at, parent);
            let Some((place, saved)) = changed.filter(|(place, _)| !record.declares(*place, delta))
            else {
                continue;
            };
            // It speaks of nothing that the label declares.
            let saved = saved.clone();
            premise!(self.entail_word(state, place, &saved));
        }
        for (reg, want) in record.regs {
            let want = self.subst_word(want, subst)?;
            premise!(self.entail_word(state, Place::Reg(*reg), &want));
        }
        for (at, want) in record.slots {
            let want = self.subst_word(want, subst)?;
            premise!(self.entail_word(state, Place::Slot(*at), &want));
        }
        Ok(())
    }

    /// The place holds the wanted word, identically or by proof.
    #[inline]
    fn entail_word(&mut self, state: &mut State, place: Place, want: &Word) -> Result<()> {
        if matches!(want, Word::Junk) {
            return Ok(());
        }
        let have = match place {
            Place::Reg(reg) => state.reg(reg),
            Place::Slot(at) => state.slot(at),
        };
        if have == want {
            return Ok(());
        }
        let have = have.clone();
        let wrong = |e: Error| match (place, &e.kind) {
            (Place::Reg(reg), _) => register_evidence(e, reg, &have),
            (Place::Slot(at), Evidence::WrongWord(_)) => {
                Error { kind: Evidence::WrongSlot(at), ..e }
            }
            _ => e,
        };
        premise!(self.same_word(state, &have, want, Rule::Entail).map_err(wrong));
        Ok(())
    }

    /// Every view of the label that is not known to be absent is one of ours.
    fn entail_views(
        &mut self,
        state: &mut State,
        record: Declared<'_>,
        subst: Subst<'_>,
    ) -> Result<()> {
        let views = self.subst_views(record.views, subst)?;
        for view in self.existing_views(state, views)? {
            premise!(self.holds_view(state, &view, Rule::Entail));
        }
        Ok(())
    }

    /// The label's capabilities are ours, one to one.
    fn entail_caps(&mut self, state: &mut State, wanted: &[Cap], subst: Subst<'_>) -> Result<()> {
        if wanted.is_empty() && state.caps.is_empty() {
            return Ok(());
        }
        let caps = self.subst_caps(wanted, subst)?;
        for cap in self.existing_caps(state, caps)? {
            self.take(state, &cap, Rule::Entail)?;
        }
        premise!(self.nothing_left(state, Rule::Entail));
        Ok(())
    }
}

/// The refinements of names below the mark hold (redteam A4).
fn refined(state: &State, refinements: &[(Var, NameSet)]) -> Result<()> {
    for (name, set) in refinements {
        let within = mem::scope_of(state, *name).is_some_and(|s| within(s.set, *set));
        premise!(within, Error::new(Rule::Entail, Evidence::Undecided(*name)));
    }
    Ok(())
}

/// The name of a lent part under theta.
fn lent_name(lent: &Lent, subst: Subst<'_>) -> Option<Var> {
    let (Subst::Free(first, values), Var::Free(i)) = (subst, lent.name) else { return None };
    let Some(own) = i.checked_sub(first) else { return Some(lent.name) };
    match values.get(usize::from(own))? {
        Value::Addr(Base::Name(name), offset) if holds!(offset.as_int() == Some(0)) => Some(*name),
        _ => None,
    }
}
