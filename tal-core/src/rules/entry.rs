//! TCB. Owned entries: cut, join, rename, fold, open, pack (core.md 4.5).
//!
//! Each rule is an entailment of separation logic over memory that does not change. All of them act
//! on entries without guards: what may not exist has no shape.

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Through};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::{Subst, chain, parts};
use crate::rules::guard::{checked, entry_at, entry_mut, view_at};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Cap, Entry, Mem, Rel, TypeId};
use alloc::vec::Vec;

impl<H: Hints> Judge<'_, H> {
    /// Adds to C.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn add_cap(&mut self, st: &mut State, cap: Cap) -> Result<()> {
        if st.caps.len() >= limits::CAPS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        self.burn(1)?;
        st.caps.push(cap);
        Ok(())
    }

    /// rule[size-facts]: of each array part of what stands there for certain. Types behind pointers
    /// and of absent objects say nothing (redteam U12).
    pub(crate) fn size_facts(&mut self, st: &mut State, of: Through) -> Result<()> {
        let rule = Rule::SizeFacts;
        let (guards, mem) = match of {
            Through::Entry(i) => {
                let entry = entry_at(st, i, rule)?;
                (entry.guards.len(), entry.mem.clone())
            }
            Through::View(i) => {
                let view = view_at(st, i, rule)?;
                (view.guards.len(), view.mem.clone())
            }
            Through::Data(_) => return Err(Error::new(rule, Kind::BadHint)),
        };
        premise!(guards == 0, Error::new(rule, Kind::Capability));
        for part in parts(&mem) {
            let (Mem::Array(n, _) | Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n)) = &**part else {
                continue;
            };
            if n.as_int().is_some() {
                continue;
            }
            let size = self.size(part)?;
            let rest = Term::constant_of(limits::OBJECT).and_then(|o| o.sub(&size));
            for bound in [n.clone(), rest.or_refuse(rule)?] {
                let reduced = bound.floor_div(bound.gcd()).or_refuse(rule)?;
                self.learn(st, Rel::Ge, reduced)?;
            }
        }
        Ok(())
    }

    /// rule[entry-split]: after `at` elements or bytes. A piece of no bytes may be made any number
    /// of times, and kept when the rest is gone: nothing can be read through it, it bears witness
    /// of a place only, and no block is empty (rule[import]).
    pub(crate) fn entry_split(&mut self, st: &mut State, entry: u16, at: &Term) -> Result<()> {
        let rule = Rule::EntrySplit;
        premise!(self.scoped(st, at, rule));
        let whole = unguarded(st, entry, rule)?.clone();
        let (n, size) = match &*whole.mem {
            Mem::Array(n, element) => (n, self.element_size(element)?),
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => (n, 1),
            _ => return Err(Error::new(rule, Kind::BadHint)),
        };
        let rest = n.sub(at).or_refuse(rule)?;
        premise!(self.prove_ge(st, at, rule));
        premise!(self.prove_ge(st, &rest, rule));
        let skipped = at.scale(i128::from(size)).or_refuse(rule)?;
        let offset = whole.offset.add(&skipped).or_refuse(rule)?;
        let first = with_count(&whole.mem, at.clone(), rule)?;
        let second = with_count(&whole.mem, rest, rule)?;
        self.add_cap(st, Cap::Entry(Entry { offset, mem: second, ..whole }))?;
        entry_mut(st, entry, rule)?.mem = first;
        Ok(())
    }

    /// rule[entry-split] of `M1 ++ M2`.
    pub(crate) fn entry_split_cat(&mut self, st: &mut State, entry: u16) -> Result<()> {
        let rule = Rule::EntrySplit;
        let whole = unguarded(st, entry, rule)?.clone();
        let Mem::Cat(a, b) = &*whole.mem else { return Err(Error::new(rule, Kind::BadHint)) };
        let (a, b) = (a.clone(), b.clone());
        let offset = whole.offset.add(&self.size(&a)?).or_refuse(rule)?;
        self.add_cap(st, Cap::Entry(Entry { offset, mem: b, ..whole }))?;
        entry_mut(st, entry, rule)?.mem = a;
        Ok(())
    }

    /// rule[entry-join]: pieces of one name that touch. They lie in one object, so their sum is a
    /// size again.
    pub(crate) fn entry_join(&mut self, st: &mut State, first: u16, second: u16) -> Result<()> {
        let rule = Rule::EntryJoin;
        let (a, b) = (unguarded(st, first, rule)?.clone(), unguarded(st, second, rule)?.clone());
        premise!(first != second, Error::new(rule, Kind::BadHint));
        premise!(a.name == b.name, Error::new(rule, Kind::BadHint));
        let between = b.offset.sub(&a.offset).or_refuse(rule)?;
        let gap = between.sub(&self.size(&a.mem)?).or_refuse(rule)?;
        premise!(gap.as_int() == Some(0), Error::new(rule, Kind::Capability));
        let mem = self.joined(&a.mem, &b.mem)?;
        premise!(self.shallow(&mem));
        entry_mut(st, first, rule)?.mem = mem;
        let second = checked(second, st.caps.len(), rule)?;
        st.caps.remove(second);
        Ok(())
    }

    /// `a ++ b`, where they meet merged if they are of one kind.
    fn joined(&mut self, a: &Rc<Mem>, b: &Rc<Mem>) -> Result<Rc<Mem>> {
        let mut all: Vec<Rc<Mem>> = parts(a).cloned().collect();
        let mut rest = parts(b).cloned();
        self.burn(all.len())?;
        if let (Some(left), Some(right)) = (all.pop(), rest.next()) {
            match self.merged(&left, &right)? {
                Some(both) => all.push(Rc::new(both)),
                None => all.extend([left, right]),
            }
        }
        all.extend(rest);
        chain(all)
    }

    /// Two neighbours of one kind as one.
    fn merged(&mut self, a: &Mem, b: &Mem) -> Result<Option<Mem>> {
        let rule = Rule::EntryJoin;
        let sum = |n: &Term, m: &Term| n.add(m).or_refuse(rule);
        Ok(match (a, b) {
            (Mem::Bytes(n), Mem::Bytes(m)) => Some(Mem::Bytes(sum(n, m)?)),
            (Mem::Junk(n), Mem::Junk(m)) => Some(Mem::Junk(sum(n, m)?)),
            (Mem::Zero(n), Mem::Zero(m)) => Some(Mem::Zero(sum(n, m)?)),
            (Mem::Array(n, x), Mem::Array(m, y)) => {
                let mut differences = Vec::new();
                let alike = self.differ_mem(x, y, rule, &mut differences);
                match alike {
                    Ok(()) if holds!(differences.is_empty()) => {
                        Some(Mem::Array(sum(n, m)?, x.clone()))
                    }
                    Err(e) if e.rule == Rule::Limit => return Err(e),
                    Ok(()) | Err(_) => None,
                }
            }
            _ => None,
        })
    }

    /// rule[entry-one].
    pub(crate) fn entry_one(&mut self, st: &mut State, entry: u16, to_array: bool) -> Result<()> {
        let rule = Rule::EntryOne;
        let mem = unguarded(st, entry, rule)?.mem.clone();
        let mem = self.one(&mem, to_array)?;
        entry_mut(st, entry, rule)?.mem = mem;
        Ok(())
    }

    /// rule[entry-equal]: other terms, proved equal.
    pub(crate) fn entry_equal(
        &mut self,
        st: &mut State,
        entry: u16,
        offset: &Term,
        mem: &Rc<Mem>,
    ) -> Result<()> {
        let rule = Rule::EntryEqual;
        let old = unguarded(st, entry, rule)?.clone();
        premise!(self.scoped(st, offset, rule));
        premise!(self.wf_mem_in(st, mem));
        let new = Entry { offset: offset.clone(), mem: mem.clone(), ..old.clone() };
        premise!(self.same_entry(st, &old, &new, rule));
        *entry_mut(st, entry, rule)? = new;
        Ok(())
    }

    /// rule[entry-unfold].
    pub(crate) fn entry_unfold(&mut self, st: &mut State, entry: u16) -> Result<()> {
        let rule = Rule::EntryUnfold;
        let mem = unguarded(st, entry, rule)?.mem.clone();
        let mem = self.body(&mem, rule)?;
        entry_mut(st, entry, rule)?.mem = mem;
        Ok(())
    }

    /// rule[entry-fold].
    pub(crate) fn entry_fold(
        &mut self,
        st: &mut State,
        entry: u16,
        id: TypeId,
        args: &[Term],
    ) -> Result<()> {
        let rule = Rule::EntryFold;
        let have = unguarded(st, entry, rule)?.mem.clone();
        premise!(self.wf_args(st, id, args));
        let named = Rc::new(Mem::Named(id, args.to_vec()));
        let body = self.body(&named, rule)?;
        premise!(self.same_mem(st, &have, &body, rule));
        entry_mut(st, entry, rule)?.mem = named;
        Ok(())
    }

    /// rule[entry-open]: always new variables (trap 86).
    pub(crate) fn entry_open(&mut self, st: &mut State, entry: u16) -> Result<()> {
        let rule = Rule::EntryOpen;
        let mem = unguarded(st, entry, rule)?.mem.clone();
        let mem = self.open(st, &mem, rule)?;
        entry_mut(st, entry, rule)?.mem = mem;
        Ok(())
    }

    /// rule[entry-pack]: what is there now is the body for these witnesses, and the facts hold of
    /// them (trap 87).
    pub(crate) fn entry_pack(
        &mut self,
        st: &mut State,
        entry: u16,
        package: &Rc<Mem>,
        witnesses: &[Term],
    ) -> Result<()> {
        let rule = Rule::EntryPack;
        let have = unguarded(st, entry, rule)?.mem.clone();
        premise!(self.wf_mem_in(st, package));
        premise!(witnesses.iter().try_for_each(|w| self.scoped(st, w, rule)));
        let Mem::Ex { vars, facts, body } = &**package else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        premise!(usize::from(*vars) == witnesses.len(), Error::new(rule, Kind::BadHint));
        for fact in facts {
            let goal = self.subst_fact(fact, Subst::Bound(witnesses))?;
            premise!(self.prove(st, &goal, rule));
        }
        let wanted = self.subst_mem(body, Subst::Bound(witnesses))?;
        premise!(self.same_mem(st, &have, &wanted, rule));
        entry_mut(st, entry, rule)?.mem = package.clone();
        Ok(())
    }

    /// rule[entry-leak]: an entry, a token (its region is over, its memory lost), a store.
    pub(crate) fn entry_leak(&mut self, st: &mut State, cap: u16) -> Result<()> {
        let at = checked(cap, st.caps.len(), Rule::EntryLeak)?;
        st.caps.remove(at);
        Ok(())
    }
}

/// The entry at this position, if it has no guard.
pub(crate) fn unguarded(st: &State, entry: u16, rule: Rule) -> Result<&Entry> {
    let entry = entry_at(st, entry, rule)?;
    premise!(entry.guards.is_empty(), Error::new(rule, Kind::Capability));
    Ok(entry)
}

/// The same kind of memory with another count.
fn with_count(mem: &Mem, n: Term, rule: Rule) -> Result<Rc<Mem>> {
    Ok(Rc::new(match mem {
        Mem::Array(_, element) => Mem::Array(n, element.clone()),
        Mem::Bytes(_) => Mem::Bytes(n),
        Mem::Junk(_) => Mem::Junk(n),
        Mem::Zero(_) => Mem::Zero(n),
        Mem::Struct { .. } | Mem::Cat(..) | Mem::Ex { .. } | Mem::Named(..) => {
            return Err(Error::new(rule, Kind::BadHint));
        }
    }))
}
