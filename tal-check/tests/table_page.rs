//! Not trusted. The page of the instruction table is written from the table: `BLESS=1` rewrites it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::Path;
use tal_check::refused::REFUSED;
use tal_core::state::FlagSet;
use tal_core::table::{Encoding, F2, F3, HALF, Immediate, Place, ROWS, Row, Stage, Target, WIDE};

fn flags(set: FlagSet) -> String {
    let all = [
        (FlagSet::CF, "CF"),
        (FlagSet::PF, "PF"),
        (FlagSet::AF, "AF"),
        (FlagSet::ZF, "ZF"),
        (FlagSet::SF, "SF"),
        (FlagSet::OF, "OF"),
    ];
    if set == FlagSet::ALL {
        return "all".into();
    }
    let names = all.iter().filter(|(f, _)| set.contains(*f)).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(" ")
}

fn target(t: &Target) -> String {
    match t {
        Target::First => "first".into(),
        Target::Second => "second".into(),
        Target::Reg(r) => format!("{r:?}").to_lowercase(),
        Target::Memory => "memory".into(),
        Target::Count => "rcx".into(),
    }
}

const ENCODINGS: &str = "
## Encodings

As the manual writes them, each with its widths in bits: 16 by prefix 66; 64 by REX.W, or by
themselves where no other is listed and the instruction is one of the stack or a transfer. `r` and
`m` at the end: registers only, memory only. `id` is two bytes at 16 bits, `iv` as long as the
operand. `[F3]` may be there or not. 90 itself exchanges only with r8 to r15. Bytes alone are
accepted exactly so. Prefixes stand in the order 66, F2 or F3, REX.

| Instruction | Encodings |
|---|---|
";

/// As the manual writes it.
fn encoding(e: &Encoding) -> String {
    let mut text = match (e.repeats.allow(0), e.repeats.allow(F2), e.repeats.allow(F3)) {
        (true, false, true) => "[F3] ".to_string(),
        (false, true, false) => "F2 ".to_string(),
        (false, false, true) => "F3 ".to_string(),
        _ => String::new(),
    };
    if e.opcode > 0xFF {
        text += "0F ";
    }
    write!(text, "{:02X}", e.opcode & 0xFF).unwrap();
    text += match (e.span, e.place) {
        (16, _) => "+cc",
        (_, Place::Opcode) => "+r",
        _ => "",
    };
    match (e.place.has_modrm(), e.digit) {
        (true, Some(digit)) => write!(text, " /{digit}").unwrap(),
        (true, None) => text += " /r",
        (false, _) => {}
    }
    text += match e.immediate {
        Immediate::None => "",
        Immediate::One => " 1",
        Immediate::Cl => " cl",
        Immediate::Byte | Immediate::Count => " ib",
        Immediate::Long => " id",
        Immediate::Full => " iv",
        Immediate::Near => " cb",
        Immediate::Far => " cd",
    };
    let only = match e.place {
        Place::Register => " r",
        Place::Memory => " m",
        _ => "",
    };
    let widths = [0, HALF, WIDE].into_iter().filter(|prefix| e.widths.allow(*prefix));
    let mut widths: Vec<u8> = widths.map(|prefix| e.widths.chosen(prefix).bits()).collect();
    widths.sort_unstable();
    let widths: Vec<String> = widths.iter().map(u8::to_string).collect();
    format!("`{text}{only}` {}", widths.join(" "))
}

fn encodings(row: &Row) -> String {
    let strings = row.strings.iter().map(|bytes| {
        let bytes: Vec<String> = bytes.iter().map(|b| format!("{b:02X}")).collect();
        format!("`{}`", bytes.join(" "))
    });
    let all = row.encodings.iter().map(encoding).chain(strings);
    all.collect::<Vec<_>>().join(", ")
}

fn page() -> String {
    let mut page = String::from(
        "# The instruction table\n\n\
         Written from `tal-core/src/table/rows.rs` by a test.\n\
         `BLESS=1 cargo test -p tal-check --test table_page` rewrites it.\n\
         What is not in the table is refused.\n\n\
         | Instruction | Rule | Result | Writes | Reads | Surely writes | May write | Stage |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in ROWS {
        let writes: Vec<String> = row.writes.iter().map(target).collect();
        let stage = match row.stage {
            Stage::V1 => "v1",
            Stage::V2 => "v2",
        };
        let cpu = row.feature.map_or(String::new(), |f| format!(", {f:?}").to_lowercase());
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {stage}{cpu} |",
            row.name,
            row.rule.name(),
            row.doc,
            writes.join(", "),
            flags(row.reads),
            flags(row.sure),
            flags(row.may),
        )
        .unwrap();
    }
    page += ENCODINGS;
    for row in ROWS {
        writeln!(page, "| {} | {} |", row.name, encodings(row)).unwrap();
    }
    page += "\n## Refused\n\nListed with the reason; the rest by class.\n\n";
    page += "| Reason | Instructions |\n|---|---|\n";
    for (reason, names) in REFUSED {
        let names: Vec<String> = names.iter().map(|m| format!("{m:?}").to_lowercase()).collect();
        writeln!(page, "| {reason:?} | {} |", names.join(" ")).unwrap();
    }
    page
}

#[test]
fn the_page_of_the_table_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/instructions.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page, "run with BLESS=1");
}
