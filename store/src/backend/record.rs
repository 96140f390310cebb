//! Wrapper that remembers every call, so that tests can assert cost.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendResult, Durability, Entry, Upkeep};

/// A method of [`Backend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// [`Backend::list`].
    List,
    /// [`Backend::stat`].
    Stat,
    /// [`Backend::read`].
    Read,
    /// [`Backend::write_new`].
    WriteNew,
    /// [`Backend::remove`].
    Remove,
    /// [`Backend::sync`].
    Sync,
    /// [`Backend::maintain`].
    Maintain,
}

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which method.
    pub method: Method,
    /// Name of the object, or the prefix of a list; empty for calls about no object.
    pub name: String,
    /// Bytes read or handed over to be written; for a list, the number of entries.
    pub bytes: u64,
    /// What a write asked for.
    pub durability: Option<Durability>,
    /// Whether it succeeded.
    pub ok: bool,
}

/// Hands every call on and keeps a list of them.
#[derive(Clone, Debug)]
pub struct RecordBackend {
    inner: Arc<dyn Backend>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl RecordBackend {
    /// Records what is asked of `inner`. Clones share their list.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, calls: Arc::default() }
    }

    /// Every call until now, in order of completion.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Forgets the calls until now.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many calls of `method` there were on names that begin with `prefix`.
    pub fn count(&self, method: Method, prefix: &str) -> usize {
        self.lock().iter().filter(|c| c.method == method && c.name.starts_with(prefix)).count()
    }

    /// Bytes that calls of `method` moved for names that begin with `prefix`.
    pub fn bytes(&self, method: Method, prefix: &str) -> u64 {
        self.lock().iter().filter(|c| c.method == method && c.name.starts_with(prefix)).map(|c| c.bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, method: Method, name: &str, bytes: u64, outcome: &BackendResult<T>) {
        let ok = outcome.is_ok();
        self.lock().push(Call { method, name: name.to_owned(), bytes, durability: None, ok });
    }
}

impl Backend for RecordBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        let outcome = self.inner.list(prefix, after, limit);
        self.note(Method::List, prefix, outcome.as_ref().map_or(0, |l| l.len() as u64), &outcome);
        outcome
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        let outcome = self.inner.stat(name);
        self.note(Method::Stat, name, 0, &outcome);
        outcome
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let outcome = self.inner.read(name, range);
        self.note(Method::Read, name, outcome.as_ref().map_or(0, |b| b.len() as u64), &outcome);
        outcome
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        let outcome = self.inner.write_new(name, bytes, durability);
        self.lock().push(Call {
            method: Method::WriteNew,
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            durability: Some(durability),
            ok: outcome.is_ok(),
        });
        outcome
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        let outcome = self.inner.remove(name);
        self.note(Method::Remove, name, 0, &outcome);
        outcome
    }

    fn sync(&self) -> BackendResult<()> {
        let outcome = self.inner.sync();
        self.note(Method::Sync, "", 0, &outcome);
        outcome
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        let outcome = self.inner.maintain(work);
        self.note(Method::Maintain, "", *outcome.as_ref().unwrap_or(&0), &outcome);
        outcome
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::backend::MemoryBackend;

    #[test]
    fn calls_are_counted_by_method_and_prefix() {
        let backend = RecordBackend::new(Arc::new(MemoryBackend::new()));
        backend.write_new("packs/a/1", b"12345", Durability::Deferred).unwrap();
        backend.write_new("packs/a/2", b"123", Durability::Now).unwrap();
        assert!(backend.write_new("packs/a/2", b"123", Durability::Now).is_err());
        backend.read("packs/a/1", Some(1..3)).unwrap();
        backend.list("", None, 10).unwrap();
        backend.sync().unwrap();
        assert_eq!(backend.count(Method::WriteNew, "packs/"), 3);
        assert_eq!(backend.bytes(Method::WriteNew, "packs/a/1"), 5);
        assert_eq!(backend.bytes(Method::Read, ""), 2);
        let calls = backend.calls();
        let failed: Vec<_> = calls.iter().filter(|c| !c.ok).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(calls.last().map(|c| c.method), Some(Method::Sync));
        backend.clear();
        assert!(backend.calls().is_empty());
    }
}
