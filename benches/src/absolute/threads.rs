//! CPU seconds for each gigabyte, by the number of threads that read, cut and store: through the libraries, since the program takes
//! as many as there are cores.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::content::Content;
use super::library::Library;
use super::{CpuTime, Figure};
use crate::corpora::Corpus;
use crate::measure::du;

/// Bytes of each of the large files, and how many there are.
const BYTES: u64 = 128 << 20;
const FILES: u64 = 6;
/// Small files.
const WORKFLOWS: u64 = 60_000;

pub(super) fn figures(scratch: &Path) -> Result<Vec<Figure>> {
    let data = scratch.join("data");
    let mut figures = Vec::new();
    for what in ["JSON files of 5 kB", "rows in files of 134 MB", "random bytes in files of 134 MB"] {
        fs::create_dir_all(&data)?;
        match what.split(' ').next() {
            Some("JSON") => Corpus::Workflows(WORKFLOWS).write(&data)?,
            first => {
                let content = if first == Some("rows") { Content::Rows } else { Content::Noise };
                for number in 0..FILES {
                    content.file(&data.join(format!("{number}")), BYTES, number)?;
                }
            }
        }
        let gigabytes = du(&data)? as f64 / 1e9;
        for threads in [1, 2, 4] {
            let place = scratch.join("threads");
            let library = Library::create(&place)?;
            let start = CpuTime::now();
            library.backup(&data, threads)?;
            let cost = start.elapsed() / gigabytes;
            figures.push(Figure::new(format!("{what}, {threads} threads"), cost, "CPU s/GB", None));
            fs::remove_dir_all(&place)?;
        }
        fs::remove_dir_all(&data)?;
    }
    Ok(figures)
}
