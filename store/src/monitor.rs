//! How the libraries report: counters, phases and problems that do not stop the work.
//!
//! The library never prints. The command line draws what it is told, a service streams it,
//! tests assert it.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// Receives reports, from any thread.
pub trait Monitor: Send + Sync + Debug {
    /// A phase of the work begins (`"scan"`, `"read"`, `"mark"`, …).
    fn phase(&self, _name: &'static str) {}
    /// What is known of the whole amount; may grow.
    fn total(&self, _items: u64, _bytes: u64) {}
    /// So much more has been done.
    fn advance(&self, _items: u64, _bytes: u64) {}
    /// The item now worked on, as bytes of a name.
    fn item(&self, _name: &[u8]) {}
    /// Something could not be done; the work goes on and the outcome will say so.
    fn problem(&self, _what: &str) {}
    /// The same of one entry among many; the report at the end names it too.
    fn left_out(&self, what: &str) {
        self.problem(what);
    }
    /// Whether the caller wants the work to stop at the next safe place.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Stops with [`Error::Interrupted`] once the caller has asked for it.
pub fn check_cancelled(monitor: &dyn Monitor) -> Result<()> {
    if monitor.cancelled() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Reports to nobody.
#[derive(Debug, Default)]
pub struct Silent;

impl Monitor for Silent {}

/// Collects problems and can be told to cancel; for tests and for callers without a display.
#[derive(Debug, Default)]
pub struct Collect {
    problems: Mutex<Vec<String>>,
    cancel: Arc<AtomicBool>,
}

impl Collect {
    /// The problems reported until now.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

impl Monitor for Collect {
    fn problem(&self, what: &str) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }
    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
