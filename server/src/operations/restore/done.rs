//! What a restore did, or would do: the answer.

use chronos_connect::n8n::restore::Action;
use chronos_snapshot::Strategy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::operations::restore::plan::{Plan, StepPlan};

/// Errors of one step that an answer holds; more are only counted.
const ERRORS_MAX: usize = 1000;

/// What became of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// All of it is back.
    Completed,
    /// It was as in the snapshot already.
    Unchanged,
    /// Some of it is back.
    Partial,
    /// It failed; `error` says in which state it is.
    Failed,
    /// It cannot be put back, which was known before.
    LeftOut,
    /// It was not begun, since one before it failed.
    #[default]
    NotBegun,
}

/// What became of some sources, which succeed or fail together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RestoreStep)]
pub struct StepDone {
    /// The sources of the snapshot.
    pub sources: Vec<String>,
    /// The sources of the target that they went to.
    pub into: Vec<String>,
    /// `files`, `sqlite`, `postgres`, `n8n`, …
    pub kind: String,
    /// Where it went.
    pub place: String,
    /// How it stands.
    pub status: StepStatus,
    /// Files, databases or workflows that were written.
    pub restored: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// How many things of it are not back.
    pub error_count: u64,
    /// Things that are not back, the first thousand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<NotBack>,
    /// The databases that were put back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseDone>,
    /// What became of each workflow, where workflows are put back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<WorkflowDone>,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is worth knowing and is no failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A database that was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DatabaseDone {
    /// Its name.
    pub name: String,
    /// Whether there was none of that name before.
    pub created: bool,
    /// Tables that are there now; of a part of a database those of that part. What belongs to extensions and to roles whose rights the
    /// user does not have is not counted.
    pub tables: u64,
    /// Rows in them, as they were counted after the restore; absent if they could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Whether the rows of some tables are estimated, since these are too big to be counted in passing.
    pub rows_estimated: bool,
}

/// What became of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkflowDone {
    /// Its id in the snapshot.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `updated`, `created`, `unchanged` or `removed`.
    #[schema(value_type = String)]
    pub action: Action,
    /// Its id on the server, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_id: Option<String>,
    /// What is not as it was stored, as read back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// Whether anything was sent that may have changed it.
    pub touched: bool,
    /// Why it is not back, and in which state it was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The status that n8n answered, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
}

/// Something that is not back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotBack {
    /// What.
    pub what: String,
    /// Why.
    pub error: String,
}

/// What a restore did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restored {
    /// Its id in the history; a dry run has none.
    pub rollback_id: Option<String>,
    /// `planned`, `completed`, `partial` or `failed`.
    pub status: String,
    /// Whether nothing was touched on purpose.
    pub dry_run: bool,
    /// The snapshot.
    pub backup_id: String,
    /// Its content id.
    pub snapshot: String,
    /// The target that was written to.
    pub target: String,
    /// The same, by the name that older callers know.
    pub component: String,
    /// What of it is put back, as a sentence names it.
    #[serde(skip)]
    pub(super) subject: String,
    /// How: `new_location`, `overwrite`, `replace` or `merge`.
    pub strategy: String,
    /// The tables that were meant, if only a part of a database was, by their full names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// The schemas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// The new place, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The snapshot of what was there before.
    pub pre_rollback_backup: Option<String>,
    /// Files, databases and workflows that were written.
    pub restored_count: u64,
    /// How many things are not back.
    pub error_count: u64,
    /// What was or would be done, a dry run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What became of each part, in this order.
    pub steps: Vec<StepDone>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A sentence for people.
    pub message: String,
    /// When it began.
    pub created_at: String,
    /// When it ended.
    pub completed_at: Option<String>,
}

impl StepDone {
    /// A step that is planned and not begun.
    pub(super) fn of(plan: &StepPlan) -> Self {
        let status = if plan.left_out.is_some() { StepStatus::LeftOut } else { StepStatus::NotBegun };
        Self {
            sources: plan.sources.clone(),
            into: plan.into.clone(),
            kind: plan.kind.clone(),
            place: plan.place.clone(),
            status,
            error_count: u64::from(plan.left_out.is_some()),
            error: plan.left_out.clone(),
            ..Self::default()
        }
    }

    /// The same, with an end.
    pub(super) fn ended(self, status: StepStatus) -> Self {
        Self { status, ..self }
    }

    /// The same, which failed.
    pub(super) fn failed(self, why: String) -> Self {
        Self { status: StepStatus::Failed, error: Some(why), error_count: 1, ..self }
    }

    /// Adds something that is not back.
    pub(super) fn lacks(&mut self, what: String, error: String) {
        self.error_count += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(NotBack { what, error });
        }
    }

    /// Adds what became of a workflow.
    pub(super) fn note(&mut self, workflow: WorkflowDone) {
        match &workflow.error {
            Some(error) => self.lacks(format!("{} ({})", workflow.name, workflow.id), error.clone()),
            None if workflow.action == Action::Unchanged => {}
            None => self.restored += 1,
        }
        self.workflows.push(workflow);
    }

    /// Why it failed, with what an outside system answered.
    pub(super) fn failure(&self) -> Error {
        let why = self.error.clone().unwrap_or_default();
        match self.workflows.iter().find_map(|workflow| workflow.upstream_status) {
            Some(status) => {
                let system = "n8n".to_owned();
                Error::Connect(chronos_connect::Error::Upstream { system, status: Some(status), why })
            }
            None => Error::StepFailed(why),
        }
    }

    /// Whether it wrote something, or had nothing to write.
    fn is_good(&self) -> bool {
        self.restored > 0
            || matches!(self.status, StepStatus::Completed | StepStatus::Unchanged | StepStatus::Partial)
    }
}

impl Restored {
    /// Takes over which part of a database is meant.
    pub(super) fn take_part(&mut self, plan: &StepPlan) {
        self.tables.extend(plan.tables.iter().cloned());
        self.schemas.extend(plan.schemas.iter().cloned());
    }

    /// Sums up what became of the steps.
    pub(super) fn sum_up(&mut self) {
        self.restored_count = self.steps.iter().map(|s| s.restored).sum();
        self.error_count = self.steps.iter().map(|s| s.error_count).sum();
        let is_whole = |s: &StepDone| matches!(s.status, StepStatus::Completed | StepStatus::Unchanged);
        let status = if self.steps.iter().all(is_whole) {
            "completed"
        } else if self.steps.iter().any(StepDone::is_good) {
            "partial"
        } else {
            "failed"
        };
        status.clone_into(&mut self.status);
        self.message = match status {
            "completed" => format!("{} as in {}", self.is_back(), self.backup_id),
            _ => self.why_not().unwrap_or_else(|| format!("not all of {} is back", self.backup_id)),
        };
    }

    /// What was put back, and a verb.
    fn is_back(&self) -> String {
        if self.strategy == Strategy::NewLocation.name() {
            let databases = self.steps.iter().flat_map(|step| &step.databases);
            let new = databases.map(|made| format!("database {} of target {}", made.name, self.target));
            let new: Vec<String> = new.chain(self.path.clone()).collect();
            return format!("{} {}", new.join(", "), if new.len() == 1 { "is" } else { "are" });
        }
        let part: Vec<&str> = self.schemas.iter().chain(&self.tables).map(String::as_str).collect();
        let part = if part.is_empty() { String::new() } else { format!("{} of ", part.join(", ")) };
        format!("{part}{} is", self.subject)
    }

    /// What was not put back, in a sentence.
    pub(super) fn why_not(&self) -> Option<String> {
        let failed = self.steps.iter().find(|s| s.status == StepStatus::Failed);
        let first = failed.or_else(|| self.steps.iter().find(|s| s.error_count > 0))?;
        let why = first.error.clone().or_else(|| {
            let one = first.errors.first()?;
            Some(format!("{}: {}", one.what, one.error))
        });
        let left: Vec<&str> = self
            .steps
            .iter()
            .filter(|s| s.status == StepStatus::NotBegun)
            .flat_map(|s| s.sources.iter().map(String::as_str))
            .collect();
        let rest = if left.is_empty() { String::new() } else { format!("; not begun: {}", left.join(", ")) };
        Some(format!("{}: {}{rest}", first.sources.join(", "), why.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, status: StepStatus) -> StepDone {
        StepDone { sources: vec![name.into()], status, ..StepDone::default() }
    }

    fn summed(steps: Vec<StepDone>) -> Restored {
        let mut restored = Restored { steps, ..Restored::default() };
        restored.sum_up();
        restored
    }

    #[test]
    fn a_new_place_is_named_by_itself() {
        let made = |name: &str| DatabaseDone {
            name: name.into(),
            created: true,
            tables: 1,
            rows: None,
            rows_estimated: false,
        };
        let one = StepDone { databases: vec![made("crm_1")], ..step("crm", StepStatus::Completed) };
        let base = Restored {
            strategy: "new_location".into(),
            target: "shop".into(),
            backup_id: "b".into(),
            ..Restored::default()
        };
        let said = |steps: Vec<StepDone>, path: Option<&str>| {
            let mut all = Restored { steps, path: path.map(str::to_owned), ..base.clone() };
            all.sum_up();
            all.message
        };
        assert_eq!(said(vec![one.clone()], None), "database crm_1 of target shop is as in b");
        assert_eq!(said(vec![one], Some("/new")), "database crm_1 of target shop, /new are as in b");
    }

    #[test]
    fn what_is_not_begun_or_left_out_makes_it_partial_and_is_named() {
        let all = summed(vec![step("a", StepStatus::Completed), step("b", StepStatus::Unchanged)]);
        assert_eq!(all.status, "completed");
        let some = summed(vec![
            step("a", StepStatus::Completed),
            step("b", StepStatus::NotBegun).failed("no route".into()),
            step("c", StepStatus::NotBegun),
        ]);
        assert_eq!((&*some.status, some.error_count), ("partial", 1));
        assert_eq!(some.message, "b: no route; not begun: c");
        let none = summed(vec![step("b", StepStatus::NotBegun).failed("no route".into())]);
        assert_eq!(none.status, "failed");
        let left_out = StepPlan { left_out: Some("a command".into()), ..StepPlan::default() };
        let with = summed(vec![step("a", StepStatus::Completed), StepDone::of(&left_out)]);
        assert_eq!((&*with.status, with.error_count), ("partial", 1));
    }
}
