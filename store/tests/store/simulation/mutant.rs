//! Clients and places that break one promise: the simulation must find the damage, or it is worth nothing.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::backend::{
    Backend, BackendResult, Durability, Entry, Flaw, MemoryBackend, UnsoundBackend, Upkeep,
};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Nothing.
    None,
    /// The places do not keep the contract.
    Place(Flaw),
    /// W2 before W1: a session is announced when it writes its first pack.
    LateAnnouncements,
    /// G3 is left out: nobody sees the sessions of others.
    UnseenSessions,
    /// S6 is left out: a sync draws no curtain.
    NoCurtains,
}

impl Mutant {
    /// A place as this mutant has it.
    pub(super) fn serve(self, place: MemoryBackend) -> Arc<dyn Backend> {
        match self {
            Self::Place(flaw) => Arc::new(UnsoundBackend::new(Arc::new(place), flaw)),
            _ => Arc::new(place),
        }
    }

    /// A client's way to a place.
    pub(super) fn way(self, inner: Arc<dyn Backend>) -> Arc<dyn Backend> {
        match self {
            Self::LateAnnouncements | Self::UnseenSessions | Self::NoCurtains => {
                Arc::new(Twisted { mutant: self, inner, kept: Mutex::default() })
            }
            _ => inner,
        }
    }
}

/// A way on which some calls are not what they seem.
#[derive(Debug)]
struct Twisted {
    mutant: Mutant,
    inner: Arc<dyn Backend>,
    /// An announcement that was not made yet.
    kept: Mutex<Option<(String, Vec<u8>)>>,
}

impl Backend for Twisted {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        if self.mutant == Mutant::UnseenSessions && prefix == "sess/" {
            return Ok(Vec::new());
        }
        self.inner.list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.inner.read(name, range)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match self.mutant {
            Mutant::NoCurtains if name.starts_with("log/-sync-") => return Ok(()),
            Mutant::LateAnnouncements if name.starts_with("sess/") => {
                *kept() = Some((name.to_owned(), bytes.to_vec()));
                return Ok(());
            }
            Mutant::LateAnnouncements => {
                let kept = kept().take();
                if let Some((name, bytes)) = kept {
                    self.inner.write_new(&name, &bytes, durability)?;
                }
            }
            _ => {}
        }
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
