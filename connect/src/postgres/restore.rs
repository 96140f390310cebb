//! A stored database back into a server: as a new one, or in the place of one that is there.
//!
//! It is restored into a new database. Only when that is whole does it take the name, by two renames in one transaction with nobody
//! connected; so that the database ends exactly as it was stored, whatever came later, and a restore that fails has changed nothing.
//! Where that cannot be, it is restored in place ([`crate::postgres::in_place`]).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::names::random_name;
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::client::Client;
use crate::postgres::counted::Counted;
use crate::postgres::in_place::{self, Begun, Held, InPlace, InPlacePlan, Seen};
use crate::postgres::part::Part;
use crate::postgres::roles::missing;
use crate::postgres::sql::{forms, identifier, statements};
use crate::postgres::swap::{Existing, Swap, written};
use crate::postgres::unfinished::{Exchange, Unfinished, found};
use crate::postgres::way::{Chosen, Way};
use crate::process::Process;

/// What `pg_restore` may write of a script or a list.
const ANSWER_MAX: usize = 256 << 20;
/// Numbers of entries in one argument, which may have 128 KiB.
const ENTRIES_MAX: usize = 10_000;
/// Differences that are told.
const SHOWN: usize = 5;
/// Longest name of a database in bytes, less what is added to it.
const NAME_MAX: usize = 63 - 20;

/// Writes the bytes of a stored archive; called more than once.
pub type Content<'c> = dyn FnMut(&mut dyn Write) -> Result<()> + 'c;

/// Where a database goes, and how.
#[derive(Clone, Debug)]
pub struct DatabaseRestore {
    /// The server and its programs.
    pub client: Client,
    /// Name of the database.
    pub database: String,
    /// What happens to one of that name.
    pub existing: Existing,
    /// The stored `globals.sql`: roles that the server lacks are made.
    pub globals: Option<String>,
    /// The database that is connected to meanwhile; `None`: `postgres`, or `template1` if that is the one to be restored.
    pub maintenance: Option<String>,
    /// How long the restore may take.
    pub time_limit: Option<Duration>,
    /// How it takes its place; `None`: by a swap where that can be, else in place.
    pub way: Option<Way>,
    /// Whether sessions of others are ended; `None`: for a swap all of them, in place none.
    pub ends_sessions: Option<bool>,
    /// How it is done in place.
    pub in_place: InPlace,
    /// Which part of it; anything but all of it is restored in place.
    pub part: Part,
}

/// What a restore would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabasePlan {
    /// What is in the archive, of the part that is meant.
    pub archive: ArchiveList,
    /// Whether there is a database of that name.
    pub exists: bool,
    /// Rows that were ever written into the database that is there, for [`Existing::DropIfUntouched`].
    pub rows: Option<i64>,
    /// What is in the live database and not in the archive: it goes.
    pub goes: Vec<String>,
    /// What is in the archive and not in the live database: it comes.
    pub comes: Vec<String>,
    /// How it takes its place, and why so if nobody chose it and it is not by a swap.
    pub way: Chosen,
    /// In place: what is dropped, and what is made again, in sentences.
    pub drops: Vec<String>,
    /// In place: what stays as it is or is not restored, in sentences.
    pub stays: Vec<String>,
    /// In place: what the database is now.
    pub seen: Option<Seen>,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseReport {
    /// Entries of the archive.
    pub entries: usize,
    /// Tables of the archive.
    pub tables: usize,
    /// What is there now; `None` if it could not be counted.
    pub counted: Option<Counted>,
    /// Roles that were made.
    pub roles: Vec<String>,
    /// Name of the database that was there before, if it was kept.
    pub old: Option<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// In place: what is not as it was stored all the same, in sentences.
    pub differences: Vec<String>,
}

/// Says what a restore would do, without changing anything.
pub fn plan_database(options: &DatabaseRestore, content: &mut Content<'_>) -> Result<DatabasePlan> {
    let client = &options.client;
    let archive = client.list(|into| content(into))?;
    let maintenance = options.maintenance();
    let server = client.server(Some(&maintenance))?;
    client.check_version("pg_restore", &server)?;
    let before = found(client, &maintenance, &options.database)?;
    let way = options.way(&server, &maintenance, before.as_ref())?;
    let exists = before.is_some();
    let mut plan = DatabasePlan { archive, exists, way, ..DatabasePlan::default() };
    if !exists {
        plan.comes = definitions(&plan.archive).into_keys().collect();
        return Ok(plan);
    }
    if plan.way.way == Way::InPlace {
        let made = options.globals.iter().filter(|_| server.is_superuser);
        let made: Vec<String> = made.flat_map(|globals| missing(globals, &[]).roles).collect();
        let meant = options.part.of(client, &plan.archive, content)?;
        let found = in_place::plan(options, &plan.archive, &meant, &made)?;
        let InPlacePlan { drops, goes, comes, stays, seen } = found;
        return Ok(DatabasePlan { archive: meant, goes, comes, drops, stays, seen, ..plan });
    }
    plan.rows = written(client, &maintenance, &options.database)?;
    let live = client.live_list(&options.database)?;
    let (stored, now) = (definitions(&plan.archive), definitions(&live));
    let without = |all: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| {
        all.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    (plan.goes, plan.comes) = (without(&now, &stored), without(&stored, &now));
    Ok(plan)
}

/// Keeps others from writing rows that a restore of the archive that `content` writes takes away, so that a snapshot that is made from
/// now on has all of them; `None` where the database stays beside the restored one.
pub fn hold_database(options: &DatabaseRestore, content: &mut Content<'_>) -> Result<Option<Held>> {
    let client = &options.client;
    let maintenance = options.maintenance();
    let before = found(client, &maintenance, &options.database)?;
    let way = options.way(&client.server(Some(&maintenance))?, &maintenance, before.as_ref())?;
    if before.is_none() || way.way != Way::InPlace {
        return Ok(None);
    }
    let archive = client.list(|into| content(into))?;
    in_place::hold(options, &archive).map(Some)
}

/// Restores the archive that `content` writes.
pub fn restore_database(options: &DatabaseRestore, content: &mut Content<'_>) -> Result<DatabaseReport> {
    restore_database_noting(options, None, content, &mut |_| Ok(()))
}

/// The same. `held` is what [`hold_database`] gave. `note` is told what would be left if the process ended, before anything is changed;
/// its error ends it.
pub fn restore_database_noting(
    options: &DatabaseRestore,
    held: Option<Held>,
    content: &mut Content<'_>,
    note: &mut dyn FnMut(&Unfinished) -> Result<()>,
) -> Result<DatabaseReport> {
    let client = &options.client;
    let maintenance = options.maintenance();
    let archive = client.list(|into| content(into))?;
    let server = client.server(Some(&maintenance))?;
    client.check_version("pg_restore", &server)?;
    let before = found(client, &maintenance, &options.database)?;
    let exists = before.is_some();
    options.check(exists)?;
    let way = options.way(&server, &maintenance, before.as_ref())?;
    let roles = match &options.globals {
        Some(globals) => client.make_roles(globals, &maintenance)?,
        None => Vec::new(),
    };
    let script = client.database_script(&archive, content)?;
    if way.way == Way::InPlace {
        let own: Vec<String> = script
            .iter()
            // The owner of a database stays, unless a superuser restores it.
            .filter(|s| {
                !s.starts_with("CREATE DATABASE ") && (server.is_superuser || !s.contains(" OWNER TO "))
            })
            .map(|s| renamed(s, &archive.database, &options.database))
            .collect();
        let mut note = |begun: &Begun| note(&Unfinished::InPlace(begun.clone()));
        let report = in_place::restore(options, &archive, &own, held, content, &mut note)?;
        return Ok(DatabaseReport { roles, ..report });
    }
    let (staging, old) = (beside(&options.database, "new")?, beside(&options.database, "old")?);
    note(&Unfinished::Exchange(Exchange {
        database: options.database.clone(),
        before,
        staging: staging.clone(),
        old: old.clone(),
        maintenance: options.maintenance.clone(),
    }))?;
    let done = fill(options, &archive, &staging, &script, content)
        .and_then(|counted| options.take_place(&staging, exists.then_some(&old)).map(|swap| (counted, swap)));
    match done {
        Ok((counted, swap)) => Ok(DatabaseReport {
            entries: archive.entries.len(),
            tables: archive.tables().len(),
            counted,
            roles,
            old: swap.old,
            notes: swap.notes,
            differences: Vec::new(),
        }),
        Err(cause) => Err(options.give_up(&staging, cause)),
    }
}

impl DatabaseRestore {
    /// A restore of this database with the usual options.
    pub fn new(client: Client, database: impl Into<String>, existing: Existing) -> Self {
        Self {
            client,
            database: database.into(),
            existing,
            globals: None,
            maintenance: None,
            time_limit: None,
            way: None,
            ends_sessions: None,
            in_place: InPlace::default(),
            part: Part::default(),
        }
    }

    fn maintenance(&self) -> String {
        maintenance_of(self.maintenance.as_deref(), &self.database)
    }

    fn check(&self, exists: bool) -> Result<()> {
        if exists && self.existing == Existing::Refuse {
            return Err(Error::Refused(format!(
                "there is a database {:?} already; nothing was changed",
                self.database
            )));
        }
        Ok(())
    }

    /// `old`: what the database that has the name is to be called.
    fn take_place(&self, staging: &str, old: Option<&String>) -> Result<Swap> {
        let (client, maintenance) = (&self.client, self.maintenance());
        if let Some(old) = old {
            let names: [&str; 3] = [&self.database, staging, old];
            return Swap::exchange(
                client,
                &maintenance,
                names,
                self.existing,
                self.ends_sessions != Some(false),
            );
        }
        let rename =
            format!("ALTER DATABASE {} RENAME TO {}", identifier(staging), identifier(&self.database));
        client.query(Some(&maintenance), &rename)?;
        Ok(Swap::default())
    }

    /// Removes what was made until something failed.
    fn give_up(&self, staging: &str, cause: Error) -> Error {
        let drop = format!("DROP DATABASE IF EXISTS {}", identifier(staging));
        match self.client.query(Some(&self.maintenance()), &drop) {
            Ok(_) => Error::Undone(Box::new(cause)),
            Err(undo) => {
                let undo = Error::Refused(format!("the new database {staging:?} is left behind: {undo}"));
                Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) }
            }
        }
    }
}

/// The database that is connected to while `database` is worked on.
pub(super) fn maintenance_of(given: Option<&str>, database: &str) -> String {
    let usual = if database == "postgres" { "template1" } else { "postgres" };
    given.unwrap_or(usual).to_owned()
}

/// Makes the new database, restores into it, looks whether everything is there, and counts it.
fn fill(
    options: &DatabaseRestore,
    archive: &ArchiveList,
    staging: &str,
    script: &[String],
    content: &mut Content<'_>,
) -> Result<Option<Counted>> {
    let (client, maintenance) = (&options.client, options.maintenance());
    let made = script.iter().find(|s| s.starts_with("CREATE DATABASE "));
    let plain = format!("CREATE DATABASE {} TEMPLATE template0", identifier(staging));
    let make = made.map_or(plain, |statement| renamed(statement, &archive.database, staging));
    client.query(Some(&maintenance), &make)?;
    let target = format!("--dbname=dbname={}", quoted_value(staging));
    let restore = client.program("pg_restore", &["--exit-on-error", "--no-password", &target], Some(staging));
    let restore = restore.time_limit(options.time_limit);
    restore.feed(ANSWER_MAX, |into| content(into)).map_err(|e| client.of_server(e))?;
    compare(&definitions(archive), &definitions(&client.live_list(staging)?))?;
    let properties: Vec<String> = script
        .iter()
        .filter(|s| !s.starts_with("CREATE DATABASE "))
        .map(|s| renamed(s, &archive.database, staging))
        .collect();
    if !properties.is_empty() {
        client.query(Some(&maintenance), &properties.join(";\n"))?;
    }
    client.analyze(staging, options.time_limit)?;
    // Everything is there: that it cannot be counted takes nothing away.
    Ok(client.counted(staging, &Part::default()).ok())
}

/// Fails unless everything that was stored is there.
fn compare(stored: &BTreeMap<String, usize>, now: &BTreeMap<String, usize>) -> Result<()> {
    let lacking = lacking(stored, now);
    if lacking.is_empty() {
        return Ok(());
    }
    let shown = lacking.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let why = format!("{} of its objects were not restored: {shown}", lacking.len());
    Err(Error::Damaged { what: "the restored database".to_owned(), why })
}

/// What was stored and is not there.
pub(super) fn lacking(stored: &BTreeMap<String, usize>, now: &BTreeMap<String, usize>) -> Vec<String> {
    let is_less = |(name, count): &(&String, &usize)| now.get(*name).is_none_or(|n| n < *count);
    stored.iter().filter(is_less).map(|(name, _)| name.clone()).collect()
}

/// What is defined in a database, with how many of each there are.
pub(super) fn definitions(list: &ArchiveList) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for entry in list.entries.iter().filter(|e| !e.is_data() && !e.is_of_database()) {
        *found.entry(entry.line.clone()).or_default() += 1;
    }
    found
}

impl Client {
    /// The definitions of a live database, as a list of an archive.
    pub(super) fn live_list(&self, database: &str) -> Result<ArchiveList> {
        self.live_part(database, &Part::default())
    }

    /// The same of a part of it.
    pub(super) fn live_part(&self, database: &str, part: &Part) -> Result<ArchiveList> {
        let dump =
            self.program("pg_dump", &["--format=custom", "--schema-only", "--no-password"], Some(database));
        let archive = dump.output(ANSWER_MAX).map_err(|e| self.of_server(e))?;
        let mut content =
            |into: &mut dyn Write| into.write_all(&archive).map_err(|e| Error::file("the list", e));
        let list = self.list(content)?;
        part.of(self, &list, &mut content)
    }

    /// The statements that make the database itself, and give it its settings, rights and comment.
    fn database_script(&self, archive: &ArchiveList, content: &mut Content<'_>) -> Result<Vec<String>> {
        let own = archive.entries.iter().filter(|e| e.is_of_database());
        let numbers: Vec<u32> = own.map(|e| e.number).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let process = self.choosing(&numbers, &["--create", "--file=-"], None);
        let script = process.feed(ANSWER_MAX, |into| content(into))?;
        let mut all = statements(&String::from_utf8_lossy(&script));
        all.retain(|s| names_database(s, &archive.database));
        Ok(all)
    }

    /// `pg_restore` of the entries with these numbers. They go to it by a descriptor: a file would have to be where it runs.
    pub(super) fn choosing(&self, numbers: &[u32], arguments: &[&str], database: Option<&str>) -> Process {
        let list = |numbers: &[u32]| numbers.iter().map(|number| format!("{number};\n")).collect::<String>();
        let lists: Vec<String> = numbers.chunks(ENTRIES_MAX).map(list).collect();
        let script = "list=; while [ \"$1\" != -- ]; do list=\"$list$1\"; shift; done; shift\n\
                      exec \"$0\" \"$@\" --use-list=/dev/fd/3 3<<END\n$list\nEND\n";
        let program = self.path("pg_restore");
        let program = program.to_string_lossy();
        let lists = lists.iter().map(String::as_str).chain(["--"]);
        let words: Vec<&str> =
            ["-c", script, &program].into_iter().chain(lists).chain(arguments.iter().copied()).collect();
        let mut with_shell = self.clone();
        with_shell.programs = None;
        with_shell.program("sh", &words, database)
    }
}

fn names_database(statement: &str, database: &str) -> bool {
    forms(database).iter().any(|name| statement.contains(&format!("DATABASE {name} ")))
}

/// A statement about the database `from`, as one about `to`.
fn renamed(statement: &str, from: &str, to: &str) -> String {
    let new = format!("DATABASE {} ", identifier(to));
    let found = forms(from).map(|name| format!("DATABASE {name} "));
    let old = found.iter().find(|old| statement.contains(*old));
    old.map_or_else(|| statement.to_owned(), |old| statement.replacen(old, &new, 1))
}

/// A name beside another that nothing else has.
fn beside(database: &str, what: &str) -> Result<String> {
    let mut end = database.len().min(NAME_MAX);
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    let random: String = random_name()?.chars().take(8).collect();
    Ok(format!("{}_{what}_{random}", database.get(..end).unwrap_or_default()))
}

/// A value in a connection string.
fn quoted_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Names the entry for people.
impl std::fmt::Display for ArchiveEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}
