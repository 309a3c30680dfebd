//! Not trusted: a bug here can reject, never admit. What the host offers, with its names.

use std::cell::RefCell;
use tal_core::counted::Rc;
use tal_core::image::Interface;
use tal_core::ty::NamedType;
use tal_syntax::ast::File;
use tal_syntax::{FileId, Span};
/// The files of the interface, in order.
pub const FILES: [(&str, &str); 2] = [
    ("kernel.tali", include_str!("../../interface/kernel.tali")),
    ("heap.tali", include_str!("../../interface/heap.tali")),
];

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
    /// Where it is declared.
    pub span: Span,
}

thread_local! {
    /// The trees that the host was compiled from, in the order of their files: root, then
    /// [`FILES`].
    static TREES: RefCell<Vec<Rc<File>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the trees of [`FILES`], with that of their root before them.
pub(crate) fn keep(trees: Vec<Rc<File>>) {
    TREES.set(trees);
}

/// A named type with the names of its parts.
#[derive(Clone, Debug)]
pub struct TypeInfo {
    /// Its name.
    pub name: String,
    /// What the judge sees.
    pub ty: NamedType,
    /// Names of `Param(0..)`.
    pub params: Vec<String>,
    /// Names of `Bound(0..)`, if the body is an `ex`.
    pub hidden: Vec<String>,
    /// The fields as written, by offset.
    pub fields: Vec<FieldInfo>,
    /// Where it is declared.
    pub span: Span,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Bytes from the start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// The tree of the interface's file of this name, if it was read and its number was the same: then
/// it need not be parsed again.
pub(crate) fn tree(file: FileId, name: &str) -> Option<Rc<File>> {
    let at = FILES.iter().position(|(own, _)| *own == name)? + 1;
    TREES.with_borrow(|trees| trees.get(at).filter(|tree| tree.id == file).cloned())
}
