//! A first configuration file: everything that can be said, switched off, and what is found running on this host.
//!
//! Only this host is asked, at the usual ports of its own address.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::values::shown;
use crate::workplace::Variables;

/// How long a service of this host may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of an answer that are looked at.
const ANSWER_MAX: u64 = 8 << 10;

/// The beginning of the file.
pub const TEMPLATE: &str = include_str!("starter/chronos.toml");

/// Where something may be running.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where an n8n would answer.
    pub n8n: SocketAddr,
    /// The folder of its configuration and its own database.
    pub n8n_folder: Option<PathBuf>,
    /// Where a PostgreSQL would answer.
    pub postgres: SocketAddr,
    /// Folders in which it would have its socket.
    pub sockets: Vec<PathBuf>,
    /// Whether `DATABASE_URL` names one.
    pub has_database_url: bool,
}

impl Host {
    /// The usual places.
    pub fn usual(variables: &Variables) -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let home = variables.path("N8N_USER_FOLDER").or_else(|| variables.path("HOME"));
        let has = |name: &str| variables.text(name).is_some();
        Self {
            n8n: at(5678),
            n8n_folder: home.map(|home| home.join(".n8n")),
            postgres: at(5432),
            sockets: vec!["/run/postgresql".into(), "/tmp".into()],
            has_database_url: has("DATABASE_URL") || has("DATABASE_URL_FILE"),
        }
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Address of an n8n.
    pub n8n: Option<String>,
    /// Its configuration, which holds the key of its credentials.
    pub n8n_config: Option<PathBuf>,
    /// Its database, if that is a file.
    pub n8n_database: Option<PathBuf>,
    /// A PostgreSQL.
    pub postgres: Option<Postgres>,
    /// SQLite files, which were named.
    pub sqlite: Vec<PathBuf>,
}

/// How a PostgreSQL is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Postgres {
    /// As `DATABASE_URL` says.
    Url,
    /// By the socket in this folder.
    Socket(PathBuf),
    /// At this address.
    At(SocketAddr),
}

/// Looks what is running. `sqlite` are files that somebody named.
pub fn look(host: &Host, sqlite: Vec<PathBuf>) -> Found {
    let file =
        |name: &str| host.n8n_folder.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file());
    Found {
        n8n: is_n8n(host.n8n).then(|| format!("http://{}", host.n8n)),
        n8n_config: file("config"),
        n8n_database: file("database.sqlite"),
        postgres: postgres(host),
        sqlite,
    }
}

/// Whether an n8n answers: whatever else listens there says something else.
fn is_n8n(at: SocketAddr) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).map(|_| answer)
    };
    // What does not answer is not there, for whatever reason.
    let answer = asked().unwrap_or_default();
    String::from_utf8_lossy(&answer).replace(' ', "").contains("\"status\":\"ok\"")
}

fn postgres(host: &Host) -> Option<Postgres> {
    if host.has_database_url {
        return Some(Postgres::Url);
    }
    let socket = format!(".s.PGSQL.{}", host.postgres.port());
    if let Some(folder) = host.sockets.iter().find(|folder| folder.join(&socket).exists()) {
        return Some(Postgres::Socket(folder.clone()));
    }
    TcpStream::connect_timeout(&host.postgres, PATIENCE).is_ok().then_some(Postgres::At(host.postgres))
}

/// The file.
pub fn file(found: &Found) -> String {
    let mut text = TEMPLATE.to_owned();
    if *found != Found::default() {
        text.push_str("\n# Found on this host.\n");
    }
    // Writing into a text cannot fail.
    let _ = n8n(&mut text, found).and_then(|()| databases(&mut text, found));
    text
}

fn n8n(text: &mut String, found: &Found) -> std::fmt::Result {
    if found.n8n.is_none() && found.n8n_config.is_none() && found.n8n_database.is_none() {
        return Ok(());
    }
    writeln!(text, "\n[[target]]\nname = \"control-plane\"")?;
    if let Some(url) = &found.n8n {
        writeln!(
            text,
            "\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = {}\n# In n8n: Settings, n8n API, create a key.\n\
             api_key = {{ env = \"N8N_API_KEY\" }}",
            quoted(url)
        )?;
    }
    if let Some(path) = &found.n8n_config {
        writeln!(
            text,
            "\n# It holds the key of all credentials: without it their values are lost.\n[[target.source]]\nname = \"n8n-config\"\n\
             kind = \"files\"\ncomponent = \"config\"\npaths = [{}]",
            quoted(&shown(path))
        )?;
    }
    if let Some(path) = &found.n8n_database {
        sqlite(text, "n8n-database", path)?;
    }
    Ok(())
}

fn databases(text: &mut String, found: &Found) -> std::fmt::Result {
    if let Some(postgres) = &found.postgres {
        writeln!(
            text,
            "\n[[target]]\nname = \"supabase\"\n\n[[target.source]]\nname = \"postgres\"\nkind = \"postgres\""
        )?;
        match postgres {
            Postgres::Url => writeln!(text, "url = {{ env = \"DATABASE_URL\" }}")?,
            Postgres::Socket(folder) => {
                writeln!(
                    text,
                    "host = {}\n# user = \"postgres\"\ndatabases = [\"postgres\"]",
                    quoted(&shown(folder))
                )?;
            }
            Postgres::At(address) => writeln!(
                text,
                "host = \"{}\"\nport = {}\n# user = \"postgres\"\n# password = {{ file = \"/etc/chronos/postgres\" }}\n\
                 databases = [\"postgres\"]",
                address.ip(),
                address.port()
            )?,
        }
    }
    for (number, path) in found.sqlite.iter().enumerate() {
        let name = if number == 0 { "sqlite".to_owned() } else { format!("sqlite-{}", number + 1) };
        writeln!(text, "\n[[target]]\nname = \"{name}\"")?;
        sqlite(text, &name, path)?;
    }
    Ok(())
}

fn sqlite(text: &mut String, name: &str, path: &Path) -> std::fmt::Result {
    writeln!(
        text,
        "\n[[target.source]]\nname = \"{name}\"\nkind = \"sqlite\"\npath = {}",
        quoted(&shown(path))
    )
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
