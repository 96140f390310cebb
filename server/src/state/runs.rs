//! The history of runs: one row for each attempt to back up a configured target on this host, also those that failed.

use rusqlite::{Row, TransactionBehavior, params};
use serde::Serialize;

use crate::error::Result;
use crate::state::State;
use crate::state::outbox::{self, Telling};

/// Runs that are kept; older ones go. A run every five minutes for a month.
const RUNS_MAX: u32 = 10_000;

/// The table. Times are nanoseconds since 1970.
pub(super) const TABLE: &str = "
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT,
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    tier TEXT NOT NULL,
    backup_type TEXT NOT NULL,
    status TEXT NOT NULL,
    backup_id TEXT,
    snapshot TEXT,
    error TEXT,
    began INTEGER NOT NULL,
    ended INTEGER,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_of_target ON runs (repository, target, number);
";

/// Runs that fit, newest first.
const LISTED: &str = "
SELECT number, run_id, repository, target, tier, backup_type, status, backup_id, snapshot, error, began, ended, files, bytes
FROM runs
WHERE (?1 IS NULL OR repository = ?1) AND (?2 IS NULL OR target = ?2) AND (?3 IS NULL OR status = ?3)
  AND (?4 IS NULL OR run_id = ?4) AND (?5 IS NULL OR backup_id = ?5) AND (?6 IS NULL OR number < ?6)
ORDER BY number DESC LIMIT ?7
";

/// Which row it is.
pub type RunNumber = i64;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// Everything is in the snapshot.
    Completed,
    /// Nothing had changed.
    Unchanged,
    /// Something is missing from the snapshot.
    Partial,
    /// There is no snapshot.
    Failed,
    /// It was stopped, or its process died.
    Interrupted,
}

impl RunStatus {
    const ALL: [Self; 6] =
        [Self::Running, Self::Completed, Self::Unchanged, Self::Partial, Self::Failed, Self::Interrupted];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Unchanged => "unchanged",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of a word; what a later version may write counts as failed.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|s| s.word() == word).unwrap_or(Self::Failed)
    }
}

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// The run over several targets that it is part of.
    pub run_id: Option<&'a str>,
    /// Id of the repository.
    pub repository: &'a str,
    /// Target.
    pub target: &'a str,
    /// Tier.
    pub tier: &'a str,
    /// Backup type.
    pub backup_type: &'a str,
    /// When.
    pub began: i64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// How it stands.
    pub status: RunStatus,
    /// Name of the snapshot that was made, or would have been.
    pub backup_id: Option<&'a str>,
    /// Content id of the snapshot.
    pub snapshot: Option<&'a str>,
    /// Why there is none, or what is missing from it.
    pub error: Option<&'a str>,
    /// When.
    pub ended: i64,
    /// Files that were taken.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which one; later ones have greater numbers.
    pub number: RunNumber,
    /// The run over several targets that it is part of.
    pub run_id: Option<String>,
    /// Id of the repository.
    pub repository: String,
    /// Target.
    pub target: String,
    /// Tier.
    pub tier: String,
    /// Backup type.
    pub backup_type: String,
    /// How it stands.
    pub status: RunStatus,
    /// Name of the snapshot that was made, or would have been.
    pub backup_id: Option<String>,
    /// Content id of the snapshot.
    pub snapshot: Option<String>,
    /// Why there is none, or what is missing from it.
    pub error: Option<String>,
    /// When it began.
    pub began: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Files that were taken.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Which runs are listed.
#[derive(Clone, Debug, Default)]
pub struct RunFilter<'a> {
    /// Of this repository.
    pub repository: Option<&'a str>,
    /// Of this target.
    pub target: Option<&'a str>,
    /// That stand so.
    pub status: Option<RunStatus>,
    /// Of this run over several targets.
    pub run_id: Option<&'a str>,
    /// Of this name.
    pub backup_id: Option<&'a str>,
    /// Before this one.
    pub before: Option<RunNumber>,
}

impl State {
    /// Notes that a run begins. Runs of the same target that were going on are over: whoever calls this has its turn.
    pub fn begin_run(&self, run: &NewRun<'_>) -> Result<RunNumber> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction()?;
            change.execute(
                "UPDATE runs SET status = 'interrupted', ended = ?3, error = 'its process ended without a word'
                 WHERE repository = ?1 AND target = ?2 AND status = 'running'",
                params![run.repository, run.target, run.began],
            )?;
            change.execute(
                "INSERT INTO runs (run_id, repository, target, tier, backup_type, status, began)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6)",
                params![run.run_id, run.repository, run.target, run.tier, run.backup_type, run.began],
            )?;
            let number = change.last_insert_rowid();
            change.execute("DELETE FROM runs WHERE number <= ?1", [number - i64::from(RUNS_MAX)])?;
            change.commit()?;
            Ok(number)
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// Notes how a run ended, and with it what others are told of that: both, or none.
    pub fn end_run(&self, number: RunNumber, ending: &Ending<'_>, telling: &Telling<'_>) -> Result<()> {
        let mut connection = self.connection();
        let ended = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute(
                "UPDATE runs SET status = ?2, backup_id = ?3, snapshot = ?4, error = ?5, ended = ?6, files = ?7, bytes = ?8
                 WHERE number = ?1",
                params![
                    number,
                    ending.status.word(),
                    ending.backup_id,
                    ending.snapshot,
                    ending.error,
                    ending.ended,
                    counted(ending.files),
                    counted(ending.bytes),
                ],
            )?;
            outbox::write(&change, telling)?;
            change.commit()
        })();
        ended.map_err(|e| self.wrong(e))
    }

    /// Runs that fit, newest first, at most `limit`.
    pub fn runs(&self, filter: &RunFilter<'_>, limit: u32) -> Result<Vec<Run>> {
        let status = filter.status.map(RunStatus::word);
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare_cached(LISTED)?;
            let values = params![
                filter.repository,
                filter.target,
                status,
                filter.run_id,
                filter.backup_id,
                filter.before,
                limit
            ];
            statement.query_map(values, read)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Run> {
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Run {
        number: row.get(0)?,
        run_id: row.get(1)?,
        repository: row.get(2)?,
        target: row.get(3)?,
        tier: row.get(4)?,
        backup_type: row.get(5)?,
        status: RunStatus::of_word(&row.get::<_, String>(6)?),
        backup_id: row.get(7)?,
        snapshot: row.get(8)?,
        error: row.get(9)?,
        began: row.get(10)?,
        ended: row.get(11)?,
        files: unsigned(row.get(12)?),
        bytes: unsigned(row.get(13)?),
    })
}

/// SQLite counts with a sign.
fn counted(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
