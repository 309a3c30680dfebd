//! TCB. Views and regions (core.md 4.6).
//!
//! A view may be copied and forgotten freely, so each ghost here appends a new one. It may be used
//! only while its region lives, which is asked at each use and never remembered.

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Through};
use crate::image::DataKind;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::Subst;
use crate::rules::guard::{checked, take_entry, view_at};
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{Base, Cap, DataId, FieldTy, Kind as Decl, Mem, Mode, Region, View};
use alloc::{borrow::Cow, vec::Vec};

impl<H: Hints> Judge<'_, H> {
    /// Is `wanted` (after substitution) among the views of the state? The hint says which it is;
    /// terms may differ by what is proved zero.
    ///
    /// # Errors
    /// `rule`.
    pub fn holds_view(&mut self, st: &mut State, wanted: &View, rule: Rule) -> Result<()> {
        let through = self.hints.view(st, wanted)?;
        let have = self.view_through(st, through, rule)?.into_owned();
        premise!(self.same_view(st, &have, wanted, rule));
        Ok(())
    }

    /// The view that a hint names.
    pub(crate) fn view_through<'s>(
        &self,
        st: &'s State,
        of: Through,
        rule: Rule,
    ) -> Result<Cow<'s, View>> {
        match of {
            Through::View(i) => view_at(st, i, rule).map(Cow::Borrowed),
            Through::Data(d) => self.data_view(d, rule).map(Cow::Owned),
            Through::Entry(_) => Err(Error::new(rule, Kind::BadHint)),
        }
    }

    /// rule[data-object]: the view that every function has of the object.
    ///
    /// # Errors
    /// When there is no such object, or it is a table.
    pub fn data_view(&self, data: DataId, rule: Rule) -> Result<View> {
        let object = self.image.data.get(usize::from(data.0)).or_refuse(rule)?;
        let DataKind::Object { mem, mode } = &object.kind else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        Ok(View {
            guards: Vec::new(),
            region: Region::Always,
            mode: *mode,
            base: Base::Data(data),
            offset: Term::ZERO,
            mem: mem.clone(),
        })
    }

    /// Appends a view.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn add_view(&mut self, st: &mut State, view: View) -> Result<()> {
        if st.views.len() >= limits::VIEWS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        self.burn(1)?;
        st.views.push(view);
        Ok(())
    }

    /// rule[borrow]: the entry is set aside in a token; while the token is held, the view is true.
    /// `rd` only comes by weakening.
    pub(crate) fn borrow(&mut self, st: &mut State, entry: u16, mode: Mode) -> Result<()> {
        let rule = Rule::Borrow;
        premise!(mode != Mode::Rd, Error::new(rule, Kind::BadHint));
        let entry = take_entry(st, entry, rule)?;
        let rho = self.fresh(st, Decl::Region)?;
        let view = View {
            guards: entry.guards.clone(),
            region: Region::Var(rho),
            mode,
            base: Base::Name(entry.name),
            offset: entry.offset.clone(),
            mem: entry.mem.clone(),
        };
        self.add_view(st, view)?;
        self.add_cap(st, Cap::Token(rho, entry))
    }

    /// rule[share]: the entry leaves C for good. `rd` only comes by weakening.
    pub(crate) fn share(&mut self, st: &mut State, entry: u16, mode: Mode) -> Result<()> {
        let rule = Rule::Share;
        premise!(mode != Mode::Rd, Error::new(rule, Kind::BadHint));
        let entry = take_entry(st, entry, rule)?;
        let view = View {
            guards: entry.guards,
            region: Region::Always,
            mode,
            base: Base::Name(entry.name),
            offset: entry.offset,
            mem: entry.mem,
        };
        self.add_view(st, view)
    }

    /// rule[region-end]: the entry comes back as it was; if its guard is false by now, nothing
    /// does.
    pub(crate) fn region_end(&mut self, st: &mut State, token: u16) -> Result<()> {
        let rule = Rule::RegionEnd;
        let at = checked(token, st.caps.len(), rule)?;
        let Some(Cap::Token(_, entry)) = st.caps.get(at) else {
            return Err(Error::new(rule, Kind::DeadRegion));
        };
        let back = self.decide_entry(st, &entry.clone())?;
        st.caps.remove(at);
        match back {
            Some(entry) => self.add_cap(st, Cap::Entry(entry)),
            None => Ok(()),
        }
    }

    /// rule[view-weaken]: to `rd`, from any mode; there is no other way between modes.
    pub(crate) fn view_weaken(&mut self, st: &mut State, view: u16) -> Result<()> {
        let view = view_at(st, view, Rule::ViewWeaken)?.clone();
        self.add_view(st, View { mode: Mode::Rd, ..view })
    }

    /// rule[view-part]: elements `from .. from + count` of an array.
    pub(crate) fn view_part(
        &mut self,
        st: &mut State,
        view: u16,
        from: &Term,
        count: &Term,
    ) -> Result<()> {
        let rule = Rule::ViewPart;
        let view = unguarded(st, view, rule)?;
        premise!(self.scoped(st, from, rule));
        premise!(self.scoped(st, count, rule));
        let (size, total) = match &*view.mem {
            Mem::Array(n, element) => (self.element_size(element)?, n),
            Mem::Bytes(n) => (1, n),
            _ => return Err(Error::new(rule, Kind::BadHint)),
        };
        let rest = total.sub(from).and_then(|t| t.sub(count)).or_refuse(rule)?;
        premise!(self.prove_ge(st, from, rule));
        premise!(self.prove_ge(st, count, rule));
        premise!(self.prove_ge(st, &rest, rule));
        let skipped = from.scale(i128::from(size)).or_refuse(rule)?;
        let offset = view.offset.add(&skipped).or_refuse(rule)?;
        let mem = match &*view.mem {
            Mem::Array(_, element) => Mem::Array(count.clone(), element.clone()),
            Mem::Bytes(_) => Mem::Bytes(count.clone()),
            _ => return Err(Error::new(rule, Kind::BadHint)),
        };
        self.add_view(st, View { offset, mem: Rc::new(mem), ..view })
    }

    /// rule[view-part] of `M1 ++ M2`.
    pub(crate) fn view_cat(&mut self, st: &mut State, view: u16, second: bool) -> Result<()> {
        let rule = Rule::ViewPart;
        let view = unguarded(st, view, rule)?;
        let Mem::Cat(a, b) = &*view.mem else { return Err(Error::new(rule, Kind::BadHint)) };
        let (a, b) = (a.clone(), b.clone());
        if !second {
            return self.add_view(st, View { mem: a, ..view });
        }
        let offset = view.offset.add(&self.size(&a)?).or_refuse(rule)?;
        self.add_view(st, View { offset, mem: b, ..view })
    }

    /// rule[view-part]: plain memory as bytes, only to be read.
    pub(crate) fn view_plain(&mut self, st: &mut State, view: u16) -> Result<()> {
        let rule = Rule::ViewPart;
        let view = unguarded(st, view, rule)?;
        premise!(self.plain(&view.mem)?, Error::new(rule, Kind::Capability));
        let mem = Rc::new(Mem::Bytes(self.size(&view.mem)?));
        self.add_view(st, View { mode: Mode::Rd, mem, ..view })
    }

    /// rule[entry-one] on views, both directions.
    pub(crate) fn view_one(&mut self, st: &mut State, view: u16, to_array: bool) -> Result<()> {
        let view = unguarded(st, view, Rule::EntryOne)?;
        let mem = self.one(&view.mem, to_array)?;
        self.add_view(st, View { mem, ..view })
    }

    /// rule[entry-equal] on views.
    pub(crate) fn view_equal(
        &mut self,
        st: &mut State,
        view: u16,
        offset: &Term,
        mem: &Rc<Mem>,
    ) -> Result<()> {
        let rule = Rule::EntryEqual;
        let old = view_at(st, view, rule)?.clone();
        premise!(self.scoped(st, offset, rule));
        premise!(self.wf_mem_in(st, mem));
        let new = View { offset: offset.clone(), mem: mem.clone(), ..old.clone() };
        premise!(self.same_view(st, &old, &new, rule));
        self.add_view(st, new)
    }

    /// rule[view-unfold].
    pub(crate) fn view_unfold(&mut self, st: &mut State, view: u16) -> Result<()> {
        let view = unguarded(st, view, Rule::ViewUnfold)?;
        let mem = self.body(&view.mem, Rule::ViewUnfold)?;
        self.add_view(st, View { mem, ..view })
    }

    /// rule[view-open]: whoever may write through an alias cannot change what mentions the
    /// witnesses (Grossman's problem: redteam A9).
    pub(crate) fn view_open(&mut self, st: &mut State, view: u16) -> Result<()> {
        let rule = Rule::ViewOpen;
        let view = unguarded(st, view, rule)?;
        premise!(self.own.live(view.region, st), Error::new(rule, Kind::DeadRegion));
        let Mem::Ex { body, .. } = &*view.mem else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        let Mem::Struct { fields, .. } = &**body else {
            return Err(Error::new(rule, Kind::IllFormed));
        };
        for field in fields {
            let stable =
                view.mode == Mode::Ro || !field.writable || matches!(field.ty, FieldTy::Own { .. });
            let bound = |v: Var| matches!(v, Var::Bound(_));
            let free = stable || !self.mentions_field(&field.ty, &bound, 0)?;
            premise!(free, Error::new(rule, Kind::Capability));
        }
        let mem = self.open(st, &view.mem, rule)?;
        self.add_view(st, View { mem, ..view })
    }

    /// rule[data-object]: the object's own view among the others, to be cut or weakened.
    pub(crate) fn view_data(&mut self, st: &mut State, data: DataId) -> Result<()> {
        let view = self.data_view(data, Rule::DataObject)?;
        self.add_view(st, view)
    }

    /// `T[args]` to its body.
    pub(crate) fn body(&mut self, mem: &Mem, rule: Rule) -> Result<Rc<Mem>> {
        let Mem::Named(id, args) = mem else { return Err(Error::new(rule, Kind::BadHint)) };
        let named = self.named(*id)?;
        premise!(usize::from(named.arity) == args.len(), Error::new(rule, Kind::IllFormed));
        self.subst_mem(&named.body, Subst::Param(args))
    }

    /// `ex D.Phi.M` to M with new integers for D; Phi holds of them.
    pub(crate) fn open(&mut self, st: &mut State, mem: &Mem, rule: Rule) -> Result<Rc<Mem>> {
        let Mem::Ex { vars, facts, body } = mem else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        let mut witnesses = Vec::with_capacity(usize::from(*vars));
        for _ in 0..*vars {
            witnesses.push(self.fresh_int(st)?);
        }
        for fact in facts {
            let fact = self.subst_fact(fact, Subst::Bound(&witnesses))?;
            self.learn(st, fact.rel, fact.term)?;
        }
        self.subst_mem(body, Subst::Bound(&witnesses))
    }

    /// rule[entry-one]: `arr(1,M)` and M.
    pub(crate) fn one(&mut self, mem: &Rc<Mem>, to_array: bool) -> Result<Rc<Mem>> {
        let rule = Rule::EntryOne;
        if to_array {
            premise!(self.wf_element(mem));
            let array = Rc::new(Mem::Array(Term::int(1), mem.clone()));
            premise!(self.shallow(&array));
            return Ok(array);
        }
        match &**mem {
            Mem::Array(n, element) if holds!(n.as_int() == Some(1)) => Ok(element.clone()),
            _ => Err(Error::new(rule, Kind::BadHint)),
        }
    }
}

/// The view at this position, if it has no guard.
fn unguarded(st: &State, view: u16, rule: Rule) -> Result<View> {
    let view = view_at(st, view, rule)?;
    premise!(view.guards.is_empty(), Error::new(rule, Kind::Capability));
    Ok(view.clone())
}
