//! Not trusted: a test. What is tried: the judge, the loader and the decoder, or in the tests of
//! the fuzzer ones with a fault that it has to find.

use loader::Verified;
use tal_asm::program::Program;
use tal_core::decode::{Decoded, decode_at};
use tal_core::image::{Interface, Segment};
use tal_core::verify_section;

/// A verdict that can be compared: nothing, or the whole refusal in words.
pub type Verdict = Result<(), String>;

/// See the module.
pub trait Subject {
    /// What the judge is told of the host.
    fn interface(&self) -> &Interface;

    /// The judge's verdict on the parts of a program.
    fn judge(&self, program: &Program) -> Verdict {
        let segments = segments(program);
        let (text, at, notes) = (&program.text, program.text_address, &program.annotations);
        let checked = verify_section(text, at, &segments, notes, self.interface());
        checked.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// The loader's verdict on a file.
    fn verify<'a>(&self, file: &'a [u8]) -> Result<Verified<'a>, String> {
        loader::verify(file, self.interface()).map_err(|refusal| format!("{refusal:?}"))
    }

    /// The decoder, at the address [`crate::bytes::ADDRESS`].
    fn decode(&self, bytes: &[u8]) -> Option<Decoded> {
        decode_at(bytes, crate::bytes::ADDRESS, 0).ok()
    }
}

/// What is there.
#[derive(Debug)]
pub struct Real(Interface);

impl Real {
    /// With the interface that the loader has.
    #[must_use]
    pub fn new() -> Real {
        Real(loader::interface::embedded().unwrap())
    }
}

impl Default for Real {
    fn default() -> Real {
        Real::new()
    }
}

impl Subject for Real {
    fn interface(&self) -> &Interface {
        &self.0
    }
}

/// The data of a program as the loader maps them.
#[must_use]
pub fn segments(program: &Program) -> Vec<Segment<'_>> {
    let rodata = (program.rodata_address, &program.rodata[..], program.rodata.len(), false);
    let data = (program.data_address, &program.data[..], program.data.len(), true);
    let bss = (program.bss_address, &[][..], program.bss_size as usize, true);
    let parts = [rodata, data, bss].into_iter().filter(|(_, _, size, _)| *size > 0);
    let segment = |(address, bytes, size, writable)| Segment {
        address,
        size: u32::try_from(size).unwrap(),
        bytes,
        writable,
    };
    parts.map(segment).collect()
}
