//! Not trusted. `cargo xtask vm`, `vm-test`, `vm-bench`: the patched kernel under QEMU.

mod bochs;
pub(crate) mod counts;
mod features;
mod walk;

use crate::kernel::{self, Flavor};
use crate::object::Object;
use crate::run::{root, step};
use crate::trusted::Trusted;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";
const QEMU: &str = "qemu-system-x86_64";

/// One machine: what is different about it.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    name: &'static str,
    append: &'static str,
    emulator: Emulator,
    /// QEMU's.
    cpu: &'static str,
    /// Megabytes.
    memory: u32,
    more: More,
    /// What the first process runs.
    command: &'static str,
    probe: Probe,
}

/// What the machine is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emulator {
    /// QEMU, with a thread for each CPU.
    Tcg,
    /// QEMU, with one thread for both.
    TcgInTurns,
    /// See [`mod@bochs`].
    Bochs,
}

/// What only some machines have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    /// Less: all programs are judged, so that no digest is computed.
    Unlisted,
    /// A list of digests beside the judge.
    Allow,
    /// The clients of the servers: this program, curl and wrk.
    Clients,
    /// The programs of other tests.
    Objects,
    /// A program of ten megabytes, and hostile ones.
    Hogs,
}

impl Machine {
    /// The same on the kernel with checks. It takes more memory. While it identifies the CPU, KASAN
    /// takes addresses of 5-level page tables for wild ones, if an interrupt comes just then; any
    /// kernel of this age does (<https://lkml.iu.edu/hypermail/linux/kernel/2606.1/11911.html>).
    fn watched(&self) -> Machine {
        let cpu = if self.cpu == "max" { "max,la57=off" } else { self.cpu };
        Machine { cpu, memory: self.memory.saturating_mul(2), ..*self }
    }

    /// For [`Files::counted`].
    pub(crate) fn counted(more: More) -> Machine {
        Machine { append: "nokaslr", memory: 1024, more, ..PLAIN }
    }
}

/// What is done to a machine from outside while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    Nothing,
    /// Non-maskable interrupts all the time, on each CPU with [`ALL_CPUS`].
    Nmi,
    /// Machine checks all the time, on each CPU.
    MachineCheck,
    /// Reads the page tables of what is current on each CPU.
    PageTables,
}

/// For QEMU's monitor: bank, its status, MCG_STATUS, address, more. Valid, not corrected, enabled
/// and deferred (AMD64 Architecture Programmer's Manual, volume 2, 9.3.2): the program may go on.
const MACHINE_CHECK: &str = "4 0xb000100000000000 0x5 0 0";

/// Linux lets the NMIs that come from outside reach the first CPU only, unless it is told.
const ALL_CPUS: &str = "apic_extnmi=all";

const PLAIN: Machine = Machine {
    name: "2 CPUs",
    append: "",
    emulator: Emulator::Tcg,
    cpu: "max",
    memory: 512,
    more: More::Nothing,
    command: "runner",
    probe: Probe::Nothing,
};

/// Programs that the judge in the kernel admits.
const JUDGED: Machine = Machine { name: "judged programs", command: "sh /bin/judged.sh", ..PLAIN };

/// The servers at CPL 0 beside clients of many kinds.
const SERVERS: Machine =
    Machine { name: "servers", more: More::Clients, command: "sh /bin/servers.sh", ..PLAIN };

/// Programs of other tests, refused here and there.
const OBJECTS: Machine = Machine {
    name: "refused programs",
    more: More::Objects,
    command: "judges /cases/objects exec",
    ..PLAIN
};

/// The list of digests beside the judge.
const ALLOW: Machine =
    Machine { name: "kml.allow", more: More::Allow, command: "sh /bin/allow.sh", ..PLAIN };

/// Large and hostile files.
const HOGS: Machine = Machine {
    name: "large and hostile files",
    memory: 2560,
    more: More::Hogs,
    command: "hogs",
    ..PLAIN
};

/// Changed programs, judged here and there.
const MUTANTS: Machine = Machine { name: "mutants", command: "judges /cases/corpus", ..PLAIN };

const UNVERIFIED: Machine = Machine {
    name: "unverified mode",
    append: "kml.unverified=1",
    command: "runner --unverified",
    ..PLAIN
};

/// What CI runs.
const QUICK: &[Machine] = &[
    PLAIN,
    JUDGED,
    ALLOW,
    SERVERS,
    OBJECTS,
    MUTANTS,
    Machine { name: "page table isolation", append: "pti=on", ..PLAIN },
    UNVERIFIED,
];

const MACHINES: &[Machine] = &[
    PLAIN,
    JUDGED,
    ALLOW,
    SERVERS,
    OBJECTS,
    HOGS,
    MUTANTS,
    Machine { name: "judged programs, careful gates", append: "kml.careful=1 pti=on", ..JUDGED },
    Machine { name: "page table isolation", append: "pti=on", ..PLAIN },
    Machine { name: "4-level page tables, no KASLR", append: "no5lvl nokaslr", ..PLAIN },
    Machine { name: "no SMEP, SMAP, FSGSBASE", cpu: "qemu64", ..PLAIN },
    Machine { name: "careful gates", append: "kml.careful=1", ..PLAIN },
    Machine {
        name: "NMIs",
        append: ALL_CPUS,
        command: "runner --only life; grep NMI: /proc/interrupts",
        probe: Probe::Nmi,
        ..PLAIN
    },
    UNVERIFIED,
];

/// On a CPU that tracks indirect branches for the kernel. Its branch history is to be cleared, so
/// gates are careful where nothing is said.
const TRACKED: &[Machine] = &[
    Machine {
        name: "branch tracking",
        command: "runner --tracked",
        append: SHORT,
        emulator: Emulator::Bochs,
        ..PLAIN
    },
    Machine {
        name: "judged programs, branch tracking",
        append: SHORT,
        emulator: Emulator::Bochs,
        ..JUDGED
    },
    Machine {
        name: "judged programs, careful gates, branch tracking",
        emulator: Emulator::Bochs,
        ..JUDGED
    },
    Machine {
        name: "unverified mode, branch tracking",
        append: "kml.unverified=1",
        command: "sh /bin/tracked.sh",
        emulator: Emulator::Bochs,
        ..PLAIN
    },
];

const SHORT: &str = "spectre_bhi=off";

/// Megabytes for 200 programs with 4 each.
const CROWDED: u32 = 384;

/// On the kernel with swap, control groups and the like.
const LONG: &[Machine] = &[
    MUTANTS,
    HOGS,
    Machine { name: "large files in control groups", command: "hogs --groups", ..HOGS },
    Machine { name: "memory, control groups, perf", command: "stress", ..PLAIN },
    // With a thread for each CPU, QEMU executes int3 that a text patch has removed.
    Machine { name: "tracing", command: "stress --trace", emulator: Emulator::TcgInTurns, ..PLAIN },
    Machine {
        name: "machine checks",
        command: "runner --only life; grep MCE: /proc/interrupts",
        probe: Probe::MachineCheck,
        ..PLAIN
    },
    Machine {
        name: "page tables",
        command: "stress --page-tables",
        probe: Probe::PageTables,
        ..PLAIN
    },
    Machine { name: "crowd", command: "stress --crowd", memory: CROWDED, ..PLAIN },
    Machine {
        name: "crowd and NMIs",
        memory: CROWDED,
        append: ALL_CPUS,
        command: "stress --crowd; grep NMI: /proc/interrupts",
        probe: Probe::Nmi,
        ..PLAIN
    },
];

/// Machines of their own: see [`features`].
const FEATURES: &str = "CPU features";

/// Which machines `vm-test` boots, on which kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    Quick,
    Normal,
    Long,
    Debug,
}

impl Suite {
    fn flavor(self) -> Flavor {
        match self {
            Suite::Quick | Suite::Normal => kernel::NANO,
            Suite::Long => kernel::STRESS,
            Suite::Debug => kernel::DEBUG,
        }
    }

    /// The kernel with checks has to do everything.
    fn machines(self) -> Vec<Machine> {
        let chosen = match self {
            Suite::Quick => QUICK.to_vec(),
            Suite::Normal => MACHINES.to_vec(),
            Suite::Long => [LONG, TRACKED].concat(),
            Suite::Debug => {
                let more =
                    LONG.iter().filter(|m| MACHINES.iter().all(|other| other.name != m.name));
                MACHINES.iter().chain(more).copied().collect()
            }
        };
        if self == Suite::Debug { chosen.iter().map(Machine::watched).collect() } else { chosen }
    }

    /// Changed programs whose verdicts are compared.
    fn mutants(self) -> usize {
        match self {
            Suite::Quick | Suite::Normal | Suite::Debug => 3000,
            Suite::Long => 100_000,
        }
    }

    /// How long a machine may run.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Suite::Quick | Suite::Normal => 1200,
            Suite::Long | Suite::Debug => 3600,
        })
    }
}

/// `cargo xtask vm [-- CMD]`: runs a command in the machine, or a shell.
pub(crate) fn run(flavor: Flavor, command: &[String]) -> Result<()> {
    let image = kernel::build(flavor)?;
    let files = Files::new()?;
    let command = command.join(" ");
    let shell = command.is_empty();
    let mut qemu = files.emulator(&image, &PLAIN, if shell { "sh" } else { &command })?;
    if !shell {
        qemu.stdin(Stdio::null());
    }
    let status = qemu.status().context("cannot start QEMU")?;
    ensure!(status.success(), "QEMU failed: {status}");
    Ok(())
}

/// Fails unless this kernel boots and runs a program.
pub(crate) fn boots(image: &Path) -> Result<()> {
    let files = Files::new()?;
    let qemu = files.emulator(image, &PLAIN, "true")?;
    let run = files.boot(qemu, &PLAIN, Duration::from_secs(300), |_| ())?;
    let up = run.lines.iter().any(|line| line == UP);
    ensure!(up, "it does not boot; the console was:\n{}", run.lines.join("\n"));
    Ok(())
}

/// Runs a script in a machine with more programs, under /selftests; the console.
pub(crate) fn script(
    image: &Path,
    text: &str,
    more: &BTreeMap<String, PathBuf>,
) -> Result<Vec<String>> {
    let mut files = Files::new()?;
    files.more = more.clone();
    let machine = Machine { memory: 1024, ..PLAIN };
    let qemu = files.emulator(image, &machine, text)?;
    let run = files.boot(qemu, &machine, Duration::from_secs(3600), |line| {
        if line.starts_with("selftest ") {
            eprintln!("    {line}");
        }
    })?;
    Ok(run.lines)
}

/// What is tested without a machine.
const OBJECT: &str = "the judge's object";

/// `cargo xtask vm-test`: boots the machines and runs the tests.
pub(crate) fn test(suite: Suite, only: Option<&str>) -> Result<()> {
    let image = kernel::build(suite.flavor())?;
    let mut files = Files::new()?;
    let (mut passed, mut failed) = (0usize, 0usize);
    if only.is_none_or(|word| OBJECT.contains(word)) {
        step(OBJECT);
        for (name, result) in Object::of(&image)?.test(files.trusted.programs())? {
            match result {
                Ok(ref what) => println!("test object: {name}: {what} ... ok"),
                Err(ref why) => println!("test object: {name} ... FAILED: {why:#}"),
            }
            let count = if result.is_ok() { &mut passed } else { &mut failed };
            *count = count.saturating_add(1);
        }
    }
    let machines = suite.machines();
    let chosen: Vec<_> =
        machines.iter().filter(|m| only.is_none_or(|word| m.name.contains(word))).collect();
    if chosen.iter().any(|machine| machine.command == MUTANTS.command) {
        files.corpus = files.trusted.corpus(suite.mutants())?;
    }
    for machine in chosen {
        step(machine.name);
        let start = Instant::now();
        let (ok, bad) = test_machine(&files, &image, machine, suite.limit())?;
        println!("     {} s: {ok} passed, {bad} failed", start.elapsed().as_secs());
        passed = passed.saturating_add(ok);
        failed = failed.saturating_add(bad);
    }
    if suite == Suite::Long && only.is_none_or(|word| FEATURES.contains(word)) {
        step(FEATURES);
        let (ok, bad) = features::test(&files, &image)?;
        passed = passed.saturating_add(ok);
        failed = failed.saturating_add(bad);
    }
    ensure!(passed.saturating_add(failed) > 0, "no test has run");
    println!("\ntotal: {passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} tests failed");
    Ok(())
}

/// Runs one machine; how many tests passed and failed.
fn test_machine(
    files: &Files,
    image: &Path,
    machine: &Machine,
    limit: Duration,
) -> Result<(usize, usize)> {
    let qemu = files.emulator(image, machine, machine.command)?;
    let run = files.boot(qemu, machine, limit, |line| {
        let told = ["test ", "measured: "].iter().any(|start| line.starts_with(start));
        if told || ["NMI:", "MCE:"].iter().any(|kind| line.contains(kind)) {
            println!("{line}");
        }
    })?;
    let (mut ok, mut bad) = run.lines.iter().find_map(|line| counts(line)).unwrap_or_else(|| {
        println!("test {} ... FAILED: did not come to an end", machine.name);
        (0, 1)
    });
    let verdict = match machine.probe {
        Probe::Nothing => None,
        Probe::Nmi => Some(("NMIs during all this", events("NMI:", &run.lines))),
        Probe::MachineCheck => Some(("machine checks during all this", events("MCE:", &run.lines))),
        Probe::PageTables => Some((
            "page tables, from outside",
            pages(&run.tables).map(|seen| format!("{seen} times")),
        )),
    };
    match verdict {
        None => {}
        Some((name, Ok(seen))) => {
            println!("test probe: {name}: {seen} ... ok");
            ok = ok.saturating_add(1);
        }
        Some((name, Err(why))) => {
            println!("test probe: {name} ... FAILED: {why:#}");
            bad = bad.saturating_add(1);
        }
    }
    if bad > 0 {
        let end = run.lines.get(run.lines.len().saturating_sub(60)..).unwrap_or_default();
        eprintln!("--- the end of the console:\n{}\n---", end.join("\n"));
    }
    Ok((ok, bad))
}

/// From the runner's last line.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let (ok, bad) = rest.split_once(" passed, ")?;
    Some((ok.parse().ok()?, bad.strip_suffix(" failed")?.parse().ok()?))
}

/// How many of these /proc/interrupts shows on each CPU: enough to have met everything.
fn events(kind: &str, lines: &[String]) -> Result<String> {
    let line = lines.iter().find_map(|line| line.trim().strip_prefix(kind));
    let line = line.context("/proc/interrupts was not shown")?;
    let counts: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    ensure!(counts.len() == 2, "not two CPUs: {line}");
    ensure!(counts.iter().all(|count| *count >= 100), "too few: {counts:?}");
    Ok(format!("{counts:?}"))
}

/// The gates' page in a line of QEMU's `info mem`: whose tables these are, if it is there.
const GATES: u64 = 0x20_0000;
/// Where the text of a program at CPL 0 is in the tests.
const TEXT: u64 = 0x40_1000;

/// Checks the page tables: whenever a program at CPL 0 was current, no page of the user
/// half was a user page, and neither gates nor text were writable. How often that was.
fn pages(tables: &[String]) -> Result<usize> {
    let mut seen = 0usize;
    for table in tables {
        let ranges: Vec<_> = table.lines().filter_map(range).collect();
        let at = |address| ranges.iter().find(|r| r.0 <= address && address < r.1);
        if at(GATES).is_none() {
            continue;
        }
        seen = seen.saturating_add(1);
        for (from, to, rights) in ranges.iter().filter(|range| range.0 < 1 << 47) {
            ensure!(!rights.contains('u'), "{from:x}-{to:x} is a user page: {rights}");
        }
        for address in [GATES, TEXT] {
            let writable = at(address).is_some_and(|range| range.2.contains('w'));
            ensure!(!writable, "{address:x} is writable");
        }
    }
    ensure!(seen > 0, "no program at CPL 0 was seen in {} looks", tables.len());
    Ok(seen)
}

/// `FROM-TO SIZE RIGHTS`, as `info mem` prints it.
fn range(line: &str) -> Option<(u64, u64, &str)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let rights = words.nth(1)?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?, rights))
}

/// What a machine has shown.
pub(crate) struct Run {
    /// Its console.
    pub(crate) lines: Vec<String>,
    /// Page tables, as `info mem` prints them, each time.
    tables: Vec<String>,
}

/// What the machines of one run of this program are made from; removed at its end.
pub(crate) struct Files {
    directory: TempDir,
    /// More programs, by their names under /selftests.
    more: BTreeMap<String, PathBuf>,
    /// Programs that the judge admits.
    pub(crate) trusted: Trusted,
    /// Files, by their names in the archive.
    pub(crate) extra: BTreeMap<String, Vec<u8>>,
    /// Changed programs for `judges`.
    corpus: Vec<u8>,
}

impl Files {
    /// Compiles the programs.
    pub(crate) fn new() -> Result<Files> {
        ensure!(Path::new(BUSYBOX).exists(), "install, as root: apt-get install busybox-static");
        ensure!(kernel::on_path(QEMU), "install, as root: apt-get install qemu-system-x86");
        let files = Files {
            directory: tempfile::tempdir()?,
            more: BTreeMap::new(),
            trusted: Trusted::new()?,
            extra: BTreeMap::new(),
            corpus: Vec::new(),
        };
        files.compile(FREESTANDING, "life.c", "life")?;
        files.compile(FREESTANDING, "bench.c", "bench")?;
        files.compile(&[FREESTANDING, &["-DRING3"]].concat(), "bench.c", "bench3")?;
        for name in ["execs", "hogs", "judges", "others", "runner", "stress"] {
            let flags = ["-O2", "-Wall", "-static", "-pthread"];
            files.compile(&flags, &format!("{name}.c"), name)?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn compile(&self, flags: &[&str], source: &str, program: &str) -> Result<()> {
        let status = Command::new("cc")
            .args(flags)
            .arg("-o")
            .arg(self.path(program))
            .arg(root().join("kpatch/tests").join(source))
            .status()
            .context("cannot start cc")?;
        ensure!(status.success(), "{source} does not compile");
        Ok(())
    }

    /// A machine with one processor, whose nanoseconds are instructions.
    pub(crate) fn counted(
        &self,
        image: &Path,
        machine: &Machine,
        command: &str,
    ) -> Result<Command> {
        let mut qemu = self.emulator(image, machine, command)?;
        qemu.args(["-icount", "shift=0,sleep=off,align=off", "-smp", "1,sockets=1"]);
        Ok(qemu)
    }

    /// The machine as a process that is its console.
    fn emulator(&self, image: &Path, machine: &Machine, command: &str) -> Result<Command> {
        let mut digests = Vec::new();
        for name in ["life", "bench"] {
            digests.push(kernel::digest(&self.path(name))?);
        }
        let unjudged = match machine.more {
            More::Unlisted => String::new(),
            _ => format!("kml.unjudged={}", digests.join(",")),
        };
        let allow = match machine.more {
            More::Allow => format!("kml.allow={}", self.trusted.listed()?.join(",")),
            _ => String::new(),
        };
        let append = format!(
            "console=ttyS0 panic=-1 quiet no_timer_check {unjudged} {allow} {}",
            machine.append
        );
        let command = match machine.emulator {
            Emulator::Bochs => bochs::command(command),
            Emulator::Tcg | Emulator::TcgInTurns => command.to_string(),
        };
        let initramfs = self.initramfs(machine, &command)?;
        match machine.emulator {
            Emulator::Bochs => bochs::machine(self, image, machine.memory, &append, &initramfs),
            Emulator::Tcg => Ok(self.qemu("tcg", image, machine, &append, &initramfs)),
            Emulator::TcgInTurns => {
                Ok(self.qemu("tcg,thread=single", image, machine, &append, &initramfs))
            }
        }
    }

    /// QEMU, which emulates: counts are exact and no device of the host is needed.
    fn qemu(
        &self,
        accel: &str,
        image: &Path,
        machine: &Machine,
        append: &str,
        initramfs: &Path,
    ) -> Command {
        let mut qemu = dies_with_us(QEMU);
        qemu.args(["-accel", accel, "-cpu", machine.cpu, "-m", &machine.memory.to_string()])
            .args(["-smp", "2,sockets=2", "-display", "none", "-serial", "stdio"])
            .args(["-no-reboot", "-net", "none"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", append]);
        if machine.probe == Probe::Nothing {
            qemu.args(["-monitor", "none"]);
        } else {
            let socket = self.path("monitor");
            qemu.arg("-monitor").arg(format!("unix:{},server,nowait", socket.display()));
        }
        qemu
    }

    /// Runs a machine to its end, or kills it when it takes too long.
    pub(crate) fn boot(
        &self,
        mut qemu: Command,
        machine: &Machine,
        limit: Duration,
        mut see: impl FnMut(&str) + Send,
    ) -> Result<Run> {
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start QEMU")?;
        let output = child.stdout.take().context("QEMU has no console")?;
        let up = &AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut lines = Vec::new();
                let mut input = BufReader::new(output);
                let mut line = Vec::new();
                while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_string();
                    up.fetch_or(text == UP, Ordering::Relaxed);
                    see(&text);
                    lines.push(text);
                    line.clear();
                }
                lines
            });
            let tables = self.watch(&mut child, machine, limit, up)?;
            let Ok(lines) = reader.join() else { bail!("the console cannot be read") };
            Ok(Run { lines, tables })
        })
    }

    /// Waits for the end and probes meanwhile, once it is `up`: an NMI in the firmware is its end.
    fn watch(
        &self,
        child: &mut Child,
        machine: &Machine,
        limit: Duration,
        up: &AtomicBool,
    ) -> Result<Vec<String>> {
        let start = Instant::now();
        let mut tables = Vec::new();
        let mut monitor = None;
        while child.try_wait()?.is_none() {
            if start.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                break;
            }
            if machine.probe != Probe::Nothing && up.load(Ordering::Relaxed) {
                monitor = monitor.or_else(|| UnixStream::connect(self.path("monitor")).ok());
            }
            let asked = Instant::now();
            // A monitor that does not answer is that of a machine that has ended.
            match (machine.probe, &mut monitor) {
                (Probe::Nmi, Some(stream)) => {
                    drop(stream.write_all(b"cpu 0\nnmi\ncpu 1\nnmi\n"));
                }
                (Probe::MachineCheck, Some(stream)) => {
                    let checks = [0, 1].map(|cpu| format!("mce {cpu} {MACHINE_CHECK}\n"));
                    drop(stream.write_all(checks.concat().as_bytes()));
                }
                (Probe::PageTables, Some(stream)) => {
                    for cpu in [0, 1] {
                        tables.extend(walk::user_half(stream, cpu).ok());
                    }
                }
                _ => {}
            }
            let pause = match machine.probe {
                Probe::Nothing => Duration::from_millis(50),
                Probe::Nmi => Duration::from_millis(2),
                // One before the last has been looked at resets the CPU.
                Probe::MachineCheck => Duration::from_millis(50),
                // Meanwhile the machine has stood still.
                Probe::PageTables => asked.elapsed().saturating_mul(2),
            };
            thread::sleep(pause.max(Duration::from_millis(2)));
        }
        Ok(tables)
    }

    /// What tries the servers, by its names in the archive.
    fn clients(&self) -> Result<[(&'static str, PathBuf); 3]> {
        let small = self.path("xtask");
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&small).arg(std::env::current_exe()?);
        kernel::execute(&mut strip)?;
        let wrk = PathBuf::from("/usr/bin/wrk");
        ensure!(wrk.exists(), "install, as root: apt-get install wrk");
        Ok([("bin/xtask", small), ("bin/curl", "/usr/bin/curl".into()), ("bin/wrk", wrk)])
    }

    /// The archive that the kernel unpacks: programs, and the first process's script.
    fn initramfs(&self, machine: &Machine, command: &str) -> Result<PathBuf> {
        let mut archive = Archive::default();
        for name in ["bin", "cases", "dev", "lib", "lib64", "proc", "sys", "tmp", "trusted"] {
            archive.directory(name);
        }
        archive.file("bin/busybox", &fs::read(BUSYBOX)?);
        for name in [
            "trusted/life",
            "trusted/bench",
            "bin/bench3",
            "bin/runner",
            "bin/stress",
            "bin/execs",
            "bin/hogs",
            "bin/judges",
            "bin/others",
        ] {
            let program = name.rsplit('/').next().unwrap_or(name);
            archive.file(name, &fs::read(self.path(program))?);
        }
        for script in ["allow.sh", "script.sh", "coreutils.sh", "servers.sh", "tracked.sh"] {
            let text = fs::read(root().join("kpatch/tests").join(script))?;
            archive.file(&format!("bin/{script}"), &text);
        }
        for (name, content) in self.trusted.files()? {
            archive.file(&name, &content);
        }
        archive.file("cases/corpus", &self.corpus);
        for (name, content) in &self.extra {
            archive.file(name, content);
        }
        for program in DYNAMIC {
            dynamic(&mut archive, Path::new(program), &format!("debian{program}"))?;
        }
        match machine.more {
            More::Nothing | More::Unlisted | More::Allow => {}
            More::Clients => {
                for (name, path) in self.clients()? {
                    dynamic(&mut archive, &path, name)?;
                }
            }
            More::Objects => archive.file("cases/objects", &Trusted::objects()?),
            More::Hogs => {
                for (name, content) in self.trusted.hogs()? {
                    archive.file(&name, &content);
                }
            }
        }
        for (name, path) in &self.more {
            dynamic(&mut archive, path, &format!("selftests/{name}"))?;
        }
        archive.file("init", init(command).as_bytes());
        let path = self.path("initramfs");
        fs::write(&path, archive.end())?;
        Ok(path)
    }
}

/// A program that is killed when this one ends, however that comes about.
fn dies_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Sends a command to QEMU's monitor; what it prints until the next prompt.
fn ask(stream: &mut UnixStream, command: &str) -> Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.write_all(command.as_bytes())?;
    let mut text = Vec::new();
    let mut block = [0; 4096];
    while !text.ends_with(b"(qemu) ") {
        let n = stream.read(&mut block)?;
        ensure!(n > 0, "the monitor is closed");
        text.extend_from_slice(block.get(..n).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Flags for programs without a C library, laid out as a verified program is.
const FREESTANDING: &[&str] = &[
    "-O2",
    "-Wall",
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pie",
    "-no-pie",
    "-fcf-protection=branch",
    "-fno-jump-tables",
    "-fno-tree-loop-distribute-patterns",
    "-Wno-infinite-recursion",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
    "-Wl,-Ttext-segment=0x400000",
];

/// Programs of the host, dynamically linked, that run at CPL 0 in unverified mode.
const DYNAMIC: &[&str] = &[
    "/bin/bash",
    "/bin/cat",
    "/bin/cp",
    "/bin/date",
    "/bin/dd",
    "/bin/ls",
    "/bin/mkdir",
    "/bin/mv",
    "/bin/rm",
    "/bin/sed",
    "/bin/sleep",
    "/usr/bin/cut",
    "/usr/bin/expr",
    "/usr/bin/factor",
    "/usr/bin/head",
    "/usr/bin/nl",
    "/usr/bin/od",
    "/usr/bin/paste",
    "/usr/bin/seq",
    "/usr/bin/sha256sum",
    "/usr/bin/sort",
    "/usr/bin/tac",
    "/usr/bin/tr",
    "/usr/bin/wc",
];

/// What the first process says when it can begin.
const UP: &str = "the machine is up";

fn init(command: &str) -> String {
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin\n\
         busybox mkdir -p /dev /proc /sys /tmp\n\
         busybox mount -t proc proc /proc\n\
         busybox mount -t sysfs sys /sys\n\
         busybox mount -t devtmpfs dev /dev\n\
         busybox mount -t tmpfs tmp /tmp\n\
         busybox --install -s /bin\n\
         echo {UP}\n\
         {command}\n\
         reboot -f\n"
    )
}

/// A program of the host, by its name in the archive, and its libraries.
fn dynamic(archive: &mut Archive, program: &Path, name: &str) -> Result<()> {
    // The answer is no for a static program, which has none.
    let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        archive.with_parents(path.trim_start_matches('/'), &fs::read(path)?);
    }
    archive.with_parents(name, &fs::read(program)?);
    Ok(())
}

/// A cpio archive in the format that the kernel reads ("newc").
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    names: BTreeSet<String>,
}

impl Archive {
    fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_755, content);
    }

    /// A file and the directories above it.
    fn with_parents(&mut self, name: &str, content: &[u8]) {
        let parents: Vec<_> = Path::new(name).ancestors().skip(1).collect();
        for parent in parents.iter().rev().filter(|parent| !parent.as_os_str().is_empty()) {
            self.directory(&parent.to_string_lossy());
        }
        self.file(name, content);
    }

    /// Once each: the first of that name.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        if !self.names.insert(name.to_string()) {
            return;
        }
        self.entries = self.entries.saturating_add(1);
        let (size, length) = (content.len(), name.len().saturating_add(1));
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}\
             {length:08x}{:08x}",
            self.entries, 0, 0, 1, 0, 0, 0, 0, 0, 0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_last_line() {
        assert_eq!(counts("test result: ok. 57 passed, 0 failed"), Some((57, 0)));
        assert_eq!(counts("test result: FAILED. 55 passed, 2 failed"), Some((55, 2)));
        assert_eq!(counts("test cpl ... ok"), None);
    }

    const SPINNING: &str = "(qemu) info mem\r\n\
        0000000000200000-0000000000201000 0000000000001000 -r-\r\n\
        0000000000401000-0000000000403000 0000000000002000 -r-\r\n\
        0000000000404000-0000000000406000 0000000000002000 -rw\r\n\
        ffffff8000000000-ffffff8008000000 0000000008000000 -rw\r\n";

    #[test]
    fn page_tables_are_looked_at() -> Result<()> {
        let table = |from: &str, to: &str| vec![SPINNING.replace(from, to)];
        assert_eq!(pages(&table("", ""))?, 1);
        assert!(pages(&table("2000 -r-", "2000 -rw")).is_err(), "writable text");
        assert!(pages(&table("2000 -rw", "2000 urw")).is_err(), "a user page");
        assert!(pages(&table("0000000000200000-", "0000000000201000-")).is_err(), "nobody");
        Ok(())
    }

    /// The parent is, to be exact, the thread that has started it.
    #[test]
    fn machines_end_with_their_parent() -> Result<()> {
        let start = || -> Result<Child> {
            let child = dies_with_us("sleep").arg("60").spawn()?;
            // Only now is it the program and not what starts it.
            while !fs::read(format!("/proc/{}/cmdline", child.id()))?.starts_with(b"sleep") {
                thread::sleep(Duration::from_millis(5));
            }
            Ok(child)
        };
        let Ok(child) = thread::spawn(start).join() else { bail!("no thread") };
        let status = child?.wait()?;
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        Ok(())
    }

    #[test]
    fn archive_is_aligned() {
        let mut archive = Archive::default();
        archive.file("a", b"12345");
        let bytes = archive.end();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(bytes.get(110..112), Some(&b"a\0"[..]));
        assert_eq!(bytes.get(112..117), Some(&b"12345"[..]));
    }
}
