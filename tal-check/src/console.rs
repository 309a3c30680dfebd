//! Not trusted: a bug here can reject, never admit. What the commands say, in the form that was
//! asked for, and whether it could be said.
//!
//! What cannot be written is an error: status 2, or 141 when nobody reads any more, which is what a
//! shell says of a program that SIGPIPE ended. With `--message-format json` every line is an
//! object, complaints about the command line too.

use clap::{Args, Parser, ValueEnum};
use serde_json::json;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use tal_syntax::diag::{Diag, Severity};
use tal_syntax::render::{Format, emit};
use tal_syntax::source::Sources;

/// The options that say how it is said.
#[derive(Args, Clone, Copy, Debug)]
pub struct Looks {
    /// How everything is written that is.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = MessageFormat::Human)]
    pub message_format: MessageFormat,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
}

/// See [`Looks::message_format`].
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub enum MessageFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// See [`Looks::color`].
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
#[allow(missing_docs, reason = "what the words say")]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// Status for usage, input and output.
pub const USAGE: u8 = 2;
/// Status when nobody reads what is written: 128 and the number of SIGPIPE.
const UNREAD: u8 = 141;

/// Standard output and standard error of a command.
#[derive(Debug)]
pub struct Console {
    command: &'static str,
    format: Format,
    /// The status that writing earned.
    failed: Cell<u8>,
}

impl Console {
    /// Reads the arguments of a command. When that ends it (`--help`, or a mistake), says so.
    ///
    /// # Errors
    /// The status with which the command ends.
    pub fn parse<A: Parser>(
        command: &'static str,
        looks: impl FnOnce(&A) -> Looks,
    ) -> Result<(A, Console), ExitCode> {
        match A::try_parse() {
            Ok(arguments) => {
                let format = format(looks(&arguments));
                Ok((arguments, Console { command, format, failed: Cell::new(0) }))
            }
            Err(told) => {
                let json = wants_json(std::env::args_os());
                let format = if json { Format::Json } else { Format::Plain };
                let console = Console { command, format, failed: Cell::new(0) };
                console.told(&told);
                Err(console.end(u8::try_from(told.exit_code()).unwrap_or(USAGE)))
            }
        }
    }

    /// What the reader of the arguments says.
    fn told(&self, told: &clap::Error) {
        let (error, text) = (told.use_stderr(), told.render());
        if self.format == Format::Json {
            let text = text.to_string();
            let plain = text.strip_prefix("error: ").unwrap_or(&text);
            let level = if error { Severity::Error } else { Severity::Note };
            let line = object(level, plain.trim_end(), &text);
            return if error { self.complain(&line) } else { self.print(&line) };
        }
        let coloured = |terminal: bool| terminal && Format::for_stderr() == Format::Coloured;
        if error {
            let coloured = coloured(io::stderr().is_terminal());
            let text = if coloured { text.ansi().to_string() } else { text.to_string() };
            self.complain(&text);
        } else {
            let coloured = coloured(io::stdout().is_terminal());
            let text = if coloured { text.ansi().to_string() } else { text.to_string() };
            self.print(&text);
        }
    }

    /// Is every line an object?
    #[must_use]
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// An error that is not about a place in a source.
    pub fn error(&self, words: &str) {
        self.say(Severity::Error, words);
    }

    /// What the user should know.
    pub fn note(&self, words: &str) {
        self.say(Severity::Note, words);
    }

    fn say(&self, level: Severity, words: &str) {
        let plain = format!("{}: {words}\n", self.command);
        let text = if self.json() { object(level, words, &plain) } else { plain };
        self.complain(&text);
    }

    /// Diagnostics, to standard error.
    pub fn diagnostics(&self, diags: &[Diag], sources: &Sources) {
        let mut text = Vec::new();
        // Memory takes whatever is written.
        let _ = emit(&mut text, diags, sources, self.format);
        self.put(2, io::stderr().as_fd(), &text);
    }

    /// Writes to standard output.
    pub fn print(&self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    /// Writes to standard output.
    pub fn print_bytes(&self, bytes: &[u8]) {
        self.put(1, io::stdout().as_fd(), bytes);
    }

    fn complain(&self, text: &str) {
        self.put(2, io::stderr().as_fd(), text.as_bytes());
    }

    /// The status of the command, if what it does deserves this one.
    #[must_use]
    pub fn end(&self, code: u8) -> ExitCode {
        ExitCode::from(code.max(self.failed.get()))
    }

    fn put(&self, number: u8, stream: BorrowedFd<'_>, bytes: &[u8]) {
        let Err(error) = write(number, stream, bytes) else { return };
        if error.kind() == ErrorKind::BrokenPipe {
            self.failed.set(UNREAD);
            return;
        }
        let first = self.failed.get() == 0;
        self.failed.set(self.failed.get().max(USAGE));
        if number == 1 && first {
            self.error(&format!("standard output: {error}"));
        }
    }
}

/// Where standard output goes, if it goes anywhere.
///
/// # Errors
/// As the system says.
pub fn stdout_file() -> io::Result<Metadata> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()
}

/// Writes all, at once: the standard library's own streams keep silent about a descriptor that was
/// not opened for writing.
fn write(number: u8, stream: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    if CLOSED.get(usize::from(number)).is_some_and(|closed| closed.load(Ordering::Relaxed)) {
        return Err(io::Error::other("it is closed"));
    }
    File::from(stream.try_clone_to_owned()?).write_all(bytes)
}

fn format(looks: Looks) -> Format {
    match (looks.message_format, looks.color) {
        (MessageFormat::Json, _) => Format::Json,
        (MessageFormat::Human, Colour::Always) => Format::Coloured,
        (MessageFormat::Human, Colour::Never) => Format::Plain,
        (MessageFormat::Human, Colour::Auto) => Format::for_stderr(),
    }
}

/// Do arguments that cannot be understood ask for JSON?
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.take_while(|argument| argument != "--").collect();
    let pair = |two: &[OsString]| two[0] == "--message-format" && two[1] == "json";
    arguments.iter().any(|one| one == "--message-format=json") || arguments.windows(2).any(pair)
}

/// A line with the members that a diagnostic has.
fn object(level: Severity, message: &str, rendered: &str) -> String {
    let none: [u8; 0] = [];
    let object = json!({
        "code": null, "level": level.text(), "message": message,
        "labels": none, "notes": none, "helps": none, "rendered": rendered,
    });
    format!("{object}\n")
}

/// Which of the first three descriptors were closed when the program started.
static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

/// The standard library opens /dev/null in their place before `main`, and everything written would
/// be lost in silence; so they are asked about before that, where the loader calls constructors.
mod before_main {
    #![allow(unsafe_code, reason = "the place of a pointer in the file; nothing else is unsafe")]

    use super::CLOSED;
    use std::path::Path;
    use std::sync::atomic::Ordering;

    #[used]
    // SAFETY: the loader calls what stands in this section, as a function of C, once, on the only
    // thread; `look` needs nothing that the runtime of Rust sets up.
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        const OPEN: [&str; 3] = ["/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"];
        if !Path::new("/proc/self/fd").exists() {
            return;
        }
        for (closed, path) in CLOSED.iter().zip(OPEN) {
            let open = Path::new(path).symlink_metadata().is_ok();
            closed.store(!open, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_two_spellings() {
        let asked = |line: &str| wants_json(line.split(' ').map(OsString::from));
        assert!(asked("tal-check --nonsense --message-format json"));
        assert!(asked("tal-check --message-format=json --nonsense"));
        assert!(!asked("tal-check --message-format human"));
        assert!(!asked("tal-check -- --message-format json"));
    }
}
