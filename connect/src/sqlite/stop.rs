//! The wish to stop, heard between the steps of a copy and inside a long statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, InterruptHandle};

use crate::error::{Error, Result};

/// Told from another thread.
#[derive(Default)]
pub(crate) struct Stop {
    is_wanted: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

/// A connection that is interrupted if somebody wants to stop.
pub(super) struct Watched<'s>(&'s Stop);

impl Stop {
    /// Wants everything to stop.
    pub(crate) fn stop(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            running.interrupt();
        }
    }

    /// Fails if somebody wants to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_wanted.load(Ordering::SeqCst) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Has the statements of `database` interrupted, as long as what it returns lives.
    pub(super) fn watch(&self, database: &Connection) -> Result<Watched<'_>> {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(database.get_interrupt_handle());
        let watched = Watched(self);
        self.check()?;
        Ok(watched)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
