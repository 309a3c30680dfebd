//! TCB. Division of 128-bit integers. On other targets the compiler's own library has it; the
//! kernel brings none. Long division, a bit at a time where 64 bits are not enough: certificates
//! divide rarely.

/// Quotient and remainder; `b` is not zero.
fn divide(a: u128, b: u128) -> (u128, u128) {
    if let (Ok(a), Ok(b)) = (u64::try_from(a), u64::try_from(b)) {
        let (quotient, rest) = (a.checked_div(b), a.checked_rem(b));
        return (u128::from(quotient.unwrap_or(0)), u128::from(rest.unwrap_or(0)));
    }
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    for bit in (0..128_u32).rev().skip(usize::try_from(a.leading_zeros()).unwrap_or(0)) {
        // The rest is below b, so doubling it may leave 128 bits; then b fits for sure.
        let carry = rest >> 127 != 0;
        rest = (rest << 1) | ((a >> bit) & 1);
        quotient <<= 1;
        if carry || rest >= b {
            rest = rest.wrapping_sub(b);
            quotient |= 1;
        }
    }
    (quotient, rest)
}

/// Towards zero; the remainder has the sign of `a`.
fn divide_signed(a: i128, b: i128) -> (i128, i128) {
    let (quotient, rest) = divide(a.unsigned_abs(), b.unsigned_abs());
    let sign = |value: u128, negative: bool| {
        let value = value.cast_signed();
        if negative { value.wrapping_neg() } else { value }
    };
    (sign(quotient, (a < 0) != (b < 0)), sign(rest, a < 0))
}

/// The functions that compiled code calls, by the names it calls them.
#[cfg(target_os = "none")]
mod called {
    #[unsafe(no_mangle)]
    extern "C" fn __udivti3(a: u128, b: u128) -> u128 {
        super::divide(a, b).0
    }

    #[unsafe(no_mangle)]
    extern "C" fn __umodti3(a: u128, b: u128) -> u128 {
        super::divide(a, b).1
    }

    #[unsafe(no_mangle)]
    extern "C" fn __divti3(a: i128, b: i128) -> i128 {
        super::divide_signed(a, b).0
    }

    #[unsafe(no_mangle)]
    extern "C" fn __modti3(a: i128, b: i128) -> i128 {
        super::divide_signed(a, b).1
    }
}

#[cfg(test)]
mod tests {
    use super::{divide, divide_signed};

    fn interesting() -> impl Iterator<Item = u128> + Clone {
        let near = |k: u32| [(1_u128 << k) - 1, 1 << k, (1 << k) + 1, 3 << (k / 2), 7 << (k - 1)];
        (1..125).flat_map(near).chain([0, u128::MAX, u128::MAX - 1, i128::MAX as u128])
    }

    #[test]
    fn like_the_compilers_own() {
        for a in interesting() {
            for b in interesting().filter(|b| *b != 0) {
                assert_eq!(divide(a, b), (a / b, a % b), "{a} {b}");
                let (a, b) = (a.cast_signed(), b.cast_signed());
                for (a, b) in [(a, b), (a.wrapping_neg(), b), (a, b.wrapping_neg())] {
                    let expected = (a.wrapping_div(b), a.wrapping_rem(b));
                    assert_eq!(divide_signed(a, b), expected, "{a} {b}");
                }
            }
        }
    }
}
