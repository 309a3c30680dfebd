//! Not trusted: a test. Runs an accepted program in a child process, as `tal-load run` maps it:
//! guards around its stack, nothing mapped beside its segments, a large guard above what it gets
//! from `mmap`. It may end as it likes, loop, divide by zero or run out of stack; any other signal
//! is a fault of the judge.
#![allow(unsafe_code, reason = "child processes and signals")]

use loader::{Verified, map};
use std::ffi::{CStr, CString};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

/// A program that computes for so long is stopped.
const BUSY: Duration = Duration::from_millis(250);
/// And one that waits so many times in a row; nobody will ever come.
const ASLEEP: usize = 30;
/// Above what the program gets from `mmap`.
const GUARD: usize = 1 << 30;
/// As the loader maps it.
const STACK: usize = 8 << 20;
const STACK_GUARD: usize = 128 << 10;

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself.
    Exited,
    /// By a division.
    Division,
    /// In a guard of its stack.
    StackGuard,
    /// It wrote to a closed socket or pipe.
    Pipe,
    /// It was stopped: it ran for too long, or waited.
    Watchdog,
}

/// What the handler of the child found.
#[repr(C)]
struct Found {
    signal: i32,
    address: u64,
    rip: u64,
    rsp: u64,
}

/// What the runs of a process need.
#[derive(Debug)]
pub struct Runner {
    found: *mut Found,
    nothing: OwnedFd,
    text: OwnedFd,
    proc: OwnedFd,
    /// May what runs touch files of this machine?
    pub confined: bool,
    _place: tempfile::TempDir,
}

/// The shared page, for the handler.
static mut FOUND: *mut Found = ptr::null_mut();

/// A memory of what happened, then the parent decides.
extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes both; the page was mapped before the handler was set.
    unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        let register = |n: i32| context.uc_mcontext.gregs[n as usize].cast_unsigned();
        let address = (*info).si_addr() as u64;
        let (rip, rsp) = (register(libc::REG_RIP), register(libc::REG_RSP));
        FOUND.write_volatile(Found { signal, address, rip, rsp });
        libc::kill(libc::getpid(), libc::SIGSTOP);
        libc::_exit(1);
    }
}

fn open(path: &CStr, flags: i32) -> OwnedFd {
    // SAFETY: a constant path; the descriptor is ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), flags | libc::O_CLOEXEC);
        assert!(fd >= 0, "{path:?} cannot be opened");
        OwnedFd::from_raw_fd(fd)
    }
}

impl Runner {
    /// Before [`Runner::confine`].
    #[must_use]
    pub fn new() -> Runner {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping; a file in memory that nobody else has.
        let (found, text) = unsafe {
            let found = libc::mmap(ptr::null_mut(), 4096, rights, shared, -1, 0);
            assert_ne!(found, libc::MAP_FAILED);
            let text = libc::memfd_create(c"input".as_ptr(), libc::MFD_CLOEXEC);
            assert!(text >= 0);
            (found.cast(), OwnedFd::from_raw_fd(text))
        };
        let mut file = std::fs::File::from(text);
        let line = "the quick brown fox jumps over 13 lazy dogs\n\n";
        file.write_all(line.repeat(40).as_bytes()).unwrap();
        Runner {
            found,
            nothing: open(c"/dev/null", libc::O_RDWR),
            text: OwnedFd::from(file),
            proc: open(c"/proc", libc::O_RDONLY | libc::O_DIRECTORY),
            confined: false,
            _place: tempfile::tempdir().unwrap(),
        }
    }

    /// From now on this process sees an empty directory, and no network, if the system allows it:
    /// what runs is allowed to remove files and to connect. For a process that is only for this.
    pub fn confine(&mut self) {
        let place = CString::new(self._place.path().as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: system calls on this process.
        unsafe {
            let own = libc::CLONE_NEWNS | libc::CLONE_NEWNET;
            if libc::unshare(own) != 0 {
                libc::unshare(own | libc::CLONE_NEWUSER);
            }
            let there = libc::chdir(place.as_ptr()) == 0;
            self.confined = there && libc::chroot(place.as_ptr()) == 0;
            assert!(there, "an empty directory to run in");
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it died of what an accepted program never dies of.
    pub fn run(&self, program: &Verified<'_>, input: bool) -> Result<End, String> {
        // SAFETY: the page is ours.
        unsafe { self.found.write_volatile(Found { signal: 0, address: 0, rip: 0, rsp: 0 }) };
        // SAFETY: the child runs `child` and ends; its parent only waits.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "no child process");
        if child == 0 {
            self.child(program, input);
        }
        self.wait(child)
    }

    fn child(&self, program: &Verified<'_>, input: bool) -> ! {
        let nothing = self.nothing.as_raw_fd();
        let source = if input { self.text.as_raw_fd() } else { nothing };
        // SAFETY: system calls on the child itself; `map::run` takes over.
        unsafe {
            libc::lseek(source, 0, libc::SEEK_SET);
            for (to, from) in [(0, source), (1, nothing), (2, nothing)] {
                libc::dup2(from, to);
            }
            let limit = |which, most| {
                let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
                libc::setrlimit(which, &raw const limit);
            };
            limit(libc::RLIMIT_AS, 8 << 30);
            limit(libc::RLIMIT_FSIZE, 1 << 20);
            limit(libc::RLIMIT_NOFILE, 64);
            limit(libc::RLIMIT_CORE, 0);
            let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), GUARD, libc::PROT_NONE, private, -1, 0);
            self.listen();
            let _ = map::run(program, &["mutant".into(), "a".into(), "-12".into()], &[]);
            libc::_exit(0);
        }
    }

    /// Sets the handler, on a stack of its own.
    unsafe fn listen(&self) {
        // SAFETY: of the child, before anything of the program runs.
        unsafe {
            FOUND = self.found;
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let size = 64 << 10;
            let stack = libc::mmap(ptr::null_mut(), size, rights, private, -1, 0);
            let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: size };
            libc::sigaltstack(&raw const stack, ptr::null_mut());
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP] {
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    }

    fn wait(&self, child: libc::pid_t) -> Result<End, String> {
        let start = Instant::now();
        let (mut status, mut asleep) = (0, 0);
        let mut pause = Duration::from_micros(20);
        loop {
            // SAFETY: our own child.
            let done =
                unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
            if done != 0 && libc::WIFSTOPPED(status) {
                let verdict = self.stopped(child);
                kill(child);
                return verdict;
            }
            if done != 0 {
                break;
            }
            asleep = if self.sleeps(child) { asleep + 1 } else { 0 };
            if asleep > ASLEEP || start.elapsed() > BUSY {
                kill(child);
                return Ok(End::Watchdog);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
        if !libc::WIFSIGNALED(status) {
            return Ok(End::Exited);
        }
        match libc::WTERMSIG(status) {
            libc::SIGFPE => Ok(End::Division),
            libc::SIGPIPE => Ok(End::Pipe),
            // Of RLIMIT_FSIZE, or the handler's stack could not be used.
            libc::SIGXFSZ => Ok(End::Exited),
            signal => Err(format!("it died of signal {signal}")),
        }
    }

    /// The handler ran: in a guard of the stack, or is this a fault?
    fn stopped(&self, child: libc::pid_t) -> Result<End, String> {
        // SAFETY: the page is ours, and the child has stopped.
        let found = unsafe { self.found.read_volatile() };
        if found.signal == 0 {
            return Ok(End::Watchdog);
        }
        let maps = self.read(child, "maps");
        let guarded = found.signal == libc::SIGSEGV && in_guard(&maps, found.address);
        if guarded {
            return Ok(End::StackGuard);
        }
        let Found { signal, address, rip, rsp } = found;
        Err(format!("signal {signal} at {rip:#x}, address {address:#x}, rsp {rsp:#x}"))
    }

    /// A file of this process in /proc.
    fn read(&self, child: libc::pid_t, name: &str) -> String {
        let path = CString::new(format!("{child}/{name}")).unwrap();
        let mut text = Vec::new();
        // SAFETY: a path below a directory of ours; the descriptor is ours.
        unsafe {
            let fd: RawFd = libc::openat(self.proc.as_raw_fd(), path.as_ptr(), libc::O_RDONLY);
            if fd >= 0 {
                let mut file = std::fs::File::from(OwnedFd::from_raw_fd(fd));
                let _ = std::io::Read::read_to_end(&mut file, &mut text);
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Does the process wait?
    fn sleeps(&self, child: libc::pid_t) -> bool {
        let stat = self.read(child, "stat");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    }
}

impl Default for Runner {
    fn default() -> Runner {
        Runner::new()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // SAFETY: our own page.
        unsafe { libc::munmap(self.found.cast(), 4096) };
    }
}

fn kill(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: our own child.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        while libc::waitpid(child, &raw mut status, 0) == child && libc::WIFSTOPPED(status) {}
    }
}

/// Is the address in one of the guards beside a stack as the loader maps it?
fn in_guard(maps: &str, address: u64) -> bool {
    let regions: Vec<(usize, usize, &str)> = maps
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (low, high) = words.next()?.split_once('-')?;
            let number = |text| usize::from_str_radix(text, 16).ok();
            Some((number(low)?, number(high)?, words.next()?))
        })
        .collect();
    let address = address as usize;
    regions.windows(3).any(|around| {
        let [(_, before, below), (low, high, rights), (after, _, above)] = around else {
            return false;
        };
        let guards = below.starts_with("---") && above.starts_with("---");
        let stack = rights.starts_with("rw-") && high - low == STACK;
        let beside = before == low && high == after;
        let near = (low - STACK_GUARD..*low).contains(&address)
            || (*high..high + STACK_GUARD).contains(&address);
        guards && stack && beside && near
    })
}

#[cfg(test)]
mod tests {
    use super::in_guard;

    #[test]
    fn only_guards_of_a_stack_are_guards() {
        let maps = "7f0000000000-7f0000020000 ---p 0 0:0 0\n\
                    7f0000020000-7f0000820000 rw-p 0 0:0 0\n\
                    7f0000820000-7f0000840000 ---p 0 0:0 0\n\
                    7f0000900000-7f0000901000 rw-p 0 0:0 0\n";
        assert!(in_guard(maps, 0x7f00_0001_fff8) && in_guard(maps, 0x7f00_0082_0000));
        assert!(!in_guard(maps, 0x7f00_0002_0000) && !in_guard(maps, 0x7f00_0084_0000));
        assert!(!in_guard(maps, 0) && !in_guard(maps, 0x7f00_0090_1000));
    }
}
