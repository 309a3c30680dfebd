//! Not trusted: a bug here can reject, never admit. Writes a checked program as an ELF file, and
//! has the loader judge the very bytes before anybody sees them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod convert;
pub mod debug;
pub mod elf;
pub mod output;
pub mod program;
