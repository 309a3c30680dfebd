//! Not trusted: tests. docs/spec/format.md says what the code does.

use super::section::{Gen, every_ghost, of_ghost};
use super::*;
use tal_core::limits;
use tal_core::wire::shared::{HEAD, OPCODES, flag};

const PAGE: &str = include_str!("../../../docs/spec/format.md");

/// The cells of the rows of the table under this heading.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|s| s.starts_with(heading)).expect(heading);
    let rows = section.lines().filter(|l| l.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// `EntryCaps` as `entry-caps`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[test]
fn the_page_lists_the_opcodes() {
    let rows = table("Ghosts");
    assert_eq!(rows.len(), OPCODES.len());
    let ghosts = every_ghost(&mut Gen::seeded(3));
    assert_eq!(ghosts.len(), OPCODES.len());
    let tables = of_ghost(None).len();
    for (number, ((row, name), ghost)) in rows.iter().zip(OPCODES).zip(ghosts).enumerate() {
        assert_eq!(row[0], number.to_string());
        assert_eq!(row[1], format!("`{name}`"));
        let debug = format!("{ghost:?}");
        let variant = debug.split([' ', '(']).next().unwrap();
        assert_eq!(kebab(variant), name);
        // The lowest bit of the first byte says that there is a ghost.
        let [bits, opcode, ..] = of_ghost(Some(&ghost))[tables..] else { panic!("{name}") };
        assert_eq!(bits & 1, 1);
        assert_eq!(usize::from(opcode), number);
    }
}

#[test]
fn the_page_states_the_constants() {
    let constants = table("Constants");
    let stated = |name: &str| {
        let row = constants.iter().find(|row| row[0] == name).expect(name);
        row[1].to_string()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    assert_eq!(stated("magic of a section"), hex(&wire::MAGIC));
    assert_eq!(stated("magic of an interface"), hex(&wire::INTERFACE_MAGIC));
    let numbers = [
        ("version", usize::from(wire::VERSION)),
        ("section: bytes per byte of text", limits::SECTION_FACTOR),
        ("section: bytes besides", limits::SECTION_SLACK),
        ("memory: bytes per byte of text and section", limits::MEMORY_FACTOR),
        ("memory: bytes for reading besides", limits::MEMORY_SLACK),
        ("memory: bytes besides", limits::MEMORY_BESIDES),
        ("nodes of a type", limits::NODES),
        ("monomials of a term", limits::MONOMIALS),
        ("types", limits::TYPES),
        ("fields of a struct", limits::FIELDS),
        ("nesting of types", limits::NESTING),
        ("arguments of a named type", limits::ARITY),
        ("facts", limits::FACTS),
        ("places and variables on the trail", limits::TRAIL),
        ("scopes that are open", limits::SCOPES),
        ("weight of their capabilities, and of terms on the trail", limits::SAVED),
        ("variables of a label", limits::LABEL_VARS),
        ("variables of a signature", limits::SIG_VARS),
        ("variables in scope", limits::SCOPE_VARS),
        ("slots of a label", limits::LABEL_SLOTS),
        ("slots known at a time", limits::SLOTS),
        ("certificate steps of a block", limits::STEPS),
        ("fuel: units per byte of text and section", usize::try_from(limits::FUEL_FACTOR).unwrap()),
        ("fuel: units besides", usize::try_from(limits::FUEL_SLACK).unwrap()),
        ("capabilities", limits::CAPS),
        ("views", limits::VIEWS),
        ("guards of one entry or view", limits::GUARDS),
        ("premises of a combination", limits::PREMISES),
        ("imports", limits::IMPORTS),
        ("ghosts at one place", limits::GHOSTS),
    ];
    assert_eq!(constants.len(), numbers.len() + 2);
    for (name, number) in numbers {
        assert_eq!(stated(name), number.to_string(), "{name}");
    }
}

#[test]
fn the_page_lists_the_flags_of_records() {
    let head = |flag: u32| format!("head {flag}");
    let more = |flag: u64| format!("more {flag}");
    let flags = [
        ("`more`", head(flag::MORE)),
        ("vars", more(flag::VARS)),
        ("regs", head(flag::REGS)),
        ("frame", more(flag::FRAME)),
        ("slots", more(flag::SLOTS)),
        ("lent", more(flag::LENT)),
        ("caps", more(flag::CAPS)),
        ("views", more(flag::VIEWS)),
        ("refinements", more(flag::REFINEMENTS)),
        ("facts", head(flag::FACTS)),
    ];
    let rows = table("Records");
    assert_eq!(rows.len(), flags.len());
    for (row, (name, flag)) in rows.iter().zip(flags) {
        assert_eq!((row[0], row[1]), (name, &flag[..]));
    }
    assert!(PAGE.contains(&format!("uint `{}*k + head`", 1 << HEAD)));
}

#[test]
fn the_example_of_the_page_is_what_is_written() {
    let (text, _) = asm(0, |a, _| {
        use iced_x86::code_asm::*;
        a.lea(rax, rdi + 1).unwrap();
        a.ret().unwrap();
    });
    let sum = Word::Int(t(0).plus(1).unwrap());
    let sig = function(1, &[(Reg::Rdi, int(0))], 0, &[(Reg::Rax, sum)]);
    let section = Program::new(text, vec![(0, sig)]).accepted();
    let example = PAGE.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let bytes = example.lines().flat_map(|line| {
        let hex = line.split('#').next().unwrap();
        hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap())
    });
    let bytes: Vec<u8> = bytes.collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x} ")).collect::<String>();
    assert_eq!(hex(&bytes), hex(&section));
}
