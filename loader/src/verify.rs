//! TCB. From allegation to proof: [`Verified`] is what only a positive judgement can make, and what
//! mapping takes.

use crate::image::{Image, NotAdmitted};
use core::fmt;
use tal_core::error::Error;
use tal_core::hint::Hints;
use tal_core::image::Interface;
use tal_core::wire::Stream;
use tal_core::{Checked, premise, verify_section, verify_section_through};

/// An image whose machine code and data were judged safe.
///
/// Having a `Verified` tells you: `tal-core` accepted exactly the bytes that the [`Image`] inside
/// shows, against exactly the interface that was given to [`verify`], and the entry point of the
/// file, if it tells one, is the start that was judged. It does not tell where the bytes will be:
/// who maps them has to put them where they say.
#[derive(Debug)]
pub struct Verified<'a> {
    // All private, and made together in `conclude` only.
    image: Image<'a>,
    checked: Checked<'a>,
    entry: u32,
}

impl<'a> Verified<'a> {
    /// The file that was judged.
    #[must_use]
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// Absolute address of the start that was judged.
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// Imports of the interface by gate number.
    #[must_use]
    pub fn imports(&self) -> &[u16] {
        &self.checked.image().imports
    }

    /// CPU features without which the text means something else ([`tal_core::table::Feature`]).
    #[must_use]
    pub fn features(&self) -> u8 {
        self.checked.features()
    }

    /// What the annotations said, now known to be true.
    #[must_use]
    pub fn judged(&self) -> &tal_core::image::Image<'a> {
        self.checked.image()
    }
}

/// Why a file is not run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The file has not the form that is admitted.
    File(NotAdmitted),
    /// The judge says no.
    Code(Error),
    /// The file starts elsewhere than the program that was judged.
    Start,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::File(error) => error.fmt(f),
            Refusal::Code(error) => crate::words::code(error, f),
            Refusal::Start => f.write_str("at file offset 0x18: the entry point is not the start"),
        }
    }
}

/// Judges the bytes of a file.
///
/// # Errors
/// The first reason not to run it.
pub fn verify<'a>(file: &'a [u8], interface: &Interface) -> Result<Verified<'a>, Refusal> {
    let image = Image::parse(file).map_err(Refusal::File)?;
    let (text, at) = (image.text(), image.text_address());
    let checked = verify_section(text, at, image.data(), image.annotations(), interface);
    conclude(image, checked)
}

/// [`verify`] by a host that wants to be heard now and then
/// ([`tal_core::verify_section_through`]).
///
/// # Errors
/// As [`verify`].
pub fn verify_through<'a, H: Hints>(
    file: &'a [u8],
    interface: &Interface,
    through: impl FnOnce(Stream<'a>) -> H,
) -> Result<Verified<'a>, Refusal> {
    let image = Image::parse(file).map_err(Refusal::File)?;
    let (text, at) = (image.text(), image.text_address());
    let (data, annotations) = (image.data(), image.annotations());
    let checked = verify_section_through(text, at, data, annotations, interface, through);
    conclude(image, checked)
}

/// What the verdict on an image means for its file.
fn conclude<'a>(
    image: Image<'a>,
    checked: Result<Checked<'a>, Error>,
) -> Result<Verified<'a>, Refusal> {
    let checked = checked.map_err(Refusal::Code)?;
    let judged = checked.image();
    let start = judged.start.ok_or(Refusal::Start)?;
    let index = usize::try_from(start.0).map_err(|_| Refusal::Start)?;
    let start = judged.functions.get(index).ok_or(Refusal::Start)?;
    let entry = judged.text_address.checked_add(start.offset).ok_or(Refusal::Start)?;
    premise!(image.entry().is_none_or(|alleged| alleged == entry), Refusal::Start);
    Ok(Verified { image, checked, entry })
}
