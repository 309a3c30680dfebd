//! Not trusted: a bug here can reject, never admit. Long blocks, cut.
//!
//! The judge forgets no fact inside of a block, and keeps only so many. At a label it knows what
//! the label states and nothing else. So a block that is too long gets labels of our own, at which
//! inference keeps what is of use: nobody jumps there, and no name stands there.

use crate::infer::Trouble;
use crate::lowered::{FnInfo, Lowered};
use crate::refusal::Refusal;
use iced_x86::{FlowControl, Instruction, RflagsBits};
use std::collections::BTreeSet;
use tal_core::error::Kind;
use tal_core::hint::Start;
use tal_write::Label;

/// How many times a block that is still too long is cut finer.
pub(crate) const ROUNDS: usize = 3;

/// Was the program refused because something is too large?
pub(crate) fn too_long(refusals: &[Refusal]) -> bool {
    refusals.iter().any(|r| limit(r).is_some())
}

/// Where to cut the blocks that met a limit: twice as often as it takes to meet it.
pub(crate) fn cuts(lowered: &Lowered, labels: &[Label], refusals: &[Refusal]) -> BTreeSet<u32> {
    let mut cuts = BTreeSet::new();
    for (begin, met) in refusals.iter().filter_map(|r| limit_at(lowered, labels, r)) {
        let function = lowered.functions.iter().find(|f| f.offset <= begin && met < f.end());
        if let Some(function) = function {
            cut(lowered, function, labels, (begin, met), &mut cuts);
        }
    }
    cuts
}

fn limit(refusal: &Refusal) -> Option<(Start, u32)> {
    match refusal {
        Refusal::Trouble(_, Trouble::Block { start, error }) if error.kind == Kind::Limit => {
            Some((*start, error.site?))
        }
        _ => None,
    }
}

/// Start of the block, and the instruction at which it met the limit.
fn limit_at(lowered: &Lowered, labels: &[Label], refusal: &Refusal) -> Option<(u32, u32)> {
    let (start, met) = limit(refusal)?;
    let begin = match start {
        Start::Entry(id) => lowered.functions.get(id.0 as usize)?.offset,
        Start::Label(label) => labels.get(label as usize)?.offset,
        Start::Block { to, .. } => to,
    };
    Some((begin, met))
}

/// Adds cuts of one block, from its start to where control surely leaves it.
fn cut(
    lowered: &Lowered,
    function: &FnInfo,
    labels: &[Label],
    (begin, met): (u32, u32),
    cuts: &mut BTreeSet<u32>,
) {
    let label = labels.iter().map(|l| l.offset).find(|at| *at > begin);
    let end = label.unwrap_or(u32::MAX).min(function.end());
    let block = instructions(lowered, begin, end);
    let stride = block.iter().take_while(|i| lowered.offset_of(i) < met).count() / 2;
    if stride == 0 {
        return;
    }
    let mut at = stride;
    while at < block.len() {
        match (at..block.len()).find(|at| flags_are_dead(&block[*at..])) {
            Some(free) => {
                cuts.insert(lowered.offset_of(&block[free]));
                at = free + stride;
            }
            None => return,
        }
    }
}

/// The instructions from one offset to another, or to the first that control does not run past.
fn instructions(lowered: &Lowered, begin: u32, end: u32) -> Vec<Instruction> {
    let mut block = Vec::new();
    for instruction in lowered.instructions(begin, end) {
        block.push(instruction);
        let leaves = matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return
        );
        if leaves {
            break;
        }
    }
    block
}

/// Does no instruction read flags that were set before the first of these? At a label there are
/// none.
fn flags_are_dead(rest: &[Instruction]) -> bool {
    const ALL: u32 = RflagsBits::OF
        | RflagsBits::SF
        | RflagsBits::ZF
        | RflagsBits::AF
        | RflagsBits::CF
        | RflagsBits::PF;
    let mut written = 0;
    for instruction in rest {
        if instruction.rflags_read() & ALL & !written != 0 {
            return false;
        }
        written |= instruction.rflags_modified();
        let call = matches!(
            instruction.flow_control(),
            FlowControl::Call | FlowControl::IndirectCall | FlowControl::Return
        );
        if call || written & ALL == ALL {
            return true;
        }
    }
    // Behind the end there is a label or another function.
    true
}
