//! Not trusted. `cargo xtask kernel`: fetches Debian's source, applies `kpatch/`, builds.
//!
//! Everything lies under `target/kernel`, by the hash of what it is made from.

use crate::run::{root, step};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Serial line and initramfs, as fast as it gets.
    Nano,
    /// The same with the kernel's own checks: lockdep, KASAN, DEBUG_ENTRY, ...
    Debug,
}

impl Flavor {
    fn name(self) -> &'static str {
        match self {
            Flavor::Nano => "nano",
            Flavor::Debug => "debug",
        }
    }

    fn fragments(self) -> &'static [&'static str] {
        match self {
            Flavor::Nano => &["nano.config"],
            Flavor::Debug => &["nano.config", "debug.config"],
        }
    }
}

/// What the build needs, and the packages that have it.
const TOOLS: &[(&str, &str)] = &[
    ("gcc", "gcc"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("patch", "patch"),
    ("xz", "xz-utils"),
    ("perl", "perl"),
];
const HEADERS: &[(&str, &str)] =
    &[("/usr/include/gelf.h", "libelf-dev"), ("/usr/include/openssl/opensslv.h", "libssl-dev")];

/// Compiled files of a build, about: for the progress only.
const STEPS: usize = 800;

/// Builds the kernel unless that has been done, and returns its image.
pub(crate) fn build(flavor: Flavor) -> Result<PathBuf> {
    let key = key(flavor)?;
    let objects = cache().join(format!("{}-{}", flavor.name(), &key[..16]));
    let image = objects.join("arch/x86/boot/bzImage");
    if objects.join("done").exists() && image.exists() {
        return Ok(image);
    }
    needs(TOOLS.iter().filter(|t| !on_path(t.0)), HEADERS.iter().filter(|h| !exists(h.0)))?;
    let source = source()?;
    configure(&source, &objects, flavor)?;
    compile(&source, &objects)?;
    fs::write(objects.join("done"), "")?;
    Ok(image)
}

/// Fails with the packages to install.
fn needs<'a>(
    tools: impl Iterator<Item = &'a (&'a str, &'a str)>,
    files: impl Iterator<Item = &'a (&'a str, &'a str)>,
) -> Result<()> {
    let packages: Vec<_> = tools.chain(files).map(|(_, package)| *package).collect();
    ensure!(packages.is_empty(), "install, as root: apt-get install {}", packages.join(" "));
    Ok(())
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Where things are built.
pub(crate) fn cache() -> PathBuf {
    root().join("target/kernel")
}

fn kpatch() -> PathBuf {
    root().join("kpatch")
}

/// `kpatch/base`: what the series applies to.
fn base() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(kpatch().join("base"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, value)| (name.into(), value.into()))
        .collect())
}

fn field(base: &BTreeMap<String, String>, name: &str) -> Result<String> {
    base.get(name).cloned().with_context(|| format!("kpatch/base has no {name}"))
}

/// The patches, in order.
pub(crate) fn series() -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(kpatch().join("series"))?;
    Ok(text.lines().map(|name| kpatch().join("patches").join(name)).collect())
}

/// Hash of base and patches.
fn source_key() -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(fs::read(kpatch().join("base"))?);
    for patch in series()? {
        hash.update(fs::read(patch)?);
    }
    Ok(hex(&hash.finalize()))
}

/// Hash of all that goes into a build but the compiler.
fn key(flavor: Flavor) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(source_key()?);
    for fragment in flavor.fragments() {
        hash.update(fs::read(kpatch().join("configs").join(fragment))?);
    }
    Ok(hex(&hash.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn digest(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut block)?;
        let Some(part) = block.get(..n).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
    }
    Ok(hex(&hash.finalize()))
}

/// The patched source, unpacked once.
fn source() -> Result<PathBuf> {
    let base = base()?;
    let top = cache().join(format!("source-{}", &source_key()?[..16]));
    let tree = top.join(field(&base, "directory")?);
    if top.join("done").exists() {
        return Ok(tree);
    }
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    fs::create_dir_all(&top)?;
    let archive = archive(&base)?;
    step(&format!("unpacking {}", archive.display()));
    execute(Command::new("tar").arg("xf").arg(&archive).current_dir(&top))?;
    for patch in series()? {
        step(&format!("applying {}", name_of(&patch)));
        let mut command = Command::new("patch");
        command.args(["-p1", "-s", "--no-backup-if-mismatch", "-F0"]).current_dir(&tree);
        execute(command.stdin(File::open(&patch)?))?;
    }
    fs::write(top.join("done"), "")?;
    Ok(tree)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Debian's archive of the source: installed, or fetched from its package.
fn archive(base: &BTreeMap<String, String>) -> Result<PathBuf> {
    let (file, sum) = (field(base, "file")?, field(base, "sha256")?);
    let installed = Path::new("/usr/src").join(&file);
    let fetched = cache().join("package/usr/src").join(&file);
    for path in [&installed, &fetched] {
        if path.exists() && digest(path)? == sum {
            return Ok(path.clone());
        }
    }
    let package = format!("{}={}", field(base, "package")?, field(base, "version")?);
    step(&format!("apt-get download {package}"));
    fs::create_dir_all(cache())?;
    execute(Command::new("apt-get").args(["download", &package]).current_dir(cache()))
        .with_context(|| format!("{package} cannot be had; as root: apt-get update"))?;
    let stem = format!("{}_", field(base, "package")?);
    let deb = fs::read_dir(cache())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| name_of(path).starts_with(&stem) && name_of(path).ends_with(".deb"))
        .context("apt-get left no package")?;
    execute(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(cache().join("package")))?;
    fs::remove_file(deb)?;
    ensure!(digest(&fetched)? == sum, "{file} is not the one of kpatch/base");
    Ok(fetched)
}

/// Runs it and fails when it fails.
fn execute(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

fn make(source: &Path, objects: &Path) -> Command {
    let mut command = Command::new("make");
    command.current_dir(source).arg(format!("O={}", objects.display()));
    // What cargo says about its own jobs is not for make.
    command.env_remove("MAKEFLAGS").env_remove("MFLAGS");
    command
}

/// tinyconfig plus the fragments, every line of which must be in the result.
fn configure(source: &Path, objects: &Path, flavor: Flavor) -> Result<()> {
    fs::create_dir_all(objects)?;
    step(&format!("configuring {}", objects.display()));
    execute(make(source, objects).args(["-s", "tinyconfig"]))?;
    let mut merge = Command::new("scripts/kconfig/merge_config.sh");
    merge.args(["-m", "-O"]).arg(objects).arg(objects.join(".config")).current_dir(source);
    for fragment in flavor.fragments() {
        merge.arg(kpatch().join("configs").join(fragment));
    }
    execute(merge.stdout(Stdio::null()))?;
    execute(make(source, objects).args(["-s", "olddefconfig"]))?;

    let config = fs::read_to_string(objects.join(".config"))?;
    for fragment in flavor.fragments() {
        let text = fs::read_to_string(kpatch().join("configs").join(fragment))?;
        for line in text.lines().filter(|line| line.starts_with("CONFIG_")) {
            let wanted = config.lines().any(|have| have == line);
            ensure!(wanted, "{fragment}: the configuration lost {line}");
        }
    }
    Ok(())
}

/// make, with a line of progress now and then; the end of the log when it fails.
fn compile(source: &Path, objects: &Path) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    step(&format!("building the kernel with {jobs} jobs, log in {}/log", objects.display()));
    let mut log = File::create(objects.join("log"))?;
    let mut child = make(source, objects)
        .args([&format!("-j{jobs}"), "bzImage"])
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log.try_clone()?))
        .spawn()
        .context("cannot start make")?;
    let output = child.stdout.take().context("make has no output")?;
    let mut compiled = 0usize;
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        if line.starts_with("  CC ") || line.starts_with("  AS ") {
            compiled = compiled.saturating_add(1);
            if compiled.is_multiple_of(50) {
                eprintln!("    {compiled} of about {STEPS} files");
            }
        }
    }
    if !child.wait()?.success() {
        let text = fs::read_to_string(objects.join("log"))?;
        let lines: Vec<_> = text.lines().collect();
        let end = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default();
        bail!("the kernel does not build:\n{}", end.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    type Verdict = Result<()>;

    /// `series` names what is there, in order; the subjects say so too.
    #[test]
    fn series_is_complete() -> Verdict {
        let listed: Vec<_> = series()?.iter().map(|path| name_of(path)).collect();
        let mut found: Vec<_> = fs::read_dir(kpatch().join("patches"))?
            .filter_map(|entry| Some(name_of(&entry.ok()?.path())))
            .collect();
        found.sort();
        assert_eq!(listed, found);
        let n = listed.len();
        for (i, patch) in (1..).zip(series()?) {
            let text = fs::read_to_string(&patch)?;
            let want = format!("Subject: [PATCH {i:02}/{n}] ");
            assert!(text.contains(&want), "{}: no `{want}`", patch.display());
        }
        Ok(())
    }

    /// Lines of hunks as their headers say; new files once; nothing below the tree.
    #[test]
    fn patches_are_well_formed() -> Verdict {
        let mut new = BTreeSet::new();
        for patch in series()? {
            let text = fs::read_to_string(&patch)?;
            let mut left = (0usize, 0usize);
            let mut created = false;
            for line in text.lines() {
                if left != (0, 0) {
                    let (old, added) = match line.as_bytes().first() {
                        Some(b'-') => (1, 0),
                        Some(b'+') => (0, 1),
                        Some(b'\\') => (0, 0),
                        _ => (1, 1),
                    };
                    let count = (left.0.checked_sub(old), left.1.checked_sub(added));
                    let (Some(a), Some(b)) = count else { bail!("{}: {line}", patch.display()) };
                    left = (a, b);
                } else if let Some(header) = line.strip_prefix("@@ ") {
                    left = hunk(header).with_context(|| line.to_string())?;
                } else if line == "--- /dev/null" {
                    created = true;
                } else if let Some(path) = line.strip_prefix("+++ b/") {
                    assert!(!path.contains("..") && !path.starts_with('/'));
                    assert!(!created || new.insert(path.to_string()), "{path} is new twice");
                    created = false;
                }
            }
            assert_eq!(left, (0, 0), "{}: the last hunk is cut off", patch.display());
        }
        Ok(())
    }

    /// Numbers of old and new lines.
    fn hunk(header: &str) -> Option<(usize, usize)> {
        let count = |part: &str| part.split_once(',').map_or(Some(1), |(_, n)| n.parse().ok());
        let mut parts = header.split(' ');
        let old = count(parts.next()?.strip_prefix('-')?)?;
        Some((old, count(parts.next()?.strip_prefix('+')?)?))
    }

    /// The gates of the test programs are those of the series.
    #[test]
    fn gates_agree() -> Verdict {
        let gates = series()?
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>())
            .filter(|line| {
                ["+KML_CALL(", "+KML_EXIT(", "+KML_FAST("].iter().any(|s| line.starts_with(s))
            })
            .count();
        let header = fs::read_to_string(kpatch().join("tests/gates.h"))?;
        let used =
            header.lines().filter(|line| line.contains("GATE(") && line.contains("k_")).count();
        assert_eq!(gates, used);
        Ok(())
    }

    #[test]
    fn base_is_complete() -> Verdict {
        let base = base()?;
        for name in ["package", "version", "file", "sha256", "directory"] {
            assert!(!field(&base, name)?.is_empty());
        }
        assert_eq!(field(&base, "sha256")?.len(), 64);
        Ok(())
    }
}
