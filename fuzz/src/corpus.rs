//! The kept inputs of each target: `fuzz/corpus/<target>/<hash>`.

#![expect(clippy::disallowed_methods, reason = "inputs of tests need not survive a loss of power")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{Mutator, Target, targets};

/// Longer inputs are not kept; seeds of that size are made anew by each run.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// Where the inputs of a target lie.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The kept inputs of a target in the order of their names, and its seeds.
pub fn corpus(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).with_context(|| format!("{}: no corpus", folder.display()))?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort_unstable();
    let mut inputs = (target.seeds)();
    for path in paths {
        inputs.push(fs::read(&path).with_context(|| path.display().to_string())?);
    }
    Ok(inputs)
}

/// Refused inputs that are kept of each target from the start.
const REFUSED: usize = 4;

/// Writes the seeds of all targets, and a few mutations that are refused, into their corpora; how many were written.
pub fn keep_seeds() -> Result<usize> {
    let mut written = 0;
    for target in targets() {
        let folder = folder(&target);
        fs::create_dir_all(&folder)?;
        let seeds = (target.seeds)();
        let mut mutator = Mutator::new(0, target.name);
        let mutated = seeds.iter().cycle().take(50 * REFUSED).map(|seed| mutator.mutate(seed, seed));
        let refused = mutated.filter(|m| m.len() <= KEPT_BYTES_MAX && !(target.run)(m)).take(REFUSED);
        for input in seeds.iter().cloned().chain(refused).filter(|s| s.len() <= KEPT_BYTES_MAX) {
            let name = blake3::hash(&input).to_hex().chars().take(16).collect::<String>();
            fs::write(folder.join(name), input)?;
            written += 1;
        }
    }
    Ok(written)
}
