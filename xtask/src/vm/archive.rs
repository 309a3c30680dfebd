//! Not trusted. The archive that the kernel unpacks at its start.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A program of the host, by its name in the archive, and its libraries.
pub(super) fn dynamic(archive: &mut Archive, program: &Path, name: &str) -> Result<()> {
    // The answer is no for a static program, which has none.
    let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        archive.with_parents(path.trim_start_matches('/'), &fs::read(path)?);
    }
    archive.with_parents(name, &fs::read(program)?);
    Ok(())
}

/// A cpio archive in the format that the kernel reads ("newc").
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    names: BTreeSet<String>,
}

impl Archive {
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_755, content);
    }

    /// A file and the directories above it.
    fn with_parents(&mut self, name: &str, content: &[u8]) {
        let parents: Vec<_> = Path::new(name).ancestors().skip(1).collect();
        for parent in parents.iter().rev().filter(|parent| !parent.as_os_str().is_empty()) {
            self.directory(&parent.to_string_lossy());
        }
        self.file(name, content);
    }

    /// Once each: the first of that name.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        if !self.names.insert(name.to_string()) {
            return;
        }
        self.entries = self.entries.saturating_add(1);
        let (size, length) = (content.len(), name.len().saturating_add(1));
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}\
             {length:08x}{:08x}",
            self.entries, 0, 0, 1, 0, 0, 0, 0, 0, 0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_aligned() {
        let mut archive = Archive::default();
        archive.file("a", b"12345");
        let bytes = archive.end();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(bytes.get(110..112), Some(&b"a\0"[..]));
        assert_eq!(bytes.get(112..117), Some(&b"12345"[..]));
    }
}
