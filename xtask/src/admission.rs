//! Not trusted. `cargo xtask vm-bench --admission`: what admitting a program costs in the kernel,
//! beside exec of an ordinary static program with as much code.

use crate::bench::{program, sizes};
use crate::kernel;
use crate::offers::{assemble, ordinary, straight};
use crate::vm::{Files, Machine, More};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const MB: u64 = 1 << 20;
/// Megabytes of straight code.
const STRAIGHT: [usize; 4] = [1, 2, 5, 10];
/// Lines of programs with loops and calls.
const LINES: [u32; 3] = [10_000, 20_000, 80_000];

/// A judged program.
struct Subject {
    name: String,
    file: u64,
    text: u64,
}

/// The table.
pub(crate) fn bench() -> Result<()> {
    let image = kernel::build(kernel::NANO)?;
    let mut files = Files::new()?;
    let assembler = files.trusted.assembler();
    let mut subjects = Vec::new();
    let mut command = String::from("execs");
    let mut add = |name: String, content: Vec<u8>| -> Result<()> {
        let (text, _) = sizes(&content);
        let pages = text.div_ceil(4096);
        let _ = write!(command, " /trusted/{name} /bin/{name}.one /bin/{name}.all");
        files.extra.insert(format!("bin/{name}.one"), ordinary(text, 1)?);
        files.extra.insert(format!("bin/{name}.all"), ordinary(text, pages)?);
        let file = content.len() as u64;
        files.extra.insert(format!("trusted/{name}"), content);
        subjects.push(Subject { name, file, text });
        Ok(())
    };
    let directory = crate::run::root().join("target/trusted");
    for lines in LINES {
        let output = directory.join(format!("lines-{lines}"));
        add(format!("loops-{lines}"), assemble(&assembler, &program(lines), &output)?)?;
    }
    for megabytes in STRAIGHT {
        add(format!("straight-{megabytes}"), straight(&assembler, megabytes << 20)?)?;
    }
    let machine = Machine::counted(More::Unlisted);
    let qemu = files.counted(&image, &machine, &command)?;
    let run = files.boot(qemu, &machine, Duration::from_secs(1800), |_| ())?;
    let costs: BTreeMap<&str, (u64, u64)> =
        run.lines.iter().filter_map(|line| cost(line)).collect();
    println!(
        "guest instructions from exec to the end of the program, in millions; KB of 2^10 bytes\n"
    );
    println!(
        "| program | file, KB | code, KB | judging | judging, per MB of code | all | ordinary | \
         ordinary, reads its pages | ratio |\n|---|---|---|---|---|---|---|---|---|"
    );
    for subject in &subjects {
        let of = |end: &str| {
            let name = format!("{}{end}", subject.name);
            costs.get(name.as_str()).copied().with_context(|| {
                format!("{name} was not measured; the console was:\n{}", run.lines.join("\n"))
            })
        };
        let ((all, judging), (one, _), (read, _)) = (of("")?, of(".one")?, of(".all")?);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            subject.name,
            subject.file >> 10,
            subject.text >> 10,
            tenths(judging, 100_000),
            tenths(judging.saturating_mul(MB) / subject.text.max(1), 100_000),
            tenths(all, 100_000),
            tenths(one, 100_000),
            tenths(read, 100_000),
            all / read.max(1),
        );
    }
    Ok(())
}

/// `exec NAME ALL JUDGING`.
fn cost(line: &str) -> Option<(&str, (u64, u64))> {
    let mut words = line.strip_prefix("exec ")?.split(' ');
    let name = words.next()?;
    Some((name, (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
}

/// A number of tenths with one decimal.
fn tenths(value: u64, tenth: u64) -> String {
    let tenths = value.saturating_add(tenth / 2) / tenth.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::{cost, tenths};

    #[test]
    fn lines_of_the_console() {
        assert_eq!(cost("exec straight-1.all 1234 5"), Some(("straight-1.all", (1234, 5))));
        assert_eq!(cost("exec /bin/x does not run: 1"), None);
        assert_eq!(tenths(1_250_000, 100_000), "1.3");
        assert_eq!(tenths(0, 100_000), "0.0");
    }
}
