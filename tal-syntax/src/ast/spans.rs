//! Not trusted: a bug here can reject, never admit. Every span of a tree, to change it.

use super::*;

impl File {
    /// Changes every span of the tree, comments included.
    pub fn map_spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        self.decls.spans(change);
        for comment in &mut self.comments {
            change(&mut comment.span);
        }
    }

    /// Makes every span the same, so that trees can be compared by what they say.
    pub fn erase_spans(&mut self) {
        self.map_spans(&mut |span| *span = Span::default());
    }
}

trait Spans {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span));
}

impl Spans for Span {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        change(self);
    }
}

impl<T: Spans> Spans for Vec<T> {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        self.iter_mut().for_each(|x| x.spans(change));
    }
}

impl<T: Spans> Spans for Option<T> {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        self.iter_mut().for_each(|x| x.spans(change));
    }
}

impl<T: Spans> Spans for Box<T> {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        self.as_mut().spans(change);
    }
}

impl<A: Spans, B: Spans> Spans for (A, B) {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        self.0.spans(change);
        self.1.spans(change);
    }
}

/// Types without spans.
macro_rules! leaves {
    ($($leaf:ty),*) => {
        $(impl Spans for $leaf {
            fn spans(&mut self, _: &mut dyn FnMut(&mut Span)) {}
        })*
    };
}
leaves!(String, u8, Int, Reg, Rel, Size, Prefix, IntType, PtrMode, BinderKind);
leaves!(Section, EffectKind, UnaryOp, BinaryOp);

/// Structures: all fields are named, so that a new field cannot be forgotten.
macro_rules! nodes {
    ($($node:ident { $($field:ident),* })*) => {
        $(impl Spans for $node {
            fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
                let $node { $($field),* } = self;
                $($field.spans(change);)*
            }
        })*
    };
}
nodes! {
    Decl { public, kind, span }
    Use { path }
    Const { name, value }
    TypeDecl { name, binders, ty }
    Origin { name }
    Struct { name, binders, exists, packed, fields }
    Exists { binders, facts, span }
    Sum { name, binders, tag, tag_type, cases }
    Case { value, name, fields, span }
    Binder { name, kind, span }
    Data { section, name, ty, init }
    Init { kind, span }
    Fn { entry, name, binders, sig, body }
    Sig { params, facts, result, effects, span }
    Outcome { kind, span }
    Alternative { items, span }
    Effect { kind, regs, span }
    Item { kind, span }
    Chain { first, rest, span }
    Link { rel, rel_span, expr }
    Type { kind, span }
    FnType { binders, params, result }
    Body { lines, span }
    Line { label, state, stmt, span }
    LabelState { items, span }
    Stmt { kind, span }
    Inst { prefix, mnemonic, operands }
    Operand { kind, span }
    Table { name, targets }
    Ghost { name, items }
    Expr { kind, span }
}

impl Spans for Name {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        change(&mut self.span);
    }
}

impl Spans for Str {
    fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        change(&mut self.span);
    }
}

/// Enumerations: all variants are named.
macro_rules! kinds {
    ($($kind:ident { $($variant:ident $(($($inner:ident),*))? $({ $($field:ident),* })?),* })*) => {
        $(impl Spans for $kind {
            #[allow(unused_variables)] // variants with nothing inside
            fn spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
                match self {
                    $($kind::$variant $(($($inner),*))? $({ $($field),* })? => {
                        $($($inner.spans(change);)*)?
                        $($($field.spans(change);)*)?
                    })*
                }
            }
        })*
    };
}
kinds! {
    DeclKind {
        Use(d), Const(d), Type(d), Origin(d), Struct(d), Sum(d), Data(d), Fn(d), Error
    }
    InitKind { Expr(e), Str(s), Times(n, e) }
    OutcomeKind { Never, Alternatives(a) }
    ItemKind { Some(name), Value { chain, ty, align } }
    TypeKind {
        Int { base, range },
        Named { name, args },
        Array { filled, len, elem },
        Ptr { mode, origin, null, target },
        Fn(f),
        Error
    }
    Arg { Expr(e), Type(t) }
    StmtKind { Inst(i), Table(t), Ghost(g), Error }
    OperandKind { Reg(r), Mem { size, address }, Expr(e) }
    ExprKind {
        Int(i),
        Char(c),
        Name(n),
        Local(n),
        Reg(r),
        SizeOf(n),
        Unary(op, e),
        Binary(op, a, b),
        Mem(e),
        Error
    }
}
