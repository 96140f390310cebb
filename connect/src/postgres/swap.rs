//! One database takes the place of another: connections are ended, and both are renamed in one transaction.

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
    /// `live` becomes `old`, `staging` becomes `live`. If that fails, `live` is as it was.
    pub(super) fn exchange(
        client: &Client,
        maintenance: &str,
        [live, staging, old]: [&str; 3],
        existing: Existing,
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
        let end = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
             WHERE datname IN ({}, {}) AND pid <> pg_catalog.pg_backend_pid()",
            literal(live),
            literal(staging)
        );
        let rename = format!(
            "BEGIN; ALTER DATABASE {0} RENAME TO {2}; ALTER DATABASE {1} RENAME TO {0}; COMMIT",
            identifier(live),
            identifier(staging),
            identifier(old)
        );
        let exchanged = run(&end).and_then(|_| run(&rename));
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
