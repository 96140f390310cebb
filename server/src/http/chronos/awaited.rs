//! Requests that wait for a job: what they answer is what the job leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::blocking::{place, within};
use crate::http::problem::{Problem, repeated};
use crate::http::service::Service;
use crate::jobs::{JobView, Patience, Task, enqueue, show};
use crate::state::JobStatus;

/// How long to wait for news at most: another process may carry out the job.
const PATIENCE: Duration = Duration::from_secs(1);

/// Puts a task into the queue and waits for its end, which comes also when the caller goes away.
pub(super) async fn awaited(service: &Arc<Service>, task: Task) -> Result<Response, Problem> {
    let mut seen = service.runner().seen();
    let _place = place(service)?;
    let job = within(service, move |service| enqueue(service.workplace(), &task, Patience::Awaited)).await?;
    service.runner().look();
    loop {
        seen.mark_unchanged();
        let id = job.id.clone();
        let now = within(service, move |service| show(service.workplace(), &id)).await?;
        if now.status.is_end() {
            return ended(now);
        }
        if seen.has_changed().is_err() || seen.borrow().is_over {
            let why = format!("the service is stopping; job {} is begun when it is back", now.id);
            return Err(Problem::unavailable("interrupted", why));
        }
        // Whether something changed or the patience is over: it is looked again.
        let _news = tokio::time::timeout(PATIENCE, seen.changed()).await;
    }
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
        (JobStatus::Failed, None) => refused(StatusCode::GATEWAY_TIMEOUT, "timeout"),
        _ => refused(StatusCode::SERVICE_UNAVAILABLE, "interrupted"),
    }
}
