//! Not trusted: a bug here can reject, never admit. What each turn of a loop adds to registers.
//!
//! Natural loops (Aho, Sethi, Ullman, Compilers, 10.4) by dominators (Cooper, Harvey, Kennedy, A
//! simple, fast dominance algorithm, 2001). A register that all writes in a loop change by
//! constants only is one of its basic induction variables: it has a variable of its own at the
//! head of the loop from the first visit on, in steps of what the constants have in common, so
//! that the second visit does not have to find the form of the state, and all behind it anew.
//!
//! Cost: the blocks of the loops, each as often as loops lie around it.

use super::live::Node;
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

/// A basic block: a range of nodes.
struct Block {
    first: usize,
    end: usize,
    to: Vec<usize>,
    from: Vec<usize>,
}

/// The steps of the loops of a function, by the offset of their head.
pub(super) fn steps(nodes: &[Node]) -> BTreeMap<u32, Steps> {
    let blocks = blocks(nodes);
    let (order, number) = reverse_postorder(&blocks);
    let idom = dominators(&blocks, &order, &number);
    let dominates = |a: usize, mut b: usize| {
        // By their place in the order: what dominates stands before.
        while b > a {
            b = idom[b];
        }
        a == b
    };
    let mut heads: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, block) in order.iter().enumerate() {
        for to in &blocks[*block].to {
            let Some(head) = number[*to] else { continue };
            if head <= at && dominates(head, at) {
                heads.entry(*to).or_default().push(*block);
            }
        }
    }
    let of_blocks: Vec<Sum> = blocks.iter().map(|b| Sum::of(&nodes[b.first..b.end])).collect();
    let found = heads.into_iter().filter_map(|(head, tails)| {
        let mut inside = vec![false; blocks.len()];
        inside[head] = true;
        let mut work = tails;
        let mut sum = of_blocks[head];
        while let Some(block) = work.pop() {
            if !std::mem::replace(&mut inside[block], true) {
                sum = sum.and(&of_blocks[block]);
                work.extend(&blocks[block].from);
            }
        }
        Some((nodes.get(blocks[head].first)?.offset, sum.steps()))
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

fn blocks(nodes: &[Node]) -> Vec<Block> {
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
    let block_at = |node: usize| firsts.partition_point(|first| *first <= node).checked_sub(1);
    let mut blocks: Vec<Block> = Vec::with_capacity(firsts.len());
    for (i, first) in firsts.iter().enumerate() {
        let end = firsts.get(i + 1).copied().unwrap_or(nodes.len());
        let last = end.checked_sub(1).and_then(|last| nodes.get(last));
        let to = last.iter().flat_map(|last| &last.successors);
        let to = to.filter_map(|to| block_at(at(*to)?)).collect();
        blocks.push(Block { first: *first, end, to, from: Vec::new() });
    }
    for i in 0..blocks.len() {
        for to in blocks[i].to.clone() {
            blocks[to].from.push(i);
        }
    }
    blocks
}

/// The blocks that the first leads to, each behind one that leads to it, and their places there.
fn reverse_postorder(blocks: &[Block]) -> (Vec<usize>, Vec<Option<usize>>) {
    let (mut order, mut seen) = (Vec::new(), vec![false; blocks.len()]);
    let mut work = vec![(0, false)];
    while let Some((at, done)) = work.pop() {
        if done {
            order.push(at);
        } else if blocks.get(at).is_some() && !std::mem::replace(&mut seen[at], true) {
            work.push((at, true));
            work.extend(blocks[at].to.iter().rev().map(|to| (*to, false)));
        }
    }
    order.reverse();
    let mut number = vec![None; blocks.len()];
    for (place, block) in order.iter().enumerate() {
        number[*block] = Some(place);
    }
    (order, number)
}

/// The immediate dominator of each block, all by their places in the order; of the first itself.
fn dominators(blocks: &[Block], order: &[usize], number: &[Option<usize>]) -> Vec<usize> {
    const UNKNOWN: usize = usize::MAX;
    let mut idom = vec![UNKNOWN; order.len()];
    if let Some(first) = idom.first_mut() {
        *first = 0;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for (at, block) in order.iter().enumerate().skip(1) {
            let from = blocks[*block].from.iter().filter_map(|from| number[*from]);
            let known = from.filter(|from| idom[*from] != UNKNOWN);
            let meet = |mut a: usize, mut b: usize| {
                while a != b {
                    let later = if a > b { &mut a } else { &mut b };
                    *later = idom[*later];
                }
                a
            };
            let new = known.reduce(meet).unwrap_or(0);
            changed |= idom[at] != new;
            idom[at] = new;
        }
    }
    idom
}
