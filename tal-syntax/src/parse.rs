//! Not trusted: a bug here can reject, never admit. What the grammar's actions do, and `parse`.

use std::convert::Infallible;

use lalrpop_util::ParseError;

use crate::ast::*;
use crate::codes;
use crate::diag::Diag;
use crate::expected::Unexpected;
use crate::token::{Placed, Token, scan};
use crate::{delimit, habits, layout, literal};

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
    let scan = scan(file, text);
    let mut diags = scan.diags;
    let tokens = delimit::delimit(file, &scan.tokens, &mut diags);
    let tokens = layout::layout(file, &tokens, &mut diags);
    let mut cx = Cx::new(file, text, &tokens, diags);
    let placed = tokens.iter().copied().map(Ok::<_, Infallible>);
    let decls = match grammar::FileParser::new().parse(&mut cx, placed) {
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
    tokens: &'d [Placed<'s>],
    diags: Vec<Diag>,
    /// Where characters or brackets were mended: a parse error just behind says nothing new.
    mended: Vec<u32>,
}

impl<'s, 'd> Cx<'s, 'd> {
    fn new(file: FileId, text: &'s str, tokens: &'d [Placed<'s>], diags: Vec<Diag>) -> Self {
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
        Cx { file, text, tokens, diags, mended }
    }

    pub(crate) fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.file, start, end.max(start))
    }

    /// Reports a parse error in what began at `start`.
    pub(crate) fn recover(&mut self, start: u32, error: &ParseError<u32, Token<'s>, Infallible>) {
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
        let unexpected = Unexpected::new(self.file, self.text, self.tokens, token, expected, start);
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

    pub(crate) fn name(&self, start: u32, text: &str, end: u32) -> Name {
        Name { text: text.to_owned(), span: self.span(start, end) }
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

    pub(crate) fn binary(&self, start: u32, op: BinaryOp, a: Expr, b: Expr, end: u32) -> Expr {
        let kind = ExprKind::Binary(op, Box::new(a), Box::new(b));
        Expr { kind, span: self.span(start, end) }
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
