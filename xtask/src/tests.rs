//! Not trusted. `cargo xtask test`: everything that has to hold, the fast checks first.

use crate::run::{cargo, run, step};
use crate::{bare_metal, demo, examples, interface, manifests, tidy, tour};
use anyhow::Result;

/// Runs all of it; the last lines are those of `cargo test`.
pub(crate) fn all() -> Result<()> {
    let cargo = cargo();
    run(&cargo, &["fmt", "--all", "--", "--check"])?;
    step("tidy");
    manifests::arrows()?;
    tidy::check()?;
    interface::check()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&cargo, &clippy)?;
    bare_metal::build()?;
    let binaries = demo::build()?;
    examples::run(&binaries)?;
    tour::tour(&binaries)?;
    run(&cargo, &["test", "--workspace"])
}
