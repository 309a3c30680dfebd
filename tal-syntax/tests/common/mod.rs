//! Not trusted: a test. What several tests share: the sources, and trees made at random.
#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why
#![allow(dead_code)] // each test uses a part

pub(crate) mod trees;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate has a parent").to_owned()
}

/// Every source file of the project: name and text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["tal-syntax/tests/sources", "examples", "interface"] {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let kind = path.extension().and_then(|e| e.to_str());
            if matches!(kind, Some("tal" | "tali")) {
                let text = std::fs::read_to_string(&path).expect("a text");
                found.push((path.display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 15, "where are the sources?");
    found
}
