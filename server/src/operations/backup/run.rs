//! From a plan to a snapshot.

use std::collections::BTreeMap;

use chronos_snapshot::retention::Trigger;
use chronos_snapshot::{BackupOptions, ErrorKind, Outcome, ParentChoice, Source, backup};
use chronos_store::{Repository, SessionOptions};
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::error::{Kind, Result};
use crate::hooks::{Hooks, Operation};
use crate::operations::backup::record::{Record, tell_only};
use crate::operations::backup::{Backup, Planned};
use crate::operations::cleanup::{Decision, ForgetRequest, forget};
use crate::turn::Turn;
use crate::workplace::{Workplace, client, host};

/// Key of the metadata that names the run over several targets that a snapshot is part of.
pub const RUN_ID: &str = "run_id";
/// Threads where the system does not tell how many can run.
const THREADS: usize = 2;

impl Planned {
    /// Makes the snapshot. Runs of a configured target wait for each other and stand in the history of this host.
    ///
    /// # Errors
    /// [`Error::Failed`](crate::Error::Failed) with the name that the snapshot of a configured target would have had.
    pub fn run(mut self, workplace: &Workplace, repository: &Repository) -> Result<Backup> {
        let sources = std::mem::take(&mut self.sources);
        if self.request.outcome == Outcome::DryRun {
            return self.make(workplace, repository, sources);
        }
        if !self.is_configured {
            let mut is_told = false;
            let mut note = |done: Result<Backup>| {
                if !std::mem::replace(&mut is_told, true) {
                    tell_only(workplace, repository, &self, done.as_ref().map(|made| &made.report));
                }
                done
            };
            let done = self.hooked(workplace, repository, sources, &mut note);
            return note(done);
        }
        let _turn = self.turn(workplace, repository)?;
        let mut record = Some(Record::begin(workplace, repository, &self));
        let mut note = |done: Result<Backup>| match (done, record.take()) {
            (Ok(made), Some(record)) => {
                record.made(&self, &made.report);
                Ok(made)
            }
            (Err(error), Some(record)) => Err(record.failed(&self, error)),
            (done, None) => done,
        };
        let done = self.hooked(workplace, repository, sources, &mut note);
        // What a hook did not let begin is noted here.
        note(done)
    }

    /// Makes the snapshot between its hooks. What came of it is noted before those hear of it that come after.
    fn hooked(
        &self,
        workplace: &Workplace,
        repository: &Repository,
        sources: Vec<Box<dyn Source>>,
        note: &mut dyn FnMut(Result<Backup>) -> Result<Backup>,
    ) -> Result<Backup> {
        let hooks =
            Hooks::of(workplace, repository.monitor(), Operation::Backup, std::slice::from_ref(&self.target));
        hooks.around(
            &self.about(&sources),
            || note(self.make(workplace, repository, sources)),
            |made| serde_json::to_value(&made.report).unwrap_or_default(),
            ToString::to_string,
        )
    }

    /// What hooks are told before there is a snapshot.
    fn about(&self, sources: &[Box<dyn Source>]) -> Value {
        let request = &self.request;
        let paths: Vec<String> = sources.iter().flat_map(|s| s.paths()).collect();
        json!({
            "tier": request.tier,
            "backup_type": request.selection.backup_type,
            "name": request.name,
            "description": request.description,
            "tags": request.tags,
            "metadata": self.metadata(),
            "run_id": request.run_id,
            "sources": sources.iter().map(|s| json!({ "name": s.name(), "kind": s.kind() })).collect::<Vec<_>>(),
            "paths": paths,
            "modules": request.rules.modules,
        })
    }

    /// Waits for other runs of the target. Where no lock can be kept, as on a read-only disk, they may meet: that is safe, and told.
    fn turn(&self, workplace: &Workplace, repository: &Repository) -> Result<Option<Turn>> {
        let monitor = &**repository.monitor();
        match Turn::take(&workplace.places.state, &repository.id().to_string(), &self.target, monitor) {
            Err(error) if error.kind() != Kind::Library(ErrorKind::Interrupted) => {
                monitor.problem(&format!("other runs of {} are not waited for: {error}", self.target));
                Ok(None)
            }
            turn => turn.map(Some),
        }
    }

    fn make(
        &self,
        workplace: &Workplace,
        repository: &Repository,
        sources: Vec<Box<dyn Source>>,
    ) -> Result<Backup> {
        // Also afterwards: what was written to a disk that was taken away meanwhile is no backup.
        repository.confirm()?;
        let report = backup(repository, sources, &self.options(workplace, repository)?)?;
        repository.confirm()?;
        let removed = if self.has_limits && report.snapshot.is_some() {
            self.keep_limits(workplace, repository)
        } else {
            Ok(Vec::new())
        };
        Ok(Backup { report, removed })
    }

    fn options(&self, workplace: &Workplace, repository: &Repository) -> Result<BackupOptions> {
        let request = &self.request;
        let parent = match &request.parent {
            Some(name) => {
                let found = catalog(workplace, repository)?.resolve(name)?;
                if let Some(note) = &found.note {
                    repository.monitor().problem(note);
                }
                ParentChoice::Given(found.snapshot.session)
            }
            None => ParentChoice::Newest,
        };
        Ok(BackupOptions {
            target: self.target.clone(),
            tier: request.tier.clone(),
            backup_type: request.selection.backup_type.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            tags: request.tags.clone(),
            metadata: self.metadata(),
            host: request.host.clone().unwrap_or_else(host),
            user: workplace.user(),
            time: request.time,
            scope: self.scope.clone(),
            requirements: self.requirements.clone(),
            parent,
            changes: request.changes,
            outcome: request.outcome,
            session: SessionOptions { client: client(), level: request.level },
            threads: std::thread::available_parallelism().map_or(THREADS, usize::from),
            ..BackupOptions::default()
        })
    }

    /// What was given, and the run that it is part of: by that, a moment of all targets is found.
    fn metadata(&self) -> BTreeMap<String, String> {
        let run = self.request.run_id.iter().map(|id| (RUN_ID.to_owned(), id.clone()));
        self.request.metadata.clone().into_iter().chain(run).collect()
    }

    /// Applies the limits of a project target, which hold after every backup.
    fn keep_limits(&self, workplace: &Workplace, repository: &Repository) -> Result<Vec<Decision>> {
        let catalog = catalog(workplace, repository)?;
        let request = ForgetRequest {
            targets: vec![self.target.clone()],
            trigger: Trigger::Schedule,
            ..ForgetRequest::default()
        };
        Ok(forget(workplace, &catalog, &request)?.split().1)
    }
}

/// The present moment; manifests that cannot be read are told of.
fn catalog(workplace: &Workplace, repository: &Repository) -> Result<Catalog> {
    let catalog = Catalog::new(&workplace.config, repository.clone())?;
    for problem in &catalog.problems {
        repository.monitor().problem(&problem.to_string());
    }
    Ok(catalog)
}
