//! Work grows with the number of functions and with the length of one, and not faster. It is
//! counted, not timed.

use super::sum::{TEST_AT, function, library};
use super::{ALL, LEAST};
use tal_check::compiled::{Function, LabelId, Op, Options, To, annotate};

/// What four times as much may take.
const LINEAR: f64 = 4.6;

fn grows(make: impl Fn(usize) -> Vec<Function>, few: usize, options: Options) {
    let work = |count| annotate(&library(make(count)), options).unwrap().work;
    let (one, four) = (work(few), work(4 * few));
    #[allow(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = four as f64 / one as f64;
    assert!(ratio <= LINEAR, "{few}: {one}, {}: {four}", 4 * few);
    assert!(one > u64::try_from(few).unwrap(), "{one}");
}

/// So many loops, one behind the other, the last with the return.
fn loops(count: usize) -> Vec<Function> {
    let one = function("loops");
    let turn = one.code.len() - 1;
    let mut all = Function { code: Vec::new(), labels: Vec::new(), ..one.clone() };
    for number in 0..count {
        let (start, label) = (all.code.len(), u32::try_from(all.labels.len()).unwrap());
        all.code.extend(one.code[..turn].iter().map(|op| match op {
            Op::Branch(branch, To::Label(LabelId(to))) => {
                Op::Branch(*branch, To::Label(LabelId(to + label)))
            }
            other => *other,
        }));
        assert_eq!(one.labels[0].at, TEST_AT, "{number}");
        all.labels.extend(one.labels.iter().map(|place| {
            let mut place = place.clone();
            place.at += start;
            place
        }));
    }
    all.code.push(one.code[turn]);
    vec![all]
}

#[test]
fn many_functions() {
    for options in [ALL, LEAST] {
        grows(|count| (0..count).map(|i| function(&format!("f{i}"))).collect(), 40, options);
    }
}

#[test]
fn long_functions() {
    for options in [ALL, LEAST] {
        grows(loops, 25, options);
    }
}
