//! Not trusted: a bug here can reject, never admit. On which scopes labels hang, and what changes
//! between a label and its parent.
//!
//! A label hangs on the branch that dominates it immediately: the scope that was opened there is
//! open wherever a way leads to the label. A register or slot that nothing on those ways writes is
//! as the parent has saved it; the others are what SSA form calls phis, found by the dominance
//! frontiers of the blocks that write them (Cytron and others, 1991). What a block writes is what
//! its instructions write. Where ghosts may change what places hold, or other registers than rsp
//! lead into the frame, or something is owned, the function is judged once with whole states, and
//! what the judge sees change counts too.

use crate::find::Finder;
use crate::flow::dead::ways;
use crate::flow::dominators::{dominators, reverse_postorder};
use crate::flow::{target_sig, writes};
use crate::lowered::{FnInfo, GhostOp, Lowered};
use crate::part::Part;
use crate::plan::{Busy, CAPS, Hang, Places, Plan, Slots};
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::counted::Shared;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints, Place, Site, Start};
use tal_core::image::Image;
use tal_core::state::State;
use tal_core::ty::{Cap, Reg, Word};
use tal_write::Label;

/// Scopes that may lie below a label: half of what the judge admits are left to blocks.
const DEPTH: usize = 60;

/// The plan for these labels by what instructions write alone, where that is all that may change;
/// else as [`plan`]. `busy`: where the states were found with ghosts; edges need none, as it seems.
///
/// # Errors
/// When the judge refuses one of the functions that have to be judged.
pub(crate) fn plan_ahead(part: Part<'_>, labels: &[Label], busy: &Busy) -> Result<Plan, Error> {
    let Part { lowered, image, .. } = part;
    let (mut written, mut known) = (Written::default(), Busy::default());
    let (mut graphs, mut others) = (Vec::new(), Vec::new());
    for (id, function) in part.lowered.some(part.functions) {
        let graph = Graph::new(lowered, image, labels, function);
        let own = busy.within(function.offset..function.end());
        match graph.read(part, labels, function, &own, &mut written.slots) {
            Some(blocks) => {
                written.blocks.extend(blocks);
                known.extend(own);
                graphs.push(graph);
            }
            None => others.push(id),
        }
    }
    let mut plan = match others.is_empty() {
        true => Plan { slots: written.slots.clone(), ..Plan::default() },
        false => {
            let part = Part { functions: &others, ..part };
            let slots = std::mem::take(&mut written.slots);
            plan_with(part, labels, Some(&busy.clone().with_edges()), slots)?
        }
    };
    for graph in &graphs {
        graph.hang(&written, &mut plan.labels);
    }
    known.extend(plan.busy.take().unwrap_or_default());
    plan.busy = Some(known);
    Ok(plan)
}

/// The plan for these labels. `busy`: where instructions need ghosts, if that is known.
///
/// # Errors
/// When the judge refuses one of the functions.
pub(crate) fn plan(part: Part<'_>, labels: &[Label], busy: Option<&Busy>) -> Result<Plan, Error> {
    plan_with(part, labels, busy, Slots::default())
}

/// The same; these slots have their bits already.
fn plan_with(
    part: Part<'_>,
    labels: &[Label],
    busy: Option<&Busy>,
    slots: Slots,
) -> Result<Plan, Error> {
    let Part { lowered, image, functions } = part;
    let graph = |(_, function)| Graph::new(lowered, image, labels, function);
    let graphs: Vec<Graph> = lowered.some(functions).map(graph).collect();
    let nodes = graphs.iter().flat_map(|g| &g.nodes);
    let mut finder = part.finder(labels);
    finder.busy = busy;
    let hints = Watch {
        finder,
        lowered,
        info: InstructionInfoFactory::new(),
        starts: nodes.clone().map(|n| n.start).collect(),
        ends: nodes.filter(|n| !n.falls).map(|n| n.end).collect(),
        node: 0,
        begun: None,
        delta: None,
        last: None,
        site: None,
        written: Written { slots, ..Written::default() },
    };
    let Watch { written, finder, .. } = part.judge(hints)?;
    let busy = busy.map(|_| finder.planned);
    let mut plan = Plan { busy, ..Plan::default() };
    for graph in &graphs {
        graph.hang(&written, &mut plan.labels);
    }
    plan.slots = written.slots;
    Ok(plan)
}

/// A basic block.
#[derive(Debug)]
struct Node {
    start: u32,
    /// Offset of the instruction that ends it; where it runs into the next, that of the next.
    end: u32,
    falls: bool,
    label: bool,
    /// Does the source state what holds here? Then it stays as it is.
    stated: bool,
    to: Vec<usize>,
    from: Vec<usize>,
}

/// The basic blocks of a function that its entry leads to, the entry first, each behind one that
/// leads to it.
#[derive(Debug)]
struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    fn new(lowered: &Lowered, image: &Image<'_>, labels: &[Label], function: &FnInfo) -> Graph {
        let interface = &lowered.host.interface;
        let range = function.offset..function.end();
        let code: Vec<_> = lowered.instructions(range.start, range.end).collect();
        let ways: Vec<Vec<u32>> =
            code.iter().map(|i| ways(lowered, image, interface, i, &range)).collect();
        let is_label = |at: u32| labels.binary_search_by_key(&at, |l| l.offset).is_ok();
        let mut leaders = BTreeSet::from([range.start]);
        leaders.extend(labels.iter().map(|l| l.offset).filter(|at| range.contains(at)));
        let mut places = BTreeMap::new();
        for (i, (instruction, ways)) in code.iter().zip(&ways).enumerate() {
            let at = lowered.offset_of(instruction);
            places.insert(at, i);
            if instruction.flow_control() != FlowControl::Next
                && instruction.flow_control() != FlowControl::Call
            {
                leaders.extend(ways);
            }
        }
        let mut blocks: BTreeMap<u32, (u32, bool, Vec<u32>)> = BTreeMap::new();
        for leader in &leaders {
            let Some(mut i) = places.get(leader).copied() else { continue };
            while let (Some(instruction), Some(ways)) = (code.get(i), ways.get(i)) {
                let at = lowered.offset_of(instruction);
                let plain = matches!(
                    instruction.flow_control(),
                    FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall
                );
                match ways.as_slice() {
                    [next] if plain && leaders.contains(next) => {
                        blocks.insert(*leader, (*next, true, ways.clone()));
                        break;
                    }
                    [_] if plain => i += 1,
                    _ => {
                        blocks.insert(*leader, (at, false, ways.clone()));
                        break;
                    }
                }
            }
        }
        let order =
            reverse_postorder(range.start, |at| blocks.get(&at).map(|(_, _, to)| to.as_slice()));
        let number: BTreeMap<u32, usize> =
            order.iter().enumerate().map(|(i, at)| (*at, i)).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
        for start in &order {
            let Some((end, falls, to)) = blocks.get(start) else { continue };
            let to: BTreeSet<usize> = to.iter().filter_map(|to| number.get(to)).copied().collect();
            let stated = function.label_at(*start).is_some_and(|label| label.state.is_some());
            let (start, end, falls, label) = (*start, *end, *falls, is_label(*start));
            let (to, from) = (to.into_iter().collect(), Vec::new());
            nodes.push(Node { start, end, falls, label, stated, to, from });
        }
        for i in 0..nodes.len() {
            for to in nodes[i].to.clone() {
                nodes[to].from.push(i);
            }
        }
        Graph { nodes }
    }

    /// What the instructions of each block write, by its start; `None` if something else may
    /// change.
    fn read(
        &self,
        Part { lowered, image, .. }: Part<'_>,
        labels: &[Label],
        function: &FnInfo,
        busy: &Busy,
        slots: &mut Slots,
    ) -> Option<BTreeMap<u32, Places>> {
        let state = |at: u32| {
            let label = labels.binary_search_by_key(&at, |l| l.offset).ok()?;
            labels.get(label).map(|label| &label.state)
        };
        if busy.rewords() {
            return None;
        }
        let mut ghosts: BTreeMap<(u32, bool), Places> = BTreeMap::new();
        for line in &function.ghosts {
            let places = ghosts.entry((line.offset, line.falls)).or_default();
            *places = places.or(renamed_by(&line.op, slots)?);
        }
        let mut info = InstructionInfoFactory::new();
        let mut blocks = BTreeMap::new();
        // How far rsp is from where it was at the entry, behind each block.
        let mut deltas: Vec<Option<i64>> = vec![None; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            let mut delta = match state(node.start).filter(|_| node.label) {
                Some(state) if !state.caps.is_empty() || !state.lent.is_empty() => return None,
                Some(state) => state.delta,
                None if i == 0 => 0,
                None => node.from.iter().find_map(|from| deltas[*from])?,
            };
            let mut places = Places::default();
            let last = if node.falls { node.end } else { node.end.saturating_add(1) };
            for instruction in lowered.instructions(node.start, last) {
                let moves = moves_rsp(&instruction)?;
                if let Some(renamed) = ghosts.get(&(lowered.offset_of(&instruction), false)) {
                    places = places.or(*renamed);
                }
                if let FlowControl::Call | FlowControl::IndirectCall = instruction.flow_control() {
                    let callee = target_sig(&instruction, image, &lowered.host.interface)?;
                    let later = callee.post.iter().any(|post| !post.state.caps.is_empty());
                    if !callee.pre.args.is_empty() || !callee.pre.caps.is_empty() || later {
                        return None;
                    }
                }
                places = places.or(written_by(
                    &instruction,
                    &mut info,
                    |base| (base == Reg::Rsp as usize).then_some(delta),
                    slots,
                ));
                let before = delta;
                delta = delta.checked_add(moves)?;
                places = places.or(Places(slots.within(before, delta)));
            }
            if let Some(renamed) = ghosts.get(&(node.end, true)).filter(|_| node.falls) {
                places = places.or(*renamed);
            }
            deltas[i] = Some(delta);
            blocks.insert(node.start, places);
        }
        Some(blocks)
    }

    /// Hangs each label on a branch, or leaves it to the root.
    fn hang(&self, written: &Written, labels: &mut BTreeMap<u32, Hang>) {
        let idom = dominators(self.nodes.len(), |node| &self.nodes[node].from);
        let rooted = self.rooted(&idom);
        let is_label = |i: &usize| self.nodes[*i].label && *i != 0 && !rooted[*i];
        let hung: Vec<usize> = (0..self.nodes.len()).filter(is_label).collect();
        let mut changed = vec![Places::default(); self.nodes.len()];
        let mut again = true;
        while again {
            again = false;
            for label in &hung {
                let mut all = changed[*label];
                for from in &self.nodes[*label].from {
                    let way = (self.nodes[*from].start, self.nodes[*label].start);
                    all = all.or(written.ways.get(&way).copied().unwrap_or_default());
                    let mut at = *from;
                    while at != idom[*label] {
                        let block = written.blocks.get(&self.nodes[at].start).copied();
                        all = all.or(block.unwrap_or_default()).or(changed[at]);
                        at = idom[at];
                    }
                }
                again |= all != changed[*label];
                changed[*label] = all;
            }
        }
        for label in hung {
            let branch = self.nodes[idom[label]].end;
            labels.insert(self.nodes[label].start, Hang { branch, changed: changed[label] });
        }
    }

    /// The labels that hang on the root: those that are stated, those that would lie too deep, and
    /// those to which a way leads from where their parent is closed because of these.
    fn rooted(&self, idom: &[usize]) -> Vec<bool> {
        let mut rooted: Vec<bool> = self.nodes.iter().map(|n| n.label && n.stated).collect();
        let mut depth = vec![0_usize; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().skip(1) {
            depth[i] = depth[idom[i]] + 1;
            rooted[i] |= node.label && depth[i] > DEPTH;
            if rooted[i] {
                depth[i] = 0;
            }
        }
        if !rooted.contains(&true) {
            return rooted;
        }
        loop {
            // By walk: where a node's state comes from.
            let mut scopes: Vec<BTreeSet<usize>> = Vec::with_capacity(self.nodes.len());
            for i in 0..self.nodes.len() {
                let mut open = BTreeSet::new();
                if i != 0 && !rooted[i] {
                    open.clone_from(&scopes[idom[i]]);
                }
                open.insert(i);
                scopes.push(open);
            }
            let mut news = false;
            for (i, node) in self.nodes.iter().enumerate().skip(1) {
                let open = |from: &usize| scopes[*from].contains(&idom[i]);
                if node.label && !rooted[i] && !node.from.iter().all(open) {
                    rooted[i] = true;
                    news = true;
                }
            }
            if !news {
                return rooted;
            }
        }
    }
}

/// What changes, as the judge sees it.
#[derive(Debug, Default)]
struct Written {
    slots: Slots,
    /// In a block, by its start.
    blocks: BTreeMap<u32, Places>,
    /// On the way from a block to a label, by both starts.
    ways: BTreeMap<(u32, u32), Places>,
}

impl Written {
    fn between(&mut self, a: &Words, b: &Words) -> Places {
        let mut places = 0;
        for (i, (a, b)) in a.regs.iter().zip(&b.regs).enumerate() {
            if a != b && i != Reg::Rsp as usize {
                places |= 1 << i;
            }
        }
        if a.caps != b.caps {
            places |= CAPS;
        }
        let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) = (
            a.slots.iter().map(|(at, w)| (*at, w)).collect(),
            b.slots.iter().map(|(at, w)| (*at, w)).collect(),
        );
        for at in left.keys().chain(right.keys()) {
            if left.get(at) != right.get(at) {
                places |= self.slots.bit(*at);
            }
        }
        Places(places)
    }
}

/// What a state holds.
#[derive(Clone, Debug)]
struct Words {
    regs: [Word; 16],
    slots: Vec<(i64, Word)>,
    caps: Shared<Cap>,
}

impl Words {
    fn of(state: &State) -> Words {
        let slots = state.slots().map(|(at, word)| (at, word.clone())).collect();
        Words { regs: state.regs().clone(), slots, caps: state.caps.clone() }
    }
}

/// What the instruction writes. `frame`: where in the frame this register points, if there.
fn written_by(
    instruction: &Instruction,
    info: &mut InstructionInfoFactory,
    frame: impl Fn(usize) -> Option<i64>,
    slots: &mut Slots,
) -> Places {
    let mut places = 0;
    if let FlowControl::Call | FlowControl::IndirectCall = instruction.flow_control() {
        let lost = Reg::ALL.into_iter().filter(|r| !r.callee_saved() && *r != Reg::Rsp);
        places |= lost.fold(0, |places, reg| places | 1 << reg as u32);
    }
    let info = info.info(instruction);
    let general = |r: Register| r.full_register().is_gpr64().then(|| r.full_register().number());
    for used in info.used_registers().iter().filter(|used| writes(used.access())) {
        let number = general(used.register()).filter(|n| *n != Reg::Rsp as usize);
        places |= number.map_or(0, |number| 1 << number);
    }
    for used in info.used_memory().iter().filter(|used| writes(used.access())) {
        if let Some(k) = general(used.base()).and_then(&frame) {
            let from = k.wrapping_add(used.displacement().cast_signed());
            let size = i64::try_from(used.memory_size().size()).unwrap_or(8).max(1);
            places |= slots.within(from, from.saturating_add(size));
        }
    }
    Places(places)
}

/// The places of which a ghost changes what they hold; `None` if it may change more.
fn renamed_by(op: &GhostOp, slots: &mut Slots) -> Option<Places> {
    use Ghost::{Renorm, SizeFacts, Step, ViewData, ViewOpen, ViewPart, ViewUnfold, ViewWeaken};
    let reg = |reg: Reg| 1 << reg as u32;
    match op {
        GhostOp::Have(_) | GhostOp::Show => Some(Places::default()),
        GhostOp::Renorm { regs, .. } => {
            Some(Places(regs.iter().fold(0, |places, r| places | reg(*r))))
        }
        GhostOp::Judge(Renorm { place: Place::Reg(r), .. }) => Some(Places(reg(*r))),
        GhostOp::Judge(Renorm { place: Place::Slot(at), .. }) => Some(Places(slots.bit(*at))),
        GhostOp::Judge(
            SizeFacts { .. }
            | Step(_)
            | ViewData { .. }
            | ViewOpen { .. }
            | ViewPart { .. }
            | ViewUnfold { .. }
            | ViewWeaken { .. },
        ) => Some(Places::default()),
        _ => None,
    }
}

/// What the instruction adds to rsp, while control stays in the function; `None` if that is not
/// seen here, or if another register may point into the frame behind it.
fn moves_rsp(instruction: &Instruction) -> Option<i64> {
    let is_rsp = |r: Register| r.full_register() == Register::RSP;
    let named = (0..instruction.op_count()).any(|op| {
        instruction.op_kind(op) == OpKind::Register && is_rsp(instruction.op_register(op))
    });
    let near = is_rsp(instruction.memory_base()) || is_rsp(instruction.memory_index());
    let constant = || instruction.try_immediate(1).ok().map(u64::cast_signed);
    match instruction.mnemonic() {
        Mnemonic::Add if named && !near => constant(),
        Mnemonic::Sub if named && !near => constant()?.checked_neg(),
        _ if named => None,
        Mnemonic::Lea if near => None,
        _ if is_rsp(instruction.memory_index()) => None,
        _ if near && instruction.memory_index() != Register::None => None,
        Mnemonic::Push | Mnemonic::Pop => Some(instruction.stack_pointer_increment().into()),
        Mnemonic::Call | Mnemonic::Ret => Some(0),
        _ if instruction.is_stack_instruction() => None,
        _ => Some(0),
    }
}

/// A finder that is watched.
struct Watch<'a> {
    finder: Finder<'a>,
    lowered: &'a Lowered,
    info: InstructionInfoFactory,
    starts: BTreeSet<u32>,
    /// Instructions that end a block.
    ends: BTreeSet<u32>,
    /// The block that runs, by its start, and what it began with.
    node: u32,
    begun: Option<Words>,
    /// rsp before the last instruction of the block.
    delta: Option<i64>,
    /// What the block of this start ended with.
    last: Option<(u32, Words)>,
    site: Option<Site>,
    written: Written,
}

impl Watch<'_> {
    /// The instruction writes these, though they may hold nothing that anybody knows before and
    /// after.
    fn writes(&mut self, state: &State, at: u32) {
        let Some(instruction) = self.lowered.code_at(at) else { return };
        let frame = |base: usize| match state.regs().get(base) {
            Some(Word::Frame(k)) => Some(*k),
            _ => None,
        };
        let places = written_by(instruction, &mut self.info, frame, &mut self.written.slots);
        let block = self.written.blocks.entry(self.node).or_default();
        *block = block.or(places);
    }

    /// What lies below rsp now is gone, and what is lent holds nothing.
    fn moves(&mut self, state: &State) {
        let mut places = 0;
        if let Some(before) = self.delta.replace(state.stack.delta) {
            places |= self.written.slots.within(before, state.stack.delta);
        }
        for lent in &state.stack.lent {
            places |= self.written.slots.within(lent.offset, lent.offset + lent.size);
        }
        let block = self.written.blocks.entry(self.node).or_default();
        *block = block.or(Places(places));
    }

    /// The block ends here.
    fn ends(&mut self, state: &State) {
        self.moves(state);
        let words = Words::of(state);
        if let Some(begun) = &self.begun {
            let places = self.written.between(begun, &words);
            let block = self.written.blocks.entry(self.node).or_default();
            *block = block.or(places);
        }
        self.last = Some((self.node, words));
    }
}

impl<'a> Forward for Watch<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn block(&mut self, start: Start, state: &State) -> Result<(), Error> {
        let place = |list: Option<u32>| list.unwrap_or(u32::MAX);
        let image = self.finder.image;
        (self.node, self.begun) = match start {
            Start::Entry(f) => (place(image.functions.get(f.0 as usize).map(|f| f.offset)), None),
            Start::Label(l) => (place(image.labels.get(l as usize).copied()), None),
            Start::Block { to, .. } => (to, Some(Words::of(state))),
        };
        self.delta = None;
        self.finder.block(start, state)
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        let first = self.site != Some(site);
        self.site = Some(site);
        match site {
            Site::At(at) if first && at != self.node && self.starts.contains(&at) => {
                self.node = at;
                self.begun = self.last.take().map(|(_, words)| words);
            }
            Site::At(_) if first && self.begun.is_none() => self.begun = Some(Words::of(state)),
            // It runs into a label.
            Site::Edge { from, to } if first && from == to => self.ends(state),
            _ => {}
        }
        let answer = self.finder.ghost(state, site)?;
        if let (Site::At(at), None) = (site, &answer) {
            self.moves(state);
            self.writes(state, at);
        }
        match site {
            Site::At(at) if answer.is_none() && self.ends.contains(&at) => self.ends(state),
            Site::Edge { to, .. } if answer.is_none() => {
                if let Some((node, last)) = &self.last {
                    let places = self.written.between(last, &Words::of(state));
                    let way = self.written.ways.entry((*node, to)).or_default();
                    *way = way.or(places);
                }
            }
            _ => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elaborate::lower;
    use crate::explore::find_labels;
    use std::path::Path;
    use tal_core::hint::Place;

    /// Both plans of a program. `ahead`: is the one ahead made without judging?
    fn plans(text: &str, ahead: bool) -> [Plan; 2] {
        let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
        let lowered = lower(Path::new("test.tal"), &files).unwrap().lowered.unwrap();
        let labels = find_labels(&lowered).unwrap();
        let image = lowered.image(&labels);
        let part = Part { lowered: &lowered, image: &image, functions: &lowered.ids() };
        let function = &lowered.functions[0];
        let graph = Graph::new(&lowered, &image, &labels, function);
        let read = graph.read(part, &labels, function, &Busy::default(), &mut Slots::default());
        assert_eq!(read.is_some(), ahead, "{text}");
        let judged = plan(part, &labels, None).unwrap();
        [plan_ahead(part, &labels, &Busy::default()).unwrap(), judged]
    }

    /// Registers and slots that differ, by the branch of each label.
    fn hangs(plan: &Plan) -> Vec<(u32, Vec<Place>)> {
        let regs = Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp).map(Place::Reg);
        let all: Vec<Place> = regs.chain((-8..0).map(|i| Place::Slot(i * 8))).collect();
        let changed = |hang: &Hang| {
            let changed = all.iter().filter(|place| plan.slots.has(hang.changed, **place));
            (hang.branch, changed.copied().collect())
        };
        plan.labels.values().map(changed).collect()
    }

    /// What instructions write is what the judge sees change.
    #[test]
    fn places_ahead_are_those_that_change() {
        let [ahead, judged] = plans(
            "fn f(rdi = a: &[n]u64, rsi = n) -> (rax)\n{\n push rbx\n push r12\n sub rsp, 24\n \
             xor ebx, ebx\n mov [rsp + 8], rsi\n test rsi, rsi\n jz .zero\n mov r12, 5\n jmp \
             .test\n.zero: mov r12, 7\n.test: cmp rbx, rsi\n jae .done\n \
             mov rax, [rdi + rbx*8]\n mov [rsp], rax\n inc rbx\n \
             jmp .test\n.done: mov rax, [rsp + 8]\n add rax, r12\n add rsp, 24\n pop r12\n pop \
             rbx\n ret\n}\n",
            true,
        );
        assert!(!ahead.labels.is_empty());
        assert_eq!(hangs(&ahead), hangs(&judged));
        let written = |place| hangs(&ahead).iter().any(|(_, places)| places.contains(&place));
        assert!(written(Place::Reg(Reg::Rbx)) && written(Place::Slot(-40)));
        assert!(!written(Place::Reg(Reg::Rdi)) && !written(Place::Slot(-32)));
    }

    /// Another register that points into the frame is followed by the judge alone.
    #[test]
    fn a_pointer_into_the_frame_is_left_to_the_judge() {
        let [ahead, judged] = plans(
            "fn f(rdi = x: u64) -> (rax)\n{\n sub rsp, 24\n mov rdx, rsp\n xor eax, eax\n mov \
             [rsp], rdi\n test rdi, rdi\n jz .done\n mov [rdx], \
             rax\n.done: mov rax, [rsp]\n add rsp, 24\n ret\n}\n",
            false,
        );
        assert_eq!(hangs(&ahead), hangs(&judged));
    }
}
