//! `POST /cleanup`: applies retention, then gives back what no snapshot needs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chronos_store::PruneOptions;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::cleanup::{Cleaned, Decision, ForgetRequest, cleanup};

/// Whether anything is done.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only say what would be done.
    #[serde(deserialize_with = "fields::switch")]
    dry_run: bool,
}

/// The same, in the body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// Only say what would be done.
    dry_run: bool,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Report {
    /// `completed`, or `planned` if nothing was done.
    status: &'static str,
    /// Whether nothing was done.
    dry_run: bool,
    /// The snapshots that went.
    deleted: Vec<String>,
    /// How many.
    count: usize,
    /// Bytes that were given back.
    freed_bytes: u64,
    /// Bytes that wait for a running session to end.
    pending_bytes: u64,
    /// What stayed, and why.
    kept: Vec<Decision>,
    /// What went, and why.
    removed: Vec<Decision>,
}

/// Apply retention, then give back what no snapshot needs
#[utoipa::path(post, path = "/cleanup", tag = "cleanup", params(Parameters), request_body = Asked, responses(
    (status = 200, description = "What was done", body = Report),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
    Body(body): Body<Asked>,
) -> Result<Json<Report>, Problem> {
    let is_dry = asked.dry_run || body.dry_run;
    let request = ForgetRequest { mode: Mode::dry(is_dry), ..ForgetRequest::default() };
    let cleaned = work(&service, move |service| {
        cleanup(service.workplace(), &service.catalog()?, &request, &PruneOptions::default())
    });
    let Cleaned { forgotten, pruned } = cleaned.await?;
    let (kept, removed) = forgotten.split();
    let deleted: Vec<String> = removed.iter().map(|d| d.backup_id.clone()).collect();
    Ok(Json(Report {
        status: if is_dry { "planned" } else { "completed" },
        dry_run: is_dry,
        count: deleted.len(),
        deleted,
        freed_bytes: pruned.bytes_freed,
        pending_bytes: pruned.bytes_pending,
        kept,
        removed,
    }))
}
