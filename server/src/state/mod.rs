//! What this host remembers beside repositories: one SQLite file in the state folder, which several processes use at once.
//!
//! What always holds: no snapshot depends on it. A file that is damaged or newer is told of and left alone; work goes on without.

mod acts;
mod drills;
mod jobs;
mod offsite;
mod outbox;
mod replies;
mod rollbacks;
mod runs;
mod schedules;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chronos_store::durable;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use crate::error::{Error, Result};
use crate::values::shown;

pub use acts::ActRow;
pub use drills::{BegunDrill, CountedRows, DrillFilter, DrillStatus, NewDrill};
pub use jobs::{
    Attempt, Cancelled, Choice, JobEnding, JobFilter, JobNumber, JobProgress, JobRow, JobStatus, NewJob,
};
pub use offsite::{OffsiteRow, SyncEnding};
pub use outbox::{Alert, LETTERS_MAX, Letter, LetterEnd, NewLetter, Noted, QueueCounts, Telling};
pub use replies::{Known, Reply};
pub use rollbacks::{NewRollback, Rollback, RollbackEnding, RollbackFilter, RollbackStatus, RollbackType};
pub use runs::{Ending, NewRun, Run, RunFilter, RunNumber, RunStatus};
pub use schedules::{ScheduleRow, StoredSchedule};

/// The file, in the state folder.
const FILE: &str = "chronos.sqlite";
/// How long another process may write before this one gives up: its transactions are single rows.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Readers and a writer at once.
const WAL: &str = "wal";

/// What was changed in the tables, in the order of versions: number n leads from version n to n + 1.
const MIGRATIONS: &[&str] = &[
    runs::TABLE,
    schedules::TABLES,
    jobs::TABLE,
    replies::TABLE,
    outbox::TABLES,
    jobs::AWAITED,
    rollbacks::TABLE,
    acts::TABLE,
    rollbacks::LINKS,
    drills::TABLE,
    drills::COUNTED,
    drills::BEGUN,
    offsite::TABLE,
];
/// The version of the tables that this program works with.
const VERSION: u32 = MIGRATIONS.len() as u32;

/// The state of this host.
#[derive(Debug)]
pub struct State {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl State {
    /// Opens the state in a folder; makes it on first use, and brings it to this version.
    ///
    /// # Errors
    /// [`Error::StateDamaged`], [`Error::StateTooNew`], [`Error::State`].
    pub fn open(folder: &Path) -> Result<Self> {
        durable::create_folder(folder)?;
        let path = Self::file(folder);
        // What runs say of failures is for their user alone.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::local(&path, e))?;
        let connection = prepared(folder, &path)?;
        let state = Self { connection: Mutex::new(connection), path };
        state.migrate()?;
        Ok(state)
    }

    /// The file, in a state folder.
    pub(crate) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Whether there is one in a folder.
    pub(crate) fn is_there(folder: &Path) -> bool {
        Self::file(folder).exists()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn migrate(&self) -> Result<()> {
        let wrong = |e| wrong(&self.path, e);
        let mut connection = self.connection();
        if version(&connection).map_err(wrong)? == VERSION {
            return Ok(());
        }
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        // Another process may have been faster.
        let now = version(&change).map_err(wrong)?;
        if now > VERSION {
            return Err(Error::StateTooNew { path: shown(&self.path), version: now });
        }
        for sql in MIGRATIONS.iter().skip(now as usize) {
            change.execute_batch(sql).map_err(wrong)?;
        }
        change.pragma_update(None, "user_version", VERSION).map_err(wrong)?;
        change.commit().map_err(wrong)
    }

    /// Whether anything that was done or asked for here was about a target.
    pub(crate) fn knows_target(&self, target: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM rollbacks WHERE target = ?1) OR EXISTS (SELECT 1 FROM jobs WHERE target = ?1)
                   OR EXISTS (SELECT 1 FROM runs WHERE target = ?1) OR EXISTS (SELECT 1 FROM drills WHERE target = ?1)";
        self.connection().query_row(sql, [target], |row| row.get(0)).map_err(|e| self.wrong(e))
    }

    /// One statement at a time; a thread that died in one has left no transaction open.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, error: rusqlite::Error) -> Error {
        wrong(&self.path, error)
    }
}

fn prepared(folder: &Path, path: &Path) -> Result<Connection> {
    let wrong = |e| wrong(path, e);
    let connection = Connection::open(path).map_err(wrong)?;
    connection.busy_timeout(BUSY_MAX).map_err(wrong)?;
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(wrong)?;
    if mode != WAL {
        // Here SQLite waits for nobody: of several that find the file new, one at a time may change it.
        let alone = File::open(folder).map_err(|e| Error::local(folder, e))?;
        retry_on_intr(|| flock(&alone, FlockOperation::LockExclusive))
            .map_err(|e| Error::local(folder, e.into()))?;
        connection.pragma_update(None, "journal_mode", WAL).map_err(wrong)?;
    }
    // A transaction may be lost with the power, never half of one.
    connection.pragma_update(None, "synchronous", "full").map_err(wrong)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(wrong)?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn wrong(path: &Path, error: rusqlite::Error) -> Error {
    let path = shown(path);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::StateDamaged { path, why: error.to_string() }
        }
        _ => Error::State { path, source: error },
    }
}
