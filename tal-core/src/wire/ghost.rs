//! TCB (reading). Ghosts and certificates by their opcodes.

use super::put::Writer;
use super::read::Reader;
use crate::hint::{Comb, End, Ghost, Inst, Place, Proof, Step, Template, Through};
use crate::judge::Result;
use crate::limits;
use crate::ty::DataId;
use alloc::vec::Vec;

/// The ghosts in the order of their opcodes. docs/spec/format.md shows this list.
pub(crate) const OPCODES: [&str; 36] = [
    "step",
    "size-facts",
    "guard-true",
    "guard-false",
    "guard-add",
    "guard-void",
    "split",
    "split-cat",
    "join",
    "one",
    "equal",
    "equal-word",
    "retype-junk",
    "retype-shape",
    "retype-zero",
    "retype-plain",
    "unfold",
    "fold",
    "open",
    "pack",
    "field-close",
    "leak",
    "borrow",
    "share",
    "region-end",
    "view-weaken",
    "view-part",
    "view-cat",
    "view-plain",
    "view-unfold",
    "view-open",
    "view-data",
    "carve",
    "uncarve",
    "frame-word",
    "renorm",
];

impl Reader<'_> {
    /// A ghost by its opcode.
    pub(crate) fn ghost(&mut self) -> Result<Ghost> {
        let r = self;
        let limit = u64::try_from(OPCODES.len()).unwrap_or(0);
        Ok(match r.tag(limit)? {
            0 => Ghost::Step(r.step()?),
            1 => Ghost::SizeFacts { of: r.through()? },
            2 => Ghost::GuardTrue { of: r.through()?, guard: r.u16()? },
            3 => Ghost::GuardFalse { entry: r.u16()?, guard: r.u16()? },
            4 => Ghost::GuardAdd { of: r.through()?, guard: r.guard()? },
            5 => Ghost::GuardVoid { entry: r.entry()?, guard: r.u16()? },
            6 => Ghost::Split { entry: r.u16()?, at: r.term()? },
            7 => Ghost::SplitCat { entry: r.u16()? },
            8 => Ghost::Join { first: r.u16()?, second: r.u16()? },
            9 => Ghost::One { of: r.through()?, to_array: r.bit()? },
            10 => Ghost::Equal { of: r.through()?, offset: r.term()?, mem: r.mem()? },
            11 => Ghost::EqualWord { place: r.place()?, word: r.word()? },
            12 => Ghost::RetypeJunk { entry: r.u16()? },
            13 => Ghost::RetypeShape { entry: r.u16()?, mem: r.mem()? },
            14 => Ghost::RetypeZero { entry: r.u16()?, mem: r.mem()? },
            15 => Ghost::RetypePlain {
                entry: r.u16()?,
                mem: if r.bit()? { Some(r.mem()?) } else { None },
            },
            16 => Ghost::Unfold { entry: r.u16()? },
            17 => {
                let entry = r.u16()?;
                let (ty, args) = r.named()?;
                Ghost::Fold { entry, ty, args }
            }
            18 => Ghost::Open { entry: r.u16()? },
            19 => Ghost::Pack { entry: r.u16()?, mem: r.mem()?, witnesses: r.terms()? },
            20 => Ghost::FieldClose { entry: r.u16()?, field: r.u16()?, ty: r.field_ty()? },
            21 => Ghost::Leak { cap: r.u16()? },
            22 => Ghost::Borrow { entry: r.u16()?, mode: r.mode()? },
            23 => Ghost::Share { entry: r.u16()?, mode: r.mode()? },
            24 => Ghost::RegionEnd { token: r.u16()? },
            25 => Ghost::ViewWeaken { view: r.u16()? },
            26 => Ghost::ViewPart { view: r.u16()?, from: r.term()?, count: r.term()? },
            27 => Ghost::ViewCat { view: r.u16()?, second: r.bit()? },
            28 => Ghost::ViewPlain { view: r.u16()? },
            29 => Ghost::ViewUnfold { view: r.u16()? },
            30 => Ghost::ViewOpen { view: r.u16()? },
            31 => Ghost::ViewData { data: DataId(r.u16()?) },
            32 => Ghost::Carve { offset: r.i64()?, size: r.i64()? },
            33 => Ghost::Uncarve { name: r.var()?, entry: r.u16()? },
            34 => Ghost::FrameWord { place: r.place()?, name: r.var()? },
            35 => Ghost::Renorm { place: r.place()?, signed: r.bit()? },
            _ => return r.malformed(),
        })
    }

    /// `3 * position + (0 entry, 1 view, 2 data)`.
    pub(crate) fn through(&mut self) -> Result<Through> {
        let code = self.uint()?;
        let number = u16::try_from(code.checked_div(3).unwrap_or(0));
        Ok(match (code.checked_rem(3), number) {
            (Some(0), Ok(i)) => Through::Entry(i),
            (Some(1), Ok(i)) => Through::View(i),
            (Some(_), Ok(i)) => Through::Data(DataId(i)),
            _ => return self.malformed(),
        })
    }

    fn place(&mut self) -> Result<Place> {
        Ok(if self.bit()? { Place::Slot(self.i64()?) } else { Place::Reg(self.reg()?) })
    }

    /// A bit for a step, then one for a scale that is not 1.
    pub(crate) fn proof(&mut self) -> Result<Proof> {
        if self.bit()? {
            return Ok(Proof::Step(self.step()?));
        }
        let scaled = self.bit()?;
        let scale = if scaled { self.uint()? } else { 1 };
        if scale == 0 || (scaled && scale == 1) {
            return self.malformed();
        }
        Ok(Proof::Comb(Comb { scale, premises: self.premises()? }))
    }

    /// Fact numbers by their gaps, each with its factor: strictly increasing by form.
    fn premises(&mut self) -> Result<Vec<(u16, i128)>> {
        let count = self.count(limits::PREMISES)?;
        let mut next = Some(0_u16);
        self.many(count, |r| {
            let gap = r.u16()?;
            let Some(number) = next.and_then(|n| n.checked_add(gap)) else {
                return r.malformed();
            };
            next = number.checked_add(1);
            Ok((number, r.int()?))
        })
    }

    fn step(&mut self) -> Result<Step> {
        Ok(match self.tag(8)? {
            0 => Step::Comb { premises: self.premises()?, slack: self.int()? },
            1 => Step::Cut { fact: self.u16()?, divisor: self.int()? },
            2 => Step::Neq { fact: self.u16()?, positive: self.bit()? },
            3 => Step::Product(self.u16()?, self.u16()?),
            4 => Step::Scale(self.u16()?, self.term()?),
            5 => Step::Bound(self.var()?, End::Low),
            6 => Step::Bound(self.var()?, End::High),
            _ => Step::Bound(self.var()?, End::Both),
        })
    }

    pub(crate) fn inst(&mut self) -> Result<Inst> {
        Ok(match self.tag(7)? {
            0 => Inst::Int(self.term()?),
            1 => Inst::Ptr(self.base()?, self.term()?),
            2 => Inst::Small(self.term()?),
            3 => Inst::Word(self.word()?),
            4 => Inst::Code(self.base()?),
            5 => Inst::Region(self.region()?),
            _ => {
                let count = self.count(limits::CAPS)?;
                Inst::Store(self.many(count, Self::u16)?)
            }
        })
    }

    pub(crate) fn template(&mut self) -> Result<Template> {
        Ok(Template {
            fresh: self.u16()?,
            word: self.word()?,
            facts: self.facts()?,
            moved: self.terms()?,
            kept: self.terms()?,
        })
    }
}

impl Writer {
    fn opcode(&mut self, opcode: u8) {
        self.uint(opcode);
    }

    pub(crate) fn ghost(&mut self, ghost: &Ghost) {
        match ghost {
            Ghost::Step(step) => {
                self.opcode(0);
                self.step(step);
            }
            Ghost::SizeFacts { of } => {
                self.opcode(1);
                self.through(*of);
            }
            Ghost::GuardTrue { of, guard } => {
                self.opcode(2);
                self.through(*of);
                self.uint(*guard);
            }
            Ghost::GuardFalse { entry, guard } => {
                self.opcode(3);
                self.uint(*entry);
                self.uint(*guard);
            }
            Ghost::GuardAdd { of, guard } => {
                self.opcode(4);
                self.through(*of);
                self.guard(guard);
            }
            Ghost::GuardVoid { entry, guard } => {
                self.opcode(5);
                self.entry(entry);
                self.uint(*guard);
            }
            Ghost::Split { entry, at } => {
                self.opcode(6);
                self.uint(*entry);
                self.term(at);
            }
            Ghost::SplitCat { entry } => {
                self.opcode(7);
                self.uint(*entry);
            }
            Ghost::Join { first, second } => {
                self.opcode(8);
                self.uint(*first);
                self.uint(*second);
            }
            Ghost::One { of, to_array } => {
                self.opcode(9);
                self.through(*of);
                self.bit(*to_array);
            }
            Ghost::Equal { of, offset, mem } => {
                self.opcode(10);
                self.through(*of);
                self.term(offset);
                self.mem(mem);
            }
            Ghost::EqualWord { place, word } => {
                self.opcode(11);
                self.place(*place);
                self.word(word);
            }
            Ghost::RetypeJunk { entry } => {
                self.opcode(12);
                self.uint(*entry);
            }
            Ghost::RetypeShape { entry, mem } => {
                self.opcode(13);
                self.uint(*entry);
                self.mem(mem);
            }
            Ghost::RetypeZero { entry, mem } => {
                self.opcode(14);
                self.uint(*entry);
                self.mem(mem);
            }
            Ghost::RetypePlain { entry, mem } => {
                self.opcode(15);
                self.uint(*entry);
                self.bit(mem.is_some());
                if let Some(mem) = mem {
                    self.mem(mem);
                }
            }
            Ghost::Unfold { entry } => {
                self.opcode(16);
                self.uint(*entry);
            }
            Ghost::Fold { entry, ty, args } => {
                self.opcode(17);
                self.uint(*entry);
                self.named(*ty, args);
            }
            Ghost::Open { entry } => {
                self.opcode(18);
                self.uint(*entry);
            }
            Ghost::Pack { entry, mem, witnesses } => {
                self.opcode(19);
                self.uint(*entry);
                self.mem(mem);
                self.terms(witnesses);
            }
            Ghost::FieldClose { entry, field, ty } => {
                self.opcode(20);
                self.uint(*entry);
                self.uint(*field);
                self.field_ty(ty);
            }
            Ghost::Leak { cap } => {
                self.opcode(21);
                self.uint(*cap);
            }
            Ghost::Borrow { entry, mode } => {
                self.opcode(22);
                self.uint(*entry);
                self.mode(*mode);
            }
            Ghost::Share { entry, mode } => {
                self.opcode(23);
                self.uint(*entry);
                self.mode(*mode);
            }
            Ghost::RegionEnd { token } => {
                self.opcode(24);
                self.uint(*token);
            }
            Ghost::ViewWeaken { view } => {
                self.opcode(25);
                self.uint(*view);
            }
            Ghost::ViewPart { view, from, count } => {
                self.opcode(26);
                self.uint(*view);
                self.term(from);
                self.term(count);
            }
            Ghost::ViewCat { view, second } => {
                self.opcode(27);
                self.uint(*view);
                self.bit(*second);
            }
            Ghost::ViewPlain { view } => {
                self.opcode(28);
                self.uint(*view);
            }
            Ghost::ViewUnfold { view } => {
                self.opcode(29);
                self.uint(*view);
            }
            Ghost::ViewOpen { view } => {
                self.opcode(30);
                self.uint(*view);
            }
            Ghost::ViewData { data } => {
                self.opcode(31);
                self.uint(data.0);
            }
            Ghost::Carve { offset, size } => {
                self.opcode(32);
                self.int(*offset);
                self.int(*size);
            }
            Ghost::Uncarve { name, entry } => {
                self.opcode(33);
                self.var(*name);
                self.uint(*entry);
            }
            Ghost::FrameWord { place, name } => {
                self.opcode(34);
                self.place(*place);
                self.var(*name);
            }
            Ghost::Renorm { place, signed } => {
                self.opcode(35);
                self.place(*place);
                self.bit(*signed);
            }
        }
    }

    pub(crate) fn through(&mut self, through: Through) {
        let (number, class) = match through {
            Through::Entry(i) => (i, 0),
            Through::View(i) => (i, 1),
            Through::Data(d) => (d.0, 2),
        };
        self.uint(u64::from(number).saturating_mul(3).saturating_add(class));
    }

    fn place(&mut self, place: Place) {
        match place {
            Place::Reg(reg) => {
                self.bit(false);
                self.reg(reg);
            }
            Place::Slot(at) => {
                self.bit(true);
                self.int(at);
            }
        }
    }

    pub(crate) fn proof(&mut self, proof: &Proof) {
        match proof {
            Proof::Step(step) => {
                self.bit(true);
                self.step(step);
            }
            Proof::Comb(comb) => {
                self.bit(false);
                self.bit(comb.scale != 1);
                if comb.scale != 1 {
                    self.uint(comb.scale);
                }
                self.premises(&comb.premises);
            }
        }
    }

    fn premises(&mut self, premises: &[(u16, i128)]) {
        let mut next = 0_u16;
        self.many(premises, |w, (number, factor)| {
            w.uint(number.saturating_sub(next));
            next = number.saturating_add(1);
            w.int(*factor);
        });
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Comb { premises, slack } => {
                self.uint(0_u8);
                self.premises(premises);
                self.int(*slack);
            }
            Step::Cut { fact, divisor } => {
                self.uint(1_u8);
                self.uint(*fact);
                self.int(*divisor);
            }
            Step::Neq { fact, positive } => {
                self.uint(2_u8);
                self.uint(*fact);
                self.bit(*positive);
            }
            Step::Product(a, b) => {
                self.uint(3_u8);
                self.uint(*a);
                self.uint(*b);
            }
            Step::Scale(fact, by) => {
                self.uint(4_u8);
                self.uint(*fact);
                self.term(by);
            }
            Step::Bound(v, end) => {
                self.uint(match end {
                    End::Low => 5_u8,
                    End::High => 6,
                    End::Both => 7,
                });
                self.var(*v);
            }
        }
    }

    pub(crate) fn inst(&mut self, inst: &Inst) {
        match inst {
            Inst::Int(term) => {
                self.uint(0_u8);
                self.term(term);
            }
            Inst::Ptr(base, offset) => {
                self.uint(1_u8);
                self.base(*base);
                self.term(offset);
            }
            Inst::Small(term) => {
                self.uint(2_u8);
                self.term(term);
            }
            Inst::Word(word) => {
                self.uint(3_u8);
                self.word(word);
            }
            Inst::Code(base) => {
                self.uint(4_u8);
                self.base(*base);
            }
            Inst::Region(region) => {
                self.uint(5_u8);
                self.region(*region);
            }
            Inst::Store(positions) => {
                self.uint(6_u8);
                self.many(positions, |w, p| w.uint(*p));
            }
        }
    }

    pub(crate) fn template(&mut self, t: &Template) {
        self.uint(t.fresh);
        self.word(&t.word);
        self.facts(&t.facts);
        self.terms(&t.moved);
        self.terms(&t.kept);
    }
}
