//! Within which limits jobs are carried out.

use std::time::Duration;

use crate::config::Limits;
use crate::error::{Error, Result};
use crate::jobs::retry::{ATTEMPTS_MAX, PAUSE};
use crate::values::parse_duration;

/// Jobs at once: one may wait for a slow server while another uses the disk.
const WORKERS: usize = 2;
/// How long a job may take: longer, and it is missed by the next daily run.
const TIME_MAX: Duration = Duration::from_hours(24);
/// Within which time scheduled verifications read everything once.
const VERIFY_WITHIN: Duration = Duration::from_hours(28 * 24);

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerOptions {
    /// Jobs at once.
    pub workers: usize,
    /// How long a job may take.
    pub time_max: Duration,
    /// How often one is begun at most.
    pub attempts_max: u32,
    /// Pause before the second attempt; each further one is longer.
    pub pause: Duration,
    /// Within which time scheduled verifications read everything once.
    pub verify_within: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            workers: WORKERS,
            time_max: TIME_MAX,
            attempts_max: ATTEMPTS_MAX,
            pause: PAUSE,
            verify_within: VERIFY_WITHIN,
        }
    }
}

impl RunnerOptions {
    /// What the configuration says, which was checked when it was read.
    ///
    /// # Errors
    /// [`Error::Value`] for a text that is no duration.
    pub fn of(limits: &Limits) -> Result<Self> {
        let own = Self::default();
        let time =
            |key: &str, text: &Option<String>, usual: Duration| match text.as_deref().map(parse_duration) {
                None => Ok(usual),
                Some(Ok(seconds)) => Ok(Duration::from_secs(seconds)),
                Some(Err(why)) => Err(Error::Value { place: format!("limits.{key}"), why }),
            };
        Ok(Self {
            workers: limits.jobs.map_or(own.workers, |n| n as usize).max(1),
            time_max: time("job_timeout", &limits.job_timeout, own.time_max)?,
            attempts_max: limits.job_attempts.unwrap_or(own.attempts_max).max(1),
            pause: time("job_pause", &limits.job_pause, own.pause)?,
            verify_within: time("verify_within", &limits.verify_within, own.verify_within)?,
        })
    }
}
