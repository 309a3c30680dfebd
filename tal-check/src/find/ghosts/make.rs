//! Not trusted: a bug here can reject, never admit. Making an entry of a wanted type at a place.

use super::{DEPTH, Planner};
use crate::find::width_of;
use crate::unify::{Guarded, Space, Theta, multiple, name_set, value_of};
use tal_core::counted::Rc;
use tal_core::hint::{Ghost, Inst, Through};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Entry, Field, FieldTy, Guard, Mem, Region, Word};

/// How many pieces one array is joined from.
const PIECES: usize = 12;

impl Planner<'_, '_> {
    /// The unguarded or guarded entry with this position.
    pub(crate) fn entry(&self, i: usize) -> Option<&Entry> {
        match self.st.caps.get(i)? {
            Cap::Entry(e) => Some(e),
            _ => None,
        }
    }

    fn number(i: usize) -> u16 {
        u16::try_from(i).unwrap_or(u16::MAX)
    }

    /// Makes the wanted entry, guards included, be there.
    pub(crate) fn obtain(&mut self, want: &Entry) -> bool {
        let exact = |c: &Cap| matches!(c, Cap::Entry(e) if e == want);
        if self.st.caps.iter().any(exact) {
            return true;
        }
        self.attempt(|p| p.obtain_guarded(want)).is_some()
    }

    fn obtain_guarded(&mut self, want: &Entry) -> Option<()> {
        if want.guards.is_empty() {
            return self.make(want.name, &want.offset, &want.mem, DEPTH).map(|_| ());
        }
        if let Some(i) = self.guarded(want) {
            let same = self.entry(i).is_some_and(|e| e.mem == want.mem);
            return (same || self.alike_mem(i, want)).then_some(());
        }
        for g in 0..want.guards.len() {
            // Void: the guard is refuted, so the entry may be claimed from nothing.
            let ghost = Ghost::GuardVoid { entry: want.clone(), guard: Self::number(g) };
            if self.refuted(want.guards.get(g)?) && self.emit(ghost) {
                return Some(());
            }
        }
        let (last, rest) = want.guards.split_last()?;
        let inner = Entry { guards: rest.to_vec(), ..want.clone() };
        self.obtain_guarded(&inner)?;
        let i = self.guarded(&inner)?;
        let of = Through::Entry(Self::number(i));
        self.emit(Ghost::GuardAdd { of, guard: last.clone() }).then_some(())
    }

    fn alike_mem(&mut self, i: usize, want: &Entry) -> bool {
        let Some(have) = self.entry(i).map(|e| e.mem.clone()) else { return false };
        self.alike(&have, &want.mem)
    }

    /// The entry with these guards at this place.
    fn guarded(&mut self, want: &Entry) -> Option<usize> {
        (0..self.st.caps.len()).find(|i| {
            let Some(e) = self.entry(*i) else { return false };
            let (name, guards, offset) = (e.name, e.guards.clone(), e.offset.clone());
            name == want.name
                && guards == want.guards
                && self.f.same(&self.st, &offset, &want.offset)
        })
    }

    fn refuted(&mut self, g: &Guard) -> bool {
        match g {
            Guard::Range(t, a, b) => {
                let above = t.plus(-i128::from(*b) - 1);
                let below = t.scale(-1).and_then(|t| t.plus(i128::from(*a) - 1));
                [above, below].into_iter().flatten().any(|t| self.f.ge(&self.st, &t))
            }
            Guard::IsAddress(x) => name_set(&self.st, *x).is_some_and(|s| !s.address),
            Guard::IsSmall(x, ..) => name_set(&self.st, *x).is_some_and(|s| s.is_address()),
        }
    }

    /// Makes `name + off ~> want` be there, unguarded. Its position.
    pub(crate) fn make(&mut self, name: Var, off: &Term, want: &Mem, depth: u8) -> Option<usize> {
        let exact = |c: &Cap| {
            matches!(c, Cap::Entry(e) if e.guards.is_empty() && e.name == name
                && e.offset == *off && *e.mem == *want)
        };
        if let Some(i) = self.st.caps.iter().position(exact) {
            return Some(i);
        }
        let depth = depth.checked_sub(1)?;
        self.attempt(|p| p.build(name, off, want, depth))
    }

    fn build(&mut self, name: Var, off: &Term, want: &Mem, depth: u8) -> Option<usize> {
        let i = self.piece(name, off, depth)?;
        let have = self.entry(i)?.mem.clone();
        if self.alike(&have, want) {
            return self.rename(i, off, want);
        }
        match want {
            Mem::Named(id, args) => {
                if let Some(i) = self.isolate(i, off, want, depth) {
                    return Some(i);
                }
                let body = self.f.body(want)?;
                let i = self.make(name, off, &body, depth)?;
                let fold = Ghost::Fold { entry: Self::number(i), ty: *id, args: args.clone() };
                self.emit(fold).then_some(())?;
                self.find_exact(name, off, want)
            }
            Mem::Ex { vars, body, .. } => {
                if self.take_apart(i, depth).is_some() {
                    return self.make(name, off, want, depth);
                }
                let witnesses = self.witnesses(i, *vars, body)?;
                let mut theta = Theta::ints(Space::Bound, *vars);
                theta.values = witnesses.iter().cloned().map(|t| Some(Inst::Int(t))).collect();
                let inner = theta.mem(body)?;
                let i = self.make(name, off, &inner, depth)?;
                let mem = Rc::new(want.clone());
                self.emit(Ghost::Pack { entry: Self::number(i), mem, witnesses }).then_some(())?;
                self.find_exact(name, off, want)
            }
            Mem::Struct { fields, size } => self.build_struct(i, off, want, fields, *size, depth),
            Mem::Cat(a, b) => {
                let middle = off.add(&self.size(a)?).ok()?;
                self.make(name, off, a, depth)?;
                self.make(name, &middle, b, depth)?;
                let second = self.find_exact(name, &middle, b)?;
                self.rename(second, &middle, b)?;
                let first = self.find_exact(name, off, a)?;
                self.rename(first, off, a)?;
                let second = self.find_exact(name, &middle, b)?;
                let (first, second) = (Self::number(first), Self::number(second));
                self.emit(Ghost::Join { first, second }).then_some(())?;
                self.find_exact(name, off, want)
            }
            Mem::Array(..) | Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => {
                self.gather(name, off, want, depth)
            }
        }
    }

    fn find_exact(&mut self, name: Var, off: &Term, want: &Mem) -> Option<usize> {
        let exact = |c: &Cap| {
            matches!(c, Cap::Entry(e) if e.guards.is_empty() && e.name == name
                && e.offset == *off && *e.mem == *want)
        };
        if let Some(i) = self.st.caps.iter().position(exact) {
            return Some(i);
        }
        let i = self.starting(name, off)?;
        let have = self.entry(i)?.mem.clone();
        if self.alike(&have, want) { self.rename(i, off, want) } else { None }
    }

    /// Equal but for terms: says so.
    pub(super) fn rename(&mut self, i: usize, off: &Term, want: &Mem) -> Option<usize> {
        let e = self.entry(i)?;
        if e.offset != *off || *e.mem != *want {
            let of = Through::Entry(Self::number(i));
            let (offset, mem) = (off.clone(), Rc::new(want.clone()));
            self.emit(Ghost::Equal { of, offset, mem }).then_some(())?;
        }
        Some(i)
    }

    /// The unguarded entry that starts there, a non-empty one rather than an empty one.
    pub(crate) fn starting(&mut self, name: Var, off: &Term) -> Option<usize> {
        let mut empty = None;
        for i in 0..self.st.caps.len() {
            let Some(e) = self.entry(i) else { continue };
            if e.name != name || !e.guards.is_empty() {
                continue;
            }
            let (offset, mem) = (e.offset.clone(), e.mem.clone());
            if !self.f.same(&self.st, &offset, off) {
                continue;
            }
            let size = self.size(&mem)?;
            if self.f.same(&self.st, &size, &Term::ZERO) {
                empty = empty.or(Some(i));
            } else {
                return Some(i);
            }
        }
        empty
    }

    /// An unguarded entry that starts at `off`: found, cut out, released of a guard, or given back
    /// by a region.
    pub(crate) fn piece(&mut self, name: Var, off: &Term, depth: u8) -> Option<usize> {
        if let Some(i) = self.starting(name, off) {
            return Some(i);
        }
        if self.release(name) {
            return self.piece(name, off, depth.checked_sub(1)?);
        }
        for strictly in [true, false] {
            if let Some(i) = self.covering(name, off, strictly)
                && self.attempt(|p| p.cut(i, off)).is_some()
            {
                return self.piece(name, off, depth.checked_sub(1)?);
            }
        }
        let lent = self.st.caps.iter().find_map(|c| match c {
            Cap::Token(rho, e) if e.name == name => Some(*rho),
            _ => None,
        });
        if let Some(rho) = lent
            && self.end_region(rho)
        {
            return self.piece(name, off, depth.checked_sub(1)?);
        }
        None
    }

    /// Decides a guard of some entry at this name, if that can be proved.
    pub(crate) fn release(&mut self, name: Var) -> bool {
        for i in 0..self.st.caps.len() {
            let Some(e) = self.entry(i) else { continue };
            if e.name != name {
                continue;
            }
            for (k, g) in e.guards.clone().iter().enumerate() {
                let (entry, guard) = (Self::number(i), Self::number(k));
                let of = Through::Entry(entry);
                if self.confirmed(g) && self.emit(Ghost::GuardTrue { of, guard }) {
                    return true;
                }
                if self.refuted(g) && self.emit(Ghost::GuardFalse { entry, guard }) {
                    return true;
                }
            }
        }
        false
    }

    fn confirmed(&mut self, g: &Guard) -> bool {
        match g {
            Guard::Range(t, a, b) => {
                let low = t.plus(-i128::from(*a));
                let high = t.scale(-1).and_then(|t| t.plus(i128::from(*b)));
                [low, high].into_iter().all(|t| t.is_ok_and(|t| self.f.ge(&self.st, &t)))
            }
            Guard::IsAddress(x) => name_set(&self.st, *x).is_some_and(|s| s.is_address()),
            Guard::IsSmall(..) => false,
        }
    }

    /// Removes entries whose guards are refuted and that nobody wants: nothing is there.
    pub(crate) fn clear_false(&mut self, wanted: &[Entry]) {
        'again: loop {
            for i in 0..self.st.caps.len() {
                let Some(e) = self.entry(i).cloned() else { continue };
                if wanted.contains(&e) {
                    continue;
                }
                for (k, g) in e.guards.iter().enumerate() {
                    let (entry, guard) = (Self::number(i), Self::number(k));
                    if self.refuted(g) && self.emit(Ghost::GuardFalse { entry, guard }) {
                        continue 'again;
                    }
                }
            }
            return;
        }
    }

    /// The unguarded entry that `off` lies inside of, or, unless `strictly`, at the end of.
    pub(crate) fn covering(&mut self, name: Var, off: &Term, strictly: bool) -> Option<usize> {
        (0..self.st.caps.len()).find(|i| {
            let Some(e) = self.entry(*i) else { return false };
            if e.name != name || !e.guards.is_empty() {
                return false;
            }
            let (start, mem) = (e.offset.clone(), e.mem.clone());
            let Some(size) = self.size(&mem) else { return false };
            let Ok(end) = start.add(&size) else { return false };
            let left = end.sub(off).and_then(|d| d.plus(if strictly { -1 } else { 0 }));
            self.f.le(&self.st, &start, off) && left.is_ok_and(|d| self.f.ge(&self.st, &d))
        })
    }

    /// Splits entry `i` so that a piece starts at `off`.
    fn cut(&mut self, i: usize, off: &Term) -> Option<()> {
        let e = self.entry(i)?.clone();
        let from = off.sub(&e.offset).ok()?;
        let entry = Self::number(i);
        let at = match &*e.mem {
            Mem::Cat(..) => return self.emit(Ghost::SplitCat { entry }).then_some(()),
            Mem::Array(_, m) => crate::unify::divide(&from, self.f.size_of(m)?)?,
            Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => from,
            Mem::Struct { .. } | Mem::Ex { .. } | Mem::Named(..) => return None,
        };
        self.emit(Ghost::Split { entry, at }).then_some(())
    }

    /// One layer less: unfolds, opens, or separates the parts of entry `i`.
    fn take_apart(&mut self, i: usize, _depth: u8) -> Option<()> {
        let entry = Self::number(i);
        let ghost = match &*self.entry(i)?.mem.clone() {
            Mem::Named(..) => Ghost::Unfold { entry },
            Mem::Ex { .. } => Ghost::Open { entry },
            Mem::Cat(..) => Ghost::SplitCat { entry },
            _ => return None,
        };
        self.emit(ghost).then_some(())
    }

    /// If entry `i` is an array or junk longer than the constant-size `want`, cuts the front off
    /// and makes that `want`.
    fn isolate(&mut self, i: usize, off: &Term, want: &Mem, depth: u8) -> Option<usize> {
        let e = self.entry(i)?.clone();
        let size = self.f.size_of(want)?;
        match &*e.mem {
            Mem::Array(n, m) if self.f.size_of(m)? == size => self.attempt(|p| {
                if !p.f.same(&p.st, n, &Term::int(1)) {
                    let ghost = Ghost::Split { entry: Self::number(i), at: Term::int(1) };
                    p.emit(ghost).then_some(())?;
                }
                let i = p.starting(e.name, off)?;
                let of = Through::Entry(Self::number(i));
                p.emit(Ghost::One { of, to_array: false }).then_some(())?;
                p.make(e.name, off, want, depth)
            }),
            Mem::Junk(n) | Mem::Zero(n) | Mem::Bytes(n) if n.as_int() != Some(size) => {
                let at = Term::constant_of(size).ok()?;
                self.attempt(|p| {
                    p.emit(Ghost::Split { entry: Self::number(i), at }).then_some(())?;
                    p.make(e.name, off, want, depth)
                })
            }
            Mem::Zero(_) => {
                let mem = Rc::new(want.clone());
                let ghost = Ghost::RetypeZero { entry: Self::number(i), mem };
                self.attempt(|p| p.emit(ghost).then_some(i))
            }
            Mem::Cat(..) => {
                self.take_apart(i, depth)?;
                self.make(e.name, off, want, depth)
            }
            _ => None,
        }
    }

    fn build_struct(
        &mut self,
        i: usize,
        off: &Term,
        want: &Mem,
        fields: &[Field],
        size: u32,
        depth: u8,
    ) -> Option<usize> {
        let e = self.entry(i)?.clone();
        if let Some(i) = self.isolate(i, off, want, depth) {
            return Some(i);
        }
        let entry = Self::number(i);
        match &*e.mem {
            Mem::Named(..) | Mem::Ex { .. } | Mem::Cat(..) => {
                self.take_apart(i, depth)?;
                self.make(e.name, off, want, depth)
            }
            Mem::Junk(_) => {
                let mem = Rc::new(blank(fields, size));
                self.emit(Ghost::RetypeShape { entry, mem: mem.clone() }).then_some(())?;
                if *mem == *want { Some(i) } else { self.make(e.name, off, want, depth) }
            }
            Mem::Bytes(_) => {
                let mem = Some(Rc::new(want.clone()));
                self.emit(Ghost::RetypePlain { entry, mem }).then_some(())?;
                self.find_exact(e.name, off, want)
            }
            Mem::Struct { size: s, .. } if *s == size => {
                self.close_fields(e.name, off, fields, depth)?;
                self.find_exact(e.name, off, want)
            }
            Mem::Struct { .. } | Mem::Array(..) | Mem::Zero(_) => None,
        }
    }

    /// Gives each field its wanted type back.
    fn close_fields(&mut self, name: Var, off: &Term, want: &[Field], depth: u8) -> Option<()> {
        for w in want {
            let i = self.starting(name, off)?;
            let Mem::Struct { fields, .. } = &*self.entry(i)?.mem.clone() else { return None };
            let k = fields.iter().position(|f| f.offset == w.offset)?;
            let have = fields.get(k)?.ty.clone();
            if have == w.ty || self.alike_field(&have, &w.ty) {
                continue;
            }
            if self.kept(&have, &w.ty) {
                return None;
            }
            self.bring(&have, &w.ty, depth);
            let entry = Self::number(self.starting(name, off)?);
            let ghost = Ghost::FieldClose { entry, field: Self::number(k), ty: w.ty.clone() };
            self.emit(ghost).then_some(())?;
        }
        Some(())
    }

    /// Would closing take memory away that somebody still walks on?
    fn kept(&self, have: &FieldTy, want: &FieldTy) -> bool {
        match (have, want) {
            (FieldTy::Known(Word::Ptr(Base::Name(y), _)), FieldTy::Own { .. }) => {
                self.keep.contains(y)
            }
            _ => false,
        }
    }

    /// Makes what a field that owns or shares needs.
    fn bring(&mut self, have: &FieldTy, want: &FieldTy, depth: u8) {
        let FieldTy::Known(Word::Ptr(base, at)) = have else { return };
        match (want, base) {
            (FieldTy::Own { mem, .. }, Base::Name(y)) => {
                let decided = name_set(&self.st, *y).is_some_and(|s| s.is_address());
                if decided {
                    self.make(*y, at, mem, depth);
                }
            }
            (FieldTy::Ref { mode, mem, .. }, _) => {
                self.lend(*base, at, *mode, Some(Region::Always), mem);
            }
            _ => {}
        }
    }

    /// Values of the variables of a package, read off what entry `i` holds now.
    fn witnesses(&mut self, i: usize, vars: u16, body: &Mem) -> Option<Vec<Term>> {
        let mut theta = Theta::ints(Space::Bound, vars);
        let Mem::Struct { fields, .. } = &*self.entry(i)?.mem.clone() else { return None };
        let Mem::Struct { fields: want, .. } = body else { return None };
        let twin = |w: &Field| fields.iter().find(|f| f.offset == w.offset).map(|f| f.ty.clone());
        for w in want {
            let Some(have) = twin(w) else { continue };
            if let (Some(p), Some(a)) = (value_of(&w.ty), value_of(&have)) {
                theta.unify(&p, &a);
                if theta.open().is_some() {
                    theta.unify(&p, &multiple(&self.st, &a));
                }
            }
        }
        for w in want {
            if theta.open().is_none() {
                break;
            }
            let FieldTy::Own { mem, .. } = &w.ty else { continue };
            if let Some(FieldTy::Known(Word::Ptr(Base::Name(y), at))) = twin(w) {
                let whole = self.extent(y, &at)?;
                let pattern = crate::unify::Sizes::size(self.f, mem)?;
                theta.unify(&pattern, &whole);
            }
        }
        theta.terms()
    }

    /// Bytes from there to the end of the run of entries.
    pub(crate) fn extent(&mut self, y: Var, at: &Term) -> Option<Term> {
        let mut end = at.clone();
        for _ in 0..PIECES {
            let Some(i) = self.starting(y, &end) else { break };
            let mem = self.entry(i)?.mem.clone();
            let size = self.size(&mem)?;
            if self.f.same(&self.st, &size, &Term::ZERO) {
                break;
            }
            end = end.add(&size).ok()?;
        }
        end.sub(at).ok()
    }

    /// An array, bytes, junk or zeroes, from the pieces that stand in a row.
    fn gather(&mut self, name: Var, off: &Term, want: &Mem, depth: u8) -> Option<usize> {
        let total = self.size(want)?;
        if self.f.same(&self.st, &total, &Term::ZERO) {
            return self.gather_nothing(name, off, want, depth);
        }
        let mut done = Term::ZERO;
        let mut first: Option<Mem> = None;
        for _ in 0..PIECES {
            if first.is_some() && self.f.same(&self.st, &done, &total) {
                break;
            }
            let at = off.add(&done).ok()?;
            let i = match &first {
                None => self.piece(name, &at, depth)?,
                Some(_) => self.next_piece(name, off, &at, depth)?,
            };
            let left = total.sub(&done).ok()?;
            let i = self.shorten(i, &left)?;
            let piece = self.convert(i, &at, want, depth)?;
            let size = self.size(&piece)?;
            if first.is_some() {
                let a = self.starting_nth(name, off)?;
                let b = self.exactly(name, &at, &piece, a)?;
                // Joining wants offsets that fit identically.
                let e = self.entry(a)?.clone();
                let end = e.offset.add(&self.size(&e.mem)?).ok()?;
                self.rename(b, &end, &piece)?;
                let (a, b) = (Self::number(a), Self::number(b));
                self.emit(Ghost::Join { first: a, second: b }).then_some(())?;
            }
            first = Some(piece);
            done = done.add(&size).ok()?;
        }
        if matches!(want, Mem::Junk(_)) {
            self.absorb_empty(name, off, &off.add(&done).ok()?);
        }
        let i = self.starting_nth(name, off)?;
        let have = self.entry(i)?.mem.clone();
        if self.alike(&have, want) { self.rename(i, off, want) } else { None }
    }

    /// An empty array and the like, split off the front of what is there.
    fn gather_nothing(&mut self, name: Var, off: &Term, want: &Mem, depth: u8) -> Option<usize> {
        let i = self.piece(name, off, depth)?;
        let mem = self.entry(i)?.mem.clone();
        let entry = Self::number(i);
        if matches!(*mem, Mem::Cat(..)) {
            self.emit(Ghost::SplitCat { entry }).then_some(())?;
            return self.gather_nothing(name, off, want, depth.checked_sub(1)?);
        }
        if !self.is_empty(&mem) {
            // The first part stays in its place.
            self.emit(Ghost::Split { entry, at: Term::ZERO }).then_some(())?;
        }
        let target = Rc::new(want.clone());
        let ghost = match (want, &*mem) {
            (_, Mem::Zero(_)) if !matches!(want, Mem::Junk(_) | Mem::Zero(_)) => {
                Some(Ghost::RetypeZero { entry, mem: target })
            }
            (Mem::Array(..), Mem::Junk(_)) => Some(Ghost::RetypeShape { entry, mem: target }),
            (Mem::Array(..), Mem::Bytes(_)) => {
                Some(Ghost::RetypePlain { entry, mem: Some(target) })
            }
            (Mem::Junk(_), Mem::Junk(_)) => None,
            (Mem::Junk(_), _) => Some(Ghost::RetypeJunk { entry }),
            (Mem::Bytes(_), Mem::Array(..)) => Some(Ghost::RetypePlain { entry, mem: None }),
            _ => None,
        };
        if let Some(ghost) = ghost {
            self.emit(ghost).then_some(())?;
        }
        let have = self.entry(i)?.mem.clone();
        if self.alike(&have, want) { self.rename(i, off, want) } else { None }
    }

    /// Empty pieces at the end of junk go with it.
    fn absorb_empty(&mut self, name: Var, off: &Term, end: &Term) {
        for _ in 0..PIECES {
            let Some(first) = self.starting_nth(name, off) else { return };
            let empty = (0..self.st.caps.len()).find(|i| {
                let Some(e) = self.entry(*i).cloned() else { return false };
                *i != first
                    && e.name == name
                    && e.guards.is_empty()
                    && self.f.same(&self.st, &e.offset, end)
                    && self.is_empty(&e.mem)
            });
            let Some(i) = empty else { return };
            let joined = self.attempt(|p| {
                let (a, e) = (p.entry(first)?.clone(), p.entry(i)?.clone());
                let touching = a.offset.add(&p.size(&a.mem)?).ok()?;
                let entry = Self::number(i);
                if !matches!(*e.mem, Mem::Junk(_)) {
                    p.emit(Ghost::RetypeJunk { entry }).then_some(())?;
                }
                let mem = p.entry(i)?.mem.clone();
                p.rename(i, &touching, &mem)?;
                let join = Ghost::Join { first: Self::number(first), second: entry };
                p.emit(join).then_some(())
            });
            if joined.is_none() {
                return;
            }
        }
    }

    fn is_empty(&mut self, mem: &Mem) -> bool {
        let Some(size) = self.size(mem) else { return false };
        self.f.same(&self.st, &size, &Term::ZERO)
    }

    /// Nothing is lost with memory of no bytes.
    pub(crate) fn leak_empty(&mut self, wanted: &[Entry]) {
        let mut i = 0;
        while i < self.st.caps.len() {
            let empty = match self.entry(i).cloned() {
                Some(e) => e.guards.is_empty() && !wanted.contains(&e) && self.is_empty(&e.mem),
                None => false,
            };
            if !empty || !self.emit(Ghost::Leak { cap: Self::number(i) }) {
                i += 1;
            }
        }
    }

    /// Where the program is about to end, what nobody wants is lost.
    pub(crate) fn leak_unwanted(&mut self, wanted: &[Entry]) {
        let wanted: Vec<Cap> = wanted.iter().cloned().map(Cap::Entry).collect();
        let mut i = 0;
        while let Some(cap) = self.st.caps.get(i).cloned() {
            let kept = !matches!(cap, Cap::Entry(_))
                || wanted.iter().any(|want| self.f.fits_cap(&self.st, &cap, want));
            if kept || !self.emit(Ghost::Leak { cap: Self::number(i) }) {
                i += 1;
            }
        }
    }

    /// The entry that starts at `off` and was joined last (an empty one counts).
    fn starting_nth(&mut self, name: Var, off: &Term) -> Option<usize> {
        self.starting(name, off)
    }

    /// A piece at `at` that is not the one already gathered from `off` on.
    fn next_piece(&mut self, name: Var, off: &Term, at: &Term, depth: u8) -> Option<usize> {
        if !self.f.same(&self.st, off, at) {
            return self.piece(name, at, depth);
        }
        let first = self.starting(name, off)?;
        (0..self.st.caps.len()).find(|i| {
            let Some(e) = self.entry(*i) else { return false };
            let (n, g, o) = (e.name, e.guards.is_empty(), e.offset.clone());
            *i != first && n == name && g && self.f.same(&self.st, &o, at)
        })
    }

    fn exactly(&mut self, name: Var, at: &Term, mem: &Mem, but: usize) -> Option<usize> {
        (0..self.st.caps.len()).find(|i| {
            let Some(e) = self.entry(*i) else { return false };
            let same = *e.mem == *mem && e.name == name && e.guards.is_empty();
            let o = e.offset.clone();
            *i != but && same && self.f.same(&self.st, &o, at)
        })
    }

    /// Cuts entry `i` to at most `left` bytes.
    fn shorten(&mut self, i: usize, left: &Term) -> Option<usize> {
        let e = self.entry(i)?.clone();
        let size = self.size(&e.mem)?;
        if self.f.le(&self.st, &size, left) {
            return Some(i);
        }
        let at = match &*e.mem {
            Mem::Array(_, m) => crate::unify::divide(left, self.f.size_of(m)?)?,
            Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => left.clone(),
            Mem::Cat(..) => {
                self.take_apart(i, 0)?;
                let i = self.starting(e.name, &e.offset)?;
                return self.shorten(i, left);
            }
            _ => return None,
        };
        self.emit(Ghost::Split { entry: Self::number(i), at }).then_some(())?;
        self.starting(e.name, &e.offset)
    }

    /// Makes entry `i` a piece of the kind of `want`, of its own size. The piece as it then is.
    fn convert(&mut self, i: usize, at: &Term, want: &Mem, depth: u8) -> Option<Mem> {
        let e = self.entry(i)?.clone();
        let entry = Self::number(i);
        let size = self.size(&e.mem)?;
        match want {
            Mem::Junk(_) => {
                if !matches!(*e.mem, Mem::Junk(_)) {
                    self.emit(Ghost::RetypeJunk { entry }).then_some(())?;
                }
            }
            Mem::Bytes(_) => match &*e.mem {
                Mem::Bytes(_) => {}
                Mem::Zero(_) => {
                    let mem = Rc::new(Mem::Bytes(size));
                    self.emit(Ghost::RetypeZero { entry, mem }).then_some(())?;
                }
                _ => self.emit(Ghost::RetypePlain { entry, mem: None }).then_some(())?,
            },
            Mem::Zero(_) => matches!(*e.mem, Mem::Zero(_)).then_some(())?,
            Mem::Array(_, m) => self.convert_elements(i, at, m, depth)?,
            _ => return None,
        }
        let i = self.starting(e.name, at)?;
        Some((*self.entry(i)?.mem).clone())
    }

    fn convert_elements(&mut self, i: usize, at: &Term, each: &Rc<Mem>, depth: u8) -> Option<()> {
        let e = self.entry(i)?.clone();
        let s = self.f.size_of(each)?;
        let size = self.size(&e.mem)?;
        let entry = Self::number(i);
        let of = Through::Entry(entry);
        match &*e.mem {
            Mem::Array(_, m) if m == each => return Some(()),
            Mem::Array(n, m) if self.alike(m, each) => {
                let mem = Mem::Array(n.clone(), each.clone());
                return self.rename(i, at, &mem).map(|_| ());
            }
            Mem::Array(n, _) if self.f.same(&self.st, n, &Term::int(1)) => {
                self.emit(Ghost::One { of, to_array: false }).then_some(())?;
            }
            Mem::Zero(_) | Mem::Junk(_) | Mem::Bytes(_) => {
                let count = crate::unify::divide(&size, s)?;
                let mem = Rc::new(Mem::Array(count, each.clone()));
                let ghost = match &*e.mem {
                    Mem::Zero(_) => Ghost::RetypeZero { entry, mem },
                    Mem::Junk(_) => Ghost::RetypeShape { entry, mem },
                    _ => Ghost::RetypePlain { entry, mem: Some(mem) },
                };
                return self.emit(ghost).then_some(());
            }
            Mem::Cat(..) => {
                self.take_apart(i, depth)?;
                let i = self.starting(e.name, at)?;
                return self.convert_elements(i, at, each, depth.checked_sub(1)?);
            }
            _ => {}
        }
        let i = self.make(e.name, at, each, depth)?;
        let of = Through::Entry(Self::number(i));
        self.emit(Ghost::One { of, to_array: true }).then_some(())
    }

    /// Are the two equal but for terms that are provably equal?
    pub(crate) fn alike(&mut self, a: &Mem, b: &Mem) -> bool {
        self.f.alike(&self.st, a, b)
    }

    fn alike_field(&mut self, a: &FieldTy, b: &FieldTy) -> bool {
        self.f.alike_field(&self.st, a, b)
    }

    /// The entries that the capabilities of a pattern stand for under theta.
    pub(crate) fn under(&self, theta: &Theta, caps: &[Cap]) -> Vec<Entry> {
        let entry = |c: &Cap| match c {
            Cap::Entry(e) => match theta.entry(&self.st, e) {
                Some(Guarded::There(e)) => Some(e),
                _ => None,
            },
            _ => None,
        };
        caps.iter().filter_map(entry).collect()
    }

    /// The wanted capability of a pattern under theta, made. False when it cannot be.
    pub(crate) fn satisfy(&mut self, theta: &Theta, cap: &Cap) -> bool {
        let Cap::Entry(e) = cap else { return true };
        match theta.entry(&self.st, e) {
            None => false,
            Some(Guarded::Gone) => true,
            Some(Guarded::There(want)) => self.obtain(&want),
        }
    }
}

/// The struct with nothing in its fields.
pub(crate) fn blank(fields: &[Field], size: u32) -> Mem {
    let junk = |f: &Field| Field {
        offset: f.offset,
        writable: f.writable,
        ty: FieldTy::Junk(u8::try_from(width_of(&f.ty)).unwrap_or(8)),
    };
    Mem::Struct { fields: fields.iter().map(junk).collect(), size }
}
