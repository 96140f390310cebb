//! The environment variables that existing deployments set (contract §10). They are laid over the configuration file, and define
//! targets where there is none.

use std::path::PathBuf;

use chronos_remote::Location;

use crate::config::{Config, OffsiteConfig, Source, SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::secret::SecretRef;

#[cfg(test)]
mod tests;

/// User of the proxy in front of n8n if only its password is given.
const N8N_USER: &str = "admin";
/// Where CHRONOS answers if nobody says otherwise.
pub const CHRONOS_URL: &str = "http://localhost:8010";
/// The target of `DATABASE_URL`.
const DATABASE_TARGET: &str = "supabase";

/// Targets that variables define, each with one n8n: the target, its address, its key.
const N8N_TARGETS: [(&str, &str, &str); 3] = [
    ("control-plane", "N8N_CONTROL_URL", "N8N_CONTROL_API_KEY"),
    ("prod", "N8N_PROD_URL", "N8N_PROD_API_KEY"),
    ("dev", "N8N_DEV_URL", "N8N_DEV_API_KEY"),
];

/// Where in a bucket a copy is kept that nobody gave a place: other things may be there too.
const OFFSITE_PREFIX: &str = "chronos";

/// What the environment says. Secrets stay where they are until they are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `BACKUP_PATH`, else `CRONOS_BACKUP_DIR`: where the repository is.
    pub backup_path: Option<PathBuf>,
    /// `RETENTION_DAYS`: age of snapshots that no rule names.
    pub retention_days: Option<u32>,
    /// `CRONOS_RETENTION_DAYS`: system E's limit of age.
    pub project_retention_days: Option<u32>,
    /// `CRONOS_MAX_BACKUPS`: system E's limit of number.
    pub project_max_backups: Option<u32>,
    /// What is said of the n8n of some targets.
    pub n8n: Vec<N8nVariables>,
    /// `N8N_API_KEY`: for each n8n that has no key of its own.
    pub n8n_key: Option<SecretRef>,
    /// `N8N_USER`: of the proxy in front of n8n.
    pub n8n_user: Option<String>,
    /// `N8N_PASS`: likewise.
    pub n8n_password: Option<SecretRef>,
    /// `DATABASE_URL`: the PostgreSQL to dump.
    pub database_url: Option<SecretRef>,
    /// `EVENT_BUS_URL`.
    pub event_bus_url: Option<String>,
    /// `CHRONOS_URL`: where CHRONOS answers.
    pub chronos_url: Option<String>,
    /// `S3_BUCKET`: a copy of the repository is kept there, below `chronos/` unless it names a place in the bucket.
    pub s3_bucket: Option<String>,
}

/// What variables say of the n8n of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct N8nVariables {
    /// The target.
    pub target: &'static str,
    /// Its address.
    pub url: Option<String>,
    /// Its key.
    pub key: Option<SecretRef>,
}

impl Environment {
    /// Reads the variables through `get`. Empty ones count as not set. A secret `X` may also be the first line of the file that
    /// `X_FILE` names.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| get(name).filter(|v| !v.is_empty());
        let secret = |name: &str| {
            let file = || text(&format!("{name}_FILE")).map(|path| SecretRef::File(path.into()));
            text(name).map(|_| SecretRef::Env(name.to_owned())).or_else(file)
        };
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(value) => value.trim().parse::<u32>().map(Some).map_err(|_| Error::Value {
                place: variable(name),
                why: format!("{value:?} is not a whole number"),
            }),
        };
        let url = |name: &str| match text(name) {
            None => Ok(None),
            Some(url) => {
                crate::config::check_url(&url).map_err(|why| Error::Value { place: variable(name), why })?;
                Ok::<_, Error>(Some(url))
            }
        };
        let mut n8n = Vec::new();
        for (target, address, key) in N8N_TARGETS {
            let (url, key) = (url(address)?, secret(key));
            if url.is_some() || key.is_some() {
                n8n.push(N8nVariables { target, url, key });
            }
        }
        Ok(Self {
            backup_path: text("BACKUP_PATH").or_else(|| text("CRONOS_BACKUP_DIR")).map(PathBuf::from),
            retention_days: number("RETENTION_DAYS")?,
            project_retention_days: number("CRONOS_RETENTION_DAYS")?,
            project_max_backups: number("CRONOS_MAX_BACKUPS")?,
            n8n,
            n8n_key: secret("N8N_API_KEY"),
            n8n_user: text("N8N_USER"),
            n8n_password: secret("N8N_PASS"),
            database_url: secret("DATABASE_URL"),
            event_bus_url: url("EVENT_BUS_URL")?,
            chronos_url: url("CHRONOS_URL")?,
            s3_bucket: text("S3_BUCKET"),
        })
    }

    /// Lays it over the configuration, and says what it did. What a variable says comes before what the file says; only
    /// `N8N_API_KEY` is for those n8n that have no key of their own.
    pub fn lay_over(&self, config: &mut Config) -> Result<Vec<String>> {
        let mut done = Vec::new();
        for variables in &self.n8n {
            variables.lay_over(config, &mut done)?;
        }
        if let Some(url) = &self.database_url {
            let source = only(config, DATABASE_TARGET, SourceKind::Postgres, "DATABASE_URL", true)?;
            if let Some(source) = source {
                source.url = Some(url.clone());
                (source.host, source.port, source.user) = (None, None, None);
                done.push(format!("target {DATABASE_TARGET}: url from {}", url.place()));
            }
        }
        if let Some(url) = &self.event_bus_url {
            config.events.url = Some(url.clone());
            done.push("events.url from environment variable EVENT_BUS_URL".to_owned());
        }
        for target in &mut config.targets {
            for source in target.sources.iter_mut().filter(|s| s.kind == SourceKind::N8n && s.url.is_some()) {
                if let (None, Some(key)) = (&source.api_key, &self.n8n_key) {
                    source.api_key = Some(key.clone());
                    done.push(format!("target {}: api_key from {}", target.name, key.place()));
                }
                if let (None, Some(password)) = (&source.password, &self.n8n_password) {
                    source.user = Some(self.n8n_user.clone().unwrap_or_else(|| N8N_USER.to_owned()));
                    source.password = Some(password.clone());
                    done.push(format!("target {}: user and password from {}", target.name, password.place()));
                }
            }
        }
        if let Some(bucket) = &self.s3_bucket {
            let to = offsite_of(bucket)?;
            if config.offsite.iter().all(|offsite| offsite.to != to) {
                done.push(format!("offsite: {to} from environment variable S3_BUCKET"));
                config.offsite.push(OffsiteConfig { to, ..OffsiteConfig::default() });
            }
        }
        config.check_references()?;
        Ok(done)
    }
}

impl N8nVariables {
    fn lay_over(&self, config: &mut Config, done: &mut Vec<String>) -> Result<()> {
        let Self { target, url, key } = self;
        let names = N8N_TARGETS.iter().find(|(of, ..)| of == target);
        let Some((_, address, _)) = names else { return Ok(()) };
        // A key alone defines nothing.
        let Some(source) = only(config, target, SourceKind::N8n, address, url.is_some())? else {
            return Ok(());
        };
        if let Some(url) = url {
            source.url = Some(SecretRef::Plain(chronos_connect::Secret::new(url)));
            done.push(format!("target {target}: url from {}", variable(address)));
        }
        if let Some(key) = key {
            source.api_key = Some(key.clone());
            done.push(format!("target {target}: api_key from {}", key.place()));
        }
        Ok(())
    }
}

/// The place that `S3_BUCKET` means: a bucket, a place in it as `bucket/prefix`, or all of `s3://…`.
fn offsite_of(bucket: &str) -> Result<String> {
    let text = if bucket.contains("://") {
        bucket.to_owned()
    } else if bucket.contains('/') {
        format!("s3://{bucket}")
    } else {
        format!("s3://{bucket}/{OFFSITE_PREFIX}")
    };
    let wrong = |why: String| Error::Value { place: variable("S3_BUCKET"), why };
    match Location::parse(&text).map_err(|e| wrong(e.to_string()))? {
        place @ Location::Bucket(_) => Ok(place.to_string()),
        _ => Err(wrong("is no bucket; [[offsite]] in the configuration file takes other places".to_owned())),
    }
}

fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

/// The only source of a kind that a target has; made, with its target, if that is wanted and there is none.
fn only<'c>(
    config: &'c mut Config,
    target: &str,
    kind: SourceKind,
    named: &str,
    make: bool,
) -> Result<Option<&'c mut Source>> {
    if make && config.target(target).is_none() {
        config.targets.push(TargetConfig { name: target.to_owned(), ..TargetConfig::default() });
    }
    let Some(holder) = config.target_mut(target) else { return Ok(None) };
    let count = holder.sources.iter().filter(|s| s.kind == kind).count();
    if count > 1 {
        return Err(Error::Value {
            place: variable(named),
            why: format!("target {target} has {count} sources of kind {:?}: which is meant?", kind.name()),
        });
    }
    if make && count == 0 {
        let name = kind.name().to_owned();
        if holder.sources.iter().any(|s| s.name == name) {
            return Err(Error::Value {
                place: variable(named),
                why: format!("target {target} has a source {name:?} of another kind"),
            });
        }
        holder.sources.push(Source { name, kind, ..Source::default() });
    }
    Ok(holder.sources.iter_mut().find(|s| s.kind == kind))
}
