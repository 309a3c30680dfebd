//! Not trusted. `cargo xtask annotations`: how much the examples say to the checker, beside the
//! types of their functions and data.

use crate::run::root;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use tal_check::elaborate::lower;
use tal_check::resolve::Disk;

/// What one file has.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Counts {
    /// Instructions that are written.
    instructions: usize,
    functions: usize,
    /// Labels that are jumped to.
    labels: usize,
    /// Those among them with a state, and ghosts: what is written for the checker alone.
    states: usize,
    ghosts: usize,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.instructions += other.instructions;
        self.functions += other.functions;
        self.labels += other.labels;
        self.states += other.states;
        self.ghosts += other.ghosts;
    }

    fn annotations(self) -> usize {
        self.states + self.ghosts
    }

    /// Instructions for each annotation.
    fn apart(self) -> usize {
        self.instructions / self.annotations().max(1)
    }
}

/// Prints a line for each example, and their sum.
pub(crate) fn print() -> Result<()> {
    let heads = ["instructions", "functions", "labels", "states", "ghosts"];
    println!("{:<12} {}", "example", heads.map(|head| format!("{head:>12}")).join(" "));
    let line = |name: &str, c: Counts| {
        let numbers = [c.instructions, c.functions, c.labels, c.states, c.ghosts];
        println!("{name:<12} {}", numbers.map(|n| format!("{n:>12}")).join(" "));
    };
    let mut sum = Counts::default();
    for path in examples()? {
        let counts = count(&path)?;
        line(&path.file_stem().unwrap_or_default().to_string_lossy(), counts);
        sum.add(counts);
    }
    line("all", sum);
    println!("one annotation in {} instructions", sum.apart());
    Ok(())
}

/// The programs and libraries of the folder `examples`, by name.
fn examples() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root().join("examples"))?;
    let mut paths = entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "tal"));
    paths.sort();
    Ok(paths)
}

/// How many states are written in this file.
pub(crate) fn states(path: &Path) -> Result<usize> {
    Ok(count(path)?.states)
}

/// Counts what stands in this file; what it uses is counted where it stands.
fn count(path: &Path) -> Result<Counts> {
    let outcome = lower(path, &Disk).with_context(|| path.display().to_string())?;
    let Some(lowered) = outcome.lowered else {
        bail!("{}: {:?}", path.display(), outcome.diags.first().map(|d| &d.message));
    };
    let mut counts = Counts::default();
    for function in lowered.functions.iter().filter(|f| f.span.file == 0) {
        counts.functions += 1;
        counts.instructions += function.instructions.iter().filter(|i| !i.implied).count();
        counts.labels += function.labels.iter().filter(|l| l.target).count();
        counts.states += function.labels.iter().filter(|l| l.state.is_some()).count();
        counts.ghosts += function.ghosts.len();
    }
    Ok(counts)
}

/// Fails if one of these files, which may use each other, is accepted without a state that is
/// written in it; how many there are.
#[cfg(test)]
pub(crate) fn each_is_needed(paths: &[PathBuf]) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let copy = |path: &Path| folder.path().join(path.file_name().unwrap_or_default());
    for path in paths {
        std::fs::copy(path, copy(path))?;
    }
    let mut tried = 0;
    for path in paths {
        let text = std::fs::read_to_string(path)?;
        let lowered = lower(path, &Disk)?.lowered.context("with its states")?;
        let own = lowered.functions.iter().filter(|f| f.span.file == 0);
        let states = own.flat_map(|f| &f.labels).filter_map(|label| label.state.as_ref());
        for span in states.map(|state| state.span) {
            let mut less = text.clone();
            less.replace_range(span.range(), "");
            std::fs::write(copy(path), &less)?;
            let lowered = lower(&copy(path), &Disk)?.lowered.context("without a state")?;
            if tal_check::check::check(lowered).is_ok() {
                let words = text.get(span.range()).unwrap_or_default();
                bail!("{}: `{words}` is not needed", path.display());
            }
            tried += 1;
        }
        std::fs::copy(path, copy(path))?;
    }
    Ok(tried)
}

#[cfg(test)]
mod test {
    use super::{Counts, count, each_is_needed, examples};
    use crate::run::root;
    use anyhow::{Context, Result};

    #[test]
    fn states_and_ghosts_are_counted_where_they_stand() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let library = "pub fn one() -> (rax)\n{\n        mov     eax, 1\n        ret\n}\n";
        std::fs::write(folder.path().join("one.tal"), library)?;
        let text = "use \"one.tal\"\npub fn f(rdi = n: u64) -> (rax)\n{\n        xor     eax, eax\n\
                    .a:     where 0 <= rax\n        inc     rax\n        @have   0 <= rax\n\
                    cmp     rax, rdi\n        jb      .a\n.b:     jmp     one\n}\n";
        let path = folder.path().join("two.tal");
        std::fs::write(&path, text)?;
        let counts = Counts { instructions: 5, functions: 1, labels: 1, states: 1, ghosts: 1 };
        assert_eq!(count(&path)?, counts);
        Ok(())
    }

    /// Without a state that is written in an example, the example is refused: nobody learns from
    /// them to write what the checker finds.
    #[test]
    fn each_state_is_needed() -> Result<()> {
        assert!(each_is_needed(&examples()?)? > 0);
        Ok(())
    }

    /// The figure of README.md is what is counted, rounded down to hundreds.
    #[test]
    fn readme_says_how_many() -> Result<()> {
        let text = std::fs::read_to_string(root().join("README.md"))?;
        let (_, rest) = text.split_once("One annotation in ").context("README.md: the figure")?;
        let (number, _) = rest.split_once(" instructions").context("README.md: the figure")?;
        let said: usize = number.replace(',', "").parse()?;
        let mut sum = Counts::default();
        for path in examples()? {
            sum.add(count(&path)?);
        }
        assert!(sum.annotations() > 0);
        assert_eq!(said, sum.apart() / 100 * 100, "{sum:?}");
        Ok(())
    }
}
