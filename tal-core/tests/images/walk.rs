//! Not trusted: tests. The walk: blocks that only one way leads to, what waits for them, and that
//! nothing is judged as two things. Each is an attack with its accepted twin.

use super::*;
use iced_x86::code_asm::*;
use tal_core::hint::Place;
use tal_core::limits;
use tal_core::ty::{Bounds, Guard, Mem, Mode, NameSet, Region};

const U64: (i128, i128) = (0, (1 << 64) - 1);

fn int_of((low, high): (i128, i128)) -> Kind {
    Kind::Int(Bounds::new(Some(low), Some(high)).unwrap())
}

pub(super) fn bytes(mem: Mem, guards: Vec<Guard>) -> View {
    let base = Base::Name(Var::Free(0));
    View {
        guards,
        region: Region::Always,
        mode: Mode::Ro,
        base,
        offset: Term::ZERO,
        mem: Rc::new(mem),
    }
}

/// `[x : addr, n, m : 0..=2^64-1](rdi = x, rcx = n, rsi = m; always ro bytes(8) at x)`
pub(super) fn reader() -> Sig {
    let pointer = Word::Ptr(Base::Name(Var::Free(0)), Term::ZERO);
    let mut sig =
        function(0, &[(Reg::Rdi, pointer), (Reg::Rcx, int(1)), (Reg::Rsi, int(2))], 0, &[]);
    let address = Kind::Addr { set: NameSet::ADDRESS, block: None };
    sig.vars = vec![address, int_of(U64), int_of(U64)];
    sig.pre.views = vec![bytes(Mem::Bytes(Term::int(8)), vec![])];
    sig
}

/// A function of that signature, and the offsets of its labels, none of which is declared.
fn reads(labels: usize, code: impl FnOnce(&mut CodeAssembler, &mut [CodeLabel])) -> Program {
    let (text, _) = asm(labels, code);
    Program::new(text, vec![(0, reader())])
}

/// H7: the block learns its own condition, and the way that falls the opposite.
/// Attack s0.
#[test]
fn a_block_knows_its_condition() {
    let there = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        reads(1, |a, l| {
            a.cmp(rcx, 8).unwrap();
            jump(a, l[0]);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
        })
    };
    there(|a, to| a.jb(to).unwrap()).accepted();
    there(|a, to| a.jae(to).unwrap()).refused(Rule::Shape);
    there(|a, to| a.je(to).unwrap()).refused(Rule::Shape);
    let here = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        reads(1, |a, l| {
            a.cmp(rcx, 8).unwrap();
            jump(a, l[0]);
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.ret().unwrap();
        })
    };
    here(|a, to| a.jae(to).unwrap()).accepted();
    here(|a, to| a.jb(to).unwrap()).refused(Rule::Shape);
}

/// H7 with a relation instead of a bound.
#[test]
fn a_block_does_not_know_what_fell_through() {
    let there = |jump: fn(&mut CodeAssembler, CodeLabel)| {
        let mut program = reads(1, |a, l| {
            a.cmp(rcx, rsi).unwrap();
            jump(a, l[0]);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
        });
        // As many bytes as rsi says.
        let mut sig = Sig::clone(&program.sigs[0]);
        sig.pre.views = vec![bytes(Mem::Bytes(t(2)), vec![])];
        program.sigs = vec![Rc::new(sig)];
        program
    };
    there(|a, to| a.jb(to).unwrap()).accepted();
    there(|a, to| a.jae(to).unwrap()).refused(Rule::Shape);
}

/// What one way narrowed is as wide as before on the one that waited, registers and all.
#[test]
fn what_waited_is_as_it_was() {
    let after = |fall: fn(&mut CodeAssembler), block: fn(&mut CodeAssembler)| {
        reads(1, |a, l| {
            a.cmp(rsi, 1).unwrap();
            a.jb(l[0]).unwrap();
            fall(a);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            block(a);
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
        })
    };
    after(|_| (), |a| a.and(ecx, 7).unwrap()).accepted();
    // Bounds: of the block's own condition, and of those of the way that fell.
    let narrowed = |a: &mut CodeAssembler| {
        a.and(ecx, 7).unwrap();
        a.mov(al, byte_ptr(rdi + rcx)).unwrap();
    };
    after(narrowed, |_| ()).refused(Rule::Shape);
    after(|a| a.xor(ecx, ecx).unwrap(), |_| ()).refused(Rule::Shape);
    let contradicts = reads(1, |a, l| {
        a.cmp(rcx, 8).unwrap();
        a.ja(l[0]).unwrap();
        a.ret().unwrap();
        a.set_label(&mut l[0]).unwrap();
        a.mov(al, byte_ptr(rdi + rcx - 1)).unwrap();
        a.ret().unwrap();
    });
    contradicts.refused(Rule::Shape);
    // What was known before stays: 1.4a, with the label taken up after the block.
    let program = |first: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [block, label] = l else { unreachable!() };
            if first {
                a.and(ecx, 7).unwrap();
            }
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.jmp(*label).unwrap();
            a.set_label(block).unwrap();
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
            a.set_label(label).unwrap();
            a.lea(rax, rcx + 1).unwrap();
            a.ret().unwrap();
        });
        let state = label(1, &[(Reg::Rcx, int(3))]);
        Program::new(text, vec![(0, reader())]).label(offsets[1], state)
    };
    program(true).accepted();
    program(false).refused(Rule::Shape);
}

/// The frame of the block is that of its condition.
#[test]
fn the_frame_of_what_waited_is_as_it_was() {
    let program = |fall: fn(&mut CodeAssembler), block: fn(&mut CodeAssembler)| {
        reads(1, |a, l| {
            a.push(rcx).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(l[0]).unwrap();
            fall(a);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            block(a);
            a.ret().unwrap();
        })
    };
    let pops = |a: &mut CodeAssembler| a.pop(rdx).unwrap();
    program(pops, pops).accepted();
    assert_eq!(program(pops, |_| ()).refused(Rule::Return).kind, Evidence::Depth(-8));
    assert_eq!(program(|_| (), pops).refused(Rule::Return).kind, Evidence::Depth(-8));
}

/// A name that is decided on one way is not on the other, and a view that is there on one is not.
/// Attacks H3, s3.
#[test]
fn what_is_known_of_a_name_waits_too() {
    let program = |jump: fn(&mut CodeAssembler, CodeLabel), here: bool| {
        let (text, _) = asm(1, |a, l| {
            let load = |a: &mut CodeAssembler| a.mov(al, byte_ptr(rdi)).unwrap();
            a.test(rdi, rdi).unwrap();
            jump(a, l[0]);
            if here {
                load(a);
            }
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            if !here {
                load(a);
            }
            a.ret().unwrap();
        });
        let mut sig = reader();
        sig.vars[0] = Kind::Addr { set: NameSet::NULLABLE, block: None };
        let guard = Guard::IsAddress(Var::Free(0));
        sig.pre.views = vec![bytes(Mem::Bytes(Term::int(8)), vec![guard])];
        Program::new(text, vec![(0, sig)])
    };
    type Jump = fn(&mut CodeAssembler, CodeLabel);
    let zero: Jump = |a, to| a.jz(to).unwrap();
    let other: Jump = |a, to| a.jnz(to).unwrap();
    program(zero, true).accepted();
    program(other, false).accepted();
    assert!(program(other, true).verify().is_err());
    assert!(program(zero, false).verify().is_err());
}

/// An edge with ghosts comes to what the label declares, and what they changed is put back.
/// Attack W12.
#[test]
fn an_edge_with_ghosts_fits_its_label() {
    let program = |more: i128, ghost: bool| {
        let (text, offsets) = asm(2, |a, l| {
            let [to, block] = l else { unreachable!() };
            a.lea(rax, rcx + 1).unwrap();
            a.cmp(rcx, 8).unwrap();
            a.jae(*to).unwrap();
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.jmp(*block).unwrap();
            a.set_label(to).unwrap();
            a.ret().unwrap();
            a.set_label(block).unwrap();
            a.ret().unwrap();
        });
        let state = label(0, &[(Reg::Rax, Word::Int(t(1).plus(more).unwrap()))]);
        let program = Program::new(text, vec![(0, reader())]).label(offsets[0], state);
        if !ghost {
            return program;
        }
        // rcx is another integer behind it, on this edge only.
        let edge = Site::Edge { from: 8, to: offsets[0] };
        program.ghost(edge, Ghost::Renorm { place: Place::Reg(Reg::Rcx), signed: false })
    };
    for ghost in [false, true] {
        program(1, ghost).accepted();
        program(2, ghost).refused(Rule::Entail);
    }
}

/// Flags stay readable where a block goes on, after a jump too; at a label they do not.
/// Attack s21.
#[test]
fn a_block_reads_the_flags_of_its_condition() {
    let program = |declared: bool| {
        let (text, offsets) = asm(3, |a, l| {
            let [first, second, last] = l else { unreachable!() };
            a.cmp(rcx, 8).unwrap();
            a.jbe(*first).unwrap();
            a.ret().unwrap();
            a.set_label(first).unwrap();
            a.jmp(*second).unwrap();
            a.int3().unwrap();
            a.set_label(second).unwrap();
            a.je(*last).unwrap();
            a.mov(al, byte_ptr(rdi + rcx)).unwrap();
            a.ret().unwrap();
            a.set_label(last).unwrap();
            a.ret().unwrap();
        });
        let program = Program::new(text, vec![(0, reader())]);
        if declared { program.label(offsets[1], label(0, &[])) } else { program }
    };
    program(false).accepted();
    program(true).refused(Rule::FlagsRead);
}

/// A block has one way into it, whatever is found first.
/// Attack s14.
#[test]
fn no_other_way_leads_to_a_block() {
    type Code = fn(&mut CodeAssembler, CodeLabel);
    // What stands between a condition that leads to the block and the block.
    let between: [Code; 4] = [
        |a, to| {
            a.cmp(rsi, 8).unwrap();
            a.jb(to).unwrap();
            a.ret().unwrap();
        },
        |a, _| a.nop().unwrap(),
        |a, to| a.jmp(to).unwrap(),
        |_, _| (),
    ];
    // What leads from the block to itself.
    let back: [Code; 2] = [
        |a, to| {
            a.cmp(rcx, 8).unwrap();
            a.jb(to).unwrap();
            a.ret().unwrap();
        },
        |a, to| a.jmp(to).unwrap(),
    ];
    let twice = |code: &dyn Fn(&mut CodeAssembler, &mut CodeLabel)| {
        let (text, offsets) = asm(1, |a, l| code(a, &mut l[0]));
        let program = Program::new(text, vec![(0, reader())]);
        let error = program.refused(Rule::Claim);
        assert_eq!((error.kind, error.site), (Evidence::Undecodable, Some(offsets[0])));
        // With a label there all is well.
        program.label(offsets[0], label(0, &[(Reg::Rcx, int(1))])).accepted();
    };
    for between in between {
        twice(&|a, to| {
            a.cmp(rcx, 8).unwrap();
            a.jb(*to).unwrap();
            between(a, *to);
            a.set_label(to).unwrap();
            a.ret().unwrap();
        });
    }
    for back in back {
        twice(&|a, to| {
            a.nop().unwrap();
            a.set_label(to).unwrap();
            back(a, *to);
        });
    }
}

/// Overlapping instructions, one of them the middle of another, in either order.
/// Attack s14.
#[test]
fn bytes_are_judged_as_one_instruction() {
    // cmp rcx, 8; jb into the immediate of what falls, which would be a `ret`.
    let falls = |byte: u8| {
        let text = vec![0x48, 0x83, 0xF9, 8, 0x72, 1, 0xB8, byte, 0, 0, 0, 0xC3];
        Program::new(text, vec![(0, reader())])
    };
    let error = falls(0xC3).refused(Rule::Claim);
    assert_eq!((error.kind, error.site), (Evidence::Undecodable, Some(7)));
    // The middle first, by a jump; then the block that is around it.
    let text = vec![0x48, 0x83, 0xF9, 8, 0x72, 2, 0xEB, 1, 0xB8, 0xC3, 0, 0, 0, 0xC3];
    let error = Program::new(text, vec![(0, reader())]).refused(Rule::Claim);
    assert_eq!((error.kind, error.site), (Evidence::Undecodable, Some(8)));
    // At the seam of two words of what is claimed.
    for before in 56..72_usize {
        let mut text = vec![0x90; before];
        text.extend([0x48, 0x83, 0xF9, 8, 0x72, 3, 0x48, 0x89, 0xC8, 0xC3]);
        Program::new(text.clone(), vec![(0, reader())]).refused(Rule::Claim);
        text[before + 5] = 4;
        text.push(0xC3);
        Program::new(text, vec![(0, reader())]).accepted();
    }
}

/// A block belongs to the function that leads to it.
/// Attacks W22, s14.
#[test]
fn a_block_is_in_its_function() {
    let program = |own: bool| {
        let (text, offsets) = asm(3, |a, l| {
            let [f, block, g] = l else { unreachable!() };
            a.set_label(f).unwrap();
            a.cmp(rcx, 8).unwrap();
            a.jb(*block).unwrap();
            a.ret().unwrap();
            if !own {
                a.set_label(g).unwrap();
                a.ret().unwrap();
            }
            a.set_label(block).unwrap();
            a.ret().unwrap();
            if own {
                a.set_label(g).unwrap();
                a.ret().unwrap();
            }
        });
        Program::new(text, vec![(offsets[0], reader()), (offsets[2], reader())])
    };
    program(true).accepted();
    program(false).refused(Rule::Jump);
}

/// So many scopes are open at a time, and the root is one of them.
/// Attack s22.
#[test]
fn only_so_many_ways_wait() {
    let program = |count: usize| {
        reads(count, |a, l| {
            for (limit, to) in (1..).zip(l.iter()) {
                a.cmp(rcx, limit).unwrap();
                a.jb(*to).unwrap();
            }
            a.ret().unwrap();
            for to in l {
                a.set_label(to).unwrap();
                a.ret().unwrap();
            }
        })
    };
    program(limits::SCOPES - 1).accepted();
    program(limits::SCOPES).refused(Rule::Limit);
}
