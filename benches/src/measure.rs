//! One measured command, and the table of all of them.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::corpora::Corpus;

/// What one command took.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The tool.
    pub(crate) tool: String,
    /// What it did.
    pub(crate) name: &'static str,
    /// Logical bytes that it worked on.
    pub(crate) bytes: u64,
    /// Wall time in seconds.
    pub(crate) wall: f64,
    /// User and system time in seconds.
    pub(crate) cpu: f64,
    /// Largest resident set in KiB.
    pub(crate) rss_kib: u64,
    /// Growth of the repository in bytes.
    pub(crate) stored: i64,
    /// Requests to the store of the repository, if it takes requests.
    pub(crate) requests: Option<u64>,
    /// Of a prune: how many bytes are left beyond what a fresh repository takes.
    pub(crate) beyond_fresh: Option<i64>,
}

/// Apparent bytes of all regular files below a folder, each name counted; 0 if it is not there.
pub(crate) fn du(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut open: Vec<_> = folder.is_dir().then(|| folder.to_owned()).into_iter().collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let meta = entry.path().symlink_metadata()?;
            if meta.is_dir() {
                open.push(entry.path());
            } else if meta.is_file() {
                bytes += meta.len();
            }
        }
    }
    Ok(bytes)
}

/// Prints the table of one corpus on standard output, the tools of each step together.
pub(crate) fn print(corpus: &Corpus, steps: &[Step]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}\n", corpus.describe())?;
    let far = steps.iter().any(|s| s.requests.is_some());
    let (head, rule) = if far { (" requests |", " ---: |") } else { ("", "") };
    writeln!(out, "| step | tool | wall s | CPU s | MB per CPU s | stored MB | peak MiB |{head}")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |{rule}")?;
    let first = steps.first().map(|s| s.tool.clone()).unwrap_or_default();
    for name in steps.iter().filter(|s| s.tool == first).map(|s| s.name) {
        for s in steps.iter().filter(|s| s.name == name) {
            let beyond = |bytes: i64| format!(", {:+.2} MB beyond a fresh repository", bytes as f64 / 1e6);
            let left = s.beyond_fresh.map(beyond).unwrap_or_default();
            let requests = s.requests.map(|n| format!(" {n} |")).unwrap_or_default();
            writeln!(
                out,
                "| {}{} | {} | {:.2} | {:.2} | {:.0} | {:+.2} | {:.0} |{requests}",
                s.name,
                left,
                s.tool,
                s.wall,
                s.cpu,
                s.bytes as f64 / 1e6 / s.cpu.max(0.01),
                s.stored as f64 / 1e6,
                s.rss_kib as f64 / 1024.0
            )?;
        }
    }
    Ok(())
}
