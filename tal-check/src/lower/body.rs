//! Not trusted: a bug here can reject, never admit. Lines of code: operands, targets, labels.

use super::draft::{Draft, Link, Piece, Symbol, What};
use super::expr::Scope;
use super::sig::Named;
use super::{Elab, Res};
use crate::asm::{self, Arg, Branch, MemArg};
use crate::resolve::DeclId;
use iced_x86::Register;
use std::collections::{BTreeMap, BTreeSet};
use tal_core::ty::{DataId, TypeId};
use tal_syntax::Span;
use tal_syntax::ast::{
    self, BinaryOp, DeclKind, Expr, ExprKind, Gpr, OperandKind, StmtKind, UnaryOp, Width,
};
use tal_syntax::diag::{Code, Diag};

/// Stands for every address while none is known.
pub(crate) const STAND_IN: i64 = 0x40_0000;

/// What the whole program tells about a function before its code is read.
pub(super) struct Place<'a> {
    pub decl: DeclId,
    pub function: &'a ast::Fn,
    /// Those of the body.
    pub lines: &'a [ast::Line],
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
            span: function.name.span,
            sig_span: function.sig.as_ref().map_or(function.name.span, |s| s.span),
            end_span: Span { start: body.span.end.saturating_sub(1), ..body.span },
            pieces: Vec::with_capacity(place.lines.len()),
            instructions: Vec::with_capacity(place.lines.len()),
            ..Draft::empty(function.name.text.to_string(), place.public, place.named)
        };
        let names = self.label_names(place.lines);
        let mut targets: BTreeSet<&str> = BTreeSet::new();
        let mut indirect: BTreeSet<&str> = BTreeSet::new();
        for line in place.lines {
            collect_targets(line, &mut targets, &mut indirect);
        }
        if place.address_taken || function.entry.is_some() {
            self.landing(&mut draft, function.name.span);
        }
        let errors = self.diags.len();
        let mut jumps: Vec<(usize, &str)> = Vec::new();
        let mut tables: Vec<(DataId, &ast::Table)> = Vec::new();
        for line in place.lines {
            if let Some(label) = &line.label {
                let name = label.text.as_str();
                let written = line.state.as_ref().map(|s| self.written(s, &draft.named));
                let written = written.and_then(Result::ok);
                let at = draft.pieces.len();
                let target = targets.contains(name);
                draft.labels.push((at, name.to_owned(), label.span, target, written));
                if indirect.contains(name) {
                    self.landing(&mut draft, label.span);
                }
            }
            let Some(stmt) = &line.stmt else { continue };
            match &stmt.kind {
                StmtKind::Inst(inst) => {
                    // What is wrong has been said.
                    let tables = &place.tables;
                    let _ =
                        self.instruction(inst, stmt.span, &names, tables, &mut draft, &mut jumps);
                }
                StmtKind::Ghost(g) => {
                    let at = draft.pieces.len();
                    if let Ok(g) = self.ghost(g, stmt.span, 0, &draft.named) {
                        draft.ghosts.push((at, g));
                    }
                }
                StmtKind::Table(t) => {
                    if let Some(id) = place.tables.get(t.name.text.as_str()) {
                        tables.push((*id, t));
                    }
                }
                StmtKind::Error => {}
            }
        }
        draft.code = self.assembler.take();
        self.finish(&mut draft, &jumps, &tables, errors)?;
        // Nothing is looked up any more, and there may be many drafts.
        draft.named.scope = Scope::closed(draft.decl.module);
        draft.labels.shrink_to_fit();
        Some(draft)
    }

    /// Local names, each declared once.
    fn label_names<'a>(&mut self, lines: &'a [ast::Line]) -> BTreeMap<&'a str, Span> {
        let mut first: BTreeMap<&str, Span> = BTreeMap::new();
        for line in lines {
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
        first
    }

    /// Ties jumps and tables to pieces, and checks that the code does not run out.
    fn finish(
        &mut self,
        draft: &mut Draft,
        jumps: &[(usize, &str)],
        tables: &[(DataId, &ast::Table)],
        errors: usize,
    ) -> Option<()> {
        let positions: BTreeMap<&str, usize> =
            draft.labels.iter().map(|l| (l.1.as_str(), l.0)).collect();
        for (at, name) in jumps {
            if let (Some(p), Some(Piece { what: What::Local { to, .. }, .. })) =
                (positions.get(name), draft.pieces.get_mut(*at))
            {
                *to = u32::try_from(*p).unwrap_or(u32::MAX);
            }
        }
        for (id, table) in tables {
            let mut list = Vec::new();
            for target in &table.targets {
                match positions.get(target.text.as_str()) {
                    Some(p) => list.push(*p),
                    None => {
                        let _ = self.no_label(target, positions.keys().copied());
                    }
                }
            }
            draft.tables.push((*id, list));
        }
        if self.diags.len() > errors {
            return None;
        }
        let stated = || draft.labels.iter().filter_map(|l| Some((l.0, l.4.as_ref()?)));
        for ((at, first), (other, second)) in stated().zip(stated().skip(1)) {
            if at == other {
                let diag =
                    Diag::error(Code(211), second.span, "two states are written at one place")
                        .with_label(first.span, "first here")
                        .with_help("write one state, at either label");
                let _ = self.report(diag);
                return None;
            }
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

    /// Writes an instruction.
    fn instruction<'a>(
        &mut self,
        inst: &'a ast::Inst,
        span: Span,
        names: &BTreeMap<&str, Span>,
        tables: &BTreeMap<String, DataId>,
        draft: &mut Draft,
        jumps: &mut Vec<(usize, &'a str)>,
    ) -> Res<()> {
        let mnemonic = inst.mnemonic.text.as_str();
        if let [ast::Operand { kind: OperandKind::Expr(target), .. }] = inst.operands.as_slice()
            && let Some(branch) = asm::branch(mnemonic)
        {
            let (what, len) = self.transfer(branch, target, names, draft, jumps)?;
            draft.push(what, span, len);
            return Ok(());
        }
        let known = match asm::known(mnemonic) {
            Ok(known) => known,
            Err(e) => return Err(self.asm_error(e, inst, span)),
        };
        let mut link = None;
        let mut layout = None;
        let mut args = std::mem::take(&mut self.args);
        args.clear();
        for operand in &inst.operands {
            let module = draft.decl.module;
            args.push(self.operand(operand, module, tables, &mut layout, &mut link)?);
        }
        let prefix = inst.prefix.map(|(p, _)| p.text());
        let placed = self.assembler.encode(prefix, known, &args, STAND_IN.cast_unsigned());
        self.args = args;
        let placed = match placed {
            Ok(placed) => placed,
            Err(e) => return Err(self.asm_error(e, inst, span)),
        };
        let number = u32::try_from(draft.pieces.len()).unwrap_or(u32::MAX);
        draft.layouts.extend(layout.map(|of| (number, of)));
        if let (Some((symbol, mem)), Some(place)) = (link, placed.displacement) {
            let relative = mem.base.is_none() && mem.index.is_none();
            draft.links.push((number, Link { place, relative, symbol, addend: mem.disp }));
        }
        draft.push_placed(&placed, span);
        Ok(())
    }

    /// `endbr64`: where an indirect jump may arrive.
    fn landing(&mut self, draft: &mut Draft, span: Span) {
        let place = STAND_IN.cast_unsigned();
        let placed =
            asm::known("endbr64").and_then(|known| self.assembler.encode(None, known, &[], place));
        if let Ok(placed) = placed {
            draft.push_placed(&placed, span);
            draft.pieces.last_mut().into_iter().for_each(|piece| piece.implied = true);
        }
    }

    fn transfer<'a>(
        &mut self,
        branch: Branch,
        target: &'a Expr,
        names: &BTreeMap<&str, Span>,
        draft: &Draft,
        jumps: &mut Vec<(usize, &'a str)>,
    ) -> Res<(What, u8)> {
        let at = draft.pieces.len();
        match &target.kind {
            ExprKind::Local(name) => {
                if !names.contains_key(name.as_str()) {
                    let name = ast::Name { text: name.as_str().into(), span: target.span };
                    return Err(self.no_label(&name, names.keys().copied()));
                }
                if branch == Branch::Call {
                    return Err(self.report(
                        Diag::error(Code(809), target.span, "a label cannot be called")
                            .with_help("make it a function of its own, or jump to it"),
                    ));
                }
                jumps.push((at, name));
                Ok((What::Local { branch, to: 0, short: true }, branch.len(true)))
            }
            ExprKind::Name(name) => {
                let module = draft.decl.module;
                let Some(id) = self.program.lookup(module, name) else {
                    let local = format!(".{name}");
                    if names.contains_key(local.as_str()) {
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
                    return Ok((What::Import { branch, gate }, branch.len(false)));
                }
                match self.functions.get(&id) {
                    Some(f) => Ok((What::Call { branch, to: *f }, branch.len(false))),
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
        link: &mut Option<(Symbol, MemArg)>,
    ) -> Res<Arg> {
        match &operand.kind {
            OperandKind::Reg(r) => match asm::register_of(*r) {
                Some(register) => Ok(Arg::Reg(register)),
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
                Ok(Arg::Imm(self.constant(module, e)?))
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
                    Some(symbol) => {
                        *link = Some((symbol, mem));
                        Ok(Arg::Mem(MemArg { disp: stand_in(disp), ..mem }))
                    }
                    None if base.is_none() && index.is_none() => Err(self.report(
                        Diag::error(Code(806), address.span, "a constant is no address").with_note(
                            "memory is reached through registers, and through the names of data",
                        ),
                    )),
                    None => Ok(Arg::Mem(mem)),
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
    fn shape(&mut self, sum: &Sum, span: Span) -> Res<Shape> {
        let list: Vec<(Register, i128)> = (sum.registers.iter())
            .filter(|(_, n)| *n != 0)
            .filter_map(|(r, n)| asm::register_of(ast::Reg::Gpr(*r, Width::W64)).map(|r| (r, *n)))
            .collect();
        let scale = |n: i128| u8::try_from(n).ok().filter(|n| matches!(n, 1 | 2 | 4 | 8));
        let shape = match list.as_slice() {
            [] => Some((None, None)),
            [(r, 1)] => Some((Some(*r), None)),
            // An index without base takes four bytes of displacement.
            [(r, 2)] => Some((Some(*r), Some((*r, 1)))),
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

/// The displacement while the address of the symbol is unknown: one that takes four bytes.
pub(crate) fn stand_in(disp: i64) -> i64 {
    let at = disp.saturating_add(STAND_IN);
    if i8::try_from(at).is_ok() { at.saturating_add(STAND_IN) } else { at }
}

/// Base, and index with its scale.
type Shape = (Option<Register>, Option<(Register, u8)>);

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
