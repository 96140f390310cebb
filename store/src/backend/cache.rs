//! Wrapper that keeps local copies of what is read again and again: decisions, states, index, small packs and the ends of large ones.
//!
//! Objects are write-once, so a copy stays right; that an object is gone shows in lists, and in its content that is not kept. Only a
//! damaged object is ever written anew under its name: whoever reads something damaged asks again ([`Backend::read_anew`]), and
//! whoever wants proof of what is stored reads past the copies ([`Backend::stored`]). Every copy is bound to the repository, its name
//! and range by a checksum; one that does not fit is replaced. The folder may be deleted at any moment.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::memory::check_range;
use super::{Backend, BackendError, BackendExt, BackendResult, Durability, Entry, LocalBackend, Upkeep};

/// Largest pack that is kept whole, and longest end of a larger one: footer and table of contents.
const PACK_BYTES_MAX: u64 = 1 << 20;

/// Longest copy; a longer one would push out everything else.
const COPY_BYTES_MAX: u64 = 64 << 20;

/// Sizes of objects that are remembered, about 100 bytes each.
const SIZES_MAX: usize = 50_000;

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
    /// Sizes of decisions and packs, from lists, writes and questions of this handle.
    sizes: Mutex<HashMap<String, u64>>,
}

impl CacheBackend {
    /// Keeps copies of objects of `inner` in `folder`, about `bytes_max` bytes of them.
    pub fn new(inner: Arc<dyn Backend>, folder: &Path, bytes_max: u64) -> Self {
        let copies = LocalBackend::new(folder);
        let (bytes, identity, sizes) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Self { inner, copies, bytes_max, bytes, identity, sizes }
    }

    /// Reads a whole object, or its copy of that name.
    fn whole(&self, name: &str, copy_name: Option<String>) -> BackendResult<Vec<u8>> {
        if let Some(bytes) = copy_name.as_deref().and_then(|copy_name| self.copy(copy_name)) {
            return Ok(bytes);
        }
        let bytes = self.inner.read(name, None)?;
        if let Some(copy_name) = copy_name {
            self.keep(&copy_name, &bytes);
        }
        Ok(bytes)
    }

    /// A decision: one that was made anew after a loss may have another size than its copy.
    fn decision(&self, name: &str) -> BackendResult<Vec<u8>> {
        let Some(size) = self.sizes().get(name).copied() else {
            let bytes = self.inner.read(name, None)?;
            self.remember(name, bytes.len() as u64);
            if let Some(copy_name) = self.whole_name(name, bytes.len() as u64) {
                self.keep(&copy_name, &bytes);
            }
            return Ok(bytes);
        };
        self.whole(name, self.whole_name(name, size))
    }

    /// A part of a pack: of a small one all is fetched at once.
    fn part_of_pack(&self, name: &str, part: Range<u64>) -> BackendResult<Vec<u8>> {
        if part.start > part.end || part.end - part.start > PACK_BYTES_MAX {
            return self.inner.read(name, Some(part));
        }
        let known = self.sizes().get(name).copied();
        let size = match known {
            Some(size) => size,
            None => self.remember(name, self.inner.stat(name)?),
        };
        check_range(name, &part, size)?;
        if size <= PACK_BYTES_MAX {
            let bytes = self.whole(name, self.whole_name(name, size))?;
            let wanted = bytes.get(part.start as usize..part.end as usize);
            return Ok(wanted.ok_or(BackendError::OutOfRange { name: name.to_owned(), size })?.to_vec());
        }
        if part.end == size { self.part(name, part) } else { self.inner.read(name, Some(part)) }
    }

    /// A part that is kept.
    fn part(&self, name: &str, part: Range<u64>) -> BackendResult<Vec<u8>> {
        let is_kept = part.end.saturating_sub(part.start) <= COPY_BYTES_MAX;
        let copy_name = self.part_name(name, &part).filter(|_| is_kept);
        if let Some(bytes) = copy_name.as_deref().and_then(|copy_name| self.copy(copy_name)) {
            return Ok(bytes);
        }
        let bytes = self.inner.read(name, Some(part.clone()))?;
        if bytes.len() as u64 != part.end - part.start {
            return Err(BackendError::io(name, std::io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(copy_name) = copy_name {
            self.keep(&copy_name, &bytes);
        }
        Ok(bytes)
    }

    /// Drops the copies from which a read of an object is served; `false` if none are kept of such a read.
    fn drop_copies(&self, name: &str, range: Option<&Range<u64>>) -> bool {
        let size = self.sizes().remove(name);
        let area = name.split_once('/').map_or(name, |(area, _)| area);
        let whole = size.and_then(|size| self.whole_name(name, size));
        let names = match (area, range) {
            ("snap", None) => [whole, None],
            ("state", None) => [self.copy_name(name), None],
            ("index", Some(part)) => [self.part_name(name, part), None],
            ("packs", Some(part)) => [whole, self.part_name(name, part)],
            _ => return false,
        };
        for copy_name in names.iter().flatten() {
            // One that cannot be removed is believed again: a cache folder that cannot be written has to be deleted by a person.
            let _ = self.copies.remove(copy_name);
        }
        true
    }

    fn part_name(&self, name: &str, part: &Range<u64>) -> Option<String> {
        self.copy_name(&format!("{name} {} {}", part.start, part.end))
    }

    fn whole_name(&self, name: &str, size: u64) -> Option<String> {
        self.copy_name(&format!("{name} {size}"))
    }

    /// The name of the copy of what `text` says; `None` as long as there is no repository.
    fn copy_name(&self, text: &str) -> Option<String> {
        let hash = blake3::keyed_hash(&self.identity()?, text.as_bytes()).to_hex();
        Some(format!("{}/{}", hash.get(..2)?, hash.get(2..)?))
    }

    fn identity(&self) -> Option<[u8; 32]> {
        if let Some(identity) = self.identity.get() {
            return Some(*identity);
        }
        self.inner.read("config", None).ok().map(|config| self.identify(&config))
    }

    fn identify(&self, config: &[u8]) -> [u8; 32] {
        *self.identity.get_or_init(|| *blake3::hash(config).as_bytes())
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, name: &str, size: u64) -> u64 {
        if name.starts_with("packs/") || name.starts_with("snap/") {
            let mut sizes = self.sizes();
            if sizes.len() >= SIZES_MAX {
                sizes.clear();
            }
            sizes.insert(name.to_owned(), size);
        }
        size
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
        if bytes.len() as u64 > COPY_BYTES_MAX {
            return;
        }
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
        let found = self.inner.list(prefix, after, limit)?;
        for entry in &found {
            self.remember(&entry.name, entry.size);
        }
        Ok(found)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        Ok(self.remember(name, self.inner.stat(name)?))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let area = name.split_once('/').map_or(name, |(area, _)| area);
        match (area, range) {
            ("config", None) => {
                let config = self.inner.read(name, None)?;
                self.identify(&config);
                Ok(config)
            }
            ("snap", None) => self.decision(name),
            ("state", None) => self.whole(name, self.copy_name(name)),
            ("index", Some(part)) => self.part(name, part),
            ("packs", Some(part)) => self.part_of_pack(name, part),
            (_, range) => self.inner.read(name, range),
        }
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.inner.write_new(name, bytes, durability)?;
        let size = self.remember(name, bytes.len() as u64);
        let is_small_pack = name.starts_with("packs/") && size <= PACK_BYTES_MAX;
        let copy_name = match name {
            _ if is_small_pack || name.starts_with("snap/") => self.whole_name(name, size),
            _ if name.starts_with("state/") => self.copy_name(name),
            _ => None,
        };
        if let Some(copy_name) = copy_name {
            // Of a damaged object that was removed to be written anew.
            let _ = self.copies.remove(&copy_name);
            self.keep(&copy_name, bytes);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.sizes().remove(name);
        self.inner.remove(name)
    }

    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.inner.maintain(work)
    }

    fn stored(&self) -> Option<Arc<dyn Backend>> {
        Some(Arc::clone(&self.inner))
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn read_anew(&self, name: &str, range: Option<Range<u64>>) -> Option<BackendResult<Vec<u8>>> {
        self.drop_copies(name, range.as_ref()).then(|| self.read(name, range))
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
    fn copies_of_another_repository_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (_, _, cache) = setup(dir.path(), 1 << 30);
        cache.read("state/a", None).unwrap();
        let other = MemoryBackend::new();
        other.write_new("config", b"two", Durability::Now).unwrap();
        other.write_new("state/a", &[9; 1000], Durability::Now).unwrap();
        let other = CacheBackend::new(Arc::new(other), dir.path(), 1 << 30);
        assert_eq!(other.read("state/a", None).unwrap(), [9; 1000]);
    }

    #[test]
    fn what_is_stored_is_read_past_the_copies() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _, cache) = setup(dir.path(), 1 << 30);
        cache.write_new("snap/s", b"whole", Durability::Now).unwrap();
        assert_eq!(cache.read("snap/s", None).unwrap(), b"whole");
        memory.damage("snap/s", Some(b"wrong"));
        memory.damage("state/a", None);
        let stored = cache.stored().unwrap();
        assert_eq!(stored.read("snap/s", None).unwrap(), b"wrong");
        assert!(matches!(stored.read("state/a", None), Err(BackendError::NotFound(_))));
        assert!(matches!(cache.stat("state/a"), Err(BackendError::NotFound(_))));
    }

    #[test]
    fn what_is_written_anew_replaces_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (_, _, cache) = setup(dir.path(), 1 << 30);
        for bytes in [b"first", b"other"] {
            cache.remove("snap/s").unwrap();
            cache.write_new("snap/s", bytes, Durability::Now).unwrap();
            assert_eq!(cache.read("snap/s", None).unwrap(), bytes);
        }
    }

    #[test]
    fn a_small_pack_is_fetched_once_and_one_of_this_handle_never() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, record, cache) = setup(dir.path(), 1 << 30);
        let content: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        memory.write_new("packs/s/theirs", &content, Durability::Now).unwrap();
        cache.write_new("packs/s/own", &content, Durability::Now).unwrap();
        cache.list("packs/", None, 10).unwrap();
        for name in ["packs/s/theirs", "packs/s/own"] {
            for range in [9_000..10_000, 0..10, 4_000..9_000] {
                let wanted = content.get(range.start as usize..range.end as usize).unwrap();
                assert_eq!(cache.read(name, Some(range)).unwrap(), wanted);
            }
            let beyond = cache.read(name, Some(9_000..10_001));
            assert!(matches!(beyond, Err(BackendError::OutOfRange { size: 10_000, .. })));
        }
        assert_eq!(record.count(Method::Read, "packs/"), 1);
        assert_eq!(record.count(Method::Stat, ""), 0);
    }

    #[test]
    fn the_folder_stays_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _, cache) = setup(dir.path(), 20_000);
        for n in 0..100 {
            let name = format!("state/{n}");
            memory.write_new(&name, &[3; 1000], Durability::Now).unwrap();
            cache.read(&name, None).unwrap();
            assert!(cache.bytes_found() <= 20_000 + 2 * 1032);
        }
    }
}
