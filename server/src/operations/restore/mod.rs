//! Putting a snapshot back: plan, safety snapshot, apply, verify, history; one mechanism for every kind of source.
//!
//! What always holds: what is refused is refused before anything is touched; of what is there now a snapshot of tier `emergency` is
//! made before anything of it is changed; the history has a row from before that until the end. Live addresses come from the
//! configuration, never from who asks.

mod acts;
mod call;
mod chosen;
mod databases;
mod done;
mod files;
mod later;
mod lite;
mod place;
mod plan;
mod record;
mod renamed;
mod run;
mod safety;
mod step;
mod take_back;
#[cfg(test)]
mod tests;
mod undone;
mod workflows;

use std::path::PathBuf;

use chronos_snapshot::{Snapshot, SourceResult, Strategy, Tree, Undoes, file_name, printable};
use chronos_store::Repository;
use jiff::Timestamp;

use crate::catalog::{Catalog, target_name};
use crate::config::{Source, SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::Mode;
use crate::state::RollbackType;
use crate::workplace::Workplace;

pub use acts::{is_unfinished, resume};
pub(crate) use call::{ALL, About, Call};
pub use chosen::meant;
pub use chronos_connect::postgres::Part;
pub(crate) use databases::{archives, configured, database_of, globals};
pub use done::{DatabaseDone, NotBack, Restored, StepDone, StepStatus, WorkflowDone};
pub(crate) use files::roots;
pub use place::Reach;
pub(crate) use place::resolved;
pub use plan::{Names, Plan, StepPlan};
pub use record::{note_unbegun, note_without_version, settle};
pub(crate) use renamed::way_back;
pub use undone::{Created, Gave, Undone};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct RestoreRequest {
    /// The snapshot, by any of its names.
    pub backup: String,
    /// Only these components, sources or targets; empty: everything.
    pub components: Vec<String>,
    /// Only these sources of the snapshot, by their exact names; `None`: what `components` says.
    pub sources: Option<Vec<String>>,
    /// The target that is written to; that of the snapshot if absent.
    pub target: Option<String>,
    /// How; over what is there if absent.
    pub strategy: Option<Strategy>,
    /// The new place, for [`Strategy::NewLocation`].
    pub path: Option<PathBuf>,
    /// Where the caller may have a new place.
    pub reach: Reach,
    /// Whether anything is done.
    pub mode: Mode,
    /// What kind of call it is, for the history.
    pub kind: RollbackType,
    /// Whether it is done also where no snapshot of what is there can be made first.
    pub force: bool,
    /// Only these workflows, by their ids or names; empty: all.
    pub workflows: Vec<String>,
    /// Only this part of a database.
    pub part: Part,
    /// The version of the one workflow that is put back.
    pub version: Option<String>,
    /// The fingerprint of the plan that somebody has seen: if it is another one now, nothing is touched.
    pub fingerprint: Option<String>,
    /// The recovery that it is a part of.
    pub part_of: Option<String>,
    /// What it undoes.
    pub undone: Option<Undone>,
    /// Whether workflows come back inactive, whatever they were.
    pub is_inactive: bool,
}

/// A restore that can be begun: everything that was named is found, nothing is looked at yet.
#[derive(Debug)]
pub struct Task<'w> {
    workplace: &'w Workplace,
    repository: &'w Repository,
    snapshot: Snapshot,
    tree: Tree,
    /// The sources that are put back, in this order.
    sources: Vec<SourceResult>,
    /// Name of the target that is written to.
    target: String,
    /// What the configuration says of it.
    config: Option<&'w TargetConfig>,
    strategy: Strategy,
    /// The new place.
    place: Option<PathBuf>,
    /// The folder that the new place lies below, if it lies below the root of restores.
    beneath: Option<PathBuf>,
    /// When it began.
    began: Timestamp,
    mode: Mode,
    kind: RollbackType,
    force: bool,
    /// Only these workflows; empty: all.
    workflows: Vec<String>,
    /// Only this part of a database.
    part: Part,
    version: Option<String>,
    fingerprint: Option<String>,
    part_of: Option<String>,
    undone: Option<Undone>,
    /// Workflows come back inactive.
    is_inactive: bool,
    /// What the restore that is undone did to files.
    undoes: Option<Undoes>,
    warnings: Vec<String>,
}

/// Puts a snapshot back, or says what that would do.
///
/// # Errors
/// What cannot be begun; [`Error::NotRestored`] if nothing is back, with what became of each part.
pub fn restore(workplace: &Workplace, repository: &Repository, request: &RestoreRequest) -> Result<Restored> {
    Task::find(workplace, repository, request)?.run()
}

/// Leaves databases alone, if a part of one is asked for.
fn check_part(request: &RestoreRequest, sources: &mut Vec<SourceResult>) -> Result<()> {
    if request.part.is_all() {
        return Ok(());
    }
    if request.strategy == Some(Strategy::NewLocation) {
        let why = "a part goes into a database that is there: strategy new_location makes new ones, of all that was stored";
        return Err(databases::wrong_part(&request.part, why.to_owned()));
    }
    sources.retain(|source| source.kind == "postgres");
    if sources.is_empty() {
        let why = "what is asked for of the snapshot has no database of a PostgreSQL in it".to_owned();
        return Err(databases::wrong_part(&request.part, why));
    }
    Ok(())
}

impl<'w> Task<'w> {
    /// Finds what is named, and refuses what may not be written.
    fn find(workplace: &'w Workplace, repository: &'w Repository, request: &RestoreRequest) -> Result<Self> {
        let config = &workplace.config;
        let catalog = Catalog::new(config, repository.clone())?;
        let found = chosen::meant(&catalog, config, request)?;
        let snapshot = found.snapshot;
        let warnings: Vec<String> = found.note.into_iter().collect();
        let began =
            Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
        let manifest = &snapshot.manifest;
        let mut sources: Vec<SourceResult> =
            chosen::chosen(manifest, &request.components, config)?.into_iter().cloned().collect();
        if let Some(exact) = &request.sources {
            sources.retain(|source| exact.contains(&source.name));
            if sources.is_empty() {
                let named = printable(manifest.backup_id.as_bytes());
                let why = format!("{named} has nothing of {}", exact.join(", "));
                return Err(Error::NothingToRestore { why });
            }
        }
        check_part(request, &mut sources)?;
        let named = request.target.as_deref().unwrap_or(&manifest.target);
        let (target, live) = (target_name(config, named), config.target(named));
        let strategy = request.strategy.unwrap_or(Strategy::Overwrite);
        let is_new = strategy == Strategy::NewLocation;
        if live.is_none() && (request.target.is_some() || !is_new) {
            return Err(Error::UnknownTarget { target });
        }
        let tree = catalog.tree(&snapshot);
        let mut task = Self {
            workplace,
            repository,
            snapshot,
            tree,
            sources,
            target,
            config: live,
            strategy,
            place: None,
            beneath: None,
            began,
            mode: request.mode,
            kind: request.kind,
            force: request.force,
            workflows: request.workflows.clone(),
            part: request.part.clone(),
            version: request.version.clone(),
            fingerprint: request.fingerprint.clone(),
            part_of: request.part_of.clone(),
            undone: request.undone.clone(),
            is_inactive: request.is_inactive,
            undoes: None,
            warnings,
        };
        task.find_made(&catalog);
        task.find_place(request)?;
        let manifest = &task.snapshot.manifest;
        if !task.snapshot.is_good() {
            task.warnings.push(format!("{} is {}", manifest.backup_id, task.snapshot.status()));
        }
        Ok(task)
    }

    /// Finds the new place, if one is needed.
    fn find_place(&mut self, request: &RestoreRequest) -> Result<()> {
        let is_new = self.strategy == Strategy::NewLocation;
        if is_new && !self.sources.iter().all(|source| self.is_new_database(source)) {
            let manifest = &self.snapshot.manifest;
            let label = manifest.name.as_deref().unwrap_or(&manifest.backup_id);
            let name = file_name(&format!("restore_{label}_{}", self.stamp()));
            let root = self.workplace.config.service.restore_root.as_deref();
            let place = place::new_place(root, request.path.as_deref(), &name, request.reach)?;
            (self.place, self.beneath) = (Some(place.path), place.beneath);
        } else if request.path.is_some() {
            let where_to = if is_new { "makes new databases of these" } else { "writes to the places" };
            self.warnings.push(format!(
                "restore_target_path (--to) is ignored: strategy {} {where_to} of target {}",
                self.strategy.name(),
                self.target
            ));
        }
        Ok(())
    }

    /// What new places that nobody named have in their names.
    fn stamp(&self) -> String {
        self.began.strftime("%Y%m%d_%H%M%S").to_string()
    }

    /// The live source of this kind that a stored one goes to: that of its name. In another target than the snapshot's own, where
    /// names may differ, the only one, if the snapshot has no other that could be meant.
    fn source(&self, stored: &SourceResult, kind: SourceKind) -> Option<&'w Source> {
        let all = || self.config.into_iter().flat_map(|t| &t.sources).filter(move |s| s.kind == kind);
        let named = all().find(|source| source.name == stored.name);
        let of_kind = self.snapshot.manifest.sources.iter().filter(|s| s.kind == stored.kind).count();
        let is_clear = self.is_elsewhere() && of_kind == 1 && all().count() == 1;
        named.or_else(|| all().next().filter(|_| is_clear))
    }

    /// The one workflow that is put back to an earlier version, if that is what this is.
    fn workflow(&self) -> Option<&str> {
        let undone = self.undone.as_ref().and_then(|undone| undone.workflow.as_deref());
        self.workflows.first().filter(|_| self.kind == RollbackType::Version).map(String::as_str).or(undone)
    }

    /// Whether another target is written than the one that the snapshot is of.
    fn is_elsewhere(&self) -> bool {
        self.target != self.snapshot.manifest.target
    }

    /// What is told of a source that is not in the snapshot.
    fn absent(source: &SourceResult) -> String {
        let why = source.error.as_deref().unwrap_or("it gave nothing");
        format!("the snapshot does not have it: {why}")
    }
}
