//! Not trusted: a bug here can reject, never admit. Diagnostics of the stack.

use super::rules;
use super::scene::{Scene, Written};
use super::words::{reg_name, slot_name};
use iced_x86::Mnemonic;
use tal_core::error::{Kind, Rule};
use tal_core::ty::{Reg, Word};
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// What is wrong with the stack at an instruction, if it is that.
pub(super) fn instruction(scene: &Scene<'_>) -> Option<Diag> {
    let error = scene.error();
    match (error.rule, &error.kind) {
        (Rule::Pop | Rule::LoadSlot | Rule::StoreSlot, Kind::WrongSlot(at)) => {
            let place = slot_name(at - scene.before().stack.delta);
            let held = scene.names.word(scene.before().slot(*at));
            let diag =
                Diag::error(rules::SLOT, scene.span, format!("{place} cannot be used like this"))
                    .with_primary(format!("{place} holds: {held}"));
            // What is above the frame belongs to others; the frame itself holds no such thing.
            let own = *at >= scene.before().stack.delta && *at < 0;
            Some(match own {
                true => diag.with_note(super::calls::FRAME).with_help(ELSEWHERE),
                false => {
                    diag.with_note("a function owns what it has pushed, and its declared arguments")
                }
            })
        }
        (Rule::EaForm, Kind::WrongSlot(_)) => Some(
            Diag::error(
                rules::SLOT,
                scene.operand(),
                "the frame is reached at constant places only",
            )
            .with_primary("a register says where")
            .with_note(super::calls::FRAME)
            .with_help(ELSEWHERE),
        ),
        (Rule::StackMove | Rule::Pop | Rule::Push, Kind::WrongSlot(_) | Kind::Capability) => Some(
            Diag::error(rules::STACK_MOVE, scene.span, "a part of the frame is not back")
                .with_primary("rsp goes up over memory that was lent, or given away")
                .with_note("what a call takes as `own` never comes back")
                .with_help("let the callee take it as `inout`, `out` or `&`"),
        ),
        (Rule::StackMove | Rule::Push | Rule::Pop, Kind::Depth(_)) => Some(
            Diag::error(rules::STACK_MOVE, scene.span, "rsp cannot go there")
                .with_primary(format!("here rsp = {}", depth(scene.before().stack.delta)))
                .with_note(
                    "rsp stays at or below where it was at the entry, moves in steps of 8, and \
                     goes down less than a page at a time",
                ),
        ),
        _ => None,
    }
}

/// Where that stands which no frame holds.
const ELSEWHERE: &str = "bytes have a place in `bss`; what owns memory comes back in a register of \
                         the function that makes it, or stands on the heap";

fn depth(delta: i64) -> String {
    match delta {
        0 => "entry rsp".to_owned(),
        d if d < 0 => format!("entry rsp - {}", -d),
        d => format!("entry rsp + {d}"),
    }
}

/// Something is left on the stack at a return.
pub(super) fn left(scene: &Scene<'_>, delta: i64) -> Diag {
    let bytes = delta.unsigned_abs();
    let words = match delta {
        0 => "`ret` does not find the return address".to_owned(),
        d if d < 0 => format!("`ret` with {bytes} bytes still on the stack"),
        _ => format!("`ret` with {bytes} bytes too few on the stack"),
    };
    let top = scene.before().slot(delta);
    let diag = Diag::error(rules::STACK_LEFT, scene.span, words)
        .with_primary(format!("[rsp] is {}, not the return address", top_words(top)));
    match unmatched(scene) {
        Some(span) => diag.with_label(span, "not undone on the way to the `ret`"),
        None => diag,
    }
    .with_help("undo it before the `ret`: `pop`, or `add rsp, ..`")
}

fn top_words(word: &Word) -> String {
    match word {
        Word::Saved(r) => format!("the caller's {}", reg_name(*r)),
        Word::Junk => "not known".to_owned(),
        Word::Int(_) => "a number".to_owned(),
        Word::Ptr(..) => "an address of data".to_owned(),
        Word::Frame(_) => "an address in the frame".to_owned(),
        Word::ReturnAddress => "the return address".to_owned(),
    }
}

/// The nearest push, or step down, that nothing undoes in the order of the source.
fn unmatched(scene: &Scene<'_>) -> Option<Span> {
    let mut open = 0_u32;
    for (inst, code) in scene.earlier() {
        let of_stack = code.op_count() > 0 && code.op0_register() == iced_x86::Register::RSP;
        match code.mnemonic() {
            Mnemonic::Pop => open += 1,
            Mnemonic::Add if of_stack => open += 1,
            Mnemonic::Push => match open.checked_sub(1) {
                Some(less) => open = less,
                None => return Some(inst.span),
            },
            Mnemonic::Sub if of_stack => match open.checked_sub(1) {
                Some(less) => open = less,
                None => return Some(inst.span),
            },
            _ => {}
        }
    }
    None
}

/// A register that belongs to the caller does not hold what it held.
pub(super) fn not_restored(scene: &Scene<'_>, reg: Reg) -> Diag {
    let name = reg_name(reg);
    let diag = Diag::error(rules::NOT_RESTORED, scene.span, format!("{name} is not restored"))
        .with_primary(format!("{name} should hold what it held at the entry"));
    let diag = match scene.written(reg) {
        Some(Written::By(inst) | Written::Partly(inst)) => {
            diag.with_label(inst.span, format!("overwritten; callers rely on {name}"))
        }
        _ => diag,
    };
    diag.with_help(format!("`push {name}` at the start, `pop {name}` before the `ret`"))
}
