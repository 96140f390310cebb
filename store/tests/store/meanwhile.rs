//! A backend during one call of which something else happens: what another process does between two calls of this one.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use chronos_store::backend::{Backend, BackendResult, Durability, Entry, Method, Upkeep};

type Work = Box<dyn FnOnce() + Send>;

/// Hands every call on; before the one that it waits for it does something else.
pub(crate) struct Meanwhile {
    inner: Arc<dyn Backend>,
    method: Method,
    prefix: String,
    /// After so many more such calls.
    work: Mutex<(usize, Option<Work>)>,
}

impl Meanwhile {
    /// Does `work` before the first call of `method` on a name that begins with `prefix`, after `skip` such calls.
    pub(crate) fn new(
        inner: Arc<dyn Backend>,
        method: Method,
        prefix: &str,
        skip: usize,
        work: impl FnOnce() + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            method,
            prefix: prefix.to_owned(),
            work: Mutex::new((skip, Some(Box::new(work)))),
        })
    }

    /// Whether it has happened.
    pub(crate) fn is_done(&self) -> bool {
        self.work.lock().unwrap().1.is_none()
    }

    fn due(&self) -> Option<Work> {
        let mut work = self.work.lock().unwrap();
        if work.0 == 0 {
            return work.1.take();
        }
        work.0 -= 1;
        None
    }

    fn before(&self, method: Method, name: &str) -> &dyn Backend {
        if method == self.method
            && name.starts_with(&self.prefix)
            && let Some(work) = self.due()
        {
            work();
        }
        self.inner.as_ref()
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meanwhile({:?} {})", self.method, self.prefix)
    }
}

impl Backend for Meanwhile {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.before(Method::List, prefix).list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.before(Method::Stat, name).stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.before(Method::Read, name).read(name, range)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.before(Method::WriteNew, name).write_new(name, bytes, durability)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.before(Method::Remove, name).remove(name)
    }

    fn sync(&self) -> BackendResult<()> {
        self.before(Method::Sync, "").sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.before(Method::Maintain, "").maintain(work)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
