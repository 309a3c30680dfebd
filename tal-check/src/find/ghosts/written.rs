//! Not trusted: a bug here can reject, never admit. Ghosts that the source writes.

use super::{DEPTH, Planner};
use crate::lowered::{GhostLine, GhostOp, Origin, Target, Written, WrittenVar};
use crate::unify::{Space, Theta, read, unify_memory};
use tal_core::hint::{Ghost, Inst, Place, Proof, Step, Through};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Fact, Mem, Mode, Reg, Rel, TypeId, Word};

/// The ghost with its terms under theta.
fn under(theta: &Theta, ghost: &Ghost) -> Option<Ghost> {
    Some(match ghost {
        Ghost::Split { entry, at } => Ghost::Split { entry: *entry, at: theta.term(at)? },
        Ghost::ViewPart { view, from, count } => {
            let (from, count) = (theta.term(from)?, theta.term(count)?);
            Ghost::ViewPart { view: *view, from, count }
        }
        Ghost::EqualWord { place, word } => {
            Ghost::EqualWord { place: *place, word: theta.word(word)? }
        }
        other => other.clone(),
    })
}

impl Planner<'_, '_> {
    /// What the variables of a written state are here.
    pub(super) fn written_state(&mut self, written: &Written) -> Theta {
        let mut theta = self.values(&written.vars);
        for (place, word, _) in &written.words {
            if let Some(actual) = self.word_in(*place) {
                theta.unify_word(&self.st, word, &actual);
            }
        }
        for _ in 0..2 {
            unify_memory(&mut theta, &self.st, &written.views, &written.caps, &*self.f);
        }
        super::establish::data_sizes(self.f, &mut theta, &written.views);
        theta
    }

    /// Gives the number in a register a name of its own, unless it is known to be in the range of
    /// the register.
    fn name_anew(&mut self, reg: Reg, signed: bool) {
        let Some(Word::Int(term)) = self.st.regs().get(reg as usize).cloned() else { return };
        let (low, high) = if signed { (-(1_i128 << 63), 1_i128 << 63) } else { (0, 1_i128 << 64) };
        let bounds = [term.plus(-low), term.scale(-1).and_then(|t| t.plus(high - 1))];
        let within =
            bounds.into_iter().all(|bound| bound.is_ok_and(|bound| self.f.ge(&self.st, &bound)));
        if !within {
            self.emit(Ghost::Renorm { place: Place::Reg(reg), signed });
        }
    }

    /// Runs one line; what cannot be done is left to the refusal that follows.
    pub(crate) fn line(&mut self, line: &GhostLine) {
        let theta = self.values(&line.vars);
        self.attempt(|p| match &line.op {
            GhostOp::Have(facts) => facts.iter().try_for_each(|f| p.have(&theta.fact(f)?)),
            GhostOp::Split(at, k) => p.split_at(at, &theta, &theta.term(k)?),
            GhostOp::Join(at) => p.join_at(at, &theta),
            GhostOp::Open(at) => p.open_at(at, &theta),
            GhostOp::Pack(at) => p.pack_at(at, &theta),
            GhostOp::Leak(at) => p.leak_at(at, &theta),
            GhostOp::Share(at, mode) => p.share_at(at, &theta, *mode),
            GhostOp::Show => Some(()),
            GhostOp::Judge(ghost) => {
                let ghost = under(&theta, ghost)?;
                p.emit(ghost).then_some(())
            }
            GhostOp::Renorm { regs, signed } => {
                regs.iter().for_each(|reg| p.name_anew(*reg, *signed));
                Some(())
            }
        });
    }

    /// Written variables: integers and addresses of places as they are now.
    fn values(&self, vars: &[WrittenVar]) -> Theta {
        let first = u16::try_from(self.own.sig.vars.len()).unwrap_or(0);
        let kinds = vars.iter().map(|v| v.kind.clone()).collect();
        let mut theta = Theta::new(Space::Free(first), kinds);
        for (v, value) in vars.iter().zip(0_u16..) {
            let (Origin::Place(place) | Origin::Typed(place) | Origin::Address(place)) = v.origin
            else {
                continue;
            };
            let inst = match self.word_in(place) {
                Some(Word::Int(t)) if matches!(v.origin, Origin::Address(_)) => Inst::Small(t),
                Some(Word::Int(t)) => Inst::Int(t),
                Some(Word::Ptr(b, e)) => Inst::Ptr(b, e),
                _ => continue,
            };
            theta.bind(Var::Free(first.saturating_add(value)), inst);
        }
        theta
    }

    pub(super) fn word_in(&self, place: Place) -> Option<Word> {
        let word = match place {
            Place::Reg(r) => self.st.regs().get(r as usize)?,
            // Written slots count from where rsp is.
            Place::Slot(k) => {
                let at = self.st.stack.delta + k;
                self.st.slots().find(|(o, _)| *o == at).map(|(_, w)| w)?
            }
        };
        Some(read(&self.st, word))
    }

    fn place_of(&self, at: &Target, theta: &Theta) -> Option<(Base, Term)> {
        let word = match at {
            Target::Place(place) => self.word_in(*place)?,
            Target::Word(w) => theta.word(w)?,
        };
        match word {
            Word::Ptr(b, e) => Some((b, e)),
            _ => None,
        }
    }

    /// Proves the fact and keeps it.
    fn have(&mut self, fact: &Fact) -> Option<()> {
        if fact.rel == Rel::Eq {
            self.have_ge(&fact.term.scale(-1).ok()?)?;
        }
        match fact.rel {
            Rel::Ge | Rel::Eq => self.have_ge(&fact.term),
            // Nothing says `/=` but a compare.
            Rel::Ne => Some(()),
        }
    }

    fn have_ge(&mut self, goal: &Term) -> Option<()> {
        let known = Fact { rel: Rel::Ge, term: goal.clone() };
        if !self.f.holds(&self.st, &known) {
            self.draw_for(&known);
        }
        for proof in crate::prove::prove_exactly(&self.st, goal)? {
            let step = match proof {
                Proof::Step(step) => step,
                Proof::Comb(comb) => {
                    let slack = crate::prove::rest(&self.st.facts, goal, &comb)?.as_int()?;
                    let step = Step::Comb { premises: comb.premises, slack };
                    self.emit(Ghost::Step(step)).then_some(())?;
                    if comb.scale == 1 {
                        continue;
                    }
                    let fact = u16::try_from(self.st.facts.len().checked_sub(1)?).ok()?;
                    Step::Cut { fact, divisor: i128::from(comb.scale) }
                }
            };
            self.emit(Ghost::Step(step)).then_some(())?;
        }
        Some(())
    }

    fn owned_at(&mut self, at: &Target, theta: &Theta) -> Option<(Var, Term, usize)> {
        let (Base::Name(x), e) = self.place_of(at, theta)? else { return None };
        let i = self.piece(x, &e, DEPTH)?;
        Some((x, e, i))
    }

    fn split_at(&mut self, at: &Target, theta: &Theta, k: &Term) -> Option<()> {
        let (x, e, mut i) = self.owned_at(at, theta)?;
        for _ in 0..DEPTH {
            let mem = self.entry(i)?.mem.clone();
            let entry = u16::try_from(i).ok()?;
            let (ghost, done) = match &*mem {
                Mem::Cat(..) => (Ghost::SplitCat { entry }, false),
                Mem::Named(..) => (Ghost::Unfold { entry }, false),
                _ => (Ghost::Split { entry, at: k.clone() }, true),
            };
            self.emit(ghost).then_some(())?;
            if done {
                return Some(());
            }
            i = self.starting(x, &e)?;
        }
        None
    }

    fn join_at(&mut self, at: &Target, theta: &Theta) -> Option<()> {
        let (x, e, i) = self.owned_at(at, theta)?;
        let mem = self.entry(i)?.mem.clone();
        let end = e.add(&self.size(&mem)?).ok()?;
        let second = self.starting(x, &end)?;
        let (first, second) = (u16::try_from(i).ok()?, u16::try_from(second).ok()?);
        self.emit(Ghost::Join { first, second }).then_some(())
    }

    /// Owned or lent, layer by layer down to the struct.
    fn open_at(&mut self, at: &Target, theta: &Theta) -> Option<()> {
        let (base, e) = self.place_of(at, theta)?;
        if let Base::Name(x) = base
            && let Some(mut i) = self.piece(x, &e, DEPTH)
        {
            for _ in 0..4 {
                let entry = u16::try_from(i).ok()?;
                let ghost = match &*self.entry(i)?.mem.clone() {
                    Mem::Named(..) => Ghost::Unfold { entry },
                    Mem::Ex { .. } => Ghost::Open { entry },
                    _ => return Some(()),
                };
                self.emit(ghost).then_some(())?;
                i = self.starting(x, &e)?;
            }
            return None;
        }
        let mut view = self.st.views.iter().position(|v| v.base == base && v.offset == e)?;
        for _ in 0..4 {
            let number = u16::try_from(view).ok()?;
            let ghost = match &*self.st.views.get(view)?.mem {
                Mem::Named(..) => Ghost::ViewUnfold { view: number },
                Mem::Ex { .. } => Ghost::ViewOpen { view: number },
                Mem::Array(n, _) if n.as_int() == Some(1) => {
                    Ghost::One { of: Through::View(number), to_array: false }
                }
                _ => return Some(()),
            };
            self.emit(ghost).then_some(())?;
            view = self.st.views.len().checked_sub(1)?;
        }
        None
    }

    /// Back to the type that the signature declares there, or to a named type that fits.
    fn pack_at(&mut self, at: &Target, theta: &Theta) -> Option<()> {
        let (x, e, i) = self.owned_at(at, theta)?;
        let declared = self.own.sig.pre.caps.iter().find_map(|c| match c {
            Cap::Entry(d) if d.name == x && d.offset == e => Some((*d.mem).clone()),
            _ => None,
        });
        if let Some(mem) = declared
            && self.make(x, &e, &mem, DEPTH).is_some()
        {
            return Some(());
        }
        let mem = self.entry(i)?.mem.clone();
        let size = self.f.size_of(&mem)?;
        let count = self.f.interface.types.len() + self.f.image.types.len();
        (0..count).filter_map(|i| u32::try_from(i).ok()).map(TypeId).find_map(|id| {
            let named = self.f.image.named(self.f.interface, id)?;
            if i128::from(named.size) != size || named.arity != 0 {
                return None;
            }
            self.make(x, &e, &Mem::Named(id, Vec::new()), DEPTH).map(|_| ())
        })
    }

    /// What is shared keeps its type for ever: it is closed before.
    fn share_at(&mut self, at: &Target, theta: &Theta, mode: Mode) -> Option<()> {
        let (x, e, mut i) = self.owned_at(at, theta)?;
        if let Mem::Struct { size, .. } = &*self.entry(i)?.mem.clone()
            && self.close_one(x, &e, *size)
        {
            i = self.starting(x, &e)?;
        }
        let entry = u16::try_from(i).ok()?;
        self.emit(Ghost::Share { entry, mode }).then_some(())
    }

    fn leak_at(&mut self, at: &Target, theta: &Theta) -> Option<()> {
        let (Base::Name(x), _) = self.place_of(at, theta)? else { return None };
        let here = |c: &Cap| matches!(c, Cap::Entry(e) | Cap::Token(_, e) if e.name == x);
        let mut any = None;
        while let Some(i) = self.st.caps.iter().position(here) {
            self.emit(Ghost::Leak { cap: u16::try_from(i).ok()? }).then_some(())?;
            any = Some(());
        }
        any
    }
}
