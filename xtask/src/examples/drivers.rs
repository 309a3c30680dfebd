//! Not trusted. The library examples at work: each has a driver in `examples/tests/` that reads
//! its operands from standard input and prints results; a model computes the same.

use super::inputs::Random;
use super::{Bench, same};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fmt::Write as _;

/// A driver, what is fed to it, and what it has to print.
struct Driver {
    name: &'static str,
    inputs: fn(&mut Random) -> Vec<Vec<u8>>,
    model: fn(&[u8]) -> Vec<u8>,
}

const DRIVERS: &[Driver] = &[
    Driver { name: "bytes", inputs: byte_strings, model: bytes },
    Driver { name: "bump", inputs: piece_sizes, model: bump },
    Driver { name: "date", inputs: seconds, model: dates },
    Driver { name: "fmt", inputs: numbers, model: decimals },
    Driver { name: "foreach", inputs: numbers, model: sum_and_count },
    Driver { name: "list", inputs: numbers, model: sum },
    Driver { name: "matrix", inputs: matrices, model: products },
    Driver { name: "pool", inputs: numbers, model: cells },
    Driver { name: "search", inputs: keys_and_arrays, model: lower_bounds },
    Driver { name: "sorting", inputs: numbers, model: sorted },
    Driver { name: "table", inputs: pairs, model: table },
    Driver { name: "tokens", inputs: texts, model: tokens },
    Driver { name: "vector", inputs: numbers, model: count_and_sum },
];

/// The examples that these drivers, or the other examples (`http`, `io`, `net`), run.
pub(super) const LIBRARIES: &[&str] = &[
    "bytes", "bump", "date", "fmt", "foreach", "http", "io", "list", "matrix", "net", "pool",
    "search", "sorting", "table", "tokens", "vector",
];

/// Seconds since 1970: around the ends of days, months, years and centuries, and others.
fn seconds(random: &mut Random) -> Vec<Vec<u8>> {
    let days = (0..90_000).step_by(61).flat_map(|day| [86_400 * day, 86_400 * day + 86_399]);
    // Ends of February 2000, 2096, 2100, and of 9999.
    let known = [951_782_400, 951_868_799, 3_981_225_600, 4_107_542_399, 253_402_300_799];
    let others: Vec<u64> = (0..500).map(|_| random.next() % 253_402_300_800).collect();
    vec![join(days.chain(known).chain(others))]
}

/// By counting years and months.
fn dates(input: &[u8]) -> Vec<u8> {
    words(input).into_iter().flat_map(|second| date(second).into_bytes()).collect()
}

fn date(second: u64) -> String {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let (mut day, mut year) = (second / 86_400, 1970);
    let name = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(day % 7) as usize];
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [
        ("Jan", 31),
        ("Feb", 28 + u64::from(leap(year))),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let mut month = "";
    for (name, length) in months {
        month = name;
        if day < length {
            break;
        }
        day -= length;
    }
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    let second = second % 60;
    format!("{name}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT\n", day + 1)
}

/// How many runs agree.
pub(super) fn run(bench: &Bench) -> Result<usize> {
    let mut random = Random(0xD21E);
    let mut runs = 0;
    for driver in DRIVERS {
        let name = format!("tests/{}", driver.name);
        bench.assemble(&name)?;
        for (number, input) in (0..).zip((driver.inputs)(&mut random)) {
            let output = bench.output(&name, &[], &input);
            output
                .and_then(|output| same(&output, &(driver.model)(&input)))
                .with_context(|| format!("{name}: input {number} of {} bytes", input.len()))?;
            runs += 1;
        }
    }
    Ok(runs)
}

/// Whole little-endian numbers.
fn words(input: &[u8]) -> Vec<u64> {
    input.chunks_exact(8).filter_map(|c| c.try_into().ok()).map(u64::from_le_bytes).collect()
}

fn join(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn print(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut text = String::new();
    for number in numbers {
        let _ = writeln!(text, "{number}");
    }
    text.into_bytes()
}

/// Numbers with many equal ones, small ones, and those at the ends of their range.
fn number(random: &mut Random) -> u64 {
    const ENDS: [u64; 6] = [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64, 10];
    match random.below(4) {
        0 => ENDS[random.below(ENDS.len())],
        1 => random.next() % 100,
        _ => random.next() >> random.below(64),
    }
}

/// Arrays of 0, 1 and more elements; ends that are no whole number; the largest that fits (1 MiB).
fn numbers(random: &mut Random) -> Vec<Vec<u8>> {
    let sizes = [0, 1, 2, 3, 15, 16, 17, 18, 33, 100, 255, 256, 257, 1000, 20_000, 131_072];
    let array =
        |random: &mut Random, n: usize| join((0..n).map(|_| number(random)).collect::<Vec<_>>());
    let mut all: Vec<Vec<u8>> = sizes.iter().map(|n| array(random, *n)).collect();
    all.extend((0..20).map(|_| {
        let n = random.below(600);
        array(random, n)
    }));
    all.push([&array(random, 5)[..], &[1, 2, 3]].concat());
    all.push(join(0..2000));
    all.push(join((0..2000).rev()));
    all
}

fn decimals(input: &[u8]) -> Vec<u8> {
    print(words(input))
}

fn sum_of(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, n| sum.wrapping_add(*n))
}

fn sum(input: &[u8]) -> Vec<u8> {
    print([sum_of(&words(input))])
}

fn sum_and_count(input: &[u8]) -> Vec<u8> {
    let numbers = words(input);
    print([sum_of(&numbers), numbers.len() as u64])
}

fn count_and_sum(input: &[u8]) -> Vec<u8> {
    let numbers = words(input);
    print([numbers.len() as u64, sum_of(&numbers)])
}

fn sorted(input: &[u8]) -> Vec<u8> {
    let mut numbers: Vec<i64> = words(input).into_iter().map(|n| n as i64).collect();
    numbers.sort_unstable();
    print(numbers.into_iter().map(|n| n as u64))
}

/// Every cell is taken, and only every cell: one page has 128.
fn cells(input: &[u8]) -> Vec<u8> {
    let mut held: Vec<u64> = Vec::new();
    let mut printed = Vec::new();
    for n in words(input) {
        if n & 1 == 1 && held.len() < 128 {
            held.push(n);
        } else if n & 1 == 0 {
            printed.push(held.pop().unwrap_or(0));
        } else {
            printed.push(1);
        }
    }
    print(printed)
}

/// Sizes of pieces until there is no room, and after.
fn piece_sizes(random: &mut Random) -> Vec<Vec<u8>> {
    let mut all = vec![
        vec![],
        join([4096, 4096, 1]),
        join([1; 520]),
        join([4096, 4080, 17, 16, 1]),
        join([1, 15, 16, 17, 4095]),
    ];
    all.extend((0..10).map(|_| join((0..40).map(|_| random.next() % 600 + 1).collect::<Vec<_>>())));
    all
}

fn bump(input: &[u8]) -> Vec<u8> {
    let mut left = 8192;
    let pieces = words(input).into_iter().map(|size| {
        let size = size.next_multiple_of(16);
        let fits = size <= left;
        left -= if fits { size } else { 0 };
        u64::from(fits)
    });
    print(pieces)
}

/// A byte, then halves that are equal, or differ in one byte at the start, the end or in a word.
fn byte_strings(random: &mut Random) -> Vec<Vec<u8>> {
    let mut all = vec![vec![], vec![7], vec![7, 7], vec![7, 1, 2], vec![7, 7, 7], vec![7, 0, 0]];
    for size in [1, 7, 8, 9, 15, 16, 17, 31, 64, 1000, 65_536, 1 << 20] {
        let half = random.bytes(size);
        let whole = [&[random.next() as u8][..], &half, &half].concat();
        for place in [0, size / 2, size - 1] {
            let mut other = whole.clone();
            other[1 + size + place] ^= 1 << random.below(8);
            all.push(other);
        }
        all.push(whole);
    }
    all
}

fn bytes(input: &[u8]) -> Vec<u8> {
    let Some((byte, rest)) = input.split_first() else { return Vec::new() };
    let half = rest.len() / 2;
    let (first, second) = (&rest[..half], &rest[half..2 * half]);
    let index = first.iter().position(|b| b == byte).unwrap_or(half);
    let mut output = print([index as u64, u64::from(first == second)]);
    output.extend(second);
    output.extend(vec![*byte; half]);
    output
}

fn keys_and_arrays(random: &mut Random) -> Vec<Vec<u8>> {
    let mut all = vec![vec![], join([0]), join([1, 5]), join([0, 5])];
    for size in [1, 2, 3, 4, 7, 8, 9, 100, 1000, 100_000] {
        let mut array: Vec<u64> = (0..size).map(|_| number(random)).collect();
        array.sort_unstable_by_key(|n| *n as i64);
        let mut keys: Vec<u64> = (0..100).map(|_| number(random)).collect();
        keys.extend(array.iter().take(50));
        all.push(join([vec![keys.len() as u64], keys, array].concat()));
    }
    all
}

fn lower_bounds(input: &[u8]) -> Vec<u8> {
    let numbers = words(input);
    let Some((count, rest)) = numbers.split_first() else { return Vec::new() };
    let (keys, array) = rest.split_at(*count as usize);
    print(keys.iter().flat_map(|key| {
        let place = array.partition_point(|n| (*n as i64) < *key as i64) as u64;
        [place, place]
    }))
}

fn matrices(random: &mut Random) -> Vec<Vec<u8>> {
    (0..20).map(|_| join((0..5 * 7 + 7 * 3).map(|_| number(random)).collect::<Vec<_>>())).collect()
}

fn products(input: &[u8]) -> Vec<u8> {
    let numbers = words(input);
    let (a, b) = numbers.split_at(5 * 7);
    let dot = |pairs: &mut dyn Iterator<Item = (u64, u64)>| {
        pairs.fold(0_u64, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(y)))
    };
    let mut all = Vec::new();
    for (i, j) in (0..5).flat_map(|i| (0..3).map(move |j| (i, j))) {
        all.push(dot(&mut (0..7).map(|k| (a[i * 7 + k], b[k * 3 + j]))));
    }
    all.push(dot(&mut a.iter().copied().zip(b.iter().copied())));
    print(all)
}

/// Few keys, many keys, keys of one bucket.
fn pairs(random: &mut Random) -> Vec<Vec<u8>> {
    let mut all = vec![vec![], join([0, 0]), join([1, 2, 1, 3, 1, 4])];
    for (count, keys) in [(100, 10), (1000, 1000), (30_000, 5000)] {
        let pairs = (0..count).flat_map(|_| [random.next() % keys, random.next()]);
        all.push(join(pairs.collect::<Vec<_>>()));
    }
    all
}

fn table(input: &[u8]) -> Vec<u8> {
    let mut known = HashMap::new();
    let numbers = words(input);
    let found = numbers.as_chunks::<2>().0.iter();
    print(found.map(|[key, value]| known.insert(*key, *value).unwrap_or(0)).collect::<Vec<_>>())
}

fn texts(random: &mut Random) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        ["", " ", "a", "1", "a1", "1a", "12 ab c3 4d 5", "--x9--9x--"].map(Into::into).to_vec();
    for size in [100, 10_000, 1 << 20] {
        let any = random.bytes(size);
        all.push(any.iter().map(|b| b"ab 1Z.9\xFF"[usize::from(b % 8)]).collect());
        all.push(any);
    }
    all
}

/// A number ends where a letter begins a word; a word may hold digits.
fn tokens(input: &[u8]) -> Vec<u8> {
    let (mut words, mut numbers, mut before) = (0, 0, b' ');
    for byte in input {
        let inside = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => b'a',
            b'0'..=b'9' if before == b'a' => b'a',
            b'0'..=b'9' => b'1',
            _ => b' ',
        };
        words += u64::from(inside == b'a' && before != b'a');
        numbers += u64::from(inside == b'1' && before != b'1');
        before = inside;
    }
    print([words, numbers])
}
