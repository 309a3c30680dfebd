//! Not trusted. Conditional moves: what both alternatives have in common, and who says so.

use crate::judges::*;
use crate::support::*;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Forward, Template};
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::state::{FlagKind, FlagSet, Flags, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Fact, Reg, Word};

/// Has one answer to `cmov`, or none.
struct Chooser {
    template: Option<Template>,
    teller: Teller,
}

impl Forward for Chooser {
    type Inner = Teller;

    fn inner(&mut self) -> &mut Teller {
        &mut self.teller
    }

    fn cmov(&mut self, _: &State, _: &Word, _: &Word) -> Result<Template, Error> {
        self.template.clone().map_or_else(answers::silent, Ok)
    }
}

/// `cmove rax,rcx`.
const WIDE: &[u8] = &[0x48, 0x0F, 0x44, 0xC1];
/// `cmove eax,ecx`.
const NARROW: &[u8] = &[0x0F, 0x44, 0xC1];

/// The state after the instruction.
fn after(st: &State, text: &[u8], template: Option<Template>) -> Result<State, Error> {
    let mut st = st.clone();
    let interface = interface();
    let image = Image { text, ..bare() };
    let chooser = Chooser { template, teller: Teller::default() };
    Judge::new(&image, &interface, chooser, 1 << 20).exec(&mut st, 0)?;
    Ok(st)
}

/// Refused for want of just this.
fn wants(r: Result<State, Error>, kind: &Evidence) {
    let error = r.expect_err("must be refused");
    assert_eq!((error.rule, &error.kind), (Rule::RowCmov, kind));
}

/// Readable flags that say nothing, and these two words.
fn between(kept: Word, moved: Word) -> State {
    let mut st = state();
    choose(&mut st, kept, moved);
    st
}

fn choose(st: &mut State, kept: Word, moved: Word) {
    st.set_flags(Flags { kind: FlagKind::None, readable: FlagSet::ALL });
    st.set_reg(Reg::Rax, kept);
    st.set_reg(Reg::Rcx, moved);
}

/// A word that has no part that is chosen.
fn both(word: Word) -> Template {
    Template { fresh: 0, word, facts: vec![], moved: vec![], kept: vec![] }
}

/// A template of nothing but `values` for new integers on either side.
fn fresh(fresh: u16, values: usize) -> Template {
    let values = vec![k(0); values];
    Template { fresh, moved: values.clone(), kept: values, ..both(Word::Junk) }
}

fn number(c: i64) -> Word {
    Word::Int(k(c))
}

/// Also a choice of unreadable words is seen in the time it takes: the flags are public.
#[test]
fn a_choice_reads_its_flags() {
    let mut st = between(Word::Junk, Word::Junk);
    after(&st, WIDE, None).unwrap();
    st.set_flags(Flags::UNKNOWN);
    assert_eq!(refusal(after(&st, WIDE, None)), Rule::FlagsRead);
}

/// Half a pointer is none: nobody is asked what the two have in common.
#[test]
fn half_a_pointer_is_no_choice() {
    let mut st = state();
    let x = address(&mut st);
    choose(&mut st, ptr(x, k(0)), ptr(x, k(0)));
    for template in [None, Some(both(ptr(x, k(0))))] {
        let after = after(&st, NARROW, template).unwrap();
        assert_eq!(after.regs()[Reg::Rax as usize], Word::Junk);
    }
    assert_eq!(refusal(after(&st, WIDE, None)), Rule::Driver);
    let after = after(&st, WIDE, Some(both(ptr(x, k(0))))).unwrap();
    assert_eq!(after.regs()[Reg::Rax as usize], ptr(x, k(0)));
}

/// A template is either alternative.
#[test]
fn a_template_is_either_alternative() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    let n = any(&mut st);
    let take = |kept: Word, moved: Word, word: Word| {
        let mut st = st.clone();
        choose(&mut st, kept, moved);
        after(&st, WIDE, Some(both(word)))
    };
    take(number(7), number(7), number(7)).unwrap();
    wants(take(number(7), number(8), number(7)), &Evidence::NotProved(eq(k(1)).into()));
    wants(take(number(8), number(7), number(7)), &Evidence::NotProved(eq(k(1)).into()));
    refused(take(Word::Int(n.clone()), number(7), number(7)).map(drop), Rule::RowCmov);
    let here = |x: Var, at: i64| ptr(x, k(at));
    take(here(x, 8), here(x, 8), here(x, 8)).unwrap();
    refused(take(here(x, 8), here(x, 0), here(x, 8)).map(drop), Rule::RowCmov);
    wants(take(here(x, 8), here(x, 8), here(y, 8)), &Evidence::WrongWord(here(x, 8).into()));
    wants(take(here(x, 8), here(x, 8), number(8)), &Evidence::WrongWord(here(x, 8).into()));
    wants(take(number(8), number(8), here(x, 8)), &Evidence::WrongWord(number(8).into()));
}

/// A template has a value for each of its integers, and not too many of them.
#[test]
fn a_template_has_its_values() {
    let st = between(number(7), number(7));
    let take = |template: Template| after(&st, WIDE, Some(template));
    let most = u16::try_from(limits::LABEL_VARS).unwrap();
    take(fresh(most, usize::from(most))).unwrap();
    wants(take(fresh(most + 1, usize::from(most) + 1)), &Evidence::BadHint);
    let values = |moved: usize, kept: usize| Template {
        moved: vec![k(0); moved],
        kept: vec![k(0); kept],
        ..fresh(1, 1)
    };
    take(values(1, 1)).unwrap();
    wants(take(values(2, 1)), &Evidence::BadHint);
    wants(take(values(1, 2)), &Evidence::BadHint);
}

/// What a template says is of integers in scope and of its own.
#[test]
fn a_template_speaks_of_integers_in_scope() {
    let mut st = state();
    let x = address(&mut st);
    choose(&mut st, number(7), number(7));
    let own = Term::var(Var::Free(1));
    let take = |template: Template| after(&st, WIDE, Some(template));
    let value = |t: Term| Template { moved: vec![t], ..fresh(1, 1) };
    take(value(k(3))).unwrap();
    for stranger in [Term::var(x), Term::var(Var::Free(9)), own.clone()] {
        wants(take(value(stranger)), &Evidence::BadHint);
    }
    let facts = |facts: Vec<Fact>| Template { facts, ..fresh(1, 1) };
    take(facts(vec![ge(own.clone())])).unwrap();
    refused(take(facts(vec![ge(own.plus(-1).unwrap())])).map(drop), Rule::RowCmov);
    for stranger in [Term::var(x), Term::var(Var::Free(9))] {
        wants(take(facts(vec![ge(stranger)])), &Evidence::BadHint);
    }
    take(facts(vec![ge(k(0)); limits::PREMISES])).unwrap();
    wants(take(facts(vec![ge(k(0)); limits::PREMISES + 1])), &Evidence::BadHint);
}

/// What a template gives is a word that can be chosen: nothing of the frame, and half of nothing.
#[test]
fn a_template_is_a_word_that_is_chosen() {
    let mut st = state();
    let x = address(&mut st);
    choose(&mut st, number(7), number(7));
    let take = |text: &[u8], word: Word| after(&st, text, Some(both(word)));
    take(WIDE, Word::Junk).unwrap();
    take(NARROW, number(7)).unwrap();
    for word in [Word::Frame(0), Word::ReturnAddress, Word::Saved(Reg::Rbx)] {
        wants(take(WIDE, word), &Evidence::BadHint);
    }
    wants(take(NARROW, ptr(x, k(0))), &Evidence::BadHint);
    let wrong = Evidence::WrongWord(number(7).into());
    wants(take(WIDE, Word::Ptr(Base::Name(x), k(0))), &wrong);
}
