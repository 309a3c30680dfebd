//! TCB. Every bound of the judge in one place (core.md 4.16).
//!
//! A bound is checked where the thing it bounds is built or decoded, so no later code meets more.

/// Monomials in one term.
pub const MONOMIALS: usize = 12;
/// Largest magnitude of a coefficient of a monomial.
pub const COEFFICIENT: i128 = 1 << 64;
/// The constant of a term stays strictly below this magnitude.
pub const CONSTANT: i128 = 1 << 80;
/// Named types of an image, the interface's included.
pub const TYPES: usize = 1 << 16;
/// Fields of one struct.
pub const FIELDS: usize = 256;
/// Nesting of memory types inside each other.
pub const NESTING: usize = 16;
/// Integer parameters of a named type, and integers bound by one `ex`.
pub const ARITY: usize = 8;
/// Facts in scope at one point.
pub const FACTS: usize = 240;
/// Places and variables on the trail: what was known of them, while more is known or something
/// else.
pub const TRAIL: usize = 1 << 14;
/// Scopes that are open at a time.
pub const SCOPES: usize = 256;
/// Units of work for a mark.
pub const MARK_UNITS: usize = 8;
/// What the terms on the trail have allocated, in [`SAVED_UNIT`]s; and what the capabilities of
/// open scopes weigh together where they are not those of the scope below: with their guards, what
/// terms have allocated, and the types, fields and facts of each type that is not that of the same
/// capability there.
pub const SAVED: usize = 1 << 15;
/// So many bytes that a term has allocated weigh as much as a slot.
pub const SAVED_UNIT: usize = 64;
/// Looking at so much of a copy costs a unit of work.
pub const SAVED_A_UNIT: usize = 8;
/// Variables that a label declares.
pub const LABEL_VARS: usize = 32;
/// Variables that a signature declares (pre-state and post-state together).
pub const SIG_VARS: usize = 64;
/// Variables in scope at one point of a block: the function's, the label's and the fresh ones.
pub const SCOPE_VARS: usize = 4096;
/// Stack slots tracked in a block.
pub const SLOTS: usize = 512;
/// Units of work for a slot that is forgotten, kept on the trail, and known again.
pub const SLOT_UNITS: usize = 4;
/// Stack slots that a label declares.
pub const LABEL_SLOTS: usize = 64;
/// Entries and tokens owned at one point.
pub const CAPS: usize = 32;
/// Views in scope at one point.
pub const VIEWS: usize = 64;
/// Guards of one entry or view.
pub const GUARDS: usize = 4;
/// Ghosts before one instruction or on one edge.
pub const GHOSTS: usize = 32;
/// Premises of one `comb`.
pub const PREMISES: usize = 64;
/// Certificate steps in one block.
pub const STEPS: usize = 256;
/// Bytes of stack below the entry stack pointer.
pub const FRAME: i64 = 1 << 16;
/// Bytes that rsp may lie below the lowest touched byte: one page less the pushes of a call.
pub const PROBE: i64 = 4080;
/// Lowest address of a typed object.
pub const ADDRESS_LOW: i128 = 1 << 16;
/// One past the highest address of a typed object.
pub const ADDRESS_HIGH: i128 = 1 << 47;
/// No object is larger than this many bytes.
pub const OBJECT: i128 = 1 << 46;
/// Size in bytes of one array element.
pub const ELEMENT: i128 = 1 << 20;
/// Images are linked below this address, so that `[table + r]` is encodable.
pub const IMAGE_HIGH: u64 = 1 << 31;
/// Address of the first import gate; gate i stands at `GATES + 16 * i`.
pub const GATES: u64 = 0x0020_0000;
/// Distance in bytes between two gates.
pub const GATE_SIZE: u64 = 16;
/// Imports of one image (one page of gates a host maps holds 256).
pub const IMPORTS: usize = 256;
/// Annotation section: at most `SECTION_FACTOR * text + SECTION_SLACK` bytes.
pub const SECTION_FACTOR: usize = 4;
/// See [`SECTION_FACTOR`].
pub const SECTION_SLACK: usize = 64 * 1024;
/// Memory: judging has at most so many bytes allocated at a time for each byte of text and
/// annotations. All of it is taken by reading, which stops where it would take more.
pub const MEMORY_FACTOR: usize = 16;
/// And so many besides: states, whose parts have the limits above, and what rules make of them.
pub const MEMORY_BESIDES: usize = 16 << 20;
/// The part of [`MEMORY_BESIDES`] that reading may take.
pub const MEMORY_SLACK: usize = 1 << 20;
/// Elements of a list of the records of a function: the room of a longer one is given back when the
/// function is done.
pub const ROOM: usize = 512;
/// Nodes of one memory type that is read or substituted into: types, fields, facts and monomials.
pub const NODES: usize = 1024;
/// Fuel: units of work per byte of text and annotations.
pub const FUEL_FACTOR: u64 = 64;
/// And so many besides.
pub const FUEL_SLACK: u64 = 1 << 20;

/// Bytes of memory that judging takes at most, the allocator's own not counted: what a host has to
/// set aside.
#[must_use]
pub const fn memory(text: usize, section: usize) -> usize {
    let input = text.saturating_add(section);
    input.saturating_mul(MEMORY_FACTOR).saturating_add(MEMORY_BESIDES)
}
