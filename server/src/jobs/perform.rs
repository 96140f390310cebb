//! Carrying out a task: from what stands in the queue to an operation, and from its outcome to what the job leaves.

use chronos_snapshot::Depth;
use chronos_snapshot::retention::Trigger;
use chronos_store::{CheckReport, Finding, PruneOptions, ReadData, Repository, check_cancelled};
use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::{Catalog, target_name};
use crate::error::{Error, Result};
use crate::jobs::task::{BackupTask, CleanupTask, DrillTask, RestoreTask, SyncTask, Task, VerifyTask};
use crate::jobs::words::Words;
use crate::operations::Mode;
use crate::operations::backup::{BackupRequest, Unwritten, make};
use crate::operations::cleanup::{ForgetRequest, cleanup};
use crate::operations::drill::each;
use crate::operations::restore::restore;
use crate::operations::sync::sync_configured;
use crate::operations::verify::{Verified, check, verify};
use crate::state::{DrillStatus, JobStatus};
use crate::workplace::Workplace;

/// What a job leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Done {
    /// How it stands.
    pub(super) status: JobStatus,
    /// What it made.
    pub(super) result: Option<Value>,
    /// What is not done, or what was found.
    pub(super) error: Option<String>,
}

/// How a task is carried out.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// How failures are told.
    pub(super) words: Words,
    /// What may go well in a while is tried again.
    pub(super) is_tried_again: bool,
    /// Where it is kept how a run ended that cannot be written.
    pub(super) unwritten: Unwritten,
}

/// Does it. Both report to the monitor of the job, and stop when it says so.
pub(super) fn perform(
    task: &Task,
    workplace: &Workplace,
    repository: &Repository,
    manner: &Manner,
) -> Result<Done> {
    match task {
        Task::Backup(task) => backup(task, workplace, repository, manner),
        Task::Verify(task) => verification(task, workplace, repository),
        Task::Cleanup(task) => cleaning(task, workplace, repository),
        Task::Restore(task) => restoring(task, workplace, repository),
        Task::Drill(task) => drilling(task, workplace, repository),
        Task::Sync(task) => syncing(task, workplace, repository),
    }
}

/// What is left by a job that failed.
pub(super) fn failed(error: &Error, words: &Words) -> Done {
    let result = Some((words.document)(error));
    Done { status: JobStatus::Failed, result, error: Some((words.sentence)(error)) }
}

fn backup(
    task: &BackupTask,
    workplace: &Workplace,
    repository: &Repository,
    manner: &Manner,
) -> Result<Done> {
    let open = || Ok(repository.clone());
    let request = BackupRequest {
        is_tried_again: manner.is_tried_again,
        unwritten: Some(manner.unwritten.clone()),
        ..task.request()
    };
    let made = make(workplace, open, task.targets.clone(), request, &manner.words.sentence)?;
    let status = match &*made.answer.status {
        // Of several targets one at least failed, and not all.
        "partial" | "failed" => JobStatus::Partial,
        _ => JobStatus::Completed,
    };
    let of_parts = made.backups.iter().flatten().find_map(|part| part.error.clone());
    let of_files = || made.answer.files.iter().find_map(|file| file.error.clone());
    let error = of_parts.or_else(of_files).filter(|_| status == JobStatus::Partial);
    Ok(Done { status, result: document(&made), error })
}

fn verification(task: &VerifyTask, workplace: &Workplace, repository: &Repository) -> Result<Done> {
    let catalog = || Catalog::new(&workplace.config, repository.clone());
    let depth = if task.quick { Depth::Presence } else { Depth::Everything };
    if let Some(id) = &task.backup_id {
        let catalog = catalog()?;
        let verified = verify(workplace, &catalog, &catalog.resolve(id)?.snapshot, depth)?;
        return Ok(found(&verified.errors, document(&verified)));
    }
    if let Some(target) = &task.target {
        let all = of_target(workplace, &catalog()?, &target_name(&workplace.config, target), task, depth)?;
        let errors: Vec<Finding> = all.iter().flat_map(|v| v.errors.iter().cloned()).collect();
        return Ok(found(&errors, Some(json!({ "status": word(&errors), "verified": all }))));
    }
    let read = match task.share {
        _ if task.quick => ReadData::None,
        Some(share) if share < 1.0 => ReadData::Share(share),
        _ => ReadData::All,
    };
    let report = check(workplace, repository, read)?;
    Ok(found(&report.errors, document(&Scrubbed::from(&report))))
}

/// Verifies the snapshots of a target that were not verified for longest, as many as the share says and one at least.
fn of_target(
    workplace: &Workplace,
    catalog: &Catalog,
    target: &str,
    task: &VerifyTask,
    depth: Depth,
) -> Result<Vec<Verified>> {
    let mut own: Vec<_> = catalog.snapshots.iter().filter(|s| s.manifest.target == target).collect();
    // Of those that were never verified the newest first: it is the one that is needed first.
    own.sort_by_key(|s| (s.marks.verified_at, std::cmp::Reverse(s.taken_at())));
    let wanted = task.share.map_or(own.len(), |share| (own.len() as f64 * share).ceil() as usize);
    let mut all = Vec::new();
    for snapshot in own.into_iter().take(wanted.max(1)) {
        check_cancelled(&**catalog.repository.monitor())?;
        all.push(verify(workplace, catalog, snapshot, depth)?);
    }
    Ok(all)
}

fn cleaning(task: &CleanupTask, workplace: &Workplace, repository: &Repository) -> Result<Done> {
    let catalog = Catalog::new(&workplace.config, repository.clone())?;
    let request = ForgetRequest {
        targets: task.targets.clone(),
        policies: None,
        trigger: if task.scheduled { Trigger::Schedule } else { Trigger::Person },
        mode: Mode::dry(task.dry_run),
    };
    let report = cleanup(workplace, &catalog, &request, &PruneOptions::default())?.report(task.dry_run);
    Ok(Done { status: JobStatus::Completed, result: document(&report), error: None })
}

fn restoring(task: &RestoreTask, workplace: &Workplace, repository: &Repository) -> Result<Done> {
    let restored = restore(workplace, repository, &task.request())?;
    let is_whole = restored.status == "completed";
    let status = if is_whole { JobStatus::Completed } else { JobStatus::Partial };
    let error = (!is_whole).then(|| restored.message.clone());
    Ok(Done { status, result: document(&restored), error })
}

fn drilling(task: &DrillTask, workplace: &Workplace, repository: &Repository) -> Result<Done> {
    let catalog = Catalog::new(&workplace.config, repository.clone())?;
    let all = each(workplace, &catalog, &task.names(), task.into.as_deref())?;
    let status = match all.status {
        DrillStatus::Passed => JobStatus::Completed,
        DrillStatus::Partial => JobStatus::Partial,
        DrillStatus::Interrupted => JobStatus::Interrupted,
        DrillStatus::Failed => JobStatus::Failed,
    };
    Ok(Done { status, error: all.first_error().cloned(), result: document(&all) })
}

/// A copy that cannot be reached is tried again later than others that fail: when the next backup asks for it, or after a while.
fn syncing(task: &SyncTask, workplace: &Workplace, repository: &Repository) -> Result<Done> {
    let all = sync_configured(workplace, repository, task.to.as_deref(), task.check)?;
    let status = if all.status == "completed" { JobStatus::Completed } else { JobStatus::Failed };
    let error = all.syncs.iter().find_map(|one| one.error.clone());
    Ok(Done { status, result: document(&all), error })
}

/// What a look at the repository as a whole found.
#[derive(Serialize)]
struct Scrubbed<'r> {
    status: &'static str,
    snapshots: u64,
    packs: u64,
    packs_read: u64,
    bytes_read: u64,
    errors: &'r [Finding],
}

impl<'r> From<&'r CheckReport> for Scrubbed<'r> {
    fn from(report: &'r CheckReport) -> Self {
        Self {
            status: word(&report.errors),
            snapshots: report.snapshots,
            packs: report.packs,
            packs_read: report.packs_read,
            bytes_read: report.bytes_read,
            errors: &report.errors,
        }
    }
}

fn word(errors: &[Finding]) -> &'static str {
    if errors.is_empty() { "verified" } else { "failed" }
}

/// Damage that was found is a failure: nobody may miss it.
fn found(errors: &[Finding], result: Option<Value>) -> Done {
    let error = errors.first().map(|first| {
        let more = errors.len() - 1;
        let rest = if more == 0 { String::new() } else { format!("; and {more} more") };
        format!("damage was found: {}: {}{rest}", first.object, first.problem)
    });
    let status = if errors.is_empty() { JobStatus::Completed } else { JobStatus::Failed };
    Done { status, result, error }
}

/// A value as JSON; it consists of texts, numbers and lists.
fn document(value: &impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}
