//! Not trusted: a bug here can reject, never admit. The pages behind the codes of this crate.

use crate::resolve::near;
use tal_core::error::Rule;
use tal_syntax::codes::{Page, Registry};
use tal_syntax::diag::Code;

/// The page of a code, by the path of its file.
macro_rules! page {
    ($number:literal, $name:literal) => {
        Page {
            code: Code($number),
            text: include_str!(concat!("../../docs/errors/", $name, ".md")),
        }
    };
}

/// The pages of lowering: E01xx names, E02xx types and declarations, E08xx instructions.
pub const LOWERING: Registry = Registry {
    pages: &[
        page!(101, "E0101"),
        page!(102, "E0102"),
        page!(103, "E0103"),
        page!(104, "E0104"),
        page!(105, "E0105"),
        page!(106, "E0106"),
        page!(107, "E0107"),
        page!(108, "E0108"),
        page!(109, "E0109"),
        page!(110, "E0110"),
        page!(201, "E0201"),
        page!(202, "E0202"),
        page!(203, "E0203"),
        page!(204, "E0204"),
        page!(205, "E0205"),
        page!(206, "E0206"),
        page!(208, "E0208"),
        page!(209, "E0209"),
        page!(210, "E0210"),
        page!(211, "E0211"),
        page!(212, "E0212"),
        page!(214, "E0214"),
        page!(215, "E0215"),
        page!(216, "E0216"),
        page!(217, "E0217"),
        page!(218, "E0218"),
        page!(219, "E0219"),
        page!(220, "E0220"),
        page!(221, "E0221"),
        page!(222, "E0222"),
        page!(223, "E0223"),
        page!(607, "E0607"),
        page!(801, "E0801"),
        page!(802, "E0802"),
        page!(803, "E0803"),
        page!(804, "E0804"),
        page!(805, "E0805"),
        page!(806, "E0806"),
        page!(807, "E0807"),
        page!(808, "E0808"),
        page!(809, "E0809"),
        page!(810, "E0810"),
        page!(811, "E0811"),
        page!(812, "E0812"),
    ],
};

/// The page of a code, of whichever part of the checker.
#[must_use]
pub fn find(code: Code) -> Option<&'static Page> {
    registries().into_iter().find_map(|registry| registry.find(code))
}

/// The specification, by the path of its file.
macro_rules! spec {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../docs/spec/", $name, ".md")))),*]
    };
}

/// The pages on which rules stand.
pub const SPEC: [(&str, &str); 16] = spec![
    "calls",
    "capabilities",
    "data",
    "driver",
    "flags",
    "format",
    "instructions",
    "labels",
    "memory",
    "names",
    "rows",
    "stack",
    "terms",
    "types",
    "views",
    "writes"
];

/// All tables of pages.
fn registries() -> [Registry; 4] {
    [tal_syntax::codes::REGISTRY, LOWERING, JUDGING, GENERAL]
}

/// What a code or the id of a rule means: its page, or its section of the specification.
///
/// # Errors
/// There is no such thing; in words, with the one that is most like it.
pub fn explain(text: &str) -> Result<String, String> {
    let asked = text.trim().to_ascii_lowercase();
    if let Some(page) = code(&asked).and_then(find) {
        return Ok(page.text.to_owned());
    }
    if let Some(section) = section(&asked) {
        return Ok(section);
    }
    let rules = Rule::ALL.iter().map(|r| r.name().to_owned());
    let pages = registries().into_iter().flat_map(|r| r.pages);
    let codes = pages.map(|p| p.code.to_string());
    let unknown = format!("there is no code or rule `{text}`");
    if let Some(Code(number)) = code(&asked) {
        let distance = |c: &Code| c.0.abs_diff(number);
        let nearest = registries().into_iter().flat_map(|r| r.pages).map(|p| p.code);
        let nearest = nearest.min_by_key(distance).map(|c| c.to_string()).unwrap_or_default();
        return Err(format!("{unknown}; the nearest one is {nearest}"));
    }
    let all: Vec<String> = rules.chain(codes).collect();
    Err(match near(&asked, all.iter().map(String::as_str)) {
        Some(meant) => format!("{unknown}; did you mean `{meant}`?"),
        None => format!("{unknown}; codes look like E0301, rules like entry-split"),
    })
}

/// `E0408`, `e0408`, `e408` and `408`.
fn code(text: &str) -> Option<Code> {
    let digits = text.strip_prefix('e').unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok().map(Code) } else { None }
}

/// The section with this heading, up to the next heading that is no smaller.
fn section(rule: &str) -> Option<String> {
    let known = Rule::ALL.iter().any(|r| r.name() == rule);
    SPEC.iter().filter(|_| known).find_map(|(page, text)| {
        let mut fenced = false;
        let mut found: Option<String> = None;
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            let heading = !fenced && (line.starts_with("## ") || line.starts_with("# "));
            match &mut found {
                Some(_) if heading => break,
                Some(section) => {
                    section.push_str(line);
                    section.push('\n');
                }
                None if heading && line.strip_prefix("## ").map(str::trim) == Some(rule) => {
                    found = Some(format!("# {rule} (docs/spec/{page}.md)\n"));
                }
                None => {}
            }
        }
        found.map(|section| format!("{}\n", section.trim_end()))
    })
}

/// The pages of judging: E03xx facts and memory, E04xx what is owned, E05xx stack and calls, E06xx
/// flags and labels.
pub const JUDGING: Registry = Registry {
    pages: &[
        page!(301, "E0301"),
        page!(302, "E0302"),
        page!(303, "E0303"),
        page!(304, "E0304"),
        page!(306, "E0306"),
        page!(307, "E0307"),
        page!(308, "E0308"),
        page!(309, "E0309"),
        page!(310, "E0310"),
        page!(312, "E0312"),
        page!(313, "E0313"),
        page!(314, "E0314"),
        page!(315, "E0315"),
        page!(316, "E0316"),
        page!(317, "E0317"),
        page!(321, "E0321"),
        page!(401, "E0401"),
        page!(402, "E0402"),
        page!(405, "E0405"),
        page!(407, "E0407"),
        page!(408, "E0408"),
        page!(410, "E0410"),
        page!(501, "E0501"),
        page!(502, "E0502"),
        page!(503, "E0503"),
        page!(504, "E0504"),
        page!(505, "E0505"),
        page!(506, "E0506"),
        page!(507, "E0507"),
        page!(508, "E0508"),
        page!(510, "E0510"),
        page!(601, "E0601"),
        page!(602, "E0602"),
        page!(604, "E0604"),
        page!(606, "E0606"),
        page!(608, "E0608"),
        page!(610, "E0610"),
    ],
};

/// Codes of last resort, of which no small program is an example.
pub const GENERAL: Registry = Registry {
    pages: &[
        page!(322, "E0322"),
        page!(411, "E0411"),
        page!(509, "E0509"),
        page!(603, "E0603"),
        page!(605, "E0605"),
        page!(609, "E0609"),
        page!(701, "E0701"),
        page!(702, "E0702"),
        page!(703, "E0703"),
        page!(704, "E0704"),
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn codes_are_found_in_any_case() {
        for asked in ["E0408", "e0408", "e408", "408", " E408 "] {
            assert!(explain(asked).unwrap().starts_with("# E0408: "), "{asked}");
        }
        assert!(explain("e0001").unwrap().starts_with("# E0001: "));
    }

    #[test]
    fn every_rule_has_its_section() {
        for rule in Rule::ALL {
            let text = explain(rule.name()).unwrap();
            assert!(text.lines().count() > 3, "{text}");
            assert_eq!(text.matches("\n## ").count(), 0, "{text}");
        }
        assert!(explain("ENTRY-SPLIT").unwrap().starts_with("# entry-split (docs/spec/"));
    }

    #[test]
    fn what_there_is_not_gets_the_nearest() {
        assert!(explain("E0305").unwrap_err().ends_with("the nearest one is E0304"));
        assert!(explain("entry-spilt").unwrap_err().ends_with("did you mean `entry-split`?"));
        assert!(explain("xyzzyxyzzy").unwrap_err().contains("codes look like E0301"));
    }
}
