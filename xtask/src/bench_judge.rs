//! Not trusted. `cargo xtask bench-judge`: machine instructions that the judge takes for each
//! instruction it checks, by callgrind: the same number on every run. Beside it what the
//! annotations take, how often judging allocates and how much, what decoding alone costs, and what
//! another validator of code does.

mod frozen;
pub(crate) mod long;
mod module;

use crate::bench::program;
use crate::demo::build;
use crate::run::{cargo, collected, command, output, root, run, step, text_of};
use crate::trusted_lines;
use anyhow::{Context, Result, ensure};
use loader::{Image, interface, verify};
use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use tal_core::decode::{Op, decode_at};

/// Lines of the generated program.
const LINES: u32 = 20_000;
const GENERATED: &str = "generated";
/// Examples that have a line of their own.
const ALONE: [&str; 3] = ["sort", "sha256sum", "httpd"];
/// The example whose start is taken off, and which is not counted.
const START: &str = "hello";

/// What a file, or some together, take to be judged.
#[derive(Clone, Copy, Default)]
struct Taken {
    text: u64,
    notes: u64,
    /// Instructions that are checked.
    checked: u64,
    /// Machine instructions of `tal-load verify`.
    machine: u64,
    /// Allocations while tables are read, and behind that.
    tables: u64,
    allocated: u64,
    /// The most bytes at a time, and the most that are promised. Of files together the largest.
    peak: u64,
    most: u64,
}

impl AddAssign for Taken {
    fn add_assign(&mut self, other: Taken) {
        self.text += other.text;
        self.notes += other.notes;
        self.checked += other.checked;
        self.machine += other.machine;
        self.tables += other.tables;
        self.allocated += other.allocated;
        self.peak = self.peak.max(other.peak);
        self.most = self.most.max(other.most);
    }
}

impl Taken {
    /// Without the start of the process and of the decoder.
    fn without(self, start: Taken) -> Taken {
        Taken {
            checked: self.checked.saturating_sub(start.checked),
            machine: self.machine.saturating_sub(start.machine),
            ..self
        }
    }
}

/// Where the commands are, and where files go.
struct Bench {
    assembler: String,
    loader: String,
    weigh: String,
    directory: PathBuf,
}

/// A line for each program, then one for each that does less.
pub(crate) fn bench_judge() -> Result<()> {
    let bench = Bench::new()?;
    let generated = bench.directory.join("judge.tal");
    fs::write(&generated, program(LINES))?;
    let start = bench.example(START)?;
    println!(
        "{:<26} {:>6} {:>6} {:>5} {:>8} {:>10} {:>7} {:>6} {:>6} {:>8} {:>9}",
        "program",
        "text",
        "notes",
        "n/t",
        "checked",
        "taken",
        "a piece",
        "tables",
        "allocs",
        "peak",
        "promised"
    );
    let taken = bench.subject(GENERATED, &generated)?;
    line(GENERATED, taken.without(start));
    let mut together = Taken::default();
    let mut lines = Vec::new();
    for (name, ..) in frozen::EXAMPLES.iter().filter(|(name, ..)| *name != START) {
        let taken = bench.example(name)?.without(start);
        together += taken;
        if ALONE.contains(name) {
            lines.push((*name, taken));
        }
    }
    for name in ALONE {
        let (_, taken) = lines.iter().find(|(example, _)| *example == name).context(name)?;
        line(name, *taken);
    }
    line("examples together", together);
    bench.decoder(taken)?;
    bench.other(taken)?;
    println!("\ntrusted lines");
    trusted_lines::print()
}

fn line(name: &str, taken: Taken) {
    let Taken { text, notes, checked, machine, tables, allocated, peak, most } = taken;
    println!(
        "{name:<26} {text:>6} {notes:>6} {:>4}% {checked:>8} {machine:>10} {:>7} {:>6} {:>6} \
         {peak:>8} {most:>9}",
        notes * 100 / text.max(1),
        machine / checked.max(1),
        each(tables, checked),
        each(allocated, checked),
    );
}

/// How many for each, with one digit behind the point.
fn each(count: u64, of: u64) -> String {
    let tenths = count * 10 / of.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A line of what is no judge.
fn beside(name: &str, bytes: u64, pieces: u64, machine: u64) {
    println!(
        "{name:<26} {bytes:>6} {:>6} {:>5} {pieces:>8} {machine:>10} {:>7}",
        "",
        "",
        machine / pieces.max(1)
    );
}

impl Bench {
    fn new() -> Result<Bench> {
        let binaries = build()?;
        run(&cargo(), &["build", "--release", "--package", "xtask", "--bin", "weigh"])?;
        let directory = root().join("target/bench");
        fs::create_dir_all(&directory)?;
        let path = |name: &str| text_of(&binaries.join(name));
        Ok(Bench {
            assembler: path("tal-asm"),
            loader: path("tal-load"),
            weigh: path("weigh"),
            directory,
        })
    }

    fn example(&self, name: &str) -> Result<Taken> {
        self.subject(name, &root().join(format!("examples/{name}.tal")))
    }

    /// Assembles and judges.
    fn subject(&self, name: &str, source: &Path) -> Result<Taken> {
        step(name);
        let object = self.directory.join(name.replace('/', "-"));
        let object = text_of(&object);
        output(&self.assembler, &[&text_of(source), "-o", &object])?;
        let file = fs::read(&object)?;
        let image = Image::parse(&file).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
        frozen::same(name, image.text());
        let weighed = output(&self.weigh, &["judge", &object])?.0;
        let weighed = weighed.split_whitespace().map(str::parse);
        let weighed: Vec<u64> = weighed.collect::<Result<_, _>>()?;
        let [tables, allocated, peak, most] = weighed.try_into().ok().context("weigh judge")?;
        Ok(Taken {
            text: u64::try_from(image.text().len())?,
            notes: u64::try_from(image.annotations().len())?,
            checked: instructions(&file)?,
            machine: self.count(&self.loader, &["verify", &object])?,
            tables,
            allocated,
            peak,
            most,
        })
    }

    /// Decoding alone, of the generated text.
    fn decoder(&self, generated: Taken) -> Result<()> {
        let object = text_of(&self.directory.join(GENERATED));
        let decoded: u64 = output(&self.weigh, &["decode", &object])?.0.trim().parse()?;
        let all = self.count(&self.weigh, &["decode", &object])?;
        let one = self.count(&self.weigh, &["decode-one", &object])?;
        beside("decoding by iced-x86", generated.text, decoded, all.saturating_sub(one));
        Ok(())
    }

    /// Validation of a WebAssembly module as long as the generated text.
    fn other(&self, generated: Taken) -> Result<()> {
        let module = module::module(usize::try_from(generated.text)?);
        let path = self.directory.join("module.wasm");
        fs::write(&path, &module)?;
        let path = text_of(&path);
        let operators: u64 = output(&self.weigh, &["operators", &path])?.0.trim().parse()?;
        let all = self.count(&self.weigh, &["validate", &path])?;
        let read = self.count(&self.weigh, &["read", &path])?;
        let bytes = u64::try_from(module.len())?;
        beside("wasmparser, a module", bytes, operators, all.saturating_sub(read));
        Ok(())
    }

    /// Machine instructions of a command, which succeeds.
    fn count(&self, program: &str, arguments: &[&str]) -> Result<u64> {
        let (machine, status, printed) = self.counted(program, arguments)?;
        ensure!(status.success(), "{program}: {printed}");
        Ok(machine)
    }

    /// The same whether or not it succeeds, with how it ended and what it said.
    fn counted(&self, program: &str, arguments: &[&str]) -> Result<(u64, ExitStatus, String)> {
        let out =
            format!("--callgrind-out-file={}", text_of(&self.directory.join("callgrind.out")));
        let arguments = [&["--tool=callgrind", &out, program], arguments].concat();
        let output = command("valgrind", &arguments).output().context("valgrind")?;
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        let taken = collected(&printed).with_context(|| program.to_owned())?;
        Ok((taken, output.status, printed))
    }
}

/// Instructions of the text, without what stands between blocks.
fn instructions(file: &[u8]) -> Result<u64> {
    let interface = interface::embedded().map_err(|e| anyhow::anyhow!("{e}"))?;
    let verified = verify::verify(file, &interface).map_err(|e| anyhow::anyhow!("{e}"))?;
    let image = verified.judged();
    let (mut offset, mut count) = (0_u32, 0);
    while usize::try_from(offset)? < image.text.len() {
        let decoded = decode_at(image.text, image.text_address, offset)
            .map_err(|e| anyhow::anyhow!("{offset:#x}: {e:?}"))?;
        count += u64::from(!matches!(decoded.op, Op::Int3));
        offset += u32::from(decoded.length);
    }
    Ok(count)
}
