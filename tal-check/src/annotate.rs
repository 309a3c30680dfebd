//! Not trusted: a bug here can reject, never admit. From states of labels to what is written of
//! functions.
//!
//! Functions are judged three times with the finder's answers: once with all labels on the root, to
//! see what changes between a label and the branch that dominates it ([`scopes`]); once with the
//! labels on their scopes and all facts, to see which of these some proof rests on ([`needed`]);
//! and once with no others, when the answers are written down.
//!
//! [`needed`]: crate::needed

use crate::explore;
use crate::joins;
use crate::lowered::Lowered;
use crate::needed::{Ghosts, Needed, Ready, Records, needed_on};
use crate::part::Part;
use crate::plan::{Busy, Plan};
use crate::scopes;
use tal_core::counted::Rc;
use tal_core::error::Error;
use tal_core::ty::FnId;
use tal_write::{Label, Recorded, Recorder, encode};

/// What is written of some functions.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Their labels, in address order.
    pub(crate) labels: Vec<Label>,
    /// What is written of these.
    pub(crate) records: Records,
    /// All answers.
    pub(crate) recorded: Recorded,
}

impl Piece {
    /// These in one, in the order of their functions.
    pub(crate) fn joined(pieces: impl IntoIterator<Item = Piece>) -> Piece {
        let mut all = Piece::without_states([], Recorded::default());
        for piece in pieces {
            all.labels.extend(piece.labels);
            all.records.extend(piece.records);
            all.recorded.append(&piece.recorded);
        }
        all
    }

    /// The bytes of it, if it is of the whole program.
    pub(crate) fn section(&self, lowered: &Lowered) -> Vec<u8> {
        let image = lowered.image(&self.labels);
        encode(&image, &lowered.host.interface, &self.recorded)
    }

    /// What is written is all that is of use.
    pub(crate) fn forget_states(&mut self) {
        let labels: Vec<u32> = self.labels.iter().map(|label| label.offset).collect();
        let recorded = std::mem::take(&mut self.recorded);
        *self = Piece::without_states(labels, recorded);
    }

    /// What is written of functions with labels at these offsets.
    pub(crate) fn without_states(
        labels: impl IntoIterator<Item = u32>,
        recorded: Recorded,
    ) -> Piece {
        let nothing = Rc::new(explore::nothing());
        let label = |offset| Label { offset, state: Rc::clone(&nothing) };
        let labels = labels.into_iter().map(label).collect();
        Piece { labels, records: Records::new(), recorded }
    }
}

/// The functions with these labels, each on the branch that dominates it. `busy`: where the states
/// were found with ghosts, and only there.
///
/// # Errors
/// When the judge refuses one of them so.
pub(crate) fn at_once(part: Part<'_>, labels: &[Label], busy: &Busy) -> Result<Piece, Error> {
    let plan = scopes::plan_ahead(part, labels, busy)?;
    annotated(part, labels, &plan)
}

/// A function with those of its labels that need a state. If the judge refuses it without some of
/// its labels it gets all of them; if with labels on scopes it has them on the root. `busy`: where
/// the states were found with ghosts, and only there, if that is so.
///
/// # Errors
/// When the judge refuses it all the same.
pub(crate) fn annotate(
    lowered: &Lowered,
    function: FnId,
    labels: &[Label],
    mut busy: Option<&Busy>,
) -> Result<Piece, Error> {
    let functions = [function];
    let all = lowered.image(labels);
    let all = Part { lowered, image: &all, functions: &functions };
    let joins = joins::joins(all, labels);
    let image = lowered.image(&joins);
    let (mut part, mut own) = (Part { image: &image, ..all }, joins.as_slice());
    let mut flat = false;
    // Each time something is given up, and nothing twice.
    loop {
        let plan = match flat {
            true => Ok(Plan::default()),
            false => scopes::plan(part, own, busy),
        };
        match plan {
            Err(_) if busy.take().is_some() => {}
            Err(error) if own.len() == labels.len() => return Err(error),
            Err(_) => (part, own) = (all, labels),
            Ok(plan) => match annotated(part, own, &plan) {
                Ok(found) => return Ok(found),
                Err(_) if busy.take().is_some() => {}
                Err(_) if !flat => flat = true,
                Err(_) => return annotated(all, labels, &Plan::default()),
            },
        }
    }
}

/// The functions with these labels on these scopes.
fn annotated(part: Part<'_>, labels: &[Label], plan: &Plan) -> Result<Piece, Error> {
    written(part, labels, plan, needed_on(part, labels, plan)?)
}

/// The same, when it is known what is needed.
fn written(
    part: Part<'_>,
    labels: &[Label],
    plan: &Plan,
    Needed { labels: kept, records, ghosts }: Needed,
) -> Result<Piece, Error> {
    // The search may miss with less before it what it found with more; then all is written.
    match record(part, labels, plan, Some((records, ghosts))) {
        Ok((records, recorded)) => Ok(Piece { labels: kept, records, recorded }),
        Err(_) => {
            let (records, recorded) = record(part, labels, plan, None)?;
            Ok(Piece { labels: labels.to_vec(), records, recorded })
        }
    }
}

/// The functions judged once, the answers written down. What is known is not searched for.
fn record(
    part: Part<'_>,
    labels: &[Label],
    plan: &Plan,
    known: Option<(Records, Ghosts)>,
) -> Result<(Records, Recorded), Error> {
    record_with(part, labels, plan, known, None)
}

/// The same. `busy`: where ghosts are needed, and only there, if that is known.
pub(crate) fn record_with(
    part: Part<'_>,
    labels: &[Label],
    plan: &Plan,
    known: Option<(Records, Ghosts)>,
    busy: Option<&Busy>,
) -> Result<(Records, Recorded), Error> {
    let mut finder = part.finder(labels);
    finder.scopes = Some(plan);
    finder.busy = busy;
    let recorder = part.judge(Recorder::new(Ready::new(finder, known)))?;
    Ok((recorder.inner.records(), recorder.recorded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elaborate::lower;
    use crate::explore::find_labels;
    use std::collections::BTreeMap;
    use std::path::Path;
    use tal_core::ty::Record;

    /// A mistake about what is needed costs bytes, not the verdict.
    #[test]
    fn all_is_written_where_less_is_not_accepted() {
        let text = "fn f(rdi = a: &[n]u64, rsi = n) -> (rax)\n{\n xor eax, eax\n xor ecx, ecx\n \
                    jmp .test\n.next: add rax, [rdi + rcx*8]\n inc rcx\n.test: cmp rcx, rsi\n \
                    jb .next\n ret\n}\n";
        let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
        let lowered = lower(Path::new("test.tal"), &files).unwrap().lowered.unwrap();
        let labels = find_labels(&lowered).unwrap();
        let image = lowered.image(&labels);
        let part = Part { lowered: &lowered, image: &image, functions: &lowered.ids() };
        let plan = scopes::plan(part, &labels, None).unwrap();
        let found = needed_on(part, &labels, &plan).unwrap();
        let nothing = |(parent, record): &(u32, Record)| {
            (*parent, Record { vars: record.vars.clone(), ..Record::default() })
        };
        let nothing = found.records.iter().map(|(at, r)| (*at, nothing(r))).collect();
        let short = written(part, &labels, &plan, found).unwrap();
        assert_ne!(short.labels, labels);
        let wrong = Needed { labels: short.labels, records: nothing, ghosts: Ghosts::new() };
        let all = written(part, &labels, &plan, wrong).unwrap();
        assert_eq!(all.labels, labels);
        assert!(all.recorded.size() > short.recorded.size());
    }
}
