//! Not trusted: a bug here can reject, never admit. A lowered program as a compiler would hand it
//! over: what was found of it is said, the rest forgotten. For tests and measurements.

use super::{Contents, Data, Function, Ghost, LabelId, Op, Place, Program, Spot, Symbol, To};
use crate::asm::Branch;
use crate::find::Finder;
use crate::lowered::{DataInfo, Fixup, FixupKind, FixupTarget, FnInfo, GhostOp, Lowered};
use crate::part::finder;
use iced_x86::Instruction;
use std::collections::BTreeMap;
use tal_core::error::Error;
use tal_core::hint::{self, Forward, Hints, Site};
use tal_core::image::DataKind;
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::ty::FnId;
use tal_write::Label;

impl Program {
    /// The instructions of a lowered program, these states of its labels, and the ghosts that its
    /// source writes. None if it names what cannot be handed over.
    #[must_use]
    pub fn of(lowered: &Lowered, labels: &[Label]) -> Option<Program> {
        let fixups: BTreeMap<u32, &Fixup> =
            lowered.fixups.iter().filter(|f| f.data.is_none()).map(|f| (f.offset, f)).collect();
        let of = |function| From { lowered, fixups: &fixups, function }.function(labels);
        let mut functions = lowered.functions.iter().map(of).collect::<Option<Vec<_>>>()?;
        let mut data = Vec::with_capacity(lowered.data.len());
        for object in &lowered.data {
            data.push(self::data(lowered, object, &mut functions)?);
        }
        Some(Program {
            host: lowered.host.clone(),
            types: lowered.types.iter().map(|info| info.ty.clone()).collect(),
            functions,
            data,
            start: lowered.start,
        })
    }
}

impl Program {
    /// The same with the ghosts that the finder plans for these states, as the judge has them. None
    /// if the judge refuses the program so.
    #[must_use]
    pub fn with_ghosts(mut self, lowered: &Lowered, labels: &[Label]) -> Option<Program> {
        let image = lowered.image(labels);
        let noted = Noted { finder: finder(lowered, &image, labels), ghosts: Vec::new() };
        let mut judge = Judge::new(&image, &lowered.host.interface, noted, u64::MAX);
        judge.functions(lowered.ids().into_iter()).ok()?;
        self.functions.iter_mut().for_each(|function| function.ghosts.clear());
        for (site, ghost) in judge.hints.ghosts {
            let (at, falls) = match site {
                Site::At(at) | Site::Return(at) => (at, false),
                Site::Edge { from, to } => (from, from == to),
                Site::CodeSub { .. } => continue,
            };
            let (id, info) = lowered.function_at(at)?;
            let at = info.instructions.binary_search_by_key(&at, |i| i.offset).ok()?;
            let at = if falls { Spot::Into(at) } else { Spot::Before(at) };
            let own = &mut self.functions.get_mut(id.0 as usize)?.ghosts;
            own.push(Ghost { at, op: GhostOp::Judge(ghost), vars: Vec::new() });
        }
        Some(self)
    }
}

/// A finder whose ghosts are noted.
struct Noted<'a> {
    finder: Finder<'a>,
    ghosts: Vec<(Site, hint::Ghost)>,
}

impl<'a> Forward for Noted<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<hint::Ghost>, Error> {
        let ghost = self.finder.ghost(state, site)?;
        self.ghosts.extend(ghost.clone().map(|ghost| (site, ghost)));
        Ok(ghost)
    }
}

/// A function of a lowered program.
struct From<'a> {
    lowered: &'a Lowered,
    fixups: &'a BTreeMap<u32, &'a Fixup>,
    function: &'a FnInfo,
}

impl From<'_> {
    fn function(&self, states: &[Label]) -> Option<Function> {
        let FnInfo { name, public, ghosts, .. } = self.function;
        let range = self.function.offset..self.function.end();
        let number = |at: u32| self.function.instructions.binary_search_by_key(&at, |i| i.offset);
        let mut labels: Vec<Place> = Vec::new();
        for label in states.iter().filter(|label| range.contains(&label.offset)) {
            let (at, state) = (number(label.offset).ok()?, Some(label.state.clone()));
            labels.push(Place { at, name: None, state });
        }
        let mut code = Vec::with_capacity(self.function.instructions.len());
        for instruction in self.lowered.instructions(range.start, range.end) {
            let op = match self.op(&instruction)? {
                Ok(op) => op,
                Err((branch, to)) => {
                    Op::Branch(branch, To::Label(local(&mut labels, number(to).ok()?)?))
                }
            };
            code.push(op);
        }
        let ghost = |line: &crate::lowered::GhostLine| {
            let (op, vars) = (line.op.clone(), line.vars.clone());
            let at = number(line.offset).ok()?;
            let at = if line.falls { Spot::Into(at) } else { Spot::Before(at) };
            Some(Ghost { at, op, vars })
        };
        Some(Function {
            name: name.clone(),
            public: *public,
            sig: self.lowered.sigs.get(self.function.sig as usize)?.clone(),
            code,
            labels,
            ghosts: ghosts.iter().map(ghost).collect::<Option<_>>()?,
        })
    }

    /// The instruction; a jump within the function by the offset of its target.
    fn op(&self, instruction: &Instruction) -> Option<Result<Op, (Branch, u32)>> {
        let at = self.lowered.offset_of(instruction);
        let end = at.checked_add(u32::try_from(instruction.len()).ok()?)?;
        let fixup = self.fixups.range(at..end).next().map(|(_, fixup)| **fixup);
        if let Some(branch) = Branch::of(instruction) {
            let Some(fixup) = fixup else {
                let to =
                    instruction.near_branch64().checked_sub(self.lowered.text_address.into())?;
                return Some(Err((branch, u32::try_from(to).ok()?)));
            };
            let to = match fixup.target {
                FixupTarget::Function(id) => To::Function(id),
                FixupTarget::Import(gate) => {
                    To::Import(*self.lowered.imports.get(usize::from(gate))?)
                }
                FixupTarget::Data(_) | FixupTarget::Text(_) => return None,
            };
            return Some(Ok(Op::Branch(branch, to)));
        }
        let Some(fixup) = fixup else { return Some(Ok(Op::Plain(*instruction))) };
        let symbol = match fixup.target {
            FixupTarget::Data(id) => Symbol::Data(id),
            FixupTarget::Function(id) => Symbol::Function(id),
            FixupTarget::Import(_) | FixupTarget::Text(_) => return None,
        };
        let addend = match fixup.kind {
            FixupKind::Rel32 => fixup.addend + i64::from(end - fixup.offset),
            FixupKind::Abs32 | FixupKind::Abs64 => fixup.addend,
        };
        let mut instruction = *instruction;
        instruction.set_memory_displacement64(addend.cast_unsigned());
        Some(Ok(Op::Symbol(instruction, symbol)))
    }
}

/// The label at this instruction, which may be new.
fn local(labels: &mut Vec<Place>, at: usize) -> Option<LabelId> {
    let found = labels.iter().position(|place| place.at == at);
    let found = found.unwrap_or_else(|| {
        labels.push(Place { at, name: None, state: None });
        labels.len() - 1
    });
    u32::try_from(found).ok().map(LabelId)
}

fn data(lowered: &Lowered, object: &DataInfo, functions: &mut [Function]) -> Option<Data> {
    let own = lowered.fixups.iter().filter(|fixup| {
        fixup
            .data
            .and_then(|d| lowered.data.get(usize::from(d.0)))
            .is_some_and(|of| of.address == object.address && of.name == object.name)
    });
    let contents = match &object.kind {
        DataKind::Object { mem, mode } => Contents::Memory {
            mem: mem.clone(),
            mode: *mode,
            size: object.size,
            bytes: object.contents.clone(),
            addresses: own
                .map(|fixup| match fixup.target {
                    FixupTarget::Data(id) => Some((fixup.offset, id, fixup.addend)),
                    _ => None,
                })
                .collect::<Option<_>>()?,
        },
        DataKind::Table { function } => Contents::Table {
            function: *function,
            targets: own
                .map(|fixup| match fixup.target {
                    FixupTarget::Text(at) => target(lowered, *function, at, functions),
                    _ => None,
                })
                .collect::<Option<_>>()?,
        },
    };
    let (name, public, section) = (object.name.clone(), object.public, object.section);
    Some(Data { name, public, section, contents })
}

/// The label of a jump table's target.
fn target(lowered: &Lowered, id: FnId, at: u32, functions: &mut [Function]) -> Option<LabelId> {
    let info = lowered.functions.get(id.0 as usize)?;
    let number = info.instructions.binary_search_by_key(&at, |inst| inst.offset).ok()?;
    local(&mut functions.get_mut(id.0 as usize)?.labels, number)
}
