//! TCB. Rep and string rows (core.md 4.9). All of them go up: the direction flag is clear at every
//! entry, and no row sets it (trap 63).
//!
//! The count is an integer that is proved not negative and to fit the memory, so it is the count
//! the processor sees (trap 64). Memory is plain, so no type changes by copying pieces of it (U13,
//! U14).

use crate::decode::Width;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::mem::{decided, resolve};
use crate::rules::flags::clear_flags;
use crate::rules::memory::Address;
use crate::rules::operand::{Out, reg_word};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Base, Mem, Reg, Rel, Word};
use alloc::boxed::Box;

impl<H: Hints> Judge<'_, H> {
    /// rule[row-rep-movs]: `width` is 1 or 8.
    ///
    /// # Errors
    /// When source or destination is not plain memory over the whole range.
    pub fn rep_movs(&mut self, st: &mut State, width: u8) -> Result<()> {
        let rule = Rule::RowRepMovs;
        let to = self.string_pointer(st, Reg::Rdi, rule)?;
        let from = self.string_pointer(st, Reg::Rsi, rule)?;
        let bytes = self.count(st, width, rule)?;
        premise!(self.plain_range(st, (from.0, &from.1), &bytes, rule));
        self.written_range(st, (to.0, &to.1), &bytes, Mem::Bytes(bytes.clone()), rule)?;
        self.advance(st, Reg::Rdi, to, &bytes, rule)?;
        self.advance(st, Reg::Rsi, from, &bytes, rule)?;
        self.write_reg(st, Reg::Rcx, Width::W64, Word::Int(Term::ZERO))
    }

    /// rule[row-rep-stos]: zeroes make an entry of exactly this range `zero`.
    ///
    /// # Errors
    /// When rax is not public or the destination is not plain memory over the whole range.
    pub fn rep_stos(&mut self, st: &mut State, width: u8) -> Result<()> {
        let rule = Rule::RowRepStos;
        let to = self.string_pointer(st, Reg::Rdi, rule)?;
        let value = public(st, Reg::Rax, rule)?;
        let bytes = self.count(st, width, rule)?;
        let modulus = if width == 1 { 1_i128 << 8 } else { 1_i128 << 64 };
        let zero = value.as_int().is_some_and(|c| c.checked_rem_euclid(modulus) == Some(0));
        let becomes = if zero { Mem::Zero } else { Mem::Bytes };
        self.written_range(st, (to.0, &to.1), &bytes, becomes(bytes.clone()), rule)?;
        self.advance(st, Reg::Rdi, to, &bytes, rule)?;
        self.write_reg(st, Reg::Rcx, Width::W64, Word::Int(Term::ZERO))
    }

    /// rule[row-string], `lodsb`: `mov al,[rsi]`, then rsi goes on.
    ///
    /// # Errors
    /// As for a load.
    pub fn lodsb(&mut self, st: &mut State) -> Result<()> {
        let rule = Rule::RowString;
        let (base, e) = self.string_pointer(st, Reg::Rsi, rule)?;
        let word = self.load(st, &Address::Mem(base, e.clone()), 1)?;
        self.write(st, Reg::Rax, Width::W8, Out::word(word))?;
        self.advance(st, Reg::Rsi, (base, e), &Term::int(1), rule)
    }

    /// rule[row-rep-stos] once, `stosb`: `mov [rdi],al`, then rdi goes on.
    ///
    /// # Errors
    /// As for a store.
    pub fn stosb(&mut self, st: &mut State) -> Result<()> {
        let rule = Rule::RowString;
        let (base, e) = self.string_pointer(st, Reg::Rdi, rule)?;
        let value = Word::Int(public(st, Reg::Rax, rule)?);
        self.store(st, &Address::Mem(base, e.clone()), 1, &value)?;
        self.advance(st, Reg::Rdi, (base, e), &Term::int(1), rule)
    }

    /// rule[row-rep-movs] once, `movsb`: one byte from [rsi] to [rdi], then both go on.
    ///
    /// # Errors
    /// As for a load and a store.
    pub fn movsb(&mut self, st: &mut State) -> Result<()> {
        let rule = Rule::RowString;
        let from = self.string_pointer(st, Reg::Rsi, rule)?;
        let to = self.string_pointer(st, Reg::Rdi, rule)?;
        let word = self.load(st, &Address::Mem(from.0, from.1.clone()), 1)?;
        self.store(st, &Address::Mem(to.0, to.1.clone()), 1, &word)?;
        self.advance(st, Reg::Rsi, from, &Term::int(1), rule)?;
        self.advance(st, Reg::Rdi, to, &Term::int(1), rule)
    }

    /// rule[row-string], `repe cmpsb`: how far it gets is not known, so what it leaves is fresh;
    /// no flag is readable, for with count 0 the old ones stay.
    ///
    /// # Errors
    /// When the memory is not plain over the whole range.
    pub fn repe_cmpsb(&mut self, st: &mut State) -> Result<()> {
        let rule = Rule::RowString;
        let left = self.string_pointer(st, Reg::Rsi, rule)?;
        let right = self.string_pointer(st, Reg::Rdi, rule)?;
        let count = self.count(st, 1, rule)?;
        premise!(self.plain_range(st, (left.0, &left.1), &count, rule));
        premise!(self.plain_range(st, (right.0, &right.1), &count, rule));
        let done = self.scanned(st, &count, rule)?;
        self.advance(st, Reg::Rsi, left, &done, rule)?;
        self.advance(st, Reg::Rdi, right, &done, rule)
    }

    /// rule[row-string], `repne scasb`: as `repe cmpsb`, against al.
    ///
    /// # Errors
    /// When al is not public or the memory is not plain over the whole range.
    pub fn repne_scasb(&mut self, st: &mut State) -> Result<()> {
        let rule = Rule::RowString;
        let place = self.string_pointer(st, Reg::Rdi, rule)?;
        premise!(public(st, Reg::Rax, rule).map(drop));
        let count = self.count(st, 1, rule)?;
        premise!(self.plain_range(st, (place.0, &place.1), &count, rule));
        let done = self.scanned(st, &count, rule)?;
        self.advance(st, Reg::Rdi, place, &done, rule)
    }

    /// rcx becomes a fresh integer between 0 and the count; the bytes done are the rest.
    fn scanned(&mut self, st: &mut State, count: &Term, rule: Rule) -> Result<Term> {
        let left = self.fresh_int(st)?;
        let done = count.sub(&left).or_refuse(rule)?;
        self.learn(st, Rel::Ge, left.clone())?;
        self.learn(st, Rel::Ge, done.clone())?;
        self.write_reg(st, Reg::Rcx, Width::W64, Word::Int(left))?;
        forget!(clear_flags(st));
        Ok(done)
    }

    /// What rdi or rsi points to: memory, never a slot.
    fn string_pointer(&mut self, st: &State, reg: Reg, rule: Rule) -> Result<(Base, Term)> {
        match resolve(st, reg_word(st, reg))? {
            Word::Ptr(base @ Base::Data(_), e) => Ok((base, e)),
            Word::Ptr(base @ Base::Name(x), e) if holds!(decided(st, x)) => Ok((base, e)),
            word => Err(Error::new(rule, Kind::WrongRegister(reg, Box::new(word)))),
        }
    }

    /// rcx times the width, in bytes; not negative.
    fn count(&mut self, st: &mut State, width: u8, rule: Rule) -> Result<Term> {
        let count = public(st, Reg::Rcx, rule)?;
        premise!(self.prove_ge(st, &count, rule));
        count.scale(i128::from(width)).or_refuse(rule)
    }

    fn advance(
        &mut self,
        st: &mut State,
        reg: Reg,
        (base, e): (Base, Term),
        by: &Term,
        rule: Rule,
    ) -> Result<()> {
        let e = e.add(by).or_refuse(rule)?;
        self.write_reg(st, reg, Width::W64, Word::Ptr(base, e))
    }
}

/// The term of a register that must be public.
fn public(st: &State, reg: Reg, rule: Rule) -> Result<Term> {
    match resolve(st, reg_word(st, reg))? {
        Word::Int(e) => Ok(e),
        word => Err(Error::new(rule, Kind::WrongRegister(reg, Box::new(word)))),
    }
}
