//! Not trusted: a bug here can reject, never admit. Text <-> tree.
//!
//! This crate turns source text into a tree and back, and shows diagnostics. It knows nothing of types being right, of
//! encodings or of ELF. Reading order: [`ast`] (the tree), `token.rs` and `grammar.lalrpop` (text to tree), `print.rs` (tree to
//! text), [`diag`] and `render.rs` (diagnostics as data, and their looks).

pub mod ast;
pub mod diag;
pub mod reg;
pub mod source;
pub mod span;

pub use diag::Diag;
pub use span::{FileId, Span};

/// Reads a source file: the tree, and what is wrong with the text.
///
/// The tree is as complete as the errors allow, so that later passes can report more in the same run; a program with an error
/// among its diagnostics is refused whatever they say.
pub fn parse(file: FileId, text: &str) -> (ast::File, Vec<Diag>) {
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let refusal = Diag::error(diag::Code(1), Span::new(file, 0, end), "no grammar yet");
    (ast::File { id: file, decls: Vec::new(), comments: Vec::new() }, vec![refusal])
}
