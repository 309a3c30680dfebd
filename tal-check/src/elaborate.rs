//! Not trusted: a bug here can reject, never admit. From a source to a lowered program: files are
//! read and their names given meaning ([`crate::resolve`]), the host's own interface is compiled
//! ([`crate::interface`]), and what is declared and written becomes an image ([`crate::lower`]).

use crate::files::Files;
use crate::host::FILES;
use crate::interface;
use crate::lower::Elab;
pub use crate::lower::Outcome;
use crate::resolve::Program;
use std::collections::BTreeSet;
use std::path::Path;
use tal_syntax::diag::{Code, Diag};

/// Reads and lowers the program whose root is this file.
///
/// # Errors
/// The root file cannot be read.
pub fn lower(root: &Path, files: &dyn Files) -> std::io::Result<Outcome> {
    let host = match interface::host() {
        Ok(host) => host,
        Err(failed) => return Ok(*failed),
    };
    let mut diags = Vec::new();
    let program = Program::load(root, files, &FILES, &mut diags)?;
    let sources = program.sources.clone();
    let parsed = diags.iter().any(Diag::is_error);
    let mut elab = Elab::new(program, diags);
    elab.use_host(&host);
    let lowered = elab.program(&host, parsed);
    let mut diags = elab.diags;
    diags.sort_by_key(|d| (d.primary.span.file, d.primary.span.start));
    diags.dedup();
    let diags = without_consequences(diags);
    let failed = diags.iter().any(Diag::is_error);
    Ok(Outcome { lowered: lowered.filter(|_| !failed), sources, diags })
}

/// Without what need not be said: names that a file which could not be read may declare, and a name
/// that was said to be unknown before.
fn without_consequences(diags: Vec<Diag>) -> Vec<Diag> {
    const UNREAD: Code = Code(101);
    const UNKNOWN: Code = Code(102);
    const ENTRY: Code = Code(110);
    let unread = diags.iter().any(|d| d.code == UNREAD);
    let mut unknown = BTreeSet::new();
    let says_more = |d: &Diag| match d.code {
        UNKNOWN => !unread && unknown.insert((d.primary.span.file, d.message.clone())),
        ENTRY => !unread,
        _ => true,
    };
    let mut kept = diags;
    kept.retain(says_more);
    kept
}
