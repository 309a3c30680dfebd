//! Not trusted: a bug here can reject, never admit. Why there are no annotations, in words.

use super::Program;
use crate::asm::AsmError;
use crate::find::{Finder, Trouble};
use crate::lowered::{FnInfo, Lowered};
use crate::part::Part;
use crate::plan::{Busy, Plan};
use crate::report::words::Names;
use std::fmt;
use tal_core::error::{Error, Kind, Rule};
use tal_core::hint::{Forward, Ghost, Hints, Site};
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::ty::{FnId, Rel};
use tal_write::Label;

/// A program that is refused: where, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The function, with its name; none if it is about the program as a whole.
    pub function: Option<(FnId, String)>,
    /// The instruction, by number.
    pub instruction: Option<usize>,
    /// Its offset in the text, if there is one already.
    pub offset: Option<u32>,
    /// Why.
    pub why: Why,
}

/// Why a program is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// What was handed over contradicts itself.
    Malformed(&'static str),
    /// So with this data object.
    Data(String, &'static str),
    /// The instruction has no encoding that the judge reads.
    Encoding(AsmError),
    /// The judge refuses it; in words, what it lacks.
    Judge(Box<Error>, String),
}

impl Refused {
    pub(super) fn of_program(what: &'static str) -> Box<Refused> {
        let why = Why::Malformed(what);
        Box::new(Refused { function: None, instruction: None, offset: None, why })
    }

    pub(super) fn of_data(name: &str, what: &'static str) -> Box<Refused> {
        let why = Why::Data(name.to_owned(), what);
        Box::new(Refused { function: None, instruction: None, offset: None, why })
    }

    pub(super) fn of_function(program: &Program, id: FnId, what: &'static str) -> Box<Refused> {
        let name = program.functions.get(id.0 as usize).map(|f| f.name.clone());
        let function = name.map(|name| (id, name));
        let why = Why::Malformed(what);
        Box::new(Refused { function, instruction: None, offset: None, why })
    }

    pub(super) fn of_instruction(program: &Program, id: FnId, at: usize, why: Why) -> Box<Refused> {
        let refused = Refused::of_function(program, id, "");
        Box::new(Refused { instruction: Some(at), why, ..*refused })
    }

    /// What the judge said. The function is judged once more, its labels on the root, to name what
    /// is known where it is refused.
    pub(super) fn judged(
        lowered: &Lowered,
        image: &Image<'_>,
        labels: &[Label],
        error: Error,
    ) -> Refused {
        let place = error.site.and_then(|at| Some((at, lowered.function_at(at)?)));
        let Some((at, (id, function))) = place else {
            let words = said(lowered, None, &error);
            let why = Why::Judge(Box::new(error), words);
            return Refused { function: None, instruction: None, offset: None, why };
        };
        let part = Part { lowered, image, functions: &[id] };
        let (again, last) = again(part, labels);
        let same = again.is_some_and(|again| again.rule == error.rule && again.site == error.site);
        let words = said(lowered, last.filter(|_| same).map(|last| (function, last)), &error);
        let behind = function.instructions.partition_point(|inst| inst.offset <= at);
        Refused {
            function: Some((id, function.name.clone())),
            instruction: behind.checked_sub(1),
            offset: Some(at),
            why: Why::Judge(Box::new(error), words),
        }
    }

    /// The rule of the judge that was not fulfilled, if it came so far.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match &self.why {
            Why::Judge(error, _) => Some(error.rule),
            Why::Encoding(_) => Some(Rule::Decode),
            Why::Malformed(_) | Why::Data(..) => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some((_, name)) => write!(f, "function `{name}`")?,
            None => f.write_str("the program")?,
        }
        if let Some(number) = self.instruction {
            write!(f, ", instruction {number}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " at text offset {offset:#x}")?;
        }
        f.write_str(": ")?;
        if let Some(rule) = self.rule() {
            write!(f, "rule[{}]: ", rule.name())?;
        }
        match &self.why {
            Why::Malformed(what) => f.write_str(what),
            Why::Data(name, what) => write!(f, "data object `{name}`: {what}"),
            Why::Encoding(AsmError::Refused(what)) => f.write_str(what),
            Why::Encoding(AsmError::Encoder(what)) => f.write_str(what),
            Why::Encoding(other) => write!(f, "{other:?}"),
            Why::Judge(_, words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Refused {}

/// The last state before a refusal, and what was looked for there in vain.
struct Last {
    state: State,
    trouble: Vec<Trouble>,
}

/// A finder that keeps the state before each instruction.
struct Watch<'a> {
    finder: Finder<'a>,
    state: Option<State>,
}

impl<'a> Forward for Watch<'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn ghost(&mut self, state: &State, site: Site) -> Result<Option<Ghost>, Error> {
        self.state = Some(state.clone());
        self.finder.ghost(state, site)
    }
}

/// Judges the function once more.
fn again(part: Part<'_>, labels: &[Label]) -> (Option<Error>, Option<Last>) {
    let (plan, busy) = (Plan::default(), Busy::as_written());
    let mut finder = part.finder(labels);
    finder.scopes = Some(&plan);
    finder.busy = Some(&busy);
    let watch = Watch { finder, state: None };
    let mut judge = Judge::new(part.image, &part.lowered.host.interface, watch, u64::MAX);
    let error = judge.functions(part.functions.iter().copied()).err();
    let Watch { finder, state } = judge.hints;
    (error, state.map(|state| Last { state, trouble: finder.trouble }))
}

/// What is missing.
fn said(lowered: &Lowered, last: Option<(&FnInfo, Last)>, error: &Error) -> String {
    if error.rule == Rule::Claim {
        return "more than one way leads here, or into the middle: the place needs a state".into();
    }
    let Some((function, last)) = last else { return kind(None, &error.kind) };
    let names = Names::new(lowered, function, &last.state, &[], &[]);
    let mut words = kind(Some(&names), &error.kind);
    for trouble in &last.trouble {
        let missing = match trouble {
            Trouble::Fact(fact) | Trouble::Access { bound: Some(fact), .. } => names.fact(fact),
            _ => continue,
        };
        if !words.contains(&missing) {
            words.push_str("; not known: ");
            words.push_str(&missing);
        }
    }
    words
}

/// The evidence.
fn kind(names: Option<&Names<'_>>, kind: &Kind) -> String {
    match (kind, names) {
        (Kind::NotProved(fact), Some(names)) => format!("not proved: {}", names.fact(fact)),
        (Kind::NotProved(fact), None) => {
            let sign = match fact.rel {
                Rel::Ge => ">=",
                Rel::Eq => "=",
                Rel::Ne => "/=",
            };
            format!("not proved: {:?} {sign} 0", fact.term)
        }
        (Kind::WrongWord(word), Some(names)) => {
            format!("another word is needed than {}", names.word(word))
        }
        (Kind::WrongRegister(reg, word), Some(names)) => {
            format!("{} holds what does not fit: {}", reg.name(), names.word(word))
        }
        (Kind::NoAccess(base, offset, width), Some(names)) => {
            format!("no memory here for {width} bytes at {}", names.address(*base, offset))
        }
        (Kind::Undecided(name), Some(names)) => {
            format!("{} may still be an address, or may still be none", names.var(*name))
        }
        (Kind::WrongWord(_), None) => "another word is needed".to_owned(),
        (Kind::WrongRegister(reg, _), None) => {
            format!("{} holds what does not fit", reg.name())
        }
        (Kind::NoAccess(_, _, width), None) => format!("no memory here for {width} bytes"),
        (Kind::Undecided(_), None) => {
            "a name may still be an address, or may still be none".to_owned()
        }
        (Kind::WrongSlot(at), _) => format!("the stack slot at {at} does not hold what it must"),
        (Kind::BadHint, _) => "nothing in the state answers what is asked".to_owned(),
        (Kind::Capability, _) => "memory is owned that must not be, or the reverse".to_owned(),
        (Kind::DeadRegion, _) => "the time for which this memory was lent is over".to_owned(),
        (Kind::Flags, _) => "these flags may not be read here".to_owned(),
        (Kind::TooBig, _) => "a term leaves the bounds of terms".to_owned(),
        (Kind::Limit, _) => "a limit of the judge is exceeded".to_owned(),
        (Kind::Depth(at), _) => format!("the stack may not be so deep: {at}"),
        (Kind::Refused(_), _) => "no rule admits this instruction".to_owned(),
        (Kind::Undecodable, _) => "these bytes are no instruction that is admitted".to_owned(),
        (Kind::BadTarget(to), _) => format!("{to:#x} cannot be jumped to or called from here"),
        (Kind::IllFormed, _) => "a type, state or declaration is not well formed".to_owned(),
        (Kind::Malformed(_) | Kind::Version(_), _) => "annotations are malformed".to_owned(),
    }
}
