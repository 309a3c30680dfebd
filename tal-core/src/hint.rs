//! TCB (the shapes), not trusted (the values). What the judge cannot find by itself, it asks for.
//!
//! The rules ask a [`Hints`] for each choice. The kernel answers from the annotation stream
//! (`wire.rs`); the finder of tal-check answers by search and writes its answers down in the order
//! in which they were asked, which *is* the stream. So there is one driver and one set of rules,
//! and whatever the answers are, no wrong program passes: every rule checks what it was told.

use crate::counted::Rc;
use crate::error::Error;
use crate::state::{Mark, State};
use crate::term::{Term, Var};
use crate::ty::{
    Assertion, Base, Cap, DataId, Declared, Fact, FieldTy, FnId, Guard, Kind, Mem, Mode, Record,
    Reg, Region, Sig, View, Word,
};
use crate::walk::Opened;
use alloc::vec::Vec;

mod forward;
pub use forward::Forward;

/// Where the driver stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Site {
    /// Before the instruction at this text offset.
    At(u32),
    /// On the edge from the instruction at `from` to the start at `to` (jump, jcc taken, table,
    /// fall), or to an entry by a tail call.
    Edge {
        /// Offset of the transferring instruction (for a fall: of the start reached).
        from: u32,
        /// Offset of the target; gates are given as `u32::MAX`.
        to: u32,
    },
    /// While checking that an entry may be used at the signature of a code parameter, at `from`.
    CodeSub {
        /// Offset of the instruction that instantiates the parameter.
        from: u32,
    },
    /// At a `ret`.
    Return(u32),
}

/// Where a block starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Start {
    /// At a function.
    Entry(FnId),
    /// At the label of this index.
    Label(u32),
    /// At the target of a condition, which is no label: the state goes on.
    Block {
        /// Offset of the condition.
        from: u32,
        /// Its target.
        to: u32,
    },
}

/// Answer to a proof obligation that neither bounds nor a fact decide (core.md 4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// `scale * goal = sum of factor * fact + rest`, the rest not negative by bounds.
    Comb(Comb),
    /// First append this consequence of the facts, then ask again.
    Step(Step),
}

/// What the judge sees without a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen<'t> {
    /// `term >= 0`, by bounds or a fact.
    NotNegative(&'t Term),
    /// `term /= 0`, by bounds or a fact.
    NotZero(&'t Term),
    /// The term lies in the range that is asked for, by bounds.
    InRange(&'t Term),
}

/// Farkas' lemma: multipliers for facts by number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comb {
    /// At least 1.
    pub scale: u64,
    /// At most [`crate::limits::PREMISES`]; strictly increasing fact numbers; factors of
    /// inequalities not negative.
    pub premises: Vec<(u16, i128)>,
}

/// A new fact from old ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The `>= 0` fact `sum of factor * fact + slack` with slack >= 0; with equalities only and no
    /// slack it is an `= 0` fact.
    Comb {
        /// As in [`Comb`].
        premises: Vec<(u16, i128)>,
        /// Added constant.
        slack: i128,
    },
    /// Divide fact by `divisor`, floor the constant.
    Cut {
        /// A `>=` fact (or `=`, taken as `>=`).
        fact: u16,
        /// Positive.
        divisor: i128,
    },
    /// `e /= 0` (the fact) and `e >= 0` give `e - 1 >= 0`; or the same of `-e`.
    Neq {
        /// The disequality.
        fact: u16,
        /// Of `e`, not of `-e`? That it is not negative is asked next, unless it is known, and
        /// answered by a [`Comb`].
        positive: bool,
    },
    /// Product of two `>=` facts of at most three atoms, degree 1.
    Product(u16, u16),
    /// `a = 0` times any term of degree 1.
    Scale(u16, Term),
    /// A bound of this variable as a fact: for products, cuts and sums, which take facts only.
    Bound(Var, End),
}

/// Which bound.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// `v - low >= 0`
    Low,
    /// `high - v >= 0`
    High,
    /// `v - low = 0`, where both are the same.
    Both,
}

/// The memory that an access, a rep instruction or a call argument goes through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Through {
    /// Position in the owned capabilities.
    Entry(u16),
    /// Position in the views.
    View(u16),
    /// The view that each data object has everywhere (rule[data-object]).
    Data(DataId),
}

/// A value for a variable of a signature or label (theta).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inst {
    /// For `Int`.
    Int(Term),
    /// For `Addr`: the address target.
    Ptr(Base, Term),
    /// For `Addr`: an integer in one of the small intervals.
    Small(Term),
    /// For `Word`.
    Word(Word),
    /// For `Code`.
    Code(Base),
    /// For `Region`.
    Region(Region),
    /// For `Store`: positions of capabilities, increasing.
    Store(Vec<u16>),
}

/// What both alternatives of a conditional move have in common (row `cmovcc`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// How many integers the template introduces; they are the next free variables.
    pub fresh: u16,
    /// The result.
    pub word: Word,
    /// What holds of it.
    pub facts: Vec<Fact>,
    /// Values of the new integers when the move happens.
    pub moved: Vec<Term>,
    /// Values when it does not.
    pub kept: Vec<Term>,
}

/// Room of an answer.
#[derive(Debug)]
pub enum Room {
    /// Of values.
    Values(Vec<Inst>),
    /// Of premises.
    Premises(Vec<(u16, i128)>),
}

/// A step that takes no instruction: names are the rule ids of core.md 4.4 to 4.11. Positions count
/// in [`State::caps`] or [`State::views`] as they stand.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields are the hints of the rule of the same name")]
pub enum Ghost {
    Step(Step),
    SizeFacts { of: Through },
    GuardTrue { of: Through, guard: u16 },
    GuardFalse { entry: u16, guard: u16 },
    GuardAdd { of: Through, guard: Guard },
    GuardVoid { entry: crate::ty::Entry, guard: u16 },
    Split { entry: u16, at: Term },
    SplitCat { entry: u16 },
    Join { first: u16, second: u16 },
    One { of: Through, to_array: bool },
    Equal { of: Through, offset: Term, mem: Rc<Mem> },
    EqualWord { place: Place, word: Word },
    RetypeJunk { entry: u16 },
    RetypeShape { entry: u16, mem: Rc<Mem> },
    RetypeZero { entry: u16, mem: Rc<Mem> },
    RetypePlain { entry: u16, mem: Option<Rc<Mem>> },
    Unfold { entry: u16 },
    Fold { entry: u16, ty: crate::ty::TypeId, args: Vec<Term> },
    Open { entry: u16 },
    Pack { entry: u16, mem: Rc<Mem>, witnesses: Vec<Term> },
    FieldClose { entry: u16, field: u16, ty: FieldTy },
    Leak { cap: u16 },
    Borrow { entry: u16, mode: Mode },
    Share { entry: u16, mode: Mode },
    RegionEnd { token: u16 },
    ViewWeaken { view: u16 },
    ViewPart { view: u16, from: Term, count: Term },
    ViewCat { view: u16, second: bool },
    ViewPlain { view: u16 },
    ViewUnfold { view: u16 },
    ViewOpen { view: u16 },
    ViewData { data: DataId },
    Carve { offset: i64, size: i64 },
    Uncarve { name: Var, entry: u16 },
    FrameWord { place: Place, name: Var },
    Renorm { place: Place, signed: bool },
}

/// A register or a stack slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// Register.
    Reg(Reg),
    /// Slot by offset from the entry rsp.
    Slot(i64),
}

/// Who answers. Every method gets the state as the rule sees it; an `Err` ends the judging with
/// that error (the finder uses it to say that it found nothing). No method has a default body: who
/// answers nothing says so, and who passes questions on is a [`Forward`].
pub trait Hints {
    /// The driver begins a block. What is known already: nothing at an entry; what the parent has
    /// saved at a label, whose own declaration comes now; all but its own condition at a block.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn block(&mut self, start: Start, state: &State) -> Result<(), Error>;
    /// The driver is done: nothing may be left.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn end(&mut self) -> Result<(), Error>;
    /// The judge has done so much more work ([`crate::judge::Judge::burn`]): no question, but a
    /// host that has to let others run can do so. Data is judged without any question.
    fn worked(&mut self, units: usize);
    /// Next ghost here, or `None`: asked until `None`.
    ///
    /// # Errors
    /// As said above; so for each method.
    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error>;
    /// The judge sees this by bounds or a fact: no question, but who tells a person how things were
    /// proved, or wants to know what is needed for it, hears of it.
    fn seen(&mut self, state: &State, what: Seen<'_>);
    /// Certificate for `goal`, a `>=` that neither bounds nor a fact decide.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error>;
    /// On which side to show `term /= 0`: positive (true) or negative, which is asked next by
    /// [`Hints::prove`] unless it is known.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool, Error>;
    /// Rule operand-read, where bounds do not decide: is `term` provably in the range of `bits`
    /// read `signed`? If true, what is not known of it is asked next by [`Hints::prove`]; if false,
    /// it is read as a fresh integer.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn in_range(
        &mut self,
        state: &State,
        term: &Term,
        bits: u8,
        signed: bool,
    ) -> Result<bool, Error>;
    /// Should the optional consequence of a rule be drawn (facts of compares and of rows that need
    /// ranges), though bounds do not show all of its premises? They are asked next.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool, Error>;
    /// Rule range-facts: a load is about to append `facts` about the value that it read, which are
    /// no bounds. Should it?
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn range_facts(&mut self, state: &State, facts: &[Fact]) -> Result<bool, Error>;
    /// Through what does this access of `width` bytes at base + offset go?
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn access(
        &mut self,
        state: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Error>;
    /// Rule shape, array: `position = size * j + c`; which j and c?
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn element(
        &mut self,
        state: &State,
        position: &Term,
        size: u32,
        count: &Term,
        width: u32,
    ) -> Result<(Term, u32), Error>;
    /// Values for the variables of `sig` (pre-state), in order.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn call(&mut self, state: &State, sig: &Sig) -> Result<Vec<Inst>, Error>;
    /// Values for the variables of our own post-state (`kinds` with theta of the pre-state the
    /// identity), at a return or after the callee of a tail call. They are `Free(first..)` in
    /// `post`.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn post(
        &mut self,
        state: &State,
        first: u16,
        kinds: &[Kind],
        post: &Assertion,
    ) -> Result<Vec<Inst>, Error>;
    /// The values, or the premises, that were answered last are not needed any more: no question,
    /// but who answers may use their room again.
    fn spare(&mut self, answered: Room);
    /// The first way leads to the label at text offset `to`. On which scope does the label hang?
    /// 0: on one that is opened here; k: on the k-th of the chain, counted from its end.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error>;
    /// What that label declares, which hangs on the scope of this mark: goes into the record, which
    /// is empty.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error>;
    /// Values for the own variables of the label at text offset `to`, whose record it is.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn label(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: Declared<'_>,
    ) -> Result<Vec<Inst>, Error>;
    /// Template of a conditional move of `moved` over `kept`; the fresh integers start at
    /// `Free(state.scope.len())`.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error>;
    /// Which capability of the state is the wanted one (after substitution)? Asked where a rule
    /// takes entries out of C, once per wanted entry; the comparison itself is the rule's.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn take(&mut self, state: &State, wanted: &Cap) -> Result<u16, Error>;
    /// Which view of the state is the wanted one? `Data` for an object's own. The comparison itself
    /// is the rule's.
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn view(&mut self, state: &State, wanted: &View) -> Result<Through, Error>;
    /// Rule ea-form without a base: in which data object does this absolute address stand?
    ///
    /// # Errors
    /// See [`Hints::ghost`].
    fn data(&mut self, state: &State, address: &Term) -> Result<DataId, Error>;
}
