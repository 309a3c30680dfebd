//! Not trusted: a bug here can reject, never admit. The host's interface, from its files.
//!
//! `interface/*.tali` are compiled into what the judge sees, and the names beside it. A program's
//! own copy of these files is compared, by name, and never believed (see `lower`).

use crate::host;
pub use crate::host::{FILES, Host, ImportInfo};
use crate::lower::{Elab, Outcome};
use crate::resolve::{DeclId, Program};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use tal_core::counted::Rc;
use tal_core::image::Interface;
use tal_core::ty::{Assertion, Sig};
use tal_syntax::Span;
use tal_syntax::ast::{DeclKind, File};
use tal_syntax::diag::{Code, Diag};

thread_local! {
    static HOST: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

/// The embedded interface, compiled once a thread.
///
/// # Errors
/// The files themselves are wrong; a test rules that out.
pub fn host() -> Result<Rc<Host>, Box<Outcome>> {
    if let Some(host) = HOST.with_borrow(Clone::clone) {
        return Ok(host);
    }
    let (host, trees) = compiled(&FILES)?;
    let host = Rc::new(host);
    HOST.set(Some(host.clone()));
    host::keep(trees);
    Ok(host)
}

/// Compiles interface files.
///
/// # Errors
/// What is wrong with them, as an [`Outcome`] without program.
pub fn compile(files: &[(&str, &str)]) -> Result<Host, Box<Outcome>> {
    compiled(files).map(|(host, _)| host)
}

/// The same, with the trees.
fn compiled(files: &[(&str, &str)]) -> Result<(Host, Vec<Rc<File>>), Box<Outcome>> {
    let root: String = files.iter().map(|(n, _)| format!("use \"{n}\"\n")).collect();
    let mut memory: BTreeMap<String, String> =
        files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    memory.insert("interface".to_owned(), root);
    let mut diags = Vec::new();
    let program = Program::load(Path::new("interface"), &memory, &[], &mut diags);
    let program = program.unwrap_or_default();
    let sources = program.sources.clone();
    let mut elab = Elab::new(program, diags);
    elab.defining = true;
    let host = elab.define();
    let trees = elab.program.modules.iter().map(|module| module.tree.clone()).collect();
    if elab.diags.iter().any(Diag::is_error) {
        return Err(Box::new(Outcome { lowered: None, sources, diags: elab.diags }));
    }
    Ok((host, trees))
}

impl Elab {
    fn define(&mut self) -> Host {
        let program = self.program.clone();
        let ids = |keep: fn(&DeclKind) -> bool| -> Vec<DeclId> {
            let all = program.modules.iter().enumerate().flat_map(|(module, m)| {
                (0..m.tree.decls.len()).map(move |decl| DeclId { module, decl })
            });
            all.filter(|id| program.decl(*id).is_some_and(|d| keep(&d.kind))).collect()
        };
        for id in ids(|d| matches!(d, DeclKind::Origin(_))) {
            self.origin_names.extend(program.name(id).map(|n| n.text.to_string()));
        }
        for id in ids(|d| matches!(d, DeclKind::Struct(_))) {
            let _ = self.declare_struct(id);
        }
        let mut imports = Vec::new();
        let mut sigs = Vec::new();
        let mut start = None;
        for id in ids(|d| matches!(d, DeclKind::Fn(_))) {
            let Some(DeclKind::Fn(f)) = program.decl(id).map(|d| &d.kind) else { continue };
            let Some(sig) = &f.sig else {
                self.error(220, f.name.span, "an import needs its type");
                continue;
            };
            let Ok(named) = self.signature(id.module, &f.binders, sig) else { continue };
            if f.entry.is_some() {
                start = Some((named.sig, named.names));
            } else {
                let info = ImportInfo {
                    name: f.name.text.to_string(),
                    names: named.names,
                    span: f.name.span,
                };
                imports.push(info);
                sigs.push(named.sig);
            }
        }
        let (start, start_names) = start.unwrap_or_else(|| {
            let _ = self.report(Diag::error(Code(110), Span::default(), "no `entry fn`"));
            (Rc::new(Sig { vars: Vec::new(), pre: nothing(), post: None }), Vec::new())
        });
        let mut interface = Interface {
            types: self.types.iter().map(|t| t.ty.clone()).collect(),
            origins: u16::try_from(self.origin_names.len()).unwrap_or(u16::MAX),
            imports: sigs,
            start,
            hash: [0; 32],
        };
        interface.hash = Sha256::digest(tal_write::write_interface(&interface)).into();
        let types = std::mem::take(&mut self.types);
        Host { interface, types, origins: self.origin_names.clone(), imports, start_names }
    }
}

pub(crate) fn nothing() -> Assertion {
    Assertion::default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn the_embedded_interface_compiles() {
        let host = match compile(&FILES) {
            Ok(host) => host,
            Err(outcome) => panic!("{:#?}", outcome.diags),
        };
        assert_eq!(host.origins, ["map", "heap"]);
        assert_ne!(host.interface.hash, [0; 32]);
        for name in ["read", "write", "open", "close", "lseek", "fstat", "mmap", "munmap", "exit"] {
            assert!(host.imports.iter().any(|i| i.name == name), "{name}");
        }
    }
}
