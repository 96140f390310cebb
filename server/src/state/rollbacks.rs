//! The history of what was put back: one row for each call that restores something on this host, also those that failed.
//!
//! What always holds: a row is there before anything is touched, and has its end when that is over; what a process left without an
//! end is `interrupted`. Rows are never removed: there are few, and somebody will want to know.

use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;

use crate::error::Result;
use crate::state::State;
use crate::state::outbox::{self, Telling};

/// Rollbacks that begin in one second; beyond it something is wrong with the clock.
const IDS_MAX: u32 = 10_000;

/// The table. Times are nanoseconds since 1970.
pub(super) const TABLE: &str = "
CREATE TABLE rollbacks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rollback_id TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    rollback_type TEXT NOT NULL,
    strategy TEXT,
    source_backup_id TEXT,
    source_version_id TEXT,
    workflow_id TEXT,
    pre_rollback_backup TEXT,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    error_message TEXT,
    report TEXT
) STRICT;
CREATE INDEX rollbacks_of_target ON rollbacks (target, number);
CREATE INDEX rollbacks_by_status ON rollbacks (status, number);
";

/// Which rollback a row is a part of, and which one it undoes.
pub(super) const LINKS: &str = "
ALTER TABLE rollbacks ADD COLUMN part_of TEXT;
ALTER TABLE rollbacks ADD COLUMN undoes TEXT;
";

/// Rollbacks that fit, newest first.
const LISTED: &str = "
SELECT number, rollback_id, repository, target, rollback_type, strategy, source_backup_id, source_version_id, workflow_id,
       pre_rollback_backup, status, created_at, completed_at, error_message, part_of, undoes
FROM rollbacks
WHERE (?1 IS NULL OR target = ?1) AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR repository = ?3)
      AND (?4 IS NULL OR rollback_id = ?4) AND (?5 IS NULL OR part_of = ?5) AND (?6 IS NULL OR undoes = ?6)
ORDER BY number DESC LIMIT ?7
";

/// How a rollback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackStatus {
    /// It goes on.
    Running,
    /// Everything is back.
    Completed,
    /// Some of it is back.
    Partial,
    /// Nothing is back.
    Failed,
    /// Its process ended without a word.
    Interrupted,
    /// No other version was stored: nothing was touched.
    RequiresBackup,
}

impl RollbackStatus {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Interrupted,
        Self::RequiresBackup,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::RequiresBackup => "requires_backup",
        }
    }

    /// The status of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// What kind of call it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackType {
    /// A snapshot, or a part of it, was put back.
    #[default]
    BackupRestore,
    /// A target, or one of its sources, was rolled back.
    Rollback,
    /// One workflow was put back to an earlier version.
    Version,
    /// All that belongs to some targets was recovered, in the fixed order.
    Recover,
    /// The same, from a repository that was named.
    Rebuild,
    /// What is done at once when something is on fire.
    Emergency,
    /// What another one did was undone.
    Undo,
}

impl RollbackType {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::BackupRestore,
        Self::Rollback,
        Self::Version,
        Self::Recover,
        Self::Rebuild,
        Self::Emergency,
        Self::Undo,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::BackupRestore => "backup_restore",
            Self::Rollback => "rollback",
            Self::Version => "version",
            Self::Recover => "recover",
            Self::Rebuild => "rebuild",
            Self::Emergency => "emergency",
            Self::Undo => "undo",
        }
    }
}

/// A rollback that begins.
#[derive(Clone, Debug)]
pub struct NewRollback<'a> {
    /// `rollback_{YYYYMMDD_HHMMSS}`; the row gets the first that is free.
    pub base_id: &'a str,
    /// Id of the repository.
    pub repository: &'a str,
    /// What is written to.
    pub target: &'a str,
    /// What kind of call it is.
    pub rollback_type: RollbackType,
    /// How.
    pub strategy: Option<&'a str>,
    /// The snapshot that is put back.
    pub source_backup_id: Option<&'a str>,
    /// The version of a workflow that is put back.
    pub source_version_id: Option<&'a str>,
    /// That workflow.
    pub workflow_id: Option<&'a str>,
    /// The rollback that it is a part of.
    pub part_of: Option<&'a str>,
    /// The rollback that it undoes.
    pub undoes: Option<&'a str>,
    /// When.
    pub created_at: i64,
}

/// How a rollback ended.
#[derive(Clone, Debug)]
pub struct RollbackEnding<'a> {
    /// How it stands.
    pub status: RollbackStatus,
    /// When.
    pub completed_at: i64,
    /// What was not put back, and why.
    pub error_message: Option<&'a str>,
    /// The answer, as JSON.
    pub report: Option<&'a str>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Later ones have greater numbers.
    pub number: i64,
    /// Its id, unique for ever on this host.
    pub rollback_id: String,
    /// Id of the repository.
    pub repository: String,
    /// What was written to.
    pub target: String,
    /// `backup_restore`, …
    pub rollback_type: String,
    /// How.
    pub strategy: Option<String>,
    /// The snapshot that was put back.
    pub source_backup_id: Option<String>,
    /// The version of a workflow that was put back.
    pub source_version_id: Option<String>,
    /// That workflow.
    pub workflow_id: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// How it stands.
    pub status: RollbackStatus,
    /// When it began.
    pub created_at: i64,
    /// When it ended.
    pub completed_at: Option<i64>,
    /// What was not put back, and why.
    pub error_message: Option<String>,
    /// The rollback that it is a part of.
    pub part_of: Option<String>,
    /// The rollback that it undoes.
    pub undoes: Option<String>,
}

/// Which rollbacks are listed.
#[derive(Clone, Debug, Default)]
pub struct RollbackFilter<'a> {
    /// Of this target.
    pub target: Option<&'a str>,
    /// That stand so.
    pub status: Option<RollbackStatus>,
    /// Of this repository.
    pub repository: Option<&'a str>,
    /// That has this id.
    pub rollback_id: Option<&'a str>,
    /// That are parts of this one.
    pub part_of: Option<&'a str>,
    /// That undo this one.
    pub undoes: Option<&'a str>,
}

impl State {
    /// Notes that a rollback begins, and gives its id. Those of the same target that were going on are over: whoever calls this has
    /// its turn.
    pub fn begin_rollback(&self, new: &NewRollback<'_>) -> Result<(i64, String)> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            interrupt(&change, new.repository, new.target, new.created_at)?;
            let noted = insert(&change, new, RollbackStatus::Running)?;
            change.commit()?;
            Ok(noted)
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// Notes one that ended as it began, and gives its id.
    pub fn note_rollback(&self, new: &NewRollback<'_>, status: RollbackStatus, why: &str) -> Result<String> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (number, id) = insert(&change, new, status)?;
            change.execute(
                "UPDATE rollbacks SET completed_at = created_at, error_message = ?2 WHERE number = ?1",
                params![number, why],
            )?;
            change.commit()?;
            Ok(id)
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// Notes the snapshot of what was there before; from then on it can be found also if the process dies.
    pub fn note_safety(&self, number: i64, backup_id: &str) -> Result<()> {
        let connection = self.connection();
        let noted = connection.execute(
            "UPDATE rollbacks SET pre_rollback_backup = ?2 WHERE number = ?1",
            params![number, backup_id],
        );
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Notes how a rollback ended, and with it what others are told of that: both, or none. One that left an act behind is interrupted:
    /// whoever brings that to an end says what it did.
    pub fn end_rollback(
        &self,
        number: i64,
        ending: &RollbackEnding<'_>,
        telling: &Telling<'_>,
    ) -> Result<()> {
        let mut connection = self.connection();
        let ended = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_left = change.query_row(
                "SELECT count(*) > 0 FROM acts WHERE rollback = ?1 AND is_done < 0",
                [number],
                |row| row.get::<_, bool>(0),
            )?;
            let status = if is_left { RollbackStatus::Interrupted } else { ending.status };
            change.execute(
                "UPDATE rollbacks SET status = ?2, completed_at = ?3, error_message = ?4 WHERE number = ?1",
                params![number, status.word(), ending.completed_at, ending.error_message],
            )?;
            if !is_left {
                change.execute(
                    "UPDATE rollbacks SET report = ?2 WHERE number = ?1",
                    params![number, ending.report],
                )?;
                change.execute("DELETE FROM acts WHERE rollback = ?1", params![number])?;
            }
            outbox::write(&change, telling)?;
            change.commit()
        })();
        ended.map_err(|e| self.wrong(e))
    }

    /// Notes that those of a target that were going on are over without a word: whoever calls this has its turn.
    pub fn interrupt_rollbacks(&self, repository: &str, target: &str, now: i64) -> Result<()> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            interrupt(&change, repository, target, now)?;
            change.commit()
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// Notes how far a rollback has come, as JSON.
    pub fn note_report(&self, number: i64, report: &str) -> Result<()> {
        let connection = self.connection();
        let noted =
            connection.execute("UPDATE rollbacks SET report = ?2 WHERE number = ?1", params![number, report]);
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// What was noted of how far a rollback has come, or of its end, as JSON.
    pub fn report(&self, number: i64) -> Result<Option<String>> {
        let connection = self.connection();
        let found =
            connection.query_row("SELECT report FROM rollbacks WHERE number = ?1", params![number], |row| {
                row.get::<_, Option<String>>(0)
            });
        found.optional().map(Option::flatten).map_err(|e| self.wrong(e))
    }

    /// The rollback that has this id.
    pub fn rollback(&self, id: &str) -> Result<Option<Rollback>> {
        let filter = RollbackFilter { rollback_id: Some(id), ..RollbackFilter::default() };
        Ok(self.rollbacks(&filter, 1)?.into_iter().next())
    }

    /// Rollbacks that fit, newest first, at most `limit`.
    pub fn rollbacks(&self, filter: &RollbackFilter<'_>, limit: u32) -> Result<Vec<Rollback>> {
        let status = filter.status.map(RollbackStatus::word);
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare_cached(LISTED)?;
            let values = params![
                filter.target,
                status,
                filter.repository,
                filter.rollback_id,
                filter.part_of,
                filter.undoes,
                limit
            ];
            statement.query_map(values, read)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }
}

fn interrupt(change: &Transaction<'_>, repository: &str, target: &str, now: i64) -> rusqlite::Result<()> {
    let noted = change.execute(
        "UPDATE rollbacks SET status = 'interrupted', completed_at = ?3, error_message = 'its process ended without a word'
         WHERE repository = ?1 AND target = ?2 AND status = 'running'",
        params![repository, target, now],
    );
    noted.map(drop)
}

/// A row of its own for a rollback: its number and its id.
fn insert(
    change: &Transaction<'_>,
    new: &NewRollback<'_>,
    status: RollbackStatus,
) -> rusqlite::Result<(i64, String)> {
    let id = free_id(change, new.base_id)?;
    change.execute(
        "INSERT INTO rollbacks (rollback_id, repository, target, rollback_type, strategy, source_backup_id, source_version_id,
            workflow_id, status, created_at, part_of, undoes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            id,
            new.repository,
            new.target,
            new.rollback_type.word(),
            new.strategy,
            new.source_backup_id,
            new.source_version_id,
            new.workflow_id,
            status.word(),
            new.created_at,
            new.part_of,
            new.undoes
        ],
    )?;
    Ok((change.last_insert_rowid(), id))
}

/// The first of `base`, `base_2`, … that no row has.
fn free_id(change: &Transaction<'_>, base: &str) -> rusqlite::Result<String> {
    let mut id = base.to_owned();
    for n in 2..=IDS_MAX {
        let taken: Option<i64> = change
            .query_row("SELECT number FROM rollbacks WHERE rollback_id = ?1", [&id], |row| row.get(0))
            .optional()?;
        if taken.is_none() {
            break;
        }
        id = format!("{base}_{n}");
    }
    Ok(id)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Rollback> {
    Ok(Rollback {
        number: row.get(0)?,
        rollback_id: row.get(1)?,
        repository: row.get(2)?,
        target: row.get(3)?,
        rollback_type: row.get(4)?,
        strategy: row.get(5)?,
        source_backup_id: row.get(6)?,
        source_version_id: row.get(7)?,
        workflow_id: row.get(8)?,
        pre_rollback_backup: row.get(9)?,
        // What a later version may write counts as failed.
        status: RollbackStatus::of_word(&row.get::<_, String>(10)?).unwrap_or(RollbackStatus::Failed),
        created_at: row.get(11)?,
        completed_at: row.get(12)?,
        error_message: row.get(13)?,
        part_of: row.get(14)?,
        undoes: row.get(15)?,
    })
}
