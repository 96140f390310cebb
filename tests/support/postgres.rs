//! A real PostgreSQL, as the tests of connectors need it: a cluster in a temporary folder, on loopback and a socket.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, Weak};

use tempfile::TempDir;

/// A table with a row, a function, an index and a policy.
pub const ORDERS: &str = "
    CREATE TABLE orders(id int PRIMARY KEY, item text); INSERT INTO orders VALUES (1, 'tea');
    CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders';
    CREATE INDEX by_item ON orders(item); ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON orders FOR SELECT TO PUBLIC USING (item = current_user)";

/// The account of the Debian package; the server refuses root.
const ACCOUNT: &str = "postgres";
/// How the cluster is made: a superuser `postgres` who needs a password over the network, but not by the socket.
const PASSWORD: &str = "owner-of-the-cluster";

/// A cluster; stopped and removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    port: u16,
}

impl Postgres {
    /// A cluster that all tests running at the same time share; they make databases of their own.
    ///
    /// # Panics
    /// If it cannot be made: the Debian package `postgresql` is missing, or this is not root.
    pub fn shared() -> std::sync::Arc<Self> {
        static RUNNING: LazyLock<Mutex<Weak<Postgres>>> = LazyLock::new(Mutex::default);
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let started = std::sync::Arc::new(Self::start());
            *running = std::sync::Arc::downgrade(&started);
            started
        })
    }

    /// A cluster of one's own.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let account = passwd.lines().find(|l| l.starts_with("postgres:")).expect("the account postgres");
        let ids: Vec<u32> = account.split(':').skip(2).take(2).map(|n| n.parse().unwrap()).collect();
        chown(dir.path(), ids.first().copied(), ids.get(1).copied()).unwrap();
        let secret = dir.path().join("password");
        fs::File::create(&secret).unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { dir, port };
        let data = server.data();
        Self::own(
            "initdb",
            &[
                "-D",
                &data,
                "-A",
                "scram-sha-256",
                "--auth-local=trust",
                "-U",
                "postgres",
                "--pwfile",
                secret.to_str().unwrap(),
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
        );
        server.run();
        server
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    /// Runs a program as the account of the server.
    fn own(program: &str, arguments: &[&str]) {
        let path = programs().join(program);
        let output = Command::new("runuser")
            .args(["-u", ACCOUNT, "--"])
            .arg(path)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the server, after [`Postgres::stop`].
    pub fn run(&self) {
        let (socket, log) = (self.dir.path().display(), self.dir.path().join("log"));
        // Nothing of it is to outlive the tests.
        let options = format!(
            "-p {} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60",
            self.port
        );
        Self::own(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-l", log.to_str().unwrap(), "-o", &options, "start"],
        );
    }

    /// Stops it as a failing machine would.
    pub fn stop(&self) {
        Self::own("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// Folder of its socket.
    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    /// Port of its socket and on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of a database over the network.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// URL of a database for the superuser over the network.
    pub fn superuser(&self, database: &str) -> String {
        self.url("postgres", PASSWORD, database)
    }

    /// A client program that speaks to this server as its superuser.
    pub fn client(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs().join(program));
        command
            .args(arguments)
            .env("PGHOST", self.socket())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .stdin(Stdio::null());
        command
    }

    /// Runs SQL; gives what it answers, fields separated by `|`.
    ///
    /// # Panics
    /// If the server refuses it.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.try_sql(database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The same, which may fail.
    pub fn try_sql(&self, database: &str, sql: &str) -> Output {
        let arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql];
        self.client("psql", &arguments).output().unwrap()
    }

    /// Fills a new database with the tables of pgbench.
    pub fn pgbench(&self, database: &str, scale: u32) {
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
        let scale = scale.to_string();
        let output = self.client("pgbench", &["-q", "-i", "-s", &scale, database]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Keeps a database of pgbench busy until it is killed.
    pub fn load(&self, database: &str) -> Child {
        let arguments = ["-n", "-c", "2", "-T", "3600", database];
        self.client("pgbench", &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = Command::new("runuser");
        stop.args(["-u", ACCOUNT, "--"]).arg(programs().join("pg_ctl"));
        // It may have been stopped already; if not, what it leaves is in a folder that is removed.
        let _ = stop.args(["-D", &self.data(), "-m", "immediate", "-w", "stop"]).output();
    }
}

/// Folder of the programs of the server.
pub fn programs() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output();
    let found = output.ok().map(|o| PathBuf::from(String::from_utf8(o.stdout).unwrap().trim()));
    let folders =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let place = found.into_iter().chain(folders).find(|folder| folder.join("initdb").exists());
    place.expect("the Debian package postgresql is missing: scripts/test installs it")
}
