//! Not trusted: a bug here can reject, never admit. What is known before an instruction, shown.

use crate::explore::Explored;
use crate::lowered::{FnInfo, Inst, Lowered};
use crate::report::replay::{Need, Ran, Replay, Trace};
use crate::report::source::{mentioned, text};
use crate::report::words::{Names, reg_name, slot_name};
use serde::Serialize;
use std::fmt::Write as _;
use tal_core::hint::Start;
use tal_core::state::{FlagKind, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Fact, FnId, Kind, Reg, Rel, Word};

/// The state before one instruction, in words.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The file.
    pub file: String,
    /// The line, counted from one.
    pub line: u32,
    /// The function.
    pub function: String,
    /// The label whose block this is; none for the function's first.
    pub label: Option<String>,
    /// The instruction.
    pub instruction: String,
    /// Registers that hold something: name and value.
    pub registers: Vec<(String, String)>,
    /// Registers that hold what the caller left there.
    pub saved: Vec<String>,
    /// Registers that may not be read.
    pub unreadable: Vec<String>,
    /// What the flags say.
    pub flags: String,
    /// Slots from rsp up: place and value.
    pub stack: Vec<(String, String)>,
    /// Where rsp stands.
    pub depth: i64,
    /// What is owned.
    pub owned: Vec<String>,
    /// What is lent or shared.
    pub views: Vec<String>,
    /// Facts.
    pub facts: Vec<String>,
    /// What the instruction needs, and how it was shown.
    pub needs: Vec<(String, String)>,
    /// What the judge refuses here, if anything.
    pub refused: bool,
}

/// The states before the instructions of these lines of the file; without lines before all.
#[must_use]
pub fn show(
    lowered: &Lowered,
    explored: &Explored,
    path: &str,
    wanted: impl Fn(u32) -> bool,
) -> Vec<Shown> {
    let replay = Replay::new(lowered, explored);
    let mut shown = Vec::new();
    for (i, function) in lowered.functions.iter().enumerate() {
        let Ok(id) = u32::try_from(i).map(FnId) else { break };
        let line = |inst: &Inst| {
            let file = lowered.sources.get(inst.span.file)?;
            (file.path == path).then(|| file.position(inst.span.start).line)
        };
        let here: Vec<(u32, u32)> = function
            .instructions
            .iter()
            .filter(|i| !i.implied)
            .filter_map(|i| Some((i.offset, line(i).filter(|l| wanted(*l))?)))
            .collect();
        if here.is_empty() {
            continue;
        }
        for (_, start) in replay.starts(id) {
            if matches!(start, Start::Label(l) if !replay.known(l)) {
                continue;
            }
            let trace = replay.block(id, start, false);
            for (at, ran) in trace.ran.iter().enumerate() {
                if let Some((_, line)) = here.iter().find(|h| h.0 == ran.offset) {
                    shown.push(one(lowered, function, &trace, at, ran, (path, *line)));
                }
            }
        }
    }
    shown.sort_by_key(|s| s.line);
    shown
}

fn one(
    lowered: &Lowered,
    function: &FnInfo,
    trace: &Trace,
    at: usize,
    ran: &Ran,
    (file, line): (&str, u32),
) -> Shown {
    let state = &ran.before;
    let source = lowered.span_at(ran.offset).map_or("", |s| text(lowered, s));
    let before: Vec<&State> = trace.ran.iter().take(at).map(|r| &r.before).collect();
    let names = Names::new(lowered, function, state, &mentioned(source), &before);
    let mut shown = Shown {
        file: file.to_owned(),
        line,
        function: function.name.clone(),
        label: label_of(function, trace),
        instruction: source.split_whitespace().collect::<Vec<_>>().join(" "),
        registers: Vec::new(),
        saved: Vec::new(),
        unreadable: Vec::new(),
        flags: flags(&names, state),
        stack: Vec::new(),
        depth: state.stack.delta,
        owned: state.caps.iter().map(|c| names.cap(c)).collect(),
        views: state.views.iter().map(|v| names.view(v)).collect(),
        facts: names.facts(&crate::prove::facts_of(state)),
        needs: ran.needs.iter().map(|n| (names.fact(&n.goal), how(&names, n))).collect(),
        refused: trace.failure.as_ref().is_some_and(|f| f.offset == ran.offset),
    };
    for reg in Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp) {
        let name = reg_name(reg).to_owned();
        match state.reg(reg) {
            Word::Junk => shown.unreadable.push(name),
            Word::Saved(r) if *r == reg => shown.saved.push(name),
            word => {
                let value = value(&names, state, word, &name);
                shown.registers.push((name, value));
            }
        }
    }
    for (at, word) in state.slots() {
        let place = slot_name(at - state.stack.delta);
        let value = value(&names, state, word, &place);
        shown.stack.push((place, value));
    }
    shown.needs.dedup();
    if shown.refused
        && let Some((_, how)) = shown.needs.last_mut()
    {
        "not known".clone_into(how);
    }
    shown
}

/// The names of the label at the start of the block.
pub(crate) fn label_of(function: &FnInfo, trace: &Trace) -> Option<String> {
    let Start::Label(_) = trace.start else { return None };
    let label = function.labels.iter().find(|l| l.offset == trace.begin)?;
    label.names.first().map(|n| n.0.clone())
}

/// `= a + 8*k`, or a range where the place itself names the number.
fn value(names: &Names<'_>, state: &State, word: &Word, place: &str) -> String {
    let shown = names.word(word);
    let var = match word {
        Word::Int(t) => t.as_var(),
        Word::Ptr(Base::Name(v), t) if t.as_int() == Some(0) => Some(*v),
        _ => None,
    };
    let Some(var) = var else { return format!("= {shown}") };
    let what = match scope(state, var) {
        Some((Kind::Int(_), _)) => range(names, &crate::prove::facts_of(state), var),
        Some((kind @ Kind::Addr { .. }, set)) => {
            let known = match kind {
                Kind::Addr { block, .. } => Kind::Addr { set, block: block.clone() },
                other => other.clone(),
            };
            names.alternatives(&known).unwrap_or_default()
        }
        Some((Kind::Code(_), _)) => "code".to_owned(),
        _ => "a value that may only be copied".to_owned(),
    };
    if shown == place { format!(": {what}") } else { format!("= {shown}: {what}") }
}

fn scope(state: &State, var: Var) -> Option<(&Kind, tal_core::ty::NameSet)> {
    let Var::Free(i) = var else { return None };
    state.scope.get(usize::from(i)).map(|s| (&s.kind, s.set))
}

/// The bounds of an integer that are known by themselves: `0 .. n - 1`.
fn range(names: &Names<'_>, facts: &[Fact], var: Var) -> String {
    let alone = Term::var(var);
    let (mut low, mut high) = (None, None);
    for fact in facts.iter().filter(|f| f.rel == Rel::Ge && !Names::trivial(f)) {
        let mut mine = fact.term.monomials().iter().filter(|m| m.atom.factors().0 == var);
        let Some(m) = mine.next().filter(|m| m.atom.factors().1.is_none()) else { continue };
        let rest = |factor| fact.term.add_scaled(&alone, factor).ok();
        match m.coefficient {
            // x - c >= 0
            1 if fact.term.monomials().len() == 1 => {
                let bound = -fact.term.constant();
                low = Some(low.map_or(bound, |l: i128| l.max(bound)));
            }
            // e - x >= 0
            -1 if high.is_none() => high = rest(1),
            _ => {}
        }
    }
    match (low, high) {
        (None, None) => "integer".to_owned(),
        (low, high) => {
            let low = low.map_or(String::new(), crate::report::words::number);
            let high = high.map_or(String::new(), |h| names.term(&h));
            format!("{low} .. {high}").trim().to_owned()
        }
    }
}

fn flags(names: &Names<'_>, state: &State) -> String {
    match &state.flags().kind {
        FlagKind::None => "none".to_owned(),
        FlagKind::Cmp(bits, a, b) => {
            format!("compare {} with {} ({bits} bits)", names.term(a), names.term(b))
        }
        FlagKind::Result(bits, t) => format!("of the result {} ({bits} bits)", names.term(t)),
        FlagKind::Pick(v, c) => format!("compare {} with {c}", names.var(*v)),
    }
}

/// How a goal was proved.
fn how(names: &Names<'_>, need: &Need) -> String {
    let mut text = names.facts(&need.premises).join(", ");
    if need.lookup {
        return "known".to_owned();
    }
    if text.is_empty() {
        text = "sizes".to_owned();
    }
    if need.cut {
        text.push_str("; rounded to whole numbers");
    }
    format!("from {text}")
}

impl Shown {
    /// As programs read it, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As people read it.
    #[must_use]
    pub fn human(&self) -> String {
        let mut out = String::new();
        let place = self.label.as_ref().map_or(String::new(), |l| format!(", in {l}"));
        let Shown { file, line, function, instruction, .. } = self;
        let _ = writeln!(out, "{file}:{line}  {function}{place}, before `{instruction}`");
        let registers = self.registers.iter().map(|(r, v)| entry(r, v)).collect::<Vec<_>>();
        for pair in registers.chunks(2) {
            match pair {
                [a, b] if a.chars().count() < 34 => {
                    let _ = writeln!(out, "  {a:<34} {b}");
                }
                _ => {
                    for one in pair {
                        let _ = writeln!(out, "  {one}");
                    }
                }
            }
        }
        if !self.unreadable.is_empty() {
            let _ = writeln!(out, "  {}: unreadable", self.unreadable.join(" "));
        }
        if !self.saved.is_empty() {
            let _ = writeln!(out, "  {}: as the caller left them", self.saved.join(" "));
        }
        let _ = writeln!(out, "  flags  {}", self.flags);
        let depth = match self.depth {
            0 => "rsp = entry".to_owned(),
            d => format!("rsp = entry - {}", -d),
        };
        let slots: Vec<String> =
            self.stack.iter().map(|(p, v)| format!("{p} {}", v.trim_start_matches("= "))).collect();
        let _ = writeln!(out, "  stack  {}   ({depth})", slots.join(", "));
        for (head, lines) in [("owned", &self.owned), ("lent ", &self.views)] {
            for line in lines {
                let _ = writeln!(out, "  {head}  {line}");
            }
        }
        if !self.facts.is_empty() {
            let _ = writeln!(out, "  facts  {}", self.facts.join("   "));
        }
        for (i, (goal, how)) in self.needs.iter().enumerate() {
            let head = if i == 0 { "needs" } else { "     " };
            let _ = writeln!(out, "  {head}  {goal}   ({how})");
        }
        if self.refused {
            let _ = writeln!(out, "  refused here");
        }
        out
    }
}

fn entry(name: &str, value: &str) -> String {
    if value.starts_with('=') { format!("{name} {value}") } else { format!("{name}{value}") }
}
