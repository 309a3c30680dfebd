//! Not trusted: a test. One trial: an input of a kind, made from a seed and a number, and what has
//! to hold of it.

use crate::bytes::Bytes;
use crate::corpus::{Corpus, Object};
use crate::run::{End, Runner};
use crate::subject::{Subject, Verdict};
use crate::{again, memory, mutate, second};
use fastrand::Rng;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tal_asm::elf::{Output, write};
use tal_asm::program::Program;
use tal_core::limits;

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Kind {
    /// Annotations changed, spliced from two programs, or changed as a claim and written again.
    Notes,
    /// Instructions changed, annotations as they were.
    Text,
    /// Instructions changed, and the checker finds the annotations anew.
    Found,
    /// Instructions and annotations changed.
    Both,
    /// Bytes of constants and variables changed.
    Data,
    /// Headers of the file changed.
    Elf,
    /// Bytes, our decoder against another.
    Decode,
    /// Bytes that are decoded, encoded again.
    Encode,
    /// Mutants that are accepted, run.
    Run,
}

impl Kind {
    /// In the order of their trials.
    pub const ALL: [Kind; 9] = [
        Kind::Notes,
        Kind::Text,
        Kind::Found,
        Kind::Both,
        Kind::Data,
        Kind::Elf,
        Kind::Decode,
        Kind::Encode,
        Kind::Run,
    ];

    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Notes => "notes",
            Kind::Text => "text",
            Kind::Found => "found",
            Kind::Both => "both",
            Kind::Data => "data",
            Kind::Elf => "elf",
            Kind::Decode => "decode",
            Kind::Encode => "encode",
            Kind::Run => "run",
        }
    }
}

/// Judging takes at most so much time of the processor: the slowest mutants known take a tenth.
const SLOW: Duration = Duration::from_secs(10);
/// Mutants that one trial of [`Kind::Run`] makes to find one that is accepted.
const CHOICES: usize = 24;

/// A trial by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// What is tried.
    pub kind: Kind,
    /// Of the whole run.
    pub seed: u64,
    /// Counted for each kind.
    pub number: u64,
}

impl Case {
    /// Its source of chance.
    #[must_use]
    pub fn rng(self) -> Rng {
        let mut first = Rng::with_seed(self.seed ^ (self.kind as u64) << 56);
        Rng::with_seed(first.u64(..) ^ self.number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// An input.
#[derive(Clone, Debug)]
pub enum Input {
    /// A program, to be judged.
    Program(Box<Program>),
    /// A file, to be verified.
    File(Vec<u8>),
    /// Bytes, to be decoded.
    Bytes(Vec<u8>),
}

impl Input {
    /// As bytes, to be kept.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Input::Program(program) => {
                write(program, Output::Executable).unwrap_or_else(|e| e.to_string().into_bytes())
            }
            Input::File(bytes) | Input::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// What came of a trial in which all held.
#[derive(Clone, Copy, Default, Debug)]
pub struct Outcome {
    /// Was it accepted?
    pub accepted: bool,
    /// If it ran, how that ended.
    pub end: Option<End>,
    /// Time of the processor for one verdict.
    pub time: Duration,
    /// Bytes allocated at a time.
    pub peak: usize,
    /// The same in thousandths of the bound.
    pub share: usize,
}

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Fault {
    /// In words.
    pub words: String,
    /// The input.
    pub input: Input,
}

/// What all trials need.
#[derive(Debug)]
pub struct Trials<'a, S> {
    /// What is tried.
    pub subject: &'a S,
    corpus: &'a Corpus,
    bytes: Bytes,
    /// Who runs what is accepted.
    pub runner: Runner,
    /// One verdict takes at most so much time of the processor.
    pub slow: Duration,
}

impl<'a, S: Subject> Trials<'a, S> {
    /// Of this subject, with mutants of these.
    pub fn new(subject: &'a S, corpus: &'a Corpus) -> Self {
        quiet();
        Trials { subject, corpus, bytes: Bytes::new(corpus), runner: Runner::new(), slow: SLOW }
    }

    /// Makes the input and looks at it.
    ///
    /// # Errors
    /// What did not hold.
    pub fn one(&self, case: Case) -> Result<Outcome, Box<Fault>> {
        let mut rng = case.rng();
        if case.kind == Kind::Run {
            return self.run(&mut rng);
        }
        let input = self.input(case.kind, &mut rng);
        self.look(case.kind, &input).map_err(|words| Box::new(Fault { words, input }))
    }

    /// The input of a case, made again; those of [`Kind::Run`] are several.
    #[must_use]
    pub fn again(&self, case: Case) -> Option<Input> {
        (case.kind != Kind::Run).then(|| self.input(case.kind, &mut case.rng()))
    }

    /// The input of a case other than of [`Kind::Run`], which makes several.
    fn input(&self, kind: Kind, rng: &mut Rng) -> Input {
        match kind {
            Kind::Decode | Kind::Encode => Input::Bytes(self.bytes.make(rng)),
            Kind::Elf => {
                let all: Vec<&Object> = self.corpus.executables().collect();
                let mut file = rng.choice(&all).and_then(|o| o.file.clone()).unwrap();
                mutate::headers(rng, &mut file);
                Input::File(file)
            }
            _ => {
                let object = mutate::choose(rng, self.corpus);
                Input::Program(Box::new(self.mutant(kind, rng, object)))
            }
        }
    }

    fn mutant(&self, kind: Kind, rng: &mut Rng, object: &Object) -> Program {
        let mut program = object.program.clone();
        let other = rng.choice(&self.corpus.objects).unwrap();
        let written = |rng: &mut Rng, program: &mut Program| match rng.u8(0..4) {
            0 => mutate::claim(rng, program, object, other),
            _ => mutate::notes(rng, program, &other.program),
        };
        match kind {
            Kind::Notes => written(rng, &mut program),
            Kind::Both => {
                mutate::text(rng, &mut program, object, self.corpus);
                written(rng, &mut program);
            }
            Kind::Found => {
                mutate::text(rng, &mut program, object, self.corpus);
                mutate::claim(rng, &mut program, object, object);
            }
            Kind::Data => {
                if !mutate::data(rng, &mut program) {
                    mutate::text(rng, &mut program, object, self.corpus);
                }
            }
            _ => mutate::text(rng, &mut program, object, self.corpus),
        }
        program
    }

    /// What has to hold of the input: it holds, or what does not.
    fn look(&self, kind: Kind, input: &Input) -> Result<Outcome, String> {
        match input {
            Input::Bytes(bytes) => {
                let Some(ours) = guarded(|| self.subject.decode(bytes))? else {
                    return Ok(Outcome::default());
                };
                guarded(|| match kind {
                    Kind::Decode => second::compare(bytes, &ours).map(drop),
                    _ => again::compare(bytes, &ours),
                })??;
                Ok(Outcome { accepted: true, ..Outcome::default() })
            }
            Input::File(file) => {
                let bound = limits::memory(file.len(), 0);
                let verdict = || self.subject.verify(file).map(|v| promises(&v));
                self.measured(bound, || verdict().and_then(|kept| kept.map_err(fault)))
            }
            Input::Program(program) => {
                let bound = limits::memory(program.text.len(), program.annotations.len());
                self.measured(bound, || self.subject.judge(program))
            }
        }
    }

    /// Mutants until one is accepted whose bytes are others; that one is run.
    fn run(&self, rng: &mut Rng) -> Result<Outcome, Box<Fault>> {
        let all: Vec<&Object> = self.corpus.executables().collect();
        for _ in 0..CHOICES {
            let object = *rng.choice(&all).unwrap();
            let kinds = [Kind::Text, Kind::Found, Kind::Found, Kind::Both, Kind::Data];
            let kind = kinds[rng.usize(0..kinds.len())];
            let program = self.mutant(kind, rng, object);
            let was = &object.program;
            if (&program.text, &program.data, &program.rodata)
                == (&was.text, &was.data, &was.rodata)
            {
                continue;
            }
            let Ok(file) = write(&program, Output::Executable) else { continue };
            let verdict = guarded(|| match self.subject.verify(&file) {
                Ok(verified) => self.runner.run(&verified, rng.bool()).map(Some),
                Err(_) => Ok(None),
            });
            match verdict.and_then(|end| end) {
                Ok(None) => {}
                Ok(end) => return Ok(Outcome { accepted: true, end, ..Outcome::default() }),
                Err(words) => {
                    let words = format!("{} of {}: {words}", kind.name(), object.name);
                    return Err(Box::new(Fault { words, input: Input::File(file) }));
                }
            }
        }
        Ok(Outcome::default())
    }

    /// Twice the same verdict, without a panic, in bounded time and memory.
    fn measured(&self, bound: usize, verdict: impl Fn() -> Verdict) -> Result<Outcome, String> {
        let start = clock();
        let (first, peak) = memory::peak(|| guarded(&verdict));
        let time = clock() - start;
        let first = first?;
        if let Some(words) = first.as_ref().err().and_then(|words| words.strip_prefix(FAULT)) {
            return Err(words.to_string());
        }
        if peak > bound {
            return Err(format!("{peak} bytes of memory instead of at most {bound}"));
        }
        if time > self.slow {
            return Err(format!("{time:?} of the processor instead of at most {:?}", self.slow));
        }
        let again = guarded(&verdict)?;
        if first != again {
            return Err(format!("two verdicts: {first:?}, then {again:?}"));
        }
        let share = peak.saturating_mul(1000) / bound.max(1);
        Ok(Outcome { accepted: first.is_ok(), end: None, time, peak, share })
    }
}

/// Marks a refusal that is a fault.
const FAULT: &str = "fault: ";

fn fault(words: String) -> String {
    format!("{FAULT}{words}")
}

/// What the loader promises of a file that it admits: segments of at least one byte, on pages of
/// their own, in range, and the start inside of the text.
fn promises(verified: &loader::Verified<'_>) -> Result<(), String> {
    let image = verified.image();
    let mut parts = vec![(image.text_address(), image.text().len() as u64)];
    parts.extend(image.data().iter().map(|s| (s.address, u64::from(s.size))));
    parts.sort_unstable();
    let apart = parts.windows(2).all(|pair| {
        let end = u64::from(pair[0].0) + pair[0].1;
        end.next_multiple_of(4096) <= u64::from(pair[1].0)
    });
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let in_range =
        first.0 >= 0x40_0000 && u64::from(last.0) + last.1 <= tal_core::limits::IMAGE_HIGH;
    let offset = verified.entry().checked_sub(image.text_address());
    let entry = offset.is_some_and(|o| (o as usize) < image.text().len());
    let fits = image.data().iter().all(|s| s.bytes.len() <= s.size as usize);
    let some = parts.iter().all(|(_, size)| *size > 0);
    match (apart, in_range, entry, fits, some) {
        (true, true, true, true, true) => Ok(()),
        broken => Err(format!(
            "a promise of the loader (apart, in range, entry, fits, not empty): {broken:?}"
        )),
    }
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static CAUGHT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Panics inside of a trial are told as faults, not printed.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        // Where a panic is the end of the process, this is the last chance to say it.
        let told = cfg!(panic = "abort");
        std::panic::set_hook(Box::new(move |info| match CAUGHT.get() && !told {
            true => PANIC.with_borrow_mut(|words| *words = info.to_string()),
            false => usual(info),
        }));
    });
}

/// The result, or the panic in words.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    CAUGHT.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(false);
    result.map_err(|_| PANIC.with_borrow(|words| format!("panic: {words}")))
}

/// Time that this thread has had of the processor.
#[allow(unsafe_code, reason = "a clock of libc")]
fn clock() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is written to where we say.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}
