//! Not trusted: a bug here can reject, never admit. Diagnostics of operands: what is read, and
//! where in memory.

use super::scene::{Scene, Written, class, is_compare};
use super::words::{Names, reg_name};
use super::{bounds, rules, source};
use crate::find::Trouble;
use iced_x86::{Mnemonic, OpKind};
use tal_core::error::{Kind, Rule};
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Fact, FieldTy, Kind as VarKind, Mem, Mode, Reg, Rel, Word};
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// What is wrong with an operand, if it is that.
pub(super) fn operands(scene: &Scene<'_>) -> Option<Diag> {
    let error = scene.error();
    if let Kind::Undecided(name) = error.kind {
        return Some(undecided(scene, name));
    }
    if let Some(diag) = repeated(scene) {
        return Some(diag);
    }
    let accessed = scene.failure.trouble.iter().rev().find_map(|t| match t {
        Trouble::Access { base, offset, width, store, bound } => Some(Access {
            base: *base,
            offset,
            width: *width,
            store: *store,
            bound: bound.as_ref(),
        }),
        _ => None,
    });
    if let Some(access) = &accessed {
        return Some(access.explain(scene));
    }
    match (error.rule, &error.kind) {
        (Rule::Shape | Rule::AccessEntry | Rule::AccessView, Kind::NotProved(fact)) => {
            bound_of(scene, fact)
        }
        (Rule::EaForm, Kind::WrongRegister(reg, word)) => Some(no_address(scene, *reg, word)),
        (Rule::EaForm, Kind::WrongWord(word)) => {
            let holds = |r: &Reg| scene.before().reg(*r) == &**word;
            let reg = source::mentioned(scene.text()).into_iter().find(holds)?;
            Some(no_address(scene, reg, word))
        }
        (_, Kind::WrongRegister(reg, word)) if **word == Word::Junk => {
            Some(unreadable(scene, *reg))
        }
        (rule, Kind::WrongWord(word))
            if rules::of_rule(rule) == rules::UNREADABLE
                || matches!(rule, Rule::StoreWeak | Rule::StoreStrong) =>
        {
            let reg = read(scene, word)?;
            Some(match **word {
                Word::Junk => unreadable(scene, reg),
                _ => not_public(scene, reg, scene.mention(reg), word),
            })
        }
        (Rule::FlagsRead, _) => Some(flags(scene)),
        _ => None,
    }
}

/// `rep movsb` and its like: rcx says how far they go.
fn repeated(scene: &Scene<'_>) -> Option<Diag> {
    let code = scene.iced().filter(|c| c.has_rep_prefix())?;
    let (size, reads) = match code.mnemonic() {
        Mnemonic::Movsb => (1, true),
        Mnemonic::Movsq => (8, true),
        Mnemonic::Stosb => (1, false),
        Mnemonic::Stosq => (8, false),
        _ => return None,
    };
    let Word::Int(count) = scene.before().reg(Reg::Rcx) else { return None };
    let sides = [(Reg::Rsi, "load", reads), (Reg::Rdi, "store", true)];
    sides.into_iter().filter(|s| s.2).find_map(|(reg, verb, _)| {
        let Word::Ptr(base, offset) = scene.before().reg(reg) else { return None };
        let (Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n)) = scene.memory(*base)? else {
            return None;
        };
        let end = count.scale(size).and_then(|bytes| bytes.add(offset)).ok()?;
        let fact = Fact { rel: Rel::Ge, term: n.sub(&end).ok()? };
        if scene.holds(&fact) {
            return None;
        }
        let name = scene.names.base(*base);
        let words = format!("this {verb} may go past the end of `{name}`");
        let diag = Diag::error(rules::PAST_END, scene.span, words)
            .with_primary(needs(&scene.names, &fact));
        let diag = scene.with_known(scene.with_extent(diag, *base), &fact);
        Some(diag.with_help("compare rcx with what is left there before it: `ja .out`"))
    })
}

/// What is left: by the rule.
pub(super) fn rest(scene: &Scene<'_>) -> Diag {
    let error = scene.error();
    match error.rule {
        Rule::RowDiv | Rule::RowIdiv => division(scene),
        Rule::FlagsRead | Rule::Pick | Rule::Cond => flags(scene),
        Rule::StoreWeak | Rule::StoreStrong if matches!(error.kind, Kind::NotProved(_)) => {
            Diag { code: rules::DOES_NOT_FIT, ..does_not_fit(scene) }
        }
        Rule::StoreWeak | Rule::AccessView if matches!(error.kind, Kind::BadHint) => {
            Diag::error(rules::READ_ONLY, scene.span, "this memory cannot be written here")
                .with_primary("only reading was lent")
        }
        Rule::HasInt | Rule::HasKnown | Rule::HasOwn | Rule::HasRef | Rule::HasNull => {
            does_not_fit(scene)
        }
        _ => scene.general(),
    }
}

/// An access that nothing covers.
struct Access<'a> {
    base: Base,
    offset: &'a Term,
    width: u32,
    store: bool,
    bound: Option<&'a Fact>,
}

impl Access<'_> {
    fn verb(&self) -> &'static str {
        if self.store { "store" } else { "load" }
    }

    fn explain(&self, scene: &Scene<'_>) -> Diag {
        if let Base::Name(name) = self.base
            && let Some(diag) = alternatives(scene, name)
        {
            return diag;
        }
        match self.bound {
            Some(bound) => self.out_of_bounds(scene, bound),
            None if scene.memory(self.base).is_some() => self.no_field(scene),
            None => self.nothing_there(scene),
        }
    }

    fn out_of_bounds(&self, scene: &Scene<'_>, bound: &Fact) -> Diag {
        let name = scene.names.base(self.base);
        let below = is_lower(bound, self.offset);
        let verb = self.verb();
        if let Some(diag) = bounds::wrong_compare(scene, bound, below) {
            return diag;
        }
        if let Some(diag) = bounds::untested_bound(scene, bound) {
            return diag;
        }
        let (code, words) = if below {
            (rules::BEFORE_START, format!("this {verb} may begin before `{name}`"))
        } else {
            (rules::PAST_END, format!("this {verb} may go past the end of `{name}`"))
        };
        let constants = constant_indices(scene, below);
        let diag = Diag::error(code, scene.operand(), words)
            .with_primary(format!("needs {}", scene.names.fact_with(bound, &constants)));
        let mut known = scene.known(bound);
        if !constants.is_empty() {
            let values = constants.iter().map(|(r, _, v)| format!("{} = {v}", reg_name(*r)));
            known = format!("{known}; here {}", values.collect::<Vec<_>>().join(", "));
        }
        let diag = scene.with_extent(diag, self.base).with_note(known);
        if let Some((sum, help)) = bounds::wrapping_sum(scene).filter(|_| !below) {
            let words = "this sum may wrap around 2^64, and be small where the index is large";
            return diag.with_label(sum, words).with_help(help);
        }
        bounds::compare_help(scene, diag, bound, below)
    }

    fn no_field(&self, scene: &Scene<'_>) -> Diag {
        let name = scene.names.base(self.base);
        let (verb, width) = (self.verb(), self.width);
        let at = scene.names.term(self.offset);
        if self.store && read_only(scene, self.base) {
            let diag =
                Diag::error(rules::READ_ONLY, scene.operand(), format!("`{name}` is read-only"))
                    .with_primary("this would write it");
            return match scene.base_span(self.base) {
                Some(span) => {
                    diag.with_label(span, "lent for reading").with_help("declare it `&rw`")
                }
                None => diag,
            };
        }
        if let Some(field) = self.owner_there(scene).filter(|_| self.store) {
            return self.over_owner(scene, &field);
        }
        let words = format!("`{name}` has no {width}-byte field at offset {at}");
        let diag = Diag::error(rules::NO_FIELD, scene.operand(), words)
            .with_primary(format!("{verb}s {width} bytes"));
        let diag = scene.with_extent(diag, self.base);
        if matches!(scene.memory(self.base), Some(Mem::Junk(_))) && !self.store {
            return Diag { code: rules::UNINITIALISED, ..diag }.with_note(
                "this memory was never written: a load could show what was there before",
            );
        }
        match self.field_there(scene) {
            Some((field, size)) if size != self.width => {
                let plural = if size == 1 { "" } else { "s" };
                diag.with_help(format!(
                    "`{field}` has {size} byte{plural}: use an operand of that width"
                ))
            }
            _ => diag,
        }
    }

    /// The field that begins there, and its size, if a named type says so.
    fn field_there(&self, scene: &Scene<'_>) -> Option<(String, u32)> {
        let Mem::Named(id, _) = scene.memory(self.base)? else { return None };
        let info = scene.lowered.type_info(*id)?;
        let at = u32::try_from(self.offset.as_int()?).ok()?;
        let field = info.fields.iter().find(|f| f.offset == at)?;
        Some((format!("{}.{}", info.name, field.name), field.size))
    }

    /// The field that begins there, if it owns what it points to.
    fn owner_there(&self, scene: &Scene<'_>) -> Option<String> {
        let at = u32::try_from(self.offset.as_int()?).ok()?;
        let owns = |mem: &Mem| match mem {
            Mem::Struct { fields, .. } => {
                let mut fields = fields.iter().filter(|f| f.offset == at);
                fields.any(|f| matches!(f.ty, FieldTy::Own { .. }))
            }
            _ => false,
        };
        let mem = scene.memory(self.base)?;
        let found = match mem {
            Mem::Named(id, _) => {
                let info = scene.lowered.type_info(*id)?;
                match &*info.ty.body {
                    Mem::Ex { body, .. } => owns(body),
                    body => owns(body),
                }
            }
            mem => owns(mem),
        };
        found.then(|| {
            let inside = scene.lowered.sources.text(scene.operand());
            inside.trim_matches(['[', ']']).trim().to_owned()
        })
    }

    fn over_owner(&self, scene: &Scene<'_>, field: &str) -> Diag {
        let name = scene.names.base(self.base);
        let words = format!("this store would lose what [{field}] owns");
        let diag = Diag::error(rules::LEAKED, scene.operand(), words)
            .with_primary(format!("this part of `{name}` still owns memory, or may"))
            .with_help(format!(
                "move it out first, to a register that is free: `mov rcx, [{field}]`; what was \
                 moved out is to be freed, returned or stored elsewhere"
            ));
        match scene.base_span(self.base) {
            Some(span) => diag.with_label(span, format!("`{name}` is declared here")),
            None => diag,
        }
    }

    /// The address is known, but nothing is owned or lent there any more.
    fn nothing_there(&self, scene: &Scene<'_>) -> Diag {
        let name = scene.names.base(self.base);
        if let Base::Name(var) = self.base
            && let Some((call, cap)) = taken(scene, var)
        {
            let text = source::text(scene.lowered, call);
            let freed = text.split_whitespace().nth(1) == Some("free");
            let words = if freed { "was freed" } else { "is no longer owned here" };
            let diag = Diag::error(rules::GONE, scene.operand(), format!("`{name}` {words}"))
                .with_primary(format!("still holds the address of {name}, but nothing owns it now"))
                .with_label(call, format!("takes {cap}"));
            let why = "read what is needed before that, into a register that calls preserve \
                       (rbx, rbp, r12 to r15)";
            return diag.with_help(why);
        }
        if let Some(diag) = several(scene, self.base) {
            return diag;
        }
        let verb = self.verb();
        let words = format!("nothing is owned or lent at `{name}`");
        let diag = Diag::error(rules::GONE, scene.operand(), words)
            .with_primary(format!("this {verb} goes there"));
        match scene.base_span(self.base) {
            Some(span) => diag.with_label(span, "the address alone gives no access"),
            None => diag.with_note(format!("{name} is only an address here")),
        }
    }
}

/// Is everything known of this memory read-only?
fn read_only(scene: &Scene<'_>, base: Base) -> bool {
    let state = &scene.failure.state;
    let mut views = state.views.iter().filter(|v| v.base == base).peekable();
    views.peek().is_some() && views.all(|v| v.mode != Mode::Rw)
}

/// Registers of the address that hold constants, with their factors in the bound.
fn constant_indices(scene: &Scene<'_>, below: bool) -> Vec<(Reg, i128, i128)> {
    let regs = source::addressing(scene.text());
    let value = |r: &Reg| match scene.before().reg(*r) {
        Word::Int(t) => t.as_int().map(|c| (*r, c)),
        _ => None,
    };
    let scale = scale(scene);
    let sign = if below { 1 } else { -1 };
    regs.iter().filter_map(value).map(|(r, c)| (r, sign * scale, c)).collect()
}

/// By what the index is multiplied.
fn scale(scene: &Scene<'_>) -> i128 {
    scene.iced().map_or(1, |i| i128::from(i.memory_index_scale()))
}

/// Does the fact bound the offset from below?
fn is_lower(fact: &Fact, offset: &Term) -> bool {
    let same = |m: tal_core::term::Monomial| {
        let of = offset.monomials().iter().find(|o| o.atom == m.atom)?;
        Some((of.coefficient > 0) == (m.coefficient > 0))
    };
    match fact.term.monomials().iter().find_map(same) {
        Some(lower) => lower,
        None => offset.constant() < 0,
    }
}

/// A bound that the judge itself found missing.
fn bound_of(scene: &Scene<'_>, fact: &Fact) -> Option<Diag> {
    let regs = source::addressing(scene.text());
    let base = regs.iter().find_map(|r| match scene.before().reg(*r) {
        Word::Ptr(base, offset) => Some((*base, offset.clone())),
        _ => None,
    });
    let (base, mut offset) = base?;
    for reg in &regs {
        if let Word::Int(t) = scene.before().reg(*reg) {
            offset = offset.add(t).ok()?;
        }
    }
    let store = scene.stores();
    let access = Access { base, offset: &offset, width: 1, store, bound: Some(fact) };
    Some(access.out_of_bounds(scene, fact))
}

/// A name of which it is not decided that it is an address.
fn alternatives(scene: &Scene<'_>, name: Var) -> Option<Diag> {
    let Var::Free(i) = name else { return None };
    let scope = scene.failure.state.scope.get(usize::from(i))?;
    let is_name = matches!(scope.kind, VarKind::Addr { .. });
    (is_name && !scope.set.is_address()).then(|| undecided(scene, name))
}

/// The register whose word begins at this name.
fn holder(scene: &Scene<'_>, name: Var) -> Option<Reg> {
    let holds =
        |r: &Reg| matches!(scene.before().reg(*r), Word::Ptr(Base::Name(v), _) if *v == name);
    let mut mentioned = source::mentioned(scene.text()).into_iter();
    mentioned.find(|r| holds(r)).or_else(|| Reg::ALL.into_iter().find(holds))
}

/// May be null, or an error number.
pub(super) fn undecided(scene: &Scene<'_>, name: Var) -> Diag {
    let shown = scene.names.var(name);
    let reg = holder(scene, name);
    let span = reg.map_or(scene.span, |r| scene.mention(r));
    let Var::Free(i) = name else { return scene.general() };
    let scope = scene.failure.state.scope.get(usize::from(i));
    let small = scope.map_or([None, None], |s| s.set.small);
    let negative = small.iter().flatten().any(|(low, _)| *low < 0);
    let call = reg.and_then(|r| match origin(scene, r) {
        Some(Written::Call(inst)) => Some(inst.span),
        _ => None,
    });
    let place = match reg {
        Some(reg) => reg_name(reg),
        None => &shown,
    };
    if let Some(call) = call {
        let test = if negative {
            "`test rax, rax` / `js .failed`"
        } else {
            "`test rax, rax` / `jz .failed`"
        };
        let what = if negative { "-errno" } else { "0" };
        return Diag::error(rules::UNTESTED, span, "the failure of this call was not tested")
            .with_primary(format!("`{shown}` may be {what} here"))
            .with_label(call, format!("gives {what} when it fails"))
            .with_help(format!("after the call: {test}"));
    }
    let diag = Diag::error(rules::MAYBE_NULL, span, format!("`{place}` may be null here"))
        .with_primary("not tested on this path");
    let diag = match (scene.declared(name), reg.and_then(|r| origin(scene, r))) {
        (Some((_, at)), _) => diag.with_label(at, "declared as one that may be null"),
        (None, Some(Written::By(inst))) => {
            diag.with_label(inst.span, "a field that may be null was loaded here")
        }
        _ => diag,
    };
    diag.with_help(format!("`test {place}, {place}` / `jz .end` before it"))
}

/// What wrote the register last, through moves from other registers.
fn origin<'a>(scene: &Scene<'a>, reg: Reg) -> Option<Written<'a>> {
    origin_before(scene, reg, scene.failure.offset)
}

/// The same for another place of the function.
pub(super) fn origin_before<'a>(
    scene: &Scene<'a>,
    mut reg: Reg,
    mut offset: u32,
) -> Option<Written<'a>> {
    for _ in 0..8 {
        let found = source::earlier(scene.function, offset)
            .find_map(|i| super::scene::written_by(scene.lowered, i, reg))?;
        let Written::By(inst) = &found else { return Some(found) };
        let code = source::iced(scene.lowered, inst.offset)?;
        let moved = code.mnemonic() == Mnemonic::Mov && code.op1_kind() == OpKind::Register;
        if !moved {
            return Some(found);
        }
        let number = code.op1_register().full_register().number();
        reg = Reg::ALL.get(number).copied()?;
        offset = inst.offset;
    }
    None
}

/// The call, or the store, after which the memory of this name is not owned any more.
fn taken(scene: &Scene<'_>, name: Var) -> Option<(Span, String)> {
    let of = |state: &State| {
        let is = |c: &&Cap| matches!(c, Cap::Entry(e) if e.name == name);
        state.caps.iter().find(is).cloned()
    };
    let ran = &scene.trace.ran;
    let pair = ran.windows(2).rev().find_map(|pair| match pair {
        [a, b] => of(&a.before).filter(|_| of(&b.before).is_none()).map(|cap| (a.offset, cap)),
        _ => None,
    });
    let (offset, cap) = pair?;
    let cap = scene.names.cap(&cap);
    Some((scene.lowered.span_at(offset)?, format!("`{cap}`")))
}

/// The register is no address.
fn no_address(scene: &Scene<'_>, reg: Reg, word: &Word) -> Diag {
    let name = reg_name(reg);
    if *word == Word::Junk {
        return unreadable(scene, reg);
    }
    let diag = Diag::error(
        rules::NO_ADDRESS,
        scene.mention(reg),
        format!("`{name}` holds {}, not an address to go through", class(word)),
    )
    .with_primary(format!("{name} = {}", scene.names.word(word)));
    match scene.written(reg) {
        Some(Written::By(inst)) => diag.with_label(inst.span, "put there here"),
        Some(Written::Call(inst)) => diag.with_label(inst.span, "the result of this call"),
        Some(Written::Partly(_)) => diag,
        None => {
            let param = scene.function.params.iter();
            let is = |p: &&(tal_core::hint::Place, Span)| p.0 == tal_core::hint::Place::Reg(reg);
            match param.clone().find(is) {
                Some((_, at)) => diag
                    .with_label(*at, "declared as a number")
                    .with_help("declare what it points to, as in `rdi = s: &bytes[n]`"),
                None => diag,
            }
        }
    }
}

/// The register that was read and holds this word.
fn read(scene: &Scene<'_>, word: &Word) -> Option<Reg> {
    let regs = source::mentioned(scene.text());
    let holds = |r: &Reg| scene.before().reg(*r) == word;
    regs.iter().rev().copied().find(holds).or_else(|| {
        let instruction = scene.iced()?;
        let mut factory = iced_x86::InstructionInfoFactory::new();
        let info = factory.info(&instruction);
        let mut used = info.used_registers().iter().map(|u| u.register().full_register().number());
        used.find_map(|n| Reg::ALL.get(n).copied().filter(holds))
    })
}

/// Where the reading of something unreadable began: the instruction, and the register it reads.
fn blamed(scene: &Scene<'_>, mut reg: Reg, mut offset: u32) -> Option<(u32, Reg)> {
    let mut blamed = None;
    for _ in 0..16 {
        let found = source::earlier(scene.function, offset)
            .find_map(|i| super::scene::written_by(scene.lowered, i, reg));
        let Some(Written::By(inst)) = found else { break };
        let Some(ran) = scene.trace.ran.iter().find(|r| r.offset == inst.offset) else { break };
        let text = source::text(scene.lowered, inst.span);
        let overwrites = text.starts_with("mov") || text.starts_with("lea");
        let regs = source::mentioned(text);
        let sources = regs.iter().skip(usize::from(overwrites && regs.len() > 1));
        let Some(junk) = sources.rev().find(|r| *ran.before.reg(**r) == Word::Junk) else { break };
        (reg, offset) = (*junk, inst.offset);
        blamed = Some((offset, reg));
    }
    blamed
}

/// The register holds nothing that may be read.
pub(super) fn unreadable(scene: &Scene<'_>, reg: Reg) -> Diag {
    let failed = scene.failure.offset;
    let (offset, reg) = blamed(scene, reg, failed).unwrap_or((failed, reg));
    unreadable_at(scene, offset, reg)
}

/// How a message ends that two addresses meet in a register.
pub(super) const MEET: &str = "is one of several addresses here";

fn one_of_several(name: &str, span: Span) -> Diag {
    Diag::error(rules::UNREADABLE, span, format!("{name} {MEET}"))
        .with_primary("which one it is, and so what lies there, is not known")
        .with_help("use each on its own way: jump, and do what follows once for each")
}

/// Nothing is known of what lies there, since each way to the label brought another address.
pub(super) fn several(scene: &Scene<'_>, base: Base) -> Option<Diag> {
    let first = scene.trace.ran.first().filter(|ran| ran.offset == scene.trace.begin)?;
    let held = |s: &State, reg: Reg| match s.reg(reg) {
        Word::Ptr(base, _) => Some(*base),
        _ => None,
    };
    let reg = Reg::ALL.into_iter().find(|reg| held(&first.before, *reg) == Some(base))?;
    let id = scene.trace.function;
    let ways = super::suggest::ways(scene.lowered, scene.replay, id, scene.trace.begin);
    let met: Vec<Base> = ways.iter().map(|s| held(s, reg)).collect::<Option<_>>()?;
    let differ = met.iter().any(|other| Some(other) != met.first());
    (differ && scene.memory(base).is_none()).then(|| one_of_several(reg_name(reg), scene.span))
}

/// Two addresses that meet in a register, at a label or by a conditional move.
fn meeting(scene: &Scene<'_>, offset: u32, reg: Reg, span: Span) -> Option<Diag> {
    let diag = one_of_several(reg_name(reg), span);
    let mut earlier = scene.trace.ran.iter().take_while(|r| r.offset < offset);
    let moved = earlier.by_ref().filter_map(|r| {
        let code = source::iced(scene.lowered, r.offset)?;
        let cmov = format!("{:?}", code.mnemonic()).starts_with("Cmov");
        let both = cmov && code.op1_kind() == OpKind::Register;
        let to = Reg::ALL.get(code.op0_register().full_register().number()).copied()?;
        let from = Reg::ALL.get(code.op1_register().full_register().number()).copied();
        let address = |r2: Reg| matches!(r.before.reg(r2), Word::Ptr(..));
        let meets = both && to == reg && address(reg) && address(from?);
        meets.then_some(r.offset)
    });
    if let Some(at) = moved.last() {
        let at = scene.lowered.span_at(at)?;
        return Some(diag.with_label(at, "takes one address or the other"));
    }
    let first = scene.trace.ran.first()?;
    if *first.before.reg(reg) != Word::Junk || first.offset != scene.trace.begin {
        return None;
    }
    let id = scene.trace.function;
    let ways = super::suggest::ways(scene.lowered, scene.replay, id, scene.trace.begin);
    let address = |s: &State| matches!(s.reg(reg), Word::Ptr(..));
    (ways.len() > 1 && ways.iter().all(address)).then_some(diag)
}

fn unreadable_at(scene: &Scene<'_>, offset: u32, reg: Reg) -> Diag {
    let name = reg_name(reg);
    let at = scene.lowered.span_at(offset).unwrap_or(scene.span);
    let span = source::mention(scene.lowered, at, reg).unwrap_or(at);
    if let Some(diag) = meeting(scene, offset, reg, span) {
        return diag;
    }
    let written = source::earlier(scene.function, offset)
        .find_map(|i| super::scene::written_by(scene.lowered, i, reg));
    match written {
        Some(Written::Call(inst)) => {
            let line = scene.line(inst.span);
            Diag::error(rules::CLOBBERED, span, format!("{name} does not survive the call"))
                .with_primary(format!("unreadable since line {line}"))
                .with_label(inst.span, "changes rax rcx rdx rsi rdi r8 r9 r10 r11")
                .with_help("keep it in rbx, rbp or r12 to r15, or on the stack")
        }
        Some(Written::Partly(inst)) => partial(scene, reg, span, inst.span),
        Some(Written::By(inst)) => {
            Diag::error(rules::UNREADABLE, span, format!("{name} holds nothing that may be read"))
                .with_primary("read here")
                .with_label(inst.span, "what this leaves there is not data")
        }
        None => {
            Diag::error(rules::UNREADABLE, span, format!("{name} holds nothing that may be read"))
                .with_primary("read here, and never written before")
                .with_label(scene.function.sig_span, format!("{name} is no parameter"))
                .with_help(format!("declare it as a parameter, `{name} = name`, or write it first"))
        }
    }
}

fn partial(scene: &Scene<'_>, reg: Reg, span: Span, at: Span) -> Diag {
    let name = reg_name(reg);
    let text = source::text(scene.lowered, at);
    let diag = Diag::error(
        rules::PARTIAL,
        span,
        format!("only a part of {name} was written, and the rest is unreadable"),
    )
    .with_primary("reads what is not known to be data")
    .with_label(at, "writes the low byte or half, and keeps what is above it");
    let low = match name.ends_with(char::is_numeric) {
        true => format!("{name}d"),
        false => format!("e{}", name.trim_start_matches('r')),
    };
    let mut parts = text.splitn(2, ',');
    let source_operand = parts.nth(1).map(str::trim);
    match source_operand.filter(|_| text.starts_with("mov ")) {
        Some(operand) if operand.starts_with('[') => {
            let new = format!("movzx   {low}, byte {operand}");
            let code =
                Span::new(at.file, at.start, at.start + u32::try_from(text.len()).unwrap_or(0));
            diag.with_edit(format!("write all of it: `movzx {low}, byte {operand}`"), code, new)
        }
        _ => diag
            .with_help(format!("write all of it: `movzx {low}, ..`, or `xor {low}, {low}` first")),
    }
}

/// An address where data must be.
fn not_public(scene: &Scene<'_>, reg: Reg, at: Span, word: &Word) -> Diag {
    let name = reg_name(reg);
    Diag::error(rules::NOT_PUBLIC, at, format!("{name} is no number"))
        .with_primary(format!("holds {}: {}", class(word), scene.names.word(word)))
        .with_note("addresses are not data: what is computed from them could be shown to others")
}

/// The flags were set last by an instruction one of whose operands is no number.
fn unreadable_flags(scene: &Scene<'_>) -> Option<Diag> {
    let (last, code) = scene.earlier().find(|(_, code)| code.rflags_modified() != 0)?;
    let ran = scene.trace.ran.iter().find(|r| r.offset == last.offset)?;
    let operands = (0..code.op_count()).filter(|i| code.op_kind(*i) == OpKind::Register);
    let regs: Vec<Reg> = operands
        .filter_map(|i| Reg::ALL.get(code.op_register(i).full_register().number()).copied())
        .collect();
    let holds =
        |wanted: fn(&Word) -> bool| regs.iter().copied().find(|r| wanted(ran.before.reg(*r)));
    if let Some(diag) = places_compared(scene, last, &regs, &ran.before) {
        return Some(diag);
    }
    if let Some(reg) = holds(|w| matches!(w, Word::Ptr(..) | Word::Frame(_))) {
        let at = source::mention(scene.lowered, last.span, reg).unwrap_or(last.span);
        let diag = not_public(scene, reg, at, ran.before.reg(reg));
        return Some(diag.with_label(scene.span, "reads what was computed from it"));
    }
    let reg = holds(|w| !matches!(w, Word::Int(_)))?;
    let (offset, reg) = blamed(scene, reg, last.offset).unwrap_or((last.offset, reg));
    Some(unreadable_at(scene, offset, reg))
}

/// Two places of one object, of which one is not known to lie in it.
fn places_compared(
    scene: &Scene<'_>,
    compare: &crate::lowered::Inst,
    regs: &[Reg],
    before: &State,
) -> Option<Diag> {
    let [a, b] = regs else { return None };
    let (Word::Ptr(x, s), Word::Ptr(y, t)) = (before.reg(*a), before.reg(*b)) else { return None };
    if x != y {
        return None;
    }
    let known = |offset: &Term, high: bool| {
        let object = Term::constant_of(tal_core::limits::OBJECT).ok();
        let goal =
            if high { object.and_then(|o| o.sub(offset).ok()) } else { Some(offset.clone()) };
        let low = goal.and_then(|g| crate::prove::lower_bound(before, &g));
        low.is_some_and(|low| low >= 0)
    };
    let sides = [(a, s, true), (b, t, true), (a, s, false), (b, t, false)];
    let (reg, offset, high) = sides.into_iter().find(|&(_, o, high)| !known(o, high))?;
    let (name, object) = (reg_name(*reg), scene.names.base(*x));
    let at = source::mention(scene.lowered, compare.span, *reg).unwrap_or(compare.span);
    let where_ = if high { "behind the end of" } else { "before" };
    let diag = Diag::error(rules::NOT_PUBLIC, at, format!("{name} may lie outside of `{object}`"))
        .with_primary(format!(
            "{name} = {}, which may be {where_} `{object}`",
            scene.names.address(*x, offset)
        ))
        .with_label(scene.span, "tells places apart that need not be in one object")
        .with_note("two places are compared where both lie in one object, its end included");
    Some(diag.with_help("compare the numbers they are made of, before one is added to the address"))
}

/// A condition that reads flags of which nothing is known.
fn flags(scene: &Scene<'_>) -> Diag {
    let diag = Diag::error(
        rules::code(scene.error()),
        scene.span,
        "this condition reads flags that nothing here has set",
    )
    .with_primary("which flags?");
    if let Some(cause) = unreadable_flags(scene) {
        return cause;
    }
    let compare = scene.earlier().find(|(_, code)| is_compare(code)).map(|(i, _)| i);
    let compare = compare.map(|c| c.span);
    let changed = scene.earlier().next().map(|(i, _)| i.span);
    let diag = match (compare, changed) {
        (Some(compare), Some(changed)) if compare != changed => diag
            .with_label(compare, "the flags of this compare")
            .with_label(changed, "are not kept by this"),
        (Some(compare), _) => diag.with_label(compare, "compares what is not data"),
        _ => diag,
    };
    diag.with_help("put the compare right before the jump")
}

/// A division that may fault.
fn division(scene: &Scene<'_>) -> Diag {
    let diag = Diag::error(rules::DIVISION, scene.span, "this division may fault");
    match scene.missing() {
        Some(fact) => {
            let diag = diag.with_primary(format!("needs {}", scene.names.fact(&fact)));
            scene
                .with_known(diag, &fact)
                .with_help("test the divisor before it: `test rcx, rcx` / `jz .zero`")
        }
        None => scene.general(),
    }
}

/// A value that does not fit where it is stored.
fn does_not_fit(scene: &Scene<'_>) -> Diag {
    let error = scene.error();
    let code = if error.rule == Rule::HasNull { rules::DOES_NOT_FIT } else { rules::code(error) };
    let diag = Diag::error(code, scene.span, "what is stored does not fit its place");
    let diag = match error.rule {
        Rule::HasRef => diag.with_help("what is lent for a call cannot be kept: take it as `ref`"),
        Rule::HasNull => diag.with_note("the place holds an address, or 0 if it may be null"),
        _ => diag,
    };
    match scene.missing() {
        Some(fact) => {
            let diag = diag.with_primary(format!("needs {}", scene.names.fact(&fact)));
            scene.with_known(diag, &fact)
        }
        None => match scene.looked_for() {
            Some(words) => diag.with_primary(words),
            None => match &error.kind {
                Kind::WrongWord(word) => {
                    let held = format!("{}: {}", class(word), scene.names.word(word));
                    let reg = read(scene, word).map_or("it", reg_name);
                    diag.with_primary(format!("{reg} holds {held}"))
                }
                _ => diag.with_primary(super::scene::in_general(error)),
            },
        },
    }
}

/// Facts that are missing, shown for the rest of the report.
pub(super) fn needs(names: &Names<'_>, fact: &Fact) -> String {
    match fact.rel {
        Rel::Ge | Rel::Eq | Rel::Ne => format!("needs {}", names.fact(fact)),
    }
}
