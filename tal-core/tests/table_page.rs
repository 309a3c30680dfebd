//! Not trusted. The page of the instruction table is written from the table: `BLESS=1` rewrites it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::Path;
use tal_core::state::FlagSet;
use tal_core::table::{REFUSED, ROWS, Stage, Target};

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

fn page() -> String {
    let mut page = String::from(
        "# The instruction table\n\n\
         Written from `tal-core/src/table/rows.rs` by a test.\n\
         `BLESS=1 cargo test -p tal-core` rewrites it.\n\
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
