//! Not trusted: a bug here can reject, never admit. Where `tal-load` gets the bytes of a program
//! from.

use loader::link;
use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, stdin};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// No file is larger. It could not be judged: that takes up to `limits::MEMORY_FACTOR` times as
/// much memory as there is text.
const LARGEST: u64 = 1 << 30;

/// Is this the name of a source file?
pub(crate) fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tal")
}

/// The bytes of a file, or of standard input if it is called `-`; an object becomes an executable.
/// What is no file, or too large to be a program, is not read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = raw(path)?;
    if link::is_object(&bytes) {
        return link::link(&bytes).map_err(|error| format!("{}: {error}", path.display()));
    }
    Ok(bytes)
}

/// An executable that has a name, with its debugging information.
pub(crate) fn executable(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = raw(path)?;
    if path == Path::new("-") || link::is_object(&bytes) {
        return Err(format!("{}: gdb needs an executable, or a source", path.display()));
    }
    Ok(bytes)
}

/// As it is.
fn raw(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = if path == Path::new("-") { standard_input() } else { file(path) };
    bytes.map_err(|words| format!("{}: {words}", path.display()))
}

fn standard_input() -> Result<Vec<u8>, String> {
    limited(stdin().lock(), 0)
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let mut options = OpenOptions::new();
    // Nobody waits for a pipe that has no writer, nor gets a terminal.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if about.is_dir() {
        return Err("is a directory".into());
    }
    if !about.is_file() {
        return Err("is no regular file (standard input is -)".into());
    }
    if about.len() > LARGEST {
        return Err(too_large());
    }
    limited(file, usize::try_from(about.len()).unwrap_or(0))
}

fn too_large() -> String {
    format!("has more than {LARGEST} bytes: too large for a program")
}

/// All of it, unless it is more than a program has.
fn limited(from: impl Read, expected: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(expected);
    let mut from = from.take(LARGEST + 1);
    from.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|size| size <= LARGEST);
    if fits { Ok(bytes) } else { Err(too_large()) }
}

/// The loader has no parser: the assembler beside it makes the file, which is judged like any
/// other.
pub(crate) fn assemble(path: &Path, directory: &Path) -> Result<PathBuf, String> {
    let beside = env::current_exe().ok().map(|me| me.with_file_name("tal-asm"));
    let assembler =
        beside.filter(|p| p.exists()).map_or(Cow::Borrowed(Path::new("tal-asm")), Cow::Owned);
    let output = directory.join(path.file_stem().unwrap_or_default());
    let mut command = Command::new(&*assembler);
    match command.arg("-o").arg(&output).arg("--").arg(path).status() {
        Ok(status) if status.success() => Ok(output),
        Ok(_) => Err(format!("{} was not assembled", path.display())),
        Err(error) => Err(format!("{}: {error}", assembler.display())),
    }
}

/// A path inside of quotes, for gdb.
pub(crate) fn quoted(path: &Path) -> OsString {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
    OsString::from_vec(bytes)
}
