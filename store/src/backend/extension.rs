//! What every backend can do by means of the few methods of [`Backend`].

use super::{Backend, BackendError, BackendResult, Durability, Entry, Upkeep};

/// Objects asked for in one call of `list`; about 1 MB of names.
pub(crate) const LIST_PAGE: usize = 10_000;

/// Conveniences over [`Backend`], implemented for all of them.
pub trait BackendExt: Backend {
    /// Every object whose name begins with `prefix`, in byte order.
    fn list_all(&self, prefix: &str) -> BackendResult<Vec<Entry>> {
        self.list_after(prefix, None)
    }

    /// Every object whose name begins with `prefix` and is greater than `after`, in byte order.
    fn list_after(&self, prefix: &str, after: Option<&str>) -> BackendResult<Vec<Entry>> {
        let mut all = self.list(prefix, after, LIST_PAGE)?;
        let mut got = all.len();
        while got == LIST_PAGE {
            let last = all.last().map(|e| e.name.clone());
            let page = self.list(prefix, last.as_deref(), LIST_PAGE)?;
            got = page.len();
            all.extend(page);
        }
        Ok(all)
    }

    /// Creates an object like [`Backend::write_new`], and settles a failure that leaves open whose object is there: also
    /// [`BackendError::AlreadyExists`], since a server on the way may have sent the same twice.
    ///
    /// The object is read back: if its bytes are these, it counts as written (and is made durable if that was
    /// asked for). So `bytes` must hold something that no other writer would choose, or be all that anyone would write there.
    fn create(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        match self.write_new(name, bytes, durability) {
            Ok(()) => Ok(()),
            Err(e @ BackendError::Invalid(_)) => Err(e),
            Err(e) => settle(self, name, bytes, durability, e),
        }
    }

    /// Whether an object of that name is there.
    fn exists(&self, name: &str) -> BackendResult<bool> {
        match self.stat(name) {
            Ok(_) => Ok(true),
            Err(BackendError::NotFound(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}

/// Looks whether the object that a failed write was to make is there with these bytes.
pub(super) fn settle<B: Backend + ?Sized>(
    backend: &B,
    name: &str,
    bytes: &[u8],
    durability: Durability,
    error: BackendError,
) -> BackendResult<()> {
    let same = match backend.read(name, None) {
        Ok(found) => found == bytes,
        Err(BackendError::NotFound(_)) => false,
        // Whose it is stays open.
        Err(unread) => return Err(unread),
    };
    if !same {
        return Err(error);
    }
    // It is there: what fails now must not read as if it were another's.
    if durability != Durability::Relaxed {
        backend.maintain(Upkeep::TakeOver(name))?;
    }
    if durability == Durability::Now {
        backend.sync()?;
    }
    Ok(())
}
