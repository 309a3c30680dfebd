//! Not trusted: a bug here can reject, never admit. Tokens, without regard to lines and context.
//!
//! `logos` finds the tokens; words come out as [`Token::Ident`], and `layout.rs` decides which of
//! them are keywords where they stand.

use std::collections::VecDeque;

use logos::Logos;

use crate::ast::{Comment, Int, IntType, Prefix, Reg, Size};
use crate::codes;
use crate::diag::Diag;
use crate::habits;
use crate::literal;
use crate::span::{FileId, Span};

/// A token. The second half is made by `layout.rs` out of words and line ends.
#[derive(Logos, Clone, Copy, Debug, PartialEq)]
#[logos(skip r"[ \t\r\u{feff}]+")]
#[allow(missing_docs)] // the texts say it
pub(crate) enum Token<'s> {
    #[token("\n")]
    Nl,
    #[regex(r";[^\n]*", allow_greedy = true)]
    Comment(&'s str),
    /// A comment of other languages.
    #[regex(r"//[^\n]*", allow_greedy = true)]
    #[regex(r"#[^0-9\n][^\n]*", allow_greedy = true)]
    #[regex(r"/\*([^*]|\*+[^*/])*\*+/")]
    Foreign(&'s str),
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")]
    Ident(&'s str),
    #[regex(r"\.[A-Za-z_][A-Za-z0-9_]*")]
    Local(&'s str),
    #[regex(r"[0-9][0-9A-Za-z_]*")]
    Number(&'s str),
    #[regex(r"'([^'\\\n]|\\[^\n])*'?")]
    Quote(&'s str),
    #[regex(r#""([^"\\\n]|\\[^\n])*"?"#)]
    Str(&'s str),
    #[token(":")]
    Colon,
    #[token(",")]
    Comma,
    #[token("=")]
    Eq,
    #[token("?")]
    Quest,
    #[token("@")]
    At,
    #[token("&")]
    Amp,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("<<")]
    Shl,
    #[token(">>")]
    Shr,
    #[token("|")]
    Bar,
    #[token("^")]
    Caret,
    #[token("~")]
    Tilde,
    #[token("<")]
    Lt,
    #[token("<=")]
    Le,
    #[token(">")]
    Gt,
    #[token(">=")]
    Ge,
    #[token("!=")]
    Ne,
    #[token("->")]
    Arrow,
    #[token("..")]
    DotDot,

    /// The end of a declaration: a line end outside of braces. Inside it is `Nl`.
    End,
    Int(Int),
    Char(u8),
    Reg(Reg),
    Size(Size),
    Prefix(Prefix),
    IntType(IntType),
    Use,
    Const,
    Type,
    Struct,
    Sum,
    By,
    Exists,
    Where,
    Packed,
    Rodata,
    Data,
    Bss,
    Origin,
    Fn,
    Entry,
    Pub,
    Table,
    Times,
    SizeOf,
    Own,
    Ref,
    Rw,
    InOut,
    Out,
    Or,
    Some,
    Of,
    Never,
    Clobbers,
    Keeps,
    Align,
}

/// A token between two byte offsets.
pub(crate) type Placed<'s> = (u32, Token<'s>, u32);

/// Tokens in chunks, so that those which are parsed can make room for their tree.
pub(crate) struct Tokens<'s> {
    /// All full but the last.
    chunks: VecDeque<Vec<Placed<'s>>>,
    /// How many chunks before them were given up.
    gone: usize,
}

/// Tokens of a chunk.
const CHUNK: usize = 1 << 9;

impl<'s> Tokens<'s> {
    pub(crate) fn new() -> Tokens<'s> {
        Tokens { chunks: VecDeque::new(), gone: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, token: Placed<'s>) {
        if let Some(chunk) = self.chunks.back_mut()
            && chunk.len() < chunk.capacity()
        {
            return chunk.push(token);
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        chunk.push(token);
        self.chunks.push_back(chunk);
    }

    /// The token of this number.
    pub(crate) fn get(&self, at: usize) -> Option<&Placed<'s>> {
        self.chunks.get((at / CHUNK).checked_sub(self.gone)?)?.get(at % CHUNK)
    }

    /// How many there are, with those that were given up.
    pub(crate) fn len(&self) -> usize {
        let before = (self.gone + self.chunks.len()).saturating_sub(1);
        self.chunks.back().map_or(self.gone * CHUNK, |last| before * CHUNK + last.len())
    }

    pub(crate) fn last(&self) -> Option<&Placed<'s>> {
        self.chunks.back()?.last()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Placed<'s>> {
        self.chunks.iter().flatten()
    }

    /// Gives up what is before this one, as far as it goes.
    pub(crate) fn give_up(&mut self, before: usize) {
        while self.gone < before / CHUNK && self.chunks.pop_front().is_some() {
            self.gone += 1;
        }
    }
}

/// The tokens of a file, its comments, and what is wrong with single tokens.
pub(crate) struct Scan<'s> {
    pub(crate) tokens: Tokens<'s>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) diags: Vec<Diag>,
}

/// Finds the tokens. `text` is shorter than 2^32 bytes.
pub(crate) fn scan(file: FileId, text: &str) -> Scan<'_> {
    let mut out = Scan { tokens: Tokens::new(), comments: Vec::new(), diags: Vec::new() };
    let mut bad: Option<Span> = None;
    for (token, range) in Token::lexer(text).spanned() {
        let span = Span::new(file, range.start as u32, range.end as u32);
        let token = match token {
            Ok(token) => token,
            Err(()) => {
                // Neighbouring bad characters are one mistake.
                match &mut bad {
                    Some(run) if run.end == span.start => run.end = span.end,
                    _ => {
                        out.diags.extend(bad.map(|run| unexpected_character(text, run)));
                        bad = Some(span);
                    }
                }
                continue;
            }
        };
        let token = match token {
            Token::Comment(comment) => {
                let trailing = !matches!(out.tokens.last(), None | Some((_, Token::Nl, _)));
                let comment = comment.trim_end();
                let span = Span::new(file, span.start, span.start + comment.len() as u32);
                out.comments.push(Comment { text: comment.to_owned(), span, trailing });
                continue;
            }
            Token::Foreign(comment) => {
                out.diags.push(foreign_comment(comment, span));
                continue;
            }
            Token::Number(number) => Token::Int(literal::number(number, span, &mut out.diags)),
            Token::Quote(quote) => Token::Char(literal::character(quote, span, &mut out.diags)),
            Token::Str(string) => {
                // The grammar decodes it again; complaints are made once, here.
                literal::string(string, span, &mut out.diags);
                token
            }
            token => token,
        };
        out.tokens.push((span.start, token, span.end));
    }
    out.diags.extend(bad.map(|run| unexpected_character(text, run)));
    out
}

fn foreign_comment(text: &str, span: Span) -> Diag {
    if let Some(habit) = text.strip_prefix('#').and_then(|_| habits::declaration(text)) {
        return habit.diag(codes::FOREIGN, span);
    }
    let sign = if text.starts_with('#') { "#" } else { text.get(..2).unwrap_or("") };
    let place = Span::new(span.file, span.start, span.start + sign.len() as u32);
    let diag = Diag::error(codes::FOREIGN, place, format!("`{sign}` begins no comment"));
    match sign {
        "/*" if text.contains('\n') => diag.with_help("each line of a comment begins with `;`"),
        "/*" => {
            let inside = text.trim_start_matches("/*").trim_end_matches("*/").trim_end();
            diag.with_edit("comments begin with `;`", span, format!(";{inside}"))
        }
        _ => diag.with_edit("comments begin with `;`", place, ";"),
    }
}

/// `$ - name`: its place, and the name.
fn here_less(text: &str, span: Span) -> Option<(Span, &str)> {
    let rest = text.get(span.end as usize..)?;
    let less = rest.trim_start_matches(' ').strip_prefix('-')?.trim_start_matches(' ');
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = less.get(..less.find(|c| !word(c)).unwrap_or(less.len()))?;
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = span.end + (rest.len() - less.len() + name.len()) as u32;
    named.then(|| (Span::new(span.file, span.start, end), name))
}

fn unexpected_character(text: &str, span: Span) -> Diag {
    let run = text.get(span.range()).unwrap_or("");
    let first = run.chars().next().unwrap_or('?');
    let shown: String = first.escape_default().collect();
    let message = match run.chars().nth(1) {
        None if first.is_ascii_graphic() => format!("`{first}` has no meaning"),
        None if first.is_control() => format!("the character {shown} has no meaning"),
        None => format!("`{first}` ({shown}) has no meaning outside of strings"),
        Some(_) => "these characters have no meaning outside of strings".to_owned(),
    };
    let diag = Diag::error(codes::UNEXPECTED_CHARACTER, span, message);
    match first {
        '$' if here_less(text, span).is_some() => {
            let (place, name) = here_less(text, span).unwrap_or((span, ""));
            let right = format!("sizeof {name}");
            let help = format!("the length of data is `{right}`");
            let diag = Diag { code: codes::FOREIGN, ..diag };
            Diag { message: "there is no `$`, this place".to_owned(), ..diag }
                .with_edit(help, place, right)
        }
        '$' => Diag { code: codes::ATT_SYNTAX, ..diag }
            .with_primary("no sign stands before a constant")
            .with_edit("remove the sign", span, ""),
        '#' => diag.with_edit("no sign stands before a constant", span, ""),
        '\u{2018}'..='\u{201f}' => diag.with_help("quotes are `'` and `\"`"),
        '\u{2212}' | '\u{2013}' => diag.with_edit("minus is `-`", span, "-"),
        '\u{2264}' => diag.with_edit("write `<=`", span, "<="),
        '\u{2265}' => diag.with_edit("write `>=`", span, ">="),
        '\u{2260}' => diag.with_edit("write `!=`", span, "!="),
        _ => diag,
    }
}
