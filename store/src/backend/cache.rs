//! Wrapper that keeps local copies of what is read again and again: decisions, states, index, log, pack tails.
//!
//! Objects are write-once, so a copy is right as long as the object is there; that is asked every
//! time. Every copy is bound to the repository, its name and range by a checksum; a copy that does
//! not fit is replaced. The folder may be deleted at any moment.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::memory::check_range;
use super::{Backend, BackendError, BackendExt, BackendResult, Durability, Entry, LocalBackend, Upkeep};

/// Prefixes of the objects whose copies are kept, whatever part is read.
const KEPT: [&str; 4] = ["snap/", "state/", "index/", "log/"];

/// Longest end of a pack that is kept: footer and table of contents, not the content.
const TAIL_BYTES_MAX: u64 = 1 << 20;

/// Longest copy; a longer one would push out everything else.
const COPY_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the checksum in front of every copy.
const SUM_BYTES: usize = 32;

/// Keeps copies of small objects in a folder.
#[derive(Debug)]
pub struct CacheBackend {
    inner: Arc<dyn Backend>,
    copies: LocalBackend,
    bytes_max: u64,
    /// Bytes of copies, as far as this process knows; set by the first look at the folder.
    bytes: OnceLock<AtomicU64>,
    /// Hash of the repository's `config`, so that copies of another repository never fit.
    identity: OnceLock<[u8; 32]>,
}

impl CacheBackend {
    /// Keeps copies of objects of `inner` in `folder`, about `bytes_max` bytes of them.
    pub fn new(inner: Arc<dyn Backend>, folder: &Path, bytes_max: u64) -> Self {
        let copies = LocalBackend::new(folder);
        Self { inner, copies, bytes_max, bytes: OnceLock::new(), identity: OnceLock::new() }
    }

    /// Names of the copy: `None` if none is to be kept.
    fn copy_name(&self, name: &str, range: &Range<u64>, size: u64) -> Option<String> {
        let wanted = range.end - range.start;
        let kept = KEPT.iter().any(|p| name.starts_with(p)) && wanted <= COPY_BYTES_MAX;
        let tail = name.starts_with("packs/") && range.end == size && wanted <= TAIL_BYTES_MAX;
        if !(kept || tail) {
            return None;
        }
        let identity = self.identity()?;
        let text = format!("{name} {} {} {size}", range.start, range.end);
        let hash = blake3::keyed_hash(&identity, text.as_bytes()).to_hex();
        Some(format!("{}/{}", hash.get(..2)?, hash.get(2..)?))
    }

    fn identity(&self) -> Option<[u8; 32]> {
        if let Some(identity) = self.identity.get() {
            return Some(*identity);
        }
        // Without a config there is nothing to keep copies of yet.
        let config = self.inner.read("config", None).ok()?;
        Some(*self.identity.get_or_init(|| *blake3::hash(&config).as_bytes()))
    }

    fn copy(&self, copy_name: &str) -> Option<Vec<u8>> {
        // A cache that cannot be read is as good as an empty one.
        let mut copy = self.copies.read(copy_name, None).ok()?;
        if copy.len() >= SUM_BYTES {
            let bytes = copy.split_off(SUM_BYTES);
            if copy == checksum(copy_name, &bytes) {
                return Some(bytes);
            }
        }
        // Damaged: if it cannot be removed it stays useless, and the object is read instead each time.
        let _ = self.copies.remove(copy_name);
        None
    }

    fn keep(&self, copy_name: &str, bytes: &[u8]) {
        let copy = [&checksum(copy_name, bytes)[..], bytes].concat();
        // A full or read-only cache folder must not fail what was read well.
        if self.copies.write_new(copy_name, &copy, Durability::Relaxed).is_ok() {
            let known = self.bytes.get_or_init(|| AtomicU64::new(self.bytes_found()));
            if known.fetch_add(copy.len() as u64, Ordering::Relaxed) > self.bytes_max {
                known.store(self.shrink(), Ordering::Relaxed);
            }
        }
    }

    fn bytes_found(&self) -> u64 {
        self.copies.list_all("").map_or(0, |all| all.iter().map(|e| e.size).sum())
    }

    /// Removes copies until half of the bound is free, and returns what is left. Names are hashes, so this
    /// takes any with the same chance.
    fn shrink(&self) -> u64 {
        // Both only cost space that the next call looks at again.
        let _ = self.copies.maintain(Upkeep::RemoveLeftovers);
        let all = self.copies.list_all("").unwrap_or_default();
        let mut left: u64 = all.iter().map(|e| e.size).sum();
        for entry in all {
            if left <= self.bytes_max / 2 {
                break;
            }
            if self.copies.remove(&entry.name).is_ok() {
                left -= entry.size;
            }
        }
        left
    }
}

fn checksum(copy_name: &str, bytes: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(copy_name.as_bytes()).update(bytes);
    *hasher.finalize().as_bytes()
}

impl Backend for CacheBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.inner.list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        if !name.starts_with("packs/") && !KEPT.iter().any(|p| name.starts_with(p)) {
            return self.inner.read(name, range);
        }
        let size = self.inner.stat(name)?;
        let part = range.clone().unwrap_or(0..size);
        check_range(name, &part, size)?;
        let Some(copy_name) = self.copy_name(name, &part, size) else {
            return self.inner.read(name, range);
        };
        if let Some(bytes) = self.copy(&copy_name) {
            return Ok(bytes);
        }
        let bytes = self.inner.read(name, range)?;
        if bytes.len() as u64 != part.end - part.start {
            return Err(BackendError::io(name, std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.keep(&copy_name, &bytes);
        Ok(bytes)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.inner.write_new(name, bytes, durability)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.inner.remove(name)
    }

    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.inner.maintain(work)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;
    use crate::backend::{MemoryBackend, Method, RecordBackend};

    fn setup(folder: &Path, bytes_max: u64) -> (MemoryBackend, RecordBackend, CacheBackend) {
        let memory = MemoryBackend::new();
        memory.write_new("config", b"one", Durability::Now).unwrap();
        memory.write_new("state/a", &[1; 1000], Durability::Now).unwrap();
        memory.write_new("packs/s/p", &vec![2; 3 << 20], Durability::Now).unwrap();
        let record = RecordBackend::new(Arc::new(memory.clone()));
        let cache = CacheBackend::new(Arc::new(record.clone()), folder, bytes_max);
        (memory, record, cache)
    }

    #[test]
    fn what_was_read_once_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_, record, cache) = setup(dir.path(), 1 << 30);
        let tail = (3 << 20) - 500..3 << 20;
        for _ in 0..3 {
            assert_eq!(cache.read("state/a", None).unwrap(), [1; 1000]);
            assert_eq!(cache.read("packs/s/p", Some(tail.clone())).unwrap(), [2; 500]);
        }
        assert_eq!(record.count(Method::Read, "state/"), 1);
        assert_eq!(record.count(Method::Read, "packs/"), 1);
        for _ in 0..2 {
            cache.read("packs/s/p", None).unwrap();
            cache.read("packs/s/p", Some(0..10)).unwrap();
        }
        assert_eq!(record.count(Method::Read, "packs/"), 5, "content of packs is not kept");
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (_, record, cache) = setup(dir.path(), 1 << 30);
        cache.read("state/a", None).unwrap();
        let name = cache.copies.list_all("").unwrap().remove(0).name;
        let path = dir.path().join(name);
        for damage in [0usize, 40, 1031] {
            let mut bytes = fs::read(&path).unwrap();
            if let Some(byte) = bytes.get_mut(damage) {
                *byte ^= 1;
            }
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.read("state/a", None).unwrap(), [1; 1000]);
        }
        fs::write(&path, b"").unwrap();
        assert_eq!(cache.read("state/a", None).unwrap(), [1; 1000]);
        assert_eq!(record.count(Method::Read, "state/"), 5);
        cache.read("state/a", None).unwrap();
        assert_eq!(record.count(Method::Read, "state/"), 5);
    }

    #[test]
    fn copies_of_another_repository_or_a_removed_object_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _, cache) = setup(dir.path(), 1 << 30);
        cache.read("state/a", None).unwrap();
        let other = MemoryBackend::new();
        other.write_new("config", b"two", Durability::Now).unwrap();
        other.write_new("state/a", &[9; 1000], Durability::Now).unwrap();
        let other = CacheBackend::new(Arc::new(other), dir.path(), 1 << 30);
        assert_eq!(other.read("state/a", None).unwrap(), [9; 1000]);
        memory.remove("state/a").unwrap();
        assert!(matches!(cache.read("state/a", None), Err(BackendError::NotFound(_))));
    }

    #[test]
    fn the_folder_stays_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _, cache) = setup(dir.path(), 20_000);
        for n in 0..100 {
            let name = format!("log/{n}");
            memory.write_new(&name, &[3; 1000], Durability::Now).unwrap();
            cache.read(&name, None).unwrap();
            assert!(cache.bytes_found() <= 20_000 + 2 * 1032);
        }
    }
}
