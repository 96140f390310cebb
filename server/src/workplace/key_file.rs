//! Key files: a random key as a line of hex, with a few words around it for whoever finds it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chronos_store::durable;

use crate::error::{Error, Result};

/// Longest key file that is read, in bytes: the words around the key need a few hundred.
const FILE_BYTES_MAX: u64 = 4096;
/// Most key files of this user that are tried on one repository.
const FILES_MAX: usize = 256;

/// A key: 32 random bytes.
pub type Key = [u8; 32];

/// Reads a key file: 64 hex digits in a line of their own, or 32 plain bytes. Lines with `#` are for people.
pub fn read(path: &Path) -> Result<Key> {
    let place = || format!("key file {}", path.display());
    let unreadable = |e: std::io::Error| Error::Secret { place: place(), why: e.to_string() };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    parse(&bytes).ok_or_else(|| Error::NoKeyFile { path: path.display().to_string() })
}

/// The key in a key file: 32 plain bytes, or 64 hex digits in a line of their own; lines with `#` are for people.
pub fn parse(bytes: &[u8]) -> Option<Key> {
    if let Ok(key) = bytes.try_into() {
        return Some(key);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (line, more) = (lines.next()?, lines.next());
    let mut key = [0; 32];
    hex::decode_to_slice(line, &mut key).ok()?;
    more.is_none().then_some(key)
}

/// Writes a new key file, readable by its owner only; refuses to touch one that is there.
pub fn create(path: &Path, key: &Key, location: &str) -> Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        durable::create_folder(folder)?;
    }
    let text = format!(
        "# Key of the chronos repository {}\n# Keep a copy elsewhere: without it nothing in the repository can be read.\n{}\n",
        chronos_snapshot::printable(location.as_bytes()),
        hex::encode(key),
    );
    Ok(durable::create_new(path, text.as_bytes())?)
}

/// Gives a key file its final name, unless that is taken.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).map_err(|e| Error::local(from, e))?;
    durable::create_new(to, &bytes)?;
    remove(from)
}

/// Removes a key file that opens nothing, or has a better name.
pub fn remove(path: &Path) -> Result<()> {
    Ok(durable::remove(path)?)
}

/// The key files in a folder, by name; none if there is no such folder.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::local(folder, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::local(folder, e))?.path();
        if path.extension().is_some_and(|e| e == "key") {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > FILES_MAX {
        return Err(Error::TooManyKeys { folder: folder.display().to_string() });
    }
    Ok(files)
}

/// Whether others than the owner may read it.
pub fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_key_file_is_read_back_and_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/new.key");
        create(&path, &[7; 32], "/srv/b").unwrap();
        assert_eq!(read(&path).unwrap(), [7; 32]);
        assert!(!is_exposed(&path));
        assert!(create(&path, &[8; 32], "/srv/b").is_err());
        let last = dir.path().join("keys/id.key");
        rename(&path, &last).unwrap();
        assert_eq!(list(&dir.path().join("keys")).unwrap(), [last]);
        assert!(list(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn plain_bytes_are_a_key_and_a_password_is_not() {
        assert_eq!(parse(&[9; 32]), Some([9; 32]));
        assert_eq!(parse(b"secret\n"), None);
        assert_eq!(parse(format!("{}\n{}\n", "ab".repeat(32), "cd".repeat(32)).as_bytes()), None);
    }
}
