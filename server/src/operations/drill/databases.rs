//! Databases of a snapshot on trial: dumps of PostgreSQL in a server that the drill itself starts, SQLite files as they were restored.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use chronos_connect::postgres::{
    Cluster, Content, DatabaseRestore, Dump, DumpFile, Existing, Form, Script, restore_database,
};
use chronos_connect::{Error as Failed, Result as Outcome, Verdict, check_space, sqlite};
use chronos_snapshot::{ByteRange, SourceResult, counted};

use crate::config::DrillRules;
use crate::error::Result;
use crate::operations::drill::files::Restored;
use crate::operations::drill::findings::Findings;
use crate::operations::drill::trial::{DATABASE_FACTOR, Trial, folder};
use crate::operations::restore::{archives, globals};

/// The component of what should be a dump.
const DATABASE: &str = "database";

/// What a database is to be restored from.
struct Stored<'c> {
    /// Its name.
    name: String,
    /// How it is restored.
    dump: Dump,
    /// Into which database of the server of the drill.
    into: String,
    /// Roles that were stored with it.
    globals: Option<String>,
    /// Version of the server that it is of; empty where it is not known.
    server: String,
    content: &'c mut Content<'c>,
}

/// The databases of a server, as its source stored them.
pub(super) fn stored(trial: &Trial<'_>, source: &SourceResult, found: &mut Findings) -> Result<()> {
    let folder = folder(source)?;
    let Some(cluster) = trial.cluster(found) else { return Ok(()) };
    let globals = globals(&trial.tree, &folder)?;
    let all = archives(&trial.tree, cluster.client(), &folder)?;
    if all.is_empty() {
        found.fails("the snapshot has no dump of it");
    }
    let names = all.iter().map(|(_, _, name)| name.clone()).collect();
    for (path, bytes, name) in all {
        let mut content = |into: &mut dyn Write| {
            trial.tree.cat(&path, ByteRange::ALL, into).map(drop).map_err(Failed::from)
        };
        let into = trial.next_database();
        let (globals, dump, server) = (globals.clone(), Dump::Archive, String::new());
        let stored = Stored { name, dump, into, globals, server, content: &mut content };
        trial.try_one(cluster, source, stored, bytes, found);
    }
    trial.name_what_is_missing(source, &names, found);
    Ok(())
}

/// A restored SQLite database.
pub(super) fn lite(
    trial: &Trial<'_>,
    source: &SourceResult,
    place: &Restored,
    found: &mut Findings,
) -> Result<()> {
    let files = place.files()?;
    let databases: Vec<&PathBuf> =
        files.iter().filter(|f| f.extension().is_some_and(|e| e == "db")).collect();
    if databases.is_empty() {
        found.fails("the snapshot has no database of it");
    }
    let mut names = BTreeSet::new();
    for path in databases {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let rules = DrillRules::of_database(trial.rules(source), &name);
        let (proof, rows) = sqlite::prove(path, &rules)?;
        found.add(proof);
        trial.compare_rows(source, &name, rows, found);
        names.insert(name);
    }
    trial.name_what_is_missing(source, &names, found);
    Ok(())
}

/// What a command wrote, if that is a dump of PostgreSQL.
pub(super) fn dumps(
    trial: &Trial<'_>,
    source: &SourceResult,
    place: &Restored,
    found: &mut Findings,
) -> Result<()> {
    let mut names = BTreeSet::new();
    for path in place.files()? {
        let file = DumpFile::look(&path)?;
        let name = name_of(&path);
        let (dump, into, server) = match &file.form {
            Form::Archive => (Dump::Archive, None, String::new()),
            Form::Script(script) => match refused(script) {
                Some(Refused::Damaged(why)) => {
                    found.fails(format!("database {name}: {why}"));
                    names.insert(name);
                    continue;
                }
                Some(Refused::NotTried(why)) => {
                    found.not_tried(format!("database {name}: {why}"));
                    names.insert(name);
                    continue;
                }
                None => {
                    (Dump::Script(script.connects.is_some()), script.connects.clone(), script.server.clone())
                }
            },
            Form::Cluster => {
                found.not_tried(format!(
                    "{name} is a script of pg_dumpall, which is not restored for trial: back the server up as a source of kind \
                     postgres, or write each database by pg_dump"
                ));
                names.insert(name);
                continue;
            }
            Form::Packed(how) if source.component == DATABASE || !trial.rules(source).is_empty() => {
                found.not_tried(format!(
                    "{name} is packed with {how}, which is not unpacked for trial: let the command write it as it is (what is stored \
                     is compressed anyway), or pack it with gzip"
                ));
                names.insert(name);
                continue;
            }
            Form::Packed(_) | Form::Other => continue,
        };
        names.insert(name.clone());
        let Some(cluster) = trial.cluster(found) else { return Ok(()) };
        let mut content = |into: &mut dyn Write| file.copy(into);
        let into = into.unwrap_or_else(|| trial.next_database());
        let stored = Stored { name, dump, into, globals: None, server, content: &mut content };
        trial.try_one(cluster, source, stored, file.bytes, found);
    }
    if names.is_empty() && !trial.rules(source).is_empty() {
        found.fails(
            "what its database has to hold cannot be asked for: what it wrote is no dump as pg_dump makes it",
        );
    } else {
        trial.name_what_is_missing(source, &names, found);
    }
    Ok(())
}

/// Why a script is not run.
enum Refused {
    Damaged(&'static str),
    NotTried(&'static str),
}

fn refused(script: &Script) -> Option<Refused> {
    if !script.is_whole {
        return Some(Refused::Damaged(
            "the dump is damaged: it does not come to the end that pg_dump writes",
        ));
    }
    script.drops.then_some(Refused::NotTried(
        "it begins with dropping what an empty database does not have: let pg_dump write it with --if-exists, or without --clean",
    ))
}

/// The name of a database by its file: without what tells of its form.
fn name_of(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    bare.rsplit_once('.').map_or(bare, |(stem, _)| stem).to_owned()
}

impl Trial<'_> {
    fn next_database(&self) -> String {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        format!("drill_{number}")
    }

    /// Restores one database, looks at what it holds, and gives its room back.
    fn try_one(
        &self,
        cluster: &Cluster,
        source: &SourceResult,
        stored: Stored<'_>,
        bytes: u64,
        found: &mut Findings,
    ) {
        let (name, into) = (stored.name.clone(), stored.into.clone());
        let needed = bytes.saturating_mul(DATABASE_FACTOR);
        match check_space(&self.scratch.private(), needed)
            .and_then(|()| self.restored(cluster, source, stored, found))
        {
            Ok(facts) => {
                found.holds(format!("database {name}: {facts}"));
                let rules = DrillRules::of_database(self.rules(source), &name);
                let limit = self.time_limit(None);
                cluster.client().prove(&into, &rules, limit, &mut found.proof);
                match cluster.client().rows(&into, limit) {
                    Ok(rows) => self.compare_rows(source, &name, rows, found),
                    Err(error) => found.blame(&format!("the rows of database {name}"), &Verdict::of(&error)),
                }
            }
            Err(error) => found.blame(&format!("database {name}"), &Verdict::of(&error)),
        }
        // It goes with the server at the latest.
        let _ = cluster.drop_database(&into);
    }

    /// Restores it; gives what it is made of.
    fn restored(
        &self,
        cluster: &Cluster,
        source: &SourceResult,
        stored: Stored<'_>,
        found: &mut Findings,
    ) -> Outcome<String> {
        let Stored { name, dump, into, globals, server, content } = stored;
        let mut restore = |content: &mut Content<'_>| match dump {
            Dump::Archive => {
                let options = DatabaseRestore {
                    globals: globals.clone(),
                    time_limit: self.time_limit(Some(source)),
                    ..DatabaseRestore::new(cluster.client().clone(), &into, Existing::Refuse)
                };
                let report = restore_database(&options, content)?;
                let (tables, objects) = (counted(report.tables, "table"), counted(report.entries, "object"));
                Ok(format!("{tables}, {objects} restored and compared with the list of the dump"))
            }
            Dump::Script(connects) => {
                cluster.run_script(&into, connects, content).map(|()| "its script ran".to_owned())
            }
        };
        let (restored, roles) = cluster.with_roles(dump, content, &mut restore);
        if !roles.is_empty() {
            found.holds(format!(
                "database {name}: the snapshot does not have the roles that it names, and they were made for the trial; a new server \
                 needs them first: {}",
                roles.join(", ")
            ));
        }
        let Err(error) = restored else { return restored };
        let server = match dump {
            Dump::Archive => {
                cluster.client().list(|into| content(into)).map(|list| list.server).unwrap_or_default()
            }
            Dump::Script(_) => server,
        };
        // What it does not know of a later version says nothing of the dump.
        Err(match cluster.is_older_than(&server)? {
            Some(own) if !Verdict::of(&error).is_of_host => Failed::Refused(format!(
                "it is of PostgreSQL {server}, and the programs of this host are of {own}: install newer ones, or name their folder as \
                 drill.postgres_programs ({})",
                Verdict::of(&error).why
            )),
            _ => error,
        })
    }

    /// Rules for a database that the snapshot does not have.
    pub(super) fn name_what_is_missing(
        &self,
        source: &SourceResult,
        names: &BTreeSet<String>,
        found: &mut Findings,
    ) {
        let named = self.rules(source).iter().filter_map(|rules| rules.database.as_deref());
        for missing in named.filter(|name| !names.contains(*name)).collect::<BTreeSet<_>>() {
            found.fails(format!(
                "what database {missing} has to hold is configured, and the snapshot has no such database"
            ));
        }
    }
}
