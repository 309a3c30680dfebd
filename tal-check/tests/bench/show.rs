//! States in a few lines.

use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, FieldTy, Guard, Mem, Rel, View, Word};

pub fn var(v: Var) -> String {
    match v {
        Var::Free(i) => format!("v{i}"),
        Var::Inner(i) => format!("i{i}"),
        Var::Param(i) => format!("p{i}"),
        Var::Bound(i) => format!("b{i}"),
        Var::Value => "v".into(),
    }
}

pub fn term(t: &Term) -> String {
    let mut s = String::new();
    for m in t.monomials() {
        let (a, b) = m.atom.factors();
        s += &format!("{:+}{}", m.coefficient, var(a));
        if let Some(b) = b {
            s += &format!("*{}", var(b));
        }
    }
    if t.constant() != 0 || s.is_empty() {
        s += &format!("{:+}", t.constant());
    }
    s
}

pub fn base(b: Base) -> String {
    match b {
        Base::Name(v) => var(v),
        Base::Data(d) => format!("d{}", d.0),
        Base::Code(c) => format!("f{}", c.0),
    }
}

pub fn word(w: &Word) -> String {
    match w {
        Word::Int(t) => format!("I({})", term(t)),
        Word::Ptr(b, t) => format!("P({},{})", base(*b), term(t)),
        other => format!("{other:?}"),
    }
}

pub fn field(t: &FieldTy) -> String {
    match t {
        FieldTy::Int { bits, signed, facts } => {
            let s = if *signed { "i" } else { "u" };
            let f: Vec<String> = facts.iter().map(fact).collect();
            format!("{s}{bits}{{{}}}", f.join(","))
        }
        FieldTy::Known(w) => format!("={}", word(w)),
        FieldTy::Own { nullable, origin, mem: m } => {
            format!(
                "own{}{} {}",
                origin.map_or(String::new(), |o| format!("@{}", o.0)),
                if *nullable { "?" } else { "" },
                mem(m)
            )
        }
        FieldTy::Ref { nullable, mode, mem: m } => {
            format!("ref{} {mode:?} {}", if *nullable { "?" } else { "" }, mem(m))
        }
        FieldTy::Junk(n) => format!("junk{n}"),
    }
}

pub fn mem(m: &Mem) -> String {
    match m {
        Mem::Struct { fields, size } => {
            let f: Vec<String> = fields
                .iter()
                .map(|f| {
                    format!("{}{}:{}", f.offset, if f.writable { "" } else { "ro" }, field(&f.ty))
                })
                .collect();
            format!("{{{};{size}}}", f.join(", "))
        }
        Mem::Array(n, m) => format!("[{}]{}", term(n), mem(m)),
        Mem::Bytes(n) => format!("bytes[{}]", term(n)),
        Mem::Junk(n) => format!("junk[{}]", term(n)),
        Mem::Zero(n) => format!("zero[{}]", term(n)),
        Mem::Cat(a, b) => format!("{} ++ {}", mem(a), mem(b)),
        Mem::Ex { vars, facts, body } => {
            let f: Vec<String> = facts.iter().map(fact).collect();
            format!("ex {vars} {{{}}} {}", f.join(","), mem(body))
        }
        Mem::Named(t, a) => {
            format!("T{}[{}]", t.0, a.iter().map(term).collect::<Vec<_>>().join(","))
        }
    }
}

pub fn fact(f: &tal_core::ty::Fact) -> String {
    let r = match f.rel {
        Rel::Ge => ">=0",
        Rel::Eq => "=0",
        Rel::Ne => "/=0",
    };
    format!("{}{r}", term(&f.term))
}

pub fn guards(g: &[Guard]) -> String {
    g.iter()
        .map(|g| match g {
            Guard::Range(t, a, b) => format!("{} in [{a},{b}] ", term(t)),
            Guard::IsAddress(x) => format!("{} in A ", var(*x)),
            Guard::IsSmall(x, a, b) => format!("{} in [{a},{b}] ", var(*x)),
        })
        .collect()
}

pub fn cap(c: &Cap) -> String {
    let entry = |e: &tal_core::ty::Entry| {
        format!("{}{}{} ~> {}", guards(&e.guards), var(e.name), term(&e.offset), mem(&e.mem))
    };
    match c {
        Cap::Entry(e) => entry(e),
        Cap::Token(r, e) => format!("tok({}){{{}}}", var(*r), entry(e)),
        Cap::Store(v) => format!("R {}", var(*v)),
    }
}

pub fn view(v: &View) -> String {
    format!(
        "{}{:?} {:?} {}{} ~> {}",
        guards(&v.guards),
        v.region,
        v.mode,
        base(v.base),
        term(&v.offset),
        mem(&v.mem)
    )
}

pub fn state(s: &State) -> String {
    let names = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    let mut out = String::new();
    for (n, w) in names.iter().zip(s.regs()) {
        if !matches!(w, Word::Junk | Word::Saved(_)) {
            out += &format!("{n}={} ", word(w));
        }
    }
    out += &format!("\n delta {} touched {} slots ", s.stack.delta, s.stack.touched);
    for (k, w) in s.slots() {
        out += &format!("[{k}]={} ", word(w));
    }
    for l in &s.stack.lent {
        out += &format!("lent({},{},{}) ", l.offset, l.size, var(l.name));
    }
    out += "\n facts ";
    for (i, f) in s.facts.iter().enumerate() {
        out += &format!("{i}:{} ", fact(f));
    }
    out += "\n names ";
    for (i, d) in s.scope.iter().enumerate() {
        if let tal_core::ty::Kind::Addr { block, .. } = &d.kind {
            out += &format!(
                "v{i}:A={} small={:?} block={} is={} ",
                d.set.address,
                d.set.small.iter().flatten().collect::<Vec<_>>(),
                block.as_ref().map_or(String::new(), |b| term(&b.extent)),
                d.is.as_ref().map_or(String::new(), term)
            );
        }
    }
    for c in &s.caps {
        out += &format!("\n  C {}", cap(c));
    }
    for v in &s.views {
        out += &format!("\n  V {}", view(v));
    }
    out + "\n"
}
