//! A stored database back into the live one, in one transaction: what is in the way is dropped and the archive restored, or nothing is.
//!
//! For where no second database can be made or take the name. The number of the transaction is noted before anything is restored, and the
//! server tells later whether it was committed; so nothing is left in the database to know it by. An input that breaks off ends the
//! session without a commit.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::postgres::archive::ArchiveList;
use crate::postgres::in_place::chosen::Chosen;
use crate::postgres::in_place::standing::Standing;
use crate::postgres::restore::{Content, DatabaseReport, DatabaseRestore, definitions, lacking};
use crate::unfinished::Stands;

mod chosen;
mod session;
mod standing;

pub use session::{Begun, Held};
pub use standing::Seen;

/// Things that are named in an error; more are only counted.
const SHOWN: usize = 20;

/// Large objects come in a transaction of their own otherwise, which would end that of the session.
const WHOLE: [&str; 3] = ["--exit-on-error", "--single-transaction", "--file=-"];
/// A part has no large objects, and more is said before the commit.
const PART: [&str; 2] = ["--exit-on-error", "--file=-"];

/// How a database is restored in place.
#[derive(Clone, Debug)]
pub struct InPlace {
    /// How long is waited for what others hold.
    pub lock_limit: Duration,
    /// What the database was when the restore was planned: if something else is defined in it now, nothing is touched.
    pub seen: Option<Seen>,
}

impl Default for InPlace {
    fn default() -> Self {
        Self { lock_limit: Duration::from_secs(30), seen: None }
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

/// Says it, and fails if something is in the way that may not go. `meant`: what of the archive is meant. `made`: roles that a restore
/// makes first, for whoever may do all.
pub(super) fn plan(
    options: &DatabaseRestore,
    archive: &ArchiveList,
    meant: &ArchiveList,
    made: &[String],
) -> Result<InPlacePlan> {
    let client = &options.client;
    let mut standing = Standing::look(client, &options.database, archive, &options.part)?;
    standing.add_roles(made);
    let live = client.live_part(&options.database, &options.part)?;
    let chosen = Chosen::of(options, meant, &live, &standing)?;
    let now = definitions(&live);
    let comes = definitions(&chosen.list).into_keys().filter(|line| !now.contains_key(line)).collect();
    let goes = chosen.goes(meant);
    let stays = standing.stays().chain(chosen.left).chain(of_database(meant, &standing)).collect();
    let drops = standing.drops().map(|what| format!("{what} is dropped"));
    let again = standing.comes_again().map(|what| format!("{what} is made again as it is"));
    Ok(InPlacePlan { drops: drops.chain(again).collect(), goes, comes, stays, seen: Some(standing.seen) })
}

/// What is told of rights and settings of a database that belongs to others.
fn of_database(archive: &ArchiveList, standing: &Standing) -> Option<String> {
    let has = archive.entries.iter().any(|e| e.is_of_database() && e.kind() != "DATABASE");
    (has && !standing.has_database()).then(|| {
        "rights, settings and comment of the database itself stay as they are: it belongs to another role"
            .to_owned()
    })
}

fn some_of(lines: &[&str]) -> String {
    let more = lines.len().saturating_sub(SHOWN);
    let shown = lines.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

/// Keeps others from writing what a restore of this archive takes away.
pub(super) fn hold(options: &DatabaseRestore, archive: &ArchiveList) -> Result<Held> {
    let standing = Standing::look(&options.client, &options.database, archive, &options.part)?;
    Held::take(options, archive, &standing, options.in_place.seen.as_ref())
}

/// Restores. `script`: statements about the database itself; `held`: what keeps others from writing, if that was taken already.
pub(super) fn restore(
    options: &DatabaseRestore,
    archive: &ArchiveList,
    script: &[String],
    held: Option<Held>,
    content: &mut Content<'_>,
    note: &mut dyn FnMut(&Begun) -> Result<()>,
) -> Result<DatabaseReport> {
    let client = &options.client;
    let standing = Standing::look(client, &options.database, archive, &options.part)?;
    let meant = options.part.of(client, archive, content)?;
    let live = client.live_part(&options.database, &options.part)?;
    let chosen = Chosen::of(options, &meant, &live, &standing)?;
    let mut notes: Vec<String> = standing.stays().chain(chosen.left).collect();
    notes.extend(of_database(&meant, &standing));
    let script: &[String] = if standing.has_database() { script } else { &[] };
    let mut held = match held {
        Some(held) => held,
        None => Held::take(options, archive, &standing, options.in_place.seen.as_ref())?,
    };
    let mut begun = held.begun(options);
    note(&begun)?;
    let changes = standing.changes().chain(script.iter().map(String::as_str));
    let changes: String = changes.map(|statement| format!("{statement};\n")).collect();
    let exchanged = held.change(options, archive, &standing, &changes).and_then(|number| {
        begun.transaction = Some(number);
        note(&begun)?;
        fill(options, held, &chosen.list, &standing, content)
    });
    if let Err(cause) = exchanged {
        match begun.resume(client) {
            Ok(Stands::New { .. }) => {
                notes.push(format!("it was committed, and then the session ended: {cause}"));
            }
            Ok(Stands::Old) => {
                return Err(Error::Undone(Box::new(session::told(options, &begun.session, cause))));
            }
            Err(undo) => return Err(Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) }),
        }
    }
    // It is done, whatever is found now.
    let differences = match client.live_list(&options.database) {
        Ok(live) => {
            let lacking = lacking(&definitions(&chosen.list), &definitions(&live));
            lacking.into_iter().map(|line| format!("{line} is not there")).collect()
        }
        Err(error) => vec![format!("what is there now could not be read back: {error}")],
    };
    let counted = client
        .analyze(&options.database, options.time_limit)
        .and_then(|()| client.counted(&options.database, &options.part))
        .inspect_err(|error| notes.push(format!("its statistics could not be made anew: {error}")))
        .ok();
    let (entries, tables) = (chosen.list.entries.len(), chosen.list.tables().len());
    Ok(DatabaseReport { entries, tables, counted, roles: Vec::new(), old: None, notes, differences })
}

/// The statements of the archive into the session, with the commit if the archive is whole; then its end.
fn fill(
    options: &DatabaseRestore,
    mut held: Held,
    chosen: &ArchiveList,
    standing: &Standing,
    content: &mut Content<'_>,
) -> Result<()> {
    let of_server = |e| options.client.of_server(e);
    let mut input = held.session.take_input();
    if options.part.is_all() || !chosen.entries.is_empty() {
        let numbers: Vec<u32> = chosen.entries.iter().map(|e| e.number).collect();
        let arguments: &[&str] = if options.part.is_all() { &WHOLE } else { &PART };
        let restore = options.client.choosing(&numbers, arguments, None).time_limit(options.time_limit);
        let take = move |statements: ChildStdout| copy(statements, input).map_err(|e| e.to_string());
        input = restore.feed_through(take, |into| content(into)).map_err(of_server)?;
    }
    if !options.part.is_all() {
        let again: String = standing.made_again().map(|statement| format!("{statement};\n")).collect();
        let statements = format!("{again}COMMIT;\n");
        match input.as_mut().map_or(Ok(()), |into| into.write_all(statements.as_bytes())) {
            // Nobody takes it any more: why is told by who took it.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(|e| Error::file("the session", e))?,
        }
    }
    held.session.finish(input).map_err(of_server)
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
