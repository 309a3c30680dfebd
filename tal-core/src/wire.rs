//! TCB. The annotations as bytes: docs/spec/format.md. Reading is trusted to be total, canonical
//! and bounded; that the annotations are right is for the judge to find out. What is read here is
//! written by the crate `tal-write`, which is not trusted: to decode and encode again changes no
//! byte.

use crate::image::{Image, Interface, Segment};
use crate::judge::Result;

mod ghost;
#[doc(hidden)]
pub mod guess;
pub(crate) mod read;
mod record;
mod stream;
mod tables;
pub use stream::Stream;

/// First bytes of an annotation section.
pub const MAGIC: [u8; 4] = *b"\x7fTAL";
/// First bytes of an interface.
pub const INTERFACE_MAGIC: [u8; 4] = *b"\x7fTAI";
/// Version of both.
pub const VERSION: u8 = 4;

/// rule[wire]: the image that the section claims, and its hints.
///
/// # Errors
/// When the section is malformed or made for another interface.
pub fn decode<'a>(
    text: &'a [u8],
    text_address: u32,
    segments: &[Segment<'a>],
    section: &'a [u8],
    interface: &Interface,
) -> Result<(Image<'a>, Stream<'a>)> {
    let mut reader = read::Reader::new(section, text.len());
    let image = tables::image(&mut reader, text, text_address, segments, interface)?;
    Ok((image, Stream::new(reader)))
}

/// The interface of these bytes; `hash` is the digest that the host took of them.
///
/// # Errors
/// When the bytes are malformed.
pub fn read_interface(bytes: &[u8], hash: [u8; 32]) -> Result<Interface> {
    tables::interface(&mut read::Reader::new(bytes, 0), hash)
}

/// What reader and writer do alike, so that it is said once: for `tal-write` and its tests, not for
/// who has annotations judged.
#[doc(hidden)]
pub mod shared {
    pub use super::ghost::OPCODES;
    pub use super::read::{has_short_form, single_int};
    pub use super::record::{HEAD, flag};
}
