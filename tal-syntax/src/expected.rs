//! Not trusted: a bug here can reject, never admit. The words for a token that cannot stand where
//! it stands.
//!
//! Habits from other assemblers and languages are known here and get their own codes; everything
//! else says what could stand there, in words.

use crate::ast::Size;
use crate::codes;
use crate::delimit::continues;
use crate::diag::{Code, Diag};
use crate::span::{FileId, Span};
use crate::token::{Placed, Token};

/// An unexpected token in its surroundings.
pub(crate) struct Unexpected<'a, 's> {
    file: FileId,
    text: &'s str,
    tokens: &'a [Placed<'s>],
    /// Index of the token.
    at: usize,
    token: Token<'s>,
    span: Span,
    /// What could stand here, in the names of the grammar.
    expected: &'a [String],
    /// Where the statement or declaration began.
    start: u32,
}

impl<'a, 's> Unexpected<'a, 's> {
    pub(crate) fn new(
        file: FileId,
        text: &'s str,
        tokens: &'a [Placed<'s>],
        token: Placed<'s>,
        expected: &'a [String],
        start: u32,
    ) -> Self {
        let from = tokens.partition_point(|(start, _, _)| *start < token.0);
        let same = tokens.get(from..).unwrap_or(&[]).iter().position(|other| *other == token);
        let at = from + same.unwrap_or(0);
        let span = Span::new(file, token.0, token.2);
        Unexpected { file, text, tokens, at, token: token.1, span, expected, start }
    }

    pub(crate) fn diag(&self) -> Diag {
        self.label_without_dot()
            .or_else(|| self.postfix_array())
            .or_else(|| self.postfix_null())
            .or_else(|| self.stray_size())
            .or_else(|| self.att_register())
            .or_else(|| self.c_operator())
            .or_else(|| self.code_outside())
            .or_else(|| self.reserved_word())
            .unwrap_or_else(|| self.anything())
    }

    /// The token some places before, `End` before the start.
    fn before(&self, back: usize) -> Token<'s> {
        let at = self.at.checked_sub(back);
        at.and_then(|at| self.tokens.get(at)).map_or(Token::End, |(_, token, _)| *token)
    }

    fn span_at(&self, at: usize) -> Span {
        self.tokens.get(at).map_or(self.span, |(start, _, end)| Span::new(self.file, *start, *end))
    }

    fn expects(&self, name: &str) -> bool {
        self.expected.iter().any(|e| e.trim_matches('"') == name)
    }

    fn shown(&self, span: Span) -> &'s str {
        self.text.get(span.range()).unwrap_or("")
    }

    fn error(&self, code: Code, message: impl Into<String>) -> Diag {
        Diag::error(code, self.span, message)
    }

    /// `loop:`
    fn label_without_dot(&self) -> Option<Diag> {
        let Token::Ident(name) = self.before(1) else { return None };
        let starts = matches!(self.before(2), Token::Nl | Token::LBrace);
        if self.token != Token::Colon || !starts {
            return None;
        }
        let span = self.span_at(self.at - 1);
        Some(Diag::error(codes::LABEL_WITHOUT_DOT, span, "a label begins with a dot").with_edit(
            format!("write `.{name}:`"),
            span.before(),
            ".",
        ))
    }

    /// `u8[n]`
    fn postfix_array(&self) -> Option<Diag> {
        if self.token != Token::RBracket {
            return None;
        }
        let mut depth = 0;
        let mut open = self.at;
        loop {
            open = open.checked_sub(1)?;
            match self.tokens.get(open)?.1 {
                Token::RBracket | Token::RParen => depth += 1,
                Token::LBracket if depth == 0 => break,
                Token::LBracket | Token::LParen => depth -= 1,
                Token::Nl | Token::End => return None,
                _ => {}
            }
        }
        let Token::IntType(elem) = self.tokens.get(open.checked_sub(1)?)?.1 else { return None };
        let whole = self.span_at(open - 1).to(self.span);
        let count = Span::new(self.file, self.span_at(open).end, self.span.start);
        let right = format!("[{}]{}", self.shown(count).trim(), elem.text());
        Some(
            Diag::error(
                codes::POSTFIX_ARRAY,
                whole,
                "the length of an array stands before the type",
            )
            .with_edit(format!("write `{right}`"), whole, right)
            .with_note("brackets behind an integer type hold its range: `u8[0 .. 9]`"),
        )
    }

    /// `&node?`
    fn postfix_null(&self) -> Option<Diag> {
        let type_ends =
            matches!(self.before(1), Token::Ident(_) | Token::RBracket | Token::IntType(_));
        (self.token == Token::Quest && type_ends).then(|| {
            self.error(codes::POSTFIX_NULL, "`?` stands before the type it makes nullable")
                .with_help("`own? node`, `own@heap? node`, `&? node`")
        })
    }

    /// `byte ptr [rax]`, `byte rax`
    fn stray_size(&self) -> Option<Diag> {
        let Token::Ident(size) = self.before(1) else { return None };
        let known = Size::ALL.iter().any(|s| s.text() == size);
        let operand = matches!(
            self.token,
            Token::Ident(_) | Token::Reg(_) | Token::Int(_) | Token::Char(_) | Token::Local(_)
        );
        if !known || !operand || self.before(2) == Token::Nl {
            return None;
        }
        if self.token == Token::Ident("ptr") {
            let rest = self.span_at(self.at + 1).start.max(self.span.end);
            let remove = Span::new(self.file, self.span.start, rest);
            return Some(
                self.error(codes::STRAY_SIZE, format!("`ptr` is not written behind `{size}`"))
                    .with_edit("remove it", remove, ""),
            );
        }
        let span = self.span_at(self.at - 1);
        Some(
            Diag::error(codes::STRAY_SIZE, span, format!("`{size}` stands only before `[`"))
                .with_note(
                    "registers have their widths, and constants take that of the other operand",
                ),
        )
    }

    /// `%rax`
    fn att_register(&self) -> Option<Diag> {
        let Token::Reg(reg) = self.tokens.get(self.at + 1)?.1 else { return None };
        (self.token == Token::Percent).then(|| {
            self.error(codes::ATT_SYNTAX, "no sign stands before a register")
                .with_edit(format!("write `{}`", reg.name()), self.span, "")
                .with_note("the destination stands first: `mov rax, rbx` copies rbx to rax")
        })
    }

    /// `==`, `&&`, `||`, `:=`, `=>`
    fn c_operator(&self) -> Option<Diag> {
        let last = self.at.checked_sub(1)?;
        let touches = self.span_at(last).end == self.span.start;
        let both = self.span_at(last).to(self.span);
        let next = self.tokens.get(self.at + 1);
        let twice = next.is_some_and(|n| n.1 == self.token && n.0 == self.span.end);
        let change = |wrong: &str, right: &str| {
            Diag::error(codes::C_OPERATOR, both, format!("there is no operator `{wrong}`"))
                .with_edit(format!("write `{right}`"), both, right)
        };
        match (self.before(1), self.token) {
            (Token::Eq, Token::Eq) if touches => Some(change("==", "=")),
            (Token::Colon, Token::Eq) if touches => Some(change(":=", "=")),
            (Token::Eq, Token::Gt) if touches => Some(change("=>", "->")),
            (_, Token::Amp) if twice => Some(
                self.error(codes::C_OPERATOR, "there is no operator `&&`")
                    .with_help("facts are separated by commas: `0 <= i, i < n`"),
            ),
            (_, Token::Amp) if self.expects("|") => Some(
                self.error(codes::C_OPERATOR, "there is no operator `&`")
                    .with_help("of constants use `%`, `<<` and `>>`; at run time `and`"),
            ),
            (Token::Bar, Token::Bar) if touches => {
                Some(Diag::error(codes::C_OPERATOR, both, "there is no operator `||`"))
            }
            _ => None,
        }
    }

    /// An instruction where declarations stand.
    fn code_outside(&self) -> Option<Diag> {
        let word = match self.token {
            Token::Ident(word) => word,
            Token::Local(_) | Token::At | Token::Prefix(_) => "",
            _ => return None,
        };
        if !self.expects("origin") || self.span.start != self.start {
            return None;
        }
        let diag = self
            .error(codes::CODE_OUTSIDE_FUNCTION, "only declarations stand here")
            .with_primary("no declaration begins like this");
        Some(match word {
            "section" | "segment" | "default" | "bits" | "align" => {
                diag.with_help("`rodata`, `data` and `bss` declare data with its section")
            }
            "global" | "export" | "public" => diag.with_help("`pub fn` exports a function"),
            "extern" | "import" | "include" => {
                diag.with_help("`use \"file.tali\"` makes the declarations of a file known")
            }
            "let" | "equ" | "define" => diag.with_help("`const name = value` declares a constant"),
            "func" | "function" | "proc" | "def" => diag.with_edit("write `fn`", self.span, "fn"),
            _ => match near_declaration(word) {
                Some(meant) => diag.with_edit(format!("did you mean `{meant}`?"), self.span, meant),
                None => diag.with_note(
                    "code stands in the braces of a function: `fn name(..) -> (..) { .. }`",
                ),
            },
        })
    }

    /// `fn own(..)`
    fn reserved_word(&self) -> Option<Diag> {
        let wants_name = self.expects("IDENT");
        let word = match self.token {
            Token::Reg(_) => "the name of a register",
            Token::IntType(_) => "the name of a type",
            token if is_keyword(token) => "a reserved word",
            _ => return None,
        };
        let text = self.shown(self.span);
        (wants_name && !text.is_empty()).then(|| {
            let diag = self
                .error(codes::RESERVED_WORD, format!("`{text}` is {word}"))
                .with_primary(format!("expected {}", self.wanted()));
            if self.expects("PREFIX") {
                return diag;
            }
            diag.with_edit("another name is free", self.span, format!("{text}_"))
        })
    }

    fn anything(&self) -> Diag {
        let found = self.found();
        let diag = self
            .error(codes::UNEXPECTED_TOKEN, format!("expected {}, found {found}", self.wanted()));
        for back in 1..=2 {
            let at = self.at.saturating_sub(back);
            if continues(self.before(back)) && self.line_ends_behind(at) {
                let sign = self.span_at(at);
                let text = format!("the line goes on behind `{}`", self.shown(sign));
                return diag.with_label(sign, text);
            }
        }
        let operand = matches!(
            self.token,
            Token::Reg(_)
                | Token::Int(_)
                | Token::Char(_)
                | Token::Local(_)
                | Token::LBracket
                | Token::Size(_)
        );
        if operand && self.expects(",") && self.expects("nl") && self.at > 0 {
            let place = self.span_at(self.at - 1).after();
            return diag.with_edit("operands are separated by commas", place, ",");
        }
        diag
    }

    /// Whether a line end stands behind the token of this index.
    fn line_ends_behind(&self, at: usize) -> bool {
        let (from, to) = (self.span_at(at).end as usize, self.span_at(at + 1).start as usize);
        self.text.get(from..to).is_some_and(|gap| gap.contains('\n'))
    }

    fn found(&self) -> String {
        match self.token {
            Token::Nl if self.span.is_empty() => "`}`".to_owned(),
            Token::Nl | Token::End => "the end of the line".to_owned(),
            Token::Str(_) => "a string".to_owned(),
            Token::Reg(_) => format!("the register `{}`", self.shown(self.span)),
            _ if self.span.is_empty() => "the end of the line".to_owned(),
            _ => format!("`{}`", self.shown(self.span)),
        }
    }

    /// What could stand here, in words.
    fn wanted(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut rest: Vec<&str> = self.expected.iter().map(|e| e.trim_matches('"')).collect();
        let mut take = |key: &[&str], all: &[&str], word: &str| {
            if key.iter().all(|k| rest.contains(k)) {
                rest.retain(|e| !all.contains(e));
                words.push(word.to_owned());
            }
        };
        take(&["origin", "fn"], &DECLARATION, "a declaration");
        take(&["INT", "CHAR"], &EXPRESSION, "an expression");
        take(&["own", "INTTYPE"], &TYPE, "a type");
        take(&["PREFIX", "table"], &STATEMENT, "an instruction");
        take(&["+", "*", "|"], &OPERATOR, "an operator");
        take(&["=", "<="], &RELATION, "a relation");
        let operators = words.iter().position(|w| w == "an operator");
        for name in rest {
            words.push(match name {
                "IDENT" => "a name".to_owned(),
                "LOCAL" => "a local label".to_owned(),
                "INT" => "a number".to_owned(),
                "STR" => "a string".to_owned(),
                "REG" => "a register".to_owned(),
                "INTTYPE" | "SIZE" | "some" | "times" => continue,
                "nl" | "end" => "the end of the line".to_owned(),
                name => format!("`{name}`"),
            });
        }
        // What closes or goes on is said before the operators that are nearly always possible.
        if let Some(at) = operators {
            let operator = words.remove(at);
            words.push(operator);
        }
        words.dedup();
        match words.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, first)) => format!("{} or {last}", first.join(", ")),
        }
    }
}

const DECLARATION: [&str; 12] = [
    "use", "const", "type", "struct", "sum", "rodata", "data", "bss", "origin", "fn", "entry",
    "pub",
];
/// The word that begins a declaration and is most like this one; not for the shortest words, which
/// are like everything.
fn near_declaration(word: &str) -> Option<&'static str> {
    let long = DECLARATION.iter().filter(|_| word.len() > 2);
    let best = long.map(|d| (strsim::osa_distance(d, word), *d)).min()?;
    (best.0 <= 1).then_some(best.1)
}

const EXPRESSION: [&str; 10] =
    ["INT", "CHAR", "IDENT", "LOCAL", "REG", "sizeof", "(", "[", "-", "~"];
const TYPE: [&str; 8] = ["own", "ref", "&", "inout", "out", "fn", "INTTYPE", "["];
const STATEMENT: [&str; 4] = ["PREFIX", "table", "@", "IDENT"];
const OPERATOR: [&str; 9] = ["+", "-", "*", "/", "%", "<<", ">>", "|", "^"];
const RELATION: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

fn is_keyword(token: Token<'_>) -> bool {
    matches!(
        token,
        Token::Where
            | Token::SizeOf
            | Token::Own
            | Token::Ref
            | Token::InOut
            | Token::Out
            | Token::Some
            | Token::Of
            | Token::Fn
    )
}
