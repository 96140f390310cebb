//! What stands in the target and is going to be replaced or removed, as it was when that was planned; so that what somebody changes
//! in it while everything new is built is noticed, and not lost.
//!
//! Times of change of an inode cannot be set, so that two looks that are the same saw the same content. Nothing can be known of what
//! others do between the second look and the renames that follow it at once.

use std::io;

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::restore::place::Place;
use crate::restore::plan::{Action, Plan};
use crate::source::Stat;

/// Hashes of what stands there, by path.
#[derive(Debug, Default)]
pub(crate) struct Standing(Vec<(TreePath, blake3::Hash)>);

impl Standing {
    /// Looks at all that a plan changes. What is built beside them changes the times of folders that stay, which are left out.
    pub(crate) fn of(place: &Place, plan: &Plan) -> Result<Self> {
        let mut all = Vec::new();
        for entry in &plan.entries {
            match (entry.action, &entry.found) {
                (Action::Build(_) | Action::Attributes, Some(found)) if !found.is_dir() => {
                    all.push((entry.path.clone(), of_one(found)));
                }
                (Action::Build(_), Some(_)) => all.push((entry.path.clone(), tree(place, &entry.path)?)),
                _ => {}
            }
        }
        for removal in &plan.removals {
            all.push((removal.path.clone(), tree(place, &removal.path)?));
        }
        Ok(Self(all))
    }

    /// Fails if something is not as it was.
    pub(crate) fn check(&self, place: &Place) -> Result<()> {
        for (path, before) in &self.0 {
            if tree(place, path)? != *before {
                return Err(Error::Refused(format!(
                    "{}: it was changed since the restore was planned; nothing was touched",
                    place.show(path)
                )));
            }
        }
        Ok(())
    }

    /// One hash of everything.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (path, one) in &self.0 {
            add(&mut hasher, path, *one);
        }
        *hasher.finalize().as_bytes()
    }
}

/// Of what stands at `path` and below it.
fn tree(place: &Place, path: &TreePath) -> Result<blake3::Hash> {
    let error = |at: &TreePath, e: io::Error| place.error(at, e);
    let look = |at: &TreePath| place.look(at).map_err(|e| error(at, e));
    let found = look(path)?;
    let Some(found) = found.filter(Stat::is_dir) else {
        return Ok(found.as_ref().map_or_else(|| blake3::hash(b""), of_one));
    };
    let mut hasher = blake3::Hasher::new();
    add(&mut hasher, path, of_one(&found));
    let mut folders = vec![path.clone()];
    while let Some(folder) = folders.pop() {
        for name in place.names(&folder).map_err(|e| error(&folder, e))? {
            let at = folder.join(&name)?;
            let Some(stat) = look(&at)? else { continue };
            add(&mut hasher, &at, of_one(&stat));
            if stat.is_dir() {
                folders.push(at);
            }
        }
    }
    Ok(hasher.finalize())
}

fn add(hasher: &mut blake3::Hasher, path: &TreePath, one: blake3::Hash) {
    hasher.update(&(path.as_bytes().len() as u64).to_le_bytes());
    hasher.update(path.as_bytes());
    hasher.update(one.as_bytes());
}

fn of_one(stat: &Stat) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for number in [u64::from(stat.mode), stat.dev, stat.inode, stat.size] {
        hasher.update(&number.to_le_bytes());
    }
    for time in [stat.mtime, stat.ctime] {
        hasher.update(&time.seconds.to_le_bytes());
        hasher.update(&time.nanos.to_le_bytes());
    }
    hasher.finalize()
}
