//! What follows when a job's work has come back: an end, or another try.

use crate::error::{Error, Result};
use crate::jobs::live::Stop;
use crate::jobs::options::RunnerOptions;
use crate::jobs::perform::{Done, failed};
use crate::jobs::queue::short;
use crate::jobs::retry::pause;
use crate::jobs::words::Words;
use crate::state::{Attempt, JobStatus};

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// That was it.
    End(Done),
    /// It is begun again.
    Again {
        /// Not before then.
        ready: i64,
        /// Whether this attempt counts.
        attempt: Attempt,
        /// Why.
        why: String,
    },
}

/// An attempt at a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempted {
    /// Which one it was.
    pub(super) attempts: u32,
    /// Somebody waits for it.
    pub(super) awaited: bool,
    /// Why it was asked to stop.
    pub(super) stop: Option<Stop>,
}

impl Attempted {
    /// Whether another follows it if it fails with what may go well in a while.
    pub(super) fn is_tried_again(self, options: &RunnerOptions) -> bool {
        !self.awaited && self.attempts < options.attempts_max
    }
}

/// What follows from the outcome of an attempt.
pub(super) fn verdict(
    outcome: Result<Done>,
    attempted: Attempted,
    options: &RunnerOptions,
    words: &Words,
    now: i128,
) -> Verdict {
    let error = match outcome {
        // Who was asked to stop may have come to the end before.
        Ok(done) => return Verdict::End(done),
        Err(error) => error,
    };
    let end = |status, why: String| Verdict::End(Done { status, result: None, error: Some(why) });
    match attempted.stop {
        Some(Stop::Cancelled) => end(JobStatus::Cancelled, "it was cancelled".to_owned()),
        Some(Stop::TooLong) => {
            let minutes = options.time_max.as_secs().div_ceil(60);
            Verdict::End(failed(&Error::TooLong { minutes }, words))
        }
        Some(Stop::Ending) if attempted.awaited => end(
            JobStatus::Interrupted,
            "the service ended; what was stored is used by the next run".to_owned(),
        ),
        Some(Stop::Ending) => Verdict::Again {
            ready: short(now),
            attempt: Attempt::CountsNot,
            why: "the service ended; it goes on when the service is back".to_owned(),
        },
        None => again(&error, attempted, options, now).unwrap_or_else(|| Verdict::End(failed(&error, words))),
    }
}

fn again(error: &Error, attempted: Attempted, options: &RunnerOptions, now: i128) -> Option<Verdict> {
    if !attempted.is_tried_again(options) || !error.is_transient() {
        return None;
    }
    let pause = i128::try_from(pause(attempted.attempts, options.pause).as_nanos()).ok()?;
    let ready = short(now.saturating_add(pause));
    Some(Verdict::Again { ready, attempt: Attempt::Counts, why: error.to_string() })
}
