//! Not trusted: a bug here can reject, never admit. Making a wanted view available.

use super::{DEPTH, Planner};
use tal_core::hint::{Ghost, Through};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Entry, Mem, Mode, Region, View};

/// Steps from a view to a part of a part of it.
const STEPS: usize = 8;

impl Planner<'_, '_> {
    /// A view of the wanted memory in this mode, in this region if one is given, and guarded if
    /// the name is undecided. Its region.
    pub(crate) fn lend_guarded(&mut self, want: &View, region: Option<Region>) -> Option<Region> {
        if want.guards.is_empty() {
            return self.lend(want.base, &want.offset, want.mode, region, &want.mem);
        }
        if let Some(v) = self.view_like(want, region) {
            return Some(v);
        }
        // A nullable thing is lent as it is, if it is owned; or an address is a fine nullable.
        let Base::Name(x) = want.base else { return None };
        let entry = Entry {
            guards: want.guards.clone(),
            name: x,
            offset: want.offset.clone(),
            mem: want.mem.clone(),
        };
        if let Some(i) = self.position_of(&entry) {
            return self.borrow(i, want.mode, want);
        }
        let (guard, rest) = want.guards.split_last()?;
        let inner = View { guards: rest.to_vec(), ..want.clone() };
        let region = self.lend_guarded(&inner, region)?;
        let view = self.view_index(&inner, Some(region))?;
        let of = Through::View(view);
        self.emit(Ghost::GuardAdd { of, guard: guard.clone() }).then_some(region)
    }

    fn position_of(&self, want: &Entry) -> Option<usize> {
        self.st.caps.iter().position(|c| matches!(c, Cap::Entry(e) if e == want))
    }

    fn view_like(&mut self, want: &View, region: Option<Region>) -> Option<Region> {
        let i = self.view_index(want, region)?;
        self.st.views.get(usize::from(i)).map(|v| v.region)
    }

    /// The position of the view, terms compared by proof.
    pub(crate) fn view_index(&mut self, want: &View, region: Option<Region>) -> Option<u16> {
        for i in 0..self.st.views.len() {
            let v = self.st.views.get(i)?.clone();
            if v.base == want.base
                && v.mode == want.mode
                && v.guards == want.guards
                && region.is_none_or(|r| r == v.region)
                && self.f.live(&self.st, v.region)
                && self.f.same(&self.st, &v.offset, &want.offset)
                && self.alike(&v.mem, &want.mem)
            {
                return u16::try_from(i).ok();
            }
        }
        None
    }

    /// An unguarded view. Its region.
    pub(crate) fn lend(
        &mut self,
        base: Base,
        off: &Term,
        mode: Mode,
        region: Option<Region>,
        mem: &Mem,
    ) -> Option<Region> {
        let want = View {
            guards: Vec::new(),
            region: Region::Always,
            mode,
            base,
            offset: off.clone(),
            mem: tal_core::counted::Rc::new(mem.clone()),
        };
        if let Base::Data(d) = base
            && self.f.data_view(d).is_some_and(|v| v == want)
            && region.is_none_or(|r| r == Region::Always)
        {
            return Some(Region::Always);
        }
        if let Some(found) = self.view_like(&want, region) {
            return Some(found);
        }
        self.attempt(|p| p.lend_new(&want, region))
    }

    fn lend_new(&mut self, want: &View, region: Option<Region>) -> Option<Region> {
        // From a view that covers it.
        for i in 0..self.st.views.len() {
            let v = self.st.views.get(i)?.clone();
            let fits = v.base == want.base
                && region.is_none_or(|r| r == v.region)
                && self.f.usable(&self.st, &v)
                && (v.mode == want.mode || want.mode == Mode::Rd);
            if fits && self.attempt(|p| p.derive(i, want)).is_some() {
                return Some(v.region);
            }
        }
        if let Base::Data(data) = want.base
            && region.is_none_or(|r| r == Region::Always)
        {
            let view = self.f.data_view(data)?;
            if (view.mode == want.mode || want.mode == Mode::Rd) && !self.st.views.contains(&view) {
                self.emit(Ghost::ViewData { data }).then_some(())?;
                let i = self.st.views.len().checked_sub(1)?;
                return self.derive(i, want).map(|()| Region::Always);
            }
        }
        if region.is_some() {
            return None;
        }
        // From an entry, lent for this.
        let Base::Name(x) = want.base else { return None };
        if let Some(r) = self.attempt(|p| {
            let i = p.make(x, &want.offset, &want.mem, DEPTH)?;
            p.borrow(i, want.mode, want)
        }) {
            return Some(r);
        }
        let i = self.covering(x, &want.offset, false).or_else(|| self.starting(x, &want.offset))?;
        self.borrow(i, want.mode, want)
    }

    /// Lends entry `i` and makes the wanted view of it.
    fn borrow(&mut self, i: usize, mode: Mode, want: &View) -> Option<Region> {
        let entry = u16::try_from(i).ok()?;
        let mode = if mode == Mode::Rd { Mode::Ro } else { mode };
        let before = self.st.caps.clone();
        self.emit(Ghost::Borrow { entry, mode }).then_some(())?;
        let rho = self.st.caps.iter().find_map(|c| match c {
            Cap::Token(r, _) if !before.contains(c) => Some(*r),
            _ => None,
        })?;
        let made = self.st.views.iter().position(|v| v.region == Region::Var(rho))?;
        self.derive(made, want)?;
        Some(Region::Var(rho))
    }

    /// Leads from view `i` to the wanted one, region apart.
    fn derive(&mut self, i: usize, want: &View) -> Option<()> {
        let mut i = i;
        for _ in 0..STEPS {
            let v = self.st.views.get(i)?.clone();
            let view = u16::try_from(i).ok()?;
            let here = self.f.same(&self.st, &v.offset, &want.offset);
            if here && self.alike(&v.mem, &want.mem) {
                if v.mode != want.mode {
                    self.step(Ghost::ViewWeaken { view })?;
                }
                return Some(());
            }
            let from = want.offset.sub(&v.offset).ok()?;
            let ghost = self.toward(view, &v, want, &from)?;
            i = self.step(ghost)?;
        }
        None
    }

    fn toward(&mut self, view: u16, v: &View, want: &View, from: &Term) -> Option<Ghost> {
        Some(match (&*v.mem, &*want.mem) {
            (Mem::Cat(a, _), _) => {
                let size = self.size(a)?;
                Ghost::ViewCat { view, second: self.f.le(&self.st, &size, from) }
            }
            (Mem::Bytes(_), Mem::Bytes(n)) => {
                Ghost::ViewPart { view, from: from.clone(), count: n.clone() }
            }
            (Mem::Array(_, m), Mem::Array(k, l)) if self.alike(m, l) => {
                let from = crate::unify::divide(from, self.f.size_of(m)?)?;
                Ghost::ViewPart { view, from, count: k.clone() }
            }
            (Mem::Array(..) | Mem::Struct { .. } | Mem::Named(..), Mem::Bytes(_))
                if self.f.plain(&v.mem) =>
            {
                if v.mode != Mode::Rd {
                    Ghost::ViewWeaken { view }
                } else {
                    Ghost::ViewPlain { view }
                }
            }
            (Mem::Array(n, m), _) => {
                let size = u32::try_from(self.f.size_of(m)?).ok()?;
                let (j, _) = crate::find::position(from, size)?;
                if n.as_int() == Some(1) {
                    Ghost::One { of: Through::View(view), to_array: false }
                } else {
                    Ghost::ViewPart { view, from: j, count: Term::int(1) }
                }
            }
            (m, Mem::Array(k, l))
                if k.as_int() == Some(1) && from.as_int() == Some(0) && self.alike(m, l) =>
            {
                Ghost::One { of: Through::View(view), to_array: true }
            }
            (Mem::Named(..), _) => Ghost::ViewUnfold { view },
            (Mem::Ex { .. }, _) => Ghost::ViewOpen { view },
            _ => return None,
        })
    }

    /// Runs a view ghost; the position of what it made.
    fn step(&mut self, ghost: Ghost) -> Option<usize> {
        self.emit(ghost).then_some(())?;
        self.st.views.len().checked_sub(1)
    }

    /// The regions whose tokens are here.
    pub(crate) fn tokens(&self) -> Vec<Var> {
        let token = |c: &Cap| match c {
            Cap::Token(r, _) => Some(*r),
            _ => None,
        };
        self.st.caps.iter().filter_map(token).collect()
    }
}
