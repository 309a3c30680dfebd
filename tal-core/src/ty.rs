//! TCB. Words, facts, memory types, capabilities, signatures, label states, images: the data that
//! the rules speak about (core.md 2). Plain data; what makes it well formed is in `wf.rs`.

use crate::counted::Rc;
use crate::limits;
use crate::term::{Term, Var};
use alloc::vec::Vec;
use core::ops::Deref;

/// General registers in encoding order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Reg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Reg {
    /// All sixteen, in encoding order.
    pub const ALL: [Reg; 16] = [
        Reg::Rax,
        Reg::Rcx,
        Reg::Rdx,
        Reg::Rbx,
        Reg::Rsp,
        Reg::Rbp,
        Reg::Rsi,
        Reg::Rdi,
        Reg::R8,
        Reg::R9,
        Reg::R10,
        Reg::R11,
        Reg::R12,
        Reg::R13,
        Reg::R14,
        Reg::R15,
    ];

    /// Of all 64 bits, as in assembly.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reg::Rax => "rax",
            Reg::Rcx => "rcx",
            Reg::Rdx => "rdx",
            Reg::Rbx => "rbx",
            Reg::Rsp => "rsp",
            Reg::Rbp => "rbp",
            Reg::Rsi => "rsi",
            Reg::Rdi => "rdi",
            Reg::R8 => "r8",
            Reg::R9 => "r9",
            Reg::R10 => "r10",
            Reg::R11 => "r11",
            Reg::R12 => "r12",
            Reg::R13 => "r13",
            Reg::R14 => "r14",
            Reg::R15 => "r15",
        }
    }

    /// Preserved by every callee (System V).
    #[must_use]
    pub fn callee_saved(self) -> bool {
        matches!(self, Reg::Rbx | Reg::Rbp | Reg::R12 | Reg::R13 | Reg::R14 | Reg::R15)
    }
}

/// The relation of a [`Fact`] to zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rel {
    /// `term >= 0`
    Ge,
    /// `term = 0`
    Eq,
    /// `term /= 0`
    Ne,
}

/// A statement about integers: `term rel 0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fact {
    /// Relation to zero.
    pub rel: Rel,
    /// Left side.
    pub term: Term,
}

/// Index of a data object of the image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DataId(pub u16);
/// Index of a function of the image, in address order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FnId(pub u32);
/// Index of an import of the image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ImportId(pub u16);
/// Index of a named type; the interface's come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TypeId(pub u32);
/// Index of an origin of the interface (`heap`, `map`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OriginId(pub u16);

/// What a pointer word points from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Base {
    /// A name of kind `Addr`, `Code` or `Word`.
    Name(Var),
    /// A data object of the image.
    Data(DataId),
    /// An entry of the image.
    Code(FnId),
}

/// What is known of a 64-bit register or stack slot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Word {
    /// Public data, congruent to the term modulo 2^64.
    Int(Term),
    /// Base plus term modulo 2^64; not public.
    Ptr(Base, Term),
    /// rsp at entry plus the constant. Local.
    Frame(i64),
    /// The return address. Local.
    ReturnAddress,
    /// Entry value of a callee-saved register. Local.
    Saved(Reg),
    /// Anything. Unreadable.
    Junk,
}

impl Word {
    /// [`Term::allocated`] of its term.
    pub(crate) fn allocated(&self) -> usize {
        match self {
            Word::Int(term) | Word::Ptr(_, term) => term.allocated(),
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => 0,
        }
    }
}

/// Up to two disjoint intervals inside [-2^15, 2^15), neither crossing zero, increasing: the
/// alternatives of a name that are not addresses. Unused places are `None`, at the end.
pub type Small = [Option<(i16, i16)>; 2];

/// What a name of kind `Addr` may still be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NameSet {
    /// May be an address in [2^16, 2^47).
    pub address: bool,
    /// May be one of these small integers.
    pub small: Small,
}

impl NameSet {
    /// Certainly an address.
    pub const ADDRESS: NameSet = NameSet { address: true, small: [None, None] };
    /// An address or null.
    pub const NULLABLE: NameSet = NameSet { address: true, small: [Some((0, 0)), None] };

    /// Is it decided to be an address?
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.address && self.small == [None, None]
    }
}

/// The host made [x, x + extent) as one block of this origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Block {
    /// Who made it.
    pub origin: OriginId,
    /// Bytes.
    pub extent: Term,
}

/// The least and the greatest value that an integer may have, each below [`limits::CONSTANT`] in
/// magnitude; either may be missing. With the least above the greatest there is no such integer,
/// and nothing is wrong with that: no execution is where one is declared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounds {
    /// [`i128::MIN`]: missing.
    low: i128,
    /// [`i128::MAX`]: missing.
    high: i128,
}

impl Bounds {
    /// Neither.
    pub const NONE: Bounds = Bounds { low: i128::MIN, high: i128::MAX };

    /// Those that most integers have: of 8, 16, 32 and 64 bits, unsigned, then signed, and of a
    /// truth value.
    pub const COMMON: [Bounds; 9] = [
        Bounds::of_bits(8, false),
        Bounds::of_bits(16, false),
        Bounds::of_bits(32, false),
        Bounds::of_bits(64, false),
        Bounds::of_bits(8, true),
        Bounds::of_bits(16, true),
        Bounds::of_bits(32, true),
        Bounds::of_bits(64, true),
        Bounds { low: 0, high: 1 },
    ];

    /// These bounds; `None` if one is too large.
    #[must_use]
    pub fn new(low: Option<i128>, high: Option<i128>) -> Option<Bounds> {
        let fits = |bound: Option<i128>| {
            bound.is_none_or(|b| -limits::CONSTANT < b && b < limits::CONSTANT)
        };
        let bounds = Bounds { low: low.unwrap_or(i128::MIN), high: high.unwrap_or(i128::MAX) };
        (fits(low) && fits(high)).then_some(bounds)
    }

    /// The numbers of `bits` (at most 64) bits.
    #[must_use]
    pub const fn of_bits(bits: u8, signed: bool) -> Bounds {
        let (low, high) = range(bits, signed);
        Bounds { low, high }
    }

    /// The least value, if there is one.
    #[must_use]
    #[inline]
    pub fn low(&self) -> Option<i128> {
        (self.low != i128::MIN).then_some(self.low)
    }

    /// The greatest value, if there is one.
    #[must_use]
    #[inline]
    pub fn high(&self) -> Option<i128> {
        (self.high != i128::MAX).then_some(self.high)
    }

    /// The greatest, or the least, value.
    #[inline]
    pub(crate) fn extreme(&self, greatest: bool) -> Option<i128> {
        if greatest { self.high() } else { self.low() }
    }

    /// What lies within both.
    #[must_use]
    pub fn and(self, other: Bounds) -> Bounds {
        Bounds { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

impl core::fmt::Debug for Bounds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.low(), self.high()) {
            (None, None) => f.write_str(".."),
            (Some(low), None) => write!(f, "{low}.."),
            (None, Some(high)) => write!(f, "..={high}"),
            (Some(low), Some(high)) => write!(f, "{low}..={high}"),
        }
    }
}

/// Least and greatest value of `bits` (at most 64) bits.
#[must_use]
pub const fn range(bits: u8, signed: bool) -> (i128, i128) {
    let bits = match bits {
        1..=64 => bits,
        0 => 1,
        _ => 64,
    };
    if signed {
        let half = 1_i128 << bits.saturating_sub(1);
        (half.saturating_neg(), half.saturating_sub(1))
    } else {
        (0, (1_i128 << bits).saturating_sub(1))
    }
}

/// Declaration of a variable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A mathematical integer within bounds.
    Int(Bounds),
    /// An address or one of a few small integers; `set.address` is true in a declaration.
    Addr {
        /// The alternatives.
        set: NameSet,
        /// Claim about the case that it is an address.
        block: Option<Block>,
    },
    /// The address of an entry that can be called at this signature.
    Code(Rc<Sig>),
    /// A fixed 64-bit value, copyable, of which nothing is known; never public.
    Word,
    /// A time during which memory is lent.
    Region,
    /// An unknown set of entries.
    Store,
}

impl Kind {
    /// Any integer.
    pub const INT: Kind = Kind::Int(Bounds::NONE);

    /// The declared bounds of an integer; of nothing else there are any.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Kind::Int(bounds) => Some(*bounds),
            Kind::Addr { .. } | Kind::Code(_) | Kind::Word | Kind::Region | Kind::Store => None,
        }
    }
}

/// May memory be written through this view, by whom?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Read and write, keeping the type.
    Rw,
    /// Nobody writes.
    Ro,
    /// Read only; others may write.
    Rd,
}

/// Pointee of `own` and `ref` fields, and memory in general.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mem {
    /// Fields sorted by offset, disjoint, inside `size` bytes; gaps are junk.
    Struct {
        /// The fields.
        fields: Vec<Field>,
        /// Bytes.
        size: u32,
    },
    /// `arr(count, element)`.
    Array(Term, Rc<Mem>),
    /// Public bytes.
    Bytes(Term),
    /// Uninitialised bytes.
    Junk(Term),
    /// Bytes known to be zero.
    Zero(Term),
    /// The first part, directly followed by the second. Canonical: the first part is no `Cat`.
    Cat(Rc<Mem>, Rc<Mem>),
    /// `ex n.. {facts} body`: integers `Bound(0..vars)` exist with the facts such that body.
    Ex {
        /// How many integers are bound.
        vars: u16,
        /// Facts about them.
        facts: Vec<Fact>,
        /// The memory.
        body: Rc<Mem>,
    },
    /// A named type with its integer arguments.
    Named(TypeId, Vec<Term>),
}

/// Field of a struct.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Field {
    /// Byte offset in the struct.
    pub offset: u32,
    /// False: never written through a view.
    pub writable: bool,
    /// What it holds.
    pub ty: FieldTy,
}

/// Type of a field (tau of core.md 2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FieldTy {
    /// `int(bits, sign){v. facts}`; facts mention [`Var::Value`].
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Range is the signed one.
        signed: bool,
        /// Refinement.
        facts: Vec<Fact>,
    },
    /// Exactly this word (8 bytes): `= I(e)` or `= P(x,e)`. Not in named types with `P`.
    Known(Word),
    /// Pointer that owns what it points to; with an origin, the whole block.
    Own {
        /// May be null.
        nullable: bool,
        /// `@o`.
        origin: Option<OriginId>,
        /// What it owns.
        mem: Rc<Mem>,
    },
    /// Pointer to memory shared for ever.
    Ref {
        /// May be null.
        nullable: bool,
        /// Mode of the view that a load yields.
        mode: Mode,
        /// What it points to.
        mem: Rc<Mem>,
    },
    /// Uninitialised bytes: 1, 2, 4 or 8.
    Junk(u8),
}

/// Condition under which an entry or view exists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guard {
    /// `low <= term <= high`.
    Range(Term, i64, i64),
    /// The name is an address.
    IsAddress(Var),
    /// The name is in this one of its small intervals.
    IsSmall(Var, i16, i16),
}

/// Owned memory: `guards  base+offset ~> mem`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// All must hold for the entry to exist. At most [`crate::limits::GUARDS`].
    pub guards: Vec<Guard>,
    /// Name (owned memory never stands at data or code).
    pub name: Var,
    /// Bytes from the name.
    pub offset: Term,
    /// What is there.
    pub mem: Rc<Mem>,
}

/// Something owned, used exactly once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cap {
    /// Memory.
    Entry(Entry),
    /// An entry set aside while the region lives. Never in signatures.
    Token(Var, Entry),
    /// The unknown set of entries that this variable of kind `Store` stands for.
    Store(Var),
}

/// A region: a variable or the time that never ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Region {
    /// Never ends.
    Always,
    /// Variable of kind `Region`.
    Var(Var),
}

/// Lent or shared memory: `guards  region mode base+offset ~> mem`. Copyable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct View {
    /// As for [`Entry`].
    pub guards: Vec<Guard>,
    /// How long.
    pub region: Region,
    /// What may be done.
    pub mode: Mode,
    /// A name of kind `Addr`, or a data object.
    pub base: Base,
    /// Bytes from the base.
    pub offset: Term,
    /// What is there.
    pub mem: Rc<Mem>,
}

/// What registers hold, by number; of those that are not there nothing is said.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Words(Vec<(Reg, Word)>);

impl Words {
    /// Of these registers, each of them once, by increasing number; of each something is said.
    #[must_use]
    pub fn of(words: Vec<(Reg, Word)>) -> Option<Words> {
        let said = words.iter().all(|(_, word)| holds!(*word != Word::Junk));
        let once = words.is_sorted_by(|(a, _), (b, _)| holds!(a < b));
        (said && once).then_some(Words(words))
    }

    /// What is said of a register; `Junk` if nothing.
    #[must_use]
    pub fn get(&self, reg: Reg) -> &Word {
        let said = self.0.iter().find(|(of, _)| *of == reg);
        said.map_or(&Word::Junk, |(_, word)| word)
    }

    /// Says it of a register in place of what was said; `Junk`: nothing any more.
    pub fn set(&mut self, reg: Reg, word: Word) {
        let at = self.0.partition_point(|(of, _)| *of < reg);
        self.0.retain(|(of, _)| *of != reg);
        if word != Word::Junk {
            self.0.insert(at.min(self.0.len()), (reg, word));
        }
    }
}

impl Deref for Words {
    type Target = [(Reg, Word)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A pre-state or post-state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Assertion {
    /// Facts about the variables.
    pub facts: Vec<Fact>,
    /// Only `Int` and `Ptr`.
    pub regs: Words,
    /// Stack slots by byte offset: in a pre-state from the callee's entry rsp (8, 16, ..), in a
    /// post-state the same places. Sorted.
    pub args: Vec<(u16, Word)>,
    /// Views.
    pub views: Vec<View>,
    /// Entries and at most one store variable.
    pub caps: Vec<Cap>,
}

/// Signature of an entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Sig {
    /// Variables of the pre-state: `Free(0..)`; `Inner(0..)` when nested in another signature.
    pub vars: Vec<Kind>,
    /// What the caller brings.
    pub pre: Assertion,
    /// What the callee leaves; `None` for `never`.
    pub post: Option<Post>,
}

impl Sig {
    /// Says nothing, of an entry that never returns. Made here, where nothing else is on the stack.
    #[must_use]
    #[inline(never)]
    pub fn nothing() -> Rc<Sig> {
        Rc::default()
    }
}

/// Post-state of a signature.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Post {
    /// Variables that the callee chooses; numbered after the pre-state's.
    pub vars: Vec<Kind>,
    /// What holds at the return.
    pub state: Assertion,
}

/// A named type. The flags are declared and recomputed (rule[wf-named]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedType {
    /// Integer parameters `Param(0..arity)`.
    pub arity: u16,
    /// Bytes.
    pub size: u32,
    /// All-zero bytes are a value.
    pub zero_ok: bool,
    /// Plain integers and bytes only.
    pub plain: bool,
    /// Owns memory by value.
    pub owns: bool,
    /// A struct, or an `ex` over a struct.
    pub body: Rc<Mem>,
}

/// Bytes of the frame that became a named location (rule[carve]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lent {
    /// Offset from the entry rsp, multiple of 8.
    pub offset: i64,
    /// Bytes, multiple of 8.
    pub size: i64,
    /// The location.
    pub name: Var,
}

/// What a label declares: how its state differs from the one that its parent has saved (L of
/// core.md 2). Its own variables are numbered from the parent's mark, so that variable i is
/// `Free(mark + i)`; other variables are those below the mark.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of [`Record`]")]
pub struct Declared<'r> {
    pub vars: &'r [Kind],
    pub refinements: &'r [(Var, NameSet)],
    pub facts: &'r [Fact],
    pub regs: &'r [(Reg, Word)],
    pub frame: Option<(i64, i64)>,
    pub slots: &'r [(i64, Word)],
    pub lent: Option<&'r [Lent]>,
    pub views: &'r [View],
    pub caps: Option<&'r [Cap]>,
}

/// The same as it is made, before it is found well formed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// Its own variables.
    pub vars: Vec<Kind>,
    /// Names below the mark that are known better here than they were there.
    pub refinements: Vec<(Var, NameSet)>,
    /// Own facts. Those below the mark stay.
    pub facts: Vec<Fact>,
    /// Registers that hold something else, by number; not rsp, which is `Frame(delta)`.
    pub regs: Vec<(Reg, Word)>,
    /// If they are others: rsp minus the entry rsp (not positive, multiple of 8), and the lowest
    /// offset known to be touched.
    pub frame: Option<(i64, i64)>,
    /// Slots that hold something else, by offset, at or above rsp; junk if nothing is known. Those
    /// below rsp are gone.
    pub slots: Vec<(i64, Word)>,
    /// Lent parts of the frame, sorted, if they are others.
    pub lent: Option<Vec<Lent>>,
    /// Own views. Those below the mark stay.
    pub views: Vec<View>,
    /// Everything owned, if it is not the same.
    pub caps: Option<Vec<Cap>>,
}

impl Record {
    /// What it declares.
    #[must_use]
    pub fn declared(&self) -> Declared<'_> {
        Declared {
            vars: &self.vars,
            refinements: &self.refinements,
            facts: &self.facts,
            regs: &self.regs,
            frame: self.frame,
            slots: &self.slots,
            lent: self.lent.as_deref(),
            views: &self.views,
            caps: self.caps.as_deref(),
        }
    }
}
