//! Not trusted: a bug here can reject, never admit. The tree of a source file.
//!
//! Plain data. One node per production of the grammar (`grammar.lalrpop`, `docs/spec/grammar.md`); each node has the
//! span of the text it stands for. The tree says what was written and nothing about what it means: names are not
//! resolved, constants are not folded, an item is not yet known to be a binding or a fact.
//!
//! Where a part could not be parsed the tree holds an `Error` node (or lacks the part) and the list of diagnostics is not
//! empty; a tree that came with no error holds no `Error` node.

pub use crate::reg::{Gpr, Reg, Width};
pub use crate::span::{FileId, Span};

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
    pub text: String,
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

// ---------------------------------------------------------------------------------------------------- declarations

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

/// `struct arena exists r where 0 <= r packed { next: own@map zero[16*r] align 16, left = 16*r: u64 }`
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

// ------------------------------------------------------------------------------------------- functions, signatures

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

// ------------------------------------------------------------------------------------------------------ items

/// One item of a parameter list, result, label state, struct or ghost: a binding, a fact or a name.
///
/// Which of these it is the resolver decides: the left side of the first `=` is a register, a name or a stack slot, or
/// else the item is a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub kind: ItemKind,
    /// Where.
    pub span: Span,
}

/// The kinds of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// `some k`: a ghost variable.
    Some(Name),
    /// `rdi = p: own node align 16`, `rax`, `rax: u64`, `0 <= rcx < n`
    Value {
        /// The expressions, with relations between them.
        chain: Chain,
        /// The type behind `:`.
        ty: Option<Type>,
        /// The number behind `align`.
        align: Option<(Int, Span)>,
    },
}

/// `e`, `e = e`, `0 <= rcx < n`: each relation holds between its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The first expression.
    pub first: Expr,
    /// Further ones.
    pub rest: Vec<Link>,
    /// The whole.
    pub span: Span,
}

/// A relation and its right side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The relation.
    pub rel: Rel,
    /// The relation's sign.
    pub rel_span: Span,
    /// Its right side.
    pub expr: Expr,
}

/// The relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Rel {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Rel {
    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            Rel::Eq => "=",
            Rel::Ne => "!=",
            Rel::Lt => "<",
            Rel::Le => "<=",
            Rel::Gt => ">",
            Rel::Ge => ">=",
        }
    }
}

// ------------------------------------------------------------------------------------------------------ types

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// What.
    pub kind: TypeKind,
    /// Where.
    pub span: Span,
}

/// The kinds of types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// `u8`, `int`, `int[0 .. n]` (both bounds belong to the type)
    Int {
        /// Width and sign.
        base: IntType,
        /// The bounds.
        range: Option<Box<(Expr, Expr)>>,
    },
    /// `node`, `bytes`, `bytes[n]`, `zero[n]`, `junk[n]`, `pair[n, u8]`
    Named {
        /// The name.
        name: Name,
        /// What stands in brackets; `None` without brackets.
        args: Option<Vec<Arg>>,
    },
    /// `[n]T`, or `[i of n]T` of which the first i elements are initialised
    Array {
        /// How many are initialised, if that is written.
        filled: Option<Box<Expr>>,
        /// How many there are.
        len: Box<Expr>,
        /// What they are.
        elem: Box<Type>,
    },
    /// `&T`, `own@heap? T` and so on
    Ptr {
        /// What may be done with it.
        mode: PtrMode,
        /// `@heap`, or the parameter from which the result is borrowed.
        origin: Option<Name>,
        /// Where `?` (or null) stands.
        null: Option<Span>,
        /// What it points to.
        target: Box<Type>,
    },
    /// `fn[R: caps](rdi = x: inout T, R) -> (R)`
    Fn(Box<FnType>),
    /// Could not be parsed; a diagnostic says why.
    Error,
}

/// An argument of a named type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// An integer expression, or a lone name, which may also name a type.
    Expr(Expr),
    /// Anything that can only be a type.
    Type(Type),
}

/// The integer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum IntType {
    /// `int`: 64 bits; any integer, for parameters and results.
    Int,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
}

impl IntType {
    /// All of them.
    pub const ALL: [IntType; 9] = [
        IntType::Int,
        IntType::U8,
        IntType::U16,
        IntType::U32,
        IntType::U64,
        IntType::I8,
        IntType::I16,
        IntType::I32,
        IntType::I64,
    ];

    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            IntType::Int => "int",
            IntType::U8 => "u8",
            IntType::U16 => "u16",
            IntType::U32 => "u32",
            IntType::U64 => "u64",
            IntType::I8 => "i8",
            IntType::I16 => "i16",
            IntType::I32 => "i32",
            IntType::I64 => "i64",
        }
    }

    /// Its size in memory; `int` has 64 bits.
    pub const fn width(self) -> Width {
        match self {
            IntType::U8 | IntType::I8 => Width::W8,
            IntType::U16 | IntType::I16 => Width::W16,
            IntType::U32 | IntType::I32 => Width::W32,
            IntType::Int | IntType::U64 | IntType::I64 => Width::W64,
        }
    }

    /// Whether it is one of `i8` to `i64`.
    pub const fn signed(self) -> bool {
        matches!(self, IntType::I8 | IntType::I16 | IntType::I32 | IntType::I64)
    }
}

/// The modes of pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PtrMode {
    /// `own T`: moved in or out.
    Own,
    /// `ref T`: shared for ever, nobody writes.
    Ref,
    /// `ref rw T`: shared for ever, everybody may write values of the type.
    RefRw,
    /// `&T`: borrowed for the call, read.
    Borrow,
    /// `&rw T`: borrowed for the call, read and written at the type.
    BorrowRw,
    /// `inout T`: exclusive, T again at the end.
    InOut,
    /// `out T`: exclusive, junk in, T out.
    Out,
}

impl PtrMode {
    /// All of them.
    pub const ALL: [PtrMode; 7] = [
        PtrMode::Own,
        PtrMode::Ref,
        PtrMode::RefRw,
        PtrMode::Borrow,
        PtrMode::BorrowRw,
        PtrMode::InOut,
        PtrMode::Out,
    ];

    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            PtrMode::Own => "own",
            PtrMode::Ref => "ref",
            PtrMode::RefRw => "ref rw",
            PtrMode::Borrow => "&",
            PtrMode::BorrowRw => "&rw",
            PtrMode::InOut => "inout",
            PtrMode::Out => "out",
        }
    }
}

/// The type of a code pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FnType {
    /// Explicit parameters.
    pub binders: Vec<Binder>,
    /// What it takes.
    pub params: Vec<Item>,
    /// What it gives.
    pub result: Option<Outcome>,
}

// ------------------------------------------------------------------------------------------------------ code

/// The code of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its lines; empty lines do not count.
    pub lines: Vec<Line>,
    /// From `{` to `}`.
    pub span: Span,
}

/// A line of code: a label, a statement, or both. A label with a state has no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `.loop:`; the name keeps its dot, the colon is not in its span.
    pub label: Option<Name>,
    /// `where ..` behind the label.
    pub state: Option<LabelState>,
    /// What is done.
    pub stmt: Option<Stmt>,
    /// The whole line.
    pub span: Span,
}

/// `where 0 <= rcx < n, rbx = p: own node`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelState {
    /// The items, at least one.
    pub items: Vec<Item>,
    /// With `where`.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stmt {
    /// What.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StmtKind {
    /// `rep movsb`, `mov rax, [rdi + 8]`
    Inst(Inst),
    /// `table .on = .a, .b`
    Table(Table),
    /// `@split a, k`
    Ghost(Ghost),
    /// Could not be parsed; a diagnostic says why.
    Error,
}

/// An instruction. Whether there is one of this name the resolver knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inst {
    /// `rep` and the like.
    pub prefix: Option<(Prefix, Span)>,
    /// `mov`
    pub mnemonic: Name,
    /// The operands.
    pub operands: Vec<Operand>,
}

/// The instruction prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Prefix {
    Rep,
    Repe,
    Repne,
    Lock,
}

impl Prefix {
    /// All of them.
    pub const ALL: [Prefix; 4] = [Prefix::Rep, Prefix::Repe, Prefix::Repne, Prefix::Lock];

    /// As written (`repz` and `repnz` are read too and become `repe` and `repne`).
    pub const fn text(self) -> &'static str {
        match self {
            Prefix::Rep => "rep",
            Prefix::Repe => "repe",
            Prefix::Repne => "repne",
            Prefix::Lock => "lock",
        }
    }
}

/// An operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// What.
    pub kind: OperandKind,
    /// Where.
    pub span: Span,
}

/// The kinds of operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// A register alone.
    Reg(Reg),
    /// `[rdi + rcx*8]`, `byte [buf + rax]`: the expression inside the brackets.
    Mem {
        /// The size before the bracket.
        size: Option<(Size, Span)>,
        /// The address. Holds no [`ExprKind::Mem`].
        address: Expr,
    },
    /// A constant, the name of a function or data, a label. Holds no [`ExprKind::Mem`].
    Expr(Expr),
}

/// The sizes of memory operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Size {
    Byte,
    Word,
    Dword,
    Qword,
    Xmmword,
}

impl Size {
    /// All of them.
    pub const ALL: [Size; 5] = [Size::Byte, Size::Word, Size::Dword, Size::Qword, Size::Xmmword];

    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            Size::Byte => "byte",
            Size::Word => "word",
            Size::Dword => "dword",
            Size::Qword => "qword",
            Size::Xmmword => "xmmword",
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> u8 {
        match self {
            Size::Byte => 1,
            Size::Word => 2,
            Size::Dword => 4,
            Size::Qword => 8,
            Size::Xmmword => 16,
        }
    }
}

/// `table .on_idle = .idle, .new_word`: a jump table in read-only data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the dot.
    pub name: Name,
    /// The labels of this function, with their dots; at least one.
    pub targets: Vec<Name>,
}

/// `@have 0 <= rcx < n`: an operation that changes what is known and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ghost {
    /// Its name, without `@`.
    pub name: Name,
    /// What it is given.
    pub items: Vec<Item>,
}

// ------------------------------------------------------------------------------------------------------ expressions

/// An expression. Parentheses leave no node; the span of a parenthesised expression has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// `64`, `0x40`, `0b1_0000`
    Int(Int),
    /// `'a'`: the byte.
    Char(u8),
    /// `n`, `node.next`
    Name(String),
    /// `.loop`, with its dot
    Local(String),
    /// `rcx`
    Reg(Reg),
    /// `sizeof node`
    SizeOf(Name),
    /// `-e`, `~e`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `[e]`: a stack slot, in items (`[rsp + 8] = k`). In an operand it is an [`OperandKind::Mem`].
    Mem(Box<Expr>),
    /// Could not be parsed; a diagnostic says why.
    Error,
}

/// An integer literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Int {
    /// Its value.
    pub value: u64,
    /// How it is written.
    pub radix: Radix,
}

/// How an integer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Radix {
    /// `64`
    Dec,
    /// `0x40`
    Hex,
    /// `0b100_0000`
    Bin,
}

/// The operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum UnaryOp {
    Neg,
    Not,
}

impl UnaryOp {
    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "~",
        }
    }
}

/// The operators with two operands, all of which associate to the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum BinaryOp {
    Or,
    Xor,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [BinaryOp; 9] = [
        BinaryOp::Or,
        BinaryOp::Xor,
        BinaryOp::Shl,
        BinaryOp::Shr,
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Rem,
    ];

    /// As written.
    pub const fn text(self) -> &'static str {
        match self {
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
        }
    }

    /// How tightly it binds: 1 (`|`) to 5 (`*`).
    pub const fn level(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::Xor => 2,
            BinaryOp::Shl | BinaryOp::Shr => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => 5,
        }
    }
}
