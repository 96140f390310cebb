//! Measures backup, unchanged backup, restore and check on a source tree and on two successive dumps.
//!
//! `cargo run --release -p chronos-benches -- --tree DIR` prints a table: wall and CPU seconds, throughput per
//! CPU second, bytes stored, peak memory; for `chronos` and, where it is installed, for restic in the same minute.
//! Run it after `cargo build --release -p chronos`.

mod dump;
mod measure;
mod scale;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::measure::{Step, du};
use crate::tools::Tool;

/// What is measured, and where.
#[derive(Debug, Parser)]
struct Args {
    /// The source tree.
    #[arg(long, default_value = "target/fixtures/source-tree")]
    tree: PathBuf,
    /// Rows of the generated dump; about 250 bytes each.
    #[arg(long, default_value_t = 800_000)]
    rows: u64,
    /// The program that is measured.
    #[arg(long, default_value = "target/release/chronos")]
    program: PathBuf,
    /// Folder for repositories, dumps and restored trees.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Instead: repositories of so many chunks, such as 1000000,10000000.
    #[arg(long, value_delimiter = ',')]
    chunks: Vec<u64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.program.exists(), "{} is missing: cargo build --release -p chronos", args.program.display());
    ensure!(
        !args.chunks.is_empty() || args.tree.exists(),
        "{} is missing: name a source tree with --tree",
        args.tree.display()
    );
    let scratch = match &args.work {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("no scratch folder")?;
    let tools = Tool::installed(&std::fs::canonicalize(&args.program)?);
    if !args.chunks.is_empty() {
        return scales(&tools, &args.chunks, scratch.path());
    }
    let tree = std::fs::canonicalize(&args.tree)?;
    let mut rows = Vec::new();
    for tool in &tools {
        rows.extend(tree_steps(tool, &tree, scratch.path())?);
    }
    for tool in &tools {
        rows.extend(dump_steps(tool, args.rows, scratch.path())?);
    }
    measure::print(&rows)
}

/// Repositories of very many chunks.
fn scales(tools: &[Tool], sizes: &[u64], scratch: &Path) -> Result<()> {
    let chronos = tools.first().context("there is no chronos")?;
    for chunks in sizes {
        let place = scratch.join(format!("scale-{chunks}"));
        scale::print(*chunks, &scale::steps(chronos, *chunks, &place)?)?;
        std::fs::remove_dir_all(&place)?;
    }
    Ok(())
}

/// First backup, unchanged backup, restore and check of the tree.
fn tree_steps(tool: &Tool, tree: &Path, scratch: &Path) -> Result<Vec<Step>> {
    let place = scratch.join(format!("{}-tree", tool.name));
    std::fs::create_dir_all(&place)?;
    tool.init(&place)?;
    let bytes = du(tree)?;
    let steps = vec![
        tool.step("tree: first backup", bytes, &place, &Tool::backup(tree))?,
        tool.step("tree: nothing changed", bytes, &place, &Tool::backup(tree))?,
        tool.step("tree: restore", bytes, &place, &tool.restore(&place.join("out")))?,
        tool.step("tree: check, all data", bytes, &place, &Tool::check())?,
    ];
    let restored = du(&place.join("out"))?;
    ensure!(restored == bytes, "{}: restored {restored} of {bytes} bytes", tool.name);
    Ok(steps)
}

/// A dump, and the dump of an hour later.
fn dump_steps(tool: &Tool, rows: u64, scratch: &Path) -> Result<Vec<Step>> {
    let place = scratch.join(format!("{}-dump", tool.name));
    let folder = place.join("in");
    std::fs::create_dir_all(&folder)?;
    tool.init(&place)?;
    let file = folder.join("orders.sql");
    dump::write(&file, rows, 0)?;
    let first = tool.step("dump: first backup", du(&folder)?, &place, &Tool::backup(&folder))?;
    dump::write(&file, rows, 1)?;
    let next = tool.step("dump: the next one", du(&folder)?, &place, &Tool::backup(&folder))?;
    let check = tool.step("dump: check, all data", du(&folder)?, &place, &Tool::check())?;
    Ok(vec![first, next, check])
}
