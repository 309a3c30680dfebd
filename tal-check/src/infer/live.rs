//! Not trusted: a bug here can reject, never admit. Which registers may still be read, and from
//! where the program is sure to end.
//!
//! A register that nobody reads any more is junk in the state of a label, so that two ways in need
//! not agree on it. Backward data flow over the decoded instructions (Kildall 1973); widths are
//! ignored: a partial write keeps its register alive.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::image::{Image, Interface};
use tal_core::limits;
use tal_core::ty::{Reg, Sig, Words};

/// A set of general registers by encoding number.
pub(crate) type RegSet = u16;

const ALL: RegSet = 0xffff;

fn bit(reg: Reg) -> RegSet {
    1 << (reg as u16)
}

fn callee_saved() -> RegSet {
    Reg::ALL.iter().filter(|r| r.callee_saved()).fold(bit(Reg::Rsp), |set, r| set | bit(*r))
}

/// One instruction of a function: what it reads and overwrites, and where it can go.
struct Node {
    offset: u32,
    /// What stands behind it.
    next: u32,
    reads: RegSet,
    writes: RegSet,
    successors: Vec<u32>,
    /// May control go back to the caller from here?
    returns: bool,
}

/// What is known of a function's instructions, by their offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Registers that may be read before they are written.
    pub(crate) live: BTreeMap<u32, RegSet>,
    /// From these every way leads to the end of the program, without a loop: nothing that is owned
    /// there is of use for long.
    pub(crate) dead_ends: BTreeSet<u32>,
    /// To these one jump or condition leads, and nothing else: the judge goes on there with what it
    /// knows (rule[edge-block]).
    pub(crate) single: BTreeSet<u32>,
}

/// The flow of the function at `[start, end)` of the text.
pub(crate) fn flow(
    image: &Image<'_>,
    interface: &Interface,
    (start, end): (u32, u32),
    own: &Sig,
) -> Flow {
    let nodes = decode(image, interface, start, end, own);
    Flow { live: live(&nodes), dead_ends: dead_ends(&nodes), single: single(&nodes) }
}

/// What a single way leads to, if that is a jump.
fn single(nodes: &[Node]) -> BTreeSet<u32> {
    // How many ways lead there, and whether one of them is the way to the next instruction.
    let mut into: BTreeMap<u32, (usize, bool)> = BTreeMap::new();
    for node in nodes {
        for to in &node.successors {
            let (count, runs_on) = into.entry(*to).or_default();
            *count += 1;
            *runs_on |= *to == node.next;
        }
    }
    // A caller leads to the first.
    let first = nodes.first().map(|node| node.offset);
    let alone =
        |(to, ways): (u32, (usize, bool))| (ways == (1, false) && Some(to) != first).then_some(to);
    into.into_iter().filter_map(alone).collect()
}

/// The least set that holds what ends the program and what leads only into the set.
fn dead_ends(nodes: &[Node]) -> BTreeSet<u32> {
    let mut ends = BTreeSet::new();
    loop {
        let before = ends.len();
        for node in nodes.iter().rev() {
            if !node.returns && node.successors.iter().all(|s| ends.contains(s)) {
                ends.insert(node.offset);
            }
        }
        if ends.len() == before {
            return ends;
        }
    }
}

/// Live registers before each instruction.
fn live(nodes: &[Node]) -> BTreeMap<u32, RegSet> {
    let mut live: BTreeMap<u32, RegSet> = nodes.iter().map(|n| (n.offset, 0)).collect();
    loop {
        let mut changed = false;
        for node in nodes.iter().rev() {
            let after =
                node.successors.iter().fold(0, |set, s| set | live.get(s).copied().unwrap_or(ALL));
            let before = node.reads | (after & !node.writes);
            let old = live.insert(node.offset, before);
            changed |= old != Some(before);
        }
        if !changed {
            return live;
        }
    }
}

fn decode(image: &Image<'_>, interface: &Interface, start: u32, end: u32, own: &Sig) -> Vec<Node> {
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
    for used in info.info(instruction).used_registers() {
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
    Node { offset, next, reads, writes, successors: vec![next], returns: false }
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
            node.successors.clear();
            node.returns = true;
        }
        FlowControl::Call | FlowControl::IndirectCall => {
            let callee = target_sig(instruction, image, interface);
            node.reads |= callee.map_or(ALL, |sig| declared(&sig.pre.regs));
            node.writes |= caller_saved;
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
                    node.returns = callee.is_none_or(|sig| sig.post.is_some());
                }
            }
        }
        // A jump table: any label of the function, so everything that any of them reads.
        _ => {
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

fn target_sig<'a>(
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

fn declared(regs: &Words) -> RegSet {
    regs.iter().fold(0, |set, (r, _)| set | bit(*r))
}
