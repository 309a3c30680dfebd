//! TCB. The image to be judged, as the loader or the assembler hands it over. An allegation:
//! nothing in it is believed before the driver has checked it.

use crate::counted::Rc;
use crate::ty::{FnId, Mem, Mode, NamedType, Sig, TypeId};
use alloc::vec::Vec;

/// What the host offers: types, origins and imports. Comes from the host, never from the object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Named types; an image's own are numbered after these.
    pub types: Vec<NamedType>,
    /// How many origins there are.
    pub origins: u16,
    /// Imports in interface order.
    pub imports: Vec<Rc<Sig>>,
    /// The signature that the program's start must have; a `never`.
    pub start: Rc<Sig>,
    /// Digest of the interface's wire form; an image names the one it was checked against.
    pub hash: [u8; 32],
}

/// A function: a start with a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Offset in the text.
    pub offset: u32,
    /// Index into [`Image::sigs`].
    pub sig: u32,
}

/// A loaded segment of data: what the loader will map, hence what data objects consist of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Absolute address.
    pub address: u32,
    /// Bytes in memory; what is beyond the bytes of the file is zero.
    pub size: u32,
    /// Bytes of the file.
    pub bytes: &'a [u8],
    /// May the mapped page be written?
    pub writable: bool,
}

/// Where the bytes of a data object come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Contents<'a> {
    /// Initialised bytes as loaded.
    Bytes(&'a [u8]),
    /// Zeroes (bss).
    Zero,
}

/// What a data object is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataKind {
    /// Typed memory; the witnesses of its packages in order of address.
    Object {
        /// Closed type.
        mem: Rc<Mem>,
        /// `Ro` or `Rw`.
        mode: Mode,
    },
    /// A jump table: addresses of labels (text offsets) of one function.
    Table {
        /// The function.
        function: FnId,
    },
}

/// A data object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Data<'a> {
    /// Absolute address.
    pub address: u32,
    /// Bytes.
    pub size: u32,
    /// What is claimed of it.
    pub kind: DataKind,
    /// What is there.
    pub contents: Contents<'a>,
    /// May the mapped page be written? Must agree with the kind.
    pub writable: bool,
}

/// Everything that the judge looks at, hints excepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// The text, whole.
    pub text: &'a [u8],
    /// Its absolute address.
    pub text_address: u32,
    /// Named types after the interface's: `types[i]` is `TypeId(interface.types.len() + i)`.
    pub types: Vec<NamedType>,
    /// Signatures of the functions.
    pub sigs: Vec<Rc<Sig>>,
    /// In address order.
    pub functions: Vec<Function>,
    /// Offsets of the labels in the text, increasing; each is of the last function that starts at
    /// or before it. What a label declares is asked where the first way leads to it.
    pub labels: Vec<u32>,
    /// In address order.
    pub data: Vec<Data<'a>>,
    /// Interface imports used: gate i calls `interface.imports[imports[i]]`.
    pub imports: Vec<u16>,
    /// The function where the program starts; must have the interface's start signature. A library
    /// has none.
    pub start: Option<FnId>,
}

impl Image<'_> {
    /// A named type by its number.
    #[must_use]
    pub fn named<'a>(&'a self, interface: &'a Interface, id: TypeId) -> Option<&'a NamedType> {
        let i = id.0 as usize;
        match i.checked_sub(interface.types.len()) {
            None => interface.types.get(i),
            Some(own) => self.types.get(own),
        }
    }
}
