//! Not trusted: a bug here can reject, never admit. The parts that tables and hints are made of:
//! writes what `tal-core/src/wire/read.rs` reads, form by form, by methods of the same names.

use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{
    Assertion, Base, Bounds, Cap, Entry, Fact, Field, FieldTy, Guard, Kind, Lent, Mem, Mode,
    NameSet, Reg, Region, Rel, Sig, TypeId, View, Word,
};
use tal_core::wire::shared::{has_short_form, single_int};

/// Bytes and bits in the order in which they came. They are put together only in the end, so that
/// what was written apart can be joined.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Each with the number of bytes before it: twice that, and the bit.
    bits: Vec<u64>,
    /// Within a record: the number of its first own variable.
    pub(crate) first: Option<u16>,
}

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn bit(&mut self, bit: bool) {
        self.bits.push((self.bytes.len() as u64) << 1 | u64::from(bit));
    }

    /// What the other wrote comes behind.
    pub(crate) fn append(&mut self, other: &Writer) {
        let before = (self.bytes.len() as u64) << 1;
        self.bits.extend(other.bits.iter().map(|bit| bit + before));
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// How many bytes that will be.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.bits.len().div_ceil(8)
    }

    /// Eight bits take a byte, which stands where the first of them came.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.size());
        let mut rest = self.bytes.as_slice();
        let mut done = 0;
        for eight in self.bits.chunks(8) {
            let before = eight.first().map_or(0, |bit| bit >> 1);
            let (now, behind) = rest.split_at((before as usize - done).min(rest.len()));
            all.extend_from_slice(now);
            (rest, done) = (behind, before as usize);
            all.push(eight.iter().rev().fold(0, |byte, bit| byte << 1 | (bit & 1) as u8));
        }
        all.extend_from_slice(rest);
        all
    }

    fn leb(&mut self, mut value: u128) {
        loop {
            let group = u8::try_from(value & 0x7F).unwrap_or(0);
            value >>= 7;
            if value == 0 {
                return self.bytes.push(group);
            }
            self.bytes.push(group | 0x80);
        }
    }

    pub(crate) fn uint(&mut self, value: impl Into<u64>) {
        self.leb(u128::from(value.into()));
    }

    pub(crate) fn len(&mut self, value: usize) {
        self.uint(u64::try_from(value).unwrap_or(u64::MAX));
    }

    pub(crate) fn int(&mut self, value: impl Into<i128>) {
        let value: i128 = value.into();
        // Zigzag: the sign goes to the lowest bit.
        let shifted = value.cast_unsigned() << 1;
        self.leb(if value < 0 { !shifted } else { shifted });
    }

    pub(crate) fn many<T>(&mut self, all: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.len(all.len());
        for each in all {
            one(self, each);
        }
    }

    /// The number of a variable in scope.
    fn free(&self, i: u16) -> u64 {
        let Some(first) = self.first else { return u64::from(i) };
        let below = i.checked_sub(first);
        match below {
            Some(own) => (u64::from(own) << 1) | 1,
            None => u64::from(first.saturating_sub(i).saturating_sub(1)) << 1,
        }
    }

    /// The code of a variable, and the index that follows it.
    fn var_code(&self, v: Var) -> (u64, Option<u16>) {
        match v {
            Var::Value => (0, None),
            Var::Inner(i) => (1, Some(i)),
            Var::Param(i) => (2, Some(i)),
            Var::Bound(i) => (3, Some(i)),
            Var::Free(i) => (self.free(i).saturating_add(4), None),
        }
    }

    pub(crate) fn var(&mut self, v: Var) {
        let (code, index) = self.var_code(v);
        self.uint(code);
        if let Some(index) = index {
            self.uint(index);
        }
    }

    fn monomial(&mut self, m: &Monomial) {
        let (first, second) = m.atom.factors();
        let (code, index) = self.var_code(first);
        let flags = (u64::from(second.is_some()) << 1) | u64::from(m.coefficient != 1);
        self.uint((code << 2) | flags);
        if let Some(index) = index {
            self.uint(index);
        }
        if let Some(second) = second {
            self.var(second);
        }
        if m.coefficient != 1 {
            self.int(m.coefficient);
        }
    }

    fn term_header(term: &Term) -> u64 {
        let count = u64::try_from(term.monomials().len()).unwrap_or(u64::MAX >> 4);
        (count << 1) | u64::from(term.constant() != 0)
    }

    fn term_rest(&mut self, term: &Term) {
        if term.constant() != 0 {
            self.int(term.constant());
        }
        for m in term.monomials() {
            self.monomial(&m);
        }
    }

    pub(crate) fn term(&mut self, term: &Term) {
        self.uint(Self::term_header(term));
        self.term_rest(term);
    }

    pub(crate) fn terms(&mut self, terms: &[Term]) {
        self.many(terms, Self::term);
    }

    pub(crate) fn fact(&mut self, fact: &Fact) {
        let rel = match fact.rel {
            Rel::Ge => 0,
            Rel::Eq => 1,
            Rel::Ne => 2,
        };
        self.uint(Self::term_header(&fact.term).saturating_mul(3).saturating_add(rel));
        self.term_rest(&fact.term);
    }

    pub(crate) fn facts(&mut self, facts: &[Fact]) {
        self.many(facts, Self::fact);
    }

    pub(crate) fn base(&mut self, base: Base) {
        let (number, class, index) = match base {
            Base::Name(v) => {
                let (code, index) = self.var_code(v);
                (code, 0, index)
            }
            Base::Data(d) => (u64::from(d.0), 1, None),
            Base::Code(f) => (u64::from(f.0), 2, None),
        };
        self.uint(number.saturating_mul(3).saturating_add(class));
        if let Some(index) = index {
            self.uint(index);
        }
    }

    pub(crate) fn word(&mut self, word: &Word) {
        let short = |number: u64, k: u64| (number << 2 | k).saturating_add(5);
        match word {
            Word::Int(term) if has_short_form(word) => {
                if let Some(Var::Free(i)) = term.as_var() {
                    self.uint(short(self.free(i), 0));
                }
            }
            Word::Ptr(Base::Name(Var::Free(i)), _) if has_short_form(word) => {
                self.uint(short(self.free(*i), 1));
            }
            Word::Ptr(Base::Data(d), _) if has_short_form(word) => {
                self.uint(short(u64::from(d.0), 2))
            }
            Word::Saved(reg) => self.uint(short(*reg as u64, 3)),
            Word::Junk => self.uint(0_u8),
            Word::ReturnAddress => self.uint(1_u8),
            Word::Frame(k) => {
                self.uint(2_u8);
                self.int(*k);
            }
            Word::Int(term) => {
                self.uint(3_u8);
                self.term(term);
            }
            Word::Ptr(base, offset) => {
                self.uint(4_u8);
                self.base(*base);
                self.term(offset);
            }
        }
    }

    pub(crate) fn reg(&mut self, reg: Reg) {
        self.uint(reg as u8);
    }

    fn mode_number(mode: Mode) -> u64 {
        match mode {
            Mode::Rw => 0,
            Mode::Ro => 1,
            Mode::Rd => 2,
        }
    }

    pub(crate) fn mode(&mut self, mode: Mode) {
        self.uint(Self::mode_number(mode));
    }

    pub(crate) fn named(&mut self, id: TypeId, args: &[Term]) {
        self.uint(id.0);
        self.terms(args);
    }

    pub(crate) fn mem(&mut self, mem: &Mem) {
        match mem {
            Mem::Struct { fields, size } => match single_int(mem) {
                Some(kind) => self.uint(kind.saturating_add(8)),
                None => {
                    self.uint(0_u8);
                    self.uint(*size);
                    self.many(fields, Self::field);
                }
            },
            Mem::Array(count, element) => {
                self.uint(1_u8);
                self.term(count);
                self.mem(element);
            }
            Mem::Bytes(n) => self.sized(2, n),
            Mem::Junk(n) => self.sized(3, n),
            Mem::Zero(n) => self.sized(4, n),
            Mem::Cat(a, b) => {
                self.uint(5_u8);
                self.mem(a);
                self.mem(b);
            }
            Mem::Ex { vars, facts, body } => {
                self.uint(6_u8);
                self.uint(*vars);
                self.facts(facts);
                self.mem(body);
            }
            Mem::Named(id, args) => {
                self.uint(7_u8);
                self.named(*id, args);
            }
        }
    }

    fn sized(&mut self, tag: u8, size: &Term) {
        self.uint(tag);
        self.term(size);
    }

    fn field(&mut self, field: &Field) {
        self.uint(field.offset);
        self.uint(field_tag(&field.ty) << 1 | u64::from(field.writable));
        self.field_rest(&field.ty);
    }

    pub(crate) fn field_ty(&mut self, ty: &FieldTy) {
        self.uint(field_tag(ty));
        self.field_rest(ty);
    }

    fn field_rest(&mut self, ty: &FieldTy) {
        match ty {
            FieldTy::Int { facts, .. } if facts.is_empty() => {}
            FieldTy::Int { facts, .. } => self.facts(facts),
            FieldTy::Known(word) => self.word(word),
            FieldTy::Own { origin, mem, .. } => {
                if let Some(origin) = origin {
                    self.uint(origin.0);
                }
                self.mem(mem);
            }
            FieldTy::Ref { mem, .. } => self.mem(mem),
            FieldTy::Junk(_) => {}
        }
    }

    pub(crate) fn guard(&mut self, guard: &Guard) {
        match guard {
            Guard::Range(term, low, high) => {
                self.uint(0_u8);
                self.term(term);
                self.int(*low);
                self.int(*high);
            }
            Guard::IsAddress(v) => {
                self.uint(1_u8);
                self.var(*v);
            }
            Guard::IsSmall(v, low, high) => {
                self.uint(2_u8);
                self.var(*v);
                self.int(*low);
                self.int(*high);
            }
        }
    }

    fn guards_header(guards: &[Guard], offset: &Term) -> u64 {
        let count = u64::try_from(guards.len()).unwrap_or(u64::MAX >> 4);
        (count << 1) | u64::from(*offset != Term::ZERO)
    }

    fn offset(&mut self, offset: &Term) {
        if *offset != Term::ZERO {
            self.term(offset);
        }
    }

    fn entry_rest(&mut self, e: &Entry) {
        for guard in &e.guards {
            self.guard(guard);
        }
        self.var(e.name);
        self.offset(&e.offset);
        self.mem(&e.mem);
    }

    pub(crate) fn entry(&mut self, e: &Entry) {
        self.uint(Self::guards_header(&e.guards, &e.offset));
        self.entry_rest(e);
    }

    pub(crate) fn cap(&mut self, cap: &Cap) {
        let header = |e: &Entry| Self::guards_header(&e.guards, &e.offset).saturating_mul(3);
        match cap {
            Cap::Entry(e) => {
                self.uint(header(e));
                self.entry_rest(e);
            }
            Cap::Token(rho, e) => {
                self.uint(header(e).saturating_add(1));
                self.var(*rho);
                self.entry_rest(e);
            }
            Cap::Store(v) => {
                self.uint(2_u8);
                self.var(*v);
            }
        }
    }

    pub(crate) fn caps(&mut self, caps: &[Cap]) {
        self.many(caps, Self::cap);
    }

    pub(crate) fn view(&mut self, v: &View) {
        let header = Self::guards_header(&v.guards, &v.offset).saturating_mul(3);
        let header = header.saturating_add(Self::mode_number(v.mode)) << 1;
        self.uint(header | u64::from(v.region != Region::Always));
        if let Region::Var(rho) = v.region {
            self.var(rho);
        }
        for guard in &v.guards {
            self.guard(guard);
        }
        self.base(v.base);
        self.offset(&v.offset);
        self.mem(&v.mem);
    }

    pub(crate) fn views(&mut self, views: &[View]) {
        self.many(views, Self::view);
    }

    pub(crate) fn region(&mut self, region: Region) {
        self.bit(region != Region::Always);
        if let Region::Var(rho) = region {
            self.var(rho);
        }
    }

    pub(crate) fn name_set(&mut self, set: &NameSet) {
        let count = u64::try_from(set.small.iter().flatten().count()).unwrap_or(0);
        self.uint(count << 1 | u64::from(set.address));
        for (low, high) in set.small.iter().flatten() {
            self.int(*low);
            self.int(*high);
        }
    }

    fn bounds(&mut self, bounds: Bounds) {
        let tag = |number: usize| u64::try_from(number).unwrap_or(0).saturating_add(11);
        let common = Bounds::COMMON.iter().position(|b| *b == bounds);
        let ends = usize::from(bounds.high().is_some()) << 1 | usize::from(bounds.low().is_some());
        self.uint(tag(
            common.unwrap_or(Bounds::COMMON.len().saturating_add(ends).saturating_sub(1))
        ));
        if common.is_none() {
            bounds.low().into_iter().chain(bounds.high()).for_each(|end| self.int(end));
        }
    }

    pub(crate) fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Int(Bounds::NONE) => self.uint(0_u8),
            Kind::Int(bounds) => self.bounds(*bounds),
            Kind::Word => self.uint(1_u8),
            Kind::Region => self.uint(2_u8),
            Kind::Store => self.uint(3_u8),
            Kind::Code(sig) => {
                self.uint(4_u8);
                self.sig(sig);
            }
            Kind::Addr { set, block } => {
                let class: u64 = match *set {
                    NameSet::ADDRESS => 0,
                    NameSet::NULLABLE => 1,
                    _ => 2,
                };
                self.uint((class << 1 | u64::from(block.is_some())).saturating_add(5));
                if class == 2 {
                    self.name_set(set);
                }
                if let Some(block) = block {
                    self.uint(block.origin.0);
                    self.term(&block.extent);
                }
            }
        }
    }

    pub(crate) fn kinds(&mut self, kinds: &[Kind]) {
        self.many(kinds, Self::kind);
    }

    pub(crate) fn sig(&mut self, sig: &Sig) {
        self.kinds(&sig.vars);
        self.assertion(&sig.pre);
        match &sig.post {
            None => self.uint(0_u8),
            Some(post) => {
                self.uint(1_u8);
                self.kinds(&post.vars);
                self.assertion(&post.state);
            }
        }
    }

    /// Two bytes of mask, then the words.
    pub(crate) fn regs(&mut self, regs: &[(Reg, Word)]) {
        let mask = regs.iter().fold(0_u16, |mask, (reg, _)| mask | 1 << *reg as u16);
        let [low, high] = mask.to_le_bytes();
        self.byte(low);
        self.byte(high);
        for (_, word) in regs {
            self.word(word);
        }
    }

    fn assertion(&mut self, a: &Assertion) {
        self.facts(&a.facts);
        self.regs(&a.regs);
        self.many(&a.args, |w, (at, word)| {
            w.uint(*at);
            w.word(word);
        });
        self.views(&a.views);
        self.caps(&a.caps);
    }

    pub(crate) fn lent(&mut self, lent: &Lent) {
        self.int(lent.offset);
        self.int(lent.size);
        self.var(lent.name);
    }
}

/// As `read.rs` numbers field types. What has no number gets one that is refused.
fn field_tag(ty: &FieldTy) -> u64 {
    match ty {
        FieldTy::Int { bits, signed, facts } => {
            let width = match bits {
                8 => 0,
                16 => 2,
                32 => 4,
                _ => 6,
            };
            width | u64::from(*signed) | if facts.is_empty() { 0 } else { 8 }
        }
        FieldTy::Known(_) => 16,
        FieldTy::Own { nullable, origin, .. } => {
            let of = u64::from(origin.is_some()) << 1 | u64::from(*nullable);
            of.saturating_add(17)
        }
        FieldTy::Ref { nullable, mode, .. } => {
            (Writer::mode_number(*mode) << 1 | u64::from(*nullable)).saturating_add(21)
        }
        FieldTy::Junk(1) => 27,
        FieldTy::Junk(2) => 28,
        FieldTy::Junk(4) => 29,
        FieldTy::Junk(8) => 30,
        FieldTy::Junk(_) => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written in two pieces, wherever it is cut, gives the same bytes.
    #[test]
    fn pieces_join() {
        let write = |w: &mut Writer, steps: std::ops::Range<u32>| {
            for step in steps {
                match step % 3 {
                    0 => w.uint(step),
                    _ => w.bit(step % 5 < 2),
                }
            }
        };
        let mut whole = Writer::default();
        write(&mut whole, 0..60);
        for cut in 0..=60 {
            let (mut first, mut second) = (Writer::default(), Writer::default());
            write(&mut first, 0..cut);
            write(&mut second, cut..60);
            first.append(&second);
            assert_eq!(first.finish(), whole.finish(), "{cut}");
            assert_eq!(first.size(), whole.finish().len());
        }
    }
}
