//! TCB. Why something was refused: the rule, the place, the evidence. No prose: tal-check and the
//! loader put it in words.

use crate::term::{Term, TooBig, Var};
use crate::ty::{Base, Fact, Reg, Word};
use alloc::boxed::Box;

macro_rules! rules {
    ($($variant:ident $name:literal,)*) => {
        /// The rules of core.md by their ids. A refusal names the rule whose premise failed.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        #[allow(missing_docs, reason = "each is a heading of docs/spec")]
        pub enum Rule { $($variant,)* }

        impl Rule {
            /// Every rule, in the order of the specification.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// The id: kebab-case, as in the specification.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }
        }
    };
}

rules! {
    // 4.1, 4.2
    TermForm "term-form", TermSubst "term-subst", FactSource "fact-source",
    Learn "learn", Cut "cut", SizeFacts "size-facts", RangeFacts "range-facts",
    ProveConstant "prove-constant", ProveBounds "prove-bounds", ProveLookup "prove-lookup",
    ProveComb "prove-comb", ProveNe "prove-ne", StepComb "step-comb", StepCut "step-cut",
    StepNeq "step-neq", StepProd "step-prod", StepBound "step-bound",
    // 4.3
    WfSize "wf-size", WfStruct "wf-struct", WfNamed "wf-named", WfEx "wf-ex",
    WfWordType "wf-word-type", WfGuard "wf-guard", WfSig "wf-sig", WfLabel "wf-label",
    // 4.4
    NameNarrow "name-narrow", GuardTrue "guard-true", GuardFalse "guard-false",
    GuardAdd "guard-add", GuardVoid "guard-void",
    // 4.5
    EntrySplit "entry-split", EntryJoin "entry-join", EntryOne "entry-one",
    EntryEqual "entry-equal", RetypeJunk "retype-junk", RetypeShape "retype-shape",
    RetypeZero "retype-zero", RetypePlain "retype-plain", EntryUnfold "entry-unfold",
    EntryFold "entry-fold", EntryOpen "entry-open", EntryPack "entry-pack",
    FieldClose "field-close", EntryLeak "entry-leak",
    HasInt "has-int", HasKnown "has-known", HasOwn "has-own", HasNull "has-null",
    HasRef "has-ref",
    // 4.6
    Borrow "borrow", Share "share", RegionEnd "region-end", ViewWeaken "view-weaken",
    ViewPart "view-part", ViewUnfold "view-unfold", ViewOpen "view-open",
    // 4.7
    EaForm "ea-form", AccessEntry "access-entry", AccessView "access-view", Shape "shape",
    LoadEntry "load-entry", LoadView "load-view", StoreStrong "store-strong",
    StoreWeak "store-weak",
    // 4.8
    OperandRead "operand-read", PublicDefault "public-default", Write64 "write-64",
    Write32 "write-32", WritePart "write-part", FlagsWrite "flags-write", Renorm "renorm",
    // 4.9
    RowMov "row-mov", RowMovzx "row-movzx", RowMovsx "row-movsx", RowCdq "row-cdq",
    RowLea "row-lea", RowAdd "row-add", RowSub "row-sub", RowCmp "row-cmp",
    RowTest "row-test", RowInc "row-inc", RowNeg "row-neg", RowAdc "row-adc",
    RowImul "row-imul", RowMul "row-mul", RowShl "row-shl", RowShr "row-shr",
    RowShiftCl "row-shift-cl", RowRol "row-rol", RowAnd "row-and", RowOr "row-or",
    RowDiv "row-div", RowIdiv "row-idiv", RowCmov "row-cmov", RowSetcc "row-setcc",
    RowXchg "row-xchg", RowRepMovs "row-rep-movs", RowRepStos "row-rep-stos",
    RowString "row-string", RowPopcnt "row-popcnt", RowBt "row-bt", RowNop "row-nop",
    RowRefused "row-refused",
    // 4.10
    FlagsRead "flags-read", CmpPublic "cmp-public", CmpSame "cmp-same", CmpOther "cmp-other",
    Pick "pick",
    // 4.11
    StackMove "stack-move", Push "push", Pop "pop", LoadSlot "load-slot",
    StoreSlot "store-slot", Carve "carve", FrameWord "frame-word", Uncarve "uncarve",
    // 4.12
    Apply "apply", Call "call", CallNever "call-never", JumpNever "jump-never",
    Return "return", TailCall "tail-call", CodeAddress "code-address", CodeSub "code-sub",
    Jump "jump", Cond "cond", Fall "fall", JumpTable "jump-table", EntryState "entry-state",
    // 4.13
    MatchWord "match-word", Entail "entail", GhostPlace "ghost-place",
    // 4.14
    DataObject "data-object", DataInit "data-init", TableObject "table-object",
    Import "import",
    // 4.15, 4.16
    Driver "driver", Walk "walk", Scope "scope", EdgeBlock "edge-block", EdgeLabel "edge-label",
    LabelState "label-state", Frozen "frozen", Claim "claim",
    Decode "decode", Wire "wire", Limit "limit",
}

/// Evidence: what was needed and what was there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A fact that was needed is not proved: no certificate, or one that does not check.
    NotProved(Box<Fact>),
    /// A word of another class was needed in this place.
    WrongWord(Box<Word>),
    /// This register does not hold what it must.
    WrongRegister(Reg, Box<Word>),
    /// The slot at this offset does not hold what it must, is lent, or does not exist.
    WrongSlot(i64),
    /// No access of this width at this place of the memory.
    NoAccess(Base, Box<Term>, u32),
    /// A hint names something that does not exist or does not fit (position, kind, order).
    BadHint,
    /// A capability that must be there is not, or one is left over.
    Capability,
    /// The region's token is not held.
    DeadRegion,
    /// The name may still be null or an error number, or still an address.
    Undecided(Var),
    /// A condition reads flags that may not be read, or would split an alternative of a name.
    Flags,
    /// A term leaves the bounds of term-form.
    TooBig,
    /// Number of things above its limit, or out of fuel.
    Limit,
    /// A stack depth, probe or lent premise fails at this depth.
    Depth(i64),
    /// The instruction has no row: its opcode, as `0x0FAF` where 0F begins it.
    Refused(u16),
    /// The bytes are no instruction, or not this one encoding.
    Undecodable,
    /// A target is no start, label or entry where it must be one.
    BadTarget(u64),
    /// A type, declaration, or image is not well formed.
    IllFormed,
    /// Annotation bytes are malformed at this offset of the section.
    Malformed(u32),
    /// The annotations are of this version, which is not ours.
    Version(u8),
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Whose premise failed.
    pub rule: Rule,
    /// Text offset of the instruction (of the target for label states); `None` for tables, data.
    pub site: Option<u32>,
    /// Evidence.
    pub kind: Kind,
}

impl Error {
    /// A refusal whose place the driver fills in.
    #[must_use]
    pub fn new(rule: Rule, kind: Kind) -> Self {
        Error { rule, site: None, kind }
    }
}

/// `term.add(..).or_refuse(rule)?`
pub trait OrRefuse<T> {
    /// The value, or a refusal by `rule`.
    ///
    /// # Errors
    /// When there is no value.
    fn or_refuse(self, rule: Rule) -> Result<T, Error>;
}

impl<T> OrRefuse<T> for Result<T, TooBig> {
    fn or_refuse(self, rule: Rule) -> Result<T, Error> {
        self.map_err(|TooBig| Error::new(rule, Kind::TooBig))
    }
}

impl<T> OrRefuse<T> for Option<T> {
    fn or_refuse(self, rule: Rule) -> Result<T, Error> {
        self.ok_or_else(|| Error::new(rule, Kind::BadHint))
    }
}
