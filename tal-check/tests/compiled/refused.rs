//! What is wrong is refused with its function, its place and the rule, and without a panic.

use super::ALL;
use super::sum::{INDEX, MAX, TEST, TEST_AT, element, fact, function, library, sig, within};
use iced_x86::{Code, Instruction, Register};
use tal_check::asm::Branch;
use tal_check::compiled::{
    Contents, Data, Function, Ghost, LabelId, Op, Program, Refused, Section, Spot, Symbol, To, Why,
    annotate,
};
use tal_check::lowered::GhostOp;
use tal_core::counted::Rc;
use tal_core::error::Rule;
use tal_core::term::{Term, Var};
use tal_core::ty::{DataId, FnId, Kind, Lent, Mode, Reg, Rel, Word};
use tal_write::LabelState;

fn refused(program: &Program) -> Refused {
    *annotate(program, ALL).map(|checked| checked.labels).unwrap_err()
}

/// Refused by the judge at this instruction of the second of two functions.
fn at(function: Function, instruction: usize, rule: Rule) -> Refused {
    let program = library(vec![super::sum::function("fine"), function]);
    let refused = refused(&program);
    let said = refused.to_string();
    assert_eq!(refused.function, Some((FnId(1), "wrong".to_owned())), "{said}");
    assert_eq!(refused.instruction, Some(instruction), "{said}");
    assert_eq!(refused.rule(), Some(rule), "{said}");
    let offset = refused.offset.unwrap_or_else(|| panic!("{said}"));
    let start = format!(
        "function `wrong`, instruction {instruction} at text offset {offset:#x}: rule[{}]: ",
        rule.name()
    );
    assert!(said.starts_with(&start) && said.len() > start.len(), "{said}");
    refused
}

/// Refused before anything is judged.
fn malformed(program: &Program, words: &str) {
    let refused = refused(program);
    let said = refused.to_string();
    assert!(said.contains(words), "{said}");
    assert!(matches!(refused.why, Why::Malformed(_) | Why::Data(..) | Why::Encoding(_)), "{said}");
}

fn wrong(change: impl FnOnce(&mut LabelState)) -> Function {
    let mut function = function("wrong");
    change(Rc::make_mut(function.labels[0].state.as_mut().unwrap()));
    function
}

#[test]
fn a_state_that_does_not_hold_on_one_way() {
    // On the first way the index is 0.
    let at_least_one = wrong(|s| s.vars[1] = within(Some(1), Some(MAX)));
    let refused = at(at_least_one, 2, Rule::Entail);
    assert!(refused.to_string().contains("not proved"), "{refused}");
    // At the end of a turn it is more.
    let zero = wrong(|s| s.vars[1] = within(Some(0), Some(0)));
    at(zero, 5, Rule::Entail);
}

#[test]
fn a_state_too_weak_for_an_access() {
    let weak = wrong(|s| s.vars[1] = Kind::INT);
    let refused = at(weak, 3, Rule::Shape);
    assert!(refused.to_string().contains("not proved: 0 <= rcx"), "{refused}");
    let junk = wrong(|s| s.regs[Reg::Rcx as usize] = Word::Junk);
    at(junk, 6, Rule::FlagsRead);
}

#[test]
fn a_state_that_claims_too_much() {
    let other = wrong(|s| s.regs[Reg::Rdx as usize] = Word::Int(Term::int(0)));
    at(other, 2, Rule::Entail);
    let saved = wrong(|s| s.regs[Reg::Rax as usize] = Word::Saved(Reg::Rbx));
    at(saved, 2, Rule::Entail);
    let depth = wrong(|s| s.delta = -8);
    at(depth, 2, Rule::Entail);
}

#[test]
fn no_state_where_ways_meet() {
    let mut missing = function("wrong");
    missing.labels[0].state = None;
    let refused = at(missing, TEST_AT, Rule::Claim);
    assert!(refused.to_string().contains("needs a state"), "{refused}");
}

#[test]
fn another_signature() {
    let mut sig = sig();
    sig.pre.views.clear();
    let without = Function { sig: Rc::new(sig.clone()), ..function("wrong") };
    at(without, 3, Rule::AccessEntry);
    // It speaks of a variable that it does not declare.
    sig.vars.truncate(1);
    let ill = Function { sig: Rc::new(sig), ..function("wrong") };
    let refused = refused(&library(vec![ill]));
    assert!(refused.rule().is_some(), "{refused}");
    // A caller that does not have what its callee wants.
    let mut calls = function("wrong");
    let call = Op::Branch(Branch::Call, To::Function(FnId(0)));
    calls.code.splice(0..0, [call, call]);
    calls.labels.iter_mut().for_each(|place| place.at += 2);
    at(calls, 1, Rule::Apply);
}

#[test]
fn no_way_to_a_label_and_no_end() {
    let mut lost = function("wrong");
    lost.code.truncate(2);
    lost.labels.clear();
    let refused = self::refused(&library(vec![lost]));
    assert_eq!(refused.rule(), Some(Rule::Fall), "{refused}");
    let mut dead = function("wrong");
    dead.code[2] = Op::Plain(Instruction::with(Code::Retnq));
    at(dead, TEST_AT, Rule::Walk);
}

#[test]
fn numbers_of_nothing() {
    let malformed_function = |change: &dyn Fn(&mut Function), words: &str| {
        let mut function = function("wrong");
        change(&mut function);
        malformed(&library(vec![function]), words);
    };
    malformed_function(&|f| f.labels[0].at = 8, "instruction 8: a label stands before no");
    malformed_function(&|f| f.labels[1].at = usize::MAX, "a label stands before no");
    malformed_function(&|f| f.labels.clear(), "instruction 2: there is no such label");
    malformed_function(&|f| f.code.clear(), "no instruction");
    let twice = |f: &mut Function| {
        let again = f.labels[0].clone();
        f.labels.push(again);
    };
    malformed_function(&twice, "two states");
    let no_function = Op::Branch(Branch::Call, To::Function(FnId(7)));
    malformed_function(&|f| f.code[0] = no_function, "instruction 0: there is no such function");
    let no_import = Op::Branch(Branch::Call, To::Import(u16::MAX));
    malformed_function(&|f| f.code[0] = no_import, "no such import");
    let load = Instruction::with2(Code::Mov_r64_rm64, Register::RAX, element()).unwrap();
    let no_data = Op::Symbol(load, Symbol::Data(DataId(3)));
    malformed_function(&|f| f.code[0] = no_data, "no such data object");
    let nowhere = Op::Symbol(Instruction::with(Code::Nopd), Symbol::Function(FnId(0)));
    malformed_function(&|f| f.code[0] = nowhere, "no operand");
    let system = Op::Plain(Instruction::with(Code::Syscall));
    malformed_function(&|f| f.code[1] = system, "instruction 1: rule[decode]");
    let lost = Ghost { at: Spot::Into(99), op: GhostOp::Show, vars: Vec::new() };
    malformed_function(&|f| f.ghosts.push(lost.clone()), "a ghost stands before no");
    let mut program = library(vec![function("wrong")]);
    program.start = Some(FnId(1));
    malformed(&program, "the start");
}

#[test]
fn data_of_nothing() {
    let data = |section, contents| Data { name: "d".into(), public: false, section, contents };
    let mem = sig().pre.views[0].mem.clone();
    let memory = |bytes: Option<Vec<u8>>, addresses| Contents::Memory {
        mem: mem.clone(),
        mode: Mode::Ro,
        size: 8,
        bytes,
        addresses,
    };
    let with = |data: Vec<Data>| Program { data, ..library(vec![function("wrong")]) };
    let short = data(Section::Rodata, memory(Some(vec![0; 7]), Vec::new()));
    malformed(&with(vec![short]), "as many");
    let behind = data(Section::Rodata, memory(Some(vec![0; 8]), vec![(1, DataId(0), 0)]));
    malformed(&with(vec![behind]), "has no place");
    let table = |function, targets| Contents::Table { function, targets };
    let no_function = data(Section::Rodata, table(FnId(9), Vec::new()));
    malformed(&with(vec![no_function]), "no such function");
    let no_label = data(Section::Rodata, table(FnId(0), vec![TEST, LabelId(9)]));
    malformed(&with(vec![no_label]), "not one of its function");
    let zeroes = data(Section::Bss, memory(None, Vec::new()));
    let constant = data(Section::Rodata, memory(None, Vec::new()));
    malformed(&with(vec![zeroes, constant]), "order of its sections");
    // Open memory is no object: that the judge says.
    let open = data(Section::Rodata, memory(Some(vec![0; 8]), Vec::new()));
    let refused = refused(&with(vec![open]));
    assert!(refused.rule().is_some() && refused.function.is_none(), "{refused}");
}

/// What is done to a state.
type Change = Box<dyn Fn(&mut LabelState)>;

/// States of any form: each is refused or, where it says less than is so, accepted.
#[test]
fn states_that_mean_nothing() {
    let far = Var::Free(u16::MAX);
    let odd: Vec<Change> = vec![
        Box::new(|s| s.delta = i64::MIN),
        Box::new(|s| s.delta = i64::MAX - 7),
        Box::new(|s| s.delta = 8),
        Box::new(|s| s.touched = i64::MIN),
        Box::new(|s| s.touched = i64::MAX),
        Box::new(|s| s.slots = vec![(i64::MAX - 7, Word::Junk)]),
        Box::new(|s| s.slots = vec![(8, Word::Junk), (0, Word::Junk)]),
        Box::new(|s| s.slots.push((800, Word::Int(Term::int(1))))),
        Box::new(|s| s.slots.clear()),
        Box::new(move |s| s.regs[0] = Word::Int(Term::var(far))),
        Box::new(|s| s.regs[1] = Word::Int(Term::var(Var::Inner(3)))),
        Box::new(|s| s.regs[4] = Word::Junk),
        Box::new(|s| s.regs[5] = Word::Frame(i64::MIN)),
        Box::new(move |s| s.facts = vec![fact(Rel::Ge, Term::var(far))]),
        Box::new(|s| s.facts = vec![fact(Rel::Eq, Term::product_of()); 300]),
        Box::new(|s| s.facts = vec![fact(Rel::Ne, Term::int(0))]),
        Box::new(|s| s.vars = vec![Kind::INT; 40_000]),
        Box::new(|s| s.vars.clear()),
        Box::new(|s| s.vars[0] = within(Some(5), Some(3))),
        Box::new(|s| s.vars[1] = Kind::Store),
        Box::new(|s| s.vars[1] = Kind::Region),
        Box::new(move |s| s.lent = vec![Lent { offset: -8, size: i64::MAX, name: far }]),
        Box::new(move |s| s.lent = vec![Lent { offset: -16, size: 8, name: far }]),
        Box::new(|s| s.views = vec![sig().pre.views[0].clone(); 200]),
    ];
    for change in &odd {
        let function = wrong(change);
        let slots = function.labels[0].state.clone();
        if let Err(refused) = annotate(&library(vec![function]), ALL) {
            assert!(refused.to_string().starts_with("function `wrong`"), "{refused}: {slots:?}");
        }
    }
}

/// A product of two variables.
trait Product {
    fn product_of() -> Term;
}

impl Product for Term {
    fn product_of() -> Term {
        Term::var(INDEX).mul(&Term::var(INDEX)).unwrap()
    }
}

/// Ghosts that cannot be are left out: the program is right without.
#[test]
fn ghosts_that_mean_nothing() {
    use tal_core::hint::{Ghost as Judges, Place, Step, Through};
    let ops = [
        GhostOp::Judge(Judges::ViewPart {
            view: 9,
            from: Term::var(Var::Free(9999)),
            count: Term::int(1),
        }),
        GhostOp::Judge(Judges::Split { entry: u16::MAX, at: Term::int(-1) }),
        GhostOp::Judge(Judges::SizeFacts { of: Through::View(7) }),
        GhostOp::Judge(Judges::Step(Step::Cut { fact: u16::MAX, divisor: 0 })),
        GhostOp::Judge(Judges::Renorm { place: Place::Slot(i64::MAX), signed: true }),
        GhostOp::Have(vec![fact(Rel::Ge, Term::var(Var::Free(60_000)))]),
        GhostOp::Have(vec![fact(Rel::Ge, Term::int(-1))]),
    ];
    for op in ops {
        for at in [Spot::Before(0), Spot::Before(6), Spot::Into(5), Spot::Into(3)] {
            let mut function = function("wrong");
            function.ghosts.push(Ghost { at, op: op.clone(), vars: Vec::new() });
            assert!(annotate(&library(vec![function]), ALL).is_ok(), "{op:?} {at:?}");
        }
    }
}
