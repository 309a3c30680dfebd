//! Not trusted: a bug here can reject, never admit. Text <-> tree.
//!
//! This crate turns source text into a tree and back, and shows diagnostics. It knows nothing of
//! types being right, of encodings or of ELF. Reading order: [`ast`] (the tree); text to tree:
//! `token.rs`, `delimit.rs`, `layout.rs`, `grammar.lalrpop`, `parse.rs`, `expected.rs` (errors in
//! words), [`habits`] (lines of other assemblers); `print.rs` (tree to text); [`diag`] and
//! `render.rs` (diagnostics as data, and their looks); [`codes`] (the pages behind the codes).

pub mod ast;
pub mod codes;
mod delimit;
pub mod diag;
mod expected;
pub mod habits;
mod layout;
mod literal;
mod parse;
pub mod print;
pub mod reg;
pub mod render;
pub mod source;
pub mod span;
mod token;

pub use diag::Diag;
pub use parse::parse;
pub use span::{FileId, Span};
