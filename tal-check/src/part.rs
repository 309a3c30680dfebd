//! Not trusted: a bug here can reject, never admit. Some functions of a program, and who answers
//! the judge's questions about them.

use crate::find::Finder;
use crate::lowered::Lowered;
use std::cell::Cell;
use tal_core::error::Error;
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::ty::FnId;
use tal_write::Label;

thread_local! {
    static FUEL: Cell<u64> = const { Cell::new(0) };
}

/// Fuel that this thread has burnt so far in judging parts.
pub(crate) fn fuel() -> u64 {
    FUEL.get()
}

/// Some functions of a program, and where they are judged.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) lowered: &'a Lowered,
    /// With their labels, and perhaps those of others.
    pub(crate) image: &'a Image<'a>,
    pub(crate) functions: &'a [FnId],
}

impl<'a> Part<'a> {
    /// The finder with what the source says in these functions.
    pub(crate) fn finder(&self, labels: &'a [Label]) -> Finder<'a> {
        finder_of(self.lowered, self.image, labels, self.functions)
    }

    /// Judges the functions; the answers come from these hints.
    ///
    /// # Errors
    /// Why they are refused.
    pub(crate) fn judge<H: tal_core::hint::Hints>(&self, hints: H) -> Result<H, Error> {
        let interface = &self.lowered.host.interface;
        let mut judge = Judge::new(self.image, interface, hints, u64::MAX);
        let judged = judge.functions(self.functions.iter().copied());
        FUEL.set(FUEL.get() + (u64::MAX - judge.fuel));
        judged.map(|()| judge.hints)
    }
}

/// The finder with what the source says.
#[must_use]
pub fn finder<'a>(lowered: &'a Lowered, image: &'a Image<'a>, labels: &'a [Label]) -> Finder<'a> {
    finder_of(lowered, image, labels, &lowered.ids())
}

/// The same for these functions.
pub(crate) fn finder_of<'a>(
    lowered: &'a Lowered,
    image: &'a Image<'a>,
    labels: &'a [Label],
    functions: &[FnId],
) -> Finder<'a> {
    let mut finder = Finder::new(image, &lowered.host.interface, labels);
    for (_, function) in lowered.some(functions) {
        for ghost in &function.ghosts {
            let written = if ghost.falls { &mut finder.falls } else { &mut finder.written };
            written.entry(ghost.offset).or_default().push(ghost.clone());
        }
        finder.layouts.extend(function.layouts.iter().map(|(at, id)| (*at, *id)));
    }
    finder
}
