//! What the history of this host says of a restore, and with it whoever is told.

use std::sync::Arc;

use chronos_snapshot::ErrorKind;
use chronos_store::Repository;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::events::{record as tell, restore_ended, rollback_requested};
use crate::operations::restore::call::end;
use crate::operations::restore::{Restored, Task};
use crate::state::{Alert, NewRollback, RollbackFilter, RollbackStatus, RollbackType, State};
use crate::turn::Turn;
use crate::workplace::Workplace;

/// Rows that may be going on: one for each target.
const RUNNING_MAX: u32 = 10_000;

/// A restore that is noted in the history, if that can be.
#[derive(Debug)]
pub(super) struct Record {
    noted: Option<(Arc<State>, i64)>,
    /// Its id.
    pub(super) id: String,
}

impl Record {
    /// Notes that a restore begins. A history that cannot be written keeps nobody from bringing things back: it is told of.
    pub(super) fn begin(task: &Task<'_>, warnings: &mut Vec<String>) -> Self {
        let now = task.repository.env().clock.now();
        let base_id = base_id(now);
        let noted = State::open(&task.workplace.places.state).and_then(|state| {
            let (number, id) = state.begin_rollback(&NewRollback {
                base_id: &base_id,
                repository: &task.repository.id().to_string(),
                target: &task.target,
                rollback_type: task.kind,
                strategy: Some(task.strategy.name()),
                source_backup_id: Some(&task.snapshot.manifest.backup_id),
                source_version_id: task.version.as_deref(),
                workflow_id: task.workflow(),
                part_of: task.part_of.as_deref(),
                undoes: task.undone.as_ref().map(|undone| &*undone.rollback_id),
                created_at: short(now),
            })?;
            Ok((state, number, id))
        });
        let record = match noted {
            Ok((state, number, id)) => Self { noted: Some((Arc::new(state), number)), id },
            Err(error) => {
                warnings.push(format!("the history does not have this restore: {error}"));
                Self { noted: None, id: base_id }
            }
        };
        if let Some(workflow) = task.workflow() {
            let about = json!({ "status": "running", "rollback_id": record.id, "version_id": task.version });
            warnings.extend(requested(task.workplace, &task.target, workflow, &about));
        }
        record
    }

    /// The state that has it, and its number there.
    pub(super) fn noted(&self) -> Option<&(Arc<State>, i64)> {
        self.noted.as_ref()
    }

    /// Notes which part of a database is put back, so that no more of it is undone if the process dies.
    pub(super) fn part(&self, task: &Task<'_>, restored: &Restored) {
        let Some((state, number)) = &self.noted else { return };
        let (tables, schemas) = (&restored.tables, &restored.schemas);
        if tables.is_empty() && schemas.is_empty() {
            return;
        }
        let report = json!({ "tables": tables, "schemas": schemas }).to_string();
        if let Err(error) = state.note_report(*number, &report) {
            task.repository.monitor().problem(&format!("the history does not say which part it is: {error}"));
        }
    }

    /// Notes the snapshot of what was there before.
    pub(super) fn safety(&self, task: &Task<'_>, backup_id: &str) {
        let Some((state, number)) = &self.noted else { return };
        if let Err(error) = state.note_safety(*number, backup_id) {
            task.repository.monitor().problem(&format!("the history does not name {backup_id}: {error}"));
        }
    }

    /// Notes how it ended, and tells of it.
    pub(super) fn ended(&self, task: &Task<'_>, restored: &Restored, error: Option<&Error>) {
        let is_interrupted = error.is_some_and(|e| e.kind() == Kind::Library(ErrorKind::Interrupted));
        let status = match &*restored.status {
            _ if is_interrupted => RollbackStatus::Interrupted,
            "completed" => RollbackStatus::Completed,
            "partial" => RollbackStatus::Partial,
            _ => RollbackStatus::Failed,
        };
        let why = error
            .map(ToString::to_string)
            .or_else(|| (status != RollbackStatus::Completed).then(|| restored.message.clone()));
        let event = restore_ended(
            &task.workplace.env,
            task.kind,
            task.workflow().unwrap_or(&task.target),
            &task.target,
            (status, why.as_deref()),
            json!({
                "rollback_id": restored.rollback_id,
                "backup_id": restored.backup_id,
                "version_id": task.version,
                "workflow_id": task.workflow(),
                "restored_count": restored.restored_count,
                "error_count": restored.error_count,
                "strategy": restored.strategy,
                "pre_rollback_backup": restored.pre_rollback_backup,
            }),
        );
        let Some((state, number)) = &self.noted else { return };
        let noted = end(task.workplace, (state, *number), (status, why.as_deref()), restored, &event);
        if let Err(error) = noted {
            task.repository.monitor().problem(&format!("the history has no end of {}: {error}", self.id));
        }
    }
}

/// Notes that a workflow was to be rolled back and no other version of it is stored; gives the id of the row.
///
/// # Errors
/// Those of the state of this host.
pub fn note_without_version(
    workplace: &Workplace,
    repository: &Repository,
    target: &str,
    workflow: &str,
    why: &str,
) -> Result<String> {
    let status = RollbackStatus::RequiresBackup;
    let id = noted(workplace, repository, (target, workflow), status, why)?;
    let about = json!({ "status": status.word(), "rollback_id": id, "error": why });
    if let Some(problem) = requested(workplace, target, workflow, &about) {
        workplace.monitor.problem(&problem);
    }
    Ok(id)
}

/// Notes that a workflow was to be rolled back and that it failed before anything was touched; gives the error with the id of the row,
/// or as it was if there can be none.
pub fn note_unbegun(
    workplace: &Workplace,
    repository: &Repository,
    (target, workflow): (&str, &str),
    error: Error,
) -> Error {
    let why = error.to_string();
    let status = RollbackStatus::Failed;
    let id = match noted(workplace, repository, (target, workflow), status, &why) {
        Ok(id) => id,
        Err(unwritten) => {
            workplace.monitor.problem(&format!("the history does not have this rollback: {unwritten}"));
            return error;
        }
    };
    let about = json!({ "rollback_id": id, "workflow_id": workflow });
    let kind = RollbackType::Version;
    let event = |_: &_| {
        let ending = (status, Some(&*why));
        vec![restore_ended(&workplace.env, kind, workflow, target, ending, about.clone())]
    };
    if let Err(untold) = tell(workplace, Alert::Untouched, &event) {
        workplace.monitor.problem(&format!("nobody is told that {id} failed: {untold}"));
    }
    let report = json!({ "rollback_id": id, "workflow_id": workflow, "status": "failed", "message": why });
    Error::NotRestored { rollback_id: id, report, cause: Box::new(error) }
}

/// A row of its own for what ended before it began.
fn noted(
    workplace: &Workplace,
    repository: &Repository,
    (target, workflow): (&str, &str),
    status: RollbackStatus,
    why: &str,
) -> Result<String> {
    let now = workplace.env.clock.now();
    let new = NewRollback {
        base_id: &base_id(now),
        repository: &repository.id().to_string(),
        target,
        rollback_type: RollbackType::Version,
        strategy: None,
        source_backup_id: None,
        source_version_id: None,
        workflow_id: Some(workflow),
        part_of: None,
        undoes: None,
        created_at: short(now),
    };
    State::open(&workplace.places.state)?.note_rollback(&new, status, why)
}

/// Tells that somebody wants a workflow back; or gives why it cannot be told.
fn requested(workplace: &Workplace, target: &str, workflow: &str, about: &Value) -> Option<String> {
    let event = |_: &_| vec![rollback_requested(&workplace.env, target, workflow, about.clone())];
    let told = tell(workplace, Alert::Untouched, &event);
    told.err().map(|error| format!("nobody is told that {workflow} is to be rolled back: {error}"))
}

/// The id of what begins now, if no other has it.
pub(super) fn base_id(now: i128) -> String {
    format!("rollback_{}", Timestamp::from_nanosecond(now).unwrap_or_default().strftime("%Y%m%d_%H%M%S"))
}

/// The name of the turn that restores of a target take beside that of its backups: no target can be named so.
pub(super) fn turn_of(target: &str) -> String {
    format!("restore@{target}")
}

/// Marks those that a process left without an end. Those whose turn somebody has go on.
pub fn settle(workplace: &Workplace) -> Result<()> {
    let folder = &workplace.places.state;
    if !State::is_there(folder) {
        return Ok(());
    }
    let state = State::open(folder)?;
    let filter = RollbackFilter { status: Some(RollbackStatus::Running), ..RollbackFilter::default() };
    for row in state.rollbacks(&filter, RUNNING_MAX)? {
        if let Some(_turn) = Turn::try_take(folder, &row.repository, &turn_of(&row.target))? {
            state.interrupt_rollbacks(&row.repository, &row.target, short(workplace.env.clock.now()))?;
        }
    }
    Ok(())
}

/// Nanoseconds as tables keep them.
pub(super) fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
