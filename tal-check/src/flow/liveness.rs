//! Not trusted: a bug here can reject, never admit. Which registers may still be read, of which it
//! matters what they hold, and from where the program is sure to end.
//!
//! A register that nobody reads any more is junk in the state of a label, so that two ways in need
//! not agree on it. One that is read for data only, that is, one that is in no backward slice
//! (Weiser 1981) of an address, an argument, a result of which something is declared, or a counter,
//! has some value there, of which nothing is said. Both by backward data flow over the decoded
//! instructions (Kildall 1973; the second is the one of faint variables); widths are ignored: a
//! partial write keeps its register alive.

use super::nodes::{ALL, FLAGS, Node, RegSet};
use std::collections::{BTreeMap, BTreeSet};

/// Registers of which it matters what they hold, before each instruction, by what each asks.
pub(super) fn matter(nodes: &[Node], asks: impl Fn(&Node) -> RegSet) -> BTreeMap<u32, RegSet> {
    // What is counted somewhere and compared somewhere bounds a loop.
    let compared = nodes.iter().filter(|n| n.compares).fold(0, |set, n| set | n.takes);
    let counted = nodes.iter().filter_map(|n| n.adds).fold(0, |set, add| set | 1 << add.reg);
    let counters = counted & compared & !FLAGS;
    let mut matter: BTreeMap<u32, RegSet> = nodes.iter().map(|n| (n.offset, 0)).collect();
    loop {
        let mut changed = false;
        for node in nodes.iter().rev() {
            let after = node
                .successors
                .iter()
                .fold(0, |set, s| set | matter.get(s).copied().unwrap_or(ALL));
            let mut before = asks(node) | (after & !node.writes);
            let feeds = after & node.changes != 0;
            // A comparison tells of one operand what is known of the other.
            let tells = node.compares && node.takes & (after | counters) & !FLAGS != 0;
            if node.changes & FLAGS != 0 {
                before &= !FLAGS;
            }
            if feeds || tells {
                before |= node.takes;
            }
            let old = matter.insert(node.offset, before);
            changed |= old != Some(before);
        }
        if !changed {
            return matter;
        }
    }
}

/// What a single way leads to, if that is a jump.
pub(super) fn single(nodes: &[Node]) -> BTreeSet<u32> {
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
pub(super) fn ends(nodes: &[Node]) -> BTreeSet<u32> {
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
pub(super) fn live(nodes: &[Node]) -> BTreeMap<u32, RegSet> {
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
