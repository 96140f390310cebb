//! Generates a plain SQL dump and the next one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

use super::mix;

const WORDS: [&str; 16] = [
    "invoice", "pending", "shipped", "retry", "webhook", "customer", "priority", "blue", "north", "batch",
    "delta", "refund", "partial", "queue", "signal", "archive",
];

/// Which dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The first.
    First,
    /// The next one: 0.1 % of the rows changed at random places, 0.5 % appended.
    Scattered,
    /// The next one: every hundredth row changed, which moves it to the end, and 1 % appended.
    Moved,
}

/// Writes a dump; the first one has `rows` rows.
pub(crate) fn write(path: &Path, rows: u64, version: Version) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(
        out,
        "-- PostgreSQL database dump\n\nCOPY public.orders (id, token, email, created_at, total, note, extra) FROM stdin;"
    )?;
    let changes = |row: u64| match version {
        Version::First => false,
        Version::Scattered => mix(row ^ (1 << 48)).is_multiple_of(1000),
        Version::Moved => row % 100 == 2,
    };
    let stays = |row: &u64| version != Version::Moved || !changes(*row);
    for row in (0..rows).filter(stays) {
        write_row(&mut out, rows, row, changes(row))?;
    }
    for row in (0..rows).filter(|row| !stays(row)) {
        write_row(&mut out, rows, row, true)?;
    }
    let more = match version {
        Version::First => 0,
        Version::Scattered => rows / 200,
        Version::Moved => rows / 100,
    };
    (rows..rows + more).try_for_each(|row| write_row(&mut out, rows, row, false))?;
    writeln!(out, "\\.\n")?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

/// Writes one row; a changed one has other values in all columns but its number.
fn write_row(out: &mut impl Write, rows: u64, row: u64, changed: bool) -> Result<()> {
    let seed = row << 8 | u64::from(changed);
    let (a, b) = (mix(seed), mix(!seed));
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
    Ok(())
}
