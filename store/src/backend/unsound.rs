//! Wrapper that answers like stores which do not keep the contract: what they get wrong is found by its checks.
//!
//! Used by tests of every layer. Each flaw shows every time, whatever the threads do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::{Backend, BackendResult, Durability, Entry, Upkeep};

/// What a store gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A second create replaces the first object and reports success (Garage, rclone, s3rver).
    Overwrites,
    /// A second create is refused, but not while the first is under way: here, that of every other thread.
    SeveralWinners,
    /// A new object is missing in the next list.
    StaleLists,
    /// A range is ignored: the whole object is given.
    WholeRanges,
    /// Lists are not in order.
    UnorderedLists,
    /// A limit of a list is ignored.
    EndlessPages,
    /// Removing reports success and removes nothing.
    KeepsRemoved,
}

#[derive(Debug, Default)]
struct State {
    creators: BTreeMap<String, ThreadId>,
    unlisted: BTreeSet<String>,
}

/// Hands calls on, and does one thing wrong. Clones share what they know.
#[derive(Clone, Debug)]
pub struct UnsoundBackend {
    inner: Arc<dyn Backend>,
    flaw: Flaw,
    state: Arc<Mutex<State>>,
}

impl UnsoundBackend {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn Backend>, flaw: Flaw) -> Self {
        Self { inner, flaw, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for UnsoundBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        let limit = if self.flaw == Flaw::EndlessPages { usize::MAX } else { limit };
        let mut found = self.inner.list(prefix, after, limit)?;
        let mut state = self.lock();
        found.retain(|entry| !state.unlisted.remove(&entry.name));
        if self.flaw == Flaw::UnorderedLists {
            found.reverse();
        }
        Ok(found)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.inner.read(name, range.filter(|_| self.flaw != Flaw::WholeRanges))
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        // Held to the end: overwriting is one step.
        let mut state = self.lock();
        let this = thread::current().id();
        let replaces = match self.flaw {
            Flaw::Overwrites => true,
            Flaw::SeveralWinners => state.creators.get(name).is_some_and(|creator| *creator != this),
            _ => false,
        };
        if replaces {
            self.inner.remove(name)?;
        }
        self.inner.write_new(name, bytes, durability)?;
        state.creators.insert(name.to_owned(), this);
        if self.flaw == Flaw::StaleLists {
            state.unlisted.insert(name.to_owned());
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        if self.flaw == Flaw::KeepsRemoved {
            return super::check_name(name);
        }
        self.inner.remove(name)?;
        self.lock().creators.remove(name);
        Ok(())
    }

    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.inner.maintain(work)
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
