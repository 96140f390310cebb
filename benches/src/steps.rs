//! The steps of one tool on one corpus.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::compare;
use crate::corpora::Corpus;
use crate::measure::{Step, du};
use crate::tools::{Action, Tool};

/// First backup, nothing changed, next version, restore, check of all data, and a prune after all but the newest are
/// forgotten; then the next version in a repository of its own, to compare what is left with.
pub(crate) fn run(tool: &Tool, corpus: &Corpus, place: &Path) -> Result<Vec<Step>> {
    let data = place.join("data");
    fs::create_dir_all(&data)?;
    corpus.write(&data)?;
    tool.init(place)?;
    // What was written an instant before a backup may be written again within the same instant, and is read twice.
    std::thread::sleep(Duration::from_secs(2));
    let mut steps = Vec::new();
    for name in ["first backup", "nothing changed"] {
        steps.push(tool.step(name, &Action::Backup(&data), place, du(&data)?)?);
    }
    if corpus.change(&data)? {
        steps.push(tool.step("next version", &Action::Backup(&data), place, du(&data)?)?);
    }
    let bytes = du(&data)?;
    let out = place.join("out");
    fs::create_dir_all(&out)?;
    steps.push(tool.step("restore", &Action::Restore { data: &data, out: &out }, place, bytes)?);
    let difference = compare::difference(&data, &out)?;
    ensure!(difference.is_none(), "restored otherwise: {}", difference.unwrap_or_default());
    fs::remove_dir_all(&out)?;
    if tool.checks() {
        steps.push(tool.step("check, all data", &Action::Check, place, bytes)?);
    }
    steps.push(tool.step("forget and prune", &Action::Prune, place, bytes)?);
    let left = tool.repository.stored(place)?.cast_signed();
    tool.repository.clear(place)?;
    tool.init(place)?;
    let fresh = tool.step("the same in a fresh repository", &Action::Backup(&data), place, bytes)?;
    if let Some(prune) = steps.last_mut() {
        prune.beyond_fresh = Some(left - tool.repository.stored(place)?.cast_signed());
    }
    steps.push(fresh);
    tool.repository.clear(place)?;
    Ok(steps)
}
