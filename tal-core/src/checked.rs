//! TCB. The proof that an image was judged.

use crate::hint::Hints;
use crate::image::{Image, Interface, Segment};
use crate::judge::Result;
use crate::{driver, wire};

/// An image that was judged safe. Only [`verify_section`] makes one, and it owns the image that it
/// judged: the proof cannot be carried over to another.
#[derive(Debug)]
pub struct Checked<'a> {
    image: Image<'a>,
    features: u8,
}

impl<'a> Checked<'a> {
    /// What was judged.
    #[must_use]
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// CPU features that the text needs ([`crate::table::Feature::bit`]): where one is missing, the
    /// same bytes mean something else (trap 134), so the host must not run them.
    #[must_use]
    pub fn features(&self) -> u8 {
        self.features
    }
}

/// Judges text and data by the annotations of the section.
///
/// # Errors
/// Why it is refused.
pub fn verify_section<'a>(
    text: &'a [u8],
    text_address: u32,
    segments: &[Segment<'a>],
    section: &'a [u8],
    interface: &Interface,
) -> Result<Checked<'a>> {
    verify_section_through(text, text_address, segments, section, interface, |hints| hints)
}

/// [`verify_section`] with something between the judge and the hints: a host that wants to be heard
/// now and then. What it answers in their place can reject, never admit.
///
/// # Errors
/// Why it is refused.
pub fn verify_section_through<'a, H: Hints>(
    text: &'a [u8],
    text_address: u32,
    segments: &[Segment<'a>],
    section: &'a [u8],
    interface: &Interface,
    through: impl FnOnce(wire::Stream<'a>) -> H,
) -> Result<Checked<'a>> {
    let (image, hints) = wire::decode(text, text_address, segments, section, interface)?;
    let hints = through(hints);
    let bytes = u64::try_from(text.len().saturating_add(section.len())).unwrap_or(u64::MAX);
    let features = driver::verify(&image, interface, hints, bytes)?;
    Ok(Checked { image, features })
}
