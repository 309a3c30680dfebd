//! Not trusted: a bug here can reject, never admit. The words of a refusal of machine code, the
//! same in the kernel's log and in `tal-load verify`.

use core::fmt;
use tal_core::error::{Error, Kind};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Fact, Rel, Word};
use tal_core::wire::VERSION;

/// `rule[load-entry] at text offset 0x10: ..`
///
/// # Errors
/// Those of the formatter.
pub fn code(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "rule[{}]", error.rule.name())?;
    if let Some(site) = error.site {
        write!(f, " at text offset {site:#x}")?;
    }
    f.write_str(": ")?;
    kind(&error.kind, f)
}

fn kind(kind: &Kind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::NotProved(fact) => write!(f, "not proved: {}", ShowFact(fact)),
        Kind::WrongWord(word) => {
            write!(f, "a word of another kind is needed than {}", ShowWord(word))
        }
        Kind::WrongRegister(reg, word) => {
            write!(f, "{} holds what does not fit: {}", reg.name(), ShowWord(word))
        }
        Kind::WrongSlot(at) => write!(f, "the stack slot at {at} does not hold what it must"),
        Kind::NoAccess(base, term, width) => {
            write!(
                f,
                "no memory here for {width} bytes at {} + ({})",
                ShowBase(*base),
                ShowTerm(term)
            )
        }
        Kind::BadHint => f.write_str("an annotation does not fit here"),
        Kind::Capability => f.write_str("memory is owned that must not be, or the reverse"),
        Kind::DeadRegion => f.write_str("the time for which this memory was lent is over"),
        Kind::Undecided(name) => {
            write!(f, "{} may still be an address, or may still be none", ShowVar(*name))
        }
        Kind::Flags => f.write_str("these flags may not be read here"),
        Kind::TooBig => f.write_str("a term leaves the bounds of terms"),
        Kind::Limit => f.write_str("a limit of the judge is exceeded"),
        Kind::Depth(at) => write!(f, "the stack may not be so deep: {at}"),
        Kind::Refused(_) => f.write_str("no rule admits this instruction"),
        Kind::Undecodable => f.write_str("these bytes are no instruction that is admitted"),
        Kind::BadTarget(target) => write!(f, "{target:#x} cannot be jumped to or called"),
        Kind::IllFormed => f.write_str("a type or a declaration is not well formed"),
        Kind::Malformed(at) => write!(f, "the annotations are malformed at offset {at:#x}"),
        Kind::Version(version) => write!(
            f,
            "the annotations are of version {version}, and this judge reads version {VERSION}: \
             assemble the program again"
        ),
    }
}

/// A fact as people write it.
#[derive(Debug)]
pub struct ShowFact<'a>(pub &'a Fact);

impl fmt::Display for ShowFact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = match self.0.rel {
            Rel::Ge => ">= 0",
            Rel::Eq => "= 0",
            Rel::Ne => "/= 0",
        };
        write!(f, "{} {relation}", ShowTerm(&self.0.term))
    }
}

/// A term as people write it. Machine code has no names, so they are invented: `v3` is variable 3
/// of the scope.
#[derive(Debug)]
pub struct ShowTerm<'a>(pub &'a Term);

impl fmt::Display for ShowTerm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for monomial in self.0.monomials() {
            let magnitude = monomial.coefficient.unsigned_abs();
            f.write_str(match (first, monomial.coefficient < 0) {
                (true, true) => "-",
                (true, false) => "",
                (false, true) => " - ",
                (false, false) => " + ",
            })?;
            if magnitude != 1 {
                write!(f, "{magnitude}*")?;
            }
            let (a, b) = monomial.atom.factors();
            write!(f, "{}", ShowVar(a))?;
            if let Some(b) = b {
                write!(f, "*{}", ShowVar(b))?;
            }
            first = false;
        }
        let constant = self.0.constant();
        match (first, constant) {
            (true, _) => write!(f, "{constant}"),
            (false, 0) => Ok(()),
            (false, c) if c < 0 => write!(f, " - {}", c.unsigned_abs()),
            (false, c) => write!(f, " + {c}"),
        }
    }
}

/// A variable by its invented name.
#[derive(Debug)]
pub struct ShowVar(pub Var);

impl fmt::Display for ShowVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Var::Free(i) => write!(f, "v{i}"),
            Var::Inner(i) => write!(f, "inner{i}"),
            Var::Param(i) => write!(f, "param{i}"),
            Var::Bound(i) => write!(f, "some{i}"),
            Var::Value => f.write_str("value"),
        }
    }
}

/// What a pointer points from.
#[derive(Debug)]
pub struct ShowBase(pub Base);

impl fmt::Display for ShowBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Base::Name(v) => write!(f, "{}", ShowVar(v)),
            Base::Data(d) => write!(f, "data{}", d.0),
            Base::Code(c) => write!(f, "function{}", c.0),
        }
    }
}

/// A word as people write it.
#[derive(Debug)]
pub struct ShowWord<'a>(pub &'a Word);

impl fmt::Display for ShowWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Word::Int(term) => write!(f, "{}", ShowTerm(term)),
            Word::Ptr(base, term) if term.as_int() == Some(0) => write!(f, "&{}", ShowBase(*base)),
            Word::Ptr(base, term) => write!(f, "&{} + ({})", ShowBase(*base), ShowTerm(term)),
            Word::Frame(at) => write!(f, "frame{at:+}"),
            Word::ReturnAddress => f.write_str("return address"),
            Word::Saved(reg) => write!(f, "caller's {}", reg.name()),
            Word::Junk => f.write_str("unreadable"),
        }
    }
}
