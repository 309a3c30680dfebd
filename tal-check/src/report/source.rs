//! Not trusted: a bug here can reject, never admit. Looking things up in the source and the text.

use crate::lowered::{FnInfo, Inst, Lowered};
use iced_x86::Instruction;
use tal_core::decode::{Decoded, decode_at};
use tal_core::ty::Reg;
use tal_syntax::Span;

/// The source of a place, in one line without its comment.
#[must_use]
pub fn text(lowered: &Lowered, span: Span) -> &str {
    let text = lowered.sources.text(span);
    text.split(['\n', ';']).next().unwrap_or(text).trim()
}

/// The line of a place, counted from one.
#[must_use]
pub fn line(lowered: &Lowered, span: Span) -> u32 {
    lowered.sources.position(span).map_or(0, |p| p.line)
}

/// The register of which a word is a name, whole or in part.
#[must_use]
pub fn register(word: &str) -> Option<Reg> {
    let (family, _) = family(word)?;
    Reg::ALL.get(family).copied()
}

/// Number and width in bits of a register.
#[must_use]
pub fn family(word: &str) -> Option<(usize, u32)> {
    const OLD: [[&str; 4]; 8] = [
        ["rax", "eax", "ax", "al"],
        ["rcx", "ecx", "cx", "cl"],
        ["rdx", "edx", "dx", "dl"],
        ["rbx", "ebx", "bx", "bl"],
        ["rsp", "esp", "sp", "spl"],
        ["rbp", "ebp", "bp", "bpl"],
        ["rsi", "esi", "si", "sil"],
        ["rdi", "edi", "di", "dil"],
    ];
    for (number, names) in OLD.iter().enumerate() {
        if let Some(at) = names.iter().position(|n| *n == word) {
            return Some((number, [64, 32, 16, 8].get(at).copied()?));
        }
    }
    let rest = word.strip_prefix('r')?;
    let (digits, width) = match rest.strip_suffix(['d', 'w', 'b']) {
        Some(digits) if rest.ends_with('d') => (digits, 32),
        Some(digits) if rest.ends_with('w') => (digits, 16),
        Some(digits) => (digits, 8),
        None => (rest, 64),
    };
    let number: usize = digits.parse().ok()?;
    (8..16).contains(&number).then_some((number, width))
}

/// Words of a source text, with their places in it.
pub fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let begin = at + rest.find(is)?;
        let tail = text.get(begin..)?;
        let end = begin + tail.find(|c| !is(c)).unwrap_or(tail.len());
        at = end;
        Some((begin, text.get(begin..end)?))
    })
}

/// The registers that a source text mentions, in order.
#[must_use]
pub fn mentioned(text: &str) -> Vec<Reg> {
    let mut found = Vec::new();
    for reg in tokens(text).filter_map(|(_, w)| register(w)) {
        if !found.contains(&reg) {
            found.push(reg);
        }
    }
    found
}

/// The registers of the address in a source text.
#[must_use]
pub fn addressing(text: &str) -> Vec<Reg> {
    let open = text.find('[').unwrap_or(text.len());
    let close = text.find(']').unwrap_or(text.len());
    text.get(open..close).map(mentioned).unwrap_or_default()
}

/// The part of an instruction's place that is its memory operand, brackets included.
#[must_use]
pub fn operand(lowered: &Lowered, span: Span) -> Option<Span> {
    let text = lowered.sources.text(span);
    let (open, close) = (text.find('[')?, text.find(']')?);
    let at = |i: usize| span.start + u32::try_from(i).unwrap_or(0);
    (open < close).then(|| Span::new(span.file, at(open), at(close + 1)))
}

/// The part of an instruction's place that mentions this register; the last one.
#[must_use]
pub fn mention(lowered: &Lowered, span: Span, reg: Reg) -> Option<Span> {
    let text = lowered.sources.text(span);
    let code = text.split(';').next().unwrap_or(text);
    let (at, word) = tokens(code).filter(|(_, w)| register(w) == Some(reg)).last()?;
    let start = span.start + u32::try_from(at).ok()?;
    Some(Span::new(span.file, start, start + u32::try_from(word.len()).ok()?))
}

/// The mnemonic of an instruction's place.
#[must_use]
pub fn mnemonic(lowered: &Lowered, span: Span) -> Span {
    let text = lowered.sources.text(span);
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Span::new(span.file, span.start, span.start + u32::try_from(end).unwrap_or(0))
}

/// The instruction at this offset, decoded as the judge does.
#[must_use]
pub fn decoded(lowered: &Lowered, offset: u32) -> Option<Decoded> {
    decode_at(&lowered.text, lowered.text_address, offset).ok()
}

/// The instruction at this offset, as iced-x86 has it.
#[must_use]
pub fn iced(lowered: &Lowered, offset: u32) -> Option<Instruction> {
    let end = u32::try_from(lowered.text.len()).ok()?;
    let instruction = lowered.instructions(offset, end).next()?;
    (!instruction.is_invalid()).then_some(instruction)
}

/// Instructions of the function before this offset, the nearest first.
pub fn earlier(function: &FnInfo, offset: u32) -> impl Iterator<Item = &Inst> {
    let end = function.instructions.partition_point(|i| i.offset < offset);
    function.instructions.iter().take(end).rev().filter(|i| !i.implied)
}
