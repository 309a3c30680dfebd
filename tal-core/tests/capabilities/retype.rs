//! Not trusted. Memory at another type (core.md 4.5; redteam U11, A10; core.md 9.30, 9.34).

use crate::support::*;
use tal_core::error::Rule;
use tal_core::hint::Ghost;
use tal_core::ty::{FieldTy, Mem};

/// Attack c30.
#[test]
fn what_owns_is_not_forgotten() {
    let mut st = state();
    let x = address(&mut st);
    let nothing = || vec![own(0, true, None, u64s())];
    owned(&mut st, x, k(0), record(8, nothing()));
    owned(&mut st, x, k(8), named(NODE, vec![]));
    owned(&mut st, x, k(8), named(VECTOR, vec![]));
    owned(&mut st, x, k(8), types()[1].body.clone());
    owned(&mut st, x, k(8), array(k(2), record(8, nothing())));
    owned(&mut st, x, k(8), cat(bytes(k(1)), named(NODE, vec![])));
    for entry in 0..6 {
        let forget = [Ghost::RetypeJunk { entry }];
        assert_eq!(refusal(ghosts(&mut st.clone(), &forget)), Rule::RetypeJunk);
    }
    // A moved-out field is only a word.
    let y = address(&mut st);
    owned(&mut st, x, k(0), record(8, vec![known(0, ptr(y, k(0)))]));
    ghosts(&mut st, &[Ghost::RetypeJunk { entry: 6 }]).unwrap();
    assert_eq!(*entry(&st, 6).mem, *junk(k(8)));
}

/// Attack A10.
#[test]
fn a_shape_of_junk_has_the_size_and_nothing_readable() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), junk(k(16)));
    let shape = |mem| [Ghost::RetypeShape { entry: 0, mem }];
    let two = record(16, vec![unset(0, 8), unset(8, 8)]);
    let wrong = [
        (record(24, vec![unset(0, 8)]), Rule::RetypeShape),
        (record(16, vec![unset(0, 8), int(8, 64, false)]), Rule::RetypeShape),
        (bytes(k(16)), Rule::RetypeShape),
        (zero(k(16)), Rule::RetypeShape),
        (named(PAIR, vec![k(0)]), Rule::RetypeShape),
        (record(16, vec![unset(0, 8), unset(4, 8)]), Rule::WfStruct),
        (record(16, vec![unset(0, 3)]), Rule::WfStruct),
        (record(16, vec![unset(12, 8)]), Rule::WfStruct),
    ];
    for (mem, rule) in wrong {
        assert_eq!(refusal(ghosts(&mut st.clone(), &shape(mem))), rule);
    }
    ghosts(&mut st, &shape(two)).unwrap();
    assert_eq!(*ty(&st, 0, 1), FieldTy::Junk(8));
    // Only junk gets a shape.
    let again = [Ghost::RetypeShape { entry: 0, mem: junk(k(16)) }];
    assert_eq!(refusal(ghosts(&mut st, &again)), Rule::RetypeShape);
}

/// Attack t41.
#[test]
fn no_part_of_a_new_type_is_negative() {
    let mut st = state();
    let x = address(&mut st);
    let n = any(&mut st);
    owned(&mut st, x, k(0), junk(k(16)));
    let rest = k(16).sub(&n).unwrap();
    let shape = [Ghost::RetypeShape { entry: 0, mem: cat(junk(n.clone()), junk(rest.clone())) }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &shape)), Rule::WfSize);
    learn(&mut st, ge(n.clone()));
    assert_eq!(refusal(ghosts(&mut st.clone(), &shape)), Rule::WfSize);
    learn(&mut st, ge(rest.clone()));
    ghosts(&mut st, &shape).unwrap();
    // Nor hidden inside elements, whose parts are constants (U11).
    let hidden = array(k(1), cat(junk(n.clone()), junk(rest)));
    let mut fresh = state();
    let x = address(&mut fresh);
    any(&mut fresh);
    owned(&mut fresh, x, k(0), junk(k(16)));
    let shape = [Ghost::RetypeShape { entry: 0, mem: hidden }];
    assert_eq!(refusal(ghosts(&mut fresh.clone(), &shape)), Rule::WfSize);
    let negative = array(k(-1), record(8, vec![unset(0, 8)]));
    let shape = [Ghost::RetypeShape { entry: 0, mem: cat(junk(k(24)), negative) }];
    assert_eq!(refusal(ghosts(&mut fresh.clone(), &shape)), Rule::WfSize);
    let nothing = array(n, record(0, vec![]));
    let shape = [Ghost::RetypeShape { entry: 0, mem: nothing }];
    assert_eq!(refusal(ghosts(&mut fresh, &shape)), Rule::WfStruct);
}

#[test]
fn zeroes_are_values_of_what_allows_them() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), zero(k(16)));
    let at = |mem| [Ghost::RetypeZero { entry: 0, mem }];
    let positive = refined(
        0,
        64,
        false,
        vec![ge(tal_core::term::Term::var(tal_core::term::Var::Value).plus(-1).unwrap())],
    );
    let wrong = [
        record(16, vec![own(0, false, None, u64s())]),
        record(16, vec![positive]),
        named(VECTOR, vec![]),
        types()[1].body.clone(),
        bytes(k(8)),
    ];
    for mem in wrong {
        assert_eq!(refusal(ghosts(&mut st.clone(), &at(mem))), Rule::RetypeZero);
    }
    let cells = array(k(2), record(8, vec![own(0, true, None, u64s())]));
    ghosts(&mut st.clone(), &at(cells)).unwrap();
    ghosts(&mut st.clone(), &at(named(NODE, vec![]))).unwrap();
    ghosts(&mut st, &at(bytes(k(16)))).unwrap();
    // c34: what is bytes by now is not zero any more.
    assert_eq!(refusal(ghosts(&mut st, &at(bytes(k(16))))), Rule::RetypeZero);
}

#[test]
fn bytes_are_values_of_plain_types_only() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    owned(&mut st, x, k(0), bytes(n.scale(8).unwrap()));
    let at = |mem| [Ghost::RetypePlain { entry: 0, mem: Some(mem) }];
    let small = tal_core::term::Term::var(tal_core::term::Var::Value);
    let refined_u64 = record(8, vec![refined(0, 64, false, vec![ge(k(9).sub(&small).unwrap())])]);
    let wrong = [
        array(n.clone(), refined_u64),
        array(n.clone(), record(8, vec![int(0, 32, false)])),
        array(n.clone(), record(8, vec![own(0, true, None, u64s())])),
        array(n.plus(1).unwrap(), u64s()),
        junk(n.scale(8).unwrap()),
    ];
    for mem in wrong {
        assert_eq!(refusal(ghosts(&mut st.clone(), &at(mem))), Rule::RetypePlain);
    }
    ghosts(&mut st, &at(array(n.clone(), u64s()))).unwrap();
    ghosts(&mut st, &[Ghost::RetypePlain { entry: 0, mem: None }]).unwrap();
    assert_eq!(*entry(&st, 0).mem, Mem::Bytes(n.scale(8).unwrap()));
    // Uninitialised bytes stay unreadable.
    owned(&mut st, x, k(0), junk(k(8)));
    let plain = [Ghost::RetypePlain { entry: 1, mem: None }];
    assert_eq!(refusal(ghosts(&mut st, &plain)), Rule::RetypePlain);
}
