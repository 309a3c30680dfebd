//! Not trusted: a bug here can reject, never admit. An entry for compilers: instructions, states
//! and ghosts in, annotations or an error out.
//!
//! A compiler knows what holds where ways meet, since it made the code. So nothing is inferred
//! here: each label where ways meet comes with its state ([`LabelState`]), and what these states do
//! not show is refused, with the function, the instruction and the rule of the judge. There is no
//! second effort, and nothing is planned: ghosts are those that are handed over, with sizes of
//! memory behind entries and labels. One that cannot be is left out, and what follows is refused.
//!
//! # What is looked up
//!
//! The judge asks, and is answered by one look at the state: through which view or entry an access
//! goes (the one that shows its bounds), on which scope a label hangs (the branch that dominates
//! it, [`crate::scopes`]), and what stands for the variables of a callee or label (what its places
//! hold, by unification). A label takes over from that scope what nothing in between writes, so of
//! such places more is known than may have been said. A certificate is what bounds, a single fact,
//! a shortest path or one linear program show ([`crate::prove`]).
//!
//! # Why instructions, and not bytes
//!
//! A compiler that emits iced-x86 has [`Instruction`]s, and does not know how far its jumps go. So
//! it hands over these, jumps and calls by what they lead to ([`To`]), and operands that name
//! data by its number; lengths of jumps, addresses and gates are chosen here, by the code that does
//! it for sources ([`crate::asm`], `lower/draft.rs`, `lower/link.rs`). So there is one encoder, and
//! it writes only what the judge reads. A state belongs to the number of an instruction, since no
//! offset is known before lengths are; a label inside an instruction cannot be written down.
//!
//! # Cost
//!
//! Each instruction is encoded once. Functions are judged by groups of a fixed number, on all
//! cores; the output does not depend on how many there are. A function is judged once with the
//! answers written down. One that owns or lends memory, or has ghosts, is judged once before, to
//! see what changes between labels; with [`Options::needed`] each is judged once more, to drop the
//! facts of labels that no proof rests on. In each judging the work of an instruction depends on
//! the size of its state alone: so it is linear in the length of functions and in their number.

mod build;
mod of;
mod refused;

pub use crate::lower::draft::Symbol;
pub use refused::{Refused, Why};
pub use tal_syntax::ast::Section;

use crate::annotate::{self, Piece};
use crate::asm::Branch;
use crate::check::{self, Checked};
use crate::explore::TOGETHER;
use crate::host::Host;
use crate::lowered::{GhostOp, Lowered, WrittenVar};
use crate::needed::needed_on;
use crate::part::{self, Part};
use crate::plan::Busy;
use crate::scopes;
use crate::simplex;
use iced_x86::{Instruction, OpKind};
use rayon::prelude::*;
use tal_core::counted::Rc;
use tal_core::error::Error;
use tal_core::ty::{DataId, FnId, Mem, Mode, NamedType, Sig};
use tal_write::{Label, LabelState};

/// A program as a compiler has it.
#[derive(Clone, Debug)]
pub struct Program {
    /// What its host offers: [`crate::interface::host`].
    pub host: Rc<Host>,
    /// Its named types: `TypeId(host.interface.types.len() + i)` is `types[i]`.
    pub types: Vec<NamedType>,
    /// `FnId(i)` is `functions[i]`.
    pub functions: Vec<Function>,
    /// `DataId(i)` is `data[i]`: first what is read only, then what is initialised, then zeroes.
    pub data: Vec<Data>,
    /// Where the program starts, with the signature of the interface's start; a library has none.
    pub start: Option<FnId>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name, for symbols and refusals.
    pub name: String,
    /// Is it for others, too?
    pub public: bool,
    /// Its signature.
    pub sig: Rc<Sig>,
    /// Its instructions. Where an indirect jump may arrive there is an `endbr64`.
    pub code: Vec<Op>,
    /// `LabelId(i)` is `labels[i]`, in any order.
    pub labels: Vec<Place>,
    /// Ghosts; those before one instruction in their order.
    pub ghosts: Vec<Ghost>,
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// One that names no other place of the program.
    Plain(Instruction),
    /// One with a memory operand that counts from this symbol on: relative to rip, or, with other
    /// registers, as an absolute address. What it has as displacement is added.
    Symbol(Instruction, Symbol),
    /// A jump or call, in the shortest form that reaches.
    Branch(Branch, To),
}

/// Where a jump or call leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// Within the function.
    Label(LabelId),
    /// To the entry of a function.
    Function(FnId),
    /// To the import of this number in the interface.
    Import(u16),
}

/// A label of a function, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LabelId(pub u32);

/// What a label stands for.
#[derive(Clone, Debug)]
pub struct Place {
    /// The instruction behind it, by number.
    pub at: usize,
    /// A name for debuggers; most need none.
    pub name: Option<String>,
    /// What holds there. A place to which a single jump leads needs none; every other does, and so
    /// does each target of a jump table. Its own variables are numbered behind those of the
    /// signature: the label hangs on the root as far as its compiler is concerned.
    pub state: Option<Rc<LabelState>>,
}

/// A ghost.
#[derive(Clone, Debug)]
pub struct Ghost {
    /// Where.
    pub at: Spot,
    /// What it does.
    pub op: GhostOp,
    /// The variables that it uses: `Free(n + j)` is `vars[j]`, `n` variables being the signature's.
    /// Each is what a register or slot holds at that point.
    pub vars: Vec<WrittenVar>,
}

/// Where a ghost stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spot {
    /// Before the instruction of this number, whichever way leads there.
    Before(usize),
    /// On the way from the instruction before this one into the label that stands here. On other
    /// ways it stands before the jump.
    Into(usize),
}

/// A data object.
#[derive(Clone, Debug)]
pub struct Data {
    /// Its name, for symbols.
    pub name: String,
    /// Is it for others, too?
    pub public: bool,
    /// Where it lies.
    pub section: Section,
    /// What is there.
    pub contents: Contents,
}

/// What a data object consists of.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Typed memory.
    Memory {
        /// Closed type.
        mem: Rc<Mem>,
        /// `Ro` or `Rw`, as the section.
        mode: Mode,
        /// Bytes.
        size: u32,
        /// The bytes, all of them; zeroes have none.
        bytes: Option<Vec<u8>>,
        /// Eight bytes each that become an address: offset, object, what is added.
        addresses: Vec<(u32, DataId, i64)>,
    },
    /// A jump table of a function.
    Table {
        /// The function.
        function: FnId,
        /// Its labels.
        targets: Vec<LabelId>,
    },
}

/// How annotations are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Judge once more, and write only those facts of labels that some proof rests on. A compiler
    /// that states what it needs gains nothing by that.
    pub needed: bool,
}

impl From<Instruction> for Op {
    /// A near branch leads to the label whose number is its target; all else names no place.
    fn from(instruction: Instruction) -> Op {
        let near = instruction.op_count() == 1 && instruction.op0_kind() == OpKind::NearBranch64;
        match Branch::of(&instruction).filter(|_| near) {
            Some(branch) => {
                let to = u32::try_from(instruction.near_branch64()).unwrap_or(u32::MAX);
                Op::Branch(branch, To::Label(LabelId(to)))
            }
            None => Op::Plain(instruction),
        }
    }
}

/// The program with its annotations. That the section was recorded by a judge that refused nothing
/// is not yet a verdict on what was written: who loads it judges that, and so does `tal-asm` before
/// it writes a file.
///
/// # Errors
/// The first reason in the order of the text: what is malformed, then what is declared, then what
/// the judge refuses.
pub fn annotate(program: &Program, options: Options) -> Result<Checked, Box<Refused>> {
    let (lowered, labels) = build::build(program)?;
    annotated(lowered, labels, options)
}

/// The same when it is encoded. Not inlined, so that its cost can be counted alone.
#[inline(never)]
fn annotated(
    lowered: Lowered,
    labels: Vec<Label>,
    options: Options,
) -> Result<Checked, Box<Refused>> {
    let image = lowered.image(&labels);
    let refused = |error| Box::new(Refused::judged(&lowered, &image, &labels, error));
    check::tables(&lowered, &image).map_err(refused)?;
    let ids = lowered.ids();
    let group = |functions: &[FnId]| {
        let part = Part { lowered: &lowered, image: &image, functions };
        let own = own_labels(part, &labels);
        let before = part::fuel() + simplex::work();
        let piece = piece(part, own, options);
        piece.map(|piece| (piece, part::fuel() + simplex::work() - before))
    };
    let pieces: Vec<Result<(Piece, u64), Error>> = ids.par_chunks(TOGETHER).map(group).collect();
    // The first refusal, whichever was found first.
    let pieces: Result<Vec<(Piece, u64)>, Error> = pieces.into_iter().collect();
    let pieces = pieces.map_err(refused)?;
    drop(image);
    let work = pieces.iter().map(|(_, spent)| spent).sum();
    let whole = Piece::joined(pieces.into_iter().map(|(piece, _)| piece));
    let section = whole.section(&lowered);
    Ok(Checked::of(lowered, whole, section, work))
}

/// The labels of the functions of a part.
fn own_labels<'a>(part: Part<'_>, labels: &'a [Label]) -> &'a [Label] {
    let mut own = part.lowered.some(part.functions).map(|(_, function)| function);
    let Some(first) = own.next() else { return &[] };
    let (start, end) = (first.offset, own.last().unwrap_or(first).end());
    let at = |offset: u32| labels.partition_point(|label| label.offset < offset);
    labels.get(at(start)..at(end)).unwrap_or_default()
}

/// What is written of some functions.
fn piece(part: Part<'_>, labels: &[Label], options: Options) -> Result<Piece, Error> {
    let busy = Busy::as_written();
    let mut plan = scopes::plan_ahead(part, labels, &busy)?;
    plan.busy = Some(busy.clone());
    if options.needed {
        let needed = needed_on(part, labels, &plan)?;
        let known = Some((needed.records, needed.ghosts));
        let (records, recorded) = annotate::record_with(part, labels, &plan, known, Some(&busy))?;
        return Ok(Piece { labels: needed.labels, records, recorded });
    }
    let (records, recorded) = annotate::record_with(part, labels, &plan, None, Some(&busy))?;
    Ok(Piece { labels: labels.to_vec(), records, recorded })
}
