//! Not trusted: a bug here can reject, never admit. The command `tal-check`.

use clap::{Parser, ValueEnum};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tal_check::check::{check, explore};
use tal_check::codes;
use tal_check::lower::{Outcome, lower};
use tal_check::lowered::{GhostOp, Lowered};
use tal_check::report::report;
use tal_check::resolve::Disk;
use tal_check::show::{Shown, show};
use tal_syntax::diag::{Code, Diag};
use tal_syntax::render::{Format, emit};

/// Checks that typed programs are safe, and says why when one is not.
///
/// Nothing is written and nothing is run.
#[derive(Parser)]
#[command(name = "tal-check", version, after_help = EXAMPLES)]
struct Arguments {
    /// Source files; what each uses is found beside it.
    #[arg(required_unless_present = "explain")]
    files: Vec<PathBuf>,
    /// How diagnostics and states are written.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = MessageFormat::Human)]
    message_format: MessageFormat,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Show what is known before each instruction, or before those of one line.
    #[arg(long, value_name = "LINE", num_args = 0..=1, require_equals = true)]
    show_state: Option<Option<NonZeroU32>>,
    /// Print what a code means, with an example, and stop.
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

const EXAMPLES: &str = "\
Exit status: 0 if all files are safe, 1 if one is refused, 2 on usage or input and output.

Examples:
  tal-check wc.tal                  is wc.tal safe?
  tal-check --show-state=46 wc.tal  what is known before line 46, and what does it need?
  tal-check --explain E0301         what does this code mean, and how is it mended?
  tal-check --message-format json *.tal";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(code) = &arguments.explain {
        return explain(code);
    }
    let codes = arguments.files.iter().map(|file| check_file(file, &arguments));
    ExitCode::from(codes.max().unwrap_or(0))
}

/// Writes to standard output or standard error; nothing is left to do when it is closed.
fn write(out: &mut dyn Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
}

fn say(words: &str) {
    write(&mut stderr(), &format!("tal-check: {words}\n"));
}

fn explain(code: &str) -> ExitCode {
    let known = Code::parse(code).and_then(codes::find);
    match known {
        Some(page) => {
            write(&mut stdout(), page.text);
            ExitCode::SUCCESS
        }
        None => {
            say(&format!("there is no code `{code}`; codes look like E0301"));
            ExitCode::from(2)
        }
    }
}

fn check_file(file: &Path, arguments: &Arguments) -> u8 {
    let Outcome { lowered, sources, diags } = match lower(file, &Disk) {
        Ok(outcome) => outcome,
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            return 2;
        }
    };
    if let Some(Some(line)) = arguments.show_state {
        let lines = sources.get(0).map_or(0, |root| root.text.lines().count());
        if line.get() as usize > lines {
            let path = file.display();
            say(&format!("--show-state={line}: {path} has {lines} lines"));
            return 2;
        }
    }
    let format = format(arguments);
    let put = |diags: &[Diag], sources| {
        // As in `write`.
        let _ = emit(&mut stderr(), diags, sources, format);
    };
    put(&diags, &sources);
    let Some(lowered) = lowered else { return 1 };
    show_states(&lowered, file, arguments);
    match check(lowered) {
        Ok(_) => 0,
        Err((lowered, refusals)) => {
            put(&report(&lowered, &refusals), &lowered.sources);
            1
        }
    }
}

fn format(arguments: &Arguments) -> Format {
    match (arguments.message_format, arguments.color) {
        (MessageFormat::Json, _) => Format::Json,
        (MessageFormat::Human, Colour::Always) => Format::Coloured,
        (MessageFormat::Human, Colour::Never) => Format::Plain,
        (MessageFormat::Human, Colour::Auto) => {
            if stderr().is_terminal() {
                Format::for_stderr()
            } else {
                Format::Plain
            }
        }
    }
}

/// What `--show-state` and `@show` ask for.
fn show_states(lowered: &Lowered, file: &Path, arguments: &Arguments) {
    let path = file.display().to_string();
    let mut lines = marked(lowered, &path);
    let mut all = false;
    match arguments.show_state {
        Some(None) => all = true,
        Some(Some(line)) => lines.extend(line_with_code(lowered, &path, line.get())),
        None => {}
    }
    if lines.is_empty() && !all {
        return;
    }
    let shown = show(lowered, &explore(lowered), &path, |line| all || lines.contains(&line));
    if shown.is_empty() {
        say(&format!("{path}: control cannot reach what stands there"));
    }
    for one in &shown {
        write(&mut stdout(), &state_text(one, arguments.message_format));
    }
}

/// The lines of the file that `@show` asks for.
fn marked(lowered: &Lowered, path: &str) -> Vec<u32> {
    let ghosts = lowered.functions.iter().flat_map(|f| &f.ghosts);
    ghosts
        .filter(|g| matches!(g.op, GhostOp::Show))
        .filter_map(|g| lowered.span_at(g.offset))
        .filter_map(|span| lowered.line_in(path, span))
        .collect()
}

/// The line itself if an instruction stands in it, else the next one of which that is so.
fn line_with_code(lowered: &Lowered, path: &str, line: u32) -> Option<u32> {
    let instructions = lowered.functions.iter().flat_map(|f| &f.instructions);
    let lines = instructions.filter(|i| !i.implied).filter_map(|i| lowered.line_in(path, i.span));
    let found = lines.filter(|l| *l >= line).min();
    match found {
        Some(next) if next != line => {
            say(&format!("{path}: line {line} has no instruction; the next one is in line {next}"));
        }
        None => say(&format!("{path}: no instruction stands in line {line} or behind it")),
        Some(_) => {}
    }
    found
}

fn state_text(shown: &Shown, format: MessageFormat) -> String {
    match format {
        MessageFormat::Human => shown.human() + "\n",
        MessageFormat::Json => shown.json() + "\n",
    }
}
