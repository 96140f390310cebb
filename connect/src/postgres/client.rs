//! The client programs of PostgreSQL, run behind a prefix, and what the server tells of itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::postgres::connection::Connection;
use crate::prefix::Prefix;
use crate::process::Process;

/// What a query of the catalogues may answer: names of a hundred thousand tables.
const ANSWER_MAX: usize = 64 << 20;
/// What a program may say of its version and its options.
const HELP_MAX: usize = 1 << 20;
/// How long a query of the catalogues may take.
const QUERY_LIMIT: Duration = Duration::from_mins(5);

/// A server, and the programs that speak to it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// How the server is reached from where the programs run.
    pub connection: Connection,
    /// Words before every program, such as `docker exec NAME`.
    pub prefix: Prefix,
    /// Folder of the programs; `None`: they are found as a shell finds them.
    pub programs: Option<PathBuf>,
}

/// What a server is, and what its user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `15.18 (Debian …)`.
    pub version: String,
    /// 15.
    pub major: u32,
    /// The user is a superuser.
    pub is_superuser: bool,
    /// The user may make databases.
    pub makes_databases: bool,
}

impl Client {
    /// Makes the statistics of a database anew, which takes as long as reading a part of it.
    pub(super) fn analyze(&self, database: &str, time_limit: Option<Duration>) -> Result<()> {
        let sql = "SET client_min_messages = error; ANALYZE";
        let psql =
            self.program("psql", &["-X", "-w", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql], Some(database));
        psql.time_limit(time_limit).output(ANSWER_MAX).map(drop).map_err(|e| self.of_server(e))
    }

    /// A program that connects to `database`, or to that of the connection.
    pub(super) fn program(&self, name: &str, arguments: &[&str], database: Option<&str>) -> Process {
        let words = arguments.iter().map(OsString::from);
        let variables = self.connection.variables(database);
        let bare = Process::new(std::iter::once(self.path(name)).chain(words))
            .prefix(self.prefix.clone())
            .without_variables("PG");
        variables.into_iter().fold(bare, |process, (name, value)| process.variable(name, value))
    }

    /// Where a program is.
    pub(super) fn path(&self, name: &str) -> OsString {
        self.programs.as_deref().map_or_else(|| name.into(), |folder| folder.join(name).into_os_string())
    }

    /// Runs SQL; gives the values of all rows, one after the other.
    pub(super) fn query(&self, database: Option<&str>, sql: &str) -> Result<Vec<String>> {
        // Fields and rows end with a zero byte, which no value has.
        let arguments = ["-X", "-w", "-q", "-A", "-t", "-0", "-z", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let psql = self.program("psql", &arguments, database).time_limit(Some(QUERY_LIMIT));
        let said = psql.output(ANSWER_MAX).map_err(|e| self.of_server(e))?;
        let text = String::from_utf8_lossy(&said);
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// What the server is.
    pub fn server(&self, database: Option<&str>) -> Result<Server> {
        let sql = "SELECT current_setting('server_version'), current_setting('server_version_num'), rolsuper, \
                   rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let found = self.query(database, sql)?;
        let [version, number, superuser, makes] = found.as_slice() else {
            return Err(self.unexpected("its version", &found.join(" ")));
        };
        let number: u32 = number.parse().map_err(|_| self.unexpected("its version", number))?;
        Ok(Server {
            version: version.clone(),
            major: major_of(number),
            is_superuser: superuser == "t",
            makes_databases: makes == "t",
        })
    }

    /// Whether the server takes no connections: nobody listens, or it is starting. `pg_isready` asks without a password.
    pub(super) fn is_out_of_reach(&self) -> bool {
        let ready = self.program("pg_isready", &["-q"], None).time_limit(Some(QUERY_LIMIT));
        self.version_of("pg_isready").is_ok() && ready.output(HELP_MAX).is_err()
    }

    /// The version of a client program as it tells it, and its first number.
    pub(super) fn version_of(&self, program: &str) -> Result<(String, u32)> {
        let process = Process::new([self.path(program), "--version".into()]).prefix(self.prefix.clone());
        let said = process.output(HELP_MAX)?;
        let text = String::from_utf8_lossy(&said).trim().to_owned();
        let version = text.split_once("PostgreSQL) ").map_or("", |(_, version)| version);
        let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let major = digits.parse().map_err(|_| Error::Upstream {
            system: format!("{program} --version"),
            status: None,
            why: format!("{text:?} names no version of PostgreSQL"),
        })?;
        Ok((version.to_owned(), major))
    }

    /// Fails if a program is older than the server: it does not know all that the server has.
    pub(super) fn check_version(&self, program: &str, server: &Server) -> Result<String> {
        let (version, major) = self.version_of(program)?;
        if major >= server.major {
            return Ok(version);
        }
        Err(Error::Refused(format!(
            "{program} is of version {version}, older than {}, which is {}: install the client programs of version {}, \
             or name their folder",
            self.connection.shown(),
            server.version,
            server.major
        )))
    }

    /// Whether a program knows an option.
    pub(super) fn knows(&self, program: &str, option: &str) -> Result<bool> {
        let process = Process::new([self.path(program), "--help".into()]).prefix(self.prefix.clone());
        Ok(String::from_utf8_lossy(&process.output(HELP_MAX)?).contains(option))
    }

    /// An error of a program is one of the server that it spoke to.
    pub(super) fn of_server(&self, error: Error) -> Error {
        of_server(&self.connection.shown(), error)
    }

    pub(super) fn unexpected(&self, of: &str, found: &str) -> Error {
        let why = format!("it answered {found:?} when asked for {of}");
        Error::Upstream { system: self.connection.shown(), status: None, why }
    }
}

/// An error of a program is one of the server `system` that it spoke to.
pub(super) fn of_server(system: &str, error: Error) -> Error {
    match error {
        Error::Command { command, why } => {
            let why = format!("{} failed: {why}", program_in(&command));
            Error::Upstream { system: system.to_owned(), status: None, why }
        }
        Error::TimedOut { what, limit } => {
            Error::TimedOut { what: format!("{system}: {}", program_in(&what)), limit }
        }
        other => other,
    }
}

/// The program of PostgreSQL that a command runs.
fn program_in(command: &str) -> &str {
    let words = command.split([' ', '"', '\'']).map(|word| word.rsplit('/').next().unwrap_or(word));
    words.into_iter().find(|name| name.starts_with("pg_") || *name == "psql").unwrap_or(command)
}

/// 15 of 150018, 9 of 90624.
fn major_of(number: u32) -> u32 {
    number / 10_000
}
