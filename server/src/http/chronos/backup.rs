//! `POST /backup`, `POST /backup/pre-deploy`: a new snapshot of one target, or of several.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chronos_snapshot::check_name;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::body::Body;
use crate::http::chronos::asked::{Asked, Meant};
use crate::http::chronos::awaited::awaited;
use crate::http::chronos::jobs::queued;
use crate::http::common::words::given;
use crate::http::document::{Names, Reaches};
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::jobs::{BackupTask, JobView, Task};
use crate::operations::backup::Made;

/// Make a snapshot
///
/// Of the target that is named, else of every configured one. A target that is being backed up is waited for. What was
/// carried out answers 200, also where part of it is missing (`status` is then `partial`); where nothing could be taken the
/// answer is a problem with the `backup_id` under which the failure is listed.
#[utoipa::path(post, path = "/backup", tag = "backups", request_body = Asked, responses(
    (status = 200, description = "What was made", body = Made),
    (status = 202, description = "A job that makes it", body = JobView),
    Names,
    Reaches,
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let meant = asked.meant(&service.workplace().config)?;
    answer(&service, meant).await
}

/// What is about to be changed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// The target; every configured one if absent.
    target: Option<String>,
    /// The workflow; everything of the target if absent.
    workflow_id: Option<String>,
    /// Whether the answer waits for the snapshot. `false`: it is a job.
    #[serde(deserialize_with = "fields::choice")]
    wait: Option<bool>,
}

/// Make a snapshot before a change
#[utoipa::path(post, path = "/backup/pre-deploy", tag = "backups", params(Parameters), responses(
    (status = 200, description = "What was made", body = Made),
    (status = 202, description = "A job that makes it", body = JobView),
    Names,
    Reaches,
))]
pub(super) async fn pre_deploy(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Response, Problem> {
    let workflow = given(asked.workflow_id);
    if let Some(id) = &workflow {
        let refused = |e| Problem::invalid("workflow_id", format!("workflow_id: {e}"));
        check_name("workflow's id", id).map_err(refused)?;
    }
    let asked = Asked::before_deploy(given(asked.target), workflow.as_deref(), asked.wait);
    let mut meant = asked.meant(&service.workplace().config)?;
    if let Some(workflow) = workflow {
        "workflows".clone_into(&mut meant.request.selection.backup_type);
        meant.request.selection.workflow = Some(workflow);
    }
    answer(&service, meant).await
}

/// What was made, or the job that makes it.
async fn answer(service: &Arc<Service>, meant: Meant) -> Result<Response, Problem> {
    let task = BackupTask::new(meant.targets, meant.request);
    if meant.wait {
        awaited(service, task).await
    } else {
        queued(service, Task::Backup(Box::new(task))).await
    }
}
