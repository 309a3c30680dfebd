//! Not trusted. As much of the form of Rust sources as the search for premises needs: comments,
//! brackets, functions.

/// A function of a source.
#[derive(Debug)]
pub(crate) struct Function<'c> {
    pub(crate) name: &'c str,
    /// What it returns, as written.
    pub(crate) returns: String,
    /// Does it take `self`?
    pub(crate) method: bool,
    /// Its body, with the braces.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The text with comments, strings and characters blanked; every other byte keeps its place.
pub(crate) fn blanked(text: &str) -> String {
    let mut out: Vec<u8> = text.bytes().map(|b| if b.is_ascii() { b } else { b'?' }).collect();
    let mut at = 0;
    while at < out.len() {
        let rest = &out[at..];
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            let close = rest.windows(2).position(|w| w == b"*/");
            at + close.map_or(rest.len(), |c| c + 2)
        } else if rest.starts_with(b"r\"") || rest.starts_with(b"r#\"") {
            let hash = rest[1] == b'#';
            let close: &[u8] = if hash { b"\"#" } else { b"\"" };
            let from = if hash { 3 } else { 2 };
            let found = rest[from..].windows(close.len()).position(|w| w == close);
            at + found.map_or(rest.len(), |f| from + f + close.len())
        } else if rest[0] == b'"' {
            at + quoted(rest, b'"')
        } else if rest[0] == b'\'' && is_character(rest) {
            at + quoted(rest, b'\'')
        } else {
            at += 1;
            continue;
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Bytes of a literal that begins here.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character, not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    matches!(rest, [_, b'\\', ..] | [_, _, b'\'', ..])
}

/// The offset behind the bracket that closes the one at `open`.
pub(crate) fn call_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The bracket that opens the innermost block around this place.
pub(crate) fn block_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (here, byte) in code.bytes().enumerate().take(at).collect::<Vec<_>>().into_iter().rev() {
        match byte {
            b')' | b']' | b'}' => depth += 1,
            b'(' | b'[' | b'{' if depth > 0 => depth -= 1,
            b'{' => return Some(here),
            _ => {}
        }
    }
    None
}

/// Where the statement that stands before this place begins.
pub(crate) fn statement_start(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (here, byte) in code.bytes().enumerate().take(at).collect::<Vec<_>>().into_iter().rev() {
        match byte {
            b')' | b']' | b'}' => depth += 1,
            b'(' | b'[' | b'{' if depth > 0 => depth -= 1,
            b'(' | b'[' | b'{' => return here + 1,
            b';' if depth == 0 => return here + 1,
            _ => {}
        }
    }
    0
}

/// The bounds of the first argument of a call.
pub(crate) fn first_argument(code: &str, open: usize) -> (usize, usize) {
    let end = call_end(code, open) - 1;
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().take(end).skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 1 => return (open + 1, at),
            _ => {}
        }
    }
    (open + 1, end)
}

/// Does `&&` stand outside of every bracket?
pub(crate) fn conjunction(condition: &str) -> bool {
    let mut depth = 0_usize;
    let bytes = condition.trim_start().as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'&' if depth == 0 && at > 0 && bytes.get(at + 1) == Some(&b'&') => return true,
            _ => {}
        }
    }
    false
}

/// Runs of blanks as one.
pub(crate) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A piece of a source on one line, without what only breaks it.
pub(crate) fn one_line(text: &str) -> String {
    let line = squeezed(text).replace("( ", "(").replace(" )", ")").replace(",)", ")");
    line.replace(" .", ".").trim_end_matches(',').to_string()
}

/// The number of the line, from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].bytes().filter(|b| *b == b'\n').count() + 1
}

/// All functions that have a body.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    let mut all = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let name_at = at + 3;
        let length = code[name_at..].find(|c: char| !c.is_alphanumeric() && c != '_');
        let Some(length) = length.filter(|n| *n > 0 && starts_word) else { continue };
        let Some(open) = code[name_at..].find('(').map(|o| name_at + o) else { continue };
        let arguments = call_end(code, open);
        let Some(body) = code[arguments..].find(['{', ';']).map(|b| arguments + b) else {
            continue;
        };
        if !code[body..].starts_with('{') {
            continue;
        }
        let signature = code[arguments..body].split(" where").next().unwrap_or("");
        let returns = signature.trim().trim_start_matches("->").trim().to_string();
        let name = &code[name_at..name_at + length];
        let (first, last) = first_argument(code, open);
        let method = code[first..last].trim().ends_with("self");
        let end = call_end(code, body);
        all.push(Function { name, returns, method, start: body, end });
    }
    all
}
