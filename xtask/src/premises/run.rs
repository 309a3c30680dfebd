//! Not trusted. Runs the tests without a premise.
//!
//! Everything is built once, with the feature that makes premises deletable. A first run with all
//! premises in their places writes down which test asks for which premise: that is, in which test
//! it does not hold. A deletion makes a difference nowhere else, so a premise that no test asks for
//! survives, and for any other exactly the tests that ask are run, the ones with the fewest
//! questions first, until one fails. Nothing is kept from one run of this command to the next.

use super::scan::Premise;
use crate::run::{cargo, command, root, step};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The feature of `tal-core`.
pub(super) const FEATURE: &str = "deletable-premises";
const WITH: &str = "tal-core/deletable-premises";
/// Tests of `tal-core` that are not run: the processor's own answers.
const NOT: &[&str] = &["cpu_oracle"];
/// Tests of the verifying half of the loader, which need programs: those of `tal-asm`.
const OF_THE_LOADER: &[&str] = &["hostile", "segments"];
/// A test that goes on for so long without a premise has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many tests at first.
const FIRST: usize = 8;

/// A test: the binary that has it, and its name there.
type Test = (usize, String);

/// A built file of tests, and where it is run: in its package, as under `cargo test`.
struct Binary {
    file: PathBuf,
    package: PathBuf,
}

/// The built tests and what they ask.
pub(super) struct Runner {
    binaries: Vec<Binary>,
    /// The tests that ask for the premise at this place, in the order in which they are run.
    asking: BTreeMap<String, Vec<Test>>,
}

/// What came of a deletion.
pub(super) struct Verdict {
    pub(super) deleted: Vec<Premise>,
    /// The tests one of which failed.
    pub(super) killer: Option<String>,
}

impl Runner {
    /// Builds the tests and runs them once.
    pub(super) fn build() -> Result<Runner> {
        step("the tests, with premises that can be deleted");
        let binaries = build()?;
        step("what each test asks for");
        let mut questions: BTreeMap<Test, BTreeSet<String>> = BTreeMap::new();
        for (number, binary) in binaries.iter().enumerate() {
            let trace = tempfile::NamedTempFile::new()?;
            let mut test = Command::new(&binary.file);
            test.env("TAL_PREMISES_TRACE", trace.path()).arg("--test-threads=4");
            let output = test.current_dir(&binary.package).output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                bail!("{} fails with every premise in its place:\n{said}", binary.file.display());
            }
            for line in fs::read_to_string(trace.path())?.lines() {
                let Some((place, test)) = line.split_once('\t') else { continue };
                let asked = questions.entry((number, test.to_string())).or_default();
                asked.insert(place.to_string());
            }
        }
        let mut asking: BTreeMap<String, Vec<(usize, Test)>> = BTreeMap::new();
        for (test, places) in &questions {
            for place in places {
                asking.entry(place.clone()).or_default().push((places.len(), test.clone()));
            }
        }
        let sorted = |(place, mut tests): (String, Vec<(usize, Test)>)| {
            tests.sort();
            (place, tests.into_iter().map(|(_, test)| test).collect())
        };
        Ok(Runner { binaries, asking: asking.into_iter().map(sorted).collect() })
    }

    /// Deletes each set of premises, on all processors.
    pub(super) fn delete(&self, sets: &[Vec<Premise>]) -> Result<Vec<Verdict>> {
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(BTreeMap::new());
        let work = || -> Result<()> {
            while let Some(set) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let killer = self.killer(set)?;
                let place = set.first().map(Premise::place).unwrap_or_default();
                let verdict = Verdict { deleted: set.clone(), killer };
                let mut verdicts =
                    verdicts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                verdicts.insert(place, verdict);
            }
            Ok(())
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let died = || anyhow::anyhow!("a worker died");
            handles.into_iter().map(|h| h.join().unwrap_or_else(|_| Err(died()))).collect()
        });
        results.into_iter().collect::<Result<()>>()?;
        let verdicts = verdicts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(verdicts.into_values().collect())
    }

    /// The tests that fail without these.
    fn killer(&self, set: &[Premise]) -> Result<Option<String>> {
        let places: Vec<String> = set.iter().map(Premise::place).collect();
        let mut tests: Vec<Test> = Vec::new();
        for test in places.iter().filter_map(|p| self.asking.get(p)).flatten() {
            if !tests.contains(test) {
                tests.push(test.clone());
            }
        }
        let (first, rest) = tests.split_at(tests.len().min(FIRST));
        for part in [first, rest] {
            for (number, binary) in self.binaries.iter().enumerate() {
                let of_this = part.iter().filter(|(n, _)| *n == number);
                let names: Vec<&str> = of_this.map(|(_, name)| name.as_str()).collect();
                if !names.is_empty() && self.fails(binary, &names, &places.join(","))? {
                    return Ok(Some(names.join(", ")));
                }
            }
        }
        Ok(None)
    }

    /// Does one of these tests fail without the premises?
    fn fails(&self, binary: &Binary, names: &[&str], deleted: &str) -> Result<bool> {
        let mut test = Command::new(&binary.file);
        test.env("TAL_PREMISES_DELETED", deleted).args(["--test-threads=2", "--exact"]);
        // A thread that a test started has no test's name: then all of them are run.
        if names.iter().all(|name| !name.is_empty() && *name != "main") {
            test.args(names);
        }
        let test = test.current_dir(&binary.package).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = test.spawn().with_context(|| format!("no {}", binary.file.display()))?;
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(!status.success());
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(true);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// The test binaries.
fn build() -> Result<Vec<Binary>> {
    let mut tests = Vec::new();
    for entry in fs::read_dir(root().join("tal-core/tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        tests.extend(name.strip_suffix(".rs").map(String::from));
    }
    tests.retain(|test| !NOT.contains(&test.as_str()));
    tests.sort();
    let of_the_judge = tests.iter().flat_map(|test| ["--test", test.as_str()]);
    let mut binaries =
        build_of(["--package", "tal-core", "--lib"].into_iter().chain(of_the_judge))?;
    let of_the_loader = OF_THE_LOADER.iter().flat_map(|test| ["--test", test]);
    // The judge is named for its feature; it has no tests of these names.
    let packages = ["--package", "tal-core", "--package", "tal-asm"];
    binaries.extend(build_of(packages.into_iter().chain(of_the_loader))?);
    Ok(binaries)
}

/// Those that cargo builds with these arguments.
fn build_of<'a>(chosen: impl Iterator<Item = &'a str>) -> Result<Vec<Binary>> {
    let mut arguments = vec!["test", "--no-run", "--message-format=json-render-diagnostics"];
    arguments.extend(["--features", WITH]);
    arguments.extend(chosen);
    let mut build = command(&cargo(), &arguments);
    let mut child = build.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("no output of cargo")?;
    let mut binaries = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message["reason"] == "compiler-artifact" && message["profile"]["test"] == true {
            let manifest = message["manifest_path"].as_str().context("no manifest")?;
            let package = Path::new(manifest).parent().context("no package")?;
            let file = message["executable"].as_str().map(PathBuf::from);
            let binary = |file| Binary { file, package: package.to_path_buf() };
            binaries.extend(file.map(binary));
        }
    }
    if !child.wait()?.success() || binaries.is_empty() {
        bail!("the tests do not build");
    }
    Ok(binaries)
}
