//! Databases of a snapshot on trial: dumps of PostgreSQL in a server that the drill itself starts, SQLite files as they were restored.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chronos_connect::postgres::{
    Client, Cluster, ClusterOptions, DatabaseRestore, Existing, account, find_programs, is_open_to_all,
    restore_database,
};
use chronos_connect::{Account, Error as Failed, Result as Outcome, sqlite};
use chronos_snapshot::{ByteRange, SourceResult, counted};

use crate::config::DrillRules;
use crate::error::{Error, Result};
use crate::operations::drill::files::Restored;
use crate::operations::drill::{Findings, Trial, folder};
use crate::operations::restore::{archives, globals};
use crate::values::{parse_duration, shown};

/// How an archive of `pg_dump` begins.
const ARCHIVE: &[u8] = b"PGDMP";
/// How a script of it begins, behind a line of its own, and what stands near its end.
const SCRIPT: &str = "-- PostgreSQL database dump";
const SCRIPT_END: &str = "-- PostgreSQL database dump complete";
/// Bytes that are looked at of both ends of a file.
const END: u64 = 4 << 10;
/// Accounts that a server may be given to by root, the one with the least rights first.
const ACCOUNTS: [&str; 2] = ["nobody", "postgres"];

/// The databases of a server, as its source stored them.
pub(super) fn stored(trial: &Trial<'_>, source: &SourceResult, found: &mut Findings) -> Result<()> {
    let folder = folder(source)?;
    let Some(cluster) = trial.cluster(found) else { return Ok(()) };
    let globals = globals(&trial.tree, &folder)?;
    let all = archives(&trial.tree, cluster.client(), &folder)?;
    if all.is_empty() {
        found.fails("the snapshot has no dump of it");
    }
    for (path, _, name) in all {
        let mut content = |into: &mut dyn Write| {
            trial.tree.cat(&path, ByteRange::ALL, into).map(drop).map_err(Failed::from)
        };
        let restored = trial.restore(cluster, source, globals.clone(), &mut content);
        trial.judge(cluster, source, &name, restored, found);
    }
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
    for path in databases {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let proof = sqlite::prove(path, &DrillRules::of_database(trial.rules(source), &name))?;
        found.proof.facts.extend(proof.facts);
        found.proof.failures.extend(proof.failures);
    }
    Ok(())
}

/// What a command wrote, if that is a dump of PostgreSQL.
pub(super) fn dumps(
    trial: &Trial<'_>,
    source: &SourceResult,
    place: &Restored,
    found: &mut Findings,
) -> Result<()> {
    let mut has_any = false;
    for path in place.files()? {
        let (head, tail) = ends(&path).map_err(|e| Error::local(&path, e))?;
        let is_archive = head.starts_with(ARCHIVE);
        let is_script = String::from_utf8_lossy(&head).lines().any(|line| line == SCRIPT);
        if !is_archive && !is_script {
            continue;
        }
        has_any = true;
        let Some(cluster) = trial.cluster(found) else { return Ok(()) };
        let mut content = |into: &mut dyn Write| {
            let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, into));
            copied.map(drop).map_err(|source| Failed::File { path: shown(&path), source })
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let restored = if is_archive {
            trial.restore(cluster, source, None, &mut content)
        } else if String::from_utf8_lossy(&tail).contains(SCRIPT_END) {
            let database = trial.next_database();
            cluster
                .run_script(&database, |into| content(into))
                .map(|()| (database, "its script ran".to_owned()))
        } else {
            let why = "it does not come to the end that pg_dump writes".to_owned();
            Err(Failed::Damaged { what: "the dump".to_owned(), why })
        };
        trial.judge(cluster, source, &name, restored, found);
    }
    if !has_any && !trial.rules(source).is_empty() {
        found.fails(
            "what its database has to hold cannot be asked for: what it wrote is no dump as pg_dump makes it",
        );
    }
    Ok(())
}

/// The first and the last bytes of a file.
fn ends(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = File::open(path)?;
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    Read::by_ref(&mut file).take(END).read_to_end(&mut head)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    file.read_to_end(&mut tail)?;
    Ok((head, tail))
}

impl Trial<'_> {
    /// The server of this drill, started when it is first needed; that there can be none is noted.
    fn cluster(&self, found: &mut Findings) -> Option<&Cluster> {
        match self.cluster.get_or_init(|| self.start()) {
            Ok(cluster) => Some(cluster),
            Err(why) => {
                found.not_tried(format!("its dump was not restored, so that it is not proven: {why}"));
                None
            }
        }
    }

    fn start(&self) -> std::result::Result<Cluster, String> {
        let config = &self.workplace.config.drill;
        let programs = match &config.postgres_programs {
            Some(folder) if folder.join("initdb").exists() => folder.clone(),
            Some(folder) => {
                return Err(format!("there is no initdb in {} (drill.postgres_programs)", shown(folder)));
            }
            None => find_programs(std::env::var_os("PATH").as_deref()).ok_or(
                "no programs of a PostgreSQL server are found (initdb, pg_ctl): install them, or name their folder as \
                 drill.postgres_programs in the configuration file",
            )?,
        };
        let folder = self.scratch.server();
        let account = self.account(&folder)?;
        let time_limit = self.time_limit(None);
        let options = ClusterOptions { programs, folder, account, time_limit };
        Cluster::start(options).map_err(|e| format!("no server could be started: {e}"))
    }

    /// Whom root gives the server to.
    fn account(&self, folder: &Path) -> std::result::Result<Option<Account>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let above = folder.parent().unwrap_or(folder);
        if !is_open_to_all(above).map_err(|e| format!("{}: {e}", shown(above)))? {
            return Err(format!(
                "a PostgreSQL server does not run as root, and other accounts do not get into {}: name a folder that they can \
                 pass through as drill.scratch in the configuration file",
                shown(above)
            ));
        }
        let wanted: Vec<&str> = match self.workplace.config.drill.user.as_deref() {
            Some(user) => vec![user],
            None => ACCOUNTS.to_vec(),
        };
        for name in &wanted {
            match account(name).map_err(|e| e.to_string())? {
                Some(found) if found.user != 0 => return Ok(Some(found)),
                _ => {}
            }
        }
        Err(format!(
            "a PostgreSQL server does not run as root, and there is no account {}: name one as drill.user in the configuration file",
            wanted.join(" or ")
        ))
    }

    fn time_limit(&self, source: Option<&SourceResult>) -> Option<std::time::Duration> {
        let own = source.and_then(|s| self.configured(s)).and_then(crate::config::Source::limit);
        let of_drills = self.workplace.config.drill.time_limit.as_deref();
        let seconds = of_drills.and_then(|text| parse_duration(text).ok());
        own.or(seconds.map(std::time::Duration::from_secs))
    }

    fn next_database(&self) -> String {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        format!("drill_{number}")
    }

    /// Restores an archive into a new database; gives its name, and what it is made of.
    fn restore(
        &self,
        cluster: &Cluster,
        source: &SourceResult,
        globals: Option<String>,
        content: &mut dyn FnMut(&mut dyn Write) -> Outcome<()>,
    ) -> Outcome<(String, String)> {
        let database = self.next_database();
        let client: Client = cluster.client().clone();
        let time_limit = self.time_limit(Some(source));
        let options = DatabaseRestore {
            globals,
            time_limit,
            ..DatabaseRestore::new(client, &database, Existing::Refuse)
        };
        let report = restore_database(&options, content)?;
        let (tables, objects) = (counted(report.tables, "table"), counted(report.entries, "object"));
        Ok((database, format!("{tables}, {objects} restored and compared with the list of the dump")))
    }

    /// Notes what came of a restored database, and what it has to hold.
    fn judge(
        &self,
        cluster: &Cluster,
        source: &SourceResult,
        name: &str,
        restored: Outcome<(String, String)>,
        found: &mut Findings,
    ) {
        match restored {
            Ok((database, facts)) => {
                found.holds(format!("database {name}: {facts}"));
                let assertions = DrillRules::of_database(self.rules(source), name);
                cluster.prove(&database, &assertions, &mut found.proof);
            }
            Err(error) => found.fails(format!("database {name}: {error}")),
        }
    }
}
