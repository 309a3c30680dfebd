//! Not trusted: a bug here can reject, never admit. Why a bound is missing: compares that say less
//! than they seem to, calls that may have failed, sums that may wrap.

use super::memory::{needs, origin_before};
use super::scene::{Scene, Written};
use super::words::reg_name;
use super::{labels, rules, source, suggest};
use iced_x86::{ConditionCode, Instruction, Mnemonic, OpKind};
use tal_core::term::Var;
use tal_core::ty::{Fact, Reg, Rel, Word};
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// A bound that a compare was meant to give, but does not.
pub(super) fn wrong_compare(scene: &Scene<'_>, bound: &Fact, below: bool) -> Option<Diag> {
    let indices: Vec<Reg> = source::addressing(scene.text())
        .into_iter()
        .filter(|r| matches!(scene.before().reg(*r), Word::Int(_)))
        .collect();
    let needs = format!("needs {}", scene.names.fact(bound));
    for (inst, code) in all(scene) {
        if code.mnemonic() != Mnemonic::Cmp || code.op0_kind() != OpKind::Register {
            continue;
        }
        let reg = Reg::ALL.get(code.op0_register().full_register().number()).copied();
        let Some(reg) = reg.filter(|r| indices.contains(r)) else { continue };
        let Some((jump, jcc)) = next(scene, inst.offset) else { continue };
        let signed = matches!(
            jcc.condition_code(),
            ConditionCode::l | ConditionCode::le | ConditionCode::g | ConditionCode::ge
        );
        if code.op0_register().size() == 4 {
            if cleared(scene, inst.offset, reg) {
                continue;
            }
            return Some(narrow_compare(scene, inst.span, reg, needs));
        }
        if signed && code.op0_register().size() == 8 {
            return Some(signed_compare(scene, (jump, &jcc), (bound, below), needs));
        }
    }
    None
}

/// All instructions of the function, the nearest before the failure first.
fn all<'a>(
    scene: &Scene<'a>,
) -> impl Iterator<Item = (&'a crate::lowered::Inst, Instruction)> + use<'a> {
    let at = scene.failure.offset;
    let (lowered, list) = (scene.lowered, &scene.function.instructions);
    let end = list.partition_point(|i| i.offset < at);
    let before = list.iter().take(end).rev();
    let after = list.iter().skip(end);
    before.chain(after).filter_map(move |i| Some((i, source::iced(lowered, i.offset)?)))
}

/// The conditional jump right behind an instruction.
fn next(scene: &Scene<'_>, offset: u32) -> Option<(Span, Instruction)> {
    let list = &scene.function.instructions;
    let at = list.partition_point(|i| i.offset <= offset);
    let inst = list.get(at)?;
    let code = source::iced(scene.lowered, inst.offset)?;
    (code.condition_code() != ConditionCode::None).then_some((inst.span, code))
}

/// Was the register written before this place by an instruction of 32 bits, which clears what is
/// above them? Then a compare of 32 bits does say something about the whole.
fn cleared(scene: &Scene<'_>, offset: u32, reg: Reg) -> bool {
    let mut earlier = source::earlier(scene.function, offset);
    let written = earlier.find_map(|i| super::scene::written_by(scene.lowered, i, reg));
    match written {
        Some(Written::By(inst)) => source::iced(scene.lowered, inst.offset)
            .is_some_and(|code| code.op0_register().size() == 4),
        _ => false,
    }
}

fn narrow_compare(scene: &Scene<'_>, compare: Span, reg: Reg, needs: String) -> Diag {
    let name = reg_name(reg);
    let text = source::text(scene.lowered, compare);
    let wide: Vec<String> = source::mentioned(text).iter().map(|r| reg_name(*r).into()).collect();
    let diag = Diag::error(
        rules::NARROW_COMPARE,
        scene.operand(),
        "a 32-bit compare says nothing about the 64-bit register",
    )
    .with_primary(needs)
    .with_label(compare, format!("compares the low half of {name}; {name} may be 2^32 or more"));
    match wide.as_slice() {
        [a, b] => {
            let whole = format!("cmp     {a}, {b}");
            let short = scene.lowered.sources.text(compare).len();
            let code = Span::new(
                compare.file,
                compare.start,
                compare.start + u32::try_from(text.len().min(short)).unwrap_or(0),
            );
            diag.with_edit(format!("compare the whole registers: `cmp {a}, {b}`"), code, whole)
        }
        _ => diag.with_help(format!("compare {name} itself")),
    }
}

fn signed_compare(
    scene: &Scene<'_>,
    (jump, jcc): (Span, &Instruction),
    (bound, below): (&Fact, bool),
    needs: String,
) -> Diag {
    let (from, to) = match jcc.condition_code() {
        ConditionCode::l => ("jl", "jb"),
        ConditionCode::le => ("jle", "jbe"),
        ConditionCode::g => ("jg", "ja"),
        _ => ("jge", "jae"),
    };
    let shown = scene.names.fact(bound);
    let (words, why) = if below {
        let why = format!("bounds it from above, and says nothing about {shown}");
        ("a signed compare does not bound this index from below", why)
    } else {
        let why = "takes a number of 2^63 or more for a negative one, which is less".to_owned();
        ("a signed compare does not bound an unsigned number", why)
    };
    let diag = Diag::error(rules::SIGNED_COMPARE, scene.operand(), words)
        .with_primary(needs)
        .with_label(jump, why);
    let word = source::mnemonic(scene.lowered, jump);
    if !below && scene.lowered.sources.text(word) == from {
        return diag.with_edit(format!("use `{to}`: it gives both bounds"), word, to);
    }
    diag.with_help(format!("use `{to}` on a number that is declared `u64`: it gives both bounds"))
}

/// Advice to compare the index with the bound.
pub(super) fn compare_help(scene: &Scene<'_>, diag: Diag, bound: &Fact, below: bool) -> Diag {
    let state = scene.before();
    let holds = |v: Var| {
        let is = |r: &Reg| matches!(state.reg(*r), Word::Int(t) if t.as_var() == Some(v));
        let mut mentioned = source::mentioned(scene.text()).into_iter();
        mentioned.find(|r| is(r)).or_else(|| Reg::ALL.into_iter().find(is))
    };
    let side = |positive: bool| {
        let mut m = bound.term.monomials().iter().filter(|m| (m.coefficient > 0) == positive);
        let first = m.next()?;
        let (v, None) = first.atom.factors() else { return None };
        (m.next().is_none() && first.coefficient.abs() == 1).then_some(v)
    };
    if below {
        let free = match side(true) {
            Some(v) if bound.term.monomials().len() == 1 => scene.declared(v),
            _ => None,
        };
        return match free {
            Some(_) if scene.known(bound).starts_with("nothing") => {
                diag.with_help("declare it as `u64`, and compare it with the end as unsigned")
            }
            _ => diag.with_help("compare it before the access, or declare its range"),
        };
    }
    if let Some((word, from, to)) = off_by_one(scene) {
        return diag.with_edit(
            format!("`{from}` lets the index be equal to the end: use `{to}`"),
            word,
            to,
        );
    }
    let single = side(false).filter(|_| bound.term.monomials().len() == 1);
    let limit = single.and_then(holds).map(|reg| (reg, bound.term.constant()));
    if let Some(advice) = labels::bounded(scene, limit) {
        return suggest::advised(diag, advice);
    }
    let pair = side(false).zip(side(true)).filter(|_| bound.term.constant() == -1);
    let pair = pair.and_then(|(index, end)| Some((holds(index)?, holds(end)?)));
    match pair {
        Some((index, end)) => {
            let (index, end) = (reg_name(index), reg_name(end));
            diag.with_help(format!("compare before the access: `cmp {index}, {end}` / `jae .done`"))
        }
        None => match side(false).filter(|_| bound.term.monomials().len() == 1).and_then(holds) {
            Some(index) => {
                let (index, end) = (reg_name(index), bound.term.constant() + 1);
                let help = format!("compare before the access: `cmp {index}, {end}` / `jae .done`");
                diag.with_help(help)
            }
            None => match labels::head_of(scene) {
                Some(head) => diag.with_help(format!(
                    "compare before the access; if the loop is sure to stay within, state what \
                     bounds it: `{head}: where ..`"
                )),
                None => diag.with_help("compare before the access, or shorten the way to it"),
            },
        },
    }
}

/// The general register of which this is a part.
fn general(register: iced_x86::Register) -> Option<Reg> {
    let number = register.is_gpr().then(|| register.full_register().number());
    number.and_then(|n| Reg::ALL.get(n)).copied()
}

/// Is the number that this register holds known to be no less than this?
fn at_least(scene: &Scene<'_>, reg: Reg, low: i128) -> bool {
    let Word::Int(t) = scene.before().reg(reg) else { return false };
    t.plus(-low).is_ok_and(|term| scene.holds(&Fact { rel: Rel::Ge, term }))
}

/// A bound that a compare gives only where the result of a call is no error number: the index is
/// compared with it, and it was not tested.
pub(super) fn untested_bound(scene: &Scene<'_>, bound: &Fact) -> Option<Diag> {
    let indices = source::addressing(scene.text());
    let (reg, call) = all(scene).find_map(|(inst, code)| {
        let registers = code.op0_kind() == OpKind::Register && code.op1_kind() == OpKind::Register;
        if code.mnemonic() != Mnemonic::Cmp || !registers || code.op0_register().size() != 8 {
            return None;
        }
        let (index, end) = (general(code.op0_register())?, general(code.op1_register())?);
        if !indices.contains(&index) || at_least(scene, end, 0) {
            return None;
        }
        match origin_before(scene, end, inst.offset) {
            Some(Written::Call(call)) if fails(scene, call) => Some((end, call.span)),
            _ => None,
        }
    })?;
    Some(untested(scene, reg, call).with_note(memory_needs(scene, bound)))
}

fn memory_needs(scene: &Scene<'_>, bound: &Fact) -> String {
    format!("the access {}", needs(&scene.names, bound))
}

/// May the function that is called here give a negative number?
fn fails(scene: &Scene<'_>, call: &crate::lowered::Inst) -> bool {
    let lowered = scene.lowered;
    let Some(code) = source::iced(lowered, call.offset) else { return false };
    let sig = super::calls::called_sig(lowered, &code);
    let Some(post) = sig.as_ref().and_then(|s| s.post.as_ref()) else { return false };
    let Word::Int(t) = post.state.regs.get(Reg::Rax) else { return false };
    // A range that begins below zero, and not where all numbers begin.
    let first = sig.as_ref().map_or(0, |s| s.vars.len());
    let var = |i: u16| Var::Free(u16::try_from(first).unwrap_or(u16::MAX).saturating_add(i));
    let told = crate::prove::declared(&post.vars, var, &post.state.facts);
    let low = crate::prove::Known::new(&told).lower_bound(t);
    low.is_some_and(|low| (-4095..0).contains(&low))
}

fn untested(scene: &Scene<'_>, reg: Reg, call: Span) -> Diag {
    let name = reg_name(reg);
    Diag::error(rules::UNTESTED, scene.span, "the failure of this call was not tested")
        .with_primary(format!("{name} may be an error number here"))
        .with_label(call, "gives -errno when it fails")
        .with_help("after the call: `test rax, rax` / `js .failed`")
}

/// A compare of a sum with the end, where the sum may be 2^64 or more: its place, and what to
/// compare instead.
pub(super) fn wrapping_sum(scene: &Scene<'_>) -> Option<(Span, String)> {
    let indices = source::addressing(scene.text());
    all(scene).find_map(|(inst, code)| {
        let registers = code.op0_kind() == OpKind::Register && code.op1_kind() == OpKind::Register;
        if code.mnemonic() != Mnemonic::Cmp || !registers || code.op0_register().size() != 8 {
            return None;
        }
        let (sum, end) = (general(code.op0_register())?, general(code.op1_register())?);
        let written = source::earlier(scene.function, inst.offset)
            .find_map(|i| super::scene::written_by(scene.lowered, i, sum))?;
        let Written::By(by) = written else { return None };
        let made = source::iced(scene.lowered, by.offset)?;
        let (index, more) = match made.mnemonic() {
            Mnemonic::Lea => (general(made.memory_base())?, made.memory_displacement64()),
            _ => return None,
        };
        let known = (1..1 << 31).contains(&more)
            && matches!(scene.before().reg(index), Word::Int(_))
            && indices.contains(&index)
            && !at_most(scene, index, (1 << 63) - 1);
        known.then(|| {
            let (sum, end, index) = (reg_name(sum), reg_name(end), reg_name(index));
            let help = format!(
                "subtract from the end instead: `mov {sum}, {end}` / `sub {sum}, {more}` / `jb \
                 .out` / `cmp {index}, {sum}` / `ja .out`"
            );
            (by.span, help)
        })
    })
}

fn at_most(scene: &Scene<'_>, reg: Reg, high: i128) -> bool {
    let Word::Int(t) = scene.before().reg(reg) else { return false };
    let term = t.scale(-1).and_then(|t| t.plus(high));
    term.is_ok_and(|term| scene.holds(&Fact { rel: Rel::Ge, term }))
}

/// Adds what explains a bound from below that is missing: the failure of a call that was not
/// tested, or an unsigned compare of what may be negative.
pub(super) fn lower_help(scene: &Scene<'_>, diag: Diag, fact: &Fact) -> Diag {
    if fact.rel != Rel::Ge || !fact.term.monomials().iter().any(|m| m.coefficient > 0) {
        return diag;
    }
    let signless = |code: ConditionCode| {
        use ConditionCode as C;
        matches!(code, C::b | C::be | C::a | C::ae)
    };
    let compare = scene.earlier().find_map(|(inst, code)| {
        let compares = code.mnemonic() == Mnemonic::Cmp && code.op0_register().size() == 8;
        let (_, jcc) = next(scene, inst.offset).filter(|_| compares)?;
        let ran = scene.trace.ran.iter().find(|r| r.offset == inst.offset)?;
        let reg = general(code.op0_register()).filter(|_| signless(jcc.condition_code()))?;
        let Word::Int(t) = ran.before.reg(reg) else { return None };
        let negative = crate::prove::lower_bound(&ran.before, t).is_none_or(|low| low < 0);
        negative.then_some((inst.span, reg))
    });
    match compare {
        Some((span, reg)) => {
            let name = reg_name(reg);
            diag.with_label(
                span,
                format!("unsigned, so this says nothing of {name}, which may be negative"),
            )
            .with_help(format!("test the sign before it: `test {name}, {name}` / `js .out`"))
        }
        None => diag,
    }
}

/// A compare of an index that is one too generous: the jump's mnemonic, and what it should be.
fn off_by_one(scene: &Scene<'_>) -> Option<(Span, &'static str, &'static str)> {
    let indices = source::addressing(scene.text());
    all(scene).find_map(|(inst, code)| {
        let registers = code.mnemonic() == Mnemonic::Cmp && code.op1_kind() == OpKind::Register;
        let reg = Reg::ALL.get(code.op0_register().full_register().number()).copied();
        if !registers || code.op0_register().size() != 8 || !indices.contains(&reg?) {
            return None;
        }
        let (jump, jcc) = next(scene, inst.offset)?;
        let (from, to) = match jcc.condition_code() {
            ConditionCode::be => ("jbe", "jb"),
            ConditionCode::a => ("ja", "jae"),
            _ => return None,
        };
        let word = source::mnemonic(scene.lowered, jump);
        (scene.lowered.sources.text(word) == from).then_some((word, from, to))
    })
}
