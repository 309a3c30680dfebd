//! Not trusted: a bug here can reject, never admit. Lines of Intel syntax with words that are not
//! written here.

use super::{Habit, back_or_forth, is_name, pieces, renamed, single, split};
use crate::ast::Size;
use crate::reg::Reg;

/// A line with words that Intel syntax has elsewhere.
pub(super) fn intel(line: &str) -> Option<Habit> {
    let mut pieces = pieces(line);
    let mnemonic = pieces.first().map(|m| m.to_ascii_lowercase()).unwrap_or_default();
    if let Some(habit) = counted(&mnemonic, line).or_else(|| offset(&mnemonic, line)) {
        return Some(habit);
    }
    let mut message = None;
    if let (Some(right), Some(first)) = (renamed(&mnemonic), pieces.first_mut()) {
        message = Some(format!("there is no `{mnemonic}`"));
        *first = right.to_owned();
    }
    let mut words = Words { pieces, mnemonic, at: 1, message };
    while words.at < words.pieces.len() {
        let changed = words.size() || words.register() || words.address() || words.target();
        if !changed {
            words.at += 1;
        }
    }
    let line = words.pieces.concat();
    Some(Habit::new(words.message?, format!("write `{}`", single(&line))).becomes(line))
}

/// The words of a line, and the one that is looked at. What changes or removes it says so, and is
/// asked again from there.
struct Words {
    pieces: Vec<String>,
    mnemonic: String,
    at: usize,
    /// What was found first.
    message: Option<String>,
}

impl Words {
    /// The word as it stands, and in small letters.
    fn here(&self) -> (&str, String) {
        let raw = self.pieces.get(self.at).map_or("", String::as_str);
        (raw, raw.to_ascii_lowercase())
    }

    /// Where the next word is that is no blank.
    fn next(&self, from: usize) -> usize {
        let blank = |at: &usize| self.pieces.get(*at).is_some_and(|p| p.trim().is_empty());
        (from + 1..self.pieces.len()).find(|at| !blank(at)).unwrap_or(self.pieces.len())
    }

    fn after(&self) -> String {
        let next = self.pieces.get(self.next(self.at));
        next.map(|p| p.to_ascii_lowercase()).unwrap_or_default()
    }

    /// Where the word before is that is no blank.
    fn before(&self) -> Option<usize> {
        let blank = |at: &usize| self.pieces.get(*at).is_some_and(|p| p.trim().is_empty());
        (0..self.at).rev().find(|at| !blank(at))
    }

    fn behind(&self, sign: &str) -> bool {
        self.before().and_then(|at| self.pieces.get(at)).is_some_and(|p| p == sign)
    }

    fn branches(&self) -> bool {
        self.mnemonic.starts_with('j') || self.mnemonic == "call"
    }

    fn say(&mut self, message: impl Into<String>) -> bool {
        if self.message.is_none() {
            self.message = Some(message.into());
        }
        true
    }

    /// Puts another word here, which is not looked at again.
    fn put(&mut self, word: String) {
        if let Some(piece) = self.pieces.get_mut(self.at) {
            *piece = word;
        }
        self.at += 1;
    }

    /// Removes what stands from here up to a place.
    fn cut(&mut self, to: usize) {
        self.pieces.drain(self.at..to.min(self.pieces.len()));
    }

    /// `DWORD`, `dword ptr`
    fn size(&mut self) -> bool {
        let (raw, word) = self.here();
        let ptr = self.after() == "ptr";
        if !Size::ALL.iter().any(|s| s.text() == word) || !(ptr || raw != word) {
            return false;
        }
        let message = match ptr {
            true => format!("`ptr` is not written behind `{word}`"),
            false => "sizes are written in small letters".to_owned(),
        };
        if ptr {
            let at = self.next(self.at);
            let end = self.next(at);
            self.pieces.drain(at..end);
        }
        self.put(word);
        self.say(message)
    }

    /// `EAX`
    fn register(&mut self) -> bool {
        let (raw, word) = self.here();
        if raw == word || Reg::parse(&word).is_none() {
            return false;
        }
        self.put(word);
        self.say("registers are written in small letters")
    }

    /// `[rel name]`, `[rip + name]`, `[name + rip]`, `ds:`
    fn address(&mut self) -> bool {
        let (_, word) = self.here();
        let after = self.after();
        let next = self.next(self.at);
        match word.as_str() {
            "rel" | "abs" if self.behind("[") => {
                self.cut(next);
                self.say(format!("there is no `{word}`: the name alone is relative to rip"))
            }
            "rip" if self.behind("[") && after == "+" => {
                let to = self.next(next);
                self.cut(to);
                self.say("`rip` is not written: the name alone is relative to it")
            }
            "rip" if self.behind("+") && after == "]" => {
                let sign = self.before().unwrap_or(self.at);
                self.at = sign;
                self.at = self.before().map_or(sign, |name| name + 1);
                self.cut(next);
                self.say("`rip` is not written: the name alone is relative to it")
            }
            "ds" | "es" | "ss" | "cs" if after == ":" => {
                self.cut(next + 1);
                self.say("no segment stands before an address")
            }
            _ => false,
        }
    }

    /// `short`, `near`, `1b`
    fn target(&mut self) -> bool {
        let (_, word) = self.here();
        if !self.branches() {
            return false;
        }
        if matches!(word.as_str(), "short" | "near") && !self.after().is_empty() {
            let next = self.next(self.at);
            self.cut(next);
            let mnemonic = self.mnemonic.clone();
            return self.say(format!("`{word}` is not written behind `{mnemonic}`"));
        }
        match back_or_forth(&word) {
            Some(name) => {
                self.put(name);
                self.say("a label is a dot and a name")
            }
            None => false,
        }
    }
}

/// `mov rax, offset name`
fn offset(mnemonic: &str, line: &str) -> Option<Habit> {
    let (_, operands) = split(line);
    let (register, value) = operands.split_once(',')?;
    let (word, name) = split(value);
    if mnemonic != "mov" || !word.eq_ignore_ascii_case("offset") || !is_name(name) {
        return None;
    }
    let right = format!("lea     {}, [{name}]", register.trim().to_ascii_lowercase());
    let help = format!("write `{}`", single(&right));
    Some(Habit::new("an address is no constant", help).becomes(right))
}

/// Jumps that count, or look at rcx.
fn counted(mnemonic: &str, line: &str) -> Option<Habit> {
    let (_, target) = split(line);
    let target = back_or_forth(target).unwrap_or_else(|| target.to_owned());
    let (first, jump) = match mnemonic {
        "loop" => ("dec     rcx", "jnz"),
        "jrcxz" => ("test    rcx, rcx", "jz"),
        "jecxz" => ("test    ecx, ecx", "jz"),
        "loope" | "loopz" | "loopne" | "loopnz" => {
            return Some(Habit::new(
                format!("`{mnemonic}` is refused"),
                "write the test of the flags, `dec rcx` and a jump for each",
            ));
        }
        _ => return None,
    };
    let right = format!("{first}\n        {jump:<7} {target}");
    let help = format!("write `{}` and `{jump} {target}`", single(first));
    Some(Habit::new(format!("`{mnemonic}` is refused"), help).becomes(right))
}
