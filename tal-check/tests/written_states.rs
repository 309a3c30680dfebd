//! Not trusted: a test. What is written at a label is what the judge is given there, or is refused:
//! for each kind of part one that is true, one that says less than could be found, and ones that
//! are false on a way. What is known is said by `;?` (see `directives`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::{Checked, check};
use tal_check::directives::run;
use tal_check::elaborate::lower;
use tal_check::lowered::Lowered;
use tal_check::report::report;
use tal_core::error::Error;
use tal_core::hint::{Forward, Hints};
use tal_core::judge::Judge;
use tal_core::state::{Mark, State};
use tal_core::ty::{Cap, Fact, Kind, Record, Rel, Word};
use tal_core::walk::Opened;
use tal_core::wire;
use tal_syntax::diag::Diag;
use tal_write::{LabelState, Saved};

fn lowered(text: &str) -> Lowered {
    let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("test.tal"), &files).unwrap();
    outcome.lowered.unwrap_or_else(|| panic!("{:?}\n{text}", outcome.diags))
}

/// What the program says of itself is so, and it is accepted where it does not say otherwise.
fn so(text: &str) {
    assert_eq!(run(lowered(text)), Vec::<String>::new(), "{text}");
}

fn accepted(text: &str) -> Checked {
    check(lowered(text))
        .unwrap_or_else(|(lowered, refusals)| panic!("{:?}\n{text}", report(&lowered, &refusals)))
}

/// What is said of a program that is refused.
fn refused(text: &str) -> Vec<Diag> {
    match check(lowered(text)) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err((lowered, refusals)) => report(&lowered, &refusals),
    }
}

/// The program is refused because this part does not hold on the way from the line with this text.
fn part_fails(text: &str, part: &str, line: &str) {
    let diags = refused(text);
    let [diag] = diags.as_slice() else { panic!("{diags:?}\n{text}") };
    assert_eq!(diag.code.to_string(), "E0310", "{diag:?}\n{text}");
    assert!(diag.message.starts_with(&format!("`{part}` does not hold at `.")), "{diag:?}");
    let way = text.get(diag.primary.span.range()).unwrap();
    assert!(way.contains(line), "on {way}, not {line}\n{text}");
    let shown = diag.secondary.iter().any(|l| text.get(l.span.range()).unwrap().contains(part));
    assert!(shown, "the part is not shown: {diag:?}");
}

/// The program is refused behind the label, and what is said names the written state.
fn too_little(text: &str) {
    let diags = refused(text);
    let [diag] = diags.as_slice() else { panic!("{diags:?}\n{text}") };
    let named = diag.secondary.iter().find(|l| l.text.starts_with("behind this"));
    let named = named.unwrap_or_else(|| panic!("no state is named: {diag:?}\n{text}"));
    assert!(text.get(named.span.range()).unwrap().starts_with("where"), "{diag:?}\n{text}");
}

/// The states of the labels that hang on the root.
struct Roots<'a> {
    stream: wire::Stream<'a>,
    root: bool,
    states: BTreeMap<u32, LabelState>,
}

impl<'a> Forward for Roots<'a> {
    type Inner = wire::Stream<'a>;

    fn inner(&mut self) -> &mut wire::Stream<'a> {
        &mut self.stream
    }

    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        let k = self.stream.parent(state, to, chain)?;
        self.root = k as usize == chain.len();
        Ok(k)
    }

    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        self.stream.record(state, to, parent, record)?;
        if self.root {
            self.states.insert(to, LabelState::of(&Saved::of(state, parent), record.declared()));
        }
        Ok(())
    }
}

/// The states of the labels in the bytes that the judge is given, in address order.
fn given(text: &str) -> Vec<LabelState> {
    let Checked { lowered, section, labels, .. } = accepted(text);
    let segments = lowered.segments();
    let interface = &lowered.host.interface;
    let decoded = wire::decode(&lowered.text, lowered.text_address, &segments, &section, interface);
    let (image, stream) = decoded.unwrap();
    let hints = Roots { stream, root: false, states: BTreeMap::new() };
    let mut judge = Judge::new(&image, interface, hints, section.len() as u64 * 64);
    judge.verify().unwrap();
    // Of rsp the depth is encoded, no word.
    let rsp = |mut state: LabelState| {
        state.regs[4] = Word::Junk;
        state
    };
    let roots = judge.hints.states;
    let hung = labels.into_iter().filter(|l| roots.contains_key(&l.offset));
    let hung: Vec<LabelState> = hung.map(|l| rsp(LabelState::clone(&l.state))).collect();
    let found: Vec<LabelState> = roots.into_values().map(rsp).collect();
    assert_eq!(found, hung);
    found
}

fn fact(state: &LabelState, wanted: &str) -> bool {
    let shown = |f: &Fact| {
        let rel = match f.rel {
            Rel::Ge => ">=",
            Rel::Eq => "=",
            Rel::Ne => "/=",
        };
        format!("{} {} {}", f.term.monomials().len(), rel, f.term.constant())
    };
    // What is said of one variable of the label is a bound of it.
    let of = |kind: &Kind| match kind {
        Kind::Int(bounds) => {
            let low = bounds.low().map(|low| format!("1 >= {}", -low));
            let high = bounds.high().map(|high| format!("1 >= {high}"));
            let both = bounds.low().filter(|low| bounds.high() == Some(*low));
            let both = both.map(|value| format!("1 = {}", -value));
            [low, high, both].into_iter().flatten().collect()
        }
        _ => Vec::new(),
    };
    state.facts.iter().any(|f| shown(f) == wanted)
        || state.vars.iter().flat_map(of).any(|bound| bound == wanted)
}

/// A register that is declared by a type is what the type says, whatever is found.
#[test]
fn a_type_of_a_register() {
    let program = |start: &str, state: &str, then: &str| {
        format!(
            "pub fn f(rdi = x: u64) -> (rax: u64)
            {{
                    {start}
            .open:  where {state}
                    {then}
                    ret
            }}"
        )
    };
    // Kept.
    let states = given(&program("mov rax, rdi", "rax: u64", ""));
    assert!(matches!(&states[0].regs[0], Word::Int(t) if t.as_var().is_some()));
    assert_ne!(states[0].regs[0], states[0].regs[7], "it is x no more");
    so(&program("mov eax, 7\n jmp .open", "rax: u8", ";? rax: 0 .. 255\n nop"));
    // Kept though more is known: the constant, and that it is below 8, are gone.
    so(&program("mov eax, 7", "rax: u64", ";? rax: 0 ..\n nop"));
    let table = |state: &str| {
        format!(
            "rodata t: bytes = 1, 2, 3, 4, 5, 6, 7, 8
            pub fn f() -> (rax: u8)
            {{
                    mov     ecx, 7
                    jmp     .open
            .open:  where {state}
                    movzx   eax, byte [t + rcx]
                    ret
            }}"
        )
    };
    accepted(&table("rcx: int[0 .. 7]"));
    too_little(&table("rcx: int[0 .. 8]"));
    too_little(&table("rcx: u64"));
    // False on the one way that there is, and on one of two.
    part_fails(&program("mov rax, rdi\n jmp .open", "rax: u8", ""), "rax: u8", "jmp .open");
    part_fails(&program("mov rax, rdi", "rax: u8, rdi: u64", ""), "rax: u8", "mov rax, rdi");
    let two = "mov eax, 3\n test rdi, rdi\n jz .open\n mov rax, rdi";
    part_fails(&program(two, "rax: int[0 .. 4]", ""), "rax: int[0 .. 4]", "mov rax, rdi");
    let two = "mov rax, rdi\n test rdi, rdi\n jnz .open\n mov eax, 3";
    part_fails(&program(two, "rax: int[0 .. 4]", ""), "rax: int[0 .. 4]", "jnz .open");
    // False of what nobody reads behind the label, and of what may not be read.
    let dead = "mov eax, 1\n mov ecx, 300\n jmp .open";
    part_fails(&program(dead, "rcx: u8", ""), "rcx: u8", "jmp .open");
    let unreadable = "mov rax, rdi\n jmp .open";
    part_fails(&program(unreadable, "rcx: u64", ""), "rcx: u64", "jmp .open");
}

/// A sum that may have wrapped is a `u64` all the same.
#[test]
fn a_sum_is_a_number_of_its_width() {
    so("pub fn f(rdi = x: u64, rsi = y: u64) -> (rax: u64)
        {
                lea     rax, [rdi + rsi]
                test    rdi, rdi
                jz      .open
                lea     rax, [rdi + rdi]
        .open:  where rax: u64
                ;? rax: 0 ..
                ret
        }");
}

/// A register that is declared by a value has that value, and its variables say no more.
#[test]
fn a_value_of_a_register() {
    let program = |start: &str, state: &str, index: &str| {
        format!(
            "pub fn f(rdi = p: &[n]u64, rsi = n: int[8 .. 100]) -> (rax: u64)
            {{
                    {start}
            .open:  where {state}
                    mov     rax, [{index}]
                    ret
            }}"
        )
    };
    let start = "mov ecx, 2\n mov rdx, rdi\n jmp .open";
    so(&program(start, "rcx = 2", "rdi + rcx*8"));
    let state = "some k, rdx = p + 8*k, 0 <= k < n";
    let given = given(&program("lea rdx, [rdi + 16]\n jmp .open", state, "rdx"));
    assert!(matches!(&given[0].regs[2], Word::Ptr(_, t) if t.monomials().len() == 1));
    // Less than is known.
    accepted(&program(start, "rdx = p", "rdx + 8"));
    too_little(&program(start, "some k, rdx = p + 8*k", "rdx"));
    too_little(&program(start, "some k, rdx = p + 8*k, 0 <= k", "rdx"));
    too_little(&program(start, "some k, rcx = 2*k", "rdi + rcx*8"));
    // False.
    part_fails(&program(start, "rcx = 3", "rdi"), "rcx = 3", "jmp .open");
    let odd = "some k, rcx = 2*k, k = 7";
    part_fails(&program(start, odd, "rdi"), "k = 7", "jmp .open");
    part_fails(&program(start, "rdx = p + 8", "rdi"), "rdx = p + 8", "jmp .open");
    let two = "mov ecx, 2\n cmp rsi, 9\n ja .open\n mov ecx, 3";
    part_fails(&program(two, "rcx = 2", "rdi"), "rcx = 2", "mov ecx, 3");
    part_fails(&program(two, "rcx = 3", "rdi"), "rcx = 3", "ja .open");
}

/// A fact stands in the state by itself; no stronger bound of the same thing stands beside it.
#[test]
fn a_fact() {
    let program = |start: &str, state: &str| {
        format!(
            "rodata t: bytes = 1, 2, 3, 4, 5, 6, 7, 8
            pub fn f(rdi = x: u64) -> (rax: u8)
            {{
                    {start}
            .open:  where {state}
                    movzx   eax, byte [t + rcx]
                    ret
            }}"
        )
    };
    let start = "mov ecx, 7\n jmp .open";
    // By itself, with the bound below that is found.
    assert!(fact(&given(&program(start, "rcx <= 7"))[0], "1 >= 7"));
    // Also where other facts imply it.
    let implied = &given(&program(start, "rcx <= 7, rcx <= 9, 0 <= rcx"))[0];
    // Of two bounds of one variable the narrower one says both.
    assert!(fact(implied, "1 >= 7") && fact(implied, "1 >= 0"));
    too_little(&program(start, "rcx <= 8"));
    accepted(&program(start, "0 <= rcx"));
    part_fails(&program(start, "rcx <= 6"), "rcx <= 6", "jmp .open");
    part_fails(&program(start, "0 <= rcx <= 7, rcx != 7"), "rcx != 7", "jmp .open");
    let two = "mov ecx, 7\n test rdi, rdi\n jz .open\n mov ecx, 5";
    part_fails(&program(two, "0 <= rcx <= 6"), "0 <= rcx <= 6", "jz .open");
    part_fails(&program(two, "6 <= rcx <= 7"), "6 <= rcx <= 7", "mov ecx, 5");
    // About a name of the function.
    part_fails(&program(start, "rcx <= 7, x <= 9"), "x <= 9", "jmp .open");
    // About what is unreadable.
    part_fails(&program(start, "rcx <= 7, r8 <= 9"), "r8 <= 9", "jmp .open");
}

/// On the way back, too.
#[test]
fn a_loop() {
    let program = |state: &str| {
        format!(
            "pub fn f(rdi = p: &[n]u64, rsi = n: int[1 .. 100]) -> (rax: u64)
            {{
                    xor     ecx, ecx
                    xor     eax, eax
            .next:  where {state}
                    add     rax, [rdi + rcx*8]
                    inc     rcx
                    cmp     rcx, rsi
                    jb      .next
                    ret
            }}"
        )
    };
    accepted(&program("0 <= rcx < n"));
    accepted(&program("0 <= rcx < n, rax: u64"));
    accepted(&program("rax: u64"));
    too_little(&program("0 <= rcx <= n"));
    too_little(&program("rcx: u64"));
    part_fails(&program("0 <= rcx < n, rcx < 99"), "rcx < 99", "jb      .next");
    part_fails(&program("rcx = 0"), "rcx = 0", "jb      .next");
    part_fails(&program("1 <= rcx < n"), "1 <= rcx < n", "xor     eax, eax");
}

/// What is owned.
#[test]
fn an_owner() {
    let program = |start: &str, state: &str, then: &str| {
        format!(
            "use \"heap.tali\"
            struct node {{ key: u64, val: u64 }}
            pub fn f(rdi = p: own@heap node, rsi = x: u64)
            {{
                    {start}
            .open:  where {state}
                    {then}
                    jmp     free
            }}"
        )
    };
    let start = "jmp .open";
    let state = &given(&program(start, "rdi: own@heap junk[16]", ""))[0];
    assert!(matches!(state.caps.as_slice(), [Cap::Entry(_)]), "{:?}", state.caps);
    // Less: the fields are gone, it may be null.
    accepted(&program(start, "rdi: own@heap node", "mov rax, [rdi + node.val]"));
    too_little(&program(start, "rdi: own@heap junk[16]", "mov rax, [rdi]"));
    accepted(&program(start, "rdi: own@heap? junk[16]", ""));
    too_little(&program(start, "rdi: own@heap? node", "mov rax, [rdi + node.val]"));
    // An owner is known by its name in other places, too.
    accepted(&program("mov r8, rdi\n jmp .open", "rdi: own@heap node", "mov rdi, r8"));
    // False: of this size, in this place, not null.
    let size = "rdi: own@heap junk[8]";
    part_fails(&program(start, size, ""), size, "jmp .open");
    let place = "rsi: own@heap junk[16]";
    part_fails(&program(start, place, ""), place, "jmp .open");
    let twice = "rdi: own@heap node, rcx: own@heap node";
    let copied = "mov rcx, rdi\n jmp .open";
    part_fails(&program(copied, twice, ""), "rcx: own@heap node", "jmp .open");
}

/// What may be null is not there for certain.
#[test]
fn an_owner_that_may_be_null() {
    let program = |state: &str| {
        format!(
            "use \"heap.tali\"
            pub fn f(rdi = p: own@heap? junk[16], rsi = x: u64) -> (rax: u64)
            {{
                    sub     rsp, 8
                    test    rsi, rsi
                    jz      .open
                    test    rdi, rdi
                    jnz     .open
            .open:  where {state}
                    call    free
                    xor     eax, eax
                    add     rsp, 8
                    ret
            }}"
        )
    };
    accepted(&program("rdi: own@heap? junk[16]"));
    part_fails_somewhere(&program("rdi: own@heap junk[16]"), "rdi: own@heap junk[16]");
}

/// The memory of a parameter, at its name.
#[test]
fn memory_of_a_parameter() {
    let program = |start: &str, state: &str, load: &str| {
        format!(
            "struct cell {{ value: u64 }}
            pub fn f(rdi = h: inout cell, rsi = x: u64)
            {{
                    {start}
            .open:  where {state}
                    {load}
                    mov     [rdi], rsi
                    ret
            }}"
        )
    };
    let start = "mov [rdi], rsi\n jmp .open";
    accepted(&program(start, "h: cell", "mov rax, [rdi]"));
    accepted(&program(start, "rdi = h: own cell", "mov rax, [rdi]"));
    assert!(!refused(&program(start, "h: junk[8]", "mov rax, [rdi]")).is_empty());
    part_fails(&program(start, "rsi = x, h: junk[16]", ""), "h: junk[16]", "jmp .open");
}

/// The part is refused on each way on which it does not hold.
fn part_fails_somewhere(text: &str, part: &str) {
    let diags = refused(text);
    let wanted = format!("`{part}` does not hold at `.");
    assert!(!diags.is_empty() && diags.iter().all(|d| d.message.starts_with(&wanted)), "{diags:?}");
}

/// What is lent, or shared for ever.
#[test]
fn a_view() {
    let program = |start: &str, state: &str, load: &str| {
        format!(
            "rodata one: bytes = \"one\"
            rodata two: bytes = \"three\"
            pub fn f(rdi = p: &bytes[8], rsi = x: u64) -> (rax: u8)
            {{
                    {start}
            .open:  where {state}
                    movzx   eax, byte [{load}]
                    ret
            }}"
        )
    };
    let start = "mov rcx, rdi\n lea rdx, [one]\n jmp .open";
    accepted(&program(start, "rcx: &@p bytes[8]", "rcx + 7"));
    let state = &given(&program(start, "rdx: ref bytes[3]", "rdx + 2"))[0];
    assert_eq!(state.views.len(), 1);
    // Another name: that the object is `one` is not known any more.
    assert!(matches!(state.regs[2], Word::Ptr(tal_core::ty::Base::Name(_), _)));
    // Less.
    too_little(&program(start, "rcx: &@p bytes[4]", "rcx + 4"));
    too_little(&program(start, "some n, rdx: ref bytes[n]", "rdx"));
    accepted(&program(start, "rcx: &@p bytes[4]", "rdi + 7"));
    // Two ways.
    let two =
        "lea rdx, [one]\n mov ecx, 3\n test rsi, rsi\n jz .open\n lea rdx, [two]\n mov ecx, 5";
    accepted(&program(two, "some n, rdx: ref bytes[n], rcx = n, 1 <= n", "rdx"));
    too_little(&program(two, "some n, rdx: ref bytes[n], rcx = n", "rdx"));
    // False.
    part_fails(&program(start, "rdx: ref bytes[4]", "rdi"), "rdx: ref bytes[4]", "jmp .open");
    part_fails(&program(start, "rcx: &@p bytes[9]", "rdi"), "rcx: &@p bytes[9]", "jmp .open");
    part_fails(&program(start, "rcx: ref bytes[8]", "rdi"), "rcx: ref bytes[8]", "jmp .open");
    let writable = "rcx: &rw@p bytes[8]";
    part_fails(&program(start, writable, "rdi"), writable, "jmp .open");
    let n = "some n, rdx: ref bytes[n], rcx = n - 1";
    part_fails_somewhere(&program(two, n, "rdi"), "rdx: ref bytes[n]");
    part_fails(&program(two, "rdx: ref bytes[4]", "rdi"), "rdx: ref bytes[4]", "jz .open");
}

/// A slot of the frame.
#[test]
fn a_slot() {
    let program = |start: &str, state: &str| {
        format!(
            "rodata t: bytes = 1, 2, 3, 4, 5, 6, 7, 8
            pub fn f(rdi = x: u64) -> (rax: u8)
            {{
                    sub     rsp, 24
                    {start}
            .open:  where {state}
                    mov     rcx, [rsp + 8]
                    movzx   eax, byte [t + rcx]
                    add     rsp, 24
                    ret
            }}"
        )
    };
    let start = "mov qword [rsp + 8], 5\n mov [rsp], rdi\n jmp .open";
    let state = &given(&program(start, "[rsp + 8]: int[0 .. 7]"))[0];
    assert!(state.slots.iter().any(|(at, w)| *at == -16 && matches!(w, Word::Int(_))));
    assert!(fact(state, "1 >= 7") && fact(state, "1 >= 0"));
    accepted(&program(start, "[rsp + 8] = 5"));
    too_little(&program(start, "[rsp + 8]: u64"));
    too_little(&program(start, "[rsp + 8] <= 8"));
    part_fails(&program(start, "[rsp + 8] = 6"), "[rsp + 8] = 6", "jmp .open");
    part_fails(&program(start, "[rsp]: u8"), "[rsp]: u8", "jmp .open");
    part_fails(&program(start, "[rsp + 16]: u64"), "[rsp + 16]: u64", "jmp .open");
    let two = "mov qword [rsp + 8], 5\n test rdi, rdi\n jz .open\n mov qword [rsp + 8], 9";
    part_fails(&program(two, "[rsp + 8] <= 8"), "[rsp + 8] <= 8", "mov qword [rsp + 8], 9");
}

/// At the entry itself, where nobody jumps to the label, and in the middle of a block.
#[test]
fn labels_that_nobody_jumps_to() {
    so("pub fn f(rdi = x: u8) -> (rax: u64)
        {
        .open:  where rdi: u64
                ;? rdi: 0 ..
                mov     rax, rdi
                ret
        }");
    so("pub fn f(rdi = x: u8) -> (rax: u64)
        {
                mov     rax, rdi
        .half:  where rax: u64
                ;? rax: 0 ..
                ret
        }");
    let entry = "pub fn f(rdi = x: u64) -> (rax: u64)
        {
        .open:  where rdi: u8
                mov     rax, rdi
                ret
        }";
    part_fails_somewhere(entry, "rdi: u8");
}

/// Labels that stand together are one: one of them may have a state.
#[test]
fn one_state_for_one_place() {
    let program = |first: &str, second: &str| {
        format!(
            "pub fn f(rdi = x: u64) -> (rax: u64)
            {{
                    mov     rax, rdi
                    test    rdi, rdi
                    jz      .a
                    jmp     .b
            .a: {first}
            .b: {second}
                    ret
            }}"
        )
    };
    assert_eq!(given(&program("where rax: u64", "nop"))[0].vars.len(), 1);
    assert_eq!(given(&program("", "where rax: u64"))[0].vars.len(), 1);
    let files =
        BTreeMap::from([("test.tal".to_owned(), program("where rax: u64", "where rax: u64"))]);
    let outcome = lower(Path::new("test.tal"), &files).unwrap();
    assert!(outcome.lowered.is_none());
    assert_eq!(outcome.diags[0].code.to_string(), "E0211");
}

/// What is not written is found, beside what is.
#[test]
fn the_rest_is_found() {
    so("pub fn f(rdi = p: &[n]u64, rsi = n: int[1 .. 100]) -> (rax: u64)
        {
                xor     eax, eax
                xor     ecx, ecx
                mov     edx, 1
        .next:  where rdx: u64
                ;? rcx: 0 .. n - 1
                add     rax, [rdi + rcx*8]
                add     rdx, rax
                inc     rcx
                cmp     rcx, rsi
                jb      .next
                ret
        }");
}
