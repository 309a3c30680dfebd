//! Not trusted: a bug here can reject, never admit. Where jump tables lead.

use crate::lowered::{DataInfo, Lowered};
use tal_core::image::{Contents, Image};

/// The labels, by index, that a jump table names, in its order.
#[must_use]
pub fn table_labels(image: &Image<'_>, table: tal_core::ty::DataId) -> Vec<u32> {
    let Some(data) = image.data.get(usize::from(table.0)) else { return Vec::new() };
    let Contents::Bytes(bytes) = data.contents else { return Vec::new() };
    bytes
        .chunks_exact(8)
        .filter_map(|word| {
            let address = u64::from_le_bytes(word.try_into().ok()?);
            let offset = u32::try_from(address.checked_sub(u64::from(image.text_address))?).ok()?;
            let at = image.labels.binary_search(&offset).ok()?;
            u32::try_from(at).ok()
        })
        .collect()
}

/// Text offsets of the labels that a jump table names.
pub(crate) fn table_labels_at(lowered: &Lowered, table: &DataInfo) -> Vec<u32> {
    let bytes = table.contents.as_deref().unwrap_or_default();
    bytes
        .chunks_exact(8)
        .filter_map(|word| {
            let address = u64::from_le_bytes(word.try_into().ok()?);
            let offset = address.checked_sub(u64::from(lowered.text_address))?;
            u32::try_from(offset).ok()
        })
        .collect()
}
