//! When which pack was last read in full, so that partial checks reach everything in turn.
//!
//! File: magic, records `{first 16 bytes of the name's hash, seconds i64}` in order of the hash, and
//! the BLAKE3 hash of all before. A damaged file counts as empty: then checks begin anew.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use super::Folders;
use crate::durable;
use crate::error::{Error, Result};
use crate::id::PackName;

const MAGIC: &[u8; 8] = b"chkmem\x00\x01";
const KEY_BYTES: usize = 16;
const RECORD_BYTES: usize = KEY_BYTES + 8;
const SUM_BYTES: usize = 32;

/// The first bytes of the hash of a pack's name.
pub(crate) type Key = [u8; KEY_BYTES];

/// What checks on this host have read, and when.
#[derive(Debug)]
pub struct CheckMemory {
    path: PathBuf,
    read_at: BTreeMap<Key, i64>,
}

impl CheckMemory {
    /// Reads what is remembered; nothing if there is no file or it is damaged.
    pub fn load(folders: &Folders) -> Result<Self> {
        let path = folders.check_memory();
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(|e| Error::local(&path, e))?,
        };
        Ok(Self { path, read_at: decode(&bytes).unwrap_or_default() })
    }

    /// When the pack was last read in full (seconds since 1970).
    pub fn read_at(&self, pack: &PackName) -> Option<i64> {
        self.read_at.get(&key(pack)).copied()
    }

    /// Notes that the pack was read in full.
    pub fn note(&mut self, pack: &PackName, seconds: i64) {
        self.read_at.insert(key(pack), seconds);
    }

    /// Puts the longest unread packs first, those never read before all others.
    pub fn sort_longest_unread(&self, packs: &mut [PackName]) {
        packs.sort_by_cached_key(|pack| (self.read_at(pack), pack.clone()));
    }

    /// Forgets all packs but these, which are all that the repository has.
    pub fn retain<'a>(&mut self, packs: impl Iterator<Item = &'a PackName>) {
        let present: HashSet<Key> = packs.map(key).collect();
        self.read_at.retain(|key, _| present.contains(key));
    }

    /// Writes what is remembered, durably.
    pub fn save(&self) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        for (key, seconds) in &self.read_at {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&seconds.to_le_bytes());
        }
        bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
        if let Some(folder) = self.path.parent() {
            durable::create_folder(folder)?;
        }
        durable::replace(&self.path, &bytes)
    }
}

fn key(pack: &PackName) -> Key {
    let hash = blake3::hash(pack.to_string().as_bytes());
    let mut key = Key::default();
    key.iter_mut().zip(hash.as_bytes()).for_each(|(k, h)| *k = *h);
    key
}

/// What a file says; `None` if it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<BTreeMap<Key, i64>> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
    if *blake3::hash(content).as_bytes() != *sum {
        return None;
    }
    let (records, rest) = content.strip_prefix(MAGIC)?.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let record = |r: &[u8; RECORD_BYTES]| {
        let (key, seconds) = r.split_at(KEY_BYTES);
        Some((key.try_into().ok()?, i64::from_le_bytes(seconds.try_into().ok()?)))
    };
    records.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::id::{RepositoryId, SessionId};

    fn pack(seq: u32) -> PackName {
        PackName { session: SessionId::new(1, "me", 2).unwrap(), seq, attempt: 7 }
    }

    fn folders(dir: &tempfile::TempDir) -> Folders {
        Folders::new(&dir.path().join("c"), &dir.path().join("s"), RepositoryId([2; 16]))
    }

    #[test]
    fn what_was_noted_is_remembered_and_orders_packs() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = CheckMemory::load(&folders(&dir)).unwrap();
        memory.note(&pack(1), 300);
        memory.note(&pack(2), 100);
        memory.note(&pack(3), -5);
        memory.note(&pack(1), 200);
        memory.save().unwrap();
        let mut memory = CheckMemory::load(&folders(&dir)).unwrap();
        assert_eq!(memory.read_at(&pack(1)), Some(200));
        let mut packs = vec![pack(1), pack(0), pack(2), pack(3)];
        memory.sort_longest_unread(&mut packs);
        assert_eq!(packs, [pack(0), pack(3), pack(2), pack(1)]);
        memory.retain([pack(1), pack(9)].iter());
        assert_eq!((memory.read_at(&pack(2)), memory.read_at(&pack(1))), (None, Some(200)));
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = CheckMemory::load(&folders(&dir)).unwrap();
        memory.note(&pack(1), 300);
        memory.save().unwrap();
        let path = folders(&dir).check_memory();
        let good = fs::read(&path).unwrap();
        for n in 0..good.len() {
            let mut bad = good.clone();
            bad.iter_mut().skip(n).take(1).for_each(|b| *b ^= 1);
            assert!(decode(&bad).is_none());
            assert!(decode(good.get(..n).unwrap()).is_none());
        }
        durable::replace(&path, b"short").unwrap();
        assert_eq!(CheckMemory::load(&folders(&dir)).unwrap().read_at(&pack(1)), None);
    }
}
