//! Not trusted: a bug here can reject, never admit. Drafts and data get addresses, and become
//! bytes.

use super::TEXT_ADDRESS;
use super::draft::{Draft, Output, Symbol};
use crate::layout::{self, Object};
use crate::lowered::{DataInfo, Fixup, FnInfo};
use iced_x86::Instruction;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::ty::{DataId, Sig};
use tal_syntax::Span;

/// Functions begin at multiples of this.
const FUNCTION_ALIGN: u32 = 16;
/// The most text and data that an image has.
const IMAGE_BYTES: u64 = 1 << 30;

/// What stands at its place, as in [`crate::lowered::Lowered`].
pub(crate) struct Linked {
    pub text: Vec<u8>,
    pub code: Vec<Instruction>,
    pub functions: Vec<FnInfo>,
    pub sigs: Vec<Rc<Sig>>,
    pub data: Vec<DataInfo>,
    pub fixups: Vec<Fixup>,
}

/// Why there is no image.
pub(crate) struct Unlinked {
    /// The function that is to blame, by number.
    pub function: usize,
    pub span: Span,
    pub why: Why,
}

/// What is wrong.
pub(crate) enum Why {
    /// All of it is larger than an image may be.
    TooLarge,
    /// An instruction does not reach what it names.
    OutOfReach,
}

/// Gives everything an address and writes bytes.
pub(crate) fn link(mut drafts: Vec<Draft>, mut objects: Vec<Object>) -> Result<Linked, Unlinked> {
    let mut starts = Vec::new();
    let mut end: u64 = 0;
    for draft in &mut drafts {
        draft.relax();
        end = end.next_multiple_of(u64::from(FUNCTION_ALIGN));
        starts.push(u32::try_from(end).unwrap_or(u32::MAX));
        end += u64::from(draft.size);
    }
    let data_end = layout::addresses(TEXT_ADDRESS, end, &mut objects);
    if data_end - u64::from(TEXT_ADDRESS) > IMAGE_BYTES {
        let span = drafts.first().map_or_else(Span::default, |d| d.span());
        return Err(Unlinked { function: 0, span, why: Why::TooLarge });
    }
    let address = |symbol: Symbol| match symbol {
        Symbol::Data(d) => objects.get(usize::from(d.0)).map_or(0, |o| u64::from(o.address)),
        Symbol::Function(f) => {
            let at = usize::try_from(f.0).ok().and_then(|i| starts.get(i));
            at.map_or(0, |s| u64::from(TEXT_ADDRESS) + u64::from(*s))
        }
    };
    let tables = table_contents(&drafts, &starts);
    let mut out = Output {
        text: Vec::with_capacity(usize::try_from(end).unwrap_or(0)),
        text_address: TEXT_ADDRESS,
        fixups: Vec::new(),
        instructions: Vec::with_capacity(drafts.iter().map(|d| d.pieces.len()).sum()),
        address: &address,
    };
    let mut functions: Vec<FnInfo> = Vec::with_capacity(drafts.len());
    let mut sigs: Vec<Rc<Sig>> = Vec::new();
    let mut numbers: BTreeMap<Rc<Sig>, u32> = BTreeMap::new();
    for (function, (draft, at)) in drafts.into_iter().zip(&starts).enumerate() {
        out.text.resize(*at as usize, 0xcc);
        let sig = draft.named.sig.clone();
        let far = |span| Unlinked { function, span, why: Why::OutOfReach };
        let mut info = draft.write(&mut out).map_err(far)?;
        let next = u32::try_from(sigs.len()).unwrap_or(u32::MAX);
        info.sig = *numbers.entry(sig.clone()).or_insert(next);
        if info.sig == next {
            sigs.push(sig);
        }
        functions.push(info);
    }
    let Output { text, mut fixups, instructions: code, .. } = out;
    let data = layout::finish(&objects, &tables, TEXT_ADDRESS, &mut fixups);
    Ok(Linked { text, code, functions, sigs, data, fixups })
}

/// Text offsets of the targets of every jump table.
fn table_contents(drafts: &[Draft], starts: &[u32]) -> BTreeMap<DataId, Vec<u32>> {
    let mut tables = BTreeMap::new();
    for (draft, start) in drafts.iter().zip(starts) {
        for (id, list) in &draft.tables {
            tables.insert(*id, draft.targets(*start, list));
        }
    }
    tables
}
