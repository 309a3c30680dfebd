//! TCB. Labels and entailment (core.md 4.13).

use crate::counted::Rc;
use crate::driver::size;
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::Hints;
use crate::image::Label;
use crate::judge::{Judge, Own, Result};
use crate::mem::{Subst, Value};
use crate::rules::apply::{check_limits, register_evidence};
use crate::rules::theta::within;
use crate::rules::transfer::scope_of;
use crate::state::State;
use crate::term::Var;
use crate::ty::{Base, FnId, LabelState, Lent, NameSet, Reg, Word};

impl<H: Hints> Judge<'_, H> {
    /// The label of this index.
    fn label(&self, label: u32) -> Result<&Label> {
        let label = usize::try_from(label).ok().and_then(|i| self.image.labels.get(i));
        label.or_refuse(Rule::Jump)
    }

    /// The function of a label: the last one that starts at or before it.
    ///
    /// # Errors
    /// When there is no such label or function.
    pub(crate) fn label_owner(&self, label: u32) -> Result<FnId> {
        let offset = self.label(label)?.offset;
        let after = self.image.functions.partition_point(|f| f.offset <= offset);
        let function = after.checked_sub(1).or_refuse(Rule::Driver)?;
        Ok(FnId(u32::try_from(function).ok().or_refuse(Rule::Driver)?))
    }

    /// The state that the label of this index declares. Sets `self.own`.
    ///
    /// # Errors
    /// When the label does not exist or declares more than the limits allow.
    pub fn label_state(&mut self, label: u32) -> Result<State> {
        let mut state = State::empty();
        self.begin_label(&mut state, label)?;
        Ok(state)
    }

    /// As [`Judge::label_state`], in a state that was cleared.
    pub(crate) fn begin_label(&mut self, state: &mut State, label: u32) -> Result<()> {
        let function = self.label_owner(label)?;
        let index = usize::try_from(label).ok().or_refuse(Rule::Driver)?;
        let declared = self.image.labels.get(index).or_refuse(Rule::Driver)?;
        self.begin_at(state, function, &declared.state)
    }

    /// The state that a label of this function with this declaration would have: the function's
    /// variables, facts and views are frozen at its entry, so they hold here too. Sets `self.own`.
    ///
    /// # Errors
    /// When the declaration does not fit the function or the limits.
    pub fn state_at(&mut self, function: FnId, declared: &LabelState) -> Result<State> {
        let mut state = State::empty();
        self.begin_at(&mut state, function, declared)?;
        Ok(state)
    }

    /// As [`Judge::state_at`], in a state that was cleared.
    fn begin_at(&mut self, state: &mut State, function: FnId, declared: &LabelState) -> Result<()> {
        // Mostly it is the one whose entry or label was there before.
        if self.own.function != Some(function) {
            self.own = Own::function(Some(function), self.function_sig(function)?);
        }
        let sig = Rc::clone(&self.own.sig);
        state.scope.extend(sig.vars.iter().chain(&declared.vars).map(scope_of));
        self.learn_all(state, &sig.pre.facts)?;
        self.learn_all(state, &declared.facts)?;
        state.views.extend(sig.pre.views.iter().chain(&declared.views).cloned());
        state.caps.clone_from(&declared.caps);
        state.regs.clone_from(&declared.regs);
        state.set_reg(Reg::Rsp, Word::Frame(declared.delta));
        state.stack.delta = declared.delta;
        state.stack.touched = declared.touched;
        state.stack.slots.clone_from(&declared.slots);
        state.stack.lent.clone_from(&declared.lent);
        for (name, set) in &declared.refinements {
            self.refine(state, *name, *set)?;
        }
        check_limits(state)?;
        self.burn(size(state))
    }

    /// rule[entail]: the state, with the fact and after the ghosts of the edge, fits the label of
    /// this index. Appends facts to the state; changes nothing else.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn entail(&mut self, state: &mut State, label: u32) -> Result<()> {
        let index = usize::try_from(label).ok().or_refuse(Rule::Jump)?;
        let Label { offset, state: wanted } = self.image.labels.get(index).or_refuse(Rule::Jump)?;
        let ours = Some(self.label_owner(label)?) == self.own.function;
        premise!(ours, Error::new(Rule::Jump, Evidence::BadTarget(u64::from(*offset))));
        // Looking for each variable in each word.
        let words = wanted.slots.len().saturating_add(wanted.regs.len());
        self.burn(size(state).saturating_add(wanted.vars.len().saturating_mul(words) >> 2))?;
        let first = u16::try_from(self.own.sig.vars.len()).ok().or_refuse(Rule::Entail)?;
        let insts = self.hints.label(state, *offset, first, wanted)?;
        let values = self.values(state, &wanted.vars, insts, false, Rule::Entail)?;
        let subst = Subst::Free(first, &values);
        premise!(self.claims(state, &wanted.vars, &values, subst, None));
        premise!(self.entail_frame(state, wanted, subst));
        premise!(self.entail_words(state, wanted, subst));
        premise!(refined(state, &wanted.refinements));
        for fact in &wanted.facts {
            let fact = self.subst_fact(fact, subst)?;
            premise!(self.prove(state, &fact, Rule::Entail));
        }
        premise!(self.entail_views(state, wanted, subst));
        let caps = state.caps.clone();
        let result = self.entail_caps(state, wanted, subst);
        state.caps = caps;
        result
    }

    /// The same depth, at least as much touched, exactly the same parts lent (redteam U5, U6).
    fn entail_frame(&mut self, state: &State, wanted: &LabelState, subst: Subst<'_>) -> Result<()> {
        let stack = &state.stack;
        let depth = |at| Error::new(Rule::Entail, Evidence::Depth(at));
        premise!(stack.delta == wanted.delta, depth(stack.delta));
        premise!(stack.touched <= wanted.touched, depth(stack.touched));
        let lent = || Error::new(Rule::Entail, Evidence::Capability);
        premise!(stack.lent.len() == wanted.lent.len(), lent());
        for (have, want) in stack.lent.iter().zip(&wanted.lent) {
            let name = lent_name(want, subst);
            let other = || Error::new(Rule::Entail, Evidence::WrongSlot(want.offset));
            premise!(have.offset == want.offset, other());
            premise!(have.size == want.size, other());
            premise!(name == Some(have.name), other());
        }
        Ok(())
    }

    /// Every register and every declared slot holds the declared word.
    fn entail_words(
        &mut self,
        state: &mut State,
        wanted: &LabelState,
        subst: Subst<'_>,
    ) -> Result<()> {
        for (reg, want) in Reg::ALL.into_iter().zip(&wanted.regs) {
            if reg != Reg::Rsp && *want != Word::Junk && !same(state.reg(reg), want, subst) {
                let want = self.subst_word(want, subst)?;
                if *state.reg(reg) == want {
                    continue;
                }
                let have = state.reg(reg).clone();
                let wrong = |e| register_evidence(e, reg, &have);
                premise!(self.same_word(state, &have, &want, Rule::Entail).map_err(wrong));
            }
        }
        for (at, want) in &wanted.slots {
            if same(state.slot(*at), want, subst) {
                continue;
            }
            let want = self.subst_word(want, subst)?;
            if *state.slot(*at) == want {
                continue;
            }
            let have = state.slot(*at).clone();
            let wrong = |e: Error| match e.kind {
                Evidence::WrongWord(_) => Error { kind: Evidence::WrongSlot(*at), ..e },
                _ => e,
            };
            premise!(self.same_word(state, &have, &want, Rule::Entail).map_err(wrong));
        }
        Ok(())
    }

    /// Every view of the label that is not known to be absent is one of ours.
    fn entail_views(
        &mut self,
        state: &mut State,
        wanted: &LabelState,
        subst: Subst<'_>,
    ) -> Result<()> {
        let views = self.subst_views(&wanted.views, subst)?;
        for view in self.existing_views(state, views)? {
            premise!(self.holds_view(state, &view, Rule::Entail));
        }
        Ok(())
    }

    /// The label's capabilities are ours, one to one.
    fn entail_caps(
        &mut self,
        state: &mut State,
        wanted: &LabelState,
        subst: Subst<'_>,
    ) -> Result<()> {
        if wanted.caps.is_empty() && state.caps.is_empty() {
            return Ok(());
        }
        let caps = self.subst_caps(&wanted.caps, subst)?;
        for cap in self.existing_caps(state, caps)? {
            self.take(state, &cap, Rule::Entail)?;
        }
        premise!(self.nothing_left(state, Rule::Entail));
        Ok(())
    }
}

/// Are the two equal, and is the wanted one the same under theta? Most words of a label are.
fn same(have: &Word, want: &Word, subst: Subst<'_>) -> bool {
    let Subst::Free(first, _) = subst else { return false };
    let stays = |v: Var| matches!(v, Var::Free(i) if i < first);
    holds!(have == want)
        && match want {
            Word::Int(term) => holds!(term.every_var(stays)),
            Word::Ptr(base, term) => {
                let named = match base {
                    Base::Name(name) => stays(*name),
                    Base::Data(_) | Base::Code(_) => true,
                };
                holds!(named) && holds!(term.every_var(stays))
            }
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => true,
        }
}

/// The refinements of function-level names hold (redteam A4).
fn refined(state: &State, refinements: &[(Var, NameSet)]) -> Result<()> {
    for (name, set) in refinements {
        let known = match name {
            Var::Free(i) => state.scope.get(usize::from(*i)),
            Var::Inner(_) | Var::Param(_) | Var::Bound(_) | Var::Value => None,
        };
        let within = known.is_some_and(|s| within(s.set, *set));
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
