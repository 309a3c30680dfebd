//! Not trusted: a bug here can reject, never admit. Expressions: constants, linear terms,
//! addresses.

use super::{Elab, Res};
use crate::lowered::{Origin, WrittenVar};
use crate::resolve::DeclId;
use std::collections::BTreeMap;
use tal_core::hint::Place;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, DataId, Kind, NameSet, Reg, Word};
use tal_syntax::Span;
use tal_syntax::ast::{self, BinaryOp, DeclKind, Expr, ExprKind, UnaryOp, Width};
use tal_syntax::diag::{Code, Diag};

/// What an expression stands for: an integer, or an address plus an integer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Value {
    pub base: Option<Base>,
    pub term: Term,
}

impl Value {
    pub(crate) fn int(term: Term) -> Value {
        Value { base: None, term }
    }

    pub(crate) fn word(self) -> Word {
        match self.base {
            None => Word::Int(self.term),
            Some(base) => Word::Ptr(base, self.term),
        }
    }
}

/// A variable in the making. The kind is open until the first use that tells it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub name: String,
    pub kind: Option<Kind>,
    pub origin: Origin,
    pub span: Span,
    /// Does its name stand for it in expressions?
    pub value: bool,
}

/// How the variables of a scope are numbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// `Free(i)`.
    Free,
    /// `Inner(i)`: a signature inside another.
    Inner,
}

/// What a register means in an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Registers {
    /// Nothing.
    None,
    /// What the signature declares for it.
    Declared,
    /// What it holds here: a new variable, if nothing is said of it.
    Here,
}

/// The variables and registers that an expression may mention.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The file whose names are meant.
    pub module: usize,
    /// Own variables.
    pub vars: Vec<Declared>,
    /// Number of the first of `vars`.
    pub first: usize,
    /// How they are numbered.
    pub class: Class,
    /// Names that stand for values: parameters of a type, variables of the function around.
    pub fixed: BTreeMap<String, Value>,
    /// Names that stand for variables of other kinds: regions, stores, environment words.
    pub special: BTreeMap<String, Var>,
    /// Kinds of the variables behind `fixed`.
    pub outer: Vec<Kind>,
    /// What registers mean.
    pub registers: Registers,
    /// What is declared of registers and slots.
    pub words: Vec<(Place, Word, Span)>,
    /// May an unknown name become an integer variable?
    pub bind: bool,
}

impl Scope {
    /// A scope in which only constants have a meaning.
    pub(crate) fn closed(module: usize) -> Scope {
        Scope {
            module,
            vars: Vec::new(),
            first: 0,
            class: Class::Free,
            fixed: BTreeMap::new(),
            special: BTreeMap::new(),
            outer: Vec::new(),
            registers: Registers::None,
            words: Vec::new(),
            bind: false,
        }
    }

    /// The variable at a place of `vars`.
    pub(crate) fn var(&self, at: usize) -> Var {
        let number = u16::try_from(self.first + at).unwrap_or(u16::MAX);
        match self.class {
            Class::Free => Var::Free(number),
            Class::Inner => Var::Inner(number),
        }
    }

    /// Adds a variable.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        kind: Option<Kind>,
        origin: Origin,
        span: Span,
    ) -> Var {
        let value = origin == Origin::Named;
        self.vars.push(Declared { name: name.to_owned(), kind, origin, span, value });
        self.var(self.vars.len() - 1)
    }

    fn own(&self, name: &str) -> Option<usize> {
        self.vars.iter().position(|v| v.value && v.name == name)
    }

    /// The own variable with this number.
    pub(crate) fn declared(&mut self, var: Var) -> Option<&mut Declared> {
        let number = match (var, self.class) {
            (Var::Free(i), Class::Free) | (Var::Inner(i), Class::Inner) => usize::from(i),
            _ => return None,
        };
        self.vars.get_mut(number.checked_sub(self.first)?)
    }

    /// The kind of a variable, its own or one of the function around.
    pub(crate) fn kind(&self, var: Var) -> Option<Kind> {
        let number = match (var, self.class) {
            (Var::Free(i), Class::Free) | (Var::Inner(i), Class::Inner) => usize::from(i),
            (Var::Free(i), Class::Inner) => return self.outer.get(usize::from(i)).cloned(),
            _ => return None,
        };
        match number.checked_sub(self.first) {
            None => self.outer.get(number).cloned(),
            Some(at) => self.vars.get(at).and_then(|v| v.kind.clone()),
        }
    }

    /// Every name that may be written, for suggestions.
    fn names(&self) -> Vec<&str> {
        (self.vars.iter().map(|v| v.name.as_str()))
            .chain(self.fixed.keys().map(String::as_str))
            .chain(self.special.keys().map(String::as_str))
            .collect()
    }

    /// Kinds of the own variables; what nothing told is an integer.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.vars.iter().map(|v| v.kind.clone().unwrap_or(Kind::INT)).collect()
    }

    /// The variables for a written state or ghost.
    pub(crate) fn written(&self) -> Vec<WrittenVar> {
        (self.vars.iter())
            .map(|v| WrittenVar {
                name: v.name.clone(),
                kind: v.kind.clone().unwrap_or(Kind::INT),
                origin: v.origin,
            })
            .collect()
    }
}

/// The judge's register for a register of the source.
pub(super) fn gpr(reg: ast::Gpr) -> Reg {
    Reg::ALL.get(usize::from(reg.number())).copied().unwrap_or(Reg::Rax)
}

fn is_address(kind: &Kind) -> bool {
    matches!(kind, Kind::Addr { .. } | Kind::Code(_) | Kind::Word)
}

impl Elab {
    /// The value of a constant expression.
    pub(super) fn constant(&mut self, module: usize, e: &Expr) -> Res<i128> {
        let mut scope = Scope::closed(module);
        let value = self.value(e, &mut scope)?;
        match (value.base, value.term.as_int()) {
            (None, Some(c)) => Ok(c),
            _ => Err(self.error(201, e.span, "this must be a constant")),
        }
    }

    /// The value of an expression that is an integer.
    pub(super) fn term(&mut self, e: &Expr, scope: &mut Scope) -> Res<Term> {
        let value = self.value(e, scope)?;
        match value.base {
            None => Ok(value.term),
            Some(_) => Err(self.report(
                Diag::error(Code(212), e.span, "an address stands where an integer must stand")
                    .with_note("addresses are not public: no integer may depend on one"),
            )),
        }
    }

    /// The value of any expression.
    pub(super) fn value(&mut self, e: &Expr, scope: &mut Scope) -> Res<Value> {
        self.deeper(e.span, |elab| elab.shallow_value(e, scope))
    }

    fn shallow_value(&mut self, e: &Expr, scope: &mut Scope) -> Res<Value> {
        match &e.kind {
            ExprKind::Int(i) => self.number(i128::from(i.value), e.span),
            ExprKind::Char(c) => self.number(i128::from(*c), e.span),
            ExprKind::Name(name) => self.name(name, e.span, scope),
            ExprKind::Local(name) => Err(self.error(
                105,
                e.span,
                &format!("`{name}` is a label or table: it has no value in an expression"),
            )),
            ExprKind::Reg(r) => self.register_value(*r, e.span, scope),
            ExprKind::SizeOf(name) => {
                let size = self.size_of_name(name, scope.module)?;
                self.number(size, e.span)
            }
            ExprKind::Unary(op, inner) => {
                let v = self.value(inner, scope)?;
                let v = self.integer(v, inner.span)?;
                let result = match op {
                    UnaryOp::Neg => v.scale(-1),
                    UnaryOp::Not => v.scale(-1).and_then(|t| t.plus(-1)),
                };
                self.formed(result, e.span).map(Value::int)
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, e.span, left, right, scope),
            ExprKind::Mem(inner) => {
                let place = self.slot(inner, scope.module)?;
                self.place_value(place, e.span, scope)
            }
            ExprKind::Error => Err(super::Reported),
        }
    }

    fn number(&mut self, c: i128, span: Span) -> Res<Value> {
        self.formed(Term::constant_of(c), span).map(Value::int)
    }

    fn formed(&mut self, t: Result<Term, tal_core::term::TooBig>, span: Span) -> Res<Term> {
        t.map_err(|_| {
            self.report(
                Diag::error(Code(202), span, "this expression is too large for a term").with_note(
                    "at most 12 products of at most two variables, with coefficients up to 2^64",
                ),
            )
        })
    }

    fn integer(&mut self, v: Value, span: Span) -> Res<Term> {
        match v.base {
            None => Ok(v.term),
            Some(_) => Err(self.error(212, span, "an address cannot be computed with like this")),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        span: Span,
        left: &Expr,
        right: &Expr,
        scope: &mut Scope,
    ) -> Res<Value> {
        let a = self.value(left, scope)?;
        let b = self.value(right, scope)?;
        match op {
            BinaryOp::Add => {
                let base = match (a.base, b.base) {
                    (Some(_), Some(_)) => {
                        return Err(self.error(212, span, "two addresses cannot be added"));
                    }
                    (x, None) | (None, x) => x,
                };
                Ok(Value { base, term: self.formed(a.term.add(&b.term), span)? })
            }
            BinaryOp::Sub => {
                let base = match (a.base, b.base) {
                    (x, None) => x,
                    (Some(x), Some(y)) if x == y => None,
                    _ => return Err(self.error(212, span, "an address cannot be subtracted here")),
                };
                Ok(Value { base, term: self.formed(a.term.sub(&b.term), span)? })
            }
            BinaryOp::Mul => {
                let (a, b) = (self.integer(a, left.span)?, self.integer(b, right.span)?);
                self.formed(a.mul(&b), span).map(Value::int)
            }
            _ => {
                let (a, b) = (self.integer(a, left.span)?, self.integer(b, right.span)?);
                if let (BinaryOp::Shl, Some(count @ 0..=64)) = (op, b.as_int()) {
                    return self.formed(a.scale(1_i128 << count), span).map(Value::int);
                }
                let (Some(x), Some(y)) = (a.as_int(), b.as_int()) else {
                    return Err(self.report(
                        Diag::error(
                            Code(202),
                            span,
                            format!("`{}` needs constants on both sides", op.text()),
                        )
                        .with_note("facts are linear: sums, and products with constants"),
                    ));
                };
                let result = fold(op, x, y);
                match result {
                    Some(c) => self.number(c, span),
                    None => Err(self.error(202, span, "this has no value")),
                }
            }
        }
    }

    fn register_value(&mut self, r: ast::Reg, span: Span, scope: &mut Scope) -> Res<Value> {
        let place = match r {
            ast::Reg::Gpr(g, Width::W64) if g != ast::Gpr::Rsp => Place::Reg(gpr(g)),
            _ => {
                return Err(self.report(
                    Diag::error(Code(210), span, format!("`{}` has no value here", r.name()))
                        .with_note("facts speak of whole 64-bit registers other than rsp"),
                ));
            }
        };
        self.place_value(place, span, scope)
    }

    /// What a register or slot holds.
    pub(super) fn place_value(
        &mut self,
        place: Place,
        span: Span,
        scope: &mut Scope,
    ) -> Res<Value> {
        let known = scope.words.iter().find(|(p, _, _)| *p == place).map(|(_, w, _)| w.clone());
        match (known, scope.registers) {
            (_, Registers::None) => {
                Err(self.error(201, span, "a register has no value in a constant"))
            }
            (Some(Word::Int(t)), _) => Ok(Value::int(t)),
            (Some(Word::Ptr(base, t)), _) => Ok(Value { base: Some(base), term: t }),
            (Some(_), _) => Err(self.error(212, span, "what this holds has no value")),
            (None, Registers::Declared) => {
                Err(self.error(210, span, "nothing is declared of this register here"))
            }
            (None, Registers::Here) => {
                let name = place_name(place);
                let v = scope.declare(&name, Some(Kind::INT), Origin::Place(place), span);
                scope.words.push((place, Word::Int(Term::var(v)), span));
                Ok(Value::int(Term::var(v)))
            }
        }
    }

    fn name(&mut self, name: &str, span: Span, scope: &mut Scope) -> Res<Value> {
        if let Some(at) = scope.own(name) {
            let v = scope.var(at);
            let address = scope.vars.get(at).and_then(|d| d.kind.as_ref()).is_some_and(is_address);
            return Ok(variable(v, address));
        }
        if let Some(v) = scope.fixed.get(name) {
            return Ok(v.clone());
        }
        if let Some(v) = scope.special.get(name) {
            let address = scope.kind(*v).as_ref().is_some_and(is_address);
            if address {
                return Ok(variable(*v, true));
            }
            return Err(self.error(105, span, &format!("`{name}` is no value")));
        }
        if let Some((first, rest)) = name.split_once('.') {
            return self.field_offset(first, rest, span, scope);
        }
        // Where names bind, only constants are not shadowed: types and data live in another world.
        let constant = |id: &DeclId| {
            let decl = self.program.decl(*id).map(|d| &d.kind);
            !scope.bind || matches!(decl, Some(DeclKind::Const(_)))
        };
        let Some(id) = self.program.lookup(scope.module, name).filter(constant) else {
            if scope.bind {
                let v = scope.declare(name, None, Origin::Named, span);
                return Ok(variable(v, false));
            }
            let diag = self.program.unknown(scope.module, name, span, &scope.names());
            return Err(self.report(diag));
        };
        self.global(id, name, span)
    }

    /// The value of a constant, data object or function.
    fn global(&mut self, id: DeclId, name: &str, span: Span) -> Res<Value> {
        let program = self.program.clone();
        match program.decl(id).map(|d| &d.kind) {
            Some(DeclKind::Const(c)) => {
                let value = self.const_value(id, &c.value, span)?;
                self.number(value, span)
            }
            Some(DeclKind::Data(_)) => {
                let at = self.data_id(id);
                Ok(Value { base: Some(Base::Data(at)), term: Term::ZERO })
            }
            _ => Err(self.error(105, span, &format!("`{name}` is neither constant nor data"))),
        }
    }

    fn const_value(&mut self, id: DeclId, e: &Expr, span: Span) -> Res<i128> {
        match self.constants.get(&id) {
            Some(Some(known)) => return *known,
            Some(None) => {
                return Err(self.error(206, span, "this constant is defined by itself"));
            }
            None => {}
        }
        self.constants.insert(id, None);
        let value = self.constant(id.module, e);
        self.constants.insert(id, Some(value));
        value
    }

    fn field_offset(&mut self, ty: &str, field: &str, span: Span, scope: &mut Scope) -> Res<Value> {
        let Some(id) = self.program.lookup(scope.module, ty) else {
            let diag = self.program.unknown(scope.module, ty, span, &[]);
            return Err(self.report(diag));
        };
        let layout = self.struct_layout(id, span)?;
        match layout.fields.iter().find(|f| f.name == field) {
            Some(f) => self.number(i128::from(f.offset), span),
            None => {
                let names = layout.fields.iter().map(|f| f.name.as_str());
                let diag = Diag::error(Code(102), span, format!("`{ty}` has no field `{field}`"));
                Err(self.report(match crate::resolve::near(field, names.clone()) {
                    Some(meant) => {
                        let meant = format!("{ty}.{meant}");
                        diag.with_edit(format!("did you mean `{meant}`?"), span, meant)
                    }
                    None => {
                        let all: Vec<&str> = names.collect();
                        diag.with_note(format!("its fields are {}", all.join(", ")))
                    }
                }))
            }
        }
    }

    /// `[rsp + 8]` in an item.
    pub(super) fn slot(&mut self, e: &Expr, module: usize) -> Res<Place> {
        let offset = match &e.kind {
            ExprKind::Reg(ast::Reg::Gpr(ast::Gpr::Rsp, Width::W64)) => Some(0),
            ExprKind::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), left, right)
                if matches!(left.kind, ExprKind::Reg(ast::Reg::Gpr(ast::Gpr::Rsp, Width::W64))) =>
            {
                let c = self.constant(module, right)?;
                i64::try_from(if *op == BinaryOp::Add { c } else { -c }).ok()
            }
            _ => None,
        };
        match offset {
            Some(k) if k % 8 == 0 => Ok(Place::Slot(k)),
            _ => Err(self.report(
                Diag::error(Code(209), e.span, "this is no stack slot")
                    .with_note("a slot is written `[rsp + k]`, k a multiple of 8"),
            )),
        }
    }

    /// Is this name an address? A variable that nothing is known of becomes one.
    pub(super) fn make_address(&mut self, name: &str, span: Span, scope: &mut Scope) -> Res<Var> {
        if let Some(at) = scope.own(name) {
            let v = scope.var(at);
            if let Some(d) = scope.vars.get_mut(at) {
                match &d.kind {
                    None => d.kind = Some(Kind::Addr { set: NameSet::ADDRESS, block: None }),
                    Some(Kind::Addr { .. }) => {}
                    Some(_) => {
                        let first = d.span;
                        return Err(self.report(
                            Diag::error(Code(212), span, format!("`{name}` is no address"))
                                .with_label(first, "bound here as something else"),
                        ));
                    }
                }
            }
            return Ok(v);
        }
        match scope.fixed.get(name) {
            Some(Value { base: Some(Base::Name(v)), term }) if *term == Term::ZERO => Ok(*v),
            Some(_) => Err(self.error(212, span, &format!("`{name}` is no address"))),
            None => {
                let kind = Kind::Addr { set: NameSet::ADDRESS, block: None };
                Ok(scope.declare(name, Some(kind), Origin::Named, span))
            }
        }
    }

    /// The number of a data object; addresses are given later.
    pub(super) fn data_id(&mut self, id: DeclId) -> DataId {
        let next = self.data_order.len();
        let at = *self.data_order.entry(id).or_insert(next);
        DataId(u16::try_from(at).unwrap_or(u16::MAX))
    }
}

fn variable(v: Var, address: bool) -> Value {
    if address {
        Value { base: Some(Base::Name(v)), term: Term::ZERO }
    } else {
        Value::int(Term::var(v))
    }
}

/// How a place is called in diagnostics.
pub(crate) fn place_name(place: Place) -> String {
    match place {
        Place::Reg(r) => format!("{r:?}").to_lowercase(),
        Place::Slot(0) => "[rsp]".to_owned(),
        Place::Slot(k) if k < 0 => format!("[rsp - {}]", k.unsigned_abs()),
        Place::Slot(k) => format!("[rsp + {k}]"),
    }
}

fn fold(op: BinaryOp, x: i128, y: i128) -> Option<i128> {
    match op {
        BinaryOp::Or => Some(x | y),
        BinaryOp::Xor => Some(x ^ y),
        BinaryOp::Shl => None,
        BinaryOp::Shr => u32::try_from(y).ok().and_then(|y| x.checked_shr(y)),
        BinaryOp::Add => x.checked_add(y),
        BinaryOp::Sub => x.checked_sub(y),
        BinaryOp::Mul => x.checked_mul(y),
        BinaryOp::Div => x.checked_div(y),
        BinaryOp::Rem => x.checked_rem(y),
    }
}
