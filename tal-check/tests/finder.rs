//! The finder on hand-made images: straight-line functions, and loops with given label states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{Bench, add, array, assertion, facts_u64, int, name, own, post, sig, word};
use std::rc::Rc;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Block, Cap, Entry, Fact, Field, FieldTy, Guard, Kind, Mem, Mode, NameSet, OriginId, Rel,
    TypeId, View,
};

fn f(i: u16) -> Var {
    Var::Free(i)
}

fn ge(t: Term) -> Fact {
    Fact { rel: Rel::Ge, term: t }
}

fn addr() -> Kind {
    Kind::Addr { set: NameSet::ADDRESS, block: None }
}

fn nullable(extent: Term) -> Kind {
    let block = Some(Block { origin: OriginId(0), extent });
    Kind::Addr { set: NameSet::NULLABLE, block }
}

fn entry(guards: Vec<Guard>, x: Var, mem: Mem) -> Cap {
    Cap::Entry(Entry { guards, name: x, offset: Term::ZERO, mem: Rc::new(mem) })
}

fn i64s() -> Mem {
    let ty = FieldTy::Int { bits: 64, signed: true, facts: vec![] };
    Mem::Struct { fields: vec![Field { offset: 0, writable: true, ty }], size: 8 }
}

/// `node { next: own@heap? node, val: i64 }`
fn with_node(b: &mut Bench) -> Mem {
    let node = Mem::Named(TypeId(0), vec![]);
    let next = own(true, Some(0), node.clone());
    let val = FieldTy::Int { bits: 64, signed: true, facts: vec![] };
    let fields = vec![
        Field { offset: 0, writable: true, ty: next },
        Field { offset: 8, writable: true, ty: val },
    ];
    b.named(0, Mem::Struct { fields, size: 16 }, true, false, true);
    node
}

/// malloc, calloc, free of heap.tali.
fn with_heap(b: &mut Bench) {
    let n = int(0);
    let range = vec![ge(add(&n, -1)), ge(Term::int(1 << 40).sub(&n).unwrap())];
    for zero in [false, true] {
        let mem = if zero { Mem::Zero(n.clone()) } else { Mem::Junk(n.clone()) };
        let caps = vec![entry(vec![Guard::IsAddress(f(1))], f(1), mem)];
        b.import(
            if zero { "calloc" } else { "malloc" },
            sig(
                vec![Kind::Int],
                assertion(range.clone(), &[("rdi", word(n.clone()))], vec![], vec![]),
                post(
                    vec![nullable(n.clone())],
                    assertion(vec![], &[("rax", name(1))], vec![], caps),
                ),
            ),
        );
    }
    let caps = vec![entry(vec![Guard::IsAddress(f(1))], f(1), Mem::Junk(n.clone()))];
    b.import(
        "free",
        sig(
            vec![Kind::Int, nullable(n)],
            assertion(vec![], &[("rdi", name(1))], vec![], caps),
            post(vec![], assertion(vec![], &[], vec![], vec![])),
        ),
    );
}

#[test]
fn list_push() {
    let mut b = Bench::new();
    let node = with_node(&mut b);
    with_heap(&mut b);
    let sixteen = Term::int(16);
    let head = |x: Var| entry(vec![Guard::IsAddress(x)], x, node.clone());
    let pre = assertion(
        facts_u64(1),
        &[("rdi", name(0)), ("rsi", word(int(1)))],
        vec![],
        vec![head(f(0))],
    );
    let back = entry(vec![Guard::IsSmall(f(2), 0, 0), Guard::IsAddress(f(0))], f(0), node.clone());
    let after =
        assertion(vec![], &[("rax", name(2)), ("rdx", name(0))], vec![], vec![head(f(2)), back]);
    let s =
        sig(vec![nullable(sixteen.clone()), Kind::Int], pre, post(vec![nullable(sixteen)], after));
    b.function(
        "list_push",
        s,
        "push rbx
         push r12
         sub rsp, 8
         mov rbx, rdi
         mov r12, rsi
         mov edi, 16
         call malloc
         mov rdx, rbx
         test rax, rax
         jz .full
         mov [rax], rbx
         mov [rax + 8], r12
         add rsp, 8
         pop r12
         pop rbx
         ret
.full:
         add rsp, 8
         pop r12
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn field_sum_and_store() {
    // struct in, rw view and entry.
    let mut b = Bench::new();
    let arr = Mem::Array(int(1), Rc::new(i64s()));
    let v = View {
        guards: vec![],
        region: tal_core::ty::Region::Var(f(2)),
        mode: Mode::Rw,
        base: Base::Name(f(0)),
        offset: Term::ZERO,
        mem: Rc::new(arr),
    };
    let pre = assertion(
        vec![ge(add(&int(1), -3))],
        &[("rdi", name(0)), ("rsi", word(int(1)))],
        vec![v],
        vec![],
    );
    let s = sig(
        vec![addr(), Kind::Int, Kind::Region],
        pre,
        post(vec![Kind::Int], assertion(vec![], &[("rax", word(int(3)))], vec![], vec![])),
    );
    b.function(
        "f",
        s,
        "mov rax, [rdi + 16]
         mov [rdi + rsi*8 - 8], rax
         add rax, [rdi]
         ret",
    );
    b.accept();
}

#[test]
fn split_owned_array_and_back() {
    // inout [n]i64: two calls of g(inout i64) on elements, then return whole.
    let mut b = Bench::new();
    let n = int(1);
    let whole = entry(vec![], f(0), array(n.clone(), i64s()));
    let one = entry(vec![], f(0), i64s());
    let g = sig(
        vec![addr()],
        assertion(vec![], &[("rdi", name(0))], vec![], vec![one.clone()]),
        post(vec![], assertion(vec![], &[], vec![], vec![one])),
    );
    b.function("g", g, "mov rax, [rdi]\ninc rax\nmov [rdi], rax\nret");
    let pre = assertion(
        vec![ge(add(&n, -5))],
        &[("rdi", name(0)), ("rsi", word(n))],
        vec![],
        vec![whole.clone()],
    );
    let s = sig(
        vec![addr(), Kind::Int],
        pre,
        post(vec![], assertion(vec![], &[], vec![], vec![whole])),
    );
    b.function(
        "f",
        s,
        "push rbx
         mov rbx, rdi
         lea rdi, [rbx + 8]
         call g
         lea rdi, [rbx + 32]
         call g
         mov rax, [rbx + 24]
         mov [rbx], rax
         pop rbx
         ret",
    );
    b.accept();
}

/// `table exists m { mask = m - 1: u64; slots: own@heap [m]own@heap? entry }`, T1; entry is T0.
fn with_table(b: &mut Bench) -> (Mem, Mem) {
    let item = Mem::Named(TypeId(0), vec![]);
    let u64t = || FieldTy::Int { bits: 64, signed: false, facts: vec![] };
    let field = |offset, ty| Field { offset, writable: true, ty };
    let next = own(true, Some(0), item.clone());
    b.named(
        0,
        Mem::Struct {
            fields: vec![field(0, next.clone()), field(8, u64t()), field(16, u64t())],
            size: 24,
        },
        true,
        false,
        true,
    );
    let m = Term::var(Var::Bound(0));
    let mask = Fact { rel: Rel::Eq, term: Term::var(Var::Value).sub(&m).unwrap().plus(1).unwrap() };
    let cell = Mem::Struct { fields: vec![field(0, next)], size: 8 };
    let body = Mem::Struct {
        fields: vec![
            Field {
                offset: 0,
                writable: false,
                ty: FieldTy::Int { bits: 64, signed: false, facts: vec![mask] },
            },
            Field { offset: 8, writable: false, ty: own(false, Some(0), array(m, cell)) },
        ],
        size: 16,
    };
    b.named(0, Mem::Ex { vars: 1, facts: vec![], body: Rc::new(body) }, false, false, true);
    (item, Mem::Named(TypeId(1), vec![]))
}

#[test]
fn table_insert() {
    let mut b = Bench::new();
    let (_, table) = with_table(&mut b);
    with_heap(&mut b);
    let t = entry(vec![], f(0), table);
    let mut facts = facts_u64(1);
    facts.extend(facts_u64(2));
    let r = vec![ge(int(3)), ge(Term::int(1).sub(&int(3)).unwrap())];
    let s = sig(
        vec![addr(), Kind::Int, Kind::Int],
        assertion(
            facts,
            &[("rdi", name(0)), ("rsi", word(int(1))), ("rdx", word(int(2)))],
            vec![],
            vec![t.clone()],
        ),
        post(vec![Kind::Int], assertion(r, &[("rax", word(int(3)))], vec![], vec![t])),
    );
    b.function(
        "table_insert",
        s,
        "push rbx
         push r12
         push r13
         mov rbx, rdi
         mov r12, rsi
         mov r13, rdx
         mov edi, 24
         call malloc
         test rax, rax
         jz .full
         mov [rax + 8], r12
         mov [rax + 16], r13
         mov rcx, 11400714819323198485
         imul rcx, r12
         shr rcx, 32
         and rcx, [rbx]
         mov rdx, [rbx + 8]
         mov rsi, [rdx + rcx*8]
         mov [rax], rsi
         mov [rdx + rcx*8], rax
         xor eax, eax
         pop r13
         pop r12
         pop rbx
         ret
.full:
         mov eax, 1
         pop r13
         pop r12
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn table_find() {
    let mut b = Bench::new();
    let (item, table) = with_table(&mut b);
    let region = tal_core::ty::Region::Var(f(2));
    let v = |guards, x: u16, mem: &Mem| View {
        guards,
        region,
        mode: Mode::Ro,
        base: Base::Name(f(x)),
        offset: Term::ZERO,
        mem: Rc::new(mem.clone()),
    };
    let s = sig(
        vec![addr(), Kind::Int, Kind::Region],
        assertion(
            facts_u64(1),
            &[("rdi", name(0)), ("rsi", word(int(1)))],
            vec![v(vec![], 0, &table)],
            vec![],
        ),
        post(
            vec![Kind::Addr { set: NameSet::NULLABLE, block: None }],
            assertion(
                vec![],
                &[("rax", name(3))],
                vec![v(vec![Guard::IsAddress(f(3))], 3, &item)],
                vec![],
            ),
        ),
    );
    b.function(
        "table_find",
        s,
        "mov rax, 11400714819323198485
         imul rax, rsi
         shr rax, 32
         and rax, [rdi]
         mov rcx, [rdi + 8]
         mov rax, [rcx + rax*8]
         jmp .test
.next:
         mov rax, [rax]
.test:
         test rax, rax
         jz .done
         cmp [rax + 8], rsi
         jne .next
.done:
         ret",
    );
    let mut l = bench::label_state(
        vec![Kind::Addr { set: NameSet::NULLABLE, block: None }],
        vec![],
        &[("rax", name(3)), ("rsi", word(int(1)))],
        vec![],
    );
    l.views = vec![v(vec![Guard::IsAddress(f(3))], 3, &item)];
    l.slots = vec![(0, tal_core::ty::Word::ReturnAddress)];
    for r in [3, 5, 12, 13, 14, 15] {
        l.regs[r] = tal_core::ty::Word::Saved(tal_core::ty::Reg::ALL[r]);
    }
    b.label("table_find.test", l.clone());
    b.label("table_find.done", l);
    b.accept();
}
