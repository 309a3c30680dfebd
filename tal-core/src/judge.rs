//! TCB. The judge at work: what every rule may use. What it knows of numbers is in `learn.rs`, what
//! follows from that in `prove.rs`.

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::image::{Image, Interface};
use crate::limits;
use crate::mem::Value;
use crate::state::State;
use crate::term::Var;
use crate::ty::{self, Cap, FnId, Region, Sig};

use crate::counted::Rc;
pub use crate::prove::range_goals;
pub use crate::ty::range;
use alloc::vec::Vec;

/// `Result` of a rule.
pub type Result<T> = core::result::Result<T, Error>;

/// One judging: the image, the host's interface, who answers questions, and the fuel left.
#[derive(Debug)]
pub struct Judge<'a, H> {
    /// What is judged.
    pub image: &'a Image<'a>,
    /// What the host offers.
    pub interface: &'a Interface,
    /// Who answers.
    pub hints: H,
    /// Units of work left (core.md 4.16).
    pub fuel: u64,
    /// Nodes that the memory type that substitution is making may still have.
    pub nodes: usize,
    /// Whose activation is judged. Set by the driver.
    pub own: Own,
    /// Room for the values of variables.
    pub(crate) spare: Vec<Value>,
    /// CPU features that the instructions judged so far need: [`crate::table::Feature::bit`].
    pub features: u8,
}

/// The activation that is judged: a function's, or, within rule[code-sub], that of an entry of the
/// code parameter's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// Which function of the image; none within rule[code-sub].
    pub function: Option<FnId>,
    /// Its signature.
    pub sig: Rc<Sig>,
    /// `Free(base + i)` of the state is variable i of the signature.
    pub base: u16,
    /// Within rule[code-sub], which does not nest.
    pub nested: bool,
}

impl Own {
    /// The activation of a function of this signature.
    #[must_use]
    pub fn function(function: Option<FnId>, sig: Rc<Sig>) -> Self {
        Own { function, sig, base: 0, nested: false }
    }

    /// Does it ever return?
    #[must_use]
    pub fn returning(&self) -> bool {
        self.sig.post.is_some()
    }

    /// Is there a slot at this offset at or above the entry rsp: the return address, or a declared
    /// argument?
    #[must_use]
    pub fn slot(&self, offset: i64) -> bool {
        let is = |(at, _): &(u16, ty::Word)| i64::from(*at) == offset;
        (offset == 0 && self.returning()) || self.sig.pre.args.iter().any(is)
    }

    /// Is the region live now: `always`, one of the signature's own, or held by a token? Within
    /// rule[code-sub] those of the signature's views live, too: whoever uses it must have shown
    /// that (rule[apply]).
    ///
    /// Of a *guarded* view, too, though rule[apply] asks for the region only of views that it does
    /// not know to be absent. Suppose that a view `g  rho mode x ~> M` of the signature was absent
    /// when it was used, and `rho` dead. In here `rho` counts as live; what could that open? A
    /// region makes usable the views that name it. Here those are the views of the signature alone,
    /// since the state begins with no other and no ghost makes one of an old region: a copy keeps
    /// the guards of what it copies, and rule[borrow] makes a new region. Such a view names `rho`
    /// under its own guard `g'`. If some `g'` was true, its view existed when the signature was
    /// used, and rule[apply] saw `rho` live. If none was, no view of `rho` exists: to read through
    /// one its guard must be gone (rule[access-view]), and rule[guard-true] takes it only by a
    /// proof, from facts that hold of the very variables of which `g'` is false. A callee in here
    /// that is given `rho` (rule[apply], theta) gets no further: its views must be found among
    /// those, with their guards (`same_view`).
    #[must_use]
    pub fn live(&self, region: Region, state: &State) -> bool {
        let Region::Var(rho) = region else { return true };
        let number = if let Var::Free(i) = rho { i.checked_sub(self.base) } else { None };
        let kind = number.and_then(|i| self.sig.vars.get(usize::from(i)));
        let own = matches!(kind, Some(ty::Kind::Region));
        let viewed = self.nested && self.sig.pre.views.iter().any(|view| view.region == region);
        let held = |cap: &Cap| matches!(cap, Cap::Token(v, _) if *v == rho);
        holds!(own || viewed || state.caps.iter().any(held))
    }
}

impl<'a, H: Hints> Judge<'a, H> {
    /// A judge with fuel for `bytes` bytes of text and annotations.
    pub fn new(image: &'a Image<'a>, interface: &'a Interface, hints: H, bytes: u64) -> Self {
        let fuel = bytes.saturating_mul(limits::FUEL_FACTOR).saturating_add(limits::FUEL_SLACK);
        let own = Own::function(None, Sig::nothing());
        Judge { image, interface, hints, fuel, nodes: 0, own, spare: Vec::new(), features: 0 }
    }

    /// rule[limit]: pays for work.
    ///
    /// # Errors
    /// When the fuel is used up.
    #[inline]
    pub fn burn(&mut self, units: usize) -> Result<()> {
        self.hints.worked(units);
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let left = self.fuel.checked_sub(units);
        self.fuel = left.ok_or_else(|| Error::new(Rule::Limit, Kind::Limit))?;
        Ok(())
    }
}

/// Is `v` an integer variable in scope?
#[must_use]
pub fn is_int(state: &State, v: Var) -> bool {
    match v {
        Var::Free(i) => {
            let scope = state.scope.get(usize::from(i));
            scope.is_some_and(|s| holds!(matches!(s.kind, ty::Kind::Int(_))))
        }
        _ => false,
    }
}
