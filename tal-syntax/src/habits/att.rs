//! Not trusted: a bug here can reject, never admit. Lines of AT&T syntax.

use super::{Habit, is_name, pieces, renamed, single, split, suffixed};
use crate::reg::Reg;

/// A line of AT&T syntax.
pub(super) fn att(line: &str) -> Option<Habit> {
    let pieces = pieces(line);
    let sign = |pair: &[String]| match pair {
        [sign, next] => match sign.as_str() {
            "%" => Reg::parse(&next.to_ascii_lowercase()).is_some() || next == "rip",
            "$" => next.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
            _ => false,
        },
        _ => false,
    };
    if !pieces.windows(2).any(sign) {
        return None;
    }
    let (word, rest) = split(line);
    let word = word.to_ascii_lowercase();
    let (name, size) = match suffixed(&word) {
        Some(found) => found,
        None => (renamed(&word).unwrap_or(&word), None),
    };
    let branch = name.starts_with('j') || name == "call";
    let operands: Option<Vec<String>> =
        parts(rest).into_iter().map(|o| att_operand(&o, branch)).collect();
    let habit = Habit {
        att: true,
        ..Habit::new(
            "this is AT&T syntax",
            "no sign stands before registers and constants, the destination stands first",
        )
    };
    let Some(mut operands) = operands else { return Some(habit) };
    operands.reverse();
    let memory = operands.iter().any(|o| o.starts_with('['));
    let register = operands.iter().any(|o| Reg::parse(o).is_some());
    let extends = name.starts_with("movzx") || name.starts_with("movsx");
    if let Some(size) = size.filter(|_| memory && (!register || extends) && name != "lea") {
        for operand in operands.iter_mut().filter(|o| o.starts_with('[')) {
            *operand = format!("{size} {operand}");
        }
    }
    let name = match (name, operands.as_slice()) {
        // `mov $name, %rax` takes the address.
        ("mov", [_, constant]) if is_name(constant) && Reg::parse(constant).is_none() => {
            let right = format!("lea     {}, [{constant}]", operands.first()?);
            let help = format!("write `{}`", single(&right));
            return Some(Habit { help, ..habit }.becomes(right));
        }
        (name, _) => name,
    };
    let line = format!("{name:<7} {}", operands.join(", "));
    let line = line.trim_end();
    let help = format!("write `{}`", single(line));
    Some(Habit { help, ..habit }.becomes(line))
}

/// Operands, split at commas outside of parentheses.
fn parts(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.iter().map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()).collect()
}

/// An operand of AT&T syntax, as it is written here.
fn att_operand(text: &str, branch: bool) -> Option<String> {
    let text = text.trim_start_matches('*');
    if let Some(register) = text.strip_prefix('%') {
        let low = register.to_ascii_lowercase();
        return Reg::parse(&low).is_some().then_some(low);
    }
    if let Some(constant) = text.strip_prefix('$') {
        return Some(constant.to_owned());
    }
    let Some((displacement, rest)) = text.split_once('(') else {
        let plain = branch || text.starts_with('.');
        return Some(if plain { text.to_owned() } else { format!("[{text}]") });
    };
    let inside = rest.strip_suffix(')')?;
    let mut registers = inside.split(',').map(|r| r.trim().trim_start_matches('%'));
    let base = registers.next()?;
    let displacement = displacement.trim();
    if base == "rip" {
        return Some(format!("[{displacement}]"));
    }
    let mut sum: Vec<String> = Vec::new();
    if !base.is_empty() {
        sum.push(base.to_ascii_lowercase());
    }
    if let Some(index) = registers.next() {
        let index = index.to_ascii_lowercase();
        sum.push(match registers.next() {
            Some(scale) if scale != "1" => format!("{index}*{scale}"),
            _ => index,
        });
    }
    let sum = sum.join(" + ");
    Some(match displacement.strip_prefix('-') {
        _ if displacement.is_empty() => format!("[{sum}]"),
        Some(less) => format!("[{sum} - {less}]"),
        None => format!("[{sum} + {displacement}]"),
    })
}
