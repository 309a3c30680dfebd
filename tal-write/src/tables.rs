//! Not trusted: a bug here can reject, never admit. The tables of an annotation section, and an
//! interface: writes what `tal-core/src/wire/tables.rs` reads.

use crate::record::Recorded;
use crate::write::Writer;
use tal_core::image::{Data, DataKind, Image, Interface, Label};
use tal_core::ty::{LabelState, NamedType, Reg, Sig, Word};
use tal_core::wire::shared::{flag, owner, usual};
use tal_core::wire::{INTERFACE_MAGIC, MAGIC, VERSION};

pub(crate) fn interface(interface: &Interface) -> Vec<u8> {
    let mut w = Writer::default();
    w.bytes.extend(INTERFACE_MAGIC);
    w.byte(VERSION);
    w.many(&interface.types, named_type);
    w.uint(interface.origins);
    w.many(&interface.imports, |w, sig| w.sig(sig));
    w.sig(&interface.start);
    w.bytes
}

pub(crate) fn section(image: &Image<'_>, interface: &Interface, recorded: &Recorded) -> Vec<u8> {
    let mut w = Writer::default();
    w.bytes.extend(MAGIC);
    w.byte(VERSION);
    w.byte(0);
    w.bytes.extend(interface.hash);
    w.many(&image.types, named_type);
    w.many(&image.sigs, |w, sig| w.sig(sig));
    let mut next = 0_u32;
    w.many(&image.functions, |w, f| {
        w.uint(f.offset.saturating_sub(next));
        next = f.offset.saturating_add(1);
        w.uint(f.sig);
    });
    let mut next = 0_u32;
    w.many(&image.labels, |w, Label { offset, state }| {
        w.uint(offset.saturating_sub(next));
        next = offset.saturating_add(1);
        if let Some(sig) = owner(&image.functions, &image.sigs, *offset) {
            label_state(w, sig, state);
        }
    });
    let mut end = 0_u32;
    w.many(&image.data, |w, d| {
        w.uint(d.address.saturating_sub(end));
        end = d.address.saturating_add(d.size);
        data(w, d);
    });
    let mut next = 0_u16;
    w.many(&image.imports, |w, import| {
        w.uint(import.saturating_sub(next));
        next = import.saturating_add(1);
    });
    w.uint(image.start.map_or(0, |f| f.0.saturating_add(1)));
    w.bytes.extend(&recorded.writer.bytes);
    w.bytes
}

fn named_type(w: &mut Writer, ty: &NamedType) {
    w.uint(ty.arity);
    w.uint(ty.size);
    w.uint(u8::from(ty.zero_ok) | u8::from(ty.plain) << 1 | u8::from(ty.owns) << 2);
    w.mem(&ty.body);
}

fn data(w: &mut Writer, data: &Data<'_>) {
    w.uint(data.size);
    match &data.kind {
        DataKind::Object { mem, mode } => {
            w.mode(*mode);
            w.mem(mem);
        }
        DataKind::Table { function } => {
            w.uint(3_u8);
            w.uint(function.0);
        }
    }
}

fn label_state(w: &mut Writer, sig: &Sig, s: &LabelState) {
    let (usual_regs, usual_slots) = usual(sig);
    let split = s.slots.partition_point(|(at, _)| *at < 0);
    let (lower, upper) = s.slots.split_at_checked(split).unwrap_or((&s.slots, &[]));
    let framed = s.delta != 0 || s.touched != 0 || !lower.is_empty();
    let flags = [
        (flag::ENTRY_CAPS, s.caps == sig.pre.caps),
        (flag::ENTRY_SLOTS, upper == usual_slots),
        (flag::LENT, !s.lent.is_empty()),
        (flag::REFINEMENTS, !s.refinements.is_empty()),
        (flag::VIEWS, !s.views.is_empty()),
        (flag::FACTS, !s.facts.is_empty()),
        (flag::VARS, !s.vars.is_empty()),
        (flag::FRAME, framed),
    ];
    w.byte(flags.iter().filter(|(_, on)| *on).fold(0, |sum, (flag, _)| sum | flag));
    if !s.vars.is_empty() {
        w.kinds(&s.vars);
    }
    if !s.refinements.is_empty() {
        w.many(&s.refinements, |w, (name, set)| {
            w.var(*name);
            w.name_set(set);
        });
    }
    if !s.facts.is_empty() {
        w.facts(&s.facts);
    }
    let mut regs = s.regs.clone();
    if let Some(rsp) = regs.get_mut(Reg::Rsp as usize) {
        *rsp = Word::Junk;
    }
    w.regs(&regs, &usual_regs);
    if framed {
        let depth = s.delta.saturating_neg().checked_div(8).unwrap_or(0);
        w.uint(u64::try_from(depth).unwrap_or(u64::MAX));
        w.int(s.touched);
        slots(w, lower, s.delta);
    }
    if upper != usual_slots {
        slots(w, upper, 0);
    }
    if !s.lent.is_empty() {
        w.many(&s.lent, Writer::lent);
    }
    if !s.views.is_empty() {
        w.views(&s.views);
    }
    if s.caps != sig.pre.caps {
        w.caps(&s.caps);
    }
}

fn slots(w: &mut Writer, slots: &[(i64, Word)], first: i64) {
    let mut next = first;
    w.many(slots, |w, (at, word)| {
        let skip = at.saturating_sub(next).checked_div(8).unwrap_or(0);
        w.uint(u64::try_from(skip).unwrap_or(u64::MAX));
        next = at.saturating_add(8);
        w.word(word);
    });
}
