//! Not trusted. Inputs for the examples: made the same way every time.

use crate::run::root;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Sizes around the blocks of base64 (3, 57, 48 KiB), SHA-256 (55, 56, 64), pages and buffers.
const SIZES: &[usize] = &[
    0,
    1,
    2,
    3,
    47,
    48,
    49,
    55,
    56,
    57,
    58,
    63,
    64,
    65,
    119,
    120,
    128,
    4095,
    4096,
    4097,
    49_151,
    49_152,
    49_153,
    65_535,
    65_536,
    65_537,
    131_072,
    1 << 20,
];

/// Numbers that look random: xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    pub(super) fn bytes(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Files for every program, and files for those that keep their whole input: text of less than
/// 1 MB in less than 65536 lines.
pub(super) fn make(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    fs::create_dir_all(directory)?;
    let ours = ["LICENSE-APACHE", "Cargo.lock", "examples/sha256sum.tal"];
    let ours = ours.map(|name| root().join(name));
    let mut random = Random(0x5EED);
    let mut all = ours.to_vec();
    for size in SIZES {
        let path = directory.join(format!("bytes-{size}"));
        fs::write(&path, random.bytes(*size))?;
        all.push(path);
    }
    let mut text = ours.to_vec();
    let mut put = |name: &str, bytes: &[u8]| -> Result<()> {
        let path = directory.join(name);
        fs::write(&path, bytes)?;
        text.push(path);
        Ok(())
    };
    put("empty", b"")?;
    put("newline", b"\n")?;
    put("newlines", &[b'\n'; 1000])?;
    put("one-line", b"one line\n")?;
    put("unended", b"b\na")?;
    put("prefixes", b"ab\na\n\nabc\nab\nb\n\xFF\n\x01\n\x00\n")?;
    put("long-line", &[&[b'x'; 500_000][..], b"\nw\n"].concat())?;
    put("random-lines", &lines(&mut random, 60_000, 12))?;
    put("same-lines", &lines(&mut random, 50_000, 1))?;
    all.extend(text.iter().skip(ours.len()).cloned());
    Ok((all, text))
}

/// Lines of letters, up to this long.
fn lines(random: &mut Random, count: usize, longest: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..count {
        for _ in 0..random.below(longest + 1) {
            text.push(b"abAB z09"[random.below(8)]);
        }
        text.push(b'\n');
    }
    text
}
