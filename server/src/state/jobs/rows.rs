//! From columns to values.

use rusqlite::types::Type;
use rusqlite::{Error, Row};

use super::{JobProgress, JobRow, JobStatus};

/// What [`row`] reads.
pub(super) const COLUMNS: &str = "number, id, kind, target, task, schedule, due, awaited, status, attempts, cancel, created, ready, began, \
    ended, phase, items, items_total, bytes, bytes_total, result, error, revision";

/// Reads a row.
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let unsigned = |column: &str| Ok::<_, Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
    Ok(JobRow {
        number: row.get("number")?,
        id: row.get("id")?,
        kind: row.get("kind")?,
        target: row.get("target")?,
        task: row.get("task")?,
        schedule: row.get("schedule")?,
        due: row.get("due")?,
        awaited: row.get("awaited")?,
        status: status(&row.get::<_, String>("status")?)?,
        attempts: row.get("attempts")?,
        cancel: row.get("cancel")?,
        created: row.get("created")?,
        ready: row.get("ready")?,
        began: row.get("began")?,
        ended: row.get("ended")?,
        progress: JobProgress {
            phase: row.get::<_, Option<String>>("phase")?.unwrap_or_default(),
            items: unsigned("items")?,
            items_total: unsigned("items_total")?,
            bytes: unsigned("bytes")?,
            bytes_total: unsigned("bytes_total")?,
        },
        result: row.get("result")?,
        error: row.get("error")?,
        revision: unsigned("revision")?,
    })
}

/// Reads a status.
pub(super) fn status(word: &str) -> rusqlite::Result<JobStatus> {
    JobStatus::of_word(word).ok_or_else(|| {
        let why = format!("{word:?} is not known");
        Error::FromSqlConversionFailure(0, Type::Text, why.into())
    })
}

/// SQLite has no unsigned numbers.
pub(super) fn counted(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
