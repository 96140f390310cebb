//! Sources that are outside systems: from what the configuration says of one to its connector, secrets included.

use std::time::Duration;

use chronos_connect::n8n::restore::RestoreOptions;
use chronos_connect::n8n::{CommandLine, Instance, Limits, N8nOptions, N8nSource, Parts, Server, Way};
use chronos_connect::postgres::{Client, Connection, Databases, PostgresOptions, PostgresSource};
use chronos_connect::sqlite::{SqliteOptions, SqliteSource};
use chronos_connect::{Prefix, Process, Secret, n8n as flows};

use crate::config::Source;
use crate::error::{Error, Result};
use crate::secret::SecretRef;
use crate::sources::Setting;

/// How long one export or import of n8n may take: a thousand workflows take it seconds.
const COMMAND_LIMIT: Duration = Duration::from_hours(1);
/// The command line of n8n.
const N8N: &str = "n8n";

/// The workflows and credential metadata of an n8n, or one of its workflows.
pub(super) fn n8n(
    source: &Source,
    parts: Parts,
    workflow: Option<&str>,
    setting: &Setting,
) -> Result<N8nSource> {
    let way = match n8n_server(source, setting)? {
        Some(server) => Way::Api { server, limits: limits(source) },
        None => {
            Way::Command { command: timed(source), has_encrypted_credentials: source.encrypted_credentials }
        }
    };
    let name = source.name.clone();
    let workflow = workflow.map(str::to_owned);
    let options = N8nOptions { name, way, parts, workflow };
    N8nSource::new(options).map_err(|e| refused(source, e.to_string()))
}

/// How long a request to an n8n may take.
fn limits(source: &Source) -> Limits {
    let usual = Limits::default();
    match source.limit() {
        Some(limit) => Limits { connect: usual.connect.min(limit), call: limit, ..usual },
        None => usual,
    }
}

/// The command line of an n8n, behind its prefix.
fn n8n_command(source: &Source) -> Process {
    Process::new([N8N]).prefix(Prefix::new(&source.prefix))
}

/// How workflows get back: by the command line too, if that is configured, so that they keep their ids.
pub(crate) fn n8n_way_back(source: &Source) -> RestoreOptions {
    let command = (!source.prefix.is_empty()).then(|| CommandLine::new(timed(source)));
    RestoreOptions { command, ..RestoreOptions::default() }
}

/// Databases of a PostgreSQL server.
pub(super) fn postgres(source: &Source, setting: &Setting) -> Result<PostgresSource> {
    let options = PostgresOptions {
        client: postgres_client(source, setting)?,
        source: source.name.clone(),
        databases: match &*source.databases {
            [] => Databases::OfConnection,
            named => Databases::Named(named.to_vec()),
        },
        globals: source.globals.unwrap_or(true),
        mtime: setting.now,
        time_limit: source.limit(),
    };
    PostgresSource::new(options).map_err(|e| refused(source, e.to_string()))
}

/// The programs that speak to a PostgreSQL server.
pub(crate) fn postgres_client(source: &Source, setting: &Setting) -> Result<Client> {
    let password = value(source.password.as_ref(), setting)?;
    let connection = match value(source.url.as_ref(), setting)? {
        Some(url) => {
            let of_url = Connection::from_url(&url).map_err(|e| refused(source, e.to_string()))?;
            Connection { password: password.or_else(|| of_url.password.clone()), ..of_url }
        }
        None => Connection {
            host: source.host.clone(),
            port: source.port.map(|p| p.to_string()),
            user: source.user.clone(),
            password,
            ..Connection::default()
        },
    };
    Ok(Client { connection, prefix: Prefix::new(&source.prefix), programs: None })
}

/// Where an n8n is and how to be let in; nowhere if it is reached by its command line.
fn n8n_server(source: &Source, setting: &Setting) -> Result<Option<Server>> {
    let Some(url) = value(source.url.as_ref(), setting)? else { return Ok(None) };
    let password = value(source.password.as_ref(), setting)?;
    let key = value(source.api_key.as_ref(), setting)?;
    Ok(Some(Server { url: url.reveal().to_owned(), key, basic: source.user.clone().zip(password) }))
}

/// The API of an n8n; there is none if it is reached by its command line.
pub(crate) fn n8n_client(source: &Source, setting: &Setting) -> Result<Option<flows::Client>> {
    let Some(server) = n8n_server(source, setting)? else { return Ok(None) };
    flows::Client::new(&server, limits(source)).map(Some).map_err(|e| refused(source, e.to_string()))
}

/// The way to an n8n: over its API, or by its command line if it has no address.
pub(crate) fn n8n_instance(source: &Source, setting: &Setting) -> Result<Instance> {
    if let Some(client) = n8n_client(source, setting)? {
        return Ok(Instance::Api(client));
    }
    Ok(Instance::Command(CommandLine::new(timed(source))))
}

/// The command line of an n8n, which is ended if it takes too long.
fn timed(source: &Source) -> Process {
    n8n_command(source).time_limit(Some(source.limit().unwrap_or(COMMAND_LIMIT)))
}

/// A live SQLite database.
pub(super) fn sqlite(source: &Source, setting: &Setting) -> Result<SqliteSource> {
    let path = source.path.clone().unwrap_or_default();
    let options = SqliteOptions::new(path, &source.name, &setting.scratch);
    SqliteSource::new(SqliteOptions { mtime: setting.now, ..options })
        .map_err(|e| refused(source, e.to_string()))
}

/// A secret where it is used; nobody keeps it.
fn value(secret: Option<&SecretRef>, setting: &Setting) -> Result<Option<Secret>> {
    secret.map(|s| s.resolve(&|name| setting.variables.text(name))).transpose()
}

fn refused(source: &Source, why: String) -> Error {
    Error::Value { place: format!("source {}", source.name), why }
}
