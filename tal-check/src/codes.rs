//! Not trusted: a bug here can reject, never admit. The pages behind the codes of this crate.

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
    let all = [tal_syntax::codes::REGISTRY, LOWERING, JUDGING];
    all.into_iter().find_map(|registry| registry.find(code))
}

/// The pages of judging: E03xx facts and memory, E04xx what is owned, E05xx stack and calls, E06xx
/// flags and labels, E07xx declarations and limits.
pub const JUDGING: Registry = Registry { pages: &[] };
