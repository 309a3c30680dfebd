//! Not trusted: a bug here can reject, never admit. Tests written into sources, as comments.
//!
//! `;! error[E0301]` says that this line is refused with this code, or, as `;! error[shape]`, by
//! this rule. `;? rcx: 0 .. n - 1` says that this is known before the line, in the words of
//! `--show-state`: of a register or slot, or a fact. Alone on its line, either is about the next
//! instruction.

use crate::check::check;
use crate::explore::{Explored, explore};
use crate::infer::Trouble;
use crate::lowered::Lowered;
use crate::refusal::Refusal;
use crate::report::report;
use crate::show::{Shown, show};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::error::Rule;

/// A line that is said to be refused, or is: what for, file and line.
type Complaint = (String, String, u32);

/// Checks a program against its directives: every difference, in words; nothing if all is well.
#[must_use]
pub fn run(lowered: Lowered) -> Vec<String> {
    let mut wrong = states(&lowered);
    let expected = expected(&lowered);
    let found = match check(lowered) {
        Ok(_) => Vec::new(),
        Err((lowered, refusals)) => complaints(&lowered, &refusals),
    };
    // A diagnostic is expected by its code or by its rule.
    let mut met = BTreeSet::new();
    for alternatives in &found {
        let hit = alternatives.iter().find(|c| expected.contains(*c));
        match (hit, alternatives.first()) {
            (Some(hit), _) => {
                met.insert(hit.clone());
            }
            (None, Some((what, file, line))) => {
                wrong.push(format!("{file}:{line}: not expected: {what}"));
            }
            (None, None) => {}
        }
    }
    for (what, file, line) in expected.difference(&met) {
        wrong.push(format!("{file}:{line}: expected, but not found: {what}"));
    }
    wrong
}

/// What the directives say.
fn expected(lowered: &Lowered) -> BTreeSet<Complaint> {
    let mut expected = BTreeSet::new();
    for test in lowered.tests.iter().filter(|t| t.error) {
        let Some((file, line)) = about(lowered, test.span) else { continue };
        for rest in test.text.split("error[").skip(1) {
            let what = rest.split(']').next().unwrap_or(rest).trim();
            expected.insert((what.to_owned(), file.clone(), line));
        }
    }
    expected
}

/// The line that a directive is about: its own if an instruction stands on it, else the next.
fn about(lowered: &Lowered, span: tal_syntax::Span) -> Option<(String, u32)> {
    let source = lowered.sources.get(span.file)?;
    let own = source.position(span.start).line;
    let text = source.line(own).and_then(|range| source.text.get(range))?;
    if !text.trim_start().starts_with(';') {
        return Some((source.path.clone(), own));
    }
    let instructions = lowered.functions.iter().flat_map(|f| &f.instructions);
    let of_file = instructions.filter(|i| i.span.file == span.file && !i.implied);
    let lines = of_file.map(|i| source.position(i.span.start).line);
    Some((source.path.clone(), lines.filter(|l| *l > own).min().unwrap_or(own)))
}

/// What is refused: each by its code, and by its rule where that is known.
fn complaints(lowered: &Lowered, refusals: &[Refusal]) -> Vec<Vec<Complaint>> {
    let place = |span: tal_syntax::Span| {
        let source = lowered.sources.get(span.file)?;
        Some((source.path.clone(), source.position(span.start).line))
    };
    let mut rules: BTreeMap<(String, u32), &'static str> = BTreeMap::new();
    for refusal in refusals {
        let (site, rule) = match refusal {
            Refusal::Judge(error) | Refusal::Trouble(_, Trouble::Block { error, .. }) => {
                (error.site, error.rule)
            }
            Refusal::Trouble(_, Trouble::Written { from, .. }) => (Some(*from), Rule::Entail),
            _ => continue,
        };
        let at = site.and_then(|at| lowered.span_at(at)).and_then(place);
        rules.extend(at.map(|at| (at, rule.name())));
    }
    let mut found = Vec::new();
    for diag in report(lowered, refusals) {
        let Some((file, line)) = place(diag.primary.span) else { continue };
        let mut names = vec![(diag.code.to_string(), file.clone(), line)];
        if let Some(rule) = rules.get(&(file.clone(), line)) {
            names.push(((*rule).to_owned(), file, line));
        }
        found.push(names);
    }
    found
}

/// The expected states that are not so.
fn states(lowered: &Lowered) -> Vec<String> {
    let wanted: Vec<(String, u32, String)> = lowered
        .tests
        .iter()
        .filter(|t| !t.error)
        .filter_map(|t| {
            let (file, line) = about(lowered, t.span)?;
            Some((file, line, t.text.trim().to_owned()))
        })
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let explored: Explored = explore(lowered);
    let mut wrong = Vec::new();
    for (file, line, text) in wanted {
        let shown = show(lowered, &explored, &file, |l| l == line);
        let Some(shown) = shown.first() else {
            wrong.push(format!("{file}:{line}: nothing is known here, as control cannot reach it"));
            continue;
        };
        let known = lines(shown);
        if !known.iter().any(|k| squeezed(k) == squeezed(&text)) {
            let known = known.join("; ");
            wrong.push(format!("{file}:{line}: expected `{text}`, but known is: {known}"));
        }
    }
    wrong
}

/// Everything known, line by line.
fn lines(shown: &Shown) -> Vec<String> {
    let places = shown.registers.iter().chain(&shown.stack);
    let mut lines: Vec<String> = places
        .map(|(place, value)| match value.strip_prefix('=') {
            Some(value) => format!("{place} = {}", value.trim_start()),
            None => format!("{place}{value}"),
        })
        .collect();
    lines.extend(shown.unreadable.iter().map(|r| format!("{r}: unreadable")));
    lines.extend(shown.facts.iter().chain(&shown.owned).chain(&shown.views).cloned());
    lines
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elaborate::lower;
    use std::path::Path;

    fn differences(text: &str) -> Vec<String> {
        let files = BTreeMap::from([("a.tal".to_owned(), text.to_owned())]);
        let outcome = lower(Path::new("a.tal"), &files);
        outcome.ok().and_then(|o| o.lowered).map_or(vec!["not lowered".to_owned()], run)
    }

    const HEAD: &str = "pub fn f(rdi = s: &bytes[n], rsi = n: int[1 .. 9]) -> (rax)\n{\n";

    #[test]
    fn directives_are_compared_with_what_comes() {
        let code = "        movzx eax, byte [rdi + rsi] ;! error[E0301]\n        ret\n}\n";
        let rule = code.replace("E0301", "shape");
        let other = code.replace("E0301", "E0302");
        assert_eq!(differences(&format!("{HEAD}{code}")), Vec::<String>::new());
        assert_eq!(differences(&format!("{HEAD}{rule}")), Vec::<String>::new());
        assert_eq!(differences(&format!("{HEAD}{other}")).len(), 2);
    }

    #[test]
    fn states_are_compared_with_what_is_known() {
        let good = "        ;? rsi = n: 1 .. 9\n        xor eax, eax\n        ;? rax = 0\n        \
                    ret\n}\n";
        let bad = good.replace("rax = 0", "rax = 1");
        assert_eq!(differences(&format!("{HEAD}{good}")), Vec::<String>::new());
        assert_eq!(differences(&format!("{HEAD}{bad}")).len(), 1);
    }
}
