//! TCB. The gate: a file becomes an allegation ([`image`]), the allegation is judged
//! ([`verify()`]), and only what was judged can be mapped (`map`, feature `user`).
//!
//! Without the feature `user` this is `no_std` and what the kernel links: it reads bytes and says
//! yes or no.
#![no_std]
#![cfg_attr(not(feature = "user"), forbid(unsafe_code))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
extern crate alloc;
#[cfg(feature = "user")]
extern crate std;

pub mod image;
pub mod interface;
pub mod notice;
pub mod verify;
pub mod words;

#[cfg(feature = "user")]
pub mod faults;
#[cfg(feature = "user")]
pub mod gates;
#[cfg(feature = "user")]
pub mod lines;
#[cfg(feature = "user")]
pub mod link;
#[cfg(feature = "user")]
pub mod listing;
#[cfg(feature = "user")]
pub mod map;

pub use image::Image;
pub use verify::{Refusal, Verified, verify};
