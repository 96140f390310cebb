//! `POST /rollback`: a target, or one of its sources, back to a snapshot.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chronos_snapshot::Strategy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::chronos::restore::part;
use crate::http::common::words::{STRATEGIES, given, one_of, required};
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::restore::{RestoreRequest, Restored, restore};
use crate::state::RollbackType;

/// What is put back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Rollback)]
pub(super) struct Asked {
    /// The snapshot, by any of its names.
    backup_id: Option<String>,
    /// Only this source, component or target; everything if absent.
    component: Option<String>,
    /// Only these tables of a database, as `schema.name`, or by their names where one schema alone has it.
    tables: Option<Vec<String>>,
    /// Only these schemas of a database.
    schemas: Option<Vec<String>>,
    /// The target that is written to; the snapshot's own if absent.
    target: Option<String>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// How files and workflows are put back: `overwrite` (usual), `replace` (what the snapshot does not have goes) or `merge` (only what
    /// is missing).
    strategy: Option<String>,
    /// Also where no snapshot of what is there can be made first.
    force: Option<bool>,
    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched.
    fingerprint: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolledBack {
    /// When it was done.
    rolled_back_at: Option<String>,
    #[serde(flatten)]
    restored: Restored,
}

/// Roll back
///
/// A target, or one of its sources, to a snapshot: to the places that are configured, after a snapshot of tier `emergency` of what is
/// there; without that nothing is touched, unless `force`. Where nothing is back the answer is a problem with the `rollback_id` under
/// which the history has it.
#[utoipa::path(post, path = "/rollback", tag = "rollback", request_body = Asked, responses(
    (status = 200, description = "What was done, or would be", body = RolledBack),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let request = meant(asked)?;
    let component = request.components.first().cloned();
    let done = work(&service, move |service| {
        let restored = restore(service.workplace(), &service.repository()?, &request);
        restored.map_err(|error| error.of_field("components", "component"))
    });
    let mut restored = done.await?;
    if let Some(component) = component {
        restored.component = component;
    }
    Ok(Json(RolledBack { rolled_back_at: restored.completed_at.clone(), restored }).into_response())
}

/// A strategy that writes to where things came from.
pub(super) fn in_place(word: Option<String>) -> Result<Option<Strategy>, Problem> {
    let strategy = given(word).map(|word| one_of("strategy", &word, &STRATEGIES)).transpose()?;
    let strategy = strategy.and_then(|word| word.parse::<Strategy>().ok());
    if strategy == Some(Strategy::NewLocation) {
        let why = "strategy: a rollback writes to where things came from; POST /restore/{id} of CHRONOS makes a new place";
        return Err(Problem::invalid("strategy", why));
    }
    Ok(strategy)
}

fn meant(asked: Asked) -> Result<RestoreRequest, Problem> {
    let strategy = in_place(asked.strategy)?;
    Ok(RestoreRequest {
        backup: required("backup_id", asked.backup_id)?,
        components: given(asked.component).into_iter().collect(),
        target: given(asked.target),
        part: part(asked.tables, asked.schemas)?,
        strategy,
        mode: Mode::dry(asked.dry_run.unwrap_or_default()),
        kind: RollbackType::Rollback,
        force: asked.force.unwrap_or_default(),
        fingerprint: given(asked.fingerprint),
        ..RestoreRequest::default()
    })
}
