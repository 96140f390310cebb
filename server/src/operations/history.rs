//! What was put back, as this host remembers it: `GET /history` and `chronos history`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::rfc3339;
use crate::error::{Error, Result};
use crate::operations::restore::settle;
use crate::operations::targets::known_target;
use crate::state::{Rollback, RollbackFilter, RollbackStatus, State};
use crate::workplace::Workplace;

/// Most parts of a call that are listed.
const PARTS_MAX: u32 = 1000;

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryRow {
    /// Its id.
    pub rollback_id: String,
    /// What was written to.
    pub target: String,
    /// `backup_restore`, `rollback`, `version`, `recover`, `rebuild`, `emergency` or `undo`.
    pub rollback_type: String,
    /// The snapshot that was put back.
    pub source_backup_id: Option<String>,
    /// The version of a workflow that was put back.
    pub source_version_id: Option<String>,
    /// That workflow.
    pub workflow_id: Option<String>,
    /// How: `new_location`, `overwrite`, `replace` or `merge`.
    pub strategy: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// `running`, `completed`, `partial`, `failed` or `interrupted`.
    pub status: &'static str,
    /// When it began.
    pub created_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
    /// What is not back, and why.
    pub error_message: Option<String>,
    /// The call that it is a part of.
    pub part_of: Option<String>,
    /// The rollback that it undoes.
    pub undoes: Option<String>,
}

/// One call with its report.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// The call.
    #[serde(flatten)]
    pub row: HistoryRow,
    /// What it answered, or how far it has come.
    pub report: Option<serde_json::Value>,
    /// The calls that are parts of it, the oldest first.
    pub parts: Vec<HistoryRow>,
    /// The calls that undo it, the oldest first.
    pub undone_by: Vec<HistoryRow>,
}

impl From<Rollback> for HistoryRow {
    fn from(row: Rollback) -> Self {
        Self {
            rollback_id: row.rollback_id,
            target: row.target,
            rollback_type: row.rollback_type,
            source_backup_id: row.source_backup_id,
            source_version_id: row.source_version_id,
            workflow_id: row.workflow_id,
            strategy: row.strategy,
            pre_rollback_backup: row.pre_rollback_backup,
            status: row.status.word(),
            created_at: rfc3339(row.created_at),
            completed_at: row.completed_at.and_then(rfc3339),
            error_message: row.error_message,
            part_of: row.part_of,
            undoes: row.undoes,
        }
    }
}

/// The calls that fit, newest first. Those whose process ended without a word are marked before.
///
/// # Errors
/// [`Error::UnknownTarget`] for one that nothing here knows; the state of this host cannot be read.
pub fn history(
    workplace: &Workplace,
    target: Option<&str>,
    status: Option<RollbackStatus>,
    limit: u32,
) -> Result<Vec<HistoryRow>> {
    settle(workplace)?;
    let state = State::open(&workplace.places.state)?;
    let target = target.map(|name| known_target(&workplace.config, &state, name)).transpose()?;
    let filter = RollbackFilter { target: target.as_deref(), status, ..RollbackFilter::default() };
    let rows = state.rollbacks(&filter, limit)?;
    Ok(rows.into_iter().map(HistoryRow::from).collect())
}

/// One call, with its parts and what undid it.
///
/// # Errors
/// [`Error::UnknownRollback`]; the state of this host cannot be read.
pub fn entry(workplace: &Workplace, id: &str) -> Result<HistoryEntry> {
    settle(workplace)?;
    let state = State::open(&workplace.places.state)?;
    let rows = |filter: &RollbackFilter<'_>| -> Result<Vec<HistoryRow>> {
        Ok(state.rollbacks(filter, PARTS_MAX)?.into_iter().rev().map(HistoryRow::from).collect())
    };
    let found = state.rollback(id)?.ok_or_else(|| Error::UnknownRollback { rollback_id: id.to_owned() })?;
    let report = state.report(found.number)?;
    Ok(HistoryEntry {
        report: report.and_then(|text| serde_json::from_str(&text).ok()),
        parts: rows(&RollbackFilter { part_of: Some(id), ..RollbackFilter::default() })?,
        undone_by: rows(&RollbackFilter { undoes: Some(id), ..RollbackFilter::default() })?,
        row: found.into(),
    })
}
