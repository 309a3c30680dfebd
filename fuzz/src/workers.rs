//! Not trusted: a test. Spreads the trials over processes: one that dies or hangs is itself a
//! fault that is told, by the case that it was at, and another goes on.
#![allow(unsafe_code, reason = "processes and the memory that they share")]

use crate::corpus::Corpus;
use crate::run::End;
use crate::subject::Subject;
use crate::trial::{Case, Fault, Kind, Outcome, Trials};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A kind has the processor for so long before the next one has it.
const SLICE: Duration = Duration::from_millis(200);
/// Faults of a kind that are kept; all are counted.
const KEPT: u64 = 10;
const KINDS: usize = Kind::ALL.len();

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of all trials.
    pub seed: u64,
    /// Which kinds.
    pub kinds: Vec<Kind>,
    /// For how long.
    pub time: Duration,
    /// In so many processes.
    pub jobs: u64,
    /// A trial without an end after so long is a fault.
    pub hang: Duration,
    /// Where faults are written.
    pub directory: PathBuf,
}

/// Counts of a kind.
#[derive(Default, Debug)]
pub struct Counts {
    /// The number of the next trial of this process.
    next: AtomicU64,
    tried: AtomicU64,
    accepted: AtomicU64,
    /// By [`End`].
    ends: [AtomicU64; 5],
    faults: AtomicU64,
    slowest: AtomicU64,
    slowest_case: AtomicU64,
    peak: AtomicU64,
    share: AtomicU64,
}

/// What a process tells.
#[derive(Default, Debug)]
struct Slot {
    /// The trial that it is at: kind and number.
    kind: AtomicU64,
    number: AtomicU64,
    /// Counts the trials.
    beat: AtomicU64,
    unconfined: AtomicBool,
    counts: [Counts; KINDS],
}

/// Counts of a kind over all processes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    /// Trials.
    pub tried: u64,
    /// Accepted ones among them.
    pub accepted: u64,
    /// By [`End`].
    pub ends: [u64; 5],
    /// Trials in which something did not hold.
    pub faults: u64,
    /// Nanoseconds, and the number of that trial.
    pub slowest: (u64, u64),
    /// Bytes.
    pub peak: u64,
    /// Thousandths of the bound.
    pub share: u64,
}

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Report {
    /// By kind.
    pub sums: Vec<(Kind, Sum)>,
    /// Files that were written.
    pub files: Vec<PathBuf>,
    /// Was what ran kept from the files of this machine?
    pub confined: bool,
}

/// How to make a case again.
#[must_use]
pub fn command(case: Case) -> String {
    let Case { kind, seed, number } = case;
    format!("cargo xtask fuzz --seed {seed} --only {} --case {number}", kind.name())
}

/// Slots in memory that processes share.
fn shared(jobs: usize) -> &'static [Slot] {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let size = jobs * size_of::<Slot>();
    // SAFETY: a fresh mapping of zeroes, which is a value of atomics; it is never unmapped.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), size, rights, flags, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        std::slice::from_raw_parts(at.cast::<Slot>(), jobs)
    }
}

/// A directory that stays reachable when the process sees no other.
struct Faults(std::fs::File);

impl Faults {
    fn new(path: &Path) -> Faults {
        std::fs::create_dir_all(path).unwrap();
        Faults(std::fs::File::open(path).unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        use std::io::Write as _;
        use std::os::fd::{AsRawFd, FromRawFd};
        let name = std::ffi::CString::new(name).unwrap();
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        // SAFETY: a path below a directory of ours; the descriptor is ours.
        let mut file = unsafe {
            let fd = libc::openat(self.0.as_raw_fd(), name.as_ptr(), flags, 0o644);
            assert!(fd >= 0, "a fault cannot be written");
            std::fs::File::from_raw_fd(fd)
        };
        file.write_all(bytes).unwrap();
    }

    /// The input and what is known of it.
    fn keep(&self, case: Case, words: &str, input: &[u8]) {
        let name = name(case);
        let text = format!("{words}\n{}\n", command(case));
        self.write(&format!("{name}.txt"), text.as_bytes());
        self.write(&name, input);
    }
}

fn name(case: Case) -> String {
    format!("{}-{}-{}", case.kind.name(), case.seed, case.number)
}

fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child does its work and ends without going back.
    unsafe {
        let process = libc::fork();
        assert!(process >= 0, "no child process");
        if process == 0 {
            child();
            libc::_exit(0);
        }
        process
    }
}

/// All trials of a plan.
#[derive(Debug)]
struct Work<'a, S> {
    plan: &'a Plan,
    subject: &'a S,
    corpus: &'a Corpus,
    end: Instant,
}

impl<S: Subject> Work<'_, S> {
    /// A process that makes every `jobs`-th trial.
    fn start(&self, slot: &Slot) -> libc::pid_t {
        fork(|| {
            let faults = Faults::new(&self.plan.directory);
            let mut trials = Trials::new(self.subject, self.corpus);
            if self.plan.kinds.contains(&Kind::Run) {
                trials.runner.confine();
                slot.unconfined.store(!trials.runner.confined, Relaxed);
            }
            // After a loss the next kind has its turn.
            let kinds = &self.plan.kinds;
            let last = slot.kind.load(Relaxed);
            let lost = kinds.iter().position(|kind| *kind as u64 == last);
            let mut first = lost.filter(|_| slot.beat.load(Relaxed) > 0).map_or(0, |i| i + 1);
            while Instant::now() < self.end {
                for kind in kinds.iter().skip(std::mem::take(&mut first)) {
                    let until = self.end.min(Instant::now() + SLICE);
                    while Instant::now() < until {
                        self.step(&trials, slot, *kind, &faults);
                    }
                }
            }
        })
    }

    fn step(&self, trials: &Trials<'_, S>, slot: &Slot, kind: Kind, faults: &Faults) {
        let counts = &slot.counts[kind as usize];
        let number = counts.next.fetch_add(self.plan.jobs, Relaxed);
        slot.kind.store(kind as u64, Relaxed);
        slot.number.store(number, Relaxed);
        slot.beat.fetch_add(1, Relaxed);
        let case = Case { kind, seed: self.plan.seed, number };
        counts.tried.fetch_add(1, Relaxed);
        match trials.one(case) {
            Ok(outcome) => counts.add(number, &outcome),
            Err(fault) => {
                if counts.faults.fetch_add(1, Relaxed) < KEPT {
                    let Fault { words, input } = *fault;
                    faults.keep(case, &words, &input.bytes());
                }
            }
        }
    }

    /// The process at this slot died or hung.
    fn lost(&self, slot: &Slot, words: &str) {
        let kind = Kind::ALL[slot.kind.load(Relaxed) as usize];
        let case = Case { kind, seed: self.plan.seed, number: slot.number.load(Relaxed) };
        slot.counts[kind as usize].faults.fetch_add(1, Relaxed);
        let faults = Faults::new(&self.plan.directory);
        faults.keep(case, words, &[]);
        // Another process makes the input again, for that may be what dies or hangs.
        let process = fork(|| {
            // SAFETY: of a process of ours.
            unsafe { libc::alarm(60) };
            if let Some(input) = Trials::new(self.subject, self.corpus).again(case) {
                faults.keep(case, words, &input.bytes());
            }
        });
        // SAFETY: our own child.
        unsafe { libc::waitpid(process, std::ptr::null_mut(), 0) };
    }
}

impl Counts {
    fn add(&self, number: u64, outcome: &Outcome) {
        self.accepted.fetch_add(outcome.accepted.into(), Relaxed);
        if let Some(end) = outcome.end {
            self.ends[end as usize].fetch_add(1, Relaxed);
        }
        let time = u64::try_from(outcome.time.as_nanos()).unwrap_or(u64::MAX);
        if self.slowest.fetch_max(time, Relaxed) < time {
            self.slowest_case.store(number, Relaxed);
        }
        self.peak.fetch_max(outcome.peak as u64, Relaxed);
        self.share.fetch_max(outcome.share as u64, Relaxed);
    }
}

/// A process and what it was last seen at.
struct Watched {
    process: Option<libc::pid_t>,
    beat: u64,
    since: Instant,
}

/// Carries out the plan.
pub fn carry_out<S: Subject>(plan: &Plan, subject: &S, corpus: &Corpus) -> Report {
    let slots = shared(usize::try_from(plan.jobs).unwrap());
    let start = Instant::now();
    let work = Work { plan, subject, corpus, end: start + plan.time };
    for (first, slot) in (0..).zip(slots) {
        slot.counts.iter().for_each(|c| c.next.store(first, Relaxed));
    }
    let watch = |slot| Watched { process: Some(work.start(slot)), beat: 0, since: start };
    let mut watched: Vec<Watched> = slots.iter().map(watch).collect();
    while watched.iter().any(|w| w.process.is_some()) {
        for (slot, watched) in slots.iter().zip(&mut watched) {
            look(&work, slot, watched);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    report(plan, slots)
}

/// Is the process at work? If not, another takes its place as long as there is time.
fn look<S: Subject>(work: &Work<'_, S>, slot: &Slot, watched: &mut Watched) {
    let Some(process) = watched.process else { return };
    let beat = slot.beat.load(Relaxed);
    if beat != watched.beat {
        (watched.beat, watched.since) = (beat, Instant::now());
    }
    let hangs = watched.since.elapsed() > work.plan.hang;
    let mut status = 0;
    // SAFETY: our own child.
    let done = unsafe {
        if hangs {
            libc::kill(process, libc::SIGKILL);
            libc::waitpid(process, &raw mut status, 0);
        }
        hangs || libc::waitpid(process, &raw mut status, libc::WNOHANG) == process
    };
    if !done {
        return;
    }
    if hangs {
        work.lost(slot, &format!("no end after {:?}", work.plan.hang));
    } else if libc::WIFSIGNALED(status) {
        work.lost(slot, &format!("the process died of signal {}", libc::WTERMSIG(status)));
    } else if libc::WEXITSTATUS(status) != 0 {
        work.lost(slot, &format!("the process ended with {}", libc::WEXITSTATUS(status)));
    } else {
        watched.process = None;
        return;
    }
    watched.process = (Instant::now() < work.end).then(|| work.start(slot));
    watched.since = Instant::now();
}

fn report(plan: &Plan, slots: &[Slot]) -> Report {
    let sum = |kind: Kind| {
        let mut sum = Sum::default();
        for counts in slots.iter().map(|slot| &slot.counts[kind as usize]) {
            sum.tried += counts.tried.load(Relaxed);
            sum.accepted += counts.accepted.load(Relaxed);
            sum.faults += counts.faults.load(Relaxed);
            let slowest = (counts.slowest.load(Relaxed), counts.slowest_case.load(Relaxed));
            sum.slowest = sum.slowest.max(slowest);
            sum.peak = sum.peak.max(counts.peak.load(Relaxed));
            sum.share = sum.share.max(counts.share.load(Relaxed));
            for (all, one) in sum.ends.iter_mut().zip(&counts.ends) {
                *all += one.load(Relaxed);
            }
        }
        (kind, sum)
    };
    let sums: Vec<(Kind, Sum)> = plan.kinds.iter().map(|kind| sum(*kind)).collect();
    let mut files: Vec<PathBuf> = Vec::new();
    if sums.iter().any(|(_, sum)| sum.faults > 0) {
        let all = std::fs::read_dir(&plan.directory).unwrap().map(|e| e.unwrap().path());
        let seed = format!("-{}-", plan.seed);
        let ours = |p: &PathBuf| p.extension().is_none() && p.to_string_lossy().contains(&seed);
        files.extend(all.filter(ours));
        files.sort();
    }
    let confined = !slots.iter().any(|slot| slot.unconfined.load(Relaxed));
    Report { sums, files, confined }
}

impl Report {
    /// How many faults there are.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.sums.iter().map(|(_, sum)| sum.faults).sum()
    }

    /// The table, and what was found.
    #[must_use]
    pub fn text(&self, seed: u64) -> String {
        let mut text = String::from(
            "kind          trials   accepted  faults   slowest (trial)         \
             memory, of its bound\n",
        );
        for (kind, sum) in &self.sums {
            let judged = !matches!(kind, Kind::Decode | Kind::Encode | Kind::Run);
            let Sum { tried, accepted, faults, slowest: (time, trial), .. } = sum;
            let _ = write!(text, "{:8} {tried:>11} {accepted:>10} {faults:>7}", kind.name());
            if judged {
                let time = *time as f64 / 1e9;
                let share = sum.share as f64 / 10.0;
                let memory = format!("{} KiB, {share:.1} %", sum.peak >> 10);
                let _ = write!(text, "   {time:.3} s ({trial}){:>1$}", "", 0);
                let _ = write!(text, "   {memory}");
            }
            text.push('\n');
            if *kind == Kind::Run {
                let of = |end: End| sum.ends[end as usize];
                let _ = writeln!(
                    text,
                    "         of these: {} ended by themselves, {} by a division, {} in a guard \
                     of their stack, {} by a closed pipe, {} by the watchdog",
                    of(End::Exited),
                    of(End::Division),
                    of(End::StackGuard),
                    of(End::Pipe),
                    of(End::Watchdog)
                );
            }
        }
        if !self.confined {
            text.push_str("what ran was not confined: this system allows no user namespace\n");
        }
        for file in &self.files {
            let _ = writeln!(text, "fault: {}", file.display());
            let words = std::fs::read_to_string(file.with_extension("txt"));
            words.unwrap_or_default().lines().for_each(|line| {
                let _ = writeln!(text, "    {line}");
            });
        }
        let _ = writeln!(text, "seed {seed}: {} faults", self.faults());
        text
    }
}

/// A trial in this process: `case` made again.
pub fn once<S: Subject>(case: Case, subject: &S, corpus: &Corpus) -> Result<Outcome, Box<Fault>> {
    let mut trials = Trials::new(subject, corpus);
    if case.kind == Kind::Run {
        trials.runner.confine();
    }
    trials.one(case)
}
