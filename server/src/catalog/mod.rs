//! The snapshots of a repository at one moment, and how they are chosen by name or by filter.

mod entry;
mod filter;
mod row;

use std::sync::Arc;

use chronos_snapshot::{Resolved, Snapshot, Tree, TreePath, listed, locate, resolve};
use chronos_store::{Finding, Repository, View};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::targets::canonical_target;
use crate::values::nearest;

pub use entry::{Entry, kind, link_target, moment};
pub use filter::Filter;
pub use row::{Row, export_name, rfc3339};

/// What stands for the newest good snapshot that has what is asked for.
pub(crate) const LATEST: &str = "latest";

/// A repository at one moment.
#[derive(Debug)]
pub struct Catalog {
    /// The repository.
    pub repository: Repository,
    /// What counts at this moment.
    pub view: Arc<View>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Why some are not among them: their manifests cannot be read.
    pub problems: Vec<chronos_snapshot::Error>,
    config: Config,
}

/// Snapshots that were chosen by names.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The snapshots, each once.
    pub snapshots: Vec<Snapshot>,
    /// What the user must know of the names: which fitted several, and what was taken.
    pub notes: Vec<String>,
}

impl Catalog {
    /// The present moment of an open repository. What `config` says of targets, their names mean.
    pub fn new(config: &Config, repository: Repository) -> Result<Self> {
        let view = repository.view()?;
        let (snapshots, problems) = listed(&view);
        Ok(Self { repository, view, snapshots, problems, config: config.clone() })
    }

    /// The same, read as it is stored: past the copies that this host keeps.
    pub fn as_stored(&self) -> Result<Self> {
        Self::new(&self.config, self.repository.as_stored())
    }

    /// Whether something of it cannot be read.
    pub fn is_damaged(&self) -> bool {
        !self.problems.is_empty() || self.view.unreadable().next().is_some()
    }

    /// Decisions that are there and cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = Finding> {
        self.view.unreadable().map(|session| Finding {
            object: format!("snap/{session}"),
            problem: "it cannot be read, nor can its snapshot".to_owned(),
            snapshots: vec![session.clone()],
        })
    }

    /// The snapshot that a name means.
    pub fn resolve(&self, name: &str) -> Result<Resolved> {
        resolve(&self.snapshots, &self.local_name(name)?).map_err(|e| self.unknown(e))
    }

    /// The snapshots that several names mean.
    pub fn resolve_all(&self, names: &[String]) -> Result<Chosen> {
        let mut chosen = Chosen::default();
        for name in names {
            let Resolved { snapshot, note } = self.resolve(name)?;
            chosen.notes.extend(note);
            if chosen.snapshots.iter().all(|f| f.session != snapshot.session) {
                chosen.snapshots.push(snapshot);
            }
        }
        Ok(chosen)
    }

    /// What `SNAP[:PATH]` means.
    pub fn locate(&self, text: &str) -> Result<(Resolved, Option<TreePath>)> {
        let (found, path) = locate(&self.snapshots, &self.local_name(text)?).map_err(|e| self.unknown(e))?;
        let path = path.map(|p| self.tree(&found.snapshot).meant(p)).transpose()?;
        Ok((found, path))
    }

    /// The snapshot of a session, as it is in this moment.
    pub fn of_session(&self, session: &chronos_store::SessionId) -> Option<&Snapshot> {
        self.snapshots.iter().rev().find(|s| s.session == *session)
    }

    /// The tree of a snapshot.
    pub fn tree(&self, snapshot: &Snapshot) -> Tree {
        Tree::new(self.view.reader(), snapshot.manifest.tree)
    }

    /// The snapshots that were forgotten and can still be undeleted, oldest first.
    pub fn trash(&self) -> Result<Vec<Snapshot>> {
        Ok(self.view.trash().map(Snapshot::from_row).collect::<Result<_, _>>()?)
    }

    /// The snapshots among `all` that fit.
    pub fn fitting<'a>(
        &self,
        filter: &Filter,
        all: &'a [Snapshot],
    ) -> impl DoubleEndedIterator<Item = &'a Snapshot> + use<'a> {
        let filter = filter.canonical(&self.config);
        all.iter().filter(move |s| filter.fits(s))
    }

    /// An error that names the snapshot that was perhaps meant.
    fn unknown(&self, error: chronos_snapshot::Error) -> Error {
        use chronos_snapshot::Error as Snapshot;
        let near = match &error {
            Snapshot::NotFound { what: "snapshot", name } => {
                let ids = self.snapshots.iter().rev().map(|s| s.manifest.backup_id.as_str());
                nearest(name, ids.chain(["latest"])).map(str::to_owned)
            }
            Snapshot::NotFound { .. } => None,
            _ => return error.into(),
        };
        // It may be the one that cannot be listed.
        Error::Unknown { source: error, near, is_damaged: self.is_damaged() }
    }

    /// A name as the library knows it: without the repository before `#`, with targets' aliases replaced.
    fn local_name(&self, name: &str) -> Result<String> {
        let mut name = name;
        if let Some((place, rest)) = name.split_once('#')
            && place.contains('/')
        {
            if place.trim_end_matches('/') != self.repository.location().trim_end_matches('/') {
                return Err(Error::Elsewhere { name: rest.to_owned(), repository: place.to_owned() });
            }
            name = rest;
        }
        match name.strip_prefix("latest:") {
            Some(rest) => {
                let (target, path) = rest.split_once(':').map_or((rest, None), |(t, p)| (t, Some(p)));
                let target = target_name(&self.config, target);
                Ok(path.map_or_else(|| format!("latest:{target}"), |p| format!("latest:{target}:{p}")))
            }
            None => Ok(name.to_owned()),
        }
    }
}

/// The target that a name or alias stands for.
pub fn target_name(config: &Config, name: &str) -> String {
    config.target(name).map_or_else(|| canonical_target(name).to_owned(), |t| t.name.clone())
}
