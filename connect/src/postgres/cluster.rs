//! A server of one's own for a trial: made empty in a folder, reached by a socket in it alone, gone with it.
//!
//! What always holds: it listens at no address; nobody but its account and root gets into its folder; what speaks to it is never told of
//! another server. A server refuses to run as root, so root gives it to another account.

mod ask;
mod roles;
mod script;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result, shown};
use crate::postgres::client::{Client, of_server};
use crate::postgres::connection::Connection;
use crate::process::{Account, Process};
use crate::secret::Secret;

pub use roles::Dump;

/// Its superuser.
const SUPERUSER: &str = "postgres";
/// Its port names the socket; nobody listens at it.
const PORT: &str = "5432";
/// The file of the socket.
const SOCKET: &str = ".s.PGSQL.5432";
/// Longest path of a socket that every system takes, in bytes.
const SOCKET_MAX: usize = 100;
/// What has to be in one folder, so that all of it is of one version.
const PROGRAMS: [&str; 6] = ["initdb", "pg_ctl", "postgres", "psql", "pg_restore", "pg_dump"];
/// What its programs may say.
const ANSWER_MAX: usize = 16 << 20;
/// How long it may take to be made, to start and to stop.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is looked whether one that was left behind has ended, and for how long.
const LOOK: (Duration, u32) = (Duration::from_millis(50), 200);
/// It is thrown away: nothing of it has to survive the power, and nothing of it may stay outside its folder.
const SETTINGS: &str = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off \
    -c max_connections=20 -c wal_level=minimal -c max_wal_senders=0 -c dynamic_shared_memory_type=mmap -c logging_collector=off \
    -c max_locks_per_transaction=4096";
/// Variables of this process that its programs get: what finds them and their libraries. Whatever a dump runs sees these and no other.
const KEPT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TZ"];

/// What a server is made with.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Folder of the programs of the server.
    pub programs: PathBuf,
    /// Its own folder, which is made.
    pub folder: PathBuf,
    /// Who runs it; needed by root alone.
    pub account: Option<Account>,
    /// How long each restore and each query may take.
    pub time_limit: Option<Duration>,
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    client: Client,
}

/// Folders in which there may be the programs of a server, the best first: of `PATH`, then of the packages by version.
pub fn find_programs(path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let has = |folder: &PathBuf| PROGRAMS.iter().all(|program| folder.join(program).exists());
    let of_path = path.into_iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
    let versions = |above: &str, beginning: &str| {
        let entries = fs::read_dir(above).into_iter().flatten().flatten();
        let numbered = entries.filter_map(|entry| {
            let name = entry.file_name();
            let version: f32 = name.to_str()?.strip_prefix(beginning)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        });
        let mut found: Vec<(f32, PathBuf)> = numbered.collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, folder)| folder)
    };
    of_path.into_iter().chain(versions("/usr/lib/postgresql", "")).chain(versions("/usr", "pgsql-")).find(has)
}

impl Cluster {
    /// Makes one, and starts it.
    pub fn start(options: ClusterOptions) -> Result<Self> {
        let folder = &options.folder;
        if folder.join(SOCKET).as_os_str().len() > SOCKET_MAX {
            let why = format!("{} is too long a path for a socket of PostgreSQL", shown(folder));
            return Err(Error::Refused(why));
        }
        let failed = |e| Error::file(folder, e);
        fs::DirBuilder::new().mode(0o700).create(folder).map_err(failed)?;
        if let Some(account) = &options.account {
            chown(folder, Some(account.user), Some(account.group)).map_err(failed)?;
        }
        let connection = Connection {
            host: Some(folder.to_string_lossy().into_owned()),
            port: Some(PORT.to_owned()),
            user: Some(SUPERUSER.to_owned()),
            database: Some(SUPERUSER.to_owned()),
            ..Connection::default()
        };
        let programs = Some(options.programs.clone());
        let client = Client { connection, programs, ..Client::default() };
        let cluster = Self { options, client };
        let data = cluster.data();
        let words = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", SUPERUSER];
        cluster.own("initdb", &[&["--pgdata", &data], &words[..]].concat())?;
        let log = cluster.options.folder.join("log").to_string_lossy().into_owned();
        let place = cluster.options.folder.to_string_lossy().into_owned();
        // The shell that starts it takes its options apart: a folder with such a letter in it would be another.
        if place.contains(|c: char| !(c.is_ascii_alphanumeric() || "/._-+".contains(c))) {
            let why =
                format!("{place} has letters in it that PostgreSQL does not take in the path of its socket");
            return Err(Error::Refused(why));
        }
        let options = format!("-k {place} -p {PORT} {SETTINGS}");
        let words = ["--pgdata", &data, "--log", &log, "--wait", "--silent", "--options", &options, "start"];
        cluster.own("pg_ctl", &words).map_err(|e| with_log(e, &log))?;
        Ok(cluster)
    }

    /// What speaks to it, and to nothing else.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The databases that somebody made in it.
    pub fn databases(&self) -> Result<Vec<String>> {
        let sql = "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
        self.client.query(None, sql)
    }

    fn data(&self) -> String {
        self.options.folder.join("data").to_string_lossy().into_owned()
    }

    /// Runs a program of the server as its account.
    fn own(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let path = self.options.programs.join(program).into_os_string();
        let words = arguments.iter().map(std::ffi::OsString::from);
        let process = Process::new(std::iter::once(path).chain(words))
            .with_only(&KEPT)
            .variable("LC_ALL", Secret::new("C"))
            .variable("HOME", Secret::new(&*self.options.folder.to_string_lossy()))
            .account(self.options.account)
            .working_directory(&self.options.folder)
            .time_limit(Some(PATIENCE));
        process.output(ANSWER_MAX).map_err(|e| of_server("a PostgreSQL of its own", e))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        if self
            .own("pg_ctl", &["--pgdata", &data, "--mode", "immediate", "--wait", "--silent", "stop"])
            .is_err()
        {
            // It had not started, or is ended as one that was left behind.
            stop_left(&self.options.folder);
        }
    }
}

/// The end of what the server wrote says why it did not start.
fn with_log(error: Error, log: &str) -> Error {
    let written = fs::read_to_string(log).unwrap_or_default();
    match (error, written.lines().rfind(|l| l.contains("FATAL") || l.contains("ERROR"))) {
        (Error::Upstream { system, status, why }, Some(last)) => {
            Error::Upstream { system, status, why: format!("{why}: {last}") }
        }
        (error, _) => error,
    }
}

/// Ends the server whose folder this is, if a process that was killed has left it running.
pub fn stop_left(folder: &Path) {
    let data = folder.join("data");
    // What somebody else has put there may lead to another server.
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    if !is_own(folder) || !is_own(&data) {
        return;
    }
    let first = fs::read_to_string(data.join("postmaster.pid")).ok();
    let id = first.and_then(|text| text.lines().next()?.trim().parse::<i32>().ok());
    let Some(id) = id.filter(|id| *id > 1) else { return };
    // The number may be another's by now: a server works in its own folder.
    let is_it = || {
        let works_in = fs::metadata(format!("/proc/{id}/cwd")).ok();
        let own = fs::metadata(&data).ok();
        works_in.zip(own).is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    let Some(process) = Pid::from_raw(id).filter(|_| is_it()) else { return };
    // One that is not ours stays; its folder does too, and that is told.
    let _ = kill_process(process, Signal::QUIT);
    for _ in 0..LOOK.1 {
        if !is_it() {
            return;
        }
        std::thread::sleep(LOOK.0);
    }
}

/// The account of this name, as the list of this host has it.
pub fn account(name: &str) -> Result<Option<Account>> {
    let list = Path::new("/etc/passwd");
    let text = fs::read_to_string(list).map_err(|e| Error::file(list, e))?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (user, group) = (
            fields.next().filter(|n| *n == name).and_then(|_| fields.nth(1)?.parse().ok())?,
            fields.next()?.parse().ok()?,
        );
        Some(Account { user, group })
    });
    Ok(found)
}

/// Whether an account can get to a folder: everybody may go through each folder above it.
pub fn is_open_to_all(folder: &Path) -> io::Result<bool> {
    for at in folder.ancestors() {
        if fs::metadata(at)?.permissions().mode() & 0o001 == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
