//! Not trusted: a bug here can reject, never admit. The texts of the source files, and lines in
//! them.

use crate::span::{FileId, Span};
use std::sync::Arc;

/// The files of one run, shared by all copies. A file's number is its index.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Arc<Source>>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name as diagnostics show it.
    pub path: String,
    /// Its text.
    pub text: String,
    line_starts: Vec<u32>,
}

/// A line and a column, both counted from one; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Sources {
    /// No files.
    pub fn new() -> Sources {
        Sources::default()
    }

    /// Adds a file and gives its number.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let line_starts = line_starts(text.as_bytes());
        self.files.push(Arc::new(Source { path: path.into(), text, line_starts }));
        (self.files.len() - 1) as FileId
    }

    /// The file of this number.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file as usize).map(Arc::as_ref)
    }

    /// All files, by number.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Source)> {
        self.files.iter().enumerate().map(|(id, source)| (id as FileId, &**source))
    }

    /// The text of a span; empty where there is none.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).and_then(|source| source.text.get(span.range())).unwrap_or("")
    }

    /// Line and column of the start of a span.
    pub fn position(&self, span: Span) -> Option<Position> {
        self.get(span.file).map(|source| source.position(span.start))
    }
}

impl Source {
    /// Line and column of a byte; bytes past the end count as the end.
    pub fn position(&self, byte: u32) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= byte).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0) as usize;
        let end = (byte as usize).min(self.text.len());
        let before = self.text.as_bytes().get(start..end).unwrap_or(&[]);
        // A byte that does not continue a character begins one.
        let column = before.iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
        Position { line: line as u32, column: column as u32 }
    }

    /// The bytes of a line, counted from one, without its end.
    pub fn line(&self, line: u32) -> Option<std::ops::Range<usize>> {
        let at = (line as usize).checked_sub(1)?;
        let start = *self.line_starts.get(at)? as usize;
        let end = self.line_starts.get(at + 1).map_or(self.text.len(), |next| *next as usize - 1);
        Some(start..end)
    }

    /// The number of lines.
    pub fn lines(&self) -> u32 {
        self.line_starts.len() as u32
    }
}

/// Where lines begin. Eight bytes are looked at in one word: with what is no line end made nonzero,
/// adding 127 to the low seven bits of each byte sets the eighth of all but the line ends, and
/// nothing is carried over (Warren, Hacker's Delight, 6-1).
fn line_starts(text: &[u8]) -> Vec<u32> {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let mut starts = vec![0];
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let other = u64::from_le_bytes(*word) ^ u64::from_le_bytes([b'\n'; 8]);
        let mut ends = !(((other & LOW) + LOW) | other | LOW);
        while ends != 0 {
            starts.push(at + ends.trailing_zeros() / 8 + 1);
            ends &= ends - 1;
        }
        at += 8;
    }
    starts.extend((at + 1..).zip(rest).filter(|(_, byte)| **byte == b'\n').map(|(next, _)| next));
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let mut sources = Sources::new();
        let id = sources.add("a.tal", "ab\ncé d\n");
        let at = |byte| sources.position(Span::new(id, byte, byte)).map(|p| (p.line, p.column));
        assert_eq!(at(0), Some((1, 1)));
        assert_eq!(at(2), Some((1, 3)));
        assert_eq!(at(3), Some((2, 1)));
        assert_eq!(at(7), Some((2, 4)));
        assert_eq!(at(99), Some((3, 1)));
        assert_eq!(sources.get(id).and_then(|s| s.line(2)), Some(3..8));
        assert_eq!(sources.text(Span::new(id, 3, 6)), "cé");
    }

    #[test]
    fn lines_begin_behind_every_line_end() {
        let text: Vec<u8> = (0..=255).chain(b"\n\n\x0b\x8a\x0a\x00\n".repeat(9)).collect();
        for from in 0..text.len() {
            let text = &text[from..];
            let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let starts: Vec<u32> =
                std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect();
            assert_eq!(line_starts(text), starts);
        }
    }
}
