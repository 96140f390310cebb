//! What a rollback did, undone: what was there before comes back from its safety snapshot, and what it made is removed. What came since
//! stays, and an undo has a safety snapshot of its own, so that it can be undone too.

use chronos_connect::postgres::Part;
use chronos_snapshot::Strategy;
use chronos_store::Repository;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::Mode;
use crate::operations::emergency;
use crate::operations::restore::{
    About, Call, Created, Gave, RestoreRequest, Restored, Undone, restore, settle,
};
use crate::state::{Rollback, RollbackFilter, RollbackStatus, RollbackType, State};
use crate::workplace::Workplace;

/// Restores that one call may consist of.
const PARTS_MAX: u32 = 10_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct UndoRequest {
    /// Id of the rollback.
    pub rollback_id: String,
    /// Whether anything is done.
    pub mode: Mode,
    /// The fingerprint of the plan that somebody has seen.
    pub fingerprint: Option<String>,
}

/// What was undone.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Undo)]
pub struct Undid {
    /// Its id in the history; a dry run has none.
    pub rollback_id: Option<String>,
    /// The rollback that is undone.
    pub undoes: String,
    /// `completed`, `partial`, `failed` or `planned`.
    pub status: String,
    /// What was put back: of a recovery each of its parts, the last one first.
    pub restores: Vec<Restored>,
    /// Workflows that are active again, where they had been made inactive.
    pub reactivated: Vec<String>,
    /// What is not undone, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A sentence for people.
    pub message: String,
}

/// Undoes a rollback, or says what that would do.
///
/// # Errors
/// [`Error::UnknownRollback`], [`Error::NotUndoable`]; those of [`restore`].
pub fn undo(workplace: &Workplace, repository: &Repository, request: &UndoRequest) -> Result<Undid> {
    settle(workplace)?;
    let state = State::open(&workplace.places.state)?;
    let row = found(&state, &request.rollback_id)?;
    if row.status == RollbackStatus::Running {
        return Err(not(&row, "it goes on: wait for its end, or cancel it"));
    }
    let filter = RollbackFilter { part_of: Some(&row.rollback_id), ..RollbackFilter::default() };
    let parts = state.rollbacks(&filter, PARTS_MAX)?;
    if !parts.is_empty() {
        return several(workplace, repository, request, (&state, &row), &parts);
    }
    let undone = RollbackFilter { undoes: Some(&row.rollback_id), ..RollbackFilter::default() };
    let is_back = |by: &&Rollback| by.status == RollbackStatus::Completed;
    if row.status == RollbackStatus::Interrupted
        && let Some(by) = state.rollbacks(&undone, PARTS_MAX)?.iter().find(is_back)
    {
        return Err(not(&row, &format!("{} has done that already", by.rollback_id)));
    }
    let report = report(&state, &row)?;
    if report.as_ref().is_some_and(|report| report.get("action").is_some()) {
        return emergency::undo(workplace, &state, &row, request.mode);
    }
    let restored = one(workplace, repository, request, (&state, &row, report.as_ref()), None)?;
    Ok(Undid {
        rollback_id: restored.rollback_id.clone(),
        undoes: row.rollback_id,
        status: restored.status.clone(),
        message: restored.message.clone(),
        restores: vec![restored],
        ..Undid::default()
    })
}

fn not(row: &Rollback, why: &str) -> Error {
    Error::NotUndoable { rollback_id: row.rollback_id.clone(), why: why.to_owned() }
}

/// The row of a rollback.
fn found(state: &State, id: &str) -> Result<Rollback> {
    state.rollback(id)?.ok_or_else(|| Error::UnknownRollback { rollback_id: id.to_owned() })
}

/// What a rollback answered; none if it did not live to do so.
pub(super) fn report(state: &State, row: &Rollback) -> Result<Option<Value>> {
    Ok(state.report(row.number)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Undoes one restore.
fn one(
    workplace: &Workplace,
    repository: &Repository,
    request: &UndoRequest,
    (state, row, report): (&State, &Rollback, Option<&Value>),
    part_of: Option<&str>,
) -> Result<Restored> {
    if row.repository != repository.id().to_string() {
        return Err(not(row, "it belongs to another repository: name that one"));
    }
    if row.strategy.as_deref() == Some(Strategy::NewLocation.name()) {
        let made = report.and_then(|report| report.get("message")).and_then(Value::as_str);
        let made = made.map(|said| format!(" ({said})")).unwrap_or_default();
        return Err(not(
            row,
            &format!("it made a new place and changed nothing else: remove that place{made}"),
        ));
    }
    let part = meant_part(report);
    // One that did not live to say what it did has said at most which part that was of.
    let report = report.filter(|report| report.get("steps").is_some());
    let written = report.map(written);
    if written.as_ref().is_some_and(Vec::is_empty) {
        return Err(not(row, "it changed nothing"));
    }
    let Some(before) = &row.pre_rollback_backup else {
        let why = "it has no snapshot of what was there before: nothing was there, or it was forced";
        return Err(not(row, why));
    };
    let mut restored = restore(
        workplace,
        repository,
        &RestoreRequest {
            backup: before.clone(),
            sources: written.clone(),
            target: Some(row.target.clone()),
            strategy: Some(Strategy::Replace),
            part,
            mode: request.mode,
            kind: RollbackType::Undo,
            fingerprint: request.fingerprint.clone(),
            part_of: part_of.map(str::to_owned),
            undone: Some(undone_of(state, row, report)?),
            ..RestoreRequest::default()
        },
    )?;
    match written {
        None => restored.warnings.push(format!(
            "{} did not live to say what it had changed: all that it may have changed is as before",
            row.rollback_id
        )),
        Some(written) => restored.warnings.extend(stays(&written, &restored)),
    }
    Ok(restored)
}

/// The part of a database that a restore was of.
fn meant_part(report: Option<&Value>) -> Part {
    let names = |key: &str| {
        let list = report.and_then(|report| report.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Part { schemas: names("schemas"), tables: names("tables") }
}

/// The sources of the target that a restore wrote to.
fn written(report: &Value) -> Vec<String> {
    let count = |step: &Value, key: &str| step.get(key).and_then(Value::as_u64).unwrap_or_default();
    let wrote = |step: &&Value| {
        let status = step.get("status").and_then(Value::as_str).unwrap_or_default();
        let workflows = step.get("workflows").and_then(Value::as_array).into_iter().flatten();
        count(step, "restored") > 0
            || matches!(status, "completed" | "partial")
            // One whose write failed may have been changed all the same.
            || workflows.into_iter().any(|w| w.get("touched") == Some(&Value::Bool(true)))
    };
    let mut all = Vec::new();
    for step in steps(Some(report)).filter(wrote) {
        all.extend(into(step).into_iter().map(str::to_owned));
    }
    all
}

/// The sources of the target that a step went to; in older reports those of the snapshot.
fn into(step: &Value) -> Vec<&str> {
    let names = step.get("into").or_else(|| step.get("sources")).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What the row and the report of a restore say of what it did.
fn undone_of(state: &State, row: &Rollback, report: Option<&Value>) -> Result<Undone> {
    let (mut written, mut created) = (Vec::new(), Vec::new());
    for (source, workflow) in workflows(report) {
        let text = |key: &str| workflow.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(id) = text("live_id").or_else(|| text("id")) else { continue };
        if workflow.get("touched") == Some(&Value::Bool(false)) {
            continue;
        }
        match text("action").as_deref() {
            Some("created") => created.push((source, id)),
            Some("updated" | "removed") => written.push((source, id)),
            _ => {}
        }
    }
    // An undo removed what the one that it undid had made.
    let removed = match &row.undoes {
        Some(undone) => found(state, undone)?.source_backup_id.map_or(Gave::All, Gave::Of),
        None if row.strategy.as_deref() == Some(Strategy::Replace.name()) => Gave::All,
        None => Gave::Nothing,
    };
    Ok(Undone {
        rollback_id: row.rollback_id.clone(),
        source: row.source_backup_id.clone(),
        overwrote: row.strategy.as_deref() != Some(Strategy::Merge.name()),
        removed,
        act: None,
        workflow: row.workflow_id.clone(),
        written: report.map(|_| written),
        created: if report.is_some() { Created::These(created) } else { Created::Perhaps(None) },
    })
}

/// The source of the target and what became of each workflow.
pub(super) fn workflows(report: Option<&Value>) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for step in steps(report) {
        let source = into(step).first().copied().unwrap_or_default();
        let list = step.get("workflows").and_then(Value::as_array).into_iter().flatten();
        all.extend(list.map(|workflow| (source.to_owned(), workflow)));
    }
    all
}

fn steps(report: Option<&Value>) -> impl Iterator<Item = &Value> {
    report.and_then(|report| report.get("steps")).and_then(Value::as_array).into_iter().flatten()
}

/// What was written where nothing was before: it is not removed as a whole.
fn stays(written: &[String], restored: &Restored) -> Vec<String> {
    let of_steps = restored.steps.iter().flat_map(|step| &step.sources);
    let of_plan = restored.plan.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.sources);
    let known: Vec<&String> = of_steps.chain(of_plan).collect();
    let unknown = written.iter().filter(|source| !known.contains(source));
    unknown
        .map(|source| format!("nothing of source {source} was there before: what is there now stays"))
        .collect()
}

/// Undoes the parts of a call, the last one first; what cannot be undone is named, and keeps nothing else from it.
fn several(
    workplace: &Workplace,
    repository: &Repository,
    request: &UndoRequest,
    (state, row): (&State, &Rollback),
    parts: &[Rollback],
) -> Result<Undid> {
    if request.fingerprint.is_some() {
        return Err(not(
            row,
            "a fingerprint stands for one restore, and this call consists of several: undo each of its parts",
        ));
    }
    let mut done = Undid { undoes: row.rollback_id.clone(), ..Undid::default() };
    let repository_id = repository.id().to_string();
    let about = About {
        repository: &repository_id,
        kind: RollbackType::Undo,
        target: &row.target,
        source: None,
        undoes: Some(&row.rollback_id),
    };
    let call = match request.mode {
        Mode::DryRun => None,
        Mode::Apply => Some(Call::begin(workplace, &about, &mut done.warnings)?),
    };
    done.rollback_id = call.as_ref().map(|call| call.id.clone());
    for part in parts {
        let report = report(state, part)?;
        // What changed nothing has nothing to be undone.
        let report_of_end = report.as_ref().filter(|report| report.get("steps").is_some());
        if report_of_end.is_some_and(|report| written(report).is_empty()) {
            continue;
        }
        match one(workplace, repository, request, (state, part, report.as_ref()), done.rollback_id.as_deref())
        {
            Ok(restored) => done.restores.push(restored),
            Err(error) => done.errors.push(format!("{}: {error}", part.target)),
        }
    }
    let Some(call) = call else {
        "planned".clone_into(&mut done.status);
        done.message = format!("would undo {} parts; nothing was changed", done.restores.len());
        return Ok(done);
    };
    let is_whole = done.errors.is_empty() && done.restores.iter().all(|r| r.status != "partial");
    let status = match (is_whole, done.restores.is_empty()) {
        (true, _) => RollbackStatus::Completed,
        (false, false) => RollbackStatus::Partial,
        (false, true) => RollbackStatus::Failed,
    };
    done.message = match done.errors.first() {
        None if is_whole => format!("{} parts of {} are undone", done.restores.len(), row.rollback_id),
        None => format!("not all of {} is undone: its parts say what is not", row.rollback_id),
        Some(first) => format!("not all of {} is undone: {first}", row.rollback_id),
    };
    status.word().clone_into(&mut done.status);
    let why = (status != RollbackStatus::Completed).then_some(&*done.message);
    let details = json!({ "rollback_id": call.id, "undoes": row.rollback_id });
    let action = if status == RollbackStatus::Failed { "restore_failed" } else { "rollback_completed" };
    call.ended((status, why), &done, &ended(&workplace.env, action, &row.target, (status, why), details));
    if status == RollbackStatus::Failed {
        // Texts, numbers and lists can always be written.
        let report = serde_json::to_value(&done).unwrap_or_default();
        let cause = Box::new(Error::StepFailed(done.message));
        return Err(Error::NotRestored { rollback_id: call.id.clone(), report, cause });
    }
    Ok(done)
}
