//! Not trusted: a test. What a compiler hands over is annotated, without any search; what it does
//! not show is refused, where it is wrong, and never with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "compiled/again.rs"]
mod again;
#[path = "compiled/growth.rs"]
mod growth;
#[path = "compiled/refused.rs"]
mod refused;
#[path = "compiled/sum.rs"]
mod sum;

use tal_check::check::Checked;
use tal_check::compiled::Options;
use tal_core::judge::Judge;
use tal_core::wire;

const ALL: Options = Options { needed: false };
const LEAST: Options = Options { needed: true };

/// The judge admits what was written, as a loader reads it.
fn verified(checked: &Checked) {
    let lowered = &checked.lowered;
    let interface = &lowered.host.interface;
    let segments = lowered.segments();
    let (text, at) = (&lowered.text, lowered.text_address);
    let (image, stream) = wire::decode(text, at, &segments, &checked.section, interface).unwrap();
    Judge::new(&image, interface, stream, u64::MAX).verify().unwrap();
}
