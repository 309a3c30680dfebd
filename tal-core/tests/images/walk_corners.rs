//! Not trusted: tests. Attacks on calls, code parameters and flags where a way goes on: what the
//! state shares with others while an entry is judged for a signature, and what a condition says of
//! a name. Each with its accepted twin.

use super::scopes::{Declares, Tried, digit, same, within};
use super::walk::reader;
use super::*;
use iced_x86::code_asm::*;
use tal_core::limits;
use tal_core::ty::{Entry, Field, FieldTy, Guard, Lent, Mem, Mode, NameSet, Region};

const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };

fn pointer(i: u16) -> Word {
    Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO)
}

fn inner(i: u16) -> Word {
    Word::Int(Term::var(Var::Inner(i)))
}

/// Three functions: one that runs the code and jumps to the second with the third in rsi as code of
/// this signature, in its variable `code`; the second returns.
fn gives(
    giver: Sig,
    before: impl FnOnce(&mut CodeAssembler),
    sigma: Sig,
    given: Sig,
    body: impl FnOnce(&mut CodeAssembler),
) -> Program {
    let mut user = function(0, &[(Reg::Rsi, pointer(0))], 0, &[]);
    user.vars.push(Kind::Code(Rc::new(sigma)));
    let (text, offsets) = asm(2, |a, l| {
        let [user, given] = l else { unreachable!() };
        before(a);
        a.lea(rsi, qword_ptr(*given)).unwrap();
        a.jmp(*user).unwrap();
        a.set_label(user).unwrap();
        a.ret().unwrap();
        a.set_label(given).unwrap();
        a.endbr64().unwrap();
        body(a);
        a.ret().unwrap();
    });
    Program::new(text, vec![(0, giver), (offsets[0], user), (offsets[1], given)])
}

/// W1: the post-state of a code parameter's signature is over its own variables as they are, not as
/// theta of what it chooses: at the entry of who gives it out, and behind ten more variables.
#[test]
fn what_a_code_parameter_leaves_is_of_its_own_variables() {
    // fn[x](rdi = x) -> [y, z](rax = x, rcx = y)
    let sigma = || {
        let state = assertion(&[(Reg::Rax, inner(0)), (Reg::Rcx, inner(1))]);
        let post = Some(Post { vars: vec![Kind::INT; 2], state });
        Sig { vars: vec![Kind::INT], pre: assertion(&[(Reg::Rdi, inner(0))]), post }
    };
    let five = Word::Int(Term::int(5));
    // Leaves 5, or what it was given.
    let program = |fresh: u32, result: &Word| {
        let given = function(
            1,
            &[(Reg::Rdi, int(0))],
            0,
            &[(Reg::Rax, result.clone()), (Reg::Rcx, five.clone())],
        );
        let body = *result == five;
        let giver = function(1, &[(Reg::Rdi, int(0))], 0, &[]);
        let before = move |a: &mut CodeAssembler| {
            for _ in 0..fresh {
                a.mov(eax, edi).unwrap();
            }
        };
        let mut program = gives(giver, before, sigma(), given, move |a| {
            if body {
                a.mov(eax, 5).unwrap()
            } else {
                a.mov(rax, rdi).unwrap()
            };
            a.mov(ecx, 5).unwrap();
        });
        // The code; what it is given, Free(base); what it chooses.
        let base = u16::try_from(1 + fresh).unwrap();
        let five = Inst::Int(Term::int(5));
        let insts = [vec![Inst::Code(Base::Code(FnId(2)))], vec![Inst::Int(t(base))]];
        program.oracle.insts = insts.into_iter().chain([vec![five.clone(), five]]).collect();
        program
    };
    for fresh in [0, 10] {
        program(fresh, &int(0)).accepted();
        program(fresh, &five).refused(Rule::TailCall);
    }
}

/// `[p, q : addr](rdi = p, rsi = q; owns bytes(8) at the first) -> ()`
fn first_owned() -> Sig {
    let mut sig = function(0, &[(Reg::Rdi, pointer(0)), (Reg::Rsi, pointer(1))], 0, &[]);
    sig.vars = vec![ADDRESS; 2];
    let (guards, name, offset) = (vec![], Var::Free(0), Term::ZERO);
    let mem = Rc::new(Mem::Bytes(Term::int(8)));
    sig.pre.caps = vec![Cap::Entry(Entry { guards, name, offset, mem })];
    sig
}

/// W4: a callee's variable is not ours of the same number: theta exchanges two pointers, and the
/// registers hold what "the same" would be.
#[test]
fn a_callees_variable_is_what_theta_says() {
    let program = |exchange: bool| {
        let (text, offsets) = asm(1, |a, l| {
            if exchange {
                a.xchg(rdi, rsi).unwrap();
            }
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.jmp(l[0]).unwrap();
        });
        let mut ours = never(0, &[(Reg::Rdi, pointer(0)), (Reg::Rsi, pointer(1))]);
        ours.vars = vec![ADDRESS; 2];
        // We own what is at the second.
        ours.pre.caps = first_owned().pre.caps;
        let Cap::Entry(entry) = &mut ours.pre.caps[0] else { unreachable!() };
        entry.name = Var::Free(1);
        let theirs = Sig { post: None, ..first_owned() };
        let mut program = Program::new(text, vec![(0, ours), (offsets[0], theirs)]);
        let theta =
            |all: [u16; 2]| all.map(|i| Inst::Ptr(Base::Name(Var::Free(i)), Term::ZERO)).to_vec();
        program.oracle.insts = VecDeque::from([theta([1, 0]), theta([0, 1])]);
        program
    };
    program(true).accepted();
    program(false).refused(Rule::JumpNever);
}

fn bytes(region: Region, base: Base, offset: i64, size: i64) -> View {
    View {
        guards: vec![],
        region,
        mode: Mode::Ro,
        base,
        offset: Term::int(offset),
        mem: Rc::new(Mem::Bytes(Term::int(size))),
    }
}

/// W6, s10: who gives out code has a view that the signature has not. An entry that needs it is no
/// such code: not for its own view, not by a ghost, not for a location inside of what is viewed.
#[test]
fn views_of_who_gives_out_code_stay_there() {
    // fn[x : addr](rdi = x; a view) -> (), over the giver's variable or its own.
    let sigma = |viewed: bool, base: Var| {
        let regs = [(Reg::Rdi, Word::Ptr(Base::Name(base), Term::ZERO))];
        let mut sig = function(0, &regs, 0, &[]);
        sig.vars = vec![ADDRESS];
        if viewed {
            sig.pre.views = vec![bytes(Region::Always, Base::Name(base), 0, 8)];
        }
        sig
    };
    let giver = || {
        let mut sig = sigma(true, Var::Free(0));
        sig.vars = vec![ADDRESS];
        sig
    };
    // The code is over p of who gives it out, and takes p's view or not.
    let program = |viewed: bool, given: Sig, ghosts: &[Ghost], theta: Vec<Inst>| {
        let mut over = sigma(viewed, Var::Free(0));
        over.vars = vec![];
        // In the user, which has p as its variable 1.
        let one = |i: u16| Base::Name(Var::Free(i));
        over.pre.regs.set(Reg::Rdi, Word::Ptr(one(1), Term::ZERO));
        over.pre.views.iter_mut().for_each(|view| view.base = one(1));
        let mut program = gives(giver(), |_| (), over, given, |_| ());
        let mut user = function(0, &[(Reg::Rsi, pointer(0)), (Reg::Rdi, pointer(1))], 0, &[]);
        user.vars = vec![program.sigs[1].vars[0].clone(), ADDRESS];
        program.sigs[1] = Rc::new(user);
        let own = Inst::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
        let code = vec![Inst::Code(Base::Code(FnId(2))), own];
        program.oracle.insts = VecDeque::from([code, theta]);
        // `lea` has seven bytes.
        program.oracle.ghosts.insert(Site::CodeSub { from: 7 }, ghosts.iter().cloned().collect());
        program
    };
    let own = || vec![Inst::Ptr(Base::Name(Var::Free(0)), Term::ZERO)];
    program(true, sigma(true, Var::Free(0)), &[], own()).accepted();
    program(false, sigma(true, Var::Free(0)), &[], own()).refused(Rule::TailCall);
    program(false, sigma(false, Var::Free(0)), &[], own()).accepted();
    // A ghost on it.
    let part = Ghost::ViewPart { view: 0, from: Term::ZERO, count: Term::int(1) };
    program(true, sigma(false, Var::Free(0)), std::slice::from_ref(&part), own()).accepted();
    let refused = program(false, sigma(false, Var::Free(0)), &[part], own());
    refused.refused(Rule::ViewPart);
    // A location in it.
    let inside = |viewed: bool| {
        let mut given = sigma(false, Var::Free(0));
        given.pre.regs.set(Reg::Rdi, Word::Junk);
        let theta = vec![Inst::Ptr(Base::Name(Var::Free(0)), Term::int(4))];
        program(viewed, given, &[], theta)
    };
    inside(true).accepted();
    inside(false).refused(Rule::AccessEntry);
}

/// W24: nor is the frame of who gives out code there: a stack argument of it is none of the code's.
#[test]
fn the_frame_of_who_gives_out_code_stays_there() {
    let with_argument = |mut sig: Sig, word: Word| {
        sig.pre.args = vec![(8, word)];
        sig
    };
    let program = |promised: bool| {
        let giver = with_argument(function(1, &[], 0, &[]), int(0));
        // fn(k on the stack), k of the user, which is ours.
        let mut sigma = function(0, &[], 0, &[]);
        if promised {
            sigma = with_argument(sigma, int(1));
        }
        let given = with_argument(function(1, &[], 0, &[]), int(0));
        let mut program = gives(giver, |_| (), sigma, given, |_| ());
        let mut user = function(0, &[(Reg::Rsi, pointer(0))], 0, &[]);
        user.vars = vec![program.sigs[1].vars[0].clone(), Kind::INT];
        program.sigs[1] = Rc::new(user);
        let code = vec![Inst::Code(Base::Code(FnId(2))), Inst::Int(t(0))];
        program.oracle.insts = VecDeque::from([code, vec![Inst::Int(t(0))]]);
        program
    };
    program(true).accepted();
    program(false).refused(Rule::TailCall);
}

/// `[x : addr or null, n, m](rdi = x, rcx = n, rsi = m; ro bytes(8) at x if it is one) -> ()`
fn nullable() -> Sig {
    let mut sig = reader();
    sig.vars[0] = Kind::Addr { set: NameSet::NULLABLE, block: None };
    sig.pre.views[0].guards = vec![Guard::IsAddress(Var::Free(0))];
    sig
}

/// W8: flags that say whether a name is null. On the way on which it is, they say nothing any more;
/// what was cut from the way to a label or to a block did not change them.
#[test]
fn flags_of_a_name_that_became_an_integer_are_gone() {
    type Jump = fn(&mut CodeAssembler, CodeLabel);
    let program = |labels: &[(u32, Declares)], jump: Jump, again: Jump| {
        let mut tried = Tried::new(2, labels, move |a, l| {
            let [to, other] = l else { unreachable!() };
            a.test(rdi, rdi).unwrap();
            jump(a, *to);
            again(a, *other);
            a.ret().unwrap();
            a.set_label(to).unwrap();
            a.ret().unwrap();
            a.set_label(other).unwrap();
            a.mov(al, byte_ptr(rdi)).unwrap();
            a.ret().unwrap();
        });
        tried.program.sigs = vec![Rc::new(nullable())];
        tried
    };
    let null: Jump = |a, to| a.jz(to).unwrap();
    let address: Jump = |a, to| a.jnz(to).unwrap();
    let asked: Jump = |a, to| {
        a.test(rdi, rdi).unwrap();
        a.jnz(to).unwrap();
    };
    // To a block, to a label on the root, and to one on a scope.
    let ways: [&[(u32, Declares)]; 3] = [&[], &[(1, same)], &[(0, same)]];
    for labels in ways {
        // Where it falls it is an address, and the flags still say so.
        program(labels, null, address).accepted();
        // Where it falls it is null; what it is an address on was cut.
        program(labels, address, address).refused(Rule::FlagsRead);
        // Asked anew, nothing goes that way, which is judged as if it were null all the same.
        program(labels, address, asked).refused(Rule::EaForm);
    }
}

/// W10: what runs into the next function is a tail call of it, also where its first offset is a
/// label: of that function, not of the one that falls.
#[test]
fn the_label_at_an_entry_is_of_its_function() {
    let program = |enough: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [next, to] = l else { unreachable!() };
            a.mov(eax, ecx).unwrap();
            a.and(eax, if enough { 7 } else { 15 }).unwrap();
            a.set_label(next).unwrap();
            a.mov(dl, byte_ptr(rdi + rax)).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.mov(eax, 1).unwrap();
            a.jmp(*next).unwrap();
        });
        let mut first = reader();
        first.post = None;
        let mut second = first.clone();
        second.vars.push(within(0, 7));
        second.pre.regs.set(Reg::Rax, int(3));
        let mut program = Program::new(text, vec![(0, first), (offsets[0], second)]);
        for offset in offsets.iter().take(1) {
            program = program.label(*offset, label(0, &[]));
        }
        let labels = offsets.iter().take(1).map(|offset| (*offset, (1, digit as Declares)));
        let hints = super::scopes::Hung { oracle: Oracle::default(), labels: labels.collect() };
        Tried { program, hints, offsets }
    };
    let mut accepted = program(true);
    accepted.hints.labels.values_mut().for_each(|(_, declares)| {
        *declares = |parent| {
            let mut record = digit(parent);
            record.regs.push((Reg::Rdx, Word::Junk));
            record
        };
    });
    accepted.accepted();
    let mut refused = program(false);
    refused.hints.labels = accepted.hints.labels.clone();
    refused.refused(Rule::JumpNever);
}

/// W13: a condition leads to another function; what it says is known there, and not where it falls.
#[test]
fn a_condition_of_a_tail_call_is_not_known_where_it_falls() {
    type Jump = fn(&mut CodeAssembler, CodeLabel);
    let program = |jump: Jump| {
        let (text, offsets) = asm(1, |a, l| {
            a.cmp(rcx, 8).unwrap();
            jump(a, l[0]);
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(0, reader()), (offsets[0], function(0, &[], 0, &[]))])
    };
    program(|a, to| a.jae(to).unwrap()).accepted();
    program(|a, to| a.jb(to).unwrap()).refused(Rule::Shape);
}

/// W22: a jump is into the function: not behind its end, not before its start, and not out of the
/// text; by `jmp` and by a condition.
#[test]
fn a_block_lies_in_the_range_of_its_function() {
    let program = |to: i32, conditional: bool| {
        // A `ret`; the jump; a `ret`.
        let mut text = vec![0xC3, 0xCC];
        if conditional {
            text.extend([0x48, 0x85, 0xC9, 0x0F, 0x84]);
        } else {
            text.extend([0x90, 0x90, 0x90, 0x90, 0xE9]);
        }
        let behind = i32::try_from(text.len() + 4).unwrap();
        text.extend((to - behind).to_le_bytes());
        // What is jumped to; of the condition, what falls, before it.
        text.extend(if conditional { [0xC3, 0xC3, 0xCC] } else { [0xCC, 0xC3, 0xCC] });
        let last = u32::try_from(text.len()).unwrap();
        text.push(0xC3);
        let sig = || function(1, &[(Reg::Rcx, int(0))], 0, &[]);
        Program::new(text, vec![(0, sig()), (2, sig()), (last, sig())])
    };
    for conditional in [false, true] {
        program(12, conditional).accepted();
        // In the function before, at the end of the text, out of it.
        for to in [1, 15, 16, -1, i32::MAX - 64, i32::MIN + 64] {
            program(to, conditional).refused(Rule::Jump);
        }
    }
}

/// s15: a label stands between instructions; what is judged runs up to it and not across.
#[test]
fn a_label_is_not_inside_an_instruction() {
    let program = |label: u32| {
        // test rcx, rcx; jz label; mov eax, 0xC3; ret
        let jump = u8::try_from(label - 5).unwrap();
        let text = vec![0x48, 0x85, 0xC9, 0x74, jump, 0xB8, 0xC3, 0, 0, 0, 0xC3];
        Program::new(text, vec![(0, reader())]).label(label, super::label(0, &[]))
    };
    program(10).accepted();
    let error = program(6).refused(Rule::Claim);
    assert_eq!((error.kind, error.site), (Evidence::Undecodable, Some(5)));
}

/// s15, n21, n26: between what is judged there is padding of one byte each, whatever else would do
/// nothing.
#[test]
fn what_is_not_judged_is_padding() {
    let program = |between: [u8; 2]| {
        let text = [&[0xEB, 2][..], &between, &[0xC3]].concat();
        Program::new(text, vec![(0, reader())])
    };
    program([0x90, 0x90]).accepted();
    program([0xCC, 0xCC]).accepted();
    assert_eq!(program([0x66, 0x90]).refused(Rule::Driver).site, Some(2));
    assert_eq!(program([0x90, 0xC3]).refused(Rule::Driver).site, Some(3));
    // Which nobody runs into.
    let runs = |byte: u8| Program::new(vec![byte, 0xC3], vec![(0, reader())]);
    runs(0x90).accepted();
    runs(0xCC).refused(Rule::RowNop);
}

/// W23: what is no integer is in no term of a record, so nothing is asked of its bounds.
#[test]
fn terms_of_a_record_are_over_integers() {
    let program = |declares: Declares| {
        Tried::new(1, &[(1, declares)], |a, l| {
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        })
    };
    fn told(kind: Kind, of: u16) -> Record {
        Record { vars: vec![kind], facts: vec![ge(t(of))], ..Record::default() }
    }
    // Not negative: our own n, number 1. The first own variable is number 3.
    program(|_| Record { facts: vec![ge(t(1))], ..Record::default() }).accepted();
    // An address, a region, and nothing at all.
    program(|_| told(Kind::INT, 0)).refused(Rule::WfLabel);
    program(|_| told(Kind::Region, 3)).refused(Rule::WfLabel);
    program(|_| told(Kind::INT, 4)).refused(Rule::WfLabel);
}

/// W12: what the ghosts of an edge borrow and lend is given back where the condition falls.
#[test]
fn what_the_ghosts_of_an_edge_change_is_put_back() {
    let owned = || first_owned().pre.caps[0].clone();
    let program = |declares: Declares, ghosts: &[Ghost], back: &[Ghost], falls: bool| {
        let tried = Tried::new(4, &[(1, declares)], move |a, l| {
            let [to, from, there, falling] = l else { unreachable!() };
            a.sub(rsp, 16).unwrap();
            a.cmp(eax, eax).unwrap();
            a.set_label(from).unwrap();
            a.je(*to).unwrap();
            a.set_label(falling).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
            a.set_label(to).unwrap();
            a.nop().unwrap();
            a.set_label(there).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
        });
        let (from, to) = (tried.offsets[1], tried.offsets[0]);
        let mut tried = tried.ghosts(2, back);
        if falls {
            tried = tried.ghosts(3, back);
        }
        tried.hints.oracle.ghosts.insert(Site::Edge { from, to }, ghosts.iter().cloned().collect());
        let mut sig = first_owned();
        sig.pre.regs.set(Reg::Rax, Word::Int(Term::ZERO));
        sig.post.as_mut().unwrap().state.caps = vec![owned()];
        tried.program.sigs = vec![Rc::new(sig)];
        tried
    };
    // On the root, where rsp has not moved.
    let borrowed: Declares = |parent| {
        let rho = Var::Free(parent.first().unwrap());
        let Cap::Entry(entry) = first_owned().pre.caps.remove(0) else { unreachable!() };
        Record {
            vars: vec![Kind::Region],
            frame: Some((-16, 0)),
            caps: Some(vec![Cap::Token(rho, entry)]),
            views: vec![bytes(Region::Var(rho), Base::Name(Var::Free(0)), 0, 8)],
            ..Record::default()
        }
    };
    let borrow = [Ghost::Borrow { entry: 0, mode: Mode::Ro }];
    let end = [Ghost::RegionEnd { token: 0 }];
    program(borrowed, &borrow, &end, false).accepted();
    program(borrowed, &borrow, &end, true).refused(Rule::RegionEnd);
    let lent: Declares = |parent| {
        let name = Var::Free(parent.first().unwrap());
        let field = |offset| Field { offset, ty: FieldTy::Junk(8), writable: true };
        let mem = Rc::new(Mem::Struct { size: 16, fields: vec![field(0), field(8)] });
        let part = Entry { guards: vec![], name, offset: Term::ZERO, mem };
        Record {
            vars: vec![ADDRESS],
            frame: Some((-16, 0)),
            lent: Some(vec![Lent { offset: -16, size: 16, name }]),
            caps: Some(vec![first_owned().pre.caps.remove(0), Cap::Entry(part)]),
            ..Record::default()
        }
    };
    let carve = [Ghost::Carve { offset: -16, size: 16 }];
    let uncarve = [Ghost::Uncarve { name: Var::Free(2), entry: 1 }];
    let program = |falls: bool| {
        let mut tried = program(lent, &carve, &uncarve, falls);
        let name = Inst::Ptr(Base::Name(Var::Free(2)), Term::ZERO);
        tried.hints.oracle.insts = VecDeque::from([vec![name]]);
        tried
    };
    program(false).accepted();
    program(true).refused(Rule::Uncarve);
}

/// H5: a record that moves rsp up leaves no part of the frame below it lent, and no more words are
/// known than there may be.
#[test]
fn the_frame_of_a_record_is_one_that_there_may_be() {
    let lent = |declares: Declares| {
        let tried = Tried::new(2, &[(0, declares)], |a, l| {
            let [to, here] = l else { unreachable!() };
            a.sub(rsp, 16).unwrap();
            a.set_label(here).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.add(rsp, 16).unwrap();
            a.ret().unwrap();
        });
        let uncarve = Ghost::Uncarve { name: Var::Free(3), entry: 0 };
        tried.ghosts(1, &[Ghost::Carve { offset: -16, size: 16 }]).ghosts(0, &[uncarve])
    };
    lent(same).accepted();
    lent(|_| Record { frame: Some((-16, 0)), ..Record::default() }).accepted();
    lent(|_| Record { frame: Some((-8, 0)), ..Record::default() }).refused(Rule::WfLabel);
    let known = |words: usize| {
        let same_again: Declares = |_| Record { slots: vec![(-8, int(1))], ..Record::default() };
        let text = move |a: &mut CodeAssembler, l: &mut [CodeLabel]| {
            (0..words).for_each(|_| a.push(rcx).unwrap());
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.add(rsp, i32::try_from(8 * words).unwrap()).unwrap();
            a.ret().unwrap();
        };
        Tried::new(1, &[(0, same_again)], text)
    };
    // The return address is one, and what is said again counts.
    known(limits::SLOTS - 2).accepted();
    known(limits::SLOTS - 1).refused(Rule::WfLabel);
}
