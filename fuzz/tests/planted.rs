//! Not trusted: a test. The fuzzer finds: each subject here has a fault that it has to report.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use fuzz::corpus::{Corpus, Object, Size};
use fuzz::subject::{Real, Subject, Verdict};
use fuzz::trial::{Case, Fault, Input, Kind, Trials};
use fuzz::workers::{Plan, carry_out};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tal_asm::program::Program;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::interface::Host;
use tal_core::counted::Rc;
use tal_core::decode::{Decoded, Op, Rm, decode_at};
use tal_core::image::Interface;
use tal_core::ty::{self, Bounds, Reg};

/// The first fault of a kind that is found in so many trials.
fn first<S: Subject>(subject: &S, corpus: &Corpus, kind: Kind, count: u64) -> Option<Fault> {
    let trials = Trials::new(subject, corpus);
    let all = (0..count).map(|number| trials.one(Case { kind, seed: 7, number }));
    all.filter_map(Result::err).map(|fault| *fault).next()
}

/// The real ones, but for what these functions do.
struct Planted {
    real: Real,
    judge: fn(&Program, Verdict) -> Verdict,
    decode: fn(&[u8], Decoded) -> Decoded,
}

impl Planted {
    fn judge(judge: fn(&Program, Verdict) -> Verdict) -> Planted {
        Planted { real: Real::new(), judge, decode: |_, d| d }
    }

    fn decode(decode: fn(&[u8], Decoded) -> Decoded) -> Planted {
        Planted { real: Real::new(), judge: |_, verdict| verdict, decode }
    }
}

impl Subject for Planted {
    fn interface(&self) -> &Interface {
        self.real.interface()
    }

    fn judge(&self, program: &Program) -> Verdict {
        (self.judge)(program, self.real.judge(program))
    }

    fn decode(&self, bytes: &[u8]) -> Option<Decoded> {
        self.real.decode(bytes).map(|d| (self.decode)(bytes, d))
    }
}

/// A mutant of one in a few: what the faults below depend on.
fn some(program: &Program) -> bool {
    program.annotations.iter().map(|b| u32::from(*b)).sum::<u32>().is_multiple_of(8)
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_panic_two_verdicts_and_too_much_memory_are_found() {
    let corpus = Corpus::new(Size::Few);
    let found = |judge| {
        let subject = Planted::judge(judge);
        first(&subject, &corpus, Kind::Notes, 200).unwrap_or_else(|| panic!("not found")).words
    };
    let words = found(|program, verdict| {
        assert!(!some(program), "planted");
        verdict
    });
    assert!(words.contains("panic") && words.contains("planted"), "{words}");
    let words = found(|program, verdict| {
        CALLS.set(CALLS.get() + 1);
        if some(program) { Err(CALLS.get().to_string()) } else { verdict }
    });
    assert!(words.starts_with("two verdicts"), "{words}");
    let words = found(|program, verdict| {
        let bound = tal_core::limits::memory(program.text.len(), program.annotations.len());
        let size = if some(program) { bound + 1 } else { 0 };
        drop(Vec::<u8>::with_capacity(size));
        verdict
    });
    assert!(words.contains("bytes of memory"), "{words}");
}

#[test]
fn a_slow_verdict_is_found() {
    let corpus = Corpus::new(Size::Few);
    let real = Real::new();
    let mut trials = Trials::new(&real, &corpus);
    trials.slow = Duration::ZERO;
    let fault = trials.one(Case { kind: Kind::Text, seed: 7, number: 0 }).unwrap_err();
    assert!(fault.words.contains("of the processor"), "{}", fault.words);
}

/// A decoder that takes one register for another in one form.
fn another_register(_: &[u8], mut d: Decoded) -> Decoded {
    if let Op::Alu { dst: Rm::Reg(reg @ Reg::R13), .. } = &mut d.op {
        *reg = Reg::Rbp;
    }
    d
}

/// A decoder that drops the last byte of long immediates.
fn too_short(_: &[u8], mut d: Decoded) -> Decoded {
    if d.length == 10 {
        d.length = 9;
    }
    d
}

/// A decoder that lets a prefix pass that it does not know.
struct Lax(Real);

impl Subject for Lax {
    fn interface(&self) -> &Interface {
        self.0.interface()
    }

    fn decode(&self, bytes: &[u8]) -> Option<Decoded> {
        let address = fuzz::bytes::ADDRESS;
        let rest = bytes.strip_prefix(&[0x65]).unwrap_or(bytes);
        let mut d = decode_at(rest, address, 0).ok()?;
        d.length += u8::try_from(bytes.len() - rest.len()).unwrap();
        Some(d)
    }
}

#[test]
fn faults_of_a_decoder_are_found() {
    let corpus = Corpus::new(Size::Few);
    for decode in [another_register, too_short] {
        for kind in [Kind::Decode, Kind::Encode] {
            let subject = Planted::decode(decode);
            let fault = first(&subject, &corpus, kind, 60_000);
            let fault = fault.unwrap_or_else(|| panic!("{kind:?}: not found"));
            assert!(matches!(fault.input, Input::Bytes(_)), "{}", fault.words);
        }
    }
    let fault = first(&Lax(Real::new()), &corpus, Kind::Decode, 60_000);
    assert!(fault.unwrap().words.contains("prefix"));
}

/// The host says that process numbers are below 5: a verdict that accepts too much.
fn lying(interface: &Interface) -> Interface {
    let mut interface = interface.clone();
    let getpid = loader::interface::names().position(|name| name == "getpid").unwrap();
    let sig = Rc::make_mut(&mut interface.imports[getpid]);
    let given = &mut sig.post.as_mut().unwrap().vars;
    let bounds = given.iter_mut().find_map(|kind| match kind {
        ty::Kind::Int(bounds) if bounds.high() == Some(0x7fff_ffff) => Some(bounds),
        _ => None,
    });
    *bounds.unwrap() = Bounds::new(Some(0), Some(4)).unwrap();
    interface
}

const VICTIM: &str = "\
use \"kernel.tali\"

bss     room: bytes[20480]

entry fn start {
        call    getpid
        shl     rax, 12
        mov     cl, [room + rax]
        mov     edi, 7
        add     edi, 1
        jmp     exit
}
";

struct Liar(Interface);

impl Subject for Liar {
    fn interface(&self) -> &Interface {
        &self.0
    }
}

#[test]
fn an_accepted_program_that_is_not_safe_is_found() {
    let files = BTreeMap::from([("victim.tal".to_string(), VICTIM.to_string())]);
    let outcome = lower(Path::new("victim.tal"), &files).unwrap();
    let mut lowered = outcome.lowered.unwrap_or_else(|| panic!("{:?}", outcome.diags));
    let liar = Liar(lying(&lowered.host.interface));
    lowered.host = Rc::new(Host { interface: liar.0.clone(), ..(*lowered.host).clone() });
    let checked = check(lowered).unwrap_or_else(|(_, refusals)| panic!("{refusals:?}"));
    let corpus = Corpus::of(vec![Object::new("victim", checked)]);
    let fault = first(&liar, &corpus, Kind::Run, 50).unwrap_or_else(|| panic!("not found"));
    assert!(fault.words.contains("signal 11"), "{}", fault.words);
    assert!(matches!(&fault.input, Input::File(file) if file.starts_with(b"\x7fELF")));
    // By the interface as it is, the same file is refused.
    assert!(Real::new().verify(&fault.input.bytes()).is_err());
}

/// Processes that die or hang are faults, too, and the others go on.
#[test]
fn a_lost_process_is_found() {
    let corpus = Corpus::new(Size::Few);
    for (judge, words) in [
        (
            (|program, verdict| {
                if some(program) {
                    std::process::abort();
                }
                verdict
            }) as fn(&Program, Verdict) -> Verdict,
            "signal 6",
        ),
        (
            |program, verdict| {
                while some(program) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                verdict
            },
            "no end",
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let plan = Plan {
            seed: 3,
            kinds: vec![Kind::Notes, Kind::Decode],
            time: Duration::from_secs(4),
            jobs: 2,
            hang: Duration::from_secs(1),
            directory: place.path().to_path_buf(),
        };
        let report = carry_out(&plan, &Planted::judge(judge), &corpus);
        assert!(report.faults() > 0 && !report.files.is_empty(), "{report:?}");
        let text = report.text(3);
        assert!(text.contains(words), "{text}");
        assert!(text.contains("cargo xtask fuzz --seed 3 --only notes --case "), "{text}");
        let input = std::fs::read(&report.files[0]).unwrap();
        assert!(input.starts_with(b"\x7fELF"), "the input is kept");
        let decoded = report.sums.iter().find(|(kind, _)| *kind == Kind::Decode).unwrap();
        assert!(decoded.1.tried > 0, "the others go on: {text}");
    }
}
