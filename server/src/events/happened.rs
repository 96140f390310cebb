//! The events that there are, by what happened.

use chronos_snapshot::{BackupReport, counted};
use chronos_store::{Env, Finding, SyncReport, Verdict};
use serde_json::{Value, json};

use crate::config::Occasion;
use crate::events::Event;
use crate::schedule::Overdue;
use crate::state::{DrillStatus, RollbackStatus, RollbackType};

/// A good backup that made no snapshot, because nothing had changed: told to those alone who wait for signs of life.
pub(crate) const UNCHANGED: &str = "backup_unchanged";
/// Findings that an event tells of; the answer of the verification has them all.
const FINDINGS_MAX: usize = 10;

/// A backup that made a snapshot, or needed none. `is_whole`: of all of its target. `is_recovery`: of a target
/// that somebody was alerted of.
pub(crate) fn backup_made(
    env: &Env,
    report: &BackupReport,
    run_id: Option<&str>,
    (is_whole, is_recovery): (bool, bool),
) -> Vec<Event> {
    let BackupReport { target, backup_id, .. } = report;
    let is_good = report.status != "partial";
    let error = report.sources.iter().find_map(|s| s.error.as_deref());
    let mut details = json!({
        "backup_id": backup_id,
        "tier": report.tier,
        "size": report.bytes_processed,
        "status": report.status,
        "backup_type": report.backup_type,
        "snapshot": report.snapshot.as_ref().map(ToString::to_string),
        "unchanged": report.unchanged,
        "added_bytes": report.bytes_stored,
        "duration_ms": report.duration_ms,
    });
    if let Value::Object(details) = &mut details {
        details.extend(run_id.map(|id| ("run_id".to_owned(), id.into())));
        details.extend(error.map(|why| ("error".to_owned(), why.into())));
    }
    let action = if report.snapshot.is_some() { "backup_created" } else { UNCHANGED };
    let mut made = Event::new(env, action, target, details).concerning(target);
    // A part of a target proves nothing of the rest.
    made.is_good_backup = is_good && is_whole;
    made = if is_good {
        made.saying(format!("{target} is backed up: {backup_id}"))
    } else {
        let why = error.unwrap_or("something could not be read");
        made.on(Occasion::Failure).saying(format!("the backup {backup_id} of {target} is not whole: {why}"))
    };
    let recovered = (is_good && is_recovery).then(|| recovered(env, target, backup_id));
    std::iter::once(made).chain(recovered).collect()
}

fn recovered(env: &Env, target: &str, backup_id: &str) -> Event {
    Event::new(env, "backup_recovered", target, json!({ "backup_id": backup_id }))
        .concerning(target)
        .on(Occasion::Recovery)
        .saying(format!("{target} has a good backup again"))
}

/// A target that was overdue has a good snapshot, wherever that comes from.
pub(crate) fn no_longer_overdue(env: &Env, target: &str) -> Event {
    recovered(env, target, "")
}

/// A backup that made nothing.
pub(crate) fn backup_failed(env: &Env, target: &str, details: Value) -> Event {
    let why = details.get("error").and_then(Value::as_str).unwrap_or("it does not say why").to_owned();
    Event::new(env, "backup_failed", target, details)
        .concerning(target)
        .on(Occasion::Failure)
        .saying(format!("the backup of {target} failed: {why}"))
}

/// A verification of one snapshot that came to its end.
pub(crate) fn verified(
    env: &Env,
    target: &str,
    backup_id: &str,
    verdict: Verdict,
    errors: &[Finding],
) -> Event {
    if verdict == Verdict::Verified {
        return Event::new(env, "backup_verified", backup_id, json!({ "target": target }))
            .concerning(target)
            .saying(format!("{backup_id} is verified"));
    }
    let word = if verdict == Verdict::Missing { "missing" } else { "corrupted" };
    let mut event = corrupted(env, backup_id, word, errors).concerning(target);
    event.details.insert("target".to_owned(), target.into());
    event
}

/// Damage that a look at the repository as a whole found.
pub(crate) fn damaged(env: &Env, errors: &[Finding]) -> Event {
    corrupted(env, "", "corrupted", errors)
}

fn corrupted(env: &Env, of: &str, word: &str, errors: &[Finding]) -> Event {
    let shown = errors.iter().take(FINDINGS_MAX).map(|f| format!("{}: {}", f.object, f.problem));
    let shown: Vec<String> = shown.collect();
    let what = if of.is_empty() { "the repository" } else { of };
    let first = shown.first().map_or_else(String::new, |first| format!(": {first}"));
    let message = format!("damage was found in {what}{first}");
    Event::new(env, "backup_corrupted", of, json!({ "status": word, "count": errors.len(), "errors": shown }))
        .on(Occasion::Damage)
        .saying(message)
}

/// A cleanup that came to its end.
pub(crate) fn cleaned(env: &Env, deleted: &[String], freed_bytes: u64) -> Event {
    let details = json!({ "deleted_count": deleted.len(), "deleted": deleted, "freed_bytes": freed_bytes });
    Event::new(env, "cleanup_completed", "", details)
        .saying(format!("the rules removed {}", counted(deleted.len(), "snapshot")))
}

/// A drill that came to its end.
pub(crate) fn drill_ended(
    env: &Env,
    target: &str,
    status: DrillStatus,
    errors: &[String],
    mut details: Value,
) -> Event {
    let first = errors.first().map_or("it does not say why", String::as_str);
    if let Value::Object(details) = &mut details {
        details.insert("count".to_owned(), errors.len().into());
        details.insert("errors".to_owned(), errors.iter().take(FINDINGS_MAX).cloned().collect());
    }
    let of = details.get("backup_id").and_then(Value::as_str).unwrap_or("a snapshot").to_owned();
    let event = Event::new(env, "drill_completed", target, details).concerning(target);
    match status {
        DrillStatus::Passed => {
            event.saying(format!("{of} of {target} was restored for trial, and is proven"))
        }
        DrillStatus::Partial => event
            .on(Occasion::Failure)
            .saying(format!("not all of {of} of {target} could be restored for trial: {first}")),
        DrillStatus::Interrupted => event
            .on(Occasion::Failure)
            .saying(format!("the trial of {of} of {target} came to no end: {first}")),
        DrillStatus::Failed => {
            event.on(Occasion::Failure).saying(format!("the trial of {of} of {target} failed: {first}"))
        }
    }
}

/// A sync that came to its end, `lasted` milliseconds after it began. Of several that fail one after the other the first is an occasion.
pub(crate) fn synced(
    env: &Env,
    destination: &str,
    (status, why): (&str, Option<&str>),
    report: Option<&SyncReport>,
    (lasted, was_failed): (u64, bool),
) -> Event {
    let total = report.map(SyncReport::total).unwrap_or_default();
    let details = json!({
        "status": status,
        "objects": total.objects,
        "bytes": total.bytes,
        "healed": report.map_or(0, |report| report.healed.len()),
        "removed": report.map_or(0, |report| report.removed.objects),
        "damaged": report.map_or(0, |report| report.damaged.len()),
        "duration_ms": lasted,
        "error": why,
    });
    let action = if status == "failed" { "sync_failed" } else { "sync_completed" };
    let event = Event::new(env, action, destination, details);
    match (why, was_failed) {
        (None, true) => event.on(Occasion::Recovery).saying(format!("{destination} has everything again")),
        (None, false) => event.saying(format!("{destination} has everything")),
        (Some(why), true) => event.saying(format!("the copy to {destination} still fails: {why}")),
        (Some(why), false) => {
            event.on(Occasion::Failure).saying(format!("the copy to {destination} is not whole: {why}"))
        }
    }
}

/// Something else than a backup that failed.
pub(crate) fn failed(env: &Env, action: &'static str, target: &str, details: Value) -> Event {
    let why = details.get("error").and_then(Value::as_str).unwrap_or("it does not say why").to_owned();
    let what = action.trim_end_matches("_failed");
    let event = Event::new(env, action, target, details).on(Occasion::Failure);
    let event = if target.is_empty() { event } else { event.concerning(target) };
    event.saying(format!("a {what} failed: {why}"))
}

/// A restore that came to its end. `of` is the workflow or the target that was to be put back.
pub(crate) fn restore_ended(
    env: &Env,
    kind: RollbackType,
    of: &str,
    target: &str,
    (status, why): (RollbackStatus, Option<&str>),
    mut details: Value,
) -> Event {
    if let Value::Object(details) = &mut details {
        details.insert("status".to_owned(), status.word().into());
        details.extend(why.map(|why| ("error".to_owned(), why.into())));
    }
    let source = details.get("backup_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let why = why.unwrap_or("it does not say why");
    let is_back = matches!(status, RollbackStatus::Completed | RollbackStatus::Partial);
    let (action, of) = match kind {
        _ if !is_back => ("restore_failed", target),
        RollbackType::Rollback | RollbackType::Version | RollbackType::Undo => ("rollback_completed", of),
        _ => ("restore_completed", target),
    };
    let event = Event::new(env, action, of, details).concerning(target).of_hades();
    match status {
        RollbackStatus::Completed => event.saying(format!("{source} was restored to {target}")),
        RollbackStatus::Partial => {
            event.on(Occasion::Failure).saying(format!("not all of {source} was restored to {target}: {why}"))
        }
        _ => event.on(Occasion::Failure).saying(format!("{source} was not restored to {target}: {why}")),
    }
}

/// Something that consists of several restores came to its end.
pub(crate) fn ended(
    env: &Env,
    action: &'static str,
    target: &str,
    (status, why): (RollbackStatus, Option<&str>),
    mut details: Value,
) -> Event {
    if let Value::Object(details) = &mut details {
        details.insert("status".to_owned(), status.word().into());
        details.extend(why.map(|why| ("error".to_owned(), why.into())));
    }
    let event = Event::new(env, action, target, details).concerning(target).of_hades();
    match why {
        None => event.saying(format!("{}: {target} is done", action.replace('_', " "))),
        Some(why) => {
            event.on(Occasion::Failure).saying(format!("{} of {target}: {why}", action.replace('_', " ")))
        }
    }
}

/// Somebody wants a workflow back as it was.
pub(crate) fn rollback_requested(env: &Env, target: &str, workflow: &str, details: Value) -> Event {
    Event::new(env, "rollback_requested", workflow, details)
        .concerning(target)
        .of_hades()
        .saying(format!("workflow {workflow} of {target} is to be rolled back"))
}

/// A target that has no snapshot of when there should be one.
pub(crate) fn overdue(env: &Env, overdue: &Overdue) -> Event {
    let Overdue { target, schedule, due, last_good, .. } = overdue;
    let last = last_good.map(|time| time.to_string());
    let known = last
        .as_ref()
        .map_or_else(|| "it has none".to_owned(), |time| format!("the last good one is of {time}"));
    let details = json!({ "schedule": schedule, "due": due.to_string(), "last_good": last });
    Event::new(env, "backup_overdue", target, details).concerning(target).on(Occasion::Overdue).saying(
        format!("{target} is overdue: schedule {schedule} was to make a snapshot at {due}, and {known}"),
    )
}

/// The service does better or worse than before.
pub(crate) fn health(env: &Env, from: Option<&str>, to: &str, problems: &[String]) -> Event {
    let details = json!({ "from": from, "to": to, "problems": problems });
    Event::new(env, "health_changed", "", details).saying(format!("the service is {to}"))
}
