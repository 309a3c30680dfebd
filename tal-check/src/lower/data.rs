//! Not trusted: a bug here can reject, never admit. Static data, and declarations as such.

use super::expr::Scope;
use super::reach::{Order, Slot};
use super::{Elab, Res, table_kind};
use crate::layout::Object;
use crate::lowered::{Fixup, FixupKind, FixupTarget};
use crate::resolve::DeclId;
use tal_core::counted::Rc;
use tal_core::image::DataKind;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, DataId, Fact, FieldTy, Mem, Mode, Rel, Word};
use tal_syntax::Span;
use tal_syntax::ast::{self, DeclKind, Init, InitKind, Section, TypeKind};
use tal_syntax::diag::{Code, Diag};

/// Most bytes of one object's contents.
const CONTENTS: usize = 1 << 26;

/// One element of an initialiser.
#[derive(Clone, Copy, Debug)]
enum Element {
    Int(i128, Span),
    Address(DataId, i64, Span),
}

impl Elab {
    /// All objects in order, or nothing if one has an error.
    pub(super) fn data_objects(&mut self, order: &Order) -> Option<Vec<Object>> {
        let mut objects = Vec::new();
        for (i, slot) in order.objects.iter().enumerate() {
            let id = DataId(u16::try_from(i).ok()?);
            match slot {
                Slot::Object(decl) => objects.extend(self.object(*decl, id)),
                Slot::Table { function, of, name, targets } => {
                    let owner = self.program.name(*of).map_or("", |n| n.text.as_str());
                    objects.push(Object {
                        name: format!("{owner}{}", name.text),
                        public: false,
                        section: Section::Rodata,
                        kind: table_kind(*function),
                        size: u32::try_from(targets * 8).ok()?,
                        contents: None,
                        fixups: Vec::new(),
                        span: name.span,
                        address: 0,
                    });
                }
            }
        }
        (objects.len() == order.objects.len()).then_some(objects)
    }

    fn object(&mut self, decl: DeclId, id: DataId) -> Option<Object> {
        let program = self.program.clone();
        let declaration = program.decl(decl)?;
        let DeclKind::Data(d) = &declaration.kind else { return None };
        let mem = self.data_mem(decl, d).ok()?;
        let size = self.constant_size(&mem, d.name.span).ok()?;
        let mut fixups = Vec::new();
        let contents = match d.section {
            Section::Bss => {
                if let Some(init) = d.init.first() {
                    self.error(217, init.span, "bss has no contents: it is zero at start");
                    return None;
                }
                None
            }
            Section::Rodata if d.init.is_empty() => {
                self.error(217, d.name.span, "rodata needs contents");
                return None;
            }
            Section::Data if d.init.is_empty() => Some(vec![0; size as usize]),
            Section::Rodata | Section::Data => {
                Some(self.contents(decl, d, &mem, id, &mut fixups).ok()?)
            }
        };
        let mode = if d.section == Section::Rodata { Mode::Ro } else { Mode::Rw };
        Some(Object {
            name: d.name.text.to_string(),
            public: declaration.public.is_some(),
            section: d.section,
            kind: DataKind::Object { mem: Rc::new(mem), mode },
            size,
            contents,
            fixups,
            span: d.name.span,
            address: 0,
        })
    }

    /// The type of an object; `bytes` takes the length of the contents.
    fn data_mem(&mut self, decl: DeclId, d: &ast::Data) -> Res<Mem> {
        if matches!(&d.ty.kind, TypeKind::Named { name, args: None } if name.text == "bytes") {
            if d.init.is_empty() {
                let message = "`bytes` without contents needs its length: `bytes[n]`";
                return Err(self.error(218, d.ty.span, message));
            }
            let length = self.elements(decl.module, &d.init)?.len();
            return Ok(Mem::Bytes(Term::int(i64::try_from(length).unwrap_or(i64::MAX))));
        }
        let mut scope = Scope::closed(decl.module);
        let mem = self.mem(&d.ty, &mut scope)?;
        if self.owns(&mem) {
            return Err(self.report(
                Diag::error(Code(204), d.ty.span, "static data owns no memory")
                    .with_note("every function may reach it, so nobody could own through it"),
            ));
        }
        Ok(mem)
    }

    fn constant_size(&mut self, mem: &Mem, span: Span) -> Res<u32> {
        let size = self.size(mem, span)?.as_int();
        match size.and_then(|c| u32::try_from(c).ok()) {
            Some(c) if c > 0 && c <= 1 << 30 => Ok(c),
            _ => Err(self.error(203, span, "data has a constant size, from 1 byte to 2^30")),
        }
    }

    /// `sizeof name` of data.
    pub(super) fn data_size(&mut self, decl: DeclId, span: Span) -> Res<u32> {
        let program = self.program.clone();
        let Some(DeclKind::Data(d)) = program.decl(decl).map(|d| &d.kind) else {
            return Err(super::Reported);
        };
        if self.nesting > tal_core::limits::NESTING {
            return Err(self.error(206, span, "the size of this data depends on itself"));
        }
        self.nesting += 1;
        let mem = self.data_mem(decl, d);
        self.nesting -= 1;
        self.constant_size(&mem?, d.name.span)
    }

    /// The elements of an initialiser, strings as bytes.
    fn elements(&mut self, module: usize, init: &[Init]) -> Res<Vec<Element>> {
        let mut elements = Vec::new();
        for part in init {
            match &part.kind {
                InitKind::Expr(e) => elements.push(self.element(module, e)?),
                InitKind::Str(s) => {
                    elements.extend(s.bytes.iter().map(|b| Element::Int(i128::from(*b), s.span)));
                }
                InitKind::Times(count, e) => {
                    let n = self.constant(module, count)?;
                    let element = self.element(module, e)?;
                    match usize::try_from(n) {
                        Ok(n) if n <= CONTENTS => {
                            elements.extend(std::iter::repeat_n(element, n));
                        }
                        _ => return Err(self.error(216, count.span, "0 to 2^26 times")),
                    }
                }
            }
            if elements.len() > CONTENTS {
                return Err(self.error(216, part.span, "at most 2^26 elements"));
            }
        }
        Ok(elements)
    }

    fn element(&mut self, module: usize, e: &ast::Expr) -> Res<Element> {
        let mut scope = Scope::closed(module);
        let value = self.value(e, &mut scope)?;
        match (value.base, value.term.as_int()) {
            (None, Some(c)) => Ok(Element::Int(c, e.span)),
            (Some(Base::Data(d)), Some(c)) => {
                Ok(Element::Address(d, i64::try_from(c).unwrap_or(i64::MAX), e.span))
            }
            _ => Err(self.error(201, e.span, "this must be a constant")),
        }
    }

    fn contents(
        &mut self,
        decl: DeclId,
        d: &ast::Data,
        mem: &Mem,
        id: DataId,
        fixups: &mut Vec<Fixup>,
    ) -> Res<Vec<u8>> {
        let elements = self.elements(decl.module, &d.init)?;
        let count = elements.len();
        let mut fill = Fill { out: Vec::new(), id, rest: elements.into_iter(), used: 0, fixups };
        let short = match self.fill(mem, &mut fill) {
            Ok(()) => None,
            Err(Failure::Short) => Some(fill.used),
            Err(Failure::Said) => return Err(super::Reported),
        };
        if let Some(used) = short {
            let message = format!("the contents end after {used} elements, the type goes on");
            return Err(self.error(216, d.name.span, &message));
        }
        if let Some(extra) = fill.rest.next() {
            let (Element::Int(_, span) | Element::Address(_, _, span)) = extra;
            let message = format!("the type has room for {} elements, not for {count}", fill.used);
            return Err(self.error(216, span, &message));
        }
        Ok(fill.out)
    }

    fn fill(&mut self, mem: &Mem, fill: &mut Fill<'_>) -> Result<(), Failure> {
        let bytes = |t: &Term| t.as_int().and_then(|c| usize::try_from(c).ok()).unwrap_or(0);
        match mem {
            Mem::Struct { fields, size } => {
                let start = fill.out.len();
                for f in fields {
                    fill.out.resize(start + f.offset as usize, 0);
                    self.fill_field(&f.ty, fill)?;
                }
                fill.out.resize(start + *size as usize, 0);
                Ok(())
            }
            Mem::Array(n, elem) => {
                for _ in 0..bytes(n) {
                    self.fill(elem, fill)?;
                }
                Ok(())
            }
            Mem::Bytes(n) => {
                let byte = FieldTy::Int { bits: 8, signed: false, facts: Vec::new() };
                for _ in 0..bytes(n) {
                    self.fill_field(&byte, fill)?;
                }
                Ok(())
            }
            Mem::Junk(n) | Mem::Zero(n) => {
                let end = fill.out.len() + bytes(n);
                fill.out.resize(end, 0);
                Ok(())
            }
            Mem::Cat(a, b) => {
                self.fill(a, fill)?;
                self.fill(b, fill)
            }
            Mem::Ex { body, .. } => self.fill(body, fill),
            Mem::Named(id, _) => match self.body_of(*id) {
                Some(body) => self.fill(&body, fill),
                None => Err(Failure::Said),
            },
        }
    }

    fn fill_field(&mut self, ty: &FieldTy, fill: &mut Fill<'_>) -> Result<(), Failure> {
        let width = match ty {
            FieldTy::Int { bits, .. } => usize::from(*bits / 8),
            FieldTy::Junk(n) => {
                let end = fill.out.len() + usize::from(*n);
                fill.out.resize(end, 0);
                return Ok(());
            }
            FieldTy::Known(_) | FieldTy::Own { .. } | FieldTy::Ref { .. } => 8,
        };
        let element = fill.rest.next().ok_or(Failure::Short)?;
        fill.used += 1;
        match (element, ty) {
            (Element::Int(v, span), FieldTy::Int { bits, facts, .. }) => {
                let low = -(1_i128 << (bits - 1));
                if v < low || v >= 1_i128 << bits {
                    let message = format!("{v} does not fit into {bits} bits");
                    self.error(216, span, &message);
                    return Err(Failure::Said);
                }
                if facts.iter().any(|f| refuted(f, v)) {
                    let message = format!("{v} is outside of the range of the type");
                    self.error(216, span, &message);
                    return Err(Failure::Said);
                }
                fill.out.extend(v.to_le_bytes().iter().take(width));
                Ok(())
            }
            (Element::Int(v, span), FieldTy::Known(Word::Int(t))) => {
                if t.as_int() != Some(v) {
                    self.error(216, span, "the type says another value");
                    return Err(Failure::Said);
                }
                fill.out.extend(v.to_le_bytes().iter().take(width));
                Ok(())
            }
            (Element::Int(0, _), FieldTy::Ref { nullable: true, .. }) => {
                fill.out.extend([0; 8]);
                Ok(())
            }
            (Element::Address(d, addend, _), FieldTy::Ref { .. }) => {
                fill.fixups.push(Fixup {
                    data: Some(fill.id),
                    offset: u32::try_from(fill.out.len()).unwrap_or(u32::MAX),
                    kind: FixupKind::Abs64,
                    target: FixupTarget::Data(d),
                    addend,
                });
                fill.out.extend([0; 8]);
                Ok(())
            }
            (Element::Int(_, span) | Element::Address(_, _, span), _) => {
                self.error(216, span, "this is no value of the field's type");
                Err(Failure::Said)
            }
        }
    }

    // ------------------------------------------------------------------------------ declarations

    /// What may stand in which kind of file.
    pub(super) fn check_declarations(&mut self) {
        let program = self.program.clone();
        for (m, module) in program.modules.iter().enumerate() {
            for decl in &module.tree.decls {
                match &decl.kind {
                    DeclKind::Fn(f) if f.body.is_none() && !module.interface => {
                        let diag = Diag::error(Code(220), f.name.span, "this function has no body");
                        let note = "functions without body are imports, and stand in `.tali` files";
                        let _ = self.report(diag.with_note(note));
                    }
                    DeclKind::Fn(f) if f.body.is_some() && module.interface => {
                        let message = "an interface file declares functions, and has none";
                        self.error(220, f.name.span, message);
                    }
                    DeclKind::Data(d) if module.interface => {
                        self.error(220, d.name.span, "an interface file has no data");
                    }
                    DeclKind::Origin(o) if !module.interface => {
                        self.error(
                            220,
                            o.name.span,
                            "origins are the host's: `.tali` files have them",
                        );
                    }
                    DeclKind::Origin(o)
                        if self.origin_names.iter().all(|name| *name != o.name.text) =>
                    {
                        let message =
                            format!("the host's interface has no origin `{}`", o.name.text);
                        self.error(108, o.name.span, &message);
                    }
                    DeclKind::Sum(s) => {
                        self.stage(s.name.span, "sums");
                    }
                    DeclKind::Fn(f) if f.entry.is_some() && m == 0 => {
                        let of = |d: &ast::Decl| match &d.kind {
                            DeclKind::Fn(g) if g.entry.is_some() => Some(g.name.span),
                            _ => None,
                        };
                        let first = module.tree.decls.iter().find_map(of);
                        if let Some(first) = first.filter(|s| *s != f.name.span) {
                            let diag =
                                Diag::error(Code(110), f.name.span, "a program has one entry");
                            let _ = self.report(diag.with_label(first, "first here"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Errors in what nothing uses are errors too.
    pub(super) fn check_unused(&mut self) {
        let program = self.program.clone();
        let types = self.types.len();
        for (i, decl) in
            program.modules.iter().take(1).flat_map(|m| m.tree.decls.iter().enumerate())
        {
            let id = DeclId { module: 0, decl: i };
            match &decl.kind {
                DeclKind::Const(c) => {
                    let _ = self.constant(0, &c.value);
                }
                DeclKind::Struct(s) if !self.structs.contains_key(&id) => {
                    let args = (0..s.binders.len())
                        .map(|i| Term::var(Var::Param(u16::try_from(i).unwrap_or(u16::MAX))))
                        .collect();
                    let _ = self.struct_mem(id, s, args, s.name.span);
                }
                DeclKind::Type(t) if t.ty.is_none() => {
                    self.stage(t.name.span, "abstract types");
                }
                _ => {}
            }
        }
        // A type that nothing mentions is no part of the image.
        self.types.truncate(types);
    }
}

/// Contents in the making.
struct Fill<'a> {
    out: Vec<u8>,
    id: DataId,
    rest: std::vec::IntoIter<Element>,
    used: usize,
    fixups: &'a mut Vec<Fixup>,
}

enum Failure {
    /// The elements ran out.
    Short,
    /// Reported.
    Said,
}

/// Does the fact, which may speak of more than the value, surely fail?
fn refuted(fact: &Fact, value: i128) -> bool {
    let Ok(v) = Term::constant_of(value) else { return false };
    let at = fact.term.subst(&|x| (x == Var::Value).then(|| v.clone())).ok();
    match at.and_then(|t| t.as_int()) {
        Some(c) => match fact.rel {
            Rel::Ge => c < 0,
            Rel::Eq => c != 0,
            Rel::Ne => c == 0,
        },
        None => false,
    }
}
