//! What happens to a job between its beginning and its end.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::rows::{COLUMNS, counted, row};
use super::{
    ENDED_AGE_MAX, ENDED_MAX, JobEnding, JobNumber, JobProgress, JobRow, JobStatus, UNEVENTFUL_AGE_MAX,
};
use crate::error::Result;
use crate::state::State;

/// What became of the wish to cancel a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and is over.
    Now(JobRow),
    /// It is asked to stop at its next safe place.
    Asked(JobRow),
    /// It had ended already.
    TooLate(JobRow),
}

/// Which jobs are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All of them.
    All,
    /// Those that somebody waits for, and those that take no worker.
    Beside,
}

/// Whether an attempt that came to nothing counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It failed.
    Counts,
    /// It was stopped for reasons that are not its own.
    CountsNot,
}

impl Cancelled {
    /// The job.
    pub fn job(&self) -> &JobRow {
        match self {
            Self::Now(job) | Self::Asked(job) | Self::TooLate(job) => job,
        }
    }
}

impl State {
    /// Begins the first job that may begin: the most urgent, among these the oldest, of a lane in which none runs.
    pub fn begin_job(&self, repository: &str, choice: Choice, now: i64) -> Result<Option<JobRow>> {
        let connection = self.connection();
        let begun = connection
            .prepare_cached(&format!(
                "UPDATE jobs SET status = 'running', attempts = attempts + 1, began = ?2, phase = NULL, items = 0, items_total = 0,
                     bytes = 0, bytes_total = 0, revision = revision + 1
                 WHERE number = (
                     SELECT number FROM jobs j
                     WHERE repository = ?1 AND status = 'queued' AND ready <= ?2 AND (awaited OR kind = 'sync' OR NOT ?3) AND NOT EXISTS (
                         SELECT 1 FROM jobs r WHERE r.repository = ?1 AND r.status = 'running' AND r.lane = j.lane)
                     ORDER BY priority, number LIMIT 1)
                 RETURNING {COLUMNS}"
            ))
            .and_then(|mut statement| statement.query_row(params![repository, now, choice == Choice::Beside], row).optional());
        begun.map_err(|e| self.wrong(e))
    }

    /// Notes how far a job is; tells whether it is asked to stop.
    pub fn progress_job(&self, number: JobNumber, progress: &JobProgress) -> Result<bool> {
        let connection = self.connection();
        let values = params![
            number,
            progress.phase,
            counted(progress.items),
            counted(progress.items_total),
            counted(progress.bytes),
            counted(progress.bytes_total)
        ];
        let noted = (|| {
            connection
                .prepare_cached(
                    "UPDATE jobs SET phase = ?2, items = ?3, items_total = ?4, bytes = ?5, bytes_total = ?6,
                         revision = revision + 1
                     WHERE number = ?1 AND status = 'running'
                       AND (phase IS NOT ?2 OR items != ?3 OR items_total != ?4 OR bytes != ?5 OR bytes_total != ?6)",
                )?
                .execute(values)?;
            let mut statement = connection.prepare_cached("SELECT cancel FROM jobs WHERE number = ?1")?;
            statement.query_row([number], |row| row.get(0)).optional()
        })();
        // One that is no longer in the table is wanted by nobody.
        noted.map(|cancel| cancel.unwrap_or(true)).map_err(|e| self.wrong(e))
    }

    /// Notes how a running job ended, and lets go of the oldest that have.
    pub fn end_job(&self, repository: &str, number: JobNumber, ending: &JobEnding<'_>) -> Result<()> {
        let mut connection = self.connection();
        let ended = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute(
                "UPDATE jobs SET status = ?2, result = ?3, error = ?4, ended = ?5, revision = revision + 1
                 WHERE number = ?1 AND status = 'running'",
                params![number, ending.status.word(), ending.result, ending.error, ending.ended],
            )?;
            forget(&change, repository, number, ending.ended)?;
            change.commit()
        })();
        ended.map_err(|e| self.wrong(e))
    }

    /// Puts a running job back into the queue, to be begun at `ready` or later.
    pub fn requeue_job(&self, number: JobNumber, ready: i64, attempt: Attempt, why: &str) -> Result<()> {
        let connection = self.connection();
        let undone = u8::from(attempt == Attempt::CountsNot);
        let queued = connection.execute(
            "UPDATE jobs SET status = 'queued', ready = ?2, error = ?3, attempts = attempts - ?4, revision = revision + 1
             WHERE number = ?1 AND status = 'running'",
            params![number, ready, why, undone],
        );
        queued.map(drop).map_err(|e| self.wrong(e))
    }

    /// When the next job of the queue may begin that may not yet.
    pub fn next_job(&self, repository: &str, now: i64) -> Result<Option<i64>> {
        let connection = self.connection();
        let next = connection.query_row(
            "SELECT min(ready) FROM jobs WHERE repository = ?1 AND status = 'queued' AND ready > ?2",
            params![repository, now],
            |row| row.get(0),
        );
        next.map_err(|e| self.wrong(e))
    }

    /// Ends a job that waits; asks one that runs to stop. `None` if there is none of this id.
    pub fn cancel_job(&self, repository: &str, id: &str, now: i64) -> Result<Option<Cancelled>> {
        let mut connection = self.connection();
        let cancelled = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = format!("SELECT {COLUMNS} FROM jobs WHERE repository = ?1 AND id = ?2");
            let find = || change.query_row(&sql, [repository, id], row).optional();
            let Some(found) = find()? else { return Ok(None) };
            change.execute(
                "UPDATE jobs SET cancel = 1, revision = revision + 1,
                     ended = CASE status WHEN 'queued' THEN ?2 ELSE ended END,
                     error = CASE status WHEN 'queued' THEN 'it was cancelled before it began' ELSE error END,
                     status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END
                 WHERE number = ?1 AND status IN ('queued', 'running')",
                params![found.number, now],
            )?;
            let is = find()?;
            change.commit()?;
            Ok(is.map(|is| match found.status {
                JobStatus::Queued => Cancelled::Now(is),
                JobStatus::Running => Cancelled::Asked(is),
                _ => Cancelled::TooLate(is),
            }))
        })();
        cancelled.map_err(|e| self.wrong(e))
    }

    /// Sees to the jobs whose process died: they are queued again, or over if they were begun `attempts_max` times, nobody wants
    /// them any more, or somebody waited who is gone. Called by the one who carries out the jobs of a repository, before it begins any. Those that it changed.
    pub fn recover_jobs(&self, repository: &str, attempts_max: u32, now: i64) -> Result<Vec<JobRow>> {
        let connection = self.connection();
        let recovered = (|| {
            let mut statement = connection.prepare_cached(&format!(
                "UPDATE jobs SET revision = revision + 1, error = 'its process ended without a word', ready = ?3,
                     ended = CASE WHEN cancel OR awaited OR attempts >= ?2 THEN ?3 END,
                     status = CASE WHEN cancel THEN 'cancelled' WHEN awaited OR attempts >= ?2 THEN 'interrupted' ELSE 'queued' END
                 WHERE repository = ?1 AND status = 'running' RETURNING {COLUMNS}"
            ))?;
            statement
                .query_map(params![repository, attempts_max, now], row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })();
        recovered.map_err(|e| self.wrong(e))
    }
}

/// Removes what has ended too long ago, and what is too much; never what ends now.
fn forget(connection: &Connection, repository: &str, ends: JobNumber, now: i64) -> rusqlite::Result<()> {
    const ENDED: &str = "repository = ?1 AND status NOT IN ('queued', 'running')";
    connection.execute(
        &format!("DELETE FROM jobs WHERE {ENDED} AND ended < ?2"),
        params![repository, now.saturating_sub(ENDED_AGE_MAX)],
    )?;
    connection.execute(
        "DELETE FROM jobs WHERE repository = ?1 AND status = 'completed' AND ended < ?2
           AND json_extract(task, '$.on_change') AND json_extract(result, '$.status') = 'unchanged'",
        params![repository, now.saturating_sub(UNEVENTFUL_AGE_MAX)],
    )?;
    connection.execute(
        &format!(
            "DELETE FROM jobs WHERE number != ?3 AND number IN (
                 SELECT number FROM jobs WHERE {ENDED} ORDER BY ended DESC, number DESC LIMIT -1 OFFSET ?2)"
        ),
        params![repository, ENDED_MAX, ends],
    )?;
    Ok(())
}
