//! Backups that somebody waits for: they are jobs, and what they answer is what the job leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::Error;
use crate::http::blocking::{place, within, work};
use crate::http::problem::{Problem, repeated, sentence};
use crate::http::service::Service;
use crate::jobs::{BackupTask, Cancelling, JobView, Patience, Task, cancel, enqueue, show};
use crate::operations::backup::{BackupRequest, make};
use crate::state::JobStatus;

/// How long to wait for news at most: another process may carry out the job.
const PATIENCE: Duration = Duration::from_secs(1);

/// Puts a backup into the queue and waits for its end, which comes also when the caller goes away. Where there is no queue, because
/// the state of this host cannot be used, it is made at once.
pub(super) async fn awaited(service: &Arc<Service>, task: BackupTask) -> Result<Response, Problem> {
    let mut seen = service.runner().seen();
    let place = place(service)?;
    let queued = Task::Backup(Box::new(task.clone()));
    let queued = within(service, move |service| {
        Ok::<_, Error>(match enqueue(service.workplace(), &queued, Patience::Awaited) {
            Err(error) if is_of_state(&error) => Err(error),
            job => Ok(job?),
        })
    });
    let job = match queued.await? {
        Ok(job) => job,
        Err(error) => {
            tracing::warn!(%error, "a backup is made without the queue");
            drop(place);
            return directly(service, task).await;
        }
    };
    service.runner().look();
    loop {
        seen.mark_unchanged();
        // Asked before the row is read: who is over writes no end any more.
        let is_over = seen.has_changed().is_err() || seen.borrow().is_over;
        let id = job.id.clone();
        let row = within(service, move |service| match show(service.workplace(), &id) {
            Err(Error::UnknownJob { .. }) => Ok(None),
            row => row.map(Some),
        });
        match row.await {
            Ok(None) => return Err(lost(&job.id)),
            Ok(Some(now)) if now.status.is_end() => return ended(now),
            Ok(Some(now)) if is_over => return Err(left(service, now).await),
            Err(problem) if is_over => return Err(problem),
            // Whether it goes on or cannot be seen now: it is looked again.
            Ok(_) | Err(_) => {}
        }
        // Something changed, or the patience is over.
        let _news = tokio::time::timeout(PATIENCE, seen.changed()).await;
    }
}

fn is_of_state(error: &Error) -> bool {
    matches!(
        error,
        Error::State { .. } | Error::StateDamaged { .. } | Error::StateTooNew { .. } | Error::Local { .. }
    )
}

async fn directly(service: &Arc<Service>, task: BackupTask) -> Result<Response, Problem> {
    let made = work(service, move |service| {
        let unwritten = Some(service.runner().unwritten().clone());
        let request = BackupRequest { unwritten, ..task.request() };
        make(service.workplace(), || service.repository(), task.targets.clone(), request, &sentence)
    });
    made.await.map(|made| Json(made).into_response())
}

/// What is said of a job that is no longer in the queue.
fn lost(id: &str) -> Problem {
    let why = format!(
        "job {id}, which was to make this backup, is no longer in the state of this host, which may have been moved away: the backup \
         may go on, and whether it came to a good end is not known here; GET /backups lists it once it is made, and the log of the \
         service tells what became of it"
    );
    Problem::unavailable("unknown", why)
}

/// What is said of a job that this service leaves behind.
async fn left(service: &Arc<Service>, job: JobView) -> Problem {
    let id = job.id.clone();
    let cancelled = within(service, move |service| {
        let waits = job.status == JobStatus::Queued;
        Ok::<_, Error>(waits && cancel(service.workplace(), &job.id)?.0 == Cancelling::Done)
    });
    let why = match cancelled.await {
        Ok(true) => "the service is stopping; nothing was begun".to_owned(),
        _ => format!("the service is stopping; GET /jobs/{id} tells what becomes of this backup"),
    };
    Problem::unavailable("interrupted", why)
}

fn ended(job: JobView) -> Result<Response, Problem> {
    let why = job.error.unwrap_or_default();
    let refused = |status, state| Err(Problem::new(status, state, &why));
    match (job.status, job.result) {
        (JobStatus::Completed | JobStatus::Partial, Some(result)) => Ok(Json(result).into_response()),
        (JobStatus::Cancelled, _) => refused(StatusCode::CONFLICT, "cancelled"),
        (JobStatus::Failed, Some(document)) => {
            repeated(&document).map_or_else(|| refused(StatusCode::BAD_GATEWAY, "failed"), Ok)
        }
        _ => refused(StatusCode::SERVICE_UNAVAILABLE, "interrupted"),
    }
}
