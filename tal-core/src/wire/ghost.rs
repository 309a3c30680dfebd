//! TCB. Ghosts and certificates by their opcodes.

use super::read::Reader;
use crate::hint::{Comb, End, Ghost, Inst, Place, Proof, Step, Template, Through};
use crate::judge::Result;
use crate::limits;
use crate::ty::DataId;
use alloc::vec::Vec;

/// The ghosts in the order of their opcodes. docs/spec/format.md shows this list.
pub const OPCODES: [&str; 36] = [
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
        // There is one such list at a time.
        let mut premises = core::mem::take(&mut self.spare);
        for _ in 0..count {
            let gap = self.u16()?;
            let number = self.some(next.and_then(|n| n.checked_add(gap)))?;
            next = number.checked_add(1);
            premises.push((number, self.int()?));
        }
        Ok(premises)
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
