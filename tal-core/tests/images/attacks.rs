//! Not trusted: tests. Attacks on transfers with hostile answers; numbers as in docs/attacks.md.

use super::*;
use iced_x86::code_asm::*;
use tal_core::ty::{Block, Entry, Mem, Mode, NameSet, OriginId, Region};

const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };

fn pointer(i: u16) -> Word {
    Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO)
}

fn junk(i: u16, bytes: i64) -> Cap {
    let mem = Rc::new(Mem::Junk(Term::int(bytes)));
    Cap::Entry(Entry { guards: Vec::new(), name: Var::Free(i), offset: Term::ZERO, mem })
}

/// `f` jumps to `g`; theta is the answer to the one call.
fn tail(ours: Sig, theirs: Sig, theta: Vec<Inst>) -> Program {
    let (text, offsets) = asm(2, |a, l| {
        let [f, g] = l else { unreachable!() };
        a.set_label(f).unwrap();
        a.jmp(*g).unwrap();
        a.set_label(g).unwrap();
        a.jmp(*g).unwrap();
    });
    let mut program = Program::new(text, vec![(offsets[0], ours), (offsets[1], theirs.clone())]);
    let same = (0..).zip(&theirs.vars).map(|(i, kind)| match kind {
        Kind::Int(_) => Inst::Int(t(i)),
        Kind::Region => Inst::Region(Region::Var(Var::Free(i))),
        Kind::Store => {
            let store = |c: &Cap| *c == Cap::Store(Var::Free(i));
            let at = theirs.pre.caps.iter().position(store).unwrap();
            Inst::Store(vec![u16::try_from(at).unwrap()])
        }
        _ => Inst::Ptr(Base::Name(Var::Free(i)), Term::ZERO),
    });
    program.oracle.insts = VecDeque::from([theta, same.collect()]);
    program
}

/// `[x : addr](rdi = x; x ~> junk(bytes)) -> never`
fn owner(bytes: i64) -> Sig {
    let mut sig = never(0, &[(Reg::Rdi, pointer(0))]);
    sig.vars.push(ADDRESS);
    sig.pre.caps.push(junk(0, bytes));
    sig
}

fn at(i: u16, offset: i64) -> Inst {
    Inst::Ptr(Base::Name(Var::Free(i)), Term::int(offset))
}

#[test]
fn c26_a_location_lies_in_memory_that_is_there() {
    // g [x](rdi = x) -> never, given x + offset.
    let program = |offset: i64| {
        let mut theirs = never(0, &[(Reg::Rdi, pointer(0))]);
        theirs.vars.push(ADDRESS);
        let mut ours = owner(16);
        let there = Word::Ptr(Base::Name(Var::Free(0)), Term::int(offset));
        ours.pre.regs.set(Reg::Rdi, there);
        tail(ours, theirs, vec![at(0, offset)])
    };
    program(0).accepted();
    program(16).accepted();
    for far in [-1, 17, 1 << 50] {
        program(far).refused(Rule::Apply);
    }
}

#[test]
fn c24_a_claim_is_about_the_whole_block() {
    // g [x : block(0, 16)](rdi = x; x ~> junk(16)) -> never
    let claimed = |bytes: i64| {
        let block = Block { origin: OriginId(0), extent: Term::int(bytes) };
        let mut sig = owner(16);
        sig.vars[0] = Kind::Addr { set: NameSet::ADDRESS, block: Some(block) };
        sig
    };
    tail(claimed(16), claimed(16), vec![at(0, 0)]).accepted();
    tail(claimed(32), claimed(16), vec![at(0, 0)]).refused(Rule::Apply);
    tail(owner(16), claimed(16), vec![at(0, 0)]).refused(Rule::Apply);
}

#[test]
fn t74_t97_c5_an_entry_is_taken_once() {
    // g [x, y](rdi = x; x ~> junk(16), y ~> junk(16)) -> never
    let mut two = owner(16);
    two.vars.push(ADDRESS);
    two.pre.caps.push(junk(1, 16));
    tail(two.clone(), two.clone(), vec![at(0, 0), at(1, 0)]).accepted();
    tail(owner(16), two, vec![at(0, 0), at(0, 0)]).refused(Rule::JumpNever);
    // g [x, R](rdi = x; x ~> junk(16), R) -> never: R holds what x does not.
    let mut store = owner(16);
    store.vars.push(Kind::Store);
    store.pre.caps.push(Cap::Store(Var::Free(1)));
    let mut both = owner(16);
    both.vars.push(ADDRESS);
    both.pre.caps.push(junk(1, 8));
    let theta = |caps: Vec<u16>| vec![at(0, 0), Inst::Store(caps)];
    tail(both.clone(), store.clone(), theta(vec![1])).accepted();
    tail(both.clone(), store.clone(), theta(vec![])).accepted();
    for caps in [vec![0], vec![0, 1], vec![1, 1], vec![1, 0], vec![2]] {
        assert!(tail(both.clone(), store.clone(), theta(caps)).verify().is_err());
    }
}

#[test]
fn c9_a_token_is_in_no_set() {
    // f borrows x and passes R to g.
    let mut ours = owner(16);
    ours.vars.push(ADDRESS);
    ours.pre.caps.push(junk(1, 8));
    let mut store = never(0, &[]);
    store.vars.push(Kind::Store);
    store.pre.caps.push(Cap::Store(Var::Free(0)));
    let lend = |caps: Vec<u16>| {
        let program = tail(ours.clone(), store.clone(), vec![Inst::Store(caps)]);
        program.ghost(Site::At(0), Ghost::Borrow { entry: 0, mode: Mode::Rw })
    };
    // After the borrow: y's entry at 0, the token at 1.
    lend(vec![0]).accepted();
    lend(vec![1]).refused(Rule::Apply);
    lend(vec![0, 1]).refused(Rule::Apply);
}

#[test]
fn c10_c47_a_region_is_passed_on_while_it_lives() {
    // g [x, rho](rdi = x; view rho rd x ~> bytes) -> never
    let mut reader = never(0, &[(Reg::Rdi, pointer(0))]);
    reader.vars = vec![ADDRESS, Kind::Region];
    reader.pre.views.push(View {
        guards: Vec::new(),
        region: Region::Var(Var::Free(1)),
        mode: Mode::Rw,
        base: Base::Name(Var::Free(0)),
        offset: Term::ZERO,
        mem: Rc::new(Mem::Junk(Term::int(16))),
    });
    let theta = || vec![at(0, 0), Inst::Region(Region::Var(Var::Free(1)))];
    let lent = tail(owner(16), reader.clone(), theta())
        .ghost(Site::At(0), Ghost::Borrow { entry: 0, mode: Mode::Rw });
    // The token is lost for good, so nobody else ever writes: the view stays true.
    lent.accepted();
    let ended = lent.ghost(Site::At(0), Ghost::RegionEnd { token: 0 });
    ended.refused(Rule::Apply);
    // It is not for ever, either.
    let mut program = tail(owner(16), reader, vec![at(0, 0), Inst::Region(Region::Always)]);
    program = program.ghost(Site::At(0), Ghost::Borrow { entry: 0, mode: Mode::Rw });
    assert!(program.verify().is_err());
}

#[test]
fn c11_one_token_is_for_one_region() {
    // jmp to a label with regions a, b for one rho; with one token, or with two.
    let program = |regions: &[u16]| {
        let (text, offsets) = asm(1, |a, l| {
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.jmp(l[0]).unwrap();
        });
        let mut state = label(0, &[]);
        state.slots.clear();
        state.regs.fill(Word::Junk);
        state.vars = vec![Kind::Region, Kind::Region];
        let Cap::Entry(entry) = junk(0, 16) else { unreachable!() };
        for region in regions {
            state.caps.push(Cap::Token(Var::Free(*region), entry.clone()));
        }
        let mut program = Program::new(text, vec![(0, owner(16))]).label(offsets[0], state);
        program = program.ghost(Site::At(0), Ghost::Borrow { entry: 0, mode: Mode::Rw });
        let region = |i: u16| Inst::Region(Region::Var(Var::Free(i)));
        let first = vec![region(1), region(1)];
        program.oracle.insts = VecDeque::from([first, vec![region(1), region(2)]]);
        program
    };
    program(&[1]).accepted();
    program(&[2]).accepted();
    program(&[1, 2]).refused(Rule::Entail);
    program(&[]).refused(Rule::Entail);
}

#[test]
fn c35_a_never_is_entered_with_its_stack_touched() {
    let program = |push: bool| {
        let (text, _) = asm(0, |a, _| {
            a.sub(rsp, 4000).unwrap();
            if push {
                a.mov(qword_ptr(rsp), rdi).unwrap();
            }
            a.jmp(u64::from(TEXT)).unwrap();
        });
        Program::new(text, vec![(0, never(1, &[(Reg::Rdi, int(0))]))])
    };
    program(true).accepted();
    program(false).refused(Rule::JumpNever);
}

/// Attack s15.
#[test]
fn t140_what_is_not_reached_is_refused() {
    let program = |reached: bool| {
        let (text, offsets) = asm(1, |a, l| {
            if reached {
                a.jmp(l[0]).unwrap();
            } else {
                a.lea(rax, rdi + 1).unwrap();
                a.ret().unwrap();
            }
            a.set_label(&mut l[0]).unwrap();
            a.lea(rax, rdi + 1).unwrap();
            a.ret().unwrap();
        });
        let after = Word::Int(t(0).plus(1).unwrap());
        let sig = function(1, &[(Reg::Rdi, int(0))], 0, &[(Reg::Rax, after)]);
        let state = label(0, &[(Reg::Rdi, int(0))]);
        Program::new(text, vec![(0, sig)]).label(offsets[0], state)
    };
    program(true).accepted();
    let mut lost = program(false);
    let at = lost.labels.first().map(|label| label.offset);
    assert_eq!(lost.refused(Rule::Walk).site, at);
    // And without the label nobody judges it.
    lost.labels.clear();
    assert_eq!(lost.refused(Rule::Driver).site, at);
}

#[test]
fn t124_rsp_moves_in_words() {
    let program = |bytes: i32| {
        let (text, _) = asm(0, |a, _| {
            a.sub(rsp, bytes).unwrap();
            a.add(rsp, bytes).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(0, function(0, &[], 0, &[]))])
    };
    program(8).accepted();
    program(4).refused(Rule::StackMove);
}

#[test]
fn t134_what_the_processor_must_have_is_told() {
    use tal_core::table::Feature;
    let needs = |write: &dyn Fn(&mut CodeAssembler)| {
        let (text, _) = asm(0, |a, _| {
            write(a);
            a.ret().unwrap();
        });
        let sig = function(1, &[(Reg::Rdi, int(0))], 0, &[]);
        Program::new(text, vec![(0, sig)]).verify().unwrap()
    };
    assert_eq!(needs(&|a| a.mov(rax, rdi).unwrap()), 0);
    assert_eq!(needs(&|a| a.popcnt(rax, rdi).unwrap()), Feature::Popcnt.bit());
    assert_eq!(needs(&|a| a.tzcnt(rax, rdi).unwrap()), Feature::Bmi1.bit());
    assert_eq!(needs(&|a| a.lzcnt(rax, rdi).unwrap()), Feature::Lzcnt.bit());
}
