//! A backend that lets somebody else act in between: one chosen call waits until something else has been done.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use chronos_store::backend::{Backend, BackendResult, Durability, Entry, Method, Upkeep};

type Deed = Box<dyn FnOnce() + Send>;

/// Hands calls on; before the chosen one it does the deed.
pub(crate) struct Between {
    inner: Arc<dyn Backend>,
    method: Method,
    prefix: &'static str,
    /// Calls that pass before, and the deed until it is done.
    waiting: Mutex<(usize, Option<Deed>)>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Between({:?} {})", self.method, self.prefix)
    }
}

impl Between {
    /// Does `deed` before the call number `skip` (from 0) of `method` on names that begin with `prefix`.
    pub(crate) fn new(
        inner: Arc<dyn Backend>,
        (method, prefix, skip): (Method, &'static str, usize),
        deed: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self { inner, method, prefix, waiting: Mutex::new((skip, Some(Box::new(deed)))) }
    }

    fn pass(&self, method: Method, name: &str) {
        if method != self.method || !name.starts_with(self.prefix) {
            return;
        }
        let deed = {
            let mut waiting = self.waiting.lock().unwrap();
            if waiting.0 > 0 {
                waiting.0 -= 1;
                return;
            }
            waiting.1.take()
        };
        deed.into_iter().for_each(|deed| deed());
    }
}

impl Backend for Between {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.pass(Method::List, prefix);
        self.inner.list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.pass(Method::Read, name);
        self.inner.read(name, range)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.pass(Method::WriteNew, name);
        self.inner.write_new(name, bytes, durability)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.pass(Method::Remove, name);
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
