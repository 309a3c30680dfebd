//! Not trusted. `cargo xtask demo`: the whole path, shown.

use crate::examples;
use crate::run::{cargo, command, root, run, step};
use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;

/// Builds the tools for use.
pub(crate) fn build() -> Result<PathBuf> {
    let packages = ["-p", "tal-check", "-p", "tal-asm", "-p", "loader"];
    run(&cargo(), &[&["build", "--release"][..], &packages[..]].concat())?;
    Ok(root().join("target/release"))
}

/// Builds, runs the examples on real files, shows refusals.
pub(crate) fn demo() -> Result<()> {
    let binaries = build()?;
    examples::run(&binaries)?;
    let path = |name: &str| binaries.join(name).to_string_lossy().into_owned();

    step("tal-load run target/examples/wc < LICENSE-APACHE");
    let mut wc = command(&path("tal-load"), &["run", "target/examples/wc"]);
    wc.stdin(fs::File::open(root().join("LICENSE-APACHE"))?).status()?;

    step("a wrong program: wc asks the kernel to read one byte more than its buffer has");
    let source = fs::read_to_string(root().join("examples/wc.tal"))?;
    let wrong = source.replacen("mov     edx, BUF\n", "mov     edx, BUF + 1\n", 1);
    if wrong == source {
        bail!("examples/wc.tal has no `mov edx, BUF` any more: change the demonstration");
    }
    let wrong_path = root().join("examples/wrong-wc.tal");
    fs::write(&wrong_path, wrong)?;
    let status = command(&path("tal-check"), &["examples/wrong-wc.tal"]).status();
    fs::remove_file(&wrong_path)?;
    if status?.code() != Some(1) {
        bail!("the wrong program was not refused");
    }

    step("wrong machine code: one byte of the text of wc is changed after it was assembled");
    let mut bytes = fs::read(root().join("target/examples/wc"))?;
    // The text stands at file offset 0x1000; its first instructions clear registers.
    if let Some(byte) = bytes.get_mut(0x1008) {
        *byte ^= 0x40;
    }
    fs::write(root().join("target/examples/damaged-wc"), bytes)?;
    let damaged = ["verify", "target/examples/damaged-wc"];
    let status = command(&path("tal-load"), &damaged).status()?;
    if status.code() != Some(1) {
        bail!("the damaged program was not refused");
    }
    step("done: everything above was judged twice, as source and as machine code");
    Ok(())
}
