//! Not trusted. `cargo xtask vm-bench`: guest instructions, which QEMU's `-icount` counts.

use super::{Files, Machine, More};
use crate::kernel::{self, Flavor};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1200);

/// `cargo xtask vm-bench`: guest instructions per call.
pub(crate) fn calls() -> Result<()> {
    let image = kernel::build(kernel::NANO)?;
    let files = Files::new()?;
    let command = "bench3 </init; \
        set -- $(grep -E ' __x64_sys_(getpid|pread64)$' /proc/kallsyms \
        | sort -k3 | cut -d' ' -f1); \
        /trusted/bench $1 $2 </init";
    let machine = Machine::counted(More::Nothing);
    let qemu = files.counted(&image, &machine, command)?;
    let run = files.boot(qemu, &machine, LIMIT, |_| ())?;
    let counts = counts(&run.lines)?;
    let count = |function: &str, way: &str| counts.get(&(function.into(), way.into())).copied();
    println!("guest instructions per call, and how many more than the function itself\n");
    println!(
        "{:15}{:>10}{:>18}{:>18}{:>18}",
        "", "function", "SYSCALL, CPL 3", "gate", "fast gate"
    );
    for function in ["getpid", "pread", "clock_gettime"] {
        let bare = count(function, "bare");
        let cell = |way: &str| match (count(function, way), bare) {
            (Some(n), Some(bare)) => {
                format!("{n} ({:+})", i128::from(n).saturating_sub(i128::from(bare)))
            }
            (Some(n), None) => n.to_string(),
            (None, _) => "-".into(),
        };
        let alone = bare.map_or("-".into(), |n| n.to_string());
        let (a, b, c) = (cell("syscall"), cell("gate"), cell("fast"));
        println!("{function:15}{alone:>10}{a:>18}{b:>18}{c:>18}");
    }
    Ok(())
}

/// Lines of two names and a number.
fn counts(lines: &[String]) -> Result<BTreeMap<(String, String), u64>> {
    let counts: BTreeMap<_, _> = lines.iter().filter_map(|line| count(line)).collect();
    ensure!(!counts.is_empty(), "no counts; the console was:\n{}", lines.join("\n"));
    Ok(counts)
}

fn count(line: &str) -> Option<((String, String), u64)> {
    let words: Vec<_> = line.split(' ').collect();
    let [a, b, count] = words.as_slice() else { return None };
    Some((((*a).to_string(), (*b).to_string()), count.parse().ok()?))
}

/// What is counted by `others.c`, and what it is.
const OTHERS: &[(&str, &str)] = &[
    ("call", "a system call (getppid)"),
    ("fault", "a page fault"),
    ("signal", "a signal to itself, handled"),
    ("turn", "to another process and back, by pipes"),
    ("vfork", "vfork, exit, wait"),
    ("exec", "vfork, exec of a static program, exit, wait"),
];

/// `cargo xtask vm-bench --others`: what ordinary programs pay, with the series and without.
pub(crate) fn others() -> Result<()> {
    let (old, new) = (others_on(kernel::NANO_BASE)?, others_on(kernel::NANO)?);
    println!("guest instructions that an ordinary program pays\n");
    println!("{:45}{:>10}{:>10}{:>8}", "", "without", "with", "more");
    for (name, what) in OTHERS {
        let of = |counts: &BTreeMap<(String, String), u64>| {
            let count = counts.get(&("count".to_string(), (*name).to_string())).copied();
            count.with_context(|| format!("{name} was not counted"))
        };
        let (without, with) = (of(&old)?, of(&new)?);
        let more = i128::from(with).saturating_sub(i128::from(without));
        println!("{what:45}{without:>10}{with:>10}{more:>+8}");
    }
    Ok(())
}

fn others_on(flavor: Flavor) -> Result<BTreeMap<(String, String), u64>> {
    let image = kernel::build(flavor)?;
    let files = Files::new()?;
    let machine = Machine::counted(More::Nothing);
    let qemu = files.counted(&image, &machine, "others")?;
    counts(&files.boot(qemu, &machine, LIMIT, |_| ())?.lines)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn lines_of_the_console() {
        let expected = (("pread".to_string(), "gate".to_string()), 980);
        assert_eq!(count("pread gate 980"), Some(expected));
        assert_eq!(count("the machine is up"), None);
    }
}
