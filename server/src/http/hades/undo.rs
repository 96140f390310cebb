//! `POST /undo`: what a rollback did, undone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::common::words::{given, required};
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::undo::{Undid, UndoRequest, undo};

/// What is undone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = UndoOf)]
pub(super) struct Asked {
    /// The rollback, by its id in the history.
    rollback_id: Option<String>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched.
    fingerprint: Option<String>,
}

/// Undo a rollback
///
/// What was there before comes back from the safety snapshot that the rollback made, and what it created is removed; what came since
/// stays. Of a recovery each part is undone, the last one first; after `deactivate_all` the workflows are active again. An undo has
/// a safety snapshot and a row in the history like any other, and can be undone.
#[utoipa::path(post, path = "/undo", tag = "rollback", request_body = Asked, responses(
    (status = 200, description = "What was undone, or would be", body = Undid),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Json<Undid>, Problem> {
    let request = UndoRequest {
        rollback_id: required("rollback_id", asked.rollback_id)?,
        mode: Mode::dry(asked.dry_run.unwrap_or_default()),
        fingerprint: given(asked.fingerprint),
    };
    let done = work(&service, move |service| undo(service.workplace(), &service.repository()?, &request));
    Ok(Json(done.await?))
}
