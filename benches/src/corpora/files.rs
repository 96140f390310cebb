//! Many small files, and one that does not compress.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::mix;

/// Files of one folder.
const FOLDER_FILES: u64 = 1_000;
const KINDS: [&str; 8] = ["httpRequest", "set", "if", "code", "webhook", "postgres", "merge", "slack"];

fn place(folder: &Path, number: u64, end: &str) -> Result<PathBuf> {
    let folder = folder.join(format!("{:04}", number / FOLDER_FILES));
    if number.is_multiple_of(FOLDER_FILES) {
        fs::create_dir_all(&folder)?;
    }
    Ok(folder.join(format!("{number:07}.{end}")))
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(File::create(path)?.write_all(text.as_bytes())?)
}

/// One workflow in the manner of n8n; `edits` of its nodes have other parameters.
fn workflow(number: u64, edits: u64) -> String {
    let seed = mix(number);
    let nodes: Vec<String> = (0..4 + seed % 12)
        .map(|at| {
            let r = mix(seed ^ (at << 32) ^ if at < edits { 1 << 60 } else { 0 });
            let kind = KINDS.get((mix(seed ^ at) % 8) as usize).copied().unwrap_or("set");
            format!(
                "    {{\n      \"id\": \"{:016x}\",\n      \"name\": \"{kind} {at}\",\n      \"type\": \"n8n-nodes-base.{kind}\",\n      \"typeVersion\": {},\n      \"position\": [{}, {}],\n      \"parameters\": {{\"url\": \"https://api.example.org/v1/{:08x}\", \"timeout\": {}, \"options\": {{\"retry\": {}}}}}\n    }}",
                mix(seed ^ at), 1 + seed % 4, at * 220, seed % 900, r as u32, r % 60_000, r.is_multiple_of(2),
            )
        })
        .collect();
    format!(
        "{{\n  \"id\": \"{seed:016x}\",\n  \"name\": \"workflow {number}\",\n  \"active\": {},\n  \"nodes\": [\n{}\n  ],\n  \"settings\": {{\"executionOrder\": \"v1\"}}\n}}\n",
        seed.is_multiple_of(3),
        nodes.join(",\n")
    )
}

/// Writes `n` workflows.
pub(crate) fn workflows(folder: &Path, n: u64) -> Result<()> {
    for number in 0..n {
        write(&place(folder, number, "json")?, &workflow(number, 0))?;
    }
    Ok(())
}

/// Edits one node of every hundredth workflow, spread at random.
pub(crate) fn edit_workflows(folder: &Path, n: u64) -> Result<()> {
    for number in (0..n).filter(|number| mix(number ^ (1 << 50)).is_multiple_of(100)) {
        let path = folder.join(format!("{:04}/{number:07}.json", number / FOLDER_FILES));
        write(&path, &workflow(number, 1))?;
    }
    Ok(())
}

/// Writes `n` files of some 75 bytes, all different.
pub(crate) fn tiny(folder: &Path, n: u64) -> Result<()> {
    for number in 0..n {
        let (a, b) = (mix(number), mix(!number));
        write(
            &place(folder, number, "txt")?,
            &format!("file {number} holds {a:016x} and {b:016x}, no more than that\n"),
        )?;
    }
    Ok(())
}

/// Writes `n` random bytes.
pub(crate) fn noise(path: &Path, n: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    (0..n / 8).try_for_each(|at| out.write_all(&mix(at).to_le_bytes()))?;
    out.flush()?;
    Ok(())
}
