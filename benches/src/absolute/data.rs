//! Bytes and files a second on one core: the program as it is, under `taskset`.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::content::Content;
use super::{Figure, Wanted};
use crate::corpora::Corpus;
use crate::measure::du;
use crate::tools::{Action, Tool};

/// Files of one class each: its name, that of the file, what it holds.
const FILES: [(&str, &str, Content); 3] = [
    ("16 KiB", "rows.sql", Content::Rows),
    ("32 KiB", "rows", Content::Rows),
    ("1 MiB", "noise", Content::Noise),
];
/// Bytes of a file; small beside memory, large beside what a process costs.
const BYTES: u64 = 1 << 30;
/// The best of so many runs.
const RUNS: usize = 3;

const FIRST: &str = "taskset -c 0 $P -q backup --host first $HOME/data";
/// Laid beside the snapshot before, but nothing of it is believed.
const AGAIN: &str = "taskset -c 0 $P -q backup --host first --rehash $HOME/data";
/// Without a snapshot before it: as if it were another machine with the same data.
const ELSEWHERE: &str = "taskset -c 0 $P -q backup --host second$(date +%s%N) $HOME/data";

/// Gigabytes a CPU second of one command line, the best of some.
fn speed(tool: &Tool, place: &Path, line: &'static str, runs: usize) -> Result<f64> {
    let bytes = du(&place.join("data"))?;
    let mut best = 0_f64;
    for _ in 0..runs {
        let step = tool.step("", &Action::Line(line), place, bytes)?;
        best = best.max(bytes as f64 / 1e9 / step.cpu.max(0.001));
    }
    Ok(best)
}

/// A repository and one file; what is there already goes.
fn prepare(tool: &Tool, place: &Path, name: &str, content: Content) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::create_dir_all(place.join("data"))?;
    content.file(&place.join("data").join(name), BYTES, 0)?;
    tool.init(place)
}

/// Data that is stored already.
pub(super) fn known(tool: &Tool, scratch: &Path) -> Result<Vec<Figure>> {
    let place = scratch.join("known");
    let mut figures = Vec::new();
    for (class, name, content) in FILES {
        prepare(tool, &place, name, content)?;
        speed(tool, &place, FIRST, 1)?;
        for (how, line) in [("with --rehash", AGAIN), ("of another host", ELSEWHERE)] {
            let value = speed(tool, &place, line, RUNS)?;
            let what = format!("known data per core, chunks of {class}, {how}");
            figures.push(Figure::new(what, value, "GB/s", Some(Wanted::AtLeast(1.5))));
        }
    }
    fs::remove_dir_all(&place)?;
    Ok(figures)
}

/// Incompressible data that is not stored yet.
pub(super) fn new(tool: &Tool, scratch: &Path) -> Result<Vec<Figure>> {
    let place = scratch.join("new");
    let mut best = 0_f64;
    for _ in 0..RUNS {
        prepare(tool, &place, "noise", Content::Noise)?;
        best = best.max(speed(tool, &place, FIRST, 1)?);
    }
    fs::remove_dir_all(&place)?;
    let what = "new incompressible data per core, read to stored".to_owned();
    Ok(vec![Figure::new(what, best, "GB/s", Some(Wanted::AtLeast(0.95)))])
}

/// A million files that have not changed.
pub(super) fn files(tool: &Tool, scratch: &Path) -> Result<Vec<Figure>> {
    let place = scratch.join("files");
    fs::create_dir_all(place.join("data"))?;
    Corpus::Tiny(1_000_000).write(&place.join("data"))?;
    tool.init(&place)?;
    let line = Action::Line("$P -q backup $HOME/data");
    let mut best = f64::INFINITY;
    tool.step("", &line, &place, 0)?;
    for _ in 0..RUNS {
        best = best.min(tool.step("", &line, &place, 0)?.cpu);
    }
    fs::remove_dir_all(&place)?;
    let what = "10^6 unchanged files".to_owned();
    Ok(vec![Figure::new(what, best, "CPU s", Some(Wanted::AtMost(2.5)))])
}
