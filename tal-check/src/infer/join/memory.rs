//! Not trusted: a bug here can reject, never admit. What two states own in common.
//!
//! Memory by its parts, entries by their names, and what only one side has: as null on the other.

use super::*;

impl Join<'_> {
    pub(super) fn mem(&mut self, left: &Mem, right: &Mem) -> Option<Mem> {
        Some(match (left, right) {
            (Mem::Struct { fields: a, size: n }, Mem::Struct { fields: b, size: m })
                if n == m && a.len() == b.len() =>
            {
                let fields = a.iter().zip(b).map(|(a, b)| self.field(a, b));
                Mem::Struct { fields: fields.collect::<Option<_>>()?, size: *n }
            }
            (Mem::Array(n, a), Mem::Array(m, b)) => {
                let element = self.mem(a, b)?;
                Mem::Array(self.term(n, m)?, Rc::new(element))
            }
            (Mem::Bytes(n), Mem::Bytes(m)) => Mem::Bytes(self.term(n, m)?),
            (Mem::Junk(n), Mem::Junk(m)) => Mem::Junk(self.term(n, m)?),
            (Mem::Zero(n), Mem::Zero(m)) => Mem::Zero(self.term(n, m)?),
            (Mem::Cat(a, b), Mem::Cat(c, d)) => {
                let first = self.mem(a, c)?;
                Mem::Cat(Rc::new(first), Rc::new(self.mem(b, d)?))
            }
            (Mem::Named(a, p), Mem::Named(b, q)) if a == b && p.len() == q.len() => {
                let args = p.iter().zip(q).map(|(p, q)| self.term(p, q));
                Mem::Named(*a, args.collect::<Option<_>>()?)
            }
            // Packages of the same text; their free variables must be the function's.
            (Mem::Ex { facts, .. }, Mem::Ex { .. }) if left == right => {
                let fixed = facts.iter().all(|f| self.all_fixed(&f.term));
                if !fixed {
                    return None;
                }
                left.clone()
            }
            _ => return None,
        })
    }

    fn field(&mut self, left: &Field, right: &Field) -> Option<Field> {
        if left.offset != right.offset || left.writable != right.writable {
            return None;
        }
        let ty = match (&left.ty, &right.ty) {
            (FieldTy::Known(a), FieldTy::Known(b)) => match self.word(a, b) {
                Word::Junk => return None,
                word => FieldTy::Known(word),
            },
            (
                FieldTy::Int { bits, signed, facts: a },
                FieldTy::Int { bits: m, signed: s, facts: b },
            ) if bits == m && signed == s && a.len() == b.len() => {
                let mut facts = Vec::new();
                for (a, b) in a.iter().zip(b) {
                    let term = self.term(&a.term, &b.term)?;
                    if a.rel != b.rel {
                        return None;
                    }
                    facts.push(tal_core::ty::Fact { rel: a.rel, term });
                }
                FieldTy::Int { bits: *bits, signed: *signed, facts }
            }
            (
                FieldTy::Own { nullable, origin, mem: a },
                FieldTy::Own { nullable: n, origin: o, mem: b },
            ) if nullable == n && origin == o => {
                FieldTy::Own { nullable: *nullable, origin: *origin, mem: Rc::new(self.mem(a, b)?) }
            }
            (
                FieldTy::Ref { nullable, mode, mem: a },
                FieldTy::Ref { nullable: n, mode: o, mem: b },
            ) if nullable == n && mode == o => {
                FieldTy::Ref { nullable: *nullable, mode: *mode, mem: Rc::new(self.mem(a, b)?) }
            }
            (FieldTy::Junk(n), FieldTy::Junk(m)) if n == m => FieldTy::Junk(*n),
            _ => return None,
        };
        Some(Field { offset: left.offset, writable: left.writable, ty })
    }

    pub(super) fn guards(&mut self, left: &[Guard], right: &[Guard]) -> Option<Vec<Guard>> {
        if left.len() != right.len() {
            return None;
        }
        let pairs = left.iter().zip(right);
        pairs
            .map(|pair| match pair {
                (Guard::IsAddress(a), Guard::IsAddress(b)) => {
                    Some(Guard::IsAddress(self.var_name(*a, *b)?))
                }
                (Guard::IsSmall(a, l, h), Guard::IsSmall(b, m, i)) if (l, h) == (m, i) => {
                    Some(Guard::IsSmall(self.var_name(*a, *b)?, *l, *h))
                }
                (Guard::Range(a, l, h), Guard::Range(b, m, i)) if (l, h) == (m, i) => {
                    Some(Guard::Range(self.term(a, b)?, *l, *h))
                }
                _ => None,
            })
            .collect()
    }

    /// May the name be something else than an address?
    pub(super) fn undecided(&self, name: Var) -> bool {
        let Var::Free(i) = name else { return true };
        let Some(at) = usize::from(i).checked_sub(self.fixed) else { return true };
        match self.keys.get(at).map(|k| &k.kind) {
            Some(Kind::Addr { set, .. }) => !set.is_address(),
            _ => true,
        }
    }

    fn entry(&mut self, left: &Entry, right: &Entry) -> Option<Entry> {
        // What is there for certain on one side may be null on the other.
        let (l, one) = without(&left.guards, left.name);
        let (r, other) = without(&right.guards, right.name);
        let mut guards = match (l.as_slice(), r.as_slice()) {
            ([guard], []) => vec![self.outcome_of(guard, true)?],
            ([], [guard]) => vec![self.outcome_of(guard, false)?],
            _ => self.guards(&l, &r)?,
        };
        let name = self.var_name(left.name, right.name)?;
        if (one || other) && self.undecided(name) {
            guards.push(Guard::IsAddress(name));
        }
        let offset = self.term(&left.offset, &right.offset)?;
        let mem = Rc::new(self.mem(&left.mem, &right.mem)?);
        Some(Entry { guards, name, offset, mem })
    }

    fn cap(&mut self, left: &Cap, right: &Cap) -> Option<Cap> {
        let before = self.keys.clone();
        let common = match (left, right) {
            (Cap::Entry(a), Cap::Entry(b)) => self.entry(a, b).map(Cap::Entry),
            (Cap::Token(r, a), Cap::Token(s, b)) => {
                match self.region(Region::Var(*r), Region::Var(*s)) {
                    Some(Region::Var(v)) => self.entry(a, b).map(|e| Cap::Token(v, e)),
                    _ => None,
                }
            }
            (Cap::Store(a), Cap::Store(b)) if a == b && self.is_fixed(*a) => Some(left.clone()),
            _ => None,
        };
        if common.is_none() {
            self.keys = before;
        }
        common
    }

    pub(super) fn lent(&mut self) -> Result<Vec<Lent>, Mismatch> {
        let (left, right) = (&self.left.stack.lent, &self.right.stack.lent);
        let same = |a: &Lent, b: &Lent| (a.offset, a.size) == (b.offset, b.size);
        if let Some(alone) = right.iter().find(|b| !left.iter().any(|a| same(a, b))) {
            return Err(Mismatch::Lent(false, *alone));
        }
        left.iter()
            .map(|a| {
                let alone = Mismatch::Lent(true, *a);
                let Some(b) = right.iter().find(|b| same(a, b)) else { return Err(alone) };
                let name = self.var_name(a.name, b.name).ok_or(alone)?;
                Ok(Lent { name, ..*a })
            })
            .collect()
    }

    /// What both sides own. A name of the function is itself on both sides, but if that leads
    /// nowhere, it is what a register pairs it with: a list is walked from its first node on.
    pub(super) fn caps(&mut self) -> Result<Vec<Cap>, Mismatch> {
        let before = self.keys.len();
        let itself = self.caps_paired(false);
        let walks = |key: &Key| match (&key.left, &key.right) {
            (Value::Name(Base::Name(a)), Value::Name(Base::Name(b))) => {
                a != b && (self.is_fixed(*a) || self.is_fixed(*b))
            }
            _ => false,
        };
        // A variable more is what no register holds.
        let found = itself.is_ok() && self.keys.len() == before;
        if found || !self.keys[..before].iter().any(walks) {
            return itself;
        }
        let keys = self.keys.split_off(before);
        let walked = self.caps_paired(true);
        let fewer = self.keys.len() - before < keys.len();
        if walked.is_ok() && (fewer || itself.is_err()) {
            return walked;
        }
        self.keys.truncate(before);
        self.keys.extend(keys);
        itself
    }

    /// Pairs what is owned: first by names that are paired already, then by shape, last what exists
    /// on one side only because on the other the name is no address.
    fn caps_paired(&mut self, walked: bool) -> Result<Vec<Cap>, Mismatch> {
        let (left, right) = (&self.left.caps, &self.right.caps);
        let mut partner: Vec<Option<Cap>> = vec![None; left.len()];
        let mut taken = vec![false; right.len()];
        for by_name in [true, false] {
            let mut progress = true;
            while progress {
                progress = false;
                for (i, a) in left.iter().enumerate() {
                    if partner[i].is_some() || (!by_name && self.pairs_with_null(a, true)) {
                        continue;
                    }
                    // Those first whose names were paired first: in a register, not in memory.
                    let mut open: Vec<(usize, usize)> = right
                        .iter()
                        .enumerate()
                        .filter(|(j, b)| !taken[*j] && (by_name || !self.pairs_with_null(b, false)))
                        .filter_map(|(j, b)| {
                            let rank = if by_name { self.paired(a, b, walked)? } else { 0 };
                            Some((rank, j))
                        })
                        .collect();
                    open.sort_unstable();
                    let found = open
                        .into_iter()
                        .find_map(|(_, j)| self.cap(a, right.get(j)?).map(|c| (j, c)));
                    if let Some((j, common)) = found {
                        partner[i] = Some(common);
                        taken[j] = true;
                        progress = true;
                    }
                }
            }
        }
        let mut caps = Vec::new();
        for (cap, partner) in left.iter().zip(partner) {
            match partner {
                Some(common) => caps.push(common),
                None => caps.extend(self.alone(cap, true)?),
            }
        }
        for (cap, _) in right.iter().zip(taken).filter(|(_, taken)| !taken) {
            caps.extend(self.alone(cap, false)?);
        }
        Ok(caps)
    }

    /// What a capability without a partner becomes: nothing, at a dead end.
    fn alone(&mut self, cap: &Cap, left: bool) -> Result<Option<Cap>, Mismatch> {
        match self.one_sided(cap, left).or_else(|| self.outcome(cap, left)) {
            None if self.alone != Alone::Lost || !matches!(cap, Cap::Entry(_)) => {
                Err(Mismatch::Capability(Box::new(self.unmatched(cap, left))))
            }
            common => Ok(common),
        }
    }

    fn unmatched(&mut self, cap: &Cap, left: bool) -> Unmatched {
        let partner = match cap {
            Cap::Entry(entry) => self.partner(entry, left).cloned(),
            _ => None,
        };
        let mut fixed = |cap: Option<&Cap>| match cap {
            Some(Cap::Entry(entry) | Cap::Token(_, entry)) => {
                self.all_fixed(&entry.offset) && self.mem_alone(&entry.mem).is_some()
            }
            _ => false,
        };
        let fixed = (fixed(Some(cap)), fixed(partner.as_ref()));
        Unmatched { left, cap: cap.clone(), partner, fixed }
    }

    /// What is there for certain at the name that this entry's is paired with, be it lent.
    fn partner(&self, entry: &Entry, left: bool) -> Option<&Cap> {
        let me = Value::Name(Base::Name(entry.name));
        let open = self.keys.iter().filter(|k| !k.closed);
        let paired = open.into_iter().find_map(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            match other {
                Value::Name(Base::Name(other)) if *mine == me => Some(*other),
                _ => None,
            }
        });
        let itself = self.is_fixed(entry.name).then_some(entry.name);
        let name = paired.or(itself)?;
        let caps = if left { &self.right.caps } else { &self.left.caps };
        caps.iter().find(|c| match c {
            Cap::Entry(e) => e.name == name && e.guards.is_empty(),
            Cap::Token(_, e) => e.name == name,
            Cap::Store(_) => false,
        })
    }

    /// The place of the pair of names of two entries that belong together by what is known so far.
    fn paired(&self, left: &Cap, right: &Cap, walked: bool) -> Option<usize> {
        let (a, b) = match (left, right) {
            (Cap::Entry(a), Cap::Entry(b)) | (Cap::Token(_, a), Cap::Token(_, b)) => {
                (a.name, b.name)
            }
            (Cap::Store(_), Cap::Store(_)) => return Some(0),
            _ => return None,
        };
        let itself = a == b && self.is_fixed(a);
        if itself && !walked {
            return Some(0);
        }
        let pair =
            |k: &Key| k.left == Value::Name(Base::Name(a)) && k.right == Value::Name(Base::Name(b));
        self.find(pair).or_else(|| itself.then_some(usize::MAX))
    }

    /// Is the name of the entry one that is a small integer on the other side?
    fn pairs_with_null(&self, cap: &Cap, left: bool) -> bool {
        let Cap::Entry(entry) = cap else { return false };
        self.beside_small(Base::Name(entry.name), left).is_some()
    }

    /// The variable that is this address on one side and a small integer on the other.
    pub(super) fn beside_small(&self, base: Base, left: bool) -> Option<usize> {
        let me = Value::Name(base);
        self.find(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            *mine == me && matches!(other, Value::Small(_))
        })
    }

    /// An entry that exists on one side; on the other its name is a small integer.
    fn one_sided(&mut self, cap: &Cap, left: bool) -> Option<Cap> {
        let Cap::Entry(entry) = cap else { return None };
        let name = self.used(self.beside_small(Base::Name(entry.name), left)?);
        if self.alone == Alone::Named && holds_values(&entry.mem) {
            return None;
        }
        let mem = self.mem_alone(&entry.mem)?;
        let offset =
            if self.all_fixed(&entry.offset) { entry.offset.clone() } else { return None };
        let mut guards: Vec<Guard> = Vec::new();
        for guard in &entry.guards {
            guards.push(match guard {
                Guard::IsAddress(v) if *v == entry.name => continue,
                Guard::Range(term, ..) if self.all_fixed(term) => guard.clone(),
                _ => return None,
            });
        }
        guards.push(Guard::IsAddress(name));
        Some(Cap::Entry(Entry { guards, name, offset, mem: Rc::new(mem) }))
    }

    /// The guard on a result of one side, if the result is within it on the other.
    fn outcome_of(&self, guard: &Guard, left: bool) -> Option<Guard> {
        let Guard::Range(term, low, high) = guard else { return None };
        let theirs = if left { self.right } else { self.left };
        let at = self.find(|k| {
            let (mine, other) = if left { (&k.left, &k.right) } else { (&k.right, &k.left) };
            let (Value::Int(mine), Value::Int(other)) = (mine, other) else { return false };
            mine == term && lies_within(theirs, other, (*low, *high))
        })?;
        Some(Guard::Range(Term::var(self.used(at)), *low, *high))
    }

    /// An entry that exists on one side, for one outcome of the function; a number that tells which
    /// it is has another value on the other.
    fn outcome(&mut self, cap: &Cap, left: bool) -> Option<Cap> {
        let Cap::Entry(entry) = cap else { return None };
        let (mine, theirs) = if left { (self.left, self.right) } else { (self.right, self.left) };
        let tells = |key: &Key, (name, low, high): &Outcome| {
            let (a, b) = if left { (&key.left, &key.right) } else { (&key.right, &key.left) };
            let (Value::Int(a), Value::Int(b)) = (a, b) else { return false };
            let holds = match entry.guards.as_slice() {
                [] => lies_within(mine, a, (*low, *high)),
                [Guard::Range(term, l, h)] => term == a && (l, h) == (low, high),
                _ => false,
            };
            let fails =
                || range(theirs, b).is_some_and(|(l, h)| h < (*low).into() || l > (*high).into());
            *name == entry.name && holds && fails()
        };
        let (at, (_, low, high)) = self
            .outcomes
            .iter()
            .find_map(|outcome| Some((self.find(|key| tells(key, outcome))?, *outcome)))?;
        let guards = vec![Guard::Range(Term::var(self.used(at)), low, high)];
        let mem = Rc::new(self.mem_alone(&entry.mem)?);
        let fixed = self.is_fixed(entry.name) && self.all_fixed(&entry.offset);
        fixed.then(|| Cap::Entry(Entry { guards, mem, ..entry.clone() }))
    }

    pub(super) fn mem_alone(&mut self, mem: &Mem) -> Option<Mem> {
        let before = self.keys.len();
        let same = self.mem(mem, mem)?;
        // A variable would have no value on the other side.
        if self.keys.len() == before {
            return Some(same);
        }
        self.keys.truncate(before);
        None
    }
}
