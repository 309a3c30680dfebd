//! Not trusted: a bug here can reject, never admit. Brackets and braces, matched before parsing.
//!
//! A bracket without its partner would make the parser lose its place for the rest of the file.
//! Here stray closers are dropped, missing ones are supplied, and each is reported once, so that
//! the parser sees text whose brackets match. Nesting is limited here too, which bounds the
//! parser's stack and the height of every tree: no later pass can run out of stack by recursion.

use crate::codes;
use crate::diag::Diag;
use crate::span::{FileId, Span};
use crate::token::{Token, Tokens};

/// How many operators, prefixes and open brackets may lie around a place.
pub(crate) const NESTING: u32 = 200;

/// Tokens whose brackets match, each opener before its closer; none if they nest too deeply.
pub(crate) fn delimit<'s>(file: FileId, tokens: Tokens<'s>, diags: &mut Vec<Diag>) -> Tokens<'s> {
    let mut pass = Delimit {
        file,
        tokens: &tokens,
        ends: Vec::new(),
        diags,
        open: Vec::new(),
        stray: Vec::new(),
        missing: Vec::new(),
    };
    if !pass.match_all() {
        return Tokens::new();
    }
    let mended = !pass.stray.is_empty() || !pass.missing.is_empty();
    let out = if mended { Some(pass.rebuild()) } else { None };
    if pass.too_deep(out.as_ref().unwrap_or(&tokens)) {
        Tokens::new()
    } else {
        out.unwrap_or(tokens)
    }
}

struct Delimit<'a, 's> {
    file: FileId,
    tokens: &'a Tokens<'s>,
    /// For each token the end of its statement; empty while nobody has asked.
    ends: Vec<u32>,
    diags: &'a mut Vec<Diag>,
    /// Indices of the openers that wait for their closers; at most `NESTING`.
    open: Vec<usize>,
    /// Closers that are dropped, in order.
    stray: Vec<usize>,
    /// Where closers must be supplied: before the token of this index.
    missing: Vec<(usize, Token<'s>)>,
}

/// For each token the index of the first line end or brace behind it that ends its statement: one
/// that no comma or operator carries on.
fn statement_ends(tokens: &Tokens<'_>) -> Vec<u32> {
    let mut ends = vec![0; tokens.len()];
    let mut end = tokens.len() as u32;
    for at in (0..tokens.len()).rev() {
        ends[at] = end;
        let token = |at: usize| tokens.get(at).map(|(_, token, _)| *token);
        let carried_on = at > 0 && token(at - 1).is_some_and(continues);
        match token(at) {
            Some(Token::Nl) if carried_on => {}
            Some(Token::Nl | Token::LBrace | Token::RBrace) => end = at as u32,
            _ => {}
        }
    }
    ends
}

impl<'s> Delimit<'_, 's> {
    fn token(&self, at: usize) -> Option<Token<'s>> {
        self.tokens.get(at).map(|(_, token, _)| *token)
    }

    fn span(&self, at: usize) -> Span {
        match self.tokens.get(at) {
            Some((start, _, end)) => Span::new(self.file, *start, *end),
            None => {
                let end = self.tokens.last().map_or(0, |last| last.2);
                Span::new(self.file, end, end)
            }
        }
    }

    /// Pairs openers with closers; not if they nest too deeply.
    fn match_all(&mut self) -> bool {
        let mut begins_line = true;
        for (at, (_, token, _)) in self.tokens.iter().enumerate() {
            let first = std::mem::replace(&mut begins_line, matches!(token, Token::Nl));
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => {
                    if matches!(token, Token::LBrace) {
                        self.drop_brackets();
                    }
                    self.open.push(at);
                    if self.open.len() > NESTING as usize {
                        self.diags.push(nested(self.span(at)));
                        return false;
                    }
                }
                Token::RParen | Token::RBracket | Token::RBrace if !self.close(at, *token) => {
                    self.stray.push(at);
                }
                Token::Ident(word)
                    if first && !self.open.is_empty() && self.begins_declaration(at, word) =>
                {
                    self.close_braces(at);
                }
                _ => {}
            }
        }
        self.close_braces(self.tokens.len());
        true
    }

    /// Finds the opener of a closer and gives up on brackets between them.
    fn close(&mut self, at: usize, closer: Token<'s>) -> bool {
        let wanted = opener(closer);
        let reach = self.open.iter().rev().take_while(|o| {
            // A brace is a wall to brackets.
            closer == Token::RBrace || self.token(**o) != Some(Token::LBrace)
        });
        let found = reach.clone().any(|o| self.token(*o) == Some(wanted));
        if !found {
            let message = format!("`{}` closes nothing", text(closer));
            let span = self.span(at);
            self.diags.push(Diag::error(codes::STRAY_CLOSER, span, message).with_edit(
                "remove it",
                span,
                "",
            ));
            return false;
        }
        while let Some(opened) = self.open.pop() {
            if self.token(opened) == Some(wanted) {
                break;
            }
            self.unclosed(opened);
        }
        true
    }

    /// Gives up on the brackets that are open since the last brace.
    fn drop_brackets(&mut self) {
        while let Some(opened) = self.open.last().copied() {
            if self.token(opened) == Some(Token::LBrace) {
                break;
            }
            self.open.pop();
            self.unclosed(opened);
        }
    }

    /// Gives up on everything that is open: a declaration or the end of the file comes.
    fn close_braces(&mut self, at: usize) {
        if !self.open.iter().any(|o| self.token(*o) == Some(Token::LBrace)) {
            return self.drop_brackets();
        }
        while let Some(opened) = self.open.pop() {
            if self.token(opened) != Some(Token::LBrace) {
                self.unclosed(opened);
                continue;
            }
            let place = self.span(at).before();
            let what = if at < self.tokens.len() { "this declaration" } else { "the end" };
            self.diags.push(
                Diag::error(codes::MISSING_BRACE, self.span(opened), "this `{` is not closed")
                    .with_primary("needs a `}`")
                    .with_label(self.nearest(at), format!("`}}` is missing before {what}"))
                    .with_edit("close it", place, "}\n"),
            );
            self.missing.push((at, Token::RBrace));
        }
    }

    /// A span that can be shown for the place before a token.
    fn nearest(&self, at: usize) -> Span {
        let mut at = at.min(self.tokens.len());
        if at < self.tokens.len() {
            return self.span(at);
        }
        while at > 0 && matches!(self.token(at - 1), Some(Token::Nl)) {
            at -= 1;
        }
        self.span(at.saturating_sub(1))
    }

    fn unclosed(&mut self, opened: usize) {
        let Some(token) = self.token(opened) else { return };
        let message = format!("this `{}` is not closed", text(token));
        self.diags.push(
            Diag::error(codes::UNCLOSED_BRACKET, self.span(opened), message)
                .with_primary(format!("needs a `{}`", text(closer(token)))),
        );
        if self.ends.is_empty() {
            self.ends = statement_ends(self.tokens);
        }
        let end = self.ends.get(opened).map_or(self.tokens.len(), |end| *end as usize);
        self.missing.push((end, closer(token)));
    }

    /// Whether a word at the start of a line can only begin a declaration.
    fn begins_declaration(&self, at: usize, word: &str) -> bool {
        let ident = |at| matches!(self.token(at), Some(Token::Ident(_)));
        match word {
            "pub" => ident(at + 1),
            "fn" | "struct" | "sum" | "origin" | "const" | "type" => ident(at + 1),
            "rodata" | "data" | "bss" => ident(at + 1) && self.token(at + 2) == Some(Token::Colon),
            "entry" => self.token(at + 1) == Some(Token::Ident("fn")),
            "use" => matches!(self.token(at + 1), Some(Token::Str(_))),
            _ => false,
        }
    }

    /// The tokens with the stray closers left out and the missing ones put in.
    fn rebuild(&mut self) -> Tokens<'s> {
        // The sort is stable: of several closers at one place the innermost stays first.
        self.missing.sort_by_key(|(at, _)| *at);
        let mut missing = self.missing.iter().peekable();
        let mut stray = self.stray.iter().peekable();
        let mut out = Tokens::new();
        for at in 0..=self.tokens.len() {
            while let Some((_, closer)) = missing.next_if(|(place, _)| *place == at) {
                let place = self.span(at).start;
                out.push((place, *closer, place));
                if *closer == Token::RBrace {
                    out.push((place, Token::Nl, place));
                }
            }
            if stray.next_if(|dropped| **dropped == at).is_none() {
                self.tokens.get(at).into_iter().for_each(|token| out.push(*token));
            }
        }
        out
    }

    /// Counts what lies around each place; a file that nests too deeply is not parsed.
    fn too_deep(&mut self, tokens: &Tokens<'s>) -> bool {
        let mut outer: Vec<(Token<'s>, u32)> = Vec::new();
        let mut here = 0u32;
        let mut last = Token::Nl;
        for (start, token, end) in tokens.iter() {
            let base = outer.last().map_or(0, |(_, before)| before + 1);
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => {
                    outer.push((*token, here));
                    here += 1;
                }
                // A closed bracket still counts: `[n][n][n]T` nests without end.
                Token::RBracket => here = outer.pop().map_or(0, |(_, before)| before + 1),
                Token::RParen | Token::RBrace => here = outer.pop().map_or(0, |(_, n)| n),
                Token::Comma => here = base,
                Token::Nl => {
                    let bracket = !matches!(outer.last(), None | Some((Token::LBrace, _)));
                    if !bracket && !continues(last) {
                        here = base;
                    }
                }
                token if nests(*token) => here += 1,
                _ => {}
            }
            if here > NESTING {
                self.diags.push(nested(Span::new(self.file, *start, *end)));
                return true;
            }
            if !matches!(token, Token::Nl) {
                last = *token;
            }
        }
        false
    }
}

fn nested(span: Span) -> Diag {
    Diag::error(codes::TOO_LARGE, span, "this is nested too deeply")
        .with_primary(format!("more than {NESTING} operators and brackets around it"))
        .with_help("give a name to a part of it, with `const` or `type`")
}

fn opener(closer: Token<'_>) -> Token<'_> {
    match closer {
        Token::RParen => Token::LParen,
        Token::RBracket => Token::LBracket,
        _ => Token::LBrace,
    }
}

fn closer(opener: Token<'_>) -> Token<'_> {
    match opener {
        Token::LParen => Token::RParen,
        Token::LBracket => Token::RBracket,
        _ => Token::RBrace,
    }
}

fn text(token: Token<'_>) -> &'static str {
    match token {
        Token::LParen => "(",
        Token::LBracket => "[",
        Token::LBrace => "{",
        Token::RParen => ")",
        Token::RBracket => "]",
        _ => "}",
    }
}

/// Whether a line that ends in this token is carried on by the next one.
pub(crate) fn continues(token: Token<'_>) -> bool {
    matches!(
        token,
        Token::Comma
            | Token::Eq
            | Token::Ne
            | Token::Lt
            | Token::Le
            | Token::Gt
            | Token::Ge
            | Token::Arrow
            | Token::Plus
            | Token::Minus
            | Token::Star
            | Token::Slash
            | Token::Percent
            | Token::Shl
            | Token::Shr
            | Token::Bar
            | Token::Caret
            | Token::Tilde
            | Token::Where
            | Token::Ident("where")
            | Token::Or
    )
}

/// Whether a token makes the tree higher: an operator, or the prefix of a type.
fn nests(token: Token<'_>) -> bool {
    match token {
        Token::Plus | Token::Minus | Token::Star | Token::Slash | Token::Percent => true,
        Token::Shl | Token::Shr | Token::Bar | Token::Caret | Token::Tilde => true,
        Token::Amp | Token::Quest | Token::At => true,
        Token::Ident(word) => matches!(word, "own" | "ref" | "inout" | "out"),
        _ => false,
    }
}
