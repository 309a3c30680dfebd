//! Not trusted. The sources of the judge for the kernel's build, which compiles them without cargo.

use crate::kernel::{cache, hex, lock, on_path};
use crate::run::root;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories and files below a crate that the kernel's Makefile names.
const SOURCES: &[&str] = &[
    "tal-core/src",
    "loader/src",
    "kjudge/src",
    "kjudge/include",
    "kjudge/merge.lds",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// The sources in one directory, a crate each.
pub(crate) struct Sources {
    pub(crate) path: PathBuf,
    /// Hash of all of them.
    pub(crate) key: String,
}

/// Puts the sources into the cache, by their hash.
pub(crate) fn sources() -> Result<Sources> {
    let files = files()?;
    let mut hash = Sha256::new();
    for (name, content) in &files {
        hash.update(name);
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    let key = hex(&hash.finalize());
    let path = cache()?.join(format!("judge-{}", key.get(..16).unwrap_or(&key)));
    let _lock = lock(&path)?;
    if !path.join("done").exists() {
        for (name, content) in &files {
            let to = path.join(name);
            fs::create_dir_all(to.parent().context("a file without a directory")?)?;
            fs::write(to, content)?;
        }
        fs::write(path.join("done"), "")?;
    }
    Ok(Sources { path, key })
}

/// Every file by its name in the kernel's tree.
fn files() -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for name in SOURCES {
        collect(&root().join(name), name, &mut files)?;
    }
    Ok(files)
}

fn collect(from: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    if !from.is_dir() {
        let content = fs::read(from).with_context(|| format!("no {}", from.display()))?;
        files.insert(name.to_string(), content);
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        collect(&from.join(&file), &format!("{name}/{file}"), files)?;
    }
    Ok(())
}

/// A compiler that has the sources of its library: rustup's, or Debian's.
pub(crate) fn compiler() -> Result<String> {
    let mut candidates = vec!["/usr/bin/rustc".to_string()];
    if on_path("rustc") {
        candidates.insert(0, "rustc".to_string());
    }
    for rustc in &candidates {
        let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output() else {
            continue;
        };
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists() {
            return Ok(rustc.clone());
        }
    }
    bail!(
        "the kernel's judge needs a rustc with the sources of its library; install, as root: \
         apt-get install rustc-web rust-web-src; or: rustup component add rust-src"
    )
}

#[cfg(test)]
mod tests {
    use super::files;
    use anyhow::Result;

    #[test]
    fn the_sources_are_complete() -> Result<()> {
        let files = files()?;
        for name in [
            "tal-core/src/lib.rs",
            "loader/src/interface.bin",
            "kjudge/include/tal_judge.h",
            "kjudge/merge.lds",
        ] {
            assert!(files.contains_key(name), "{name}");
        }
        Ok(())
    }
}
