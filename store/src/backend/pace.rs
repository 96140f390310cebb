//! Waiting and the clock it goes by, given from outside so that tests neither wait nor guess.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A monotonic clock and a way to let time pass.
pub trait Pace: Send + Sync + Debug {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Returns when that much time has passed.
    fn wait(&self, time: Duration);
}

/// The monotonic clock of the system; waiting blocks the thread.
#[derive(Debug)]
pub struct SystemPace(Instant);

impl Default for SystemPace {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Pace for SystemPace {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A clock that only moves when somebody waits.
#[derive(Debug, Default)]
pub struct ManualPace(Mutex<Duration>);

impl Pace for ManualPace {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn wait(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}
