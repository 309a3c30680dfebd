//! Not trusted: tests. What is owned crosses labels, calls and returns exactly once.

use super::*;
use crate::hint::Site;
use crate::ty::{Entry, Lent, Mem, Mode, NameSet};
use iced_x86::code_asm::*;

fn pointer(i: u16) -> Word {
    Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO)
}

fn junk(i: u16, bytes: i64) -> Cap {
    Cap::Entry(Entry {
        guards: Vec::new(),
        name: Var::Free(i),
        offset: Term::ZERO,
        mem: Rc::new(Mem::Junk(Term::int(bytes))),
    })
}

const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };

/// `[x : addr](rdi = x; x ~> junk(8)) -> (after)`
fn owner(after: Vec<Cap>) -> Sig {
    let mut sig = function(0, &[(Reg::Rdi, pointer(0))], 0, &[]);
    sig.vars.push(ADDRESS);
    sig.pre.caps.push(junk(0, 8));
    sig.post.as_mut().unwrap().state.caps = after;
    sig
}

fn returns(sig: Sig) -> Program {
    let (text, _) = asm(0, |a, _| a.ret().unwrap());
    Program::new(text, vec![(0, sig)])
}

#[test]
fn a_return_leaves_what_it_promises_and_no_more() {
    returns(owner(vec![junk(0, 8)])).accepted();
    // Owned beyond the promise.
    assert_eq!(returns(owner(vec![])).refused(Rule::Return).kind, Evidence::Capability);
    let leaks = returns(owner(vec![])).ghost(Site::Return(0), Ghost::Leak { cap: 0 });
    leaks.accepted();
    // Promised beyond what is owned.
    assert!(returns(owner(vec![junk(0, 8), junk(0, 8)])).verify().is_err());
    assert!(returns(owner(vec![junk(0, 16)])).verify().is_err());
}

#[test]
fn a_call_takes_what_it_is_given() {
    // f calls g once or twice; g consumes the entry.
    let program = |calls: usize| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.push(rbx).unwrap();
            a.mov(rbx, rdi).unwrap();
            for _ in 0..calls {
                a.mov(rdi, rbx).unwrap();
                a.call(*g).unwrap();
            }
            a.pop(rbx).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
        });
        let functions = vec![(offsets[0], owner(vec![])), (offsets[1], owner(vec![]))];
        let at = Site::Return(u32::try_from(text.len() - 1).unwrap());
        Program::new(text, functions).ghost(at, Ghost::Leak { cap: 0 })
    };
    program(1).accepted();
    // Redteam 9.1: freed twice.
    program(2).refused(Rule::Apply);
}

/// `jmp` to a label of this state, then `ret`.
fn through(change: impl FnOnce(&mut LabelState)) -> Program {
    let (text, offsets) = asm(1, |a, l| {
        a.jmp(l[0]).unwrap();
        a.set_label(&mut l[0]).unwrap();
        a.ret().unwrap();
    });
    let mut state = label(0, &[]);
    state.caps = vec![junk(0, 8)];
    change(&mut state);
    Program::new(text, vec![(0, owner(vec![junk(0, 8)]))]).label(offsets[0], state)
}

#[test]
fn a_label_has_exactly_what_is_owned() {
    through(|_| {}).accepted();
    // Dropped by the label.
    let dropped = through(|l| l.caps.clear());
    assert_eq!(dropped.refused(Rule::Entail).kind, Evidence::Capability);
    // One entry for two.
    assert!(through(|l| l.caps.push(junk(0, 8))).verify().is_err());
    assert!(through(|l| l.caps[0] = junk(0, 4)).verify().is_err());
    // Two names of the label for one name of ours, both with an entry.
    let twice = through(|l| {
        l.vars = vec![ADDRESS, ADDRESS];
        l.regs[Reg::Rdi as usize] = pointer(1);
        l.regs[Reg::Rsi as usize] = pointer(2);
        l.caps = vec![junk(1, 8), junk(2, 8)];
    });
    assert!(twice.verify().is_err());
    // A part of the frame that was never lent.
    let lent = through(|l| {
        l.vars = vec![ADDRESS];
        l.regs[Reg::Rdi as usize] = pointer(1);
        l.lent = vec![Lent { offset: -16, size: 16, name: Var::Free(1) }];
    });
    assert!(lent.verify().is_err());
}

#[test]
fn lent_frames_are_not_left() {
    // sub rsp,16; carve; add rsp,16; ret. With uncarve in between it is fine.
    let program = |give_back: bool| {
        let (text, offsets) = asm(1, |a, l| {
            a.sub(rsp, 16).unwrap();
            a.nop().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
        });
        let after = Site::At(offsets[0]);
        let mut program = Program::new(text, vec![(0, function(0, &[], 0, &[]))]);
        program = program.ghost(Site::At(offsets[0] - 1), Ghost::Carve { offset: -16, size: 16 });
        if give_back {
            program = program.ghost(after, Ghost::Uncarve { name: Var::Free(0), entry: 0 });
        }
        program
    };
    program(true).accepted();
    // Redteam U5.
    program(false).refused(Rule::StackMove);
}

#[test]
fn a_token_does_not_cross_a_tail_call() {
    // f borrows x and jumps to g, which takes nothing; the token is left over.
    let program = |end: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.jmp(*g).unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
        });
        let takes = function(0, &[], 0, &[]);
        let at = Site::At(offsets[0]);
        let functions = vec![(offsets[0], owner(vec![junk(0, 8)])), (offsets[1], takes)];
        let mut program = Program::new(text, functions);
        program = program.ghost(at, Ghost::Borrow { entry: 0, mode: Mode::Ro });
        if end {
            program = program.ghost(at, Ghost::RegionEnd { token: 0 });
        }
        program
    };
    program(true).accepted();
    assert!(program(false).verify().is_err());
}

#[test]
fn names_of_a_signature_are_addresses_of_ours() {
    // Attack 4 of core.md 9: an integer is no address.
    let (text, offsets) = asm(2, |a, l| {
        let [f, g] = l else { unreachable!() };
        a.set_label(f).unwrap();
        a.mov(edi, 0x10_0000).unwrap();
        a.jmp(*g).unwrap();
        a.set_label(g).unwrap();
        a.ret().unwrap();
    });
    let mut takes = owner(vec![]);
    takes.pre.caps.clear();
    let functions = vec![(offsets[0], function(0, &[], 0, &[])), (offsets[1], takes)];
    for inst in [
        Inst::Small(Term::int(0x10_0000)),
        Inst::Int(Term::int(0x10_0000)),
        Inst::Ptr(Base::Name(Var::Free(0)), Term::ZERO),
        Inst::Ptr(Base::Code(FnId(0)), Term::ZERO),
        Inst::Ptr(Base::Data(DataId(0)), Term::ZERO),
    ] {
        let mut program = Program::new(text.clone(), functions.clone());
        program.oracle.insts = VecDeque::from([vec![inst]]);
        program.refused(Rule::Apply);
    }
}
