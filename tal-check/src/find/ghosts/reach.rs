//! Not trusted: a bug here can reject, never admit. Making an access possible.

use super::Planner;
use super::make::blank;
use crate::find::{How, position, width_of};
use tal_core::counted::Rc;
use tal_core::decode::{Alu, Ea, Op, Rm, Src, StringOp};
use tal_core::hint::{Ghost, Site, Through};
use tal_core::rules::memory::Address;
use tal_core::term::Term;
use tal_core::ty::{Base, Cap, DataId, Field, FieldTy, Mem, Mode, Reg, TypeId, View, Word};

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Access {
    pub(crate) ea: Ea,
    pub(crate) bytes: u8,
    pub(crate) load: bool,
    pub(crate) store: bool,
}

/// The memory operands of an instruction, string rows apart.
pub(crate) fn accesses(op: &Op) -> Vec<Access> {
    let mut found = Vec::new();
    let mut add = |rm: Src, bytes: u8, load: bool, store: bool| {
        if let Src::Mem(ea) = rm {
            found.push(Access { ea, bytes, load, store });
        }
    };
    let src = |rm: &Rm| Src::from(*rm);
    match op {
        Op::Mov { width, dst, src: s } => {
            add(*s, width.bytes(), true, false);
            add(src(dst), width.bytes(), false, true);
        }
        Op::Extend { from, src: s, .. } => add(src(s), from.bytes(), true, false),
        Op::Alu { width, dst, src: s, op } => {
            let _: &Alu = op;
            add(*s, width.bytes(), true, false);
            add(src(dst), width.bytes(), true, true);
        }
        Op::Cmp { width, left, right } | Op::Test { width, left, right } => {
            add(src(left), width.bytes(), true, false);
            add(*right, width.bytes(), true, false);
        }
        Op::Unary { width, dst, .. }
        | Op::Shift { width, dst, .. }
        | Op::ShiftCl { width, dst, .. }
        | Op::Rotate { width, dst, .. }
        | Op::ShiftDouble { width, dst, .. } => add(src(dst), width.bytes(), true, true),
        Op::Imul { width, left, right, .. } => {
            add(src(left), width.bytes(), true, false);
            add(*right, width.bytes(), true, false);
        }
        Op::MulWide { width, src: s }
        | Op::Div { width, src: s, .. }
        | Op::Cmov { width, src: s, .. }
        | Op::BitCount { width, src: s, .. } => add(src(s), width.bytes(), true, false),
        Op::Push { src: s } => add(*s, 8, true, false),
        Op::SignCopy { .. }
        | Op::Lea { .. }
        | Op::Bswap { .. }
        | Op::Setcc { .. }
        | Op::Xchg { .. }
        | Op::Pop { .. }
        | Op::Leave
        | Op::String(_)
        | Op::BitTest { .. }
        | Op::Nop
        | Op::Int3
        | Op::Flow(_) => {}
    }
    found
}

/// What stands in the way of an access.
enum Step {
    /// Nothing.
    Clear,
    /// This ghost goes first.
    Ghost(Ghost),
    /// No way.
    Stuck,
}

impl Planner<'_, '_> {
    /// Where the operand stands.
    pub(crate) fn address(&mut self, ea: &Ea) -> Option<Address> {
        let (own, st) = (self.own.clone(), self.st.clone());
        self.f.judge(own).address(&st, ea.base, ea.index, ea.disp).ok()
    }

    /// Makes this operand accessible.
    pub(crate) fn reach(&mut self, at: u32, a: &Access) {
        for _ in 0..16 {
            let Some(Address::Mem(base, offset)) = self.address(&a.ea) else { return };
            let width = u32::from(a.bytes);
            let load = !a.load || self.f.through(&self.st, base, &offset, width, false).is_ok();
            let store = !a.store || self.f.through(&self.st, base, &offset, width, true).is_ok();
            if load && store {
                return;
            }
            if !self.approach(at, base, &offset, width, !store) {
                return;
            }
        }
    }

    /// One ghost nearer to the access.
    fn approach(&mut self, at: u32, base: Base, offset: &Term, width: u32, store: bool) -> bool {
        // A bound may only lack the size of something.
        if let Err(Some(bound)) = self.f.through(&self.st, base, offset, width, store)
            && self.draw_for(&bound)
        {
            return true;
        }
        for i in 0..self.st.caps.len() {
            if self.entry_step(at, i, base, offset, width, store) {
                return true;
            }
        }
        for i in 0..self.st.views.len() {
            let Some(v) = self.st.views.get(i).cloned() else { continue };
            if v.base == base
                && self.f.usable(&self.st, &v)
                && (!store || v.mode == Mode::Rw)
                && self.view_step(i, &v, offset, width, store)
            {
                return true;
            }
        }
        if let Base::Data(d) = base
            && self.data_step(d, offset, width, store)
        {
            return true;
        }
        // Owned memory that was lent is given back by the end of its region.
        let lent = self.st.caps.iter().find_map(|c| match c {
            Cap::Token(rho, e) if Base::Name(e.name) == base => Some(*rho),
            _ => None,
        });
        match (lent, base) {
            (Some(rho), _) if self.end_region(rho) => true,
            (_, Base::Name(x)) => self.release_at(x),
            _ => false,
        }
    }

    fn entry_step(
        &mut self,
        at: u32,
        i: usize,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> bool {
        let Some(e) = self.entry(i).cloned() else { return false };
        if Base::Name(e.name) != base || !e.guards.is_empty() {
            return false;
        }
        let Ok(p) = offset.sub(&e.offset) else { return false };
        if !self.inside(&e.mem, &p, width) {
            return false;
        }
        let number = u16::try_from(i).unwrap_or(u16::MAX);
        match self.owned_step(at, number, &e.mem, &p, width, store) {
            Step::Ghost(g) => self.emit(g),
            Step::Clear | Step::Stuck => false,
        }
    }

    /// Is `[p, p + width)` provably inside this memory?
    fn inside(&mut self, mem: &Mem, p: &Term, width: u32) -> bool {
        let Some(size) = self.size(mem) else { return false };
        let Ok(left) = size.sub(p).and_then(|d| d.plus(-i128::from(width))) else { return false };
        for bound in [p.clone(), left] {
            if !self.f.ge(&self.st, &bound) {
                let fact = crate::find::at_least(bound.clone());
                if !self.draw_for(&fact) || !self.f.ge(&self.st, &bound) {
                    return false;
                }
            }
        }
        true
    }

    fn owned_step(
        &mut self,
        at: u32,
        entry: u16,
        mem: &Rc<Mem>,
        p: &Term,
        width: u32,
        store: bool,
    ) -> Step {
        match &**mem {
            Mem::Named(..) => Step::Ghost(Ghost::Unfold { entry }),
            Mem::Ex { .. } => Step::Ghost(Ghost::Open { entry }),
            Mem::Cat(..) => Step::Ghost(Ghost::SplitCat { entry }),
            Mem::Array(n, m) => {
                let how = How { store, owned: true, strong: true };
                if self.f.direct(&self.st, mem, p, width, how).is_ok() {
                    return Step::Clear;
                }
                let of = Through::Entry(entry);
                let Some(size) = self.f.size_of(m).and_then(|s| u32::try_from(s).ok()) else {
                    return Step::Stuck;
                };
                let Some((j, _)) = position(p, size) else { return Step::Stuck };
                if j.as_int() != Some(0) {
                    return Step::Ghost(Ghost::Split { entry, at: j });
                }
                if n.as_int() != Some(1) && !self.f.same(&self.st, n, &Term::int(1)) {
                    return Step::Ghost(Ghost::Split { entry, at: Term::int(1) });
                }
                if n.as_int() != Some(1) {
                    let mem = Rc::new(Mem::Array(Term::int(1), m.clone()));
                    let Some(offset) = self.entry(usize::from(entry)).map(|e| e.offset.clone())
                    else {
                        return Step::Stuck;
                    };
                    return Step::Ghost(Ghost::Equal { of, offset, mem });
                }
                Step::Ghost(Ghost::One { of, to_array: false })
            }
            Mem::Junk(n) if store => self.shape_junk(at, entry, n, p, width),
            Mem::Zero(n) => {
                let mem = match self.layout(at, n, p, width) {
                    Some(named) => named,
                    None => Mem::Bytes(n.clone()),
                };
                Step::Ghost(Ghost::RetypeZero { entry, mem: Rc::new(mem) })
            }
            Mem::Junk(_) | Mem::Struct { .. } | Mem::Bytes(_) => Step::Stuck,
        }
    }

    /// Gives junk that is stored into a shape: that of a named type the source speaks of, of one
    /// that has such a field, or words.
    fn shape_junk(&mut self, at: u32, entry: u16, n: &Term, p: &Term, width: u32) -> Step {
        if let (Some(size), Some(o)) = (n.as_int(), p.as_int()) {
            let named = self.layout(at, n, p, width).and_then(|m| self.skeleton(&m));
            let shape = named.or_else(|| words(size, o, width));
            if let Some(mem) = shape {
                return Step::Ghost(Ghost::RetypeShape { entry, mem: Rc::new(mem) });
            }
        }
        if p.as_int() != Some(0) {
            return Step::Ghost(Ghost::Split { entry, at: p.clone() });
        }
        let w = Term::int(i64::from(width));
        if *n != w {
            return Step::Ghost(Ghost::Split { entry, at: w });
        }
        match words(i128::from(width), 0, width) {
            Some(mem) => Step::Ghost(Ghost::RetypeShape { entry, mem: Rc::new(mem) }),
            None => Step::Stuck,
        }
    }

    /// A named type of this constant size with a field of this width there.
    fn layout(&mut self, at: u32, n: &Term, p: &Term, width: u32) -> Option<Mem> {
        let size = n.as_int()?;
        let o = p.as_int()?;
        let told = self.f.layouts.get(&at).copied();
        told.into_iter().chain(self.likely_types()).find_map(|id| {
            let named = self.f.image.named(self.f.interface, id)?;
            if i128::from(named.size) != size || named.arity != 0 {
                return None;
            }
            let mem = Mem::Named(id, Vec::new());
            let Mem::Struct { fields, .. } = self.skeleton(&mem)? else { return None };
            let fits = |f: &Field| i128::from(f.offset) == o && width_of(&f.ty) == width;
            fields.iter().any(fits).then_some(mem)
        })
    }

    /// The named types: first those that our own signature speaks of, then those whose fields the
    /// function mentions, then all.
    pub(super) fn likely_types(&self) -> Vec<TypeId> {
        let sig = &self.own.sig;
        let post = sig.post.iter().flat_map(|p| p.state.caps.iter());
        let ours = sig.pre.caps.iter().chain(post).filter_map(|c| match c {
            Cap::Entry(e) => match &*e.mem {
                Mem::Named(id, _) => Some(*id),
                _ => None,
            },
            _ => None,
        });
        let here = self.f.site.and_then(|site| match site {
            Site::At(at)
            | Site::Edge { from: at, .. }
            | Site::CodeSub { from: at }
            | Site::Return(at) => self.f.function(at),
        });
        let layouts = self.f.layouts.iter();
        let mentioned = layouts.filter(|(at, _)| self.f.function(**at) == here).map(|(_, id)| *id);
        let count = self.f.interface.types.len() + self.f.image.types.len();
        let all = (0..count).filter_map(|i| u32::try_from(i).ok()).map(TypeId);
        let mut types = Vec::new();
        for id in ours.chain(mentioned).chain(all) {
            if !types.contains(&id) {
                types.push(id);
            }
        }
        types
    }

    /// The fields of a named type, emptied.
    fn skeleton(&self, mem: &Mem) -> Option<Mem> {
        let mut body = self.f.body(mem)?;
        for _ in 0..4 {
            body = match body {
                Mem::Struct { fields, size } => return Some(blank(&fields, size)),
                Mem::Ex { body, .. } => (*body).clone(),
                Mem::Named(..) => self.f.body(&body)?,
                _ => return None,
            };
        }
        None
    }

    fn view_step(&mut self, i: usize, v: &View, offset: &Term, width: u32, store: bool) -> bool {
        let Ok(p) = offset.sub(&v.offset) else { return false };
        if !self.inside(&v.mem, &p, width) {
            return false;
        }
        let view = u16::try_from(i).unwrap_or(u16::MAX);
        let ghost = match &*v.mem {
            Mem::Named(..) => Ghost::ViewUnfold { view },
            Mem::Ex { .. } => Ghost::ViewOpen { view },
            Mem::Cat(a, _) => {
                let Some(size) = self.size(a) else { return false };
                Ghost::ViewCat { view, second: self.f.le(&self.st, &size, &p) }
            }
            Mem::Array(n, m) => {
                let how = How { store, owned: false, strong: true };
                if self.f.direct(&self.st, &v.mem, &p, width, how).is_ok() {
                    return false;
                }
                let Some(size) = self.f.size_of(m).and_then(|s| u32::try_from(s).ok()) else {
                    return false;
                };
                let Some((j, _)) = position(&p, size) else { return false };
                if n.as_int() == Some(1) {
                    Ghost::One { of: Through::View(view), to_array: false }
                } else {
                    Ghost::ViewPart { view, from: j, count: Term::int(1) }
                }
            }
            Mem::Struct { .. } | Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => return false,
        };
        self.fresh_view(ghost)
    }

    /// Runs a view ghost unless what it makes is there already (then it leads nowhere new).
    fn fresh_view(&mut self, ghost: Ghost) -> bool {
        let before = self.st.views.clone();
        let new = self.attempt(|p| {
            p.emit(ghost).then_some(())?;
            let made = p.st.views.last()?;
            (!before.contains(made)).then_some(())
        });
        new.is_some()
    }

    fn data_step(&mut self, d: DataId, offset: &Term, width: u32, store: bool) -> bool {
        let Some(v) = self.f.data_view(d) else { return false };
        if store && v.mode != Mode::Rw || self.st.views.contains(&v) {
            return false;
        }
        self.inside(&v.mem, offset, width) && self.fresh_view(Ghost::ViewData { data: d })
    }

    /// Decides a guard on what stands at this name.
    fn release_at(&mut self, x: tal_core::term::Var) -> bool {
        let mark = self.out.len();
        self.release(x);
        self.out.len() > mark
    }

    // ---- string rows ----

    /// Makes the ranges of a repeated copy or fill what the row wants.
    pub(crate) fn strings(&mut self, op: &Op) {
        let (w, copies) = match op {
            Op::String(StringOp::RepMovs(w)) => (w, true),
            Op::String(StringOp::RepStos(w)) => (w, false),
            _ => return,
        };
        let Some(Word::Int(count)) = self.st.regs().get(Reg::Rcx as usize).cloned() else { return };
        let Ok(bytes) = count.scale(i128::from(w.bytes())) else { return };
        if copies {
            self.range(Reg::Rsi, &bytes, false);
        }
        self.range(Reg::Rdi, &bytes, true);
    }

    /// Plain memory over the whole range, or, to be filled, junk of exactly that extent.
    fn range(&mut self, r: Reg, bytes: &Term, fill: bool) {
        for _ in 0..8 {
            let Some(Word::Ptr(base, at)) = self.st.regs().get(r as usize).cloned() else { return };
            let Some(ghost) = self.range_step(base, &at, bytes, fill) else { return };
            if !self.emit(ghost) {
                return;
            }
        }
    }

    fn range_step(&mut self, base: Base, at: &Term, bytes: &Term, fill: bool) -> Option<Ghost> {
        for i in 0..self.st.caps.len() {
            let Some(e) = self.entry(i).cloned() else { continue };
            let Ok(p) = at.sub(&e.offset) else { continue };
            if Base::Name(e.name) != base || !e.guards.is_empty() {
                continue;
            }
            if !self.spans(&e.mem, &p, bytes) {
                if let (Mem::Cat(..), Ok(here)) = (&*e.mem, e.offset.add(&p))
                    && self.covering(e.name, &here, true) == Some(i)
                {
                    return Some(Ghost::SplitCat { entry: u16::try_from(i).ok()? });
                }
                continue;
            }
            let entry = u16::try_from(i).ok()?;
            return match &*e.mem {
                Mem::Junk(_) | Mem::Zero(_) if fill && p.as_int() != Some(0) => {
                    Some(Ghost::Split { entry, at: p })
                }
                Mem::Junk(n) if fill && !self.f.same(&self.st, n, bytes) => {
                    Some(Ghost::Split { entry, at: bytes.clone() })
                }
                Mem::Zero(n) => {
                    let mem = Rc::new(Mem::Bytes(n.clone()));
                    Some(Ghost::RetypeZero { entry, mem })
                }
                Mem::Cat(..) => Some(Ghost::SplitCat { entry }),
                _ if self.f.plain(&e.mem) => None,
                Mem::Named(..) => Some(Ghost::Unfold { entry }),
                Mem::Ex { .. } => Some(Ghost::Open { entry }),
                _ if fill => Some(Ghost::RetypeJunk { entry }),
                _ => None,
            };
        }
        for i in 0..self.st.views.len() {
            let v = self.st.views.get(i)?.clone();
            let usable = v.base == base && self.f.usable(&self.st, &v);
            if !usable || (fill && v.mode != Mode::Rw) {
                continue;
            }
            let Ok(p) = at.sub(&v.offset) else { continue };
            if !self.spans(&v.mem, &p, bytes) {
                continue;
            }
            if self.f.plain(&v.mem) && !matches!(*v.mem, Mem::Cat(..) | Mem::Named(..)) {
                return None;
            }
            let view = u16::try_from(i).ok()?;
            match &*v.mem {
                Mem::Cat(a, _) => {
                    let size = self.size(a)?;
                    let second = self.f.le(&self.st, &size, &p);
                    return Some(Ghost::ViewCat { view, second });
                }
                Mem::Named(..) => return Some(Ghost::ViewUnfold { view }),
                _ => {}
            }
        }
        None
    }

    fn spans(&mut self, mem: &Mem, p: &Term, bytes: &Term) -> bool {
        let Some(size) = self.size(mem) else { return false };
        let left = size.sub(p).and_then(|d| d.sub(bytes));
        self.f.ge(&self.st, p) && left.is_ok_and(|l| self.f.ge(&self.st, &l))
    }
}

/// Junk words with one field of `width` at `o`.
fn words(size: i128, o: i128, width: u32) -> Option<Mem> {
    let size = u32::try_from(size).ok().filter(|s| *s <= 512)?;
    let o = u32::try_from(o).ok()?;
    let mut fields = Vec::new();
    let mut at = 0;
    while at < size {
        let step = if at == o {
            width
        } else {
            let end = if at < o { o } else { size };
            [8, 4, 2, 1].into_iter().find(|w| at % w == 0 && at + w <= end)?
        };
        if at + step > size {
            return None;
        }
        let ty = FieldTy::Junk(u8::try_from(step).ok()?);
        fields.push(Field { offset: at, writable: true, ty });
        at += step;
    }
    Some(Mem::Struct { fields, size })
}
