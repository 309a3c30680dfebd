//! TCB. The gate: an ELF file becomes an allegation ([`image`]), the allegation is judged
//! ([`verify`]), and only what was judged can be mapped (feature `user`).
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
extern crate alloc;
#[cfg(feature = "user")]
extern crate std;

pub mod image;
