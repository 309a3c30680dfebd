//! Not trusted. `cargo xtask interface`: compiles `interface/*.tali` into what the loader embeds,
//! and writes its reference, `docs/interface.md`. The files are checked in, so that the loader
//! needs no parser to build; a test keeps them current.

mod page;

use crate::run::{root, step};
use anyhow::{Context, Result, bail};
use std::fs;
use tal_check::interface;

/// The files that are made, with their contents.
fn files() -> Result<[(&'static str, Vec<u8>); 3]> {
    let Ok(host) = interface::host() else {
        bail!("interface/*.tali do not compile: see cargo test -p tal-check interface");
    };
    let mut bytes = host.interface.hash.to_vec();
    bytes.extend(tal_write::write_interface(&host.interface));
    let names: String = host.imports.iter().map(|import| format!("{}\n", import.name)).collect();
    Ok([
        ("loader/src/interface.bin", bytes),
        ("loader/src/interface.names", names.into_bytes()),
        ("docs/interface.md", page::page(&host)?.into_bytes()),
    ])
}

/// Writes them.
pub(crate) fn write() -> Result<()> {
    for (path, bytes) in files()? {
        step(&format!("{path}: {} bytes", bytes.len()));
        fs::write(root().join(path), bytes)?;
    }
    Ok(())
}

/// Are the files in the repository the ones that would be made?
pub(crate) fn check() -> Result<()> {
    for (path, bytes) in files()? {
        if fs::read(root().join(path)).with_context(|| path)? != bytes {
            bail!("{path} is not what interface/*.tali say: run cargo xtask interface");
        }
    }
    Ok(())
}

#[cfg(test)]
mod test {
    #[test]
    fn the_embedded_interface_is_current() -> anyhow::Result<()> {
        super::check()
    }

    #[test]
    fn every_import_has_its_tests_and_its_abuse() -> anyhow::Result<()> {
        let page = std::fs::read_to_string(crate::run::root().join("docs/interface.md"))?;
        let missing: Vec<&str> =
            page.lines().filter(|l| l.starts_with(super::page::MISSING)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
        Ok(())
    }

    #[test]
    fn the_loader_reads_what_the_checker_uses() {
        let embedded = loader::interface::embedded();
        let host = tal_check::interface::host();
        assert!(host.is_ok_and(|host| embedded.as_ref() == Ok(&host.interface)));
    }
}
