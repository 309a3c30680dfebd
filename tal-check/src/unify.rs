//! Not trusted: a bug here can reject, never admit. Matching of declared states against states: the
//! values of the variables of a signature, a post-state, a label or a package (theta of core.md).
//!
//! A declared state is a *pattern*. Its variables are read off the registers first, then off claims
//! about blocks, then off the sizes of memory. What is left open is left open: the caller decides.

use tal_core::counted::Rc;
use tal_core::hint::Inst;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Cap, Entry, Fact, Field, FieldTy, Guard, Kind, Mem, NameSet, Region, Rel,
    View, Word,
};

/// Which variables of a pattern are to be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// `Free(i)` for `i` from this number on; smaller ones mean themselves.
    Free(u16),
    /// `Inner(i)`: the signature of a code parameter.
    Inner,
    /// `Bound(i)`: witnesses of an `ex`.
    Bound,
    /// `Param(i)`: arguments of a named type.
    Param,
}

/// A partial substitution for the variables of a pattern.
#[derive(Clone, Debug)]
pub struct Theta {
    space: Space,
    /// Kinds of the variables sought, if they are not all integers.
    pub kinds: Vec<Kind>,
    /// What was found.
    pub values: Vec<Option<Inst>>,
    /// Equations `pattern = actual` that could not be solved yet.
    pending: Vec<(Term, Term)>,
}

impl Theta {
    /// Nothing is known of these variables.
    #[must_use]
    pub fn new(space: Space, kinds: Vec<Kind>) -> Self {
        let values = vec![None; kinds.len()];
        Theta { space, kinds, values, pending: Vec::new() }
    }

    /// Integers only: for packages and named types.
    #[must_use]
    pub fn ints(space: Space, count: u16) -> Self {
        Theta::new(space, vec![Kind::INT; usize::from(count)])
    }

    /// Which variables are sought.
    #[must_use]
    pub fn space(&self) -> Space {
        self.space
    }

    /// The place of a sought variable.
    fn slot(&self, v: Var) -> Option<usize> {
        let i = match (self.space, v) {
            (Space::Free(from), Var::Free(i)) => i.checked_sub(from)?,
            (Space::Inner, Var::Inner(i))
            | (Space::Bound, Var::Bound(i))
            | (Space::Param, Var::Param(i)) => i,
            _ => return None,
        };
        let i = usize::from(i);
        (i < self.values.len()).then_some(i)
    }

    /// All values, if all were found.
    #[must_use]
    pub fn complete(&self) -> Option<Vec<Inst>> {
        self.values.iter().cloned().collect()
    }

    /// All values as integers, if all were found and are integers.
    #[must_use]
    pub fn terms(&self) -> Option<Vec<Term>> {
        self.values
            .iter()
            .map(|v| match v {
                Some(Inst::Int(t)) => Some(t.clone()),
                _ => None,
            })
            .collect()
    }

    /// The first variable without a value.
    #[must_use]
    pub fn open(&self) -> Option<usize> {
        self.values.iter().position(Option::is_none)
    }

    /// What an open variable becomes meanwhile: a class that neither pattern nor state has.
    fn placeholder(&self, i: usize) -> Option<Term> {
        let class = if self.space == Space::Inner { Var::Param } else { Var::Inner };
        u16::try_from(i).ok().map(|i| Term::var(class(i)))
    }

    fn is_open(&self, v: Var) -> bool {
        match v {
            Var::Inner(_) => self.space != Space::Inner,
            Var::Param(_) => self.space == Space::Inner,
            _ => false,
        }
    }

    /// The term with what is known put in; open variables become `Inner`.
    fn partial(&self, t: &Term) -> Option<Term> {
        t.subst(&|v| {
            let i = self.slot(v)?;
            match self.values.get(i) {
                Some(Some(Inst::Int(t) | Inst::Small(t))) => Some(t.clone()),
                _ => self.placeholder(i),
            }
        })
        .ok()
    }

    /// The term under theta; `None` when a variable is open.
    #[must_use]
    pub fn term(&self, t: &Term) -> Option<Term> {
        let t = self.partial(t)?;
        let open = t.vars().any(|v| self.is_open(v));
        (!open).then_some(t)
    }

    /// The fact under theta.
    #[must_use]
    pub fn fact(&self, f: &Fact) -> Option<Fact> {
        Some(Fact { rel: f.rel, term: self.term(&f.term)? })
    }

    /// Makes `pattern = actual` true if one open variable stands alone. False on contradiction
    /// of constants; unsolved equations are kept for later.
    pub fn unify(&mut self, pattern: &Term, actual: &Term) -> bool {
        let Some(mixed) = self.partial(pattern) else { return false };
        let Ok(rest) = mixed.sub(actual) else { return false };
        let open: Vec<Var> = rest.vars().filter(|v| self.is_open(*v)).collect();
        match open.as_slice() {
            [] => rest.as_int().is_none_or(|c| c == 0),
            [v @ (Var::Inner(i) | Var::Param(i))] => {
                if let Some(value) = solve(&rest, *v) {
                    if let Some(place) = self.values.get_mut(usize::from(*i)) {
                        *place = Some(Inst::Int(value));
                    }
                    self.settle();
                }
                true
            }
            _ => {
                self.pending.push((pattern.clone(), actual.clone()));
                true
            }
        }
    }

    fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for (pattern, actual) in pending {
            self.unify(&pattern, &actual);
        }
    }

    /// Gives the variable a value if it has none.
    pub fn bind(&mut self, v: Var, value: Inst) {
        let Some(i) = self.slot(v) else { return };
        if let Some(place @ None) = self.values.get_mut(i) {
            *place = Some(value);
        }
    }

    /// Gives the variable this value, whatever it had.
    pub fn set(&mut self, v: Var, value: Inst) {
        if let Some(place) = self.slot(v).and_then(|i| self.values.get_mut(i)) {
            *place = Some(value);
        }
    }

    /// The value of a variable of the pattern.
    #[must_use]
    pub fn get(&self, v: Var) -> Option<&Inst> {
        self.values.get(self.slot(v)?)?.as_ref()
    }

    /// Is the variable one that is sought?
    #[must_use]
    pub fn seeks(&self, v: Var) -> bool {
        self.slot(v).is_some()
    }

    /// What the pattern says of numbers: the bounds of what is sought as facts, and these.
    #[must_use]
    pub(crate) fn told(&self, facts: &[Fact]) -> Vec<Fact> {
        let var = |i: u16| match self.space {
            Space::Free(first) => Var::Free(first.saturating_add(i)),
            Space::Inner => Var::Inner(i),
            Space::Bound => Var::Bound(i),
            Space::Param => Var::Param(i),
        };
        crate::prove::declared(&self.kinds, var, facts)
    }

    fn kind(&self, v: Var) -> Option<&Kind> {
        self.kinds.get(self.slot(v)?)
    }

    /// Reads variables off a word that must match.
    pub fn unify_word(&mut self, st: &State, pattern: &Word, actual: &Word) -> bool {
        let actual = read(st, actual);
        match (pattern, &actual) {
            (Word::Int(p), Word::Int(a)) => self.unify(p, a),
            (Word::Ptr(Base::Name(x), o), _) if self.seeks(*x) => self.unify_name(*x, o, &actual),
            (Word::Ptr(b, o), Word::Ptr(c, e)) => b == c && self.unify(o, e),
            (Word::Junk, _) => true,
            (p, a) => p == a,
        }
    }

    fn unify_name(&mut self, x: Var, o: &Term, actual: &Word) -> bool {
        if let Some(known) = self.get(x).cloned() {
            return match (known, actual) {
                (Inst::Ptr(b, base), Word::Ptr(c, e)) => {
                    b == *c && e.sub(&base).is_ok_and(|e| self.unify(o, &e))
                }
                _ => true,
            };
        }
        let kind = self.kind(x).cloned();
        match (kind, actual) {
            (Some(Kind::Word), w) if o.as_int() == Some(0) => {
                self.bind(x, Inst::Word(w.clone()));
                matches!(w, Word::Int(_) | Word::Ptr(..))
            }
            (Some(Kind::Code(_)), Word::Ptr(b, e)) if e.as_int() == Some(0) => {
                self.bind(x, Inst::Code(*b));
                true
            }
            (Some(Kind::Addr { .. }), Word::Ptr(b, e)) => {
                if let Some(at) = self.term(o).and_then(|o| e.sub(&o).ok()) {
                    self.bind(x, Inst::Ptr(*b, at));
                    return true;
                }
                // `x + 8*k` with both open: x is the whole name, if the name is its own base.
                self.bind(x, Inst::Ptr(*b, Term::ZERO));
                self.unify(o, e)
            }
            (Some(Kind::Addr { .. }), Word::Int(e)) => {
                let Some(at) = self.term(o).and_then(|o| e.sub(&o).ok()) else { return false };
                self.bind(x, Inst::Small(at));
                true
            }
            _ => false,
        }
    }

    /// Reads variables off memory. `false` when the two can never be made one by renaming.
    pub fn unify_mem(&mut self, pattern: &Mem, actual: &Mem, sizes: &dyn Sizes) -> bool {
        match (pattern, actual) {
            (Mem::Array(n, m), Mem::Array(k, l)) => self.unify(n, k) && self.unify_mem(m, l, sizes),
            (Mem::Junk(n) | Mem::Bytes(n) | Mem::Zero(n), _) => {
                sizes.size(actual).is_some_and(|s| self.unify(n, &s))
            }
            (Mem::Cat(a, b), Mem::Cat(c, d)) => {
                self.unify_mem(a, c, sizes) && self.unify_mem(b, d, sizes)
            }
            (Mem::Named(t, xs), Mem::Named(u, ys)) if t == u => {
                xs.iter().zip(ys).all(|(x, y)| self.unify(x, y))
            }
            (Mem::Struct { fields, size }, Mem::Struct { fields: other, size: s }) => {
                size == s
                    && fields.iter().all(|f| {
                        let twin = other.iter().find(|g| g.offset == f.offset);
                        twin.is_none_or(|g| self.unify_field(&f.ty, &g.ty, sizes))
                    })
            }
            (Mem::Ex { body, .. }, Mem::Ex { body: other, .. }) => {
                self.unify_mem(body, other, sizes)
            }
            _ => true,
        }
    }

    fn unify_field(&mut self, pattern: &FieldTy, actual: &FieldTy, sizes: &dyn Sizes) -> bool {
        match (pattern, actual) {
            (FieldTy::Known(Word::Int(p)), _) => value_of(actual).is_none_or(|a| self.unify(p, &a)),
            (FieldTy::Known(Word::Ptr(Base::Name(x), o)), FieldTy::Known(w))
                if self.seeks(*x) && matches!(w, Word::Ptr(..) | Word::Int(_)) =>
            {
                self.unify_name(*x, o, w)
            }
            (FieldTy::Int { facts, .. }, _) => {
                // `int(b){v = e}`: e is the value.
                let (Some(e), Some(a)) = (exact(facts), value_of(actual)) else { return true };
                self.unify(&e, &a)
            }
            (FieldTy::Own { mem, .. }, FieldTy::Own { mem: m, .. })
            | (FieldTy::Ref { mem, .. }, FieldTy::Ref { mem: m, .. }) => {
                self.unify_mem(mem, m, sizes)
            }
            _ => true,
        }
    }
}

/// Sizes of memory, which need the tables of types.
pub trait Sizes {
    /// `size(mem)` of core.md.
    fn size(&self, mem: &Mem) -> Option<Term>;
}

/// `v` with `rest = 0`, if its coefficient divides everything else.
fn solve(rest: &Term, v: Var) -> Option<Term> {
    let m = rest.monomials().iter().find(|m| m.atom.factors() == (v, None))?;
    let c = m.coefficient;
    let others = Term::var(v).scale(-c).ok()?.add(rest).ok()?.scale(-c.signum()).ok()?;
    divide(&others, c.abs())
}

/// The term divided by `d`, if that is exact.
#[must_use]
pub fn divide(t: &Term, d: i128) -> Option<Term> {
    (d > 0 && t.constant() % d == 0).then(|| t.floor_div(d).ok()).flatten()
}

/// The term `e` of a refinement `{v = e}`.
#[must_use]
pub fn exact(facts: &[Fact]) -> Option<Term> {
    facts.iter().find_map(|f| {
        let m = f.term.monomials().iter().find(|m| m.atom.factors() == (Var::Value, None))?;
        let alone = f.rel == Rel::Eq && m.coefficient.abs() == 1;
        alone.then(|| solve(&f.term, Var::Value)).flatten()
    })
}

/// The value that a field is known to hold.
#[must_use]
pub fn value_of(field: &FieldTy) -> Option<Term> {
    match field {
        FieldTy::Known(Word::Int(e)) => Some(e.clone()),
        FieldTy::Int { facts, .. } => exact(facts),
        _ => None,
    }
}

/// The word with names that turned out to be integers read as such.
#[must_use]
pub fn read(st: &State, w: &Word) -> Word {
    let Word::Ptr(Base::Name(Var::Free(i)), e) = w else { return w.clone() };
    match st.scope.get(usize::from(*i)).and_then(|s| s.is.as_ref()).map(|n| n.add(e)) {
        Some(Ok(sum)) => Word::Int(sum),
        _ => w.clone(),
    }
}

/// What is known of a name now.
#[must_use]
pub fn name_set(st: &State, v: Var) -> Option<NameSet> {
    let Var::Free(i) = v else { return None };
    let s = st.scope.get(usize::from(i))?;
    matches!(s.kind, Kind::Addr { .. }).then_some(s.set)
}

/// What a variable is known to be a multiple of; else the term as it is.
#[must_use]
pub(crate) fn multiple(state: &State, term: &Term) -> Term {
    let Some(v) = term.as_var() else { return term.clone() };
    let solved = state.facts.iter().filter(|f| f.rel == Rel::Eq).find_map(|f| {
        let m = f.term.monomials().iter().find(|m| m.atom.factors() == (v, None))?;
        let rest = Term::from_parts(0, [m]).and_then(|own| f.term.sub(&own)).ok()?;
        let multiple = m.coefficient.abs() == 1 && rest.gcd() > 1;
        multiple.then(|| rest.scale(-m.coefficient).ok()).flatten()
    });
    solved.unwrap_or_else(|| term.clone())
}

/// The result of putting theta into something guarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guarded<T> {
    /// A guard is false: nothing is there.
    Gone,
    /// It is, under the guards that stay undecided.
    There(T),
}

impl Theta {
    /// The word under theta.
    #[must_use]
    pub fn word(&self, w: &Word) -> Option<Word> {
        Some(match w {
            Word::Int(t) => Word::Int(self.term(t)?),
            Word::Ptr(Base::Name(x), o) if self.seeks(*x) => {
                let o = self.term(o)?;
                match self.get(*x)? {
                    Inst::Ptr(b, e) => Word::Ptr(*b, o.add(e).ok()?),
                    Inst::Small(e) | Inst::Int(e) => Word::Int(o.add(e).ok()?),
                    Inst::Word(w) => w.clone(),
                    Inst::Code(b) => Word::Ptr(*b, o),
                    Inst::Region(_) | Inst::Store(_) => return None,
                }
            }
            Word::Ptr(b, o) => Word::Ptr(*b, self.term(o)?),
            other => other.clone(),
        })
    }

    /// The memory type under theta.
    #[must_use]
    pub fn mem(&self, m: &Mem) -> Option<Mem> {
        Some(match m {
            Mem::Struct { fields, size } => {
                let fields = fields.iter().map(|f| self.field(f)).collect::<Option<_>>()?;
                Mem::Struct { fields, size: *size }
            }
            Mem::Array(n, m) => Mem::Array(self.term(n)?, Rc::new(self.mem(m)?)),
            Mem::Bytes(n) => Mem::Bytes(self.term(n)?),
            Mem::Junk(n) => Mem::Junk(self.term(n)?),
            Mem::Zero(n) => Mem::Zero(self.term(n)?),
            Mem::Cat(a, b) => Mem::Cat(Rc::new(self.mem(a)?), Rc::new(self.mem(b)?)),
            Mem::Ex { vars, facts, body } => {
                if self.space == Space::Bound {
                    // An inner `ex` rebinds: its variables are not ours (wf-ex: not nested
                    // directly, but behind pointers).
                    return Some(m.clone());
                }
                let facts = facts.iter().map(|f| self.fact(f)).collect::<Option<_>>()?;
                Mem::Ex { vars: *vars, facts, body: Rc::new(self.mem(body)?) }
            }
            Mem::Named(t, xs) => {
                Mem::Named(*t, xs.iter().map(|x| self.term(x)).collect::<Option<_>>()?)
            }
        })
    }

    fn field(&self, f: &Field) -> Option<Field> {
        Some(Field { offset: f.offset, writable: f.writable, ty: self.field_ty(&f.ty)? })
    }

    fn field_ty(&self, ty: &FieldTy) -> Option<FieldTy> {
        Some(match ty {
            FieldTy::Int { bits, signed, facts } => {
                let facts = facts.iter().map(|f| self.fact(f)).collect::<Option<_>>()?;
                FieldTy::Int { bits: *bits, signed: *signed, facts }
            }
            FieldTy::Known(w) => FieldTy::Known(self.word(w)?),
            FieldTy::Own { nullable, origin, mem } => {
                FieldTy::Own { nullable: *nullable, origin: *origin, mem: Rc::new(self.mem(mem)?) }
            }
            FieldTy::Ref { nullable, mode, mem } => {
                FieldTy::Ref { nullable: *nullable, mode: *mode, mem: Rc::new(self.mem(mem)?) }
            }
            FieldTy::Junk(n) => FieldTy::Junk(*n),
        })
    }

    /// One guard under theta: `Some(None)` true, `Some(Some(Gone))` false.
    fn guard(&self, st: &State, g: &Guard) -> Option<Guarded<Option<Guard>>> {
        let truth = |b: bool| if b { Guarded::There(None) } else { Guarded::Gone };
        Some(match g {
            // Only the rules for guards decide those on integers, constant or not.
            Guard::Range(t, a, b) => Guarded::There(Some(Guard::Range(self.term(t)?, *a, *b))),
            Guard::IsAddress(x) => match self.get(*x) {
                None if self.seeks(*x) => return None,
                None => undecided(st, *x, |s| s.is_address(), |s| s.address, g.clone()),
                Some(Inst::Ptr(Base::Name(y), _)) => {
                    let g = Guard::IsAddress(*y);
                    undecided(st, *y, |s| s.is_address(), |s| s.address, g)
                }
                Some(Inst::Ptr(..)) => truth(true),
                Some(_) => truth(false),
            },
            Guard::IsSmall(x, a, b) => {
                let only = |s: &NameSet| !s.address && s.small == [Some((*a, *b)), None];
                let has = |s: &NameSet| s.small.contains(&Some((*a, *b)));
                match self.get(*x) {
                    None if self.seeks(*x) => return None,
                    None => undecided(st, *x, only, has, g.clone()),
                    Some(Inst::Ptr(Base::Name(y), _)) => {
                        undecided(st, *y, only, has, Guard::IsSmall(*y, *a, *b))
                    }
                    Some(Inst::Small(e)) => truth(self.lies_in(st, *x, e, *a, *b)),
                    Some(_) => truth(false),
                }
            }
        })
    }

    /// Is this interval of the name's set the one that the integer lies in?
    fn lies_in(&self, st: &State, x: Var, e: &Term, a: i16, b: i16) -> bool {
        if let Some(c) = e.as_int() {
            return i128::from(a) <= c && c <= i128::from(b);
        }
        if let Some(Kind::Addr { set, .. }) = self.kind(x)
            && set.small == [Some((a, b)), None]
        {
            return true;
        }
        let low = e.plus(-i128::from(a));
        let high = Term::int(i64::from(b)).sub(e);
        [low, high]
            .into_iter()
            .all(|t| t.is_ok_and(|t| crate::prove::holds_in(st, &Fact { rel: Rel::Ge, term: t })))
    }

    fn guards(&self, st: &State, guards: &[Guard]) -> Option<Guarded<Vec<Guard>>> {
        let mut left = Vec::new();
        for g in guards {
            match self.guard(st, g)? {
                Guarded::Gone => return Some(Guarded::Gone),
                Guarded::There(None) => {}
                Guarded::There(Some(g)) => left.push(g),
            }
        }
        Some(Guarded::There(left))
    }

    /// The entry under theta; `None` when something is open or it would stand at no name.
    #[must_use]
    pub fn entry(&self, st: &State, e: &Entry) -> Option<Guarded<Entry>> {
        let guards = match self.guards(st, &e.guards)? {
            Guarded::Gone => return Some(Guarded::Gone),
            Guarded::There(g) => g,
        };
        let (base, offset) = self.place(Base::Name(e.name), &e.offset)?;
        let Base::Name(name) = base else { return None };
        let mem = Rc::new(self.mem(&e.mem)?);
        Some(Guarded::There(Entry { guards, name, offset, mem }))
    }

    /// Base and offset under theta.
    #[must_use]
    pub fn place(&self, base: Base, offset: &Term) -> Option<(Base, Term)> {
        let offset = self.term(offset)?;
        match base {
            Base::Name(x) if self.seeks(x) => match self.get(x)? {
                Inst::Ptr(b, o) => Some((*b, offset.add(o).ok()?)),
                _ => None,
            },
            other => Some((other, offset)),
        }
    }

    /// The region under theta.
    #[must_use]
    pub fn region(&self, r: Region) -> Option<Region> {
        match r {
            Region::Var(v) if self.seeks(v) => match self.get(v)? {
                Inst::Region(r) => Some(*r),
                _ => None,
            },
            other => Some(other),
        }
    }

    /// The view under theta with the region as found so far (`None` inside: open).
    #[must_use]
    pub fn view(&self, st: &State, v: &View) -> Option<Guarded<(Option<Region>, View)>> {
        let guards = match self.guards(st, &v.guards)? {
            Guarded::Gone => return Some(Guarded::Gone),
            Guarded::There(g) => g,
        };
        let (base, offset) = self.place(v.base, &v.offset)?;
        let mem = Rc::new(self.mem(&v.mem)?);
        let region = self.region(v.region);
        let view = View {
            guards,
            region: region.unwrap_or(Region::Always),
            mode: v.mode,
            base,
            offset,
            mem,
        };
        Some(Guarded::There((region, view)))
    }
}

fn undecided(
    st: &State,
    x: Var,
    yes: impl Fn(&NameSet) -> bool,
    maybe: impl Fn(&NameSet) -> bool,
    g: Guard,
) -> Guarded<Option<Guard>> {
    match name_set(st, x) {
        None => Guarded::There(None),
        Some(s) if yes(&s) => Guarded::There(None),
        Some(s) if !maybe(&s) => Guarded::Gone,
        Some(_) => Guarded::There(Some(g)),
    }
}

/// Reads theta off the registers and arguments of a pre-state or post-state.
pub fn unify_words(
    theta: &mut Theta,
    st: &State,
    a: &Assertion,
    arg: &dyn Fn(u16) -> Option<Word>,
) {
    // Plain names and integers first: `rdx = n` decides n before `rcx = 8*n + m`.
    for round in 0..2 {
        let simple = |w: &Word| match w {
            Word::Int(t) => t.as_var().is_some(),
            Word::Ptr(_, o) => o.as_int() == Some(0),
            _ => false,
        };
        for (r, w) in a.regs.iter() {
            if simple(w) == (round == 0) {
                theta.unify_word(st, w, st.reg(*r));
            }
        }
        for (k, w) in &a.args {
            if simple(w) == (round == 0)
                && let Some(actual) = arg(*k)
            {
                theta.unify_word(st, w, &actual);
            }
        }
    }
}

/// Reads lengths off the claims and the memory at the names found so far: entries, then views.
pub fn unify_memory(
    theta: &mut Theta,
    st: &State,
    views: &[View],
    caps: &[Cap],
    sizes: &dyn Sizes,
) {
    for i in 0..theta.kinds.len() {
        let Some(Kind::Addr { block: Some(block), .. }) = theta.kinds.get(i).cloned() else {
            continue;
        };
        if let Some(Some(Inst::Ptr(Base::Name(Var::Free(y)), _))) = theta.values.get(i)
            && let Some(s) = st.scope.get(usize::from(*y))
            && let Kind::Addr { block: Some(claim), .. } = &s.kind
            && claim.origin == block.origin
        {
            theta.unify(&block.extent, &claim.extent.clone());
        }
    }
    for cap in caps {
        let Cap::Entry(e) = cap else { continue };
        let Some((base, offset)) = theta.place(Base::Name(e.name), &e.offset) else { continue };
        unify_first(theta, &e.mem, at(st, base, &offset), sizes);
    }
    for v in views {
        let Some((base, offset)) = theta.place(v.base, &v.offset) else { continue };
        unify_first(theta, &v.mem, at(st, base, &offset), sizes);
    }
}

/// Reads variables off the first memory that fits, one of the same form rather than another.
fn unify_first(theta: &mut Theta, pattern: &Mem, mut found: Vec<Rc<Mem>>, sizes: &dyn Sizes) {
    let form = std::mem::discriminant(pattern);
    found.sort_by_key(|mem| std::mem::discriminant(&**mem) != form);
    for mem in found {
        let mut with = theta.clone();
        if with.unify_mem(pattern, &mem, sizes) {
            *theta = with;
            return;
        }
    }
}

/// The memory known at exactly this place, entries first, then views, then lent ones.
fn at(st: &State, base: Base, offset: &Term) -> Vec<Rc<Mem>> {
    let mut found = Vec::new();
    let mut lent = Vec::new();
    for cap in &st.caps {
        match cap {
            Cap::Entry(e) if Base::Name(e.name) == base && e.offset == *offset => {
                found.push(resolved(st, &e.mem));
            }
            Cap::Token(_, e) if Base::Name(e.name) == base && e.offset == *offset => {
                lent.push(resolved(st, &e.mem));
            }
            _ => {}
        }
    }
    for v in &st.views {
        if v.base == base && v.offset == *offset {
            found.push(resolved(st, &v.mem));
        }
    }
    found.extend(lent);
    found
}

/// The memory with the words of its fields read.
fn resolved(st: &State, mem: &Rc<Mem>) -> Rc<Mem> {
    let Mem::Struct { fields, size } = &**mem else { return mem.clone() };
    let number = |f: &Field| match &f.ty {
        FieldTy::Known(word) => Some(read(st, word)).filter(|number| number != word),
        _ => None,
    };
    if fields.iter().all(|f| number(f).is_none()) {
        return mem.clone();
    }
    let field = |f: &Field| match number(f) {
        Some(word) => Field { ty: FieldTy::Known(word), ..f.clone() },
        None => f.clone(),
    };
    Rc::new(Mem::Struct { fields: fields.iter().map(field).collect(), size: *size })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn v(i: u16) -> Term {
        Term::var(Var::Free(i))
    }

    #[test]
    fn variables_are_read_off_linear_terms() {
        // Pattern variables Free(2), Free(3); the state's own Free(0), Free(1) mean themselves.
        let mut theta = Theta::new(Space::Free(2), vec![Kind::INT, Kind::INT]);
        let pattern = v(2).scale(8).unwrap().add(&v(3)).unwrap();
        // Two open variables: kept for later.
        assert!(theta.unify(&pattern, &v(0).scale(8).unwrap().add(&v(1)).unwrap()));
        assert_eq!(theta.open(), Some(0));
        assert!(theta.unify(&v(3), &v(1)));
        assert_eq!(theta.terms(), Some(vec![v(0), v(1)]));
    }

    #[test]
    fn what_does_not_divide_stays_open() {
        let mut theta = Theta::new(Space::Free(2), vec![Kind::INT]);
        assert!(theta.unify(&v(2).scale(8).unwrap(), &v(0).scale(4).unwrap()));
        assert_eq!(theta.open(), Some(0));
        assert!(!theta.unify(&Term::int(1), &Term::int(2)));
    }

    #[test]
    fn witnesses_do_not_capture_the_state() {
        let mut theta = Theta::ints(Space::Bound, 1);
        let bound = Term::var(Var::Bound(0));
        assert!(theta.unify(&bound.scale(16).unwrap(), &v(0).scale(16).unwrap()));
        assert_eq!(theta.term(&bound.add(&v(0)).unwrap()), v(0).scale(2).ok());
    }

    #[test]
    fn exact_values_of_refinements() {
        let value = Term::var(Var::Value);
        let fact = Fact { rel: Rel::Eq, term: value.sub(&v(0)).unwrap().plus(1).unwrap() };
        assert_eq!(exact(&[fact]), v(0).plus(-1).ok());
        let ge = Fact { rel: Rel::Ge, term: value };
        assert_eq!(exact(&[ge]), None);
    }
}
