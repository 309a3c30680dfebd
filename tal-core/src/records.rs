//! TCB (bounded). The records of the labels of a function. All share one list of each kind, which
//! only grows; a record is what lies between where the lists ended before it and behind it. When
//! the function is done, all go at once, and their room is used again.

use crate::error::{OrRefuse, Rule};
use crate::judge::Result;
use crate::limits;
use crate::term::Var;
use crate::ty::{Cap, Declared, Fact, Kind, Lent, NameSet, Record, Reg, View, Word};
use alloc::vec::Vec;

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Records {
    vars: Vec<Kind>,
    regs: Vec<(Reg, Word)>,
    facts: Vec<Fact>,
    slots: Vec<(i64, Word)>,
    refinements: Vec<(Var, NameSet)>,
    lent: Vec<Lent>,
    views: Vec<View>,
    caps: Vec<Cap>,
    more: Vec<More>,
    ends: Vec<Ends>,
}

/// Where the lists end behind a record that are longer than before it in most, and those records
/// that have more.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    vars: u32,
    regs: u32,
    facts: u32,
    more: u32,
}

/// What few records have, and where its lists end behind it.
#[derive(Clone, Copy, Debug, Default)]
struct More {
    frame: Option<(i64, i64)>,
    slots: u32,
    refinements: u32,
    lent: u32,
    views: u32,
    caps: u32,
    lends: bool,
    owns: bool,
}

impl Records {
    /// What is kept of a record beside its lists.
    pub(crate) const BYTES: usize = size_of::<Ends>();
    /// And if it has more.
    pub(crate) const MORE: usize = size_of::<More>();

    /// Takes over what is in a record, which is empty then. Says its number.
    pub(crate) fn push(&mut self, record: &mut Record) -> Result<u32> {
        let number = length(&self.ends)?;
        let Record { vars, refinements, facts, regs, frame, slots, lent, views, caps } = record;
        let (lends, owns) = (lent.is_some(), caps.is_some());
        let empty = refinements.is_empty() && slots.is_empty() && views.is_empty();
        if !empty || frame.is_some() || lends || owns {
            self.more.push(More {
                frame: frame.take(),
                slots: joined(&mut self.slots, slots)?,
                refinements: joined(&mut self.refinements, refinements)?,
                lent: joined(&mut self.lent, &mut lent.take().unwrap_or_default())?,
                views: joined(&mut self.views, views)?,
                caps: joined(&mut self.caps, &mut caps.take().unwrap_or_default())?,
                lends,
                owns,
            });
        }
        self.ends.push(Ends {
            vars: joined(&mut self.vars, vars)?,
            regs: joined(&mut self.regs, regs)?,
            facts: joined(&mut self.facts, facts)?,
            more: length(&self.more)?,
        });
        Ok(number)
    }

    /// What the record of this number declares.
    pub(crate) fn get(&self, number: u32) -> Option<Declared<'_>> {
        let (from, to) = around(&self.ends, number)?;
        let declared = Declared {
            vars: between(&self.vars, from.vars, to.vars)?,
            regs: between(&self.regs, from.regs, to.regs)?,
            facts: between(&self.facts, from.facts, to.facts)?,
            ..Declared::default()
        };
        if from.more == to.more {
            return Some(declared);
        }
        let (from, to) = around(&self.more, from.more)?;
        let lent = between(&self.lent, from.lent, to.lent)?;
        let caps = between(&self.caps, from.caps, to.caps)?;
        Some(Declared {
            frame: to.frame,
            slots: between(&self.slots, from.slots, to.slots)?,
            refinements: between(&self.refinements, from.refinements, to.refinements)?,
            lent: to.lends.then_some(lent),
            views: between(&self.views, from.views, to.views)?,
            caps: to.owns.then_some(caps),
            ..declared
        })
    }

    /// Of the next function.
    pub(crate) fn clear(&mut self) {
        emptied(&mut self.vars);
        emptied(&mut self.regs);
        emptied(&mut self.facts);
        emptied(&mut self.slots);
        emptied(&mut self.refinements);
        emptied(&mut self.lent);
        emptied(&mut self.views);
        emptied(&mut self.caps);
        emptied(&mut self.more);
        emptied(&mut self.ends);
    }
}

/// The ends before and behind what has this number.
fn around<T: Copy + Default>(ends: &[T], number: u32) -> Option<(T, T)> {
    let number = usize::try_from(number).ok()?;
    let from = match number.checked_sub(1) {
        Some(before) => *ends.get(before)?,
        None => T::default(),
    };
    Some((from, *ends.get(number)?))
}

/// Where the list ends with these.
fn joined<T>(list: &mut Vec<T>, more: &mut Vec<T>) -> Result<u32> {
    list.append(more);
    length(list)
}

fn length<T>(list: &[T]) -> Result<u32> {
    u32::try_from(list.len()).ok().or_refuse(Rule::Limit)
}

fn between<T>(list: &[T], from: u32, to: u32) -> Option<&[T]> {
    list.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}

/// Much room is given back: the next function pays for as much as it needs.
pub(crate) fn emptied<T>(list: &mut Vec<T>) {
    if list.capacity() > limits::ROOM {
        *list = Vec::new();
    } else {
        list.clear();
    }
}
