//! A restore of a database whose process ended in the middle of it: the old database or the new one has the name, connections to it are
//! allowed again, and what was only begun is dropped.
//!
//! Which of both has the name is told by the number (`oid`) of the one that had it before, never by how far the work had come: this can
//! be stopped anywhere and begun again. Programs that outlived their process are ended first, by the name that only they know.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::postgres::client::Client;
use crate::postgres::in_place::Begun;
use crate::postgres::restore::maintenance_of;
use crate::postgres::sql::{identifier, literal};
use crate::unfinished::Stands;

/// What a restore leaves if its process ends: to be kept before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Unfinished {
    /// One database takes the place of another.
    Exchange(Exchange),
    /// All is done in one transaction.
    InPlace(Begun),
}

impl Unfinished {
    /// Name of the database.
    pub fn database(&self) -> &str {
        match self {
            Self::Exchange(exchange) => &exchange.database,
            Self::InPlace(begun) => &begun.database,
        }
    }

    /// Brings it to an end.
    pub fn resume(&self, client: &Client) -> Result<Stands> {
        match self {
            Self::Exchange(exchange) => exchange.resume(client),
            Self::InPlace(begun) => begun.resume(client),
        }
    }
}

/// A new database that is going to take the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Name of the database.
    pub database: String,
    /// The one that has the name, if any.
    pub before: Option<Found>,
    /// Name of the new one, until it takes that of the database; nothing else has it.
    pub staging: String,
    /// Name of the old one, once the new one has its name.
    pub old: String,
    /// The database that is connected to meanwhile.
    pub maintenance: Option<String>,
}

/// A database that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its number.
    pub oid: String,
    /// Whether connections to it are allowed.
    pub is_open: bool,
}

/// The database of this name.
pub(super) fn found(client: &Client, maintenance: &str, database: &str) -> Result<Option<Found>> {
    let sql =
        format!("SELECT oid, datallowconn FROM pg_catalog.pg_database WHERE datname = {}", literal(database));
    let values = client.query(Some(maintenance), &sql)?;
    Ok(match values.as_slice() {
        [oid, is_open] => Some(Found { oid: oid.clone(), is_open: is_open == "t" }),
        _ => None,
    })
}

impl Exchange {
    fn resume(&self, client: &Client) -> Result<Stands> {
        let maintenance = maintenance_of(self.maintenance.as_deref(), &self.database);
        let run = |sql: &str| client.query(Some(&maintenance), sql);
        let find = |name: &str| found(client, &maintenance, name);
        run(&format!("DO {}", literal(&self.ending())))?;
        let number = |found: &Option<Found>| found.as_ref().map(|f| f.oid.clone());
        let before = number(&self.before);
        let mut live = find(&self.database)?;
        if live.is_none() && before.is_some() && number(&find(&self.old)?) == before {
            run(&format!(
                "ALTER DATABASE {} RENAME TO {}",
                identifier(&self.old),
                identifier(&self.database)
            ))?;
            live = find(&self.database)?;
        }
        // An earlier one that was resumed later than the next restore may have left it.
        let drop = format!("DROP DATABASE IF EXISTS {}", identifier(&self.staging));
        if live.is_some() && number(&live) != before {
            run(&drop)?;
            let old = find(&self.old)?.map(|_| self.old.clone());
            return Ok(Stands::New { old });
        }
        let was_open = self.before.as_ref().is_some_and(|before| before.is_open);
        if live.is_some_and(|live| was_open && !live.is_open) {
            run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", identifier(&self.database)))?;
        }
        run(&drop)?;
        Ok(Stands::Old)
    }

    /// Ends what still works on the new database or for it, and waits until it has ended.
    fn ending(&self) -> String {
        format!(
            "BEGIN
                FOR n IN 1..300 LOOP
                    PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                    WHERE pid <> pg_catalog.pg_backend_pid() AND usename = current_user
                        AND (datname = {} OR pg_catalog.strpos(query, {}) > 0);
                    EXIT WHEN NOT FOUND;
                    PERFORM pg_catalog.pg_sleep(0.1);
                    PERFORM pg_catalog.pg_stat_clear_snapshot();
                END LOOP;
            END",
            literal(&self.staging),
            literal(tag(&self.staging))
        )
    }
}

/// What only statements of one restore have in them.
pub(super) fn tag(staging: &str) -> &str {
    staging.rsplit('_').next().unwrap_or(staging)
}
