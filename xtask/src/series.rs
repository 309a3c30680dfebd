//! Not trusted. `cargo xtask series`: what must hold for `kpatch/` as a series of patches.

use crate::kernel::{self, Flavor, NANO, Tree};
use crate::run::step;
use crate::vm;
use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Check {
    /// Every patch builds, and the kernel boots, with those before it.
    Each,
    /// With the option off the machine code is that of the kernel without the series.
    Unchanged,
    /// checkpatch.pl has no complaint.
    Style,
    /// x86_64_defconfig with the option builds.
    Defconfig,
}

/// Debian's source with the same configuration as [`OFF`].
const BASE: Flavor = Flavor {
    name: "stress-base",
    fragments: &["nano.config", "stress.config"],
    patched: false,
    ..NANO
};

/// The series, switched off.
const OFF: Flavor = Flavor { name: "stress-off", patched: true, ..BASE };

const DEFCONFIG: Flavor = Flavor {
    name: "defconfig",
    base: "x86_64_defconfig",
    fragments: &["kml.config", "unverified.config"],
    patched: true,
};

pub(crate) fn check(what: Check) -> Result<()> {
    match what {
        Check::Each => each(),
        Check::Unchanged => unchanged(),
        Check::Style => style(),
        Check::Defconfig => {
            println!("{}", kernel::build(DEFCONFIG)?.display());
            Ok(())
        }
    }
}

/// One tree, one patch after the other.
fn each() -> Result<()> {
    let top = kernel::cache()?.join("each");
    let lock = kernel::lock(&top)?;
    let tree = Tree::unpack(&top)?;
    let objects = top.join("nano");
    for patch in kernel::series()? {
        tree.apply(&patch)?;
        // Some options come late in the series.
        let options = fs::read_to_string(tree.path.join("arch/x86/kml/Kconfig"))?;
        let some: &[_] = if options.contains("config KERNEL_MODE_LINUX_JUDGE_TEST") {
            NANO.fragments
        } else if options.contains("config KERNEL_MODE_LINUX_UNVERIFIED") {
            &["nano.config", "kml.config", "unverified.config"]
        } else {
            &["nano.config", "kml.config"]
        };
        kernel::configure(&tree.path, &objects, Flavor { fragments: some, ..NANO })?;
        kernel::compile(&tree.path, &objects, "bzImage")?;
        vm::boots(&objects.join("arch/x86/boot/bzImage"))?;
        println!("{} ... builds and boots", kernel::name_of(&patch));
    }
    drop(lock);
    Ok(())
}

fn style() -> Result<()> {
    let tree = kernel::tree(false)?;
    for patch in kernel::series()? {
        let mut command = Command::new("scripts/checkpatch.pl");
        command.args(["--no-signoff", "--quiet", "--no-summary", "--show-types"]);
        command.args(["--ignore", "FILE_PATH_CHANGES"]).arg(&patch).current_dir(&tree.path);
        kernel::execute(&mut command).with_context(|| kernel::name_of(&patch))?;
        println!("{} ... no complaint", kernel::name_of(&patch));
    }
    Ok(())
}

/// Files that the series does not touch, with much of what its headers have as inline functions.
const INLINED: &[&str] = &[
    "arch/x86/kernel/irq.o",
    "arch/x86/mm/init_64.o",
    "arch/x86/mm/pgtable.o",
    "kernel/entry/common.o",
    "kernel/sched/core.o",
    "mm/memory.o",
];

/// Compiles what the series touches, with it and without; prints where machine code differs.
fn unchanged() -> Result<()> {
    let names = touched()?;
    let (old, new) = (some_objects(BASE, &names)?, some_objects(OFF, &names)?);
    let (mut identical, mut data, mut code) = (0usize, Vec::new(), Vec::new());
    for name in &names {
        let (a, b) = (old.join(name), new.join(name));
        if fs::read(&a)? == fs::read(&b)? {
            identical = identical.saturating_add(1);
        } else if disassembly(&a)? == disassembly(&b)? {
            data.push(name.clone());
        } else {
            code.push(name.clone());
            show_difference(&disassembly(&a)?, &disassembly(&b)?)?;
        }
    }
    println!("of {} objects {identical} are the same, byte for byte", names.len());
    println!("machine code the same, data not (line numbers): {}", list(&data));
    println!("machine code not the same: {}", list(&code));
    ensure!(code.is_empty(), "the series changes the kernel when it is switched off");
    Ok(())
}

/// The objects of the files that the series changes, and those in [`INLINED`].
fn touched() -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<_> = INLINED.iter().map(|name| (*name).to_string()).collect();
    for patch in kernel::series()? {
        let text = fs::read_to_string(patch)?;
        for path in text.lines().filter_map(|line| line.strip_prefix("--- a/")) {
            let stem = path.strip_suffix(".c").or_else(|| path.strip_suffix(".S"));
            let object = stem.filter(|_| !path.contains("asm-offsets") && !path.contains("/kml/"));
            names.extend(object.map(|stem| format!("{stem}.o")));
        }
    }
    Ok(names)
}

/// Compiles these objects only; the directory that they are in.
fn some_objects(flavor: Flavor, names: &BTreeSet<String>) -> Result<PathBuf> {
    let tree = kernel::tree(flavor.patched)?;
    let objects = kernel::cache()?.join("unchanged").join(flavor.name);
    kernel::configure(&tree.path, &objects, flavor)?;
    step(&format!("compiling {} objects", names.len()));
    let mut make = kernel::make(&tree.path, &objects)?;
    kernel::execute(make.args(["-s", "-j2"]).args(names))?;
    Ok(objects)
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

/// Instructions and relocations of all sections with code.
fn disassembly(object: &Path) -> Result<String> {
    let mut command = Command::new("objdump");
    command.args(["-d", "-r", "--no-show-raw-insn", "--no-addresses"]).arg(object);
    let output = command.output().context("cannot start objdump")?;
    ensure!(output.status.success(), "objdump failed on {}", object.display());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter(|line| !line.contains("file format")).collect::<Vec<_>>().join("\n"))
}

fn show_difference(old: &str, new: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("old"), old)?;
    fs::write(directory.path().join("new"), new)?;
    let mut command = Command::new("diff");
    command.args(["-u", "old", "new"]).current_dir(directory.path());
    let output = command.output().context("cannot start diff")?;
    for line in String::from_utf8_lossy(&output.stdout).lines().take(40) {
        println!("    {line}");
    }
    Ok(())
}
