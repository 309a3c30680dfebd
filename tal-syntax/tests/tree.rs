//! Not trusted: a test. What the tree says of a text: places, comments, what is left after errors.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

mod common;

use tal_syntax::ast::*;
use tal_syntax::parse;

const TEXT: &str = "\
;; Adds.
pub fn add(rdi = a: &rw [n]i64 align 8, rsi = n) -> (rax: own? node) or (rax = 0) keeps(rdx)
{
.next:  where 0 <= rcx < n, some k  ;? rcx: int[0 .. n - 1]
        add     qword [rdi + rcx*8 - 8], -(1 + 2)*3   ;! error[E0301]
        rep movsb
}
";

fn tree(text: &str) -> File {
    let (file, diags) = parse(0, text);
    assert_eq!(diags, []);
    file
}

fn function(file: &File) -> (&Decl, &Fn) {
    let decl = file.decls.first().expect("a declaration");
    let DeclKind::Fn(function) = &decl.kind else { panic!("{decl:?}") };
    (decl, function)
}

#[test]
fn spans_are_exact() {
    let file = tree(TEXT);
    let at = |span: Span| &TEXT[span.range()];
    let (decl, add) = function(&file);
    assert!(at(decl.span).starts_with("pub fn") && at(decl.span).ends_with('}'));
    assert_eq!(decl.public.map(at), Some("pub"));
    assert_eq!(at(add.name.span), "add");
    let sig = add.sig.as_ref().expect("a signature");
    let params: Vec<&str> = sig.params.iter().map(|p| at(p.span)).collect();
    assert_eq!(params, ["rdi = a: &rw [n]i64 align 8", "rsi = n"]);
    let ItemKind::Value { chain, ty, align } = &sig.params[0].kind else { panic!() };
    assert_eq!(at(chain.span), "rdi = a");
    assert_eq!(at(chain.rest[0].rel_span), "=");
    assert_eq!(ty.as_ref().map(|t| at(t.span)), Some("&rw [n]i64"));
    assert_eq!(align.map(|(_, span)| at(span)), Some("8"));
    assert_eq!(sig.result.as_ref().map(|r| at(r.span)), Some("(rax: own? node) or (rax = 0)"));
    assert_eq!(at(sig.effects[0].span), "keeps(rdx)");
    let lines = &add.body.as_ref().expect("a body").lines;
    assert_eq!(lines[0].label.as_ref().map(|l| at(l.span)), Some(".next"));
    assert_eq!(at(lines[0].state.as_ref().expect("a state").span), "where 0 <= rcx < n, some k");
    let StmtKind::Inst(inst) = &lines[1].stmt.as_ref().expect("code").kind else { panic!() };
    assert_eq!(at(inst.mnemonic.span), "add");
    assert_eq!(at(inst.operands[0].span), "qword [rdi + rcx*8 - 8]");
    let OperandKind::Mem { size, address } = &inst.operands[0].kind else { panic!() };
    assert_eq!(size.map(|(size, span)| (size, at(span))), Some((Size::Qword, "qword")));
    assert_eq!(at(address.span), "rdi + rcx*8 - 8");
    // Parentheses stay in the span and leave no node.
    let OperandKind::Expr(e) = &inst.operands[1].kind else { panic!() };
    let ExprKind::Binary(BinaryOp::Mul, minus, _) = &e.kind else { panic!("{e:?}") };
    let ExprKind::Unary(UnaryOp::Neg, sum) = &minus.kind else { panic!("{minus:?}") };
    assert_eq!(at(sum.span), "(1 + 2)");
    assert!(matches!(sum.kind, ExprKind::Binary(BinaryOp::Add, ..)));
}

#[test]
fn spans_lie_within_their_parents_text() {
    for (path, text) in common::sources() {
        let (mut file, _) = parse(7, &text);
        file.map_spans(&mut |span| {
            assert_eq!(span.file, 7);
            assert!(text.get(span.range()).is_some(), "{path}: {span:?}");
        });
    }
}

#[test]
fn comments_and_directives_are_kept() {
    let file = tree(TEXT);
    let directives: Vec<_> = file.comments.iter().map(Comment::directive).collect();
    let expected = [
        None,
        Some(Directive::State("rcx: int[0 .. n - 1]")),
        Some(Directive::Expect("error[E0301]")),
    ];
    assert_eq!(directives, expected);
    let trailing: Vec<bool> = file.comments.iter().map(|c| c.trailing).collect();
    assert_eq!(trailing, [false, true, true]);
    assert_eq!(file.comments[0].text, ";; Adds.");
}

#[test]
fn line_ends_of_other_systems_change_nothing() {
    for (path, text) in common::sources() {
        let (mut unix, mut other) = (tree(&text), tree(&text.replace('\n', "\r\n")));
        unix.erase_spans();
        other.erase_spans();
        assert_eq!(unix, other, "{path}");
    }
}

#[test]
fn names_are_split_at_their_first_inner_dot() {
    let split = |text: &str| {
        let name = Name { text: text.into(), span: Span::default() };
        let (first, rest) = name.split();
        (first.to_owned(), rest.map(str::to_owned))
    };
    assert_eq!(split("node"), ("node".into(), None));
    assert_eq!(split("node.next"), ("node".into(), Some("next".into())));
    assert_eq!(split("a.b.c"), ("a".into(), Some("b.c".into())));
    assert_eq!(split(".loop"), (".loop".into(), None));
}

#[test]
fn what_is_right_survives_what_is_wrong() {
    let text = "const A = = 1\nfn f(rdi = ) -> (rax)\n{\n.a:     mov rax rbx\n        jmp .a\n}\n\
                const B = 2\n";
    let (file, diags) = parse(0, text);
    assert_eq!(diags.len(), 3, "{diags:?}");
    let names: Vec<_> = file.decls.iter().map(|d| d.name().map(|n| n.text.as_str())).collect();
    assert_eq!(names, [None, Some("f"), Some("B")]);
    let DeclKind::Fn(f) = &file.decls[1].kind else { panic!() };
    assert!(f.sig.is_none());
    let lines = &f.body.as_ref().expect("a body").lines;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].label.as_ref().map(|l| l.text.as_str()), Some(".a"));
    assert!(matches!(lines[0].stmt.as_ref().map(|s| &s.kind), Some(StmtKind::Error)));
}
