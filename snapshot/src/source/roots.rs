//! The roots of a file source: absolute, existing, sorted into layers in which none lies below another.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::path::{TreePath, printable};
use crate::record::PathError;

/// A place where a walk begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Its path in the snapshot.
    pub(crate) path: TreePath,
    /// Whether it is a folder or a link to one.
    pub(crate) is_dir: bool,
    /// Device of that folder.
    pub(crate) dev: u64,
}

/// An absolute path without `.`; one with `..` is resolved by the file system, since a link may stand before it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let error = |e: io::Error| Error::file(path, e);
    if path.components().any(|c| c == Component::ParentDir) {
        return path.canonicalize().map_err(error);
    }
    let path = std::path::absolute(path).map_err(error)?;
    Ok(path.components().collect())
}

/// Looks at each root. Those that are not there are named, unless none is: then nothing can be backed up.
pub(crate) fn resolve(given: &[PathBuf], keep_links: bool) -> Result<(Vec<Root>, Vec<PathError>)> {
    let mut roots = Vec::with_capacity(given.len());
    let mut missing = Vec::new();
    for path in given {
        match look(path, keep_links) {
            Ok(root) => roots.push(root),
            Err(Error::File { path, source }) => missing.push(PathError { path, error: source.to_string() }),
            Err(e) => return Err(e),
        }
    }
    match missing.first() {
        Some(first) if roots.is_empty() => {
            Err(Error::NotFound { what: "file or folder", name: first.path.clone() })
        }
        None if roots.is_empty() => Err(Error::Invalid("no path to back up was given".to_owned())),
        _ => Ok((roots, missing)),
    }
}

fn look(given: &Path, keep_links: bool) -> Result<Root> {
    let path = absolute(given)?;
    let error = |e| Error::File { path: printable(path.as_os_str().as_bytes()), source: e };
    let itself = std::fs::symlink_metadata(&path).map_err(error)?;
    // A link that leads nowhere, or to something else than a folder, is backed up as a link.
    let is_kept = keep_links && itself.is_symlink();
    let followed = std::fs::metadata(&path).ok().filter(|it| it.is_dir() && !is_kept);
    let is_dir = followed.is_some();
    let dev = followed.unwrap_or(itself).dev();
    Ok(Root { path: TreePath::from_absolute(&path)?, is_dir, dev })
}

/// Refuses a module that is in none of the roots: a mistyped one would back up nothing.
pub(crate) fn check_modules(roots: &[Root], modules: &[String]) -> Result<()> {
    let mut there: Vec<Vec<u8>> = Vec::new();
    for root in roots.iter().filter(|r| r.is_dir && !modules.is_empty()) {
        let path = Path::new("/").join(OsStr::from_bytes(root.path.as_bytes()));
        // A root that cannot be listed is a problem of the walk.
        let Ok(entries) = std::fs::read_dir(&path) else { return Ok(()) };
        for entry in entries {
            let name = entry.map_err(|e| Error::file(&path, e))?.file_name();
            there.extend(Path::new(&name).file_stem().map(|s| s.as_bytes().to_vec()));
            there.push(name.into_encoded_bytes());
        }
    }
    match modules.iter().find(|m| !there.iter().any(|t| t == m.as_bytes())) {
        Some(module) => Err(Error::NotFound { what: "module", name: module.clone() }),
        None => Ok(()),
    }
}

/// Splits sorted roots into layers; within one no root lies below another, so that their walks follow each other.
pub(crate) fn layers(roots: &[Root]) -> Vec<Vec<Root>> {
    let mut layers: Vec<Vec<Root>> = Vec::new();
    for root in roots {
        let free =
            |layer: &&mut Vec<Root>| layer.last().is_none_or(|last| root.path.strip(&last.path).is_none());
        match layers.iter_mut().find(free) {
            Some(layer) => layer.push(root.clone()),
            None => layers.push(vec![root.clone()]),
        }
    }
    layers
}
