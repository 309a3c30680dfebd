//! Not trusted: a bug here can reject, never admit. Line ends and words, where they stand.
//!
//! The grammar stays LR(1) because two questions are answered before it: which line ends end a
//! statement, and which words are keywords at their place. Words that declare things are keywords
//! only where a declaration begins, so `entry`, `data`, `sum` or `byte` stay good names elsewhere.

use crate::ast::{IntType, Prefix, Reg, Size};
use crate::codes;
use crate::delimit::continues;
use crate::diag::Diag;
use crate::span::{FileId, Span};
use crate::token::{Placed, Token, Tokens};

/// The tokens for the grammar, one by one: no superfluous line end, each word a keyword or a name.
pub(crate) struct Layout<'s> {
    file: FileId,
    /// From the next one on.
    tokens: Tokens<'s>,
    /// How many there are, and where the last one ends.
    len: usize,
    end: u32,
    /// Index of the token that comes next.
    at: usize,
    pub(crate) diags: Vec<Diag>,
    /// The last tokens that were made.
    out: Vec<Placed<'s>>,
    /// How many of them were given away.
    given: usize,
    /// Open `(` and `[`.
    brackets: u32,
    /// Open `{`.
    braces: u32,
    /// Open `{` that stand in code, where they have no meaning.
    blocks: u32,
    /// The keyword of the declaration around; `End` outside.
    decl: Token<'s>,
    /// Line ends before the token of this index end nothing.
    carried: usize,
}

/// How many tokens that were given away are looked back at.
const BACK: usize = 3;

impl<'s> Iterator for Layout<'s> {
    type Item = Placed<'s>;

    fn next(&mut self) -> Option<Placed<'s>> {
        while self.given == self.out.len() {
            if self.given >= 64 {
                self.out.drain(..self.given - BACK);
                self.given = BACK;
            }
            self.tokens.give_up(self.at);
            match self.tokens.get(self.at) {
                Some(placed) => self.step(self.at, *placed),
                None if self.at == self.len => self.line_end(self.at, self.end, self.end),
                None => return None,
            }
            self.at += 1;
        }
        self.given += 1;
        self.out.get(self.given - 1).copied()
    }
}

impl<'s> Layout<'s> {
    /// The layout of a file whose brackets match.
    pub(crate) fn new(file: FileId, tokens: Tokens<'s>) -> Layout<'s> {
        Layout {
            file,
            len: tokens.len(),
            end: tokens.last().map_or(0, |last| last.2),
            tokens,
            at: 0,
            diags: Vec::new(),
            out: Vec::with_capacity(64 + 2),
            given: 0,
            brackets: 0,
            braces: 0,
            blocks: 0,
            decl: Token::End,
            carried: 0,
        }
    }
}

impl<'s> Layout<'s> {
    fn step(&mut self, at: usize, (start, token, end): Placed<'s>) {
        let token = match token {
            Token::Nl => return self.line_end(at, start, end),
            Token::Ident(word) => self.word(at, word),
            token => token,
        };
        match token {
            Token::LParen | Token::LBracket => self.brackets += 1,
            Token::RParen | Token::RBracket => self.brackets = self.brackets.saturating_sub(1),
            Token::LBrace if self.decl == Token::Fn && self.braces > 0 => {
                self.blocks += 1;
                let span = Span::new(self.file, start, end);
                return self.diags.push(
                    Diag::error(codes::BLOCK_IN_CODE, span, "code has no blocks")
                        .with_help("labels and jumps do what blocks do elsewhere"),
                );
            }
            Token::LBrace => self.braces += 1,
            Token::RBrace if self.blocks > 0 => {
                self.blocks -= 1;
                return;
            }
            Token::RBrace => self.close(start),
            Token::Use
            | Token::Const
            | Token::Type
            | Token::Struct
            | Token::Sum
            | Token::Fn
            | Token::Rodata
            | Token::Data
            | Token::Bss
            | Token::Origin
                if self.begins_declaration(true) =>
            {
                self.decl = token;
            }
            _ => {}
        }
        self.out.push((start, token, end));
    }

    /// The last statement before `}` needs no line end of its own.
    fn close(&mut self, start: u32) {
        let ended = match self.latest() {
            Token::Nl | Token::LBrace => true,
            Token::Comma => self.decl != Token::Fn,
            _ => false,
        };
        if !ended {
            self.out.push((start, Token::Nl, start));
        }
        self.braces = self.braces.saturating_sub(1);
    }

    fn line_end(&mut self, at: usize, start: u32, end: u32) {
        let last = self.latest();
        if at < self.carried
            || self.brackets > 0
            || matches!(last, Token::Nl | Token::End | Token::LBrace)
        {
            return;
        }
        if at < self.len && (continues(last) || self.next_carries_on(at)) {
            return;
        }
        if self.braces > 0 {
            self.out.push((start, Token::Nl, end));
        } else {
            self.out.push((start, Token::End, end));
            self.decl = Token::End;
        }
    }

    /// Whether the next line begins with something that carries on this one.
    fn next_carries_on(&mut self, at: usize) -> bool {
        let mut next = at;
        while matches!(self.tokens.get(next), Some((_, Token::Nl, _))) {
            next += 1;
        }
        let outside = self.braces == 0;
        let carries_on = match self.tokens.get(next).map(|(_, token, _)| *token) {
            Some(Token::Ident("where")) => true,
            Some(Token::Arrow | Token::LBrace | Token::Ident("or" | "exists" | "packed")) => {
                outside
            }
            Some(Token::Ident("clobbers" | "keeps")) => outside,
            _ => false,
        };
        if carries_on {
            self.carried = next;
        }
        carries_on
    }

    /// The token before the place, `End` at the start of the file.
    fn latest(&self) -> Token<'s> {
        self.before(1)
    }

    fn before(&self, back: usize) -> Token<'s> {
        let at = self.out.len().checked_sub(back);
        at.and_then(|at| self.out.get(at)).map_or(Token::End, |(_, token, _)| *token)
    }

    fn ahead(&self, at: usize) -> Option<Token<'s>> {
        self.tokens.get(at + 1).map(|(_, token, _)| *token)
    }

    fn begins_declaration(&self, after_entry: bool) -> bool {
        self.braces == 0
            && self.brackets == 0
            && match self.latest() {
                Token::End | Token::Pub => true,
                Token::Entry => after_entry,
                _ => false,
            }
    }

    /// Whether a statement begins here: at the start of a line in braces, or behind a label.
    fn begins_statement(&self) -> bool {
        let line = |token| matches!(token, Token::Nl | Token::LBrace);
        self.braces > 0
            && self.brackets == 0
            && (line(self.latest())
                || self.decl == Token::Fn
                    && self.latest() == Token::Colon
                    && matches!(self.before(2), Token::Local(_))
                    && line(self.before(3)))
    }

    /// Which token a word is at its place.
    fn word(&self, at: usize, word: &'s str) -> Token<'s> {
        let name = Token::Ident(word);
        if let Some(reg) = Reg::parse(word) {
            return Token::Reg(reg);
        }
        let if_ = |keyword, here| if here { keyword } else { name };
        let outside = self.braces == 0 && self.brackets == 0;
        let begins = |keyword| if_(keyword, self.begins_declaration(false));
        match word {
            "where" => Token::Where,
            "sizeof" => Token::SizeOf,
            "own" => Token::Own,
            "ref" => Token::Ref,
            "inout" => Token::InOut,
            "some" => Token::Some,
            "of" => Token::Of,
            "fn" => Token::Fn,
            "out" => if_(Token::Out, self.type_follows(at) && !self.names()),
            "rw" => if_(Token::Rw, matches!(self.latest(), Token::Ref | Token::Amp)),
            "use" => begins(Token::Use),
            "const" => begins(Token::Const),
            "type" => begins(Token::Type),
            "struct" => begins(Token::Struct),
            "sum" => begins(Token::Sum),
            "rodata" => begins(Token::Rodata),
            "data" => begins(Token::Data),
            "bss" => begins(Token::Bss),
            "origin" => begins(Token::Origin),
            "pub" => begins(Token::Pub),
            "entry" if self.ahead(at) == Some(Token::Ident("fn")) => begins(Token::Entry),
            "by" => if_(Token::By, outside && self.decl == Token::Sum && !self.names()),
            "exists" => if_(Token::Exists, outside && self.decl == Token::Struct && !self.names()),
            "packed" => if_(Token::Packed, outside && self.decl == Token::Struct && !self.names()),
            "table" => {
                let local = matches!(self.ahead(at), Some(Token::Local(_)));
                if_(Token::Table, local && self.begins_statement())
            }
            "times" => {
                let data = matches!(self.decl, Token::Rodata | Token::Data | Token::Bss);
                let list = matches!(self.latest(), Token::Eq | Token::Comma);
                let count = matches!(
                    self.ahead(at),
                    Some(
                        Token::Int(_)
                            | Token::Ident(_)
                            | Token::Char(_)
                            | Token::Local(_)
                            | Token::LParen
                            | Token::LBracket
                    )
                );
                if_(Token::Times, outside && data && list && count)
            }
            "or" => if_(Token::Or, self.latest() == Token::RParen),
            "never" => if_(Token::Never, self.latest() == Token::Arrow),
            "clobbers" | "keeps" => {
                let keyword = if word == "keeps" { Token::Keeps } else { Token::Clobbers };
                let list = self.ahead(at) == Some(Token::LParen);
                if_(keyword, outside && self.decl == Token::Fn && list && !self.names())
            }
            "align" => {
                let number = matches!(self.ahead(at), Some(Token::Int(_)));
                if_(Token::Align, number && !self.begins_statement())
            }
            _ => self.machine_word(at, word),
        }
    }

    /// Sizes, prefixes and integer types.
    fn machine_word(&self, at: usize, word: &'s str) -> Token<'s> {
        if let Some(size) = Size::parse(word) {
            let bracket = self.ahead(at) == Some(Token::LBracket);
            return if bracket { Token::Size(size) } else { Token::Ident(word) };
        }
        if self.begins_statement() {
            return Prefix::parse(word).map_or(Token::Ident(word), Token::Prefix);
        }
        IntType::parse(word).map_or(Token::Ident(word), Token::IntType)
    }

    /// Whether the word before this place wants a name.
    fn names(&self) -> bool {
        matches!(
            self.latest(),
            Token::Struct
                | Token::Sum
                | Token::Fn
                | Token::Const
                | Token::Type
                | Token::Origin
                | Token::Rodata
                | Token::Data
                | Token::Bss
                | Token::By
                | Token::Exists
                | Token::Some
                | Token::SizeOf
                | Token::At
        )
    }

    /// Whether the next token can begin a type, so that a mode may stand here. `out` is a good name
    /// for a buffer: it is the mode only before a type, and never where a statement begins.
    fn type_follows(&self, at: usize) -> bool {
        if self.begins_statement() {
            return false;
        }
        match self.ahead(at) {
            Some(Token::LBracket | Token::Amp | Token::Quest | Token::At) => true,
            // Behind a type called `out` these have their lists; else they are names of types.
            Some(Token::Ident("clobbers" | "keeps")) => self.ahead(at + 1) != Some(Token::LParen),
            Some(Token::Ident(word)) => {
                !matches!(word, "of" | "align" | "where" | "or" | "by" | "exists" | "packed")
            }
            _ => false,
        }
    }
}
