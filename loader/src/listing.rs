//! Not trusted: a bug here can reject, never admit. Machine code as text: one instruction for a
//! message, or the whole with the state that the judge had before each.

use crate::image::Image;
use crate::interface;
use crate::lines::Debug;
use crate::verify::Refusal;
use crate::words::{ShowBase, ShowFact, ShowTerm, ShowVar, ShowWord};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use tal_core::error::Error;
use tal_core::hint::{Forward, Ghost, Hints as _, Site};
use tal_core::image::Interface;
use tal_core::limits;
use tal_core::state::{FlagKind, Scope, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Entry, FieldTy, Guard, Mem, Mode, Reg, Region, View, Word};
use tal_core::wire::{self, Stream};

/// One instruction.
#[derive(Clone, Debug)]
pub struct Line {
    /// Offset in the text.
    pub offset: u32,
    /// Its bytes in hexadecimal.
    pub bytes: String,
    /// In the syntax of the language.
    pub text: String,
}

/// The instruction at this offset of the text.
#[must_use]
pub fn instruction(image: &Image<'_>, offset: u32, debug: &Debug) -> Option<Line> {
    let text = image.text();
    let at = usize::try_from(offset).ok()?;
    let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
    let address = u64::from(image.text_address()).checked_add(u64::from(offset))?;
    let mut decoder = Decoder::with_ip(64, rest, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let length = instruction.len().clamp(1, rest.len());
    let bytes: Vec<String> = rest.iter().take(length).map(|b| format!("{b:02x}")).collect();
    Some(Line { offset, bytes: bytes.join(" "), text: format(&instruction, debug) })
}

fn format(instruction: &Instruction, debug: &Debug) -> String {
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_small_hex_numbers_in_decimal(true);
    options.set_space_after_operand_separator(true);
    options.set_show_branch_size(false);
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_rip_relative_addresses(false);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    let target = match instruction.near_branch_target() {
        0 => instruction.memory_displacement64(),
        target => target,
    };
    if let Some(name) = debug.name(target).filter(|_| target != 0) {
        let _ = write!(text, "  ; {name}");
    }
    text
}

/// A refusal with the instruction and the source line, where there are any.
#[must_use]
pub fn explain(refusal: &Refusal, file: &[u8]) -> String {
    let mut words = refusal.to_string();
    let Refusal::Code(Error { site: Some(site), .. }) = refusal else { return words };
    let Ok(image) = Image::parse(file) else { return words };
    let debug = Debug::read(file);
    let address = u64::from(image.text_address()).saturating_add(u64::from(*site));
    if let Some(line) = instruction(&image, *site, &debug) {
        let _ = write!(words, "\n  {address:#x}: {}", line.text);
    }
    if let Some(place) = debug.line(address) {
        let _ = write!(words, "\n  from {place}");
    }
    words
}

/// The listing with the states as far as the judge came, and its verdict.
#[must_use]
pub fn dump(image: &Image<'_>, interface: &Interface, debug: &Debug) -> (String, Option<Refusal>) {
    let (text, at) = (image.text(), image.text_address());
    let mut states = BTreeMap::new();
    let decoded = wire::decode(text, at, image.data(), image.annotations(), interface);
    let verdict = decoded.and_then(|(judged, stream)| {
        let watch = Watch { stream, states: &mut states };
        let bytes = text.len().saturating_add(image.annotations().len());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        tal_core::verify(&judged, interface, watch, bytes)
    });
    let mut listing = String::new();
    for (i, import) in (0_u64..).zip(imports(image, interface)) {
        let gate = limits::GATES.saturating_add(i.saturating_mul(limits::GATE_SIZE));
        let _ = writeln!(listing, "{gate:8x}  import {import}");
    }
    let mut offset = 0;
    while let Some(line) = instruction(image, offset, debug) {
        let address = u64::from(at).saturating_add(u64::from(offset));
        if let Some(name) = debug.name(address) {
            let _ = writeln!(listing, "\n{name}:");
        }
        if let Some(state) = states.get(&offset) {
            listing.push_str(state);
        }
        let place = debug.line(address).unwrap_or_default();
        let Line { bytes, text, .. } = &line;
        let _ = writeln!(listing, "{address:8x}  {bytes:<30}  {text:<40}  {place}");
        let length = u32::try_from(bytes.len().div_ceil(3)).unwrap_or(1);
        offset = offset.saturating_add(length.max(1));
    }
    (listing, verdict.err().map(Refusal::Code))
}

/// Names of the imports by gate.
fn imports(image: &Image<'_>, interface: &Interface) -> Vec<&'static str> {
    let (text, at) = (image.text(), image.text_address());
    let decoded = wire::decode(text, at, image.data(), image.annotations(), interface);
    let numbers = decoded.map(|(judged, _)| judged.imports).unwrap_or_default();
    let name = |import: &u16| interface::names().nth(usize::from(*import)).unwrap_or("?");
    numbers.iter().map(name).collect()
}

/// Answers like the stream, and writes down each state before an instruction: the one in which the
/// judge asks for a ghost and there is none left.
struct Watch<'a, 's> {
    stream: Stream<'a>,
    states: &'s mut BTreeMap<u32, String>,
}

impl<'a> Forward for Watch<'a, '_> {
    type Inner = Stream<'a>;

    fn inner(&mut self) -> &mut Stream<'a> {
        &mut self.stream
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        let answer = self.stream.ghost(state, site)?;
        if let (None, Site::At(offset)) = (&answer, site) {
            self.states.insert(offset, show(state));
        }
        Ok(answer)
    }
}

/// What is known, one line a group; what is not known is not shown.
fn show(state: &State) -> String {
    let mut text = String::new();
    let known = Reg::ALL.iter().filter(|r| **r != Reg::Rsp && *state.reg(**r) != Word::Junk);
    group(&mut text, "", known.map(|r| format!("{} = {}", r.name(), ShowWord(state.reg(*r)))));
    let flags = match &state.flags().kind {
        FlagKind::None => None,
        FlagKind::Cmp(bits, a, b) => {
            Some(format!("{bits}-bit compare of {} with {}", ShowTerm(a), ShowTerm(b)))
        }
        FlagKind::Result(bits, e) => Some(format!("{bits}-bit result {}", ShowTerm(e))),
        FlagKind::Pick(name, c) => Some(format!("compare of {} with {c}", ShowVar(*name))),
    };
    group(&mut text, "flags  ", flags.into_iter());
    let delta = state.stack.delta;
    let slots = state.slots().filter(|(_, word)| **word != Word::Junk);
    let slots = slots.map(|(at, word)| format!("[rsp{:+}] {}", at - delta, ShowWord(word)));
    let lent =
        state.stack.lent.iter().map(|l| {
            format!("{} bytes at rsp{:+} are {}", l.size, l.offset - delta, ShowVar(l.name))
        });
    group(&mut text, "stack  ", slots.chain(lent));
    group(&mut text, "views  ", state.views.iter().map(view));
    group(&mut text, "owns   ", state.caps.iter().map(cap));
    let integers = (0..).zip(&state.scope).filter_map(|(i, scope)| bounds(Var::Free(i), scope));
    group(&mut text, "bounds ", integers);
    group(&mut text, "facts  ", state.facts.iter().map(|f| ShowFact(f).to_string()));
    text
}

/// `0 <= v3 <= 255`, if there are any.
fn bounds(v: Var, scope: &Scope) -> Option<String> {
    let (low, high) = (scope.bounds.low(), scope.bounds.high());
    let v = ShowVar(v);
    Some(match (low, high) {
        (None, None) => return None,
        (Some(low), Some(high)) if low == high => format!("{v} = {low}"),
        (Some(low), Some(high)) => format!("{low} <= {v} <= {high}"),
        (Some(low), None) => format!("{low} <= {v}"),
        (None, Some(high)) => format!("{v} <= {high}"),
    })
}

/// One line, or nothing.
fn group(text: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        let _ = writeln!(text, "          ; {title}{}", items.join("   "));
    }
}

fn place(base: Base, offset: &Term) -> String {
    if offset.as_int() == Some(0) {
        ShowBase(base).to_string()
    } else {
        format!("{} + {}", ShowBase(base), ShowTerm(offset))
    }
}

fn guards(guards: &[Guard]) -> String {
    let mut text = String::new();
    for guard in guards {
        let _ = match guard {
            Guard::Range(term, low, high) => {
                write!(text, "if {} in {low}..{high}: ", ShowTerm(term))
            }
            Guard::IsAddress(name) => write!(text, "if {} is an address: ", ShowVar(*name)),
            Guard::IsSmall(name, low, high) => {
                write!(text, "if {} in {low}..{high}: ", ShowVar(*name))
            }
        };
    }
    text
}

fn view(view: &View) -> String {
    let region = match view.region {
        Region::Always => "always".to_string(),
        Region::Var(v) => ShowVar(v).to_string(),
    };
    let mode = mode(view.mode);
    let place = place(view.base, &view.offset);
    format!("{}{place}: {mode} {region} {}", guards(&view.guards), memory(&view.mem))
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Rw => "rw",
        Mode::Ro => "ro",
        Mode::Rd => "rd",
    }
}

fn entry(entry: &Entry) -> String {
    let place = place(Base::Name(entry.name), &entry.offset);
    format!("{}{place}: {}", guards(&entry.guards), memory(&entry.mem))
}

fn cap(cap: &Cap) -> String {
    match cap {
        Cap::Entry(e) => entry(e),
        Cap::Token(region, e) => format!("until the end of {}, {}", ShowVar(*region), entry(e)),
        Cap::Store(v) => format!("all of {}", ShowVar(*v)),
    }
}

fn memory(mem: &Mem) -> String {
    match mem {
        Mem::Struct { fields, size } => {
            let fields = fields.iter().map(|f| format!("{}: {}", f.offset, field(&f.ty)));
            format!("{{{}; {size}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Mem::Array(count, element) => format!("[{}]{}", ShowTerm(count), memory(element)),
        Mem::Bytes(n) => format!("bytes[{}]", ShowTerm(n)),
        Mem::Junk(n) => format!("junk[{}]", ShowTerm(n)),
        Mem::Zero(n) => format!("zero[{}]", ShowTerm(n)),
        Mem::Cat(first, second) => format!("{} ++ {}", memory(first), memory(second)),
        Mem::Ex { vars, facts, body } => {
            let facts: Vec<String> = facts.iter().map(|f| ShowFact(f).to_string()).collect();
            format!("some {vars} where {} in {}", facts.join(", "), memory(body))
        }
        Mem::Named(id, arguments) if arguments.is_empty() => format!("type{}", id.0),
        Mem::Named(id, arguments) => {
            let terms: Vec<String> = arguments.iter().map(|t| ShowTerm(t).to_string()).collect();
            format!("type{}[{}]", id.0, terms.join(", "))
        }
    }
}

fn field(ty: &FieldTy) -> String {
    let or_null = |nullable: bool| if nullable { "?" } else { "" };
    match ty {
        FieldTy::Int { bits, signed, facts } => {
            let sign = if *signed { 'i' } else { 'u' };
            let facts: Vec<String> = facts.iter().map(|f| ShowFact(f).to_string()).collect();
            let open = if facts.is_empty() { "" } else { " where " };
            format!("{sign}{bits}{open}{}", facts.join(", "))
        }
        FieldTy::Known(word) => format!("= {}", ShowWord(word)),
        FieldTy::Own { nullable, origin, mem } => {
            let origin = origin.map(|o| format!("@{}", o.0)).unwrap_or_default();
            format!("own{origin}{} {}", or_null(*nullable), memory(mem))
        }
        FieldTy::Ref { nullable, mode: m, mem } => {
            format!("ref{} {} {}", or_null(*nullable), mode(*m), memory(mem))
        }
        FieldTy::Junk(bytes) => format!("junk[{bytes}]"),
    }
}
