//! How fast cuts alone are found, class by class, both ways.

use anyhow::Result;
use chronos_gear::{Gear, Rule, Table};

use super::content::Content;
use super::{CpuTime, Figure};
use crate::corpora::mix;

const KIB: usize = 1 << 10;

/// The classes of chunks: name, lengths, bits of the average.
const CLASSES: [(&str, Rule); 3] = [
    ("db, 16 KiB", rule(4 * KIB, 16 * KIB, 64 * KIB, 14)),
    ("std, 32 KiB", rule(8 * KIB, 32 * KIB, 128 * KIB, 15)),
    ("bulk, 1 MiB", rule(256 * KIB, 1024 * KIB, 4096 * KIB, 20)),
];
/// Content, in memory.
const BYTES: usize = 256 << 20;
/// The best of so many runs.
const RUNS: usize = 5;

const fn rule(min: usize, avg: usize, max: usize, bits: u32) -> Rule {
    Rule { min, avg, max, hard_bits: bits + 2, easy_bits: bits - 2 }
}

/// Gigabytes a second of CPU.
fn speed(gear: &Gear, bytes: &[u8], rule: &Rule) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = CpuTime::now();
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = rest.get(gear.cut(rest, rule)..).unwrap_or_default();
        }
        best = best.min(start.elapsed());
    }
    bytes.len() as f64 / 1e9 / best
}

pub(super) fn figures() -> Result<Vec<Figure>> {
    let table: Table = std::array::from_fn(|at| mix(at as u64));
    let (fast, portable) = (Gear::new(&table), Gear::portable(&table));
    let mut figures = Vec::new();
    for (content, kind) in [("random bytes", Content::Noise), ("rows", Content::Rows)] {
        let mut bytes = Vec::with_capacity(BYTES + 200);
        kind.write(&mut bytes, BYTES as u64, 0)?;
        for (class, rule) in &CLASSES {
            let name = |how| format!("cuts alone, {class}, {content}, {how}");
            figures.push(Figure::new(name("portable"), speed(&portable, &bytes, rule), "GB/s", None));
            if fast.has_vectors() {
                figures.push(Figure::new(name("AVX-512"), speed(&fast, &bytes, rule), "GB/s", None));
            }
        }
    }
    Ok(figures)
}
