//! Not trusted: tests. The reader alone, byte by byte; what the writer makes of it again is tested
//! where the writer is.

use crate::term::Term;
use crate::ty::{Reg, Word, Words};
use crate::wire::read::Reader;
use alloc::vec::Vec;

#[test]
fn numbers_have_one_form() {
    let read = |bytes: &[u8]| {
        let mut r = Reader::new(bytes, 0);
        let value = r.uint()?;
        r.end().map(|()| value)
    };
    assert_eq!(read(&[0]), Ok(0));
    assert_eq!(read(&[0xFF, 0x01]), Ok(255));
    // t159.
    assert!(read(&[0x80, 0x00]).is_err());
    assert!(read(&[0x80, 0x80, 0x00]).is_err());
    assert!(read(&[0x80]).is_err());
    let most = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    assert_eq!(read(&most), Ok(u64::MAX));
    let more = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x03];
    assert!(read(&more).is_err());
}

#[test]
fn u1_t89_t90_a11_sums_have_no_form() {
    // bytes(0); and every tag that is no type of this version.
    assert!(Reader::new(&[2, 0], 0).mem().is_ok());
    for tag in 16..128_u8 {
        assert!(Reader::new(&[tag, 0, 0, 0, 0], 0).mem().is_err());
    }
}

#[test]
fn t157_nesting_is_bounded() {
    let nested = |depth: usize| {
        let mut bytes: Vec<u8> = core::iter::repeat_n([1, 0], depth).flatten().collect();
        bytes.extend([2, 0]);
        Reader::new(&bytes, 0).mem().is_ok()
    };
    assert!(nested(15));
    assert!(!nested(16));
    assert!(!nested(100_000));
}

#[test]
fn what_registers_hold_has_one_form() {
    let of = |words: &[(Reg, Word)]| Words::of(words.to_vec());
    let one = |reg: Reg| (reg, Word::Int(Term::ZERO));
    let two = of(&[one(Reg::Rax), one(Reg::Rdi)]).unwrap();
    assert_eq!((two.get(Reg::Rdi), two.get(Reg::Rcx)), (&Word::Int(Term::ZERO), &Word::Junk));
    assert_eq!(of(&[one(Reg::Rdi), one(Reg::Rax)]), None);
    assert_eq!(of(&[one(Reg::Rax), one(Reg::Rax)]), None);
    assert_eq!(of(&[(Reg::Rax, Word::Junk)]), None);
    let mut set = Words::default();
    set.set(Reg::Rdi, Word::Int(Term::ZERO));
    set.set(Reg::Rax, Word::Frame(0));
    set.set(Reg::Rax, Word::Int(Term::ZERO));
    assert_eq!(set, two);
    set.set(Reg::Rax, Word::Junk);
    assert_eq!(Some(set), of(&[one(Reg::Rdi)]));
}
