//! Not trusted: a bug here can reject, never admit. The views that two states have in common.

use super::*;

impl Join<'_> {
    /// Views worth carrying: at names of the label, or opened ones whose witnesses are in use.
    pub(super) fn views(&mut self, fixed_views: usize) -> Vec<View> {
        let mut views = Vec::new();
        let (left, right) = (self.views_of(true), self.views_of(false));
        let mut done = vec![false; left.len()];
        let mut progress = true;
        while progress {
            progress = false;
            for (i, a) in left.iter().enumerate() {
                if done[i]
                    || outdated(self.left, a)
                    || !self.worth(a, i < fixed_views)
                    || views.len() >= limits::VIEWS / 2
                {
                    continue;
                }
                let before = self.keys.len();
                let found = self.view_of(a, &right);
                if self.keys.len() > before && self.opened_again(a) {
                    self.keys.truncate(before);
                    continue;
                }
                if let Some(common) = found {
                    done[i] = true;
                    progress = true;
                    if !views.contains(&common) {
                        views.push(common);
                    }
                }
            }
        }
        let alone = left.iter().map(|v| (v, true)).chain(right.iter().map(|v| (v, false)));
        for (view, is_left) in alone {
            if outdated(if is_left { self.left } else { self.right }, view) {
                continue;
            }
            if views.len() < limits::VIEWS / 2
                && let Some(common) = self.view_alone(view, is_left)
                && !views.contains(&common)
            {
                views.push(common);
            }
        }
        views
    }

    /// What the view is together with one of the other side: one that a register pairs it with,
    /// before one at the same place; one that is there as surely, before one that is more or less
    /// sure; one in the same mode, before one in another.
    fn view_of(&mut self, view: &View, others: &[View]) -> Option<View> {
        let ways = [(true, true), (false, true), (true, false)];
        let how = [true, false].into_iter().flat_map(|named| ways.map(|same| (named, same)));
        let here = |b: &&View| !outdated(self.right, b);
        let others: Vec<&View> = others.iter().filter(here).collect();
        how.into_iter().find_map(|(named, same)| {
            others.iter().find_map(|b| {
                let pair = self.named(view.base, b.base);
                let fits = if named { pair } else { !pair && view.base == b.base };
                let alike = (view.guards.len() == b.guards.len(), view.mode == b.mode);
                if fits && alike == same { self.view(view, b) } else { None }
            })
        })
    }

    /// The views of one side, with those of data that it stands for in a variable.
    fn views_of(&self, left: bool) -> Vec<View> {
        let mut views = if left { &self.left.views } else { &self.right.views }.clone();
        for key in self.keys.iter().filter(|key| !key.closed) {
            if let Value::Name(Base::Data(id)) = if left { &key.left } else { &key.right }
                && let Some(view) = data_view(self.image, *id)
                && !views.contains(&view)
            {
                views.push(view);
            }
        }
        views
    }

    /// Is it the inside of a struct that can be opened again where it is needed?
    fn opened_again(&self, view: &View) -> bool {
        let closed = |v: &View| {
            v.base == view.base
                && v.region == view.region
                && v.mode == view.mode
                && v.offset == view.offset
                && matches!(*v.mem, Mem::Named(..) | Mem::Ex { .. })
        };
        matches!(*view.mem, Mem::Struct { .. }) && self.left.views.iter().any(closed)
    }

    /// A view on one side whose name is a small integer on the other.
    fn view_alone(&mut self, view: &View, left: bool) -> Option<View> {
        let name = self.used(self.beside_small(view.base, left)?);
        let fixed = match view.region {
            Region::Always => true,
            Region::Var(v) => self.is_fixed(v),
        };
        let certain = match view.base {
            Base::Name(of) => without(&view.guards, of).0.is_empty(),
            _ => view.guards.is_empty(),
        };
        if !fixed || !certain || !self.all_fixed(&view.offset) {
            return None;
        }
        let mem = Rc::new(self.mem_alone(&view.mem)?);
        let guards = vec![Guard::IsAddress(name)];
        Some(View { guards, base: Base::Name(name), mem, ..view.clone() })
    }

    /// Is there a variable for this pair of names?
    fn named(&self, left: Base, right: Base) -> bool {
        let same = |k: &Key| k.left == Value::Name(left) && k.right == Value::Name(right);
        self.find(same).is_some()
    }

    /// Is the view usable? One whose region is over is of no use to anybody.
    fn usable(&self, view: &View) -> bool {
        let token = |c: &Cap, rho: Var| matches!(c, Cap::Token(r, _) if *r == rho);
        match view.region {
            Region::Always => true,
            Region::Var(rho) => self.is_fixed(rho) || self.left.caps.iter().any(|c| token(c, rho)),
        }
    }

    fn worth(&self, view: &View, function: bool) -> bool {
        if !self.usable(view) {
            return false;
        }
        let in_use = |name: Base| self.find(|k| k.left == Value::Name(name)).is_some();
        if in_use(view.base) {
            return true;
        }
        let Mem::Struct { fields, .. } = &*view.mem else { return false };
        !function
            && fields.iter().any(|f| match &f.ty {
                FieldTy::Known(Word::Int(t)) => t
                    .as_var()
                    .is_some_and(|v| self.find(|k| k.left == Value::Int(Term::var(v))).is_some()),
                FieldTy::Known(Word::Ptr(base, _)) => in_use(*base),
                _ => false,
            })
    }

    fn view(&mut self, left: &View, right: &View) -> Option<View> {
        let mode = if left.mode == right.mode { left.mode } else { Mode::Rd };
        let before = self.keys.clone();
        let common = (|| {
            let region = self.lasting(left.region, right.region)?;
            let base = self.base(left.base, right.base)?;
            let guards = match (left.base, right.base, base) {
                (_, _, Base::Name(name)) => {
                    let own = |view: &View| match view.base {
                        Base::Name(x) => without(&view.guards, x),
                        _ => (view.guards.clone(), false),
                    };
                    let ((l, one), (r, other)) = (own(left), own(right));
                    let mut guards = self.guards(&l, &r)?;
                    if (one || other) && self.undecided(name) {
                        guards.push(Guard::IsAddress(name));
                    }
                    guards
                }
                _ => self.guards(&left.guards, &right.guards)?,
            };
            let offset = self.term(&left.offset, &right.offset)?;
            let mem = Rc::new(self.mem(&left.mem, &right.mem)?);
            Some(View { guards, region, mode, base, offset, mem })
        })();
        if common.is_none() {
            self.keys = before;
        }
        common
    }
}
