//! When what failed is tried again, and how often.

use std::time::Duration;

/// How often a job is begun at most, where nobody chose.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt, where nobody chose: what restarts is mostly back by then.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// By how much each pause is longer than the one before.
const FACTOR: u32 = 4;
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// How long to wait after so many attempts that failed.
pub fn pause(attempts: u32, first: Duration) -> Duration {
    let times = FACTOR.saturating_pow(attempts.saturating_sub(1));
    first.saturating_mul(times).min(PAUSE_MAX)
}
