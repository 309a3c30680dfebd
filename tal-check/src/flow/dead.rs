//! Not trusted: a bug here can reject, never admit. Code that nothing leads to.
//!
//! The judge runs every byte of a function from an entry or a label on; what stands behind a jump
//! and has no label is in no block, and of a label that no way leads to nothing is known. Both are
//! seen here by following jumps from the entry, before anything is inferred.

use super::calls_never;
use super::tables::table_labels_at;
use crate::lowered::{FnInfo, Lowered};
use iced_x86::{FlowControl, Instruction, OpKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tal_core::image::{Image, Interface};

/// The dead code of a function.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    /// The instructions that no way leads to.
    pub(crate) instructions: BTreeSet<u32>,
    /// Of what stands together the first and the end; not what only this leads to.
    pub(crate) runs: Vec<Range<u32>>,
}

/// What a function has of it.
pub(crate) fn dead(
    lowered: &Lowered,
    image: &Image<'_>,
    interface: &Interface,
    function: &FnInfo,
) -> Dead {
    let range = function.offset..function.end();
    let code: Vec<Instruction> = lowered.instructions(range.start, range.end).collect();
    let ways: BTreeMap<u32, Vec<u32>> = code
        .iter()
        .map(|i| (lowered.offset_of(i), ways(lowered, image, interface, i, &range)))
        .collect();
    let mut reached = BTreeSet::new();
    flood(&ways, vec![function.offset], &mut reached);
    let mut dead = Dead::default();
    let mut led_to = BTreeSet::new();
    let mut at = 0;
    while let Some(first) = code.get(at) {
        let start = lowered.offset_of(first);
        at += 1;
        // Between blocks the judge passes over these.
        if reached.contains(&start) || is_padding(lowered, first) {
            continue;
        }
        let mut end = next_of(lowered, first);
        let mut run = vec![start];
        while let Some(more) = code.get(at).filter(|i| !reached.contains(&lowered.offset_of(i))) {
            run.push(lowered.offset_of(more));
            end = next_of(lowered, more);
            at += 1;
        }
        dead.instructions.extend(&run);
        if !led_to.contains(&start) {
            dead.runs.push(start..end);
        }
        flood(&ways, run, &mut led_to);
    }
    dead
}

fn is_padding(lowered: &Lowered, instruction: &Instruction) -> bool {
    let byte = lowered.text.get(lowered.offset_of(instruction) as usize);
    instruction.len() == 1 && matches!(byte, Some(0x90 | 0xCC))
}

fn next_of(lowered: &Lowered, instruction: &Instruction) -> u32 {
    let len = u32::try_from(instruction.len()).unwrap_or(0);
    lowered.offset_of(instruction).saturating_add(len)
}

/// Adds what these lead to, themselves included.
pub(crate) fn flood(ways: &BTreeMap<u32, Vec<u32>>, mut work: Vec<u32>, found: &mut BTreeSet<u32>) {
    while let Some(at) = work.pop() {
        if found.insert(at) {
            work.extend(ways.get(&at).into_iter().flatten());
        }
    }
}

/// Where control goes from an instruction, within the function.
pub(crate) fn ways(
    lowered: &Lowered,
    image: &Image<'_>,
    interface: &Interface,
    instruction: &Instruction,
    range: &Range<u32>,
) -> Vec<u32> {
    let next = next_of(lowered, instruction);
    let near = || {
        let address = instruction.near_branch_target();
        let offset = address.checked_sub(u64::from(image.text_address));
        offset.and_then(|o| u32::try_from(o).ok()).filter(|o| range.contains(o))
    };
    match instruction.flow_control() {
        FlowControl::Return | FlowControl::Exception => Vec::new(),
        FlowControl::UnconditionalBranch => near().into_iter().collect(),
        FlowControl::ConditionalBranch => near().into_iter().chain([next]).collect(),
        FlowControl::IndirectBranch if instruction.op0_kind() == OpKind::Memory => {
            let table = instruction.memory_displacement64();
            let data = lowered.data.iter().find(|d| u64::from(d.address) == table);
            data.map_or(Vec::new(), |d| table_labels_at(lowered, d))
        }
        FlowControl::IndirectBranch => Vec::new(),
        FlowControl::Call if calls_never(instruction, image, interface) => Vec::new(),
        _ => vec![next],
    }
}
