//! Not trusted. The arrows between the crates, read off the manifests: whoever may depend on whom
//! is the architecture (docs/architecture.md), and the trusted base stays small only while it
//! holds.

use crate::run::root;
use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Each crate with all the crates of the workspace that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("tal-core", &[]),
    ("tal-syntax", &[]),
    ("tal-check", &["tal-core", "tal-syntax"]),
    ("loader", &["tal-core"]),
    ("kjudge", &["loader", "tal-core"]),
    ("tal-asm", &["loader", "tal-check", "tal-core", "tal-syntax"]),
    ("xtask", &["loader", "tal-check", "tal-core"]),
];

/// What the judge and the verifying half of the loader are made of, apart from `core` and `alloc`.
const TRUSTED: &[(&str, &[&str])] =
    &[("tal-core", &["iced-x86"]), ("loader", &["tal-core"]), ("kjudge", &["loader", "tal-core"])];

/// Compares the manifests with [`ARROWS`] and [`TRUSTED`].
pub(crate) fn arrows() -> Result<()> {
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()?;
    let mut faults = Vec::new();
    let members: Vec<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("{name} is not in the table of arrows"));
            continue;
        };
        for dependency in shipped(package).filter(|d| members.contains(d)) {
            if !allowed.contains(&dependency) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    for (name, allowed) in TRUSTED {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == *name);
        let needed = package.into_iter().flat_map(|p| &p.dependencies);
        let needed = needed.filter(|d| d.kind == DependencyKind::Normal && !d.optional);
        for dependency in needed.filter(|d| !allowed.contains(&d.name.as_str())) {
            faults.push(format!("{name} is trusted and must not need {}", dependency.name));
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Names of the dependencies that are no development dependencies.
fn shipped(package: &Package) -> impl Iterator<Item = &str> {
    let dependencies = package.dependencies.iter();
    dependencies.filter(|d| d.kind != DependencyKind::Development).map(|d| d.name.as_str())
}

#[cfg(test)]
mod test {
    #[test]
    fn the_arrows_hold() -> anyhow::Result<()> {
        super::arrows()
    }
}
