//! Not trusted: a bug here can reject, never admit. What a compiler hands over becomes what the
//! checker works on: bytes with addresses, without any source.

use super::refused::{Refused, Why};
use super::{Contents, Function, Ghost, LabelId, Op, Program, Section, Spot, To};
use crate::asm::Assembler;
use crate::layout::Object;
use crate::lower::draft::{Draft, Link, Symbol, What};
use crate::lower::link::{self, Linked, Unlinked};
use crate::lower::{STAND_IN, TEXT_ADDRESS, stand_in, table_kind};
use crate::lowered::{Fixup, FixupKind, FixupTarget, GhostLine, Lowered, TypeInfo};
use iced_x86::{Instruction, Register};
use rayon::prelude::*;
use std::collections::BTreeSet;
use tal_core::image::DataKind;
use tal_core::limits;
use tal_core::ty::{DataId, FnId, NamedType, Word};
use tal_syntax::Span;
use tal_write::{Label, LabelState};

/// Further from the entry rsp than this no frame reaches, in bytes.
const FRAME: u64 = 1 << 31;

/// The program, encoded, with the labels that have states, in address order.
///
/// # Errors
/// What is malformed.
pub(super) fn build(program: &Program) -> Result<(Lowered, Vec<Label>), Box<Refused>> {
    let gates = Gates::of(program)?;
    let draft = |assembler: &mut Assembler, (i, function): (usize, &Function)| {
        let id = FnId(u32::try_from(i).unwrap_or(u32::MAX));
        let draft = Drafting { program, gates: &gates, id, function };
        draft.draft(assembler)
    };
    let functions = program.functions.par_iter().enumerate();
    let drafts: Vec<Result<Draft, Box<Refused>>> =
        functions.map_init(Assembler::default, draft).collect();
    let mut drafts = drafts.into_iter().collect::<Result<Vec<Draft>, _>>()?;
    let objects = objects(program, &mut drafts)?;
    let Linked { text, code, functions, sigs, data, fixups } =
        link::link(drafts, objects).map_err(|unlinked| unplaced(program, &unlinked))?;
    if let Some(start) = program.start
        && start.0 as usize >= functions.len()
    {
        return Err(Refused::of_program("the start is no function"));
    }
    let lowered = Lowered {
        sources: tal_syntax::source::Sources::default(),
        host: program.host.clone(),
        text,
        text_address: TEXT_ADDRESS,
        code,
        types: program.types.iter().map(named).collect(),
        sigs,
        functions,
        data,
        imports: gates.0,
        start: program.start,
        fixups,
        tests: Vec::new(),
    };
    let labels = labels(program, &lowered)?;
    Ok((lowered, labels))
}

/// A type without names.
fn named(ty: &NamedType) -> TypeInfo {
    TypeInfo {
        name: String::new(),
        ty: ty.clone(),
        params: Vec::new(),
        hidden: Vec::new(),
        fields: Vec::new(),
        span: Span::default(),
    }
}

fn unplaced(program: &Program, unlinked: &Unlinked) -> Box<Refused> {
    let id = FnId(u32::try_from(unlinked.function).unwrap_or(u32::MAX));
    match unlinked.why {
        link::Why::TooLarge => Refused::of_program("it is larger than 2^30 bytes"),
        link::Why::OutOfReach => {
            Refused::of_function(program, id, "an address is out of reach of an instruction")
        }
    }
}

/// The imports that are used, in the order of the interface.
struct Gates(Vec<u16>);

impl Gates {
    fn of(program: &Program) -> Result<Gates, Box<Refused>> {
        let mut used = BTreeSet::new();
        for op in program.functions.iter().flat_map(|function| &function.code) {
            if let Op::Branch(_, To::Import(import)) = op {
                used.insert(*import);
            }
        }
        if used.len() > limits::IMPORTS {
            return Err(Refused::of_program("it uses more than 256 imports"));
        }
        Ok(Gates(used.into_iter().collect()))
    }

    fn gate(&self, import: u16) -> Option<u16> {
        u16::try_from(self.0.binary_search(&import).ok()?).ok()
    }
}

/// A function on its way to bytes.
struct Drafting<'a> {
    program: &'a Program,
    gates: &'a Gates,
    id: FnId,
    function: &'a Function,
}

impl Drafting<'_> {
    fn refuse(&self, at: usize, why: Why) -> Box<Refused> {
        Refused::of_instruction(self.program, self.id, at, why)
    }

    fn malformed(&self, at: usize, what: &'static str) -> Box<Refused> {
        self.refuse(at, Why::Malformed(what))
    }

    fn draft(&self, assembler: &mut Assembler) -> Result<Draft, Box<Refused>> {
        let Function { name, public, sig, code, labels, ghosts } = self.function;
        let mut draft = Draft::unwritten(name.clone(), *public, sig.clone());
        draft.pieces.reserve_exact(code.len());
        draft.instructions.reserve_exact(code.len());
        if code.is_empty() {
            return Err(Refused::of_function(self.program, self.id, "it has no instruction"));
        }
        if let Some(lost) = labels.iter().find(|place| place.at >= code.len()) {
            return Err(self.malformed(lost.at, "a label stands before no instruction"));
        }
        let mut targets = BTreeSet::new();
        for (at, op) in code.iter().enumerate() {
            match op {
                Op::Plain(instruction) => {
                    let placed = assembler.accepted(*instruction, STAND_IN.cast_unsigned());
                    let placed = placed.map_err(|e| self.refuse(at, Why::Encoding(e)))?;
                    draft.push_placed(&placed, Span::default());
                }
                Op::Symbol(instruction, symbol) => {
                    self.linked(at, *instruction, *symbol, assembler, &mut draft)?;
                }
                Op::Branch(branch, to) => {
                    let what = match to {
                        To::Label(id) => {
                            let to = self.label(*id);
                            let to = to.ok_or_else(|| self.malformed(at, "there is no such label"));
                            targets.insert(*id);
                            What::Local { branch: *branch, to: to?, short: true }
                        }
                        To::Function(id) => {
                            self.callee(at, *id).map(|to| What::Call { branch: *branch, to })?
                        }
                        To::Import(import) => {
                            let offered = usize::from(*import) < self.program.host.imports.len();
                            let gate = self.gates.gate(*import).filter(|_| offered);
                            let gate = gate.ok_or_else(|| {
                                self.malformed(at, "the interface has no such import")
                            });
                            What::Import { branch: *branch, gate: gate? }
                        }
                    };
                    let short = matches!(what, What::Local { .. });
                    draft.push(what, Span::default(), branch.len(short));
                }
            }
        }
        draft.code = assembler.take();
        let mut named: Vec<(usize, &str, bool)> = Vec::new();
        for (number, place) in (0..).zip(labels) {
            if let Some(name) = &place.name {
                named.push((place.at, name, targets.contains(&LabelId(number))));
            }
        }
        named.sort_unstable();
        let label = |(at, name, target): (usize, &str, bool)| {
            (at, name.to_owned(), Span::default(), target, None)
        };
        draft.labels = named.into_iter().map(label).collect();
        for Ghost { at, op, vars } in ghosts {
            let (before, falls) = match at {
                Spot::Before(before) => (*before, false),
                Spot::Into(label) => (*label, true),
            };
            if before >= code.len() {
                return Err(self.malformed(before, "a ghost stands before no instruction"));
            }
            let (op, vars, span) = (op.clone(), vars.clone(), Span::default());
            draft.ghosts.push((before, GhostLine { offset: 0, falls, op, vars, span }));
        }
        Ok(draft)
    }

    /// The piece that a label stands for.
    fn label(&self, id: LabelId) -> Option<u32> {
        let place = self.function.labels.get(id.0 as usize)?;
        u32::try_from(place.at).ok().filter(|_| place.at < self.function.code.len())
    }

    fn callee(&self, at: usize, id: FnId) -> Result<FnId, Box<Refused>> {
        match self.program.functions.get(id.0 as usize) {
            Some(_) => Ok(id),
            None => Err(self.malformed(at, "there is no such function")),
        }
    }

    /// An instruction with a symbol: encoded with an address that takes four bytes, like any.
    fn linked(
        &self,
        at: usize,
        mut instruction: Instruction,
        symbol: Symbol,
        assembler: &mut Assembler,
        draft: &mut Draft,
    ) -> Result<(), Box<Refused>> {
        match symbol {
            Symbol::Function(id) => drop(self.callee(at, id)?),
            Symbol::Data(id) if usize::from(id.0) < self.program.data.len() => {}
            Symbol::Data(_) => return Err(self.malformed(at, "there is no such data object")),
        }
        let none = |register| matches!(register, Register::None | Register::RIP);
        let relative = none(instruction.memory_base()) && none(instruction.memory_index());
        let addend = instruction.memory_displacement64().cast_signed();
        if relative {
            instruction.set_memory_base(Register::RIP);
        }
        instruction.set_memory_displ_size(8);
        instruction.set_memory_displacement64(stand_in(addend).cast_unsigned());
        let placed = assembler.accepted(instruction, STAND_IN.cast_unsigned());
        let placed = placed.map_err(|e| self.refuse(at, Why::Encoding(e)))?;
        let Some(place) = placed.displacement else {
            return Err(self.malformed(at, "it has no operand that could name anything"));
        };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        draft.links.push((number, Link { place, relative, symbol, addend }));
        draft.push_placed(&placed, Span::default());
        Ok(())
    }
}

/// The data, without addresses; jump tables go to the drafts of their functions.
fn objects(program: &Program, drafts: &mut [Draft]) -> Result<Vec<Object>, Box<Refused>> {
    let rank = |section: Section| match section {
        Section::Rodata => 0,
        Section::Data => 1,
        Section::Bss => 2,
    };
    if !program.data.is_sorted_by_key(|data| rank(data.section)) {
        return Err(Refused::of_program("its data is not in the order of its sections"));
    }
    let mut objects = Vec::with_capacity(program.data.len());
    for (i, data) in program.data.iter().enumerate() {
        let id = DataId(
            u16::try_from(i)
                .map_err(|_| Refused::of_program("it has more than 2^16 data objects"))?,
        );
        let wrong = |what| Refused::of_data(&data.name, what);
        let mut object = Object {
            name: data.name.clone(),
            public: data.public,
            section: data.section,
            kind: DataKind::Table { function: FnId(0) },
            size: 0,
            contents: None,
            fixups: Vec::new(),
            span: Span::default(),
            address: 0,
        };
        match &data.contents {
            Contents::Memory { mem, mode, size, bytes, addresses } => {
                let whole = bytes.as_ref().is_none_or(|b| u32::try_from(b.len()) == Ok(*size));
                if !whole {
                    return Err(wrong("its bytes are not as many as its size says"));
                }
                object.kind = DataKind::Object { mem: mem.clone(), mode: *mode };
                object.size = *size;
                object.contents.clone_from(bytes);
                for (offset, target, addend) in addresses {
                    let inside =
                        bytes.is_some() && offset.checked_add(8).is_some_and(|e| e <= *size);
                    if !inside || usize::from(target.0) >= program.data.len() {
                        return Err(wrong("an address in it has no place, or leads nowhere"));
                    }
                    let target = FixupTarget::Data(*target);
                    let (data, kind) = (Some(id), FixupKind::Abs64);
                    object.fixups.push(Fixup {
                        data,
                        offset: *offset,
                        kind,
                        target,
                        addend: *addend,
                    });
                }
            }
            Contents::Table { function, targets } => {
                let (from, draft) = program
                    .functions
                    .get(function.0 as usize)
                    .zip(drafts.get_mut(function.0 as usize))
                    .ok_or_else(|| wrong("there is no such function"))?;
                let piece = |label: &LabelId| {
                    let at = from.labels.get(label.0 as usize).map(|place| place.at);
                    at.filter(|at| *at < from.code.len())
                };
                let list: Option<Vec<usize>> = targets.iter().map(piece).collect();
                let list = list.ok_or_else(|| wrong("a label of it is not one of its function"))?;
                if data.section != Section::Rodata {
                    return Err(wrong("a jump table is read only"));
                }
                object.size = u32::try_from(targets.len().saturating_mul(8)).unwrap_or(u32::MAX);
                object.kind = table_kind(*function);
                draft.tables.push((id, list));
            }
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The labels with states, in address order.
fn labels(program: &Program, lowered: &Lowered) -> Result<Vec<Label>, Box<Refused>> {
    let mut labels: Vec<Label> = Vec::new();
    for ((i, function), info) in (0..).zip(&program.functions).zip(&lowered.functions) {
        let first = labels.len();
        for place in &function.labels {
            let wrong =
                |what| Refused::of_instruction(program, FnId(i), place.at, Why::Malformed(what));
            if let (Some(state), Some(instruction)) =
                (&place.state, info.instructions.get(place.at))
            {
                if !well_formed(state) {
                    return Err(wrong("the frame of the state of a label is none"));
                }
                labels.push(Label { offset: instruction.offset, state: state.clone() });
            }
        }
        let own = labels.get_mut(first..).unwrap_or_default();
        own.sort_by_key(|label| label.offset);
        if let Some(twice) = own.windows(2).find(|two| two[0].offset == two[1].offset) {
            let at = info.instructions.partition_point(|inst| inst.offset < twice[0].offset);
            let what = "two states are said of one place";
            return Err(Refused::of_instruction(program, FnId(i), at, Why::Malformed(what)));
        }
    }
    Ok(labels)
}

/// Can what the state says of the frame be computed with? All else is for the judge.
fn well_formed(state: &LabelState) -> bool {
    let near = |at: i64| at.unsigned_abs() <= FRAME;
    let frame = |at: i64| at % 8 == 0 && near(at);
    let sorted = |list: &[(i64, Word)]| list.is_sorted_by(|a, b| a.0 < b.0);
    state.delta <= 0
        && frame(state.delta)
        && near(state.touched)
        && sorted(&state.slots)
        && state.slots.iter().all(|(at, word)| frame(*at) && *word != Word::Junk)
        && state.lent.iter().all(|lent| frame(lent.offset) && lent.size >= 0 && near(lent.size))
}
