//! TCB. The ghosts by their rules (core.md 4.4 to 4.11): steps that take no instruction.

use crate::error::{Error, Kind, Rule};
use crate::hint::{Ghost, Hints, Through};
use crate::judge::{Judge, Result};
use crate::state::State;

impl<H: Hints> Judge<'_, H> {
    /// Runs one ghost.
    ///
    /// # Errors
    /// The rule of the ghost.
    pub fn ghost(&mut self, st: &mut State, ghost: &Ghost) -> Result<()> {
        match ghost {
            Ghost::Step(step) => self.step(st, step),
            Ghost::SizeFacts { of } => self.size_facts(st, *of),
            Ghost::GuardTrue { of, guard } => self.guard_true(st, *of, *guard),
            Ghost::GuardFalse { entry, guard } => self.guard_false(st, *entry, *guard),
            Ghost::GuardAdd { of, guard } => self.guard_add(st, *of, guard),
            Ghost::GuardVoid { entry, guard } => self.guard_void(st, entry, *guard),
            Ghost::Split { entry, at } => self.entry_split(st, *entry, at),
            Ghost::SplitCat { entry } => self.entry_split_cat(st, *entry),
            Ghost::Join { first, second } => self.entry_join(st, *first, *second),
            Ghost::One { of: Through::Entry(i), to_array } => self.entry_one(st, *i, *to_array),
            Ghost::One { of: Through::View(i), to_array } => self.view_one(st, *i, *to_array),
            Ghost::Equal { of: Through::Entry(i), offset, mem } => {
                self.entry_equal(st, *i, offset, mem)
            }
            Ghost::Equal { of: Through::View(i), offset, mem } => {
                self.view_equal(st, *i, offset, mem)
            }
            Ghost::One { of: Through::Data(_), .. } => refuse!(hint(Rule::EntryOne)),
            Ghost::Equal { of: Through::Data(_), .. } => refuse!(hint(Rule::EntryEqual)),
            Ghost::EqualWord { place, word } => self.equal_word(st, *place, word),
            Ghost::RetypeJunk { entry } => self.retype_junk(st, *entry),
            Ghost::RetypeShape { entry, mem } => self.retype_shape(st, *entry, mem),
            Ghost::RetypeZero { entry, mem } => self.retype_zero(st, *entry, mem),
            Ghost::RetypePlain { entry, mem } => self.retype_plain(st, *entry, mem.as_ref()),
            Ghost::Unfold { entry } => self.entry_unfold(st, *entry),
            Ghost::Fold { entry, ty, args } => self.entry_fold(st, *entry, *ty, args),
            Ghost::Open { entry } => self.entry_open(st, *entry),
            Ghost::Pack { entry, mem, witnesses } => self.entry_pack(st, *entry, mem, witnesses),
            Ghost::FieldClose { entry, field, ty } => self.field_close(st, *entry, *field, ty),
            Ghost::Leak { cap } => self.entry_leak(st, *cap),
            Ghost::Borrow { entry, mode } => self.borrow(st, *entry, *mode),
            Ghost::Share { entry, mode } => self.share(st, *entry, *mode),
            Ghost::RegionEnd { token } => self.region_end(st, *token),
            Ghost::ViewWeaken { view } => self.view_weaken(st, *view),
            Ghost::ViewPart { view, from, count } => self.view_part(st, *view, from, count),
            Ghost::ViewCat { view, second } => self.view_cat(st, *view, *second),
            Ghost::ViewPlain { view } => self.view_plain(st, *view),
            Ghost::ViewUnfold { view } => self.view_unfold(st, *view),
            Ghost::ViewOpen { view } => self.view_open(st, *view),
            Ghost::ViewData { data } => self.view_data(st, *data),
            Ghost::Carve { offset, size } => self.carve(st, *offset, *size),
            Ghost::Uncarve { name, entry } => self.uncarve(st, *name, *entry),
            Ghost::FrameWord { place, name } => self.frame_word(st, *place, *name),
            Ghost::Renorm { place, signed } => self.renorm(st, *place, *signed),
        }
    }
}

fn hint(rule: Rule) -> Error {
    Error::new(rule, Kind::BadHint)
}
