//! Not trusted: a bug here can reject, never admit. Ghosts and certificates by their opcodes:
//! writes what `tal-core/src/wire/ghost.rs` reads.

use crate::write::Writer;
use tal_core::hint::{End, Ghost, Inst, Place, Proof, Step, Template, Through};

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
