//! Not trusted: a bug here can reject, never admit. Where control goes in a function, and what
//! follows of that without running it: liveness, loops, dominators, what nothing leads to, jump
//! tables. All of it textbook (Aho, Sethi, Ullman, Compilers, 9 and 10; Muchnick, Advanced Compiler
//! Design and Implementation, 7), over the instructions as iced-x86 decodes them.
//!
//! Cost: each in proportion to the function, times how deep its loops nest.

pub(crate) mod dead;
pub(crate) mod dominators;
mod liveness;
pub(crate) mod loops;
mod nodes;
pub mod tables;

pub(crate) use nodes::{RegSet, calls_never, target_sig, writes};

use liveness::{ends, live, matter, single};
use loops::Turns;
use nodes::{ALL, decode};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::image::{Image, Interface};
use tal_core::ty::Sig;

/// What is known of a function's instructions, by their offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Registers that may be read before they are written.
    pub(crate) live: BTreeMap<u32, RegSet>,
    /// Registers of which it matters what they hold.
    pub(crate) matter: BTreeMap<u32, RegSet>,
    /// Others of which it matters that they hold numbers of 64 bits.
    pub(crate) plain: BTreeMap<u32, RegSet>,
    /// What the turns of loops do to registers, by their head.
    pub(crate) turns: BTreeMap<u32, Turns>,
    /// From these every way leads to the end of the program, without a loop: nothing that is owned
    /// there is of use for long.
    pub(crate) dead_ends: BTreeSet<u32>,
    /// To these one jump or condition leads, and nothing else: the judge goes on there with what it
    /// knows (rule[edge-block]).
    pub(crate) single: BTreeSet<u32>,
}

/// From where the function at `[start, end)` of the text is sure to end the program.
pub(crate) fn dead_ends(
    image: &Image<'_>,
    interface: &Interface,
    (start, end): (u32, u32),
    own: &Sig,
) -> BTreeSet<u32> {
    ends(&decode(image, interface, start, end, own))
}

/// The flow of the function at `[start, end)` of the text.
pub(crate) fn flow(
    image: &Image<'_>,
    interface: &Interface,
    (start, end): (u32, u32),
    own: &Sig,
) -> Flow {
    let nodes = decode(image, interface, start, end, own);
    let matters = matter(&nodes, |node| node.asks);
    let plain = if nodes.iter().any(|node| node.gives != 0) {
        let mut plain = matter(&nodes, |node| node.asks | node.gives);
        plain.retain(|at, set| {
            *set &= !matters.get(at).copied().unwrap_or(ALL);
            *set != 0
        });
        plain
    } else {
        BTreeMap::new()
    };
    Flow {
        live: live(&nodes),
        matter: matters,
        plain,
        turns: loops::turns(&nodes),
        dead_ends: ends(&nodes),
        single: single(&nodes),
    }
}
