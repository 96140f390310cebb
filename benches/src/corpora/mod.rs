//! What is backed up, in two versions, the same in every run.

mod dump;
mod files;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A set of files and how it changes.
#[derive(Clone, Debug)]
pub(crate) enum Corpus {
    /// A tree that is there, and its next version.
    Tree { first: PathBuf, next: Option<PathBuf> },
    /// So many JSON workflows; 1 % of them are edited.
    Workflows(u64),
    /// So many files of some 75 bytes; nothing changes.
    Tiny(u64),
    /// A plain SQL dump of so many rows; 0.1 % of them change at random places, 0.5 % are appended.
    Dump(u64),
    /// The same; every hundredth row changes and moves to the end, 1 % are appended.
    HardDump(u64),
    /// One file of so many random bytes; nothing changes.
    Noise(u64),
}

impl Corpus {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Tree { .. } => "tree",
            Self::Workflows(_) => "workflows",
            Self::Tiny(_) => "tiny",
            Self::Dump(_) => "dump",
            Self::HardDump(_) => "hard-dump",
            Self::Noise(_) => "noise",
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Tree { first, next: None } => format!("tree: {}", first.display()),
            Self::Tree { first, next: Some(next) } => {
                format!("tree: {}, then {}", first.display(), next.display())
            }
            Self::Workflows(n) => format!("workflows: {n} JSON files, then 1 % of them edited"),
            Self::Tiny(n) => format!("tiny: {n} files of some 75 bytes"),
            Self::Dump(n) => format!("dump: {n} rows, then 0.1 % changed at random and 0.5 % appended"),
            Self::HardDump(n) => {
                format!("hard-dump: {n} rows, then every hundredth changed and moved, and 1 % appended")
            }
            Self::Noise(n) => format!("noise: {} MB of random bytes", n / 1_000_000),
        }
    }

    /// Writes the first version.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        match self {
            Self::Tree { first, .. } => copy(first, folder),
            Self::Workflows(n) => files::workflows(folder, *n),
            Self::Tiny(n) => files::tiny(folder, *n),
            Self::Dump(rows) | Self::HardDump(rows) => {
                dump::write(&folder.join("orders.sql"), *rows, dump::Version::First)
            }
            Self::Noise(n) => files::noise(&folder.join("noise"), *n),
        }
    }

    /// Changes it to the next version; whether there is one.
    pub(crate) fn change(&self, folder: &Path) -> Result<bool> {
        match self {
            Self::Tree { next: Some(next), .. } => update(next, folder)?,
            Self::Workflows(n) => files::edit_workflows(folder, *n)?,
            Self::Dump(rows) => dump::write(&folder.join("orders.sql"), *rows, dump::Version::Scattered)?,
            Self::HardDump(rows) => dump::write(&folder.join("orders.sql"), *rows, dump::Version::Moved)?,
            Self::Tree { next: None, .. } | Self::Tiny(_) | Self::Noise(_) => return Ok(false),
        }
        Ok(true)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().context("cp")?;
    ensure!(status.success(), "{} cannot be copied", from.display());
    Ok(())
}

/// Makes a copy of the previous version the next one; what is the same in both is not touched.
fn update(next: &Path, folder: &Path) -> Result<()> {
    let names = |place: &Path| -> Result<BTreeSet<_>> {
        Ok(fs::read_dir(place)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?)
    };
    let (wanted, there) = (names(next)?, names(folder)?);
    for name in there.difference(&wanted) {
        let path = folder.join(name);
        if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    for name in wanted {
        let (from, to) = (next.join(&name), folder.join(&name));
        let (is, was) = (from.symlink_metadata()?, to.symlink_metadata().ok());
        let same_kind = was.as_ref().is_some_and(|was| was.file_type() == is.file_type());
        if is.is_dir() && same_kind {
            update(&from, &to)?;
        } else if !(same_kind && is.is_file() && fs::read(&from)? == fs::read(&to)?) {
            let status = Command::new("cp").arg("-aT").args([&from, &to]).status().context("cp")?;
            ensure!(status.success(), "{} cannot be copied", from.display());
        }
    }
    Ok(())
}

/// Mixes a number well (splitmix64, Steele, Lea and Flood 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
