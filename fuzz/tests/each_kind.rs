//! Not trusted: a test. About a second of each kind, from a fixed seed: in each test run the judge,
//! the decoder and the loader are tried with the same inputs that nobody wrote.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use fuzz::corpus::{Corpus, Size};
use fuzz::subject::Real;
use fuzz::trial::{Case, Kind, Trials};

/// Trials of each kind.
const TRIALS: [(Kind, u64); 9] = [
    (Kind::Notes, 250),
    (Kind::Text, 250),
    (Kind::Found, 100),
    (Kind::Both, 150),
    (Kind::Data, 100),
    (Kind::Elf, 2000),
    (Kind::Decode, 30_000),
    (Kind::Encode, 30_000),
    (Kind::Run, 10),
];

#[test]
fn a_second_of_each_kind() {
    let corpus = Corpus::new(Size::Few);
    let (real, seed) = (Real::new(), 1);
    let trials = Trials::new(&real, &corpus);
    assert_eq!(TRIALS.map(|(kind, _)| kind), Kind::ALL);
    for (kind, count) in TRIALS {
        let start = std::time::Instant::now();
        let (mut accepted, mut ran) = (0, 0);
        for number in 0..count {
            let case = Case { kind, seed, number };
            match trials.one(case) {
                Ok(outcome) => {
                    accepted += u64::from(outcome.accepted);
                    ran += u64::from(outcome.end.is_some());
                }
                Err(fault) => panic!("{}\n{}", fuzz::workers::command(case), fault.words),
            }
        }
        println!("{}: {count}, {accepted} accepted, {ran} run, {:?}", kind.name(), start.elapsed());
        assert!(accepted > 0, "{}: nothing is accepted", kind.name());
        assert!(accepted < count || kind == Kind::Run, "{}: all is accepted", kind.name());
        assert_eq!(ran > 0, kind == Kind::Run);
    }
}

#[test]
fn the_page_names_each_kind() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attacks.md");
    let page = std::fs::read_to_string(page).unwrap();
    for kind in Kind::ALL {
        assert!(page.contains(&format!("`{}`: ", kind.name())), "{}", kind.name());
    }
    assert!(page.contains("`cargo xtask fuzz --minutes 10`"));
}
