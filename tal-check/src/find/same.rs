//! Not trusted: a bug here can reject, never admit. Equality up to terms that are provably equal.

use super::Finder;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{FieldTy, Mem, View, Word};

impl Finder<'_> {
    /// Are the two equal but for terms that are provably equal?
    pub(crate) fn alike(&mut self, st: &State, a: &Mem, b: &Mem) -> bool {
        if a == b {
            return true;
        }
        match (a, b) {
            (Mem::Struct { fields: f, size: s }, Mem::Struct { fields: g, size: t }) => {
                s == t
                    && f.len() == g.len()
                    && f.iter().zip(g).all(|(x, y)| {
                        x.offset == y.offset
                            && x.writable == y.writable
                            && self.alike_field(st, &x.ty, &y.ty)
                    })
            }
            (Mem::Array(n, x), Mem::Array(m, y)) => self.equal(st, n, m) && self.alike(st, x, y),
            (Mem::Bytes(n), Mem::Bytes(m))
            | (Mem::Junk(n), Mem::Junk(m))
            | (Mem::Zero(n), Mem::Zero(m)) => self.equal(st, n, m),
            (Mem::Cat(x, y), Mem::Cat(u, v)) => self.alike(st, x, u) && self.alike(st, y, v),
            (Mem::Named(i, xs), Mem::Named(j, ys)) => {
                i == j
                    && xs.len() == ys.len()
                    && xs.iter().zip(ys).all(|(x, y)| self.equal(st, x, y))
            }
            _ => false,
        }
    }

    pub(crate) fn alike_field(&mut self, st: &State, a: &FieldTy, b: &FieldTy) -> bool {
        if a == b {
            return true;
        }
        match (a, b) {
            (FieldTy::Known(Word::Int(x)), FieldTy::Known(Word::Int(y))) => self.equal(st, x, y),
            (FieldTy::Known(Word::Ptr(b, x)), FieldTy::Known(Word::Ptr(c, y))) => {
                b == c && self.equal(st, x, y)
            }
            (
                FieldTy::Own { nullable, origin, mem },
                FieldTy::Own { nullable: n, origin: o, mem: m },
            ) => nullable == n && origin == o && self.alike(st, mem, m),
            (
                FieldTy::Ref { nullable, mode, mem },
                FieldTy::Ref { nullable: n, mode: o, mem: m },
            ) => nullable == n && mode == o && self.alike(st, mem, m),
            (
                FieldTy::Int { bits, signed, facts },
                FieldTy::Int { bits: b, signed: s, facts: g },
            ) => {
                bits == b
                    && signed == s
                    && facts.len() == g.len()
                    && facts
                        .iter()
                        .zip(g)
                        .all(|(x, y)| x.rel == y.rel && self.equal(st, &x.term, &y.term))
            }
            _ => false,
        }
    }

    fn equal(&mut self, st: &State, a: &Term, b: &Term) -> bool {
        let closed = |t: &Term| t.vars().all(|v| matches!(v, Var::Free(_)));
        if a == b {
            return true;
        }
        let Ok(d) = a.sub(b) else { return false };
        closed(&d) && self.same(st, &d, &Term::ZERO)
    }

    /// Is the view the wanted one?
    pub(crate) fn alike_view(&mut self, st: &State, have: &View, want: &View) -> bool {
        have.base == want.base
            && have.mode == want.mode
            && have.region == want.region
            && have.guards == want.guards
            && self.same(st, &have.offset, &want.offset)
            && self.alike(st, &have.mem, &want.mem)
    }
}
