//! Not trusted: tests. Attacks on labels that hang on scopes, each with its accepted twin: what
//! waits meanwhile, what is lent, borrowed, decided or learned on one way only, and what a record
//! may say of words.

use super::scopes::{Declares, Tried, digit, load, owner, same, within};
use super::walk::reader;
use super::*;
use iced_x86::code_asm::*;
use tal_core::hint::Through;
use tal_core::ty::{Entry, Field, FieldTy, Guard, Lent, Mem, Mode, NameSet, Region};

const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };

fn pointer(i: u16) -> Word {
    Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO)
}

fn bytes(region: Region, guards: Vec<Guard>) -> View {
    View { region, ..walk::bytes(Mem::Bytes(Term::int(8)), guards) }
}

/// The same with another signature.
fn of(sig: Sig, mut tried: Tried) -> Tried {
    tried.program.sigs = vec![Rc::new(sig)];
    tried
}

/// H1, s1: a block waits while a label that hangs further down is found. The first own variable of
/// the label has the number of what the block has in rax.
#[test]
fn what_waits_is_walked_before_labels_further_down() {
    let program = |mask: bool| {
        Tried::new(2, &[(1, digit as Declares)], move |a, l| {
            let [to, block] = l else { unreachable!() };
            a.mov(eax, ecx).unwrap();
            if mask {
                a.and(eax, 7).unwrap();
            }
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.mov(eax, 7).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            load(a);
            a.set_label(to).unwrap();
            load(a);
        })
    };
    // On the root, which is open under the scope of the condition.
    let on_root = |mask: bool| {
        let mut tried = program(mask);
        tried.hints.labels.values_mut().for_each(|(parent, _)| *parent = 2);
        tried
    };
    on_root(true).accepted();
    on_root(false).refused(Rule::Shape);
}

/// H3, s3: a view that only one way has is there at a label only if each way has to bring it.
#[test]
fn a_view_of_one_way_is_not_there_at_a_label() {
    let program = |declares: Declares, both: bool| {
        let tried = Tried::new(4, &[(1, declares)], move |a, l| {
            let [to, ghosts, other, out] = l else { unreachable!() };
            a.cmp(rcx, 7).unwrap();
            a.ja(*other).unwrap();
            a.set_label(ghosts).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(other).unwrap();
            if both {
                a.jmp(*to).unwrap()
            } else {
                a.jmp(*out).unwrap()
            };
            a.set_label(to).unwrap();
            a.mov(al, byte_ptr(rdi)).unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        });
        let mut sig = reader();
        sig.pre.views = vec![bytes(Region::Always, vec![Guard::Range(t(1), 0, 7)])];
        // Behind it the view without its guard.
        let tell = Ghost::GuardTrue { of: Through::View(0), guard: 0 };
        let mut tried = of(sig, tried.ghosts(1, &[tell]));
        tried.hints.oracle.through = Some(Through::View(1));
        tried
    };
    let viewed: Declares =
        |_| Record { views: vec![bytes(Region::Always, vec![])], ..Record::default() };
    let mut one_way = program(viewed, false);
    // Where the block jumps to, its own label.
    let out = one_way.offsets[3];
    one_way.program.labels.push(Label { offset: out, state: label(0, &[]).into() });
    one_way.hints.labels.insert(out, (1, same));
    one_way.hints.labels.values_mut().for_each(|(parent, _)| *parent = 2);
    let declared = one_way.hints.labels.get_mut(&out).unwrap();
    declared.1 = |_| Record { regs: vec![(Reg::Rax, Word::Junk)], ..Record::default() };
    one_way.accepted();
    let on_root = |mut tried: Tried| {
        tried.hints.labels.values_mut().for_each(|(parent, _)| *parent = 2);
        tried
    };
    on_root(program(viewed, true)).refused(Rule::Entail);
    on_root(program(same, true)).refused(Rule::AccessView);
}

/// s5: a part of the frame that is given back and lent anew is another one.
#[test]
fn a_part_that_is_lent_anew_is_another() {
    let program = |anew: bool| {
        let tried = Tried::new(3, &[(1, same as Declares)], |a, l| {
            let [to, here, there] = l else { unreachable!() };
            a.sub(rsp, 16).unwrap();
            a.set_label(here).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*there).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(there).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
        });
        let carve = Ghost::Carve { offset: -16, size: 16 };
        let uncarve = |name: u16| Ghost::Uncarve { name: Var::Free(name), entry: 0 };
        let tried = tried.ghosts(1, std::slice::from_ref(&carve)).ghosts(0, &[uncarve(3)]);
        if anew { tried.ghosts(2, &[uncarve(3), carve]) } else { tried }
    };
    program(false).accepted();
    assert!(matches!(program(true).refused(Rule::Entail).kind, Evidence::WrongSlot(-16)));
}

/// s5: a label in between says that less of the stack is touched; the outer one wants what its
/// parent had.
#[test]
fn what_is_touched_is_asked_of_a_label_in_between() {
    let program = |between: Declares| {
        let mut tried = Tried::new(2, &[(1, between), (2, same)], |a, l| {
            let [between, to] = l else { unreachable!() };
            a.push(rcx).unwrap();
            a.push(rcx).unwrap();
            a.add(rsp, 16).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*between).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(between).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.ret().unwrap();
        });
        // A scope where two words are touched, on which both hang.
        tried.hints.labels.get_mut(&tried.offsets[0]).unwrap().0 = 0;
        tried.hints.labels.get_mut(&tried.offsets[1]).unwrap().0 = 1;
        tried
    };
    program(same).accepted();
    let less: Declares = |_| Record { frame: Some((0, -8)), ..Record::default() };
    assert!(matches!(program(less).refused(Rule::Entail).kind, Evidence::Depth(-8)));
}

/// `[x : addr or null, n, m](rdi = x, rcx = n, rsi = m; ro bytes(8) at x if it is one) ->
/// [y : 0..=0](rax = y)`
fn nullable() -> Sig {
    let mut sig = reader();
    sig.vars[0] = Kind::Addr { set: NameSet::NULLABLE, block: None };
    sig.pre.views = vec![bytes(Region::Always, vec![Guard::IsAddress(Var::Free(0))])];
    let post = sig.post.as_mut().unwrap();
    post.vars = vec![within(0, 0)];
    post.state.regs.set(Reg::Rax, int(3));
    sig
}

/// H6, s6: a name that is an integer on one way is a name again at a label that hangs further down:
/// neither is it an address there, nor is it sent out.
#[test]
fn an_integer_of_one_way_is_a_name_at_a_label() {
    let program = |ask: bool, way: fn(&mut CodeAssembler), theta: &[&[i64]]| {
        let tried = Tried::new(3, &[(2, same as Declares)], move |a, l| {
            let [to, null, out] = l else { unreachable!() };
            a.test(rdi, rdi).unwrap();
            a.jz(*null).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(null).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            if ask {
                a.test(rdi, rdi).unwrap();
                a.jz(*out).unwrap();
                a.mov(al, byte_ptr(rdi)).unwrap();
                a.xor(eax, eax).unwrap();
                a.ret().unwrap();
                a.set_label(out).unwrap();
            }
            way(a);
            a.ret().unwrap();
            if !ask {
                a.set_label(out).unwrap();
                a.nop().unwrap();
            }
        });
        let mut tried = of(nullable(), tried);
        let ints = |all: &&[i64]| all.iter().map(|n| Inst::Int(Term::int(*n))).collect();
        tried.hints.oracle.insts = theta.iter().map(ints).collect();
        tried
    };
    let sends: fn(&mut CodeAssembler) = |a| a.mov(rax, rdi).unwrap();
    program(true, sends, &[]).accepted();
    // Both ways to the label, then the return.
    let theta: [&[i64]; 3] = [&[], &[], &[0]];
    program(false, sends, &theta).refused(Rule::Return);
    program(false, |a| a.mov(al, byte_ptr(rdi)).unwrap(), &theta).refused(Rule::EaForm);
}

/// s7: each entry of a table opens a scope of its own; what it tells of the index is not known on
/// what it hangs on.
#[test]
fn a_label_of_a_table_knows_its_index_if_it_says_so() {
    let program = |declares: [Declares; 2], values: [i32; 2]| {
        let [zero, one] = declares;
        let tried = Tried::new(2, &[(0, zero), (0, one)], |a, l| {
            a.jmp(qword_ptr(rcx * 8 + TABLE)).unwrap();
            for (label, value) in l.iter_mut().zip(values) {
                a.set_label(label).unwrap();
                a.endbr64().unwrap();
                a.mov(eax, value).unwrap();
                a.ret().unwrap();
            }
        });
        let mut sig = reader();
        sig.vars[1] = within(0, 1);
        sig.post.as_mut().unwrap().state.regs.set(Reg::Rax, int(1));
        let mut tried = of(sig, tried);
        let word = |o: &u32| u64::from(TEXT + o).to_le_bytes();
        tried.program.table = Some((FnId(0), tried.offsets.iter().flat_map(word).collect()));
        tried
    };
    fn is(value: i128) -> Record {
        let facts = vec![Fact { rel: Rel::Eq, term: t(1).plus(-value).unwrap() }];
        Record { facts, ..Record::default() }
    }
    let (zero, one): (Declares, Declares) = (|_| is(0), |_| is(1));
    program([zero, one], [0, 1]).verify().unwrap();
    program([zero, same], [0, 1]).refused(Rule::Return);
    program([same, one], [0, 1]).refused(Rule::Return);
    program([one, zero], [0, 1]).refused(Rule::Entail);
    // What the first entry told is not known at the second, which is found after it.
    program([zero, same], [0, 0]).refused(Rule::Return);
    program([zero, zero], [0, 0]).refused(Rule::Entail);
}

/// An entry of eight bytes at this name.
fn eight(i: u16) -> Entry {
    let (guards, name, offset) = (vec![], Var::Free(i), Term::ZERO);
    Entry { guards, name, offset, mem: Rc::new(Mem::Bytes(Term::int(8))) }
}

/// `[x, z : addr](rdi = x, rsi = z; owns bytes(8) at each) -> (the same)`
fn gives_back() -> Sig {
    let mut sig = owner();
    let state = Assertion { caps: sig.pre.caps.clone(), ..assertion(&[]) };
    sig.post = Some(Post { vars: vec![], state });
    sig
}

/// s19: a view of a region that ended may stand in a record; nobody reads through it.
#[test]
fn a_view_of_a_region_without_its_token_is_dead() {
    // Own region 2; the way makes one of the same number.
    let dead: Declares = |parent| {
        let rho = Var::Free(parent.first().unwrap());
        let views = vec![bytes(Region::Var(rho), vec![])];
        Record { vars: vec![Kind::Region], views, ..Record::default() }
    };
    let live: Declares = |parent| {
        let rho = Var::Free(parent.first().unwrap());
        let views = vec![bytes(Region::Var(rho), vec![])];
        let caps = Some(vec![Cap::Entry(eight(1)), Cap::Token(rho, eight(0))]);
        Record { vars: vec![Kind::Region], views, caps, ..Record::default() }
    };
    let program = |declares: Declares, ended: bool, reads: bool| {
        let tried = Tried::new(3, &[(1, declares)], move |a, l| {
            let [to, here, out] = l else { unreachable!() };
            a.set_label(here).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            if reads {
                // Through the view, since the entry is lent or not asked for.
                a.mov(al, byte_ptr(rdi)).unwrap();
            }
            a.nop().unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        });
        let borrow = Ghost::Borrow { entry: 0, mode: Mode::Ro };
        let end = |token| Ghost::RegionEnd { token };
        let tried = of(gives_back(), tried.ghosts(1, &[borrow]));
        if ended { tried.ghosts(1, &[end(1)]) } else { tried.ghosts(2, &[end(1)]) }
    };
    program(live, false, true).accepted();
    program(dead, true, false).accepted();
    let mut through = program(dead, true, true);
    // The entry is there again, but the hint names the view.
    through.hints.oracle.through = Some(Through::View(0));
    through.refused(Rule::AccessView);
    let mut lives = program(live, false, true);
    lives.hints.oracle.through = Some(Through::View(0));
    lives.accepted();
    // A token is not left out.
    program(dead, false, false).refused(Rule::Entail);
}

/// s20: a region that is ended on the way, and one that begins with the same entry, is another.
#[test]
fn a_region_that_begins_anew_is_another() {
    let program = |anew: bool| {
        let tried = Tried::new(4, &[(1, same as Declares)], |a, l| {
            let [to, here, there, out] = l else { unreachable!() };
            a.set_label(here).unwrap();
            a.cmp(eax, eax).unwrap();
            a.jb(*there).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(there).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.nop().unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        });
        let mut sig = gives_back();
        sig.pre.regs.set(Reg::Rax, Word::Int(Term::ZERO));
        let borrow = Ghost::Borrow { entry: 0, mode: Mode::Ro };
        let end = Ghost::RegionEnd { token: 1 };
        let tried =
            tried.ghosts(1, std::slice::from_ref(&borrow)).ghosts(3, std::slice::from_ref(&end));
        // Ended, the entry is the last one; borrowed, so is its token.
        let again = Ghost::Borrow { entry: 1, mode: Mode::Ro };
        of(sig, if anew { tried.ghosts(2, &[end, again]) } else { tried })
    };
    program(false).accepted();
    program(true).refused(Rule::Entail);
}

/// rax is an own integer of 64 bits, and the first own variable.
fn number(parent: &Mark) -> Record {
    let word = Word::Int(t(parent.first().unwrap()));
    let bounds = within(0, (1 << 64) - 1);
    Record { vars: vec![bounds], regs: vec![(Reg::Rax, word)], ..Record::default() }
}

/// W3: what a register declares as an integer is one on each way: no pointer, no word of the frame,
/// and not nothing; whatever theta says.
/// Attack n25.
#[test]
fn an_own_integer_is_one_on_each_way() {
    let program = |way: fn(&mut CodeAssembler), theta: Option<Inst>| {
        let mut tried = Tried::new(1, &[(1, number as Declares)], move |a, l| {
            way(a);
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        });
        let mut sig = reader();
        let post = sig.post.as_mut().unwrap();
        post.vars = vec![within(0, (1 << 64) - 1)];
        post.state.regs.set(Reg::Rax, int(3));
        tried.hints.oracle.insts = theta.into_iter().map(|inst| vec![inst]).collect();
        of(sig, tried)
    };
    program(|a| a.mov(rax, rcx).unwrap(), None).accepted();
    program(|a| a.mov(rax, rcx).unwrap(), Some(Inst::Int(t(1)))).accepted();
    let others: [fn(&mut CodeAssembler); 5] = [
        |a| a.mov(rax, rdi).unwrap(),
        |a| a.mov(rax, rsp).unwrap(),
        |a| a.mov(rax, qword_ptr(rsp)).unwrap(),
        |a| a.mov(rax, rbx).unwrap(),
        |_| (),
    ];
    for other in others {
        let some = [Inst::Int(t(1)), Inst::Int(Term::int(7))];
        for inst in some {
            program(other, Some(inst)).refused(Rule::Entail);
        }
        let word = Inst::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
        program(other, Some(word)).refused(Rule::Apply);
    }
}

/// W3: a word of a record is over an integer, a name or code, never over a region; and no label
/// declares a set of what is unknown.
#[test]
fn words_of_a_record_are_of_their_kinds() {
    let program = |declares: Declares| {
        Tried::new(1, &[(1, declares)], |a, l| {
            a.mov(rax, rcx).unwrap();
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        })
    };
    fn of_kind(kind: Kind, word: Word) -> Record {
        Record { vars: vec![kind], regs: vec![(Reg::Rax, word)], ..Record::default() }
    }
    program(|_| of_kind(within(0, (1 << 64) - 1), int(3))).accepted();
    program(|_| of_kind(Kind::Region, int(3))).refused(Rule::WfWordType);
    program(|_| of_kind(Kind::Region, pointer(3))).refused(Rule::WfWordType);
    program(|_| of_kind(ADDRESS, int(3))).refused(Rule::WfWordType);
    program(|_| of_kind(Kind::Word, int(3))).refused(Rule::WfWordType);
    program(|_| of_kind(Kind::Store, Word::Junk)).refused(Rule::WfLabel);
}

/// H5: a slot that a record declares holds that on each way, and so does one that it does not.
#[test]
fn slots_of_a_record_are_asked_on_each_way() {
    // The lower word is below 8; of the upper one nothing is said.
    let digit_there: Declares = |parent| {
        let slots = vec![(-16, Word::Int(t(parent.first().unwrap())))];
        Record { vars: vec![within(0, 7)], slots, ..Record::default() }
    };
    let program = |declares: Declares, lower: fn(&mut CodeAssembler), upper: AsmRegister64| {
        Tried::new(2, &[(2, declares)], move |a, l| {
            let [to, other] = l else { unreachable!() };
            a.push(rcx).unwrap();
            a.push(rcx).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*other).unwrap();
            a.mov(qword_ptr(rsp), 7).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(other).unwrap();
            lower(a);
            a.mov(qword_ptr(rsp + 8), upper).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.pop(rax).unwrap();
            a.mov(dl, byte_ptr(rdi + rax)).unwrap();
            a.pop(rcx).unwrap();
            a.ret().unwrap();
        })
    };
    // On a scope that is opened with both words there.
    let open = |mut tried: Tried| {
        tried.hints.labels.values_mut().for_each(|(parent, _)| *parent = 1);
        tried
    };
    let six: fn(&mut CodeAssembler) = |a| a.mov(qword_ptr(rsp), 6).unwrap();
    open(program(digit_there, six, rcx)).accepted();
    let eight: fn(&mut CodeAssembler) = |a| a.mov(qword_ptr(rsp), 8).unwrap();
    open(program(digit_there, eight, rcx)).refused(Rule::Entail);
    open(program(digit_there, |_| (), rcx)).refused(Rule::Entail);
    open(program(digit_there, six, rsi)).refused(Rule::Entail);
    // Seven, whatever theta is.
    let seven: Declares =
        |_| Record { slots: vec![(-16, Word::Int(Term::int(7)))], ..Record::default() };
    open(program(seven, |a| a.mov(qword_ptr(rsp), 7).unwrap(), rcx)).accepted();
    assert!(matches!(
        open(program(seven, six, rcx)).refused(Rule::Entail).kind,
        Evidence::NotProved(..) | Evidence::WrongSlot(_)
    ));
}

/// W4 at a label: theta exchanges two pointers of one kind, and the registers are left alone.
#[test]
fn an_own_name_is_what_theta_says() {
    // rdi is own 2, rsi own 3.
    let two: Declares = |parent| {
        let first = parent.first().unwrap();
        Record {
            vars: vec![ADDRESS; 2],
            regs: vec![(Reg::Rsi, pointer(first + 1)), (Reg::Rdi, pointer(first))],
            caps: Some(vec![Cap::Entry(eight(first)), Cap::Entry(eight(first + 1))]),
            ..Record::default()
        }
    };
    let program = |theta: [u16; 2]| {
        let mut tried = Tried::new(1, &[(1, two)], |a, l| {
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.jmp(l[0]).unwrap();
        });
        let name = |i: u16| Inst::Ptr(Base::Name(Var::Free(i)), Term::ZERO);
        tried.hints.oracle.insts = VecDeque::from([theta.map(name).to_vec()]);
        of(owner(), tried)
    };
    program([0, 1]).accepted();
    program([1, 0]).refused(Rule::Entail);
    // rax holds the variable of the way that has the number of the own one, which is 5.
    let number = |five: bool| {
        let mut tried = Tried::new(1, &[(1, digit as Declares)], move |a, l| {
            if five {
                a.mov(eax, 5).unwrap()
            } else {
                a.mov(eax, ecx).unwrap()
            };
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            load(a);
        });
        tried.hints.oracle.insts = VecDeque::from([vec![Inst::Int(Term::int(5))]]);
        tried
    };
    number(true).accepted();
    number(false).refused(Rule::Entail);
}

/// n6: a fact of a record is one of what theta gives; what has the number of its variable on the
/// way is another integer, of which more is known.
/// Attack n15.
#[test]
fn a_fact_of_a_record_is_judged_under_theta() {
    let program = |value: i32, declares: Declares| {
        Tried::new(1, &[(1, declares)], move |a, l| {
            // Number 3, from 0 to 7; then rax is what the label has.
            a.mov(edx, ecx).unwrap();
            a.and(edx, 7).unwrap();
            a.mov(eax, value).unwrap();
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            load(a);
        })
    };
    let told: Declares = |parent| {
        let own = t(parent.first().unwrap());
        let facts = vec![ge(own.clone()), ge(Term::int(7).sub(&own).unwrap())];
        let regs = vec![(Reg::Rax, Word::Int(own))];
        Record { vars: vec![Kind::INT], regs, facts, ..Record::default() }
    };
    program(7, told).accepted();
    program(8, told).refused(Rule::Entail);
    program(-1, told).refused(Rule::Entail);
}

/// n7: bounds as far out as there are.
#[test]
fn bounds_of_a_record_are_at_their_limits() {
    const FAR: i128 = (1 << 80) - 1;
    fn bounded(low: i128, high: i128) -> Record {
        let regs = vec![(Reg::Rax, int(3))];
        Record { vars: vec![within(low, high)], regs, ..Record::default() }
    }
    let program = |declares: Declares| {
        Tried::new(1, &[(1, declares)], |a, l| {
            a.mov(rax, rcx).unwrap();
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        })
    };
    program(|_| bounded(-FAR, FAR)).accepted();
    program(|_| bounded(0, FAR)).accepted();
    program(|_| bounded(1, FAR)).refused(Rule::Entail);
    program(|_| bounded(FAR, FAR)).refused(Rule::Entail);
    program(|_| bounded(-FAR, -FAR)).refused(Rule::Entail);
    // None at all is in these.
    program(|_| bounded(FAR, -FAR)).refused(Rule::Entail);
    assert_eq!(tal_core::ty::Bounds::new(Some(FAR + 1), None), None);
    assert_eq!(tal_core::ty::Bounds::new(None, Some(-FAR - 1)), None);
}

/// What a label lends of its frame holds no words there, whatever its scope had: who takes it back
/// as bytes of which nothing is known finds nothing.
#[test]
fn what_a_label_lends_holds_no_words() {
    let junk = |fields: bool| match fields {
        false => Mem::Junk(Term::int(8)),
        true => {
            let fields = vec![Field { offset: 0, writable: true, ty: FieldTy::Junk(8) }];
            Mem::Struct { fields, size: 8 }
        }
    };
    let lends: Declares = |parent| {
        let name = Var::Free(parent.first().unwrap());
        let (guards, offset) = (Vec::new(), Term::ZERO);
        let mem = Rc::new(Mem::Junk(Term::int(8)));
        Record {
            vars: vec![Kind::Addr { set: NameSet::ADDRESS, block: None }],
            lent: Some(vec![Lent { offset: -8, size: 8, name }]),
            caps: Some(vec![Cap::Entry(Entry { guards, name, offset, mem })]),
            ..Record::default()
        }
    };
    let program = |again: fn(&mut CodeAssembler)| {
        let tried = Tried::new(4, &[(1, lends)], move |a, l| {
            let [to, carve, block, taken] = l else { unreachable!() };
            a.push(5).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.set_label(carve).unwrap();
            a.mov(eax, ecx).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
            a.set_label(to).unwrap();
            a.nop().unwrap();
            a.set_label(taken).unwrap();
            again(a);
            a.pop(rax).unwrap();
            load(a);
        });
        let name = Var::Free(3);
        let shape = Ghost::RetypeShape { entry: 0, mem: Rc::new(junk(true)) };
        let carve = [Ghost::Carve { offset: -8, size: 8 }, Ghost::RetypeJunk { entry: 0 }];
        let mut tried =
            tried.ghosts(1, &carve).ghosts(3, &[shape, Ghost::Uncarve { name, entry: 0 }]);
        tried.hints.oracle.insts.push_back(vec![Inst::Ptr(Base::Name(name), Term::ZERO)]);
        tried
    };
    program(|a| a.mov(qword_ptr(rsp), 5).unwrap()).accepted();
    program(|a| a.xor(ecx, ecx).unwrap()).refused(Rule::EaForm);
}
