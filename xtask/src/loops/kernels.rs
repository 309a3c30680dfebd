//! Not trusted. The kernels of `cargo xtask loops`, by the names of their files and functions.

/// A function in both languages.
pub(super) struct Kernel {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    /// What has to be known beside the numbers.
    pub(super) note: &'static str,
}

const fn kernel(name: &'static str, does: &'static str, note: &'static str) -> Kernel {
    Kernel { name, does, note }
}

/// Twelve loops; eleven kernels by which compilers of WebAssembly were measured; three more.
pub(super) const KERNELS: &[Kernel] = &[
    kernel("crc", "CRC-32 by a table", ""),
    kernel("merge", "two sorted arrays", ""),
    kernel("reverse", "bytes in place", ""),
    kernel("prefix", "prefix sums in place", ""),
    kernel("histogram", "how often each byte occurs", ""),
    kernel("hex", "bytes as digits", ""),
    kernel("shuffle", "Fisher and Yates, xorshift64, division", ""),
    kernel("parse", "decimal numbers of a text", ""),
    kernel("checksum", "that of the Internet protocols", ""),
    kernel("sift", "heap sort by sinking elements", ""),
    kernel("transpose", "64 by 64 words", ""),
    kernel("zeroword", "the first zero byte, by words", ""),
    kernel("fill", "a text that repeats itself", ""),
    kernel("crc32", "CRC-32 in static memory", ""),
    kernel("crcinit", "the table of CRC-32", ""),
    kernel("queens", "eight queens, recursive", "ours keeps rdi (`keeps`)"),
    kernel("matmul", "32 by 32 words, n a parameter", ""),
    kernel("sieve", "primes below 65536", "65536 of `rep stosb`; gcc calls memset"),
    kernel("interp", "bytecode", "gcc calls a function that counts bits"),
    kernel("indirect", "calls by a table", "a table of labels: no addresses of code in memory"),
    kernel("lists", "insertion sort in a list", ""),
    kernel("lzenc", "LZ4, packing", "ours checks what the hash table says; gcc calls memset"),
    kernel("lzdec", "LZ4, unpacking", ""),
    kernel("product", "16 by 16 words, fixed", ""),
    kernel("fir", "a filter of 16 taps", ""),
    kernel("fannkuch", "permutations of 7", "static arrays: none on the stack"),
];
