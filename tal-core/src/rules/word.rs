//! TCB. Words: comparison, and the one place where a word gets a declared type (core.md 4.5, 4.13).

use crate::counted::Rc;
use crate::decode::Width;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Place};
use crate::judge::{Judge, Result};
use crate::mem::{Subst, decided, resolve, scope_of};
use crate::rules::guard::{checked, entry_at};
use crate::state::State;
use crate::term::Var;
use crate::ty::{
    self, Base, Bounds, Cap, Entry, FieldTy, Guard, Mem, Mode, NameSet, OriginId, Region, View,
    Word,
};
use alloc::vec::Vec;

/// Words are known modulo this. Where a word is compared with one that a type or label states, both
/// are the same 64 bits, so the terms may differ by a multiple; what is learnt of a term as a
/// number comes from the range of an `Int` field or a proof, never from such a comparison (redteam
/// c43).
const MODULUS: i128 = 1 << 64;

impl<H: Hints> Judge<'_, H> {
    /// rule[match-word] for two words of which `want` is already instantiated: the only comparison
    /// modulo 2^64.
    ///
    /// # Errors
    /// `rule`.
    pub fn same_word(
        &mut self,
        st: &mut State,
        have: &Word,
        want: &Word,
        rule: Rule,
    ) -> Result<()> {
        let (have, want) = (resolve(st, have)?, resolve(st, want)?);
        let wrong = || Error::new(rule, Kind::WrongWord(have.clone().into()));
        let (a, b) = match (&have, &want) {
            (_, Word::Junk) => return Ok(()),
            (Word::Int(a), Word::Int(b)) => (a, b),
            (Word::Ptr(x, a), Word::Ptr(y, b)) if holds!(x == y) => (a, b),
            (Word::Frame(a), Word::Frame(b)) if holds!(a == b) => return Ok(()),
            (Word::ReturnAddress, Word::ReturnAddress) => return Ok(()),
            (Word::Saved(a), Word::Saved(b)) if holds!(a == b) => return Ok(()),
            (
                Word::Int(_)
                | Word::Ptr(..)
                | Word::Frame(_)
                | Word::ReturnAddress
                | Word::Saved(_)
                | Word::Junk,
                _,
            ) => return refuse!(wrong()),
        };
        let difference = a.sub(b).or_refuse(rule)?;
        match difference.as_int() {
            Some(c) => premise!(c.checked_rem(MODULUS) == Some(0), wrong()),
            None => premise!(self.prove_eq(st, &difference, rule)),
        }
        Ok(())
    }

    /// Takes `wanted` out of C. The hint says which it is; it must be the same, each guard on a
    /// decided name aside, with terms that are identical or proved equal over Z.
    ///
    /// # Errors
    /// `rule`.
    pub fn take(&mut self, st: &mut State, wanted: &Cap, rule: Rule) -> Result<Cap> {
        let at = self.hints.take(st, wanted)?;
        let at = checked(at, st.caps.len(), rule)?;
        let have = st.caps.get(at).or_refuse(rule)?.clone();
        match (&have, wanted) {
            (Cap::Entry(have), Cap::Entry(wanted)) => {
                premise!(self.same_entry(st, have, wanted, rule));
            }
            (Cap::Token(r, have), Cap::Token(s, wanted)) => {
                premise!(r == s, Error::new(rule, Kind::Capability));
                premise!(self.same_entry(st, have, wanted, rule));
            }
            (Cap::Store(r), Cap::Store(s)) => {
                premise!(r == s, Error::new(rule, Kind::Capability));
            }
            (Cap::Entry(_) | Cap::Token(..) | Cap::Store(_), _) => {
                return Err(Error::new(rule, Kind::Capability));
            }
        }
        st.caps.remove(at);
        Ok(have)
    }

    /// `S |- w : tau -| S'`: the word may be put where the type is promised. What an own type
    /// promises leaves C.
    ///
    /// # Errors
    /// The rule of the type.
    pub fn has_type(&mut self, st: &mut State, word: &Word, ty: &FieldTy) -> Result<()> {
        self.gets_type(st, word, ty).map(drop)
    }

    /// As [`Judge::has_type`]; says at which position the entry stood that left C.
    pub(crate) fn gets_type(
        &mut self,
        st: &mut State,
        word: &Word,
        ty: &FieldTy,
    ) -> Result<Option<u16>> {
        let word = &resolve(st, word)?;
        match ty {
            FieldTy::Int { bits, signed, facts } => {
                premise!(self.has_int(st, word, (*bits, *signed), facts, None));
            }
            FieldTy::Known(known) => premise!(self.has_known(st, word, known)),
            FieldTy::Own { nullable: true, .. } | FieldTy::Ref { nullable: true, .. }
                if matches!(word, Word::Int(_)) =>
            {
                premise!(self.has_null(st, word));
            }
            FieldTy::Own { nullable, origin, mem } => {
                return self.has_own(st, word, *nullable, *origin, mem).map(Some);
            }
            FieldTy::Ref { nullable, mode, mem } => {
                premise!(self.has_ref(st, word, *nullable, *mode, mem));
            }
            FieldTy::Junk(_) => return Err(Error::new(Rule::FieldClose, Kind::BadHint)),
        }
        Ok(None)
    }

    /// rule[has-int]. `proved`: a range that the place of the word already guarantees.
    pub(crate) fn has_int(
        &mut self,
        st: &mut State,
        word: &Word,
        range: (u8, bool),
        facts: &[ty::Fact],
        proved: Option<(u8, bool)>,
    ) -> Result<()> {
        let rule = Rule::HasInt;
        let Word::Int(e) = word else {
            return Err(Error::new(rule, Kind::WrongWord(word.clone().into())));
        };
        if range.0 == 64 && facts.is_empty() {
            return Ok(());
        }
        if proved != Some(range) {
            premise!(self.prove_within(st, e, Bounds::of_bits(range.0, range.1), rule));
        }
        for fact in facts {
            let goal = self.subst_fact(fact, Subst::Value(e))?;
            premise!(self.prove(st, &goal, rule));
        }
        Ok(())
    }

    /// rule[has-known].
    fn has_known(&mut self, st: &mut State, word: &Word, known: &Word) -> Result<()> {
        let rule = Rule::HasKnown;
        match known {
            Word::Int(_) | Word::Ptr(..) => self.same_word(st, word, known, rule),
            // Local words are in no type (rule[wf-word-type]).
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => {
                refuse!(Error::new(rule, Kind::IllFormed))
            }
        }
    }

    /// rule[has-null].
    fn has_null(&mut self, st: &mut State, word: &Word) -> Result<()> {
        match word {
            Word::Int(e) => self.prove_eq(st, e, Rule::HasNull),
            _ => refuse!(Error::new(Rule::HasNull, Kind::WrongWord(word.clone().into()))),
        }
    }

    /// rule[has-own]: the entry leaves C.
    fn has_own(
        &mut self,
        st: &mut State,
        word: &Word,
        nullable: bool,
        origin: Option<OriginId>,
        mem: &Rc<Mem>,
    ) -> Result<u16> {
        let rule = Rule::HasOwn;
        let Word::Ptr(Base::Name(x), e) = word else {
            return Err(Error::new(rule, Kind::WrongWord(word.clone().into())));
        };
        let wanted = Entry { guards: Vec::new(), name: *x, offset: e.clone(), mem: mem.clone() };
        let at = self.hints.take(st, &Cap::Entry(wanted.clone()))?;
        let have = entry_at(st, at, rule)?.clone();
        // An entry that exists only where x is an address fits only what may be null.
        let alternative = Entry { guards: [Guard::IsAddress(*x)].into(), ..wanted.clone() };
        let guarded = holds!(nullable) && have.guards == alternative.guards && !decided(st, *x);
        let fits = if guarded { &alternative } else { &wanted };
        premise!(self.same_entry(st, &have, fits, rule));
        premise!(known_but_null(st, *x, nullable, rule));
        if nullable || origin.is_some() {
            let beside = || Error::new(rule, Kind::WrongWord(word.clone().into()));
            premise!(e.as_int() == Some(0), beside());
        }
        if let Some(origin) = origin {
            premise!(self.whole_block(st, *x, origin, mem));
        }
        let place = checked(at, st.caps.len(), rule)?;
        st.caps.remove(place);
        Ok(at)
    }

    /// The claim of x says that `mem` is the whole block.
    fn whole_block(&mut self, st: &mut State, x: Var, origin: OriginId, mem: &Mem) -> Result<()> {
        let rule = Rule::HasOwn;
        let claim = scope_of(st, x).map(|s| &s.kind);
        let Some(ty::Kind::Addr { block: Some(block), .. }) = claim else {
            return Err(Error::new(rule, Kind::Capability));
        };
        premise!(block.origin == origin, Error::new(rule, Kind::Capability));
        let rest = block.extent.sub(&self.size(mem)?).or_refuse(rule)?;
        premise!(self.prove_eq(st, &rest, rule));
        Ok(())
    }

    /// rule[has-ref].
    fn has_ref(
        &mut self,
        st: &mut State,
        word: &Word,
        nullable: bool,
        mode: Mode,
        mem: &Rc<Mem>,
    ) -> Result<()> {
        let rule = Rule::HasRef;
        let Word::Ptr(base, e) = word else {
            return Err(Error::new(rule, Kind::WrongWord(word.clone().into())));
        };
        let mut guards = Vec::new();
        match base {
            Base::Name(x) => {
                premise!(known_but_null(st, *x, nullable, rule));
                if !decided(st, *x) {
                    let beside = || Error::new(rule, Kind::WrongWord(word.clone().into()));
                    premise!(e.as_int() == Some(0), beside());
                    guards.push(Guard::IsAddress(*x));
                }
            }
            Base::Data(_) => {}
            Base::Code(_) => {
                return refuse!(Error::new(rule, Kind::WrongWord(word.clone().into())));
            }
        }
        let (base, offset, mem) = (*base, e.clone(), mem.clone());
        let wanted = View { guards, region: Region::Always, mode, base, offset, mem };
        premise!(self.holds_view(st, &wanted, rule));
        Ok(())
    }

    /// rule[entry-equal] for a word: another term for the same value.
    ///
    /// # Errors
    /// rule[entry-equal].
    pub(crate) fn equal_word(&mut self, st: &mut State, place: Place, word: &Word) -> Result<()> {
        let rule = Rule::EntryEqual;
        let (Word::Int(e) | Word::Ptr(_, e)) = word else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        premise!(self.scoped(st, e, rule));
        let have = match place {
            Place::Reg(reg) => st.reg(reg).clone(),
            Place::Slot(at) => st.slot(at).clone(),
        };
        // Neither an unlisted slot nor rsp holds such a word, so this is never one of them.
        premise!(self.same_word(st, &have, word, rule));
        match place {
            Place::Reg(reg) => self.write_reg(st, reg, Width::W64, word.clone()),
            Place::Slot(at) => self.set_slot(st, at, word.clone()),
        }
    }
}

/// x is an address, or, where null is allowed, an address or null.
fn known_but_null(st: &State, x: Var, nullable: bool, rule: Rule) -> Result<()> {
    let scope = scope_of(st, x).or_refuse(rule)?;
    let name = matches!(scope.kind, ty::Kind::Addr { .. });
    let null = holds!(nullable) && holds!(scope.set == NameSet::NULLABLE);
    premise!(name, Error::new(rule, Kind::Undecided(x)));
    premise!(scope.set.is_address() || null, Error::new(rule, Kind::Undecided(x)));
    Ok(())
}
