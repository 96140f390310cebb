//! The history of drills of this host: what was restored for trial, what came of it, and how long it took.

use rusqlite::{Row, TransactionBehavior, params};
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

/// What came of a drill, or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DrillStatus {
    /// Everything was restored and holds.
    #[default]
    Passed,
    /// What was tried holds, and something could not be tried here.
    Partial,
    /// Something does not hold.
    Failed,
}

impl DrillStatus {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Passed, Self::Partial, Self::Failed];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Partial => "partial",
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
    /// Notes a drill, and with it what others are told of it: both, or none.
    pub fn add_drill(&self, drill: &NewDrill<'_>, telling: &Telling<'_>) -> Result<()> {
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
}
