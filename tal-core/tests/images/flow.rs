//! Not trusted: tests. One accepted program for each rule of transfers, and refused twins that
//! differ by one thing.

use super::*;
use iced_x86::code_asm::*;
use tal_core::limits;

/// `[n](rdi = n) -> (rax = n + k)`
fn adds(k: i128) -> Sig {
    function(1, &[(Reg::Rdi, int(0))], 0, &[(Reg::Rax, Word::Int(t(0).plus(k).unwrap()))])
}

fn one(sig: Sig, write: impl FnOnce(&mut CodeAssembler)) -> Program {
    let (text, _) = asm(0, |a, _| write(a));
    Program::new(text, vec![(0, sig)])
}

#[test]
fn return_matches_the_post_state() {
    let code = |a: &mut CodeAssembler| {
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    };
    one(adds(1), code).accepted();
    let error = one(adds(2), code).refused(Rule::Return);
    assert!(matches!(error.kind, Evidence::WrongRegister(Reg::Rax, _) | Evidence::NotProved(_)));
    // A never has nobody to return to.
    let sig = Sig { post: None, ..adds(1) };
    one(sig, code).refused(Rule::Return);
}

#[test]
fn return_wants_the_frame_gone() {
    let balanced = |a: &mut CodeAssembler| {
        a.push(rdi).unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.pop(rdx).unwrap();
        a.ret().unwrap();
    };
    one(adds(1), balanced).accepted();
    let deep = |a: &mut CodeAssembler| {
        a.push(rdi).unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    };
    assert_eq!(one(adds(1), deep).refused(Rule::Return).kind, Evidence::Depth(-8));
    // t113: the slot was written.
    let overwritten = |a: &mut CodeAssembler| {
        a.lea(rax, rdi + 1).unwrap();
        a.mov(qword_ptr(rsp), rdi).unwrap();
        a.ret().unwrap();
    };
    assert_eq!(one(adds(1), overwritten).refused(Rule::Return).kind, Evidence::WrongSlot(0));
}

#[test]
fn return_wants_the_saved_registers() {
    let saved = |a: &mut CodeAssembler| {
        a.push(rbx).unwrap();
        a.lea(rbx, rdi + 1).unwrap();
        a.mov(rax, rbx).unwrap();
        a.pop(rbx).unwrap();
        a.ret().unwrap();
    };
    one(adds(1), saved).accepted();
    // t117.
    let clobbered = |a: &mut CodeAssembler| {
        a.lea(rbx, rdi + 1).unwrap();
        a.mov(rax, rbx).unwrap();
        a.ret().unwrap();
    };
    let error = one(adds(1), clobbered).refused(Rule::Return);
    assert!(matches!(error.kind, Evidence::WrongRegister(Reg::Rbx, _)));
    // t118: restored from a slot that was written in between.
    let wrong = |a: &mut CodeAssembler| {
        a.push(rbx).unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.mov(qword_ptr(rsp), rdi).unwrap();
        a.pop(rbx).unwrap();
        a.ret().unwrap();
    };
    one(adds(1), wrong).refused(Rule::Return);
}

/// f calls g twice with rdi = n: `keep` says what holds n over the first call.
fn caller(keep_in_saved: bool) -> Program {
    let (text, offsets) = asm(2, |a, l| {
        let [f, g] = l else { unreachable!() };
        a.set_label(f).unwrap();
        a.push(rbx).unwrap();
        if keep_in_saved {
            a.mov(rbx, rdi).unwrap();
        } else {
            a.mov(rsi, rdi).unwrap();
        }
        a.call(*g).unwrap();
        if keep_in_saved {
            a.mov(rdi, rbx).unwrap();
        } else {
            a.mov(rdi, rsi).unwrap();
        }
        a.call(*g).unwrap();
        a.pop(rbx).unwrap();
        a.ret().unwrap();
        a.set_label(g).unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    });
    Program::new(text, vec![(offsets[0], adds(1)), (offsets[1], adds(1))])
}

#[test]
fn call_keeps_saved_registers_only() {
    caller(true).accepted();
    let mut lost = caller(false);
    lost.oracle.insts = VecDeque::from([vec![Inst::Int(t(0))], vec![Inst::Int(t(0))]]);
    lost.refused(Rule::Call);
}

#[test]
fn call_goes_to_entries_and_gates() {
    let gate = |address: u64| {
        let sig = function(1, &[(Reg::Rdi, int(0))], 1, &[(Reg::Rax, int(1))]);
        let mut program = one(sig, |a| {
            a.sub(rsp, 8).unwrap();
            a.call(address).unwrap();
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
        });
        program.imports = vec![1];
        program
    };
    gate(limits::GATES).accepted();
    let error = gate(limits::GATES + limits::GATE_SIZE).refused(Rule::Call);
    assert_eq!(error.kind, Evidence::BadTarget(limits::GATES + limits::GATE_SIZE));
    gate(limits::GATES + 8).refused(Rule::Call);
    gate(u64::from(TEXT) + 4).refused(Rule::Call);
    // The same gate for another import, which never comes back.
    let mut other = gate(limits::GATES);
    other.imports = vec![0];
    assert!(other.verify().is_err());
}

#[test]
fn call_never_ends_the_block() {
    let (text, offsets) = asm(1, |a, l| {
        a.call(limits::GATES).unwrap();
        a.int3().unwrap();
        a.set_label(&mut l[0]).unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    });
    let functions = vec![(0, never(1, &[(Reg::Rdi, int(0))])), (offsets[0], adds(1))];
    Program::new(text.clone(), functions.clone()).accepted();
    // rdi holds nothing: its word is not I.
    let functions = vec![(0, never(0, &[])), functions[1].clone()];
    let mut program = Program::new(text, functions);
    program.oracle.insts = VecDeque::from([vec![Inst::Int(Term::ZERO)]]);
    program.refused(Rule::CallNever);
}

#[test]
fn calls_keep_within_frame_and_probe() {
    let sized = |bytes: i32| {
        let sig = function(1, &[(Reg::Rdi, int(0))], 1, &[(Reg::Rax, int(1))]);
        let mut program = one(sig, |a| {
            a.sub(rsp, bytes).unwrap();
            a.call(limits::GATES).unwrap();
            a.add(rsp, bytes).unwrap();
            a.ret().unwrap();
        });
        program.imports = vec![1];
        program
    };
    sized(4072).accepted();
    // t109 and U6: the pushed return address would lie a page below what was touched.
    assert_eq!(sized(4080).refused(Rule::Call).kind, Evidence::Depth(-4088));
}

#[test]
fn stack_arguments_belong_to_the_callee() {
    // g [n]([rsp+8] = n) -> (rax = n + 1)
    let takes = || {
        let mut sig = function(1, &[], 0, &[(Reg::Rax, Word::Int(t(0).plus(1).unwrap()))]);
        sig.pre.args = vec![(8, int(0))];
        sig
    };
    let program = |reuse: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.push(rdi).unwrap();
            a.call(*g).unwrap();
            if reuse {
                a.mov(rax, qword_ptr(rsp)).unwrap();
                a.add(rax, 1).unwrap();
            }
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.mov(rax, qword_ptr(rsp + 8)).unwrap();
            a.add(rax, 1).unwrap();
            // Legal: the slot is g's.
            a.mov(qword_ptr(rsp + 8), rax).unwrap();
            a.ret().unwrap();
        });
        let mut program = Program::new(text, vec![(offsets[0], adds(1)), (offsets[1], takes())]);
        program.oracle.insts = VecDeque::from([vec![Inst::Int(t(0))]]);
        program
    };
    program(false).accepted();
    // U4: what the caller finds there is no longer what it put there.
    program(true).refused(Rule::Return);
}

/// What callees leave in the slots of their arguments counts as every other slot.
#[test]
fn slots_stay_within_their_limit_at_calls() {
    // g [n]([rsp+8] = J) -> ([rsp+8] = 1)
    let mut leaves = function(0, &[], 0, &[]);
    leaves.pre.args = vec![(8, Word::Junk)];
    leaves.post.as_mut().unwrap().state.args = vec![(8, Word::Int(Term::int(1)))];
    let program = |known: usize| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            for _ in 0..known {
                a.push(1).unwrap();
            }
            a.sub(rsp, 8).unwrap();
            a.call(*g).unwrap();
            a.add(rsp, i32::try_from(8 * (known + 1)).unwrap()).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.mov(qword_ptr(rsp + 8), 1).unwrap();
            a.ret().unwrap();
        });
        Program::new(
            text,
            vec![(offsets[0], function(0, &[], 0, &[])), (offsets[1], leaves.clone())],
        )
    };
    // Besides, the return address and what g leaves.
    program(limits::SLOTS - 2).accepted();
    program(limits::SLOTS - 1).refused(Rule::Limit);
}

#[test]
fn transfers_go_to_starts() {
    let jump = |to: u64| {
        one(adds(1), |a| {
            a.lea(rax, rdi + 1).unwrap();
            a.jmp(to).unwrap();
        })
    };
    // Its own entry; then the middle of an instruction (t126), and nowhere (t131).
    jump(u64::from(TEXT)).accepted();
    for to in [1, 4] {
        let error = jump(u64::from(TEXT + to)).refused(Rule::Claim);
        assert_eq!((error.kind, error.site), (Evidence::Undecodable, Some(to)));
    }
    for to in [7, 1 << 20] {
        let address = u64::from(TEXT) + to;
        assert_eq!(jump(address).refused(Rule::Jump).kind, Evidence::BadTarget(address));
    }
}

/// Attack t142.
#[test]
fn blocks_partition_the_text() {
    let code = |a: &mut CodeAssembler| {
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    };
    let good = one(adds(1), code);
    let offset = u32::try_from(good.text.len()).unwrap();
    let mut padded = good.clone();
    padded.text.extend([0xCC, 0x90]);
    padded.accepted();
    // t128: anything else between blocks.
    let mut data = good.clone();
    data.text.extend([0xCC, 0x12]);
    data.refused(Rule::Driver);
    // t129: control runs out of the text, or into padding.
    let falls = one(adds(1), |a| {
        a.lea(rax, rdi + 1).unwrap();
    });
    falls.refused(Rule::Fall);
    let mut padding = falls.clone();
    padding.text.push(0xCC);
    padding.refused(Rule::RowNop);
    // t126, t127: a label inside an instruction.
    let overlap = good.clone().label(1, label(0, &[]));
    assert_eq!(overlap.refused(Rule::Claim).kind, Evidence::Undecodable);
    // t135: the text ends inside an instruction.
    let mut cut = good.clone();
    cut.text.truncate(2);
    cut.refused(Rule::Decode);
    // A start beyond the text.
    good.label(offset, label(0, &[])).refused(Rule::Driver);
}

/// `[n] {n >= 0} (rdi = n) -> (rax = n)`, counting up from 0.
fn counter() -> (Program, u32) {
    let mut sig = adds(0);
    sig.pre.facts.push(ge(t(0)));
    let (text, offsets) = asm(2, |a, l| {
        let [top, out] = l else { unreachable!() };
        a.xor(eax, eax).unwrap();
        a.set_label(top).unwrap();
        a.cmp(rax, rdi).unwrap();
        a.je(*out).unwrap();
        a.inc(rax).unwrap();
        a.jmp(*top).unwrap();
        a.set_label(out).unwrap();
        a.ret().unwrap();
    });
    let mut sig_range = sig;
    let bound = Term::constant_of((1 << 62) - 1).unwrap().sub(&t(0)).unwrap();
    sig_range.pre.facts.push(ge(bound));
    let mut top = label(1, &[(Reg::Rdi, int(0)), (Reg::Rax, int(1))]);
    top.facts = vec![ge(t(1)), ge(t(0).sub(&t(1)).unwrap())];
    let out = label(0, &[(Reg::Rax, int(0))]);
    let program = Program::new(text, vec![(0, sig_range)]);
    (program.label(offsets[0], top).label(offsets[1], out), offsets[0])
}

#[test]
fn labels_are_entailed_on_every_edge() {
    let (good, _) = counter();
    let error = good.verify();
    // i <= n at the back edge needs i /= n and i <= n: rule[step-neq], which the oracle does not
    // know.
    assert_eq!(error.unwrap_err().rule, Rule::Entail);
}

/// As `counter`, with i as the only thing that is known at the loop head.
fn weak(change: impl FnOnce(&mut LabelState)) -> Program {
    let (text, offsets) = asm(2, |a, l| {
        let [top, out] = l else { unreachable!() };
        a.xor(eax, eax).unwrap();
        a.set_label(top).unwrap();
        a.cmp(rax, rdi).unwrap();
        a.je(*out).unwrap();
        a.inc(rax).unwrap();
        a.jmp(*top).unwrap();
        a.set_label(out).unwrap();
        a.mov(rax, rdi).unwrap();
        a.ret().unwrap();
    });
    let mut top = label(1, &[(Reg::Rdi, int(0)), (Reg::Rax, int(1))]);
    top.facts = vec![ge(t(1))];
    change(&mut top);
    let out = label(0, &[(Reg::Rdi, int(0))]);
    Program::new(text, vec![(0, adds(0))]).label(offsets[0], top).label(offsets[1], out)
}

/// Attack A6.
#[test]
fn label_states_hold_on_entry_and_around() {
    weak(|_| {}).accepted();
    // Not true on the way in.
    weak(|l| l.facts[0] = ge(t(1).plus(-1).unwrap())).refused(Rule::Entail);
    // True on the way in, not around: 1 - i >= 0.
    weak(|l| l.facts.push(ge(Term::int(1).sub(&t(1)).unwrap()))).refused(Rule::Entail);
    // U5, U6, t113, t133: depth, touched, slots and registers are compared.
    weak(|l| {
        l.delta = -8;
        l.touched = -8;
    })
    .refused(Rule::Entail);
    weak(|l| l.touched = -8).refused(Rule::Entail);
    weak(|l| l.regs[Reg::R9 as usize] = int(1)).refused(Rule::Entail);
    weak(|l| l.regs[Reg::Rbx as usize] = int(1)).refused(Rule::Entail);
    // Less is fine; without the return address nobody can return.
    let forgets = weak(|l| l.slots.clear());
    assert!(forgets.verify().is_err());
}

/// Attack t35.
#[test]
fn what_one_edge_learns_the_other_does_not_know() {
    // if n < 10 (unsigned) goto out; out: knows 9 - n >= 0; the other edge claims it too.
    let program = |claim_other: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [less, more] = l else { unreachable!() };
            a.cmp(rdi, 10).unwrap();
            a.jb(*less).unwrap();
            a.jmp(*more).unwrap();
            a.set_label(less).unwrap();
            a.mov(rax, rdi).unwrap();
            a.ret().unwrap();
            a.set_label(more).unwrap();
            a.mov(rax, rdi).unwrap();
            a.ret().unwrap();
        });
        let mut sig = adds(0);
        let top = Term::constant_of((1 << 64) - 1).unwrap();
        sig.pre.facts = vec![ge(t(0)), ge(top.sub(&t(0)).unwrap())];
        let mut less = label(0, &[(Reg::Rdi, int(0))]);
        let mut more = less.clone();
        less.facts = vec![ge(Term::int(9).sub(&t(0)).unwrap())];
        if claim_other {
            more.facts.clone_from(&less.facts);
        } else {
            more.facts = vec![ge(t(0).plus(-10).unwrap())];
        }
        Program::new(text, vec![(0, sig)]).label(offsets[0], less).label(offsets[1], more)
    };
    program(false).accepted();
    program(true).refused(Rule::Entail);
}

#[test]
fn labels_are_their_functions_own() {
    // t125: g jumps to a label of f.
    let program = |own: bool| {
        let (text, offsets) = asm(3, |a, l| {
            let [f, inside, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.lea(rax, rdi + 1).unwrap();
            a.set_label(inside).unwrap();
            a.ret().unwrap();
            a.set_label(g).unwrap();
            a.lea(rax, rdi + 1).unwrap();
            if own {
                a.ret().unwrap();
            } else {
                a.jmp(*inside).unwrap();
            }
        });
        let functions = vec![(offsets[0], adds(1)), (offsets[2], adds(1))];
        let state = label(0, &[(Reg::Rax, Word::Int(t(0).plus(1).unwrap()))]);
        Program::new(text, functions).label(offsets[1], state)
    };
    program(true).accepted();
    program(false).refused(Rule::Jump);
}

/// Attack A20.
#[test]
fn tail_calls_keep_our_promise() {
    let program = |ours: Sig, with_frame: bool, fall: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            if with_frame {
                a.push(rdi).unwrap();
            }
            a.lea(rdi, rdi + 1).unwrap();
            if !fall {
                a.jmp(*g).unwrap();
            }
            a.set_label(g).unwrap();
            a.lea(rax, rdi + 1).unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(offsets[0], ours), (offsets[1], adds(1))])
    };
    program(adds(2), false, false).accepted();
    program(adds(2), false, true).accepted();
    program(adds(1), false, false).refused(Rule::TailCall);
    program(adds(1), false, true).refused(Rule::TailCall);
    // t123.
    program(adds(2), true, false).refused(Rule::TailCall);
    // A never has no return address to pass on.
    program(Sig { post: None, ..adds(2) }, false, false).refused(Rule::TailCall);
}

#[test]
fn a20_a_tail_call_passes_stack_arguments_in_our_own() {
    // f jumps to g ([rsp+8] = n), having such a slot itself, or not.
    let program = |ours: Vec<(u16, Word)>| {
        let (text, offsets) = asm(2, |a, l| {
            let [f, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.jmp(*g).unwrap();
            a.set_label(g).unwrap();
            a.mov(rax, qword_ptr(rsp + 8)).unwrap();
            a.ret().unwrap();
        });
        let takes = |args| {
            let mut sig = function(1, &[(Reg::Rdi, int(0))], 0, &[(Reg::Rax, int(0))]);
            sig.pre.args = args;
            sig
        };
        let functions = vec![(offsets[0], takes(ours)), (offsets[1], takes(vec![(8, int(0))]))];
        Program::new(text, functions)
    };
    program(vec![(8, int(0))]).accepted();
    program(vec![(16, int(0))]).refused(Rule::TailCall);
    program(vec![]).refused(Rule::TailCall);
}

#[test]
fn jumping_to_the_own_entry_is_a_tail_call() {
    // A5: returns 6 where the caller was promised n + 1.
    let program = one(adds(1), |a| {
        a.mov(edi, 5).unwrap();
        a.jmp(u64::from(TEXT)).unwrap();
    });
    program.refused(Rule::TailCall);
    one(adds(1), |a| {
        a.jmp(u64::from(TEXT)).unwrap();
    })
    .accepted();
}

#[test]
fn jump_never_wants_the_stack_touched() {
    let program = |bytes: i32| {
        one(never(1, &[(Reg::Rdi, int(0))]), |a| {
            if bytes != 0 {
                a.sub(rsp, bytes).unwrap();
            }
            a.jmp(limits::GATES).unwrap();
        })
    };
    program(0).accepted();
    assert_eq!(program(16).refused(Rule::JumpNever).kind, Evidence::Depth(-16));
}

/// `[i] {0 <= i <= 1} (rdi = i) -> (rax = i)` by a table of two labels.
fn table(index_bound: i64, words: &[u64], function: FnId) -> Program {
    let (text, offsets) = asm(2, |a, l| {
        let [zero, other] = l else { unreachable!() };
        a.jmp(qword_ptr(rdi * 8 + TABLE)).unwrap();
        a.set_label(zero).unwrap();
        a.endbr64().unwrap();
        a.xor(eax, eax).unwrap();
        a.ret().unwrap();
        a.set_label(other).unwrap();
        a.endbr64().unwrap();
        a.mov(rax, rdi).unwrap();
        a.ret().unwrap();
    });
    let mut sig = adds(0);
    sig.pre.facts = vec![ge(t(0)), ge(Term::int(index_bound).sub(&t(0)).unwrap())];
    let mut zero = label(0, &[(Reg::Rdi, int(0))]);
    zero.facts = vec![Fact { rel: Rel::Eq, term: t(0) }];
    let other = label(0, &[(Reg::Rdi, int(0))]);
    let bytes = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut program = Program::new(text, vec![(0, sig)]);
    program = program.label(offsets[0], zero).label(offsets[1], other);
    program.table = Some((function, bytes));
    program
}

/// Attack t139.
/// Attacks s14, n23.
#[test]
fn jump_tables_go_to_own_labels_in_bounds() {
    let (zero, other) = {
        let program = table(1, &[0, 0], FnId(0));
        let at = |i: usize| u64::from(TEXT) + u64::from(program.labels[i].offset);
        (at(0), at(1))
    };
    table(1, &[zero, other], FnId(0)).accepted();
    // t137: one past the end.
    table(2, &[zero, other], FnId(0)).refused(Rule::JumpTable);
    // Label `zero` needs i = 0, entry 1 says i = 1.
    table(1, &[zero, zero], FnId(0)).refused(Rule::Entail);
    // A13, t136: not a label.
    assert!(table(1, &[zero, other + 1], FnId(0)).verify().is_err());
    assert!(table(1, &[zero, other], FnId(1)).verify().is_err());
    // t141: no endbr64 there, but four nops.
    let mut unmarked = table(1, &[zero, other], FnId(0));
    let at = usize::try_from(other - u64::from(TEXT)).unwrap();
    unmarked.text[at..at + 4].fill(0x90);
    unmarked.refused(Rule::JumpTable);
}

#[test]
fn tables_of_the_image_are_checked() {
    let good = || {
        one(adds(1), |a| {
            a.lea(rax, rdi + 1).unwrap();
            a.ret().unwrap();
        })
    };
    good().accepted();
    let mut unused = good();
    unused.sigs.push(Rc::new(adds(2)));
    unused.refused(Rule::Driver);
    let mut missing = good();
    missing.functions[0].sig = 1;
    missing.refused(Rule::Driver);
    let mut imports = good();
    imports.imports = vec![0, 0];
    imports.refused(Rule::Import);
    imports.imports = vec![2];
    imports.refused(Rule::Import);
    // The start must be the host's never.
    let mut start = good();
    start.start = Some(FnId(0));
    assert!(start.verify().is_err());
    let mut unsorted = good();
    unsorted.functions.push(unsorted.functions[0].clone());
    unsorted.refused(Rule::Driver);
    // t160: two states for one place.
    let state = || label(0, &[(Reg::Rax, Word::Int(t(0).plus(1).unwrap()))]);
    good().label(4, state()).accepted();
    good().label(4, state()).label(4, state()).refused(Rule::Driver);
    // Code before the first function belongs to nobody.
    let mut early = good();
    early.text.insert(0, 0xC3);
    early.functions[0].offset = 1;
    assert_eq!(early.refused(Rule::Driver).site, Some(0));
    early.label(0, label(0, &[])).refused(Rule::Driver);
}

#[test]
fn the_start_is_the_hosts() {
    let program = |sig: Sig| {
        let mut program = one(sig, |a| {
            a.xor(edi, edi).unwrap();
            a.call(limits::GATES).unwrap();
        });
        program.start = Some(FnId(0));
        program
    };
    program(never(0, &[])).accepted();
    assert!(program(never(1, &[(Reg::Rdi, int(0))])).verify().is_err());
}

/// g [f : code [x](rdi = x) -> (rax = x + k)](rsi = f, rdi = n) and h passes `adds(1)` as f.
fn passes(k: i128) -> Program {
    let inner = |i: u16| Term::var(Var::Inner(i));
    let sigma = Sig {
        vars: vec![Kind::INT],
        pre: assertion(&[(Reg::Rdi, Word::Int(inner(0)))]),
        post: Some(Post {
            vars: Vec::new(),
            state: assertion(&[(Reg::Rax, Word::Int(inner(0).plus(k).unwrap()))]),
        }),
    };
    let code = Word::Ptr(Base::Name(Var::Free(1)), Term::ZERO);
    let result = Word::Int(t(0).plus(2 * k).unwrap());
    let mut user = function(1, &[(Reg::Rdi, int(0)), (Reg::Rsi, code)], 0, &[(Reg::Rax, result)]);
    user.vars.push(Kind::Code(Rc::new(sigma)));
    let (text, offsets) = asm(3, |a, l| {
        let [h, g, inc] = l else { unreachable!() };
        a.set_label(h).unwrap();
        a.lea(rsi, qword_ptr(*inc)).unwrap();
        a.jmp(*g).unwrap();
        a.set_label(g).unwrap();
        a.push(rbx).unwrap();
        a.mov(rbx, rsi).unwrap();
        a.call(rbx).unwrap();
        a.mov(rdi, rax).unwrap();
        a.call(rbx).unwrap();
        a.pop(rbx).unwrap();
        a.ret().unwrap();
        a.set_label(inc).unwrap();
        a.endbr64().unwrap();
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    });
    let functions = vec![(offsets[0], adds(2 * k)), (offsets[1], user), (offsets[2], adds(1))];
    Program::new(text, functions)
}

#[test]
fn code_parameters_take_entries_that_fit() {
    passes(1).accepted();
    // t103: the entry leaves something else than the parameter promises.
    passes(2).refused(Rule::TailCall);
}

/// h [n](rdi = n) -> never passes `inc` to g [f : code [x](rdi = x) -> never], which calls it.
fn never_passes(inc: Sig) -> Program {
    let sigma = Sig {
        vars: vec![Kind::INT],
        pre: assertion(&[(Reg::Rdi, Word::Int(Term::var(Var::Inner(0))))]),
        post: None,
    };
    let code = Word::Ptr(Base::Name(Var::Free(1)), Term::ZERO);
    let mut user = never(1, &[(Reg::Rdi, int(0)), (Reg::Rsi, code)]);
    user.vars.push(Kind::Code(Rc::new(sigma)));
    let returns = inc.post.is_some();
    let (text, offsets) = asm(3, |a, l| {
        let [h, g, inc] = l else { unreachable!() };
        a.set_label(h).unwrap();
        a.lea(rsi, qword_ptr(*inc)).unwrap();
        a.jmp(*g).unwrap();
        a.set_label(g).unwrap();
        a.call(rsi).unwrap();
        a.set_label(inc).unwrap();
        a.endbr64().unwrap();
        if returns {
            a.lea(rax, rdi + 1).unwrap();
            a.ret().unwrap();
        } else {
            a.jmp(*inc).unwrap();
        }
    });
    let h = never(1, &[(Reg::Rdi, int(0))]);
    Program::new(text, vec![(offsets[0], h), (offsets[1], user), (offsets[2], inc)])
}

#[test]
fn c32_who_returns_stands_for_nobody_who_does_not() {
    never_passes(never(1, &[(Reg::Rdi, int(0))])).accepted();
    never_passes(adds(1)).refused(Rule::TailCall);
    // The other way round there is nothing to be kept: it never comes back.
    let mut program = passes(1);
    program.sigs[2] = Rc::new(never(1, &[(Reg::Rdi, int(0))]));
    let at = usize::try_from(program.functions[2].offset).unwrap();
    program.text.truncate(at + 4);
    program.text.extend([0xEB, 0xFA]);
    program.accepted();
}

/// An entry that itself has a code parameter would be judged inside of the judgement of another:
/// without a bound on the depth, if it takes itself.
/// Attack c32.
#[test]
fn code_subs_do_not_nest() {
    let mut program = passes(1);
    let takes_code = |program: &mut Program| {
        let code = program.sigs[1].vars[1].clone();
        Rc::get_mut(&mut program.sigs[2]).unwrap().vars.push(code);
    };
    takes_code(&mut program);
    let inc = Inst::Code(Base::Code(FnId(2)));
    let inner = vec![Inst::Int(t(1)), inc.clone()];
    program.oracle.insts = VecDeque::from([vec![Inst::Int(t(0)), inc], inner]);
    assert_eq!(program.refused(Rule::CodeSub).kind, Evidence::Limit);
}

/// Attack A18.
#[test]
fn ghosts_at_one_place_are_few() {
    let program = |count: usize| {
        let mut program = one(adds(1), |a| {
            a.lea(rax, rdi + 1).unwrap();
            a.ret().unwrap();
        });
        for _ in 0..count {
            let renorm =
                Ghost::Renorm { place: tal_core::hint::Place::Reg(Reg::Rax), signed: false };
            // rax is junk at the entry, so put it after the lea.
            program = program.ghost(Site::At(4), renorm);
        }
        program
    };
    program(0).accepted();
    // Renormed, rax is no longer n + 1: refused by the return, not by the number of ghosts.
    program(limits::GHOSTS).refused(Rule::Return);
    program(limits::GHOSTS + 1).refused(Rule::GhostPlace);
}

/// Attack t166.
#[test]
fn fuel_runs_out_and_refuses() {
    let program = weak(|_| {});
    let (image, interface) = (program.image(), interface());
    let mut judge = tal_core::judge::Judge::new(&image, &interface, program.hints(), 0);
    judge.fuel = 20;
    assert_eq!(judge.verify().unwrap_err().rule, Rule::Limit);
}

/// Programs of every shape, for the tests of sections.
pub(super) fn programs() -> Vec<Program> {
    let zero = |p: &Program, i: usize| u64::from(TEXT) + u64::from(p.labels[i].offset);
    let shape = table(1, &[0, 0], FnId(0));
    let words = [zero(&shape, 0), zero(&shape, 1)];
    vec![caller(true), weak(|_| {}), table(1, &words, FnId(0)), passes(1)]
}
