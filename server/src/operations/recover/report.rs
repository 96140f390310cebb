//! What a recovery did, or would do: one report for each step.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use chronos_snapshot::{Snapshot, counted};

use crate::operations::recover::order::{Phase, Wanted};
use crate::operations::restore::Restored;

/// How a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecoveryStepStatus)]
pub enum StepState {
    /// It is not begun.
    #[default]
    NotBegun,
    /// It is back, and works as far as that can be seen.
    Completed,
    /// Some of it is back.
    Partial,
    /// Nothing of it is back.
    Failed,
    /// It is back, and it was not seen that its target works.
    Unconfirmed,
    /// An earlier call had brought it back.
    Resumed,
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RecoveryStep)]
pub struct StepReport {
    /// Its place in the order.
    pub phase: Phase,
    /// The target.
    pub target: String,
    /// Its sources that come back.
    pub sources: Vec<String>,
    /// The snapshot that they come from; empty if there is none.
    pub backup_id: String,
    /// When that was taken.
    pub taken_at: Option<String>,
    /// How it stands.
    pub status: StepState,
    /// Its own id in the history.
    pub rollback_id: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// How long it took, with its health check.
    pub duration_ms: u64,
    /// What the health check said; none if none is configured. Before the last step of its target it decides nothing.
    pub health: Option<String>,
    /// What the command said that starts the target again; none if none is configured, or nothing called for it.
    pub restarted: Option<String>,
    /// Why it is not back, or not confirmed.
    pub error: Option<String>,
    /// What was done, or would be.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub restored: Option<Restored>,
}

impl StepReport {
    /// A step that is not begun.
    pub(super) fn of(wanted: &Wanted, snapshot: Option<&Snapshot>) -> Self {
        Self {
            phase: wanted.phase,
            target: wanted.target.clone(),
            sources: vec![wanted.source.clone()],
            backup_id: snapshot.map(|s| s.manifest.backup_id.clone()).unwrap_or_default(),
            taken_at: snapshot.map(|s| s.taken_at().to_string()),
            status: StepState::NotBegun,
            rollback_id: None,
            pre_rollback_backup: None,
            duration_ms: 0,
            health: None,
            restarted: None,
            error: None,
            restored: None,
        }
    }

    /// As a later call finds it: what is back stays, what was not confirmed is confirmed, the rest begins anew.
    pub(super) fn resumed(self) -> Self {
        let status = match self.status {
            StepState::Completed | StepState::Resumed => StepState::Resumed,
            StepState::Unconfirmed => StepState::Unconfirmed,
            _ => StepState::NotBegun,
        };
        Self { status, error: None, health: None, restarted: None, duration_ms: 0, ..self }
    }

    /// Whether it is back.
    pub(super) fn is_back(&self) -> bool {
        matches!(self.status, StepState::Completed | StepState::Resumed)
    }
}

/// What was recovered, or would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Recovery {
    /// Its id in the history; a dry run has none.
    pub rollback_id: Option<String>,
    /// `planned`, `completed`, `partial` or `failed`.
    pub status: String,
    /// What was named: a snapshot, a run or `latest`.
    pub backup_id: String,
    /// What alone was asked for; empty: everything.
    pub components: Vec<String>,
    /// Nothing later than this was taken; none: up to now.
    pub moment: Option<String>,
    /// The recovery that was taken up again.
    pub resumes: Option<String>,
    /// Each step, in the order in which it is done.
    pub steps: Vec<StepReport>,
    /// What no good snapshot has.
    pub missing: Vec<StepReport>,
    /// How long it took: the measured time of a recovery.
    pub duration_ms: u64,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A sentence for people.
    pub message: String,
}

impl Recovery {
    /// Whether it only says what would be done.
    pub fn is_planned(&self) -> bool {
        self.status == "planned"
    }

    /// Sums up what became of the steps.
    pub(super) fn sum_up(&mut self) {
        let back = self.steps.iter().filter(|step| step.is_back()).count();
        if self.is_planned() {
            let left = counted(self.steps.len() - back, "step");
            self.message = format!("would recover {left}; nothing was changed");
            return;
        }
        let written = |step: &StepReport| {
            step.is_back() || matches!(step.status, StepState::Partial | StepState::Unconfirmed)
        };
        let status = if back == self.steps.len() && self.missing.is_empty() {
            "completed"
        } else if self.steps.iter().any(written) {
            "partial"
        } else {
            "failed"
        };
        status.clone_into(&mut self.status);
        let first = self.steps.iter().find(|step| !step.is_back()).or_else(|| self.missing.first());
        self.message = match first {
            None => format!("{}: everything is back", counted(back, "step")),
            Some(step) => format!(
                "{back} of {} steps are back; {} of {}: {}",
                self.steps.len() + self.missing.len(),
                step.sources.join(", "),
                step.target,
                step.error.as_deref().unwrap_or("it was not begun")
            ),
        };
    }
}
