//! Not trusted: a bug here can reject, never admit. What every diagnostic is made from: a failure
//! with the block in which it happened.

use crate::find::Trouble;
use crate::lowered::{FnInfo, Inst, Lowered};
use crate::prove::lower_bound;
use crate::report::replay::{Failure, Replay, Trace};
use crate::report::rules;
use crate::report::source;
use crate::report::words::{Names, reg_name};
use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, Register};
use tal_core::error::{Error, Kind};
use tal_core::hint::Place;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Fact, Mem, Reg, Rel, Sig, Word};
use tal_syntax::Span;
use tal_syntax::diag::Diag;
use tal_write::Saved;

/// How a note begins that says what is known.
pub(super) const KNOWN: &str = "known here";

/// A failure and everything around it.
pub(super) struct Scene<'a> {
    pub lowered: &'a Lowered,
    pub replay: &'a Replay<'a>,
    pub function: &'a FnInfo,
    pub trace: &'a Trace,
    pub failure: &'a Failure,
    /// Names at the failure.
    pub names: Names<'a>,
    /// The instruction.
    pub span: Span,
}

/// How a register came to hold what it holds.
pub(super) enum Written<'a> {
    /// This instruction wrote it.
    By(&'a Inst),
    /// This call changed it.
    Call(&'a Inst),
    /// This instruction wrote only a part of it.
    Partly(&'a Inst),
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        lowered: &'a Lowered,
        replay: &'a Replay<'a>,
        trace: &'a Trace,
        failure: &'a Failure,
    ) -> Option<Scene<'a>> {
        let function = lowered.functions.get(trace.function.0 as usize)?;
        let span = lowered.span_at(failure.offset).unwrap_or(function.end_span);
        let text = source::text(lowered, span);
        let before: Vec<&State> = trace.ran.iter().map(|r| &r.before).collect();
        let mut preferred = source::mentioned(text);
        preferred.extend(implied(lowered, failure.offset));
        // Registers as before the instruction, facts and variables as after what was drawn.
        let mut state = failure.state.clone();
        if let Some(last) = before.last() {
            Saved::now(last).put(&mut state);
        }
        let names = Names::new(lowered, function, &state, &preferred, &before)
            .in_words(&state, |var| origin_of(lowered, trace, failure, var));
        Some(Scene { lowered, replay, function, trace, failure, names, span })
    }

    /// The state before the instruction.
    pub(super) fn before(&self) -> &State {
        self.trace.ran.last().map_or(&self.failure.state, |r| &r.before)
    }

    pub(super) fn error(&self) -> &Error {
        &self.failure.error
    }

    /// The instruction as written.
    pub(super) fn text(&self) -> &str {
        source::text(self.lowered, self.span)
    }

    pub(super) fn line(&self, span: Span) -> u32 {
        source::line(self.lowered, span)
    }

    pub(super) fn iced(&self) -> Option<iced_x86::Instruction> {
        source::iced(self.lowered, self.failure.offset)
    }

    pub(super) fn is_call(&self) -> bool {
        let flow = self.iced().map(|i| i.flow_control());
        matches!(flow, Some(FlowControl::Call | FlowControl::IndirectCall))
    }

    /// Does the instruction write memory?
    pub(super) fn stores(&self) -> bool {
        self.failure.trouble.iter().any(|t| matches!(t, Trouble::Access { store: true, .. }))
    }

    /// The memory operand, else the whole instruction.
    pub(super) fn operand(&self) -> Span {
        source::operand(self.lowered, self.span).unwrap_or(self.span)
    }

    /// Where the register is mentioned, else the whole instruction.
    pub(super) fn mention(&self, reg: Reg) -> Span {
        source::mention(self.lowered, self.span, reg).unwrap_or(self.span)
    }

    pub(super) fn sig(&self) -> Option<&Sig> {
        self.lowered.sigs.get(self.function.sig as usize).map(|s| &**s)
    }

    /// Where a variable of the signature is declared, with its register.
    pub(super) fn declared(&self, var: Var) -> Option<(Place, Span)> {
        let sig = self.sig()?;
        let is = |word: &Word| match word {
            Word::Int(t) => t.as_var() == Some(var),
            Word::Ptr(Base::Name(v), t) => *v == var && t.as_int() == Some(0),
            _ => false,
        };
        self.function.params.iter().copied().find(|(place, _)| match place {
            Place::Reg(r) => is(sig.pre.regs.get(*r)),
            Place::Slot(k) => sig.pre.args.iter().any(|(at, w)| i64::from(*at) == *k && is(w)),
        })
    }

    /// The memory at a base, as far as something covers it.
    pub(super) fn memory(&self, base: Base) -> Option<&Mem> {
        let state = &self.failure.state;
        let view = state.views.iter().find(|v| v.base == base).map(|v| &*v.mem);
        let entry = |c: &'_ Cap| matches!(c, Cap::Entry(e) if Base::Name(e.name) == base);
        let entry = state.caps.iter().find(|c| entry(c)).and_then(|c| match c {
            Cap::Entry(e) => Some(&*e.mem),
            _ => None,
        });
        let data = match base {
            Base::Data(d) => self.lowered.data.get(usize::from(d.0)).and_then(|d| match &d.kind {
                tal_core::image::DataKind::Object { mem, .. } => Some(&**mem),
                tal_core::image::DataKind::Table { .. } => None,
            }),
            _ => None,
        };
        view.or(entry).or(data)
    }

    /// "`s` has n bytes"
    pub(super) fn extent(&self, base: Base) -> Option<String> {
        let name = self.names.base(base);
        Some(match self.memory(base)? {
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => {
                format!("`{name}` has {} bytes", self.names.term(n))
            }
            Mem::Struct { size, .. } => format!("`{name}` has {size} bytes"),
            mem => format!("`{name}` is {}", self.names.mem(mem)),
        })
    }

    /// Where the base is declared.
    pub(super) fn base_span(&self, base: Base) -> Option<Span> {
        match base {
            Base::Name(v) => self.declared(v).map(|d| d.1),
            Base::Data(d) => self.lowered.data.get(usize::from(d.0)).map(|d| d.span),
            Base::Code(f) => self.lowered.functions.get(f.0 as usize).map(|f| f.span),
        }
    }

    /// Is anything known of where the base comes from?
    pub(super) fn declared_at_all(&self, base: Base) -> bool {
        match base {
            Base::Name(v) => {
                let at = |word: &Word| matches!(word, Word::Ptr(Base::Name(x), _) if *x == v);
                let held = |r: &Reg| at(self.before().reg(*r));
                self.declared(v).is_some() || Reg::ALL.iter().any(held)
            }
            _ => true,
        }
    }

    /// Adds the label that says how large the memory is, at its declaration.
    pub(super) fn with_extent(&self, diag: Diag, base: Base) -> Diag {
        match (self.base_span(base), self.extent(base)) {
            (Some(span), Some(words)) => diag.with_label(span, words),
            (None, Some(words)) => diag.with_note(words),
            _ => diag,
        }
    }

    /// Adds what is known about the sides of a fact that is missing.
    pub(super) fn with_known(&self, diag: Diag, goal: &Fact) -> Diag {
        diag.with_note(self.known(goal))
    }

    /// What is known about the sides of a fact that is missing.
    pub(super) fn known(&self, goal: &Fact) -> String {
        known(&self.names, &self.failure.state, goal)
    }

    /// The range of a register in which a variable of the fact stands: `4096 <= rbp <= 65536`.
    pub(super) fn range_of(&self, fact: &Fact) -> Option<String> {
        let about = |r: &Reg| match self.before().reg(*r) {
            Word::Int(t) => {
                let only = t.monomials().len() == 1;
                only && t.vars().all(|v| fact.term.vars().any(|f| f == v))
            }
            _ => false,
        };
        let (kept, rest): (Vec<Reg>, Vec<Reg>) =
            Reg::ALL.into_iter().partition(|r| r.callee_saved());
        let reg = kept.into_iter().chain(rest).find(about)?;
        let Word::Int(t) = self.before().reg(reg) else { return None };
        let state = &self.failure.state;
        let low = lower_bound(state, t)?;
        let high = lower_bound(state, &t.scale(-1).ok()?)?;
        Some(format!("{low} <= {} <= {}", reg_name(reg), -high))
    }

    /// The fact that is missing: of the error, else what the finder looked for last.
    pub(super) fn missing(&self) -> Option<Fact> {
        let trouble = self.failure.trouble.iter().rev();
        let looked = trouble.clone().find_map(|t| match t {
            Trouble::Access { bound: Some(fact), .. } if !self.holds(fact) => Some(fact.clone()),
            _ => None,
        });
        if let Kind::NotProved(fact) = &self.error().kind {
            return Some((**fact).clone());
        }
        looked.or_else(|| {
            trouble.clone().find_map(|t| match t {
                Trouble::Fact(fact) if !self.holds(fact) => Some(fact.clone()),
                _ => None,
            })
        })
    }

    /// Does the fact follow from what is known in the end? Then it was looked for too early, and is
    /// not what is missing.
    pub(super) fn holds(&self, fact: &Fact) -> bool {
        let state = &self.failure.state;
        let at_least = |term: &Term| lower_bound(state, term).is_some_and(|low| low >= 0);
        match fact.rel {
            Rel::Ge => at_least(&fact.term),
            Rel::Eq => {
                at_least(&fact.term) && fact.term.scale(-1).is_ok_and(|term| at_least(&term))
            }
            Rel::Ne => crate::prove::holds_in(state, fact),
        }
    }

    /// The instruction before this one, in the order of the source, that wrote the register last.
    pub(super) fn written(&self, reg: Reg) -> Option<Written<'a>> {
        let offset = self.failure.offset;
        source::earlier(self.function, offset).find_map(|inst| written_by(self.lowered, inst, reg))
    }

    /// Earlier instructions, the nearest first, each with its decoded form.
    pub(super) fn earlier(&self) -> impl Iterator<Item = (&'a Inst, iced_x86::Instruction)> + '_ {
        source::earlier(self.function, self.failure.offset)
            .filter_map(|i| Some((i, source::iced(self.lowered, i.offset)?)))
    }

    /// A diagnostic with this code at the instruction.
    pub(super) fn general(&self) -> Diag {
        let error = self.error();
        let mut diag = Diag::error(rules::code(error), self.span, in_general(error));
        if let Some(fact) = self.missing() {
            diag = diag.with_primary(format!("needs {}", self.names.fact(&fact)));
            diag = self.with_known(diag, &fact);
        } else if let Some(words) = self.looked_for() {
            diag = diag.with_primary(words);
        }
        match error.kind {
            Kind::Limit => diag.with_help(
                "split the block: a label with `where` keeps what it states, and forgets the rest",
            ),
            _ => diag,
        }
    }

    /// What the finder looked for in vain, in words.
    pub(super) fn looked_for(&self) -> Option<String> {
        self.failure.trouble.iter().rev().find_map(|t| match t {
            Trouble::Fact(fact) if self.holds(fact) => None,
            Trouble::Fact(fact) => Some(format!("needs {}", self.names.fact(fact))),
            Trouble::Access { base, offset, .. } => {
                Some(format!("nothing covers {}", self.names.address(*base, offset)))
            }
            Trouble::Cap(cap) => Some(format!("needs {}", self.names.cap(cap))),
            Trouble::View(view) => Some(format!("needs {}", self.names.view(view))),
            Trouble::Cmov => Some("the two values have nothing in common".to_owned()),
            Trouble::Variable(_) | Trouble::Skipped(_) => None,
        })
    }
}

/// Registers that the instruction uses without naming them, as `rep movsb` does.
fn implied(lowered: &Lowered, offset: u32) -> Vec<Reg> {
    let Some(instruction) = source::iced(lowered, offset) else { return Vec::new() };
    if !instruction.is_string_instruction() {
        return Vec::new();
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&instruction);
    let used = info.used_registers().iter().map(|u| u.register().full_register());
    used.filter_map(|r| Reg::ALL.into_iter().find(|reg| full_register(*reg) == r)).collect()
}

/// Where a variable comes from that no register holds: a name for it, and what it is.
fn origin_of(lowered: &Lowered, trace: &Trace, failure: &Failure, var: usize) -> (String, String) {
    let mut before = trace.ran.iter();
    let first = before.next().map_or(&failure.state, |r| &r.before);
    let function = lowered.functions.get(trace.function.0 as usize);
    if var < first.scope.len() {
        let label = function.and_then(|f| f.labels.iter().find(|l| l.offset == trace.begin));
        return match label.and_then(|l| l.names.first()) {
            Some((name, _)) => {
                (format!("({name})"), format!("a value that no register holds at {name}"))
            }
            None => ("(start)".to_owned(), "a value that the function was called with".to_owned()),
        };
    }
    // The instruction before the first state that has it.
    let after = trace.ran.iter().position(|r| var < r.before.scope.len());
    let by = match after.and_then(|at| at.checked_sub(1)) {
        Some(at) => trace.ran.get(at).map(|r| r.offset),
        None => Some(failure.offset),
    };
    let span = by.and_then(|offset| lowered.span_at(offset)).unwrap_or_default();
    let line = source::line(lowered, span);
    let code = by.and_then(|offset| source::iced(lowered, offset));
    let memory = |c: iced_x86::Instruction| {
        (0..c.op_count()).any(|i| c.op_kind(i) == iced_x86::OpKind::Memory)
    };
    let what = match code {
        Some(c) if matches!(c.flow_control(), FlowControl::Call | FlowControl::IndirectCall) => {
            "what the call there gives"
        }
        Some(c) if c.mnemonic() != Mnemonic::Lea && memory(c) => "what was read there",
        _ => "what was computed there",
    };
    (format!("(line {line})"), what.to_owned())
}

/// What is known about the sides of a fact that is missing.
pub(super) fn known(names: &Names<'_>, state: &State, goal: &Fact) -> String {
    let mut known = Vec::new();
    if goal.rel == Rel::Ge
        && let Some(bound) = lower_bound(state, &goal.term)
        && let Ok(term) = goal.term.plus(-bound)
    {
        let nearest = Fact { rel: Rel::Ge, term };
        if !Names::trivial(&nearest) {
            known.push(nearest);
        }
    }
    let need = names.fact(goal);
    known.retain(|fact| names.fact(fact) != need);
    let vars: Vec<Var> = goal.term.vars().collect();
    for fact in crate::prove::facts_of(state) {
        let about = fact.term.vars().all(|v| vars.contains(&v));
        let same = names.fact(&fact) == need;
        if about && !same && !Names::trivial(&fact) && !known.contains(&fact) {
            known.push(fact);
        }
    }
    known.truncate(6);
    let shown = names.facts(&known);
    if shown.is_empty() {
        let about: Vec<String> = vars.iter().map(|v| names.var(*v)).collect();
        return match about.as_slice() {
            [] => "nothing is known here".to_owned(),
            about => format!("nothing is known here about {}", list(about)),
        };
    }
    format!("{KNOWN}: {}", shown.join(", "))
}

/// How this instruction wrote the register, if it did.
pub(super) fn written_by<'a>(lowered: &Lowered, inst: &'a Inst, reg: Reg) -> Option<Written<'a>> {
    let instruction = source::iced(lowered, inst.offset)?;
    if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
        return (!reg.callee_saved() && reg != Reg::Rsp).then_some(Written::Call(inst));
    }
    let full = full_register(reg);
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&instruction);
    let write = info.used_registers().iter().find(|used| {
        let writes = matches!(
            used.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        );
        writes && used.register().full_register() == full
    })?;
    let part = write.register().size() < 4;
    Some(if part { Written::Partly(inst) } else { Written::By(inst) })
}

/// iced-x86's name of a register.
pub(super) fn full_register(reg: Reg) -> Register {
    const ALL: [Register; 16] = [
        Register::RAX,
        Register::RCX,
        Register::RDX,
        Register::RBX,
        Register::RSP,
        Register::RBP,
        Register::RSI,
        Register::RDI,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
    ];
    ALL.get(reg as usize).copied().unwrap_or(Register::None)
}

/// Is it a compare of which a conditional jump can make facts?
pub(super) fn is_compare(instruction: &iced_x86::Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Sub)
}

/// `a, b and c`
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// What is wrong, when nothing is known but the error.
pub(super) fn in_general(error: &Error) -> String {
    match &error.kind {
        Kind::NotProved(_) => "a fact that is needed here is not known".to_owned(),
        Kind::WrongWord(word) => format!("{} cannot be used here", class(word)),
        Kind::WrongRegister(reg, word) => {
            format!("{} cannot be used here: it holds {}", reg_name(*reg), class(word))
        }
        Kind::WrongSlot(_) => "the stack slot does not hold what is needed here".to_owned(),
        Kind::NoAccess(..) => "no field of this width stands there".to_owned(),
        Kind::BadHint => "no way was found to show that this is safe".to_owned(),
        Kind::Capability => "what is owned here is not what is needed".to_owned(),
        Kind::DeadRegion => "this was borrowed, and the borrow is over".to_owned(),
        Kind::Undecided(_) => "this may not be an address".to_owned(),
        Kind::Flags => "the flags say nothing that this condition could use".to_owned(),
        Kind::TooBig => "this expression is too large to be reasoned about".to_owned(),
        Kind::Limit => "this is larger than the checker's limits".to_owned(),
        Kind::Depth(_) => "the stack is not as deep as it must be here".to_owned(),
        Kind::Refused(_) => "this instruction is refused".to_owned(),
        Kind::Undecodable => "these bytes are no instruction of the table".to_owned(),
        Kind::BadTarget(_) => "this is no place to go to".to_owned(),
        Kind::IllFormed => "this is not well formed".to_owned(),
        Kind::Malformed(_) => "the annotations are malformed".to_owned(),
        Kind::Version(_) => "the annotations are of another version".to_owned(),
    }
}

/// What kind of word it is.
pub(super) fn class(word: &Word) -> &'static str {
    match word {
        Word::Int(_) => "a number",
        Word::Ptr(Base::Code(_), _) => "the address of code",
        Word::Ptr(..) => "an address",
        Word::Frame(_) => "an address in the frame",
        Word::ReturnAddress => "the return address",
        Word::Saved(_) => "a register of the caller",
        Word::Junk => "nothing that may be read",
    }
}
