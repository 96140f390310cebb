//! Durable writing of local files: the one place where files are moved into place and folders synced.
//!
//! Order: bytes under another name in the same folder, `fsync`, move, `fsync` of the folder. After
//! a loss of power a file is there with its old bytes or its new ones, never with a part of them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Writes a file with mode 0600, replacing what was there. Its folder must exist.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    write_beside(path, bytes, |tmp| replace_with(tmp, path))
}

/// Writes a file with mode 0600 that must not be there yet. Its folder must exist.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<()> {
    write_beside(path, bytes, |tmp| move_new(tmp, path).map_err(io::Error::from))
}

/// What happens to a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It stays, and the move fails with [`io::ErrorKind::AlreadyExists`].
    Refuse,
    /// It is replaced.
    Replace,
}

/// Moves a file, whose bytes are on disk already, to its name in the same folder, durably.
pub fn publish(from: &Path, to: &Path, taken: Taken) -> Result<()> {
    let moved = match taken {
        Taken::Refuse => move_new(from, to).map_err(io::Error::from),
        Taken::Replace => replace_with(from, to),
    };
    moved.map_err(|e| Error::local(to, e))?;
    sync_parent(to)
}

/// Makes a folder with mode 0700, and those above it, and makes their names durable.
pub fn create_folder(path: &Path) -> Result<()> {
    make_folder(path).map_err(|e| Error::local(path, e))
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !is_current(p) && !p.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(sync_folder)
}

/// Removes a file durably; that it is not there is no error.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::local(path, e)),
    }
}

/// Makes the names in a folder durable. File systems that cannot do it are left in peace.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if is_current(folder) { Path::new(".") } else { folder };
    match File::open(folder)?.sync_all() {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

/// Moves a file to a name that must be free, without waiting for the disk.
pub(crate) fn move_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(from, to),
        outcome => outcome,
    }
}

/// The same where the file system can only link.
fn link_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match rustix::fs::link(from, to) {
        // The answer to a link that did happen can get lost on the network; then the file has two names.
        Err(Errno::EXIST) if fs::metadata(from).is_ok_and(|m| m.nlink() == 2) => {}
        outcome => outcome?,
    }
    // Published; a second name under which nobody looks harms nobody.
    let _ = fs::remove_file(from);
    Ok(())
}

fn replace_with(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(from, to)?)
}

fn write_beside(path: &Path, bytes: &[u8], publish: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let tmp = name_beside(path)?;
    let outcome = write_synced(&tmp, bytes).and_then(|()| publish(&tmp));
    if outcome.is_err() {
        // The error that matters is on its way.
        let _ = fs::remove_file(&tmp);
    }
    outcome.map_err(|e| Error::local(path, e))?;
    sync_parent(path)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name in the same folder that nothing else has.
fn name_beside(path: &Path) -> Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| Error::local(path, e.into()))?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(|| Error::Invalid(format!("{} is no file", path.display())))?);
    name.push(format!(".{}.tmp", hex::encode(random)));
    Ok(path.with_file_name(name))
}

fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    sync_folder(parent).map_err(|e| Error::local(parent, e))
}

fn is_current(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        create_folder(&folder).unwrap();
        create_folder(&folder).unwrap();
        let path = folder.join("f");
        for bytes in [&b"first"[..], b"", b"third"] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_new(&path, b"1").unwrap();
        let Err(Error::Local { source, .. }) = create_new(&path, b"2") else { panic!("replaced") };
        assert_eq!(source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_missing_folder_is_an_error_with_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let error = replace(&dir.path().join("none/f"), b"1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("none/f"), "{error}");
    }
}
