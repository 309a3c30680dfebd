//! Not trusted. Images, labels and functions to begin with.

use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::Inst;
use tal_core::image::{Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::state::State;
use tal_core::ty::{FnId, Kind, NameSet, Post, Reg, Sig, Word};

/// An image of nothing.
pub(crate) fn bare() -> Image<'static> {
    Image {
        text: &[],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![Rc::new(never())],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: None,
    }
}

/// Refused by this rule.
pub(crate) fn refused(r: Result<(), Error>, rule: Rule) {
    assert_eq!(r.expect_err("must be refused").rule, rule);
}

/// As a judge of a function without variables with a label at 4.
pub(crate) fn judged_at<T>(teller: Teller, f: impl FnOnce(&mut Judge<'_, Teller>) -> T) -> T {
    let interface = interface();
    let image =
        Image { functions: vec![Function { offset: 0, sig: 0 }], labels: vec![4], ..bare() };
    let mut judge = Judge::new(&image, &interface, teller, 1 << 20);
    judge.own = Own::function(Some(FnId(0)), Rc::new(never()));
    f(&mut judge)
}

/// To a label of a function without variables.
pub(crate) fn entail(st: &State, label: LabelState, theta: Vec<Inst>) -> Result<(), Error> {
    entail_told(st, label, Teller { insts: [theta].into(), ..Teller::default() })
}

/// As [`entail`], with these answers.
pub(crate) fn entail_told(st: &State, label: LabelState, told: Teller) -> Result<(), Error> {
    judged_at(told, |judge| entail_at(judge, &mut st.clone(), &label))
}

/// A declaration that says nothing.
pub(crate) fn label(vars: Vec<Kind>) -> LabelState {
    LabelState {
        vars,
        refinements: vec![],
        facts: vec![],
        regs: [const { Word::Junk }; 16],
        delta: 0,
        touched: 0,
        slots: vec![],
        lent: vec![],
        views: vec![],
        caps: vec![],
    }
}

/// Certainly an address.
pub(crate) const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };

/// A function that comes back.
pub(crate) fn returns() -> Sig {
    Sig { post: Some(Post { vars: vec![], state: assertion() }), ..never() }
}

/// A state at the entry of a returning function.
pub(crate) fn entered() -> State {
    let mut st = state();
    st.set_slot(0, Word::ReturnAddress);
    for reg in Reg::ALL {
        if reg.callee_saved() {
            st.set_reg(reg, Word::Saved(reg));
        }
    }
    st
}
