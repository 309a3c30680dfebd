//! Not trusted. Finds the marks of premises in the sources, and every other place from which the
//! judge can refuse (docs/premises.md). It reads text, not types: it knows the few forms that the
//! sources keep to, and whatever has another form is a fault.

use super::text::{Function, blanked, call_end, functions, line_of, one_line, statement_start};
use std::collections::{BTreeMap, BTreeSet};

/// The macros of `tal_core::premise`.
const MARKS: &[&str] = &["premise!(", "refuse!(", "holds!(", "forget!("];

/// Functions that return nothing but refusals and are called to do something: what they ask is
/// marked inside them. Every other function of this kind is an obligation, and its calls are
/// marked.
const EFFECTS: &[&str] = &[
    // The judge's own work, and what a rule does to the state.
    "add_cap",
    "add_view",
    "advance",
    "alternative",
    "append",
    "begin_entry",
    "begin_label",
    "bound",
    "burn",
    "by_modrm",
    "code_sub",
    "comb",
    "check_limits",
    "cond",
    "decide_all",
    "edge",
    "enter",
    "forget_name",
    "ghost",
    "ghosts",
    "ghosts_from",
    "hang",
    "jump_never",
    "made",
    "move_rsp",
    "move_to_frame",
    "narrow",
    "narrows",
    "node",
    "on_edge",
    "open_scope",
    "pay",
    "pays",
    "push_source",
    "put",
    "refine",
    "replace",
    "resume",
    "row",
    "run",
    "secret",
    "set_field",
    "set_slot",
    "slots_go",
    "stack_move",
    "step",
    "stretch",
    "subst_cap",
    "trail_ends",
    "verify",
    "walk",
    "work",
    "write",
    "write_64",
    "write_reg",
    "zero",
    // What reads into a place.
    "assertion",
    "grow",
    "listed",
    "pay_bytes",
    "record",
    "slots",
    // Rules by their names: an instruction, a ghost.
    "borrow",
    "carve",
    "field_close",
    "frame_word",
    "lodsb",
    "movsb",
    "pop",
    "push",
    "region_end",
    "rep_movs",
    "rep_stos",
    "renorm",
    "repe_cmpsb",
    "repne_scasb",
    "share",
    "size_facts",
    "store",
    "store_slot",
    "store_strong",
    "store_weak",
    "stosb",
    "string",
    "uncarve",
    "written_range",
    "equal_word",
];
/// And those whose names begin so.
const EFFECT_PREFIXES: &[&str] = &["row_", "entry_", "view_", "guard_", "retype_", "learn"];

/// Calls that refuse unless they get a value. Without the value there is nothing to go on with.
const VALUES: &[&str] = &[".ok_or(", ".ok_or_else(", ".or_refuse(", ".map_err(", ".some("];
/// Functions that are nothing but a refusal.
const REFUSERS: &[&str] = &["refused", "malformed", "refuse"];

/// A premise: a mark in a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Premise {
    /// Path below the root.
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The function that it stands in.
    pub(crate) function: String,
    /// The condition or obligation, on one line; with a number where a function repeats it.
    pub(crate) text: String,
    /// The reason beside it why no test can miss it.
    pub(crate) reason: Option<Reason>,
}

impl Premise {
    /// What the sources call it: stable while lines move.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}: {}", self.file, self.function, self.text)
    }

    /// What `tal_core::premise` calls it.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

/// `// Second to `TEXT` in `FUNCTION`: why`, above a premise: the other one that refuses as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    pub(crate) text: String,
    pub(crate) function: String,
}

/// Why a place that can refuse is no premise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// It makes a value, or finds none: `or_refuse`, `ok_or`.
    Value,
    /// A pattern that binds what the rest of the function is about: `let .. else`.
    Pattern,
    /// An arm of a `match` that makes a value, and has none here.
    Arm,
    /// A bound on work, memory or numbers.
    Limit,
    /// The form of annotation bytes: what is read in their place is judged all the same.
    Form,
    /// The last word of an obligation, whose calls are marked.
    Delegated,
}

impl Kind {
    pub(crate) const ALL: &'static [(Kind, &'static str)] = &[
        (Kind::Value, "a value is needed and there is none (`or_refuse`, `ok_or`)"),
        (Kind::Pattern, "a pattern that the rest of the function is about (`let .. else`)"),
        (Kind::Arm, "an arm of a `match` that has no value to give"),
        (Kind::Limit, "a bound on work, memory or numbers"),
        (Kind::Form, "the form of annotation bytes: whatever is read is judged all the same"),
        (Kind::Delegated, "the last word of an obligation whose calls are marked"),
    ];
}

/// What was found.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) premises: Vec<Premise>,
    /// Places that are no premise, counted by file and kind.
    pub(crate) others: BTreeMap<(String, Kind), usize>,
    /// Places that are neither, and marks that are not as they must be.
    pub(crate) faults: Vec<String>,
}

/// Reads the files: `(path below the root, content)`.
pub(crate) fn scan(files: &[(String, String)]) -> Found {
    let blanked: Vec<String> = files.iter().map(|(_, text)| blanked(text)).collect();
    // Of each crate: the other has functions of the same names.
    let mut of_crates: BTreeMap<&str, BTreeSet<(String, bool)>> = BTreeMap::new();
    for ((path, _), code) in files.iter().zip(&blanked) {
        of_crates.entry(crate_of(path)).or_default().extend(obligations(code));
    }
    let mut found = Found::default();
    for ((path, text), code) in files.iter().zip(&blanked) {
        let functions = functions(code);
        let Some(obligations) = of_crates.get(crate_of(path)) else { continue };
        File { path, text, code, functions, obligations }.scan(&mut found);
    }
    reasons_hold(&mut found);
    found
}

fn crate_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// Functions of this file that return `Result<()>` and are no effects; are they methods?
fn obligations(code: &str) -> Vec<(String, bool)> {
    let unit = |f: &Function<'_>| f.returns == "Result<()>" && !is_effect(f.name);
    functions(code).into_iter().filter(unit).map(|f| (f.name.to_string(), f.method)).collect()
}

fn is_effect(name: &str) -> bool {
    EFFECTS.contains(&name) || EFFECT_PREFIXES.iter().any(|p| name.starts_with(p))
}

struct File<'f> {
    path: &'f str,
    text: &'f str,
    /// The text without comments and strings.
    code: &'f str,
    functions: Vec<Function<'f>>,
    obligations: &'f BTreeSet<(String, bool)>,
}

impl File<'_> {
    fn scan(&self, found: &mut Found) {
        let inside = self.marks(found);
        let marked = |at: usize| inside.iter().any(|(from, to)| (*from..*to).contains(&at));
        for at in self.refusals().into_iter().filter(|at| !marked(*at)) {
            match self.kind(at) {
                Some(kind) => {
                    *found.others.entry((self.path.to_string(), kind)).or_default() += 1;
                }
                None => found.faults.push(self.fault(at, "refuses without a mark")),
            }
        }
        for (at, name) in self.calls().into_iter().filter(|(at, _)| !marked(*at)) {
            if self.is_kept(at) {
                *found.others.entry((self.path.to_string(), Kind::Value)).or_default() += 1;
            } else if self.delegates(at, &name) {
                *found.others.entry((self.path.to_string(), Kind::Delegated)).or_default() += 1;
            } else {
                found.faults.push(self.fault(at, &format!("`{name}` is asked without a mark")));
            }
        }
    }

    fn fault(&self, at: usize, what: &str) -> String {
        let line = line_of(self.code, at);
        let text = self.text.lines().nth(line - 1).unwrap_or("").trim();
        format!("{}:{line}: {what}: {text}", self.path)
    }

    /// Adds the marks to the premises; says which bytes they span.
    fn marks(&self, found: &mut Found) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        let mut lines = BTreeSet::new();
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        for at in positions(self.code, MARKS) {
            let open = at + self.code[at..].find('(').unwrap_or(0);
            let end = call_end(self.code, open);
            spans.push((at, end));
            let line = line_of(self.code, at);
            let function = self.function_at(at);
            let condition = super::text::first_argument(self.code, open);
            let text = one_line(&self.text[condition.0..condition.1]);
            // `holds!` is a part of a condition, which may have several.
            if !self.code[at..].starts_with("holds!(") && !lines.insert(line) {
                found.faults.push(self.fault(at, "a second mark on one line"));
            }
            if self.code[at..].starts_with("premise!(")
                && super::text::conjunction(&self.code[condition.0..condition.1])
            {
                found.faults.push(self.fault(at, "two premises in one mark"));
            }
            let count = seen.entry((function.to_string(), text.clone())).or_default();
            *count += 1;
            let text = if *count == 1 { text } else { format!("{text} #{count}") };
            found.premises.push(Premise {
                file: self.path.to_string(),
                line,
                column: self.code[..at].chars().rev().take_while(|c| *c != '\n').count() + 1,
                function: function.to_string(),
                text,
                reason: self.reason_above(line),
            });
        }
        spans
    }

    /// The innermost function around this place.
    fn function_at(&self, at: usize) -> &str {
        self.owner(at).map_or("", |f| f.name)
    }

    fn owner(&self, at: usize) -> Option<&Function<'_>> {
        let holds = self.functions.iter().filter(|f| (f.start..f.end).contains(&at));
        holds.max_by_key(|f| f.start)
    }

    /// The comment that ends on the line above, if it names a second premise.
    fn reason_above(&self, line: usize) -> Option<Reason> {
        let lines: Vec<&str> = self.text.lines().take(line - 1).collect();
        let comment = lines.iter().rev().take_while(|l| l.trim_start().starts_with("// "));
        let mut comment: Vec<&str> =
            comment.map(|l| l.trim_start().trim_start_matches('/').trim()).collect();
        comment.reverse();
        let comment = comment.join(" ");
        let rest = &comment[comment.find("Second to `")? + "Second to `".len()..];
        let (text, rest) = rest.split_once("` in `")?;
        let (function, _) = rest.split_once('`')?;
        Some(Reason { text: text.to_string(), function: function.to_string() })
    }

    /// Where an error is returned or asked for.
    fn refusals(&self) -> Vec<usize> {
        let errors = positions(self.code, &["Err("]).into_iter().filter(|at| {
            let before = self.code[..*at].chars().next_back().unwrap_or(' ');
            !before.is_alphanumeric() && before != '_' && !self.is_pattern(*at)
        });
        let mut all: Vec<usize> = errors.collect();
        all.extend(positions(self.code, VALUES));
        // In some files a function of this name only makes the error.
        let refuses = |name: &&&str| {
            let own = self.functions.iter().find(|f| f.name == **name);
            own.is_none_or(|f| f.returns.starts_with("Result<"))
        };
        for name in REFUSERS.iter().filter(refuses) {
            let call = format!("{name}(");
            all.extend(positions(self.code, &[&call]).into_iter().filter(|at| self.is_call(*at)));
            let generic = format!("{name}::<");
            all.extend(positions(self.code, &[&generic]));
        }
        all.sort_unstable();
        all
    }

    /// `Err(_)` and `Err(name)` where something is taken apart.
    fn is_pattern(&self, at: usize) -> bool {
        let open = at + "Err".len();
        let end = call_end(self.code, open);
        let rest = self.code[end..].trim_start();
        let inner = self.code[open + 1..end - 1].trim();
        let name = !inner.is_empty()
            && inner.chars().all(|c| c.is_alphanumeric() || c == '_')
            && inner != "bad";
        let follows = rest.starts_with("=>")
            || rest.starts_with("= ")
            || rest.starts_with("| ")
            || rest.starts_with("if ");
        let tuple = rest.starts_with(',') && self.code[..at].ends_with('(');
        name && (follows || tuple)
    }

    /// A call, not a definition or a part of a longer name.
    fn is_call(&self, at: usize) -> bool {
        let before = &self.code[..at];
        let last = before.chars().next_back().unwrap_or(' ');
        !last.is_alphanumeric() && last != '_' && !before.trim_end().ends_with("fn")
    }

    /// Calls of obligations.
    fn calls(&self) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        for (name, method) in self.obligations {
            if REFUSERS.contains(&name.as_str()) {
                continue;
            }
            let call = format!("{name}(");
            let calls = positions(self.code, &[&call]).into_iter();
            // The hints answer questions of the same names.
            let asked = |at: &usize| {
                self.is_call(*at)
                    && *method == self.code[..*at].ends_with('.')
                    && !self.code[..*at].ends_with("hints.")
                    && !self.code[..*at].ends_with("inner.")
                    && !self.code[..*at].ends_with("inner().")
            };
            all.extend(calls.filter(asked).map(|at| (at, name.clone())));
        }
        all
    }

    /// `let result = self.obligation(..);`: somebody looks at it.
    fn is_kept(&self, at: usize) -> bool {
        let end = call_end(self.code, at + self.code[at..].find('(').unwrap_or(0));
        let before = self.code[..at].trim_end_matches("self.").trim_end();
        before.ends_with('=') && !before.ends_with("==") && self.code[end..].starts_with(';')
    }

    /// The last word of an obligation.
    fn delegates(&self, at: usize, name: &str) -> bool {
        let end = call_end(self.code, at + name.len());
        let rest = self.code[end..].trim_start();
        let owner = self.function_at(at);
        let last = rest.starts_with('}')
            || rest.starts_with(',')
            || rest.starts_with(')')
            || rest.starts_with(".and_then(");
        let form = self.is_form() && name == "need";
        form || (last && (self.is_obligation(owner) || owner == "code_sub"))
    }

    fn is_obligation(&self, name: &str) -> bool {
        self.obligations.iter().any(|(n, _)| n == name)
    }

    fn is_form(&self) -> bool {
        self.path.contains("/wire/")
    }

    /// Why a refusal is no premise.
    fn kind(&self, at: usize) -> Option<Kind> {
        let open = at + self.code[at..].find('(')?;
        let argument = &self.code[open..call_end(self.code, open)];
        if argument.contains("Limit") || argument.contains("limit(") {
            return Some(Kind::Limit);
        }
        if VALUES.iter().any(|v| self.code[at..].starts_with(v)) {
            return Some(Kind::Value);
        }
        if self.is_form() || argument.contains("TooBig") {
            return Some(if self.is_form() { Kind::Form } else { Kind::Limit });
        }
        let owner = self.function_at(at);
        if REFUSERS.contains(&owner) {
            return Some(Kind::Arm);
        }
        if self.in_let_else(at) {
            return Some(Kind::Pattern);
        }
        self.is_arm(at).then_some(Kind::Arm)
    }

    /// `let .. else { return Err(..) }`.
    fn in_let_else(&self, at: usize) -> bool {
        let Some(open) = super::text::block_start(self.code, at) else { return false };
        let before = self.code[..open].trim_end();
        let statement = &before[statement_start(before, before.len())..];
        // A block that ends without a semicolon may stand before it.
        let last = statement.rfind("let ").map_or(statement, |at| &statement[..at]);
        before.ends_with("else") && !last.trim_end().ends_with("if") && statement.contains("let ")
    }

    /// An arm of a match that makes a value: it has no sibling that does nothing, and where it is
    /// the function's own value, that is more than `()`.
    fn is_arm(&self, at: usize) -> bool {
        let before = self.code[..at].trim_end();
        let returns = before.ends_with("return");
        let before = before.strip_suffix("return").unwrap_or(before).trim_end();
        let before = before.strip_suffix('{').unwrap_or(before).trim_end();
        if !before.ends_with("=>") {
            return false;
        }
        let Some(open) = super::text::block_start(self.code, before.len()) else { return false };
        let arms = &self.code[open..call_end(self.code, open)];
        let nothing = super::text::squeezed(arms).contains("=> {}");
        let unit = self.owner(at).is_some_and(|f| f.returns == "Result<()>");
        !nothing && (returns || !unit)
    }
}

/// Each place where one of the words stands.
fn positions(code: &str, words: &[&str]) -> Vec<usize> {
    let mut all: Vec<usize> =
        words.iter().flat_map(|w| code.match_indices(w).map(|(at, _)| at)).collect();
    all.sort_unstable();
    all
}

/// Each reason names one other premise.
fn reasons_hold(found: &mut Found) {
    for premise in &found.premises {
        let Some(reason) = &premise.reason else { continue };
        let others = found.premises.iter().filter(|p| is_named(p, reason));
        if others.filter(|p| p.place() != premise.place()).count() != 1 {
            let Reason { text, function } = reason;
            let what = format!("no single premise `{text}` in `{function}`");
            found.faults.push(format!("{}: {what}", premise.place()));
        }
    }
}

/// Is it the one that the reason speaks of?
pub(crate) fn is_named(premise: &Premise, reason: &Reason) -> bool {
    premise.function == reason.function && premise.text == reason.text
}
