//! TCB. Owned memory seen at another type of the same size (core.md 4.5).
//!
//! An entry lies inside one object, so its size is between 0 and 2^46 whatever its type. What has
//! to be proved of a new type is that none of its parts is negative: with several parts a negative
//! one could hide in the sum (redteam U11).

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::mem::parts;
use crate::rules::entry::unguarded;
use crate::rules::guard::entry_mut;
use crate::state::State;
use crate::ty::{Field, FieldTy, Mem};

impl<H: Hints> Judge<'_, H> {
    /// rule[retype-junk]: what owns memory is not forgotten; the content is to be moved out first.
    pub(crate) fn retype_junk(&mut self, st: &mut State, entry: u16) -> Result<()> {
        let rule = Rule::RetypeJunk;
        let mem = unguarded(st, entry, rule)?.mem.clone();
        premise!(!self.owns(&mem)?, Error::new(rule, Kind::Capability));
        let junk = Rc::new(Mem::Junk(self.size(&mem)?));
        entry_mut(st, entry, rule)?.mem = junk;
        Ok(())
    }

    /// rule[retype-shape]: bytes that nobody reads get a shape.
    pub(crate) fn retype_shape(&mut self, st: &mut State, entry: u16, mem: &Rc<Mem>) -> Result<()> {
        let rule = Rule::RetypeShape;
        let have = unguarded(st, entry, rule)?.mem.clone();
        premise!(matches!(&*have, Mem::Junk(_)), Error::new(rule, Kind::BadHint));
        premise!(self.wf_mem_in(st, mem));
        premise!(self.only_junk(mem)?, Error::new(rule, Kind::Capability));
        self.replace(st, entry, &have, mem, rule)
    }

    /// rule[retype-zero].
    pub(crate) fn retype_zero(&mut self, st: &mut State, entry: u16, mem: &Rc<Mem>) -> Result<()> {
        let rule = Rule::RetypeZero;
        let have = unguarded(st, entry, rule)?.mem.clone();
        premise!(matches!(&*have, Mem::Zero(_)), Error::new(rule, Kind::BadHint));
        premise!(self.wf_mem_in(st, mem));
        premise!(self.zero_ok(mem)?, Error::new(rule, Kind::Capability));
        self.replace(st, entry, &have, mem, rule)
    }

    /// rule[retype-plain]: plain memory as bytes, or bytes as plain memory.
    pub(crate) fn retype_plain(
        &mut self,
        st: &mut State,
        entry: u16,
        mem: Option<&Rc<Mem>>,
    ) -> Result<()> {
        let rule = Rule::RetypePlain;
        let have = unguarded(st, entry, rule)?.mem.clone();
        let bytes = Rc::new(Mem::Bytes(self.size(&have)?));
        let (plain, new) = match mem {
            None => (&have, &bytes),
            Some(mem) => {
                premise!(matches!(&*have, Mem::Bytes(_)), Error::new(rule, Kind::BadHint));
                premise!(self.wf_mem_in(st, mem));
                (mem, mem)
            }
        };
        premise!(self.plain(plain)?, Error::new(rule, Kind::Capability));
        self.replace(st, entry, &have, new, rule)
    }

    /// Sizes are equal and no part of the new type is negative.
    fn replace(
        &mut self,
        st: &mut State,
        entry: u16,
        have: &Rc<Mem>,
        want: &Rc<Mem>,
        rule: Rule,
    ) -> Result<()> {
        let rest = self.size(have)?.sub(&self.size(want)?).or_refuse(rule)?;
        premise!(self.prove_eq(st, &rest, rule));
        if parts(want).nth(1).is_some() {
            for part in parts(want) {
                match &**part {
                    Mem::Array(n, _) | Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => {
                        premise!(self.prove_ge(st, n, Rule::WfSize));
                    }
                    Mem::Struct { .. } | Mem::Cat(..) | Mem::Ex { .. } | Mem::Named(..) => {}
                }
            }
        }
        entry_mut(st, entry, rule)?.mem = want.clone();
        Ok(())
    }

    /// Are all fields junk? Named types are to be written out.
    fn only_junk(&mut self, mem: &Mem) -> Result<bool> {
        let junk = |f: &Field| matches!(f.ty, FieldTy::Junk(_));
        let mut mem = mem;
        loop {
            self.burn(1)?;
            match mem {
                Mem::Struct { fields, .. } => return Ok(holds!(fields.iter().all(junk))),
                Mem::Junk(_) => return Ok(true),
                Mem::Array(_, element) => mem = element,
                Mem::Cat(first, second) => {
                    if !self.only_junk(first)? {
                        return Ok(false);
                    }
                    mem = second;
                }
                Mem::Bytes(_) | Mem::Zero(_) | Mem::Ex { .. } | Mem::Named(..) => {
                    return Ok(holds!(false));
                }
            }
        }
    }
}
