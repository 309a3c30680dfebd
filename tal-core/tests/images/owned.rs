//! Not trusted: tests. What is owned crosses labels, calls and returns exactly once.

use super::*;
use iced_x86::code_asm::*;
use tal_core::hint::Site;
use tal_core::ty::{Entry, Guard, Lent, Mem, Mode, NameSet};

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

/// Attack c50.
#[test]
fn a_return_leaves_what_it_promises_and_no_more() {
    returns(owner(vec![junk(0, 8)])).accepted();
    // Owned beyond the promise.
    assert_eq!(returns(owner(vec![])).refused(Rule::Return).kind, Evidence::Capability);
    let leaks = returns(owner(vec![])).ghost(Site::Return(0), Ghost::Leak { cap: 0 });
    leaks.accepted();
    // Promised beyond what is owned.
    returns(owner(vec![junk(0, 8), junk(0, 8)])).refused(Rule::Return);
    returns(owner(vec![junk(0, 16)])).refused(Rule::Return);
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
    // c1: freed twice.
    program(2).refused(Rule::Call);
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

/// Attack t91.
#[test]
fn a_label_has_exactly_what_is_owned() {
    through(|_| {}).accepted();
    // Dropped by the label.
    let dropped = through(|l| l.caps.clear());
    assert_eq!(dropped.refused(Rule::Entail).kind, Evidence::Capability);
    // One entry for two.
    through(|l| l.caps.push(junk(0, 8))).refused(Rule::Entail);
    through(|l| l.caps[0] = junk(0, 4)).refused(Rule::Entail);
}

/// `mov rsi,rdi; jmp` to a label with these names: which hold rdi and rsi, and which own 8 bytes.
fn two_names(owning: &[u16]) -> Program {
    let (text, offsets) = asm(1, |a, l| {
        a.mov(rsi, rdi).unwrap();
        a.jmp(l[0]).unwrap();
        a.set_label(&mut l[0]).unwrap();
        a.ret().unwrap();
    });
    let mut state = label(0, &[(Reg::Rdi, pointer(1)), (Reg::Rsi, pointer(2))]);
    state.vars = vec![ADDRESS, ADDRESS];
    state.caps = owning.iter().map(|i| junk(*i, 8)).collect();
    let leak = Site::Return(u32::try_from(text.len() - 1).unwrap());
    let program = Program::new(text, vec![(0, owner(vec![]))]).label(offsets[0], state);
    program.ghost(leak, Ghost::Leak { cap: 0 })
}

#[test]
fn c5_one_entry_is_for_one_name_of_a_label() {
    two_names(&[1]).accepted();
    two_names(&[2]).accepted();
    two_names(&[1, 2]).refused(Rule::Entail);
}

/// What a label may not leave out: here a token, there a part of the frame.
#[test]
fn c39_u5_a_label_forgets_no_debt() {
    let borrowed = |forget: bool| {
        let (text, offsets) = asm(1, |a, l| {
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        });
        let mut state = label(0, &[]);
        let after = if forget { vec![] } else { vec![junk(0, 8)] };
        let mut program = Program::new(text, vec![(0, owner(after))]);
        if !forget {
            let Cap::Entry(entry) = junk(0, 8) else { unreachable!() };
            state.vars = vec![Kind::Region];
            state.caps = vec![Cap::Token(Var::Free(1), entry)];
            let rho = Inst::Region(tal_core::ty::Region::Var(Var::Free(1)));
            program.oracle.insts = VecDeque::from([vec![rho]]);
            program = program.ghost(Site::At(offsets[0]), Ghost::RegionEnd { token: 0 });
        }
        let program = program.label(offsets[0], state);
        program.ghost(Site::At(0), Ghost::Borrow { entry: 0, mode: Mode::Rw })
    };
    borrowed(false).accepted();
    assert_eq!(borrowed(true).refused(Rule::Entail).kind, Evidence::Capability);
    // All of it, but for the entry; and nothing of it.
    let lent = |keep_lent: bool, keep_entry: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [jump, there] = l else { unreachable!() };
            a.sub(rsp, 16).unwrap();
            a.set_label(jump).unwrap();
            a.jmp(*there).unwrap();
            a.set_label(there).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
        });
        let mut state = label(0, &[]);
        state.delta = -16;
        let name = Var::Free(0);
        if keep_lent || keep_entry {
            state.vars = vec![ADDRESS];
        }
        if keep_lent {
            state.lent = vec![Lent { offset: -16, size: 16, name }];
        }
        if keep_entry {
            let half = |offset| tal_core::ty::Field {
                offset,
                writable: true,
                ty: tal_core::ty::FieldTy::Junk(8),
            };
            let mem = Rc::new(Mem::Struct { fields: vec![half(0), half(8)], size: 16 });
            let entry = Entry { guards: Vec::new(), name, offset: Term::ZERO, mem };
            state.caps = vec![Cap::Entry(entry)];
        }
        let mut program = Program::new(text, vec![(0, function(0, &[], 0, &[]))]);
        if keep_lent || keep_entry {
            program.oracle.insts = VecDeque::from([vec![Inst::Ptr(Base::Name(name), Term::ZERO)]]);
        }
        program = program.label(offsets[1], state);
        program = program.ghost(Site::At(offsets[0]), Ghost::Carve { offset: -16, size: 16 });
        program.ghost(Site::At(offsets[1]), Ghost::Uncarve { name, entry: 0 })
    };
    lent(true, true).accepted();
    lent(false, true).refused(Rule::Entail);
    lent(true, false).refused(Rule::Entail);
    lent(false, false).refused(Rule::Entail);
}

/// `[x](rdi = x; x ~> junk(8)) -> [m](rax = m; x ~> junk(8) if m = 0, so often)`; the function
/// returns `value` and, if it does not keep the entry, leaks it; `ghost` is run at the return.
fn outcome(value: i64, theta: i64, times: usize, ghosts: Vec<Ghost>) -> Program {
    let (text, _) = asm(0, |a, _| {
        a.mov(eax, i32::try_from(value).unwrap()).unwrap();
        a.ret().unwrap();
    });
    let mut sig = owner(vec![]);
    let post = sig.post.as_mut().unwrap();
    post.vars = vec![Kind::INT];
    post.state.regs.set(Reg::Rax, int(1));
    post.state.caps = vec![guarded(t(1)); times];
    let at = Site::Return(u32::try_from(text.len() - 1).unwrap());
    let mut program = Program::new(text, vec![(0, sig)]);
    program.oracle.insts = VecDeque::from([vec![Inst::Int(Term::int(theta))]]);
    for ghost in ghosts {
        program = program.ghost(at, ghost);
    }
    program
}

/// `x ~> junk(8)` if the term is zero.
fn guarded(term: Term) -> Cap {
    let Cap::Entry(entry) = junk(0, 8) else { unreachable!() };
    Cap::Entry(Entry { guards: vec![Guard::Range(term, 0, 0)], ..entry })
}

#[test]
fn c42_c50_an_outcome_is_told_by_what_is_returned() {
    let keep = |theta: i64| {
        let guard = Guard::Range(Term::int(theta), 0, 0);
        vec![Ghost::GuardAdd { of: tal_core::hint::Through::Entry(0), guard }]
    };
    let lose = |theta: i64| {
        let Cap::Entry(entry) = guarded(Term::int(theta)) else { unreachable!() };
        vec![Ghost::Leak { cap: 0 }, Ghost::GuardVoid { entry, guard: 0 }]
    };
    outcome(0, 0, 1, keep(0)).accepted();
    outcome(1, 1, 1, lose(1)).accepted();
    // The callee keeps nothing and says that there was nothing to give back.
    outcome(0, 1, 1, lose(1)).refused(Rule::Return);
    outcome(1, 0, 1, keep(0)).refused(Rule::Return);
    outcome(0, 0, 1, lose(0)).refused(Rule::GuardVoid);
    // Promised twice, it is there twice; what is not there may be promised as often as one likes.
    outcome(0, 0, 2, keep(0)).refused(Rule::Return);
    let mut nothing = lose(1);
    nothing.push(nothing[1].clone());
    outcome(1, 1, 2, nothing).accepted();
}

#[test]
fn u3_t96_words_are_copied_if_they_may_leave_the_frame() {
    // f jumps to g [v : word](rdi = v), with this in rdi and this as v.
    let program = |write: &dyn Fn(&mut CodeAssembler), v: Word| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            write(a);
            a.jmp(*g).unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
        });
        let mut takes = function(0, &[(Reg::Rdi, pointer(0))], 0, &[]);
        takes.vars.push(Kind::Word);
        let ours = function(1, &[(Reg::Rsi, int(0))], 0, &[]);
        let mut program = Program::new(text, vec![(offsets[0], ours), (offsets[1], takes)]);
        program.oracle.insts = VecDeque::from([vec![Inst::Word(v)]]);
        program
    };
    program(&|a| a.mov(rdi, rsi).unwrap(), int(0)).accepted();
    program(&|a| a.mov(edi, 7).unwrap(), Word::Int(Term::int(7))).accepted();
    // Frame addresses, the return address, saved registers, and what is not readable.
    program(&|a| a.mov(rdi, rsp).unwrap(), Word::Frame(0)).refused(Rule::Apply);
    program(&|a| a.mov(rdi, qword_ptr(rsp)).unwrap(), Word::ReturnAddress).refused(Rule::Apply);
    program(&|a| a.mov(rdi, rbx).unwrap(), Word::Saved(Reg::Rbx)).refused(Rule::Apply);
    program(&|a| a.mov(rdi, rcx).unwrap(), Word::Junk).refused(Rule::Apply);
    // And it is the word that is there.
    program(&|a| a.mov(rdi, rsi).unwrap(), Word::Int(Term::int(7))).refused(Rule::TailCall);
}

/// Attack t95.
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
    // U5.
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
    // c46, A20.
    program(false).refused(Rule::TailCall);
}

#[test]
fn names_of_a_signature_are_addresses_of_ours() {
    // c4: an integer is no address.
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
