//! `GET /verify/{id}`, `POST /verify`: reads back all that a snapshot needs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chronos_snapshot::Depth;
use chronos_store::Finding;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Error;
use crate::http::blocking::{look, work};
use crate::http::body::Body;
use crate::http::chronos::jobs::queued;
use crate::http::document::Names;
use crate::http::fields;
use crate::http::name::Name;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::jobs::{JobView, Task, VerifyTask};
use crate::operations::verify::{Verified, verify};

/// How deep it goes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only look whether everything is there.
    #[serde(deserialize_with = "fields::switch")]
    quick: bool,
    /// Whether the answer waits for the outcome. `false`: it is a job.
    #[serde(deserialize_with = "fields::choice")]
    wait: Option<bool>,
}

/// The outcome in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// `verified` or `failed`.
    status: &'static str,
    /// The snapshot's name.
    backup_id: String,
    /// Root hash.
    checksum: String,
    /// What is damaged or missing.
    error: Option<String>,
}

/// Read back and re-hash everything that a snapshot needs
///
/// The outcome is kept with the snapshot: it becomes verified, corrupted or missing.
#[utoipa::path(get, path = "/verify/{id}", tag = "verify", params(Name, Parameters), responses(
    (status = 200, description = "The outcome, also where damage was found", body = Outcome),
    (status = 202, description = "A job that finds it", body = JobView),
))]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Name(id): Name,
    Query(asked): Query<Parameters>,
) -> Result<Response, Problem> {
    if asked.wait == Some(false) {
        return later(&service, id, asked.quick).await;
    }
    let verified = outcome(&service, id, asked.quick).await?;
    let outcome = Outcome {
        status: verified.status,
        backup_id: verified.backup_id,
        checksum: verified.checksum,
        error: in_one(&verified.errors),
    };
    Ok(Json(outcome).into_response())
}

/// Which snapshot is verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Verify)]
pub(super) struct Asked {
    /// Any of its names.
    backup_id: String,
    /// Only look whether everything is there.
    #[serde(default)]
    quick: bool,
    /// Whether the answer waits for the outcome. `false`: it is a job.
    #[serde(default)]
    wait: Option<bool>,
}

/// The outcome in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Report {
    /// The snapshot's name.
    backup_id: String,
    /// Whether everything is good.
    valid: bool,
    /// `passed` or `failed`.
    integrity_check: &'static str,
    /// Root hash.
    checksum: String,
    /// Files in it.
    file_count: u64,
    /// Bytes that were read.
    bytes_read: u64,
    /// When.
    verified_at: Option<String>,
    /// What is damaged or missing.
    errors: Vec<String>,
}

/// Read back and re-hash everything that a snapshot needs
#[utoipa::path(post, path = "/verify", tag = "verify", request_body = Asked, responses(
    (status = 200, description = "The outcome, also where damage was found", body = Report),
    (status = 202, description = "A job that finds it", body = JobView),
    Names,
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    if asked.wait == Some(false) {
        return later(&service, asked.backup_id, asked.quick).await;
    }
    let verified = outcome(&service, asked.backup_id, asked.quick).await?;
    let report = Report {
        backup_id: verified.backup_id,
        valid: verified.valid,
        integrity_check: if verified.valid { "passed" } else { "failed" },
        checksum: verified.checksum,
        file_count: verified.file_count,
        bytes_read: verified.bytes_read,
        verified_at: verified.verified_at,
        errors: verified.errors.iter().map(sentence).collect(),
    };
    Ok(Json(report).into_response())
}

/// A job that finds the outcome; which snapshot is meant is found out now.
async fn later(service: &Arc<Service>, id: String, quick: bool) -> Result<Response, Problem> {
    let id = look(service, move |service| {
        let snapshot = service.catalog()?.resolve(&id)?.snapshot;
        Ok::<_, Error>(snapshot.manifest.backup_id)
    });
    let backup_id = Some(id.await?);
    queued(service, Task::Verify(VerifyTask { backup_id, quick, ..VerifyTask::default() })).await
}

async fn outcome(service: &Arc<Service>, id: String, is_quick: bool) -> Result<Verified, Problem> {
    let depth = if is_quick { Depth::Presence } else { Depth::Everything };
    work(service, move |service| {
        let catalog = service.catalog()?;
        let snapshot = catalog.resolve(&id)?.snapshot;
        verify(service.workplace(), &catalog, &snapshot, depth)
    })
    .await
}

fn sentence(finding: &Finding) -> String {
    format!("{}: {}", finding.object, finding.problem)
}

fn in_one(errors: &[Finding]) -> Option<String> {
    let (first, rest) = errors.split_first()?;
    Some(match rest.len() {
        0 => sentence(first),
        n => format!("{}; and {n} more, which POST /verify lists", sentence(first)),
    })
}
