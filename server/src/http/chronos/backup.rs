//! `POST /backup`, `POST /backup/pre-deploy`: a new snapshot of one target, or of several.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chronos_store::Repository;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Error;
use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::chronos::asked::{Asked, Meant};
use crate::http::chronos::backups::document;
use crate::http::chronos::words::given;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::backup::{
    ALL, Answer, Backup, BackupRequest, Part, SeveralRequest, megabytes, plan, several,
};
use crate::workplace::Workplace;

/// What was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Made {
    #[serde(flatten)]
    answer: Answer,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of a run over several targets: one answer for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    backups: Option<Vec<Made>>,
}

/// Make a snapshot
///
/// Of the target that is named, else of every configured one. A target that is being backed up is waited for. What was
/// carried out answers 200, also where part of it is missing (`status` is then `partial`); where nothing could be taken the
/// answer is a problem with the `backup_id` under which the failure is listed.
#[utoipa::path(post, path = "/backup", tag = "backups", request_body = Asked, responses(
    (status = 200, description = "What was made", body = Made),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Json<Made>, Problem> {
    let meant = asked.meant(&service.workplace().config)?;
    made(&service, meant).await.map(Json)
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
}

/// Make a snapshot before a change
#[utoipa::path(post, path = "/backup/pre-deploy", tag = "backups", params(Parameters), responses(
    (status = 200, description = "What was made", body = Made),
))]
pub(super) async fn pre_deploy(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Made>, Problem> {
    let workflow = given(asked.workflow_id);
    let mut meant =
        Asked::before_deploy(given(asked.target), workflow.as_deref()).meant(&service.workplace().config)?;
    if let Some(workflow) = workflow {
        "workflows".clone_into(&mut meant.request.selection.backup_type);
        meant.request.selection.workflow = Some(workflow);
    }
    made(&service, meant).await.map(Json)
}

async fn made(service: &Arc<Service>, meant: Meant) -> Result<Made, Problem> {
    let done = work(service, move |service| {
        let workplace = service.workplace();
        let Meant { targets, request } = meant;
        match <[String; 1]>::try_from(targets) {
            Ok([target]) => {
                one(service, workplace, BackupRequest { target: Some(target), ..request }).map(Ok)
            }
            Err(targets) => run(service, workplace, &SeveralRequest { targets, each: request }),
        }
    });
    done.await?
}

fn one(service: &Service, workplace: &Workplace, request: BackupRequest) -> Result<Made, Error> {
    let planned = plan(workplace, request, Vec::new())?;
    let repository = service.repository()?;
    let backup = planned.run(workplace, &repository)?;
    answered(workplace, &repository, &backup)
}

fn answered(workplace: &Workplace, repository: &Repository, backup: &Backup) -> Result<Made, Error> {
    if let Err(error) = &backup.removed {
        tracing::warn!(detail = %error, "old snapshots were not removed");
    }
    let answer = backup.answer(&workplace.config, repository)?;
    Ok(Made { answer, error: None, backups: None })
}

/// A run over several targets. One that gave nothing at all is a problem, of the kind of its first failure.
fn run(
    service: &Service,
    workplace: &Workplace,
    request: &SeveralRequest,
) -> Result<Result<Made, Problem>, Error> {
    request.check(workplace)?;
    let repository = service.repository()?;
    let run = several(workplace, &repository, request)?;
    let (status, run_id, began) = (run.status(), run.run_id.clone(), run.began);
    let (mut backups, mut first) = (Vec::new(), None);
    let mut has_any = false;
    for Part { target, outcome } in run.parts {
        match outcome.and_then(|backup| answered(workplace, &repository, &backup)) {
            Ok(made) => {
                has_any = true;
                backups.push(made);
            }
            Err(error) => {
                let backup_id = error.backup_id().unwrap_or_default().to_owned();
                let problem = Problem::from(error);
                backups.push(failed(&repository, request, target, backup_id, problem.detail()));
                first.get_or_insert(problem);
            }
        }
    }
    match first {
        Some(problem) if !has_any => Ok(Err(total_failure(problem, &run_id, &backups))),
        _ => {
            let mut answer = blank(&repository, request, ALL.to_owned(), run_id, status);
            answer.created_at = began.to_string();
            for made in &backups {
                answer.size_bytes += made.answer.size_bytes;
                answer.added_bytes += made.answer.added_bytes;
                answer.duration_ms += made.answer.duration_ms;
                answer.files.extend(made.answer.files.iter().cloned());
            }
            answer.size_mb = megabytes(answer.size_bytes);
            Ok(Ok(Made { answer, error: None, backups: Some(backups) }))
        }
    }
}

fn total_failure(first: Problem, run_id: &str, backups: &[Made]) -> Problem {
    let sentences: Vec<String> = backups
        .iter()
        .map(|made| format!("{}: {}", made.answer.target, made.error.as_deref().unwrap_or_default()))
        .collect();
    let status =
        if first.status() == StatusCode::NOT_FOUND { StatusCode::BAD_GATEWAY } else { first.status() };
    let detail = format!("no target could be backed up: {}", sentences.join("; "));
    Problem::new(status, "failed", detail).with("backup_id", run_id).with("backups", document(&backups))
}

/// The answer of a target that gave nothing.
fn failed(repository: &Repository, request: &SeveralRequest, target: String, id: String, why: &str) -> Made {
    let answer = blank(repository, request, target, id, "failed");
    Made { answer, error: Some(why.to_owned()), backups: None }
}

fn blank(
    repository: &Repository,
    request: &SeveralRequest,
    target: String,
    id: String,
    status: &str,
) -> Answer {
    let tier = &request.each.tier;
    Answer {
        path: format!("{}#{id}", repository.location()),
        backup_id: id,
        snapshot: None,
        component: target.clone(),
        target,
        backup_type: request.each.selection.backup_type.clone(),
        kind: tier.clone(),
        tier: tier.clone(),
        status: status.to_owned(),
        size_bytes: 0,
        size_mb: 0.0,
        added_bytes: 0,
        checksum: None,
        created_at: String::new(),
        duration_ms: 0,
        files: Vec::new(),
    }
}
