//! Generates a plain SQL dump and the one of an hour later, the same for every run.
//!
//! Between two dumps 0.1 % of the rows change, spread at random, and 0.5 % are appended.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

const WORDS: [&str; 16] = [
    "invoice", "pending", "shipped", "retry", "webhook", "customer", "priority", "blue", "north", "batch",
    "delta", "refund", "partial", "queue", "signal", "archive",
];

/// Mixes a number well (splitmix64, Steele, Lea and Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes the dump of `rows` rows as it stands after `hours`.
pub(crate) fn write(path: &Path, rows: u64, hours: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(
        out,
        "-- PostgreSQL database dump\n\nCOPY public.orders (id, token, email, created_at, total, note, extra) FROM stdin;"
    )?;
    for row in 0..rows + rows * hours / 200 {
        let changed =
            (1..=hours).rev().find(|hour| mix(row ^ (hour << 48)).is_multiple_of(1000)).unwrap_or(0);
        let (a, b) = (mix(row << 8 | changed), mix(!(row << 8 | changed)));
        let word = |n: u32| WORDS.get((a >> (n * 4)) as usize % WORDS.len()).copied().unwrap_or_default();
        writeln!(
            out,
            "{row}\t{a:016x}{b:016x}\t{}.{}@example.org\t2026-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00\t{}.{:02}\t{} {} {} {}\t{{\"kind\": \"{}\", \"attempt\": {}, \"ref\": \"{:012x}\"}}",
            word(0),
            b % 100_000,
            1 + row * 12 / rows % 12,
            1 + a % 28,
            b % 24,
            a % 60,
            b % 60,
            a % 1_000_000,
            b % 1000,
            a % 100,
            word(1),
            word(2),
            word(3),
            word(4),
            word(5),
            b % 5,
            a & 0xffff_ffff_ffff
        )?;
    }
    writeln!(out, "\\.\n")?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}
