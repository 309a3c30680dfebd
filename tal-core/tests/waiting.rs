//! Not trusted. Ways that wait: what their copies take is within what judging may take, whatever
//! they are of, and what is done for them is paid for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::peak;
use iced_x86::BlockEncoderOptions;
use iced_x86::code_asm::*;
use support::{Prover, image_of, no_interface, plain_sig};
use tal_core::counted::Rc;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Forward, Inst};
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::state::{Mark, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Assertion, Bounds, Declared, Fact, FnId, Kind, Reg, Sig, Word};
use tal_write::{Flat, Label, LabelState};

/// What judging may take besides what reading does.
const BESIDES: usize = limits::MEMORY_BESIDES - limits::MEMORY_SLACK;

fn assembled(mut a: CodeAssembler) -> Vec<u8> {
    let options = BlockEncoderOptions::NONE;
    a.assemble_options(0x40_0000, options).unwrap().inner.code_buffer
}

/// Twelve small integers, the first in rcx, the sum of all in rax.
fn wide_sig() -> Sig {
    let mut sig = plain_sig();
    sig.vars = vec![Kind::Int(Bounds::new(Some(0), Some(100)).unwrap()); limits::MONOMIALS];
    let all = (0..limits::MONOMIALS as u16).map(|i| Term::var(Var::Free(i)));
    let sum = all.fold(Term::ZERO, |sum, v| sum.add(&v).unwrap());
    sig.pre.regs.set(Reg::Rax, Word::Int(sum));
    sig.pre.regs.set(Reg::Rcx, Word::Int(Term::var(Var::Free(0))));
    sig
}

fn one_function(text: &[u8], sig: Sig) -> Image<'_> {
    let functions = vec![Function { offset: 0, sig: 0 }];
    Image { sigs: vec![Rc::new(sig)], functions, ..image_of(text) }
}

/// Someone who answers for post-states and labels that declare no variables, and drops the facts of
/// tables.
#[derive(Default)]
struct Plain(Prover);

impl Forward for Plain {
    type Inner = Prover;

    fn inner(&mut self) -> &mut Prover {
        &mut self.0
    }

    fn post(&mut self, _: &State, _: u16, _: &[Kind], _: &Assertion) -> Result<Vec<Inst>, Error> {
        Ok(Vec::new())
    }

    fn label(&mut self, _: &State, _: u32, _: &Mark, _: Declared<'_>) -> Result<Vec<Inst>, Error> {
        Ok(Vec::new())
    }

    fn want(&mut self, _: &State, _: &[Fact]) -> Result<bool, Error> {
        Ok(false)
    }
}

/// The verdict, the bytes that judging took at a time, and the fuel it burned.
fn judged(image: &Image<'_>, labels: Vec<Label>) -> (Result<(), Error>, usize, u64) {
    let interface = no_interface();
    let bytes = image.text.len() as u64;
    let mut judge = Judge::new(image, &interface, Flat { inner: Plain::default(), labels }, bytes);
    let before = judge.fuel;
    let (verdict, bytes) = peak(|| judge.verify());
    (verdict, bytes, before - judge.fuel)
}

/// Between any two conditions the whole frame is filled with words that no other frame has, each of
/// as many variables as there may be.
/// Attack W2.
#[test]
fn the_frames_of_ways_that_wait() {
    let program = |ways: usize, slots: i32| {
        let mut a = CodeAssembler::new(64).unwrap();
        let mut blocks: Vec<CodeLabel> = (0..ways).map(|_| a.create_label()).collect();
        // As many variables as there may be.
        a.cmp(rcx, 1).unwrap();
        for _ in 0..limits::SCOPE_VARS - limits::MONOMIALS {
            a.sete(dl).unwrap();
        }
        for block in &blocks {
            for _ in 0..slots {
                a.lea(rax, rax + 1).unwrap();
                a.push(rax).unwrap();
            }
            a.cmp(rcx, 1).unwrap();
            a.je(*block).unwrap();
            a.add(rsp, 8 * slots).unwrap();
        }
        a.ret().unwrap();
        for block in &mut blocks {
            a.set_label(block).unwrap();
            a.add(rsp, 8 * slots).unwrap();
            a.ret().unwrap();
        }
        assembled(a)
    };
    let judged = |ways: usize, slots: i32| {
        let text = program(ways, slots);
        let (verdict, bytes, fuel) = judged(&one_function(&text, wide_sig()), vec![]);
        println!("{ways} ways of {slots} slots: {bytes} bytes, {fuel} units; {verdict:?}");
        assert!(bytes <= BESIDES / 2, "{bytes}");
        verdict
    };
    assert_eq!(judged(6, 511), Ok(()));
    let refused = judged(60, 511).unwrap_err();
    assert_eq!((refused.rule, refused.kind), (Rule::Limit, Evidence::Limit));
}

/// A table is data, which pays for no memory.
#[test]
fn a_jump_table_of_any_length() {
    let mut a = CodeAssembler::new(64).unwrap();
    a.jmp(qword_ptr(rcx * 8 + 0x50_0000)).unwrap();
    a.endbr64().unwrap();
    a.ret().unwrap();
    let text = assembled(a);
    let at = text.len() as u32 - 5;
    let words = (0x40_0000 + u64::from(at)).to_le_bytes().repeat(1 << 19);
    let mut image = one_function(&text, wide_sig());
    let table = Data {
        address: 0x50_0000,
        size: words.len() as u32,
        kind: DataKind::Table { function: FnId(0) },
        contents: Contents::Bytes(&words),
        writable: false,
    };
    image.data.push(table);
    let entry = wide_sig();
    let mut regs = [const { Word::Junk }; 16];
    for reg in Reg::ALL.into_iter().filter(|reg| reg.callee_saved()) {
        regs[reg as usize] = Word::Saved(reg);
    }
    let state = LabelState {
        vars: vec![],
        refinements: vec![],
        facts: entry.pre.facts,
        regs,
        delta: 0,
        touched: 0,
        slots: vec![(0, Word::ReturnAddress)],
        lent: vec![],
        views: vec![],
        caps: vec![],
    };
    image.labels.push(at);
    let labels = vec![Label { offset: at, state: state.into() }];
    let (verdict, bytes, _) = judged(&image, labels);
    assert_eq!(verdict, Ok(()));
    assert!(bytes < 1 << 16, "{bytes}");
}

/// An argument far above the entry rsp makes room for all slots below it, in each function that has
/// the signature, however short it is.
/// Attack t156.
#[test]
fn a_far_argument_is_paid_for_in_each_function() {
    let paid = |at: u16| {
        let mut sig = wide_sig();
        sig.pre.args = vec![(at, Word::Int(Term::ZERO))];
        let (verdict, _, fuel) = judged(&one_function(&[0xC3], sig), vec![]);
        verdict.unwrap();
        fuel
    };
    let (near, far) = (paid(8), paid(65528));
    assert!(far >= near + 65528 / 8 - 2, "{near} and {far}");
}
