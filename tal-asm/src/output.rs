//! Not trusted: a bug here can reject, never admit. Files appear whole or not at all, and never in
//! the place of one that was read.

use std::fs::{self, File, Permissions};
use std::io::{self, Error, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use tal_check::console;
use tal_check::files::Watched;

/// Does the user mean standard output? It is written to as it is: not opened again, which would
/// empty the file it is, and not replaced.
#[must_use]
pub fn is_stdout(path: &Path) -> bool {
    let names = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    names.iter().any(|name| path == Path::new(name))
}

/// Is the output, by any name, a file from which the program was made?
///
/// # Errors
/// It is.
pub fn refuse_source(path: &Path, read: &Watched) -> io::Result<()> {
    let file = if is_stdout(path) { console::stdout_file() } else { fs::metadata(path) };
    match file {
        Ok(file) if read.has_read(&file) => {
            Err(Error::other("the program was read from this file; nothing was written"))
        }
        _ => Ok(()),
    }
}

/// Writes beside the target and renames: who opens `path` sees the old file or the whole new one.
/// What fails leaves no file behind. A link stays a link; what is no file (`/dev/null`, a pipe) is
/// written to, not replaced, and a disk is not written to at all.
///
/// # Errors
/// Those of the file system.
pub fn write_whole(path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
    match fs::metadata(path).map(|target| target.file_type()) {
        Ok(kind) if kind.is_char_device() || kind.is_fifo() => {
            return File::options().write(true).open(path)?.write_all(bytes);
        }
        Ok(kind) if kind.is_dir() => return Err(Error::other("this is a directory")),
        Ok(kind) if !kind.is_file() => {
            return Err(Error::other("this is neither a file nor a pipe"));
        }
        Err(error) if fs::symlink_metadata(path).is_ok() => {
            return Err(Error::other(format!("this link leads to no file: {error}")));
        }
        _ => {}
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Of these rights the file gets what the mask of the user leaves.
    let rights = Permissions::from_mode(if executable { 0o777 } else { 0o666 });
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(".tal-asm-").permissions(rights).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_whole;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        write_whole(&path, b"old", false).unwrap();
        write_whole(&path, b"new", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o100, 0o100);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, b"old").unwrap();
        symlink("file", &link).unwrap();
        write_whole(&link, b"new", false).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // A link, so that a mistake here replaces the link and not the device.
        let full = directory.path().join("full");
        symlink("/dev/full", &full).unwrap();
        write_whole(&full, b"new", false).unwrap_err();
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    /// Attack t167.
    #[test]
    fn failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"").unwrap();
        // A directory that is not empty cannot be replaced by a file.
        write_whole(&taken, b"bytes", true).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        write_whole(&directory.path().join("no/such/place"), b"bytes", true).unwrap_err();
    }
}
