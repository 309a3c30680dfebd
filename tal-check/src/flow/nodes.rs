//! Not trusted: a bug here can reject, never admit. The instructions of a function, each with what
//! it reads, writes, asks and compares, and where it leads.
//!
//! Cost: each instruction is decoded once.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfo, InstructionInfoFactory,
    Mnemonic, OpAccess, Register,
};
use tal_core::image::{Image, Interface};
use tal_core::limits;
use tal_core::term::Var;
use tal_core::ty::{Bounds, Reg, Sig, Word, Words};

/// A set of general registers by encoding number.
pub(crate) type RegSet = u16;

pub(super) const ALL: RegSet = 0xffff;

fn bit(reg: Reg) -> RegSet {
    1 << (reg as u16)
}

fn callee_saved() -> RegSet {
    Reg::ALL.iter().filter(|r| r.callee_saved()).fold(bit(Reg::Rsp), |set, r| set | bit(*r))
}

/// The flags, where registers stand: rsp's place, which is never asked about.
pub(super) const FLAGS: RegSet = 1 << Reg::Rsp as u16;

/// How one instruction changes a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Change {
    /// The register, by number.
    pub(super) reg: u8,
    /// The constant that it adds.
    pub(super) by: i64,
}

/// A comparison of a register with a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Limit {
    /// The register, by number.
    pub(super) reg: u8,
    /// The constant.
    pub(super) at: i64,
}

/// One instruction of a function: what it reads and overwrites, and where it can go.
pub(super) struct Node {
    pub(super) offset: u32,
    /// What stands behind it.
    pub(super) next: u32,
    pub(super) reads: RegSet,
    pub(super) writes: RegSet,
    /// What it reads for itself: addresses, arguments, what it stores, divides or repeats by.
    pub(super) asks: RegSet,
    /// Results that have to be numbers of 64 bits, and nothing else.
    pub(super) gives: RegSet,
    /// What it changes or, of [`FLAGS`], sets.
    pub(super) changes: RegSet,
    /// What it reads to compute that, with [`FLAGS`].
    pub(super) takes: RegSet,
    /// Does it compare what it takes?
    pub(super) compares: bool,
    /// Is a constant added to a register, and is that all it does to registers?
    pub(super) adds: Option<Change>,
    /// Does it compare a wide register with a constant?
    pub(super) limit: Option<Limit>,
    pub(super) successors: Vec<u32>,
    /// May control go back to the caller from here?
    pub(super) returns: bool,
}

pub(super) fn decode(
    image: &Image<'_>,
    interface: &Interface,
    start: u32,
    end: u32,
    own: &Sig,
) -> Vec<Node> {
    let base = u64::from(image.text_address);
    let bytes = image.text.get(start as usize..end as usize).unwrap_or_default();
    let mut decoder =
        Decoder::with_ip(64, bytes, base + u64::from(start), DecoderOptions::NO_INVALID_CHECK);
    let mut info = InstructionInfoFactory::new();
    let mut nodes = Vec::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let mut node = plain(&instruction, &mut info, base);
        transfers(&mut node, &instruction, image, interface, (start, end), own);
        nodes.push(node);
    }
    nodes
}

fn plain(instruction: &Instruction, info: &mut InstructionInfoFactory, base: u64) -> Node {
    let offset = u32::try_from(instruction.ip() - base).unwrap_or(u32::MAX);
    let next = u32::try_from(instruction.next_ip() - base).unwrap_or(u32::MAX);
    let (mut reads, mut writes) = (0, 0);
    let info = info.info(instruction);
    for used in info.used_registers() {
        let Some(set) = register_bit(used.register()) else { continue };
        let wide = matches!(used.register().size(), 4 | 8);
        match used.access() {
            OpAccess::Read | OpAccess::CondRead => reads |= set,
            OpAccess::Write if wide => writes |= set,
            OpAccess::None | OpAccess::NoMemAccess => {}
            _ => reads |= set,
        }
    }
    // `xor r, r` and `sub r, r` do not depend on what was there.
    if instruction.op_count() == 2
        && instruction.op0_register() == instruction.op1_register()
        && matches!(instruction.mnemonic(), iced_x86::Mnemonic::Xor | iced_x86::Mnemonic::Sub)
        && let Some(set) = register_bit(instruction.op0_register())
    {
        reads &= !set;
        writes |= set;
    }
    let mut node = Node {
        offset,
        next,
        reads,
        writes,
        asks: 0,
        gives: 0,
        changes: writes,
        takes: reads & !FLAGS,
        compares: false,
        adds: None,
        limit: None,
        successors: vec![next],
        returns: false,
    };
    node.slice(instruction, info);
    node
}

impl Node {
    /// What is asked of the registers that a plain instruction reads.
    fn slice(&mut self, instruction: &Instruction, info: &InstructionInfo) {
        use Mnemonic::{
            Add, And, Cmp, Dec, Div, Idiv, Inc, Neg, Or, Rcl, Rcr, Rol, Ror, Sar, Shl, Shr, Sub,
            Test, Xor,
        };
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            self.changes |= register_bit(used.register()).unwrap_or(0);
        }
        self.changes &= !FLAGS;
        for used in info.used_memory() {
            let address = [used.base(), used.index()].into_iter().filter_map(register_bit);
            self.asks |= address.fold(0, |set, bit| set | bit) & !FLAGS;
            // It may be read again, or its type say something.
            if writes(used.access()) {
                self.asks |= self.takes;
            }
        }
        let mnemonic = instruction.mnemonic();
        if instruction.is_string_instruction() || matches!(mnemonic, Div | Idiv) {
            self.asks |= self.takes;
        }
        // The count of a shift.
        if matches!(mnemonic, Shl | Shr | Sar | Rol | Ror | Rcl | Rcr)
            && let Some(count) = register_bit(instruction.op1_register())
        {
            self.asks |= count;
        }
        if instruction.rflags_read() != 0 {
            self.takes |= FLAGS;
        }
        if instruction.rflags_modified() != 0 {
            self.changes |= FLAGS;
        }
        self.compares =
            matches!(mnemonic, Cmp | Test | Sub | Add | Dec | Inc | And | Or | Xor | Neg);
        self.adds = added(instruction);
        self.limit = limited(instruction);
    }
}

/// Is that a write, perhaps among others?
pub(crate) fn writes(access: OpAccess) -> bool {
    use OpAccess::{CondWrite, ReadCondWrite, ReadWrite, Write};
    matches!(access, Write | CondWrite | ReadWrite | ReadCondWrite)
}

/// The number of a wide register that stands first.
fn wide(instruction: &Instruction) -> Option<u8> {
    let register = instruction.op0_register();
    let wide = register.is_gpr32() || register.is_gpr64();
    u8::try_from(register.full_register().number()).ok().filter(|_| wide)
}

/// The constant that stands second. Negative ones are extended.
fn constant(instruction: &Instruction) -> Option<i64> {
    instruction.try_immediate(1).ok().map(u64::cast_signed)
}

/// The constant that a wide instruction adds to a register.
fn added(instruction: &Instruction) -> Option<Change> {
    let by = match instruction.mnemonic() {
        Mnemonic::Inc => 1,
        Mnemonic::Dec => -1,
        Mnemonic::Add => constant(instruction)?,
        Mnemonic::Sub => constant(instruction)?.checked_neg()?,
        Mnemonic::Lea
            if instruction.memory_base() == instruction.op0_register()
                && instruction.memory_index() == Register::None =>
        {
            instruction.memory_displacement64().cast_signed()
        }
        _ => return None,
    };
    Some(Change { reg: wide(instruction)?, by })
}

/// The constant that a wide register is compared with.
fn limited(instruction: &Instruction) -> Option<Limit> {
    let compares = instruction.mnemonic() == Mnemonic::Cmp;
    let at = compares.then(|| constant(instruction)).flatten()?;
    Some(Limit { reg: wide(instruction)?, at })
}

fn register_bit(register: Register) -> Option<RegSet> {
    let full = register.full_register();
    full.is_gpr64().then(|| 1 << full.number())
}

/// Corrects a node for calls, jumps and returns.
fn transfers(
    node: &mut Node,
    instruction: &Instruction,
    image: &Image<'_>,
    interface: &Interface,
    (start, end): (u32, u32),
    own: &Sig,
) {
    let caller_saved = !callee_saved();
    match instruction.flow_control() {
        FlowControl::Next => {}
        FlowControl::Return => {
            let results = own.post.as_ref().map_or(0, |post| declared(&post.state.regs));
            node.reads |= results | callee_saved();
            let (told, plain) = told(own);
            node.asks |= (callee_saved() & !FLAGS) | told;
            node.gives = plain;
            node.successors.clear();
            node.returns = true;
        }
        FlowControl::Call | FlowControl::IndirectCall => {
            let callee = target_sig(instruction, image, interface);
            let arguments = callee.map_or(ALL, |sig| declared(&sig.pre.regs));
            node.reads |= arguments;
            node.asks |= (arguments | node.takes) & !FLAGS;
            node.writes |= caller_saved;
            node.changes = FLAGS | (caller_saved & !bit(Reg::Rsp));
            if callee.is_some_and(|sig| sig.post.is_none()) {
                node.successors.clear();
            }
        }
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
            if instruction.flow_control() == FlowControl::UnconditionalBranch {
                node.successors.clear();
            }
            let to = instruction.near_branch_target().wrapping_sub(u64::from(image.text_address));
            match u32::try_from(to) {
                Ok(to) if (start..end).contains(&to) => node.successors.push(to),
                _ => {
                    let callee = target_sig(instruction, image, interface);
                    let arguments = callee.map_or(ALL, |sig| declared(&sig.pre.regs));
                    node.reads |= arguments | callee_saved();
                    node.asks |= (arguments | callee_saved()) & !FLAGS;
                    node.returns = callee.is_none_or(|sig| sig.post.is_some());
                }
            }
        }
        // A jump table: any label of the function, so everything that any of them reads.
        _ => {
            node.asks |= node.takes & !FLAGS;
            node.successors = image
                .labels
                .iter()
                .copied()
                .filter(|offset| (start..end).contains(offset))
                .collect();
        }
    }
}

/// Does the instruction call something that never comes back?
pub(crate) fn calls_never(
    instruction: &Instruction,
    image: &Image<'_>,
    interface: &Interface,
) -> bool {
    let callee = target_sig(instruction, image, interface);
    instruction.is_call_near() && callee.is_some_and(|sig| sig.post.is_none())
}

/// What the entry wants to which a call or a jump leads, if that is one that is known.
pub(crate) fn target_sig<'a>(
    instruction: &Instruction,
    image: &'a Image<'_>,
    interface: &'a Interface,
) -> Option<&'a Sig> {
    if !instruction.is_call_near()
        && !instruction.is_jmp_short_or_near()
        && !instruction.is_jcc_short_or_near()
    {
        return None;
    }
    let target = instruction.near_branch_target();
    let gates = limits::GATES..limits::GATES + limits::GATE_SIZE * limits::IMPORTS as u64;
    if gates.contains(&target) {
        let gate = usize::try_from((target - limits::GATES) / limits::GATE_SIZE).ok()?;
        let import = *image.imports.get(gate)?;
        return interface.imports.get(usize::from(import)).map(|sig| &**sig);
    }
    let offset = u32::try_from(target.checked_sub(u64::from(image.text_address))?).ok()?;
    let at = image.functions.binary_search_by_key(&offset, |f| f.offset).ok()?;
    image.sigs.get(image.functions[at].sig as usize).map(|sig| &**sig)
}

/// The results of which something is declared, and those that are numbers of 64 bits, no more.
fn told(own: &Sig) -> (RegSet, RegSet) {
    let Some(post) = &own.post else { return (0, 0) };
    let state = &post.state;
    let plain = state.caps.is_empty() && state.views.is_empty();
    // The bounds of a variable that stands for a result and is in no fact.
    let alone = |word: &Word| {
        let Word::Int(term) = word else { return None };
        let v = term.as_var()?;
        let Var::Free(i) = v else { return None };
        // The variables of the result come behind those of the signature.
        let bounds = post.vars.get(usize::from(i).checked_sub(own.vars.len())?)?.bounds()?;
        let told = state.facts.iter().any(|f| f.term.vars().any(|w| w == v));
        let twice = state.regs.iter().filter(|(_, other)| other == word).count() > 1;
        (plain && !told && !twice).then_some(bounds)
    };
    let (mut told, mut numbers) = (0, 0);
    for (reg, word) in state.regs.iter() {
        match alone(word) {
            Some(bounds) if bounds == Bounds::NONE => {}
            Some(bounds) if bounds == Bounds::of_bits(64, false) => numbers |= bit(*reg),
            _ => told |= bit(*reg),
        }
    }
    (told, numbers)
}

fn declared(regs: &Words) -> RegSet {
    regs.iter().fold(0, |set, (r, _)| set | bit(*r))
}
