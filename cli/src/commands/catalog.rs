//! The opened repository, its snapshots, and how they are chosen by name or by filter.

use std::sync::Arc;

use chronos_server::canonical_target;
use chronos_snapshot::{Snapshot, Tree, TreePath, listed, locate, resolve};
use chronos_store::{Finding, Repository, View};
use clap::Args;
use jiff::Timestamp;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::{parse_target, parse_tier, parse_time};

/// A repository at one moment.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// The repository.
    pub(crate) repository: Repository,
    /// What counts at this moment.
    pub(crate) view: Arc<View>,
    /// Its snapshots, oldest first.
    pub(crate) snapshots: Vec<Snapshot>,
    damaged: bool,
}

impl Catalog {
    /// Opens the repository that is meant.
    pub(crate) fn open(app: &App) -> Result<Self, Failure> {
        Self::new(app, app.open()?)
    }

    /// The present moment of an open repository. Manifests that cannot be read are named, the others are there.
    pub(crate) fn new(app: &App, repository: Repository) -> Result<Self, Failure> {
        let view = repository.view()?;
        let (snapshots, errors) = listed(&view);
        for error in &errors {
            app.output.warning(error);
        }
        let damaged = !errors.is_empty() || view.unreadable().next().is_some();
        Ok(Self { repository, view, snapshots, damaged })
    }

    /// Decisions that are there and cannot be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = Finding> {
        self.view.unreadable().map(|session| Finding {
            object: format!("snap/{session}"),
            problem: "it cannot be read, nor can its snapshot".to_owned(),
            snapshots: vec![session.clone()],
        })
    }

    /// How a command ends that met nothing worse.
    pub(crate) fn exit(&self) -> Exit {
        if self.damaged { Exit::Damage } else { Exit::Done }
    }

    /// The snapshot that a name means.
    pub(crate) fn resolve(&self, app: &App, name: &str) -> Result<Snapshot, Failure> {
        let found = resolve(&self.snapshots, &self.local_name(app, name)?).map_err(|e| self.unknown(e))?;
        if let Some(note) = found.note {
            app.output.warning(note);
        }
        Ok(found.snapshot)
    }

    /// The snapshots that several names mean, each once.
    pub(crate) fn resolve_all(&self, app: &App, names: &[String]) -> Result<Vec<Snapshot>, Failure> {
        let mut found: Vec<Snapshot> = Vec::with_capacity(names.len());
        for name in names {
            let snapshot = self.resolve(app, name)?;
            if found.iter().all(|f| f.session != snapshot.session) {
                found.push(snapshot);
            }
        }
        Ok(found)
    }

    /// What `SNAP[:PATH]` means.
    pub(crate) fn locate(&self, app: &App, text: &str) -> Result<(Snapshot, Option<TreePath>), Failure> {
        let (found, path) =
            locate(&self.snapshots, &self.local_name(app, text)?).map_err(|e| self.unknown(e))?;
        if let Some(note) = found.note {
            app.output.warning(note);
        }
        let path = path.map(|p| self.tree(&found.snapshot).meant(p)).transpose()?;
        Ok((found.snapshot, path))
    }

    /// An error that names the snapshot that was perhaps meant.
    fn unknown(&self, error: chronos_snapshot::Error) -> Failure {
        let near = match &error {
            chronos_snapshot::Error::NotFound { what: "snapshot", name } => {
                let ids = self.snapshots.iter().rev().map(|s| s.manifest.backup_id.as_str());
                chronos_server::nearest(name, ids.chain(["latest"])).map(str::to_owned)
            }
            _ => None,
        };
        let is_unknown = matches!(error, chronos_snapshot::Error::NotFound { .. });
        let mut failure = Failure::from(error);
        if is_unknown && self.damaged {
            // It may be the one that cannot be listed.
            failure.exit = failure.exit.worst(Exit::Damage);
        }
        match near {
            Some(near) => {
                failure.hint(format!("did you mean {near}? `chronos snapshots` lists what there is"))
            }
            None => failure,
        }
    }

    /// The tree of a snapshot.
    pub(crate) fn tree(&self, snapshot: &Snapshot) -> Tree {
        Tree::new(self.view.reader(), snapshot.manifest.tree)
    }

    /// The snapshots that were forgotten and can still be undeleted, oldest first.
    pub(crate) fn trash(&self) -> Result<Vec<Snapshot>, Failure> {
        Ok(self.view.trash().map(Snapshot::from_row).collect::<Result<_, _>>()?)
    }

    /// A name as the library knows it: without the repository before `#`, with targets' aliases replaced.
    fn local_name(&self, app: &App, name: &str) -> Result<String, Failure> {
        let mut name = name;
        if let Some((place, rest)) = name.split_once('#')
            && place.contains('/')
        {
            if place.trim_end_matches('/') != self.repository.location().trim_end_matches('/') {
                return Err(Failure::usage(format!(
                    "{rest} lies in the repository {place}, not in this one"
                ))
                .hint(format!("chronos -r {place} …")));
            }
            name = rest;
        }
        match name.strip_prefix("latest:") {
            Some(rest) => {
                let (target, path) = rest.split_once(':').map_or((rest, None), |(t, p)| (t, Some(p)));
                let target = canonical(app, target)?;
                Ok(path.map_or_else(|| format!("latest:{target}"), |p| format!("latest:{target}:{p}")))
            }
            None => Ok(name.to_owned()),
        }
    }
}

/// The target that a name or alias stands for.
pub(crate) fn canonical(app: &App, name: &str) -> Result<String, Failure> {
    let config = &app.workplace()?.config;
    Ok(config.target(name).map_or_else(|| canonical_target(name).to_owned(), |t| t.name.clone()))
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

    /// In this state: completed (also those verified since), partial, verified, corrupted, missing
    #[arg(long, value_name = "STATUS", value_parser = ["completed", "partial", "verified", "corrupted", "missing"])]
    pub(crate) status: Option<String>,
}

impl Filter {
    /// The snapshots that fit.
    pub(crate) fn apply<'a>(
        &'a self,
        app: &App,
        snapshots: &'a [Snapshot],
    ) -> Result<impl DoubleEndedIterator<Item = &'a Snapshot> + 'a, Failure> {
        let target = self.target.as_deref().map(|t| canonical(app, t)).transpose()?;
        let path = self.path.as_deref().map(absolute).transpose()?;
        Ok(snapshots.iter().filter(move |s| self.fits(s, target.as_deref(), path.as_deref())))
    }

    fn fits(&self, s: &Snapshot, target: Option<&str>, path: Option<&str>) -> bool {
        let m = &s.manifest;
        let status =
            |wanted: &String| s.status() == wanted || (wanted == "completed" && s.status() == "verified");
        target.is_none_or(|t| m.target == t)
            && self.tier.as_ref().is_none_or(|t| m.tier == *t)
            && self.tags.iter().all(|t| s.tags().contains(t))
            && self.host.as_ref().is_none_or(|h| m.host == *h)
            && path.is_none_or(|p| m.paths.iter().any(|own| own.trim_end_matches('/') == p))
            && self.since.is_none_or(|t| s.taken_at() >= t)
            && self.until.is_none_or(|t| s.taken_at() <= t)
            && self.status.as_ref().is_none_or(status)
    }
}

fn absolute(path: &str) -> Result<String, Failure> {
    let full = std::path::absolute(path).map_err(|e| Failure::usage(format!("{path}: {e}")))?;
    Ok(chronos_server::shown(&full).trim_end_matches('/').to_owned())
}
