//! Not trusted. `cargo xtask test`: everything that has to hold, the fast checks first.

use crate::run::{cargo, command, execute, run, step};
use crate::{bare_metal, demo, examples, interface, manifests, modules, premises, tidy, tour};
use anyhow::Result;

/// Runs all of it; the last lines are those of `cargo test`.
pub(crate) fn all() -> Result<()> {
    let cargo = cargo();
    run(&cargo, &["fmt", "--all", "--", "--check"])?;
    step("tidy");
    manifests::arrows()?;
    modules::arrows()?;
    tidy::check()?;
    premises::check()?;
    interface::check()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&cargo, &clippy)?;
    bare_metal::build()?;
    let binaries = demo::build()?;
    examples::run(&binaries)?;
    tour::tour(&binaries)?;
    premises::premises(false, true, None)?;
    run(&cargo, &["test", "--workspace"])
}

/// The long form of one test: each byte of text and annotations of each example.
pub(crate) fn mutate() -> Result<()> {
    let arguments =
        ["test", "--release", "-p", "tal-asm", "--test", "mutation", "--", "--nocapture"];
    let mut test = command(&cargo(), &arguments);
    test.env("TAL_MUTATE", "all");
    execute(test)
}
