//! What is done at once when something is on fire: stop every workflow, start again what was stopped, restart services, and put back
//! the latest that is known to be good.
//!
//! What always holds: without a confirmation nothing is touched, and the answer is what would be done; each action can be repeated and
//! says exactly what it did; workflows can be stopped and started also when the repository is out of reach.

mod active;
mod restart;

use chronos_snapshot::counted;
use chronos_store::Repository;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::catalog::{LATEST, target_name};
use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::events::{ended, record};
use crate::operations::Mode;
use crate::operations::recover::{RecoverRequest, Recovery, recover};
use crate::operations::restore::{RestoreRequest, Restored, WorkflowDone, restore};
use crate::state::{Alert, RollbackStatus, RollbackType};
use crate::workplace::Workplace;

pub(super) use active::undo;

/// Component of the sources that have workflows.
const WORKFLOWS: &str = "workflows";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The newest good workflows of a target come back; all of a target that has no n8n.
    RestoreLatest,
    /// Everything is recovered from its newest good snapshots.
    RestoreAll,
    /// Every active workflow of a target is made inactive.
    DeactivateAll,
    /// The commands of the configuration that restart services are run.
    RestartServices,
    /// What was made inactive in an emergency is active again.
    Reactivate,
}

impl Action {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::RestoreLatest, Self::RestoreAll, Self::DeactivateAll, Self::RestartServices, Self::Reactivate];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::RestoreLatest => "restore_latest",
            Self::RestoreAll => "restore_all",
            Self::DeactivateAll => "deactivate_all",
            Self::RestartServices => "restart_services",
            Self::Reactivate => "reactivate",
        }
    }

    /// The name of what others are told of it.
    fn event(self) -> &'static str {
        match self {
            Self::RestoreLatest => "emergency_restore_latest",
            Self::RestoreAll => "emergency_restore_all",
            Self::DeactivateAll => "emergency_deactivate_all",
            Self::RestartServices => "emergency_restart_services",
            Self::Reactivate => "emergency_reactivate",
        }
    }

    /// What somebody should know before they confirm it.
    fn warning(self) -> &'static str {
        match self {
            Self::RestoreLatest => {
                "what was changed since that snapshot goes; it stays in a snapshot of tier emergency"
            }
            Self::RestoreAll => {
                "what was changed since those snapshots goes, in every target; it stays in snapshots of tier emergency"
            }
            Self::DeactivateAll => {
                "no workflow runs by itself until it is activated again: action reactivate does that"
            }
            Self::RestartServices => "the services are away while they start",
            Self::Reactivate => "the workflows run again by themselves at once",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct EmergencyRequest {
    /// What is done.
    pub action: Action,
    /// To which target.
    pub target: String,
    /// Without it, it is only said what would be done.
    pub confirm: bool,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EmergencyFailure)]
pub struct Failure {
    /// A workflow, a source or a target.
    pub id: String,
    /// Why, and in which state it was left.
    pub error: String,
}

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restarted {
    /// The target whose command it is.
    pub target: String,
    /// What it said.
    pub output: String,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Emergency)]
pub struct EmergencyDone {
    /// `confirmation_required`, `completed`, `partial` or `failed`.
    pub status: String,
    /// The action.
    pub action: String,
    /// The target.
    pub target: String,
    /// Its id in the history; none before it is confirmed.
    pub rollback_id: Option<String>,
    /// Ids of the workflows that were made inactive.
    pub deactivated: Vec<String>,
    /// Ids of the workflows that are active again.
    pub reactivated: Vec<String>,
    /// The commands that were run.
    pub restarted: Vec<Restarted>,
    /// Workflows that are back, or were as they were stored.
    pub restored: Vec<WorkflowDone>,
    /// What failed.
    pub errors: Vec<Failure>,
    /// What became of each part, where everything is recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The snapshot that comes back, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// What would be done, a line for each thing; empty once it is confirmed.
    pub plan: Vec<String>,
    /// What somebody should know before they confirm it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A sentence for people.
    pub message: String,
}

/// Opens the repository, where that is needed.
pub type Opens<'o> = &'o dyn Fn() -> Result<Repository>;

/// Does it, or says what would be done.
///
/// # Errors
/// [`Error::UnknownTarget`]; what keeps all of it from being done.
pub fn emergency(
    workplace: &Workplace,
    open: Opens<'_>,
    request: &EmergencyRequest,
) -> Result<EmergencyDone> {
    let target = target_name(&workplace.config, &request.target);
    let mut done = match request.action {
        Action::RestoreLatest => restore_latest(workplace, open, request, &target)?,
        Action::RestoreAll => restore_all(workplace, open, request)?,
        Action::DeactivateAll => active::deactivate_all(workplace, request, &target)?,
        Action::RestartServices => restart::restart(workplace, request, &target)?,
        Action::Reactivate => active::reactivate(workplace, request, &target)?,
    };
    request.action.word().clone_into(&mut done.action);
    if done.target.is_empty() {
        done.target = target;
    }
    if request.confirm && matches!(request.action, Action::RestoreLatest | Action::RestoreAll) {
        tell(workplace, request.action, &mut done);
    }
    if !request.confirm {
        "confirmation_required".clone_into(&mut done.status);
        done.warning = Some(request.action.warning().to_owned());
        let from = done.backup_id.as_ref().map(|id| format!(" from {id}")).unwrap_or_default();
        done.message = format!(
            "{} would do {} on {}{from}; nothing was changed: send it again with confirm to do it",
            done.action,
            things(done.plan.len()),
            done.target
        );
    }
    Ok(done)
}

/// Tells of a restore that it was an emergency.
fn tell(workplace: &Workplace, action: Action, done: &mut EmergencyDone) {
    let why = done.errors.first().map(|first| format!("{}: {}", first.id, first.error));
    let status = RollbackStatus::of_word(&done.status).unwrap_or(RollbackStatus::Completed);
    let details = json!({ "rollback_id": done.rollback_id, "restored_count": done.restored.len() });
    let event = |_: &_| {
        vec![ended(&workplace.env, action.event(), &done.target, (status, why.as_deref()), details.clone())]
    };
    if let Err(error) = record(workplace, Alert::Untouched, &event) {
        done.warnings.push(format!("nobody is told of it: {error}"));
    }
}

fn things(number: usize) -> String {
    if number == 0 { "nothing".to_owned() } else { counted(number, "thing") }
}

/// The configured targets that a name means: one, or all.
fn meant<'w>(workplace: &'w Workplace, target: &str) -> Result<Vec<&'w TargetConfig>> {
    let config = &workplace.config;
    if target == crate::operations::restore::ALL {
        return Ok(config.targets.iter().collect());
    }
    let found = config.target(target);
    Ok(vec![found.ok_or_else(|| Error::UnknownTarget { target: target.to_owned() })?])
}

/// How it ended, where some of it may have failed.
fn status(errors: &[Failure], did: bool) -> RollbackStatus {
    match (errors.is_empty(), did) {
        (true, _) => RollbackStatus::Completed,
        (false, true) => RollbackStatus::Partial,
        (false, false) => RollbackStatus::Failed,
    }
}

/// The workflows of a target from its newest good snapshot.
fn restore_latest(
    workplace: &Workplace,
    open: Opens<'_>,
    request: &EmergencyRequest,
    target: &str,
) -> Result<EmergencyDone> {
    let found = workplace.config.target(target);
    let found = found.ok_or_else(|| Error::UnknownTarget { target: target.to_owned() })?;
    let has_n8n = found.sources.iter().any(|source| source.kind == SourceKind::N8n);
    let asked = RestoreRequest {
        backup: LATEST.to_owned(),
        components: if has_n8n { vec![WORKFLOWS.to_owned()] } else { Vec::new() },
        target: Some(target.to_owned()),
        mode: Mode::dry(!request.confirm),
        kind: RollbackType::Emergency,
        ..RestoreRequest::default()
    };
    let restored = restore(workplace, &open()?, &asked)?;
    Ok(of_restore(restored))
}

fn of_restore(restored: Restored) -> EmergencyDone {
    let mut done = EmergencyDone {
        status: restored.status,
        rollback_id: restored.rollback_id,
        backup_id: Some(restored.backup_id),
        pre_rollback_backup: restored.pre_rollback_backup,
        warnings: restored.warnings,
        message: restored.message,
        ..EmergencyDone::default()
    };
    for step in restored.steps {
        let sources = step.sources.join(", ");
        done.errors.extend(step.error.map(|error| Failure { id: sources.clone(), error }));
        for workflow in step.workflows {
            match &workflow.error {
                None => done.restored.push(workflow),
                Some(error) => {
                    done.errors.push(Failure { id: workflow.id.clone(), error: error.clone() });
                }
            }
        }
    }
    for step in restored.plan.into_iter().flat_map(|plan| plan.steps) {
        let lists = [("create", step.creates), ("write over", step.overwrites), ("remove", step.removes)];
        for (verb, list) in lists {
            done.plan.extend(list.names.into_iter().map(|name| format!("{verb} {name}")));
        }
    }
    done
}

/// Everything, in the order of a recovery.
fn restore_all(workplace: &Workplace, open: Opens<'_>, request: &EmergencyRequest) -> Result<EmergencyDone> {
    let asked = RecoverRequest {
        backup: LATEST.to_owned(),
        mode: Mode::dry(!request.confirm),
        kind: RollbackType::Emergency,
        ..RecoverRequest::default()
    };
    let recovery = recover(workplace, &open()?, &asked)?;
    let line = |step: &crate::operations::recover::StepReport| {
        format!("restore {} of {} from {}", step.sources.join(", "), step.target, step.backup_id)
    };
    let mut done = EmergencyDone {
        status: recovery.status.clone(),
        target: crate::operations::restore::ALL.to_owned(),
        rollback_id: recovery.rollback_id.clone(),
        plan: if request.confirm { Vec::new() } else { recovery.steps.iter().map(line).collect() },
        message: recovery.message.clone(),
        ..EmergencyDone::default()
    };
    for step in &recovery.steps {
        done.errors.extend(
            step.error
                .clone()
                .map(|error| Failure { id: format!("{}/{}", step.target, step.sources.join(", ")), error }),
        );
    }
    done.recovery = Some(recovery);
    Ok(done)
}
