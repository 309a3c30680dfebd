//! TCB. The judge of typed x86-64 machine code.
//!
//! # Guarantee
//!
//! If `verify` says yes, and the host keeps its side (docs/guarantee.md), then every execution of
//! the image from its start executes only instructions of the table in `table` at the offsets that
//! were decoded; reads and writes only bytes that an entry, a live view or a stack slot of the
//! current state covers, at that type; transfers control only to block starts, entries, return
//! addresses of its own callers and imports; keeps the stack between its guard pages; and sends to
//! the outside only words that do not depend on an address.
//!
//! Not promised: termination, absence of leaks of memory, absence of faults that the host turns
//! into the end of the process, speculation.
//!
//! # Reading order
//!
//! [`term`], [`ty`], [`state`]: what is known. [`learn`], [`prove`]: of numbers, and what follows
//! from that. [`hint`]: what the judge is told. [`premise`]: how a rule says what it needs.
//! [`walk`], [`driver`]: the walk over each function. `rules`: one function a rule. [`wire`]: the
//! annotations, read from bytes. [`error`], [`limits`]. What holds while the judge runs:
//! docs/judge.md.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
extern crate alloc;
// For the support that unit tests share with the tests outside.
#[cfg(test)]
extern crate self as tal_core;

#[macro_use]
pub mod premise;

pub mod checked;
pub mod counted;
pub mod decode;
pub mod driver;
pub mod error;
pub mod hint;
pub mod image;
pub mod judge;
pub mod learn;
pub mod limits;
pub mod mem;
pub mod prove;
mod records;
pub mod rules;
pub mod state;
pub mod table;
pub mod term;
pub mod ty;
pub mod walk;
pub mod wf;
pub mod wire;

pub use checked::{Checked, verify_section, verify_section_through};
pub use driver::verify;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod testing;

#[cfg(test)]
mod tests;
