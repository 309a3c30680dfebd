//! TCB. Comparison of types, entries, views and signatures: over Z, never modulo 2^64 (core.md 4.5,
//! redteam A23). Types are compared by structure and named types by number; terms may differ, and
//! what they differ by is handed to whoever asked, to be proved zero.

use super::deeper;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{
    self, Assertion, Cap, Entry, Fact, Field, FieldTy, Guard, Mem, Rel, Sig, View, Word,
};
use alloc::vec::Vec;

fn other(rule: Rule) -> Error {
    Error::new(rule, Kind::Capability)
}

impl<H: Hints> Judge<'_, H> {
    /// Equal shapes; what the terms differ by, where they do, is appended to `out`. Below a binder,
    /// and where a signature's own variables occur, terms must be identical.
    ///
    /// # Errors
    /// `rule` when the shapes differ.
    pub fn differ_mem(&mut self, a: &Mem, b: &Mem, rule: Rule, out: &mut Vec<Term>) -> Result<()> {
        self.differ_below(a, b, rule, out, 0)
    }

    fn differ_below(
        &mut self,
        a: &Mem,
        b: &Mem,
        rule: Rule,
        out: &mut Vec<Term>,
        depth: usize,
    ) -> Result<()> {
        let depth = deeper(depth)?;
        self.burn(1)?;
        if core::ptr::eq(a, b) {
            return Ok(());
        }
        match (a, b) {
            (Mem::Struct { fields: f, size: s }, Mem::Struct { fields: g, size: t }) => {
                premise!(s == t, other(rule));
                premise!(f.len() == g.len(), other(rule));
                f.iter().zip(g).try_for_each(|(f, g)| self.differ_field(f, g, rule, out, depth))
            }
            (Mem::Array(n, x), Mem::Array(m, y)) => {
                premise!(self.differ_term(n, m, rule, out));
                self.differ_below(x, y, rule, out, depth)
            }
            (Mem::Bytes(n), Mem::Bytes(m))
            | (Mem::Junk(n), Mem::Junk(m))
            | (Mem::Zero(n), Mem::Zero(m)) => self.differ_term(n, m, rule, out),
            (Mem::Cat(a, x), Mem::Cat(b, y)) => {
                premise!(self.differ_below(a, b, rule, out, depth));
                self.differ_below(x, y, rule, out, depth)
            }
            (Mem::Ex { vars: v, facts: f, body: x }, Mem::Ex { vars: w, facts: g, body: y }) => {
                premise!(v == w, other(rule));
                premise!(self.differ_facts(f, g, rule, out));
                self.differ_below(x, y, rule, out, depth)
            }
            (Mem::Named(i, args), Mem::Named(j, brgs)) => {
                premise!(i == j, other(rule));
                premise!(args.len() == brgs.len(), other(rule));
                args.iter().zip(brgs).try_for_each(|(t, u)| self.differ_term(t, u, rule, out))
            }
            (
                Mem::Struct { .. }
                | Mem::Array(..)
                | Mem::Bytes(_)
                | Mem::Junk(_)
                | Mem::Zero(_)
                | Mem::Cat(..)
                | Mem::Ex { .. }
                | Mem::Named(..),
                _,
            ) => refuse!(other(rule)),
        }
    }

    fn differ_field(
        &mut self,
        a: &Field,
        b: &Field,
        rule: Rule,
        out: &mut Vec<Term>,
        depth: usize,
    ) -> Result<()> {
        premise!(a.offset == b.offset, other(rule));
        premise!(a.writable == b.writable, other(rule));
        self.differ_type(&a.ty, &b.ty, rule, out, depth)
    }

    fn differ_type(
        &mut self,
        a: &FieldTy,
        b: &FieldTy,
        rule: Rule,
        out: &mut Vec<Term>,
        depth: usize,
    ) -> Result<()> {
        self.burn(1)?;
        match (a, b) {
            (
                FieldTy::Int { bits: a, signed: s, facts: f },
                FieldTy::Int { bits: b, signed: t, facts: g },
            ) => {
                premise!(a == b, other(rule));
                premise!(s == t, other(rule));
                self.differ_facts(f, g, rule, out)
            }
            (FieldTy::Known(a), FieldTy::Known(b)) => self.differ_word(a, b, rule, out),
            (
                FieldTy::Own { nullable: a, origin: o, mem: x },
                FieldTy::Own { nullable: b, origin: p, mem: y },
            ) => {
                premise!(a == b, other(rule));
                premise!(o == p, other(rule));
                self.differ_below(x, y, rule, out, depth)
            }
            (
                FieldTy::Ref { nullable: a, mode: o, mem: x },
                FieldTy::Ref { nullable: b, mode: p, mem: y },
            ) => {
                premise!(a == b, other(rule));
                premise!(o == p, other(rule));
                self.differ_below(x, y, rule, out, depth)
            }
            (FieldTy::Junk(a), FieldTy::Junk(b)) => {
                premise!(a == b, other(rule));
                Ok(())
            }
            (
                FieldTy::Int { .. }
                | FieldTy::Known(_)
                | FieldTy::Own { .. }
                | FieldTy::Ref { .. }
                | FieldTy::Junk(_),
                _,
            ) => refuse!(other(rule)),
        }
    }

    /// Words in memory and in signatures: exactly equal, up to what is proved.
    fn differ_word(&mut self, a: &Word, b: &Word, rule: Rule, out: &mut Vec<Term>) -> Result<()> {
        match (a, b) {
            (Word::Int(a), Word::Int(b)) => self.differ_term(a, b, rule, out),
            (Word::Ptr(x, a), Word::Ptr(y, b)) => {
                premise!(x == y, other(rule));
                self.differ_term(a, b, rule, out)
            }
            (Word::Junk, Word::Junk) => Ok(()),
            (Word::Frame(a), Word::Frame(b)) => {
                premise!(a == b, other(rule));
                Ok(())
            }
            (Word::ReturnAddress, Word::ReturnAddress) => Ok(()),
            (Word::Saved(a), Word::Saved(b)) => {
                premise!(a == b, other(rule));
                Ok(())
            }
            (
                Word::Int(_)
                | Word::Ptr(..)
                | Word::Junk
                | Word::Frame(_)
                | Word::ReturnAddress
                | Word::Saved(_),
                _,
            ) => refuse!(other(rule)),
        }
    }

    fn differ_facts(
        &mut self,
        a: &[Fact],
        b: &[Fact],
        rule: Rule,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        premise!(a.len() == b.len(), other(rule));
        for (f, g) in a.iter().zip(b) {
            premise!(f.rel == g.rel, other(rule));
            let flipped = matches!(f.rel, Rel::Eq | Rel::Ne)
                && f.term.add(&g.term).is_ok_and(|sum| sum.as_int() == Some(0));
            if !flipped {
                premise!(self.differ_term(&f.term, &g.term, rule, out));
            }
        }
        Ok(())
    }

    /// Appends `a - b` unless it is zero.
    pub(crate) fn differ_term(
        &mut self,
        a: &Term,
        b: &Term,
        rule: Rule,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        self.burn(a.monomials().len().saturating_add(1))?;
        if a == b {
            return Ok(());
        }
        let difference = a.sub(b).or_refuse(rule)?;
        match difference.as_int() {
            Some(0) => Ok(()),
            Some(_) => refuse!(other(rule)),
            None => {
                let free = difference.every_var(|v| matches!(v, Var::Free(_)));
                premise!(free, other(rule));
                if out.len() >= limits::NODES {
                    return Err(Error::new(Rule::Limit, Kind::Limit));
                }
                out.push(difference);
                Ok(())
            }
        }
    }

    /// The same memory: equal up to what is proved zero.
    ///
    /// # Errors
    /// `rule`.
    pub fn same_mem(&mut self, st: &mut State, have: &Mem, want: &Mem, rule: Rule) -> Result<()> {
        let mut differences = Vec::new();
        premise!(self.differ_mem(have, want, rule, &mut differences));
        self.prove_zero(st, &differences, rule)
    }

    /// The same entry: name, place, guards once those on decided names are dropped, memory.
    ///
    /// # Errors
    /// `rule`.
    pub fn same_entry(
        &mut self,
        st: &mut State,
        have: &Entry,
        want: &Entry,
        rule: Rule,
    ) -> Result<()> {
        premise!(have.name == want.name, other(rule));
        let mut differences = Vec::new();
        premise!(self.differ_term(&have.offset, &want.offset, rule, &mut differences));
        premise!(self.differ_guards(st, &have.guards, &want.guards, rule, &mut differences));
        premise!(self.differ_mem(&have.mem, &want.mem, rule, &mut differences));
        self.prove_zero(st, &differences, rule)
    }

    /// The same view.
    ///
    /// # Errors
    /// `rule`.
    pub fn same_view(
        &mut self,
        st: &mut State,
        have: &View,
        want: &View,
        rule: Rule,
    ) -> Result<()> {
        premise!(have.base == want.base, other(rule));
        premise!(have.region == want.region, other(rule));
        premise!(have.mode == want.mode, other(rule));
        let mut differences = Vec::new();
        premise!(self.differ_term(&have.offset, &want.offset, rule, &mut differences));
        premise!(self.differ_guards(st, &have.guards, &want.guards, rule, &mut differences));
        premise!(self.differ_mem(&have.mem, &want.mem, rule, &mut differences));
        self.prove_zero(st, &differences, rule)
    }

    /// Guards one to one, in any order. Any pairing whose differences are proved will do.
    fn differ_guards(
        &mut self,
        st: &State,
        have: &[Guard],
        want: &[Guard],
        rule: Rule,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        let (mut have, mut want) = (have.to_vec(), want.to_vec());
        let both = self.decide_guards(st, &mut have)? == self.decide_guards(st, &mut want)?;
        // Second to `have.len() == want.len()` in `differ_guards`: a guard that is false is false
        // on both sides, so what exists has none that is the same: it has another number of guards,
        // or one that finds none.
        premise!(both, other(rule));
        premise!(have.len() == want.len(), other(rule));
        self.burn(have.len().saturating_mul(want.len()))?;
        for wanted in &want {
            let same = have.iter().position(|g| g == wanted);
            let close = || have.iter().position(|g| alike(g, wanted));
            let at = same.or_else(close).ok_or(other(rule))?;
            let found = have.remove(at);
            if let (Guard::Range(a, ..), Guard::Range(b, ..)) = (&found, wanted) {
                premise!(self.differ_term(a, b, rule, out));
            }
        }
        Ok(())
    }

    /// The same capability: no difference is proved, for places where facts are not at hand.
    fn identical_cap(&mut self, a: &Cap, b: &Cap, rule: Rule, out: &mut Vec<Term>) -> Result<()> {
        match (a, b) {
            (Cap::Store(r), Cap::Store(s)) => {
                premise!(r == s, other(rule));
                Ok(())
            }
            (Cap::Entry(a), Cap::Entry(b)) => {
                premise!(a.name == b.name, other(rule));
                premise!(a.guards == b.guards, other(rule));
                premise!(self.differ_term(&a.offset, &b.offset, rule, out));
                self.differ_mem(&a.mem, &b.mem, rule, out)
            }
            (Cap::Store(_) | Cap::Entry(_) | Cap::Token(..), _) => refuse!(other(rule)),
        }
    }

    fn identical_view(
        &mut self,
        a: &View,
        b: &View,
        rule: Rule,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        premise!(a.guards == b.guards, other(rule));
        premise!(a.region == b.region, other(rule));
        premise!(a.mode == b.mode, other(rule));
        premise!(a.base == b.base, other(rule));
        premise!(self.differ_term(&a.offset, &b.offset, rule, out));
        self.differ_mem(&a.mem, &b.mem, rule, out)
    }

    fn identical_assertion(
        &mut self,
        a: &Assertion,
        b: &Assertion,
        rule: Rule,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        premise!(self.differ_facts(&a.facts, &b.facts, rule, out));
        premise!(a.regs.len() == b.regs.len(), other(rule));
        for ((i, v), (j, w)) in a.regs.iter().zip(b.regs.iter()) {
            premise!(i == j, other(rule));
            premise!(self.differ_word(v, w, rule, out));
        }
        premise!(a.args.len() == b.args.len(), other(rule));
        for ((i, v), (j, w)) in a.args.iter().zip(&b.args) {
            premise!(i == j, other(rule));
            premise!(self.differ_word(v, w, rule, out));
        }
        premise!(a.views.len() == b.views.len(), other(rule));
        premise!(a.caps.len() == b.caps.len(), other(rule));
        for (v, w) in a.views.iter().zip(&b.views) {
            premise!(self.identical_view(v, w, rule, out));
        }
        a.caps.iter().zip(&b.caps).try_for_each(|(c, d)| self.identical_cap(c, d, rule, out))
    }

    /// Identical signatures of code variables.
    ///
    /// # Errors
    /// `rule`.
    pub fn same_sig(&mut self, a: &Sig, b: &Sig, rule: Rule) -> Result<()> {
        if core::ptr::eq(a, b) {
            return Ok(());
        }
        let out = &mut Vec::new();
        premise!(a.vars.len() == b.vars.len(), other(rule));
        premise!(a.post.is_some() == b.post.is_some(), other(rule));
        for (k, l) in a.vars.iter().zip(&b.vars) {
            premise!(identical_kind(k, l), other(rule));
        }
        premise!(self.identical_assertion(&a.pre, &b.pre, rule, out));
        if let (Some(p), Some(q)) = (&a.post, &b.post) {
            premise!(p.vars.len() == q.vars.len(), other(rule));
            for (k, l) in p.vars.iter().zip(&q.vars) {
                premise!(identical_kind(k, l), other(rule));
            }
            premise!(self.identical_assertion(&p.state, &q.state, rule, out));
        }
        premise!(out.is_empty(), other(rule));
        Ok(())
    }
}

/// Guards that can be equal when their terms are.
fn alike(a: &Guard, b: &Guard) -> bool {
    match (a, b) {
        (Guard::Range(_, i, j), Guard::Range(_, k, l)) => i == k && j == l,
        _ => a == b,
    }
}

/// Code parameters of code parameters do not exist (rule[wf-sig]), so this is shallow.
fn identical_kind(a: &ty::Kind, b: &ty::Kind) -> bool {
    !matches!(a, ty::Kind::Code(_)) && a == b
}
