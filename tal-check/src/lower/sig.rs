//! Not trusted: a bug here can reject, never admit. Signatures (surface to core.md 2 and 4.4).
//!
//! An item list is read in two passes: the first binds names (they bind where they stand as a value
//! or as a length), the second reads ranges and facts, in which every name must be known.

use super::expr::{Class, Registers, Scope, Value, gpr, place_name};
use super::types::ge;
use super::{Elab, Res};
use crate::lowered::Origin;
use crate::prove::settle;
use tal_core::counted::Rc;
use tal_core::hint::Place;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Block, Cap, Entry, Fact, Guard, Kind, Mem, Mode, NameSet, Region, Sig, View,
    Word, Words,
};
use tal_syntax::Span;
use tal_syntax::ast::{
    self, BinderKind, Chain, Expr, ExprKind, FnType, IntType, Item, ItemKind, OutcomeKind, PtrMode,
    Type, TypeKind, Width,
};
use tal_syntax::diag::{Code, Diag};

/// A signature with the names of its variables.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub sig: Rc<Sig>,
    pub names: Vec<String>,
    pub params: Vec<(Place, Span)>,
    /// The scope after the pre-state, for written states.
    pub scope: Scope,
}

/// The pointer parameters whose memory goes back to the caller.
#[derive(Clone, Debug)]
pub(super) struct Returned {
    pub name: Var,
    pub mem: Rc<Mem>,
}

/// What one item list says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub facts: Vec<(Fact, Span)>,
    pub views: Vec<View>,
    pub caps: Vec<Cap>,
    pub returned: Vec<Returned>,
    /// Names whose memory is spoken of.
    pub mentioned: Vec<Var>,
    /// Those of them that are spoken of without a register, and where.
    pub named: Vec<(Var, Span)>,
}

/// Where an item list stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    Params,
    Result,
    Label,
}

/// An item list being read.
pub(super) struct Reading<'c, 'a> {
    /// Where it stands.
    pub at: Where,
    /// What makes its memory exist (one of several alternatives).
    pub guard: Option<&'c Guard>,
    pub said: Said,
    later: Vec<Later<'a>>,
}

impl<'c> Reading<'c, '_> {
    pub(super) fn new(at: Where, guard: Option<&'c Guard>, said: Said) -> Self {
        Reading { at, guard, said, later: Vec::new() }
    }
}

/// A range to be read in the second pass.
struct Later<'a> {
    value: Term,
    ty: &'a Type,
    /// That of the body of an alias.
    scope: Option<Scope>,
}

/// What is said of one variable alone becomes its bounds, in the state that declares it.
fn settled(mut sig: Sig, class: Class) -> Sig {
    let index = |v: Var| match (v, class) {
        (Var::Free(i), Class::Free) | (Var::Inner(i), Class::Inner) => Some(usize::from(i)),
        _ => None,
    };
    let first = sig.vars.len();
    settle(&mut sig.vars, index, &mut sig.pre.facts);
    if let Some(post) = &mut sig.post {
        let later = |v| index(v).and_then(|i| i.checked_sub(first));
        settle(&mut post.vars, later, &mut post.state.facts);
    }
    sig
}

impl Elab {
    /// A signature of a function.
    pub(crate) fn signature(
        &mut self,
        module: usize,
        binders: &[ast::Binder],
        sig: &ast::Sig,
    ) -> Res<Named> {
        let mut scope = Scope::closed(module);
        scope.registers = Registers::Declared;
        self.binders(binders, &mut scope)?;
        let (pre, said) = self.assertion(&sig.params, &mut scope, Where::Params, None)?;
        let mut pre = pre;
        for chain in &sig.facts {
            pre.facts.extend(self.facts(chain, &mut scope)?);
        }
        let before = scope.clone();
        let never = matches!(&sig.result, Some(o) if o.kind == OutcomeKind::Never);
        let vars = scope.kinds();
        let mut names: Vec<String> = scope.vars.iter().map(|v| v.name.clone()).collect();
        let post = if never {
            None
        } else {
            let alternatives = match &sig.result {
                Some(ast::Outcome { kind: OutcomeKind::Alternatives(list), .. }) => list.as_slice(),
                _ => &[],
            };
            let span = sig.result.as_ref().map_or(sig.span, |o| o.span);
            let mut post = self.post(alternatives, &said, &mut scope, span)?;
            self.effects(&sig.effects, &pre, &mut post)?;
            names = scope.vars.iter().map(|v| v.name.clone()).collect();
            Some(post)
        };
        self.count_vars(names.len(), sig.span)?;
        let params = before.words.iter().map(|(p, _, s)| (*p, *s)).collect();
        let sig = Rc::new(settled(Sig { vars, pre, post }, Class::Free));
        Ok(Named { sig, names, params, scope: before })
    }

    fn count_vars(&mut self, n: usize, span: Span) -> Res<()> {
        if n > tal_core::limits::SIG_VARS {
            return Err(self.error(221, span, "a signature has at most 64 variables"));
        }
        Ok(())
    }

    fn binders(&mut self, binders: &[ast::Binder], scope: &mut Scope) -> Res<()> {
        for b in binders {
            let kind = match b.kind.map_or(BinderKind::Int, |(k, _)| k) {
                BinderKind::Int => Kind::INT,
                BinderKind::Loc => Kind::Addr { set: NameSet::ADDRESS, block: None },
                BinderKind::Word => Kind::Word,
                BinderKind::Caps => Kind::Store,
                BinderKind::Region => Kind::Region,
                BinderKind::Type => return Err(self.stage(b.span, "type parameters")),
            };
            let plain = matches!(kind, Kind::Int(_) | Kind::Addr { .. });
            let v = scope.declare(&b.name.text, Some(kind), Origin::Named, b.name.span);
            if !plain {
                // Not a value: found by its name only where its kind can stand.
                if let Some(d) = scope.vars.last_mut() {
                    d.value = false;
                }
                scope.special.insert(b.name.text.to_string(), v);
            }
        }
        Ok(())
    }

    /// `fn(rdi = x: inout i64) -> ()` as the type of a parameter.
    fn code_type(&mut self, ty: &FnType, span: Span, outer: &Scope) -> Res<Rc<Sig>> {
        if outer.class == Class::Inner {
            return Err(self.stage(span, "code parameters of code parameters"));
        }
        let mut scope = Scope::closed(outer.module);
        scope.registers = Registers::Declared;
        scope.class = Class::Inner;
        scope.outer = outer.kinds();
        scope.special = outer.special.clone();
        for (i, d) in outer.vars.iter().enumerate() {
            if d.value {
                let address = matches!(d.kind, Some(Kind::Addr { .. }));
                let v = outer.var(i);
                let value = if address {
                    Value { base: Some(Base::Name(v)), term: Term::ZERO }
                } else {
                    Value::int(Term::var(v))
                };
                scope.fixed.insert(d.name.clone(), value);
            }
        }
        self.binders(&ty.binders, &mut scope)?;
        let (pre, said) = self.assertion(&ty.params, &mut scope, Where::Params, None)?;
        let vars = scope.kinds();
        let post = match &ty.result {
            Some(o) if o.kind == OutcomeKind::Never => None,
            Some(ast::Outcome { kind: OutcomeKind::Alternatives(list), span }) => {
                Some(self.post(list, &said, &mut scope, *span)?)
            }
            _ => Some(self.post(&[], &said, &mut scope, span)?),
        };
        self.count_vars(scope.vars.len(), span)?;
        Ok(Rc::new(settled(Sig { vars, pre, post }, Class::Inner)))
    }

    /// One item list as an assertion.
    fn assertion(
        &mut self,
        items: &[Item],
        scope: &mut Scope,
        place: Where,
        guard: Option<&Guard>,
    ) -> Res<(Assertion, Said)> {
        let said = self.items(items, scope, place, guard)?;
        let assertion = Assertion {
            facts: said.facts.iter().map(|(f, _)| f.clone()).collect(),
            regs: registers(scope),
            args: arguments(scope),
            views: said.views.clone(),
            caps: said.caps.clone(),
        };
        Ok((assertion, said))
    }

    /// Reads an item list: words go to `scope.words`, the rest is returned.
    pub(super) fn items(
        &mut self,
        items: &[Item],
        scope: &mut Scope,
        place: Where,
        guard: Option<&Guard>,
    ) -> Res<Said> {
        let mut cx = Reading::new(place, guard, Said::default());
        let mut facts: Vec<&Chain> = Vec::new();
        scope.bind = place != Where::Label;
        // Lengths and values bind names; a label's names are bound by `some` or by the function.
        for item in items {
            self.unaligned(item)?;
            if let ItemKind::Some(name) = &item.kind {
                scope.declare(&name.text, None, Origin::Named, name.span);
            }
        }
        let order = |registers: bool| {
            items.iter().filter(move |i| match &i.kind {
                ItemKind::Some(_) => false,
                ItemKind::Value { chain, .. } => mentions_register(chain) == registers,
            })
        };
        for item in order(false).chain(order(true)) {
            let ItemKind::Value { chain, ty, .. } = &item.kind else { continue };
            match self.target(chain, scope)? {
                Some(at) => {
                    self.place_item(item, at, chain, ty.as_deref(), scope, &mut cx)?;
                    if let [link, rest @ ..] = chain.rest.as_slice()
                        && !rest.is_empty()
                    {
                        let tail = Chain {
                            first: link.expr.clone(),
                            rest: rest.to_vec(),
                            span: chain.span,
                        };
                        let known = self.facts(&tail, scope)?;
                        cx.said.facts.extend(known.into_iter().map(|f| (f, chain.span)));
                    }
                }
                None => match (chain.rest.is_empty(), ty) {
                    (true, _) => {
                        self.name_item(item, chain, ty.as_deref(), scope, &mut cx)?;
                    }
                    (false, None) => facts.push(chain),
                    (false, Some(t)) => {
                        return Err(self.error(209, t.span, "a fact has no type"));
                    }
                },
            }
        }
        scope.bind = false;
        let Reading { mut said, later, .. } = cx;
        for l in later {
            let own = l.scope.filter(|s| !s.vars.is_empty() || !s.fixed.is_empty());
            self.range_facts(&l.value, l.ty, own, scope, &mut said)?;
        }
        for chain in facts {
            let known = self.facts(chain, scope)?;
            said.facts.extend(known.into_iter().map(|f| (f, chain.span)));
        }
        Ok(said)
    }

    /// An alignment is a fact that the judge has no word for: not read, it would be a promise that
    /// nobody keeps.
    pub(super) fn unaligned(&mut self, item: &Item) -> Res<()> {
        match &item.kind {
            ItemKind::Value { align: Some((_, span)), .. } => Err(self.stage(*span, "alignments")),
            _ => Ok(()),
        }
    }

    /// The register or slot on the left side, if the item is about one.
    fn target(&mut self, chain: &Chain, scope: &Scope) -> Res<Option<(Place, Span)>> {
        let equation = chain.rest.first().is_none_or(|l| l.rel == ast::Rel::Eq);
        let span = chain.first.span;
        match &chain.first.kind {
            ExprKind::Reg(ast::Reg::Gpr(g, Width::W64)) if equation && *g != ast::Gpr::Rsp => {
                Ok(Some((Place::Reg(gpr(*g)), span)))
            }
            ExprKind::Reg(r) if equation => {
                let diag =
                    Diag::error(Code(210), span, format!("`{}` cannot be declared", r.name()));
                let whole = r.gpr().filter(|g| *g != ast::Gpr::Rsp).map(|g| g.name(Width::W64));
                Err(self.report(match (whole, r.width()) {
                    (Some(whole), Some(width)) => diag
                        .with_note(format!(
                            "what {} holds is said by a type of that width: `{whole} = n: u{}`",
                            r.name(),
                            width.bits()
                        ))
                        .with_edit(format!("declare the whole register: `{whole}`"), span, whole),
                    _ => diag.with_note("items are about whole 64-bit registers other than rsp"),
                }))
            }
            ExprKind::Mem(inner) if equation => {
                let place = self.slot(inner, scope.module)?;
                Ok(Some((place, span)))
            }
            _ => Ok(None),
        }
    }

    fn place_item<'a>(
        &mut self,
        item: &Item,
        (at, span): (Place, Span),
        chain: &Chain,
        ty: Option<&'a Type>,
        scope: &mut Scope,
        cx: &mut Reading<'_, 'a>,
    ) -> Res<()> {
        self.allowed(at, span, cx.at)?;
        if let Some((_, _, first)) = scope.words.iter().find(|(p, _, _)| *p == at) {
            let first = *first;
            let diag =
                Diag::error(Code(211), span, format!("`{}` is declared twice", place_name(at)));
            return Err(self.report(diag.with_label(first, "first here")));
        }
        let value = chain.rest.first().map(|l| &l.expr);
        let word = match ty {
            Some(t) => match self.environment_word(t, scope) {
                Some(word) if value.is_none() => word,
                _ => self.typed_word(item, at, value, t, scope, cx)?,
            },
            None => match value {
                Some(e) => self.value(e, scope)?.word(),
                None => {
                    let name = place_name(at);
                    Word::Int(Term::var(scope.declare(
                        &name,
                        Some(Kind::INT),
                        Origin::Place(at),
                        span,
                    )))
                }
            },
        };
        scope.words.push((at, word, span));
        Ok(())
    }

    /// May this place be declared here?
    fn allowed(&mut self, at: Place, span: Span, place: Where) -> Res<()> {
        match (place, at) {
            (Where::Label, _) => Ok(()),
            (_, Place::Reg(r)) if r.callee_saved() => Err(self.report(
                Diag::error(Code(210), span, format!("`{}` belongs to the caller", place_name(at)))
                    .with_note("parameters and results are in rax rcx rdx rsi rdi r8-r11"),
            )),
            (_, Place::Slot(k)) if !(8..=1024).contains(&k) => Err(self.error(
                210,
                span,
                "arguments on the stack are at [rsp + 8], [rsp + 16] and so on",
            )),
            _ => Ok(()),
        }
    }

    fn typed_word<'a>(
        &mut self,
        item: &Item,
        at: Place,
        value: Option<&Expr>,
        ty: &'a Type,
        scope: &mut Scope,
        cx: &mut Reading<'_, 'a>,
    ) -> Res<Word> {
        let expanded = self.expand(ty, scope)?;
        match &expanded.ty.kind {
            TypeKind::Int { .. } => {
                let term = match value {
                    Some(e) => self.term(e, scope)?,
                    None => {
                        let name = place_name(at);
                        let label = cx.at == Where::Label;
                        let origin = if label { Origin::Typed(at) } else { Origin::Place(at) };
                        Term::var(scope.declare(&name, Some(Kind::INT), origin, item.span))
                    }
                };
                let own = ty.kind == expanded.ty.kind;
                let scope = if own { None } else { expanded.scope };
                cx.later.push(Later { value: term.clone(), ty, scope });
                Ok(Word::Int(term))
            }
            TypeKind::Ptr { mode, origin, null, target } => {
                let (name, offset) = self.address_name(at, value, item.span, scope)?;
                self.claim(name, null.is_some(), item.span, scope)?;
                let mem = if ty.kind == expanded.ty.kind {
                    self.mem(target, scope)?
                } else {
                    let mut inner = expanded.scope.clone().unwrap_or_else(|| scope.clone());
                    self.mem(target, &mut inner)?
                };
                let pointer = Pointer {
                    mode: *mode,
                    origin: origin.as_ref(),
                    nullable: null.is_some(),
                    mem: Rc::new(mem),
                    offset: offset.clone(),
                    span: ty.span,
                };
                self.pointer(name, pointer, scope, cx)?;
                Ok(Word::Ptr(Base::Name(name), offset))
            }
            TypeKind::Fn(f) => {
                let sig = self.code_type(f, ty.span, scope)?;
                let name = match value.map(|e| &e.kind) {
                    Some(ExprKind::Name(n)) => n.clone(),
                    None => place_name(at),
                    Some(_) => {
                        return Err(self.error(209, item.span, "a code pointer is a lone name"));
                    }
                };
                let kind = Some(Kind::Code(sig));
                let v = scope.declare(&name, kind, Origin::Named, item.span);
                Ok(Word::Ptr(Base::Name(v), Term::ZERO))
            }
            _ => Err(self.report(
                Diag::error(Code(204), ty.span, "a register holds no value of this type")
                    .with_help("write a pointer: `&T`, `inout T`, `own T` and so on"),
            )),
        }
    }

    /// The name that a pointer item is about, and the bytes behind it.
    fn address_name(
        &mut self,
        at: Place,
        value: Option<&Expr>,
        span: Span,
        scope: &mut Scope,
    ) -> Res<(Var, Term)> {
        match value {
            Some(Expr { kind: ExprKind::Name(n), span }) => {
                Ok((self.make_address(n, *span, scope)?, Term::ZERO))
            }
            Some(e) => match self.value(e, scope)? {
                Value { base: Some(Base::Name(v)), term } => Ok((v, term)),
                _ => Err(self.error(212, e.span, "this is no address")),
            },
            None => {
                let kind = Kind::Addr { set: NameSet::ADDRESS, block: None };
                let v = scope.declare(&place_name(at), Some(kind), Origin::Address(at), span);
                Ok((v, Term::ZERO))
            }
        }
    }

    /// Makes a name nullable.
    fn claim(&mut self, name: Var, nullable: bool, span: Span, scope: &mut Scope) -> Res<()> {
        if !nullable {
            return Ok(());
        }
        match scope.declared(name) {
            Some(d) => {
                if let Some(Kind::Addr { set, .. }) = &mut d.kind
                    && set.is_address()
                {
                    *set = NameSet::NULLABLE;
                }
                Ok(())
            }
            None => match scope.kind(name) {
                Some(Kind::Addr { set, .. }) if !set.is_address() => Ok(()),
                _ => Err(self.error(212, span, "this name cannot be null: it was declared so")),
            },
        }
    }

    /// What a pointer type says about the memory at `name`.
    pub(super) fn pointer(
        &mut self,
        name: Var,
        p: Pointer<'_>,
        scope: &mut Scope,
        cx: &mut Reading<'_, '_>,
    ) -> Res<()> {
        let mut guards: Vec<Guard> = cx.guard.cloned().into_iter().collect();
        let own = Guard::IsAddress(name);
        if p.nullable && !guards.contains(&own) {
            guards.push(own);
        }
        cx.said.mentioned.push(name);
        if p.origin.is_some()
            && matches!(p.mode, PtrMode::Ref | PtrMode::RefRw | PtrMode::InOut | PtrMode::Out)
        {
            return Err(self.error(215, p.span, "this mode has no origin"));
        }
        let entry = |mem: Rc<Mem>| {
            let guards = guards.clone();
            Cap::Entry(Entry { guards, name, offset: p.offset.clone(), mem })
        };
        match p.mode {
            PtrMode::Own => {
                if let Some(origin) = p.origin {
                    let origin = self.origin(origin, scope.module)?;
                    let extent = self.size(&p.mem, p.span)?;
                    self.block(name, Block { origin, extent }, p.span, scope)?;
                }
                cx.said.caps.push(entry(p.mem));
            }
            PtrMode::InOut | PtrMode::Out => {
                if cx.at != Where::Params {
                    let message = format!("`{}` is for parameters", p.mode.text());
                    return Err(self.report(Diag::error(Code(204), p.span, message).with_help(
                        "results say `own T`, or `name: T` for the memory of a parameter",
                    )));
                }
                let before = if p.mode == PtrMode::Out {
                    Rc::new(Mem::Junk(self.size(&p.mem, p.span)?))
                } else {
                    p.mem.clone()
                };
                cx.said.caps.push(entry(before));
                cx.said.returned.push(Returned { name, mem: p.mem });
            }
            PtrMode::Ref | PtrMode::RefRw => {
                let mode = if p.mode == PtrMode::Ref { Mode::Ro } else { Mode::Rw };
                let base = Base::Name(name);
                let region = Region::Always;
                cx.said.views.push(View {
                    guards,
                    region,
                    mode,
                    base,
                    offset: p.offset,
                    mem: p.mem,
                });
            }
            PtrMode::Borrow | PtrMode::BorrowRw => {
                let region = self.region(name, &p, scope, cx.at)?;
                let mode = match p.mode {
                    PtrMode::BorrowRw => Mode::Rw,
                    _ if self.plain(&p.mem) => Mode::Rd,
                    _ => Mode::Ro,
                };
                let (base, region) = (Base::Name(name), Region::Var(region));
                cx.said.views.push(View {
                    guards,
                    region,
                    mode,
                    base,
                    offset: p.offset,
                    mem: p.mem,
                });
            }
        }
        Ok(())
    }

    /// The time for which a borrowed pointer is lent: its own, or another parameter's.
    fn region(&mut self, name: Var, p: &Pointer<'_>, scope: &mut Scope, place: Where) -> Res<Var> {
        if let Some(of) = p.origin {
            return match scope.special.get(of.text.as_str()).copied() {
                Some(v) if scope.kind(v) == Some(Kind::Region) => Ok(v),
                _ => Err(self.report(
                    Diag::error(Code(215), of.span, format!("`{}` is not borrowed", of.text))
                        .with_note("behind `&@` stands a parameter that is borrowed with `&`"),
                )),
            };
        }
        if place != Where::Params {
            return Err(self.report(
                Diag::error(Code(215), p.span, "say from which parameter this is borrowed")
                    .with_help("`&@t T` is borrowed as long as the parameter t"),
            ));
        }
        let text = scope.declared(name).map_or_else(String::new, |d| d.name.clone());
        let kind = Some(Kind::Region);
        let v = scope.declare(&format!("'{text}"), kind, Origin::Named, p.span);
        scope.special.insert(text, v);
        Ok(v)
    }

    /// Notes that a name, if it is an address, is a whole block.
    fn block(&mut self, name: Var, block: Block, span: Span, scope: &mut Scope) -> Res<()> {
        let same = |known: &Option<Block>| known.as_ref().is_some_and(|k| *k == block);
        let differs = match scope.declared(name) {
            Some(d) => match &mut d.kind {
                Some(Kind::Addr { block: known, .. }) => {
                    if known.is_none() {
                        *known = Some(block);
                        false
                    } else {
                        !same(known)
                    }
                }
                _ => true,
            },
            None => match scope.kind(name) {
                Some(Kind::Addr { block: known, .. }) => !same(&known),
                _ => true,
            },
        };
        if differs {
            let message = "this name is not declared as a whole block of this origin and size";
            return Err(self.error(215, span, message));
        }
        Ok(())
    }

    /// A lone name: a store (`R`), or memory of a name (`h: junk[16]`).
    fn name_item(
        &mut self,
        item: &Item,
        chain: &Chain,
        ty: Option<&Type>,
        scope: &mut Scope,
        cx: &mut Reading<'_, '_>,
    ) -> Res<()> {
        let ExprKind::Name(name) = &chain.first.kind else {
            return Err(self.error(209, item.span, "this item says nothing about a register"));
        };
        let Some(ty) = ty else {
            return match scope.special.get(name).copied() {
                Some(v) if scope.kind(v) == Some(Kind::Store) => {
                    if cx.guard.is_some() {
                        return Err(self.error(
                            214,
                            item.span,
                            "what is unknown cannot be in one alternative only",
                        ));
                    }
                    cx.said.named.push((v, item.span));
                    cx.said.caps.push(Cap::Store(v));
                    Ok(())
                }
                _ => Err(self.report(
                    Diag::error(Code(209), item.span, format!("`{name}` alone says nothing"))
                        .with_help(format!("write `rdi = {name}` to say where it is")),
                )),
            };
        };
        if cx.at == Where::Params {
            return Err(self.report(
                Diag::error(Code(209), item.span, "a parameter needs a register")
                    .with_help(format!("write `rdi = {name}: ..`")),
            ));
        }
        let v = match self.value_of_name(name, chain.first.span, scope)? {
            Value { base: Some(Base::Name(v)), term } if term == Term::ZERO => v,
            _ => return Err(self.error(212, chain.first.span, "this name is no address")),
        };
        let mem = Rc::new(self.mem(ty, scope)?);
        cx.said.mentioned.push(v);
        cx.said.named.push((v, item.span));
        let guards = cx.guard.cloned().into_iter().collect();
        cx.said.caps.push(Cap::Entry(Entry { guards, name: v, offset: Term::ZERO, mem }));
        Ok(())
    }

    fn value_of_name(&mut self, name: &str, span: Span, scope: &mut Scope) -> Res<Value> {
        let e = Expr { kind: ExprKind::Name(name.to_owned()), span };
        let bind = std::mem::replace(&mut scope.bind, false);
        let value = self.value(&e, scope);
        scope.bind = bind;
        value
    }

    /// The facts that `value: ty` states, for an integer type.
    fn range_facts(
        &mut self,
        value: &Term,
        ty: &Type,
        inner: Option<Scope>,
        scope: &mut Scope,
        said: &mut Said,
    ) -> Res<()> {
        let expanded = self.expand(ty, scope)?;
        let TypeKind::Int { base, range } = &expanded.ty.kind else { return Ok(()) };
        let (low, high) = match range {
            Some(range) => {
                let mut inner = inner.unwrap_or_else(|| scope.clone());
                (self.term(&range.0, &mut inner)?, self.term(&range.1, &mut inner)?)
            }
            None => match natural(*base) {
                Some((low, high)) => (
                    self.big(Term::constant_of(low), ty.span)?,
                    self.big(Term::constant_of(high), ty.span)?,
                ),
                None => return Ok(()),
            },
        };
        if let (Some(l), Some(h)) = (low.as_int(), high.as_int())
            && l > h
        {
            return Err(self.error(222, ty.span, "this range is empty"));
        }
        said.facts.push((ge(self.big(value.sub(&low), ty.span)?), ty.span));
        said.facts.push((ge(self.big(high.sub(value), ty.span)?), ty.span));
        Ok(())
    }
}

/// A pointer type, taken apart.
pub(super) struct Pointer<'a> {
    pub mode: PtrMode,
    pub origin: Option<&'a ast::Name>,
    pub nullable: bool,
    pub mem: Rc<Mem>,
    pub offset: Term,
    pub span: Span,
}

/// Does the value of the item depend on a register?
fn mentions_register(chain: &Chain) -> bool {
    fn inside(e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Reg(_) | ExprKind::Mem(_) => true,
            ExprKind::Unary(_, a) => inside(a),
            ExprKind::Binary(_, a, b) => inside(a) || inside(b),
            _ => false,
        }
    }
    chain.rest.iter().any(|l| inside(&l.expr))
}

/// The range of an integer type; `int` has none.
fn natural(base: IntType) -> Option<(i128, i128)> {
    if base == IntType::Int {
        return None;
    }
    let bits = u32::from(base.width().bits());
    Some(if base.signed() {
        (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
    } else {
        (0, (1_i128 << bits) - 1)
    })
}

pub(super) fn registers(scope: &Scope) -> Words {
    let mut regs = Words::default();
    for (place, word, _) in &scope.words {
        if let Place::Reg(r) = place {
            regs.set(*r, word.clone());
        }
    }
    regs
}

pub(super) fn arguments(scope: &Scope) -> Vec<(u16, Word)> {
    let mut args: Vec<(u16, Word)> = (scope.words.iter())
        .filter_map(|(place, word, _)| match place {
            Place::Slot(k) => u16::try_from(*k).ok().map(|k| (k, word.clone())),
            Place::Reg(_) => None,
        })
        .collect();
    args.sort_by_key(|(k, _)| *k);
    args
}
