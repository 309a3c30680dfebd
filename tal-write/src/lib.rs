//! Not trusted: a bug here can reject, never admit. The annotations as bytes: docs/spec/format.md.
//! This crate writes what `tal-core/src/wire.rs` reads; the kernel has no need of it.
//!
//! The law of both: to decode and encode again changes no byte, and what is written is read as the
//! same value. Who writes stands beside who reads:
//!
//! | here | in `tal_core::wire` | |
//! |---|---|---|
//! | [`encode`] | `decode` | a section: tables, then hints |
//! | [`write_interface`] | `read_interface` | an interface |
//! | `write.rs`: `Writer` | `read.rs`: `Reader` | one method for each form, of the same name |
//! | `ghost.rs` | `ghost.rs` | ghosts and certificates |
//! | `tables.rs` | `tables.rs` | tables |
//! | `record.rs`: [`Recorder`] | `stream.rs`: `Stream`, `record.rs` | hints |
//!
//! `flat.rs` has no counterpart there.
//!
//! What both must do alike (guesses, the numbers of flags, which form is the short one) is in
//! `tal-core` alone.
#![forbid(unsafe_code)]

mod flat;
mod ghost;
mod record;
mod tables;
mod write;
pub use flat::{Flat, Label, LabelState, Saved, owned, state_at};
pub use record::{Recorded, Recorder};

use tal_core::image::{Image, Interface};

/// The bytes of an interface, without its digest.
#[must_use]
pub fn write_interface(interface: &Interface) -> Vec<u8> {
    tables::interface(interface)
}

/// The section of this image with these recorded answers.
#[must_use]
pub fn encode(image: &Image<'_>, interface: &Interface, recorded: &Recorded) -> Vec<u8> {
    tables::section(image, interface, recorded)
}
