//! The snapshots of the repository that is meant, for a command: what is noted on the way is told.

use std::ops::Deref;

use chronos_server::shown;
use chronos_snapshot::{Resolved, Snapshot, TreePath};
use chronos_store::Repository;
use clap::Args;
use jiff::Timestamp;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::{parse_target, parse_tier, parse_time};

/// A repository at one moment.
#[derive(Debug)]
pub(crate) struct Catalog(chronos_server::Catalog);

impl Deref for Catalog {
    type Target = chronos_server::Catalog;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Catalog {
    /// Opens the repository that is meant.
    pub(crate) fn open(app: &App) -> Result<Self, Failure> {
        Self::new(app, app.open()?)
    }

    /// The present moment of an open repository. Manifests that cannot be read are named, the others are there.
    pub(crate) fn new(app: &App, repository: Repository) -> Result<Self, Failure> {
        let catalog = chronos_server::Catalog::new(&app.workplace()?.config, repository)?;
        for problem in &catalog.problems {
            app.output.warning(problem);
        }
        Ok(Self(catalog))
    }

    /// How a command ends that met nothing worse.
    pub(crate) fn exit(&self) -> Exit {
        if self.is_damaged() { Exit::Damage } else { Exit::Done }
    }

    /// The snapshots that several names mean, each once.
    pub(crate) fn resolve_all(&self, app: &App, names: &[String]) -> Result<Vec<Snapshot>, Failure> {
        let chosen = self.0.resolve_all(names)?;
        for note in &chosen.notes {
            app.output.warning(note);
        }
        Ok(chosen.snapshots)
    }

    /// What `SNAP[:PATH]` means.
    pub(crate) fn locate(&self, app: &App, text: &str) -> Result<(Snapshot, Option<TreePath>), Failure> {
        let (found, path) = self.0.locate(text)?;
        Ok((told(app, found), path))
    }
}

fn told(app: &App, found: Resolved) -> Snapshot {
    if let Some(note) = found.note {
        app.output.warning(note);
    }
    found.snapshot
}

/// The target that a name or alias stands for.
pub(crate) fn canonical(app: &App, name: &str) -> Result<String, Failure> {
    Ok(chronos_server::catalog::target_name(&app.workplace()?.config, name))
}

/// Which snapshots are meant.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which snapshots")]
pub(crate) struct Filter {
    /// Of this target
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    pub(crate) target: Option<String>,

    /// Of this tier
    #[arg(long, value_name = "TIER", value_parser = parse_tier)]
    pub(crate) tier: Option<String>,

    /// With this tag; several: with all of them
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Of this host
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// Of this folder or file
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Taken at this time or later: 2026-01-31, '2026-01-31 13:00', or with a time zone
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,

    /// Taken at this time or before
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,

    /// In this state: completed (also those verified since), partial, verified, corrupted, missing; failed: backups of
    /// configured targets that made no snapshot, as this host remembers them
    #[arg(long, value_name = "STATUS", value_parser = ["completed", "partial", "verified", "corrupted", "missing", "failed"])]
    pub(crate) status: Option<String>,
}

impl Filter {
    /// The snapshots that fit.
    pub(crate) fn apply<'a>(
        &self,
        catalog: &Catalog,
        snapshots: &'a [Snapshot],
    ) -> Result<impl DoubleEndedIterator<Item = &'a Snapshot> + use<'a>, Failure> {
        let filter = self.meant()?;
        Ok(catalog.fitting(&filter, snapshots))
    }

    /// Whether it leaves anything out.
    pub(crate) fn is_any(&self) -> bool {
        let texts = [&self.target, &self.tier, &self.host, &self.path, &self.status];
        let times = [self.since, self.until];
        texts.iter().any(|text| text.is_some()) || times.iter().any(Option::is_some) || !self.tags.is_empty()
    }

    /// What the options say.
    pub(crate) fn meant(&self) -> Result<chronos_server::catalog::Filter, Failure> {
        Ok(chronos_server::catalog::Filter {
            target: self.target.clone(),
            tier: self.tier.clone(),
            tags: self.tags.clone(),
            host: self.host.clone(),
            path: self.path.as_deref().map(absolute).transpose()?,
            since: self.since,
            until: self.until,
            status: self.status.clone(),
            ..Default::default()
        })
    }
}

fn absolute(path: &str) -> Result<String, Failure> {
    let full = std::path::absolute(path).map_err(|e| Failure::usage(format!("{path}: {e}")))?;
    Ok(shown(&full).trim_end_matches('/').to_owned())
}
