//! Not trusted: a bug here can reject, never admit. Labels with the whole state that holds there:
//! what inference finds, people read, and tests write down. The judge is told how it differs from
//! what the label's parent has saved.

use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::error::{Error, Kind as Refusal, Rule};
use tal_core::hint::{Forward, Hints};
use tal_core::judge::{Judge, Result};
use tal_core::state::{Mark, State};
use tal_core::term::Var;
use tal_core::ty::{Cap, Declared, Fact, FnId, Kind, Lent, NameSet, Record, Reg, View, Word};
use tal_core::walk::Opened;

/// What was there at a mark.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The mark, with the frame and everything owned.
    pub mark: Mark,
    /// Registers.
    pub regs: [Word; 16],
    /// The slots that held something, by offset.
    pub slots: Vec<(i64, Word)>,
}

impl Saved {
    /// What was there at this mark of this state.
    #[must_use]
    pub fn of(state: &State, mark: &Mark) -> Saved {
        let regs = Reg::ALL.map(|reg| state.reg_at(mark, reg).clone());
        let slots = state.slots_at(mark).map(|(at, word)| (at, word.clone())).collect();
        Saved { mark: mark.clone(), regs, slots }
    }

    /// The registers, the slots and the frame of the state are these.
    pub fn put(&self, state: &mut State) {
        for (reg, word) in Reg::ALL.into_iter().zip(&self.regs) {
            state.set_reg(reg, word.clone());
        }
        let there: Vec<i64> = state.slots().map(|(at, _)| at).collect();
        for at in there {
            state.set_slot(at, Word::Junk);
        }
        for (at, word) in &self.slots {
            state.set_slot(*at, word.clone());
        }
        state.stack.delta = self.mark.delta;
        state.stack.touched = self.mark.touched;
        state.stack.lent = self.mark.lent.clone();
    }

    /// What is there now.
    #[must_use]
    pub fn now(state: &State) -> Saved {
        Saved::of(state, &Mark::of(state))
    }
}

/// A label with its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Offset in the text.
    pub offset: u32,
    /// What holds there.
    pub state: Rc<LabelState>,
}

/// The state of a label (L of core.md 2). Its own variables are numbered after those in scope at
/// its parent: after those of the function, if it hangs on the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelState {
    /// Its own variables.
    pub vars: Vec<Kind>,
    /// Names in scope that are known better here than they were there.
    pub refinements: Vec<(Var, NameSet)>,
    /// Own facts. Those in scope stay.
    pub facts: Vec<Fact>,
    /// Registers; rsp is ignored (it is `Frame(delta)`).
    pub regs: [Word; 16],
    /// rsp minus the entry rsp; not positive, multiple of 8.
    pub delta: i64,
    /// Lowest offset known to be touched.
    pub touched: i64,
    /// Slots by offset, sorted, at or above delta; the rest are junk.
    pub slots: Vec<(i64, Word)>,
    /// Lent parts of the frame, sorted.
    pub lent: Vec<Lent>,
    /// Own views. Those in scope stay.
    pub views: Vec<View>,
    /// Everything owned.
    pub caps: Vec<Cap>,
}

impl LabelState {
    /// How it differs from what the parent has saved.
    #[must_use]
    pub fn record(&self, parent: &Saved) -> Record {
        let regs = Reg::ALL.into_iter().zip(self.regs.iter().zip(&parent.regs));
        let regs = regs.filter(|(reg, (now, then))| *reg != Reg::Rsp && now != then);
        let mut slots: BTreeMap<i64, Word> = self.slots.iter().cloned().collect();
        for (at, word) in parent.slots.iter().filter(|(at, _)| *at >= self.delta) {
            match slots.get(at) {
                Some(same) if same == word => drop(slots.remove(at)),
                Some(_) => {}
                None => drop(slots.insert(*at, Word::Junk)),
            }
        }
        let frame = (self.delta, self.touched);
        let same = frame == (parent.mark.delta, parent.mark.touched);
        Record {
            vars: self.vars.clone(),
            refinements: self.refinements.clone(),
            facts: self.facts.clone(),
            regs: regs.map(|(reg, (now, _))| (reg, now.clone())).collect(),
            frame: (!same).then_some(frame),
            slots: slots.into_iter().collect(),
            lent: (self.lent != *parent.mark.lent).then(|| self.lent.clone()),
            views: self.views.clone(),
            caps: (self.caps != *parent.mark.caps).then(|| self.caps.clone()),
        }
    }

    /// The state that a record declares.
    #[must_use]
    pub fn of(parent: &Saved, record: Declared<'_>) -> LabelState {
        let mut regs = parent.regs.clone();
        for (reg, word) in record.regs {
            if let Some(place) = regs.get_mut(*reg as usize) {
                place.clone_from(word);
            }
        }
        let (delta, touched) = record.frame(&parent.mark);
        let kept = parent.slots.iter().filter(|(at, _)| *at >= delta);
        let mut slots: BTreeMap<i64, Word> = kept.chain(record.slots).cloned().collect();
        slots.retain(|_, word| *word != Word::Junk);
        LabelState {
            vars: record.vars.to_vec(),
            refinements: record.refinements.to_vec(),
            facts: record.facts.to_vec(),
            regs,
            delta,
            touched,
            slots: slots.into_iter().collect(),
            lent: record.lent(&parent.mark).to_vec(),
            views: record.views.to_vec(),
            caps: record.caps.unwrap_or(&parent.mark.caps).to_vec(),
        }
    }
}

/// What was declared, to be changed or kept.
#[must_use]
pub fn owned(declared: Declared<'_>) -> Record {
    Record {
        vars: declared.vars.to_vec(),
        refinements: declared.refinements.to_vec(),
        facts: declared.facts.to_vec(),
        regs: declared.regs.to_vec(),
        frame: declared.frame,
        slots: declared.slots.to_vec(),
        lent: declared.lent.map(<[Lent]>::to_vec),
        views: declared.views.to_vec(),
        caps: declared.caps.map(<[Cap]>::to_vec),
    }
}

/// The state that a label of this function with this declaration has when it hangs on the root.
/// Sets `judge.own`.
///
/// # Errors
/// When the declaration does not fit the function or the limits.
pub fn state_at<H: Hints>(
    judge: &mut Judge<'_, H>,
    function: FnId,
    declared: &LabelState,
) -> Result<State> {
    let mut state = judge.entry_state(function)?;
    let root = Saved::now(&state);
    judge.begin_label(&mut state, (&root.mark, declared.record(&root).declared()))?;
    Ok(state)
}

/// Hints whose labels all hang on the root.
#[derive(Clone, Debug)]
pub struct Flat<F> {
    /// Who answers the rest.
    pub inner: F,
    /// What each label declares.
    pub labels: Vec<Label>,
}

impl<F: Hints> Forward for Flat<F> {
    type Inner = F;

    fn inner(&mut self) -> &mut F {
        &mut self.inner
    }

    fn parent(&mut self, _: &State, _: u32, chain: &[Opened]) -> Result<u32> {
        u32::try_from(chain.len()).map_err(|_| Error::new(Rule::Limit, Refusal::Limit))
    }

    fn record(&mut self, state: &State, to: u32, parent: &Mark, record: &mut Record) -> Result<()> {
        let label = self.labels.iter().find(|label| label.offset == to);
        let label = label.ok_or(Error::new(Rule::Walk, Refusal::BadHint))?;
        *record = label.state.record(&Saved::of(state, parent));
        Ok(())
    }
}
