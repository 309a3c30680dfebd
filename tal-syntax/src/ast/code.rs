//! Not trusted: a bug here can reject, never admit. Lines of code, operands and expressions.

use super::{Item, Name, Reg, Span};

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
    pub state: Option<Box<LabelState>>,
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

    /// The prefix of this name, if it is one.
    pub fn parse(name: &str) -> Option<Prefix> {
        match name {
            "rep" => Some(Prefix::Rep),
            "repe" | "repz" => Some(Prefix::Repe),
            "repne" | "repnz" => Some(Prefix::Repne),
            "lock" => Some(Prefix::Lock),
            _ => None,
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

    /// The size of this name, if it is one.
    pub fn parse(name: &str) -> Option<Size> {
        match name {
            "byte" => Some(Size::Byte),
            "word" => Some(Size::Word),
            "dword" => Some(Size::Dword),
            "qword" => Some(Size::Qword),
            "xmmword" => Some(Size::Xmmword),
            _ => None,
        }
    }

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
    SizeOf(Box<Name>),
    /// `-e`, `~e`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `[e]`: a stack slot, in items (`[rsp + 8] = k`). In an operand it is an
    /// [`OperandKind::Mem`].
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::IntType;

    #[test]
    fn words_are_read_as_they_are_written() {
        for prefix in Prefix::ALL {
            assert_eq!(Prefix::parse(prefix.text()), Some(prefix));
        }
        for size in Size::ALL {
            assert_eq!(Size::parse(size.text()), Some(size));
        }
        for int in IntType::ALL {
            assert_eq!(IntType::parse(int.text()), Some(int));
        }
        assert_eq!(
            (Prefix::parse("re"), Size::parse("u8"), IntType::parse("u9")),
            Default::default()
        );
    }
}
