//! Measures `chronos` beside other backup programs, one step after the other on the same data.
//!
//! `cargo run --release -p chronos-benches -- --tree DIR` prints one table for each corpus: wall and CPU seconds, bytes
//! stored, peak memory. Run it after `cargo build --release -p chronos`. Other programs are measured if they are found in
//! the search path: restic, rustic, Borg (`borg`) and bupstash. Everything is restored into the work folder, which should be
//! in memory, and compared with what was backed up.

mod absolute;
mod compare;
mod corpora;
mod link;
mod measure;
mod n8n;
mod place;
mod postgres;
mod scale;
mod service;
mod steps;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::corpora::Corpus;
use crate::link::Line;
use crate::place::Place;
use crate::tools::Tool;

/// What is measured, and where.
#[derive(Debug, Parser)]
struct Args {
    /// A source tree; without one that corpus is left out.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Its next version.
    #[arg(long, requires = "tree")]
    next: Option<PathBuf>,
    /// Number of JSON files, about 5 kB each, of which 1 % are edited.
    #[arg(long, default_value_t = 20_000)]
    workflows: u64,
    /// Number of tiny files, about 75 bytes each.
    #[arg(long, default_value_t = 100_000)]
    tiny: u64,
    /// Rows of the dumps, about 250 bytes each.
    #[arg(long, default_value_t = 800_000)]
    rows: u64,
    /// Megabytes of incompressible data.
    #[arg(long, default_value_t = 512)]
    noise: u64,
    /// Instead of all this: repositories of so many chunks, such as 1000000,10000000.
    #[arg(long, value_delimiter = ',')]
    chunks: Vec<u64>,
    /// Instead of all this: figures that stand for themselves, of cuts, known, new, files, small, threads.
    #[arg(long, value_delimiter = ',')]
    absolute: Vec<String>,
    /// Instead of all this: an HTTP service under so many clients, alone and while it makes a snapshot.
    #[arg(long)]
    service: Option<usize>,
    /// Requests of each of them.
    #[arg(long, default_value_t = 30)]
    requests: usize,
    /// Instead of all this: a real n8n with so many workflows, such as 100,1000; `scripts/n8n` installs it.
    #[arg(long, value_delimiter = ',')]
    n8n: Vec<usize>,
    /// Instead of all this: successive dumps of a real PostgreSQL with a database of pgbench of this scale, under load.
    #[arg(long)]
    postgres: Option<u32>,
    /// Only these corpora: tree, workflows, tiny, dump, hard-dump, noise.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these tools.
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// Repositories in an S3 server at the end of a line that takes so many megabytes per second in each direction.
    #[arg(long)]
    line: Option<u64>,
    /// Milliseconds from a question to its answer on that line.
    #[arg(long, default_value_t = 30, requires = "line")]
    round_trip: u64,
    /// The program that is measured.
    #[arg(long, default_value = "target/release/chronos")]
    program: PathBuf,
    /// Folder for repositories, corpora and restored trees.
    #[arg(long)]
    work: Option<PathBuf>,
}

impl Args {
    fn place(&self) -> Result<Place> {
        let Some(megabytes) = self.line else { return Ok(Place::Folder) };
        let round_trip = Duration::from_millis(self.round_trip);
        Place::bucket(Line { round_trip, bytes_per_second: megabytes * 1_000_000 })
    }

    fn corpora(&self) -> Vec<Corpus> {
        let tree = self.tree.clone().map(|first| Corpus::Tree { first, next: self.next.clone() });
        tree.into_iter()
            .chain([
                Corpus::Workflows(self.workflows),
                Corpus::Tiny(self.tiny),
                Corpus::Dump(self.rows),
                Corpus::HardDump(self.rows),
                Corpus::Noise(self.noise << 20),
            ])
            .filter(|corpus| self.only.is_empty() || self.only.iter().any(|name| name == corpus.name()))
            .collect()
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.program.exists(), "{} is missing: cargo build --release -p chronos", args.program.display());
    let scratch = match &args.work {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("no scratch folder")?;
    let mut tools = Tool::installed(&std::fs::canonicalize(&args.program)?, &args.place()?);
    tools.retain(|tool| args.tools.is_empty() || args.tools.contains(&tool.name));
    if !args.chunks.is_empty() {
        return scales(&tools, &args.chunks, scratch.path());
    }
    if !args.absolute.is_empty() {
        return absolute::run(&args.absolute, tools.first().context("there is no chronos")?, scratch.path());
    }
    let chronos = tools.first().context("there is no chronos")?;
    if let Some(clients) = args.service {
        return service::run(chronos, clients, args.requests, scratch.path());
    }
    if !args.n8n.is_empty() {
        return n8n::run(chronos, &args.n8n, scratch.path());
    }
    if let Some(size) = args.postgres {
        return postgres::run(&tools, size, scratch.path());
    }
    for corpus in args.corpora() {
        let mut rows = Vec::new();
        for tool in &tools {
            let place = scratch.path().join(&tool.name);
            rows.extend(steps::run(tool, &corpus, &place).with_context(|| tool.name.clone())?);
            std::fs::remove_dir_all(&place)?;
        }
        measure::print(&corpus, &rows)?;
    }
    Ok(())
}

/// Repositories of very many chunks.
fn scales(tools: &[Tool], sizes: &[u64], scratch: &Path) -> Result<()> {
    let chronos = tools.first().context("there is no chronos")?;
    for chunks in sizes {
        let place = scratch.join(format!("scale-{chunks}"));
        scale::run(chronos, *chunks, &place)?;
        std::fs::remove_dir_all(&place)?;
    }
    Ok(())
}
