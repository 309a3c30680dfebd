//! Not trusted: a bug here can reject, never admit. Hints that count how much the judge works, by
//! its own account: it asks nothing while it judges data, of which there may be megabytes.

use crate::arena::pause;
use tal_core::hint::{Forward, Hints};

/// Units of work between two pauses: some tenths of a millisecond, in which the kernel gives the
/// CPU to nobody else.
const PAUSE: usize = 1 << 9;

pub(crate) struct Pausing<H> {
    hints: H,
    patience: usize,
}

impl<H> Pausing<H> {
    pub(crate) fn new(hints: H) -> Self {
        Pausing { hints, patience: PAUSE }
    }
}

impl<H: Hints> Forward for Pausing<H> {
    type Inner = H;

    fn inner(&mut self) -> &mut H {
        &mut self.hints
    }

    fn worked(&mut self, units: usize) {
        match self.patience.checked_sub(units) {
            Some(left) => self.patience = left,
            None => {
                self.patience = PAUSE;
                pause();
            }
        }
        self.hints.worked(units);
    }
}
