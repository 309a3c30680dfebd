//! Not trusted. Judged programs for the machine: the examples and the programs that call every
//! function of the interface, what they do in user mode, and a corpus of changed files with the
//! verdicts of user mode.

use crate::demo;
use crate::kernel::hex;
use crate::offers::Offer;
use crate::run::{root, step};
use anyhow::{Context, Result, bail, ensure};
use loader::{Refusal, interface, verify};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tal_core::image::Interface;

/// Sources, without `.tal`: by their last part they lie in /trusted.
const PROGRAMS: &[&str] = &[
    "examples/args",
    "examples/base64",
    "examples/cat",
    "examples/echo",
    "examples/hello",
    "examples/httpd",
    "examples/primes",
    "examples/sha256sum",
    "examples/sort",
    "examples/wc",
    "examples/wordfreq",
    "examples/tests/bump",
    "examples/tests/bytes",
    "examples/tests/date",
    "examples/tests/fmt",
    "examples/tests/foreach",
    "examples/tests/list",
    "examples/tests/matrix",
    "examples/tests/pool",
    "examples/tests/search",
    "examples/tests/sorting",
    "examples/tests/table",
    "examples/tests/tokens",
    "examples/tests/vector",
    "tests/interface/events",
    "tests/interface/files",
    "tests/interface/process",
    "tests/interface/sockets",
    "kpatch/tests/writes",
];

/// Programs that serve until they are killed.
const SERVERS: &[&str] = &["echo", "httpd"];
/// Programs that run without input, in an empty directory, and end with 0.
const INTERFACE: &[&str] = &["events", "files", "process", "sockets"];

/// A run: arguments, and what stands on standard input.
struct Case {
    program: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
}

/// Runs beside one of each program with [`TEXT`] as its input.
const CASES: &[Case] = &[
    Case { program: "args", arguments: &["one", "", "three words here", "-n"], input: "nothing" },
    Case { program: "cat", arguments: &["text", "-", "bytes"], input: "text" },
    Case { program: "cat", arguments: &["missing"], input: "nothing" },
    Case { program: "wc", arguments: &["text"], input: "nothing" },
    Case { program: "wc", arguments: &["missing"], input: "nothing" },
    Case { program: "wc", arguments: &[], input: "bytes" },
    Case { program: "wc", arguments: &[], input: "nothing" },
    Case { program: "sort", arguments: &["ignored"], input: "text" },
    Case { program: "sort", arguments: &[], input: "nothing" },
    Case { program: "base64", arguments: &[], input: "bytes" },
    Case { program: "base64", arguments: &[], input: "nothing" },
    Case { program: "sha256sum", arguments: &["ignored"], input: "bytes" },
    Case { program: "sha256sum", arguments: &[], input: "nothing" },
    Case { program: "wordfreq", arguments: &["the", "LICENSE", "-2", "no-word"], input: "text" },
    Case { program: "wordfreq", arguments: &[], input: "bytes" },
];

const TEXT: &str = "text";

/// Programs and what belongs to them, by their names in the machine.
pub(crate) struct Trusted {
    programs: BTreeMap<String, Vec<u8>>,
    load: PathBuf,
    directory: PathBuf,
}

impl Trusted {
    /// Assembles what the checker accepts.
    pub(crate) fn new() -> Result<Trusted> {
        let binaries = demo::build()?;
        let directory = root().join("target/trusted");
        fs::create_dir_all(&directory)?;
        let mut programs = BTreeMap::new();
        for source in PROGRAMS {
            let name = name_of(source);
            let output = directory.join(name);
            let mut assemble = Command::new(binaries.join("tal-asm"));
            assemble.arg(root().join(format!("{source}.tal"))).arg("-o").arg(&output);
            let done = assemble.stderr(Stdio::null()).status()?;
            if done.success() {
                programs.insert(name.to_string(), fs::read(output)?);
            } else {
                bail!("{source}.tal is not accepted");
            }
        }
        let inputs = directory.join("cases");
        fs::create_dir_all(&inputs)?;
        fs::write(inputs.join("nothing"), b"")?;
        fs::write(inputs.join(TEXT), fs::read(root().join("LICENSE-MIT"))?)?;
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| ((i * i) >> 5) as u8).collect();
        fs::write(inputs.join("bytes"), bytes)?;
        Ok(Trusted { programs, load: binaries.join("tal-load"), directory })
    }

    /// What goes into the machine: `/trusted/*`, and inputs and expected outputs in `/cases`.
    pub(crate) fn files(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for (name, content) in &self.programs {
            files.insert(format!("trusted/{name}"), content.clone());
        }
        for name in ["nothing", TEXT, "bytes"] {
            files.insert(format!("cases/{name}"), fs::read(self.input(name))?);
        }
        let mut script = String::from(PRELUDE);
        for (number, case) in (0..).zip(self.cases()) {
            let expected = self.expected(&case)?;
            files.insert(format!("cases/{number}.out"), expected);
            let _ = write!(script, "t {number} {} /trusted/{}", case.input, case.program);
            for argument in case.arguments {
                let _ = write!(script, " '{argument}'");
            }
            script.push('\n');
        }
        for name in INTERFACE.iter().filter(|name| self.programs.contains_key(**name)) {
            let _ = writeln!(script, "i {name}");
        }
        for (number, (name, content)) in (0..).zip(self.refused()?) {
            let words = match verify(&content, &interface::embedded()?) {
                Ok(_) => bail!("{name} is not refused"),
                Err(refusal) => refusal.to_string(),
            };
            files.insert(format!("trusted/refused{number}"), content);
            files.insert(format!("cases/refused{number}"), words.into_bytes());
            let _ = writeln!(script, "r {number} '{name}'");
        }
        script.push_str(POLICY);
        files.insert("bin/judged.sh".into(), script.into_bytes());
        Ok(files)
    }

    fn input(&self, name: &str) -> PathBuf {
        self.directory.join("cases").join(name)
    }

    fn cases(&self) -> Vec<Case> {
        let plain = PROGRAMS
            .iter()
            .map(|source| name_of(source))
            .filter(|name| !SERVERS.contains(name) && !INTERFACE.contains(name))
            .map(|program| Case { program, arguments: &[], input: TEXT });
        let more = CASES.iter().map(|case| Case { ..*case });
        plain.chain(more).filter(|case| self.programs.contains_key(case.program)).collect()
    }

    /// Output and exit status in user mode, as the script in the machine writes them.
    fn expected(&self, case: &Case) -> Result<Vec<u8>> {
        let mut run = Command::new(&self.load);
        run.arg("run").arg(self.directory.join(case.program)).args(case.arguments);
        run.current_dir(self.directory.join("cases"));
        let output = run.stdin(fs::File::open(self.input(case.input))?).output()?;
        let status = output.status.code().with_context(|| format!("{} died", case.program))?;
        let mut bytes = output.stdout;
        bytes.extend(format!("status {status}\n").bytes());
        Ok(bytes)
    }

    /// All of them by name.
    pub(crate) fn programs(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.programs
    }

    /// The assembler.
    pub(crate) fn assembler(&self) -> PathBuf {
        self.load.with_file_name("tal-asm")
    }

    /// What `allow.sh` wants to be in `kml.allow`: a good program, a bad one, and nothing else.
    pub(crate) fn listed(&self) -> Result<Vec<String>> {
        let hello = self.programs.get("hello").context("no hello")?;
        let refused = self.refused()?;
        let (_, bad) = refused.get(2).context("no refused program")?;
        Ok([hello, bad].map(|file| hex(&Sha256::digest(file))).to_vec())
    }

    /// A program of ten megabytes, hostile files (compressed, since they are large) and the words
    /// that refuse them.
    pub(crate) fn hogs(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        files.insert("trusted/ten".to_string(), crate::offers::ten(&self.assembler())?);
        for (number, offer) in (0..).zip(crate::offers::hostile()?) {
            let path = self.directory.join("hog");
            fs::write(&path, &offer.file)?;
            let gz = Command::new("gzip").arg("-c").arg(&path).output().context("gzip")?;
            ensure!(gz.status.success(), "gzip: {}", gz.status);
            files.insert(format!("cases/hog{number}.gz"), gz.stdout);
            files.insert(format!("cases/hog{number}"), crate::offers::words(&offer)?.into_bytes());
        }
        Ok(files)
    }

    /// Files that are no programs, and changed programs that the judge refuses.
    fn refused(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let wc = self.programs.get("wc").context("no wc")?;
        let mut refused = vec![
            ("cut off".to_string(), wc.get(..3000).unwrap_or_default().to_vec()),
            ("an ordinary program".to_string(), fs::read("/bin/busybox")?),
        ];
        let interface = interface::embedded()?;
        let image = loader::Image::parse(wc).map_err(|error| anyhow::anyhow!("wc: {error}"))?;
        let text = image.text().as_ptr().addr().saturating_sub(wc.as_ptr().addr());
        // Annotations for another interface: a bit of its digest.
        let notes = image.annotations().as_ptr().addr().saturating_sub(wc.as_ptr().addr());
        let mut other = wc.clone();
        if let Some(byte) = other.get_mut(notes.saturating_add(crate::offers::DIGEST.start)) {
            *byte ^= 1;
        }
        // Each byte made `hlt`, until there are as many refusals as the log takes in a burst.
        for at in (0..image.text().len()).step_by(37) {
            let mut changed = wc.clone();
            if let Some(byte) = changed.get_mut(text.saturating_add(at)) {
                *byte = 0xF4;
            }
            if refused.len() < 7 && matches!(verify(&changed, &interface), Err(Refusal::Code(_))) {
                refused.push((format!("hlt at {at:#x}"), changed));
            }
        }
        refused.push(("written for another interface".to_string(), other));
        Ok(refused)
    }

    /// `count` changed programs as `judges.c` reads them, with the verdicts of user mode.
    pub(crate) fn corpus(&self, count: usize) -> Result<Vec<u8>> {
        let programs: Vec<&Vec<u8>> = self.programs.values().collect();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut choose = || {
            let which = random.below(programs.len());
            let changes = programs.get(which).map(|program| random.changes(program));
            (which, changes.unwrap_or_default())
        };
        let changed: Vec<_> = (0..count).map(|_| choose()).collect();
        let (list, accepted) = offers(&programs, &changed)?;
        step(&format!("{count} changed programs, {accepted} of them still safe"));
        Ok(list)
    }

    /// The programs of other tests as they are, in the same form.
    pub(crate) fn objects() -> Result<Vec<u8>> {
        Ok(Trusted::unchanged(&crate::offers::objects()?)?.0)
    }

    /// Shapes of program headers, in the same form.
    pub(crate) fn segments() -> Result<Vec<u8>> {
        let files = crate::offers::segments()?;
        let (list, accepted) = Trusted::unchanged(&files)?;
        let run = files.iter().filter(|file| file.name.starts_with("runs-")).count();
        ensure!(accepted == run, "{accepted} are admitted, {run} should run");
        Ok(list)
    }

    fn unchanged(objects: &[Offer]) -> Result<(Vec<u8>, usize)> {
        let programs: Vec<&Vec<u8>> = objects.iter().map(|offer| &offer.file).collect();
        let unchanged: Vec<_> = (0..programs.len()).map(|which| (which, Vec::new())).collect();
        let (list, accepted) = offers(&programs, &unchanged)?;
        step(&format!("{} programs of tests, {accepted} of them safe", programs.len()));
        Ok((list, accepted))
    }
}

/// A change of a file: where, and the new byte.
type Change = (usize, u8);

/// A list as `judges.c` reads it: programs, and which of them, how changed, have which verdict. How
/// many are accepted.
fn offers(programs: &[&Vec<u8>], changed: &[(usize, Vec<Change>)]) -> Result<(Vec<u8>, usize)> {
    let interface = interface::embedded()?;
    let mut list = Vec::new();
    put(&mut list, programs.len());
    for program in programs {
        put(&mut list, program.len());
        list.extend_from_slice(program);
    }
    put(&mut list, changed.len());
    let mut accepted = 0_usize;
    for (which, changes) in changed {
        let mut file = (*programs.get(*which).context("no such program")?).clone();
        put(&mut list, *which);
        put(&mut list, changes.len());
        for (at, value) in changes {
            put(&mut list, *at);
            put(&mut list, usize::from(*value));
            if let Some(byte) = file.get_mut(*at) {
                *byte = *value;
            }
        }
        let (reason, words) = verdict(&file, &interface);
        accepted = accepted.saturating_add(usize::from(reason == 0));
        put(&mut list, usize::try_from(reason)?);
        list.extend(fnv(&words).to_le_bytes());
    }
    Ok((list, accepted))
}

/// The verdict in numbers (`enum tal_reason`) and words, as the kernel gives it.
pub(crate) fn verdict(file: &[u8], interface: &Interface) -> (u32, Vec<u8>) {
    match verify(file, interface) {
        Ok(_) => (0, Vec::new()),
        Err(refusal) => {
            let reason = match refusal {
                Refusal::File(_) => 1,
                Refusal::Code(_) => 2,
                Refusal::Start => 3,
            };
            let mut words = refusal.to_string().into_bytes();
            words.truncate(256);
            (reason, words)
        }
    }
}

/// Little-endian, 32 bits.
fn put(list: &mut Vec<u8>, number: usize) {
    list.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

/// FNV-1a, 32 bits.
fn fnv(bytes: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811C_9DC5, step)
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// One to three bytes of text or annotations, now and then of anything.
    fn changes(&mut self, file: &[u8]) -> Vec<(usize, u8)> {
        let image = loader::Image::parse(file);
        let place = |part: &[u8]| (part.as_ptr().addr() - file.as_ptr().addr(), part.len());
        let parts = image.map_or(vec![(0, file.len())], |image| {
            vec![place(image.text()), place(image.annotations()), (0, file.len())]
        });
        let mut changes = Vec::new();
        for _ in 0..=self.below(3) {
            // Twice as often text as anything.
            let (start, length) = match self.below(5) {
                0 | 1 => parts.first(),
                2 | 3 => parts.get(1),
                _ => parts.last(),
            }
            .copied()
            .unwrap_or((0, file.len()));
            let at = start + self.below(length);
            let old = file.get(at).copied().unwrap_or(0);
            let value = match self.below(3) {
                0 => old ^ (1 << self.below(8)),
                1 => (self.next() >> 32) as u8,
                _ => file.get(self.below(file.len())).copied().unwrap_or(0),
            };
            changes.push((at, value));
        }
        changes
    }
}

fn name_of(source: &'static str) -> &'static str {
    source.rsplit('/').next().unwrap_or(source)
}

/// `t NUMBER INPUT PROGRAM ARGUMENT..`: a run at CPL 0 against what it does in user mode.
/// `i NAME`: a program that checks itself. `r NUMBER NAME`: a refusal, in the words of user mode.
const PRELUDE: &str = r#"ok=0; bad=0
verdict() {
    if [ "$1" = 0 ]; then ok=$((ok + 1)); echo "test ring 0: $2 ... ok"
    else bad=$((bad + 1)); echo "test ring 0: $2 ... FAILED"; fi
}
busybox ip link set lo up 2>/dev/null
cd /cases
t() {
    number=$1; input=$2; shift 2
    timeout 60 "$@" < "$input" > /tmp/out 2> /tmp/err; echo "status $?" >> /tmp/out
    cmp /tmp/out "$number.out" > /tmp/cmp 2>&1; result=$?
    verdict $result "$*"
    [ $result = 0 ] || { cat /tmp/cmp /tmp/err; tail -c 300 /tmp/out; }
}
i() {
    mkdir -p /tmp/empty; cd /tmp/empty
    timeout 60 /trusted/$1 < /dev/null; result=$?; cd /cases
    verdict $result "interface: $1, step $result"
}
r() {
    "/trusted/refused$1" 2> /dev/null; status=$?
    dmesg | grep -F "kml: /trusted/refused$1: refused: $(cat refused$1)" > /dev/null
    [ "$status $?" = "126 0" ]; result=$?
    verdict $result "refused in the words of user mode: $2"
    [ $result = 0 ] || { cat refused$1; echo; dmesg | tail -1; }
}
"#;

/// Who may run programs, and what is counted.
const POLICY: &str = r#"p() {
    /trusted/hello > /tmp/out 2>&1; [ "$?" = "$1" ]; result=$?
    verdict $result "$2"
    [ $result = 0 ] || cat /tmp/out
}
/trusted/hello > /tmp/hello
who=/sys/module/kml/parameters/who
[ -e $who ] || who=/sys/module/binfmt/parameters/who
[ $(cat $who) = 1 ]; verdict $? "kml.who is 1 when nobody says anything"
echo 0 > $who; p 126 "kml.who=0 lets nobody"
echo 1 > $who; p 0 "kml.who=1 lets root"
echo 2 > $who; chmod 777 /trusted/hello; p 126 "kml.who=2 lets no file that others can write"
echo 3 > $who; p 0 "kml.who=3 lets any file"
(echo 7 > $who) 2> /dev/null; p 126 "kml.who=7 lets nobody"
chmod 755 /trusted/hello; echo 2 > $who; p 0 "kml.who=2 lets root's files"
unshare -U /trusted/hello > /dev/null 2>&1; [ $? = 126 ]; verdict $? "not in a user namespace"
chroot / /trusted/hello > /dev/null 2>&1; verdict $? "chroot to the root itself is none"
mkdir -p /trusted/mounted; mount -t tmpfs none /trusted/mounted
cp /trusted/hello /trusted/mounted/; /trusted/mounted/hello > /tmp/out 2>&1
[ $? != 0 ] && ! grep hello, /tmp/out > /dev/null; verdict $? "not from what is mounted below"
umount /trusted/mounted; echo 1 > $who
cat /proc/kml
grep -q "^admitted: [1-9]" /proc/kml && grep -q "^refused: code: [1-9]" /proc/kml &&
    grep -q "^refused: policy: [1-9]" /proc/kml; verdict $? "counters"
echo 1 > /proc/sys/kernel/panic_on_warn
/trusted/wc /proc/kml_liar > /tmp/out 2>&1; status=$?
dmesg | grep -F "]: a result outside of its type" > /dev/null; [ "$status $?" = "159 0" ]
result=$?
verdict $result "a driver that reads more than it is asked: the program dies before it hears of it"
[ $result = 0 ] || { echo "status $status"; cat /tmp/out; }
runner --write-allowed /trusted/hello > /tmp/out; cmp -s /tmp/out /tmp/hello
verdict $? "a filter that lets a call pass"
runner --write-denied /trusted/hello > /tmp/out; [ "$? $(wc -c < /tmp/out)" = "159 0" ]
verdict $? "a filter that answers in the place of a call: the program dies"
for program in files sockets events process; do
    mkdir -p /tmp/empty; cd /tmp/empty
    timeout 60 runner --order /trusted/$program < /dev/null > /tmp/out 2>&1; result=$?; cd /cases
    verdict $result "arguments as filters know them: $program"
    [ $result = 0 ] || { echo "status $result"; cat /tmp/out; }
done
dmesg | grep -E "WARNING|BUG|Oops" ; [ $? != 0 ]; verdict $? "no complaint in the log"
[ $bad = 0 ] && result=ok || result=FAILED
echo "test result: $result. $ok passed, $bad failed"
"#;

#[cfg(test)]
mod tests {
    use super::PROGRAMS;
    use crate::run::root;
    use anyhow::Result;
    use loader::interface;
    use std::fs;

    /// No example that can be started is left out.
    #[test]
    fn all_programs_are_run() -> Result<()> {
        for directory in ["examples", "examples/tests", "tests/interface"] {
            for entry in fs::read_dir(root().join(directory))? {
                let path = entry?.path();
                let name = path.with_extension("");
                let name = name.strip_prefix(root())?.to_string_lossy().into_owned();
                let started = fs::read_to_string(&path).is_ok_and(|t| t.contains("entry fn "));
                let refused = name.ends_with("/refused");
                let listed = PROGRAMS.contains(&name.as_str());
                assert_eq!(listed, started && !refused, "{name}");
            }
        }
        Ok(())
    }

    /// Guarantees K4 and K5 (docs/ring0.md): no function by which a program could change what it is
    /// made of, get another's hand on it, or go on elsewhere.
    #[test]
    fn the_interface_has_none_of_these() {
        const NEVER: &[&str] = &[
            "ptrace",
            "process_vm",
            "userfaultfd",
            "io_uring",
            "io_setup",
            "io_submit",
            "robust",
            "rseq",
            "set_tid",
            "sigaction",
            "signal",
            "sigaltstack",
            "sigreturn",
            "mprotect",
            "mremap",
            "brk",
            "madvise",
            "pkey",
            "shmat",
            "remap",
            "clone",
            "fork",
            "exec",
            "prctl",
            "modify_ldt",
            "iopl",
            "ioperm",
            "bpf",
            "perf",
            "seccomp",
            "membarrier",
            "futex",
            "personality",
            "uselib",
            "vmsplice",
            "ioctl",
            "keyctl",
            "mseal",
            "munlock",
            "mlock",
        ];
        let names: Vec<&str> = interface::names().collect();
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            assert!(!NEVER.iter().any(|word| name.contains(word)), "{name}");
        }
    }
}
