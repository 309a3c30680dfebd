//! Not trusted: a bug here can reject, never admit. Functions between text and bytes.
//!
//! Each instruction is encoded once, with a stand-in for the address of a symbol: a symbol always
//! takes four bytes, so lengths do not depend on addresses, and only these four bytes are written
//! again when addresses are known. Jumps inside a function start short and grow while one does not
//! reach; none shrinks, so this ends, and is deterministic.

use super::expr::Scope;
use super::sig::Named;
use crate::asm::{Branch, Placed};
use crate::lowered::{Fixup, FixupKind, FixupTarget, FnInfo, GhostLine, Inst, LocalLabel, Written};
use crate::resolve::DeclId;
use iced_x86::Instruction;
use tal_core::counted::Rc;
use tal_core::limits;
use tal_core::ty::{DataId, FnId, Sig, TypeId};
use tal_syntax::Span;

/// Something with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Symbol {
    /// A data object.
    Data(DataId),
    /// A function.
    Function(FnId),
}

/// What a piece is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The next bytes of the draft's code.
    Plain,
    /// A transfer to a piece of the same function, by number.
    Local { branch: Branch, to: u32, short: bool },
    /// A transfer to a function.
    Call { branch: Branch, to: FnId },
    /// A transfer to an import.
    Import { branch: Branch, gate: u16 },
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub what: What,
    pub span: Span,
    /// From the start of the function.
    pub offset: u32,
    pub len: u8,
    pub implied: bool,
}

/// A symbol in an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Where its four bytes stand in the instruction.
    pub place: u8,
    /// Counted from the end of the instruction?
    pub relative: bool,
    pub symbol: Symbol,
    pub addend: i64,
}

/// A function on its way to bytes.
#[derive(Debug)]
pub(crate) struct Draft {
    pub decl: DeclId,
    pub name: String,
    pub public: bool,
    pub named: Named,
    pub span: Span,
    pub sig_span: Span,
    pub end_span: Span,
    pub pieces: Vec<Piece>,
    /// Bytes of the plain pieces.
    pub code: Vec<u8>,
    /// The plain pieces as iced-x86 has them, in order.
    pub instructions: Vec<Instruction>,
    /// By piece.
    pub links: Vec<(u32, Link)>,
    /// The struct whose field a piece names.
    pub layouts: Vec<(u32, TypeId)>,
    pub labels: Vec<(usize, String, Span, bool, Option<Written>)>,
    pub ghosts: Vec<(usize, GhostLine)>,
    /// Jump tables: data object and its targets, by piece.
    pub tables: Vec<(DataId, Vec<usize>)>,
    pub size: u32,
}

/// What all functions are written to.
pub(crate) struct Output<'a> {
    pub text: Vec<u8>,
    pub text_address: u32,
    pub fixups: Vec<Fixup>,
    pub instructions: Vec<Instruction>,
    /// Of a symbol.
    pub address: &'a dyn Fn(Symbol) -> u64,
}

impl Draft {
    /// One without code that no source has.
    pub(crate) fn unwritten(name: String, public: bool, sig: Rc<Sig>) -> Draft {
        let (names, params, scope) = (Vec::new(), Vec::new(), Scope::closed(0));
        Draft::empty(name, public, Named { sig, names, params, scope })
    }

    /// One without code, and without places in a source.
    pub(super) fn empty(name: String, public: bool, named: Named) -> Draft {
        Draft {
            decl: DeclId { module: 0, decl: 0 },
            name,
            public,
            named,
            span: Span::default(),
            sig_span: Span::default(),
            end_span: Span::default(),
            pieces: Vec::new(),
            code: Vec::new(),
            instructions: Vec::new(),
            links: Vec::new(),
            layouts: Vec::new(),
            labels: Vec::new(),
            ghosts: Vec::new(),
            tables: Vec::new(),
            size: 0,
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Appends an instruction.
    pub(crate) fn push(&mut self, what: What, span: Span, len: u8) {
        self.pieces.push(Piece { what, span, offset: 0, len, implied: false });
    }

    /// Appends one that was written to the end of the code.
    pub(crate) fn push_placed(&mut self, placed: &Placed, span: Span) {
        self.instructions.push(placed.instruction);
        let len = u8::try_from(placed.instruction.len()).unwrap_or(u8::MAX);
        self.push(What::Plain, span, len);
    }

    /// Gives imports their final gates.
    pub(crate) fn renumber_gates(&mut self, new: &dyn Fn(u16) -> u16) {
        for piece in &mut self.pieces {
            if let What::Import { gate, .. } = &mut piece.what {
                *gate = new(*gate);
            }
        }
    }

    /// Chooses the lengths of jumps.
    pub(crate) fn relax(&mut self) {
        loop {
            self.place();
            let mut grown = false;
            for at in 0..self.pieces.len() {
                let Some(Piece { what: What::Local { branch, to, short: true }, offset, .. }) =
                    self.pieces.get(at).copied()
                else {
                    continue;
                };
                let to_offset = self.offset_of(to as usize);
                if !branch.is_near(u64::from(offset), u64::from(to_offset))
                    && let Some(piece) = self.pieces.get_mut(at)
                {
                    piece.what = What::Local { branch, to, short: false };
                    piece.len = branch.len(false);
                    grown = true;
                }
            }
            if !grown {
                return;
            }
        }
    }

    fn place(&mut self) {
        let mut at = 0;
        for piece in &mut self.pieces {
            piece.offset = at;
            at += u32::from(piece.len);
        }
        self.size = at;
    }

    fn offset_of(&self, piece: usize) -> u32 {
        self.pieces.get(piece).map_or(self.size, |p| p.offset)
    }

    /// Text offsets of a table's targets, the function standing at `start`.
    pub(crate) fn targets(&self, start: u32, list: &[usize]) -> Vec<u32> {
        list.iter().map(|p| start + self.offset_of(*p)).collect()
    }

    /// Writes the function at the end of the text.
    ///
    /// # Errors
    /// An address is out of reach of this instruction.
    pub(crate) fn write(mut self, out: &mut Output<'_>) -> Result<FnInfo, Span> {
        let start = u32::try_from(out.text.len()).map_err(|_| self.span)?;
        let mut instructions = Vec::with_capacity(self.pieces.len());
        let (mut code, mut plain) = (self.code.as_slice(), self.instructions.iter());
        let mut links = self.links.iter().peekable();
        for (number, piece) in (0..).zip(&self.pieces) {
            let link = links.next_if(|(at, _)| *at == number).map(|(_, link)| link);
            let offset = start + piece.offset;
            let instruction = match piece.what {
                What::Plain => {
                    let (bytes, rest) =
                        code.split_at_checked(piece.len.into()).ok_or(piece.span)?;
                    out.text.extend_from_slice(bytes);
                    code = rest;
                    let mut instruction = plain.next().copied().ok_or(piece.span)?;
                    let ip = u64::from(out.text_address + offset);
                    instruction.set_next_ip(ip + u64::from(piece.len));
                    if let Some(link) = link {
                        out.link(&mut instruction, link, piece, offset).ok_or(piece.span)?;
                    }
                    instruction
                }
                What::Local { branch, to, short } => {
                    let to = u64::from(out.text_address + start + self.offset_of(to as usize));
                    out.branch(branch, short, offset, to).ok_or(piece.span)?
                }
                What::Call { branch, to } => {
                    out.fixups.push(branch_fixup(offset, piece.len, FixupTarget::Function(to)));
                    let to = (out.address)(Symbol::Function(to));
                    out.branch(branch, false, offset, to).ok_or(piece.span)?
                }
                What::Import { branch, gate } => {
                    out.fixups.push(branch_fixup(offset, piece.len, FixupTarget::Import(gate)));
                    let to = limits::GATES + limits::GATE_SIZE * u64::from(gate);
                    out.branch(branch, false, offset, to).ok_or(piece.span)?
                }
            };
            out.instructions.push(instruction);
            let (len, span, implied) = (piece.len, piece.span, piece.implied);
            instructions.push(Inst { offset, len, span, implied });
        }
        let layouts = self.layouts.iter();
        let layouts = layouts.map(|(at, of)| (start + self.offset_of(*at as usize), *of)).collect();
        let labels = self.labels_at(start);
        let ghosts = std::mem::take(&mut self.ghosts).into_iter();
        Ok(FnInfo {
            offset: start,
            size: self.size,
            sig: 0,
            instructions,
            layouts,
            labels,
            ghosts: ghosts
                .map(|(at, g)| GhostLine { offset: start + self.offset_of(at), ..g })
                .collect(),
            name: self.name,
            public: self.public,
            names: self.named.names,
            span: self.span,
            sig_span: self.sig_span,
            params: self.named.params,
            end_span: self.end_span,
        })
    }

    fn labels_at(&mut self, start: u32) -> Vec<LocalLabel> {
        let mut labels: Vec<LocalLabel> = Vec::new();
        for (piece, name, span, target, state) in std::mem::take(&mut self.labels) {
            let offset = start + self.offset_of(piece);
            match labels.last_mut().filter(|l| l.offset == offset) {
                Some(l) => {
                    l.names.push((name, span));
                    l.target |= target;
                    l.state = l.state.take().or(state);
                }
                None => {
                    labels.push(LocalLabel { offset, names: vec![(name, span)], target, state })
                }
            }
        }
        labels
    }
}

impl Output<'_> {
    /// Writes the address of a symbol into the instruction that ends the text, and notes it.
    fn link(
        &mut self,
        instruction: &mut Instruction,
        link: &Link,
        piece: &Piece,
        offset: u32,
    ) -> Option<()> {
        let base = i64::try_from((self.address)(link.symbol)).ok()?;
        let target = base.checked_add(link.addend)?;
        let value = match link.relative {
            true => u64::try_from(target).ok()?.wrapping_sub(instruction.next_ip()).cast_signed(),
            false => target,
        };
        let bytes = i32::try_from(value).ok()?.to_le_bytes();
        let at = self.text.len() - usize::from(piece.len) + usize::from(link.place);
        self.text.get_mut(at..at + bytes.len())?.copy_from_slice(&bytes);
        instruction.set_memory_displacement64(target.cast_unsigned());
        let behind = i64::from(piece.len) - i64::from(link.place);
        self.fixups.push(Fixup {
            data: None,
            offset: offset + u32::from(link.place),
            kind: if link.relative { FixupKind::Rel32 } else { FixupKind::Abs32 },
            target: match link.symbol {
                Symbol::Data(d) => FixupTarget::Data(d),
                Symbol::Function(f) => FixupTarget::Function(f),
            },
            addend: if link.relative { link.addend - behind } else { link.addend },
        });
        Some(())
    }

    /// Writes a transfer of control.
    fn branch(&mut self, branch: Branch, short: bool, offset: u32, to: u64) -> Option<Instruction> {
        branch.write(short, u64::from(self.text_address + offset), to, &mut self.text)
    }
}

fn branch_fixup(offset: u32, len: u8, target: FixupTarget) -> Fixup {
    let offset = offset + u32::from(len) - 4;
    Fixup { data: None, offset, kind: FixupKind::Rel32, target, addend: -4 }
}
