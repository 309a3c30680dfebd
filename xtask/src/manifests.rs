//! Not trusted. The arrows between the crates, read off the manifests: whoever may depend on whom
//! is the architecture (docs/architecture.md), and the trusted base stays small only while it
//! holds.

use crate::run::{cargo, command};
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Each crate with all the crates of the workspace that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("tal-core", &[]),
    ("tal-syntax", &[]),
    ("tal-write", &["tal-core"]),
    ("tal-check", &["tal-core", "tal-syntax", "tal-write"]),
    ("loader", &["tal-core"]),
    ("kjudge", &["loader", "tal-core"]),
    ("tal-asm", &["loader", "tal-check", "tal-core", "tal-syntax"]),
    ("xtask", &["loader", "tal-asm", "tal-check", "tal-core", "tal-write"]),
    // Tries all of them, and nothing depends on it.
    ("fuzz", &["loader", "tal-asm", "tal-check", "tal-core", "tal-syntax", "tal-write"]),
];

/// What the judge and the verifying half of the loader are made of, apart from `core` and `alloc`.
const TRUSTED: &[(&str, &[&str])] =
    &[("tal-core", &[]), ("loader", &["tal-core"]), ("kjudge", &["loader", "tal-core"])];

/// What `cargo metadata` says of a crate.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its features, each with what it turns on.
    pub(crate) features: Vec<(String, Vec<String>)>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What it depends on.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`; nothing for what the crate itself is made of.
    kind: Option<String>,
    optional: bool,
    /// What is turned on there.
    pub(crate) features: Vec<String>,
}

/// The crates of the workspace. (A crate that reads this for us would ask for other features of
/// `serde` than the tools do, and cargo build them twice.)
pub(crate) fn packages() -> Result<Vec<Package>> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let output = command(&cargo(), &arguments).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let text = |value: &Value| -> Result<String> {
        Ok(value.as_str().context("cargo metadata: a name is missing")?.to_owned())
    };
    let list = |value: &Value| -> Result<Vec<Value>> {
        Ok(value.as_array().context("cargo metadata: a list is missing")?.clone())
    };
    let words = |value: &Value| -> Result<Vec<String>> { list(value)?.iter().map(text).collect() };
    let dependency = |value: &Value| -> Result<Dependency> {
        Ok(Dependency {
            name: text(&value["name"])?,
            kind: value["kind"].as_str().map(str::to_owned),
            optional: value["optional"].as_bool().context("cargo metadata: `optional`")?,
            features: words(&value["features"])?,
        })
    };
    let package = |value: &Value| -> Result<Package> {
        let dependencies = list(&value["dependencies"])?;
        let dependencies = dependencies.iter().map(dependency).collect::<Result<_>>()?;
        let features = value["features"].as_object().context("cargo metadata: `features`")?;
        let turned_on = |(name, on): (&String, &Value)| Ok((name.clone(), words(on)?));
        let features = features.iter().map(turned_on).collect::<Result<_>>()?;
        Ok(Package { name: text(&value["name"])?, features, dependencies })
    };
    list(&metadata["packages"])?.iter().map(package).collect()
}

/// Compares the manifests with [`ARROWS`] and [`TRUSTED`].
pub(crate) fn arrows() -> Result<()> {
    let packages = packages()?;
    let mut faults = Vec::new();
    let members: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    for (name, _) in ARROWS.iter().filter(|(name, _)| !members.contains(name)) {
        faults.push(format!("{name} is in the table of arrows and is no crate"));
    }
    for package in &packages {
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
        let package = packages.iter().find(|p| p.name == *name);
        let needed = package.into_iter().flat_map(|p| &p.dependencies);
        let needed = needed.filter(|d| d.kind.is_none() && !d.optional);
        for dependency in needed.filter(|d| !allowed.contains(&d.name.as_str())) {
            faults.push(format!("{name} is trusted and must not need {}", dependency.name));
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Names of the dependencies that are no development dependencies.
fn shipped(package: &Package) -> impl Iterator<Item = &str> {
    let dependencies = package.dependencies.iter();
    dependencies.filter(|d| d.kind.as_deref() != Some("dev")).map(|d| d.name.as_str())
}

#[cfg(test)]
mod test {
    use crate::run::{cargo, command};
    use std::collections::BTreeSet;

    #[test]
    fn the_arrows_hold() -> anyhow::Result<()> {
        super::arrows()
    }

    /// Crates with their versions and features, as cargo builds them for these packages.
    fn built(packages: &[&str]) -> anyhow::Result<BTreeSet<String>> {
        let how = ["--edges", "normal,build", "--prefix", "none", "--format", "{p} {f}"];
        let output = command(&cargo(), &[&["tree"][..], &how[..], packages].concat()).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let lines = text.lines().map(|line| line.trim_end_matches(" (*)").trim());
        Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// What `cargo build --release` has built, neither `cargo xtask` nor a build of the whole
    /// workspace builds again: each crate has the features there that it has for the tools.
    #[test]
    fn nothing_is_built_twice() -> anyhow::Result<()> {
        let tools = built(&[])?;
        assert!(tools.iter().any(|c| c.starts_with("loader ")), "{tools:?}");
        assert!(!tools.iter().any(|c| c.starts_with("xtask ")), "{tools:?}");
        for packages in [&["--package", "xtask"][..], &["--workspace"]] {
            let all = built(packages)?;
            let again: Vec<&String> = tools.difference(&all).collect();
            assert!(again.is_empty(), "{packages:?} builds again: {again:?}");
        }
        Ok(())
    }
}
