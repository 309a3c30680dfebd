//! TCB. Reading operands and writing results (core.md 4.8): the only functions that write a
//! register, except for rsp in `stack.rs`.

use crate::decode::{Rm, Src, Width};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Place, Seen};
use crate::judge::{Judge, Result};
use crate::prove::lies_within;
use crate::rules::memory::Address;
use crate::state::State;
use crate::term::Term;
use crate::ty::{Bounds, Reg, Word, range};

/// How a term stands for the operand's bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Congruent to them modulo 2^width.
    Any,
    /// Equal to them read as an unsigned number.
    Unsigned,
    /// Equal to them read as a signed number.
    Signed,
}

/// What a row computed, before it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Out {
    /// The result at the operand width.
    pub word: Word,
    /// It is an integer that the rule has shown to be in the unsigned range of the width.
    pub ranged: bool,
}

impl Out {
    /// A word of which no range is known.
    pub(super) fn word(word: Word) -> Out {
        Out { word, ranged: false }
    }

    /// An integer, congruent.
    pub(super) fn int(term: Term) -> Out {
        Out { word: Word::Int(term), ranged: false }
    }

    /// An integer in the unsigned range of the operand width.
    pub(super) fn unsigned(term: Term) -> Out {
        Out { word: Word::Int(term), ranged: true }
    }

    /// rule[public-default]: the result of sources that are not public.
    pub(super) fn junk() -> Out {
        Out { word: Word::Junk, ranged: false }
    }
}

/// A destination whose address was computed in the old state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Dest {
    /// Register.
    Reg(Reg),
    /// Memory or slot.
    At(Address),
}

/// The word of a register.
#[must_use]
pub fn reg_word(state: &State, reg: Reg) -> &Word {
    state.reg(reg)
}

/// rule[write-64], where nothing has to be computed.
#[inline(always)]
pub(super) fn write_64(state: &mut State, reg: Reg, word: Word) -> Result<()> {
    premise!(reg != Reg::Rsp, moves(reg, word));
    state.set_reg(reg, word);
    Ok(())
}

/// rsp is moved by no such row.
fn moves(reg: Reg, word: Word) -> Error {
    Error::new(Rule::StackMove, Kind::WrongRegister(reg, alloc::boxed::Box::new(word)))
}

/// The number congruent to `c` modulo 2^bits in the unsigned or signed range.
#[must_use]
pub fn wrap(c: i128, bits: u8, signed: bool) -> i128 {
    let (low, high) = range(bits, signed);
    let modulus = 1_i128 << bits.clamp(1, 64);
    // The remainder by a power of two: its lowest bits.
    let rest = c & modulus.saturating_sub(1);
    if rest > high { rest.saturating_sub(modulus).max(low) } else { rest }
}

impl<H: Hints> Judge<'_, H> {
    /// The word of a source at this width; memory is loaded.
    #[inline(always)]
    pub(super) fn source(&mut self, state: &mut State, src: &Src, width: Width) -> Result<Word> {
        match src {
            Src::Imm(c) => Ok(Word::Int(Term::int(*c))),
            Src::Reg(r) => Ok(reg_word(state, *r).clone()),
            Src::Mem(ea) => {
                let at = self.address(state, ea.base, ea.index, ea.disp)?;
                self.load(state, &at, width.bytes())
            }
        }
    }

    /// The destination of a first operand.
    pub(super) fn dest(&mut self, state: &State, rm: &Rm) -> Result<Dest> {
        match rm {
            Rm::Reg(r) => Ok(Dest::Reg(*r)),
            Rm::Mem(ea) => Ok(Dest::At(self.address(state, ea.base, ea.index, ea.disp)?)),
        }
    }

    /// The old word of a destination.
    pub(super) fn old(&mut self, state: &mut State, dest: &Dest, width: Width) -> Result<Word> {
        match dest {
            Dest::Reg(r) => Ok(reg_word(state, *r).clone()),
            Dest::At(at) => self.load(state, at, width.bytes()),
        }
    }

    /// Writes a result. Memory takes what is public, or a pointer at 64 bits; the rest is for
    /// `mov` to a slot only, which does not come this way.
    pub(super) fn put(
        &mut self,
        state: &mut State,
        dest: &Dest,
        width: Width,
        out: Out,
    ) -> Result<()> {
        match (dest, &out.word) {
            (Dest::Reg(r), _) => self.write(state, *r, width, out),
            (Dest::At(at), Word::Int(_)) => self.store(state, at, width.bytes(), &out.word),
            (Dest::At(at), Word::Ptr(..)) if holds!(width == Width::W64) => {
                self.store(state, at, width.bytes(), &out.word)
            }
            (Dest::At(_), word) => {
                let kind = Kind::WrongWord(alloc::boxed::Box::new(word.clone()));
                refuse!(Error::new(Rule::PublicDefault, kind))
            }
        }
    }

    /// rule[operand-read]: a term for the low `width` bits of a public word, `None` for any other
    /// word. A constant is brought into the range; other terms are proved in range or read as
    /// fresh.
    ///
    /// # Errors
    /// When the hints claim a range that is not proved.
    pub fn read(
        &mut self,
        state: &mut State,
        word: &Word,
        width: Width,
        manner: Manner,
    ) -> Result<Option<Term>> {
        let Word::Int(term) = word else { return Ok(None) };
        let signed = match manner {
            Manner::Any => return Ok(Some(term.clone())),
            Manner::Unsigned => false,
            Manner::Signed => true,
        };
        self.in_range(state, term, width.bits(), signed).map(Some)
    }

    /// A term in the range that is congruent to `term` modulo 2^bits.
    pub(super) fn in_range(
        &mut self,
        state: &mut State,
        term: &Term,
        bits: u8,
        signed: bool,
    ) -> Result<Term> {
        if let Some(c) = term.as_int() {
            return Term::constant_of(wrap(c, bits, signed)).or_refuse(Rule::OperandRead);
        }
        if self.is_in_range(state, term, (bits, signed), Rule::OperandRead)? {
            return Ok(term.clone());
        }
        self.fresh_in(state, bits, signed)
    }

    /// Is the term in the range: by bounds, or as the hints say and a certificate proves?
    fn is_in_range(
        &mut self,
        state: &mut State,
        term: &Term,
        (bits, signed): (u8, bool),
        rule: Rule,
    ) -> Result<bool> {
        let range = Bounds::of_bits(bits, signed);
        if lies_within(state, term, range) {
            self.hints.seen(state, Seen::InRange(term));
            return Ok(true);
        }
        let claimed = self.hints.in_range(state, term, bits, signed)?;
        if claimed {
            premise!(self.prove_ends(state, term, range, rule));
        }
        Ok(claimed)
    }

    /// A fresh integer in the range.
    pub(super) fn fresh_in(&mut self, state: &mut State, bits: u8, signed: bool) -> Result<Term> {
        self.fresh_within(state, Bounds::of_bits(bits, signed))
    }

    /// Writes a word of which only congruence modulo 2^width is known, if it is an integer.
    ///
    /// # Errors
    /// For rsp; when a hint is wrong.
    pub fn write_reg(
        &mut self,
        state: &mut State,
        reg: Reg,
        width: Width,
        word: Word,
    ) -> Result<()> {
        self.write(state, reg, width, Out::word(word))
    }

    /// rule[write-64], rule[write-32], rule[write-part]: the one writer of registers other than
    /// rsp, which moves by the rules of the stack only (trap 112).
    #[inline(always)]
    pub(super) fn write(
        &mut self,
        state: &mut State,
        reg: Reg,
        width: Width,
        out: Out,
    ) -> Result<()> {
        premise!(reg != Reg::Rsp, moves(reg, out.word));
        let word = match width {
            Width::W64 => out.word,
            Width::W32 => self.low_half(state, out)?,
            Width::W16 | Width::W8 => self.low_part(state, reg, width, out)?,
        };
        state.set_reg(reg, word);
        Ok(())
    }

    /// rule[write-32]: the upper half becomes zero, whatever the row says of the value (traps 1,
    /// 5).
    fn low_half(&mut self, state: &mut State, out: Out) -> Result<Word> {
        match out.word {
            Word::Int(term) if out.ranged => Ok(Word::Int(term)),
            Word::Int(term) => Ok(Word::Int(self.in_range(state, &term, 32, false)?)),
            _ => Ok(Word::Junk),
        }
    }

    /// rule[write-part]: the upper bits stay, so the word is known only if they were zero.
    fn low_part(&mut self, state: &mut State, reg: Reg, width: Width, out: Out) -> Result<Word> {
        let bits = width.bits();
        let (Word::Int(old), Word::Int(value)) = (reg_word(state, reg).clone(), out.word) else {
            return Ok(Word::Junk);
        };
        let upper_zero = match old.as_int() {
            Some(c) => holds!((0..1_i128 << bits).contains(&c)),
            None => self.is_in_range(state, &old, (bits, false), Rule::WritePart)?,
        };
        let value = match (upper_zero, out.ranged) {
            (false, _) => self.fresh_in(state, 64, false)?,
            (true, true) => value,
            (true, false) => self.in_range(state, &value, bits, false)?,
        };
        Ok(Word::Int(value))
    }

    /// rule[renorm]: the word of the place is congruent to a fresh integer in range.
    ///
    /// # Errors
    /// When the place holds no integer.
    pub fn renorm(&mut self, state: &mut State, place: Place, signed: bool) -> Result<()> {
        let refuse = Error::new(Rule::Renorm, Kind::BadHint);
        let is_int = |w: &Word| matches!(w, Word::Int(_));
        let holds = match place {
            Place::Reg(r) => is_int(reg_word(state, r)),
            Place::Slot(at) => is_int(state.slot(at)),
        };
        premise!(holds, refuse);
        let word = Word::Int(self.fresh_in(state, 64, signed)?);
        match place {
            Place::Reg(r) => self.write(state, r, Width::W64, Out::word(word)),
            Place::Slot(at) => self.set_slot(state, at, word),
        }
    }
}
