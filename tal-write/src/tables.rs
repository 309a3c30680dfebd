//! Not trusted: a bug here can reject, never admit. The tables of an annotation section, and an
//! interface: writes what `tal-core/src/wire/tables.rs` reads.

use crate::record::Recorded;
use crate::write::Writer;
use tal_core::image::{Data, DataKind, Image, Interface};
use tal_core::ty::NamedType;
use tal_core::wire::{INTERFACE_MAGIC, MAGIC, VERSION};

pub(crate) fn interface(interface: &Interface) -> Vec<u8> {
    let mut w = Writer::default();
    w.extend(&INTERFACE_MAGIC);
    w.byte(VERSION);
    w.many(&interface.types, named_type);
    w.uint(interface.origins);
    w.many(&interface.imports, |w, sig| w.sig(sig));
    w.sig(&interface.start);
    w.finish()
}

pub(crate) fn section(image: &Image<'_>, interface: &Interface, recorded: &Recorded) -> Vec<u8> {
    let mut w = Writer::default();
    w.extend(&MAGIC);
    w.byte(VERSION);
    w.byte(0);
    w.extend(&interface.hash);
    w.many(&image.types, named_type);
    w.many(&image.sigs, |w, sig| w.sig(sig));
    let mut next = 0_u32;
    w.many(&image.functions, |w, f| {
        w.uint(f.offset.saturating_sub(next));
        next = f.offset.saturating_add(1);
        w.uint(f.sig);
    });
    let mut next = 0_u32;
    w.many(&image.labels, |w, offset| {
        w.uint(offset.saturating_sub(next));
        next = offset.saturating_add(1);
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
    let mut section = w.finish();
    section.extend(recorded.writer.finish());
    section
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
