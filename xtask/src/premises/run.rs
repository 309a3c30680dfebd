//! Not trusted. Runs the tests without a premise.
//!
//! Everything is built once, with the feature that makes premises deletable. A first run with all
//! premises in their places writes down which test asks for which premise: that is, in which test it
//! does not hold. A deletion makes a difference nowhere else, so a premise that no test asks for
//! survives, and for any other exactly the tests that ask are run, the ones with the fewest
//! questions first, until one fails. Nothing is kept from one run of this command to the next.

use super::scan::Premise;
use crate::run::{cargo, command, step};
use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The feature of `tal-core`.
pub(super) const FEATURE: &str = "deletable-premises";
/// The packages whose tests are run.
const PACKAGES: &[&str] = &["tal-core", "loader"];
/// Tests that are not run: the processor's own answers, pages.
const NOT: &[&str] = &["cpu_oracle", "table_page", "tal_load"];
/// A test that goes on for so long without a premise has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many tests at first.
const FIRST: usize = 8;

/// A test: the binary that has it, and its name there.
type Test = (usize, String);

/// The built tests and what they ask.
pub(super) struct Runner {
    binaries: Vec<PathBuf>,
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
            let mut test = Command::new(binary);
            test.env("TAL_PREMISES_TRACE", trace.path()).arg("--test-threads=4");
            let output = in_package(&mut test, binary).output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                bail!("{} fails with every premise in its place:\n{said}", binary.display());
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
    fn fails(&self, binary: &PathBuf, names: &[&str], deleted: &str) -> Result<bool> {
        let mut test = Command::new(binary);
        test.env("TAL_PREMISES_DELETED", deleted).args(["--test-threads=2", "--exact"]);
        // A thread that a test started has no test's name: then all of them are run.
        if names.iter().all(|name| !name.is_empty() && *name != "main") {
            test.args(names);
        }
        let test = in_package(&mut test, binary).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = test.spawn().with_context(|| format!("no {}", binary.display()))?;
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

/// Tests find their files from the directory of their package, as under `cargo test`.
fn in_package<'c>(test: &'c mut Command, binary: &std::path::Path) -> &'c mut Command {
    let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let package =
        if name.starts_with("loader") || name.starts_with("cli") { "loader" } else { "tal-core" };
    test.current_dir(crate::run::root().join(package))
}

/// The test binaries.
fn build() -> Result<Vec<PathBuf>> {
    let mut arguments = vec!["test", "--no-run", "--message-format=json-render-diagnostics"];
    for package in PACKAGES {
        arguments.extend(["--package", package]);
    }
    let feature = format!("tal-core/{FEATURE}");
    arguments.extend(["--features", &feature]);
    let mut build = command(&cargo(), &arguments);
    let mut child = build.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("no output of cargo")?;
    let mut binaries = Vec::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        let Some(binary) = artifact.executable.filter(|_| artifact.profile.test) else { continue };
        if !NOT.iter().any(|not| binary.file_name().is_some_and(|name| name.starts_with(not))) {
            binaries.push(binary.into_std_path_buf());
        }
    }
    if !child.wait()?.success() || binaries.is_empty() {
        bail!("the tests do not build");
    }
    Ok(binaries)
}
