//! Not trusted: a test. The command `tal-fuzz`, which `cargo xtask fuzz` builds and starts.

use clap::Parser;
use fuzz::corpus::{Corpus, Size};
use fuzz::subject::Real;
use fuzz::trial::{Case, Kind};
use fuzz::workers::{Plan, carry_out, once};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Tries the judge, the decoder and the loader with mutants and random bytes.
#[derive(Parser)]
#[command(name = "tal-fuzz")]
struct Arguments {
    /// For so long; the kinds take turns.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What all inputs are made from; another one each time, if none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this kind; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Kind>,
    /// Only this trial of the kind, of a seed that was printed.
    #[arg(long, requires = "seed", requires = "only")]
    case: Option<u64>,
    /// Where faults are written.
    #[arg(long, default_value = "target/fuzz-faults")]
    directory: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !(arguments.minutes > 0.0 && arguments.minutes <= 10_080.0) {
        eprintln!("error: --minutes is above 0 and at most a week");
        return ExitCode::from(2);
    }
    let seed = arguments.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let begin = Instant::now();
    let corpus = Corpus::new(Size::Whole);
    let instructions: usize = corpus.objects.iter().map(|o| o.instructions.len()).sum();
    println!(
        "seed {seed}; {} accepted programs, {} of them executable, {instructions} instructions; \
         made in {:.1} s",
        corpus.objects.len(),
        corpus.executables().count(),
        begin.elapsed().as_secs_f64()
    );
    let subject = Real::new();
    if let (Some(number), Some(kind)) = (arguments.case, arguments.only.first()) {
        return match once(Case { kind: *kind, seed, number }, &subject, &corpus) {
            Ok(outcome) => {
                println!("nothing is wrong: {outcome:?}");
                ExitCode::SUCCESS
            }
            Err(fault) => {
                println!("{}", fault.words);
                ExitCode::FAILURE
            }
        };
    }
    let kinds = match arguments.only.as_slice() {
        [] => Kind::ALL.to_vec(),
        some => some.to_vec(),
    };
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let plan = Plan {
        seed,
        kinds,
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
        jobs,
        hang: Duration::from_secs(60),
        directory: arguments.directory,
    };
    let report = carry_out(&plan, &subject, &corpus);
    print!("{}", report.text(seed));
    if report.faults() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
