//! TCB. The walk over the text (core.md 4.15), from pieces that inference uses too. What holds
//! while it goes on stands in `walk.rs`.

use crate::decode::{self, Cc, Decoded, Ea, Op};
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::hint::{Ghost, Hints, Site, Start};
use crate::image::{Contents, DataKind, Image, Interface};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::rules::apply::Callee;
use crate::state::{Mark, State};
use crate::table::Feature;
use crate::term::Term;
use crate::ty::{Base, DataId, Declared, Fact, FnId, ImportId, Reg, Rel, Word};
use crate::walk::{Next, Walk};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use core::ops::Range;

/// Where a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The label of this index, of the running function.
    Label(u32),
    /// An entry: a tail call.
    Entry(Callee),
    /// The instruction at this offset of the running function, where no label stands and to which
    /// no other way leads.
    Block(u32),
}

/// What is wanted where a way leads.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'w> {
    /// What a label declares.
    Label {
        /// Its offset.
        at: u32,
        /// The mark of its parent.
        parent: &'w Mark,
        /// How it differs from that.
        record: Declared<'w>,
    },
    /// An entry: a tail call.
    Entry(Callee),
}

/// Where a stretch goes on.
enum Onward {
    /// At the next instruction.
    Next(u32),
    /// At a block.
    Jumped(u32),
    /// Nowhere.
    Ends,
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

impl<'a, H: Hints> Judge<'a, H> {
    /// rule[driver]: tables, then each function, then nothing may be left: of the text only
    /// padding, of the hints nothing.
    ///
    /// # Errors
    /// Why the image is refused.
    pub fn verify(&mut self) -> Result<()> {
        premise!(self.tables());
        premise!(self.starts());
        let count = u32::try_from(self.image.functions.len()).ok().or_refuse(Rule::Limit)?;
        let walk = self.walks((0..count).map(FnId))?;
        premise!(self.padding(&walk));
        premise!(self.hints.end());
        Ok(())
    }

    /// Some functions only, for who judges an image in pieces. That says nothing of the image:
    /// neither of its tables and the places of its functions nor of the rest of its text.
    ///
    /// # Errors
    /// Why one of them is refused.
    pub fn functions(&mut self, ids: impl Iterator<Item = FnId>) -> Result<()> {
        self.walks(ids)?;
        self.hints.end()
    }

    /// rule[driver]: each of the functions.
    fn walks(&mut self, ids: impl Iterator<Item = FnId>) -> Result<Box<Walk>> {
        let mut walk = Box::new(Walk::new(self.image));
        let mut state = Box::new(State::empty());
        for id in ids {
            self.walk(&mut walk, &mut state, id)?;
        }
        Ok(walk)
    }

    /// Functions and labels stand in address order inside the text, each label in a function.
    fn starts(&mut self) -> Result<()> {
        let refuse = || Error::new(Rule::Driver, Evidence::IllFormed);
        let Image { functions, labels, .. } = self.image;
        self.burn(functions.len().saturating_add(labels.len()))?;
        premise!(functions.is_sorted_by(|a, b| a.offset < b.offset), refuse());
        premise!(labels.is_sorted_by(|a, b| a < b), refuse());
        let length = self.text_len()?;
        let inside = |last: Option<u32>| last.is_none_or(|offset| offset < length);
        premise!(inside(functions.last().map(|f| f.offset)), refuse());
        premise!(inside(labels.last().copied()), refuse());
        if let Some(label) = labels.first() {
            let owned = functions.first().is_some_and(|f| f.offset <= *label);
            premise!(owned, placed(refuse(), *label));
        }
        Ok(())
    }

    /// Bytes of the text.
    fn text_len(&self) -> Result<u32> {
        u32::try_from(self.image.text.len()).map_err(|_| Error::new(Rule::Driver, Evidence::Limit))
    }

    /// Where nothing was judged there is only padding.
    fn padding(&mut self, walk: &Walk) -> Result<()> {
        let text = self.image.text;
        self.burn(text.len())?;
        let lost = |at| placed(Error::new(Rule::Driver, Evidence::IllFormed), at);
        match walk.lost(text) {
            None => Ok(()),
            Some(at) => refuse!(lost(at)),
        }
    }

    /// The text of a function: from its entry to the next one.
    fn range(&self, function: FnId) -> Result<Range<u32>> {
        let at = usize::try_from(function.0).ok().or_refuse(Rule::Driver)?;
        let start = self.image.functions.get(at).or_refuse(Rule::Driver)?.offset;
        let end = match self.image.functions.get(at.saturating_add(1)) {
            Some(next) => next.offset,
            None => self.text_len()?,
        };
        Ok(start..end)
    }

    /// rule[walk]: the function from its entry; then, until nothing is left, what is left of the
    /// scope that was opened last: the way that waits, then the labels that hang on it. So what is
    /// shared with the state in which it was opened is there when one of them is taken up.
    #[inline(never)]
    fn walk(&mut self, walk: &mut Walk, state: &mut State, function: FnId) -> Result<()> {
        let range = self.range(function)?;
        let entry = range.start;
        walk.enter(range, function);
        state.clear();
        self.hints.block(Start::Entry(function), state)?;
        self.begin_entry(state, function).map_err(|e| placed(e, entry))?;
        self.open_scope(walk, state, entry, None).map_err(|e| placed(e, entry))?;
        self.stretch(walk, state, entry, true)?;
        while let Some(next) = walk.next(state) {
            match next {
                Next::Block { from, to, cc } => {
                    self.hints.block(Start::Block { from, to }, state)?;
                    self.edge(state, cc, true).map_err(|e| placed(e, from))?;
                    self.stretch(walk, state, to, true)?;
                }
                Next::Label(label) => {
                    let at = self.offset_of(Target::Label(label));
                    self.hints.block(Start::Label(label), state)?;
                    let declared = walk.declared(label).or_refuse(Rule::Walk)?;
                    self.begin_label(state, declared).map_err(|e| placed(e, at))?;
                    self.stretch(walk, state, at, false)?;
                }
            }
        }
        premise!(self.all_found(walk));
        // Slots far from the entry rsp made room for those between, once in each function.
        self.burn(state.slot_extent())
    }

    /// A label that nothing leads to was not judged.
    fn all_found(&mut self, walk: &mut Walk) -> Result<()> {
        let labels = &self.image.labels;
        let first = labels.partition_point(|l| *l < walk.range.start);
        let end = labels.partition_point(|l| *l < walk.range.end);
        for (at, label) in labels.iter().enumerate().take(end).skip(first) {
            let found = u32::try_from(at).is_ok_and(|at| walk.is_found(at));
            premise!(found, placed(Error::new(Rule::Walk, Evidence::IllFormed), *label));
        }
        walk.forget(first..end);
        Ok(())
    }

    /// rule[scope]: opens one in this state, and pays for it and for coming back.
    fn open_scope(
        &mut self,
        walk: &mut Walk,
        state: &mut State,
        from: u32,
        waiting: Option<(u32, Cc)>,
    ) -> Result<()> {
        let weight = walk.open(state, from, waiting)?;
        self.burn(
            (weight >> limits::SAVED_A_UNIT.trailing_zeros()).saturating_add(limits::MARK_UNITS),
        )
    }

    /// rule[edge-label]: the first way to a label says on which scope it hangs and what it
    /// declares, before anything is learned of the way; every other has that scope open. What is
    /// wanted there; at an entry, its pre-state.
    fn arrive<'w>(
        &mut self,
        walk: &'w mut Walk,
        state: &mut State,
        from: u32,
        to: Target,
    ) -> Result<Wanted<'w>> {
        let label = match to {
            Target::Label(label) => label,
            Target::Entry(callee) => return Ok(Wanted::Entry(callee)),
            // The walk goes on there.
            Target::Block(_) => return Err(Error::new(Rule::Jump, Evidence::BadHint)),
        };
        let at = self.offset_of(to);
        if !walk.is_found(label) {
            let k = self.hints.parent(state, at, walk.chain())?;
            if k == 0 {
                self.open_scope(walk, state, from, None)?;
            }
            let mut record = walk.record();
            let parent = walk.nth(k.max(1));
            let (depth, parent) =
                parent.ok_or_else(|| Error::new(Rule::EdgeLabel, Evidence::BadHint))?;
            let mark = parent.mark();
            self.hints.record(state, at, mark, &mut record)?;
            let formed = self.wf_record(state, mark, record.declared());
            premise!(formed.map_err(|e| placed(e, at)));
            walk.hang(label, depth, record)?;
        }
        let closed = || Error::new(Rule::EdgeLabel, Evidence::BadTarget(u64::from(at)));
        let (parent, record) = walk.declared(label).ok_or_else(closed)?;
        Ok(Wanted::Label { at, parent, record })
    }

    /// rule[walk]: what runs without interruption from here until control leaves it. `ask`: whether
    /// there may be a label here, which ends it.
    fn stretch(&mut self, walk: &mut Walk, state: &mut State, start: u32, ask: bool) -> Result<()> {
        let mut at = start;
        self.run(walk, state, &mut at, ask).map_err(|e| placed(e, at))
    }

    /// As [`Judge::stretch`]; `at` is the instruction that is judged.
    fn run(
        &mut self,
        walk: &mut Walk,
        state: &mut State,
        at: &mut u32,
        mut ask: bool,
    ) -> Result<()> {
        loop {
            let end = self.end_of_stretch(walk, *at, ask);
            ask = true;
            *at = loop {
                if *at == end {
                    let to = self.fall_target(walk, end)?;
                    let wanted = self.arrive(walk, state, end, to)?;
                    premise!(self.follow(state, end, wanted));
                    return Ok(());
                }
                self.ghosts(state, Site::At(*at))?;
                // Not moved out of its place, for each instruction.
                let decoded = &decode::decode(self.image, *at);
                let decoded = match decoded {
                    Ok(decoded) => decoded,
                    Err(error) => return Err(error.clone()),
                };
                let behind = self.behind(state, *at, decoded)?;
                // What is judged as one instruction is not judged as another (trap 127).
                let twice = || Error::new(Rule::Claim, Evidence::Undecodable);
                premise!(behind <= end, twice());
                premise!(walk.claim(*at, decoded.length), twice());
                if let Op::Flow(_) | Op::Int3 = decoded.op {
                    let flow = self.transfer(state, *at, behind, &decoded.op)?;
                    match self.leave(walk, state, *at, flow)? {
                        Onward::Next(next) => *at = next,
                        Onward::Jumped(to) => break to,
                        Onward::Ends => return Ok(()),
                    }
                } else {
                    self.row(state, decoded)?;
                    *at = behind;
                }
            };
        }
    }

    /// The next label of the function at or, unless we `ask`, behind this offset; or its end.
    fn end_of_stretch(&self, walk: &Walk, at: u32, ask: bool) -> u32 {
        let labels = &self.image.labels;
        let next = labels.partition_point(|l| *l < at || (!ask && *l == at));
        labels.get(next).map_or(walk.range.end, |label| walk.range.end.min(*label))
    }

    /// rule[fall]: what the stretch runs into. Never padding, never the end of the text.
    fn fall_target(&self, walk: &Walk, at: u32) -> Result<Target> {
        if at < walk.range.end {
            let label = self.image.labels.binary_search(&at).ok();
            let label = label.and_then(|label| u32::try_from(label).ok());
            return label.map(Target::Label).or_refuse(Rule::Fall);
        }
        let next = walk.function.0.checked_add(1).map(FnId).or_refuse(Rule::Fall)?;
        let exists = usize::try_from(next.0).is_ok_and(|f| f < self.image.functions.len());
        premise!(exists, Error::new(Rule::Fall, Evidence::IllFormed));
        Ok(Target::Entry(Callee::Function(next)))
    }

    /// Checks all edges out of an instruction but the one to the next; that one is the result.
    fn leave(
        &mut self,
        walk: &mut Walk,
        state: &mut State,
        from: u32,
        flow: Flow,
    ) -> Result<Onward> {
        match flow {
            Flow::Next(next) => Ok(Onward::Next(next)),
            // rule[edge-block]: the only way to there, so nothing is forgotten.
            Flow::Jump(Target::Block(to)) => Ok(Onward::Jumped(to)),
            Flow::Jump(to) => {
                let wanted = self.arrive(walk, state, from, to)?;
                premise!(self.follow(state, from, wanted));
                Ok(Onward::Ends)
            }
            Flow::Branch { cc, to: Target::Block(to), next } => {
                // Before the fact of either way (H7).
                self.open_scope(walk, state, from, Some((to, cc)))?;
                self.edge(state, cc, false)?;
                Ok(Onward::Next(next))
            }
            Flow::Branch { cc, to, next } => {
                self.cond(walk, state, from, cc, to)?;
                Ok(Onward::Next(next))
            }
            Flow::Table { table, index } => {
                premise!(self.jump_table(walk, state, from, (table, &index)));
                Ok(Onward::Ends)
            }
            Flow::Return => {
                premise!(self.ret(state, from));
                Ok(Onward::Ends)
            }
            Flow::Stop => Ok(Onward::Ends),
        }
    }

    /// rule[cond]: the taken edge with its fact, then the other edge with its own. What one edge
    /// learns the other never sees.
    fn cond(
        &mut self,
        walk: &mut Walk,
        state: &mut State,
        from: u32,
        cc: Cc,
        to: Target,
    ) -> Result<()> {
        let wanted = self.arrive(walk, state, from, to)?;
        let mark = state.mark();
        self.edge(state, cc, true)?;
        premise!(self.follow(state, from, wanted));
        mark.cut(state);
        self.edge(state, cc, false)
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

    /// Ghosts of this offset, then one instruction, calls included. Edges are not followed, except
    /// that an index into a jump table is proved to be in bounds.
    ///
    /// # Errors
    /// When a premise fails.
    pub fn exec(&mut self, state: &mut State, offset: u32) -> Result<Flow> {
        self.ghosts(state, Site::At(offset))?;
        let decoded = decode::decode(self.image, offset)?;
        let behind = self.behind(state, offset, &decoded)?;
        if let Op::Flow(_) | Op::Int3 = decoded.op {
            return self.transfer(state, offset, behind, &decoded.op);
        }
        self.row(state, &decoded)?;
        Ok(Flow::Next(behind))
    }

    /// The offset behind the instruction, which is paid for, and whose feature is noted.
    #[inline]
    fn behind(&mut self, state: &State, offset: u32, decoded: &Decoded) -> Result<u32> {
        state.trail_ends()?;
        self.burn(usize::from(decoded.length))?;
        self.features |= decoded.row.feature.map_or(0, Feature::bit);
        offset.checked_add(u32::from(decoded.length)).or_refuse(Rule::Decode)
    }

    /// An instruction that transfers control.
    #[inline(never)]
    fn transfer(&mut self, state: &mut State, from: u32, behind: u32, op: &Op) -> Result<Flow> {
        let Op::Flow(transfer) = *op else {
            // rule[row-nop]: never reached: padding stands where nothing is judged.
            return Err(Error::new(Rule::RowNop, Evidence::IllFormed));
        };
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

    /// rule[jump]: what stands at this address, as the target of `jmp` and `jcc`: a label of the
    /// running function, else an entry, else a block of the function. Anything else is refused
    /// (traps 125, 126, 131).
    fn target(&self, address: u64) -> Result<Target> {
        let refuse = || bad_target(Rule::Jump, address);
        if let Some(label) = self.label_at(address) {
            return Ok(Target::Label(label));
        }
        if let Some(callee) = self.entry_at(address) {
            return Ok(Target::Entry(callee));
        }
        let offset = self.text_offset(address).ok_or_else(refuse)?;
        let range = self.range(self.own.function.ok_or_else(refuse)?)?;
        premise!(range.contains(&offset), refuse());
        Ok(Target::Block(offset))
    }

    /// The label of the running function at this address.
    fn label_at(&self, address: u64) -> Option<u32> {
        let offset = self.text_offset(address)?;
        let at = self.image.labels.binary_search(&offset).ok()?;
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
                usize::try_from(l).ok().and_then(|l| self.image.labels.get(l).copied())
            }
            Target::Entry(Callee::Function(f)) => {
                usize::try_from(f.0).ok().and_then(|f| Some(self.image.functions.get(f)?.offset))
            }
            Target::Block(to) => Some(to),
            Target::Entry(Callee::Import(_) | Callee::Name(_)) => None,
        };
        offset.unwrap_or(u32::MAX)
    }

    /// Runs the ghosts of this place (rule[ghost-place]).
    ///
    /// # Errors
    /// When a ghost is refused, or there are too many.
    #[inline(always)]
    pub fn ghosts(&mut self, state: &mut State, site: Site) -> Result<()> {
        match self.hints.ghost(state, site) {
            // Mostly. By `?` alone a ghost that is not there would be moved about.
            Ok(None) => Ok(()),
            found => self.ghosts_from(state, site, found?),
        }
    }

    /// As [`Judge::ghosts`] when the first one is known already.
    pub(crate) fn ghosts_from(
        &mut self,
        state: &mut State,
        site: Site,
        first: Option<Ghost>,
    ) -> Result<()> {
        let mut next = first;
        for _ in 0..limits::GHOSTS {
            let Some(ghost) = next else { return Ok(()) };
            self.burn(1)?;
            self.ghost(state, &ghost)?;
            next = self.hints.ghost(state, site)?;
        }
        match next {
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
        let count = i128::try_from(self.table_words(table)?.len()).ok().or_refuse(rule)?;
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

    /// The words of a jump table of the running function.
    fn table_words(&self, table: DataId) -> Result<&'a [[u8; 8]]> {
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
        premise!(rest.is_empty(), Error::new(rule, Evidence::IllFormed));
        Ok(words)
    }

    /// The label that a word of a jump table names: one of the running function.
    fn table_label(&self, word: [u8; 8]) -> Result<u32> {
        let address = u64::from_le_bytes(word);
        let refuse = || bad_target(Rule::JumpTable, address);
        let label = self.label_at(address).ok_or_else(refuse)?;
        // The processor's branch tracking stops an indirect jump to anything else (trap 141).
        let offset = self.text_offset(address).and_then(|o| usize::try_from(o).ok());
        let marked = offset.and_then(|o| self.image.text.get(o..)?.get(..4));
        premise!(marked == Some(&ENDBR64), refuse());
        Ok(label)
    }

    /// rule[jump-table]: each entry j with the fact `index - j = 0`; a target whose hint drops the
    /// fact is checked once, without it. Says where each leads. A table is longer than what pays
    /// for memory, so no list is made of it.
    ///
    /// # Errors
    /// When a target is not entailed.
    fn jump_table(
        &mut self,
        walk: &mut Walk,
        state: &mut State,
        from: u32,
        (table, index): (DataId, &Term),
    ) -> Result<()> {
        let rule = Rule::JumpTable;
        // Those for which the fact was dropped, checked already.
        let mut general = BTreeSet::new();
        for (entry, word) in (0_i128..).zip(self.table_words(table)?) {
            self.burn(1)?;
            let label = self.table_label(*word)?;
            if general.contains(&label) {
                continue;
            }
            let term = index.plus(entry.saturating_neg()).or_refuse(rule)?;
            let fact = Fact { rel: Rel::Eq, term };
            let wanted = self.arrive(walk, state, from, Target::Label(label))?;
            let mark = state.mark();
            if self.hints.want(state, core::slice::from_ref(&fact))? {
                self.learn(state, Rel::Eq, fact.term)?;
            } else {
                general.insert(label);
            }
            premise!(self.follow(state, from, wanted));
            mark.cut(state);
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
        state.regs().len(),
        state.slot_count(),
        state.views.len(),
        state.caps.len(),
    ]
    .iter()
    .fold(0, |sum: usize, n| sum.saturating_add(*n))
}
