//! TCB. One pass over the text (core.md 4.15), from pieces that inference uses too.

use crate::decode::{self, Cc, Ea, Op};
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Ghost, Hints, Site, Start};
use crate::image::{Contents, DataKind, Image, Interface};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::rules::apply::Callee;
use crate::state::{FlagKind, Mark, State};
use crate::table::Feature;
use crate::term::Term;
use crate::ty::{Base, DataId, Fact, FnId, ImportId, Reg, Rel, Word};
use alloc::{boxed::Box, vec::Vec};

/// Where a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The label of this index, of the running function.
    Label(u32),
    /// An entry: a tail call.
    Entry(Callee),
}

/// What follows an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The instruction at this offset.
    Next(u32),
    /// `jmp`.
    Jump(Target),
    /// `jcc`.
    Branch {
        /// The condition.
        cc: Cc,
        /// Where to, when it holds.
        to: Target,
        /// Offset of the next instruction.
        next: u32,
    },
    /// `jmp [table + 8*r]`.
    Table {
        /// The table.
        table: DataId,
        /// The index.
        index: Term,
    },
    /// `ret`.
    Return,
    /// A call that never returns; the next start is not before this offset.
    Stop,
}

/// Judges the image. `bytes` is the length of text and annotations: what pays for the work.
///
/// Returns the CPU features that the text needs ([`Feature::bit`]).
///
/// # Errors
/// Why it is refused.
pub fn verify<H: Hints>(
    image: &Image<'_>,
    interface: &Interface,
    hints: H,
    bytes: u64,
) -> Result<u8> {
    let mut judge = Judge::new(image, interface, hints, bytes);
    judge.verify()?;
    Ok(judge.features)
}

/// The one instruction at which an indirect branch may arrive.
const ENDBR64: [u8; 4] = [0xF3, 0x0F, 0x1E, 0xFA];

impl<H: Hints> Judge<'_, H> {
    /// rule[driver]: tables, then every start of the text, reachable or not, then nothing may be
    /// left of the hints.
    ///
    /// # Errors
    /// Why the image is refused.
    pub fn verify(&mut self) -> Result<()> {
        premise!(self.tables());
        let starts = self.starts()?;
        let mut reached = 0;
        let mut state = Box::new(State::empty());
        for (at, start) in starts.iter().enumerate() {
            let (offset, which) = *start;
            let next = starts.get(at.saturating_add(1)).copied();
            premise!(self.padding(reached, offset));
            reached = self.block(&mut state, offset, which, next).map_err(|e| placed(e, offset))?;
        }
        premise!(self.padding(reached, self.text_len()?));
        premise!(self.hints.end());
        Ok(())
    }

    /// All starts in address order, an entry before a label at the same offset (redteam A5).
    fn starts(&mut self) -> Result<Vec<(u32, Start)>> {
        let refuse = || Error::new(Rule::Driver, Evidence::IllFormed);
        let image = self.image;
        self.burn(image.functions.len().saturating_add(image.labels.len()))?;
        premise!(image.functions.is_sorted_by(|a, b| a.offset < b.offset), refuse());
        premise!(image.labels.is_sorted_by(|a, b| a.offset < b.offset), refuse());
        let mut labels = (0..).zip(&image.labels).peekable();
        let mut starts =
            Vec::with_capacity(image.functions.len().saturating_add(image.labels.len()));
        for (id, function) in (0..).zip(&image.functions) {
            while let Some((label, l)) = labels.next_if(|(_, l)| l.offset < function.offset) {
                starts.push((l.offset, Start::Label(label)));
            }
            starts.push((function.offset, Start::Entry(FnId(id))));
        }
        starts.extend(labels.map(|(label, l)| (l.offset, Start::Label(label))));
        // A label belongs to the function before it, so the first start is an entry.
        premise!(!matches!(starts.first(), Some((_, Start::Label(_)))), refuse());
        premise!(self.last_inside(&starts)?, refuse());
        Ok(starts)
    }

    /// Does the last start lie inside the text? As they are sorted, so do all.
    fn last_inside(&self, starts: &[(u32, Start)]) -> Result<bool> {
        let length = self.text_len()?;
        Ok(starts.last().is_none_or(|(offset, _)| *offset < length))
    }

    /// Bytes of the text.
    fn text_len(&self) -> Result<u32> {
        u32::try_from(self.image.text.len()).map_err(|_| Error::new(Rule::Driver, Evidence::Limit))
    }

    /// Between blocks there is nothing but `int3` and the one-byte `nop`, never reached.
    fn padding(&mut self, from: u32, to: u32) -> Result<()> {
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let bytes = range.and_then(|(from, to)| self.image.text.get(from..to));
        let bytes = bytes.or_refuse(Rule::Driver)?;
        self.burn(bytes.len())?;
        let refuse = || placed(Error::new(Rule::Driver, Evidence::IllFormed), from);
        premise!(bytes.iter().all(|b| matches!(b, 0xCC | 0x90)), refuse());
        Ok(())
    }

    /// One block: from its start until control leaves it or reaches the next start. Returns the
    /// offset behind it.
    #[inline(never)]
    fn block(
        &mut self,
        state: &mut State,
        offset: u32,
        start: Start,
        next: Option<(u32, Start)>,
    ) -> Result<u32> {
        self.hints.block(start)?;
        match start {
            Start::Entry(f) => self.begin_entry(state, f)?,
            Start::Label(l) => self.begin_label(state, l)?,
        }
        let end = match next {
            Some((end, _)) => end,
            None => self.text_len()?,
        };
        let mut at = offset;
        loop {
            if at == end {
                let to = self.fall_target(next).map_err(|e| placed(e, at))?;
                premise!(self.follow(state, at, to).map_err(|e| placed(e, at)));
                return Ok(at);
            }
            let (flow, behind) = self.instruction(state, at).map_err(|e| placed(e, at))?;
            // Blocks do not overlap (trap 127).
            let overlaps = || placed(Error::new(Rule::Driver, Evidence::Undecodable), at);
            premise!(behind <= end, overlaps());
            match self.leave(state, at, flow).map_err(|e| placed(e, at))? {
                Some(next) => at = next,
                None => return Ok(behind),
            }
        }
    }

    /// rule[fall]: what the block runs into. Never padding, never the end of the text.
    fn fall_target(&self, next: Option<(u32, Start)>) -> Result<Target> {
        match next {
            Some((_, Start::Label(label))) => Ok(Target::Label(label)),
            Some((_, Start::Entry(f))) => Ok(Target::Entry(Callee::Function(f))),
            None => Err(Error::new(Rule::Fall, Evidence::IllFormed)),
        }
    }

    /// Checks all edges out of an instruction but the one to the next; that one is the result.
    fn leave(&mut self, state: &mut State, from: u32, flow: Flow) -> Result<Option<u32>> {
        match flow {
            Flow::Next(next) => Ok(Some(next)),
            Flow::Jump(to) => {
                premise!(self.follow(state, from, to));
                Ok(None)
            }
            Flow::Branch { cc, to, next } => {
                self.cond(state, from, cc, to)?;
                Ok(Some(next))
            }
            Flow::Table { table, index } => {
                premise!(self.jump_table(state, from, table, &index));
                Ok(None)
            }
            Flow::Return => {
                premise!(self.ret(state, from));
                Ok(None)
            }
            Flow::Stop => Ok(None),
        }
    }

    /// rule[cond]: the taken edge with its fact, then the other edge with its own. What one edge
    /// learns the other never sees.
    fn cond(&mut self, state: &mut State, from: u32, cc: Cc, to: Target) -> Result<()> {
        if matches!(state.flags.kind, FlagKind::Pick(..)) {
            // Only here does an edge change what is known of names.
            state.steps = self.picked(state, from, cc, to)?;
        } else {
            let mark = Mark::of(state);
            self.edge(state, cc, true)?;
            premise!(self.follow(state, from, to));
            mark.cut(state)?;
        }
        self.edge(state, cc, false)
    }

    /// The taken edge of a condition that decides a name, in a copy of the state; says how many
    /// steps were taken in the block by then.
    #[inline(never)]
    fn picked(&mut self, state: &State, from: u32, cc: Cc, to: Target) -> Result<u32> {
        self.burn(size(state))?;
        let mut taken = Box::new(state.clone());
        self.edge(&mut taken, cc, true)?;
        premise!(self.follow(&mut taken, from, to));
        Ok(taken.steps)
    }

    /// The states of both edges of a branch, taken first, with their facts.
    ///
    /// # Errors
    /// When the condition may not be read.
    pub fn branch(&mut self, state: &State, cc: Cc) -> Result<(State, State)> {
        let (mut taken, mut other) = (state.clone(), state.clone());
        self.edge(&mut taken, cc, true)?;
        self.edge(&mut other, cc, false)?;
        Ok((taken, other))
    }

    /// The state at a start; sets `self.own`.
    ///
    /// # Errors
    /// When there is no such start.
    pub fn start_state(&mut self, start: Start) -> Result<State> {
        match start {
            Start::Entry(f) => self.entry_state(f),
            Start::Label(l) => self.label_state(l),
        }
    }

    /// Ghosts of this offset, then one instruction, calls included. Edges are not followed, except
    /// that an index into a jump table is proved to be in bounds.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn exec(&mut self, state: &mut State, offset: u32) -> Result<Flow> {
        Ok(self.instruction(state, offset)?.0)
    }

    /// [`Judge::exec`], with the offset behind the instruction.
    fn instruction(&mut self, state: &mut State, offset: u32) -> Result<(Flow, u32)> {
        self.ghosts(state, Site::At(offset))?;
        let decoded = decode::decode(self.image, offset)?;
        self.burn(usize::from(decoded.length))?;
        self.features |= decoded.row.feature.map_or(0, Feature::bit);
        let behind = offset.checked_add(u32::from(decoded.length)).or_refuse(Rule::Decode)?;
        let flow = match decoded.op {
            Op::Flow(transfer) => self.transfer(state, offset, behind, transfer)?,
            // rule[row-nop]: never reached by fall-through: padding stands between blocks only.
            Op::Int3 => return Err(Error::new(Rule::RowNop, Evidence::IllFormed)),
            _ => {
                self.row(state, &decoded)?;
                Flow::Next(behind)
            }
        };
        Ok((flow, behind))
    }

    /// An instruction that transfers control.
    fn transfer(
        &mut self,
        state: &mut State,
        from: u32,
        behind: u32,
        transfer: decode::Flow,
    ) -> Result<Flow> {
        Ok(match transfer {
            decode::Flow::Jmp(to) => Flow::Jump(self.target(to)?),
            decode::Flow::Jcc(cc, to) => Flow::Branch { cc, to: self.target(to)?, next: behind },
            decode::Flow::JmpReg(reg) => Flow::Jump(Target::Entry(callee_in(state, reg)?)),
            decode::Flow::JmpTable(ea) => self.table(state, ea)?,
            decode::Flow::Call(to) => {
                let callee = self.entry_at(to).ok_or_else(|| bad_target(Rule::Call, to))?;
                self.call(state, from, behind, callee)?
            }
            decode::Flow::CallReg(reg) => {
                let callee = callee_in(state, reg)?;
                self.call(state, from, behind, callee)?
            }
            decode::Flow::Ret => Flow::Return,
        })
    }

    /// What stands at this address, as the target of `jmp` and `jcc`: a label of the running
    /// function, else an entry. Anything else is refused (traps 125, 126, 131).
    fn target(&self, address: u64) -> Result<Target> {
        let refuse = || bad_target(Rule::Jump, address);
        if let Some(label) = self.label_at(address) {
            return Ok(Target::Label(label));
        }
        Ok(Target::Entry(self.entry_at(address).ok_or_else(refuse)?))
    }

    /// The label of the running function at this address.
    fn label_at(&self, address: u64) -> Option<u32> {
        let offset = self.text_offset(address)?;
        let at = self.image.labels.binary_search_by_key(&offset, |l| l.offset).ok()?;
        let label = u32::try_from(at).ok()?;
        let function = self.label_owner(label).ok()?;
        holds!(Some(function) == self.own.function).then_some(label)
    }

    /// rule[code-address], rule[import]: the entry at this address.
    #[must_use]
    pub fn entry_at(&self, address: u64) -> Option<Callee> {
        if let Some(offset) = self.text_offset(address) {
            let at = self.image.functions.binary_search_by_key(&offset, |f| f.offset).ok()?;
            return Some(Callee::Function(FnId(u32::try_from(at).ok()?)));
        }
        let gate = address.checked_sub(limits::GATES)?;
        let starts = holds!(gate.checked_rem(limits::GATE_SIZE) == Some(0));
        if !starts {
            return None;
        }
        let import = u16::try_from(gate.checked_div(limits::GATE_SIZE)?).ok()?;
        let known = usize::from(import) < self.image.imports.len();
        known.then_some(Callee::Import(ImportId(import)))
    }

    /// Offset of an address inside the text.
    fn text_offset(&self, address: u64) -> Option<u32> {
        let offset = address.checked_sub(u64::from(self.image.text_address))?;
        let inside = usize::try_from(offset).ok()? < self.image.text.len();
        if inside { u32::try_from(offset).ok() } else { None }
    }

    /// Text offset of a target, as a site names it.
    pub(crate) fn offset_of(&self, to: Target) -> u32 {
        let offset = match to {
            Target::Label(l) => {
                usize::try_from(l).ok().and_then(|l| Some(self.image.labels.get(l)?.offset))
            }
            Target::Entry(Callee::Function(f)) => {
                usize::try_from(f.0).ok().and_then(|f| Some(self.image.functions.get(f)?.offset))
            }
            Target::Entry(Callee::Import(_) | Callee::Name(_)) => None,
        };
        offset.unwrap_or(u32::MAX)
    }

    /// Runs the ghosts of this place (rule[ghost-place]).
    ///
    /// # Errors
    /// When a ghost is refused, or there are too many.
    pub fn ghosts(&mut self, state: &mut State, site: Site) -> Result<()> {
        match self.hints.ghost(state, site)? {
            None => Ok(()),
            Some(first) => self.ghosts_from(state, site, first),
        }
    }

    /// As [`Judge::ghosts`] when the first one is known already.
    pub(crate) fn ghosts_from(
        &mut self,
        state: &mut State,
        site: Site,
        first: Ghost,
    ) -> Result<()> {
        self.burn(1)?;
        self.ghost(state, &first)?;
        for _ in 1..limits::GHOSTS {
            let Some(ghost) = self.hints.ghost(state, site)? else { return Ok(()) };
            self.burn(1)?;
            self.ghost(state, &ghost)?;
        }
        match self.hints.ghost(state, site)? {
            None => Ok(()),
            Some(_) => Err(Error::new(Rule::GhostPlace, Evidence::Limit)),
        }
    }

    /// rule[jump-table], premises: which table, and that the index is in bounds.
    fn table(&mut self, state: &mut State, ea: Ea) -> Result<Flow> {
        let rule = Rule::JumpTable;
        let Ea { base: None, index: Some((reg, 8)), disp } = ea else {
            return Err(Error::new(rule, Evidence::BadHint));
        };
        let address = u32::try_from(disp).ok().or_refuse(rule)?;
        let at = self.image.data.binary_search_by_key(&address, |d| d.address);
        let at = at.map_err(|_| bad_target(rule, u64::from(address)))?;
        let table = DataId(u16::try_from(at).ok().or_refuse(rule)?);
        let count = i128::try_from(self.table_labels(table)?.len()).ok().or_refuse(rule)?;
        let Word::Int(index) = state.reg(reg).clone() else {
            let word = state.reg(reg).clone();
            return Err(Error::new(rule, Evidence::WrongRegister(reg, word.into())));
        };
        premise!(self.prove_ge(state, &index, rule));
        let last =
            Term::constant_of(count).and_then(|n| n.plus(-1)?.sub(&index)).or_refuse(rule)?;
        premise!(self.prove_ge(state, &last, rule));
        Ok(Flow::Table { table, index })
    }

    /// The labels that a jump table names, in its order; all are of the running function.
    fn table_labels(&mut self, table: DataId) -> Result<Vec<u32>> {
        let rule = Rule::JumpTable;
        let image = self.image;
        let data = image.data.get(usize::from(table.0)).or_refuse(rule)?;
        let (DataKind::Table { function }, Contents::Bytes(bytes)) = (&data.kind, &data.contents)
        else {
            return Err(Error::new(rule, Evidence::IllFormed));
        };
        premise!(Some(*function) == self.own.function, Error::new(rule, Evidence::IllFormed));
        premise!(!data.writable, Error::new(rule, Evidence::IllFormed));
        let (words, rest) = bytes.as_chunks::<8>();
        self.burn(words.len())?;
        premise!(rest.is_empty(), Error::new(rule, Evidence::IllFormed));
        let label = |word: &[u8; 8]| {
            let address = u64::from_le_bytes(*word);
            let refuse = || bad_target(rule, address);
            let label = self.label_at(address).ok_or_else(refuse)?;
            // The processor's branch tracking stops an indirect jump to anything else (trap 141).
            let offset = self.text_offset(address).and_then(|o| usize::try_from(o).ok());
            let marked = offset.and_then(|o| self.image.text.get(o..)?.get(..4));
            premise!(marked == Some(&ENDBR64), refuse());
            Ok(label)
        };
        words.iter().map(label).collect()
    }

    /// rule[jump-table]: each entry j with the fact `index - j = 0`; a target whose hint drops the
    /// fact is checked once, without it.
    ///
    /// # Errors
    /// When a target is not entailed.
    pub fn jump_table(
        &mut self,
        state: &mut State,
        from: u32,
        table: DataId,
        index: &Term,
    ) -> Result<()> {
        let rule = Rule::JumpTable;
        let labels = self.table_labels(table)?;
        // Sorted by label: those for which the fact was dropped, checked already.
        let mut general: Vec<u32> = Vec::new();
        for (entry, label) in (0_i128..).zip(labels) {
            let Err(place) = general.binary_search(&label) else { continue };
            let term = index.plus(entry.saturating_neg()).or_refuse(rule)?;
            let fact = Fact { rel: Rel::Eq, term };
            let mark = Mark::of(state);
            if self.hints.want(state, core::slice::from_ref(&fact))? {
                self.learn(state, Rel::Eq, fact.term)?;
            } else {
                general.insert(place, label);
            }
            premise!(self.follow(state, from, Target::Label(label)));
            mark.cut(state)?;
        }
        Ok(())
    }
}

/// The callee in a register: exactly `P(f, 0)`.
fn callee_in(state: &State, reg: Reg) -> Result<Callee> {
    match state.reg(reg) {
        Word::Ptr(Base::Code(f), e) if holds!(e.as_int() == Some(0)) => Ok(Callee::Function(*f)),
        Word::Ptr(Base::Name(f), e) if holds!(e.as_int() == Some(0)) => Ok(Callee::Name(*f)),
        other => Err(Error::new(Rule::Call, Evidence::WrongRegister(reg, other.clone().into()))),
    }
}

fn bad_target(rule: Rule, address: u64) -> Error {
    Error::new(rule, Evidence::BadTarget(address))
}

/// Fills in the place of a refusal.
fn placed(error: Error, offset: u32) -> Error {
    Error { site: error.site.or(Some(offset)), ..error }
}

/// What a pass over a state costs.
pub(crate) fn size(state: &State) -> usize {
    [
        state.scope.len(),
        state.facts.len(),
        state.trail.len(),
        state.regs.len(),
        state.stack.slots.len(),
        state.views.len(),
        state.caps.len(),
    ]
    .iter()
    .fold(0, |sum: usize, n| sum.saturating_add(*n))
}
