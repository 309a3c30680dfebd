//! Not trusted: a bug here can reject, never admit. What lowering makes of a program: an image
//! without label states, and beside it everything needed to infer these and to talk about them.
//!
//! # Written states
//!
//! A `where` and a ghost are kept as the programmer wrote them, resolved. Their terms speak in the
//! judge's own variables: `Free(0..n)` are the `n` variables of the function's pre-state,
//! `Free(n + j)` is `vars[j]` of the [`Written`] they stand in. A register in an expression became
//! such a variable: `where 0 <= rcx < n` is `vars = [rcx of Origin::Register(Rcx)]`, with the word
//! `rcx = I(vars[0])` and two facts. So a written state is a partial label state: what it does not
//! mention is for inference to find; what it does is what the judge is given. A [`Place::Slot`] in
//! a written state or ghost counts from rsp *there* (`[rsp + 8]` is `Slot(8)`), since only
//! inference knows where rsp stands.

pub use crate::host::{FieldInfo, Host, TypeInfo};
use iced_x86::Instruction;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::hint::{Ghost, Place};
use tal_core::image::{Contents, Data, DataKind, Function, Image, Segment};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, DataId, Fact, FnId, Kind, Mode, Reg, Sig, TypeId, View, Word};
use tal_syntax::Span;
use tal_syntax::ast::Section;
use tal_syntax::source::Sources;
use tal_write::Label;

/// A program, lowered.
#[derive(Debug)]
pub struct Lowered {
    /// All files that were read.
    pub sources: Sources,
    /// The interface it was lowered against.
    pub host: Rc<Host>,
    /// Encoded text, padded between functions.
    pub text: Vec<u8>,
    /// Its absolute address.
    pub text_address: u32,
    /// Its instructions, in address order, padding left out.
    pub code: Vec<Instruction>,
    /// The program's named types; `types[i]` is `TypeId(host.interface.types.len() + i)`.
    pub types: Vec<TypeInfo>,
    /// Signatures; functions with equal ones share.
    pub sigs: Vec<Rc<Sig>>,
    /// In address order.
    pub functions: Vec<FnInfo>,
    /// In address order; `DataId(i)` is `data[i]`.
    pub data: Vec<DataInfo>,
    /// Interface imports used, in gate order.
    pub imports: Vec<u16>,
    /// The program's start; a library has none.
    pub start: Option<FnId>,
    /// Where addresses stand in text and data.
    pub fixups: Vec<Fixup>,
    /// What the tests written into the files expect.
    pub tests: Vec<TestDirective>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct FnInfo {
    /// Its name.
    pub name: String,
    /// Is it `pub`?
    pub public: bool,
    /// Offset in the text.
    pub offset: u32,
    /// Bytes, padding excluded.
    pub size: u32,
    /// Index into [`Lowered::sigs`].
    pub sig: u32,
    /// Names of the signature's variables: `names[i]` is `Free(i)`.
    pub names: Vec<String>,
    /// Instructions in order.
    pub instructions: Vec<Inst>,
    /// The struct whose field an instruction's operand names, by offset (`[rax + node.next]`).
    pub layouts: Vec<(u32, TypeId)>,
    /// Local labels by offset; labels at one place are one.
    pub labels: Vec<LocalLabel>,
    /// Written ghosts by offset.
    pub ghosts: Vec<GhostLine>,
    /// The name in the declaration.
    pub span: Span,
    /// Its written signature, else the name.
    pub sig_span: Span,
    /// Where the registers of its parameters are declared.
    pub params: Vec<(Place, Span)>,
    /// The end of the body.
    pub end_span: Span,
}

impl FnInfo {
    /// One past its last byte, padding excluded.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }
}

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// Offset in the text.
    pub offset: u32,
    /// Bytes.
    pub len: u8,
    /// Its source.
    pub span: Span,
    /// Was it put there by the lowering (`endbr64`)?
    pub implied: bool,
}

/// A place in a function that has a local name.
#[derive(Clone, Debug)]
pub struct LocalLabel {
    /// Offset in the text.
    pub offset: u32,
    /// Its names, dots included.
    pub names: Vec<(String, Span)>,
    /// Does a jump or a jump table go there? (Else it is a comment.)
    pub target: bool,
    /// The written state.
    pub state: Option<Written>,
}

/// Where a variable of a written state comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `some k`, or a name bound by an item.
    Named,
    /// The integer in this place here.
    Place(Place),
    /// The integer in this place here, declared by a type: `rcx: u64`.
    Typed(Place),
    /// The address in this place here, declared by a type: `r12: own node`.
    Address(Place),
}

/// A variable of a written state.
#[derive(Clone, Debug)]
pub struct WrittenVar {
    /// For diagnostics.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
}

/// A `where` behind a label, resolved. See the head of this file.
#[derive(Clone, Debug)]
pub struct Written {
    /// `Free(n + j)` is `vars[j]`.
    pub vars: Vec<WrittenVar>,
    /// Words of the places that are mentioned.
    pub words: Vec<(Place, Word, Span)>,
    /// Facts, in order.
    pub facts: Vec<(Fact, Span)>,
    /// Views.
    pub views: Vec<View>,
    /// Entries and stores that are mentioned.
    pub caps: Vec<Cap>,
    /// Names of the function whose memory it speaks of, and where.
    pub named: Vec<(Var, Span)>,
    /// Its parts, as they stand between the commas.
    pub parts: Vec<Span>,
    /// The whole.
    pub span: Span,
}

impl Written {
    /// The part that what stands at this place of the source belongs to.
    #[must_use]
    pub fn part(&self, span: Span) -> Span {
        let around = |p: &&Span| p.start <= span.start && span.end <= p.end;
        self.parts.iter().find(around).copied().unwrap_or(self.span)
    }

    /// The part that declares what stands at this name.
    #[must_use]
    pub fn part_of(&self, name: Var) -> Span {
        let at = |word: &Word| match word {
            Word::Ptr(Base::Name(v), _) => *v == name,
            Word::Int(term) => term.as_var() == Some(name),
            _ => false,
        };
        let said = self.words.iter().find(|(_, word, _)| at(word)).map(|(_, _, span)| *span);
        let named = || self.named.iter().find(|(v, _)| *v == name).map(|(_, span)| *span);
        said.or_else(named).map_or(self.span, |span| self.part(span))
    }

    /// Does the state itself say all that is known of this variable of its own? It does of what is
    /// declared by a type or by `some`; of a register that an expression mentions it says a part.
    /// An owner stays known by its name: `number` is that of the variable in the judge.
    #[must_use]
    pub fn closes(&self, variable: &WrittenVar, number: Var) -> bool {
        let owner = |c: &Cap| matches!(c, Cap::Entry(e) if e.name == number);
        match variable.origin {
            Origin::Place(_) => false,
            Origin::Named | Origin::Typed(_) | Origin::Address(_) => !self.caps.iter().any(owner),
        }
    }

    /// Is this place spoken of?
    #[must_use]
    pub fn mentions(&self, place: Place) -> bool {
        self.words.iter().any(|(at, ..)| *at == place)
    }
}

/// `@have 0 <= rcx < n` and the like.
#[derive(Clone, Debug)]
pub struct GhostLine {
    /// Before the instruction at this offset.
    pub offset: u32,
    /// Not of the source: on the way from the instruction before into the label at that offset.
    pub falls: bool,
    /// What it does.
    pub op: GhostOp,
    /// The variables of its terms, as in [`Written`].
    pub vars: Vec<WrittenVar>,
    /// The line.
    pub span: Span,
}

/// The written ghosts.
#[derive(Clone, Debug)]
pub enum GhostOp {
    /// `@have fact, ..`: prove these, and keep them.
    Have(Vec<Fact>),
    /// `@split p, k`: the memory at `p` becomes its first `k` elements and the rest.
    Split(Target, Term),
    /// `@join p`: the piece at `p` and the one that follows it become one.
    Join(Target),
    /// `@open p`: open the package at `p`.
    Open(Target),
    /// `@pack p`: close it again.
    Pack(Target),
    /// `@leak p`: give up what is owned at `p`.
    Leak(Target),
    /// `@share p`, `@share_rw p`: what is owned at `p` is shared for ever, to be read, or to be
    /// read and written.
    Share(Target, Mode),
    /// `@show`: print the state here.
    Show,
    /// Not of the source: the numbers in these registers get names of their own, unless they are
    /// known to be what the registers hold.
    Renorm {
        /// The registers.
        regs: Vec<Reg>,
        /// As signed numbers.
        signed: bool,
    },
    /// Not of the source: one of the judge's, as it is. Its entries, views and facts are numbered
    /// as they are there; its terms may use the variables of the line.
    Judge(Ghost),
}

/// What a ghost is about: the memory at this word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The address in this place now; slots count from rsp here.
    Place(Place),
    /// A name or data object plus bytes.
    Word(Word),
}

/// A data object.
#[derive(Clone, Debug)]
pub struct DataInfo {
    /// Its name; of a jump table `function.table`.
    pub name: String,
    /// Is it `pub`?
    pub public: bool,
    /// Where it lies.
    pub section: Section,
    /// Absolute address.
    pub address: u32,
    /// Bytes.
    pub size: u32,
    /// What the judge is told.
    pub kind: DataKind,
    /// Initial bytes; nothing for bss.
    pub contents: Option<Vec<u8>>,
    /// The name in the declaration.
    pub span: Span,
}

/// What an address in text or data refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixupTarget {
    /// A data object.
    Data(DataId),
    /// A function of the image.
    Function(FnId),
    /// Index into [`Lowered::imports`].
    Import(u16),
    /// A text offset (entries of jump tables).
    Text(u32),
}

/// How an address is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixupKind {
    /// Four bytes, from the end of the instruction.
    Rel32,
    /// Four bytes, absolute, sign-extended.
    Abs32,
    /// Eight bytes, absolute.
    Abs64,
}

impl FixupKind {
    /// How many bytes are written.
    #[must_use]
    pub fn width(self) -> u32 {
        match self {
            FixupKind::Rel32 | FixupKind::Abs32 => 4,
            FixupKind::Abs64 => 8,
        }
    }
}

/// An address in text or data that a linker would fill in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixup {
    /// The object that holds it; nothing: the text.
    pub data: Option<DataId>,
    /// Offset in the text, or in that object.
    pub offset: u32,
    /// How.
    pub kind: FixupKind,
    /// What it refers to.
    pub target: FixupTarget,
    /// Added, as in an ELF relocation.
    pub addend: i64,
}

/// A test written as a comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestDirective {
    /// The comment.
    pub span: Span,
    /// `;! error[E0301]` (else `;? state`).
    pub error: bool,
    /// What follows the sign.
    pub text: String,
}

impl Lowered {
    /// The image with these label states, for the judge.
    #[must_use]
    pub fn image(&self, labels: &[Label]) -> Image<'_> {
        Image {
            text: &self.text,
            text_address: self.text_address,
            types: self.types.iter().map(|t| t.ty.clone()).collect(),
            sigs: self.sigs.clone(),
            functions: (self.functions.iter())
                .map(|f| Function { offset: f.offset, sig: f.sig })
                .collect(),
            labels: labels.iter().map(|l| l.offset).collect(),
            data: self.data.iter().map(DataInfo::data).collect(),
            imports: self.imports.clone(),
            start: self.start,
        }
    }

    /// The data as it would be mapped, each object apart.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment<'_>> {
        fn segment(data: &DataInfo) -> Segment<'_> {
            Segment {
                address: data.address,
                size: data.size,
                bytes: data.contents.as_deref().unwrap_or_default(),
                writable: data.section != Section::Rodata,
            }
        }
        self.data.iter().map(segment).collect()
    }

    /// The instructions from one text offset to another, as iced-x86 reads them.
    pub(crate) fn instructions(
        &self,
        from: u32,
        to: u32,
    ) -> impl Iterator<Item = Instruction> + use<'_> {
        let at = |offset: u32| {
            let address = u64::from(self.text_address) + u64::from(offset);
            self.code.partition_point(|i| i.ip() < address)
        };
        self.code.get(at(from)..at(to)).unwrap_or_default().iter().copied()
    }

    /// The instruction at this text offset, as iced-x86 reads it.
    pub(crate) fn code_at(&self, offset: u32) -> Option<&Instruction> {
        let address = u64::from(self.text_address) + u64::from(offset);
        let at = self.code.binary_search_by_key(&address, Instruction::ip).ok()?;
        self.code.get(at)
    }

    /// The numbers of all functions.
    #[must_use]
    pub fn ids(&self) -> Vec<FnId> {
        let count = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
        (0..count).map(FnId).collect()
    }

    /// Those of these numbers that there are.
    pub(crate) fn some<'a>(
        &'a self,
        ids: &'a [FnId],
    ) -> impl Iterator<Item = (FnId, &'a FnInfo)> + Clone {
        ids.iter().filter_map(|id| Some((*id, self.functions.get(id.0 as usize)?)))
    }

    /// Text offset of one of [`Lowered::instructions`].
    pub(crate) fn offset_of(&self, instruction: &Instruction) -> u32 {
        u32::try_from(instruction.ip()).unwrap_or(u32::MAX).saturating_sub(self.text_address)
    }

    /// The function that the offset lies in.
    #[must_use]
    pub fn function_at(&self, offset: u32) -> Option<(FnId, &FnInfo)> {
        let at = self.functions.partition_point(|f| f.offset <= offset).checked_sub(1)?;
        Some((FnId(u32::try_from(at).ok()?), self.functions.get(at)?))
    }

    /// The instruction that begins at or covers the offset.
    #[must_use]
    pub fn instruction_at(&self, offset: u32) -> Option<&Inst> {
        let (_, f) = self.function_at(offset)?;
        let at = f.instructions.partition_point(|i| i.offset <= offset).checked_sub(1)?;
        f.instructions.get(at)
    }

    /// The source of the instruction at this offset.
    #[must_use]
    pub fn span_at(&self, offset: u32) -> Option<Span> {
        self.instruction_at(offset).map(|i| i.span)
    }

    /// The line of the start of a span, if that is in the file of this path.
    #[must_use]
    pub fn line_in(&self, path: &str, span: Span) -> Option<u32> {
        let file = self.sources.get(span.file).filter(|file| file.path == path)?;
        Some(file.position(span.start).line)
    }

    /// A function by name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<(FnId, &FnInfo)> {
        let at = self.functions.iter().position(|f| f.name == name)?;
        Some((FnId(u32::try_from(at).ok()?), self.functions.get(at)?))
    }

    /// A named type by number, the interface's included.
    #[must_use]
    pub fn type_info(&self, id: TypeId) -> Option<&TypeInfo> {
        let at = id.0 as usize;
        match at.checked_sub(self.host.types.len()) {
            None => self.host.types.get(at),
            Some(own) => self.types.get(own),
        }
    }

    /// Text offset to source, in order: the line table.
    #[must_use]
    pub fn source_map(&self) -> BTreeMap<u32, Span> {
        (self.functions.iter())
            .flat_map(|f| f.instructions.iter().map(|i| (i.offset, i.span)))
            .collect()
    }
}

impl FnInfo {
    /// The label at this offset.
    #[must_use]
    pub fn label_at(&self, offset: u32) -> Option<&LocalLabel> {
        self.labels.iter().find(|l| l.offset == offset)
    }

    /// The name of a variable of the signature.
    #[must_use]
    pub fn name_of(&self, var: Var) -> Option<&str> {
        match var {
            Var::Free(i) => self.names.get(usize::from(i)).map(String::as_str),
            Var::Inner(_) | Var::Param(_) | Var::Bound(_) | Var::Value => None,
        }
    }
}

impl DataInfo {
    fn data(&self) -> Data<'_> {
        Data {
            address: self.address,
            size: self.size,
            kind: self.kind.clone(),
            contents: self.contents.as_deref().map_or(Contents::Zero, Contents::Bytes),
            writable: self.section != Section::Rodata,
        }
    }
}
