//! A swap whose process ended in the middle of it: the old database or the new one, whole, and those who use it started again.
//!
//! Which of both is in place is told by the inode of the new one, never by how far the work had come: this can be stopped anywhere and
//! begun again. The new one was checked before anybody was stopped. A command that stops users may outlive the process that ran it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, shown};
use crate::process::Process;
use crate::sqlite::put_back::{remove, rename, run};
use crate::sqlite::scratch::{BESIDE, beside};
use crate::unfinished::Stands;

/// What a swap leaves if its process ends: to be kept before it begins, and again whenever it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The live database.
    pub database: PathBuf,
    /// The new one, until it is in place.
    pub new: PathBuf,
    /// The inode of the new one, once it is whole; until then nobody was stopped.
    pub inode: Option<u64>,
    /// The old one, once the new one is in place.
    pub old: PathBuf,
}

impl Unfinished {
    /// Brings it to an end; runs `start` if users may have been stopped.
    pub fn resume(&self, start: Option<&Process>) -> Result<Stands> {
        let Some(new) = self.inode else {
            remove(&self.new)?;
            return Ok(Stands::Old);
        };
        let stands = if inode(&self.database)? == Some(new) {
            Stands::New { old: inode(&self.old)?.map(|_| shown(&self.old)) }
        } else {
            self.back()?;
            Stands::Old
        };
        run(start)?;
        Ok(stands)
    }

    /// What was set aside goes back to the old database.
    fn back(&self) -> Result<()> {
        for ending in BESIDE {
            let (now, before) = (beside(&self.old, ending), beside(&self.database, ending));
            if inode(&now)?.is_none() {
                continue;
            }
            if inode(&before)?.is_some() {
                return Err(Error::Refused(format!(
                    "somebody used {} without {}, which belongs to it: look at both, and remove one of {0}{ending} and {1}",
                    shown(&self.database),
                    shown(&now)
                )));
            }
            rename(&now, &before)?;
        }
        match (inode(&self.old)?, inode(&self.database)?) {
            (Some(_), None) => rename(&self.old, &self.database)?,
            // Its second name, for the time of the swap.
            (Some(old), Some(live)) if old == live => remove(&self.old)?,
            _ => {}
        }
        remove(&self.new)
    }
}

fn inode(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::file(path, e)),
    }
}
