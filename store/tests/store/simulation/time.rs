//! Time that passes only when the run says so; every host has its own idea of the time of day.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chronos_store::Clock;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const HOUR: u64 = 3600 * SECOND;

/// 2026-01-01 UTC, in ns since 1970.
const BEGINNING: i128 = 1_767_225_600_000_000_000;

/// Nanoseconds since the run began, the same for all hosts.
#[derive(Debug, Default)]
pub(super) struct Time(AtomicU64);

impl Time {
    pub(super) fn pass(&self, nanoseconds: u64) {
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The clock of a host: wrong by a skew that may jump; the time since its kernel's start goes on evenly.
#[derive(Debug)]
pub(super) struct HostClock {
    time: Arc<Time>,
    /// By how much the time of day is wrong, in ns.
    skew: AtomicI64,
    /// For how long the host had been running when the run began.
    up: Duration,
}

impl HostClock {
    pub(super) fn new(time: &Arc<Time>, skew: i64, up: Duration) -> Self {
        Self { time: Arc::clone(time), skew: AtomicI64::new(skew), up }
    }

    pub(super) fn jump(&self, nanoseconds: i64) {
        self.skew.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn now(&self) -> i128 {
        BEGINNING + i128::from(self.time.now()) + i128::from(self.skew.load(Ordering::Relaxed))
    }

    fn uptime(&self) -> Duration {
        self.up + Duration::from_nanos(self.time.now())
    }
}
