//! Not trusted: a bug here can reject, never admit. Written states at an edge: the ghosts that make
//! one hold, as far as that goes, and whether it does, by the judge's own rule.

use super::Planner;
use super::establish::guess;
use crate::find::Finder;
use crate::lowered::Written;
use crate::unify::{Guarded, Theta, name_set};
use tal_core::error::{Error, Kind as ErrorKind};
use tal_core::hint::{Forward, Ghost, Hints, Inst, Place, Site, Start};
use tal_core::judge::Judge;
use tal_core::state::Mark;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Block, Cap, Declared, Fact, Kind, View, Word};
use tal_syntax::Span;
use tal_write::{LabelState, Saved};

/// What a written state is at an edge.
#[derive(Clone, Debug)]
pub struct Fit {
    /// What its variables are.
    pub values: Vec<Inst>,
    /// Which of the capabilities of the edge it speaks of, increasing.
    pub taken: Vec<usize>,
}

/// A part of a written state that does not hold at an edge.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// The part.
    pub part: Span,
    /// What is missing.
    pub lack: Lack,
    /// What was known.
    pub state: State,
}

/// What a part of a written state is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lack {
    /// This fact is not known.
    Fact(Fact),
    /// The place holds something else.
    Word(Place, Word),
    /// What the place holds may be null.
    Null(Place),
    /// Nothing that is owned is, or can be made, this.
    Cap(Cap),
    /// Nothing that is lent or shared is, or can be made, this.
    View(View),
    /// Nothing says what this variable is.
    Variable(String),
}

/// Makes what a `where` says, as far as that goes, at an edge from the instruction at `from`: ways
/// that come with other forms of it can then be joined.
///
/// # Errors
/// When the judge refuses a ghost that the planner tried before: never.
pub fn shape(
    judge: &mut Judge<'_, Finder<'_>>,
    st: &mut State,
    from: u32,
    written: &Written,
) -> Result<(), Error> {
    let f = &mut judge.hints;
    let site = Site::Edge { from, to: from };
    f.site = Some(site);
    let Some(mut p) = Planner::at(f, st, site) else { return Ok(()) };
    let theta = p.written_state(written);
    for cap in &written.caps {
        p.satisfy(&theta, cap);
    }
    let mut theta = p.written_state(written);
    for view in &written.views {
        p.bring_view(&mut theta, view);
    }
    let facts: Vec<Fact> = written.facts.iter().map(|(f, _)| f.clone()).collect();
    for (place, word, _) in &written.words {
        let place = p.here(*place);
        p.renorm_at(place, word, &facts, &theta);
    }
    p.f.trouble.clear();
    let ghosts = p.out;
    ghosts.iter().try_for_each(|ghost| judge.ghost(st, ghost))
}

/// Does the written state hold at an edge from the instruction at `from`?
///
/// # Errors
/// The first part of it that does not.
pub fn fit(
    judge: &mut Judge<'_, Finder<'_>>,
    st: &State,
    from: u32,
    written: &Written,
) -> Result<Fit, Box<Unfit>> {
    let f = &mut judge.hints;
    let site = Site::Edge { from, to: from };
    f.site = Some(site);
    let unfit = |part: Span, lack: Lack| Box::new(Unfit { part, lack, state: st.clone() });
    let nobody = || unfit(written.span, Lack::Variable(String::new()));
    let mut p = Planner::at(f, st, site).ok_or_else(nobody)?;
    let found = p.fit_written(written);
    p.f.trouble.clear();
    found.map_err(|(part, lack)| unfit(part, lack))
}

type Parts = Result<Fit, (Span, Lack)>;

/// What a written state says at an edge, part by part: its variables have their values.
#[derive(Default)]
struct Said {
    words: Vec<(Place, Word)>,
    facts: Vec<Fact>,
    views: Vec<View>,
    caps: Vec<Cap>,
}

impl Planner<'_, '_> {
    fn fit_written(&mut self, written: &Written) -> Parts {
        let mut theta = self.written_state(written);
        let facts: Vec<Fact> = written.facts.iter().map(|(f, _)| f.clone()).collect();
        guess(&mut theta, &self.st, &facts);
        let Some(values) = theta.complete() else {
            let open = theta.open().unwrap_or(0);
            let part = written.part_of(self.variable(open));
            return Err((part, self.lack_of(written, open)));
        };
        self.kinds_hold(written, &theta, &values)?;
        let mut all = Said::default();
        let mut taken = Vec::new();
        for (place, word, span) in &written.words {
            let lack = |p: &Self| {
                let held = p.word_in(*place).unwrap_or(Word::Junk);
                (written.part(*span), Lack::Word(*place, held))
            };
            let place = self.here(*place);
            let word = theta.word(word).ok_or_else(|| lack(self))?;
            let one = Said { words: vec![(place, word)], ..Said::default() };
            self.says(&one, &[]).map_err(|_| lack(self))?;
            all.words.extend(one.words);
        }
        for (fact, span) in &written.facts {
            let part = written.part(*span);
            let fact = theta.fact(fact).ok_or((part, Lack::Fact(fact.clone())))?;
            let one = Said { facts: vec![fact.clone()], ..Said::default() };
            self.says(&one, &[]).map_err(|e| (part, lacking(&e, Lack::Fact(fact))))?;
            all.facts.extend(one.facts);
        }
        for view in &written.views {
            let part = part_of_base(written, view);
            let lack = |wanted: &View| (part, Lack::View(wanted.clone()));
            match theta.view(&self.st, view) {
                None => return Err(lack(view)),
                Some(Guarded::Gone) => {}
                Some(Guarded::There((_, wanted))) => {
                    let one = Said { views: vec![wanted.clone()], ..Said::default() };
                    self.says(&one, &[]).map_err(|_| lack(&wanted))?;
                    all.views.extend(one.views);
                }
            }
        }
        for cap in &written.caps {
            let (part, wanted) = (part_of_cap(written, cap), self.wanted(&theta, cap));
            let wanted = wanted.ok_or_else(|| (part, Lack::Cap(cap.clone())))?;
            let Some(wanted) = wanted else { continue };
            let at = self.taking(&wanted, &taken);
            let at = at.ok_or_else(|| (part, Lack::Cap(wanted.clone())))?;
            taken.push(at);
            let one = Said { caps: vec![wanted.clone()], ..Said::default() };
            self.says(&one, &[at]).map_err(|_| (part, Lack::Cap(wanted)))?;
            all.caps.extend(one.caps);
        }
        taken.sort_unstable();
        // What holds part by part holds as a whole; if not, the whole is named.
        self.says(&all, &taken).map_err(|e| {
            let none = Lack::Variable(String::new());
            (written.span, lacking(&e, none))
        })?;
        Ok(Fit { values, taken })
    }

    /// A written place: slots count from where rsp is.
    fn here(&self, place: Place) -> Place {
        match place {
            Place::Slot(k) => Place::Slot(self.st.stack.delta.saturating_add(k)),
            Place::Reg(_) => place,
        }
    }

    fn variable(&self, at: usize) -> Var {
        let number = self.own.sig.vars.len().saturating_add(at);
        Var::Free(u16::try_from(number).unwrap_or(u16::MAX))
    }

    fn lack_of(&self, written: &Written, variable: usize) -> Lack {
        let number = self.variable(variable);
        let place = written.words.iter().find_map(|(place, word, _)| match word {
            Word::Int(term) => term.vars().any(|v| v == number).then_some(*place),
            Word::Ptr(Base::Name(v), _) => (*v == number).then_some(*place),
            _ => None,
        });
        match place {
            Some(place) => Lack::Word(place, self.word_in(place).unwrap_or(Word::Junk)),
            None => {
                let name = written.vars.get(variable).map(|v| v.name.clone());
                Lack::Variable(name.unwrap_or_default())
            }
        }
    }

    /// The capability under theta; `Some(None)` if on this way there is none.
    fn wanted(&self, theta: &Theta, cap: &Cap) -> Option<Option<Cap>> {
        match cap {
            Cap::Entry(e) => match theta.entry(&self.st, e)? {
                Guarded::Gone => Some(None),
                Guarded::There(e) => Some(Some(Cap::Entry(e))),
            },
            Cap::Store(_) => Some(Some(cap.clone())),
            Cap::Token(..) => None,
        }
    }

    /// Which capability it is, if none of those taken already.
    fn taking(&mut self, wanted: &Cap, taken: &[usize]) -> Option<usize> {
        let mut open = self.st.clone();
        let kept = |i: &usize| !taken.contains(i);
        let places: Vec<usize> = (0..open.caps.len()).filter(kept).collect();
        open.caps =
            places.iter().filter_map(|i| self.st.caps.get(*i).cloned()).collect::<Vec<_>>().into();
        let at = self.f.take(&open, wanted).ok()?;
        places.get(usize::from(at)).copied()
    }

    /// Are the values of the variables' kinds?
    fn kinds_hold(
        &mut self,
        written: &Written,
        theta: &Theta,
        values: &[Inst],
    ) -> Result<(), (Span, Lack)> {
        let first = self.own.sig.vars.len();
        let kinds: Vec<Kind> =
            written.vars.iter().map(|v| self.renumbered(&v.kind, first)).collect();
        let empty = Said::default();
        if self.entails(&empty, &[], kinds.clone(), values.to_vec()).is_ok() {
            return Ok(());
        }
        let plain = |kind: &Kind| match kind {
            Kind::Addr { set, .. } => Kind::Addr { set: *set, block: None },
            other => other.clone(),
        };
        let alone = kinds.iter().zip(values).position(|(kind, value)| {
            self.entails(&empty, &[], vec![plain(kind)], vec![value.clone()]).is_err()
        });
        let block = |k: &Kind| matches!(k, Kind::Addr { block: Some(_), .. });
        let wrong = alone.or_else(|| kinds.iter().position(block)).unwrap_or(0);
        let name = self.variable(wrong);
        let of = |c: &&Cap| matches!(c, Cap::Entry(e) if e.name == name);
        let owned = written.caps.iter().find(of).filter(|_| alone.is_none());
        let owned = owned.and_then(|cap| self.wanted(theta, cap).flatten());
        let lack = match (owned, self.lack_of(written, wrong)) {
            // An address, but not of a block of this origin and size.
            (Some(cap), _) => Lack::Cap(cap),
            (None, Lack::Word(place, Word::Ptr(Base::Name(held), _)))
                if name_set(&self.st, held).is_some_and(|set| !set.is_address()) =>
            {
                Lack::Null(place)
            }
            (None, lack) => lack,
        };
        Err((written.part_of(name), lack))
    }

    /// The kind with the state's own variables numbered behind all that are in scope.
    fn renumbered(&self, kind: &Kind, first: usize) -> Kind {
        let Kind::Addr { set, block: Some(block) } = kind else { return kind.clone() };
        let move_up = |v: Var| match v {
            Var::Free(i) => usize::from(i).checked_sub(first).and_then(|own| {
                u16::try_from(self.st.scope.len() + own).ok().map(|i| Term::var(Var::Free(i)))
            }),
            _ => None,
        };
        match block.extent.subst(&move_up) {
            Ok(extent) => {
                Kind::Addr { set: *set, block: Some(Block { extent, origin: block.origin }) }
            }
            Err(_) => kind.clone(),
        }
    }

    /// Does the edge's state say this, the capabilities in these places being those?
    fn says(&mut self, said: &Said, taken: &[usize]) -> Result<(), Error> {
        self.entails(said, taken, Vec::new(), Vec::new())
    }

    /// The judge's rule of edges, for a label of these variables that says this and for the rest
    /// what the edge has. All variables in scope count as the function's, so that they mean
    /// themselves.
    fn entails(
        &mut self,
        said: &Said,
        taken: &[usize],
        vars: Vec<Kind>,
        values: Vec<Inst>,
    ) -> Result<(), Error> {
        let mut label = LabelState {
            vars,
            refinements: Vec::new(),
            facts: said.facts.clone(),
            regs: [const { Word::Junk }; 16],
            delta: self.st.stack.delta,
            touched: self.st.stack.touched,
            slots: Vec::new(),
            lent: self.st.stack.lent.to_vec(),
            views: said.views.clone(),
            caps: said.caps.clone(),
        };
        let rest = self.st.caps.iter().enumerate().filter(|(i, _)| !taken.contains(i));
        label.caps.extend(rest.map(|(_, c)| c.clone()));
        for (place, word) in &said.words {
            match place {
                Place::Reg(reg) => label.regs[*reg as usize] = word.clone(),
                Place::Slot(at) => label.slots.push((*at, word.clone())),
            }
        }
        label.slots.sort_by_key(|(at, _)| *at);
        let parent = Saved::now(&self.st);
        let record = label.record(&parent);
        let hints = Given { finder: self.f, values };
        let (image, interface, own) =
            (hints.finder.image, hints.finder.interface, self.own.clone());
        let mut judge = Judge::new(image, interface, hints, 0);
        (judge.fuel, judge.own) = (u64::MAX, own);
        judge.entail(&mut self.st.clone(), 0, &parent.mark, record.declared())
    }
}

/// The fact that an error names, else something more general.
fn lacking(error: &Error, other: Lack) -> Lack {
    match &error.kind {
        ErrorKind::NotProved(fact) => Lack::Fact((**fact).clone()),
        _ => other,
    }
}

fn part_of_base(written: &Written, view: &View) -> Span {
    match view.base {
        Base::Name(name) => written.part_of(name),
        _ => written.span,
    }
}

fn part_of_cap(written: &Written, cap: &Cap) -> Span {
    match cap {
        Cap::Entry(e) => written.part_of(e.name),
        Cap::Store(name) | Cap::Token(name, _) => written.part_of(*name),
    }
}

/// The answers of a finder, with the values of a label's variables given.
#[derive(Debug)]
struct Given<'f, 'a> {
    finder: &'f mut Finder<'a>,
    values: Vec<Inst>,
}

impl<'a> Forward for Given<'_, 'a> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        self.finder
    }

    fn block(&mut self, _: Start, _: &State) -> Result<(), Error> {
        Ok(())
    }

    fn ghost(&mut self, _: &State, _: Site) -> Result<Option<Ghost>, Error> {
        Ok(None)
    }

    fn label(&mut self, _: &State, _: u32, _: &Mark, _: Declared<'_>) -> Result<Vec<Inst>, Error> {
        Ok(self.values.clone())
    }
}
