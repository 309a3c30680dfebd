//! Not trusted: a bug here can reject, never admit. Objects without a start, for the linker of a C
//! program: which programs can be one, and that the bytes of one are judged like any others.

use crate::Failure;
use crate::program::{Fixup, FixupKind, Program, Section, SymbolKind, Target};
use loader::Refusal;
use loader::image::Image;
use std::fmt;
use tal_core::image::Interface;
use tal_core::verify_section;

/// Why a program cannot be linked into one of C.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unlinkable {
    /// Nobody could name a part of it.
    NothingPublic,
    /// It calls what only the host of a typed program has: the name, and where.
    Import(String, String),
    /// Here stands an absolute address, which position-independent programs cannot hold.
    Absolute(String),
}

impl fmt::Display for Unlinkable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unlinkable::NothingPublic => f.write_str(
                "an object without `entry fn start` needs a `pub fn` for others to call",
            ),
            Unlinkable::Import(name, place) => write!(
                f,
                "{place}: `{name}` is a function of the host, which a program of C does not have; \
                 only an object with `entry fn start` can call it"
            ),
            Unlinkable::Absolute(place) => write!(
                f,
                "{place}: this needs an absolute address, which a position-independent program \
                 cannot hold; give --no-pie here, and -no-pie to the C compiler when it links"
            ),
        }
    }
}

impl std::error::Error for Unlinkable {}

/// Can C link it: into position-independent programs, which is what compilers make unless told
/// otherwise, if that is wanted?
///
/// # Errors
/// The first reason why not.
pub fn linkable(program: &Program, independent: bool) -> Result<(), Unlinkable> {
    let function = |kind| kind == SymbolKind::Function;
    if !program.symbols.iter().any(|symbol| symbol.public && function(symbol.kind)) {
        return Err(Unlinkable::NothingPublic);
    }
    for fixup in &program.fixups {
        if let Target::Import(import) = fixup.target {
            let name = program.imports.get(usize::from(import)).cloned().unwrap_or_default();
            return Err(Unlinkable::Import(name, place(program, fixup)));
        }
        if independent && is_absolute(fixup) {
            return Err(Unlinkable::Absolute(place(program, fixup)));
        }
    }
    Ok(())
}

/// Variables are filled in when the program is loaded; code and constants are not written then.
fn is_absolute(fixup: &Fixup) -> bool {
    match fixup.kind {
        FixupKind::Rel32 => false,
        FixupKind::Abs32 => true,
        FixupKind::Abs64 => fixup.section != Section::Data,
    }
}

/// Where in the source.
fn place(program: &Program, fixup: &Fixup) -> String {
    let line = program.line_at(fixup.offset).filter(|_| fixup.section == Section::Text);
    let object = program.object_at(fixup.section, fixup.offset);
    match (line, object) {
        (Some((file, line)), _) => format!("{}:{line}", file.display()),
        (None, Some(object)) => format!("the data `{}`", object.name),
        (None, None) => "the object".to_owned(),
    }
}

/// The judge's verdict on the bytes of the object, at the addresses that a program would have.
///
/// # Errors
/// When it is not that they are safe.
pub(crate) fn verify(object: &[u8], interface: &Interface) -> Result<(), Failure> {
    let linked = loader::link::link_library(object).map_err(Failure::Link)?;
    let refused = |refusal| Failure::Refused(refusal);
    let image = Image::parse(&linked).map_err(|error| refused(Refusal::File(error)))?;
    let (text, at) = (image.text(), image.text_address());
    let checked = verify_section(text, at, image.data(), image.annotations(), interface);
    let checked = checked.map_err(|error| refused(Refusal::Code(error)))?;
    // A start that the object does not name would have been judged as something else.
    if checked.image().start.is_some() { Err(refused(Refusal::Start)) } else { Ok(()) }
}
