//! The history of drills of this host: what was restored for trial, what came of it, and how long it took.

use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::state::State;
use crate::state::outbox::{self, Telling};

/// Drills that are kept; older ones go. A drill of ten targets every day for a year.
const DRILLS_MAX: u32 = 4_000;

/// The table. Times are nanoseconds since 1970; the report is JSON.
pub(super) const TABLE: &str = "
CREATE TABLE drills (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    backup_id TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    status TEXT NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    report TEXT NOT NULL
) STRICT;
CREATE INDEX drills_of_target ON drills (repository, target, number);
";

/// The table of what was counted in the databases of sources that passed, for later drills.
pub(super) const COUNTED: &str = "
CREATE TABLE counted_rows (
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    database TEXT NOT NULL,
    backup_id TEXT NOT NULL,
    taken INTEGER NOT NULL,
    rows TEXT NOT NULL,
    PRIMARY KEY (repository, target, source, database)
) STRICT, WITHOUT ROWID;
";

/// The table of drills that have begun; one that has come to its end is in the other.
pub(super) const BEGUN: &str = "
CREATE TABLE begun_drills (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    began INTEGER NOT NULL,
    report TEXT NOT NULL
) STRICT;
";

/// What came of a drill, or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DrillStatus {
    /// Everything was restored and holds.
    #[default]
    Passed,
    /// What was tried holds, and something could not be tried here.
    Partial,
    /// It was ended before it came to its end.
    Interrupted,
    /// Something does not hold.
    Failed,
}

impl DrillStatus {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Partial, Self::Interrupted, Self::Failed];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Partial => "partial",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// A drill that has ended.
#[derive(Clone, Debug)]
pub struct NewDrill<'a> {
    /// Id of the repository.
    pub repository: &'a str,
    /// Target.
    pub target: &'a str,
    /// The snapshot, by its name.
    pub backup_id: &'a str,
    /// Its content id.
    pub snapshot: &'a str,
    /// What came of it.
    pub status: DrillStatus,
    /// When it began.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// All of it.
    pub report: &'a str,
}

/// Rows of a database that passed.
#[derive(Clone, Debug)]
pub struct CountedRows<'a> {
    /// Id of the repository, and target.
    pub of: (String, &'a str),
    /// Source.
    pub source: &'a str,
    /// Database.
    pub database: &'a str,
    /// The snapshot, by its name.
    pub backup_id: &'a str,
    /// When it was taken.
    pub taken: i64,
    /// Tables and their rows, as JSON.
    pub rows: &'a str,
}

/// A drill that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunDrill {
    /// Its number.
    pub number: i64,
    /// Id of the repository.
    pub repository: String,
    /// When it began.
    pub began: i64,
    /// What is to be told of it if it comes to no end.
    pub report: String,
}

/// Which drills are listed.
#[derive(Clone, Debug, Default)]
pub struct DrillFilter<'a> {
    /// Of this repository.
    pub repository: Option<&'a str>,
    /// Of this target.
    pub target: Option<&'a str>,
    /// With this outcome.
    pub status: Option<DrillStatus>,
}

impl State {
    /// Notes that a drill begins, and what is to be told of it if it comes to no end; gives its number.
    pub fn begin_drill(&self, repository: &str, began: i64, report: &str) -> Result<i64> {
        let connection = self.connection();
        let noted = connection.execute(
            "INSERT INTO begun_drills (repository, began, report) VALUES (?1, ?2, ?3)",
            params![repository, began, report],
        );
        noted.map(|_| connection.last_insert_rowid()).map_err(|e| self.wrong(e))
    }

    /// Drills that have begun and not come to their end.
    pub fn begun_drills(&self) -> Result<Vec<BegunDrill>> {
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT number, repository, began, report FROM begun_drills ORDER BY number",
            )?;
            let read = |row: &Row<'_>| {
                Ok(BegunDrill {
                    number: row.get(0)?,
                    repository: row.get(1)?,
                    began: row.get(2)?,
                    report: row.get(3)?,
                })
            };
            statement.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// Notes how a drill ended that had begun under this number, and with it what others are told of it: all of that, or none.
    pub fn add_drill(&self, begun: Option<i64>, drill: &NewDrill<'_>, telling: &Telling<'_>) -> Result<()> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute(
                "INSERT INTO drills (repository, target, backup_id, snapshot, status, began, ended, report)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    drill.repository,
                    drill.target,
                    drill.backup_id,
                    drill.snapshot,
                    drill.status.word(),
                    drill.began,
                    drill.ended,
                    drill.report
                ],
            )?;
            let number = change.last_insert_rowid();
            change.execute("DELETE FROM begun_drills WHERE number = ?1", [begun])?;
            change.execute("DELETE FROM drills WHERE number <= ?1", [number - i64::from(DRILLS_MAX)])?;
            outbox::write(&change, telling)?;
            change.commit()
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// The reports of drills that fit, newest first, at most `limit`.
    pub fn drills(&self, filter: &DrillFilter<'_>, limit: u32) -> Result<Vec<String>> {
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT report FROM drills
                 WHERE (?1 IS NULL OR repository = ?1) AND (?2 IS NULL OR target = ?2) AND (?3 IS NULL OR status = ?3)
                 ORDER BY number DESC LIMIT ?4",
            )?;
            let values =
                params![filter.repository, filter.target, filter.status.map(DrillStatus::word), limit];
            let read = |row: &Row<'_>| row.get(0);
            statement.query_map(values, read)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// Keeps what was counted, unless that is known of a later snapshot.
    pub fn keep_counted_rows(&self, counted: &CountedRows<'_>) -> Result<()> {
        let kept = self.connection().execute(
            "INSERT INTO counted_rows (repository, target, source, database, backup_id, taken, rows)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET backup_id = excluded.backup_id, taken = excluded.taken, rows = excluded.rows
             WHERE excluded.taken >= taken",
            params![
                counted.of.0,
                counted.of.1,
                counted.source,
                counted.database,
                counted.backup_id,
                counted.taken,
                counted.rows
            ],
        );
        kept.map(drop).map_err(|e| self.wrong(e))
    }

    /// The snapshot before `taken` that passed last, and what was counted in it.
    pub fn counted_rows(
        &self,
        (repository, target): &(String, &str),
        source: &str,
        database: &str,
        taken: i64,
    ) -> Result<Option<(String, String)>> {
        let found = self.connection().query_row(
            "SELECT backup_id, rows FROM counted_rows
             WHERE repository = ?1 AND target = ?2 AND source = ?3 AND database = ?4 AND taken < ?5",
            params![repository, target, source, database, taken],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        found.optional().map_err(|e| self.wrong(e))
    }
}
