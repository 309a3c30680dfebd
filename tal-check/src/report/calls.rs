//! Not trusted: a bug here can reject, never admit. Diagnostics of calls and returns.

use super::scene::{Scene, class};
use super::words::reg_name;
use super::{bounds, memory, rules, stack};
use crate::find::Trouble;
use crate::lowered::Lowered;
use iced_x86::{FlowControl, Instruction};
use tal_core::counted::Rc;
use tal_core::error::{Kind, Rule};
use tal_core::hint::Place;
use tal_core::limits;
use tal_core::rules::apply::Callee;
use tal_core::ty::{Base, Cap, Entry, Mem, Reg, Sig, View, Word};
use tal_syntax::Span;
use tal_syntax::diag::Diag;

/// Who is called: name, and where the parameter in a register is declared.
struct Called {
    name: String,
    params: Vec<(Place, Span)>,
    span: Option<Span>,
    sig: Option<Rc<Sig>>,
}

impl Called {
    fn of(scene: &Scene<'_>, callee: Option<Callee>) -> Called {
        let lowered = scene.lowered;
        let function = |f: tal_core::ty::FnId| lowered.functions.get(f.0 as usize);
        let import = |i: tal_core::ty::ImportId| {
            let at = lowered.imports.get(usize::from(i.0))?;
            lowered.host.imports.get(usize::from(*at))
        };
        let known = match callee {
            Some(Callee::Function(f)) => {
                function(f).map(|f| (f.name.clone(), f.params.clone(), Some(f.sig_span)))
            }
            Some(Callee::Import(i)) => import(i).map(|i| (i.name.clone(), Vec::new(), None)),
            Some(Callee::Name(v)) => Some((scene.names.var(v), Vec::new(), None)),
            None => None,
        };
        let (name, params, span) = known.unwrap_or(("this".to_owned(), Vec::new(), None));
        let sig = match callee {
            Some(Callee::Function(f)) => {
                function(f).and_then(|f| lowered.sigs.get(f.sig as usize)).cloned()
            }
            Some(Callee::Import(i)) => {
                let at = lowered.imports.get(usize::from(i.0));
                at.and_then(|at| lowered.host.interface.imports.get(usize::from(*at))).cloned()
            }
            _ => None,
        };
        Called { name, params, span, sig }
    }

    fn parameter(&self, reg: Reg) -> Option<Span> {
        self.params.iter().find(|(place, _)| *place == Place::Reg(reg)).map(|p| p.1)
    }
}

/// The type of what is called here.
pub(super) fn called_sig(lowered: &Lowered, call: &Instruction) -> Option<Rc<Sig>> {
    match target_of(lowered, call)? {
        Callee::Function(f) => {
            let function = lowered.functions.get(f.0 as usize)?;
            lowered.sigs.get(function.sig as usize).cloned()
        }
        Callee::Import(i) => {
            let at = lowered.imports.get(usize::from(i.0))?;
            lowered.host.interface.imports.get(usize::from(*at)).cloned()
        }
        Callee::Name(_) => None,
    }
}

/// The callee of a call with a direct target.
fn callee(scene: &Scene<'_>) -> Option<Callee> {
    target_of(scene.lowered, &scene.iced()?)
}

fn target_of(lowered: &Lowered, instruction: &Instruction) -> Option<Callee> {
    if instruction.flow_control() != FlowControl::Call {
        return None;
    }
    let target = instruction.near_branch64();
    if let Some(offset) = target.checked_sub(u64::from(lowered.text_address))
        && let Ok(at) = lowered.functions.binary_search_by_key(&offset, |f| u64::from(f.offset))
    {
        return Some(Callee::Function(tal_core::ty::FnId(u32::try_from(at).ok()?)));
    }
    let gate = target.checked_sub(limits::GATES)? / limits::GATE_SIZE;
    Some(Callee::Import(tal_core::ty::ImportId(u16::try_from(gate).ok()?)))
}

/// A call that is refused.
pub(super) fn call(scene: &Scene<'_>) -> Diag {
    if let (Rule::Call, Kind::WrongRegister(reg, word)) = (scene.error().rule, &scene.error().kind)
        && !matches!(**word, Word::Ptr(Base::Code(_), _))
        && callee(scene).is_none()
    {
        let name = reg_name(*reg);
        return Diag::error(
            rules::NOT_CODE,
            scene.mention(*reg),
            format!("{name} cannot be called"),
        )
        .with_primary(format!("holds {}", class(word)))
        .with_help(format!("declare it as a function: `{name} = f: fn(rdi = a) -> (rax)`"));
    }
    arguments(scene, &Called::of(scene, callee(scene)))
}

/// A tail call that is refused.
pub(super) fn tail(scene: &Scene<'_>, callee: Callee) -> Diag {
    let called = Called::of(scene, Some(callee));
    let error = scene.error();
    let name = &called.name;
    match (error.rule, &error.kind) {
        (Rule::TailCall, Kind::Depth(delta)) => {
            let words = format!("a jump to `{name}` leaves {} bytes on the stack", -delta);
            Diag::error(rules::TAIL_CALL, scene.span, words)
                .with_primary("rsp must be where it was at the entry")
                .with_help(format!("undo the pushes first, or `call {name}` and `ret`"))
        }
        (Rule::TailCall, Kind::WrongRegister(reg, _)) if reg.callee_saved() => {
            stack::not_restored(scene, *reg)
        }
        _ => arguments(scene, &called),
    }
}

fn arguments(scene: &Scene<'_>, called: &Called) -> Diag {
    let error = scene.error();
    let name = &called.name;
    if let Kind::WrongRegister(reg, word) = &error.kind {
        return argument(scene, called, *reg, word);
    }
    if let Some(diag) = left_over(scene, called) {
        return diag;
    }
    if let Kind::Undecided(v) = error.kind {
        return memory::undecided(scene, v);
    }
    let at_callee = |diag: Diag| match called.span {
        Some(span) => diag.with_label(span, format!("`{name}` is declared here")),
        None => diag,
    };
    if let Some(reg) = mismatch(scene, called) {
        return argument(scene, called, reg, &scene.before().reg(reg).clone());
    }
    let trouble = scene.failure.trouble.iter().rev();
    for one in trouble {
        match one {
            Trouble::Cap(cap) => {
                let words = format!("`{name}` takes what is not owned here");
                let diag = Diag::error(rules::NOT_OWNED, scene.span, words)
                    .with_primary(format!("needs {}", scene.names.cap(cap)));
                let diag = owned(scene, at_callee(diag));
                return match cap {
                    Cap::Entry(e) if holds_others(scene, e.name) => diag.with_help(format!(
                        "move out first what its fields own: {}",
                        moves(scene, e.name)
                    )),
                    Cap::Entry(e) if may_be_null(scene, e) => {
                        let place = scene.names.base(Base::Name(e.name));
                        diag.with_help(format!(
                            "only of what is not null the form can change: `test` {place} before"
                        ))
                    }
                    Cap::Entry(e) if is_lent(scene, e.name) => diag.with_help(
                        "it is lent to this function: to give it away, take it as `own`",
                    ),
                    _ => diag,
                };
            }
            Trouble::View(view) => return at_callee(not_lent(scene, name, view)),
            Trouble::Access { base, bound: Some(bound), .. } => {
                let place = scene.names.base(*base);
                let words = format!("`{name}` may go past the end of `{place}`");
                let diag = Diag::error(rules::PAST_END, scene.span, words)
                    .with_primary(memory::needs(&scene.names, bound));
                return scene.with_known(scene.with_extent(at_callee(diag), *base), bound);
            }
            Trouble::Fact(_) => break,
            _ => {}
        }
    }
    if let Some(fact) = scene.missing() {
        let words = format!("`{name}` needs a fact that is not known here");
        let diag = Diag::error(rules::NOT_KNOWN, scene.span, words)
            .with_primary(memory::needs(&scene.names, &fact));
        let diag = scene.with_known(at_callee(diag), &fact);
        let plain = diag.helps.len();
        let diag = bounds::lower_help(scene, diag, &fact);
        return match diag.helps.len() > plain {
            true => diag,
            false => diag.with_help("compare it before the call, or declare its range"),
        };
    }
    at_callee(scene.general())
}

/// A view that the callee needs and that cannot be lent: of what is there, or of nothing.
fn not_lent(scene: &Scene<'_>, name: &str, view: &View) -> Diag {
    let place = scene.names.base(view.base);
    let size = |mem: &Mem| match mem {
        Mem::Bytes(n) => n.as_int(),
        _ => None,
    };
    let there = scene.memory(view.base);
    if let Some(reg) = framed(scene, view) {
        return frame_not_lent(scene, name, reg, view);
    }
    if let Some(diag) = memory::several(scene, view.base) {
        return diag;
    }
    let words = match (size(&view.mem), there.and_then(size)) {
        (Some(wanted), Some(has)) if wanted > has => {
            format!("`{name}` takes {wanted} bytes of `{place}`, which has {has}")
        }
        _ => format!("`{name}` borrows what cannot be lent here"),
    };
    let diag = Diag::error(rules::NOT_LENT, scene.span, words)
        .with_primary(format!("needs {}", scene.names.view(view)));
    match there {
        Some(_) => scene.with_extent(diag, view.base),
        None => owned(scene, diag),
    }
}

/// The register with an address in the frame that should have become memory.
fn framed(scene: &Scene<'_>, view: &View) -> Option<Reg> {
    let known = scene.declared_at_all(view.base) || scene.memory(view.base).is_some();
    let frame = |r: &Reg| matches!(scene.before().reg(*r), Word::Frame(_)) && *r != Reg::Rsp;
    Reg::ALL.into_iter().find(frame).filter(|_| !known)
}

/// What a frame may hold, when it should hold something else.
fn frame_not_lent(scene: &Scene<'_>, name: &str, reg: Reg, view: &View) -> Diag {
    let what = scene.names.mem(&view.mem);
    let words = format!("`{name}` takes {what}, which cannot stand in the frame");
    Diag::error(rules::NOT_LENT, scene.span, words)
        .with_primary(format!("{} is an address in the frame", reg_name(reg)))
        .with_note(FRAME)
        .with_help(format!(
            "give it memory of its own: `bss place: {what}` outside of the function, and `lea {}, \
             [place]`",
            reg_name(reg)
        ))
}

/// What may be lent of a frame.
pub(super) const FRAME: &str = "the frame holds whole words of 8 bytes, numbers and addresses \
                                that own nothing: a struct of such fields may be lent from it, no \
                                bytes, no narrower fields and no `own`";

/// Is it owned, in another form, unless it is null?
fn may_be_null(scene: &Scene<'_>, wanted: &Entry) -> bool {
    let is = |c: &Cap| matches!(c, Cap::Entry(e) if e.name == wanted.name && !e.guards.is_empty());
    scene.before().caps.iter().any(is)
}

/// Is what stands at this name lent?
fn is_lent(scene: &Scene<'_>, name: tal_core::term::Var) -> bool {
    scene.before().views.iter().any(|v| v.base == Base::Name(name))
}

/// Is this memory owned, with something that owns memory inside?
fn holds_others(scene: &Scene<'_>, name: tal_core::term::Var) -> bool {
    let is = |c: &Cap| matches!(c, Cap::Entry(e) if e.name == name && owns(scene, &e.mem));
    scene.before().caps.iter().any(is)
}

/// Loads of the fields that own something, for advice.
fn moves(scene: &Scene<'_>, name: tal_core::term::Var) -> String {
    let mem = scene.before().caps.iter().find_map(|c| match c {
        Cap::Entry(e) if e.name == name => Some(&*e.mem),
        _ => None,
    });
    let place = Reg::ALL
        .into_iter()
        .find(|r| matches!(scene.before().reg(*r), Word::Ptr(Base::Name(v), _) if *v == name));
    let place = place.map_or_else(|| "p".to_owned(), |r| reg_name(r).to_owned());
    let fields = mem.map(|mem| owning_fields(scene, mem)).unwrap_or_default();
    match fields.as_slice() {
        [] => "a load leaves in the register what the field owned".to_owned(),
        fields => {
            let kept = [Reg::Rbx, Reg::R12, Reg::R13, Reg::R14, Reg::R15, Reg::Rbp];
            let mut free = kept
                .into_iter()
                .filter(|r| matches!(scene.before().reg(*r), Word::Saved(_) | Word::Junk));
            let loads: Vec<String> = fields
                .iter()
                .map(|f| {
                    let to = reg_name(free.next().unwrap_or(Reg::Rbx));
                    format!("`mov {to}, [{place} + {f}]`")
                })
                .collect();
            loads.join(", ")
        }
    }
}

/// The fields that own something: `node.next`.
fn owning_fields(scene: &Scene<'_>, mem: &Mem) -> Vec<String> {
    let (fields, info) = match mem {
        Mem::Named(id, _) => {
            let Some(info) = scene.lowered.type_info(*id) else { return Vec::new() };
            let body = match &*info.ty.body {
                Mem::Ex { body, .. } => &**body,
                body => body,
            };
            let Mem::Struct { fields, .. } = body else { return Vec::new() };
            (fields, Some(info))
        }
        Mem::Struct { size, fields } => (fields, scene.names.alike(*size, fields)),
        _ => return Vec::new(),
    };
    let Some(info) = info else { return Vec::new() };
    let own = fields.iter().filter(|f| matches!(f.ty, tal_core::ty::FieldTy::Own { .. }));
    own.filter_map(|f| info.fields.iter().find(|i| i.offset == f.offset))
        .map(|i| format!("{}.{}", info.name, i.name))
        .collect()
}

fn owns(scene: &Scene<'_>, mem: &Mem) -> bool {
    match mem {
        Mem::Named(id, _) => {
            let host = &scene.lowered.host.interface.types;
            let at = id.0 as usize;
            match at.checked_sub(host.len()) {
                None => host.get(at).is_some_and(|t| t.owns),
                Some(own) => scene.lowered.types.get(own).is_some_and(|t| t.ty.owns),
            }
        }
        Mem::Struct { fields, .. } => {
            fields.iter().any(|f| matches!(f.ty, tal_core::ty::FieldTy::Own { .. }))
        }
        Mem::Array(_, m) => owns(scene, m),
        Mem::Cat(a, b) => owns(scene, a) || owns(scene, b),
        Mem::Ex { body, .. } => owns(scene, body),
        Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => false,
    }
}

/// An argument that was forgotten: the register holds what this function itself was given, of
/// another kind than the callee takes, or another argument of the call holds nothing.
fn left_over(scene: &Scene<'_>, called: &Called) -> Option<Diag> {
    let sig = called.sig.as_ref()?;
    let own = scene.sig()?;
    let wanted = |r: &Reg| *sig.pre.regs.get(*r) != Word::Junk;
    let empty = |r: &Reg| *scene.before().reg(*r) == Word::Junk;
    let missing: Vec<Reg> = Reg::ALL.into_iter().filter(|r| wanted(r) && empty(r)).collect();
    let kept = |r: &Reg| {
        let given = matches!(own.pre.regs.get(*r), Word::Ptr(..));
        given && scene.written(*r).is_none() && matches!(sig.pre.regs.get(*r), Word::Ptr(..))
    };
    let stale = Reg::ALL.into_iter().find(|r| wanted(r) && kept(r))?;
    if missing.is_empty() {
        return None;
    }
    let (name, shown) = (reg_name(stale), &called.name);
    let others: Vec<String> = missing.iter().map(|r| reg_name(*r).to_owned()).collect();
    let others = super::scene::list(&others);
    let words = format!("not all arguments of `{shown}` were set: {name} is left over");
    let diag = Diag::error(rules::ARGUMENT, scene.span, words).with_primary(format!(
        "{name} still holds {}, and {others} nothing that may be read",
        scene.names.word(scene.before().reg(stale))
    ));
    let given = scene.function.params.iter().find(|p| p.0 == Place::Reg(stale));
    let diag = match given {
        Some((_, at)) => diag.with_label(*at, "given to this function here"),
        None => diag,
    };
    let diag = match called.parameter(stale) {
        Some(at) => diag.with_label(at, format!("`{shown}` takes another thing in {name}")),
        None => diag,
    };
    Some(diag.with_help(format!("set {name} and {others} before the call")))
}

/// A register that holds another kind of word than the callee takes.
fn mismatch(scene: &Scene<'_>, called: &Called) -> Option<Reg> {
    let sig = called.sig.as_ref()?;
    Reg::ALL.into_iter().find(|r| {
        let have = scene.before().reg(*r);
        match sig.pre.regs.get(*r) {
            Word::Int(_) => !matches!(have, Word::Int(_)),
            Word::Ptr(Base::Name(tal_core::term::Var::Free(i)), _) => {
                let kind = sig.vars.get(usize::from(*i));
                // A name that may be small takes numbers, too.
                matches!(kind, Some(tal_core::ty::Kind::Addr { set, .. }) if set.is_address())
                    && !matches!(have, Word::Ptr(..) | Word::Frame(_))
            }
            _ => false,
        }
    })
}

fn argument(scene: &Scene<'_>, called: &Called, reg: Reg, word: &Word) -> Diag {
    let (name, shown) = (reg_name(reg), &called.name);
    if *word == Word::Junk {
        let diag = memory::unreadable(scene, reg);
        if diag.code == rules::CLOBBERED
            || diag.code == rules::PARTIAL
            || diag.message.ends_with(memory::MEET)
        {
            return diag;
        }
    }
    let words = format!("{name} is not what `{shown}` takes");
    let diag = Diag::error(rules::ARGUMENT, scene.span, words).with_primary(match word {
        Word::Junk => format!("{name} holds nothing that may be read"),
        word => format!("{name} holds {}: {}", class(word), scene.names.word(word)),
    });
    match called.parameter(reg) {
        Some(span) => diag.with_label(span, "declared here"),
        None => diag,
    }
}

/// Adds what is owned.
fn owned(scene: &Scene<'_>, diag: Diag) -> Diag {
    let state = scene.before();
    let caps: Vec<String> = state.caps.iter().map(|c| scene.names.cap(c)).collect();
    match caps.as_slice() {
        [] => diag.with_note("nothing is owned here"),
        caps => diag.with_note(format!("owned here: {}", caps.join(", "))),
    }
}

/// A return that is refused.
pub(super) fn returns(scene: &Scene<'_>) -> Diag {
    let error = scene.error();
    match &error.kind {
        Kind::Depth(delta) => return stack::left(scene, *delta),
        Kind::WrongSlot(0) => return stack::left(scene, 0),
        Kind::WrongRegister(reg, _) if reg.callee_saved() => {
            return stack::not_restored(scene, *reg);
        }
        _ => {}
    }
    if scene.failure.trouble.is_empty() && matches!(error.kind, Kind::Capability) {
        return leaked(scene);
    }
    if let Kind::WrongRegister(reg, word) = &error.kind
        && **word == Word::Junk
    {
        let diag = memory::unreadable(scene, *reg);
        if diag.code != rules::UNREADABLE {
            let same = diag.primary.span == scene.span;
            let words = format!("{} is the result", reg_name(*reg));
            return if same { diag } else { diag.with_label(scene.span, words) };
        }
    }
    if let Some(diag) = uninitialised(scene) {
        return diag;
    }
    let promise = scene.function.sig_span;
    let diag = Diag::error(rules::RESULT, scene.span, "the result is not what is promised");
    let diag = match &error.kind {
        Kind::WrongRegister(reg, word) => diag.with_primary(format!(
            "{} holds {}",
            reg_name(*reg),
            match &**word {
                Word::Junk => "nothing that may be read".to_owned(),
                word => format!("{}: {}", class(word), scene.names.word(word)),
            }
        )),
        _ => match scene.missing() {
            Some(fact) => {
                let diag = diag.with_primary(memory::needs(&scene.names, &fact));
                scene
                    .with_known(diag, &fact)
                    .with_help("test it before the `ret`, or promise only what is known")
            }
            None => {
                let words = scene.looked_for();
                let diag = diag.with_primary(words.unwrap_or(super::scene::in_general(error)));
                owned(scene, diag)
            }
        },
    };
    diag.with_label(promise, "promised here")
}

/// A promised struct of which a field was never written.
fn uninitialised(scene: &Scene<'_>) -> Option<Diag> {
    let wanted = scene.failure.trouble.iter().rev().find_map(|t| match t {
        Trouble::Cap(Cap::Entry(e)) => Some(e),
        _ => None,
    })?;
    let Mem::Named(id, _) = &*wanted.mem else { return None };
    let info = scene.lowered.type_info(*id)?;
    let here = scene.before().caps.iter().find_map(|c| match c {
        Cap::Entry(e) if e.name == wanted.name => Some(&*e.mem),
        _ => None,
    })?;
    let Mem::Struct { fields, .. } = here else { return None };
    let missing = fields.iter().find(|f| matches!(f.ty, tal_core::ty::FieldTy::Junk(_)))?;
    let field = info.fields.iter().find(|f| f.offset == missing.offset)?;
    let place = scene.names.base(Base::Name(wanted.name));
    let words = format!("`{}.{}` of {place} was never written", info.name, field.name);
    Some(
        Diag::error(rules::UNINITIALISED, scene.span, words)
            .with_primary(format!("needs all of `{}`", info.name))
            .with_label(scene.function.sig_span, "promised here"),
    )
}

/// Something owned is neither returned nor given away.
fn leaked(scene: &Scene<'_>) -> Diag {
    let state = scene.before();
    let post = scene.sig().and_then(|s| s.post.as_ref());
    let results = |name| {
        let promised = |r: &Reg| {
            post.is_some_and(|p| matches!(p.state.regs.get(*r), Word::Ptr(Base::Name(_), _)))
        };
        let holds = |r: &Reg| matches!(state.reg(*r), Word::Ptr(Base::Name(v), _) if *v == name);
        Reg::ALL.iter().any(|r| promised(r) && holds(r))
    };
    let lost = state.caps.iter().find_map(|c| match c {
        Cap::Entry(e) if !results(e.name) => Some((e, c)),
        _ => None,
    });
    let Some((entry, cap)) = lost else { return scene.general() };
    let name = scene.names.var(entry.name);
    let held = scene.names.cap(cap);
    let diag = Diag::error(rules::LEAKED, scene.span, format!("`{name}` is lost"))
        .with_primary("it must be returned, stored or freed before this")
        .with_note(format!("owned here: {held}"));
    let diag = match (scene.declared(entry.name), made(scene, entry.name)) {
        (Some((_, at)), _) => diag.with_label(at, "given to this function here"),
        (None, Some(at)) => diag.with_label(at, "made here"),
        _ => diag,
    };
    let tal_core::term::Var::Free(i) = entry.name else { return diag };
    let scope = state.scope.get(usize::from(i));
    let made =
        scope.is_some_and(|s| matches!(s.kind, tal_core::ty::Kind::Addr { block: Some(_), .. }));
    if !made && scene.declared(entry.name).is_some() {
        return diag
            .with_note("it has no origin, as `own@heap` has, so `free` does not take it")
            .with_help(format!(
                "take it as `inout`, and give back what is left of it: `-> ({name}: junk[..])`"
            ));
    }
    diag.with_help(format!("`call free` with it in rdi, or `@leak {name}` if that is meant"))
}

/// The instruction after which the name is in scope.
fn made(scene: &Scene<'_>, name: tal_core::term::Var) -> Option<Span> {
    let tal_core::term::Var::Free(i) = name else { return None };
    let ran = &scene.trace.ran;
    let at = ran.windows(2).find_map(|pair| match pair {
        [a, b] => (a.before.scope.len() <= usize::from(i) && b.before.scope.len() > usize::from(i))
            .then_some(a.offset),
        _ => None,
    });
    scene.lowered.span_at(at?)
}
