//! Giving space back, between the hooks of that; and telling that a cleanup has ended.

use chronos_store::{PruneReport, Repository};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::events::{cleaned, record};
use crate::hooks::{Hooks, Operation};
use crate::operations::Mode;
use crate::state::Alert;
use crate::workplace::Workplace;

/// Does what gives space back between its hooks; `targets` are those whose snapshots it is about, none if it is about all. `told` says
/// what came of it, and `why` what went wrong.
///
/// # Errors
/// [`Error::Vetoed`], before anything is touched; those of `work`.
pub fn hooked<T, E: From<Error>>(
    workplace: &Workplace,
    repository: &Repository,
    (targets, mode): (&[String], Mode),
    work: impl FnOnce() -> Result<T, E>,
    told: impl FnOnce(&T) -> Value,
    why: impl FnOnce(&E) -> String,
) -> Result<T, E> {
    if mode.is_dry() {
        return work();
    }
    Hooks::of(workplace, repository.monitor(), Operation::Prune, targets).around(&json!({}), work, told, why)
}

/// What hooks are told of space that was given back.
pub fn outcome(deleted: &[String], report: &PruneReport) -> Value {
    json!({
        "status": "completed",
        "deleted_count": deleted.len(),
        "deleted": deleted,
        "freed_bytes": report.bytes_freed,
        "pending_bytes": report.bytes_pending,
    })
}

/// Tells that a cleanup has ended.
pub fn tell(workplace: &Workplace, repository: &Repository, deleted: &[String], report: &PruneReport) {
    let events = |_: &_| vec![cleaned(&workplace.env, deleted, report.bytes_freed)];
    if let Err(error) = record(workplace, Alert::Untouched, &events) {
        repository.monitor().problem(&format!("nobody is told of this cleanup: {error}"));
    }
}
