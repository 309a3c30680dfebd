//! Not trusted: a bug here can reject, never admit. Bounds that move.
//!
//! A bound that a turn of a loop breaks moves to the next threshold instead of the next number
//! (widening: Cousot and Halbwachs 1978). At the first visit of a head bounds keep room for what a
//! turn is likely to do, by what it adds (`flow/loops.rs`).

use super::*;

impl Common<'_> {
    /// `x - y >= c` for the greatest c that holds on both sides.
    pub(super) fn zone(&self, chosen: &mut Chosen<'_>, x: &Term, y: &Term) {
        let Ok(difference) = x.sub(y) else { return };
        if let Some(low) = self.both(&difference) {
            self.widened(chosen, &difference, low);
        }
    }

    /// The term does not fall below `low`, or, after a few visits, below the next threshold.
    pub(super) fn widened(&self, chosen: &mut Chosen<'_>, difference: &Term, low: i128) {
        let bound = if self.sides.visits == 0 {
            let Some(low) = self.lasting_low(difference, low) else { return };
            low
        } else if self.sides.visits < self.sides.precise {
            low
        } else {
            let Some(threshold) = self.threshold(low) else { return };
            chosen.bound(difference).map_or(threshold, |known| known.max(threshold))
        };
        if let Ok(term) = difference.plus(-bound) {
            chosen.add(Fact { rel: Rel::Ge, term });
        }
    }

    /// The next threshold at or below the bound.
    fn threshold(&self, low: i128) -> Option<i128> {
        let at = self.sides.thresholds.partition_point(|t| *t <= low);
        at.checked_sub(1).map(|at| self.sides.thresholds[at])
    }

    /// What the turns of a loop add to the term at the least, if they change it and that is known;
    /// and of a multiple of a variable the last value that a comparison lets it reach.
    fn drift(&self, term: &Term) -> Option<(i128, Option<i128>)> {
        let mut paces: Option<u64> = None;
        let (mut net, mut limit, mut changes) = (0_i128, None, false);
        for Monomial { atom, coefficient } in term.monomials() {
            let (a, b) = atom.factors();
            let of = |v: Var| self.key(v).map_or_else(Drift::default, |key| key.drift);
            if b.is_some_and(|b| of(b).pace != 0) {
                return None;
            }
            let Drift { pace, by, limit: own } = of(a);
            if pace == 0 {
                continue;
            }
            if b.is_some() || by == 0 {
                return None;
            }
            let by = coefficient.checked_mul(by)?;
            // Of several that do not go together it is known only if all push the same way.
            if paces.is_some_and(|other| other != pace) && (net ^ by) < 0 {
                return None;
            }
            paces = Some(pace);
            net = net.checked_add(by)?;
            limit = own.and_then(|own| own.checked_mul(coefficient));
            changes = true;
        }
        let alone = term.monomials().len() == 1;
        changes.then_some((net, limit.filter(|_| alone)))
    }

    /// Of what holds when a loop is entered, what its turns are likely to keep: an equality may
    /// become a bound, a bound one that leaves room.
    pub(super) fn lasting(&self, fact: Fact) -> Option<Fact> {
        let Some((net, _)) = self.drift(&fact.term) else { return Some(fact) };
        match fact.rel {
            Rel::Ne => Some(fact),
            Rel::Eq if net == 0 => Some(fact),
            Rel::Eq => {
                let term = fact.term.scale(net.signum()).ok()?;
                Some(Fact { rel: Rel::Ge, term })
            }
            Rel::Ge => {
                let constant = fact.term.constant();
                let difference = fact.term.plus(constant.checked_neg()?).ok()?;
                let low = self.lasting_low(&difference, constant.checked_neg()?)?;
                Some(Fact { rel: Rel::Ge, term: difference.plus(low.checked_neg()?).ok()? })
            }
        }
    }

    /// The same of the bound `term >= low`: what falls goes as far as a comparison says, or to
    /// another number, to which the last step may lead.
    fn lasting_low(&self, term: &Term, low: i128) -> Option<i128> {
        let rises =
            term.monomials().len() == 1 && term.monomials().iter().all(|m| m.coefficient < 0);
        match self.drift(term) {
            Some((..0, Some(limit))) => Some(low.min(limit)),
            // What rises without a comparison has no end that is known.
            Some((..0, None)) if rises => None,
            Some((net @ ..0, None)) => Some(low.min(-net)),
            _ => Some(low),
        }
    }

    /// What variables of the same pace have in common at the first visit.
    pub(super) fn paces(&self, chosen: &mut Chosen<'_>) {
        let moves = |(_, key): &(usize, &Key)| key.drift.by != 0 && !key.closed;
        let moved: Vec<_> = self.form.keys.iter().enumerate().filter(moves).collect();
        if moved.len() < 2 {
            return;
        }
        let map = self.inverse(true);
        for (i, (x, first)) in moved.iter().enumerate() {
            let same = |(_, key): &&(usize, &Key)| key.drift.pace == first.drift.pace;
            let Some((y, second)) = moved[i + 1..].iter().find(same) else { continue };
            let gcd = num_integer::Integer::gcd(&first.drift.by, &second.drift.by);
            let (of_x, of_y) = (second.drift.by / gcd, first.drift.by / gcd);
            let sum = Term::var(self.variable(*x)).scale(of_x);
            let sum = sum.and_then(|sum| sum.add_scaled(&Term::var(self.variable(*y)), -of_y));
            let Ok(sum) = sum else { continue };
            // What it is at the start, in variables that do not move.
            let stays = |v: Var| map.get(&v).filter(|to| self.drift(to).is_none()).cloned();
            let said = |at: &Term| at.vars().all(|v| self.fixed(v) || stays(v).is_some());
            let start = self.at(&sum, true).filter(said).and_then(|at| at.subst(&stays).ok());
            if let Some(term) = start.and_then(|start| sum.sub(&start).ok()) {
                chosen.add(Fact { rel: Rel::Eq, term });
            }
        }
    }
}
