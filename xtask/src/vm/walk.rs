//! Not trusted. The user half of the page tables that a CPU uses, read through QEMU's monitor.
//!
//! `info mem` would do, but it walks the kernel's half too, with each alias of the stacks of
//! ESPFIX64, and the machine stands still for minutes.

use super::files::ask;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::os::unix::net::UnixStream;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const HUGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const LA57: u64 = 1 << 12;

/// The pages of the user half that `cpu` sees now, in the form of `info mem`.
pub(super) fn user_half(stream: &mut UnixStream, cpu: u32) -> Result<String> {
    ask(stream, &format!("cpu {cpu}\n"))?;
    ask(stream, "stop\n")?;
    let pages = pages(stream);
    ask(stream, "cont\n")?;
    pages
}

/// A table that is still to be read: at which level, and what it is to map with which rights.
struct Todo {
    table: u64,
    level: u32,
    from: u64,
    rights: u64,
}

fn pages(stream: &mut UnixStream) -> Result<String> {
    let registers = ask(stream, "info registers\n")?;
    let level = if register(&registers, "CR4")? & LA57 == 0 { 4 } else { 5 };
    let table = register(&registers, "CR3")? & ADDRESS;
    let mut todo = vec![Todo { table, level, from: 0, rights: WRITABLE | USER }];
    let mut text = String::new();
    while let Some(next) = todo.pop() {
        // A level has 9 bits of the address; the upper half of the top is the kernel's.
        let size = 1u64 << (12 + 9 * (next.level - 1));
        let entries = if next.level == level { 256 } else { 512 };
        for (from, entry) in (0..)
            .map(|i| next.from + i * size)
            .zip(words(&ask(stream, &format!("xp /{entries}gx {:#x}\n", next.table))?))
        {
            let rights = next.rights & entry;
            if entry & PRESENT == 0 {
                continue;
            } else if next.level == 1 || (next.level <= 3 && entry & HUGE != 0) {
                let letter = |bit, letter| if rights & bit == 0 { '-' } else { letter };
                let (user, write) = (letter(USER, 'u'), letter(WRITABLE, 'w'));
                let to = from + size;
                writeln!(text, "{from:016x}-{to:016x} {size:016x} {user}r{write}")?;
            } else {
                let table = entry & ADDRESS;
                todo.push(Todo { table, level: next.level - 1, from, rights });
            }
        }
    }
    Ok(text)
}

/// The value of a control register in `info registers`.
fn register(text: &str, name: &str) -> Result<u64> {
    let start = format!("{name}=");
    let word = text.split_whitespace().find_map(|word| word.strip_prefix(&start));
    Ok(u64::from_str_radix(word.with_context(|| format!("no {name}"))?, 16)?)
}

/// The words of a dump: `ADDRESS: 0x.. 0x..` on each line.
fn words(text: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, rest)| rest.split_whitespace())
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_monitor_prints_is_understood() -> Result<()> {
        let registers = "CR0=80050033 CR2=0000000000404ff8 CR3=0000000005a3c000 CR4=001516f0\r\n";
        assert_eq!(register(registers, "CR3")?, 0x05a3_c000);
        assert_eq!(register(registers, "CR4")? & LA57, LA57);
        assert!(register(registers, "CR8").is_err());
        let dump = "xp /2gx 0x1000\r\n0000000000001000: 0x0000000000000067 0x8000000000000001\r\n";
        assert_eq!(words(dump), [0x67, 1 << 63 | 1]);
        Ok(())
    }
}
