//! The clock and the randomness of an operation, and how many threads it may have, given from outside so that tests can fix them.
//!
//! No rule of the protocol rests on a clock: the time of day only stamps, the time since the kernel's start decides when to give up
//! waiting.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// Nanoseconds since 1970-01-01 UTC.
    fn now(&self) -> i128;

    /// Time since the kernel's start, also while the machine slept. Nobody can set it; it begins anew with the kernel.
    fn uptime(&self) -> Duration;
}

/// Gives random bytes. What seals and names objects must come from the system's generator.
pub trait Random: Send + Sync + Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// Clock, randomness and threads together, as they are handed down.
#[derive(Clone, Debug)]
pub struct Env {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
    /// Most threads that work at once on one thing, unless its place has more lanes. With 1, the calls of an operation come one after
    /// the other, in an order that follows from clock, randomness and answers alone.
    pub threads_max: usize,
}

impl Env {
    /// The clock and the random generator of the system, and any number of threads.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), threads_max: usize::MAX }
    }

    /// How many threads to use where `wanted` would be best; at least one.
    pub fn threads(&self, wanted: usize) -> usize {
        wanted.min(self.threads_max).max(1)
    }

    /// One thread for each core of the machine, as far as they are allowed.
    pub fn cores(&self) -> usize {
        self.threads(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// `N` random bytes.
    pub fn random_bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i128 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
        }
    }

    fn uptime(&self) -> Duration {
        let since = clock_gettime(ClockId::Boottime);
        Duration::new(since.tv_sec.try_into().unwrap_or(0), since.tv_nsec.try_into().unwrap_or(0))
    }
}

/// The system's random generator.
#[derive(Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|e| Error::local("the system's random generator", e.into()))
    }
}
