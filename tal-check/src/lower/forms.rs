//! Not trusted: a bug here can reject, never admit. Why an instruction has no encoding, in words.

use super::{Elab, Reported};
use crate::asm::{self, Arg, AsmError, MemArg};
use iced_x86::Register;
use std::collections::BTreeSet;
use tal_syntax::ast::{self, Gpr, OperandKind, Reg, Width};
use tal_syntax::diag::{Code, Diag};
use tal_syntax::{Span, habits};

impl Elab {
    /// Why an instruction has no encoding, in words.
    pub(super) fn asm_error(&mut self, e: AsmError, inst: &ast::Inst, span: Span) -> Reported {
        let name = &inst.mnemonic.text;
        let at = inst.mnemonic.span;
        let diag = match e {
            AsmError::Unknown(near) => self.unknown_instruction(near, inst, span),
            AsmError::Refused(why) => self.refused_instruction(why, inst, span),
            AsmError::Prefix(why) => {
                let at = inst.prefix.map_or(at, |(_, s)| s);
                Diag::error(Code(801), at, "this prefix is refused").with_note(why)
            }
            AsmError::NoForm if exchanges(inst) => self.exchange(inst, span),
            AsmError::NoForm => match widths(inst, span) {
                Some(diag) => diag,
                None => no_form(name, inst, span),
            },
            AsmError::NeedsSize => {
                let memory = inst.operands.iter().find(|o| is_memory(o));
                let at = memory.map_or(span, |o| o.span);
                Diag::error(Code(804), at, "how wide is this?")
                    .with_help("write `byte`, `word`, `dword` or `qword` in front of `[`")
            }
            AsmError::SizeMismatch(left, right) => Diag::error(
                Code(804),
                span,
                format!("one operand has {left} bytes, the other {right}"),
            ),
            AsmError::Immediate(v, bytes) => {
                let message = format!("{v} does not fit into {} bits", u32::from(bytes) * 8);
                let diag = Diag::error(Code(805), span, message);
                if bytes == 4 {
                    diag.with_help("load it into a register first: `mov reg, constant`")
                } else {
                    diag
                }
            }
            AsmError::Displacement(d) => Diag::error(
                Code(806),
                span,
                format!("the displacement {d} does not fit into 32 bits"),
            ),
            AsmError::HighByte => Diag::error(Code(808), span, "ah, bh, ch and dh are refused")
                .with_note("the checker does not follow the second byte of a register")
                .with_help("shift the register by 8 and use its low byte"),
            AsmError::Index => Diag::error(Code(806), span, "rsp cannot be scaled"),
            AsmError::Encoder(text) => Diag::error(Code(803), span, text),
        };
        self.report(diag)
    }

    /// How another assembler's line is written here.
    fn habit(&self, span: Span) -> Option<habits::Habit> {
        habits::code(self.program.sources.text(span))
    }

    fn unknown_instruction(
        &self,
        near: Option<&'static str>,
        inst: &ast::Inst,
        span: Span,
    ) -> Diag {
        let (name, at) = (&inst.mnemonic.text, inst.mnemonic.span);
        let diag = Diag::error(Code(802), at, format!("no instruction `{name}`"));
        match (self.habit(span), near) {
            (Some(habit), _) => match habit.line {
                Some(line) => diag.with_edit(habit.help, span, line),
                None => diag.with_help(habit.help),
            },
            (None, Some(near)) => diag.with_edit(format!("did you mean `{near}`?"), at, near),
            (None, None) => diag,
        }
    }

    fn refused_instruction(&self, why: &'static str, inst: &ast::Inst, span: Span) -> Diag {
        let (name, at) = (&inst.mnemonic.text, inst.mnemonic.span);
        if exchanges(inst) {
            return self.exchange(inst, span);
        }
        let diag = Diag::error(Code(801), at, format!("`{name}` is refused"));
        match self.habit(span) {
            Some(habit) => match habit.line {
                Some(line) => diag.with_edit(habit.help, span, line),
                None => diag.with_help(habit.help),
            },
            None => diag.with_note(why),
        }
    }

    /// `xchg` with memory locks it, which is for threads.
    fn exchange(&self, inst: &ast::Inst, span: Span) -> Diag {
        let text = |o: &ast::Operand| self.program.sources.text(o.span).trim().to_owned();
        let memory = inst.operands.iter().find(|o| is_memory(o));
        let other = inst.operands.iter().find(|o| !is_memory(o)).map(text);
        let at = memory.map_or(span, |o| o.span);
        let diag = Diag::error(Code(801), at, "`xchg` takes no memory")
            .with_primary("with memory it is a locked operation")
            .with_note("threads and atomic operations come with a later version");
        match (memory.map(text), other) {
            (Some(memory), Some(reg)) => diag.with_help(format!(
                "use a register that is free: `mov r11, {memory}` / `mov {memory}, {reg}` / `mov \
                 {reg}, r11`"
            )),
            _ => diag,
        }
    }
}

fn is_memory(operand: &ast::Operand) -> bool {
    matches!(operand.kind, OperandKind::Mem { .. })
}

fn exchanges(inst: &ast::Inst) -> bool {
    inst.mnemonic.text.eq_ignore_ascii_case("xchg") && inst.operands.iter().any(is_memory)
}

/// Two registers of different widths.
fn widths(inst: &ast::Inst, span: Span) -> Option<Diag> {
    let [left, right] = inst.operands.as_slice() else { return None };
    let general = |o: &ast::Operand| match o.kind {
        OperandKind::Reg(Reg::Gpr(gpr, width)) => Some((gpr, width)),
        _ => None,
    };
    let ((to, a), (from, b)) = (general(left)?, general(right)?);
    let name = inst.mnemonic.text.to_ascii_lowercase();
    if a == b {
        return None;
    }
    let bytes = |w: Width| w.bits() / 8;
    let words = format!("one operand has {} bytes, the other {}", bytes(a), bytes(b));
    let diag = Diag::error(Code(804), span, words);
    let extends = matches!(name.as_str(), "movzx" | "movsx" | "movsxd");
    if extends && (a, b) == (Width::W64, Width::W32) && name == "movzx" {
        let same = |g: Gpr| g.name(Width::W32);
        let line = format!("mov     {}, {}", same(to), same(from));
        return Some(diag.with_edit("writing 32 bits clears the others: write `mov`", span, line));
    }
    let shift = matches!(name.as_str(), "shl" | "shr" | "sar" | "sal" | "rol" | "ror");
    if extends || shift {
        return None;
    }
    // The narrower width is what both have, and a 32-bit write clears what is above it.
    let same = from.name(a);
    let help = format!("write `{name} {}, {same}`", to.name(a));
    let diag = diag.with_edit(help, right.span, same);
    let narrow = bytes(b) < bytes(a) && bytes(b) < 4 && name == "mov";
    Some(if narrow { diag.with_help("`movzx` takes a narrower source") } else { diag })
}

/// The instruction exists, but not with these operands: there are too many or too few of them, or
/// they are of another kind.
fn no_form(name: &str, inst: &ast::Inst, span: Span) -> Diag {
    let given = inst.operands.len();
    let all: Vec<(usize, BTreeSet<String>)> = (0..=3).map(|n| (n, forms(name, n))).collect();
    let some = all.iter().filter(|(_, forms)| !forms.is_empty());
    let counts: Vec<usize> = some.clone().map(|(n, _)| *n).collect();
    let here = all.iter().find(|(n, forms)| *n == given && !forms.is_empty());
    let shown: Vec<String> = match here {
        Some((_, forms)) => forms.iter().cloned().collect(),
        None => some.flat_map(|(_, forms)| forms.iter().cloned()).collect(),
    };
    let diag = |message| {
        let diag = Diag::error(Code(803), span, message);
        match shown.as_slice() {
            [] => diag,
            shown => diag.with_note(format!("its forms are: {}", shown.join("; "))),
        }
    };
    if counts.is_empty() || here.is_some() {
        return diag(format!("`{name}` does not take these operands"));
    }
    let wanted: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let plural = if wanted == ["1"] { "" } else { "s" };
    diag(format!("`{name}` takes {} operand{plural}, not {given}", wanted.join(" or ")))
}

/// The forms of an instruction with so many operands: those that are encoded when they are tried.
fn forms(name: &str, count: usize) -> BTreeSet<String> {
    let mem = |size| Arg::Mem(MemArg { size, base: Some(Register::RDI), index: None, disp: 0 });
    let kinds = [
        ("r8", Arg::Reg(Register::SIL)),
        ("r16", Arg::Reg(Register::SI)),
        ("r32", Arg::Reg(Register::ESI)),
        ("r64", Arg::Reg(Register::RSI)),
        ("m8", mem(Some(1))),
        ("m16", mem(Some(2))),
        ("m32", mem(Some(4))),
        ("m64", mem(Some(8))),
        ("cl", Arg::Reg(Register::CL)),
        ("imm", Arg::Imm(1)),
    ];
    let name = name.to_ascii_lowercase();
    let mut found: BTreeSet<Vec<&str>> = BTreeSet::new();
    let total = kinds.len().pow(u32::try_from(count).unwrap_or(0));
    for number in 0..total {
        let mut rest = number;
        let chosen: Vec<usize> = (0..count)
            .map(|_| {
                let at = rest % kinds.len();
                rest /= kinds.len();
                at
            })
            .collect();
        let args: Vec<Arg> = chosen.iter().filter_map(|at| kinds.get(*at)).map(|k| k.1).collect();
        if asm::encode(None, &name, &args, 0).is_ok() {
            found.insert(chosen.iter().filter_map(|at| kinds.get(*at)).map(|k| k.0).collect());
        }
    }
    merged(found).into_iter().map(|form| format!("{name} {}", form.join(", "))).collect()
}

/// Forms that differ in one operand only, as one: `r/m64` for a register or memory, `m` for memory
/// of any width.
fn merged(found: BTreeSet<Vec<&'static str>>) -> BTreeSet<Vec<String>> {
    // cl is a register of 8 bits: it is a form of its own only where no other is one.
    let other = |form: &Vec<&'static str>| -> Vec<&'static str> {
        form.iter().map(|k| if *k == "cl" { "r8" } else { *k }).collect()
    };
    let plain = found.iter().filter(|f| !f.contains(&"cl") || !found.contains(&other(f)));
    let mut forms: BTreeSet<Vec<String>> =
        plain.map(|f| f.iter().map(|k| (*k).to_owned()).collect()).collect();
    let groups: [(&[&str], &str); 5] = [
        (&["m8", "m16", "m32", "m64"], "m"),
        (&["r8", "m8"], "r/m8"),
        (&["r16", "m16"], "r/m16"),
        (&["r32", "m32"], "r/m32"),
        (&["r64", "m64"], "r/m64"),
    ];
    for (parts, whole) in groups {
        let width = forms.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..width {
            for form in forms.clone() {
                let with = |kind: &str| {
                    let mut changed = form.clone();
                    if let Some(operand) = changed.get_mut(at) {
                        *operand = kind.to_owned();
                    }
                    changed
                };
                let here = form.get(at).is_some_and(|k| k == parts.first().unwrap_or(&""));
                if here && parts.iter().all(|p| forms.contains(&with(p))) {
                    for part in parts {
                        forms.remove(&with(part));
                    }
                    forms.insert(with(whole));
                }
            }
        }
    }
    forms
}
