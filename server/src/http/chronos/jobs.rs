//! `/jobs`: what is done, was done and will be; listed, looked at, cancelled. And how other requests become such work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::blocking::look;
use crate::http::common::words::{given, one_of, rows};
use crate::http::document::Names;
use crate::http::fields;
use crate::http::name::JobId;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::jobs::{Cancelling, JobView, Patience, Task, cancel as stop, enqueue, list as found, show};
use crate::state::{JobFilter, JobStatus};

/// What a job can be.
pub(in crate::http) const KINDS: [&str; 6] = ["backup", "verify", "cleanup", "restore", "drill", "sync"];

/// Which jobs are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// `queued`, `running`, `completed`, `partial`, `failed`, `cancelled` or `interrupted`.
    status: Option<String>,
    /// `backup`, `verify`, `cleanup`, `restore` or `drill`.
    kind: Option<String>,
    /// Of this target alone: one that is configured, or of which there are rows.
    target: Option<String>,
    /// That this schedule asked for.
    schedule: Option<String>,
    /// Rows of a page, 1 to 1000; 50 if absent.
    #[serde(deserialize_with = "fields::number")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Jobs)]
pub(super) struct Listing {
    /// The rows.
    jobs: Vec<JobView>,
    /// Rows of this page.
    count: usize,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// Jobs, newest first
///
/// Those that wait, those that run, and those that have ended within the last 90 days.
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(Parameters), responses(
    (status = 200, description = "A page of them", body = Listing),
    Names,
))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    look(&service, move |service| page(service, asked)).await.map(Json)
}

fn page(service: &Service, asked: Parameters) -> Result<Listing, Problem> {
    let limit = rows(asked.limit)?;
    let (status, kind, target) = (given(asked.status), given(asked.kind), given(asked.target));
    let status =
        status.map(|word| one_of("status", &word, &JobStatus::ALL.map(JobStatus::word))).transpose()?;
    let kind = kind.map(|word| one_of("kind", &word, &KINDS)).transpose()?;
    let before = given(asked.cursor).map(|cursor| {
        let why = "cursor: this is not the next_cursor of an answer; leave it out for the first page";
        cursor.parse::<i64>().map_err(|_| Problem::invalid("cursor", why))
    });
    let schedule = given(asked.schedule);
    let filter = JobFilter {
        status: status.as_deref().and_then(JobStatus::of_word),
        kind: kind.as_deref(),
        target: target.as_deref(),
        schedule: schedule.as_deref(),
        before: before.transpose()?,
    };
    // One more tells whether there is another page.
    let mut jobs = found(service.workplace(), &filter, limit + 1)?;
    let has_more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next_cursor = jobs.last().filter(|_| has_more).map(|job| job.number.to_string());
    Ok(Listing { count: jobs.len(), jobs, next_cursor })
}

/// One job
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(JobId), responses(
    (status = 200, description = "How far it is, or what it made", body = JobView),
))]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    JobId(id): JobId,
) -> Result<Json<JobView>, Problem> {
    look(&service, move |service| show(service.workplace(), &id)).await.map(Json)
}

/// Cancel a job
///
/// One that waits is over at once; one that runs stops at its next safe place, and what it stored is used by the next. One
/// that has ended is refused.
#[utoipa::path(delete, path = "/jobs/{id}", tag = "jobs", params(JobId), responses(
    (status = 200, description = "It is cancelled, or asked to stop", body = JobView),
))]
pub(super) async fn cancel(
    State(service): State<Arc<Service>>,
    JobId(id): JobId,
) -> Result<Json<JobView>, Problem> {
    let (what, job) = look(&service, move |service| stop(service.workplace(), &id)).await?;
    if what == Cancelling::TooLate {
        let why = format!("job {} has ended: it is {}", job.id, job.status.word());
        return Err(Problem::new(StatusCode::CONFLICT, "refused", why));
    }
    service.runner().look();
    Ok(Json(job))
}

/// Puts a task into the queue, and answers with the job.
pub(super) async fn queued(service: &Arc<Service>, task: Task) -> Result<Response, Problem> {
    let job = look(service, move |service| enqueue(service.workplace(), &task, Patience::Queued)).await?;
    service.runner().look();
    let place = format!("/jobs/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(job)).into_response())
}
