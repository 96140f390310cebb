//! The snapshot of what is there, which is made before anything is touched. Without it nothing is.

use chronos_snapshot::{Snapshot, Source, Tree};

use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::operations::backup::{BackupRequest, Planned};
use crate::operations::restore::Task;
use crate::operations::restore::step::Step;

/// Why it is made.
pub(super) const TIER: &str = "emergency";

/// How much of the live state it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// What the rules of the target take.
    Ruled,
    /// Everything at the places that are written to.
    Whole,
}

/// What was there before.
#[derive(Debug)]
pub(super) struct Safety {
    /// The snapshot.
    pub(super) snapshot: Snapshot,
    tree: Tree,
}

impl Safety {
    /// Its name.
    pub(super) fn backup_id(&self) -> &str {
        &self.snapshot.manifest.backup_id
    }

    /// What it holds.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Makes it of what the steps are going to change, as the rules of the target take it; of everything at their places if that
    /// is not enough. `None`: nothing is there.
    pub(super) fn make(task: &Task<'_>, steps: &[Box<dyn Step + '_>]) -> Result<Option<Self>> {
        let ruled = match Self::take(task, steps, Width::Ruled) {
            Err(error) if error.kind() != Kind::Refused && steps.iter().any(|step| step.can_be_wider()) => {
                task.repository.monitor().problem(&format!("{error}; its files are kept as they are"));
                return match Self::take(task, steps, Width::Whole)? {
                    Some(whole) => kept(steps, &whole).map(|()| Some(whole)),
                    None => Ok(None),
                };
            }
            taken => taken?,
        };
        let Some(ruled) = ruled else { return Ok(None) };
        let Err(lacking) = kept(steps, &ruled) else { return Ok(Some(ruled)) };
        task.repository.monitor().problem(&format!("{lacking}; a snapshot of everything is made"));
        let Some(whole) = Self::take(task, steps, Width::Whole)? else { return Ok(None) };
        kept(steps, &whole)?;
        Ok(Some(whole))
    }

    fn take(task: &Task<'_>, steps: &[Box<dyn Step + '_>], width: Width) -> Result<Option<Self>> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for step in steps {
            sources.extend(step.live(width)?);
        }
        if sources.is_empty() {
            return Ok(None);
        }
        let request = BackupRequest {
            target: Some(task.target.clone()),
            tier: TIER.to_owned(),
            description: format!("Before {} is put back", task.snapshot.manifest.backup_id),
            ..BackupRequest::default()
        };
        let scope = sources.iter().map(|s| s.component()).collect();
        let report = Planned::given(task.target.clone(), request, sources, scope)
            .run(task.workplace, task.repository)
            .map_err(|e| lost(task, e.to_string(), Some(e)))?
            .report;
        if let Some(failed) = report.sources.iter().find(|s| s.failed) {
            let why = format!("{}: {}", failed.name, failed.error.as_deref().unwrap_or_default());
            return Err(lost(task, why.clone(), Some(Error::StepFailed(why))));
        }
        for step in steps {
            if let Some(error) = report.errors.iter().find(|e| step.touches(&e.path)) {
                return Err(lost(task, format!("{}: {}", error.path, error.error), None));
            }
        }
        let catalog = Catalog::new(&task.workplace.config, task.repository.clone())?;
        let made = report.session.as_ref().and_then(|session| catalog.of_session(session)).cloned();
        let snapshot = made.ok_or_else(|| lost(task, "it is not listed".to_owned(), None))?;
        let tree = catalog.tree(&snapshot);
        Ok(Some(Self { snapshot, tree }))
    }
}

fn kept(steps: &[Box<dyn Step + '_>], safety: &Safety) -> Result<()> {
    steps.iter().try_for_each(|step| step.check_kept(safety))
}

fn lost(task: &Task<'_>, why: String, cause: Option<Error>) -> Error {
    Error::NoSafety { target: task.target.clone(), why, cause: cause.map(Box::new) }
}
