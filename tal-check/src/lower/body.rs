//! Not trusted: a bug here can reject, never admit. Lines of code to bytes.
//!
//! A function is encoded twice: first with stand-in addresses to learn lengths, then in its place.
//! Lengths do not depend on addresses: symbols always take four bytes. Jumps inside a function
//! start short and grow while one does not reach; none ever shrinks, so this ends, and is
//! deterministic.

use super::sig::Named;
use super::{Elab, Res};
use crate::asm::{self, Arg, Branch, MemArg};
use crate::lowered::{Fixup, FixupKind, FixupTarget, FnInfo, GhostLine, Inst, LocalLabel, Written};
use crate::resolve::DeclId;
use iced_x86::Register;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::limits;
use tal_core::ty::{DataId, FnId, TypeId};
use tal_syntax::Span;
use tal_syntax::ast::{
    self, BinaryOp, DeclKind, Expr, ExprKind, Gpr, OperandKind, StmtKind, UnaryOp, Width,
};
use tal_syntax::diag::{Code, Diag};

/// Stands for every address while lengths are found out.
const STAND_IN: u64 = 0x40_0000;

/// Something with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Symbol {
    Data(DataId),
    Function(FnId),
}

/// An operand before addresses are known.
#[derive(Clone, Copy, Debug)]
enum Operand {
    Known(Arg),
    /// Memory at a symbol plus `disp`.
    At(MemArg, Symbol),
}

#[derive(Clone, Debug)]
enum What {
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
struct Piece {
    what: What,
    span: Span,
    implied: bool,
    offset: u32,
    len: u32,
    layout: Option<TypeId>,
}

/// A function on its way to bytes.
#[derive(Debug)]
pub(super) struct Draft {
    pub decl: DeclId,
    pub name: String,
    public: bool,
    pub named: Named,
    span: Span,
    sig_span: Span,
    end_span: Span,
    pieces: Vec<Piece>,
    labels: Vec<(usize, String, Span, bool, Option<Written>)>,
    ghosts: Vec<(usize, GhostLine)>,
    /// Jump tables: data object and its targets, by piece.
    pub tables: Vec<(DataId, Vec<usize>)>,
    pub size: u32,
}

/// What the whole program tells about a function before its code is read.
pub(super) struct Place<'a> {
    pub decl: DeclId,
    pub function: &'a ast::Fn,
    pub public: bool,
    pub named: Named,
    pub address_taken: bool,
    pub tables: BTreeMap<String, DataId>,
}

impl Elab {
    /// Reads the body of a function.
    pub(super) fn draft(&mut self, place: Place<'_>) -> Option<Draft> {
        let function = place.function;
        let body = function.body.as_ref()?;
        let mut draft = Draft {
            decl: place.decl,
            name: function.name.text.clone(),
            public: place.public,
            span: function.name.span,
            sig_span: function.sig.as_ref().map_or(function.name.span, |s| s.span),
            end_span: Span { start: body.span.end.saturating_sub(1), ..body.span },
            named: place.named,
            pieces: Vec::new(),
            labels: Vec::new(),
            ghosts: Vec::new(),
            tables: Vec::new(),
            size: 0,
        };
        let names = self.label_names(body);
        let mut targets: BTreeSet<&str> = BTreeSet::new();
        let mut indirect: BTreeSet<&str> = BTreeSet::new();
        for line in &body.lines {
            collect_targets(line, &mut targets, &mut indirect);
        }
        if place.address_taken || function.entry.is_some() {
            draft.landing(function.name.span);
        }
        let errors = self.diags.len();
        let mut jumps: Vec<(usize, String, Span)> = Vec::new();
        let mut tables: Vec<(DataId, &ast::Table)> = Vec::new();
        for line in &body.lines {
            if let Some(label) = &line.label {
                let name = label.text.as_str();
                let written = line.state.as_ref().map(|s| self.written(s, &draft.named));
                let written = written.and_then(Result::ok);
                let at = draft.pieces.len();
                let target = targets.contains(name);
                draft.labels.push((at, name.to_owned(), label.span, target, written));
                if indirect.contains(name) {
                    draft.landing(label.span);
                }
            }
            let Some(stmt) = &line.stmt else { continue };
            match &stmt.kind {
                StmtKind::Inst(inst) => {
                    let what = self.instruction(
                        inst,
                        stmt.span,
                        &names,
                        &place.tables,
                        &mut draft,
                        &mut jumps,
                    );
                    if let Ok((what, layout)) = what {
                        draft.push(what, stmt.span, layout);
                    }
                }
                StmtKind::Ghost(g) => {
                    let at = draft.pieces.len();
                    if let Ok(g) = self.ghost(g, stmt.span, 0, &draft.named) {
                        draft.ghosts.push((at, g));
                    }
                }
                StmtKind::Table(t) => {
                    if let Some(id) = place.tables.get(&t.name.text) {
                        tables.push((*id, t));
                    }
                }
                StmtKind::Error => {}
            }
        }
        self.finish(&mut draft, &jumps, &tables, errors)?;
        Some(draft)
    }

    /// Local names, each declared once.
    fn label_names(&mut self, body: &ast::Body) -> BTreeSet<String> {
        let mut first: BTreeMap<&str, Span> = BTreeMap::new();
        for line in &body.lines {
            let table = match line.stmt.as_ref().map(|s| &s.kind) {
                Some(StmtKind::Table(t)) => Some(&t.name),
                _ => None,
            };
            for name in line.label.iter().chain(table) {
                if let Some(at) = first.insert(&name.text, name.span) {
                    let diag = Diag::error(
                        Code(107),
                        name.span,
                        format!("`{}` stands here twice", name.text),
                    );
                    let _ = self.report(diag.with_label(at, "first here"));
                }
            }
        }
        first.keys().map(|n| (*n).to_owned()).collect()
    }

    /// Ties jumps and tables to pieces, and checks that the code does not run out.
    fn finish(
        &mut self,
        draft: &mut Draft,
        jumps: &[(usize, String, Span)],
        tables: &[(DataId, &ast::Table)],
        errors: usize,
    ) -> Option<()> {
        let positions: BTreeMap<String, usize> =
            draft.labels.iter().map(|l| (l.1.clone(), l.0)).collect();
        for (at, name, _) in jumps {
            if let (Some(p), Some(Piece { what: What::Local { to, .. }, .. })) =
                (positions.get(name), draft.pieces.get_mut(*at))
            {
                *to = *p;
            }
        }
        for (id, table) in tables {
            let mut list = Vec::new();
            for target in &table.targets {
                match positions.get(&target.text) {
                    Some(p) => list.push(*p),
                    None => {
                        let _ = self.no_label(target, positions.keys().map(String::as_str));
                    }
                }
            }
            draft.tables.push((*id, list));
        }
        if self.diags.len() > errors {
            return None;
        }
        let end = draft.pieces.len();
        if end == 0 {
            let _ = self.error(807, draft.end_span, "this function has no code");
            return None;
        }
        if let Some((_, name, span, _, _)) = draft.labels.iter().find(|l| l.0 == end) {
            let _ = self.report(
                Diag::error(Code(807), *span, format!("no instruction follows `{name}`"))
                    .with_help("end with `ret`, or with `jmp` to a function"),
            );
            return None;
        }
        Some(())
    }

    fn no_label<'n>(
        &mut self,
        name: &ast::Name,
        all: impl Iterator<Item = &'n str>,
    ) -> super::Reported {
        let diag =
            Diag::error(Code(106), name.span, format!("no label `{}` in this function", name.text));
        self.report(match crate::resolve::near(&name.text, all) {
            Some(meant) => diag.with_edit(format!("did you mean `{meant}`?"), name.span, meant),
            None => diag,
        })
    }

    fn instruction(
        &mut self,
        inst: &ast::Inst,
        span: Span,
        names: &BTreeSet<String>,
        tables: &BTreeMap<String, DataId>,
        draft: &mut Draft,
        jumps: &mut Vec<(usize, String, Span)>,
    ) -> Res<(What, Option<TypeId>)> {
        let mnemonic = inst.mnemonic.text.to_ascii_lowercase();
        if let (Some(branch), [operand]) = (asm::branch(&mnemonic), inst.operands.as_slice())
            && let OperandKind::Expr(target) = &operand.kind
        {
            return Ok((self.transfer(branch, target, names, draft, jumps)?, None));
        }
        let module = draft.decl.module;
        let mut operands = Vec::new();
        let mut layout = None;
        for operand in &inst.operands {
            operands.push(self.operand(operand, module, tables, &mut layout)?);
        }
        let prefix = inst.prefix.map(|(p, _)| p.text());
        let what = What::Plain { prefix, mnemonic, operands };
        let symbols = |_: Symbol| STAND_IN;
        if let Err(e) = encode(&what, STAND_IN, &symbols) {
            return Err(self.asm_error(e, inst, span));
        }
        Ok((what, layout))
    }

    fn transfer(
        &mut self,
        branch: Branch,
        target: &Expr,
        names: &BTreeSet<String>,
        draft: &Draft,
        jumps: &mut Vec<(usize, String, Span)>,
    ) -> Res<What> {
        let at = draft.pieces.len();
        match &target.kind {
            ExprKind::Local(name) => {
                if !names.contains(name) {
                    let name = ast::Name { text: name.clone(), span: target.span };
                    return Err(self.no_label(&name, names.iter().map(String::as_str)));
                }
                if branch == Branch::Call {
                    return Err(self.report(
                        Diag::error(Code(809), target.span, "a label cannot be called")
                            .with_help("make it a function of its own, or jump to it"),
                    ));
                }
                jumps.push((at, name.clone(), target.span));
                Ok(What::Local { branch, to: 0, short: true })
            }
            ExprKind::Name(name) => {
                let module = draft.decl.module;
                let Some(id) = self.program.lookup(module, name) else {
                    let local = format!(".{name}");
                    if names.contains(&local) {
                        let diag = Diag::error(
                            Code(102),
                            target.span,
                            format!("unknown function `{name}`"),
                        );
                        return Err(self.report(diag.with_edit(
                            "a local label has a dot",
                            target.span,
                            local,
                        )));
                    }
                    let diag = self.program.unknown(module, name, target.span, &[]);
                    return Err(self.report(diag));
                };
                if let Some(gate) = self.import(id, target.span)? {
                    return Ok(What::Import { branch, gate });
                }
                match self.functions.get(&id) {
                    Some(f) => Ok(What::Call { branch, to: *f }),
                    None => Err(self.report(
                        Diag::error(Code(809), target.span, format!("`{name}` is no function"))
                            .with_note("jumps and calls go to labels, functions and imports"),
                    )),
                }
            }
            _ => Err(self.report(
                Diag::error(Code(809), target.span, "this is no place to jump to")
                    .with_note("jumps and calls go to labels, functions and imports"),
            )),
        }
    }

    fn operand(
        &mut self,
        operand: &ast::Operand,
        module: usize,
        tables: &BTreeMap<String, DataId>,
        layout: &mut Option<TypeId>,
    ) -> Res<Operand> {
        match &operand.kind {
            OperandKind::Reg(r) => match asm::register(r.name()) {
                Some(register) => Ok(Operand::Known(Arg::Reg(register))),
                None => Err(self.stage(operand.span, "vector registers")),
            },
            OperandKind::Expr(e) => {
                if let ExprKind::Name(name) = &e.kind
                    && self.symbol(name, module).is_some()
                {
                    return Err(self.report(
                        Diag::error(Code(811), e.span, "an address is no constant")
                            .with_note("the checker must see that this is an address")
                            .with_help(format!("write `lea reg, [{name}]`")),
                    ));
                }
                Ok(Operand::Known(Arg::Imm(self.constant(module, e)?)))
            }
            OperandKind::Mem { size, address } => {
                let mut sum = Sum::default();
                self.address(address, 1, module, tables, &mut sum)?;
                *layout = sum.layout.or(*layout);
                let (base, index) = self.shape(&sum, address.span)?;
                let Ok(disp) = i64::try_from(sum.constant) else {
                    return Err(self.error(806, address.span, "this displacement is too large"));
                };
                let mem = MemArg { size: size.map(|(s, _)| s.bytes()), base, index, disp };
                match sum.symbol {
                    Some(symbol) => Ok(Operand::At(mem, symbol)),
                    None if base.is_none() && index.is_none() => Err(self.report(
                        Diag::error(Code(806), address.span, "a constant is no address").with_note(
                            "memory is reached through registers, and through the names of data",
                        ),
                    )),
                    None => Ok(Operand::Known(Arg::Mem(mem))),
                }
            }
        }
    }

    /// Data or a function of this name.
    fn symbol(&mut self, name: &str, module: usize) -> Option<Symbol> {
        let id = self.program.lookup(module, name)?;
        match self.program.decl(id).map(|d| &d.kind) {
            Some(DeclKind::Data(_)) => Some(Symbol::Data(self.data_id(id))),
            Some(DeclKind::Fn(_)) => self.functions.get(&id).copied().map(Symbol::Function),
            _ => None,
        }
    }

    /// Adds `times * e` to an address.
    fn address(
        &mut self,
        e: &Expr,
        times: i128,
        module: usize,
        tables: &BTreeMap<String, DataId>,
        sum: &mut Sum,
    ) -> Res<()> {
        match &e.kind {
            ExprKind::Reg(ast::Reg::Gpr(r, Width::W64)) => {
                match sum.registers.iter_mut().find(|(known, _)| known == r) {
                    Some((_, n)) => *n += times,
                    None => sum.registers.push((*r, times)),
                }
                Ok(())
            }
            ExprKind::Reg(r) => Err(self.report(
                Diag::error(Code(806), e.span, format!("`{}` is no part of an address", r.name()))
                    .with_note("addresses are made of 64-bit registers"),
            )),
            ExprKind::Local(name) => match tables.get(name) {
                Some(id) => self.add_symbol(Symbol::Data(*id), times, e.span, sum),
                None => Err(self.report(
                    Diag::error(Code(106), e.span, format!("no table `{name}` in this function"))
                        .with_note("a label has no address that a program may use"),
                )),
            },
            ExprKind::Name(name) => {
                if let Some(symbol) = self.symbol(name, module) {
                    return self.add_symbol(symbol, times, e.span, sum);
                }
                if let Some(id) = self.program.lookup(module, name)
                    && let Some(DeclKind::Fn(f)) = self.program.clone().decl(id).map(|d| &d.kind)
                    && f.body.is_none()
                {
                    return Err(self.report(
                        Diag::error(Code(812), e.span, "an import has no address of its own")
                            .with_help("write a function that jumps to it, and take its address"),
                    ));
                }
                if let Some((ty, _)) = name.split_once('.') {
                    sum.layout = self.layout_of(ty, module).or(sum.layout);
                }
                let c = self.constant(module, e)?;
                sum.constant += times * c;
                Ok(())
            }
            ExprKind::Unary(UnaryOp::Neg, inner) => {
                self.address(inner, -times, module, tables, sum)
            }
            ExprKind::Binary(BinaryOp::Add, a, b) => {
                self.address(a, times, module, tables, sum)?;
                self.address(b, times, module, tables, sum)
            }
            ExprKind::Binary(BinaryOp::Sub, a, b) => {
                self.address(a, times, module, tables, sum)?;
                self.address(b, -times, module, tables, sum)
            }
            ExprKind::Binary(BinaryOp::Mul, a, b) if mentions_register(a) => {
                let c = self.constant(module, b)?;
                self.address(a, times.saturating_mul(c), module, tables, sum)
            }
            ExprKind::Binary(BinaryOp::Mul, a, b) if mentions_register(b) => {
                let c = self.constant(module, a)?;
                self.address(b, times.saturating_mul(c), module, tables, sum)
            }
            ExprKind::Error => Err(super::Reported),
            _ => {
                let c = self.constant(module, e)?;
                sum.constant = sum.constant.saturating_add(times.saturating_mul(c));
                Ok(())
            }
        }
    }

    fn add_symbol(&mut self, symbol: Symbol, times: i128, span: Span, sum: &mut Sum) -> Res<()> {
        if times != 1 || sum.symbol.is_some() {
            return Err(self.error(806, span, "an address holds one name, once"));
        }
        sum.symbol = Some(symbol);
        Ok(())
    }

    /// The struct whose field an operand names: its layout is what the programmer has in mind.
    fn layout_of(&mut self, ty: &str, module: usize) -> Option<TypeId> {
        let id = self.program.lookup(module, ty)?;
        let program = self.program.clone();
        let Some(DeclKind::Struct(s)) = program.decl(id).map(|d| &d.kind) else { return None };
        if !s.binders.is_empty() {
            return None;
        }
        match self.struct_mem(id, s, Vec::new(), s.name.span) {
            Ok(tal_core::ty::Mem::Named(id, _)) => Some(id),
            _ => None,
        }
    }

    /// Base and index of a sum of registers.
    fn shape(&mut self, sum: &Sum, span: Span) -> Res<(Option<Register>, Option<(Register, u8)>)> {
        let list: Vec<(Register, i128)> = (sum.registers.iter())
            .filter(|(_, n)| *n != 0)
            .filter_map(|(r, n)| asm::register(r.name(Width::W64)).map(|r| (r, *n)))
            .collect();
        let scale = |n: i128| u8::try_from(n).ok().filter(|n| matches!(n, 1 | 2 | 4 | 8));
        let shape = match list.as_slice() {
            [] => Some((None, None)),
            [(r, 1)] => Some((Some(*r), None)),
            [(r, n @ (3 | 5 | 9))] => scale(n - 1).map(|s| (Some(*r), Some((*r, s)))),
            [(r, n)] => scale(*n).map(|s| (None, Some((*r, s)))),
            [(a, 1), (b, n)] | [(b, n), (a, 1)] => scale(*n).map(|s| (Some(*a), Some((*b, s)))),
            _ => None,
        };
        shape.ok_or_else(|| {
            self.report(
                Diag::error(Code(806), span, "this is no address of the processor")
                    .with_note("an address is base + index*scale + constant, scale 1, 2, 4 or 8")
                    .with_help("compute the rest with `lea` or `add` first"),
            )
        })
    }
}

/// A sum that becomes an address.
#[derive(Default)]
struct Sum {
    registers: Vec<(Gpr, i128)>,
    symbol: Option<Symbol>,
    constant: i128,
    layout: Option<TypeId>,
}

fn mentions_register(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Reg(_) => true,
        ExprKind::Unary(_, a) => mentions_register(a),
        ExprKind::Binary(_, a, b) => mentions_register(a) || mentions_register(b),
        _ => false,
    }
}

fn collect_targets<'a>(
    line: &'a ast::Line,
    targets: &mut BTreeSet<&'a str>,
    indirect: &mut BTreeSet<&'a str>,
) {
    match line.stmt.as_ref().map(|s| &s.kind) {
        Some(StmtKind::Inst(inst)) => {
            for operand in &inst.operands {
                if let OperandKind::Expr(Expr { kind: ExprKind::Local(name), .. }) = &operand.kind {
                    targets.insert(name);
                }
            }
        }
        Some(StmtKind::Table(t)) => {
            for name in &t.targets {
                targets.insert(&name.text);
                indirect.insert(&name.text);
            }
        }
        _ => {}
    }
}

fn encode(
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

    fn push(&mut self, what: What, span: Span, layout: Option<TypeId>) {
        self.pieces.push(Piece { what, span, implied: false, offset: 0, len: 0, layout });
    }

    /// `endbr64`: where an indirect jump may arrive.
    fn landing(&mut self, span: Span) {
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
