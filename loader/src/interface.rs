//! TCB. The interface that this host offers, compiled in: the wire form that `cargo xtask
//! interface` made of `interface/*.tali`. An object's own idea of it counts for nothing.

use core::fmt;
use tal_core::image::Interface;

const BYTES: &[u8] = include_bytes!("interface.bin");
const NAMES: &str = include_str!("interface.names");

/// The interface in the loader is not one: a mistake of whoever built the loader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadInterface;

impl fmt::Display for BadInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the interface built into the loader is broken: run cargo xtask interface")
    }
}

impl core::error::Error for BadInterface {}

/// The interface: 32 bytes of digest, then the wire form.
///
/// # Errors
/// When the loader was built with a broken one.
pub fn embedded() -> Result<Interface, BadInterface> {
    let (hash, bytes) = BYTES.split_first_chunk().ok_or(BadInterface)?;
    tal_core::wire::read_interface(bytes, *hash).map_err(|_| BadInterface)
}

/// Names of the imports, in the order of the interface.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.lines()
}
