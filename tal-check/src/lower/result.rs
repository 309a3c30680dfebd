//! Not trusted: a bug here can reject, never admit. Results: post-states, alternatives.

use super::expr::{Scope, gpr, place_name};
use super::sig::{Pointer, Reading, Said, Where, arguments, registers};
use super::types::ge;
use super::{Elab, Res};
use crate::lowered::Origin;
use tal_core::counted::Rc;
use tal_core::hint::Place;
use tal_core::term::{Term, Var};
use tal_core::ty::{Assertion, Base, Cap, Entry, Guard, Kind, NameSet, Post, Word};
use tal_syntax::Span;
use tal_syntax::ast::{
    self, Alternative, EffectKind, Expr, ExprKind, Item, ItemKind, TypeKind, Width,
};
use tal_syntax::diag::{Code, Diag};

/// The one form of a result with alternatives.
const FORM: &str = "the form is `(rax: own@heap T) or (rax: int[-4095 .. -1])`: one register is an \
                    address or a number in its own range, and what it points to may differ";
/// What to do with results that not every alternative has.
const OUT: &str = "what else belongs to one alternative goes into a struct that the caller gives: \
                   `(rdi = r: out T) -> (rax = 0) or (rax: int[-4095 .. -1], r: junk[sizeof T])`";

impl Elab {
    pub(super) fn post(
        &mut self,
        alternatives: &[Alternative],
        pre: &Said,
        scope: &mut Scope,
        span: Span,
    ) -> Res<Post> {
        let first = scope.vars.len();
        scope.words.clear();
        let said = match alternatives {
            [] => Said::default(),
            [one] => self.items(&one.items, scope, Where::Result, None)?,
            many => self.cases(many, scope, span)?,
        };
        let mut caps = said.caps.clone();
        for r in &pre.returned {
            if !said.mentioned.contains(&r.name) {
                caps.push(Cap::Entry(Entry {
                    guards: Vec::new(),
                    name: r.name,
                    offset: Term::ZERO,
                    mem: r.mem.clone(),
                }));
            }
        }
        if alternatives.len() > 1 {
            self.returned_by_case(alternatives, pre, &said, scope, &mut caps)?;
        }
        let vars = scope.kinds().split_off(first);
        let state = Assertion {
            facts: said.facts.iter().map(|(f, _)| f.clone()).collect(),
            regs: registers(scope),
            args: arguments(scope),
            views: said.views,
            caps,
        };
        Ok(Post { vars, state })
    }

    /// `(A) or (B)`: one word tells the alternatives apart; what else they say is guarded by it.
    fn cases(&mut self, alternatives: &[Alternative], scope: &mut Scope, span: Span) -> Res<Said> {
        let Some((place, classes)) = self.case_register(alternatives, scope.module) else {
            return Err(self.report(
                Diag::error(Code(607), span, "no register tells these alternatives apart")
                    .with_note("one register must be an address, or in a range of its own, in each")
                    .with_help(FORM)
                    .with_help(OUT),
            ));
        };
        let (case, mut said) = self.case_word(place, &classes, alternatives, scope)?;
        let words = scope.words.clone();
        let mut all: Vec<Vec<(Place, Word, Span)>> = Vec::new();
        for (alternative, class) in alternatives.iter().zip(&classes) {
            let guard = self.case_guard(case, *class);
            scope.words.clone_from(&words);
            let before = scope.vars.len();
            let part = self.case_items(alternative, place, case, &guard, scope)?;
            if let Some((_, at)) = part.facts.first() {
                let at = *at;
                return Err(self.only_in_one(at));
            }
            let open = |d: &super::expr::Declared| {
                d.kind.is_none() || matches!(d.kind, Some(Kind::Int(_)))
            };
            if let Some(d) = scope.vars.get(before..).into_iter().flatten().find(|d| open(d)) {
                let at = d.span;
                return Err(self.only_in_one(at));
            }
            said.views.extend(part.views);
            said.caps.extend(part.caps);
            said.mentioned.extend(part.mentioned);
            all.push(scope.words.clone());
        }
        scope.words = self.merge_words(words, all)?;
        Ok(said)
    }

    fn only_in_one(&mut self, span: Span) -> super::Reported {
        self.report(
            Diag::error(Code(214), span, "this cannot hold in one alternative only")
                .with_note("alternatives differ in the memory they give, and in one word")
                .with_help(FORM)
                .with_help(OUT),
        )
    }

    /// A register that lies apart in all alternatives.
    fn case_register(
        &mut self,
        alternatives: &[Alternative],
        module: usize,
    ) -> Option<(Place, Vec<CaseClass>)> {
        let first = alternatives.first()?;
        for item in &first.items {
            let Some(place) = item_register(item) else { continue };
            let classes: Option<Vec<CaseClass>> = (alternatives.iter())
                .map(|a| {
                    let item = a.items.iter().find(|i| item_register(i) == Some(place))?;
                    self.case_class(item, module)
                })
                .collect();
            let Some(classes) = classes else { continue };
            let apart = classes
                .iter()
                .enumerate()
                .all(|(i, a)| classes.iter().skip(i + 1).all(|b| !a.meets(*b)));
            if apart {
                return Some((place, classes));
            }
        }
        None
    }

    fn case_class(&mut self, item: &Item, module: usize) -> Option<CaseClass> {
        let ItemKind::Value { chain, ty, .. } = &item.kind else { return None };
        let mut quiet = |e: &Expr| -> Option<i64> {
            let count = self.diags.len();
            let c = self.constant(module, e).ok();
            self.diags.truncate(count);
            c.and_then(|c| i64::try_from(c).ok())
        };
        if let Some(link) = chain.rest.first()
            && let Some(c) = quiet(&link.expr)
        {
            return Some(CaseClass::Range(c, c));
        }
        let ty = ty.as_ref()?;
        let mut scope = Scope::closed(module);
        let expanded = self.expand(ty, &mut scope).ok()?;
        match &expanded.ty.kind {
            TypeKind::Ptr { null: None, .. } => Some(CaseClass::Address),
            TypeKind::Int { range: Some(range), .. } => {
                let module = expanded.scope.as_ref().map_or(module, |scope| scope.module);
                let low = self.constant(module, &range.0).ok()?;
                let high = self.constant(module, &range.1).ok()?;
                Some(CaseClass::Range(i64::try_from(low).ok()?, i64::try_from(high).ok()?))
            }
            _ => None,
        }
    }

    /// Declares the word that tells the alternatives apart.
    fn case_word(
        &mut self,
        place: Place,
        classes: &[CaseClass],
        alternatives: &[Alternative],
        scope: &mut Scope,
    ) -> Res<(Var, Said)> {
        let span = alternatives.first().map_or_else(Span::default, |a| a.span);
        let mut said = Said::default();
        let mut ranges: Vec<(i64, i64)> = classes.iter().filter_map(|c| c.range()).collect();
        ranges.sort_unstable();
        let name = place_name(place);
        if classes.contains(&CaseClass::Address) {
            let mut set = NameSet::ADDRESS;
            let too_many = ranges.len() > set.small.len();
            for (slot, (low, high)) in set.small.iter_mut().zip(&ranges) {
                let (Ok(l), Ok(h)) = (i16::try_from(*low), i16::try_from(*high)) else {
                    return Err(self.small_ranges(span));
                };
                if l < 0 && h >= 0 {
                    return Err(self.small_ranges(span));
                }
                *slot = Some((l, h));
            }
            if too_many {
                return Err(self.small_ranges(span));
            }
            let kind = Kind::Addr { set, block: None };
            let v = scope.declare(&name, Some(kind), Origin::Address(place), span);
            scope.words.push((place, Word::Ptr(Base::Name(v), Term::ZERO), span));
            return Ok((v, said));
        }
        let v = scope.declare(&name, Some(Kind::INT), Origin::Place(place), span);
        let value = Term::var(v);
        let low = ranges.first().map_or(0, |r| r.0);
        let high = ranges.iter().map(|r| r.1).max().unwrap_or(0);
        said.facts.push((ge(self.big(value.plus(-i128::from(low)), span)?), span));
        said.facts.push((ge(self.big(Term::int(high).sub(&value), span)?), span));
        scope.words.push((place, Word::Int(value), span));
        Ok((v, said))
    }

    fn small_ranges(&mut self, span: Span) -> super::Reported {
        self.report(
            Diag::error(
                Code(607),
                span,
                "beside an address there are at most two ranges of integers",
            )
            .with_note("inside -32768 .. 32767, none with both negative numbers and zero"),
        )
    }

    fn case_guard(&self, case: Var, class: CaseClass) -> Guard {
        match class {
            CaseClass::Address => Guard::IsAddress(case),
            CaseClass::Range(low, high) => Guard::Range(Term::var(case), low, high),
        }
    }

    /// The items of one alternative, the case word's own included.
    fn case_items(
        &mut self,
        alternative: &Alternative,
        place: Place,
        case: Var,
        guard: &Guard,
        scope: &mut Scope,
    ) -> Res<Said> {
        let small = |g: &Guard| match (g, scope.kind(case)) {
            (Guard::Range(_, l, h), Some(Kind::Addr { .. })) => {
                let small = i16::try_from(*l).ok().zip(i16::try_from(*h).ok());
                small.map_or_else(|| g.clone(), |(l, h)| Guard::IsSmall(case, l, h))
            }
            _ => g.clone(),
        };
        let guard = small(guard);
        let (own, others): (Vec<Item>, Vec<Item>) =
            alternative.items.iter().cloned().partition(|i| item_register(i) == Some(place));
        let said = self.items(&others, scope, Where::Result, Some(&guard))?;
        let mut cx = Reading::new(Where::Result, Some(&guard), said);
        for item in &own {
            let ItemKind::Value { chain, ty: Some(ty), .. } = &item.kind else { continue };
            let expanded = self.expand(ty, scope)?;
            let TypeKind::Ptr { mode, origin, null, target } = &expanded.ty.kind else { continue };
            if !chain.rest.is_empty() {
                let message = "the register that tells alternatives apart has no other name";
                let reg = place_name(place);
                return Err(self.report(
                    Diag::error(Code(209), chain.span, message)
                        .with_edit(format!("leave the name out: `{reg}`"), chain.span, reg)
                        .with_help(FORM),
                ));
            }
            let bind = std::mem::replace(&mut scope.bind, true);
            let mem = self.mem(target, scope)?;
            scope.bind = bind;
            let pointer = Pointer {
                mode: *mode,
                origin: origin.as_ref(),
                nullable: null.is_some(),
                mem: Rc::new(mem),
                offset: Term::ZERO,
                span: ty.span,
            };
            self.pointer(case, pointer, scope, &mut cx)?;
        }
        Ok(cx.said)
    }

    /// Registers of all alternatives: those that several mention must be the same.
    fn merge_words(
        &mut self,
        common: Vec<(Place, Word, Span)>,
        all: Vec<Vec<(Place, Word, Span)>>,
    ) -> Res<Vec<(Place, Word, Span)>> {
        let mut merged = common;
        for (place, word, span) in all.into_iter().flatten() {
            match merged.iter().find(|(p, _, _)| *p == place) {
                None => merged.push((place, word, span)),
                Some((_, known, _)) if *known == word => {}
                Some(_) => return Err(self.only_in_one(span)),
            }
        }
        Ok(merged)
    }

    /// `inout` memory that some alternative speaks of: the others give it back as it was declared.
    fn returned_by_case(
        &mut self,
        alternatives: &[Alternative],
        pre: &Said,
        said: &Said,
        scope: &Scope,
        caps: &mut Vec<Cap>,
    ) -> Res<()> {
        let Some((place, classes)) = self.case_register(alternatives, scope.module) else {
            return Ok(());
        };
        let case = scope.words.iter().find(|(p, _, _)| *p == place).map(|(_, w, _)| w.clone());
        let case = match case {
            Some(Word::Ptr(Base::Name(v), _)) => v,
            Some(Word::Int(t)) => match t.as_var() {
                Some(v) => v,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        for r in pre.returned.iter().filter(|r| said.mentioned.contains(&r.name)) {
            for class in &classes {
                let guard = match (self.case_guard(case, *class), scope.kind(case)) {
                    (Guard::Range(_, l, h), Some(Kind::Addr { .. })) => {
                        let low = i16::try_from(l).unwrap_or(i16::MIN);
                        Guard::IsSmall(case, low, i16::try_from(h).unwrap_or(i16::MAX))
                    }
                    (g, _) => g,
                };
                let spoken = said.caps.iter().any(|c| match c {
                    Cap::Entry(e) => e.name == r.name && e.guards.first() == Some(&guard),
                    Cap::Token(..) | Cap::Store(_) => false,
                });
                if !spoken {
                    let guards = vec![guard];
                    let (name, mem) = (r.name, r.mem.clone());
                    caps.push(Cap::Entry(Entry { guards, name, offset: Term::ZERO, mem }));
                }
            }
        }
        Ok(())
    }

    /// `keeps(..)`; `clobbers(..)` waits.
    pub(super) fn effects(
        &mut self,
        effects: &[ast::Effect],
        pre: &Assertion,
        post: &mut Post,
    ) -> Res<()> {
        for effect in effects {
            if effect.kind == EffectKind::Clobbers {
                return Err(self.stage(effect.span, "clobber lists of one's own"));
            }
            for (reg, span) in &effect.regs {
                let number = reg.gpr().map(gpr).filter(|r| !r.callee_saved());
                let word = number.map(|r| (r, pre.regs.get(r), post.state.regs.get(r)));
                match word {
                    Some((r, given, Word::Junk)) if *given != Word::Junk => {
                        post.state.regs.set(r, given.clone());
                    }
                    _ => {
                        return Err(self.error(
                            210,
                            *span,
                            "only a register that is a parameter and no result can be kept",
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What the case word is in one alternative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CaseClass {
    Address,
    Range(i64, i64),
}

impl CaseClass {
    fn range(self) -> Option<(i64, i64)> {
        match self {
            CaseClass::Address => None,
            CaseClass::Range(l, h) => Some((l, h)),
        }
    }

    fn meets(self, other: CaseClass) -> bool {
        match (self, other) {
            (CaseClass::Address, CaseClass::Address) => true,
            (CaseClass::Address, CaseClass::Range(..))
            | (CaseClass::Range(..), CaseClass::Address) => false,
            (CaseClass::Range(a, b), CaseClass::Range(c, d)) => a <= d && c <= b,
        }
    }
}

fn item_register(item: &Item) -> Option<Place> {
    match &item.kind {
        ItemKind::Value { chain, .. } => match &chain.first.kind {
            ExprKind::Reg(ast::Reg::Gpr(g, Width::W64)) => Some(Place::Reg(gpr(*g))),
            _ => None,
        },
        ItemKind::Some(_) => None,
    }
}
