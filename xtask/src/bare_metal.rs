//! Not trusted. Proves that the judge and the verifying half of the loader need no operating
//! system: they build for `x86_64-unknown-none`, for which there is no `std`.
//!
//! Where the compiled `core` of that target cannot be had from rustup, it is built from source:
//! Debian's `rustc-web`, `cargo-web` and `rust-web-src` bring a compiler with its sources
//! (docs/kernel.md tells how the kernel build goes on from there).

use crate::run::{cargo, command, execute, root, step};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Stdio;

const TARGET: &str = "x86_64-unknown-none";
const BUILD: [&str; 7] =
    ["build", "--package", "loader", "--no-default-features", "--lib", "--target", TARGET];

/// Builds by the first way that this machine has.
pub(crate) fn build() -> Result<()> {
    if target_installed() || added_by_rustup() {
        step("bare metal, with the compiled core of rustup");
        let mut build = command(&cargo(), &BUILD);
        build.env("CARGO_TARGET_DIR", root().join("target/bare-metal"));
        return execute(build);
    }
    let debian = Path::new("/usr/lib/rustlib/src/rust/library");
    if debian.exists() && Path::new("/usr/bin/rustc").exists() {
        step("bare metal, with core built from Debian's rust-web-src");
        return execute(from_source());
    }
    bail!(
        "no core for {TARGET}: rustup target add {TARGET}, or apt-get install \
           rustc-web cargo-web rust-web-src"
    )
}

fn target_installed() -> bool {
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let output = command("rustc", &arguments).stderr(Stdio::null()).output();
    output.is_ok_and(|o| {
        let path = String::from_utf8_lossy(&o.stdout).trim().to_string();
        o.status.success() && Path::new(&path).exists()
    })
}

fn added_by_rustup() -> bool {
    let mut add = command("rustup", &["target", "add", TARGET]);
    add.stdout(Stdio::null()).stderr(Stdio::null());
    add.status().is_ok_and(|status| status.success())
}

/// Core and alloc compiled from their sources, by the compiler that the sources belong to.
fn from_source() -> std::process::Command {
    let mut build = command("/usr/bin/cargo", &BUILD);
    build.args(["-Zbuild-std=core,alloc"]);
    build.env("CARGO_TARGET_DIR", root().join("target/bare-metal-source"));
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "CARGO_BUILD_RUSTFLAGS", "CARGO"] {
        build.env_remove(variable);
    }
    build
}
