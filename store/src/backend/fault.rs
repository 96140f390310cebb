//! Wrapper that breaks things on purpose: errors at chosen calls, crashes, loss of what was not synced.
//!
//! Used by tests of every layer. Without rules it changes nothing.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendError, BackendResult, Durability, Entry, Method, Upkeep};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done and fails with an error of that kind (`StorageFull`, `TimedOut`, …; `Other` stands for EIO).
    Error(io::ErrorKind),
    /// It is done, and fails all the same: the answer got lost.
    LostAnswer(io::ErrorKind),
    /// It is done twice, and the second answer is told: somebody on the way has repeated it.
    Twice,
    /// The process dies before it: it is not done, and nothing after it either.
    StopBefore,
    /// The process dies after it: it is done, but reports failure, and nothing after it is done.
    StopAfter,
}

/// Which calls a fault strikes.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// Calls of this method, or of any that changes something or reads.
    pub method: Option<Method>,
    /// Calls whose name (for a list, whose prefix) begins so.
    pub prefix: String,
    /// How many such calls pass unharmed first.
    pub skip: u64,
    /// How many are struck then.
    pub times: u64,
    /// What happens to them.
    pub fault: Fault,
}

impl FaultRule {
    /// Strikes once, at the call of number `n` (from 0) of any method.
    pub fn at_call(n: u64, fault: Fault) -> Self {
        Self { method: None, prefix: String::new(), skip: n, times: 1, fault }
    }

    /// Strikes every call of `method` on names that begin with `prefix`.
    pub fn always(method: Method, prefix: &str, fault: Fault) -> Self {
        Self { method: Some(method), prefix: prefix.to_owned(), skip: 0, times: u64::MAX, fault }
    }

    /// Whether it strikes this call; counts it if it concerns it.
    fn strikes(&mut self, method: Method, name: &str) -> bool {
        if self.method.is_some_and(|m| m != method) || !name.starts_with(&self.prefix) || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<FaultRule>,
    stopped: bool,
    calls: u64,
    unsynced: Vec<String>,
}

/// Hands calls on, except where a rule strikes. Clones share their rules and state.
#[derive(Clone, Debug)]
pub struct FaultBackend {
    inner: Arc<dyn Backend>,
    state: Arc<Mutex<State>>,
}

impl FaultBackend {
    /// Wraps `inner`, without rules.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Wraps `inner` with one rule.
    pub fn with_rule(inner: Arc<dyn Backend>, rule: FaultRule) -> Self {
        let backend = Self::new(inner);
        backend.add(rule);
        backend
    }

    /// Adds a rule; of several that strike, the first decides.
    pub fn add(&self, rule: FaultRule) {
        self.lock().rules.push(rule);
    }

    /// Removes all rules and lets a stopped backend work again.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.stopped = false;
    }

    /// How many calls there were, the failed ones included.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Whether a rule has stopped everything.
    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Loses power: objects that this handle wrote and nothing made durable since disappear, except those
    /// that `keep` picks (a disk may have written them in any order). Returns the names that are gone.
    pub fn lose_power(&self, keep: &dyn Fn(&str) -> bool) -> BackendResult<Vec<String>> {
        let unsynced = std::mem::take(&mut self.lock().unsynced);
        let lost: Vec<String> = unsynced.into_iter().filter(|name| !keep(name)).collect();
        lost.iter().try_for_each(|name| self.inner.remove(name))?;
        Ok(lost)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(&self, method: Method, name: &str, call: impl Fn() -> BackendResult<T>) -> BackendResult<T> {
        match self.next_fault(method, name) {
            None => call(),
            Some(Fault::Error(kind)) => Err(failure(name, kind)),
            Some(Fault::LostAnswer(kind)) => call().and_then(|_| Err(failure(name, kind))),
            // What the first said nobody hears.
            Some(Fault::Twice) => {
                let _ = call();
                call()
            }
            Some(Fault::StopBefore) => Err(stopped(name)),
            Some(Fault::StopAfter) => call().and_then(|_| Err(stopped(name))),
        }
    }

    fn next_fault(&self, method: Method, name: &str) -> Option<Fault> {
        let mut state = self.lock();
        state.calls += 1;
        if state.stopped {
            return Some(Fault::StopBefore);
        }
        // Every rule counts the call, also when an earlier one strikes.
        let mut struck = None;
        for rule in &mut state.rules {
            if rule.strikes(method, name) {
                struck = struck.or(Some(rule.fault));
            }
        }
        state.stopped = matches!(struck, Some(Fault::StopBefore | Fault::StopAfter));
        struck
    }
}

fn failure(name: &str, kind: io::ErrorKind) -> BackendError {
    let source = if kind == io::ErrorKind::Other { rustix::io::Errno::IO.into() } else { kind.into() };
    BackendError::io(name, source)
}

fn stopped(name: &str) -> BackendError {
    BackendError::io(name, io::Error::other("stopped by a fault rule"))
}

impl Backend for FaultBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        self.run(Method::List, prefix, || self.inner.list(prefix, after, limit))
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.run(Method::Stat, name, || self.inner.stat(name))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        self.run(Method::Read, name, || self.inner.read(name, range.clone()))
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.run(Method::WriteNew, name, || {
            self.inner.write_new(name, bytes, durability)?;
            if durability != Durability::Now {
                self.lock().unsynced.push(name.to_owned());
            }
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        self.run(Method::Remove, name, || self.inner.remove(name))
    }

    fn sync(&self) -> BackendResult<()> {
        self.run(Method::Sync, "", || {
            let before = self.lock().unsynced.len();
            self.inner.sync()?;
            let mut state = self.lock();
            let safe = before.min(state.unsynced.len());
            state.unsynced.drain(..safe);
            Ok(())
        })
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        self.run(Method::Maintain, "", || self.inner.maintain(work))
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
    use crate::backend::{BackendExt, MemoryBackend};
    use crate::error::ErrorKind;

    fn backend() -> (MemoryBackend, FaultBackend) {
        let memory = MemoryBackend::new();
        (memory.clone(), FaultBackend::new(Arc::new(memory)))
    }

    #[test]
    fn a_rule_strikes_the_calls_it_names_and_no_other() {
        let (_, fault) = backend();
        let full = Fault::Error(io::ErrorKind::StorageFull);
        fault.add(FaultRule {
            method: Some(Method::WriteNew),
            prefix: "packs/".to_owned(),
            skip: 1,
            times: 1,
            fault: full,
        });
        fault.write_new("snap/a", b"", Durability::Now).unwrap();
        fault.write_new("packs/a", b"", Durability::Now).unwrap();
        let error = fault.write_new("packs/b", b"", Durability::Now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        fault.write_new("packs/b", b"", Durability::Now).unwrap();
    }

    #[test]
    fn after_a_stop_nothing_is_done() {
        for (fault_kind, there) in [(Fault::StopBefore, false), (Fault::StopAfter, true)] {
            let (memory, fault) = backend();
            fault.add(FaultRule::at_call(1, fault_kind));
            fault.write_new("a", b"", Durability::Now).unwrap();
            assert!(fault.write_new("b", b"", Durability::Now).is_err());
            assert!(fault.write_new("c", b"", Durability::Now).is_err());
            assert!(fault.read("a", None).is_err() && fault.stopped());
            assert_eq!(memory.exists("b").unwrap(), there);
            assert!(!memory.exists("c").unwrap());
            fault.heal();
            fault.write_new("c", b"", Durability::Now).unwrap();
        }
    }

    #[test]
    fn a_lost_answer_is_settled_by_reading_back() {
        let (memory, fault) = backend();
        fault.add(FaultRule::always(Method::WriteNew, "", Fault::LostAnswer(io::ErrorKind::TimedOut)));
        fault.create("a", b"mine", Durability::Now).unwrap();
        memory.write_new("b", b"theirs", Durability::Now).unwrap();
        let taken = fault.create("b", b"mine", Durability::Now).unwrap_err();
        assert!(matches!(taken, BackendError::AlreadyExists(_)));
        fault.heal();
        fault.add(FaultRule::always(Method::WriteNew, "", Fault::Error(io::ErrorKind::Other)));
        assert!(matches!(fault.create("c", b"mine", Durability::Now), Err(BackendError::Io { .. })));
    }

    #[test]
    fn power_loss_takes_what_was_not_synced() {
        let (memory, fault) = backend();
        fault.write_new("a", b"", Durability::Deferred).unwrap();
        fault.sync().unwrap();
        fault.write_new("b", b"", Durability::Deferred).unwrap();
        fault.write_new("c", b"", Durability::Relaxed).unwrap();
        fault.write_new("d", b"", Durability::Now).unwrap();
        assert_eq!(fault.lose_power(&|name| name == "c").unwrap(), ["b"]);
        let left: Vec<_> = memory.content().into_keys().collect();
        assert_eq!(left, ["a", "c", "d"]);
    }
}
