//! What follows when a job's work has come back: an end, or another try.

use crate::error::{Error, Result};
use crate::jobs::live::Stop;
use crate::jobs::options::RunnerOptions;
use crate::jobs::perform::{Done, failed};
use crate::jobs::queue::short;
use crate::jobs::retry::{is_transient, pause};
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

/// What follows from the outcome of the attempt of this number, if it was asked to stop for this reason.
pub(super) fn verdict(
    outcome: Result<Done>,
    stop: Option<Stop>,
    attempts: u32,
    options: &RunnerOptions,
    now: i128,
) -> Verdict {
    let error = match outcome {
        // Who was asked to stop may have come to the end before.
        Ok(done) => return Verdict::End(done),
        Err(error) => error,
    };
    let end = |status, why: String| Verdict::End(Done { status, result: None, error: Some(why) });
    match stop {
        Some(Stop::Cancelled) => end(JobStatus::Cancelled, "it was cancelled".to_owned()),
        Some(Stop::TooLong) => {
            let minutes = options.time_max.as_secs().div_ceil(60);
            end(
                JobStatus::Failed,
                format!("it took longer than the {minutes} minutes that limits.job_timeout allows"),
            )
        }
        Some(Stop::Ending) => Verdict::Again {
            ready: short(now),
            attempt: Attempt::CountsNot,
            why: "the service ended; it goes on when the service is back".to_owned(),
        },
        None => again(&error, attempts, options, now).unwrap_or_else(|| Verdict::End(failed(&error))),
    }
}

fn again(error: &Error, attempts: u32, options: &RunnerOptions, now: i128) -> Option<Verdict> {
    if attempts >= options.attempts_max || !is_transient(error) {
        return None;
    }
    let pause = i128::try_from(pause(attempts, options.pause).as_nanos()).ok()?;
    let ready = short(now.saturating_add(pause));
    Some(Verdict::Again { ready, attempt: Attempt::Counts, why: error.to_string() })
}
