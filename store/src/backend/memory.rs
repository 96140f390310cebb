//! Objects in memory: the reference for what a backend does, and the store of tests.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Backend, BackendError, BackendResult, Durability, Entry, OBJECT_BYTES_MAX, check_name, check_prefix,
};

/// Everything that a backend holds, by name.
type Content = BTreeMap<String, Arc<[u8]>>;

/// A backend in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend {
    content: Arc<Mutex<Content>>,
}

impl MemoryBackend {
    /// An empty backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// A backend with this content, as [`MemoryBackend::content`] gave it.
    pub fn with_content(content: BTreeMap<String, Arc<[u8]>>) -> Self {
        Self { content: Arc::new(Mutex::new(content)) }
    }

    /// A copy of everything as it is now.
    pub fn content(&self) -> BTreeMap<String, Arc<[u8]>> {
        self.lock().clone()
    }

    /// A backend of its own with everything as it is now.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::with_content(self.content())
    }

    /// Replaces the bytes of an object, or removes it, as no honest process would; for damage tests.
    pub fn damage(&self, name: &str, bytes: Option<&[u8]>) {
        let mut content = self.lock();
        match bytes {
            Some(bytes) => content.insert(name.to_owned(), bytes.into()),
            None => content.remove(name),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &str) -> BackendResult<Arc<[u8]>> {
        check_name(name)?;
        self.lock().get(name).cloned().ok_or_else(|| BackendError::NotFound(name.to_owned()))
    }
}

impl Backend for MemoryBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        check_prefix(prefix)?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self
            .lock()
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .take(limit)
            .map(|(name, bytes)| Entry { name: name.clone(), size: bytes.len() as u64 })
            .collect())
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        Ok(self.get(name)?.len() as u64)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let bytes = self.get(name)?;
        let Some(range) = range else { return Ok(bytes.to_vec()) };
        let size = bytes.len() as u64;
        check_range(name, &range, size)?;
        let part = bytes.get(range.start as usize..range.end as usize);
        Ok(part.ok_or(BackendError::OutOfRange { name: name.to_owned(), size })?.to_vec())
    }

    fn write_new(&self, name: &str, bytes: &[u8], _durability: Durability) -> BackendResult<()> {
        check_name(name)?;
        check_size(name, bytes.len() as u64)?;
        let mut content = self.lock();
        if content.contains_key(name) {
            return Err(BackendError::AlreadyExists(name.to_owned()));
        }
        content.insert(name.to_owned(), bytes.into());
        Ok(())
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        check_name(name)?;
        self.lock().remove(name);
        Ok(())
    }

    fn sync(&self) -> BackendResult<()> {
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// Refuses a range that runs backwards or beyond an object of `size` bytes.
pub fn check_range(name: &str, range: &Range<u64>, size: u64) -> BackendResult<()> {
    if range.start > range.end {
        return Err(BackendError::Invalid(format!("{name}: the range {range:?} runs backwards")));
    }
    if range.end > size {
        return Err(BackendError::OutOfRange { name: name.to_owned(), size });
    }
    Ok(())
}

/// Refuses an object of more than [`OBJECT_BYTES_MAX`] bytes.
pub fn check_size(name: &str, size: u64) -> BackendResult<()> {
    if size > OBJECT_BYTES_MAX as u64 {
        return Err(BackendError::Invalid(format!("{name}: {size} bytes are more than an object may have")));
    }
    Ok(())
}
