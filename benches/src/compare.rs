//! Whether a restored tree has the names and bytes of what was backed up.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The first difference between `data` and what was restored below `out`, wherever the tool has put it there.
pub(crate) fn difference(data: &Path, out: &Path) -> Result<Option<String>> {
    let below = out.join(data.strip_prefix("/").unwrap_or(data));
    let restored = [below, out.join("data"), out.to_owned()];
    let restored = restored.iter().find(|place| place.is_dir());
    let mut open = vec![PathBuf::new()];
    while let (Some(folder), Some(restored)) = (open.pop(), restored) {
        let (mine, theirs) = (names(&data.join(&folder))?, names(&restored.join(&folder))?);
        if mine != theirs {
            return Ok(Some(format!("the names in {}", folder.display())));
        }
        for name in mine {
            let path = folder.join(name);
            let (a, b) = (data.join(&path), restored.join(&path));
            let kind = a.symlink_metadata()?.file_type();
            let same = if kind.is_dir() {
                open.push(path.clone());
                true
            } else if kind.is_symlink() {
                fs::read_link(&a)? == fs::read_link(&b)?
            } else {
                fs::read(&a)? == fs::read(&b)?
            };
            if !same {
                return Ok(Some(path.display().to_string()));
            }
        }
    }
    Ok(None)
}

fn names(folder: &Path) -> Result<BTreeSet<OsString>> {
    Ok(fs::read_dir(folder)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?)
}
