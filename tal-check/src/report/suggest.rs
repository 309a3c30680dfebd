//! Not trusted: a bug here can reject, never admit. Edits that are offered because they were tried.
//!
//! What to state at a label is guessed from what is known on the ways to it. A guess is made into
//! an edit only if the function is accepted with it: the program is checked once more for each.

use super::replay::Replay;
use super::source;
use super::words::reg_name;
use crate::elaborate::lower;
use crate::explore::explore;
use crate::lowered::{FnInfo, LocalLabel, Lowered};
use crate::refusal::Refusal;
use std::collections::BTreeMap;
use std::path::Path;
use tal_core::hint::Start;
use tal_core::state::State;
use tal_core::ty::{Base, Cap, FieldTy, FnId, Kind, Mem, Reg, Word};
use tal_syntax::Span;
use tal_syntax::diag::{Diag, Edit};

/// Guesses that are tried for one diagnostic.
const TRIES: usize = 6;
/// Bytes of text up to which a program is small enough to be checked again and again.
const SMALL: usize = 4096;

/// A guess: what is said of it, and the edit.
type Guess = (String, Edit);

/// A guess that was tried.
pub(super) struct Advice {
    help: String,
    /// The edit, if the function is accepted with it; else less is refused with it than without.
    edit: Option<Edit>,
}

/// The diagnostic with this advice.
pub(super) fn advised(diag: Diag, advice: Advice) -> Diag {
    match advice.edit {
        Some(edit) => diag.with_edit(advice.help, edit.span, edit.replacement),
        None => diag.with_help(format!("for a first step, {}", advice.help)),
    }
}

/// The first guess with which the function is accepted, else one with which less is refused.
fn first(lowered: &Lowered, id: FnId, guesses: Vec<Guess>) -> Option<Advice> {
    let function = lowered.functions.get(id.0 as usize)?;
    if guesses.is_empty() {
        return None;
    }
    let nothing = Edit { span: function.span.before(), replacement: String::new() };
    let mut least = refused(lowered, function, &nothing)?;
    let mut found = None;
    let tries = if lowered.text.len() <= SMALL { TRIES } else { 2 };
    for (help, edit) in guesses.into_iter().take(tries) {
        match refused(lowered, function, &edit) {
            Some(0) => return Some(Advice { help, edit: Some(edit) }),
            Some(left) if left < least => {
                least = left;
                found = Some(Advice { help, edit: None });
            }
            _ => {}
        }
    }
    found
}

/// How much of the function is refused with this change of the source; nothing if it is no program.
fn refused(lowered: &Lowered, function: &FnInfo, edit: &Edit) -> Option<usize> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (id, source) in lowered.sources.iter() {
        let changed = if id == edit.span.file { edit.apply(&source.text) } else { None };
        files.insert(source.path.clone(), changed.unwrap_or_else(|| source.text.clone()));
    }
    let root = lowered.sources.get(0).map(|s| s.path.clone())?;
    let changed = lower(Path::new(&root), &files).ok()?.lowered?;
    let at = changed.functions.iter().position(|f| f.name == function.name)?;
    let id = FnId(u32::try_from(at).ok()?);
    let explored = explore(&changed);
    let here = |refusal: &&Refusal| match refusal {
        Refusal::Trouble(of, _) | Refusal::Unreached(of, _) | Refusal::Dead(of, ..) => *of == id,
        Refusal::Judge(_) => true,
    };
    let troubles = explored.refusals.iter().filter(here).count();
    if troubles > 0 {
        return Some(troubles);
    }
    let replay = Replay::new(&changed, &explored);
    let fails = |start: &(u32, Start)| replay.block(id, start.1, true).failure.is_some();
    Some(replay.starts(id).iter().filter(|s| fails(s)).count())
}

/// The edit that states this at a label.
fn stated(lowered: &Lowered, label: &LocalLabel, items: &str) -> Option<Guess> {
    let (name, span) = label.names.first()?;
    let file = lowered.sources.get(span.file)?;
    let help = format!("state what holds on every way: `{name}: where {items}`");
    if let Some(written) = &label.state {
        let span = written.span.after();
        return Some((help, Edit { span, replacement: format!(", {items}") }));
    }
    let colon = span.end as usize;
    let rest = file.text.get(colon..)?.strip_prefix(':')?;
    let line = rest.split(['\n', ';']).next().unwrap_or("");
    let at = Span::new(span.file, span.end + 1, span.end + 1);
    // A statement behind a label that has a state stands in a line of its own.
    let replacement = match line.trim().is_empty() {
        true => format!(" where {items}"),
        false => format!(" where {items}\n       "),
    };
    Some((help, Edit { span: at, replacement }))
}

/// What is owned at a label, from the ways to it.
pub(super) fn owned(
    lowered: &Lowered,
    replay: &Replay<'_>,
    id: FnId,
    label: &LocalLabel,
) -> Option<Advice> {
    let mut guesses: Vec<String> = Vec::new();
    let mut single: Vec<String> = Vec::new();
    for state in ways(lowered, replay, id, label.offset) {
        for moved in [true, false] {
            let items = |saved: bool| -> Vec<String> {
                let regs = Reg::ALL.into_iter().filter(|r| *r != Reg::Rsp);
                let regs = regs.filter(|r| !saved || r.callee_saved());
                let mut named = Vec::new();
                // Of two registers with one address the first is enough.
                let first = regs.filter(|r| match state.reg(*r) {
                    Word::Ptr(base, _) if named.contains(base) => false,
                    Word::Ptr(base, _) => {
                        named.push(*base);
                        true
                    }
                    _ => false,
                });
                first.filter_map(|r| item(lowered, &state, r, moved)).collect()
            };
            // What calls keep, then all that is held.
            guesses.push(items(true).join(", "));
            guesses.push(items(false).join(", "));
            single.extend(items(true));
        }
    }
    guesses.extend(single);
    guesses.retain(|g| !g.is_empty());
    let mut seen = Vec::new();
    for guess in guesses {
        if !seen.contains(&guess) {
            seen.push(guess);
        }
    }
    let edits = seen.iter().filter_map(|items| stated(lowered, label, items)).collect();
    first(lowered, id, edits)
}

/// States right before the instructions from which a label is reached.
pub(super) fn ways(lowered: &Lowered, replay: &Replay<'_>, id: FnId, to: u32) -> Vec<State> {
    let target = u64::from(lowered.text_address) + u64::from(to);
    let mut found = Vec::new();
    for (_, start) in replay.starts(id) {
        let trace = replay.block(id, start, false);
        for ran in &trace.ran {
            let Some(code) = source::iced(lowered, ran.offset) else { continue };
            let jumps = code.is_jcc_short_or_near() || code.is_jmp_short_or_near();
            let runs_on = ran.offset as usize + code.len() == to as usize;
            if (jumps && code.near_branch64() == target) || runs_on {
                found.push(ran.before.clone());
            }
        }
    }
    found
}

/// `rbx: own@heap? node`, of what a register owns here. With `moved`, a struct out of which
/// something was moved is only the memory that it was.
fn item(lowered: &Lowered, state: &State, reg: Reg, moved: bool) -> Option<String> {
    let Word::Ptr(Base::Name(name), offset) = state.reg(reg) else { return None };
    if offset.as_int() != Some(0) {
        return None;
    }
    let mut entries = state.caps.iter().filter_map(|c| match c {
        Cap::Entry(e) if e.name == *name => Some(e),
        _ => None,
    });
    let (entry, None) = (entries.next()?, entries.next()) else { return None };
    let mem = shape(lowered, state, &entry.mem, moved)?;
    let tal_core::term::Var::Free(i) = *name else { return None };
    let scope = state.scope.get(usize::from(i))?;
    let null = if scope.set.is_address() { "" } else { "?" };
    let origin = match &scope.kind {
        Kind::Addr { block: Some(block), .. } => {
            let name = lowered.host.origins.get(usize::from(block.origin.0))?;
            format!("@{name}")
        }
        _ => String::new(),
    };
    Some(format!("{}: own{origin}{null} {mem}", reg_name(reg)))
}

/// The memory as it is written.
fn shape(lowered: &Lowered, state: &State, mem: &Mem, moved: bool) -> Option<String> {
    let length = |n: &tal_core::term::Term| match n.as_int() {
        Some(c) => Some(c.to_string()),
        None => {
            let kept = Reg::ALL.into_iter().filter(|r| r.callee_saved());
            let holds = |r: &Reg| matches!(state.reg(*r), Word::Int(t) if t == n);
            kept.into_iter().find(holds).map(|r| reg_name(r).to_owned())
        }
    };
    match mem {
        Mem::Bytes(n) | Mem::Zero(n) => Some(format!("bytes[{}]", length(n)?)),
        Mem::Junk(n) => Some(format!("junk[{}]", length(n)?)),
        Mem::Named(id, args) if args.is_empty() => Some(lowered.type_info(*id)?.name.clone()),
        Mem::Struct { size, fields } => {
            let all = lowered.types.iter().chain(&lowered.host.types);
            let places = |t: &&crate::lowered::TypeInfo| {
                t.ty.size == *size
                    && t.fields.iter().map(|f| f.offset).eq(fields.iter().map(|f| f.offset))
            };
            let name = &all.into_iter().find(places)?.name;
            let known = fields.iter().any(|f| matches!(f.ty, FieldTy::Known(_) | FieldTy::Junk(_)));
            Some(if moved && known { format!("junk[sizeof {name}]") } else { name.clone() })
        }
        _ => None,
    }
}

/// A range that a loop forgets, stated at its head: of the register in an address, up to this.
pub(super) fn range(
    lowered: &Lowered,
    id: FnId,
    label: &LocalLabel,
    (reg, high): (Reg, i128),
) -> Option<Advice> {
    let name = reg_name(reg);
    let items = format!("0 <= {name} <= {high}");
    first(lowered, id, stated(lowered, label, &items).into_iter().collect())
}

/// `jb` for a `jne` that ends a loop: the end is reached even if it is stepped over.
pub(super) fn below(lowered: &Lowered, id: FnId, head: u32) -> Option<Advice> {
    let function = lowered.functions.get(id.0 as usize)?;
    let target = u64::from(lowered.text_address) + u64::from(head);
    let jump = function.instructions.iter().rev().find(|i| {
        let code = source::iced(lowered, i.offset);
        code.is_some_and(|c| c.is_jcc_short_or_near() && c.near_branch64() == target)
    });
    let word = source::mnemonic(lowered, jump?.span);
    if !matches!(lowered.sources.text(word), "jne" | "jnz") {
        return None;
    }
    let edit = Edit { span: word, replacement: "jb".to_owned() };
    let help = "use `jb`: then the loop is known to stay below its end".to_owned();
    first(lowered, id, vec![(help, edit)])
}
