//! Wrapper that repeats what failed for a passing reason.
//!
//! A repeated create may meet the object of its own first attempt; it is read back and compared.
//! `sync` is never repeated: its failure may mean that something is lost, and a second call would
//! not know of it any more.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::extension::settle;
use super::{Backend, BackendError, BackendResult, Durability, Entry, Pace, Upkeep};

/// How often and how patiently calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failure; doubles each time.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// No attempt begins later than that after the first: each may take minutes by itself.
    pub begun_within: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts, within about 6 s if they fail at once: rides out a reconnect, and does not hide an outage.
    fn default() -> Self {
        Self {
            attempts: 6,
            pause: Duration::from_millis(200),
            pause_max: Duration::from_secs(5),
            begun_within: Duration::from_mins(5),
        }
    }
}

/// Repeats calls that failed for a passing reason.
#[derive(Clone, Debug)]
pub struct RetryBackend {
    inner: Arc<dyn Backend>,
    policy: RetryPolicy,
    pace: Arc<dyn Pace>,
}

impl RetryBackend {
    /// Repeats calls of `inner`, waiting by `pace` in between.
    pub fn new(inner: Arc<dyn Backend>, policy: RetryPolicy, pace: Arc<dyn Pace>) -> Self {
        Self { inner, policy, pace }
    }

    fn repeat<T>(&self, mut call: impl FnMut(u32) -> BackendResult<T>) -> BackendResult<T> {
        let mut pause = self.policy.pause;
        let mut attempt = 1;
        let begun = self.pace.now();
        let is_in_time = || self.pace.now().saturating_sub(begun) < self.policy.begun_within;
        loop {
            match call(attempt) {
                Err(e) if attempt < self.policy.attempts && is_in_time() && is_passing(&e) => {
                    self.pace.wait(pause.min(self.policy.pause_max));
                    pause = pause.saturating_mul(2);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether the same call may succeed later without anybody doing anything.
fn is_passing(error: &BackendError) -> bool {
    use io::ErrorKind as K;
    let BackendError::Io { source, .. } = error else { return false };
    matches!(
        source.kind(),
        K::Interrupted
            | K::TimedOut
            | K::WouldBlock
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::ConnectionRefused
            | K::NotConnected
            | K::BrokenPipe
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
            | K::StaleNetworkFileHandle
            | K::ResourceBusy
    )
}

impl Backend for RetryBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.repeat(|_| self.inner.list(prefix, after, limit))
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.repeat(|_| self.inner.stat(name))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.repeat(|_| self.inner.read(name, range.clone()))
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.repeat(|attempt| match self.inner.write_new(name, bytes, durability) {
            Err(e @ BackendError::AlreadyExists(_)) if attempt > 1 => {
                settle(&*self.inner, name, bytes, durability, e)
            }
            outcome => outcome,
        })
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.repeat(|_| self.inner.remove(name))
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
    use crate::backend::{Fault, FaultBackend, FaultRule, ManualPace, MemoryBackend, Method};

    fn setup() -> (MemoryBackend, FaultBackend, Arc<ManualPace>, RetryBackend) {
        let memory = MemoryBackend::new();
        let fault = FaultBackend::new(Arc::new(memory.clone()));
        let pace = Arc::new(ManualPace::default());
        let retry = RetryBackend::new(Arc::new(fault.clone()), RetryPolicy::default(), pace.clone());
        (memory, fault, pace, retry)
    }

    fn rule(method: Method, times: u64, fault: Fault) -> FaultRule {
        FaultRule { method: Some(method), prefix: String::new(), skip: 0, times, fault }
    }

    #[test]
    fn passing_failures_are_repeated_with_growing_pauses_up_to_a_bound() {
        let (memory, fault, pace, retry) = setup();
        memory.write_new("a", b"1", Durability::Now).unwrap();
        fault.add(rule(Method::Read, 3, Fault::Error(io::ErrorKind::TimedOut)));
        assert_eq!(retry.read("a", None).unwrap(), b"1");
        assert_eq!(pace.now(), Duration::from_millis(200 + 400 + 800));
        fault.add(rule(Method::Stat, u64::MAX, Fault::Error(io::ErrorKind::ConnectionReset)));
        let before = fault.calls();
        assert!(retry.stat("a").is_err());
        assert_eq!(fault.calls() - before, 6);
    }

    #[test]
    fn what_has_taken_minutes_is_not_begun_again() {
        let (_, fault, pace, _) = setup();
        let policy =
            RetryPolicy { pause: Duration::from_mins(2), pause_max: Duration::MAX, ..RetryPolicy::default() };
        let retry = RetryBackend::new(Arc::new(fault.clone()), policy, pace.clone());
        fault.add(rule(Method::Read, u64::MAX, Fault::Error(io::ErrorKind::TimedOut)));
        assert!(retry.read("a", None).is_err());
        assert_eq!((fault.calls(), pace.now()), (3, Duration::from_mins(2 + 4)));
    }

    #[test]
    fn lasting_failures_are_not_repeated() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
            let (_, fault, pace, retry) = setup();
            fault.add(rule(Method::WriteNew, 1, Fault::Error(kind)));
            assert!(retry.write_new("a", b"", Durability::Now).is_err());
            assert_eq!(pace.now(), Duration::ZERO);
        }
        let (_, fault, _, retry) = setup();
        assert!(matches!(retry.read("none", None), Err(BackendError::NotFound(_))));
        fault.add(rule(Method::Sync, 1, Fault::Error(io::ErrorKind::TimedOut)));
        assert!(retry.sync().is_err());
    }

    #[test]
    fn a_repeated_create_knows_its_own_object_from_anothers() {
        let (memory, fault, _, retry) = setup();
        fault.add(rule(Method::WriteNew, 1, Fault::LostAnswer(io::ErrorKind::TimedOut)));
        retry.write_new("a", b"mine", Durability::Now).unwrap();
        assert!(matches!(
            retry.write_new("a", b"mine", Durability::Now),
            Err(BackendError::AlreadyExists(_))
        ));
        memory.write_new("b", b"theirs", Durability::Now).unwrap();
        fault.heal();
        fault.add(rule(Method::WriteNew, 1, Fault::Error(io::ErrorKind::TimedOut)));
        assert!(matches!(
            retry.write_new("b", b"mine", Durability::Now),
            Err(BackendError::AlreadyExists(_))
        ));
    }
}
