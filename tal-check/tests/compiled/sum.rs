//! A program that is made by hand: the sum of an array.

use super::{ALL, LEAST, verified};
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use tal_check::asm::Branch;
use tal_check::compiled::{Function, LabelId, Op, Place, Program, To, annotate};
use tal_check::interface::host;
use tal_core::counted::Rc;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Bounds, Fact, Field, FieldTy, Kind, Mem, Mode, NameSet, Post, Reg, Region,
    Rel, Sig, View, Word, Words,
};
use tal_write::LabelState;

/// The address of the array, how many words it has, for how long it is lent; the result.
const ARRAY: Var = Var::Free(0);
const COUNT: Var = Var::Free(1);
const TIME: Var = Var::Free(2);
const RESULT: Var = Var::Free(3);
/// Of the label: the sum so far, and the index.
const SUM: Var = Var::Free(3);
pub(super) const INDEX: Var = Var::Free(4);

pub(super) fn fact(rel: Rel, term: Term) -> Fact {
    Fact { rel, term }
}

fn words(list: &[(Reg, Word)]) -> Words {
    let mut words = Words::default();
    list.iter().for_each(|(reg, word)| words.set(*reg, word.clone()));
    words
}

/// The largest number that a register holds.
pub(super) const MAX: i128 = u64::MAX as i128;

/// An integer within these bounds.
pub(super) fn within(low: Option<i128>, high: Option<i128>) -> Kind {
    Kind::Int(Bounds::new(low, high).unwrap())
}

fn int(v: Var) -> Word {
    Word::Int(Term::var(v))
}

/// `fn (rdi = a: &[n]u64, rsi = n) -> (rax)`
pub(super) fn sig() -> Sig {
    let ty = FieldTy::Int { bits: 64, signed: false, facts: Vec::new() };
    let element = Mem::Struct { fields: vec![Field { offset: 0, writable: true, ty }], size: 8 };
    let view = View {
        guards: Vec::new(),
        region: Region::Var(TIME),
        mode: Mode::Rd,
        base: Base::Name(ARRAY),
        offset: Term::ZERO,
        mem: Rc::new(Mem::Array(Term::var(COUNT), Rc::new(element))),
    };
    let array = Word::Ptr(Base::Name(ARRAY), Term::ZERO);
    let pre = Assertion {
        regs: words(&[(Reg::Rdi, array), (Reg::Rsi, int(COUNT))]),
        views: vec![view],
        ..Assertion::default()
    };
    let regs = words(&[(Reg::Rax, int(RESULT))]);
    let state = Assertion { regs, ..Assertion::default() };
    let vars = vec![Kind::Addr { set: NameSet::ADDRESS, block: None }, Kind::INT, Kind::Region];
    Sig { vars, pre, post: Some(Post { vars: vec![Kind::INT], state }) }
}

/// What holds where the loop is entered and where it turns: `0 <= index < 2^64`.
pub(super) fn state() -> LabelState {
    let mut regs = [const { Word::Junk }; 16];
    for reg in Reg::ALL.into_iter().filter(|reg| reg.callee_saved()) {
        regs[reg as usize] = Word::Saved(reg);
    }
    regs[Reg::Rsp as usize] = Word::Frame(0);
    regs[Reg::Rax as usize] = int(SUM);
    regs[Reg::Rcx as usize] = int(INDEX);
    regs[Reg::Rsi as usize] = int(COUNT);
    regs[Reg::Rdi as usize] = Word::Ptr(Base::Name(ARRAY), Term::ZERO);
    LabelState {
        vars: vec![Kind::INT, within(Some(0), Some(MAX))],
        refinements: Vec::new(),
        facts: Vec::new(),
        regs,
        delta: 0,
        touched: 0,
        slots: vec![(0, Word::ReturnAddress)],
        lent: Vec::new(),
        views: Vec::new(),
        caps: Vec::new(),
    }
}

/// `[rdi + rcx*8]`
pub(super) fn element() -> MemoryOperand {
    MemoryOperand::with_base_index_scale(Register::RDI, Register::RCX, 8)
}

fn with(code: Code, one: Register, other: Register) -> Op {
    Op::Plain(Instruction::with2(code, one, other).unwrap())
}

/// The number of the label where ways meet, and of its instruction.
pub(super) const TEST: LabelId = LabelId(0);
pub(super) const TEST_AT: usize = 5;

/// The function.
pub(super) fn function(name: &str) -> Function {
    use Register::{EAX, ECX, RAX, RCX, RSI};
    let code = vec![
        with(Code::Xor_rm32_r32, EAX, EAX),
        with(Code::Xor_rm32_r32, ECX, ECX),
        Op::Branch(Branch::Jump, To::Label(TEST)),
        // .next
        Op::Plain(Instruction::with2(Code::Add_r64_rm64, RAX, element()).unwrap()),
        Op::Plain(Instruction::with1(Code::Inc_rm64, RCX).unwrap()),
        // .test
        with(Code::Cmp_rm64_r64, RCX, RSI),
        // A branch as iced-x86 has it leads to the label of that number.
        Op::from(Instruction::with_branch(Code::Jb_rel32_64, 1).unwrap()),
        Op::Plain(Instruction::with(Code::Retnq)),
    ];
    let place = |at, state| Place { at, name: None, state };
    let labels = vec![place(TEST_AT, Some(Rc::new(state()))), place(3, None)];
    Function {
        name: name.to_owned(),
        public: true,
        sig: Rc::new(sig()),
        code,
        labels,
        ghosts: Vec::new(),
    }
}

/// These functions, as a library.
pub(super) fn library(functions: Vec<Function>) -> Program {
    let host = host().unwrap_or_else(|_| panic!("the interface"));
    Program { host, types: Vec::new(), functions, data: Vec::new(), start: None }
}

#[test]
fn a_loop_over_an_array_is_annotated() {
    for options in [ALL, LEAST] {
        let checked = annotate(&library(vec![function("sum")]), options).unwrap();
        assert_eq!(checked.lowered.text.len(), 19);
        verified(&checked);
    }
}

/// A jump that goes further than a byte says takes the long form, and offsets follow.
#[test]
fn a_long_loop_has_long_jumps() {
    let mut long = function("long");
    let nop = Op::Plain(Instruction::with(Code::Nopd));
    long.code.splice(3..3, vec![nop; 200]);
    for place in &mut long.labels {
        place.at += if place.at == 3 { 0 } else { 200 };
    }
    let checked = annotate(&library(vec![function("short"), long]), ALL).unwrap();
    assert_eq!(checked.lowered.functions[1].size, 19 + 200 + 3 + 4);
    verified(&checked);
}

/// The result is the same however many work on it.
#[test]
fn the_number_of_threads_changes_nothing() {
    let program = library((0..100).map(|i| function(&format!("f{i}"))).collect());
    let by = |count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        pool.install(|| annotate(&program, ALL).unwrap().section)
    };
    let one = by(1);
    assert!([2, 3, 8].into_iter().all(|count| by(count) == one));
}
