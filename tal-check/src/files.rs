//! Not trusted: a bug here can reject, never admit. Which files are read, and how much of them.
//!
//! The root is what the user named, and may be a stream. What a source names by `use` may come from
//! anybody: it is read only if it is a regular file called `.tal` or `.tali`, behind links too, so
//! that no diagnostic quotes a line of another file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Error, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The most bytes of one source file.
pub const LIMIT: u64 = 64 << 20;

/// Reads source files; tests read from memory.
pub trait Files {
    /// The text of a file that a source uses.
    ///
    /// # Errors
    /// As the file system says; [`ErrorKind::NotFound`] when there is no such file.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The text of the file that the user named.
    ///
    /// # Errors
    /// As [`Files::read`].
    fn read_root(&self, path: &Path) -> io::Result<String> {
        self.read(path)
    }
}

/// Files by name, in memory.
impl Files for BTreeMap<String, String> {
    fn read(&self, path: &Path) -> io::Result<String> {
        let known = path.to_str().and_then(|p| self.get(p));
        known.cloned().ok_or_else(|| Error::from(ErrorKind::NotFound))
    }
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        used(path).map(|(text, _)| text)
    }

    fn read_root(&self, path: &Path) -> io::Result<String> {
        root(path).map(|(text, _)| text)
    }
}

/// The file system and standard input, with what was read remembered: no output goes there.
#[derive(Debug, Default)]
pub struct Watched {
    seen: RefCell<BTreeSet<(u64, u64)>>,
}

impl Watched {
    /// What the user calls standard input.
    pub const STDIN: &str = "-";
    /// What diagnostics call it.
    pub const STDIN_NAME: &str = "<stdin>";

    /// The path by which [`Files::read_root`] knows what the user named.
    #[must_use]
    pub fn name(path: &Path) -> PathBuf {
        let stdin = path == Path::new(Watched::STDIN);
        if stdin { PathBuf::from(Watched::STDIN_NAME) } else { path.to_owned() }
    }

    /// Was this file read, by whatever name?
    #[must_use]
    pub fn has_read(&self, file: &Metadata) -> bool {
        self.seen.borrow().contains(&identity(file))
    }

    fn note(&self, (text, file): (String, Metadata)) -> String {
        // What is no file loses nothing by being written to.
        if file.is_file() {
            self.seen.borrow_mut().insert(identity(&file));
        }
        text
    }
}

impl Files for Watched {
    fn read(&self, path: &Path) -> io::Result<String> {
        used(path).map(|found| self.note(found))
    }

    fn read_root(&self, path: &Path) -> io::Result<String> {
        let found = if path == Path::new(Watched::STDIN_NAME) {
            limited(File::from(io::stdin().as_fd().try_clone_to_owned()?))
        } else {
            root(path)
        };
        found.map(|found| self.note(found))
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn refuse<T>(words: impl Into<String>) -> io::Result<T> {
    Err(Error::new(ErrorKind::InvalidData, words.into()))
}

/// A file that a source uses.
fn used(path: &Path) -> io::Result<(String, Metadata)> {
    let source = |path: &Path| path.extension().is_some_and(|e| e == "tal" || e == "tali");
    if !source(path) {
        return refuse("`use` reads files whose names end in .tal or .tali, and no others");
    }
    let real = fs::canonicalize(path)?;
    if !source(&real) {
        let real = real.display();
        return refuse(format!("this is a link to {real}, which is not called .tal or .tali"));
    }
    regular(&real)
}

/// The file that the user named. An open descriptor of ours may be a pipe or a terminal.
fn root(path: &Path) -> io::Result<(String, Metadata)> {
    let ours = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    if ours.iter().any(|open| path.starts_with(open)) && !path.is_dir() {
        return limited(File::open(path)?);
    }
    regular(path)
}

/// What is no regular file is not even opened: that may wait for ever, or do something.
fn regular(path: &Path) -> io::Result<(String, Metadata)> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        let kind = kind(file.file_type());
        return refuse(format!("this is {kind}, and no regular file; `-` is standard input"));
    }
    limited(File::open(path)?)
}

fn kind(file: FileType) -> &'static str {
    match file {
        file if file.is_dir() => "a directory",
        file if file.is_fifo() => "a named pipe",
        file if file.is_socket() => "a socket",
        file if file.is_block_device() || file.is_char_device() => "a device",
        _ => "something else",
    }
}

/// The text, if it has not too many bytes: the size is asked first, and not believed.
fn limited(file: File) -> io::Result<(String, Metadata)> {
    let about = file.metadata()?;
    let too_large = || refuse(format!("a source has at most {} MiB", LIMIT >> 20));
    if about.is_file() && about.len() > LIMIT {
        return too_large();
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return too_large();
    }
    // It stays as long as the program does.
    bytes.shrink_to_fit();
    Ok((text(bytes)?, about))
}

/// The bytes as text, or what they are instead.
fn text(bytes: Vec<u8>) -> io::Result<String> {
    if bytes.starts_with(b"\x7fELF") {
        return refuse(
            "this is an ELF file, not source text; objects are checked by `tal-load verify`",
        );
    }
    // The search for the byte alone is quick.
    if bytes.contains(&0) {
        let at = bytes.iter().position(|byte| *byte == 0).unwrap_or_default();
        return refuse(format!("not text: byte {at} is 0"));
    }
    String::from_utf8(bytes).or_else(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        refuse(format!("not text: byte {at} (0x{byte:02x}) is not UTF-8"))
    })
}
