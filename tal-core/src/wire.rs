//! TCB. The annotations as bytes: docs/spec/format.md. Reading is trusted to be total, canonical
//! and bounded; that the annotations are right is for the judge to find out.

use crate::image::{Image, Interface, Segment};
use crate::judge::Result;
use alloc::vec::Vec;

pub(crate) mod ghost;
pub(crate) mod guess;
pub(crate) mod put;
pub(crate) mod read;
mod record;
mod stream;
pub(crate) mod tables;
pub use record::{Recorded, Recorder};
pub use stream::Stream;

/// First bytes of an annotation section.
pub const MAGIC: [u8; 4] = *b"\x7fTAL";
/// First bytes of an interface.
pub const INTERFACE_MAGIC: [u8; 4] = *b"\x7fTAI";
/// Version of both.
pub const VERSION: u8 = 3;
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

/// The bytes of an interface, without its digest.
#[must_use]
pub fn write_interface(interface: &Interface) -> Vec<u8> {
    record::interface(interface)
}

/// The section of this image with these recorded answers.
#[must_use]
pub fn encode(image: &Image<'_>, interface: &Interface, recorded: &Recorded) -> Vec<u8> {
    record::section(image, interface, recorded)
}
