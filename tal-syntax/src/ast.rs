//! Not trusted: a bug here can reject, never admit. The tree of a source file.
//!
//! Plain data. One node per production of the grammar (`grammar.lalrpop`, `docs/spec/grammar.md`);
//! each node has the span of the text it stands for. The tree says what was written and nothing
//! about what it means: names are not resolved, constants are not folded, an item is not yet known
//! to be a binding or a fact.
//!
//! Where a part could not be parsed the tree holds an `Error` node (or lacks the part) and the list
//! of diagnostics is not empty; a tree that came with no error holds no `Error` node.

mod code;
mod decl;
mod item;
mod spans;

pub use code::*;
pub use decl::*;
pub use item::*;

pub use crate::reg::{Gpr, Reg, Width};
pub use crate::span::{FileId, Span};
pub use smol_str::SmolStr;

/// A source file, `.tal` or `.tali`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The file's number, as in its spans.
    pub id: FileId,
    /// Declarations in source order.
    pub decls: Vec<Decl>,
    /// Comments in source order.
    pub comments: Vec<Comment>,
}

/// A comment, from its first `;` to the end of the line (exclusive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The text, `;` included, without trailing white space.
    pub text: String,
    /// Where.
    pub span: Span,
    /// Whether something else stands before it on its line.
    pub trailing: bool,
}

impl Comment {
    /// What the test that reads the comment expects, if it is a directive.
    pub fn directive(&self) -> Option<Directive<'_>> {
        if let Some(text) = self.text.strip_prefix(";!") {
            return Some(Directive::Expect(text.trim()));
        }
        self.text.strip_prefix(";?").map(|text| Directive::State(text.trim()))
    }
}

/// A comment that tests read; an ordinary comment to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive<'a> {
    /// `;! error[E0301]`: this diagnostic is expected on this line.
    Expect(&'a str),
    /// `;? rcx: int[0 .. n - 1]`: this is known before the instruction on this line.
    State(&'a str),
}

/// An identifier with its place. `node.next` is one name; a local name keeps its dot (`.loop`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The text.
    pub text: SmolStr,
    /// Where.
    pub span: Span,
}

impl Name {
    /// The part before the first inner dot and the rest: `node.next` is `("node", Some("next"))`.
    pub fn split(&self) -> (&str, Option<&str>) {
        match self.text.get(1..).and_then(|tail| tail.find('.')) {
            Some(at) => (&self.text[..at + 1], Some(&self.text[at + 2..])),
            None => (&self.text, None),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
