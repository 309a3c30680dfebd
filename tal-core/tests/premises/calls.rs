//! Not trusted. Calls, returns, code as a value, jump tables (core.md 4.12).

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::decode::Cc;
use tal_core::error::Rule;
use tal_core::hint::Inst;
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::rules::apply::Callee;
use tal_core::state::{FlagKind, FlagSet, Flags};
use tal_core::term::Term;
use tal_core::term::Var;
use tal_core::ty::{
    Base, Block, Cap, Entry, FnId, Guard, Kind, Lent, Mode, NameSet, Reg, Region, Sig, View, Word,
};

/// The return address and what is lent are nobody's argument, nor is what our own caller did not
/// give.
#[test]
fn argument_slots_are_ours() {
    let takes = |never_returns: bool| {
        let mut sig = if never_returns { never() } else { returns() };
        sig.pre.args = vec![(8, Word::Junk)];
        if let Some(post) = &mut sig.post {
            post.state.args = vec![(8, Word::Junk)];
        }
        Rc::new(sig)
    };
    let with = |callee: Rc<Sig>, f: &mut dyn FnMut(&mut Judge<'_, Teller>)| {
        let interface = interface();
        let image = Image {
            sigs: vec![Rc::new(returns()), callee],
            functions: vec![Function { offset: 0, sig: 0 }, Function { offset: 4, sig: 1 }],
            ..bare()
        };
        let insts = [vec![], vec![]].into();
        let teller = Teller { insts, ..Teller::default() };
        let mut judge = Judge::new(&image, &interface, teller, 1 << 20);
        judge.own = Own::function(Some(FnId(0)), Rc::new(returns()));
        f(&mut judge);
    };
    let f = Callee::Function(FnId(1));
    let call = |delta: i64, lend: bool| {
        let mut st = entered();
        st.stack.delta = delta;
        st.set_reg(Reg::Rsp, Word::Frame(delta));
        if lend {
            let c = address(&mut st);
            st.stack.lent = vec![Lent { offset: delta, size: 8, name: c }].into();
        }
        let mut result = Ok(());
        with(takes(false), &mut |j| result = j.call(&mut st, 0, 5, f).map(drop));
        result
    };
    call(-8, false).unwrap();
    refused(call(0, false), Rule::Call);
    refused(call(-8, true), Rule::Call);
    let jump = |never_returns: bool, delta: i64| {
        let mut st = entered();
        st.stack.delta = delta;
        st.stack.touched = delta;
        st.set_reg(Reg::Rsp, Word::Frame(delta));
        let mut result = Ok(());
        with(takes(never_returns), &mut |j| result = j.tail_call(&mut st, 0, f));
        result
    };
    refused(jump(false, 0), Rule::TailCall);
    jump(true, -16).unwrap();
    refused(jump(true, -8), Rule::JumpNever);
    refused(jump(true, 0), Rule::JumpNever);
}

/// What a function says of a block that it returns is so.
#[test]
fn a_returned_block_is_one() {
    let back = |whole: i64| {
        let mut st = entered();
        let x = block(&mut st, NameSet::ADDRESS, k(whole));
        owned(&mut st, x, k(0), junk(k(8)));
        let extent = k(8);
        let mut sig = returns();
        let post = sig.post.as_mut().unwrap();
        let claim = Some(Block { origin: HEAP, extent });
        post.vars = vec![Kind::Addr { set: NameSet::ADDRESS, block: claim }];
        post.state.caps = vec![Cap::Entry(Entry {
            guards: vec![],
            name: Var::Free(0),
            offset: k(0),
            mem: junk(k(8)),
        })];
        let theta = vec![Inst::Ptr(Base::Name(x), k(0))];
        let teller = Teller { insts: [theta].into(), ..Teller::default() };
        judged(teller, |j| {
            j.own = Own::function(Some(FnId(0)), Rc::new(sig));
            j.ret(&mut st, 0)
        })
    };
    back(8).unwrap();
    refused(back(16), Rule::Apply);
}

/// Code of one signature is not code of another.
#[test]
fn code_is_of_its_signature() {
    // Over `Inner(0) : int` and `Free(0) : addr`, `Free(1) : region`, `Free(2), Free(3) : int`.
    let view = |guard: bool, region: Region, mode: Mode| View {
        guards: if guard { vec![Guard::Range(k(0), 0, 0)] } else { vec![] },
        region,
        mode,
        base: Base::Name(Var::Free(0)),
        offset: k(0),
        mem: u64s(),
    };
    let rho = Region::Var(Var::Free(1));
    let sig = |view: View, fact: Term, kind: Kind| {
        let mut sig = never();
        sig.vars = vec![kind];
        sig.pre.views = vec![view];
        sig.pre.facts = vec![ge(fact)];
        Rc::new(sig)
    };
    let n = Term::var(Var::Free(2));
    let m = Term::var(Var::Free(3));
    let usual = || sig(view(false, rho, Mode::Ro), n.clone(), Kind::INT);
    let to = |wanted: Rc<Sig>| {
        let mut st = state();
        address(&mut st);
        declare(&mut st, Kind::Region);
        any(&mut st);
        any(&mut st);
        let f = declare(&mut st, Kind::Code(usual()));
        let mut l = label(vec![Kind::Code(wanted)]);
        // The label's own variable is numbered after those of its function.
        let vars = st.scope[..4].iter().map(|s| s.kind.clone()).collect();
        let own = Sig { vars, ..never() };
        l.regs[Reg::Rdi as usize] = Word::Junk;
        judged_at(
            Teller { insts: [vec![Inst::Code(Base::Name(f))]].into(), ..Teller::default() },
            |j| {
                j.own = Own::function(Some(FnId(0)), Rc::new(own));
                entail_at(j, &mut st, &l)
            },
        )
    };
    to(usual()).unwrap();
    refused(to(Rc::new(never())), Rule::CodeSub);
    refused(to(sig(view(true, rho, Mode::Ro), n.clone(), Kind::INT)), Rule::CodeSub);
    refused(to(sig(view(false, Region::Always, Mode::Ro), n.clone(), Kind::INT)), Rule::CodeSub);
    refused(to(sig(view(false, rho, Mode::Rw), n.clone(), Kind::INT)), Rule::CodeSub);
    refused(to(sig(view(false, rho, Mode::Ro), m.clone(), Kind::INT)), Rule::CodeSub);
    refused(to(sig(view(false, rho, Mode::Ro), n.clone(), Kind::Word)), Rule::CodeSub);
    let bounded = Kind::Int(within(0, 9));
    refused(to(sig(view(false, rho, Mode::Ro), n.clone(), bounded)), Rule::CodeSub);
}

/// A code name is called at its start, with regions that live; afterwards no flag is
/// readable.
#[test]
fn code_names_are_called_at_their_start() {
    let call = |offset: i64| {
        let mut st = state();
        let f = declare(&mut st, Kind::Code(Rc::new(returns())));
        st.set_reg(Reg::Rdi, ptr(f, k(offset)));
        let text = [0xFF, 0xD7]; // call rdi
        let interface = interface();
        let image = Image { text: &text, sigs: vec![], ..bare() };
        let teller = Teller { insts: [vec![]].into(), ..Teller::default() };
        let mut judge = Judge::new(&image, &interface, teller, 1 << 20);
        judge.exec(&mut st, 0).map(drop)
    };
    call(0).unwrap();
    refused(call(8), Rule::Call);
    let lends = |live: bool| {
        let mut st = state();
        let x = address(&mut st);
        let rho = declare(&mut st, Kind::Region);
        lent(&mut st, Region::Var(rho), Mode::Ro, x, u64s());
        if live {
            let there = Entry { guards: vec![], name: x, offset: k(0), mem: u64s() };
            st.caps = vec![Cap::Token(rho, there)].into();
        }
        let mut sig = returns();
        sig.pre.views = st.views.clone();
        let f = declare(&mut st, Kind::Code(Rc::new(sig)));
        let teller = Teller { insts: [vec![]].into(), ..Teller::default() };
        judged(teller, |j| j.call(&mut st, 0, 2, Callee::Name(f)).map(drop))
    };
    lends(true).unwrap();
    refused(lends(false), Rule::Call);
    let flags = |call: bool| {
        let mut st = state();
        let f = declare(&mut st, Kind::Code(Rc::new(returns())));
        st.set_flags(Flags { kind: FlagKind::None, readable: FlagSet::ALL });
        let teller = Teller { insts: [vec![]].into(), ..Teller::default() };
        judged(teller, |j| {
            if call {
                j.call(&mut st, 0, 2, Callee::Name(f)).unwrap();
            }
            j.edge(&mut st, Cc::B, true)
        })
    };
    flags(false).unwrap();
    refused(flags(true), Rule::FlagsRead);
}

/// An index into a table is not negative.
#[test]
fn an_index_into_a_table_is_not_negative() {
    let jump = |index: i64| {
        // jmp [0x500000 + rdi*8]; endbr64
        let text = [0xFF, 0x24, 0xFD, 0, 0, 0x50, 0, 0xF3, 0x0F, 0x1E, 0xFA];
        let words = 0x40_0007_u64.to_le_bytes();
        let interface = interface();
        let table = Data {
            address: 0x50_0000,
            size: 8,
            kind: DataKind::Table { function: FnId(0) },
            contents: Contents::Bytes(&words),
            writable: false,
        };
        let image = Image {
            text: &text,
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![7],
            data: vec![table],
            ..bare()
        };
        let mut st = state();
        st.set_reg(Reg::Rdi, Word::Int(k(index)));
        let teller = Teller::default();
        let mut judge = Judge::new(&image, &interface, teller, 1 << 20);
        judge.own = Own::function(Some(FnId(0)), Rc::new(never()));
        judge.exec(&mut st, 0).map(drop)
    };
    jump(0).unwrap();
    refused(jump(1), Rule::JumpTable);
    refused(jump(-1), Rule::JumpTable);
}

/// The return address of a call lies in the frame, which has its size.
#[test]
fn a_call_stays_in_the_frame() {
    let call = |delta: i64| {
        let mut st = state();
        st.stack.delta = delta;
        st.stack.touched = delta;
        st.set_reg(Reg::Rsp, Word::Frame(delta));
        let f = declare(&mut st, Kind::Code(Rc::new(returns())));
        let told = Teller { insts: [vec![]].into(), ..Teller::default() };
        judged(told, |j| j.call(&mut st, 0, 2, Callee::Name(f)).map(drop))
    };
    call(-65528).unwrap();
    refused(call(-65536), Rule::Call);
}
