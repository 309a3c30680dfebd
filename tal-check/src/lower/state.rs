//! Not trusted: a bug here can reject, never admit. Written label states and ghosts.

use super::expr::{Registers, Scope, Value, gpr};
use super::sig::{Named, Where};
use super::{Elab, Res};
use crate::lowered::{GhostLine, GhostOp, Target, Written};
use crate::resolve::near;
use tal_core::hint::Place;
use tal_core::term::Term;
use tal_core::ty::{Base, Kind, Mode};
use tal_syntax::Span;
use tal_syntax::ast::{self, Expr, ExprKind, Ghost, Item, ItemKind, LabelState, Width};
use tal_syntax::diag::{Code, Diag};

/// Names of the written ghosts.
const GHOSTS: [&str; 9] =
    ["have", "split", "join", "open", "pack", "leak", "share", "share_rw", "show"];

/// How ghosts are written.
const FORMS: &str = "@have facts; @split p, count; @join p; @open p; @pack p; @leak p; @share p; \
                     @share_rw p; @show";

/// The scope of a label or ghost: the variables of the function's pre-state, and registers.
fn inside(named: &Named) -> Scope {
    let before = &named.scope;
    let mut scope = Scope::closed(before.module);
    scope.registers = Registers::Here;
    scope.first = before.vars.len();
    scope.outer = before.kinds();
    scope.special = before.special.clone();
    for (i, d) in before.vars.iter().enumerate().filter(|(_, d)| d.value) {
        let v = before.var(i);
        let address = matches!(d.kind, Some(Kind::Addr { .. } | Kind::Code(_) | Kind::Word));
        let value = if address {
            Value { base: Some(Base::Name(v)), term: Term::ZERO }
        } else {
            Value::int(Term::var(v))
        };
        scope.fixed.insert(d.name.clone(), value);
    }
    scope
}

impl Elab {
    /// `where ..` behind a label.
    pub(super) fn written(&mut self, state: &LabelState, named: &Named) -> Res<Written> {
        let mut scope = inside(named);
        let said = self.items(&state.items, &mut scope, Where::Label, None)?;
        Ok(Written {
            vars: scope.written(),
            words: scope.words,
            facts: said.facts,
            views: said.views,
            caps: said.caps,
            named: said.named,
            parts: state.items.iter().map(|i| i.span).collect(),
            span: state.span,
        })
    }

    /// `@have ..` and the like, before the instruction at `offset`.
    pub(super) fn ghost(
        &mut self,
        ghost: &Ghost,
        span: Span,
        offset: u32,
        named: &Named,
    ) -> Res<GhostLine> {
        let mut scope = inside(named);
        let items = ghost.items.as_slice();
        let name = ghost.name.text.as_str();
        let op = match (name, items) {
            ("have", [_, ..]) => {
                let mut facts = Vec::new();
                for item in items {
                    match &item.kind {
                        ItemKind::Value { chain, ty: None, .. } => {
                            facts.extend(self.facts(chain, &mut scope)?);
                        }
                        _ => return Err(self.error(209, item.span, "here only facts can stand")),
                    }
                }
                GhostOp::Have(facts)
            }
            ("show", []) => GhostOp::Show,
            ("split", [at, count]) => {
                let target = self.ghost_target(at, &mut scope)?;
                let count = self.lone(count)?.clone();
                GhostOp::Split(target, self.term(&count, &mut scope)?)
            }
            ("join" | "open" | "pack" | "leak" | "share" | "share_rw", [at]) => {
                let target = self.ghost_target(at, &mut scope)?;
                match name {
                    "join" => GhostOp::Join(target),
                    "open" => GhostOp::Open(target),
                    "pack" => GhostOp::Pack(target),
                    "share" => GhostOp::Share(target, Mode::Ro),
                    "share_rw" => GhostOp::Share(target, Mode::Rw),
                    _ => GhostOp::Leak(target),
                }
            }
            _ if GHOSTS.contains(&name) => {
                let diag = Diag::error(
                    Code(810),
                    span,
                    format!("`@{name}` is given too much or too little"),
                );
                return Err(self.report(diag.with_note(FORMS)));
            }
            _ => {
                let at = ghost.name.span;
                let diag = Diag::error(Code(810), at, format!("there is no ghost `@{name}`"));
                let diag = match near(name, GHOSTS.into_iter()) {
                    Some(meant) => diag.with_edit(format!("did you mean `@{meant}`?"), at, meant),
                    None => diag,
                };
                return Err(self.report(diag.with_note(FORMS)));
            }
        };
        Ok(GhostLine { offset, falls: false, op, vars: scope.written(), span })
    }

    fn lone<'a>(&mut self, item: &'a Item) -> Res<&'a Expr> {
        match &item.kind {
            ItemKind::Value { chain, ty: None, .. } if chain.rest.is_empty() => Ok(&chain.first),
            _ => Err(self.error(209, item.span, "here stands an expression")),
        }
    }

    fn ghost_target(&mut self, item: &Item, scope: &mut Scope) -> Res<Target> {
        let e = self.lone(item)?.clone();
        match &e.kind {
            ExprKind::Reg(ast::Reg::Gpr(g, Width::W64)) => Ok(Target::Place(Place::Reg(gpr(*g)))),
            ExprKind::Mem(inner) => {
                let slot = self.slot(inner, scope.module)?;
                Ok(Target::Place(slot))
            }
            _ => match self.value(&e, scope)? {
                v @ Value { base: Some(_), .. } => Ok(Target::Word(v.word())),
                Value { base: None, .. } => Err(self.error(212, e.span, "this is no address")),
            },
        }
    }
}
