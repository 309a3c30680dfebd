//! TCB. Rows that move words (core.md 4.9): mov, movzx, movsx, cdq, lea, xchg.

use crate::decode::{Ea, Rm, Src, Width, decode};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::rules::operand::{Manner, Out, reg_word, write_64};
use crate::state::State;
use crate::term::Term;
use crate::ty::{Base, FnId, Reg, Word};

impl<H: Hints> Judge<'_, H> {
    /// rule[row-mov]. `mov rsp,rbp` is a stack-move.
    pub(super) fn row_mov(
        &mut self,
        state: &mut State,
        width: Width,
        dst: &Rm,
        src: &Src,
    ) -> Result<()> {
        match dst {
            Rm::Reg(r) => {
                let word = self.source(state, src, width)?;
                match (*r, src, width) {
                    (Reg::Rsp, Src::Reg(Reg::Rbp), Width::W64) => self.move_to_frame(state, word),
                    (reg, _, Width::W64) => write_64(state, reg, word),
                    (reg, ..) => self.write(state, reg, width, Out::word(word)),
                }
            }
            Rm::Mem(ea) => {
                let at = self.address(state, ea.base, ea.index, ea.disp)?;
                let word = self.source(state, src, width)?;
                // Any word may go to a slot; what memory takes is the store's business.
                self.store(state, &at, width.bytes(), &word)
            }
        }
    }

    /// rsp := a frame word.
    fn move_to_frame(&mut self, state: &mut State, word: Word) -> Result<()> {
        match word {
            Word::Frame(k) => self.stack_move(state, k),
            word => {
                let kind = Kind::WrongRegister(Reg::Rsp, alloc::boxed::Box::new(word));
                refuse!(Error::new(Rule::StackMove, kind))
            }
        }
    }

    /// rule[row-movzx], rule[row-movsx]: also `cdqe`, `cwde`.
    pub(super) fn row_extend(
        &mut self,
        state: &mut State,
        (to, dst): (Width, Reg),
        (from, src): (Width, &Rm),
        signed: bool,
    ) -> Result<()> {
        let word = self.source(state, &Src::from(*src), from)?;
        let manner = if signed { Manner::Signed } else { Manner::Unsigned };
        let out = match self.read(state, &word, from, manner)? {
            // An unsigned number of fewer bits is in the unsigned range of more bits.
            Some(term) => Out { word: Word::Int(term), ranged: !signed },
            None => Out::junk(),
        };
        self.write(state, dst, to, out)
    }

    /// rule[row-cdq]: rdx := the sign copy h of rax; h is -1 or 0 by its two facts. In 32 bits the
    /// upper half of rdx becomes zero: the word is (1 - 2^32) h, which is 2^32 - 1 or 0.
    pub(super) fn row_sign_copy(&mut self, state: &mut State, width: Width) -> Result<()> {
        let rule = Rule::RowCdq;
        let word = reg_word(state, Reg::Rax).clone();
        let Some(a) = self.read(state, &word, width, Manner::Signed)? else {
            return self.write(state, Reg::Rdx, width, Out::junk());
        };
        let h = match a.as_int() {
            Some(c) => Term::int(if c < 0 { -1 } else { 0 }),
            None => {
                let h = self.fresh_between(state, -1, 0)?;
                self.learn_floor(state, &a, &h, width.bits().saturating_sub(1), rule)?;
                h
            }
        };
        let out = match width {
            Width::W32 => Out::unsigned(h.scale(1 - (1 << 32)).or_refuse(rule)?),
            Width::W64 => Out::int(h),
            Width::W8 | Width::W16 => Out::junk(),
        };
        self.write(state, Reg::Rdx, width, out)
    }

    /// rule[row-lea]. `lea rsp,[rsp+c]` and `lea rsp,[rbp+c]` are stack-moves.
    pub(super) fn row_lea(
        &mut self,
        state: &mut State,
        width: Width,
        dst: Reg,
        ea: &Ea,
    ) -> Result<()> {
        let word = self.lea_word(state, ea)?;
        let in_frame = matches!(ea.base, Some(Reg::Rsp | Reg::Rbp)) && ea.index.is_none();
        if dst == Reg::Rsp && width == Width::W64 && in_frame {
            return self.move_to_frame(state, word);
        }
        self.write(state, dst, width, Out::word(word))
    }

    /// The word of an address: a sum of integers, or of one unscaled pointer or frame word and
    /// integers. Everything else is unreadable.
    fn lea_word(&mut self, state: &mut State, ea: &Ea) -> Result<Word> {
        let disp = Term::int(ea.disp);
        let base = ea.base.map(|r| reg_word(state, r).clone());
        let index = ea.index.map(|(r, scale)| (reg_word(state, r).clone(), scale));
        if base.is_none() && index.is_none() {
            return self.absolute(state, ea.disp);
        }
        let zero = || Word::Int(Term::ZERO);
        let sum = match (base.unwrap_or_else(zero), index.unwrap_or_else(|| (zero(), 1))) {
            (Word::Int(a), (Word::Int(b), scale)) => {
                let scaled = a.add_scaled(&b, i128::from(scale));
                let sum = match scaled.and_then(|s| s.add(&disp)) {
                    Ok(sum) => sum,
                    Err(_) => self.fresh_in(state, 64, false)?,
                };
                return self.int_or_data(state, ea.disp, sum);
            }
            (pointer, (Word::Int(b), scale)) => b
                .scale(i128::from(scale))
                .and_then(|b| b.add(&disp))
                .map(|offset| shifted(pointer, &offset)),
            (Word::Int(a), (pointer, 1)) => a.add(&disp).map(|offset| shifted(pointer, &offset)),
            _ => Ok(Word::Junk),
        };
        Ok(sum.unwrap_or(Word::Junk))
    }

    /// An address without registers: of an entry, in a data object, or just a number.
    fn absolute(&mut self, state: &State, disp: i64) -> Result<Word> {
        match self.function_at(disp) {
            Some(f) => self.code_address(f),
            None => self.int_or_data(state, disp, Term::int(disp)),
        }
    }

    /// A sum of integers whose displacement stands in a data object points into the object.
    fn int_or_data(&mut self, state: &State, disp: i64, sum: Term) -> Result<Word> {
        if !self.in_data(disp) {
            return Ok(Word::Int(sum));
        }
        let (object, offset) = self.data_at(state, &sum)?;
        Ok(Word::Ptr(Base::Data(object), offset))
    }

    fn in_data(&self, address: i64) -> bool {
        let Ok(address) = u64::try_from(address) else { return false };
        let after = self.image.data.partition_point(|d| u64::from(d.address) <= address);
        let object = after.checked_sub(1).and_then(|i| self.image.data.get(i));
        object.is_some_and(|d| address <= u64::from(d.address).saturating_add(u64::from(d.size)))
    }

    fn function_at(&self, address: i64) -> Option<FnId> {
        let offset = address.checked_sub(i64::from(self.image.text_address))?;
        let offset = u32::try_from(offset).ok()?;
        let found = self.image.functions.binary_search_by_key(&offset, |f| f.offset).ok()?;
        Some(FnId(u32::try_from(found).ok()?))
    }

    /// rule[code-address]: under the host's IBT policy an entry whose address is taken starts with
    /// endbr64 (trap 141).
    fn code_address(&mut self, f: FnId) -> Result<Word> {
        let rule = Rule::CodeAddress;
        let index = usize::try_from(f.0).ok();
        let entry = index.and_then(|i| self.image.functions.get(i)).or_refuse(rule)?;
        let marked = decode(self.image, entry.offset).is_ok_and(|d| d.endbr);
        premise!(marked, Error::new(rule, Kind::BadTarget(u64::from(entry.offset))));
        Ok(Word::Ptr(Base::Code(f), Term::ZERO))
    }

    /// rule[row-xchg]: both old words, each by the write clause (redteam U8 c).
    pub(super) fn row_xchg(
        &mut self,
        state: &mut State,
        width: Width,
        left: Reg,
        right: Reg,
    ) -> Result<()> {
        let a = reg_word(state, left).clone();
        let b = reg_word(state, right).clone();
        let moves = || Kind::WrongRegister(Reg::Rsp, alloc::boxed::Box::new(a.clone()));
        premise!(left != Reg::Rsp, Error::new(Rule::StackMove, moves()));
        // Second to `reg != Reg::Rsp` in `write`: rsp is not written, whichever side it stands on.
        premise!(right != Reg::Rsp, Error::new(Rule::StackMove, moves()));
        self.write(state, left, width, Out::word(b))?;
        self.write(state, right, width, Out::word(a))
    }
}

/// Pointer or frame word plus offset; the frame by constants only.
fn shifted(word: Word, offset: &Term) -> Word {
    match word {
        Word::Ptr(base, at) => at.add(offset).map_or(Word::Junk, |at| Word::Ptr(base, at)),
        Word::Frame(k) => {
            let moved = offset.as_int().and_then(|c| i64::try_from(c).ok());
            moved.and_then(|c| k.checked_add(c)).map_or(Word::Junk, Word::Frame)
        }
        _ => Word::Junk,
    }
}
