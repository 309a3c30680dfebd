//! Not trusted: a bug here can reject, never admit. Which labels need a state.
//!
//! Where ways meet, the judge has to be told what all of them agree on. Where only one condition or
//! jump leads it goes on with what it knows (rule[edge-block]), and a state would only make it
//! forget. So what is written down are the heads of extended basic blocks (Muchnick, Advanced
//! Compiler Design and Implementation, 7.1), and what a source states.

use crate::flow::dead::{flood, ways};
use crate::lowered::{FnInfo, Lowered};
use crate::part::Part;
use iced_x86::{FlowControl, Instruction};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::limits;
use tal_write::Label;

/// So many blocks may lie in each other: half of the scopes; the others are left to labels.
const SPARE: usize = limits::SCOPES / 2;

/// The labels of these functions without those to which a single way leads.
pub(crate) fn joins(part: Part<'_>, labels: &[Label]) -> Vec<Label> {
    let Part { lowered, image, functions } = part;
    let interface = &lowered.host.interface;
    let mut blocks = BTreeSet::new();
    for (_, function) in lowered.some(functions) {
        let code = lowered.instructions(function.offset, function.end()).collect::<Vec<_>>();
        let range = function.offset..function.end();
        let way = |i| (lowered.offset_of(i), ways(lowered, image, interface, i, &range));
        let graph = Graph { code: &code, ways: code.iter().map(way).collect() };
        graph.blocks(lowered, function, &mut blocks);
    }
    labels.iter().filter(|label| !blocks.contains(&label.offset)).cloned().collect()
}

/// Where a condition leads within the function, and what follows it.
fn conditional(instruction: &Instruction, ways: &[u32]) -> Option<(u32, u32)> {
    match (instruction.flow_control(), ways) {
        (FlowControl::ConditionalBranch, [taken, next]) => Some((*taken, *next)),
        _ => None,
    }
}

/// A function.
struct Graph<'a> {
    code: &'a [Instruction],
    ways: BTreeMap<u32, Vec<u32>>,
}

impl Graph<'_> {
    fn blocks(&self, lowered: &Lowered, function: &FnInfo, blocks: &mut BTreeSet<u32>) {
        let mut reached = BTreeSet::new();
        flood(&self.ways, vec![function.offset], &mut reached);
        // How many ways lead there, and whether the only one is a jump.
        let mut into: BTreeMap<u32, (usize, bool)> = BTreeMap::new();
        for instruction in self.code {
            let at = lowered.offset_of(instruction);
            if !reached.contains(&at) {
                continue;
            }
            let ways = self.ways.get(&at).map_or(&[][..], Vec::as_slice);
            let jump = match (instruction.flow_control(), ways) {
                (FlowControl::UnconditionalBranch, [to]) => Some(*to),
                _ => conditional(instruction, ways).map(|(to, _)| to),
            };
            for to in ways {
                let (count, by_jump) = into.entry(*to).or_default();
                *count += 1;
                *by_jump = jump == Some(*to);
            }
        }
        let stated = |at: u32| function.label_at(at).is_some_and(|label| label.state.is_some());
        let single = |at: &u32| into.get(at) == Some(&(1, true)) && !stated(*at);
        let own: BTreeSet<u32> = into.keys().copied().filter(single).collect();
        let own = own.into_iter().filter(|at| *at != function.offset).collect();
        blocks.extend(self.within_reach(lowered, function.offset, own, &into));
    }

    /// Those of the blocks at which the judge never has too many scopes open: that of a condition
    /// is open for both of its ways.
    fn within_reach(
        &self,
        lowered: &Lowered,
        entry: u32,
        mut blocks: BTreeSet<u32>,
        into: &BTreeMap<u32, (usize, bool)>,
    ) -> BTreeSet<u32> {
        let places: BTreeMap<u32, usize> =
            self.code.iter().enumerate().map(|(i, code)| (lowered.offset_of(code), i)).collect();
        let heads = into.keys().filter(|at| !blocks.contains(at)).copied();
        let mut work: Vec<(u32, usize)> = heads.chain([entry]).map(|at| (at, 0)).collect();
        let mut walked = BTreeSet::new();
        while let Some((mut at, mut depth)) = work.pop() {
            while walked.insert(at)
                && let Some(instruction) = places.get(&at).and_then(|i| self.code.get(*i))
                && let Some(ways @ [first, ..]) = self.ways.get(&at).map(Vec::as_slice)
            {
                let Some((taken, next)) = conditional(instruction, ways) else {
                    at = *first;
                    continue;
                };
                if blocks.contains(&taken) {
                    if depth < SPARE {
                        depth += 1;
                        work.push((taken, depth));
                    } else {
                        blocks.remove(&taken);
                        work.push((taken, 0));
                    }
                }
                at = next;
            }
        }
        blocks
    }
}
