//! Not trusted: the kernel judges a program again whenever it is run. `cargo xtask install`: puts
//! programs into a directory after verifying them.

use anyhow::{Context, Result, bail, ensure};
use loader::{interface, verify};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Verifies all programs, then writes all of them: what is written is what was verified, each under
/// its own name, whole or not at all, for all to read and run and for the owner to write.
///
/// # Errors
/// When one of them is refused, or two have one name, nothing is installed. When one cannot be
/// written, those before it are installed.
pub(crate) fn install(directory: &Path, programs: &[PathBuf]) -> Result<()> {
    ensure!(directory.is_dir(), "{} is no directory", directory.display());
    let interface = interface::embedded()?;
    let mut ready = BTreeMap::new();
    for path in programs {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        if let Err(refusal) = verify(&bytes, &interface) {
            bail!("{}: refused: {refusal}; nothing was installed", path.display());
        }
        let name = path.file_name().with_context(|| format!("{} has no name", path.display()))?;
        if ready.insert(directory.join(name), bytes).is_some() {
            bail!("two programs are called {}; nothing was installed", name.display());
        }
    }
    for (to, bytes) in ready {
        write(directory, &to, &bytes).with_context(|| format!("cannot write {}", to.display()))?;
        println!("{}", to.display());
    }
    Ok(())
}

/// By way of a file with a name that nobody knows, which is gone when something fails.
fn write(directory: &Path, to: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = NamedTempFile::with_prefix_in(".install-", directory)?;
    part.write_all(bytes)?;
    part.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
    part.as_file().sync_all()?;
    part.persist(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::install;
    use anyhow::{Context, Result};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};
    use tal_asm::elf::Output;
    use tempfile::TempDir;

    /// Sources of programs beside a directory to install them in.
    struct Place {
        sources: TempDir,
        trusted: TempDir,
    }

    impl Place {
        fn new() -> Result<Place> {
            Ok(Place { sources: TempDir::new()?, trusted: TempDir::new()? })
        }

        fn source(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
            let path = self.sources.path().join(name);
            fs::create_dir_all(path.parent().context("a parent")?)?;
            fs::write(&path, bytes)?;
            Ok(path)
        }

        fn names(&self) -> Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.trusted.path())? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        }
    }

    /// A program that ends at once.
    fn good() -> Result<Vec<u8>> {
        let text = "use \"kernel.tali\"\n\nentry fn start {\n xor edi, edi\n jmp exit\n}\n";
        let place = TempDir::new()?;
        let source = place.path().join("good.tal");
        fs::write(&source, text)?;
        let outcome = tal_check::elaborate::lower(&source, &tal_check::resolve::Disk)?;
        let lowered = outcome.lowered.context("it cannot be lowered")?;
        let checked = tal_check::check::check(lowered).ok().context("it is refused")?;
        let program = tal_asm::convert::program(&checked.lowered, &checked.section);
        let program = program.ok().context("no start")?;
        Ok(tal_asm::elf::write(&program, Output::Executable)?)
    }

    fn mode(path: &Path) -> Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
    }

    #[test]
    fn what_was_verified_is_installed() -> Result<()> {
        let (place, good) = (Place::new()?, good()?);
        let source = place.source("a", &good)?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o4777))?;
        install(place.trusted.path(), &[source, place.source("b", &good)?])?;
        assert_eq!(place.names()?, ["a", "b"]);
        for name in place.names()? {
            let path = place.trusted.path().join(name);
            assert_eq!(fs::read(&path)?, good);
            assert_eq!(mode(&path)?, 0o755, "for others to run, not to write; not setuid");
        }
        Ok(())
    }

    #[test]
    fn one_that_is_refused_keeps_all_out() -> Result<()> {
        let (place, good) = (Place::new()?, good()?);
        let mut bad = good.clone();
        // `hlt` for the first instruction.
        *bad.get_mut(4096).context("no text")? = 0xF4;
        let (a, b) = (place.source("a", &good)?, place.source("b", &bad)?);
        fs::write(place.trusted.path().join("b"), "old")?;
        let error = install(place.trusted.path(), &[a, b]).err().context("it is installed")?;
        let words = error.to_string();
        assert!(words.contains("b: refused: ") && words.contains("at text offset 0x0"), "{words}");
        assert!(words.ends_with("; nothing was installed"), "{words}");
        assert_eq!(place.names()?, ["b"]);
        assert_eq!(fs::read(place.trusted.path().join("b"))?, b"old");
        Ok(())
    }

    #[test]
    fn files_that_are_no_programs_are_refused() -> Result<()> {
        let place = Place::new()?;
        let script = place.source("script", b"#!/bin/sh\n")?;
        let empty = place.source("empty", b"")?;
        let ordinary = PathBuf::from("/bin/busybox");
        for file in [script, empty, ordinary, place.sources.path().join("none"), "/".into()] {
            assert!(install(place.trusted.path(), &[file]).is_err());
        }
        assert!(place.names()?.is_empty());
        let nowhere = place.trusted.path().join("nowhere");
        assert!(install(&nowhere, &[place.source("a", &good()?)?]).is_err());
        assert!(!nowhere.exists());
        Ok(())
    }

    #[test]
    fn two_of_one_name_are_too_many() -> Result<()> {
        let (place, good) = (Place::new()?, good()?);
        let both = [place.source("x/a", &good)?, place.source("y/a", &good)?];
        let error = install(place.trusted.path(), &both).err().context("it is installed")?;
        assert!(error.to_string().contains("two programs are called a"), "{error}");
        assert!(place.names()?.is_empty());
        Ok(())
    }

    /// The old file stays whole for those who run it, a link is replaced and not followed, and what
    /// cannot be replaced leaves nothing behind.
    #[test]
    fn replacing_is_all_or_nothing() -> Result<()> {
        let (place, good) = (Place::new()?, good()?);
        let to = |name: &str| place.trusted.path().join(name);
        let elsewhere = place.source("elsewhere", b"elsewhere")?;
        symlink(&elsewhere, to("link"))?;
        fs::write(to("old"), "old")?;
        let mut open = fs::File::open(to("old"))?;
        install(
            place.trusted.path(),
            &[place.source("link", &good)?, place.source("old", &good)?],
        )?;
        assert_eq!(fs::read(&elsewhere)?, b"elsewhere");
        assert!(fs::symlink_metadata(to("link"))?.is_file());
        assert_eq!(std::io::read_to_string(&mut open)?, "old");
        fs::create_dir(to("taken"))?;
        assert!(install(place.trusted.path(), &[place.source("taken", &good)?]).is_err());
        assert_eq!(place.names()?, ["link", "old", "taken"]);
        Ok(())
    }
}
