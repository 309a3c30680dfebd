//! Not trusted: tests. Bounds across transfers: what one way learns is not known on another, and
//! what a signature or a label says of its integers is proved where it is entered.

use super::*;
use iced_x86::code_asm::*;
use tal_core::ty::{Bounds, Mem, Mode, NameSet, Region};

const ADDRESS: Kind = Kind::Addr { set: NameSet::ADDRESS, block: None };
const U64: i128 = (1 << 64) - 1;

fn within(low: i128, high: i128) -> Bounds {
    Bounds::new(Some(low), Some(high)).unwrap()
}

fn int_of(low: i128, high: i128) -> Kind {
    Kind::Int(within(low, high))
}

/// `[x : addr, n : 0..=2^64-1](rdi = x, rcx = n; always ro bytes(8) at x)`
fn reader() -> Sig {
    let pointer = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
    let mut sig = function(0, &[(Reg::Rdi, pointer), (Reg::Rcx, int(1))], 0, &[]);
    sig.vars = vec![ADDRESS, int_of(0, U64)];
    sig.pre.views = vec![View {
        guards: vec![],
        region: Region::Always,
        mode: Mode::Ro,
        base: Base::Name(Var::Free(0)),
        offset: Term::ZERO,
        mem: Rc::new(Mem::Bytes(Term::int(8))),
    }];
    sig
}

/// The label of a `ret`, where nothing is known.
fn leaves() -> LabelState {
    label(0, &[])
}

/// H7 with a bound: `cmp rcx,8; jcc M; mov al,[rdi+rcx]; M: ret`.
/// Attack n1.
#[test]
fn what_the_taken_edge_learns_of_a_bound_the_other_does_not_know() {
    let program = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        let (text, offsets) = asm(1, |a, l| {
            let [out] = l else { unreachable!() };
            a.cmp(rcx, 8).unwrap();
            jump(a, *out);
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.jmp(*out).unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(0, reader())]).label(offsets[0], leaves())
    };
    // Left if it is 8 or more: what remains is below.
    program(|a, out| a.jae(out).unwrap()).accepted();
    // Left if it is below: nothing of that edge stays.
    program(|a, out| a.jb(out).unwrap()).refused(Rule::Shape);
    program(|a, out| a.je(out).unwrap()).refused(Rule::Shape);
    // One edge after the other: below 8, and then not 0.
    let twice = |text: fn(&mut CodeAssembler, CodeLabel)| {
        let (text, offsets) = asm(1, |a, l| {
            let [out] = l else { unreachable!() };
            text(a, *out);
            a.mov(al, byte_ptr(rdi + rcx - 1)).unwrap();
            a.jmp(*out).unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(0, reader())]).label(offsets[0], leaves())
    };
    twice(|a, out| {
        a.cmp(rcx, 8).unwrap();
        a.ja(out).unwrap();
        a.test(rcx, rcx).unwrap();
        a.je(out).unwrap();
    })
    .accepted();
    twice(|a, out| {
        a.cmp(rcx, 8).unwrap();
        a.ja(out).unwrap();
        a.test(rcx, rcx).unwrap();
        a.jne(out).unwrap();
    })
    .refused(Rule::Shape);
}

/// The same where the edge goes to another function, which is judged on a copy.
/// Attack W13.
#[test]
fn what_is_learned_on_the_way_to_another_function_stays_there() {
    let program = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.cmp(rcx, 8).unwrap();
            jump(a, *g);
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
        });
        let g = function(0, &[], 0, &[]);
        Program::new(text, vec![(offsets[0], reader()), (offsets[1], g)])
    };
    program(|a, g| a.jae(g).unwrap()).accepted();
    program(|a, g| a.jb(g).unwrap()).refused(Rule::Shape);
}

/// Each entry of a table has its own index, whichever was looked at before.
#[test]
fn entries_of_a_table_do_not_see_each_others_index() {
    let program = |needs: [i64; 2], drops: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [zero, one] = l else { unreachable!() };
            a.jmp(qword_ptr(rdi * 8 + TABLE)).unwrap();
            for label in [zero, one] {
                a.set_label(label).unwrap();
                a.endbr64().unwrap();
                a.ret().unwrap();
            }
        });
        let mut sig = function(1, &[(Reg::Rdi, int(0))], 0, &[]);
        sig.vars = vec![int_of(0, 1)];
        let words = offsets.iter().flat_map(|o| u64::from(TEXT + o).to_le_bytes()).collect();
        let mut program = Program::new(text, vec![(0, sig)]);
        for (offset, needs) in offsets.iter().zip(needs) {
            let mut state = label(0, &[(Reg::Rdi, int(0))]);
            state.facts = vec![Fact { rel: Rel::Eq, term: t(0).plus(i128::from(-needs)).unwrap() }];
            program = program.label(*offset, state);
        }
        program.table = Some((FnId(0), words));
        program.oracle.drops = drops;
        program
    };
    program([0, 1], false).accepted();
    // With the index of the first still known, everything would follow at the second.
    program([0, 0], false).refused(Rule::Entail);
    program([1, 1], false).refused(Rule::Entail);
    program([0, 7], false).refused(Rule::Entail);
    // Without the fact none of them knows it.
    program([0, 1], true).refused(Rule::Entail);
}

/// An edge proves the bounds of what a label declares, of the value that it has there: whatever
/// has the same number on the way is something else.
/// Attacks n6, n15.
#[test]
fn bounds_of_a_label_are_proved_of_its_values() {
    // rsi: anything; the byte of rsi is variable 1 on the way, and in its bounds.
    let program = |kind: Kind, facts: Vec<Fact>, source: AsmRegister64| {
        let (text, offsets) = asm(1, |a, l| {
            let [at] = l else { unreachable!() };
            a.movzx(ecx, sil).unwrap();
            a.mov(rax, source).unwrap();
            a.jmp(*at).unwrap();
            a.set_label(at).unwrap();
            a.ret().unwrap();
        });
        let sig = function(1, &[(Reg::Rsi, int(0))], 0, &[]);
        let mut state = label(0, &[(Reg::Rax, int(1))]);
        state.vars = vec![kind];
        state.facts = facts;
        Program::new(text, vec![(0, sig)]).label(offsets[0], state)
    };
    let byte = || int_of(0, 255);
    program(byte(), vec![], rcx).accepted();
    program(Kind::INT, vec![ge(t(1))], rcx).accepted();
    program(int_of(-1, 256), vec![], rcx).accepted();
    // Its own variable has number 1, too, and is rsi.
    program(Kind::INT, vec![], rsi).accepted();
    program(byte(), vec![], rsi).refused(Rule::Entail);
    program(Kind::INT, vec![ge(t(1))], rsi).refused(Rule::Entail);
    program(Kind::Int(Bounds::new(Some(0), None).unwrap()), vec![], rsi).refused(Rule::Entail);
    // Each bound by itself.
    program(int_of(1, 255), vec![], rcx).refused(Rule::Entail);
    program(int_of(0, 254), vec![], rcx).refused(Rule::Entail);
    program(int_of(255, 0), vec![], rcx).refused(Rule::Entail);
    // What the label declares it knows: of its value, not of the function's variable.
    let knows = program(byte(), vec![ge(Term::int(255).sub(&t(1)).unwrap())], rcx);
    knows.accepted();
}

/// A caller proves the bounds of what it gives, and knows those of what it gets.
/// Attack n15.
#[test]
fn bounds_of_a_signature_are_proved_by_callers_and_known_inside() {
    let program = |given: Kind, wanted: Kind, promised: Kind, returned: Kind| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.sub(rsp, 8).unwrap();
            a.call(*g).unwrap();
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.mov(rax, rdi).unwrap();
            a.ret().unwrap();
        });
        let with = |before: Kind, after: Kind| {
            let mut sig = function(1, &[(Reg::Rdi, int(0))], 1, &[(Reg::Rax, int(1))]);
            sig.vars = vec![before];
            sig.post.as_mut().unwrap().vars = vec![after];
            sig
        };
        let (ours, theirs) = (with(given, returned), with(wanted, promised));
        Program::new(text, vec![(offsets[0], ours), (offsets[1], theirs)])
    };
    let to = |high| int_of(0, high);
    program(to(9), to(9), to(9), to(9)).accepted();
    program(to(8), to(9), to(9), to(10)).accepted();
    // The caller gives more than is wanted.
    program(to(10), to(9), to(9), to(9)).refused(Rule::Call);
    program(int_of(-1, 9), to(9), to(9), to(9)).refused(Rule::Call);
    program(Kind::INT, to(9), to(9), to(9)).refused(Rule::Call);
    // The callee returns more than it promises, the caller more than it got.
    program(to(9), to(9), to(8), to(9)).refused(Rule::Return);
    program(to(9), to(9), to(9), to(8)).refused(Rule::Return);
    program(to(9), to(9), Kind::INT, to(9)).refused(Rule::Return);
    // Nobody calls what wants a number that there is none of; inside, everything follows.
    program(to(9), int_of(1, 0), to(9), to(9)).refused(Rule::Call);
}

/// An entry stands for a code parameter if it takes what that takes, and gives no more.
/// Attacks s11, n16.
#[test]
fn bounds_of_code_parameters_are_proved_in_both_directions() {
    // h passes `inc` as f : code [x](rdi = x) -> [y](rax = y) to g.
    let program = |wanted: Kind, promised: Kind, takes: Kind, gives: Kind| {
        let inner = |i: u16| Word::Int(Term::var(Var::Inner(i)));
        let state = assertion(&[(Reg::Rax, inner(1))]);
        let sigma = Sig {
            vars: vec![wanted],
            pre: assertion(&[(Reg::Rdi, inner(0))]),
            post: Some(Post { vars: vec![promised], state }),
        };
        let code = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
        let mut user = function(0, &[(Reg::Rsi, code)], 0, &[]);
        user.vars.push(Kind::Code(Rc::new(sigma)));
        let mut inc = function(1, &[(Reg::Rdi, int(0))], 1, &[(Reg::Rax, int(1))]);
        inc.vars = vec![takes];
        inc.post.as_mut().unwrap().vars = vec![gives];
        let (text, offsets) = asm(3, |a, l| {
            let [h, g, inc] = l else { unreachable!() };
            a.set_label(h).unwrap();
            a.lea(rsi, qword_ptr(*inc)).unwrap();
            a.jmp(*g).unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
            a.set_label(inc).unwrap();
            a.endbr64().unwrap();
            a.mov(rax, rdi).unwrap();
            a.ret().unwrap();
        });
        let h = function(0, &[], 0, &[]);
        Program::new(text, vec![(offsets[0], h), (offsets[1], user), (offsets[2], inc)])
    };
    let to = |high| int_of(0, high);
    program(to(9), to(9), to(9), to(9)).accepted();
    program(to(8), to(10), to(9), to(9)).accepted();
    program(to(9), Kind::INT, to(9), to(9)).accepted();
    // It wants less than it may get, or gives more than is promised.
    program(to(9), to(9), to(8), to(9)).refused(Rule::TailCall);
    program(Kind::INT, to(9), to(9), to(9)).refused(Rule::TailCall);
    program(to(9), to(8), to(9), to(9)).refused(Rule::TailCall);
    program(to(9), to(9), to(9), Kind::INT).refused(Rule::TailCall);
}

/// What a code parameter may assume when it is called is not known to who passes it.
/// Attack s7.
#[test]
fn what_a_code_parameter_assumes_stays_there() {
    let program = |promised: i128| {
        // f is called only when k >= 5.
        let at_least = |least: i128| ge(t(0).plus(-least).unwrap());
        let mut sigma = function(0, &[], 0, &[]);
        sigma.pre.facts = vec![at_least(5)];
        let code = Word::Ptr(Base::Name(Var::Free(1)), Term::ZERO);
        let mut user = function(1, &[(Reg::Rdi, int(0)), (Reg::Rsi, code)], 0, &[]);
        user.vars.push(Kind::Code(Rc::new(sigma)));
        let mut h = function(1, &[(Reg::Rdi, int(0))], 0, &[]);
        h.vars = vec![int_of(0, 9)];
        h.post.as_mut().unwrap().state.facts = vec![at_least(promised)];
        let (text, offsets) = asm(3, |a, l| {
            let [h, g, f] = l else { unreachable!() };
            a.set_label(h).unwrap();
            a.lea(rsi, qword_ptr(*f)).unwrap();
            a.sub(rsp, 8).unwrap();
            a.call(*g).unwrap();
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.ret().unwrap();
            a.set_label(f).unwrap();
            a.endbr64().unwrap();
            a.ret().unwrap();
        });
        let f = function(0, &[], 0, &[]);
        Program::new(text, vec![(offsets[0], h), (offsets[1], user), (offsets[2], f)])
    };
    program(0).accepted();
    program(1).refused(Rule::Return);
    program(5).refused(Rule::Return);
}

/// The host's start is the interface's in its bounds, too.
/// Attack n16.
#[test]
fn the_start_has_the_bounds_of_the_interface() {
    let judged = |ours: Bounds, hosts: Bounds| {
        let (text, _) = asm(0, |a, _| a.db(&[0xEB, 0xFE]).unwrap()); // jmp to itself
        let sig = |bounds| {
            let mut sig = never(1, &[(Reg::Rdi, int(0))]);
            sig.vars = vec![Kind::Int(bounds)];
            sig
        };
        let mut program = Program::new(text, vec![(0, sig(ours))]);
        program.imports = vec![];
        program.start = Some(FnId(0));
        let interface = Interface { start: Rc::new(sig(hosts)), ..interface() };
        driver::verify(&program.image(), &interface, program.hints(), 1 << 12)
    };
    judged(within(0, 9), within(0, 9)).unwrap();
    judged(Bounds::NONE, Bounds::NONE).unwrap();
    for (ours, hosts) in [(within(0, 9), Bounds::NONE), (within(0, 8), within(0, 9))] {
        assert!(judged(ours, hosts).is_err());
    }
}

/// An interface whose start has one variable, of this kind.
fn bytes(kind: Kind) -> Vec<u8> {
    let mut start = never(1, &[(Reg::Rdi, int(0))]);
    start.vars = vec![kind];
    write_interface(&Interface { start: Rc::new(start), ..interface() })
}

/// What an interface says of bounds is in its bytes, which its hash is of.
/// Attack n16.
#[test]
fn bounds_are_part_of_what_is_hashed() {
    let kinds = [
        Kind::INT,
        int_of(0, 9),
        int_of(0, 10),
        int_of(-1, 9),
        int_of(0, 255),
        Kind::Int(Bounds::new(Some(0), None).unwrap()),
        Kind::Int(Bounds::new(None, Some(9)).unwrap()),
    ];
    for (i, a) in kinds.iter().enumerate() {
        let read = wire::read_interface(&bytes(a.clone()), [0; 32]).unwrap();
        assert_eq!(read.start.vars.first(), Some(a));
        for b in kinds.iter().skip(i + 1) {
            assert_ne!(bytes(a.clone()), bytes(b.clone()));
        }
    }
}

/// LEB128 of a number whose sign is in its lowest bit.
fn zigzag(number: i128) -> Vec<u8> {
    let mut left = (number << 1 ^ number >> 127).cast_unsigned();
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// Kinds have one form; no bound reaches 2^80 by reading.
/// Attacks n7, n25.
#[test]
fn bounds_have_one_form() {
    let far = tal_core::limits::CONSTANT;
    // What stands before a kind, and after it.
    let (any, other) = (bytes(Kind::INT), bytes(Kind::Word));
    let before = any.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let after = any.len() - before - 1;
    let form = |kind: &Kind| {
        let bytes = bytes(kind.clone());
        bytes[before..bytes.len() - after].to_vec()
    };
    let read = |form: &[u8]| {
        let bytes = [&any[..before], form, &any[before + 1..]].concat();
        wire::read_interface(&bytes, [0; 32]).map(|i| i.start.vars[0].clone())
    };
    let mut forms = Vec::new();
    for bounds in Bounds::COMMON {
        forms.push(form(&Kind::Int(bounds)));
        assert_eq!(forms.last().unwrap().len(), 1);
    }
    for kind in [
        Kind::INT,
        int_of(0, 2),
        int_of(1, 0),
        int_of(1 - far, far - 1),
        Kind::Int(Bounds::new(Some(0), None).unwrap()),
        Kind::Int(Bounds::new(None, Some(0)).unwrap()),
    ] {
        assert_eq!(read(&form(&kind)), Ok(kind.clone()));
        forms.push(form(&kind));
    }
    let all = forms.len();
    forms.sort();
    forms.dedup();
    assert_eq!(forms.len(), all);
    // A common one written out, or too large a bound, of each side.
    let raw = |tag: u8, ends: &[i128]| {
        let ends = ends.iter().flat_map(|end| zigzag(*end));
        read(&[tag].into_iter().chain(ends).collect::<Vec<u8>>()).map_err(|e| e.rule)
    };
    assert_eq!(raw(22, &[0, 2]), Ok(int_of(0, 2)));
    for common in Bounds::COMMON {
        let ends = [common.low().unwrap(), common.high().unwrap()];
        assert_eq!(raw(22, &ends), Err(Rule::Wire));
    }
    for ends in [[0, far], [-far, 0], [0, i128::MAX], [i128::MIN, 0], [i128::MAX, i128::MIN]] {
        assert_eq!(raw(22, &ends), Err(Rule::Wire));
    }
    for tag in [20, 21] {
        assert!(raw(tag, &[far - 1]).is_ok() && raw(tag, &[1 - far]).is_ok());
        for end in [far, -far, i128::MAX, i128::MIN] {
            assert_eq!(raw(tag, &[end]), Err(Rule::Wire));
        }
    }
    assert_eq!(raw(23, &[0, 2]), Err(Rule::Wire));
}
