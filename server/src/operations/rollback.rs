//! One workflow back to an earlier version.
//!
//! What always holds: a version is chosen by comparing what is stored with what the server has now; it is written, read back and noted
//! as any other restore is.

use std::collections::BTreeMap;

use chronos_connect::n8n::restore::{Action, plan};
use chronos_connect::n8n::{Client, live};
use chronos_snapshot::FileOptions;
use chronos_store::Repository;
use serde_json::Value;

use crate::catalog::{Catalog, target_name};
use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::Mode;
use crate::operations::backup::setting;
use crate::operations::restore::{RestoreRequest, Restored, note_without_version, restore};
use crate::operations::versions::{Workflow, WorkflowVersion, of_workflow};
use crate::sources::{n8n_client, n8n_way_back};
use crate::state::RollbackType;
use crate::workplace::Workplace;

/// Shortest beginning of a content id.
const PREFIX_MIN: usize = 8;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct WorkflowRollback {
    /// The workflow, by its id.
    pub workflow_id: String,
    /// The version: as its server called it, its content id, or a snapshot. `None`: the newest that differs from what is there.
    pub version_id: Option<String>,
    /// The target that has it.
    pub target: String,
    /// Whether anything is done.
    pub mode: Mode,
}

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// It was put back, or would be.
    Done {
        /// The version that was there; `None` if the workflow was gone.
        from: Option<String>,
        /// The version that is there now.
        version: Box<WorkflowVersion>,
        /// What was done.
        restored: Box<Restored>,
        /// What could not be read on the way.
        warnings: Vec<String>,
    },
    /// No version is stored that differs from what is there: nothing was touched.
    RequiresBackup {
        /// Its id in the history; a dry run has none.
        rollback_id: Option<String>,
        /// A sentence for people.
        message: String,
    },
}

/// Puts a workflow back to a version, or says what that would do.
///
/// # Errors
/// [`Error::UnknownTarget`], [`Error::UnknownWorkflow`] and [`Error::UnknownVersion`] for what is not there; those of
/// [`restore`].
pub fn rollback_workflow(
    workplace: &Workplace,
    repository: &Repository,
    request: &WorkflowRollback,
) -> Result<Outcome> {
    let config = &workplace.config;
    let target = target_name(config, &request.target);
    let configured = config.target(&target).ok_or_else(|| Error::UnknownTarget { target: target.clone() })?;
    let catalog = Catalog::new(config, repository.clone())?;
    let id = &request.workflow_id;
    let stored = match of_workflow(&catalog, &target, id) {
        Err(Error::UnknownWorkflow { .. }) => None,
        found => Some(found?),
    };
    let source = stored.as_ref().map(|stored| &*stored.source);
    let (client, options) = way_in(workplace, configured, source)?;
    let now = live(&client, id)?;
    if now.is_none() && stored.is_none() {
        return Err(Error::UnknownWorkflow { workflow: id.clone(), target });
    }
    let monitor = &*workplace.monitor;
    let differs = |content: &Value| -> Result<bool> {
        let one = BTreeMap::from([(id.clone(), content.clone())]);
        let planned = plan(&client, &one, &options, monitor)?;
        if let Some((_, why)) = planned.errors.into_iter().next() {
            return Err(Error::StepFailed(why));
        }
        Ok(planned.workflows.iter().any(|w| w.action != Action::Unchanged))
    };
    let (chosen, warnings) = match (stored, &request.version_id) {
        (Some(stored), Some(named)) => {
            let version = named_version(&catalog, stored, named, (id, &target))?;
            (Some(version), Vec::new())
        }
        (None, Some(named)) => {
            return Err(Error::UnknownVersion { version: named.clone(), workflow: id.clone() });
        }
        (Some(stored), None) => newest_other(stored, differs)?,
        (None, None) => (None, Vec::new()),
    };
    let Some((version, source)) = chosen else {
        let message = format!(
            "no other version of workflow {id} is stored: back up target {target} before it is changed"
        );
        let rollback_id = match request.mode {
            Mode::Apply => Some(note_without_version(workplace, repository, &target, id, &message)?),
            Mode::DryRun => None,
        };
        return Ok(Outcome::RequiresBackup { rollback_id, message });
    };
    let restored = restore(
        workplace,
        repository,
        &RestoreRequest {
            backup: version.backup_id.clone(),
            components: vec![source],
            target: Some(target),
            mode: request.mode,
            kind: RollbackType::Version,
            workflows: vec![id.clone()],
            version: Some(version.version_id.clone()),
            ..RestoreRequest::default()
        },
    )?;
    let from = now.map(|now| now.get("versionId").and_then(Value::as_str).unwrap_or("unknown").to_owned());
    Ok(Outcome::Done { from, version: Box::new(version), restored: Box::new(restored), warnings })
}

/// The n8n of a target: that of the source that has the workflow, or the only one.
fn way_in(
    workplace: &Workplace,
    target: &TargetConfig,
    source: Option<&str>,
) -> Result<(Client, chronos_connect::n8n::restore::RestoreOptions)> {
    let all = || target.sources.iter().filter(|s| s.kind == SourceKind::N8n);
    let found = all().find(|s| Some(&*s.name) == source).or_else(|| all().next());
    let none = |why: &str| Error::Value {
        place: "target".to_owned(),
        why: format!("target {} has no n8n that is reached over its API{why}", target.name),
    };
    let found = found.ok_or_else(|| none(""))?;
    let client = n8n_client(found, &setting(workplace, &FileOptions::default()))?;
    let client = client.ok_or_else(|| none(": give its source a url and an api_key"))?;
    Ok((client, n8n_way_back(found)))
}

/// A version, and the source that has it.
type Chosen = (WorkflowVersion, String);

/// The newest version that differs from what is there. What only safety snapshots of restores have is what somebody wanted to be rid
/// of.
fn newest_other(
    stored: Workflow,
    differs: impl Fn(&Value) -> Result<bool>,
) -> Result<(Option<Chosen>, Vec<String>)> {
    let Workflow { source, versions, errors } = stored;
    for (version, content) in versions.into_iter().filter(|(v, _)| !v.only_before_rollbacks) {
        if differs(&content)? {
            return Ok((Some((version, source)), errors));
        }
    }
    Ok((None, errors))
}

/// The version that a name means: that of its server, a content id or the beginning of one, or a snapshot.
fn named_version(
    catalog: &Catalog,
    stored: Workflow,
    named: &str,
    (id, target): (&str, &str),
) -> Result<Chosen> {
    let unknown = || Error::UnknownVersion { version: named.to_owned(), workflow: id.to_owned() };
    let Workflow { source, versions, .. } = stored;
    let of_server = versions.iter().position(|(v, _)| v.version_id == named || v.content_id == named);
    let is_beginning = named.len() >= PREFIX_MIN;
    let beginning = || versions.iter().position(|(v, _)| is_beginning && v.content_id.starts_with(named));
    if let Some((version, _)) = of_server.or_else(beginning).and_then(|at| versions.get(at)) {
        return Ok((version.clone(), source));
    }
    let snapshot = match catalog.resolve(named) {
        Err(Error::Unknown { .. }) => return Err(unknown()),
        found => found?.snapshot,
    };
    let backup_id = snapshot.manifest.backup_id;
    if snapshot.manifest.target != target {
        return Err(unknown());
    }
    let held = versions.into_iter().find(|(version, _)| version.snapshots.contains(&backup_id));
    let (version, _) = held.ok_or_else(unknown)?;
    Ok((WorkflowVersion { backup_id, ..version }, source))
}
