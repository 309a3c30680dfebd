//! Not trusted: a bug here can reject, never admit. The closed form of a state: what inference
//! joins.

use super::{DEPTH, Planner};
use crate::find::Finder;
use std::collections::BTreeSet;
use tal_core::hint::{Ghost, Site};
use tal_core::judge::{Judge, Own, Result};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Entry, FieldTy, FnId, Lent, Mem, Word};

/// Closes everything that can be closed at an edge from the instruction at `from`: lent frames of
/// plain words go back, memory of a parameter gets its declared type again, packages are packed.
///
/// # Errors
/// When the judge refuses a ghost that the planner tried before: never.
pub fn settle(judge: &mut Judge<'_, Finder<'_>>, st: &mut State, from: u32) -> Result<()> {
    for ghost in ghosts(&mut judge.hints, st, from) {
        judge.ghost(st, &ghost)?;
    }
    Ok(())
}

/// Adds to a state what could be drawn from the sizes in it: for inference, which compares states
/// before it knows what it will need.
pub fn learn_sizes(f: &mut Finder<'_>, id: FnId, st: &mut State) {
    let Some(own) = f.sig(id).map(|s| Own::function(Some(id), s.clone())) else { return };
    let p = Planner { f, st: st.clone(), out: Vec::new(), own, keep: BTreeSet::new() };
    for (_, facts) in p.sizes() {
        st.facts.extend(facts);
    }
}

/// Makes an owned thing of another way into a label what it is there, or, if that is not given, one
/// of a named type; what is lent comes back. Without the mark only the kind of memory is brought
/// about. False if nothing changed.
pub fn reshape(
    judge: &mut Judge<'_, Finder<'_>>,
    st: &mut State,
    from: u32,
    owned: &Cap,
    like: Option<(&Entry, bool)>,
) -> bool {
    rebuild(judge, st, from, |p| match owned {
        Cap::Entry(e) if e.guards.is_empty() => match (like, &*e.mem) {
            (Some((other, true)), _) => p.make(e.name, &other.offset, &other.mem, DEPTH).is_some(),
            (Some((other, false)), _) => p.alike_in_kind(e, &other.mem),
            (None, Mem::Struct { size, .. }) => p.close_one(e.name, &e.offset, *size),
            _ => false,
        },
        Cap::Token(rho, _) => p.end_region(*rho),
        Cap::Entry(_) | Cap::Store(_) => false,
    })
}

/// Takes a lent part of the frame back at an edge from the instruction at `from`.
pub fn unlend(judge: &mut Judge<'_, Finder<'_>>, st: &mut State, from: u32, lent: Lent) -> bool {
    rebuild(judge, st, from, |p| p.attempt(|p| p.uncarve_one(lent.name, lent.size)).is_some())
}

/// Runs what a planner finds at an edge. False if that is nothing.
fn rebuild(
    judge: &mut Judge<'_, Finder<'_>>,
    st: &mut State,
    from: u32,
    make: impl FnOnce(&mut Planner<'_, '_>) -> bool,
) -> bool {
    let f = &mut judge.hints;
    let site = Site::Edge { from, to: from };
    f.site = Some(site);
    let Some(mut p) = Planner::at(f, st, site) else { return false };
    p.keep = held(st);
    let made = make(&mut p);
    p.f.trouble.clear();
    let ghosts = p.out;
    made && !ghosts.is_empty() && ghosts.iter().all(|ghost| judge.ghost(st, ghost).is_ok())
}

/// The names in registers and slots.
pub(super) fn held(st: &State) -> BTreeSet<Var> {
    let words = st.regs().iter().chain(st.slots().map(|(_, w)| w));
    let names = words.filter_map(|w| match w {
        Word::Ptr(Base::Name(x), _) => Some(*x),
        _ => None,
    });
    names.collect()
}

fn ghosts(f: &mut Finder<'_>, st: &State, from: u32) -> Vec<Ghost> {
    let site = Site::Edge { from, to: from };
    f.site = Some(site);
    let Some(mut p) = Planner::at(f, st, site) else { return Vec::new() };
    p.keep = held(st);
    p.end_regions(from.saturating_add(1));
    p.tidy();
    p.draw_all();
    p.f.trouble.clear();
    p.out
}

impl Planner<'_, '_> {
    /// Draws every size-fact that there is.
    fn draw_all(&mut self) {
        for (of, _) in self.sizes() {
            self.emit(Ghost::SizeFacts { of });
        }
    }

    pub(super) fn tidy(&mut self) {
        self.clear_false(&[]);
        self.release_certain();
        self.drop_moved_out();
        self.uncarve_plain();
        self.close_declared();
        self.close_rest();
        self.join_split();
        self.leak_certainly_empty();
    }

    /// Guards that are known to hold go: what is there for certain on each way joins.
    fn release_certain(&mut self) {
        let guarded = |c: &Cap| match c {
            Cap::Entry(e) if !e.guards.is_empty() => Some(e.name),
            _ => None,
        };
        let names: BTreeSet<Var> = self.st.caps.iter().filter_map(guarded).collect();
        for name in names {
            while self.release(name) {}
        }
    }

    /// A place whose owner was taken out and is walked on, before junk or the end, is junk, too: an
    /// array that is emptied from its end.
    fn drop_moved_out(&mut self) {
        for i in 0..self.st.caps.len() {
            let Some(e) = self.entry(i).cloned() else { continue };
            let Mem::Struct { fields, size } = &*e.mem else { continue };
            let [field] = fields.as_slice() else { continue };
            let FieldTy::Known(Word::Ptr(Base::Name(y), _)) = &field.ty else { continue };
            if !e.guards.is_empty() || !self.keep.contains(y) {
                continue;
            }
            let Ok(end) = e.offset.plus(i128::from(*size)) else { continue };
            let next = self.starting(e.name, &end);
            let after = next.and_then(|n| self.entry(n).map(|e| e.mem.clone()));
            let behind = after.is_none_or(|m| matches!(*m, Mem::Junk(_)));
            // Only behind a part that is still full: a lone struct keeps its word.
            let alone = self.starting(e.name, &Term::ZERO).is_none_or(|first| first == i);
            if alone || !behind {
                continue;
            }
            let joined = self.attempt(|p| {
                let first = u16::try_from(i).ok()?;
                p.emit(Ghost::RetypeJunk { entry: first }).then_some(())?;
                let Some(next) = next else { return Some(()) };
                let second = u16::try_from(next).ok()?;
                p.emit(Ghost::Join { first, second }).then_some(())
            });
            if joined.is_some() {
                return self.drop_moved_out();
            }
        }
    }

    /// Pieces of no bytes whatever the variables are.
    fn leak_certainly_empty(&mut self) {
        let constant = |e: &tal_core::ty::Entry| {
            !matches!(&*e.mem, Mem::Array(n, _) | Mem::Junk(n) | Mem::Zero(n) | Mem::Bytes(n)
                if n.as_int() == Some(0))
        };
        let kept = self.st.caps.iter().filter_map(|c| match c {
            Cap::Entry(e) if constant(e) => Some(e.clone()),
            _ => None,
        });
        let kept: Vec<_> = kept.collect();
        self.leak_empty(&kept);
    }

    /// Neighbours of one kind become one piece: what a call was lent a part of is whole again.
    fn join_split(&mut self) {
        for _ in 0..tal_core::limits::CAPS {
            let pair = (0..self.st.caps.len()).find_map(|i| {
                let a = self.entry(i).filter(|e| joins(e))?.clone();
                let end = a.offset.add(&self.size(&a.mem)?).ok()?;
                let next = (0..self.st.caps.len()).find(|j| {
                    let Some(b) = self.entry(*j).filter(|b| *j != i && joins(b)) else {
                        return false;
                    };
                    let (name, offset, mem) = (b.name, b.offset.clone(), b.mem.clone());
                    let kind = match (&*a.mem, &*mem) {
                        (Mem::Bytes(_), Mem::Bytes(_)) | (Mem::Zero(_), Mem::Zero(_)) => true,
                        (Mem::Array(_, x), Mem::Array(_, y)) => x == y,
                        _ => false,
                    };
                    name == a.name && kind && self.f.same(&self.st, &offset, &end)
                })?;
                Some((i, next, end))
            });
            let Some((first, second, end)) = pair else { return };
            let joined = self.attempt(|p| {
                let mem = p.entry(second)?.mem.clone();
                p.rename(second, &end, &mem)?;
                let (first, second) = (u16::try_from(first).ok()?, u16::try_from(second).ok()?);
                p.emit(Ghost::Join { first, second }).then_some(())
            });
            if joined.is_none() {
                return;
            }
        }
    }

    /// Zeroes become plain memory of the kind that it is elsewhere, and what is filled in another
    /// way there is junk.
    fn alike_in_kind(&mut self, entry: &Entry, other: &Mem) -> bool {
        let mem = match (&*entry.mem, other) {
            (Mem::Struct { size, .. }, Mem::Struct { .. } | Mem::Junk(_)) => {
                Mem::Junk(Term::int(i64::from(*size)))
            }
            (Mem::Zero(size), Mem::Bytes(_)) => Mem::Bytes(size.clone()),
            (Mem::Zero(size), Mem::Array(_, each)) => {
                let count = self.f.size_of(each).and_then(|each| crate::unify::divide(size, each));
                let Some(count) = count else { return false };
                Mem::Array(count, each.clone())
            }
            _ => return false,
        };
        self.make(entry.name, &entry.offset, &mem, DEPTH).is_some()
    }

    /// The frame comes back where nothing is lost by it: words only, or nothing.
    fn uncarve_plain(&mut self) {
        let lent = self.st.stack.lent.clone();
        for l in &lent {
            let whole = self.starting(l.name, &Term::ZERO);
            let Some(e) = whole.and_then(|i| self.entry(i)).cloned() else { continue };
            let words = |m: &Mem| match m {
                Mem::Struct { fields, .. } => {
                    fields.iter().all(|f| crate::find::width_of(&f.ty) == 8)
                }
                Mem::Junk(_) => true,
                _ => false,
            };
            let mut mem = (*e.mem).clone();
            for _ in 0..3 {
                mem = match &mem {
                    Mem::Named(..) => match self.f.body(&mem) {
                        Some(m) => m,
                        None => break,
                    },
                    Mem::Ex { body, .. } => (**body).clone(),
                    _ => break,
                };
            }
            if words(&mem) {
                self.attempt(|p| p.uncarve_one(l.name, l.size));
            }
        }
    }

    /// Memory of our parameters returns to what the signature says of it.
    fn close_declared(&mut self) {
        let sig = self.own.sig.clone();
        let post = sig.post.iter().flat_map(|p| p.state.caps.iter());
        for cap in sig.pre.caps.iter().chain(post) {
            let Cap::Entry(want) = cap else { continue };
            let Var::Free(i) = want.name else { continue };
            if usize::from(i) >= sig.vars.len() {
                continue;
            }
            // Only if something of it is here: what was moved out stays out.
            let here = |c: &Cap| matches!(c, Cap::Entry(e) if e.name == want.name);
            // What was put into junk stays there, until another way brings less.
            let emptied = matches!(*want.mem, Mem::Junk(_)) && self.filled(want);
            if self.st.caps.iter().any(here) && !emptied {
                let mut plain = want.clone();
                plain.guards.clear();
                let decided = self.starting(want.name, &want.offset).is_some();
                let want = if decided { &plain } else { want };
                self.obtain(want);
            }
        }
    }

    /// Does something stand there that holds more than junk?
    fn filled(&mut self, want: &Entry) -> bool {
        let Some(i) = self.starting(want.name, &want.offset) else { return false };
        match self.entry(i).map(|e| e.mem.clone()).as_deref() {
            Some(Mem::Struct { fields, .. }) => {
                fields.iter().any(|f| !matches!(f.ty, FieldTy::Junk(_)))
            }
            Some(Mem::Named(..) | Mem::Ex { .. }) => true,
            _ => false,
        }
    }

    /// Structs at other names become named types, where exactly one fits.
    fn close_rest(&mut self) {
        for _ in 0..tal_core::limits::CAPS {
            let open = self.st.caps.iter().find_map(|c| match c {
                Cap::Entry(e) if e.guards.is_empty() => match &*e.mem {
                    Mem::Struct { fields, size } => {
                        let known =
                            |t: &FieldTy| matches!(t, FieldTy::Known(Word::Ptr(Base::Name(_), _)));
                        let kept = fields.iter().any(|f| known(&f.ty));
                        kept.then_some((e.name, e.offset.clone(), *size))
                    }
                    _ => None,
                },
                _ => None,
            });
            let Some((name, offset, size)) = open else { return };
            if !self.close_one(name, &offset, size) {
                return;
            }
        }
    }

    pub(super) fn close_one(&mut self, name: Var, offset: &Term, size: u32) -> bool {
        for id in self.likely_types() {
            let fits = self
                .f
                .image
                .named(self.f.interface, id)
                .is_some_and(|t| t.size == size && t.arity == 0);
            let mem = Mem::Named(id, Vec::new());
            if fits && self.make(name, offset, &mem, DEPTH).is_some() {
                return true;
            }
        }
        false
    }
}

/// May the piece be a part of a longer one?
fn joins(entry: &Entry) -> bool {
    entry.guards.is_empty() && matches!(*entry.mem, Mem::Bytes(_) | Mem::Zero(_) | Mem::Array(..))
}
