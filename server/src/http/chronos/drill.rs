//! `POST /drill`, `GET /drills`: a snapshot is restored for trial; what came of those that were.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Error, Result as Outcome};
use crate::http::blocking::{look, work};
use crate::http::body::Body;
use crate::http::chronos::jobs::queued;
use crate::http::common::words::{given, one_of, rows};
use crate::http::document::Names;
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::jobs::{DrillTask, JobView, Task};
use crate::operations::drill::{Drilled, Drills, check_into, drill, drill_recovery, history, meant};
use crate::state::DrillStatus;

/// What is restored for trial; without either the latest snapshot of every target.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Drill)]
pub(super) struct Asked {
    /// A snapshot, by any of its names.
    backup_id: Option<String>,
    /// The latest snapshot of this target; `all`: the whole recovery, in its order.
    target: Option<String>,
    /// The target that it goes into, which is marked `drill_destination`; absent: `drill_into` of the target, else a scratch place.
    into: Option<String>,
    /// Whether the answer waits for the outcome. `false`: it is a job.
    wait: Option<bool>,
}

/// Restore a snapshot into a scratch place, and prove it there
///
/// Nothing live is touched, but for a target that is marked for drills and named here or in the configuration. A snapshot that passes counts as proven (`proven_at`); one that fails does so no longer.
#[utoipa::path(post, path = "/drill", tag = "verify", request_body = Asked, responses(
    (status = 200, description = "The outcome, also where something does not hold", body = Drills),
    (status = 202, description = "A job that finds it", body = JobView),
    Names,
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let (backup_id, target) = (given(asked.backup_id), given(asked.target));
    if backup_id.is_some() && target.is_some() {
        let why = "target: backup_id already says which snapshot is meant".to_owned();
        return Err(Problem::invalid("target", why));
    }
    let task = DrillTask { backup_id, target, into: given(asked.into) };
    if task.into.is_some() && (task.is_recovery() || task.names().is_empty()) {
        let why = "into: say which target or which snapshot goes there; the whole recovery goes into scratch places".to_owned();
        return Err(Problem::invalid("into", why));
    }
    if asked.wait == Some(false) {
        let named = look(&service, move |service| named(service, task));
        return queued(&service, Task::Drill(named.await?)).await;
    }
    let drills = work(&service, move |service| {
        let catalog = service.catalog()?;
        let mut all = Drills::default();
        if task.is_recovery() {
            all.add(drill_recovery(service.workplace(), &catalog)?);
            return Ok(all);
        }
        for snapshot in meant(service.workplace(), &catalog, &task.names())?.snapshots {
            all.add(drill(service.workplace(), &catalog, &snapshot, task.into.as_deref())?);
        }
        Ok::<_, Error>(all)
    });
    Ok(Json(drills.await?).into_response())
}

/// Which snapshot is meant is found out now; of a target the latest then.
fn named(service: &Service, task: DrillTask) -> Outcome<DrillTask> {
    if task.is_recovery() {
        return Ok(task);
    }
    let found = meant(service.workplace(), &service.catalog()?, &task.names())?.snapshots;
    if let (Some(into), Some(snapshot)) = (&task.into, found.first()) {
        check_into(service.workplace(), snapshot, Some(into))?;
    }
    let own = |_: String| found.first().map(|s| s.manifest.backup_id.clone());
    let target = task.target.and_then(|_| found.first().map(|s| s.manifest.target.clone()));
    Ok(DrillTask { backup_id: task.backup_id.and_then(own), target, into: task.into })
}

/// Which drills are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Rows, 1 to 1000; 50 if absent.
    #[serde(deserialize_with = "fields::number")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Of this target alone; `all`: of the whole recovery.
    target: Option<String>,
    /// `passed`, `partial`, `interrupted` or `failed`.
    status: Option<String>,
}

/// Drills of this host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillHistory)]
pub(super) struct Listing {
    /// The drills, newest first.
    drills: Vec<Drilled>,
    /// How many.
    count: usize,
}

/// What was restored for trial on this host, newest first
#[utoipa::path(get, path = "/drills", tag = "verify", params(Parameters), responses(
    (status = 200, description = "The newest of them", body = Listing),
))]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    look(&service, move |service| page(service, asked)).await.map(Json)
}

fn page(service: &Service, asked: Parameters) -> Result<Listing, Problem> {
    let limit = rows(asked.limit)?;
    let known = DrillStatus::ALL.map(DrillStatus::word);
    let status = given(asked.status).map(|word| one_of("status", &word, &known)).transpose()?;
    let status = status.and_then(|word| DrillStatus::ALL.into_iter().find(|s| s.word() == word));
    let target = given(asked.target);
    let drills = history(service.workplace(), &service.repository()?, (target.as_deref(), status), limit)?;
    Ok(Listing { count: drills.len(), drills })
}
