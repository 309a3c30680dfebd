//! TCB. Data objects and their initial bytes (core.md 4.14).
//!
//! What an object is claimed to be is compared with the bytes that will be loaded, every field of
//! them: a pointer in data is the address of an object with the very type that the field promises
//! (trap 107).

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::image::{Contents, Data, DataKind};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::{Subst, deeper, holds_at, parts, width};
use crate::term::{Term, Var};
use crate::ty::{DataId, Fact, Field, FieldTy, FnId, Mem, Mode, Rel, Word};
use crate::wf::{Ctx, ill};
use alloc::vec::Vec;

impl<'a, H: Hints> Judge<'a, H> {
    /// Every object: rule[data-object], rule[data-init], rule[table-object]; and that they are
    /// sorted and disjoint.
    ///
    /// # Errors
    /// The rule of the object.
    pub fn data(&mut self) -> Result<()> {
        let rule = Rule::DataObject;
        let image = self.image;
        let mut end = 0_u32;
        for (index, data) in image.data.iter().enumerate() {
            self.burn(1)?;
            let id = DataId(u16::try_from(index).map_err(|_| Error::new(rule, Kind::Limit))?);
            premise!(data.address >= end, ill(rule));
            premise!(data.size > 0, ill(rule));
            end = data.address.checked_add(data.size).ok_or(ill(rule))?;
            let low = i128::from(data.address) >= limits::ADDRESS_LOW;
            premise!(low, ill(rule));
            premise!(u64::from(end) <= limits::IMAGE_HIGH, ill(rule));
            match data.kind {
                DataKind::Object { .. } => {
                    premise!(self.data_object(id));
                    premise!(self.data_init(id));
                }
                DataKind::Table { .. } => premise!(self.table_object(id)),
            }
        }
        Ok(())
    }

    fn object(&self, id: DataId, rule: Rule) -> Result<&'a Data<'a>> {
        self.image.data.get(usize::from(id.0)).ok_or(ill(rule))
    }

    /// rule[data-object]: a closed type that owns nothing (redteam A16), of the object's size;
    /// pages are writable exactly for `rw`.
    ///
    /// # Errors
    /// rule[data-object] and the rules of wf.
    pub fn data_object(&mut self, id: DataId) -> Result<()> {
        let rule = Rule::DataObject;
        let data = self.object(id, rule)?;
        let DataKind::Object { mem, mode } = &data.kind else { return Err(ill(rule)) };
        premise!(self.wf_mem(Ctx::closed(), mem, 0));
        premise!(!self.owns(mem)?, ill(rule));
        premise!(self.size(mem)?.as_int() == Some(i128::from(data.size)), ill(rule));
        match mode {
            Mode::Ro => {
                premise!(!data.writable, ill(rule));
                Ok(())
            }
            Mode::Rw => {
                premise!(data.writable, ill(rule));
                Ok(())
            }
            Mode::Rd => refuse!(ill(rule)),
        }
    }

    /// rule[data-init].
    ///
    /// # Errors
    /// When the bytes are no value of the type.
    pub fn data_init(&mut self, id: DataId) -> Result<()> {
        let rule = Rule::DataInit;
        let data = self.object(id, rule)?;
        let DataKind::Object { mem, .. } = &data.kind else { return Err(ill(rule)) };
        match data.contents {
            Contents::Zero => {
                premise!(self.zero_ok(mem)?, ill(rule));
                Ok(())
            }
            Contents::Bytes(bytes) => {
                let size = usize::try_from(data.size).map_err(|_| ill(rule))?;
                premise!(bytes.len() == size, ill(rule));
                self.pays(data.size, |judge| {
                    let rest = judge.init(mem, bytes, 0)?;
                    premise!(rest.is_empty(), ill(rule));
                    Ok(())
                })
            }
        }
    }

    /// Bytes of data pay for themselves, as bytes of text do. What they leave over is not spent on
    /// text: megabytes of zeroes would buy it hours.
    fn pays(&mut self, bytes: u32, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.fuel;
        let paid = u64::from(bytes).saturating_mul(limits::FUEL_FACTOR);
        self.fuel = before.saturating_add(paid);
        work(self)?;
        self.fuel = self.fuel.min(before);
        Ok(())
    }

    /// The bytes begin with a value of `mem`; what follows it.
    fn init<'b>(&mut self, mem: &Rc<Mem>, bytes: &'b [u8], depth: usize) -> Result<&'b [u8]> {
        let rule = Rule::DataInit;
        let depth = deeper(depth)?;
        self.burn(1)?;
        let size = self.size(mem)?.as_int().and_then(|n| usize::try_from(n).ok());
        let (value, rest) = bytes.split_at_checked(size.ok_or(ill(rule))?).ok_or(ill(rule))?;
        if self.plain(mem)? {
            return Ok(rest);
        }
        match &**mem {
            Mem::Struct { fields, .. } => premise!(self.init_struct(fields, value)),
            Mem::Array(n, element) => {
                let count = n.as_int().and_then(|n| usize::try_from(n).ok()).ok_or(ill(rule))?;
                let mut value = value;
                for _ in 0..count {
                    value = self.init(element, value, depth)?;
                }
            }
            Mem::Bytes(_) | Mem::Junk(_) => {}
            Mem::Zero(_) => {
                self.burn(value.len())?;
                premise!(value.iter().all(|b| *b == 0), ill(rule));
            }
            Mem::Cat(..) => {
                let mut value = value;
                for part in parts(mem) {
                    value = self.init(part, value, depth)?;
                }
            }
            Mem::Ex { vars, facts, body } => {
                let body = self.witnessed(*vars, facts, body, value)?;
                self.init(&body, value, depth)?;
            }
            Mem::Named(..) => {
                let body = self.body(mem, rule)?;
                self.init(&body, value, depth)?;
            }
        }
        Ok(rest)
    }

    /// Each field a value of its type, the gaps zero.
    fn init_struct(&mut self, fields: &[Field], bytes: &[u8]) -> Result<()> {
        let rule = Rule::DataInit;
        let mut rest = bytes;
        let mut at = 0_u32;
        for field in fields {
            self.burn(1)?;
            let gap = usize::try_from(field.offset.saturating_sub(at)).map_err(|_| ill(rule))?;
            let (zeroes, here) = rest.split_at_checked(gap).ok_or(ill(rule))?;
            premise!(zeroes.iter().all(|b| *b == 0), ill(rule));
            let size = usize::try_from(width(&field.ty)).map_err(|_| ill(rule))?;
            let (value, after) = here.split_at_checked(size).ok_or(ill(rule))?;
            premise!(self.init_field(&field.ty, value));
            rest = after;
            at = field.offset.saturating_add(width(&field.ty));
        }
        premise!(rest.iter().all(|b| *b == 0), ill(rule));
        Ok(())
    }

    fn init_field(&mut self, ty: &FieldTy, bytes: &[u8]) -> Result<()> {
        let rule = Rule::DataInit;
        match ty {
            FieldTy::Int { signed, facts, .. } => {
                self.burn(facts.len())?;
                premise!(holds_at(facts, number(bytes, *signed)), ill(rule));
                Ok(())
            }
            FieldTy::Known(Word::Int(e)) => {
                let rest = e.as_int().and_then(|e| e.checked_sub(number(bytes, false)));
                premise!(rest.and_then(|r| r.checked_rem(1 << 64)) == Some(0), ill(rule));
                Ok(())
            }
            FieldTy::Ref { nullable, mode, mem } => {
                let address = number(bytes, false);
                if address == 0 && holds!(*nullable) {
                    return Ok(());
                }
                premise!(self.init_ref(address, *mode, mem));
                Ok(())
            }
            FieldTy::Junk(_) => Ok(()),
            FieldTy::Known(_) | FieldTy::Own { .. } => refuse!(ill(rule)),
        }
    }

    /// The address of an object of this very type and mode.
    fn init_ref(&mut self, address: i128, mode: Mode, mem: &Rc<Mem>) -> Result<()> {
        let rule = Rule::DataInit;
        let image = self.image;
        let found = image.data.binary_search_by(|d| i128::from(d.address).cmp(&address));
        let object = found.ok().and_then(|i| image.data.get(i)).ok_or(ill(rule))?;
        let DataKind::Object { mem: there, mode: have } = &object.kind else {
            return Err(ill(rule));
        };
        premise!(*have == mode, ill(rule));
        let mut differences = Vec::new();
        premise!(self.differ_mem(there, mem, rule, &mut differences));
        premise!(differences.is_empty(), ill(rule));
        Ok(())
    }

    /// The body of an `ex` for the witnesses that its own fields tell, their facts evaluated.
    fn witnessed(
        &mut self,
        vars: u16,
        facts: &[Fact],
        body: &Rc<Mem>,
        bytes: &[u8],
    ) -> Result<Rc<Mem>> {
        let rule = Rule::DataInit;
        let Mem::Struct { fields, .. } = &**body else { return Err(ill(rule)) };
        let mut witnesses = Vec::with_capacity(usize::from(vars));
        for i in 0..vars {
            self.burn(fields.len())?;
            let told = fields.iter().find_map(|f| tells(f, Var::Bound(i), bytes));
            let value = Term::constant_of(told.ok_or(ill(rule))?).or_refuse(rule)?;
            witnesses.push(value);
        }
        let s = Subst::Bound(&witnesses);
        let facts = self.subst_facts(facts, s)?;
        // Closed now: at any value of the field variable, which does not occur.
        premise!(holds_at(&facts, 0), ill(rule));
        self.subst_mem(body, s)
    }

    /// rule[table-object]: addresses of labels of one function, and nothing else.
    ///
    /// # Errors
    /// rule[table-object].
    pub fn table_object(&mut self, id: DataId) -> Result<()> {
        let rule = Rule::TableObject;
        let data = self.object(id, rule)?;
        let (DataKind::Table { function }, Contents::Bytes(bytes)) = (&data.kind, &data.contents)
        else {
            return Err(ill(rule));
        };
        premise!(!data.writable, ill(rule));
        premise!(usize::try_from(data.size).is_ok_and(|size| size == bytes.len()), ill(rule));
        premise!(!bytes.is_empty(), ill(rule));
        premise!(bytes.len().checked_rem(8) == Some(0), ill(rule));
        self.pays(data.size, |judge| {
            let mut words = bytes.chunks_exact(8);
            words.try_for_each(|word| judge.table_entry(*function, number(word, false)))
        })
    }

    fn table_entry(&mut self, function: FnId, address: i128) -> Result<()> {
        let rule = Rule::TableObject;
        self.burn(1)?;
        let image = self.image;
        let offset = address.checked_sub(i128::from(image.text_address)).ok_or(ill(rule))?;
        let found = image.labels.binary_search_by(|l| i128::from(*l).cmp(&offset));
        let label = found.ok().and_then(|i| u32::try_from(i).ok()).ok_or(ill(rule))?;
        premise!(self.label_owner(label)? == function, ill(rule));
        Ok(())
    }
}

/// Little-endian, at most eight bytes.
fn number(bytes: &[u8], signed: bool) -> i128 {
    let mut value = 0_i128;
    let mut weight = 1_i128;
    for byte in bytes.iter().take(8) {
        value = value.saturating_add(i128::from(*byte).saturating_mul(weight));
        weight = weight.saturating_mul(256);
    }
    let negative = signed && bytes.last().is_some_and(|b| *b >= 128);
    if negative { value.saturating_sub(weight) } else { value }
}

/// The value of `v`, if the field says `= v`.
fn tells(field: &Field, v: Var, bytes: &[u8]) -> Option<i128> {
    let start = usize::try_from(field.offset).ok()?;
    let end = start.checked_add(usize::try_from(width(&field.ty)).ok()?)?;
    let signed = match &field.ty {
        FieldTy::Known(Word::Int(e)) if e.as_var() == Some(v) => false,
        FieldTy::Int { signed, facts, .. } => {
            let known = |f: &Fact| match crate::mem::exact(core::slice::from_ref(f)) {
                Some(e) => f.rel == Rel::Eq && e.as_var() == Some(v),
                None => false,
            };
            if !facts.iter().any(known) {
                return None;
            }
            *signed
        }
        _ => return None,
    };
    Some(number(bytes.get(start..end)?, signed))
}
