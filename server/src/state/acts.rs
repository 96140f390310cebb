//! What restores are doing to a live system, and have done to it: rows that are there before something is touched, so that whoever comes
//! after a process that died in the middle of it can bring it to an end, and say in which state it is.
//!
//! What always holds: a rollback that has come to its end has none.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use crate::error::Result;
use crate::state::State;

/// The table.
pub(super) const TABLE: &str = "
CREATE TABLE acts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rollback INTEGER NOT NULL REFERENCES rollbacks (number),
    what TEXT NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX acts_of_rollback ON acts (rollback);
";

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRow {
    /// Later ones have greater numbers.
    pub number: i64,
    /// What is needed to bring it to an end, as JSON.
    pub what: String,
    /// Whether that is done.
    pub is_done: bool,
    /// The rollback that it belongs to.
    pub rollback_id: String,
}

impl State {
    /// Notes what a rollback is about to do; gives its number.
    pub fn begin_act(&self, rollback: i64, what: &str) -> Result<i64> {
        let connection = self.connection();
        let noted =
            connection.execute("INSERT INTO acts (rollback, what) VALUES (?1, ?2)", params![rollback, what]);
        noted.map(|_| connection.last_insert_rowid()).map_err(|e| self.wrong(e))
    }

    /// Notes how far it has come.
    pub fn note_act(&self, number: i64, what: &str) -> Result<()> {
        let connection = self.connection();
        let noted = connection.execute("UPDATE acts SET what = ?2 WHERE number = ?1", params![number, what]);
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Notes that it is done.
    pub fn finish_act(&self, number: i64) -> Result<()> {
        let connection = self.connection();
        let noted = connection.execute("UPDATE acts SET is_done = 1 WHERE number = ?1", params![number]);
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Notes that it failed and nobody knows in which state that left the system: its rollback is not over with that.
    pub fn leave_act(&self, number: i64) -> Result<()> {
        let connection = self.connection();
        let noted = connection.execute("UPDATE acts SET is_done = -1 WHERE number = ?1", params![number]);
        noted.map(drop).map_err(|e| self.wrong(e))
    }

    /// Whether it is there, of a rollback that is over without a word.
    pub fn has_act(&self, number: i64) -> Result<bool> {
        let connection = self.connection();
        let found = connection.query_row(
            "SELECT count(*) FROM acts JOIN rollbacks ON rollbacks.number = acts.rollback
             WHERE acts.number = ?1 AND is_done = 0 AND status = 'interrupted'",
            [number],
            |row| row.get::<_, i64>(0),
        );
        found.map(|count| count > 0).map_err(|e| self.wrong(e))
    }

    /// The repositories and targets of which there are such rows.
    pub fn acted_on(&self) -> Result<Vec<(String, String)>> {
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare(
                "SELECT DISTINCT repository, target FROM acts JOIN rollbacks ON rollbacks.number = acts.rollback ORDER BY 1, 2",
            )?;
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// What was being done and was done to a target, in its order, by rollbacks that have no end.
    pub fn acts(&self, repository: &str, target: &str) -> Result<Vec<ActRow>> {
        let connection = self.connection();
        let listed = (|| {
            let mut statement = connection.prepare(
                "SELECT acts.number, what, is_done > 0, rollback_id FROM acts JOIN rollbacks ON rollbacks.number = acts.rollback
                 WHERE repository = ?1 AND target = ?2 ORDER BY acts.number",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(ActRow {
                    number: row.get(0)?,
                    what: row.get(1)?,
                    is_done: row.get(2)?,
                    rollback_id: row.get(3)?,
                })
            };
            statement.query_map(params![repository, target], read)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// Notes that one was brought to its end, and with its rollback in which state that left the system: both, or none.
    pub fn end_act(&self, number: i64, told: &str) -> Result<()> {
        let mut connection = self.connection();
        let ended = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let rollback: Option<i64> = change
                .query_row("DELETE FROM acts WHERE number = ?1 RETURNING rollback", [number], |row| {
                    row.get(0)
                })
                .optional()?;
            change.execute(
                "UPDATE rollbacks SET error_message = coalesce(error_message || '; ', '') || ?2 WHERE number = ?1",
                params![rollback, told],
            )?;
            change.commit()
        })();
        ended.map_err(|e| self.wrong(e))
    }
}
