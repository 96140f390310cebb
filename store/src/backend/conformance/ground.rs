//! Where checks write: an area of a place, as two handles see it. What was asked for is counted, what was written is removed again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Handles;
use crate::backend::{Backend, BackendError, BackendResult, Durability, Entry, Upkeep};

/// Two handles on what begins with one prefix: names below it are given and taken without it.
#[derive(Debug)]
pub struct Ground {
    pub(super) a: Arc<dyn Backend>,
    pub(super) b: Arc<dyn Backend>,
    /// Bytes that names may have here.
    pub(super) name_bytes_max: usize,
    whole: Arc<dyn Backend>,
    prefix: Arc<str>,
    trace: Arc<Trace>,
}

/// What was done here.
#[derive(Debug, Default)]
struct Trace {
    requests: AtomicU64,
    written: Mutex<BTreeSet<String>>,
}

impl Trace {
    fn written(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ground {
    /// All of a place, if `prefix` is empty, or what is below a prefix that ends with a slash.
    pub fn new((a, b): &Handles, prefix: &str) -> Self {
        let (prefix, trace): (Arc<str>, Arc<Trace>) = (prefix.into(), Arc::default());
        let below = |inner: &Arc<dyn Backend>| -> Arc<dyn Backend> {
            let (inner, prefix, trace) = (Arc::clone(inner), Arc::clone(&prefix), Arc::clone(&trace));
            Arc::new(Below { inner, prefix, trace })
        };
        let name_bytes_max = crate::backend::NAME_BYTES_MAX.saturating_sub(prefix.len());
        Self { a: below(a), b: below(b), name_bytes_max, whole: Arc::clone(a), prefix, trace }
    }

    /// Calls until now that lists, reads, writes or removes.
    pub fn requests(&self) -> u64 {
        self.trace.requests.load(Ordering::Relaxed)
    }

    /// Removes what was written here and is not removed yet, also where it is not known to have arrived.
    ///
    /// # Errors
    /// The first failure; all else is removed.
    pub fn clear(&self) -> BackendResult<()> {
        let written = std::mem::take(&mut *self.trace.written());
        let mut outcome = Ok(());
        for name in written {
            self.trace.requests.fetch_add(1, Ordering::Relaxed);
            let removed = self.whole.remove(&format!("{}{name}", self.prefix));
            outcome = outcome.and(removed);
        }
        outcome
    }
}

#[derive(Debug)]
struct Below {
    inner: Arc<dyn Backend>,
    prefix: Arc<str>,
    trace: Arc<Trace>,
}

impl Below {
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn request(&self) {
        self.trace.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer about names as they are here.
    fn answer<T>(&self, outcome: BackendResult<T>) -> BackendResult<T> {
        let short = |name: String| name.strip_prefix(&*self.prefix).map_or(name.clone(), str::to_owned);
        outcome.map_err(|error| match error {
            BackendError::NotFound(name) => BackendError::NotFound(short(name)),
            BackendError::AlreadyExists(name) => BackendError::AlreadyExists(short(name)),
            BackendError::OutOfRange { name, size } => BackendError::OutOfRange { name: short(name), size },
            other => other,
        })
    }
}

impl Backend for Below {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.request();
        let after = after.map(|after| self.full(after));
        let mut found = self.answer(self.inner.list(&self.full(prefix), after.as_deref(), limit))?;
        for entry in &mut found {
            if let Some(name) = entry.name.strip_prefix(&*self.prefix) {
                entry.name = name.to_owned();
            }
        }
        Ok(found)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.request();
        self.answer(self.inner.stat(&self.full(name)))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.request();
        self.answer(self.inner.read(&self.full(name), range))
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.request();
        self.trace.written().insert(name.to_owned());
        let outcome = self.inner.write_new(&self.full(name), bytes, durability);
        if matches!(outcome, Err(BackendError::Invalid(_))) {
            self.trace.written().remove(name);
        }
        self.answer(outcome)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.request();
        self.answer(self.inner.remove(&self.full(name)))?;
        self.trace.written().remove(name);
        Ok(())
    }

    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        match work {
            Upkeep::TakeOver(name) => self.answer(self.inner.maintain(Upkeep::TakeOver(&self.full(name)))),
            work => self.inner.maintain(work),
        }
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
