//! Not trusted. `cargo xtask fuzz`: mutants of accepted programs, random bytes, spoiled headers,
//! for as long as one likes. What is tried, and how, is in the crate `fuzz`, which is built here as
//! a release: nothing else of the repository needs it or the second decoder.

use crate::run::{cargo, command, execute};
use anyhow::Result;

/// Builds and starts it with these arguments.
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let mut run = command(&cargo(), &["run", "--quiet", "--release", "--package", "fuzz", "--"]);
    run.args(arguments);
    execute(run)
}

/// Our decoder against two others, over all opcodes; prints what was tried.
pub(crate) fn decoders() -> Result<()> {
    let arguments = ["run", "--quiet", "--release", "--package", "fuzz", "--bin", "tal-decoders"];
    execute(command(&cargo(), &arguments))
}
