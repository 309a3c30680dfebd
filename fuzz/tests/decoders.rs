//! Not trusted: a test. Our decoder accepts what the former one accepted, and both others make the
//! same of it: a part of what `cargo xtask decoders` tries.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use fuzz::decoders::{Size, compare};

/// Attack n22.
#[test]
fn the_decoders_agree() {
    let sum = compare(Size::Short);
    println!("{}", sum.text());
    assert_eq!(sum.faults, 0, "{}", sum.text());
    assert!(sum.strings > 1_000_000 && sum.accepted > 100_000, "{}", sum.text());
    // The list of the assembler is the judge's table.
    assert!(sum.unreached().is_empty(), "{:?}", sum.unreached());
    assert_eq!(sum.excused.len(), 2, "{}", sum.text());
}
