//! Not trusted. A program that was not judged, with a segment more that no memory management would
//! map: what the kernel says of its own accord, whatever the judge has said.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where the number of program headers stands, and the headers.
const COUNT: usize = 56;
const HEADERS: usize = 64;
const HEADER: usize = 56;

/// Rights, address and size in memory of a segment without bytes in the file.
struct Segment {
    name: &'static str,
    flags: u32,
    address: u64,
    size: u64,
}

/// Names as in `starts.c`.
const SEGMENTS: &[Segment] = &[
    Segment { name: "more", flags: 6, address: 0x7000_0000, size: 1 },
    Segment { name: "empty", flags: 4, address: 0x7000_0000, size: 0 },
    Segment { name: "emptytext", flags: 5, address: 0x7000_0000, size: 0 },
    Segment { name: "wraps", flags: 4, address: 0x7000_0000, size: u64::MAX - 0x6FFF_FFFF },
    Segment { name: "overlaps", flags: 6, address: 0x40_1000, size: 4096 },
    Segment { name: "beyond", flags: 6, address: 0x7FFF_F000, size: 4097 },
    Segment { name: "kernel", flags: 4, address: 0xFFFF_FFFF_8100_0000, size: 4096 },
    Segment { name: "ongates", flags: 4, address: 0x20_0000, size: 4096 },
    Segment { name: "rights", flags: 7, address: 0x7000_0000, size: 4096 },
    Segment { name: "norights", flags: 0, address: 0x7000_0000, size: 4096 },
];

/// The program with each of them, by name.
pub(super) fn changed(program: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let file = fs::read(program)?;
    SEGMENTS.iter().map(|segment| Ok((segment.name, with(&file, segment)?))).collect()
}

/// The file with that in the place of the header of its notes, which nobody reads.
fn with(file: &[u8], segment: &Segment) -> Result<Vec<u8>> {
    const PT_NOTE: [u8; 4] = [4, 0, 0, 0];
    let mut file = file.to_vec();
    let count = usize::from(*file.get(COUNT).context("no header")?);
    let headers = file.get_mut(HEADERS..HEADERS + count * HEADER).context("no headers")?;
    let notes = headers.chunks_exact_mut(HEADER).find(|header| header.starts_with(&PT_NOTE));
    let words = [1, segment.flags].map(u32::to_le_bytes).concat();
    let longs = [0, segment.address, segment.address, 0, segment.size, 4096];
    let bytes = [words, longs.map(u64::to_le_bytes).concat()].concat();
    notes.context("the program has no notes")?.copy_from_slice(&bytes);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_replaced() -> Result<()> {
        let mut file = vec![0; 4096];
        file[COUNT] = 2;
        assert!(with(&file, &SEGMENTS[0]).is_err(), "no notes");
        file[HEADERS + HEADER] = 4;
        let more = with(&file, &SEGMENTS[0])?;
        assert_eq!(more[HEADERS + HEADER..][..8], [1, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(more[..HEADERS + HEADER], file[..HEADERS + HEADER]);
        assert_eq!(more[HEADERS + 2 * HEADER..], file[HEADERS + 2 * HEADER..]);
        Ok(())
    }
}
