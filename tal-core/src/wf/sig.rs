//! TCB. Well-formedness of signatures, labels and the interface (core.md 4.3).

use super::{Ctx, Vars, ill, wf_set};
use crate::error::{OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::prove::{implies, low_of};
use crate::state::{Mark, Scope, State};
use crate::term::{Term, Var};
use crate::ty::{Assertion, Cap, Declared, Fact, Kind, NameSet, Reg, Rel, Sig, Word};

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
        premise!(sig.vars.len().saturating_add(later) <= limits::SIG_VARS, ill(rule));
        for kind in &sig.vars {
            premise!(self.wf_kind(pre, kind, rule));
            premise!(outermost || !matches!(kind, Kind::Code(_) | Kind::Store), ill(rule));
        }
        let declared = stores(&sig.vars);
        premise!(declared.len() <= 1, ill(rule));
        premise!(self.wf_assertion(pre, &sig.pre));
        let taken = held(&sig.pre);
        if outermost {
            premise!(taken == declared, ill(rule));
        } else {
            // The enclosing function's, at most once.
            premise!(taken.len() <= 1, ill(rule));
        }
        let Some(end) = &sig.post else { return Ok(()) };
        for kind in &end.vars {
            premise!(self.wf_kind(post, kind, rule));
            // No region: a view of the post-state stands on `always` or on one of the pre-state.
            premise!(matches!(kind, Kind::Int(_) | Kind::Addr { .. } | Kind::Word), ill(rule));
        }
        premise!(self.wf_assertion(post, &end.state));
        // A callee leaves words in the slots that it was given, and in no other.
        let given = |(at, _): &(u16, Word)| {
            sig.pre.args.binary_search_by_key(at, |(offset, _)| *offset).is_ok()
        };
        self.burn(end.state.args.len())?;
        premise!(end.state.args.iter().all(given), ill(rule));
        let back = held(&end.state);
        premise!(back.is_empty() || back == taken, ill(rule));
        Ok(())
    }

    /// A declaration.
    fn wf_kind(&mut self, ctx: Ctx, kind: &Kind, rule: Rule) -> Result<()> {
        self.burn(1)?;
        match kind {
            Kind::Int(_) | Kind::Word | Kind::Region | Kind::Store => Ok(()),
            Kind::Addr { set, block } => {
                premise!(wf_set(set), ill(rule));
                let Some(block) = block else { return Ok(()) };
                premise!(self.wf_origin(block.origin));
                self.wf_term(ctx, &block.extent, rule)
            }
            Kind::Code(sig) => self.wf_code(ctx, sig),
        }
    }

    fn wf_assertion(&mut self, ctx: Ctx, a: &Assertion) -> Result<()> {
        let rule = Rule::WfSig;
        premise!(self.wf_facts(ctx, &a.facts, rule));
        for (reg, word) in a.regs.iter() {
            premise!(self.wf_word(ctx, word));
            premise!(*reg != Reg::Rsp, ill(rule));
            premise!(!reg.callee_saved(), ill(rule));
        }
        premise!(a.args.len() <= limits::LABEL_SLOTS, ill(rule));
        let mut last = 0_u16;
        for (offset, word) in &a.args {
            premise!(self.wf_word(ctx, word));
            premise!(*offset > last, ill(rule));
            premise!(offset.checked_rem(8) == Some(0), ill(rule));
            last = *offset;
        }
        premise!(a.views.len() <= limits::VIEWS, ill(rule));
        premise!(a.caps.len() <= limits::CAPS, ill(rule));
        premise!(a.views.iter().try_for_each(|v| self.wf_view_of(ctx, v)));
        for cap in &a.caps {
            match cap {
                Cap::Entry(entry) => premise!(self.wf_entry_of(ctx, entry)),
                Cap::Store(store) => {
                    premise!(ctx.kind(*store) == Some(&Kind::Store), ill(rule));
                }
                Cap::Token(..) => return refuse!(ill(rule)),
            }
        }
        Ok(())
    }

    /// rule[wf-label]: over the variables below the mark of its parent and its own.
    ///
    /// # Errors
    /// rule[wf-label] and the rules of its parts.
    pub fn wf_record(&mut self, state: &State, parent: &Mark, record: Declared<'_>) -> Result<()> {
        let rule = Rule::WfLabel;
        let below = state.scope.get(..parent.scope).ok_or(ill(rule))?;
        let ctx = Ctx::over(Vars::Label(below, record.vars));
        premise!(record.vars.len() <= limits::LABEL_VARS, ill(rule));
        for kind in record.vars {
            premise!(self.wf_kind(ctx, kind, rule));
            premise!(!matches!(kind, Kind::Store), ill(rule));
        }
        premise!(self.wf_refinements(below, record));
        let facts = parent.facts.saturating_add(record.facts.len());
        premise!(facts <= limits::FACTS, ill(rule));
        premise!(self.wf_facts(ctx, record.facts, rule));
        let mut last = None;
        for (reg, word) in record.regs {
            premise!(last < Some(*reg), ill(rule));
            last = Some(*reg);
            premise!(*reg != Reg::Rsp, ill(rule));
            premise!(self.wf_held(ctx, word));
        }
        premise!(self.wf_frame(ctx, parent, record));
        let views = parent.views.saturating_add(record.views.len());
        premise!(views <= limits::VIEWS, ill(rule));
        premise!(record.views.iter().try_for_each(|v| self.wf_view_of(ctx, v)));
        let caps = record.caps.unwrap_or(&[]);
        premise!(caps.len() <= limits::CAPS, ill(rule));
        for cap in caps {
            match cap {
                Cap::Entry(entry) => premise!(self.wf_entry_of(ctx, entry)),
                Cap::Token(rho, entry) => {
                    premise!(ctx.kind(*rho) == Some(&Kind::Region), ill(rule));
                    premise!(self.wf_entry_of(ctx, entry));
                }
                Cap::Store(store) => {
                    premise!(ctx.kind(*store) == Some(&Kind::Store), ill(rule));
                }
            }
        }
        Ok(())
    }

    /// Each narrows a name in scope, once, to some of its declared alternatives.
    fn wf_refinements(&mut self, below: &[Scope], record: Declared<'_>) -> Result<()> {
        let rule = Rule::WfLabel;
        let mut last = None;
        for (name, set) in record.refinements {
            self.burn(1)?;
            premise!(last < Some(*name), ill(rule));
            last = Some(*name);
            let Var::Free(i) = name else { return Err(ill(rule)) };
            let Some(Scope { kind: Kind::Addr { set: declared, .. }, .. }) =
                below.get(usize::from(*i))
            else {
                return Err(ill(rule));
            };
            let known = set.small.iter().flatten().all(|i| declared.small.contains(&Some(*i)));
            let something = set.address || set.small != [None, None];
            premise!(known, ill(rule));
            premise!(something, ill(rule));
            premise!(wf_set(&NameSet { address: true, ..*set }), ill(rule));
        }
        Ok(())
    }

    /// A word of a register or slot at a label.
    fn wf_held(&mut self, ctx: Ctx, word: &Word) -> Result<()> {
        match word {
            Word::Frame(k) => {
                premise!((-limits::FRAME..=limits::FRAME).contains(k), ill(Rule::WfLabel));
                Ok(())
            }
            Word::Saved(reg) => {
                premise!(reg.callee_saved(), ill(Rule::WfLabel));
                Ok(())
            }
            Word::ReturnAddress => Ok(()),
            Word::Int(_) | Word::Ptr(..) | Word::Junk => self.wf_word(ctx, word),
        }
    }

    /// The stack of a label.
    fn wf_frame(&mut self, ctx: Ctx, parent: &Mark, record: Declared<'_>) -> Result<()> {
        let rule = Rule::WfLabel;
        let aligned = |k: i64| k.checked_rem(8) == Some(0);
        let (delta, touched) = record.frame(parent);
        premise!((-limits::FRAME..=0).contains(&delta), ill(rule));
        premise!(aligned(delta), ill(rule));
        premise!((-limits::FRAME..=0).contains(&touched), ill(rule));
        premise!(touched.saturating_sub(delta) <= limits::PROBE, ill(rule));
        premise!(record.slots.len() <= limits::LABEL_SLOTS, ill(rule));
        let mut next = delta;
        for (at, word) in record.slots {
            premise!(*at >= next, ill(rule));
            premise!(aligned(*at), ill(rule));
            premise!(*at <= limits::FRAME, ill(rule));
            next = at.saturating_add(8);
            premise!(self.wf_held(ctx, word));
        }
        premise!(parent.slots.saturating_add(record.slots.len()) <= limits::SLOTS, ill(rule));
        let own = record.lent.unwrap_or(&[]);
        premise!(own.len() <= limits::LABEL_SLOTS, ill(rule));
        let mut next = delta;
        for lent in own {
            let end = lent.offset.checked_add(lent.size).ok_or(ill(rule))?;
            premise!(lent.offset >= next, ill(rule));
            premise!(end <= 0, ill(rule));
            premise!(lent.size > 0, ill(rule));
            premise!(aligned(lent.offset), ill(rule));
            premise!(aligned(lent.size), ill(rule));
            premise!(ctx.set(lent.name).is_some_and(NameSet::is_address), ill(rule));
            next = end;
        }
        // What is lent is no slot; what the parent has there is none any more.
        for lent in record.lent(parent) {
            let end = lent.offset.saturating_add(lent.size);
            premise!(lent.offset >= delta, ill(rule));
            self.burn(record.slots.len())?;
            let inside =
                |(at, word): &(i64, Word)| *word != Word::Junk && *at >= lent.offset && *at < end;
            premise!(!record.slots.iter().any(inside), ill(rule));
        }
        Ok(())
    }

    /// Everything in the interface; a host may check its own once.
    ///
    /// # Errors
    /// The rules of its parts; the start must be a function that never returns.
    pub fn wf_interface(&mut self) -> Result<()> {
        let interface = self.interface;
        premise!(interface.start.post.is_none(), ill(Rule::WfSig));
        premise!(self.wf_sig(&interface.start));
        let start = &interface.start;
        let ctx = Ctx::over(Vars::Declared(&start.vars, &[]));
        premise!(self.some_bytes(ctx, &start.vars, &[&start.pre.facts]));
        for sig in &interface.imports {
            premise!(self.wf_sig(sig));
            premise!(self.gives_bytes(sig));
        }
        Ok(())
    }

    /// rule[import]: each block that the host gives has at least one byte: what it leaves, and what
    /// it hands to a function of ours that it calls. A block of no bytes could be cut into itself
    /// and nothing, each of which would be the whole block. All other claims come from these: a
    /// name has one because another has it, or because a field owns the whole block of one.
    pub(crate) fn gives_bytes(&mut self, sig: &Sig) -> Result<()> {
        let (before, after) = variables(sig);
        if let Some(post) = &sig.post {
            let facts = [&sig.pre.facts[..], &post.state.facts[..]];
            premise!(self.some_bytes(Ctx::over(after), &post.vars, &facts));
        }
        for kind in &sig.vars {
            if let Kind::Code(called) = kind {
                let facts = [&sig.pre.facts[..], &called.pre.facts[..]];
                let inner = Vars::Declared(&called.vars, &[]);
                let ctx = Ctx { inner, ..Ctx::over(before) };
                premise!(self.some_bytes(ctx, &called.vars, &facts));
            }
        }
        Ok(())
    }

    /// The extents of blocks are at least 1: as constants, by declared bounds, or by one of the
    /// facts.
    fn some_bytes(&mut self, ctx: Ctx, kinds: &[Kind], facts: &[&[Fact]]) -> Result<()> {
        let rule = Rule::Import;
        let reduced = |t: &Term| t.floor_div(t.gcd().max(1)).or_refuse(rule);
        for kind in kinds {
            let Kind::Addr { block: Some(block), .. } = kind else { continue };
            let rest = reduced(&block.extent.plus(-1).or_refuse(rule)?)?;
            let mut enough = low_of(&rest, |v| ctx.bounds(v)).is_some_and(|least| least >= 0);
            for fact in facts.iter().copied().flatten().filter(|f| f.rel == Rel::Ge) {
                self.burn(1)?;
                enough |= implies(&reduced(&fact.term)?, &rest);
            }
            premise!(enough, ill(rule));
        }
        Ok(())
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
