//! TCB. The notice: what an executable says when it is started by a system that does not judge it.
//! Such a system enters it here, not at its start, whose gates would lead nowhere.
//!
//! It is one fixed string of bytes at one place, between the headers and the first segment. A file
//! that has another there is refused, and no host maps it: it is compared, and no more.

/// Where it stands in the file: behind as many program headers as there may be.
pub const OFFSET: usize = 0x200;
/// Where a system maps it: below every image, and no segment of one could start there.
pub const ADDRESS: u64 = 0x003F_F200;

/// `write(2, words, 81); exit_group(126);`, then the words.
pub const BYTES: &[u8] =
    b"\xB8\x01\0\0\0\xBF\x02\0\0\0\x48\x8D\x35\x13\0\0\0\xBA\x51\0\0\0\x0F\x05\
\xB8\xE7\0\0\0\xBF\x7E\0\0\0\x0F\x05\
This is a typed program, not an ordinary one: start it with `tal-load run FILE`.\n";

#[cfg(test)]
mod tests {
    use super::{ADDRESS, BYTES, OFFSET};
    use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn it_writes_all_its_words_and_ends() {
        let mut decoder = Decoder::with_ip(64, BYTES, ADDRESS, DecoderOptions::NONE);
        let mut formatter = NasmFormatter::new();
        let mut lines = Vec::new();
        while lines.len() < 8 {
            let mut line = String::new();
            formatter.format(&decoder.decode(), &mut line);
            lines.push(line);
        }
        let words = decoder.position();
        assert_eq!(
            lines,
            [
                "mov eax,1",
                "mov edi,2",
                "lea rsi,[rel 3FF224h]",
                "mov edx,51h",
                "syscall",
                "mov eax,0E7h",
                "mov edi,7Eh",
                "syscall",
            ]
        );
        assert_eq!(ADDRESS + words as u64, 0x3F_F224);
        assert_eq!(BYTES.len() - words, 0x51);
        assert!(BYTES.ends_with(b".\n") && BYTES[words..].is_ascii());
        assert_eq!(ADDRESS % crate::image::PAGE, OFFSET as u64);
    }
}
