//! Not trusted. `cargo xtask kernel`: fetches Debian's source, applies `kpatch/`, builds.
//!
//! Everything lies in the user's cache directory, by the hash of what it is made from, so that a
//! fresh checkout finds what another has built. With ccache a change costs what it changes.

use crate::judge;
use crate::run::{root, step};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is built.
#[derive(Clone, Copy)]
pub(crate) struct Flavor {
    pub(crate) name: &'static str,
    /// The target that makes the configuration over which the fragments are merged.
    pub(crate) base: &'static str,
    /// Files in `kpatch/configs`.
    pub(crate) fragments: &'static [&'static str],
    /// With the series, or Debian's source as it is.
    pub(crate) patched: bool,
}

/// Serial line and initramfs: the smallest that runs the tests.
pub(crate) const NANO: Flavor = Flavor {
    name: "nano",
    base: "tinyconfig",
    fragments: &["nano.config", "kml.config", "unverified.config", "judge.config"],
    patched: true,
};

/// Debian's source with the configuration of [`NANO`].
pub(crate) const NANO_BASE: Flavor =
    Flavor { name: "nano-base", fragments: &["nano.config"], patched: false, ..NANO };

/// With swap, control groups, huge pages, perf, FUSE: what the long tests need.
pub(crate) const STRESS: Flavor = Flavor {
    name: "stress",
    fragments: &["nano.config", "kml.config", "unverified.config", "judge.config", "stress.config"],
    ..NANO
};

/// That with the kernel's own checks: lockdep, KASAN, DEBUG_ENTRY, ...
pub(crate) const DEBUG: Flavor = Flavor {
    name: "debug",
    fragments: &[
        "nano.config",
        "kml.config",
        "unverified.config",
        "judge.config",
        "stress.config",
        "debug.config",
    ],
    ..NANO
};

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

/// Compiled files of a build: for the progress only.
const STEPS: &str = "the small kernel has 800, with what the long tests need it has 1050";

/// Builds the kernel unless that has been done, and returns its image.
pub(crate) fn build(flavor: Flavor) -> Result<PathBuf> {
    Ok(objects(flavor)?.join("arch/x86/boot/bzImage"))
}

/// The same; where the objects are.
pub(crate) fn objects(flavor: Flavor) -> Result<PathBuf> {
    needed()?;
    let tree = tree(flavor.patched)?;
    let name = format!("{}-{}", flavor.name, short(&key(flavor)?));
    let objects = top(flavor.patched)?.join(name);
    let _lock = lock(&objects)?;
    // What was built of which judge. Another judge is built into the same objects: make sees what
    // has changed.
    let made_of = if flavor.patched { judge::sources()?.key } else { String::new() };
    let done = objects.join("done");
    if fs::read_to_string(&done).is_ok_and(|key| key == made_of) {
        return Ok(objects);
    }
    if !done.exists() {
        configure(&tree.path, &objects, flavor)?;
    }
    compile(&tree.path, &objects, "bzImage")?;
    fs::write(done, made_of)?;
    Ok(objects)
}

/// Fails with the packages to install.
fn needed() -> Result<()> {
    let tools = TOOLS.iter().filter(|tool| !on_path(tool.0));
    let headers = HEADERS.iter().filter(|header| !Path::new(header.0).exists());
    let packages: Vec<_> = tools.chain(headers).map(|(_, package)| *package).collect();
    ensure!(packages.is_empty(), "install, as root: apt-get install {}", packages.join(" "));
    Ok(())
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// Where things are built: a directory that outlives the checkout.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let cache = base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("tal/kernel");
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    Ok(cache)
}

/// One at a time makes this file or directory; held until it is dropped.
pub(crate) fn lock(what: &Path) -> Result<File> {
    let mut name = what.as_os_str().to_os_string();
    name.push(".lock");
    let file = File::create(&name).with_context(|| format!("cannot make {}", name.display()))?;
    if file.try_lock().is_err() {
        step(&format!("waiting for who makes {}", what.display()));
        file.lock()?;
    }
    Ok(file)
}

pub(crate) fn kpatch() -> PathBuf {
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

/// The directory for source and objects; in it both have the same relative path whatever the
/// series is, so that ccache recognizes what has not changed. And paths of the same length: some
/// are strings in the objects.
fn top(patched: bool) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(fs::read(kpatch().join("base"))?);
    if !patched {
        return Ok(cache()?.join(format!("origin-{}", short(&hex(&hash.finalize())))));
    }
    for patch in series()? {
        hash.update(fs::read(patch)?);
    }
    Ok(cache()?.join(format!("source-{}", short(&hex(&hash.finalize())))))
}

/// Hash of what goes into a build beside the source.
fn key(flavor: Flavor) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(flavor.base);
    for fragment in flavor.fragments {
        hash.update(fs::read(kpatch().join("configs").join(fragment))?);
    }
    let gcc = Command::new("gcc").arg("-dumpfullversion").output().context("cannot start gcc")?;
    hash.update(gcc.stdout);
    Ok(hex(&hash.finalize()))
}

fn short(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
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

/// The source, complete: with the series or without.
pub(crate) fn tree(patched: bool) -> Result<Tree> {
    let top = top(patched)?;
    let _lock = lock(&top)?;
    Tree::complete(&top, patched)
}

/// A source tree.
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
}

impl Tree {
    /// Debian's source, unpacked below `top`, which is emptied.
    pub(crate) fn unpack(top: &Path) -> Result<Tree> {
        let base = base()?;
        if top.exists() {
            fs::remove_dir_all(top)?;
        }
        fs::create_dir_all(top)?;
        let archive = archive(&base)?;
        step(&format!("unpacking {}", archive.display()));
        execute(Command::new("tar").arg("xf").arg(&archive).current_dir(top))?;
        Ok(Tree { path: top.join(field(&base, "directory")?) })
    }

    pub(crate) fn apply(&self, patch: &Path) -> Result<()> {
        step(&format!("applying {}", name_of(patch)));
        let mut command = Command::new("patch");
        command.args(["-p1", "-s", "--no-backup-if-mismatch", "-F0"]).current_dir(&self.path);
        execute(command.stdin(File::open(patch)?))
    }

    /// The tree below `top`, made unless it is there.
    fn complete(top: &Path, patched: bool) -> Result<Tree> {
        if top.join("done").exists() {
            return Ok(Tree { path: top.join(field(&base()?, "directory")?) });
        }
        let tree = Tree::unpack(top)?;
        if patched {
            for patch in series()? {
                tree.apply(&patch)?;
            }
        }
        fs::write(top.join("done"), "")?;
        Ok(tree)
    }
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Debian's archive of the source: installed, or fetched from its package.
fn archive(base: &BTreeMap<String, String>) -> Result<PathBuf> {
    let (file, sum) = (field(base, "file")?, field(base, "sha256")?);
    let installed = Path::new("/usr/src").join(&file);
    let fetched = cache()?.join("package/usr/src").join(&file);
    for path in [&installed, &fetched] {
        if path.exists() && digest(path)? == sum {
            return Ok(path.clone());
        }
    }
    fetch(base)?;
    ensure!(digest(&fetched)? == sum, "{file} is not the one of kpatch/base");
    Ok(fetched)
}

/// Downloads Debian's package and unpacks it into the cache.
fn fetch(base: &BTreeMap<String, String>) -> Result<()> {
    let package = format!("{}={}", field(base, "package")?, field(base, "version")?);
    step(&format!("apt-get download {package}"));
    let directory = cache()?.join("package");
    fs::create_dir_all(&directory)?;
    execute(Command::new("apt-get").args(["download", &package]).current_dir(&directory))
        .with_context(|| format!("{package} cannot be had; as root: apt-get update"))?;
    let deb = fs::read_dir(&directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    execute(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&directory))?;
    fs::remove_file(deb)?;
    Ok(())
}

/// Runs it and fails when it fails.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

pub(crate) fn make(source: &Path, objects: &Path) -> Result<Command> {
    let mut command = Command::new("make");
    command.current_dir(source).arg(format!("O={}", objects.display()));
    // What cargo says about its own jobs is not for make, nor is its compiler.
    for variable in ["MAKEFLAGS", "MFLAGS", "RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
        command.env_remove(variable);
    }
    command.arg(format!("JUDGE_SRC={}", judge::sources()?.path.display()));
    command.arg(format!("RUSTC={}", judge::compiler()?));
    if on_path("ccache") {
        command.arg("CC=ccache gcc");
        command.env("CCACHE_BASEDIR", cache()?).env("CCACHE_NOHASHDIR", "1");
        command.env("CCACHE_DIR", cache()?.with_file_name("ccache"));
    }
    Ok(command)
}

/// The fragments over the base, every line of which must be in the result.
pub(crate) fn configure(source: &Path, objects: &Path, flavor: Flavor) -> Result<()> {
    fs::create_dir_all(objects)?;
    step(&format!("configuring {}", objects.display()));
    execute(make(source, objects)?.args(["-s", flavor.base]))?;
    let mut merge = Command::new("scripts/kconfig/merge_config.sh");
    merge.args(["-m", "-O"]).arg(objects).arg(objects.join(".config")).current_dir(source);
    for fragment in flavor.fragments {
        merge.arg(kpatch().join("configs").join(fragment));
    }
    execute(merge.stdout(Stdio::null()))?;
    execute(make(source, objects)?.args(["-s", "olddefconfig"]))?;

    let config = fs::read_to_string(objects.join(".config"))?;
    for fragment in flavor.fragments {
        let text = fs::read_to_string(kpatch().join("configs").join(fragment))?;
        for line in text.lines().filter(|line| line.starts_with("CONFIG_")) {
            let found = config.lines().any(|have| have == line);
            ensure!(found, "{fragment}: the configuration lost {line}");
        }
    }
    Ok(())
}

/// make, with a line of progress now and then; the end of the log when it fails.
pub(crate) fn compile(source: &Path, objects: &Path, target: &str) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let path = objects.join("log");
    step(&format!("make {target} with {jobs} jobs, log in {}", path.display()));
    let mut log = File::create(&path)?;
    let mut child = make(source, objects)?
        .args([&format!("-j{jobs}"), target])
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
                eprintln!("    {compiled} files ({STEPS})");
            }
        }
    }
    let text = fs::read_to_string(&path)?;
    if !child.wait()?.success() {
        let lines: Vec<_> = text.lines().collect();
        // Other jobs go on for a while after the error.
        let fault = |line: &&str| line.contains("error: ") || line.contains("***");
        let fault = lines.iter().position(fault).unwrap_or(lines.len().saturating_sub(35));
        let shown = lines.iter().skip(fault.saturating_sub(5)).take(40);
        let shown: Vec<_> = shown.copied().collect();
        bail!("{target} does not build:\n{}", shown.join("\n"));
    }
    // A warning of compiler or objtool in the series is a mistake in the series.
    let warning = text.lines().find(|line| line.contains("warning: "));
    ensure!(warning.is_none(), "{}", warning.unwrap_or_default());
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
                ["CALL", "EXIT", "FAST", "VALUE", "JUDGED"]
                    .iter()
                    .any(|kind| line.starts_with(&format!("+KML_{kind}(")))
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
