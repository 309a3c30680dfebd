//! TCB. Strict ELF: see [`Image`].

/// An allegation: an ELF file in the one form that is admitted. Nothing is judged yet.
#[derive(Debug)]
pub struct Image<'a> {
    /// The machine code.
    pub text: &'a [u8],
}
