//! `POST /cleanup`: applies retention, then gives back what no snapshot needs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chronos_store::PruneOptions;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::chronos::jobs::queued;
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::jobs::{CleanupTask, JobView, Task};
use crate::operations::Mode;
use crate::operations::cleanup::{CleanupReport, ForgetRequest, cleanup};

/// Whether anything is done.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only say what would be done.
    #[serde(deserialize_with = "fields::switch")]
    dry_run: bool,
    /// Whether the answer waits for the end. `false`: it is a job.
    #[serde(deserialize_with = "fields::choice")]
    wait: Option<bool>,
}

/// The same, in the body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Cleanup)]
pub(super) struct Asked {
    /// Only say what would be done.
    dry_run: bool,
    /// Whether the answer waits for the end. `false`: it is a job.
    wait: Option<bool>,
}

/// Apply retention, then give back what no snapshot needs
#[utoipa::path(post, path = "/cleanup", tag = "cleanup", params(Parameters), request_body = Asked, responses(
    (status = 200, description = "What was done", body = CleanupReport),
    (status = 202, description = "A job that does it", body = JobView),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
    Body(body): Body<Asked>,
) -> Result<Response, Problem> {
    let is_dry = asked.dry_run || body.dry_run;
    if body.wait.or(asked.wait) == Some(false) {
        return queued(&service, Task::Cleanup(CleanupTask { dry_run: is_dry, ..CleanupTask::default() }))
            .await;
    }
    let request = ForgetRequest { mode: Mode::dry(is_dry), ..ForgetRequest::default() };
    let cleaned = work(&service, move |service| {
        cleanup(service.workplace(), &service.catalog()?, &request, &PruneOptions::default())
    });
    Ok(Json(cleaned.await?.report(is_dry)).into_response())
}
