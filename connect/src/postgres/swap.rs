//! One database takes the place of another: connections are ended, if that is allowed, and both are renamed in one transaction.

use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::sql::{identifier, literal};
use crate::postgres::unfinished::{found, tag};

/// What happens to a database of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// There must be none.
    Refuse,
    /// It is dropped when the restored one is in its place.
    Drop,
    /// The same, unless more was written into it than so many rows, as the statistics of the server count: then it stays like one that is kept.
    DropIfUntouched {
        /// The rows.
        rows: i64,
    },
    /// It stays, under a name that the report tells, with connections to it forbidden.
    Keep,
}

/// A session, for people.
pub(super) const SESSION: &str = "'session ' || pid || ' of ' || coalesce(usename, '?') || coalesce(' (' || nullif(application_name, '') || ')', '')";

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Swap {
    /// Name of the old one, if it was kept.
    pub(super) old: Option<String>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
}

/// Rows that were inserted, changed and removed in a database since its statistics began; system tables count too.
pub(super) fn written(client: &Client, maintenance: &str, database: &str) -> Result<Option<i64>> {
    let sql = format!(
        "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_catalog.pg_stat_database WHERE datname = {}",
        literal(database)
    );
    Ok(client.query(Some(maintenance), &sql)?.first().and_then(|count| count.parse().ok()))
}

impl Swap {
    /// `live` becomes `old`, `staging` becomes `live`. If that fails, `live` is as it was. Sessions of others are ended, or there must be none.
    pub(super) fn exchange(
        client: &Client,
        maintenance: &str,
        [live, staging, old]: [&str; 3],
        existing: Existing,
        ends_sessions: bool,
    ) -> Result<Self> {
        let run = |sql: &str| client.query(Some(maintenance), sql);
        let was_open = found(client, maintenance, live)?.is_some_and(|found| found.is_open);
        let allow = |value: &str| {
            format!(
                "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {value} /* {} */",
                identifier(live),
                tag(staging)
            )
        };
        run(&allow("false"))?;
        let rename = format!(
            "BEGIN; ALTER DATABASE {0} RENAME TO {2}; ALTER DATABASE {1} RENAME TO {0}; COMMIT",
            identifier(live),
            identifier(staging),
            identifier(old)
        );
        let exchanged = free(&run, [live, staging], ends_sessions).and_then(|()| run(&rename));
        if let Err(cause) = exchanged {
            if !was_open {
                return Err(cause);
            }
            return Err(match run(&allow("true")) {
                Ok(_) => cause,
                Err(undo) => {
                    let undo = Error::Refused(format!("connections to {live:?} stay forbidden: {undo}"));
                    Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) }
                }
            });
        }
        let kept = match existing {
            Existing::Keep => Some("the database that was there is"),
            // Whoever wrote last was counted when his connection ended.
            Existing::DropIfUntouched { rows }
                if written(client, maintenance, old).ok().flatten() != Some(rows) =>
            {
                Some(
                    "the database that was there may have been changed since the restore was planned, and is",
                )
            }
            _ => None,
        };
        if let Some(what) = kept {
            let note = format!("{what} {old:?} now; connections to it are forbidden");
            return Ok(Self { old: Some(old.to_owned()), notes: vec![note] });
        }
        match run(&format!("DROP DATABASE {}", identifier(old))) {
            Ok(_) => Ok(Self::default()),
            // The restore itself is done.
            Err(e) => Ok(Self {
                old: Some(old.to_owned()),
                notes: vec![format!(
                    "the database that was there could not be dropped and is {old:?} now: {e}"
                )],
            }),
        }
    }
}

/// Ends the sessions of these databases, or fails if there are any.
fn free(run: &dyn Fn(&str) -> Result<Vec<String>>, databases: [&str; 2], ends_sessions: bool) -> Result<()> {
    let of_sessions = |what: &str| {
        let names = databases.map(literal).join(", ");
        format!(
            "SELECT {what} FROM pg_catalog.pg_stat_activity WHERE datname IN ({names}) AND pid <> pg_catalog.pg_backend_pid()"
        )
    };
    if ends_sessions {
        return run(&of_sessions("pg_catalog.pg_terminate_backend(pid)")).map(drop);
    }
    match run(&of_sessions(SESSION))?.as_slice() {
        [] => Ok(()),
        using => Err(Error::Busy(format!(
            "database {} is in use, and end_sessions = false: {}",
            databases.join(" or "),
            using.join(", ")
        ))),
    }
}
