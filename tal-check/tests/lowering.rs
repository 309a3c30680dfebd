//! Not trusted: a test. Every program lowers, and its bytes are the source.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tal_check::elaborate::{Outcome, lower};
use tal_check::lowered::{LocalLabel, Lowered};
use tal_check::resolve::Disk;
use tal_core::ty::{Bounds, Kind};

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn outcome(path: &Path) -> Outcome {
    lower(path, &Disk).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn lowered(name: &str) -> Lowered {
    let outcome = outcome(&programs().join(name));
    let shown: Vec<String> = outcome
        .diags
        .iter()
        .map(|d| {
            let at = outcome.sources.position(d.primary.span);
            format!("{at:?} {} {} {:?}", d.code, d.message, d.notes)
        })
        .collect();
    outcome.lowered.unwrap_or_else(|| panic!("{name}: {shown:#?}"))
}

#[test]
fn every_reference_program_lowers() {
    let mut count = 0;
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(programs()).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.extension().is_some_and(|e| e == "tal")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        // Text that does not parse is the business of its own test.
        if outcome(path).diags.iter().any(|d| d.code.0 < 100) {
            continue;
        }
        let program = lowered(name);
        check_shape(&program);
        count += 1;
    }
    assert!(count >= 13, "{count}");
}

/// Instructions cover each function without gap, and decode to what was counted.
fn check_shape(program: &Lowered) {
    let image = program.image(&[]);
    assert_eq!(image.functions.len(), program.functions.len());
    for f in &program.functions {
        let mut at = f.offset;
        for i in &f.instructions {
            assert_eq!(i.offset, at);
            let decoded = tal_core::decode::decode(&image, at).expect("accepted by the judge");
            assert_eq!(decoded.length, i.len);
            at += u32::from(i.len);
        }
        assert_eq!(at, f.offset + f.size);
        assert_eq!(f.names.len(), {
            let sig = &program.sigs[f.sig as usize];
            sig.vars.len() + sig.post.as_ref().map_or(0, |p| p.vars.len())
        });
    }
    for d in &program.data {
        assert_eq!(d.contents.as_ref().map_or(d.size as usize, Vec::len), d.size as usize);
    }
}

/// The whole program, readable.
fn listing(program: &Lowered) -> String {
    let mut out = String::new();
    for f in &program.functions {
        let sig = &program.sigs[f.sig as usize];
        writeln!(out, "fn {} {:?}", f.name, f.names).unwrap();
        let kinds = sig.vars.iter().chain(sig.post.iter().flat_map(|p| &p.vars));
        let kinds: Vec<String> = kinds.map(kind).collect();
        writeln!(out, "  kinds {}", kinds.join(", ")).unwrap();
        for i in &f.instructions {
            if let Some(LocalLabel { names, target, .. }) = f.label_at(i.offset) {
                let names: Vec<&str> = names.iter().map(|n| n.0.as_str()).collect();
                writeln!(out, "{}:{}", names.join(" "), if *target { "" } else { " (no target)" })
                    .unwrap();
            }
            let at = i.offset as usize;
            let ip = u64::from(program.text_address) + u64::from(i.offset);
            let mut decoder = Decoder::with_ip(64, &program.text[at..], ip, DecoderOptions::NONE);
            let mut text = String::new();
            IntelFormatter::new().format(&decoder.decode(), &mut text);
            let source = program.sources.text(i.span);
            writeln!(out, "    {text:40} ; {source}").unwrap();
        }
    }
    for d in &program.data {
        writeln!(out, "{:?} {} {:#x} {} {:?}", d.section, d.name, d.address, d.size, d.kind)
            .unwrap();
    }
    out
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Int(Bounds::NONE) => "int".into(),
        Kind::Int(bounds) => format!("int {bounds:?}"),
        Kind::Addr { set, block } => {
            format!("addr{:?}{}", set.small, if block.is_some() { " block" } else { "" })
        }
        Kind::Code(_) => "code".into(),
        Kind::Word => "word".into(),
        Kind::Region => "region".into(),
        Kind::Store => "store".into(),
    }
}

#[test]
fn golden_listings() {
    for name in ["hello", "list", "bump", "tokens"] {
        let program = lowered(&format!("{name}.tal"));
        let got = listing(&program);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/listings/{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(got == want, "{name}: BLESS=1 to rewrite\n{got}");
    }
}
