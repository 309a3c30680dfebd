//! Not trusted: a bug here can reject, never admit. The text of what stands inside of a line.

use crate::ast::*;

/// Text that grows.
pub(super) struct Parts {
    out: String,
}

/// The texts of a list, with commas between.
pub(super) fn joined<T>(list: &[T], text: impl std::ops::Fn(&T) -> String) -> String {
    list.iter().map(text).collect::<Vec<_>>().join(", ")
}

pub(super) fn binder(b: &Binder) -> String {
    match b.kind {
        Some((kind, _)) => format!("{}: {}", b.name, kind.text()),
        None => b.name.text.to_string(),
    }
}

/// `[n, T: word]`, or nothing.
pub(super) fn binders(list: &[Binder]) -> String {
    if list.is_empty() { String::new() } else { format!("[{}]", joined(list, binder)) }
}

pub(super) fn outcome(o: &Outcome) -> String {
    Parts::text(|p| p.outcome(o))
}

pub(super) fn init(i: &Init) -> String {
    Parts::text(|p| match &i.kind {
        InitKind::Expr(e) => p.expr(e),
        InitKind::Str(s) => p.word(&string(s)),
        InitKind::Times(n, e) => {
            p.word("times ");
            p.level(n, PRIM);
            p.word(" ");
            p.expr(e);
        }
    })
}

/// A string literal with its quotes.
pub(super) fn string(s: &Str) -> String {
    let mut out = String::from("\"");
    for chunk in s.bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\0' => out.push_str("\\0"),
                '\\' | '"' => out.extend(['\\', c]),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

fn character(byte: u8) -> String {
    match byte {
        b'\n' => "'\\n'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        0 => "'\\0'".to_owned(),
        b'\\' | b'\'' => format!("'\\{}'", char::from(byte)),
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        _ => format!("'\\x{byte:02x}'"),
    }
}

fn number(int: Int) -> String {
    let (sign, digits) = match int.radix {
        Radix::Dec => return int.value.to_string(),
        Radix::Hex => ("0x", format!("{:x}", int.value)),
        Radix::Bin => ("0b", format!("{:b}", int.value)),
    };
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(4) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// The name of a field that has no value: `next: own node`.
pub(super) fn plain_field(field: &Item) -> Option<&str> {
    let ItemKind::Value { chain, ty: Some(_), .. } = &field.kind else { return None };
    match &chain.first.kind {
        ExprKind::Name(name) if chain.rest.is_empty() => Some(name),
        _ => None,
    }
}

/// Above the levels of the binary operators.
const UNARY: u8 = 6;
const PRIM: u8 = 7;

fn level(e: &Expr) -> u8 {
    match &e.kind {
        ExprKind::Binary(op, ..) => op.level(),
        ExprKind::Unary(..) => UNARY,
        _ => PRIM,
    }
}

impl Parts {
    pub(super) fn text(write: impl FnOnce(&mut Parts)) -> String {
        let mut parts = Parts { out: String::new() };
        write(&mut parts);
        parts.out
    }

    fn word(&mut self, word: &str) {
        self.out.push_str(word);
    }

    fn list<T>(&mut self, list: &[T], write: impl std::ops::Fn(&mut Parts, &T)) {
        for (at, x) in list.iter().enumerate() {
            if at > 0 {
                self.word(", ");
            }
            write(self, x);
        }
    }

    pub(super) fn expr(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Int(int) => self.word(&number(*int)),
            ExprKind::Char(byte) => self.word(&character(*byte)),
            ExprKind::Name(name) | ExprKind::Local(name) => self.word(name),
            ExprKind::Reg(reg) => self.word(reg.name()),
            ExprKind::SizeOf(name) => {
                self.word("sizeof ");
                self.word(&name.text);
            }
            ExprKind::Unary(op, e) => {
                self.word(op.text());
                self.level(e, UNARY);
            }
            ExprKind::Binary(op, a, b) => {
                self.level(a, op.level());
                if *op == BinaryOp::Mul {
                    self.word("*");
                } else {
                    self.word(" ");
                    self.word(op.text());
                    self.word(" ");
                }
                self.level(b, op.level() + 1);
            }
            ExprKind::Mem(e) => {
                self.word("[");
                self.expr(e);
                self.word("]");
            }
            ExprKind::Error => self.word("0"),
        }
    }

    /// An expression where only those that bind at least so tightly need no parentheses.
    fn level(&mut self, e: &Expr, least: u8) {
        if level(e) >= least {
            return self.expr(e);
        }
        self.word("(");
        self.expr(e);
        self.word(")");
    }

    pub(super) fn chain(&mut self, chain: &Chain) {
        self.expr(&chain.first);
        for link in &chain.rest {
            self.word(" ");
            self.word(link.rel.text());
            self.word(" ");
            self.expr(&link.expr);
        }
    }

    pub(super) fn item(&mut self, item: &Item) {
        self.field(item, 0);
    }

    /// An item with some spaces more before its type.
    pub(super) fn field(&mut self, item: &Item, gap: usize) {
        match &item.kind {
            ItemKind::Some(name) => {
                self.word("some ");
                self.word(&name.text);
            }
            ItemKind::Value { chain, ty, align } => {
                self.chain(chain);
                let Some(ty) = ty else { return };
                self.word(": ");
                self.word(&" ".repeat(gap));
                self.ty(ty);
                if let Some((align, _)) = align {
                    self.word(" align ");
                    self.word(&number(*align));
                }
            }
        }
    }

    fn items(&mut self, items: &[Item]) {
        self.list(items, Parts::item);
    }

    pub(super) fn ty(&mut self, ty: &Type) {
        match &ty.kind {
            TypeKind::Int { base, range } => {
                self.word(base.text());
                if let Some(range) = range {
                    self.word("[");
                    self.expr(&range.0);
                    self.word(" .. ");
                    self.expr(&range.1);
                    self.word("]");
                }
            }
            TypeKind::Named { name, args } => {
                self.word(&name.text);
                if let Some(args) = args {
                    self.word("[");
                    self.list(args, |p, arg| match arg {
                        Arg::Expr(e) => p.expr(e),
                        Arg::Type(t) => p.ty(t),
                    });
                    self.word("]");
                }
            }
            TypeKind::Array { filled, len, elem } => {
                self.word("[");
                if let Some(filled) = filled {
                    self.expr(filled);
                    self.word(" of ");
                }
                self.expr(len);
                self.word("]");
                self.ty(elem);
            }
            TypeKind::Ptr { mode, origin, null, target } => {
                self.word(mode.text());
                if let Some(origin) = origin {
                    self.word("@");
                    self.word(&origin.text);
                }
                if null.is_some() {
                    self.word("?");
                }
                // `&T`, but `&rw T`, `&? T`, `&@a T`.
                if *mode != PtrMode::Borrow || origin.is_some() || null.is_some() {
                    self.word(" ");
                }
                self.ty(target);
            }
            TypeKind::Fn(f) => self.fn_type(f),
            TypeKind::Error => self.word("int"),
        }
    }

    fn fn_type(&mut self, f: &FnType) {
        self.word("fn");
        self.word(&binders(&f.binders));
        self.word("(");
        self.items(&f.params);
        self.word(")");
        if let Some(result) = &f.result {
            self.word(" -> ");
            self.outcome(result);
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match &outcome.kind {
            OutcomeKind::Never => self.word("never"),
            OutcomeKind::Alternatives(list) => {
                for (at, alternative) in list.iter().enumerate() {
                    self.word(if at == 0 { "(" } else { " or (" });
                    self.items(&alternative.items);
                    self.word(")");
                }
            }
        }
    }

    /// A statement; operands begin at least so far behind the mnemonic's start.
    pub(super) fn stmt(&mut self, stmt: &Stmt, column: usize) {
        match &stmt.kind {
            StmtKind::Inst(inst) => self.inst(inst, column),
            StmtKind::Table(table) => {
                self.word("table ");
                self.word(&table.name.text);
                self.word(" = ");
                self.list(&table.targets, |p, target| p.word(&target.text));
            }
            StmtKind::Ghost(ghost) => {
                self.word("@");
                self.word(&ghost.name.text);
                if !ghost.items.is_empty() {
                    self.word(" ");
                    self.items(&ghost.items);
                }
            }
            StmtKind::Error => self.word("; not understood"),
        }
    }

    fn inst(&mut self, inst: &Inst, column: usize) {
        let start = self.out.len();
        if let Some((prefix, _)) = inst.prefix {
            self.word(prefix.text());
            self.word(" ");
        }
        self.word(&inst.mnemonic.text);
        if inst.operands.is_empty() {
            return;
        }
        let gap = column.saturating_sub(self.out.len() - start).max(1);
        self.word(&" ".repeat(gap));
        self.list(&inst.operands, |p, operand| match &operand.kind {
            OperandKind::Reg(reg) => p.word(reg.name()),
            OperandKind::Expr(e) => p.expr(e),
            OperandKind::Mem { size, address } => {
                if let Some((size, _)) = size {
                    p.word(size.text());
                    p.word(" ");
                }
                p.word("[");
                p.expr(address);
                p.word("]");
            }
        });
    }
}
