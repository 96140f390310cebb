//! Extended attributes, ACLs among them, as the kernel gives them.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::node::Xattr;

/// Longest list of attribute names and longest value that Linux has (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const XATTR_BYTES_MAX: usize = 1 << 16;

/// Those of an open file, see [`of_link`].
pub(crate) fn of_file(file: impl AsFd) -> io::Result<Vec<Xattr>> {
    let file = file.as_fd();
    collect(sized(|buffer| rustix::fs::flistxattr(file, buffer)), |name| {
        sized(|buffer| rustix::fs::fgetxattr(file, name, buffer))
    })
}

/// Those of what lies at `path`, also if it is a symbolic link, sorted. A file system without them gives none; an
/// attribute that may not be read or is gone again is left out.
pub(crate) fn of_link(path: &[u8]) -> io::Result<Vec<Xattr>> {
    collect(sized(|buffer| rustix::fs::llistxattr(path, buffer)), |name| {
        sized(|buffer| rustix::fs::lgetxattr(path, name, buffer))
    })
}

/// The same of what `path` leads to.
pub(crate) fn of_path(path: &str) -> io::Result<Vec<Xattr>> {
    collect(sized(|buffer| rustix::fs::listxattr(path, buffer)), |name| {
        sized(|buffer| rustix::fs::getxattr(path, name, buffer))
    })
}

fn collect(
    list: Result<Vec<u8>, Errno>,
    get: impl Fn(&[u8]) -> Result<Vec<u8>, Errno>,
) -> io::Result<Vec<Xattr>> {
    let list = match list {
        Ok(list) => list,
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::ACCESS | Errno::PERM | Errno::NOENT) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(e.into()),
    };
    let mut found = Vec::new();
    for name in list.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        match get(name) {
            Ok(value) => found.push(Xattr { name: name.to_vec(), value }),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::ACCESS | Errno::PERM | Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Calls with a small buffer, and with the largest that can be needed if that is too small.
fn sized(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 512];
    match call(&mut small) {
        Ok(n) => Ok(small.get(..n).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; XATTR_BYTES_MAX];
            let n = call(&mut large)?;
            large.truncate(n);
            Ok(large)
        }
        Err(e) => Err(e),
    }
}
