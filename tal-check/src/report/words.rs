//! Not trusted: a bug here can reject, never admit. Words for what the judge speaks of, in the
//! names of the source.
//!
//! A variable of the signature has its own name. Any other is called by what holds it: `rcx`, `[rsp
//! + 8]`; one that nothing holds any more by what held it before: `rcx'1`; of the rest, diagnostics
//! say where they come from: `(line 12)`. Facts are solved for a
//! comparison: `rcx + 1 <= n`, never `n - rcx - 1 >= 0`.

use crate::lowered::{FnInfo, Lowered, TypeInfo};
use std::collections::BTreeMap;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, Fact, Field, FieldTy, Guard, Kind, Mem, Mode, Reg, Region, Rel, TypeId, View, Word,
};

/// The name of a register.
#[must_use]
pub fn reg_name(reg: Reg) -> &'static str {
    reg.name()
}

/// What a variable is called: `(sign * name + add) / scale`.
#[derive(Clone, Debug)]
struct Called {
    name: String,
    sign: i128,
    add: i128,
    scale: i128,
    /// Is the name only a number of our own?
    internal: bool,
}

impl Called {
    fn plain(name: impl Into<String>) -> Called {
        Called { name: name.into(), sign: 1, add: 0, scale: 1, internal: false }
    }

    /// As one word, where it cannot be multiplied out.
    fn quotient(&self) -> String {
        let whole = sum(&[(self.name.clone(), self.sign)], self.add);
        if whole.contains(' ') && !whole.starts_with('(') {
            return format!("({whole})/{}", number(self.scale));
        }
        format!("{whole}/{}", number(self.scale))
    }
}

/// Names for the variables of one state.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    lowered: &'a Lowered,
    called: Vec<Called>,
    /// Names in words, each with its meaning.
    legend: Vec<(String, String)>,
}

/// A comparison that is ready to be read: `low <= high`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Compared {
    low: String,
    sign: &'static str,
    high: String,
}

impl<'a> Names<'a> {
    /// Names at a state. `preferred` are registers that the instruction mentions; `before` are
    /// earlier states of the block, the latest last.
    #[must_use]
    pub fn new(
        lowered: &'a Lowered,
        function: &FnInfo,
        state: &State,
        preferred: &[Reg],
        before: &[&State],
    ) -> Names<'a> {
        let own = lowered.sigs.get(function.sig as usize).map_or(0, |s| s.vars.len());
        let mut old: BTreeMap<String, u32> = BTreeMap::new();
        let (mut called, mut legend) = (Vec::new(), Vec::new());
        for i in 0..state.scope.len() {
            let var = Var::Free(u16::try_from(i).unwrap_or(u16::MAX));
            let given = function.names.get(i).filter(|n| i < own && !n.is_empty());
            let name = match given {
                Some(name) => Called::plain(name.clone()),
                None => held(state, var, preferred).unwrap_or_else(|| {
                    let past = before.iter().rev().find_map(|s| held(s, var, preferred));
                    past.map_or_else(
                        || Called { internal: true, ..Called::plain(format!("x{i}")) },
                        |past| {
                            let count = old.entry(past.name.clone()).or_insert(0);
                            *count += 1;
                            let name = format!("{}'{count}", past.name);
                            legend.push((name.clone(), format!("what {} held before", past.name)));
                            Called { name, ..past }
                        },
                    )
                }),
            };
            called.push(name);
        }
        Names { lowered, called, legend }
    }

    /// With names in words for variables that no register or slot holds alone: by the register that
    /// holds them with a factor, as `rbp` for `4096*k`, by the pointer whose offset they are in, or
    /// by where they come from.
    #[must_use]
    pub fn in_words(mut self, state: &State, origin: impl Fn(usize) -> (String, String)) -> Self {
        let mut taken: BTreeMap<String, u32> = BTreeMap::new();
        for i in 0..self.called.len() {
            if !self.called.get(i).is_some_and(|c| c.internal) {
                continue;
            }
            let var = Var::Free(u16::try_from(i).unwrap_or(u16::MAX));
            let name = self.multiplied(state, var).unwrap_or_else(|| {
                let (name, meaning) = origin(i);
                let count = taken.entry(name.clone()).or_insert(0);
                *count += 1;
                let name = if *count > 1 { format!("{name}'{count}") } else { name };
                self.legend.push((name.clone(), meaning));
                Called::plain(name)
            });
            if let Some(called) = self.called.get_mut(i) {
                *called = name;
            }
        }
        self
    }

    /// What the names in words mean.
    pub fn legend(&self) -> impl Iterator<Item = &(String, String)> {
        self.legend.iter()
    }

    /// The register, or the distance of a register from its base, that is a multiple of the
    /// variable.
    fn multiplied(&self, state: &State, var: Var) -> Option<Called> {
        let places = Reg::ALL.iter().filter(|r| **r != Reg::Rsp);
        let registers = places.map(|r| (reg_name(*r).to_owned(), state.reg(*r)));
        let slots = state.slots();
        let slots = slots.map(|(at, w)| (slot_name(at - state.stack.delta), w));
        registers.chain(slots).find_map(|(place, word)| {
            let (name, t) = match word {
                Word::Int(t) => (place, t),
                Word::Ptr(base, t) => {
                    let named = match base {
                        Base::Name(Var::Free(i)) => {
                            !self.called.get(usize::from(*i)).is_none_or(|c| c.internal)
                        }
                        _ => true,
                    };
                    let base = Some(self.base(*base)).filter(|b| named && *b != place)?;
                    (format!("({place} - {base})"), t)
                }
                _ => return None,
            };
            let (1, Some(only)) = (t.monomials().len(), t.monomials().first()) else {
                return None;
            };
            if only.atom.factors() != (var, None) {
                return None;
            }
            // place = c * x + d, so x = (sign * place - sign * d) / |c|.
            let sign = only.coefficient.signum();
            let add = -sign * t.constant();
            Some(Called { name, sign, add, scale: only.coefficient.abs(), internal: false })
        })
    }

    fn called(&self, v: Var) -> Called {
        match v {
            Var::Free(i) => self.called.get(usize::from(i)).cloned().unwrap_or_else(|| {
                // A variable of a callee's signature that was never determined.
                Called::plain("(unknown)")
            }),
            Var::Inner(i) => Called::plain(format!("inner{i}")),
            Var::Param(i) => Called::plain(format!("param{i}")),
            Var::Bound(i) => Called::plain(bound_name(i)),
            Var::Value => Called::plain("value"),
        }
    }

    /// The name of a variable.
    #[must_use]
    pub fn var(&self, v: Var) -> String {
        let called = self.called(v);
        if called.scale != 1 {
            return called.quotient();
        }
        let part = (called.name, called.sign);
        sum(&[part], called.add)
    }

    /// The parts of a term, by name, and its constant.
    fn parts(&self, term: &Term) -> (Vec<(String, i128)>, i128) {
        let mut parts: Vec<(String, i128)> = Vec::new();
        let mut constant = term.constant();
        let mut add = |name: String, factor: i128| match parts.iter_mut().find(|p| p.0 == name) {
            Some(part) => part.1 += factor,
            None => parts.push((name, factor)),
        };
        for m in term.monomials() {
            let (a, b) = m.atom.factors();
            match b {
                None => {
                    let a = self.called(a);
                    if m.coefficient % a.scale == 0 {
                        let factor = m.coefficient / a.scale;
                        constant += a.add * factor;
                        add(a.name, a.sign * factor);
                    } else {
                        add(a.quotient(), m.coefficient);
                    }
                }
                Some(b) => {
                    let bracket = |v| {
                        let name = self.var(v);
                        if name.contains(' ') { format!("({name})") } else { name }
                    };
                    add(format!("{}*{}", bracket(a), bracket(b)), m.coefficient);
                }
            }
        }
        parts.retain(|p| p.1 != 0);
        (parts, constant)
    }

    /// A term.
    #[must_use]
    pub fn term(&self, term: &Term) -> String {
        let (parts, constant) = self.parts(term);
        sum(&parts, constant)
    }

    fn compared(&self, fact: &Fact) -> Compared {
        self.compared_with(fact, &[])
    }

    /// As if the registers given here with their values were variables with these factors.
    fn compared_with(&self, fact: &Fact, registers: &[(Reg, i128, i128)]) -> Compared {
        let gcd = fact.term.gcd();
        let smaller = (fact.rel == Rel::Ge && gcd > 1 && registers.is_empty())
            .then(|| fact.term.floor_div(gcd).ok())
            .flatten();
        let term = smaller.as_ref().unwrap_or(&fact.term);
        // So often that registers which hold multiples can stand for their variables.
        let scales = term.monomials().iter().map(|m| match m.atom.factors() {
            (v, None) => {
                let scale = self.called(v).scale;
                scale / common(scale, m.coefficient.abs())
            }
            _ => 1,
        });
        let often = scales.fold(1, |all: i128, s| all / common(all, s) * s);
        let scaled = (often > 1).then(|| term.scale(often).ok()).flatten();
        let (mut parts, mut constant) = self.parts(scaled.as_ref().unwrap_or(term));
        for (reg, factor, value) in registers {
            constant -= factor * value;
            parts.push((reg_name(*reg).to_owned(), *factor));
        }
        let positive: Vec<_> = parts.iter().filter(|p| p.1 > 0).cloned().collect();
        let negative: Vec<_> =
            parts.iter().filter(|p| p.1 < 0).map(|p| (p.0.clone(), -p.1)).collect();
        let sign = match fact.rel {
            Rel::Ge => "<=",
            Rel::Eq => "=",
            Rel::Ne => "!=",
        };
        // negative <= positive + constant
        let (low, sign, high) = if negative.is_empty() {
            (sum(&[], -constant), sign, sum(&positive, 0))
        } else if positive.is_empty() {
            (sum(&negative, 0), sign, sum(&[], constant))
        } else if fact.rel == Rel::Ge && constant == -1 {
            (sum(&negative, 0), "<", sum(&positive, 0))
        } else if constant < 0 {
            (sum(&negative, -constant), sign, sum(&positive, 0))
        } else {
            (sum(&negative, 0), sign, sum(&positive, constant))
        };
        if fact.rel != Rel::Ge && negative.is_empty() {
            return Compared { low: high, sign, high: low };
        }
        Compared { low, sign, high }
    }

    /// A fact, solved for a comparison.
    #[must_use]
    pub fn fact(&self, fact: &Fact) -> String {
        let c = self.compared(fact);
        format!("{} {} {}", c.low, c.sign, c.high)
    }

    /// A fact in which registers that hold constants stand by name: register, factor, value.
    #[must_use]
    pub fn fact_with(&self, fact: &Fact, registers: &[(Reg, i128, i128)]) -> String {
        let c = self.compared_with(fact, registers);
        format!("{} {} {}", c.low, c.sign, c.high)
    }

    /// Does the fact say nothing but that a number fits 64 bits?
    #[must_use]
    pub fn trivial(fact: &Fact) -> bool {
        let one = fact.term.monomials().len() == 1;
        let c = fact.term.constant();
        fact.term.monomials().is_empty() || (fact.rel == Rel::Ge && one && c >= (1_i128 << 63) - 1)
    }

    /// Facts without those that say nothing; two bounds of one thing become one chain.
    #[must_use]
    pub fn facts(&self, facts: &[Fact]) -> Vec<String> {
        let mut all: Vec<Compared> = Vec::new();
        for fact in facts.iter().filter(|f| !Self::trivial(f)) {
            let compared = self.compared(fact);
            if !all.contains(&compared) {
                all.push(compared);
            }
        }
        let mut lines: Vec<String> = Vec::new();
        let mut used = vec![false; all.len()];
        for i in 0..all.len() {
            if used.get(i).copied().unwrap_or(true) {
                continue;
            }
            let Some(this) = all.get(i) else { continue };
            let partner = (0..all.len()).find(|j| {
                let Some(other) = all.get(*j) else { return false };
                *j != i
                    && used.get(*j) == Some(&false)
                    && chains(this)
                    && chains(other)
                    && ((other.low == this.high && !is_number(&this.high))
                        || (this.low == other.high && !is_number(&this.low)))
                    && (is_number(&this.low) || is_number(&other.low))
            });
            let mut text = format!("{} {} {}", this.low, this.sign, this.high);
            if let Some((j, other)) = partner.and_then(|j| Some((j, all.get(j)?))) {
                if let Some(seen) = used.get_mut(j) {
                    *seen = true;
                }
                text = if other.low == this.high {
                    format!("{text} {} {}", other.sign, other.high)
                } else {
                    format!("{} {} {text}", other.low, other.sign)
                };
            }
            if let Some(seen) = used.get_mut(i) {
                *seen = true;
            }
            lines.push(text);
        }
        lines
    }

    /// What a register or slot holds.
    #[must_use]
    pub fn word(&self, word: &Word) -> String {
        match word {
            Word::Int(t) => self.term(t),
            Word::Ptr(base, t) => self.address(*base, t),
            Word::Frame(k) => match *k {
                0 => "entry rsp".to_owned(),
                k if k < 0 => format!("entry rsp - {}", -k),
                k => format!("entry rsp + {k}"),
            },
            Word::ReturnAddress => "return address".to_owned(),
            Word::Saved(r) => format!("the caller's {}", reg_name(*r)),
            Word::Junk => "unreadable".to_owned(),
        }
    }

    /// A base and an offset.
    #[must_use]
    pub fn address(&self, base: Base, offset: &Term) -> String {
        let (mut parts, constant) = self.parts(offset);
        parts.insert(0, (self.base(base), 1));
        sum(&parts, constant)
    }

    /// A base.
    #[must_use]
    pub fn base(&self, base: Base) -> String {
        match base {
            Base::Name(v) => self.var(v),
            Base::Data(d) => {
                let data = self.lowered.data.get(usize::from(d.0));
                data.map_or_else(|| format!("data {}", d.0), |d| d.name.clone())
            }
            Base::Code(f) => {
                let function = self.lowered.functions.get(f.0 as usize);
                function.map_or_else(|| format!("function {}", f.0), |f| f.name.clone())
            }
        }
    }

    /// The name of a type.
    #[must_use]
    pub fn named(&self, id: TypeId) -> String {
        let host = &self.lowered.host.types;
        let at = id.0 as usize;
        let info = match at.checked_sub(host.len()) {
            None => host.get(at),
            Some(own) => self.lowered.types.get(own),
        };
        info.map_or_else(|| format!("type {at}"), |t| t.name.clone())
    }

    /// A type of memory.
    #[must_use]
    pub fn mem(&self, mem: &Mem) -> String {
        match mem {
            Mem::Bytes(n) => format!("bytes[{}]", self.term(n)),
            Mem::Junk(n) => format!("junk[{}]", self.term(n)),
            Mem::Zero(n) => format!("zero[{}]", self.term(n)),
            Mem::Array(n, element) => format!("[{}]{}", self.term(n), self.mem(element)),
            Mem::Cat(a, b) => format!("{} ++ {}", self.mem(a), self.mem(b)),
            Mem::Ex { body, .. } => format!("exists {}", self.mem(body)),
            Mem::Named(id, args) if args.is_empty() => self.named(*id),
            Mem::Named(id, args) => {
                let args: Vec<String> = args.iter().map(|a| self.term(a)).collect();
                format!("{}({})", self.named(*id), args.join(", "))
            }
            Mem::Struct { size, fields, .. } => match fields.as_slice() {
                [only] if only.offset == 0 => self.field(&only.ty),
                fields => {
                    let of = self.alike(*size, fields);
                    let name = |offset: u32| {
                        let named = of.and_then(|t| t.fields.iter().find(|f| f.offset == offset));
                        named.map_or_else(|| offset.to_string(), |f| f.name.clone())
                    };
                    let part = |f: &Field| match &f.ty {
                        FieldTy::Known(word) => format!("{} = {}", name(f.offset), self.word(word)),
                        ty => format!("{}: {}", name(f.offset), self.field(ty)),
                    };
                    let shown: Vec<String> = fields.iter().map(part).collect();
                    let whole = of.map_or("struct", |t| t.name.as_str());
                    format!("{whole} {{ {} }}", shown.join(", "))
                }
            },
        }
    }

    /// The first named type whose fields stand at the places of these.
    #[must_use]
    pub fn alike(&self, size: u32, fields: &[Field]) -> Option<&'a TypeInfo> {
        let fits = |t: &&TypeInfo| {
            let places = t.fields.iter().map(|f| f.offset);
            t.ty.size == size && places.eq(fields.iter().map(|f| f.offset))
        };
        // The program's own first; of the host's, which are many, only one that is alone.
        self.lowered.types.iter().find(fits).or_else(|| {
            let mut fitting = self.lowered.host.types.iter().filter(fits);
            let first = fitting.next()?;
            fitting.next().is_none().then_some(first)
        })
    }

    /// A type of a field.
    #[must_use]
    pub fn field(&self, ty: &FieldTy) -> String {
        let null = |nullable: bool| if nullable { "?" } else { "" };
        match ty {
            FieldTy::Int { bits, signed, .. } => {
                format!("{}{bits}", if *signed { 'i' } else { 'u' })
            }
            FieldTy::Known(word) => format!("= {}", self.word(word)),
            FieldTy::Own { nullable, origin, mem } => {
                let origin = origin.and_then(|o| {
                    Some(format!("@{}", self.lowered.host.origins.get(usize::from(o.0))?))
                });
                let origin = origin.unwrap_or_default();
                format!("own{origin}{} {}", null(*nullable), self.mem(mem))
            }
            FieldTy::Ref { nullable, mode, mem } => {
                let mode = mode_word(*mode);
                format!("ref{}{mode} {}", null(*nullable), self.mem(mem))
            }
            FieldTy::Junk(n) => format!("junk[{n}]"),
        }
    }

    fn guards(&self, guards: &[Guard]) -> String {
        let open = |g: &&Guard| !matches!(g, Guard::Range(t, ..) if t.as_int().is_some());
        let shown = guards.iter().filter(open).map(|g| match g {
            Guard::Range(t, low, high) => {
                format!("if {} <= {} <= {}: ", number((*low).into()), self.term(t), high)
            }
            Guard::IsAddress(v) => format!("if {} is an address: ", self.var(*v)),
            Guard::IsSmall(v, low, high) if low == high => format!("if {} = {low}: ", self.var(*v)),
            Guard::IsSmall(v, low, high) => format!("if {low} <= {} <= {high}: ", self.var(*v)),
        });
        shown.collect()
    }

    /// Something owned.
    #[must_use]
    pub fn cap(&self, cap: &Cap) -> String {
        match cap {
            Cap::Entry(e) => {
                let at = self.address(Base::Name(e.name), &e.offset);
                format!("{}{at}: own {}", self.guards(&e.guards), self.mem(&e.mem))
            }
            Cap::Token(_, e) => {
                let at = self.address(Base::Name(e.name), &e.offset);
                format!("{at}: own {}, lent until the call returns", self.mem(&e.mem))
            }
            Cap::Store(v) => format!("everything in {}", self.var(*v)),
        }
    }

    /// Lent or shared memory.
    #[must_use]
    pub fn view(&self, view: &View) -> String {
        let at = self.address(view.base, &view.offset);
        let mode = mode_word(view.mode);
        let kind = match view.region {
            Region::Always => format!("ref{mode} "),
            Region::Var(_) if mode.is_empty() => "&".to_owned(),
            Region::Var(_) => format!("&{} ", mode.trim_start()),
        };
        format!("{}{at}: {kind}{}", self.guards(&view.guards), self.mem(&view.mem))
    }

    /// What a variable may be, if it is a name.
    #[must_use]
    pub fn alternatives(&self, kind: &Kind) -> Option<String> {
        let Kind::Addr { set, .. } = kind else { return None };
        let small = set.small.iter().flatten().map(|(low, high)| {
            if low == high { low.to_string() } else { format!("{low} .. {high}") }
        });
        let address = set.address.then(|| "an address".to_owned());
        Some(address.into_iter().chain(small).collect::<Vec<_>>().join(" or "))
    }
}

fn common(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.max(1), b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// May the comparison be part of a chain?
fn chains(c: &Compared) -> bool {
    matches!(c.sign, "<=" | "<")
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Rw => " rw",
        Mode::Ro => "",
        // Reading, while others may write or not: both are `&` in the source.
        Mode::Rd => "",
    }
}

fn bound_name(i: u16) -> String {
    format!("hidden{i}")
}

/// What holds the variable in this state.
fn held(state: &State, var: Var, preferred: &[Reg]) -> Option<Called> {
    let registers = || {
        let all = Reg::ALL.iter().filter(|r| **r != Reg::Rsp);
        let (first, rest): (Vec<Reg>, Vec<Reg>) = all.partition(|r| preferred.contains(r));
        first.into_iter().chain(rest)
    };
    let exactly = |word: &Word| match word {
        Word::Int(t) => t.as_var() == Some(var),
        Word::Ptr(Base::Name(v), t) => *v == var && t.as_int() == Some(0),
        _ => false,
    };
    if let Some(reg) = registers().find(|r| exactly(state.reg(*r))) {
        return Some(Called::plain(reg_name(reg)));
    }
    if let Some((at, _)) = state.slots().find(|(_, w)| exactly(w)) {
        return Some(Called::plain(slot_name(at - state.stack.delta)));
    }
    registers().find_map(|r| {
        let Word::Int(t) = state.reg(r) else { return None };
        let (1, Some(m)) = (t.monomials().len(), t.monomials().first()) else { return None };
        let only = m.atom.factors() == (var, None) && m.coefficient.abs() == 1;
        // reg = s * x + c, so x = s * reg - s * c.
        let sign = m.coefficient;
        let (name, add) = (reg_name(r).to_owned(), -sign * t.constant());
        only.then(|| Called { sign, add, ..Called::plain(name) })
    })
}

/// `[rsp + 8]`
#[must_use]
pub fn slot_name(from_rsp: i64) -> String {
    match from_rsp {
        0 => "[rsp]".to_owned(),
        k if k < 0 => format!("[rsp - {}]", -k),
        k => format!("[rsp + {k}]"),
    }
}

/// A number; great powers of two as such.
#[must_use]
pub fn number(c: i128) -> String {
    let (sign, size) = if c < 0 { ("-", c.unsigned_abs()) } else { ("", c.unsigned_abs()) };
    if size >= 1 << 20 && size.is_power_of_two() {
        return format!("{sign}2^{}", size.trailing_zeros());
    }
    if size >= (1 << 20) - 1 && (size + 1).is_power_of_two() {
        let bits = (size + 1).trailing_zeros();
        return if c < 0 { format!("1 - 2^{bits}") } else { format!("2^{bits} - 1") };
    }
    c.to_string()
}

/// `a + 8*k - 3`
fn sum(parts: &[(String, i128)], constant: i128) -> String {
    let mut text = String::new();
    let positive = parts.iter().filter(|p| p.1 > 0);
    let negative = parts.iter().filter(|p| p.1 < 0);
    for (name, factor) in positive.chain(negative) {
        let sign = match (text.is_empty(), *factor < 0) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        text.push_str(sign);
        if factor.abs() != 1 {
            text.push_str(&format!("{}*", number(factor.abs())));
        }
        text.push_str(name);
    }
    if text.is_empty() {
        return number(constant);
    }
    if constant > 0 {
        text.push_str(&format!(" + {}", number(constant)));
    } else if constant < 0 {
        text.push_str(&format!(" - {}", number(-constant)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sums_read_like_the_source() {
        assert_eq!(number(1 << 46), "2^46");
        assert_eq!(number((1 << 64) - 1), "2^64 - 1");
        assert_eq!(number(4095), "4095");
        let parts = [("n".to_owned(), -1), ("rcx".to_owned(), 8)];
        assert_eq!(sum(&parts, -3), "8*rcx - n - 3");
        assert_eq!(sum(&[], -3), "-3");
        assert_eq!(slot_name(8), "[rsp + 8]");
    }
}
