//! Copies of a repository at other places: what each has, when it was last brought up to date, and how often that failed.

use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};

use crate::error::Result;
use crate::state::State;
use crate::state::outbox::{self, Telling};

/// The table. Times are nanoseconds since 1970; `covered` are the beginnings of the content ids of the snapshots that a copy has.
pub(super) const TABLE: &str = "
CREATE TABLE offsite (
    repository TEXT NOT NULL,
    destination TEXT NOT NULL,
    since INTEGER NOT NULL,
    status TEXT,
    error TEXT,
    began INTEGER,
    ended INTEGER,
    succeeded INTEGER,
    checked INTEGER,
    objects INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    covered TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (repository, destination)
) STRICT, WITHOUT ROWID;
";

/// What is known of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsiteRow {
    /// Since when it is to be kept.
    pub since: i64,
    /// How the last sync stands or ended; absent before the first.
    pub status: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub began: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// When the last one ended that brought everything.
    pub succeeded: Option<i64>,
    /// When everything there was last read.
    pub checked: Option<i64>,
    /// Objects that were ever copied.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Syncs that failed.
    pub failures: i64,
    /// The beginnings of the content ids of the snapshots that it has.
    pub covered: String,
}

/// How a sync ended.
#[derive(Clone, Debug)]
pub struct SyncEnding<'a> {
    /// `completed`, `partial`, `failed` or `interrupted`.
    pub status: &'a str,
    /// Why it is not done, or what could not be copied.
    pub error: Option<&'a str>,
    /// When.
    pub ended: i64,
    /// Objects that were copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the copy has, if that is known now.
    pub covered: Option<&'a str>,
    /// Everything there was read.
    pub is_checked: bool,
}

impl State {
    /// Notes that a copy is to be kept from now on, unless that is known.
    pub fn see_offsite(&self, repository: &str, destination: &str, now: i64) -> Result<()> {
        let noted = self.connection().execute(
            "INSERT INTO offsite (repository, destination, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![repository, destination, now],
        );
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Notes that a sync begins.
    pub fn begin_sync(&self, repository: &str, destination: &str, now: i64) -> Result<()> {
        let noted = self.connection().execute(
            "INSERT INTO offsite (repository, destination, since, status, began) VALUES (?1, ?2, ?3, 'running', ?3)
             ON CONFLICT DO UPDATE SET status = 'running', began = excluded.began, ended = NULL, error = NULL",
            params![repository, destination, now],
        );
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Notes how it ended, and with it what others are told of it: all of that, or none.
    pub fn end_sync(
        &self,
        repository: &str,
        destination: &str,
        ending: &SyncEnding<'_>,
        telling: &Telling<'_>,
    ) -> Result<()> {
        let counted = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute(
                "UPDATE offsite SET status = ?3, error = ?4, ended = ?5, objects = objects + ?6, bytes = bytes + ?7,
                     failures = failures + (?3 = 'failed'), covered = coalesce(?8, covered),
                     succeeded = iif(?3 = 'completed', ?5, succeeded), checked = iif(?9, ?5, checked)
                 WHERE repository = ?1 AND destination = ?2",
                params![
                    repository,
                    destination,
                    ending.status,
                    ending.error,
                    ending.ended,
                    counted(ending.objects),
                    counted(ending.bytes),
                    ending.covered,
                    ending.is_checked
                ],
            )?;
            outbox::write(&change, telling)?;
            change.commit()
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// What is known of a copy.
    pub fn offsite(&self, repository: &str, destination: &str) -> Result<Option<OffsiteRow>> {
        let connection = self.connection();
        let found = connection.query_row(
            "SELECT since, status, error, began, ended, succeeded, checked, objects, bytes, failures, covered FROM offsite
             WHERE repository = ?1 AND destination = ?2",
            [repository, destination],
            read,
        );
        found.optional().map_err(|e| self.wrong(e))
    }

    /// When the last run of this host ended that left a snapshot in a repository, by its id.
    pub fn last_stored(&self, repository: &str) -> Result<Option<i64>> {
        let connection = self.connection();
        let found = connection.query_row(
            "SELECT max(ended) FROM runs WHERE repository = ?1 AND snapshot IS NOT NULL",
            [repository],
            |row| row.get(0),
        );
        found.map_err(|e| self.wrong(e))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<OffsiteRow> {
    Ok(OffsiteRow {
        since: row.get(0)?,
        status: row.get(1)?,
        error: row.get(2)?,
        began: row.get(3)?,
        ended: row.get(4)?,
        succeeded: row.get(5)?,
        checked: row.get(6)?,
        objects: row.get(7)?,
        bytes: row.get(8)?,
        failures: row.get(9)?,
        covered: row.get(10)?,
    })
}
