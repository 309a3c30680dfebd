//! Not trusted: a bug here can reject, never admit. Declarations and signatures.

use super::{Body, Chain, Expr, Item, Name, Reg, Span, Type};

/// A declaration, with `pub` or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decl {
    /// Where `pub` stands, if it does. Never on `use` and `origin`.
    pub public: Option<Span>,
    /// What is declared.
    pub kind: DeclKind,
    /// The whole declaration.
    pub span: Span,
}

impl Decl {
    /// The name that is declared; `use` declares none.
    pub fn name(&self) -> Option<&Name> {
        match &self.kind {
            DeclKind::Use(_) | DeclKind::Error => None,
            DeclKind::Const(d) => Some(&d.name),
            DeclKind::Type(d) => Some(&d.name),
            DeclKind::Origin(d) => Some(&d.name),
            DeclKind::Struct(d) => Some(&d.name),
            DeclKind::Sum(d) => Some(&d.name),
            DeclKind::Data(d) => Some(&d.name),
            DeclKind::Fn(d) => Some(&d.name),
        }
    }
}

/// The kinds of declarations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclKind {
    /// `use "file"`
    Use(Use),
    /// `const N = e`
    Const(Const),
    /// `type t = T`, or `type t` (abstract)
    Type(TypeDecl),
    /// `origin heap`
    Origin(Origin),
    /// `struct s { .. }`
    Struct(Struct),
    /// `sum s by tag: u32 { .. }` (parsed; no meaning before stage v2)
    Sum(Sum),
    /// `rodata`, `data`, `bss`
    Data(Data),
    /// `fn f(..)`
    Fn(Fn),
    /// Could not be parsed; a diagnostic says why.
    Error,
}

/// `use "kernel.tali"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The file's name as written, relative to the file that names it.
    pub path: Str,
}

/// `const BUF = 64 * 1024`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Const {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expr,
}

/// `type errno = int[-4095 .. -1]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDecl {
    /// Its name.
    pub name: Name,
    /// Parameters.
    pub binders: Vec<Binder>,
    /// What it abbreviates; nothing: abstract (interface files).
    pub ty: Option<Type>,
}

/// `origin map`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: Name,
}

/// `struct arena exists r where 0 <= r packed { next: own@map zero[16*r] align 16, left = 16*r: u64
/// }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// Its name.
    pub name: Name,
    /// Parameters.
    pub binders: Vec<Binder>,
    /// Hidden variables.
    pub exists: Option<Exists>,
    /// Where `packed` stands: no padding.
    pub packed: Option<Span>,
    /// The fields: `name: type`, or `name = e: type`.
    pub fields: Vec<Item>,
}

/// `exists n where n <= 10`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exists {
    /// The hidden variables, at least one.
    pub binders: Vec<Binder>,
    /// What is known of them.
    pub facts: Vec<Item>,
    /// From `exists` to the last fact.
    pub span: Span,
}

/// `sum shape by kind: u32 { 0 = circle { r: u32 } }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Its name.
    pub name: Name,
    /// Parameters.
    pub binders: Vec<Binder>,
    /// The field that tells the cases apart.
    pub tag: Name,
    /// Its type.
    pub tag_type: Type,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case of a sum: `0 = circle { r: u32 }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The tag's value.
    pub value: Expr,
    /// Its name.
    pub name: Name,
    /// Its fields.
    pub fields: Vec<Item>,
    /// The whole case.
    pub span: Span,
}

/// A type or integer parameter: `n`, `T: word`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binder {
    /// Its name.
    pub name: Name,
    /// Its kind, if written.
    pub kind: Option<(BinderKind, Span)>,
    /// The whole.
    pub span: Span,
}

/// The kinds of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinderKind {
    /// `int`: an integer (the default)
    Int,
    /// `loc`: a place in memory
    Loc,
    /// `type`: a memory type
    Type,
    /// `word`: a type of one word
    Word,
    /// `caps`: a set of capabilities
    Caps,
    /// `region`: the time for which memory is lent
    Region,
}

impl BinderKind {
    /// All of them.
    pub const ALL: [BinderKind; 6] = [
        BinderKind::Int,
        BinderKind::Loc,
        BinderKind::Type,
        BinderKind::Word,
        BinderKind::Caps,
        BinderKind::Region,
    ];

    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            BinderKind::Int => "int",
            BinderKind::Loc => "loc",
            BinderKind::Type => "type",
            BinderKind::Word => "word",
            BinderKind::Caps => "caps",
            BinderKind::Region => "region",
        }
    }
}

/// `rodata msg: bytes = "hello\n"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where it lies.
    pub section: Section,
    /// Its name.
    pub name: Name,
    /// Its type; `bytes` without a length takes the length of the contents.
    pub ty: Type,
    /// The contents; empty if none are written.
    pub init: Vec<Init>,
}

/// The sections of static data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Read-only.
    Rodata,
    /// Read and written.
    Data,
    /// Read and written, zero at start.
    Bss,
}

impl Section {
    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            Section::Rodata => "rodata",
            Section::Data => "data",
            Section::Bss => "bss",
        }
    }
}

/// A piece of the contents of static data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// What.
    pub kind: InitKind,
    /// Where.
    pub span: Span,
}

/// The kinds of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitKind {
    /// One element.
    Expr(Expr),
    /// The bytes of a string.
    Str(Str),
    /// `times n e`: the element e, n times.
    Times(Expr, Expr),
}

/// A string literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Str {
    /// Its bytes, escapes resolved.
    pub bytes: Vec<u8>,
    /// With the quotes.
    pub span: Span,
}

impl Str {
    /// The text, if the bytes are UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// `pub entry fn name[binders](params) -> result { lines }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fn {
    /// Where `entry` stands, if it does.
    pub entry: Option<Span>,
    /// Its name.
    pub name: Name,
    /// Explicit parameters.
    pub binders: Vec<Binder>,
    /// Its type; `entry fn start {` takes it from the interface.
    pub sig: Option<Sig>,
    /// Its code; without it the function is an import (interface files).
    pub body: Option<Body>,
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sig {
    /// What it takes.
    pub params: Vec<Item>,
    /// `where` facts about the parameters.
    pub facts: Vec<Chain>,
    /// What it gives; omitted: nothing but what was lent.
    pub result: Option<Outcome>,
    /// `clobbers(..)`, `keeps(..)`
    pub effects: Vec<Effect>,
    /// From `(` to the last of these.
    pub span: Span,
}

/// What stands behind `->`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What.
    pub kind: OutcomeKind,
    /// Without the arrow.
    pub span: Span,
}

/// The kinds of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// `never`: it does not return.
    Never,
    /// `(A) or (B)`: one of these, told apart by the value of a register. At least one.
    Alternatives(Vec<Alternative>),
}

/// One `(items)` of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The items.
    pub items: Vec<Item>,
    /// With the parentheses.
    pub span: Span,
}

/// What a call does to registers beyond the calling convention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Which of the two.
    pub kind: EffectKind,
    /// The registers.
    pub regs: Vec<(Reg, Span)>,
    /// The whole.
    pub span: Span,
}

/// The kinds of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EffectKind {
    /// `clobbers(rax, rcx)`: exactly these may change.
    Clobbers,
    /// `keeps(rdx)`: these do not.
    Keeps,
}

impl EffectKind {
    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            EffectKind::Clobbers => "clobbers",
            EffectKind::Keeps => "keeps",
        }
    }
}
