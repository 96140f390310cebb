//! Schedules that were made by command or over HTTP, and of every schedule when it last ran.
//!
//! What always holds: of several processes one alone begins what is due. A schedule is known by its repository's location and its
//! id, so that services of several repositories of one user do not meet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use crate::error::Result;
use crate::state::State;

/// The tables. Times are nanoseconds since 1970, the jitter is in seconds.
pub(super) const TABLES: &str = "
CREATE TABLE schedules (
    repository TEXT NOT NULL,
    id TEXT NOT NULL,
    job TEXT NOT NULL,
    target TEXT,
    tier TEXT,
    backup_type TEXT,
    on_change INTEGER NOT NULL DEFAULT 0,
    cron TEXT NOT NULL,
    timezone TEXT,
    jitter INTEGER NOT NULL DEFAULT 0,
    enabled INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (repository, id)
) STRICT;
CREATE TABLE schedule_memory (
    repository TEXT NOT NULL,
    id TEXT NOT NULL,
    form TEXT NOT NULL,
    since INTEGER NOT NULL,
    due INTEGER,
    last_run INTEGER,
    last_status TEXT,
    switched INTEGER,
    PRIMARY KEY (repository, id)
) STRICT;
";

const COLUMNS: &str = "id, job, target, tier, backup_type, on_change, cron, timezone, jitter, enabled";

/// What a schedule says that is running.
const RUNNING: &str = "running";
/// What one says whose process died.
const INTERRUPTED: &str = "interrupted";

/// A schedule that was made by command or over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Its name.
    pub id: String,
    /// What is done.
    pub job: String,
    /// Whose; all of them if absent.
    pub target: Option<String>,
    /// Tier of snapshots.
    pub tier: Option<String>,
    /// Backup type.
    pub backup_type: Option<String>,
    /// Whether only changes count.
    pub on_change: bool,
    /// When.
    pub cron: String,
    /// On a clock that hangs where; UTC if absent.
    pub timezone: Option<String>,
    /// Up to how many seconds later it begins.
    pub jitter: u32,
    /// Whether it is in force.
    pub enabled: bool,
}

/// What is known of a schedule from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Since when it is in force as it is.
    pub since: Timestamp,
    /// The last due time that it began for.
    pub due: Option<Timestamp>,
    /// When it last began.
    pub last_run: Option<Timestamp>,
    /// How that ended; `running` while it goes on.
    pub last_status: Option<String>,
    /// Switched on or off by command, where the schedule itself cannot be changed.
    pub switched: Option<bool>,
}

impl State {
    /// The schedules that were made here, by id.
    pub fn schedules(&self, repository: &str) -> Result<Vec<StoredSchedule>> {
        let connection = self.connection();
        let listed = (|| {
            let sql = format!("SELECT {COLUMNS} FROM schedules WHERE repository = ?1 ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([repository], stored)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        listed.map_err(|e| self.wrong(e))
    }

    /// Adds a schedule; `false` if there is one of this id.
    pub fn add_schedule(&self, repository: &str, schedule: &StoredSchedule) -> Result<bool> {
        let sql = format!(
            "INSERT INTO schedules (repository, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO NOTHING"
        );
        write(&self.connection(), &sql, repository, schedule).map_err(|e| self.wrong(e))
    }

    /// Changes a schedule as `change` says, in one step that nobody else comes between; `None` if there is none of this id.
    ///
    /// # Errors
    /// Those of `change`, which then has changed nothing.
    pub fn change_schedule(
        &self,
        repository: &str,
        id: &str,
        change: impl FnOnce(StoredSchedule) -> Result<StoredSchedule>,
    ) -> Result<Option<StoredSchedule>> {
        let wrong = |e| self.wrong(e);
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let sql = format!("SELECT {COLUMNS} FROM schedules WHERE repository = ?1 AND id = ?2");
        let found = transaction.query_row(&sql, [repository, id], stored).optional().map_err(wrong)?;
        let Some(found) = found else { return Ok(None) };
        let changed = StoredSchedule { id: id.to_owned(), ..change(found)? };
        let sql = format!(
            "REPLACE INTO schedules (repository, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        );
        write(&transaction, &sql, repository, &changed).map_err(wrong)?;
        transaction.commit().map_err(wrong)?;
        Ok(Some(changed))
    }

    /// Removes a schedule, and what is known of it; `false` if there is none of this id.
    pub fn remove_schedule(&self, repository: &str, id: &str) -> Result<bool> {
        let mut connection = self.connection();
        let removed = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let removed = change
                .execute("DELETE FROM schedules WHERE repository = ?1 AND id = ?2", [repository, id])?;
            if removed > 0 {
                change.execute(
                    "DELETE FROM schedule_memory WHERE repository = ?1 AND id = ?2",
                    [repository, id],
                )?;
            }
            change.commit()?;
            Ok(removed > 0)
        })();
        removed.map_err(|e| self.wrong(e))
    }

    /// What is known of schedules, by id.
    pub fn schedule_rows(&self, repository: &str) -> Result<BTreeMap<String, ScheduleRow>> {
        let connection = self.connection();
        rows(&connection, repository).map_err(|e| self.wrong(e))
    }

    /// Notes which schedules are in force, each with its form: what was not in force in this form until now is from now on, so
    /// that nothing is made up for of the time before. What is known then, by id.
    pub fn see_schedules(
        &self,
        repository: &str,
        in_force: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<BTreeMap<String, ScheduleRow>> {
        let mut connection = self.connection();
        let seen = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (id, form) in in_force {
                change.execute(
                    "INSERT INTO schedule_memory (repository, id, form, since) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET form = excluded.form, since = excluded.since, due = NULL
                     WHERE form != excluded.form",
                    params![repository, id, form, nanos(now)],
                )?;
            }
            let rows = rows(&change, repository)?;
            change.commit()?;
            Ok(rows)
        })();
        seen.map_err(|e| self.wrong(e))
    }

    /// Switches a schedule on or off that itself cannot be changed.
    pub fn switch_schedule(&self, repository: &str, id: &str, enabled: bool, now: Timestamp) -> Result<()> {
        let connection = self.connection();
        // The form is not known here, so that the next look takes it for a new one.
        let switched = connection.execute(
            "INSERT INTO schedule_memory (repository, id, form, since, switched) VALUES (?1, ?2, '', ?3, ?4)
             ON CONFLICT DO UPDATE SET switched = excluded.switched, form = ''",
            params![repository, id, nanos(now), enabled],
        );
        switched.map(|_| ()).map_err(|e| self.wrong(e))
    }

    /// Takes what is due for the caller; `false` if another process was faster.
    pub fn begin_schedule(&self, repository: &str, id: &str, due: Timestamp, now: Timestamp) -> Result<bool> {
        let connection = self.connection();
        let taken = connection.execute(
            "UPDATE schedule_memory SET due = ?3, last_run = ?4, last_status = ?5
             WHERE repository = ?1 AND id = ?2 AND (due IS NULL OR due < ?3 OR due > ?4)",
            params![repository, id, nanos(due), nanos(now), RUNNING],
        );
        taken.map(|number| number > 0).map_err(|e| self.wrong(e))
    }

    /// Notes how it ended.
    pub fn end_schedule(&self, repository: &str, id: &str, due: Timestamp, status: &str) -> Result<()> {
        let connection = self.connection();
        let ended = connection.execute(
            "UPDATE schedule_memory SET last_status = ?4 WHERE repository = ?1 AND id = ?2 AND due = ?3",
            params![repository, id, nanos(due), status],
        );
        ended.map(|_| ()).map_err(|e| self.wrong(e))
    }

    /// Marks what the one service of a repository began before it died. Their ids.
    pub fn interrupt_schedules(&self, repository: &str) -> Result<Vec<String>> {
        let connection = self.connection();
        let marked = (|| {
            let mut statement = connection.prepare_cached(
                "UPDATE schedule_memory SET last_status = ?2 WHERE repository = ?1 AND last_status = ?3 RETURNING id",
            )?;
            let ids = statement.query_map(params![repository, INTERRUPTED, RUNNING], |row| row.get(0))?;
            ids.collect::<rusqlite::Result<Vec<String>>>()
        })();
        marked.map_err(|e| self.wrong(e))
    }
}

fn write(connection: &Connection, sql: &str, repository: &str, s: &StoredSchedule) -> rusqlite::Result<bool> {
    let (on_change, enabled) = (s.on_change, s.enabled);
    let values = params![
        repository,
        s.id,
        s.job,
        s.target,
        s.tier,
        s.backup_type,
        on_change,
        s.cron,
        s.timezone,
        s.jitter,
        enabled
    ];
    Ok(connection.execute(sql, values)? > 0)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredSchedule> {
    Ok(StoredSchedule {
        id: row.get(0)?,
        job: row.get(1)?,
        target: row.get(2)?,
        tier: row.get(3)?,
        backup_type: row.get(4)?,
        on_change: row.get(5)?,
        cron: row.get(6)?,
        timezone: row.get(7)?,
        jitter: row.get(8)?,
        enabled: row.get(9)?,
    })
}

fn rows(connection: &Connection, repository: &str) -> rusqlite::Result<BTreeMap<String, ScheduleRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, since, due, last_run, last_status, switched FROM schedule_memory WHERE repository = ?1",
    )?;
    let rows = statement.query_map([repository], |row| {
        let known = ScheduleRow {
            since: moment(row.get(1)?),
            due: row.get::<_, Option<i64>>(2)?.map(moment),
            last_run: row.get::<_, Option<i64>>(3)?.map(moment),
            last_status: row.get(4)?,
            switched: row.get(5)?,
        };
        Ok((row.get(0)?, known))
    })?;
    rows.collect()
}

/// SQLite's numbers end in 2262, the calendar in 9999.
fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Every number of nanoseconds of SQLite's is in the calendar.
fn moment(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default()
}
