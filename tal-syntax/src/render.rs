//! Not trusted: a bug here can reject, never admit. The looks of diagnostics.
//!
//! The only file that knows `codespan-reporting`. Three forms: plain text, the same with colours,
//! and JSON with one object a line.

mod window;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::ops::Range;

use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::termcolor::Ansi;
use codespan_reporting::term::{self, Config, Styles, StylesWriter};
use serde::Serialize;

use crate::diag::{Diag, Edit, Label, Severity};
use crate::source::Sources;
use crate::span::{FileId, Span};

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, without colours.
    Plain,
    /// For people, with the colours of ANSI terminals.
    Coloured,
    /// For programs: one JSON object a line.
    Json,
}

impl Format {
    /// What suits standard error: colours on a terminal, unless `NO_COLOR` is set.
    pub fn for_stderr() -> Format {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && io::stderr().is_terminal() { Format::Coloured } else { Format::Plain }
    }
}

/// Writes diagnostics, with an empty line behind each one for people.
pub fn emit(
    out: &mut dyn Write,
    diags: &[Diag],
    sources: &Sources,
    format: Format,
) -> io::Result<()> {
    for diag in diags {
        out.write_all(render(diag, sources, format).as_bytes())?;
        if format != Format::Json {
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// The text of a diagnostic, which ends in one line end.
pub fn render(diag: &Diag, sources: &Sources, format: Format) -> String {
    match format {
        Format::Plain => human(diag, sources, false),
        Format::Coloured => human(diag, sources, true),
        Format::Json => json(diag, sources),
    }
}

fn human(diag: &Diag, sources: &Sources, coloured: bool) -> String {
    let config = Config { tab_width: 8, ..Config::default() };
    let window = window::window(diag, sources);
    let none = BTreeMap::new();
    let (diag, sources, shifts) = match &window {
        Some(window) => (&window.diag, &window.sources, &window.shifts),
        None => (diag, sources, &none),
    };
    let files = Shown { sources, shifts };
    let shown = convert(diag, sources);
    let mut bytes = Vec::new();
    let done = if coloured {
        let styles = Styles::default();
        let mut writer = StylesWriter::new(Ansi::new(&mut bytes), &styles);
        term::emit_to_write_style(&mut writer, &config, &files, &shown)
    } else {
        term::emit_to_io_write(&mut bytes, &config, &files, &shown)
    };
    let text = String::from_utf8_lossy(&bytes);
    match done {
        Ok(()) => format!("{}\n", text.trim_end()),
        // A place that is in no file: the message is worth more than its looks.
        Err(_) => format!("{}[{}]: {}\n", diag.severity.text(), diag.code, diag.message),
    }
}

fn convert(diag: &Diag, sources: &Sources) -> codespan::Diagnostic<FileId> {
    let severity = match diag.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
        Severity::Note => codespan::Severity::Note,
    };
    let label = |style, label: &Label| {
        codespan::Label::new(style, label.span.file, visible(label.span, sources))
            .with_message(&label.text)
    };
    let primary = label(codespan::LabelStyle::Primary, &diag.primary);
    let secondary = diag.secondary.iter().map(|l| label(codespan::LabelStyle::Secondary, l));
    let notes = diag.notes.iter().map(|note| format!("note: {note}"));
    let helps = diag.helps.iter().map(|help| format!("help: {}", help.text));
    codespan::Diagnostic::new(severity)
        .with_code(diag.code)
        .with_message(&diag.message)
        .with_labels(std::iter::once(primary).chain(secondary).collect())
        .with_notes(notes.chain(helps).collect())
}

/// The bytes of a span that can be shown: within the text, on character boundaries, without the
/// line end behind them.
fn visible(span: Span, sources: &Sources) -> Range<usize> {
    let text = sources.get(span.file).map_or("", |source| source.text.as_str());
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start as usize), floor(span.end as usize));
    let shown = text.get(start..end).unwrap_or("").trim_end();
    start..start + shown.len()
}

/// The files as `codespan-reporting` asks for them.
struct Shown<'a> {
    sources: &'a Sources,
    /// By file and line: how many characters were cut in front of a long one.
    shifts: &'a BTreeMap<(FileId, usize), isize>,
}

impl<'a> Files<'a> for Shown<'a> {
    type FileId = FileId;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: FileId) -> Result<&'a str, Error> {
        self.sources.get(id).map(|source| source.path.as_str()).ok_or(Error::FileMissing)
    }

    fn source(&'a self, id: FileId) -> Result<&'a str, Error> {
        self.sources.get(id).map(|source| source.text.as_str()).ok_or(Error::FileMissing)
    }

    fn line_index(&'a self, id: FileId, byte: usize) -> Result<usize, Error> {
        let source = self.sources.get(id).ok_or(Error::FileMissing)?;
        let byte = u32::try_from(byte).unwrap_or(u32::MAX);
        Ok(source.position(byte).line.saturating_sub(1) as usize)
    }

    fn column_number(&'a self, id: FileId, line: usize, byte: usize) -> Result<usize, Error> {
        let source = self.sources.get(id).ok_or(Error::FileMissing)?;
        let byte = u32::try_from(byte).unwrap_or(u32::MAX);
        let column = source.position(byte).column as usize;
        let shift = self.shifts.get(&(id, line)).copied().unwrap_or(0);
        Ok(column.saturating_add_signed(shift))
    }

    fn line_range(&'a self, id: FileId, line: usize) -> Result<Range<usize>, Error> {
        let source = self.sources.get(id).ok_or(Error::FileMissing)?;
        let max = source.lines() as usize;
        let number = u32::try_from(line + 1).unwrap_or(u32::MAX);
        let range = source.line(number).ok_or(Error::LineTooLarge { given: line, max })?;
        // With the line end, which the last line lacks.
        Ok(range.start..(range.end + 1).min(source.text.len()))
    }
}

/// A diagnostic as JSON has it.
#[derive(Serialize)]
struct Message<'a> {
    code: String,
    level: &'static str,
    message: &'a str,
    labels: Vec<Place<'a>>,
    notes: &'a [String],
    helps: Vec<Advice<'a>>,
    rendered: String,
}

/// A place: bytes from `start` to before `end`; lines and columns count from one.
#[derive(Serialize)]
struct Place<'a> {
    primary: bool,
    file: &'a str,
    start: u32,
    end: u32,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    text: &'a str,
}

#[derive(Serialize)]
struct Advice<'a> {
    text: &'a str,
    edit: Option<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    file: &'a str,
    start: u32,
    end: u32,
    replacement: &'a str,
}

impl<'a> Place<'a> {
    fn of(label: &'a Label, primary: bool, sources: &'a Sources) -> Place<'a> {
        let span = label.span;
        let position = |span| sources.position(span).map_or((0, 0), |p| (p.line, p.column));
        let ((line, column), (end_line, end_column)) = (position(span), position(span.after()));
        let (file, start, end) = (path(span, sources), span.start, span.end);
        Place { primary, file, start, end, line, column, end_line, end_column, text: &label.text }
    }
}

impl<'a> Change<'a> {
    fn of(edit: &'a Edit, sources: &'a Sources) -> Change<'a> {
        let (file, start, end) = (path(edit.span, sources), edit.span.start, edit.span.end);
        Change { file, start, end, replacement: &edit.replacement }
    }
}

fn path(span: Span, sources: &Sources) -> &str {
    sources.get(span.file).map_or("", |source| source.path.as_str())
}

fn json(diag: &Diag, sources: &Sources) -> String {
    let secondary = diag.secondary.iter().map(|label| Place::of(label, false, sources));
    let advice = diag.helps.iter().map(|help| Advice {
        text: &help.text,
        edit: help.edit.as_ref().map(|edit| Change::of(edit, sources)),
    });
    let message = Message {
        code: diag.code.to_string(),
        level: diag.severity.text(),
        message: &diag.message,
        labels: std::iter::once(Place::of(&diag.primary, true, sources)).chain(secondary).collect(),
        notes: &diag.notes,
        helps: advice.collect(),
        rendered: human(diag, sources, false),
    };
    // Strings and numbers always serialise.
    serde_json::to_string(&message).map(|line| line + "\n").unwrap_or_default()
}
