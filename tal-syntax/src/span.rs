//! Not trusted: a bug here can reject, never admit. Places in source files.

/// Index of a file in [`crate::source::Sources`].
pub type FileId = u32;

/// A half-open range of bytes in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of `file`.
    pub const fn new(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    /// The smallest range that covers both; `self` must not start after `other`.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty range at the end of this one.
    #[must_use]
    pub const fn after(self) -> Span {
        Span { file: self.file, start: self.end, end: self.end }
    }

    /// The empty range at the start of this one.
    #[must_use]
    pub const fn before(self) -> Span {
        Span { file: self.file, start: self.start, end: self.start }
    }

    /// The bytes, as a range that slices the file's text.
    pub const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Number of bytes.
    pub const fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the range holds no byte.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
}
