//! Not trusted: a bug here can reject, never admit. What calls, returns and labels want: values for
//! their variables, and the ghosts that make the state fit.

use super::Planner;
use crate::find::Target;
use crate::find::{Finder, Trouble, unknown};
use crate::unify::{Guarded, Space, Theta, unify_memory, unify_words};
use tal_core::error::{Error, Rule};
use tal_core::hint::{Ghost, Inst, Place, Site};
use tal_core::rules::apply::Callee;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Assertion, Base, Cap, Fact, Kind, Mem, Reg, Region, Sig, View, Word};
use tal_write::LabelState;

/// The word in a slot.
fn slot(st: &State, at: i64) -> Option<Word> {
    st.slots().find(|(k, _)| *k == at).map(|(_, w)| w.clone())
}

/// Is this the signature of one of the state's code parameters? Its variables are `Inner` then.
fn space_of(st: &State, sig: &Sig) -> Space {
    let same = |k: &Kind| matches!(k, Kind::Code(s) if std::ptr::eq(&raw const **s, sig));
    if st.scope.iter().any(|s| same(&s.kind)) { Space::Inner } else { Space::Free(0) }
}

/// The entry rsp of the callee, as an offset in our frame.
fn callee_frame(f: &Finder<'_>, st: &State) -> i64 {
    match f.site {
        Some(Site::At(_)) => st.stack.delta - 8,
        _ => 0,
    }
}

/// Theta of a call, as far as it can be read off.
fn call_theta(f: &mut Finder<'_>, st: &State, sig: &Sig) -> Theta {
    let mut theta = Theta::new(space_of(st, sig), sig.vars.clone());
    let frame = callee_frame(f, st);
    unify_words(&mut theta, st, &sig.pre, &|k| slot(st, frame + i64::from(k)));
    for _ in 0..2 {
        unify_memory(&mut theta, st, &sig.pre.views, &sig.pre.caps, f);
    }
    regions(f, st, &mut theta, &sig.pre.views);
    guess(&mut theta, st, &sig.pre.facts);
    theta
}

/// Sizes of static data, which no view of the state shows.
pub(super) fn data_sizes(f: &mut Finder<'_>, theta: &mut Theta, views: &[View]) {
    for view in views {
        let Some((Base::Data(id), at)) = theta.place(view.base, &view.offset) else { continue };
        if let Some(whole) = f.data_view(id).filter(|_| at == Term::ZERO) {
            let mut with = theta.clone();
            if with.unify_mem(&view.mem, &whole.mem, f) {
                *theta = with;
            }
        }
    }
}

/// Regions: those of the views that are there.
pub(crate) fn regions(f: &mut Finder<'_>, st: &State, theta: &mut Theta, views: &[View]) {
    for v in views {
        let Region::Var(rho) = v.region else { continue };
        if !theta.seeks(rho) || theta.get(rho).is_some() {
            continue;
        }
        let found = match theta.view(st, v) {
            Some(Guarded::There((_, want))) => region_of(f, st, &want),
            // Nothing there: any region will do.
            Some(Guarded::Gone) => Some(Region::Always),
            None => None,
        };
        if let Some(r) = found {
            theta.bind(rho, Inst::Region(r));
        }
    }
}

fn region_of(f: &mut Finder<'_>, st: &State, want: &View) -> Option<Region> {
    if let Base::Data(d) = want.base
        && f.data_view(d).is_some_and(|v| v == View { region: v.region, ..want.clone() })
    {
        return Some(Region::Always);
    }
    st.views.iter().map(|v| v.region).find(|r| {
        f.live(st, *r) && {
            let want = View { region: *r, ..want.clone() };
            st.views.iter().any(|v| f.alike_view(st, v, &want))
        }
    })
}

/// Integers that no register and no length shows: some value that makes the facts true.
pub(super) fn guess(theta: &mut Theta, st: &State, facts: &[Fact]) {
    let facts = theta.told(facts);
    let mut known = crate::prove::Known::of(st);
    while let Some(i) = theta
        .values
        .iter()
        .zip(&theta.kinds)
        .position(|(v, k)| v.is_none() && matches!(k, Kind::Int(_)))
    {
        let mut candidates = vec![Term::ZERO, Term::int(1)];
        candidates.extend(st.regs().iter().filter_map(|w| match w {
            Word::Int(t) => Some(t.clone()),
            _ => None,
        }));
        candidates.extend((0..st.scope.len()).rev().take(48).filter_map(|i| {
            let v = Var::Free(u16::try_from(i).ok()?);
            tal_core::judge::is_int(st, v).then(|| Term::var(v))
        }));
        let mut fits = |value: &Term| {
            let mut with = theta.clone();
            if let Some(place) = with.values.get_mut(i) {
                *place = Some(Inst::Int(value.clone()));
            }
            facts.iter().all(|f| {
                with.fact(f).is_none_or(|f| match f.term.as_int() {
                    Some(_) => holds_constant(&f),
                    None => known.holds(&f),
                })
            })
        };
        let chosen = candidates.iter().find(|t| fits(t)).cloned().unwrap_or(Term::ZERO);
        if let Some(place) = theta.values.get_mut(i) {
            *place = Some(Inst::Int(chosen));
        }
    }
}

fn holds_constant(f: &Fact) -> bool {
    crate::prove::holds(&[], f)
}

/// Values that make theta whole, or the refusal.
fn complete(f: &mut Finder<'_>, theta: &Theta, rule: Rule) -> Result<Vec<Inst>, Error> {
    let mut theta = theta.clone();
    for (value, kind) in theta.values.iter_mut().zip(&theta.kinds) {
        // A view that is not there has no region; the judge says so when it looks for the view.
        if value.is_none() && *kind == Kind::Region {
            *value = Some(Inst::Region(Region::Always));
        }
    }
    theta.complete().ok_or_else(|| {
        f.trouble.push(Trouble::Variable(theta.open().unwrap_or(0)));
        unknown(rule)
    })
}

/// The answer to `Hints::call`.
pub(crate) fn answer_call(f: &mut Finder<'_>, st: &State, sig: &Sig) -> Result<Vec<Inst>, Error> {
    let mut theta = call_theta(f, st, sig);
    stores(f, st, sig, &mut theta);
    complete(f, &theta, Rule::Apply)
}

/// The answer to `Hints::post`.
pub(crate) fn answer_post(
    f: &mut Finder<'_>,
    st: &State,
    kinds: &[Kind],
    post: &Assertion,
) -> Result<Vec<Inst>, Error> {
    let theta = post_theta(f, st, kinds, post);
    complete(f, &theta, Rule::Return)
}

/// The number of the first of our own choices in the post-state.
fn first_choice(f: &Finder<'_>, kinds: &[Kind], post: &Assertion) -> u16 {
    let own = f.site.and_then(|s| f.own(s));
    let ours = own.as_ref().and_then(|o| o.sig.post.as_ref());
    if let Some(own) = &own
        && ours.is_some_and(|p| p.state == *post)
    {
        return u16::try_from(own.sig.vars.len()).unwrap_or(0);
    }
    // Within rule[code-sub] the variables of the signature were renumbered.
    let mut last = 0;
    let mut see = |v: Var| {
        if let Var::Free(i) = v {
            last = last.max(i + 1);
        }
    };
    for (_, w) in post.regs.iter() {
        match w {
            Word::Int(t) => t.vars().for_each(&mut see),
            Word::Ptr(Base::Name(x), t) => {
                see(*x);
                t.vars().for_each(&mut see);
            }
            _ => {}
        }
    }
    last.saturating_sub(u16::try_from(kinds.len()).unwrap_or(0))
}

fn post_theta(f: &mut Finder<'_>, st: &State, kinds: &[Kind], post: &Assertion) -> Theta {
    let first = first_choice(f, kinds, post);
    let mut theta = Theta::new(Space::Free(first), kinds.to_vec());
    unify_words(&mut theta, st, post, &|k| slot(st, i64::from(k)));
    for _ in 0..2 {
        unify_memory(&mut theta, st, &post.views, &post.caps, f);
    }
    guess(&mut theta, st, &post.facts);
    names(st, &mut theta, &post.caps);
    theta
}

/// Names that only a capability speaks of: that of a capability of the same type.
fn names(st: &State, theta: &mut Theta, caps: &[Cap]) {
    for cap in caps {
        let Cap::Entry(want) = cap else { continue };
        if !theta.seeks(want.name) || theta.get(want.name).is_some() {
            continue;
        }
        let twin = st.caps.iter().find_map(|c| match c {
            Cap::Entry(e) if e.mem == want.mem && e.guards.len() == want.guards.len() => Some(e),
            _ => None,
        });
        if let Some(e) = twin {
            theta.bind(want.name, Inst::Ptr(Base::Name(e.name), e.offset.clone()));
        }
    }
}

/// The answer to `Hints::label`.
pub(crate) fn answer_label(f: &mut Finder<'_>, st: &State, l: &Target) -> Result<Vec<Inst>, Error> {
    let theta = label_theta(f, st, l);
    complete(f, &theta, Rule::Entail)
}

fn label_theta(f: &mut Finder<'_>, st: &State, l: &Target) -> Theta {
    let mut theta = Theta::new(Space::Free(l.first()), l.state.vars.clone());
    match_label(f, st, &l.state, &mut theta);
    theta
}

/// Reads theta of a label state off registers and slots.
fn label_words(st: &State, l: &LabelState, theta: &mut Theta) {
    for round in 0..2 {
        let simple = |w: &Word| match w {
            Word::Int(t) => t.as_var().is_some(),
            Word::Ptr(_, o) => o.as_int() == Some(0),
            _ => false,
        };
        for (w, actual) in l.regs.iter().zip(st.regs()) {
            if simple(w) == (round == 0) {
                theta.unify_word(st, w, actual);
            }
        }
        for (k, w) in &l.slots {
            if simple(w) == (round == 0)
                && let Some(actual) = slot(st, *k)
            {
                theta.unify_word(st, w, &actual);
            }
        }
    }
}

/// Reads theta of a label state off the state, and guesses the rest.
pub(crate) fn match_label(f: &mut Finder<'_>, st: &State, l: &LabelState, theta: &mut Theta) {
    read_label(f, st, l, theta);
    guess(theta, st, &l.facts);
}

/// Reads theta of a label state off the state.
pub(crate) fn read_label(f: &mut Finder<'_>, st: &State, l: &LabelState, theta: &mut Theta) {
    label_words(st, l, theta);
    for lent in &l.lent {
        if let Some(have) = st.stack.lent.iter().find(|h| h.offset == lent.offset) {
            theta.bind(lent.name, Inst::Ptr(Base::Name(have.name), Term::ZERO));
        }
    }
    for _ in 0..2 {
        unify_memory(theta, st, &l.views, &l.caps, f);
        names(st, theta, &l.caps);
    }
    data_sizes(f, theta, &l.views);
    for cap in &l.caps {
        let Cap::Token(rho, want) = cap else { continue };
        let Some((Base::Name(x), _)) = theta.place(Base::Name(want.name), &want.offset) else {
            continue;
        };
        let twin = st.caps.iter().find_map(|c| match c {
            Cap::Token(r, e) if e.name == x => Some(*r),
            _ => None,
        });
        if let Some(r) = twin {
            theta.bind(*rho, Inst::Region(Region::Var(r)));
        }
    }
    regions(f, st, theta, &l.views);
}

/// Store variables: what the code that is passed along needs beyond what its type says, or, if the
/// code is a parameter of ours, our own unknown set.
fn stores(f: &mut Finder<'_>, st: &State, sig: &Sig, theta: &mut Theta) {
    let Some(i) = sig.vars.iter().position(|k| *k == Kind::Store) else { return };
    if theta.values.get(i).is_none_or(Option::is_some) {
        return;
    }
    let mut positions: Vec<u16> = Vec::new();
    for want in store_wants(f, st, sig, theta) {
        let found = st.caps.iter().position(|c| *c == want);
        positions.extend(found.and_then(|p| u16::try_from(p).ok()));
    }
    positions.sort_unstable();
    positions.dedup();
    if let Some(place) = theta.values.get_mut(i) {
        *place = Some(Inst::Store(positions));
    }
}

/// The capabilities that the code arguments of a call need from its store variable.
fn store_wants(f: &mut Finder<'_>, st: &State, sig: &Sig, theta: &Theta) -> Vec<Cap> {
    let mut wants = Vec::new();
    for (kind, value) in sig.vars.iter().zip(&theta.values) {
        let (Kind::Code(sigma), Some(Inst::Code(base))) = (kind, value) else { continue };
        match base {
            Base::Code(g) => {
                if let Some(g) = f.sig(*g) {
                    wants.extend(code_wants(st, sigma, g, theta));
                }
            }
            _ => wants.extend(st.caps.iter().filter(|c| matches!(c, Cap::Store(_))).cloned()),
        }
    }
    wants
}

/// What entry `g` owns at its start that `sigma` does not hand over by itself.
fn code_wants(st: &State, sigma: &Sig, g: &Sig, theta: &Theta) -> Vec<Cap> {
    let mut inner = Theta::new(Space::Free(0), g.vars.clone());
    for (reg, want) in g.pre.regs.iter() {
        let have = theta.word(sigma.pre.regs.get(*reg));
        let (Word::Ptr(Base::Name(x), o), Some(Word::Ptr(b, e))) = (want, have) else {
            continue;
        };
        // Locations that sigma itself binds stay `Inner`: they are not ours to give.
        if o.as_int() == Some(0) && !matches!(b, Base::Name(Var::Inner(_))) {
            inner.bind(*x, Inst::Ptr(b, e));
        }
    }
    let mut wants = Vec::new();
    for cap in &g.pre.caps {
        if let Cap::Entry(e) = cap
            && let Some(Guarded::There(e)) = inner.entry(st, e)
        {
            wants.push(Cap::Entry(e));
        }
    }
    wants
}

impl Planner<'_, '_> {
    /// Makes the state fit the pre-state of a callee.
    pub(crate) fn call(&mut self, at: u32, callee: Callee) {
        let Some(sig) = self.signature(callee) else { return };
        self.f.ends.remove(&at);
        let before = self.tokens();
        self.carve_for(&sig);
        self.bring_all(&sig);
        let keeps = sig.post.as_ref().is_some_and(|p| !p.state.views.is_empty());
        let made = self.tokens().into_iter().filter(|r| !before.contains(r)).collect::<Vec<_>>();
        if !made.is_empty() && !keeps {
            self.f.ends.insert(at, made);
        }
    }

    fn signature(&mut self, callee: Callee) -> Option<tal_core::counted::Rc<Sig>> {
        let (own, st) = (self.own.clone(), self.st.clone());
        self.f.judge(own).signature(&st, callee).ok()
    }

    /// Capabilities first, since lending takes them away; then views, then what `R` stands for.
    fn bring_all(&mut self, sig: &Sig) {
        let st = self.st.clone();
        let mut early = Theta::new(space_of(&st, sig), sig.vars.clone());
        let frame = callee_frame(self.f, &st);
        unify_words(&mut early, &st, &sig.pre, &|k| slot(&st, frame + i64::from(k)));
        self.satisfy_early(&early, &sig.pre.caps);
        let st = self.st.clone();
        let mut theta = call_theta(self.f, &st, sig);
        self.satisfy_all(&theta, &sig.pre.caps);
        let wants = store_wants(self.f, &self.st.clone(), sig, &theta);
        for want in wants {
            if let Cap::Entry(e) = want {
                self.obtain(&e);
            }
        }
        for v in &sig.pre.views {
            self.bring_view(&mut theta, v);
        }
        self.renorm(&sig.pre, &theta);
    }

    /// A register whose number may lie outside of the wanted range is read as the number in that
    /// range that it is congruent to.
    fn renorm(&mut self, a: &Assertion, theta: &Theta) {
        for (r, want) in a.regs.iter() {
            self.renorm_at(Place::Reg(*r), want, &a.facts, theta);
        }
    }

    /// The same for one place.
    pub(super) fn renorm_at(&mut self, place: Place, want: &Word, facts: &[Fact], theta: &Theta) {
        let Word::Int(t) = want else { return };
        let Some(v) = t.as_var() else { return };
        if !theta.seeks(v) || self.number_at(place).is_none() {
            return;
        }
        let told = theta.told(facts);
        let about: Vec<&Fact> = told.iter().filter(|f| f.term.vars().all(|x| x == v)).collect();
        if self.all_hold(&about, theta) {
            return;
        }
        for signed in [false, true] {
            let found = self.attempt(|p| {
                p.emit(Ghost::Renorm { place, signed }).then_some(())?;
                let mut with = theta.clone();
                with.set(v, Inst::Int(p.number_at(place)?));
                p.all_hold(&about, &with).then_some(())
            });
            if found.is_some() {
                return;
            }
        }
    }

    fn number_at(&self, place: Place) -> Option<Term> {
        let word = match place {
            Place::Reg(r) => self.st.regs().get(r as usize).cloned(),
            Place::Slot(at) => slot(&self.st, at),
        };
        match word {
            Some(Word::Int(n)) => Some(n),
            _ => None,
        }
    }

    fn all_hold(&mut self, facts: &[&Fact], theta: &Theta) -> bool {
        facts.iter().all(|f| {
            theta.fact(f).is_some_and(|f| {
                self.f.holds(&self.st, &f) || {
                    self.draw_for(&f);
                    self.f.holds(&self.st, &f)
                }
            })
        })
    }

    /// Makes the capabilities that the words alone determine: what is left then shows the sizes of
    /// the others.
    fn satisfy_early(&mut self, theta: &Theta, caps: &[Cap]) {
        for cap in caps {
            if let Cap::Entry(e) = cap
                && theta.entry(&self.st, e).is_some()
            {
                self.satisfy(theta, cap);
            }
        }
    }

    fn satisfy_all(&mut self, theta: &Theta, caps: &[Cap]) {
        for cap in caps {
            if !self.satisfy(theta, cap) {
                self.f.trouble.push(Trouble::Cap(cap.clone()));
            }
        }
    }

    pub(super) fn bring_view(&mut self, theta: &mut Theta, v: &View) {
        let Some(Guarded::There((region, want))) = theta.view(&self.st, v) else { return };
        let found = self.lend_guarded(&want, region);
        if let (Some(r), Region::Var(rho)) = (found, v.region) {
            theta.bind(rho, Inst::Region(r));
        }
    }

    /// A jump to an entry.
    pub(crate) fn tail(&mut self, callee: Callee) {
        let Some(sig) = self.signature(callee) else { return };
        if sig.post.is_some() {
            self.give_back();
        }
        self.bring_all(&sig);
        if sig.post.is_some() {
            self.leak_left_over(&sig);
        }
        self.polish(|judge, st| judge.tail_call(st, u32::MAX, callee));
    }

    /// Empty pieces that neither the callee nor our post-state can want.
    fn leak_left_over(&mut self, sig: &Sig) {
        let st = self.st.clone();
        let theta = call_theta(self.f, &st, sig);
        let mut wanted = self.under(&theta, &sig.pre.caps);
        let own = self.own.sig.clone();
        let back = own.post.iter().flat_map(|p| &p.state.caps);
        let ours = |x: Var| back.clone().any(|c| matches!(c, Cap::Entry(e) if e.name == x));
        wanted.extend(st.caps.iter().filter_map(|c| match c {
            Cap::Entry(e) if ours(e.name) => Some(e.clone()),
            _ => None,
        }));
        self.leak_empty(&wanted);
    }

    /// Regions and lent frames end where nothing may be left over.
    fn give_back(&mut self) {
        for rho in self.tokens() {
            self.end_region(rho);
        }
        self.uncarve_all();
    }

    /// Makes the state fit our post-state.
    pub(crate) fn ret(&mut self) {
        if self.polish_ret() {
            return;
        }
        self.give_back();
        let Some(post) = self.own.sig.post.clone() else { return };
        let st = self.st.clone();
        let first = first_choice(self.f, &post.vars, &post.state);
        let mut early = Theta::new(Space::Free(first), post.vars.clone());
        unify_words(&mut early, &st, &post.state, &|k| slot(&st, i64::from(k)));
        self.satisfy_early(&early, &post.state.caps);
        let st = self.st.clone();
        let mut theta = post_theta(self.f, &st, &post.vars, &post.state);
        self.satisfy_all(&theta, &post.state.caps);
        for v in &post.state.views {
            self.bring_view(&mut theta, v);
        }
        self.renorm(&post.state, &theta);
        let wanted = self.under(&theta, &post.state.caps);
        self.clear_false(&wanted);
        self.leak_empty(&wanted);
        self.polish_ret();
    }

    fn polish_ret(&mut self) -> bool {
        self.polish(|judge, st| judge.ret(st, u32::MAX))
    }

    /// Makes the state fit a label.
    pub(crate) fn label(&mut self, label: &Target) {
        if self.polish(|judge, st| {
            judge.entail(st, label.at, &label.parent.mark, label.record.declared())
        }) {
            return;
        }
        // As inference did before it joined the ways; then what the label says.
        let tidied = self.attempt(|p| {
            p.keep = super::tidy::held(&p.st);
            p.tidy();
            p.keep.clear();
            p.fit(label).then_some(())
        });
        if tidied.is_none() {
            self.keep.clear();
            self.fit(label);
        }
    }

    /// Makes what the label says. True if that is all.
    fn fit(&mut self, l: &Target) -> bool {
        if l.state.lent.is_empty() {
            self.uncarve_all();
        }
        for lent in &l.state.lent {
            if !self.st.stack.lent.iter().any(|have| have.offset == lent.offset) {
                self.emit(Ghost::Carve { offset: lent.offset, size: lent.size });
            }
        }
        let st = self.st.clone();
        let mut theta = label_theta(self.f, &st, l);
        let kept: Vec<Var> = l
            .state
            .caps
            .iter()
            .filter_map(|c| match c {
                Cap::Token(rho, _) => match theta.region(Region::Var(*rho)) {
                    Some(Region::Var(r)) => Some(r),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        for rho in self.tokens() {
            if !kept.contains(&rho) {
                self.end_region(rho);
            }
        }
        let st = self.st.clone();
        let mut early = Theta::new(theta.space(), l.state.vars.clone());
        label_words(&st, &l.state, &mut early);
        self.satisfy_early(&early, &l.state.caps);
        let st = self.st.clone();
        theta = label_theta(self.f, &st, l);
        self.satisfy_all(&theta, &l.state.caps);
        for v in &l.state.views {
            self.bring_view(&mut theta, v);
        }
        let slots = l.state.slots.iter().map(|(at, word)| (Place::Slot(*at), word));
        let regs = Reg::ALL.into_iter().map(Place::Reg).zip(&l.state.regs);
        for (place, word) in regs.chain(slots) {
            self.renorm_at(place, word, &l.state.facts, &theta);
        }
        let wanted = self.under(&theta, &l.state.caps);
        self.clear_false(&wanted);
        self.leak_empty(&wanted);
        if self.f.is_dead_end(l.at) {
            self.leak_unwanted(&wanted);
        }
        self.polish(|judge, st| judge.entail(st, l.at, &l.parent.mark, l.record.declared()))
    }

    // ---- the frame as memory ----

    /// Where a callee wants memory and gets a frame address: lends the frame.
    fn carve_for(&mut self, sig: &Sig) {
        for r in Reg::ALL {
            if r == Reg::Rsp {
                continue;
            }
            let Some(Word::Frame(k)) = self.st.regs().get(r as usize).cloned() else { continue };
            let Word::Ptr(Base::Name(x), _) = sig.pre.regs.get(r) else { continue };
            self.attempt(|p| p.carve_at(sig, r, k, *x));
        }
    }

    fn carve_at(&mut self, sig: &Sig, r: Reg, k: i64, x: Var) -> Option<()> {
        let place = Place::Reg(r);
        let lent = self.st.stack.lent.iter().find(|l| l.offset <= k && k < l.offset + l.size);
        if let Some(l) = lent {
            let name = l.name;
            return self.emit(Ghost::FrameWord { place, name }).then_some(());
        }
        let size = self.wanted_size(sig, x)?;
        let size = i64::try_from((size + 7) / 8 * 8).ok()?;
        self.emit(Ghost::Carve { offset: k, size }).then_some(())?;
        let name = self.st.stack.lent.iter().find(|l| l.offset == k)?.name;
        self.emit(Ghost::FrameWord { place, name }).then_some(())
    }

    /// How many bytes a callee wants at its location `x`: by its entries and views, or by those of
    /// the code that gets the word.
    fn wanted_size(&mut self, sig: &Sig, x: Var) -> Option<i128> {
        let st = self.st.clone();
        let mut theta = Theta::new(space_of(&st, sig), sig.vars.clone());
        let frame = callee_frame(self.f, &st);
        unify_words(&mut theta, &st, &sig.pre, &|k| slot(&st, frame + i64::from(k)));
        let mem = |caps: &[Cap], views: &[View], x: Var| -> Option<Mem> {
            let cap = caps.iter().find_map(|c| match c {
                Cap::Entry(e) if e.name == x => Some((*e.mem).clone()),
                _ => None,
            });
            let view = views.iter().find(|v| v.base == Base::Name(x));
            cap.or_else(|| view.map(|v| (*v.mem).clone()))
        };
        if let Some(m) = mem(&sig.pre.caps, &sig.pre.views, x) {
            return self.size(&theta.mem(&m)?)?.as_int();
        }
        for (kind, value) in sig.vars.iter().zip(theta.values.clone()) {
            let (Kind::Code(sigma), Some(Inst::Code(Base::Code(g)))) = (kind, value) else {
                continue;
            };
            let g = self.f.sig(g)?.clone();
            let here = |(_, w): &&(Reg, Word)| matches!(w, Word::Ptr(Base::Name(y), _) if *y == x);
            let Some((r, _)) = sigma.pre.regs.iter().find(here) else { continue };
            if let Word::Ptr(Base::Name(y), _) = g.pre.regs.get(*r)
                && let Some(m) = mem(&g.pre.caps, &g.pre.views, *y)
            {
                return self.size(&m)?.as_int();
            }
        }
        None
    }

    /// Takes every lent part of the frame back. True if any was.
    pub(crate) fn uncarve_all(&mut self) -> bool {
        let mut any = false;
        let lent = self.st.stack.lent.clone();
        for l in &lent {
            any |= self.attempt(|p| p.uncarve_one(l.name, l.size)).is_some();
        }
        any
    }

    pub(crate) fn uncarve_one(&mut self, name: Var, size: i64) -> Option<()> {
        for _ in 0..6 {
            let i = self.piece(name, &Term::ZERO, super::DEPTH)?;
            let mem = self.entry(i)?.mem.clone();
            let entry = u16::try_from(i).ok()?;
            if self.size(&mem)? != Term::int(size) {
                self.make(name, &Term::ZERO, &Mem::Junk(Term::int(size)), super::DEPTH)?;
                continue;
            }
            let ghost = match &*mem {
                Mem::Named(..) => Ghost::Unfold { entry },
                Mem::Ex { .. } => Ghost::Open { entry },
                Mem::Struct { .. } => {
                    return self.emit(Ghost::Uncarve { name, entry }).then_some(());
                }
                Mem::Junk(_) => {
                    let fields = Vec::new();
                    let mem = Mem::Struct { fields, size: u32::try_from(size).ok()? };
                    Ghost::RetypeShape { entry, mem: tal_core::counted::Rc::new(mem) }
                }
                _ => Ghost::RetypeJunk { entry },
            };
            self.emit(ghost).then_some(())?;
        }
        None
    }
}
