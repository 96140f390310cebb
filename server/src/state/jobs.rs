//! The queue of jobs: one row for each piece of work that is to be done, is being done, or was done not long ago.
//!
//! What always holds: of several processes one alone begins a job; of one lane at most one job runs; an end is written once and
//! stays. What was queued is on disk when that is reported.

mod changes;
mod rows;
#[cfg(test)]
mod tests;

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::state::State;

pub use changes::{Attempt, Cancelled, Choice};
use rows::{COLUMNS, row};

/// Jobs that have ended and are kept: a poll every five minutes for a week, and as many others.
const ENDED_MAX: u32 = 4_000;
/// How long they are kept, in nanoseconds: 90 days.
const ENDED_AGE_MAX: i64 = 90 * 86_400 * 1_000_000_000;

/// How long a look is kept that found nothing new, in nanoseconds: a day.
const UNEVENTFUL_AGE_MAX: i64 = 86_400 * 1_000_000_000;

/// The table. Times are nanoseconds since 1970. `revision` grows with every change that somebody may want to see.
pub(super) const TABLE: &str = "
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    task TEXT NOT NULL,
    schedule TEXT,
    due INTEGER,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    began INTEGER,
    ended INTEGER,
    phase TEXT,
    items INTEGER NOT NULL DEFAULT 0,
    items_total INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    bytes_total INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT,
    revision INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX jobs_of_repository ON jobs (repository, status, priority, number);
";

/// What was added: whether somebody waits for a job.
pub(super) const AWAITED: &str = "ALTER TABLE jobs ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;";

/// Which row it is; later ones have greater numbers.
pub type JobNumber = i64;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// It waits for its turn.
    Queued,
    /// It goes on.
    Running,
    /// It is done.
    Completed,
    /// It is done in part.
    Partial,
    /// It could not be done.
    Failed,
    /// Somebody wanted it no more.
    Cancelled,
    /// Its process ended, and it is not begun again.
    Interrupted,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Whether nothing more will happen.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A job that is to be queued.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Its id.
    pub id: &'a str,
    /// The repository, as this host knows it.
    pub repository: &'a str,
    /// What kind of work it is.
    pub kind: &'a str,
    /// Whose, if of one target alone.
    pub target: Option<&'a str>,
    /// Jobs of one lane run one after the other.
    pub lane: &'a str,
    /// Smaller ones first.
    pub priority: u8,
    /// What is done, as JSON.
    pub task: &'a str,
    /// The schedule that asked for it, and the due time that it stands for.
    pub schedule: Option<(&'a str, i64)>,
    /// Somebody waits for its end: it is begun once.
    pub awaited: bool,
    /// When.
    pub created: i64,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// What it is doing.
    pub phase: String,
    /// Files that are done.
    pub items: u64,
    /// Files that are known of.
    pub items_total: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that are known of.
    pub bytes_total: u64,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Which one.
    pub number: JobNumber,
    /// Its id.
    pub id: String,
    /// What kind of work it is.
    pub kind: String,
    /// Whose, if of one target alone.
    pub target: Option<String>,
    /// What is done, as JSON.
    pub task: String,
    /// The schedule that asked for it.
    pub schedule: Option<String>,
    /// The due time that it stands for.
    pub due: Option<i64>,
    /// Somebody waits for its end: it is begun once.
    pub awaited: bool,
    /// How it stands.
    pub status: JobStatus,
    /// How often it was begun.
    pub attempts: u32,
    /// Whether it is asked to stop.
    pub cancel: bool,
    /// When it was queued.
    pub created: i64,
    /// Before when it is not begun.
    pub ready: i64,
    /// When it last began.
    pub began: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// How far it is.
    pub progress: JobProgress,
    /// What it made, as JSON.
    pub result: Option<String>,
    /// Why it is not done, or not all of it.
    pub error: Option<String>,
    /// How often something of it changed.
    pub revision: u64,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobEnding<'a> {
    /// How it stands.
    pub status: JobStatus,
    /// What it made, as JSON.
    pub result: Option<&'a str>,
    /// Why it is not done, or not all of it.
    pub error: Option<&'a str>,
    /// When.
    pub ended: i64,
}

/// Which jobs are listed.
#[derive(Clone, Debug, Default)]
pub struct JobFilter<'a> {
    /// That stand so.
    pub status: Option<JobStatus>,
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// Of this target.
    pub target: Option<&'a str>,
    /// That this schedule asked for.
    pub schedule: Option<&'a str>,
    /// Before this one.
    pub before: Option<JobNumber>,
}

impl State {
    /// Puts a job into the queue; it is on disk when this returns.
    pub fn add_job(&self, job: &NewJob<'_>) -> Result<JobRow> {
        let mut connection = self.connection();
        let added = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let schedule = job.schedule.unzip();
            change.execute(
                "INSERT INTO jobs (id, repository, kind, target, lane, priority, task, schedule, due, awaited, status, created, ready)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'queued', ?11, ?11)",
                params![
                    job.id,
                    job.repository,
                    job.kind,
                    job.target,
                    job.lane,
                    job.priority,
                    job.task,
                    schedule.0,
                    schedule.1,
                    job.awaited,
                    job.created
                ],
            )?;
            let sql = format!("SELECT {COLUMNS} FROM jobs WHERE number = ?1");
            let added = change.query_row(&sql, [change.last_insert_rowid()], row)?;
            change.commit()?;
            Ok(added)
        })();
        added.map_err(|e| self.wrong(e))
    }

    /// The job of an id.
    pub fn job(&self, repository: &str, id: &str) -> Result<Option<JobRow>> {
        let connection = self.connection();
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE repository = ?1 AND id = ?2");
        let found =
            connection.prepare_cached(&sql).and_then(|mut s| s.query_row([repository, id], row).optional());
        found.map_err(|e| self.wrong(e))
    }

    /// Jobs that fit, newest first, at most `limit`.
    pub fn jobs(&self, repository: &str, filter: &JobFilter<'_>, limit: u32) -> Result<Vec<JobRow>> {
        let status = filter.status.map(JobStatus::word);
        let connection = self.connection();
        let listed = (|| {
            let sql = format!(
                "SELECT {COLUMNS} FROM jobs WHERE repository = ?1 AND (?2 IS NULL OR status = ?2)
                   AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR target = ?4) AND (?5 IS NULL OR schedule = ?5)
                   AND (?6 IS NULL OR number < ?6) ORDER BY number DESC LIMIT ?7"
            );
            let values = params![
                repository,
                status,
                filter.kind,
                filter.target,
                filter.schedule,
                filter.before,
                limit
            ];
            connection.prepare_cached(&sql)?.query_map(values, row)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// Jobs of a due time of a schedule: of each its target and how it stands.
    pub fn jobs_due(
        &self,
        repository: &str,
        schedule: &str,
        due: i64,
    ) -> Result<Vec<(Option<String>, JobStatus)>> {
        let connection = self.connection();
        let found = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT target, status FROM jobs WHERE repository = ?1 AND schedule = ?2 AND due = ?3",
            )?;
            let found = statement.query_map(params![repository, schedule, due], |row| {
                Ok((row.get(0)?, rows::status(&row.get::<_, String>(1)?)?))
            })?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        })();
        found.map_err(|e| self.wrong(e))
    }

    /// The schedules that asked for something that has not ended.
    pub fn busy_schedules(&self, repository: &str) -> Result<Vec<String>> {
        let connection = self.connection();
        let found = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT DISTINCT schedule FROM jobs
                 WHERE repository = ?1 AND schedule IS NOT NULL AND status IN ('queued', 'running')",
            )?;
            statement.query_map([repository], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        })();
        found.map_err(|e| self.wrong(e))
    }
}
