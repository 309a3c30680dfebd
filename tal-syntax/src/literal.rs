//! Not trusted: a bug here can reject, never admit. Numbers, characters and strings.

use crate::ast::{Int, Radix};
use crate::codes;
use crate::diag::Diag;
use crate::span::Span;

/// Reads a number: digits with an optional `0x` or `0b`, and `_` between them.
pub(crate) fn number(text: &str, span: Span, diags: &mut Vec<Diag>) -> Int {
    let (radix, base, digits) = match text.get(..2) {
        Some("0x" | "0X") => (Radix::Hex, 16, &text[2..]),
        Some("0b" | "0B") => (Radix::Bin, 2, &text[2..]),
        _ => (Radix::Dec, 10, text),
    };
    let mut value = Some(0u64);
    let mut count = 0;
    for (at, byte) in digits.bytes().enumerate() {
        if byte == b'_' {
            continue;
        }
        let Some(digit) = char::from(byte).to_digit(base) else {
            diags.push(bad_number(text, text.len() - digits.len() + at, base, span));
            return Int { value: 0, radix };
        };
        count += 1;
        value = value.and_then(|v| v.checked_mul(u64::from(base))?.checked_add(u64::from(digit)));
    }
    if count == 0 {
        diags.push(
            Diag::error(codes::BAD_NUMBER, span, format!("`{text}` has no digits"))
                .with_primary("a digit must follow"),
        );
    }
    let value = value.unwrap_or_else(|| {
        diags.push(
            Diag::error(codes::NUMBER_TOO_LARGE, span, "this number does not fit in 64 bits")
                .with_primary("2^64 or more")
                .with_note("the largest number is 18446744073709551615, 0xffff_ffff_ffff_ffff"),
        );
        0
    });
    Int { value, radix }
}

fn bad_number(text: &str, at: usize, base: u32, span: Span) -> Diag {
    let bad = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('?');
    let start = span.start + at as u32;
    let what = match base {
        16 => "hexadecimal",
        2 => "binary",
        _ => "decimal",
    };
    let place = Span::new(span.file, start, start + bad.len_utf8() as u32);
    let diag =
        Diag::error(codes::BAD_NUMBER, place, format!("`{bad}` is not a digit of this number"))
            .with_primary(format!("not a {what} digit"));
    let binary = text.strip_suffix(['b', 'B']).filter(|b| b.bytes().all(|b| b"01".contains(&b)));
    if let Some(digits) = binary.filter(|b| base == 10 && !b.is_empty()) {
        return diag.with_edit("binary numbers begin with 0b", span, format!("0b{digits}"));
    }
    let hex = text.strip_suffix(['h', 'H']);
    match hex.filter(|h| base == 10 && h.bytes().all(|b| b.is_ascii_hexdigit())) {
        Some(hex) => {
            let digits = hex.trim_start_matches('0');
            let digits = if digits.is_empty() { "0" } else { digits };
            diag.with_edit("hexadecimal numbers begin with 0x", span, format!("0x{digits}"))
        }
        None => diag,
    }
}

/// Reads the character literal `'a'`.
pub(crate) fn character(text: &str, span: Span, diags: &mut Vec<Diag>) -> u8 {
    let bytes = quoted(text, '\'', span, diags);
    match bytes.as_deref() {
        None => 0,
        Some([byte]) => *byte,
        Some(bytes) => {
            let message = "a character literal is one byte";
            let diag = Diag::error(codes::BAD_CHARACTER, span, message)
                .with_primary(format!("{} bytes", bytes.len()));
            diags.push(match bytes {
                [] => diag.with_help("a quote itself is written `'\\''`"),
                _ => diag.with_help("write a string, or the number"),
            });
            0
        }
    }
}

/// Reads the string literal `"abc\n"`.
pub(crate) fn string(text: &str, span: Span, diags: &mut Vec<Diag>) -> Vec<u8> {
    quoted(text, '"', span, diags).unwrap_or_default()
}

/// The bytes behind a quote, up to the second one; if that is missing there is a diagnostic, and a
/// character literal has no bytes.
fn quoted(text: &str, quote: char, span: Span, diags: &mut Vec<Diag>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.char_indices().skip(1);
    let mut scratch = [0; 4];
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(bytes);
        }
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut scratch).as_bytes());
            continue;
        }
        let Some((_, escape)) = chars.next() else { break };
        let byte = match escape {
            'n' => Some(b'\n'),
            't' => Some(b'\t'),
            'r' => Some(b'\r'),
            '0' => Some(0),
            '\\' | '"' | '\'' => Some(escape as u8),
            'x' => match text.get(at + 2..at + 4).map(|hex| (hex, u8::from_str_radix(hex, 16))) {
                Some((hex, Ok(byte))) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    chars.nth(1);
                    Some(byte)
                }
                _ => None,
            },
            _ => None,
        };
        match byte {
            Some(byte) => bytes.push(byte),
            None => {
                diags.push(bad_escape(at, escape, span));
                bytes.push(b'?');
            }
        }
    }
    let what = if quote == '"' { "string" } else { "character literal" };
    diags.push(
        Diag::error(codes::UNTERMINATED, span, format!("this {what} does not end"))
            .with_primary(format!("`{quote}` is missing before the end of the line"))
            .with_edit(format!("end it with `{quote}`"), span.after(), quote.to_string()),
    );
    // What is behind an open string is unknown; what is in it has some length.
    (quote == '"').then_some(bytes)
}

fn bad_escape(at: usize, escape: char, span: Span) -> Diag {
    let start = span.start + at as u32;
    let place = Span::new(span.file, start, start + 1 + escape.len_utf8() as u32);
    let message = match escape {
        'x' => "`\\x` takes two hexadecimal digits".to_owned(),
        _ => format!("`\\{escape}` is no escape"),
    };
    Diag::error(codes::BAD_ESCAPE, place, message).with_note(
        "the escapes are \\n \\t \\r \\0 \\\\ \\\" \\' and \\x with two hexadecimal digits",
    )
}
