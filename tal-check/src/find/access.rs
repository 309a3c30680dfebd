//! Not trusted: a bug here can reject, never admit. Through which memory an access goes.

use super::size::width_of;
use super::{Finder, Trouble, writes};
use tal_core::hint::Through;
use tal_core::image::{DataKind, Image};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, DataId, Fact, FieldTy, Mem, Mode, Rel, View};

/// What is to be done, and with what right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// A store.
    pub store: bool,
    /// Through an entry.
    pub owned: bool,
    /// At a constant place in a struct.
    pub strong: bool,
}

/// `j` and `c` with `at = size * j + c` and `0 <= c < size`, by division of the coefficients.
#[must_use]
pub fn position(at: &Term, size: u32) -> Option<(Term, u32)> {
    let size = i128::from(size);
    if size == 0 {
        return None;
    }
    let c = at.constant().rem_euclid(size);
    let j = at.plus(-c).ok()?.floor_div(size).ok()?;
    Some((j, u32::try_from(c).ok()?))
}

/// `term >= 0`
pub(crate) fn at_least(term: Term) -> Fact {
    Fact { rel: Rel::Ge, term }
}

impl Finder<'_> {
    /// Does rule[shape] accept this access, and the load or store rule the field? If not, the bound
    /// that is missing, if that is all.
    pub(crate) fn direct(
        &mut self,
        st: &State,
        mem: &Mem,
        at: &Term,
        width: u32,
        how: How,
    ) -> Result<(), Option<Fact>> {
        match mem {
            Mem::Struct { fields, .. } => {
                let at = at.as_int().ok_or(None)?;
                let here = |o: u32| i128::from(o) == at;
                let field = fields
                    .iter()
                    .find(|f| here(f.offset) && width_of(&f.ty) == width)
                    .ok_or(None)?;
                if allowed(&field.ty, field.writable, how) { Ok(()) } else { Err(None) }
            }
            Mem::Array(n, m) => {
                let size = self.size_of(m).and_then(|s| u32::try_from(s).ok()).ok_or(None)?;
                let (j, c) = position(at, size).ok_or(None)?;
                let inner = Term::int(i64::from(c));
                self.direct(st, m, &inner, width, How { strong: false, ..how })?;
                self.bound(st, &j)?;
                let left = n.sub(&j).and_then(|d| d.plus(-1)).map_err(|_| None)?;
                self.bound(st, &left)
            }
            Mem::Bytes(n) => {
                self.bound(st, at)?;
                let left = n.sub(at).and_then(|d| d.plus(-i128::from(width)));
                self.bound(st, &left.map_err(|_| None)?)
            }
            Mem::Junk(_) | Mem::Zero(_) | Mem::Cat(..) | Mem::Ex { .. } | Mem::Named(..) => {
                Err(None)
            }
        }
    }

    fn bound(&mut self, st: &State, term: &Term) -> Result<(), Option<Fact>> {
        if self.ge(st, term) { Ok(()) } else { Err(Some(at_least(term.clone()))) }
    }

    /// The view that a data object has everywhere.
    pub(crate) fn data_view(&self, id: DataId) -> Option<View> {
        data_view(self.image, id)
    }

    /// May this view be used now?
    pub(crate) fn usable(&self, st: &State, v: &View) -> bool {
        let decided = match v.base {
            Base::Name(x) => decided(st, x),
            Base::Data(_) => true,
            Base::Code(_) => false,
        };
        v.guards.is_empty() && decided && self.live(st, v.region)
    }

    /// Something that covers the access as it stands, or the bound that one candidate lacks.
    pub(crate) fn through(
        &mut self,
        st: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Option<Fact>> {
        if width == 0 {
            return self.part(st, base, offset).ok_or(None);
        }
        let mut missing = None;
        for (i, cap) in st.caps.iter().enumerate() {
            let Cap::Entry(e) = cap else { continue };
            if Base::Name(e.name) != base || !e.guards.is_empty() || !decided(st, e.name) {
                continue;
            }
            let Ok(at) = offset.sub(&e.offset) else { continue };
            let how = How { store, owned: true, strong: true };
            match self.direct(st, &e.mem, &at, width, how) {
                Ok(()) => return Ok(Through::Entry(u16::try_from(i).unwrap_or(u16::MAX))),
                Err(bound) => missing = missing.or(bound),
            }
        }
        for (i, v) in st.views.iter().enumerate() {
            if v.base != base || !self.usable(st, v) || (store && !writes(v.mode)) {
                continue;
            }
            let Ok(at) = offset.sub(&v.offset) else { continue };
            let how = How { store, owned: false, strong: true };
            match self.direct(st, &v.mem, &at, width, how) {
                Ok(()) => return Ok(Through::View(u16::try_from(i).unwrap_or(u16::MAX))),
                Err(bound) => missing = missing.or(bound),
            }
        }
        if let Base::Data(d) = base
            && let Some(v) = self.data_view(d)
            && (!store || v.mode == Mode::Rw)
        {
            let how = How { store, owned: false, strong: true };
            match self.direct(st, &v.mem, offset, width, how) {
                Ok(()) => return Ok(Through::Data(d)),
                Err(bound) => missing = missing.or(bound),
            }
        }
        Err(missing)
    }

    /// Something that the place lies in, ends included.
    fn part(&mut self, st: &State, base: Base, offset: &Term) -> Option<Through> {
        use crate::unify::Sizes;
        let number = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
        let mut all: Vec<(Through, Term, tal_core::counted::Rc<Mem>)> = Vec::new();
        for (i, cap) in st.caps.iter().enumerate() {
            if let Cap::Entry(e) = cap
                && Base::Name(e.name) == base
                && e.guards.is_empty()
            {
                all.push((Through::Entry(number(i)), e.offset.clone(), e.mem.clone()));
            }
        }
        for (i, v) in st.views.iter().enumerate() {
            if v.base == base && self.usable(st, v) {
                all.push((Through::View(number(i)), v.offset.clone(), v.mem.clone()));
            }
        }
        if let Base::Data(d) = base
            && let Some(v) = self.data_view(d)
        {
            all.push((Through::Data(d), v.offset, v.mem));
        }
        all.into_iter().find_map(|(through, start, mem)| {
            let end = start.add(&self.size(&mem)?).ok()?;
            (self.le(st, &start, offset) && self.le(st, offset, &end)).then_some(through)
        })
    }

    pub(super) fn answer_access(
        &mut self,
        st: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Through {
        match self.through(st, base, offset, width, store) {
            Ok(through) => through,
            Err(bound) => {
                let offset = offset.clone();
                self.trouble.push(Trouble::Access { base, offset, width, store, bound });
                // The candidate nearest by base, so that the judge's refusal names the rule.
                self.nearest(st, base)
            }
        }
    }

    fn nearest(&self, st: &State, base: Base) -> Through {
        let entry = |c: &Cap| matches!(c, Cap::Entry(e) if Base::Name(e.name) == base);
        let number = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
        if let Some(i) = st.caps.iter().position(entry) {
            return Through::Entry(number(i));
        }
        if let Some(i) = st.views.iter().position(|v| v.base == base) {
            return Through::View(number(i));
        }
        match base {
            Base::Data(d) => Through::Data(d),
            _ => Through::Entry(u16::MAX),
        }
    }
}

/// Is the name certainly an address?
pub(crate) fn decided(st: &State, x: Var) -> bool {
    crate::unify::name_set(st, x).is_some_and(|s| s.is_address())
}

/// May a field of this type be loaded or stored so?
fn allowed(ty: &FieldTy, writable: bool, how: How) -> bool {
    let strong = how.owned && how.strong;
    match (ty, how.store) {
        (FieldTy::Junk(_), false) => false,
        (FieldTy::Own { .. }, false) => strong || !how.owned,
        (_, false) => true,
        (FieldTy::Own { .. }, true) => false,
        (FieldTy::Junk(_), true) => strong,
        (_, true) => strong || writable,
    }
}

/// The view that a data object has everywhere.
pub(crate) fn data_view(image: &Image<'_>, id: DataId) -> Option<View> {
    let data = image.data.get(usize::from(id.0))?;
    let DataKind::Object { mem, mode } = &data.kind else { return None };
    Some(View {
        guards: Vec::new(),
        region: tal_core::ty::Region::Always,
        mode: *mode,
        base: Base::Data(id),
        offset: Term::ZERO,
        mem: mem.clone(),
    })
}
