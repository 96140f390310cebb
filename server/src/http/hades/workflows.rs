//! `POST /rollback/workflow` and `POST /restore/workflow`: workflows back into their n8n.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::common::words::{given, required};
use crate::http::hades::rollback::in_place;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::restore::{Plan, RestoreRequest, WorkflowDone, restore};
use crate::operations::rollback::{
    VersionBack, WorkflowNotBack, WorkflowRollback, of_workflows, rollback_workflow,
};
use crate::operations::versions::FIRST;

/// Component of the sources that have workflows.
const WORKFLOWS: &str = "workflows";
/// Most names of one request.
const NAMES_MAX: usize = 10_000;

/// Which workflow goes back to which version.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = WorkflowRollback)]
pub(super) struct AskedVersion {
    /// The workflow, by its id.
    workflow_id: Option<String>,
    /// The version: as n8n calls it, a content id of `GET /versions`, or a snapshot. Absent: the newest that differs from what is
    /// there.
    version_id: Option<String>,
    /// The target whose n8n has it; `control-plane` if absent.
    target: Option<String>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched.
    fingerprint: Option<String>,
}

/// Which workflows come back from a snapshot.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = WorkflowRestore)]
pub(super) struct FromBackup {
    /// The snapshot, by any of its names.
    backup_id: Option<String>,
    /// The target that is written to; the snapshot's own if absent.
    target: Option<String>,
    /// Only these, by ids or names; all if absent.
    workflow_filter: Option<Vec<String>>,
    /// `overwrite` (usual): those that came later stay; `replace`: they go, which needs a whole snapshot and no filter; `merge`: only
    /// those that are gone come back.
    strategy: Option<String>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched.
    fingerprint: Option<String>,
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkflowsBack {
    /// `completed`, `partial` or `planned`.
    status: String,
    /// Its id in the history; a dry run has none.
    rollback_id: Option<String>,
    /// The snapshot.
    backup_id: String,
    /// The target that was written to.
    target: String,
    /// The snapshot of what was there before.
    pre_rollback_backup: Option<String>,
    /// Each workflow that is back, or was as it was stored.
    restored: Vec<WorkflowDone>,
    /// Each that is not, and why.
    errors: Vec<WorkflowNotBack>,
    /// What would be done, a dry run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// A sentence for people.
    message: String,
}

/// Put one workflow back to an earlier version
///
/// It is written to n8n and read back. Where no other version is stored the answer is 200 with `status` `requires_backup`, and nothing was
/// touched. What only the safety snapshots of restores have is never taken unless it is named: a second call does not bring
/// back what the first one removed.
#[utoipa::path(post, path = "/rollback/workflow", tag = "rollback", request_body = AskedVersion, responses(
    (status = 200, description = "What was done, or would be", body = VersionBack),
))]
pub(super) async fn version(
    State(service): State<Arc<Service>>,
    Body(asked): Body<AskedVersion>,
) -> Result<Json<VersionBack>, Problem> {
    let workflow_id = required("workflow_id", asked.workflow_id)?;
    let request = WorkflowRollback {
        workflow_id: workflow_id.clone(),
        version_id: given(asked.version_id),
        target: given(asked.target).unwrap_or_else(|| FIRST.to_owned()),
        mode: Mode::dry(asked.dry_run.unwrap_or_default()),
        fingerprint: given(asked.fingerprint),
    };
    let done = work(&service, move |service| {
        rollback_workflow(service.workplace(), &service.repository()?, &request)
    });
    Ok(Json(VersionBack::of(done.await?, workflow_id)))
}

/// Put workflows back from a snapshot
///
/// Those that are there are written over, those that are gone are made again; each is read back and compared. Nothing else of the
/// snapshot is touched, and no workflow that came later is removed, unless `strategy` is `replace`.
#[utoipa::path(post, path = "/restore/workflow", tag = "rollback", request_body = FromBackup, responses(
    (status = 200, description = "What was done, or would be", body = WorkflowsBack),
))]
pub(super) async fn from_backup(
    State(service): State<Arc<Service>>,
    Body(asked): Body<FromBackup>,
) -> Result<Json<WorkflowsBack>, Problem> {
    let workflows = asked.workflow_filter.unwrap_or_default();
    if workflows.len() > NAMES_MAX {
        let why = format!("workflow_filter has more than {NAMES_MAX} entries");
        return Err(Problem::invalid("workflow_filter", why));
    }
    let request = RestoreRequest {
        backup: required("backup_id", asked.backup_id)?,
        components: vec![WORKFLOWS.to_owned()],
        target: given(asked.target),
        strategy: in_place(asked.strategy)?,
        mode: Mode::dry(asked.dry_run.unwrap_or_default()),
        workflows,
        fingerprint: given(asked.fingerprint),
        ..RestoreRequest::default()
    };
    let done = work(&service, move |service| restore(service.workplace(), &service.repository()?, &request));
    let restored = done.await?;
    let (back, errors) = of_workflows(&restored);
    Ok(Json(WorkflowsBack {
        status: restored.status,
        rollback_id: restored.rollback_id,
        backup_id: restored.backup_id,
        target: restored.target,
        pre_rollback_backup: restored.pre_rollback_backup,
        restored: back,
        errors,
        plan: restored.plan,
        warnings: restored.warnings,
        message: restored.message,
    }))
}
