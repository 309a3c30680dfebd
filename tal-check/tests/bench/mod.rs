//! Hand-made images from a few lines of assembly.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "not every test uses everything")]

pub mod show;

use std::collections::BTreeMap;
use tal_check::asm::{self, Arg, MemArg};
use tal_check::find::Finder;
use tal_core::counted::Rc;
use tal_core::hint::Hints;
use tal_core::image::{Data, Function, Image, Interface};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Cap, Fact, FieldTy, FnId, Kind, Mem, NamedType, OriginId, Post, Reg, Rel, Sig,
    View, Word, Words,
};
use tal_write::{Label, LabelState, state_at};

pub fn int(i: u16) -> Term {
    Term::var(Var::Free(i))
}

pub fn add(t: &Term, c: i128) -> Term {
    t.plus(c).unwrap()
}

pub fn word(t: Term) -> Word {
    Word::Int(t)
}

pub fn name(i: u16) -> Word {
    Word::Ptr(Base::Name(Var::Free(i)), Term::ZERO)
}

pub fn array(n: Term, m: Mem) -> Mem {
    Mem::Array(n, Rc::new(m))
}

pub fn own(nullable: bool, origin: Option<u16>, mem: Mem) -> FieldTy {
    FieldTy::Own { nullable, origin: origin.map(OriginId), mem: Rc::new(mem) }
}

pub fn facts_u64(i: u16) -> Vec<Fact> {
    let top = Term::constant_of(u64::MAX.into()).unwrap();
    let ge = |term| Fact { rel: Rel::Ge, term };
    vec![ge(int(i)), ge(top.sub(&int(i)).unwrap())]
}

fn reg(n: &str) -> usize {
    const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    NAMES.iter().position(|m| *m == n).unwrap()
}

pub fn assertion(
    facts: Vec<Fact>,
    words: &[(&str, Word)],
    views: Vec<View>,
    caps: Vec<Cap>,
) -> Assertion {
    let mut regs = Words::default();
    for (n, w) in words {
        regs.set(Reg::ALL[reg(n)], w.clone());
    }
    Assertion { facts, regs, args: vec![], views, caps }
}

pub fn post(vars: Vec<Kind>, state: Assertion) -> Option<Post> {
    Some(Post { vars, state })
}

pub fn sig(vars: Vec<Kind>, pre: Assertion, post: Option<Post>) -> Rc<Sig> {
    Rc::new(Sig { vars, pre, post })
}

pub fn label_state(
    vars: Vec<Kind>,
    facts: Vec<Fact>,
    words: &[(&str, Word)],
    caps: Vec<Cap>,
) -> LabelState {
    let a = assertion(facts, words, vec![], caps);
    LabelState {
        vars,
        refinements: vec![],
        facts: a.facts,
        regs: Reg::ALL.map(|reg| a.regs.get(reg).clone()),
        delta: 0,
        touched: 0,
        slots: vec![],
        lent: vec![],
        views: vec![],
        caps: a.caps,
    }
}

struct Code {
    name: String,
    sig: Rc<Sig>,
    text: String,
}

pub struct Bench {
    types: Vec<NamedType>,
    imports: Vec<(String, Rc<Sig>)>,
    code: Vec<Code>,
    labels: BTreeMap<String, LabelState>,
    data: Vec<Data<'static>>,
}

impl Bench {
    pub fn new() -> Self {
        Bench {
            types: vec![],
            imports: vec![],
            code: vec![],
            labels: BTreeMap::new(),
            data: vec![],
        }
    }

    pub fn named(&mut self, arity: u16, body: Mem, zero_ok: bool, plain: bool, owns: bool) {
        let mut inner = &body;
        if let Mem::Ex { body, .. } = inner {
            inner = body;
        }
        let Mem::Struct { size, .. } = inner else { panic!("struct") };
        let size = *size;
        self.types.push(NamedType { arity, size, zero_ok, plain, owns, body: Rc::new(body) });
    }

    pub fn import(&mut self, name: &str, sig: Rc<Sig>) {
        self.imports.push((name.into(), sig));
    }

    pub fn function(&mut self, name: &str, sig: Rc<Sig>, text: &str) {
        self.code.push(Code { name: name.into(), sig, text: text.into() });
    }

    /// State of a label that jumps go to.
    pub fn label(&mut self, name: &str, state: LabelState) {
        self.labels.insert(name.into(), state);
    }

    /// Judges every function by the finder; labels without a given state get the first state that
    /// reaches them.
    pub fn accept(&mut self) {
        if let Err(e) = self.judge() {
            panic!("{e}");
        }
    }

    pub fn refuse(&mut self) -> String {
        self.judge().expect_err("accepted")
    }

    fn judge(&mut self) -> Result<(), String> {
        let interface = Interface {
            types: vec![],
            origins: 4,
            imports: self.imports.iter().map(|(_, s)| s.clone()).collect(),
            start: self.code[0].sig.clone(),
            hash: [0; 32],
        };
        let (text, starts, local) = assemble(&self.code, &self.imports);
        let mut labels: BTreeMap<u32, LabelState> = BTreeMap::new();
        for (l, at) in &local {
            let state = self.labels.get(l).cloned();
            let empty = label_state(vec![], vec![], &[], vec![]);
            labels.insert(*at, state.unwrap_or(empty));
        }
        let given: Vec<u32> =
            local.iter().filter(|(l, _)| self.labels.contains_key(*l)).map(|(_, a)| *a).collect();
        let image = Image {
            text: &text,
            text_address: 0x40_0000,
            types: self.types.clone(),
            sigs: self.code.iter().map(|c| c.sig.clone()).collect(),
            functions: starts
                .iter()
                .enumerate()
                .map(|(i, s)| Function { offset: *s, sig: u32::try_from(i).unwrap() })
                .collect(),
            labels: labels.keys().copied().collect(),
            data: self.data.clone(),
            imports: (0..u16::try_from(self.imports.len()).unwrap()).collect(),
            start: Some(FnId(0)),
        };
        let labels: Vec<Label> = labels
            .into_iter()
            .map(|(offset, state)| Label { offset, state: state.into() })
            .collect();
        walk(&image, &interface, &labels, &given)
    }
}

/// Executes every block with the finder; states of labels that were not given are taken from the
/// first edge that reaches them and not checked again (inference is tested elsewhere).
fn walk(
    image: &Image<'_>,
    interface: &Interface,
    labels: &[Label],
    given: &[u32],
) -> Result<(), String> {
    use tal_core::driver::{Flow, Target};
    use tal_core::hint::Start;
    let mut judge = Judge::new(image, interface, Finder::new(image, interface, labels), 1 << 30);
    let show = |judge: &Judge<'_, Finder<'_>>, e: tal_core::error::Error, at: u32| {
        format!("at {at:#x}: {e:?}\ntrouble: {:?}", judge.hints.trouble)
    };
    for fun in 0..image.functions.len() {
        let id = FnId(u32::try_from(fun).unwrap());
        let start = Start::Entry(id);
        judge.hints.block(start, &tal_core::state::State::empty()).unwrap();
        let first = judge.entry_state(id).map_err(|e| format!("{e:?}"))?;
        let mut work = vec![(image.functions[fun].offset, first)];
        let mut seen: Vec<u32> = vec![];
        for l in labels {
            let inside = judge.hints.function(l.offset) == Some(id);
            if inside && given.contains(&l.offset) {
                let st = state_at(&mut judge, id, &l.state);
                work.push((l.offset, st.map_err(|e| format!("{e:?}"))?));
                seen.push(l.offset);
            }
        }
        while let Some((mut at, mut st)) = work.pop() {
            let mut begun = false;
            loop {
                if begun && let Ok(l) = image.labels.binary_search(&at) {
                    let to = Target::Label(u32::try_from(l).unwrap());
                    edge(&mut judge, image, given, &mut seen, &mut work, st, at, to)
                        .map_err(|(e, j)| format!("{e:?} {j}"))?;
                    break;
                }
                begun = true;
                if std::env::var_os("TRACE").is_some() {
                    eprintln!("--- {at:#x}\n{}", show::state(&st));
                }
                let flow = match judge.exec(&mut st, at) {
                    Ok(f) => f,
                    Err(e) => return Err(show(&judge, e, at) + "\n" + &show::state(&st)),
                };
                match flow {
                    Flow::Next(n) => at = n,
                    Flow::Jump(to) => {
                        edge(&mut judge, image, given, &mut seen, &mut work, st, at, to)
                            .map_err(|(e, j)| format!("{e:?} {j}"))?;
                        break;
                    }
                    Flow::Branch { cc, to, next } => {
                        let (taken, other) =
                            judge.branch(&st, cc).map_err(|e| format!("{at:#x} {e:?}"))?;
                        edge(&mut judge, image, given, &mut seen, &mut work, taken, at, to)
                            .map_err(|(e, j)| format!("{e:?} {j}"))?;
                        st = other;
                        at = next;
                    }
                    Flow::Return => {
                        judge.ret(&mut st, at).map_err(|e| {
                            format!("{}\n{}", show(&judge, e, at), show::state(&st))
                        })?;
                        break;
                    }
                    Flow::Stop => break,
                    Flow::Table { .. } => return Err("table".into()),
                }
            }
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "test")]
fn edge<'a>(
    judge: &mut Judge<'a, Finder<'a>>,
    image: &Image<'_>,
    given: &[u32],
    seen: &mut Vec<u32>,
    work: &mut Vec<(u32, tal_core::state::State)>,
    mut st: tal_core::state::State,
    from: u32,
    to: tal_core::driver::Target,
) -> Result<(), (tal_core::error::Error, String)> {
    use tal_core::driver::{Target, Wanted};
    match to {
        Target::Label(l) => {
            let at = image.labels[l as usize];
            if given.contains(&at) {
                let label = judge.hints.target(at).unwrap();
                let (parent, record) = (&label.parent.mark, label.record.declared());
                let wanted = Wanted::Label { at, parent, record };
                return judge.follow(&mut st, from, wanted).map_err(|e| {
                    (e, format!("edge {from:#x} {:?}\n{}", judge.hints.trouble, show::state(&st)))
                });
            }
            if !seen.contains(&at) {
                seen.push(at);
                work.push((at, st));
            }
            Ok(())
        }
        Target::Block(_) => unreachable!("every target has a label"),
        Target::Entry(callee) => judge.follow(&mut st, from, Wanted::Entry(callee)).map_err(|e| {
            (e, format!("edge {from:#x} {:?}\n{}", judge.hints.trouble, show::state(&st)))
        }),
    }
}

type Assembled = (Vec<u8>, Vec<u32>, BTreeMap<String, u32>);

fn assemble(code: &[Code], imports: &[(String, Rc<Sig>)]) -> Assembled {
    let mut at: BTreeMap<String, u32> = BTreeMap::new();
    let mut result = (vec![], vec![], BTreeMap::new());
    for pass in 0..2 {
        let mut text: Vec<u8> = vec![];
        let mut starts = vec![];
        let mut local = BTreeMap::new();
        for c in code {
            while !text.len().is_multiple_of(16) {
                text.push(0xcc);
            }
            let here = u32::try_from(text.len()).unwrap();
            starts.push(here);
            at.insert(c.name.clone(), here);
            for line in c.text.lines() {
                let line = line.trim();
                let here = u32::try_from(text.len()).unwrap();
                if let Some(l) = line.strip_suffix(':') {
                    let full = format!("{}{l}", c.name);
                    at.insert(full.clone(), here);
                    local.insert(full, here);
                    continue;
                }
                if line.is_empty() {
                    continue;
                }
                let address = 0x40_0000 + u64::from(here);
                text.extend(instruction(line, &c.name, address, &at, imports, pass));
            }
        }
        result = (text, starts, local);
    }
    result
}

fn instruction(
    line: &str,
    function: &str,
    address: u64,
    at: &BTreeMap<String, u32>,
    imports: &[(String, Rc<Sig>)],
    pass: u8,
) -> Vec<u8> {
    let (prefix, line) = match line.strip_prefix("rep ") {
        Some(l) => (Some("rep"), l),
        None => (None, line),
    };
    let (mnemonic, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Some(b) = asm::branch(mnemonic)
        && asm::register(rest.trim()).is_none()
    {
        let target = rest.trim();
        let target =
            if target.starts_with('.') { format!("{function}{target}") } else { target.into() };
        let to = match imports.iter().position(|(n, _)| *n == target) {
            Some(i) => limits::GATES + limits::GATE_SIZE * i as u64,
            None => match at.get(&target) {
                Some(a) => 0x40_0000 + u64::from(*a),
                None if pass == 0 => address,
                None => panic!("no {target}"),
            },
        };
        return b.encode(false, address, to).unwrap();
    }
    let args: Vec<Arg> = split(rest).iter().map(|a| arg(a, at)).collect();
    match asm::encode(prefix, mnemonic, &args, address) {
        Ok(b) => b.bytes,
        Err(e) => panic!("{line}: {e:?}"),
    }
}

fn split(rest: &str) -> Vec<String> {
    rest.split(',').map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
}

fn arg(text: &str, at: &BTreeMap<String, u32>) -> Arg {
    if let Some(r) = asm::register(text) {
        return Arg::Reg(r);
    }
    let (size, rest) = match text.split_once(' ') {
        Some(("byte", r)) => (Some(1), r),
        Some(("word", r)) => (Some(2), r),
        Some(("dword", r)) => (Some(4), r),
        Some(("qword", r)) => (Some(8), r),
        _ => (None, text),
    };
    if let Some(inner) = rest.trim().strip_prefix('[') {
        let inner = inner.trim_end_matches(']').replace('-', "+ -");
        let mut m = MemArg { size, ..MemArg::default() };
        for part in inner.split('+') {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            if let Some((r, s)) = part.split_once('*') {
                m.index = Some((asm::register(r.trim()).unwrap(), s.trim().parse().unwrap()));
            } else if let Some(r) = asm::register(part) {
                if m.base.is_none() { m.base = Some(r) } else { m.index = Some((r, 1)) }
            } else if let Some(f) = at.get(part) {
                m.disp += 0x40_0000 + i64::from(*f);
            } else {
                m.disp += part.replace(' ', "").parse::<i64>().unwrap_or(0);
            }
        }
        return Arg::Mem(m);
    }
    Arg::Imm(text.parse().unwrap_or_else(|_| panic!("operand {text}")))
}
