//! Databases of a server as files of a snapshot, each dumped straight into it.
//!
//! Each database is one transaction's view, that of its `pg_dump`; several databases are several views, and the notes say so. The
//! first dump starts when the source is opened, so that all sources of a snapshot begin together, each of the others when it is read.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use chronos_snapshot::{Item, Source, SourceOutcome, SourcePart, Time, TreePath};

use crate::entry::{Attributes, above, part};
use crate::error::{Error, Result};
use crate::postgres::archive::{ArchiveList, normal_beginning};
use crate::postgres::client::{Client, Server, of_server};
use crate::process::Process;
use crate::stream::{Feed, Pump};

/// How long a dump waits for a table that somebody else has locked.
const LOCK_LIMIT: &str = "--lock-wait-timeout=300000";
/// Bytes read of a dump at a time, and pieces on their way to the program that lists them.
const PIECE: usize = 256 << 10;
const PIECES_AHEAD: usize = 2;
/// Name of the file with roles and tablespaces.
const GLOBALS: &str = "globals.sql";

/// Which databases are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Databases {
    /// That of the connection.
    OfConnection,
    /// These.
    Named(Vec<String>),
    /// All that are no templates and can be connected to, except these.
    AllBut(Vec<String>),
}

/// What is read, and how.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The server and its programs.
    pub client: Client,
    /// Name of the source: the folder in the snapshot.
    pub source: String,
    /// Which databases.
    pub databases: Databases,
    /// Whether roles and tablespaces are taken too.
    pub globals: bool,
    /// Modification time of the files in the snapshot.
    pub mtime: Time,
    /// How long one dump may take.
    pub time_limit: Option<Duration>,
}

/// Reads databases; see [`PostgresOptions`].
#[derive(Debug)]
pub struct PostgresSource {
    options: PostgresOptions,
    done: Arc<Mutex<Done>>,
}

/// What is known when everything was read.
#[derive(Debug, Default)]
struct Done {
    /// Per file.
    dumped: BTreeMap<String, Dumped>,
    /// Why files are missing.
    failed: BTreeMap<String, (&'static str, String)>,
    notes: Vec<String>,
    outage: Option<Outage>,
}

/// How a server failed that may be well again in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It takes no connections.
    OutOfReach,
    /// It did not answer in time.
    TooSlow,
}

/// Whether the server of a source failed, for whoever gave the source away.
#[derive(Clone, Debug)]
pub struct Failure(Shared);

impl Failure {
    /// Takes the outage that ended the source.
    pub fn take(&self) -> Option<Outage> {
        lock(&self.0).outage.take()
    }
}

#[derive(Debug)]
struct Dumped {
    kind: &'static str,
    bytes: u64,
    /// Of a database.
    list: Option<ArchiveList>,
}

type Shared = Arc<Mutex<Done>>;

fn lock(done: &Shared) -> MutexGuard<'_, Done> {
    done.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresSource {
    /// Connects to nothing yet.
    pub fn new(options: PostgresOptions) -> Result<Self> {
        TreePath::new(options.source.as_str())?;
        Ok(Self { options, done: Shared::default() })
    }

    /// Where it will be said whether the server failed.
    pub fn failure(&self) -> Failure {
        Failure(Arc::clone(&self.done))
    }

    /// What an error means for those who may try again.
    fn outage(&self, error: &Error) -> Option<Outage> {
        match error {
            Error::TimedOut { .. } => Some(Outage::TooSlow),
            Error::Upstream { .. } => self.options.client.is_out_of_reach().then_some(Outage::OutOfReach),
            _ => None,
        }
    }

    /// The files of the snapshot in the order of their paths, none of them begun.
    fn files(
        &self,
        server: &Server,
        through: Option<&str>,
        databases: Vec<String>,
    ) -> Result<Vec<(TreePath, Dump)>> {
        let folder = TreePath::new(self.options.source.as_str())?;
        let through = through.map(str::to_owned).or_else(|| databases.first().cloned());
        let mut files: BTreeMap<TreePath, Dump> = BTreeMap::new();
        for database in databases {
            let path = folder.join(format!("{}.dump", file_stem(&database)).as_bytes())?;
            files.insert(path, Dump::Database(database));
        }
        let globals = folder.join(GLOBALS.as_bytes())?;
        if self.options.globals {
            files.insert(globals, Dump::Globals { through, with_passwords: server.is_superuser });
        }
        Ok(files.into_iter().collect())
    }

    /// The server, and the first of the named databases that it can be reached through: one that is missing is missing alone.
    fn server(&self) -> Result<(Server, Option<String>)> {
        let client = &self.options.client;
        let Databases::Named(names) = &self.options.databases else {
            return Ok((client.server(None)?, None));
        };
        let mut first_error = None;
        for name in names {
            match client.server(Some(name)) {
                Ok(server) => return Ok((server, Some(name.clone()))),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok((client.server(None)?, None)),
        }
    }

    fn databases(&self) -> Result<Vec<String>> {
        let client = &self.options.client;
        match &self.options.databases {
            Databases::Named(names) => Ok(names.clone()),
            Databases::OfConnection => {
                let found = client.query(None, "SELECT current_database()")?;
                Ok(found.into_iter().take(1).collect())
            }
            Databases::AllBut(names) => {
                let sql =
                    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";
                let mut found = client.query(None, sql)?;
                found.retain(|name| !names.contains(name));
                Ok(found)
            }
        }
    }
}

impl Source for PostgresSource {
    fn name(&self) -> String {
        self.options.source.clone()
    }

    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn component(&self) -> String {
        "database".to_owned()
    }

    fn paths(&self) -> Vec<String> {
        vec![format!("/{}", self.options.source)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        let client = &self.options.client;
        let (server, through) = self.server().inspect_err(|e| lock(&self.done).outage = self.outage(e))?;
        let version = client.check_version("pg_dump", &server)?;
        let databases = self.databases()?;
        if databases.is_empty() {
            let why = "there is no database to back up".to_owned();
            let system = client.connection.shown();
            return Err(Error::Upstream { system, status: None, why }.into());
        }
        *lock(&self.done) = Done {
            notes: notes(&server, &version, databases.len(), self.options.globals),
            ..Done::default()
        };
        let files = self.files(&server, through.as_deref(), databases)?;
        let above = files.first().map(|(path, _)| above(path)).unwrap_or_default();
        let attributes = Attributes::private(self.options.mtime);
        let mut streams = Vec::new();
        let mut is_begun = false;
        for (path, dump) in files {
            let begins = !is_begun && matches!(dump, Dump::Database(_));
            let mut stream = Lazy::new(dump, path.to_string(), &self.options, &self.done);
            if begins {
                // If it cannot start, that is said when it is read.
                is_begun = stream.start().is_ok();
            }
            streams.push(part(path, attributes, stream));
        }
        Ok(Box::new(above.into_iter().chain(streams)))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    /// A table, with or without its schema, of any of the databases.
    fn holds(&self, name: &str) -> bool {
        let done = lock(&self.done);
        let mut lists = done.dumped.values().filter_map(|d| d.list.as_ref());
        lists.any(|list| list.has_table(name))
    }

    fn outcome(&self) -> SourceOutcome {
        let done = lock(&self.done);
        let part = |(file, dumped): (&String, &Dumped)| SourcePart {
            file: file.clone(),
            kind: dumped.kind.to_owned(),
            count: dumped.list.as_ref().map(|list| list.tables().len() as u64),
            size: Some(dumped.bytes),
            error: None,
        };
        let missing = |(file, (kind, why)): (&String, &(&str, String))| SourcePart {
            file: file.clone(),
            kind: (*kind).to_owned(),
            error: Some(why.clone()),
            ..SourcePart::default()
        };
        let mut parts: Vec<SourcePart> =
            done.dumped.iter().map(part).chain(done.failed.iter().map(missing)).collect();
        parts.sort_by(|a, b| a.file.cmp(&b.file));
        SourceOutcome { incomplete: None, parts, notes: done.notes.clone() }
    }
}

fn notes(server: &Server, client: &str, databases: usize, with_globals: bool) -> Vec<String> {
    let mut notes = vec![format!("PostgreSQL server {}, pg_dump {client}", server.version)];
    notes.push(if databases == 1 {
        "the database is one transaction's view".to_owned()
    } else {
        format!("each of the {databases} databases is one transaction's view of its own, not all of them the same moment")
    });
    if with_globals && !server.is_superuser {
        notes.push("roles are without their passwords, which only a superuser can read".to_owned());
    }
    notes
}

/// What a file holds.
#[derive(Clone, Debug)]
enum Dump {
    Database(String),
    Globals {
        /// The database that is connected to.
        through: Option<String>,
        with_passwords: bool,
    },
}

impl Dump {
    fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Globals { .. } => "globals",
        }
    }
}

/// A dump that starts when it is first read.
struct Lazy {
    dump: Dump,
    file: String,
    client: Client,
    limit: Option<Duration>,
    restrict_key: String,
    done: Shared,
    running: Option<Pump>,
}

impl Lazy {
    fn new(dump: Dump, file: String, options: &PostgresOptions, done: &Shared) -> Self {
        let letters = options.source.chars().filter(char::is_ascii_alphanumeric);
        Self {
            dump,
            file,
            client: options.client.clone(),
            limit: options.time_limit,
            // Whoever plays a script back puts a key of his own in its place.
            restrict_key: letters.fold("chronos".to_owned(), |key, letter| key + &letter.to_string()),
            done: Arc::clone(done),
            running: None,
        }
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(match &self.dump {
            Dump::Database(name) => self.database(name)?,
            Dump::Globals { through, with_passwords } => self.globals(through.as_deref(), *with_passwords)?,
        });
        Ok(())
    }

    fn database(&self, name: &str) -> Result<Pump> {
        let arguments = ["--format=custom", "--compress=0", "--no-password", LOCK_LIMIT];
        let process = self.client.program("pg_dump", &arguments, Some(name));
        let lister = self.client.local("pg_restore", &["--list"]);
        self.run(&process, &format!("database {name}"), move |stdout, feed| {
            let mut listing = Listing::start(lister);
            let mut bytes = 0;
            let mut piece = normal_beginning(stdout)?;
            while !piece.is_empty() {
                bytes += piece.len() as u64;
                listing.show(&piece);
                feed.write_all(&piece).map_err(|_| Error::Interrupted)?;
                piece.clear();
                let read = stdout.take(PIECE as u64).read_to_end(&mut piece);
                read.map_err(|e| Error::file("the dump", e))?;
            }
            Ok(move || Ok(Dumped { kind: "database", bytes, list: Some(listing.finish()?) }))
        })
    }

    fn globals(&self, through: Option<&str>, with_passwords: bool) -> Result<Pump> {
        let mut arguments = vec!["--globals-only".to_owned(), "--no-password".to_owned()];
        arguments.extend(through.map(|name| format!("--database={name}")));
        if !with_passwords {
            arguments.push("--no-role-passwords".to_owned());
        }
        if self.client.knows("pg_dumpall", "--restrict-key")? {
            arguments.push(format!("--restrict-key={}", self.restrict_key));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = self.client.program("pg_dumpall", &arguments, through);
        self.run(&process, "roles", move |stdout, feed| {
            let bytes = io::copy(stdout, feed).map_err(|e| Error::file("the dump", e))?;
            Ok(move || Ok(Dumped { kind: "globals", bytes, list: None }))
        })
    }

    /// Streams what `work` makes of a program's output; what it gives is asked for when the program has ended well.
    fn run<F: FnOnce() -> Result<Dumped> + Send>(
        &self,
        process: &Process,
        what: &str,
        work: impl FnOnce(&mut dyn Read, &mut Feed) -> Result<F> + Send + 'static,
    ) -> Result<Pump> {
        let system = format!("{}, {what}", self.client.connection.shown());
        let kind = self.dump.kind();
        let (of, what, done, file) =
            (system.clone(), what.to_owned(), Arc::clone(&self.done), self.file.clone());
        let ended = move |outcome: Result<(F, String)>| {
            let dumped = outcome.map_err(|e| of_server(&of, e)).and_then(|(last, said)| Ok((last()?, said)));
            let mut done = lock(&done);
            let (dumped, said) = match dumped {
                Ok(dumped) => dumped,
                Err(error) => {
                    done.failed.insert(file, (kind, error.to_string()));
                    return Err(error);
                }
            };
            if !said.is_empty() {
                done.notes.push(format!("{what}: {said}"));
            }
            done.dumped.insert(file, dumped);
            Ok(())
        };
        process.clone().time_limit(self.limit).pump(work, ended).map_err(|e| of_server(&system, e))
    }
}

impl Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.running.is_none() {
            self.start().map_err(|e| io::Error::other(chronos_snapshot::Error::from(e)))?;
        }
        self.running.as_mut().map_or(Ok(0), |pump| pump.read(buffer))
    }
}

/// A program that lists an archive while it is written: it takes the beginning, and ends.
struct Listing {
    /// `None` once it takes nothing more.
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: JoinHandle<Result<ArchiveList>>,
}

impl Listing {
    fn start(lister: Process) -> Self {
        let (pieces, received) = sync_channel(PIECES_AHEAD);
        let thread = std::thread::spawn(move || {
            let listed = lister.feed(super::archive::LIST_MAX, |into| hand_on(&received, into))?;
            Ok(ArchiveList::parse(&String::from_utf8_lossy(&listed)))
        });
        Self { pieces: Some(pieces), thread }
    }

    fn show(&mut self, piece: &[u8]) {
        if let Some(pieces) = &self.pieces
            && pieces.send(piece.to_vec()).is_err()
        {
            self.pieces = None;
        }
    }

    fn finish(self) -> Result<ArchiveList> {
        drop(self.pieces);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::Refused("listing the archive ended early".to_owned())))
    }
}

fn hand_on(pieces: &Receiver<Vec<u8>>, into: &mut dyn Write) -> Result<()> {
    pieces.iter().try_for_each(|piece| into.write_all(&piece)).map_err(|e| Error::file("the dump", e))
}

/// A database's name as a file name: what separates paths, and what would be mistaken for this, is written in hexadecimal.
fn file_stem(database: &str) -> String {
    let escaped = database.chars().map(|c| match c {
        '/' | '%' | '\0'..='\x1f' => format!("%{:02X}", u32::from(c)),
        other => other.to_string(),
    });
    escaped.collect()
}
