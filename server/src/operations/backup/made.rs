//! A backup of one target or of several, and its one answer: what HTTP tells, and what a job leaves.

use chronos_store::Repository;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::operations::backup::record::tell_left;
use crate::operations::backup::{
    ALL, Answer, Backup, BackupRequest, Part, SeveralRequest, megabytes, plan, several,
};
use crate::workplace::Workplace;

/// What was made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Made {
    /// Its fields.
    #[serde(flatten)]
    pub answer: Answer,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of a run over several targets: one answer for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub backups: Option<Vec<Made>>,
}

/// Backs up the targets; none: every configured one. `repository` is asked for when nothing is wrong with the request; `sentence`
/// says what is told of an error.
///
/// # Errors
/// Those of [`plan`] and of a single target; [`SeveralRequest::check`]; [`Error::NothingMade`].
pub fn make(
    workplace: &Workplace,
    repository: impl FnOnce() -> Result<Repository>,
    targets: Vec<String>,
    request: BackupRequest,
    sentence: &dyn Fn(&Error) -> String,
) -> Result<Made> {
    match <[String; 1]>::try_from(targets) {
        Ok([target]) => {
            let planned = plan(workplace, BackupRequest { target: Some(target), ..request }, Vec::new())?;
            let repository = repository()?;
            let backup = planned.run(workplace, &repository)?;
            answered(workplace, &repository, &backup)
        }
        Err(targets) => {
            let request = SeveralRequest { targets, each: request };
            request.check(workplace)?;
            run(workplace, &repository()?, &request, sentence)
        }
    }
}

fn answered(workplace: &Workplace, repository: &Repository, backup: &Backup) -> Result<Made> {
    if let Err(error) = &backup.removed {
        repository.monitor().problem(&format!("old snapshots were not removed: {error}"));
    }
    let answer = backup.answer(&workplace.config, repository)?;
    Ok(Made { answer, error: None, backups: None })
}

fn run(
    workplace: &Workplace,
    repository: &Repository,
    request: &SeveralRequest,
    sentence: &dyn Fn(&Error) -> String,
) -> Result<Made> {
    let run = several(workplace, repository, request)?;
    let (status, run_id, began) = (run.status(), run.run_id.clone(), run.began);
    let (mut backups, mut failures) = (Vec::new(), Vec::new());
    let mut has_any = false;
    for Part { target, outcome } in run.parts {
        match outcome.and_then(|backup| answered(workplace, repository, &backup)) {
            Ok(made) => {
                has_any = true;
                backups.push(made);
            }
            Err(error) => {
                let id = error.backup_id().unwrap_or_default().to_owned();
                let answer = blank(repository, request, target.clone(), id, "failed");
                backups.push(Made { answer, error: Some(sentence(&error)), backups: None });
                failures.push((target, error));
            }
        }
    }
    let is_tried_again =
        !has_any && failures.first().is_some_and(|(_, first)| request.each.leaves_untold(first));
    if !is_tried_again {
        let each = BackupRequest { run_id: Some(run_id.clone()), ..request.each.clone() };
        for (target, error) in failures.iter().filter(|(_, error)| each.leaves_untold(error)) {
            tell_left(workplace, repository, &each, target, error);
        }
    }
    if let Some((_, first)) = failures.into_iter().next().filter(|_| !has_any) {
        let why = backups
            .iter()
            .map(|made| format!("{}: {}", made.answer.target, made.error.as_deref().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("; ");
        // Texts, numbers and lists can always be written.
        let backups = serde_json::to_value(&backups).unwrap_or_default();
        return Err(Error::NothingMade { run_id, why, backups, first: Box::new(first) });
    }
    let mut answer = blank(repository, request, ALL.to_owned(), run_id, status);
    answer.created_at = began.to_string();
    for made in &backups {
        answer.size_bytes += made.answer.size_bytes;
        answer.added_bytes += made.answer.added_bytes;
        answer.duration_ms += made.answer.duration_ms;
        answer.files.extend(made.answer.files.iter().cloned());
    }
    answer.size_mb = megabytes(answer.size_bytes);
    Ok(Made { answer, error: None, backups: Some(backups) })
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

/// What a snapshot says of itself where nobody described it.
pub fn default_description(tier: &str) -> String {
    let mut letters = tier.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(" backup".chars()).collect()
}
