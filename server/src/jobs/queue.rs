//! What everybody may do with the queue, with a service running or without: put something into it, look, cancel.

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::jobs::id;
use crate::jobs::task::{BackupTask, Task};
use crate::jobs::view::JobView;
use crate::operations::backup::{BackupRequest, SeveralRequest, plan};
use crate::operations::schedules::key;
use crate::operations::targets::known_target;
use crate::state::{Cancelled, JobFilter, JobRow, NewJob, State};
use crate::workplace::Workplace;

/// What became of the wish to cancel a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelling {
    /// It is over.
    Done,
    /// It stops at its next safe place.
    Asked,
    /// It had ended already.
    TooLate,
}

/// Whether somebody waits for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nobody does: it waits for its turn, and for better times.
    Queued,
    /// Somebody does: it is begun once, and before its turn if all workers are busy.
    Awaited,
}

/// Puts a task into the queue.
///
/// # Errors
/// Those of a backup that could not be begun: a target that is not configured, a type that it does not have.
pub fn enqueue(workplace: &Workplace, task: &Task, patience: Patience) -> Result<JobView> {
    if let Task::Backup(task) = task {
        check(workplace, task)?;
    }
    let row = add(workplace, &state(workplace)?, task, patience, None)?;
    Ok(JobView::new(&row, workplace.env.clock.now()))
}

/// Jobs that fit, newest first.
///
/// # Errors
/// [`Error::UnknownTarget`] for one that nothing here knows.
pub fn list(workplace: &Workplace, filter: &JobFilter<'_>, limit: u32) -> Result<Vec<JobView>> {
    let now = workplace.env.clock.now();
    let state = state(workplace)?;
    let target = filter.target.map(|name| known_target(&workplace.config, &state, name)).transpose()?;
    let filter = JobFilter { target: target.as_deref(), ..filter.clone() };
    let rows = state.jobs(&key(workplace), &filter, limit)?;
    Ok(rows.iter().map(|row| JobView::new(row, now)).collect())
}

/// The job of an id.
///
/// # Errors
/// [`Error::UnknownJob`].
pub fn show(workplace: &Workplace, id: &str) -> Result<JobView> {
    let row = state(workplace)?.job(&key(workplace), id)?.ok_or_else(|| unknown(id))?;
    Ok(JobView::new(&row, workplace.env.clock.now()))
}

/// Ends a job that waits; asks one that runs to stop.
///
/// # Errors
/// [`Error::UnknownJob`].
pub fn cancel(workplace: &Workplace, id: &str) -> Result<(Cancelling, JobView)> {
    let now = workplace.env.clock.now();
    let cancelled =
        state(workplace)?.cancel_job(&key(workplace), id, short(now))?.ok_or_else(|| unknown(id))?;
    let what = match &cancelled {
        Cancelled::Now(_) => Cancelling::Done,
        Cancelled::Asked(_) => Cancelling::Asked,
        Cancelled::TooLate(_) => Cancelling::TooLate,
    };
    Ok((what, JobView::new(cancelled.job(), now)))
}

/// Puts a task into the queue that was looked at before.
pub(super) fn add(
    workplace: &Workplace,
    state: &State,
    task: &Task,
    patience: Patience,
    schedule: Option<(&str, Timestamp)>,
) -> Result<JobRow> {
    // Texts, numbers and lists can always be written.
    let text = serde_json::to_string(task).unwrap_or_default();
    state.add_job(&NewJob {
        id: &id::new(&workplace.env)?,
        repository: &key(workplace),
        kind: task.kind(),
        target: task.target(),
        lane: &task.lane(),
        priority: task.priority(schedule.is_some()),
        task: &text,
        schedule: schedule.map(|(id, due)| (id, short(due.as_nanosecond()))),
        awaited: patience == Patience::Awaited,
        created: short(workplace.env.clock.now()),
    })
}

/// Refuses what could not be done.
fn check(workplace: &Workplace, task: &BackupTask) -> Result<()> {
    match &*task.targets {
        [target] => {
            let request = BackupRequest { target: Some(target.clone()), ..task.request() };
            plan(workplace, request, Vec::new()).map(drop)
        }
        targets => SeveralRequest { targets: targets.to_vec(), each: task.request() }.check(workplace),
    }
}

fn state(workplace: &Workplace) -> Result<State> {
    State::open(&workplace.places.state)
}

fn unknown(id: &str) -> Error {
    Error::UnknownJob { id: chronos_snapshot::printable(id.as_bytes()) }
}

/// Nanoseconds as tables keep them.
pub(super) fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
