//! Not trusted. `cargo xtask loops`: what accepted code pays at run time. Small functions as a
//! good assembly programmer writes them (`tests/loops/*.tal`) beside the same in C (`*.c`),
//! compiled by gcc -O2. A driver in C (`tests/loops/drivers/`) is linked with either, gives both
//! the same input, and prints what they computed. Callgrind counts the machine instructions that
//! are executed in the function, with what it calls.

mod kernels;

use crate::annotations;
use crate::demo::build;
use crate::run::{collected, command, output, root, text_of};
use anyhow::{Context, Result, ensure};
use kernels::{KERNELS, Kernel};
use std::fs;
use std::path::{Path, PathBuf};

/// How gcc compiles, the kernels as well as the drivers. Both sides stand at a fixed address
/// (docs/linking.md), so static memory costs them the same.
const OPTIONS: [&str; 5] = ["-O2", "-fno-pie", "-Wall", "-Wextra", "-Werror"];
/// Registers that the dialect does not have.
const VECTOR: &str = "%xmm";

/// Where the commands and the files are.
struct Bench {
    assembler: PathBuf,
    sources: PathBuf,
    /// Where objects and programs go.
    directory: PathBuf,
}

/// What a kernel takes.
struct Row {
    kernel: &'static Kernel,
    ours: u64,
    gcc: u64,
    /// States that are written in its source.
    states: usize,
    /// Does gcc use vectors?
    vectors: bool,
}

/// The table, with geometric means; or only the kernels with this word in their names.
pub(crate) fn print(only: Option<&str>) -> Result<()> {
    let gcc = version("gcc")?;
    let valgrind = version("valgrind")?;
    let binaries = build()?;
    let directory = root().join("target/loops");
    fs::create_dir_all(&directory)?;
    let bench = Bench { assembler: binaries.join("tal-asm"), sources: sources(), directory };
    println!("{gcc}; {valgrind}; instructions executed\n");
    println!("| kernel | what it does | ours | gcc -O2 | ours / gcc | states | |");
    println!("|---|---|---|---|---|---|---|");
    let named = |name: &str| only.is_none_or(|word| name.contains(word));
    let mut rows = Vec::new();
    for kernel in KERNELS.iter().filter(|kernel| named(kernel.name)) {
        let row = bench.row(kernel).with_context(|| format!("kernel {}", kernel.name))?;
        println!("{}", row.line());
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "no kernel has this word in its name");
    println!();
    mean("geometric mean", &rows, |_| true);
    mean("where gcc uses no vectors", &rows, |row| !row.vectors);
    Ok(())
}

/// The first line of what a tool says of itself. Without the tool there is no table.
fn version(tool: &str) -> Result<String> {
    let output = command(tool, &["--version"]).output();
    let output = output.with_context(|| format!("{tool} is needed, and does not start"))?;
    ensure!(output.status.success(), "{tool} --version fails: {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().with_context(|| format!("{tool} --version says nothing"))?.to_owned())
}

fn sources() -> PathBuf {
    root().join("tests/loops")
}

fn mean(name: &str, rows: &[Row], of: impl Fn(&Row) -> bool) {
    let logarithms: Vec<f64> = rows.iter().filter(|row| of(row)).map(|r| r.ratio().ln()).collect();
    let count = logarithms.len();
    if count > 0 {
        let mean = (logarithms.iter().sum::<f64>() / count as f64).exp();
        println!("{name}, {count} kernels: {mean:.3}");
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours as f64 / self.gcc as f64
    }

    fn line(&self) -> String {
        let Row { kernel, ours, gcc, states, vectors } = self;
        let vectors = if *vectors { "gcc uses vectors" } else { "" };
        let notes = [vectors, kernel.note].into_iter().filter(|note| !note.is_empty());
        let notes = notes.collect::<Vec<_>>().join("; ");
        let Kernel { name, does, .. } = kernel;
        format!("| {name} | {does} | {ours} | {gcc} | {:.2} | {states} | {notes} |", self.ratio())
    }
}

impl Bench {
    /// Builds both programs, compares what they print, counts.
    fn row(&self, kernel: &'static Kernel) -> Result<Row> {
        let name = kernel.name;
        let (source, c) = (self.source(name, "tal"), self.source(name, "c"));
        let driver = self.sources.join("drivers").join(format!("{name}.c"));
        let (typed, compiled) = (self.made(name, "tal.o"), self.made(name, "gcc.o"));
        let (main, assembly) = (self.made(name, "main.o"), self.made(name, "s"));
        output(&text_of(&self.assembler), &["-c", "--no-pie", &source, "-o", &typed])?;
        gcc(&["-c", &c, "-o", &compiled])?;
        gcc(&["-S", &c, "-o", &assembly])?;
        gcc(&["-c", &text_of(&driver), "-o", &main])?;
        let (ours, theirs) = (self.made(name, "tal"), self.made(name, "gcc"));
        gcc(&["-no-pie", &main, &typed, "-o", &ours])?;
        gcc(&["-no-pie", &main, &compiled, "-o", &theirs])?;
        let (ours, printed) = counted(name, &ours)?;
        let (gcc, expected) = counted(name, &theirs)?;
        ensure!(!expected.is_empty(), "the driver prints nothing");
        ensure!(printed == expected, "the results differ.\nours:\n{printed}\ngcc's:\n{expected}");
        Ok(Row {
            kernel,
            ours,
            gcc,
            states: annotations::states(Path::new(&source))?,
            vectors: fs::read_to_string(assembly)?.contains(VECTOR),
        })
    }

    fn source(&self, name: &str, ending: &str) -> String {
        text_of(&self.sources.join(format!("{name}.{ending}")))
    }

    fn made(&self, name: &str, ending: &str) -> String {
        text_of(&self.directory.join(format!("{name}.{ending}")))
    }
}

fn gcc(arguments: &[&str]) -> Result<()> {
    output("gcc", &[&OPTIONS, arguments].concat()).map(drop)
}

/// Instructions executed between each entry of a function and its return, and what is printed.
fn counted(function: &str, program: &str) -> Result<(u64, String)> {
    let toggle = format!("--toggle-collect={function}");
    let arguments =
        ["--tool=callgrind", "--callgrind-out-file=/dev/null", toggle.as_str(), program];
    let (printed, said) = output("valgrind", &arguments)?;
    let taken = collected(&said).with_context(|| program.to_owned())?;
    ensure!(taken > 0, "{program}: callgrind does not find `{function}`");
    Ok((taken, printed))
}

#[cfg(test)]
mod test {
    use super::kernels::KERNELS;
    use super::sources;
    use crate::annotations;
    use crate::run::root;
    use anyhow::{Context, Result, ensure};
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use tal_check::check::check;
    use tal_check::elaborate::lower;
    use tal_check::resolve::Disk;

    /// The names of the files with this ending in a folder.
    fn names(folder: &Path, ending: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == ending) {
                names.insert(path.file_stem().context("a name")?.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn accepted(path: &Path) -> Result<bool> {
        let lowered = lower(path, &Disk)?.lowered;
        let lowered = lowered.with_context(|| format!("{} does not lower", path.display()))?;
        Ok(check(lowered).is_ok())
    }

    /// No file is left out of the table, and none is missing.
    #[test]
    fn the_kernels_are_the_files() -> Result<()> {
        let kernels: BTreeSet<String> = KERNELS.iter().map(|k| k.name.to_owned()).collect();
        assert_eq!(kernels.len(), KERNELS.len());
        assert_eq!(names(&sources(), "tal")?, kernels);
        assert_eq!(names(&sources(), "c")?, kernels);
        assert_eq!(names(&sources().join("drivers"), "c")?, kernels);
        Ok(())
    }

    /// Each kernel is accepted.
    #[test]
    fn the_kernels_are_accepted() -> Result<()> {
        for kernel in KERNELS {
            let path = sources().join(format!("{}.tal", kernel.name));
            ensure!(accepted(&path)?, "{} is refused", path.display());
        }
        Ok(())
    }

    /// No state is written that the checker finds: the column says what is needed.
    #[test]
    fn each_state_of_a_kernel_is_needed() -> Result<()> {
        let paths = KERNELS.iter().map(|k| sources().join(format!("{}.tal", k.name)));
        annotations::each_is_needed(&paths.collect::<Vec<_>>()).map(drop)
    }

    /// docs/loops.md has a row for each kernel, with the states that are in its source.
    #[test]
    fn the_page_has_the_kernels() -> Result<()> {
        let page = fs::read_to_string(root().join("docs/loops.md"))?;
        let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
        let rows: Vec<Vec<&str>> =
            rows.map(|row| row.split('|').map(str::trim).collect()).collect();
        for kernel in KERNELS {
            let row = rows.iter().find(|row| row.first() == Some(&kernel.name));
            let row = row.with_context(|| format!("docs/loops.md: no row {}", kernel.name))?;
            let states = annotations::states(&sources().join(format!("{}.tal", kernel.name)))?;
            assert_eq!(row.get(1), Some(&kernel.does));
            assert_eq!(row.get(5), Some(&states.to_string().as_str()), "{}", kernel.name);
        }
        assert_eq!(rows.len(), KERNELS.len() + 1);
        Ok(())
    }
}
