//! PostgreSQL: databases of a real server into a real repository, and back.

mod faults;
mod in_place;
mod load;
mod reading;
mod restoring;
mod tables;

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chronos_connect::Secret;
use chronos_connect::postgres::{Client, Connection, Databases, PostgresOptions, PostgresSource};
use chronos_snapshot::{
    BackupOptions, BackupReport, ByteRange, Item, Origin, Snapshot, Source, Time, Tree, TreePath, backup,
    listed,
};
use chronos_store::backend::MemoryBackend;
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret as Key, Silent};
use chronos_tests::postgres::Postgres;
use tempfile::TempDir;

const KEY: Key = Key::Key([7; 32]);

/// A server and a repository.
struct Stage {
    server: Arc<Postgres>,
    repository: Repository,
    /// The program's own folders.
    _local: TempDir,
}

/// A name for a database that no other test has.
fn fresh(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}_{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Killed when dropped.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Stage {
    fn new() -> Self {
        Self::over(Postgres::shared())
    }

    fn over(server: Arc<Postgres>) -> Self {
        let local = tempfile::tempdir().unwrap();
        let dirs = LocalDirs { cache: local.path().join("cache"), state: local.path().join("state") };
        let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
        let backend = Arc::new(MemoryBackend::new());
        let repository = Repository::create(backend, &KEY, &CreateOptions::default(), options).unwrap();
        Self { server, repository, _local: local }
    }

    /// The client programs as the superuser, connected to `database` over the network.
    fn client(&self, database: &str) -> Client {
        client(&self.server.superuser(database))
    }

    fn options(&self, database: &str) -> PostgresOptions {
        options(self.client(database))
    }

    fn backup(&self, options: PostgresOptions) -> chronos_snapshot::Result<BackupReport> {
        let source: Vec<Box<dyn Source>> = vec![Box::new(PostgresSource::new(options).unwrap())];
        backup(&self.repository, source, &BackupOptions::default())
    }

    fn newest(&self) -> Snapshot {
        let (snapshots, errors) = listed(&self.repository.view().unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        snapshots.into_iter().max_by_key(Snapshot::taken_at).unwrap()
    }

    /// Writes a file of the newest snapshot.
    fn content(&self, file: &str) -> impl FnMut(&mut dyn Write) -> chronos_connect::Result<()> + use<> {
        let tree = Tree::new(self.repository.view().unwrap().reader(), self.newest().manifest.tree);
        let path = TreePath::new(file).unwrap();
        move |into| Ok(tree.cat(&path, ByteRange::ALL, into).map(drop)?)
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.content(file)(&mut bytes).unwrap();
        bytes
    }

    /// Why a source could not be read at all.
    fn refusal(&self, options: PostgresOptions) -> String {
        self.backup(options).unwrap_err().to_string()
    }

    /// The archive in `file`, by the program of the server itself, in a new database; its name.
    fn raw_restore(&self, file: &str) -> String {
        let name = fresh("raw");
        self.server.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        let mut command = self.server.client("pg_restore", &["--exit-on-error", "-d", &name]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&self.bytes(file)).unwrap();
        assert!(child.wait().unwrap().success());
        name
    }
}

fn client(url: &str) -> Client {
    Client { connection: Connection::from_url(&Secret::new(url)).unwrap(), ..Client::default() }
}

fn options(client: Client) -> PostgresOptions {
    PostgresOptions {
        client,
        source: "shop".to_owned(),
        databases: Databases::OfConnection,
        globals: true,
        mtime: Time::default(),
        time_limit: None,
    }
}

/// Reads a stream until `enough`; an interruption only lets its reader look up.
fn read_until(stream: &mut dyn io::Read, enough: u64) -> io::Result<u64> {
    let (mut total, mut piece) = (0, vec![0; 100_000]);
    while total < enough {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => total += n as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(total)
}

/// The stream of the first database that a source gives.
fn first_database(source: &mut dyn Source) -> Box<dyn io::Read + Send> {
    source
        .open()
        .unwrap()
        .find_map(|item| match item {
            Item::Entry(entry) if entry.path.name().ends_with(b".dump") => match entry.origin {
                Origin::Part(stream) => Some(stream),
                _ => None,
            },
            _ => None,
        })
        .unwrap()
}

/// An executable script.
fn script(folder: &std::path::Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    // Written by another process: this one may be forking meanwhile, and a file that is open for writing is not executed.
    let write = format!("cat > '{0}' && chmod 755 '{0}'", path.display());
    let mut child = Command::new("sh").args(["-c", &write]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    path
}
