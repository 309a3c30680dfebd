//! Not trusted: a bug here can reject, never admit. Structs: layout, and named types of the judge.

use super::expr::{Scope, Value};
use super::types::TYPE_NAMES;
use super::{Elab, Layout, Res, StructState};
use crate::lowered::{FieldInfo, TypeInfo};
use crate::resolve::DeclId;
use tal_core::counted::Rc;
use tal_core::limits::FIELDS;
use tal_core::term::{Term, Var};
use tal_core::ty::{Fact, Field, FieldTy, Mem, NamedType, Rel, TypeId, Word};
use tal_syntax::Span;
use tal_syntax::ast::{
    self, Arg, BinderKind, DeclKind, Expr, Item, ItemKind, Name, Struct, Type, TypeKind,
};
use tal_syntax::diag::{Code, Diag};

/// Most bytes of a struct.
const STRUCT_BYTES: u32 = 1 << 20;

impl Elab {
    /// Offsets and size of a struct. Needs no type of what its pointers point to.
    pub(super) fn struct_layout(&mut self, id: DeclId, span: Span) -> Res<Layout> {
        let program = self.program.clone();
        let Some(DeclKind::Struct(s)) = program.decl(id).map(|d| &d.kind) else {
            let message = program.name(id).map_or(String::new(), |n| n.text.to_string());
            return Err(self.error(105, span, &format!("`{message}` is no struct")));
        };
        match self.layouts.get(&id) {
            Some(Some(known)) => return known.clone(),
            Some(None) => return Err(self.error(206, span, "this struct contains itself")),
            None => {}
        }
        self.layouts.insert(id, None);
        let layout = self.compute_layout(id.module, s);
        self.layouts.insert(id, Some(layout.clone()));
        layout
    }

    fn compute_layout(&mut self, module: usize, s: &Struct) -> Res<Layout> {
        let mut layout = Layout { fields: Vec::new(), size: 0, align: 1, inline: false };
        let mut end: u32 = 0;
        for item in &s.fields {
            let (name, ty) = self.field_item(item)?;
            if let Some(first) = layout.fields.iter().find(|f| f.name == name.text) {
                let message = format!("the struct has a field `{}` already", first.name);
                return Err(self.error(103, name.span, &message));
            }
            self.constant_length(s, ty)?;
            let (size, align, inline) = self.extent(ty, module)?;
            layout.inline |= inline;
            let align = if s.packed.is_some() { 1 } else { align };
            layout.align = layout.align.max(align);
            let offset = end.next_multiple_of(align);
            end = offset.saturating_add(size);
            if end > STRUCT_BYTES {
                return Err(self.error(221, item.span, "the struct is larger than 2^20 bytes"));
            }
            layout.fields.push(FieldInfo { name: name.text.to_string(), offset, size });
        }
        layout.size = end.next_multiple_of(layout.align);
        if layout.size == 0 {
            return Err(self.error(203, s.name.span, "a struct needs a field"));
        }
        Ok(layout)
    }

    /// What a struct has inside is as long as the struct is large: its own numbers do not say how
    /// long.
    fn constant_length(&mut self, s: &Struct, ty: &Type) -> Res<()> {
        let length = match &ty.kind {
            TypeKind::Array { len, .. } => len,
            TypeKind::Named { args: Some(args), .. } => match args.as_slice() {
                [Arg::Expr(len)] => len,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let hidden = s.exists.iter().flat_map(|e| &e.binders);
        let ast::ExprKind::Name(name) = &length.kind else { return Ok(()) };
        let Some(binder) = s.binders.iter().chain(hidden).find(|b| b.name.text == *name) else {
            return Ok(());
        };
        Err(self.report(
            Diag::error(Code(203), length.span, "an array inside a struct has a constant length")
                .with_label(binder.name.span, "differs from one value to another")
                .with_help("put it behind a pointer: `own` or `ref`"),
        ))
    }

    /// The name and type of a field.
    fn field_item<'a>(&mut self, item: &'a Item) -> Res<(Name, &'a Type)> {
        self.unaligned(item)?;
        if let ItemKind::Value { chain, ty: Some(ty), .. } = &item.kind
            && let ast::ExprKind::Name(text) = &chain.first.kind
            && chain.rest.len() <= 1
            && chain.rest.iter().all(|l| l.rel == ast::Rel::Eq)
        {
            return Ok((Name { text: text.as_str().into(), span: chain.first.span }, ty));
        }
        Err(self.error(209, item.span, "a field is `name: type` or `name = value: type`"))
    }

    /// Size and alignment of a type inside a struct, and whether it is more than words.
    pub(super) fn extent(&mut self, ty: &Type, module: usize) -> Res<(u32, u32, bool)> {
        self.deeper(ty.span, |elab| elab.shallow_extent(ty, module))
    }

    fn shallow_extent(&mut self, ty: &Type, module: usize) -> Res<(u32, u32, bool)> {
        match &ty.kind {
            TypeKind::Int { base, .. } => {
                let w = u32::from(base.width().bytes());
                Ok((w, w, false))
            }
            TypeKind::Ptr { .. } | TypeKind::Fn(_) => Ok((8, 8, false)),
            TypeKind::Array { len, elem, .. } => {
                let (size, align, _) = self.extent(elem, module)?;
                let n = self.length(len, module)?;
                Ok((size.saturating_mul(n), align, true))
            }
            TypeKind::Named { name, args } => {
                if let ("bytes" | "zero" | "junk", Some([Arg::Expr(e)])) =
                    (name.text.as_str(), args.as_deref())
                {
                    let n = self.length(e, module)?;
                    let word = name.text == "junk" && matches!(n, 1 | 2 | 4 | 8);
                    return Ok((n, if word { n } else { 1 }, !word));
                }
                let Some(id) = self.program.lookup(module, &name.text) else {
                    let diag = self.program.unknown(module, &name.text, name.span, TYPE_NAMES);
                    return Err(self.report(diag));
                };
                let program = self.program.clone();
                match program.decl(id).map(|d| &d.kind) {
                    Some(DeclKind::Type(t)) => {
                        let Some(body) = &t.ty else {
                            return Err(self.stage(name.span, "abstract types"));
                        };
                        self.extent(body, id.module)
                    }
                    Some(DeclKind::Struct(s)) => {
                        let layout = self.struct_layout(id, name.span)?;
                        let whole = layout.inline || s.exists.is_some() || !s.binders.is_empty();
                        Ok((layout.size, layout.align, whole))
                    }
                    Some(DeclKind::Sum(_)) => Err(self.stage(name.span, "sums")),
                    _ => Err(self.error(105, name.span, &format!("`{}` is no type", name.text))),
                }
            }
            TypeKind::Error => Err(super::Reported),
        }
    }

    pub(super) fn length(&mut self, e: &Expr, module: usize) -> Res<u32> {
        let n = self.constant(module, e)?;
        match u32::try_from(n) {
            Ok(n) if n <= STRUCT_BYTES => Ok(n),
            _ => Err(self.error(203, e.span, "an array inside a struct has 0 to 2^20 bytes")),
        }
    }

    /// Memory of a struct: a named type, or what it abbreviates if it has arrays inside.
    pub(super) fn struct_mem(
        &mut self,
        id: DeclId,
        s: &Struct,
        args: Vec<Term>,
        span: Span,
    ) -> Res<Mem> {
        let layout = self.struct_layout(id, span)?;
        if layout.inline {
            let mut scope = Scope::closed(id.module);
            for (binder, value) in s.binders.iter().zip(args) {
                scope.fixed.insert(binder.name.text.to_string(), Value::int(value));
            }
            if self.nesting > tal_core::limits::NESTING {
                return Err(self.error(206, span, "this struct contains itself"));
            }
            self.nesting += 1;
            let mem = self.struct_body(s, &layout, &mut scope);
            self.nesting -= 1;
            return mem;
        }
        let number = self.type_id(id, s, &layout)?;
        Ok(Mem::Named(number, args))
    }

    /// The number of a named type; its body is made when it is first met.
    fn type_id(&mut self, id: DeclId, s: &Struct, layout: &Layout) -> Res<TypeId> {
        if let Some(state) = self.structs.get(&id) {
            return match state {
                StructState::Known(n) => Ok(*n),
                StructState::Failed => Err(super::Reported),
            };
        }
        let host = self.host_types.iter().position(|t| t.name == s.name.text);
        let interface = self.program.modules.get(id.module).is_some_and(|m| m.interface);
        let number = match (interface && !self.defining, host) {
            (true, Some(at)) => TypeId(u32::try_from(at).unwrap_or(u32::MAX)),
            (true, None) => {
                self.structs.insert(id, StructState::Failed);
                let message = format!("the host's interface has no struct `{}`", s.name.text);
                return Err(self.error(108, s.name.span, &message));
            }
            (false, _) => {
                let at = self.host_types.len() + self.types.len();
                self.types.push(placeholder(s, layout));
                TypeId(u32::try_from(at).unwrap_or(u32::MAX))
            }
        };
        self.structs.insert(id, StructState::Known(number));
        let embedded = self.program.modules.get(id.module).is_some_and(|m| m.embedded);
        if interface && !self.defining && embedded {
            return Ok(number);
        }
        let info = self.deeper(s.name.span, |elab| elab.struct_info(id, s, layout));
        let Ok(info) = info else {
            self.structs.insert(id, StructState::Failed);
            return Err(super::Reported);
        };
        if interface && !self.defining {
            let same = self.type_info(number).is_some_and(|t| t.ty == info.ty);
            if !same {
                let message = format!("`{}` differs from the host's", s.name.text);
                return Err(self.error(109, s.name.span, &message));
            }
        } else if let Some(slot) = (number.0 as usize)
            .checked_sub(self.host_types.len())
            .and_then(|i| self.types.get_mut(i))
        {
            *slot = info;
        }
        Ok(number)
    }

    fn struct_info(&mut self, id: DeclId, s: &Struct, layout: &Layout) -> Res<TypeInfo> {
        let mut scope = Scope::closed(id.module);
        for (i, binder) in s.binders.iter().enumerate() {
            if matches!(binder.kind, Some((k, _)) if k != BinderKind::Int) {
                return Err(self.stage(binder.span, "types with parameters other than integers"));
            }
            let v = Term::var(Var::Param(u16::try_from(i).unwrap_or(u16::MAX)));
            scope.fixed.insert(binder.name.text.to_string(), Value::int(v));
        }
        let body = Rc::new(self.struct_body(s, layout, &mut scope)?);
        let mut info = placeholder(s, layout);
        info.ty.zero_ok = self.zero_ok(&body);
        info.ty.plain = self.plain(&body);
        info.ty.owns = self.owns(&body);
        info.ty.body = body;
        Ok(info)
    }

    fn struct_body(&mut self, s: &Struct, layout: &Layout, scope: &mut Scope) -> Res<Mem> {
        let hidden: Vec<Term> = self.hidden_variables(s, scope)?;
        let mut facts = Vec::new();
        if let Some(exists) = &s.exists {
            for item in &exists.facts {
                match &item.kind {
                    ItemKind::Value { chain, ty: None, .. } => {
                        facts.extend(self.facts(chain, scope)?);
                    }
                    _ => return Err(self.error(209, item.span, "here only facts can stand")),
                }
            }
        }
        let mut parts: Vec<(FieldInfo, Mem)> = Vec::new();
        let mut words: Vec<Field> = Vec::new();
        for (item, place) in s.fields.iter().zip(&layout.fields) {
            self.struct_field(item, place, scope, &mut words, &mut parts)?;
            if words.len() > FIELDS {
                let message = format!("the struct has more than {FIELDS} fields, all told");
                return Err(self.error(221, item.span, &message));
            }
        }
        if let (Some(exists), Some((place, _))) = (&s.exists, parts.first()) {
            let message = format!("`{}` hides numbers, so it is made of words only", s.name.text);
            let field = s.fields.iter().zip(&layout.fields).find(|(_, f)| f.name == place.name);
            let span = field.map_or(s.name.span, |(item, _)| item.span);
            let hidden = exists.binders.first().map_or(s.name.span, |b| b.name.span);
            return Err(self.report(
                Diag::error(Code(223), span, message)
                    .with_primary("this is more than a word")
                    .with_label(hidden, "hidden here")
                    .with_help("put it behind a pointer: `own` or `ref`"),
            ));
        }
        for f in &mut words {
            f.writable = !mentions_bound(&f.ty);
        }
        let body = join_parts(words, parts, layout.size);
        Ok(if hidden.is_empty() {
            body
        } else {
            let vars = u16::try_from(hidden.len()).unwrap_or(u16::MAX);
            Mem::Ex { vars, facts, body: Rc::new(body) }
        })
    }

    fn hidden_variables(&mut self, s: &Struct, scope: &mut Scope) -> Res<Vec<Term>> {
        let mut hidden = Vec::new();
        for binder in s.exists.iter().flat_map(|e| &e.binders) {
            if matches!(binder.kind, Some((k, _)) if k != BinderKind::Int) {
                return Err(self.stage(binder.span, "hidden variables other than integers"));
            }
            let v = Term::var(Var::Bound(u16::try_from(hidden.len()).unwrap_or(u16::MAX)));
            scope.fixed.insert(binder.name.text.to_string(), Value::int(v.clone()));
            hidden.push(v);
        }
        Ok(hidden)
    }

    /// Adds one field: as words if it is made of words, else as a part of its own.
    fn struct_field(
        &mut self,
        item: &Item,
        place: &FieldInfo,
        scope: &mut Scope,
        words: &mut Vec<Field>,
        parts: &mut Vec<(FieldInfo, Mem)>,
    ) -> Res<()> {
        let ItemKind::Value { chain, ty: Some(ty), .. } = &item.kind else {
            return Err(super::Reported);
        };
        if let Some(link) = chain.rest.first() {
            let value = self.term(&link.expr, scope)?;
            let (field, _) = self.field(ty, scope)?;
            let FieldTy::Int { bits, signed, mut facts } = field else {
                return Err(self.error(204, ty.span, "a field with a value is an integer"));
            };
            let v = Term::var(Var::Value);
            let term = self.big(v.sub(&value), item.span)?;
            facts.push(Fact { rel: Rel::Eq, term });
            let ty = FieldTy::Int { bits, signed, facts };
            words.push(Field { offset: place.offset, writable: true, ty });
            return Ok(());
        }
        let is_word = matches!(ty.kind, TypeKind::Int { .. } | TypeKind::Ptr { .. })
            || matches!(&ty.kind, TypeKind::Named { name, .. } if name.text == "junk"
                && matches!(place.size, 1 | 2 | 4 | 8));
        if is_word {
            let (field, _) = self.field(ty, scope)?;
            words.push(Field { offset: place.offset, writable: true, ty: field });
            return Ok(());
        }
        let mem = self.mem(ty, scope)?;
        match self.words_of(&mem) {
            Some(fields) => words
                .extend(fields.into_iter().map(|f| Field { offset: f.offset + place.offset, ..f })),
            None => parts.push((place.clone(), mem)),
        }
        Ok(())
    }

    /// The fields of memory that is just a struct of words.
    pub(super) fn words_of(&self, mem: &Mem) -> Option<Vec<Field>> {
        match mem {
            Mem::Struct { fields, .. } => Some(fields.clone()),
            Mem::Named(id, args) if args.is_empty() => match &*self.type_info(*id)?.ty.body {
                Mem::Struct { fields, .. } if !fields.is_empty() => Some(fields.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Numbers a struct of the interface.
    pub(crate) fn declare_struct(&mut self, id: DeclId) -> Res<()> {
        let program = self.program.clone();
        let Some(DeclKind::Struct(s)) = program.decl(id).map(|d| &d.kind) else { return Ok(()) };
        let args = (0..s.binders.len())
            .map(|i| Term::var(Var::Param(u16::try_from(i).unwrap_or(u16::MAX))))
            .collect();
        self.struct_mem(id, s, args, s.name.span).map(|_| ())
    }
}

fn placeholder(s: &Struct, layout: &Layout) -> TypeInfo {
    let text = |b: &ast::Binder| b.name.text.to_string();
    TypeInfo {
        name: s.name.text.to_string(),
        ty: NamedType {
            arity: u16::try_from(s.binders.len()).unwrap_or(u16::MAX),
            size: layout.size,
            zero_ok: false,
            plain: false,
            owns: false,
            body: Rc::new(Mem::Struct { fields: Vec::new(), size: layout.size }),
        },
        params: s.binders.iter().map(text).collect(),
        hidden: s.exists.iter().flat_map(|e| &e.binders).map(text).collect(),
        fields: layout.fields.clone(),
        span: s.name.span,
    }
}

/// One struct of all words, or the chain of structs and other parts in order.
fn join_parts(words: Vec<Field>, parts: Vec<(FieldInfo, Mem)>, size: u32) -> Mem {
    if parts.is_empty() {
        return Mem::Struct { fields: words, size };
    }
    let mut pieces: Vec<Mem> = Vec::new();
    let mut at = 0;
    let mut words = words.into_iter().peekable();
    let mut piece = |from: u32, to: u32, pieces: &mut Vec<Mem>| {
        let mut fields = Vec::new();
        while let Some(f) = words.next_if(|f| f.offset < to) {
            fields.push(Field { offset: f.offset - from, ..f });
        }
        if to > from {
            pieces.push(if fields.is_empty() {
                Mem::Junk(Term::int(i64::from(to - from)))
            } else {
                Mem::Struct { fields, size: to - from }
            });
        }
    };
    for (place, mem) in parts {
        piece(at, place.offset, &mut pieces);
        at = place.offset.saturating_add(place.size);
        pieces.push(mem);
    }
    piece(at, size, &mut pieces);
    let mut flat: Vec<Mem> = Vec::new();
    for p in pieces {
        flatten(p, &mut flat);
    }
    let last = flat.pop().unwrap_or(Mem::Junk(Term::ZERO));
    flat.into_iter().rev().fold(last, |rest, first| Mem::Cat(Rc::new(first), Rc::new(rest)))
}

fn flatten(mem: Mem, out: &mut Vec<Mem>) {
    match mem {
        Mem::Cat(a, b) => {
            flatten((*a).clone(), out);
            flatten((*b).clone(), out);
        }
        other => out.push(other),
    }
}

fn mentions_bound(ty: &FieldTy) -> bool {
    let term = |t: &Term| t.vars().any(|v| matches!(v, Var::Bound(_)));
    match ty {
        FieldTy::Int { facts, .. } => facts.iter().any(|f| term(&f.term)),
        FieldTy::Known(Word::Int(t)) => term(t),
        FieldTy::Own { mem, .. } | FieldTy::Ref { mem, .. } => mem_mentions_bound(mem),
        FieldTy::Known(_) | FieldTy::Junk(_) => false,
    }
}

fn mem_mentions_bound(mem: &Mem) -> bool {
    let term = |t: &Term| t.vars().any(|v| matches!(v, Var::Bound(_)));
    match mem {
        Mem::Struct { fields, .. } => fields.iter().any(|f| mentions_bound(&f.ty)),
        Mem::Array(n, e) => term(n) || mem_mentions_bound(e),
        Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => term(n),
        Mem::Cat(a, b) => mem_mentions_bound(a) || mem_mentions_bound(b),
        Mem::Named(_, args) => args.iter().any(term),
        // Its variables are its own.
        Mem::Ex { .. } => false,
    }
}

impl Elab {
    /// Is memory of zero bytes of this type?
    pub(super) fn zero_ok(&self, mem: &Mem) -> bool {
        match mem {
            Mem::Struct { fields, .. } => fields.iter().all(|f| zero_field(&f.ty)),
            Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => true,
            Mem::Array(_, e) => self.zero_ok(e),
            Mem::Cat(a, b) => self.zero_ok(a) && self.zero_ok(b),
            Mem::Ex { .. } => false,
            Mem::Named(id, _) => self.type_info(*id).is_some_and(|t| t.ty.zero_ok),
        }
    }

    /// Nothing but integers of any value and bytes, without gaps?
    pub(super) fn plain(&self, mem: &Mem) -> bool {
        match mem {
            Mem::Struct { fields, size } => {
                let mut end = 0;
                let words = fields.iter().all(|f| {
                    let FieldTy::Int { bits, facts, .. } = &f.ty else { return false };
                    let adjacent = f.offset == end;
                    end = f.offset + u32::from(*bits / 8);
                    adjacent && facts.is_empty()
                });
                words && end == *size
            }
            Mem::Bytes(_) => true,
            Mem::Array(_, e) => self.plain(e),
            Mem::Cat(a, b) => self.plain(a) && self.plain(b),
            Mem::Junk(_) | Mem::Zero(_) | Mem::Ex { .. } => false,
            Mem::Named(id, _) => self.type_info(*id).is_some_and(|t| t.ty.plain),
        }
    }

    /// Does it own memory by value?
    pub(super) fn owns(&self, mem: &Mem) -> bool {
        match mem {
            Mem::Struct { fields, .. } => {
                fields.iter().any(|f| matches!(f.ty, FieldTy::Own { .. }))
            }
            Mem::Array(_, e) => self.owns(e),
            Mem::Cat(a, b) => self.owns(a) || self.owns(b),
            Mem::Ex { body, .. } => self.owns(body),
            Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => false,
            Mem::Named(id, _) => self.type_info(*id).is_some_and(|t| t.ty.owns),
        }
    }
}

fn zero_field(ty: &FieldTy) -> bool {
    match ty {
        FieldTy::Int { facts, .. } => facts.iter().all(|f| {
            let zero = |v| (v == Var::Value).then_some(Term::ZERO);
            let at_zero = f.term.subst(&zero).ok().and_then(|t| t.as_int());
            match f.rel {
                Rel::Ge => at_zero.is_some_and(|c| c >= 0),
                Rel::Eq => at_zero == Some(0),
                Rel::Ne => at_zero.is_some_and(|c| c != 0),
            }
        }),
        FieldTy::Own { nullable, .. } | FieldTy::Ref { nullable, .. } => *nullable,
        FieldTy::Junk(_) => true,
        FieldTy::Known(_) => false,
    }
}
