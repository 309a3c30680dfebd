//! Not trusted: tests. Labels that hang on scopes and declare what differs there: each attack with
//! its accepted twin.

use super::walk::reader;
use super::*;
use iced_x86::code_asm::*;
use tal_core::hint::Forward;
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::ty::{Bounds, Entry, Mem, Mode, NameSet};

/// What a label declares that hangs on the scope of this mark.
pub(super) type Declares = fn(&Mark) -> Record;

/// Labels by number: on which scope each hangs, and what it declares there.
#[derive(Clone)]
pub(super) struct Hung {
    pub(super) oracle: Oracle,
    pub(super) labels: BTreeMap<u32, (u32, Declares)>,
}

impl Forward for Hung {
    type Inner = Oracle;

    fn inner(&mut self) -> &mut Oracle {
        &mut self.oracle
    }

    fn parent(&mut self, _: &State, to: u32, _: &[Opened]) -> Result<u32> {
        Ok(self.labels[&to].0)
    }

    fn record(&mut self, _: &State, to: u32, parent: &Mark, record: &mut Record) -> Result<()> {
        *record = self.labels[&to].1(parent);
        Ok(())
    }
}

pub(super) fn within(low: i128, high: i128) -> Kind {
    Kind::Int(Bounds::new(Some(low), Some(high)).unwrap())
}

/// A program of one such function whose labels are the first of these.
pub(super) struct Tried {
    pub(super) program: Program,
    pub(super) hints: Hung,
    /// Of all labels of the text, those of the image first.
    pub(super) offsets: Vec<u32>,
}

impl Tried {
    pub(super) fn new(
        all: usize,
        labels: &[(u32, Declares)],
        code: impl FnOnce(&mut CodeAssembler, &mut [CodeLabel]),
    ) -> Tried {
        let (text, offsets) = asm(all, code);
        let mut program = Program::new(text, vec![(0, reader())]);
        let hung: BTreeMap<u32, (u32, Declares)> =
            offsets.iter().copied().zip(labels.iter().copied()).collect();
        for offset in hung.keys() {
            program = program.label(*offset, label(0, &[]));
        }
        Tried { hints: Hung { oracle: Oracle::default(), labels: hung }, program, offsets }
    }

    pub(super) fn verify(&self) -> Result<u8> {
        driver::verify(&self.program.image(), &interface(), self.hints.clone(), 1 << 12)
    }

    /// Ghosts before the instruction at one of its labels.
    pub(super) fn ghosts(mut self, label: usize, ghosts: &[Ghost]) -> Tried {
        let site = self.hints.oracle.ghosts.entry(Site::At(self.offsets[label])).or_default();
        site.extend(ghosts.iter().cloned());
        self
    }

    #[track_caller]
    pub(super) fn refused(&self, rule: Rule) -> Error {
        let error = self.verify().unwrap_err();
        assert_eq!(error.rule, rule, "{error:?}");
        error
    }

    /// So is the section.
    #[track_caller]
    pub(super) fn accepted(&self) {
        let (image, interface) = (self.program.image(), interface());
        let hints = Recorder::new(self.hints.clone());
        let mut judge = Judge::new(&image, &interface, hints, 1 << 12);
        judge.verify().unwrap();
        let section = encode(&image, &interface, &judge.hints.recorded);
        let checked = verify_section(&self.program.text, TEXT, &[], &section, &interface);
        assert_eq!(*checked.unwrap().image(), image);
    }
}

/// All is as it was.
pub(super) fn same(_: &Mark) -> Record {
    Record::default()
}

/// rax is an integer below 8, and the first own variable.
pub(super) fn digit(parent: &Mark) -> Record {
    let word = Word::Int(Term::var(Var::Free(parent.first().unwrap())));
    Record { vars: vec![within(0, 7)], regs: vec![(Reg::Rax, word)], ..Record::default() }
}

pub(super) fn load(a: &mut CodeAssembler) {
    a.mov(al, byte_ptr(rdi + rax)).unwrap();
    a.ret().unwrap();
}

/// H2, s2, s16: what a scope has saved is not what another of the same depth has: rax is
/// the variable of the same number on both ways, and below 8 on the first.
#[test]
fn a_label_knows_its_parent_by_number() {
    let program = |labels: &[(u32, Declares)], again: fn(&mut CodeAssembler, CodeLabel)| {
        Tried::new(3, labels, move |a, l| {
            let [to, block, inner] = l else { unreachable!() };
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.mov(eax, ecx).unwrap();
            a.and(eax, 7).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            a.mov(eax, ecx).unwrap();
            again(a, *inner);
            a.jmp(*to).unwrap();
            a.set_label(inner).unwrap();
            a.ret().unwrap();
            a.set_label(to).unwrap();
            load(a);
        })
    };
    // The scope is closed; another is open at its depth.
    let opens: fn(&mut CodeAssembler, CodeLabel) = |a, inner| {
        a.cmp(rsi, 2).unwrap();
        a.jb(inner).unwrap();
    };
    program(&[(0, same)], opens).refused(Rule::EdgeLabel);
    // The scope is open, on which both ways are: rax is declared, and its bounds are asked.
    program(&[(1, digit)], opens).refused(Rule::Entail);
    let masked: fn(&mut CodeAssembler, CodeLabel) = |a, inner| {
        a.cmp(rsi, 2).unwrap();
        a.jb(inner).unwrap();
        a.and(eax, 7).unwrap();
    };
    program(&[(1, digit)], masked).accepted();
}

/// s9: an own variable has the number of one of the way, and that is another.
#[test]
fn a_number_of_the_way_is_no_own_variable() {
    let program = |mask: bool| {
        Tried::new(1, &[(1, digit as Declares)], move |a, l| {
            a.mov(eax, ecx).unwrap();
            if mask {
                a.and(eax, 7).unwrap();
            }
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            load(a);
        })
    };
    program(false).refused(Rule::Entail);
    program(true).accepted();
}

/// H7 at a label: its parent was opened before the condition was known.
/// Attack s7.
#[test]
fn a_scope_is_opened_before_the_fact() {
    let program = |parent: u32, condition: fn(&mut CodeAssembler, CodeLabel)| {
        Tried::new(1, &[(parent, same as Declares)], move |a, l| {
            a.mov(rax, rcx).unwrap();
            a.cmp(rcx, 8).unwrap();
            condition(a, l[0]);
            a.ret().unwrap();
            a.set_label(&mut l[0]).unwrap();
            load(a);
        })
    };
    program(0, |a, to| a.jb(to).unwrap()).refused(Rule::Shape);
    program(0, |a, to| a.jae(to).unwrap()).refused(Rule::Shape);
}

/// W7: a label hangs on a scope whose block is walked already: it has what that had when it was
/// opened, not what its block knows.
#[test]
fn a_label_of_a_scope_is_not_its_block() {
    let program = |parent: u32| {
        Tried::new(2, &[(parent, same as Declares)], move |a, l| {
            let [to, block] = l else { unreachable!() };
            a.mov(rax, rcx).unwrap();
            a.cmp(rcx, 8).unwrap();
            a.jb(*block).unwrap();
            a.ret().unwrap();
            a.set_label(block).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            load(a);
        })
    };
    // On one that is opened in the block, behind its condition.
    program(0).accepted();
    program(1).refused(Rule::Shape);
    // On the root, where rax holds nothing.
    program(2).refused(Rule::EaForm);
}

/// H5: what a label does not declare is as it was, on every way: words, depth, what is touched.
/// Attack s5.
#[test]
fn what_is_not_declared_is_as_it_was() {
    let program = |way: fn(&mut CodeAssembler)| {
        Tried::new(2, &[(1, same as Declares)], move |a, l| {
            let [to, block] = l else { unreachable!() };
            a.xor(eax, eax).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            way(a);
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            load(a);
        })
    };
    program(|_| ()).accepted();
    program(|a| a.mov(eax, 9).unwrap()).refused(Rule::Entail);
    program(|a| a.push(rax).unwrap()).refused(Rule::Entail);
    program(|a| a.mov(ecx, 1).unwrap()).refused(Rule::Entail);
    // Of what holds nothing nobody asks.
    program(|a| a.mov(edx, 1).unwrap()).accepted();
}

/// H5: a label says that more is touched than its parent had; each way has to bring that.
#[test]
fn what_is_touched_is_asked_on_each_way() {
    let touched: Declares = |_| Record { frame: Some((0, -8)), ..Record::default() };
    let program = |both: bool| {
        Tried::new(2, &[(1, touched)], move |a, l| {
            let [to, block] = l else { unreachable!() };
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.push(rcx).unwrap();
            a.pop(rcx).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            if both {
                a.push(rcx).unwrap();
                a.pop(rcx).unwrap();
            }
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.ret().unwrap();
        })
    };
    program(true).accepted();
    program(false).refused(Rule::Entail);
}

/// s17: scopes and variables that are not there.
/// Attack W15.
#[test]
fn a_record_speaks_of_what_is_there() {
    let program = |parent: u32, declares: Declares| {
        Tried::new(1, &[(parent, declares)], |a, l| {
            a.mov(eax, ecx).unwrap();
            a.and(eax, 7).unwrap();
            a.jmp(l[0]).unwrap();
            a.set_label(&mut l[0]).unwrap();
            load(a);
        })
    };
    program(1, digit).accepted();
    program(0, same).accepted();
    program(2, digit).refused(Rule::EdgeLabel);
    program(u32::MAX, digit).refused(Rule::EdgeLabel);
    // The variable that rax is, and which was made behind the mark.
    let of_the_way: Declares = |_| Record { regs: vec![(Reg::Rax, int(4))], ..Record::default() };
    program(1, of_the_way).refused(Rule::WfWordType);
    let two: Declares = |_| Record {
        regs: vec![(Reg::Rdx, Word::Junk), (Reg::Rax, Word::Junk)],
        ..Record::default()
    };
    program(1, two).refused(Rule::WfLabel);
    let stack: Declares =
        |_| Record { regs: vec![(Reg::Rsp, Word::Frame(-8))], ..Record::default() };
    program(1, stack).refused(Rule::WfLabel);
}

/// s18: a loop that is entered at two places.
#[test]
fn a_loop_with_two_entries_is_judged() {
    let program = |wrong: bool| {
        Tried::new(2, &[(1, digit as Declares), (1, digit)], move |a, l| {
            let [one, two] = l else { unreachable!() };
            a.mov(eax, ecx).unwrap();
            a.and(eax, 7).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*two).unwrap();
            a.set_label(one).unwrap();
            a.mov(dl, byte_ptr(rdi + rax)).unwrap();
            a.xor(edx, edx).unwrap();
            if wrong {
                a.mov(eax, ecx).unwrap();
            }
            a.cmp(rsi, 2).unwrap();
            a.jb(*two).unwrap();
            a.ret().unwrap();
            a.set_label(two).unwrap();
            a.mov(dl, byte_ptr(rdi + rax)).unwrap();
            a.xor(edx, edx).unwrap();
            a.jmp(*one).unwrap();
        })
    };
    let digits: Declares = |parent| {
        let mut record = digit(parent);
        record.regs.push((Reg::Rdx, Word::Junk));
        record.regs.sort_by_key(|(reg, _)| *reg);
        record
    };
    let on = |wrong: bool| {
        let mut tried = program(wrong);
        for (_, declares) in tried.hints.labels.values_mut() {
            *declares = digits;
        }
        tried
    };
    on(false).accepted();
    on(true).refused(Rule::Entail);
}

/// s21: flags are gone at a label, even of the same condition.
#[test]
fn a_label_reads_no_flags() {
    let program = |labels: &[(u32, Declares)]| {
        Tried::new(2, labels, |a, l| {
            let [to, out] = l else { unreachable!() };
            a.cmp(rcx, 8).unwrap();
            a.jb(*to).unwrap();
            a.ret().unwrap();
            a.set_label(to).unwrap();
            a.ja(*out).unwrap();
            a.ret().unwrap();
            a.set_label(out).unwrap();
            a.ret().unwrap();
        })
    };
    program(&[]).accepted();
    program(&[(0, same as Declares)]).refused(Rule::FlagsRead);
}

/// s22: so many scopes, each opened at a label that hangs on the last.
#[test]
fn only_so_many_scopes_are_open() {
    let program = |count: usize| {
        let labels = vec![(0, same as Declares); count];
        let (text, offsets) = asm(count, |a, l| {
            for label in l.iter_mut() {
                a.set_label(label).unwrap();
                a.nop().unwrap();
            }
            a.ret().unwrap();
        });
        let mut program = Program::new(text, vec![(0, reader())]);
        for offset in &offsets {
            program = program.label(*offset, label(0, &[]));
        }
        let labels = offsets.iter().copied().zip(labels).collect();
        Tried { program, hints: Hung { oracle: Oracle::default(), labels }, offsets }
    };
    // The root is one of them.
    program(limits::SCOPES - 1).accepted();
    program(limits::SCOPES).refused(Rule::Limit);
}

/// `[x, z : addr](rdi = x, rsi = z; owns bytes(8) at each) -> never`
pub(super) fn owner() -> Sig {
    let pointer = |i| Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO);
    let mut sig = never(0, &[(Reg::Rdi, pointer(0)), (Reg::Rsi, pointer(1))]);
    sig.vars = vec![Kind::Addr { set: NameSet::ADDRESS, block: None }; 2];
    sig.pre.caps = vec![bytes_at(0), bytes_at(1)];
    sig
}

pub(super) fn bytes_at(i: u16) -> Cap {
    let (name, offset) = (Var::Free(i), Term::ZERO);
    Cap::Entry(Entry { guards: vec![], name, offset, mem: Rc::new(Mem::Bytes(Term::int(8))) })
}

/// One that never ends, with a label on the root.
pub(super) fn owns(declares: Declares, before: fn(&mut CodeAssembler)) -> Tried {
    let mut tried = Tried::new(1, &[(1, declares)], move |a, l| {
        before(a);
        a.jmp(l[0]).unwrap();
        a.set_label(&mut l[0]).unwrap();
        a.jmp(l[0]).unwrap();
    });
    tried.program.sigs = vec![Rc::new(owner())];
    tried
}

/// W5: what is owned once is not owned twice.
#[test]
fn each_capability_is_taken_once() {
    let twice: Declares = |parent| {
        let first = parent.first().unwrap();
        let pointer = |i| Word::Ptr(Base::Name(Var::Free(first + i)), Term::ZERO);
        Record {
            vars: vec![Kind::Addr { set: NameSet::ADDRESS, block: None }; 2],
            regs: vec![(Reg::Rsi, pointer(1)), (Reg::Rdi, pointer(0))],
            caps: Some(vec![bytes_at(first), bytes_at(first + 1)]),
            ..Record::default()
        }
    };
    owns(twice, |_| ()).accepted();
    owns(twice, |a| a.mov(rsi, rdi).unwrap()).refused(Rule::Entail);
}

/// H4: as many capabilities as were saved are not the same ones.
/// Attack s4.
#[test]
fn what_is_owned_is_what_was_saved() {
    owns(same, |_| ()).accepted();
    // Lent, so that a token stands where the entry was.
    let mut lent = owns(same, |a| a.nop().unwrap());
    let borrow = Ghost::Borrow { entry: 0, mode: Mode::Ro };
    lent.hints.oracle.ghosts.entry(Site::At(0)).or_default().push_back(borrow);
    lent.refused(Rule::Entail);
    // An entry fewer, and one that is named twice.
    let fewer: Declares = |_| Record { caps: Some(vec![bytes_at(0)]), ..Record::default() };
    owns(fewer, |_| ()).refused(Rule::Entail);
    let again: Declares =
        |_| Record { caps: Some(vec![bytes_at(0), bytes_at(0)]), ..Record::default() };
    owns(again, |_| ()).refused(Rule::Entail);
    let exchanged: Declares =
        |_| Record { caps: Some(vec![bytes_at(1), bytes_at(0)]), ..Record::default() };
    owns(exchanged, |_| ()).accepted();
}

/// W16: a label knows no less of a name than its parent, nor more than its ways.
#[test]
fn a_refinement_does_not_widen() {
    let program = |declares: Declares, test: bool| {
        let mut tried = Tried::new(2, &[(0, declares)], move |a, l| {
            let [to, out] = l else { unreachable!() };
            if test {
                a.test(rdi, rdi).unwrap();
                a.jz(*out).unwrap();
            }
            a.jmp(*to).unwrap();
            a.set_label(to).unwrap();
            a.ret().unwrap();
            if test {
                a.set_label(out).unwrap();
                a.ret().unwrap();
            } else {
                a.set_label(out).unwrap();
                a.nop().unwrap();
            }
        });
        let mut sig = reader();
        sig.vars[0] = Kind::Addr { set: NameSet::NULLABLE, block: None };
        sig.pre.views.clear();
        tried.program.sigs = vec![Rc::new(sig)];
        tried
    };
    let address: Declares =
        |_| Record { refinements: vec![(Var::Free(0), NameSet::ADDRESS)], ..Record::default() };
    let all: Declares =
        |_| Record { refinements: vec![(Var::Free(0), NameSet::NULLABLE)], ..Record::default() };
    program(address, true).accepted();
    program(address, false).refused(Rule::Entail);
    program(all, false).accepted();
    program(all, true).refused(Rule::LabelState);
}

/// W21: a label that is of no function.
#[test]
fn a_label_is_of_a_function() {
    let program = |at: u32| {
        let (text, _) = asm(0, |a, _| {
            a.nop().unwrap();
            a.ret().unwrap();
        });
        Program::new(text, vec![(at, reader())]).label(0, label(0, &[]))
    };
    program(1).refused(Rule::Driver);
    // Of one that falls into it at once.
    let falls = program(0);
    assert!(falls.verify().is_ok(), "{:?}", falls.verify());
}

/// A label whose frame ends above that of its scope knows nothing of what lay below: whoever moves
/// rsp there again finds anything.
#[test]
fn what_lies_below_the_frame_of_a_label_is_gone() {
    let program = |again: fn(&mut CodeAssembler)| {
        let shorter: Declares = |_| Record { frame: Some((0, -8)), ..Record::default() };
        Tried::new(2, &[(1, shorter)], move |a, l| {
            let [to, block] = l else { unreachable!() };
            a.push(5).unwrap();
            a.cmp(rsi, 1).unwrap();
            a.jb(*block).unwrap();
            a.add(rsp, 8).unwrap();
            a.jmp(*to).unwrap();
            a.set_label(block).unwrap();
            a.add(rsp, 8).unwrap();
            a.ret().unwrap();
            a.set_label(to).unwrap();
            again(a);
            a.pop(rax).unwrap();
            load(a);
        })
    };
    program(|a| a.push(5).unwrap()).accepted();
    program(|a| a.sub(rsp, 8).unwrap()).refused(Rule::EaForm);
}
