//! Not trusted: a test. The looks of diagnostics: `tests/render/*.tal` and beside each one what is
//! printed for it. `BLESS=1 cargo test -p tal-syntax --test render` writes the expectations anew.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

use std::path::{Path, PathBuf};

use tal_syntax::parse;
use tal_syntax::render::{Format, emit};
use tal_syntax::source::Sources;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render")
}

fn rendered(path: &Path, format: Format) -> String {
    let text = std::fs::read_to_string(path).expect("a text");
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let mut sources = Sources::new();
    let file = sources.add(name, text.as_str());
    let (_, diags) = parse(file, &text);
    let mut out = Vec::new();
    emit(&mut out, &diags, &sources, format).expect("memory takes all");
    String::from_utf8(out).expect("text")
}

fn compare(path: &Path, extension: &str, actual: &str) -> Option<String> {
    let path = path.with_extension(extension);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("written");
        return None;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    (expected != actual).then(|| format!("{} should be\n{actual}", path.display()))
}

#[test]
fn diagnostics_look_as_they_did() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "tal") {
            count += 1;
            wrong.extend(compare(&path, "txt", &rendered(&path, Format::Plain)));
            wrong.extend(compare(&path, "json", &rendered(&path, Format::Json)));
            wrong.extend(compare(&path, "ansi", &rendered(&path, Format::Coloured)));
        }
    }
    assert!(count >= 4, "where are the texts?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_is_one_object_a_line() {
    let text = rendered(&folder().join("lines.tal"), Format::Json);
    assert!(!text.is_empty());
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(object["level"], "error");
        assert_eq!(object["labels"][0]["primary"], true);
        assert_eq!(object["labels"][0]["file"], "lines.tal");
        assert!(object["labels"][0]["line"].as_u64().is_some_and(|line| line > 0));
        assert!(object["rendered"].as_str().is_some_and(|text| text.starts_with("error[E00")));
    }
}

/// A long line is shown as a window around what is marked, with its true column.
#[test]
fn a_long_line_is_shown_as_a_window() {
    let blanks = " ".repeat(10_000);
    let text = format!("const A = 1\nconst B ={blanks}1 $ 2{blanks}\nconst C = 1\n");
    let mut sources = Sources::new();
    let file = sources.add("long.tal", text.as_str());
    let (_, diags) = parse(file, &text);
    assert!(!diags.is_empty());
    let at = text.find('$').expect("a sign");
    let column = at - text.find("const B").expect("a line") + 1;
    for diag in &diags {
        let shown = tal_syntax::render::render(diag, &sources, Format::Plain);
        assert!(shown.lines().all(|line| line.chars().count() < 300), "{shown}");
        assert!(shown.contains(&format!("long.tal:2:{column}")), "{column}: {shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let code = lines.iter().position(|l| l.contains("1 $ 2")).expect("the line");
        let place = |line: &str, c: char| line.chars().position(|x| x == c);
        let mark = lines.get(code + 1).and_then(|l| place(l, '^'));
        assert_eq!(mark, lines.get(code).and_then(|l| place(l, '$')), "{shown}");
    }
}
