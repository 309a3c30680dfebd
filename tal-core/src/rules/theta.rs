//! TCB. Values for the variables of a signature or label: their kinds, sets and claims (the first
//! premises of rule[apply] and rule[entail]).

use crate::counted::Rc;
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Hints, Inst, Room, Through};
use crate::image::DataKind;
use crate::judge::{Judge, Result, is_int};
use crate::mem::{Subst, Value, scope_of};
use crate::state::{Scope, State};
use crate::term::Term;
use crate::ty::{Base, Cap, DataId, Fact, Kind, NameSet, Region, Rel, Sig, Word};
use alloc::vec::Vec;

const RULE: Rule = Rule::Apply;

fn refusal() -> Error {
    Error::new(RULE, Evidence::BadHint)
}

fn refused<T>() -> Result<T> {
    Err(refusal())
}

impl<H: Hints> Judge<'_, H> {
    /// What the hints say, each value of its variable's kind and about things that exist here.
    /// `live`: regions must be live (rule[apply]), capabilities may be handed over as a set. An
    /// integer outside of its bounds is a refusal of the `rule` that asks.
    /// What needs theta as a whole is left to [`Judge::claims`].
    pub(crate) fn values(
        &mut self,
        state: &mut State,
        kinds: &[Kind],
        mut insts: Vec<Inst>,
        live: bool,
        rule: Rule,
    ) -> Result<Vec<Value>> {
        premise!(kinds.len() == insts.len(), refusal());
        self.burn(insts.len())?;
        let mut values = core::mem::take(&mut self.spare);
        for (kind, inst) in kinds.iter().zip(insts.drain(..)) {
            values.push(match (kind, inst) {
                (Kind::Int(bounds), Inst::Int(term)) => {
                    let term = known(state, term)?;
                    premise!(self.prove_within(state, &term, *bounds, rule));
                    Value::Int(term)
                }
                (Kind::Addr { set, .. }, Inst::Ptr(base, offset)) => {
                    self.address_value(state, *set, base, known(state, offset)?)?
                }
                (Kind::Addr { set, .. }, Inst::Small(term)) => {
                    let term = known(state, term)?;
                    let (low, high) = self.interval(state, *set, &term)?;
                    Value::Small(term, low, high)
                }
                (Kind::Word, Inst::Word(word)) => Value::Word(self.outward(state, word)?),
                (Kind::Code(_), Inst::Code(base)) => Value::Code(base),
                (Kind::Region, Inst::Region(region)) => {
                    Value::Region(self.region_value(state, region, live)?)
                }
                (Kind::Store, Inst::Store(positions)) if live => {
                    Value::Store(entries(state, &positions)?)
                }
                _ => return refused(),
            });
        }
        self.hints.spare(Room::Values(insts));
        Ok(values)
    }

    /// The values are not needed any more; the next take their room.
    pub(crate) fn spare(&mut self, mut values: Vec<Value>) {
        values.clear();
        self.spare = values;
    }

    /// An address target: a name of our own, not an integer by now; undecided only as it is, and
    /// then it may be no more than the variable may.
    fn address_value(
        &mut self,
        state: &State,
        set: NameSet,
        base: Base,
        offset: Term,
    ) -> Result<Value> {
        match base {
            Base::Name(name) => {
                let Some(Scope { kind: Kind::Addr { .. }, set: have, is: None, .. }) =
                    scope_of(state, name)
                else {
                    return refused();
                };
                if !have.is_address() {
                    let undecided = || Error::new(RULE, Evidence::Undecided(name));
                    premise!(offset.as_int() == Some(0), undecided());
                    premise!(within(*have, set), undecided());
                }
            }
            Base::Data(id) => {
                self.object_size(id)?;
            }
            Base::Code(_) => return refused(),
        }
        Ok(Value::Addr(base, offset))
    }

    /// Bytes of a data object that has a view.
    fn object_size(&self, id: DataId) -> Result<u32> {
        match self.image.data.get(usize::from(id.0)) {
            Some(data) if holds!(matches!(data.kind, DataKind::Object { .. })) => Ok(data.size),
            _ => refused(),
        }
    }

    /// The interval of the set in which the integer provably lies. Of two the hints say which.
    fn interval(&mut self, state: &mut State, set: NameSet, term: &Term) -> Result<(i16, i16)> {
        let goals = |(low, high): (i16, i16)| -> Result<[Fact; 2]> {
            let above = term.plus(i128::from(low).saturating_neg()).or_refuse(RULE)?;
            let below = Term::int(i64::from(high)).sub(term).or_refuse(RULE)?;
            Ok([Fact { rel: Rel::Ge, term: above }, Fact { rel: Rel::Ge, term: below }])
        };
        let only = match set.small {
            [Some(first), Some(second)] => {
                if self.wanted(state, &goals(first)?, RULE)? {
                    return Ok(first);
                }
                second
            }
            [Some(only), None] => only,
            [None, _] => return refused(),
        };
        for goal in goals(only)? {
            premise!(self.prove(state, &goal, RULE));
        }
        Ok(only)
    }

    /// A word that may leave the frame: public, or a pointer from something that exists (U16).
    fn outward(&mut self, state: &State, word: Word) -> Result<Word> {
        match word {
            Word::Int(term) => Ok(Word::Int(known(state, term)?)),
            Word::Ptr(base, offset) => {
                let exists = match base {
                    Base::Name(name) => scope_of(state, name).is_some_and(|s| {
                        let kind = matches!(s.kind, Kind::Addr { .. } | Kind::Code(_) | Kind::Word);
                        holds!(s.is.is_none()) && holds!(kind)
                    }),
                    Base::Data(id) => holds!(usize::from(id.0) < self.image.data.len()),
                    Base::Code(f) => holds!(self.function_sig(f).is_ok()),
                };
                premise!(exists, refusal());
                Ok(Word::Ptr(base, known(state, offset)?))
            }
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => {
                Err(Error::new(RULE, Evidence::WrongWord(word.into())))
            }
        }
    }

    fn region_value(&mut self, state: &State, region: Region, live: bool) -> Result<Region> {
        if let Region::Var(rho) = region {
            let declared = scope_of(state, rho).is_some_and(|s| s.kind == Kind::Region);
            premise!(declared, refusal());
        }
        if live {
            premise!(self.own.live(region, state), Error::new(RULE, Evidence::DeadRegion));
        }
        Ok(region)
    }

    /// What needs all of theta: claims about blocks, pieces of memory as locations, code. `from`:
    /// an entry of the image may be used as code at another signature (rule[apply]); without it the
    /// signatures must be identical (rule[entail]).
    pub(crate) fn claims(
        &mut self,
        state: &mut State,
        kinds: &[Kind],
        values: &[Value],
        subst: Subst<'_>,
        from: Option<u32>,
    ) -> Result<()> {
        for (kind, value) in kinds.iter().zip(values) {
            match (kind, value) {
                (Kind::Addr { block: Some(_), .. }, Value::Addr(base, offset)) => {
                    let claim = self.subst_kind(kind, subst)?;
                    premise!(self.block_claim(state, &claim, *base, offset));
                }
                (Kind::Addr { block: None, .. }, Value::Addr(base, offset)) => {
                    premise!(self.piece(state, *base, offset));
                }
                (Kind::Code(_), Value::Code(base)) => {
                    let Kind::Code(sigma) = self.subst_kind(kind, subst)? else {
                        return refused();
                    };
                    premise!(self.code_value(state, *base, &sigma, from));
                }
                // A claim speaks of addresses only; the rest was checked by kind.
                (Kind::Addr { .. }, Value::Small(..))
                | (Kind::Int(_), Value::Int(_))
                | (Kind::Word, Value::Word(_))
                | (Kind::Region, Value::Region(_))
                | (Kind::Store, Value::Store(_)) => {}
                _ => return refuse!(refusal()),
            }
        }
        Ok(())
    }

    /// The name itself carries the same claim, extents identical or proved equal.
    fn block_claim(
        &mut self,
        state: &mut State,
        claim: &Kind,
        base: Base,
        offset: &Term,
    ) -> Result<()> {
        let Kind::Addr { block: Some(claim), .. } = claim else { return refused() };
        let Base::Name(name) = base else { return refused() };
        let Some(Scope { kind: Kind::Addr { block: Some(have), .. }, .. }) = scope_of(state, name)
        else {
            return refused();
        };
        premise!(offset.as_int() == Some(0), refusal());
        premise!(have.origin == claim.origin, refusal());
        let difference = have.extent.sub(&claim.extent).or_refuse(RULE)?;
        premise!(self.prove_eq(state, &difference, RULE));
        Ok(())
    }

    /// A location that is a part: it lies, ends included, inside memory that we own or may use.
    fn piece(&mut self, state: &mut State, base: Base, offset: &Term) -> Result<()> {
        if offset.as_int() == Some(0) {
            return Ok(());
        }
        let (start, end) = match self.hints.access(state, base, offset, 0, false)? {
            Through::Entry(i) => match state.caps.get(usize::from(i)) {
                Some(Cap::Entry(e)) => {
                    premise!(e.guards.is_empty(), refusal());
                    premise!(Base::Name(e.name) == base, refusal());
                    let (start, mem) = (e.offset.clone(), Rc::clone(&e.mem));
                    let end = start.add(&self.size(&mem)?).or_refuse(RULE)?;
                    (start, end)
                }
                Some(Cap::Token(..) | Cap::Store(_)) | None => return refused(),
            },
            Through::View(i) => match state.views.get(usize::from(i)) {
                Some(v) => {
                    premise!(v.guards.is_empty(), refusal());
                    premise!(v.base == base, refusal());
                    premise!(self.own.live(v.region, state), refusal());
                    let (start, mem) = (v.offset.clone(), Rc::clone(&v.mem));
                    let end = start.add(&self.size(&mem)?).or_refuse(RULE)?;
                    (start, end)
                }
                None => return refused(),
            },
            Through::Data(id) => {
                premise!(base == Base::Data(id), refusal());
                (Term::ZERO, Term::int(i64::from(self.object_size(id)?)))
            }
        };
        premise!(self.prove_ge(state, &offset.sub(&start).or_refuse(RULE)?, RULE));
        premise!(self.prove_ge(state, &end.sub(offset).or_refuse(RULE)?, RULE));
        Ok(())
    }

    /// rule[code-sub] for an entry; a code name only at its own signature.
    fn code_value(
        &mut self,
        state: &mut State,
        base: Base,
        sigma: &Sig,
        from: Option<u32>,
    ) -> Result<()> {
        match (base, from) {
            (Base::Name(name), _) => match scope_of(state, name).map(|s| &s.kind) {
                Some(Kind::Code(own)) => {
                    let own = Rc::clone(own);
                    premise!(self.same_sig(&own, sigma, Rule::CodeSub));
                    Ok(())
                }
                _ => refuse!(refusal()),
            },
            (Base::Code(function), Some(from)) => self.code_sub(state, from, function, sigma),
            (Base::Code(_), None) | (Base::Data(_), _) => refuse!(refusal()),
        }
    }
}

/// A term over integers that are in scope.
fn known(state: &State, term: Term) -> Result<Term> {
    premise!(term.every_var(|v| is_int(state, v)), refusal());
    Ok(term)
}

/// Is every alternative of `inner` one of `outer`?
pub(crate) fn within(inner: NameSet, outer: NameSet) -> bool {
    let covered = |(low, high): (i16, i16)| {
        outer.small.iter().flatten().any(|(l, h)| holds!(*l <= low) && holds!(high <= *h))
    };
    holds!(outer.address || !inner.address)
        && holds!(inner.small.iter().flatten().all(|i| covered(*i)))
}

/// The entries at these positions, increasing. A token is lent memory: it goes to nobody.
fn entries(state: &State, positions: &[u16]) -> Result<Vec<Cap>> {
    let mut last = None;
    let mut caps = Vec::with_capacity(positions.len());
    for position in positions {
        premise!(last < Some(*position), refusal());
        last = Some(*position);
        match state.caps.get(usize::from(*position)) {
            Some(cap @ (Cap::Entry(_) | Cap::Store(_))) => caps.push(cap.clone()),
            Some(Cap::Token(..)) | None => return refused(),
        }
    }
    Ok(caps)
}
