//! Sources that are outside systems: from what the configuration says of one to its connector, secrets included.

use chronos_connect::Secret;
use chronos_connect::n8n::{Limits, N8nOptions, N8nSource, Parts, Server};
use chronos_connect::sqlite::{SqliteOptions, SqliteSource};

use crate::config::Source;
use crate::error::{Error, Result};
use crate::secret::SecretRef;
use crate::sources::Setting;

/// The workflows and credential metadata of an n8n, or one of its workflows.
pub(super) fn n8n(
    source: &Source,
    parts: Parts,
    workflow: Option<&str>,
    setting: &Setting,
) -> Result<N8nSource> {
    let url = value(source.url.as_ref(), setting)?;
    let password = value(source.password.as_ref(), setting)?;
    let server = Server {
        url: url.map(|u| u.reveal().to_owned()).unwrap_or_default(),
        key: value(source.api_key.as_ref(), setting)?,
        basic: source.user.clone().zip(password),
    };
    let name = source.name.clone();
    let workflow = workflow.map(str::to_owned);
    let options = N8nOptions { name, server, limits: Limits::default(), parts, workflow };
    N8nSource::new(options).map_err(|e| refused(source, e.to_string()))
}

/// Databases of a PostgreSQL server.
pub(super) fn postgres(source: &Source) -> Result<Box<dyn chronos_snapshot::Source>> {
    Err(refused(source, "sources of kind \"postgres\" are not in this version".to_owned()))
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
