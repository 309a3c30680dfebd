//! Not trusted. Does the kernel see that it must not run programs at CPL 0 on this CPU, or how?
//!
//! No CPU that QEMU or Bochs emulates has FRED, and none of QEMU's has what restrains speculation.
//! So the kernel is made to believe it has: through QEMU's gdb stub it is stopped before it looks
//! at the features for good, and the features' bits are set. What the kernel then decides can be
//! seen; what the CPU would make of it cannot.

use super::files::Files;
use super::machines::{Machine, PLAIN};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Features, and what the console has to show.
struct Case {
    name: &'static str,
    /// Their numbers, as in `cpufeatures.h`: word and bit.
    bits: &'static [(u64, u8)],
    /// The function where they are known and nothing depends on them yet.
    stop: &'static str,
    command: &'static str,
    says: &'static [&'static str],
    never: &'static str,
    /// Only the kernel of the long tests knows of it.
    long: bool,
}

const LIFE: &str = "/trusted/life cpl; echo status $?";

/// A program that waits, and what the kernel says of it, of the shell, and altogether.
const WAITS: &str = concat!(
    "mkfifo /tmp/fifo; /trusted/cat < /tmp/fifo & p=$!; exec 9> /tmp/fifo; sleep 1; ",
    "for i in $p $$; do [ $i = $p ] && who=program || who=shell; ",
    "sed -n \"s/^Specul[a-z]*_*/$who: /p\" /proc/$i/status; done; ",
    "grep : /proc/kml; exec 9>&-; wait",
);

const OPEN: &str = "kml: programs at CPL 0 are open to others' speculation";

const CASES: &[Case] = &[
    // With this one the kernel dies where it first returns to user mode: the line is all there is.
    Case {
        name: "FRED",
        bits: &[(12, 17)],
        stop: "alternative_instructions",
        command: LIFE,
        says: &["kml: no programs at CPL 0: FRED"],
        never: "status 0",
        long: true,
    },
    // IBPB, SSBD, SSBD by MSR_SPEC_CTRL, and that the CPU lets loads overtake stores.
    Case {
        name: "barriers for branch predictions, no store bypass",
        bits: &[(7, 26), (7, 17), (18, 31), (22, 17)],
        stop: "cpu_select_mitigations",
        command: WAITS,
        says: &[
            "program: Store_Bypass:\tthread mitigated",
            "program: IndirectBranch:\tconditional disabled",
            "shell: Store_Bypass:\tthread vulnerable",
            "shell: IndirectBranch:\tconditional enabled",
            "branch predictions kept apart: 1",
            "store bypass disabled: 1",
        ],
        never: OPEN,
        long: false,
    },
    Case {
        name: "none of these",
        bits: &[],
        stop: "",
        command: LIFE,
        says: &["kml: programs under /trusted run", OPEN, "status 0"],
        never: "kml: no programs at CPL 0",
        long: false,
    },
];

/// NCAPINTS + NBUGINTS: words of `x86_capability`, which `x86_vendor_id` follows.
const WORDS: usize = 24;

/// Boots the kernel once for each feature and once without; how many passed and failed.
pub(super) fn test(files: &Files, image: &Path, long: bool) -> Result<(usize, usize)> {
    let objects = image.ancestors().nth(4).context("the image is not in a build")?;
    let map = fs::read_to_string(objects.join("System.map"))?;
    let (mut passed, mut failed) = (0usize, 0usize);
    for case in CASES.iter().filter(|case| long || !case.long) {
        let verdict = says(files, image, &map, case)?;
        println!("test features: {} ... {}", case.name, if verdict { "ok" } else { "FAILED" });
        *(if verdict { &mut passed } else { &mut failed }) += 1;
    }
    Ok((passed, failed))
}

/// Does the console have all the lines, and not the other?
fn says(files: &Files, image: &Path, map: &str, case: &Case) -> Result<bool> {
    let machine = Machine { append: "nokaslr loglevel=7", ..PLAIN };
    let mut qemu = files.emulator(image, &machine, case.command)?;
    let socket = files.path("gdb");
    // One CPU: another would be asked for the feature when it is started.
    qemu.args(["-smp", "1,sockets=1", "-S", "-gdb"]);
    qemu.arg(format!("unix:{},server,nowait", socket.display()));
    let run = thread::scope(|scope| {
        let stub = scope.spawn(|| pretend(&socket, map, case));
        let run = files.boot(qemu, &machine, Duration::from_secs(60), |_| ())?;
        let Ok(done) = stub.join() else { bail!("the gdb stub cannot be used") };
        done.map(|()| run)
    })?;
    let shown = |words: &str| run.lines.iter().any(|line| line.contains(words));
    let good = case.says.iter().all(|words| shown(words)) && !shown(case.never);
    if !good {
        run.show_end();
    }
    Ok(good)
}

/// Stops where the features are known and nothing depends on them yet, and sets the bits.
fn pretend(socket: &Path, map: &str, case: &Case) -> Result<()> {
    let mut stub = Stub::connect(socket)?;
    if !case.bits.is_empty() {
        let stop = symbol(map, case.stop)?;
        ensure!(stub.ask(&format!("Z1,{stop:x},1"))? == "OK", "no breakpoint");
        stub.ask("c")?;
        stub.ask(&format!("z1,{stop:x},1"))?;
        for bit in case.bits {
            set(&mut stub, symbol(map, "boot_cpu_data")?, *bit)?;
        }
    }
    stub.ask("D")?;
    Ok(())
}

/// Sets a bit of `boot_cpu_data.x86_capability`, which ends where the vendor's name begins.
fn set(stub: &mut Stub, data: u64, (word, bit): (u64, u8)) -> Result<()> {
    let bytes = stub.read(data, 512)?;
    let vendors = [&b"AuthenticAMD"[..], b"GenuineIntel"];
    let vendor = bytes
        .windows(12)
        .position(|window| vendors.contains(&window))
        .context("boot_cpu_data has no vendor")?;
    let start = vendor.checked_sub(WORDS * 4).context("boot_cpu_data is laid out otherwise")?;
    let byte = data + start as u64 + word * 4 + u64::from(bit / 8);
    let old = *stub.read(byte, 1)?.first().context("nothing was read")?;
    ensure!(old & (1 << (bit % 8)) == 0, "the CPU has the feature");
    let reply = stub.ask(&format!("M{byte:x},1:{:02x}", old | (1 << (bit % 8))))?;
    ensure!(reply == "OK", "the bit cannot be set: {reply}");
    Ok(())
}

/// The address of a symbol in System.map.
fn symbol(map: &str, name: &str) -> Result<u64> {
    let line = map.lines().find(|line| line.split(' ').nth(2) == Some(name));
    let address = line.and_then(|line| line.split(' ').next());
    Ok(u64::from_str_radix(address.with_context(|| format!("no symbol {name}"))?, 16)?)
}

/// The other end of gdb's remote protocol.
struct Stub {
    stream: UnixStream,
}

impl Stub {
    /// QEMU makes the socket some time after it was started.
    fn connect(socket: &Path) -> Result<Stub> {
        for _ in 0..200 {
            if let Ok(stream) = UnixStream::connect(socket) {
                stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                return Ok(Stub { stream });
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("QEMU has no gdb stub")
    }

    /// Sends a command; the reply.
    fn ask(&mut self, command: &str) -> Result<String> {
        write!(self.stream, "${command}#{:02x}", checksum(command.as_bytes()))?;
        let mut reply = Vec::new();
        while self.byte()? != b'$' {}
        loop {
            match self.byte()? {
                b'#' => break,
                byte => reply.push(byte),
            }
        }
        // Two digits of checksum: the stream is a socket, nothing gets lost.
        self.byte()?;
        self.byte()?;
        self.stream.write_all(b"+")?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).context("the gdb stub is silent")?;
        Ok(byte[0])
    }

    fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        let reply = self.ask(&format!("m{address:x},{size:x}"))?;
        (0..reply.len() / 2)
            .map(|i| {
                let digits = reply.get(i * 2..i * 2 + 2).context("half a byte")?;
                Ok(u8::from_str_radix(digits, 16)?)
            })
            .collect()
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_protocol() {
        assert_eq!(checksum(b"OK"), 0x9a);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn symbols_are_found_by_their_whole_names() -> Result<()> {
        let map = "ffffffff81000000 T _text\nffffffff818a7840 D boot_cpu_data\n";
        assert_eq!(symbol(map, "boot_cpu_data")?, 0xffff_ffff_818a_7840);
        assert!(symbol(map, "boot_cpu").is_err());
        Ok(())
    }
}
