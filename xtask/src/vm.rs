//! Not trusted. `cargo xtask vm`, `vm-test`, `vm-bench`: the patched kernel under QEMU.

use crate::kernel::{self, Flavor};
use crate::run::{root, step};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BUSYBOX: &str = "/bin/busybox";
const QEMU: &str = "qemu-system-x86_64";

/// One machine: what is different about it.
#[derive(Clone, Copy)]
struct Machine {
    name: &'static str,
    append: &'static str,
    cpu: &'static str,
    /// What the first process runs.
    command: &'static str,
    /// Non-maskable interrupts all the time.
    nmi: bool,
}

const PLAIN: Machine =
    Machine { name: "2 CPUs", append: "", cpu: "max", command: "runner", nmi: false };

const MACHINES: &[Machine] = &[
    PLAIN,
    Machine { name: "page table isolation", append: "pti=on", ..PLAIN },
    Machine { name: "4-level page tables, no KASLR", append: "no5lvl nokaslr", ..PLAIN },
    Machine { name: "no SMEP, SMAP, FSGSBASE", cpu: "qemu64", ..PLAIN },
    Machine { name: "careful gates", append: "kml.careful=1", ..PLAIN },
    Machine {
        name: "NMIs",
        command: "runner --only interrupts && grep NMI: /proc/interrupts",
        nmi: true,
        ..PLAIN
    },
    Machine {
        name: "unverified mode",
        append: "kml.unverified=1",
        command: "runner --unverified",
        ..PLAIN
    },
];

const LONG: Machine =
    Machine { name: "100 beside 100 for a minute", command: "runner --crowd", ..PLAIN };

/// `cargo xtask vm [-- CMD]`: runs a command in the machine, or a shell.
pub(crate) fn run(command: &[String]) -> Result<()> {
    let image = kernel::build(Flavor::Nano)?;
    let command = command.join(" ");
    let shell = command.is_empty();
    let initramfs = initramfs(if shell { "sh" } else { &command })?;
    let mut qemu = qemu(&image, &initramfs, &PLAIN, 512)?;
    if !shell {
        qemu.stdin(Stdio::null());
    }
    let status = qemu.status().context("cannot start QEMU")?;
    ensure!(status.success(), "QEMU failed: {status}");
    Ok(())
}

/// `cargo xtask vm-test`: boots the machines and runs the tests.
pub(crate) fn test(debug: bool, long: bool) -> Result<()> {
    let flavor = if debug { Flavor::Debug } else { Flavor::Nano };
    let image = kernel::build(flavor)?;
    let memory = if debug { 1024 } else { 512 };
    let limit = Duration::from_secs(if debug || long { 3600 } else { 1200 });
    let (mut passed, mut failed) = (0usize, 0usize);
    let machines = if long { &[LONG][..] } else { MACHINES };
    for machine in machines {
        step(machine.name);
        let initramfs = initramfs(machine.command)?;
        let log = boot(qemu(&image, &initramfs, machine, memory)?, machine, limit)?;
        let result = log.iter().find_map(|line| counts(line));
        for line in log.iter().filter(|line| line.starts_with("test ") || line.contains("NMI:")) {
            println!("{line}");
        }
        if let Some((ok, bad)) = result {
            passed = passed.saturating_add(ok);
            failed = failed.saturating_add(bad);
        }
        if result.is_none_or(|(_, bad)| bad > 0) {
            let end = log.get(log.len().saturating_sub(60)..).unwrap_or_default();
            eprintln!("--- the end of the console:\n{}\n---", end.join("\n"));
        }
        if result.is_none() {
            failed = failed.saturating_add(1);
            println!("test {} ... FAILED: did not come to an end", machine.name);
        }
    }
    println!("\ntotal: {passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} tests failed");
    Ok(())
}

/// From the runner's last line.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let (ok, bad) = rest.split_once(" passed, ")?;
    Some((ok.parse().ok()?, bad.strip_suffix(" failed")?.parse().ok()?))
}

/// `cargo xtask vm-bench`: guest instructions per call.
pub(crate) fn bench() -> Result<()> {
    let image = kernel::build(Flavor::Nano)?;
    let command = "bench3 </init; \
        set -- $(grep -E ' __x64_sys_(getpid|pread64)$' /proc/kallsyms \
        | sort -k3 | cut -d' ' -f1); \
        /trusted/bench $1 $2 </init";
    let initramfs = initramfs(command)?;
    let machine = Machine { append: "nokaslr", ..PLAIN };
    let mut qemu = qemu(&image, &initramfs, &machine, 512)?;
    qemu.args(["-icount", "shift=0,sleep=off,align=off", "-smp", "1,sockets=1"]);
    let log = boot(qemu, &machine, Duration::from_secs(1200))?;
    let mut counts = BTreeMap::new();
    for line in &log {
        let words: Vec<_> = line.split(' ').collect();
        if let [function, way, count] = words.as_slice()
            && let Ok(count) = count.parse::<u64>()
        {
            counts.insert(((*function).to_string(), (*way).to_string()), count);
        }
    }
    ensure!(!counts.is_empty(), "no counts; the console was:\n{}", log.join("\n"));
    let count = |function: &str, way: &str| counts.get(&(function.into(), way.into())).copied();
    println!("guest instructions per call, and how many more than the function itself\n");
    println!(
        "{:15}{:>10}{:>18}{:>18}{:>18}",
        "", "function", "SYSCALL, CPL 3", "gate", "fast gate"
    );
    for function in ["getpid", "pread", "clock_gettime"] {
        let bare = count(function, "bare");
        let cell = |way: &str| match (count(function, way), bare) {
            (Some(n), Some(bare)) => format!("{n} (+{})", n.saturating_sub(bare)),
            (Some(n), None) => n.to_string(),
            (None, _) => "-".into(),
        };
        let alone = bare.map_or("-".into(), |n| n.to_string());
        let (a, b, c) = (cell("syscall"), cell("gate"), cell("fast"));
        println!("{function:15}{alone:>10}{a:>18}{b:>18}{c:>18}");
    }
    Ok(())
}

/// QEMU, which emulates: counts are exact and no device of the host is needed.
fn qemu(image: &Path, initramfs: &Path, machine: &Machine, memory: u32) -> Result<Command> {
    ensure!(kernel::on_path(QEMU), "install, as root: apt-get install qemu-system-x86");
    let mut digests = Vec::new();
    for name in ["life", "bench"] {
        digests.push(kernel::digest(&programs().join(name))?);
    }
    let append = format!(
        "console=ttyS0 panic=-1 quiet no_timer_check kml.allow={} {}",
        digests.join(","),
        machine.append
    );
    let mut command = Command::new(QEMU);
    command
        .args(["-accel", "tcg", "-cpu", machine.cpu, "-m", &memory.to_string()])
        .args(["-smp", "2,sockets=2", "-display", "none", "-serial", "stdio"])
        .args(["-no-reboot", "-net", "none"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &append]);
    if machine.nmi {
        command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor().display()));
    } else {
        command.args(["-monitor", "none"]);
    }
    Ok(command)
}

/// Runs a machine to its end; what it wrote to its console.
fn boot(mut qemu: Command, machine: &Machine, limit: Duration) -> Result<Vec<String>> {
    let mut child =
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start QEMU")?;
    let output = child.stdout.take().context("QEMU has no console")?;
    let reader = thread::spawn(move || {
        let mut lines = Vec::new();
        let mut input = BufReader::new(output);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            lines.push(String::from_utf8_lossy(&line).trim_end().to_string());
            line.clear();
        }
        lines
    });
    watch(&mut child, machine, limit)?;
    let Ok(lines) = reader.join() else { bail!("the console cannot be read") };
    Ok(lines)
}

/// Waits for the end, sends NMIs meanwhile if that is wanted, kills when it takes too long.
fn watch(child: &mut Child, machine: &Machine, limit: Duration) -> Result<()> {
    let start = Instant::now();
    let mut line = None;
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        if machine.nmi {
            line = line.or_else(|| UnixStream::connect(monitor()).ok());
            if let Some(stream) = &mut line
                && stream.write_all(b"nmi\n").is_err()
            {
                line = None;
            }
        }
        thread::sleep(Duration::from_millis(if machine.nmi { 2 } else { 50 }));
    }
    Ok(())
}

fn monitor() -> PathBuf {
    kernel::cache().join("monitor")
}

fn programs() -> PathBuf {
    kernel::cache().join("programs")
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
    "-fcf-protection=none",
    "-fno-tree-loop-distribute-patterns",
    "-Wno-infinite-recursion",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
    "-Wl,-Ttext-segment=0x400000",
];

fn compile(flags: &[&str], source: &str, program: &str) -> Result<()> {
    let status = Command::new("cc")
        .args(flags)
        .arg("-o")
        .arg(programs().join(program))
        .arg(root().join("kpatch/tests").join(source))
        .status()
        .context("cannot start cc")?;
    ensure!(status.success(), "{source} does not compile");
    Ok(())
}

/// The archive that the kernel unpacks: programs, and the first process's script.
fn initramfs(command: &str) -> Result<PathBuf> {
    ensure!(Path::new(BUSYBOX).exists(), "install, as root: apt-get install busybox-static");
    fs::create_dir_all(programs())?;
    compile(FREESTANDING, "life.c", "life")?;
    compile(FREESTANDING, "bench.c", "bench")?;
    compile(&[FREESTANDING, &["-DRING3"]].concat(), "bench.c", "bench3")?;
    compile(&["-O2", "-Wall", "-static", "-pthread"], "runner.c", "runner")?;

    let mut archive = Archive::default();
    for name in ["bin", "dev", "lib", "lib64", "proc", "sys", "tmp", "trusted"] {
        archive.directory(name);
    }
    archive.file("bin/busybox", &fs::read(BUSYBOX)?);
    for (name, place) in
        [("life", "trusted"), ("bench", "trusted"), ("bench3", "bin"), ("runner", "bin")]
    {
        archive.file(&format!("{place}/{name}"), &fs::read(programs().join(name))?);
    }
    archive.file("bin/script.sh", &fs::read(root().join("kpatch/tests/script.sh"))?);
    bash(&mut archive)?;
    archive.file("init", init(command).as_bytes());
    let path = kernel::cache().join("initramfs");
    File::create(&path)?.write_all(&archive.end())?;
    Ok(path)
}

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
         {command}\n\
         reboot -f\n"
    )
}

/// Bash and its libraries, where the host has them dynamically linked.
fn bash(archive: &mut Archive) -> Result<()> {
    let Ok(output) = Command::new("ldd").arg("/bin/bash").output() else { return Ok(()) };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    for path in libraries.chain(["/bin/bash"]) {
        let name = path.trim_start_matches('/');
        let mut parents: Vec<_> = Path::new(name).ancestors().skip(1).collect();
        parents.pop();
        for parent in parents.iter().rev() {
            archive.directory(&parent.to_string_lossy());
        }
        archive.file(name, &fs::read(path)?);
    }
    Ok(())
}

/// A cpio archive in the format that the kernel reads ("newc").
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_755, content);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
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
