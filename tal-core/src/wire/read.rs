//! TCB. Reading the parts that tables and hints are made of. Every form is the only one of its
//! value, every count is bounded by the bytes that are left, nesting by [`limits::NESTING`].

use crate::counted::Rc;
use crate::error::{Error, Kind as Evidence, Rule};
use crate::judge::Result;
use crate::limits;
use crate::term::{Atom, Monomial, Term, Var};
use crate::ty::{
    Assertion, Base, Block, Bounds, Cap, DataId, Entry, Fact, Field, FieldTy, FnId, Guard, Kind,
    Lent, Mem, Mode, NameSet, OriginId, Post, Reg, Region, Rel, Sig, TypeId, View, Word, Words,
};
use alloc::vec::Vec;

/// What an allocation takes beside its contents: reference counts, the allocator, rounding.
const ALLOCATION: usize = 48;
/// Codes of bounds: the common ones, a low one, a high one, both.
const BOUNDS: u64 = 12;
const _: () = assert!(BOUNDS as usize == Bounds::COMMON.len() + 3);

/// What stands above the bits that are left.
const NO_BITS: u16 = 1;

/// Where reading stands: bytes, and bits of a byte that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of memory that what is read may still take.
    memory: usize,
    /// Nodes that the memory type being read may still have.
    nodes: usize,
    /// Bits not read yet of the last byte of bits, lowest next, and above them [`NO_BITS`].
    bits: u16,
    depth: usize,
    /// Within a record: the number of its first own variable.
    first: Option<u16>,
    /// Room for premises.
    pub(super) spare: Vec<(u16, i128)>,
}

impl<'a> Reader<'a> {
    /// Reads these bytes, and takes memory in proportion to them and to `besides` bytes more.
    pub(crate) fn new(bytes: &'a [u8], besides: usize) -> Self {
        let input = bytes.len().saturating_add(besides);
        let memory = input.saturating_mul(limits::MEMORY_FACTOR);
        let memory = memory.saturating_add(limits::MEMORY_SLACK);
        Reader {
            bytes,
            at: 0,
            memory,
            nodes: 0,
            bits: NO_BITS,
            depth: 0,
            first: None,
            spare: Vec::new(),
        }
    }

    /// Bytes of memory that what is read may still take.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// What was read since so much was left is gone.
    pub(crate) fn set_memory(&mut self, left: usize) {
        self.memory = left;
    }

    /// Pays for an allocation of `count` times `size` bytes, before it is made. It is paid back
    /// when a function is done, of which nothing stays; so all that was read of tables and of a
    /// function is bounded, and with it what is there at any time.
    pub(crate) fn pay(&mut self, count: usize, size: usize) -> Result<()> {
        let besides = if count == 0 { 0 } else { ALLOCATION };
        self.pay_bytes(count.saturating_mul(size).saturating_add(besides))
    }

    /// Pays for so many bytes.
    pub(crate) fn pay_bytes(&mut self, bytes: usize) -> Result<()> {
        let left = self.memory.checked_sub(bytes);
        self.memory = left.ok_or_else(|| Error::new(Rule::Limit, Evidence::Limit))?;
        Ok(())
    }

    /// Pays for a node of the memory type that is being read, if one is.
    fn node(&mut self) -> Result<()> {
        if self.depth > 0 {
            self.nodes = self
                .nodes
                .checked_sub(1)
                .ok_or_else(|| Error::new(Rule::Limit, Evidence::Limit))?;
        }
        Ok(())
    }

    /// A shared value.
    pub(crate) fn shared<T>(&mut self, value: T) -> Result<Rc<T>> {
        self.pay(1, size_of::<T>())?;
        Ok(Rc::new(value))
    }

    /// A refusal at this place.
    pub(crate) fn malformed<T>(&self) -> Result<T> {
        Err(self.fault())
    }

    /// What is wrong at this place.
    pub(crate) fn fault(&self) -> Error {
        let at = u32::try_from(self.at).unwrap_or(u32::MAX);
        Error::new(Rule::Wire, Evidence::Malformed(at))
    }

    fn need(&self, holds: bool) -> Result<()> {
        if holds { Ok(()) } else { self.malformed() }
    }

    pub(crate) fn some<T>(&self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) => Ok(value),
            None => self.malformed(),
        }
    }

    /// Bytes that are left.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Nothing may be left, not even a bit that is set.
    pub(crate) fn end(&self) -> Result<()> {
        self.need(self.remaining() == 0 && self.bits.is_power_of_two())
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let byte = self.some(self.bytes.get(self.at).copied())?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.some(self.at.checked_add(count))?;
        let bytes = self.some(self.bytes.get(self.at..end))?;
        self.at = end;
        Ok(bytes)
    }

    /// Bits come from a byte of their own, taken where the first of them is needed.
    #[inline(always)]
    pub(crate) fn bit(&mut self) -> Result<bool> {
        if self.bits == NO_BITS {
            self.bits = NO_BITS << 8 | u16::from(self.byte()?);
        }
        let bit = self.bits & 1 == 1;
        self.bits >>= 1;
        Ok(bit)
    }

    /// LEB128 of one byte, as most are.
    fn small(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied().filter(|byte| *byte < 0x80)?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    /// LEB128 of at most 128 bits in its shortest form. Nine bytes, which are as many as nearly all
    /// have, fit a machine word.
    fn leb(&mut self) -> Result<u128> {
        if let Some(byte) = self.small() {
            return Ok(u128::from(byte));
        }
        let mut low: u64 = 0;
        for shift in (0..63_u32).step_by(7) {
            let byte = self.byte()?;
            low |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                self.need(byte != 0 || shift == 0)?;
                return Ok(u128::from(low));
            }
        }
        let mut value = u128::from(low);
        for shift in (63..128_u32).step_by(7) {
            let byte = self.byte()?;
            let group = u128::from(byte & 0x7F);
            // The last group has two bits.
            self.need(shift < 126 || group < 4)?;
            value |= group << shift;
            if byte & 0x80 == 0 {
                self.need(byte != 0)?;
                return Ok(value);
            }
        }
        self.malformed()
    }

    pub(crate) fn uint(&mut self) -> Result<u64> {
        if let Some(byte) = self.small() {
            return Ok(u64::from(byte));
        }
        let value = self.leb()?;
        self.some(u64::try_from(value).ok())
    }

    /// Zigzag LEB128.
    pub(crate) fn int(&mut self) -> Result<i128> {
        let value = self.leb()?;
        let half = self.some(i128::try_from(value >> 1).ok())?;
        Ok(if value & 1 == 0 { half } else { !half })
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        let value = self.uint()?;
        self.some(u32::try_from(value).ok())
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        let value = self.uint()?;
        self.some(u16::try_from(value).ok())
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        let value = self.int()?;
        self.some(i64::try_from(value).ok())
    }

    fn i16(&mut self) -> Result<i16> {
        let value = self.int()?;
        self.some(i16::try_from(value).ok())
    }

    /// A number below `limit`.
    pub(crate) fn tag(&mut self, limit: u64) -> Result<u64> {
        let value = self.uint()?;
        self.need(value < limit)?;
        Ok(value)
    }

    /// A count of things of at least one byte each.
    pub(crate) fn count(&mut self, limit: usize) -> Result<usize> {
        let count = self.uint()?;
        let count = self.some(usize::try_from(count).ok())?;
        self.need(count <= limit && count <= self.remaining())?;
        Ok(count)
    }

    /// `count` things.
    pub(crate) fn many<T>(
        &mut self,
        count: usize,
        mut one: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.pay(count, size_of::<T>())?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// One level deeper.
    fn nested<T>(&mut self, one: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.need(self.depth < limits::NESTING)?;
        if self.depth == 0 {
            self.nodes = limits::NODES;
        }
        self.depth = self.depth.saturating_add(1);
        let result = one(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    /// Within a record, numbers are counted from its first own variable.
    pub(crate) fn count_from(&mut self, first: Option<u16>) {
        self.first = first;
    }

    /// A variable in scope: its number. In a record `2 * i` is the one i before the first own, and
    /// `2 * i + 1` own variable i.
    fn free(&self, code: Option<u16>) -> Result<u16> {
        let code = self.some(code)?;
        let Some(first) = self.first else { return Ok(code) };
        let distance = code >> 1;
        self.some(match code & 1 {
            0 => first.checked_sub(distance).and_then(|v| v.checked_sub(1)),
            _ => first.checked_add(distance),
        })
    }

    /// `Value` 0, `Inner` 1, `Param` 2, `Bound` 3 (index follows), `Free(i)` 4 + i.
    fn var_of(&mut self, code: u64) -> Result<Var> {
        Ok(match code {
            0 => Var::Value,
            1 => Var::Inner(self.u16()?),
            2 => Var::Param(self.u16()?),
            3 => Var::Bound(self.u16()?),
            free => Var::Free(self.free(u16::try_from(free.saturating_sub(4)).ok())?),
        })
    }

    pub(crate) fn var(&mut self) -> Result<Var> {
        let code = self.uint()?;
        self.var_of(code)
    }

    /// `4 * variable + 2 * is a product + coefficient is not 1`.
    fn monomial(&mut self) -> Result<Monomial> {
        self.node()?;
        let code = self.uint()?;
        let first = self.var_of(code >> 2)?;
        let atom = if code & 2 == 0 {
            Atom::var(first)
        } else {
            let second = self.var()?;
            self.need(first <= second)?;
            Atom::product(first, second)
        };
        let coefficient = if code & 1 == 0 { 1 } else { self.int()? };
        self.need(code & 1 == 0 || coefficient != 1)?;
        Ok(Monomial { atom, coefficient })
    }

    /// Header: `2 * monomials + constant is not 0`.
    fn term_of(&mut self, header: u64) -> Result<Term> {
        let count = self.some(usize::try_from(header >> 1).ok())?;
        self.need(count <= limits::MONOMIALS)?;
        let constant = if header & 1 == 0 { 0 } else { self.int()? };
        self.need(header & 1 == 0 || constant != 0)?;
        let mut few = [Monomial::NONE; 2];
        let term = if let Some(few) = few.get_mut(..count) {
            for place in few.iter_mut() {
                *place = self.monomial()?;
            }
            Term::from_parts(constant, few)
        } else {
            Term::from_parts(constant, self.many(count, Self::monomial)?)
        };
        let term = self.some(term.ok())?;
        self.pay(usize::from(term.allocated() > 0), term.allocated())?;
        Ok(term)
    }

    pub(crate) fn term(&mut self) -> Result<Term> {
        let header = self.uint()?;
        self.term_of(header)
    }

    pub(crate) fn terms(&mut self) -> Result<Vec<Term>> {
        let count = self.count(limits::SIG_VARS)?;
        self.many(count, Self::term)
    }

    /// Header: `3 * header of the term + relation`.
    pub(crate) fn fact(&mut self) -> Result<Fact> {
        self.node()?;
        let header = self.uint()?;
        let rel = match header.checked_rem(3) {
            Some(0) => Rel::Ge,
            Some(1) => Rel::Eq,
            _ => Rel::Ne,
        };
        let term = self.term_of(header.checked_div(3).unwrap_or(0))?;
        Ok(Fact { rel, term })
    }

    pub(crate) fn facts(&mut self) -> Result<Vec<Fact>> {
        let count = self.count(limits::FACTS)?;
        self.many(count, Self::fact)
    }

    /// `3 * number + (0 name, 1 data, 2 code)`.
    pub(crate) fn base(&mut self) -> Result<Base> {
        let code = self.uint()?;
        let number = code.checked_div(3).unwrap_or(0);
        Ok(match code.checked_rem(3) {
            Some(0) => Base::Name(self.var_of(number)?),
            Some(1) => Base::Data(DataId(self.some(u16::try_from(number).ok())?)),
            _ => Base::Code(FnId(self.some(u32::try_from(number).ok())?)),
        })
    }

    /// Below 5 the long forms; from 5 on `5 + 4 * i + k`: integer variable i, name i, data i,
    /// entry value of register i.
    pub(crate) fn word(&mut self) -> Result<Word> {
        let code = self.uint()?;
        let Some(short) = code.checked_sub(5) else { return self.long_word(code) };
        let number = self.some(u16::try_from(short >> 2).ok())?;
        Ok(match short & 3 {
            0 => Word::Int(Term::var(Var::Free(self.free(Some(number))?))),
            1 => Word::Ptr(Base::Name(Var::Free(self.free(Some(number))?)), Term::ZERO),
            2 => Word::Ptr(Base::Data(DataId(number)), Term::ZERO),
            _ => Word::Saved(self.reg_of(u64::from(number))?),
        })
    }

    fn long_word(&mut self, code: u64) -> Result<Word> {
        let word = match code {
            0 => Word::Junk,
            1 => Word::ReturnAddress,
            2 => Word::Frame(self.i64()?),
            3 => Word::Int(self.term()?),
            _ => Word::Ptr(self.base()?, self.term()?),
        };
        self.need(!has_short_form(&word))?;
        Ok(word)
    }

    fn reg_of(&self, number: u64) -> Result<Reg> {
        let number = self.some(usize::try_from(number).ok())?;
        self.some(Reg::ALL.get(number).copied())
    }

    pub(crate) fn reg(&mut self) -> Result<Reg> {
        let number = self.uint()?;
        self.reg_of(number)
    }

    pub(crate) fn mode_of(&self, number: u64) -> Mode {
        match number {
            0 => Mode::Rw,
            1 => Mode::Ro,
            _ => Mode::Rd,
        }
    }

    pub(crate) fn mode(&mut self) -> Result<Mode> {
        let number = self.tag(3)?;
        Ok(self.mode_of(number))
    }

    pub(crate) fn named(&mut self) -> Result<(TypeId, Vec<Term>)> {
        let id = TypeId(self.u32()?);
        let count = self.count(limits::ARITY)?;
        Ok((id, self.many(count, Self::term)?))
    }

    pub(crate) fn mem(&mut self) -> Result<Rc<Mem>> {
        self.nested(Self::mem_here)
    }

    /// 0..8: struct, array, bytes, junk, zero, cat, ex, named; 8..16: a struct of one plain
    /// integer.
    fn mem_here(&mut self) -> Result<Rc<Mem>> {
        self.node()?;
        let tag = self.tag(16)?;
        let mem = match tag {
            0 => {
                let size = self.u32()?;
                let count = self.count(limits::FIELDS)?;
                let fields = self.many(count, Self::field)?;
                let mem = Mem::Struct { fields, size };
                self.need(single_int(&mem).is_none())?;
                mem
            }
            1 => Mem::Array(self.term()?, self.mem()?),
            2 => Mem::Bytes(self.term()?),
            3 => Mem::Junk(self.term()?),
            4 => Mem::Zero(self.term()?),
            5 => Mem::Cat(self.mem()?, self.mem()?),
            6 => Mem::Ex { vars: self.u16()?, facts: self.facts()?, body: self.mem()? },
            7 => {
                let (id, args) = self.named()?;
                Mem::Named(id, args)
            }
            kind => {
                self.pay(1, size_of::<Field>())?;
                single_int_mem(kind.saturating_sub(8))
            }
        };
        self.shared(mem)
    }

    /// `2 * type + writable`.
    fn field(&mut self) -> Result<Field> {
        self.node()?;
        let offset = self.u32()?;
        let tag = self.tag(62)?;
        let ty = self.field_ty_of(tag >> 1)?;
        Ok(Field { offset, writable: tag & 1 == 1, ty })
    }

    pub(crate) fn field_ty(&mut self) -> Result<FieldTy> {
        let tag = self.tag(31)?;
        self.field_ty_of(tag)
    }

    /// 0..8 plain integers, 8..16 refined ones, 16 known, 17..21 own, 21..27 ref, 27..31 junk.
    fn field_ty_of(&mut self, tag: u64) -> Result<FieldTy> {
        Ok(match tag {
            0..8 => plain_int(tag),
            8..16 => {
                let FieldTy::Int { bits, signed, .. } = plain_int(tag.saturating_sub(8)) else {
                    return self.malformed();
                };
                let facts = self.facts()?;
                self.need(!facts.is_empty())?;
                FieldTy::Int { bits, signed, facts }
            }
            16 => FieldTy::Known(self.word()?),
            17..21 => {
                let of = tag.saturating_sub(17);
                let origin = if of & 2 == 0 { None } else { Some(OriginId(self.u16()?)) };
                FieldTy::Own { nullable: of & 1 == 1, origin, mem: self.mem()? }
            }
            21..27 => {
                let of = tag.saturating_sub(21);
                let mode = self.mode_of(of >> 1);
                FieldTy::Ref { nullable: of & 1 == 1, mode, mem: self.mem()? }
            }
            27 => FieldTy::Junk(1),
            28 => FieldTy::Junk(2),
            29 => FieldTy::Junk(4),
            30 => FieldTy::Junk(8),
            _ => return self.malformed(),
        })
    }

    pub(crate) fn guard(&mut self) -> Result<Guard> {
        Ok(match self.tag(3)? {
            0 => Guard::Range(self.term()?, self.i64()?, self.i64()?),
            1 => Guard::IsAddress(self.var()?),
            _ => Guard::IsSmall(self.var()?, self.i16()?, self.i16()?),
        })
    }

    /// `2 * guards + offset is not 0`, then the guards.
    fn guards_and_offset(&mut self, header: u64) -> Result<(Vec<Guard>, bool)> {
        let count = self.some(usize::try_from(header >> 1).ok())?;
        self.need(count <= limits::GUARDS)?;
        Ok((self.many(count, Self::guard)?, header & 1 == 1))
    }

    fn offset(&mut self, given: bool) -> Result<Term> {
        if !given {
            return Ok(Term::ZERO);
        }
        let offset = self.term()?;
        self.need(offset != Term::ZERO)?;
        Ok(offset)
    }

    fn entry_of(&mut self, header: u64) -> Result<Entry> {
        let (guards, given) = self.guards_and_offset(header)?;
        let name = self.var()?;
        Ok(Entry { guards, name, offset: self.offset(given)?, mem: self.mem()? })
    }

    pub(crate) fn entry(&mut self) -> Result<Entry> {
        let header = self.uint()?;
        self.entry_of(header)
    }

    /// `3 * header of the entry + (0 entry, 1 token)`, or 2 for a store.
    pub(crate) fn cap(&mut self) -> Result<Cap> {
        let code = self.uint()?;
        let header = code.checked_div(3).unwrap_or(0);
        Ok(match code.checked_rem(3) {
            Some(0) => Cap::Entry(self.entry_of(header)?),
            Some(1) => Cap::Token(self.var()?, self.entry_of(header)?),
            _ => {
                self.need(header == 0)?;
                Cap::Store(self.var()?)
            }
        })
    }

    pub(crate) fn caps(&mut self) -> Result<Vec<Cap>> {
        let count = self.count(limits::CAPS)?;
        self.many(count, Self::cap)
    }

    /// `(3 * header of guards and offset + mode) * 2 + region is a variable`.
    pub(crate) fn view(&mut self) -> Result<View> {
        let code = self.uint()?;
        let mode = self.mode_of((code >> 1).checked_rem(3).unwrap_or(0));
        let header = (code >> 1).checked_div(3).unwrap_or(0);
        let region = if code & 1 == 0 { Region::Always } else { Region::Var(self.var()?) };
        let (guards, given) = self.guards_and_offset(header)?;
        let base = self.base()?;
        Ok(View { guards, region, mode, base, offset: self.offset(given)?, mem: self.mem()? })
    }

    pub(crate) fn views(&mut self) -> Result<Vec<View>> {
        let count = self.count(limits::VIEWS)?;
        self.many(count, Self::view)
    }

    pub(crate) fn region(&mut self) -> Result<Region> {
        Ok(match self.bit()? {
            false => Region::Always,
            true => Region::Var(self.var()?),
        })
    }

    /// `2 * intervals + may be an address`, then the intervals.
    pub(crate) fn name_set(&mut self) -> Result<NameSet> {
        let header = self.tag(6)?;
        let mut small = [None, None];
        let count = self.some(usize::try_from(header >> 1).ok())?;
        for place in small.iter_mut().take(count) {
            *place = Some((self.i16()?, self.i16()?));
        }
        Ok(NameSet { address: header & 1 == 1, small })
    }

    /// The common ones by their number; then a low one, a high one, both that are not common.
    fn bounds(&mut self, number: u64) -> Result<Bounds> {
        let common = usize::try_from(number).ok().and_then(|at| Bounds::COMMON.get(at));
        if let Some(bounds) = common {
            return Ok(*bounds);
        }
        let (low, high) = match number.saturating_sub(BOUNDS.saturating_sub(3)) {
            0 => (Some(self.int()?), None),
            1 => (None, Some(self.int()?)),
            _ => (Some(self.int()?), Some(self.int()?)),
        };
        let bounds = self.some(Bounds::new(low, high))?;
        self.need(!Bounds::COMMON.contains(&bounds))?;
        Ok(bounds)
    }

    /// 0 int, 1 word, 2 region, 3 store, 4 code; addresses from 5 on: `5 + 2 * (certain, or null,
    /// other) + block`; integers in bounds from 11 on.
    pub(crate) fn kind(&mut self) -> Result<Kind> {
        let tag = self.tag(BOUNDS.saturating_add(11))?;
        Ok(match tag {
            0 => Kind::INT,
            11.. => Kind::Int(self.bounds(tag.saturating_sub(11))?),
            1 => Kind::Word,
            2 => Kind::Region,
            3 => Kind::Store,
            4 => Kind::Code(self.code_sig()?),
            _ => {
                let of = tag.saturating_sub(5);
                let set = match of >> 1 {
                    0 => NameSet::ADDRESS,
                    1 => NameSet::NULLABLE,
                    _ => {
                        let set = self.name_set()?;
                        self.need(set != NameSet::ADDRESS && set != NameSet::NULLABLE)?;
                        set
                    }
                };
                let block = if of & 1 == 0 {
                    None
                } else {
                    Some(Block { origin: OriginId(self.u16()?), extent: self.term()? })
                };
                Kind::Addr { set, block }
            }
        })
    }

    /// The signature of a code parameter, which has none itself (rule[wf-sig]).
    fn code_sig(&mut self) -> Result<Rc<Sig>> {
        self.need(self.depth == 0)?;
        self.nested(Self::sig)
    }

    pub(crate) fn kinds(&mut self, limit: usize) -> Result<Vec<Kind>> {
        let count = self.count(limit)?;
        self.many(count, Self::kind)
    }

    #[inline(never)]
    pub(crate) fn sig(&mut self) -> Result<Rc<Sig>> {
        self.pay(1, size_of::<Sig>())?;
        let mut shared = Sig::nothing();
        let sig = self.some(Rc::get_mut(&mut shared))?;
        sig.vars = self.kinds(limits::SIG_VARS)?;
        self.assertion(&mut sig.pre)?;
        if self.tag(2)? == 1 {
            let post = sig.post.insert(Post::default());
            post.vars = self.kinds(limits::SIG_VARS)?;
            self.assertion(&mut post.state)?;
        }
        Ok(shared)
    }

    /// Two bytes of mask: the registers of which something is said, and how many. Their words
    /// follow.
    pub(crate) fn registers(&mut self) -> Result<(usize, impl Iterator<Item = Reg> + use<>)> {
        let mask = u16::from(self.byte()?) | (u16::from(self.byte()?) << 8);
        let count = usize::try_from(mask.count_ones()).unwrap_or(0);
        Ok((count, Reg::ALL.into_iter().filter(move |reg| mask >> (*reg as u8) & 1 == 1)))
    }

    /// The next of these registers, and its word.
    pub(crate) fn register(&mut self, mut of: impl Iterator<Item = Reg>) -> Result<(Reg, Word)> {
        Ok((self.some(of.next())?, self.word()?))
    }

    // Apart, so that reading one takes room on the stack only while it is read.
    #[inline(never)]
    fn assertion(&mut self, a: &mut Assertion) -> Result<()> {
        a.facts = self.facts()?;
        let (count, mut regs) = self.registers()?;
        let regs = self.many(count, |r| r.register(&mut regs))?;
        a.regs = self.some(Words::of(regs))?;
        let count = self.count(limits::LABEL_SLOTS)?;
        a.args = self.many(count, |r| Ok((r.u16()?, r.word()?)))?;
        (a.views, a.caps) = (self.views()?, self.caps()?);
        Ok(())
    }

    pub(crate) fn lent(&mut self) -> Result<Lent> {
        Ok(Lent { offset: self.i64()?, size: self.i64()?, name: self.var()? })
    }
}

/// Words whose short form must be taken.
pub fn has_short_form(word: &Word) -> bool {
    match word {
        Word::Int(term) => matches!(term.as_var(), Some(Var::Free(_))),
        Word::Ptr(Base::Name(Var::Free(_)) | Base::Data(_), offset) => *offset == Term::ZERO,
        Word::Saved(_) => true,
        Word::Ptr(..) | Word::Frame(_) | Word::ReturnAddress | Word::Junk => false,
    }
}

/// `2 * log2(bytes) + signed`.
fn plain_int(kind: u64) -> FieldTy {
    let bits = match kind >> 1 {
        0 => 8,
        1 => 16,
        2 => 32,
        _ => 64,
    };
    FieldTy::Int { bits, signed: kind & 1 == 1, facts: Vec::new() }
}

/// A struct of one plain integer that may be written.
fn single_int_mem(kind: u64) -> Mem {
    let ty = plain_int(kind);
    let size = match kind >> 1 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Mem::Struct { fields: Vec::from([Field { offset: 0, writable: true, ty }]), size }
}

/// Which [`single_int_mem`] it is.
pub fn single_int(mem: &Mem) -> Option<u64> {
    match mem {
        Mem::Struct { fields, .. } if fields.len() == 1 => {
            (0..8).find(|kind| *mem == single_int_mem(*kind))
        }
        _ => None,
    }
}
