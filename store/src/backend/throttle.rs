//! Wrapper that keeps the bytes per second of uploads and downloads below a limit.
//!
//! A token bucket per direction: bytes are paid for before they are written and after they were
//! read, and whoever overdraws waits. So bursts are at most one object above the limit.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Backend, BackendResult, Durability, Entry, Pace, Upkeep};

/// Time for which unused bytes are kept: a burst of one second at full rate.
const BURST: Duration = Duration::from_secs(1);

/// Limits the bytes per second in each direction.
#[derive(Debug)]
pub struct ThrottleBackend {
    inner: Arc<dyn Backend>,
    upload: Bucket,
    download: Bucket,
    pace: Arc<dyn Pace>,
}

#[derive(Debug)]
struct Bucket {
    bytes_per_second: Option<u64>,
    /// When everything that was granted has passed through at the limit.
    free_at: Mutex<Duration>,
}

impl Bucket {
    fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second: bytes_per_second.map(|n| n.max(1)), free_at: Mutex::default() }
    }

    /// Grants `bytes` and returns how long to wait for them.
    fn take(&self, bytes: u64, now: Duration) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now.saturating_sub(BURST)).saturating_add(cost);
        free_at.saturating_sub(now)
    }
}

impl ThrottleBackend {
    /// Limits `inner` to so many bytes per second; `None`: no limit in that direction.
    pub fn new(
        inner: Arc<dyn Backend>,
        upload: Option<u64>,
        download: Option<u64>,
        pace: Arc<dyn Pace>,
    ) -> Self {
        Self { inner, upload: Bucket::new(upload), download: Bucket::new(download), pace }
    }

    fn pay(&self, bucket: &Bucket, bytes: usize) {
        let wait = bucket.take(bytes as u64, self.pace.now());
        if !wait.is_zero() {
            self.pace.wait(wait);
        }
    }
}

impl Backend for ThrottleBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.inner.list(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let bytes = self.inner.read(name, range)?;
        self.pay(&self.download, bytes.len());
        Ok(bytes)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.pay(&self.upload, bytes.len());
        self.inner.write_new(name, bytes, durability)
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.inner.remove(name)
    }

    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.inner.maintain(work)
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::backend::{ManualPace, MemoryBackend};

    #[test]
    fn bytes_take_the_time_that_the_limit_gives_them() {
        let pace = Arc::new(ManualPace::default());
        pace.wait(Duration::from_secs(100));
        let inner = Arc::new(MemoryBackend::new());
        let backend = ThrottleBackend::new(inner, Some(1000), Some(500), pace.clone());
        for n in 0..10 {
            backend.write_new(&format!("a{n}"), &[0; 1000], Durability::Now).unwrap();
        }
        assert_eq!(pace.now(), Duration::from_secs(100 + 10 - 1), "one second of burst is free");
        let before = pace.now();
        for n in 0..4 {
            backend.read(&format!("a{n}"), Some(0..500)).unwrap();
        }
        assert_eq!(pace.now(), before + Duration::from_secs(4 - 1));
        pace.wait(Duration::from_secs(1000));
        let before = pace.now();
        backend.write_new("b", &[0; 1000], Durability::Now).unwrap();
        assert_eq!(pace.now(), before, "what was not used long ago is not saved up beyond the burst");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let pace = Arc::new(ManualPace::default());
        let backend = ThrottleBackend::new(Arc::new(MemoryBackend::new()), None, None, pace.clone());
        backend.write_new("a", &vec![0; 100_000], Durability::Now).unwrap();
        backend.read("a", None).unwrap();
        assert_eq!(pace.now(), Duration::ZERO);
    }
}
