//! Not trusted: a bug here can reject, never admit. Functions between text and bytes.
//!
//! A function is encoded twice: first with stand-in addresses to learn lengths, then in its place.
//! Lengths do not depend on addresses: symbols always take four bytes. Jumps inside a function
//! start short and grow while one does not reach; none shrinks, so this ends, and is deterministic.

use super::sig::Named;
use crate::asm::{self, Arg, Branch, MemArg};
use crate::lowered::{Fixup, FixupKind, FixupTarget, FnInfo, GhostLine, Inst, LocalLabel, Written};
use crate::resolve::DeclId;
use tal_core::limits;
use tal_core::ty::{DataId, FnId, TypeId};
use tal_syntax::Span;

/// Stands for every address while lengths are found out.
pub(super) const STAND_IN: u64 = 0x40_0000;

/// Something with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Symbol {
    Data(DataId),
    Function(FnId),
}

/// An operand before addresses are known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Known(Arg),
    /// Memory at a symbol plus `disp`.
    At(MemArg, Symbol),
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Plain {
        prefix: Option<&'static str>,
        mnemonic: String,
        operands: Vec<Operand>,
    },
    /// To a piece of the same function, by number.
    Local {
        branch: Branch,
        to: usize,
        short: bool,
    },
    Call {
        branch: Branch,
        to: FnId,
    },
    Import {
        branch: Branch,
        gate: u16,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub what: What,
    pub span: Span,
    pub implied: bool,
    pub offset: u32,
    pub len: u32,
    pub layout: Option<TypeId>,
}

/// A function on its way to bytes.
#[derive(Debug)]
pub(super) struct Draft {
    pub decl: DeclId,
    pub name: String,
    pub public: bool,
    pub named: Named,
    pub span: Span,
    pub sig_span: Span,
    pub end_span: Span,
    pub pieces: Vec<Piece>,
    pub labels: Vec<(usize, String, Span, bool, Option<Written>)>,
    pub ghosts: Vec<(usize, GhostLine)>,
    /// Jump tables: data object and its targets, by piece.
    pub tables: Vec<(DataId, Vec<usize>)>,
    pub size: u32,
}

pub(super) fn encode(
    what: &What,
    address: u64,
    symbols: &dyn Fn(Symbol) -> u64,
) -> Result<asm::Encoded, asm::AsmError> {
    let What::Plain { prefix, mnemonic, operands } = what else {
        return Ok(asm::Encoded::default());
    };
    let args: Vec<Arg> = (operands.iter())
        .map(|o| match o {
            Operand::Known(arg) => *arg,
            Operand::At(mem, symbol) => {
                let base = i64::try_from(symbols(*symbol)).unwrap_or(i64::MAX);
                Arg::Mem(MemArg { disp: mem.disp.saturating_add(base), ..*mem })
            }
        })
        .collect();
    asm::encode(*prefix, mnemonic, &args, address)
}

impl Draft {
    pub(super) fn span(&self) -> Span {
        self.span
    }

    pub(super) fn push(&mut self, what: What, span: Span, layout: Option<TypeId>) {
        self.pieces.push(Piece { what, span, implied: false, offset: 0, len: 0, layout });
    }

    /// `endbr64`: where an indirect jump may arrive.
    pub(super) fn landing(&mut self, span: Span) {
        let what = What::Plain { prefix: None, mnemonic: "endbr64".into(), operands: Vec::new() };
        let piece = Piece { what, span, implied: true, offset: 0, len: 0, layout: None };
        self.pieces.push(piece);
    }

    /// Gives imports their final gates.
    pub(super) fn renumber_gates(&mut self, new: &dyn Fn(u16) -> u16) {
        for piece in &mut self.pieces {
            if let What::Import { gate, .. } = &mut piece.what {
                *gate = new(*gate);
            }
        }
    }

    /// Chooses lengths.
    pub(super) fn relax(&mut self) {
        for piece in &mut self.pieces {
            piece.len = match &piece.what {
                What::Plain { .. } => {
                    let bytes = encode(&piece.what, STAND_IN, &|_| STAND_IN);
                    bytes.map_or(0, |b| u32::try_from(b.bytes.len()).unwrap_or(0))
                }
                What::Local { branch, short, .. } => branch.len(*short),
                What::Call { branch, .. } | What::Import { branch, .. } => branch.len(false),
            };
        }
        loop {
            self.place();
            let offsets: Vec<u32> = self.pieces.iter().map(|p| p.offset).collect();
            let mut grown = false;
            for piece in &mut self.pieces {
                let What::Local { branch, to, short: short @ true } = &mut piece.what else {
                    continue;
                };
                let from = u64::from(piece.offset);
                let to = offsets.get(*to).copied().unwrap_or(self.size);
                if branch.encode(true, from, u64::from(to)).is_none() {
                    *short = false;
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
            at += piece.len;
        }
        self.size = at;
    }

    fn offset_of(&self, piece: usize) -> u32 {
        self.pieces.get(piece).map_or(self.size, |p| p.offset)
    }

    /// Text offsets of a table's targets, the function standing at `start`.
    pub(super) fn targets(&self, start: u32, list: &[usize]) -> Vec<u32> {
        list.iter().map(|p| start + self.offset_of(*p)).collect()
    }

    /// Writes the function at `start` of the text.
    pub(super) fn write(
        &self,
        start: u32,
        text: &mut Vec<u8>,
        fixups: &mut Vec<Fixup>,
        address: &dyn Fn(Symbol) -> u64,
        text_address: u32,
    ) -> Result<FnInfo, Span> {
        let mut instructions = Vec::new();
        let mut layouts = Vec::new();
        for piece in &self.pieces {
            let offset = start + piece.offset;
            let here = u64::from(text_address) + u64::from(offset);
            let bytes = self.piece_bytes(piece, start, here, address, text_address, offset, fixups);
            let bytes = bytes.filter(|b| b.len() == piece.len as usize).ok_or(piece.span)?;
            let len = u8::try_from(bytes.len()).map_err(|_| piece.span)?;
            text.extend(bytes);
            instructions.push(Inst { offset, len, span: piece.span, implied: piece.implied });
            layouts.extend(piece.layout.map(|l| (offset, l)));
        }
        Ok(FnInfo {
            name: self.name.clone(),
            public: self.public,
            offset: start,
            size: self.size,
            sig: 0,
            names: self.named.names.clone(),
            instructions,
            layouts,
            labels: self.labels_at(start),
            ghosts: (self.ghosts.iter())
                .map(|(at, g)| GhostLine { offset: start + self.offset_of(*at), ..g.clone() })
                .collect(),
            span: self.span,
            sig_span: self.sig_span,
            params: self.named.params.clone(),
            end_span: self.end_span,
        })
    }

    #[allow(clippy::too_many_arguments, reason = "one caller; the parts of one address")]
    fn piece_bytes(
        &self,
        piece: &Piece,
        start: u32,
        here: u64,
        address: &dyn Fn(Symbol) -> u64,
        text_address: u32,
        offset: u32,
        fixups: &mut Vec<Fixup>,
    ) -> Option<Vec<u8>> {
        match &piece.what {
            What::Plain { operands, .. } => {
                let encoded = encode(&piece.what, here, address).ok()?;
                for operand in operands {
                    if let Operand::At(mem, symbol) = operand {
                        let relative = mem.base.is_none() && mem.index.is_none();
                        let at = u32::from(encoded.displacement?);
                        let behind = i64::from(piece.len) - i64::from(at);
                        fixups.push(Fixup {
                            data: None,
                            offset: offset + at,
                            kind: if relative { FixupKind::Rel32 } else { FixupKind::Abs32 },
                            target: match symbol {
                                Symbol::Data(d) => FixupTarget::Data(*d),
                                Symbol::Function(f) => FixupTarget::Function(*f),
                            },
                            addend: if relative { mem.disp - behind } else { mem.disp },
                        });
                    }
                }
                Some(encoded.bytes)
            }
            What::Local { branch, to, short } => {
                let to = u64::from(text_address) + u64::from(start + self.offset_of(*to));
                branch.encode(*short, here, to)
            }
            What::Call { branch, to } => {
                let target = FixupTarget::Function(*to);
                fixups.push(branch_fixup(offset, piece.len, target));
                branch.encode(false, here, address(Symbol::Function(*to)))
            }
            What::Import { branch, gate } => {
                fixups.push(branch_fixup(offset, piece.len, FixupTarget::Import(*gate)));
                let gate = limits::GATES + limits::GATE_SIZE * u64::from(*gate);
                branch.encode(false, here, gate)
            }
        }
    }

    fn labels_at(&self, start: u32) -> Vec<LocalLabel> {
        let mut labels: Vec<LocalLabel> = Vec::new();
        for (piece, name, span, target, state) in &self.labels {
            let offset = start + self.offset_of(*piece);
            match labels.last_mut().filter(|l| l.offset == offset) {
                Some(l) => {
                    l.names.push((name.clone(), *span));
                    l.target |= target;
                    if l.state.is_none() {
                        l.state.clone_from(state);
                    }
                }
                None => labels.push(LocalLabel {
                    offset,
                    names: vec![(name.clone(), *span)],
                    target: *target,
                    state: state.clone(),
                }),
            }
        }
        labels
    }
}

fn branch_fixup(offset: u32, len: u32, target: FixupTarget) -> Fixup {
    Fixup { data: None, offset: offset + len - 4, kind: FixupKind::Rel32, target, addend: -4 }
}
