//! Not trusted: a test. What a proof that fails asks of the loops around it, each program beside
//! one that goes one too far.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod twins;

use twins::twins;

/// Words, then bytes: what is left tells where both pointers are.
#[test]
fn words_then_bytes() {
    let program = |most: &str| {
        format!(
            "pub fn copy(rdi = dst: &rw bytes[n], rsi = src: &bytes[n], rdx = n) -> (rax = dst)
            {{
                    mov     rax, rdi
                    cmp     rdx, 32
                    jb      .tail8
            .big:
                    mov     rcx, [rsi]
                    mov     r8, [rsi + 8]
                    mov     r9, [rsi + 16]
                    mov     r10, [rsi + 24]
                    mov     [rdi], rcx
                    mov     [rdi + 8], r8
                    mov     [rdi + 16], r9
                    mov     [rdi + 24], r10
                    add     rsi, 32
                    add     rdi, 32
                    sub     rdx, 32
                    cmp     rdx, 32
                    jae     .big
            .tail8:
                    cmp     rdx, 8
                    jb      .tail1
            .eight:
                    mov     rcx, [rsi]
                    mov     [rdi], rcx
                    add     rsi, 8
                    add     rdi, 8
                    sub     rdx, 8
                    cmp     rdx, {most}
                    jae     .eight
            .tail1:
                    test    rdx, rdx
                    jz      .done
            .one:
                    movzx   ecx, byte [rsi]
                    mov     [rdi], cl
                    inc     rsi
                    inc     rdi
                    dec     rdx
                    jnz     .one
            .done:  ret
            }}"
        )
    };
    twins(program, "8", "7");
}

/// Two sources into one place, then the rest of either: the place is the sum of both counts.
#[test]
fn two_loops_store_through_one_pointer() {
    let program = |(test, size): (&str, &str)| {
        format!(
            "pub fn merge(rdi = a: &[n]u64, rsi = n, rdx = b: &[m]u64, rcx = m,
                          r8 = c: &rw [{size}]u64)
            {{
                    xor     r9d, r9d
                    xor     r10d, r10d
                    jmp     .test
            .both:
                    mov     rax, [rdi + r9*8]
                    mov     r11, [rdx + r10*8]
                    cmp     rax, r11
                    ja      .b
                    mov     [r8], rax
                    inc     r9
                    jmp     .next
            .b:
                    mov     [r8], r11
                    inc     r10
            .next:
                    add     r8, 8
            .test:
                    cmp     r9, rsi
                    jae     .rest_b
                    cmp     r10, rcx
                    jb      .both
            .rest_a:
                    mov     rax, [rdi + r9*8]
                    mov     [r8], rax
                    add     r8, 8
                    inc     r9
                    cmp     r9, rsi
                    {test}      .rest_a
                    ret
            .rest_b:
                    cmp     r10, rcx
                    jae     .done
                    mov     rax, [rdx + r10*8]
                    mov     [r8], rax
                    add     r8, 8
                    inc     r10
                    jmp     .rest_b
            .done:  ret
            }}"
        )
    };
    assert_eq!(twins::said(&program(("jb", "n + m"))), "");
    for wrong in [("jbe", "n + m"), ("jb", "n + m - 1"), ("jb", "n")] {
        assert_ne!(twins::said(&program(wrong)), "", "with {wrong:?}");
    }
    // One after the other.
    let both = |size: &str| {
        format!(
            "pub fn both(rdi = a: &[n]u64, rsi = n, rdx = b: &[m]u64, rcx = m,
                         r8 = c: &rw [{size}]u64)
            {{
                    xor     r9d, r9d
                    jmp     .test_a
            .a:
                    mov     rax, [rdi + r9*8]
                    mov     [r8], rax
                    add     r8, 8
                    inc     r9
            .test_a:
                    cmp     r9, rsi
                    jb      .a
                    xor     r9d, r9d
                    jmp     .test_b
            .b:
                    mov     rax, [rdx + r9*8]
                    mov     [r8], rax
                    add     r8, 8
                    inc     r9
            .test_b:
                    cmp     r9, rcx
                    jb      .b
                    ret
            }}"
        )
    };
    twins(both, "n + m", "n + m - 1");
}

/// An index that counts from below up to zero, from the end of the memory.
#[test]
fn a_negative_index_counts_up_to_zero() {
    let program = |end: &str| {
        format!(
            "pub fn sum(rdi = p: &[n]u64, rsi = n: u64) -> (rax: u64)
            {{
                    xor     eax, eax
                    lea     rdi, [{end}]
                    neg     rsi
                    jz      .out
            .next:
                    add     rax, [rdi + rsi*8]
                    inc     rsi
                    jnz     .next
            .out:   ret
            }}"
        )
    };
    twins(program, "rdi + rsi*8", "rdi + rsi*8 + 8");
    twins(program, "rdi + rsi*8", "rdi + rsi*8 - 8");
}

/// Four at a time: each turn takes four of the words, and one of the count.
#[test]
fn a_count_of_what_is_taken_at_a_time() {
    let program = |(log, last): (u32, u32)| {
        format!(
            "pub fn sum(rdi = p: &[n]u64, rsi = n: u64) -> (rax: u64)
            {{
                    xor     eax, eax
                    mov     rcx, rsi
                    shr     rcx, {log}
                    jz      .out
            .four:
                    add     rax, [rdi]
                    add     rax, [rdi + 8]
                    add     rax, [rdi + 16]
                    add     rax, [rdi + {last}]
                    add     rdi, 32
                    dec     rcx
                    jnz     .four
            .out:   ret
            }}"
        )
    };
    assert_eq!(twins::said(&program((2, 24))), "");
    for wrong in [(1, 24), (2, 32)] {
        assert_ne!(twins::said(&program(wrong)), "", "with {wrong:?}");
    }
    // Then what is left of them.
    let rest = |mask: &str| {
        format!(
            "pub fn sum(rdi = p: &[n]u64, rsi = n: u64) -> (rax: u64)
            {{
                    xor     eax, eax
                    mov     rcx, rsi
                    shr     rcx, 2
                    jz      .tail
            .four:
                    add     rax, [rdi]
                    add     rax, [rdi + 8]
                    add     rax, [rdi + 16]
                    add     rax, [rdi + 24]
                    add     rdi, 32
                    dec     rcx
                    jnz     .four
            .tail:
                    and     esi, {mask}
                    jz      .out
            .one:
                    add     rax, [rdi]
                    add     rdi, 8
                    dec     esi
                    jnz     .one
            .out:   ret
            }}"
        )
    };
    twins(rest, "3", "7");
}

/// A column of a matrix: each step of the pointer is a row, whose length is a number of the
/// function.
#[test]
fn a_column_of_a_matrix() {
    let program = |(row, test): (&str, &str)| {
        format!(
            "pub fn column(rdi = b: &[n*n]u64, rsi = n: u32) -> (rax)
            {{
                    xor     eax, eax
                    xor     ecx, ecx
                    jmp     .test
            .next:
                    add     rax, [rdi]
                    lea     rdi, [{row}]
                    inc     rcx
            .test:
                    cmp     rcx, rsi
                    {test}      .next
                    ret
            }}"
        )
    };
    assert_eq!(twins::said(&program(("rdi + rsi*8", "jb"))), "");
    for wrong in [("rdi + rsi*8", "jbe"), ("rdi + rsi*8 + 8", "jb")] {
        assert_ne!(twins::said(&program(wrong)), "", "with {wrong:?}");
    }
}

/// Counters in strides, nested three deep, and what is added to them in the inner loop.
#[test]
fn strides_in_a_nest_of_loops() {
    let program = |rows: &str| {
        format!(
            "pub fn matmul(rdi = a: &[256]u64, rsi = b: &[256]u64, rdx = c: &rw [256]u64)
            {{
                    push    rbx
                    xor     ecx, ecx
            .row:
                    xor     r8d, r8d
            .col:
                    xor     eax, eax
                    xor     r9d, r9d
                    mov     r10, r8
            .dot:
                    lea     r11, [rcx + r9]
                    mov     rbx, [rdi + r11*8]
                    imul    rbx, [rsi + r10*8]
                    add     rax, rbx
                    add     r10, 16
                    inc     r9
                    cmp     r9, 16
                    jne     .dot
                    lea     r11, [rcx + r8]
                    mov     [rdx + r11*8], rax
                    inc     r8
                    cmp     r8, 16
                    jne     .col
                    add     rcx, 16
                    cmp     rcx, {rows}
                    jne     .row
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(program, "256", "272");
}
