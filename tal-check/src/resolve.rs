//! Not trusted: a bug here can reject, never admit. Files, what they include, and which names they
//! see.
//!
//! `use` is idempotent and may be cyclic. A file sees its own declarations, the public ones of the
//! `.tal` files it uses, and all of the `.tali` files it uses; nothing transitively.

pub use crate::files::{Disk, Files};
use crate::host;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use strsim::osa_distance;
use tal_core::counted::Rc;
use tal_syntax::ast::{Decl, DeclKind, File, Line, Name};
use tal_syntax::diag::{Code, Diag};
use tal_syntax::reg::Reg;
use tal_syntax::source::Sources;
use tal_syntax::{FileId, Span, habits};

/// A declaration: which file, which one there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DeclId {
    /// Index into [`Program::modules`].
    pub module: usize,
    /// Index into the file's declarations.
    pub decl: usize,
}

/// A file and what it sees.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its number in the sources.
    pub file: FileId,
    /// Is it an interface (`.tali`)?
    pub interface: bool,
    /// Does it come from the host itself, so that its declarations need no comparison?
    pub embedded: bool,
    /// Its tree.
    pub tree: Rc<File>,
    /// Files it uses, with the place that says so.
    pub uses: Vec<(usize, Span)>,
    /// What its names mean.
    pub scope: BTreeMap<String, DeclId>,
}

/// All files of a program; the first is the root.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The texts.
    pub sources: Sources,
    /// The files, in the order in which they were met.
    pub modules: Vec<Module>,
}

/// A text that comes with this crate, tried when no file of that name is found.
pub type Embedded = [(&'static str, &'static str)];

impl Program {
    /// Reads a file and all that it uses. The root's own absence is the caller's to report.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn load(
        root: &Path,
        files: &dyn Files,
        embedded: &Embedded,
        diags: &mut Vec<Diag>,
    ) -> std::io::Result<Program> {
        let text = files.read_root(root)?;
        let mut program = Program::default();
        let mut paths = vec![normal(root)];
        program.add(root, text, false, diags);
        let mut at = 0;
        while let Some(module) = program.modules.get(at) {
            let base =
                paths.get(at).and_then(|p| p.parent()).unwrap_or(Path::new("")).to_path_buf();
            let uses: Vec<_> = (module.tree.decls.iter())
                .filter_map(|d| match &d.kind {
                    DeclKind::Use(u) => Some((u.path.text().unwrap_or("").to_owned(), u.path.span)),
                    _ => None,
                })
                .collect();
            for (name, span) in uses {
                let path = normal(&base.join(&name));
                let found = match paths.iter().position(|p| *p == path) {
                    Some(found) => Some(found),
                    None => program.find(&path, &name, files, embedded, &mut paths, span, diags),
                };
                if let (Some(found), Some(module)) = (found, program.modules.get_mut(at)) {
                    module.uses.push((found, span));
                }
            }
            at += 1;
        }
        for at in 0..program.modules.len() {
            program.scope(at, diags);
        }
        Ok(program)
    }

    #[allow(clippy::too_many_arguments, reason = "one caller; a struct would hide the flow")]
    fn find(
        &mut self,
        path: &Path,
        name: &str,
        files: &dyn Files,
        embedded: &Embedded,
        paths: &mut Vec<PathBuf>,
        span: Span,
        diags: &mut Vec<Diag>,
    ) -> Option<usize> {
        let own = Path::new(name).file_name().and_then(|n| n.to_str());
        let shipped = embedded.iter().find(|(n, _)| Some(*n) == own);
        match (files.read(path), shipped) {
            (Ok(text), shipped) => {
                // The interface's own files are recognised by their text wherever they lie.
                let same = shipped.is_some_and(|(_, t)| *t == text);
                paths.push(path.to_path_buf());
                Some(self.add(path, text, same, diags))
            }
            (Err(e), Some((n, text))) if e.kind() == ErrorKind::NotFound => {
                let key = PathBuf::from(format!("<interface>/{n}"));
                if let Some(found) = paths.iter().position(|p| *p == key) {
                    return Some(found);
                }
                paths.push(key.clone());
                Some(self.add(&key, (*text).to_owned(), true, diags))
            }
            (Err(e), _) => {
                let diag = Diag::error(Code(101), span, format!("cannot read `{name}`"))
                    .with_primary(e.to_string())
                    .with_note(format!("looked for {}", path.display()));
                let shipped = embedded.iter().map(|(n, _)| *n);
                diags.push(match near(name, shipped) {
                    Some(meant) => diag.with_help(format!("did you mean `{meant}`?")),
                    None => diag,
                });
                None
            }
        }
    }

    fn add(&mut self, path: &Path, text: String, embedded: bool, diags: &mut Vec<Diag>) -> usize {
        let file = self.sources.add(path.display().to_string(), text);
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| embedded);
        let tree = name.and_then(|name| host::tree(file, name)).unwrap_or_else(|| {
            let text = self.sources.get(file).map_or("", |source| source.text.as_str());
            let (tree, mut found) = tal_syntax::parse(file, text);
            diags.append(&mut found);
            Rc::new(tree)
        });
        let interface = path.extension().is_some_and(|e| e == "tali");
        self.modules.push(Module {
            file,
            interface,
            embedded,
            tree,
            uses: Vec::new(),
            scope: BTreeMap::new(),
        });
        self.modules.len() - 1
    }

    /// Fills in what module `at` sees.
    fn scope(&mut self, at: usize, diags: &mut Vec<Diag>) {
        let Some(module) = self.modules.get(at) else { return };
        let mut scope: BTreeMap<String, DeclId> = BTreeMap::new();
        for (i, decl) in module.tree.decls.iter().enumerate() {
            let Some(name) = decl.name() else { continue };
            let id = DeclId { module: at, decl: i };
            if let Some(first) = scope.insert(name.text.to_string(), id) {
                scope.insert(name.text.to_string(), first);
                diags.push(self.twice(name, name.span, first));
            }
        }
        for (used, span) in &module.uses {
            if *used == at {
                continue;
            }
            let Some(other) = self.modules.get(*used) else { continue };
            for (i, decl) in other.tree.decls.iter().enumerate() {
                // The entry's type is the interface's; the program defines the function itself.
                let entry = matches!(&decl.kind, DeclKind::Fn(f) if f.entry.is_some());
                let visible = (other.interface || decl.public.is_some()) && !entry;
                let Some(name) = decl.name().filter(|_| visible) else { continue };
                let id = DeclId { module: *used, decl: i };
                match scope.get(name.text.as_str()).copied() {
                    None => {
                        scope.insert(name.text.to_string(), id);
                    }
                    Some(first) if first == id || first.module == *used => {}
                    Some(first) => {
                        let own = first.module == at;
                        let place = if own { self.name(first).map(|n| n.span) } else { None };
                        let diag = self
                            .twice(name, place.unwrap_or(*span), first)
                            .with_label(name.span, "declared here, and seen through `use`");
                        diags.push(match own {
                            true => diag.with_help(format!(
                                "give yours another name, here and where it is used: `{}_`",
                                name.text
                            )),
                            false => diag,
                        });
                    }
                }
            }
        }
        if let Some(module) = self.modules.get_mut(at) {
            module.scope = scope;
        }
    }

    fn twice(&self, name: &Name, span: Span, first: DeclId) -> Diag {
        let diag = Diag::error(Code(103), span, format!("`{}` is declared twice", name.text));
        match self.name(first) {
            Some(n) if n.span != span => diag.with_label(n.span, "first declared here"),
            _ => diag,
        }
    }

    /// A declaration by its id.
    #[must_use]
    pub fn decl(&self, id: DeclId) -> Option<&Decl> {
        self.modules.get(id.module)?.tree.decls.get(id.decl)
    }

    /// Takes the lines of a function out of the tree, which nobody else may hold.
    pub(crate) fn take_lines(&mut self, id: DeclId) -> Option<Vec<Line>> {
        let tree = Rc::get_mut(&mut self.modules.get_mut(id.module)?.tree)?;
        match &mut tree.decls.get_mut(id.decl)?.kind {
            DeclKind::Fn(f) => Some(std::mem::take(&mut f.body.as_mut()?.lines)),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, id: DeclId) -> Option<&Name> {
        self.decl(id)?.name()
    }

    /// What a name means in a file.
    #[must_use]
    pub fn lookup(&self, module: usize, name: &str) -> Option<DeclId> {
        self.modules.get(module)?.scope.get(name).copied()
    }

    /// A declaration of this name that a used file keeps to itself.
    #[must_use]
    pub fn private(&self, module: usize, name: &str) -> Option<DeclId> {
        let uses = &self.modules.get(module)?.uses;
        uses.iter().find_map(|(used, _)| {
            let decls = &self.modules.get(*used)?.tree.decls;
            let at = decls.iter().position(|d| d.name().is_some_and(|n| n.text == name))?;
            Some(DeclId { module: *used, decl: at })
        })
    }

    /// A name that is a word of other assemblers.
    fn habit(&self, name: &str, span: Span, diag: Diag) -> Option<Diag> {
        let small = name.to_ascii_lowercase();
        if small != name && Reg::parse(&small).is_some() {
            let help = format!("registers are written in small letters: `{small}`");
            return Some(diag.with_edit(help, span, small));
        }
        let text = &self.sources.get(span.file)?.text;
        let line = habits::line_at(text, span.start as usize)?;
        let habit = habits::code(text.get(line.clone())?)?;
        let [start, end] = [line.start, line.end].map(u32::try_from);
        let place = Span::new(span.file, start.ok()?, end.ok()?);
        Some(match habit.line {
            Some(right) => diag.with_edit(habit.help, place, right),
            None => diag.with_help(habit.help),
        })
    }

    /// The error for a name that means nothing, with what may have been meant.
    pub fn unknown(&self, module: usize, name: &str, span: Span, locals: &[&str]) -> Diag {
        if let Some(other) = self.private(module, name) {
            let diag = Diag::error(Code(104), span, format!("`{name}` is private to its file"));
            return match self.name(other) {
                Some(n) => diag
                    .with_label(n.span, "declared here without `pub`")
                    .with_help("write `pub` in front of the declaration"),
                None => diag,
            };
        }
        let diag = Diag::error(Code(102), span, format!("unknown name `{name}`"));
        if let Some(diag) = self.habit(name, span, diag.clone()) {
            return diag;
        }
        let globals = self.modules.get(module).map(|m| m.scope.keys()).into_iter().flatten();
        let all = globals.map(String::as_str).chain(locals.iter().copied());
        if let Some(file) = shipped_with(name) {
            return diag.with_help(format!("write `use \"{file}\"`, which declares it"));
        }
        match near(name, all) {
            Some(meant) => diag.with_edit(format!("did you mean `{meant}`?"), span, meant),
            None if like_register(name) => {
                diag.with_note("the registers are rax rcx rdx rbx rsp rbp rsi rdi and r8 to r15")
            }
            None => diag,
        }
    }
}

/// The file of the interface that declares this name.
fn shipped_with(name: &str) -> Option<&'static str> {
    const KINDS: [&str; 4] = ["fn", "const", "struct", "type"];
    let declares = |line: &str| {
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.next().is_some_and(|kind| KINDS.contains(&kind)) && words.next() == Some(name)
    };
    let found = host::FILES.iter().find(|(_, text)| text.lines().any(declares));
    found.map(|(file, _)| *file)
}

/// Does it look like a register that there is not, as `r16`?
fn like_register(name: &str) -> bool {
    let number = name.strip_prefix('r').map(|rest| rest.trim_end_matches(['b', 'w', 'd']));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The name that is most like this one, if any is near.
pub fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = all.map(|n| (osa_distance(n, name), n)).min()?;
    (best.0 <= 1 + name.len() / 4).then_some(best.1)
}

/// The path without `.` and with `..` taken, so that one file has one name.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let named = matches!(out.components().next_back(), Some(Component::Normal(_)));
                if !(named && out.pop()) {
                    out.push("..");
                }
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => out.push(part),
        }
    }
    out
}
