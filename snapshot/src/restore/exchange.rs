//! Puts what was built in its place, takes that back, or tidies up after it.
//!
//! What stands where is told by inode numbers, never by how far the work had come: each of these can be stopped
//! anywhere and begun again.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::restore::journal::Record;
use crate::restore::metadata::{self, Attributes, Tally};
use crate::restore::place::Place;

fn inode(place: &Place, path: &TreePath) -> io::Result<Option<u64>> {
    match place.look(path) {
        Ok(stat) => Ok(stat.map(|s| s.inode)),
        // A folder on the way is gone or no folder: then this is not there.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(e) => Err(e),
    }
}

/// Moves aside what is to go and puts every built unit in its place.
pub(crate) fn switch(place: &Place, records: &[Record]) -> Result<()> {
    let changed = |path: &TreePath| place.error(path, io::Error::other("was changed by another process"));
    for record in records {
        if let Record::Removal { path, aside, old } = record {
            if inode(place, path).map_err(|e| place.error(path, e))? != Some(*old) {
                return Err(changed(path));
            }
            place.rename(path, aside).map_err(|e| place.error(path, e))?;
        }
    }
    for (record, new) in units(records) {
        let Record::Unit { path, temp, aside, old } = record else { continue };
        if new.is_none() {
            continue;
        }
        if inode(place, path).map_err(|e| place.error(path, e))? != *old {
            return Err(changed(path));
        }
        put(place, path, temp, aside, old.is_some()).map_err(|e| place.error(path, e))?;
    }
    Ok(())
}

fn put(place: &Place, path: &TreePath, temp: &TreePath, aside: &TreePath, is_taken: bool) -> io::Result<()> {
    if is_taken {
        if place.exchange(temp, path)? {
            return Ok(());
        }
        place.rename(path, aside)?;
    }
    place.rename(temp, path)
}

/// Units with the inodes of what was built for them, once that is known.
fn units(records: &[Record]) -> impl DoubleEndedIterator<Item = (&Record, Option<u64>)> {
    let built = records.iter().rev().find_map(|r| match r {
        Record::Built { inodes } => Some(inodes.as_slice()),
        _ => None,
    });
    let units: Vec<_> = records.iter().filter(|r| matches!(r, Record::Unit { .. })).collect();
    units
        .into_iter()
        .enumerate()
        .map(move |(at, record)| (record, built.and_then(|b| b.get(at).copied()).flatten()))
}

/// Keeps the first error and goes on.
fn note(first: &mut Option<Error>, result: Result<()>) {
    if let Err(e) = result {
        first.get_or_insert(e);
    }
}

/// Brings the target back as it was.
pub(crate) fn undo(place: &Place, records: &[Record]) -> Result<()> {
    let mut first = None;
    for (record, new) in units(records).rev() {
        if let Record::Unit { path, temp, aside, old } = record {
            let done = undo_unit(place, [path, temp, aside], *old, new);
            note(&mut first, done.map_err(|e| place.error(path, e)));
        }
    }
    for record in records.iter().rev() {
        if let Record::Removal { path, aside, old } = record {
            let done = inode(place, aside).and_then(|found| match found {
                Some(found) if found == *old => place.rename(aside, path),
                _ => Ok(()),
            });
            note(&mut first, done.map_err(|e| place.error(path, e)));
        }
    }
    note(&mut first, set_attributes(place, records, Which::Old, &Tally::default()));
    match first {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

fn undo_unit(place: &Place, names: [&TreePath; 3], old: Option<u64>, new: Option<u64>) -> io::Result<()> {
    let [path, temp, aside] = names;
    let at_path = inode(place, path)?;
    if at_path.is_some() && at_path == new {
        // In place already: make room, at whichever of the two names is free.
        let free = if inode(place, temp)?.is_none() { temp } else { aside };
        place.rename(path, free)?;
    }
    if old.is_some() && inode(place, path)?.is_none() {
        for name in [temp, aside] {
            if inode(place, name)? == old {
                place.rename(name, path)?;
                break;
            }
        }
    }
    for name in [temp, aside] {
        let found = inode(place, name)?;
        if found.is_some() && found != old {
            place.remove_all(name)?;
        }
    }
    Ok(())
}

/// Removes what was kept for undoing, and sets the times of folders that this changed once more.
pub(crate) fn finish(place: &Place, records: &[Record]) -> Result<()> {
    let mut first = None;
    for record in records {
        let (names, old) = match record {
            Record::Unit { temp, aside, old: Some(old), .. } => (vec![temp, aside], *old),
            Record::Removal { aside, old, .. } => (vec![aside], *old),
            _ => continue,
        };
        for name in names {
            let done = inode(place, name).and_then(|found| match found {
                Some(found) if found == old => place.remove_all(name),
                _ => Ok(()),
            });
            note(&mut first, done.map_err(|e| place.error(name, e)));
        }
    }
    // What cannot be set was counted when it was set first.
    note(&mut first, set_attributes(place, records, Which::New, &Tally::default()));
    match first {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

/// The folders in which names change.
pub(crate) fn folders(records: &[Record]) -> Vec<TreePath> {
    let mut found: Vec<TreePath> = records
        .iter()
        .filter_map(|r| match r {
            Record::Unit { path, .. } | Record::Removal { path, .. } => path.parent(),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Gives what stays its new attributes.
pub(crate) fn set_new(place: &Place, records: &[Record], tally: &Tally) -> Result<()> {
    set_attributes(place, records, Which::New, tally)
}

/// Which attributes of the journal are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Old,
    New,
}

/// Sets the attributes of what stays, the deepest first.
fn set_attributes(place: &Place, records: &[Record], which: Which, tally: &Tally) -> Result<()> {
    let mut first = None;
    for record in records.iter().rev() {
        let Record::Attributes { path, inode: wanted, old, new, .. } = record else { continue };
        let want = match which {
            Which::Old => Some(old),
            Which::New => new.as_ref(),
        };
        let Some(want) = want else { continue };
        match inode(place, path) {
            Ok(found) if found == Some(*wanted) => {
                note(&mut first, set(place, path, want, tally));
            }
            Ok(_) => {}
            Err(e) => note(&mut first, Err(place.error(path, e))),
        }
    }
    match first {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

/// Gives what stands at `path` attributes, unless it has them.
pub(crate) fn set(place: &Place, path: &TreePath, want: &Attributes, tally: &Tally) -> Result<()> {
    let handle = place.handle(path).map_err(|e| place.error(path, e))?;
    set_by(place, path, &handle, want, tally)
}

/// The same through a descriptor that names it.
pub(crate) fn set_by(
    place: &Place,
    path: &TreePath,
    handle: &OwnedFd,
    want: &Attributes,
    tally: &Tally,
) -> Result<()> {
    let error = |e: io::Error| place.error(path, e);
    let (stat, now) = Attributes::look(handle).map_err(error)?;
    if now == *want {
        return Ok(());
    }
    place.step().map_err(error)?;
    let is_link = stat.file_type() == FileType::Symlink;
    metadata::apply(handle, is_link, &now, want, tally).map_err(error)
}
