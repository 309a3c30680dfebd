//! Not trusted: a bug here can reject, never admit. The command `tal-check`.

use clap::Parser;
use serde_json::json;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tal_check::check::check_for_output;
use tal_check::codes;
use tal_check::console::{Console, Looks, USAGE};
use tal_check::elaborate::{Outcome, lower};
use tal_check::explore::{explore, share_work};
use tal_check::files::Watched;
use tal_check::lowered::{GhostOp, Lowered};
use tal_check::report::report;
use tal_check::show::{Shown, show};

/// Checks that typed programs are safe, and says why when one is not.
///
/// Nothing is written and nothing is run.
#[derive(Parser)]
#[command(name = "tal-check", version, after_help = EXAMPLES)]
struct Arguments {
    /// Source files; what each uses is found beside it. `-` is standard input, and uses files of
    /// the current folder.
    #[arg(required_unless_present = "explain")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    looks: Looks,
    /// Show what is known before each instruction, or before those of one line.
    #[arg(long, value_name = "LINE", num_args = 0..=1, require_equals = true)]
    show_state: Option<Option<NonZeroU32>>,
    /// Print what a code (E0301) or a rule (entry-split) means, with an example, and stop.
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

const EXAMPLES: &str = "\
Exit status: 0 if all files are safe, 1 if one is refused, 2 on usage or input and output, 141 if
nobody reads what is written.

Examples:
  tal-check wc.tal                  is wc.tal safe?
  tal-check --show-state=46 wc.tal  what is known before line 46, and what does it need?
  tal-check --explain E0301         what does this code mean, and how is it mended?
  tal-check --message-format json *.tal
  generate | tal-check -";

fn main() -> ExitCode {
    share_work();
    let (arguments, console) = match Console::parse("tal-check", |a: &Arguments| a.looks) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    if let Some(code) = &arguments.explain {
        return console.end(explain(code, &console));
    }
    let stdin = arguments.files.iter().filter(|file| *file == Path::new(Watched::STDIN));
    if stdin.count() > 1 {
        console.error("`-`: standard input can be read once");
        return console.end(USAGE);
    }
    let codes = arguments.files.iter().map(|file| check_file(file, &arguments, &console));
    console.end(codes.max().unwrap_or(0))
}

fn explain(code: &str, console: &Console) -> u8 {
    match codes::explain(code) {
        Ok(text) if console.json() => {
            let page = json!({ "code": code, "explanation": text });
            console.print(&format!("{page}\n"));
            0
        }
        Ok(text) => {
            console.print(&text);
            0
        }
        Err(words) => {
            console.error(&words);
            USAGE
        }
    }
}

fn check_file(file: &Path, arguments: &Arguments, console: &Console) -> u8 {
    let file = &Watched::name(file);
    let Outcome { lowered, sources, diags } = match lower(file, &Watched::default()) {
        Ok(outcome) => outcome,
        Err(error) => {
            console.error(&format!("{}: {error}", file.display()));
            return USAGE;
        }
    };
    if let Some(Some(line)) = arguments.show_state {
        let lines = sources.get(0).map_or(0, |root| root.text.lines().count());
        if line.get() as usize > lines {
            let path = file.display();
            console.error(&format!("--show-state={line}: {path} has {lines} lines"));
            return USAGE;
        }
    }
    console.diagnostics(&diags, &sources);
    let Some(lowered) = lowered else { return 1 };
    show_states(&lowered, file, arguments, console);
    match check_for_output(lowered) {
        Ok(_) => 0,
        Err((lowered, refusals)) => {
            console.diagnostics(&report(&lowered, &refusals), &lowered.sources);
            1
        }
    }
}

/// What `--show-state` and `@show` ask for.
fn show_states(lowered: &Lowered, file: &Path, arguments: &Arguments, console: &Console) {
    let path = file.display().to_string();
    let mut lines = marked(lowered, &path);
    let mut all = false;
    match arguments.show_state {
        Some(None) => all = true,
        Some(Some(line)) => lines.extend(line_with_code(lowered, &path, line.get(), console)),
        None => {}
    }
    if lines.is_empty() && !all {
        return;
    }
    let shown = show(lowered, &explore(lowered), &path, |line| all || lines.contains(&line));
    if shown.is_empty() {
        console.note(&format!("{path}: control cannot reach what stands there"));
    }
    for one in &shown {
        console.print(&state_text(one, console));
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
fn line_with_code(lowered: &Lowered, path: &str, line: u32, console: &Console) -> Option<u32> {
    let instructions = lowered.functions.iter().flat_map(|f| &f.instructions);
    let lines = instructions.filter(|i| !i.implied).filter_map(|i| lowered.line_in(path, i.span));
    let found = lines.filter(|l| *l >= line).min();
    match found {
        Some(next) if next != line => {
            let none = format!("{path}: line {line} has no instruction");
            console.note(&format!("{none}; the next one is in line {next}"));
        }
        None => {
            console.note(&format!("{path}: no instruction stands in line {line} or behind it"));
        }
        Some(_) => {}
    }
    found
}

fn state_text(shown: &Shown, console: &Console) -> String {
    if console.json() { shown.json() + "\n" } else { shown.human() + "\n" }
}
