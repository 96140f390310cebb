//! A job that runs: how far it is, and whether it is to stop.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chronos_store::{Clock, Monitor};

use crate::state::JobProgress;

/// Why a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stop {
    /// Somebody wants it no more.
    Cancelled = 1,
    /// It takes too long.
    TooLong = 2,
    /// The service ends.
    Ending = 3,
}

/// The monitor of a job.
#[derive(Debug)]
pub(super) struct Live {
    id: String,
    clock: Arc<dyn Clock>,
    /// Time since the kernel's start at which it has taken too long.
    ends_at: Duration,
    stop: AtomicU8,
    phase: Mutex<&'static str>,
    items: AtomicU64,
    items_total: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
}

impl Live {
    /// Of a job that begins now and may take so long.
    pub(super) fn new(id: &str, clock: Arc<dyn Clock>, time_max: Duration) -> Self {
        let ends_at = clock.uptime().saturating_add(time_max);
        Self {
            id: id.to_owned(),
            clock,
            ends_at,
            stop: AtomicU8::default(),
            phase: Mutex::default(),
            items: AtomicU64::default(),
            items_total: AtomicU64::default(),
            bytes: AtomicU64::default(),
            bytes_total: AtomicU64::default(),
        }
    }

    /// Asks it to stop; the first reason stays.
    pub(super) fn stop(&self, why: Stop) {
        // Only the first one counts.
        let _first = self.stop.compare_exchange(0, why as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Why it is to stop.
    pub(super) fn reason(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Relaxed) {
            1 => Some(Stop::Cancelled),
            2 => Some(Stop::TooLong),
            3 => Some(Stop::Ending),
            _ => None,
        }
    }

    /// How far it is.
    pub(super) fn progress(&self) -> JobProgress {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JobProgress {
            phase: (*self.phase()).to_owned(),
            items: of(&self.items),
            items_total: of(&self.items_total),
            bytes: of(&self.bytes),
            bytes_total: of(&self.bytes_total),
        }
    }

    fn phase(&self) -> MutexGuard<'_, &'static str> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Live {
    fn phase(&self, name: &'static str) {
        *self.phase() = name;
        for counter in [&self.items, &self.items_total, &self.bytes, &self.bytes_total] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    fn total(&self, items: u64, bytes: u64) {
        self.items_total.store(items, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    fn advance(&self, items: u64, bytes: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn problem(&self, what: &str) {
        tracing::warn!(job = self.id, detail = chronos_snapshot::harmless(what).as_ref(), "problem");
    }

    fn left_out(&self, _what: &str) {
        // The snapshot names it.
    }

    fn cancelled(&self) -> bool {
        if self.stop.load(Ordering::Relaxed) == 0 && self.clock.uptime() >= self.ends_at {
            self.stop(Stop::TooLong);
        }
        self.stop.load(Ordering::Relaxed) != 0
    }
}
