//! Not trusted. `docs/interface.md`, made of `interface/*.tali`: declarations as they stand there,
//! the comments before them, layouts as the checker computed them, and which tests call what.

use crate::run::root;
use anyhow::{Context, Result};
use loader::gates::kinds;
use std::fmt::Write as _;
use std::fs;
use tal_check::interface::{FILES, Host};

/// Programs that call every import, and one that is refused for what it calls them with.
const TESTS: &str = "tests/interface";
const REFUSED: &str = "tests/interface/refused.tal";

/// A run of lines without an empty one between them.
struct Block<'a> {
    /// Comment lines before the first declaration, without `;;`.
    comment: Vec<&'a str>,
    /// Declarations, one string each, which may have several lines.
    declarations: Vec<String>,
}

/// The whole page.
pub(super) fn page(host: &Host) -> Result<String> {
    let mut page = String::from(
        "# The interface\n\n\
         What a program can ask of its host, `tal-load` or the kernel.\n\
         Made of `interface/*.tali` by `cargo xtask interface`; a test compares.\n\
         Every function is called by a program in `tests/interface`, which `cargo xtask examples` \
         runs, and is\ncalled wrongly in `tests/interface/refused.tal`, where each wrong call has \
         to be refused.\n\n",
    );
    let programs = programs()?;
    for (name, text) in FILES {
        let mut blocks = text.split("\n\n").map(block);
        let head = blocks.next().context("an interface file without text")?;
        writeln!(page, "## `{name}`\n\n{}\n", paragraphs(&head))?;
        write!(page, "{}", body(&head, host, &programs)?)?;
        for block in blocks {
            write!(page, "{}", body(&block, host, &programs).with_context(|| name)?)?;
        }
    }
    page += &kinds();
    Ok(page.trim_end().to_string() + "\n")
}

/// What may be open, by the tables of the host.
fn kinds() -> String {
    let systems: Vec<String> =
        kinds::FILE_SYSTEMS.iter().map(|(name, magic)| format!("{name} ({magic:#x})")).collect();
    let devices = kinds::DEVICES.iter().map(|(name, major, first, last)| match last {
        &u32::MAX => format!("* {name}: {major}:*\n"),
        last if first == last => format!("* {name}: {major}:{first}\n"),
        last => format!("* {name}: {major}:{first} to {major}:{last}\n"),
    });
    let nameless: Vec<String> = kinds::NAMELESS.iter().map(|name| format!("`{name}`")).collect();
    let flags: Vec<&str> = kinds::STATUS_FLAGS.iter().map(|(name, _)| *name).collect();
    format!(
        "## What may be open\n\n\
         Asked when a file was opened, and before a program starts of each descriptor that it is \
         born with;\nevery other file is refused: `open` says -EACCES, the start of the program \
         fails. The tables are those\nof `loader/src/gates/kinds.rs`.\n\n\
         For reading: regular files and directories anywhere, disks, and what is listed below. \
         For writing:\n\n\
         * regular files on a file system that only stores (`f_type` of statfs): {};\n\
         * pipes; sockets of the families and kinds that `socket` makes; {};\n\
         * the character devices below, which may not be open for reading either when they are \
         not listed.\n\n\
         Character devices, by major and minor number:\n\n{}\n\
         A pipe of packets (O_DIRECT) and a descriptor that sends signals (O_ASYNC) are not \
         handed to a program.\n`F_SETFL` takes {}: of these it sets O_APPEND, O_NONBLOCK and \
         O_NOATIME, and passes over the others,\nwhich `F_GETFL` tells.\n",
        systems.join(", "),
        nameless.join(", "),
        devices.collect::<String>(),
        flags.join(", "),
    )
}

/// Names and texts of the programs that are run.
fn programs() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(root().join(TESTS)).context(TESTS)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".tal") {
            found.push((format!("{TESTS}/{name}"), fs::read_to_string(path)?));
        }
    }
    found.sort();
    Ok(found)
}

fn block(text: &str) -> Block<'_> {
    let mut block = Block { comment: Vec::new(), declarations: Vec::new() };
    for line in text.trim_matches('\n').lines() {
        if let Some(words) = line.strip_prefix(";;") {
            block.comment.push(words.strip_prefix(' ').unwrap_or(words));
        } else if line.starts_with([' ', '}']) {
            let last = block.declarations.last_mut();
            last.into_iter().for_each(|d| *d = format!("{d}\n{line}"));
        } else {
            block.declarations.push(line.to_string());
        }
    }
    block
}

/// The comment, one line a paragraph of it.
fn paragraphs(block: &Block<'_>) -> String {
    block.comment.join("\n").replace("\nAbuse: ", "\n\n**Abuse:** ").trim_end().to_string()
}

/// A heading, a list of what is not offered, constants and types, or functions.
fn body(block: &Block<'_>, host: &Host, programs: &[(String, String)]) -> Result<String> {
    if let [title, rest @ ..] = block.comment.as_slice()
        && let Some(title) = title.strip_prefix("---- ")
    {
        return Ok(format!("### {}\n\n{}", capital(title), refusals(rest)));
    }
    if block.declarations.is_empty() {
        return Ok(String::new());
    }
    let names: Vec<&str> = block.declarations.iter().filter_map(|d| function(d)).collect();
    let mut text = String::new();
    if !names.is_empty() {
        let titles: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(text, "#### {}\n", titles.join(", "))?;
    }
    writeln!(text, "```text\n{}\n```\n", block.declarations.join("\n"))?;
    for declaration in &block.declarations {
        write!(text, "{}", layout(declaration, host)?)?;
    }
    if !names.is_empty() && names != ["start"] {
        writeln!(text, "{}\n\n{}", paragraphs(block), tests(&names, block, programs))?;
    } else if names == ["start"] || block.declarations.iter().any(|d| d.starts_with("struct")) {
        let words = paragraphs(block);
        if !words.is_empty() {
            writeln!(text, "{words}\n")?;
        }
    }
    Ok(text)
}

fn capital(title: &str) -> String {
    let (first, rest) = title.split_at(title.len().min(1));
    first.to_uppercase() + rest
}

/// `NAME, NAME: why`, each with its further lines, as a list.
fn refusals(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|l| !l.is_empty()) {
        let item = if line.starts_with(' ') { "" } else { "* " };
        text += &format!("{item}{line}\n");
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// The name, if it declares a function.
fn function(declaration: &str) -> Option<&str> {
    let rest = declaration.strip_prefix("entry ").unwrap_or(declaration).strip_prefix("fn ")?;
    Some(rest.split('(').next()?.trim())
}

/// Offsets and sizes of the fields of a struct.
fn layout(declaration: &str, host: &Host) -> Result<String> {
    let Some(rest) = declaration.strip_prefix("struct ") else { return Ok(String::new()) };
    let name = rest.split_whitespace().next().unwrap_or("");
    let info = host.types.iter().find(|t| t.name == name);
    let info = info.with_context(|| format!("struct {name} was not compiled"))?;
    let fields: Vec<String> =
        info.fields.iter().map(|f| format!("{} {}:{}", f.name, f.offset, f.size)).collect();
    Ok(format!(
        "`{name}`: {} bytes; fields at offset:size {}.\n\n",
        info.ty.size,
        fields.join(", ")
    ))
}

/// What stands on the page where something is missing; a test looks for it.
pub(super) const MISSING: &str = "MISSING";

/// Where these functions are called, rightly and wrongly. None may be missing, and none may be
/// without a word on abuse.
fn tests(names: &[&str], block: &Block<'_>, programs: &[(String, String)]) -> String {
    let mut text = String::new();
    if !block.comment.iter().any(|line| line.starts_with("Abuse: ")) {
        text += &format!("{MISSING}: a word on abuse.\n");
    }
    let mut places: Vec<&str> = Vec::new();
    for name in names {
        let calls = |text: &str| text.lines().any(|line| is_call(line, name));
        let (wrong, right): (Vec<_>, Vec<_>) = (programs.iter())
            .filter(|(_, text)| calls(text))
            .map(|(path, _)| path.as_str())
            .partition(|path| *path == REFUSED);
        if wrong.is_empty() {
            text += &format!("{MISSING}: a wrong call of `{name}` in `{REFUSED}`.\n");
        }
        match right.first() {
            None => text += &format!("{MISSING}: a call of `{name}` that is run.\n"),
            Some(path) if !places.contains(path) => places.push(path),
            Some(_) => {}
        }
    }
    text + &format!("Run by `{}`.\n", places.join("`, `"))
}

/// Does this line call the function, or end in it?
fn is_call(line: &str, name: &str) -> bool {
    let mut words = line.split(';').next().unwrap_or("").split_whitespace();
    matches!(words.next(), Some("call" | "jmp")) && words.next() == Some(name)
}
