//! TCB. `apply`: what a transfer to an entry takes from the state of whoever makes it; calls, and
//! the use of an entry at the signature of a code parameter (core.md 4.12).

use crate::counted::Rc;
use crate::driver::{Flow, size};
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Hints, Site};
use crate::judge::{Judge, Own, Result};
use crate::limits;
use crate::mem::{Subst, Value};
use crate::rules::transfer::scope_of;
use crate::state::{Flags, State};
use crate::term::{Term, Var};
use crate::ty::{Assertion, Base, Cap, FnId, ImportId, Kind, Post, Reg, Region, Sig, View, Word};
use alloc::{boxed::Box, vec::Vec};
use core::mem;

/// What is called or jumped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// An entry of the image.
    Function(FnId),
    /// A gate of the host.
    Import(ImportId),
    /// A name of kind `Code`.
    Name(Var),
}

impl Callee {
    /// How the variables of its signature are numbered: those of a code parameter's signature stand
    /// inside another one.
    #[must_use]
    pub fn subst(self, values: &[Value]) -> Subst<'_> {
        match self {
            Callee::Function(_) | Callee::Import(_) => Subst::Free(0, values),
            Callee::Name(_) => Subst::Inner(values),
        }
    }
}

/// Views and capabilities of an assertion.
pub(crate) struct Beside {
    pub(crate) views: Vec<View>,
    pub(crate) caps: Vec<Cap>,
}

impl<H: Hints> Judge<'_, H> {
    /// The signature of a callee.
    ///
    /// # Errors
    /// When there is no such callee.
    pub fn signature(&self, state: &State, callee: Callee) -> Result<Rc<Sig>> {
        let sig = match callee {
            Callee::Function(f) => return self.function_sig(f),
            Callee::Import(i) => {
                let index = self.image.imports.get(usize::from(i.0)).or_refuse(Rule::Import)?;
                self.interface.imports.get(usize::from(*index)).or_refuse(Rule::Import)?
            }
            Callee::Name(Var::Free(i)) => match state.scope.get(usize::from(i)) {
                Some(scope) => match &scope.kind {
                    Kind::Code(sig) => sig,
                    _ => return Err(Error::new(Rule::Call, Evidence::BadHint)),
                },
                None => return Err(Error::new(Rule::Call, Evidence::BadHint)),
            },
            Callee::Name(_) => return Err(Error::new(Rule::Call, Evidence::BadHint)),
        };
        Ok(Rc::clone(sig))
    }

    /// rule[call], rule[call-never].
    ///
    /// # Errors
    /// When a premise fails.
    pub fn call(
        &mut self,
        state: &mut State,
        from: u32,
        behind: u32,
        callee: Callee,
    ) -> Result<Flow> {
        let sig = self.signature(state, callee)?;
        let rule = if sig.post.is_some() { Rule::Call } else { Rule::CallNever };
        // The call pushes: the callee's entry rsp lies 8 below, within the frame and the probe.
        let entry = state.stack.delta.checked_sub(8).or_refuse(rule)?;
        let reach = state.stack.touched.checked_sub(entry).or_refuse(rule)?;
        premise!(entry >= limits::FRAME.saturating_neg(), Error::new(rule, Evidence::Depth(entry)));
        premise!(reach <= limits::PROBE, Error::new(rule, Evidence::Depth(entry)));
        for (at, _) in &sig.pre.args {
            let at = entry.saturating_add(i64::from(*at));
            premise!(self.lendable_slot(state, at, rule));
        }
        let values = self.apply(state, from, callee, &sig, entry, rule)?;
        let Some(post) = &sig.post else { return Ok(Flow::Stop) };
        state.stack.touched = state.stack.touched.min(entry);
        self.resume(state, callee, &sig, post, values, entry)?;
        Ok(Flow::Next(behind))
    }

    /// May a callee own this slot as its argument? It lies in our frame or is an argument of ours,
    /// exists, and is not lent (redteam U4, U5).
    pub(crate) fn lendable_slot(&self, state: &State, at: i64, rule: Rule) -> Result<()> {
        let stack = &state.stack;
        let ours = at < 0 || (at > 0 && self.own.slot(at));
        let lent =
            stack.lent.iter().any(|l| l.offset <= at && at < l.offset.saturating_add(l.size));
        let refuse = || Error::new(rule, Evidence::WrongSlot(at));
        premise!(at >= stack.delta, refuse());
        premise!(ours, refuse());
        premise!(!lent, refuse());
        Ok(())
    }

    /// rule[apply]: theta is checked, the pre-state is matched and its capabilities leave the
    /// state. `entry` is the callee's entry rsp. Returns theta.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn apply(
        &mut self,
        state: &mut State,
        from: u32,
        callee: Callee,
        sig: &Sig,
        entry: i64,
        rule: Rule,
    ) -> Result<Vec<Value>> {
        self.burn(size(state).saturating_add(sig.vars.len().saturating_mul(4)))?;
        let insts = self.hints.call(state, sig)?;
        let values = self.values(state, &sig.vars, insts, true, rule)?;
        let subst = callee.subst(&values);
        premise!(self.claims(state, &sig.vars, &values, subst, Some(from)));
        let pre = self.instantiated(state, &sig.pre, subst)?;
        premise!(self.matches(state, (&sig.pre, &pre), subst, entry, rule));
        for view in &pre.views {
            // A callee may use its views for as long as it runs.
            premise!(self.own.live(view.region, state), Error::new(rule, Evidence::DeadRegion));
        }
        for cap in &pre.caps {
            self.take(state, cap, rule)?;
        }
        Ok(values)
    }

    /// Registers, stack arguments, facts and views of a pre- or post-state under theta. `beside`:
    /// what it is [`Judge::instantiated`] to.
    pub(crate) fn matches(
        &mut self,
        state: &mut State,
        (wanted, beside): (&Assertion, &Beside),
        subst: Subst<'_>,
        entry: i64,
        rule: Rule,
    ) -> Result<()> {
        for (reg, want) in wanted.regs.iter() {
            let want = self.subst_word(want, subst)?;
            if *reg != Reg::Rsp && *state.reg(*reg) != want {
                let have = state.reg(*reg).clone();
                let wrong = |e| register_evidence(e, *reg, &have);
                premise!(self.same_word(state, &have, &want, rule).map_err(wrong));
            }
        }
        for (at, want) in &wanted.args {
            let want = self.subst_word(want, subst)?;
            let have = state.slot(entry.saturating_add(i64::from(*at))).clone();
            premise!(self.same_word(state, &have, &want, rule));
        }
        for fact in &wanted.facts {
            let goal = self.subst_fact(fact, subst)?;
            premise!(self.prove(state, &goal, rule));
        }
        for view in &beside.views {
            premise!(self.holds_view(state, view, rule));
        }
        Ok(())
    }

    /// Views and capabilities of an assertion under theta, guards decided as far as the state
    /// decides them.
    pub(crate) fn instantiated(
        &mut self,
        state: &State,
        assertion: &Assertion,
        subst: Subst<'_>,
    ) -> Result<Beside> {
        let views = self.subst_views(&assertion.views, subst)?;
        let caps = self.subst_caps(&assertion.caps, subst)?;
        let views = self.existing_views(state, views)?;
        Ok(Beside { views, caps: self.existing_caps(state, caps)? })
    }

    /// The views that are not known to be absent.
    pub(crate) fn existing_views(&mut self, state: &State, views: Vec<View>) -> Result<Vec<View>> {
        existing(views, |view| self.decide_guards(state, &mut view.guards))
    }

    /// The capabilities that are not known to be absent. A token always exists: it stands for the
    /// region, whatever became of the entry in it. So a theta under which its guard is false is
    /// refused (`subst_cap`) rather than taken to drop it.
    pub(crate) fn existing_caps(&mut self, state: &State, caps: Vec<Cap>) -> Result<Vec<Cap>> {
        existing(caps, |cap| match cap {
            Cap::Entry(entry) => self.decide_guards(state, &mut entry.guards),
            Cap::Token(..) | Cap::Store(_) => Ok(true),
        })
    }

    /// What the callee leaves: its choices are fresh, its post-state enters, everything that it may
    /// have written is junk (redteam U4, U10).
    pub(crate) fn resume(
        &mut self,
        state: &mut State,
        callee: Callee,
        sig: &Sig,
        post: &Post,
        mut values: Vec<Value>,
        entry: i64,
    ) -> Result<()> {
        let first = state.scope.len();
        for (i, kind) in post.vars.iter().enumerate() {
            values.push(fresh_value(first.saturating_add(i), kind)?);
        }
        let subst = callee.subst(&values);
        for kind in &post.vars {
            let kind = self.subst_kind(kind, subst)?;
            self.fresh(state, kind)?;
        }
        let mut after = self.instantiated(state, &post.state, subst)?;
        let written = |reg: &Reg| *reg != Reg::Rsp && !reg.callee_saved();
        for reg in Reg::ALL.into_iter().filter(written) {
            let word = match post.state.regs.get(reg) {
                Word::Junk => Word::Junk,
                said => self.subst_word(said, subst)?,
            };
            state.set_reg(reg, word);
        }
        for (at, _) in &sig.pre.args {
            let at = entry.saturating_add(i64::from(*at));
            forget!(self.set_slot(state, at, Word::Junk)?);
        }
        for (at, word) in &post.state.args {
            let word = self.subst_word(word, subst)?;
            self.set_slot(state, entry.saturating_add(i64::from(*at)), word)?;
        }
        for fact in &post.state.facts {
            let fact = self.subst_fact(fact, subst)?;
            self.learn(state, fact.rel, fact.term)?;
        }
        state.views.append(&mut after.views);
        if !after.caps.is_empty() {
            state.caps.append(&mut after.caps);
        }
        forget!(state.set_flags(Flags::UNKNOWN));
        self.spare(values);
        check_limits(state)
    }

    /// The numbers: `Free(0..n)` of the caller's state stay what they are; `Inner(i)` of `sigma`
    /// become `Free(base + i)` with `base = n`, those that its post-state chooses follow, and what
    /// is fresh after that has the next number of the scope, as always. The callee's own variables
    /// never stand in the state: theta replaces them.
    ///
    /// rule[code-sub]: an entry may be used wherever `sigma` is promised (its own variables are
    /// `Inner`), because from any entry state of `sigma` one `jmp` to it ends in `sigma`'s exit.
    ///
    /// # Errors
    /// When a premise fails; when it would nest.
    #[inline(never)]
    pub(crate) fn code_sub(
        &mut self,
        state: &State,
        from: u32,
        function: FnId,
        sigma: &Sig,
    ) -> Result<()> {
        let rule = Rule::CodeSub;
        premise!(!self.own.nested, Error::new(rule, Evidence::Limit));
        let base = u16::try_from(state.scope.len()).ok().or_refuse(rule)?;
        let renamed = self.renamed(sigma, base)?;
        // Variables, names and facts of the caller are about fixed values: they stay true. Its
        // frame, views and capabilities are not there when `sigma` is used.
        let mut sub = Box::new(State::empty());
        sub.scope.clone_from(&state.scope);
        sub.facts.clone_from(&state.facts);
        sub.scope.extend(renamed.vars.iter().map(scope_of));
        self.enter(&mut sub, &renamed)?;
        check_limits(&sub)?;
        self.burn(size(&sub).saturating_add(sub.slot_extent()))?;
        let own = Own { base, nested: true, ..Own::function(None, renamed) };
        let outer = mem::replace(&mut self.own, own);
        let result = self
            .ghosts(&mut sub, Site::CodeSub { from })
            .and_then(|()| self.tail_call(&mut sub, from, Callee::Function(function)));
        self.own = outer;
        result
    }

    /// The signature of a code parameter with its own variables as `Free(base..)`.
    #[inline(never)]
    fn renamed(&mut self, sigma: &Sig, base: u16) -> Result<Rc<Sig>> {
        let rule = Rule::CodeSub;
        let choices: &[Kind] = sigma.post.as_ref().map_or(&[], |p| &p.vars);
        let mut values = Vec::with_capacity(sigma.vars.len().saturating_add(choices.len()));
        for (i, kind) in sigma.vars.iter().chain(choices).enumerate() {
            let index = usize::from(base).saturating_add(i);
            let number = u16::try_from(index).ok().or_refuse(rule)?;
            values.push(match kind {
                Kind::Region => Value::Region(Region::Var(Var::Free(number))),
                Kind::Code(_) | Kind::Store => return Err(Error::new(rule, Evidence::IllFormed)),
                Kind::Int(_) | Kind::Addr { .. } | Kind::Word => fresh_value(index, kind)?,
            });
        }
        let subst = Subst::Inner(&values);
        let kinds = |judge: &mut Self, kinds: &[Kind]| -> Result<Vec<Kind>> {
            kinds.iter().map(|k| judge.subst_kind(k, subst)).collect()
        };
        let vars = kinds(self, &sigma.vars)?;
        let pre = self.subst_assertion(&sigma.pre, subst)?;
        let post = match &sigma.post {
            None => None,
            Some(post) => Some(Post {
                vars: kinds(self, &post.vars)?,
                state: self.subst_assertion(&post.state, subst)?,
            }),
        };
        Ok(Rc::new(Sig { vars, pre, post }))
    }
}

/// Those that exist, in the room that they have.
fn existing<T>(mut all: Vec<T>, mut exists: impl FnMut(&mut T) -> Result<bool>) -> Result<Vec<T>> {
    let mut at = 0;
    while let Some(one) = all.get_mut(at) {
        if exists(one)? {
            at = at.saturating_add(1);
        } else {
            all.remove(at);
        }
    }
    Ok(all)
}

/// The variable of this number as a value.
fn fresh_value(index: usize, kind: &Kind) -> Result<Value> {
    let rule = Rule::Apply;
    let v = Var::Free(u16::try_from(index).ok().or_refuse(rule)?);
    Ok(match kind {
        Kind::Int(_) => Value::Int(Term::var(v)),
        Kind::Addr { .. } => Value::Addr(Base::Name(v), Term::ZERO),
        Kind::Word => Value::Word(Word::Ptr(Base::Name(v), Term::ZERO)),
        // A callee makes no code, no region, no unknown set.
        Kind::Code(_) | Kind::Region | Kind::Store => {
            return Err(Error::new(rule, Evidence::IllFormed));
        }
    })
}

/// A mismatch in a register names the register.
pub(crate) fn register_evidence(error: Error, reg: Reg, have: &Word) -> Error {
    match error.kind {
        Evidence::WrongWord(_) => {
            Error { kind: Evidence::WrongRegister(reg, have.clone().into()), ..error }
        }
        _ => error,
    }
}

/// The limits of core.md 4.16 on a state that grew. Facts are counted where they are learned.
pub(crate) fn check_limits(state: &State) -> Result<()> {
    let full = || Error::new(Rule::Limit, Evidence::Limit);
    premise!(state.views.len() <= limits::VIEWS, full());
    premise!(state.caps.len() <= limits::CAPS, full());
    premise!(state.scope.len() <= limits::SCOPE_VARS, full());
    Ok(())
}
