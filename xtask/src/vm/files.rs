//! Not trusted. What a machine is made from, and how it is started and watched.

use super::archive::{Archive, dynamic};
use super::machines::{Emulator, MACHINE_CHECK, Machine, More, Probe};
use super::{bochs, images, walk};
use crate::kernel;
use crate::run::root;
use crate::trusted::Trusted;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
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

/// What a machine has shown.
pub(crate) struct Run {
    /// Its console.
    pub(crate) lines: Vec<String>,
    /// Page tables, as `info mem` prints them, each time.
    pub(super) tables: Vec<String>,
}

impl Run {
    /// Prints the end of the console, where a test has failed.
    pub(super) fn show_end(&self) {
        let end = self.lines.get(self.lines.len().saturating_sub(60)..).unwrap_or_default();
        eprintln!("--- the end of the console:\n{}\n---", end.join("\n"));
    }
}

/// What the machines of one run of this program are made from; removed at its end.
pub(crate) struct Files {
    directory: TempDir,
    /// More programs, by their names under /selftests.
    pub(super) more: BTreeMap<String, PathBuf>,
    /// Programs that the judge admits.
    pub(crate) trusted: Trusted,
    /// Files, by their names in the archive.
    pub(crate) extra: BTreeMap<String, Vec<u8>>,
    /// Changed programs for `judges`.
    pub(super) corpus: Vec<u8>,
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
        for name in ["execs", "hogs", "judges", "others", "runner", "starts", "stress"] {
            let flags = ["-O2", "-Wall", "-static", "-pthread"];
            files.compile(&flags, &format!("{name}.c"), name)?;
        }
        Ok(files)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
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
    pub(super) fn emulator(
        &self,
        image: &Path,
        machine: &Machine,
        command: &str,
    ) -> Result<Command> {
        let mut digests = Vec::new();
        for name in ["life", "bench"] {
            digests.push(kernel::digest(&self.path(name))?);
        }
        if machine.more == More::Images {
            digests
                .extend(images::changed(&self.path("life"))?.values().map(|f| kernel::sha256(f)));
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
            Emulator::Bochs(_) => bochs::command(command),
            Emulator::Tcg | Emulator::TcgInTurns => command.to_string(),
        };
        let initramfs = self.initramfs(machine, &command)?;
        match machine.emulator {
            Emulator::Bochs(cpus) => {
                bochs::machine(self, image, cpus, machine.memory, &append, &initramfs)
            }
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
            "bin/starts",
            "bin/stress",
            "bin/execs",
            "bin/hogs",
            "bin/judges",
            "bin/others",
        ] {
            let program = name.rsplit('/').next().unwrap_or(name);
            archive.file(name, &fs::read(self.path(program))?);
        }
        for script in [
            "allow.sh",
            "gap.sh",
            "script.sh",
            "coreutils.sh",
            "servers.sh",
            "tracked.sh",
            "writes.sh",
        ] {
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
            More::Images => {
                for (name, file) in images::changed(&self.path("life"))? {
                    archive.file(&format!("trusted/{name}"), &file);
                }
            }
            More::Clients => {
                for (name, path) in self.clients()? {
                    dynamic(&mut archive, &path, name)?;
                }
            }
            More::Segments => archive.file("cases/segments", &Trusted::segments()?),
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
pub(super) fn dies_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Sends a command to QEMU's monitor; what it prints until the next prompt.
pub(super) fn ask(stream: &mut UnixStream, command: &str) -> Result<String> {
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
pub(super) const UP: &str = "the machine is up";

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
