//! Not trusted: a bug here can reject, never admit. The host's interface, from its files.

use crate::lowered::TypeInfo;
use tal_core::image::Interface;

/// What the host offers, with names.
#[derive(Clone, Debug)]
pub struct Host {
    /// What the judge sees.
    pub interface: Interface,
    /// Names of `interface.types`.
    pub types: Vec<TypeInfo>,
    /// Names of the origins: `OriginId(i)` is `origins[i]`.
    pub origins: Vec<String>,
    /// Names of `interface.imports`.
    pub imports: Vec<ImportInfo>,
    /// Names of the variables of the start signature.
    pub start_names: Vec<String>,
}

/// An import.
#[derive(Clone, Debug)]
pub struct ImportInfo {
    /// Its name.
    pub name: String,
    /// Names of the variables of its signature.
    pub names: Vec<String>,
}
