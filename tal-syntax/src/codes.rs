//! Not trusted: a bug here can reject, never admit. The codes of this crate, and the pages behind
//! codes.
//!
//! A [`Registry`] is a table of pages; this crate has one for E0001 to E0099, and a later pass
//! makes its own of the same shape for its codes. Every page says what the code means and why, and
//! has an example that gives just this code and one that does not; [`Page::examples`] is for the
//! test.

use crate::diag::Code;

/// A character that begins no token.
pub const UNEXPECTED_CHARACTER: Code = Code(1);
/// A string or character literal without its end.
pub const UNTERMINATED: Code = Code(2);
/// A backslash that begins no escape.
pub const BAD_ESCAPE: Code = Code(3);
/// A character literal that is not one byte.
pub const BAD_CHARACTER: Code = Code(4);
/// A number of 2^64 or more.
pub const NUMBER_TOO_LARGE: Code = Code(5);
/// A number with digits that it cannot have.
pub const BAD_NUMBER: Code = Code(6);
/// A token that cannot stand where it stands.
pub const UNEXPECTED_TOKEN: Code = Code(7);
/// A reserved word where a name must stand.
pub const RESERVED_WORD: Code = Code(8);
/// Nesting, or a file, beyond the limits.
pub const TOO_LARGE: Code = Code(9);
/// `(` or `[` without its end.
pub const UNCLOSED_BRACKET: Code = Code(10);
/// `)`, `]` or `}` without its beginning.
pub const STRAY_CLOSER: Code = Code(11);
/// `{` without its end.
pub const MISSING_BRACE: Code = Code(12);
/// A label without its dot.
pub const LABEL_WITHOUT_DOT: Code = Code(13);
/// `T[n]` for `[n]T`.
pub const POSTFIX_ARRAY: Code = Code(14);
/// `T?` for `own? T`.
pub const POSTFIX_NULL: Code = Code(15);
/// A size that stands before no bracket.
pub const STRAY_SIZE: Code = Code(16);
/// `[..]` inside of an expression.
pub const NESTED_MEMORY: Code = Code(17);
/// A parameter kind that does not exist.
pub const UNKNOWN_KIND: Code = Code(18);
/// A declared name with a dot in it.
pub const DOTTED_NAME: Code = Code(19);
/// `%rax`, `$1`.
pub const ATT_SYNTAX: Code = Code(20);
/// `==`, `&&` and other operators of C.
pub const C_OPERATOR: Code = Code(21);
/// Code outside of a function.
pub const CODE_OUTSIDE_FUNCTION: Code = Code(22);
/// `{` inside of code.
pub const BLOCK_IN_CODE: Code = Code(23);
/// A line that is written as in another assembler.
pub const FOREIGN: Code = Code(24);

/// The page of a code, by the path of its file.
macro_rules! page {
    ($number:literal, $name:literal) => {
        Page {
            code: Code($number),
            text: include_str!(concat!("../../docs/errors/", $name, ".md")),
        }
    };
}

/// A code and its page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The code.
    pub code: Code,
    /// The page, Markdown: `# E0001: title`, then prose with examples.
    pub text: &'static str,
}

/// An example on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The program.
    pub text: String,
    /// Whether it must give the page's code, or nothing at all.
    pub refused: bool,
    /// The line of the page where it begins, counted from one.
    pub line: u32,
}

impl Page {
    /// What the first line says behind the code.
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or("");
        first.split_once(": ").map_or("", |(_, title)| title)
    }

    /// The blocks fenced by ```` ```tal refused ```` and ```` ```tal accepted ````.
    pub fn examples(&self) -> Vec<Example> {
        let mut found = Vec::new();
        let mut open: Option<Example> = None;
        for (line, number) in self.text.lines().zip(1..) {
            if let Some(example) = &mut open {
                if line.starts_with("```") {
                    found.extend(open.take());
                } else {
                    example.text.push_str(line);
                    example.text.push('\n');
                }
            } else if let Some(word) = line.strip_prefix("```tal ") {
                let refused = word.trim() == "refused";
                open = Some(Example { text: String::new(), refused, line: number + 1 });
            }
        }
        found
    }

    /// What is wrong with the page's form: the first complaint.
    pub fn complaint(&self) -> Option<String> {
        let head = format!("# {}: ", self.code);
        if !self.text.starts_with(&head) {
            return Some(format!("the page of {} does not begin with `{head}`", self.code));
        }
        let examples = self.examples();
        let count = |refused| examples.iter().filter(|e| e.refused == refused).count();
        if count(true) == 0 || count(false) == 0 {
            return Some(format!("{} lacks a refused or an accepted example", self.code));
        }
        None
    }
}

/// A table of pages, sorted by code.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// The pages.
    pub pages: &'static [Page],
}

impl Registry {
    /// The page of a code.
    pub fn find(&self, code: Code) -> Option<&'static Page> {
        let at = self.pages.binary_search_by_key(&code, |page| page.code).ok()?;
        self.pages.get(at)
    }

    /// What is wrong with the table: order, or the form of a page.
    pub fn complaints(&self) -> Vec<String> {
        let sorted = self.pages.windows(2).all(|pair| pair[0].code < pair[1].code);
        let order = (!sorted).then(|| "the codes are not in rising order".to_owned());
        order.into_iter().chain(self.pages.iter().filter_map(Page::complaint)).collect()
    }
}

/// The pages of this crate: E0001 to E0099.
pub const REGISTRY: Registry = Registry {
    pages: &[
        page!(1, "E0001"),
        page!(2, "E0002"),
        page!(3, "E0003"),
        page!(4, "E0004"),
        page!(5, "E0005"),
        page!(6, "E0006"),
        page!(7, "E0007"),
        page!(8, "E0008"),
        page!(9, "E0009"),
        page!(10, "E0010"),
        page!(11, "E0011"),
        page!(12, "E0012"),
        page!(13, "E0013"),
        page!(14, "E0014"),
        page!(15, "E0015"),
        page!(16, "E0016"),
        page!(17, "E0017"),
        page!(18, "E0018"),
        page!(19, "E0019"),
        page!(20, "E0020"),
        page!(21, "E0021"),
        page!(22, "E0022"),
        page!(23, "E0023"),
        page!(24, "E0024"),
    ],
};
