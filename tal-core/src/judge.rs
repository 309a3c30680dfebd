//! TCB. The judge at work: what every rule may use. What it knows of numbers is in `learn.rs`, what
//! follows from that in `prove.rs`.

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::image::{Image, Interface};
use crate::limits;
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
    /// Regions that live throughout: the signature's own.
    pub regions: Vec<Var>,
    /// Within rule[code-sub], which does not nest.
    pub nested: bool,
}

impl Own {
    /// The activation of a function of this signature.
    #[must_use]
    pub fn function(function: Option<FnId>, sig: Rc<Sig>) -> Self {
        let of_region = |(i, kind): (usize, &ty::Kind)| match (u16::try_from(i), kind) {
            (Ok(i), ty::Kind::Region) => Some(Var::Free(i)),
            _ => None,
        };
        let regions = sig.vars.iter().enumerate().filter_map(of_region).collect();
        Own { function, sig, base: 0, regions, nested: false }
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

    /// Is the region live now: `always`, one of the signature's own, or held by a token?
    #[must_use]
    pub fn live(&self, region: Region, state: &State) -> bool {
        let Region::Var(rho) = region else { return true };
        let held = |cap: &Cap| matches!(cap, Cap::Token(v, _) if *v == rho);
        holds!(self.regions.contains(&rho) || state.caps.iter().any(held))
    }
}

impl<'a, H: Hints> Judge<'a, H> {
    /// A judge with fuel for `bytes` bytes of text and annotations.
    pub fn new(image: &'a Image<'a>, interface: &'a Interface, hints: H, bytes: u64) -> Self {
        let fuel = bytes.saturating_mul(limits::FUEL_FACTOR).saturating_add(limits::FUEL_SLACK);
        let own = Own::function(None, nobody());
        Judge { image, interface, hints, fuel, nodes: 0, own, features: 0 }
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

/// A `never` without anything: the owner before the driver says who it is.
fn nobody() -> Rc<Sig> {
    let pre = ty::Assertion {
        facts: Vec::new(),
        regs: [const { ty::Word::Junk }; 16],
        args: Vec::new(),
        views: Vec::new(),
        caps: Vec::new(),
    };
    Rc::new(Sig { vars: Vec::new(), pre, post: None })
}
