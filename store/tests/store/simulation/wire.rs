//! The way of one client to the storage: every call waits for its turn and meets its fate; some arrive late, some twice.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::backend::{Backend, BackendError, BackendResult, Durability, Entry, Method, Upkeep};

use super::stage::{Call, Fate, Stage};

/// A change that is still on its way.
#[derive(Debug)]
pub(super) enum Change {
    Put(String, Vec<u8>),
    Remove(String),
}

/// A change and the place that it is on its way to.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) place: usize,
    pub(super) change: Change,
}

/// Everything that is on its way.
#[derive(Debug, Default)]
pub(super) struct Post(Mutex<Vec<Letter>>);

impl Post {
    fn add(&self, letter: Letter) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn take(&self, at: usize) -> Letter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).swap_remove(at)
    }
}

/// A backend as one client has it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) inner: Arc<dyn Backend>,
    pub(super) place: usize,
    pub(super) client: usize,
    pub(super) stage: Arc<Stage>,
    pub(super) post: Arc<Post>,
}

impl Wire {
    fn ask(&self, method: Method, name: &str) -> BackendResult<Fate> {
        let call = Call { place: self.place, method, name: name.to_owned() };
        self.stage.ask(self.client, call).ok_or_else(|| died(name))
    }

    /// A call that changes nothing.
    fn look<T>(
        &self,
        method: Method,
        name: &str,
        call: impl FnOnce() -> BackendResult<T>,
    ) -> BackendResult<T> {
        match self.ask(method, name)? {
            Fate::Failed | Fate::AnswerLost | Fate::Later => Err(failed(name)),
            fate if fate.kills() => Err(died(name)),
            _ => call(),
        }
    }

    /// A call that changes something, and how it reads when it is still on its way.
    fn change(
        &self,
        method: Method,
        name: &str,
        call: impl Fn() -> BackendResult<()>,
        change: impl Fn() -> Change,
    ) -> BackendResult<()> {
        let send = || self.post.add(Letter { place: self.place, change: change() });
        match self.ask(method, name)? {
            Fate::Done => call(),
            Fate::Failed => Err(failed(name)),
            Fate::AnswerLost => call().and_then(|()| Err(failed(name))),
            Fate::Later => {
                send();
                Err(failed(name))
            }
            Fate::Twice => call().and_then(|()| call()),
            Fate::Echoed => {
                send();
                call()
            }
            Fate::DiesBefore => Err(died(name)),
            Fate::DiesAfter => call().and_then(|()| Err(died(name))),
            Fate::DiesLater => {
                send();
                Err(died(name))
            }
        }
    }
}

fn failed(name: &str) -> BackendError {
    BackendError::io(name, io::ErrorKind::TimedOut.into())
}

fn died(name: &str) -> BackendError {
    BackendError::io(name, io::Error::other("the client is dead"))
}

impl Backend for Wire {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.look(Method::List, prefix, || self.inner.list(prefix, after, limit))
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.look(Method::Stat, name, || self.inner.stat(name))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.look(Method::Read, name, || self.inner.read(name, range))
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        let put = || Change::Put(name.to_owned(), bytes.to_vec());
        self.change(Method::WriteNew, name, || self.inner.write_new(name, bytes, durability), put)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        let remove = || Change::Remove(name.to_owned());
        self.change(Method::Remove, name, || self.inner.remove(name), remove)
    }

    fn sync(&self) -> BackendResult<()> {
        self.look(Method::Sync, "", || self.inner.sync())
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.look(Method::Maintain, "", || self.inner.maintain(work))
    }

    fn location(&self) -> String {
        format!("place {}", self.place)
    }
}
