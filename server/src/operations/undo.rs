//! What a rollback did, undone: what was there before comes back from its safety snapshot, and what it made is removed. What came since
//! stays, and an undo has a safety snapshot of its own, so that it can be undone too.

use chronos_snapshot::Strategy;
use chronos_store::Repository;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::Mode;
use crate::operations::emergency;
use crate::operations::restore::{About, Call, RestoreRequest, Restored, Undone, restore, settle};
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
    let not = |why: &str| Error::NotUndoable { rollback_id: row.rollback_id.clone(), why: why.to_owned() };
    if row.status == RollbackStatus::Running {
        return Err(not("it goes on: wait for its end, or cancel it"));
    }
    let parts = state.rollbacks(
        &RollbackFilter { part_of: Some(&row.rollback_id), ..RollbackFilter::default() },
        PARTS_MAX,
    )?;
    if !parts.is_empty() {
        return several(workplace, repository, request, (&state, &row), &parts);
    }
    if row.rollback_type == RollbackType::Emergency.word() && row.pre_rollback_backup.is_none() {
        return emergency::undo(workplace, &state, &row, request.mode);
    }
    let restored = one(workplace, repository, &state, &row, request)?;
    Ok(Undid {
        rollback_id: restored.rollback_id.clone(),
        undoes: row.rollback_id,
        status: restored.status.clone(),
        warnings: Vec::new(),
        message: restored.message.clone(),
        restores: vec![restored],
        ..Undid::default()
    })
}

/// The row of a rollback.
fn found(state: &State, id: &str) -> Result<Rollback> {
    let filter = RollbackFilter { rollback_id: Some(id), ..RollbackFilter::default() };
    let found = state.rollbacks(&filter, 1)?.into_iter().next();
    found.ok_or_else(|| Error::UnknownRollback { rollback_id: id.to_owned() })
}

/// Undoes one restore.
fn one(
    workplace: &Workplace,
    repository: &Repository,
    state: &State,
    row: &Rollback,
    request: &UndoRequest,
) -> Result<Restored> {
    let not = |why: String| Error::NotUndoable { rollback_id: row.rollback_id.clone(), why };
    if row.repository != repository.id().to_string() {
        return Err(not("it belongs to another repository: name that one".to_owned()));
    }
    let Some(before) = &row.pre_rollback_backup else {
        let why = if row.strategy.as_deref() == Some(Strategy::NewLocation.name()) {
            "it made a new place and changed nothing else: remove that place"
        } else {
            "it has no snapshot of what was there before: it changed nothing, nothing was there, or it was forced"
        };
        return Err(not(why.to_owned()));
    };
    let report = state.report(row.number)?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let undone = undone_of(row, report.as_ref());
    let mut restored = restore(
        workplace,
        repository,
        &RestoreRequest {
            backup: before.clone(),
            target: Some(row.target.clone()),
            strategy: Some(Strategy::Replace),
            mode: request.mode,
            kind: RollbackType::Undo,
            fingerprint: request.fingerprint.clone(),
            undone: Some(undone),
            ..RestoreRequest::default()
        },
    )?;
    restored.warnings.extend(stays(report.as_ref(), &restored));
    Ok(restored)
}

/// What the row and the report of a restore say of what it did.
fn undone_of(row: &Rollback, report: Option<&Value>) -> Undone {
    let (mut written, mut created) = (Vec::new(), Vec::new());
    for (source, workflow) in workflows(report) {
        let text = |key: &str| workflow.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(id) = text("live_id").or_else(|| text("id")) else { continue };
        match text("action").as_deref() {
            Some("created") => created.push((source, id)),
            // Also one whose write failed: it may have been changed.
            Some("updated" | "removed") => written.push((source, id)),
            _ => {}
        }
    }
    let is_told = report.is_some_and(|report| report.get("steps").is_some());
    Undone {
        rollback_id: row.rollback_id.clone(),
        source: row.source_backup_id.clone(),
        workflow: row.workflow_id.clone(),
        written: is_told.then_some(written),
        created,
    }
}

/// Source and what became of each workflow.
fn workflows(report: Option<&Value>) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for step in steps(report) {
        let source = step.get("sources").and_then(|s| s.get(0)).and_then(Value::as_str).unwrap_or_default();
        let list = step.get("workflows").and_then(Value::as_array).into_iter().flatten();
        all.extend(list.map(|workflow| (source.to_owned(), workflow)));
    }
    all
}

fn steps(report: Option<&Value>) -> impl Iterator<Item = &Value> {
    report.and_then(|report| report.get("steps")).and_then(Value::as_array).into_iter().flatten()
}

/// What was made where nothing was, and is not removed: databases as a whole.
fn stays(report: Option<&Value>, restored: &Restored) -> Vec<String> {
    let has = |source: &str| restored.steps.iter().any(|step| step.sources.iter().any(|s| s == source));
    let planned = |source: &str| {
        let plan = restored.plan.as_ref();
        plan.is_some_and(|plan| plan.steps.iter().any(|step| step.sources.iter().any(|s| s == source)))
    };
    let mut told = Vec::new();
    for step in steps(report).filter(|s| s.get("restored").and_then(Value::as_u64) != Some(0)) {
        let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_database = matches!(text("kind"), "sqlite" | "postgres");
        for source in step.get("sources").and_then(Value::as_array).into_iter().flatten() {
            let source = source.as_str().unwrap_or_default();
            if is_database && !has(source) && !planned(source) {
                told.push(format!("{source}: {} was not there before, and stays", text("place")));
            }
        }
    }
    told
}

/// Undoes the parts of a call, the last one first; what cannot be undone is named, and keeps nothing else from it.
fn several(
    workplace: &Workplace,
    repository: &Repository,
    request: &UndoRequest,
    (state, row): (&State, &Rollback),
    parts: &[Rollback],
) -> Result<Undid> {
    let mut done = Undid { undoes: row.rollback_id.clone(), ..Undid::default() };
    if request.fingerprint.is_some() {
        let why =
            "a fingerprint stands for one restore, and this call consists of several: undo each of its parts";
        return Err(Error::NotUndoable { rollback_id: row.rollback_id.clone(), why: why.to_owned() });
    }
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
    for part in parts.iter().filter(|part| part.pre_rollback_backup.is_some()) {
        match one(workplace, repository, state, part, request) {
            Ok(restored) => done.restores.push(restored),
            Err(error) => done.errors.push(format!("{}: {error}", part.target)),
        }
    }
    let is_whole = done.errors.is_empty() && done.restores.iter().all(|r| r.status != "partial");
    let status = match (is_whole, done.restores.is_empty()) {
        (true, _) => RollbackStatus::Completed,
        (false, false) => RollbackStatus::Partial,
        (false, true) => RollbackStatus::Failed,
    };
    done.message = match done.errors.first() {
        None => format!("{} parts of {} are undone", done.restores.len(), row.rollback_id),
        Some(first) => format!("not all of {} is undone: {first}", row.rollback_id),
    };
    let Some(call) = call else {
        "planned".clone_into(&mut done.status);
        done.message = format!("would undo {} parts; nothing was changed", done.restores.len());
        return Ok(done);
    };
    status.word().clone_into(&mut done.status);
    let why = (status != RollbackStatus::Completed).then_some(&*done.message);
    let details = json!({ "rollback_id": call.id, "undoes": row.rollback_id });
    call.ended(
        (status, why),
        &done,
        &ended(&workplace.env, "rollback_completed", &row.target, (status, why), details),
    );
    Ok(done)
}
