//! Not trusted: a bug here can reject, never admit. What the grammar's actions do, and `parse`.

use std::convert::Infallible;

use lalrpop_util::ParseError;

use crate::ast::*;
use crate::codes;
use crate::diag::Diag;
use crate::expected::Unexpected;
use crate::layout::Layout;
use crate::token::{Placed, Token, scan};
use crate::{delimit, habits, literal};

lalrpop_util::lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::unwrap_used,
        clippy::panic,
        missing_docs,
        unused,
        unreachable_pub
    )]
    grammar
);

/// Reads a source file: the tree, and what is wrong with the text.
///
/// The tree is as complete as the errors allow, so that later passes can report more in the same
/// run; a program with an error among its diagnostics is refused whatever they say. The diagnostics
/// stand in the order of their places.
pub fn parse(file: FileId, text: &str) -> (File, Vec<Diag>) {
    let Ok(end) = u32::try_from(text.len()) else {
        let diag = Diag::error(codes::TOO_LARGE, Span::new(file, 0, 0), "this file is too large")
            .with_note("a source file has less than 2^32 bytes");
        return (File { id: file, decls: Vec::new(), comments: Vec::new() }, vec![diag]);
    };
    if let Some(tree) = right(file, text) {
        return (tree, Vec::new());
    }
    let scan = scan(file, text);
    let mut diags = scan.diags;
    let mut layout = Layout::new(file, delimit::delimit(file, scan.tokens, &mut diags));
    let tokens: Vec<Placed<'_>> = layout.by_ref().collect();
    diags.append(&mut layout.diags);
    let mut cx = Cx::new(file, text, Some(&tokens), diags);
    let decls = match grammar::FileParser::new().parse(&mut cx, tokens.iter().copied().map(placed))
    {
        Ok(decls) => decls,
        Err(error) => {
            cx.recover(end, &error);
            Vec::new()
        }
    };
    let mut diags = cx.diags;
    for diag in &mut diags {
        numeric_label(file, text, diag);
    }
    diags.sort_by_key(|diag| (diag.primary.span.start, diag.primary.span.end));
    (File { id: file, decls, comments: scan.comments }, diags)
}

/// The tree of a file in which nothing is wrong. Its tokens are given up while it grows; to say
/// what is wrong with the others takes all of their tokens, so these are read once more.
fn right(file: FileId, text: &str) -> Option<File> {
    let mut scan = scan(file, text);
    let tokens = delimit::delimit(file, scan.tokens, &mut scan.diags);
    if !scan.diags.is_empty() {
        return None;
    }
    let mut layout = Layout::new(file, tokens);
    let mut cx = Cx::new(file, text, None, Vec::new());
    let decls = grammar::FileParser::new().parse(&mut cx, layout.by_ref().map(placed)).ok()?;
    let is_right = !cx.failed && cx.diags.is_empty() && layout.diags.is_empty();
    is_right.then_some(File { id: file, decls, comments: scan.comments })
}

/// A token as the parser takes it.
fn placed(token: Placed<'_>) -> Result<Placed<'_>, Infallible> {
    Ok(token)
}

/// `jmp 1b` jumps to a label; it is no number that is badly written.
fn numeric_label(file: FileId, text: &str, diag: &mut Diag) {
    let line = Some(diag.primary.span.start as usize).filter(|_| diag.code == codes::BAD_NUMBER);
    let Some(line) = line.and_then(|at| habits::line_at(text, at)) else { return };
    if let Some(habit) = text.get(line.clone()).and_then(habits::code) {
        let span = Span::new(file, line.start as u32, line.end as u32);
        *diag = habit.diag(codes::FOREIGN, span);
    }
}

/// What the actions of the grammar share.
pub(crate) struct Cx<'s, 'd> {
    file: FileId,
    text: &'s str,
    /// All tokens; none in the first try, whose complaints nobody reads.
    tokens: Option<&'d [Placed<'s>]>,
    diags: Vec<Diag>,
    /// The declarations.
    pub(crate) decls: Vec<Decl>,
    /// The lines of the body that is being read, and of one that was given up before.
    lines: Vec<Line>,
    /// Was there a parse error?
    failed: bool,
    /// Where characters or brackets were mended: a parse error just behind says nothing new.
    mended: Vec<u32>,
}

impl<'s, 'd> Cx<'s, 'd> {
    fn new(
        file: FileId,
        text: &'s str,
        tokens: Option<&'d [Placed<'s>]>,
        diags: Vec<Diag>,
    ) -> Self {
        let mends = |diag: &&Diag| {
            matches!(
                diag.code,
                codes::UNEXPECTED_CHARACTER
                    | codes::UNTERMINATED
                    | codes::UNCLOSED_BRACKET
                    | codes::STRAY_CLOSER
                    | codes::ATT_SYNTAX
                    | codes::BLOCK_IN_CODE
            )
        };
        let mut mended: Vec<u32> =
            diags.iter().filter(mends).map(|diag| diag.primary.span.start).collect();
        mended.sort_unstable();
        Cx {
            file,
            text,
            tokens,
            diags,
            decls: Vec::new(),
            lines: Vec::new(),
            failed: false,
            mended,
        }
    }

    pub(crate) fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.file, start, end.max(start))
    }

    /// Reports a parse error in what began at `start`.
    pub(crate) fn recover(&mut self, start: u32, error: &ParseError<u32, Token<'s>, Infallible>) {
        self.failed = true;
        let Some(tokens) = self.tokens else { return };
        let (token, expected) = match error {
            ParseError::UnrecognizedToken { token, expected } => (*token, expected.as_slice()),
            ParseError::ExtraToken { token } => (*token, [].as_slice()),
            ParseError::UnrecognizedEof { location, expected } => {
                ((*location, Token::End, *location), expected.as_slice())
            }
            ParseError::InvalidToken { location } => {
                ((*location, Token::End, *location), [].as_slice())
            }
            ParseError::User { error } => match *error {},
        };
        if let Some(diag) = self.habit(start, token.0, expected) {
            self.diags.push(diag);
            return;
        }
        let first = self.mended.partition_point(|at| *at < start);
        if self.mended.get(first).is_some_and(|at| *at <= token.2) {
            return;
        }
        let unexpected = Unexpected::new(self.file, self.text, tokens, token, expected, start);
        self.diags.push(unexpected.diag());
    }

    /// The line of a parse error, if another assembler would take it.
    fn habit(&mut self, start: u32, at: u32, expected: &[String]) -> Option<Diag> {
        let declares = expected.iter().any(|e| e.trim_matches('"') == "origin");
        if declares && start != at {
            return None;
        }
        let line = habits::line_at(self.text, at as usize)?;
        let text = self.text.get(line.clone())?;
        let habit = if declares { habits::declaration(text) } else { habits::code(text) }?;
        let span = self.span(line.start as u32, line.end as u32);
        // Signs of other assemblers in this line are no mistakes of their own.
        let inside = |d: &Diag| line.contains(&(d.primary.span.start as usize));
        let sign = |d: &Diag| {
            d.code == codes::ATT_SYNTAX
                || (d.code == codes::FOREIGN && d.message.starts_with("there is no `$`"))
        };
        self.diags.retain(|d| !(sign(d) && inside(d)));
        let code = match (declares, habit.att) {
            (_, true) => codes::ATT_SYNTAX,
            (true, _) => codes::CODE_OUTSIDE_FUNCTION,
            _ if habit.message.starts_with("`ptr`") => codes::STRAY_SIZE,
            _ => codes::FOREIGN,
        };
        Some(habit.diag(code, span))
    }

    pub(crate) fn present<T>(list: Vec<Option<T>>) -> Vec<T> {
        list.into_iter().flatten().collect()
    }

    pub(crate) fn declare(
        &mut self,
        start: u32,
        public: Option<(Token<'s>, Span)>,
        kind: DeclKind,
        end: u32,
    ) {
        let span = self.span(start, end);
        self.decls.push(Decl { public: public.map(|(_, span)| span), kind, span });
    }

    pub(crate) fn function(
        &self,
        entry: Option<(Token<'s>, Span)>,
        name: Name,
        binders: Vec<Binder>,
        sig: Option<Box<Sig>>,
        body: Option<Body>,
    ) -> Box<DeclKind> {
        let (entry, sig) = (entry.map(|(_, span)| span), sig.map(|sig| *sig));
        Box::new(DeclKind::Fn(Fn { entry, name, binders, sig, body }))
    }

    pub(crate) fn line(
        &mut self,
        start: u32,
        label: Option<Name>,
        state: Option<LabelState>,
        stmt: Option<Stmt>,
        end: u32,
    ) {
        let span = self.span(start, end);
        self.lines.push(Line { label, state: state.map(Box::new), stmt, span });
    }

    pub(crate) fn body(&mut self, start: u32, end: u32) -> Body {
        let from = self.lines.partition_point(|line| line.span.start < start);
        let lines = self.lines.drain(from..).collect();
        self.lines.clear();
        Body { lines, span: self.span(start, end) }
    }

    pub(crate) fn name(&self, start: u32, text: &str, end: u32) -> Name {
        Name { text: text.into(), span: self.span(start, end) }
    }

    pub(crate) fn definition(&mut self, start: u32, text: &str, end: u32) -> Name {
        let name = self.name(start, text, end);
        if text.contains('.') {
            self.diags.push(
                Diag::error(codes::DOTTED_NAME, name.span, "a declared name has no dot")
                    .with_note("`node.next` is the offset of the field `next` of `node`"),
            );
        }
        name
    }

    pub(crate) fn string(&self, start: u32, text: &str, end: u32) -> Str {
        let span = self.span(start, end);
        // The scanner has complained already.
        Str { bytes: literal::string(text, span, &mut Vec::new()), span }
    }

    pub(crate) fn kind(&mut self, kind: Option<(&str, Span)>) -> Option<(BinderKind, Span)> {
        let (text, span) = kind?;
        let known = BinderKind::ALL.into_iter().find(|kind| kind.text() == text);
        if known.is_none() {
            self.diags.push(
                Diag::error(codes::UNKNOWN_KIND, span, format!("there is no kind `{text}`"))
                    .with_note("the kinds are int, loc, type, word, caps and region"),
            );
        }
        known.map(|kind| (kind, span))
    }

    pub(crate) fn unary(&self, start: u32, op: UnaryOp, e: Expr, end: u32) -> Expr {
        Expr { kind: ExprKind::Unary(op, Box::new(e)), span: self.span(start, end) }
    }

    /// A tree of operators that associate to the left, the tighter ones inside: what waits for its
    /// right side is on a stack, by rising levels (Dijkstra's shunting yard).
    pub(crate) fn operation(&self, first: Expr, rest: Vec<(BinaryOp, Expr)>) -> Expr {
        let mut waiting: Vec<(Expr, BinaryOp)> = Vec::new();
        let mut last = first;
        for (op, right) in rest {
            last = Self::close(last, &mut waiting, op.level());
            waiting.push((last, op));
            last = right;
        }
        Self::close(last, &mut waiting, 0)
    }

    /// Gives the expression to the operators that bind as tightly as this level or tighter.
    fn close(mut right: Expr, waiting: &mut Vec<(Expr, BinaryOp)>, level: u8) -> Expr {
        while let Some((left, op)) = waiting.pop_if(|(_, op)| op.level() >= level) {
            let span = left.span.to(right.span);
            let kind = ExprKind::Binary(op, Box::new(left), Box::new(right));
            right = Expr { kind, span };
        }
        right
    }

    pub(crate) fn operand(&mut self, e: Expr) -> OperandKind {
        match e.kind {
            ExprKind::Reg(reg) => OperandKind::Reg(reg),
            ExprKind::Mem(address) => self.memory(None, *address),
            _ => {
                self.no_memory(&e);
                OperandKind::Expr(e)
            }
        }
    }

    pub(crate) fn memory(&mut self, size: Option<(Size, Span)>, address: Expr) -> OperandKind {
        self.no_memory(&address);
        OperandKind::Mem { size, address }
    }

    /// An operand is in memory as a whole or not at all.
    fn no_memory(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Mem(_) => self.diags.push(
                Diag::error(codes::NESTED_MEMORY, e.span, "a memory operand stands alone")
                    .with_primary("this is inside of an expression")
                    .with_help("load it into a register first"),
            ),
            ExprKind::Unary(_, e) => self.no_memory(e),
            ExprKind::Binary(_, a, b) => {
                self.no_memory(a);
                self.no_memory(b);
            }
            _ => {}
        }
    }
}
