//! TCB. The annotations as bytes: docs/spec/format.md. Reading here; writing in `wire/write.rs`.

use crate::error::{Error, Kind, Rule};
use crate::image::{Image, Interface, Segment};
use crate::judge::Result;
use alloc::vec::Vec;

mod stream;
mod write;
pub use stream::Stream;
pub use write::{Recorded, Recorder};

/// The image that the section claims, and its hints.
///
/// # Errors
/// When the section is malformed.
pub fn decode<'a>(
    _text: &'a [u8],
    _text_address: u32,
    _segments: &[Segment<'a>],
    _section: &'a [u8],
    _interface: &Interface,
) -> Result<(Image<'a>, Stream<'a>)> {
    Err(Error::new(Rule::Wire, Kind::Malformed(0)))
}

/// The interface of these bytes; `hash` is the digest that the host took of them.
///
/// # Errors
/// When the bytes are malformed.
pub fn read_interface(_bytes: &[u8], _hash: [u8; 32]) -> Result<Interface> {
    Err(Error::new(Rule::Wire, Kind::Malformed(0)))
}

/// The bytes of an interface, without its digest.
#[must_use]
pub fn write_interface(_interface: &Interface) -> Vec<u8> {
    Vec::new()
}

/// The section of this image with these recorded answers.
#[must_use]
pub fn encode(_image: &Image<'_>, _interface: &Interface, _recorded: &Recorded) -> Vec<u8> {
    Vec::new()
}
