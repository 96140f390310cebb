//! A stored database back into the live one, in one transaction: what is in the way is dropped and the archive restored, or nothing is.
//!
//! For where no second database can be made or take the name. The number of the transaction is noted before anything is restored, and the
//! server tells later whether it was committed; so nothing is left in the database to know it by. An input that breaks off ends the
//! session without a commit.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::names::random_name;
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::client::Client;
use crate::postgres::in_place::standing::{Standing, Takes, glance};
use crate::postgres::restore::{Content, DatabaseReport, DatabaseRestore, compare, definitions};
use crate::postgres::sql::literal;
use crate::postgres::swap::SESSION;
use crate::process::Dialogue;
use crate::unfinished::Stands;

mod standing;

pub use standing::{Part, Seen};

/// Things that are named in an error; more are only counted.
const SHOWN: usize = 20;

/// What stands before an answer of the session, among whatever else it says.
const SEEN: &str = "chronos sees ";
/// The same.
const NUMBER: &str = "chronos transaction ";

/// Without the second of them large objects come in a transaction of their own, which would end that of the session.
const ARGUMENTS: [&str; 3] = ["--exit-on-error", "--single-transaction", "--file=-"];

/// How a database is restored in place.
#[derive(Clone, Debug)]
pub struct InPlace {
    /// How long is waited for what others hold.
    pub lock_limit: Duration,
    /// What the database was when the restore was planned: if it is not that any more, nothing is touched.
    pub seen: Option<Seen>,
}

impl Default for InPlace {
    fn default() -> Self {
        Self { lock_limit: Duration::from_secs(30), seen: None }
    }
}

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

/// What is taken out of an archive, and what is not.
#[derive(Debug)]
struct Chosen {
    list: ArchiveList,
    /// What is left out, in sentences.
    left: Vec<String>,
}

impl Chosen {
    fn of(archive: &ArchiveList, standing: &Standing) -> Self {
        let mut list = ArchiveList { entries: Vec::new(), ..archive.clone() };
        let mut left: Vec<(&'static str, Vec<&str>)> = Vec::new();
        for entry in &archive.entries {
            match standing.takes(entry, archive) {
                Takes::Yes => list.entries.push(entry.clone()),
                Takes::There => {}
                Takes::Not(why) => match left.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, lines)) => lines.push(&entry.line),
                    None => left.push((why, vec![&entry.line])),
                },
            }
        }
        let told =
            |(why, lines): &(&str, Vec<&str>)| format!("not restored, since {why}: {}", some_of(lines));
        Self { left: left.iter().map(told).collect(), list }
    }
}

/// What would happen in place.
#[derive(Debug, Default)]
pub(super) struct InPlacePlan {
    pub(super) drops: Vec<String>,
    pub(super) goes: Vec<String>,
    pub(super) comes: Vec<String>,
    pub(super) stays: Vec<String>,
    pub(super) seen: Option<Seen>,
}

/// Says it, and fails if something is in the way that may not go.
pub(super) fn plan(options: &DatabaseRestore, archive: &ArchiveList) -> Result<InPlacePlan> {
    let client = &options.client;
    let standing = Standing::look(client, &options.database, archive, &Part::default())?;
    clear(&standing, &Part::default(), &options.database)?;
    let chosen = Chosen::of(archive, &standing);
    let live = client.live_list(&options.database)?;
    let (stored, now) = (definitions(&chosen.list), definitions(&live));
    let all = definitions(archive);
    let mine = |entry: &&ArchiveEntry| standing.takes(entry, &live) == Takes::Yes;
    let own = ArchiveList {
        entries: live.entries.iter().filter(mine).cloned().collect(),
        ..ArchiveList::default()
    };
    let goes = definitions(&own).into_keys().filter(|line| !all.contains_key(line)).collect();
    let comes = stored.into_keys().filter(|line| !now.contains_key(line)).collect();
    let mut stays: Vec<String> = standing.stays().chain(chosen.left).collect();
    stays.extend(of_database(archive, &standing));
    Ok(InPlacePlan { drops: standing.drops().collect(), goes, comes, stays, seen: Some(standing.seen) })
}

/// What is told of rights and settings of a database that belongs to others.
fn of_database(archive: &ArchiveList, standing: &Standing) -> Option<String> {
    let has = archive.entries.iter().any(|e| e.is_of_database() && e.kind() != "DATABASE");
    (has && !standing.has_database()).then(|| {
        "rights, settings and comment of the database itself stay as they are: it belongs to another role"
            .to_owned()
    })
}

/// Fails if something needs what goes and cannot go with it.
fn clear(standing: &Standing, part: &Part, database: &str) -> Result<()> {
    let in_way = standing.in_way(part);
    if in_way.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = in_way.iter().map(String::as_str).collect();
    Err(Error::Refused(format!(
        "database {database} cannot be restored in place; nothing was changed. These need what would go and would stay: {}",
        some_of(&lines)
    )))
}

fn some_of(lines: &[&str]) -> String {
    let more = lines.len().saturating_sub(SHOWN);
    let shown = lines.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

/// Restores. `script`: statements about the database itself.
pub(super) fn restore(
    options: &DatabaseRestore,
    archive: &ArchiveList,
    script: &[String],
    content: &mut Content<'_>,
    note: &mut dyn FnMut(&Begun) -> Result<()>,
) -> Result<DatabaseReport> {
    let client = &options.client;
    let part = Part::default();
    let standing = Standing::look(client, &options.database, archive, &part)?;
    clear(&standing, &part, &options.database)?;
    let chosen = Chosen::of(archive, &standing);
    let mut notes: Vec<String> = standing.stays().chain(chosen.left).collect();
    notes.extend(of_database(archive, &standing));
    let script: &[String] = if standing.has_database() { script } else { &[] };
    let work = Work { options, archive, part, standing, chosen: chosen.list, script };
    let mut begun = Begun {
        database: options.database.clone(),
        session: format!("chronos {}", random_name()?),
        transaction: None,
    };
    note(&begun)?;
    if let Err(cause) = work.exchange(&mut begun, content, note) {
        match begun.resume(client) {
            Ok(Stands::New { .. }) => {
                notes.push(format!("it was committed, and then the session ended: {cause}"));
            }
            Ok(Stands::Old) => return Err(Error::Undone(Box::new(work.told(cause, &begun)))),
            Err(undo) => return Err(Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) }),
        }
    }
    compare(&definitions(&work.chosen), &definitions(&client.live_list(&options.database)?))?;
    if let Err(error) = client.analyze(&options.database, options.time_limit) {
        notes.push(format!("its statistics could not be made anew: {error}"));
    }
    let (entries, tables) = (work.chosen.entries.len(), work.chosen.tables().len());
    Ok(DatabaseReport { entries, tables, roles: Vec::new(), old: None, notes })
}

/// One restore.
struct Work<'a> {
    options: &'a DatabaseRestore,
    archive: &'a ArchiveList,
    part: Part,
    standing: Standing,
    chosen: ArchiveList,
    script: &'a [String],
}

impl Work<'_> {
    /// The transaction.
    fn exchange(
        &self,
        begun: &mut Begun,
        content: &mut Content<'_>,
        note: &mut dyn FnMut(&Begun) -> Result<()>,
    ) -> Result<()> {
        let client = &self.options.client;
        let of_server = |e| client.of_server(e);
        let mut session = self.session(&begun.session).map_err(of_server)?;
        let now = Seen::parse(&session.ask(&self.beginning(), SEEN).map_err(of_server)?);
        let before = self.options.in_place.seen.as_ref().unwrap_or(&self.standing.seen);
        if let Some(what) = before.moved(&now) {
            return Err(Error::Busy(format!(
                "database {} is not what it was when this restore was planned: {what} since. Do it again when it is quiet",
                self.options.database
            )));
        }
        let changes = self.standing.changes().chain(self.script.iter().map(String::as_str));
        let changes: String = changes.map(|statement| format!("{statement};\n")).collect();
        let number = format!("{changes}SELECT {} || pg_catalog.txid_current();\n", literal(NUMBER));
        let number = session.ask(&number, NUMBER).map_err(of_server)?;
        begun.transaction = Some(number);
        note(begun)?;
        let input = self.fill(session.take_input(), content)?;
        session.finish(input).map_err(of_server)
    }

    fn session(&self, name: &str) -> Result<Dialogue> {
        let arguments = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let psql = self.options.client.program("psql", &arguments, Some(&self.options.database));
        let psql = psql.variable("PGAPPNAME", crate::secret::Secret::new(name));
        psql.time_limit(self.options.time_limit).dialogue()
    }

    /// Takes what is going to be dropped from all others, and looks what it is.
    fn beginning(&self) -> String {
        let limit = self.options.in_place.lock_limit.as_millis();
        let end = if self.options.ends_sessions == Some(true) { ENDING } else { "" };
        let locks: String = self.standing.locks().map(|lock| format!("{lock};\n")).collect();
        format!(
            "BEGIN;\nSET LOCAL search_path = '';\nSET LOCAL statement_timeout = 0;\nSET LOCAL idle_in_transaction_session_timeout = 0;\n\
             SET LOCAL lock_timeout = {limit};\nSET LOCAL client_min_messages = warning;\n{end}{locks}{}",
            glance(self.archive, &self.part, SEEN)
        )
    }

    /// The statements of the archive into the session, with the commit that stands at their end if the archive is whole; gives its
    /// input back.
    fn fill(&self, input: Option<ChildStdin>, content: &mut Content<'_>) -> Result<Option<ChildStdin>> {
        let numbers: Vec<u32> = self.chosen.entries.iter().map(|e| e.number).collect();
        let restore = self.options.client.choosing(&numbers, &ARGUMENTS, None);
        let take = move |statements: ChildStdout| copy(statements, input).map_err(|e| e.to_string());
        restore
            .time_limit(self.options.time_limit)
            .feed_through(take, |into| content(into))
            .map_err(|e| self.options.client.of_server(e))
    }

    /// An error as people need it.
    fn told(&self, cause: Error, begun: &Begun) -> Error {
        let said = cause.to_string();
        if !said.contains("lock timeout") {
            return cause;
        }
        let holders = self.options.client.query(Some(&self.options.database), &holders(&begun.session));
        // Who it was is worth telling, and no more.
        let holders = holders.unwrap_or_default();
        let names: Vec<&str> = holders.iter().map(String::as_str).collect();
        let who =
            if names.is_empty() { "a session that has ended since".to_owned() } else { some_of(&names) };
        Error::Busy(format!(
            "others hold something that is in the way, for longer than {} s: {who}. Let them end, or have them ended (end_sessions = true)",
            self.options.in_place.lock_limit.as_secs_f64()
        ))
    }
}

/// Ends whoever holds something in this database.
const ENDING: &str = "DO 'BEGIN PERFORM pg_catalog.pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_catalog.pg_locks l \
     JOIN pg_catalog.pg_database d ON d.oid = l.database JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE d.datname = current_database() \
     AND a.backend_type = ''client backend'' AND l.relation >= 16384 AND pid <> pg_catalog.pg_backend_pid()) s; END';\n";

/// Whoever holds something in this database, but for this session.
fn holders(session: &str) -> String {
    format!(
        "SELECT DISTINCT {SESSION} FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database JOIN pg_catalog.pg_stat_activity a USING (pid)
         WHERE d.datname = pg_catalog.current_database() AND l.granted AND l.relation >= 16384 AND pid <> pg_catalog.pg_backend_pid()
         AND a.application_name <> {}",
        literal(session)
    )
}

/// Copies statements, but for the limits of time that a dump sets at its beginning. If nobody takes them any more, the rest is read and
/// dropped: why is told by who took them.
fn copy(statements: ChildStdout, mut input: Option<ChildStdin>) -> io::Result<Option<ChildStdin>> {
    let mut from = BufReader::with_capacity(1 << 16, statements);
    let copied = input.as_mut().map_or(Ok(()), |into| copy_all(&mut from, into));
    match copied {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    io::copy(&mut from, &mut io::sink())?;
    Ok(input)
}

fn copy_all(from: &mut impl BufRead, into: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        let is_limit = line.starts_with(b"SET ") && line.ends_with(b"_timeout = 0;\n");
        if !is_limit {
            into.write_all(&line)?;
        }
        // What follows is of the database.
        if line.starts_with(b"SELECT pg_catalog.set_config('search_path'") {
            break;
        }
        line.clear();
    }
    io::copy(from, into)?;
    into.flush()
}

impl Begun {
    /// Ends its session if that is left, and says which state the database is in.
    pub(super) fn resume(&self, client: &Client) -> Result<Stands> {
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
