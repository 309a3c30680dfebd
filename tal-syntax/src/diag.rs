//! Not trusted: a bug here can reject, never admit. Diagnostics as data.
//!
//! What is needed is the primary label; where the knowledge came from or ended are the others;
//! notes say what is known, in the names of the source; a help is one edit. How a diagnostic looks
//! is the business of `render.rs`.

use crate::span::Span;

/// A stable code: `E0301`. What it means stands on its page, `docs/errors/E0301.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl Code {
    /// Reads `E0301`.
    pub fn parse(text: &str) -> Option<Code> {
        let digits = text.strip_prefix('E').filter(|d| d.len() == 4)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Code)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The program is refused.
    Error,
    /// The program is accepted, but hardly meant.
    Warning,
    /// An answer to a question, such as `@show`.
    Note,
}

impl Severity {
    /// `error`, `warning`, `note`
    pub const fn text(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What; may be empty.
    pub text: String,
}

/// Advice, with the edit that follows it if there is just one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The advice.
    pub text: String,
    /// The edit.
    pub edit: Option<Edit>,
}

/// A change of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty: an insertion.
    pub span: Span,
    /// By what.
    pub replacement: String,
}

impl Edit {
    /// The text after the change; `None` if the place is not in it.
    pub fn apply(&self, text: &str) -> Option<String> {
        let (before, after) =
            (text.get(..self.span.start as usize)?, text.get(self.span.end as usize..)?);
        Some(format!("{before}{}{after}", self.replacement))
    }
}

/// A diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Diag {
    /// Its code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// Where it is wrong.
    pub primary: Label,
    /// Where else one must look.
    pub secondary: Vec<Label>,
    /// What is known.
    pub notes: Vec<String>,
    /// What to do.
    pub helps: Vec<Help>,
}

impl Diag {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diag {
        Diag {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Label { span, text: String::new() },
            secondary: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Sets how bad it is.
    pub fn with_severity(mut self, severity: Severity) -> Diag {
        self.severity = severity;
        self
    }

    /// Says something at the primary place.
    pub fn with_primary(mut self, text: impl Into<String>) -> Diag {
        self.primary.text = text.into();
        self
    }

    /// Adds a further place.
    pub fn with_label(mut self, span: Span, text: impl Into<String>) -> Diag {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Adds a note.
    pub fn with_note(mut self, text: impl Into<String>) -> Diag {
        self.notes.push(text.into());
        self
    }

    /// Adds advice in words.
    pub fn with_help(mut self, text: impl Into<String>) -> Diag {
        self.helps.push(Help { text: text.into(), edit: None });
        self
    }

    /// Adds advice with the edit that follows it.
    pub fn with_edit(
        mut self,
        text: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> Diag {
        let edit = Edit { span, replacement: replacement.into() };
        self.helps.push(Help { text: text.into(), edit: Some(edit) });
        self
    }

    /// Whether it refuses the program.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_what_they_write() {
        assert_eq!(Code::parse("E0301"), Some(Code(301)));
        assert_eq!(Code(7).to_string(), "E0007");
        for bad in ["E301", "0301", "E03 1", "E+301", "E00301", ""] {
            assert_eq!(Code::parse(bad), None);
        }
    }
}
