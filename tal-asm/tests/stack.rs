//! Not trusted: tests. Judging the examples does not go deep into the stack: a kernel's is small.
#![allow(unsafe_code, reason = "reads the stack")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../tal-core/tests/support/stack.rs"]
mod stack;

/// The example as an object.
fn assembled(name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.tal"));
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let object = directory.join(format!("stack-{name}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tal-asm"));
    let status = command.arg(source).arg("-o").arg(&object).status().unwrap();
    assert!(status.success(), "{name}");
    fs::read(object).unwrap()
}

/// Bytes. The judge of a test is not that of a release.
const LIMIT: usize = if cfg!(debug_assertions) { 240 << 10 } else { 24 << 10 };

#[test]
fn examples_are_judged_on_a_small_stack() {
    let interface = loader::interface::embedded().unwrap();
    for name in ["args", "base64", "cat", "echo", "hello", "primes", "sha256sum", "sort", "wc"] {
        let file = assembled(name);
        let judge = || drop(loader::verify::verify(&file, &interface).unwrap());
        let bytes = stack::depth(judge);
        println!("{name}: {bytes} bytes");
        assert!((1024..LIMIT).contains(&bytes), "{name}: {bytes}");
    }
}
