//! Not trusted: a bug here can reject, never admit. The order of a flow graph, and its dominators.
//!
//! Dominators after Cooper, Harvey and Kennedy, A simple, fast dominance algorithm, 2001. Cost: the
//! edges, a few times.

use std::collections::BTreeSet;

/// The nodes that the first leads to, it first, each behind one that leads to it. What has no list
/// of successors is no node.
pub(crate) fn reverse_postorder<'a, N: Copy + Ord + 'a>(
    first: N,
    successors: impl Fn(N) -> Option<&'a [N]>,
) -> Vec<N> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    let mut work = vec![(first, false)];
    while let Some((at, done)) = work.pop() {
        let Some(to) = successors(at) else { continue };
        if done {
            order.push(at);
        } else if seen.insert(at) {
            work.push((at, true));
            work.extend(to.iter().rev().map(|to| (*to, false)));
        }
    }
    order.reverse();
    order
}

/// The immediate dominator of each of these nodes, which are numbered in reverse postorder; of the
/// first itself.
pub(crate) fn dominators<'a>(
    count: usize,
    predecessors: impl Fn(usize) -> &'a [usize],
) -> Vec<usize> {
    const UNKNOWN: usize = usize::MAX;
    let mut idom = vec![UNKNOWN; count];
    if let Some(first) = idom.first_mut() {
        *first = 0;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for node in 1..count {
            let known = predecessors(node).iter().copied().filter(|from| idom[*from] != UNKNOWN);
            let meet = |mut a: usize, mut b: usize| {
                while a != b {
                    let later = if a > b { &mut a } else { &mut b };
                    *later = idom[*later];
                }
                a
            };
            let new = known.reduce(meet).unwrap_or(0);
            changed |= idom[node] != new;
            idom[node] = new;
        }
    }
    idom
}
