//! Not trusted. How the examples end when the system refuses them something.

use super::{Bench, capture};
use anyhow::{Context, Result, bail};

/// What is taken away.
enum Trouble {
    /// Standard output is a full device.
    FullOutput,
    /// Standard input is a folder, which cannot be read.
    BadInput,
    /// A file that there is not, between two that there are.
    MissingFile,
}

const CASES: &[(&str, Trouble)] = &[
    ("hello", Trouble::FullOutput),
    ("args", Trouble::FullOutput),
    ("wc", Trouble::FullOutput),
    ("cat", Trouble::FullOutput),
    ("sort", Trouble::FullOutput),
    ("sha256sum", Trouble::FullOutput),
    ("base64", Trouble::FullOutput),
    ("primes", Trouble::FullOutput),
    ("wordfreq", Trouble::FullOutput),
    ("wc", Trouble::BadInput),
    ("cat", Trouble::BadInput),
    ("sort", Trouble::BadInput),
    ("sha256sum", Trouble::BadInput),
    ("base64", Trouble::BadInput),
    ("wordfreq", Trouble::BadInput),
    ("cat", Trouble::MissingFile),
];

/// Runs all of them: each has to end with status 1.
pub(super) fn run(bench: &Bench) -> Result<usize> {
    let mut runs = 0;
    for (name, trouble) in CASES {
        one(bench, name, trouble).with_context(|| (*name).to_string())?;
        runs += 1;
    }
    Ok(runs + too_large(bench)?)
}

fn one(bench: &Bench, name: &str, trouble: &Trouble) -> Result<()> {
    let (load, program) = (bench.tool("tal-load"), bench.program(name));
    let line = match trouble {
        Trouble::FullOutput => format!("echo some text | '{load}' run '{program}' > /dev/full"),
        Trouble::BadInput => format!("'{load}' run '{program}' < /"),
        Trouble::MissingFile => {
            format!("'{load}' run '{program}' LICENSE-MIT no/such/file LICENSE-MIT < /dev/null")
        }
    };
    let output = capture("bash", &["-c", &line], b"")?;
    if output.status.code() != Some(1) {
        bail!("{line}: {}, expected status 1", output.status);
    }
    if matches!(trouble, Trouble::MissingFile) {
        let license = std::fs::read(crate::run::root().join("LICENSE-MIT"))?;
        super::same(&output.stdout, &[&license[..], &license[..]].concat())?;
        if output.stderr.is_empty() {
            bail!("{line}: says nothing about the missing file");
        }
    }
    Ok(())
}

/// `sort` and `wordfreq` keep what they read: more than there is room for is refused, not cut off.
fn too_large(bench: &Bench) -> Result<usize> {
    let cases = [
        ("sort", vec![b'a'; (1 << 20) + 1]),
        ("sort", vec![b'\n'; 65_537]),
        ("wordfreq", vec![b'a'; (1 << 20) + 1]),
    ];
    for (name, input) in &cases {
        let output = bench.start(name, &[], input)?;
        if output.status.code() != Some(1) || !output.stdout.is_empty() {
            bail!("{name}: {} bytes: {}, expected status 1", input.len(), output.status);
        }
    }
    Ok(cases.len())
}
