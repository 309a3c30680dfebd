//! Not trusted: a bug here can reject, never admit. Which functions and data belong to the program.
//!
//! All of the root file's, and what these mention, transitively. Names decide: no types are needed.

use super::Elab;
use crate::resolve::{DeclId, Program};
use std::collections::{BTreeMap, BTreeSet};
use tal_core::ty::{DataId, FnId};
use tal_syntax::ast::{
    self, DeclKind, Expr, ExprKind, InitKind, Item, ItemKind, OperandKind, Section, StmtKind,
};

/// What belongs to the program.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The root's functions in source order, then the others.
    pub functions: Vec<DeclId>,
    pub data: BTreeSet<DeclId>,
    pub address_taken: BTreeSet<DeclId>,
}

/// Data in address order.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub objects: Vec<Slot>,
    /// Jump tables by function and local name.
    pub tables: BTreeMap<DeclId, BTreeMap<String, DataId>>,
}

/// One place in the order of data.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Object(DeclId),
    Table { function: FnId, of: DeclId, name: ast::Name, targets: usize },
}

impl Elab {
    pub(super) fn reach(&self) -> Reach {
        let program = &self.program;
        let mut reach = Reach::default();
        let mut work: Vec<DeclId> = Vec::new();
        let mut seen: BTreeSet<DeclId> = BTreeSet::new();
        let root = program.modules.first();
        for (i, decl) in root.into_iter().flat_map(|m| m.tree.decls.iter().enumerate()) {
            let id = DeclId { module: 0, decl: i };
            match &decl.kind {
                DeclKind::Fn(f) if f.body.is_some() => {
                    reach.functions.push(id);
                    work.push(id);
                    seen.insert(id);
                }
                DeclKind::Data(_) => {
                    work.push(id);
                    seen.insert(id);
                }
                _ => {}
            }
        }
        let mut others = BTreeSet::new();
        while let Some(id) = work.pop() {
            let mut names =
                Names { program, module: id.module, found: Vec::new(), taken: Vec::new() };
            match program.decl(id).map(|d| &d.kind) {
                Some(DeclKind::Fn(f)) => {
                    names.function(f);
                    if id.module != 0 {
                        others.insert(id);
                    }
                }
                Some(DeclKind::Data(d)) => {
                    reach.data.insert(id);
                    names.data(d);
                }
                _ => {}
            }
            reach.address_taken.extend(names.taken);
            work.extend(names.found.into_iter().filter(|id| seen.insert(*id)));
        }
        reach.functions.extend(others);
        reach
    }

    /// Numbers data in the order of addresses: rodata, jump tables, data, bss.
    pub(super) fn order_data(&mut self, reach: &Reach) -> Order {
        let program = self.program.clone();
        let mut order = Order::default();
        for section in [Section::Rodata, Section::Data, Section::Bss] {
            for id in &reach.data {
                let of = program.decl(*id).map(|d| &d.kind);
                if matches!(of, Some(DeclKind::Data(d)) if d.section == section) {
                    self.data_order.insert(*id, order.objects.len());
                    order.objects.push(Slot::Object(*id));
                }
            }
            if section == Section::Rodata {
                for (i, of) in reach.functions.iter().enumerate() {
                    let function = FnId(u32::try_from(i).unwrap_or(u32::MAX));
                    for table in tables(&program, *of) {
                        let at = u16::try_from(order.objects.len()).unwrap_or(u16::MAX);
                        let names = order.tables.entry(*of).or_default();
                        names.insert(table.name.text.to_string(), DataId(at));
                        let (name, targets) = (table.name.clone(), table.targets.len());
                        order.objects.push(Slot::Table { function, of: *of, name, targets });
                    }
                }
            }
        }
        order
    }
}

fn tables(program: &Program, id: DeclId) -> Vec<&ast::Table> {
    let Some(DeclKind::Fn(f)) = program.decl(id).map(|d| &d.kind) else { return Vec::new() };
    (f.body.iter().flat_map(|b| &b.lines))
        .filter_map(|l| match l.stmt.as_ref().map(|s| &s.kind) {
            Some(StmtKind::Table(t)) => Some(t),
            _ => None,
        })
        .collect()
}

/// Collects the global names that a declaration mentions.
struct Names<'p> {
    program: &'p Program,
    module: usize,
    found: Vec<DeclId>,
    taken: Vec<DeclId>,
}

impl Names<'_> {
    fn function(&mut self, f: &ast::Fn) {
        for line in f.body.iter().flat_map(|b| &b.lines) {
            for item in line.state.iter().flat_map(|s| &s.items) {
                self.item(item);
            }
            match line.stmt.as_ref().map(|s| &s.kind) {
                Some(StmtKind::Inst(inst)) => {
                    for operand in &inst.operands {
                        match &operand.kind {
                            OperandKind::Mem { address, .. } => self.expr(address, true),
                            OperandKind::Expr(e) => self.expr(e, false),
                            OperandKind::Reg(_) => {}
                        }
                    }
                }
                Some(StmtKind::Ghost(g)) => g.items.iter().for_each(|i| self.item(i)),
                _ => {}
            }
        }
    }

    fn data(&mut self, d: &ast::Data) {
        for init in &d.init {
            match &init.kind {
                InitKind::Expr(e) | InitKind::Times(_, e) => self.expr(e, false),
                InitKind::Str(_) => {}
            }
        }
    }

    fn item(&mut self, item: &Item) {
        if let ItemKind::Value { chain, .. } = &item.kind {
            self.expr(&chain.first, false);
            chain.rest.iter().for_each(|l| self.expr(&l.expr, false));
        }
    }

    fn expr(&mut self, e: &Expr, address: bool) {
        match &e.kind {
            ExprKind::Name(name) => {
                let Some(id) = self.program.lookup(self.module, name) else { return };
                match self.program.decl(id).map(|d| &d.kind) {
                    Some(DeclKind::Fn(f)) if f.body.is_some() => {
                        self.found.push(id);
                        if address {
                            self.taken.push(id);
                        }
                    }
                    Some(DeclKind::Data(_)) => self.found.push(id),
                    _ => {}
                }
            }
            ExprKind::Unary(_, a) | ExprKind::Mem(a) => self.expr(a, address),
            ExprKind::Binary(_, a, b) => {
                self.expr(a, address);
                self.expr(b, address);
            }
            _ => {}
        }
    }
}
