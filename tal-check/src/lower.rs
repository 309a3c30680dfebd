//! Not trusted: a bug here can reject, never admit. From trees to a [`Lowered`] program.
//!
//! Order: which functions and data belong to the program (the root file's, and what these reach);
//! signatures; bodies; lengths; addresses; bytes. Every error of a pass is reported; a pass that
//! had one ends the lowering.

mod body;
mod data;
pub(crate) mod draft;
mod expr;
mod forms;
pub(crate) mod link;
mod reach;
mod result;
mod sig;
mod state;
mod structs;
mod types;

pub(crate) use body::{STAND_IN, stand_in};
pub(crate) use expr::place_name;

use crate::asm::{Arg, Assembler};
use crate::host::Host;
use crate::layout::Object;
use crate::lowered::{FieldInfo, Lowered, TestDirective, TypeInfo};
use crate::resolve::{DeclId, Program};
use body::Place;
use draft::Draft;
use link::{Linked, Unlinked, Why};
use sig::Named;
use std::collections::BTreeMap;
use tal_core::counted::Rc;
use tal_core::image::DataKind;
use tal_core::ty::{FnId, Sig, TypeId};
use tal_syntax::Span;
use tal_syntax::ast::{self, DeclKind, Directive};
use tal_syntax::diag::{Code, Diag};
use tal_syntax::source::Sources;

/// Where the text stands.
pub const TEXT_ADDRESS: u32 = 0x40_0000;

/// What lowering gives: a program unless there is an error, and the texts to show diagnostics with.
#[derive(Debug)]
pub struct Outcome {
    /// The program, if there was no error.
    pub lowered: Option<Lowered>,
    /// The texts, also when there was an error.
    pub sources: Sources,
    /// What is to be said.
    pub diags: Vec<Diag>,
}

/// Something is wrong and has been said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reported;

pub(crate) type Res<T> = Result<T, Reported>;

/// Offsets of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub fields: Vec<FieldInfo>,
    pub size: u32,
    pub align: u32,
    /// Has it parts that are not words? Then it is no named type of the judge.
    pub inline: bool,
}

/// What is known of a struct that became a named type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StructState {
    Known(TypeId),
    Failed,
}

/// Definitions and operators that may stand inside each other.
const DEPTH: usize = 400;

/// The elaborator: all tables of one run.
pub(crate) struct Elab {
    pub program: Rc<Program>,
    pub diags: Vec<Diag>,
    /// Nothing while it is being found.
    constants: BTreeMap<DeclId, Option<Res<i128>>>,
    /// As the constants.
    layouts: BTreeMap<DeclId, Option<Res<Layout>>>,
    structs: BTreeMap<DeclId, StructState>,
    /// The program's own named types.
    pub types: Vec<TypeInfo>,
    /// The interface's.
    pub host_types: Vec<TypeInfo>,
    /// Names of its origins.
    pub origin_names: Vec<String>,
    host_imports: Vec<(String, Rc<Sig>)>,
    /// Is this the elaboration of the interface itself?
    pub defining: bool,
    nesting: usize,
    /// Definitions and operators around what is being elaborated.
    depth: usize,
    /// Was it said that these are too many? Each part of a long chain is too deep anew.
    too_deep: bool,
    data_order: BTreeMap<DeclId, usize>,
    functions: BTreeMap<DeclId, FnId>,
    imports: Vec<u16>,
    compared: BTreeMap<DeclId, Res<u16>>,
    assembler: Assembler,
    /// Of the instruction that is being written.
    args: Vec<Arg>,
}

impl Elab {
    pub(crate) fn new(program: Program, diags: Vec<Diag>) -> Elab {
        Elab {
            program: Rc::new(program),
            diags,
            constants: BTreeMap::new(),
            layouts: BTreeMap::new(),
            structs: BTreeMap::new(),
            types: Vec::new(),
            host_types: Vec::new(),
            origin_names: Vec::new(),
            host_imports: Vec::new(),
            defining: false,
            nesting: 0,
            depth: 0,
            too_deep: false,
            data_order: BTreeMap::new(),
            functions: BTreeMap::new(),
            imports: Vec::new(),
            compared: BTreeMap::new(),
            assembler: Assembler::default(),
            args: Vec::new(),
        }
    }

    pub(crate) fn use_host(&mut self, host: &Host) {
        self.host_types.clone_from(&host.types);
        self.origin_names.clone_from(&host.origins);
        self.host_imports = (host.imports.iter().zip(&host.interface.imports))
            .map(|(info, sig)| (info.name.clone(), sig.clone()))
            .collect();
    }

    pub(crate) fn report(&mut self, diag: Diag) -> Reported {
        self.diags.push(diag);
        Reported
    }

    /// One step further down, through operators and through what names stand for. A chain of
    /// definitions is as long as the source; the machine's stack is not.
    fn deeper<T>(&mut self, span: Span, step: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        if self.depth >= DEPTH {
            if std::mem::replace(&mut self.too_deep, true) {
                return Err(Reported);
            }
            let message = format!("more than {DEPTH} definitions and operators inside each other");
            return Err(self.error(221, span, &message));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    pub(crate) fn error(&mut self, code: u16, span: Span, message: &str) -> Reported {
        self.report(Diag::error(Code(code), span, message))
    }

    /// Something that a later version will have.
    pub(crate) fn stage(&mut self, span: Span, what: &str) -> Reported {
        self.error(208, span, &format!("{what} come with a later version"))
    }

    /// The gate of an import, if the declaration is one.
    fn import(&mut self, id: DeclId, span: Span) -> Res<Option<u16>> {
        let program = self.program.clone();
        let Some(DeclKind::Fn(f)) = program.decl(id).map(|d| &d.kind) else { return Ok(None) };
        let interface = program.modules.get(id.module).is_some_and(|m| m.interface);
        if f.body.is_some() || !interface {
            return Ok(None);
        }
        if f.entry.is_some() {
            return Err(self.error(809, span, "the start of a program cannot be called"));
        }
        let host = match self.compared.get(&id) {
            Some(known) => (*known)?,
            None => {
                let found = self.compare_import(id, f);
                self.compared.insert(id, found);
                found?
            }
        };
        if let Some(at) = self.imports.iter().position(|i| *i == host) {
            return Ok(u16::try_from(at).ok());
        }
        if self.imports.len() >= tal_core::limits::IMPORTS {
            return Err(self.error(221, span, "a program uses at most 256 imports"));
        }
        self.imports.push(host);
        Ok(u16::try_from(self.imports.len() - 1).ok())
    }

    /// The host's import of this name; the program's copy of its type must be the same.
    fn compare_import(&mut self, id: DeclId, f: &ast::Fn) -> Res<u16> {
        let name = &f.name;
        let Some(at) = self.host_imports.iter().position(|(n, _)| *n == name.text) else {
            let diag = Diag::error(
                Code(108),
                name.span,
                format!("the host's interface has no function `{}`", name.text),
            );
            return Err(self.report(diag));
        };
        let number = u16::try_from(at).map_err(|_| Reported)?;
        if self.program.modules.get(id.module).is_some_and(|m| m.embedded) {
            return Ok(number);
        }
        let Some(sig) = &f.sig else { return Ok(number) };
        let own = self.signature(id.module, &f.binders, sig)?;
        match self.host_imports.get(at) {
            Some((_, host)) if *host == own.sig => Ok(number),
            _ => Err(self.report(
                Diag::error(
                    Code(109),
                    name.span,
                    format!("the type of `{}` differs from the host's", name.text),
                )
                .with_note("the host owns the interface; a program's copy must be equal")
                .with_help("use the interface file that comes with the host"),
            )),
        }
    }

    // ------------------------------------------------------------------------------------ program

    pub(crate) fn program(&mut self, host: &Rc<Host>, broken: bool) -> Option<Lowered> {
        self.check_declarations();
        let reach = self.reach();
        for (i, id) in reach.functions.iter().enumerate() {
            self.functions.insert(*id, FnId(u32::try_from(i).ok()?));
        }
        let order = self.order_data(&reach);
        let mut drafts = Vec::new();
        let mut start = None;
        for (i, id) in reach.functions.iter().enumerate() {
            // What is on its way to bytes may have their room.
            let lines = Rc::get_mut(&mut self.program).and_then(|program| program.take_lines(*id));
            let program = self.program.clone();
            let Some(decl) = program.decl(*id) else { continue };
            let DeclKind::Fn(f) = &decl.kind else { continue };
            let body = f.body.as_ref().map_or(&[][..], |body| &body.lines);
            let Ok(named) = self.function_signature(*id, f, host) else { continue };
            if f.entry.is_some() {
                start = FnId(u32::try_from(i).ok()?).into();
            }
            let place = Place {
                decl: *id,
                function: f,
                lines: lines.as_deref().unwrap_or(body),
                public: decl.public.is_some(),
                named,
                address_taken: reach.address_taken.contains(id),
                tables: order.tables.get(id).cloned().unwrap_or_default(),
            };
            drafts.extend(self.draft(place));
        }
        let objects = self.data_objects(&order);
        self.check_unused();
        if broken || self.diags.iter().any(Diag::is_error) || drafts.len() != reach.functions.len()
        {
            return None;
        }
        self.link(host, drafts, objects?, start)
    }

    /// Gives everything an address and writes bytes.
    fn link(
        &mut self,
        host: &Rc<Host>,
        mut drafts: Vec<Draft>,
        objects: Vec<Object>,
        start: Option<FnId>,
    ) -> Option<Lowered> {
        self.sort_imports(&mut drafts);
        let tests = self.tests();
        let sources = self.program.sources.clone();
        // The trees have served: what is written now may have their room.
        self.program = Rc::new(Program { sources: sources.clone(), modules: Vec::new() });
        let linked = match link::link(drafts, objects) {
            Ok(linked) => linked,
            Err(unlinked) => {
                let Unlinked { span, why, .. } = unlinked;
                match why {
                    Why::TooLarge => {
                        self.error(221, span, "the program is larger than 2^30 bytes");
                    }
                    Why::OutOfReach => {
                        self.error(806, span, "this address is out of reach of the instruction");
                    }
                }
                return None;
            }
        };
        let Linked { text, code, functions, sigs, data, fixups } = linked;
        Some(Lowered {
            sources,
            host: host.clone(),
            text,
            text_address: TEXT_ADDRESS,
            code,
            types: self.types.clone(),
            sigs,
            functions,
            data,
            imports: self.imports.clone(),
            start,
            fixups,
            tests,
        })
    }

    /// Gates stand in the order of the interface.
    fn sort_imports(&mut self, drafts: &mut [Draft]) {
        let before = self.imports.clone();
        self.imports.sort_unstable();
        let gate = |old: u16| {
            let import = before.get(usize::from(old));
            let new = self.imports.iter().position(|i| Some(i) == import);
            new.and_then(|n| u16::try_from(n).ok()).unwrap_or(old)
        };
        for draft in drafts {
            draft.renumber_gates(&gate);
        }
    }

    /// The signature of a function of the program; the start's is the interface's.
    fn function_signature(&mut self, id: DeclId, f: &ast::Fn, host: &Host) -> Res<Named> {
        if f.entry.is_none() {
            let empty = ast::Sig {
                params: Vec::new(),
                facts: Vec::new(),
                result: None,
                effects: Vec::new(),
                span: f.name.span,
            };
            return self.signature(id.module, &f.binders, f.sig.as_ref().unwrap_or(&empty));
        }
        let program = self.program.clone();
        let declared = program.modules.iter().enumerate().find_map(|(m, module)| {
            let of = |d: &ast::Decl| match &d.kind {
                DeclKind::Fn(g) if g.entry.is_some() && module.interface => Some(g.clone()),
                _ => None,
            };
            module.tree.decls.iter().find_map(of).map(|g| (m, g))
        });
        let Some((module, entry)) = declared else {
            return Err(self.report(
                Diag::error(Code(110), f.name.span, "no interface says how a program starts")
                    .with_help("write `use \"kernel.tali\"`"),
            ));
        };
        let (Some(sig), true) = (&entry.sig, entry.name.text == f.name.text) else {
            return Err(self.report(
                Diag::error(Code(110), f.name.span, "this is not the interface's entry")
                    .with_label(entry.name.span, "the entry is declared here"),
            ));
        };
        let named = self.signature(module, &entry.binders, sig)?;
        if named.sig != host.interface.start {
            let message = "the interface's `entry fn` differs from the host's";
            return Err(self.error(109, entry.name.span, message));
        }
        let Some(own) = &f.sig else {
            // The type is the interface's; what its body names is looked up where it stands.
            let scope = expr::Scope { module: id.module, ..named.scope };
            return Ok(Named { scope, ..named });
        };
        let own_sig = self.signature(id.module, &f.binders, own)?;
        if own_sig.sig != named.sig {
            return Err(self.report(
                Diag::error(Code(219), own.span, "this is not the type of the entry")
                    .with_label(entry.name.span, "the interface declares it here")
                    .with_help("leave the type out: `entry fn start {`"),
            ));
        }
        Ok(own_sig)
    }

    fn tests(&self) -> Vec<TestDirective> {
        let comments = self.program.modules.iter().flat_map(|m| &m.tree.comments);
        comments
            .filter_map(|c| {
                let (error, text) = match c.directive()? {
                    Directive::Expect(text) => (true, text),
                    Directive::State(text) => (false, text),
                };
                Some(TestDirective { span: c.span, error, text: text.to_owned() })
            })
            .collect()
    }
}

/// A jump table of this function.
pub(crate) fn table_kind(function: FnId) -> DataKind {
    DataKind::Table { function }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::interface;
    use iced_x86::{Decoder, DecoderOptions, OpKind};
    use std::path::Path;

    const TEXT: &str = "
use \"kernel.tali\"
struct pair { a: u64, b: u64 }
rodata list: [4]u64 = 1, 2, 3, 4
bss bytes: bytes[64]

fn other(rdi = n) -> (rax) {
        mov     rax, rdi
        ret
}

entry fn start {
        lea     rsi, [list]
        mov     rax, [list + 8]
        mov     ecx, 3
        mov     rax, [list + rcx*8]
        mov     rdx, 0x123456789abcdef
        imul    rax, rdx, 100
        cmp     rax, rdx
        jne     .on
        xchg    rax, rdx
.on:
        lea     rdi, [bytes]
        mov     byte [rdi + 7], 1
        call    other
        lea     rax, [other]
        xor     eax, eax
        mov     ecx, 64
        rep stosb
        xor     edi, edi
        jmp     exit
}
";

    /// A lowered program, and how often the encoder was called for it.
    fn lowered(text: &str) -> (Lowered, usize) {
        let files: BTreeMap<String, String> = [("a.tal".to_owned(), text.to_owned())].into();
        let host = interface::host().unwrap_or_else(|_| panic!());
        let mut diags = Vec::new();
        let root = Path::new("a.tal");
        let program = Program::load(root, &files, &interface::FILES, &mut diags).unwrap();
        let mut elab = Elab::new(program, diags);
        elab.use_host(&host);
        let lowered = elab.program(&host, false);
        let calls = elab.assembler.calls();
        (lowered.unwrap_or_else(|| panic!("{:?}", elab.diags)), calls)
    }

    /// Jumps and calls to fixed targets are written without the encoder; each other instruction
    /// takes one call, addresses or not.
    #[test]
    fn an_instruction_is_encoded_once() {
        let (lowered, calls) = lowered(TEXT);
        let plain = lowered.code.iter().filter(|i| i.op0_kind() != OpKind::NearBranch64).count();
        assert_eq!(lowered.code.len(), 22);
        assert_eq!((plain, calls), (19, 19));
    }

    /// What is kept of the instructions is what a decoder reads from the text.
    #[test]
    fn the_instructions_are_those_of_the_text() {
        let (lowered, _) = lowered(TEXT);
        let base = u64::from(lowered.text_address);
        for function in &lowered.functions {
            let range = function.offset as usize..function.end() as usize;
            let ip = base + u64::from(function.offset);
            let decoder = Decoder::with_ip(64, &lowered.text[range], ip, DecoderOptions::NONE);
            let read: Vec<_> = decoder.into_iter().collect();
            let kept: Vec<_> = lowered.instructions(function.offset, function.end()).collect();
            assert_eq!(read.len(), kept.len());
            assert_eq!(kept.len(), function.instructions.len());
            for (read, kept) in read.iter().zip(&kept) {
                assert!(read.eq_all_bits(kept), "{read:?}\n{kept:?}");
                assert_eq!(read.ip(), kept.ip());
            }
        }
    }
}
