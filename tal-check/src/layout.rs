//! Not trusted: a bug here can reject, never admit. Addresses of data, and their bytes.

use crate::lowered::{DataInfo, Fixup, FixupKind, FixupTarget};
use std::collections::BTreeMap;
use tal_core::image::DataKind;
use tal_core::ty::DataId;
use tal_syntax::Span;
use tal_syntax::ast::Section;

/// A data object without its address.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub name: String,
    pub public: bool,
    pub section: Section,
    pub kind: DataKind,
    pub size: u32,
    pub contents: Option<Vec<u8>>,
    pub fixups: Vec<Fixup>,
    pub span: Span,
    pub address: u32,
}

/// Sections begin at multiples of this.
const PAGE: u64 = 4096;
/// Objects begin at multiples of this.
const ALIGN: u64 = 16;

/// Gives every object its address: rodata on the page after the text, data on the page after
/// that, bss directly after data. Returns the end.
pub(crate) fn addresses(text_address: u32, text_size: u64, objects: &mut [Object]) -> u64 {
    let mut at = u64::from(text_address) + text_size;
    let mut section = None;
    for object in objects {
        let writable = object.section != Section::Rodata;
        if section != Some(writable) {
            at = at.next_multiple_of(PAGE);
            section = Some(writable);
        }
        at = at.next_multiple_of(ALIGN);
        object.address = u32::try_from(at).unwrap_or(u32::MAX);
        at += u64::from(object.size);
    }
    at
}

/// The objects with their bytes; their addresses join the fixups.
pub(crate) fn finish(
    objects: &[Object],
    tables: &BTreeMap<DataId, Vec<u32>>,
    text_address: u32,
    fixups: &mut Vec<Fixup>,
) -> Vec<DataInfo> {
    let address = |d: DataId| objects.get(usize::from(d.0)).map_or(0, |o| i64::from(o.address));
    let mut data = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        let id = DataId(u16::try_from(i).unwrap_or(u16::MAX));
        let mut contents = object.contents.clone();
        for fixup in &object.fixups {
            let FixupTarget::Data(target) = fixup.target else { continue };
            let value = address(target).wrapping_add(fixup.addend);
            let at = fixup.offset as usize;
            if let Some(bytes) = contents.as_mut().and_then(|c| c.get_mut(at..at + 8)) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
            fixups.push(*fixup);
        }
        if let Some(targets) = tables.get(&id) {
            let mut bytes = Vec::new();
            for (j, target) in targets.iter().enumerate() {
                fixups.push(Fixup {
                    data: Some(id),
                    offset: u32::try_from(j * 8).unwrap_or(u32::MAX),
                    kind: FixupKind::Abs64,
                    target: FixupTarget::Text(*target),
                    addend: 0,
                });
                bytes.extend((u64::from(text_address) + u64::from(*target)).to_le_bytes());
            }
            contents = Some(bytes);
        }
        data.push(DataInfo {
            name: object.name.clone(),
            public: object.public,
            section: object.section,
            address: object.address,
            size: object.size,
            kind: object.kind.clone(),
            contents,
            span: object.span,
        });
    }
    data
}
