//! TCB. Memory access (core.md 4.7).
//!
//! An access is inside the bytes that an owned entry or a live view covers, by arithmetic over Z:
//! whatever registers hold modulo 2^64, the address is then the one that was reasoned about.

use crate::counted::Rc;
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Through};
use crate::judge::{Judge, Result, range_goals};
use crate::limits;
use crate::mem::{Subst, decided, exact, exactly, resolve, weight, width};
use crate::rules::entry::unguarded;
use crate::rules::guard::entry_mut;
use crate::rules::operand::reg_word;
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{
    Base, Block, Bounds, Cap, DataId, Entry, Fact, Field, FieldTy, Guard, Kind as Decl, Mem, Mode,
    NameSet, OriginId, Reg, Region, View, Word,
};
use alloc::{borrow::Cow, boxed::Box, vec::Vec};

/// Where an operand stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Stack slot by offset from the entry rsp.
    Slot(i64),
    /// Base plus term.
    Mem(Base, Term),
}

/// What an access goes through, with the memory's place and type.
enum Access {
    /// Position in C.
    Entry(u16),
    /// A usable view: how long, and what may be done.
    View(Region, Mode),
}

/// rule[shape]: the field that an access meets exactly.
struct Target<'m> {
    ty: Cow<'m, FieldTy>,
    /// May it be written through a view?
    writable: bool,
    /// Its number, if it stands at a constant offset in a struct that is not part of an array.
    strong: Option<usize>,
}

impl<H: Hints> Judge<'_, H> {
    /// rule[ea-form]: `base + index * scale + disp`, at most one of the words a pointer, unscaled.
    ///
    /// # Errors
    /// When a register holds something else, or the pointer may be no address.
    pub fn address(
        &mut self,
        st: &State,
        base: Option<Reg>,
        index: Option<(Reg, u8)>,
        disp: i64,
    ) -> Result<Address> {
        let rule = Rule::EaForm;
        let mut sum = Term::int(disp);
        let mut pointer = None;
        for (reg, scale) in base.map(|r| (r, 1)).into_iter().chain(index) {
            let word = resolve(st, reg_word(st, reg))?;
            let wrong = || Error::new(rule, Kind::WrongRegister(reg, Box::new(word.clone())));
            match &word {
                Word::Int(e) => sum = sum.add_scaled(e, i128::from(scale)).or_refuse(rule)?,
                Word::Ptr(Base::Name(_) | Base::Data(_), _) | Word::Frame(_)
                    if holds!(scale == 1) && holds!(pointer.is_none()) =>
                {
                    pointer = Some(word);
                }
                Word::Ptr(..)
                | Word::Frame(_)
                | Word::ReturnAddress
                | Word::Saved(_)
                | Word::Junk => return Err(wrong()),
            }
        }
        match pointer {
            None => {
                let (object, offset) = self.data_at(st, &sum)?;
                Ok(Address::Mem(Base::Data(object), offset))
            }
            Some(Word::Ptr(base, e)) => {
                if let Base::Name(x) = base {
                    premise!(decided(st, x), Error::new(rule, Kind::Undecided(x)));
                }
                Ok(Address::Mem(base, e.add(&sum).or_refuse(rule)?))
            }
            Some(Word::Frame(k)) => {
                let slot = sum.plus(i128::from(k)).or_refuse(rule)?.as_int();
                let slot = slot.and_then(|s| i64::try_from(s).ok());
                Ok(Address::Slot(slot.ok_or(Error::new(rule, Kind::WrongSlot(k)))?))
            }
            Some(word) => Err(Error::new(rule, Kind::WrongWord(Box::new(word)))),
        }
    }

    /// rule[ea-form], no pointer among the registers: the data object that the hint names and the
    /// offset in it. The bounds of the object are not checked here but where it is accessed.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn data_at(&mut self, st: &State, address: &Term) -> Result<(DataId, Term)> {
        let rule = Rule::EaForm;
        let id = self.hints.data(st, address)?;
        let object = self.image.data.get(usize::from(id.0)).or_refuse(rule)?;
        let offset = address.plus(i128::from(object.address).saturating_neg()).or_refuse(rule)?;
        Ok((id, offset))
    }

    /// rule[load-entry], rule[load-view], rule[load-slot].
    ///
    /// # Errors
    /// When nothing readable of exactly this width is there.
    pub fn load(&mut self, st: &mut State, at: &Address, bytes: u8) -> Result<Word> {
        let (base, e) = match at {
            Address::Slot(k) => return self.load_slot(st, *k, bytes),
            Address::Mem(base, e) => (*base, e),
        };
        let (access, position, mem) = self.access(st, base, e, bytes.into(), false)?;
        let target = self.shape(st, base, &mem, position, bytes)?;
        match access {
            Access::Entry(i) => self.load_entry(st, i, &target),
            Access::View(region, mode) => self.load_view(st, (region, mode), &target.ty),
        }
    }

    /// rule[store-strong], rule[store-weak], rule[store-slot].
    ///
    /// # Errors
    /// When the word may not be put there.
    pub fn store(&mut self, st: &mut State, at: &Address, bytes: u8, word: &Word) -> Result<()> {
        let (base, e) = match at {
            Address::Slot(k) => return self.store_slot(st, *k, bytes, word),
            Address::Mem(base, e) => (*base, e),
        };
        let word = resolve(st, word)?;
        let (access, position, mem) = self.access(st, base, e, bytes.into(), true)?;
        let target = self.shape(st, base, &mem, position, bytes)?;
        match (access, target.strong) {
            (Access::Entry(i), Some(field)) => {
                self.store_strong(st, (i, field), &target.ty, bytes, &word)
            }
            (Access::Entry(_), None) => self.store_weak(st, &target, bytes, &word),
            (Access::View(_, mode), _) => {
                premise!(mode == Mode::Rw, Error::new(Rule::StoreWeak, Kind::Capability));
                self.store_weak(st, &target, bytes, &word)
            }
        }
    }

    /// rule[access-entry], rule[access-view]: what the access goes through, the position in it,
    /// and its type.
    fn access(
        &mut self,
        st: &State,
        base: Base,
        e: &Term,
        bytes: u32,
        store: bool,
    ) -> Result<(Access, Term, Rc<Mem>)> {
        let through = self.hints.access(st, base, e, bytes, store)?;
        let (access, offset, mem) = self.reach(st, base, through)?;
        let position = e.sub(&offset).or_refuse(Rule::AccessEntry)?;
        Ok((access, position, mem))
    }

    /// What is named by the hint, if it stands at this base and may be used now.
    fn reach(&self, st: &State, base: Base, of: Through) -> Result<(Access, Term, Rc<Mem>)> {
        match of {
            Through::Entry(i) => {
                let rule = Rule::AccessEntry;
                let entry = unguarded(st, i, rule)?;
                premise!(base == Base::Name(entry.name), Error::new(rule, Kind::Capability));
                premise!(decided(st, entry.name), Error::new(rule, Kind::Capability));
                Ok((Access::Entry(i), entry.offset.clone(), entry.mem.clone()))
            }
            Through::View(_) | Through::Data(_) => {
                let rule = Rule::AccessView;
                let view = self.view_through(st, of, rule)?;
                let address = match view.base {
                    Base::Name(x) => decided(st, x),
                    Base::Data(_) => true,
                    Base::Code(_) => false,
                };
                premise!(base == view.base, Error::new(rule, Kind::Capability));
                premise!(address, Error::new(rule, Kind::Capability));
                premise!(view.guards.is_empty(), Error::new(rule, Kind::Capability));
                premise!(self.own.live(view.region, st), Error::new(rule, Kind::DeadRegion));
                let access = Access::View(view.region, view.mode);
                Ok((access, view.offset.clone(), view.mem.clone()))
            }
        }
    }

    /// rule[shape].
    fn shape<'m>(
        &mut self,
        st: &mut State,
        base: Base,
        mut mem: &'m Mem,
        mut position: Term,
        bytes: u8,
    ) -> Result<Target<'m>> {
        let rule = Rule::Shape;
        let mut strong = true;
        loop {
            self.burn(1)?;
            match mem {
                Mem::Struct { fields, .. } => {
                    self.burn(weight(fields))?;
                    let here = position.as_int();
                    let exactly = fields.iter().position(|f| {
                        holds!(here == Some(i128::from(f.offset)))
                            && holds!(width(&f.ty) == u32::from(bytes))
                    });
                    let none = || no_access(base, &position, bytes);
                    let index = exactly.ok_or_else(none)?;
                    let field = fields.get(index).or_refuse(rule)?;
                    let (ty, writable) = (Cow::Borrowed(&field.ty), field.writable);
                    return Ok(Target { ty, writable, strong: strong.then_some(index) });
                }
                Mem::Array(count, element) => {
                    position = self.element(st, &position, count, element, bytes)?;
                    mem = element;
                    strong = false;
                }
                Mem::Bytes(count) => {
                    premise!(self.prove_ge(st, &position, rule));
                    let end = position.plus(i128::from(bytes)).or_refuse(rule)?;
                    premise!(self.prove_ge(st, &count.sub(&end).or_refuse(rule)?, rule));
                    let bits = bytes.checked_mul(8).or_refuse(rule)?;
                    let ty = FieldTy::Int { bits, signed: false, facts: Vec::new() };
                    return Ok(Target { ty: Cow::Owned(ty), writable: true, strong: None });
                }
                Mem::Cat(..) | Mem::Junk(_) | Mem::Zero(_) | Mem::Ex { .. } | Mem::Named(..) => {
                    return Err(no_access(base, &position, bytes));
                }
            }
        }
    }

    /// rule[shape] of an array: `position = size * j + c` with j an index and the access inside the
    /// element. The equation is an identity, so the hint cannot choose another field (redteam A22).
    fn element(
        &mut self,
        st: &mut State,
        position: &Term,
        count: &Term,
        element: &Mem,
        bytes: u8,
    ) -> Result<Term> {
        let rule = Rule::Shape;
        let size = self.element_size(element)?;
        let (j, c) = self.hints.element(st, position, size, count, bytes.into())?;
        // Second to `*position == there` in `element`: a position is of integers in scope, and so
        // is what it is equal to.
        premise!(self.scoped(st, &j, rule));
        let within = Term::int(i64::from(c));
        let there = j.scale(i128::from(size)).and_then(|t| t.add(&within)).or_refuse(rule)?;
        let inside = c.checked_add(u32::from(bytes)).is_some_and(|end| end <= size);
        premise!(*position == there, Error::new(rule, Kind::BadHint));
        premise!(inside, Error::new(rule, Kind::BadHint));
        premise!(self.prove_ge(st, &j, rule));
        let last = count.sub(&j).and_then(|t| t.plus(-1)).or_refuse(rule)?;
        premise!(self.prove_ge(st, &last, rule));
        Ok(within)
    }

    /// rule[load-entry]. A load at a strong place names the content, and the field keeps the word.
    fn load_entry(&mut self, st: &mut State, entry: u16, target: &Target<'_>) -> Result<Word> {
        let rule = Rule::LoadEntry;
        match &*target.ty {
            FieldTy::Int { bits, signed, facts } => {
                let (e, fresh) = self.load_int(st, *bits, *signed, facts)?;
                if fresh && let Some(field) = target.strong {
                    let ty = match bits {
                        64 => FieldTy::Known(Word::Int(e.clone())),
                        _ => exactly(*bits, *signed, &e)?,
                    };
                    set_field(st, entry, field, ty, rule)?;
                }
                Ok(Word::Int(e))
            }
            FieldTy::Known(word) => resolve(st, word),
            FieldTy::Ref { nullable, mode, mem } => {
                let y = self.load_ref(st, *nullable, *mode, mem)?;
                let word = Word::Ptr(Base::Name(y), Term::ZERO);
                if let Some(field) = target.strong {
                    set_field(st, entry, field, FieldTy::Known(word.clone()), rule)?;
                }
                Ok(word)
            }
            FieldTy::Own { nullable, origin, mem } => {
                let field = target.strong.ok_or(Error::new(rule, Kind::Capability))?;
                let y = self.load_own(st, *nullable, *origin, mem)?;
                let word = Word::Ptr(Base::Name(y), Term::ZERO);
                set_field(st, entry, field, FieldTy::Known(word.clone()), rule)?;
                Ok(word)
            }
            FieldTy::Junk(_) => Err(Error::new(rule, Kind::WrongWord(Box::new(Word::Junk)))),
        }
    }

    /// rule[load-view]: nothing in the view changes; what it owns is lent on.
    fn load_view(
        &mut self,
        st: &mut State,
        (region, mode): (Region, Mode),
        ty: &FieldTy,
    ) -> Result<Word> {
        let rule = Rule::LoadView;
        match ty {
            FieldTy::Int { bits, signed, facts } => {
                Ok(Word::Int(self.load_int(st, *bits, *signed, facts)?.0))
            }
            FieldTy::Known(word) => resolve(st, word),
            FieldTy::Ref { nullable, mode: given, mem } => {
                let y = self.load_ref(st, *nullable, *given, mem)?;
                Ok(Word::Ptr(Base::Name(y), Term::ZERO))
            }
            FieldTy::Own { nullable, mem, .. } => {
                let y = self.content(st, *nullable, None)?;
                let part = pointee(y, *nullable, region, mode, mem);
                self.add_view(st, part)?;
                Ok(Word::Ptr(Base::Name(y), Term::ZERO))
            }
            FieldTy::Junk(_) => Err(Error::new(rule, Kind::WrongWord(Box::new(Word::Junk)))),
        }
    }

    /// The value of an integer field: the known one, or a fresh one (true). rule[range-facts]: what
    /// the type says of it may be kept, as the hints like.
    fn load_int(
        &mut self,
        st: &mut State,
        bits: u8,
        signed: bool,
        facts: &[Fact],
    ) -> Result<(Term, bool)> {
        let rule = Rule::RangeFacts;
        let known = exact(facts);
        let fresh = known.is_none();
        let (e, mut told) = match known {
            None => (self.fresh_within(st, Bounds::of_bits(bits, signed))?, Vec::new()),
            Some(e) => {
                let range = range_goals(&e, bits, signed).or_refuse(rule)?;
                (e, Vec::from(range))
            }
        };
        told.extend(self.subst_facts(facts, Subst::Value(&e))?);
        self.learn_told(st, told)?;
        Ok((e, fresh))
    }

    /// The content of a ref field: shared for ever.
    fn load_ref(
        &mut self,
        st: &mut State,
        nullable: bool,
        mode: Mode,
        mem: &Rc<Mem>,
    ) -> Result<Var> {
        let y = self.content(st, nullable, None)?;
        self.add_view(st, pointee(y, nullable, Region::Always, mode, mem))?;
        Ok(y)
    }

    /// The content of an own field enters C, once: the field is no own field any more.
    fn load_own(
        &mut self,
        st: &mut State,
        nullable: bool,
        origin: Option<OriginId>,
        mem: &Rc<Mem>,
    ) -> Result<Var> {
        let block = match origin {
            None => None,
            Some(origin) => Some(Block { origin, extent: self.size(mem)? }),
        };
        let y = self.content(st, nullable, block)?;
        let guards = guard_of(y, nullable);
        let entry = Entry { guards, name: y, offset: Term::ZERO, mem: mem.clone() };
        self.add_cap(st, Cap::Entry(entry))?;
        Ok(y)
    }

    /// A name for what a pointer field holds.
    fn content(&mut self, st: &mut State, nullable: bool, block: Option<Block>) -> Result<Var> {
        let set = if nullable { NameSet::NULLABLE } else { NameSet::ADDRESS };
        self.fresh(st, Decl::Addr { set, block })
    }

    /// rule[store-strong]: the owner may change the type of a field, if nothing is lost by it.
    fn store_strong(
        &mut self,
        st: &mut State,
        (entry, field): (u16, usize),
        old: &FieldTy,
        bytes: u8,
        word: &Word,
    ) -> Result<()> {
        let rule = Rule::StoreStrong;
        premise!(!matches!(old, FieldTy::Own { .. }), Error::new(rule, Kind::Capability));
        let ty = match (bytes, word) {
            (8, Word::Int(_) | Word::Ptr(..)) => FieldTy::Known(word.clone()),
            (1 | 2 | 4, Word::Int(e)) => {
                let bits = bytes.checked_mul(8).or_refuse(rule)?;
                exactly(bits, false, &self.in_range(st, e, bits, false)?)?
            }
            // Local words never enter memory (redteam U16), nor do parts of pointers.
            _ => return Err(Error::new(rule, Kind::WrongWord(Box::new(word.clone())))),
        };
        set_field(st, entry, field, ty, rule)
    }

    /// rule[store-weak]: others rely on the type, so the word must have it.
    fn store_weak(
        &mut self,
        st: &mut State,
        target: &Target<'_>,
        bytes: u8,
        word: &Word,
    ) -> Result<()> {
        let rule = Rule::StoreWeak;
        let refuse = || Error::new(rule, Kind::Capability);
        premise!(target.writable, refuse());
        premise!(!matches!(*target.ty, FieldTy::Own { .. } | FieldTy::Junk(_)), refuse());
        match (bytes, word, &*target.ty) {
            (8, Word::Int(_) | Word::Ptr(..), ty) => {
                premise!(self.has_type(st, word, ty));
                Ok(())
            }
            (1 | 2 | 4, Word::Int(e), FieldTy::Int { bits, signed, facts }) => {
                let e = self.in_range(st, e, *bits, *signed)?;
                for fact in facts {
                    let goal = self.subst_fact(fact, Subst::Value(&e))?;
                    premise!(self.prove(st, &goal, rule));
                }
                Ok(())
            }
            _ => refuse!(Error::new(rule, Kind::WrongWord(Box::new(word.clone())))),
        }
    }

    /// The range `e .. e + bytes` through a view or entry whose type is plain: for the string rows.
    /// Says what it goes through.
    pub(super) fn plain_range(
        &mut self,
        st: &mut State,
        (base, e): (Base, &Term),
        bytes: &Term,
        rule: Rule,
    ) -> Result<()> {
        let (_, position, mem) = self.access(st, base, e, 1, false)?;
        premise!(self.plain(&mem)?, Error::new(rule, Kind::Capability));
        premise!(self.inside(st, &mem, &position, bytes, rule));
        Ok(())
    }

    /// The range is where a string row writes. `becomes`: what an entry that is exactly this range
    /// is from now on, if it may change.
    pub(super) fn written_range(
        &mut self,
        st: &mut State,
        (base, e): (Base, &Term),
        bytes: &Term,
        becomes: Mem,
        rule: Rule,
    ) -> Result<()> {
        let (access, position, mem) = self.access(st, base, e, 1, true)?;
        let uninitialised = matches!(*mem, Mem::Junk(_));
        let refuse = || Error::new(rule, Kind::Capability);
        premise!(uninitialised || self.plain_writable(&mem)?, refuse());
        match access {
            Access::View(_, mode) => {
                premise!(!uninitialised, refuse());
                premise!(mode == Mode::Rw, refuse());
                premise!(self.inside(st, &mem, &position, bytes, rule));
                Ok(())
            }
            Access::Entry(entry) => {
                let rest = self.size(&mem)?.sub(bytes).or_refuse(rule)?;
                let whole = [equal(position.clone()), equal(rest)];
                let zeroed = matches!(becomes, Mem::Zero(_));
                if uninitialised {
                    premise!(whole.iter().try_for_each(|goal| self.prove(st, goal, rule)));
                } else if !zeroed || !self.wanted(st, &whole, rule)? {
                    premise!(self.inside(st, &mem, &position, bytes, rule));
                    return Ok(());
                }
                entry_mut(st, entry, rule)?.mem = Rc::new(becomes);
                Ok(())
            }
        }
    }

    /// `0 <= position` and `position + bytes <= size(mem)`.
    fn inside(
        &mut self,
        st: &mut State,
        mem: &Mem,
        position: &Term,
        bytes: &Term,
        rule: Rule,
    ) -> Result<()> {
        premise!(self.prove_ge(st, position, rule));
        let rest = self.size(mem)?.sub(position).and_then(|t| t.sub(bytes)).or_refuse(rule)?;
        premise!(self.prove_ge(st, &rest, rule));
        Ok(())
    }
}

fn no_access(base: Base, position: &Term, bytes: u8) -> Error {
    Error::new(Rule::Shape, Kind::NoAccess(base, Box::new(position.clone()), bytes.into()))
}

fn equal(term: Term) -> Fact {
    Fact { rel: crate::ty::Rel::Eq, term }
}

/// `y in A`, where y may be null.
fn guard_of(y: Var, nullable: bool) -> Vec<Guard> {
    if nullable { [Guard::IsAddress(y)].into() } else { Vec::new() }
}

/// The view of what a pointer field points to.
fn pointee(y: Var, nullable: bool, region: Region, mode: Mode, mem: &Rc<Mem>) -> View {
    View {
        guards: guard_of(y, nullable),
        region,
        mode,
        base: Base::Name(y),
        offset: Term::ZERO,
        mem: mem.clone(),
    }
}

/// The type of one field of an owned struct.
fn set_field(st: &mut State, entry: u16, field: usize, ty: FieldTy, rule: Rule) -> Result<()> {
    let entry = entry_mut(st, entry, rule)?;
    let Mem::Struct { fields, size } = &*entry.mem else {
        return Err(Error::new(rule, Kind::BadHint));
    };
    entry.mem = Rc::new(Mem::Struct { fields: with_field(fields, field, ty, rule)?, size: *size });
    Ok(())
}

/// The fields with this one changed; refused when they become more than a type may have.
pub(super) fn with_field(
    fields: &[Field],
    field: usize,
    ty: FieldTy,
    rule: Rule,
) -> Result<Vec<Field>> {
    let mut fields = fields.to_vec();
    fields.get_mut(field).or_refuse(rule)?.ty = ty;
    if weight(&fields) > limits::NODES {
        return Err(Error::new(Rule::Limit, Kind::Limit));
    }
    Ok(fields)
}
