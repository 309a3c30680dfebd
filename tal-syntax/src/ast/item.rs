//! Not trusted: a bug here can reject, never admit. Items and types.

use super::{Binder, Expr, Int, Name, Outcome, Span, Width};

/// One item of a parameter list, result, label state, struct or ghost: a binding, a fact or a name.
///
/// Which of these it is the resolver decides: the left side of the first `=` is a register, a name
/// or a stack slot, or else the item is a fact.
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
        ty: Option<Box<Type>>,
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

    /// The type of this name, if it is one.
    pub fn parse(name: &str) -> Option<IntType> {
        Some(match name {
            "int" => IntType::Int,
            "u8" => IntType::U8,
            "u16" => IntType::U16,
            "u32" => IntType::U32,
            "u64" => IntType::U64,
            "i8" => IntType::I8,
            "i16" => IntType::I16,
            "i32" => IntType::I32,
            "i64" => IntType::I64,
            _ => return None,
        })
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
