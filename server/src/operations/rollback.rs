//! One workflow back to an earlier version.
//!
//! What always holds: a version is chosen by comparing what is stored with what the server has now; it is written, read back and noted
//! as any other restore is.

use std::collections::BTreeMap;

use chronos_connect::n8n::Instance;
use chronos_connect::n8n::restore::{Action, Planned, RestoreOptions, plan};
use chronos_snapshot::FileOptions;
use chronos_store::Repository;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::catalog::{Catalog, target_name};
use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Kind, Result};
use crate::operations::Mode;
use crate::operations::backup::setting;
use crate::operations::restore::{
    Plan, RestoreRequest, Restored, WorkflowDone, note_unbegun, note_without_version, restore, way_back,
};
use crate::operations::versions::{Workflow, WorkflowVersion, load, of_workflow};
use crate::sources::n8n_instance;
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
    /// The fingerprint of the plan that somebody has seen.
    pub fingerprint: Option<String>,
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

/// What became of a workflow that goes back to a version, as it is answered.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct VersionBack {
    /// `completed`, `partial`, `planned`, or `requires_backup`: no other version is stored, and nothing was touched.
    pub status: String,
    /// Its id in the history; a dry run has none.
    pub rollback_id: Option<String>,
    /// The workflow.
    pub workflow_id: String,
    /// The version that is there now.
    pub restored_version: Option<String>,
    /// Its content id.
    pub content_id: Option<String>,
    /// The version that was there; none if the workflow was gone.
    pub from_version: Option<String>,
    /// The snapshot that it comes from.
    pub backup_id: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// What was done to the workflow, and what is not as it was stored.
    pub restored: Vec<WorkflowDone>,
    /// What would be done, a dry run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A sentence for people.
    pub message: String,
}

/// A workflow that is not back.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowNotBack {
    /// Its id in the snapshot; or the source, if that failed as a whole.
    pub id: String,
    /// Why, and in which state it was left.
    pub error: String,
}

impl VersionBack {
    /// The answer of what became of a workflow.
    pub fn of(outcome: Outcome, workflow_id: String) -> Self {
        match outcome {
            Outcome::RequiresBackup { rollback_id, message } => Self {
                status: "requires_backup".to_owned(),
                rollback_id,
                workflow_id,
                message,
                ..Self::default()
            },
            Outcome::Done { from, version, restored, mut warnings } => {
                let (back, _) = of_workflows(&restored);
                warnings.extend(restored.warnings);
                Self {
                    status: restored.status,
                    rollback_id: restored.rollback_id,
                    workflow_id,
                    restored_version: Some(version.version_id),
                    content_id: Some(version.content_id),
                    from_version: from,
                    backup_id: Some(restored.backup_id),
                    pre_rollback_backup: restored.pre_rollback_backup,
                    restored: back,
                    plan: restored.plan,
                    warnings,
                    message: restored.message,
                }
            }
        }
    }
}

/// The workflows that are back, and those that are not.
pub fn of_workflows(restored: &Restored) -> (Vec<WorkflowDone>, Vec<WorkflowNotBack>) {
    let (mut back, mut errors) = (Vec::new(), Vec::new());
    for step in &restored.steps {
        for workflow in &step.workflows {
            match &workflow.error {
                None => back.push(workflow.clone()),
                Some(error) => errors.push(WorkflowNotBack { id: workflow.id.clone(), error: error.clone() }),
            }
        }
        if let Some(error) = step.error.as_ref().filter(|_| step.workflows.is_empty()) {
            errors.push(WorkflowNotBack { id: step.sources.join(", "), error: error.clone() });
        }
    }
    (back, errors)
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
    let target = target_name(&workplace.config, &request.target);
    let id = &request.workflow_id;
    let Found { chosen, from, warnings } =
        find(workplace, repository, request, &target).map_err(|error| {
            let is_of_caller = matches!(error.kind(), Kind::NotFound | Kind::Invalid);
            if request.mode.is_dry() || is_of_caller {
                return error;
            }
            note_unbegun(workplace, repository, (&target, id), error)
        })?;
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
            fingerprint: request.fingerprint.clone(),
            ..RestoreRequest::default()
        },
    )?;
    Ok(Outcome::Done { from, version: Box::new(version), restored: Box::new(restored), warnings })
}

/// A version, and the source that has it.
type Chosen = (WorkflowVersion, String);

/// What is going to be done.
struct Found {
    /// The version, if there is one to go back to.
    chosen: Option<Chosen>,
    /// The version that is there; `None` if the workflow is gone.
    from: Option<String>,
    /// What could not be read on the way.
    warnings: Vec<String>,
}

/// Finds the version; nothing is changed.
fn find(
    workplace: &Workplace,
    repository: &Repository,
    request: &WorkflowRollback,
    target: &str,
) -> Result<Found> {
    let config = &workplace.config;
    let unknown = || Error::UnknownTarget { target: target.to_owned() };
    let configured = config.target(target).ok_or_else(unknown)?;
    let catalog = Catalog::new(config, repository.clone())?;
    let id = &request.workflow_id;
    let stored = match of_workflow(&catalog, target, id) {
        Err(Error::UnknownWorkflow { .. }) => None,
        found => Some(found?),
    };
    let source = stored.as_ref().map(|stored| &*stored.source);
    let (instance, options) = way_in(workplace, repository, configured, source)?;
    let planned = |version: &WorkflowVersion, stored: &Workflow| {
        let one = BTreeMap::from([(id.clone(), load(&catalog, stored, id, version)?)]);
        let planned = plan(&instance, &one, &options, &*workplace.monitor)?;
        match planned.errors.into_iter().next() {
            Some((_, why)) => Err(Error::StepFailed(why)),
            None => Ok(planned.workflows.into_iter().next()),
        }
    };
    // A restore may have given it another id. A version that cannot be read says so when it is chosen.
    let newest = stored.as_ref().and_then(|stored| planned(stored.versions.first()?, stored).ok().flatten());
    let live_id = newest.map_or_else(|| id.clone(), |planned: Planned| planned.live_id);
    let now = instance.workflow(&live_id).map_err(chronos_connect::Error::from)?;
    let of_server = |now: Value| now.get("versionId").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let from = now.map(of_server);
    let Some(stored) = stored else {
        return match (&from, &request.version_id) {
            (None, _) => Err(Error::UnknownWorkflow { workflow: id.clone(), target: target.to_owned() }),
            (_, Some(named)) => Err(Error::UnknownVersion { version: named.clone(), workflow: id.clone() }),
            (Some(_), None) => Ok(Found { chosen: None, from, warnings: Vec::new() }),
        };
    };
    let chosen = match &request.version_id {
        Some(named) => named_version(&catalog, &stored, named, id)?,
        None => newest_other(&stored, |version| {
            Ok(planned(version, &stored)?.is_some_and(|workflow| workflow.action != Action::Unchanged))
        })?,
    };
    if let (None, Some(why)) = (&chosen, stored.errors.first()) {
        return Err(Error::VersionsUnread { workflow: id.clone(), why: why.clone() });
    }
    let chosen = chosen.map(|version| (version, stored.source));
    Ok(Found { chosen, from, warnings: stored.errors })
}

/// The n8n of a target: that of the source that has the workflow, or the only one.
fn way_in(
    workplace: &Workplace,
    repository: &Repository,
    target: &TargetConfig,
    source: Option<&str>,
) -> Result<(Instance, RestoreOptions)> {
    let all = || target.sources.iter().filter(|s| s.kind == SourceKind::N8n);
    let found = all().find(|s| Some(&*s.name) == source).or_else(|| all().next());
    let none = || {
        let why = format!("target {} has no n8n", target.name);
        Error::Value { place: "target".to_owned(), why }
    };
    let found = found.ok_or_else(none)?;
    let instance = n8n_instance(found, &setting(workplace, &FileOptions::default()))?;
    Ok((instance, way_back(workplace, repository, &target.name, found)))
}

/// The newest version that differs from what is there. What only safety snapshots of restores have is what somebody wanted to be rid
/// of.
fn newest_other(
    stored: &Workflow,
    differs: impl Fn(&WorkflowVersion) -> Result<bool>,
) -> Result<Option<WorkflowVersion>> {
    for version in stored.versions.iter().filter(|version| !version.only_before_rollbacks) {
        if differs(version)? {
            return Ok(Some(version.clone()));
        }
    }
    Ok(None)
}

/// The version that a name means: that of its server, a content id or the beginning of one, or a snapshot. Of several that its server
/// calls alike, one that nobody wanted to be rid of. `None`: it may be one of those that cannot be read.
fn named_version(
    catalog: &Catalog,
    stored: &Workflow,
    named: &str,
    id: &str,
) -> Result<Option<WorkflowVersion>> {
    let unknown = || Error::UnknownVersion { version: named.to_owned(), workflow: id.to_owned() };
    let all = || stored.versions.iter();
    let of_server = || all().filter(|v| v.version_id == named).min_by_key(|v| v.only_before_rollbacks);
    let is_beginning = named.len() >= PREFIX_MIN;
    let beginning = || all().find(|v| is_beginning && v.content_id.starts_with(named));
    let exact = all().find(|v| v.content_id == named);
    if let Some(version) = exact.or_else(of_server).or_else(beginning) {
        return Ok(Some(version.clone()));
    }
    let held = match catalog.resolve(named) {
        Err(Error::Unknown { .. }) => None,
        found => {
            let backup_id = found?.snapshot.manifest.backup_id;
            let held = all().find(|version| version.snapshots.contains(&backup_id)).cloned();
            held.map(|version| WorkflowVersion { backup_id, ..version })
        }
    };
    match held {
        None if stored.errors.is_empty() => Err(unknown()),
        held => Ok(held),
    }
}
