//! Not trusted: a bug here can reject, never admit. What both outcomes of a conditional move share.

use super::{Finder, Trouble};
use tal_core::decode::{self, Op};
use tal_core::error::Error;
use tal_core::hint::{Site, Template};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Fact, Rel, Word};

impl Finder<'_> {
    /// One fresh integer in the place where the two words differ, and what bounds it on both
    /// sides: with `a` moved and `b` kept, which of `n >= a`, `n <= a`, `n >= b`, `n <= b` hold.
    pub(super) fn answer_cmov(
        &mut self,
        st: &State,
        moved: &Word,
        kept: &Word,
    ) -> Result<Template, Error> {
        Ok(self.template(st, moved, kept).unwrap_or_else(|| {
            self.trouble.push(Trouble::Cmov);
            let (facts, moved, kept) = (Vec::new(), Vec::new(), Vec::new());
            Template { fresh: 0, word: Word::Junk, facts, moved, kept }
        }))
    }

    fn template(&mut self, st: &State, moved: &Word, kept: &Word) -> Option<Template> {
        let fresh = Term::var(Var::Free(u16::try_from(st.scope.len()).ok()?));
        if moved == kept {
            let word = moved.clone();
            let facts = Vec::new();
            return Some(Template { fresh: 0, word, facts, moved: Vec::new(), kept: Vec::new() });
        }
        let (word, a, b) = match (moved, kept) {
            (Word::Int(a), Word::Int(b)) => (Word::Int(fresh.clone()), a.clone(), b.clone()),
            (Word::Ptr(x, a), Word::Ptr(y, b)) if x == y => {
                let stride = stride(a, b).max(1);
                let rest = a.constant().rem_euclid(stride);
                let at = fresh.scale(stride).and_then(|t| t.plus(rest)).ok()?;
                let index = |e: &Term| e.plus(-rest).ok()?.floor_div(stride).ok();
                (Word::Ptr(*x, at), index(a)?, index(b)?)
            }
            _ => return None,
        };
        let facts = self.bounds(st, &fresh, &a, &b);
        Some(Template { fresh: 1, word, facts, moved: vec![a], kept: vec![b] })
    }

    fn bounds(&mut self, st: &State, n: &Term, a: &Term, b: &Term) -> Vec<Fact> {
        let (on, off) = self.outcomes(st).unwrap_or_else(|| (st.clone(), st.clone()));
        let mut ends = vec![a.clone(), b.clone()];
        let (zero, top) = (Term::ZERO, Term::constant_of(u64::MAX.into()));
        ends.push(zero);
        ends.extend(top);
        // The hull of both, if it is not one of these.
        for sign in [1, -1] {
            let mut least =
                |side: &State, v: &Term| self.memo.known(side).lower_bound(&v.scale(sign).ok()?);
            if let (Some(x), Some(y)) = (least(&on, a), least(&off, b))
                && let Ok(end) = Term::constant_of(sign * x.min(y))
                && !ends.contains(&end)
            {
                ends.push(end);
            }
        }
        let mut facts = Vec::new();
        for end in ends {
            // n - end and end - n, at n = a when moved and n = b when kept.
            for sign in [1, -1] {
                let at = |v: &Term| v.sub(&end).and_then(|t| t.scale(sign));
                let (Ok(x), Ok(y), Ok(term)) = (at(a), at(b), at(n)) else { continue };
                if self.ge(&on, &x) && self.ge(&off, &y) {
                    facts.push(Fact { rel: Rel::Ge, term });
                }
            }
        }
        facts.dedup();
        facts
    }

    /// The states of both outcomes of the conditional move at the site.
    fn outcomes(&mut self, st: &State) -> Option<(State, State)> {
        let site = self.site?;
        let Site::At(at) = site else { return None };
        let Op::Cmov { cc, .. } = decode::decode(self.image, at).ok()?.op else { return None };
        let own = self.own(site)?;
        let mut judge = self.judge(own);
        judge.branch(st, cc).ok()
    }
}

/// What divides all that the two offsets differ by and depend on.
fn stride(a: &Term, b: &Term) -> i128 {
    let gcd = |mut a: i128, mut b: i128| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a.abs()
    };
    let apart = a.constant() - b.constant();
    gcd(gcd(a.gcd(), b.gcd()), apart)
}
