//! Every byte of the text and of the annotations of a program, changed: the loader refuses, or the
//! program is still safe, which is tried by running it. Nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use loader::{Image, Verified, interface, map, verify};
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tal_core::image::Interface;

/// How much is tried: a sample that fits into every test run, or all (`cargo xtask mutate`).
struct Effort {
    /// Bytes of each program, spread over all of it.
    places: usize,
    /// Changes of each byte.
    changes: &'static [u8],
    /// Accepted changes that are run; the rest are counted.
    runs: usize,
}

const SAMPLE: Effort = Effort { places: 250, changes: &[0x01, 0x80, 0xFF], runs: 60 };
const ALL: Effort = Effort {
    places: usize::MAX,
    changes: &[0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF],
    runs: usize::MAX,
};

fn effort() -> Effort {
    if std::env::var_os("TAL_MUTATE").is_some_and(|v| v == "all") { ALL } else { SAMPLE }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The programs among the examples and the drivers of the libraries.
fn programs() -> Vec<PathBuf> {
    let files = [examples(), examples().join("tests")];
    let entries = files.iter().flat_map(|d| fs::read_dir(d).unwrap());
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| {
        p.extension().is_some_and(|e| e == "tal")
            && fs::read_to_string(p).unwrap().contains("entry fn start")
    });
    paths.sort();
    paths
}

/// Assembled, if the checker accepts the example: that it does is another test's business.
fn assembled(source: &Path) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-asm"));
    let done = command.arg(source).arg("-o").arg(&output).output().unwrap();
    done.status.success().then(|| fs::read(output).unwrap())
}

/// Where these bytes stand in the file.
fn place(file: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - file.as_ptr() as usize;
    start..start + part.len()
}

/// Does the process wait? A server waits for ever: nobody calls. It is not waited for.
fn sleeps(process: libc::pid_t) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

struct Counts {
    refused: usize,
    accepted: usize,
    ran: usize,
}

/// Runs an accepted program in a child with little time and memory. It may do anything that typed
/// programs may, an endless loop and a division by zero among them, but not touch what is not its
/// own.
#[allow(unsafe_code, reason = "a child process is the watchdog's")]
fn run(program: &Verified<'_>) {
    // SAFETY: the child runs `map::run` and ends; its parent only waits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: system calls on the child itself.
        unsafe {
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            (0..3).for_each(|fd| {
                libc::dup2(nothing, fd);
            });
            let limit = libc::rlimit { rlim_cur: 1 << 32, rlim_max: 1 << 32 };
            libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
            let _ = map::run(program, &["mutant".into()], &[]);
            libc::_exit(0);
        }
    }
    let start = Instant::now();
    let (mut status, mut asleep) = (0, 0);
    // SAFETY: our own child.
    unsafe {
        while libc::waitpid(child, &raw mut status, libc::WNOHANG) == 0 {
            asleep = if sleeps(child) { asleep + 1 } else { 0 };
            if asleep > 50 || start.elapsed() > Duration::from_millis(500) {
                libc::kill(child, libc::SIGKILL);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let allowed = [libc::SIGKILL, libc::SIGFPE];
        assert!(allowed.contains(&signal), "an accepted mutant died of signal {signal}");
    }
}

fn mutate(name: &str, good: &[u8], interface: &Interface, effort: &Effort) -> Counts {
    let image = Image::parse(good).unwrap();
    let places = place(good, image.text()).chain(place(good, image.annotations()));
    let mut counts = Counts { refused: 0, accepted: 0, ran: 0 };
    let bytes = image.text().len() + image.annotations().len();
    for at in places.step_by((bytes / effort.places).max(1)) {
        for change in effort.changes {
            let mut file = good.to_vec();
            file[at] ^= change;
            let verdict = catch_unwind(|| match verify(&file, interface) {
                Err(_) => (1, 0, 0),
                Ok(program) if counts.ran < effort.runs => {
                    run(&program);
                    (0, 1, 1)
                }
                Ok(_) => (0, 1, 0),
            });
            let (refused, accepted, ran) =
                verdict.unwrap_or_else(|_| panic!("{name}: byte {at:#x} ^ {change:#x}"));
            counts.refused += refused;
            counts.accepted += accepted;
            counts.ran += ran;
        }
    }
    counts
}

#[test]
fn changed_bytes_are_refused_or_harmless() {
    let interface = interface::embedded().unwrap();
    let effort = effort();
    let mut tried = 0;
    for source in programs() {
        let name = source.strip_prefix(examples()).unwrap().display().to_string();
        let Some(good) = assembled(&source) else {
            println!("{name}: not assembled");
            continue;
        };
        let Counts { refused, accepted, ran } = mutate(&name, &good, &interface, &effort);
        println!("{name}: {refused} refused, {accepted} accepted, {ran} of these run");
        assert!(refused > accepted, "{name}: most changes should be refused");
        tried += 1;
    }
    assert!(tried > 0);
}
