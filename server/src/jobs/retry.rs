//! What is worth another try, and when: what was busy or could not be reached may be well in a while. Bad input, damage and a full
//! disk stay what they are.

use std::time::Duration;

use chronos_snapshot::ErrorKind;

use crate::error::{Error, Kind, Upstream};

/// How often a job is begun at most, where nobody chose.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt, where nobody chose: what restarts is mostly back by then.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// By how much each pause is longer than the one before.
const FACTOR: u32 = 4;
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// Answers of an outside system that mean: not now.
const NOT_NOW: [u16; 3] = [408, 425, 429];

/// Whether what failed may go well in a while.
pub fn is_transient(error: &Error) -> bool {
    match error {
        Error::Failed { upstream: Some(upstream), .. } => is_not_now(*upstream),
        Error::Failed { cause: error, .. } | Error::NothingMade { first: error, .. } => is_transient(error),
        error => error.kind() == Kind::Library(ErrorKind::Busy),
    }
}

/// One that did not answer at all may be starting.
fn is_not_now(upstream: Upstream) -> bool {
    upstream.timed_out || upstream.status.is_none_or(|status| status >= 500 || NOT_NOW.contains(&status))
}

/// How long to wait after so many attempts that failed.
pub fn pause(attempts: u32, first: Duration) -> Duration {
    let times = FACTOR.saturating_pow(attempts.saturating_sub(1));
    first.saturating_mul(times).min(PAUSE_MAX)
}
