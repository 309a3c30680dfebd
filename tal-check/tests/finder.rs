//! The finder on hand-made images: straight-line functions, and loops with given label states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{Bench, add, array, assertion, facts_u64, int, name, own, post, sig, word};
use tal_core::counted::Rc;
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
                vec![Kind::INT],
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
            vec![Kind::INT, nullable(n)],
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
        sig(vec![nullable(sixteen.clone()), Kind::INT], pre, post(vec![nullable(sixteen)], after));
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
        vec![addr(), Kind::INT, Kind::Region],
        pre,
        post(vec![Kind::INT], assertion(vec![], &[("rax", word(int(3)))], vec![], vec![])),
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
        vec![addr(), Kind::INT],
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
        vec![addr(), Kind::INT, Kind::INT],
        assertion(
            facts,
            &[("rdi", name(0)), ("rsi", word(int(1))), ("rdx", word(int(2)))],
            vec![],
            vec![t.clone()],
        ),
        post(vec![Kind::INT], assertion(r, &[("rax", word(int(3)))], vec![], vec![t])),
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
        vec![addr(), Kind::INT, Kind::Region],
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

/// `arena exists r { next: own zero[16*r]; left = 16*r: u64 }`, T0.
fn with_arena(b: &mut Bench) -> Mem {
    let r = Term::var(Var::Bound(0));
    let size = r.scale(16).unwrap();
    let left = Fact { rel: Rel::Eq, term: Term::var(Var::Value).sub(&size).unwrap() };
    let body = Mem::Struct {
        fields: vec![
            Field { offset: 0, writable: false, ty: own(false, None, Mem::Zero(size)) },
            Field {
                offset: 8,
                writable: false,
                ty: FieldTy::Int { bits: 64, signed: false, facts: vec![left] },
            },
        ],
        size: 16,
    };
    b.named(0, Mem::Ex { vars: 1, facts: vec![], body: Rc::new(body) }, false, false, true);
    Mem::Named(TypeId(0), vec![])
}

#[test]
fn arena_alloc() {
    let mut b = Bench::new();
    let arena = with_arena(&mut b);
    let n = int(1);
    let h = entry(vec![], f(0), arena);
    // post: some q (2), x (3): n <= 16 q, rax = P(x,0), x in A: x ~> zero(16 q)
    let q16 = int(2).scale(16).unwrap();
    let got = entry(vec![Guard::IsAddress(f(3))], f(3), Mem::Zero(q16.clone()));
    let s = sig(
        vec![addr(), Kind::INT],
        assertion(
            vec![ge(add(&n, -1)), ge(Term::int(1 << 40).sub(&n).unwrap())],
            &[("rdi", name(0)), ("rsi", word(n.clone()))],
            vec![],
            vec![h.clone()],
        ),
        post(
            vec![Kind::INT, Kind::Addr { set: NameSet::NULLABLE, block: None }],
            assertion(vec![ge(q16.sub(&n).unwrap())], &[("rax", name(3))], vec![], vec![got, h]),
        ),
    );
    b.function(
        "arena_alloc",
        s,
        "add rsi, 15
         and rsi, -16
         cmp rsi, [rdi + 8]
         ja .full
         mov rax, [rdi]
         sub [rdi + 8], rsi
         add [rdi], rsi
         ret
.full:
         xor eax, eax
         ret",
    );
    b.accept();
}

#[test]
fn arena_init() {
    let mut b = Bench::new();
    let arena = with_arena(&mut b);
    // mmap(rdi = 4096 k) -> x : addr [-4095,-1] block(map, 4096 k)
    let bytes = int(0).scale(4096).unwrap();
    let errno = NameSet { address: true, small: [Some((-4095, -1)), None] };
    let claim = Some(Block { origin: OriginId(1), extent: bytes.clone() });
    let limits = |k: &Term| {
        vec![
            ge(add(&k.scale(4096).unwrap(), -4096)),
            ge(Term::int(1 << 40).sub(&k.scale(4096).unwrap()).unwrap()),
        ]
    };
    b.import(
        "mmap",
        sig(
            vec![Kind::INT],
            assertion(limits(&int(0)), &[("rdi", word(bytes.clone()))], vec![], vec![]),
            post(
                vec![Kind::Addr { set: errno, block: claim }],
                assertion(
                    vec![],
                    &[("rax", name(1))],
                    vec![],
                    vec![entry(vec![Guard::IsAddress(f(1))], f(1), Mem::Zero(bytes))],
                ),
            ),
        ),
    );
    let r = int(2);
    let range = |a, z| Guard::Range(int(2), a, z);
    let s = sig(
        vec![addr(), Kind::INT],
        assertion(
            limits(&int(1)),
            &[("rdi", name(0)), ("rsi", word(int(1).scale(4096).unwrap()))],
            vec![],
            vec![entry(vec![], f(0), Mem::Junk(Term::int(16)))],
        ),
        post(
            vec![Kind::INT],
            assertion(
                vec![ge(add(&r, 4095)), ge(r.scale(-1).unwrap())],
                &[("rax", word(r))],
                vec![],
                vec![
                    entry(vec![range(0, 0)], f(0), arena),
                    entry(vec![range(-4095, -1)], f(0), Mem::Junk(Term::int(16))),
                ],
            ),
        ),
    );
    b.function(
        "arena_init",
        s,
        "push rbx
         push r12
         sub rsp, 8
         mov rbx, rdi
         mov r12, rsi
         mov rdi, rsi
         call mmap
         test rax, rax
         js .failed
         mov [rbx], rax
         mov [rbx + 8], r12
         xor eax, eax
         add rsp, 8
         pop r12
         pop rbx
         ret
.failed:
         add rsp, 8
         pop r12
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn total_lends_its_frame() {
    let mut b = Bench::new();
    let i64t = || FieldTy::Int { bits: 64, signed: true, facts: vec![] };
    let field = |offset| Field { offset, writable: true, ty: i64t() };
    b.named(0, Mem::Struct { fields: vec![field(0), field(8)], size: 16 }, true, true, false);
    let tally = Mem::Named(TypeId(0), vec![]);
    // add_to(rdi = x: inout i64, rsi = t: inout tally)
    let both = vec![entry(vec![], f(0), i64s()), entry(vec![], f(1), tally)];
    let g = sig(
        vec![addr(), addr()],
        assertion(vec![], &[("rdi", name(0)), ("rsi", name(1))], vec![], both.clone()),
        post(vec![], assertion(vec![], &[], vec![], both)),
    );
    // for_each: [a, n, v : word, f : code, R]
    let inner = |i: u16| tal_core::ty::Word::Ptr(Base::Name(Var::Inner(i)), Term::ZERO);
    let cell = Cap::Entry(Entry {
        guards: vec![],
        name: Var::Inner(0),
        offset: Term::ZERO,
        mem: Rc::new(i64s()),
    });
    let store = Cap::Store(f(4));
    let sigma = sig(
        vec![addr()],
        assertion(
            vec![],
            &[("rdi", inner(0)), ("rsi", name(2))],
            vec![],
            vec![cell.clone(), store.clone()],
        ),
        post(vec![], assertion(vec![], &[], vec![], vec![cell, store.clone()])),
    );
    let whole = entry(vec![], f(0), array(int(1), i64s()));
    let each = sig(
        vec![addr(), Kind::INT, Kind::Word, Kind::Code(sigma), Kind::Store],
        assertion(
            vec![],
            &[("rdi", name(0)), ("rsi", word(int(1))), ("rdx", name(3)), ("rcx", name(2))],
            vec![],
            vec![whole.clone(), store.clone()],
        ),
        post(vec![], assertion(vec![], &[], vec![], vec![whole.clone(), store.clone()])),
    );
    b.function(
        "for_each",
        each,
        "push rbx
         push r12
         push r13
         push r14
         push r15
         mov r12, rdi
         lea r13, [rdi + rsi*8]
         mov r14, rdx
         mov r15, rcx
         jmp .test
.each:
         mov rdi, r12
         mov rsi, r15
         call r14
         add r12, 8
.test:
         cmp r12, r13
         jne .each
         pop r15
         pop r14
         pop r13
         pop r12
         pop rbx
         ret",
    );
    let i = int(5);
    let mut l = bench::label_state(
        vec![Kind::INT],
        vec![ge(i.clone()), ge(int(1).sub(&i).unwrap())],
        &[
            ("r12", tal_core::ty::Word::Ptr(Base::Name(f(0)), i.scale(8).unwrap())),
            ("r13", tal_core::ty::Word::Ptr(Base::Name(f(0)), int(1).scale(8).unwrap())),
            ("r14", name(3)),
            ("r15", name(2)),
        ],
        vec![whole.clone(), store],
    );
    l.delta = -40;
    l.touched = -48;
    l.regs[5] = tal_core::ty::Word::Saved(tal_core::ty::Reg::Rbp);
    use tal_core::ty::{Reg, Word as W};
    l.slots = vec![
        (-40, W::Saved(Reg::R15)),
        (-32, W::Saved(Reg::R14)),
        (-24, W::Saved(Reg::R13)),
        (-16, W::Saved(Reg::R12)),
        (-8, W::Saved(Reg::Rbx)),
        (0, W::ReturnAddress),
    ];
    l.touched = -40;
    b.label("for_each.test", l);
    b.function("add_to", g, "endbr64\nmov rax, [rdi]\nadd [rsi], rax\ninc qword [rsi + 8]\nret");
    let s = sig(
        vec![addr(), Kind::INT],
        assertion(vec![], &[("rdi", name(0)), ("rsi", word(int(1)))], vec![], vec![whole.clone()]),
        post(
            vec![Kind::INT, Kind::INT],
            assertion(vec![], &[("rax", word(int(2))), ("rdx", word(int(3)))], vec![], vec![whole]),
        ),
    );
    b.function(
        "total",
        s,
        "sub rsp, 24
         mov qword [rsp], 0
         mov qword [rsp + 8], 0
         lea rdx, [add_to]
         mov rcx, rsp
         call for_each
         mov rax, [rsp]
         mov rdx, [rsp + 8]
         add rsp, 24
         ret",
    );
    b.accept();
}

#[test]
fn lower_bound_cmov() {
    let mut b = Bench::new();
    let n = int(1);
    let v = View {
        guards: vec![],
        region: tal_core::ty::Region::Var(f(3)),
        mode: Mode::Rd,
        base: Base::Name(f(0)),
        offset: Term::ZERO,
        mem: Rc::new(array(n.clone(), i64s())),
    };
    let r = int(4);
    let s = sig(
        vec![addr(), Kind::INT, Kind::INT, Kind::Region],
        assertion(
            vec![],
            &[("rdi", name(0)), ("rsi", word(n.clone())), ("rdx", word(int(2)))],
            vec![v],
            vec![],
        ),
        post(
            vec![Kind::INT],
            assertion(
                vec![ge(r.clone()), ge(n.sub(&r).unwrap())],
                &[("rax", word(r))],
                vec![],
                vec![],
            ),
        ),
    );
    b.function(
        "lower_bound_cmov",
        s,
        "mov rax, rdi
         test rsi, rsi
         jz .none
         jmp .test
.halve:
         mov rcx, rsi
         shr rcx, 1
         lea r8, [rax + rcx*8]
         cmp [r8 - 8], rdx
         cmovl rax, r8
         sub rsi, rcx
.test:
         cmp rsi, 1
         ja .halve
         xor ecx, ecx
         cmp [rax], rdx
         setl cl
         sub rax, rdi
         sar rax, 3
         add rax, rcx
         ret
.none:
         xor eax, eax
         ret",
    );
    // some k (4), m (5): rax = a + 8k, rsi = m, 0 <= k, 1 <= m, k + m <= n
    use tal_core::ty::{Reg, Word as W};
    let (k, m) = (int(4), int(5));
    let mut l = bench::label_state(
        vec![Kind::INT, Kind::INT],
        vec![ge(k.clone()), ge(add(&m, -1)), ge(n.sub(&k).unwrap().sub(&m).unwrap())],
        &[
            ("rax", W::Ptr(Base::Name(f(0)), k.scale(8).unwrap())),
            ("rsi", word(m)),
            ("rdi", name(0)),
            ("rdx", word(int(2))),
        ],
        vec![],
    );
    l.slots = vec![(0, W::ReturnAddress)];
    for r in [3, 5, 12, 13, 14, 15] {
        l.regs[r] = W::Saved(Reg::ALL[r]);
    }
    b.label("lower_bound_cmov.test", l);
    b.accept();
}

#[test]
fn lends_owned_array_and_takes_it_back() {
    let mut b = Bench::new();
    let view = |mode, mem: Mem, off: Term, rho| View {
        guards: vec![],
        region: tal_core::ty::Region::Var(rho),
        mode,
        base: Base::Name(f(0)),
        offset: off,
        mem: Rc::new(mem),
    };
    // write(rsi = buf: &bytes[n], rdx = n)
    b.import(
        "write",
        sig(
            vec![addr(), Kind::INT, Kind::Region],
            assertion(
                vec![],
                &[("rsi", name(0)), ("rdx", word(int(1)))],
                vec![view(Mode::Rd, Mem::Bytes(int(1)), Term::ZERO, f(2))],
                vec![],
            ),
            post(vec![], assertion(vec![], &[], vec![], vec![])),
        ),
    );
    let whole = entry(vec![], f(0), array(int(1), i64s()));
    let s = sig(
        vec![addr(), Kind::INT],
        assertion(
            vec![ge(add(&int(1), -4))],
            &[("rdi", name(0)), ("rsi", word(int(1)))],
            vec![],
            vec![whole.clone()],
        ),
        post(vec![], assertion(vec![], &[], vec![], vec![whole])),
    );
    b.function(
        "f",
        s,
        "push rbx
         mov rbx, rdi
         lea rsi, [rdi + 9]
         mov edx, 7
         call write
         mov rax, [rbx]
         mov [rbx + 24], rax
         mov rsi, rbx
         mov edx, 32
         call write
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn args_are_opened() {
    let mut b = Bench::new();
    let n = Term::var(Var::Bound(0));
    let len = Fact { rel: Rel::Eq, term: Term::var(Var::Value).sub(&n).unwrap() };
    let text = FieldTy::Ref { nullable: false, mode: Mode::Ro, mem: Rc::new(Mem::Bytes(n)) };
    let body = Mem::Struct {
        fields: vec![
            Field { offset: 0, writable: false, ty: text },
            Field {
                offset: 8,
                writable: false,
                ty: FieldTy::Int { bits: 64, signed: false, facts: vec![len] },
            },
        ],
        size: 16,
    };
    b.named(0, Mem::Ex { vars: 1, facts: vec![], body: Rc::new(body) }, false, false, false);
    let v = |mode, mem: Mem, region| View {
        guards: vec![],
        region,
        mode,
        base: Base::Name(f(0)),
        offset: Term::ZERO,
        mem: Rc::new(mem),
    };
    let argv =
        v(Mode::Ro, array(int(1), Mem::Named(TypeId(0), vec![])), tal_core::ty::Region::Always);
    b.import(
        "write",
        sig(
            vec![addr(), Kind::INT, Kind::Region],
            assertion(
                vec![],
                &[("rsi", name(0)), ("rdx", word(int(1)))],
                vec![v(Mode::Rd, Mem::Bytes(int(1)), tal_core::ty::Region::Var(f(2)))],
                vec![],
            ),
            post(vec![], assertion(vec![], &[], vec![], vec![])),
        ),
    );
    let s = sig(
        vec![addr(), Kind::INT, Kind::INT],
        assertion(
            vec![ge(int(2)), ge(add(&int(1).sub(&int(2)).unwrap(), -1))],
            &[
                ("rdi", name(0)),
                ("rsi", word(int(1))),
                ("rbx", word(int(2))),
                ("rdx", word(int(2))),
            ],
            vec![argv],
            vec![],
        ),
        post(vec![], assertion(vec![], &[], vec![], vec![])),
    );
    b.function(
        "f",
        s,
        "sub rsp, 8
         mov rax, rdx
         shl rax, 4
         cmp qword [rdi + rax + 8], 2
         jne .all
         mov rcx, [rdi + rax]
         cmp word [rcx], 28205
         je .out
.all:
         mov rsi, [rdi + rax]
         mov rdx, [rdi + rax + 8]
         call write
.out:
         add rsp, 8
         ret",
    );
    b.accept();
}

/// `vec exists n, c where n <= c, 1 <= c { len = n; cap = c; data: own@heap [n of c]u64 }`, T0.
fn with_vec(b: &mut Bench) -> Mem {
    let (n, c) = (Term::var(Var::Bound(0)), Term::var(Var::Bound(1)));
    let is = |t: &Term| Fact { rel: Rel::Eq, term: Term::var(Var::Value).sub(t).unwrap() };
    let u64t = |facts| FieldTy::Int { bits: 64, signed: false, facts };
    let cell = Mem::Struct {
        fields: vec![Field { offset: 0, writable: true, ty: u64t(vec![]) }],
        size: 8,
    };
    let rest = c.scale(8).unwrap().sub(&n.scale(8).unwrap()).unwrap();
    let data = Mem::Cat(Rc::new(array(n.clone(), cell)), Rc::new(Mem::Junk(rest)));
    let field = |offset, ty| Field { offset, writable: false, ty };
    let body = Mem::Struct {
        fields: vec![
            field(0, u64t(vec![is(&n)])),
            field(8, u64t(vec![is(&c)])),
            field(16, own(false, Some(0), data)),
        ],
        size: 24,
    };
    let facts = vec![ge(c.sub(&n).unwrap()), ge(add(&c, -1))];
    b.named(0, Mem::Ex { vars: 2, facts, body: Rc::new(body) }, false, false, true);
    Mem::Named(TypeId(0), vec![])
}

#[test]
fn vec_push() {
    let mut b = Bench::new();
    let vec = with_vec(&mut b);
    with_heap(&mut b);
    let v = entry(vec![], f(0), vec);
    let r = vec![ge(int(2)), ge(Term::int(1).sub(&int(2)).unwrap())];
    let s = sig(
        vec![addr(), Kind::INT],
        assertion(
            facts_u64(1),
            &[("rdi", name(0)), ("rsi", word(int(1)))],
            vec![],
            vec![v.clone()],
        ),
        post(vec![Kind::INT], assertion(r, &[("rax", word(int(2)))], vec![], vec![v])),
    );
    b.function(
        "vec_push",
        s,
        "mov rax, [rdi]
         cmp rax, [rdi + 8]
         je .grow
         mov rcx, [rdi + 16]
         mov [rcx + rax*8], rsi
         inc rax
         mov [rdi], rax
         xor eax, eax
         ret
.grow:
         push rbx
         push r12
         push r13
         mov rbx, rdi
         mov r12, rsi
         mov rdi, [rbx + 8]
         mov rdx, [rbx + 16]
         shl rdi, 4
         mov rcx, 1099511627776
         cmp rdi, rcx
         ja .full
         call malloc
         test rax, rax
         jz .full2
         mov r13, rax
         mov rdi, rax
         mov rsi, [rbx + 16]
         mov rcx, [rbx]
         rep movsq
         mov rdi, [rbx + 16]
         call free
         mov rcx, [rbx]
         mov [r13 + rcx*8], r12
         inc rcx
         mov [rbx], rcx
         mov rax, [rbx + 8]
         add rax, rax
         mov [rbx + 8], rax
         mov [rbx + 16], r13
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
         ret
.full2:
         mov eax, 1
         pop r13
         pop r12
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn vec_free() {
    let mut b = Bench::new();
    let vec = with_vec(&mut b);
    with_heap(&mut b);
    let block = Some(Block { origin: OriginId(0), extent: Term::int(24) });
    let s = sig(
        vec![Kind::Addr { set: NameSet::ADDRESS, block }],
        assertion(vec![], &[("rdi", name(0))], vec![], vec![entry(vec![], f(0), vec)]),
        post(vec![], assertion(vec![], &[], vec![], vec![])),
    );
    b.function(
        "vec_free",
        s,
        "push rbx
         mov rbx, [rdi + 16]
         call free
         mov rdi, rbx
         pop rbx
         jmp free",
    );
    b.accept();
}

#[test]
fn table_new() {
    let mut b = Bench::new();
    let (_, table) = with_table(&mut b);
    with_heap(&mut b);
    let m = int(0);
    let got = entry(vec![Guard::IsAddress(f(1))], f(1), table);
    let s = sig(
        vec![Kind::INT],
        assertion(
            vec![ge(add(&m, -1)), ge(Term::int(1 << 32).sub(&m).unwrap())],
            &[("rdi", word(m))],
            vec![],
            vec![],
        ),
        post(
            vec![nullable(Term::int(16))],
            assertion(vec![], &[("rax", name(1))], vec![], vec![got]),
        ),
    );
    b.function(
        "table_new",
        s,
        "push rbx
         push r12
         sub rsp, 8
         mov rbx, rdi
         lea rdi, [rdi*8]
         call calloc
         test rax, rax
         jz .out
         mov r12, rax
         mov edi, 16
         call malloc
         test rax, rax
         jz .undo
         dec rbx
         mov [rax], rbx
         mov [rax + 8], r12
         add rsp, 8
         pop r12
         pop rbx
         ret
.out:
         add rsp, 8
         pop r12
         pop rbx
         ret
.undo:
         mov rdi, r12
         call free
         xor eax, eax
         add rsp, 8
         pop r12
         pop rbx
         ret",
    );
    b.accept();
}

#[test]
fn list_free() {
    let mut b = Bench::new();
    let node = with_node(&mut b);
    with_heap(&mut b);
    let head = |x: u16| entry(vec![Guard::IsAddress(f(x))], f(x), node.clone());
    let s = sig(
        vec![nullable(Term::int(16))],
        assertion(vec![], &[("rdi", name(0))], vec![], vec![head(0)]),
        post(vec![], assertion(vec![], &[], vec![], vec![])),
    );
    b.function(
        "list_free",
        s,
        "push rbx
         mov rbx, rdi
         jmp .test
.each:
         mov rdi, rbx
         mov rbx, [rbx]
         call free
.test:
         test rbx, rbx
         jnz .each
         pop rbx
         ret",
    );
    use tal_core::ty::{Reg, Word as W};
    let mut l = bench::label_state(
        vec![nullable(Term::int(16))],
        vec![],
        &[("rbx", name(1))],
        vec![head(1)],
    );
    l.delta = -8;
    l.touched = -8;
    l.slots = vec![(-8, W::Saved(Reg::Rbx)), (0, W::ReturnAddress)];
    for r in [5, 12, 13, 14, 15] {
        l.regs[r] = W::Saved(Reg::ALL[r]);
    }
    b.label("list_free.test", l);
    b.accept();
}
