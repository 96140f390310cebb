//! `/schedules`: what is done by itself, listed, made, changed, removed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::blocking::look;
use crate::http::body::Body;
use crate::http::name::ScheduleId;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::schedules::{
    NewSchedule, ScheduleChange, ScheduleState, add, change, list as found, remove,
};
use crate::schedule::Job;

/// All schedules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedules {
    /// The schedules.
    schedules: Vec<ScheduleState>,
    /// How many.
    count: usize,
}

/// All schedules
///
/// Those of the configuration file, or the usual ones where it has none, and those that were added.
#[utoipa::path(get, path = "/schedules", tag = "schedules", responses(
    (status = 200, description = "The schedules", body = Schedules),
))]
pub(super) async fn list(State(service): State<Arc<Service>>) -> Result<Json<Schedules>, Problem> {
    let schedules = look(&service, |service| found(service.workplace())).await?;
    Ok(Json(Schedules { count: schedules.len(), schedules }))
}

/// A schedule.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ScheduleChange)]
pub(super) struct Asked {
    /// Its name; made of what it does if absent.
    id: Option<String>,
    /// What is done: `backup`, `verify`, `cleanup`, `sync` or `drill`.
    job: Option<Job>,
    /// Whose; all targets, or the repository as a whole, if absent.
    target: Option<String>,
    /// Why the snapshots are made; `scheduled` if absent.
    tier: Option<String>,
    /// What they take; `full` if absent.
    backup_type: Option<String>,
    /// Only look whether something changed, and make a snapshot only then.
    on_change: Option<bool>,
    /// When: minute, hour, day of the month, month, day of the week; or a word such as `@daily`.
    cron: Option<String>,
    /// On a clock that hangs there; UTC if absent.
    timezone: Option<String>,
    /// Up to how much later it begins, such as `10min`.
    jitter: Option<String>,
    /// Whether it is in force.
    enabled: Option<bool>,
}

/// Make a schedule
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = Asked, responses(
    (status = 200, description = "It is in force", body = ScheduleState),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let cron = asked.cron.ok_or_else(|| Problem::invalid("cron", "cron is missing: it says when"))?;
    let new = NewSchedule {
        id: asked.id,
        job: asked.job.unwrap_or_default(),
        target: asked.target,
        tier: asked.tier,
        backup_type: asked.backup_type,
        on_change: asked.on_change.unwrap_or_default(),
        cron,
        timezone: asked.timezone,
        jitter: asked.jitter,
        enabled: asked.enabled.unwrap_or(true),
    };
    let made = look(&service, move |service| add(service.workplace(), &new)).await?;
    service.runner().look();
    let place = format!("/schedules/{}", made.id);
    Ok((StatusCode::OK, [(header::LOCATION, place)], Json(made)).into_response())
}

/// Change a schedule
///
/// One that was added in everything but its name; one of the usual ones is switched off and on. Those of the configuration file
/// are changed there alone.
#[utoipa::path(patch, path = "/schedules/{id}", tag = "schedules", params(ScheduleId), request_body = Asked, responses(
    (status = 200, description = "It is in force so", body = ScheduleState),
))]
pub(super) async fn patch(
    State(service): State<Arc<Service>>,
    ScheduleId(id): ScheduleId,
    Body(asked): Body<Asked>,
) -> Result<Json<ScheduleState>, Problem> {
    if asked.id.is_some_and(|other| other != id) {
        return Err(Problem::invalid("id", "id: a name stays; make another schedule, and remove this one"));
    }
    let changes = ScheduleChange {
        job: asked.job,
        target: asked.target,
        tier: asked.tier,
        backup_type: asked.backup_type,
        on_change: asked.on_change,
        cron: asked.cron,
        timezone: asked.timezone,
        jitter: asked.jitter,
        enabled: asked.enabled,
    };
    let changed = look(&service, move |service| change(service.workplace(), &id, &changes)).await?;
    service.runner().look();
    Ok(Json(changed))
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Removed {
    /// Its name.
    deleted: String,
    /// `deleted`.
    status: &'static str,
}

/// Remove a schedule that was added
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", params(ScheduleId), responses(
    (status = 200, description = "It is removed", body = Removed),
))]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    ScheduleId(id): ScheduleId,
) -> Result<Json<Removed>, Problem> {
    let name = id.clone();
    look(&service, move |service| remove(service.workplace(), &name)).await?;
    Ok(Json(Removed { deleted: id, status: "deleted" }))
}
