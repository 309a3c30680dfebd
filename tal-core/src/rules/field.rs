//! TCB. A word back into its field (rule[field-close]).

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::mem::{exact, weight, width};
use crate::rules::entry::unguarded;
use crate::rules::guard::entry_mut;
use crate::rules::memory::with_field;
use crate::state::State;
use crate::ty::{FieldTy, Mem, Word};

impl<H: Hints> Judge<'_, H> {
    /// rule[field-close]: the field, which holds a known word, has type `ty` of the same width.
    pub(crate) fn field_close(
        &mut self,
        st: &mut State,
        entry: u16,
        field: u16,
        ty: &FieldTy,
    ) -> Result<()> {
        let rule = Rule::FieldClose;
        let parent = unguarded(st, entry, rule)?.clone();
        let Mem::Struct { fields, size } = &*parent.mem else {
            return Err(Error::new(rule, Kind::BadHint));
        };
        let field = usize::from(field);
        let old = fields.get(field).or_refuse(rule)?;
        premise!(self.wf_field_in(st, ty));
        premise!(width(&old.ty) == width(ty), Error::new(rule, Kind::BadHint));
        self.burn(weight(fields))?;
        let taken = self.close_word(st, &old.ty, ty)?;
        let at = still_at(entry, taken).ok_or(Error::new(rule, Kind::Capability))?;
        let fields = with_field(fields, field, ty.clone(), rule)?;
        let mem = Rc::new(Mem::Struct { fields, size: *size });
        entry_mut(st, at, rule)?.mem = mem;
        Ok(())
    }

    /// What the field holds is a value of `ty`.
    /// Says which entry of C went into it.
    fn close_word(&mut self, st: &mut State, old: &FieldTy, ty: &FieldTy) -> Result<Option<u16>> {
        match (old, ty) {
            (FieldTy::Known(word @ (Word::Int(_) | Word::Ptr(..))), _) => {
                self.gets_type(st, word, ty)
            }
            (
                FieldTy::Int { bits, signed, facts: old },
                FieldTy::Int { bits: to, signed: sign, facts },
            ) => {
                let e = exact(old).ok_or(Error::new(Rule::FieldClose, Kind::BadHint))?;
                let proved = Some((*bits, *signed));
                premise!(self.has_int(st, &Word::Int(e), (*to, *sign), facts, proved));
                Ok(None)
            }
            (FieldTy::Int { bits: 64, facts: old, .. }, _) => {
                let e = exact(old).ok_or(Error::new(Rule::FieldClose, Kind::BadHint))?;
                self.gets_type(st, &Word::Int(e), ty)
            }
            (
                FieldTy::Int { .. }
                | FieldTy::Known(_)
                | FieldTy::Own { .. }
                | FieldTy::Ref { .. }
                | FieldTy::Junk(_),
                _,
            ) => Err(Error::new(Rule::FieldClose, Kind::BadHint)),
        }
    }
}

/// Where the parent stands once another entry was taken out; an entry cannot go into its own field.
fn still_at(parent: u16, taken: Option<u16>) -> Option<u16> {
    match taken {
        None => Some(parent),
        Some(at) if at == parent => None,
        Some(at) if at < parent => parent.checked_sub(1),
        Some(_) => Some(parent),
    }
}
