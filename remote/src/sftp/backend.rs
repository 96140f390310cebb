//! The storage contract on top of a folder of another host.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chronos_store::backend::{
    Backend, BackendError, BackendResult, Durability, Entry, Upkeep, check_name, check_prefix, check_size,
};

use super::command::SshCommand;
use super::list::Wanted;
use super::place::Place;
use super::pool::CONNECTIONS_MAX;
use crate::location::SftpPlace;
use crate::runtime;

/// A folder of another host.
#[derive(Debug)]
pub(crate) struct SftpBackend {
    place: Arc<Place>,
}

impl SftpBackend {
    pub(super) fn new(place: &SftpPlace, command: SshCommand) -> Self {
        Self { place: Arc::new(Place::new(place, place.to_string(), command)) }
    }

    /// Runs a call about the object `name` to its end.
    fn call<T, F>(&self, name: &str, call: impl FnOnce(Arc<Place>, String) -> F) -> BackendResult<T>
    where
        T: Send + 'static,
        F: Future<Output = BackendResult<T>> + Send + 'static,
    {
        runtime::wait(call(Arc::clone(&self.place), name.to_owned()))
            .map_err(|e| BackendError::io(name, e))?
    }
}

impl Backend for SftpBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        check_prefix(prefix)?;
        let after = after.map(str::to_owned);
        self.call(prefix, |place, prefix| async move {
            let wanted = Wanted { prefix, after, limit };
            place.list(&wanted).await.map_err(|e| e.of(&wanted.prefix))
        })
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        check_name(name)?;
        self.call(name, |place, name| async move { place.stat(&name).await })
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        check_name(name)?;
        self.call(name, |place, name| async move { place.read(&name, range).await })
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        check_name(name)?;
        check_size(name, bytes.len() as u64)?;
        let bytes = Bytes::copy_from_slice(bytes);
        self.call(name, |place, name| async move { place.write_new(&name, bytes, durability).await })
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        check_name(name)?;
        self.call(name, |place, name| async move { place.remove(&name).await.map_err(|e| e.of(&name)) })
    }

    fn sync(&self) -> BackendResult<()> {
        let shown = self.location();
        self.call(&shown, |place, name| async move { place.sync().await.map_err(|e| e.of(&name)) })
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        match work {
            Upkeep::TakeOver(name) => {
                check_name(name)?;
                let taken = |place: Arc<Place>, name: String| async move {
                    place.take_over(&name).await.map_err(|e| e.of(&name))
                };
                self.call(name, taken).map(|()| 0)
            }
            Upkeep::RemoveLeftovers => {
                let shown = self.location();
                self.call(&shown, |place, name| async move {
                    place.remove_leftovers().await.map_err(|e| e.of(&name))
                })
            }
            Upkeep::ReleaseReserve | Upkeep::RefillReserve => Ok(0),
        }
    }

    fn lanes(&self) -> usize {
        CONNECTIONS_MAX
    }

    fn location(&self) -> String {
        self.place.shown.clone()
    }
}
