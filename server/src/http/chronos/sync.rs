//! `POST /sync`: copies at other places are brought up to date.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::blocking::{look, work};
use crate::http::body::Body;
use crate::http::chronos::jobs::queued;
use crate::http::common::words::given;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::jobs::{JobView, SyncTask, Task};
use crate::operations::offsite::name_of;
use crate::operations::sync::{Syncs, meant, sync_configured};

/// Which copies are meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Sync)]
pub(super) struct Asked {
    /// The copy at this place, which is one of those that are configured; each of them if absent.
    to: Option<String>,
    /// Read everything there, and replace what is damaged.
    check: Option<bool>,
    /// Whether the answer waits for the outcome. `false`: it is a job.
    wait: Option<bool>,
}

/// Bring copies at other places up to date
///
/// Only what is missing is sent. One that fails keeps no other from it; what was sent counts for the next time.
#[utoipa::path(post, path = "/sync", tag = "offsite", request_body = Asked, responses(
    (status = 200, description = "The outcome, also where a copy failed", body = Syncs),
    (status = 202, description = "A job that does it", body = JobView),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let (to, check) = (given(asked.to), asked.check.unwrap_or_default());
    // What is not configured is told now, and a place by the name that it has here.
    let named = look(&service, move |service| {
        let all = meant(service.workplace(), to.as_deref())?;
        to.and(all.first()).map(|offsite| name_of(offsite)).transpose()
    });
    let to = named.await?;
    if asked.wait == Some(false) {
        return queued(&service, Task::Sync(SyncTask { to, check })).await;
    }
    let done = work(&service, move |service| {
        sync_configured(service.workplace(), &service.repository()?, to.as_deref(), check)
    });
    let syncs: Syncs = done.await?;
    Ok(Json(syncs).into_response())
}
