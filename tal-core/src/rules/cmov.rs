//! TCB. Conditional moves and conditional bytes (core.md 4.9).

use crate::decode::{Cc, Rm, Src, Width};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Template};
use crate::judge::{Judge, Result, is_int};
use crate::limits;
use crate::rules::flags::readable;
use crate::rules::operand::{Out, reg_word, wrap};
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{Base, Fact, Reg, Word};
use alloc::boxed::Box;

impl<H: Hints> Judge<'_, H> {
    /// rule[row-setcc]: 0 or 1, in the low byte only (traps 6, 22).
    pub(super) fn row_setcc(&mut self, state: &mut State, cc: Cc, dst: Reg) -> Result<()> {
        premise!(readable(state, cc));
        let n = self.fresh_between(state, 0, 1)?;
        self.write(state, dst, Width::W8, Out::unsigned(n))
    }

    /// rule[row-cmov]: the template holds of either alternative, each with the edge fact of its own
    /// side (trap 54). The load happens in any case; 32 bits are written in any case (trap 5).
    pub(super) fn row_cmov(
        &mut self,
        state: &mut State,
        (cc, width): (Cc, Width),
        dst: Reg,
        src: &Rm,
    ) -> Result<()> {
        premise!(readable(state, cc));
        let moved = self.source(state, &Src::from(*src), width)?;
        let kept = reg_word(state, dst).clone();
        if !chooses(&moved, width) || !chooses(&kept, width) {
            return self.write(state, dst, width, Out::junk());
        }
        let template = self.hints.cmov(state, &moved, &kept)?;
        premise!(check_template(state, &template, width));
        self.alternative(state, (cc, true), width, &moved, (&template, &template.moved))?;
        self.alternative(state, (cc, false), width, &kept, (&template, &template.kept))?;
        for _ in 0..template.fresh {
            self.fresh_int(state)?;
        }
        for fact in template.facts {
            self.learn(state, fact.rel, fact.term)?;
        }
        self.write(state, dst, width, Out::word(template.word))
    }

    /// With the fact of this edge: the template at `values` is `word`, and its facts hold. Nothing
    /// of it is known afterwards.
    fn alternative(
        &mut self,
        state: &mut State,
        edge: (Cc, bool),
        width: Width,
        word: &Word,
        template: (&Template, &[Term]),
    ) -> Result<()> {
        let mark = state.mark();
        self.on_edge(state, edge, width, word, template)?;
        mark.cut(state);
        Ok(())
    }

    /// As [`Judge::alternative`], in a state that is given up.
    fn on_edge(
        &mut self,
        side: &mut State,
        (cc, taken): (Cc, bool),
        width: Width,
        word: &Word,
        (template, values): (&Template, &[Term]),
    ) -> Result<()> {
        let rule = Rule::RowCmov;
        let base = side.scope.len();
        let value = |v: Var| match v {
            Var::Free(i) => values.get(usize::from(i).checked_sub(base)?).cloned(),
            _ => None,
        };
        let at = |t: &Term| t.subst(&value).or_refuse(rule);
        self.edge(side, cc, taken)?;
        match &template.word {
            Word::Int(t) => {
                let want = Word::Int(at(t)?);
                premise!(self.same_modulo(side, word, &want, width));
            }
            Word::Ptr(x, t) => {
                let want = Word::Ptr(*x, at(t)?);
                premise!(self.same_modulo(side, word, &want, width));
            }
            // Unreadable: every word is.
            Word::Junk => {}
            // Second to `word_fits` in `check_template`: which other words a template may have.
            other => return refuse!(wrong(other)),
        }
        for fact in &template.facts {
            let goal = Fact { rel: fact.rel, term: at(&fact.term)? };
            premise!(self.prove(side, &goal, rule));
        }
        Ok(())
    }

    /// Are the words equal modulo 2^width: identically, by a multiple of 2^width, or proved?
    fn same_modulo(
        &mut self,
        state: &mut State,
        have: &Word,
        want: &Word,
        width: Width,
    ) -> Result<()> {
        let rule = Rule::RowCmov;
        let difference = match (resolve(state, have), resolve(state, want)) {
            (Word::Int(a), Word::Int(b)) => a.sub(&b),
            (Word::Ptr(x, a), Word::Ptr(y, b))
                if holds!(x == y)
                    // Second to `width == Width::W64` in `chooses`: half a pointer does not get
                    // here.
                    && holds!(width == Width::W64) =>
            {
                a.sub(&b)
            }
            (have, _) => return refuse!(wrong(&have)),
        };
        let difference = difference.or_refuse(rule)?;
        match difference.as_int() {
            Some(c) if wrap(c, width.bits(), false) == 0 => {}
            _ => premise!(self.prove_eq(state, &difference, rule)),
        }
        Ok(())
    }
}

fn wrong(word: &Word) -> Error {
    Error::new(Rule::RowCmov, Kind::WrongWord(Box::new(word.clone())))
}

/// May the word be one of the alternatives? Pointers at 64 bits only.
fn chooses(word: &Word, width: Width) -> bool {
    match word {
        Word::Int(_) => true,
        Word::Ptr(..) => holds!(width == Width::W64),
        Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => false,
    }
}

/// The template speaks of integers in scope and of its own; the values of integers in scope.
fn check_template(state: &State, template: &Template, width: Width) -> Result<()> {
    let bad = || Error::new(Rule::RowCmov, Kind::BadHint);
    let fresh = usize::from(template.fresh);
    let end = state.scope.len().saturating_add(fresh);
    let own = |v: Var| match v {
        Var::Free(i) => is_int(state, v) || (state.scope.len()..end).contains(&usize::from(i)),
        _ => false,
    };
    let closed = |t: &Term| t.every_var(own);
    let known = |t: &Term| t.every_var(|v| is_int(state, v));
    let word_fits = match &template.word {
        Word::Int(t) => closed(t),
        Word::Ptr(_, t) => holds!(width == Width::W64) && closed(t),
        Word::Junk => true,
        Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) => false,
    };
    premise!(fresh <= limits::LABEL_VARS, bad());
    premise!(template.facts.len() <= limits::PREMISES, bad());
    premise!(template.moved.len() == fresh, bad());
    premise!(template.kept.len() == fresh, bad());
    premise!(template.moved.iter().chain(&template.kept).all(known), bad());
    premise!(template.facts.iter().all(|f| closed(&f.term)), bad());
    premise!(word_fits, bad());
    Ok(())
}

/// A name that this side of the condition made an integer reads as that integer.
fn resolve(state: &State, word: &Word) -> Word {
    if let Word::Ptr(Base::Name(Var::Free(i)), offset) = word {
        let is = state.scope.get(usize::from(*i)).and_then(|s| s.is.as_ref());
        if let Some(sum) = is.and_then(|n| n.add(offset).ok()) {
            return Word::Int(sum);
        }
    }
    word.clone()
}
