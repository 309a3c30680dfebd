//! TCB. Transfers of control other than calls (core.md 4.12).

use crate::counted::Rc;
use crate::driver::{Target, Wanted, size};
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Ghost, Hints, Site};
use crate::judge::{Judge, Own, Result};
use crate::mem::Subst;
use crate::rules::apply::{Callee, check_limits};
use crate::state::{Scope, State};
use crate::ty::{Bounds, FnId, Kind, NameSet, Reg, Sig, Word};

impl<H: Hints> Judge<'_, H> {
    /// rule[entry-state]: the state at the start of this function, with a mark, as the walk sets
    /// one. Sets `self.own`.
    ///
    /// # Errors
    /// When the function does not exist.
    pub fn entry_state(&mut self, function: FnId) -> Result<State> {
        let mut state = State::empty();
        self.begin_entry(&mut state, function)?;
        let _ = state.mark();
        Ok(state)
    }

    /// As [`Judge::entry_state`], in a state that was cleared.
    pub(crate) fn begin_entry(&mut self, state: &mut State, function: FnId) -> Result<()> {
        let sig = self.function_sig(function)?;
        state.scope.extend(sig.vars.iter().map(scope_of));
        self.enter(state, &sig)?;
        self.burn(size(state))?;
        check_limits(state)?;
        self.own = Own::function(Some(function), sig);
        Ok(())
    }

    /// The signature of a function of the image.
    ///
    /// # Errors
    /// When there is none.
    pub fn function_sig(&self, function: FnId) -> Result<Rc<Sig>> {
        let function = usize::try_from(function.0).ok().and_then(|i| self.image.functions.get(i));
        let sig = function.and_then(|f| self.image.sigs.get(usize::try_from(f.sig).ok()?));
        Ok(Rc::clone(sig.or_refuse(Rule::Driver)?))
    }

    /// rule[return].
    ///
    /// # Errors
    /// When a premise fails.
    pub fn ret(&mut self, state: &mut State, from: u32) -> Result<()> {
        self.ghosts(state, Site::Return(from))?;
        premise!(self.frame_gone(state, Rule::Return));
        premise!(self.post_holds(state, Rule::Return));
        Ok(())
    }

    /// rule[tail-call], rule[jump-never]. What the callee's signature leaves must be what ours
    /// promises.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn tail_call(&mut self, state: &mut State, from: u32, callee: Callee) -> Result<()> {
        let sig = self.signature(state, callee)?;
        let Some(post) = &sig.post else { return self.jump_never(state, from, callee, &sig) };
        let rule = Rule::TailCall;
        premise!(self.frame_gone(state, rule));
        for (at, _) in &sig.pre.args {
            // Our caller gave us these slots and expects no others to be written.
            let given = self.own.sig.pre.args.iter().any(|(ours, _)| ours == at);
            premise!(given, Error::new(rule, Evidence::WrongSlot(i64::from(*at))));
        }
        let values = self.apply(state, from, callee, &sig, 0, rule)?;
        self.resume(state, callee, &sig, post, values, 0)?;
        premise!(self.post_holds(state, rule));
        Ok(())
    }

    /// rule[jump-never]: nobody comes back, so frame and leftovers are of no interest. Stack
    /// arguments lie above the callee's entry rsp, where they are declared.
    fn jump_never(
        &mut self,
        state: &mut State,
        from: u32,
        callee: Callee,
        sig: &Sig,
    ) -> Result<()> {
        let (rule, entry) = (Rule::JumpNever, state.stack.delta);
        // The callee counts from here as touched.
        premise!(state.stack.touched <= entry, Error::new(rule, Evidence::Depth(entry)));
        for (at, _) in &sig.pre.args {
            let at = entry.saturating_add(i64::from(*at));
            premise!(self.lendable_slot(state, at, rule));
        }
        self.apply(state, from, callee, sig, entry, rule).map(|_| ())
    }

    /// The frame is as at the entry: depth 0, the return address in slot 0, the saved registers,
    /// nothing lent (traps 113, 114, 117, 118, redteam U5).
    fn frame_gone(&self, state: &State, rule: Rule) -> Result<()> {
        let delta = state.stack.delta;
        premise!(delta == 0, Error::new(rule, Evidence::Depth(delta)));
        premise!(self.own.returning(), Error::new(rule, Evidence::WrongSlot(0)));
        let back = *state.slot(0) == Word::ReturnAddress;
        premise!(back, Error::new(rule, Evidence::WrongSlot(0)));
        for reg in Reg::ALL.into_iter().filter(|r| r.callee_saved()) {
            let word = state.reg(reg);
            let lost = || Error::new(rule, Evidence::WrongRegister(reg, word.clone().into()));
            premise!(*word == Word::Saved(reg), lost());
        }
        premise!(state.stack.lent.is_empty(), Error::new(rule, Evidence::Capability));
        Ok(())
    }

    /// Our own post-state holds, and nothing is owned beyond it.
    fn post_holds(&mut self, state: &mut State, rule: Rule) -> Result<()> {
        let sig = Rc::clone(&self.own.sig);
        let Some(post) = &sig.post else { return Err(Error::new(rule, Evidence::IllFormed)) };
        let own = u16::try_from(sig.vars.len()).ok().and_then(|n| n.checked_add(self.own.base));
        let own = own.or_refuse(rule)?;
        let insts = self.hints.post(state, own, &post.vars, &post.state)?;
        let values = self.values(state, &post.vars, insts, false, rule)?;
        let subst = Subst::Free(own, &values);
        premise!(self.claims(state, &post.vars, &values, subst, None));
        let wanted = self.instantiated(state, &post.state, subst)?;
        premise!(self.matches(state, (&post.state, &wanted), subst, 0, rule));
        for cap in &wanted.caps {
            self.take(state, cap, rule)?;
        }
        premise!(self.nothing_left(state, rule));
        self.spare(values);
        Ok(())
    }

    /// Every capability has been accounted for, but those that are known not to exist.
    pub(crate) fn nothing_left(&mut self, state: &State, rule: Rule) -> Result<()> {
        if state.caps.is_empty() {
            return Ok(());
        }
        let left = self.existing_caps(state, state.caps.to_vec())?;
        premise!(left.is_empty(), Error::new(rule, Evidence::Capability));
        Ok(())
    }

    /// rule[jump], rule[fall] and the taken edge of rule[cond]: the ghosts of the edge, then entail
    /// (a label) or tail-call (an entry). Afterwards `state` is as before, but for facts, variables
    /// and views appended to it; where it fails, nobody goes on from it.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn follow(&mut self, state: &mut State, from: u32, wanted: Wanted<'_>) -> Result<()> {
        let to = match wanted {
            Wanted::Label { at, .. } => at,
            Wanted::Entry(callee) => self.offset_of(Target::Entry(callee)),
        };
        let site = Site::Edge { from, to };
        match (self.hints.ghost(state, site)?, wanted) {
            (None, Wanted::Label { at, parent, record }) => self.entail(state, at, parent, record),
            (first, _) => self.follow_changed(state, site, first, from, wanted),
        }
    }

    /// As [`Judge::follow`], where the edge changes more of the state, which is put back.
    #[inline(never)]
    fn follow_changed(
        &mut self,
        state: &mut State,
        site: Site,
        first: Option<Ghost>,
        from: u32,
        wanted: Wanted<'_>,
    ) -> Result<()> {
        let mark = state.mark();
        self.ghosts_from(state, site, first)?;
        match wanted {
            Wanted::Label { at, parent, record } => {
                premise!(self.entail(state, at, parent, record));
            }
            Wanted::Entry(callee) => premise!(self.tail_call(state, from, callee)),
        }
        mark.cut(state);
        Ok(())
    }
}

/// A variable as it is declared.
pub(crate) fn scope_of(kind: &Kind) -> Scope {
    let (set, bounds) = match kind {
        Kind::Addr { set, .. } => (*set, Bounds::NONE),
        Kind::Int(bounds) => (NameSet::ADDRESS, *bounds),
        Kind::Code(_) | Kind::Word | Kind::Region | Kind::Store => (NameSet::ADDRESS, Bounds::NONE),
    };
    Scope { kind: kind.clone(), set, is: None, bounds }
}

impl<H: Hints> Judge<'_, H> {
    /// The pre-state of a signature, seen from inside: registers, return address, arguments, facts,
    /// views, capabilities. Its variables are in scope already; of places nothing is known yet.
    pub(crate) fn enter(&mut self, state: &mut State, sig: &Sig) -> Result<()> {
        for (reg, word) in sig.pre.regs.iter().filter(|(reg, _)| *reg != Reg::Rsp) {
            state.set_reg(*reg, word.clone());
        }
        if sig.post.is_some() {
            for reg in Reg::ALL.into_iter().filter(|reg| reg.callee_saved()) {
                state.set_reg(reg, Word::Saved(reg));
            }
            state.set_slot(0, Word::ReturnAddress);
        }
        for (at, word) in &sig.pre.args {
            state.set_slot(i64::from(*at), word.clone());
        }
        self.learn_all(state, &sig.pre.facts)?;
        state.views.extend(sig.pre.views.iter().cloned());
        state.caps.extend(sig.pre.caps.iter().cloned());
        Ok(())
    }
}
