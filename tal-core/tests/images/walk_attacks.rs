//! Not trusted: tests. Attacks on what waits: what is done for it is paid for, and what is known of
//! a name is written down once.

use super::scopes::within;
use super::*;
use iced_x86::code_asm::*;
use tal_core::hint::Step;
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::ty::{Bounds, Entry, Field, FieldTy, Guard, Mem, Mode, NameSet, Region};

fn record(fields: u32) -> Rc<Mem> {
    let field = |i: u32| Field {
        offset: 8 * i,
        ty: FieldTy::Int { bits: 64, signed: false, facts: [].into() },
        writable: true,
    };
    Rc::new(Mem::Struct { size: 8 * fields, fields: (0..fields).map(field).collect() })
}

/// `[x : addr, n : 0..=99](rdi = x, rcx = n; owns a record of this many fields at x) -> never`:
/// makes its type anew, by a store, and opens a scope or does not.
fn stored(fields: u32, opens: bool) -> Program {
    let (text, offsets) = asm(3, |a, l| {
        let [block, fall, last] = l else { unreachable!() };
        a.mov(qword_ptr(rdi), rcx).unwrap();
        a.cmp(rcx, 8).unwrap();
        if opens {
            a.jb(*block).unwrap();
        }
        a.set_label(fall).unwrap();
        a.jmp(*last).unwrap();
        a.set_label(block).unwrap();
        if opens {
            a.jmp(*last).unwrap();
        } else {
            a.nop().unwrap();
        }
        a.set_label(last).unwrap();
        a.jmp(*last).unwrap();
    });
    let pointer = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
    let mut sig = never(0, &[(Reg::Rdi, pointer), (Reg::Rcx, int(1))]);
    sig.vars = vec![Kind::Addr { set: NameSet::ADDRESS, block: None }, within(0, 99)];
    let (guards, name, offset) = (vec![], Var::Free(0), Term::ZERO);
    sig.pre.caps = vec![Cap::Entry(Entry { guards, name, offset, mem: record(fields) })];
    let mut program = Program::new(text, vec![(0, sig), (offsets[2], never(0, &[]))]);
    for at in if opens { &offsets[..2] } else { &offsets[1..2] } {
        program = program.ghost(Site::At(*at), Ghost::Leak { cap: 0 });
    }
    program
}

/// To see whether copies fit, a type that is not the one of the scope below is looked at.
#[test]
fn what_is_looked_at_is_paid_for() {
    let fuel = |fields: u32, opens: bool| {
        let program = stored(fields, opens);
        program.accepted();
        let (image, interface) = (program.image(), interface());
        let mut judge = Judge::new(&image, &interface, program.hints(), 1 << 12);
        let before = judge.fuel;
        judge.verify().unwrap();
        before - judge.fuel
    };
    let scope = |fields: u32| fuel(fields, true) - fuel(fields, false);
    let (few, many) = (1, limits::FIELDS as u32);
    let nodes = u64::from(many - few);
    let paid = scope(many) - scope(few);
    assert!(paid >= nodes / limits::SAVED_A_UNIT as u64, "{paid} for {nodes}");
}

/// `[x .. : addr or null](each in a register; two views of each, if it is one)`
fn nullable(regs: &[Reg]) -> Sig {
    let names = || (0..).map(Var::Free).zip(regs);
    let words = names().map(|(x, reg)| (*reg, Word::Ptr(Base::Name(x), Term::ZERO)));
    let mut sig = function(0, &words.collect::<Vec<_>>(), 0, &[]);
    for (x, _) in names() {
        sig.vars.push(Kind::Addr { set: NameSet::NULLABLE, block: None });
        sig.pre.views.extend([1, 8].map(|bytes| View {
            guards: vec![Guard::IsAddress(x)],
            region: Region::Always,
            mode: Mode::Ro,
            base: Base::Name(x),
            offset: Term::ZERO,
            mem: Rc::new(Mem::Bytes(Term::int(bytes))),
        }));
    }
    sig
}

/// Views are not rewritten, since ways that wait share them: what is decided of one is one more.
/// But one only, however many names are decided, and however often one is asked about.
#[test]
fn what_is_decided_of_a_view_is_one_more() {
    let mut names = [rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11];
    let regs = [Reg::Rax, Reg::Rcx, Reg::Rdx, Reg::Rsi, Reg::Rdi, Reg::R8, Reg::R9];
    let regs = [&regs[..], &[Reg::R10, Reg::R11]].concat();
    let sig = nullable(&regs);
    assert!(sig.pre.views.len() * names.len() / 2 > limits::VIEWS);
    let program = |asked: &[AsmRegister64], load: AsmRegister64| {
        let (text, _) = asm(asked.len(), |a, l| {
            for (name, null) in asked.iter().zip(l.iter()) {
                a.test(*name, *name).unwrap();
                a.jz(*null).unwrap();
            }
            a.mov(al, byte_ptr(load)).unwrap();
            a.ret().unwrap();
            for null in l {
                a.set_label(null).unwrap();
                a.ret().unwrap();
            }
        });
        Program::new(text, vec![(0, sig.clone())])
    };
    program(&names, rdi).accepted();
    program(&names[..4], rdi).refused(Rule::EaForm);
    names.fill(rdi);
    let often = names.repeat(limits::VIEWS / names.len() + 1);
    program(&often, rdi).accepted();
    program(&often, rsi).refused(Rule::EaForm);
}

/// Entry j of a table knows that the index is j; what waited does not.
/// Attack s7.
#[test]
fn a_table_tells_nothing_to_what_waits() {
    let program = |least: i128, block: fn(&mut CodeAssembler)| {
        let (text, offsets) = asm(3, |a, l| {
            let [other, zero, one] = l else { unreachable!() };
            a.cmp(rsi, 8).unwrap();
            a.jb(*other).unwrap();
            a.jmp(qword_ptr(rdi * 8 + TABLE)).unwrap();
            a.set_label(other).unwrap();
            block(a);
            a.ret().unwrap();
            for (label, value) in [(zero, 0), (one, 1)] {
                a.set_label(label).unwrap();
                a.endbr64().unwrap();
                a.mov(eax, value).unwrap();
                a.ret().unwrap();
            }
        });
        let words = [(Reg::Rdi, int(0)), (Reg::Rsi, int(1))];
        let mut sig = function(0, &words, 0, &[(Reg::Rax, int(0))]);
        sig.vars = vec![within(least, 1), Kind::Int(Bounds::of_bits(64, false))];
        let at = |value: i128| {
            let mut state = label(0, &[]);
            state.facts = vec![Fact { rel: Rel::Eq, term: t(0).plus(-value).unwrap() }];
            state
        };
        let words = offsets[1..].iter().flat_map(|o| u64::from(TEXT + o).to_le_bytes()).collect();
        let program = Program::new(text, vec![(0, sig)]);
        let mut program = program.label(offsets[1], at(0)).label(offsets[2], at(1));
        program.table = Some((FnId(0), words));
        program
    };
    program(0, |a| a.mov(rax, rdi).unwrap()).accepted();
    program(-1, |a| a.mov(rax, rdi).unwrap()).refused(Rule::JumpTable);
    program(0, |a| a.xor(eax, eax).unwrap()).refused(Rule::Return);
    program(0, |a| a.mov(eax, 1).unwrap()).refused(Rule::Return);
}

/// A function is given out as code that needs `m <= 9`, for the m of who gives it. That is known on
/// one way only.
#[test]
fn who_gives_out_code_knows_what_its_way_knows() {
    type Jump = fn(&mut CodeAssembler, CodeLabel);
    let program = |jump: Jump, there: bool| {
        let code = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
        let mut user = function(0, &[(Reg::Rsi, code)], 0, &[]);
        user.vars.push(Kind::Code(Rc::new(function(0, &[], 0, &[]))));
        let mut giver = function(0, &[(Reg::Rdi, int(0))], 0, &[]);
        giver.vars = vec![Kind::Int(Bounds::of_bits(64, false))];
        let mut given = function(0, &[], 0, &[]);
        given.vars = vec![within(0, 9)];
        let (text, offsets) = asm(3, |a, l| {
            let [other, g, f] = l else { unreachable!() };
            a.cmp(rdi, 9).unwrap();
            jump(a, *other);
            let gives = |a: &mut CodeAssembler, gives: bool| {
                if gives {
                    a.lea(rsi, qword_ptr(*f)).unwrap();
                    a.jmp(*g).unwrap();
                } else {
                    a.ret().unwrap();
                }
            };
            gives(a, !there);
            a.set_label(other).unwrap();
            gives(a, there);
            for function in [g, f] {
                a.set_label(function).unwrap();
                a.endbr64().unwrap();
                a.ret().unwrap();
            }
        });
        let starts = vec![(0, giver), (offsets[1], user), (offsets[2], given)];
        let mut program = Program::new(text, starts);
        // Where the other way is walked first, its `return` asks first.
        let answers = [vec![Inst::Code(Base::Code(FnId(2)))], vec![Inst::Int(t(0))]];
        program.oracle.insts = there.then(Vec::new).into_iter().chain(answers).collect();
        program
    };
    let (below, above): (Jump, Jump) = (|a, to| a.jbe(to).unwrap(), |a, to| a.ja(to).unwrap());
    program(below, true).accepted();
    program(above, false).accepted();
    program(above, true).refused(Rule::TailCall);
    program(below, false).refused(Rule::TailCall);
}

/// What was owned when a way was left is owned when it is taken up, once.
#[test]
fn each_way_owns_what_there_was() {
    let program = |fall: &[&Ghost], block: &[&Ghost]| {
        let (text, offsets) = asm(2, |a, l| {
            let [here, other] = l else { unreachable!() };
            a.cmp(rcx, 8).unwrap();
            a.jb(*other).unwrap();
            a.set_label(here).unwrap();
            a.ret().unwrap();
            a.set_label(other).unwrap();
            a.ret().unwrap();
        });
        let mut sig = function(0, &[(Reg::Rcx, int(1))], 0, &[]);
        let address = Kind::Addr { set: NameSet::ADDRESS, block: None };
        sig.vars = vec![address, Kind::Int(Bounds::of_bits(64, false))];
        let (guards, mem) = (vec![], Rc::new(Mem::Junk(Term::int(8))));
        let owned = Entry { guards, name: Var::Free(0), offset: Term::ZERO, mem };
        sig.pre.caps = vec![Cap::Entry(owned)];
        let mut program = Program::new(text, vec![(0, sig)]);
        for (at, ghosts) in offsets.iter().zip([fall, block]) {
            for ghost in ghosts {
                program = program.ghost(Site::At(*at), Ghost::clone(ghost));
            }
        }
        program
    };
    let (leak, borrow) = (Ghost::Leak { cap: 0 }, Ghost::Borrow { entry: 0, mode: Mode::Ro });
    let end = Ghost::RegionEnd { token: 0 };
    program(&[&leak], &[&leak]).accepted();
    program(&[&leak], &[]).refused(Rule::Return);
    program(&[], &[&leak]).refused(Rule::Return);
    program(&[&leak], &[&leak, &leak]).refused(Rule::EntryLeak);
    // A region that began on the other way did not begin here.
    program(&[&borrow, &leak], &[&borrow, &end, &leak]).accepted();
    program(&[&borrow, &leak], &[&end, &leak]).refused(Rule::RegionEnd);
}

/// To a label a condition leads with its own fact, and with what it says of a name.
#[test]
fn a_condition_leads_to_a_label_with_its_fact() {
    type Jump = fn(&mut CodeAssembler, CodeLabel);
    let program = |sig: Sig, state: LabelState, jump: Jump| {
        let (text, offsets) = asm(1, |a, l| {
            jump(a, l[0]);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(0, sig)]).label(offsets[0], state)
    };
    let number = |jump: Jump| {
        let mut sig = function(0, &[(Reg::Rcx, int(0))], 0, &[]);
        sig.vars = vec![Kind::Int(Bounds::of_bits(64, false))];
        let mut state = label(0, &[]);
        state.facts = vec![ge(Term::int(7).sub(&t(0)).unwrap())];
        program(sig, state, jump)
    };
    let below: Jump = |a, to| {
        a.cmp(rcx, 8).unwrap();
        a.jb(to).unwrap();
    };
    number(below).accepted();
    let above: Jump = |a, to| {
        a.cmp(rcx, 8).unwrap();
        a.jae(to).unwrap();
    };
    number(above).refused(Rule::Entail);
    let name = |jump: Jump| {
        let mut state = label(0, &[]);
        state.refinements = vec![(Var::Free(0), NameSet::ADDRESS)];
        program(nullable(&[Reg::Rdi]), state, jump)
    };
    let address: Jump = |a, to| {
        a.test(rdi, rdi).unwrap();
        a.jnz(to).unwrap();
    };
    name(address).accepted();
    let null: Jump = |a, to| {
        a.test(rdi, rdi).unwrap();
        a.jz(to).unwrap();
    };
    name(null).refused(Rule::Entail);
}

/// Steps are counted anew on each way.
#[test]
fn each_way_has_its_steps() {
    let program = |more: usize| {
        let sites = limits::STEPS / limits::GHOSTS;
        let (text, offsets) = asm(2, |a, l| {
            let [here, other] = l else { unreachable!() };
            a.cmp(rcx, 8).unwrap();
            a.jb(*other).unwrap();
            for label in [here, other] {
                a.set_label(label).unwrap();
                (0..sites).for_each(|_| a.nop().unwrap());
                a.ret().unwrap();
            }
        });
        let mut sig = function(0, &[(Reg::Rcx, int(0))], 0, &[]);
        sig.vars = vec![Kind::Int(Bounds::of_bits(64, false))];
        let mut program = Program::new(text, vec![(0, sig)]);
        let step = || Ghost::Step(Step::Comb { premises: vec![], slack: 0 });
        for start in &offsets {
            for at in (*start..).take(sites) {
                for _ in 0..limits::GHOSTS {
                    program = program.ghost(Site::At(at), step());
                }
            }
        }
        let last = offsets[1] + u32::try_from(sites).unwrap();
        (0..more).fold(program, |program, _| program.ghost(Site::At(last), step()))
    };
    program(0).accepted();
    program(1).refused(Rule::Limit);
}

/// Where no text is no function starts.
#[test]
fn functions_start_in_the_text() {
    let program = |second: u32| {
        let sig = || function(0, &[], 0, &[]);
        Program::new(vec![0xC3, 0xC3], vec![(0, sig()), (second, sig())])
    };
    program(1).accepted();
    program(2).refused(Rule::Driver);
    program(3).refused(Rule::Driver);
}

/// Where a name is null on the way to a label, its words become integers and what it owned is
/// gone: there. On the other way they are what they were.
#[test]
fn what_a_null_makes_of_a_state_is_put_back() {
    let program = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        let (text, offsets) = asm(2, |a, l| {
            let [other, last] = l else { unreachable!() };
            a.push(rdi).unwrap();
            a.xor(eax, eax).unwrap();
            a.test(rdi, rdi).unwrap();
            jump(a, *other);
            a.pop(rdi).unwrap();
            a.mov(byte_ptr(rdi), al).unwrap();
            a.jmp(*last).unwrap();
            a.set_label(other).unwrap();
            a.pop(rdi).unwrap();
            a.jmp(*last).unwrap();
            a.set_label(last).unwrap();
            a.jmp(*last).unwrap();
        });
        let pointer = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
        let mut sig = never(0, &[(Reg::Rdi, pointer)]);
        sig.vars = vec![Kind::Addr { set: NameSet::NULLABLE, block: None }];
        let guards = vec![Guard::IsAddress(Var::Free(0))];
        let (name, offset, mem) = (Var::Free(0), Term::ZERO, Rc::new(Mem::Bytes(Term::int(8))));
        sig.pre.caps = vec![Cap::Entry(Entry { guards, name, offset, mem })];
        let regs = [const { Word::Junk }; 16];
        let there = LabelState { delta: -8, touched: -8, regs, slots: vec![], ..label(0, &[]) };
        let leaks = offsets[0] - 2;
        let program = Program::new(text, vec![(0, sig), (offsets[1], never(0, &[]))]);
        program.label(offsets[0], there).ghost(Site::At(leaks), Ghost::Leak { cap: 0 })
    };
    program(|a, to| a.jz(to).unwrap()).accepted();
    program(|a, to| a.jnz(to).unwrap()).refused(Rule::Entail);
}
