//! Not trusted: a bug here can reject, never admit. What each turn of a loop adds to registers.
//!
//! Natural loops (Aho, Sethi, Ullman, Compilers, 10.4) by [`dominators`]. A register that all
//! writes in a loop change by constants only is one of its basic induction variables: it has a
//! variable of its own at the head of the loop from the first visit on, in steps of what the
//! constants have in common, so that the second visit does not have to find the form of the state,
//! and all behind it anew.
//!
//! Cost: the blocks of the loops, each as often as loops lie around it.

use super::live::Node;
use crate::dominators::{dominators, reverse_postorder};
use num_integer::Integer;
use std::collections::BTreeMap;
use tal_core::ty::Reg;

/// What the turns of a loop add to a register: multiples of this; zero where they do more, or
/// nothing.
pub(crate) type Steps = [u64; 16];

/// How one instruction changes a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Change {
    /// The register, by number.
    pub(super) reg: u8,
    /// The constant that it adds, without its sign.
    pub(super) by: u64,
}

/// A basic block: some nodes, and the numbers of blocks before and behind it.
struct Block<'a> {
    nodes: &'a [Node],
    to: Vec<usize>,
    from: Vec<usize>,
}

/// The steps of the loops of a function, by the offset of their head.
pub(super) fn steps(nodes: &[Node]) -> BTreeMap<u32, Steps> {
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
    let sums: Vec<Sum> = blocks.iter().map(|block| Sum::of(block.nodes)).collect();
    let found = heads.into_iter().filter_map(|(head, tails)| {
        let mut inside = vec![false; blocks.len()];
        inside[head] = true;
        let mut work = tails;
        let mut sum = sums[head];
        while let Some(block) = work.pop() {
            if !std::mem::replace(&mut inside[block], true) {
                sum = sum.and(&sums[block]);
                work.extend(&blocks[block].from);
            }
        }
        Some((blocks[head].nodes.first()?.offset, sum.steps()))
    });
    found.collect()
}

/// What some instructions do to registers.
#[derive(Clone, Copy, Default)]
struct Sum {
    by: Steps,
    /// Registers that are changed otherwise.
    otherwise: u16,
}

impl Sum {
    fn of(nodes: &[Node]) -> Sum {
        let mut sum = Sum::default();
        for node in nodes {
            match node.adds {
                Some(Change { reg, by }) => {
                    let step = &mut sum.by[usize::from(reg & 15)];
                    *step = step.gcd(&by);
                }
                None => sum.otherwise |= node.changes,
            }
        }
        sum
    }

    fn and(&self, other: &Sum) -> Sum {
        let by = std::array::from_fn(|i| self.by[i].gcd(&other.by[i]));
        Sum { by, otherwise: self.otherwise | other.otherwise }
    }

    fn steps(&self) -> Steps {
        let only = |i: usize| self.otherwise >> i & 1 == 0 && i != Reg::Rsp as usize;
        std::array::from_fn(|i| if only(i) { self.by[i] } else { 0 })
    }
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
