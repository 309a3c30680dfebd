//! Not trusted: a bug here can reject, never admit. What each turn of a loop adds to registers.
//!
//! Natural loops (Aho, Sethi, Ullman, Compilers, 10.4) by [`dominators`]. A register that all
//! writes in a loop change by constants only is one of its basic induction variables (the same,
//! 9.3): it has a variable of its own at the head of the loop from the first visit on, in steps of
//! what the constants have in common, and of the bounds that hold there those that a turn keeps. So
//! most heads are right at the first visit, and nothing behind them is run anew.
//!
//! Cost: the blocks of the loops, each as often as loops lie around it.

use super::dominators::{dominators, reverse_postorder};
use super::nodes::{Change, Node};
use num_integer::Integer;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::ty::Reg;

/// What the turns of a loop do to each register.
pub(crate) type Turns = [Turn; 16];

/// What the turns of a loop do to a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Turn {
    /// Do they write it?
    pub(crate) changed: bool,
    /// If they only add constants to it: what these are multiples of; else zero.
    pub(crate) step: u64,
    /// 1 if it rises, -1 if it falls, 0 if that depends or is not known.
    pub(crate) sign: i8,
    /// Registers of the same pace go together: so many steps of one are so many of the other, in
    /// the same direction or always against it.
    pub(crate) pace: u64,
    /// A constant that it is compared with, and whether that is done before it is changed.
    pub(crate) limit: Option<(i64, bool)>,
}

/// A basic block: some nodes, and the numbers of blocks before and behind it.
struct Block<'a> {
    nodes: &'a [Node],
    to: Vec<usize>,
    from: Vec<usize>,
}

/// What the loops of a function do to registers, by the offset of their head.
pub(super) fn turns(nodes: &[Node]) -> BTreeMap<u32, Turns> {
    let blocks = blocks(nodes);
    let idom = dominators(blocks.len(), |block| &blocks[block].from);
    let dominates = |a: usize, mut b: usize| {
        // What dominates has a lower number.
        while b > a {
            b = idom[b];
        }
        a == b
    };
    let mut heads: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, block) in blocks.iter().enumerate() {
        for head in block.to.iter().filter(|head| dominates(**head, at)) {
            heads.entry(*head).or_default().push(at);
        }
    }
    let found = heads.into_iter().filter_map(|(head, tails)| {
        let mut inside = BTreeSet::from([head]);
        let mut work = tails;
        while let Some(block) = work.pop() {
            if inside.insert(block) {
                work.extend(&blocks[block].from);
            }
        }
        let own: Vec<&[Node]> = inside.iter().map(|block| blocks[*block].nodes).collect();
        Some((blocks[head].nodes.first()?.offset, of_loop(&own)))
    });
    found.collect()
}

/// What these blocks do to registers, the head first.
fn of_loop(blocks: &[&[Node]]) -> Turns {
    let mut turns = Turns::default();
    let (mut otherwise, mut rises, mut falls) = (0, 0, 0);
    for node in blocks.iter().copied().flatten() {
        match node.adds {
            Some(Change { reg, by }) => {
                let turn = &mut turns[usize::from(reg & 15)];
                turn.step = turn.step.gcd(&by.unsigned_abs());
                *(if by > 0 { &mut rises } else { &mut falls }) |= 1_u16 << (reg & 15);
            }
            None => otherwise |= node.changes,
        }
    }
    for (i, turn) in turns.iter_mut().enumerate() {
        let is = |set: u16| set >> i & 1 == 1;
        turn.changed = is(otherwise | rises | falls);
        if is(otherwise) || i == Reg::Rsp as usize {
            turn.step = 0;
        }
        if turn.step == 0 {
            continue;
        }
        turn.sign = i8::from(is(rises)) - i8::from(is(falls));
        turn.pace = pace(blocks, i, turn.step);
        turn.limit = limit(blocks, i);
    }
    turns
}

/// What each block adds to the register, in steps, and up to the sign; as a hash (FNV-1a).
fn pace(blocks: &[&[Node]], reg: usize, step: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut sign = 0;
    for (at, block) in (0_i128..).zip(blocks) {
        let own = block.iter().filter_map(|node| node.adds);
        let own = own.filter(|change| usize::from(change.reg) == reg);
        let sum = own.fold(0, |sum, change| sum + i128::from(change.by)) / i128::from(step);
        if sum == 0 {
            continue;
        }
        if sign == 0 {
            sign = sum.signum();
        }
        for byte in (at << 64 ^ (sum * sign)).to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

/// What the register is compared with.
fn limit(blocks: &[&[Node]], reg: usize) -> Option<(i64, bool)> {
    let mut before = true;
    for node in blocks.iter().copied().flatten() {
        if let Some(limit) = node.limit.filter(|limit| usize::from(limit.reg) == reg) {
            return Some((limit.at, before));
        }
        before &= node.adds.is_none_or(|change| usize::from(change.reg) != reg);
    }
    None
}

/// The blocks that the first leads to, in reverse postorder.
fn blocks(nodes: &[Node]) -> Vec<Block<'_>> {
    let at = |offset: u32| nodes.binary_search_by_key(&offset, |n| n.offset).ok();
    let mut leads = vec![false; nodes.len()];
    if let Some(first) = leads.first_mut() {
        *first = true;
    }
    for (i, node) in nodes.iter().enumerate() {
        let next = nodes.get(i + 1).map(|n| n.offset);
        if node.successors.len() == 1 && node.successors.first().copied() == next {
            continue;
        }
        let after = (i + 1 < nodes.len()).then_some(i + 1);
        for to in node.successors.iter().filter_map(|to| at(*to)).chain(after) {
            leads[to] = true;
        }
    }
    let firsts: Vec<usize> = (0..nodes.len()).filter(|i| leads[*i]).collect();
    let mut all: Vec<(&[Node], Vec<usize>)> = Vec::with_capacity(firsts.len());
    for (i, first) in firsts.iter().enumerate() {
        let own = &nodes[*first..firsts.get(i + 1).copied().unwrap_or(nodes.len())];
        let to = own.last().into_iter().flat_map(|last| &last.successors);
        // Every successor leads a block.
        let to = to.filter_map(|to| firsts.binary_search(&at(*to)?).ok());
        all.push((own, to.collect()));
    }
    let order = reverse_postorder(0, |block| all.get(block).map(|(_, to)| to.as_slice()));
    let mut number = vec![0; all.len()];
    for (place, block) in order.iter().enumerate() {
        number[*block] = place;
    }
    let mut blocks: Vec<Block<'_>> = order
        .iter()
        .map(|block| {
            let (nodes, to) = &all[*block];
            let to = to.iter().map(|to| number[*to]).collect();
            Block { nodes, to, from: Vec::new() }
        })
        .collect();
    for block in 0..blocks.len() {
        for to in blocks[block].to.clone() {
            blocks[to].from.push(block);
        }
    }
    blocks
}
