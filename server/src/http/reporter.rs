//! What the libraries report goes to the log; what they are doing ends when the service has to.

use std::sync::atomic::{AtomicBool, Ordering};

use chronos_store::Monitor;

/// Reports to the log, and stops the work once the service has waited long enough for it.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    stop: AtomicBool,
}

impl Reporter {
    /// Asks all work to stop at its next safe place.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Monitor for Reporter {
    fn problem(&self, what: &str) {
        tracing::warn!(detail = chronos_snapshot::harmless(what).as_ref(), "problem");
    }

    fn left_out(&self, _what: &str) {
        // The snapshot names it.
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
