//! The session of a restore in place: a transaction that keeps others from writing what is going to go, from before a snapshot of that is
//! made until it is restored; and what became of one whose process died.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::names::random_name;
use crate::postgres::archive::ArchiveList;
use crate::postgres::client::Client;
use crate::postgres::in_place::some_of;
use crate::postgres::in_place::standing::{Seen, Standing, glance};
use crate::postgres::restore::DatabaseRestore;
use crate::postgres::sql::literal;
use crate::postgres::swap::SESSION;
use crate::process::Dialogue;
use crate::unfinished::Stands;

/// What stands before an answer of the session, among whatever else it says.
const SEEN: &str = "chronos sees ";
/// The same.
const NUMBER: &str = "chronos transaction ";
/// Writes something into the log of the server, and nothing else.
const LOGGED: &str = "SELECT pg_catalog.pg_logical_emit_message(true, 'chronos', '')";
/// Others read on, and write no rows. A dump can be made.
const AGAINST_WRITERS: &str = "SHARE ROW EXCLUSIVE";
/// Nobody else does anything.
const AGAINST_ALL: &str = "ACCESS EXCLUSIVE";

/// A restore in place that was begun: to be kept before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Name of the database.
    pub database: String,
    /// What its session is called; no other is.
    pub session: String,
    /// Number of its transaction; without one nothing can have been committed.
    pub transaction: Option<String>,
}

/// A database in which nobody else writes rows that a restore in place takes away, until this is given to that restore or dropped.
#[derive(Debug)]
pub struct Held {
    pub(super) session: Dialogue,
    name: String,
    /// What was there when the locks had been taken.
    seen: Seen,
}

impl Held {
    /// Takes what goes from those who write. `before`: what was there when it was planned; if that is not what is there, it fails.
    pub(super) fn take(
        options: &DatabaseRestore,
        archive: &ArchiveList,
        standing: &Standing,
        before: Option<&Seen>,
    ) -> Result<Self> {
        let name = format!("chronos {}", random_name()?);
        let told = |error| Error::Undone(Box::new(told(options, &name, error)));
        let mut session = open(options, &name).map_err(told)?;
        let limit = options.in_place.lock_limit.as_millis();
        let locks: String =
            standing.catalogs().chain(standing.locks()).map(|l| lock(l, AGAINST_WRITERS)).collect();
        let numbers: String = standing.numbers().map(|statement| format!("{statement};\n")).collect();
        let beginning = format!(
            "BEGIN;\nSET LOCAL search_path = '';\nSET LOCAL statement_timeout = 0;\nSET LOCAL idle_in_transaction_session_timeout = 0;\n\
             SET LOCAL lock_timeout = {limit};\nSET LOCAL client_min_messages = warning;\n{}{locks}{numbers}{}",
            ending(options),
            glance(archive, &options.part, SEEN)
        );
        let seen =
            Seen::parse(&session.ask(&beginning, SEEN).map_err(|e| told(options.client.of_server(e)))?);
        unmoved(options, before.unwrap_or(&standing.seen), &seen)?;
        Ok(Self { session, name, seen })
    }

    /// Takes it from all others; gives the number of the transaction when these statements are executed.
    pub(super) fn change(
        &mut self,
        options: &DatabaseRestore,
        archive: &ArchiveList,
        standing: &Standing,
        statements: &str,
    ) -> Result<String> {
        let of_server = |e| options.client.of_server(e);
        let locks: String = standing.locks().map(|l| lock(l, AGAINST_ALL)).collect();
        let question = format!("{}{locks}{}", ending(options), glance(archive, &options.part, SEEN));
        let now = Seen::parse(&self.session.ask(&question, SEEN).map_err(of_server)?);
        unmoved(options, &self.seen, &now)?;
        let number =
            format!("{statements}{LOGGED};\nSELECT {} || pg_catalog.txid_current();\n", literal(NUMBER));
        let number = self.session.ask(&number, NUMBER).map_err(of_server)?;
        // A number that a failing server had not yet on its disk is given to another transaction.
        let flushed = format!("SET LOCAL synchronous_commit = on; {LOGGED}");
        options.client.query(Some(&options.database), &flushed).map(|_| number)
    }

    /// What is kept of it before anything is changed.
    pub(super) fn begun(&self, options: &DatabaseRestore) -> Begun {
        Begun { database: options.database.clone(), session: self.name.clone(), transaction: None }
    }
}

fn unmoved(options: &DatabaseRestore, before: &Seen, now: &Seen) -> Result<()> {
    if before == now {
        return Ok(());
    }
    Err(Error::Busy(format!(
        "database {} is not what it was when this restore was planned: what is defined in it was changed since. Do it again when it is quiet",
        options.database
    )))
}

fn open(options: &DatabaseRestore, name: &str) -> Result<Dialogue> {
    let arguments = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
    let psql = options.client.program("psql", &arguments, Some(&options.database));
    let psql = psql.variable("PGAPPNAME", crate::secret::Secret::new(name));
    psql.time_limit(options.time_limit).dialogue().map_err(|e| options.client.of_server(e))
}

fn lock(tables: &str, mode: &str) -> String {
    format!("{tables} IN {mode} MODE;\n")
}

/// What ends whoever is in the way, if that is asked for.
fn ending(options: &DatabaseRestore) -> &'static str {
    if options.ends_sessions == Some(true) { ENDING } else { "" }
}

/// Ends whoever holds something in this database.
const ENDING: &str = "DO 'BEGIN PERFORM pg_catalog.pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_catalog.pg_locks l \
     JOIN pg_catalog.pg_database d ON d.oid = l.database JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE d.datname = current_database() \
     AND a.backend_type = ''client backend'' AND l.relation >= 16384 AND pid <> pg_catalog.pg_backend_pid()) s; END';\n";

/// An error as people need it.
pub(super) fn told(options: &DatabaseRestore, session: &str, cause: Error) -> Error {
    let said = cause.to_string();
    if !said.contains("lock timeout") && !said.contains("deadlock detected") {
        return cause;
    }
    let holders = options.client.query(Some(&options.database), &holders(session));
    // Who it was is worth telling, and no more.
    let holders = holders.unwrap_or_default();
    let names: Vec<&str> = holders.iter().map(String::as_str).collect();
    let who = if names.is_empty() { "a session that has ended since".to_owned() } else { some_of(&names) };
    Error::Busy(format!(
        "others hold something that is in the way, for longer than {} s: {who}. Let them end, or have them ended (end_sessions = true)",
        options.in_place.lock_limit.as_secs_f64()
    ))
}

/// Whoever holds something in this database, but for this session.
fn holders(session: &str) -> String {
    format!(
        "SELECT DISTINCT {SESSION} FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database JOIN pg_catalog.pg_stat_activity a USING (pid)
         WHERE d.datname = pg_catalog.current_database() AND l.granted AND l.relation >= 16384 AND pid <> pg_catalog.pg_backend_pid()
         AND a.application_name <> {}",
        literal(session)
    )
}

impl Begun {
    /// Ends its session if that is left, and says which state the database is in.
    pub(in crate::postgres) fn resume(&self, client: &Client) -> Result<Stands> {
        let run = |sql: &str| client.query(Some(&self.database), sql);
        run(&format!("DO {}", literal(&self.ending())))?;
        let Some(number) = &self.transaction else { return Ok(Stands::Old) };
        let status = run(&format!("SELECT pg_catalog.txid_status({})", literal(number)))?;
        match status.first().map(String::as_str) {
            Some("committed") => Ok(Stands::New { old: None }),
            Some("aborted") => Ok(Stands::Old),
            other => Err(Error::Upstream {
                system: client.connection.shown(),
                status: None,
                why: match other {
                    Some("in progress") => format!("transaction {number} is still in progress"),
                    _ => format!("it no longer knows what became of transaction {number}"),
                },
            }),
        }
    }

    fn ending(&self) -> String {
        format!(
            "BEGIN
                FOR n IN 1..300 LOOP
                    PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                    WHERE pid <> pg_catalog.pg_backend_pid() AND usename = current_user AND application_name = {};
                    EXIT WHEN NOT FOUND;
                    PERFORM pg_catalog.pg_sleep(0.1);
                    PERFORM pg_catalog.pg_stat_clear_snapshot();
                END LOOP;
            END",
            literal(&self.session)
        )
    }
}
