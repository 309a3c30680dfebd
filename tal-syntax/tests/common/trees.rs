//! Not trusted: a test. Trees made at random. They hold no error nodes and all their spans are the
//! same.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tal_syntax::ast::*;

fn none() -> Span {
    Span::default()
}

fn pick<T: Clone + std::fmt::Debug + 'static>(list: &[T]) -> BoxedStrategy<T> {
    proptest::sample::select(list.to_vec()).boxed()
}

/// Names, among them words that are keywords elsewhere.
fn word() -> BoxedStrategy<String> {
    let words = ["data", "sum", "entry", "table", "type", "pub", "origin", "keeps", "never", "rw"];
    let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    prop_oneof![
        4 => (0..40u8).prop_map(|n| format!("v{n}")),
        1 => pick(&words),
    ]
    .boxed()
}

fn dotted() -> BoxedStrategy<String> {
    prop_oneof![3 => word(), 1 => (0..9u8, word()).prop_map(|(n, w)| format!("s{n}.{w}"))].boxed()
}

fn def() -> BoxedStrategy<Name> {
    word().prop_map(|text| Name { text: text.into(), span: none() }).boxed()
}

fn name() -> BoxedStrategy<Name> {
    dotted().prop_map(|text| Name { text: text.into(), span: none() }).boxed()
}

/// Not a word that is a mode behind `&` or `ref`.
fn type_name() -> BoxedStrategy<Name> {
    name().prop_filter("a mode", |name| name.text != "rw").boxed()
}

fn local() -> BoxedStrategy<Name> {
    word().prop_map(|w| Name { text: format!(".{w}").into(), span: none() }).boxed()
}

fn int() -> BoxedStrategy<Int> {
    let radix = pick(&[Radix::Dec, Radix::Hex, Radix::Bin]);
    let value = prop_oneof![any::<u64>(), 0..300u64, Just(u64::MAX)];
    (value, radix).prop_map(|(value, radix)| Int { value, radix }).boxed()
}

fn reg() -> BoxedStrategy<Reg> {
    let general =
        (pick(&Gpr::ALL), pick(&Width::ALL)).prop_map(|(gpr, width)| Reg::Gpr(gpr, width));
    prop_oneof![
        8 => general,
        1 => pick(&Gpr::ALL[..4]).prop_map(Reg::High),
        1 => (0..16u8).prop_map(Reg::Xmm),
        1 => (0..16u8).prop_map(Reg::Ymm),
    ]
    .boxed()
}

fn string() -> BoxedStrategy<Str> {
    let bytes =
        prop_oneof![vec(any::<u8>(), 0..9), "[ -~\\n\\t;é→]{0,9}".prop_map(String::into_bytes),];
    bytes.prop_map(|bytes| Str { bytes, span: none() }).boxed()
}

fn wrap(kind: ExprKind) -> Expr {
    Expr { kind, span: none() }
}

/// Expressions, with memory or without.
fn expr(memory: bool) -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        int().prop_map(ExprKind::Int),
        any::<u8>().prop_map(ExprKind::Char),
        dotted().prop_map(ExprKind::Name),
        local().prop_map(|l| ExprKind::Local(l.text.to_string())),
        reg().prop_map(ExprKind::Reg),
        name().prop_map(|name| ExprKind::SizeOf(Box::new(name))),
    ];
    let tree = leaf.prop_map(wrap).prop_recursive(4, 12, 2, move |inner| {
        let unary = (pick(&[UnaryOp::Neg, UnaryOp::Not]), inner.clone())
            .prop_map(|(op, e)| wrap(ExprKind::Unary(op, Box::new(e))));
        let binary = (pick(&BinaryOp::ALL), inner.clone(), inner.clone())
            .prop_map(|(op, a, b)| wrap(ExprKind::Binary(op, Box::new(a), Box::new(b))));
        if memory {
            let mem = inner.prop_map(|e| wrap(ExprKind::Mem(Box::new(e))));
            prop_oneof![1 => unary, 3 => binary, 1 => mem].boxed()
        } else {
            prop_oneof![1 => unary, 3 => binary].boxed()
        }
    });
    tree.boxed()
}

fn chain() -> BoxedStrategy<Chain> {
    let rels = [Rel::Eq, Rel::Ne, Rel::Lt, Rel::Le, Rel::Gt, Rel::Ge];
    let link =
        (pick(&rels), expr(true)).prop_map(|(rel, expr)| Link { rel, rel_span: none(), expr });
    (expr(true), vec(link, 0..3))
        .prop_map(|(first, rest)| Chain { first, rest, span: none() })
        .boxed()
}

fn binder() -> BoxedStrategy<Binder> {
    let kind = option::of(pick(&BinderKind::ALL)).prop_map(|kind| kind.map(|k| (k, none())));
    (def(), kind).prop_map(|(name, kind)| Binder { name, kind, span: none() }).boxed()
}

fn open_type(kind: TypeKind) -> Type {
    Type { kind, span: none() }
}

/// Every type but a lone name.
fn composed(inner: BoxedStrategy<Type>) -> BoxedStrategy<Type> {
    let range = option::of((expr(false), expr(false))).prop_map(|range| range.map(Box::new));
    let int = (pick(&IntType::ALL), range).prop_map(|(base, range)| TypeKind::Int { base, range });
    let arg = prop_oneof![
        expr(false).prop_map(Arg::Expr),
        inner.clone().prop_filter_map("a lone name", |t| match t.kind {
            TypeKind::Named { args: None, .. } => None,
            _ => Some(Arg::Type(t)),
        }),
    ];
    let named = (type_name(), vec(arg, 0..3))
        .prop_map(|(name, args)| TypeKind::Named { name, args: Some(args) });
    let array =
        (option::of(expr(true)), expr(true), inner.clone()).prop_map(|(filled, len, elem)| {
            TypeKind::Array {
                filled: filled.map(Box::new),
                len: Box::new(len),
                elem: Box::new(elem),
            }
        });
    let null = any::<bool>().prop_map(|null| null.then(none));
    let ptr = (pick(&PtrMode::ALL), option::of(name()), null, inner.clone()).prop_map(
        |(mode, origin, null, target)| TypeKind::Ptr {
            mode,
            origin,
            null,
            target: Box::new(target),
        },
    );
    let item = item(inner);
    let function = (vec(binder(), 0..2), vec(item.clone(), 0..3), option::of(outcome(item)))
        .prop_map(|(binders, params, result)| {
            TypeKind::Fn(Box::new(FnType { binders, params, result }))
        });
    prop_oneof![2 => int, 2 => named, 2 => array, 3 => ptr, 1 => function]
        .prop_map(open_type)
        .boxed()
}

fn ty() -> BoxedStrategy<Type> {
    let leaf = prop_oneof![
        type_name().prop_map(|name| open_type(TypeKind::Named { name, args: None })),
        pick(&IntType::ALL).prop_map(|base| open_type(TypeKind::Int { base, range: None })),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| composed(inner.boxed())).boxed()
}

fn item(ty: BoxedStrategy<Type>) -> BoxedStrategy<Item> {
    let align = option::of(int()).prop_map(|align| align.map(|n| (n, none())));
    let typed = (chain(), ty, align).prop_map(|(chain, ty, align)| ItemKind::Value {
        chain,
        ty: Some(Box::new(ty)),
        align,
    });
    let plain = chain().prop_map(|chain| ItemKind::Value { chain, ty: None, align: None });
    prop_oneof![1 => def().prop_map(ItemKind::Some), 3 => plain, 4 => typed]
        .prop_map(|kind| Item { kind, span: none() })
        .boxed()
}

fn outcome(item: BoxedStrategy<Item>) -> BoxedStrategy<Outcome> {
    let alternative = vec(item, 0..3).prop_map(|items| Alternative { items, span: none() });
    prop_oneof![
        1 => Just(OutcomeKind::Never),
        4 => vec(alternative, 1..3).prop_map(OutcomeKind::Alternatives),
    ]
    .prop_map(|kind| Outcome { kind, span: none() })
    .boxed()
}

fn sig() -> BoxedStrategy<Sig> {
    let effect = (pick(&[EffectKind::Clobbers, EffectKind::Keeps]), vec(reg(), 0..3)).prop_map(
        |(kind, regs)| {
            let regs = regs.into_iter().map(|reg| (reg, none())).collect();
            Effect { kind, regs, span: none() }
        },
    );
    let result = option::of(outcome(item(ty())));
    (vec(item(ty()), 0..4), vec(chain(), 0..3), result, vec(effect, 0..3))
        .prop_map(|(params, facts, result, effects)| Sig {
            params,
            facts,
            result,
            effects,
            span: none(),
        })
        .boxed()
}

fn operand() -> BoxedStrategy<Operand> {
    let size = option::of(pick(&Size::ALL)).prop_map(|size| size.map(|s| (s, none())));
    let memory = (size, expr(false)).prop_map(|(size, address)| OperandKind::Mem { size, address });
    let value = expr(false).prop_map(|e| match e.kind {
        ExprKind::Reg(reg) => OperandKind::Reg(reg),
        _ => OperandKind::Expr(e),
    });
    prop_oneof![reg().prop_map(OperandKind::Reg), memory, value]
        .prop_map(|kind| Operand { kind, span: none() })
        .boxed()
}

fn stmt() -> BoxedStrategy<Stmt> {
    let names = ["mov", "or", "in", "out", "int", "cmpxchg16b", "ret"];
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mnemonic = pick(&names).prop_map(|text| Name { text: text.into(), span: none() });
    let prefix = option::of(pick(&Prefix::ALL)).prop_map(|prefix| prefix.map(|p| (p, none())));
    let inst = (prefix, mnemonic, vec(operand(), 0..4)).prop_map(|(prefix, mnemonic, operands)| {
        // `out` and `int` are statements only at their start; behind a prefix they are types.
        let text = &mnemonic.text;
        let prefix = prefix.filter(|_| text != "out" && text != "int");
        StmtKind::Inst(Inst { prefix, mnemonic, operands })
    });
    let table = (local(), vec(local(), 1..4))
        .prop_map(|(name, targets)| StmtKind::Table(Table { name, targets }));
    let ghost = (name(), vec(item(ty()), 0..3))
        .prop_map(|(name, items)| StmtKind::Ghost(Ghost { name, items }));
    prop_oneof![6 => inst, 1 => table, 1 => ghost]
        .prop_map(|kind| Stmt { kind, span: none() })
        .boxed()
}

fn line() -> BoxedStrategy<Line> {
    let state = vec(item(ty()), 1..4).prop_map(|items| LabelState { items, span: none() });
    prop_oneof![
        3 => stmt().prop_map(|stmt| (None, None, Some(stmt))),
        1 => (local(), option::of(stmt())).prop_map(|(label, stmt)| (Some(label), None, stmt)),
        1 => (local(), state).prop_map(|(label, state)| (Some(label), Some(state), None)),
    ]
    .prop_map(|(label, state, stmt)| Line { label, state: state.map(Box::new), stmt, span: none() })
    .boxed()
}

fn body() -> BoxedStrategy<Body> {
    vec(line(), 0..6).prop_map(|lines| Body { lines, span: none() }).boxed()
}

fn fields() -> BoxedStrategy<Vec<Item>> {
    vec(item(ty()), 0..4).boxed()
}

fn exported() -> BoxedStrategy<DeclKind> {
    let binders = || vec(binder(), 0..3);
    let constant =
        (def(), expr(true)).prop_map(|(name, value)| DeclKind::Const(Const { name, value }));
    let type_ = (def(), binders(), option::of(ty()))
        .prop_map(|(name, binders, ty)| DeclKind::Type(TypeDecl { name, binders, ty }));
    let exists = (vec(binder(), 1..3), vec(item(ty()), 0..2)).prop_map(|(binders, facts)| Exists {
        binders,
        facts,
        span: none(),
    });
    let packed = any::<bool>().prop_map(|packed| packed.then(none));
    let structure = (def(), binders(), option::of(exists), packed, fields()).prop_map(
        |(name, binders, exists, packed, fields)| {
            DeclKind::Struct(Struct { name, binders, exists, packed, fields })
        },
    );
    let case = (expr(false), def(), fields()).prop_map(|(value, name, fields)| Case {
        value,
        name,
        fields,
        span: none(),
    });
    let sum = (def(), binders(), def(), ty(), vec(case, 0..3)).prop_map(
        |(name, binders, tag, tag_type, cases)| {
            DeclKind::Sum(Sum { name, binders, tag, tag_type, cases })
        },
    );
    let init = prop_oneof![
        expr(true).prop_map(InitKind::Expr),
        string().prop_map(InitKind::Str),
        (expr(true), expr(true)).prop_map(|(n, e)| InitKind::Times(n, e)),
    ]
    .prop_map(|kind| Init { kind, span: none() });
    let section = pick(&[Section::Rodata, Section::Data, Section::Bss]);
    let data = (section, def(), ty(), vec(init, 0..30))
        .prop_map(|(section, name, ty, init)| DeclKind::Data(Data { section, name, ty, init }));
    let entry = any::<bool>().prop_map(|entry| entry.then(none));
    let function = (entry, def(), binders(), option::of(sig()), option::of(body())).prop_map(
        |(entry, name, binders, sig, body)| DeclKind::Fn(Fn { entry, name, binders, sig, body }),
    );
    prop_oneof![
        1 => constant,
        1 => type_,
        2 => structure,
        1 => sum,
        2 => data,
        5 => function,
    ]
    .boxed()
}

fn decl() -> BoxedStrategy<Decl> {
    let private = prop_oneof![
        string().prop_map(|path| DeclKind::Use(Use { path })),
        def().prop_map(|name| DeclKind::Origin(Origin { name })),
    ]
    .prop_map(|kind| (false, kind));
    let public = (any::<bool>(), exported());
    prop_oneof![1 => private, 8 => public]
        .prop_map(|(public, kind)| Decl { public: public.then(none), kind, span: none() })
        .boxed()
}

/// A file.
pub(crate) fn file() -> BoxedStrategy<File> {
    vec(decl(), 0..5).prop_map(|decls| File { id: 0, decls, comments: Vec::new() }).boxed()
}
