//! Not trusted: a bug here can reject, never admit. Tree -> text, in the canonical layout.
//!
//! `parse(print(t))` is `t` but for spans. Comments stay: on their lines, or behind what they stood
//! behind. Labels begin in column 0, instructions in column 8, operands in column 16, comments
//! behind them in column 40.

mod parts;

use std::fmt::Write;

use crate::ast::*;
use parts::{Parts, joined};

/// The longest line that is not broken.
const WIDTH: usize = 100;
const INSTRUCTION: usize = 8;
const OPERANDS: usize = 8;
const COMMENT: usize = 40;

/// The text of a file.
pub fn print(file: &File) -> String {
    let mut printer = Printer { out: String::new(), line: 0, comments: &file.comments };
    printer.file(file);
    printer.out
}

/// The text of an expression.
pub fn expr(e: &Expr) -> String {
    Parts::text(|p| p.expr(e))
}

/// The text of a type.
pub fn ty(t: &Type) -> String {
    Parts::text(|p| p.ty(t))
}

/// The text of an item.
pub fn item(i: &Item) -> String {
    Parts::text(|p| p.item(i))
}

/// The text of a statement, without the indentation.
pub fn stmt(s: &Stmt) -> String {
    Parts::text(|p| p.stmt(s, 0))
}

struct Printer<'a> {
    out: String,
    /// Where the line begins that is being written.
    line: usize,
    /// The comments that are still to be written.
    comments: &'a [Comment],
}

impl Printer<'_> {
    fn file(&mut self, file: &File) {
        let mut before: Option<(bool, u32)> = None;
        for (at, decl) in file.decls.iter().enumerate() {
            let small = small(decl);
            // What stands before the declaration: itself, or its first comment.
            let start = self.comments.first().map_or(decl.span.start, |c| c.span.start);
            let start = start.min(decl.span.start);
            if let Some((was_small, end)) = before
                && (!(small && was_small) || start > end.saturating_add(1))
            {
                self.out.push('\n');
            }
            let end = self.own_lines(decl.span.start, 0);
            if end.is_some_and(|end| decl.span.start > end.saturating_add(1)) {
                self.out.push('\n');
            }
            self.line = self.out.len();
            let next = file.decls.get(at + 1).map_or(u32::MAX, |next| next.span.start);
            self.decl(decl);
            let end = self.end_line(next).unwrap_or(decl.span.end);
            before = Some((small, end));
        }
        if !self.comments.is_empty() && before.is_some() {
            self.out.push('\n');
        }
        self.own_lines(u32::MAX, 0);
    }

    /// Writes the comments before a place, each on its line; gives the end of the last one.
    fn own_lines(&mut self, before: u32, indent: usize) -> Option<u32> {
        let mut last: Option<u32> = None;
        while let [comment, rest @ ..] = self.comments {
            if comment.span.start >= before && before != u32::MAX {
                break;
            }
            if indent == 0 && last.is_some_and(|end| comment.span.start > end.saturating_add(1)) {
                self.out.push('\n');
            }
            self.comments = rest;
            last = Some(comment.span.end);
            let _ = writeln!(self.out, "{:indent$}{}", "", comment.text);
        }
        self.line = self.out.len();
        last
    }

    /// Ends the line, with the comment that stands behind it; gives the comment's end.
    fn end_line(&mut self, next: u32) -> Option<u32> {
        let mut end = None;
        if let [comment, rest @ ..] = self.comments
            && comment.trailing
            && comment.span.start < next
        {
            self.comments = rest;
            end = Some(comment.span.end);
            let column = self.out[self.line..].chars().count();
            let gap = COMMENT.saturating_sub(column).max(1);
            let _ = write!(self.out, "{:gap$}{}", "", comment.text);
        }
        self.out.push('\n');
        self.line = self.out.len();
        end
    }

    fn decl(&mut self, decl: &Decl) {
        if decl.public.is_some() {
            self.out.push_str("pub ");
        }
        match &decl.kind {
            DeclKind::Use(d) => self.out.push_str(&format!("use {}", parts::string(&d.path))),
            DeclKind::Const(d) => {
                let _ = write!(self.out, "const {} = {}", d.name, expr(&d.value));
            }
            DeclKind::Type(d) => {
                let _ = write!(self.out, "type {}{}", d.name, parts::binders(&d.binders));
                if let Some(t) = &d.ty {
                    let _ = write!(self.out, " = {}", ty(t));
                }
            }
            DeclKind::Origin(d) => {
                let _ = write!(self.out, "origin {}", d.name);
            }
            DeclKind::Struct(d) => self.structure(decl, d),
            DeclKind::Sum(d) => self.sum(decl, d),
            DeclKind::Data(d) => self.data(d),
            DeclKind::Fn(d) => self.function(d),
            DeclKind::Error => self.out.push_str("; not understood"),
        }
    }

    fn structure(&mut self, decl: &Decl, d: &Struct) {
        let _ = write!(self.out, "struct {}{}", d.name, parts::binders(&d.binders));
        if let Some(exists) = &d.exists {
            let names = joined(&exists.binders, parts::binder);
            let _ = write!(self.out, " exists {names}");
            if !exists.facts.is_empty() {
                let _ = write!(self.out, " where {}", joined(&exists.facts, item));
            }
        }
        if d.packed.is_some() {
            self.out.push_str(" packed");
        }
        self.fields(&d.fields, decl.span.end, 0);
    }

    fn sum(&mut self, decl: &Decl, d: &Sum) {
        let binders = parts::binders(&d.binders);
        let tag = ty(&d.tag_type);
        let _ = write!(self.out, "sum {}{binders} by {}: {tag} {{", d.name, d.tag);
        self.end_line(d.cases.first().map_or(decl.span.end, |case| case.span.start));
        for (at, case) in d.cases.iter().enumerate() {
            self.own_lines(case.span.start, 4);
            let _ = write!(self.out, "    {} = {}", expr(&case.value), case.name);
            self.fields(&case.fields, case.span.end, 4);
            self.end_line(d.cases.get(at + 1).map_or(decl.span.end, |next| next.span.start));
        }
        self.own_lines(decl.span.end, 4);
        self.out.push('}');
    }

    /// ` { fields }`, one a line, with the types of plain fields in one column.
    fn fields(&mut self, fields: &[Item], end: u32, indent: usize) {
        self.out.push_str(" {");
        self.end_line(fields.first().map_or(end, |field| field.span.start));
        let plain = |field: &Item| parts::plain_field(field).map(str::len);
        let column = fields.iter().filter_map(plain).max().unwrap_or(0);
        for (at, field) in fields.iter().enumerate() {
            self.own_lines(field.span.start, indent + 4);
            let gap = plain(field).map_or(0, |len| column - len);
            let text = Parts::text(|p| p.field(field, gap));
            let _ = write!(self.out, "{:indent$}    {text}", "");
            self.end_line(fields.get(at + 1).map_or(end, |next| next.span.start));
        }
        self.own_lines(end, indent + 4);
        let _ = write!(self.out, "{:indent$}}}", "");
    }

    fn data(&mut self, d: &Data) {
        let _ = write!(self.out, "{} {}: {}", d.section.text(), d.name, ty(&d.ty));
        if d.init.is_empty() {
            return;
        }
        self.out.push_str(" =");
        let pieces: Vec<String> = d.init.iter().map(parts::init).collect();
        self.fill(&pieces, " ", INSTRUCTION);
    }

    /// Writes a list, breaking lines behind commas; `first` stands before the first piece.
    fn fill(&mut self, pieces: &[String], first: &str, indent: usize) {
        for (at, piece) in pieces.iter().enumerate() {
            let before = if at == 0 { first } else { ", " };
            let column = self.out[self.line..].chars().count() + piece.chars().count();
            if column + before.len() >= WIDTH {
                self.out.push_str(before.trim_end());
                self.out.push('\n');
                self.line = self.out.len();
                let _ = write!(self.out, "{:indent$}", "");
            } else {
                self.out.push_str(before);
            }
            self.out.push_str(piece);
        }
    }

    fn function(&mut self, d: &Fn) {
        if d.entry.is_some() {
            self.out.push_str("entry ");
        }
        let _ = write!(self.out, "fn {}{}", d.name, parts::binders(&d.binders));
        if let Some(sig) = &d.sig {
            self.sig(sig);
        }
        let Some(body) = &d.body else { return };
        if d.sig.is_some() {
            self.end_line(body.span.start);
        } else {
            self.out.push(' ');
        }
        self.out.push('{');
        self.end_line(body.lines.first().map_or(body.span.end, |line| line.span.start));
        for (at, line) in body.lines.iter().enumerate() {
            self.own_lines(line.span.start, INSTRUCTION);
            self.code_line(line);
            self.end_line(body.lines.get(at + 1).map_or(body.span.end, |next| next.span.start));
        }
        self.own_lines(body.span.end, INSTRUCTION);
        self.out.push('}');
    }

    fn sig(&mut self, sig: &Sig) {
        self.out.push('(');
        let params: Vec<String> = sig.params.iter().map(item).collect();
        self.fill(&params, "", INSTRUCTION);
        self.out.push(')');
        let mut tail = Vec::new();
        if !sig.facts.is_empty() {
            let facts = joined(&sig.facts, |chain| Parts::text(|p| p.chain(chain)));
            tail.push(format!("where {facts}"));
        }
        tail.extend(sig.result.as_ref().map(|r| format!("-> {}", parts::outcome(r))));
        tail.extend(sig.effects.iter().map(|effect| {
            let regs = joined(&effect.regs, |(reg, _)| reg.name().to_owned());
            format!("{}({regs})", effect.kind.text())
        }));
        for part in tail {
            let column = self.out[self.line..].chars().count() + part.chars().count();
            if column + 1 > WIDTH {
                self.out.push_str("\n    ");
                self.line = self.out.len() - 4;
            } else {
                self.out.push(' ');
            }
            self.out.push_str(&part);
        }
    }

    fn code_line(&mut self, line: &Line) {
        let label = line.label.as_ref().map(|label| format!("{label}:")).unwrap_or_default();
        self.out.push_str(&label);
        let gap = match label.len() {
            0 => INSTRUCTION,
            len => INSTRUCTION.saturating_sub(len).max(1),
        };
        if let Some(state) = &line.state {
            let items: Vec<String> = state.items.iter().map(item).collect();
            let _ = write!(self.out, "{:gap$}where", "");
            self.fill(&items, " ", 2 * INSTRUCTION);
        }
        if let Some(stmt) = &line.stmt {
            let column = matches!(stmt.kind, StmtKind::Table(_)) && label.is_empty();
            let gap = if column { 0 } else { gap };
            let _ = write!(self.out, "{:gap$}", "");
            self.out.push_str(&Parts::text(|p| p.stmt(stmt, OPERANDS)));
        }
    }
}

/// Whether a declaration is one line that may stand close to others.
fn small(decl: &Decl) -> bool {
    match &decl.kind {
        DeclKind::Struct(_) | DeclKind::Sum(_) => false,
        DeclKind::Fn(d) => d.body.is_none(),
        _ => true,
    }
}
