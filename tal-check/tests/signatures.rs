//! Not trusted: a bug here can reject, never admit. What signatures and written states desugar to.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::elaborate::lower;
use tal_check::lowered::{FnInfo, Lowered, Origin};
use tal_core::hint::Place;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Bounds, Cap, FieldTy, Guard, Kind, Mem, Mode, NameSet, Reg, Region, Rel, Sig, Word,
};

fn program(text: &str) -> Lowered {
    let files: BTreeMap<String, String> = [("t.tal".to_owned(), text.to_owned())].into();
    let outcome = lower(Path::new("t.tal"), &files).unwrap();
    let said: Vec<String> =
        outcome.diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
    outcome.lowered.unwrap_or_else(|| panic!("{said:?}"))
}

fn sig<'a>(program: &'a Lowered, name: &str) -> (&'a Sig, &'a FnInfo) {
    let (_, f) = program.function(name).unwrap();
    (&program.sigs[f.sig as usize], f)
}

/// One function that has this type.
fn typed(sig: &str) -> Lowered {
    program(&format!(
        "use \"kernel.tali\"
use \"heap.tali\"
struct node {{ next: own@heap? node, val: i64 }}
fn f{sig}
{{
        ret
}}
"
    ))
}

fn free(i: u16) -> Var {
    Var::Free(i)
}

fn var(i: u16) -> Term {
    Term::var(free(i))
}

#[test]
fn borrowed_memory_is_a_view_in_a_region_of_its_own() {
    let p = typed("(rdi = a: &rw [n]i64, rsi = n, rdx = t: &? node)");
    let (sig, f) = sig(&p, "f");
    assert_eq!(f.names, ["a", "n", "'a", "t", "'t"]);
    assert_eq!(*sig.pre.regs.get(Reg::Rdi), Word::Ptr(Base::Name(free(0)), Term::ZERO));
    assert_eq!(*sig.pre.regs.get(Reg::Rsi), Word::Int(var(1)));
    let [a, t] = sig.pre.views.as_slice() else { panic!("{:?}", sig.pre.views) };
    assert_eq!((a.mode, a.region, a.base), (Mode::Rw, Region::Var(free(2)), Base::Name(free(0))));
    assert!(matches!(&*a.mem, Mem::Array(n, _) if *n == var(1)));
    assert_eq!((t.mode, t.region), (Mode::Ro, Region::Var(free(4))), "a node is not plain");
    assert_eq!(t.guards, [Guard::IsAddress(free(3))]);
    assert_eq!(sig.vars[3], Kind::Addr { set: NameSet::NULLABLE, block: None });
    assert!(sig.pre.facts.is_empty() && sig.pre.caps.is_empty());
}

#[test]
fn exclusive_memory_goes_back() {
    let p = typed("(rdi = a: inout u64, rsi = b: out node, rdx = c: own@heap node)");
    let (sig, _) = sig(&p, "f");
    let mems = |caps: &[Cap]| -> Vec<(Var, bool)> {
        let each = caps.iter().map(|c| match c {
            Cap::Entry(e) => (e.name, matches!(*e.mem, Mem::Junk(_))),
            Cap::Token(..) | Cap::Store(_) => panic!("no entry"),
        });
        each.collect()
    };
    assert_eq!(mems(&sig.pre.caps), [(free(0), false), (free(1), true), (free(2), false)]);
    let post = sig.post.as_ref().unwrap();
    assert_eq!(mems(&post.state.caps), [(free(0), false), (free(1), false)]);
    let Kind::Addr { block: Some(block), .. } = &sig.vars[2] else { panic!("no claim") };
    assert_eq!(block.extent, Term::int(16));
}

#[test]
fn integers_have_the_range_that_is_written() {
    let p = typed(
        "(rdi = v: u64, rsi = w, rdx = 4096*k: int[4096 .. 1 << 40]) -> (rax: int[v - 1 .. v])",
    );
    let (sig, f) = sig(&p, "f");
    assert_eq!(f.names, ["v", "w", "k", "rax"]);
    assert_eq!(sig.pre.facts, []);
    let within = |low, high| Kind::Int(Bounds::new(Some(low), Some(high)).unwrap());
    assert_eq!(sig.vars, [Kind::Int(Bounds::of_bits(64, false)), Kind::INT, within(1, 1 << 28)]);
    assert_eq!(*sig.pre.regs.get(Reg::Rdx), Word::Int(var(2).scale(4096).unwrap()));
    let post = sig.post.as_ref().unwrap();
    let low = var(3).sub(&var(0)).unwrap().plus(1).unwrap();
    assert_eq!((post.state.facts[0].rel, &post.state.facts[0].term), (Rel::Ge, &low));
}

#[test]
fn alternatives_are_guarded_by_one_word() {
    let p = typed(
        "(rdi = h: own@heap? node) -> (rax: own@heap node) or (rax = 0, rdx = h: own@heap? node)",
    );
    let (sig, f) = sig(&p, "f");
    assert_eq!(f.names, ["h", "rax"]);
    let post = sig.post.as_ref().unwrap();
    assert!(matches!(post.vars[0], Kind::Addr { set: NameSet::NULLABLE, block: Some(_) }));
    let guards: Vec<(Var, &[Guard])> = (post.state.caps.iter())
        .map(|c| match c {
            Cap::Entry(e) => (e.name, e.guards.as_slice()),
            Cap::Token(..) | Cap::Store(_) => panic!("no entry"),
        })
        .collect();
    let full = [Guard::IsSmall(free(1), 0, 0), Guard::IsAddress(free(0))];
    assert!(guards.contains(&(free(1), &[Guard::IsAddress(free(1))])), "{guards:?}");
    assert!(guards.contains(&(free(0), &full)), "{guards:?}");
}

#[test]
fn integer_alternatives_guard_by_range() {
    let p = typed("(rdi = h: out node) -> (rax = 0) or (rax: errno, h: junk[16])");
    let (sig, _) = sig(&p, "f");
    let post = sig.post.as_ref().unwrap();
    let mut found: Vec<(i64, i64, bool)> = Vec::new();
    for cap in &post.state.caps {
        let Cap::Entry(e) = cap else { panic!("no entry") };
        let [Guard::Range(t, low, high)] = e.guards.as_slice() else { panic!("{:?}", e.guards) };
        assert_eq!(*t, var(1));
        found.push((*low, *high, matches!(*e.mem, Mem::Junk(_))));
    }
    found.sort_unstable();
    assert_eq!(found, [(-4095, -1, true), (0, 0, false)]);
    assert_eq!(post.state.facts, []);
    let status = Bounds::new(Some(-4095), Some(0)).unwrap();
    assert!(matches!(post.vars[..], [Kind::Int(bounds)] if bounds == status), "{:?}", post.vars);
}

#[test]
fn a_code_parameter_numbers_its_own_variables_inside() {
    let p = program(
        "fn f[E: word, R: caps](rdi = g: fn(rdi = x: inout i64, rsi: E, R) -> (R), rsi: E, R) -> (R)
{
        ret
}
",
    );
    let (sig, f) = sig(&p, "f");
    assert_eq!(f.names, ["E", "R", "g"]);
    let Kind::Code(inner) = &sig.vars[2] else { panic!("no code") };
    assert_eq!(inner.vars, [Kind::Addr { set: NameSet::ADDRESS, block: None }]);
    let word = Word::Ptr(Base::Name(free(0)), Term::ZERO);
    assert_eq!(*inner.pre.regs.get(Reg::Rsi), word, "the environment is the function's");
    assert!(inner.pre.caps.contains(&Cap::Store(free(1))));
    assert!(matches!(&inner.pre.caps[..], [Cap::Entry(e), _] if e.name == Var::Inner(0)));
    assert_eq!(*sig.pre.regs.get(Reg::Rsi), word);
}

#[test]
fn hidden_variables_are_bound_and_their_fields_stay() {
    let p = program(
        "struct v exists len, cap where len <= cap {
    len = len: u64
    cap = cap: u64
    at: own? [len of cap]u64
}
fn f(rdi = p: inout v)
{
        ret
}
",
    );
    let info = &p.types[0];
    assert_eq!((info.hidden.as_slice(), info.ty.size), (&["len".to_owned(), "cap".into()][..], 24));
    let Mem::Ex { vars: 2, facts, body } = &*info.ty.body else { panic!("no package") };
    assert_eq!(facts.len(), 1);
    let Mem::Struct { fields, .. } = &**body else { panic!("no struct") };
    assert!(fields.iter().all(|f| !f.writable), "they mention hidden variables");
    assert!(info.ty.owns && !info.ty.plain && !info.ty.zero_ok);
    let FieldTy::Own { mem, .. } = &fields[2].ty else { panic!("no own") };
    assert!(matches!(&**mem, Mem::Cat(a, b)
        if matches!(**a, Mem::Array(..)) && matches!(**b, Mem::Junk(_))));
}

#[test]
fn layout_is_that_of_c_unless_packed() {
    let p = program(
        "struct a { x: u8, y: u32, z: u16 }
struct b packed { x: u8, y: u32, z: u16 }
const SIZES = 100*sizeof a + sizeof b
const Y = 100*a.y + b.y
fn f() -> (rax)
{
        mov     eax, SIZES
        mov     eax, Y
        ret
}
",
    );
    assert_eq!(p.text[..10], [0xb8, 0xb7, 4, 0, 0, 0xb8, 0x91, 1, 0, 0]);
}

#[test]
fn a_struct_with_arrays_inside_is_parts_in_order() {
    let p = program(
        "struct s { h: [8]u32, buf: bytes[64], len: u64 }
fn f(rdi = p: inout s) -> (rax)
{
        mov     rax, [rdi + s.len]
        ret
}
",
    );
    let (sig, _) = sig(&p, "f");
    let Cap::Entry(e) = &sig.pre.caps[0] else { panic!("no entry") };
    let Mem::Cat(h, rest) = &*e.mem else { panic!("{:?}", e.mem) };
    assert!(matches!(**h, Mem::Array(..)));
    assert!(matches!(&**rest, Mem::Cat(b, s)
        if matches!(**b, Mem::Bytes(_)) && matches!(**s, Mem::Struct { size: 8, .. })));
    assert_eq!(p.text[..4], [0x48, 0x8b, 0x47, 0x60]);
}

#[test]
fn a_written_state_names_registers_and_some() {
    let p = program(
        "fn f(rdi = a: &rw [n]i64, rsi = n)
{
        mov     rax, rdi
.part:  where some k, rax = a + 8*k, 0 <= k, k + rcx <= n
        jmp     .part
}
",
    );
    let (sig, f) = sig(&p, "f");
    assert_eq!(sig.vars.len(), 3);
    let written = f.labels[0].state.as_ref().unwrap();
    let origins: Vec<(&str, Origin)> =
        written.vars.iter().map(|v| (v.name.as_str(), v.origin)).collect();
    assert_eq!(origins, [("k", Origin::Named), ("rcx", Origin::Place(Place::Reg(Reg::Rcx)))]);
    let word = Word::Ptr(Base::Name(free(0)), var(3).scale(8).unwrap());
    assert_eq!((written.words[0].0, &written.words[0].1), (Place::Reg(Reg::Rax), &word));
    let sum = var(1).sub(&var(3)).unwrap().sub(&var(4)).unwrap();
    assert_eq!(written.facts[1].0.term, sum);
}

#[test]
fn long_jumps_grow_and_reach() {
    let filler = "        mov     rax, 0x123456789\n".repeat(20);
    let p = program(&format!(
        "fn f() -> (rax)
{{
        jz      .end
        jz      .near
.near:
{filler}.end:
        xor     eax, eax
        ret
}}
"
    ));
    assert_eq!(p.text[..2], [0x0f, 0x84], "far");
    assert_eq!(p.text[6], 0x74, "near");
    let distance = i32::from_le_bytes(p.text[2..6].try_into().unwrap());
    assert_eq!(6 + distance, 8 + 20 * 10);
}

#[test]
fn same_source_same_bytes() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/wc.tal");
    let once = || lower(&example, &tal_check::resolve::Disk).unwrap().lowered.unwrap();
    let (a, b) = (once(), once());
    assert_eq!(a.text, b.text);
    assert_eq!(a.image(&[]), b.image(&[]));
}
