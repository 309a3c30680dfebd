//! Not trusted. `cargo xtask series`: what must hold for `kpatch/` as a series of patches.

use crate::kernel::{self, Flavor, NANO, STRESS, Tree};
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

/// Debian's source with the same configuration as [`OFF`]; the selftests run on it too.
pub(crate) const BASE: Flavor = Flavor {
    name: "stress-base",
    fragments: &["nano.config", "stress.config"],
    patched: false,
    ..STRESS
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
        // The option of unverified mode comes late in the series.
        let options = fs::read_to_string(tree.path.join("arch/x86/kml/Kconfig"))?;
        let unverified = options.contains("config KERNEL_MODE_LINUX_UNVERIFIED");
        let some: &[_] = if unverified { NANO.fragments } else { &["nano.config", "kml.config"] };
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

/// Compares object by object; prints where machine code differs, with the difference.
fn unchanged() -> Result<()> {
    let (old, new) = (kernel::objects(BASE)?, kernel::objects(OFF)?);
    let (names, others) = (object_files(&old)?, object_files(&new)?);
    ensure!(names == others, "not the same objects: {:?}", names.symmetric_difference(&others));
    step(&format!("comparing {} objects", names.len()));
    let (mut identical, mut data, mut code) = (0usize, Vec::new(), Vec::new());
    for name in &names {
        let (a, b) = (old.join(name), new.join(name));
        if fs::read(&a)? == fs::read(&b)? {
            identical = identical.saturating_add(1);
        } else if disassembly(&a)? == disassembly(&b)? {
            data.push(name.display().to_string());
        } else {
            code.push(name.display().to_string());
            show_difference(&disassembly(&a)?, &disassembly(&b)?)?;
        }
    }
    println!("{identical} of {} objects are the same, byte for byte", names.len());
    println!("machine code the same, data not (line numbers): {}", list(&data));
    println!("machine code not the same: {}", list(&code));
    ensure!(code.is_empty(), "the series changes the kernel when it is switched off");
    Ok(())
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

/// Objects of single source files, relative to the directory.
fn object_files(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut names = BTreeSet::new();
    let mut todo = vec![directory.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            // What is not linked into the kernel: programs of the host, the boot loader's part.
            let outside = ["scripts", "tools", "source"].iter().any(|n| path.ends_with(n));
            if path.is_dir() && !path.is_symlink() && !outside {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "o") && is_compiled(&path) {
                names.insert(path.strip_prefix(directory)?.to_path_buf());
            }
        }
    }
    Ok(names)
}

/// Not linked from others, and without a date in it.
fn is_compiled(path: &Path) -> bool {
    let name = kernel::name_of(path);
    let linked = ["vmlinux.o", "version.o", "version-timestamp.o"].contains(&name.as_str());
    !linked && !name.starts_with(".tmp") && path.with_file_name(format!(".{name}.cmd")).exists()
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
