//! A small snapshot: thirty workflows, of which one has changed.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::library::Library;
use super::{Figure, Wanted};
use crate::corpora::Corpus;
use crate::tools::{Action, Tool};

/// The middle one of so many.
const RUNS: usize = 41;

/// What is done with each change, timed.
fn median(data: &Path, run: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for number in 0..RUNS {
        let file = data.join("0000/0000007.json");
        let text = fs::read_to_string(&file)?;
        let line = text.find("\"settings\"").context("no settings")?;
        let (head, tail) = text.split_at(line);
        let head = head.split("\"edited\"").next().unwrap_or(head);
        let mut out = fs::File::create(&file)?;
        std::io::Write::write_all(&mut out, format!("{head}\"edited\": {number}, {tail}").as_bytes())?;
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times.get(RUNS / 2).copied().context("no runs")
}

pub(super) fn figures(tool: &Tool, scratch: &Path) -> Result<Vec<Figure>> {
    let place = scratch.join("small");
    let data = place.join("data");
    fs::create_dir_all(&data)?;
    Corpus::Workflows(30).write(&data)?;
    let library = Library::create(&place.join("library"))?;
    library.backup(&data, 2)?;
    let inside = median(&data, &mut || library.backup(&data, 2))?;
    tool.init(&place)?;
    let line = Action::Line("$P -q backup $HOME/data");
    tool.step("", &line, &place, 0)?;
    let whole = median(&data, &mut || tool.step("", &line, &place, 0).map(drop))?;
    let start = Action::Line("$P --version");
    let around = median(&data, &mut || tool.step("", &start, &place, 0).map(drop))?;
    let at = |what: &str| format!("a small snapshot, {what}");
    let bound = Some(Wanted::AtMost(30.0));
    let mut figures = vec![
        Figure::new(at("open and back up by the libraries"), inside, "ms", bound),
        Figure::new(at("the program, less what --version takes"), whole - around, "ms", bound),
        Figure::new(at("--version, with time and a shell around it"), around, "ms", None),
    ];
    let traced = "strace -f -qq -e trace=fsync,fdatasync,syncfs,sync -e signal=none -o $HOME/trace $P -q backup $HOME/data";
    median(&data, &mut || tool.step("", &Action::Line(traced), &place, 0).map(drop))?;
    let trace = fs::read_to_string(place.join("trace"))?;
    let syncs = trace.lines().filter(|line| line.contains("sync(")).count();
    figures.push(Figure::new(at("waits for the disk once there is a log"), syncs as f64, "calls", None));
    Ok(figures)
}
