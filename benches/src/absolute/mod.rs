//! Figures that stand for themselves, each with what is wanted of it: `chronos-bench --absolute cuts,known,…`.
//!
//! What is said «per core» runs on one core, the whole program with every thread that it has.

mod content;
mod cuts;
mod data;
mod library;
mod small;
mod threads;

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use rustix::time::{ClockId, clock_gettime};

use crate::tools::Tool;

/// A measured value.
#[derive(Debug)]
pub(crate) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    wanted: Option<Wanted>,
}

/// A bound of a value.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    fn new(what: String, value: f64, unit: &'static str, wanted: Option<Wanted>) -> Self {
        Self { what, value, unit, wanted }
    }
}

/// CPU time of this process, user and system, all threads.
struct CpuTime(f64);

impl CpuTime {
    fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Self(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
    }

    /// Seconds since.
    fn elapsed(&self) -> f64 {
        Self::now().0 - self.0
    }
}

/// Measures the figures of these names, and prints them on standard output.
pub(crate) fn run(names: &[String], chronos: &Tool, scratch: &Path) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| what | value | wanted |\n| --- | ---: | ---: |")?;
    for name in names {
        let figures = match name.as_str() {
            "cuts" => cuts::figures()?,
            "known" => data::known(chronos, scratch)?,
            "new" => data::new(chronos, scratch)?,
            "files" => data::files(chronos, scratch)?,
            "small" => small::figures(chronos, scratch)?,
            "threads" => threads::figures(scratch)?,
            other => bail!("no figure {other:?}; there are cuts, known, new, files, small, threads"),
        };
        for Figure { what, value, unit, wanted } in figures {
            let wanted = match wanted {
                None => String::new(),
                Some(Wanted::AtLeast(bound)) => format!("≥ {bound}"),
                Some(Wanted::AtMost(bound)) => format!("≤ {bound}"),
            };
            writeln!(out, "| {what} | {value:.2} {unit} | {wanted} |")?;
            out.flush()?;
        }
    }
    Ok(())
}
