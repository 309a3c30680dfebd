//! TCB. Well-formedness of signatures, labels and the interface (core.md 4.3).

use super::{Ctx, Vars, check, ill, wf_set};
use crate::error::Rule;
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::term::Var;
use crate::ty::{Assertion, Cap, Kind, LabelState, NameSet, Reg, Sig, Word};

impl<H: Hints> Judge<'_, H> {
    /// rule[wf-sig].
    ///
    /// # Errors
    /// rule[wf-sig] and the rules of its parts.
    pub fn wf_sig(&mut self, sig: &Sig) -> Result<()> {
        let (pre, post) = variables(sig);
        self.wf_sig_in(sig, Ctx::over(pre), Ctx::over(post), true)
    }

    /// The signature of a code parameter: mentions the enclosing variables, declares no code
    /// parameter and no store of its own.
    fn wf_code(&mut self, ctx: Ctx, sig: &Sig) -> Result<()> {
        let (pre, post) = variables(sig);
        let (pre, post) = (Ctx { inner: pre, ..ctx }, Ctx { inner: post, ..ctx });
        self.wf_sig_in(sig, pre, post, false)
    }

    fn wf_sig_in(&mut self, sig: &Sig, pre: Ctx, post: Ctx, outermost: bool) -> Result<()> {
        let rule = Rule::WfSig;
        let later = sig.post.as_ref().map_or(0, |p| p.vars.len());
        check(sig.vars.len().saturating_add(later) <= limits::SIG_VARS, rule)?;
        for kind in &sig.vars {
            self.wf_kind(pre, kind, rule)?;
            check(outermost || !matches!(kind, Kind::Code(_) | Kind::Store), rule)?;
        }
        let declared = stores(&sig.vars);
        check(declared.len() <= 1, rule)?;
        self.wf_assertion(pre, &sig.pre)?;
        let taken = held(&sig.pre);
        if outermost {
            check(taken == declared, rule)?;
        } else {
            // The enclosing function's, at most once.
            check(taken.len() <= 1, rule)?;
        }
        let Some(end) = &sig.post else { return Ok(()) };
        for kind in &end.vars {
            self.wf_kind(post, kind, rule)?;
            // No region: a view of the post-state stands on `always` or on one of the pre-state.
            check(matches!(kind, Kind::Int | Kind::Addr { .. } | Kind::Word), rule)?;
        }
        self.wf_assertion(post, &end.state)?;
        // A callee leaves words in the slots that it was given, and in no other.
        let given = |(at, _): &(u16, Word)| {
            sig.pre.args.binary_search_by_key(at, |(offset, _)| *offset).is_ok()
        };
        self.burn(end.state.args.len())?;
        check(end.state.args.iter().all(given), rule)?;
        let back = held(&end.state);
        check(back.is_empty() || back == taken, rule)
    }

    /// A declaration.
    fn wf_kind(&mut self, ctx: Ctx, kind: &Kind, rule: Rule) -> Result<()> {
        self.burn(1)?;
        match kind {
            Kind::Int | Kind::Word | Kind::Region | Kind::Store => Ok(()),
            Kind::Addr { set, block } => {
                check(wf_set(set), rule)?;
                let Some(block) = block else { return Ok(()) };
                self.wf_origin(block.origin)?;
                self.wf_term(ctx, &block.extent, rule)
            }
            Kind::Code(sig) => self.wf_code(ctx, sig),
        }
    }

    fn wf_assertion(&mut self, ctx: Ctx, a: &Assertion) -> Result<()> {
        let rule = Rule::WfSig;
        self.wf_facts(ctx, &a.facts, rule)?;
        for (reg, word) in Reg::ALL.iter().zip(&a.regs) {
            self.wf_word(ctx, word)?;
            let fixed = *reg == Reg::Rsp || reg.callee_saved();
            check(!fixed || *word == Word::Junk, rule)?;
        }
        check(a.args.len() <= limits::LABEL_SLOTS, rule)?;
        let mut last = 0_u16;
        for (offset, word) in &a.args {
            self.wf_word(ctx, word)?;
            check(*offset > last && offset.checked_rem(8) == Some(0), rule)?;
            last = *offset;
        }
        check(a.views.len() <= limits::VIEWS && a.caps.len() <= limits::CAPS, rule)?;
        a.views.iter().try_for_each(|v| self.wf_view_of(ctx, v))?;
        for cap in &a.caps {
            match cap {
                Cap::Entry(entry) => self.wf_entry_of(ctx, entry)?,
                Cap::Store(store) => check(ctx.kind(*store) == Some(&Kind::Store), rule)?,
                Cap::Token(..) => return Err(ill(rule)),
            }
        }
        Ok(())
    }

    /// rule[wf-label]: over the variables of its function's pre-state and its own.
    ///
    /// # Errors
    /// rule[wf-label] and the rules of its parts.
    pub fn wf_label(&mut self, sig: &Sig, label: &LabelState) -> Result<()> {
        let rule = Rule::WfLabel;
        let ctx = Ctx::over(Vars::Declared(&sig.vars, &label.vars));
        check(label.vars.len() <= limits::LABEL_VARS, rule)?;
        for kind in &label.vars {
            self.wf_kind(ctx, kind, rule)?;
            check(!matches!(kind, Kind::Store), rule)?;
        }
        self.wf_refinements(sig, label)?;
        let facts = sig.pre.facts.len().saturating_add(label.facts.len());
        check(facts <= limits::FACTS, rule)?;
        self.wf_facts(ctx, &label.facts, rule)?;
        label.regs.iter().try_for_each(|w| self.wf_held(ctx, w))?;
        self.wf_frame(ctx, label)?;
        let views = sig.pre.views.len().saturating_add(label.views.len());
        check(views <= limits::VIEWS && label.caps.len() <= limits::CAPS, rule)?;
        label.views.iter().try_for_each(|v| self.wf_view_of(ctx, v))?;
        for cap in &label.caps {
            match cap {
                Cap::Entry(entry) => self.wf_entry_of(ctx, entry)?,
                Cap::Token(rho, entry) => {
                    check(ctx.kind(*rho) == Some(&Kind::Region), rule)?;
                    self.wf_entry_of(ctx, entry)?;
                }
                Cap::Store(store) => check(ctx.kind(*store) == Some(&Kind::Store), rule)?,
            }
        }
        Ok(())
    }

    /// Each narrows a name of the function, once, to some of its declared alternatives.
    fn wf_refinements(&mut self, sig: &Sig, label: &LabelState) -> Result<()> {
        let rule = Rule::WfLabel;
        let mut last = None;
        for (name, set) in &label.refinements {
            self.burn(1)?;
            check(last < Some(*name), rule)?;
            last = Some(*name);
            let Var::Free(i) = name else { return Err(ill(rule)) };
            let Some(Kind::Addr { set: declared, .. }) = sig.vars.get(usize::from(*i)) else {
                return Err(ill(rule));
            };
            let known = set.small.iter().flatten().all(|i| declared.small.contains(&Some(*i)));
            let something = set.address || set.small != [None, None];
            check(known && something && wf_set(&NameSet { address: true, ..*set }), rule)?;
        }
        Ok(())
    }

    /// A word of a register or slot at a label.
    fn wf_held(&mut self, ctx: Ctx, word: &Word) -> Result<()> {
        match word {
            Word::Frame(k) => check((-limits::FRAME..=limits::FRAME).contains(k), Rule::WfLabel),
            Word::Saved(reg) => check(reg.callee_saved(), Rule::WfLabel),
            Word::ReturnAddress => Ok(()),
            Word::Int(_) | Word::Ptr(..) | Word::Junk => self.wf_word(ctx, word),
        }
    }

    /// The stack of a label.
    fn wf_frame(&mut self, ctx: Ctx, label: &LabelState) -> Result<()> {
        let rule = Rule::WfLabel;
        let aligned = |k: i64| k.checked_rem(8) == Some(0);
        let (delta, touched) = (label.delta, label.touched);
        check((-limits::FRAME..=0).contains(&delta) && aligned(delta), rule)?;
        check((-limits::FRAME..=0).contains(&touched), rule)?;
        check(touched.saturating_sub(delta) <= limits::PROBE, rule)?;
        check(label.slots.len() <= limits::LABEL_SLOTS, rule)?;
        let mut next = delta;
        for (at, word) in &label.slots {
            check(*at >= next && aligned(*at) && *at <= limits::FRAME, rule)?;
            next = at.saturating_add(8);
            self.wf_held(ctx, word)?;
        }
        check(label.lent.len() <= limits::LABEL_SLOTS, rule)?;
        let mut next = delta;
        for lent in &label.lent {
            let end = lent.offset.checked_add(lent.size).ok_or(ill(rule))?;
            check(lent.offset >= next && end <= 0 && lent.size > 0, rule)?;
            check(aligned(lent.offset) && aligned(lent.size), rule)?;
            check(ctx.set(lent.name).is_some_and(NameSet::is_address), rule)?;
            next = end;
            self.burn(label.slots.len())?;
            let inside = |(at, _): &(i64, Word)| *at >= lent.offset && *at < end;
            check(!label.slots.iter().any(inside), rule)?;
        }
        Ok(())
    }

    /// Everything in the interface; a host may check its own once.
    ///
    /// # Errors
    /// The rules of its parts; the start must be a function that never returns.
    pub fn wf_interface(&mut self) -> Result<()> {
        let interface = self.interface;
        check(interface.start.post.is_none(), Rule::WfSig)?;
        self.wf_sig(&interface.start)?;
        interface.imports.iter().try_for_each(|sig| self.wf_sig(sig))
    }
}

/// The variables of the pre-state, and of the post-state.
fn variables(sig: &Sig) -> (Vars<'_>, Vars<'_>) {
    let later = sig.post.as_ref().map_or(&[][..], |p| &p.vars);
    (Vars::Declared(&sig.vars, &[]), Vars::Declared(&sig.vars, later))
}

/// The store variables that are declared, as `Free`.
fn stores(vars: &[Kind]) -> alloc::vec::Vec<Var> {
    let free = |(i, kind): (usize, &Kind)| match kind {
        Kind::Store => u16::try_from(i).ok().map(Var::Free),
        _ => None,
    };
    vars.iter().enumerate().filter_map(free).collect()
}

/// The store variables among the capabilities.
fn held(a: &Assertion) -> alloc::vec::Vec<Var> {
    let store = |cap: &Cap| match cap {
        Cap::Store(v) => Some(*v),
        Cap::Entry(_) | Cap::Token(..) => None,
    };
    a.caps.iter().filter_map(store).collect()
}
