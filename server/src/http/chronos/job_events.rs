//! `GET /jobs/{id}/events`: a job as it goes on, as server-sent events.
//!
//! What always holds: nothing is gathered for a reader who is slow, who sees the newest state when he is ready; the stream ends with
//! the job, or with the service.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::http::blocking::look;
use crate::http::name::JobId;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::jobs::{JobView, Seen, show};

/// How often something is sent where nothing happens, so that nobody in between closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long to wait for news at most: another process may carry out the job.
const PATIENCE: Duration = Duration::from_secs(1);
/// Seconds after which a caller whom the service had no place for may ask again.
const AGAIN_SECONDS: u64 = 5;
/// The event of a job that goes on, and of one that has ended.
const PROGRESS: &str = "progress";
const ENDED: &str = "ended";

/// A job as it goes on
///
/// Server-sent events: `progress` while it waits or runs, `ended` at last, each with the job as its data and the job's revision
/// as its id. Who comes back with that as `Last-Event-ID` is sent what is newer; 204 if that was the end.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "jobs", params(JobId), responses(
    (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
    (status = 204, description = "There will be no more"),
))]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    JobId(id): JobId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let job = found(&service, id.clone()).await?;
    if job.status.is_end() && last == Some(job.revision) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = Arc::clone(service.watching()).try_acquire_owned().map_err(|_| {
        let why = "too many streams of events are open";
        Problem::unavailable("overloaded", why).retry_after(AGAIN_SECONDS)
    })?;
    let seen = service.runner().seen();
    // A revision that is yet to come was one of another job.
    let last = last.filter(|last| *last <= job.revision).unwrap_or(0);
    let watched = Watched { service, id, last, seen, has_ended: false, _place: place };
    let stream = futures_util::stream::unfold(watched, next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// What one reader watches.
struct Watched {
    service: Arc<Service>,
    id: String,
    /// The revision that he has seen.
    last: u64,
    seen: watch::Receiver<Seen>,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// The next event, when there is one.
async fn next(mut watched: Watched) -> Option<(Result<Event, Infallible>, Watched)> {
    if watched.has_ended {
        return None;
    }
    loop {
        watched.seen.mark_unchanged();
        // One that is no longer known has ended long ago; what the state cannot tell the reader asks for again.
        let job = found(&watched.service, watched.id.clone()).await.ok()?;
        if job.revision > watched.last {
            watched.last = job.revision;
            watched.has_ended = job.status.is_end();
            return Some((Ok(event(&job)), watched));
        }
        let has_gone = watched.seen.has_changed().is_err();
        if has_gone || watched.seen.borrow().is_stopping || job.status.is_end() {
            return None;
        }
        // Whether something changed or the patience is over: it is looked again.
        let _news = tokio::time::timeout(PATIENCE, watched.seen.changed()).await;
    }
}

fn event(job: &JobView) -> Event {
    let kind = if job.status.is_end() { ENDED } else { PROGRESS };
    // A job can always be written.
    let text = serde_json::to_string(job).unwrap_or_default();
    Event::default().event(kind).id(job.revision.to_string()).data(chronos_snapshot::harmless_json(text))
}

async fn found(service: &Arc<Service>, id: String) -> Result<JobView, Problem> {
    look(service, move |service| show(service.workplace(), &id)).await
}
