//! TCB. Substitution into everything that contains terms and names (rule[term-subst]).
//!
//! Simultaneous by construction: each variable is looked up once, in the source, and what it stands
//! for is not looked at again. The classes of variables cannot capture one another: the values
//! contain `Free` variables only, and no binder binds those.

use super::deeper;
use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::limits;
use crate::term::{Term, Var};
use crate::ty::{
    self, Assertion, Base, Cap, Entry, Fact, Field, FieldTy, Guard, Mem, Post, Region, Sig, View,
    Word,
};
use alloc::vec::Vec;

/// What a variable stands for: an [`crate::hint::Inst`] that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// For `Int`.
    Int(Term),
    /// For `Addr`: base plus offset.
    Addr(Base, Term),
    /// For `Addr`: an integer that was proved to lie in this interval of the name's set.
    Small(Term, i16, i16),
    /// For `Word`.
    Word(Word),
    /// For `Code`.
    Code(Base),
    /// For `Region`.
    Region(Region),
    /// For `Store`: the capabilities themselves.
    Store(Vec<Cap>),
}

/// A simultaneous substitution.
#[derive(Clone, Copy, Debug)]
pub enum Subst<'t> {
    /// `Free(base + i)` by value i; `Free` below `base` stays; beyond the values: refused.
    Free(u16, &'t [Value]),
    /// `Inner(i)` by value i (the signature of a code variable); `Free` stays.
    Inner(&'t [Value]),
    /// `Param(i)` by argument i.
    Param(&'t [Term]),
    /// `Bound(i)` by witness i, not below another `ex`.
    Bound(&'t [Term]),
    /// `Value`.
    Value(&'t Term),
}

/// A guard under a substitution.
enum Fate {
    True,
    False,
    Open(Guard),
}

fn escaped() -> Error {
    Error::new(Rule::TermSubst, Kind::IllFormed)
}

impl<'t> Subst<'t> {
    /// The integer that `v` stands for; `None` when it stays.
    fn int(self, v: Var) -> Result<Option<&'t Term>> {
        match (self, v) {
            (Subst::Param(args), Var::Param(i)) | (Subst::Bound(args), Var::Bound(i)) => {
                args.get(usize::from(i)).map(Some).ok_or_else(escaped)
            }
            (Subst::Value(value), Var::Value) => Ok(Some(value)),
            _ => match self.value(v)? {
                None => Ok(None),
                Some(Value::Int(term)) => Ok(Some(term)),
                Some(_) => Err(escaped()),
            },
        }
    }

    /// What the name, region or store `v` stands for; `None` when it stays.
    fn value(self, v: Var) -> Result<Option<&'t Value>> {
        match (self, v) {
            (Subst::Free(base, values), Var::Free(i)) => match i.checked_sub(base) {
                None => Ok(None),
                Some(own) => values.get(usize::from(own)).map(Some).ok_or_else(escaped),
            },
            (Subst::Inner(values), Var::Inner(i)) => {
                values.get(usize::from(i)).map(Some).ok_or_else(escaped)
            }
            _ => Ok(None),
        }
    }

    /// Is `v` one of those that are replaced?
    fn replaces(self, v: Var) -> bool {
        match (self, v) {
            (Subst::Free(base, _), Var::Free(i)) => i >= base,
            (Subst::Inner(_), Var::Inner(_))
            | (Subst::Param(_), Var::Param(_))
            | (Subst::Bound(_), Var::Bound(_))
            | (Subst::Value(_), Var::Value) => true,
            _ => false,
        }
    }

    /// Where the thing at `base + offset` stands; `None` when the name is an integer.
    fn place(self, base: Base, offset: Term) -> Result<Option<(Base, Term)>> {
        let Base::Name(x) = base else { return Ok(Some((base, offset))) };
        match self.value(x)? {
            None => Ok(Some((base, offset))),
            Some(Value::Addr(to, by)) => {
                Ok(Some((*to, by.add(&offset).or_refuse(Rule::TermSubst)?)))
            }
            Some(Value::Small(..)) => Ok(None),
            Some(_) => Err(escaped()),
        }
    }

    /// A region; only regions may stand for regions.
    fn region(self, region: Region) -> Result<Region> {
        let Region::Var(v) = region else { return Ok(region) };
        match self.value(v)? {
            None => Ok(region),
            Some(Value::Region(to)) => Ok(*to),
            Some(_) => Err(escaped()),
        }
    }

    /// A condition on the name `x`.
    fn on_name(self, x: Var, guard: &Guard, small: Option<(i16, i16)>) -> Result<Fate> {
        match self.value(x)? {
            None => Ok(Fate::Open(guard.clone())),
            Some(Value::Addr(Base::Name(y), _)) => Ok(Fate::Open(match small {
                None => Guard::IsAddress(*y),
                Some((low, high)) => Guard::IsSmall(*y, low, high),
            })),
            Some(Value::Addr(Base::Data(_), _)) => {
                Ok(if small.is_none() { Fate::True } else { Fate::False })
            }
            Some(Value::Small(_, low, high)) => match small {
                None => Ok(Fate::False),
                Some(wanted) if wanted == (*low, *high) => Ok(Fate::True),
                Some((a, b)) if b < *low || *high < a => Ok(Fate::False),
                // Intervals of one name are equal or disjoint (rule[wf-guard]).
                Some(_) => Err(escaped()),
            },
            Some(_) => Err(escaped()),
        }
    }
}

impl<H: Hints> Judge<'_, H> {
    /// rule[term-subst].
    ///
    /// # Errors
    /// When a variable stands for no integer, or the result is no term.
    pub fn subst_term(&mut self, term: &Term, s: Subst) -> Result<Term> {
        self.burn(term.monomials().len())?;
        if let Some(v) = term.as_var() {
            return Ok(s.int(v)?.unwrap_or(term).clone());
        }
        let (mut changes, mut refusal) = (false, Ok(()));
        term.every_var(|v| {
            refusal = s.int(v).map(|value| changes |= value.is_some());
            refusal.is_ok()
        });
        refusal?;
        if !changes {
            return Ok(term.clone());
        }
        term.subst(&|v| s.int(v).ok().flatten()).or_refuse(Rule::TermSubst)
    }

    /// rule[term-subst] in a fact.
    ///
    /// # Errors
    /// As for terms.
    pub fn subst_fact(&mut self, fact: &Fact, s: Subst) -> Result<Fact> {
        self.burn(1)?;
        Ok(Fact { rel: fact.rel, term: self.subst_term(&fact.term, s)? })
    }

    /// rule[term-subst] in facts.
    ///
    /// # Errors
    /// As for terms.
    pub fn subst_facts(&mut self, facts: &[Fact], s: Subst) -> Result<Vec<Fact>> {
        facts.iter().map(|f| self.subst_fact(f, s)).collect()
    }

    /// rule[term-subst] in a word. A pointer may become an integer.
    ///
    /// # Errors
    /// As for terms; a local word never stands for a variable.
    pub fn subst_word(&mut self, word: &Word, s: Subst) -> Result<Word> {
        let rule = Rule::TermSubst;
        self.burn(1)?;
        match word {
            Word::Int(e) => Ok(Word::Int(self.subst_term(e, s)?)),
            Word::Ptr(base, e) => {
                let e = self.subst_term(e, s)?;
                let Base::Name(x) = base else { return Ok(Word::Ptr(*base, e)) };
                Ok(match s.value(*x)? {
                    None => Word::Ptr(*base, e),
                    Some(Value::Addr(to, by) | Value::Word(Word::Ptr(to, by))) => {
                        Word::Ptr(*to, by.add(&e).or_refuse(rule)?)
                    }
                    Some(Value::Code(to)) => Word::Ptr(*to, e),
                    Some(Value::Small(n, ..) | Value::Word(Word::Int(n))) => {
                        Word::Int(n.add(&e).or_refuse(rule)?)
                    }
                    Some(_) => return Err(escaped()),
                })
            }
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => Ok(word.clone()),
        }
    }

    /// rule[term-subst] in a memory type.
    ///
    /// # Errors
    /// As for terms.
    pub fn subst_mem(&mut self, mem: &Rc<Mem>, s: Subst) -> Result<Rc<Mem>> {
        if self.mentions(mem, &|v| s.replaces(v))? {
            self.nodes = limits::NODES;
            self.subst_below(mem, s, 0)
        } else {
            Ok(mem.clone())
        }
    }

    /// Pays for nodes of the type that substitution makes: terms may grow, but no type beyond
    /// [`limits::NODES`].
    fn made(&mut self, nodes: usize) -> Result<()> {
        self.burn(nodes)?;
        self.nodes =
            self.nodes.checked_sub(nodes).ok_or_else(|| Error::new(Rule::Limit, Kind::Limit))?;
        Ok(())
    }

    /// A term inside a type.
    #[inline(never)]
    fn subst_inside(&mut self, term: &Term, s: Subst) -> Result<Term> {
        let term = self.subst_term(term, s)?;
        self.made(term.monomials().len())?;
        Ok(term)
    }

    /// Facts inside a type.
    #[inline(never)]
    fn subst_facts_inside(&mut self, facts: &[Fact], s: Subst) -> Result<Vec<Fact>> {
        self.made(facts.len())?;
        let one = |f: &Fact| Ok(Fact { rel: f.rel, term: self.subst_inside(&f.term, s)? });
        facts.iter().map(one).collect()
    }

    // What calls itself keeps its frame small: what is no more nested stands in other functions.
    fn subst_below(&mut self, mem: &Rc<Mem>, s: Subst, depth: usize) -> Result<Rc<Mem>> {
        let depth = deeper(depth)?;
        self.made(1)?;
        match &**mem {
            Mem::Struct { fields, size } => {
                let mut made = Vec::with_capacity(fields.len());
                for field in fields {
                    made.push(self.subst_field(field, s, depth)?);
                }
                Ok(Rc::new(Mem::Struct { fields: made, size: *size }))
            }
            Mem::Array(n, element) => {
                let element = self.subst_below(element, s, depth)?;
                Ok(Rc::new(Mem::Array(self.subst_inside(n, s)?, element)))
            }
            Mem::Cat(first, second) => {
                let first = self.subst_below(first, s, depth)?;
                let second = self.subst_below(second, s, depth)?;
                Ok(Rc::new(Mem::Cat(first, second)))
            }
            // What is bound further out is not visible below another `ex`.
            Mem::Ex { .. } if matches!(s, Subst::Bound(_)) => Ok(mem.clone()),
            Mem::Ex { vars, facts, body } => {
                let body = self.subst_below(body, s, depth)?;
                let facts = self.subst_facts_inside(facts, s)?;
                Ok(Rc::new(Mem::Ex { vars: *vars, facts, body }))
            }
            Mem::Bytes(n) => Ok(Rc::new(Mem::Bytes(self.subst_inside(n, s)?))),
            Mem::Junk(n) => Ok(Rc::new(Mem::Junk(self.subst_inside(n, s)?))),
            Mem::Zero(n) => Ok(Rc::new(Mem::Zero(self.subst_inside(n, s)?))),
            Mem::Named(id, args) => Ok(Rc::new(Mem::Named(*id, self.subst_args(args, s)?))),
        }
    }

    #[inline(never)]
    fn subst_args(&mut self, args: &[Term], s: Subst) -> Result<Vec<Term>> {
        args.iter().map(|t| self.subst_inside(t, s)).collect()
    }

    fn subst_field(&mut self, field: &Field, s: Subst, depth: usize) -> Result<Field> {
        self.made(1)?;
        let ty = match &field.ty {
            FieldTy::Own { nullable, origin, mem } => {
                let mem = self.subst_below(mem, s, depth)?;
                FieldTy::Own { nullable: *nullable, origin: *origin, mem }
            }
            FieldTy::Ref { nullable, mode, mem } => {
                let mem = self.subst_below(mem, s, depth)?;
                FieldTy::Ref { nullable: *nullable, mode: *mode, mem }
            }
            FieldTy::Int { bits, signed, facts } => {
                let facts = self.subst_facts_inside(facts, s)?;
                FieldTy::Int { bits: *bits, signed: *signed, facts }
            }
            FieldTy::Known(word) => FieldTy::Known(self.subst_known(word, s)?),
            FieldTy::Junk(bytes) => FieldTy::Junk(*bytes),
        };
        Ok(Field { offset: field.offset, writable: field.writable, ty })
    }

    #[inline(never)]
    fn subst_known(&mut self, word: &Word, s: Subst) -> Result<Word> {
        let word = self.subst_word(word, s)?;
        if let Word::Int(term) | Word::Ptr(_, term) = &word {
            self.made(term.monomials().len())?;
        }
        Ok(word)
    }

    /// Guards; `None` when one is false.
    fn subst_guards(&mut self, guards: &[Guard], s: Subst) -> Result<Option<Vec<Guard>>> {
        let mut left = Vec::with_capacity(guards.len());
        let mut gone = false;
        for guard in guards {
            let fate = match guard {
                Guard::Range(term, low, high) => {
                    Fate::Open(Guard::Range(self.subst_term(term, s)?, *low, *high))
                }
                Guard::IsAddress(x) => s.on_name(*x, guard, None)?,
                Guard::IsSmall(x, low, high) => s.on_name(*x, guard, Some((*low, *high)))?,
            };
            match fate {
                Fate::True => {}
                Fate::False => gone = true,
                Fate::Open(guard) => left.push(guard),
            }
        }
        Ok((!gone).then_some(left))
    }

    /// rule[term-subst] in an entry; `None` when a guard is false. What has no false guard stands
    /// at an address: core.md 9.3.
    ///
    /// # Errors
    /// When the name stands for an integer or for what nobody owns.
    pub fn subst_entry(&mut self, entry: &Entry, s: Subst) -> Result<Option<Entry>> {
        self.burn(1)?;
        let Some(guards) = self.subst_guards(&entry.guards, s)? else { return Ok(None) };
        let offset = self.subst_term(&entry.offset, s)?;
        let Some((Base::Name(name), offset)) = s.place(Base::Name(entry.name), offset)? else {
            return Err(escaped());
        };
        let mem = self.subst_mem(&entry.mem, s)?;
        Ok(Some(Entry { guards, name, offset, mem }))
    }

    /// rule[term-subst] in a view; `None` when a guard is false.
    ///
    /// # Errors
    /// When the name stands for an integer or for code.
    pub fn subst_view(&mut self, view: &View, s: Subst) -> Result<Option<View>> {
        self.burn(1)?;
        let Some(guards) = self.subst_guards(&view.guards, s)? else { return Ok(None) };
        let offset = self.subst_term(&view.offset, s)?;
        let Some((base @ (Base::Name(_) | Base::Data(_)), offset)) = s.place(view.base, offset)?
        else {
            return Err(escaped());
        };
        let region = s.region(view.region)?;
        let mem = self.subst_mem(&view.mem, s)?;
        Ok(Some(View { guards, region, mode: view.mode, base, offset, mem }))
    }

    /// Appends what the capability becomes: nothing when a guard is false, and for a store variable
    /// what it stands for.
    ///
    /// # Errors
    /// As for its parts. A token's guards must not become false: its region could not end any more.
    pub fn subst_cap(&mut self, cap: &Cap, s: Subst, out: &mut Vec<Cap>) -> Result<()> {
        match cap {
            Cap::Entry(entry) => out.extend(self.subst_entry(entry, s)?.map(Cap::Entry)),
            Cap::Token(rho, entry) => {
                let Region::Var(rho) = s.region(Region::Var(*rho))? else { return Err(escaped()) };
                let entry = self.subst_entry(entry, s)?.ok_or_else(escaped)?;
                out.push(Cap::Token(rho, entry));
            }
            Cap::Store(store) => match s.value(*store)? {
                None => out.push(cap.clone()),
                Some(Value::Store(caps)) => {
                    self.burn(caps.len())?;
                    out.extend(caps.iter().cloned());
                }
                Some(_) => return Err(escaped()),
            },
        }
        Ok(())
    }

    /// [`Judge::subst_view`] in each; those that guards make absent are left out.
    pub(crate) fn subst_views(&mut self, views: &[View], s: Subst) -> Result<Vec<View>> {
        let mut out = Vec::with_capacity(views.len());
        for view in views {
            out.extend(self.subst_view(view, s)?);
        }
        Ok(out)
    }

    /// [`Judge::subst_cap`] of each.
    pub(crate) fn subst_caps(&mut self, caps: &[Cap], s: Subst) -> Result<Vec<Cap>> {
        let mut out = Vec::with_capacity(caps.len());
        for cap in caps {
            self.subst_cap(cap, s, &mut out)?;
        }
        Ok(out)
    }

    /// rule[term-subst] in a declaration.
    ///
    /// # Errors
    /// As for its parts.
    pub fn subst_kind(&mut self, kind: &ty::Kind, s: Subst) -> Result<ty::Kind> {
        self.burn(1)?;
        Ok(match kind {
            ty::Kind::Addr { set, block: Some(block) } => {
                let extent = self.subst_term(&block.extent, s)?;
                let block = Some(ty::Block { origin: block.origin, extent });
                ty::Kind::Addr { set: *set, block }
            }
            ty::Kind::Code(sig) => ty::Kind::Code(self.subst_sig(sig, s)?),
            ty::Kind::Int(_)
            | ty::Kind::Addr { block: None, .. }
            | ty::Kind::Word
            | ty::Kind::Region
            | ty::Kind::Store => kind.clone(),
        })
    }

    /// rule[term-subst] in a pre-state or post-state. What guards make absent is left out, and a
    /// store variable is replaced by what it stands for.
    ///
    /// # Errors
    /// As for its parts.
    pub fn subst_assertion(&mut self, a: &Assertion, s: Subst) -> Result<Assertion> {
        let mut result =
            Assertion { facts: self.subst_facts(&a.facts, s)?, ..Assertion::default() };
        for (reg, word) in a.regs.iter() {
            result.regs.set(*reg, self.subst_word(word, s)?);
        }
        result.args.clone_from(&a.args);
        for (_, word) in &mut result.args {
            *word = self.subst_word(word, s)?;
        }
        result.views = self.subst_views(&a.views, s)?;
        result.caps = self.subst_caps(&a.caps, s)?;
        Ok(result)
    }

    /// rule[term-subst] in the signature of a code variable; its own `Inner` variables stay.
    ///
    /// # Errors
    /// As for its parts.
    #[inline(never)]
    pub fn subst_sig(&mut self, sig: &Sig, s: Subst) -> Result<Rc<Sig>> {
        let vars = sig.vars.iter().map(|k| self.subst_kind(k, s)).collect::<Result<_>>()?;
        let pre = self.subst_assertion(&sig.pre, s)?;
        let post = match &sig.post {
            None => None,
            Some(post) => Some(Post {
                vars: post.vars.iter().map(|k| self.subst_kind(k, s)).collect::<Result<_>>()?,
                state: self.subst_assertion(&post.state, s)?,
            }),
        };
        Ok(Rc::new(Sig { vars, pre, post }))
    }

    /// Does a variable that satisfies `is` occur in `mem`? `Bound` ones of an inner `ex` do not
    /// count.
    ///
    /// # Errors
    /// When the type is nested too deeply or there is no fuel.
    pub fn mentions(&mut self, mem: &Mem, is: &dyn Fn(Var) -> bool) -> Result<bool> {
        self.mentions_below(mem, is, 0)
    }

    fn mentions_below(
        &mut self,
        mem: &Mem,
        is: &dyn Fn(Var) -> bool,
        depth: usize,
    ) -> Result<bool> {
        let depth = deeper(depth)?;
        self.burn(1)?;
        let term = |t: &Term| !t.every_var(|v| !is(v));
        match mem {
            Mem::Struct { fields, .. } => {
                for field in fields {
                    if self.mentions_field(&field.ty, is, depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mem::Array(n, element) => Ok(term(n) || self.mentions_below(element, is, depth)?),
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => Ok(term(n)),
            Mem::Cat(a, b) => {
                Ok(self.mentions_below(a, is, depth)? || self.mentions_below(b, is, depth)?)
            }
            Mem::Ex { facts, body, .. } => {
                let outer = |v: Var| !matches!(v, Var::Bound(_)) && is(v);
                self.burn(facts.len())?;
                Ok(facts.iter().any(|f| !f.term.every_var(|v| !outer(v)))
                    || self.mentions_below(body, &outer, depth)?)
            }
            Mem::Named(_, args) => Ok(args.iter().any(term)),
        }
    }

    /// As [`Judge::mentions`], of a field.
    ///
    /// # Errors
    /// As there.
    pub fn mentions_field(
        &mut self,
        ty: &FieldTy,
        is: &dyn Fn(Var) -> bool,
        depth: usize,
    ) -> Result<bool> {
        self.burn(1)?;
        match ty {
            FieldTy::Int { facts, .. } => Ok(facts.iter().any(|f| !f.term.every_var(|v| !is(v)))),
            FieldTy::Known(Word::Int(e)) => Ok(!e.every_var(|v| !is(v))),
            FieldTy::Known(Word::Ptr(Base::Name(x), e)) => Ok(is(*x) || !e.every_var(|v| !is(v))),
            FieldTy::Known(Word::Ptr(_, e)) => Ok(!e.every_var(|v| !is(v))),
            FieldTy::Known(_) | FieldTy::Junk(_) => Ok(false),
            FieldTy::Own { mem, .. } | FieldTy::Ref { mem, .. } => {
                self.mentions_below(mem, is, depth)
            }
        }
    }
}
