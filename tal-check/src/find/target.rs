//! Not trusted: a bug here can reject, never admit. What the judge wants at a label.

use super::{Finder, unknown};
use std::rc::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::Site;
use tal_core::judge::Own;
use tal_core::state::{Mark, State};
use tal_core::ty::Record;
use tal_core::walk::Opened;
use tal_write::{LabelState, Saved};

/// A label as the judge has it since the first way led there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Offset in the text.
    pub at: u32,
    /// What its parent has saved.
    pub parent: Saved,
    /// What it declares.
    pub record: Record,
    /// The state that these make.
    pub state: LabelState,
}

impl Target {
    pub(crate) fn new(at: u32, parent: Saved, record: Record) -> Target {
        let state = LabelState::of(&parent, record.declared());
        Target { at, parent, record, state }
    }

    /// The number of its first own variable.
    pub(crate) fn first(&self) -> u16 {
        u16::try_from(self.parent.mark.scope).unwrap_or(u16::MAX)
    }
}

impl Finder<'_> {
    /// The state that was found for the label at this offset.
    pub(crate) fn flat(&self, at: u32) -> Option<&LabelState> {
        let i = self.labels.binary_search_by_key(&at, |l| l.offset).ok()?;
        self.labels.get(i).map(|l| &*l.state)
    }

    /// On which scope of the chain the label hangs, counted from the newest; 0: on one that is
    /// opened now.
    pub(super) fn parent_of(&mut self, to: u32, chain: &[Opened]) -> u32 {
        let from_newest = |at: usize| u32::try_from(chain.len() - at).unwrap_or(u32::MAX);
        let Some(hang) = self.scopes.and_then(|plan| plan.labels.get(&to)) else {
            return from_newest(0);
        };
        // A scope that is opened by running into a label has the offset of that label, where a
        // branch may stand, too.
        let (branch, fell) = (hang.branch, &self.fell);
        let opened =
            |(at, open): &(usize, &Opened)| open.from == branch && !fell.contains(&(branch, *at));
        if branch == to {
            self.fell.insert((branch, chain.len()));
            return 0;
        }
        match chain.iter().enumerate().rfind(opened) {
            Some((at, _)) => from_newest(at),
            None if self.at() == Some(branch) => 0,
            None => from_newest(0),
        }
    }

    /// The instruction at which the judge is.
    fn at(&self) -> Option<u32> {
        match self.site? {
            Site::At(at) => Some(at),
            // The second way of a table or a condition.
            Site::Edge { from, .. } => Some(from),
            Site::CodeSub { .. } | Site::Return(_) => None,
        }
    }

    /// What the label declares.
    pub(super) fn record_of(
        &mut self,
        st: &State,
        to: u32,
        parent: &Mark,
    ) -> Result<Record, Error> {
        if let Some(plan) = self.scopes
            && let Some(hang) = plan.labels.get(&to)
        {
            let (record, origins) = self
                .inherit(st, to, Saved::of(st, parent), *hang, &plan.slots)
                .ok_or(unknown(Rule::Entail))?;
            self.origins.insert(to, origins);
            return Ok(record);
        }
        let flat = self.flat(to).ok_or(unknown(Rule::Entail))?;
        Ok(flat.record(&Saved::of(st, parent)))
    }

    /// The label at this offset; where no way has led yet, as it is when it hangs on the root.
    pub fn target(&mut self, at: u32) -> Option<Rc<Target>> {
        if let Some(target) = self.targets.get(&at) {
            return Some(Rc::clone(target));
        }
        let state = self.flat(at)?.clone();
        let function = self.function(at)?;
        let own = Own::function(Some(function), self.sig(function)?.clone());
        let root = Saved::now(&self.judge(own).entry_state(function).ok()?);
        let record = state.record(&root);
        let target = Rc::new(Target::new(at, root, record));
        self.targets.insert(at, Rc::clone(&target));
        Some(target)
    }
}
