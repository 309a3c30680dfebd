//! Not trusted: a test. The command that `cargo xtask decoders` builds and starts.

use fuzz::decoders::{Size, compare};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let begin = Instant::now();
    let sum = compare(Size::Whole);
    print!("{}", sum.text());
    let unreached = sum.unreached();
    println!("{} encodings of the table were reached", sum.codes.len());
    println!("{:.0} s", begin.elapsed().as_secs_f64());
    if !unreached.is_empty() {
        eprintln!("error: not reached: {unreached:?}");
    }
    if sum.faults == 0 && unreached.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
